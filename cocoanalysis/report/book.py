"""Notebooks executed in place, and the book that shows them: what `coco reproduce` adds to the report.

Needs the extras 'notebooks' (to execute) and 'site' (for the book). The book shows committed outputs
and executes nothing itself; a warning of its builder is an error.
"""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from cocoanalysis.errors import CocoError, ExportError
from cocoanalysis.report import files

SECONDS = 120  # that one cell may take
Progress = Callable[[Iterable[Any], str], Iterable[Any]]


def execute_notebooks(folder: Path, progress: Progress | None = None) -> list[Path]:
    """Execute every notebook of a folder from top to bottom and write its outputs into it.

    A notebook whose cell fails is left as it was.

    Raises
    ------
    ExportError : NoNotebooks, ExtraMissing, and what `files.write` raises
    CocoError : CellFailed, with the notebook, the cell and the error
    """
    paths = sorted(folder.glob("*.ipynb"))
    if not paths:
        raise ExportError(
            f"There are no notebooks in '{folder}'. Run the command in a checkout of the project, "
            "or name its folder with --project.",
            code="NoNotebooks",
        )
    for path in progress(paths, "notebooks") if progress else paths:
        files.write(path, executed(path))
    return paths


def executed(path: Path) -> str:
    """The notebook as JSON with the outputs of a fresh run."""
    nbformat, nbclient = needed("nbformat", "notebooks"), needed("nbclient", "notebooks")
    needed("ipykernel", "notebooks")
    notebook = nbformat.read(path, as_version=4)
    environment = {key: value for key, value in os.environ.items() if key != "MPLBACKEND"} | {"CI": "true"}
    client = nbclient.NotebookClient(
        notebook, timeout=SECONDS, record_timing=False, resources={"metadata": {"path": str(path.parent)}}
    )
    try:
        client.execute(env=environment)
    except (nbclient.exceptions.CellExecutionError, nbclient.exceptions.CellTimeoutError) as error:
        failed = [
            i for i, cell in enumerate(notebook.cells) if cell.cell_type == "code" and cell.execution_count is None
        ]
        name, value = getattr(error, "ename", "timeout"), getattr(error, "evalue", f"more than {SECONDS} seconds")
        number = next((i for i, cell in enumerate(notebook.cells) if _has_error(cell)), failed[0] if failed else 0)
        raise CocoError(f"{path.name}, cell {number + 1}: {name}: {value}", code="CellFailed") from None
    return str(nbformat.writes(notebook)) + "\n"


def _has_error(cell: Any) -> bool:
    return any(output.output_type == "error" for output in cell.get("outputs", ()))


def build_book(project: Path, target: Path) -> Path:
    """Build the book of the manual's pages and the executed notebooks; returns its index.html.

    Raises
    ------
    ExportError : ExtraMissing, NoManual; CocoError : BookFailed, with the builder's words
    """
    docs = project / "docs"
    if not (docs / "conf.py").is_file():
        raise ExportError(
            f"There is no manual in '{docs}' (no conf.py). Run the command in a checkout of the project, "
            "or name its folder with --project.",
            code="NoManual",
        )
    for module in ("sphinx", "myst_nb", "sphinx_book_theme"):
        needed(module, "site")
    with tempfile.TemporaryDirectory() as scratch:
        source, built = Path(scratch) / "source", Path(scratch) / "html"
        shutil.copytree(docs, source)
        (source / "notebooks").mkdir()
        for notebook in sorted((project / "notebooks").glob("*.ipynb")):
            shutil.copy(notebook, source / "notebooks")
        _sphinx(source, built)
        return _moved(built, target)


def _sphinx(source: Path, built: Path) -> None:
    """Run the builder in a process of its own (it cannot run twice in one); its warnings are errors."""
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "--no-color", "-b", "html"]
    doctrees = built.with_name("doctrees")
    run = subprocess.run(
        [*command, "-d", str(doctrees), str(source), str(built)], capture_output=True, text=True, check=False
    )
    if run.returncode:
        said = run.stderr.strip().replace(str(source), "docs")
        raise CocoError(f"The book could not be built: {said}", code="BookFailed")


def _moved(built: Path, target: Path) -> Path:
    """The finished book in place of an earlier one; nothing but an earlier book is ever replaced."""
    if target.exists() and not (target / "genindex.html").is_file():
        raise ExportError(
            f"'{target}' exists and is no earlier book; choose another folder with -o.", code="NotWritable"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        shutil.rmtree(target)
    shutil.move(str(built), target)
    return target / "index.html"


def needed(module: str, extra: str) -> Any:
    """A module of an extra, or an ExportError that says what to install."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ExportError(
            f"This needs '{module}', which is not installed; run: pip install \"cocoanalysis[{extra}]\".",
            code="ExtraMissing",
        ) from error
