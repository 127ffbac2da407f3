"""Careless answers: indices that flag them; nobody is removed here.

To add an index, write a function from `Sheet` to one number a response and put @index above
it; `screened` finds it in INDICES. The numerics are functions on arrays, missing answers NaN.

Cut-offs are conventions, not laws; each index names the one it uses by default, and those
without one are reported but flag nobody unless a cut-off is given.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import special

from cocoanalysis.errors import ResponseError, one_of
from cocoanalysis.responses.disclosure import Released, of_people
from cocoanalysis.responses.scoring import keyed
from cocoanalysis.result import Result
from cocoanalysis.threads import in_one_thread

BLOCK = 20_000  # rows worked on at once
EXACT = 14  # answers up to this size have exact sums of products in 32 bits over a block of rows

# Numbers on arrays (rows are people, columns items in the order in which they were asked) ------------


def long_strings(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Length of the longest run of identical answers, and the average length of all runs.

    A missing answer ends a run and belongs to none (Johnson, 2005, J. Res. Pers. 39, 103–129).
    """
    n = len(values)
    longest, current, runs, answered = (np.zeros(n, dtype=np.int32) for _ in range(4))
    before = np.full(n, np.nan, dtype=values.dtype)
    for column in np.ascontiguousarray(values.T):
        there, same = column == column, column == before
        current *= same
        current += there
        answered += there
        runs += there & ~same
        np.maximum(longest, current, out=longest)
        before = column
    average = np.divide(answered, runs, out=np.full(n, np.nan), where=runs > 0)
    return np.where(answered > 0, longest, np.nan), average


def variability(values: np.ndarray) -> np.ndarray:
    """Standard deviation (divisor n − 1) of a person's answers (Dunn et al., 2018: IRV)."""
    filled, there = _filled(values)
    ones = np.ones(values.shape[1], dtype=filled.dtype)
    count, total = (there @ ones).astype(float), (filled @ ones).astype(float)
    squares = np.einsum("ij,ij->i", filled, filled).astype(float) - total**2 / np.maximum(count, 1)
    variance = np.divide(squares, count - 1, out=np.full(len(values), np.nan), where=count > 1)
    return np.sqrt(np.maximum(variance, 0.0))


def _filled(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Answers with 0 for missing, and 1 where there is an answer, both of one floating type."""
    there = values == values
    return np.where(there, values, values.dtype.type(0)), there.astype(values.dtype)


def even_odd(values: np.ndarray, scales: Sequence[Sequence[int]]) -> np.ndarray:
    """Consistency of the odd with the even items over scales, stepped up to full length.

    The correlation, over scales, of a person's mean of the odd with the mean of the even items,
    r, as 2r / (1 + r) (Spearman–Brown). Fewer than three usable scales say nothing: NaN. Values
    below −1 come of negative r and mean: inconsistent.
    """
    pairs = [scale for scale in scales if len(scale) >= 2]
    filled, there = _filled(values)
    odd, even = (_part_means(filled, there, [scale[start::2] for scale in pairs]) for start in (0, 1))
    r = row_correlation(odd, even, least=3)
    with np.errstate(divide="ignore"):
        return 2 * r / (1 + r)


def _row_mean(values: np.ndarray) -> np.ndarray:
    return _part_means(*_filled(values), [range(values.shape[1])])[:, 0]


def _part_means(filled: np.ndarray, there: np.ndarray, parts: Sequence[Sequence[int]]) -> np.ndarray:
    """Mean of a person's answers to each part (columns), NaN where none is answered."""
    members = np.zeros((filled.shape[1], len(parts)), dtype=filled.dtype)
    for place, part in enumerate(parts):
        members[list(part), place] = 1
    count = (there @ members).astype(float)
    return np.divide(filled @ members, count, out=np.full(count.shape, np.nan), where=count > 0)


def row_correlation(first: np.ndarray, second: np.ndarray, least: int = 3) -> np.ndarray:
    """Correlation of each row of ``first`` with that of ``second``; NaN under ``least`` pairs or without spread."""
    both = ~(np.isnan(first) | np.isnan(second))
    count = both.sum(axis=1)
    a, b = np.where(both, first, 0.0), np.where(both, second, 0.0)
    safe = np.maximum(count, 1)[:, None]
    a = np.where(both, a - a.sum(axis=1, keepdims=True) / safe, 0.0)
    b = np.where(both, b - b.sum(axis=1, keepdims=True) / safe, 0.0)
    scale = np.sqrt(np.einsum("ij,ij->i", a, a) * np.einsum("ij,ij->i", b, b))
    usable = (count >= least) & (scale > 1e-10)
    r = np.divide(np.einsum("ij,ij->i", a, b), scale, out=np.full(len(first), np.nan), where=usable)
    return np.clip(r, -1, 1)


def pairwise_moments(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means, and covariances (divisor n − 1) over the rows that answered both items.

    Sums run over blocks of rows around a whole-number centre, so that they are exact for whole answers.
    """
    p = values.shape[1]
    first, there = _filled(values[:BLOCK])
    centre = np.round(first.sum(axis=0) / np.maximum(there.sum(axis=0), 1)).astype(values.dtype)
    counts, sums, products = np.zeros((p, p)), np.zeros((p, p)), np.zeros((p, p))
    for there_twice, across, within in _mapped(values, lambda block: _block_sums(block - centre)):
        counts += there_twice
        sums += across
        products += within
    means = centre + np.diag(sums) / np.maximum(np.diag(counts), 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        covariance = (products - sums * sums.T / counts) / (counts - 1)
    return means.astype(float), np.where(counts > 1, covariance, np.nan)


def _block_sums(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows that answered both items, sums of the first over these rows, and sums of products."""
    filled, there = _filled(values)
    return there.T @ there, filled.T @ there, filled.T @ filled


def _mapped(values: np.ndarray, compute: Callable[[np.ndarray], Any]) -> Iterator[Any]:
    """``compute`` of each block of rows, in order, on as many cores as there are."""
    blocks = [values[start : start + BLOCK] for start in range(0, len(values), BLOCK)]
    if len(blocks) < 2:
        yield from map(compute, blocks)
        return
    with ThreadPoolExecutor(min(len(blocks), os.cpu_count() or 1)) as pool:
        yield from pool.map(compute, blocks)


def item_pairs(correlations: np.ndarray, cut: float) -> list[tuple[int, int]]:
    """Pairs of items that correlate beyond ``cut`` (above a positive, below a negative one)."""
    rows, columns = np.tril_indices(len(correlations), -1)
    r = correlations[rows, columns]
    chosen = r > cut if cut > 0 else r < cut
    return list(zip(rows[chosen].tolist(), columns[chosen].tolist()))


def pair_consistency(values: np.ndarray, pairs: Sequence[tuple[int, int]]) -> np.ndarray:
    """A person's correlation over pairs of items that the sample answers alike (Meade & Craig, 2012)."""
    if len(pairs) < 3:
        return np.full(len(values), np.nan)
    first, second = (list(side) for side in zip(*pairs))
    return row_correlation(values[:, first], values[:, second])


def mahalanobis(values: np.ndarray, means: np.ndarray, covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Squared Mahalanobis distance over the answered items, and how many these were.

    With missing answers the distance is that of the answered part of the normal distribution:
    with z the centred answers (0 where missing), P the inverse covariance, m the missing part,
    D² = z'Pz − (Pz)ₘ' Pₘₘ⁻¹ (Pz)ₘ.
    """
    inverse = np.linalg.inv(covariance)
    missing = np.isnan(values)
    centred = np.where(missing, 0.0, values - means)
    half = centred @ inverse
    distance = np.einsum("ij,ij->i", half, centred)
    lacking = missing.sum(axis=1)
    for m in np.unique(lacking[(lacking > 0) & (lacking < values.shape[1])]):
        rows = np.flatnonzero(lacking == m)
        for part in np.array_split(rows, max(1, len(rows) * m * m // 5_000_000)):
            where = np.nonzero(missing[part])[1].reshape(len(part), m)
            side = np.take_along_axis(half[part], where, axis=1)
            distance[part] -= _quadratic(inverse, where, side)
    answered = values.shape[1] - lacking
    return np.where(answered > 0, np.maximum(distance, 0.0), np.nan), answered


def _quadratic(matrix: np.ndarray, where: np.ndarray, side: np.ndarray) -> np.ndarray:
    """s' A⁻¹ s for each row, A being the rows and columns ``where`` of a positive definite matrix.

    By elimination of one row after the other, for all people at once: the pivots d and the reduced
    right-hand sides y give the sum of y² / d.
    """
    m = where.shape[1]
    cells = {(i, j): matrix[where[:, i], where[:, j]] for i in range(m) for j in range(i, m)}
    reduced = [side[:, i].copy() for i in range(m)]
    total = np.zeros(len(where))
    for k in range(m):
        pivot = cells[k, k]
        total += reduced[k] ** 2 / pivot
        for i in range(k + 1, m):
            factor = cells[k, i] / pivot
            reduced[i] -= factor * reduced[k]
            for j in range(i, m):
                cells[i, j] -= factor * cells[k, j]
    return total


def guttman_errors(ranks: np.ndarray, steps: Sequence[int]) -> np.ndarray:
    """Normed Guttman errors over item steps, G / max G (Emons, 2008, Appl. Psychol. Meas. 32, 224–247).

    ``ranks`` are answers as 0 … steps of each item, complete. Steps (answer ≥ h) are ordered by
    how many pass them; an error is a pair of which the easier step is failed and the harder
    passed. The count is divided by the largest that a response pattern with the same total can
    reach; NaN where no error is possible.
    """
    table = _step_ranks(ranks, steps)
    passed, totals = np.zeros(len(ranks)), np.zeros(len(ranks), dtype=np.int64)
    for sums, column in zip(table, ranks.T):
        passed += np.take(sums, column)
        totals += column
    errors = passed - totals * (totals + 1) / 2
    ceiling = _largest_sums(table) - np.arange(sum(steps) + 1) * np.arange(1, sum(steps) + 2) / 2
    most = ceiling[totals]
    return np.divide(errors, most, out=np.full(len(ranks), np.nan), where=most > 0)


def _step_ranks(ranks: np.ndarray, steps: Sequence[int]) -> list[np.ndarray]:
    """For each item, the sum of the popularity ranks (1 = easiest) of its first 0, 1, … steps."""
    counts = [np.bincount(column, minlength=m + 1) for column, m in zip(ranks.T, steps)]
    passing = np.concatenate([np.cumsum(count[::-1])[::-1][1:] for count in counts])
    order = np.argsort(-passing, kind="stable")
    place = np.empty(len(order))
    place[order] = np.arange(1, len(order) + 1)
    parts = np.split(place, np.cumsum(steps)[:-1])
    return [np.concatenate([[0.0], np.cumsum(part)]) for part in parts]


def _largest_sums(table: Sequence[np.ndarray]) -> np.ndarray:
    """For each total of passed steps, the largest sum of ranks over patterns with that total."""
    best = np.zeros(1)
    for sums in table:
        wider = np.full(len(best) + len(sums) - 1, -np.inf)
        for h, value in enumerate(sums):
            np.maximum(wider[h : h + len(best)], best + value, out=wider[h : h + len(best)])
        best = wider
    return best


def two_way(values: np.ndarray, low: np.ndarray, high: np.ndarray, item_means: np.ndarray) -> np.ndarray:
    """Missing answers as person mean + item mean − overall mean, rounded into the scale (Bernaards & Sijtsma, 2000)."""
    rows, columns = np.nonzero(np.isnan(values))
    filled = values.copy()
    guess = np.nan_to_num(_row_mean(values)[rows]) + item_means[columns] - item_means.mean()
    filled[rows, columns] = np.clip(np.round(guess), low[columns], high[columns])
    return filled


def repeats(values: np.ndarray) -> np.ndarray:
    """How many other rows have exactly the same answers; 0 for rows that gave only one answer throughout."""
    weights = np.random.default_rng(0).integers(1, 2**40, (values.shape[1], 2)).astype(float)
    blocks = [_projected(values[start : start + BLOCK], weights) for start in range(0, len(values), BLOCK)]
    code = np.vstack(blocks) if blocks else np.zeros((0, 2))
    order = np.lexsort(code.T)
    fresh = np.concatenate([[True], (np.diff(code[order], axis=0) != 0).any(axis=1)])[: len(values)]
    group = np.empty(len(values), dtype=np.int64)
    group[order] = np.cumsum(fresh) - 1
    others = (np.bincount(group)[group] - 1).astype(float) if len(values) else np.zeros(0)
    found = np.flatnonzero(others > 0)
    others[found[~(variability(values[found]) > 0)]] = 0
    return others


def _projected(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Two random sums of a row's answers; of whole answers whole numbers below 2⁵³, so that equal rows agree "
    "exactly."""
    return np.nan_to_num(values.astype(float), nan=-1.0) @ weights


def acquiescence(share: np.ndarray, forward: Sequence[Sequence[int]], reverse: Sequence[Sequence[int]]) -> np.ndarray:
    """Agreement whatever the content: mean of unkeyed answers (0–1), forward and reverse items weighing alike.

    ``forward`` and ``reverse`` are the columns of each scale that has both; .5 means none.
    """
    if not forward:
        return np.full(len(share), np.nan)
    filled, there = _filled(share)
    return _row_mean((_part_means(filled, there, forward) + _part_means(filled, there, reverse)) / 2)


def extremity(values: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Share of a person's answers at either end of their scales."""
    count = np.count_nonzero(values == values, axis=1)
    ends = np.count_nonzero((values == low) | (values == high), axis=1)
    return np.divide(ends, count, out=np.full(len(values), np.nan), where=count > 0)


# Indices of a survey ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sheet:
    """The answers to be screened, in the order in which they were asked, with what the survey knows of them."""

    raw: np.ndarray
    items: tuple[Any, ...]
    scales: tuple[tuple[int, ...], ...]
    attention: np.ndarray
    expected: np.ndarray
    seconds: np.ndarray | None
    synonym_cut: float = 0.60
    antonym_cut: float = -0.60

    @property
    def low(self) -> np.ndarray:
        return np.array([item.scale.minimum for item in self.items], dtype=float)

    @property
    def high(self) -> np.ndarray:
        return np.array([item.scale.maximum for item in self.items], dtype=float)

    @cached_property
    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Means and pairwise covariances of the answers as given."""
        return pairwise_moments(self.raw)

    @cached_property
    def strings(self) -> np.ndarray:
        """Longest and average runs, two columns."""
        return self.in_blocks(self.raw, lambda values: np.column_stack(long_strings(values)))

    def in_blocks(self, values: np.ndarray, compute: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """``compute`` over blocks of rows, on as many cores as there are, so that memory stays bounded."""
        return np.concatenate(list(_mapped(values, compute))) if len(values) else compute(values)


class Index(NamedTuple):
    compute: Callable[[Sheet], np.ndarray]
    title: str
    careless: str  # which side of the cut-off is careless: above | below
    cut: float | Callable[[Sheet], float] | None
    convention: str


INDICES: dict[str, Index] = {}


def index(title: str, careless: str, cut: Any = None, convention: str = "") -> Callable[..., Any]:
    def register(compute: Callable[[Sheet], np.ndarray]) -> Callable[[Sheet], np.ndarray]:
        INDICES[compute.__name__] = Index(compute, title, careless, cut, convention)
        return compute

    return register


@index("Attention checks failed", "above", 0.5, "one failed check; an unanswered check is not failed")
def attention(sheet: Sheet) -> np.ndarray:
    if not len(sheet.expected):
        return np.full(len(sheet.raw), np.nan)
    asked = ~np.isnan(sheet.attention)
    failed = (asked & (sheet.attention != sheet.expected)).sum(axis=1)
    return np.where(asked.any(axis=1), failed, np.nan)


def _half_of_the_longest_block(sheet: Sheet) -> float:
    """Half of the items that follow each other on one response scale, at least six."""
    scales = [item.scale.id for item in sheet.items]
    runs = np.diff(np.flatnonzero(np.r_[True, [a != b for a, b in pairwise(scales)], True]))
    return max(6.0, float(runs.max() // 2) if len(runs) else 6.0) - 0.5


@index(
    "Longest run of identical answers", "above", _half_of_the_longest_block, "half of the items on one scale in a row"
)
def longstring(sheet: Sheet) -> np.ndarray:
    return sheet.strings[:, 0]


@index("Average run of identical answers", "above")
def avgstring(sheet: Sheet) -> np.ndarray:
    return sheet.strings[:, 1]


@index("Intra-individual variability", "below", 1e-9, "no variation at all")
def irv(sheet: Sheet) -> np.ndarray:
    return sheet.in_blocks(sheet.raw, variability)


@index("Even–odd consistency", "below", 0.30, "below .30")
def evenodd(sheet: Sheet) -> np.ndarray:
    return sheet.in_blocks(sheet.raw, lambda values: even_odd(keyed(values, sheet.items), sheet.scales))


def _correlations(covariance: np.ndarray) -> np.ndarray:
    spread = np.sqrt(np.diag(covariance))
    with np.errstate(invalid="ignore", divide="ignore"):
        return covariance / np.outer(spread, spread)


@index("Psychometric synonyms", "below", 0.22, "below .22, pairs with r > .60 in this sample")
def synonyms(sheet: Sheet) -> np.ndarray:
    pairs = item_pairs(_correlations(sheet.moments[1]), sheet.synonym_cut)
    return sheet.in_blocks(sheet.raw, lambda values: pair_consistency(values, pairs))


@index("Psychometric antonyms", "above", -0.03, "above −.03, pairs with r < −.60 in this sample")
def antonyms(sheet: Sheet) -> np.ndarray:
    pairs = item_pairs(_correlations(sheet.moments[1]), sheet.antonym_cut)
    return sheet.in_blocks(sheet.raw, lambda values: pair_consistency(values, pairs))


@index("Mahalanobis distance, p", "below", 0.001, "p < .001 on χ² with as many degrees of freedom as answers")
def mahalanobis_p(sheet: Sheet) -> np.ndarray:
    means, covariance = sheet.moments
    if not np.isfinite(covariance).all() or np.linalg.eigvalsh(covariance)[0] < 1e-8 * np.diag(covariance).max():
        return np.full(len(sheet.raw), np.nan)

    def tail(values: np.ndarray) -> np.ndarray:
        distance, answered = mahalanobis(values.astype(float), means, covariance)
        return special.chdtrc(np.maximum(answered, 1), distance)

    return sheet.in_blocks(sheet.raw, tail)


@index("Person fit: normed Guttman errors", "above", None, "no accepted cut-off")
def gnormed(sheet: Sheet) -> np.ndarray:
    keyed_means = np.array(
        [keyed(np.array([[mean]]), [item])[0, 0] for mean, item in zip(sheet.moments[0], sheet.items)]
    )
    if np.isnan(sheet.moments[0]).any():
        return np.full(len(sheet.raw), np.nan)
    codes = [np.asarray(item.scale.codes or range(item.scale.minimum, item.scale.maximum + 1)) for item in sheet.items]
    ranks = np.empty(sheet.raw.shape, dtype=np.int16, order="F")
    enough = np.empty(len(sheet.raw), dtype=bool)
    for start in range(0, len(sheet.raw), BLOCK):
        rows = slice(start, start + BLOCK)
        values = keyed(sheet.raw[rows], sheet.items)
        enough[rows] = (values == values).mean(axis=1) >= 0.5
        ranks[rows] = _as_ranks(two_way(values, sheet.low, sheet.high, keyed_means), codes)
    found = np.full(len(ranks), np.nan)
    if enough.all():
        return guttman_errors(ranks, [len(code) - 1 for code in codes])
    found[enough] = guttman_errors(ranks[enough], [len(code) - 1 for code in codes])
    return found


def _as_ranks(values: np.ndarray, codes: Sequence[np.ndarray]) -> np.ndarray:
    """Codes as 0, 1, … in the order of each item's scale."""
    if all((np.diff(code) == 1).all() for code in codes):
        return values - np.array([code[0] for code in codes], dtype=values.dtype)
    return np.column_stack([np.searchsorted(code, column) for code, column in zip(codes, values.T)])


@index("Seconds an answered item", "below", 2.0, "less than two seconds an item")
def pace(sheet: Sheet) -> np.ndarray:
    if sheet.seconds is None:
        return np.full(len(sheet.raw), np.nan)
    answered = np.count_nonzero(sheet.raw == sheet.raw, axis=1)
    return np.divide(sheet.seconds, answered, out=np.full(len(sheet.raw), np.nan), where=answered > 0)


@index("Rows with identical answers", "above", 0.5, "another row has exactly the same answers to 15 items or more")
def duplicate(sheet: Sheet) -> np.ndarray:
    return np.where(np.count_nonzero(sheet.raw == sheet.raw, axis=1) >= 15, repeats(sheet.raw), np.nan)


@index("Acquiescence", "above", None, "a style, not carelessness: .5 is none")
def acquiescing(sheet: Sheet) -> np.ndarray:
    keys = np.array([item.key for item in sheet.items])
    both = [scale for scale in sheet.scales if len(set(keys[list(scale)])) == 2]
    sides = [[[i for i in scale if keys[i] == key] for scale in both] for key in (1, -1)]
    low, width = (bound.astype(sheet.raw.dtype) for bound in (sheet.low, sheet.high - sheet.low))
    return sheet.in_blocks(sheet.raw, lambda values: acquiescence((values - low) / width, *sides))


@index("Extreme answers", "above", None, "a style, not carelessness")
def extreme(sheet: Sheet) -> np.ndarray:
    low, high = sheet.low.astype(sheet.raw.dtype), sheet.high.astype(sheet.raw.dtype)
    return sheet.in_blocks(sheet.raw, lambda values: extremity(values, low, high))


# Screening a sample ---------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class Screening(Result):
    """What the indices of careless answering say about a sample.

    ``indices`` has one row a response and one column an index; ``flags`` the same as true/false,
    columns flag_NAME, with ``careless_flags``, their number.
    """

    indices: pd.DataFrame
    flags: pd.DataFrame
    cutoffs: dict[str, float | None]
    provenance: str = "yours"
    settings: dict[str, Any] = field(default_factory=dict)
    title: str = "Screening for careless answers"

    def tidy(self) -> pd.DataFrame:
        """One row an index: index, title, careless, cutoff, convention, n, n_flagged, share_flagged, mean, sd, note."""
        return pd.DataFrame([self._row(str(name)) for name in self.indices])

    def glance(self) -> pd.DataFrame:
        """One row: n, indices, n_flagged_once, n_flagged_twice."""
        counts = self.flags["careless_flags"]
        return pd.DataFrame(
            {
                "n": [len(counts)],
                "indices": [sum(cut is not None for cut in self.cutoffs.values())],
                "n_flagged_once": [int((counts >= 1).sum())],
                "n_flagged_twice": [int((counts >= 2).sum())],
            }
        )

    def notes(self) -> list[str]:
        return [*super().notes(), "Flags only: exclusion is a rule of the plan (responses.exclude)."]

    def counts(self) -> list[tuple[str, int]]:
        """For the ledger: what was flagged by which cut-off, and how many rows."""
        words = {
            name: f"flag_{name}: {INDICES[name].careless} {cut:.4g}"
            for name, cut in self.cutoffs.items()
            if cut is not None
        }
        return [(rule, int(self.flags[f"flag_{name}"].sum())) for name, rule in words.items()]

    def kept(self, rows: np.ndarray) -> Screening:
        """The same indices for some of the rows; cut-offs stay those of the whole sample."""
        return replace(self, indices=self.indices[rows], flags=self.flags[rows])

    def _row(self, name: str) -> dict[str, Any]:
        values, cut = self.indices[name], self.cutoffs[name]
        finite = values[np.isfinite(values)]
        flagged = int(self.flags[f"flag_{name}"].sum()) if cut is not None else 0
        return {
            "index": name,
            "title": INDICES[name].title,
            "careless": INDICES[name].careless,
            "cutoff": np.nan if cut is None else cut,
            "convention": INDICES[name].convention,
            "n": int(values.notna().sum()),
            "n_flagged": flagged if cut is not None else pd.NA,
            "share_flagged": flagged / len(values) if cut is not None and len(values) else np.nan,
            "mean": finite.mean() if len(finite) else np.nan,
            "sd": finite.std() if len(finite) > 1 else np.nan,
            "note": "" if values.notna().any() else NOT_AVAILABLE.get(name, "not available for these answers"),
        }


NOT_AVAILABLE = {
    "attention": "the survey has no attention check, or nobody answered one",
    "synonyms": "fewer than three pairs of items correlate that highly",
    "antonyms": "fewer than three pairs of items correlate that negatively",
    "pace": "no column 'seconds'",
    "mahalanobis_p": "the covariance matrix of the items is singular",
    "acquiescing": "no scale has both forward and reverse-keyed items",
    "duplicate": "fewer than 15 items answered: identical answers may be chance",
    "evenodd": "fewer than three scales of two items",
}


@in_one_thread  # rows are shared out among the cores already
def screened(responses: Any, indices: str | Iterable[str] | None = None, **cutoffs: float | None) -> Screening:
    """Compute indices of careless answering and flag what lies beyond their cut-offs.

    Parameters
    ----------
    responses : Responses
    indices : names of INDICES; None for all
    cutoffs : name=value sets a cut-off, name=None reports the index without flagging;
        synonym_cut, antonym_cut set how highly pairs of items must correlate (±.60)

    Raises
    ------
    ResponseError : UnknownIndex
    """
    names = list(INDICES) if indices is None else [indices] if isinstance(indices, str) else list(indices)
    pairs = {key: cutoffs.pop(key) for key in ("synonym_cut", "antonym_cut") if key in cutoffs}
    for name in [*names, *cutoffs]:
        one_of(name, INDICES, "index of careless answering", error=ResponseError, code="UnknownIndex")
    sheet = sheet_of(responses, **pairs)
    frame = responses.answers
    values = pd.DataFrame({name: INDICES[name].compute(sheet) for name in names}, index=frame.index)
    cuts = {name: cutoffs.get(name, _cut(INDICES[name], sheet)) for name in names}
    marked = {
        f"flag_{name}": _flagged(values[name], INDICES[name], cut) for name, cut in cuts.items() if cut is not None
    }
    flags = pd.DataFrame(marked, index=frame.index)
    flags["careless_flags"] = flags.sum(axis=1).astype("int64")
    settings = {**cuts, "synonym_cut": sheet.synonym_cut, "antonym_cut": sheet.antonym_cut}
    values, flags = (of_people(table, responses.provenance) for table in (values, flags))
    return Screening(values, flags, cuts, responses.provenance, settings)


def _cut(one: Index, sheet: Sheet) -> float | None:
    return one.cut(sheet) if callable(one.cut) else one.cut


def _flagged(values: pd.Series, one: Index, cut: float) -> pd.Series:
    """Beyond the cut-off; an index that could not be computed flags nobody."""
    return (values > cut if one.careless == "above" else values < cut).astype(bool)


def sheet_of(responses: Any, **pairs: Any) -> Sheet:
    """The items of the survey in the order in which they were asked, without those nobody was asked."""
    survey, frame = responses.survey, responses.answers
    asked = [id for name in survey.order if name in survey.constructs for id in survey.constructs[name].items]
    order = [id for id in dict.fromkeys([*asked, *survey.item_ids()]) if id in frame and frame[id].notna().any()]
    names = [id for id in order if id not in survey.attention]
    if not names:
        raise ResponseError("Nobody answered any item; there is nothing to screen.", code="EmptyResponses")
    items = tuple(survey.items[id] for id in names)
    widest = max(max(abs(item.scale.minimum), abs(item.scale.maximum)) for item in items)
    raw = np.empty((len(frame), len(names)), dtype=np.float32 if widest <= EXACT else np.float64)
    for place, id in enumerate(names):
        raw[:, place] = frame[id].to_numpy(dtype=raw.dtype, na_value=np.nan)
    checks = [id for id in survey.attention if id in frame]
    scales = [tuple(names.index(id) for id in one.items if id in names) for one in survey.constructs.values()]
    return Sheet(
        raw=raw,
        items=items,
        scales=tuple(scale for scale in scales if len(scale) > 1),
        attention=frame[checks].to_numpy(dtype=float, na_value=np.nan),
        expected=np.array([survey.attention[id].expected for id in checks], dtype=float),
        seconds=frame["seconds"].to_numpy(dtype=float, na_value=np.nan) if "seconds" in frame else None,
        **pairs,
    )


def with_and_without(responses: Any, rule: str, analysis: Callable[[Any], pd.DataFrame] | None = None) -> pd.DataFrame:
    """The same table computed with all responses and without those that a rule leaves out.

    Parameters
    ----------
    rule : as in responses.exclude, such as 'careless_flags >= 2'
    analysis : from Responses to a table; by default n, mean and standard deviation of every score

    Returns
    -------
    One table with the columns of the analysis and, first, ``sample``: 'all' or 'without RULE'. Of real
    answers, rows without RULE are blank where fewer people than the threshold make the difference:
    both together would tell about those few.
    """
    compute = analysis or (lambda some: some.scored().tidy()[["score", "n", "mean", "sd"]])
    without = responses.exclude(rule)
    tables = {"all": compute(responses), f"without {rule}": compute(without)}
    if "n" in tables["all"]:
        release = Released()
        tables = {name: _admitted(table, release, responses.provenance) for name, table in tables.items()}
    if len(without) == len(responses):
        tables = {f"all (nobody meets {rule})": tables["all"]}
    return pd.concat([table.assign(sample=name) for name, table in tables.items()], ignore_index=True)[
        ["sample", *tables[next(iter(tables))].columns]
    ]


def _admitted(table: pd.DataFrame, release: Released, provenance: str) -> pd.DataFrame:
    keys = [str(name) for name in table if not pd.api.types.is_numeric_dtype(table[name].dtype)]
    return release.admit(table, keys, provenance=provenance).table if keys else table
