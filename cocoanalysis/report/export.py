"""Tables and figures as files: the suffix says the form, a provenance file is written beside each.

To add a form, write a function from the thing to bytes and enter it in FORMS. Foreign text (labels,
reasons) is escaped in every form; cells of a CSV that a spreadsheet would run as a formula are guarded.
"""

from __future__ import annotations

import hashlib
import html
import io
import json
import platform
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from great_tables import GT

import cocoanalysis
from cocoanalysis.errors import ExportError, listed, suggestion
from cocoanalysis.report import files
from cocoanalysis.report.book import needed
from cocoanalysis.report.clearance import Release, cleared_frame, refuse_points, refuse_table
from cocoanalysis.report.labels import plain
from cocoanalysis.report.origin import Origin, notes_of, recall
from cocoanalysis.responses.disclosure import SafeTable, refuse_individuals
from cocoanalysis.responses.writing import as_text

LIBRARIES = ("numpy", "scipy", "pandas", "statsmodels", "pingouin", "matplotlib", "great_tables")


def export(thing: Any, path: str | Path, *, to: str | None = None, provenance: str | None = None) -> Path:
    r"""Write a table, figure, result or data frame to a file, and its provenance beside it.

    Parameters
    ----------
    thing : a table of `coco.tables` (html, docx, tex, csv), a figure of `coco.plots` (png, pdf, svg),
        a result (as its table), a DataFrame (csv, html, tex, docx), Responses (csv, or ``to='dataset'`` a folder
        that may be shared), or a Survey (``to`` a platform)
    path : where to; the suffix says the form. ``path`` + '.provenance.json' says where it came from
    to : the form, when the suffix does not say it
    provenance : of a DataFrame or of your own figure, which do not say it: synthetic, public real or yours

    Returns
    -------
    the path that was written

    Of real answers that are not public nothing is written that shows a person: what rests on few people is
    withheld, and so is a row that differs by few people from one that a file in the same folder already shows
    (their provenance files are read); rows and points of single people are refused.

    Raises
    ------
    ExportError : UnknownForm, ReservedName, NameTooLong, NotWritable, DiskFull, ExtraMissing, NothingToExport
    PlatformError : UnknownPlatform, naming those there are
    DisclosureError : IndividualValues, UncountedGroups, for what is neither synthetic nor public

    Examples
    --------
    >>> import tempfile
    >>> import pandas as pd
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     written = export(pd.DataFrame({"item": ["mob1"], "mean": [4.5]}), f"{folder}/items.tex")
    ...     print(written.name, r"\toprule" in written.read_text(encoding="utf-8"))
    items.tex True
    """
    target = files.usable(path)
    if hasattr(thing, "instruments"):
        return _questionnaire(thing, target, to)
    kind, thing = _kind(thing)
    if kind == "data set" and to == "dataset":
        from cocoanalysis.fieldwork.dataset import write_dataset

        return write_dataset(thing, target)
    form = (to or target.suffix.lstrip(".")).casefold()
    if form not in FORMS[kind]:
        raise ExportError(
            f"A {kind} cannot be written as '{form}'; allowed are {listed(FORMS[kind])}."
            f"{suggestion(form, FORMS[kind])}",
            code="UnknownForm",
        )
    thing = _cleared(thing, kind, target, provenance)
    content = FORMS[kind][form](thing)
    written = files.write(target, content)
    files.write(Path(f"{target}.provenance.json"), provenance_file(thing, target.name, content))
    return written


def _cleared(thing: Any, kind: str, target: Path, provenance: str | None) -> Any:
    """The thing as it may be written."""
    if kind == "data frame":
        safe, said = cleared_frame(thing, provenance)
        frame = safe.shown() if isinstance(safe, SafeTable) and len(safe.withheld) else thing
        return remember_frame(frame, safe.notes() if isinstance(safe, SafeTable) else [], said)
    if recall(thing) is None and kind == "figure":
        refuse_points(thing, provenance)
    if recall(thing) is None and kind == "table":
        return refuse_table(thing, provenance)
    found = Release.of_folder(target).cleared(thing) if kind in ("table", "figure") else thing
    return getattr(found, "figure", None) or found


def remember_frame(frame: pd.DataFrame, notes: list[str], provenance: str) -> pd.DataFrame:
    """The frame with what its provenance file will say, in the attributes that pandas keeps."""
    kept = frame.copy(deep=False)
    kept.attrs = {"provenance": provenance, "notes": notes}
    return kept


def _questionnaire(survey: Any, target: Path, to: str | None) -> Path:
    """A survey in the form of a platform; without a name, as the page that any browser opens."""
    from cocoanalysis.fieldwork.platforms import named

    write = named(to or "page", "write").write
    if write is not None:
        write(survey, target)
    return target


def provenance_file(thing: Any, name: str, content: bytes) -> str:
    """Where a file came from, as JSON without time or place, so that two runs write the same."""
    told = thing.attrs if isinstance(thing, pd.DataFrame) else {}
    origin = recall(thing) or Origin(
        getattr(thing, "title", "not recorded"),
        str(told.get("provenance") or getattr(thing, "provenance", "not recorded")),
        tuple(told.get("notes", ())),
    )
    record = {
        "file": name,
        "sha256": hashlib.sha256(content).hexdigest(),
        "title": origin.title,
        "provenance": origin.provenance,
        "notes": list(origin.notes) or notes_of(thing),
        "settings": {str(key): _plain_value(value) for key, value in origin.settings.items()},
        **({"counted": origin.counted.record()} if origin.counted is not None else {}),
        "cocoanalysis": cocoanalysis.__version__,
        "python": platform.python_version(),
        "libraries": {library: version(library) for library in LIBRARIES},
    }
    return json.dumps(record, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def _plain_value(value: Any) -> Any:
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def _kind(thing: Any) -> tuple[str, Any]:
    """What it is, and the object that is written."""
    if isinstance(thing, GT):
        return "table", thing
    if hasattr(thing, "savefig"):
        return "figure", thing
    if hasattr(thing, "figure") and hasattr(thing.figure, "savefig"):
        return "figure", thing.figure
    if (
        hasattr(thing, "survey")
        and hasattr(thing, "ledger")
        and isinstance(getattr(thing, "frame", None), pd.DataFrame)
    ):
        return "data set", thing
    if isinstance(thing, pd.DataFrame):
        return "data frame", thing
    if callable(getattr(thing, "tidy", None)):
        from cocoanalysis.report.tables import estimates

        return "table", estimates(thing)
    raise ExportError(
        f"A {type(thing).__name__} is no table, figure, result or data; there is nothing to write.",
        code="NothingToExport",
    )


# --- CSV ---------------------------------------------------------------------------------------

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def guarded(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with an apostrophe before every text that a spreadsheet would take for a formula; numbers stay."""
    shown = frame.rename(columns=_guard)
    for place in range(frame.shape[1]):
        series = frame.iloc[:, place]
        if not pd.api.types.is_numeric_dtype(series.dtype) and not pd.api.types.is_datetime64_any_dtype(series.dtype):
            shown.isetitem(place, series.astype(object).map(_guard).to_numpy())
    return shown


def _guard(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_STARTS) else value


def _csv(frame: pd.DataFrame) -> bytes:
    return guarded(frame).to_csv(index=not isinstance(frame.index, pd.RangeIndex), lineterminator="\n").encode("utf-8")


def _table_csv(table: GT) -> bytes:
    """The unrounded numbers behind the table, else the table's own cells."""
    origin = recall(table)
    if origin is not None and origin.frame is not None:
        return _csv(origin.numbers())
    grid = read_grid(table)
    return _csv(pd.DataFrame(grid.body, columns=grid.head[-1] if grid.head else None))


def _responses_csv(responses: Any) -> bytes:
    refuse_individuals("rows of single respondents", responses.provenance)
    return as_text(responses).to_csv(index=False, lineterminator="\n").encode("utf-8")


# --- HTML, LaTeX, docx -------------------------------------------------------------------------


class Grid(NamedTuple):
    """A table as text: what every other form is written from."""

    title: str
    head: list[list[str]]
    body: list[list[str]]
    groups: dict[int, str]  # a heading line before that row of the body
    notes: list[str]
    numeric: list[bool]


def read_grid(table: GT) -> Grid:
    """The cells of a table as they are shown, after all verbs that were applied to it."""
    from lxml import html as parser

    root = parser.fromstring(table.as_raw_html())
    head = [_spread(row) for row in root.xpath("//thead/tr[not(contains(@class, 'gt_heading'))]")]
    body: list[list[str]] = []
    groups: dict[int, str] = {}
    numeric: list[bool] = []
    for row in root.xpath("//tbody/tr"):
        if "gt_group_heading_row" in (row.get("class") or ""):
            groups[len(body)] = plain(row.text_content())
            continue
        body.append(_spread(row))
        numeric = numeric or ["gt_right" in (cell.get("class") or "") for cell in row.xpath("./td|./th")]
    titles = [plain(cell.text_content()) for cell in root.xpath("//td[contains(@class, 'gt_title')]")]
    notes = [plain(cell.text_content()) for cell in root.xpath("//tfoot//td")]
    return Grid(" ".join(titles), head, body, groups, notes, numeric)


def _spread(row: Any) -> list[str]:
    """A row's cells, one that spans several columns followed by empty ones."""
    cells: list[str] = []
    for cell in row.xpath("./td|./th"):
        cells += [plain(cell.text_content()), *[""] * (int(cell.get("colspan") or 1) - 1)]
    return cells


def _table_html(table: GT) -> bytes:
    origin = recall(table)
    title = origin.title if origin is not None else "Table"
    page = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n</head>\n<body>\n{table.as_raw_html()}\n</body>\n</html>\n"
    )
    return page.encode("utf-8")


TEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "\u00a0": "~", "−": "$-$", "–": "--", "—": "---", "…": r"\dots{}",
    "α": r"$\alpha$", "β": r"$\beta$", "χ": r"$\chi$", "ω": r"$\omega$", "Δ": r"$\Delta$", "²": r"\textsuperscript{2}",
    "≥": r"$\geq$", "≤": r"$\leq$", "→": r"$\rightarrow$", "×": r"$\times$", "·": r"\textperiodcentered{}",
}  # fmt: skip


def tex(text: str) -> str:
    """Text as LaTeX that prints it and does nothing else."""
    return "".join(TEX.get(character, character) for character in text)


def _table_tex(table: GT) -> bytes:
    grid = read_grid(table)
    width = max(len(row) for row in [*grid.head, *grid.body])
    columns = "".join("r" if right else "l" for right in grid.numeric) or "l" * width
    lines = [r"% needs \usepackage{booktabs}", r"\begin{table}", rf"\caption{{{tex(grid.title)}}}"]
    lines += [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", *(_tex_row(row) for row in grid.head), r"\midrule"]
    for place, row in enumerate(grid.body):
        if place in grid.groups:
            lines.append(rf"\multicolumn{{{width}}}{{l}}{{\textit{{{tex(grid.groups[place])}}}}} \\")
        lines.append(_tex_row(row))
    lines += [
        r"\bottomrule",
        r"\end{tabular}",
        "",
        *(rf"\par\small {tex(note)}" for note in grid.notes),
        r"\end{table}",
    ]
    return ("\n".join(lines) + "\n").encode("utf-8")


def _tex_row(row: list[str]) -> str:
    # {} before a bracket: after \\ LaTeX would read '[…]' as a length
    cells = " & ".join(tex(cell) for cell in row)
    return ("{}" if cells.startswith("[") else "") + cells + r" \\"


def _table_docx(table: GT) -> bytes:
    docx = needed("docx", "docx")
    grid = read_grid(table)
    document = docx.Document()
    document.add_paragraph(grid.title, style="Caption")
    width = max(len(row) for row in [*grid.head, *grid.body])
    sheet = document.add_table(rows=0, cols=width)
    for row in grid.head:
        _docx_row(sheet, row, bold=True)
    for place, row in enumerate(grid.body):
        if place in grid.groups:
            _docx_row(sheet, [grid.groups[place], *[""] * (width - 1)], italic=True)
        _docx_row(sheet, row)
    for note in grid.notes:
        document.add_paragraph(note)
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def _docx_row(sheet: Any, texts: list[str], *, bold: bool = False, italic: bool = False) -> None:
    for cell, text in zip(sheet.add_row().cells, texts):
        run = cell.paragraphs[0].add_run(text)
        run.bold, run.italic = bold, italic


def _framed(frame: pd.DataFrame) -> GT:
    from cocoanalysis.report.tables import framed

    return framed(frame)


# --- figures -----------------------------------------------------------------------------------


def _figure(form: str) -> Callable[[Any], bytes]:
    def draw(figure: Any) -> bytes:
        import matplotlib as mpl

        origin = recall(figure)
        words = f"{origin.title}. {' '.join(origin.notes)}" if origin else ""
        metadata = {
            "png": {"Description": words, "Software": None},
            "pdf": {"Subject": words, "CreationDate": None},
            "svg": {"Description": words, "Date": None},
        }[form]
        buffer = io.BytesIO()
        with mpl.rc_context({"svg.hashsalt": "cocoanalysis", "svg.fonttype": "path", "pdf.fonttype": 42}):
            figure.savefig(buffer, format=form, dpi=200 if form == "png" else "figure", metadata=metadata)
        return buffer.getvalue()

    return draw


FORMS: dict[str, dict[str, Callable[[Any], bytes]]] = {
    "table": {"html": _table_html, "docx": _table_docx, "tex": _table_tex, "csv": _table_csv},
    "figure": {form: _figure(form) for form in ("png", "pdf", "svg")},
    "data set": {"csv": _responses_csv},
    "data frame": {
        "csv": _csv,
        "html": lambda frame: _table_html(_framed(frame)),
        "tex": lambda frame: _table_tex(_framed(frame)),
        "docx": lambda frame: _table_docx(_framed(frame)),
    },
}
