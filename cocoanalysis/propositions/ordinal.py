"""Ordered outcomes: the cumulative logit and probit model, by Newton's method with analytic derivatives.

P(Y ≤ k) = F(τₖ − xᵀβ) with F logistic or normal (McCullagh, 1980), signed as in R's
MASS::polr: a positive coefficient goes with higher categories. A binary outcome is the case
of two categories, whose threshold is minus the intercept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import optimize, special, stats


class Link(NamedTuple):
    """F, its density f and f′; the derivatives come from F where that is cheaper."""

    cdf: Callable[[np.ndarray], np.ndarray]
    density: Callable[[np.ndarray], np.ndarray]
    slope: Callable[[np.ndarray], np.ndarray]


def _logistic_density(z: np.ndarray) -> np.ndarray:
    return special.expit(z) * special.expit(-z)


LINKS = {
    "logit": Link(special.expit, _logistic_density, lambda z: _logistic_density(z) * (1 - 2 * special.expit(z))),
    "probit": Link(special.ndtr, stats.norm.pdf, lambda z: -np.where(np.isfinite(z), z, 0.0) * stats.norm.pdf(z)),
}


class Ordinal(NamedTuple):
    """Slopes then thresholds (p + K − 1,), the observed information, one score row a respondent, log-likelihood."""

    estimates: np.ndarray
    information: np.ndarray
    scores: np.ndarray
    loglik: float
    converged: bool


class _Cells(NamedTuple):
    """Rows' upper and lower threshold as (n, p + K − 1) matrices of derivatives of the two arguments of F."""

    upper: np.ndarray
    lower: np.ndarray
    top: np.ndarray
    bottom: np.ndarray


def _cells(regressors: np.ndarray, categories: np.ndarray) -> _Cells:
    thresholds = int(categories.max())
    marks = np.eye(thresholds + 1)
    upper = np.c_[-regressors, marks[categories][:, :-1]]
    lower = np.c_[-regressors, marks[np.maximum(categories - 1, 0)][:, :-1]]
    return _Cells(upper, lower, categories == thresholds, categories == 0)


def _likelihood(cells: _Cells, link: Link, estimates: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Log-likelihood, scores (n, q) and observed information (q, q)."""
    above = np.where(cells.top, np.inf, cells.upper @ estimates)
    below = np.where(cells.bottom, -np.inf, cells.lower @ estimates)
    # the upper tail by symmetry, so that two probabilities near one are not subtracted
    flip = below > 0
    chance = np.where(flip, link.cdf(-below) - link.cdf(-above), link.cdf(above) - link.cdf(below))
    chance = np.maximum(chance, 1e-300)
    scores = (link.density(above)[:, None] * cells.upper - link.density(below)[:, None] * cells.lower) / chance[:, None]
    curve_above, curve_below = link.slope(above) / chance, link.slope(below) / chance
    hessian = (cells.upper * curve_above[:, None]).T @ cells.upper
    hessian -= (cells.lower * curve_below[:, None]).T @ cells.lower
    return float(np.log(chance).sum()), scores, scores.T @ scores - hessian


def fit_ordinal(regressors: np.ndarray, categories: np.ndarray, link: str) -> Ordinal:
    """Maximum likelihood for ``regressors`` (n, p; no intercept) and ``categories`` (n,) coded 0…K − 1."""
    cells, functions = _cells(regressors, categories), LINKS[link]
    shares = np.cumsum(np.bincount(categories))[:-1] / len(categories)
    start = {"logit": special.logit, "probit": special.ndtri}[link](shares)
    estimates = np.r_[np.zeros(regressors.shape[1]), start]
    loglik, scores, information = _likelihood(cells, functions, estimates)
    converged = False
    for _ in range(50):
        gradient = scores.sum(axis=0)
        step = np.linalg.lstsq(information, gradient, rcond=None)[0]
        if float(gradient @ step) < 1e-14 * max(1.0, abs(loglik)):
            converged = True
            break
        size = 1.0
        for _ in range(30):
            trial = estimates + size * step
            ordered = (np.diff(trial[regressors.shape[1] :]) > 0).all()
            found = _likelihood(cells, functions, trial) if ordered else (-np.inf, scores, information)
            if found[0] >= loglik:
                break
            size /= 2
        else:
            break
        estimates, (loglik, scores, information) = trial, found
    return Ordinal(estimates, information, scores, loglik, converged)


def separating(regressors: np.ndarray, categories: np.ndarray) -> np.ndarray | None:
    """A direction (p,) of the slopes along which the likelihood never falls, or None (Konis, 2007, for two categories).

    When there is one, some coefficients are infinite; the non-zero entries name them. Found by a linear
    programme over all recession directions of the likelihood, so the answer is exact, not a guess from large values.
    """
    cells = _cells(regressors / np.maximum(np.abs(regressors).max(axis=0), 1e-300), categories)
    rising = np.r_[cells.upper[~cells.top], -cells.lower[~cells.bottom]]
    programme = optimize.linprog(
        -rising.sum(axis=0), A_ub=-rising, b_ub=np.zeros(len(rising)), bounds=(-1, 1), method="highs"
    )
    if not programme.success or -programme.fun < 1e-7:
        return None
    slopes = programme.x[: regressors.shape[1]]
    return slopes if np.abs(slopes).max() > 1e-7 else None
