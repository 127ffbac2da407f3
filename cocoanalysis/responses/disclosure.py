"""What may leave the machine: tables without small cells, and who could be recognised in the data.

The rules apply to real answers; data declared synthetic or public pass as they are. What is
withheld is shown as withheld, with its reason. Cell threshold, dominance and differencing
follow the practice of statistical offices and research data centres.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from scipy import optimize

from cocoanalysis.errors import DisclosureError, ResponseError, listed, one_of
from cocoanalysis.responses.ledger import entry
from cocoanalysis.result import PROVENANCES, Result

WITHHELD = "withheld"
COUNTS = ("n", "count", "rows", "size", "n_obs")
EXTREMES = ("min", "max", "minimum", "maximum", "lowest", "highest", "range")
RESIDUAL = ("df_resid", "df_residual", "residual_df")


@dataclass(frozen=True)
class Policy:
    """The rules of what may be shown.

    ``cell`` is the smallest number of people behind a shown number, ``dominance`` the largest share
    that one cluster may have in a cell, ``residual_df`` the fewest residual degrees of freedom of a
    shown model, ``extremes`` whether minimum and maximum (answers of single people) may be shown.
    """

    cell: int = 10
    dominance: float = 0.5
    residual_df: int = 10
    extremes: bool = False

    def words(self) -> str:
        return f"fewer than {self.cell} people"


OPEN = ("synthetic", "public real")


def free(provenance: str) -> bool:
    """Whether data of this provenance may be shown without rules."""
    return one_of(provenance, PROVENANCES, "provenance", error=DisclosureError) in OPEN


# Tables of results -----------------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class SafeTable(Result):
    """A table that may be shown: unsafe cells are empty, and ``withheld`` says which and why."""

    table: pd.DataFrame
    withheld: pd.DataFrame  # row (position), column, reason
    policy: Policy = Policy()
    provenance: str = "yours"
    title: str = "Table"

    def tidy(self) -> pd.DataFrame:
        """The table with missing values where something is withheld."""
        return self.table

    def glance(self) -> pd.DataFrame:
        """One row: rows, cells, n_withheld."""
        return pd.DataFrame({"rows": [len(self.table)], "cells": [self.table.size], "n_withheld": [len(self.withheld)]})

    def shown(self) -> pd.DataFrame:
        """The table as it is printed: 'withheld' in every withheld cell."""
        table = self.table.astype(object)
        for column, found in self.withheld.groupby("column", sort=False):
            hidden = np.zeros(len(table), dtype=bool)
            hidden[found["row"]] = True
            table[column] = table[column].where(~hidden, WITHHELD)
        return table

    def notes(self) -> list[str]:
        reasons = self.withheld["reason"].value_counts()
        return [*super().notes(), *(f"{count} cells withheld: {reason}." for reason, count in reasons.items())]

    def _shown(self) -> pd.DataFrame:
        return self.shown()


def safe_table(
    table: pd.DataFrame,
    *,
    provenance: str,
    counts: str | Sequence[str] | None = None,
    shares: Sequence[str] = (),
    largest: str | None = None,
    total: bool = True,
    policy: Policy | None = None,
) -> SafeTable:
    """A table of groups or estimates as it may be shown: one row a group, with the number of people behind it.

    Parameters
    ----------
    table : one row a group, item, model or estimate
    provenance : of the data; 'synthetic' and 'public real' pass unchanged
    counts : columns that count people; None finds the usual names (n, count, …)
    shares : columns that are shares of the first count (0 to 1): neither the people in the share nor
        the others may be fewer than the threshold
    largest : column with the share of the largest cluster in the row (dominance)
    total : whether the sum of the counts is known, so that one withheld row could be found by
        subtraction; then a second one is withheld with it
    policy : thresholds; 10 people, half of a cell, 10 residual degrees of freedom by default

    Returns
    -------
    SafeTable. Withheld are: rows of fewer people than the threshold (empty ones too), shares of few
    people, dominated rows, models with few residual degrees of freedom, minimum and maximum.
    """
    policy = policy or Policy()
    if free(provenance):
        return SafeTable(table, _nothing(), policy, provenance)
    columns = _counting(table, counts)
    numbers = [name for name in table.columns if pd.api.types.is_numeric_dtype(table[name].dtype)]
    rows = _unsafe_rows(table, columns, largest, policy)
    if total and columns:
        rows |= _second_row(table[columns[0]], rows, policy)
    found = [(row, column, reason) for row, reason in rows.items() for column in numbers]
    found += [(row, column, rows[row]) for column in table.columns for row in _written(table[column]) if row in rows]
    found += _unsafe_cells(table, columns, shares, rows, policy)
    return _withholding(table, found, policy, provenance)


def _written(column: pd.Series) -> list[int]:
    """Rows in which a text column holds a written interval, as [.12, .34]: numbers too."""
    if pd.api.types.is_numeric_dtype(column.dtype):
        return []
    return [int(row) for row in np.flatnonzero(column.astype(str).str.match(r"\[.*\d.*\]$").to_numpy(dtype=bool))]


def _nothing() -> pd.DataFrame:
    return pd.DataFrame({"row": pd.Series(dtype=int), "column": pd.Series(dtype=str), "reason": pd.Series(dtype=str)})


def _counting(table: pd.DataFrame, counts: str | Sequence[str] | None) -> list[str]:
    if counts is None:
        return [name for name in table.columns if str(name) in COUNTS]
    columns = [counts] if isinstance(counts, str) else list(counts)
    absent = [name for name in columns if name not in table.columns]
    if absent:
        raise DisclosureError(
            f"The table has no column {listed(absent)} to count people by; it has {listed(table.columns)}.",
            code="UnknownVariable",
        )
    return columns


def _unsafe_rows(table: pd.DataFrame, columns: Sequence[str], largest: str | None, policy: Policy) -> dict[int, str]:
    rows: dict[int, str] = {}
    for name in columns:
        few = table[name].fillna(0).to_numpy(dtype=float) < policy.cell
        rows |= {int(row): policy.words() for row in np.flatnonzero(few)}
    if largest is not None:
        share = table[largest].fillna(1).to_numpy(dtype=float)
        words = f"one cluster is more than {policy.dominance:.0%} of the group"
        rows |= {int(row): words for row in np.flatnonzero(share > policy.dominance) if int(row) not in rows}
    for name in (name for name in RESIDUAL if name in table.columns):
        words = f"fewer than {policy.residual_df} residual degrees of freedom"
        low = table[name].fillna(0).to_numpy(dtype=float) < policy.residual_df
        rows |= {int(row): words for row in np.flatnonzero(low) if int(row) not in rows}
    return rows


def _second_row(counts: pd.Series, rows: dict[int, str], policy: Policy) -> dict[int, str]:
    """The next smallest group, while the withheld ones could be found by subtracting the others from the total."""
    withheld = counts.iloc[list(rows)].fillna(0).sum()
    left = counts.drop(counts.index[list(rows)]).sort_values(kind="stable") if rows else counts.iloc[:0]
    if not rows or left.empty or (len(rows) > 1 and withheld >= policy.cell):
        return {}
    place = int(np.flatnonzero(counts.index == left.index[0])[0])
    return {place: "could be used to find a withheld group by subtraction"}


def _unsafe_cells(
    table: pd.DataFrame, columns: Sequence[str], shares: Sequence[str], rows: dict[int, str], policy: Policy
) -> list[tuple[int, str, str]]:
    found = []
    if not policy.extremes:
        words = "an answer of single people"
        names = [name for name in table.columns if str(name).lower() in EXTREMES]
        found += [(row, name, words) for name in names for row in range(len(table)) if row not in rows]
    for name in shares:
        people = table[name].to_numpy(dtype=float) * table[columns[0]].to_numpy(dtype=float)
        others = table[columns[0]].to_numpy(dtype=float) - people
        few = np.minimum(np.round(people), np.round(others)) < policy.cell
        words = f"a share of {policy.words()}"
        found += [(int(row), name, words) for row in np.flatnonzero(few) if int(row) not in rows]
    return found


def _withholding(
    table: pd.DataFrame, found: Sequence[tuple[int, str, str]], policy: Policy, provenance: str
) -> SafeTable:
    safe = table.copy()
    for name in dict.fromkeys(column for _, column, _ in found):
        places = [row for row, column, _ in found if column == name]
        keep = np.ones(len(table), dtype=bool)
        keep[places] = False
        column = safe[name]
        if pd.api.types.is_integer_dtype(column.dtype) or pd.api.types.is_bool_dtype(column.dtype):
            column = column.astype("Int64")
        safe[name] = column.where(keep)
    withheld = pd.DataFrame(found, columns=["row", "column", "reason"]) if found else _nothing()
    return SafeTable(safe, withheld, policy, provenance)


# Cross-tables -----------------------------------------------------------------------------------------------


def safe_crosstab(counts: pd.DataFrame, *, provenance: str, policy: Policy | None = None) -> SafeTable:
    """A cross-table of counts whose margins are known, with small cells and enough others withheld.

    Withheld are cells below the threshold, also empty ones; then further cells, the smallest first,
    until nobody who knows the margins and the shown cells can tell a withheld one closely: the
    range of values that it may have (by linear programming) spans at least the threshold.
    """
    policy = policy or Policy()
    if free(provenance):
        return SafeTable(counts, _nothing(), policy, provenance)
    values = counts.to_numpy(dtype=float)
    primary = values < policy.cell
    hidden = protected(values, primary, policy.cell)
    reason = {True: policy.words(), False: "could be used to find a withheld cell by subtraction"}
    found = [(int(i), counts.columns[j], reason[bool(primary[i, j])]) for i, j in np.argwhere(hidden)]
    return _withholding(counts, found, policy, provenance)


def protected(values: np.ndarray, primary: np.ndarray, width: float) -> np.ndarray:
    """Which cells to hide so that each primary cell may have values that span at least ``width``."""
    hidden = primary.copy()
    while True:
        exposed = [tuple(cell) for cell in np.argwhere(primary) if _span(values, hidden, tuple(cell)) < width]
        if not exposed or hidden.all():
            return hidden
        for more in _company(values, hidden, exposed[0], width):
            hidden[more] = True


def _company(values: np.ndarray, hidden: np.ndarray, cell: tuple[int, ...], width: float) -> list[tuple[int, int]]:
    """Further cells to hide with an exposed one: the corners of a rectangle in which counts could move round.

    Of the rectangles that leave the cell a range of at least ``width``, the one that hides the fewest
    further cells, then the fewest people; where there is none, the smallest shown cell of the line.
    """
    i, j = cell
    best: tuple[tuple[int, float], list[tuple[int, int]]] | None = None
    for a, b in itertools.product(range(values.shape[0]), range(values.shape[1])):
        if a == i or b == j:
            continue
        span = min(values[i, b], values[a, j]) + min(values[i, j], values[a, b])
        more = [one for one in ((i, b), (a, j), (a, b)) if not hidden[one]]
        cost = (len(more), float(sum(values[one] for one in more)))
        if more and span >= width and (best is None or cost < best[0]):
            best = cost, more
    if best is not None:
        return best[1]
    shown = [(int(a), int(b)) for a, b in np.argwhere(~hidden)]
    lines = [one for one in shown if one[0] == i or one[1] == j] or shown
    return [min(lines, key=lambda one: values[one])]


def _span(values: np.ndarray, hidden: np.ndarray, cell: tuple[int, ...]) -> float:
    """How far apart the largest and smallest possible values of a hidden cell are, given margins and shown cells."""
    cells = [tuple(one) for one in np.argwhere(hidden)]
    constraints, totals = [], []
    for axis, size in enumerate(values.shape):
        for line in range(size):
            inside = np.array([float(one[axis] == line) for one in cells])
            if inside.any():
                constraints.append(inside)
                totals.append(float(sum(values[one] for one in cells if one[axis] == line)))
    target = np.array([float(one == tuple(cell)) for one in cells])
    ends = [
        optimize.linprog(sign * target, A_eq=np.array(constraints), b_eq=totals, bounds=(0, None), method="highs").fun
        for sign in (1, -1)
    ]
    return float(-ends[1] - ends[0])


# Differencing ----------------------------------------------------------------------------------------------


@dataclass
class Released:
    """The tables of one release; a new one may not, with an earlier one, give away a few people.

    Two tables with the same groups but slightly different samples (say with and without the
    careless) tell about the few who are in only one of them.
    """

    policy: Policy = field(default_factory=Policy)
    tables: list[tuple[tuple[str, ...], pd.DataFrame]] = field(default_factory=list)

    def admit(self, table: pd.DataFrame, by: str | Sequence[str], *, provenance: str, counts: str = "n") -> SafeTable:
        """The table without the rows that differ from an earlier one by fewer people than the threshold."""
        keys = (by,) if isinstance(by, str) else tuple(by)
        if free(provenance):
            return SafeTable(table, _nothing(), self.policy, provenance)
        counted = table.set_index(list(keys))[counts].astype(float)
        close = pd.Series(False, index=counted.index)
        for others, earlier in self.tables:
            if others == keys:
                gap = (counted - earlier[counts].reindex(counted.index).astype(float)).abs()
                close |= (gap > 0) & (gap < self.policy.cell)
        words = f"differs from an earlier table by {self.policy.words()}"
        numbers = [name for name in table.columns if pd.api.types.is_numeric_dtype(table[name].dtype)]
        found = [(int(row), name, words) for row in np.flatnonzero(close.to_numpy()) for name in numbers]
        safe = _withholding(table, found, self.policy, provenance)
        shown = safe.table.set_index(list(keys))
        self.tables.append((keys, shown[~shown.index.duplicated()]))
        return safe


# Individuals ------------------------------------------------------------------------------------------------


def refuse_individuals(what: str, provenance: str) -> None:
    """Refuse a table, figure or file that has one row or point a person, unless the data are synthetic or public.

    Raises
    ------
    DisclosureError : IndividualValues
    """
    if not free(provenance):
        raise DisclosureError(
            f"{what} would show one row or point for each person. It is made only of data that are declared "
            f"synthetic or "
            "public; show groups instead, or say in survey.yaml that this file is public (samples: provenance).",
            code="IndividualValues",
        )


def refuse_small(
    what: str, n: float, *, provenance: str, df_resid: float | None = None, policy: Policy | None = None
) -> None:
    """Refuse a result that rests on too few people or residual degrees of freedom to be shown.

    Raises
    ------
    DisclosureError : SmallCell, FewResidualDf
    """
    policy = policy or Policy()
    if free(provenance):
        return
    if n < policy.cell:
        raise DisclosureError(f"{what} rests on {policy.words()} and is withheld; combine groups.", code="SmallCell")
    if df_resid is not None and df_resid < policy.residual_df:
        raise DisclosureError(
            f"{what} has fewer than {policy.residual_df} residual degrees of freedom, so that single answers could be "
            "worked out; use a smaller model.",
            code="FewResidualDf",
        )


@dataclass(frozen=True, repr=False)
class Anonymity(Result):
    """Who could be recognised: how many people share each combination of background answers.

    ``k`` is the size of the smallest combination, ``l`` the smallest number of different answers to a
    sensitive question within a combination.
    """

    classes: pd.DataFrame
    suggestions: pd.DataFrame
    k: int
    l: int | None
    target: int
    n: int
    at_risk: int
    provenance: str = "yours"
    title: str = "Who could be recognised"

    def tidy(self) -> pd.DataFrame:
        """One row a suggested step, in order: step, action, variable, detail, and at_risk and k after it."""
        return self.suggestions

    def glance(self) -> pd.DataFrame:
        """One row: n, combinations, k, l, n_unique, at_risk, share_at_risk, target."""
        sizes = self.classes["n"]
        return pd.DataFrame(
            {
                "n": [self.n],
                "combinations": [len(sizes)],
                "k": [self.k],
                "l": [pd.NA if self.l is None else self.l],
                "n_unique": [int((sizes == 1).sum())],
                "at_risk": [self.at_risk],
                "share_at_risk": [self.at_risk / self.n if self.n else np.nan],
                "target": [self.target],
            }
        )

    def notes(self) -> list[str]:
        others = self.target - 1
        words = f"{self.at_risk} of {self.n} people share their background answers with fewer than {others} others."
        return [*super().notes(), words]


def anonymity(
    responses: Any,
    variables: Iterable[str] | None = None,
    *,
    sensitive: Iterable[str] = (),
    k: int = 5,
) -> Anonymity:
    """How recognisable people are by their background, and what would help.

    Parameters
    ----------
    responses : Responses
    variables : what somebody else may know of a person; None for all background but identifiers and texts
    sensitive : questions whose answer should not follow from belonging to a combination (l-diversity)
    k : the number of people that should share a combination

    Returns
    -------
    Anonymity; its table suggests, step by step, what to merge, to band or to leave out.

    Raises
    ------
    ResponseError : UnknownVariable
    """
    frame = responses.answers
    names = _quasi_identifiers(responses) if variables is None else list(variables)
    absent = [name for name in [*names, *sensitive] if name not in frame]
    if absent:
        raise ResponseError(
            f"There is no column {listed(absent)}; the responses have {listed(frame.columns)}.", code="UnknownVariable"
        )
    table = _background_table(responses, names)
    sizes = combination_sizes(table)
    diverse = [_diversity(table, frame[name]) for name in sensitive]
    return Anonymity(
        classes=_classes(table),
        suggestions=_suggestions(table, k),
        k=int(sizes.min()) if len(sizes) else 0,
        l=min(diverse) if diverse else None,
        target=k,
        n=len(table),
        at_risk=int((sizes < k).sum()),
        provenance=responses.provenance,
    )


NO_ANSWER = "no answer"


def _quasi_identifiers(responses: Any) -> list[str]:
    """What somebody else may know of a person: all background but identifiers and texts."""
    asked = [one for one in responses.survey.background.values() if one.kind in ("categorical", "multiple", "numeric")]
    return [name for one in asked for name in one.columns if name in responses.answers]


def _background_table(responses: Any, variables: Iterable[str] | None) -> pd.DataFrame:
    frame = responses.answers
    names = _quasi_identifiers(responses) if variables is None else list(variables)
    return pd.DataFrame({name: frame[name].astype(object).where(frame[name].notna(), NO_ANSWER) for name in names})


def combination_sizes(table: pd.DataFrame) -> np.ndarray:
    """For each row, how many rows have the same values in all columns."""
    if table.empty or not len(table.columns):
        return np.full(len(table), len(table))
    codes = np.column_stack([pd.factorize(table[name])[0] for name in table.columns])
    _, group, counts = np.unique(codes, axis=0, return_inverse=True, return_counts=True)
    return counts[group]


def _classes(table: pd.DataFrame) -> pd.DataFrame:
    """The sizes of the combinations, without saying which they are."""
    sizes = combination_sizes(table)
    n, people = np.unique(sizes, return_counts=True)
    return pd.DataFrame({"n": np.repeat(n, people // np.maximum(n, 1))})


def _diversity(table: pd.DataFrame, answers: pd.Series) -> int:
    keys = pd.Series(list(map(tuple, table.to_numpy())), index=table.index)
    return int(answers.astype(object).where(answers.notna(), NO_ANSWER).groupby(keys).nunique().min())


STEPS = 12
LOSS = {"merge": 1.0, "band": 1.0, "drop": 2.0}


def _suggestions(table: pd.DataFrame, k: int) -> pd.DataFrame:
    """Steps, one after the other, until nobody is at risk: each the one that gains most for what it loses."""
    rows = [(step, *told) for step, (*told, _) in enumerate(_steps(table, k), start=1)]
    return pd.DataFrame(rows, columns=["step", "action", "variable", "detail", "at_risk", "k"])


def _steps(table: pd.DataFrame, k: int) -> Iterator[tuple[str, str, str, int, int, pd.DataFrame]]:
    """Each step with what it leads to: action, variable, detail, people at risk, k, and the table after it.

    The gain is that of the logarithm of the number of people with whom somebody shares the background
    answers, on average; leaving a variable out counts as twice the loss of merging or banding.
    """
    for _ in range(STEPS):
        sizes = combination_sizes(table)
        options = [one for name in table for one in _remedies(table, name)]
        if not options or not (sizes < k).any():
            return
        crowds = [combination_sizes(changed) for *_, changed in options]
        gains = [np.log(crowd.mean() / sizes.mean()) / LOSS[one[0]] for one, crowd in zip(options, crowds)]
        best = int(np.argmax(gains))
        action, name, detail, table = options[best]
        yield action, name, detail, int((crowds[best] < k).sum()), int(crowds[best].min()), table


def coarsened(responses: Any, k: int = 5, variables: Iterable[str] | None = None) -> Any:
    """The responses with the steps taken that `anonymity` suggests, each with a line in the ledger.

    Numbers are replaced by bands, rare categories by 'merged', and columns left out, until at least ``k``
    people share each combination of background answers, or no step is left. Empty cells keep their reason.
    """
    frame, reasons, lines = responses.answers, responses.reasons, []
    table = _background_table(responses, variables)
    for action, name, detail, _, _, after in _steps(table, k):
        touched = len(frame) if name not in after else int((after[name] != table[name]).sum())
        lines.append(entry("recode", f"{action} {name}: {detail}", len(frame), rows=touched, cells=touched))
        table = after
        if name not in after:
            frame, reasons = frame.drop(columns=name), reasons.drop(columns=name)
            continue
        frame = frame.assign(**{name: table[name].where(table[name] != NO_ANSWER).astype("str")})
    return replace(responses, answers=frame, reasons=reasons, entries=(*responses.entries, *lines))


def _remedies(table: pd.DataFrame, name: Any) -> list[tuple[str, str, str, pd.DataFrame]]:
    column = table[name]
    found = [("drop", str(name), "leave it out of what is shared", table.drop(columns=name))]
    numbers = pd.to_numeric(column, errors="coerce")
    if numbers.notna().sum() > 0 and (numbers.notna() | (column == NO_ANSWER)).all() and numbers.nunique() > 5:
        banded = _bands(numbers).where(numbers.notna(), NO_ANSWER)
        found.append(("band", str(name), "four bands of about equal size", table.assign(**{str(name): banded})))
        return found
    counts = column.value_counts()
    if len(counts) > 2 and True not in counts.index:
        rare = list(counts.index[-2:])
        merged = column.where(~column.isin(rare), "merged")
        found.append(
            ("merge", str(name), f"its two rarest categories: {listed(rare)}", table.assign(**{str(name): merged}))
        )
    return found


def _bands(numbers: pd.Series) -> pd.Series:
    """Four bands of about equal size, named by the limits between them and never by the ends."""
    limits = sorted(set(np.quantile(numbers.dropna(), [0.25, 0.5, 0.75])))
    names = [f"below {limits[0]:g}", *(f"{low:g} to below {high:g}" for low, high in pairwise(limits))]
    place = np.searchsorted(limits, numbers.to_numpy(dtype=float), side="right")
    return pd.Series(np.array([*names, f"{limits[-1]:g} or more"], dtype=object)[place], index=numbers.index)
