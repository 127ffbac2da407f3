# Writes robust.json: scaled and robust fit indices with their intervals. R 4.2.2, lavaan 0.6-14.
# Run: Rscript make_robust.R HERE (the folder of the data and of the output). The search is told to go on to the
# minimum (rel.tol), and EM for incomplete data to 1e-12, so that no difference is one of stopping early
# (the smallest rel.tol is taken that nlminb calls converged).
suppressMessages({library(lavaan); library(jsonlite)}); options(warn = -1)
here <- commandArgs(TRUE)[1]; dat <- function(n) read.csv(file.path(here, paste0(n, ".csv")))
HS <- dat("lavaan_HolzingerSwineford1939"); BG <- dat("bfi25_gender"); BM <- dat("bfi10_missing"); LQ <- dat("lq2002")
HS$w <- 0.5 + (HS$id %% 7) / 6; HM <- HS; age <- HS$ageyr + HS$agemo / 12
HM$x5 <- ifelse(HM$x1 <= quantile(HM$x1, .3), NA, HM$x5); HM$x9 <- ifelse(age <= quantile(age, .3), NA, HM$x9)
hs <- "visual =~ x1 + x2 + x3\ntextual =~ x4 + x5 + x6\nspeed =~ x7 + x8 + x9"
ten <- c(paste0("A", 1:5), paste0("C", 1:5)); b10 <- "A =~ A1 + A2 + A3 + A4 + A5\nC =~ C1 + C2 + C3 + C4 + C5"
lead <- "lead =~ LEAD01 + LEAD03 + LEAD04 + LEAD07 + LEAD09 + LEAD11"
out <- list()
run <- function(name, model, data, ...) {
  for (tol in c(1e-14, 1e-13, 1e-12, 1e-11, 1e-10)) {
    f <- cfa(model, data, control = list(rel.tol = tol), em.h1.tol = 1e-12, em.h1.iter.max = 20000L, ...)
    if (lavInspect(f, "converged")) break }
  m <- fitMeasures(f); m <- m[grepl("^(chisq|df|cfi|tli|rmsea|baseline)", names(m)) & !grepl("h0|level|notclose", names(m))]
  out[[name]] <<- list(model = model, fit = as.list(m)); cat(name, tol, m["chisq"], "\n") }
for (e in c("MLM", "MLR", "MLMV", "MLMVS", "GLS")) {
  run(paste0("hs_", tolower(e)), hs, HS, estimator = e); run(paste0("hs_groups_", tolower(e)), hs, HS, estimator = e, group = "school", group.equal = "loadings") }
run("hs_weights", hs, HS, estimator = "MLR", sampling.weights = "w")
run("hs_fiml", hs, HM, missing = "fiml"); run("hs_fiml_mlr", hs, HM, missing = "fiml", estimator = "MLR")
run("hs_fiml_groups", hs, HM, missing = "fiml", group = "school", group.equal = "loadings")
run("hs_fiml_mlr_groups", hs, HM, missing = "fiml", estimator = "MLR", group = "school", group.equal = "loadings")
run("hs_fiml_mlr_weights", hs, HM, missing = "fiml", estimator = "MLR", sampling.weights = "w")
run("hs_fiml_mlr_groups_weights", hs, HM, missing = "fiml", estimator = "MLR", group = "school", sampling.weights = "w")
run("bfi_fiml_mlr", b10, BM, missing = "fiml", estimator = "MLR")
run("lq_mlr_cluster", lead, LQ, estimator = "MLR", cluster = "COMPID")
for (e in c("WLSMV", "WLSM", "ULSMV", "DWLS")) run(paste0("bfi_", tolower(e)), b10, BG, estimator = e, ordered = ten)
run("bfi_theta", b10, BG, ordered = ten, parameterization = "theta")
run("bfi_groups", b10, BG, ordered = ten, group = "gender")
run("bfi_groups_loadings", b10, BG, ordered = ten, group = "gender", group.equal = "loadings")
run("bfi_groups_thresholds", b10, BG, ordered = ten, group = "gender", group.equal = c("thresholds", "loadings"))
writeLines(toJSON(out, digits = 12, auto_unbox = TRUE, na = "null"), file.path(here, "robust.json"))
