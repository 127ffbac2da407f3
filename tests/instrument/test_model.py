"""What a survey knows about itself, on a small survey written out in conftest."""

import copy
import dataclasses
import pickle

import pytest

import cocoanalysis as coco
from cocoanalysis.errors import InstrumentError


@pytest.fixture
def survey(written):
    return coco.read_survey(written())


def test_reads_the_folder_the_file_and_the_instrument(written):
    folder = written()
    assert coco.read_survey(folder) == coco.read_survey(folder / "survey.yaml")
    instrument = coco.read_instrument(folder / "teamwork.yaml")
    assert list(instrument.constructs) == ["trusting", "valuing", "backed", "checking"]
    assert instrument.translations["da"].status == "draft"


@pytest.mark.parametrize(
    ("name", "items"),
    [
        ("trusting", ["tru1", "tru2", "tru3"]),
        ("practices", ["tru1", "tru2", "tru3"]),
        ("everything", ["tru1", "tru2", "tru3", "val1", "val2", "val3", "bac1", "bac2"]),
        ("outcome", ["val2", "val3"]),  # val1 overlaps with tru2
        (["val1", "trusting"], ["val1", "tru1", "tru2", "tru3"]),
        (None, ["tru1", "tru2", "tru3", "val1", "val2", "val3", "bac1", "bac2"]),  # without the attention check
    ],
)
def test_item_ids(survey, name, items):
    assert survey.item_ids(name) == items


def test_unknown_names_come_with_the_nearest(survey):
    with pytest.raises(InstrumentError, match="Did you mean 'trusting'") as caught:
        survey.item_ids("trustin")
    assert caught.value.code == "UnknownName"


def test_measurement_model_leaves_composites_out_and_says_so(survey):
    assert survey.measurement_model() == (
        "# backed: composite of formative elements, left out\n"
        "trusting =~ tru1 + tru2 + tru3\nvaluing =~ val1 + val2 + val3\n"
    )
    assert survey.measurement_model("practices") == "trusting =~ tru1 + tru2 + tru3\n"
    assert survey.measurement_model("outcome") == "valuing =~ val2 + val3\n"
    with pytest.raises(InstrumentError) as caught:
        survey.measurement_model("backed")
    assert caught.value.code == "NothingReflective"


def test_forms(survey):
    assert survey.form_items("short") == ["tru1", "tru2"]
    assert survey.form_items("planned", 0) == ["tru1", "tru2", "val1", "val2", "bac1", "bac2", "att1"]
    assert survey.form_items("planned", 1) == ["tru1", "tru3", "val1", "val3", "bac1", "bac2", "att1"]
    assert survey.form_items() == list(survey.items)
    assert survey.form_items("planned") == survey.form_items()


def test_both_forms_of_address(survey):
    item = survey.items["tru2"]
    assert item.question("en") == "The leaders share what they know"
    assert item.question("en", "self") == "As a leader, I share what I know"
    assert item.question("da", "self") == "Som leder deler min viden"
    assert item.text["en"] == "share what they know"
    assert survey.label("trusting", "da") == "Tillid"
    assert survey.label("outcome") == "Outcome"


def test_keys_scales_and_scores(survey):
    assert {id: item.key for id, item in survey.items.items() if item.key < 0} == {"tru3": -1, "val3": -1}
    scale = survey.items["tru1"].scale
    assert (scale.minimum, scale.maximum, scale.reversal) == (1, 5, {1: 5, 2: 4, 3: 3, 4: 2, 5: 1})
    assert scale.reasons() == {"98": "cannot_judge"}
    assert survey.constructs["valuing"].score.min_items == 2  # at least half, where the file says nothing
    assert [part.name for part in survey.scores["total"].parts] == ["trusting", "valuing", "backed"]
    assert survey.attention["att1"].expected == 2
    assert (survey.respondent, survey.cluster) == ("person", "team")


def test_frozen_all_the_way_down(survey):
    with pytest.raises(dataclasses.FrozenInstanceError):
        survey.id = "other"
    for change in (lambda: survey.items.pop("tru1"), lambda: survey.items["tru1"].text.update(en="x")):
        with pytest.raises(TypeError, match="frozen"):
            change()


def test_copies_and_pickles(survey):
    assert pickle.loads(pickle.dumps(survey)) == survey == copy.deepcopy(survey)


def test_says_itself_in_a_line(survey):
    assert str(survey) == "Survey(demo 0.1.0: 4 constructs, 9 items, 2 background questions; en, da)"


def test_bundled_surveys_are_found_by_name():
    with pytest.raises(InstrumentError) as caught:
        coco.bundled("no-such-survey")
    assert caught.value.code == "UnknownSurvey"
