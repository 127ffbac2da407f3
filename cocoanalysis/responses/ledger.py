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

from cocoanalysis.arguments import of_responses
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

    ``first`` and ``second`` are Responses, regressions or fits: what carries ``fingerprint`` and ``ledger``.

    Raises
    ------
    ResponseError : DifferentRows, naming the ledger lines that only one of them has; NoRows
    """
    told = rows_apart(first, second)
    if told:
        raise ResponseError(
            f"The two analyses used different rows{told}, so their results cannot be compared as if the sample were "
            "the same. Run both on the same responses, or report them side by side.",
            code="DifferentRows",
        )


def rows_apart(first: Any, second: Any) -> str:
    """Empty for two analyses of the same rows, else ' (only the first has: …)' with the rules that left rows out.

    Raises
    ------
    ResponseError : NoRows
    """
    prints = [getattr(one, "fingerprint", None) for one in (first, second)]
    if not all(prints):
        raise ResponseError(
            "Only Responses, regressions and fits to rows of data know which rows they used; these two cannot be held "
            "against each other.",
            code="NoRows",
        )
    if prints[0] == prints[1]:
        return ""
    own, others = (getattr(one, "ledger", None) for one in (first, second))
    if not isinstance(own, pd.DataFrame) or not isinstance(others, pd.DataFrame):
        return " (their data were different tables)"
    only = [_only(own, others), _only(others, own)]
    said = "; ".join(f"only the {which} has: {rules}" for which, rules in zip(("first", "second"), only) if rules)
    return f" ({said})" if said else " (they are other people, or of another file)"


def origin_of_rows(ledger: Any) -> str:
    """What a ledger says its rows were read from; empty without one."""
    if not isinstance(ledger, pd.DataFrame) or not {"step", "rule"} <= set(ledger.columns):
        return ""
    read = ledger.loc[ledger["step"] == "read", "rule"]
    return str(read.iloc[0]) if len(read) else ""


def _only(one: pd.DataFrame, other: pd.DataFrame) -> str:
    dropping = one[one["n_after"] < one["n_before"]]
    unknown = dropping[~dropping["rule"].isin(other["rule"])]
    counts = unknown[["rule", "n_before", "n_after"]].to_numpy()
    return ", ".join(f"{rule} (−{before - after})" for rule, before, after in counts)


# How many came how far ---------------------------------------------------------------------------


def sample_flow(responses: Any, invited: int | None = None, attentive: str = "careless_flags >= 2") -> pd.DataFrame:
    """From those invited to those analysed: one row a stage, with how many were lost before it and why.

    Parameters
    ----------
    responses : as they will be analysed; their ledger tells what happened before
    invited : how many were asked to take part, when that is known
    attentive : the rule for careless answers, used when responses were screened

    Returns
    -------
    DataFrame: stage (invited, opened, complete, attentive, analysed), n, lost, reason, known. The
    stages 'complete' and 'attentive' count those analysed so far and leave nobody out themselves;
    a stage that cannot be told from these data has no n and ``known`` says what is missing.
    """
    ledger = of_responses(responses).ledger
    read = int(ledger["n_before"].iloc[0]) if len(ledger) else len(responses.answers)
    out = ledger[ledger["n_after"] < ledger["n_before"]]
    dropped = out[["rule", "n_before", "n_after"]].to_numpy()
    said = "; ".join(f"{rule} (−{before - after})" for rule, before, after in dropped)
    frame = responses.answers
    complete = int(frame["complete"].fillna(False).sum()) if "complete" in frame else None
    careful = _attentive(frame, attentive)
    stages = [
        ("invited", invited, "", "" if invited is not None else "give invited="),
        ("opened", read, "did not open it", ""),
        ("complete", complete, "counted among those analysed", "" if complete is not None else "no column 'complete'"),
        ("attentive", careful, "counted among those analysed", "" if careful is not None else "not screened"),
        ("analysed", len(frame), said, ""),
    ]
    rows: list[tuple[Any, ...]] = []
    before = None
    for stage, n, reason, known in stages:
        settled = stage in ("invited", "opened", "analysed") and n is not None
        lost = before - n if settled and before is not None and n is not None else pd.NA
        rows.append((stage, pd.NA if n is None else n, lost, reason, known))
        before = n if settled else before
    from cocoanalysis.responses.disclosure import of_people  # which itself writes ledger lines

    table = pd.DataFrame(rows, columns=["stage", "n", "lost", "reason", "known"])
    return of_people(table.astype({"n": "Int64", "lost": "Int64"}), responses.provenance)


def _attentive(frame: pd.DataFrame, rule: str) -> int | None:
    from cocoanalysis.responses.exclusion import matching_rows

    if "careless_flags" not in frame:
        return None
    return len(frame) - int(matching_rows(rule, frame).sum())


def response_rates(
    *,
    invited: int,
    complete: int,
    partial: int = 0,
    refused: int = 0,
    other: int = 0,
    unknown: int = 0,
    ineligible: int = 0,
) -> pd.DataFrame:
    """Response, cooperation, refusal and contact rates as AAPOR defines them.

    Those invited who are none of the others count as not reached (NC). Rates: RR1, RR2, RR5, RR6,
    COOP1, COOP2, REF1, CON1 of AAPOR's Standard Definitions (unknown eligibility counted as
    eligible in RR1, RR2, REF1 and CON1, left out in RR5 and RR6).

    Returns
    -------
    DataFrame: rate, value, formula, meaning

    Raises
    ------
    ResponseError : ImpossibleCounts
    """
    known = complete + partial + refused + other + unknown + ineligible
    if invited < known or min(complete, partial, refused, other, unknown, ineligible) < 0:
        raise ResponseError(
            f"{invited} were invited, but {known} are accounted for; the counts must not exceed those invited.",
            code="ImpossibleCounts",
        )
    missed = invited - known
    took_part = complete + partial
    eligible = took_part + refused + missed + other
    contacted = took_part + refused + other
    rows = [
        ("RR1", complete, eligible + unknown, "I / (I + P + R + NC + O + U)", "complete, of all possibly eligible"),
        ("RR2", took_part, eligible + unknown, "(I + P) / (I + P + R + NC + O + U)", "complete or partial"),
        ("RR5", complete, eligible, "I / (I + P + R + NC + O)", "complete, of those known to be eligible"),
        ("RR6", took_part, eligible, "(I + P) / (I + P + R + NC + O)", "complete or partial, of those eligible"),
        ("COOP1", complete, contacted, "I / (I + P + R + O)", "complete, of those reached"),
        ("COOP2", took_part, contacted, "(I + P) / (I + P + R + O)", "complete or partial, of those reached"),
        ("REF1", refused, eligible + unknown, "R / (I + P + R + NC + O + U)", "refused"),
        ("CON1", contacted, eligible + unknown, "(I + P + R + O) / (I + P + R + NC + O + U)", "reached"),
    ]
    return pd.DataFrame(
        [(name, part / whole if whole else np.nan, formula, meaning) for name, part, whole, formula, meaning in rows],
        columns=["rate", "value", "formula", "meaning"],
    )
