"""Questions to which several answers may be given: true or false for each, whatever the platform wrote.

Platforms write such a question as one cell (`a;b`, `a, b`, `a b`, a JSON list), or as one column an answer
(`q___a`, `q[a]`, `q/a`, `q_a`) that holds yes and no, 1 and 0, or the answer's own code or words. Both become
the columns `q__a`. A question in which nothing was chosen has no answer; why, is the same in all its columns.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from cocoanalysis.responses.matching import MARK, heading, plain
from cocoanalysis.responses.matching import options as answer_options

SPELLED = ("{}__{}", "{}___{}", "{}[{}]", "{}_{}", "{}/{}", "{}.{}", "{}-{}", "{}:{}")
HEADED = ("{} [{}]", "{} - {}", "{}/{}", "{} (choice={})", "{}: {}", "{} ({})", "{} {}", "{} - Selected Choice - {}")
SELF = "_self"
OTHER = "other"  # the code of the answer that is given in the respondent's own words
YES = {"true", "yes", "y", "1", "x", "checked", "selected", "ja", "wahr", "sandt", "valgt", "markeret", "afkrydset"}
YES |= {"ausgewählt", "gewählt", "oui", "quoted", "on", "✓", "✔", "☑"}
NO = {"false", "no", "n", "0", "unchecked", "not selected", "nej", "nein", "falsch", "falsk", "ikke valgt", "non"}
NO |= {"nicht gewählt", "nicht ausgewählt", "not quoted", "off", "☐", "-"}
LONGEST = 20_000  # characters of a cell that lists answers
BREAK = re.compile(r"\s*[;|,]\s*")
BLANK = re.compile(r"\s+")


def several(survey: Any) -> dict[str, Any]:
    """The questions to which several answers may be given, by id."""
    return {id: question for id, question in survey.background.items() if question.kind == "multiple"}


def ticks(survey: Any) -> dict[str, tuple[str, str]]:
    """Column `id__code` → (id, code), also for the codes that stand for no answer."""
    return {
        f"{id}__{code}": (id, code)
        for id, question in several(survey).items()
        for code in [*question.categories, *(gap.code for gap in question.missing)]
    }


def spellings(survey: Any, names: Mapping[str, str], codes: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """How platforms may head the column of one answer (in small letters) → `id__code`.

    ``names`` our id → what the platform calls the question, ``codes`` our id → {code of the platform: ours}.
    """
    found: dict[str, set[str]] = {}
    for tick, (id, code) in ticks(survey).items():
        theirs = [one for one, ours in codes.get(id, {}).items() if ours == code]
        for name in {id, id + SELF, names.get(id, id)}:
            for told in {*theirs, *([code] if code not in codes.get(id, {}) else [])}:
                for text in {told, re.sub(r"[^A-Za-z0-9]", "_", told)}:
                    for pattern in SPELLED:
                        found.setdefault(pattern.format(name, text).lower(), set()).add(tick)
    return {name: next(iter(hits)) for name, hits in found.items() if len(hits) == 1}


def headings(survey: Any, language: str | None) -> dict[str, set[str]]:
    """The words with which platforms head the column of one answer → `id__code`."""
    index: dict[str, set[str]] = {}
    for tick, (id, code) in ticks(survey).items():
        question = survey.background[id]
        gaps = {gap.code: gap.label for gap in question.missing}
        labels = question.categories.get(code) or gaps[code]
        for tongue in [language] if language else list(survey.languages):
            asked = {question.question.get(tongue, ""), question.label.get(tongue, "")}
            asked |= {words.get(tongue, "") for words in question.question_by_address.values()}
            for words in asked - {""} if labels.get(tongue) else ():
                for pattern in HEADED:
                    index.setdefault(heading(pattern.format(words, labels[tongue])), set()).add(tick)
    return index


@dataclass(frozen=True)
class Chosen:
    """What one cell says: the codes that were chosen, those said not to be, or why nothing was; or a fault."""

    yes: frozenset[str] = frozenset()
    no: frozenset[str] = frozenset()
    reason: str = ""
    fault: str = ""


def listed_answers(
    text: str,
    question: Any,
    *,
    language: str | None = None,
    codes: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    empty: Iterable[str] = (),
    spaced: bool = False,
) -> Chosen:
    """What a cell means that lists all answers given; ``spaced`` says that blanks separate words, as they do codes."""
    if text.startswith(MARK):
        return Chosen(reason=text[1:])
    told = plain(text)
    if told.strip(" ;,|") in {"", "[]", *empty}:
        return Chosen()
    words, bare = _vocabulary(question, language, codes, labels)
    names = _json_list(told)
    if names is not None:
        found = [words.get(plain(name)) for name in names]
        parts = None if None in found else [one for one in found if one]
    else:
        parts = _parts(plain(re.sub(r"[\r\n\t]+", ";", text.strip())), words, set(words) if spaced else bare)
    if parts is None:
        return Chosen(fault="a text that is no list of this question's answers")
    reasons, chosen = {one[1:] for one in parts if one[0] == MARK}, {one for one in parts if one[0] != MARK}
    if reasons and chosen:
        return Chosen(fault="an answer beside one that says there is none")
    return Chosen(yes=frozenset(chosen), no=frozenset(question.categories) - chosen, reason=min(reasons, default=""))


def _vocabulary(
    question: Any, language: str | None, codes: Mapping[str, str] | None, labels: Mapping[str, str] | None
) -> tuple[dict[str, str], set[str]]:
    """Words and codes → our code, or a marked reason; and which of them are codes."""
    own, by_label, missing = answer_options(question, language)
    words = {text: MARK + reason for text, reason in missing.items()}
    words |= {text: next(iter(hits)) for text, hits in by_label.items() if len(hits) == 1}
    words |= own
    words |= {plain(theirs): ours for theirs, ours in (codes or {}).items() if ours in own}
    words |= {plain(label): words[code] for code, label in (labels or {}).items() if code in words}
    return words, {*own, *(gap.code for gap in question.missing), *(codes or {})}


def _json_list(told: str) -> list[str] | None:
    if not (told.startswith("[") and told.endswith("]")):
        return None
    try:
        names = json.loads(told)
    except (ValueError, RecursionError):
        return None
    return [str(name) for name in names] if isinstance(names, list) else None


def _parts(told: str, words: Mapping[str, str], bare: set[str]) -> list[str] | None:
    """The answers of a list, whose words may hold the marks that separate them; None when it is no such list."""
    if len(told) > LONGEST:
        return None
    if whole := re.fullmatch(r"([+-]?\d+)\.0*", told):
        told = whole[1]
    longest = sorted(words, key=len, reverse=True)

    @cache
    def after(start: int) -> tuple[str, ...] | None:
        if start >= len(told):
            return ()
        for word in longest:
            if told.startswith(word, start):
                end = start + len(word)
                step = BREAK.match(told, end) or (BLANK.match(told, end) if word in bare else None)
                if end < len(told) and step is None:
                    continue
                rest = after(step.end() if step else end)
                if rest is not None:
                    return (words[word], *rest)
        return None

    try:
        found = after(0)
    except RecursionError:
        return None
    return None if found is None else list(found)


def one_answer(
    text: str, question: Any, code: str, *, language: str | None = None, empty: Iterable[str] = ()
) -> Chosen:
    """What a cell means in the column of one answer; any other words in the column of 'other' choose it."""
    if text.startswith(MARK):
        return Chosen(reason=text[1:])
    told = plain(text)
    if told in {"", *empty}:
        return Chosen()
    gaps = {gap.code: gap for gap in question.missing}
    labels = gaps[code].label if code in gaps else question.categories[code]
    missing = answer_options(question, language)[2]
    names = {code, *(plain(label) for label in labels.values())}
    told = told.removesuffix(".0") if re.fullmatch(r"[01]\.0", told) else told
    if told.lower() in NO and told not in names - {"0"}:
        return Chosen(no=frozenset({code}))
    if told in names or told.lower() in YES:
        return Chosen(reason=gaps[code].reason) if code in gaps else Chosen(yes=frozenset({code}))
    if told in missing:
        return Chosen(reason=missing[told])
    if code == OTHER:
        return Chosen(yes=frozenset({code}))
    return Chosen(fault="a text that says neither that the answer was chosen nor that it was not")


@dataclass
class Sheet:
    """The answers to one question, row by row: one column an answer, and the number of the reason of each row."""

    codes: Sequence[str]
    rows: int
    yes: np.ndarray = field(init=False)
    no: np.ndarray = field(init=False)
    unlisted: np.ndarray = field(init=False)
    why: np.ndarray = field(init=False)
    listing: bool = False

    def __post_init__(self) -> None:
        self.yes, self.no, self.unlisted = (np.zeros((self.rows, len(self.codes)), dtype=bool) for _ in range(3))
        self.why = np.full(self.rows, -1, dtype=np.int8)

    def add(self, cells: Sequence[Chosen], places: np.ndarray, reasons: Sequence[int], listing: bool) -> None:
        """One column of the file: its different cells, which of them each row holds, and their reasons' numbers.

        ``listing`` says that its cells list all answers, so that what they leave out was not chosen.
        """
        self.listing |= listing
        if not len(cells):
            return
        chosen, denied = (
            np.array([[code in getattr(cell, said) for code in self.codes] for cell in cells], dtype=bool)[places]
            for said in ("yes", "no")
        )
        self.yes |= chosen
        self.no |= denied
        if listing:
            self.unlisted |= denied
        told = np.asarray(reasons, dtype=np.int8)[places]
        self.why = np.where(told >= 0, told, self.why).astype(np.int8)

    def answered(self) -> np.ndarray:
        """The rows in which something was chosen; without a list, also those in which everything was denied."""
        chosen = np.asarray(self.yes.any(axis=1))
        return chosen if self.listing else chosen | (self.no.any(axis=1) & (self.why < 0))

    def contradicted(self, weak: Iterable[int]) -> np.ndarray:
        """The rows whose columns do not say the same; ``weak`` reasons only say that a column was left empty."""
        refused = (self.why >= 0) & ~np.isin(self.why, list(weak))
        return np.asarray((self.yes & self.unlisted).any(axis=1) | (self.yes.any(axis=1) & refused))


def untouched(table: Any, survey: Any) -> Any:
    """The table with empty cells where a platform writes 0 or no into every column of a question left empty."""
    known = {**{name: {tick} for name, tick in spellings(survey, {}, {}).items()}, **headings(survey, None)}
    groups: dict[str, list[str]] = {}
    for column in table.columns:
        hits = known.get(str(column).lower()) or known.get(heading(str(column))) or set()
        if len(hits) == 1:
            groups.setdefault(next(iter(hits)).partition("__")[0], []).append(column)
    made: dict[str, Any] = {}
    for columns in groups.values():
        told = table[columns].astype(str).map(lambda cell: plain(cell).lower())
        empty = told.isin([*NO, ""]).all(axis=1)
        made |= {column: table[column].mask(empty, "") for column in columns}
    return table.assign(**made)
