"""Rules about the rows of an export that has been read: previews, refusals, what was not asked, duplicates."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from cocoanalysis.errors import Diagnostic, ResponseError, listed
from cocoanalysis.fieldwork.cells import Cells
from cocoanalysis.responses.matching import plain_texts
from cocoanalysis.responses.responses import Responses
from cocoanalysis.responses.scoring import key_check, keyed

MAIL = r"[^@\s]@[^@\s]+\.[A-Za-z]"
ZONE = r"(?:Z|[+-]\d\d:?\d\d)$"
READING_RULES = ("previews, tests and spam left out", "did not agree to take part, left out")
NOT_LIVE = ("preview", "test", "spam")


@dataclass
class Rows(Cells):
    """The same work when every column is read: rows are left out, completed or settled, each with its line."""

    def timed(self) -> None:
        """Seconds from opening to saving, in UTC, where the platform gives two times instead."""
        if "seconds" in self.data or not {"started", "ended"} <= set(self.data):
            return
        times = [self.data[name] for name in ("started", "ended")]
        zoned = [set(one.dropna().str.contains(ZONE).unique()) for one in times]
        if zoned[0] | zoned[1] == {True, False}:
            words = "Some times have an offset from UTC and some have none, so no duration can be told."
            self.diagnostics.append(Diagnostic("MixedTimeZones", words, "warning"))
            return
        seconds = _seconds(*times)
        if seconds is None:
            words = (
                "The times in 'started' and 'ended' may be read with the day or the month first; no duration is told."
            )
            self.diagnostics.append(Diagnostic("AmbiguousDates", words, "warning"))
            return
        wrong = (seconds < 0).to_numpy()
        if wrong.any():
            words = (
                f"{int(wrong.sum())} responses end before they began (first in row {self.row(wrong)}), as at the end "
                f"of "
                "summer time in files without an offset; their duration is missing."
            )
            self.diagnostics.append(Diagnostic("NegativeDuration", words, "warning"))
        self.data["seconds"] = seconds.where(~wrong)
        absent = self.data["seconds"].isna().to_numpy()
        self.why["seconds"] = np.where(absent, self._number("invalid"), -1).astype(np.int8)
        self.line("read", "seconds made from started and ended", rows=int((~absent).sum()))

    # Rules about rows ---------------------------------------------------------------------------

    def outside(self) -> None:
        """Rows of other events or forms leave, when they hold no answer to this survey."""
        if self.raw.rows:
            own = [one for one in self.survey.background.values() if one.kind != "identifier"]
            background = [name for one in own for name in one.columns]
            asked = [name for name in [*self.survey.items, *background] if name in self.why]
            empty = np.logical_and.reduce([self.why[name] >= 0 for name in asked])
            self._leave(empty, f"rows of other {self.raw.rows}, without an answer to this survey, left out")

    def statuses(self) -> None:
        """Previews, tests, spam and refusals to take part leave; partial responses stay and are counted."""
        version = self.data.get("surveyversion")
        if version is not None and (other := set(version.dropna()) - {self.survey.version}):
            raise other_version(self.survey, f"version {listed(sorted(other))}", "the column 'surveyversion'")
        status = self.data.get("status")
        if status is not None:
            told = status.str.lower()
            self._leave(told.isin(NOT_LIVE).to_numpy(dtype=bool), READING_RULES[0])
        consent = self.data.get("consent")
        if consent is not None:
            self._leave((~consent).fillna(False).to_numpy(dtype=bool), READING_RULES[1])
        complete = self.data.get("complete")
        if complete is not None:
            partial = int(((~complete).fillna(False).to_numpy(dtype=bool) & self.keep).sum())
            self.line("note", "partial responses kept (exclude them by rule: not complete)", rows=partial)

    def turned_back(self, items: list[str]) -> None:
        """Items that were reversed before are turned back, so that the key turns them exactly once."""
        for id in items:
            if id not in self.survey.items or self.survey.items[id].key > 0:
                turned = [one for one, item in self.survey.items.items() if item.key < 0]
                raise ResponseError(
                    f"'{id}' in already_reversed is no reverse-keyed item; those are {listed(turned, 40)}.",
                    code="NotReverseKeyed",
                )
            values = self.data[id].to_numpy(dtype=float, na_value=np.nan)[:, None]
            back = keyed(values, [self.survey.items[id]])[:, 0]
            there = ~np.isnan(back)
            whole = np.where(there, back, 0).astype(np.int64)
            self.data[id] = pd.Series(pd.arrays.IntegerArray(whole, ~there))
            self.line("recode", f"{id} was reversed before: turned back", cells=int(there.sum()))

    def unasked(self) -> None:
        """Empty cells of questions that were not shown, or not reached, say so."""
        self._not_in_form()
        self._not_shown()
        self._not_reached()
        self._counted()

    def _change(self, id: str, rows: np.ndarray, reason: str) -> int:
        cells = rows & (self.why[id] == self._number("skipped"))
        if cells.any():
            self.why[id] = np.where(cells, self._number(reason), self.why[id]).astype(np.int8)
        return int(cells.sum())

    def _not_in_form(self) -> None:
        column = self.data.get("form")
        for told in sorted(set(column.dropna())) if column is not None else []:
            name, _, version = told.partition(":")
            asked = set(self.survey.form_items(name, int(version) if version.isdigit() else None))
            rows = (column == told).to_numpy(dtype=bool)
            n = sum(self._change(id, rows, "not_asked") for id in self.survey.items if id not in asked)
            self.line("missing", f"not asked in form {told}", rows=int(rows.sum()), cells=n)

    def _not_shown(self) -> None:
        questions = [*self.survey.items.values(), *self.survey.background.values()]
        for question in questions:
            conditions = dict(question.show_if)
            if question.id in self.survey.items:
                conditions |= dict(self.survey.constructs[question.construct].show_if)
            columns = [name for name in getattr(question, "columns", (question.id,)) if name in self.data]
            if not columns or not conditions:
                continue
            hidden = np.zeros(len(self.raw), dtype=bool)
            for other, shown in conditions.items():
                given = self._given(other, [str(value) for value in shown])
                hidden |= ~given if given is not None else False
            for column in columns:
                self._change(column, hidden, "not_asked")

    def _given(self, id: str, answers: Sequence[str]) -> np.ndarray | None:
        """The rows in which a question has one of these answers; None where the file does not hold it."""
        question = self.survey.background.get(id)
        if question is not None and question.kind == "multiple":
            there = [self.data[f"{id}__{code}"] for code in answers if f"{id}__{code}" in self.data]
            return np.logical_or.reduce([one.fillna(False).to_numpy(dtype=bool) for one in there]) if there else None
        return self.data[id].astype("str").isin(answers).to_numpy(dtype=bool) if id in self.data else None

    def _not_reached(self) -> None:
        complete = self.data.get("complete")
        if complete is None:
            return
        partial = np.flatnonzero(~complete.fillna(True).to_numpy(dtype=bool))
        order = [id for id in asked_order(self.survey) if id in self.data]
        answered = np.column_stack([self.why[id][partial] < 0 for id in order]) if order else np.zeros((0, 0), bool)
        later = np.logical_or.accumulate(answered[:, ::-1], axis=1)[:, ::-1]
        rows = np.zeros(len(self.raw), dtype=bool)
        for place, id in enumerate(order):
            rows[:] = False
            rows[partial] = ~later[:, place]
            self._change(id, rows, "not_reached")

    def _counted(self) -> None:
        """One ledger line for each reason why an item has no answer."""
        for number, reason in enumerate(self.reasons):
            cells = sum(np.count_nonzero(self.why[id] == number) for id in self.survey.items)
            if cells:
                self.line("missing", f"{reason}: items without an answer", cells=int(cells))

    # Duplicates ---------------------------------------------------------------------------------

    def repeated(self, rule: str) -> None:
        """A response id, or a respondent in a collaboration, that occurs twice is refused or settled by rule."""
        read = set(self.bindings.columns.values())  # ids that were made from row numbers are no one's
        for keys in (["response"], [self.survey.respondent, self.survey.cluster]):
            if keys[0] in read:
                self._settled(rule, [key for key in dict.fromkeys(keys) if key and key in self.data])

    def _settled(self, rule: str, keys: list[str]) -> None:
        """One row for each combination of these ids; a row whose id is missing repeats nobody."""
        table = pd.DataFrame({key: pd.factorize(self.data[key].array)[0] for key in keys})
        rows = np.flatnonzero(self.keep & self._known(keys[0]))
        table = table.iloc[rows]
        twice = table.duplicated(keep=False).to_numpy()
        if not twice.any():
            return
        if rule == "error":
            raise ResponseError(
                f"{int(twice.sum())} rows share their {' and '.join(keys)} with another (rows "
                f"{listed(rows[twice] + self.raw.first_row, 8)}). Correct the ids, or say which row counts: "
                "duplicates='first', 'last' or 'fullest'.",
                code="DuplicateResponse",
            )
        full = -sum((self.why[id][rows] < 0).astype(int) for id in self.survey.items)
        order = np.argsort(full, kind="stable") if rule == "fullest" else np.arange(len(table))
        again = table.iloc[order].duplicated(keep="last" if rule == "last" else "first").to_numpy()
        out = np.zeros(len(self.raw), dtype=bool)
        out[rows[order[again]]] = True
        self._leave(out, f"repeated {' and '.join(keys)}: the {rule} row kept")

    def _known(self, key: str) -> np.ndarray:
        """The rows in which the file itself holds this id."""
        columns = [column for column, id in self.bindings.columns.items() if id == key]
        blank = [plain_texts(self.raw.column(column)).is_null().to_numpy() for column in columns]
        return ~np.logical_and.reduce(blank)

    # The result ---------------------------------------------------------------------------------

    def responses(self, provenance: str) -> Responses:
        """What was read, as Responses."""
        own = [self.survey.respondent or "respondent", self.survey.cluster, self.survey.organisation]
        background = [column for question in self.survey.background.values() for column in question.columns]
        order = [*own, *background, *self.survey.items, *self.data]
        names = [name for name in dict.fromkeys(order) if name in self.data and name != "provenance"]
        dtype = pd.CategoricalDtype(self.reasons)
        whole = bool(self.keep.all())
        index = pd.RangeIndex(len(self.keep)) if whole else pd.Index(np.flatnonzero(self.keep))
        rows: Any = slice(None) if whole else self.keep
        answers = pd.DataFrame({name: self.data.pop(name).array[rows] for name in names}, index=index, copy=False)
        reasons = pd.DataFrame(
            {name: pd.Categorical.from_codes(self.why.pop(name)[rows], dtype=dtype) for name in names},
            index=index,
            copy=False,
        )
        made = Responses(
            self.survey,
            answers,
            reasons,
            self.entries,
            provenance,
            unmatched=self.bindings.table().query("id == ''")[["column", "candidates"]].reset_index(drop=True),
        )
        return replace(made, diagnostics=(*self.diagnostics, *self._doubts(made)))

    def _doubts(self, responses: Responses) -> Iterator[Diagnostic]:
        """What a reader must know: constant and empty items, keys that the answers contradict."""
        if not len(responses):
            yield Diagnostic("NobodyLeft", "No response is left after the rules that the ledger lists.", "warning")
            return
        asked = [id for id in self.survey.item_ids() if id in self.answered]
        constant = [id for id in asked if self.answered[id] == 1 and len(self.raw) > 1]
        if constant:
            words = f"Everybody gave the same answer to {listed(constant)}; no correlation can be computed with it."
            yield Diagnostic("ConstantItem", words, "warning")
        nobody = [id for id in asked if self.answered[id] == 0 and len(self.raw)]
        if nobody:
            yield Diagnostic("EmptyItem", f"Nobody answered {listed(nobody)}.", "warning")
        yield from self._identifier_doubts(responses.frame)
        yield from key_check(responses).diagnostics

    def _identifier_doubts(self, frame: pd.DataFrame) -> Iterator[Diagnostic]:
        """Answers that belong to no collaboration, and identifiers that say who somebody is."""
        cluster = self.survey.cluster
        if cluster and (cluster not in frame or frame[cluster].isna().all()):
            words = f"No answer says which '{cluster}' it belongs to; what compares or groups by it cannot be computed."
            yield Diagnostic("NoCluster", words, "warning")
        named = [one for one in (self.survey.respondent, cluster, self.survey.organisation) if one in frame]
        telling = [one for one in dict.fromkeys(named) if _occurs(MAIL, frame[one])]
        if telling:
            words = (
                f"{listed(telling)} holds e-mail addresses, which stay in what is written. Replace them by codes, "
                "as cocoanalysis.responses.pseudonyms does."
            )
            yield Diagnostic("PersonalIdentifier", words, "warning")


def _occurs(pattern: str, texts: pd.Series) -> bool:
    cells = pa.array(texts.astype("str"), type=pa.string(), from_pandas=True)
    return bool(pc.any(pc.match_substring_regex(cells, pattern)).as_py())


def _seconds(started: pd.Series, ended: pd.Series) -> pd.Series | None:
    """Seconds from one time to the other, missing where one cannot be read; None where the day may be the month."""
    start, end = (pd.to_datetime(one, utc=True, format="ISO8601", errors="coerce") for one in (started, ended))
    told = started.notna() & ended.notna()
    if (start.notna() & end.notna())[told].any() or not told.any():
        return (end - start).dt.total_seconds()
    found = []
    for order in ({"dayfirst": True}, {"dayfirst": False}):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a day that cannot be a month
            read = [
                pd.to_datetime(one[told], utc=True, errors="coerce", format=_order(one[told], **order))
                for one in (started, ended)
            ]
        found.append((read[1] - read[0]).dt.total_seconds().reindex(started.index))
    whole = [one for one in found if one[told].notna().all()]
    if len(whole) == 2 and not whole[0].equals(whole[1]):
        return None
    return max(found, key=lambda one: int(one.notna().sum()))


def _order(times: pd.Series, dayfirst: bool) -> str:
    """The pattern of times that are no ISO dates, with the day or the month first, from the first of them."""
    first = str(times.iloc[0])
    day, _, clock = first.partition(" ")
    mark = next((one for one in "/.-" if one in day), "/")
    parts = ["%d", "%m"] if dayfirst else ["%m", "%d"]
    year = "%Y" if re.search(r"\d{4}", day) else "%y"
    hour = "%I" if re.search(r"[AP]M", clock) else "%H"
    colon = "." if re.match(r"\d+\.\d", clock) else ":"
    pattern = mark.join([*parts, year]) + " " + colon.join([hour, "%M", "%S"][: clock.count(colon) + 1])
    return pattern + (" %p" if hour == "%I" else "")


def asked_order(survey: Any) -> list[str]:
    """The columns of items and background questions in the order in which they are asked."""
    named = [
        id for name in survey.order for id in (survey.constructs[name].items if name in survey.constructs else [name])
    ]
    asked = [id for id in dict.fromkeys([*named, *survey.items]) if id in survey.items or id in survey.background]
    return [name for id in asked for name in (survey.background[id].columns if id in survey.background else [id])]


def other_version(survey: Any, came: str, where: str) -> ResponseError:
    return ResponseError(
        f"The answers were given to {came} (says {where}), but the survey is {survey.id} {survey.version}. Read them "
        "with the survey that was fielded; coco.compare_surveys(old, new) says which scores may be compared.",
        code="VersionMismatch",
    )
