"""Item analysis: does each item do its work, and does it point the way its key says?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from cocoanalysis.arguments import names_of
from cocoanalysis.errors import Diagnostic, ModelError, listed
from cocoanalysis.measurement.correlations import correlation_of
from cocoanalysis.responses.selection import Selection, as_frame, select
from cocoanalysis.result import Result

EXTREME = 0.15  # share in the lowest or highest category that counts as floor or ceiling (Terwee et al., 2007)
Scales = Mapping[str, Sequence[str]]


@dataclass(frozen=True, repr=False)
class ItemAnalysis(Result):
    """One row an item: answers, spread, floor and ceiling, item–rest correlation, alpha without it.

    Attributes
    ----------
    table : as `tidy`
    counts : as `categories`
    diagnostics : KeySuspect, ConstantItem, AllMissing, UnusedCategory
    """

    table: pd.DataFrame
    counts: pd.DataFrame
    diagnostics: tuple[Diagnostic, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    survey: Any = None
    ledger: pd.DataFrame | None = None
    provenance: str = "yours"
    title = "Item analysis"

    def tidy(self) -> pd.DataFrame:
        return self.table.copy()

    def categories(self) -> pd.DataFrame:
        """One row an item and answer option, as answered (not turned round by the key): code, count, share."""
        return self.counts.copy()

    @property
    def suspects(self) -> list[str]:
        """Items whose answers run against their scale: a wrong key, or answers that were reversed before."""
        return list(self.table.loc[self.table["key_suspect"], "item"])

    def glance(self) -> pd.DataFrame:
        flagged = (self.table["floor"] > EXTREME) | (self.table["ceiling"] > EXTREME)
        facts = {
            "n_items": len(self.table),
            "n_scales": self.table["scale"].nunique(),
            "key_suspects": len(self.suspects),
            "floor_or_ceiling": int(flagged.sum()),
            "missing_share": float(self.table["missing"].sum() / (self.table["missing"] + self.table["n"]).sum()),
        }
        return pd.DataFrame({key: [value] for key, value in facts.items()})

    def notes(self) -> list[str]:
        return [*super().notes(), *(d.reason for d in self.diagnostics)]


def item_analysis(
    data: Any, items: str | Sequence[str] | None = None, *, scales: Scales | None = None, keyed: bool = True
) -> ItemAnalysis:
    """Describe every item and say how it fits its scale.

    Parameters
    ----------
    data : Responses or DataFrame
    items : a construct, block or score of the survey, or columns; None for every scale
    scales : name → items, for a plain DataFrame; without it all columns are one scale
    keyed : describe answers turned round by their key (Responses only); ``categories()`` never turns them

    Notes
    -----
    Skewness and excess kurtosis are m₃/s³ and m₄/s⁴ − 3 (psych's type 3). Item–rest correlations and alpha
    without the item use pairwise complete answers, as psych's ``alpha``. Floor and ceiling are the shares in
    the lowest and highest option of the response scale (of a plain DataFrame: of the answers).

    Examples
    --------
    >>> import cocoanalysis as coco
    >>> folder = coco.bundled("unit-climate")
    >>> responses = coco.read_responses(folder / "responses.csv", coco.read_survey(folder))
    >>> coco.item_analysis(responses, "hostility").suspects
    []
    """
    groups = scale_items(data, items if scales is None else scales, composites=True)
    _refuse_too_few(data)
    tables, diagnostics = [], []
    for name, members in groups.items():
        chosen = select(data, list(members), keyed=keyed)
        tables.append(_described(name, chosen))
        diagnostics += item_faults(name, chosen)
    everything = list(dict.fromkeys(i for members in groups.values() for i in members))
    raw = select(data, everything, keyed=False)
    table = pd.concat(tables, ignore_index=True)
    suspects = {d.reason.split("'")[1] for d in diagnostics if d.code == "KeySuspect"}
    table["key_suspect"] = table["item"].isin(suspects)
    counts = category_counts(raw)
    settings = {"keyed": keyed, "missing": "pairwise"}
    return ItemAnalysis(table, counts, tuple(diagnostics), settings, raw.survey, raw.ledger, raw.provenance)


def _refuse_too_few(data: Any) -> None:
    rows = len(getattr(data, "frame", data))
    if rows < 2:
        raise ModelError(f"Items are described over people, and the data have {rows} row(s).", code="TooFewRows")


def scale_items(data: Any, scales: Any = None, *, composites: bool = False) -> dict[str, list[str]]:
    """Scales as name → item ids, from the survey, a dict, or the columns.

    ``scales`` may be a dict, the name of a construct or block, a list of such names (with a survey)
    or of columns (one scale), or None for every construct of the survey (with ``composites`` also those whose
    items need not agree, and single items).
    """
    if isinstance(scales, Mapping):
        if not scales:
            raise ModelError(
                "No scale was named; pass at least one, as in {'trust': ['t1', 't2', 't3']}.", code="NoScale"
            )
        return {str(name): list(names_of(members, f"the items of {name}")) for name, members in scales.items()}
    if scales is not None:
        scales = names_of(scales, "scales")
    survey = getattr(data, "survey", None)
    if survey is None:
        columns = (
            list(as_frame(data).columns) if scales is None else [scales] if isinstance(scales, str) else list(scales)
        )
        return {"all items": columns}
    if scales is None:
        wanted: Iterable[str] = [name for name, one in survey.constructs.items() if _is_scale(one, composites)]
    else:
        wanted = [scales] if isinstance(scales, str) else scales
    found: dict[str, list[str]] = {}
    loose = []
    for name in wanted:
        if name in survey.items:
            loose.append(name)
            continue
        for construct in survey.blocks.get(name, (name,)):
            found[construct] = list(survey.item_ids(construct))
    if loose:
        found["items"] = loose
    answered = set(data.frame.columns)
    kept = {name: members for name, members in found.items() if answered.issuperset(members)}
    if not kept:
        raise ModelError(
            f"None of the scales {listed(found)} has all its items in the answers.", code="UnknownVariable"
        )
    return kept


def _is_scale(construct: Any, composites: bool) -> bool:
    """Attention checks measure nothing; composites and single items can be described, but have no reliability."""
    if construct.role == "attention":
        return False
    return composites or (not construct.composite and len(construct.items) > 1)


def _described(scale: str, chosen: Selection) -> pd.DataFrame:
    frame = chosen.frame
    values = frame.to_numpy()
    n = (~np.isnan(values)).sum(axis=0)
    covariance = pairwise_covariance(values)
    rest, dropped = item_rest(covariance)
    low, high = _limits(chosen)
    answered = np.maximum(n, 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        centred = values - np.nansum(values, axis=0) / answered
        spread = np.sqrt(np.nansum(centred**2, axis=0) / (n - 1))
        skew = np.nansum(centred**3, axis=0) / n / spread**3
        kurtosis = np.nansum(centred**4, axis=0) / n / spread**4 - 3
    return pd.DataFrame(
        {
            "scale": scale,
            "item": list(map(str, frame.columns)),
            "n": n,
            "missing": len(frame) - n,
            "mean": np.where(n > 0, np.nansum(values, axis=0) / answered, np.nan),
            "sd": spread,
            "median": frame.median().to_numpy(),
            "minimum": frame.min().to_numpy(),
            "maximum": frame.max().to_numpy(),
            "skew": skew,
            "kurtosis": kurtosis,
            "floor": (values == low).sum(axis=0) / answered,
            "ceiling": (values == high).sum(axis=0) / answered,
            "item_rest": rest,
            "alpha_if_dropped": dropped,
        }
    )


def _limits(chosen: Selection) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest option of each item: from its response scale, else from the answers."""
    known = {} if chosen.survey is None else chosen.survey.items
    low, high = chosen.frame.min().to_numpy().copy(), chosen.frame.max().to_numpy().copy()
    for i, name in enumerate(chosen.frame.columns):
        if name in known:
            low[i], high[i] = known[name].scale.minimum, known[name].scale.maximum
    return low, high


def pairwise_covariance(values: np.ndarray) -> np.ndarray:
    """Covariances (p × p, divisor n − 1) over the rows that answered both items."""
    return pd.DataFrame(values).cov().to_numpy()


def alpha_of(covariance: np.ndarray) -> np.ndarray:
    """Coefficient alpha of covariance matrices (… × p × p); Guttman (1945), Cronbach (1951)."""
    p = covariance.shape[-1]
    total = covariance.sum(axis=(-2, -1))
    share = np.trace(covariance, axis1=-2, axis2=-1) / np.where(total > 0, total, np.nan)
    return p / (p - 1) * (1 - share)


def item_rest(covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Correlation of each item with the sum of the others, and alpha of the others (NaN for fewer than two)."""
    variances, total = np.diag(covariance), covariance.sum()
    with_rest = covariance.sum(axis=1) - variances
    rest_variance = total - 2 * covariance.sum(axis=1) + variances
    p = len(covariance) - 1
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = with_rest / np.sqrt(variances * rest_variance)
        alpha = p / (p - 1) * (1 - (variances.sum() - variances) / rest_variance) if p > 1 else np.full(p + 1, np.nan)
    return correlation, alpha


def against_the_key(covariance: np.ndarray) -> np.ndarray:
    """True for items that run against the others (p).

    The first principal axis of the correlations splits the items by sign; the smaller group, and any item
    with a negative item–rest correlation when only few are turned, runs against the scale.
    """
    if len(covariance) < 2 or not np.isfinite(covariance).all() or (np.diag(covariance) <= 0).any():
        return np.zeros(len(covariance), dtype=bool)
    correlations = correlation_of(covariance.copy())
    axis = np.linalg.eigh(correlations).eigenvectors[:, -1]
    axis = axis * np.where(_majority(axis) < 0, -1, 1)
    turned = axis < 0
    signs = np.where(turned, -1.0, 1.0)
    rest = item_rest(correlations * np.outer(signs, signs))[0]
    return turned & (rest > 0.1) if len(covariance) > 2 else np.full(2, correlations[0, 1] < 0)


def _majority(axis: np.ndarray) -> float:
    """The sign that most items have; with as many on both sides, that of the larger weights."""
    count = np.sign(axis).sum()
    return float(count if count != 0 else axis.sum())


def item_faults(scale: str, chosen: Selection) -> list[Diagnostic]:
    """What is wrong with the items of one scale, each named."""
    frame, found = chosen.frame, []
    usable = []
    for name in frame.columns:
        answers = frame[name].dropna()
        if answers.empty:
            found.append(Diagnostic("AllMissing", f"Nobody answered '{name}' ({scale})."))
        elif answers.nunique() == 1:
            found.append(Diagnostic("ConstantItem", f"Everybody gave '{name}' ({scale}) the same answer."))
        else:
            usable.append(name)
    if len(usable) > 1:
        turned = against_the_key(pairwise_covariance(frame[usable].to_numpy()))
        found += [key_suspect(scale, name, chosen) for name, wrong in zip(usable, turned) if wrong]
    return found


def key_suspect(scale: str, name: str, chosen: Selection) -> Diagnostic:
    known = {} if chosen.survey is None else chosen.survey.items
    if name in known and known[name].key < 0:
        cause = (
            "It was turned round by its key (−1): either the key is wrong, or the file holds answers already reversed"
        )
    elif name in known:
        cause = "Its key is +1: the item may be worded the other way round, or the file holds answers already reversed"
    else:
        cause = "It may be worded the other way round"
    return Diagnostic(
        "KeySuspect",
        f"The answers to '{name}' run against the rest of {scale}. {cause}. Nothing was reversed; "
        "check the wording and the codes, then mend the key or the data.",
        "warning",
    )


def category_counts(chosen: Selection) -> pd.DataFrame:
    """One row an item and option: code, count, and share of the answers given; unused options count 0."""
    known = {} if chosen.survey is None else chosen.survey.items
    tables = []
    for name, answers in chosen.frame.items():
        seen = answers.dropna()
        options = set(seen.unique()) | ({float(c) for c in _codes(known[name])} if name in known else set())
        counts = seen.value_counts().reindex(sorted(options), fill_value=0)
        share = counts.to_numpy() / max(len(seen), 1)
        tables.append(
            pd.DataFrame({"item": str(name), "code": counts.index, "count": counts.to_numpy(), "share": share})
        )
    return pd.concat(tables, ignore_index=True)


def _codes(item: Any) -> list[float]:
    return [point.code for point in item.scale.points]
