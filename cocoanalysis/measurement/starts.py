"""Where the search begins: loadings by the centroid method, paths by regression on the factors so found.

Starting values decide the sign of a factor (its first indicator loads positively) and the
number of iterations, never the estimates. A second start is drawn around the first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from cocoanalysis.measurement.implied import Block, Structure
from cocoanalysis.measurement.parameters import Parameter, ParameterTable


def starting_values(
    table: ParameterTable,
    structure: Structure,
    covariances: Sequence[np.ndarray],
    means: Sequence[np.ndarray],
    thresholds: Sequence[dict[tuple[str, int], float]] | None = None,
) -> np.ndarray:
    """One value a free parameter; tied rows get the mean of what each would start from."""
    total, count = np.zeros(table.n_free), np.zeros(table.n_free)
    for k, (block, key) in enumerate(zip(structure.blocks, structure.keys)):
        rows = [r for r in table.rows if (r.group, r.level) == key]
        guess = _Guess(block, rows, covariances[k], means[k], thresholds[k] if thresholds else {})
        for row in rows:
            if row.free >= 0:
                total[row.free] += guess.of(row)
                count[row.free] += 1
    theta = total / np.maximum(count, 1)
    for row in table.rows:
        if row.free >= 0 and not np.isnan(row.start):
            theta[row.free] = row.start
    return theta


def another_start(theta: np.ndarray, table: ParameterTable, rng: np.random.Generator) -> np.ndarray:
    """The same start with loadings, paths and covariances shaken; variances stay positive."""
    shaken = theta.copy()
    for place, index in enumerate(table.free_rows):
        row = table.rows[index]
        if row.op == "~~" and row.lhs == row.rhs:
            shaken[place] = abs(theta[place]) * np.exp(rng.normal(0, 0.4)) + 0.01
        elif row.op in ("=~", "~", "~~"):
            shaken[place] = theta[place] * np.exp(rng.normal(0, 0.3)) + rng.normal(0, 0.05)
    return shaken


class _Guess:
    """Covariances of everything, observed and latent, grown factor by factor."""

    def __init__(self, block: Block, rows: Sequence[Parameter], cov: np.ndarray, mean: np.ndarray, thresholds: dict):
        self.block, self.rows, self.thresholds = block, rows, thresholds
        self.at = {name: i for i, name in enumerate(block.observed)}
        self.mean = dict(zip(block.observed, mean))
        self.cov = np.zeros((block.p + len(block.latent),) * 2)  # a factor's row is filled when its turn comes
        self.cov[: block.p, : block.p] = cov
        self.sd = np.sqrt(np.maximum(np.diagonal(self.cov), 1e-12))
        self.loading: dict[tuple[str, str], float] = {}
        self.factors_of: dict[str, list[tuple[str, float]]] = {}  # variable → the factors it loads on
        self.indicators = {r.rhs for r in rows if r.op == "=~"}
        self.outcomes = {r.lhs for r in rows if r.op == "~"}
        for name in self._ordered_latents():
            self._add_factor(name)
        self.latent_mean = self._latent_means()

    def _ordered_latents(self) -> list[str]:
        waiting, done = list(self.block.latent), []
        indicators = {f: {r.rhs for r in self.rows if r.op == "=~" and r.lhs == f} for f in waiting}
        while waiting:
            ready = [f for f in waiting if not (indicators[f] & (set(waiting) - {f}))] or waiting[:1]
            done += ready
            waiting = [f for f in waiting if f not in ready]
        return done

    def _add_factor(self, name: str) -> None:
        own = [r for r in self.rows if r.op == "=~" and r.lhs == name and r.rhs in self.at]
        where = [self.at[r.rhs] for r in own]
        loadings = _centroid(self.cov[np.ix_(where, where)]) if own else np.ones(0)
        scale = self._scale(name, own, loadings)
        loadings = loadings / scale
        used = np.array([x if r.free >= 0 or np.isnan(r.value) else r.value for x, r in zip(loadings, own)])
        for row, x in zip(own, used):
            self.loading[name, row.rhs] = float(x)
            self.factors_of.setdefault(row.rhs, []).append((name, float(x)))
        size = float(used @ used)
        cross = used @ self.cov[where] / size if size > 0 else np.zeros(len(self.cov))
        bound = 0.9 * abs(scale) * self.sd
        k = self.at[name] = len(self.at)
        self.cov[k] = self.cov[:, k] = np.minimum(np.maximum(cross, -bound), bound)
        self.cov[k, k], self.sd[k] = scale**2, max(abs(scale), 1e-6)

    def _scale(self, name: str, own: Sequence[Parameter], loadings: np.ndarray) -> float:
        """The factor's standard deviation in the metric that the model sets."""
        for row in self.rows:
            if row.op == "~~" and row.lhs == row.rhs == name and row.free < 0:
                return float(np.sqrt(row.value)) if row.value > 0 else 1.0
        fixed = [(x, row.value) for row, x in zip(own, loadings) if row.free < 0 and row.value != 0.0]
        if not fixed:
            return 1.0
        scale = float(sum(x * given for x, given in fixed) / sum(given * given for _, given in fixed))
        usual = float(sum(abs(x / given) for x, given in fixed)) / len(fixed)
        return math.copysign(max(abs(scale), 0.3 * usual, 1e-3), scale)

    def _latent_means(self) -> dict[str, float]:
        free = [r.lhs for r in self.rows if r.op == "~1" and r.free >= 0 and r.lhs in self.block.latent]
        known = [r.lhs for r in self.rows if r.op == "~1" and r.free < 0 and r.lhs in self.mean]
        if not free or not known:
            return {}
        design = np.array([[self.loading.get((f, y), 0.0) for f in free] for y in known])
        solved, *_ = np.linalg.lstsq(design, np.array([self.mean[y] for y in known]), rcond=1e-6)
        return dict(zip(free, solved))

    def of(self, row: Parameter) -> float:
        if row.op == "=~":
            return self.loading.get((row.lhs, row.rhs), 1.0) * self._stretch(row.rhs)
        if row.op == "~":
            return self._path(row)
        if row.op == "~~":
            return self._variance(row) if row.lhs == row.rhs else self._covariance(row)
        if row.op == "~1":
            if row.lhs in self.block.latent:
                return self.latent_mean.get(row.lhs, 0.0)
            return float(self.mean.get(row.lhs, 0.0))
        if row.op == "|":
            return self.thresholds.get((row.lhs, int(row.rhs[1:])), 0.0) * self._stretch(row.lhs)
        return 1.0

    def _stretch(self, name: str) -> float:
        """Under theta scaling an ordered variable's residual is 1, so loadings grow by 1/√(1 − h²)."""
        if not self.block.theta_scaled or name not in self.block.observed:
            return 1.0
        i = self.block.observed.index(name)
        return 1 / np.sqrt(1 - self._communality(name)) if self.block.ordered[i] else 1.0

    def _communality(self, name: str) -> float:
        own = self.factors_of.get(name, [])
        variance = self.cov[self.at[name], self.at[name]]
        total = sum(
            a * b * (self.cov[self.at[f], self.at[g]] if f == g else 0.5 * self.cov[self.at[f], self.at[g]])
            for f, a in own
            for g, b in own
        )
        return min(max(float(total / variance), 0.05), 0.9) if variance > 0 else 0.5

    def _variance(self, row: Parameter) -> float:
        name = row.lhs
        if name not in self.at:
            return 1.0
        variance = float(self.cov[self.at[name], self.at[name]])
        if name in self.outcomes:
            return max(variance * (1 - self._regression(name)[1]), 0.1 * variance)
        if name in self.factors_of:
            return variance * (1 - self._communality(name))
        return variance

    def _covariance(self, row: Parameter) -> float:
        inner = self.indicators | self.outcomes
        if row.lhs in inner or row.rhs in inner or row.lhs not in self.at or row.rhs not in self.at:
            return 0.0
        return 0.8 * float(self.cov[self.at[row.lhs], self.at[row.rhs]])

    def _path(self, row: Parameter) -> float:
        if row.lhs not in self.at or row.rhs not in self.at:
            return 0.0
        names = [r.rhs for r in self.rows if r.op == "~" and r.lhs == row.lhs and r.rhs in self.at]
        return float(self._regression(row.lhs)[0][names.index(row.rhs)])

    def _regression(self, name: str) -> tuple[np.ndarray, float]:
        names = [r.rhs for r in self.rows if r.op == "~" and r.lhs == name and r.rhs in self.at]
        if not names or name not in self.at:
            return np.zeros(len(names)), 0.0
        where, y = [self.at[n] for n in names], self.at[name]
        inner = self.cov[np.ix_(where, where)]
        inner = inner + 0.05 * np.diag(np.diag(inner))
        slopes = np.linalg.lstsq(inner, self.cov[where, y], rcond=1e-8)[0]
        return slopes, float(np.clip(slopes @ self.cov[where, y] / self.cov[y, y], 0.0, 0.9))


def _centroid(cov: np.ndarray) -> np.ndarray:
    """One factor's loadings from row sums, signs set so that the first is positive (Thurstone, 1931)."""
    sd = np.sqrt(np.maximum(np.diagonal(cov), 1e-12))
    k = len(sd)
    if k == 1:
        return sd * 0.9
    off = cov / (sd[:, None] * sd)
    off.flat[:: k + 1] = 0.0
    sign = np.where(off[0] < 0, -1.0, 1.0)
    communality = np.minimum(np.maximum(np.abs(off).max(axis=1), 0.1), 0.9)
    sums = sign * (off @ sign) + communality
    total = max(float(sums.sum()), 1e-3)
    loadings = np.minimum(np.maximum(sums / math.sqrt(total), -0.95), 0.95)
    loadings[0] = max(loadings[0], 0.2)
    return sign * loadings * sd
