"""One general factor behind several scales: how much of the total score does it explain?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from cocoanalysis.errors import Diagnostic, ModelError, one_of
from cocoanalysis.measurement.composites import Measurement, measurement_of
from cocoanalysis.measurement.confirmatory import cfa
from cocoanalysis.measurement.correlations import Correlations, correlate, correlation_of
from cocoanalysis.measurement.exploratory import efa
from cocoanalysis.measurement.extraction import minres
from cocoanalysis.measurement.items import Scales, against_the_key, scale_items
from cocoanalysis.measurement.ordinalreliability import score_covariance
from cocoanalysis.responses.selection import select
from cocoanalysis.result import Result
from cocoanalysis.threads import in_one_thread

METHODS = ("schmid-leiman", "bifactor")


@dataclass(frozen=True, repr=False)
class Omega(Result):
    """How far items measure one thing, and how far several.

    Attributes
    ----------
    omega_h : share of the total score's variance that the general factor explains
    omega_total : share that all common factors explain
    omega_lim : omega_h / omega_total, the value for infinitely many items
    alpha, g6 : coefficient alpha (standardised) and Guttman's λ₆
    ecv : explained common variance, the general factor's share of the common variance of the items
    puc : share of the correlations between items of different group factors
    loadings : items × (g, group factors), with communality h2, uniqueness u2 and p2, the general factor's
        share of the communality
    factors : one row for the total and each group factor: omega_total, general and group part
    """

    omega_h: float
    omega_total: float
    omega_lim: float
    alpha: float
    g6: float
    ecv: float
    puc: float
    loadings: pd.DataFrame
    factors: pd.DataFrame
    diagnostics: tuple[Diagnostic, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    survey: Any = None
    ledger: pd.DataFrame | None = None
    provenance: str = "yours"
    title = "General and group factors"

    def tidy(self) -> pd.DataFrame:
        return self.factors.copy()

    def glance(self) -> pd.DataFrame:
        names = ("omega_h", "omega_total", "omega_lim", "alpha", "g6", "ecv", "puc")
        facts = {name: getattr(self, name) for name in names}
        return pd.DataFrame({key: [value] for key, value in {**facts, **self.settings}.items()})

    def notes(self) -> list[str]:
        named = [("ω hierarchical", self.omega_h), ("ω total", self.omega_total)]
        named += [("explained common variance", self.ecv), ("uncontaminated correlations", self.puc)]
        said = ", ".join(f"{name} {value:.3f}" for name, value in named if np.isfinite(value))
        return [*super().notes(), f"{said}.", *(d.reason for d in self.diagnostics)]

    @property
    def omega_hierarchical(self) -> float:
        return self.omega_h


@in_one_thread
def omega(
    data: Any,
    items: str | Sequence[str] | None = None,
    *,
    factors: int = 3,
    method: str = "schmid-leiman",
    groups: Scales | None = None,
    correlation: str = "pearson",
    extraction: str = "minres",
    rotation: str = "oblimin",
    n: int | None = None,
    missing: str = "pairwise",
    smooth: bool = False,
    seed: int = 0,
) -> Omega:
    """Say how much of a total score one general factor explains.

    Parameters
    ----------
    data : Responses, DataFrame, or correlation matrix
    factors : number of group factors; three or more (two need the assumption that both load equally on the
        general factor; with one there is no omega_h)
    method : 'schmid-leiman' (from an exploratory solution) or 'bifactor' (a confirmatory model with one general
        factor and uncorrelated group factors, fitted to the answers)
    groups : name → items of each group factor of the bifactor model; without it the constructs of a block, else
        the items are grouped by the exploratory solution
    correlation : 'polychoric' makes the bifactor model ordinal (WLSMV), and its values those of the sum of codes
    extraction, rotation : of the factors below the general one (see `efa`)

    Notes
    -----
    Schmid & Leiman (1957) on oblique factors, as psych's ``omega``: the general factor is a one-factor minres
    solution of the factor correlations. omega_h = (Σ gᵢ)²/V and omega_total = 1 − Σ uᵢ²/V, with V the sum of the
    correlation matrix (McDonald, 1999; Zinbarg et al., 2005). Items are never turned round: one that runs against
    the others is named. ECV and PUC: Rodriguez, Reise & Haviland (2016), items belonging to the group factor on
    which they load most.

    Examples
    --------
    >>> import cocoanalysis as coco
    >>> folder = coco.bundled("unit-climate")
    >>> responses = coco.read_responses(folder / "responses.csv", coco.read_survey(folder))
    >>> found = coco.omega(responses, ["leadership", "significance"], factors=3)
    >>> round(found.omega_h, 2), round(found.omega_total, 2)
    (0.76, 0.93)
    """
    one_of(method, METHODS, "method")
    options: dict[str, Any] = {"correlation": correlation, "n": n, "missing": missing, "smooth": smooth}
    if method == "bifactor":
        members = groups or _grouped(data, items, factors, {**options, "rotation": rotation, "seed": seed})
        return bifactor_omega(data, members, ordinal=correlation == "polychoric")
    found = correlate(data, items, **options)
    explored = efa(
        data, items, factors=factors, extraction=extraction, rotation=rotation, seed=seed, kaiser=False, **options
    )
    pattern, phi = explored.loadings.to_numpy(), explored.factor_correlations.to_numpy()
    general = general_loadings(phi)
    table = schmid_leiman(pattern, general)
    settings = {**found.settings, "factors": factors, "extraction": extraction, "rotation": rotation}
    notes = [*explored.diagnostics, *_notes(found, factors)]
    return _finished(found, table, explored.uniquenesses.to_numpy(), tuple(notes), settings)


def general_loadings(phi: np.ndarray) -> np.ndarray:
    """Loadings of the group factors on the general one (m): one minres factor of their correlations.

    Two factors cannot tell their loadings apart: both get the square root of their correlation. One has none.
    """
    if len(phi) == 1:
        return np.zeros(1)
    if len(phi) == 2:
        if phi[0, 1] < 0:
            raise ModelError(
                "The two group factors correlate negatively, so no general factor stands behind both.",
                code="NoGeneralFactor",
            )
        return np.full(2, np.sqrt(phi[0, 1]))
    return minres(phi, 1).loadings[:, 0]


def schmid_leiman(pattern: np.ndarray, general: np.ndarray) -> np.ndarray:
    """Loadings on the general factor and on the group factors without it (p × (1 + m)); Schmid & Leiman (1957)."""
    return np.column_stack([pattern @ general, pattern * np.sqrt(np.maximum(1 - general**2, 0))])


def _notes(found: Correlations, factors: int) -> list[Diagnostic]:
    notes = []
    turned = [name for name, wrong in zip(found.names, against_the_key(found.matrix)) if wrong]
    if turned:
        reason = f"The answers to {', '.join(repr(n) for n in turned)} run against the others; nothing was reversed."
        notes.append(Diagnostic("KeySuspect", reason, "warning"))
    if factors == 1:
        notes.append(Diagnostic("NoGeneralFactor", "With one factor only ω total has a meaning.", "note"))
    if factors == 2:
        reason = "With two group factors ω hierarchical assumes that both load equally on the general factor."
        notes.append(Diagnostic("EqualLoadings", reason, "note"))
    return notes


def _finished(
    found: Correlations,
    table: np.ndarray,
    unique: np.ndarray,
    notes: tuple[Diagnostic, ...],
    settings: Mapping[str, Any],
) -> Omega:
    matrix, p = found.matrix, len(found.names)
    group = table[:, 1:]
    several = group.shape[1] > 1
    total = matrix.sum()
    member = np.abs(group).argmax(axis=1)
    omega_total = float(1 - unique.sum() / total)
    omega_h = float(table[:, 0].sum() ** 2 / total) if several else np.nan
    common = (table**2).sum(axis=0)
    pairs = p * (p - 1) / 2
    inside = sum(k * (k - 1) / 2 for k in np.bincount(member))
    h2 = 1 - unique
    loadings = pd.DataFrame(table, index=list(found.names), columns=["g", *_group_names(group)])
    loadings["h2"], loadings["u2"], loadings["p2"] = h2, unique, table[:, 0] ** 2 / h2
    return Omega(
        omega_h=omega_h,
        omega_total=omega_total,
        omega_lim=omega_h / omega_total,
        alpha=float(p / (p - 1) * (1 - p / total)),
        g6=float(1 - (1 / np.diag(np.linalg.inv(matrix))).sum() / total),
        ecv=float(common[0] / common.sum()) if several else np.nan,
        puc=float(1 - inside / pairs) if several else np.nan,
        loadings=loadings,
        factors=subscales(matrix, table, unique, member),
        diagnostics=notes,
        settings=settings,
        **found.origin,
    )


def _group_names(group: np.ndarray) -> list[str]:
    return [f"F{i + 1}*" for i in range(group.shape[1])]


def subscales(matrix: np.ndarray, table: np.ndarray, unique: np.ndarray, member: np.ndarray) -> pd.DataFrame:
    """One row for all items (g) and for the items of each group factor: omega_total, general and group part.

    As psych, the group part counts each item on its own group factor only.
    """
    group = table[:, 1:]
    members = [np.flatnonzero(member == i) for i in range(group.shape[1])]
    own = [group[mine, i].sum() ** 2 for i, mine in enumerate(members)]
    total = matrix.sum()
    general = table[:, 0].sum() ** 2 / total
    cells = [("g", len(matrix), 1 - unique.sum() / total, general, sum(own) / total)]
    for name, mine, part in zip(_group_names(group), members, own):
        inside = matrix[np.ix_(mine, mine)].sum() if len(mine) else np.nan
        general = table[mine, 0].sum() ** 2 / inside
        cells.append((name, len(mine), general + part / inside, general, part / inside))
    columns = ["factor", "n_items", "omega_total", "omega_general", "omega_group"]
    return pd.DataFrame(cells, columns=columns)


def _grouped(data: Any, items: Any, factors: int, options: Mapping[str, Any]) -> dict[str, list[str]]:
    """Items of each group factor: the constructs of a block of the survey, else by their largest loading."""
    if getattr(data, "survey", None) is not None:
        known = scale_items(data, items)
        if len(known) > 1:
            return known
    loadings = efa(data, items, factors=factors, **options).loadings
    member = loadings.abs().idxmax(axis=1)
    return {str(factor): list(loadings.index[member == factor]) for factor in loadings.columns}


def bifactor_omega(data: Any, groups: Scales, *, ordinal: bool = False) -> Omega:
    """Fit a general factor and uncorrelated group factors to the answers, and say what each explains."""
    items = [item for members in groups.values() for item in members]
    if len(groups) < 2 or len(set(items)) < len(items):
        raise ModelError(
            "A bifactor model needs two or more groups of items, each item in one of them.", code="OverlappingScales"
        )
    chosen = select(data, items)
    plain = all(item.isidentifier() for item in items)
    names = {item: item if plain else f"x{i}" for i, item in enumerate(items)}
    lines = [f"general_ =~ {' + '.join(names.values())}"]
    lines += [f"group_{k} =~ {' + '.join(names[i] for i in members)}" for k, members in enumerate(groups.values())]
    frame = chosen.frame.rename(columns=names)
    fit = cfa(frame, "\n".join(lines), ordered=True if ordinal else None, std_lv=True, orthogonal=True)
    model = next(iter(measurement_of(fit).values()))
    member = np.repeat(np.arange(len(groups)), [len(m) for m in groups.values()])
    settings = {"method": "bifactor", "correlation": "polychoric" if ordinal else "pearson", "n": len(frame)}
    settings |= {"factors": len(groups), "estimator": fit.settings["estimator"]}
    return _from_model(model, items, list(map(str, groups)), member, fit.diagnostics, settings, chosen)


def _from_model(
    model: Measurement,
    items: list[str],
    names: list[str],
    member: np.ndarray,
    notes: tuple[Diagnostic, ...],
    settings: Mapping[str, Any],
    chosen: Any,
) -> Omega:
    """Omega and its parts from a bifactor model: general factor first, group factors in the order of ``names``."""
    loadings, standard, p = model.loadings, model.standardized, len(items)
    common = loadings @ loadings.T
    general = np.outer(loadings[:, 0], loadings[:, 0])
    everyone = np.arange(p)
    rows = [("g", everyone)] + [(name, everyone[member == k]) for k, name in enumerate(names)]
    parts = []
    for name, own in rows:
        shares = [_score_share(model, matrix, own) for matrix in (common, general, common - general)]
        parts.append((name, len(own), *shares))
    columns = ["factor", "n_items", "omega_total", "omega_general", "omega_group"]
    table = pd.DataFrame(standard, index=items, columns=["g", *names])
    h2 = (standard**2).sum(axis=1)
    table["h2"], table["u2"], table["p2"] = h2, 1 - h2, standard[:, 0] ** 2 / h2
    whole = correlation_of(model.implied.copy())
    squares = (standard**2).sum(axis=0)
    inside = sum(k * (k - 1) / 2 for k in np.bincount(member))
    return Omega(
        omega_h=parts[0][3],
        omega_total=parts[0][2],
        omega_lim=parts[0][3] / parts[0][2],
        alpha=float(p / (p - 1) * (1 - p / whole.sum())),
        g6=float(1 - (1 / np.diag(np.linalg.inv(whole))).sum() / whole.sum()),
        ecv=float(squares[0] / squares.sum()),
        puc=float(1 - inside / (p * (p - 1) / 2)),
        loadings=table,
        factors=pd.DataFrame(parts, columns=columns),
        diagnostics=notes,
        settings=settings,
        survey=chosen.survey,
        ledger=chosen.ledger,
        provenance=chosen.provenance,
    )


def _score_share(model: Measurement, part: np.ndarray, own: np.ndarray) -> float:
    """Share of the variance of the sum of the ``own`` items that a part of their common covariance makes up."""
    cells = np.ix_(own, own)
    if model.thresholds is None:
        return float(part[cells].sum() / model.implied[cells].sum())
    cuts = model.thresholds[own]
    return float(score_covariance(part[cells], cuts) / score_covariance(model.implied[cells], cuts))
