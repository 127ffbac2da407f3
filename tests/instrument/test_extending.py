"""A survey that extends another: changes are recorded, applied, and located when they are wrong."""

import pytest

import cocoanalysis as coco
from cocoanalysis.errors import InstrumentError

EXTENSION = """\
schema: 1
id: mine
version: "0.2.0"
title: {en: Mine, da: Mit}
languages: [en, da]
extends: ../demo
changes:
"""


@pytest.fixture
def extend(written):
    def read(changes: str, **edited: str):
        folder = written(**edited).parent / "mine"
        folder.mkdir(exist_ok=True)
        (folder / "survey.yaml").write_text(EXTENSION + changes, encoding="utf-8")
        return coco.read_survey(folder)

    return read


def test_inherits_what_it_does_not_change(extend, written):
    survey, base = extend("  []\n"), coco.read_survey(written())
    assert survey.items == base.items
    assert (survey.blocks, survey.scores, survey.forms, survey.order) == (
        base.blocks,
        base.scores,
        base.forms,
        base.order,
    )
    assert (survey.id, survey.extends, survey.title["en"], survey.cluster) == ("mine", "../demo", "Mine", "team")
    assert survey.samples == ()  # answers to the base are no answers to this one
    assert survey.folder.name == "mine"


def test_a_wording_keeps_the_other_languages_and_addresses(extend):
    survey = extend(
        "  - {kind: wording, id: tru1, text: {en: keep every promise}, note: clearer}\n"
        "  - {kind: typo, id: tru2, text: {self: {en: share all I know}}}\n"
        "  - {kind: wording, id: tru3, text: {self: {en: hide my plans}}}\n"
        "  - {kind: wording, id: trusting, label: {en: Trusting}, stem: {other: {en: They …}}}\n"
        "  - {kind: wording, id: team, question: {en: Which team?, da: Hvilket hold?}}\n"
    )
    assert survey.items["tru1"].text == {"en": "keep every promise", "da": "holder ord"}
    assert survey.items["tru2"].question("en", "self") == "As a leader, I share all I know"
    assert survey.items["tru2"].question("en") == "They share what they know"
    assert survey.items["tru3"].wording("en") == "hide their plans"
    assert survey.items["tru3"].wording("en", "self") == "hide my plans"
    assert survey.items["tru3"].wording("da", "self") == "skjuler deres planer"
    assert survey.label("trusting") == "Trusting"
    assert survey.background["team"].question["da"] == "Hvilket hold?"
    assert [(change.kind, change.ids, change.note) for change in survey.changelog][:2] == [
        ("wording", ("tru1",), "clearer"),
        ("typo", ("tru2",), ""),
    ]


def test_dropping_an_item_and_a_construct_leaves_no_trace(extend):
    survey = extend("  - {kind: dropped, id: tru2}\n  - {kind: dropped, id: valuing}\n")
    assert survey.item_ids() == ["tru1", "tru3", "bac1", "bac2"]
    assert survey.blocks == {"practices": ("trusting",), "everything": ("trusting", "backed")}
    assert list(survey.scores) == ["total"]
    assert "valuing" not in survey.order


def test_adding_an_item_and_a_language(extend):
    survey = extend(
        "  - kind: added\n    to: valuing\n    after: val1\n"
        "    item: {id: val4, text: {en: It grows, da: Det vokser, de: Es wächst}}\n"
        "  - {kind: translation, id: tru1, text: {de: halten Wort}}\n".replace("    item", "    item", 1)
    )
    assert survey.constructs["valuing"].items == ("val1", "val4", "val2", "val3")
    assert survey.items["tru1"].text["de"] == "halten Wort"


def test_a_scale_of_another_instrument_and_a_key(extend, written):
    survey = extend("  - {kind: scale, id: val1, scale: agree5, key: reverse}\n")
    assert survey.items["val1"].key == -1


@pytest.mark.parametrize(
    ("change", "code", "part"),
    [
        ("  - {kind: wording, id: tru9, text: {en: x}}\n", "UnknownName", "Did you mean 'tru"),
        ("  - {kind: wording, text: {en: x}}\n", "MissingKey", "'id'"),
        ("  - {kind: wording, id: tru1, label: {en: x}}\n", "NotThisKind", "has no 'label'"),
        ("  - {kind: dropped, id: tru1, text: {en: x}}\n", "NotThisKind", "not 'text'"),
        ("  - {kind: words, id: tru1}\n", "NotAllowed", "typo, wording, translation"),
        ("  - {kind: added, to: valuing}\n", "MissingKey", "item:"),
        ("  - {kind: added, to: team, item: {id: x1, text: {en: x}}}\n", "NotAConstruct", "no construct"),
        ("  - {kind: added, to: valuing, item: {id: tru1, text: {en: x}}}\n", "DuplicateId", "twice"),
        ("  - {kind: added, to: valuing, after: tru1, item: {id: x1, text: {en: x}}}\n", "UnknownName", "'tru1'"),
        ("  - {kind: scale, id: val1, scale: agree7}\n", "UnknownScale", "Did you mean 'agree5'"),
        ("  - {kind: dropped, id: tru1}\n  - {kind: dropped, id: tru2}\n", "TooManyNeeded", "has 1 items"),
        ("  - {kind: dropped, id: att1}\n", "EmptyConstruct", "drop its construct"),
    ],
)
def test_wrong_changes_are_located(extend, change, code, part):
    with pytest.raises(InstrumentError) as caught:
        extend(change)
    assert code in {finding.code for finding in caught.value.findings}
    assert part in str(caught.value)
    if code != "TooManyNeeded":  # that one is a contradiction with the base's own rule
        assert "mine/survey.yaml:8:" in str(caught.value)


def test_circles_and_paths_outside_are_refused(written):
    folder = written(survey=EXTENSION.replace("../demo", "../demo") + "  []\n")
    with pytest.raises(InstrumentError) as caught:
        coco.read_survey(folder)
    assert caught.value.code == "Circular"
    (folder / "survey.yaml").write_text(EXTENSION.replace("../demo", "../../elsewhere") + "  []\n")
    with pytest.raises(InstrumentError) as caught:
        coco.read_survey(folder)
    assert caught.value.code in ("PathOutside", "NoSuchFile", "NotYaml")


def test_extends_a_bundled_survey_by_name(tmp_path):
    text = EXTENSION.replace("../demo", "unit-climate") + "  - {kind: dropped, id: lead1}\n"
    (tmp_path / "survey.yaml").write_text(text)
    assert "lead1" not in coco.read_survey(tmp_path).items
