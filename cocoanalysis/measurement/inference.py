"""From an estimate to its errors and tests: information, sandwich, scaled test statistics, the delta method.

A `Problem` is one model on one data set, ready to be minimised. Everything here is a
function of the problem and the solution; nothing searches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import special

from cocoanalysis.measurement.estimators import Estimator, weighted
from cocoanalysis.measurement.fitting import Constraints, Solution, null_space, plainly_positive, rank_deficit
from cocoanalysis.measurement.implied import Structure, lower
from cocoanalysis.measurement.incomplete import (
    Patterns,
    expectation,
    pattern_inverses,
    saturated_information,
    saturated_scores,
)
from cocoanalysis.measurement.parameters import ParameterTable
from cocoanalysis.measurement.samples import CHUNK, Sample, cross_products, moment_covariance, normal_weight, only_x


@dataclass
class Problem:
    """A model, its data and the choices of an estimator."""

    table: ParameterTable
    structure: Structure
    discrepancy: Any
    samples: list[Sample]
    estimator: Estimator
    information: str
    se: str
    test: str
    meanstructure: bool
    x: list[tuple[int, ...]]  # positions of fixed covariates, one a block
    constraints: Constraints
    ordinal: list[Any] | None = None  # `moments.Moments`, one a group
    patterns: list[Patterns] | None = None
    clustered: bool = False
    convention: str = "lavaan"
    h1_bread: bool = False  # plain ml with clusters: lavaan's scaled test takes the moments' information
    cache: dict[str, Any] = field(default_factory=dict)
    of_data: dict[Any, Any] = field(default_factory=dict)  # what no parameter changes; shared by rebuilt problems

    @property
    def n(self) -> list[float]:
        return [s.n for s in (self.ordinal or self.samples)]

    @property
    def total(self) -> int:
        return round(sum(self.n))  # weights sum to the number of rows, but for rounding

    @property
    def share(self) -> np.ndarray:
        return np.array(self.n) / self.total

    @property
    def below_zero(self) -> float:
        """How far χ² may fall below 0 by rounding or an early stop; further down it is no test."""
        return np.inf

    @property
    def divisor(self) -> float:
        """What the inverse information is divided by: rows, less one a group outside the likelihood family."""
        if self.estimator.likelihood or (self.mplus and self.ordinal):
            return self.total
        return self.total - len(self.n)

    @property
    def mplus(self) -> bool:
        return self.convention == "mplus"

    def saturated_parts(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Information and cross products of the scores of the saturated model, computed anew."""
        return [point_parts(self, g, s.mean, s.cov, self.information) for g, s in enumerate(self.samples)]

    @property
    def n_moments(self) -> int:
        if self.ordinal:
            return sum(len(m.wls_obs) for m in self.ordinal)
        count = 0
        for sample, x in zip(self.samples, self.x):
            p, fixed = len(sample.cov), len(x)
            count += (p * (p + 1) - fixed * (fixed + 1)) // 2 + (p - fixed if self.meanstructure else 0)
        return count


@dataclass(frozen=True)
class Test:
    """A test of exact fit, plain or scaled."""

    chi2: float
    df: float
    factor: float = np.nan
    shift: float = np.nan
    trace: float = np.nan  # tr(UΓ)

    __test__ = False

    @property
    def p_value(self) -> float:
        return float(special.chdtrc(self.df, self.chi2)) if self.df > 0 else np.nan


# Information and its inverse ----------------------------------------------------------------------


def information(problem: Problem, solution: Solution, kind: str | None = None) -> np.ndarray:
    """Expected, observed or first-order information per row, by the free parameters."""
    kind = kind or problem.information
    if kind == "expected" and problem.mplus and problem.se == "robust.sem" and problem.estimator.likelihood:
        parts = zip(problem.share, problem.discrepancy.jacobians(solution.theta), moment_weights(problem, solution))
        return np.sum([share * (j.T @ w @ j) for share, j, w in parts], axis=0)
    if kind == "expected":
        return expected_information(problem, solution.theta)
    if kind == "observed":
        return problem.discrepancy.observed(solution.theta)
    return np.tensordot(problem.share, np.array(meat(problem, solution)), axes=1)


def expected_information(problem: Problem, theta: np.ndarray) -> np.ndarray:
    """Expected information at a point; that of the last point is kept, because rank, errors and tests all ask."""
    kept = problem.cache.get("expected")
    if kept is None or not np.array_equal(kept[0], theta):
        kept = problem.cache["expected"] = (theta.copy(), problem.discrepancy.expected(theta))
    return kept[1]


def moment_rank(problem: Problem, theta: np.ndarray) -> tuple[int, np.ndarray]:
    """How many directions of the parameters no moment sees, and which: see `fitting.rank_deficit`.

    A well conditioned expected information, where errors need it anyway, says that there are none.
    """
    if problem.information == "expected" and not problem.mplus:
        kept = problem.cache.get("rank")
        if kept is not None and np.array_equal(kept, theta):
            return 0, np.zeros((0, len(theta)))
        matrix = expected_information(problem, theta)
        size = np.sqrt(np.maximum(np.diag(matrix), 0.0))
        if np.all(np.isfinite(matrix)) and np.all(size > 0) and plainly_positive(matrix / np.outer(size, size)):
            problem.cache["rank"] = theta.copy()  # where it is known to be full
            return 0, np.zeros((0, len(theta)))
    return rank_deficit(np.vstack(problem.discrepancy.jacobians(theta)))


def inverse_information(problem: Problem, solution: Solution, kind: str | None = None) -> np.ndarray | None:
    """The inverse in the directions that the constraints leave free; None when it is singular."""
    matrix = information(problem, solution, kind)
    basis = null_space(solution.active, problem.table.n_free)
    if not np.all(np.isfinite(matrix)):
        return None
    inner = basis.T @ matrix @ basis if solution.active.size else matrix
    if inner.shape[0] == 0:
        return np.zeros_like(matrix)
    scale = 1 / np.sqrt(np.maximum(np.abs(np.diag(inner)), 1e-300))
    scaled = inner * np.outer(scale, scale)
    if not plainly_positive(scaled):
        values = np.linalg.eigvalsh(scaled)
        if np.min(np.abs(values)) < 1e-10 * np.max(np.abs(values)):
            return None
    inverse = np.linalg.inv(scaled) * np.outer(scale, scale)
    return basis @ inverse @ basis.T if solution.active.size else inverse


def meat(problem: Problem, solution: Solution) -> list[np.ndarray]:
    """Cross products of the rows' (or clusters') scores per row, one a group."""
    if "meat" not in problem.cache:
        scores = problem.discrepancy.scores(solution.theta)
        problem.cache["meat"] = [scores_crossed(problem, g, s) for g, s in enumerate(scores)]
    return problem.cache["meat"]


def scores_crossed(problem: Problem, group: int, scores: np.ndarray) -> np.ndarray:
    sample = problem.samples[group]
    if sample.weights is not None:
        scores = scores * sample.weights[:, None]
    return cross_products([scores], [slice(None)], sample.cluster, sample.n)


def _bread(problem: Problem, solution: Solution) -> np.ndarray | None:
    if "bread" not in problem.cache:
        problem.cache["bread"] = inverse_information(problem, solution)
    return problem.cache["bread"]


def covariance(problem: Problem, solution: Solution) -> np.ndarray | None:
    """Sampling covariance of the free parameters."""
    inverse = _bread(problem, solution)
    if inverse is None:
        return None
    if problem.se == "standard":
        return inverse / problem.divisor
    if problem.se == "robust.huber.white":
        middle = np.tensordot(problem.share, np.array(meat(problem, solution)), axes=1)
    else:
        middle = _sem_middle(problem, solution)
    return inverse @ middle @ inverse / problem.divisor


def _sem_middle(problem: Problem, solution: Solution) -> np.ndarray:
    middle = np.zeros((problem.table.n_free,) * 2)
    parts = zip(problem.discrepancy.jacobians(solution.theta), moment_weights(problem, solution), gammas(problem))
    for (jacobian, w, gamma), share, n in zip(parts, problem.share, problem.n):
        wj = weighted(w, jacobian)
        if problem.mplus:
            share, gamma = share * n / (n - 1), _smaller_means(problem, gamma, n)
        middle += share * (wj.T @ gamma @ wj)
    return middle


def _smaller_means(problem: Problem, gamma: np.ndarray, n: float) -> np.ndarray:
    """Mplus's sampling covariance of means under MLM carries the factor (n − 1)/n."""
    if problem.ordinal or not problem.estimator.likelihood or not problem.meanstructure:
        return gamma
    p = len(problem.samples[0].cov)
    gamma = gamma.copy()
    gamma[:p, :p] *= (n - 1) / n
    return gamma


def moment_weights(problem: Problem, solution: Solution) -> list[np.ndarray]:
    """The moments' weights: at the implied covariances, or (Mplus under MLM) at the observed ones."""
    if problem.mplus and problem.estimator.likelihood:
        return [normal_weight(s.cov, problem.meanstructure) for s in problem.samples]
    return problem.discrepancy.weights(solution.theta)


def gammas(problem: Problem) -> list[np.ndarray]:
    """n times the sampling covariance of each group's moments."""
    if "gamma" not in problem.of_data:
        if problem.ordinal:
            problem.of_data["gamma"] = [
                m.gamma if m.gamma_clustered is None else m.gamma_clustered for m in problem.ordinal
            ]
        else:
            problem.of_data["gamma"] = [
                moment_covariance(s, problem.meanstructure, x) for s, x in zip(problem.samples, problem.x)
            ]
    return problem.of_data["gamma"]


# Tests --------------------------------------------------------------------------------------------


def degrees_of_freedom(problem: Problem, solution: Solution) -> int:
    ties = int(np.linalg.matrix_rank(solution.equalities)) if solution.equalities.size else 0
    return problem.n_moments - problem.table.n_free + ties


def plain_test(problem: Problem, solution: Solution) -> Test:
    """χ² of the model against the unrestricted one; missing where the model fits better than that one."""
    df = degrees_of_freedom(problem, solution)
    chi2 = 2 * problem.total * solution.value
    return Test(np.nan if df > 0 and chi2 < -problem.below_zero else max(chi2, 0.0), df)


def scaled_test(problem: Problem, solution: Solution, plain: Test) -> Test | None:
    """The estimator's own scaled statistic, or None when it has none (or df is 0)."""
    if problem.test == "standard" or plain.df <= 0:
        return None
    inverse = _bread(problem, solution)
    if inverse is None:
        return None
    if problem.test == "yuan.bentler.mplus":
        if problem.h1_bread:
            inverse = _h1_bread(problem, solution)
        trace = h1_trace(problem) - float(
            sum(share * np.sum(b * inverse) for share, b in zip(problem.share, meat(problem, solution)))
        )
        return scale("satorra.bentler", plain, trace, np.nan)
    jacobians = problem.discrepancy.jacobians(solution.theta)
    trace, trace2 = ugamma_traces(
        jacobians, moment_weights(problem, solution), gammas(problem), inverse, problem.share,
        squared=problem.test != "satorra.bentler",
    )  # fmt: skip
    return scale(problem.test, plain, trace, trace2, whole=problem.mplus)


def _h1_bread(problem: Problem, solution: Solution) -> np.ndarray:
    """The inverse of Δ'AΔ, A the observed information of the moments at their implied values (lavaan's 'h1')."""
    matrix = np.zeros((problem.table.n_free,) * 2)
    for g, jacobian in enumerate(problem.discrepancy.jacobians(solution.theta)):
        implied = problem.structure.blocks[g].implied(solution.theta)
        mean = implied.mean if problem.meanstructure else problem.samples[g].mean
        a = point_information(problem, g, mean, implied.cov, "observed")
        keep = kept_moments(problem, g)
        own = jacobian[keep if problem.meanstructure else keep - len(implied.cov)]
        matrix += problem.share[g] * (own.T @ a @ own)
    basis = null_space(solution.active, problem.table.n_free)
    return basis @ np.linalg.inv(basis.T @ matrix @ basis) @ basis.T


def scale(kind: str, plain: Test, trace: float, trace2: float, *, whole: bool = False) -> Test:
    """Mean-adjusted, mean-and-variance-adjusted (``whole`` df in Mplus), or scaled and shifted (2010)."""
    if kind == "satorra.bentler":
        factor = trace / plain.df
        factor = factor if factor > 0 else np.nan
        return Test(plain.chi2 / factor, plain.df, factor, np.nan, trace)
    if kind == "mean.var.adjusted":
        df = trace**2 / trace2
        df = np.floor(df + 0.5) if whole else df
        factor = trace / df
        return Test(plain.chi2 / factor, df, factor, np.nan, trace)
    a = np.sqrt(plain.df / trace2)
    shift = plain.df - a * trace
    return Test(plain.chi2 * a + shift, plain.df, 1 / a, shift, trace)


def ugamma(
    jacobians: Sequence[np.ndarray],
    weights: Sequence[np.ndarray],
    gamma: Sequence[np.ndarray],
    inverse: np.ndarray,
    share: np.ndarray,
) -> np.ndarray:
    """UΓ over all groups' moments, U = V − VΔ(Δ'VΔ)⁻¹Δ'V (Satorra & Bentler, 1994)."""
    sizes = [len(j) for j in jacobians]
    edges = np.concatenate([[0], np.cumsum(sizes)])
    wj = np.vstack([f * weighted(w, j) for f, w, j in zip(share, weights, jacobians)])
    left = -wj @ inverse
    right = np.hstack([(weighted(w, j).T) @ g for w, j, g in zip(weights, jacobians, gamma)])
    out = left @ right
    for k, (w, g) in enumerate(zip(weights, gamma)):
        here = slice(edges[k], edges[k + 1])
        out[here, here] += weighted(w, g)
    return out


def ugamma_traces(jacobians, weights, gamma, inverse, share, *, squared: bool) -> tuple[float, float]:
    """tr(UΓ) and, when asked, tr((UΓ)²)."""
    product = ugamma(jacobians, weights, gamma, inverse, share)
    return float(np.trace(product)), float(np.sum(product * product.T)) if squared else np.nan


def h1_trace(problem: Problem) -> float:
    """tr(A₁⁻¹B₁) of the saturated model, summed over groups."""
    if "h1_trace" not in problem.of_data:
        problem.of_data["h1_trace"] = sum(float(np.sum(b * np.linalg.inv(a))) for a, b in saturated_parts(problem))
    return problem.of_data["h1_trace"]


def saturated_parts(problem: Problem) -> list[tuple[np.ndarray, np.ndarray]]:
    """Information and cross products of the scores of the saturated model, one pair a group."""
    if "saturated" not in problem.of_data:
        problem.of_data["saturated"] = problem.saturated_parts()
    return problem.of_data["saturated"]


def point_information(problem: Problem, group: int, mean: np.ndarray, cov: np.ndarray, kind: str) -> np.ndarray:
    """Information about (μ, vech Σ) at a point, without what concerns fixed covariates alone."""
    patterns, keep = _patterns(problem, group), kept_moments(problem, group)
    found = expectation(patterns, mean, cov)
    assert found is not None
    matrix = saturated_information(patterns, found, "expected" if kind == "expected" else "observed")
    return matrix[np.ix_(keep, keep)]


def point_parts(
    problem: Problem, group: int, mean: np.ndarray, cov: np.ndarray, kind: str = "observed"
) -> tuple[np.ndarray, np.ndarray]:
    """Information, and cross products of the rows' scores, about (μ, vech Σ) at a point."""
    sample = problem.samples[group]
    patterns, keep = _patterns(problem, group), kept_moments(problem, group)
    found = expectation(patterns, mean, cov)
    assert found is not None
    matrix = saturated_information(patterns, found, "expected" if kind == "expected" else "observed")
    inverses = pattern_inverses(patterns, found)
    slices = [slice(k, k + CHUNK) for k in range(0, len(found.score), CHUNK)]
    weights = np.ones(len(found.score)) if sample.weights is None else sample.weights
    scores = (saturated_scores(patterns, found, inverses, h)[:, keep] * weights[h][:, None] for h in slices)
    return matrix[np.ix_(keep, keep)], cross_products(scores, slices, sample.cluster, sample.n)


def kept_moments(problem: Problem, group: int) -> np.ndarray:
    """Places in (μ, vech Σ) that are modelled and vary."""
    p = len(problem.samples[group].cov)
    keep = ~only_x(p, problem.x[group], True)
    if not problem.meanstructure:
        keep[:p] = False
    return np.flatnonzero(keep)


def _patterns(problem: Problem, group: int) -> Patterns:
    if problem.patterns is not None:
        return problem.patterns[group]
    sample = problem.samples[group]
    assert sample.data is not None
    if ("patterns", group) not in problem.of_data:
        problem.of_data["patterns", group] = Patterns.of(sample.data, sample.weights)
    return problem.of_data["patterns", group]


# The independence model ---------------------------------------------------------------------------


def baseline_tests(problem: Problem) -> tuple[Test, Test | None]:
    """Plain and scaled test of the model in which nothing covaries (fixed covariates among themselves excepted)."""
    if ("baseline", problem.test) not in problem.of_data:
        problem.of_data["baseline", problem.test] = _baseline_tests(problem)
    return problem.of_data["baseline", problem.test]


def _baseline_tests(problem: Problem) -> tuple[Test, Test | None]:
    if problem.ordinal:
        return _baseline_least_squares(problem, *_ordinal_selection(problem))
    if problem.estimator.likelihood:
        return _baseline_likelihood(problem)
    return _baseline_least_squares(problem, *independence_selection(problem))


def _selection(
    p: int, x: Sequence[int], covariates: Sequence[int], meanstructure: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Places in the stacked moments that the independence model leaves free, and those it sets to zero."""
    i, j = lower(p)
    start = p if meanstructure else 0
    skip = only_x(p, x, meanstructure)
    inside = np.zeros(p, dtype=bool)
    inside[list(covariates)] = True
    off = (i != j) & ~(inside[i] & inside[j])
    zero = np.zeros(start + len(i), dtype=bool)
    zero[start:] = off
    return np.flatnonzero(~zero & ~skip), np.flatnonzero(zero)


def independence_selection(problem: Problem) -> tuple[list[np.ndarray], list[np.ndarray]]:
    pairs = [
        _selection(len(s.cov), x, covariates, problem.meanstructure)
        for s, x, covariates in zip(problem.samples, problem.x, covariate_positions(problem))
    ]
    return [a for a, _ in pairs], [b for _, b in pairs]


def _ordinal_selection(problem: Problem) -> tuple[list[np.ndarray], list[np.ndarray]]:
    assert problem.ordinal is not None
    free, zero = [], []
    for m in problem.ordinal:
        k, p = len(m.wls_obs), len(m.names)
        pairs, slopes = p * (p - 1) // 2, p * len(m.exogenous)
        off = np.zeros(k, dtype=bool)
        off[k - pairs :] = True
        if problem.mplus and slopes:  # Mplus's independence model has no slopes on covariates either
            first = len(m.thresholds) + int(np.sum(~m.ordered))
            off[first : first + slopes] = True
        free.append(np.flatnonzero(~off))
        zero.append(np.flatnonzero(off))
    return free, zero


def _baseline_least_squares(problem: Problem, free: list[np.ndarray], zero: list[np.ndarray]):
    """Closed form: the model is linear in the moments."""
    chi2, df, jacobians = 0.0, 0, []
    columns = sum(len(f) for f in free)
    inverse, before = np.zeros((columns, columns)), 0
    for s, w, f, z, share, obj in zip(
        problem.discrepancy.moments, problem.discrepancy.weight, free, zero, problem.share, problem.discrepancy.share
    ):
        jacobian = np.zeros((len(s), columns))
        here = np.arange(before, before + len(f))
        jacobian[f, here] = 1.0
        residual = np.zeros(len(s))
        residual[z] = s[z]
        inner = np.diag(w[f]) if w.ndim == 1 else w[np.ix_(f, f)]
        small = np.linalg.inv(inner)
        residual[f] = -small @ weighted(w, residual)[f] if w.ndim == 2 else 0.0
        chi2 += obj * problem.total * float(residual @ weighted(w, residual))
        inverse[np.ix_(here, here)] = small / share
        jacobians.append(jacobian)
        df, before = df + len(z), before + len(f)
    plain = Test(chi2, df)
    if problem.test == "standard" or df == 0:
        return plain, None
    traces = ugamma_traces(
        jacobians, problem.discrepancy.weight, gammas(problem), inverse, problem.share,
        squared=problem.test != "satorra.bentler",
    )  # fmt: skip
    return plain, scale(problem.test, plain, *traces, whole=problem.mplus)


def covariate_positions(problem: Problem) -> list[list[int]]:
    """Where the covariates stand, fixed or not: the independence model lets them covary."""
    out = []
    for block, key in zip(problem.structure.blocks, problem.structure.keys):
        names = problem.table.names[key].exogenous
        out.append([i for i, n in enumerate(block.observed) if n in names])
    return out


def independence_point(problem: Problem, group: int) -> tuple[np.ndarray, np.ndarray]:
    """Maximum likelihood means and covariances under independence."""
    sample, x = problem.samples[group], covariate_positions(problem)[group]
    if problem.patterns is None:
        mean, variances = sample.mean, np.diag(sample.cov)
    else:
        patterns = problem.patterns[group]
        w = np.where(patterns.seen, patterns.weights[:, None], 0.0)
        mean = np.sum(w * patterns.data, axis=0) / w.sum(axis=0)
        variances = np.sum(w * (patterns.data - mean) ** 2, axis=0) / w.sum(axis=0)
    cov = np.diag(variances)
    if x:
        cov[np.ix_(x, x)] = sample.cov[np.ix_(x, x)]
    return mean, cov


def _baseline_likelihood(problem: Problem):
    chi2, df = 0.0, 0
    free, zero = independence_selection(problem)
    points = [independence_point(problem, g) for g in range(len(problem.samples))]
    for g, (mean, cov) in enumerate(points):
        chi2 += _likelihood_ratio(problem, g, mean, cov)
        df += len(zero[g])
    plain = Test(chi2, df)
    if problem.test == "standard" or df == 0:
        return plain, None
    if problem.test == "yuan.bentler.mplus":
        return plain, _baseline_yuan_bentler(problem, plain, points, free)
    columns = sum(len(f) for f in free)
    jacobians, weights, before = [], [], 0
    inverse = np.zeros((columns, columns))
    for (_, cov), f, share, sample in zip(points, free, problem.share, problem.samples):
        w = normal_weight(sample.cov if problem.mplus else cov, problem.meanstructure)
        here = np.arange(before, before + len(f))
        jacobian = np.zeros((len(w), columns))
        jacobian[f, here] = 1.0
        inverse[np.ix_(here, here)] = np.linalg.inv(w[np.ix_(f, f)]) / share
        jacobians.append(jacobian)
        weights.append(w)
        before += len(f)
    traces = ugamma_traces(
        jacobians, weights, gammas(problem), inverse, problem.share, squared=problem.test != "satorra.bentler"
    )
    return plain, scale(problem.test, plain, *traces, whole=problem.mplus)


def _likelihood_ratio(problem: Problem, group: int, mean: np.ndarray, cov: np.ndarray) -> float:
    """Twice the log-likelihood that a point lies below the saturated model."""
    sample = problem.samples[group]
    if problem.patterns is not None:
        found = expectation(problem.patterns[group], mean, cov)
        assert found is not None
        return 2 * (problem.discrepancy.saturated_loglik[group] - found.loglik)
    inverse = np.linalg.inv(cov)
    logdet = float(np.linalg.slogdet(cov)[1])
    return float(sample.n * (logdet + np.sum(inverse * sample.cov) - problem.discrepancy.constant[group]))


def _baseline_yuan_bentler(problem: Problem, plain: Test, points, free) -> Test:
    trace = h1_trace(problem)
    for g, (mean, cov) in enumerate(points):
        a, b = point_parts(problem, g, mean, cov, problem.information)
        keep = kept_moments(problem, g)
        p = len(cov)
        wanted = free[g] if problem.meanstructure else free[g] + p
        at = np.searchsorted(keep, wanted)
        trace -= float(np.sum(b[np.ix_(at, at)] * np.linalg.inv(a[np.ix_(at, at)])))
    return scale("satorra.bentler", plain, trace, np.nan)


# Functions of the parameters ----------------------------------------------------------------------


def delta_errors(jacobian: np.ndarray, cov: np.ndarray | None) -> np.ndarray:
    """Standard errors of functions whose gradients are the rows of ``jacobian``."""
    if cov is None:
        return np.full(len(jacobian), np.nan)
    variances = np.sum((jacobian @ cov) * jacobian, axis=1)
    return np.sqrt(np.where(variances < 0, np.nan, variances))
