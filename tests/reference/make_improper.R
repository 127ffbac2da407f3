# Writes improper.json from improper.csv (synthetic: 25 clusters of 8, one factor a level): log-likelihoods of two
# nested two-level models that fit better than the unrestricted one, for which lavaan reports a chi-square of 0.
# R 4.2.2 with lavaan 0.6-14. Run in tests/reference.
suppressMessages({library(lavaan); library(jsonlite)})
d <- read.csv("improper.csv")
wide <- "level: 1\nfw =~ 1*y1 + 1*y2 + 1*y3\nlevel: 2\nfb =~ 1*y1 + 1*y2 + 1*y3"
narrow <- paste0(wide, "\ny1 ~~ v*y1\ny2 ~~ v*y2\ny3 ~~ v*y3")
fits <- lapply(list(wide = wide, narrow = narrow), function(m) suppressWarnings(sem(m, d, cluster = "id")))
told <- function(f, m) list(model = m, loglik = as.numeric(logLik(f)), chi2 = fitMeasures(f)[["chisq"]],
                            unrestricted = fitMeasures(f)[["unrestricted.logl"]])
out <- list(wide = told(fits$wide, wide), narrow = told(fits$narrow, narrow))
writeLines(toJSON(out, digits = 10, auto_unbox = TRUE, pretty = TRUE), "improper.json")
