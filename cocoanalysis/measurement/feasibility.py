"""Can the constraints of a model hold together at all? Linear ones are settled before anything is fitted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import optimize

from cocoanalysis.errors import listed
from cocoanalysis.measurement.fitting import Constraints
from cocoanalysis.measurement.parameters import ParameterTable
from cocoanalysis.measurement.syntax import Constraint, fault


def refuse_contradiction(table: ParameterTable) -> None:
    """Raise when the linear equalities and inequalities contradict each other, naming those that do.

    Raises
    ------
    ModelError : ContradictingConstraints, at the place of the last of them
    """
    constraints = [*table.equalities, *table.inequalities]
    if not constraints:
        return
    linear = [(c, plane) for c, plane in zip(constraints, _planes(table)) if plane is not None]
    clash = _clash([c for c, _ in linear], [plane for _, plane in linear])
    if clash:
        last = clash[-1]
        told = listed([f"'{c.lhs} {c.op} {c.rhs}'" for c in clash])
        raise fault(
            f"No values of the parameters fulfil {told}{' together' if len(clash) > 1 else ''}; drop or change "
            f"{'one of them' if len(clash) > 1 else 'it'}",
            last.line,
            last.column,
            "ContradictingConstraints",
        )


def _planes(table: ParameterTable) -> list[tuple[np.ndarray, float, bool] | None]:
    """Slope, level and kind (equality?) of slope · θ ≥ level of each constraint; None where it is not linear."""
    found = Constraints(table)
    here, there = np.full(table.n_free, 0.5), np.linspace(0.7, 1.9, table.n_free)
    with np.errstate(all="ignore"):
        h, hj, g, gj = found.evaluate(here)
        h2, hj2, g2, gj2 = found.evaluate(there)
    values, slopes = np.concatenate([h, g]), np.vstack([hj, gj])
    others = np.concatenate([h2, g2])
    straight = np.isclose(others - values, slopes @ (there - here), rtol=1e-9, atol=1e-9)
    straight &= np.isclose(slopes, np.vstack([hj2, gj2]), rtol=1e-9, atol=1e-12).all(axis=1)
    return [
        (slope, float(slope @ here - value), k < len(h)) if line else None
        for k, (slope, value, line) in enumerate(zip(slopes, values, straight))
    ]


def _clash(constraints: Sequence[Constraint], planes: Sequence[tuple[np.ndarray, float, bool]]) -> list[Constraint]:
    """The constraints that contradict each other, none of them needless; empty when all can hold."""
    chosen = list(range(len(planes)))
    if not planes or _feasible([planes[k] for k in chosen]):
        return []
    for k in list(chosen):
        fewer = [other for other in chosen if other != k]
        if fewer and not _feasible([planes[other] for other in fewer]):
            chosen = fewer
    return [constraints[k] for k in chosen]


def _feasible(planes: Sequence[tuple[np.ndarray, float, bool]]) -> bool:
    size = len(planes[0][0])
    ties = [(slope, level) for slope, level, equal in planes if equal]
    bounds = [(-slope, -level) for slope, level, equal in planes if not equal]
    options: dict[str, np.ndarray] = {}
    if ties:
        options |= {"A_eq": np.array([s for s, _ in ties]), "b_eq": np.array([v for _, v in ties])}
    if bounds:
        options |= {"A_ub": np.array([s for s, _ in bounds]), "b_ub": np.array([v for _, v in bounds])}
    found = optimize.linprog(np.zeros(size), bounds=(None, None), **options)
    return found.status != 2  # 2 is the solver's word for infeasible
