"""The README keeps what it promises."""

import json
import re

import pytest

from tests.shared import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.S)


def test_the_readme_has_code():
    assert BLOCKS


@pytest.mark.parametrize("block", BLOCKS, ids=lambda b: b.splitlines()[0][:40])
def test_readme_code_runs(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("surveys",):
        (tmp_path / folder).symlink_to(ROOT / folder)
    exec(compile(block, "README.md", "exec"), {"__name__": "readme"})


@pytest.mark.parametrize("target", re.findall(r"^make ([a-z]+)", README, flags=re.M))
def test_every_make_command_exists(target):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.M)


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\]\(((?!http|#)[^)]+)\)", README))))
def test_every_link_in_the_readme_leads_somewhere(path):
    assert (ROOT / path.split("#")[0]).exists()


@pytest.mark.parametrize("notebook", sorted(p.name for p in (ROOT / "notebooks").glob("*.ipynb")))
def test_the_readme_names_every_notebook(notebook):
    assert notebook in README


TEXT = {".py", ".md", ".toml", ".yml", ".yaml", ".cfg", ".ipynb", ".lock"}
MADE = {".venv", "output", ".git", "build"}


def test_no_text_names_a_registry_host():
    hosts = re.compile(r"(pypi|pythonhosted|npmjs)\.(org|com)|deb\.debian|cran\.r-project", flags=re.I)
    files = [p for p in ROOT.rglob("*") if p.suffix in TEXT and not MADE & set(p.relative_to(ROOT).parts)]
    assert not [p for p in files if hosts.search(p.read_text(encoding="utf-8", errors="replace"))]


def made_in_notebooks():
    """(notebook, cell) of every call of coco.tables and coco.plots."""
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
        for number, source in enumerate(code, start=1):
            if re.search(r"coco\.(tables|plots)\.\w+\(", source):
                yield path.name, number


def test_the_readme_maps_every_table_and_figure_to_its_cell():
    mapped = {(name, int(number)) for name, number in re.findall(r"\| `([\w-]+\.ipynb)` \[(\d+)\] \|", README)}
    assert mapped == set(made_in_notebooks())
