"""What the bundled surveys ask: the construct map point by point, usable forms, nothing claimed that was not done."""

import re
from pathlib import Path

import pytest

from cocoanalysis.instrument.reading import read_survey

SURVEYS = Path(__file__).parents[2] / "surveys"

# constructs of the construct map: id, point, items, of them reversed
MAP = {
    "mobilising": ("P1", 7, 1), "committing": ("P2a", 5, 1), "framing": ("P2b", 4, 1), "outwards": ("P3a", 4, 1),
    "inwards": ("P3b", 4, 1), "softown": ("P4", 4, 0), "softbeyond": ("P4", 4, 0), "hardown": ("P4h", 3, 0),
    "hardbeyond": ("P4h", 3, 0), "alliances": ("P5", 5, 1), "legitimacy": ("A1", 3, 0), "authority": ("A2", 3, 0),
    "capabilities": ("A3", 3, 0), "alignment": ("VA", 5, 1), "authorisation": ("T1", 4, 1), "capacity": ("T2", 4, 1),
    "served": ("O1", 4, 1), "innovation": ("O2", 4, 1), "democracy": ("O3", 4, 1), "durability": ("O4", 4, 1),
    "interdependence": ("D1", 4, 1), "priority": ("D2", 3, 1), "roles": ("B1", 4, 1), "inwardlogic": ("B2", 4, 1),
    "marker": (None, 4, 0),
}  # fmt: skip


@pytest.fixture(scope="module")
def survey():
    return read_survey(SURVEYS / "cocreation")


@pytest.fixture(scope="module", params=["cocreation", "unit-climate"])
def any_survey(request):
    return read_survey(SURVEYS / request.param)


@pytest.mark.parametrize("construct", MAP)
def test_every_construct_is_there_with_its_items(survey, construct):
    point, count, reversed_items = MAP[construct]
    items = [survey.items[id] for id in survey.constructs[construct].items]
    assert survey.constructs[construct].point == point
    assert (len(items), sum(item.key < 0 for item in items)) == (count, reversed_items)
    assert all(item.source for item in items)


def test_nothing_but_the_map_and_two_attention_checks(survey):
    assert set(survey.constructs) == {*MAP, "checkone", "checktwo"}
    assert {id: item.expected for id, item in survey.attention.items()} == {"att1": 3, "att2": 6}


def test_every_text_is_there_in_every_language_and_is_a_draft(any_survey):
    for item in any_survey.items.values():
        for language in any_survey.languages:
            for address in item.by_address or {"other": None}:
                assert item.wording(language, address).strip()
            assert item.status[language] == "draft"
        assert set(item.text) == set(any_survey.languages)


def test_practices_are_asked_by_frequency_of_others_and_oneself_and_the_rest_by_agreement(survey):
    for construct in survey.constructs.values():
        if construct.role in ("practice", "comparison"):
            assert construct.scale.id == "frequency7"
            assert set(construct.stem_by_address) == {"other", "self"}
        elif construct.role != "attention":
            assert construct.scale.id == "agreement7"


def test_forms_are_as_long_as_they_say(survey):
    lengths = {form: len(survey.form_items(form)) for form in ("full", "short", "core")}
    assert lengths == {"full": 102, "short": 78, "core": 30}
    versions = [survey.form_items("planned", version) for version in range(3)]
    assert all(65 <= len(version) <= 85 for version in versions)
    assert set().union(*versions) == set(survey.items)


def test_every_construct_that_a_form_asks_can_be_scored_in_it(survey):
    versions = [survey.form_items(form) for form in ("full", "short", "core")]
    versions += [survey.form_items("planned", version) for version in range(3)]
    for asked in versions:
        for construct in survey.constructs.values():
            count = len(set(construct.items) & set(asked))
            assert count == 0 or construct.role == "attention" or count >= construct.score.min_items


def test_every_pair_of_items_is_asked_in_some_version_of_the_planned_form(survey):
    """Three-form design: without it a covariance could not be estimated (Graham et al., 2006)."""
    versions = [set(survey.form_items("planned", version)) for version in range(3)]
    for first in survey.items:
        for second in survey.items:
            assert any({first, second} <= version for version in versions)


def test_core_holds_practices_alignment_and_outcomes(survey):
    asked = {survey.items[id].construct for id in survey.form_items("core")} - {"checkone", "checktwo"}
    assert asked == {*survey.blocks["practices"], "alignment", *survey.blocks["outcomes"]}


def test_overlaps_are_marked_from_both_sides_and_left_out_of_the_outcome(survey):
    for item in survey.items.values():
        for other in item.overlap:
            assert item.id in survey.items[other].overlap
    kept = set(survey.item_ids("outcome"))
    assert {id for id in survey.item_ids("outcomes") if survey.items[id].overlap} == {"dem1", "inn2"}
    assert not kept & {"dem1", "inn2"}


def test_composites_are_marked(survey):
    assert {id for id, construct in survey.constructs.items() if construct.composite} == {"alliances", "authorisation"}


def test_order_asks_everything_once_and_identifiers_never(survey):
    asked = [name for name in survey.order if name != "consent"]
    background = {id for id, question in survey.background.items() if question.kind != "identifier"}
    assert sorted(asked) == sorted({*survey.constructs, *background})
    assert survey.consent["en"]
    assert survey.consent["da"]


def test_real_data_keep_the_map_from_the_package_s_names():
    sample = read_survey(SURVEYS / "unit-climate").samples[0]
    assert (sample.provenance, sample.code_map["lead1"], sample.code_map["host5"]) == (
        "public real",
        "LEAD01",
        "HOSTIL05",
    )


def test_no_file_claims_a_pilot_or_a_validation():
    for path in [*SURVEYS.rglob("*.yaml"), *SURVEYS.rglob("*.md")]:
        for line in path.read_text(encoding="utf-8").splitlines():
            if re.search(r"\b(pilot|validat)", line, re.IGNORECASE):
                assert "not been piloted" in line or "been validated" in line, f"{path.name}: {line}"
