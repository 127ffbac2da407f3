# Writes exploration.json: exploratory factor analysis, retention, reliability of bfi25_complete.csv, Thurstone, Harman74, HS1939.
# R 4.2.2, psych 2.2.9, semTools 0.5-6, lavaan 0.6-14, GPArotation 2022.10-2, multilevel 2.7-1. Run in tests/reference: Rscript exploration.R
suppressMessages({library(psych); library(lavaan); library(semTools); library(GPArotation); library(jsonlite)})
bfi <- read.csv("bfi25_complete.csv"); R <- cor(bfi); n <- nrow(bfi); hs <- HolzingerSwineford1939
out <- list(); m <- function(x) unclass(unname(as.matrix(x)))
k <- KMO(R); b <- cortest.bartlett(R, n); v <- VSS(R, n = 8, n.obs = n, plot = FALSE, rotate = "none")
out$bfi <- list(kmo = k$MSA, msa = unname(k$MSAi), bartlett = b$chisq, map = v$map)
set.seed(3); pa <- fa.parallel(bfi, fm = "minres", fa = "both", n.iter = 400, plot = FALSE, quant = .95)
out$parallel <- list(nfact = pa$nfact, ncomp = pa$ncomp, fa_values = pa$fa.values, pc_values = pa$pc.values, fa_sim = pa$fa.sim, pc_sim = pa$pc.sim)
fits <- function(f) list(objective = f$objective, chi2 = f$STATISTIC, rmsea = unname(f$RMSEA[1:3]), tli = f$TLI, bic = f$BIC, srmr = f$rms, df = f$dof)
for (fm in c("minres", "ml", "wls")) {f <- fa(R, 5, n.obs = n, fm = fm, rotate = "none"); out$efa[[fm]] <- c(list(loadings = m(f$loadings)), fits(f))}
for (fm in c("minres", "ml")) {f <- fa(Harman74.cor$cov, 4, n.obs = 145, fm = fm, rotate = "none"); out$harman[[fm]] <- c(list(loadings = m(f$loadings)), fits(f))}
f <- fa(Harman74.cor$cov, 4, n.obs = 145, fm = "pa", rotate = "none", min.err = 1e-9, max.iter = 5000); out$harman$pa <- list(loadings = m(f$loadings))
out$harman$matrix <- m(Harman74.cor$cov); out$harman$names <- colnames(Harman74.cor$cov)
f <- fa(bfi, 5, rotate = "oblimin", fm = "minres"); for (s in c("Thurstone", "Bartlett", "tenBerge")) {w <- factor.scores(bfi, f, method = s); out$scores[[s]] <- list(weights = m(w$weights), first = m(w$scores[1:5, ]))}
pc <- suppressMessages(polychoric(bfi, correct = 0, progress = FALSE))$rho; g <- fa(pc, 5, n.obs = n, rotate = "oblimin", fm = "minres"); out$polychoric <- list(loadings = m(g$loadings), phi = m(g$Phi))
out$scores$loadings <- m(f$loadings); out$scores$phi <- m(f$Phi); out$scores$R2 <- unname(f$R2)
desc <- psych::describe(hs[, 7:15]); out$describe <- list(skew = desc$skew, kurtosis = desc$kurtosis)
a <- psych::alpha(bfi[, 1:5], warnings = FALSE); out$alpha <- list(alpha = a$total$raw_alpha, dropped = a$alpha.drop$raw_alpha, rest = a$item.stats$r.drop)
a <- psych::alpha(bfi[, 16:20]); out$alpha_n <- list(alpha = a$total$raw_alpha, lower = a$feldt$lower.ci[[1]], upper = a$feldt$upper.ci[[1]], g6 = a$total$`G6(smc)`)
key <- bfi; for (i in c("A1", "C4", "C5", "E1", "E2", "O2", "O5")) key[[i]] <- 7 - key[[i]]
om <- function(x, k, ...) {o <- omega(x, k, plot = FALSE, ...); list(h = o$omega_h, lim = o$omega.lim, total = o$omega.tot, alpha = o$alpha, g6 = o$G6, schmid = m(o$schmid$sl), group = m(o$omega.group), key = o$key, ecv = unname(o$ECV))}
out$omega <- list(bfi = om(key, 5), hs = om(hs[, 7:15], 3), hs_ml = om(hs[, 7:15], 3, fm = "ml"), thurstone = om(Thurstone, 3, n.obs = 213), n_one = om(key[, 16:20], 1)$total)
out$thurstone <- m(Thurstone)
s <- splitHalf(Thurstone); out$split <- list(max = s$maxrb, min = s$minrb, mean = s$meanr, l2 = s$lambda2)
s <- splitHalf(hs[, 7:14]); out$split_even <- list(max = s$maxrb, min = s$minrb, mean = s$meanr)
hs3 <- "visual=~x1+x2+x3\ntextual=~x4+x5+x6\nspeed=~x7+x8+x9"; f <- cfa(hs3, hs)
out$hs <- list(omega = as.list(compRelSEM(f)), omega_implied = as.list(compRelSEM(f, obs.var = FALSE)), ave = as.list(AVE(f)), htmt = m(htmt(hs3, hs, htmt2 = FALSE)), htmt2 = m(htmt(hs3, hs)))
five <- c(A = 1, C = 6, E = 11, N = 16, O = 21)
single <- function(d, items, ...) cfa(paste("f=~", paste(items, collapse = "+")), d, ...)
for (s in names(five)) {items <- names(key)[five[s] + 0:4]; f <- single(key, items, information = "expected"); o <- compRelSEM(f)
  d <- paste0("f=~", paste0("l", 1:5, "*", items, collapse = "+"), "\n", paste0(items, "~~e", 1:5, "*", items, collapse = "\n"), "\nomega:=(l1+l2+l3+l4+l5)^2/((l1+l2+l3+l4+l5)^2+e1+e2+e3+e4+e5)")
  e <- parameterEstimates(cfa(d, key, std.lv = TRUE)); e <- e[e$op == ":=", ]
  g <- single(key, items, ordered = items)
  out$one_factor[[s]] <- list(observed = unname(o), implied = unname(compRelSEM(f, obs.var = FALSE)), est = e$est, se = e$se, ave = unname(AVE(f)),
    ordinal = unname(compRelSEM(g, ord.scale = TRUE)), ordinal_implied = unname(compRelSEM(g, ord.scale = TRUE, obs.var = FALSE)), latent = unname(compRelSEM(g, ord.scale = FALSE)))}
five_model <- paste(sapply(names(five), function(s) paste0(s, "=~", paste0(s, 1:5, collapse = "+"))), collapse = "\n")
f <- cfa(five_model, key); g <- cfa(five_model, key, ordered = names(key))
out$composites <- list(omega = as.list(compRelSEM(f, obs.var = FALSE)), ave = as.list(AVE(f)), standardized = standardizedSolution(f)$est.std,
  ordinal = as.list(compRelSEM(g, ord.scale = TRUE, obs.var = FALSE)), latent = as.list(compRelSEM(g, ord.scale = FALSE, obs.var = FALSE)), ordinal_ave = as.list(AVE(g)), phi = m(lavInspect(f, "cor.lv")))
turned <- key; for (i in paste0("N", 1:5)) turned[[i]] <- 7 - turned[[i]]
b <- cfa(paste0("g=~", paste(names(turned)[1:20], collapse = "+"), "\n", sub("\nO=~.*", "", five_model)), turned, std.lv = TRUE, orthogonal = TRUE)
l <- lavInspect(b, "std")$lambda; s <- lavInspect(b, "implied")$cov
out$bifactor <- list(omega_h = compRelSEM(b, obs.var = FALSE)[["g"]], omega_total = 1 - sum(lavInspect(b, "est")$theta) / sum(s), ecv = sum(l[, 1]^2) / sum(l^2))
miss <- key; set.seed(1); for (i in paste0("N", 1:5)) miss[[i]][sample(nrow(key), 300)] <- NA; write.csv(miss[1:600, paste0("N", 1:5)], "neuroticism_missing.csv", row.names = FALSE, na = "")
d <- paste0("f=~", paste0("l", 1:5, "*N", 1:5, collapse = "+"), "\n", paste0("N", 1:5, "~~e", 1:5, "*N", 1:5, collapse = "\n"), "\nomega:=(l1+l2+l3+l4+l5)^2/((l1+l2+l3+l4+l5)^2+e1+e2+e3+e4+e5)")
e <- parameterEstimates(cfa(d, read.csv("neuroticism_missing.csv"), std.lv = TRUE, missing = "fiml")); e <- e[e$op == ":=", ]; out$fiml <- list(est = e$est, se = e$se)
out$alpha_missing <- psych::alpha(read.csv("neuroticism_missing.csv"))$total$raw_alpha
a <- factanal(factors = 2, covmat = ability.cov, rotation = "none"); a$loadings <- varimax(a$loadings, eps = 1e-15)$loadings; out$ability <- list(cov = m(ability.cov$cov), n = ability.cov$n.obs, loadings = m(a$loadings), uniquenesses = unname(a$uniquenesses))
A <- as.matrix(read.csv("efa_minres_none.csv", row.names = 1)); attr(A, "dimnames") <- NULL; gp <- list(eps = 1e-8, maxit = 5000)
wanted <- matrix(0, 25, 5); for (k in 1:5) wanted[5 * (k - 1) + 1:5, k] <- NA; wanted <- wanted[, c(4, 3, 1, 2, 5)]
equamax <- GPForth(A, method = "cf", methodArgs = list(kappa = 5 / 50), normalize = TRUE, eps = 1e-8, maxit = 5000)
target <- GPFoblq(A, method = "target", methodArgs = list(Target = wanted), eps = 1e-8, maxit = 5000)
start <- GPFoblq(A, method = "oblimin", methodArgs = list(gam = 0), eps = 1e-8, maxit = 5000); geomin <- GPForth(A, method = "geomin", methodArgs = list(delta = .01), eps = 1e-8, maxit = 5000)
out$gpa <- list(wanted = wanted, equamax = m(equamax$loadings), target = list(loadings = m(target$loadings), phi = m(target$Phi), value = min(target$Table[, 2])), geomin_orthogonal = list(loadings = m(geomin$loadings), value = min(geomin$Table[, 2])))
writeLines(toJSON(out, digits = 12, auto_unbox = TRUE, null = "null", na = "null"), "exploration.json")
