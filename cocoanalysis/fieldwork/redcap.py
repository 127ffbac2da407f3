"""REDCap: a data dictionary out, its raw and label exports back.

Words cannot depend on an answer here, so a section with two forms of address is asked twice
(`mob1`, shown unless people rate themselves, and `mob1_self`). A dictionary holds one language; `write`
makes one file for each. The identifiers are fields that a survey link fills (`&collaboration=c7`),
hidden from respondents.
"""

from __future__ import annotations

import csv
import html
import re
from pathlib import Path
from typing import Any

import pandas as pd

from cocoanalysis.errors import PlatformError, one_of
from cocoanalysis.fieldwork.opening import head as first_rows
from cocoanalysis.fieldwork.opening import text_table, workbook_rows
from cocoanalysis.fieldwork.platforms import CodeMap, Head, Options, Platform, Raw, Source, register, write_code_map
from cocoanalysis.fieldwork.questionnaire import (
    AGREE,
    SELF,
    Question,
    Questionnaire,
    Section,
    asked_twice,
    both_addresses,
    questionnaire,
)
from cocoanalysis.instrument.model import in_language
from cocoanalysis.responses.matching import mark

COLUMNS = [
    "Variable / Field Name",
    "Form Name",
    "Section Header",
    "Field Type",
    "Field Label",
    "Choices, Calculations, OR Slider Labels",
    "Field Note",
    "Text Validation Type OR Show Slider Number",
    "Text Validation Min",
    "Text Validation Max",
    "Identifier?",
    "Branching Logic (Show field only if...)",
    "Required Field?",
    "Custom Alignment",
    "Question Number (surveys only)",
    "Matrix Group Name",
    "Matrix Ranking?",
    "Field Annotation",
]
NAME, FORM, HEADER, TYPE, LABEL, CHOICES = COLUMNS[:6]
LOGIC, REQUIRED, MATRIX, NOTE = COLUMNS[11], COLUMNS[12], COLUMNS[15], COLUMNS[17]
TECHNICAL = re.compile(r"redcap_(event_name|repeat_instrument|repeat_instance|data_access_group)|.*_timestamp")
LABELS = re.compile(r"Event Name|Repeat (Instrument|Instance)|Data Access Group|Survey Timestamp")
PERSONAL = frozenset({"redcap_survey_identifier", "Survey Identifier"})


# Out ------------------------------------------------------------------------------------------------


def write(
    survey: Any,
    path: str | Path,
    *,
    form: str = "full",
    version: int | None = None,
    language: str | None = None,
) -> list[Path]:
    """Write the questionnaire as REDCap data dictionaries, one for each language.

    Parameters
    ----------
    survey : Survey
    path : the .csv of the survey's first language; others get their code in the name (`mine.da.csv`)
    form, version : which form, and of a planned-missing form which version
    language : write this language only

    Returns
    -------
    list of the files and the code map

    Raises
    ------
    PlatformError : UnknownLanguage
    """
    if language is not None:
        one_of(language, survey.languages, "language of the survey", error=PlatformError, code="UnknownLanguage")
    asked, target = questionnaire(survey, form, version), Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    written = []
    for place, tongue in enumerate([language] if language else survey.languages):
        file = target if place == 0 else target.with_name(f"{target.stem}.{tongue}{target.suffix}")
        with file.open("w", encoding="utf-8", newline="") as handle:
            table = csv.DictWriter(handle, COLUMNS, restval="", quoting=csv.QUOTE_MINIMAL)
            table.writeheader()
            table.writerows(_rows(asked, tongue))
        written.append(file)
    columns = {id: id for id in [*asked.identifiers, *(question.id for question in asked.questions)]}
    return [*written, write_code_map(target, CodeMap(columns, {}, survey.id, survey.version, "redcap"))]


def escaped(text: str) -> str:
    """Text that REDCap shows as it stands: nothing piped, no field embedded, no HTML."""
    return html.escape(text, quote=False).replace("[", "&#91;").replace("{", "&#123;").replace("\n", " ")


def _rows(asked: Questionnaire, language: str) -> list[dict[str, str]]:
    rows = [_field(asked, "record_id", "text", "Record ID")]
    for name in asked.identifiers:
        rows.append({**_field(asked, name, "text", name), NOTE: "@HIDDEN-SURVEY"})
    repeated = _repeated(asked, language)
    for section in asked.sections:
        for address, part in asked_twice(section):
            rows += _section(asked, part, address, language, repeated)
    return rows


def _field(asked: Questionnaire, name: str, kind: str, label: str) -> dict[str, str]:
    return {NAME: name, FORM: asked.survey.id, TYPE: kind, LABEL: label}


def _repeated(asked: Questionnaire, language: str) -> set[str]:
    """Item words that occur in more than one section, which a label export could not tell apart."""
    asked_for = ((section, one) for section in asked.sections for one in section.questions)
    words = [
        (section.id, in_language(one.text[said], language)) for section, one in asked_for for said in ("other", "self")
    ]
    sections: dict[str, set[str]] = {}
    for id, text in words:
        sections.setdefault(text, set()).add(id)
    return {text for text, ids in sections.items() if len(ids) > 1}


def _section(
    asked: Questionnaire, section: Section, address: str | None, language: str, repeated: set[str]
) -> list[dict[str, str]]:
    said = address or "other"
    stem, rows = in_language(section.stem[said], language), []
    for question in section.questions:
        words = in_language(question.text[said], language)
        item = asked.survey.items.get(question.id.removesuffix(SELF))
        label = item.question(language, said) if words in repeated and item is not None else words
        row = _field(asked, question.id, _type(question), escaped(label))
        row[CHOICES] = " | ".join(f"{code}, {escaped(text)}" for code, text in _choices(question, language))
        row[LOGIC] = _logic(asked, question, address)
        row[REQUIRED] = "y" if question.kind == "consent" else ""
        if section.likert and len(section.questions) > 1:
            row[MATRIX] = f"m_{section.id}"
        rows.append(row | _limits(question))
    if stem:
        rows[0][HEADER] = escaped(stem)
    return rows


def _type(question: Question) -> str:
    return "text" if question.kind in ("number", "text") else "radio"


def _choices(question: Question, language: str) -> list[tuple[str, str]]:
    if question.kind == "consent":
        return [(code, in_language(words, language)) for code, words in AGREE.items()]
    return [(option.code, in_language(option.label, language).replace("|", "/")) for option in question.options]


def _limits(question: Question) -> dict[str, str]:
    if question.kind != "number":
        return {}
    low, high = (f"{limit:g}" if limit is not None else "" for limit in (question.minimum, question.maximum))
    return {COLUMNS[7]: "number", COLUMNS[8]: low, COLUMNS[9]: high}


def _logic(asked: Questionnaire, question: Question, address: str | None) -> str:
    parts = [] if question.kind == "consent" or not asked.survey.consent else ["[consent] = 'yes'"]
    if address is not None and asked.survey.address is not None:
        sign = "=" if address == "self" else "<>"
        parts.append(f"[{asked.survey.address.column}] {sign} '{asked.survey.address.self_}'")
    for name, values in question.show_if.items():
        parts.append("(" + " or ".join(f"[{name}] = '{value}'" for value in values) + ")")
    return " and ".join(parts)


# Back -----------------------------------------------------------------------------------------------


def sniff(head: Head) -> float:
    names = set(head.columns)
    raw = any(name.endswith("_complete") for name in names) and ("record_id" in names or _has(names, "_timestamp"))
    label = "Complete?" in names and bool({"Record ID", "Survey Timestamp", "Survey Identifier"} & names)
    return 0.9 if raw or label or "redcap_survey_identifier" in names else 0.0


def _has(names: set[str], ending: str) -> bool:
    return any(name.endswith(ending) for name in names)


def read(source: Source, survey: Any, options: Options) -> Raw:
    """A raw or a label export: a form that was never opened holds no answers, whatever its checkboxes say."""
    table, texts = _table(source)
    done = [name for name in table.columns if name.endswith("_complete") or name.startswith("Complete?")]
    extra = {}
    if done:
        states = table[done].astype(str)
        sent = states.isin(["2", "Complete"]).all(axis=1)
        extra["complete"] = sent.map({True: "true", False: "false"})
        table = table.drop(columns=done)
    table = table.replace({"[not completed]": mark("not_reached")})
    table = pd.concat([table, pd.DataFrame(extra, index=table.index)], axis=1)
    ids = {name: "response" for name in ("record_id", "Record ID") if name in table}
    return Raw(
        table,
        bindings={**both_addresses(table.columns, survey), **ids},
        texts=texts,
        personal=PERSONAL & set(table.columns),
        technical=frozenset(name for name in table.columns if TECHNICAL.fullmatch(name) or LABELS.match(name)),
    )


def _table(source: Source) -> tuple[pd.DataFrame, dict[str, str]]:
    """The answers, with columns of the same heading told apart, and what each was headed with."""
    header = [cell.strip() for cell in first_rows(source, 1).rows[0]]
    names = [
        name if header.count(name) == 1 else f"{name} ({header[:place].count(name) + 1})"
        for place, name in enumerate(header)
    ]
    texts = dict(zip(names, header))
    if source.kind == "xlsx":
        body = list(workbook_rows(source))[1:]
        return pd.DataFrame([row[: len(names)] for row in body], columns=names, dtype=object), texts
    return text_table(source, names=names).to_pandas().astype(object), texts


register(Platform("redcap", sniff=sniff, read=read, write=write, suffix=".csv", title="REDCap"))
