"""Estimators: what is minimised, and how errors and tests are made by default.

An `Estimator` is a row of ``ESTIMATORS``: a discrepancy (a key of ``DISCREPANCIES``), the
kind of standard errors, of test and of information that go with it. To add one, register
its row; to add a discrepancy, write a class with value, gradient, scoring and observed
information. Nothing else needs to change: the tests are parametrised over the registries.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import lapack

from cocoanalysis.errors import ModelError
from cocoanalysis.measurement.implied import (
    Block,
    Implied,
    Plan,
    Structure,
    between_columns,
    cell_columns,
    curvature,
    lower,
    mean_columns,
    moment_jacobian,
    pull_back,
    vech,
)
from cocoanalysis.measurement.ordinal import ordinal_jacobian, ordinal_moments_of, ordinal_pull_back
from cocoanalysis.measurement.samples import Sample, moment_covariance, normal_weight, only_x


class Estimator(NamedTuple):
    discrepancy: str  # ml | gls | uls | wls | dwls
    se: str  # standard | robust.sem | robust.huber.white
    test: str  # standard | satorra.bentler | scaled.shifted | mean.var.adjusted | yuan.bentler.mplus
    information: str = "expected"
    source: str = ""

    @property
    def likelihood(self) -> bool:
        return self.discrepancy == "ml"


ESTIMATORS: dict[str, Estimator] = {
    "ml": Estimator("ml", "standard", "standard", source="Jöreskog, 1969"),
    "mlr": Estimator("ml", "robust.huber.white", "yuan.bentler.mplus", "observed", "Yuan & Bentler, 2000"),
    "mlm": Estimator("ml", "robust.sem", "satorra.bentler", source="Satorra & Bentler, 1994"),
    "mlmv": Estimator("ml", "robust.sem", "scaled.shifted", source="Asparouhov & Muthén, 2010"),
    "mlmvs": Estimator("ml", "robust.sem", "mean.var.adjusted", source="Satorra & Bentler, 1994"),
    "mlf": Estimator("ml", "standard", "standard", "first.order"),
    "gls": Estimator("gls", "standard", "standard", source="Browne, 1974"),
    "wls": Estimator("wls", "standard", "standard", source="Browne, 1984"),
    "uls": Estimator("uls", "standard", "standard"),
    "ulsm": Estimator("uls", "robust.sem", "satorra.bentler"),
    "ulsmv": Estimator("uls", "robust.sem", "scaled.shifted"),
    "ulsmvs": Estimator("uls", "robust.sem", "mean.var.adjusted"),
    "dwls": Estimator("dwls", "standard", "standard"),
    "wlsm": Estimator("dwls", "robust.sem", "satorra.bentler"),
    "wlsmv": Estimator("dwls", "robust.sem", "scaled.shifted", source="Asparouhov & Muthén, 2010"),
    "wlsmvs": Estimator("dwls", "robust.sem", "mean.var.adjusted"),
}


# Normal theory ------------------------------------------------------------------------------------


def quadratic(plan: Plan, first: np.ndarray, second: np.ndarray | None = None) -> np.ndarray:
    """½ tr(W dΣₛ R dΣₜ) over all pairs of cells, for symmetric W and R (or W) given as ZᵀWZ and ZᵀRZ."""
    q, x, r = (first.take(plan.pairs[name]) for name in ("uu", "vu", "vv"))
    weight = plan.c[:, None] * plan.c
    if second is None:
        return weight * (x * x.T + q * r)
    q2, x2, r2 = (second.take(plan.pairs[name]) for name in ("uu", "vu", "vv"))
    return 0.5 * weight * (x * x2.T + x.T * x2 + q * r2 + r * q2)


def definite_inverse_of(cov: np.ndarray) -> tuple[np.ndarray | None, float]:
    """Inverse and log-determinant of a positive definite matrix by its Cholesky factor; None when it is not."""
    factor, failed = lapack.dpotrf(cov, lower=1, clean=1)
    if failed or not np.isfinite(factor[-1, -1]):
        return None, 0.0
    logdet = 2 * float(np.log(factor.diagonal()).sum())
    half, _ = lapack.dpotri(factor, lower=1)
    inverse = half + half.T
    inverse.flat[:: len(cov) + 1] = half.diagonal()
    return inverse, logdet


class NormalTheory:
    """Maximum likelihood for complete continuous data, one or several groups."""

    def __init__(self, structure: Structure, samples: Sequence[Sample], meanstructure: bool):
        self.structure, self.samples, self.meanstructure = structure, list(samples), meanstructure
        self.n_free = structure.n_free
        total = sum(s.n for s in samples)
        self.share = np.array([s.n / total for s in samples])
        self.constant = [float(np.linalg.slogdet(s.cov)[1]) + len(s.cov) for s in samples]
        self.saturated_loglik = [
            -s.n / 2 * (len(s.cov) * math.log(2 * math.pi) + constant) for s, constant in zip(samples, self.constant)
        ]

    def _pieces(self, block: Block, sample: Sample, theta: np.ndarray):
        implied = block.implied(theta)
        inverse, logdet = definite_inverse_of(implied.cov)
        if inverse is None:
            return implied, None, 0.0, None
        return implied, inverse, logdet, sample.mean - implied.mean if self.meanstructure else None

    def value(self, theta: np.ndarray) -> float:
        total = 0.0
        for block, sample, share, constant in self._groups():
            _, inverse, logdet, d = self._pieces(block, sample, theta)
            if inverse is None:
                return np.inf
            distance = 0.0 if d is None else d @ inverse @ d
            total += share * 0.5 * (logdet + np.sum(inverse * sample.cov) + distance - constant)
        return float(total)

    def _groups(self):
        return zip(self.structure.blocks, self.samples, self.share, self.constant)

    def gradient(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient, _ = self.scoring(theta, "none")
        return value, gradient

    def scoring(self, theta: np.ndarray, information: str = "expected") -> tuple[float, np.ndarray, np.ndarray]:
        """Value, gradient and information: expected, observed (second derivatives) or none (zeros)."""
        total, gradient = 0.0, np.zeros(self.n_free)
        metric = np.zeros((self.n_free, self.n_free))
        for block, sample, share, constant in self._groups():
            implied, inverse, logdet, d = self._pieces(block, sample, theta)
            if inverse is None:
                return np.inf, gradient, metric
            spread = sample.cov if d is None else sample.cov + d[:, None] * d
            product = inverse @ spread
            total += share * 0.5 * (logdet + product.trace() - constant)
            middle = product @ inverse
            by_cov, by_mean = 0.5 * (inverse - middle), None if d is None else -(inverse @ d)
            gradient += share * pull_back(block.plan, implied, by_cov, by_mean)
            if information == "expected":
                block.plan.add_pairs(metric, share * self._expected(block, implied, inverse))
            elif information == "observed":
                block.plan.add_pairs(metric, share * self._curved(block, implied, inverse, middle, by_mean))
                metric += share * curvature(block, implied, by_cov, by_mean)
        return float(total), gradient, metric

    def _expected(self, block: Block, implied: Implied, inverse: np.ndarray) -> np.ndarray:
        """Expected information of the cells."""
        inner = quadratic(block.plan, between_columns(implied, inverse))
        if not self.meanstructure:
            return inner
        dmean = mean_columns(block.plan, implied)
        return inner + dmean.T @ inverse @ dmean

    def _curved(self, block: Block, implied: Implied, inverse: np.ndarray, middle: np.ndarray, by_mean) -> np.ndarray:
        """Second derivatives by the cells, but for those of the moments; ``middle`` is Σ⁻¹(S + dd')Σ⁻¹."""
        plan = block.plan
        inner = quadratic(plan, between_columns(implied, inverse), between_columns(implied, 2 * middle - inverse))
        if by_mean is None:
            return inner
        dmean = mean_columns(plan, implied)
        reach, pull = by_mean @ implied.left, implied.left.T @ (inverse @ dmean)
        cross = -plan.c[:, None] * (reach[plan.u, None] * pull[plan.v] + reach[plan.v, None] * pull[plan.u])
        return inner + cross + cross.T + dmean.T @ inverse @ dmean

    def expected(self, theta: np.ndarray) -> np.ndarray:
        return self.scoring(theta)[2]

    def observed(self, theta: np.ndarray) -> np.ndarray:
        """Second derivatives of minus the log-likelihood per row."""
        value, _, metric = self.scoring(theta, "observed")
        return (metric + metric.T) / 2 if np.isfinite(value) else np.full_like(metric, np.nan)

    def scores(self, theta: np.ndarray) -> list[np.ndarray]:
        """Gradient of each row's log-likelihood, one (n, n_free) array a group; weights are not applied."""
        return [self._case_scores(block, sample, theta) for block, sample in zip(self.structure.blocks, self.samples)]

    def _case_scores(self, block: Block, sample: Sample, theta: np.ndarray) -> np.ndarray:
        implied, inverse, _, d = self._pieces(block, sample, theta)
        assert inverse is not None
        assert sample.data is not None
        plan = block.plan
        u, v, dmean = cell_columns(plan, implied)
        z = (sample.data - (implied.mean if d is not None else sample.mean)) @ inverse
        cells = plan.c * ((z @ u) * (z @ v) - np.sum(u * (inverse @ v), axis=0))
        if d is not None:
            cells = cells + z @ dmean
        return cells @ plan.select

    def weights(self, theta: np.ndarray) -> list[np.ndarray]:
        """The weight of the moments that the expected information implies, one a group."""
        return [normal_weight(block.implied(theta).cov, self.meanstructure) for block in self.structure.blocks]

    def jacobians(self, theta: np.ndarray) -> list[np.ndarray]:
        return [moment_jacobian(b, b.implied(theta), self.meanstructure) for b in self.structure.blocks]


# Least squares ------------------------------------------------------------------------------------


class LeastSquares:
    """Generalised, unweighted, weighted and diagonally weighted least squares, continuous or ordinal."""

    def __init__(
        self,
        structure: Structure,
        observed: Sequence[np.ndarray],
        weights: Sequence[np.ndarray],
        rows: Sequence[int],
        meanstructure: bool,
        ordinal: bool = False,
        *,
        less: int = 1,
    ):
        self.structure, self.moments, self.weight = structure, list(observed), list(weights)
        self.meanstructure, self.ordinal, self.n_free = meanstructure, ordinal, structure.n_free
        n = np.array(rows, dtype=float)
        self.less = less  # rows less this many multiply the discrepancy: 1 in lavaan, 0 in Mplus
        self.share, self.rows_share = (n - less) / n.sum(), n / n.sum()
        self._last: tuple[np.ndarray, list[np.ndarray]] | None = None

    def model_moments(self, block: Block, implied: Implied) -> np.ndarray:
        if self.ordinal:
            return ordinal_moments_of(block, implied)
        stacked = vech(implied.cov)
        return np.concatenate([implied.mean, stacked]) if self.meanstructure else stacked

    def _jacobian(self, block: Block, implied: Implied) -> np.ndarray:
        if self.ordinal:
            return ordinal_jacobian(block, implied)
        return moment_jacobian(block, implied, self.meanstructure)

    def _admissible(self, implied: Implied) -> bool:
        return bool(np.all(np.isfinite(implied.cov)) and np.all(np.diagonal(implied.cov) > 0))

    def value(self, theta: np.ndarray) -> float:
        total = 0.0
        for block, s, w, share in zip(self.structure.blocks, self.moments, self.weight, self.share):
            implied = block.implied(theta)
            if not self._admissible(implied):
                return np.inf
            r = s - self.model_moments(block, implied)
            total += 0.5 * share * float(r @ weighted(w, r))
        return total

    def gradient(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        if not self.ordinal:
            value, gradient, _ = self.scoring(theta)
            return value, gradient
        total, gradient = 0.0, np.zeros(self.n_free)
        for block, s, w, share in zip(self.structure.blocks, self.moments, self.weight, self.share):
            implied = block.implied(theta)
            if not self._admissible(implied):
                return np.inf, gradient
            r = s - self.model_moments(block, implied)
            pull = weighted(w, r)
            total += 0.5 * share * float(r @ pull)
            gradient -= share * ordinal_pull_back(block, implied, pull)
        return total, gradient

    def scoring(self, theta: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        total, gradient = 0.0, np.zeros(self.n_free)
        metric = np.zeros((self.n_free, self.n_free))
        for block, s, w, share in zip(self.structure.blocks, self.moments, self.weight, self.share):
            implied = block.implied(theta)
            if not self._admissible(implied):
                return np.inf, gradient, metric
            r = s - self.model_moments(block, implied)
            jacobian = self._jacobian(block, implied)
            wj = weighted(w, jacobian)
            total += 0.5 * share * float(r @ weighted(w, r))
            gradient -= share * (r @ wj)
            metric += share * (jacobian.T @ wj)
        return total, gradient, metric

    def jacobians(self, theta: np.ndarray) -> list[np.ndarray]:
        """One a group; those of the last point are kept, because errors, tests and indices all ask for them."""
        if self._last is None or not np.array_equal(self._last[0], theta):
            found = [self._jacobian(block, block.implied(theta)) for block in self.structure.blocks]
            self._last = (theta.copy(), found)
        return self._last[1]

    def weights(self, theta: np.ndarray) -> list[np.ndarray]:
        return self.weight

    def expected(self, theta: np.ndarray) -> np.ndarray:
        total = np.zeros((self.n_free, self.n_free))
        for jacobian, w, share in zip(self.jacobians(theta), self.weight, self.rows_share):
            total += share * (jacobian.T @ weighted(w, jacobian))
        return total

    def observed(self, theta: np.ndarray) -> np.ndarray:
        """Second derivatives of the discrepancy (continuous variables)."""
        total = self.expected(theta)
        for block, s, w, share in zip(self.structure.blocks, self.moments, self.weight, self.rows_share):
            implied = block.implied(theta)
            pull = -weighted(w, s - self.model_moments(block, implied))
            p = block.p
            i, j = lower(p)
            by_cov = np.zeros((p, p))
            by_cov[i, j] = pull[p:] if self.meanstructure else pull
            by_cov = (by_cov + by_cov.T) / 2
            total += share * curvature(block, implied, by_cov, pull[:p] if self.meanstructure else None)
        return (total + total.T) / 2


def weighted(weight: np.ndarray, values: np.ndarray) -> np.ndarray:
    """W times a vector or matrix, for W given as a matrix or by its diagonal."""
    if weight.ndim == 2:
        return weight @ values
    return weight * values if values.ndim == 1 else weight[:, None] * values


# Weights of continuous moments, by discrepancy ----------------------------------------------------

WEIGHTS: dict[str, Callable[..., np.ndarray]] = {}


def weight(function: Callable) -> Callable:
    """Register a weight: (sample, meanstructure, fixed covariates, Mplus's convention?) → matrix or diagonal."""
    WEIGHTS[function.__name__] = function
    return function


@weight
def gls(sample: Sample, meanstructure: bool, x: Sequence[int], mplus: bool = False) -> np.ndarray:
    matrix = normal_weight(sample.unbiased, meanstructure)
    if mplus and meanstructure:
        p = len(sample.cov)
        matrix[:p, :p] *= sample.n / (sample.n - 1)
    return matrix


@weight
def uls(sample: Sample, meanstructure: bool, x: Sequence[int], mplus: bool = False) -> np.ndarray:
    p = len(sample.cov)
    return np.ones(p * (p + 1) // 2 + (p if meanstructure else 0))


@weight
def wls(sample: Sample, meanstructure: bool, x: Sequence[int], mplus: bool = False) -> np.ndarray:
    gamma = moment_covariance(sample, meanstructure, x)
    if mplus and not len(x):
        gamma = _around_unbiased(gamma, sample, meanstructure)
    return inverse_over(gamma, only_x(len(sample.cov), x, meanstructure))


def _around_unbiased(gamma: np.ndarray, sample: Sample, meanstructure: bool) -> np.ndarray:
    """Mplus centres the products at the unbiased covariances."""
    p = len(sample.cov) if meanstructure else 0
    s = vech(sample.unbiased)
    gamma, shrink = gamma.copy(), (sample.n - 1) / sample.n
    gamma[p:, p:] -= np.outer(s, s) * (1 - shrink**2)
    gamma[:p, p:] *= shrink
    gamma[p:, :p] *= shrink
    return gamma


@weight
def dwls(sample: Sample, meanstructure: bool, x: Sequence[int], mplus: bool = False) -> np.ndarray:
    spread = np.diag(moment_covariance(sample, meanstructure, x))
    return np.where(spread > 0, 1 / np.where(spread > 0, spread, 1.0), 0.0)


def inverse_over(gamma: np.ndarray, skip: np.ndarray) -> np.ndarray:
    """The inverse over the moments that vary, zero elsewhere."""
    keep = np.flatnonzero(~skip)
    result = np.zeros_like(gamma)
    result[np.ix_(keep, keep)] = definite_inverse(gamma[np.ix_(keep, keep)])
    return result


def definite_inverse(gamma: np.ndarray) -> np.ndarray:
    """The inverse of a sampling covariance of moments, or an error when the sample cannot give it."""
    scale = 1 / np.sqrt(np.maximum(np.diag(gamma), 1e-300))
    values = np.linalg.eigvalsh(gamma * np.outer(scale, scale))
    if values[0] < 1e-12 * values[-1]:
        raise ModelError(
            f"The estimator wls needs the inverse of the sampling covariance of {len(gamma)} moments, which is "
            "singular here: too few rows for so many moments, or a variable with two values, so that its square "
            "says nothing new. Use dwls, mlr or (for ordered items) wlsmv.",
            code="SingularWeight",
        )
    return np.linalg.inv(gamma)


def ordinal_weight(kind: str, gamma: np.ndarray) -> np.ndarray:
    """Weight of ordinal moments: 1/diagonal (dwls), inverse (wls) or ones (uls)."""
    if kind == "wls":
        return definite_inverse(gamma)
    return 1 / np.diag(gamma) if kind == "dwls" else np.ones(len(gamma))


def least_squares(
    structure: Structure,
    samples: Sequence[Any],
    kind: str,
    meanstructure: bool,
    x: Sequence[int] = (),
    *,
    mplus: bool = False,
) -> LeastSquares:
    """The least-squares discrepancy of continuous samples."""
    observed = [np.concatenate([s.mean, vech(s.unbiased)]) if meanstructure else vech(s.unbiased) for s in samples]
    weights = [WEIGHTS[kind](s, meanstructure, x, mplus) for s in samples]
    return LeastSquares(structure, observed, weights, [s.n for s in samples], meanstructure)


def ordinal_discrepancy(structure: Structure, found: Sequence[Any], kind: str, less: int = 1) -> LeastSquares:
    """The least-squares discrepancy of ordinal or mixed moments."""
    weights = [ordinal_weight(kind, m.gamma) for m in found]
    return LeastSquares(
        structure, [m.wls_obs for m in found], weights, [m.n for m in found], True, ordinal=True, less=less
    )
