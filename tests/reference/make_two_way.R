# Writes two_way.json from lq2002.csv: CR2 of two crossed dimensions of clusters, by inclusion and exclusion of three
# clubSandwich covariances (the third over the intersections, which are mostly single rows).
# R 4.2.2 with clubSandwich 0.5.8. Run in tests/reference.
suppressMessages({library(clubSandwich); library(jsonlite)})
d <- read.csv("lq2002.csv")
d$second <- (seq_len(nrow(d)) - 1) %% 31
fit <- lm(HOSTILE ~ LEAD + TSIG + GLEAD, d)
both <- interaction(d$COMPID, d$second, drop = TRUE)
V <- function(cluster) as.matrix(vcovCR(fit, cluster = cluster, type = "CR2"))
df <- function(cluster) coef_test(fit, vcov = "CR2", cluster = cluster, test = "Satterthwaite")$df_Satt
total <- V(d$COMPID) + V(d$second) - V(both)
out <- list(term = names(coef(fit)), est = unname(coef(fit)), se = unname(sqrt(diag(total))),
            df_first = df(d$COMPID), df_second = df(d$second), clusters = nlevels(both))
writeLines(toJSON(out, digits = 12, auto_unbox = TRUE, pretty = TRUE), "two_way.json")
