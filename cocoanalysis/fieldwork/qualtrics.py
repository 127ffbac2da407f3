"""Qualtrics: a survey in its 'advanced format' out, its CSV, TSV, XLSX and .sav exports back.

The advanced format (a text file, imported under *Tools → Import survey*) is documented by Qualtrics but cannot
be tried without an account: what is written keeps to the documented marks, and has not been imported anywhere.
It knows blocks, questions with their export names, choices with their recode values, page breaks and embedded
data; it knows no conditions, no random order and one language. What it cannot carry stands as instructions in
the file ``….setup.md`` beside it: a section with two forms of address becomes two blocks (`mob1` and `mob1_self`),
which need their display logic there.

Exports are bound by the ImportId in their third row, never by position; a code map may name ImportIds
(``{"mob1": "QID7"}``) in the place of columns.
"""

from __future__ import annotations

import html
import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd

from cocoanalysis.fieldwork.opening import head as first_rows
from cocoanalysis.fieldwork.opening import text_table, workbook_rows
from cocoanalysis.fieldwork.platforms import Head, Options, Platform, Raw, Source, register
from cocoanalysis.fieldwork.questionnaire import (
    AGREE,
    SELF,
    Question,
    Questionnaire,
    Section,
    asked_twice,
    both_addresses,
    coded,
    files_by_language,
    questionnaire,
    recoded,
    written,
)
from cocoanalysis.instrument.model import in_language
from cocoanalysis.responses.ledger import Entry, entry
from cocoanalysis.responses.matching import META, known_ids, mark, plain
from cocoanalysis.responses.multiple import untouched

SEEN = "-99"  # what Qualtrics writes, when asked to, for a question that was seen and left empty
CONSENT = {"yes": "1", "no": "2"}


# Out ------------------------------------------------------------------------------------------------


def write(
    survey: Any,
    path: str | Path,
    *,
    form: str = "full",
    version: int | None = None,
    language: str | None = None,
) -> list[Path]:
    """Write the questionnaire in Qualtrics' advanced format, one file for each language, with instructions.

    Parameters
    ----------
    survey : Survey
    path : the .txt of the survey's first language; others get their code in the name (`mine.da.txt`)
    form, version : which form, and of a planned-missing form which version
    language : write this language only

    Returns
    -------
    list of the files, the instructions (`….setup.md`: what to set by hand after the import) and the code map

    Raises
    ------
    PlatformError : UnknownLanguage
    """
    asked, target = questionnaire(survey, form, version), Path(path)
    files = []
    for tongue, file in files_by_language(survey, target, language):
        file.write_text(structure(asked, tongue), encoding="utf-8", newline="\n")
        files.append(file)
    setup = target.with_name(target.name + ".setup.md")
    setup.write_text(instructions(asked), encoding="utf-8", newline="\n")
    return written(asked, [*files, setup], "qualtrics", recoded(asked.questions, platform_codes))


def platform_codes(question: Question) -> dict[str, str]:
    """Our code → recode value: itself where it is a whole number, else the first numbers that are free."""
    if question.kind == "consent":
        return dict(CONSENT)
    return coded(question, r"-?(0|[1-9]\d{0,8})")


def escaped(text: str) -> str:
    """Text that Qualtrics shows as it stands: nothing piped (`${…}`), no mark of the format, no HTML."""
    told = (
        html.escape(text, quote=False).replace("${", "&#36;{").replace("[[", "&#91;&#91;").replace("]]", "&#93;&#93;")
    )
    return " ".join(told.split())


def structure(asked: Questionnaire, language: str) -> str:
    """The text of the advanced format in one language."""
    lines = ["[[AdvancedFormat]]", ""]
    lines += [f"[[ED:{name}]]" for name in asked.identifiers]
    lines += [f"[[ED:{name}:{value}]]" for name, value in _constants(asked, language).items()]
    lines += _note("introduction", asked.survey.introduction, language)
    for name, parts in _blocks(asked):
        lines += ["", f"[[Block:{name}]]", ""]
        for address, part in parts:
            lines += _section(part, address or "other", language)
    lines += _note("thanks", asked.survey.thanks, language)
    return "\n".join(lines) + "\n"


def _note(name: str, text: Mapping[str, str], language: str) -> list[str]:
    """A block of its own with words to read."""
    told = escaped(in_language(text, language))
    return (
        ["", f"[[Block:{name.capitalize()}]]", "", "[[Question:DB]]", f"[[ID:note_{name}]]", told, ""] if told else []
    )


def _constants(asked: Questionnaire, language: str) -> dict[str, str]:
    """What each response carries along, so that reading knows what was asked."""
    told = {"surveyversion": asked.survey.version, "language": language}
    if asked.form != "full":
        told["form"] = asked.form if asked.version is None else f"{asked.form}:{asked.version}"
    return told


def _blocks(asked: Questionnaire) -> Iterator[tuple[str, list[tuple[str | None, Section]]]]:
    """Blocks by name: single questions in a row share one, a set of items has one for each form of address."""
    parts = [part for section in asked.sections for part in asked_twice(section)]
    number = itertools.count(1)
    for together, group in itertools.groupby(parts, key=_shares_block):
        if together:
            yield f"Background {next(number)}", list(group)
        else:
            yield from ((part.id, [(address, part)]) for address, part in group)


def _shares_block(part: tuple[str | None, Section]) -> bool:
    address, section = part
    return address is None and len(section.questions) == 1 and section.id != "consent"


def _section(section: Section, address: str, language: str) -> Iterator[str]:
    stem = in_language(section.stem[address], language)
    if stem:
        yield from ("[[Question:DB]]", f"[[ID:{section.id}_stem]]", escaped(stem), "")
    for question in section.questions:
        yield from _question(question, address, language)


def _question(question: Question, address: str, language: str) -> Iterator[str]:
    layout = {
        "multiple": "MC:MultipleAnswer:Vertical",
        "likert": "MC:SingleAnswer:Horizontal",
        "number": "TE:SingleLine",
        "text": "TE:SingleLine",
    }
    yield f"[[Question:{layout.get(question.kind, 'MC:SingleAnswer:Vertical')}]]"
    yield f"[[ID:{question.id}]]"
    hint = question.hint(language)
    yield escaped(in_language(question.text[address], language) + (f" ({hint})" if hint else ""))
    choices = list(_choices(question, language))
    if choices:
        yield "[[AdvancedChoices]]"
    for code, label in choices:
        yield from (f"[[Choice:{code}]]", escaped(label))
    yield ""


def _choices(question: Question, language: str) -> Iterator[tuple[str, str]]:
    if question.kind == "consent":
        return ((CONSENT[code], in_language(words, language)) for code, words in AGREE.items())
    codes = platform_codes(question)
    return ((codes[option.code], in_language(option.label, language)) for option in question.choices)


def instructions(asked: Questionnaire) -> str:
    """What to set in Qualtrics after the import, as Markdown."""
    survey = asked.survey
    lines = [
        f"# {survey.id} {survey.version} in Qualtrics",
        "",
        "The import format knows no conditions, no random order and one language. After the import, set by hand:",
        "",
        *_numbered(
            [
                *_consent_step(asked),
                *_address_steps(asked),
                *_condition_steps(asked),
                *_order_steps(asked),
                *_limit_steps(asked),
                *_exclusive_steps(asked),
                *_language_steps(asked),
                _link_step(asked),
                "*Look & Feel*: check on a phone that all answers of a row are visible. Preview the survey once in "
                "each language, and delete the preview's response before fielding.",
                "*Data & Analysis → Export*: CSV, *Use numeric values*, and under *More options* **Recode seen but "
                "unanswered questions as -99**, so that 'left empty' can be told from 'not shown'. Do not rename "
                "questions.",
            ]
        ),
    ]
    return "\n".join(lines) + "\n"


def _numbered(steps: Iterable[str]) -> Iterator[str]:
    return (f"{number}. {step}" for number, step in enumerate(steps, start=1))


def _consent_step(asked: Questionnaire) -> Iterator[str]:
    if asked.survey.consent:
        yield (
            "*Survey flow*: after the block `consent`, a branch that ends the survey when `consent` is answered with "
            f"its second choice (recode value {CONSENT['no']}). *Request or force a response* to `consent`."
        )


def _address_steps(asked: Questionnaire) -> Iterator[str]:
    address = asked.survey.address
    twice = [part.id for section in asked.sections for said, part in asked_twice(section) if said == "other"]
    if address is not None and twice:
        value = _recoded(asked, address.column, address.self_)
        yield (
            f"*Survey flow*: two branches. If `{address.column}` is {value}, show the blocks "
            f"{', '.join(f'`{name}_self`' for name in twice)}; if it is not, show {', '.join(f'`{n}`' for n in twice)}."
            " Reading joins the two again."
        )


def _condition_steps(asked: Questionnaire) -> Iterator[str]:
    for question in asked.questions:
        if question.show_if:
            told = " and ".join(
                f"{_named(asked, name)} is {' or '.join(_recoded(asked, name, value) for value in values)}"
                for name, values in question.show_if.items()
            )
            yield f"*Display logic* of `{question.id}` (and of `{question.id}_self`, if there is one): show if {told}."


def _named(asked: Questionnaire, id: str) -> str:
    """The question, and the one that asks the same in the other form of address."""
    twice = {one.id for section in asked.sections if len(asked_twice(section)) > 1 for one in section.questions}
    return f"`{id}` (or `{id}{SELF}`)" if id in twice else f"`{id}`"


def _recoded(asked: Questionnaire, id: str, value: str) -> str:
    """A condition's value in words: the recode value and the label of that answer."""
    for question in asked.questions:
        for option in question.options if question.id == id else ():
            if option.code == value:
                return f"{platform_codes(question)[value]} ({in_language(option.label, asked.survey.languages[0])})"
    return value


def _order_steps(asked: Questionnaire) -> Iterator[str]:
    shuffled = [section.id for section in asked.sections if section.random_order]
    if shuffled:
        yield f"*Block options → Question randomization* for the items of {', '.join(f'`{id}`' for id in shuffled)}."


def _limit_steps(asked: Questionnaire) -> Iterator[str]:
    for question in asked.questions:
        if question.kind == "number":
            words = {"min": "from", "max": "to"}
            told = " ".join(f"{words[name]} {limit:g}" for name, limit in question.limits.items())
            yield f"*Content validation* of `{question.id}`: number {told}".rstrip() + "."


def _exclusive_steps(asked: Questionnaire) -> Iterator[str]:
    for question in asked.questions:
        told = [_recoded(asked, question.id, option.code) for option in question.alone]
        if told:
            yield f"*Make answer exclusive* for {', '.join(told)} of `{question.id}`."


def _language_steps(asked: Questionnaire) -> Iterator[str]:
    if len(asked.survey.languages) > 1:
        yield (
            "*Translations*: add the other languages to the survey of the first file, with the words of the other "
            "files; or import each file as a survey of its own and read each export by itself. In one survey for all "
            "languages, delete the embedded data `language`: Qualtrics' own UserLanguage tells it then."
        )


def _link_step(asked: Questionnaire) -> str:
    query = "&".join(f"{name}=…" for name in asked.identifiers)
    return (
        f"*Distributions*: the link carries the identifiers as embedded data (`?{query}`); in a contact list they are "
        "columns of the same names. *Survey options → Security*: anonymise responses."
    )


# Back -----------------------------------------------------------------------------------------------

MARKS = {  # ImportId → technical column
    "startDate": "started",
    "endDate": "ended",
    "status": "status",
    "duration": "seconds",
    "finished": "complete",
    "_recordId": "response",
    "userLanguage": "language",
}
HEADED = {  # the columns of Qualtrics by their name, current, .sav and legacy → ImportId
    "StartDate": "startDate",
    "EndDate": "endDate",
    "Status": "status",
    "IPAddress": "ipAddress",
    "Progress": "progress",
    "Duration (in seconds)": "duration",
    "Duration__in_seconds_": "duration",
    "Finished": "finished",
    "RecordedDate": "recordedDate",
    "ResponseId": "_recordId",
    "ResponseID": "_recordId",
    "ResponseSet": "responseSet",
    "RecipientLastName": "recipientLastName",
    "RecipientFirstName": "recipientFirstName",
    "RecipientEmail": "recipientEmail",
    "ExternalReference": "externalDataReference",
    "ExternalDataReference": "externalDataReference",
    "EmailAddress": "recipientEmail",
    "Name": "recipientName",
    "LocationLatitude": "locationLatitude",
    "LocationLongitude": "locationLongitude",
    "LocationAccuracy": "locationAccuracy",
    "DistributionChannel": "distributionChannel",
    "UserLanguage": "userLanguage",
}
PERSONAL = re.compile(r"ipAddress|recipient\w+|location\w+|externalDataReference")
OWN = {"progress", "recordedDate", "distributionChannel", "responseSet"}
NO_QUESTION = re.compile(
    r"QID\S*_[0-9a-f]{32}\w*"
    r"|.* - (Parent Topics?|Topics?|Topic Hierarchy.*|Sentiment.*|Topic Sentiment.*|Actionability|Effort.*|Emotion.*)"
    r"|.*_(First[ _]Click|Last[ _]Click|Page[ _]Submit|Click[ _]Count)|.*_DO(_.*)?"
    r"|SC\d+|SC_\w+|Q_(Recaptcha\w*|Duplicate\w*|RelevantID\w*|BallotBox\w*|TotalDuration|URL|Unanswered\w*|StraightliningC\w*)"
)
IMPORT_ID = re.compile(r"""\{.*['"]ImportId['"]\s*:\s*u?['"](?P<id>[^'"]+)['"].*\}""", re.DOTALL)
ZONE = re.compile(r"""['"]timeZone['"]\s*:\s*u?['"](?P<zone>[^'"]+)['"]""")
STATUS = {"0": "live", "1": "preview", "2": "test", "4": "live", "8": "spam", "9": "spam", "12": "spam", "16": "live"}
STATUS |= {"17": "preview", "32": "live", "33": "preview"}
WORDS = {"spam": "spam", "preview": "preview", "vorschau": "preview", "forhåndsvis": "preview", "test": "test"}
DONE = {"1", "true", "wahr", "sandt", "ja", "yes", "vrai", "verdadero", "sant", "waar"}


@dataclass(frozen=True)
class Layout:
    """What the rows above the answers say: names, question texts, ImportIds and time zones by column."""

    names: list[str]
    texts: dict[str, str]
    imports: dict[str, str]
    zones: dict[str, str]
    rows: int


def sniff(head: Head) -> float:
    if head.kind == "sav":
        return 0.95 if {"StartDate", "Finished", "ResponseId"} <= set(head.columns) else 0.0
    rows = [set(row) for row in head.rows[:3]]
    if any(IMPORT_ID.fullmatch(cell) for row in rows for cell in row):
        return 0.95
    known = [len(row & set(HEADED)) for row in rows[:2]]
    return 0.9 if (any("V1" in row for row in rows[:1]) and max(known) > 4) or (known and known[0] > 3) else 0.0


def read(source: Source, survey: Any, options: Options) -> Raw:
    """An export of Qualtrics: its own columns by ImportId, questions by export name or text, in codes or words."""
    table, layout, labels = _table(source, survey)
    asked = questionnaire(survey)
    known = set(known_ids(survey))
    direct = {name: id for name, id in layout.imports.items() if id in known and id not in META}
    own = {name: id for name, id in layout.imports.items() if name not in direct}
    marks = {name: MARKS[id] for name, id in own.items() if id in MARKS and MARKS[id] not in layout.names}
    technical = {name for name, id in own.items() if id in OWN or (id in MARKS and name not in marks)}
    technical |= {name for name in layout.names if _no_question(name, own.get(name, ""))}
    personal = {name for name, id in own.items() if PERSONAL.fullmatch(id)}
    questions = [name for name in table.columns if not {name} & {*marks, *technical, *personal, *direct}]
    table = _technical_columns(table, {id: name for name, id in own.items()}, layout.zones)
    said = {plain(text) for text in survey.consent.values()}
    consent = [name for name in questions if name == "consent" or plain(layout.texts.get(name, "")) in said - {""}]
    table = table.assign(**{name: table[name].map(_agreed) for name in consent})
    questions = [name for name in questions if name not in consent]
    complete = next((name for name, id in marks.items() if id == "complete"), None)
    table, entries = _unanswered(untouched(table, survey), questions, survey, complete)
    return Raw(
        table,
        bindings={**both_addresses(questions, survey), **direct, **marks},
        texts=layout.texts,
        labels=labels,
        codes=recoded(asked.questions, platform_codes),
        personal=frozenset(personal),
        technical=frozenset(technical),
        aliases={id: name for name, id in own.items() if id not in known},
        first_row=layout.rows + 1,
        entries=entries,
    )


def _no_question(name: str, id: str) -> bool:
    return bool(NO_QUESTION.fullmatch(name) or NO_QUESTION.fullmatch(id))


def _table(source: Source, survey: Any) -> tuple[pd.DataFrame, Layout, Mapping[str, Mapping[str, str]]]:
    if source.kind == "sav":
        from cocoanalysis.fieldwork.spss import read as read_spss

        raw = read_spss(source, survey, source.options)
        imports = {name: HEADED[name] for name in raw.columns if name in HEADED}
        return raw.table, Layout(raw.columns, dict(raw.texts), imports, {}, 0), raw.labels
    layout = laid_out(first_rows(source, 4).rows)
    if source.kind == "xlsx":
        body = [row[: len(layout.names)] for row in itertools.islice(workbook_rows(source), layout.rows, None)]
        table = pd.DataFrame(body, columns=layout.names, dtype=object)
    else:
        table = text_table(source, names=layout.names, skip=layout.rows).to_pandas().astype(object)
    empty = [name for name in table.columns if name.startswith("#") and not table[name].astype(str).any()]
    return table.drop(columns=empty), layout, {}


def laid_out(rows: Sequence[Sequence[str]]) -> Layout:
    """The header rows of an export: names, then texts, then ImportIds; a legacy export has no third row.

    Older files write the ImportId as Python does, with '-' where '_' is meant.
    """
    cells = [[cell.strip().removeprefix("\ufeff") for cell in row] for row in rows]
    names = _told_apart(cells[0])
    width = len(names)
    found = [number for number, row in enumerate(cells) if any(IMPORT_ID.fullmatch(cell) for cell in row)]
    if found:
        ids = [*cells[found[0]], *[""] * width][:width]
        imports = {name: _import_id(cell) for name, cell in zip(names, ids) if IMPORT_ID.fullmatch(cell)}
        zones = {name: match["zone"] for name, cell in zip(names, ids) if (match := ZONE.search(cell))}
        texts = dict(zip(names, cells[found[0] - 1])) if found[0] > 1 else {}
        return Layout(names, texts, imports, zones, found[0] + 1)
    legacy = len(cells) > 1 and len(set(cells[1]) & set(HEADED)) > 3 and len(set(cells[0]) & set(HEADED)) < 6
    heads = cells[1] if legacy else cells[0]
    imports = {name: HEADED[head] for name, head in zip(names, heads) if head in HEADED}
    texts = dict(zip(names, cells[1])) if legacy or _is_text_row(cells, imports, names) else {}
    return Layout(names, texts, imports, {}, 2 if texts else 1)


def _told_apart(header: Sequence[str]) -> list[str]:
    """Unique column names: a second column of the same heading gets its number."""
    named = [name or f"#{place + 1}" for place, name in enumerate(header)]
    counted = [f"{name} ({named[:place].count(name) + 1})" for place, name in enumerate(named)]
    return [name if named[:place].count(name) == 0 else counted[place] for place, name in enumerate(named)]


def _import_id(cell: str) -> str:
    try:
        return str(json.loads(cell)["ImportId"])
    except (ValueError, KeyError, TypeError):
        found = IMPORT_ID.fullmatch(cell)
        return found["id"].replace("-", "_") if found else ""


def _is_text_row(cells: Sequence[Sequence[str]], imports: Mapping[str, str], names: Sequence[str]) -> bool:
    """Whether the second row holds words where every answer has a date or a number."""
    if len(cells) < 2:
        return False
    sure = [place for place, name in enumerate(names) if imports.get(name) in ("startDate", "endDate", "duration")]
    told = [cells[1][place] for place in sure if place < len(cells[1])]
    return any(told) and not any(re.match(r"\d", cell) for cell in told)


def _technical_columns(table: pd.DataFrame, columns: Mapping[str, str], zones: Mapping[str, str]) -> pd.DataFrame:
    """Status, completeness and times in the words that reading expects."""
    made = {}
    for id in ("startDate", "endDate"):
        name = columns.get(id, "")
        if name in table and name in zones:
            made[name] = table[name].map(lambda cell, zone=zones[name]: _with_offset(cell, zone))
    channel = table[columns["distributionChannel"]] if columns.get("distributionChannel") in table else ""
    if columns.get("status") in table:
        name = columns["status"]
        state = table[name].map(_status)
        made[name] = state.where(~pd.Series(channel, table.index).astype(str).isin(["preview", "test"]), channel)
    if columns.get("finished") in table:
        done = table[columns["finished"]].astype(str).str.casefold().isin(DONE)
        if columns.get("progress") in table:
            done = done | table[columns["progress"]].astype(str).eq("100")
        made[columns["finished"]] = done.map({True: "true", False: "false"})
    return table.assign(**made)


def _status(cell: str) -> str:
    """live, preview, test or spam, from the code or from words in the account's language."""
    told = str(cell).casefold()
    return STATUS.get(told) or next((state for word, state in WORDS.items() if word in told), "live")


def _agreed(cell: str) -> str:
    """The consent question's choice as true or false: recode value, or the words of any language."""
    for code, value in (("yes", "true"), ("no", "false")):
        if str(cell) == CONSENT[code] or str(cell) in AGREE[code].values():
            return value
    return mark("skipped") if str(cell) == SEEN else cell


def _with_offset(cell: str, zone: str) -> str:
    """A time of the file's zone with its offset; as it stands where either cannot be read."""
    try:
        return datetime.fromisoformat(cell).replace(tzinfo=ZoneInfo(zone)).isoformat()
    except (ValueError, KeyError, OSError):
        return cell


def _unanswered(
    table: pd.DataFrame, questions: Sequence[str], survey: Any, complete: str | None
) -> tuple[pd.DataFrame, tuple[Entry, ...]]:
    """−99 as 'seen and left empty', unless the survey itself has that code for another reason.

    In a file that has −99, an empty cell of a finished response was not shown.
    """
    taken = {id for id, item in survey.items.items() if SEEN in item.scale.reasons()}
    taken |= {id for id, question in survey.background.items() if SEEN in question.reasons()}
    names = [name for name in questions if name.removesuffix(SELF) not in taken]
    cells = table[names].astype(str)
    seen = cells == SEEN
    count = int(seen.to_numpy().sum())
    if not count:
        return table, ()
    told = cells.mask(seen, mark("skipped"))
    sent = table[complete].eq("true") if complete is not None else pd.Series(False, table.index)
    made = {name: told[name].mask(sent & _nowhere(cells, name), mark("not_asked")) for name in names}
    line = entry("missing", f"seen but unanswered ({SEEN}): skipped", len(table), cells=count)
    return table.assign(**made), (line,)


def _nowhere(cells: pd.DataFrame, name: str) -> pd.Series:
    """Where a question has an empty cell in the columns of both forms of address."""
    other = name.removesuffix(SELF) if name.endswith(SELF) else name + SELF
    return cells[name].eq("") & (cells[other].eq("") if other in cells else True)


register(Platform("qualtrics", sniff=sniff, read=read, write=write, suffix=".txt", title="Qualtrics"))
