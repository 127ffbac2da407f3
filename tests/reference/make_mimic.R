# Writes mimic.json from lavaan_HolzingerSwineford1939.csv: school as a covariate of three factors, with and without direct
# effects on the items that sum to 0 within a factor. R 4.2.2 with lavaan 0.6-14. Run in tests/reference.
suppressMessages({library(lavaan); library(jsonlite)})
d <- read.csv("lavaan_HolzingerSwineford1939.csv")
sizes <- sort(table(d$school), decreasing = TRUE); d$group1 <- as.numeric(d$school == names(sizes)[2])
base <- "visual =~ x1 + x2 + x3\n textual =~ x4 + x5 + x6\n speed =~ x7 + x8 + x9\n visual ~ group1\n textual ~ group1\n speed ~ group1\n"
direct <- paste0("x", 1:9, " ~ d", 1:9, "*group1", collapse = "\n")
sums <- "\nd1 + d2 + d3 == 0\nd4 + d5 + d6 == 0\nd7 + d8 + d9 == 0"
none <- sem(base, d, estimator = "MLR"); free <- sem(paste0(base, direct, sums), d, estimator = "MLR")
p <- parameterEstimates(free); p <- p[p$op == "~" & p$lhs %in% paste0("x", 1:9), ]
test <- lavTestLRT(free, none)
out <- list(reference = names(sizes)[1], n = sum(d$group1), item = p$lhs, effect = p$est, se = p$se, z = p$z,
            holm = p.adjust(p$pvalue, "holm"), sd = unname(sapply(d[p$lhs], sd)),
            chi2 = unname(fitMeasures(none, "chisq")), df = unname(fitMeasures(none, "df")),
            delta_chi2 = test[2, "Chisq diff"], delta_df = test[2, "Df diff"], p_value = test[2, "Pr(>Chisq)"],
            cfi_robust = unname(c(fitMeasures(free, "cfi.robust"), fitMeasures(none, "cfi.robust"))))
writeLines(toJSON(out, digits = 10, auto_unbox = TRUE, pretty = TRUE), "mimic.json")
