"""What may leave the machine: tables without small cells, and who could be recognised in the data.

The rules apply to real answers; data declared synthetic or public pass as they are. What is
withheld is shown as withheld, with its reason. Cell threshold, dominance and differencing
follow the practice of statistical offices and research data centres.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, fields, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from scipy import optimize

from cocoanalysis.arguments import of_responses
from cocoanalysis.errors import DisclosureError, ResponseError, listed, one_of
from cocoanalysis.responses.ledger import entry
from cocoanalysis.result import PROVENANCES, Result

WITHHELD = "withheld"
WRITTEN = r"(?:[−-]?[\d.]+\s)?\[.*\d.*\]$"  # a written interval, with or without its estimate
COUNTS = ("n", "count", "rows", "size", "n_obs")
EXTREMES = ("min", "max", "minimum", "maximum", "lowest", "highest", "range")
RESIDUAL = ("df_resid", "df_residual", "residual_df")
DOMINANT = ("largest_share", "largest_cluster")
PARTS = ("n_flagged", "missing", "n_missing", "n_too_few", "n_dropped")  # counts of some of the people of a row
SHARES = ("share_flagged", "floor", "ceiling")  # shares of a row's people
SINGLE = ("most_influential_cluster", "most_influential", "cooks_distance_max", "largest_shift")


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


_RULES: ContextVar[Policy | None] = ContextVar("rules of disclosure", default=None)


def current() -> Policy:
    """The rules in force."""
    return _RULES.get() or Policy()


@contextmanager
def disclosure_rules(**rules: Any) -> Iterator[Policy]:
    """Other thresholds for everything made and written inside the block.

    Parameters
    ----------
    rules : cell (10 people), dominance (.5), residual_df (10), extremes (False), as in `Policy`

    Examples
    --------
    >>> with disclosure_rules(cell=20) as rules:
    ...     print(rules.words())
    fewer than 20 people
    """
    known = {one.name for one in fields(Policy)}
    for name in rules:
        one_of(name, known, "rule of disclosure", error=DisclosureError)
    changed = replace(current(), **rules)
    if changed.cell < 1 or changed.residual_df < 0 or not 0 < changed.dominance <= 1:
        raise DisclosureError(
            "The threshold of a cell is at least 1 person, that of residual degrees of freedom at least 0, and the "
            "share of a cluster above 0 and at most 1.",
            code="ImpossibleRule",
        )
    token = _RULES.set(changed)
    try:
        yield changed
    finally:
        _RULES.reset(token)


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
        table = self.table.copy()
        for column, found in self.withheld.groupby("column", sort=False):
            table[column] = table[column].astype(object)
            hidden = np.zeros(len(table), dtype=bool)
            hidden[found["row"]] = True
            table[column] = table[column].where(~hidden, WITHHELD)
        return table

    def notes(self) -> list[str]:
        reasons = self.withheld["reason"].value_counts()
        return [
            *super().notes(),
            *(f"{count} cell{'s' * (count != 1)} withheld: {reason}." for reason, count in reasons.items()),
        ]

    def _shown(self) -> pd.DataFrame:
        return self.shown()


def safe_table(
    table: pd.DataFrame,
    *,
    provenance: str,
    counts: str | Sequence[str] | None = None,
    shares: Sequence[str] = (),
    largest: str | None = None,
    names: Sequence[str] = (),
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
    largest : column with the share of the largest cluster in the row (dominance); None finds largest_share
    names : columns that name people or clusters; of a withheld row their text is withheld too
    total : whether the sum of the counts is known, so that one withheld row could be found by
        subtraction; then a second one is withheld with it
    policy : thresholds; 10 people, half of a cell, 10 residual degrees of freedom by default

    Returns
    -------
    SafeTable. Withheld are: rows of fewer people than the threshold (empty ones too), shares of few
    people, dominated rows, models with few residual degrees of freedom, minimum and maximum, and what
    is known of single people only (the most influential one).
    """
    policy = policy or current()
    if free(provenance):
        return SafeTable(table, _nothing(), policy, provenance)
    columns = _counting(table, counts)
    numbers = [name for name in table.columns if pd.api.types.is_numeric_dtype(table[name].dtype)]
    rows = _unsafe_rows(table, columns, largest, policy)
    if total and columns:
        rows |= _second_row(table[columns[0]], rows, policy)
    found = [(row, column, reason) for row, reason in rows.items() for column in numbers]
    found += [(row, column, rows[row]) for column in table.columns for row in _written(table[column]) if row in rows]
    found += [(row, column, reason) for row, reason in rows.items() for column in names if column not in numbers]
    found += _unsafe_cells(table, columns, shares, rows, policy)
    return _withholding(table, found, policy, provenance)


def _written(column: pd.Series) -> list[int]:
    """Rows in which a text column holds a written interval, as [.12, .34]: numbers too."""
    if pd.api.types.is_numeric_dtype(column.dtype):
        return []
    return [int(row) for row in np.flatnonzero(column.astype(str).str.match(WRITTEN).to_numpy(dtype=bool))]


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
    largest = largest or next((name for name in DOMINANT if name in table.columns), None)
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
        extremes = [row for row in _rows_called(table, ("min", "max", "minimum", "maximum")) if row not in rows]
        numbers = [name for name in table.columns if pd.api.types.is_numeric_dtype(table[name].dtype)]
        found += [(row, name, words) for row in extremes for name in numbers]
    single = [name for name in SINGLE if name in table.columns]
    found += [(row, name, "about a single person or cluster") for name in single for row in range(len(table))]
    for name in (name for name in PARTS if columns and name in table.columns and _whole(table[name])):
        counted = pd.to_numeric(table[name], errors="coerce").to_numpy(dtype=float)
        few = (counted > 0) & (counted < policy.cell)
        found += [(int(row), name, policy.words()) for row in np.flatnonzero(few) if int(row) not in rows]
    usual = [name for name in SHARES if name in table.columns and name not in shares and columns]
    for name in (*shares, *usual):
        people = table[name].to_numpy(dtype=float) * table[columns[0]].to_numpy(dtype=float)
        others = table[columns[0]].to_numpy(dtype=float) - people
        few = np.minimum(np.round(people), np.round(others)) < policy.cell
        words = f"a share of {policy.words()}"
        found += [(int(row), name, words) for row in np.flatnonzero(few) if int(row) not in rows]
    return found


def _whole(column: pd.Series) -> bool:
    """Whether a column counts: whole numbers, of whatever type."""
    values = pd.to_numeric(column, errors="coerce").dropna()
    return bool(len(values) and (values % 1 == 0).all())


def _rows_called(table: pd.DataFrame, names: Sequence[str]) -> list[int]:
    """Rows that a text column names so, as the rows of DataFrame.describe()."""
    texts = [table[name] for name in table.columns if not pd.api.types.is_numeric_dtype(table[name].dtype)]
    found = [np.flatnonzero(text.astype(str).str.lower().isin(names).to_numpy(dtype=bool)) for text in texts]
    return sorted({int(row) for rows in found for row in rows})


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
    policy = policy or current()
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
    if primary.mean() > MOST:
        return np.ones_like(primary)
    for place in np.argwhere(primary):  # each once: what is hidden later only widens the range
        cell = tuple(place)
        while not hidden.all() and _span(values, hidden, cell) < width:
            for more in _company(values, hidden, cell, width):
                hidden[more] = True
    return hidden


MOST = 0.5  # share of small cells from which nothing of a cross-table is shown


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

    policy: Policy = field(default_factory=current)
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


@dataclass(frozen=True)
class Counted:
    """What a published table or figure says about how many people: the trace by which a later one is held against it.

    ``rows`` is the number of people behind each named row, ``statistics`` the columns that are shown of them,
    ``sample`` the half of a split that they are from, if they are.
    """

    rows: Mapping[str, float]
    statistics: frozenset[str]
    sample: str = ""
    title: str = ""

    def close(self, earlier: Counted, policy: Policy) -> dict[str, str]:
        """Rows that differ from an earlier table's by a few people, with the reason."""
        if not self.statistics & earlier.statistics or _apart(self.sample, earlier.sample):
            return {}
        words = f"differs from {earlier.title or 'an earlier table'} by {policy.words()}"
        both = [name for name in self.rows if name in earlier.rows]
        return {name: words for name in both if 0 < abs(self.rows[name] - earlier.rows[name]) < policy.cell}

    def record(self) -> dict[str, Any]:
        """As plain values, for the provenance file."""
        return {"rows": dict(self.rows), "statistics": sorted(self.statistics), "sample": self.sample}

    @classmethod
    def recorded(cls, record: Mapping[str, Any], title: str) -> Counted:
        """The inverse of `record`; what is no record counts nobody."""
        rows = record.get("rows")
        found = rows.items() if isinstance(rows, dict) else ()
        numbers = {str(key): float(n) for key, n in found if isinstance(n, (int, float))}
        return cls(numbers, frozenset(map(str, record.get("statistics") or ())), str(record.get("sample", "")), title)


def _apart(first: str, second: str) -> bool:
    """Whether two samples are the two halves of one split, which share nobody."""
    return first != second and bool(first) and first.rsplit(", ", 1)[0] == second.rsplit(", ", 1)[0]


def sample_of(ledger: Any) -> str:
    """The last split in a ledger, as 'split by company, seed 1, first half'; empty without one."""
    if not isinstance(ledger, pd.DataFrame) or not {"step", "rule"} <= set(ledger.columns):
        return ""
    splits = ledger.loc[ledger["step"] == "split", "rule"]
    return str(splits.iloc[-1]) if len(splits) else ""


# Individuals ------------------------------------------------------------------------------------------------


MARK = "cocoanalysis.individuals"


def of_people(frame: pd.DataFrame, provenance: str) -> pd.DataFrame:
    """The frame, marked as one row a person of data of that provenance; pandas carries the mark along."""
    frame.attrs[MARK] = provenance
    return frame


def mark_of(frame: Any) -> str | None:
    """The provenance of the rows of people that a frame is, or was made from; None where nothing is known."""
    found = getattr(frame, "attrs", {}).get(MARK)
    return found if found in PROVENANCES else None


def people(result: Any) -> tuple[float | None, float | None]:
    """How many people a whole result rests on, and its residual degrees of freedom; None where it does not say."""
    if isinstance(getattr(result, "answers", None), pd.DataFrame):
        return float(len(result.answers)), None
    try:
        row = result.glance().iloc[0]
    except (AttributeError, TypeError, IndexError, KeyError):
        return None, None
    n, df = (next((row[name] for name in names if name in row.index), None) for names in (("n", "n_obs"), RESIDUAL))
    return (None if n is None or pd.isna(n) else float(n)), (None if df is None or pd.isna(df) else float(df))


COUNTED = re.compile(r"\b(\d+)(?= (?:usable |complete )?(?:rows?|people|persons?|respondents?|responses?|members?)\b)")


def told_safely(sentence: str, provenance: str) -> str:
    """A message about answers as it may be shown: numbers of few people become 'fewer than' the threshold."""
    if free(provenance):
        return sentence
    cell = current().cell
    return COUNTED.sub(lambda found: found[0] if int(found[0]) >= cell else f"fewer than {cell}", sentence)


def withheld_whole(result: Any, policy: Policy | None = None) -> str | None:
    """Why nothing of a result may be shown (too few people, or residual degrees of freedom), or None."""
    policy = policy or current()
    if free(getattr(result, "provenance", "yours")):
        return None
    n, df = people(result)
    if n is not None and n < policy.cell:
        return policy.words()
    if df is not None and df < policy.residual_df:
        return f"fewer than {policy.residual_df} residual degrees of freedom"
    return None


def group_facts(responses: Any, frame: pd.DataFrame) -> pd.DataFrame | None:
    """For a table with one row a group of people: how many are in each, and the share of its largest cluster.

    Groups are known by the columns that are background questions (or identifiers) of the responses; None
    where the table has no such column. Where every person is in one of its rows, ``whole`` is true.
    """
    answers, survey = getattr(responses, "answers", None), getattr(responses, "survey", None)
    if answers is None or survey is None:
        return None
    known = [*survey.background, survey.cluster, survey.organisation, getattr(survey, "collaboration", None)]
    keys = [name for name in frame.columns if name in known and name in answers and name not in survey.items]
    if not keys:
        return None
    cluster = survey.cluster if survey.cluster in answers and survey.cluster not in keys else None
    groups = answers[keys].astype("str").apply("\x1f".join, axis=1)
    named = frame[keys].astype("str").apply("\x1f".join, axis=1)
    sizes = groups.value_counts()
    shares = (
        answers[cluster].groupby(groups).apply(lambda one: one.value_counts(normalize=True).max()) if cluster else {}
    )
    n = named.map(sizes).fillna(0).astype(float)
    facts = pd.DataFrame({"n": n, "largest": named.map(shares).astype(float) if cluster else np.nan})
    return facts.assign(whole=bool(n.sum() == len(answers) and named.is_unique))


def joined_steps(ledger: pd.DataFrame, provenance: str, policy: Policy | None = None) -> pd.DataFrame:
    """The steps of a ledger that left rows out, as they may be shown: those of few people joined with their neighbour.

    Returns
    -------
    DataFrame: step, rule, rows, n_before, n_after, origin, and ``words`` for the number of rows. Where all steps
    together left out fewer people than the threshold, rows and n_before are missing and the words say 'fewer than'.
    """
    policy = policy or current()
    kept = [name for name in ("step", "rule", "rows", "n_before", "n_after", "origin") if name in ledger]
    shown = ledger if free(provenance) else joined_ledger(ledger, policy)
    left = shown.loc[(shown["rows"] > 0) & (shown["n_before"] != shown["n_after"]), kept]
    steps: list[dict[Any, Any]] = left.to_dict("records")
    if not free(provenance):
        steps = [one if _lost(one) >= policy.cell else {**one, "rows": pd.NA, "n_before": pd.NA} for one in steps]
    for one in steps:
        one["words"] = f"fewer than {policy.cell}" if pd.isna(one["rows"]) else str(int(one["rows"]))
    table = pd.DataFrame(steps, columns=[*kept, "words"])
    return table.astype({name: "Int64" for name in ("rows", "n_before", "n_after") if name in table})


def joined_ledger(ledger: pd.DataFrame, policy: Policy | None = None) -> pd.DataFrame:
    """The ledger with each step that left few people out joined with the next (or the last) that left some out."""
    policy = policy or current()
    lines: list[dict[Any, Any]] = ledger.to_dict("records")
    while True:
        out = [i for i, one in enumerate(lines) if _lost(one) > 0]
        few = [i for i in out if _lost(lines[i]) < policy.cell]
        if not few or len(out) < 2:
            return pd.DataFrame(lines, columns=ledger.columns)
        place = out.index(few[0])
        first, second = out[min(place, len(out) - 2)], out[min(place, len(out) - 2) + 1]
        lines[second] = {**_joined(lines[first], lines[second]), "cells": lines[second].get("cells", 0)}
        for between in range(first + 1, second):  # steps between them: the joined one stands after them
            lines[between] = {
                **lines[between],
                "n_before": lines[first]["n_before"],
                "n_after": lines[first]["n_before"],
            }
        del lines[first]


def _lost(step: Mapping[Any, Any]) -> int:
    return int(step["n_before"] - step["n_after"])


def _joined(first: Mapping[Any, Any], second: Mapping[Any, Any]) -> dict[Any, Any]:
    origins = {first.get("origin"), second.get("origin")}
    return {
        **first,
        "rule": f"{first['rule']}; {second['rule']}",
        "rows": first["rows"] + second["rows"],
        "n_after": second["n_after"],
        "origin": origins.pop() if len(origins) == 1 else "plan and exploratory",
    }


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
    policy = policy or current()
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
    frame = of_responses(responses).answers
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
        suggestions=_suggestions(table, k, _categories(responses.survey)),
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


def _categories(survey: Any) -> set[str]:
    """The survey's own categories: words that name nobody."""
    codes = {str(code) for one in survey.background.values() if not one.personal for code in one.categories or ()}
    return codes | {NO_ANSWER, "merged"}


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


LOSS = {"merge": 1.0, "band": 1.0, "drop": 2.0}


def _suggestions(table: pd.DataFrame, k: int, known: set[str]) -> pd.DataFrame:
    """Steps, one after the other, until nobody is at risk: each the one that gains most for what it loses."""
    rows = [(step, *told) for step, (*told, _) in enumerate(_steps(table, k, known), start=1)]
    return pd.DataFrame(rows, columns=["step", "action", "variable", "detail", "at_risk", "k"])


def _steps(table: pd.DataFrame, k: int, known: set[str]) -> Iterator[tuple[str, str, str, int, int, pd.DataFrame]]:
    """Each step with what it leads to: action, variable, detail, people at risk, k, and the table after it.

    The gain is that of the logarithm of the number of people with whom somebody shares the background
    answers, on average; leaving a variable out counts as twice the loss of merging or banding.
    """
    while True:  # each step leaves fewer columns, categories or numbers, so it ends
        sizes = combination_sizes(table)
        options = [one for name in table for one in _remedies(table, name, known)]
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
    for action, name, detail, _, _, after in _steps(table, k, _categories(responses.survey)):
        touched = len(frame) if name not in after else int((after[name] != table[name]).sum())
        lines.append(entry("recode", f"{action} {name}: {detail}", len(frame), rows=touched, cells=touched))
        table = after
        if name not in after:
            frame, reasons = frame.drop(columns=name), reasons.drop(columns=name)
            continue
        frame = frame.assign(**{name: table[name].where(table[name] != NO_ANSWER).astype("str")})
    return replace(responses, answers=frame, reasons=reasons, entries=(*responses.entries, *lines))


def _remedies(table: pd.DataFrame, name: Any, known: set[str]) -> list[tuple[str, str, str, pd.DataFrame]]:
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
        said = f": {listed(rare)}" if {str(one) for one in rare} <= known else ""
        found.append(("merge", str(name), f"its two rarest categories{said}", table.assign(**{str(name): merged})))
    return found


def _bands(numbers: pd.Series) -> pd.Series:
    """Four bands of about equal size, named by the limits between them and never by the ends."""
    limits = sorted(set(np.quantile(numbers.dropna(), [0.25, 0.5, 0.75])))
    names = [f"below {limits[0]:g}", *(f"{low:g} to below {high:g}" for low, high in pairwise(limits))]
    place = np.searchsorted(limits, numbers.to_numpy(dtype=float), side="right")
    return pd.Series(np.array([*names, f"{limits[-1]:g} or more"], dtype=object)[place], index=numbers.index)
