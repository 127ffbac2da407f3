"""DDI Codebook 2.5: what a survey asks, as the XML that data archives take and search.

The elements stand in the order of the published schema: the study, the file, then groups of variables and each
variable with its question, answers and missing reasons, in every language of the survey (`xml:lang`).
Both forms of address are questions of one variable.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lxml import etree

from cocoanalysis.arguments import new_file
from cocoanalysis.fieldwork.platforms import Platform, register
from cocoanalysis.fieldwork.questionnaire import (
    ADDRESSES,
    AGREE,
    Option,
    Question,
    Questionnaire,
    Section,
    asked_twice,
    by_language,
    in_columns,
    questionnaire,
    written,
)
from cocoanalysis.responses.writing import as_text

NAMESPACE = "ddi:codebook:2_5"
LANG = "{http://www.w3.org/XML/1998/namespace}lang"  # the namespace's name, fixed by the XML standard
KINDS = {  # kind of question → nature, domain of the response, representation
    "likert": ("ordinal", "category", "code"),
    "choice": ("nominal", "category", "code"),
    "multiple": ("nominal", "multiple", "code"),
    "consent": ("nominal", "category", "code"),
    "number": ("ratio", "numeric", "numeric"),
    "text": ("other", "text", "text"),
}
RESOURCE = "Structured questionnaire"
UNIT = "Individual"


def write(survey: Any, path: str | Path, *, form: str = "full", version: int | None = None) -> list[Path]:
    """Write the questionnaire as a DDI Codebook 2.5 document.

    Parameters
    ----------
    survey : Survey
    path : the .xml to write
    form, version : which form, and of a planned-missing form which version

    Returns
    -------
    list of the file and its code map
    """
    asked, target = questionnaire(survey, form, version), new_file(path)
    tree = etree.ElementTree(codebook(asked, target.stem))
    etree.indent(tree)
    tree.write(str(target), encoding="UTF-8", xml_declaration=True)
    return written(asked, [target], "ddi")


def write_for(responses: Any, path: str | Path, name: str) -> Path:
    """Write the document of a data file: exactly its columns, in their order, and the number of its rows.

    Parameters
    ----------
    responses : Responses that the file holds
    path : the .xml to write
    name : of the data file
    """
    told = responses.codebook(responses.survey.languages[0])
    labels = dict(zip(told["column"], told["question"]))
    columns = {str(column): labels.get(column, "") for column in as_text(responses).columns}
    root = codebook(questionnaire(responses.survey), name, columns, len(responses))
    etree.indent(root)
    etree.ElementTree(root).write(str(path), encoding="UTF-8", xml_declaration=True)
    return Path(path)


def codebook(
    asked: Questionnaire, name: str, columns: Mapping[str, str] | None = None, cases: int | None = None
) -> Any:
    """The document's root element.

    ``name`` is the data file it describes, ``columns`` its columns with their labels and ``cases`` the number of its
    rows; without columns, those of everything that is asked.
    """
    root = etree.Element(f"{{{NAMESPACE}}}codeBook", {"version": "2.5"}, nsmap={None: NAMESPACE})
    root.set(LANG, asked.survey.languages[0])
    root.append(_study(asked))
    sections = [in_columns(section) for section in asked.sections]
    variables = {identifier: _identifier(asked, identifier) for identifier in asked.identifiers}
    variables |= {one.id: _variable(asked, section, one) for section in sections for one in section.questions}
    if columns is not None:
        variables = {id: variables[id] if id in variables else _further(id, columns[id]) for id in columns}
    root.append(_file(name, len(variables), cases))
    data = _add(root, "dataDscr")
    groups = (replace(one, questions=tuple(q for q in one.questions if q.id in variables)) for one in sections)
    data.extend(_group(section) for section in groups if len(section.questions) > 1)
    data.extend(variables.values())
    return root


def _element(tag: str, text: str = "", language: str | None = None, **attributes: str) -> Any:
    element = etree.Element(f"{{{NAMESPACE}}}{tag}", attributes, nsmap={None: NAMESPACE})
    if language is not None:
        element.set(LANG, language)
    if text:
        element.text = plain(text)
    return element


def _add(parent: Any, tag: str, text: str = "", language: str | None = None, **attributes: str) -> Any:
    child = _element(tag, text, language, **attributes)
    parent.append(child)
    return child


def plain(text: str) -> str:
    """Text without the control characters that XML cannot hold."""
    return re.sub(r"[^\t\n\r\x20-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]", " ", text)


def _in_all(parent: Any, tag: str, text: Mapping[str, str], **attributes: str) -> None:
    """One element for each language that has words."""
    for language, words in text.items():
        if words:
            _add(parent, tag, words, language, **attributes)


# The study and the file -----------------------------------------------------------------------------


def _study(asked: Questionnaire) -> Any:
    survey, study = asked.survey, _element("stdyDscr")
    citation = _add(study, "citation")
    titles = _add(citation, "titlStmt")
    first, *others = survey.languages
    _add(titles, "titl", survey.title.get(first) or survey.id, first)
    for language in others:
        if survey.title.get(language):
            _add(titles, "parTitl", survey.title[language], language)
    _add(titles, "IDNo", survey.id)
    release = _add(citation, "verStmt")
    _add(release, "version", survey.version, type="version")
    information = _add(study, "stdyInfo")
    _in_all(information, "abstract", survey.description)
    summary = _add(information, "sumDscr")
    _add(summary, "anlyUnit", UNIT, "en")
    method = _add(_add(study, "method"), "dataColl")
    _add(method, "resInstru", RESOURCE, "en")
    if survey.licence:
        terms = _add(_add(study, "dataAccs"), "useStmt")
        _add(terms, "conditions", f"Licence of the questionnaire: {survey.licence}", "en")
    return study


def _file(name: str, variables: int, cases: int | None) -> Any:
    description = _element("fileDscr", ID="F1")
    text = _add(description, "fileTxt")
    _add(text, "fileName", name)
    size = _add(text, "dimensns")
    if cases is not None:
        _add(size, "caseQnty", str(cases))
    _add(size, "varQnty", str(variables))
    return description


# Variables ------------------------------------------------------------------------------------------


def _group(section: Section) -> Any:
    """The items of a construct, or the answers to a question that takes several: label, and the words above them."""
    variables = " ".join(f"V_{question.id}" for question in section.questions)
    kind = "multipleResp" if section.questions[0].kind == "multiple" else "grid"
    group = _element("varGrp", ID=f"G_{section.id}", type=kind, name=section.id, var=variables)
    _in_all(group, "labl", section.label)
    for words in _different(section.stem):
        _in_all(group, "txt", words)
    return group


def _different(text: Mapping[str, Mapping[str, str]]) -> Iterator[Mapping[str, str]]:
    """The words about others, and those about oneself where they differ."""
    yield text["other"]
    if text["self"] != text["other"]:
        yield text["self"]


def _identifier(asked: Questionnaire, name: str) -> Any:
    variable = _element("var", ID=f"V_{name}", name=name, files="F1", representationType="text", nature="nominal")
    background = asked.survey.background.get(name)
    _in_all(variable, "labl", background.label if background is not None else {"en": name})
    _add(variable, "varFormat", type="character")
    return variable


def _further(name: str, label: str) -> Any:
    """A column that no question stands behind: a flag, the language, when somebody answered."""
    variable = _element("var", ID=f"V_{name}", name=name, files="F1")
    _add(variable, "labl", label or name, "en")
    return variable


def _variable(asked: Questionnaire, section: Section, question: Question) -> Any:
    nature, _, representation = KINDS[question.kind]
    variable = _element(
        "var",
        ID=f"V_{question.id}",
        name=question.id,
        files="F1",
        intrvl="contin" if question.kind == "number" else "discrete",
        nature=nature,
        representationType=representation,
    )
    label = section.label if len(section.questions) == 1 and section.label else question.text["other"]
    _in_all(variable, "labl", label)
    for address in ADDRESSES if len(asked_twice(section)) > 1 else ADDRESSES[:1]:
        _questions(variable, section, question, address)
    _ranges(variable, question)
    for name, values in question.show_if.items():
        _add(variable, "universe", f"Asked if {name} is {' or '.join(values)}", "en")
    for option in _options(question):
        _category(variable, option, asked.survey.languages)
    _concept(asked, variable, question)
    _add(variable, "varFormat", type="numeric" if _numeric(question) else "character")
    return variable


def _questions(variable: Any, section: Section, question: Question, address: str) -> None:
    for language, text in question.text[address].items():
        asked = _add(
            variable,
            "qstn",
            "",
            language,
            ID=f"Q_{question.id}_{address}_{re.sub(r'[^A-Za-z0-9]', '-', language)}",
            responseDomainType=KINDS[question.kind][1],
        )
        stem = section.stem[address].get(language, "")
        if stem:
            _add(asked, "preQTxt", stem, language)
        _add(asked, "qstnLit", text, language)


def _numeric(question: Question) -> bool:
    codes = [option.code for option in question.choices]
    return all(code.lstrip("-").isdigit() for code in codes) if codes else question.kind == "number"


def _options(question: Question) -> list[Option]:
    agree = [Option(code, words) for code, words in AGREE.items()]
    return agree if question.kind == "consent" else list(question.options)


def _ranges(variable: Any, question: Question) -> None:
    """Valid and missing codes; the limits of a number."""
    options = _options(question)
    valid = [option.code for option in options if not option.reason]
    if valid:
        allowed = _add(variable, "valrng")
        for code in valid:
            _add(allowed, "item", VALUE=code)
    elif question.minimum is not None or question.maximum is not None:
        limits = {"min": question.minimum, "max": question.maximum}
        told = {name: f"{limit:g}" for name, limit in limits.items() if limit is not None}
        _add(_add(variable, "valrng"), "range", UNITS="REAL", **told)
    missing = [option.code for option in options if option.reason]
    if missing:
        declared = _add(variable, "invalrng")
        for code in missing:
            _add(declared, "item", VALUE=code)


def _category(variable: Any, option: Option, languages: Iterable[str]) -> None:
    attributes = {"missing": "Y", "missType": option.reason} if option.reason else {}
    category = _add(variable, "catgry", **attributes)
    _add(category, "catValu", option.code)
    _in_all(category, "labl", by_language(option.label, languages))


def _concept(asked: Questionnaire, variable: Any, question: Question) -> None:
    item = asked.survey.items.get(question.id)
    if item is not None:
        _in_all(variable, "concept", asked.survey.constructs[item.construct].label)


register(Platform("ddi", write=write, suffix=".xml", title="DDI Codebook 2.5"))
