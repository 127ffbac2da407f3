"""SurveyJS: the questionnaire as the JSON that its form library shows, and flattened results back.

A set of items is a matrix shown as a list (`displayMode: "list"`), because its table hides answers on narrow
screens. Words cannot depend on an answer in several languages here, so a section with two forms of address is
asked twice (`mob1`, and `mob1_self` for those who rate themselves) and joined again on reading.

The identifiers are hidden questions; the page that shows the form fills them from its link, as in
``survey.mergeData(Object.fromEntries(new URLSearchParams(location.search)))``. Results are objects
(``{"mobilising": {"mob1": 3}}``); as a CSV their columns are `mobilising.mob1`, which `read_responses` knows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from cocoanalysis.arguments import new_file
from cocoanalysis.errors import PlatformError
from cocoanalysis.fieldwork.opening import cell_text, decoded, text_table
from cocoanalysis.fieldwork.platforms import CodeMap, Head, Options, Platform, Raw, Source, register, write_code_map
from cocoanalysis.fieldwork.questionnaire import (
    AGREE,
    SELF,
    Grammar,
    Question,
    Questionnaire,
    Section,
    asked_twice,
    both_addresses,
    by_language,
    conditions,
    questionnaire,
)
from cocoanalysis.responses.matching import known_ids

TYPES = {
    "consent": "radiogroup",
    "likert": "radiogroup",
    "choice": "radiogroup",
    "multiple": "checkbox",
    "number": "text",
    "text": "comment",
}
GRAMMAR = Grammar("{{{name}}} = '{code}'", "{{{name}}} contains '{code}'", "{section}.{id}")
DEFAULT = "en"  # the language that SurveyJS means by 'default'
ELEMENT = re.compile(r"(?P<list>[a-z][a-z0-9]{0,18})\.\d+")
NESTED = re.compile(rf"[a-z][a-z0-9]{{0,18}}({SELF})?\.(?P<id>[a-z][a-z0-9]{{0,18}}({SELF})?)")


# Out ------------------------------------------------------------------------------------------------


def write(survey: Any, path: str | Path, *, form: str = "full", version: int | None = None) -> list[Path]:
    """Write the questionnaire as SurveyJS JSON, in all languages.

    Parameters
    ----------
    survey : Survey
    path : the .json to write
    form, version : which form, and of a planned-missing form which version

    Returns
    -------
    list of the file and its code map
    """
    asked, target = questionnaire(survey, form, version), new_file(path)
    target.write_text(
        json.dumps(definition(asked), ensure_ascii=False, indent=1) + "\n", encoding="utf-8", newline="\n"
    )
    columns = {name: name for name in asked.identifiers}
    columns |= {one.id: _column(section, one) for section in asked.sections for one in section.questions}
    return [target, write_code_map(target, CodeMap(columns, {}, survey.id, survey.version, "surveyjs"))]


def definition(asked: Questionnaire) -> dict[str, Any]:
    """The form as SurveyJS's JSON."""
    survey = asked.survey
    made: dict[str, Any] = {"title": _words(asked, survey.title)}
    if survey.introduction:
        made["description"] = _words(asked, survey.introduction)
    if survey.thanks:
        made["completedHtml"] = _words(asked, {lang: _html(text) for lang, text in survey.thanks.items()})
    if survey.languages[0] != DEFAULT:
        made["locale"] = survey.languages[0].lower()
    made |= {"showQuestionNumbers": "off", "showProgressBar": "top", "checkErrorsMode": "onNextPage"}
    made["pages"] = _pages(asked)
    if survey.consent:
        made["triggers"] = [{"type": "complete", "expression": "{consent} = 'no'"}]
    return made


def escaped(text: str) -> str:
    """Text in which SurveyJS puts no answer: an invisible joiner after each brace that would open a name."""
    return text.replace("{", "{\u2060")


def _html(text: str) -> str:
    """Text for the one place that SurveyJS shows as HTML."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _words(asked: Questionnaire, text: Mapping[str, str]) -> dict[str, str] | str:
    """Words by locale (in small letters there: `pt-br`); 'default' is English, or else the first language."""
    told = {language: escaped(words) for language, words in by_language(text, asked.survey.languages).items() if words}
    first = DEFAULT if DEFAULT in told else next(iter(told), "")
    if not told:
        return ""
    others = {language.lower(): words for language, words in told.items() if language != DEFAULT}
    return {"default": told[first], **others}


def _pages(asked: Questionnaire) -> list[dict[str, Any]]:
    """The identifiers with the first page, single questions in a row on one page, each set of items on its own."""
    hidden = [
        {"type": "text", "name": name, "visible": False, "clearIfInvisible": "none"} for name in asked.identifiers
    ]
    pages: list[dict[str, Any]] = [{"name": "start", "elements": hidden}]
    singles = False
    for section in asked.sections:
        alone = len(section.questions) > 1 or section.id == "consent"
        if (alone and section.id != "consent") or (not alone and not singles):
            pages.append({"name": f"page{len(pages)}", "elements": []})
        singles = not alone
        for address, part in asked_twice(section):
            pages[-1]["elements"] += _section(asked, part, address)
    return [page for page in pages if page["elements"]]


def _section(asked: Questionnaire, section: Section, address: str | None) -> list[dict[str, Any]]:
    said = address or "other"
    if section.grid:
        return [_matrix(asked, section, said, address)]
    return [_single(asked, section, one, said, address) for one in section.questions]


def _matrix(asked: Questionnaire, section: Section, said: str, address: str | None) -> dict[str, Any]:
    first = section.questions[0]
    made: dict[str, Any] = {"type": "matrix", "name": section.id, "displayMode": "list"}
    made["title"] = _words(asked, section.stem[said]) or _words(asked, section.label)
    if condition := _address_condition(asked, address):
        made["visibleIf"] = condition
    if section.random_order:
        made["rowsOrder"] = "random"
    made["columns"] = _choices(asked, first)
    made["rows"] = []
    for question in section.questions:
        row = {"value": question.id, "text": _words(asked, question.text[said])}
        if shown := _shown(asked, question):
            row["visibleIf"] = shown
        made["rows"].append(row)
    return made


def _single(
    asked: Questionnaire, section: Section, question: Question, said: str, address: str | None
) -> dict[str, Any]:
    stem = section.stem[said]
    text = {lang: f"{stem.get(lang, '')} {words}".strip() for lang, words in question.text[said].items()}
    made: dict[str, Any] = {"type": TYPES[question.kind], "name": question.id, "title": _words(asked, text)}
    if condition := " and ".join(filter(None, [_address_condition(asked, address), _shown(asked, question)])):
        made["visibleIf"] = condition
    if question.kind == "consent":
        made["isRequired"] = True
    if question.kind == "number":
        made |= {"inputType": "number", **question.limits}
    if question.typed:
        made["description"] = _words(asked, {lang: question.hint(lang) for lang in asked.survey.languages})
    if TYPES[question.kind] in ("radiogroup", "checkbox"):
        made["choices"] = _choices(asked, question)
    return made


def _choices(asked: Questionnaire, question: Question) -> list[dict[str, Any]]:
    if question.kind == "consent":
        return [{"value": code, "text": _words(asked, words)} for code, words in AGREE.items()]
    made = [{"value": option.code, "text": _words(asked, option.label)} for option in question.choices]
    alone = {option.code for option in question.alone}
    return [{**one, "isExclusive": True} if one["value"] in alone else one for one in made]


def _address_condition(asked: Questionnaire, address: str | None) -> str:
    if address is None or asked.survey.address is None:
        return ""
    sign = "=" if address == "self" else "<>"
    return f"{{{asked.survey.address.column}}} {sign} '{asked.survey.address.self_}'"


def _shown(asked: Questionnaire, question: Question) -> str:
    return " and ".join(conditions(asked, question, GRAMMAR))


def _column(section: Section, question: Question) -> str:
    return f"{section.id}.{question.id}" if section.grid else question.id


# Back -----------------------------------------------------------------------------------------------


def sniff(head: Head) -> float:
    if head.kind == "text" and head.columns and head.columns[0].lstrip("\ufeff \t").startswith(("{", "[")):
        return 0.6
    found = [match for name in head.columns if (match := NESTED.fullmatch(name))]
    return 0.5 if head.kind == "text" and len(found) > 2 else 0.0


def read(source: Source, survey: Any, options: Options) -> Raw:
    """Results as JSON, or flattened: `mobilising.mob1` is mob1, and both forms of address are joined."""
    table = _table(source)
    known = {*known_ids(survey), *(id + SELF for id in known_ids(survey))}
    matches = ((name, NESTED.fullmatch(name)) for name in table.columns)
    names = {name: match["id"] for name, match in matches if match and match["id"] in known}
    table = table.rename(columns=names)
    return Raw(table, bindings=both_addresses(table.columns, survey), aliases=names)


def _table(source: Source) -> pd.DataFrame:
    """Results as text: a CSV, a JSON list of results (also under a name), or one result a line."""
    text = decoded(source).decode()
    if not text.lstrip().startswith(("{", "[")):
        return _arrays(text_table(source).to_pandas().astype(object))
    try:
        rows = [_flat(row) for row in _results(text)]
    except (ValueError, RecursionError) as error:
        raise PlatformError(
            f"{source.path.name} is no list of SurveyJS results in JSON ({type(error).__name__}); export it again.",
            code="NotATable",
        ) from error
    table = pd.DataFrame(rows, dtype=object)
    return _arrays(table.where(table.notna(), ""))


def _results(text: str) -> list[dict[str, Any]]:
    try:
        told = json.loads(text)
    except ValueError:
        told = [json.loads(line) for line in text.splitlines() if line.strip()]
    if isinstance(told, dict):
        lists = [value for value in told.values() if isinstance(value, list) and value and isinstance(value[0], dict)]
        told = lists[0] if len(lists) == 1 else [told]
    if not all(isinstance(row, dict) for row in told):
        raise ValueError("a result is no object")
    return list(told)


def _flat(result: Mapping[str, Any]) -> dict[str, str]:
    """One result with `matrix.row` for nested answers, and text for every value."""
    cells: dict[str, str] = {}
    for name, value in result.items():
        if isinstance(value, dict):
            cells |= {f"{name}.{key}": told for key, told in _flat(value).items()}
        else:
            cells[name] = json.dumps(value, ensure_ascii=False) if isinstance(value, list) else cell_text(value)
    return cells


def _arrays(table: pd.DataFrame) -> pd.DataFrame:
    """`q.0`, `q.1`, …, into which some programs flatten a list of answers, as the list that they were."""
    groups: dict[str, list[str]] = {}
    for name in table.columns:
        if match := ELEMENT.fullmatch(name):
            groups.setdefault(match["list"], []).append(name)
    for name, columns in groups.items():
        if name not in table and [f"{name}.{place}" for place in range(len(columns))] == columns:
            told = [json.dumps([cell for cell in row if cell]) for row in table[columns].to_numpy()]
            table = table.drop(columns=columns).assign(**{name: [text if text != "[]" else "" for text in told]})
    return table


register(Platform("surveyjs", sniff=sniff, read=read, write=write, suffix=".json", title="SurveyJS"))
