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
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from cocoanalysis.fieldwork.opening import head as first_rows
from cocoanalysis.fieldwork.opening import text_table, workbook_rows
from cocoanalysis.fieldwork.platforms import Head, Options, Platform, Raw, Source, register
from cocoanalysis.fieldwork.questionnaire import (
    AGREE,
    SELF,
    Grammar,
    Question,
    Questionnaire,
    Section,
    asked_twice,
    both_addresses,
    coded,
    conditions,
    files_by_language,
    questionnaire,
    recoded,
    written,
)
from cocoanalysis.instrument.model import in_language
from cocoanalysis.responses.matching import known_ids, mark
from cocoanalysis.responses.multiple import untouched

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
NAME, FORM, HEADER, TYPE, LABEL, CHOICES, HINT, VALIDATION, LOWEST, HIGHEST, IDENTIFIER = COLUMNS[:11]
LOGIC, REQUIRED, MATRIX, NOTE = COLUMNS[11], COLUMNS[12], COLUMNS[15], COLUMNS[17]
GRAMMAR = Grammar("[{name}] = '{code}'", "[{name}({code})] = '1'")
TECHNICAL = re.compile(r"redcap_(event_name|repeat_instrument|repeat_instance|data_access_group)|.*_timestamp")
LABELS = re.compile(r"Event Name|Repeat (Instrument|Instance)|Data Access Group|Survey Timestamp")
EVENTS = r"redcap_(event_name|repeat_instrument|repeat_instance)|Event Name|Repeat (Instrument|Instance)"
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
    asked, target = questionnaire(survey, form, version), Path(path)
    files = []
    for tongue, file in files_by_language(survey, target, language):
        with file.open("w", encoding="utf-8", newline="") as handle:
            table = csv.DictWriter(handle, COLUMNS, restval="", quoting=csv.QUOTE_MINIMAL)
            table.writeheader()
            table.writerows(_rows(asked, tongue))
        files.append(file)
    return written(asked, files, "redcap", recoded(asked.questions, platform_codes))


def platform_codes(question: Question) -> dict[str, str]:
    """Our code → REDCap's: itself where it is of letters, digits, `_`, `.` and `-`, else A and a number.

    The code of a checkbox becomes part of a column's name, without capitals, points and hyphens.
    """
    return coded(question, r"[a-z0-9_]+" if question.kind == "multiple" else r"[A-Za-z0-9_.-]+", "A")


def escaped(text: str) -> str:
    """Text that REDCap shows as it stands: nothing piped, no field embedded, no HTML."""
    return html.escape(text, quote=False).replace("[", "&#91;").replace("{", "&#123;").replace("\n", " ")


def _rows(asked: Questionnaire, language: str) -> list[dict[str, str]]:
    rows = [_field(asked, "record_id", "text", "Record ID")]
    for name in asked.identifiers:
        rows.append({**_field(asked, name, "text", name), NOTE: "@HIDDEN-SURVEY"})
    repeated = _repeated(asked, language)
    rows += _note(asked, "introduction", asked.survey.introduction, language)
    for section in asked.sections:
        for address, part in asked_twice(section):
            rows += _section(asked, part, address, language, repeated)
    return rows + _note(asked, "thanks", asked.survey.thanks, language)


def _note(asked: Questionnaire, name: str, text: Mapping[str, str], language: str) -> list[dict[str, str]]:
    """Words to read, which are no question."""
    told = escaped(in_language(text, language))
    return [_field(asked, f"note_{name}", "descriptive", told)] if told else []


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
        row[IDENTIFIER] = "y" if question.personal else ""
        row[NOTE] = _alone(question)
        if section.grid:
            row[MATRIX] = f"m_{section.id}"
        rows.append(row | _typed(question, language))
    if stem:
        rows[0][HEADER] = escaped(stem)
    return rows


def _type(question: Question) -> str:
    return {"number": "text", "text": "text", "multiple": "checkbox"}.get(question.kind, "radio")


def _choices(question: Question, language: str) -> list[tuple[str, str]]:
    if question.kind == "consent":
        return [(code, in_language(words, language)) for code, words in AGREE.items()]
    codes = platform_codes(question)
    return [(codes[one.code], in_language(one.label, language).replace("|", "/")) for one in question.choices]


def _alone(question: Question) -> str:
    """The tag of checkboxes that say why there is no answer: ticking one unticks the others."""
    codes = [platform_codes(question)[option.code] for option in question.alone]
    return f"@NONEOFTHEABOVE='{','.join(codes)}'" if codes else ""


def _typed(question: Question, language: str) -> dict[str, str]:
    """What a typed answer must be, and which codes may stand for it."""
    note = {HINT: escaped(question.hint(language))}
    if question.kind != "number":
        return note
    limits = {name: f"{limit:g}" for name, limit in question.limits.items()}
    return {**note, VALIDATION: "number", LOWEST: limits.get("min", ""), HIGHEST: limits.get("max", "")}


def _logic(asked: Questionnaire, question: Question, address: str | None) -> str:
    parts = [] if question.kind == "consent" or not asked.survey.consent else ["[consent] = 'yes'"]
    if address is not None and asked.survey.address is not None:
        sign, column, own = "=" if address == "self" else "<>", asked.survey.address.column, asked.survey.address.self_
        codes = next((platform_codes(one) for one in asked.questions if one.id == column), {})
        parts.append(f"[{column}] {sign} '{codes.get(own, own)}'")
    shown = conditions(asked, question, GRAMMAR, platform_codes)
    return " and ".join([*parts, *shown])


# Back -----------------------------------------------------------------------------------------------


def sniff(head: Head) -> float:
    if head.kind not in ("text", "xlsx"):
        return 0.0
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
    table = untouched(table.replace({"[not completed]": mark("not_reached")}), survey)
    table = pd.concat([table, pd.DataFrame(extra, index=table.index)], axis=1)
    record = next(iter(table.columns), "")  # the record's id stands first, whatever it is called
    ids = {record: "response"} if record not in known_ids(survey) else {}
    others = [name for name in table.columns if re.fullmatch(EVENTS, name)]
    asked = questionnaire(survey)
    return Raw(
        table,
        bindings={**both_addresses(table.columns, survey), **ids},
        texts=texts,
        codes=recoded(asked.questions, platform_codes),
        personal=PERSONAL & set(table.columns),
        technical=frozenset(name for name in table.columns if TECHNICAL.fullmatch(name) or LABELS.match(name)),
        rows="events or repeating instruments" if others else "",
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
