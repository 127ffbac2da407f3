"""Reliability: how much of the spread of a scale's scores is not measurement error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pingouin
from scipy import stats

from cocoanalysis.errors import Diagnostic, ModelError, listed, one_of
from cocoanalysis.measurement.correlations import correlation_of
from cocoanalysis.measurement.extraction import LOWEST, ml
from cocoanalysis.measurement.items import Scales, item_faults, item_rest, pairwise_covariance, scale_items
from cocoanalysis.responses.selection import Selection, select
from cocoanalysis.result import Result

COLUMNS = (
    "scale",
    "n_items",
    "n",
    "alpha",
    "alpha_lower",
    "alpha_upper",
    "omega_total",
    "omega_lower",
    "omega_upper",
    "omega_hierarchical",
    "ave",
    "mean_item_rest",
)


@dataclass(frozen=True, repr=False)
class Reliability(Result):
    """Reliability of scales, one row each.

    Attributes
    ----------
    table : as `tidy`
    items : as `item_table`
    diagnostics : KeySuspect, Heywood, NotIdentified, with the scale they belong to
    """

    table: pd.DataFrame
    items: pd.DataFrame
    diagnostics: tuple[Diagnostic, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    survey: Any = None
    ledger: pd.DataFrame | None = None
    provenance: str = "yours"
    title = "Reliability"

    def tidy(self) -> pd.DataFrame:
        return self.table.copy()

    def item_table(self) -> pd.DataFrame:
        """One row an item: mean, sd, item–rest correlation, alpha without it, standardised loading."""
        return self.items.copy()

    def glance(self) -> pd.DataFrame:
        facts = {
            "n_scales": len(self.table),
            "lowest_alpha": self.table["alpha"].min(),
            "lowest_omega": self.table["omega_total"].min(),
            "level": self.settings["level"],
            "interval": self.settings["interval"],
        }
        return pd.DataFrame({key: [value] for key, value in facts.items()})

    def notes(self) -> list[str]:
        return [*super().notes(), *(d.reason for d in self.diagnostics)]


class OneFactor(NamedTuple):
    """A one-factor ML solution in the metric of the items: loadings (p), error variances (p)."""

    loadings: np.ndarray
    errors: np.ndarray
    converged: bool
    heywood: np.ndarray


def alpha_of(covariance: np.ndarray) -> np.ndarray:
    """Coefficient alpha of covariance matrices (… × p × p); Guttman (1945), Cronbach (1951)."""
    p = covariance.shape[-1]
    share = np.trace(covariance, axis1=-2, axis2=-1) / covariance.sum(axis=(-2, -1))
    return p / (p - 1) * (1 - share)


def feldt_interval(alpha: float, n: int, p: int, level: float) -> tuple[float, float]:
    """Exact interval of alpha for normal, parallel items (Feldt, Woodruff & Salih, 1987)."""
    tail = (1 - level) / 2
    upper_f, lower_f = stats.f.ppf([1 - tail, tail], n - 1, (n - 1) * (p - 1))
    return 1 - (1 - alpha) * float(upper_f), 1 - (1 - alpha) * float(lower_f)


def one_factor(covariance: np.ndarray) -> OneFactor:
    """Fit one factor to covariances (p × p, p ≥ 3) by maximum likelihood."""
    found = ml(correlation_of(covariance.copy()), 1)
    scale = np.sqrt(np.diag(covariance))
    return OneFactor(
        found.loadings[:, 0] * scale,
        found.uniquenesses * scale**2,
        found.converged,
        found.uniquenesses <= LOWEST + 1e-8,
    )


def omega_of(loadings: np.ndarray, errors: np.ndarray) -> float:
    """Share of the sum score's model-implied variance that the factor accounts for (McDonald, 1999)."""
    common = loadings.sum() ** 2
    return float(common / (common + errors.sum()))


def omega_se(fit: OneFactor, n: int) -> float:
    """Standard error of omega by the delta method, from the expected information of the one-factor model."""
    loadings, errors = fit.loadings, fit.errors
    inverse = np.linalg.inv(np.outer(loadings, loadings) + np.diag(errors))
    weighted = inverse @ loadings
    top = np.outer(weighted, weighted) + (loadings @ weighted) * inverse
    information = n * np.block([[top, inverse * weighted], [(inverse * weighted).T, inverse**2 / 2]])
    total, noise = loadings.sum(), errors.sum()
    slope = np.where(np.arange(2 * len(loadings)) < len(loadings), 2 * total * noise, -(total**2))
    slope = slope / (total**2 + noise) ** 2
    return float(np.sqrt(slope @ np.linalg.solve(information, slope)))


def reliability(
    data: Any,
    scales: Scales | str | Sequence[str] | None = None,
    *,
    level: float = 0.95,
    interval: str = "analytic",
    bootstrap: int = 1000,
    seed: int = 0,
) -> Reliability:
    """Say how reliable each scale is.

    Parameters
    ----------
    data : Responses or DataFrame
    scales : dict of name → items; with Responses also names of constructs or blocks (None: every construct)
    level : of the intervals
    interval : 'analytic' (alpha: Feldt; omega: delta method) or 'bootstrap' (percentiles over respondents)

    Returns
    -------
    Reliability, whose ``tidy()`` has one row a scale: scale, n_items, n, alpha with interval, omega_total with
    interval, omega_hierarchical, ave, mean_item_rest.

    Notes
    -----
    Missing answers: covariances over pairs, as psych; n is then the smallest number of answers to any pair.
    omega_total: one factor by maximum likelihood, model-implied variance in the denominator. ave as semTools,
    from the same model in the metric of the items. What a scale cannot carry (omega of two items) is missing,
    and the notes say why.
    """
    one_of(interval, ("analytic", "bootstrap"), "kind of interval")
    groups = scale_items(data, scales)
    rows, items, diagnostics = [], [], []
    for name, members in groups.items():
        chosen = select(data, list(members))
        row, table, faults = _scale_row(name, chosen, level, bootstrap if interval == "bootstrap" else 0, seed)
        rows.append(row)
        items.append(table)
        diagnostics += faults
    settings = {"level": level, "interval": interval, "missing": "pairwise", "method": "one-factor ML"}
    return Reliability(
        table=pd.DataFrame(rows, columns=list(COLUMNS)),
        items=pd.concat(items, ignore_index=True),
        diagnostics=tuple(diagnostics),
        settings=settings,
        survey=chosen.survey,
        ledger=chosen.ledger,
        provenance=chosen.provenance,
    )


def _scale_row(
    name: str, chosen: Selection, level: float, bootstrap: int, seed: int
) -> tuple[dict[str, Any], pd.DataFrame, list[Diagnostic]]:
    frame = chosen.frame.dropna(how="all")
    p = frame.shape[1]
    if p < 2:
        raise ModelError(f"The scale '{name}' has {p} item; reliability needs at least two.", code="TooFewItems")
    faults = item_faults(name, chosen)
    broken = [d for d in faults if d.code in ("AllMissing", "ConstantItem")]
    if broken:
        raise ModelError(
            f"{' '.join(d.reason for d in broken)} Leave such an item out of the scale.", code=broken[0].code
        )
    values = frame.to_numpy()
    covariance = pairwise_covariance(values)
    answered = (~np.isnan(values)).astype(float)
    n = int((answered.T @ answered).min())
    alpha = float(pingouin.cronbach_alpha(frame)[0])  # its interval is rounded to three digits: ours is not
    row = {"scale": name, "n_items": p, "n": n, "alpha": alpha}
    row["alpha_lower"], row["alpha_upper"] = feldt_interval(alpha, n, p, level)
    rest, dropped = item_rest(covariance)
    row["mean_item_rest"] = float(rest.mean())
    loadings = np.full(p, np.nan)
    if p > 2:
        fit = one_factor(covariance)
        loadings = fit.loadings / np.sqrt(np.diag(covariance))
        row |= _omega_cells(fit, n, level)
        faults += _fit_faults(name, list(frame.columns), fit)
    else:
        reason = f"{name} has two items, so a factor model of it alone is not identified: omega and AVE are left empty."
        faults.append(Diagnostic("NotIdentified", reason, "note"))
    table = pd.DataFrame(
        {
            "scale": name,
            "item": list(map(str, frame.columns)),
            "mean": frame.mean().to_numpy(),
            "sd": np.sqrt(np.diag(covariance)),
            "item_rest": rest,
            "alpha_if_dropped": dropped,
            "loading": loadings,
        }
    )
    if bootstrap:
        row |= _bootstrap_cells(values, level, bootstrap, seed)
    return row, table, faults


def _omega_cells(fit: OneFactor, n: int, level: float) -> dict[str, float]:
    omega = omega_of(fit.loadings, fit.errors)
    cells = {"omega_total": omega, "ave": float((fit.loadings**2).sum() / ((fit.loadings**2).sum() + fit.errors.sum()))}
    if fit.converged and not fit.heywood.any():
        reach = float(stats.norm.ppf((1 + level) / 2)) * omega_se(fit, n)
        cells |= {"omega_lower": omega - reach, "omega_upper": omega + reach}
    return cells


def _fit_faults(scale: str, names: list[str], fit: OneFactor) -> list[Diagnostic]:
    found = []
    if fit.heywood.any():
        which = listed(np.array(names)[fit.heywood])
        found.append(
            Diagnostic(
                "Heywood",
                f"In {scale} one factor explains all variance of {which} (a Heywood case): omega and AVE rest on an "
                "inadmissible model, and omega has no interval.",
            )
        )
    if not fit.converged:
        found.append(Diagnostic("NotConverged", f"The one-factor model of {scale} did not settle."))
    return found


def _bootstrap_cells(values: np.ndarray, level: float, replicates: int, seed: int) -> dict[str, float]:
    """Percentile intervals of alpha and omega over resampled respondents."""
    covariances = resampled_covariances(values, replicates, seed)
    tails = [(1 - level) / 2, (1 + level) / 2]
    lower, upper = np.quantile(alpha_of(covariances), tails)
    cells = {"alpha_lower": float(lower), "alpha_upper": float(upper)}
    if values.shape[1] > 2:
        fits = [one_factor(c) for c in covariances]
        omegas = [omega_of(f.loadings, f.errors) for f in fits if f.converged]
        lower, upper = np.quantile(omegas, tails)
        cells |= {"omega_lower": float(lower), "omega_upper": float(upper)}
    return cells


def resampled_covariances(values: np.ndarray, replicates: int, seed: int) -> np.ndarray:
    """Pairwise covariances (replicates × p × p) of samples of rows drawn with replacement."""
    rng = np.random.default_rng(seed)
    n, p = values.shape
    answered = ~np.isnan(values)
    x = np.where(answered, values - np.nanmean(values, axis=0), 0.0)
    left, right = np.triu_indices(p)
    mask = answered.astype(float)
    both = mask[:, left] * mask[:, right]
    parts = np.hstack([both, x[:, left] * mask[:, right], x[:, right] * mask[:, left], x[:, left] * x[:, right]])
    weights = rng.multinomial(n, np.full(n, 1 / n), size=replicates).astype(float)
    counts, first, second, products = np.split(weights @ parts, 4, axis=1)
    cells = (products - first * second / counts) / (counts - 1)
    covariances = np.empty((replicates, p, p))
    covariances[:, left, right] = covariances[:, right, left] = cells
    return covariances
