# Writes rotations.json: rotations of the same unrotated loadings (efa_minres_none.csv, efa_ml_none.csv), iterated to a gradient of 1e-8,
# so that the criterion decides and not the stopping rule. R 4.2.2, GPArotation 2022.10-2, stats. Run in tests/reference.
suppressMessages({library(GPArotation); library(jsonlite)})
out <- list()
pack <- function(L, Phi = NULL) list(loadings = unclass(unname(L)), phi = if (is.null(Phi)) NULL else unclass(unname(Phi)))
promax_kaiser <- function(A, m = 4) {           # Kaiser-normalised varimax, then the power target on normalised rows, as psych's fa(rotate = "promax")
  h <- sqrt(rowSums(A^2)); x <- stats::varimax(A / h, normalize = FALSE, eps = 1e-15)$loadings; x <- unclass(x)
  Q <- x * abs(x)^(m - 1); U <- lm.fit(x, Q)$coefficients; U <- U %*% diag(sqrt(diag(solve(t(U) %*% U))))
  ui <- solve(U); list(L = (x %*% U) * h, Phi = ui %*% t(ui)) }
for (fm in c("minres", "ml")) {
  A <- as.matrix(read.csv(paste0("efa_", fm, "_none.csv"), row.names = 1)); attr(A, "dimnames") <- NULL; e <- 1e-8; it <- 3000
  r <- list(varimax = pack(unclass(stats::varimax(A, normalize = TRUE, eps = 1e-15)$loadings)))
  for (k in c("quartimax")) {g <- quartimax(A, normalize = TRUE, eps = e, maxit = it); r[[k]] <- pack(g$loadings)}
  g <- GPForth(A, method = "varimax", normalize = FALSE, eps = e, maxit = it); r$varimax_raw <- pack(g$loadings)
  for (k in list(c("oblimin", 0), c("oblimin", -0.5))) {g <- oblimin(A, gam = as.numeric(k[2]), normalize = FALSE, eps = e, maxit = it); r[[paste0("oblimin_gamma_", k[2])]] <- pack(g$loadings, g$Phi)}
  g <- oblimin(A, gam = 0, normalize = TRUE, eps = e, maxit = it); r$oblimin_kaiser <- pack(g$loadings, g$Phi)
  g <- quartimin(A, normalize = FALSE, eps = e, maxit = it); r$quartimin <- pack(g$loadings, g$Phi)
  g <- geominQ(A, delta = .01, normalize = FALSE, eps = e, maxit = it); r$geomin_oblique_0.01 <- pack(g$loadings, g$Phi)
  g <- cfQ(A, kappa = 1 / nrow(A), normalize = FALSE, eps = e, maxit = it); r$crawford_ferguson_oblique_1_over_p <- pack(g$loadings, g$Phi)
  g <- bifactorQ(A, normalize = FALSE, eps = e, maxit = it); r$bifactor_oblique <- pack(g$loadings, g$Phi)
  p <- promax_kaiser(A); r$promax_kaiser_m4 <- pack(p$L, p$Phi)
  out[[fm]] <- r
}
writeLines(toJSON(out, digits = 12, null = "null"), "rotations.json")
