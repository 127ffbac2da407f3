# Writes twolevel.csv (simulated) and twolevel.json: two-level models by lavaan 0.6-14 (R 4.2.2).
# Run: Rscript make_twolevel.R OUT_DIR
suppressMessages({library(lavaan); library(jsonlite)}); options(warn = -1)
set.seed(20); out_dir <- commandArgs(TRUE)[1]; J <- 80; size <- sample(3:15, J, replace = TRUE); id <- rep(1:J, size); n <- length(id)
z1 <- rnorm(J); z2 <- 0.5 * z1 + rnorm(J); xb <- rnorm(J, sd = .7); fb <- 0.6 * z1 + 0.4 * xb + rnorm(J, sd = .7)
x1 <- xb[id] + rnorm(n); x2 <- rnorm(n); fw <- 0.5 * x1 + 0.3 * x2 + rnorm(n); gw <- 0.4 * fw + rnorm(n); gb <- 0.5 * fb + rnorm(J, sd = .5)
item <- function(lw, lb, f, g) lw * f + (lb * g)[id] + rnorm(n) + rnorm(J, sd = .35)[id]
D <- data.frame(id, y1 = item(1, 1, fw, fb) + 2, y2 = item(.8, .9, fw, fb) - 1, y3 = item(1.2, .7, fw, fb), y4 = item(1, 1, gw, gb), y5 = item(.7, .8, gw, gb), y6 = item(.9, .9, gw, gb) + 4,
  x1, x2, z1 = z1[id], z2 = z2[id], school = c("north", "south")[1 + (id %% 2)])
D <- D[sample(n), ]; num <- sapply(D, is.numeric); D[num] <- round(D[num], 4)
write.csv(D, file.path(out_dir, "twolevel.csv"), row.names = FALSE); D <- read.csv(file.path(out_dir, "twolevel.csv")); out <- list()
keep <- c("npar","chisq","df","baseline.chisq","baseline.df","cfi","tli","rmsea","srmr","srmr_within","srmr_between","logl","aic","bic")
save <- function(name, model, f) {fm <- fitMeasures(f); p <- parameterEstimates(f, remove.nonfree = FALSE); out[[name]] <<- list(model = model, n = sum(lavInspect(f, "nobs")), fit = as.list(fm[intersect(keep, names(fm))]), parameters = p[, intersect(c("lhs","op","rhs","level","group","label","est","se"), names(p))])}

run <- function(name, model, ...) {f <- sem(model, D, cluster = "id", ...); cat(name, lavInspect(f, "converged"), fitMeasures(f)[c("chisq","df","logl")], "\n"); save(name, model, f)}
run("cfa", "level: 1\nfw =~ y1 + y2 + y3\ngw =~ y4 + y5 + y6\nlevel: 2\nfb =~ y1 + y2 + y3\ngb =~ y4 + y5 + y6")
run("within_and_between_covariates", "level: 1\nfw =~ y1 + y2 + y3\nfw ~ x2\nlevel: 2\nfb =~ y1 + y2 + y3\nfb ~ z1 + z2")
run("between_outcome", "level: within\nfw =~ y1 + y2 + y3\nlevel: between\nfb =~ y1 + y2 + y3\nz2 ~ fb\nfb ~ z1")
run("within_only_indicator", "level: 1\nfw =~ y1 + y2 + y3 + x2\nlevel: 2\nfb =~ y1 + y2 + y3")
run("paths", "level: 1\nfw =~ y1 + a*y2 + b*y3\ngw =~ y4 + y5 + y6\ngw ~ c*fw\nlevel: 2\nfb =~ y1 + a*y2 + b*y3\ngb =~ y4 + y5 + y6\ngb ~ d*fb\nexcess := d - c")
blocks <- "level: 1\nfw =~ y1 + y2 + y3\nlevel: 2\nfb =~ y1 + y2 + y3"
f <- sem(paste0("group: 1\n", blocks, "\ngroup: 2\n", blocks), D, cluster = "id", group = "school"); save("groups", blocks, f)
run("manifest", "level: 1\ny1 ~ y2 + x2\nlevel: 2\ny1 ~ y2 + z1")
run("fixed_residuals", "level: 1\nfw =~ y1 + y2 + y3\nlevel: 2\nfb =~ y1 + y2 + y3\ny1 ~~ 0*y1\ny2 ~~ 0*y2\ny3 ~~ 0*y3")
run("saturated_between", "level: 1\nfw =~ y1 + y2 + y3 + y4\nlevel: 2\ny1 ~~ y2 + y3 + y4\ny2 ~~ y3 + y4\ny3 ~~ y4")
try(run("covariate_at_both_levels", "level: 1\nfw =~ y1 + y2 + y3\nfw ~ x1\nlevel: 2\nfb =~ y1 + y2 + y3\nfb ~ x1 + z1"))
f <- sem("level: 1\nfw =~ y1 + y2 + y3\nfw ~ x2\nlevel: 2\nfb =~ y1 + y2 + y3\nfb ~ z1", D, cluster = "id")
out$modification <- modindices(f)[, c("lhs", "op", "rhs", "level", "mi", "epc", "sepc.all")]
writeLines(toJSON(out, digits = 10, auto_unbox = TRUE, na = "null"), file.path(out_dir, "twolevel.json"))
