"""What the robust CFI, TLI and RMSEA are computed from.

Complete continuous data: the plain statistics with their scaling factors (Brosseau-Liard,
Cribbie & Savalei, 2012, 2014). Incomplete data: normal-theory statistics at the saturated
estimates (Zhang & Savalei, 2023). Ordered items: the maximum likelihood statistic of the
polychoric correlations (Savalei, 2021).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cocoanalysis.measurement.estimators import weighted
from cocoanalysis.measurement.fitting import Solution, null_space
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


def robust_parts(
    problem: Problem, solution: Solution, test: Test, scaled: Test | None, base: tuple[Test, Test | None]
) -> RobustParts | None:
    """Statistics and scaling factors of model and independence model, or None where no robust index is defined."""
    if not test.df > 0 or problem.test == "mean.var.adjusted":
        return None
    if problem.ordinal is not None:
        return _ordinal_parts(problem, solution) if scaled is not None else None
    if problem.patterns is not None:
        return _incomplete_parts(problem, solution, test, base[0], scaled is not None)
    if scaled is None or base[1] is None:
        return None
    return RobustParts(
        test.chi2, test.df, _factor(scaled, test.df), base[0].chi2, base[0].df, _factor(base[1], base[0].df)
    )


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
    return RobustParts(
        chi2, test.df, _trace(own, basis, parts, problem.share) / test.df,
        base_chi2, base.df, _trace(selection, everything, parts, problem.share) / base.df,
    )  # fmt: skip


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


def _ordinal_parts(problem: Problem, solution: Solution) -> RobustParts | None:
    """Savalei's correction; defined when all variables are ordered, nothing is conditioned on and R is definite."""
    assert problem.ordinal is not None
    found = problem.ordinal
    if any(len(m.exogenous) or not np.all(m.ordered) for m in found):
        return None
    if any(np.linalg.eigvalsh(m.cov)[0] < 1.5e-8 for m in found):
        return None
    inverse = inverse_information(problem, solution)
    if inverse is None:
        return None
    chi2, base_chi2, ks, kbs, moments = 0.0, 0.0, 0.0, 0.0, 0
    jacobians = problem.discrepancy.jacobians(solution.theta)
    corner: list[tuple[np.ndarray, ...]] = []
    for k, m in enumerate(found):
        p, share = len(m.names), problem.share[k]
        pairs = p * (p - 1) // 2
        block = problem.structure.blocks[k]
        implied = block.implied(solution.theta)
        d = scales(block, implied)
        sigma = implied.cov * np.outer(d, d)
        np.fill_diagonal(sigma, 1.0)
        if np.linalg.eigvalsh(sigma)[0] <= 0:
            return None
        chi2 += _normal_distance(m.cov, m.mean * 0, sigma, m.mean * 0, m.n)
        base_chi2 += -m.n * np.linalg.slogdet(m.cov)[1]
        i, j = lower(p)
        off = np.flatnonzero(i != j)
        v = share * normal_weight(sigma, False)[np.ix_(off, off)]
        w = (
            share * problem.discrepancy.weight[k][-pairs:]
            if problem.discrepancy.weight[k].ndim == 1
            else (share * problem.discrepancy.weight[k][-pairs:, -pairs:])
        )
        corner.append((jacobians[k][-pairs:], w, v, gammas(problem)[k][-pairs:, -pairs:] / share))
        moments += pairs
        kbs += float(np.trace(corner[-1][3]))
    wd = np.vstack([weighted(w, delta) for delta, w, _, _ in corner])
    delta = np.vstack([delta for delta, _, _, _ in corner])
    edges = np.concatenate([[0], np.cumsum([len(c[0]) for c in corner])])
    away = np.eye(moments) - delta @ inverse @ wd.T
    for k, (_, _, v, _) in enumerate(corner):
        here = slice(edges[k], edges[k + 1])
        for q, (_, _, _, gamma_q) in enumerate(corner):
            there = slice(edges[q], edges[q + 1])
            part = away[here, there]
            ks += float(np.sum((part.T @ v @ part) * gamma_q.T))
    df = moments - _correlation_parameters(problem, solution)
    if not df > 0:
        return None
    return RobustParts(chi2, df, ks / df, base_chi2, moments, kbs / moments)


def _correlation_parameters(problem: Problem, solution: Solution) -> int:
    """Free parameters besides thresholds and intercepts, less the ties between them."""
    rows = [r for r in problem.table.rows if r.free >= 0 and r.op not in ("|", "~1")]
    places = sorted({r.free for r in rows})
    ties = solution.equalities[:, places] if solution.equalities.size else np.zeros((0, len(places)))
    return len(places) - (int(np.linalg.matrix_rank(ties)) if ties.size else 0)
