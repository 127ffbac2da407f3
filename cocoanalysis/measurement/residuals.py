"""What the model leaves unexplained: observed minus implied moments, raw, as correlations, and as z-values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cocoanalysis.measurement.estimators import weighted
from cocoanalysis.measurement.fitting import Solution, null_space
from cocoanalysis.measurement.implied import lower
from cocoanalysis.measurement.inference import Problem, gammas, kept_moments, point_information, saturated_parts
from cocoanalysis.measurement.multilevel import TwoLevelProblem
from cocoanalysis.measurement.ordinal import ordinal_moments_of, scales
from cocoanalysis.measurement.samples import normal_weight


@dataclass(frozen=True)
class Residuals:
    """One group's residuals; errors are NaN where they are not defined."""

    names: tuple[str, ...]
    cov: np.ndarray
    mean: np.ndarray
    cov_se: np.ndarray
    mean_se: np.ndarray


def observed_moments(problem: Problem, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Covariances and means as the estimator uses them."""
    if problem.ordinal is not None:
        return problem.ordinal[k].cov, problem.ordinal[k].mean
    if isinstance(problem, TwoLevelProblem):
        return problem.observed(k)
    sample = problem.samples[k]
    return (sample.cov if problem.estimator.likelihood else sample.unbiased), sample.mean


def implied_moments(problem: Problem, theta: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Implied covariances and means in the metric of the observed ones."""
    block = problem.structure.blocks[k]
    implied = block.implied(theta)
    if problem.ordinal is None:
        return implied.cov, implied.mean
    d = scales(block, implied)
    cov = implied.cov * np.outer(d, d)
    cov[np.diag_indices_from(cov)] = np.where(block.ordered, 1.0, np.diagonal(cov))
    return cov, np.where(block.ordered, 0.0, implied.mean)


def residuals(problem: Problem, solution: Solution, *, correlation: bool = False, errors: bool = True):
    """One `Residuals` a group; ``correlation`` divides by the observed standard deviations (Bentler, 1995)."""
    spreads = _spreads(problem, solution) if errors else [None] * len(problem.structure.blocks)
    out = []
    for k, block in enumerate(problem.structure.blocks):
        observed, mean = observed_moments(problem, k)
        implied, implied_mean = implied_moments(problem, solution.theta, k)
        cov, centre = observed - implied, mean - implied_mean
        cov_se, mean_se = _errors(problem, block.p, spreads[k])
        if correlation:
            sd = np.sqrt(np.diag(observed))
            cov, centre, cov_se, mean_se = cov / np.outer(sd, sd), centre / sd, cov_se / np.outer(sd, sd), mean_se / sd
        out.append(Residuals(block.observed, cov, centre, cov_se, mean_se))
    return out


def z_values(residual: np.ndarray, error: np.ndarray, near_zero: float) -> np.ndarray:
    """Residual over its error; residuals that are zero but for rounding stay zero."""
    with np.errstate(all="ignore"):
        return np.where(np.abs(residual) < near_zero, residual, residual / error)


def _errors(problem: Problem, p: int, variances: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    cov, mean = np.full((p, p), np.nan), np.full(p, np.nan)
    if variances is None:
        return cov, mean
    root = np.sqrt(np.where(variances >= 0, variances, np.nan))
    diagonal = problem.ordinal is None
    i, j = lower(p, diagonal)
    cov[i, j] = cov[j, i] = root[-len(i) :]
    if diagonal and problem.meanstructure:
        mean = root[:p]
    return cov, mean


def _spreads(problem: Problem, solution: Solution) -> list[np.ndarray | None]:
    """Sampling variances of each group's residual moments: Q Γ Q', Q = I − Δ(Δ'AΔ)⁻¹Δ'A (lavaan's 'standardized')."""
    jacobians, a, acov = _pieces(problem, solution)
    basis = null_space(solution.active, problem.table.n_free)
    bread = np.zeros((problem.table.n_free,) * 2)
    for share, j, w in zip(problem.share, jacobians, a):
        bread += share * (j.T @ weighted(w, j))
    inverse = basis @ np.linalg.pinv(basis.T @ bread @ basis) @ basis.T
    out: list[np.ndarray | None] = []
    for k, (share, j, w, v) in enumerate(zip(problem.share, jacobians, a, acov)):
        if problem.ordinal is not None and (len(problem.ordinal[k].exogenous) or not problem.ordinal[k].ordered.all()):
            out.append(None)
            continue
        q = np.eye(len(j)) - share * (j @ inverse @ weighted(w, j).T)
        variances = np.einsum("ij,jk,ik->i", q, v, q)
        out.append(_expanded(problem, k, variances))
    return out


def _expanded(problem: Problem, k: int, variances: np.ndarray) -> np.ndarray:
    if problem.ordinal is not None or not problem.estimator.likelihood:
        return variances
    p = len(problem.samples[k].cov)
    full = np.zeros(p + p * (p + 1) // 2)
    full[kept_moments(problem, k)] = variances
    return full if problem.meanstructure else full[p:]


def _pieces(problem: Problem, solution: Solution):
    """Jacobians, information A of the moments and sampling covariance of the observed moments, one each a group."""
    jacobians = problem.discrepancy.jacobians(solution.theta)
    if not problem.estimator.likelihood:
        weights = problem.discrepancy.weight
        divisor = [problem.total] * len(problem.n) if problem.ordinal else problem.n
        if problem.ordinal is not None or problem.se != "standard":
            return jacobians, weights, [g / n for g, n in zip(gammas(problem), divisor)]
        spread = [np.linalg.inv(w) if w.ndim == 2 else np.diag(1 / np.where(w > 0, w, np.inf)) for w in weights]
        return jacobians, weights, [s / n for s, n in zip(spread, divisor)]
    kind = "observed" if problem.information == "observed" else "expected"
    a, acov, kept = [], [], []
    for k, j in enumerate(jacobians):
        implied = problem.structure.blocks[k].implied(solution.theta)
        keep = kept_moments(problem, k)
        p = len(problem.samples[k].cov)
        mean = implied.mean if problem.meanstructure else problem.samples[k].mean
        a.append(_moment_information(problem, k, mean, implied.cov, kind))
        kept.append(j[keep] if problem.meanstructure else j[keep - p])
        acov.append(_observed_spread(problem, k, kind))
    return kept, a, acov


def _moment_information(problem: Problem, k: int, mean: np.ndarray, cov: np.ndarray, kind: str) -> np.ndarray:
    if problem.samples[k].data is None:
        keep = kept_moments(problem, k)
        return normal_weight(cov, True)[np.ix_(keep, keep)]
    return point_information(problem, k, mean, cov, kind)


def _observed_spread(problem: Problem, k: int, kind: str) -> np.ndarray:
    sample = problem.samples[k]
    inverse = np.linalg.inv(_moment_information(problem, k, sample.mean, sample.cov, kind))
    if problem.se == "standard":
        return inverse / sample.n
    return inverse @ saturated_parts(problem)[k][1] @ inverse / sample.n


def threshold_residuals(problem: Problem, theta: np.ndarray, k: int) -> np.ndarray:
    """Observed minus implied ordinal moments in their stacked order."""
    assert problem.ordinal is not None
    block = problem.structure.blocks[k]
    return problem.ordinal[k].wls_obs - ordinal_moments_of(block, block.implied(theta))
