"""Standardised solutions with their standard errors, and explained variances.

A standardised value is a parameter times powers of standard deviations, so its gradient
follows from the gradients of (total and residual) variances; the delta method does the
rest. Covariances are divided by the residual standard deviations of both sides, as in
lavaan, so that they read as correlations.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cocoanalysis.measurement.implied import Block, Implied
from cocoanalysis.measurement.inference import Problem
from cocoanalysis.measurement.ordinal import completed_variances, scales, slope_derivatives
from cocoanalysis.measurement.parameters import Parameter


class Variation:
    """Total and residual variances of a block's variables, each with its gradient by the free parameters."""

    def __init__(self, block: Block, implied: Implied, cov_x: np.ndarray | None = None):
        self.block, self.implied = block, implied
        self.total: dict[str, tuple[float, np.ndarray]] = {}
        self.residual: dict[str, tuple[float, np.ndarray]] = {}
        self._latent(cov_x)
        self._observed(cov_x)
        for k, name in enumerate(block.exogenous):
            if cov_x is not None:
                self.total[name] = self.residual[name] = (float(cov_x[k, k]), np.zeros(block.n_free))

    def _latent(self, cov_x: np.ndarray | None) -> None:
        block, x = self.block, self.implied
        total = np.diagonal(x.latent_cov).copy()
        slopes = np.zeros((block.m, block.n_free))
        own = np.zeros((block.m, block.n_free))
        for matrix, i, j, place in block.elements:
            if matrix == "psi":
                slopes[:, place] += (1.0 if i == j else 2.0) * x.reduced[:, i] * x.reduced[:, j]
                own[i, place] += float(i == j)
            elif matrix == "beta":
                slopes[:, place] += 2 * x.reduced[:, i] * x.latent_cov[j]
        if cov_x is not None and block.exogenous:
            reach = x.reduced @ x.matrices["gamma"]
            total += np.einsum("mi,ij,mj->m", reach, cov_x, reach)
            pulled = 2 * reach @ cov_x
            for matrix, i, j, place in block.elements:
                if matrix == "beta":
                    slopes[:, place] += pulled @ reach[j] * x.reduced[:, i]
                elif matrix == "gamma":
                    slopes[:, place] += pulled[:, j] * x.reduced[:, i]
        psi = np.diagonal(x.matrices["psi"])
        for j, name in enumerate(block.factors):
            self.total[name], self.residual[name] = (total[j], slopes[j]), (psi[j], own[j])

    def _observed(self, cov_x: np.ndarray | None) -> None:
        block, x = self.block, self.implied
        plan = block.plan
        u, v = x.left[:, plan.u], x.left[:, plan.v]
        cells = 2 * plan.c * u * v
        total, slopes = np.diagonal(x.cov).copy(), cells @ plan.select
        residual, own = np.diagonal(x.matrices["theta"]).copy(), np.zeros((block.p, block.n_free))
        for matrix, i, j, place in block.elements:
            if matrix == "theta" and i == j:
                own[i, place] += 1.0
        if block.ordered.any() and not block.theta_scaled:
            total, slopes, residual, own = self._rescaled(cells, total, slopes, residual, own)
        if cov_x is not None and x.slopes is not None:
            total = total + np.einsum("pi,ij,pj->p", x.slopes, cov_x, x.slopes)
            slopes = slopes + np.einsum("pj,jpn->pn", 2 * x.slopes @ cov_x, slope_derivatives(block, x) @ plan.select)
        for i, name in enumerate(block.observed):
            self.total[name] = (total[i], slopes[i])
            if name not in self.residual or block.ordered[i]:
                self.residual[name] = (residual[i], own[i])

    def _rescaled(self, cells, total, slopes, residual, own):
        """Ordered variables under delta: total 1/δ², residual what is left over."""
        block, x = self.block, self.implied
        d, dd = scales(block, x), np.zeros((block.p, block.n_free))
        for matrix, i, _, place in block.elements:
            if matrix == "delta":
                dd[i, place] += 1.0
        keep = block.ordered
        moved = np.array([name in block.factors for name in block.observed])
        psi = np.array([self.residual[n][0] if n in block.factors else 0.0 for n in block.observed])
        is_theta = np.array([e[0] == "theta" for e in block.plan.elements], dtype=float)
        whole = np.where(keep[:, None], -2 * dd / d[:, None] ** 3, slopes)
        explained = (cells * (1 - is_theta)) @ block.plan.select
        left = completed_variances(block, x) + np.where(moved, psi, 0.0)
        left_slopes = np.where(keep[:, None], whole - explained, own)
        return np.where(keep, 1 / d**2, total), whole, np.where(keep, left, residual), left_slopes


def variations(problem: Problem, theta: np.ndarray) -> dict[tuple[int, int], Variation]:
    """One `Variation` a (group, level)."""
    out = {}
    for k, (block, key) in enumerate(zip(problem.structure.blocks, problem.structure.keys)):
        cov_x = None
        if problem.ordinal and block.exogenous:
            m = problem.ordinal[k]
            cov_x = m.cov_x * (m.n / (m.n - 1))
        out[key] = Variation(block, block.implied(theta), cov_x)
    return out


def reported_values(problem: Problem, theta: np.ndarray, found: dict[tuple[int, int], Variation]) -> np.ndarray:
    """One value a row: estimates, and what is computed (residuals under delta, scales under theta)."""
    values = problem.table.values(theta)
    if problem.ordinal is None:
        return values
    for i, row in enumerate(problem.table.rows):
        block = problem.structure.blocks[problem.structure.keys.index((row.group, row.level))]
        if row.lhs not in block.observed or not block.ordered[block.observed.index(row.lhs)]:
            continue
        variation = found[row.group, row.level]
        if row.op == "~*~" and block.theta_scaled:
            values[i] = scales(block, variation.implied)[block.observed.index(row.lhs)]
        elif row.op == "~~" and row.lhs == row.rhs and not block.theta_scaled:
            values[i] = variation.residual[row.lhs][0]
    return values


def standardised(
    problem: Problem,
    values: np.ndarray,
    found: dict[tuple[int, int], Variation],
    *,
    slopes: bool = True,
    kinds: Sequence[str] = ("std_lv", "std_all"),
) -> dict[str, np.ndarray]:
    """'std_lv' and 'std_all', one value a row; with ``slopes`` also their Jacobians ('std_all_slopes', …)."""
    rows, n_free = problem.table.rows, problem.table.n_free
    out = {name: np.zeros(len(rows)) for name in kinds}
    if slopes:
        out |= {f"{name}_slopes": np.zeros((len(rows), n_free)) for name in kinds}
    for key, variation in found.items():
        here = [i for i, row in enumerate(rows) if (row.group, row.level) == key]
        own = [rows[i] for i in here]
        scale = np.array([row.op == "~*~" for row in own], dtype=bool)
        value = np.where(scale, 1.0, values[here])
        direct = _direct(own, variation, n_free) if slopes else None
        for kind in kinds:
            factor, bend = _factors(own, variation, kind)
            out[kind][here] = np.where(value != 0, value * factor, 0.0)
            if direct is not None:
                gradient = factor[:, None] * direct + (value * factor)[:, None] * bend
                out[f"{kind}_slopes"][here] = np.where(scale[:, None], 0.0, gradient)
    return out


def _factors(rows: Sequence[Parameter], variation: Variation, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """By what each row's value is multiplied, and the gradient of that factor's logarithm, (rows, n_free)."""
    known = variation.total if kind == "std_all" else set(variation.block.latent)
    place: dict[tuple[str, bool], int] = {}
    powers = np.zeros((len(rows), 2 * len(variation.total)))
    for i, row in enumerate(rows):
        for name, residual, power in _powers(row):
            if name in variation.total and name in known:
                powers[i, place.setdefault((name, residual), len(place))] += power
    pairs = [(variation.residual if residual else variation.total)[name] for name, residual in place]
    powers = powers[:, : len(pairs)]
    variance = np.array([v for v, _ in pairs], dtype=float)
    slope = np.array([s for _, s in pairs]).reshape(len(pairs), variation.block.n_free)
    with np.errstate(all="ignore"):
        deviation = np.where(variance > 0, np.sqrt(variance), np.nan)
        weight = np.where(powers != 0, 0.5 * powers / variance, 0.0)
        return np.prod(deviation**powers, axis=1), weight @ slope


def _direct(rows: Sequence[Parameter], variation: Variation, n_free: int) -> np.ndarray:
    """Gradient of each row's value: a free parameter's own, or that of a residual that is computed."""
    gradient = np.zeros((len(rows), n_free))
    for i, row in enumerate(rows):
        if row.free >= 0:
            gradient[i, row.free] = 1.0
        elif _computed(row, variation.block):
            gradient[i] = variation.residual[row.lhs][1]
    return gradient


def _computed(row: Parameter, block: Block) -> bool:
    """Is this the residual variance of an ordered variable, which the delta parameterisation computes?"""
    if row.op != "~~" or row.lhs != row.rhs or row.lhs not in block.observed or block.theta_scaled:
        return False
    return bool(block.ordered[block.observed.index(row.lhs)])


def _powers(row: Parameter) -> Sequence[tuple[str, bool, float]]:
    """(variable, by its residual deviation?, power of the deviation) for one row."""
    if row.op == "=~":
        return (row.lhs, False, 1.0), (row.rhs, False, -1.0)
    if row.op == "~":
        return (row.rhs, False, 1.0), (row.lhs, False, -1.0)
    if row.op == "~~":
        residual = row.lhs != row.rhs
        return (row.lhs, residual, -1.0), (row.rhs, residual, -1.0)
    if row.op in ("~1", "|"):
        return ((row.lhs, False, -1.0),)
    return ()


def explained_variances(problem: Problem, found: dict[tuple[int, int], Variation]) -> list[tuple[str, int, float]]:
    """(variable, group, R²) of every variable that the model explains."""
    out = []
    for (group, level), variation in found.items():
        rows = [r for r in problem.table.rows if (r.group, r.level) == (group, level)]
        explained = {r.rhs for r in rows if r.op == "=~"} | {r.lhs for r in rows if r.op == "~"}
        names = [n for n in (*variation.block.observed, *variation.block.latent) if n in explained]
        for name in names:
            total, residual = variation.total[name][0], variation.residual[name][0]
            out.append((name, group, 1 - residual / total if residual >= 0 and total > 0 else np.nan))
    return out
