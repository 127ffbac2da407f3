"""Reliability of sum scores of ordinal items: the answers are categories, and the score adds up their codes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtr

from cocoanalysis.errors import Diagnostic, ModelError, listed, one_of
from cocoanalysis.measurement.binormal import binormal_cdf
from cocoanalysis.measurement.correlations import checked_items
from cocoanalysis.measurement.items import Scales, alpha_of, scale_items
from cocoanalysis.measurement.moments import polychoric
from cocoanalysis.measurement.resampling import draws, percentiles
from cocoanalysis.responses.selection import select
from cocoanalysis.result import Result
from cocoanalysis.threads import in_one_thread

COLUMNS = (
    "scale",
    "n_items",
    "n",
    "alpha_ordinal",
    "omega_ordinal",
    "omega_lower",
    "omega_upper",
    "omega_latent",
)


@dataclass(frozen=True, repr=False)
class OrdinalReliability(Result):
    """Reliability of ordinal scales, one row each.

    alpha_ordinal and omega_latent are those of the normal variables behind the answers, which nobody scores;
    omega_ordinal is the reliability of the sum of the codes.
    """

    table: pd.DataFrame
    diagnostics: tuple[Diagnostic, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    survey: Any = None
    ledger: pd.DataFrame | None = None
    provenance: str = "yours"
    title = "Reliability of ordinal scales"

    def tidy(self) -> pd.DataFrame:
        return self.table.copy()

    def glance(self) -> pd.DataFrame:
        lowest = self.table["omega_ordinal"].min()
        return pd.DataFrame(
            {
                key: [value]
                for key, value in {"n_scales": len(self.table), "lowest_omega": lowest, **self.settings}.items()
            }
        )

    def notes(self) -> list[str]:
        return [*super().notes(), *(d.reason for d in self.diagnostics)]


@in_one_thread
def ordinal_reliability(
    data: Any,
    scales: Scales | str | Sequence[str] | None = None,
    *,
    denominator: str = "implied",
    bootstrap: int = 0,
    cluster: str | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> OrdinalReliability:
    """Say how reliable sums of ordinal answers are.

    Parameters
    ----------
    data : Responses or DataFrame
    scales : dict of name → items; with Responses also names of constructs or blocks (None: every construct)
    denominator : the score's variance by the model ('implied') or by the polychoric correlations ('observed',
        as semTools)
    bootstrap : replicates for a percentile interval of omega_ordinal; 0 for none
    cluster : a column; whole clusters are drawn instead of people

    Notes
    -----
    omega_ordinal: Green & Yang (2009), equation 21, from one factor fitted to the polychoric correlations by
    diagonally weighted least squares. alpha_ordinal: Zumbo, Gadermann & Zeisser (2007), alpha of the polychoric
    correlations; Chalmers (2018) tells why it is no reliability of the observed score.

    Examples
    --------
    >>> import cocoanalysis as coco
    >>> folder = coco.bundled("unit-climate")
    >>> responses = coco.read_responses(folder / "responses.csv", coco.read_survey(folder))
    >>> coco.ordinal_reliability(responses).tidy()["omega_ordinal"].round(2).tolist()
    [0.91, 0.83, 0.9]
    """
    one_of(denominator, ("implied", "observed"), "denominator")
    rows, notes = [], []
    for name, members in scale_items(data, scales).items():
        chosen = select(data, list(members))
        if len(members) < 3:
            reason = f"{name} has {len(members)} items; a factor model of it alone needs three. It was left out."
            notes.append(Diagnostic("NotIdentified", reason, "note"))
            continue
        frame = checked_items(chosen.frame)
        row, fit_notes = _row(name, frame, denominator)
        notes += fit_notes
        if bootstrap:
            weights = draws(data, len(frame), cluster, bootstrap, seed)
            lower, upper, failures = percentiles(_drawn(frame, weights, denominator), level, name)
            row |= {"omega_lower": lower, "omega_upper": upper}
            notes += failures
        rows.append(row)
    if not rows:
        raise ModelError(f"None of the scales {listed(scale_items(data, scales))} has three items.", code="TooFewItems")
    notes = _empty_cells_once(notes)
    settings = {"denominator": denominator, "bootstrap": bootstrap, "cluster": cluster, "level": level}
    return OrdinalReliability(
        pd.DataFrame(rows, columns=list(COLUMNS)),
        tuple(notes),
        settings,
        chosen.survey,
        chosen.ledger,
        chosen.provenance,
    )


def _empty_cells_once(notes: list[Diagnostic]) -> list[Diagnostic]:
    """One sentence on empty cells for all scales, not one a scale."""
    sparse = [d for d in notes if d.code == "EmptyCells"]
    others = [d for d in notes if d.code != "EmptyCells"]
    if not sparse:
        return others
    reason = f"In {len(sparse)} scales some two-way tables of answers have empty cells; they were used as they are."
    return [*others, Diagnostic("EmptyCells", reason, "note")]


def _row(name: str, frame: pd.DataFrame, denominator: str) -> tuple[dict[str, Any], list[Diagnostic]]:
    found = polychoric(frame)
    matrix = found.correlations.to_numpy()
    notes = list(found.diagnostics)
    loadings, settled = weighted_one_factor(matrix, found.se.to_numpy())
    if not settled or (np.abs(loadings) >= 1).any():
        reason = f"The one-factor model of {name} has no admissible solution; its omega is left empty."
        notes.append(Diagnostic("Heywood" if settled else "NotConverged", reason))
        loadings = np.full(len(matrix), np.nan)
    row = {"scale": name, "n_items": len(matrix), "n": int(found.counts.to_numpy().min())}
    row |= {"alpha_ordinal": float(alpha_of(matrix))}
    row |= _omegas(matrix, loadings, found.thresholds.to_numpy(), denominator)
    return row, notes


def _omegas(matrix: np.ndarray, loadings: np.ndarray, thresholds: np.ndarray, denominator: str) -> dict[str, float]:
    if np.isnan(loadings).any():
        return {"omega_ordinal": np.nan, "omega_latent": np.nan}
    common = np.outer(loadings, loadings)
    whole = matrix.copy() if denominator == "observed" else common.copy()
    np.fill_diagonal(whole, 1.0)
    true, total = score_covariance(common, thresholds), score_covariance(whole, thresholds)
    return {"omega_ordinal": float(true / total), "omega_latent": float(loadings.sum() ** 2 / whole.sum())}


def score_covariance(correlations: np.ndarray, thresholds: np.ndarray) -> float:
    """Sum over all pairs of items of the covariance of their codes, for normal variables with these correlations.

    With codes 0, 1, … the covariance is Σ Φ₂(τᵢ, τⱼ; ρ) − Σ Φ(τᵢ) Σ Φ(τⱼ) over the thresholds. ``thresholds`` is
    items × thresholds with NaN where an item has fewer; the diagonal of ``correlations`` may be 1 (one variable)
    or less (two measurements of it).
    """
    p, m = thresholds.shape
    first, second = np.triu_indices(p)
    rho = np.clip(correlations[first, second], -1, 1)
    below = np.nan_to_num(thresholds, nan=np.inf)
    h = np.broadcast_to(below[first][:, :, None], (len(first), m, m)).reshape(len(first), -1)
    k = np.broadcast_to(below[second][:, None, :], (len(first), m, m)).reshape(len(first), -1)
    used = np.isfinite(h) & np.isfinite(k)
    same = rho >= 1
    joint = np.empty(h.shape)
    joint[same] = ndtr(np.minimum(h[same], k[same]))
    if not same.all():
        safe_h, safe_k = np.where(used, h, 0.0), np.where(used, k, 0.0)
        joint[~same] = binormal_cdf(safe_h[~same], safe_k[~same], rho[~same])
    single = np.where(np.isfinite(below), ndtr(below), 0.0).sum(axis=1)
    cells = np.where(used, joint, 0.0).sum(axis=1) - single[first] * single[second]
    return float((cells * np.where(first == second, 1, 2)).sum())


def weighted_one_factor(matrix: np.ndarray, errors: np.ndarray) -> tuple[np.ndarray, bool]:
    """Loadings (p) that minimise Σ ((rᵢⱼ − λᵢλⱼ)/seᵢⱼ)² over pairs, and whether the search settled.

    Newton steps from the first principal axis, shortened until they go downhill.
    """
    off = ~np.eye(len(matrix), dtype=bool)
    if not np.isfinite(matrix).all() or not (errors[off] > 0).all() or not np.isfinite(errors[off]).all():
        return np.full(len(matrix), np.nan), False  # a correlation of ±1 has no standard error
    weight = np.where(off, 1 / np.where(off, errors, 1.0) ** 2, 0.0)
    weight /= weight.max()
    values, vectors = np.linalg.eigh(matrix)
    loadings = vectors[:, -1] * np.sqrt(values[-1]) * np.sign(vectors[:, -1].sum() or 1)

    def loss(x: np.ndarray) -> float:
        return float((weight * (matrix - np.outer(x, x)) ** 2).sum())

    for _ in range(100):
        residual = weight * (matrix - np.outer(loadings, loadings))
        gradient = -residual @ loadings
        if np.abs(gradient).max() < 1e-10:
            return loadings, True
        hessian = weight * np.outer(loadings, loadings) - residual
        hessian[~off] = weight @ loadings**2
        curve, basis = np.linalg.eigh(hessian)
        step = basis @ ((basis.T @ gradient) / np.maximum(np.abs(curve), 1e-8))
        length, before = 1.0, loss(loadings)
        while loss(loadings - length * step) > before and length > 1e-10:
            length /= 2
        loadings = loadings - length * step
    return loadings, bool(np.abs(gradient).max() < 1e-6)


def _drawn(frame: pd.DataFrame, weights: np.ndarray, denominator: str) -> np.ndarray:
    """omega_ordinal in each drawn sample; NaN where the model has no admissible solution."""
    drawn = np.full(len(weights), np.nan)
    for i, weight in enumerate(weights):
        sample = pd.DataFrame(np.repeat(frame.to_numpy(), weight.astype(int), axis=0), columns=frame.columns)
        try:
            found = polychoric(sample)
        except ModelError:  # an item on which all drawn people agree
            continue
        matrix = found.correlations.to_numpy()
        loadings, settled = weighted_one_factor(matrix, found.se.to_numpy())
        if settled and (np.abs(loadings) < 1).all():
            drawn[i] = _omegas(matrix, loadings, found.thresholds.to_numpy(), denominator)["omega_ordinal"]
    return drawn
