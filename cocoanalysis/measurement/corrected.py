"""What the robust CFI, TLI and RMSEA are computed from.

Complete continuous data: the plain statistics with their scaling factors (Brosseau-Liard,
Cribbie & Savalei, 2012, 2014). Incomplete data: normal-theory statistics at the saturated
estimates (Zhang & Savalei, 2023). Ordered items: the maximum likelihood statistic of the
polychoric correlations (Savalei, 2021), which knows nothing of thresholds; where the model
restricts those too, it would judge another model, and there are no such indices.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from cocoanalysis.measurement.estimators import weighted
from cocoanalysis.measurement.fitting import Solution, null_space, rank_deficit
from cocoanalysis.measurement.implied import lower
from cocoanalysis.measurement.inference import (
    Problem,
    Test,
    gammas,
    independence_point,
    independence_selection,
    inverse_information,
    kept_moments,
    point_information,
    point_parts,
)
from cocoanalysis.measurement.ordinal import scales
from cocoanalysis.measurement.samples import normal_weight


class RobustParts(NamedTuple):
    chi2: float
    df: float
    c: float
    base_chi2: float
    base_df: float
    base_c: float
    scaled_chi2: float  # what is referred to a noncentral χ² for the interval of RMSEA …
    scale: float  # … and what turns its noncentrality into that of ``chi2``


def robust_parts(
    problem: Problem, solution: Solution, test: Test, scaled: Test | None, base: tuple[Test, Test | None]
) -> RobustParts | str | None:
    """Statistics and scaling factors of both models; None, or the reason, where no robust index is defined."""
    if not test.df > 0 or problem.test == "mean.var.adjusted":
        return None
    if problem.ordinal is not None:
        return _ordinal_parts(problem, solution, test.df) if scaled is not None else None
    if problem.patterns is not None:
        return _incomplete_parts(problem, solution, test, base[0], scaled is not None)
    if scaled is None or base[1] is None:
        return None
    return RobustParts(
        test.chi2, test.df, _factor(scaled, test.df), base[0].chi2, base[0].df, _factor(base[1], base[0].df),
        scaled.chi2, scaled.factor,
    )  # fmt: skip


def _factor(scaled: Test, df: float) -> float:
    return scaled.factor * (df - scaled.shift) / df if np.isfinite(scaled.shift) else scaled.factor


def _incomplete_parts(problem: Problem, solution: Solution, test: Test, base: Test, scaled: bool) -> RobustParts | None:
    keeps = [kept_moments(problem, g) for g in range(len(problem.samples))]
    own = [j[k] for j, k in zip(problem.discrepancy.jacobians(solution.theta), keeps)]
    chi2 = sum(
        _normal_distance(s.cov, s.mean, implied.cov, implied.mean, s.n)
        for s, implied in zip(problem.samples, problem.structure.implied(solution.theta))
    )
    selection, base_chi2 = _independence_jacobians(problem, keeps), 0.0
    for g, sample in enumerate(problem.samples):
        mean, cov = independence_point(problem, g)
        base_chi2 += _normal_distance(sample.cov, sample.mean, cov, mean, sample.n)
    parts = _saturated_matrices(problem, keeps, scaled)
    basis = null_space(solution.active, problem.table.n_free)
    everything = np.eye(selection[0].shape[1])
    c = _trace(own, basis, parts, problem.share) / test.df
    base_c = _trace(selection, everything, parts, problem.share) / base.df
    return RobustParts(chi2, test.df, c, base_chi2, base.df, base_c, chi2 / c, c)


def _saturated_matrices(problem: Problem, keeps, scaled: bool):
    """Per group: observed information W of the incomplete, V of the complete saturated model, Γ (or None), bread."""
    out = []
    for g, sample in enumerate(problem.samples):
        w, meat = point_parts(problem, g, sample.mean, sample.cov)
        v = normal_weight(sample.cov, True)[np.ix_(keeps[g], keeps[g])]
        inverse = np.linalg.inv(w)
        gamma = inverse @ meat @ inverse if scaled else None
        bread = w
        if problem.information == "expected":
            bread = point_information(problem, g, sample.mean, sample.cov, "expected")
        elif problem.information == "first.order":
            bread = meat
        out.append((w, v, inverse, gamma, bread))
    return out


def _trace(jacobians, basis: np.ndarray, parts, share: np.ndarray) -> float:
    """tr(V W⁻¹ U W⁻¹), or with Γ tr(U W⁻¹ V W⁻¹ U Γ), U = W − WΔ(Δ'WΔ)⁻¹Δ'W over all groups.

    W, V and Γ fall apart into groups and WΔ is thin, so the product is expanded and no matrix over all groups is made.
    """
    q = basis.shape[1]
    bread, inner, cross, spread = (np.zeros((q, q)) for _ in range(4))
    first = 0.0
    for j, (w, v, inverse, gamma, own_bread), f in zip(jacobians, parts, share):
        delta = j @ basis
        pull = f * (w @ delta)
        thin = inverse @ pull
        bread += f * (delta.T @ own_bread @ delta)
        inner += thin.T @ v @ thin / f
        if gamma is None:
            first += float(np.sum(inverse * v))
            continue
        turned = gamma @ pull / f
        first += float(np.sum(v * gamma))
        cross += thin.T @ v @ turned
        spread += pull.T @ turned
    if parts[0][3] is None:
        return first - float(np.trace(np.linalg.solve(bread, inner)))
    once = np.linalg.solve(bread, inner) @ np.linalg.solve(bread, spread)
    return first - 2 * float(np.trace(np.linalg.solve(bread, cross))) + float(np.trace(once))


def _independence_jacobians(problem: Problem, keeps) -> list[np.ndarray]:
    free, _ = independence_selection(problem)
    columns, before, out = sum(len(f) for f in free), 0, []
    for f, keep in zip(free, keeps):
        jacobian = np.zeros((len(keep), columns))
        jacobian[np.searchsorted(keep, f), np.arange(before, before + len(f))] = 1.0
        before += len(f)
        out.append(jacobian)
    return out


def _normal_distance(observed, mean, implied, implied_mean, n: float) -> float:
    inverse = np.linalg.inv(implied)
    logdet = np.linalg.slogdet(implied)[1] - np.linalg.slogdet(observed)[1]
    d = mean - implied_mean
    return float(n * (logdet + np.sum(inverse * observed) - len(observed) + d @ inverse @ d))


def _ordinal_parts(problem: Problem, solution: Solution, df: float) -> RobustParts | str | None:
    """Savalei's correction; defined when all variables are ordered, nothing is conditioned on and R is definite."""
    assert problem.ordinal is not None
    found = problem.ordinal
    if any(len(m.exogenous) or not np.all(m.ordered) for m in found):
        return "the correction (Savalei, 2021) is for models of ordered items alone"
    if any(np.linalg.eigvalsh(m.cov)[0] < 1.5e-8 for m in found):
        return "the matrix of polychoric correlations is not positive definite"
    inverse = inverse_information(problem, solution)
    implied = [_implied_correlations(problem, solution, k) for k in range(len(found))]
    if inverse is None or any(np.linalg.eigvalsh(sigma)[0] <= 0 for sigma in implied):
        return None
    corners = [_corner(problem, solution, k, sigma) for k, sigma in enumerate(implied)]
    delta = np.vstack([corner.jacobian for corner in corners])
    moments = len(delta)
    if moments - _directions(delta, solution) != df:
        return (
            "the correction (Savalei, 2021) judges correlations alone, and this model restricts thresholds or "
            "intercepts as well"
        )
    chi2 = sum(_normal_distance(m.cov, m.mean * 0, sigma, m.mean * 0, m.n) for m, sigma in zip(found, implied))
    base_chi2 = -sum(m.n * np.linalg.slogdet(m.cov)[1] for m in found)
    ks = _corrected_trace(corners, delta, inverse)
    kbs = float(sum(np.trace(corner.gamma) for corner in corners))
    return RobustParts(chi2, df, ks / df, base_chi2, moments, kbs / moments, chi2 * df / ks, ks / df)


class _Corner(NamedTuple):
    """What concerns the correlations of one group, weighted by the group's share."""

    jacobian: np.ndarray
    weight: np.ndarray
    normal: np.ndarray
    gamma: np.ndarray


def _implied_correlations(problem: Problem, solution: Solution, group: int) -> np.ndarray:
    block = problem.structure.blocks[group]
    implied = block.implied(solution.theta)
    d = scales(block, implied)
    sigma = implied.cov * np.outer(d, d)
    np.fill_diagonal(sigma, 1.0)
    return sigma


def _corner(problem: Problem, solution: Solution, group: int, sigma: np.ndarray) -> _Corner:
    share, weight = problem.share[group], problem.discrepancy.weight[group]
    i, j = lower(len(sigma))
    off = np.flatnonzero(i != j)
    pairs = len(off)
    return _Corner(
        problem.discrepancy.jacobians(solution.theta)[group][-pairs:],
        share * (weight[-pairs:] if weight.ndim == 1 else weight[-pairs:, -pairs:]),
        share * normal_weight(sigma, False)[np.ix_(off, off)],
        gammas(problem)[group][-pairs:, -pairs:] / share,
    )


def _corrected_trace(corners: Sequence[_Corner], delta: np.ndarray, inverse: np.ndarray) -> float:
    """tr(A'VAΓ), A = I − Δ(Δ'WΔ)⁻¹Δ'W over the correlations of all groups."""
    wd = np.vstack([weighted(corner.weight, corner.jacobian) for corner in corners])
    away = np.eye(len(delta)) - delta @ inverse @ wd.T
    edges = np.cumsum([0, *(len(corner.jacobian) for corner in corners)])
    places = [slice(first, last) for first, last in pairwise(edges)]
    return float(
        sum(
            np.sum((away[here, there].T @ own.normal @ away[here, there]) * other.gamma.T)
            for own, here in zip(corners, places)
            for other, there in zip(corners, places)
        )
    )


def _directions(delta: np.ndarray, solution: Solution) -> int:
    """In how many directions the free parameters move the correlations."""
    basis = null_space(solution.equalities, delta.shape[1])
    return basis.shape[1] - rank_deficit(delta @ basis)[0]
