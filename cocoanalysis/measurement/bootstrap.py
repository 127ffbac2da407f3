"""Bootstrap of a fit: rows (or whole clusters) drawn anew within groups, each replicate refitted from the estimate.

Complete continuous data under maximum likelihood need only moments: all replicates' moments
come from one matrix product, and one batched search (BFGS in the metric of the information)
fits them together. Everything else is refitted one replicate after the other.
Failed and inadmissible replicates are counted, never replaced.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import stats

from cocoanalysis.errors import CocoError, Diagnostic
from cocoanalysis.measurement.fitting import minimise
from cocoanalysis.measurement.implied import Structure, cell_columns, lower, structure
from cocoanalysis.measurement.inference import Problem
from cocoanalysis.measurement.parameters import ParameterTable, build

ENOUGH = 1e-13  # squared length of the last step, in units of the information per row
ROUNDS = 80
TOLERATED = 0.05  # share of failed replicates above which intervals are flagged


@dataclass(frozen=True)
class Replicates:
    """Estimates of the replicates that succeeded, and how many did not."""

    table: ParameterTable
    estimates: np.ndarray  # (succeeded, n_free)
    asked: int
    failed: int
    inadmissible: int

    @property
    def covariance(self) -> np.ndarray:
        return np.atleast_2d(np.cov(self.estimates.T, bias=True))

    @property
    def defined(self) -> np.ndarray:
        """Defined parameters of each replicate, (succeeded, definitions)."""
        scope = self.table.scope(self.estimates.T, slopes=False)
        columns = [np.asarray(scope[c.lhs].value) + np.zeros(len(self.estimates)) for c in self.table.definitions]
        return np.array(columns).T.reshape(len(self.estimates), len(columns))

    @property
    def defined_errors(self) -> np.ndarray:
        found = self.defined
        return np.std(found, axis=0) if found.shape[1] else np.zeros(0)

    def limits(self, est: np.ndarray, kind: str = "percentile", level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
        """Interval of every row of the table and every definition; fixed rows have none to speak of."""
        lower_, upper = est.copy(), est.copy()
        places = [row.free for row in self.table.rows]
        columns = [self.estimates[:, k] if k >= 0 else None for k in places] + list(self.defined.T)
        for i, column in enumerate(columns):
            if column is not None:
                lower_[i], upper[i] = _interval(column, est[i], kind, level)
        return lower_, upper

    def diagnostics(self) -> list[Diagnostic]:
        """What a reader must know of the replicates (case 71)."""
        found = []
        if self.failed:
            many = self.failed > TOLERATED * self.asked
            found.append(
                Diagnostic(
                    "BootstrapFailures",
                    f"{self.failed} of {self.asked} bootstrap replicates did not converge"
                    + ("; the intervals rest on the survivors and cannot be trusted." if many else "."),
                    "error" if many else "note",
                )
            )
        if self.inadmissible:
            found.append(
                Diagnostic(
                    "BootstrapInadmissible",
                    f"{self.inadmissible} of {self.asked} bootstrap replicates have a negative variance or a "
                    "correlation above 1; they are kept, since leaving them out would bias the intervals.",
                    "note",
                )
            )
        return found


def _interval(column: np.ndarray, est: float, kind: str, level: float) -> tuple[float, float]:
    """Percentile or bias-corrected percentile limits (Efron & Tibshirani, 1993, ch. 13–14), quantiles of type 6."""
    tail = (1 - level) / 2
    low, high = tail, 1 - tail
    if kind == "bias_corrected":
        below = np.clip(np.mean(column < est), 0.5 / len(column), 1 - 0.5 / len(column))
        shift = 2 * stats.norm.ppf(below)
        low, high = stats.norm.cdf(shift + stats.norm.ppf([tail, 1 - tail]))
    limits = np.quantile(column, [low, high], method="weibull")
    return float(limits[0]), float(limits[1])


def bootstrap(prepared: Any, theta: np.ndarray, count: int, seed: int | None) -> Replicates:
    """``count`` replicates of the fit whose estimate is ``theta``."""
    rng = np.random.default_rng(seed)
    problem = prepared.problem
    moments_suffice = (
        problem.ordinal is None
        and problem.patterns is None
        and problem.estimator.likelihood
        and not problem.constraints
        and all(s.weights is None and s.cluster is None for s in problem.samples)
    )
    estimates = _batched(prepared, theta, count, rng) if moments_suffice else _one_by_one(prepared, theta, count, rng)
    arrived = estimates[np.all(np.isfinite(estimates), axis=1)]
    bad = _inadmissible(problem, arrived)
    return Replicates(problem.table, arrived, count, count - len(arrived), bad)


def _inadmissible(problem: Problem, estimates: np.ndarray) -> int:
    bad = np.zeros(len(estimates), dtype=bool)
    for row in problem.table.rows:
        if row.op == "~~" and row.lhs == row.rhs and row.free >= 0:
            bad |= estimates[:, row.free] < 0
    for block in problem.structure.blocks:
        k = len(block.latent)
        if k > 1 and len(estimates):
            cov = block.implied(estimates).latent_cov[:, :k, :k]
            bad |= np.linalg.eigvalsh(cov)[:, 0] < -1e-10
    return int(bad.sum())


# One after the other ------------------------------------------------------------------------------


def _one_by_one(prepared: Any, theta: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    out = np.full((count, len(theta)), np.nan)
    for k in range(count):
        try:
            problem = prepared.resampled(rng)
            if problem.table.n_free != len(theta):
                continue  # a category was not drawn
            found = minimise(problem.discrepancy, theta, problem.constraints)
        except (CocoError, np.linalg.LinAlgError):
            continue
        if found.converged:
            out[k] = found.theta
    return out


# All at once --------------------------------------------------------------------------------------


def _batched(prepared: Any, theta: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    problem = prepared.problem
    layout, start, back = _random_x(prepared, theta)
    moments = [_resampled_moments(s.data, count, rng) for s in problem.samples]
    search = _Search(layout, moments, problem.share, problem.meanstructure)
    return search.run(np.tile(start, (count, 1)))[:, back]


def _random_x(prepared: Any, theta: np.ndarray) -> tuple[Structure, np.ndarray, np.ndarray]:
    """The model with its covariates' moments as parameters (each replicate has its own), and where ours are."""
    table = prepared.problem.table
    if not any(row.exogenous for row in table.rows):
        return prepared.problem.structure, theta, np.arange(len(theta))
    wide = build(prepared.model, replace(table.options, fixed_x=False))
    values = table.values(theta)
    key = {(r.lhs, r.op, r.rhs, r.group): (values[i], r.free) for i, r in enumerate(table.rows)}
    start, back = np.zeros(wide.n_free), np.zeros(len(theta), dtype=int)
    for row in wide.rows:
        if row.free >= 0:
            value, place = key[row.lhs, row.op, row.rhs, row.group]
            start[row.free] = value
            if place >= 0:
                back[place] = row.free
    return structure(wide), start, back


def _resampled_moments(data: np.ndarray, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Means and covariances of ``count`` resamples, from how often each row was drawn."""
    n, p = data.shape
    centred = data - data.mean(axis=0)
    i, j = lower(p)
    second = centred[:, i] * centred[:, j]
    means, products = np.empty((count, p)), np.empty((count, len(i)))
    for first in range(0, count, 256):
        here = slice(first, min(first + 256, count))
        drawn = rng.integers(0, n, size=(here.stop - first, n))
        rows = drawn + n * np.arange(len(drawn))[:, None]
        times = np.bincount(rows.ravel(), minlength=n * len(drawn)).reshape(-1, n).astype(float) / n
        means[here], products[here] = times @ centred, times @ second
    cov = np.empty((count, p, p))
    cov[:, i, j] = cov[:, j, i] = products - means[:, i] * means[:, j]
    return means + data.mean(axis=0), cov


class _Search:
    """Batched BFGS for normal-theory discrepancies; replicates leave the batch when they arrive."""

    def __init__(self, layout: Structure, moments, share: np.ndarray, meanstructure: bool):
        self.layout, self.moments, self.share, self.meanstructure = layout, moments, share, meanstructure
        self.constants = [np.linalg.slogdet(cov)[1] + cov.shape[-1] for _, cov in moments]

    def evaluate(self, theta: np.ndarray, rows: np.ndarray, *, metric: bool = False):
        """Value, gradient (and expected information) of the replicates ``rows`` at their ``theta``."""
        value, gradient = np.zeros(len(rows)), np.zeros(theta.shape)
        information = np.zeros((len(rows), theta.shape[1], theta.shape[1])) if metric else None
        for block, (mean, cov), share, constant in zip(self.layout.blocks, self.moments, self.share, self.constants):
            implied = block.implied(theta)
            inverse, logdet = _inverse(implied.cov)
            spread = cov[rows]
            plan = block.plan
            u, v, dmean = cell_columns(plan, implied)
            d = mean[rows] - implied.mean if self.meanstructure else None
            if d is not None:
                spread = spread + d[:, :, None] * d[:, None, :]
            product = inverse @ spread
            trace = np.trace(product, axis1=1, axis2=2)
            value += share * 0.5 * (logdet + trace - constant[rows])
            cells = plan.c * np.sum(u * ((inverse - product @ inverse) @ v), axis=1)
            if d is not None:
                cells = cells - np.sum((inverse @ d[:, :, None]) * dmean, axis=1)
            gradient += share * (cells @ plan.select)
            if information is not None:
                information += share * _information(u, v, dmean if d is not None else None, plan, inverse)
        return value, gradient, information

    def run(self, theta: np.ndarray) -> np.ndarray:
        out = np.full(theta.shape, np.nan)
        rows = np.arange(len(theta))
        value, gradient, information = self.evaluate(theta, rows, metric=True)
        assert information is not None
        inverse = np.linalg.pinv(information, hermitian=True) if _singular(information) else np.linalg.inv(information)
        for _ in range(ROUNDS):
            step = -(inverse @ gradient[..., None])[..., 0]
            decrement = -np.sum(gradient * step, axis=1)
            arrived = (decrement >= 0) & (decrement <= ENOUGH)
            out[rows[arrived]] = theta[arrived] + step[arrived]
            stay = ~arrived & np.isfinite(value) & (decrement > 0)
            rows, theta, value, gradient = rows[stay], theta[stay], value[stay], gradient[stay]
            inverse, step, decrement = inverse[stay], step[stay], decrement[stay]
            if not len(rows):
                break
            moved, new_value, new_gradient = self._line_search(theta, step, value, decrement, rows)
            taken = moved - theta
            inverse = _update(inverse, taken, new_gradient - gradient)
            theta, value, gradient = moved, new_value, new_gradient
        return out

    def _line_search(self, theta, step, value, decrement, rows):
        length = np.ones(len(rows))
        moved = theta + step
        new_value, new_gradient, _ = self.evaluate(moved, rows)
        for _ in range(25):
            worse = ~(new_value <= value - 1e-4 * length * decrement + 1e-14)
            if not worse.any():
                break
            length[worse] *= 0.5
            moved[worse] = theta[worse] + length[worse, None] * step[worse]
            new_value[worse], new_gradient[worse], _ = self.evaluate(moved[worse], rows[worse])
        return moved, new_value, new_gradient


def _information(u, v, dmean, plan, inverse: np.ndarray) -> np.ndarray:
    ut, vt = np.swapaxes(u, -1, -2), np.swapaxes(v, -1, -2)
    wu, wv = inverse @ u, inverse @ v
    x = vt @ wu
    inner = (plan.c[:, None] * plan.c) * (x * np.swapaxes(x, -1, -2) + (ut @ wu) * (vt @ wv))
    if dmean is not None:
        inner = inner + np.swapaxes(dmean, -1, -2) @ inverse @ dmean
    return plan.select.T @ inner @ plan.select


def _inverse(cov: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inverses and log-determinants; +∞ where a matrix is not positive definite."""
    try:
        factor = np.linalg.cholesky(cov)
        good = np.ones(len(cov), dtype=bool)
    except np.linalg.LinAlgError:
        good = np.linalg.eigvalsh(cov)[:, 0] > 1e-12
        cov = np.where(good[:, None, None], cov, np.eye(cov.shape[-1]))
        factor = np.linalg.cholesky(cov)
    logdet = 2 * np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(axis=1)
    return np.linalg.inv(cov), np.where(good, logdet, np.inf)


def _singular(information: np.ndarray) -> bool:
    return bool(np.min(np.linalg.eigvalsh(information[:1])) <= 0)


def _update(inverse: np.ndarray, step: np.ndarray, change: np.ndarray) -> np.ndarray:
    """BFGS on the inverse, replicate by replicate, where the curvature is positive."""
    curve = np.sum(step * change, axis=1)
    hy = (inverse @ change[..., None])[..., 0]
    size = curve + np.sum(change * hy, axis=1)
    use = curve > 1e-10 * np.sum(step**2, axis=1) ** 0.5 * np.sum(change**2, axis=1) ** 0.5
    safe = np.where(use, curve, 1.0)
    first = np.where(use, size / safe**2, 0.0)[:, None] * step
    second = np.where(use, 1 / safe, 0.0)[:, None] * hy
    a = first[:, :, None] * step[:, None, :]
    b = second[:, :, None] * step[:, None, :]
    return inverse + a - b - np.swapaxes(b, 1, 2)
