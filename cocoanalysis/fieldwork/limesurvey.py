"""LimeSurvey (6.4.2): its tab-separated structure file out, its CSV, VV, XLSX and .sav exports back.

Words can depend on an answer here, so both forms of address stand in one question, as an expression
over the rating source. Everything else is escaped: LimeSurvey evaluates `{…}` and runs HTML in any text.
Question codes keep letters and digits only, answer codes at most five of them; what does not fit gets a code
of its own (A1, A2, …), the same on each export, which reading turns back.

The identifiers are hidden short texts. A link fills them (`?collaboration=c7`), or the participant list:
the token, then its first and second attribute.
"""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from cocoanalysis.arguments import new_file
from cocoanalysis.errors import PlatformError, listed
from cocoanalysis.fieldwork.opening import text_table, unique_names, workbook_rows
from cocoanalysis.fieldwork.platforms import (
    CodeMap,
    Head,
    Options,
    Platform,
    Raw,
    Source,
    register,
    write_code_map,
)
from cocoanalysis.fieldwork.questionnaire import (
    Grammar,
    Question,
    Questionnaire,
    Section,
    coded,
    conditions,
    questionnaire,
    recoded,
)
from cocoanalysis.instrument.model import in_language
from cocoanalysis.responses.ledger import Entry, entry
from cocoanalysis.responses.matching import mark
from cocoanalysis.responses.multiple import untouched

COLUMNS = [
    *("id", "related_id", "class", "type/scale", "name", "relevance", "text", "help", "language", "validation"),
    *("mandatory", "encrypted", "other", "default", "same_default"),
    *("hidden", "random_order", "min_num_value_n", "max_num_value_n", "exclude_all_others"),
]
OWN = {
    "id": "response",
    "submitdate": "submitted",
    "lastpage": "",
    "startlanguage": "language",
    "seed": "",
    "startdate": "started",
    "datestamp": "ended",
    "interviewtime": "seconds",
    "consent": "consent",
}
HEADINGS = [  # of an export headed with question texts, in the language of the one who exports
    dict(zip(("id", "submitdate", "lastpage", "startlanguage", "seed", "startdate", "datestamp"), words))
    for words in (
        ("Response ID", "Date submitted", "Last page", "Start language", "Seed", "Date started", "Date last action"),
        (
            *("Antwort ID", "Datum Abgeschickt", "Letzte Seite", "Start-Sprache", "Zufallsstartwert"),
            *("Datum gestartet", "Datum letzte Aktivität"),
        ),
    )
]
GRAMMAR = Grammar("{name}.NAOK == '{code}'", "{name}_{code}.NAOK == 'Y'", "{section}_{id}", twice=False)
OTHER = "-oth-"
VV_MARKS = {"{quote}": '"', "{tab}": "\t", "{cr}": "\r", "{newline}": "\n", "{lbrace}": "{"}  # the last one last
PERSONAL = frozenset({"ipaddr", "refurl", "token", "firstname", "lastname", "email"})


# Out ------------------------------------------------------------------------------------------------


def write(survey: Any, path: str | Path, *, form: str = "full", version: int | None = None) -> list[Path]:
    """Write the questionnaire as LimeSurvey's tab-separated structure (import it under *Create survey → Import*).

    Parameters
    ----------
    survey : Survey
    path : the .txt or .tsv to write
    form, version : which form, and of a planned-missing form which version

    Returns
    -------
    list of the file and its code map
    """
    asked = questionnaire(survey, form, version)
    text = io.StringIO()
    table = csv.DictWriter(text, COLUMNS, delimiter="\t", lineterminator="\n", restval="")
    table.writeheader()
    table.writerows(_settings(asked))
    for language in survey.languages:
        table.writerows(_rows(asked, language))
    target = new_file(path)
    target.write_text("\ufeff" + text.getvalue(), encoding="utf-8", newline="\n")
    columns = {id: column for column, id in _columns(asked).items()}
    known = {
        question.id: {theirs: ours for ours, theirs in platform_codes(question).items()}
        for question in asked.questions
        if question.choices
    }
    return [target, write_code_map(target, CodeMap(columns, known, survey.id, survey.version, "limesurvey"))]


def platform_codes(question: Question) -> dict[str, str]:
    """Our code → LimeSurvey's: itself where it has at most five letters and digits, else A and a number.

    The answers to a question that takes several are sub-questions there, whose codes may have twenty.
    """
    return coded(question, r"[A-Za-z0-9]{1,20}" if question.kind == "multiple" else r"[A-Za-z0-9]{1,5}", "A")


def escaped(text: str) -> str:
    """Text that LimeSurvey shows as it stands: nothing is evaluated, no HTML runs.

    Its importer takes the quotes off a text that begins and ends with one, and a backslash before a quote for an
    escape; both are written as entities.
    """
    text = html.escape(text.replace("\n", " "), quote=False)
    return text.translate({ord(sign): f"&#{ord(sign)};" for sign in "{}\\"}).replace('"', "&quot;")


def _settings(asked: Questionnaire) -> Iterator[dict[str, str]]:
    survey = asked.survey
    first, *others = survey.languages
    settings = {
        "sid": "777001",
        "language": first,
        "additional_languages": " ".join(others),
        "format": "G",
        "datestamp": "Y",
        "ipaddr": "N",
        "anonymized": "N",
        "allowprev": "Y",
        "savetimings": "Y",
        "showgroupinfo": "X",
        "showqnumcode": "X",
        "admin": survey.id,
    }
    for name, value in settings.items():
        yield {"class": "S", "name": name, "text": value}
    for language in survey.languages:
        words = {
            "surveyls_title": survey.title,
            "surveyls_welcometext": survey.introduction,
            "surveyls_endtext": survey.thanks,
        }
        for name, text in words.items():
            if text or name == "surveyls_title":
                yield {"class": "SL", "name": name, "text": escaped(in_language(text, language)), "language": language}
        yield {"class": "SL", "name": "surveyls_language", "text": language, "language": language}


def _pages(asked: Questionnaire) -> list[list[Section]]:
    """Consent alone, then single questions in a row on one page, then each set of items on a page of its own."""
    pages: list[list[Section]] = []
    for section in asked.sections:
        alone = section.id == "consent" or len(section.questions) > 1
        if alone or not pages or len(pages[-1][0].questions) > 1 or pages[-1][0].id == "consent":
            pages.append([section])
        else:
            pages[-1].append(section)
    return pages


def _rows(asked: Questionnaire, language: str) -> Iterator[dict[str, str]]:
    page_number, number = 0, 10
    if asked.identifiers:
        page_number += 1
        yield _group(page_number, "Link", language)
        tokens = participant_columns(asked)
        for name in asked.identifiers:
            number += 1
            yield {
                "id": str(number),
                "class": "Q",
                "type/scale": "S",
                "name": name,
                "relevance": "1",
                "text": name,
                "language": language,
                "mandatory": "N",
                "other": "N",
                "default": "{TOKEN}" if tokens[name] == "token" else f"{{TOKEN:{tokens[name].upper()}}}",
                "hidden": "1",
            }
    for page in _pages(asked):
        page_number += 1
        yield _group(page_number, f"Page {page_number}", language)
        for section in page:
            if section.grid:
                rows = _array(asked, section, language, number)
            else:
                rows = [row for one in section.questions for row in _single(asked, section, one, language, number)]
            for row in rows:
                if row["class"] == "Q":
                    number += 1
                    row["id"] = str(number)
                else:
                    row["related_id"] = str(number)
                yield row


def participant_columns(asked: Questionnaire) -> dict[str, str]:
    """Identifier → column of the participant list: the token for the respondent, then attributes in order."""
    others = [one for one in asked.identifiers if one != asked.survey.respondent]
    own = {asked.survey.respondent: "token"} if asked.survey.respondent in asked.identifiers else {}
    return {**own, **{name: f"attribute_{place}" for place, name in enumerate(others, start=1)}}


def participants(table: pd.DataFrame, asked: Questionnaire) -> pd.DataFrame:
    """The list of invitations with the columns that LimeSurvey's participant import takes (*Import from CSV*).

    It knows tokens of letters, digits, `_`, `~` and `-`, and takes people without names and addresses for
    duplicates of each other: who has no first name gets the code for one.

    Raises
    ------
    PlatformError : BadIdentifier
    """
    columns = {theirs: table[ours] for ours, theirs in participant_columns(asked).items() if ours in table}
    bad = [
        place + 2
        for place, code in enumerate(columns.get("token", ()))
        if not re.fullmatch(r"[A-Za-z0-9_~-]{1,36}", code)
    ]
    if bad:
        raise PlatformError(
            f"LimeSurvey takes 1 to 36 letters, digits, '_', '~' and '-' for a code; in row {listed(bad, 5)} of the "
            "list stands another. Leave the code empty there to have one drawn.",
            code="BadIdentifier",
        )
    given = table.get("firstname", pd.Series("", table.index))
    names = {"firstname": given.mask(given.eq(""), columns.get("token", given)), "lastname": "", "email": ""}
    return table.assign(**{name: words for name, words in names.items() if name not in table or name == "firstname"},
                        **columns)  # fmt: skip


def _group(number: int, name: str, language: str) -> dict[str, str]:
    return {
        "id": str(number),
        "class": "G",
        "type/scale": f"G{number}",
        "name": name,
        "relevance": "1",
        "language": language,
    }


def _array(asked: Questionnaire, section: Section, language: str, number: int) -> list[dict[str, str]]:
    first = section.questions[0]
    head = _question(asked, section.id, "F", _addressed(asked, section.stem, language), language)
    head |= {"random_order": "1" if section.random_order else ""}
    rows = [head]
    for place, question in enumerate(section.questions):
        rows.append(
            {
                "id": str(number * 1000 + 1000 + place),
                "class": "SQ",
                "type/scale": "0",
                "name": question.id,
                "relevance": _shown(asked, question) or "1",
                "text": _addressed(asked, question.text, language),
                "language": language,
            }
        )
    return rows + _answers(first, language)


def _single(
    asked: Questionnaire, section: Section, question: Question, language: str, number: int
) -> list[dict[str, str]]:
    kind = {"consent": "Y", "likert": "L", "choice": "L", "multiple": "M", "number": "N", "text": "T"}[question.kind]
    words = _addressed(asked, question.text, language)
    stem = _addressed(asked, section.stem, language)
    row = _question(asked, question.id, kind, f"{stem} {words}" if stem else words, language)
    row["relevance"] = " and ".join(filter(None, [row["relevance"], _shown(asked, question)])) or "1"
    row["mandatory"] = "Y" if question.kind == "consent" else "N"
    row["help"] = escaped(question.hint(language))
    row |= {f"{name}_num_value_n": f"{limit:g}" for name, limit in question.limits.items()}
    if question.kind == "multiple":
        codes = platform_codes(question)
        row["exclude_all_others"] = ";".join(codes[option.code] for option in question.alone)
        return [row, *_boxes(question, language, number)]
    return [row, *_answers(question, language)]


def _boxes(question: Question, language: str, number: int) -> list[dict[str, str]]:
    """The answers to a question that takes several: sub-questions, each to be ticked or not."""
    return [
        {**row, "class": "SQ", "id": str(number * 1000 + 1000 + place), "relevance": "1"}
        for place, row in enumerate(_answers(question, language))
    ]


def _question(asked: Questionnaire, name: str, kind: str, text: str, language: str) -> dict[str, str]:
    consented = "" if name == "consent" or not asked.survey.consent else "consent.NAOK == 'Y'"
    return {
        "class": "Q",
        "type/scale": kind,
        "name": name,
        "relevance": consented or "1",
        "text": text,
        "language": language,
        "mandatory": "N",
        "other": "N",
    }


def _answers(question: Question, language: str) -> list[dict[str, str]]:
    codes = platform_codes(question)
    return [
        {
            "class": "A",
            "type/scale": "0",
            "name": codes[option.code],
            "text": escaped(in_language(option.label, language)),
            "language": language,
        }
        for option in question.choices
    ]


def _addressed(asked: Questionnaire, text: Mapping[str, Mapping[str, str]], language: str) -> str:
    """The words, or an expression that chooses them by the rating source."""
    other, own = (escaped(in_language(text[address], language)) for address in ("other", "self"))
    address = asked.survey.address
    if other == own or address is None:
        return other
    return f'{{if({address.column}.NAOK == "{_code(asked, address.column, address.self_)}", "{own}", "{other}")}}'


def _code(asked: Questionnaire, id: str, value: str) -> str:
    for question in asked.questions:
        if question.id == id:
            return platform_codes(question).get(value, value)
    return value


def _shown(asked: Questionnaire, question: Question) -> str:
    return " and ".join(conditions(asked, question, GRAMMAR, platform_codes))


# Back -----------------------------------------------------------------------------------------------


def sniff(head: Head) -> float:
    rows = [list(row) for row in head.rows[:2]] if head.kind in ("text", "xlsx", "sav") else []
    told = [{re.sub(r"^(\w+)\. .*", r"\1", cell.strip()) for cell in row} | set(row) for row in rows]
    if any({"submitdate", "lastpage", "startlanguage"} <= row for row in told):
        return 0.95
    if any(
        len({"submitdate", "lastpage", "startlanguage", "seed", "startdate", "datestamp"} & row) > 2 for row in told
    ):
        return 0.7
    return 0.9 if any(set(list(words.values())[:4]) <= row for row in told[:1] for words in HEADINGS) else 0.0


def read(source: Source, survey: Any, options: Options) -> Raw:
    """An export of LimeSurvey: CSV of the web page or the remote control, VV, XLSX, or .sav."""
    asked = questionnaire(survey)
    table, texts, first = _table(source, survey)
    names = _headings(table.columns)
    table, texts = table.rename(columns=names), {names.get(column, column): text for column, text in texts.items()}
    known = _columns(asked)
    bindings = {column: known[_plain(column)] for column in table.columns if _plain(column) in known}
    marks = {column: OWN[column] for column in table.columns if OWN.get(column)}
    if "submitdate" in table:
        answers = table["submitdate"].astype(str)
        empty = answers.isin(["", mark("not_asked")])
        complete = pd.Series(["false" if nothing else "true" for nothing in empty], table.index, name="complete")
        table = pd.concat([table, complete], axis=1)
    marks.pop("submitdate", None)
    table = _not_displayed(table, survey)
    table, entries = _own_words(untouched(table, survey), survey)
    tokens = {"token": survey.respondent} if survey.respondent and survey.respondent not in table else {}
    return Raw(
        table,
        bindings={**bindings, **marks, **{c: id for c, id in tokens.items() if c in table}},
        texts=texts,
        codes=_answer_codes(table, asked, {id: column for column, id in bindings.items()}),
        personal=PERSONAL & set(table.columns) - set(tokens),
        technical=frozenset(name for name in table.columns if _technical(name)),
        first_row=first,
        entries=entries,
    )


def _answer_codes(table: pd.DataFrame, asked: Questionnaire, columns: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Our id → {code of LimeSurvey: ours}; 'A1' and 'AO01' are the answer 1 where LimeSurvey gave the codes itself."""
    codes = {id: dict(known) for id, known in recoded(asked.questions, platform_codes).items()}
    for question in asked.questions:
        own = {option.code for option in question.options}
        name = columns.get(question.id, question.id)
        told = set(table[name].astype(str)) if own and name in table else set()
        if not told & own:
            given = {cell: match[1] for cell in told if (match := re.fullmatch(r"AO?0*(-?\d+)", cell))}
            known = {cell: code for cell, code in given.items() if code in own}
            codes[question.id] = {**known, **codes.get(question.id, {})}
    return codes


def _not_displayed(table: pd.DataFrame, survey: Any) -> pd.DataFrame:
    """'N/A', which exports of full answers write for a question that was not shown; an open answer keeps its words."""
    words = {id for id, one in survey.background.items() if one.kind in ("text", "identifier")}
    hidden = {name: table[name].astype(str).eq("N/A") for name in table.columns if name not in words}
    return table.assign(
        **{name: table[name].mask(cells, mark("not_asked")) for name, cells in hidden.items() if cells.any()}
    )


def _own_words(table: pd.DataFrame, survey: Any) -> tuple[pd.DataFrame, tuple[Entry, ...]]:
    """LimeSurvey's own 'Other' as the question's category 'other'; without one, as an answer in their own words."""
    made, lines = {}, []
    for name in table.columns:
        question = survey.background.get(name)
        told = table[name].astype(object).eq(OTHER) if question is not None and question.categories else None
        if told is None or not told.any():
            continue
        ours = "other" if "other" in question.categories else mark("other_answer")
        made[name] = table[name].mask(told, ours)
        if ours != "other":
            words = f"'{name}' answered in their own words ({OTHER}); no category 'other' in the survey"
            lines.append(entry("missing", words, len(table), cells=int(told.sum())))
    return table.assign(**made), tuple(lines)


def _headings(columns: Iterable[str]) -> dict[str, str]:
    """Columns headed with words → the platform's names; 'lead[l1]. How often …' is lead[l1]."""
    known = {heading: name for words in HEADINGS for name, heading in words.items()}
    coded = ((column, re.match(r"([A-Za-z][A-Za-z0-9]*(\[\w+\])?)\. ", column)) for column in columns)
    return {column: match[1] for column, match in coded if match} | {
        column: known[column] for column in columns if column in known
    }


def _technical(name: str) -> bool:
    return bool(
        OWN.get(name) == "" or name == "submitdate" or re.fullmatch(r"(group|question)?[tT]ime\d*|.*Time", name)
    )


def _columns(asked: Questionnaire) -> dict[str, str]:
    """The column of each question, as the exports head it → our id."""
    found = {name: name for name in asked.identifiers}
    for section in asked.sections:
        for question in section.questions:
            found[f"{section.id}[{question.id}]" if section.grid else question.id] = question.id
    return found


def _plain(column: str) -> str:
    """'lead_l1' of a VV or .sav file is 'lead[l1]' of a CSV."""
    found = re.fullmatch(r"([A-Za-z][A-Za-z0-9]*)_([A-Za-z0-9]+)", column)
    return f"{found[1]}[{found[2]}]" if found else column


def _table(source: Source, survey: Any) -> tuple[pd.DataFrame, dict[str, str], int]:
    """The answers as text, the question texts by column, and the number of the first row of answers."""
    if source.kind == "xlsx":
        rows = workbook_rows(source)
        names = unique_names(next(rows, []), source)
        return pd.DataFrame([row[: len(names)] for row in rows], columns=names, dtype=object), {}, 2
    if source.kind != "text":
        return _statistics_file(source, survey)
    first, second = _two_rows(source)
    if "submitdate" not in first and "submitdate" in second:  # VV: texts above codes
        table = text_table(source, names=unique_names(second, source), skip=2).to_pandas().astype(object)
        return table.map(_vv), dict(zip(second, first)), 3
    return text_table(source).to_pandas().astype(object), _texts(first), 2


def _statistics_file(source: Source, survey: Any) -> tuple[pd.DataFrame, dict[str, str], int]:
    """A .sav of LimeSurvey, in which a yes/no question is 1 for yes and 2 for no.

    2 also stands for an unanswered one: on a response that was never sent it is no refusal.
    """
    from cocoanalysis.fieldwork.spss import read as read_spss

    raw = read_spss(source, survey, source.options)
    table = pd.DataFrame({name: raw.column(name) for name in raw.columns})
    if "consent" in table:
        told = table["consent"].replace({"1": "true", "2": "false"})
        if "submitdate" in table:
            told = told.mask(told.eq("false") & table["submitdate"].eq(""), "")
        table["consent"] = told
    return table, dict(raw.texts), 1


def _two_rows(source: Source) -> tuple[list[str], list[str]]:
    from cocoanalysis.fieldwork.opening import head

    rows = [list(row) for row in head(source, 2).rows]
    return rows[0], rows[1] if len(rows) > 1 else []


def _texts(header: Iterable[str]) -> dict[str, str]:
    """'How often … [recognise good work]', as the export with question texts heads a sub-question."""
    found = ((column, re.fullmatch(r".*\[(.+)\]\s*", column, re.DOTALL)) for column in header)
    return {column: match[1] for column, match in found if match and " " in match[1]}


def _vv(cell: Any) -> Any:
    """A cell of a VV file: only there 'not shown' is told from 'left empty'."""
    if cell == "{question_not_shown}":
        return mark("not_asked")
    if isinstance(cell, str) and "{" in cell:
        for theirs, ours in VV_MARKS.items():
            cell = cell.replace(theirs, ours)
    return cell


register(Platform("limesurvey", sniff=sniff, read=read, write=write, suffix=".txt", title="LimeSurvey"))
