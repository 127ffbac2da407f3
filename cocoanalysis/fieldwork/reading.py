"""From an export to Responses: `read_responses`.

The platform's module gives rows of text; here they are bound to the survey, every cell becomes
a value or a missing reason, rules about rows are applied, and each change gets a ledger line.
"""

from __future__ import annotations

import hashlib
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from cocoanalysis.errors import Diagnostic, PlatformError, ResponseError, listed, one_of
from cocoanalysis.fieldwork.opening import head, opened, sheet_heads
from cocoanalysis.fieldwork.platforms import (
    CodeMap,
    Head,
    Options,
    Platform,
    Raw,
    Source,
    code_map_beside,
    named,
    read_code_map,
    sniffed,
)
from cocoanalysis.fieldwork.questionnaire import AGREE
from cocoanalysis.responses.ledger import Entry, entry
from cocoanalysis.responses.matching import (
    META,
    Answers,
    Bindings,
    allowed_answers,
    bind,
    factorised,
    heading,
    known_ids,
    mark,
    mixed,
    plain,
    plain_texts,
    question_index,
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
from cocoanalysis.responses.responses import Responses, reason_dtype
from cocoanalysis.responses.scoring import key_check, keyed
from cocoanalysis.result import PROVENANCES

MONTHS = "jan|feb|mar|apr|maj|may|jun|jul|aug|sep|okt|oct|nov|dec"
SPREADSHEET_ID = (  # 1E5, 1.2E+05 · more than 15 digits ending in zeros · 3-May · May-23 · a date at midnight
    rf"(?i)^(\d(\.\d+)?e\+?\d+|\d{{14,}}00|\d{{1,2}}[-. /]({MONTHS})\w*|({MONTHS})\w*[-. /]\d{{1,4}}"
    r"|\d{4}-\d\d-\d\d[T ]00:00:00)$"
)
ZONE = r"(?:Z|[+-]\d\d:?\d\d)$"
DUPLICATES = ("error", "first", "last", "fullest")
READING_RULES = ("previews, tests and spam left out", "did not agree to take part, left out")
NOT_LIVE = ("preview", "test", "spam")


def read_responses(
    path: str | Path,
    survey: Any,
    *,
    platform: str = "auto",
    code_map: Mapping[str, str] | str | Path | None = None,
    language: str | None = None,
    keep_personal: bool = False,
    duplicates: str = "error",
    invalid: str = "error",
    empty: Iterable[str] = (),
    already_reversed: Iterable[str] = (),
    encoding: str | None = None,
    delimiter: str | None = None,
) -> Responses:
    """Read an export of a survey platform, or any table with one row a response.

    Parameters
    ----------
    path : CSV, TSV, XLSX, Parquet, SPSS or Stata file
    survey : the survey that was fielded
    platform : name of the platform, or 'auto' to judge by the shape of the header
    code_map : our id → column, or the file that an export wrote (found by itself beside the export)
    language : language of labels and question texts in the file; None accepts all of the survey's
    keep_personal : keep columns that identify a person
    duplicates : what to do when a response id, or a respondent in a collaboration, occurs twice:
        'error', or keep the 'first', the 'last' or the 'fullest' row
    invalid : 'error', or 'missing' to set answers outside the options to missing (counted)
    empty : texts that stand for an empty cell, such as 'NA' in files written by R
    already_reversed : items whose answers were reversed before; they are turned back
    encoding, delimiter : of a text file, where they cannot be told from the file

    Returns
    -------
    Responses, with a ledger line for everything that was changed or left out

    Raises
    ------
    PlatformError : the file cannot be understood (NoResponses, RaggedRow, EncodingError, UnknownExport, …)
    ResponseError : the answers contradict the survey (UnknownLanguage, OutsideOptions, MixedCodes, RenamedColumn,
        DuplicateResponse, VersionMismatch, …); no message shows an answer

    Examples
    --------
    >>> import cocoanalysis as coco
    >>> survey = coco.read_survey("surveys/unit-climate")
    >>> responses = coco.read_responses("surveys/unit-climate/responses.csv", survey)
    >>> len(responses), responses.provenance
    (2042, 'public real')
    """
    one_of(duplicates, DUPLICATES, "rule for duplicates", error=ResponseError)
    one_of(invalid, ("error", "missing"), "rule for invalid answers", error=ResponseError)
    if not hasattr(survey, "item_ids"):
        raise ResponseError(
            f"The second argument must be a survey; a {type(survey).__name__} came. "
            "Read it first: coco.read_survey(folder).",
            code="NotASurvey",
        )
    source = opened(path, Options(language, encoding, delimiter, keep_personal))
    if language is not None:
        one_of(language, survey.languages, "language of the survey", error=ResponseError, code="UnknownLanguage")
    source, told = _sheet(source, survey)
    first = head(source)
    door = sniffed(first) if platform == "auto" else named(platform)
    if door.read is None:
        raise PlatformError(f"Files of '{door.name}' cannot be read.", code="UnknownPlatform")
    doubts = _unlikely(door, first) if platform != "auto" else []
    raw = door.read(source, survey, source.options)
    digest = _digest(source.path)
    sample = _sample(survey, digest)
    mapped = _code_map(code_map, source.path, survey, sample)
    reading = Reading(raw, survey, mapped, source, tuple(empty), invalid)
    found = "sniffed" if platform == "auto" else "named"
    reading.line("read", f"read {source.path.name} as {door.name} ({found}), sha256 {digest[:12]}", rows=len(raw))
    if told:
        reading.line("read", told)
    reading.entries += raw.entries
    reading.diagnostics += doubts
    reading.columns()
    if not len(raw):
        raise PlatformError(
            f"{source.path.name} has a header but no responses below it. Export the file again when somebody has "
            "answered, and with all responses, not only the complete ones.",
            code="NoResponses",
        )
    reading.outside()
    reading.timed()
    reading.statuses()
    reading.turned_back(list(already_reversed))
    reading.unasked()
    reading.repeated(duplicates)
    return reading.responses(_provenance(reading, sample))


def _sheet(source: Source, survey: Any) -> tuple[Source, str]:
    """The sheet of a workbook that asks most of the survey's questions, and a line for the ledger if there are more."""
    heads = sheet_heads(source) if source.kind == "xlsx" else []
    if len(heads) < 2:
        return source, ""
    known = {*(id.lower() for id in known_ids(survey)), *question_index(survey), *spellings(survey, {}, {})}
    counts = [
        max((sum(bool(_names_of(cell) & known) for cell in set(row)) for row in rows), default=0) for _, rows in heads
    ]
    best = counts.index(max(counts))
    if counts.count(counts[best]) > 1 and counts[best] > 0:
        twins = [name for (name, _), count in zip(heads, counts) if count == counts[best]]
        raise PlatformError(
            f"{source.path.name} has several sheets with the survey's questions ({listed(map(repr, twins))}); save the "
            "one to read as a file of its own.",
            code="AmbiguousSheet",
        )
    return replace(source, sheet=best), f"sheet '{heads[best][0]}' of {len(heads)} read"


def _names_of(cell: str) -> set[str]:
    """What a header cell may be called: itself, as a text, and without the groups before it."""
    return {cell.strip().lower(), heading(cell), re.split(r"[/.\[\]-]", cell.strip().rstrip("]"))[-1].lower()}


def _unlikely(door: Platform, head: Head) -> list[Diagnostic]:
    """A doubt about a platform that was named for a file that does not look like it.

    Raises
    ------
    PlatformError : WrongPlatform, where that platform cannot have written such a file
    """
    if door.sniff is None or door.sniff(head) > 0:
        return []
    seen = sniffed(head)
    words = f"{head.source.path.name} was read as an export of {door.title or door.name}, as you asked"
    if door.name in ("spss", "stata") or head.kind not in ("text", "xlsx"):
        raise PlatformError(
            f"{head.source.path.name} is no export of {door.title or door.name}; it is like {seen.title or seen.name}."
            f" Leave platform= out, or say platform='{seen.name}'.",
            code="WrongPlatform",
        )
    advice = f"it looks like {seen.title or seen.name}. Check the ledger, or leave platform= out."
    return [Diagnostic("UnlikelyPlatform", f"{words}, but {advice}", "warning")]


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sample(survey: Any, digest: str) -> Any:
    """The survey's own entry for this very file, by its content; None when there is none."""
    for sample in survey.samples:
        if sample.sha256:
            known = sample.sha256
        else:
            file = Path(survey.folder) / sample.file
            known = _digest(file) if file.is_file() else ""
        if known == digest:
            return sample
    return None


def _code_map(given: Any, path: Path, survey: Any, sample: Any) -> CodeMap:
    if given is None:
        beside = code_map_beside(path)
        given = beside if beside is not None else dict(sample.code_map) if sample is not None else {}
    code_map = CodeMap(columns=dict(given)) if isinstance(given, Mapping) else read_code_map(Path(given))
    if code_map.survey and (code_map.survey, code_map.version) != (survey.id, survey.version):
        raise _other_version(survey, f"{code_map.survey} {code_map.version}", "its code map")
    return code_map


def _other_version(survey: Any, came: str, where: str) -> ResponseError:
    return ResponseError(
        f"The answers were given to {came} (says {where}), but the survey is {survey.id} {survey.version}. Read them "
        "with the survey that was fielded; coco.compare_surveys(old, new) says which scores may be compared.",
        code="VersionMismatch",
    )


def _provenance(reading: Reading, sample: Any) -> str:
    """Where the answers come from: what the file says itself, else what the survey says of this file."""
    column = reading.data.get("provenance")
    told = sorted(set(column.dropna())) if column is not None else []
    if len(told) > 1 or any(one not in PROVENANCES for one in told):
        raise ResponseError(
            f"The column 'provenance' must hold one of {listed(PROVENANCES)}, the same in every row.",
            code="UnknownProvenance",
        )
    known = [sample.provenance] if sample is not None else []
    if told and known and told != known:
        raise ResponseError(
            f"The file calls itself {told[0]}, but survey.yaml calls it {known[0]}; correct one of them.",
            code="ProvenanceConflict",
        )
    return (told or known or ["yours"])[0]


@dataclass
class Reading:
    """The work in hand while one export is read; every method leaves its line in the ledger."""

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
            raise _other_version(self.survey, f"version {listed(sorted(other))}", "the column 'surveyversion'")
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

    def _leave(self, rows: np.ndarray, rule: str) -> None:
        out = rows & self.keep
        if out.any():
            before = int(self.keep.sum())
            self.keep = self.keep & ~out
            self.entries += (entry("exclude", rule, before, rows=out.sum(), after=before - out.sum()),)

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
        yield from key_check(responses).diagnostics


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
