# Writes continued.json: seven fits of lavaan.json and lavaan_more.json whose search is taken up again from its own
# estimates until lavaan's own gradient vanishes. R 4.2.2, lavaan 0.6-14. Run: Rscript make_continued.R HERE
suppressMessages({library(lavaan); library(jsonlite)}); options(warn = -1)
here <- commandArgs(TRUE)[1]; dat <- function(n) read.csv(file.path(here, paste0(n, ".csv")))
ref <- c(fromJSON(file.path(here, "lavaan.json"), simplifyVector = FALSE), fromJSON(file.path(here, "lavaan_more.json"), simplifyVector = FALSE))
HS <- dat("lavaan_HolzingerSwineford1939"); CAT <- dat("semTools_datCat"); LQ <- dat("lq2002"); out <- list()
gradient <- function(f) { # in the directions that the equality constraints leave free, per row as lavaan has it
  g <- lavTech(f, "gradient"); if (f@Model@eq.constraints) g <- as.numeric(t(f@Model@eq.constraints.K) %*% g); max(abs(g)) }
again <- function(f, ...) { pt <- parTable(f); pt$start <- pt$est; pt$est <- pt$se <- NULL; lavaan(pt, ...) }
run <- function(name, fit, data, ..., model = ref[[name]]$model) {
  first <- f <- fit(model, data, ...)
  for (k in 1:6) { # nlminb restarted (its memory of the curvature is lost, so that it moves again)
    g <- try(again(f, data, control = list(rel.tol = 1e-15, x.tol = 1e-15), optim.force.converged = TRUE, ...), silent = TRUE)
    if (!inherits(g, "try-error") && gradient(g) < gradient(f)) f <- g
    g <- try(again(f, data, optim.method = "BFGS", control = list(reltol = 1e-30, maxit = 500), optim.force.converged = TRUE, ...), silent = TRUE)
    if (!inherits(g, "try-error") && gradient(g) < gradient(f)) f <- g }
  p <- function(f) parameterEstimates(f, remove.nonfree = FALSE)
  keep <- intersect(c("lhs", "op", "rhs", "block", "group", "level", "est", "se"), names(p(f)))
  fit_of <- function(f) as.list(fitMeasures(f)[c("chisq", "df")])
  out[[name]] <<- list(gradient_first = gradient(first), gradient = gradient(f), first = p(first)$est, fit = fit_of(f), parameters = p(f)[, keep])
  cat(name, gradient(first), gradient(f), max(abs(p(first)$est - p(f)$est)), "\n") }
run("hs_dwls", cfa, HS, estimator = "DWLS")
run("hs_config", cfa, HS, group = "school"); out$hs_ml_configural <- out$hs_config
run("hs_mlr_configural", cfa, HS, group = "school", estimator = "MLR")
# lavaan minimises under inequalities by an augmented Lagrangian; this one (a > 0.1) is not in force, so it is left out,
# and the equality is eliminated exactly.
run("hs_constraints", cfa, HS, model = sub("a > 0.1\n", "", ref$hs_constraints$model, fixed = TRUE))
run("datcat_measEq_thresholds", cfa, CAT, ordered = paste0("u", 1:8), group = "g", parameterization = "theta")
run("lq_twolevel_regression", sem, LQ, cluster = "COMPID")
writeLines(toJSON(out, digits = 12, auto_unbox = TRUE, na = "null"), file.path(here, "continued.json"))
