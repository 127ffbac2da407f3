"""Opening a file that somebody else made: what it is, how it is encoded, where it is broken.

Everything is read as text; 'NA', 'None' and 'null' stay the answers that they are.
"""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.csv

from cocoanalysis.arguments import file_path
from cocoanalysis.errors import PlatformError, listed
from cocoanalysis.fieldwork.platforms import Head, Options, Source
from cocoanalysis.instrument.statfile import described

MAX_CELLS = 250_000_000  # about 2.5 GB as nullable integers
MAX_UNPACKED = 1_000_000_000  # bytes of an unpacked spreadsheet
THREADED = 8_000_000  # bytes from which a text is parsed by several threads (a short run must not end under them)
MAX_RATIO = 200  # unpacked to packed size; ordinary spreadsheets stay below 50
LONGEST_CELL = 10_000_000  # characters
LONGEST_RECORD = 64_000_000  # bytes
DELIMITERS = ",;\t|"
MAGIC = {
    b"\xd0\xcf\x11\xe0": "ole",
    b"PK\x03\x04": "zip",
    b"PAR1": "parquet",
    b"$FL2": "sav",
    b"$FL3": "sav",
    b"<sta": "dta",
}
FOREIGN = {  # kinds of file that are known and not read → what to do with them
    b"\x1f\x8b": "is compressed (gzip) or an R file; unpack it, or write the table as CSV",
    b"%PDF": "is a PDF; export the responses as CSV or XLSX",
    b"ARRO": "is an Arrow (Feather) file; write the table as Parquet or CSV",
    b"FEA1": "is a Feather file; write the table as Parquet or CSV",
    b"RDX3": "is an R file; write the table as CSV",
    b"7z\xbc\xaf": "is an archive; unpack it",
    b"Rar!": "is an archive; unpack it",
    b"PK\x05\x06": "is an empty archive; export it again",
}
SEPARATOR = b"sep="
TABLES = (".csv", ".tsv", ".txt", ".xlsx")


def opened(path: str | Path, options: Options) -> Source:
    """The file with its kind, judged by its first bytes; of an archive, the one table in it.

    Raises
    ------
    PlatformError : NoSuchFile, EmptyFile, LegacySpreadsheet, NotATable, TooLarge, TruncatedFile
    """
    path = file_path(path, "A file of answers", PlatformError)
    if not path.is_file():
        raise PlatformError(f"There is no file {path}.", code="NoSuchFile")
    source = Source(path, _kind(path.name, path.open("rb")), options)
    if source.kind != "zip":
        return source
    parts = _checked_parts(source)
    if any(part.filename == "xl/workbook.xml" for part in parts):
        return replace(source, kind="xlsx")
    member = _only_table(path, parts)
    packed = replace(source, member=member)
    packed = replace(packed, kind=_kind(member, _unpacked(packed)))
    if packed.kind == "zip" and any(part.filename == "xl/workbook.xml" for part in _checked_parts(packed)):
        return replace(packed, kind="xlsx")
    if packed.kind != "text":
        raise PlatformError(f"The file in {path.name} is no table in text; unpack it first.", code="NotATable")
    return packed


def _kind(name: str, file: BinaryIO) -> str:
    """What a file is: text, zip, xlsx, parquet, sav, por or dta."""
    with file:
        start = file.read(8)
    if not start.strip():
        raise PlatformError(f"{name} is empty.", code="EmptyFile")
    foreign = next((words for mark, words in FOREIGN.items() if start.startswith(mark)), None)
    if foreign:
        raise PlatformError(f"{name} {foreign}.", code="NotATable")
    kind, suffix = MAGIC.get(start[:4], "text"), Path(name).suffix.lower()
    if kind == "text" and suffix in (".dta", ".por", ".sav", ".zsav"):
        kind = suffix[1:].replace("zsav", "sav")
    if kind == "ole":
        raise PlatformError(
            f"{name} is an encrypted workbook or one of the old .xls kind, which cannot be read safely; open it in "
            "a spreadsheet and save it as .xlsx without a password, or as CSV.",
            code="LegacySpreadsheet",
        )
    return kind


def _checked_parts(source: Source) -> list[zipfile.ZipInfo]:
    """What is in an archive, after a look at its unpacked size."""
    try:
        with source.open() as file, zipfile.ZipFile(file) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError):
        raise _damaged_archive(source.path) from None
    unpacked = sum(part.file_size for part in parts)
    if unpacked > MAX_UNPACKED or unpacked > MAX_RATIO * max(source.path.stat().st_size, 10_000):
        raise PlatformError(
            f"{source.path.name} would unpack to {unpacked:,} bytes, which no questionnaire export needs; it is not "
            "opened. Save large exports as CSV.",
            code="TooLarge",
        )
    return parts


def _only_table(path: Path, parts: Sequence[zipfile.ZipInfo]) -> str:
    """The table of an archive, as Qualtrics, Google Forms and ODK pack it; tables of repeats are named after it."""
    tables = [part for part in parts if part.filename.lower().endswith(TABLES)]
    stems = [PurePosixPath(part.filename).stem for part in tables]
    own = [part for part, stem in zip(tables, stems) if all(one.startswith(stem) for one in stems)]
    if len(own) != 1 or own[0].flag_bits & 1:
        raise PlatformError(
            f"{path.name} is an archive, and which table in it holds the responses cannot be told; unpack it and read "
            f"the file inside ({listed(part.filename for part in parts[:5])}).",
            code="NotATable",
        )
    return own[0].filename


def _unpacked(source: Source) -> BinaryIO:
    try:
        return source.open()
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, zlib.error) as error:
        raise _damaged_archive(source.path) from error


def _damaged_archive(path: Path) -> PlatformError:
    return PlatformError(f"{path.name} is a damaged archive; export it again.", code="TruncatedFile")


def head(source: Source, n: int = 6) -> Head:
    """The first rows, for sniffers."""
    if source.kind == "text":
        return Head(source, list(itertools.islice(_records(first_lines(source), delimiter(source)), n)))
    if source.kind == "xlsx":
        return Head(source, list(itertools.islice(workbook_rows(source), n)))
    if source.kind == "parquet":
        return Head(source, [_parquet(source).schema_arrow.names])
    return Head(source, [statistics_columns(source)])


def statistics_columns(source: Source) -> list[str]:
    """The names of the variables of an SPSS or Stata file; none of a damaged one (its reader says so)."""
    found = described(source.path, kind=source.kind, rows=True, encoding=source.options.encoding)
    return [column.name for column in found[1]] if found is not None else []


# Text ------------------------------------------------------------------------------------------


def decoded(source: Source) -> bytes:
    """The file as UTF-8 without a byte-order mark.

    Raises
    ------
    PlatformError : EncodingError, NulByte, with the place in bytes
    """
    with source.open() as file:
        raw = file.read()
    encoding = source.options.encoding or _encoding(raw)
    if encoding == "utf-8" and (nul := raw.find(b"\x00")) >= 0:
        raise _nul(source, nul)
    raw = _as_utf8(raw, encoding, source)
    if raw.startswith(SEPARATOR):  # a line for Excel that says 'sep=;'
        raw = raw[raw.find(b"\n") + 1 :]
    if (nul := raw.find(b"\x00")) >= 0:
        raise _nul(source, nul)
    return raw


def _nul(source: Source, place: int) -> PlatformError:
    return PlatformError(
        f"{source.path.name} holds a NUL byte at byte {place}: it is damaged, no text, or UTF-16 without its mark "
        "(then say encoding='utf-16-le').",
        code="NulByte",
    )


def _as_utf8(raw: bytes, encoding: str, source: Source) -> bytes:
    if encoding == "utf-8":
        raw = raw.removeprefix(codecs.BOM_UTF8)
        if raw.isascii():
            return raw
    try:
        text = raw.decode(encoding)
    except (UnicodeDecodeError, LookupError) as error:
        place = f" at byte {error.start}" if isinstance(error, UnicodeDecodeError) else ""
        raise PlatformError(
            f"{source.path.name} is not {encoding}{place}. Say how it is encoded, for example encoding='windows-1252' "
            "for a file of an older Windows program, or export it as UTF-8.",
            code="EncodingError",
        ) from None
    return raw if encoding == "utf-8" else text.removeprefix("\ufeff").encode()


def first_lines(source: Source, size: int = 200_000) -> bytes:
    """The first whole lines of a text, as UTF-8."""
    with source.open() as file:
        start = file.read(size + 1)
    if len(start) <= size:
        return decoded(source)
    start = start[:size]
    encoding = source.options.encoding or _encoding(start)
    try:
        decoder = codecs.getincrementaldecoder(encoding)()
        text = decoder.decode(start).removeprefix("\ufeff").encode()
        text = text[text.find(b"\n") + 1 :] if text.startswith(SEPARATOR) else text
    except (UnicodeDecodeError, LookupError):
        return decoded(source)[:size]  # which says where the fault is
    return text[: text.rfind(b"\n") + 1] or text


def _encoding(raw: bytes) -> str:
    return "utf-16" if raw[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8"


def _records(text: bytes, delimiter: str) -> Iterator[list[str]]:
    csv.field_size_limit(LONGEST_CELL)
    stream = io.TextIOWrapper(io.BytesIO(text), encoding="utf-8", newline="")
    return (row for row in csv.reader(stream, delimiter=delimiter, strict=False) if row)


def delimiter(source: Source) -> str:
    """The character between the cells, from the first rows.

    Raises
    ------
    PlatformError : AmbiguousDelimiter, BadDelimiter
    """
    if source.options.delimiter:
        if len(source.options.delimiter) != 1 or source.options.delimiter in '"\r\n':
            raise PlatformError(
                f"One character stands between the cells, such as ',' or ';'; {source.options.delimiter!r} came.",
                code="BadDelimiter",
            )
        return source.options.delimiter
    start = first_lines(source)
    widths = {mark: [len(row) for row in itertools.islice(_records(start, mark), 30)] for mark in DELIMITERS}
    fitting = [mark for mark, counts in widths.items() if counts and counts[0] > 1 and len(set(counts)) == 1]
    if len(fitting) > 1:
        names = _header_words(start, fitting)
        fitting = [mark for mark in fitting if names[mark] == max(names.values())]
    if len(fitting) > 1:
        raise PlatformError(
            f"The cells of {source.path.name} may be separated by {' or '.join(map(repr, fitting))}; "
            f"say which, as in delimiter='{fitting[-1]}'.",
            code="AmbiguousDelimiter",
        )
    if fitting:
        return fitting[0]
    headed = {mark: counts[0] for mark, counts in widths.items() if counts}
    best = max(headed, key=lambda mark: headed[mark], default=",")
    return best


def _header_words(start: bytes, marks: Sequence[str]) -> dict[str, int]:
    """How many cells of the header are short single words, for each delimiter: names rather than sentences."""
    rows = {mark: next(_records(start, mark)) for mark in marks}
    return {
        mark: sum(bool(cell.strip()) and not set(cell) & set(DELIMITERS) for cell in row) for mark, row in rows.items()
    }


def text_table(source: Source, *, names: Sequence[str] | None = None, skip: int = 1, block: int = 1 << 20) -> pa.Table:
    """A delimited text as a table of text columns (dictionary-encoded).

    Parameters
    ----------
    names : unique column names; None takes the first row
    skip : how many records stand before the answers
    block : bytes that are parsed at a time; no record may be longer

    Raises
    ------
    PlatformError : RaggedRow, TruncatedFile, DuplicateColumn, UnnamedColumn, TooLarge
    """
    text, mark = decoded(source), delimiter(source)
    text = text if text.endswith((b"\n", b"\r")) else text + b"\n"
    header = next(_records(text, mark), [])
    columns = list(names) if names is not None else unique_names(header, source)
    _small_enough(text.count(b"\n") * len(columns), source)
    if text.count(b'"') % 2:
        raise _located(text, mark, len(columns), source)
    try:
        table = pa.csv.read_csv(
            io.BytesIO(text),
            read_options=pa.csv.ReadOptions(
                column_names=columns,
                skip_rows_after_names=skip,
                use_threads=len(text) > THREADED,
                block_size=block,
            ),
            parse_options=pa.csv.ParseOptions(delimiter=mark, newlines_in_values=True),
            convert_options=pa.csv.ConvertOptions(
                column_types=dict.fromkeys(columns, pa.dictionary(pa.int32(), pa.string())), strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid as error:
        if "straddl" in str(error) and block < LONGEST_RECORD:
            return text_table(source, names=names, skip=skip, block=LONGEST_RECORD)
        raise _located(text, mark, len(columns), source) from None
    return table if names is not None else _named_only(table, source)


def _small_enough(cells: int, source: Source) -> None:
    if cells > MAX_CELLS:
        raise PlatformError(
            f"{source.path.name} has about {cells:,} cells, more than the {MAX_CELLS:,} that are read at once; "
            "split it by rows, or keep only the columns of the survey (a Parquet file reads only those).",
            code="TooLarge",
        )


def unique_names(header: Sequence[str], source: Source) -> list[str]:
    """The header as column names; an empty name is replaced by a number that cannot be an id.

    Raises
    ------
    PlatformError : DuplicateColumn
    """
    names = [name.strip() or f"#{place + 1}" for place, name in enumerate(header)]
    twice = list(dict.fromkeys(name for name in names if names.count(name) > 1))
    if twice:
        raise PlatformError(
            f"{source.path.name} has more than one column headed {listed(map(repr, twice))}; rename one of them.",
            code="DuplicateColumn",
        )
    return names


def _named_only(table: pa.Table, source: Source) -> pa.Table:
    """The table without nameless columns, which must be empty; row numbers, as R and pandas write them, may stay."""
    for name in [name for name in table.column_names if name.startswith("#")]:
        column = table[name].unify_dictionaries()
        if name == "#1" and _counts(column):
            continue
        if column.num_chunks and any(text for text in column.chunk(0).dictionary.to_pylist()):
            raise PlatformError(
                f"Column {name[1:]} of {source.path.name} has cells but no name in the first row; give it one.",
                code="UnnamedColumn",
            )
        table = table.drop_columns([name])
    return table


def _counts(column: pa.ChunkedArray) -> bool:
    """Whether a column only numbers its rows, from 0 or from 1."""
    told = column.cast(pa.string()).to_pylist()
    return bool(told) and any(told == [str(row) for row in range(start, start + len(told))] for start in (0, 1))


def _whole_records(text: bytes, mark: str, source: Source) -> Iterator[list[str]]:
    number = 1
    try:
        for row in _records(text, mark):
            number += 1
            yield row
    except csv.Error as error:
        raise PlatformError(
            f"Row {number} of {source.path.name} holds a cell of more than {LONGEST_CELL:,} characters, which no "
            "answer has; a quotation mark may be missing before it.",
            code="TooLarge",
        ) from error


def _located(text: bytes, mark: str, width: int, source: Source) -> PlatformError:
    """Which record of a broken file is to blame; its content is not shown."""
    number = 0
    for number, row in enumerate(_whole_records(text, mark, source), start=1):
        if len(row) != width:
            if text.count(b'"') % 2:
                break
            title = " If the first row is a title, remove the rows above the header." if width < 3 else ""
            return PlatformError(
                f"Row {number} of {source.path.name} has {len(row)} cells where the header has {width}: a delimiter "
                f"or a quotation mark is missing or too many there. Correct that row in the export.{title}",
                code="RaggedRow",
            )
    if text.count(b'"') % 2 == 0:
        return PlatformError(
            f"{source.path.name} cannot be read as a table with one row a response; export it as CSV, TSV or XLSX.",
            code="NotATable",
        )
    return PlatformError(
        f"{source.path.name} is cut off: the quotation mark that opens near row {number} is never closed. Export the "
        "file again.",
        code="TruncatedFile",
    )


# Workbooks and Parquet ----------------------------------------------------------------------------


def workbook_rows(source: Source) -> Iterator[list[str]]:
    """The rows of the first sheet as text; trailing empty cells are filled up to the header's width."""
    width = 0
    for cells in _sheet_rows(source):
        row = [cell_text(cell) for cell in cells]
        if any(row):
            width = width or len(row) - next((i for i, text in enumerate(reversed(row)) if text), 0)
            yield [*row, *[""] * (width - len(row))] if len(row) < width or any(row[width:]) else row[:width]


def sheet_heads(source: Source, n: int = 3) -> list[tuple[str, list[list[str]]]]:
    """The first rows of each sheet that has cells, by its name; a workbook's own charts are left out."""
    import openpyxl

    with source.open() as file:
        try:
            names = [sheet.title for sheet in openpyxl.load_workbook(file, read_only=True).worksheets]
        except Exception:  # its rows say what is wrong with it
            return []
    sheets = [replace(source, sheet=place) for place in range(len(names))]
    return [(name, list(itertools.islice(workbook_rows(sheet), n))) for name, sheet in zip(names, sheets)]


def _sheet_rows(source: Source) -> Iterator[tuple[Any, ...]]:
    """The first sheet's rows of cells; whatever openpyxl stumbles over becomes one named error."""
    import openpyxl

    with source.open() as file:
        try:
            book = openpyxl.load_workbook(file, read_only=True, data_only=True)
            rows = book.worksheets[source.sheet].iter_rows(values_only=True)
            yield from _with_results(source, rows) if _has_formulas(source) else rows
        except Exception as error:  # openpyxl lets errors of its XML and zip layers through, of many kinds
            raise PlatformError(
                f"{source.path.name} cannot be opened as a workbook ({type(error).__name__}): it is damaged, or "
                f"holds XML "
                "entities that are not read for safety. Save it again as .xlsx or CSV.",
                code="DamagedWorkbook",
            ) from error


def _has_formulas(source: Source) -> bool:
    """Whether any sheet holds formulas."""
    with source.open() as file, zipfile.ZipFile(file) as archive:
        names = [name for name in archive.namelist() if name.startswith("xl/worksheets/")]
        return any(b"<f" in archive.read(name) for name in names)


def _with_results(source: Source, rows: Iterator[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    """The rows with the results of formulas; a formula that nothing has computed stays the text that it is."""
    import openpyxl

    with source.open() as file:
        written = openpyxl.load_workbook(file, read_only=True).worksheets[source.sheet].iter_rows()
        for cells, row in zip(written, rows):
            yield tuple(
                str(getattr(cell.value, "text", cell.value)) if value is None and cell.data_type == "f" else value
                for cell, value in zip(cells, row)
            )


def cell_text(cell: Any) -> str:
    """A spreadsheet cell as the text that its reader meant: 3.0 is 3, dates are ISO."""
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < 2**63 else repr(cell)
    if isinstance(cell, (datetime, date, time)):
        return cell.isoformat()
    if isinstance(cell, timedelta):
        return str(cell.total_seconds())
    return str(cell)


def parquet_table(source: Source) -> pa.Table:
    """A Parquet file as a table of text columns."""
    import pyarrow.compute as pc

    file = _parquet(source)
    _small_enough(file.metadata.num_rows * file.metadata.num_columns, source)
    try:
        table = file.read()
    except (pa.ArrowException, OSError):
        raise _damaged_parquet(source) from None
    columns = {}
    for name in table.column_names:
        column = table[name]
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if pa.types.is_floating(column.type):
            texts = [cell_text(one) for one in column.to_pylist()]
            columns[name] = pa.chunked_array([pa.array(texts, pa.string())])
        else:
            columns[name] = pc.fill_null(column.cast(pa.string()), "")
    return pa.table(columns)


def _parquet(source: Source) -> Any:
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(source.path)
    except (pa.ArrowException, OSError):
        raise _damaged_parquet(source) from None


def _damaged_parquet(source: Source) -> PlatformError:
    return PlatformError(f"{source.path.name} is no readable Parquet file; write it again.", code="TruncatedFile")
