"""What a fitted measurement model says about its scales: composite reliability, AVE, Fornell–Larcker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from cocoanalysis.errors import Diagnostic, ModelError
from cocoanalysis.measurement.ordinalreliability import score_covariance
from cocoanalysis.result import Result


@dataclass(frozen=True, repr=False)
class CompositeReliability(Result):
    """Reliability and shared variance of the factors of a fitted model, one row a factor (and group)."""

    table: pd.DataFrame
    diagnostics: tuple[Diagnostic, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    survey: Any = None
    ledger: pd.DataFrame | None = None
    provenance: str = "yours"
    title = "Composite reliability"

    def tidy(self) -> pd.DataFrame:
        """Columns ``group, factor, n_items, omega, ave``, with ordinal items also ``omega_latent``."""
        return self.table.copy()

    def glance(self) -> pd.DataFrame:
        lowest = {"lowest_omega": self.table["omega"].min(), "lowest_ave": self.table["ave"].min()}
        return pd.DataFrame({key: [value] for key, value in {"n_factors": len(self.table), **lowest}.items()})

    def notes(self) -> list[str]:
        return [*super().notes(), *(d.reason for d in self.diagnostics)]


@dataclass(frozen=True, repr=False)
class FornellLarcker(Result):
    """Does each factor share more variance with its items than with any other factor? One row a factor."""

    table: pd.DataFrame
    squared: Mapping[str, pd.DataFrame]
    diagnostics: tuple[Diagnostic, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    survey: Any = None
    ledger: pd.DataFrame | None = None
    provenance: str = "yours"
    title = "Fornell–Larcker comparison"

    def tidy(self) -> pd.DataFrame:
        """Columns ``group, factor, ave, largest_r2, nearest, holds``."""
        return self.table.copy()

    def matrix(self, group: str | None = None) -> pd.DataFrame:
        """AVE on the diagonal, squared factor correlations beside it (of the first group unless named)."""
        return self.squared[next(iter(self.squared)) if group is None else group].copy()

    def glance(self) -> pd.DataFrame:
        return pd.DataFrame({"n_factors": [len(self.table)], "holds": [bool(self.table["holds"].all())]})

    def notes(self) -> list[str]:
        return [*super().notes(), *(d.reason for d in self.diagnostics)]


class Measurement(NamedTuple):
    """One group's measurement model as matrices.

    Continuous items are in their own metric and factors have variance 1; ordinal items are standardised.
    """

    items: list[str]
    factors: list[str]
    loadings: np.ndarray  # p × m
    correlations: np.ndarray  # m × m
    residual: np.ndarray  # p × p
    standardized: np.ndarray  # p × m
    thresholds: np.ndarray | None  # p × most, NaN where an item has fewer

    @property
    def implied(self) -> np.ndarray:
        return self.loadings @ self.correlations @ self.loadings.T + self.residual

    def own(self, factor: int) -> np.ndarray:
        return np.flatnonzero(self.loadings[:, factor])


def measurement_of(fit: Any) -> dict[str, Measurement]:
    """The measurement model of a fit, group by group, from its table of estimates."""
    table = fit.tidy(standardized=True)
    latent = list(dict.fromkeys(table.loc[table["op"] == "=~", "lhs"]))
    if not latent:
        raise ModelError("The model has no factors ('=~'), so nothing can be said about scales.", code="NoFactors")
    second = table["op"].eq("=~") & table["rhs"].isin(latent)
    if second.any() or (table["op"].eq("~") & table["lhs"].isin(latent)).any():
        raise ModelError(
            "Factors of this model depend on each other (regressions or higher-order factors). Ask for the reliability "
            "of the model in which they correlate freely: coco.cfa with the '=~' lines only.",
            code="StructuralModel",
        )
    return {str(group): _measurement(rows, latent) for group, rows in table.groupby("group", sort=False)}


def _measurement(table: pd.DataFrame, factors: list[str]) -> Measurement:
    loads = table[table["op"] == "=~"]
    items = list(dict.fromkeys(loads["rhs"]))
    ordered = sorted(set(table.loc[table["op"] == "|", "lhs"]), key=str)
    scale = "std_all" if ordered else "std_lv"
    shape = (len(items), len(factors))
    cells = [items.index(i) for i in loads["rhs"]], [factors.index(f) for f in loads["lhs"]]
    loadings, standardized = np.zeros(shape), np.zeros(shape)
    loadings[cells], standardized[cells] = loads[scale], loads["std_all"]
    both = table[table["op"] == "~~"]
    correlations = _symmetric(both, factors, "std_all", np.eye(len(factors)))
    residual = _symmetric(both, items, "std_all" if ordered else "est", np.zeros((len(items), len(items))))
    thresholds = _thresholds(table, items) if ordered else None
    if ordered and len(ordered) < len(items):
        raise ModelError(
            "The model mixes ordinal and continuous items; the reliability of such a sum is not defined here.",
            code="MixedScales",
        )
    return Measurement(items, factors, loadings, correlations, residual, standardized, thresholds)


def _symmetric(rows: pd.DataFrame, names: list[str], column: str, start: np.ndarray) -> np.ndarray:
    place = {name: i for i, name in enumerate(names)}
    for lhs, rhs, value in zip(rows["lhs"], rows["rhs"], rows[column]):
        if lhs in place and rhs in place:
            start[place[lhs], place[rhs]] = start[place[rhs], place[lhs]] = value
    return start


def _thresholds(table: pd.DataFrame, items: list[str]) -> np.ndarray:
    rows = table[table["op"] == "|"]
    each = [np.sort(rows.loc[rows["lhs"] == item, "std_all"].to_numpy(dtype=float)) for item in items]
    most = max(len(values) for values in each)
    return np.array([np.pad(values, (0, most - len(values)), constant_values=np.nan) for values in each])


def composite_reliability(fit: Any) -> CompositeReliability:
    """Say how reliable the sum of each factor's items is, by a fitted model.

    Parameters
    ----------
    fit : a CFA

    Notes
    -----
    omega = (Σλ)²ψ / 1ᵀΣ1 over the factor's items, with the model-implied Σ (Raykov, 2001; with residual covariances and
    cross-loadings counted as error, as in semTools with ``obs.var = FALSE``); of a general factor this is
    ω hierarchical. With ordinal items omega is that of the sum of the codes (Green & Yang, 2009) and omega_latent
    that of the normal variables behind them. ave = Σλ²ψ / (Σλ²ψ + Σθ) in the metric of the items, as semTools
    (Fornell & Larcker, 1981).

    Examples
    --------
    >>> import cocoanalysis as coco
    >>> folder = coco.bundled("unit-climate")
    >>> responses = coco.read_responses(folder / "responses.csv", coco.read_survey(folder))
    >>> coco.composite_reliability(coco.cfa(responses, estimator="mlr")).tidy()["omega"].round(2).tolist()
    [0.9, 0.83, 0.88]
    """
    rows = []
    for group, model in measurement_of(fit).items():
        for k, name in enumerate(model.factors):
            own = model.own(k)
            rows.append({"group": group, "factor": name, "n_items": len(own), **_reliability(model, k, own)})
    return CompositeReliability(pd.DataFrame(rows), _faults(fit), dict(fit.settings), **_origin(fit))


def _reliability(model: Measurement, factor: int, own: np.ndarray) -> dict[str, float]:
    loadings = model.loadings[own, factor]
    whole = model.implied[np.ix_(own, own)]
    latent = float(loadings.sum() ** 2 / whole.sum())
    squares = (loadings**2).sum()
    ave = float(squares / (squares + np.diag(model.residual)[own].sum()))
    if model.thresholds is None:
        return {"omega": latent, "ave": ave}
    cuts = model.thresholds[own]
    true, total = score_covariance(np.outer(loadings, loadings), cuts), score_covariance(whole, cuts)
    return {"omega": true / total, "ave": ave, "omega_latent": latent}


def fornell_larcker(fit: Any) -> FornellLarcker:
    """Compare the variance a factor shares with its items with what it shares with other factors.

    ``ave`` is the mean squared standardised loading; it should exceed the squared correlation with every other
    factor (Fornell & Larcker, 1981). The comparison misses many faults that HTMT finds (Henseler et al., 2015).

    Examples
    --------
    >>> import cocoanalysis as coco
    >>> folder = coco.bundled("unit-climate")
    >>> responses = coco.read_responses(folder / "responses.csv", coco.read_survey(folder))
    >>> bool(coco.fornell_larcker(coco.cfa(responses, estimator="mlr")).glance()["holds"].item())
    True
    """
    rows, squared = [], {}
    for group, model in measurement_of(fit).items():
        ave = np.array([(model.standardized[model.own(k), k] ** 2).mean() for k in range(len(model.factors))])
        shared = model.correlations**2
        square = shared.copy()
        np.fill_diagonal(square, ave)
        squared[group] = pd.DataFrame(square, index=model.factors, columns=model.factors)
        np.fill_diagonal(shared, -1)
        for k, name in enumerate(model.factors):
            other = int(shared[k].argmax())
            several = len(model.factors) > 1
            row = {"group": group, "factor": name, "ave": ave[k], "largest_r2": shared[k, other] if several else np.nan}
            row |= {"nearest": model.factors[other] if several else "", "holds": bool(ave[k] > shared[k, other])}
            rows.append(row)
    return FornellLarcker(pd.DataFrame(rows), squared, _faults(fit), dict(fit.settings), **_origin(fit))


def _faults(fit: Any) -> tuple[Diagnostic, ...]:
    faults = tuple(fit.diagnostics)
    if not (fit.identified and fit.converged and fit.admissible):
        reason = "The model is not admissible, so these values are no findings."
        faults = (*faults, Diagnostic("Inadmissible", reason))
    return faults


def _origin(fit: Any) -> dict[str, Any]:
    return {"survey": fit.survey, "ledger": fit.ledger, "provenance": fit.provenance}
