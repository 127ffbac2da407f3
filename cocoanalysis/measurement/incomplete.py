"""Full-information maximum likelihood: rows with missing answers stay in.

Rows are grouped by which answers are missing. With P = Σ⁻¹ and m the missing variables of
a pattern, Σₒₒ⁻¹ = P − P.ₘ Pₘₘ⁻¹ Pₘ. and log|Σₒₒ| = log|Σ| + log|Pₘₘ|, so that a pattern
costs an inverse of the size of what is missing, and all patterns of one size are inverted
together. Filling missing cells with their conditional means x̂ makes the score P(x̂ − μ)
(Little & Rubin, 2002, ch. 11; Savalei, 2010, for the information matrices).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from cocoanalysis.measurement.estimators import NormalTheory
from cocoanalysis.measurement.implied import Structure, curvature, lower, moment_jacobian, pull_back
from cocoanalysis.measurement.samples import Sample


@dataclass(frozen=True)
class Pattern:
    """All patterns with the same number of missing variables."""

    missing: np.ndarray  # (patterns, k) positions of the missing variables
    rows: np.ndarray  # rows of the data …
    owner: np.ndarray  # … and the pattern (of these) that each has
    first: int  # number of the first of these patterns among all


@dataclass(frozen=True)
class Patterns:
    """The data with missing cells, sorted out by what is missing."""

    data: np.ndarray  # missing cells hold 0
    seen: np.ndarray  # bool, like data
    weights: np.ndarray  # one a row
    groups: tuple[Pattern, ...]
    pattern: np.ndarray  # pattern number of each row
    counts: np.ndarray  # weighted rows a pattern

    @classmethod
    def of(cls, data: np.ndarray, weights: np.ndarray | None = None) -> Patterns:
        seen = ~np.isnan(data)
        w = np.ones(len(data)) if weights is None else weights
        bits = np.packbits(seen, axis=1)
        _, first, inverse = np.unique(bits, axis=0, return_index=True, return_inverse=True)
        inverse = inverse.reshape(-1)
        unseen = ~seen[first]
        sizes = unseen.sum(axis=1)
        groups, new_number, count = [], np.zeros(len(first), dtype=int), 0
        for k in np.unique(sizes):
            members = np.flatnonzero(sizes == k)
            new_number[members] = count + np.arange(len(members))
            missing = np.nonzero(unseen[members])[1].reshape(len(members), k)
            inside = np.isin(inverse, members)
            rows = np.flatnonzero(inside)
            groups.append(Pattern(missing, rows, new_number[inverse[rows]] - count, count))
            count += len(members)
        pattern = new_number[inverse]
        counts = np.bincount(pattern, weights=w, minlength=count)
        return cls(np.where(seen, data, 0.0), seen, w, tuple(groups), pattern, counts)

    @property
    def n(self) -> float:
        return float(self.weights.sum())


@dataclass
class Expectation:
    """What the data say at given moments: log-likelihood, filled-in residuals and their left-over covariance."""

    loglik: float
    filled: np.ndarray  # x̂ − μ, (n, p)
    score: np.ndarray  # Σₒₒ⁻¹(x − μ), zero where missing, (n, p)
    spread: np.ndarray  # summed conditional covariance of the missing cells, (p, p)
    precision: np.ndarray  # P
    inverses: list[np.ndarray]  # Pₘₘ⁻¹ by group of patterns


def expectation(patterns: Patterns, mean: np.ndarray, cov: np.ndarray) -> Expectation | None:
    """One pass over the patterns; None when ``cov`` is not positive definite."""
    try:
        factor = np.linalg.cholesky(cov)
    except np.linalg.LinAlgError:
        return None
    p = len(cov)
    root = np.linalg.inv(factor)
    precision = root.T @ root
    logdet = 2 * np.log(np.diagonal(factor)).sum()
    filled = np.where(patterns.seen, patterns.data - mean, 0.0)
    pulled = filled @ precision
    spread, logdets = np.zeros(p * p), np.zeros(len(patterns.counts))
    inverses = []
    for group in patterns.groups:
        k = group.missing.shape[1]
        index = group.missing
        block = precision[index[:, :, None], index[:, None, :]]
        inverse = np.linalg.inv(block) if k > 1 else 1 / block if k else block
        inverses.append(inverse)
        if k == 0:
            continue
        here = slice(group.first, group.first + len(index))
        logdets[here] = np.linalg.slogdet(block)[1] if k > 1 else np.log(block[:, 0, 0])
        cells = index[group.owner]
        rows = group.rows[:, None]
        filled[rows, cells] = -np.einsum("nij,nj->ni", inverse[group.owner], pulled[rows, cells])
        flat = index[:, :, None] * p + index[:, None, :]
        weight = patterns.counts[here][:, None, None] * inverse
        spread += np.bincount(flat.ravel(), weights=weight.ravel(), minlength=p * p)
    score = filled @ precision
    observed = np.where(patterns.seen, patterns.data - mean, 0.0)
    distance = patterns.weights @ np.sum(observed * score, axis=1)
    cells_seen = patterns.weights @ patterns.seen.sum(axis=1)
    loglik = -0.5 * (cells_seen * np.log(2 * np.pi) + patterns.n * logdet + patterns.counts @ logdets + distance)
    return Expectation(float(loglik), filled, score, spread.reshape(p, p), precision, inverses)


def saturated(
    patterns: Patterns, tolerance: float = 1e-5, iterations: int = 5000
) -> tuple[np.ndarray, np.ndarray, float]:
    """Maximum likelihood means and covariances of incomplete data by EM, and their log-likelihood.

    Start and stopping rule (no moment moves by ``tolerance``) are lavaan's, so that robust statistics agree; where
    EM is slow the rule is about what is still to come, not about the last step.
    """
    seen = np.where(patterns.seen, patterns.weights[:, None], 0.0)
    mean = np.sum(seen * patterns.data, axis=0) / seen.sum(axis=0)
    centred = np.where(patterns.seen, patterns.data - mean, 0.0)
    cov = np.diag(np.sum(seen * centred**2, axis=0) / seen.sum(axis=0))
    last = np.inf
    for _ in range(iterations):
        found = expectation(patterns, mean, cov)
        if found is None:
            break
        shift = patterns.weights @ found.filled / patterns.n
        second = (found.filled * patterns.weights[:, None]).T @ found.filled
        new = (second + found.spread) / patterns.n - np.outer(shift, shift)
        moved = max(np.abs(shift).max(), np.abs(new - cov).max())
        mean, cov = mean + shift, new
        rate = min(moved / last, 0.9999)
        if moved < tolerance and (rate < 0.5 or moved * rate / (1 - rate) < tolerance / 10):
            break
        last = moved
    found = expectation(patterns, mean, cov)
    return mean, cov, -np.inf if found is None else found.loglik


def pattern_inverses(patterns: Patterns, found: Expectation) -> np.ndarray:
    """Σₒₒ⁻¹ of every pattern with zeros where missing, (patterns, p, p)."""
    p = len(found.precision)
    out = np.empty((len(patterns.counts), p, p))
    for group, inverse in zip(patterns.groups, found.inverses):
        here = slice(group.first, group.first + len(group.missing))
        rows = found.precision[group.missing]  # (R, k, p)
        out[here] = found.precision - np.swapaxes(rows, 1, 2) @ inverse @ rows
    return out


def saturated_information(patterns: Patterns, found: Expectation, kind: str = "observed") -> np.ndarray:
    """Information about (μ, vech Σ) per row: 'expected' given the patterns, or 'observed'."""
    w = pattern_inverses(patterns, found)
    p, n = w.shape[1], patterns.n
    i, j = lower(p)
    position = np.zeros((p, p), dtype=int)
    position[i, j] = position[j, i] = np.arange(len(i))
    flat = w[:, i, j]
    double = np.where(i == j, 1.0, 2.0)
    k = len(i)
    total = np.zeros((p + k, p + k))
    total[:p, :p] = np.tensordot(patterns.counts, w, axes=1) / n
    if kind == "expected":
        gram = (flat * patterns.counts[:, None]).T @ flat / n
    else:
        weighted_score = found.score * patterns.weights[:, None]
        order = np.argsort(patterns.pattern, kind="stable")
        edges = np.searchsorted(patterns.pattern[order], np.arange(len(patterns.counts) + 1))
        sorted_score, sorted_weighted = found.score[order], weighted_score[order]
        outer = np.empty_like(flat)
        for r, (first, last) in enumerate(pairwise(edges)):
            outer[r] = (sorted_weighted[first:last].T @ sorted_score[first:last])[i, j]
        sums = np.add.reduceat(sorted_weighted, edges[:-1], axis=0)
        other = 2 * outer - flat * patterns.counts[:, None]
        half = flat.T @ other / n
        gram = (half + half.T) / 2
        cross = sums.T @ flat / n  # (p, k): z_a W_bc
        mixed = (
            0.5
            * double[:, None]
            * (cross[i][np.arange(k)[:, None], position[j]] + cross[j][np.arange(k)[:, None], position[i]])
        )
        total[p:, :p], total[:p, p:] = mixed, mixed.T
    block = gram[position[np.ix_(i, i)], position[np.ix_(j, j)]] + gram[position[np.ix_(i, j)], position[np.ix_(j, i)]]
    total[p:, p:] = 0.25 * np.outer(double, double) * block
    return total


def saturated_scores(
    patterns: Patterns, found: Expectation, inverses: np.ndarray | None = None, rows: slice = slice(None)
) -> np.ndarray:
    """Gradient of each row's log-likelihood by (μ, vech Σ), (rows, p + p*)."""
    w = pattern_inverses(patterns, found) if inverses is None else inverses
    i, j = lower(w.shape[1])
    double, score = np.where(i == j, 1.0, 2.0), found.score[rows]
    expected = w[:, i, j] if len(w) == 1 else w[:, i, j][patterns.pattern[rows]]
    by_cov = 0.5 * double * (score[:, i] * score[:, j] - expected)
    return np.concatenate([score, by_cov], axis=1)


class FullInformation(NormalTheory):
    """Maximum likelihood over all rows, each with the variables it has."""

    def __init__(self, structure: Structure, samples: Sequence[Sample], patterns: Sequence[Patterns], h1: Sequence):
        self.structure, self.samples, self.meanstructure = structure, list(samples), True
        self.patterns, self.n_free = list(patterns), structure.n_free
        total = sum(p.n for p in patterns)
        self.total = total
        self.share = np.array([p.n / total for p in patterns])
        self.saturated_loglik = [h[2] for h in h1]
        self.h1 = [(h[0], h[1]) for h in h1]

    def value(self, theta: np.ndarray) -> float:
        total = 0.0
        for block, patterns, best in zip(self.structure.blocks, self.patterns, self.saturated_loglik):
            implied = block.implied(theta)
            found = expectation(patterns, implied.mean, implied.cov)
            if found is None:
                return np.inf
            total += (best - found.loglik) / self.total
        return float(total)

    def gradient(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        total, gradient = 0.0, np.zeros(self.n_free)
        for block, patterns, best in zip(self.structure.blocks, self.patterns, self.saturated_loglik):
            implied = block.implied(theta)
            found = expectation(patterns, implied.mean, implied.cov)
            if found is None:
                return np.inf, gradient
            total += (best - found.loglik) / self.total
            by_mean, by_cov = self._pull(patterns, found)
            gradient += pull_back(block.plan, implied, by_cov, by_mean)
        return float(total), gradient

    def _pull(self, patterns: Patterns, found: Expectation) -> tuple[np.ndarray, np.ndarray]:
        """Gradient of the discrepancy by μ and Σ."""
        weighted = found.score * patterns.weights[:, None]
        inner = found.precision @ found.spread @ found.precision
        by_cov = patterns.n * found.precision - inner - weighted.T @ found.score
        return -weighted.sum(axis=0) / self.total, 0.5 * by_cov / self.total

    def scoring(self, theta: np.ndarray, information: str = "expected") -> tuple[float, np.ndarray, np.ndarray]:
        value, gradient = self.gradient(theta)
        metric = np.zeros((self.n_free, self.n_free))
        if not np.isfinite(value):
            return value, gradient, metric
        return value, gradient, metric if information == "none" else self.expected(theta)

    def expected(self, theta: np.ndarray) -> np.ndarray:
        return self._information(theta, "expected")

    def _information(self, theta: np.ndarray, kind: str) -> np.ndarray:
        total = np.zeros((self.n_free, self.n_free))
        for block, patterns, share in zip(self.structure.blocks, self.patterns, self.share):
            implied = block.implied(theta)
            found = expectation(patterns, implied.mean, implied.cov)
            if found is None:
                return np.full_like(total, np.nan)
            jacobian = moment_jacobian(block, implied, True)
            total += share * (jacobian.T @ saturated_information(patterns, found, kind) @ jacobian)
        return total

    def observed(self, theta: np.ndarray) -> np.ndarray:
        total = self._information(theta, "observed")
        for block, patterns in zip(self.structure.blocks, self.patterns):
            implied = block.implied(theta)
            found = expectation(patterns, implied.mean, implied.cov)
            if found is None:
                return np.full_like(total, np.nan)
            by_mean, by_cov = self._pull(patterns, found)
            total += curvature(block, implied, by_cov, by_mean)
        return (total + total.T) / 2

    def scores(self, theta: np.ndarray) -> list[np.ndarray]:
        out = []
        for block, patterns in zip(self.structure.blocks, self.patterns):
            implied = block.implied(theta)
            found = expectation(patterns, implied.mean, implied.cov)
            assert found is not None
            out.append(saturated_scores(patterns, found) @ moment_jacobian(block, implied, True))
        return out
