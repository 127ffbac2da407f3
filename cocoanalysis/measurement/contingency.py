"""Ordinal answers as contingency tables: thresholds, polychoric correlations and their scores, all pairs at once.

Every table carries one more category than the items have: the last one counts missing answers, so
that pairwise and complete data take the same road. Items with fewer categories are padded with
thresholds far out, where no probability is left.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from cocoanalysis.measurement.binormal import binormal_cdf, binormal_pdf, pdf_slope

FAR = 30.0  # a threshold of a category that the item does not have
FLOOR = float(np.sqrt(np.finfo(float).eps))  # cells less likely than this carry no information (lavaan's bound)
LIMIT = 0.999  # a polychoric correlation is sought within ± this
ROWS = 8192  # respondents to a block, so that memory does not grow with n


@dataclass(frozen=True)
class Coded:
    """Answers as category numbers 0 … levels − 1; ``top`` (the largest number of levels) codes a missing answer."""

    codes: np.ndarray  # (n, p) int
    levels: np.ndarray  # (p,) int

    @property
    def top(self) -> int:
        return int(self.levels.max(initial=1))


@dataclass(frozen=True)
class Items:
    """What each item says alone: thresholds, scores by category, and the inverse of their information."""

    thresholds: np.ndarray  # (p, top - 1), padded with FAR
    scores: np.ndarray  # (p, top + 1, top - 1): derivative of log-likelihood in each threshold, 0 when missing
    inverse: np.ndarray  # (p, top - 1, top - 1)


@dataclass(frozen=True)
class Pairs:
    """What each pair of items says: the correlation, and its influence by the two categories chosen."""

    first: np.ndarray  # (pairs,) positions
    second: np.ndarray
    tables: np.ndarray  # (pairs, top + 1, top + 1)
    rho: np.ndarray  # (pairs,)
    empty: np.ndarray  # (pairs,) bool: some cell of the table holds nobody
    corrected: np.ndarray  # (pairs,) bool: the empty cell of a 2 × 2 table was filled
    bound: np.ndarray  # (pairs,) bool: the likelihood grows up to the limit


def encode(values: np.ndarray, categories: list[np.ndarray]) -> Coded:
    """Category numbers of ``values`` (n, p) by each item's sorted categories; NaN becomes ``top``."""
    levels = np.array([len(c) for c in categories], dtype=int)
    top = int(levels.max(initial=1))
    codes = np.full(values.shape, top, dtype=np.int64)
    for j, known in enumerate(categories):
        column = values[:, j]
        seen = column == column
        codes[seen, j] = np.searchsorted(known, column[seen])
    return Coded(codes, levels)


def observed_categories(values: np.ndarray) -> list[np.ndarray]:
    """The values that occur in each column, sorted, NaN left out."""
    quick = _small_integers(values)
    if quick is not None:
        return quick
    return [np.unique(column[~np.isnan(column)]) for column in values.T]


def _small_integers(values: np.ndarray, widest: int = 64) -> list[np.ndarray] | None:
    """The same by counting, when all answers are whole numbers of a short range."""
    low = np.nanmin(values) if np.isfinite(values).any() else np.nan
    shifted = np.where(np.isnan(values), widest, values - low)
    if not shifted.size or np.isnan(low) or low != np.floor(low) or (shifted > widest).any():
        return None
    whole = shifted.astype(np.int64)
    if (whole != shifted).any():
        return None
    columns = values.shape[1]
    counts = np.bincount((whole + np.arange(columns) * (widest + 1)).ravel(), minlength=columns * (widest + 1))
    present = counts.reshape(columns, widest + 1)[:, :widest] > 0
    return [np.flatnonzero(row) + low for row in present]


def cross_tables(coded: Coded, weights: np.ndarray | None = None) -> np.ndarray:
    """All two-way tables at once, (p, top + 1, p, top + 1); the diagonal blocks hold the margins."""
    n, p = coded.codes.shape
    width = coded.top + 1
    kind = np.float32 if weights is None else np.float64  # whole counts of a block are exact in float32
    total = np.zeros((p * width, p * width))
    for start in range(0, n, ROWS):
        block = coded.codes[start : start + ROWS]
        chosen = (block[:, :, None] == np.arange(width)).reshape(len(block), -1).astype(kind)
        left = chosen if weights is None else chosen * weights[start : start + ROWS, None]
        total += left.T @ chosen
    return total.reshape(p, width, p, width)


def margins(tables: np.ndarray) -> np.ndarray:
    """How often each category was chosen, (p, top), missing answers left out."""
    p = tables.shape[0]
    return np.einsum("icic->ic", tables)[:, :-1].reshape(p, -1)


def item_statistics(counts: np.ndarray, levels: np.ndarray) -> Items:
    """Thresholds from the margins, with scores and information (Olsson 1979; Muthén 1984)."""
    p, top = counts.shape
    share = counts / counts.sum(axis=1, keepdims=True)
    below = np.cumsum(share, axis=1)[:, :-1]
    real = np.arange(1, top) < levels[:, None]
    thresholds = np.where(real, ndtri(np.where(real, below, 0.5)), FAR)
    density = np.where(real, np.exp(-0.5 * thresholds**2) / np.sqrt(2 * np.pi), 0.0)
    chance = np.where(share > 0, share, 1.0)
    scores = np.zeros((p, top + 1, top - 1))
    k = np.arange(top - 1)
    scores[:, k, k] = density / chance[:, :-1]
    scores[:, k + 1, k] = -density / chance[:, 1:]
    information = np.einsum("pc,pck,pcl->pkl", counts, scores[:, :-1], scores[:, :-1], optimize=True)
    information[:, k, k] += ~real  # thresholds that do not exist
    return Items(thresholds, scores, np.linalg.inv(information))


def pair_correlations(tables: np.ndarray, items: Items, levels: np.ndarray) -> Pairs:
    """Two-step polychoric correlations of all pairs by Newton's method within a bracket (Olsson 1979).

    ``tables`` from `cross_tables`, ``levels`` the number of categories of each item.
    A 2 × 2 table with one empty cell gets half a person in it, margins kept (lavaan's ``zero.add = c(.5, 0)``);
    larger tables stay as they are; a 2 × 2 table with two empty cells on a diagonal has correlation ±1.
    """
    first, second = np.triu_indices(tables.shape[0], 1)
    whole = tables[first, :, second, :]
    seen, corrected, perfect = _filled(whole[:, :-1, :-1], levels[first], levels[second])
    empty = _has_empty(whole[:, :-1, :-1], levels[first], levels[second])
    start = _starting(seen, items.thresholds, first, second)
    rho, bound = _solve(seen, items.thresholds[first], items.thresholds[second], start, perfect == 0)
    return Pairs(first, second, whole, np.where(perfect != 0, perfect, rho), empty, corrected, bound | (perfect != 0))


def _has_empty(seen: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    k = np.arange(seen.shape[1])
    real = (k < rows[:, None])[:, :, None] & (k < columns[:, None])[:, None, :]
    return ((seen == 0) & real).any(axis=(1, 2))


def _filled(seen: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tables for estimation, which of them were corrected, and ±1 where a 2 × 2 table is degenerate."""
    corrected, perfect = np.zeros(len(seen), dtype=bool), np.zeros(len(seen))
    for p in np.flatnonzero((rows == 2) & (columns == 2)):
        table = seen[p, :2, :2]
        if (holes := int((table == 0).sum())) == 0:
            continue
        if holes >= 2:
            perfect[p] = 1.0 if table[0, 0] > 0 else -1.0
            continue
        if not corrected.any():
            seen = seen.copy()
        corrected[p] = True
        on_diagonal = table[0, 0] == 0 or table[1, 1] == 0
        seen[p, :2, :2] += np.array([[0.5, -0.5], [-0.5, 0.5]]) * (1 if on_diagonal else -1)
    return seen, corrected, perfect


def _starting(seen: np.ndarray, thresholds: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """First term of the tetrachoric series: the covariance of the codes over the summed densities at the thresholds."""
    k = np.arange(seen.shape[1], dtype=float)
    total = seen.sum(axis=(1, 2))
    total = np.where(total > 0, total, 1.0)
    product = (seen @ k) @ k / total
    centred = product - (seen.sum(axis=2) @ k) * (seen.sum(axis=1) @ k) / total**2
    heights = (np.exp(-0.5 * thresholds**2) / np.sqrt(2 * np.pi)).sum(axis=1)
    return np.clip(centred / (heights[first] * heights[second]), -0.95, 0.95)


def cell_probabilities(ti: np.ndarray, tj: np.ndarray, rho: np.ndarray) -> np.ndarray:
    """Probability of each cell, (pairs, top, top), from thresholds (pairs, top − 1) and ρ."""
    below = np.zeros((len(rho), ti.shape[1] + 2, tj.shape[1] + 2))
    below[:, 1:-1, 1:-1] = binormal_cdf(ti[:, :, None], tj[:, None, :], rho)
    below[:, -1, 1:-1], below[:, 1:-1, -1], below[:, -1, -1] = ndtr(tj), ndtr(ti), 1.0
    return np.maximum(_corners(below), FLOOR)


def cell_slopes(ti: np.ndarray, tj: np.ndarray, rho: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First and second derivative of the cell probabilities in ρ."""
    h, k, r = ti[:, :, None], tj[:, None, :], rho[:, None, None]
    density = np.zeros((2, len(rho), ti.shape[1] + 2, tj.shape[1] + 2))
    density[0, :, 1:-1, 1:-1] = binormal_pdf(h, k, r)
    density[1, :, 1:-1, 1:-1] = density[0, :, 1:-1, 1:-1] * pdf_slope(h, k, r)
    slopes = _corners(density)
    return slopes[0], slopes[1]


def _corners(grid: np.ndarray) -> np.ndarray:
    return grid[..., 1:, 1:] - grid[..., :-1, 1:] - grid[..., 1:, :-1] + grid[..., :-1, :-1]


def _solve(
    seen: np.ndarray, ti: np.ndarray, tj: np.ndarray, start: np.ndarray, wanted: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The root of each pair's score; pairs that have converged leave the work."""
    rho, bound = start.copy(), np.zeros(len(start), dtype=bool)
    low, high = np.full(len(rho), -LIMIT), np.full(len(rho), LIMIT)
    active = np.flatnonzero(wanted & (seen.sum(axis=(1, 2)) > 0))
    for _ in range(100):
        if not active.size:
            break
        slope, curvature = _score(seen[active], ti[active], tj[active], rho[active])
        step, done, at_limit = bracketed_step(rho, low, high, active, slope, curvature)
        bound[active[at_limit]] = True
        rho[active] = step
        active = active[~done]
    return rho, bound


def departures(pairs: Pairs, items: Items) -> np.ndarray:
    """Likelihood-ratio χ² of each pair's table, the bivariate normal against the free table (Jöreskog, 2005)."""
    seen = pairs.tables[:, :-1, :-1]
    chance = cell_probabilities(items.thresholds[pairs.first], items.thresholds[pairs.second], pairs.rho)
    expected = chance * seen.sum(axis=(1, 2), keepdims=True)
    logs = np.log(np.where(seen > 0, seen, 1.0) / np.where(seen > 0, expected, 1.0))
    return 2 * (seen * logs).sum(axis=(1, 2))


def _score(seen: np.ndarray, ti: np.ndarray, tj: np.ndarray, rho: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    chance = cell_probabilities(ti, tj, rho)
    slope, bend = cell_slopes(ti, tj, rho)
    weight = np.where(chance > FLOOR, seen, 0.0) / chance
    relative = slope / chance
    return (weight * slope).sum(axis=(1, 2)), (weight * (bend - slope * relative)).sum(axis=(1, 2))


def bracketed_step(
    rho: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    active: np.ndarray,
    slope: np.ndarray,
    curvature: np.ndarray,
    limit: float = LIMIT,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Newton's next ρ for the ``active`` rows, halved into the bracket where it would leave it.

    Updates ``low`` and ``high`` in place. Returns the next ρ, who is done, and who ended at the limit.
    """
    here = rho[active]
    up = slope > 0
    low[active] = np.where(up, here, low[active])
    high[active] = np.where(up, high[active], here)
    at_limit = (up & (here >= limit)) | (~up & (here <= -limit))
    safe = np.where(curvature < 0, curvature, -np.abs(slope) / 0.1 - 1e-300)
    wish = here - slope / safe
    bottom, top = low[active], high[active]
    middle = 0.5 * (bottom + top)
    following = np.where(wish > top, np.where(top < limit, middle, limit), wish)
    following = np.where(wish < bottom, np.where(bottom > -limit, middle, -limit), following)
    move = np.abs(following - here)
    settled = (move < 1e-5) & (curvature < 0)  # Newton's error after such a step is about its square
    return following, settled | at_limit | (slope == 0) | (top - bottom < 1e-12), at_limit


def influence_tables(pairs: Pairs, items: Items) -> np.ndarray:
    """How an answer in each cell moves ρ̂, (pairs, top + 1, top + 1): the score of ρ less what the thresholds explain.

    Muthén (1984): row of B⁻¹ times the casewise scores, B block-triangular (thresholds first, then ρ).
    """
    ti, tj = items.thresholds[pairs.first], items.thresholds[pairs.second]
    rho = np.clip(pairs.rho, -0.9999999, 0.9999999)
    chance = cell_probabilities(ti, tj, rho)
    ratio = np.where(chance > FLOOR, cell_slopes(ti, tj, rho)[0] / chance, 0.0)
    seen = pairs.tables[:, :-1, :-1]
    information = (seen * ratio * ratio).sum(axis=(1, 2))
    weight = np.where(chance > FLOOR, seen * ratio / chance, 0.0)
    by_first = _threshold_part(ti, tj, rho, weight)
    by_second = _threshold_part(tj, ti, rho, weight.transpose(0, 2, 1))
    table = np.zeros_like(pairs.tables)
    table[:, :-1, :-1] = ratio
    table -= _explained(items, pairs.first, by_first)[:, :, None]
    table -= _explained(items, pairs.second, by_second)[:, None, :]
    return table / np.where(information > 0, information, np.nan)[:, None, None]


def _threshold_part(mine: np.ndarray, other: np.ndarray, rho: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Σ over respondents of score(ρ) · score(my thresholds), (pairs, top − 1)."""
    root = np.sqrt((1.0 - rho) * (1.0 + rho))[:, None, None]
    edge = np.zeros((len(rho), mine.shape[1], other.shape[1] + 2))
    edge[:, :, 1:-1] = ndtr((other[:, None, :] - rho[:, None, None] * mine[:, :, None]) / root)
    edge[:, :, -1] = 1.0
    density = np.exp(-0.5 * mine**2) / np.sqrt(2 * np.pi)
    slopes = np.diff(edge, axis=2) * density[:, :, None]
    return (slopes * (weight[:, :-1] - weight[:, 1:])).sum(axis=2)


def _explained(items: Items, which: np.ndarray, part: np.ndarray) -> np.ndarray:
    """By category: the score of ρ that the item's own thresholds account for."""
    coefficient = (items.inverse[which] @ part[:, :, None])[:, :, 0]
    return (items.scores[which] @ coefficient[:, :, None])[:, :, 0]


def threshold_influence(items: Items) -> np.ndarray:
    """How an answer in each category moves the thresholds, (p, top + 1, top − 1)."""
    return items.scores @ items.inverse


def standard_errors(influence: np.ndarray, squared: np.ndarray) -> np.ndarray:
    """Standard errors of ρ̂ from the tables alone; ``squared`` are the tables of the squared weights."""
    return np.sqrt(np.einsum("pcd,pcd,pcd->p", squared, influence, influence))
