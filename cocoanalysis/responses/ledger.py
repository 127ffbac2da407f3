"""Every row and cell that was changed or left out, and why.

A ledger is a tuple of `Entry`, in the order in which things happened; it travels with the
responses and with every result made from them. Nothing that changes answers may do so
without an entry.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from cocoanalysis.errors import ResponseError, one_of

COLUMNS = ["step", "rule", "rows", "cells", "n_before", "n_after", "origin"]
ORIGINS = ("plan", "exploratory")


@dataclass(frozen=True)
class Entry:
    """One line of the ledger.

    ``step`` is the kind of change (read, recode, missing, exclude, flag, split, impute, note),
    ``rule`` the sentence or expression that was applied, ``rows`` and ``cells`` how many it
    touched, ``n_before`` and ``n_after`` the rows before and after, ``origin`` 'plan' when a
    plan or the survey's own file says so, else 'exploratory'.
    """

    step: str
    rule: str
    rows: int
    cells: int
    n_before: int
    n_after: int
    origin: str = "plan"

    def __post_init__(self) -> None:
        one_of(self.origin, ORIGINS, "origin of a ledger line", error=ResponseError)


def entry(
    step: str, rule: str, n: int, *, rows: int = 0, cells: int = 0, after: int | None = None, **more: Any
) -> Entry:
    """An entry about ``n`` rows, of which ``after`` are left (all, unless said)."""
    return Entry(step, rule, int(rows), int(cells), int(n), int(n if after is None else after), **more)


def table(entries: Iterable[Entry]) -> pd.DataFrame:
    """The ledger as a table, one row an entry."""
    rows = [asdict(one) for one in entries]
    return pd.DataFrame(rows, columns=COLUMNS).astype(dict.fromkeys(COLUMNS[2:6], "int64"))


def entries_of(ledger: pd.DataFrame) -> tuple[Entry, ...]:
    """The entries of a ledger table (the inverse of `table`)."""
    return tuple(Entry(**{str(key): value for key, value in row.items()}) for row in ledger[COLUMNS].to_dict("records"))


def fingerprint(rows: pd.Index, origin: str = "") -> str:
    """A short hash of which rows of which file these are, in any order."""
    each = np.sort(pd.util.hash_array(rows.astype("str").to_numpy(dtype=object)))
    return hashlib.sha256(each.tobytes() + origin.encode()).hexdigest()[:16]


def same_rows(first: Any, second: Any) -> None:
    """Refuse to compare two analyses that used different rows.

    ``first`` and ``second`` are Responses, or results, that carry ``fingerprint`` and ``ledger``.

    Raises
    ------
    ResponseError : DifferentRows, naming the ledger lines that only one of them has
    """
    if first.fingerprint == second.fingerprint:
        return
    only = [_only(first.ledger, second.ledger), _only(second.ledger, first.ledger)]
    said = "; ".join(f"only the {which} has: {rules}" for which, rules in zip(("first", "second"), only) if rules)
    raise ResponseError(
        "The two analyses used different rows, so their results cannot be compared as if the sample were the same"
        f"{' (' + said + ')' if said else ''}. Run both on the same responses, or report them side by side.",
        code="DifferentRows",
    )


def _only(one: pd.DataFrame, other: pd.DataFrame) -> str:
    dropping = one[one["n_after"] < one["n_before"]]
    unknown = dropping[~dropping["rule"].isin(other["rule"])]
    return ", ".join(
        f"{rule} (−{before - after})" for rule, before, after in unknown[["rule", "n_before", "n_after"]].values
    )
