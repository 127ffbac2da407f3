# Writes twolevel_mlr.json: two-level models of twolevel.csv with estimator MLR. R 4.2.2, lavaan 0.6-14.
# Run: Rscript make_twolevel_mlr.R HERE (the folder of twolevel.csv and of the output)
suppressMessages({library(lavaan); library(jsonlite)}); options(warn = -1)
here <- commandArgs(TRUE)[1]; D <- read.csv(file.path(here, "twolevel.csv")); out <- list()
# lavaan 0.6-14 leaves the mean of a within covariate out of its clusters' scores, so that robust errors depend on where
# its zero lies; they are right where the mean is 0.
D$x2 <- D$x2 - mean(D$x2)
run <- function(name, model, ...) { f <- sem(model, D, cluster = "id", estimator = "MLR", ...); m <- fitMeasures(f)
  m <- m[grepl("^(chisq|df|cfi|tli|rmsea|baseline|scaling|logl)", names(m)) & !grepl("h0|level|notclose", names(m))]
  p <- parameterEstimates(f, remove.nonfree = FALSE)
  out[[name]] <<- list(model = model, fit = as.list(m), parameters = p[, intersect(c("lhs", "op", "rhs", "level", "group", "est", "se"), names(p))],
    scores_within = lavPredict(f)[1:12, , drop = FALSE], scores_between = lavPredict(f, level = 2L)[1:12, , drop = FALSE],
    cluster_within = lavInspect(f, "cluster.idx")[1:12])
  cat(name, lavInspect(f, "converged"), m[c("chisq", "chisq.scaled", "chisq.scaling.factor", "baseline.chisq.scaled")], "\n") }
run("cfa", "level: 1\nfw =~ y1 + y2 + y3\ngw =~ y4 + y5 + y6\nlevel: 2\nfb =~ y1 + y2 + y3\ngb =~ y4 + y5 + y6")
run("covariates", "level: 1\nfw =~ y1 + y2 + y3\nfw ~ x2\nlevel: 2\nfb =~ y1 + y2 + y3\nfb ~ z1 + z2")
run("between_outcome", "level: within\nfw =~ y1 + y2 + y3\nlevel: between\nfb =~ y1 + y2 + y3\nz2 ~ fb\nfb ~ z1")
run("paths", "level: 1\nfw =~ y1 + a*y2 + b*y3\ngw =~ y4 + y5 + y6\ngw ~ c*fw\nlevel: 2\nfb =~ y1 + a*y2 + b*y3\ngb =~ y4 + y5 + y6\ngb ~ d*fb")
run("within_only", "level: 1\nfw =~ y1 + y2 + y3 + x2\nlevel: 2\nfb =~ y1 + y2 + y3")
# The difference test magnifies what an early end of the search leaves, so that the search is taken up again.
again <- function(pt, ...) try(lavaan(pt, D, cluster = "id", estimator = "MLR", optim.force.converged = TRUE, ...), silent = TRUE)
steep <- function(f) max(abs(lavTech(f, "gradient")))
ended <- function(model) { f <- sem(model, D, cluster = "id", estimator = "MLR")
  for (k in 1:4) { pt <- parTable(f); pt$start <- pt$est; pt$est <- pt$se <- NULL
    for (g in list(again(pt, control = list(rel.tol = 1e-15, x.tol = 1e-15)), again(pt, optim.method = "BFGS", control = list(reltol = 1e-30, maxit = 500))))
      if (!inherits(g, "try-error") && steep(g) < steep(f)) f <- g }
  f }
wide <- out$cfa$model; t <- lavTestLRT(ended(wide), ended(gsub("y1 + y2 + y3", "y1 + a*y2 + b*y3", wide, fixed = TRUE)))
out$difference <- list(chisq_diff = t$`Chisq diff`[2], df_diff = t$`Df diff`[2])
writeLines(toJSON(out, digits = 12, auto_unbox = TRUE, na = "null"), file.path(here, "twolevel_mlr.json"))
