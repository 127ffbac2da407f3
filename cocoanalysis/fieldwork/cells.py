"""The columns of an export, bound to the survey and read cell by cell: a value, or the reason why there is none."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from cocoanalysis.errors import Diagnostic, ResponseError, listed
from cocoanalysis.fieldwork.platforms import CodeMap, Raw, Source
from cocoanalysis.fieldwork.questionnaire import AGREE
from cocoanalysis.responses.ledger import Entry, entry
from cocoanalysis.responses.matching import (
    META,
    Answers,
    Bindings,
    allowed_answers,
    bind,
    factorised,
    mark,
    mixed,
    plain,
    plain_texts,
    renamed,
    understand,
)
from cocoanalysis.responses.multiple import (
    Chosen,
    Sheet,
    headings,
    listed_answers,
    one_answer,
    several,
    spellings,
    ticks,
)
from cocoanalysis.responses.responses import reason_dtype

MONTHS = "jan|feb|mar|apr|maj|may|jun|jul|aug|sep|okt|oct|nov|dec"
SPREADSHEET_ID = (  # 1E5, 1.2E+05 · more than 15 digits ending in zeros · 3-May · May-23 · a date at midnight
    rf"(?i)^(\d(\.\d+)?e\+?\d+|\d{{14,}}00|\d{{1,2}}[-. /]({MONTHS})\w*|({MONTHS})\w*[-. /]\d{{1,4}}"
    r"|\d{4}-\d\d-\d\d[T ]00:00:00)$"
)


@dataclass
class Cells:
    """The work in hand while the columns of one export are read; every method leaves its line in the ledger."""

    raw: Raw
    survey: Any
    code_map: CodeMap
    source: Source
    empty: tuple[str, ...]
    invalid: str
    entries: tuple[Entry, ...] = ()
    data: dict[str, pd.Series] = field(default_factory=dict)
    why: dict[str, np.ndarray] = field(default_factory=dict)  # id → reason number of each row, −1 where answered
    reasons: list[str] = field(default_factory=lambda: list(reason_dtype().categories))
    faults: list[str] = field(default_factory=list)
    answered: dict[str, int] = field(default_factory=dict)  # how many different answers a column holds
    diagnostics: list[Diagnostic] = field(default_factory=list)
    keep: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=bool))
    bindings: Bindings = field(default_factory=lambda: Bindings({}))

    def line(self, step: str, rule: str, *, rows: int = 0, cells: int = 0, after: int | None = None) -> None:
        n = len(self.raw) if not len(self.keep) else int(self.keep.sum())
        self.entries += (entry(step, rule, n, rows=rows, cells=cells, after=after),)

    def _leave(self, rows: np.ndarray, rule: str) -> None:
        out = rows & self.keep
        if out.any():
            before = int(self.keep.sum())
            self.keep = self.keep & ~out
            self.entries += (entry("exclude", rule, before, rows=out.sum(), after=before - out.sum()),)

    # Columns ---------------------------------------------------------------------------------

    def columns(self) -> None:
        """Bind and read every column of the file."""
        self.keep = np.ones(len(self.raw), dtype=bool)
        self._bound()
        owners: dict[str, list[str]] = {}
        for column, id in self.bindings.columns.items():
            owners.setdefault(id, []).append(column)
        used: Counter[str] = Counter()
        for id, columns in self._several(owners).items():
            values, why, labelled = self._merged(id, columns)
            self.data[id], self.why[id] = values, why
            used.update({"labels": labelled, "columns": bool(labelled)})
        self._refused()
        if used["labels"]:
            self.line("recode", f"labels read as codes in {used['columns']} columns", cells=used["labels"])
        self._blank()
        self._absent()
        self._identified()

    def _bound(self) -> None:
        columns = [name for name in self.raw.columns if name not in self.raw.technical]
        given = {column: id for column, id in self.raw.bindings.items() if column in columns}
        names = {self._alias(key): self._alias(name) for key, name in self.code_map.columns.items()}
        codes = {id: self._codes(id) for id in several(self.survey)}
        self.bindings = bind(
            columns,
            self.survey,
            code_map=names,
            given=given,
            options=spellings(self.survey, names, codes),
            headings=headings(self.survey, self.source.options.language),
            texts=self.raw.texts,
            language=self.source.options.language,
        )
        renamed(self.bindings, self.survey)
        if not any(id in self.survey.items for id in self.bindings.columns.values()):
            raise ResponseError(
                f"No column of the file is an item of the survey '{self.survey.id}'. The file has {listed(columns)}; "
                f"the "
                f"items are {listed(self.survey.items)}. Give the right survey, or a code_map={{id: column}}.",
                code="NoItems",
            )
        self._left_out()

    def _alias(self, name: str) -> str:
        return self.raw.aliases.get(name, name)

    def _left_out(self) -> None:
        """Personal columns are dropped unless asked for; columns that are not bound are listed."""
        background, options = self.survey.background, ticks(self.survey)
        asked = {c: background.get(options.get(id, (id,))[0]) for c, id in self.bindings.columns.items()}
        personal = [column for column, question in asked.items() if question is not None and question.personal]
        personal += [c for c in self.bindings.unmatched if c in self.raw.personal]
        kept = dict(self.bindings.columns)
        unmatched = dict(self.bindings.unmatched)
        for column in personal:
            unmatched.pop(column, None)
            if self.source.options.keep_personal:
                kept.setdefault(column, column)
            else:
                kept.pop(column, None)
        self.bindings = Bindings(kept, self.bindings.how, unmatched)
        if personal and not self.source.options.keep_personal:
            words = f"personal columns dropped: {listed(personal, 30)}"
            self.line("read", words, cells=len(personal) * len(self.raw))
        if unmatched:
            words = f"columns that are no question of the survey left out: {listed(unmatched, 30)}"
            self.line("read", words, cells=len(unmatched) * len(self.raw))

    def _several(self, owners: Mapping[str, list[str]]) -> dict[str, list[str]]:
        """Questions with several answers are read from all their columns at once; gives the columns of the others."""
        options = ticks(self.survey)
        for id, question in several(self.survey).items():
            own = {name: columns for name, columns in owners.items() if name == id or options.get(name, ("",))[0] == id}
            if own:
                self._read_several(question, own)
        return {id: columns for id, columns in owners.items() if id not in options and id not in several(self.survey)}

    def _read_several(self, question: Any, owners: Mapping[str, list[str]]) -> None:
        """One question with several answers: true or false in `id__code`, or in all of them why there is no answer."""
        sheet = Sheet(list(question.categories), len(self.raw))
        for name, columns in owners.items():
            for column in columns:
                texts, codes = factorised(self.raw.column(column))
                cells = [self._chosen(question, name, column, text) for text in texts]
                faults = {text: cell.fault for text, cell in zip(texts, cells) if cell.fault}
                self._listed_faults(column, texts, codes, faults, question)
                reasons = [self._number("invalid" if cell.fault else cell.reason) for cell in cells]
                sheet.add(cells, codes, reasons, name == question.id)
        wrong = sheet.contradicted(self._number(reason) for reason in ("skipped", "not_asked", "not_reached"))
        if wrong.any():
            raise ResponseError(
                f"The columns {listed(repr(one) for columns in owners.values() for one in columns)} all hold answers "
                f"to '{question.id}' and do not say the same in {int(wrong.sum())} rows (first in row "
                f"{self.row(wrong)}). Drop those that do not count, or say so by code_map={{'{question.id}': column}}.",
                code="DuplicateBinding",
            )
        answered = sheet.answered()
        why = np.where(answered, -1, np.where(sheet.why < 0, self._number("skipped"), sheet.why)).astype(np.int8)
        for place, column in enumerate(question.columns):
            self.data[column] = pd.Series(pd.arrays.BooleanArray(sheet.yes[:, place].copy(), ~answered))
            self.why[column] = why

    def _chosen(self, question: Any, name: str, column: str, text: str) -> Chosen:
        language = self.source.options.language
        if name != question.id:
            code = ticks(self.survey)[name][1]
            return one_answer(text, question, code, language=language, empty=self.empty)
        codes, labels = self._codes(question.id), self.raw.labels.get(column)
        spaced = self.raw.spaced
        return listed_answers(
            text, question, language=language, codes=codes, labels=labels, empty=self.empty, spaced=spaced
        )

    def _codes(self, id: str) -> dict[str, str]:
        """Code of the platform → our code, from the platform's module and the code map."""
        return {**self.raw.codes.get(id, {}), **self.code_map.codes.get(id, {})}

    def _merged(self, id: str, columns: Sequence[str]) -> tuple[pd.Series, np.ndarray, int]:
        """The answers to one question, which may stand in one column for each form of address."""
        values, why, labelled = self._read(id, columns[0])
        for column in columns[1:]:
            more, reason, more_labelled = self._read(id, column)
            both = (why < 0) & (reason < 0)
            if both.any():
                raise ResponseError(
                    f"The columns {listed(map(repr, columns))} all hold answers to '{id}', {int(both.sum())} rows in "
                    f"two of "
                    f"them (first in row {self.row(both)}). Say by code_map={{'{id}': column}} which one counts.",
                    code="DuplicateBinding",
                )
            values = values.where(why < 0, more)
            told = np.where(self._weaker(why, reason), reason, why)
            why = np.where((why < 0) | (reason < 0), -1, told)
            labelled += more_labelled
        return values, why, labelled

    def _weaker(self, why: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Where the first of two columns says less: 'not asked' less than 'left empty', that less than a reason."""
        hidden, empty = self._number("not_asked"), self._number("skipped")
        first, second = (np.where(one == hidden, 0, np.where(one == empty, 1, 2)) for one in (why, other))
        return second > first

    def _read(self, id: str, column: str) -> tuple[pd.Series, np.ndarray, int]:
        """One column: values, reason numbers, and how many cells were labels."""
        if self._is_name(id):
            return self._names(column)
        texts, codes = factorised(self.raw.column(column))
        answers = self._meaning(id, column, texts)
        counts = np.bincount(codes, minlength=len(texts))
        self._fault(column, texts, codes, answers, id)
        reason = np.full(len(texts) + 1, -1, dtype=np.int8)
        for place, text in enumerate(texts):
            if text not in answers.values:
                reason[place] = self._number(answers.reasons.get(text, "invalid"))
        why = np.take(reason, codes)
        self.answered[id] = sum(counts[place] > 0 for place in range(len(texts)) if reason[place] < 0)
        labelled = int(sum(counts[place] for place, text in enumerate(texts) if text in answers.labelled))
        return self._typed(id, texts, answers, codes, why), why, labelled

    def _is_name(self, id: str) -> bool:
        """An identifier without declared missing codes: nothing to look up for each of its many texts."""
        question = self.survey.background.get(id)
        return _kind(id, self.survey) == "identifier" and not (question is not None and question.missing)

    def _names(self, column: str) -> tuple[pd.Series, np.ndarray, int]:
        """A column of identifiers."""
        texts = plain_texts(self.raw.column(column))
        self._damaged(column, texts)
        nobody = pc.or_kleene(pc.is_null(texts), pc.starts_with(texts, mark("")))
        blank = nobody.to_numpy()
        marked = pc.if_else(nobody, pa.scalar(None, pa.string()), texts)
        why = np.where(blank, self._number("skipped"), -1).astype(np.int8)
        return pd.Series(marked.to_pandas().array.astype("str")), why, 0

    def _meaning(self, id: str, column: str, texts: Sequence[str]) -> Answers:
        question = self.survey.items.get(id) or self.survey.background.get(id)
        if question is None:
            return _technical(texts, META[id].kind if id in META else "text")
        return understand(
            texts,
            question,
            language=self.source.options.language,
            codes=self._codes(id),
            labels=self.raw.labels.get(column),
            empty=self.empty,
        )

    def _typed(self, id: str, texts: Sequence[str], answers: Answers, codes: np.ndarray, why: np.ndarray) -> pd.Series:
        known = [answers.values.get(text) for text in texts]
        kind = _kind(id, self.survey)
        if kind == "item":
            table = np.array([0 if value is None else value for value in [*known, None]], dtype=np.int64)
            return pd.Series(pd.arrays.IntegerArray(np.take(table, codes), why >= 0))
        if kind == "number":
            table = np.array([np.nan if value is None else value for value in [*known, None]], dtype=float)
            return pd.Series(table[codes])
        if kind == "boolean":
            table = np.array([bool(value) for value in [*known, None]])
            return pd.Series(pd.arrays.BooleanArray(table[codes], why >= 0))
        words = pd.array([None if value is None else str(value) for value in [*known, None]], dtype="str")
        return pd.Series(words.take(codes))

    def _number(self, reason: str) -> int:
        """The number of a reason; −1 for none."""
        if not reason:
            return -1
        if reason not in self.reasons:
            self.reasons.append(reason)
        return self.reasons.index(reason)

    # Faults ----------------------------------------------------------------------------------

    def row(self, rows: np.ndarray) -> int:
        """The number in the file of the first of these rows."""
        return int(np.flatnonzero(rows)[0]) + self.raw.first_row

    def _fault(self, column: str, texts: Sequence[str], codes: np.ndarray, answers: Answers, id: str) -> None:
        question = self.survey.items.get(id) or self.survey.background.get(id)
        both = mixed(answers) if question is not None else None
        if both:
            raise ResponseError(
                f"The column '{column}' mixes codes ({both[0]} different) with labels ({both[1]} different); it must "
                f"hold "
                "one or the other. Export codes, or labels, for the whole column.",
                code="MixedCodes",
            )
        self._listed_faults(column, texts, codes, answers.faults, question)

    def _listed_faults(
        self, column: str, texts: Sequence[str], codes: np.ndarray, faults: Mapping[str, str], question: Any
    ) -> None:
        """Each kind of fault of a column, counted, with its first row."""
        counts = np.bincount(codes, minlength=len(texts))
        for why, bad in _by_reason(faults).items():
            places = [place for place, text in enumerate(texts) if text in bad]
            n = int(counts[places].sum())
            row = self.row(np.isin(codes, places))
            allowed = f"; allowed are {allowed_answers(question)}" if question is not None else ""
            self.faults.append(f"'{column}': {n} cells hold {why} (first in row {row}{allowed})")
            if self.invalid == "missing":
                self.line("recode", f"invalid answers in '{column}' set to missing: {why}", cells=n)

    def _damaged(self, column: str, texts: pa.ChunkedArray) -> None:
        """Refuse identifiers that a spreadsheet has turned into numbers or dates."""
        rows = pc.fill_null(pc.match_substring_regex(texts, SPREADSHEET_ID), False).to_numpy()
        if rows.any():
            raise ResponseError(
                f"{int(rows.sum())} cells of the identifier '{column}' (first in row {self.row(rows)}) look like ids "
                f"that a "
                "spreadsheet turned into numbers or dates (as 1E5, 3-May, or more than 15 digits); persons may have "
                "been "
                "merged. Export the file again and read it without opening it in a spreadsheet.",
                code="SpreadsheetId",
            )

    def _refused(self) -> None:
        if self.faults and self.invalid == "error":
            texts = [fault for fault in self.faults if "no label" in fault]
            code = "UnknownLabel" if len(texts) == len(self.faults) else "OutsideOptions"
            raise ResponseError(
                f"Answers that the survey '{self.survey.id}' does not allow. {'; '.join(self.faults[:8])}"
                f"{f'; and {len(self.faults) - 8} more' if len(self.faults) > 8 else ''}. Correct the file or the "
                f"survey; "
                "codes of missing answers belong into the scale under 'missing'; empty=('NA',) names marks for empty "
                "cells; "
                "invalid='missing' sets them to missing and counts them.",
                code=code,
            )

    # Items that are not there, identifiers ------------------------------------------------------

    def _blank(self) -> None:
        """Rows of a text file in which every cell is empty, as spreadsheets leave them at the end."""
        if self.source.kind == "text" and self.why:
            self._leave(np.logical_and.reduce([why >= 0 for why in self.why.values()]), "empty rows left out")

    def _absent(self) -> None:
        """Items without a column were not asked; a construct that is there in part is said."""
        n = len(self.raw)
        absent = [id for id in self.survey.items if id not in self.data]
        for id in absent:
            self.data[id] = pd.Series(pd.arrays.IntegerArray(np.zeros(n, dtype=np.int64), np.ones(n, dtype=bool)))
            self.why[id] = np.full(n, self._number("not_asked"), dtype=np.int8)
        if absent:
            self.line("missing", f"items without a column, not asked: {listed(absent, 12)}", cells=n * len(absent))
        present = set(self.survey.items) - set(absent)
        if any(set(self.survey.form_items(form)) <= present for form in ("full", *self.survey.forms)):
            return
        part = [
            f"{one.id} (without {listed(id for id in one.items if id in absent)})"
            for one in self.survey.constructs.values()
            if 0 < sum(id in present for id in one.items) < len(one.items)
        ]
        if part:
            words = f"The file has only a part of {listed(part, 6)}; their scores follow the rule for missing items."
            self.diagnostics.append(Diagnostic("PartialScale", words, "warning"))

    def _identified(self) -> None:
        """Every row gets a respondent; rows without an id are numbered."""
        name = self.survey.respondent or "respondent"
        numbers = pd.Series(np.arange(len(self.raw)) + self.raw.first_row).astype(str)
        if name not in self.data:
            source = self.data.get("response")
            self.data[name] = source.copy() if source is not None else ("row" + numbers).astype("str")
            self.why[name] = np.full(len(self.raw), -1, dtype=np.int8)
            self.line(
                "read", f"no column '{name}': ids made from {'response ids' if source is not None else 'row numbers'}"
            )
        nobody = self.data[name].isna().to_numpy() & self.keep
        if nobody.any():
            self.data[name] = self.data[name].where(~nobody, "row" + numbers).astype("str")
            self.why[name] = np.where(nobody, -1, self.why[name]).astype(np.int8)
            self.line("read", f"rows without '{name}' named by their row number", rows=int(nobody.sum()))


def _kind(id: str, survey: Any) -> str:
    """How the column of an id is kept: item, number, boolean, identifier or text."""
    if id in survey.items:
        return "item"
    if id in survey.background:
        kind = survey.background[id].kind
        return {"numeric": "number", "identifier": "identifier"}.get(kind, "text")
    if id in {survey.respondent, survey.cluster, survey.organisation, "response"}:
        return "identifier"
    return {"time": "text"}.get(META[id].kind, META[id].kind) if id in META else "text"


TRUE = {"true", "yes", "y", "1", "complete", "ja", "wahr", "sandt", "oui"}
FALSE = {"false", "no", "n", "0", "incomplete", "nej", "nein", "falsch", "falsk", "non"}
TRUE |= {words.lower() for words in AGREE["yes"].values()}
FALSE |= {words.lower() for words in AGREE["no"].values()}


def _number(told: str) -> float | None:
    """A finite number, also with a decimal comma that can be nothing else; None for any other text."""
    if re.fullmatch(r"[+-]?\d+,(\d\d?|\d{4,})", told):
        told = told.replace(",", ".")
    if not re.fullmatch(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", told):
        return None
    return float(told) if abs(float(told)) < 1e150 else None


def _technical(texts: Sequence[str], kind: str) -> Answers:
    """Cells of a technical column: text, number or true/false."""
    values: dict[str, Any] = {}
    reasons: dict[str, str] = {}
    faults: dict[str, str] = {}
    for text in texts:
        told = plain(text)
        if text.startswith(mark("")):
            reasons[text] = text[1:]
        elif not told:
            reasons[text] = "skipped"
        elif kind == "number":
            if (number := _number(told)) is None:
                faults[text] = "no number"
            else:
                values[text] = number
        elif kind == "boolean" and told.lower() in TRUE | FALSE:
            values[text] = told.lower() in TRUE
        elif kind == "boolean":
            faults[text] = "neither true nor false"
        else:
            values[text] = told
    return Answers(values, reasons, faults=faults)


def _by_reason(faults: Mapping[str, str]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for text, why in faults.items():
        found.setdefault(why, set()).add(text)
    return found
