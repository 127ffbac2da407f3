"""Imports point one way, and no room reaches into a later one."""

import ast
from pathlib import Path

import pytest

import cocoanalysis

PACKAGE = Path(cocoanalysis.__file__).parent
ORDER = [
    "errors",
    "arguments",
    "threads",
    "result",
    "instrument",
    "responses",
    "fieldwork",
    "measurement",
    "propositions",
    "worlds",
    "report",
    "cli",
]
FILES = sorted(p for p in PACKAGE.rglob("*.py") if p != PACKAGE / "__init__.py")


def room(module: str) -> int:
    return ORDER.index(module.split(".")[1])


def imported(tree: ast.AST):
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("cocoanalysis."):
            yield node.module
        elif isinstance(node, ast.ImportFrom) and node.module == "cocoanalysis":
            yield from (f"cocoanalysis.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("cocoanalysis."))


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_one_way(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    if parts[0] == "__main__":
        return
    mine = ORDER.index(parts[0])
    for module in imported(ast.parse(path.read_text(encoding="utf-8"))):
        assert room(module) <= mine, f"{'/'.join(parts)} imports the later room {module}"


def test_no_module_is_a_drawer():
    assert not [p for p in FILES if p.stem in {"utils", "helpers", "common", "manager", "misc"}]


def test_no_public_name_would_be_collected_as_a_test():
    assert not [name for name in cocoanalysis.__all__ if name.startswith("test")]


def test_every_public_name_exists():
    assert all(hasattr(cocoanalysis, name) for name in cocoanalysis.__all__)
