"""Translation sheets: every text of a survey in a spreadsheet, out to a translator and back.

A row is one text: where it stands, the words to translate, the translation. Reading the sheet
back writes the translations into the YAML files, whose comments and layout stay; nothing is
written unless the whole survey reads without a fault afterwards.
"""

from __future__ import annotations

import io
import os
import tempfile
import typing
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cocoanalysis.errors import InstrumentError, listed, one_of
from cocoanalysis.instrument.fileform import Status
from cocoanalysis.instrument.findings import Finding, Place, fault, refuse, shown
from cocoanalysis.instrument.instrumentfile import texts
from cocoanalysis.instrument.model import Survey
from cocoanalysis.instrument.reading import read_survey, survey_file, survey_sources
from cocoanalysis.instrument.structures import IS_LANGUAGE
from cocoanalysis.instrument.surveyfile import survey_from
from cocoanalysis.instrument.yamlfile import Source, parse_yaml, read_yaml

HEADER = ("file", "where", "kind", "address", "source", "translation", "note")
WIDTHS = (24, 44, 12, 10, 60, 60, 30)
KINDS = {"text": "item", "label": "label", "stem": "introduction", "question": "question", "title": "title"}
STATUSES = typing.get_args(Status)
FORMULA = ("=", "+", "-", "@", "\t", "\r")
MOST_UNPACKED = 50_000_000
LONGEST = 2_000


@dataclass(frozen=True)
class Row:
    """One text of the survey: which file, where in it, the words and their translation."""

    file: str
    where: str
    kind: str
    address: str
    source: str
    translation: str


def write_translation_sheet(
    survey: Survey | str | Path, language: str, path: str | Path, *, source_language: str | None = None
) -> Path:
    """Write every text of a survey into a spreadsheet, with a column for the translation.

    Parameters
    ----------
    survey : a survey, or a path that `read_survey` takes
    language : the language to translate to, as 'de'; translations that exist are filled in
    path : the .xlsx file to write
    source_language : the language to translate from (default: the survey's first)

    Raises
    ------
    InstrumentError : UnknownLanguage, SameLanguage, ExtendsAnother, NotXlsx, NotWritable

    Examples
    --------
    >>> folder = tempfile.mkdtemp()
    >>> write_translation_sheet("unit-climate", "de", Path(folder) / "sheet.xlsx").name
    'sheet.xlsx'
    """
    survey = survey if isinstance(survey, Survey) else read_survey(survey)
    source_language = source_language or survey.languages[0]
    target = Path(path)
    _check_request(survey, language, source_language, target)
    rows = [row for source in _sources(survey) for row in _rows(source, survey, source_language, language)]
    _save(_workbook(rows, survey, source_language, language), target)
    return target


def read_translation_sheet(
    path: str | Path, survey: Survey | str | Path, *, status: str = "draft", translator: str = ""
) -> list[Path]:
    """Take the translations of a sheet into the survey's YAML files.

    Parameters
    ----------
    path : the filled .xlsx file; rows without a translation are left out
    survey : the survey the sheet was written from, or its path
    status : of the new translations: draft, reviewed or back-translated
    translator : recorded in the files

    Returns
    -------
    the files that changed

    Raises
    ------
    InstrumentError : with every row at fault as file:row:column: NotASheet, UnknownText (the survey
        has no such place), SourceChanged (it says something else by now), FormulaCell, TextTooLong;
        BundledSurvey when the files belong to the installed package
    """
    one_of(status, STATUSES, "status of a translation", error=InstrumentError)
    survey = survey if isinstance(survey, Survey) else read_survey(survey)
    language, cells = _read(Path(path))
    _check_language(language)
    sources = {_name(source, survey): source for source in _sources(survey)}
    faults: list[Finding] = []
    wanted: dict[str, dict[str, str]] = {}
    for place, row in cells:
        problem = _problem(row, sources, place)
        faults += [problem] if problem else []
        if not problem and row["translation"]:
            wanted.setdefault(row["file"], {})[row["where"]] = row["translation"]
    refuse(faults)
    changed = {}
    for name, translations in wanted.items():
        changed[sources[name].path] = _translated(sources[name], translations, language, status, translator)
    _refuse_installed(changed)
    _check_result(survey, changed)
    for file, text in changed.items():
        _replace(file, text.encode("utf-8"))
    return list(changed)


# ---- which texts ----------------------------------------------------------------------------


def _check_request(survey: Survey, language: str, source_language: str, target: Path) -> None:
    if source_language not in survey.languages:
        raise InstrumentError(
            f"The survey is not in '{source_language}'; it is in {listed(survey.languages)}.", code="UnknownLanguage"
        )
    _check_language(language)
    if language == source_language:
        raise InstrumentError(f"The texts are in '{language}' already; give another language.", code="SameLanguage")
    if target.suffix.casefold() != ".xlsx":
        raise InstrumentError(f"A translation sheet is an .xlsx file; '{target}' came.", code="NotXlsx")


def _check_language(language: str) -> None:
    if not IS_LANGUAGE.fullmatch(language):
        raise InstrumentError(
            f"'{language[:40]}' is no code of a language; it has two or three small letters, as de, or a region after "
            "them, as de-AT.",
            code="UnknownLanguage",
        )


def _sources(survey: Survey) -> list[Source]:
    """The survey's own files; one that extends another has texts in files that are not its own."""
    if survey.extends is not None:
        raise InstrumentError(
            f"'{survey.id}' extends '{survey.extends}', whose files hold the texts. Translate that survey, or record "
            "changes of kind 'translation'.",
            code="ExtendsAnother",
        )
    return [read_yaml(survey.path), *(read_yaml(instrument.path) for instrument in survey.instruments)]


def _name(source: Source, survey: Survey) -> str:
    return Path(os.path.relpath(source.path, survey.folder)).as_posix()


def _rows(source: Source, survey: Survey, old: str, new: str) -> Iterator[Row]:
    """Texts of one file in the order of its lines."""
    found = sorted(texts(source), key=lambda entry: source.place(*entry[0]))
    for steps, words in found:
        if old not in words:
            continue
        address = str(steps[-1]) if steps[-1] in ("self", "other") else ""
        key = str(steps[-2] if address else steps[-1])
        yield Row(
            file=_name(source, survey),
            where=_where(source, steps),
            kind=KINDS.get(key, key),
            address=address,
            source=words[old],
            translation=words.get(new, ""),
        )


def _where(source: Source, steps: Iterable[str | int]) -> str:
    """Steps with ids and codes in place of positions, so that a sheet survives a reordered file."""
    node, parts = source.root, []
    for step in steps:
        node = node.value[step]
        parts.append(_tag(node.value, step) if isinstance(step, int) else str(step))
    return "/".join(parts)


def _tag(entry: Any, position: int) -> str:
    for key in ("id", "code", "file"):
        if isinstance(entry, dict) and key in entry:
            value = entry[key]
            return str(getattr(value, "value", value))
    return f"[{position}]"


def _found(data: Any, where: str) -> Any:
    """The entry under such steps, in plain or in round-trip data; None where there is none."""
    for part in where.split("/"):
        if isinstance(data, dict):
            data = data.get(part)
        elif isinstance(data, list):
            data = next((entry for position, entry in enumerate(data) if _tag(entry, position) == part), None)
        else:
            return None
    return data


# ---- the sheet ------------------------------------------------------------------------------


def _workbook(rows: list[Row], survey: Survey, old: str, new: str) -> Any:
    from openpyxl import Workbook
    from openpyxl.styles import Alignment, Font, PatternFill

    book = Workbook()
    sheet = book.active
    sheet.title = f"{old} to {new}"[:31]  # the most that a spreadsheet takes
    sheet.append([*HEADER])
    for row in rows:
        sheet.append([row.file, row.where, row.kind, row.address, None, None, None])
        for column, text in ((5, row.source), (6, row.translation)):
            _text_cell(sheet.cell(sheet.max_row, column), text)
    for column, width in enumerate(WIDTHS, start=1):
        sheet.column_dimensions[sheet.cell(1, column).column_letter].width = width
        sheet.cell(1, column).font = Font(bold=True)
    for line in sheet.iter_rows(min_row=2, min_col=5, max_col=6):
        for cell in line:
            cell.alignment = Alignment(wrap_text=True, vertical="top")
        line[1].fill = PatternFill("solid", start_color="FFFBE6")
    sheet.freeze_panes = "A2"
    about = book.create_sheet("about")
    for key, value in (("survey", survey.id), ("version", survey.version), ("from", old), ("to", new)):
        about.append([key, value])
    return book


def _text_cell(cell: Any, text: str) -> None:
    """Text stays text: what begins like a formula is stored as a string and marked as one."""
    cell.value = text or None
    if text.startswith(FORMULA):
        cell.data_type = "s"
        cell.quotePrefix = True


def _save(book: Any, target: Path) -> None:
    buffer = io.BytesIO()
    book.save(buffer)
    _replace(target, buffer.getvalue())


def _replace(target: Path, content: bytes) -> None:
    """The whole file or nothing."""
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.chmod(name, target.stat().st_mode & 0o777 if target.exists() else 0o644)
            os.replace(name, target)
        finally:
            Path(name).unlink(missing_ok=True)
    except OSError as problem:
        sentence = f"'{target}' cannot be written ({problem.strerror or problem})."
        raise InstrumentError(sentence, code="NotWritable") from problem


def _read(path: Path) -> tuple[str, list[tuple[Place, dict[str, str]]]]:
    """The language and the rows of a filled sheet, with the place of each translation."""
    book = _opened(path)
    try:
        about = {str(key): str(value) for key, value, *_ in book["about"].iter_rows(values_only=True)}
        sheet = book.worksheets[0]
        header = [str(cell.value) for cell in sheet[1]]
        columns = {name: header.index(name) for name in HEADER[:-1]}
        language = about["to"]
    except (KeyError, ValueError, IndexError, TypeError) as problem:
        sentence = f"'{shown(path)}' is no translation sheet; it lacks {problem}. Write one with coco translate."
        raise InstrumentError(sentence, code="NotASheet") from None
    cells = []
    faults = []
    for number, line in enumerate(sheet.iter_rows(min_row=2), start=2):
        place = Place(shown(path), number, columns["translation"] + 1)
        if line[columns["translation"]].data_type == "f":
            faults.append(fault(place, "FormulaCell", "The cell holds a formula; write the words as text."))
            continue
        row = {name: str(line[column].value or "").strip() for name, column in columns.items()}
        cells += [(place, row)] if row["where"] else []
    refuse(faults)
    return language, cells


def _opened(path: Path) -> Any:
    """The workbook, after looking at its unpacked size."""
    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    if not path.is_file():
        raise InstrumentError(f"There is no file '{path}'; write one with coco translate.", code="NoSuchFile")
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MOST_UNPACKED:
                sentence = f"'{shown(path)}' unpacks to more than {MOST_UNPACKED:,} bytes and is not opened."
                raise InstrumentError(sentence, code="TooLarge")
        return load_workbook(path)
    except (OSError, zipfile.BadZipFile, KeyError, ValueError, InvalidFileException) as problem:
        cause = type(problem).__name__
        raise InstrumentError(f"'{shown(path)}' cannot be read as .xlsx ({cause}).", code="NotASheet") from None


def _problem(row: dict[str, str], sources: dict[str, Source], place: Place) -> Finding | None:
    if not row["translation"]:
        return None
    source = sources.get(row["file"])
    words = _found(source.data, row["where"]) if source else None
    if not isinstance(words, dict):
        sentence = f"The survey has no text '{row['where']}' in '{row['file']}'; write a new sheet."
        return fault(place, "UnknownText", sentence)
    if row["source"] not in [str(text).strip() for text in words.values()]:
        sentence = f"The text '{row['where']}' says something else by now; write a new sheet and take it over."
        return fault(place, "SourceChanged", sentence)
    if len(row["translation"]) > LONGEST:
        return fault(place, "TextTooLong", f"The translation is longer than {LONGEST} characters.")
    return None


# ---- into the files -------------------------------------------------------------------------


def _translated(source: Source, translations: dict[str, str], language: str, status: str, translator: str) -> str:
    """The file's text with the translations in it; comments, order and quotes stay."""
    from ruamel.yaml import YAML
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString as Quoted

    yaml = YAML(typ="rt")
    yaml.preserve_quotes = True
    yaml.width = 4096  # no new line breaks
    yaml.indent(mapping=2, sequence=4, offset=2)
    data = yaml.load(source.path.read_bytes())
    for where, text in translations.items():
        words = _found(data, where)
        words[language] = Quoted(text)
        entry = _found(data, where.split("/text")[0])
        if isinstance(entry, dict) and isinstance(entry.get("status"), dict):
            entry["status"][language] = status
    if language not in data["languages"]:
        data["languages"].append(language)
    if "instruments" not in data:
        known = data.setdefault("translations", {})
        known[language] = _entry(status, translator)
    buffer = io.StringIO()
    yaml.dump(data, buffer)
    return buffer.getvalue()


def _entry(status: str, translator: str) -> Any:
    """Who translated and how far it is checked, on one line as the other languages have it."""
    from ruamel.yaml.comments import CommentedMap

    entry = CommentedMap({"status": status, **({"translator": translator} if translator else {})})
    entry.fa.set_flow_style()
    return entry


def _refuse_installed(paths: Iterable[Path]) -> None:
    installed = Path(__file__).resolve().parents[1]
    inside = [path for path in paths if path.resolve().is_relative_to(installed)]
    if inside:
        raise InstrumentError(
            "These files belong to the installed package; copy the survey out first: coco new mine --from NAME.",
            code="BundledSurvey",
        )


def _check_result(survey: Survey, changed: dict[Path, str]) -> None:
    """The survey as it would be with the new texts must read without a fault."""
    source, instruments, faults = survey_sources(read_yaml(survey_file(survey.path)))
    now = [
        parse_yaml(changed[one.path].encode("utf-8"), one.path) if one.path in changed else one
        for one in (source, *instruments)
    ]
    survey_from(now[0], now[1:], faults)
