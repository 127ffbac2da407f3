# Writes little.json: Little's (1988) MCAR statistic, with the normal moments of lavaan's EM algorithm (not of this package).
# R 4.2.2 with lavaan 0.6-14. Run in tests/reference. airquality is of R's datasets package (GPL-2), bfi of psych (GPL-2+).
suppressMessages({library(lavaan); library(jsonlite)})
little <- function(d) {
  y <- as.matrix(d); names <- colnames(y)
  fit <- lavaan(paste(c(apply(combn(names, 2), 2, paste, collapse = " ~~ "), paste(names, "~~", names), paste(names, "~ 1")), collapse = "\n"),
                data = d, missing = "fiml", em.h1.iter.max = 5000, em.h1.tol = 1e-10)
  m <- lavInspect(fit, "sampstat.h1"); mu <- as.numeric(m$mean[names]); S <- unclass(m$cov)[names, names]
  seen <- !is.na(y); key <- apply(seen, 1, paste, collapse = ""); key[rowSums(seen) == 0] <- NA
  d2 <- 0; df <- -ncol(y); k <- 0
  for (p in unique(na.omit(key))) {
    rows <- which(key == p); o <- seen[rows[1], ]; z <- colMeans(y[rows, o, drop = FALSE]) - mu[o]
    d2 <- d2 + length(rows) * as.numeric(t(z) %*% solve(S[o, o, drop = FALSE]) %*% z); df <- df + sum(o); k <- k + 1 }
  list(statistic = d2, df = df, p = pchisq(d2, df, lower.tail = FALSE), patterns = k, mean = mu, cov = S) }
data(bfi, package = "psych"); b <- bfi[, c("A1", "A2", "A3", "C1", "C2", "E1")]
write.csv(airquality, "airquality.csv", row.names = FALSE, na = ""); write.csv(b, "bfi6_missing.csv", row.names = FALSE, na = "")
writeLines(toJSON(list(airquality = little(airquality), bfi6 = little(b)), digits = 12, auto_unbox = TRUE, pretty = TRUE), "little.json")
