# Writes doubly_latent.json: hostility on leadership on both levels of surveys/unit-climate/responses.csv, with the
# residual variances between companies of lead7, lead9 and host4 fixed at 0. R 4.2.2, lavaan 0.6-14. Run in tests/reference.
suppressMessages({library(lavaan); library(jsonlite)})
d <- read.csv("../../surveys/unit-climate/responses.csv")
f <- paste0("leadership =~ ", paste0("lead", 1:11, collapse = " + "), "\nhostility =~ ", paste0("host", 1:5, collapse = " + "), "\nhostility ~ leadership\n")
m <- paste0("level: 1\n", f, "level: 2\n", f, "lead7 ~~ 0*lead7\nlead9 ~~ 0*lead9\nhost4 ~~ 0*host4\n")
fit <- sem(m, d, cluster = "company")
s <- standardizedSolution(fit, se = FALSE); p <- parameterEstimates(fit)
pick <- function(t) t[t$op == "~", ]
out <- list(engine = paste("lavaan", packageVersion("lavaan")), std = pick(s)$est.std, est = pick(p)$est, se = pick(p)$se, logl = as.numeric(logLik(fit)), cfi = unname(fitMeasures(fit, "cfi")))
writeLines(toJSON(out, digits = 12, auto_unbox = TRUE), "doubly_latent.json")
