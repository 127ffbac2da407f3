# FIML with a gap in a covariate that is modelled (fixed.x = FALSE): lavaan keeps those rows.
suppressMessages(library(lavaan))
here <- "tests/reference"
d <- read.csv(file.path(here, "lavaan_HolzingerSwineford1939.csv"))
d$ageyr[seq(5, nrow(d), 7)] <- NA
d$x2[seq(3, nrow(d), 11)] <- NA
f <- sem("visual =~ x1 + x2 + x3\nspeed =~ x7 + x8 + x9\nspeed ~ visual + ageyr", d,
         missing = "fiml", estimator = "MLR", fixed.x = FALSE)
p <- parameterEstimates(f)
p <- p[p$op == "~", c("lhs", "op", "rhs", "est", "se")]
m <- fitMeasures(f, c("chisq", "df", "chisq.scaled", "logl"))
fmt <- function(x) formatC(x, digits = 10, format = "fg", flag = "#")
cat(sprintf('{"n": %d, "chi2": %s, "df": %d, "chi2_scaled": %s, "loglik": %s, "slopes": [[%s, %s], [%s, %s]]}\n',
  nobs(f), fmt(m[1]), as.integer(m[2]), fmt(m[3]), fmt(m[4]), fmt(p$est[1]), fmt(p$se[1]), fmt(p$est[2]), fmt(p$se[2])),
  file = file.path(here, "fixed_x_missing.json"))
