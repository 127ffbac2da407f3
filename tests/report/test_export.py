"""Files are whole or absent, say where they came from, and hold foreign text as text."""

import dataclasses
import errno
import json
import multiprocessing
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import pandas as pd
import pytest
from lxml import etree, html

import cocoanalysis as coco
from cocoanalysis.errors import CocoError
from cocoanalysis.report import files, plots, tables
from cocoanalysis.report.export import FORMS, export, guarded, read_grid, tex

matplotlib.use("agg")

HOSTILE = "<script>alert(1)</script> {{x}} \u202egnp\u202c \\input{/etc/passwd} $x$ 100 % a_b & c ~ ^ # =cmd()"


@pytest.fixture
def hostile(verdicts):
    verdicts._tidy["reason"] = HOSTILE
    return verdicts


def code_of(call, *arguments, **options):
    with pytest.raises(CocoError) as error:
        call(*arguments, **options)
    return error.value.code


@pytest.mark.parametrize("form", FORMS["table"])
def test_every_form_of_a_table_is_written_with_its_provenance(form, verdicts, tmp_path):
    path = export(tables.verdicts(verdicts), tmp_path / "new folder" / f"table.{form}")
    record = json.loads(Path(f"{path}.provenance.json").read_text("utf-8"))
    assert path.stat().st_size > 0
    assert record["provenance"] == "synthetic"
    assert record["file"] == path.name
    assert len(record["sha256"]) == 64
    assert not [p for p in path.parent.iterdir() if p.name.endswith(".part")]


@pytest.mark.parametrize("form", FORMS["figure"])
def test_every_form_of_a_figure_is_the_same_twice(form, verdicts, tmp_path):
    first, second = (export(plots.forest(verdicts), tmp_path / f"{i}.{form}").read_bytes() for i in (1, 2))
    plt.close("all")
    assert first == second
    assert first[:4] in {b"\x89PNG", b"%PDF", b"<?xm"}


def test_results_and_frames_are_exported_as_their_tables(reliabilities, tmp_path):
    path = coco.export(reliabilities, tmp_path / "r.csv")
    pd.testing.assert_frame_equal(pd.read_csv(path), reliabilities.tidy(), check_dtype=False)
    assert "mobilising" in coco.export(reliabilities.tidy(), tmp_path / "f.html").read_text("utf-8")


def test_csv_holds_unrounded_numbers(explored, tmp_path):
    path = export(tables.loadings(explored, suppress=0.3), tmp_path / "l.csv")
    assert pd.read_csv(path)["F2"].tolist()[0] == 0.05


def test_case_32_formulas_are_guarded_and_numbers_are_not():
    frame = pd.DataFrame({"=a": ["=1+1", "@x", "-2", "safe", None], "n": [-1.5, 2, 3, 4, 5]})
    shown = guarded(frame)
    assert shown.columns.tolist() == ["'=a", "n"]
    assert shown["'=a"].tolist()[:4] == ["'=1+1", "'@x", "'-2", "safe"]
    assert shown["n"].tolist() == frame["n"].tolist()


def test_rows_of_people_are_exported_only_when_synthetic_or_public(tmp_path):
    survey = coco.read_survey("surveys/unit-climate")
    responses = coco.read_responses(Path(survey.folder) / "responses.csv", survey)
    path = export(responses, tmp_path / "data.csv")
    again = coco.read_responses(path, survey)
    pd.testing.assert_frame_equal(again.frame, responses.frame)
    assert again.provenance == "public real"
    private = dataclasses.replace(responses, provenance="yours")
    assert code_of(export, private, tmp_path / "yours.csv") == "IndividualValues"
    assert not (tmp_path / "yours.csv").exists()


def test_case_76_a_file_says_from_which_answers_it_was_made(tmp_path):
    survey = coco.read_survey("unit-climate")
    responses = coco.read_responses(Path(survey.folder) / "responses.csv", survey)
    path = export(tables.reliability(coco.reliability(responses)), tmp_path / "r.csv")
    record = json.loads(Path(f"{path}.provenance.json").read_text("utf-8"))
    assert survey.samples[0].sha256[:12] in record["settings"]["answers"]


def test_a_survey_is_exported_for_a_platform(tmp_path):
    survey = coco.read_survey("unit-climate")
    assert coco.export(survey, tmp_path / "page.html").stat().st_size > 1000
    assert code_of(export, survey, tmp_path / "x", to="pag") == "UnknownPlatform"


def test_an_unknown_form_and_an_unknown_thing_are_named(verdicts, tmp_path):
    assert code_of(export, tables.verdicts(verdicts), tmp_path / "t.png") == "UnknownForm"
    assert code_of(export, 3, tmp_path / "t.csv") == "NothingToExport"


# --- case 75: names and disks ------------------------------------------------------------------


@pytest.mark.parametrize("name", ["con.csv", "NUL", "Lpt1.txt", "a:b.csv", "what?.csv", "dot.", "blank ", "tab\t.csv"])
def test_case_75_reserved_names_are_refused_on_every_system(name, tmp_path):
    assert code_of(files.write, tmp_path / name, "x") == "ReservedName"


def test_case_75_long_names(tmp_path):
    assert code_of(files.write, tmp_path / ("a" * 300), "x") == "NameTooLong"


@pytest.mark.parametrize(
    ("fault", "code"), [(errno.ENOSPC, "DiskFull"), (errno.EROFS, "NotWritable"), (0, "NotWritable")]
)
def test_case_75_a_failed_write_leaves_the_old_file(fault, code, tmp_path, monkeypatch):
    target = files.write(tmp_path / "result.csv", "old")

    def fail(_handle):
        raise OSError(fault, "refused")

    monkeypatch.setattr(os, "fsync", fail)
    assert code_of(files.write, target, "new") == code
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["result.csv"]


def test_case_75_a_folder_or_a_file_in_the_way(tmp_path):
    (tmp_path / "folder").mkdir()
    files.write(tmp_path / "file", "x")
    assert code_of(files.write, tmp_path / "folder", "x") == "NotWritable"
    assert code_of(files.write, tmp_path / "file" / "below.csv", "x") == "NotWritable"


def test_case_73_an_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
    target = files.write(tmp_path / "result.csv", "old")

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        files.write(target, "new")
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["result.csv"]


def test_case_73_a_killed_process_leaves_the_old_file(tmp_path):
    target = files.write(tmp_path / "result.csv", "old")
    script = (
        "import os, sys; from cocoanalysis.report import files\n"
        "os.fsync = lambda handle: os.kill(os.getpid(), 9)\n"
        "files.write(sys.argv[1], 'new')"
    )
    subprocess.run([sys.executable, "-c", script, str(target)], check=False, cwd=Path(coco.__file__).parents[1])
    assert target.read_text() == "old"


def _write_often(path, letter):
    for _ in range(30):
        files.write(path, letter * 200_000)


def test_case_74_two_writers_never_interleave(tmp_path):
    target = tmp_path / "shared.txt"
    context = multiprocessing.get_context("fork" if sys.platform == "linux" and sys.version_info < (3, 12) else "spawn")
    writers = [context.Process(target=_write_often, args=(target, letter)) for letter in "ab"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert set(target.read_text()) in ({"a"}, {"b"})
    assert len(target.read_text()) == 200_000


# --- case 78: hostile text -----------------------------------------------------------------------


def test_case_78_html(hostile, tmp_path):
    page = export(tables.verdicts(hostile), tmp_path / "t.html").read_text("utf-8")
    assert not html.fromstring(page).xpath("//script")
    assert "\u202e" not in page


def test_case_78_latex(hostile, tmp_path):
    source = export(tables.verdicts(hostile), tmp_path / "t.tex").read_text("utf-8")
    assert r"\input" not in source
    assert r"\textbackslash{}input\{/etc/passwd\}" in source
    assert source.count(r"\begin{tabular}") == 1


@pytest.mark.parametrize("character", list("\\{}$&#%_~^"))
def test_case_78_every_active_character_of_latex_is_escaped(character):
    assert tex(character) != character
    assert tex(f"a{character}b").startswith("a\\")


def test_case_78_docx(hostile, tmp_path):
    path = export(tables.verdicts(hostile), tmp_path / "t.docx")
    with zipfile.ZipFile(path) as archive:
        document = etree.fromstring(archive.read("word/document.xml"))
    words = "".join(document.itertext())
    assert "<script>alert(1)</script>" in words
    assert "\u202e" not in words
    assert "Synthetic data" in words


def test_case_78_csv(hostile, tmp_path):
    hostile._tidy["reason"] = "=cmd()"
    assert "'=cmd()" in export(tables.verdicts(hostile), tmp_path / "t.csv").read_text("utf-8")


def test_case_78_figures(hostile, tmp_path):
    hostile._tidy["predictor"] = HOSTILE
    hostile.survey = None
    figure = export(plots.forest(hostile), tmp_path / "f.svg").read_bytes()
    plt.close("all")
    assert not etree.fromstring(figure).xpath("//*[local-name()='script']")


# --- forms are faithful ---------------------------------------------------------------------------


def test_the_grid_is_the_table_as_shown(reliabilities):
    grid = read_grid(tables.reliability(reliabilities))
    assert grid.title == "Reliability"
    assert grid.head == [["", "Items", "n", "α", "95 % CI", "ω", "95 % CI", "AVE", "Mean item–rest r"]]
    assert grid.body[0][:4] == ["Mobilising", "3", "300", ".71"]
    assert grid.numeric[1:4] == [True, True, True]
    assert grid.notes[0].startswith("Synthetic data")


def test_without_the_extra_the_message_says_what_to_install(verdicts, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "docx", None)
    with pytest.raises(CocoError, match=r"cocoanalysis\[docx\]") as error:
        export(tables.verdicts(verdicts), tmp_path / "t.docx")
    assert error.value.code == "ExtraMissing"
