"""`coco simulate` and `coco power`: what they write and print, and how they refuse."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cocoanalysis.cli import app

HOME = Path(__file__).parents[2] / "surveys" / "cocreation"


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_simulate_makes_the_committed_sample_again(tmp_path):
    result = run("simulate", HOME, "--seed", 1, "-o", tmp_path / "again.csv")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "again.csv").read_bytes() == (HOME / "synthetic.csv").read_bytes()


def test_simulate_takes_another_world_and_a_number_of_rows(tmp_path):
    result = run("simulate", "cocreation", "--world", "null", "-n", 45, "-o", tmp_path / "null.csv")
    assert result.exit_code == 0, result.output
    assert len((tmp_path / "null.csv").read_text(encoding="utf-8").splitlines()) == 46


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("simulate", HOME, "--world", "nul", "-o", "x.csv"), "Did you mean 'null'"),
        (("power", HOME, "--size", "many"), "as 60x15"),
        (("power", HOME, "--backend", "ray"), "joblib, dask"),
        (("simulate", "nowhere", "-o", "x.csv"), "no bundled survey"),
        (("simulate", "unit-climate", "-o", "x.csv"), "needs a world.yaml"),
    ],
)
def test_misuse_is_a_sentence_and_exit_code_2(words, sentence):
    result = run(*words)
    assert result.exit_code == 2
    assert sentence in result.output


def test_power_prints_a_row_a_hypothesis_and_keeps_its_file(tmp_path):
    path = tmp_path / "run.json"
    result = run("power", HOME, "--size", "10x8", "--replicates", 2, "-o", path, "--json")
    assert result.exit_code == 0, result.output
    assert {row["hypothesis"] for row in json.loads(result.stdout)} >= {"H1", "H2a", "H6b"}
    assert path.is_file()
    assert "Power" in run("power", HOME, "--size", "10x8", "--replicates", 2, "-o", path).stdout


def test_a_negative_seed_is_refused_without_a_traceback(tmp_path):
    result = run("simulate", "cocreation", "-n", 20, "--seed", -1, "-o", tmp_path / "x.csv")
    assert (result.exit_code, isinstance(result.exception, SystemExit)) == (1, True)
    assert "is a whole number from 0 on" in result.output


@pytest.mark.parametrize(
    "words", [("power", "cocreation", "--replicates", 0), ("report", "cocreation", "--responses", "nosuch.csv")]
)
def test_misuse_ends_with_2(words):
    result = run(*words)
    assert (result.exit_code, isinstance(result.exception, SystemExit)) == (2, True)
