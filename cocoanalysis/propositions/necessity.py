"""Is a high outcome ever seen without much of a condition? Necessary condition analysis (Dul, 2016).

The empty upper-left corner of the scatter, above a ceiling over the data: CE-FDH is the step
function of the highest outcome seen at or below each value of the condition, CR-FDH the straight
line through the step function's corners. The effect size d is the corner's share of the scope;
its p value comes from permuting the outcome (Dul, van der Laan & Kuik, 2020), inside clusters where there are
clusters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from cocoanalysis.errors import Diagnostic, ModelError, listed
from cocoanalysis.propositions.estimands import Answers, Estimated, Row, answers_to, estimand
from cocoanalysis.propositions.evidence import Permuted
from cocoanalysis.propositions.plan import Hypothesis, Plan
from cocoanalysis.result import Result

CEILINGS = ("ce_fdh", "cr_fdh")
PLAN_PERMUTATIONS = 999  # of a plan's exploratory rows
BATCH = 4_000_000  # numbers held at once while permuting


class Corners(NamedTuple):
    """Sorted condition, and for each row of outcomes the running ceiling in that order."""

    x: np.ndarray
    ceiling: np.ndarray


def _running(x: np.ndarray, outcomes: np.ndarray) -> Corners:
    order = np.argsort(x, kind="stable")
    return Corners(x[order], np.maximum.accumulate(outcomes[:, order], axis=1))


def ce_fdh(x: np.ndarray, outcomes: np.ndarray) -> np.ndarray:
    """d of the step ceiling for each row of ``outcomes`` (draws, n) against ``x`` (n,)."""
    sorted_x, ceiling = _running(x, outcomes)
    top = outcomes.max(axis=1)
    area = (top[:, None] - ceiling[:, :-1]) @ np.diff(sorted_x)
    return area / (np.ptp(x) * np.ptp(outcomes, axis=1))


def cr_fdh(x: np.ndarray, outcomes: np.ndarray) -> np.ndarray:
    """d of the line through the corners, for each row of outcomes; 0 where there is one corner (as in R's NCA)."""
    line = _line(x, outcomes)
    low, high = outcomes.min(axis=1), outcomes.max(axis=1)
    return _above(line, (x.min(), x.max()), low, high) / (np.ptp(x) * (high - low))


def _line(x: np.ndarray, outcomes: np.ndarray) -> np.ndarray:
    """Intercept and slope (draws, 2) of the least-squares line through the corners; NaN with fewer than two."""
    order = np.argsort(x, kind="stable")
    sorted_x, values = x[order], outcomes[:, order]
    # the ceiling at a value of x counts all rows with that value
    last = np.searchsorted(sorted_x, sorted_x, side="right") - 1
    first = np.searchsorted(sorted_x, sorted_x, side="left")
    ceiling = np.maximum.accumulate(values, axis=1)
    before = np.where(first > 0, ceiling[:, np.maximum(first - 1, 0)], -np.inf)
    weight = ((values == ceiling[:, last]) & (values > before)).astype(float)
    total = weight.sum(axis=1)
    mean_x = weight @ sorted_x / total
    mean_y = (weight * values).sum(axis=1) / total
    spread = weight @ sorted_x**2 / total - mean_x**2
    joint = (weight * values) @ sorted_x / total - mean_x * mean_y
    several = spread > 1e-12 * max(float(np.ptp(x)) ** 2, 1e-300)
    slope = np.divide(joint, spread, out=np.full(total.shape, np.nan), where=several)
    return np.column_stack([mean_y - slope * mean_x, slope])


def _above(line: np.ndarray, span: tuple[float, float], low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Area above the line inside the scope; corners rise, so a fitted slope is positive."""
    intercept, slope = line[:, 0], np.where(np.isnan(line[:, 1]), 1.0, line[:, 1])
    full = np.clip((low - intercept) / slope, *span)
    none = np.clip((high - intercept) / slope, *span)
    triangle = (high - intercept) * (none - full) - slope * (none**2 - full**2) / 2
    area = (high - low) * (full - span[0]) + triangle
    return np.where(np.isnan(line[:, 1]), 0.0, area)


SIZES = {"ce_fdh": ce_fdh, "cr_fdh": cr_fdh}


def permuted(
    x: np.ndarray, y: np.ndarray, codes: np.ndarray | None, draws: int, random: np.random.Generator, ceiling: str
) -> float:
    """Share of permutations whose d reaches the observed one, the observed one included."""
    observed = SIZES[ceiling](x, y[None])[0]
    reached, step = 1, max(1, BATCH // len(y))
    for start in range(0, draws, step):
        size = min(step, draws - start)
        shuffled = y[_shuffles(codes, len(y), size, random)]
        reached += int((SIZES[ceiling](x, shuffled) >= observed - 1e-12).sum())
    return reached / (draws + 1)


def _shuffles(codes: np.ndarray | None, n: int, draws: int, random: np.random.Generator) -> np.ndarray:
    """Permutations of 0…n − 1 (draws, n), inside clusters where there are codes."""
    keys = random.random((draws, n))
    if codes is None:
        return np.argsort(keys, axis=1)
    order = np.argsort(codes, kind="stable")
    drawn = np.argsort(codes + keys, axis=1)
    shuffled = np.empty_like(drawn)
    shuffled[:, order] = drawn
    return shuffled


# --- the result -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class Necessity(Result):
    """Conditions and their ceilings: `tidy()` one row a condition and ceiling, `bottleneck()` what an outcome asks."""

    table: pd.DataFrame
    values: Mapping[str, tuple[np.ndarray, np.ndarray]]
    outcome: str
    numbers: Mapping[str, Any]
    diagnostics: tuple[Diagnostic, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    provenance: str = "yours"
    survey: Any = None
    title: str = "Necessary conditions"

    def tidy(self) -> pd.DataFrame:
        """Columns predictor, ceiling, d, p_value, accuracy (share of rows at or below the ceiling), n."""
        return self.table.copy()

    def glance(self) -> pd.DataFrame:
        return pd.DataFrame([{"outcome": self.outcome, **self.numbers, **self.settings}])

    def bottleneck(self, percents: Sequence[float] = tuple(range(0, 101, 10))) -> pd.DataFrame:
        """For each outcome level (percent of its range) the condition that the CE-FDH ceiling asks, in percent of its
        range; missing where no level of the condition is asked."""
        columns = {name: _asked(x, y, percents) for name, (x, y) in self.values.items()}
        return pd.DataFrame({"outcome": list(percents), **columns})

    def notes(self) -> list[str]:
        words = (
            "Exploratory. The empty corner depends on the extreme rows; d below 0.1 is called small by Dul (2016), a "
            "convention."
        )
        return [*super().notes(), words, *(str(diagnostic) for diagnostic in self.diagnostics)]


def _asked(x: np.ndarray, y: np.ndarray, percents: Sequence[float]) -> list[float]:
    sorted_x, ceiling = _running(x, y[None])
    levels = y.min() + np.ptp(y) * np.asarray(percents, float) / 100
    places = np.searchsorted(ceiling[0], levels - 1e-12 * np.ptp(y), side="left")
    needed = 100 * (sorted_x[np.minimum(places, len(x) - 1)] - x.min()) / np.ptp(x)
    return [float(value) if place > 0 and value > 0 else np.nan for place, value in zip(places, needed)]


def necessity(
    data: Any,
    *,
    outcome: str,
    predictors: str | Sequence[str],
    cluster: str | bool | None = None,
    draws: int = 4999,
    seed: int = 0,
) -> Necessity:
    """Ask for each condition whether a high outcome is ever seen without it.

    Parameters
    ----------
    data : Responses or DataFrame
    outcome, predictors : scores or columns
    cluster : column of the clusters, inside which outcomes are permuted; None takes the survey's; False none
    draws, seed : of the permutation test

    Raises
    ------
    ModelError : UnknownVariable, NoCompleteRows, ConstantVariable

    Examples
    --------
    >>> table = pd.DataFrame({"effort": [0.0, 1, 2, 3, 4], "result": [0.0, 1, 1, 3, 4]})
    >>> necessity(table, outcome="result", predictors="effort", draws=99).tidy()["d"].round(2).tolist()
    [0.69, 0.5]
    """
    names = [predictors] if isinstance(predictors, str) else list(predictors)
    answers = answers_to(data, [outcome, *names], cluster)
    rows, values, n = [], {}, 0
    for place, name in enumerate(names):
        x, y, codes = _pair(answers, name, outcome)
        values[name], n = (x, y), max(n, len(x))
        for ceiling in CEILINGS:
            random = np.random.default_rng([seed, place])
            size = float(SIZES[ceiling](x, y[None])[0])
            p_value = permuted(x, y, codes, draws, random, ceiling)
            rows.append([name, ceiling, size, p_value, _accuracy(x, y, ceiling), len(x)])
    return Necessity(
        table=pd.DataFrame(rows, columns=["predictor", "ceiling", "d", "p_value", "accuracy", "n"]),
        values=values,
        outcome=outcome,
        numbers={"n": n},
        settings={"draws": draws, "seed": seed, "cluster": answers.cluster_name},
        provenance=getattr(data, "provenance", "yours"),
        survey=getattr(data, "survey", None),
    )


def _pair(answers: Answers, predictor: str, outcome: str) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    rows = answers.complete([predictor, outcome])
    x, y = answers.number(predictor)[rows], answers.number(outcome)[rows]
    if len(x) < 3:
        raise ModelError(f"Fewer than three rows have both {listed([predictor, outcome])}.", code="NoCompleteRows")
    for name, value in ((predictor, x), (outcome, y)):
        if np.ptp(value) == 0:
            raise ModelError(f"'{name}' has one value in all complete rows.", code="ConstantVariable")
    return x, y, None if answers.clusters is None else answers.clusters[rows]


def _accuracy(x: np.ndarray, y: np.ndarray, ceiling: str) -> float:
    if ceiling == "ce_fdh":
        return 1.0
    intercept, slope = _line(x, y[None])[0]
    return 1.0 if np.isnan(slope) else float(np.mean(y <= intercept + slope * x + 1e-9 * np.ptp(y)))


def _conditions(hypothesis: Hypothesis) -> list[tuple[str, tuple[str, ...]]]:
    return [(name, (name,)) for name in hypothesis.predictor]


@estimand("necessity", _conditions)
def necessary(row: Row, answers: Answers, plan: Plan, seed: int) -> Estimated:
    """The CE-FDH effect size of one condition with its permutation p."""
    try:
        x, y, codes = _pair(answers, row.names[0], row.outcome)
    except ModelError as error:
        return Estimated(None, fault=str(error).rstrip("."))
    random = np.random.default_rng([seed, row.number])
    size = float(ce_fdh(x, y[None])[0])
    p_value = permuted(x, y, codes, PLAN_PERMUTATIONS, random, "ce_fdh")
    groups = None if codes is None else int(np.unique(codes).size)
    inside = "" if codes is None else " inside collaborations"
    told = {"equation": f"ceiling of {row.outcome} over {row.names[0]} (CE-FDH)", "inference": f"permutation{inside}"}
    return Estimated(Permuted(size, p_value), (), len(x), groups, more=told)
