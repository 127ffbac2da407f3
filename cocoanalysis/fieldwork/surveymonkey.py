"""SurveyMonkey: its CSV and XLSX exports, with two header rows, back.

The first row holds the questions, the second what stands below each: 'Response', an answer of a question with
several, a row of a matrix. The questions are matched by their words. The layout is that of SurveyMonkey's
documentation; it was tried on files made in that shape, not on an account.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pandas as pd

from cocoanalysis.fieldwork.opening import head as first_rows
from cocoanalysis.fieldwork.opening import text_table, workbook_rows
from cocoanalysis.fieldwork.platforms import Head, Options, Platform, Raw, Source, register
from cocoanalysis.responses.matching import heading, question_index
from cocoanalysis.responses.multiple import OTHER, several, untouched

MARKS = {
    "respondent id": "response",
    "start date": "started",
    "end date": "ended",
    "date created": "started",
    "date modified": "ended",
}
OWN = {"collector id", "custom data 1", "tags"}
PERSONAL = {"ip address", "email address", "first name", "last name", "custom data 1"}
ALONE = {"response", "open-ended response", "svar", "antwort", "offene antwort", "åbent svar", ""}
WRITTEN_IN = ("other (please specify)", "andet (angiv venligst)", "sonstiges (bitte angeben)")


def sniff(head: Head) -> float:
    names = {cell.strip().lower() for cell in head.columns}
    return 0.9 if head.kind in ("text", "xlsx") and {"respondent id", "collector id"} <= names else 0.0


def read(source: Source, survey: Any, options: Options) -> Raw:
    """An export with one or two header rows; the questions are named by both."""
    rows = [list(row) for row in first_rows(source, 2).rows]
    two = len(rows) > 1 and not rows[1][0].strip()
    names = _names(rows[0], rows[1] if two else [])
    above = 2 if two else 1
    if source.kind == "xlsx":
        cells = [
            [*row, *[""] * len(names)][: len(names)] for row in itertools.islice(workbook_rows(source), above, None)
        ]
        table = pd.DataFrame(cells, columns=names, dtype=object)
    else:
        table = text_table(source, names=names, skip=above).to_pandas().astype(object)
    marks = {name: MARKS[name.lower()] for name in names if name.lower() in MARKS}
    return Raw(
        untouched(table, survey),
        bindings={**marks, **_in_own_words(names, survey)},
        personal=frozenset(name for name in names if name.lower() in PERSONAL),
        technical=frozenset(name for name in names if name.lower() in OWN - PERSONAL),
        first_row=above + 1,
    )


def _names(questions: Sequence[str], below: Sequence[str]) -> list[str]:
    """Unique names: a question, with the words below it in brackets where they say more."""
    made: list[str] = []
    question = ""
    for cell, told in itertools.zip_longest(questions, below, fillvalue=""):
        question, told = cell.strip() or question, told.strip()
        made.append(question if told.lower() in ALONE else f"{question} [{told}]")
    counts = [made[:place].count(name) for place, name in enumerate(made)]
    return [f"{name} ({count + 1})" if count else name for name, count in zip(made, counts)]


def _in_own_words(names: Sequence[str], survey: Any) -> dict[str, str]:
    """The column for an answer in own words → the answer 'other' of a question with several."""
    found: dict[str, str] = {}
    index = question_index(survey)
    for name in names:
        question, _, told = name.rpartition(" [")
        hits = index.get(heading(question), set()) if told.rstrip("]").lower() in WRITTEN_IN else set()
        ids = [id for id in hits if id in several(survey) and OTHER in survey.background[id].categories]
        if len(ids) == 1:
            found[name] = f"{ids[0]}__{OTHER}"
    return found


register(Platform("surveymonkey", sniff=sniff, read=read, title="SurveyMonkey"))
