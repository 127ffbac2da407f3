"""Every command does its job, ends with the promised exit code, and never shows a traceback."""

import filecmp
import json
import subprocess
import sys

import pandas as pd
import pytest
from typer.testing import CliRunner

import cocoanalysis as coco
from cocoanalysis.cli import app
from tests.shared import ROOT


def run(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


PLATFORMS = ("limesurvey", "qualtrics", "redcap", "xlsform", "surveyjs", "docx", "ddi", "spss")
COMMANDS = sorted(command.name or command.callback.__name__ for command in app.registered_commands)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command):
    shown = run(command, "--help")
    assert shown.exit_code == 0
    assert "Usage" in shown.stdout


def test_simulate_writes_answers_that_are_labelled_synthetic(tmp_path):
    for name in ("a.csv", "b.csv"):
        assert run("simulate", "cocreation", "-n", 60, "--seed", 3, "-o", tmp_path / name).exit_code == 0
    assert filecmp.cmp(tmp_path / "a.csv", tmp_path / "b.csv", shallow=False)
    responses = coco.read_responses(tmp_path / "a.csv", coco.read_survey("cocreation"))
    assert len(responses) == 60
    assert responses.provenance == "synthetic"


def test_simulate_names_the_worlds_there_are(tmp_path):
    assert run("simulate", "cocreation", "--world", "null", "-n", 40, "-o", tmp_path / "n.csv").exit_code == 0
    wrong = run("simulate", "cocreation", "--world", "nul", "-o", tmp_path / "x.csv")
    assert wrong.exit_code == 2
    assert "Did you mean 'null'?" in wrong.stderr


def test_read_writes_clean_answers_and_says_what_it_did(tmp_path):
    source = ROOT / "surveys" / "cocreation" / "synthetic.csv"
    done = run("read", source, "--survey", "cocreation", "-o", tmp_path / "clean.csv")
    assert done.exit_code == 0
    assert "read" in done.stderr
    assert len(pd.read_csv(tmp_path / "clean.csv")) == 900


def test_read_lists_what_it_left_out_and_takes_every_option_that_an_error_names(tmp_path):
    table = pd.read_csv(ROOT / "surveys" / "unit-climate" / "responses.csv", dtype=str).head(30)
    table.assign(leed1="1", note="naïve").replace({"5": "NA"}).to_csv(
        tmp_path / "a.csv", index=False, encoding="cp1252"
    )
    more = ("--empty", "NA", "--encoding", "windows-1252", "--language", "da", "--invalid", "missing")
    done = run("read", tmp_path / "a.csv", "--survey", "unit-climate", "-o", tmp_path / "clean.csv", *more)
    assert done.exit_code == 0, done.stderr
    assert "left out: 'note'" in done.stderr
    refused = run("read", tmp_path / "a.csv", "--survey", "unit-climate", "-o", tmp_path / "x.csv")
    assert refused.exit_code == 1
    assert "encoding" in refused.stderr


def test_preview_writes_one_page(tmp_path):
    done = run("preview", "cocreation", "-o", tmp_path / "page.html", "--language", "da")
    assert done.exit_code == 0
    assert (tmp_path / "page.html").stat().st_size > 10_000
    assert run("preview", "cocreation", "-o", tmp_path / "x.html", "--language", "xx").exit_code in {1, 2}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["report", "--responses", "answers.csv"], 2),
        (["report", "no-such-survey"], 2),
        (["read", "no-such-file.csv", "--survey", "cocreation"], 2),
        (["simulate", "unit-climate"], 2),
        (["no-such-command"], 2),
    ],
)
def test_misuse_ends_with_2_and_a_sentence(arguments, code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run(*arguments)
    assert done.exit_code == code
    assert "Traceback" not in done.stderr
    assert done.stderr.strip()


@pytest.mark.parametrize("place", [".", "taken.txt/file", "/proc/file"])
@pytest.mark.parametrize(
    "arguments",
    [
        ["simulate", "cocreation", "-n", 30],
        ["preview", "unit-climate"],
        *(["export", "unit-climate", "--to", to] for to in PLATFORMS),
        ["read", "answers.csv", "--survey", "unit-climate"],
        ["translate", "unit-climate", "--to", "de"],
    ],
    ids=lambda arguments: "-".join(map(str, arguments[:4])),
)
def test_a_place_that_takes_no_file_gets_a_sentence(arguments, place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken.txt").write_text("a file")
    (tmp_path / "people.csv").write_text("respondent,collaboration,organisation\nr1,c1,o1\n")
    source = ROOT / "surveys" / "unit-climate" / "responses.csv"
    (tmp_path / "answers.csv").write_text("\n".join(source.read_text("utf-8").splitlines()[:30]))
    done = run(*arguments, "-o", place)
    assert isinstance(done.exception, SystemExit)
    assert done.exit_code == 1
    assert place.split("/")[0] in done.stderr


def test_answers_are_not_written_under_the_name_of_a_workbook(tmp_path):
    done = run("simulate", "cocreation", "-n", 30, "-o", tmp_path / "a.xlsx")
    assert done.exit_code == 1
    assert "'a.csv'" in done.stderr
    assert not (tmp_path / "a.xlsx").exists()


def test_a_fault_in_the_plan_is_found(tmp_path):
    (tmp_path / "surveys").mkdir()
    for part in ("instruments", "unit-climate"):
        (tmp_path / "surveys" / part).mkdir()
        for file in (ROOT / "surveys" / part).iterdir():
            (tmp_path / "surveys" / part / file.name).write_bytes(file.read_bytes())
    folder = tmp_path / "surveys" / "unit-climate"
    assert run("check", folder).exit_code == 0
    plan = (folder / "plan.yaml").read_text("utf-8")
    (folder / "plan.yaml").write_text(plan.replace("predictor: leadership", "predictor: leadershp", 1), "utf-8")
    wrong = run("check", folder)
    assert wrong.exit_code == 1
    assert "plan.yaml:" in wrong.stdout
    assert "leadership" in wrong.stdout


def test_report_on_the_real_survey(tmp_path, capsys):
    done = run("report", "unit-climate", "-o", tmp_path / "a folder")
    assert done.exit_code == 0, done.stderr
    assert done.stdout.strip().endswith("index.html")
    assert (tmp_path / "a folder" / "unit-climate.html").is_file()
    told = "unit-climate, held against the contents of a rigorous analysis: missing: "
    assert done.stderr.startswith(told)
    assert done.stderr.count("\n") == 1
    lacking = done.stderr.strip().removeprefix(told).rstrip(".").split("; ")
    assert lacking == ["Invariance, with freed parameters named", "Specification curve"]  # no groups, no alternatives


def test_new_compare_and_check_a_survey_of_ones_own(tmp_path):
    made = run("new", "mine", "--from", "unit-climate", "-o", tmp_path)
    assert made.exit_code == 0, made.stderr
    folder = made.stdout.strip()
    assert run("check", folder).exit_code == 0
    same = run("compare", "unit-climate", folder)
    assert same.exit_code == 0, same.stdout
    other = run("compare", "cocreation", folder, "--json")
    assert other.exit_code == 1
    assert json.loads(other.stdout)
    assert run("new", "mine", "--from", "unit-climate", "-o", tmp_path).exit_code == 1


def test_translate_writes_a_sheet(tmp_path):
    done = run("translate", "unit-climate", "--to", "de", "-o", tmp_path / "sheet.xlsx")
    assert done.exit_code == 0, done.stderr
    assert (tmp_path / "sheet.xlsx").stat().st_size > 1000


def test_export_writes_a_questionnaire_and_names_the_platforms(tmp_path):
    assert run("export", "cocreation", "--to", "page", "-o", tmp_path / "q.html").exit_code == 0
    wrong = run("export", "cocreation", "--to", "pag", "-o", tmp_path / "x")
    assert wrong.exit_code == 2
    assert "Did you mean 'page'?" in wrong.stderr


def test_reproduce_outside_a_checkout_says_where_to_run_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run("reproduce")
    assert done.exit_code in {1, 2}
    assert "--project" in done.stderr


def test_an_extension_that_drops_a_construct_names_the_hypotheses_that_fall(tmp_path):
    run("new", "mine", "--from", "cocreation", "--extend", "-o", tmp_path)
    file = tmp_path / "mine" / "survey.yaml"
    file.write_text(file.read_text().replace("changes: []", "changes:\n  - {kind: dropped, id: alliances}"))
    compared = run("compare", "cocreation", tmp_path / "mine")
    assert compared.exit_code == 1
    assert "score alliances (dropped), comparable: no." in compared.stdout
    checked = run("check", tmp_path / "mine")
    assert checked.exit_code == 1
    assert "mine/plan.yaml:" in checked.stdout
    assert "question 'alliances'; H" in checked.stdout  # the hypothesis that falls


def test_check_says_what_a_platform_would_change(tmp_path):
    assert "PlatformCode" not in run("check", "cocreation").stdout
    assert "PlatformCode" in run("check", "cocreation", "--platform", "limesurvey").stdout
    assert run("check", "cocreation", "--platform", "limesurvy").exit_code == 2


CORE_ONLY = """
import sys

class Absent:
    names = {"sphinx", "myst_nb", "sphinx_book_theme", "nbclient", "nbformat", "jupyterlab", "ipykernel", "papermill",
             "docx", "distributed", "playwright", "pytest", "hypothesis"}

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)

sys.meta_path.insert(0, Absent())
from cocoanalysis.cli import app
app(sys.argv[1:])
"""


def test_report_needs_the_core_only_and_neither_plan_nor_terminal(tmp_path):
    run("new", "mine", "--from", "unit-climate", "-o", tmp_path)
    plan = next(tmp_path.rglob("plan.yaml"))
    plan.unlink()
    answers = ROOT / "surveys" / "unit-climate" / "responses.csv"
    arguments = ["report", str(plan.parent), "--responses", str(answers), "-o", str(tmp_path / "site")]
    done = subprocess.run(
        [sys.executable, "-c", CORE_ONLY, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(tmp_path / "site" / "index.html")
    assert done.stderr.startswith(f"{plan.parent.name}, held against the contents of a rigorous analysis: missing: ")
    assert done.stderr.count("\n") == 1
    page = (tmp_path / "site" / f"{plan.parent.name}.html").read_text("utf-8")
    assert "Specification curve: missing" in page


def test_reproduce_names_the_extra_that_is_missing(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", CORE_ONLY, "reproduce", "-o", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "cocoanalysis[notebooks]" in done.stderr
    assert "Traceback" not in done.stderr


def test_export_writes_a_data_set_that_may_be_shared(tmp_path):
    done = run("export", "unit-climate", "--to", "dataset", "-o", tmp_path / "shared", "--licence", "GPL-2.0-or-later")
    assert done.exit_code == 0, done.stderr
    about = json.loads((tmp_path / "shared" / "dataset_description.json").read_text("utf-8"))
    assert about["license"] == "GPL-2.0-or-later"
    again = run("export", "unit-climate", "--to", "dataset", "-o", tmp_path / "shared")
    assert (again.exit_code, "not empty" in again.stderr) == (1, True)
    absent = run("export", "unit-climate", "--to", "dataset", "--responses", tmp_path / "no.csv")
    assert (absent.exit_code, "no file" in absent.stderr) == (2, True)
