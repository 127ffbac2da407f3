"""Factor scores: regression, Bartlett, and the posterior mode for ordered items.

With ordered items the regression score has no closed form; the mode of the posterior of the
factors given the answers (empirical Bayes modal, EBM) is found by scoring for all rows at
once. For continuous items the mode is the regression score.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import special

from cocoanalysis.errors import ModelError
from cocoanalysis.measurement.implied import Block, Implied
from cocoanalysis.measurement.incomplete import Patterns, expectation
from cocoanalysis.measurement.ordinal import completed_variances

SCORES: dict[str, Callable] = {}
ROUNDS = 60


def score_method(function: Callable) -> Callable:
    SCORES[function.__name__] = function
    return function


@score_method
def regression(block: Block, implied: Implied, data: np.ndarray) -> np.ndarray:
    """κ + CΛ'Σₒₒ⁻¹(x − μ), over the answers that a row has (Thurstone, 1935)."""
    patterns = Patterns.of(data)
    found = expectation(patterns, implied.mean, implied.cov)
    if found is None:
        return np.full((len(data), len(block.latent)), np.nan)
    k = implied.left[:, block.p + block.m :]
    return (implied.latent_mean + found.score @ k)[:, : len(block.latent)]


@score_method
def bartlett(block: Block, implied: Implied, data: np.ndarray) -> np.ndarray:
    """Generalised least squares of each row on the loadings (Bartlett, 1937)."""
    loadings = implied.matrices["lambda"][:, : len(block.latent)]
    centred = data - implied.matrices["nu"]
    out = np.full((len(data), len(block.latent)), np.nan)
    seen = ~np.isnan(data)
    patterns, owner = np.unique(seen, axis=0, return_inverse=True)
    theta = implied.matrices["theta"]
    for k, mask in enumerate(patterns):
        rows, here = np.flatnonzero(owner.reshape(-1) == k), np.flatnonzero(mask)
        if not len(here):
            continue
        inverse = np.linalg.pinv(theta[np.ix_(here, here)])
        left = loadings[here].T @ inverse
        inner = left @ loadings[here]
        if np.linalg.matrix_rank(inner) < len(inner):
            continue
        out[rows] = np.linalg.solve(inner, left @ centred[np.ix_(rows, here)].T).T
    return out


@score_method
def ebm(block: Block, implied: Implied, data: np.ndarray) -> np.ndarray:
    """The posterior mode; for continuous items the regression score."""
    return regression(block, implied, data)


def ordinal_modes(block: Block, implied: Implied, data: np.ndarray, cuts: list[np.ndarray]) -> np.ndarray:
    """Posterior modes for ordered (and continuous) items: ``data`` holds category numbers 0 … where ordered.

    Residual variances are those the parameterisation implies; conditional independence of the items given the
    factors is assumed, as in lavaan.
    """
    latent = len(block.latent)
    loadings = implied.matrices["lambda"][:, :latent]
    if block.exogenous or any(n in block.factors[latent:] for n in block.observed):
        raise ModelError(
            "Factor scores with ordered items are available for measurement models (every item loads on factors only); "
            "this model has observed variables in regressions.",
            code="ScoresNotAvailable",
        )
    variances = residual_variances(block, implied)
    sd = np.sqrt(np.where(variances > 0, variances, np.nan))
    prior = np.linalg.pinv(implied.latent_cov)
    mean = implied.latent_mean
    low, high = _bounds(data, cuts, block)
    scaled = loadings / sd[:, None]
    eta = np.tile(mean, (len(data), 1))
    for _ in range(ROUNDS):
        gradient, curvature = _slopes(eta, scaled, low, high, data, block, implied, sd)
        total = gradient - (eta - mean) @ prior
        hessian = np.einsum("np,pi,pj->nij", curvature, scaled, scaled) + prior
        step = np.linalg.solve(hessian, total[..., None])[..., 0]
        step *= np.minimum(1.0, 2.0 / np.maximum(np.abs(step).max(axis=1, keepdims=True), 1e-300))
        eta = eta + step
        if np.nanmax(np.abs(step), initial=0.0) < 1e-10:
            break
    return eta


def covariate_level(block: Block, implied: Implied, mean: np.ndarray, x: tuple[int, ...]) -> np.ndarray:
    """What fixed covariates at their means add to the factors, when the model has no means of its own, (factors,)."""
    level = np.zeros(block.m)
    for i in x:
        level[block.factors.index(block.observed[i])] = mean[i]
    return (implied.reduced @ level)[: len(block.latent)]


def residual_variances(block: Block, implied: Implied) -> np.ndarray:
    own = np.diagonal(implied.matrices["theta"])
    if not block.ordered.any() or block.theta_scaled:
        return own
    return np.where(block.ordered, completed_variances(block, implied), own)


def _bounds(data: np.ndarray, cuts: list[np.ndarray], block: Block) -> tuple[np.ndarray, np.ndarray]:
    low, high = np.full(data.shape, -np.inf), np.full(data.shape, np.inf)
    for i in np.flatnonzero(block.ordered):
        edges = np.concatenate([[-np.inf], cuts[i], [np.inf]])
        seen = ~np.isnan(data[:, i])
        code = data[seen, i].astype(int)
        low[seen, i], high[seen, i] = edges[code], edges[code + 1]
    return low, high


def _slopes(eta, scaled, low, high, data, block: Block, implied: Implied, sd):
    """Gradient of the log-likelihood by η (n, m) and the expected curvature of each item (n, p)."""
    centre = (implied.matrices["nu"] + eta @ (scaled * sd[:, None]).T) / sd
    a, b = low / sd - centre, high / sd - centre
    with np.errstate(all="ignore"):
        da, db = _density(a), _density(b)
        chance = np.maximum(special.ndtr(b) - special.ndtr(a), 1e-300)
        ordered = (da - db) / chance
        bend = ordered**2 - (np.where(np.isinf(a), 0.0, a * da) - np.where(np.isinf(b), 0.0, b * db)) / chance
    slope, curve = np.zeros_like(data), np.zeros_like(data)
    seen = ~np.isnan(data)
    mask = seen & block.ordered
    slope[mask], curve[mask] = ordered[mask], bend[mask]
    plain = seen & ~block.ordered
    with np.errstate(invalid="ignore"):
        distance = data / sd - centre
    slope[plain], curve[plain] = distance[plain], 1.0
    return slope @ scaled, np.maximum(curve, 0.0)


def _density(x: np.ndarray) -> np.ndarray:
    return np.where(np.isinf(x), 0.0, np.exp(-0.5 * np.where(np.isinf(x), 0.0, x) ** 2) / np.sqrt(2 * np.pi))
