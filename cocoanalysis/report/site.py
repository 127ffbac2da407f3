"""The report as a static site: one page a survey, nothing loaded from elsewhere, no script at all.

Needs the core dependencies only. Every page says where its data come from; a page ends with the
contents list of a rigorous analysis and names what is missing. Files are written one by one, whole
or not at all, and a file of an earlier run that is no longer made is removed.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import version
from importlib.resources import files as resources
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
from great_tables import GT
from lxml import html as parser

import cocoanalysis
from cocoanalysis.errors import CocoError
from cocoanalysis.report import files
from cocoanalysis.report.clearance import Release
from cocoanalysis.report.exhibits import CONTENTS, EXHIBITS, SECTIONS, Equation, Exhibit
from cocoanalysis.report.export import LIBRARIES, guarded
from cocoanalysis.report.labels import plain
from cocoanalysis.report.origin import recall
from cocoanalysis.report.study import Study
from cocoanalysis.responses.disclosure import told_safely
from cocoanalysis.result import PROVENANCES

BUNDLED = ("cocreation", "unit-climate")
MANIFEST = "site.json"
LONG = 45  # rows of a table beyond which it is folded away


class Shown(NamedTuple):
    """One exhibit as it stands on the page."""

    name: str
    title: str
    section: str
    parts: list[dict[str, Any]]
    covers: tuple[str, ...]
    refused: str | None  # why there is nothing to show


class Page(NamedTuple):
    """One survey's page, finished."""

    name: str
    title: str
    provenance: str
    shown: list[Shown]
    facts: dict[str, str]
    missing: list[str]


def write_site(
    folder: str | Path,
    surveys: Sequence[str | Path] = BUNDLED,
    *,
    responses: str | Path | None = None,
    seed: int = 1,
    progress: Callable[[Iterable[Any], str], Iterable[Any]] | None = None,
) -> Path:
    """Analyse the surveys and write the site.

    Parameters
    ----------
    folder : where to; made when it is not there
    surveys : folders, files or names of bundled surveys
    responses : a file of answers for a single survey; None for the sample that the survey names
    seed : for everything that draws random numbers
    progress : wraps what is iterated over and says how far it is

    Returns
    -------
    the path of index.html

    Raises
    ------
    CocoError : when a survey or its answers cannot be read, or the folder not be written
    """
    target = Path(folder)
    writer = Writer(target)
    pages = [page_of(Study(survey, responses, seed=seed), writer, progress) for survey in surveys]
    templates = _templates()
    for page in pages:
        contents = [(key, text, key not in page.missing) for key, text in CONTENTS.items()]
        shown = templates.get_template("survey.html").render(
            page=page, pages=pages, sections=SECTIONS, contents=contents, version=cocoanalysis.__version__
        )
        writer.write(f"{page.name}.html", shown)
    book = (target / "book" / "index.html").is_file()
    index = templates.get_template("index.html").render(pages=pages, book=book, version=cocoanalysis.__version__)
    writer.write("index.html", index)
    writer.write("style.css", (resources("cocoanalysis.report") / "pages" / "style.css").read_bytes())
    writer.finish(pages)
    return target / "index.html"


def missing_points(index: Path) -> dict[str, list[str]]:
    """What a written site lacks of a rigorous analysis, survey by survey; an empty list where nothing is missing."""
    return dict(json.loads((index.parent / MANIFEST).read_text("utf-8"))["missing"])


class Writer:
    """Writes below one folder and remembers what it wrote, so that the next run can clear up."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.written: dict[str, str] = {}

    def write(self, name: str, content: bytes | str) -> str:
        data = content.encode("utf-8") if isinstance(content, str) else content
        files.write(self.folder / name, data)
        self.written[name] = hashlib.sha256(data).hexdigest()
        return name

    def finish(self, pages: Sequence[Page]) -> None:
        """Remove what an earlier run made and this one did not, then write the list of all files."""
        for name in self._earlier():
            if name not in self.written:
                (self.folder / name).unlink(missing_ok=True)
        record = {
            "cocoanalysis": cocoanalysis.__version__,
            "python": platform.python_version(),
            "libraries": {library: version(library) for library in LIBRARIES},
            "surveys": {page.name: page.facts for page in pages},
            "missing": {page.name: [CONTENTS[key] for key in page.missing] for page in pages},
            "files": dict(sorted(self.written.items())),
        }
        files.write(self.folder / MANIFEST, json.dumps(record, indent=2, ensure_ascii=False) + "\n")

    def _earlier(self) -> list[str]:
        """Files that the last run says it made; only relative paths below the folder count."""
        try:
            listed = json.loads((self.folder / MANIFEST).read_text("utf-8"))["files"]
        except (OSError, ValueError, KeyError, TypeError):
            return []
        inside = self.folder.resolve()
        return [name for name in listed if (self.folder / name).resolve().is_relative_to(inside)]


def page_of(
    study: Study, writer: Writer, progress: Callable[[Iterable[Any], str], Iterable[Any]] | None = None
) -> Page:
    """Every exhibit of one survey, drawn and written; the page itself is not yet."""
    wrapped = progress(EXHIBITS, study.name) if progress else EXHIBITS
    release = Release()
    shown = [found for one in wrapped if (found := show(one, study, writer, release)) is not None]
    covered = {key for one in shown if one.refused is None for key in one.covers}
    if all(part["signed"] for one in shown for part in one.parts if "signed" in part):
        covered.add("provenance")
    survey = study.survey
    facts = {
        "survey": f"{survey.id} {survey.version}",
        "survey files (sha256)": survey.sha256,
        "answers": Path(study.path).name,
        "answers (sha256)": hashlib.sha256(Path(study.path).read_bytes()).hexdigest(),
        "seed": str(study.seed),
    }
    title = plain(survey.title.get("en") or next(iter(survey.title.values())))
    missing = [key for key in CONTENTS if key not in covered]
    return Page(study.name, title, study.responses.provenance, shown, facts, missing)


def show(one: Exhibit, study: Study, writer: Writer, release: Release | None = None) -> Shown | None:
    """One exhibit as parts of a page; None when it does not apply to the survey.

    Tables and figures are held against those of ``release``, which are written together.
    """
    release = Release() if release is None else release
    parts: list[dict[str, Any]] = []
    refused = None
    try:
        for thing in one.show(study):
            parts.append(_part(release.cleared(thing), f"{study.name}-{one.name}-{len(parts) + 1}", writer))
    except CocoError as error:
        refused = f"{told_safely(str(error), study.responses.provenance)} ({error.code})"
    if not parts and refused is None:
        return None
    return Shown(one.name, one.title, one.section, parts, one.covers, refused)


def _part(thing: Any, name: str, writer: Writer) -> dict[str, Any]:
    if isinstance(thing, str):
        return {"kind": "text", "text": plain(thing)}
    if isinstance(thing, Equation):
        return {"kind": "equation", "text": plain(thing.text)}
    if isinstance(thing, GT):
        return _table_part(thing, name, writer)
    return _figure_part(thing, name, writer)


def _table_part(table: GT, name: str, writer: Writer) -> dict[str, Any]:
    origin = recall(table)
    numbers = None
    if origin is not None and origin.frame is not None:
        frame = guarded(origin.numbers())
        text = frame.to_csv(index=not hasattr(frame.index, "step"), lineterminator="\n")
        numbers = writer.write(f"tables/{name}.csv", text)
    title = origin.title if origin is not None else "Table"
    shown = bare_table(table, name)
    rows = shown.count("<tr") - 2
    part = {"kind": "table", "html": shown, "title": title, "numbers": numbers, "rows": rows, "long": rows > LONG}
    return {**part, "signed": origin is not None}


def _figure_part(ax: Any, name: str, writer: Writer) -> dict[str, Any]:
    import matplotlib.pyplot as plt

    figure, origin = ax.figure, recall(ax)
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=150, metadata={"Software": None})
    width, height = figure.get_size_inches()
    plt.close(figure)
    path = writer.write(f"figures/{name}.png", buffer.getvalue())
    title = origin.title if origin is not None else "Figure"
    size = {"width": round(width * 96), "height": round(height * 96)}
    return {"kind": "figure", "path": path, "title": title, "signed": origin is not None, **size}


def bare_table(table: GT, name: str) -> str:
    """The table's HTML with classes instead of inline styles, which the page's policy forbids."""
    root = parser.fromstring(table.as_raw_html())
    found = root if root.tag == "table" else root.find(".//table")
    ids = {element.get("id"): f"{name}-{i}" for i, element in enumerate(found.iter()) if element.get("id")}
    for element in found.iter():
        style = element.attrib.pop("style", "") or ""
        for mark, word in (("background-color", "fill"), ("font-weight: bold", "strong")):
            if mark in style:
                tint = style.split("background-color:")[1].split(";")[0].strip(" #") if word == "fill" else ""
                element.set("class", f"{element.get('class', '')} {word}{'-' + tint.lower() if tint else ''}".strip())
        for key in ("id", "headers", "aria-labelledby"):
            if element.get(key):
                names = [ids[one] for one in element.get(key).split() if one in ids]
                element.set(key, " ".join(names)) if names else element.attrib.pop(key)
        if element.tag in {"td", "th"} and len(element.text_content()) > (60 if element.tag == "td" else 25):
            element.set("class", f"{element.get('class', '')} long".strip())
        for key in [key for key in element.attrib if key.startswith("data-")]:
            element.attrib.pop(key)
    return parser.tostring(found, encoding="unicode")


def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("cocoanalysis.report", "pages"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(provenances=PROVENANCES, CONTENTS=CONTENTS)
    return environment
