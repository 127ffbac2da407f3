# Writes moments.json, moments_mixed.csv and moments_zero_cell.csv: sample moments and their asymptotic covariance by lavaan 0.6-14 (R 4.2.2).
# Run: Rscript make_moments.R DATA_DIR OUT_DIR, where DATA_DIR holds the simulated sim40_ord5_n2000.csv.
suppressMessages({library(lavaan);library(jsonlite)}); options(warn=-1)
args <- commandArgs(TRUE); D <- args[1]
dat <- function(n) read.csv(file.path(D, paste0(n, ".csv")))
S40 <- dat("sim40_ord5_n2000"); out <- list()
keep <- function(name, f) {s <- f@SampleStats; out[[name]] <<- list(n = s@nobs[[1]], wls_obs = as.numeric(s@WLS.obs[[1]]), gamma = s@NACOV[[1]])}
set.seed(11); B <- S40[, 1:6]; names(B) <- c("A1","A2","A3","C1","C2","N1"); B$A1 <- as.integer(B$A1 > 2); B$C2 <- pmin(B$C2, 4)
for (v in names(B)) B[sample(nrow(B), 250), v] <- NA
B$w <- round(0.5 + (seq_len(nrow(B)) %% 7) / 6, 6); B$x <- round(rnorm(nrow(B)), 3); B$g <- as.integer(seq_len(nrow(B)) %% 3 == 0)
B$N1[!is.na(B$N1)] <- round(B$N1[!is.na(B$N1)] + rnorm(sum(!is.na(B$N1))), 3)
B <- B[1:900, ]; write.csv(B, file.path(args[2], "moments_mixed.csv"), row.names = FALSE, na = "")
o <- c("A1","A2","A3","C1","C2")
keep("pairwise", cfa("f =~ A1 + A2 + A3 + C1 + C2", B, ordered = o, missing = "pairwise"))
keep("listwise", cfa("f =~ A1 + A2 + A3 + C1 + C2", B, ordered = o))
keep("weights", cfa("f =~ A1 + A2 + A3 + C1 + C2", B, ordered = o, sampling.weights = "w"))
keep("mixed_listwise", cfa("f =~ A1 + A2 + N1 + C1 + C2", B, ordered = o))
keep("mixed_pairwise", cfa("f =~ A1 + A2 + N1 + C1 + C2", B, ordered = o, missing = "pairwise"))
L <- na.omit(B)
keep("covariates", sem("f =~ A1 + A2 + N1 + C1 + C2\nf ~ x + g", L, ordered = o))
keep("covariates_weights", sem("f =~ A1 + A2 + N1 + C1 + C2\nf ~ x + g", L, ordered = o, sampling.weights = "w"))
keep("two_continuous", sem("f =~ A1 + A2 + N1 + x + C2", B, ordered = o[-3], missing = "pairwise"))
Z <- data.frame(a = rep(c(1,1,2,2), c(30,0,12,40)), b = rep(c(1,2,1,2), c(30,0,12,40)), c = rep(1:3, length.out = 82), d = rep(c(1,2,2,1,1,2), length.out = 82))
write.csv(Z, file.path(args[2], "moments_zero_cell.csv"), row.names = FALSE)
keep("zero_cell", cfa("f =~ a + b + c + d", Z, ordered = names(Z), do.fit = FALSE))
l <- parameterEstimates(lavCor(B[, o], ordered = o, missing = "pairwise", se = "standard", output = "fit")); l <- l[l$op == "~~" & l$lhs != l$rhs, c("lhs","rhs","est","se")]; out$lavcor_pairwise <- l
writeLines(toJSON(out, digits = 12, auto_unbox = TRUE, matrix = "rowmajor"), file.path(args[2], "moments.json"))
