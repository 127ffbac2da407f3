"""What changed between versions, and whether scores stay comparable: one change a case."""

import pytest

import cocoanalysis as coco

from .conftest import INSTRUMENT, SURVEY

LOG = "changelog:\n  - {version: '0.2.0', kind: KIND, ids: [IDS], note: why}\nscales:\n"


@pytest.fixture
def changed(written, tmp_path):
    """Compares the demo survey with itself after one replacement; gives {(level, id): row}."""

    def compare(old: str, new: str, log: str = "", ids: str = ""):
        before = coco.read_survey(written())
        instrument = INSTRUMENT.replace(old, new)
        if log:
            instrument = instrument.replace("scales:\n", LOG.replace("KIND", log).replace("IDS", ids), 1)
        after = coco.read_survey(written(instrument=instrument, survey=SURVEY.replace(old, new)))
        comparison = coco.compare_surveys(before, after)
        return {(row.level, row.id): row for row in comparison.tidy().itertuples()}, comparison

    return compare


def test_nothing_changed(changed):
    rows, comparison = changed("", "")
    assert rows == {}
    assert comparison.glance().iloc[0].to_dict() == {
        "items": 9, "items_changed": 0, "scores": 5, "scores_yes": 5, "scores_only_within": 0, "scores_no": 0,
    }  # fmt: skip
    assert "14 items and scores are the same" in repr(comparison)
    assert len(comparison.tidy(unchanged=True)) == 14


@pytest.mark.parametrize(
    ("old", "new", "log", "ids", "item", "change", "comparable", "score", "score_comparable"),
    [
        ("keep their word,", "Keep their  word!,", "", "", "tru1", "typo", "yes", "trusting", "yes"),
        ("keep their word,", "keep there word,", "typo", "tru1", "tru1", "typo", "yes", "trusting", "yes"),
        ("keep their word, da: holder ord", "do as they say, da: gør som lovet", "wording", "tru1", "tru1", "wording",
         "only within", "trusting", "only within"),
        ("holder ord", "holder hvad de lover", "", "", "tru1", "translation", "only within", "trusting", "only within"),
        ("keep their word,", "do as they say,", "", "", "tru1", "wording", "only within", "trusting", "only within"),
        ("keep their word,", "keep promises,", "translation", "tru1", "tru1", "translation", "only within", "trusting",
         "only within"),
        ("key: reverse", "key: forward", "", "", "tru3", "key", "only within", "trusting", "only within"),
        ("code: 5, label: {en: strongly", "code: 7, label: {en: strongly", "", "", "val1", "scale", "no",
         "valuing", "no"),
        ("en: strongly agree", "en: fully agree", "", "", "val1", "scale", "only within", "outcome", "only within"),
        ("code: 98", "code: 99", "", "", "val1", "scale", "yes", "valuing", "yes"),
    ],
)  # fmt: skip
def test_changes_of_items(changed, old, new, log, ids, item, change, comparable, score, score_comparable):
    rows, _ = changed(old, new, log, ids)
    assert (rows["item", item].change, rows["item", item].comparable) == (change, comparable)
    assert rows["score", score].comparable == score_comparable
    assert rows["item", item].reason.endswith(".")


def test_an_unrecorded_wording_says_so(changed):
    rows, _ = changed("keep their word, da: holder ord", "do as they say, da: gør som lovet")
    assert "No entry of the change log" in rows["item", "tru1"].reason


def test_a_new_stem_changes_every_item(changed):
    rows, _ = changed('{en: "The leaders …", da: "Lederne …"}', '{en: "Our bosses …", da: "Vores chefer …"}')
    assert {id for level, id in rows if level == "item"} == {"tru1", "tru2", "tru3"}


@pytest.mark.parametrize(
    ("old", "new", "score", "comparable", "part"),
    [
        ("min_items: 2", "min_items: 3", "trusting", "yes", "At least 3 answers"),
        ("rule: mean, min_items", "rule: sum, min_items", "trusting", "no", "from mean to sum"),
        ("composite: true", "composite: false", "backed", "only within", "formative"),
        ("id: tru2\n", "id: tru9\n", "trusting", "only within", "compare a score over tru1, tru3"),
        ("id: bac1", "id: bac8", "backed", "only within", "without bac1 and with bac8"),
        ("of: [valuing]", "of: [valuing, trusting]", "outcome", "only within", "with tru1, tru3"),
        ("rule: mean_of_scores", "rule: sum", "total", "no", "from mean_of_scores to sum"),
        ("  total: {", "  all: {", "total", "no", "new version has no such score"),
    ],
)
def test_changes_of_scores(changed, old, new, score, comparable, part):
    rows, _ = changed(old, new)
    assert rows["score", score].comparable == comparable
    assert part in rows["score", score].reason


def test_an_extension_against_its_base(written, tmp_path):
    base = written()
    folder = base.parent / "mine"
    folder.mkdir()
    (folder / "survey.yaml").write_text(
        "schema: 1\nid: mine\nversion: '0.2.0'\ntitle: {en: M, da: M}\nlanguages: [en, da]\nextends: ../demo\n"
        "changes:\n  - {kind: typo, id: val1, text: {en: It really helps, da: Det hjælper virkelig}}\n"
        "  - {kind: dropped, id: backed}\n"
    )
    rows = coco.compare_surveys(base, folder).tidy().set_index("id")
    assert rows.loc["val1", "comparable"] == "yes"
    assert rows.loc["backed", "change"] == "dropped"
    assert rows.loc["bac1", "comparable"] == "no"
