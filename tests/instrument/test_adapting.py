"""Surveys of one's own: copied out of the package, or extending another."""

import pytest

import cocoanalysis as coco
from cocoanalysis.errors import InstrumentError
from cocoanalysis.instrument.adapting import survey_id

from .conftest import SURVEY


@pytest.mark.parametrize("name", ["cocreation", "unit-climate"])
def test_copies_a_bundled_survey_with_all_it_needs(tmp_path, name):
    folder = coco.new_survey("My-Own_1", name, folder=tmp_path)
    survey, original = coco.read_survey(folder), coco.read_survey(name)
    assert folder == tmp_path / "My-Own_1"
    assert survey.id == "myown1"
    assert survey.items == original.items
    assert all(instrument.path.is_relative_to(folder) for instrument in survey.instruments)
    left = {path.name for path in original.folder.iterdir()} - {path.name for path in folder.iterdir()}
    assert left <= {"power"}  # counts that belong to the original's plan and population
    comparison = coco.compare_surveys(original, survey)
    assert comparison.tidy().empty


def test_comments_stay_and_only_the_names_change(written, tmp_path):
    text = "# ours\n" + SURVEY.replace("[teamwork.yaml]", '["teamwork.yaml"] # one')
    folder = coco.new_survey("mine", written(survey=text), folder=tmp_path)
    expected = text.replace("id: demo", "id: mine").replace('["teamwork.yaml"]', "[instruments/teamwork.yaml]")
    assert (folder / "survey.yaml").read_text() == f"# Copied from the survey 'demo', version 0.1.0.\n{expected}"


def test_an_extension_of_a_bundled_survey_and_of_ones_own(written, tmp_path):
    folder = coco.new_survey("mine", "cocreation", folder=tmp_path / "a", extend=True)
    assert coco.compare_surveys("cocreation", folder).tidy().empty
    own = written()
    other = coco.new_survey("other", own, folder=own.parent, extend=True)
    assert coco.read_survey(other).extends == "../demo"
    with pytest.raises(InstrumentError) as caught:
        coco.new_survey("third", other, folder=tmp_path)
    assert caught.value.code == "ExtendsAPath"


def test_copies_also_from_an_environment_that_is_a_hidden_folder(written, tmp_path):
    hidden = tmp_path / ".venv" / "surveys"
    hidden.parent.mkdir()
    written().parent.rename(hidden)
    (hidden / "demo" / ".secret").write_text("x")
    folder = coco.new_survey("mine", hidden / "demo", folder=tmp_path)
    assert sorted(path.name for path in folder.iterdir()) == ["instruments", "survey.yaml"]


@pytest.mark.parametrize("name", ["", "1st", "a b", "../up", "con", "x" * 50, "ø", "a/b"])
def test_names_that_no_folder_should_have(tmp_path, name):
    with pytest.raises(InstrumentError) as caught:
        coco.new_survey(name, "cocreation", folder=tmp_path)
    assert caught.value.code == "BadName"


def test_nothing_is_overwritten_and_nothing_is_left_half_done(written, tmp_path):
    coco.new_survey("mine", "unit-climate", folder=tmp_path / "here")
    with pytest.raises(InstrumentError) as caught:
        coco.new_survey("mine", "unit-climate", folder=tmp_path / "here")
    assert caught.value.code == "Exists"
    (tmp_path / "file").write_text("")
    with pytest.raises(InstrumentError) as caught:
        coco.new_survey("mine", "unit-climate", folder=tmp_path / "file")
    assert caught.value.code == "NotWritable"
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["mine"]


def test_ids_from_names():
    assert survey_id("My Own-Survey_2") == "myownsurvey2"


def test_counted_verdicts_stay_with_the_original(tmp_path):
    assert (coco.bundled("cocreation") / "power").is_dir()
    assert not (coco.new_survey("mine", "cocreation", folder=tmp_path) / "power").exists()
