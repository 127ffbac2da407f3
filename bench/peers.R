# The peers' side of the benchmark: lavaan and psych at the same work, on the same data, in the same run.
# Rscript bench/peers.R time DATA_DIR [a b c d e f g]   prints task,label,median_s,cpu_s
# Rscript bench/peers.R expect DATA_DIR FILE             writes the values that our results are held against
suppressMessages({library(lavaan); library(psych)}); options(warn = -1)
args <- commandArgs(TRUE); mode <- args[1]; folder <- args[2]; rest <- args[-(1:2)]
csv <- function(name) read.csv(file.path(folder, name))
factors <- function(groups) paste(mapply(function(f, x) paste(f, "=~", paste(x, collapse = " + ")), names(groups), groups), collapse = "\n")
hs <- csv("lavaan_HolzingerSwineford1939.csv"); bfi <- csv("bfi25_complete.csv"); s40 <- csv("sim40_ord5_n2000.csv")
g4 <- csv("sim25_4g_n2000.csv"); gap <- csv("sim25_miss10_n2000.csv")
three <- factors(list(visual = paste0("x", 1:3), textual = paste0("x", 4:6), speed = paste0("x", 7:9)))
big5 <- factors(sapply(c("A", "C", "E", "N", "O"), function(f) paste0(f, 1:5), simplify = FALSE))
five <- factors(setNames(lapply(0:4, function(k) paste0("y", 5 * k + 1:5)), paste0("F", 1:5)))
ladder <- function() {a <- cfa(five, g4, group = "grp"); b <- cfa(five, g4, group = "grp", group.equal = "loadings")
  c <- cfa(five, g4, group = "grp", group.equal = c("loadings", "intercepts")); list(fits = list(a, b, c), test = lavTestLRT(a, b, c))}
parallel <- function() {capture.output(p <- fa.parallel(s40, n.iter = 100, plot = FALSE, fm = "minres")); p}
if (mode == "expect") {
  f <- cfa(three, hs); w <- cfa(big5, bfi, ordered = names(bfi)); l <- ladder(); m <- cfa(five, gap, missing = "fiml"); p <- parallel()
  out <- list(engine = "lavaan 0.6-14, psych 2.2.9",
    a = c(as.list(fitMeasures(f)[c("chisq", "cfi", "rmsea", "srmr", "logl")]), std = list(standardizedSolution(f)$est.std[1:9]), se = list(standardizedSolution(f)$se[1:9])),
    b = as.list(fitMeasures(w)[c("chisq", "chisq.scaled", "df", "cfi.scaled")]), c = list(rho = lav_matrix_vech(unclass(lavCor(s40, ordered = names(s40))), diagonal = FALSE)),
    d = {set.seed(1); list(se = apply(bootstrapLavaan(f, R = 1000), 2, sd))}, e = list(components = p$pc.values[1:8], factors = p$fa.values[1:8], ncomp = p$ncomp, nfact = p$nfact),
    f = list(chisq = sapply(l$fits, fitMeasures, "chisq"), diff = l$test$`Chisq diff`[2:3]), g = as.list(fitMeasures(m)[c("chisq", "logl", "cfi")]))
  jsonlite::write_json(out, rest[1], digits = 12, auto_unbox = TRUE); quit()}
measure <- function(task, label, work, reps, inner = 1) {if (length(rest) > 0 && !task %in% rest) return(invisible())
  runs <- replicate(reps, {start <- proc.time(); for (i in 1:inner) work(); (proc.time() - start)[1:5] / inner})  # child processes are counted too
  cat(sprintf("%s,%s,%.5f,%.5f\n", task, label, median(runs[3, ]), median(colSums(runs[-3, , drop = FALSE]))))}
measure("a", "lavaan", function() {f <- cfa(three, hs); fitMeasures(f); standardizedSolution(f)}, 7, 5)
measure("b", "lavaan", function() cfa(big5, bfi, ordered = names(bfi)), 3)
measure("c", "lavaan lavCor", function() lavCor(s40, ordered = names(s40)), 3)
measure("d", "lavaan", {f0 <- cfa(three, hs); function() bootstrapLavaan(f0, R = 1000)}, 1)
measure("e", "psych", parallel, 3)
measure("f", "lavaan", ladder, 3)
measure("g", "lavaan", function() cfa(five, gap, missing = "fiml"), 1)
