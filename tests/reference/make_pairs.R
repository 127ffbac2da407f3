# Writes pairs.csv: likelihood-ratio test of bivariate normality behind each pair of five items of lq2002.
# R 4.2.2, lavaan 0.6-14. Run: Rscript make_pairs.R HERE
suppressMessages(library(lavaan)); options(warn = -1); here <- commandArgs(TRUE)[1]
items <- c("LEAD01", "LEAD03", "LEAD07", "LEAD09", "LEAD11"); D <- read.csv(file.path(here, "lq2002.csv"))[, items]
t <- lavTables(D, categorical = items, dimension = 2L, type = "table", statistic = c("cor.un", "G2.un"), p.value = TRUE)
write.csv(as.data.frame(t), file.path(here, "pairs.csv"), row.names = FALSE)
