"""What the files of survey platforms and statistics programs know about their questions.

To add a kind of file, write a function from a path to a `Structure` and put @reader above it, with
a test of the path. Nothing is guessed here: what a file does not say stays empty.
"""

from __future__ import annotations

import csv
import html
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cocoanalysis.errors import InstrumentError, listed
from cocoanalysis.instrument.statfile import Column, described

Words = dict[str, str]
IS_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")
MOST_BYTES = 500_000_000
MOST_UNPACKED = 200_000_000
MOST_ROWS = 20_000
MOST_DISTINCT = 11
LANGUAGES = {
    "english": "en", "danish": "da", "dansk": "da", "german": "de", "deutsch": "de", "french": "fr", "français": "fr",
    "spanish": "es", "español": "es", "swedish": "sv", "svenska": "sv", "norwegian": "no", "norsk": "no",
    "dutch": "nl", "nederlands": "nl", "italian": "it", "portuguese": "pt", "russian": "ru",
}  # fmt: skip


@dataclass(frozen=True)
class Choice:
    """One answer that a file lists; ``missing`` when the file itself declares it missing."""

    code: str
    label: Words
    missing: bool = False


@dataclass(frozen=True)
class Question:
    """One question or column: its name in the file, words, answers and group (matrix, section)."""

    name: str
    text: Words = field(default_factory=dict)
    kind: str = "unknown"  # choice | numeric | text | several | unknown
    choices: tuple[Choice, ...] = ()
    group: str = ""
    lead: Words = field(default_factory=dict)
    rating: bool | None = None  # True or False only where the file says so
    personal: bool = False
    codes: tuple[int, int] | None = None  # smallest and largest whole number that occurs
    gaps: tuple[str, ...] = ()


@dataclass(frozen=True)
class Structure:
    """All questions of one file, its title and the language its words are in ('' when not said)."""

    kind: str
    title: str
    language: str
    questions: tuple[Question, ...]
    columns: bool = True  # names are columns of a file of answers


READERS: list[tuple[Callable[[Path], bool], Callable[[Path], Structure]]] = []


def reader(
    recognises: Callable[[Path], bool],
) -> Callable[[Callable[[Path], Structure]], Callable[[Path], Structure]]:
    def register(function: Callable[[Path], Structure]) -> Callable[[Path], Structure]:
        READERS.append((recognises, function))
        return function

    return register


def read_structure(path: str | Path) -> Structure:
    """The questions that a .sav, .dta, CSV, XLSForm, LimeSurvey, REDCap or Qualtrics file describes.

    Raises
    ------
    InstrumentError : NoSuchFile, TooLarge, UnknownFormat, CannotRead, NothingAsked
    """
    path = Path(path)
    if not path.is_file():
        raise InstrumentError(f"There is no file '{path}'.", code="NoSuchFile")
    if path.stat().st_size > MOST_BYTES:
        raise InstrumentError(f"'{path.name}' has more than {MOST_BYTES:,} bytes.", code="TooLarge")
    try:
        found = next((read for recognises, read in READERS if recognises(path)), None)
        structure = found(path) if found else None
    except InstrumentError:
        raise
    except Exception as problem:  # readers of foreign formats raise what they like
        raise InstrumentError(
            f"'{path.name}' cannot be read ({type(problem).__name__}); is it complete, and what its suffix says?",
            code="CannotRead",
        ) from problem
    if structure is None:
        raise InstrumentError(
            f"'{path.name}' is none of the files a draft can be made of: .sav, .dta, .csv, .tsv, an XLSForm (.xlsx), "
            "a LimeSurvey structure (.txt, .tsv), a REDCap dictionary (.csv) or a Qualtrics survey (.qsf).",
            code="UnknownFormat",
        )
    questions = tuple(_clean(one) for one in structure.questions if str(one.name or "").strip())
    if not questions:
        raise InstrumentError(f"'{path.name}' describes no question.", code="NothingAsked")
    language = structure.language if IS_LANGUAGE.fullmatch(structure.language) else ""
    return replace(structure, questions=questions, language=language, title=plain(structure.title) or path.stem)


def _clean(question: Question) -> Question:
    """Names without line breaks, and words under codes that are language codes."""
    choices = tuple(replace(one, label=_known(one.label)) for one in question.choices if one.code.strip())
    return replace(
        question, name=plain(question.name), text=_known(question.text), lead=_known(question.lead), choices=choices
    )


def _known(words: Words) -> Words:
    return {code if IS_LANGUAGE.fullmatch(code) else "": text for code, text in words.items()}


def plain(text: Any) -> str:
    """Words without markup and line breaks."""
    bare = re.sub(r"<(script|style)\b.*?</\1>|<[^<>]*>", " ", str(text or ""), flags=re.DOTALL | re.IGNORECASE)
    return re.sub(r"\s+", " ", re.sub(r"[\x00-\x1f\x7f-\x9f]", " ", html.unescape(bare))).strip()


def _suffix(*suffixes: str) -> Callable[[Path], bool]:
    return lambda path: path.suffix.casefold() in suffixes


# ---- SPSS and Stata -------------------------------------------------------------------------


@reader(_suffix(".sav", ".zsav", ".dta"))
def statistics(path: Path) -> Structure:
    """Labels, value labels, declared missing values and measurement levels; no answers are read."""
    found = described(path)
    if found is None:
        raise InstrumentError(
            f"'{path.name}' cannot be read; it is damaged, cut off, or not what its suffix says. Save it anew from the "
            "program that wrote it.",
            code="CannotRead",
        )
    label, columns = found
    stata = path.suffix.casefold() == ".dta"
    questions = tuple(_column_of(column, tagged=stata) for column in columns)
    return Structure("Stata" if stata else "SPSS", label or path.stem, "", questions)


def _column_of(column: Column, tagged: bool) -> Question:
    """One column; in Stata, labelled codes that are letters (.a to .z) are missing."""
    choices = [
        Choice(_number(code), {"": plain(words)}, _declared(code, column.missing) or (tagged and isinstance(code, str)))
        for code, words in column.values
    ]
    known = {choice.code for choice in choices}
    single = [_number(one["lo"]) for one in column.missing if one["lo"] == one["hi"]]
    choices += [Choice(code, {}, True) for code in single if code not in known]
    label = plain(column.label)
    labelled = any(not choice.missing for choice in choices if choice.label)
    return Question(
        column.name,
        {"": label} if label else {},
        "text" if column.string and not column.values else "choice" if labelled or column.string else "numeric",
        tuple(choices) if column.values else (),
        rating={"ordinal": True, "nominal": False}.get(column.measure),
    )


def _number(code: Any) -> str:
    return str(int(code)) if isinstance(code, float) and code.is_integer() else str(code)


def _declared(code: Any, ranges: Iterable[Mapping[str, Any]]) -> bool:
    """Whether a code lies in a declared missing range."""
    if isinstance(code, str):
        return any(code == one["lo"] for one in ranges)
    return any(not isinstance(one["lo"], str) and one["lo"] <= code <= one["hi"] for one in ranges)


# ---- text files -----------------------------------------------------------------------------


def _table(path: Path, delimiter: str = "") -> list[list[str]]:
    """Rows of a delimited file as text, at most MOST_ROWS of them."""
    raw = path.read_bytes()[: 2 * MOST_ROWS * 2_000]
    if b"\0" in raw and raw[:2] not in (b"\xff\xfe", b"\xfe\xff"):
        sentence = f"'{path.name}' is no text (it holds a NUL byte); export it again as CSV."
        raise InstrumentError(sentence, code="UnreadableFile")
    try:
        text = raw.decode("utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("cp1252", errors="replace")
    head = text.split("\n", 1)[0]
    delimiter = delimiter or max(",;\t", key=head.count)
    csv.field_size_limit(1_000_000)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    return [row for row, _ in zip(rows, range(MOST_ROWS)) if any(cell.strip() for cell in row)]


def _header(path: Path, delimiter: str = "") -> list[str]:
    with path.open("rb") as file:
        first = file.readline(100_000)
    text = first.decode("utf-8-sig", errors="replace")
    return [cell.strip(' "\r\n').casefold() for cell in text.split(delimiter or max(",;\t", key=text.count))]


def _is_redcap(path: Path) -> bool:
    header = _header(path, ",") if path.suffix.casefold() == ".csv" else []
    return bool(header) and header[0] in ("variable / field name", "field_name")


def _is_limesurvey(path: Path) -> bool:
    header = _header(path, "\t") if path.suffix.casefold() in (".txt", ".tsv") else []
    return "class" in header and "type/scale" in header


@reader(_is_redcap)
def redcap(path: Path) -> Structure:
    """A data dictionary: fields, choices, validation, identifiers, matrix groups."""
    rows = _table(path, ",")
    names = {"field_name": 0, "form_name": 1, "section": 2, "type": 3, "label": 4, "choices": 5, "validation": 7}
    names |= {"identifier": 10, "matrix": 15}
    questions = []
    section = ""
    for row in rows[1:]:
        cell = {name: row[position].strip() if position < len(row) else "" for name, position in names.items()}
        section = plain(cell["section"]) or section
        if cell["type"] not in ("descriptive", "calc", "file", ""):
            questions.append(_redcap_field(cell, section))
    return Structure("REDCap", path.stem, "", tuple(questions))


def _redcap_field(cell: Mapping[str, str], section: str) -> Question:
    kind = cell["type"]
    fixed = {"yesno": "1, Yes | 0, No", "truefalse": "1, True | 0, False"}
    listed_choices = fixed.get(kind, cell["choices"] if kind in ("radio", "dropdown", "checkbox") else "")
    choices = []
    for part in listed_choices.split("|"):
        code, comma, label = part.partition(",")
        if comma and code.strip():
            choices.append(Choice(code.strip(), {"": plain(label)}))
    numeric = cell["validation"].casefold().startswith(("int", "number")) or kind == "slider"
    form = "several" if kind == "checkbox" else "choice" if choices else "numeric" if numeric else "text"
    matrix = cell["matrix"]
    return Question(
        cell["field_name"],
        {"": plain(cell["label"])} if cell["label"] else {},
        form,
        tuple(choices),
        group=matrix,
        lead={"": section} if section and matrix else {},
        rating=True if matrix and form == "choice" else None,
        personal=cell["identifier"].casefold() == "y",
    )


@reader(_is_limesurvey)
def limesurvey(path: Path) -> Structure:
    """The tab-separated structure: arrays become groups of items, in all its languages."""
    rows = _table(path, "\t")
    header = [cell.strip() for cell in rows[0]]
    lines = [dict(zip(header, [*row, *([""] * len(header))])) for row in rows[1:]]
    base = next((line["text"] for line in lines if line["class"] == "S" and line["name"] == "language"), "")
    titles = [plain(line["text"]) for line in lines if line["name"] == "surveyls_title"]
    collected: dict[str, dict[str, Any]] = {}
    current: dict[str, Any] = {}
    for line in lines:
        if line["class"] == "Q":
            fresh = {"type": line["type/scale"], "text": {}, "subs": {}, "answers": {}}
            current = collected.setdefault(line["name"], fresh)
            current["text"][line["language"]] = plain(line["text"])
        elif line["class"] in ("SQ", "A") and current:
            inside = current["subs" if line["class"] == "SQ" else "answers"]
            inside.setdefault(line["name"], {})[line["language"]] = plain(line["text"])
    questions = [one for name, entry in collected.items() for one in _limesurvey_question(name, entry)]
    return Structure("LimeSurvey", (titles or [path.stem])[0], base or "", tuple(questions))


def _limesurvey_question(name: str, entry: Mapping[str, Any]) -> Iterator[Question]:
    kind, text = entry["type"], entry["text"]
    choices = tuple(Choice(code, words) for code, words in entry["answers"].items())
    fixed = {"5": (1, 5), "A": (1, 5), "B": (1, 10)}.get(kind)
    if kind in ("X", "*", "|"):
        return
    if kind in ("F", "A", "B", "C", "E", "1", "H"):
        gaps = () if choices or fixed else ("the answers of this kind of array are LimeSurvey's own",)
        form = "choice" if choices else "unknown"
        for sub, words in entry["subs"].items():
            column = f"{name}[{sub}]"
            yield Question(column, words, form, choices, group=name, lead=text, rating=True, codes=fixed, gaps=gaps)
    elif kind in ("M", "P"):
        yield Question(name, text, "several", tuple(Choice(sub, words) for sub, words in entry["subs"].items()))
    elif kind in ("L", "!", "O", "I"):
        yield Question(name, text, "choice", choices)
    elif kind == "Y":
        yield Question(name, text, "choice", (Choice("Y", {"en": "Yes"}), Choice("N", {"en": "No"})), rating=False)
    else:
        form = {"N": "numeric", "K": "numeric", "5": "unknown"}.get(kind, "text")
        yield Question(name, text, form, codes=fixed, rating=True if fixed else None)


@reader(_suffix(".csv", ".tsv", ".txt"))
def table(path: Path) -> Structure:
    """A tidy file of answers: names of columns, and which whole numbers occur."""
    rows = _table(path)
    if len(rows) < 2:
        raise InstrumentError(f"'{path.name}' holds no rows of answers under its header.", code="NothingAsked")
    header = [name.strip() for name in rows[0]]
    columns = {name: [row[i].strip() if i < len(row) else "" for row in rows[1:]] for i, name in enumerate(header)}
    return Structure("CSV", path.stem, "", tuple(_column(name, cells) for name, cells in columns.items() if name))


def _column(name: str, cells: list[str]) -> Question:
    given = {cell for cell in cells if cell not in ("", "NA")}
    if given and all(re.fullmatch(r"-?\d{1,4}", cell) for cell in given) and len(given) <= MOST_DISTINCT:
        numbers = [int(cell) for cell in given]
        return Question(name, kind="unknown", codes=(min(numbers), max(numbers)) if len(numbers) > 1 else None)
    if given and all(re.fullmatch(r"[-+]?\d+([.,]\d+)?", cell) for cell in given):
        return Question(name, kind="numeric")
    return Question(name, kind="text")


# ---- XLSForm --------------------------------------------------------------------------------


@reader(_suffix(".xlsx"))
def xlsform(path: Path) -> Structure:
    """The survey and choices sheets, with every language they have."""
    from openpyxl import load_workbook

    with zipfile.ZipFile(path) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > MOST_UNPACKED:
            raise InstrumentError(f"'{path.name}' unpacks to more than {MOST_UNPACKED:,} bytes.", code="TooLarge")
    book = load_workbook(path, read_only=True, data_only=True)
    sheets = {
        name.casefold(): list(book[name].iter_rows(values_only=True, max_row=MOST_ROWS)) for name in book.sheetnames
    }
    book.close()
    if "survey" not in sheets:
        raise InstrumentError(
            f"'{path.name}' is no XLSForm: it has the sheets {listed(book.sheetnames)}, and none named 'survey'.",
            code="UnknownFormat",
        )
    settings = next(iter(_records(sheets.get("settings", []))), {})
    lists: dict[str, list[Choice]] = {}
    for row in _records(sheets.get("choices", [])):
        key = str(row.get("list_name") or row.get("list name") or "")
        if row.get("name") is not None:
            lists.setdefault(key, []).append(Choice(str(row["name"]), _labels(row)))
    language = _language(str(settings.get("default_language") or ""))
    questions = tuple(_xlsform_questions(_records(sheets["survey"]), lists))
    return Structure("XLSForm", str(settings.get("form_title") or path.stem), language, questions)


def _records(rows: list[tuple[Any, ...]]) -> Iterator[dict[str, Any]]:
    header = [str(cell or "").strip() for cell in rows[0]] if rows else []
    for row in rows[1:]:
        yield {name: cell for name, cell in zip(header, row) if name and cell is not None}


def _labels(row: Mapping[str, Any]) -> Words:
    """label and label::Language (code) columns as words by language."""
    words = {}
    for column, value in row.items():
        if re.fullmatch(r"label(::?.*)?", column, re.IGNORECASE):
            words[_language(column.partition(":")[2].strip(": "))] = plain(value)
    return {language: text for language, text in words.items() if text}


def _language(name: str) -> str:
    code = re.search(r"\(([A-Za-z]{2,3}(?:-[A-Za-z]+)?)\)", name)
    if code:
        tongue, dash, region = code[1].partition("-")
        return tongue.casefold() + dash + region
    return LANGUAGES.get(name.strip().casefold(), name if re.fullmatch(r"[a-z]{2,3}", name) else "")


def _xlsform_questions(rows: Iterable[Mapping[str, Any]], lists: Mapping[str, list[Choice]]) -> Iterator[Question]:
    groups: list[tuple[str, Words]] = []
    for row in rows:
        kind, _, choices = str(row.get("type") or "").strip().partition(" ")
        kind = kind.casefold()
        if kind.startswith("begin"):
            groups.append((str(row.get("name") or ""), _labels(row)))
        elif kind.startswith("end"):
            groups[-1:] = []
        elif kind in ("select_one", "select_multiple", "integer", "decimal", "range", "text") and row.get("name"):
            listed_choices = tuple(lists.get(choices.strip().split(" ")[0], ())) if kind.startswith("select") else ()
            form = {"select_one": "choice", "select_multiple": "several", "text": "text"}.get(kind, "numeric")
            group, lead = groups[-1] if groups else ("", {})
            yield Question(str(row["name"]), _labels(row), form, listed_choices, group=group, lead=lead)


# ---- Qualtrics ------------------------------------------------------------------------------


@reader(_suffix(".qsf"))
def qualtrics(path: Path) -> Structure:
    """A .qsf file: questions in all languages in the order of their blocks, matrices as groups, recodes as codes."""
    data = json.loads(path.read_text(encoding="utf-8-sig"))
    entry = data.get("SurveyEntry") or {}
    language = str(entry.get("SurveyLanguage", "")).split("-")[0].casefold()
    elements = [one for one in _entries(data.get("SurveyElements")) if isinstance(one, dict)]
    asked = (one.get("Payload") for one in elements if one.get("Element") == "SQ")
    payloads = [payload for payload in asked if isinstance(payload, dict)]
    blocks = [block for one in elements if one.get("Element") == "BL" for block in _entries(one.get("Payload"))]
    places = {id: place for place, id in enumerate(_in_blocks(blocks, trash=False))}
    thrown = set(_in_blocks(blocks, trash=True))
    kept = [payload for payload in payloads if payload.get("QuestionID") not in thrown]
    kept.sort(key=lambda payload: places.get(payload.get("QuestionID"), len(places)))
    questions = tuple(one for payload in kept for one in _qualtrics_question(payload, language))
    return Structure("Qualtrics", plain(entry.get("SurveyName")) or path.stem, language, questions)


def _entries(listed_or_keyed: Any) -> list[Any]:
    """The entries of a list, or of an object: Qualtrics writes either, whichever its numbering allows."""
    if isinstance(listed_or_keyed, dict):
        return list(listed_or_keyed.values())
    return listed_or_keyed if isinstance(listed_or_keyed, list) else []


def _in_blocks(blocks: Iterable[Any], trash: bool) -> Iterator[Any]:
    """The questions of the blocks, in order; or those in the trash."""
    for block in blocks:
        if isinstance(block, dict) and (block.get("Type") == "Trash") == trash:
            parts = (part for part in _entries(block.get("BlockElements")) if isinstance(part, dict))
            yield from (part.get("QuestionID") for part in parts)


def _ordered(payload: Mapping[str, Any], key: str, order: str) -> list[tuple[str, Any]]:
    """Choices or answers in their order; a list stands for entries that are numbered from 0 (as those of an NPS)."""
    entries = payload.get(key) or {}
    entries = entries if isinstance(entries, dict) else {str(place): one for place, one in enumerate(_entries(entries))}
    wanted = [str(one) for one in _entries(payload.get(order)) or entries]
    return [(one, entries[one]) for one in wanted if one in entries]


def _translations(payload: Mapping[str, Any]) -> dict[str, Any]:
    found = payload.get("Language")
    told = found.items() if isinstance(found, dict) else ()
    return {code.split("-")[0].casefold(): one for code, one in told if isinstance(one, dict)}


def _qualtrics_words(payload: Mapping[str, Any], language: str, key: str = "", entry: str = "") -> Words:
    """The question's own words, or those of a choice or answer, by language."""
    words = {}
    for code, one in {language: payload, **_translations(payload)}.items():
        told = one.get("QuestionText") if not key else dict(_ordered(one, key, f"{key[:-1]}Order")).get(entry)
        words[code] = plain(told.get("Display") if isinstance(told, dict) else told)
    return {code: text for code, text in words.items() if text}


def _qualtrics_choices(payload: Mapping[str, Any], language: str, key: str) -> tuple[Choice, ...]:
    recoded = payload.get("RecodeValues") or {}
    recoded = recoded if isinstance(recoded, dict) else {}
    entries = _ordered(payload, key, f"{key[:-1]}Order")
    return tuple(Choice(str(recoded.get(id, id)), _qualtrics_words(payload, language, key, id)) for id, _ in entries)


def _qualtrics_rows(payload: Mapping[str, Any], name: str, language: str) -> Iterator[tuple[str, Words]]:
    """The column and the words of each row of a matrix, slider, ranking or form."""
    tags = payload.get("ChoiceDataExportTags")
    for id, _ in _ordered(payload, "Choices", "ChoiceOrder"):
        column = tags.get(id) if isinstance(tags, dict) and tags.get(id) else f"{name}_{id}"
        yield str(column), _qualtrics_words(payload, language, "Choices", id)


def _qualtrics_question(payload: Mapping[str, Any], language: str) -> Iterator[Question]:
    kind, selector = payload.get("QuestionType"), str(payload.get("Selector", ""))
    name = str(payload.get("DataExportTag") or payload.get("QuestionID") or "q")
    question = Question(name, _qualtrics_words(payload, language))
    if kind == "Matrix" and selector in ("Likert", "Bipolar", "Profile"):
        choices, one = _qualtrics_choices(payload, language, "Answers"), payload.get("SubSelector") != "MultipleAnswer"
        for column, words in _qualtrics_rows(payload, name, language):
            told = Question(column, words, "choice", choices, group=name, lead=question.text, rating=True)
            yield told if one else replace(told, kind="several", rating=None)
    elif kind == "MC":
        choices = _qualtrics_choices(payload, language, "Choices")
        several = selector in ("MAVR", "MAHR", "MACOL", "MSB")
        yield replace(question, kind="several" if several else "choice", choices=choices)
    elif kind in ("Slider", "RO", "CS") or (kind, selector) == ("TE", "FORM"):
        form = "text" if kind == "TE" else "numeric"
        for column, words in _qualtrics_rows(payload, name, language):
            yield Question(column, words, form, group=name, lead=question.text)
    elif kind not in ("DB", "Timing", "Meta", "Captcha", None):
        yield replace(question, kind="text")
