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

from cocoanalysis.errors import Diagnostic, ModelError, ResponseError, listed, one_of, suggestion
from cocoanalysis.measurement.contingency import observed_categories
from cocoanalysis.measurement.estimators import ESTIMATORS, NormalTheory, least_squares, ordinal_discrepancy
from cocoanalysis.measurement.fitting import Constraints
from cocoanalysis.measurement.implied import Structure, structure
from cocoanalysis.measurement.incomplete import FullInformation, Patterns, saturated
from cocoanalysis.measurement.inference import Problem
from cocoanalysis.measurement.moments import ordinal_moments, sampling_weights
from cocoanalysis.measurement.parameters import Options, ParameterTable, build, checked_group_equal, classify
from cocoanalysis.measurement.samples import Sample, check_moments, sample_of
from cocoanalysis.measurement.starts import starting_values
from cocoanalysis.measurement.syntax import Model, parse
from cocoanalysis.responses.selection import as_frame, numeric_frame, select

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
        drawn = source.iloc[drawn_rows(source, self.call, rng)].reset_index(drop=True)
        again = replace(self.call, bootstrap=0, collapse=None, ordered=list(self.settings["ordered"]))
        return prepare(drawn, self.model.text if self.model else "", again).problem


def model_text(data: Any, model: str | None) -> str:
    """Syntax as given, or the survey's own measurement model (of a construct or block)."""
    survey = getattr(data, "survey", None)
    if model is not None and (re.search(r"[~|=\n;]", model) or not model.strip()):
        return model
    if survey is None:
        raise ModelError(
            f"{'No model was given' if model is None else f'{model!r} is no model syntax'}, and the data carry no "
            "survey that could name one. Write it as in 'factor =~ item1 + item2 + item3'.",
            code="NoModel",
        )
    return survey.measurement_model(model)


def prepare(data: Any, model: str | None, call: Call) -> Prepared:
    """Read the model, choose the rows and the estimator, and lay out the problem."""
    parsed = parse(model_text(data, model))
    if parsed.levels:
        from cocoanalysis.measurement.multilevel import prepare_two_level  # it imports this module

        return prepare_two_level(data, parsed, call)
    raw = data.frame if getattr(data, "survey", None) is not None else as_frame(data)
    names = model_variables(parsed, raw.columns)
    covariates = {n for level in parsed.level_blocks for n in classify(parsed.at_level(level)).exogenous}
    ordered = [n for n in ordered_names(data, raw, names, call) if n not in covariates]
    estimator = chosen_estimator(call, ordered)
    groups, member = group_members(raw, call.group)
    selection = _selected(data, names)
    frame, recode = collapsed(selection.frame, ordered, call.collapse)
    options = table_options(parsed, call, estimator, ordered, groups, frame)
    missing = missing_treatment(call, estimator, bool(ordered), frame)
    options = replace(options, meanstructure=options.meanstructure or missing == "fiml" or call.missing == "fiml")
    weights, clusters = row_weights(raw, call.weights), cluster_codes(raw, call.cluster)
    _check_group_blocks(parsed, groups)
    table = build(parsed, options)
    x_names = exogenous_of(table)
    keep = usable_rows(frame, member, missing, x_names, weights, call)
    prepared = _assemble(
        table, frame, keep, member, groups, missing, estimator, call, ordered, weights, clusters, x_names
    )
    prepared.model, prepared.call = parsed, call
    prepared.raw = raw
    prepared.survey, prepared.ledger, prepared.provenance = selection.survey, selection.ledger, selection.provenance
    prepared.settings |= {"collapse": recode} if recode else {}
    prepared.remarks += _remarks(prepared, frame, keep, missing, call)
    return prepared


def drawn_rows(source: pd.DataFrame, call: Call, rng: np.random.Generator) -> np.ndarray:
    """Positions drawn with replacement: rows within groups, or whole clusters when there are clusters."""
    positions = np.arange(len(source))
    if call.cluster is not None:
        codes = pd.factorize(source[call.cluster].astype(str))[0]
        drawn = rng.integers(0, codes.max() + 1, codes.max() + 1)
        return np.concatenate([positions[codes == c] for c in drawn])
    if call.group is None:
        return rng.integers(0, len(source), len(source))
    codes = pd.factorize(source[call.group].astype(str))[0]
    parts = [positions[codes == g] for g in range(codes.max() + 1)]
    return np.concatenate([part[rng.integers(0, len(part), len(part))] for part in parts])


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
    known = {str(c) for c in columns}
    names: dict[str, None] = {}
    for term in model.terms:
        for name in (term.lhs, term.rhs):
            if name in ("", *latent) or (term.op == "|" and name == term.rhs):
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


def group_members(raw: pd.DataFrame, group: str | None) -> tuple[tuple[str, ...], np.ndarray]:
    """Group labels in the order of their first row, and the group number of each row."""
    if group is None:
        return ("",), np.zeros(len(raw), dtype=int)
    column = _column(raw, group, "group")
    if column.isna().any():
        raise ResponseError(
            f"The grouping variable '{group}' is missing in {int(column.isna().sum())} rows; give these rows a group "
            "or leave them out first.",
            code="MissingGroup",
        )
    labels = column.astype(str)
    order = list(dict.fromkeys(labels))
    if len(order) < 2:
        raise ModelError(f"The grouping variable '{group}' has only one value ({order}).", code="OneGroup")
    small = [g for g in order if int((labels == g).sum()) < 2]
    if small:
        raise ResponseError(
            f"Group {listed(small)} of '{group}' has a single row; a group needs more rows than the model has "
            "variables. Merge or leave out the group.",
            code="GroupTooSmall",
        )
    return tuple(order), labels.map({g: i for i, g in enumerate(order)}).to_numpy(dtype=int)


def _column(raw: pd.DataFrame, name: str, what: str) -> pd.Series:
    if name not in raw.columns:
        raise ModelError(
            f"The {what} column '{name}' is not in the data.{suggestion(name, raw.columns)}", code="UnknownVariable"
        )
    return raw[name]


def row_weights(raw: pd.DataFrame, name: str | None) -> np.ndarray | None:
    if name is None:
        return None
    _column(raw, name, "weights")
    weights = sampling_weights(numeric_frame(raw, [name])[name])
    if np.any(weights == 0):
        raise ResponseError(
            f"{int(np.sum(weights == 0))} weights in '{name}' are zero; leave those rows out, so that the number of "
            "rows is true.",
            code="BadWeights",
        )
    return weights


def cluster_codes(raw: pd.DataFrame, name: str | None) -> np.ndarray | None:
    if name is None:
        return None
    column = _column(raw, name, "cluster")
    if column.isna().any():
        raise ResponseError(
            f"The cluster '{name}' is missing in {int(column.isna().sum())} rows; give them a cluster or leave them "
            "out first.",
            code="MissingCluster",
        )
    return pd.factorize(column.astype(str))[0]


def collapsed(frame: pd.DataFrame, ordered: Sequence[str], recipe: Any) -> tuple[pd.DataFrame, dict]:
    """Merge answer categories by a recipe (item → {old: new}), over all groups alike, and record it."""
    if not recipe:
        return frame, {}
    if not isinstance(recipe, Mapping):
        raise ModelError(
            "collapse needs a recipe, item → {old category: new category}, as in {'item1': {5: 4}}.", code="BadCollapse"
        )
    frame, done = frame.copy(), {}
    for name, moves in recipe.items():
        if name not in ordered:
            raise ModelError(
                f"collapse names '{name}', which is no ordered variable of the model.{suggestion(name, ordered)}",
                code="NoEffect",
            )
        counts = {old: int((frame[name] == old).sum()) for old in moves}
        frame[name] = frame[name].replace({float(a): float(b) for a, b in moves.items()})
        done[name] = {str(old): {"to": new, "rows": counts[old]} for old, new in moves.items()}
    return frame, done


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
        return "pairwise" if frame.isna().to_numpy().any() else "listwise"
    return "fiml" if estimator in FIML and frame.isna().to_numpy().any() else "listwise"


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
        parameterization=_parameterization(model, call, ordered),
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


def _parameterization(model: Model, call: Call, ordered: Sequence[str]) -> str:
    """Delta cannot hold an ordered variable that explains another; theta can (as in Mplus and lavaan)."""
    explained = {t.lhs for t in model.terms if t.op == "~"} | {t.rhs for t in model.terms if t.op == "=~"}
    explaining = {t.rhs for t in model.terms if t.op == "~"}
    return "theta" if set(ordered) & explained & explaining else call.parameterization


def exogenous_of(table: ParameterTable) -> list[str]:
    return list(dict.fromkeys(n for names in table.names.values() for n in names.exogenous))


def usable_rows(
    frame: pd.DataFrame, member: np.ndarray, missing: str, x: Sequence[str], weights: Any, call: Call
) -> np.ndarray:
    """Which rows take part (bool)."""
    seen = ~frame.isna().to_numpy()
    if not len(frame):
        raise ResponseError("The data have no rows.", code="NoRows")
    empty = [name for name, column in zip(frame.columns, seen.T) if not column.any()]
    if empty:
        raise ResponseError(
            f"{listed(empty)} {'has' if len(empty) == 1 else 'have'} no answers at all; leave it out of the model or "
            "check how the column was read.",
            code="AllMissing",
        )
    keep = np.asarray(seen.all(axis=1) if missing == "listwise" else seen.any(axis=1), dtype=bool)
    return keep & np.asarray(frame[list(x)].notna().all(axis=1)) if x else keep


# The problem --------------------------------------------------------------------------------------


def _assemble(
    table: ParameterTable,
    frame: pd.DataFrame,
    keep: np.ndarray,
    member: np.ndarray,
    groups: Sequence[str],
    missing: str,
    estimator: str,
    call: Call,
    ordered: Sequence[str],
    weights: np.ndarray | None,
    clusters: np.ndarray | None,
    x_names: Sequence[str],
) -> Prepared:
    masks = [keep & (member == g) for g in range(len(groups))]
    values = frame.to_numpy()
    if weights is not None:
        weights = weights / weights[keep].sum() * keep.sum()
    settings = resolved_settings(table, estimator, missing, call, bool(ordered), clusters is not None)
    _refuse_small(table, masks, groups, frame.shape[1], settings)
    diagnostics = sample_warnings(masks, weights, clusters, call)
    rows = tuple(frame.index[mask] for mask in masks)
    if ordered:
        orders = [list(table.names[g, 1].observed) for g in range(1, len(groups) + 1)]
        levels = categories(frame[keep], ordered)
        found = [
            ordinal_moments(
                frame.loc[mask, order], ordered, list(x_names), missing,
                None if weights is None else weights[mask], levels=levels, group=label or None,
                clusters=None if clusters is None else clusters[mask],
            )
            for mask, label, order in zip(masks, groups, orders)
        ]  # fmt: skip
        problem = ordinal_problem(table, found, settings)
        diagnostics += [d for m in found for d in m.diagnostics]
        start = ordinal_start(problem, found)
        return Prepared(problem, start, None, settings, tuple(groups), frame, diagnostics=diagnostics, rows=rows)
    orders = [list(table.names[g, 1].observed) for g in range(1, len(groups) + 1)]
    place = {name: k for k, name in enumerate(frame.columns)}
    columns = [[place[n] for n in order] for order in orders]
    data = [values[np.ix_(mask, at)] for mask, at in zip(masks, columns)]
    samples, patterns, h1 = _continuous_samples(orders, data, masks, groups, weights, clusters)
    problem = continuous_problem(table, samples, settings, patterns, h1)
    start = starting_values(problem.table, problem.structure, [s.cov for s in samples], [s.mean for s in samples])
    return Prepared(problem, start, None, settings, tuple(groups), frame, diagnostics=diagnostics, rows=rows)


def _continuous_samples(orders, data, masks, groups, weights, clusters):
    """Samples of all groups; with missing cells also their patterns and the saturated estimates."""
    parts = []
    for values, mask in zip(data, masks):
        w = None if weights is None else weights[mask]
        c = None if clusters is None else pd.factorize(clusters[mask])[0]
        parts.append((values, w, c))
    if not any(np.isnan(values).any() for values in data):
        samples = [sample_of(names, *part) for names, part in zip(orders, parts)]
        _check_all(samples, groups)
        return samples, None, None
    patterns = [Patterns.of(values, w) for values, w, _ in parts]
    h1 = [saturated(p) for p in patterns]
    samples = [
        Sample(tuple(names), p.n, best[0], best[1], values, w, c)
        for names, p, best, (values, w, c) in zip(orders, patterns, h1, parts)
    ]
    _check_all(samples, groups)
    return samples, patterns, h1


def _check_all(samples: Sequence[Sample], groups: Sequence[str]) -> None:
    for sample, label in zip(samples, groups):
        check_moments(sample, label)


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


def _refuse_small(
    table: ParameterTable, masks: Sequence[np.ndarray], groups: Sequence[str], p: int, settings: dict
) -> None:
    """Fewer rows than variables carry no covariance matrix (case 48)."""
    for mask, label in zip(masks, groups):
        n = int(mask.sum())
        if n <= p:
            where = f" in group '{label}'" if label else ""
            raise ModelError(
                f"There are {n} usable rows{where} for {p} variables; the covariance matrix needs more rows than "
                f"variables. Rows were chosen by missing='{settings['missing']}'.",
                code="TooFewRows",
            )
    total = int(sum(mask.sum() for mask in masks))
    if total < table.n_free:
        raise ModelError(
            f"There are {total} usable rows for {table.n_free} free parameters; the model asks more than the data can "
            "answer. Use fewer parameters or more rows.",
            code="TooFewRows",
        )


def sample_warnings(
    masks: Sequence[np.ndarray], weights: np.ndarray | None, clusters: np.ndarray | None, call: Call
) -> list[Diagnostic]:
    """What a reader must know of weights and clusters (cases 55 and 56)."""
    found = []
    keep = np.logical_or.reduce(list(masks))
    if weights is not None and np.ptp(weights[keep]) < 1e-12:
        found.append(
            Diagnostic("EqualWeights", f"All weights in '{call.weights}' are equal; they change nothing.", "warning")
        )
    if clusters is not None:
        sizes = np.bincount(pd.factorize(clusters[keep])[0])
        if len(sizes) < 2:
            raise ModelError(f"'{call.cluster}' has one cluster only; robust errors need many.", code="OneCluster")
        if len(sizes) < 40:
            found.append(Diagnostic(
                "FewClusters",
                f"{len(sizes)} clusters in '{call.cluster}': with fewer than 40, cluster-robust errors are too small "
                "and tests too eager, in spite of the factor C/(C − 1) that is applied.", "warning"))  # fmt: skip
        if np.any(sizes == 1):
            found.append(
                Diagnostic(
                    "SingletonClusters",
                    f"{int(np.sum(sizes == 1))} clusters in '{call.cluster}' have one member.",
                    "warning",
                )
            )
    return found


def with_sample_moments(table: ParameterTable, moments: Sequence[tuple[Sequence[str], np.ndarray, np.ndarray]]):
    """Rows of fixed covariates filled with their sample moments, group by group."""
    rows = []
    for row in table.rows:
        if row.exogenous and row.free < 0:
            names, mean, cov = moments[row.group - 1]
            at = {n: i for i, n in enumerate(names)}
            value = mean[at[row.lhs]] if row.op == "~1" else cov[at[row.lhs], at[row.rhs]]
            row = replace(row, value=float(value))
        rows.append(row)
    return replace(table, rows=tuple(rows))


def continuous_problem(
    table: ParameterTable, samples: list[Sample], settings: Mapping[str, Any], patterns=None, h1=None
) -> Problem:
    """Normal theory, full information or least squares on continuous samples."""
    estimator = ESTIMATORS[settings["estimator"]]
    mean = table.options.meanstructure
    given = [(s.names, s.mean, s.cov if estimator.likelihood else s.unbiased) for s in samples]
    table = with_sample_moments(table, given)
    layout = structure(table)
    x = fixed_positions(table, layout)
    if patterns is not None:
        discrepancy: Any = FullInformation(layout, samples, patterns, h1)
    elif estimator.likelihood:
        discrepancy = NormalTheory(layout, samples, mean)
    else:
        first = x[0] if x else ()
        mplus = settings["convention"] == "mplus"
        discrepancy = least_squares(layout, samples, estimator.discrepancy, mean, first, mplus=mplus)
    return Problem(
        table, layout, discrepancy, samples, estimator, settings["information"], settings["se"], settings["test"], mean,
        x, Constraints(table), None, patterns, settings.get("cluster") is not None, settings["convention"],
        settings["estimator"] == "ml" and settings.get("cluster") is not None,
    )  # fmt: skip


def ordinal_problem(table: ParameterTable, found: list[Any], settings: Mapping[str, Any]) -> Problem:
    """Least squares on ordinal or mixed moments."""
    estimator = ESTIMATORS[settings["estimator"]]
    table = with_sample_moments(table, [(m.exogenous, m.mean_x, m.cov_x * (m.n / (m.n - 1))) for m in found])
    layout = structure(table, [n for n, o in zip(found[0].names, found[0].ordered) if o])
    less = int(settings["convention"] == "lavaan")
    discrepancy = ordinal_discrepancy(layout, found, estimator.discrepancy, less)
    return Problem(
        table, layout, discrepancy, [], estimator, settings["information"], settings["se"], settings["test"], True,
        [() for _ in found], Constraints(table), found, None, settings.get("cluster") is not None,
        settings["convention"],
    )  # fmt: skip


def rebuilt(problem: Problem, table: ParameterTable) -> Problem:
    """The same data and choices under another table (wider or narrower); its moments are not estimated again."""
    if problem.ordinal is not None:
        ordered = [n for n, o in zip(problem.ordinal[0].names, problem.ordinal[0].ordered) if o]
        layout = structure(table, ordered)
        less = problem.discrepancy.less
        discrepancy: Any = ordinal_discrepancy(layout, problem.ordinal, problem.estimator.discrepancy, less)
    else:
        layout = structure(table)
        if problem.patterns is not None:
            h1 = [(*point, best) for point, best in zip(problem.discrepancy.h1, problem.discrepancy.saturated_loglik)]
            discrepancy = FullInformation(layout, problem.samples, problem.patterns, h1)
        elif problem.estimator.likelihood:
            discrepancy = NormalTheory(layout, problem.samples, problem.meanstructure)
        else:
            old = problem.discrepancy
            discrepancy = type(old)(layout, old.moments, old.weight, problem.n, problem.meanstructure, less=old.less)
    return replace(
        problem, table=table, structure=layout, discrepancy=discrepancy, constraints=Constraints(table), cache={}
    )


def ordinal_start(problem: Problem, found: Sequence[Any]) -> np.ndarray:
    thresholds = []
    for m in found:
        seen: dict[int, int] = {}
        own = {}
        for index, value in zip(m.threshold_index, m.thresholds):
            seen[index] = seen.get(index, 0) + 1
            own[m.names[index], seen[index]] = float(value)
        thresholds.append(own)
    return starting_values(
        problem.table, problem.structure, [m.cov for m in found], [m.mean for m in found], thresholds
    )


def fixed_positions(table: ParameterTable, layout: Structure) -> list[tuple[int, ...]]:
    """Where the fixed covariates stand among each block's observed variables."""
    out = []
    for block, key in zip(layout.blocks, layout.keys):
        fixed = table.names[key].exogenous if table.options.fixed_x else ()
        out.append(tuple(i for i, n in enumerate(block.observed) if n in fixed))
    return out


def _remarks(prepared: Prepared, frame: pd.DataFrame, keep: np.ndarray, missing: str, call: Call) -> list[str]:
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
