"""The bivariate normal distribution on whole arrays: distribution function, density, derivative in ρ.

One correlation serves a row of points: ``rho`` has shape (pairs,), ``h`` and ``k`` broadcast to
(pairs, …). Accurate to about 1e-14 everywhere, also at |ρ| near 1.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr

TWO_PI = 2.0 * np.pi
SMALL, MIDDLE, LARGE = 0.3, 0.75, 0.925  # |ρ| up to which 6, 12 and 20 nodes give full accuracy (Genz 2004)
NODES = {m: np.polynomial.legendre.leggauss(m) for m in (6, 12, 20)}


def binormal_cdf(h: np.ndarray, k: np.ndarray, rho: np.ndarray) -> np.ndarray:
    """P(X ≤ h, Y ≤ k) for standard normal X, Y with correlation ρ, on all points at once.

    Plackett's identity dΦ₂/dρ = φ₂ integrated over arcsin ρ by Gauss–Legendre (Drezner & Wesolowsky 1990);
    above |ρ| = .925 the expansion of Genz (2004) about |ρ| = 1.
    """
    h, k = np.broadcast_arrays(h, k)
    size = np.abs(rho)
    if size.max(initial=0.0) <= LARGE:
        return np.clip(_by_class(h, k, rho, size), 0.0, 1.0)
    answer = np.empty(h.shape)
    far = size > LARGE
    if not far.all():
        answer[~far] = _by_class(h[~far], k[~far], rho[~far], size[~far])
    answer[far] = _near_one(h[far], k[far], _spread(rho[far], h.ndim))
    return np.clip(answer, 0.0, 1.0)


def binormal_pdf(h: np.ndarray, k: np.ndarray, rho: np.ndarray) -> np.ndarray:
    """The density φ₂(h, k; ρ); ``rho`` broadcasts against the points."""
    rest = (1.0 - rho) * (1.0 + rho)
    return np.exp(-0.5 * (h * h - 2.0 * rho * h * k + k * k) / rest) / (TWO_PI * np.sqrt(rest))


def pdf_slope(h: np.ndarray, k: np.ndarray, rho: np.ndarray) -> np.ndarray:
    """d log φ₂ / dρ: what the density is multiplied with to give its derivative in ρ."""
    rest = (1.0 - rho) * (1.0 + rho)
    return (h * k * rest - rho * (h * h - 2.0 * rho * h * k + k * k) + rho * rest) / (rest * rest)


def _spread(rho: np.ndarray, ndim: int) -> np.ndarray:
    return rho.reshape(rho.shape + (1,) * (ndim - 1))


def _by_class(h: np.ndarray, k: np.ndarray, rho: np.ndarray, size: np.ndarray) -> np.ndarray:
    """As few nodes as each |ρ| needs."""
    answer = np.empty(h.shape)
    for low, high, m in ((-1.0, SMALL, 6), (SMALL, MIDDLE, 12), (MIDDLE, 1.0, 20)):
        rows = (size > low) & (size <= high)
        if rows.all():
            return _arc(h, k, rho, m)
        if rows.any():
            answer[rows] = _arc(h[rows], k[rows], rho[rows], m)
    return answer


def _arc(h: np.ndarray, k: np.ndarray, rho: np.ndarray, m: int) -> np.ndarray:
    x, w = NODES[m]
    angle = np.arcsin(rho)
    sine = np.sin(angle[:, None] * (0.5 * (x + 1.0)))
    inverse = 1.0 / ((1.0 - sine) * (1.0 + sine))
    rows = h.shape[0]
    product, squares = (h * k).reshape(rows, 1, -1), (0.5 * (h * h + k * k)).reshape(rows, 1, -1)
    power = product * (sine * inverse)[:, :, None]
    power -= squares * inverse[:, :, None]
    np.exp(power, out=power)
    area = (w @ power) * (angle / (2.0 * TWO_PI))[:, None]
    return ndtr(h) * ndtr(k) + area.reshape(h.shape)


def _near_one(h: np.ndarray, k: np.ndarray, rho: np.ndarray) -> np.ndarray:
    """Genz (2004, section 2.3): the part that vanishes at |ρ| = 1 by series and quadrature, the rest exactly."""
    h, k = -h, -k  # the expansion is written for the upper orthant
    sign = np.where(rho < 0, -1.0, 1.0)
    turned = sign * k
    vanishing = _vanishing(h, turned, np.broadcast_to(np.abs(rho), h.shape))
    same = vanishing + ndtr(-np.maximum(h, k))
    gap = np.where(h < 0, ndtr(turned) - ndtr(h), ndtr(-h) - ndtr(-turned))
    opposite = -vanishing + np.where(turned > h, gap, 0.0)
    return np.where(rho < 0, opposite, same)


def _vanishing(h: np.ndarray, k: np.ndarray, rho: np.ndarray) -> np.ndarray:
    product, gap = h * k, (h - k) ** 2
    rest = np.maximum((1.0 - rho) * (1.0 + rho), 1e-300)
    a = np.sqrt(rest)
    c, d = (4.0 - product) / 8.0, (12.0 - product) / 16.0
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        series = a * _exp(-0.5 * (gap / rest + product))
        series *= 1.0 - c * (gap - rest) * (1.0 - d * gap / 5.0) / 3.0 + c * d * rest * rest / 5.0
        b = np.sqrt(gap)
        tail = _exp(-0.5 * product) * np.sqrt(TWO_PI) * ndtr(-b / a) * b * (1.0 - c * gap * (1.0 - d * gap / 5.0) / 3.0)
        series = series - np.where(-product < 100.0, tail, 0.0)
        x, w = NODES[20]
        half = 0.5 * a
        for node, weight in zip(x, w):
            square = (half * (node + 1.0)) ** 2
            root = np.sqrt(1.0 - square)
            power = -0.5 * (gap / square + product)
            inner = np.exp(-product * square / (2.0 * (1.0 + root) ** 2)) / root
            inner = inner - (1.0 + c * square * (1.0 + d * square))
            series = series + np.where(power > -100.0, half * weight * np.exp(np.maximum(power, -100.0)) * inner, 0.0)
    return -series / TWO_PI


def _exp(power: np.ndarray) -> np.ndarray:
    return np.where(power > -100.0, np.exp(np.minimum(power, 700.0)), 0.0)
