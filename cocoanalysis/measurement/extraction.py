"""Factor extraction: from a correlation matrix to unrotated loadings.

To add a method, write a function from a correlation matrix and a number of factors to an
`Extraction` and put @extraction above it. Nothing else needs to change; the tests find it
in EXTRACTIONS.

Minres, ML and WLS minimise over the uniquenesses with exact first and second derivatives;
uniquenesses stay between 0.005 and 1 as in R's factanal and psych. A uniqueness at the
lower bound is a Heywood case and is named, not hidden.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

LOWEST = 0.005  # smallest uniqueness, as in factanal and psych
GRADIENT = 1e-9
STEPS = 200


class Extraction(NamedTuple):
    """Unrotated loadings (p × m), uniquenesses (p), and how the search ended."""

    loadings: np.ndarray
    uniquenesses: np.ndarray
    converged: bool
    iterations: int


Extractor = Callable[[np.ndarray, int], Extraction]
Objective = Callable[[np.ndarray], tuple[float, np.ndarray, np.ndarray]]
EXTRACTIONS: dict[str, Extractor] = {}
SOURCES: dict[str, str] = {}


def extraction(*, source: str) -> Callable[[Extractor], Extractor]:
    def register(method: Extractor) -> Extractor:
        EXTRACTIONS[method.__name__] = method
        SOURCES[method.__name__] = source
        return method

    return register


@extraction(source="Harman & Jones, 1966; derivatives after Jöreskog, 1977")
def minres(matrix: np.ndarray, factors: int) -> Extraction:
    """Smallest sum of squared residual correlations."""
    start = np.clip(1 / np.diag(np.linalg.inv(matrix)), LOWEST, 1.0)
    found = bounded_newton(lambda psi: least_squares(matrix, factors, psi), start, LOWEST, 1.0)
    return Extraction(_principal(matrix - np.diag(found.x), factors), found.x, found.converged, found.iterations)


@extraction(source="Lawley & Maxwell, 1971; derivatives after Jöreskog, 1967")
def ml(matrix: np.ndarray, factors: int) -> Extraction:
    """Maximum likelihood for normally distributed items."""
    p = len(matrix)
    start = np.clip((1 - 0.5 * factors / p) / np.diag(np.linalg.inv(matrix)), LOWEST, 1.0)
    found = bounded_newton(lambda t: likelihood(matrix, factors, t), np.log(start), np.log(LOWEST), 0.0)
    psi = np.exp(found.x)
    root = np.sqrt(psi)
    scaled = _principal(matrix / np.outer(root, root) - np.eye(p), factors)
    return Extraction(root[:, None] * scaled, psi, found.converged, found.iterations)


@extraction(source="psych's fm='wls' weights; the full minimum over loadings and uniquenesses")
def wls(matrix: np.ndarray, factors: int) -> Extraction:
    """Least squares with residuals weighted by the items' share not predicted by the others.

    The residual of items i and j counts wᵢwⱼ with wᵢ = 1/(R⁻¹)ᵢᵢ, so items with low communalities weigh more.
    psych weighs so too, but takes its loadings from unweighted axes and stops before the minimum, so its
    loadings lie between these and those of minres.
    """
    weight = 1 / np.diag(np.linalg.inv(matrix))
    root = np.sqrt(weight)
    scaled = matrix * np.outer(root, root)
    found = bounded_newton(lambda u: least_squares(scaled, factors, u), weight * weight, LOWEST * weight, weight)
    loadings = _principal(scaled - np.diag(found.x), factors) / root[:, None]
    return Extraction(loadings, found.x / weight, found.converged, found.iterations)


@extraction(source="Thomson, 1934; iterated until the communalities stand still")
def pa(matrix: np.ndarray, factors: int, tolerance: float = 1e-9, limit: int = 20_000) -> Extraction:
    """Principal axis: communalities on the diagonal, principal components, again and again.

    psych stops at a change of .001; here the communalities are iterated to 1e-9.
    """
    reduced = matrix.copy()
    communalities = 1 - 1 / np.diag(np.linalg.inv(matrix))
    steps = 0
    while steps < limit:
        steps += 1
        np.fill_diagonal(reduced, communalities)
        loadings = _principal(reduced, factors)
        new = (loadings**2).sum(axis=1)
        change = np.abs(new - communalities).max()
        communalities = new
        if change < tolerance or new.max() > 1:
            break
    return Extraction(loadings, 1 - communalities, bool(change < tolerance), steps)


def _principal(reduced: np.ndarray, factors: int) -> np.ndarray:
    """Loadings on the largest principal axes, each with a positive sum."""
    values, vectors = np.linalg.eigh(reduced)
    top = slice(-1, -factors - 1, -1)
    loadings = vectors[:, top] * np.sqrt(np.maximum(values[top], 0))
    return loadings * np.where(loadings.sum(axis=0) < 0, -1.0, 1.0)


def least_squares(matrix: np.ndarray, factors: int, psi: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Half the squared residuals at the best loadings for these uniquenesses, with gradient and Hessian.

    With eigenvalues θ and vectors ω of R − Ψ: F = ½ Σ θⱼ² over the axes that are left out.
    """
    values, vectors = np.linalg.eigh(matrix - np.diag(psi))
    cut = len(values) - factors
    theta, kept = values[:cut], values[cut:]
    out, axes = vectors[:, :cut], vectors[:, cut:]
    gradient = -(out**2) @ theta
    ratio = theta[:, None] / (theta[:, None] - kept[None, :])
    hessian = (out @ out.T) ** 2 + 2 * _crossed(out, axes, ratio)
    return 0.5 * float(theta @ theta), gradient, hessian


def likelihood(matrix: np.ndarray, factors: int, log_psi: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """ML discrepancy at the best loadings for these log uniquenesses, with gradient and Hessian.

    With eigenvalues θ and vectors ω of Ψ^−½ R Ψ^−½: F = Σ (θⱼ − log θⱼ − 1) over the axes that are left out.
    """
    root = np.exp(-log_psi / 2)
    values, vectors = np.linalg.eigh(matrix * np.outer(root, root))
    cut = len(values) - factors
    theta, kept = values[:cut], values[cut:]
    out, axes = vectors[:, :cut], vectors[:, cut:]
    gradient = (out**2) @ (1 - theta)
    ratio = -(1 - theta)[:, None] * (theta[:, None] + kept[None, :]) / (theta[:, None] - kept[None, :])
    hessian = ((out * theta) @ out.T) * (out @ out.T) + _crossed(out, axes, ratio)
    return float((theta - np.log(theta) - 1).sum()), gradient, hessian


def _crossed(out: np.ndarray, axes: np.ndarray, ratio: np.ndarray) -> np.ndarray:
    """Σⱼₗ ratioⱼₗ ωᵢⱼωₖⱼωᵢₗωₖₗ for left-out axes j and kept axes l (p × p)."""
    total = np.zeros((len(out),) * 2)
    for column in range(axes.shape[1]):
        total += ((out * ratio[:, column]) @ out.T) * np.outer(axes[:, column], axes[:, column])
    return total


class Minimum(NamedTuple):
    x: np.ndarray
    value: float
    converged: bool
    iterations: int


def bounded_newton(
    objective: Objective, start: np.ndarray, lower: float | np.ndarray, upper: float | np.ndarray
) -> Minimum:
    """Newton's method between bounds: parameters at a bound that the gradient pushes outwards rest.

    The Hessian's eigenvalues are taken by absolute size, so that every step goes downhill.
    """
    x = np.clip(start, lower, upper)
    value, gradient, hessian = objective(x)
    for step in range(STEPS):
        free = ~(((x <= lower) & (gradient > 0)) | ((x >= upper) & (gradient < 0)))
        if not free.any() or np.abs(gradient[free]).max() < GRADIENT:
            return Minimum(x, value, True, step)
        direction = np.zeros_like(x)
        curve, basis = np.linalg.eigh(hessian[np.ix_(free, free)])
        curve = np.maximum(np.abs(curve), 1e-8 * max(1.0, np.abs(curve).max()))
        direction[free] = -basis @ ((basis.T @ gradient[free]) / curve)
        length = 1.0
        while length > 1e-12:
            candidate = np.clip(x + length * direction, lower, upper)
            new = objective(candidate)
            if new[0] <= value + 1e-4 * float(gradient @ (candidate - x)) + 1e-15 * abs(value):
                break
            length /= 2
        moved = np.abs(candidate - x).max()
        x, (value, gradient, hessian) = candidate, new
        if moved < 1e-14:
            break
    free = ~(((x <= lower) & (gradient > 0)) | ((x >= upper) & (gradient < 0)))
    return Minimum(x, value, bool(not free.any() or np.abs(gradient[free]).max() < 1e-6), step + 1)


def one_factor_communalities(matrices: np.ndarray) -> np.ndarray:
    """Communalities (s × p) of the one-factor minres solution of s correlation matrices at once.

    Newton steps on the loadings of all matrices together; a matrix whose solution is at the bound
    (a Heywood case), or is no minimum, is solved by `minres` alone.
    """
    loadings = _first_axes(matrices)
    for _ in range(30):
        gradient, hessian = _loading_derivatives(matrices, loadings)
        if np.abs(gradient).max() < 1e-7:
            break
        try:
            loadings = loadings - np.linalg.solve(hessian, gradient[..., None])[..., 0]
        except np.linalg.LinAlgError:
            break
    communalities = loadings**2
    gradient, hessian = _loading_derivatives(matrices, loadings)
    sound = np.isfinite(loadings).all(axis=1) & (np.abs(gradient).max(axis=1) < 1e-6)
    sound &= communalities.max(axis=1) <= 1 - LOWEST
    sound[sound] = np.linalg.eigvalsh(hessian[sound])[:, 0] > 0
    for which in np.flatnonzero(~sound):
        communalities[which] = 1 - minres(matrices[which], 1).uniquenesses
    return communalities


def _loading_derivatives(matrices: np.ndarray, loadings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gradient and Hessian of a quarter of the squared residual correlations by the loadings on one factor."""
    index = np.arange(matrices.shape[-1])
    squares = loadings**2
    total = squares.sum(axis=1, keepdims=True)
    gradient = loadings * (1 + total - squares) - (matrices @ loadings[..., None])[..., 0]
    hessian = 2 * loadings[:, :, None] * loadings[:, None, :] - matrices
    hessian[:, index, index] = total - squares
    return gradient, hessian


def _first_axes(matrices: np.ndarray, rounds: int = 60) -> np.ndarray:
    """Loadings on the first axis with squared multiple correlations on the diagonal, then refined communalities."""
    index = np.arange(matrices.shape[-1])
    reduced = matrices.copy()
    reduced[:, index, index] = 1 - 1 / np.linalg.inv(matrices)[:, index, index]
    vector = np.linalg.eigh(reduced)
    loadings = vector.eigenvectors[:, :, -1] * np.sqrt(np.maximum(vector.eigenvalues[:, -1:], 1e-4))
    off = matrices.copy()
    off[:, index, index] = 0
    for _ in range(rounds):
        squares = (loadings**2).sum(axis=1, keepdims=True)
        target = (off @ loadings[..., None])[..., 0] + loadings**3
        loadings = 0.5 * loadings + 0.5 * target / squares
    return loadings
