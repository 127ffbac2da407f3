"""Which fixed parameter or equality, once released, would improve the fit most: score tests with expected changes.

The score test of one release needs the gradient and information of a model in which every
tied row stands alone and every candidate row is added (Sörbom, 1989; Saris, Satorra & van
der Veld, 2009); nothing is refitted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cocoanalysis.measurement.fitting import Solution, null_space
from cocoanalysis.measurement.inference import Problem
from cocoanalysis.measurement.parameters import Parameter, ParameterTable
from cocoanalysis.measurement.problems import rebuilt

ADDED, COVARIATE = -1, -2  # rows of the widened table that have no place among the free parameters
SMALLEST = np.finfo(float).eps ** (1 / 3)  # information below which a release changes no moment


@dataclass(frozen=True)
class Release:
    """One score test: the row, what releasing it would gain, and where the estimate would go."""

    row: Parameter
    mi: float
    epc: float
    kind: str  # added | fixed | tied


def candidates(table: ParameterTable) -> list[Parameter]:
    """Parameters that the model holds at a value, or does not mention (lavaan's modindices)."""
    out: list[Parameter] = []
    meanstructure = any(r.op == "~1" for r in table.rows)
    for (group, level), names in table.names.items():
        rows = [r for r in table.rows if (r.group, r.level) == (group, level)]
        known = {_key(r.lhs, r.op, r.rhs) for r in rows}
        out += [r for r in rows if r.free < 0 and not r.exogenous and r.op != "~*~"]
        paths = {n for r in rows if r.op == "~" for n in (r.lhs, r.rhs)}
        for lhs, op, rhs in _possible(names, rows, paths, meanstructure):
            if _key(lhs, op, rhs) not in known:
                out.append(Parameter(lhs, op, rhs, group, level, value=0.0))
    return out


def _key(lhs: str, op: str, rhs: str) -> tuple[str, str, str]:
    first, second = sorted((lhs, rhs)) if op == "~~" else (lhs, rhs)
    return first, op, second


def _possible(names, rows: Sequence[Parameter], paths: set[str], meanstructure: bool) -> Iterable[tuple[str, str, str]]:
    indicators = list(dict.fromkeys(r.rhs for r in rows if r.op == "=~" and r.rhs not in names.latent))
    for factor in names.latent:
        yield from ((factor, "=~", item) for item in names.endogenous if item not in paths)
    for i, a in enumerate(indicators):
        yield from ((a, "~~", b) for b in indicators[i + 1 :] if a not in names.exogenous and b not in names.exogenous)
    for i, a in enumerate(names.latent):
        yield from ((a, "~~", b) for b in names.latent[i + 1 :])
    ordered = [n for n in (*names.latent, *names.observed) if n in paths]
    for y in ordered:
        for x in ordered:
            if x != y and not (y in indicators and x in names.latent):
                yield y, "~", x
    if meanstructure:
        yield from ((n, "~1", "") for n in names.latent)


def releases(problem: Problem, solution: Solution, added: Sequence[Parameter] | None = None) -> list[Release]:
    """Score tests of all candidates and of every tied row.

    The moments of fixed covariates count as estimated: a path that makes an outcome of a covariate has
    to be judged in a model in which the covariate varies (the other tests do not change by it).
    """
    table = problem.table
    added = candidates(table) if added is None else list(added)
    fixed = {id(r) for r in added} & {id(r) for r in table.rows}
    rows, places, origin, start = [], 0, [], []
    values = table.values(solution.theta)
    for i, row in enumerate(table.rows):
        covariate = row.exogenous and row.free < 0 and problem.ordinal is None
        if row.free >= 0 or id(row) in fixed or covariate:
            rows.append(replace(row, free=places, value=np.nan))
            origin.append(COVARIATE if covariate else row.free)
            start.append(values[i])
            places += 1
        else:
            rows.append(row)
    mine = [r for r in added if id(r) not in fixed]
    rows += [replace(r, free=places + k, value=np.nan) for k, r in enumerate(mine)]
    origin += [ADDED] * len(mine)
    start += [0.0] * len(mine)
    wide = rebuilt(problem, replace(table, rows=tuple(rows), n_free=len(origin), constraints=()))
    theta = np.array(start)
    _, gradient = wide.discrepancy.gradient(theta)
    information = wide.discrepancy.expected(theta)
    owner = np.array(origin)
    select = np.zeros((len(owner), table.n_free))
    select[owner >= 0, owner[owner >= 0]] = 1.0
    inner = np.hstack([select @ null_space(solution.active, table.n_free), np.eye(len(owner))[:, owner == COVARIATE]])
    inverse = np.linalg.pinv(inner.T @ information @ inner, rcond=1e-12)
    free_rows = [r for r in rows if r.free >= 0]
    counts = np.bincount(owner[owner >= 0], minlength=table.n_free)
    out = []
    for k, row in enumerate(free_rows):
        if owner[k] == COVARIATE:
            continue
        tied = owner[k] >= 0
        if tied and counts[owner[k]] < 2:
            continue
        cross = information[k] @ inner
        room = information[k, k] - cross @ inverse @ cross
        score = gradient[k] - cross @ inverse @ (inner.T @ gradient)
        if room < SMALLEST:
            continue
        kind = "tied" if tied else "fixed" if _mentioned(row, table) else "added"
        out.append(Release(row, float(problem.total * score**2 / room), float(-score / room), kind))
    return out


def _mentioned(row: Parameter, table: ParameterTable) -> bool:
    """Does the table mention this row?"""
    key = (_key(row.lhs, row.op, row.rhs), row.group, row.level)
    return any((_key(r.lhs, r.op, r.rhs), r.group, r.level) == key for r in table.rows)
