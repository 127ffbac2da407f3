"""XLSForm, for ODK, KoboToolbox and SurveyCTO: a workbook out, their CSV and XLSX exports back.

Words cannot depend on an answer here, so a section with two forms of address is asked twice
(`mob1` about others, `mob1_self` about oneself, shown by the rating source) and joined again on reading.
The identifiers are text questions that a web form fills from the link (`?d[collaboration]=c7`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from cocoanalysis.arguments import new_file
from cocoanalysis.fieldwork.opening import text_table, unique_names, workbook_rows
from cocoanalysis.fieldwork.platforms import Head, Options, Platform, Raw, Source, register
from cocoanalysis.fieldwork.questionnaire import (
    AGREE,
    Grammar,
    Question,
    Questionnaire,
    Section,
    asked_twice,
    both_addresses,
    coded,
    conditions,
    language_name,
    questionnaire,
    recoded,
    written,
)
from cocoanalysis.instrument.model import in_language
from cocoanalysis.responses.multiple import spellings

GRAMMAR = Grammar("${{{name}}} = '{code}'", "selected(${{{name}}}, '{code}')")
TYPES = {"number": "decimal", "text": "text"}
SET_BY_LINK = {"en": "Set by the link.", "da": "Sættes af linket.", "de": "Wird vom Link gesetzt."}
MARKS = {
    "start": "started",
    "end": "ended",
    "starttime": "started",
    "endtime": "ended",
    "duration": "seconds",
    "_id": "response",
    "KEY": "response",
    "meta/instanceID": "response",
    "_uuid": "response",
}
OURS = {"SubmissionDate", "_submission_time", "_uuid", "_id", "KEY", "instanceID", "meta/instanceID", "meta-instanceID"}
TECHNICAL = re.compile(
    r"_(index|parent_index|parent_table_name|tags|notes|status|validation_status|submitted_by)|__.*|deviceid|DeviceID|device_info"
    r"|note_(introduction|thanks)|formdef_version|FormVersion|.*instanceName|.*Attachments.*|ReviewState|Edits|Status|.*rootUuid"
)
PERSONAL = frozenset(
    {"username", "SubmitterName", "SubmitterID", "_submitted_by", "phonenumber", "email", "_geolocation"}
)


# Out ------------------------------------------------------------------------------------------------


def write(survey: Any, path: str | Path, *, form: str = "full", version: int | None = None) -> list[Path]:
    """Write the questionnaire as an XLSForm workbook, with its code map beside it.

    Parameters
    ----------
    survey : Survey
    path : the .xlsx to write
    form, version : which form, and of a planned-missing form which version

    Returns
    -------
    list of the workbook and its code map
    """
    from openpyxl import Workbook

    asked = questionnaire(survey, form, version)
    book = Workbook()
    book.remove(book.active)
    for title, rows in (
        ("survey", _survey_rows(asked)),
        ("choices", _choice_rows(asked)),
        ("settings", [_settings(asked)]),
    ):
        _fill(book.create_sheet(title), rows)
    target = new_file(path)
    book.save(target)
    return written(asked, [target], "xlsform", recoded(asked.questions, platform_codes))


def platform_codes(question: Question) -> dict[str, str]:
    """Our code → that of the choice: itself where it is of letters, digits, `_`, `.` and `-`, else A and a number."""
    return coded(question, r"[A-Za-z0-9_.-]+", "A")


def _fill(sheet: Any, rows: list[dict[str, str]]) -> None:
    header = list(dict.fromkeys(name for row in rows for name in row))
    sheet.append(header)
    for row in rows:
        sheet.append([row.get(name, "") for name in header])
    for cells in sheet.iter_rows():
        for cell in cells:
            if cell.value:
                cell.data_type = "s"  # text that begins with = stays text


def _settings(asked: Questionnaire) -> dict[str, str]:
    survey = asked.survey
    return {
        "form_title": survey.title.get(survey.languages[0], survey.id),
        "form_id": survey.id if asked.version is None else f"{survey.id}_{asked.form}{asked.version}",
        "version": survey.version,
        "default_language": _language(survey.languages[0]),
        "style": "pages",
    }


def _language(code: str) -> str:
    return f"{language_name(code).partition(' (')[0]} ({code})"


def _words(asked: Questionnaire, column: str, text: Mapping[str, str]) -> dict[str, str]:
    return {f"{column}::{_language(code)}": escaped(in_language(text, code)) for code in asked.survey.languages}


def escaped(text: str) -> str:
    """Text that ODK and Kobo show as it stands: no references, no Markdown, no HTML."""
    text = text.replace("${", "$ {").replace("<", "‹").replace(">", "›")
    return re.sub(r"(?<!\w)([*_`#])(?=\S)|([*_`])(?!\w)", lambda found: "\\" + found.group(), text)


def _survey_rows(asked: Questionnaire) -> list[dict[str, str]]:
    rows = [{"type": "start", "name": "started"}, {"type": "end", "name": "ended"}]
    for name in asked.identifiers:
        label = asked.survey.background[name].label if name in asked.survey.background else {"en": name}
        row = {"type": "text", "name": name, **_words(asked, "label", label)}
        rows.append({**row, **_words(asked, "hint", SET_BY_LINK), "relevant": ""})
    rows += _note(asked, "introduction", asked.survey.introduction)
    for section in asked.sections:
        for address, part in asked_twice(section):
            rows += _section(asked, part, address)
    return rows + _note(asked, "thanks", asked.survey.thanks)


def _note(asked: Questionnaire, name: str, text: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"type": "note", "name": f"note_{name}", **_words(asked, "label", text)}] if text else []


def _section(asked: Questionnaire, section: Section, address: str | None) -> list[dict[str, str]]:
    said = address or "other"
    shown = [] if section.id == "consent" or not asked.survey.consent else ["${consent} = 'yes'"]
    if address is not None and asked.survey.address is not None:
        sign, column = "=" if address == "self" else "!=", asked.survey.address.column
        codes = next((platform_codes(one) for one in asked.questions if one.id == column), {})
        shown.append(f"${{{column}}} {sign} '{codes.get(asked.survey.address.self_, asked.survey.address.self_)}'")
    rows = [_question(asked, question, said) for question in section.questions]
    if len(rows) == 1 and not section.stem[said]:
        rows[0]["relevant"] = " and ".join([*shown, *filter(None, [rows[0].get("relevant", "")])])
        return rows
    begin = {"type": "begin_group", "name": f"g_{section.id}", **_words(asked, "label", section.stem[said])}
    begin |= {"relevant": " and ".join(shown), "appearance": "field-list"}
    return [begin, *rows, {"type": "end_group", "name": f"g_{section.id}"}]


def _question(asked: Questionnaire, question: Question, address: str) -> dict[str, str]:
    row = {"name": question.id, **_words(asked, "label", question.text[address])}
    row["relevant"] = " and ".join(conditions(asked, question, GRAMMAR, platform_codes))
    if question.kind == "consent":
        return {"type": "select_one agree", **row, "required": "yes"}
    if question.kind == "multiple":
        alone = [f"selected(., '{platform_codes(question)[option.code]}')" for option in question.alone]
        row["constraint"] = f"not(({' or '.join(alone)}) and count-selected(.) > 1)" if alone else ""
        return {"type": f"select_multiple {_list_name(question)}", **row}
    if question.choices:
        return {"type": f"select_one {_list_name(question)}", **row}
    row |= _words(asked, "hint", {code: question.hint(code) for code in asked.survey.languages})
    limits = [(">=", question.minimum), ("<=", question.maximum)]
    allowed = " and ".join(f". {sign} {limit:g}" for sign, limit in limits if limit is not None)
    row["constraint"] = " or ".join([f"({allowed})", *(f". = {one.code}" for one in question.typed)]) if allowed else ""
    return {"type": TYPES[question.kind], **row}


def _list_name(question: Question) -> str:
    """Questions with the same options share a list, named after them."""
    codes = "_".join(option.code for option in question.options)
    return re.sub(r"\W", "_", f"{question.kind}_{codes}")[:60] + f"_{_fingerprint(question)}"


def _fingerprint(question: Question) -> str:
    import hashlib

    told = repr([(option.code, sorted(option.label.items())) for option in question.options])
    return hashlib.sha256(told.encode()).hexdigest()[:6]


def _choice_rows(asked: Questionnaire) -> list[dict[str, str]]:
    rows = [{"list_name": "agree", "name": code, **_words(asked, "label", label)} for code, label in AGREE.items()]
    seen = {"agree"}
    for question in asked.questions:
        name = _list_name(question) if question.choices else "agree"
        if name not in seen:
            seen.add(name)
            codes = platform_codes(question)
            rows += [
                {"list_name": name, "name": codes[one.code], **_words(asked, "label", one.label)}
                for one in question.choices
            ]
    return rows


# Back -----------------------------------------------------------------------------------------------


def sniff(head: Head) -> float:
    if head.kind not in ("text", "xlsx"):
        return 0.0
    found = OURS & set(head.columns)
    return 0.9 if len(found) > 1 else 0.6 if found and any("/" in name for name in head.columns) else 0.0


def read(source: Source, survey: Any, options: Options) -> Raw:
    """An export of ODK Central, KoboToolbox or SurveyCTO: group prefixes taken off, both forms of address joined."""
    table = _table(source)
    several = set(spellings(survey, {}, {}))
    names = {column: _last(column, several) for column in table.columns}
    twice = {name for name in names.values() if list(names.values()).count(name) > 1}
    table = table.rename(columns={column: name for column, name in names.items() if name not in twice})
    return Raw(
        table,
        bindings={**both_addresses(table.columns, survey), **_marks(table.columns)},
        codes=recoded(questionnaire(survey).questions, platform_codes),
        personal=PERSONAL & set(table.columns),
        technical=frozenset(name for name in table.columns if name in OURS or TECHNICAL.fullmatch(name)),
        spaced=True,
    )


def _table(source: Source) -> pd.DataFrame:
    if source.kind != "xlsx":
        return text_table(source).to_pandas().astype(object)
    rows = workbook_rows(source)
    names = unique_names(next(rows, []), source)
    return pd.DataFrame([row[: len(names)] for row in rows], columns=names, dtype=object)


def _last(column: str, several: set[str]) -> str:
    """'g_mobilising/mob1' and 'g_mobilising-mob1' are mob1; the platform's names stay, and 'q/a' of several answers."""
    parts = re.split(r"[/-]", column)
    pair = "/".join(parts[-2:])
    return column if column in OURS else pair if pair.lower() in several else parts[-1] or column


def _marks(columns: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for column in columns:
        mark = MARKS.get(column)
        if mark and mark not in found.values():
            found[column] = mark
    return found


register(
    Platform(
        "xlsform", sniff=sniff, read=read, write=write, suffix=".xlsx", title="ODK, KoboToolbox and SurveyCTO (XLSForm)"
    )
)
