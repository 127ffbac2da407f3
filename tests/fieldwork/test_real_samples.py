# ruff: noqa: E501  (YAML in flow style reads better on one line)
"""Real exports of survey platforms, read with small surveys of our own that ask what they asked."""

import pytest

import cocoanalysis as coco
from cocoanalysis.errors import ResponseError
from cocoanalysis.instrument.reading import read_survey
from tests.shared import SHARED, needs_shared
from tests.small import written

pytestmark = needs_shared
EXPORTS = SHARED / "exports"
HEAD = """\
schema: 1
id: real
version: "0.1.0"
title: {en: Real, da: Ægte}
licence: CC-BY-4.0
source: made for tests
languages: [en, da]
translations: {en: {status: draft, translator: the project}, da: {status: draft, translator: the project}}
"""
SURVEY = """\
schema: 1
id: realsurvey
version: "0.1.0"
title: {en: Real, da: Ægte}
languages: [en, da]
instruments: [../instruments/smallone.yaml]
identifiers: {respondent: RESPONDENT}
forms: {full: {en: full, da: fuld}}
"""


def survey(folder, body, respondent="person"):
    return read_survey(written(folder, SURVEY.replace("RESPONDENT", respondent), HEAD + body))


QUALTRICS = """\
scales:
  two:
    title: {en: Two, da: To}
    points: [{code: 1, label: {en: no, da: nej}}, {code: 2, label: {en: yes, da: ja}}]
constructs:
  - id: choice
    label: {en: Choice, da: Valg}
    role: outcome
    scale: two
    score: {rule: mean, min_items: 1}
    items:
      - {id: cho1, text: {en: This is a multiple choice question., da: Et spørgsmål}, key: forward, source: s, forms: [full]}
background:
  - {id: remark, label: {en: R, da: R}, question: {en: This is a free text question., da: F}, kind: text, level: response}
"""


@pytest.mark.parametrize(("name", "row"), [("qualtRics-sample.csv", 4), ("qualtRics-sample_legacy.csv", 3)])
def test_qualtrics(tmp_path, name, row):
    read = coco.read_responses(EXPORTS / "qualtrics" / name, survey(tmp_path, QUALTRICS))
    assert "as qualtrics (sniffed)" in read.ledger["rule"].iloc[0]
    assert read.frame[["cho1", "remark"]].iloc[0].tolist() == [2, "Hello World!"]
    assert read.frame[["response", "status", "complete"]].iloc[0].tolist() == ["R_2YPOQ602ER1jkf1", "live", True]
    assert len(read.frame) == 1
    assert read.unmatched.empty
    assert read.ledger["rule"].str.contains("personal columns dropped").any()
    assert "192.0.2.1" not in read.frame.astype(str).to_numpy()


# LimeSurvey -----------------------------------------------------------------------------------------

LIME = """\
scales:
  often:
    title: {en: Often, da: Ofte}
    points:
      - {code: 1, label: {en: Never, da: Aldrig}}
      - {code: 2, label: {en: Rarely, da: Sjældent}}
      - {code: 3, label: {en: Sometimes, da: Nogle gange}}
      - {code: 4, label: {en: Often, da: Ofte}}
      - {code: 5, label: {en: Always, da: Altid}}
constructs:
  - id: lead
    label: {en: Lead, da: Leder}
    role: practice
    scale: often
    stem: {en: How often does your manager…, da: Hvor ofte}
    score: {rule: mean, min_items: 1}
    items:
      - {id: l1, text: {en: …recognise good work?, da: roser}, key: forward, source: s, forms: [full]}
      - {id: l2r, text: {en: …ignore your ideas?, da: overhører}, key: reverse, source: s, forms: [full]}
      - {id: ac1, text: {en: Please choose "Often" here, da: Vælg}, key: forward, source: s, forms: [full]}
background:
  - {id: gender, label: {en: Gender, da: Køn}, question: {en: Gender, da: Køn}, kind: categorical, level: respondent, categories: [{code: f, label: {en: Woman, da: Kvinde}}, {code: m, label: {en: Man, da: Mand}}OTHER]}
  - {id: age, label: {en: Age, da: Alder}, question: {en: Age in years, da: Alder}, kind: numeric, level: respondent}
  - {id: comments, label: {en: Comments, da: Kommentarer}, question: {en: Comments, da: K}, kind: text, level: response}
"""
DIVERSE = ", {code: other, label: {en: Another, da: Andet}}"


@pytest.fixture
def lime(tmp_path):
    return survey(tmp_path, LIME.replace("OTHER", DIVERSE))


@pytest.mark.parametrize("name", ["code_short.csv", "vvexport.csv", "ui.sav"])
def test_limesurvey(lime, name):
    read = coco.read_responses(EXPORTS / "limesurvey" / name, lime)
    assert "as limesurvey (sniffed)" in read.ledger["rule"].iloc[0]
    assert read.frame["response"].tolist() == ["1", "2", "3", "4", "5", "6"]  # the seventh did not agree to take part
    assert read.ledger.query("step == 'exclude'")["rows"].tolist() == [1]
    answered = [True, False, True, True, False, True]
    for id, code in (("l1", 5), ("l2r", 2), ("ac1", 4)):
        assert (
            read.frame[id].tolist() == [code if there else pytest.approx(None) for there in answered]
            or [value == code for value in read.frame[id].fillna(0)] == answered
        )
    assert read.items(["l2r"], keyed=True)["l2r"].dropna().unique().tolist() == [4.0]
    assert read.frame["complete"].tolist() == [False, False, False, True, False, True]
    assert read.frame["age"].fillna(0).tolist() == [0, 0, 0, 41, 0, 41]
    assert read.frame["language"].tolist() == ["de", "en", "fr", "de", "en", "fr"]
    told = read.frame["comments"].iloc[0]
    assert told.replace("\r\n", "\n") == 'Größe; "gut", =1+1\nzweite Zeile'


def test_case_22_limesurveys_other_is_the_category_other(tmp_path, lime):
    text = (EXPORTS / "limesurvey" / "code_short.csv").read_text(encoding="utf-8-sig").replace('"N"', '"Y"')
    (tmp_path / "results.csv").write_text(text, encoding="utf-8")
    assert coco.read_responses(tmp_path / "results.csv", lime).frame["gender"].iloc[6] == "other"
    (tmp_path / "b").mkdir()
    without = survey(tmp_path / "b", LIME.replace("OTHER", ""))
    read = coco.read_responses(tmp_path / "results.csv", without)
    assert read.missing["gender"].iloc[6] == "other_answer"
    assert read.ledger["rule"].str.contains("in their own words").any()


def test_limesurvey_tells_not_shown_only_in_a_vv_file(lime):
    read = coco.read_responses(EXPORTS / "limesurvey" / "vvexport.csv", lime)
    assert read.missing["l1"].tolist()[1] == "not_asked"


# REDCap ---------------------------------------------------------------------------------------------

REDCAP = """\
scales:
  pills:
    title: {en: Pills, da: Piller}
    points: [{code: 0, label: {en: Less than 5, da: u5}}, {code: 1, label: {en: 5-10, da: fem}}, {code: 2, label: {en: 6-15, da: seks}}, {code: 3, label: {en: Over 15, da: o15}}]
constructs:
  - id: morale
    label: {en: Morale, da: Moral}
    role: outcome
    scale: pills
    score: {rule: mean, min_items: 1}
    items:
      - {id: pmq1, text: {en: "On average, how many pills did you take each day last week?", da: P}, key: forward, source: s, forms: [full]}
background:
  - {id: person, label: {en: P, da: P}, question: {en: Study ID, da: P}, kind: identifier, level: respondent}
  - {id: dotted, label: {en: D, da: D}, question: {en: Height (m), da: D}, kind: numeric, level: respondent}
  - {id: comma, label: {en: C, da: C}, question: {en: "Height (m, comma)", da: C}, kind: numeric, level: respondent}
  - {id: wish, label: {en: W, da: W}, question: {en: What should happen, da: H}, kind: text, level: response}
"""


def test_redcap_raw_with_personal_columns(tmp_path):
    read = coco.read_responses(
        EXPORTS / "redcap" / "REDCapR-survey-data.csv", survey(tmp_path, REDCAP), code_map={"person": "participant_id"}
    )
    assert "as redcap (sniffed)" in read.ledger["rule"].iloc[0]
    assert read.frame["person"].tolist() == ["1", "2"]
    assert read.missing["pmq1"].tolist() == ["not_reached", "not_reached"]
    assert read.frame["complete"].tolist() == [False, False]
    assert not {"aaa@bbb.com", "ccc@ddd.com"} & set(read.frame.astype(str).to_numpy().ravel())


def test_redcap_decimal_commas_beside_points(tmp_path):
    file = tmp_path / "data.csv"
    text = (EXPORTS / "redcap" / "REDCapR-decimal-comma-and-dot-data.csv").read_text(encoding="utf-8")
    lines = [f"{line},{'pmq1' if place == 0 else place - 1}" for place, line in enumerate(text.splitlines())]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    names = {"dotted": "height_dot", "comma": "height_comma"}
    read = coco.read_responses(file, survey(tmp_path, REDCAP), code_map=names)
    assert read.frame["dotted"].tolist() == read.frame["comma"].tolist() == [1.54, 1.84, 1.95, 1.61]
    assert read.frame["pmq1"].tolist() == [0, 1, 2, 3]
    assert read.frame["complete"].all()


def test_redcap_forms_never_opened(tmp_path):
    """Checkboxes hold 0 whether or not their form was opened: they are not read as answers."""
    file = tmp_path / "data.csv"
    text = (EXPORTS / "redcap" / "REDCapR-checkboxes-1-data.csv").read_text(encoding="utf-8")
    lines = text.splitlines()
    told = [f"{lines[0]},pmq1", *(f"{line},{'' if line.endswith(',,0') else 2}" for line in lines[1:])]
    file.write_text("\n".join(told) + "\n", encoding="utf-8")
    read = coco.read_responses(file, survey(tmp_path, REDCAP), code_map={"wish": "desired_result"})
    assert len(read.frame) == 4
    assert read.frame["pmq1"].fillna(-1).tolist() == [2, 2, 2, -1]
    assert set(read.unmatched["column"]) >= {"check_one___1", "check_two___e"}


@pytest.mark.parametrize("name", ["REDCapR-russian-data.csv", "REDCapR-validation-types-1-data.csv"])
def test_redcap_files_of_other_projects_are_known_and_refused_by_name(tmp_path, name):
    with pytest.raises(ResponseError) as caught:
        coco.read_responses(EXPORTS / "redcap" / name, survey(tmp_path, REDCAP))
    assert caught.value.code == "NoItems"
