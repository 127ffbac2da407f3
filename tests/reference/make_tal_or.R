# Writes tal_or.json: the presumed-media-influence data of Tal-Or et al. (2010) as psych ships them (GPL-2 or later),
# and what psych 2.2.9 says. R 4.2.2. The published values are those of Hayes (2013), chapter 4.
suppressMessages({library(psych); library(jsonlite)})
fit <- mediate(reaction ~ cond + (pmi), data = Tal_Or, n.iter = 500, plot = FALSE)
out <- list(engine = paste(R.version.string, "psych", packageVersion("psych")), call = "mediate(reaction ~ cond + (pmi), Tal_Or)",
  values = list(a = fit$a, b = fit$b, ab = fit$ab, direct = fit$direct, total = fit$total), data = Tal_Or)
writeLines(toJSON(out, digits = 12, auto_unbox = TRUE), "tal_or.json")
