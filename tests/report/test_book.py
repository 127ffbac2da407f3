"""Notebooks are executed whole or left as they were; the book is built offline, warnings are errors."""

import re
import shutil
import sys

import nbformat
import pytest

from cocoanalysis.errors import CocoError
from cocoanalysis.report import book
from tests.shared import ROOT


def notebook(path, *cells):
    made = nbformat.v4.new_notebook()
    made.cells = [nbformat.v4.new_markdown_cell("# A title"), *(nbformat.v4.new_code_cell(cell) for cell in cells)]
    made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    path.write_text(nbformat.writes(made), encoding="utf-8")
    return path


@pytest.mark.slow
def test_a_notebook_is_executed_in_its_folder_and_twice_alike(tmp_path):
    path = notebook(
        tmp_path / "one.ipynb", "1 + 1", "import os, pathlib; (os.environ['CI'], pathlib.Path().resolve().name)"
    )
    assert book.execute_notebooks(tmp_path) == [path]
    first = path.read_text("utf-8")
    cells = [cell for cell in nbformat.reads(first, as_version=4).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == [1, 2]
    assert cells[0].outputs[0].data["text/plain"] == "2"
    assert tmp_path.name in cells[1].outputs[0].data["text/plain"]
    book.execute_notebooks(tmp_path)
    assert path.read_text("utf-8") == first


@pytest.mark.slow
def test_case_73_a_notebook_that_fails_is_left_as_it_was(tmp_path):
    path = notebook(tmp_path / "two.ipynb", "x = 1", "raise ValueError('no such column')")
    before = path.read_text("utf-8")
    with pytest.raises(CocoError, match=r"two\.ipynb, cell 3: ValueError: no such column") as error:
        book.execute_notebooks(tmp_path)
    assert error.value.code == "CellFailed"
    assert path.read_text("utf-8") == before


def test_a_folder_without_notebooks_and_a_missing_extra_are_named(tmp_path, monkeypatch):
    with pytest.raises(CocoError) as error:
        book.execute_notebooks(tmp_path)
    assert error.value.code == "NoNotebooks"
    monkeypatch.setitem(sys.modules, "nbclient", None)
    with pytest.raises(CocoError, match=r"cocoanalysis\[notebooks\]") as error:
        book.executed(tmp_path / "x.ipynb")
    assert error.value.code == "ExtraMissing"


@pytest.fixture
def project(tmp_path):
    """The real manual with one small notebook."""
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    (tmp_path / "notebooks").mkdir()
    notebook(tmp_path / "notebooks" / "01-small.ipynb", "1 + 1")
    return tmp_path


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Sphinx and its themes warn on their own account
def test_the_book_is_built_without_a_warning_and_asks_nothing_of_the_network(project, tmp_path):
    index = book.build_book(project, tmp_path / "site" / "book")
    assert index.is_file()
    assert (index.parent / "notebooks" / "01-small.html").is_file()
    for page in index.parent.rglob("*.html"):
        assert not re.findall(r"<(?:script|link|img|iframe)[^>]+(?:src|href)=\"(?:https?:)?//", page.read_text("utf-8"))
    book.build_book(project, tmp_path / "site" / "book")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_warning_of_the_builder_is_an_error_and_a_foreign_folder_stays(project, tmp_path):
    (tmp_path / "mine").mkdir()
    with pytest.raises(CocoError) as error:
        book.build_book(project, tmp_path / "mine")
    assert error.value.code == "NotWritable"
    with (project / "docs" / "theory.md").open("a", encoding="utf-8") as page:
        page.write("\n[a link](nowhere.md)\n")
    with pytest.raises(CocoError, match="nowhere") as error:
        book.build_book(project, tmp_path / "other")
    assert error.value.code == "BookFailed"
    assert not (tmp_path / "other").exists()
