"""Reliability: how much of the spread of a scale's scores is not measurement error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from math import comb
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pingouin
from scipy import stats

from cocoanalysis.arguments import share
from cocoanalysis.errors import Diagnostic, ModelError, listed, one_of
from cocoanalysis.measurement.confirmatory import cfa
from cocoanalysis.measurement.correlations import SINGULAR, Correlations, checked_items, correlation_of, definite
from cocoanalysis.measurement.extraction import LOWEST, minres, ml
from cocoanalysis.measurement.generalfactor import omega
from cocoanalysis.measurement.items import Scales, alpha_of, item_faults, item_rest, pairwise_covariance, scale_items
from cocoanalysis.measurement.resampling import draws, percentiles, resampled_covariances
from cocoanalysis.responses.selection import Selection, select
from cocoanalysis.result import Result
from cocoanalysis.threads import in_one_thread

METHODS = ("implied", "observed", "psych")
GROUPED = 9  # items from which three group factors with three items each are possible
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
    se: float | None = None  # of omega, where the fit gives it


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


def one_factor_incomplete(frame: pd.DataFrame) -> OneFactor:
    """Fit one factor to all answers of people with gaps (full information maximum likelihood)."""
    items = [f"x{i}" for i in range(1, frame.shape[1] + 1)]
    syntax = ["f =~ " + " + ".join(f"l{i} * {name}" for i, name in enumerate(items))]
    syntax += [f"{name} ~~ e{i} * {name}" for i, name in enumerate(items)]
    total, noise = (" + ".join(f"{letter}{i}" for i in range(len(items))) for letter in "le")
    syntax += [f"omega := ({total})^2 / (({total})^2 + {noise})"]
    fit = cfa(frame.set_axis(items, axis=1), "\n".join(syntax), estimator="ml", missing="fiml", std_lv=True)
    table = fit.tidy()
    loadings = table.loc[table["op"] == "=~", "est"].to_numpy()
    errors = table.loc[(table["op"] == "~~") & (table["lhs"] != "f"), "est"].to_numpy()
    loadings = loadings * np.where(loadings.sum() < 0, -1, 1)
    se = float(table.loc[table["op"] == ":=", "se"].iloc[0])
    return OneFactor(loadings, errors, fit.converged, errors <= 0, se)


def omega_of(loadings: np.ndarray, errors: np.ndarray, observed: np.ndarray | None = None) -> float:
    """Share of the sum score's variance that the factor accounts for (McDonald, 1999).

    The variance is the model's, or that of the ``observed`` covariances (p × p).
    """
    common = loadings.sum() ** 2
    return float(common / (common + errors.sum() if observed is None else observed.sum()))


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


@in_one_thread
def reliability(
    data: Any,
    scales: Scales | str | Sequence[str] | None = None,
    *,
    method: str = "implied",
    level: float = 0.95,
    interval: str = "analytic",
    bootstrap: int = 1000,
    cluster: str | None = None,
    seed: int = 0,
) -> Reliability:
    """Say how reliable each scale is.

    Parameters
    ----------
    data : Responses or DataFrame
    scales : dict of name → items; with Responses also names of constructs or blocks (None: every construct)
    method : of omega_total: 'implied' (one-factor ML, model-implied variance in the denominator, as Mplus and
        lavaan's ``:=``), 'observed' (the same with the observed variance, semTools' default) or 'psych' (one-factor
        minres of the correlations, 1 − Σu²/ΣR)
    level : of the intervals
    interval : 'analytic' (alpha: Feldt; omega: delta method) or 'bootstrap' (percentiles over ``bootstrap`` samples)
    cluster : a column; the bootstrap then draws whole clusters instead of respondents

    Returns
    -------
    Reliability, whose ``tidy()`` has one row a scale: scale, n_items, n, alpha with interval, omega_total with
    interval, omega_hierarchical, ave, mean_item_rest.

    Notes
    -----
    Missing answers: alpha and the items' columns use covariances over pairs, as psych, and n is then the smallest
    number of answers to any pair; omega and ave use all answers by full information maximum likelihood. The other
    methods and the bootstrap keep to pairs.
    ave as semTools, from the one-factor ML model in the metric of the items. omega_hierarchical: three group
    factors (see `omega`), for scales of nine items or more. The analytic interval of omega belongs to 'implied';
    ask for a bootstrap with the others. What a scale cannot carry (omega of two items) is missing, and the notes
    say why.

    Examples
    --------
    >>> import cocoanalysis as coco
    >>> folder = coco.bundled("unit-climate")
    >>> responses = coco.read_responses(folder / "responses.csv", coco.read_survey(folder))
    >>> coco.reliability(responses).tidy()["alpha"].round(3).tolist()
    [0.902, 0.823, 0.873]
    """
    one_of(method, METHODS, "kind of omega")
    one_of(interval, ("analytic", "bootstrap"), "kind of interval")
    share(level, "level")
    groups = scale_items(data, scales)
    rows, items, diagnostics = [], [], []
    for name, members in groups.items():
        chosen = select(data, list(members))
        if len(members) < 2 and len(groups) > 1:
            diagnostics.append(Diagnostic("TooFewItems", f"{name} has one item and no row: alpha needs two.", "note"))
            continue
        row, table, faults = _scale_row(name, chosen, method, level)
        faults += _composite(name, chosen)
        if interval == "bootstrap":
            weights = draws(data, len(chosen.frame), cluster, bootstrap, seed)
            cells, failures = _bootstrap_cells(name, chosen.frame.to_numpy(), weights, method, level)
            row |= cells
            faults += failures
        rows.append(row)
        items.append(table)
        diagnostics += faults
    settings = {"level": level, "interval": interval, "missing": "pairwise; omega: fiml", "method": method}
    settings |= {"bootstrap": bootstrap, "cluster": cluster, "seed": seed} if interval == "bootstrap" else {}
    return Reliability(
        table=pd.DataFrame(rows, columns=list(COLUMNS)),
        items=pd.concat(items, ignore_index=True),
        diagnostics=tuple(diagnostics),
        settings=settings,
        survey=chosen.survey,
        ledger=chosen.ledger,
        provenance=chosen.provenance,
    )


def _composite(name: str, chosen: Selection) -> list[Diagnostic]:
    known = {} if chosen.survey is None else chosen.survey.constructs
    if name not in known or not known[name].composite:
        return []
    reason = f"{name} is a composite: its items need not agree, so alpha and omega are not its reliability."
    return [Diagnostic("Composite", reason, "note")]


def _scale_row(
    name: str, chosen: Selection, method: str, level: float
) -> tuple[dict[str, Any], pd.DataFrame, list[Diagnostic]]:
    """The row of one scale, the rows of its items, and what a reader must know."""
    faults = item_faults(name, chosen)
    frame = _usable_scale(name, chosen.frame.dropna(how="all"), faults)
    covariance = pairwise_covariance(frame.to_numpy())
    n = _smallest_pair(name, frame)
    alpha = float(pingouin.cronbach_alpha(frame)[0])  # its interval is rounded to three digits: ours is not
    row: dict[str, Any] = {"scale": name, "n_items": frame.shape[1], "n": n, "alpha": alpha}
    row["alpha_lower"], row["alpha_upper"] = feldt_interval(alpha, n, frame.shape[1], level)
    rest, dropped = item_rest(covariance)
    row["mean_item_rest"] = float(rest.mean())
    cells, loadings, reasons = _model_cells(name, frame, covariance, n, method, level)
    items = {"scale": name, "item": list(map(str, frame.columns)), "mean": frame.mean().to_numpy()}
    items |= {"sd": np.sqrt(np.diag(covariance)), "item_rest": rest, "alpha_if_dropped": dropped, "loading": loadings}
    return row | cells, pd.DataFrame(items), faults + reasons


def _usable_scale(name: str, frame: pd.DataFrame, faults: list[Diagnostic]) -> pd.DataFrame:
    if frame.shape[1] < 2:
        raise ModelError(
            f"The scale '{name}' has {frame.shape[1]} item; reliability needs at least two.", code="TooFewItems"
        )
    broken = [d for d in faults if d.code in ("AllMissing", "ConstantItem")]
    if broken:
        raise ModelError(
            f"{' '.join(d.reason for d in broken)} Leave such an item out of the scale.", code=broken[0].code
        )
    return frame


def _smallest_pair(name: str, frame: pd.DataFrame) -> int:
    """The smallest number of answers to any pair of items; three at least."""
    answered = frame.notna().to_numpy().astype(float)
    n = int((answered.T @ answered).min())
    if n < 3:
        raise ModelError(
            f"Some pair of items of '{name}' was answered together by {n} people; reliability needs three at least.",
            code="TooFewRows",
        )
    return n


def _model_cells(
    name: str, frame: pd.DataFrame, covariance: np.ndarray, n: int, method: str, level: float
) -> tuple[dict[str, float], np.ndarray, list[Diagnostic]]:
    """Omega, AVE and standardised loadings from the one-factor model, or the reason why there are none."""
    nothing = np.full(len(covariance), np.nan)
    if len(covariance) < 3:
        reason = f"{name} has two items, so a factor model of it alone is not identified: omega and AVE are left empty."
        return {}, nothing, [Diagnostic("NotIdentified", reason, "note")]
    try:
        names = tuple(map(str, frame.columns))
        definite(Correlations(correlation_of(covariance.copy()), names, n), smooth=False)
    except ModelError as error:
        reason = f"{name} carries no factor model, so omega and AVE are left empty. {error}"
        return {}, nothing, [Diagnostic(error.code, reason)]
    gaps = bool(frame.isna().to_numpy().any())
    fit = one_factor_incomplete(frame) if gaps and method == "implied" else one_factor(covariance)
    cells = _omega_cells(fit, covariance, n, method, level)
    cells["omega_hierarchical"], reasons = _hierarchical(name, covariance, n)
    return cells, fit.loadings / np.sqrt(np.diag(covariance)), [*_fit_faults(name, list(names), fit), *reasons]


def _omega_cells(fit: OneFactor, covariance: np.ndarray, n: int, method: str, level: float) -> dict[str, float]:
    squares = (fit.loadings**2).sum()
    total = omega_of(fit.loadings, fit.errors, covariance if method == "observed" else None)
    total = _omega_by("psych", covariance) if method == "psych" else total
    cells = {"omega_total": total, "ave": float(squares / (squares + fit.errors.sum()))}
    if method == "implied" and fit.converged and not fit.heywood.any():
        error = omega_se(fit, n) if fit.se is None else fit.se
        reach = float(stats.norm.ppf((1 + level) / 2)) * error
        cells |= {"omega_lower": total - reach, "omega_upper": total + reach}
    return cells


def _hierarchical(scale: str, covariance: np.ndarray, n: int) -> tuple[float, list[Diagnostic]]:
    """omega_hierarchical with three group factors; missing for short scales, and with a reason if inadmissible."""
    if len(covariance) < GROUPED:
        return np.nan, []
    try:
        found = omega(correlation_of(covariance.copy()), factors=3, n=n)
        faults = [d.code for d in found.diagnostics if d.severity == "error"]
    except ModelError as error:
        faults = [error.code]
    if not faults:
        return found.omega_h, []
    reason = f"Three group factors within {scale} have no admissible solution ({listed(faults)}): ω_h is left empty."
    return np.nan, [Diagnostic("NoHierarchy", reason, "note")]


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


def _bootstrap_cells(
    scale: str, values: np.ndarray, weights: np.ndarray, method: str, level: float
) -> tuple[dict[str, float], list[Diagnostic]]:
    """Percentile intervals of alpha and omega over drawn samples (weights: replicates × n)."""
    covariances = resampled_covariances(values, weights)
    lower, upper, faults = percentiles(alpha_of(covariances), level, f"alpha of {scale}")
    cells = {"alpha_lower": lower, "alpha_upper": upper}
    if values.shape[1] > 2:
        drawn = np.array([_omega_by(method, covariance) for covariance in covariances])
        lower, upper, more = percentiles(drawn, level, f"omega of {scale}")
        cells |= {"omega_lower": lower, "omega_upper": upper}
        faults += more
    return cells, faults


def _omega_by(method: str, covariance: np.ndarray) -> float:
    correlations = correlation_of(covariance.copy())
    if not np.isfinite(correlations).all() or np.linalg.eigvalsh(correlations)[0] <= SINGULAR:
        return np.nan
    if method == "psych":
        return float(1 - minres(correlations, 1).uniquenesses.sum() / correlations.sum())
    fit = one_factor(covariance)
    if not fit.converged or fit.heywood.any():
        return np.nan
    return omega_of(fit.loadings, fit.errors, covariance if method == "observed" else None)


@dataclass(frozen=True, repr=False)
class SplitHalf(Result):
    """Reliability of a scale from its halves, one row a scale: over all splits, or a random part of them."""

    table: pd.DataFrame
    settings: Mapping[str, Any] = field(default_factory=dict)
    survey: Any = None
    ledger: pd.DataFrame | None = None
    provenance: str = "yours"
    title = "Split-half reliability"

    def tidy(self) -> pd.DataFrame:
        return self.table.copy()

    def glance(self) -> pd.DataFrame:
        return pd.DataFrame({key: [value] for key, value in {"n_scales": len(self.table), **self.settings}.items()})


def split_half(
    data: Any,
    scales: Scales | str | Sequence[str] | None = None,
    *,
    standardized: bool = False,
    limit: int = 10_000,
    seed: int = 0,
) -> SplitHalf:
    """Say how far the reliability of a scale depends on how it is cut in two.

    Parameters
    ----------
    standardized : give every item the same variance first (as psych's ``splitHalf``)
    limit : with more splits than this, that many are drawn at random

    Returns
    -------
    SplitHalf, whose ``tidy()`` has one row a scale: scale, n_items, n, splits, minimum, mean, maximum, odd_even.

    Notes
    -----
    Guttman's (1945) λ₄ of each split, 4 cov(A, B) / var(A + B). The maximum over all splits capitalises on chance
    in small samples; the mean over all splits of an even number of items is alpha.

    Examples
    --------
    >>> import cocoanalysis as coco
    >>> folder = coco.bundled("unit-climate")
    >>> responses = coco.read_responses(folder / "responses.csv", coco.read_survey(folder))
    >>> coco.split_half(responses, "hostility").tidy()["mean"].round(2).tolist()
    [0.84]
    """
    rows = []
    for name, members in scale_items(data, scales).items():
        chosen = select(data, list(members))
        values = checked_items(chosen.frame).to_numpy()
        covariance = pairwise_covariance(values)
        covariance = correlation_of(covariance) if standardized else covariance
        halves = all_halves(len(covariance), limit, seed)
        found = guttman(covariance, halves)
        odd = guttman(covariance, (np.arange(len(covariance)) % 2 == 0)[None].astype(float))[0]
        answered = (~np.isnan(values)).astype(float)
        row = {"scale": name, "n_items": len(covariance), "n": int((answered.T @ answered).min())}
        row |= {"splits": len(found), "minimum": found.min(), "mean": found.mean(), "maximum": found.max()}
        rows.append(row | {"odd_even": odd})
    settings = {"standardized": standardized, "limit": limit, "seed": seed}
    return SplitHalf(pd.DataFrame(rows), settings, chosen.survey, chosen.ledger, chosen.provenance)


def all_halves(p: int, limit: int, seed: int) -> np.ndarray:
    """Members of one half (splits × p, 0 or 1) of all splits into ⌊p/2⌋ and the rest, or of a random part of them."""
    if p < 2:
        raise ModelError("A scale of one item cannot be split.", code="TooFewItems")
    half = p // 2
    count = comb(p, half) // (2 if p % 2 == 0 else 1)
    if count <= limit:
        chosen = [c for c in combinations(range(p), half) if p % 2 or c[0] == 0]
        return np.array([np.isin(np.arange(p), c) for c in chosen], dtype=float)
    rng = np.random.default_rng(seed)
    order = rng.random((limit, p)).argsort(axis=1)
    return (order < half).astype(float)


def guttman(covariance: np.ndarray, halves: np.ndarray) -> np.ndarray:
    """λ₄ of each split (splits × p of 0 and 1)."""
    between = ((halves @ covariance) * (1 - halves)).sum(axis=1)
    return 4 * between / covariance.sum()
