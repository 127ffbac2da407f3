"""Every platform that can be written is reached by the command and by `coco.export`, and leaves its code map."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import cocoanalysis as coco
from cocoanalysis.cli import app
from cocoanalysis.fieldwork.platforms import known_platforms
from tests.fieldwork.roundtrip import SURVEY

SUFFIX = {"xlsform": ".xlsx", "spss": ".sav", "ddi": ".xml", "docx": ".docx", "surveyjs": ".json", "redcap": ".csv"}
WRITERS = sorted(name for name, one in known_platforms().items() if one.write is not None)


def test_the_promised_platforms_are_there():
    promised = {"limesurvey", "qualtrics", "xlsform", "redcap", "surveyjs", "docx", "ddi", "spss"}
    assert promised <= set(WRITERS)


@pytest.mark.parametrize("name", WRITERS)
def test_the_command_reaches_every_writer(tmp_path, name):
    out = tmp_path / "new" / f"form{SUFFIX.get(name, '.txt')}"
    words = ["export", "cocreation", "--to", name, "-o", str(out), "--form", "planned", "--part", "1"]
    told = CliRunner().invoke(app, words)
    assert told.exit_code == 0, told.output
    written = told.stdout.split()
    assert str(out) in written
    maps = [path for path in written if path.endswith(".codemap.json")]
    if name != "page":
        content = json.loads(Path(maps[0]).read_text(encoding="utf-8"))
        assert (content["survey"], content["version"], content["platform"]) == (SURVEY.id, SURVEY.version, name)
        assert set(SURVEY.form_items("planned", 1)) <= set(content["columns"])


def test_a_file_that_is_not_named_gets_the_name_of_the_survey_and_the_platform(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(app, ["export", "cocreation", "--to", "ddi"]).exit_code == 0
    assert CliRunner().invoke(app, ["export", "cocreation", "--to", "limesurvey", "-o", "mine"]).exit_code == 0
    assert (tmp_path / "cocreation-ddi.xml").is_file()
    assert (tmp_path / "mine.txt").is_file()


def test_a_wrong_name_lists_those_there_are(tmp_path):
    told = CliRunner().invoke(app, ["export", "cocreation", "--to", "qualtrix", "-o", str(tmp_path / "x.txt")])
    assert told.exit_code == 2
    assert "qualtrics" in told.stderr
    assert "dataset" in told.stderr


def test_export_takes_a_survey_and_a_platform(tmp_path):
    assert coco.export(SURVEY, tmp_path / "form.xml", to="ddi").is_file()


def test_read_takes_the_code_map_and_keeps_personal_columns_only_when_asked(tmp_path):
    from tests.fieldwork import test_qualtrics
    from tests.fieldwork.roundtrip import answered

    code_map = known_platforms()["qualtrics"].write(SURVEY, tmp_path / "form.txt")[-1]
    export = tmp_path / "export.csv"
    export.write_text(test_qualtrics.exported(test_qualtrics.shape(answered())), encoding="utf-8")
    for asked in (False, True):
        clean = tmp_path / f"clean{asked}.csv"
        words = ["read", str(export), "--survey", "cocreation", "--code-map", str(code_map), "-o", str(clean)]
        told = CliRunner().invoke(app, [*words, *(["--keep-personal"] if asked else [])])
        assert told.exit_code == 0, told.output
        assert ("somebody@example.org" in clean.read_text(encoding="utf-8")) == asked
