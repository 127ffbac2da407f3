"""From data, model and arguments to a `Problem` that can be minimised: every choice made here is spelled out.

Defaults are lavaan 0.6-14's. What was decided for the user (which rows, which estimator,
which treatment of missing answers) is kept in `Prepared.settings` and `Prepared.remarks`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from cocoanalysis import arguments
from cocoanalysis.errors import Diagnostic, ModelError, listed, one_of, suggestion
from cocoanalysis.measurement.contingency import observed_categories
from cocoanalysis.measurement.estimators import ESTIMATORS
from cocoanalysis.measurement.inference import Problem
from cocoanalysis.measurement.moments import MOST_CATEGORIES, ordinal_moments
from cocoanalysis.measurement.parameters import Options, ParameterTable, build, checked_group_equal, classify
from cocoanalysis.measurement.problems import continuous_problem, continuous_samples, ordinal_problem, ordinal_start
from cocoanalysis.measurement.rows import (
    cluster_codes,
    collapsed,
    drawn_rows,
    group_members,
    refuse_small,
    row_weights,
    sample_warnings,
    shared_categories,
    usable_rows,
)
from cocoanalysis.measurement.starts import starting_values
from cocoanalysis.measurement.syntax import Model
from cocoanalysis.responses import ledger
from cocoanalysis.responses.selection import as_frame, select

ORDINAL_ONLY = ("wlsm", "wlsmv", "wlsmvs")
ORDINAL = (*ORDINAL_ONLY, "dwls", "wls", "uls", "ulsm", "ulsmv", "ulsmvs")
FIML = ("ml", "mlr", "mlf")
ERRORS = ("standard", "robust", "robust.sem", "robust.huber.white", "robust.cluster", "bootstrap")


@dataclass(frozen=True)
class Call:
    """The arguments of `cfa` as the user gave them."""

    estimator: str | None = None
    ordered: Any = None
    group: str | None = None
    group_equal: Any = ()
    group_partial: Any = ()
    missing: str = "auto"
    cluster: str | None = None
    weights: str | None = None
    std_lv: bool = False
    orthogonal: bool = False
    parameterization: str = "delta"
    meanstructure: bool | None = None
    fixed_x: bool | None = None
    information: str | None = None
    se: str | None = None
    bootstrap: int = 0
    seed: int | None = None
    collapse: Any = None
    convention: str = "lavaan"
    starts: int = 1

    def __post_init__(self) -> None:
        for name in ("estimator", "information", "se"):
            arguments.word(getattr(self, name), name, open_=True)
        for name in ("missing", "parameterization", "convention"):
            arguments.word(getattr(self, name), name)
        for name in ("group", "cluster", "weights"):
            arguments.column_name(getattr(self, name), name)
        for name in ("meanstructure", "fixed_x"):
            arguments.switch(getattr(self, name), name, open_=True)
        for name in ("std_lv", "orthogonal"):
            arguments.switch(getattr(self, name), name)
        for name in ("group_equal", "group_partial"):
            arguments.names_of(getattr(self, name), name)
        if self.ordered is not None and not isinstance(self.ordered, bool):
            arguments.names_of(self.ordered, "ordered")
        arguments.whole(self.starts, "starts", 1)
        arguments.seed_number(self.seed)
        if arguments.whole(self.bootstrap, "bootstrap", what="a number of replicates", code="BadBootstrap") == 1:
            raise ModelError(
                "One bootstrap replicate has no standard error; ask for bootstrap=1000, or 0 for none.",
                code="BadBootstrap",
            )


@dataclass
class Prepared:
    """Everything a fit needs, and what was decided on the way."""

    problem: Problem
    start: np.ndarray
    model: Model | None
    settings: dict[str, Any]
    groups: tuple[str, ...]
    frame: pd.DataFrame | None = None
    remarks: list[str] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    survey: Any = None
    ledger: pd.DataFrame | None = None
    provenance: str = "yours"
    rows: tuple[Any, ...] = ()  # index of the rows used, one a group
    raw: pd.DataFrame | None = None  # the data as they came
    call: Call | None = None

    @property
    def source(self) -> pd.DataFrame:
        """Variables, group, weight and cluster of the rows used."""
        assert self.frame is not None
        assert self.raw is not None
        assert self.call is not None
        others = [c for c in (self.call.group, self.call.weights, self.call.cluster) if c is not None]
        rows = self.rows[0].append(list(self.rows[1:])) if len(self.rows) > 1 else self.rows[0]
        whole = pd.concat([self.frame, self.raw[[c for c in others if c not in self.frame]]], axis=1)
        return whole.loc[whole.index.isin(rows)]

    def resampled(self, rng: np.random.Generator) -> Problem:
        """The same problem on rows (or clusters) drawn with replacement within groups."""
        source = self.source
        assert self.call is not None
        assert self.model is not None
        drawn = source.iloc[drawn_rows(source, self.call.group, self.call.cluster, rng)].reset_index(drop=True)
        again = replace(self.call, bootstrap=0, collapse=None, ordered=list(self.settings["ordered"]))
        return prepare_one_level(drawn, self.model, again).problem


def model_text(data: Any, model: str | None) -> str:
    """Syntax as given, or the survey's own measurement model (of a construct or block)."""
    survey = getattr(data, "survey", None)
    if model is not None and not isinstance(model, str):
        raise ModelError(
            f"The model must be a text, as in 'factor =~ item1 + item2 + item3'; a {type(model).__name__} came. "
            "The data are the first argument, the model the second.",
            code="NoModel",
        )
    if model is not None and (re.search(r"[~|=\n;]", model) or not model.strip()):
        return model
    if survey is None:
        raise ModelError(
            f"{'No model was given' if model is None else f'{model!r} is no model syntax'}, and the data carry no "
            "survey that could name one. Write it as in 'factor =~ item1 + item2 + item3'.",
            code="NoModel",
        )
    return survey.measurement_model(model)


def prepare_one_level(data: Any, parsed: Model, call: Call) -> Prepared:
    """Choose the rows and the estimator of a model without levels, and lay out the problem."""
    raw = data.frame if getattr(data, "survey", None) is not None else as_frame(data)
    names = model_variables(parsed, raw.columns.tolist())
    covariates = {n for level in parsed.level_blocks for n in classify(parsed.at_level(level)).exogenous}
    ordered = [n for n in ordered_names(data, raw, names, call) if n not in covariates]
    estimator = chosen_estimator(call, ordered)
    groups, member = group_members(raw, call.group)
    selection = _selected(data, names)
    recipe = call.collapse
    if recipe == "empty":
        recipe = shared_categories(selection.frame[ordered], pd.Series(member, index=selection.frame.index))
    if call.ordered is True:
        _refuse_many_categories(selection.frame, ordered)
    frame, recode = collapsed(selection.frame, ordered, recipe)
    options = table_options(parsed, call, estimator, ordered, groups, frame)
    missing = missing_treatment(call, estimator, bool(ordered), frame)
    options = replace(options, meanstructure=options.meanstructure or missing == "fiml" or call.missing == "fiml")
    weights, clusters = row_weights(raw, call.weights), cluster_codes(raw, call.cluster)
    _check_group_blocks(parsed, groups)
    table = build(parsed, options)
    x_names = exogenous_of(table)
    keep = usable_rows(frame, missing, x_names if options.fixed_x or options.conditional_x else ())
    rows = Rows.of(frame, keep, (groups, member), weights=weights, clusters=clusters)
    settings = resolved_settings(table, estimator, missing, call, bool(ordered), clusters is not None)
    refuse_small(rows.masks, groups, frame.shape[1], table.n_free, missing)
    diagnostics = sample_warnings(rows.masks, rows.weights, clusters, (call.weights, call.cluster))
    problem, start, more = _ordinal(table, rows, settings, x_names) if ordered else _continuous(table, rows, settings)
    prepared = Prepared(
        problem, start, parsed, settings, tuple(groups), frame, diagnostics=[*diagnostics, *more], rows=rows.index
    )
    prepared.call, prepared.raw = call, raw
    prepared.survey, prepared.ledger, prepared.provenance = selection.survey, selection.ledger, selection.provenance
    if recode:
        prepared.settings["collapse"] = recode
        prepared.ledger = _with_merged(prepared.ledger, recode, len(frame))
        prepared.remarks.append(f"Answer categories of {listed(recode, 6)} merged, in all groups alike.")
    prepared.remarks += remarks_on_rows(prepared, frame, keep, missing, call)
    return prepared


def _with_merged(known: pd.DataFrame | None, recode: Mapping[str, Mapping[str, Any]], n: int) -> pd.DataFrame:
    """The ledger with one line an item whose categories were merged for this fit."""
    lines = []
    for name, moves in recode.items():
        merged = ", ".join(f"{old} becomes {move['to']}" for old, move in moves.items())
        rule = f"{name}: {merged}, in all groups alike"
        touched = sum(move["rows"] for move in moves.values())
        lines.append(ledger.entry("recode", rule, n, rows=touched, cells=touched, origin="exploratory"))
    return ledger.table([*(() if known is None else ledger.entries_of(known)), *lines])


def _selected(data: Any, names: Sequence[str]) -> Any:
    """The model's variables as numbers; of `Responses` the items keyed, everything else as it is."""
    survey = getattr(data, "survey", None)
    if survey is None:
        return select(data, names)
    items = [n for n in names if n in survey.items]
    chosen = select(data, items, extra=[n for n in names if n not in survey.items])
    return replace(chosen, frame=chosen.frame[list(names)])


def _check_group_blocks(model: Model, groups: Sequence[str]) -> None:
    """``group:`` blocks name groups that exist, and all groups hold the same variables."""
    for label in model.groups:
        if label not in groups and label not in {str(k + 1) for k in range(len(groups))}:
            raise ModelError(
                f"The syntax has a block 'group: {label}', but the groups are {listed(groups)}."
                f"{suggestion(label, groups)}",
                code="UnknownGroup",
            )
    if not model.groups:
        return
    found = [set(classify(_of_one_group(model, g, groups)).observed) for g in range(len(groups))]
    everywhere, anywhere = set(found[0]), set(found[0])
    for other in found[1:]:
        everywhere, anywhere = everywhere & other, anywhere | other
    if everywhere != anywhere:
        raise ModelError(
            f"The groups' models hold different variables ({listed(sorted(anywhere - everywhere))} not in all of "
            "them); every group needs the same.",
            code="GroupsDiffer",
        )


def _of_one_group(model: Model, g: int, groups: Sequence[str]) -> list[Any]:
    return [t for t in model.terms if t.group in (None, groups[g], str(g + 1))]


# Variables, groups, rows --------------------------------------------------------------------------


def model_variables(model: Model, columns: Iterable[str]) -> list[str]:
    """Observed variables of the model; an unknown one is an error at its place."""
    latent = {t.lhs for t in model.terms if t.op == "=~"}
    known, others = {str(c) for c in columns}, {"", *latent}
    names: dict[str, None] = {}
    for term in model.terms:
        for name in (term.lhs, term.rhs):
            if name in others or (term.op == "|" and name == term.rhs):
                continue
            if name not in known:
                raise ModelError(
                    f"There is no variable '{name}' in the data, and '{name} =~ …' does not define it as a factor "
                    f"(model syntax, line {term.line}, column {term.column}).{suggestion(name, known | latent)} "
                    f"The data have {listed(sorted(known))}.",
                    code="UnknownVariable",
                )
            names.setdefault(name)
    both = sorted(latent & known)
    if both:
        raise ModelError(
            f"{listed(both)} {'is' if len(both) == 1 else 'are'} defined as a factor by '=~' and also a column of the "
            "data; rename the factor.",
            code="NameClash",
        )
    ordered_first = [n for level in model.level_blocks for n in classify(model.at_level(level)).observed]
    return list(dict.fromkeys([*ordered_first, *names]))


def ordered_names(data: Any, raw: pd.DataFrame, names: Sequence[str], call: Call) -> list[str]:
    """The model's ordinal variables by the user's word or the survey's."""
    survey, estimator = getattr(data, "survey", None), (call.estimator or "").lower()
    ordered = call.ordered
    if ordered is None and survey is not None and (call.estimator is None or estimator in ORDINAL_ONLY):
        ordered = True
    if ordered is None or ordered is False:
        return []
    if ordered is True:
        items = set(survey.items) if survey is not None else set(names)
        return [n for n in names if n in items]
    wanted = [ordered] if isinstance(ordered, str) else list(ordered)
    for name in wanted:
        if name not in raw.columns:
            raise ModelError(
                f"'ordered' names '{name}', which is no column of the data.{suggestion(name, raw.columns)}",
                code="UnknownVariable",
            )
    return [n for n in names if n in set(wanted)]


def _refuse_many_categories(frame: pd.DataFrame, ordered: Sequence[str]) -> None:
    """``ordered=True`` means items; a variable with many values is none (name it to insist)."""
    many = [n for n in ordered if frame[n].nunique() > MOST_CATEGORIES]
    if many:
        raise ModelError(
            f"{listed(many)} {'has' if len(many) == 1 else 'have'} more than {MOST_CATEGORIES} different values and "
            "can hardly be ordinal items. Pass ordered=[…] with the ordinal variables; the others are then continuous.",
            code="NotOrdinal",
        )


def chosen_estimator(call: Call, ordered: Sequence[str]) -> str:
    name = (call.estimator or ("wlsmv" if ordered else "ml")).lower()
    one_of(name, ESTIMATORS, "estimator", code="UnknownEstimator")
    if ordered and name not in ORDINAL:
        raise ModelError(
            f"The estimator {name} treats answers as continuous and cannot be used with ordered items "
            f"({listed(ordered, 4)}). Use wlsmv, or drop 'ordered' (ordered=False) to treat the items as continuous.",
            code="EstimatorNeedsContinuous",
        )
    return name


def missing_treatment(call: Call, estimator: str, ordinal: bool, frame: pd.DataFrame) -> str:
    """listwise, fiml or pairwise; an impossible pairing with the estimator is an error."""
    kind = {"ml": "fiml", "direct": "fiml"}.get(call.missing.lower(), call.missing.lower())
    one_of(kind, ("auto", "listwise", "fiml", "pairwise"), "treatment of missing answers", code="UnknownMissing")
    if kind == "fiml" and (ordinal or estimator not in FIML):
        raise ModelError(
            f"missing='fiml' goes with the estimators {listed(FIML)} and continuous items, not with {estimator}"
            f"{' and ordered items; use missing=' + repr('pairwise') if ordinal else ''}.",
            code="EstimatorMissing",
        )
    if kind == "pairwise" and not ordinal:
        raise ModelError(
            "missing='pairwise' goes with ordered items; for continuous items use 'fiml' (all rows) or 'listwise'.",
            code="EstimatorMissing",
        )
    if kind != "auto":
        return kind
    if ordinal:
        return "pairwise" if np.isnan(frame.to_numpy()).any() else "listwise"
    return "fiml" if estimator in FIML and np.isnan(frame.to_numpy()).any() else "listwise"


def table_options(
    model: Model, call: Call, estimator: str, ordered: Sequence[str], groups: Sequence[str], frame: pd.DataFrame
) -> Options:
    kind = ESTIMATORS[estimator]
    equal = checked_group_equal(call.group_equal)
    if equal and len(groups) == 1:
        raise ModelError("group_equal has no effect without a 'group' of at least two values.", code="NoEffect")
    if ordered and {"intercepts", "thresholds"} & set(equal):
        equal = tuple(dict.fromkeys([*equal, "intercepts", "thresholds"]))
    if call.group_partial and not equal:
        raise ModelError("group_partial has no effect without group_equal.", code="NoEffect")
    covariates = [n for level in model.level_blocks for n in classify(model.at_level(level)).exogenous]
    conditional = bool(ordered) and bool(covariates)
    one_of(call.parameterization, ("delta", "theta"), "parameterization")
    mean = bool(call.meanstructure) or len(groups) > 1 or bool(ordered) or bool(call.cluster) or bool(model.levels)
    return Options(
        n_groups=len(groups),
        meanstructure=mean or any(t.op == "~1" for t in model.terms) or bool({"intercepts", "means"} & set(equal)),
        fixed_x=call.fixed_x if call.fixed_x is not None else kind.likelihood or conditional,
        conditional_x=conditional,
        parameterization=call.parameterization,
        std_lv=call.std_lv,
        orthogonal=call.orthogonal,
        group_equal=equal,
        group_partial=tuple([call.group_partial] if isinstance(call.group_partial, str) else call.group_partial),
        levels={n: len(c) for n, c in categories(frame, ordered).items()},
        group_labels=tuple(groups) if len(groups) > 1 else (),
    )


def categories(frame: pd.DataFrame, ordered: Sequence[str]) -> dict[str, np.ndarray]:
    """The categories that occur in each ordered variable, sorted."""
    return dict(zip(ordered, observed_categories(frame[list(ordered)].to_numpy()))) if len(ordered) else {}


def exogenous_of(table: ParameterTable) -> list[str]:
    return list(dict.fromkeys(n for names in table.names.values() for n in names.exogenous))


# The problem --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rows:
    """The answers that take part: which rows belong to which group, with their weights and clusters."""

    frame: pd.DataFrame
    groups: Sequence[str]
    masks: list[np.ndarray]  # bool over the frame's rows, one a group
    weights: np.ndarray | None
    clusters: np.ndarray | None

    @classmethod
    def of(
        cls, frame: pd.DataFrame, keep: np.ndarray, groups: tuple[Sequence[str], np.ndarray], *,
        weights: np.ndarray | None, clusters: np.ndarray | None,
    ) -> Rows:  # fmt: skip
        labels, member = groups
        if weights is not None:
            weights = weights / weights[keep].sum() * keep.sum()
        return cls(frame, labels, [keep & (member == g) for g in range(len(labels))], weights, clusters)

    @property
    def index(self) -> tuple[pd.Index, ...]:
        """The rows' labels, one index a group."""
        return tuple(self.frame.index if mask.all() else self.frame.index[mask] for mask in self.masks)

    def values(self, orders: Sequence[Sequence[str]]) -> list[np.ndarray]:
        """Each group's answers, its variables in the order given."""
        numbers, place = self.frame.to_numpy(), {name: k for k, name in enumerate(self.frame.columns.tolist())}
        columns = [np.array([place[name] for name in order]) for order in orders]
        return [numbers[:, at] if mask.all() else numbers[np.ix_(mask, at)] for mask, at in zip(self.masks, columns)]


def _orders(table: ParameterTable, rows: Rows) -> list[list[str]]:
    """The observed variables of each group's block, in its order."""
    return [list(table.names[g, 1].observed) for g in range(1, len(rows.groups) + 1)]


def _ordinal(
    table: ParameterTable, rows: Rows, settings: dict[str, Any], x_names: Sequence[str]
) -> tuple[Problem, np.ndarray, list[Diagnostic]]:
    ordered = list(settings["ordered"])
    levels = categories(rows.frame[np.logical_or.reduce(rows.masks)], ordered)
    found = [
        ordinal_moments(
            rows.frame.loc[mask, order], ordered, list(x_names), settings["missing"],
            None if rows.weights is None else rows.weights[mask], levels=levels, group=label or None,
            clusters=None if rows.clusters is None else rows.clusters[mask],
        )
        for mask, label, order in zip(rows.masks, rows.groups, _orders(table, rows))
    ]  # fmt: skip
    problem = ordinal_problem(table, found, settings)
    return problem, ordinal_start(problem, found), [d for m in found for d in m.diagnostics]


def _continuous(
    table: ParameterTable, rows: Rows, settings: dict[str, Any]
) -> tuple[Problem, np.ndarray, list[Diagnostic]]:
    orders = _orders(table, rows)
    samples, patterns, h1 = continuous_samples(
        orders, rows.values(orders), rows.masks, rows.groups, rows.weights, rows.clusters
    )
    problem = continuous_problem(table, samples, settings, patterns, h1)
    start = starting_values(problem.table, problem.structure, [s.cov for s in samples], [s.mean for s in samples])
    return problem, start, []


def resolved_settings(
    table: ParameterTable, estimator: str, missing: str, call: Call, ordinal: bool, clustered: bool
) -> dict[str, Any]:
    """Every setting that is in force, defaults spelled out."""
    kind = ESTIMATORS[estimator]
    se, test, information = kind.se, kind.test, kind.information
    if call.weights is not None and not clustered and estimator == "ml":
        se, test, information = "robust.huber.white", "yuan.bentler.mplus", "observed"
    if clustered:
        if kind.likelihood:
            sem = estimator in ("mlm", "mlmv", "mlmvs")
            se, test = ("robust.sem", kind.test) if sem else ("robust.huber.white", "yuan.bentler.mplus")
            information = "expected" if sem else "observed"
        else:
            se, test = "robust.sem", "satorra.bentler" if test == "standard" else test
    if missing == "fiml" or call.missing in ("fiml", "ml", "direct"):
        information = "observed" if information == "expected" else information
    if call.se is not None:
        asked = one_of(call.se.replace("_", "."), ERRORS, "kind of standard errors", code="UnknownErrors")
        se, information = _asked_errors(asked, kind.likelihood, missing, se, information)
    if call.information is not None:
        information = one_of(
            call.information.replace("_", "."),
            ("expected", "observed", "first.order"),
            "information",
            code="UnknownInformation",
        )
    if information == "first.order" and se != "standard":
        raise ModelError(
            "First-order information goes with standard errors of kind 'standard' only; robust ones need expected or "
            "observed information.",
            code="EstimatorInformation",
        )
    if not kind.likelihood and (information == "first.order" or (ordinal and information == "observed")):
        raise ModelError(
            f"information='{information}' is not available for {estimator}{' with ordered items' if ordinal else ''}; "
            "use 'expected'.",
            code="EstimatorInformation",
        )
    return {
        "estimator": estimator, "discrepancy": kind.discrepancy, "missing": missing, "se": se, "test": test,
        "information": information, "fixed_x": table.options.fixed_x, "conditional_x": table.options.conditional_x,
        "meanstructure": table.options.meanstructure, "parameterization": table.options.parameterization,
        "std_lv": table.options.std_lv, "orthogonal": table.options.orthogonal, "group": call.group,
        "group_equal": table.options.group_equal, "group_partial": table.options.group_partial,
        "ordered": tuple(table.options.levels), "cluster": call.cluster, "weights": call.weights,
        "bootstrap": call.bootstrap, "seed": call.seed, "starts": call.starts,
        "convention": one_of(call.convention, ("lavaan", "mplus"), "convention"),
        "covariance_divisor": "n" if kind.likelihood else "n - 1",
    }  # fmt: skip


def _asked_errors(asked: str, likelihood: bool, missing: str, se: str, information: str) -> tuple[str, str]:
    if asked == "bootstrap":
        return se, information
    if asked == "standard":
        return "standard", "expected" if information == "observed" and missing != "fiml" else information
    if asked in ("robust.huber.white", "robust.cluster") or (asked == "robust" and missing == "fiml"):
        if not likelihood:
            raise ModelError(f"se='{asked}' belongs to maximum likelihood; use 'robust.sem'.", code="UnknownErrors")
        return "robust.huber.white", "observed"
    if missing == "fiml":
        raise ModelError("se='robust.sem' needs complete rows; use 'robust.huber.white'.", code="EstimatorMissing")
    return "robust.sem", information


def remarks_on_rows(prepared: Prepared, frame: pd.DataFrame, keep: np.ndarray, missing: str, call: Call) -> list[str]:
    total, used = len(frame), int(keep.sum())
    incomplete = int(np.isnan(frame.to_numpy()[keep]).any(axis=1).sum())
    how = {
        "listwise": "rows with a missing answer left out (listwise)",
        "fiml": "full-information maximum likelihood, incomplete rows kept",
        "pairwise": "each pair of items from all rows that answered both (pairwise)",
    }[missing]
    if used == total and not incomplete:
        return [f"{used} rows, all complete."]
    return [f"{used} of {total} rows used, {incomplete} of them incomplete: {how}."]
