"""coco check: located findings, exit codes that scripts rely on, never a traceback."""

import json
import os
import subprocess
import sys
import time

import pytest
from typer.testing import CliRunner

from cocoanalysis.cli import app
from tests.shared import ROOT


def coco(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


SURVEY = """\
schema: 1
id: small
version: "0.1.0"
title: {en: Small}
languages: [en]
instruments: [../instruments/small.yaml]
"""


@pytest.mark.parametrize("survey", ["cocreation", "unit-climate"])
def test_bundled_surveys_have_no_fault(survey):
    result = coco("check", survey)
    assert result.exit_code == 0
    assert "0 faults" in result.stderr or "No fault" in result.stderr


def test_strict_counts_warnings():
    assert coco("check", "cocreation", "--strict").exit_code == 1


def test_json_is_for_machines():
    result = coco("check", "cocreation", "--json")
    for record in json.loads(result.stdout):
        assert set(record) == {"file", "line", "column", "severity", "code", "message"}


def test_a_fault_is_a_finding_and_a_wrong_path_is_misuse(tmp_path):
    (tmp_path / "survey.yaml").write_text(SURVEY + "unknown: 1\n", encoding="utf-8")
    faulty = coco("check", tmp_path)
    assert faulty.exit_code == 1
    assert "survey.yaml:7:1" in faulty.stdout
    assert coco("check", tmp_path / "nowhere").exit_code == 2
    assert coco("check").exit_code == 2
    assert coco("check", "cocreation", "--no-such-option").exit_code == 2


def test_case_77_help_answers_at_once_and_without_heavy_imports():
    code = "import sys, cocoanalysis.cli; print([m for m in ('numpy', 'pandas', 'matplotlib') if m in sys.modules])"
    started = time.perf_counter()
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert run.stdout.strip() == "[]"
    assert time.perf_counter() - started < 5


def test_python_dash_m_is_the_same_command():
    run = subprocess.run(
        [sys.executable, "-m", "cocoanalysis", "--help"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "100"},
        check=True,
    )
    assert "coco" in run.stdout
    assert run.stderr == ""


def test_version():
    assert coco("--version").stdout.strip() == "0.1.0"
