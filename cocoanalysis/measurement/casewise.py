"""Moments that need every respondent: probit and linear regressions, polyserial correlations, covariates.

Contingency tables do not hold what a continuous variable or a covariate adds, so here each
respondent has their own limits and scores. All sums are weighted; scores are unweighted.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.special import ndtr

from cocoanalysis.measurement.binormal import binormal_cdf, binormal_pdf, pdf_slope
from cocoanalysis.measurement.contingency import FLOOR, LIMIT, bracketed_step

BEYOND = 100.0  # stands for an infinite limit
TINY = float(np.finfo(float).eps)
SEPARATED = 6.0  # a linear predictor that spreads wider explains over 97 % of the latent response: separation
SERIAL_LIMIT = 0.995  # polyserial correlations are sought within ± this


@dataclass(frozen=True)
class Alone:
    """One variable given the covariates: its parameters, and each respondent's scores.

    Parameters in order: thresholds and slopes (ordered), or intercept, slopes and residual variance (continuous).
    """

    ordered: bool
    first: np.ndarray  # thresholds, or the intercept alone
    slopes: np.ndarray  # (q,)
    variance: float
    seen: np.ndarray  # (n,) bool
    scores: np.ndarray  # (n, m), 0 where missing
    inverse: np.ndarray  # (m, m) inverse of the summed products of scores
    covariates: np.ndarray  # (n, q)
    codes: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=int))
    upper: np.ndarray = field(default_factory=lambda: np.zeros(0))  # (n,) limits of the chosen category
    lower: np.ndarray = field(default_factory=lambda: np.zeros(0))
    z: np.ndarray = field(default_factory=lambda: np.zeros(0))  # (n,) standardised residual

    def influence(self) -> np.ndarray:
        """How each respondent moves the parameters, (n, m)."""
        return self.scores @ self.inverse

    def gathered(self, rows: np.ndarray, weighted: np.ndarray, parts: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        """Σ weighted · (derivative of a pair's log-likelihood in each own parameter), (m,).

        ``parts`` are the derivative in the upper and the lower limit (ordered), or in mean and variance.
        """
        one, two = weighted * parts[0], weighted * parts[1]
        x = self.covariates[rows]
        if not self.ordered:
            return np.concatenate([[one.sum()], one @ x, [two.sum()]])
        categories = len(self.first) + 1
        rising = np.bincount(self.codes[rows], one, categories)[:-1]
        falling = np.bincount(self.codes[rows], two, categories)[1:]
        return np.concatenate([rising - falling, (two - one) @ x])


def linear_alone(y: np.ndarray, x: np.ndarray, weights: np.ndarray) -> Alone:
    """Mean, slopes and residual variance by (weighted) maximum likelihood: variance over Σ weights."""
    seen = ~np.isnan(y)
    w = np.where(seen, weights, 0.0)
    design = np.column_stack([np.ones(len(y)), x])
    root = np.sqrt(w[seen])[:, None]
    beta = np.linalg.lstsq(design[seen] * root, np.where(seen, y, 0.0)[seen] * root[:, 0], rcond=None)[0]
    residual = np.where(seen, y - design @ beta, 0.0)
    variance = float((w * residual**2).sum() / w.sum())
    scores = np.column_stack([design * (residual / variance)[:, None], 0.5 * (residual**2 / variance - 1) / variance])
    scores[~seen] = 0.0
    inverse = np.linalg.inv((scores * w[:, None]).T @ scores)
    z = residual / np.sqrt(variance)
    return Alone(False, beta[:1], beta[1:], variance, seen, scores, inverse, x, z=z)


def probit_alone(codes: np.ndarray, levels: int, x: np.ndarray, weights: np.ndarray, start: np.ndarray) -> Alone | None:
    """Thresholds and slopes of an ordered probit regression by Newton's method (``codes`` = levels where missing).

    ``start`` are the thresholds of the margin, which are the solution when there are no covariates. None when the
    covariates separate the categories, so that a slope grows without end.
    """
    seen = codes < levels
    theta = np.concatenate([start, np.zeros(x.shape[1])])
    value, scores, hessian = _probit(theta, codes, levels, x, weights, seen)
    for _ in range(60):
        gradient = (scores * weights[:, None]).sum(axis=0)
        scale = np.sqrt(np.maximum(-np.diag(hessian), 1e-300))
        if not np.linalg.cond(hessian / np.outer(scale, scale)) < 1e12:
            return None
        step = np.linalg.solve(-hessian, gradient)
        size = 1.0
        while size > 1e-8:
            attempt = _probit(theta + size * step, codes, levels, x, weights, seen)
            if attempt[0] >= value - 1e-12 * abs(value):
                break
            size *= 0.5
        theta = theta + size * step
        value, scores, hessian = attempt
        if np.abs(step).max() < 1e-11 or float(gradient @ step) < 1e-16 * weights.sum():
            break
    else:
        return None
    if np.std(x @ theta[levels - 1 :]) > SEPARATED:
        return None
    inverse = np.linalg.inv((scores * weights[:, None]).T @ scores)
    upper, lower = _limits(theta, codes, levels, x, seen)
    first, slopes = theta[: levels - 1], theta[levels - 1 :]
    return Alone(True, first, slopes, 1.0, seen, scores, inverse, x, np.where(seen, codes, 0), upper, lower)


def _limits(
    theta: np.ndarray, codes: np.ndarray, levels: int, x: np.ndarray, seen: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    edges = np.concatenate([[-BEYOND], theta[: levels - 1], [BEYOND]])
    linear = x @ theta[levels - 1 :]
    code = np.where(seen, codes, 0)
    return edges[code + 1] - linear, edges[code] - linear


def _probit(
    theta: np.ndarray, codes: np.ndarray, levels: int, x: np.ndarray, weights: np.ndarray, seen: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray]:
    """Log-likelihood, casewise scores and Hessian."""
    if np.any(np.diff(theta[: levels - 1]) <= 0):
        return -np.inf, np.zeros((len(codes), len(theta))), -np.eye(len(theta))
    upper, lower = _limits(theta, codes, levels, x, seen)
    chance = np.maximum(_between(lower, upper), 1e-300)
    top, bottom = _density(upper), _density(lower)
    k = np.arange(levels - 1)
    up = ((codes[:, None] == k) & seen[:, None]).astype(float)
    down = ((codes[:, None] == k + 1) & seen[:, None]).astype(float)
    by_upper = np.column_stack([up, -x * seen[:, None]])
    by_lower = np.column_stack([down, -x * seen[:, None]])
    scores = (by_upper * top[:, None] - by_lower * bottom[:, None]) / chance[:, None]
    curve = (weights * -upper * top / chance)[:, None] * by_upper
    floor = (weights * -lower * bottom / chance)[:, None] * by_lower
    hessian = by_upper.T @ curve - by_lower.T @ floor - (scores * weights[:, None]).T @ scores
    return float((weights * np.log(chance))[seen].sum()), scores, hessian


def _density(z: np.ndarray) -> np.ndarray:
    return np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi)


def _between(lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """Φ(upper) − Φ(lower) without losing the upper tail."""
    flip = lower > 1.0
    return np.where(flip, ndtr(-lower) - ndtr(-upper), ndtr(upper) - ndtr(lower))


@dataclass(frozen=True)
class Together:
    """The correlation of one pair and each respondent's influence on it."""

    rho: float
    influence: np.ndarray  # (n,)
    bound: bool


def together(one: Alone, two: Alone, weights: np.ndarray) -> Together:
    """Polychoric, polyserial or product-moment correlation of two variables given their first stage."""
    if one.ordered and not two.ordered:
        return together(two, one, weights)
    both = np.flatnonzero(one.seen & two.seen)
    w = weights[both]
    if not two.ordered:
        rho, bound = _product_moment(one.z[both], two.z[both], w)
        score, parts = _normal_scores(one, two, both, rho)
    else:
        pair = _Rectangles(one, two, both) if one.ordered else _Serial(one, two, both)
        rho, bound = _root(pair, w, LIMIT if one.ordered else SERIAL_LIMIT, 0.0)
        score, parts = pair.scores(rho)
    information = float((w * score * score).sum())
    influence = np.zeros(len(one.seen))
    influence[both] = score
    influence -= one.scores @ (one.inverse @ one.gathered(both, w * score, parts[0]))
    influence -= two.scores @ (two.inverse @ two.gathered(both, w * score, parts[1]))
    return Together(rho, influence / information, bound)


Parts = tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


class _Rectangles:
    """Two ordered variables whose limits differ from respondent to respondent."""

    def __init__(self, one: Alone, two: Alone, rows: np.ndarray):
        self.h1, self.h2 = one.upper[rows], one.lower[rows]
        self.k1, self.k2 = two.upper[rows], two.lower[rows]
        self.h = np.array([self.h1, self.h2, self.h1, self.h2])
        self.k = np.array([self.k1, self.k1, self.k2, self.k2])

    def slopes(self, rho: float) -> tuple[np.ndarray, np.ndarray]:
        chance = self._chance(rho)
        density = binormal_pdf(self.h, self.k, np.array(rho))
        bend = density * pdf_slope(self.h, self.k, np.array(rho))
        ratio = _signed(density) / chance
        return ratio, _signed(bend) / chance - ratio**2

    def _chance(self, rho: float) -> np.ndarray:
        area = binormal_cdf(self.h.reshape(1, -1), self.k.reshape(1, -1), np.array([rho])).reshape(4, -1)
        chance = _signed(area)
        return np.where(chance < FLOOR, np.inf, chance)  # lavaan leaves such answers out

    def scores(self, rho: float) -> tuple[np.ndarray, Parts]:
        chance, root = self._chance(rho), np.sqrt(1 - rho * rho)
        own = [
            _density(h) * (ndtr((self.k1 - rho * h) / root) - ndtr((self.k2 - rho * h) / root)) / chance
            for h in (self.h1, self.h2)
        ]
        other = [
            _density(k) * (ndtr((self.h1 - rho * k) / root) - ndtr((self.h2 - rho * k) / root)) / chance
            for k in (self.k1, self.k2)
        ]
        return self.slopes(rho)[0], ((own[0], own[1]), (other[0], other[1]))


def _signed(corners: np.ndarray) -> np.ndarray:
    return corners[0] - corners[1] - corners[2] + corners[3]


class _Serial:
    """A continuous and an ordered variable (Olsson, Drasgow & Dorans 1982), given the covariates."""

    def __init__(self, one: Alone, two: Alone, rows: np.ndarray):
        self.z, self.variance = one.z[rows], one.variance
        self.upper, self.lower = two.upper[rows], two.lower[rows]

    def _tilted(self, rho: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        root = np.sqrt(1 - rho * rho)
        high, low = (self.upper - rho * self.z) / root, (self.lower - rho * self.z) / root
        return high, low, np.maximum(_between(low, high), TINY)

    def slopes(self, rho: float) -> tuple[np.ndarray, np.ndarray]:
        high, low, chance = self._tilted(rho)
        rest = 1 - rho * rho
        total, bend = np.zeros(len(high)), np.zeros(len(high))
        for sign, t, limit in ((1.0, high, self.upper), (-1.0, low, self.lower)):
            turn = (rho * limit - self.z) / rest**1.5
            twist = limit / rest**1.5 + 3 * rho * turn / rest
            total += sign * _density(t) * turn
            bend += sign * _density(t) * (twist - t * turn**2)
        ratio = total / chance
        return ratio, bend / chance - ratio**2

    def scores(self, rho: float) -> tuple[np.ndarray, Parts]:
        high, low, chance = self._tilted(rho)
        root = np.sqrt(1 - rho * rho)
        top, bottom = _density(high) / chance, _density(low) / chance
        pull = (top - bottom) * rho / root
        mean = (self.z + pull) / np.sqrt(self.variance)
        spread = (self.z**2 - 1 + pull * self.z) / (2 * self.variance)
        return self.slopes(rho)[0], ((mean, spread), (top / root, bottom / root))


def _normal_scores(one: Alone, two: Alone, rows: np.ndarray, rho: float) -> tuple[np.ndarray, Parts]:
    a, b, rest = one.z[rows], two.z[rows], 1 - rho * rho
    score = (rho + a * b - rho * (a * a - 2 * rho * a * b + b * b) / rest) / rest
    parts = []
    for mine, other, variance in ((a, b, one.variance), (b, a, two.variance)):
        tilt = (mine - rho * other) / rest
        parts.append((tilt / np.sqrt(variance), (mine * tilt - 1) / (2 * variance)))
    return score, (parts[0], parts[1])


def _product_moment(a: np.ndarray, b: np.ndarray, w: np.ndarray) -> tuple[float, bool]:
    """Maximum likelihood of ρ with means and variances given: a cubic, whose root is r when nothing is missing."""
    total = w.sum()
    squares, product = float((w * (a * a + b * b)).sum() / total), float((w * a * b).sum() / total)
    roots = np.roots([-1.0, product, 1.0 - squares, product])
    real = roots[np.abs(roots.imag) < 1e-9].real
    inside = np.clip(real, -LIMIT, LIMIT)
    likelihood = -0.5 * np.log(1 - inside**2) - (squares - 2 * inside * product) / (2 * (1 - inside**2))
    best = float(inside[np.argmax(likelihood)])
    return best, abs(best) >= LIMIT


def _root(pair: _Rectangles | _Serial, w: np.ndarray, limit: float, start: float) -> tuple[float, bool]:
    rho, low, high = np.array([start]), np.array([-limit]), np.array([limit])
    only, at_limit = np.array([0]), np.array([False])
    for _ in range(100):
        slope, curvature = pair.slopes(float(rho[0]))
        total, bend = np.array([(w * slope).sum()]), np.array([(w * curvature).sum()])
        rho, done, at_limit = bracketed_step(rho, low, high, only, total, bend, limit)
        if done[0]:
            break
    return float(rho[0]), bool(at_limit[0])
