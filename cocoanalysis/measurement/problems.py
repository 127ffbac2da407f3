"""Problems from samples: the discrepancy that an estimator minimises, laid out over a parameter table.

`rebuilt` puts another table on the same data, so that a wider or narrower model needs no
new moments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from cocoanalysis.measurement.estimators import ESTIMATORS, NormalTheory, least_squares, ordinal_discrepancy
from cocoanalysis.measurement.fitting import Constraints
from cocoanalysis.measurement.implied import Structure, structure
from cocoanalysis.measurement.incomplete import FullInformation, Patterns, saturated
from cocoanalysis.measurement.inference import Problem
from cocoanalysis.measurement.multilevel import TwoLevelProblem
from cocoanalysis.measurement.parameters import ParameterTable
from cocoanalysis.measurement.samples import Sample, check_moments, sample_of
from cocoanalysis.measurement.starts import starting_values


def continuous_samples(orders, data, masks, groups, weights, clusters):
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
    if isinstance(problem, TwoLevelProblem):
        return problem.with_table(table)
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
