"""The conda file, pyproject and the lock say the same."""

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from ruamel.yaml import YAML

from tests.shared import ROOT

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOCK_TEXT = (ROOT / "requirements.lock").read_text(encoding="utf-8")
LOCK = {canonicalize_name(n): v for n, v in re.findall(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", LOCK_TEXT, flags=re.M)}


def wanted():
    lines = PYPROJECT["dependencies"] + [d for extra in PYPROJECT["optional-dependencies"].values() for d in extra]
    return {canonicalize_name(r.name): r for r in map(Requirement, lines)}


def environment():
    content = YAML(typ="safe").load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    plain = [d for d in content["dependencies"] if isinstance(d, str)]
    nested = [d for part in content["dependencies"] if isinstance(part, dict) for d in part["pip"]]
    specs = [d for d in plain + nested if not d.startswith("-e")]
    return {canonicalize_name(r.name): r for r in (Requirement(s.replace(" ", "")) for s in specs)}


@pytest.mark.parametrize("name", sorted(set(environment()) - {"python", "pip"}))
def test_environment_admits_the_locked_version(name):
    assert environment()[name].specifier.contains(LOCK[name])


@pytest.mark.parametrize("name", sorted(wanted()))
def test_every_dependency_is_locked_and_in_the_environment(name):
    assert wanted()[name].specifier.contains(LOCK[name])
    assert environment()[name].specifier == wanted()[name].specifier


def test_python_floor_and_ceiling_agree():
    assert environment()["python"].specifier == Requirement(f"python{PYPROJECT['requires-python']}").specifier


def test_the_lock_names_no_address_and_has_hashes_for_all():
    assert "://" not in LOCK_TEXT
    entries = re.findall(r"^[A-Za-z0-9._-]+==.*?(?=^[A-Za-z0-9._-]+==|\Z)", LOCK_TEXT, flags=re.M | re.S)
    assert len(entries) >= len(LOCK) > 100
    assert all("--hash=sha256:" in entry for entry in entries)


def test_version_is_one():
    import cocoanalysis

    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert cocoanalysis.__version__ == PYPROJECT["version"]
    assert f"version: {PYPROJECT['version']}" in citation
