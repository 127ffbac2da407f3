"""The slopes of a plan without measurement error: structural models beside the composite scores.

For each slope the predictor and the outcome are factors behind their items (a score of several
constructs is a second-order factor; what is formative stays a score). Within collaborations:
items centred in them and freed of the controls, maximum likelihood with cluster-robust errors. Doubly
latent: a two-level model with factors on both levels (Marsh et al., 2009), which few collaborations
can seldom carry; then the row says so. All rows are exploratory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from cocoanalysis.errors import CocoError, PlanError, listed
from cocoanalysis.measurement.confirmatory import sem
from cocoanalysis.propositions.estimands import Answers, Estimated, Row, rows_of
from cocoanalysis.propositions.evidence import Student
from cocoanalysis.propositions.plan import Plan
from cocoanalysis.propositions.verdicts import answers_of, claim_of
from cocoanalysis.result import Result
from cocoanalysis.threads import in_one_thread

COLUMNS = [
    "hypothesis", "outcome", "predictor", "level", "composite", "latent", "se", "ci_lower", "ci_upper", "p_value",
    "cfi", "rmsea", "srmr", "n", "usable", "reason",
]  # fmt: skip
GROUP = "cluster_of_the_row"


@dataclass(frozen=True, repr=False)
class Latent(Result):
    """Composite and latent slopes side by side: `tidy()` one row a hypothesis, outcome, level; `.fits` the models."""

    table: pd.DataFrame
    fits: Mapping[tuple[str, str, str, str], Any]
    settings: Mapping[str, Any] = field(default_factory=dict)
    provenance: str = "yours"
    survey: Any = None
    title: str = "Composite and latent slopes"

    def tidy(self) -> pd.DataFrame:
        """Columns hypothesis, outcome, predictor, level, composite and latent (both standardised), se, ci_lower,
        ci_upper, p_value of the latent slope, cfi, rmsea, srmr, n, usable, reason."""
        return self.table.copy()

    def glance(self) -> pd.DataFrame:
        usable = int(self.table["usable"].sum())
        return pd.DataFrame([{"rows": len(self.table), "usable": usable, **self.settings}])

    def notes(self) -> list[str]:
        words = (
            "Exploratory. Latent slopes are freed of random measurement error, composite ones are not; a model that "
            "does not fit frees them of nothing."
        )
        return [*super().notes(), words]


class _Block(NamedTuple):
    """Syntax that measures a variable, the factor's name, and the columns that it needs."""

    syntax: str
    name: str
    items: tuple[str, ...]
    scores: tuple[str, ...]


@in_one_thread
def latent(plan: Plan, responses: Any, *, doubly: bool = False) -> Latent:
    """Fit a structural model for each slope of the plan and set it beside the composite slope.

    Parameters
    ----------
    plan : its exclusions are applied here
    responses : Responses
    doubly : also the two-level model, on complete rows, with the between slope in a row of its own (slow)

    Raises
    ------
    PlanError : NoItems when a plain table came
    """
    survey = getattr(responses, "survey", None)
    if survey is None:
        raise PlanError("Latent versions need the items: pass Responses, not a table of scores.", code="NoItems")
    used = plan.exclude(responses)
    answers = answers_of(plan, used)
    rows, fits = [], {}
    for row in rows_of(plan):
        if row.hypothesis.kind != "slope" or row.hypothesis.level != "respondent":
            continue
        claim = claim_of(row, answers, plan, 0)
        composite = {"within": claim.found.evidence, "between": claim.found.beside}
        kinds = ["within", *(["doubly latent"] if doubly else [])]
        for kind in kinds:
            fit, reason = _fitted(row, plan, used, kind, answers)
            for level in ("within",) if kind == "within" else ("within", "between"):
                shown = level if kind == "within" else f"{level} (doubly latent)"
                said = reason if fit is None or kind != "within" else ""
                rows.append(_line(row, shown, composite[level], fit, said, level if kind != "within" else None))
                fits[(row.hypothesis.id, row.outcome, row.predictor, shown)] = fit
    return Latent(
        table=pd.DataFrame(rows, columns=COLUMNS),
        fits=fits,
        settings={"estimator": "mlr", "missing": "fiml", "plan": plan.id},
        provenance=responses.provenance,
        survey=survey,
    )


def _block(name: str, survey: Any) -> _Block:
    """How a construct or score is measured: a factor, a second-order factor, or the score itself."""
    if name in survey.scores:
        parts = [_block(part, survey) for part in survey.scores[name].of]
        kept = set(survey.scores[name].items)
        syntax = "\n".join(part.syntax for part in parts if part.syntax)
        items = tuple(item for part in parts for item in part.items if item in kept)
        scores = tuple(score for part in parts for score in part.scores)
        own = survey.measurement_model(name) if not scores else syntax
        weight = "1*" if len(parts) == 2 else ""  # two parts count alike: a factor of two is not identified alone
        general = " + ".join(f"{weight}{part.name}" for part in parts)
        return _Block(f"{own}\n{name} =~ {general}", name, items, scores)
    if survey.constructs[name].composite:
        return _score(name)
    return _Block(survey.measurement_model(name), name, tuple(survey.constructs[name].items), ())


def structural(row: Row, plan: Plan, used: Any, answers: Answers, measure: str) -> Estimated:
    """A slope or contrast of the plan by maximum likelihood on all available answers, errors by collaboration.

    Everything is centred within collaborations and freed of the controls. ``measure`` 'latent' puts variables behind
    their items, 'scores' takes the scores; the coefficients are standardised by the model.
    """
    kind = row.hypothesis.kind
    if kind not in ("slope", "contrast") or row.hypothesis.level != "respondent":
        return Estimated(None, fault=f"a structural model within collaborations does not estimate this ({kind})")
    if getattr(used, "survey", None) is None:
        return Estimated(None, fault="a structural model needs the items, and a table of scores came")
    fit, reason = _fitted(row, plan, used, "within", answers, measure)
    if fit is None:
        return Estimated(None, fault=reason.rstrip("."))
    faults = [name for name in ("identified", "converged", "admissible") if not getattr(fit, name)]
    n, groups = int(fit.problem.total), None if answers.clusters is None else int(np.unique(answers.clusters).size)
    told = {"inference": "full-information maximum likelihood, robust errors by collaboration", "equation": reason}
    if faults:
        return Estimated(None, (), n, groups, fault=f"the structural model is not {listed(faults)}", more=told)
    weights = row.hypothesis.contrast if kind == "contrast" else {row.names[0]: 1.0}
    return Estimated(_weighted(fit, row.outcome, weights), (), n, groups, more=told)


def _weighted(fit: Any, outcome: str, weights: Mapping[str, float]) -> Student:
    """A weighted sum of standardised slopes; the standard deviations are taken as known."""
    table = fit.tidy(standardized=True)
    slopes = table[(table["op"] == "~") & (table["lhs"] == outcome)].set_index("rhs").loc[list(weights)]
    units = np.array(list(weights.values())) * (slopes["std_all"] / slopes["est"]).to_numpy()
    places = {row.rhs: row.free for row in fit.problem.table.rows if row.op == "~" and row.lhs == outcome}
    chosen = [places[name] for name in weights]
    spread = fit.vcov[np.ix_(chosen, chosen)]
    return Student(float(units @ slopes["est"].to_numpy()), float(np.sqrt(units @ spread @ units)), np.inf)


def _fitted(row: Row, plan: Plan, used: Any, kind: str, answers: Answers, measure: str = "latent") -> tuple[Any, str]:
    """The structural model of a row, and what to know of it; None and the reason where it cannot be fitted."""
    survey = used.survey
    names = list(dict.fromkeys([*row.names, row.outcome, *row.hypothesis.holding]))
    try:
        blocks = {name: _block(name, survey) if measure == "latent" else _score(name) for name in names}
        table = _columns(list(blocks.values()), plan, row, used)
        slopes = " + ".join(name for name in names if name != row.outcome)
        measured = [block.syntax for block in blocks.values() if block.syntax]
        model = "\n".join([*measured, f"{row.outcome} ~ {slopes}"])
        if kind == "within":
            centred = _centred(table, plan, row, used, answers)
            settings: dict[str, Any] = {"fixed_x": False} if measure == "scores" else {}
            fit = sem(centred, model, estimator="mlr", missing="fiml", cluster=GROUP, **settings)
            return fit, f"{row.outcome} ~ {slopes}"
        return _two_level(table.dropna(), model, [item for block in blocks.values() for item in block.items])
    except CocoError as error:
        return None, str(error)


def _score(name: str) -> _Block:
    return _Block("", name, (), (name,))


def _two_level(table: pd.DataFrame, model: str, items: list[str]) -> tuple[Any, str]:
    """The same model on both levels; residual variances between clusters that come out negative are fixed at 0.

    The means of clusters are nearly free of what is particular to an item, so a residual variance at that level is
    often as good as 0 (Lüdtke et al., 2011); which ones were fixed is said.
    """
    plain = "\n".join(line for line in model.splitlines() if line.strip() and not line.startswith("#"))
    fixed: list[str] = []
    while True:
        zeros = "".join(f"\n{item} ~~ 0*{item}" for item in fixed)
        two = f"level: 1\n{plain}\nlevel: 2\n{plain}{zeros}"
        fit = sem(table, two, estimator="ml", missing="listwise", cluster=GROUP)
        found = fit.tidy()
        own = found[(found["op"] == "~~") & (found["lhs"] == found["rhs"]) & (found["level"].astype(str) == "2")]
        negative = [name for name in own[own["est"] < 0]["lhs"] if name in items and name not in fixed]
        if not negative:
            return fit, f"residual variances between collaborations fixed at 0: {listed(fixed)}" if fixed else ""
        fixed += negative


def _columns(blocks: list[_Block], plan: Plan, row: Row, used: Any) -> pd.DataFrame:
    items = list(dict.fromkeys(item for block in blocks for item in block.items))
    scores = list(dict.fromkeys(score for block in blocks for score in block.scores))
    parts = [used.items(items, keyed=True)] if items else []
    parts += [used.scores(scores)] if scores else []
    codes, known = pd.factorize(used.frame[used.survey.cluster], sort=True)
    table = pd.concat(parts, axis=1).assign(**{GROUP: codes})
    return table[(codes >= 0) & (len(known) > 0)].astype(float)


def _centred(table: pd.DataFrame, plan: Plan, row: Row, used: Any, answers: Answers) -> pd.DataFrame:
    """Columns centred within clusters and freed of the within part of the controls (Frisch & Waugh), missing kept."""
    names = plan.controls(row.hypothesis)
    numeric = [answers.numbers[name] for name in names if name in answers.numbers]
    dummies = [
        (answers.categories[name] == k).astype(float) for name in names if name in answers.categories
        for k in range(1, len(answers.labels[name]))
    ]  # fmt: skip
    place = used.frame.index.get_indexer(table.index)
    complete = answers.complete(names)[place]
    table, codes = table[complete], table[GROUP].to_numpy(int)[complete]
    x = np.column_stack([*numeric, *dummies])[place][complete] if numeric or dummies else np.empty((len(table), 0))
    freed = {n: _free(table[n].to_numpy(float), x, codes) for n in table.columns if n != GROUP}
    return pd.DataFrame(freed, index=table.index).assign(**{GROUP: codes})


def _free(values: np.ndarray, x: np.ndarray, codes: np.ndarray) -> np.ndarray:
    known = ~np.isnan(values)
    y = _inside(values[known], codes[known])
    if x.shape[1]:
        inner = np.column_stack([_inside(column[known], codes[known]) for column in x.T])
        y = y - inner @ np.linalg.lstsq(inner, y, rcond=None)[0]
    found = np.full(values.shape, np.nan)
    found[known] = y
    return found


def _inside(values: np.ndarray, codes: np.ndarray) -> np.ndarray:
    size = np.maximum(np.bincount(codes), 1)
    return values - (np.bincount(codes, values) / size)[codes]


def _line(row: Row, shown: str, composite: Any, fit: Any, reason: str, level: str | None) -> list[Any]:
    head = [row.hypothesis.id, row.outcome, row.predictor, shown, np.nan if composite is None else composite.estimate]
    if fit is None:
        return [*head, *[np.nan] * 8, 0, False, reason]
    glance = fit.glance().iloc[0]
    faults = [name for name in ("identified", "converged", "admissible") if not glance[name]]
    table = fit.tidy(standardized=True)
    slope = table[(table["op"] == "~") & (table["lhs"] == row.outcome) & (table["rhs"] == row.names[0])]
    if level is not None:
        slope = slope[slope["level"].astype(str) == {"within": "1", "between": "2"}[level]]
    one = slope.iloc[0]
    scale = one["std_all"] / one["est"] if one["est"] else np.nan
    kept = [glance.get("cfi_robust"), glance.get("rmsea_robust"), glance["srmr"]]
    kept = [
        glance[plain] if value is None or pd.isna(value) else value
        for value, plain in zip(kept, ("cfi", "rmsea", "srmr"))
    ]
    if faults:
        return [*head, *[np.nan] * 5, *kept, glance["n"], False, f"the model is not {listed(faults)}"]
    bounds = sorted([one["ci_lower"] * scale, one["ci_upper"] * scale])
    return [*head, one["std_all"], one["se"] * scale, *bounds, one["p_value"], *kept, glance["n"], True, reason]


def _robust(glance: pd.Series, name: str) -> float:
    """The robust version of a fit index where there is one."""
    value = glance.get(f"{name}_robust")
    return float(glance[name] if value is None or pd.isna(value) else value)
