# Writes invariance_ordinal.csv and invariance.json: ladders by lavaan 0.6-14 and semTools 0.5-6 (R 4.2.2).
# Run: Rscript make_invariance.R DATA_DIR OUT_DIR, where DATA_DIR holds the simulated sim40_ord5_n2000.csv.
suppressMessages({library(lavaan); library(semTools); library(jsonlite)}); options(warn = -1)
args <- commandArgs(TRUE); S <- read.csv(file.path(args[1], "sim40_ord5_n2000.csv")); out <- list()
D <- S[1:1200, 1:8]; names(D) <- paste0("u", 1:8); D$u1 <- as.integer(D$u1 > 3); D$u2 <- pmin(pmax(D$u2, 2), 4); D$u4 <- as.integer(D$u4 > 2)
D$g <- c("one", "two", "three")[1 + (seq_len(1200) %% 3)]; two <- D$g == "two"; D$u3[two] <- pmin(D$u3[two] + (seq_len(sum(two)) %% 4 == 0), 5)
write.csv(D, file.path(args[2], "invariance_ordinal.csv"), row.names = FALSE)
keep <- c("chisq","df","npar","chisq.scaled","cfi","rmsea","srmr","cfi.scaled","rmsea.scaled","cfi.robust","rmsea.robust")
fits_of <- function(f) as.list(fitMeasures(f)[intersect(keep, names(fitMeasures(f)))])
ladder <- function(name, model, items, steps, par) {
  D <- D; fits <- lapply(steps, function(k) {s <- do.call(measEq.syntax, list(model, data = D, ordered = items, group = "g", parameterization = par, ID.fac = "std.lv", ID.cat = "Wu.Estabrook.2016", group.equal = k))
    cfa(as.character(s), D, ordered = items, group = "g", parameterization = par)})
  t <- do.call(lavTestLRT, unname(fits))
  out[[name]] <<- list(model = model, items = items, steps = lapply(fits, fits_of), chisq_diff = t$`Chisq diff`, df_diff = t$`Df diff`, p = t$`Pr(>Chisq)`) }
w <- c("thresholds","loadings","intercepts","residuals","means"); upto <- function(k) lapply(0:k, function(i) if (i == 0) "" else w[1:i])
ladder("polytomous", "f =~ u3 + u5 + u6 + u7 + u8", paste0("u", c(3, 5:8)), upto(3), "delta")
ladder("mixed_delta", "f =~ u1 + u2 + u3 + u4 + u5 + u6", paste0("u", 1:6), upto(3), "delta")
ladder("mixed_theta", "f =~ u1 + u2 + u3 + u4 + u5 + u6", paste0("u", 1:6), upto(5), "theta")
m <- "a =~ u3 + u5 + u6\nb =~ u7 + u8 + u2"
for (e in c("ML", "MLR")) {k <- c("loadings","intercepts","residuals"); fits <- c(list(cfa(m, D, group = "g", estimator = e)), lapply(1:3, function(i) cfa(m, D, group = "g", group.equal = k[1:i], estimator = e)))
  t <- do.call(lavTestLRT, fits); out[[tolower(e)]] <- list(model = m, steps = lapply(fits, fits_of), chisq_diff = t$`Chisq diff`, df_diff = t$`Df diff`, p = t$`Pr(>Chisq)`)
  if (e == "ML") {s <- lavTestScore(fits[[3]])$uni; out$score <- list(df = nrow(s), largest = sort(s$X2, decreasing = TRUE)[1:6])}}
writeLines(toJSON(out, digits = 10, auto_unbox = TRUE, na = "null"), file.path(args[2], "invariance.json"))
