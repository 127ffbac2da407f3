"""From data, model and arguments to all that a fit needs, for models of one level and of two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from cocoanalysis.errors import Diagnostic, ModelError
from cocoanalysis.measurement.multilevel import TwoLevelProblem, two_level_problem, two_level_start
from cocoanalysis.measurement.parameters import ParameterTable, build
from cocoanalysis.measurement.rows import cluster_codes, group_members, usable_rows
from cocoanalysis.measurement.specification import (
    Call,
    Prepared,
    exogenous_of,
    model_text,
    model_variables,
    prepare_one_level,
    remarks_on_rows,
    resolved_settings,
    table_options,
)
from cocoanalysis.measurement.syntax import Model, parse
from cocoanalysis.measurement.twolevel import Clustered, clustered
from cocoanalysis.responses.selection import as_frame, select


def prepare(data: Any, model: str | None, call: Call) -> Prepared:
    """Read the model, choose the rows and the estimator, and lay out the problem."""
    parsed = parse(model_text(data, model))
    if isinstance(data, pd.DataFrame) and not data.index.is_unique:  # as after concat; labels must name one row
        data = data.reset_index(drop=True)
    return _two_levels(data, parsed, call) if parsed.levels else prepare_one_level(data, parsed, call)


def _two_levels(data: Any, parsed: Model, call: Call) -> Prepared:
    """Rows, sufficient statistics and start of a model with ``level:`` blocks."""
    _refuse(parsed, call)
    raw = data.frame if getattr(data, "survey", None) is not None else as_frame(data)
    groups, member = group_members(raw, call.group)
    selection = select(data, model_variables(parsed, raw.columns))
    frame, clusters = selection.frame, cluster_codes(raw, call.cluster)
    table = build(parsed, table_options(parsed, call, "ml", [], groups, frame))
    keep = usable_rows(frame, "listwise", exogenous_of(table))
    masks = [keep & (member == g) for g in range(len(groups))]
    samples = [_sample(table, g + 1, frame[mask], _members(clusters, mask), groups[g]) for g, mask in enumerate(masks)]
    settings = resolved_settings(table, (call.estimator or "ml").lower(), "listwise", call, False, False)
    settings |= {"information": "observed", "levels": tuple(parsed.levels)}
    problem = two_level_problem(table, samples, settings)
    start = two_level_start(problem.table, problem.structure, samples, problem.h1)
    prepared = Prepared(
        problem, start, parsed, settings, tuple(groups), frame, rows=tuple(frame.index[mask] for mask in masks)
    )
    prepared.survey, prepared.ledger, prepared.provenance = selection.survey, selection.ledger, selection.provenance
    prepared.model, prepared.call, prepared.raw = parsed, call, raw
    prepared.remarks += [*remarks_on_rows(prepared, frame, keep, "listwise", call), _cluster_remark(samples)]
    prepared.diagnostics += _search_notes(problem)
    return prepared


def _members(clusters: np.ndarray | None, mask: np.ndarray) -> np.ndarray:
    return np.zeros(int(mask.sum()), dtype=int) if clusters is None else clusters[mask]


def _refuse(parsed: Model, call: Call) -> None:
    if len(parsed.levels) != 2:
        raise ModelError(
            f"A model with levels has two blocks, 'level: 1' (within) and 'level: 2' (between); this one has "
            f"{len(parsed.levels)}.",
            code="TwoLevelsOnly",
        )
    if call.cluster is None:
        raise ModelError(
            "A two-level model needs cluster=…, the column that says who belongs together.", code="NoCluster"
        )
    estimator = (call.estimator or "ml").lower()
    if estimator not in ("ml", "mlr") or call.ordered:
        raise ModelError(
            "Two-level models are fitted by maximum likelihood to continuous variables: use estimator='ml' or 'mlr' "
            "and no 'ordered'.",
            code="EstimatorTwoLevel",
        )
    if call.missing.lower() not in ("auto", "listwise"):
        raise ModelError("Two-level models use complete rows: missing='listwise'.", code="EstimatorMissing")
    asked = {"weights": call.weights, "bootstrap": call.bootstrap, "collapse": call.collapse}
    if any(asked.values()):
        raise ModelError(
            f"{', '.join(k for k, v in asked.items() if v)} cannot be used with a two-level model.", code="NoEffect"
        )
    errors = (None, "standard") if estimator == "ml" else (None,)
    kinds = (None, "observed", "expected") if estimator == "ml" else (None, "observed")
    if call.se not in errors or call.information not in kinds:
        raise ModelError(
            "A two-level model has se='standard', by observed or expected information; estimator='mlr' gives errors "
            "that are robust over clusters, by observed information, and takes no se.",
            code="UnknownErrors",
        )


def _sample(table: ParameterTable, group: int, frame: pd.DataFrame, clusters: np.ndarray, label: str) -> Clustered:
    within = table.names[group, 1].observed
    between = [n for n in table.names[group, 2].observed if n not in within]
    return clustered(frame, clusters, within, between, label or None)


def _cluster_remark(samples: Sequence[Clustered]) -> str:
    clusters = sum(s.clusters for s in samples)
    sizes = np.concatenate([s.sizes for s in samples])
    return f"{clusters} clusters of {sizes.min()} to {sizes.max()} rows."


def _search_notes(problem: TwoLevelProblem) -> list[Diagnostic]:
    """Few clusters, and what lavaan's early stop of the unrestricted search leaves out of χ²."""
    found = []
    clusters = sum(s.clusters for s in problem.discrepancy.samples)
    if clusters < 40:
        reason = f"{clusters} clusters: errors and tests of the between level need more (40 is a common lower bound)."
        found.append(Diagnostic("FewClusters", reason, "warning"))
    remaining = 2 * sum(u.remaining for u in problem.h1)
    if remaining > 0.01:
        reason = (
            f"the unrestricted model stops as early as lavaan's; a longer search would add about {remaining:.2g} to χ²."
        )
        found.append(Diagnostic("UnrestrictedStop", reason, "note"))
    return found
