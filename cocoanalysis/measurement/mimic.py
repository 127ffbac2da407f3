"""Do small groups answer some items differently? Groups as covariates of one model (MIMIC).

A ladder of multi-group models needs about a hundred rows a group. With fewer, group membership is
made a covariate of the factors (Jöreskog & Goldberger, 1975; Muthén, 1989): a path from the group
to an item says how far that group's answers lie from what its standing on the factor explains.
Loadings are taken as equal; only intercepts are examined.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from statsmodels.stats.multitest import multipletests

from cocoanalysis.errors import ModelError, listed, one_of
from cocoanalysis.measurement.confirmatory import SEM, sem
from cocoanalysis.measurement.invariance import RULES, change_of
from cocoanalysis.measurement.syntax import parse
from cocoanalysis.responses.selection import select
from cocoanalysis.result import Result
from cocoanalysis.threads import in_one_thread

LEAST = 20  # rows of a group of its own: fewer cannot tell its items from chance
COLUMNS = ["group", "n", "item", "factor", "effect", "se", "z", "p_value", "p_adjusted", "d"]


@dataclass(frozen=True, eq=False, repr=False)
class Mimic(Result):
    """Direct effects of groups on items: `tidy()` one row a group and item, `glance()` the test of all of them."""

    table: pd.DataFrame
    numbers: Mapping[str, Any]
    fits: Mapping[str, SEM]
    settings: Mapping[str, Any] = field(default_factory=dict)
    provenance: str = "yours"
    survey: Any = None
    title: str = "Groups as covariates (MIMIC)"

    @property
    def verdict(self) -> str:
        """holds, doubtful, does not hold, or not testable with the reason."""
        return str(self.numbers["verdict"])

    def tidy(self) -> pd.DataFrame:
        """Columns group, n, item, factor, effect (in the item's points, against the average over its factor's items),
        se, z, p_value, p_adjusted (Holm over the table), d (effect over the item's SD)."""
        return self.table.copy()

    def glance(self) -> pd.DataFrame:
        """One row: the model without direct effects, its change against the one with them, and the verdict."""
        return pd.DataFrame([{**self.numbers, **self.settings}])

    def largest(self, count: int = 3) -> pd.DataFrame:
        """The direct effects that are furthest from 0 after adjustment, at most ``count``."""
        found = self.table[self.table["p_adjusted"] < 0.05]
        return found.reindex(found["d"].abs().sort_values(ascending=False).index).head(count)

    def notes(self) -> list[str]:
        words = (
            f"Reference: {self.settings['reference']}. Loadings are taken as equal over the groups, and items as "
            "continuous; only shifts of single items against the others of their factor are examined."
        )
        return [*super().notes(), words]


@in_one_thread
def mimic(
    data: Any,
    model: str | Sequence[str] | None = None,
    *,
    group: str,
    examined: Sequence[str] | None = None,
    estimator: str = "mlr",
    missing: str = "auto",
    cluster: str | None = None,
    rules: str = "chen_2007",
) -> Mimic:
    """Compare groups that are too small for a measurement model of their own.

    Parameters
    ----------
    data : Responses (``model`` names a construct, block or score; None the survey's own model) or DataFrame (syntax)
    group : column of the groups; the largest is the reference
    examined : the groups whose direct effects are examined; None all but the reference
    estimator, missing, cluster : as in `cfa`, of the ML family
    rules : whose cut-offs, as in `invariance`

    Returns
    -------
    Mimic. Direct effects on the items of a factor sum to 0, so that no item has to be trusted as an anchor; the group's
    average shift is the factor's.

    Raises
    ------
    ModelError : UnknownVariable, UnknownChoice, TooFewGroups, SmallGroup, and those of `sem`

    Examples
    --------
    >>> random = np.random.default_rng(1)
    >>> few = np.arange(600) < 60
    >>> trait = random.normal(size=600) + 0.5 * few
    >>> items = {f"x{k}": trait + random.normal(size=600) for k in range(4)}
    >>> table = pd.DataFrame(items).assign(who=np.where(few, "few", "many"))
    >>> table["x3"] += 1.2 * few
    >>> found = mimic(table, "f =~ x0 + x1 + x2 + x3", group="who")
    >>> found.largest(1)["item"].tolist()
    ['x3']
    """
    one_of(estimator, ("ml", "mlr"), "estimator of a MIMIC model")
    one_of(rules, RULES, "rule set")
    syntax = _syntax(data, model)
    factors = _factors(syntax)
    table, groups = _covariates(data, [item for items in factors.values() for item in items], group, cluster)
    wanted = list(groups) if examined is None else [one_of(name, groups, f"group of '{group}'") for name in examined]
    small = [f"{name} ({groups[name][1]})" for name in wanted if groups[name][1] < LEAST]
    if small:
        raise ModelError(
            f"Direct effects need at least {LEAST} rows a group; {listed(small)} of '{group}' have fewer. Merge them "
            "with a group that they resemble, or leave them out and say so.",
            code="SmallGroup",
        )
    settings: dict[str, Any] = {"estimator": estimator, "missing": missing, "cluster": cluster}
    columns = " + ".join(name for name, _ in groups.values())
    base = "\n".join([syntax, *(f"{factor} ~ {columns}" for factor in factors)])
    direct = _direct_effects(factors, [groups[name][0] for name in wanted])
    fits = {"direct effects": sem(table, f"{base}\n{direct}", **settings), "none": sem(table, base, **settings)}
    numbers = change_of(fits["direct effects"], fits["none"], RULES[rules], "none")
    reference = next(iter(set(table[group].dropna()) - set(groups)))
    return Mimic(
        table=_effects(fits["direct effects"], factors, {name: groups[name] for name in wanted}, table),
        numbers={"group": group, "n": int(fits["none"].problem.total), **numbers},
        fits=fits,
        settings={**settings, "reference": reference, "rules": rules},
        provenance=getattr(data, "provenance", "yours"),
        survey=getattr(data, "survey", None),
        title=f"Groups of {group} as covariates (MIMIC)",
    )


def _syntax(data: Any, model: str | Sequence[str] | None) -> str:
    survey = getattr(data, "survey", None)
    if isinstance(model, str) and "=~" in model:
        return model
    if survey is None:
        raise ModelError("A table needs its measurement model as syntax, such as 'f =~ x1 + x2'.", code="NoModel")
    return str(survey.measurement_model(model))


def _factors(syntax: str) -> dict[str, list[str]]:
    """The items of each factor; factors of factors are not asked for direct effects."""
    pairs = [(term.lhs, term.rhs) for term in parse(syntax).terms if term.op == "=~"]
    latent = {left for left, _ in pairs}
    found = {left: [item for name, item in pairs if name == left and item not in latent] for left in latent}
    return {left: found[left] for left in dict.fromkeys(left for left, _ in pairs) if found[left]}


def _covariates(
    data: Any, items: list[str], group: str, cluster: str | None
) -> tuple[pd.DataFrame, dict[str, tuple[str, int]]]:
    """Items with an indicator of each group but the largest; group → (column, rows)."""
    frame = select(data, items).frame
    table = data.frame if getattr(data, "survey", None) is not None else pd.DataFrame(data)
    for name in filter(None, (group, cluster)):
        if name not in table.columns:
            raise ModelError(f"There is no column '{name}' in the data.", code="UnknownVariable")
    words = table[group].astype("string").astype(object)
    sizes = words.value_counts()
    if len(sizes) < 2:
        raise ModelError(f"'{group}' has {len(sizes)} group; a comparison needs two.", code="TooFewGroups")
    names = {str(name): (f"group{k + 1}", int(n)) for k, (name, n) in enumerate(sizes.iloc[1:].items())}
    known = words.notna().to_numpy()
    indicators = {column: (words == name).to_numpy(float) for name, (column, _) in names.items()}
    frame = frame.assign(**indicators, **{group: words})
    if cluster is not None:
        frame = frame.assign(**{cluster: table[cluster]})
    return frame[known], names


def _direct_effects(factors: Mapping[str, Sequence[str]], columns: Sequence[str]) -> str:
    """Paths from each indicator to each item, with a sum of 0 over the items of a factor."""
    lines = []
    for column in columns:
        for factor, items in factors.items():
            labels = [f"d_{column}_{factor}_{place}" for place in range(len(items))]
            lines += [f"{item} ~ {label}*{column}" for item, label in zip(items, labels)]
            lines.append(f"{' + '.join(labels)} == 0")
    return "\n".join(lines)


def _effects(
    fit: SEM, factors: Mapping[str, Sequence[str]], groups: Mapping[str, tuple[str, int]], table: pd.DataFrame
) -> pd.DataFrame:
    found = fit.tidy()
    slopes = found[found["op"] == "~"].set_index(["lhs", "rhs"])[["est", "se", "z", "p_value"]]
    parts = []
    for name, (column, n) in groups.items():
        for factor, items in factors.items():
            part = slopes.loc[[(item, column) for item in items]].set_axis(["effect", "se", "z", "p_value"], axis=1)
            spread = table[list(items)].std(ddof=1).to_numpy()
            parts.append(part.assign(group=name, n=n, item=list(items), factor=factor, d=part["effect"] / spread))
    effects = pd.concat(parts, ignore_index=True).assign(p_adjusted=np.nan)[COLUMNS]
    return effects.assign(p_adjusted=multipletests(effects["p_value"].fillna(1.0), method="holm")[1])
