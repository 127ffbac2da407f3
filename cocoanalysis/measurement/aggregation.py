"""From people to groups: do members agree, do groups differ, and how far can a group mean be trusted?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import optimize, stats

from cocoanalysis.arguments import column_name, names_of
from cocoanalysis.errors import Diagnostic, ModelError, ResponseError, listed, one_of
from cocoanalysis.measurement.correlations import checked_items
from cocoanalysis.responses.disclosure import safe_table
from cocoanalysis.responses.selection import numeric_frame, select
from cocoanalysis.result import Result

# Null distributions over five options that lean to the favourable side (James, Demaree & Wolf, 1984).
SKEWED = {
    "slight skew": (0.05, 0.15, 0.20, 0.35, 0.25),
    "moderate skew": (0.00, 0.10, 0.15, 0.40, 0.35),
    "heavy skew": (0.00, 0.00, 0.10, 0.40, 0.50),
}
NULLS = ("uniform", "triangular", *SKEWED)
Names = str | Sequence[str]


@dataclass(frozen=True)
class Nested:
    """Numbers of people with the label of the group each belongs to."""

    frame: pd.DataFrame
    group: pd.Series
    survey: Any = None
    ledger: pd.DataFrame | None = None
    provenance: str = "yours"

    @property
    def origin(self) -> dict[str, Any]:
        return {"survey": self.survey, "ledger": self.ledger, "provenance": self.provenance}


@dataclass(frozen=True, repr=False)
class ICC(Result):
    """How much of the answers' variance lies between groups, one row a variable.

    Attributes
    ----------
    icc1 : share of variance between groups = reliability of one person as a judge of the group
    icc2 : reliability of the group means
    k : group size that enters icc1
    """

    table: pd.DataFrame
    means: pd.DataFrame
    diagnostics: tuple[Diagnostic, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    survey: Any = None
    ledger: pd.DataFrame | None = None
    provenance: str = "yours"
    title = "Intraclass correlations"

    def _one(self, name: str) -> Any:
        column = self.table.set_index("variable")[name]
        return float(column.iloc[0]) if len(column) == 1 else column

    @property
    def icc1(self) -> Any:
        return self._one("icc1")

    @property
    def icc2(self) -> Any:
        return self._one("icc2")

    @property
    def k(self) -> Any:
        return self._one("k")

    def tidy(self) -> pd.DataFrame:
        return self.table.copy()

    def groups(self) -> pd.DataFrame:
        """One row a variable and group: size, mean, and the reliability of that mean."""
        return self.means.copy()

    def glance(self) -> pd.DataFrame:
        facts = {"n_variables": len(self.table), "groups": int(self.table["groups"].max()), **self.settings}
        return pd.DataFrame({key: [value] for key, value in facts.items()})

    def notes(self) -> list[str]:
        return [*super().notes(), *(d.reason for d in self.diagnostics)]


@dataclass(frozen=True, repr=False)
class Agreement(Result):
    """How much the members of each group agree, one row a group.

    ``index`` is the column that holds the index: rwg or ad.
    """

    table: pd.DataFrame
    index: str
    diagnostics: tuple[Diagnostic, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    survey: Any = None
    ledger: pd.DataFrame | None = None
    provenance: str = "yours"
    title = "Agreement within groups"

    def _shown(self) -> pd.DataFrame:
        """Of real answers, without groups of few people."""
        return safe_table(self.table, provenance=self.provenance, counts="size", names=["group"], total=False).shown()

    def tidy(self) -> pd.DataFrame:
        return self.table.copy()

    def glance(self) -> pd.DataFrame:
        values = self.table[self.index]
        facts = {"groups": int(values.notna().sum()), "mean": values.mean(), "median": values.median()}
        facts |= {"minimum": values.min(), "maximum": values.max()}
        facts |= {k: self.settings[k] for k in ("null", "null_variance") if k in self.settings}
        return pd.DataFrame({key: [value] for key, value in facts.items()})

    def notes(self) -> list[str]:
        return [*super().notes(), *(d.reason for d in self.diagnostics)]


@dataclass(frozen=True, repr=False)
class WithinBetween(Result):
    """Correlations of people, of people around their group's mean, and of group means, one row a pair."""

    table: pd.DataFrame
    settings: Mapping[str, Any] = field(default_factory=dict)
    survey: Any = None
    ledger: pd.DataFrame | None = None
    provenance: str = "yours"
    title = "Correlations within and between groups"

    def tidy(self) -> pd.DataFrame:
        return self.table.copy()

    def glance(self) -> pd.DataFrame:
        return pd.DataFrame({key: [value] for key, value in self.settings.items()})


class Components(NamedTuple):
    """Sums over groups that every index here is made of."""

    sizes: np.ndarray
    means: np.ndarray
    within: float  # sum of squares around the group means


def nested(data: Any, variables: Names, cluster: str) -> Nested:
    """The variables as numbers, with their groups; people without a group are an error.

    With Responses a variable may also be the score of a construct.
    """
    wanted = list(names_of(variables, "variables"))
    survey = getattr(data, "survey", None)
    if survey is None:
        chosen = select(data, wanted)
        return Nested(chosen.frame, groups_of(data, cluster))
    scored = [name for name in wanted if name not in data.frame.columns]
    items = [name for name in wanted if name in survey.items and name not in scored]
    others = [name for name in wanted if name not in scored and name not in items]
    parts = [numeric_frame(data.frame, others)]
    if items:
        parts.append(select(data, items).frame)
    if scored:
        parts.append(numeric_frame(data.scores(scored), scored))
    frame = pd.concat(parts, axis=1)[wanted]
    return Nested(frame, groups_of(data.frame, cluster), survey, data.ledger, data.provenance)


def groups_of(frame: pd.DataFrame, cluster: str) -> pd.Series:
    """The column that says which group a row belongs to; complete, and with two groups at least."""
    column_name(cluster, "cluster")
    if cluster not in frame.columns:
        one_of(cluster, list(map(str, frame.columns)), "column", code="UnknownVariable")
    group = frame[cluster]
    if group.isna().any():
        raise ResponseError(
            f"{int(group.isna().sum())} rows have no '{cluster}'; without it nobody can say where they belong. "
            "Fill it in, or leave these rows out first.",
            code="MissingGroup",
        )
    if group.nunique() < 2:
        raise ModelError(f"All rows belong to one '{cluster}'; nothing can differ between groups.", code="OneGroup")
    return group.astype(str) if isinstance(group.dtype, pd.CategoricalDtype) else group


def components(values: np.ndarray, codes: np.ndarray) -> Components:
    """Group sizes, group means and within sum of squares of one variable (n), groups coded 0, 1, …"""
    sizes = np.bincount(codes).astype(float)
    sums = np.bincount(codes, weights=values)
    kept = sizes > 0
    means = sums[kept] / sizes[kept]
    within = float(((values - (sums / np.where(kept, sizes, 1))[codes]) ** 2).sum())
    return Components(sizes[kept], means, within)


def typical_size(sizes: np.ndarray, size: str = "k0") -> float:
    """k₀ = (N − Σnⱼ²/N)/(J − 1), the size that makes the ANOVA estimate unbiased; or the mean size."""
    total = sizes.sum()
    if size == "mean":
        return float(sizes.mean())
    return float((total - (sizes**2).sum() / total) / (len(sizes) - 1))


def icc(
    data: Any,
    variables: Names,
    cluster: str,
    *,
    size: str = "k0",
    method: str = "anova",
    level: float = 0.95,
) -> ICC:
    """Say how much groups differ, and how reliable their means are.

    Parameters
    ----------
    data : Responses or DataFrame
    variables : columns, items, or (with Responses) constructs and scores
    cluster : the column that says which group a row belongs to
    size : group size in ICC(1): 'k0' for unequal groups, or 'mean', as R's multilevel
    method : 'anova' (mean squares) or 'reml' (random-intercept model)

    Returns
    -------
    ICC, whose ``tidy()`` has one row a variable: variable, n, groups, k, icc1 with interval, icc2, between and
    within variance (or mean squares), f, df1, df2, p_value, design_effect.

    Notes
    -----
    ICC(1) = (MSB − MSW)/(MSB + (k − 1) MSW), ICC(2) = (MSB − MSW)/MSB (Bliese, 2000); with reml ICC(1) = τ²/(τ² + σ²)
    and ICC(2) = kτ²/(kτ² + σ²). The interval comes from F and is exact for groups of equal size. The design effect
    is 1 + (k − 1) ICC(1). Rows without the variable are left out of its row.

    Examples
    --------
    >>> import cocoanalysis as coco
    >>> folder = coco.bundled("unit-climate")
    >>> responses = coco.read_responses(folder / "responses.csv", coco.read_survey(folder))
    >>> coco.icc(responses, ["leadership", "hostility"], "company").tidy()["icc1"].round(3).tolist()
    [0.089, 0.054]
    """
    one_of(size, ("k0", "mean"), "group size")
    one_of(method, ("anova", "reml"), "method")
    source = nested(data, variables, cluster)
    rows, means, notes = [], [], []
    for name in source.frame.columns:
        answered = source.frame[name].notna().to_numpy()
        codes, labels = pd.factorize(source.group[answered], sort=True)
        parts = components(source.frame[name].to_numpy()[answered], codes)
        _usable(name, parts)
        row = _icc_row(parts, size, method, level)
        rows.append({"variable": name, **row})
        trust = parts.sizes * row["tau2"] / (parts.sizes * row["tau2"] + row["sigma2"])
        means.append(
            pd.DataFrame(
                {"variable": name, "group": labels, "size": parts.sizes, "mean": parts.means, "reliability": trust}
            )
        )
        notes += _icc_notes(name, parts, row)
    settings = {"size": size, "method": method, "level": level}
    return ICC(pd.DataFrame(rows), pd.concat(means, ignore_index=True), tuple(notes), settings, **source.origin)


def _usable(name: str, parts: Components) -> None:
    if not len(parts.sizes):
        raise ModelError(f"Nobody answered '{name}'; leave it out.", code="AllMissing")
    if len(parts.sizes) < 2 or parts.sizes.max() < 2:
        raise ModelError(
            f"'{name}' has {len(parts.sizes)} groups with at most {parts.sizes.max():.0f} answers each; "
            "an intraclass correlation needs two groups and groups with more than one member.",
            code="TooFewRows",
        )
    if parts.within == 0 and np.ptp(parts.means) == 0:
        raise ModelError(f"Everybody gave the same answer to {name}; nothing varies.", code="ConstantItem")


def _icc_row(parts: Components, size: str, method: str, level: float) -> dict[str, float]:
    total, groups = parts.sizes.sum(), len(parts.sizes)
    k, df1, df2 = typical_size(parts.sizes, size), groups - 1, total - groups
    grand = (parts.sizes @ parts.means) / total
    msb, msw = float(parts.sizes @ (parts.means - grand) ** 2) / df1, parts.within / df2
    f = msb / msw if msw > 0 else np.inf
    row = {"n": int(total), "groups": groups, "k": k}
    if method == "reml":
        tau2, sigma2 = random_intercept(parts)
        icc1 = tau2 / (tau2 + sigma2)
        icc2 = k * tau2 / (k * tau2 + sigma2)
    else:
        tau2, sigma2 = max((msb - msw) / k, 0.0), msw
        icc1, icc2 = (msb - msw) / (msb + (k - 1) * msw), (msb - msw) / msb
    tail = (1 - level) / 2
    limits = [f / stats.f.ppf(p, df1, df2) for p in (1 - tail, tail)] if np.isfinite(f) else [np.inf, np.inf]
    lower, upper = ((x - 1) / (x + k - 1) if np.isfinite(x) else 1.0 for x in limits)
    row |= {"icc1": icc1, "icc1_lower": lower, "icc1_upper": upper, "icc2": icc2, "tau2": tau2, "sigma2": sigma2}
    row |= {"msb": msb, "msw": msw, "f": f, "df1": df1, "df2": int(df2), "p_value": float(stats.f.sf(f, df1, df2))}
    return row | {"design_effect": 1 + (k - 1) * icc1}


def _icc_notes(name: str, parts: Components, row: Mapping[str, float]) -> list[Diagnostic]:
    notes = []
    single = int((parts.sizes == 1).sum())
    if single:
        reason = f"{single} groups have one member for {name}: they count between groups and say nothing on agreement."
        notes.append(Diagnostic("SingletonGroups", reason, "warning"))
    if row["icc1"] < 0:
        reason = (
            f"ICC(1) of {name} is below 0: in these data members of a group resemble each other less than strangers. "
            "Chance alone does this where groups do not differ; see the interval."
        )
        notes.append(Diagnostic("NegativeICC", reason, "note"))
    return notes


def random_intercept(parts: Components) -> tuple[float, float]:
    """REML variances (τ² between, σ² within) of a random-intercept model without predictors.

    The likelihood depends on the share τ²/(τ² + σ²) alone once mean and scale are profiled out.
    """
    sizes, means, total = parts.sizes, parts.means, parts.sizes.sum()

    def profile(share: float) -> tuple[float, float]:
        ratio = share / (1 - share)
        weights = sizes / (1 + sizes * ratio)
        mean = (weights @ means) / weights.sum()
        scale = (parts.within + weights @ (means - mean) ** 2) / (total - 1)
        return (total - 1) * np.log(scale) + np.log1p(sizes * ratio).sum() + np.log(weights.sum()), scale

    bounds = (0.0, 1 - 1e-9)
    found = optimize.minimize_scalar(lambda s: profile(s)[0], bounds=bounds, method="bounded", options={"xatol": 1e-11})
    share = 0.0 if profile(0.0)[0] <= found.fun else float(found.x)
    sigma2 = profile(share)[1]
    return sigma2 * share / (1 - share), sigma2


def rwg(
    data: Any,
    items: Names,
    cluster: str,
    null: str | float | Sequence[float] = "uniform",
    *,
    options: int | None = None,
) -> Agreement:
    """Say how much the members of each group agree, compared with answers at random.

    Parameters
    ----------
    data : Responses or DataFrame
    items : one item gives r_wg, several give r_wg(j); with Responses also a construct
    null : what 'at random' means: 'uniform', 'triangular', 'slight skew', 'moderate skew' or 'heavy skew' (the
        skewed ones for five options), a variance, or the probabilities of the options
    options : number of answer options; without it, from the items' response scale, else from the answers

    Returns
    -------
    Agreement, whose ``tidy()`` has one row a group: group, size, rwg, raw (before values below 0 are set to 0).

    Notes
    -----
    James, Demaree & Wolf (1984): r_wg(j) = j(1 − s̄²/σ²) / (j(1 − s̄²/σ²) + s̄²/σ²). A mean variance above the
    null's counts as no agreement (0), as in R's multilevel. People with a missing item are left out.

    Examples
    --------
    >>> import cocoanalysis as coco
    >>> folder = coco.bundled("unit-climate")
    >>> responses = coco.read_responses(folder / "responses.csv", coco.read_survey(folder))
    >>> coco.rwg(responses, "leadership", "company").tidy()["rwg"].round(2).head(3).tolist()
    [0.85, 0.88, 0.83]
    """
    source, complete, codes, labels, notes = _complete(data, items, cluster)
    size = options or _options(source, notes)
    variance = null_variance(null, size)
    sizes, spread = group_variances(complete, codes)
    ratio = spread.mean(axis=1) / variance
    count = complete.shape[1]
    raw = count * (1 - ratio) / (count * (1 - ratio) + ratio)
    value = np.where(ratio > 1, 0.0, raw)
    zero = int((ratio > 1).sum())
    if zero:
        reason = f"{zero} of {len(value)} groups vary more than the null distribution: their agreement is set to 0."
        notes.append(Diagnostic("BeyondNull", reason, "note"))
    table = pd.DataFrame({"group": labels, "size": sizes, "rwg": value, "raw": raw})
    settings = {"null": null if isinstance(null, str) else "given", "null_variance": variance, "options": size}
    return Agreement(table, "rwg", tuple(notes), settings | {"items": list(source.frame.columns)}, **source.origin)


def average_deviation(data: Any, items: Names, cluster: str, *, around: str = "mean") -> Agreement:
    """Say in answer steps how far members of a group lie from the group's mean (or median).

    The AD index: mean absolute deviation, averaged over the items (Burke, Finkelstein & Dusig, 1999). A value up
    to a sixth of the number of options is commonly read as agreement (Burke & Dunlap, 2002).

    Examples
    --------
    >>> import cocoanalysis as coco
    >>> folder = coco.bundled("unit-climate")
    >>> responses = coco.read_responses(folder / "responses.csv", coco.read_survey(folder))
    >>> coco.average_deviation(responses, "leadership", "company").tidy()["ad"].round(2).head(3).tolist()
    [0.92, 0.89, 0.93]
    """
    one_of(around, ("mean", "median"), "centre")
    source, complete, codes, labels, notes = _complete(data, items, cluster)
    middle = np.mean if around == "mean" else np.median
    members = [complete[codes == code] for code in range(len(labels))]
    deviation = [float(np.abs(rows - middle(rows, axis=0)).mean()) for rows in members]
    table = pd.DataFrame({"group": labels, "size": np.bincount(codes), "ad": deviation})
    return Agreement(
        table, "ad", tuple(notes), {"around": around, "items": list(source.frame.columns)}, **source.origin
    )


def _complete(data: Any, items: Names, cluster: str) -> tuple[Nested, np.ndarray, np.ndarray, Any, list[Diagnostic]]:
    """Complete rows, coded groups, their labels, and notes on who was left out."""
    survey = getattr(data, "survey", None)
    if survey is not None and isinstance(items, str) and items not in survey.items:
        items = list(survey.item_ids(items))
    source = nested(data, items, cluster)
    kept = source.frame.notna().all(axis=1).to_numpy()
    notes = []
    if not kept.any():
        raise ModelError(f"Nobody answered all of {listed(source.frame.columns)}.", code="AllMissing")
    if not kept.all():
        reason = f"{int((~kept).sum())} of {len(kept)} people with a missing item were left out."
        notes.append(Diagnostic("IncompleteRows", reason, "note"))
    codes, labels = pd.factorize(source.group[kept], sort=True)
    single = int((np.bincount(codes) == 1).sum())
    if single:
        reason = f"{single} groups have one member; agreement is not defined for them."
        notes.append(Diagnostic("SingletonGroups", reason, "warning"))
    return source, source.frame.to_numpy()[kept], codes, labels, notes


def _options(source: Nested, notes: list[Diagnostic]) -> int:
    """Number of answer options of the items' one response scale, else of the answers, with a note."""
    known = {} if source.survey is None else source.survey.items
    names = list(source.frame.columns)
    if all(name in known for name in names):
        counts = {len(known[name].scale.points) for name in names}
        if len(counts) > 1:
            raise ModelError(
                f"The items {listed(names)} have different numbers of options ({listed(sorted(counts))}); "
                "ask for groups of items that share a response scale.",
                code="MixedScales",
            )
        return counts.pop()
    between = [name for name in names if (source.frame[name].dropna() % 1 != 0).any()]
    if between:
        reason = (
            f"{listed(between)} hold values between whole numbers, so they have no answer options to count and the "
            "index means little; give null= a variance that suits them."
        )
        notes.append(Diagnostic("NotOrdinal", reason, "warning"))
    low, high = source.frame.min().min(), source.frame.max().max()
    reason = f"Nothing says how many options the items have: {high - low + 1:.0f} were taken from the answers."
    notes.append(Diagnostic("OptionsFromAnswers", reason, "note"))
    return round(float(high - low)) + 1


def null_variance(null: str | float | Sequence[float], options: int) -> float:
    """Variance of answers at random over ``options`` equally spaced options."""
    if isinstance(null, str):
        one_of(null, NULLS, "null distribution")
        if null == "uniform":
            return (options**2 - 1) / 12
        if null == "triangular":
            peak = np.minimum(np.arange(1, options + 1), np.arange(options, 0, -1))
            return _variance(peak / peak.sum())
        if options != 5:
            raise ModelError(
                f"The skewed nulls are defined for five options; these items have {options}. "
                "Give null= the probabilities of the options, or a variance.",
                code="UnknownChoice",
            )
        return _variance(np.array(SKEWED[null]))
    if np.ndim(null) == 0:
        variance = float(np.asarray(null))
        if variance <= 0:
            raise ModelError(f"The null variance must be above 0; {variance} came.", code="UnknownChoice")
        return variance
    shares = np.asarray(null, dtype=float)
    if len(shares) != options or abs(shares.sum() - 1) > 1e-8 or (shares < 0).any():
        raise ModelError(
            f"The null needs {options} probabilities that sum to 1; {len(shares)} with the sum {shares.sum():g} came.",
            code="UnknownChoice",
        )
    return _variance(shares)


def _variance(shares: np.ndarray) -> float:
    codes = np.arange(len(shares))
    return float(shares @ codes**2 - (shares @ codes) ** 2)


def group_variances(values: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Group sizes, and variances (divisor n − 1) of each item in each group (groups × items; NaN for one member)."""
    sizes = np.bincount(codes)
    means = np.stack([np.bincount(codes, weights=column) for column in values.T], axis=1) / sizes[:, None]
    squares = (values - means[codes]) ** 2
    sums = np.stack([np.bincount(codes, weights=column) for column in squares.T], axis=1)
    return sizes, sums / np.where(sizes > 1, sizes - 1.0, np.nan)[:, None]


def within_between(data: Any, variables: Sequence[str], cluster: str) -> WithinBetween:
    """Correlate variables among people, within groups, and between group means.

    Returns
    -------
    WithinBetween, whose ``tidy()`` has one row a pair: x, y, n, groups, raw, within (deviations from the group's
    mean), between (group means, each counted once a member, as in WABA), between_unweighted (each group once),
    eta_x, eta_y (correlation of a person's value with the group's mean).

    The raw correlation is η_x η_y r_between + √(1 − η_x²) √(1 − η_y²) r_within (Dansereau, Alutto & Yammarino, 1984).

    Examples
    --------
    >>> import cocoanalysis as coco
    >>> folder = coco.bundled("unit-climate")
    >>> responses = coco.read_responses(folder / "responses.csv", coco.read_survey(folder))
    >>> coco.within_between(responses, ["leadership", "hostility"], "company").tidy()["between"].round(2).tolist()
    [-0.63]
    """
    source = nested(data, variables, cluster)
    names = list(checked_items(source.frame).columns)
    pairs = [(x, y) for i, x in enumerate(names) for y in names[i + 1 :]]
    if not pairs:
        raise ModelError("Correlations need at least two variables.", code="TooFewItems")
    table = pd.DataFrame([{"x": x, "y": y, **_pair(source, x, y)} for x, y in pairs])
    return WithinBetween(table, {"cluster": cluster, "missing": "pairwise"}, **source.origin)


def _pair(source: Nested, x: str, y: str) -> dict[str, float]:
    kept = source.frame[[x, y]].notna().all(axis=1).to_numpy()
    values = source.frame[[x, y]].to_numpy()[kept]
    codes = pd.factorize(source.group[kept], sort=True)[0]
    sizes = np.bincount(codes)
    means = np.stack([np.bincount(codes, weights=column) for column in values.T], axis=1) / sizes[:, None]
    spread = means[codes]

    def correlation(table: np.ndarray) -> float:
        return float(np.corrcoef(table.T)[0, 1]) if (table.std(axis=0) > 0).all() and len(table) > 2 else np.nan

    if len(values) < 3 or (values.std(axis=0) == 0).any():
        raise ModelError(
            f"{len(values)} people answered both '{x}' and '{y}', with answers that do not vary; "
            "a correlation needs three people and answers that differ.",
            code="TooFewRows",
        )
    etas = np.sqrt(spread.var(axis=0) / values.var(axis=0))
    return {
        "n": len(values),
        "groups": len(sizes),
        "raw": correlation(values),
        "within": correlation(values - spread),
        "between": correlation(spread),
        "between_unweighted": correlation(means),
        "eta_x": float(etas[0]),
        "eta_y": float(etas[1]),
    }
