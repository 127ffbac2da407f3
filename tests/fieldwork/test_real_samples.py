# ruff: noqa: E501  (YAML in flow style reads better on one line)
"""Real exports of survey platforms, read with small surveys of our own that ask what they asked."""

import pytest

import cocoanalysis as coco
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
