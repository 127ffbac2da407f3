"""Random intercepts and slopes by restricted maximum likelihood, with Satterthwaite degrees of freedom.

The profiled criterion of Bates, Mächler, Bolker & Walker (2015, section 3.4) in the relative
Cholesky factor Λ of the random effects' covariance. Only the clusters' cross-products enter it,
so a fit costs milliseconds; the degrees of freedom take the observed information of the variance
parameters in closed form (Fai & Cornelius, 1996; Kuznetsova, Brockhoff & Christensen, 2017).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import optimize

from cocoanalysis.propositions.vcov import cluster_grams


class Mixed(NamedTuple):
    """Fixed effects (p,), their covariance and df, covariance of the random effects (q, q), residual variance."""

    estimates: np.ndarray
    covariance: np.ndarray
    df: np.ndarray
    random: np.ndarray
    residual: float
    loglik: float
    converged: bool
    singular: bool


class _Products(NamedTuple):
    """Cross-products in each cluster of Z (q columns) and of [Q e] (p + 1), and the total of the latter."""

    zz: np.ndarray
    zx: np.ndarray
    total: np.ndarray
    n: int
    p: int


def fit_mixed(outcome: np.ndarray, regressors: np.ndarray, random: np.ndarray, codes: np.ndarray) -> Mixed:
    """REML fit of outcome = Xβ + Zb + e with b ~ N(0, Ψ) a cluster.

    Parameters
    ----------
    outcome : (n,); regressors : (n, p); random : (n, q), the columns of Z; codes : (n,) cluster 0…G − 1
    """
    scale = np.sqrt((random**2).mean(axis=0))
    basis, upper = np.linalg.qr(regressors)
    first = basis.T @ outcome
    residual = outcome - basis @ first
    spread = float(np.sqrt(residual @ residual / len(outcome)))
    products = _products(np.c_[basis, residual / spread], random / scale, codes)
    best, converged = _minimise(products, random.shape[1])
    factor = _lower(best, random.shape[1])
    ours = _solve(products, factor)
    sigma2 = ours.square / (products.n - products.p) * spread**2
    inverse = np.linalg.inv(upper)
    psi = (factor @ factor.T) * sigma2 / np.outer(scale, scale)
    estimates = inverse @ (first + ours.beta * spread)
    constant = -np.log(np.abs(np.diag(upper))).sum() - (products.n - products.p) * np.log(spread)
    singular = bool(np.linalg.eigvalsh(factor @ factor.T).min() < 1e-8)
    cov = sigma2 * inverse @ np.linalg.inv(ours.information) @ inverse.T
    df = _satterthwaite(outcome - regressors @ estimates, regressors, random, codes, psi, sigma2)
    return Mixed(estimates, cov, df, psi, sigma2, -ours.deviance / 2 + constant, converged, singular)


def _products(columns: np.ndarray, random: np.ndarray, codes: np.ndarray) -> _Products:
    q = random.shape[1]
    grams = cluster_grams(np.c_[random, columns], codes)
    return _Products(grams[:, :q, :q], grams[:, :q, q:], columns.T @ columns, len(codes), columns.shape[1] - 1)


class _Solved(NamedTuple):
    deviance: float
    gradient: np.ndarray
    beta: np.ndarray
    square: float
    information: np.ndarray


def _lower(theta: np.ndarray, q: int) -> np.ndarray:
    factor = np.zeros((q, q))
    factor[np.tril_indices(q)] = theta
    return factor


def _solve(products: _Products, factor: np.ndarray) -> _Solved:
    """Profiled REML deviance at Λ, its gradient in the lower triangle of Λ, and β, residual square, XᵀV⁻¹X there."""
    q, p, rest = factor.shape[0], products.p, products.n - products.p
    inner = factor.T @ products.zz @ factor + np.eye(q)
    crossed = factor.T @ products.zx
    inverse = np.linalg.inv(inner)
    shrunk = inverse @ crossed
    moments = products.total - np.einsum("jqa,jqb->ab", crossed, shrunk)
    xx_inverse = np.linalg.inv(moments[:p, :p])
    beta = xx_inverse @ moments[:p, p]
    square = float(moments[p, p] - moments[:p, p] @ beta)
    deviance = np.linalg.slogdet(inner)[1].sum() + np.linalg.slogdet(moments[:p, :p])[1]
    deviance += rest * (1 + np.log(2 * np.pi * square / rest))
    contrast = np.r_[-beta, 1.0]
    gradient = []
    for row, column in zip(*np.tril_indices(q)):
        change = np.zeros((q, q))
        change[row, column] = 1.0
        inner_change = change.T @ products.zz @ factor
        inner_change = inner_change + inner_change.transpose(0, 2, 1)
        half = np.einsum("jqa,jqb->ab", change.T @ products.zx, shrunk)
        moved = -(half + half.T) + np.einsum("jqa,jqr,jrb->ab", shrunk, inner_change, shrunk)
        gradient.append(
            np.einsum("jab,jba->", inverse, inner_change)
            + np.einsum("ab,ba->", xx_inverse, moved[:p, :p])
            + rest * float(contrast @ moved @ contrast) / square
        )
    return _Solved(float(deviance), np.array(gradient), beta, square, moments[:p, :p])


def _minimise(products: _Products, q: int) -> tuple[np.ndarray, bool]:
    """The best Λ from two starts; its diagonal is held non-negative, so a variance of zero is a proper solution."""
    rows, columns = np.tril_indices(q)
    bounds = [(0.0, None) if i == j else (None, None) for i, j in zip(rows, columns)]

    def criterion(theta: np.ndarray) -> tuple[float, np.ndarray]:
        solved = _solve(products, _lower(theta, q))
        return solved.deviance, solved.gradient

    fits = [
        optimize.minimize(
            criterion, np.where(rows == columns, size, 0.0), jac=True, method="L-BFGS-B", bounds=bounds,
            options={"ftol": 1e-15, "gtol": 1e-9, "maxiter": 500},
        )
        for size in (1.0, 0.2)
    ]  # fmt: skip
    best = min(fits, key=lambda fit: fit.fun)
    gradient = np.where((best.x <= 0) & (rows == columns), np.minimum(best.jac, 0), best.jac)
    return best.x, bool(np.abs(gradient).max() < 1e-4 * max(1.0, abs(best.fun)))


class _Curvature(NamedTuple):
    """Of the REML criterion in φ = (Ψ by its lower triangle, σ²): score and observed information, both of the
    log-likelihood's negative, and each coefficient's variance with its gradient in φ."""

    score: np.ndarray
    information: np.ndarray
    variance: np.ndarray
    slopes: np.ndarray


def _satterthwaite(
    residual: np.ndarray, regressors: np.ndarray, random: np.ndarray, codes: np.ndarray, psi: np.ndarray, sigma2: float
) -> np.ndarray:
    """2 v²/(gᵀ A g) for each coefficient: v its variance, g the gradient of v in the parameters, A the inverse of
    their observed information. The parameters are a Cholesky factor of Ψ and σ², so that a variance of zero (or a
    correlation of one) is held where it is, as lmerTest does."""
    found = _curvature(residual, regressors, random, codes, psi, sigma2)
    jacobian, bend = _cholesky_chain(psi, found.score)
    information = jacobian.T @ found.information @ jacobian + bend
    slopes = jacobian.T @ found.slopes
    return 2 * found.variance**2 / np.einsum("ak,ab,bk->k", slopes, np.linalg.inv(information), slopes)


def _cholesky_chain(psi: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """dφ/dθ for θ = (lower triangle L with Ψ = LLᵀ, σ²), and the score's part of the second derivative."""
    q = psi.shape[0]
    factor = _semidefinite_cholesky(psi)
    cells = [(i, j) for i in range(q) for j in range(i + 1) if factor[j, j] > 0]
    lower = np.tril_indices(q)
    units = []
    for i, j in cells:
        unit = np.zeros((q, q))
        unit[i, j] = 1.0
        units.append(unit)
    jacobian = np.zeros((len(score), len(cells) + 1))
    bend = np.zeros((len(cells) + 1, len(cells) + 1))
    jacobian[-1, -1] = 1.0
    for a, unit in enumerate(units):
        jacobian[:-1, a] = (unit @ factor.T + factor @ unit.T)[lower]
        for b, other in enumerate(units):
            bend[a, b] = score[:-1] @ (unit @ other.T + other @ unit.T)[lower]
    return jacobian, bend


def _semidefinite_cholesky(psi: np.ndarray, tolerance: float = 1e-6) -> np.ndarray:
    """L with LLᵀ = Ψ; a pivot that is zero beside its variance makes a zero column."""
    rest, factor = psi.copy(), np.zeros_like(psi)
    for j in range(len(psi)):
        if rest[j, j] > tolerance * max(psi[j, j], 1e-300):
            factor[j:, j] = rest[j:, j] / np.sqrt(rest[j, j])
            rest -= np.outer(factor[:, j], factor[:, j])
    return factor


def _curvature(
    residual: np.ndarray, regressors: np.ndarray, random: np.ndarray, codes: np.ndarray, psi: np.ndarray, sigma2: float
) -> _Curvature:
    """One pass over the clusters; V is linear in φ, so only products of V⁻¹ with its directions occur."""
    pairs = [(k, l) for k in range(random.shape[1]) for l in range(k + 1)]
    basis, upper = np.linalg.qr(regressors)
    inverse = np.linalg.inv(upper)
    size, p = len(pairs) + 1, regressors.shape[1]
    trace, square = np.zeros(size), np.zeros(size)
    traces, quad = np.zeros((size, size)), np.zeros((size, size))
    information, first = np.zeros((p, p)), np.zeros((size, p, p))
    second, pull = np.zeros((size, size, p, p)), np.zeros((size, p))
    for group in range(codes.max() + 1):
        rows = codes == group
        x, z, e = basis[rows], random[rows], residual[rows]
        precise = np.linalg.inv(z @ psi @ z.T + sigma2 * np.eye(len(e)))
        directions = [_direction(z, k, l) for k, l in pairs] + [np.eye(len(e))]
        px, pe = precise @ x, precise @ e
        moved, ends = [d @ px for d in directions], [d @ pe for d in directions]
        kernels = [precise @ d for d in directions]
        information += x.T @ px
        for a in range(size):
            trace[a] += np.trace(kernels[a])
            square[a] += pe @ ends[a]
            first[a] += px.T @ moved[a]
            pull[a] += px.T @ ends[a]
            for b in range(size):
                traces[a, b] += np.sum(kernels[a] * kernels[b].T)
                second[a, b] += moved[a].T @ precise @ moved[b]
                quad[a, b] += ends[a] @ precise @ ends[b]
    cov = np.linalg.inv(information)
    reach = inverse @ cov
    return _Curvature(
        0.5 * (trace - np.einsum("ab,sab->s", cov, first) - square),
        quad - pull @ cov @ pull.T - 0.5 * (traces - 2 * np.einsum("ab,stab->st", cov, second) + _pairs(cov @ first)),
        np.einsum("ka,ab,kb->k", inverse, cov, inverse),
        np.einsum("ka,sab,kb->sk", reach, first, reach),
    )


def _pairs(parts: np.ndarray) -> np.ndarray:
    """tr(AₛAₜ) for every two of the matrices."""
    return np.einsum("sab,tba->st", parts, parts)


def _direction(z: np.ndarray, k: int, l: int) -> np.ndarray:
    """Derivative of ZΨZᵀ in the element (k, l) of Ψ."""
    outer = np.outer(z[:, k], z[:, l])
    return outer if k == l else outer + outer.T
