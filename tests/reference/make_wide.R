# Writes wide.json: lavaan's answers to the fits listed in wide_cases.json, which the tests read as well.
# R 4.2.2, lavaan 0.6-14; run in the project's root.
suppressMessages({library(lavaan); library(jsonlite)}); options(warn = -1)
here <- "tests/reference"; cases <- fromJSON(file.path(here, "wide_cases.json"), simplifyVector = FALSE)
hs <- read.csv(file.path(here, "lavaan_HolzingerSwineford1939.csv")); hs$w <- 0.5 + (hs$id %% 7) / 6
age <- hs$ageyr + hs$agemo / 12; late <- hs
late$x5[hs$x1 <= quantile(hs$x1, .3)] <- NA; late$x9[age <= quantile(age, .3)] <- NA
lq <- read.csv(file.path(here, "lq2002.csv")); lq$w <- .5 + (seq_len(nrow(lq)) %% 5) / 4
own <- list(hs = hs, hs_mar = late, lq2002 = lq); out <- list()
keep <- c("chisq","df","cfi","tli","rmsea","srmr","logl","chisq.scaled","df.scaled","chisq.scaling.factor","aic","bic","bic2","rmsea.ci.lower","rmsea.ci.upper","cfi.scaled","tli.scaled","cfi.robust","tli.robust","rmsea.scaled","rmsea.robust","baseline.chisq","baseline.df","rmsea.pvalue")
for (case in cases) {
  d <- own[[case$data]]; if (is.null(d)) d <- read.csv(file.path(here, paste0(case$data, ".csv")))
  options <- lapply(case$options, function(v) if (is.list(v)) unlist(v) else v)
  f <- do.call(case$call, c(list(model = paste(unlist(case$model), collapse = "\n"), data = d), options))
  p <- parameterEstimates(f, remove.nonfree = FALSE); s <- standardizedSolution(f)
  m <- fitMeasures(f); m <- m[intersect(keep, names(m))]
  mi <- tryCatch(modindices(f)[, c("lhs", "op", "rhs", "mi", "epc")], error = function(e) NULL)
  out[[case$name]] <- list(fit = as.list(m[!is.na(m)]), parameters = p[, c("lhs", "op", "rhs", "est", "se")],
    standardized = s[, c("lhs", "op", "rhs", "est.std", "se")], modification = mi)
}
writeLines(toJSON(out, digits = 9, auto_unbox = TRUE, na = "null", dataframe = "values"), file.path(here, "wide.json"))
