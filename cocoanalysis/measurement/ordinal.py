"""Implied moments of ordered variables: thresholds, slopes, variances and correlations of latent responses.

The order is that of the sample side (`moments.Moments.wls_obs`): for each variable its
thresholds, or minus its mean when it is continuous; slopes on covariates, covariate by
covariate; variances of the continuous variables; the strict lower triangle of the
covariances. Scales δ are parameters ("delta") or 1/√Σᵢᵢ ("theta") (Muthén & Asparouhov, 2002).
"""

from __future__ import annotations

import numpy as np

from cocoanalysis.measurement.implied import Block, Implied, cell_columns, lower, pull_back


def scales(block: Block, implied: Implied) -> np.ndarray:
    """δ, one a variable; 1 for continuous ones."""
    if block.theta_scaled:
        diagonal = np.diagonal(implied.cov)
        return np.where(block.ordered, 1 / np.sqrt(np.maximum(diagonal, 1e-12)), 1.0)
    return np.where(block.ordered, implied.matrices["delta"], 1.0)


def ordinal_moments_of(block: Block, implied: Implied) -> np.ndarray:
    """The implied counterpart of ``wls_obs``."""
    d = scales(block, implied)
    variable, number = block.threshold_rows
    tau = np.append(implied.matrices["tau"], 0.0)
    first = d[variable] * (tau[number] - implied.mean[variable])
    parts = [first]
    if implied.slopes is not None:
        parts.append((d[:, None] * implied.slopes).T.ravel())
    parts.append(np.diagonal(implied.cov)[~block.ordered])
    i, j = lower(block.p, diagonal=False)
    parts.append(d[i] * d[j] * implied.cov[i, j])
    return np.concatenate(parts)


def ordinal_jacobian(block: Block, implied: Implied) -> np.ndarray:
    """Derivatives of the ordinal moments by the free parameters, (k, n_free)."""
    plan = block.plan
    u, v, dmean = cell_columns(plan, implied)
    d = scales(block, implied)
    variances = 2 * plan.c * u * v  # derivatives of the diagonal of Σ, (p, cells)
    dd = _scale_slopes(block, d, variances)
    variable, number = block.threshold_rows
    tau = np.append(implied.matrices["tau"], 0.0)
    dtau = _indicator(block, "tau", len(tau) - 1)
    dtau = np.vstack([dtau, np.zeros(len(plan.elements))])
    distance = tau[number] - implied.mean[variable]
    parts = [d[variable, None] * (dtau[number] - dmean[variable]) + dd[variable] * distance[:, None]]
    if implied.slopes is not None:
        parts.append(_slope_rows(block, implied, d, dd))
    parts.append(variances[~block.ordered])
    i, j = lower(block.p, diagonal=False)
    dcov = plan.c * (u[i] * v[j] + v[i] * u[j])
    scale = (d[i] * d[j])[:, None]
    parts.append(scale * dcov + (dd[i] * d[j, None] + d[i, None] * dd[j]) * implied.cov[i, j][:, None])
    return np.concatenate(parts) @ plan.select


def ordinal_pull_back(block: Block, implied: Implied, by: np.ndarray) -> np.ndarray:
    """Gradient by the free parameters, given that by the ordinal moments; no Jacobian is made."""
    if implied.slopes is not None:
        return by @ ordinal_jacobian(block, implied)
    d, p = scales(block, implied), block.p
    variable, number = block.threshold_rows
    tau = np.append(implied.matrices["tau"], 0.0)
    first, variances, pairs = np.split(by, [len(variable), len(by) - p * (p - 1) // 2])
    i, j = lower(p, diagonal=False)
    by_cov, by_scale, cross = np.zeros((p, p)), np.zeros(p), pairs * implied.cov[i, j]
    by_cov[i, j] = by_cov[j, i] = 0.5 * pairs * d[i] * d[j]
    np.add.at(by_scale, i, cross * d[j])
    np.add.at(by_scale, j, cross * d[i])
    np.add.at(by_scale, variable, first * (tau[number] - implied.mean[variable]))
    by_mean = -np.bincount(variable, first * d[variable], p)
    diagonal = np.zeros(p)
    diagonal[~block.ordered] = variances
    by_scale = np.where(block.ordered, by_scale, 0.0)
    if block.theta_scaled:
        diagonal -= 0.5 * d**3 * by_scale
    by_cov[np.diag_indices(p)] = diagonal
    cells = np.zeros(len(block.plan.elements))
    own, which = block.vector_cells["tau"]
    by_tau = np.zeros(len(tau))
    np.add.at(by_tau, number, first * d[variable])
    cells[own] = by_tau[which]
    if not block.theta_scaled:
        own, which = block.vector_cells["delta"]
        cells[own] = by_scale[which]
    return pull_back(block.plan, implied, by_cov, by_mean) + cells @ block.plan.select


def _scale_slopes(block: Block, d: np.ndarray, variances: np.ndarray) -> np.ndarray:
    if block.theta_scaled:
        return np.where(block.ordered[:, None], -0.5 * d[:, None] ** 3 * variances, 0.0)
    return np.where(block.ordered[:, None], _indicator(block, "delta", block.p), 0.0)


def _indicator(block: Block, matrix: str, size: int) -> np.ndarray:
    """1 where a cell of a vector-valued matrix is that row's own."""
    out = np.zeros((size, len(block.plan.elements)))
    cell, entry = block.vector_cells[matrix]
    out[entry, cell] = 1.0
    return out


def slope_derivatives(block: Block, implied: Implied) -> np.ndarray:
    """Derivatives of the slopes Π before scaling, (q, p, cells)."""
    p, m, q = block.p, block.m, len(block.exogenous)
    a = implied.left[:, p : p + m]
    reach = implied.reduced @ implied.matrices["gamma"]  # (m, q)
    rows = np.zeros((q, p, len(block.plan.elements)))
    for t, (matrix, i, j, _) in enumerate(block.plan.elements):
        if matrix == "lambda":
            rows[:, i, t] = reach[j]
        elif matrix == "beta":
            rows[:, :, t] = np.outer(reach[j], a[:, i])
        elif matrix == "gamma":
            rows[j, :, t] = a[:, i]
    return rows


def _slope_rows(block: Block, implied: Implied, d: np.ndarray, dd: np.ndarray) -> np.ndarray:
    assert implied.slopes is not None
    rows = d[None, :, None] * slope_derivatives(block, implied) + dd[None] * implied.slopes.T[:, :, None]
    return rows.reshape(len(block.exogenous) * block.p, -1)


def completed_variances(block: Block, implied: Implied) -> np.ndarray:
    """Residual variances that the delta parameterisation leaves over: 1/δ² minus what is explained, (p,)."""
    d = scales(block, implied)
    explained = np.diagonal(implied.cov) - np.diagonal(implied.matrices["theta"])
    return 1 / d**2 - explained
