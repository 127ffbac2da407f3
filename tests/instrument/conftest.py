"""A small survey of our own, as text: tests change one thing in it and read it again."""

from pathlib import Path

import pytest

INSTRUMENT = """\
schema: 1
id: teamwork
version: "0.1.0"
title: {en: Teamwork, da: Samarbejde}
licence: CC-BY-4.0
source: made up for these tests
languages: [en, da]
translations:
  en: {status: draft, translator: the project}
  da: {status: draft, translator: the project}
scales:
  agree5:
    title: {en: Agreement, da: Enighed}
    points:
      - {code: 1, label: {en: strongly disagree, da: helt uenig}}
      - {code: 2, label: {en: disagree, da: uenig}}
      - {code: 3, label: {en: neither, da: hverken eller}}
      - {code: 4, label: {en: agree, da: enig}}
      - {code: 5, label: {en: strongly agree, da: helt enig}}
    missing:
      - {code: 98, reason: cannot_judge, label: {en: cannot judge, da: kan ikke vurdere}}
constructs:
  - id: trusting
    label: {en: Trust, da: Tillid}
    point: P1
    role: practice
    scale: agree5
    stem:
      other: {en: "The leaders …", da: "Lederne …"}
      self: {en: "As a leader, I …", da: "Som leder …"}
    score: {rule: mean, min_items: 2}
    items:
      - id: tru1
        text: {en: keep their word, da: holder ord}
        status: {en: draft, da: draft}
        forms: [full, short]
        block: x
      - id: tru2
        text:
          other: {en: share what they know, da: deler deres viden}
          self: {en: share what I know, da: deler min viden}
        forms: [full, short]
        block: a
        overlap: [val1]
      - id: tru3
        text: {en: hide their plans, da: skjuler deres planer}
        key: reverse
        forms: [full]
        block: b
  - id: valuing
    label: {en: Value, da: Værdi}
    role: outcome
    scale: agree5
    items:
      - id: val1
        text: {en: It helps, da: Det hjælper}
        block: x
      - id: val2
        text: {en: It lasts, da: Det varer ved}
        block: a
      - id: val3
        text: {en: It fails, da: Det slår fejl}
        key: reverse
        block: b
  - id: backed
    label: {en: Backing, da: Opbakning}
    role: authorisation
    scale: agree5
    composite: true
    items:
      - id: bac1
        text: {en: The council backs it, da: Rådet bakker op}
        block: x
      - id: bac2
        text: {en: The board backs it, da: Bestyrelsen bakker op}
        block: x
  - id: checking
    label: {en: Check, da: Tjek}
    role: attention
    scale: agree5
    items:
      - id: att1
        text: {en: "Please choose 'disagree' here.", da: "Vælg 'uenig' her."}
        expected: 2
background:
  - id: rating
    label: {en: Whom do you rate?, da: Hvem vurderer du?}
    kind: categorical
    level: response
    categories:
      - {code: self, label: {en: myself, da: mig selv}}
      - {code: other, label: {en: others, da: andre}}
    reference: other
  - id: team
    label: {en: Team, da: Hold}
    kind: identifier
    level: collaboration
"""

SURVEY = """\
schema: 1
id: demo
version: "0.1.0"
title: {en: Demo, da: Demo}
languages: [en, da]
instruments: [teamwork.yaml]
identifiers: {respondent: person, collaboration: team}
address: {column: rating, self: self, other: other}
blocks:
  practices: [trusting]
  everything: [trusting, valuing, backed]
scores:
  outcome:
    of: [valuing]
    without_overlap: true
    label: {en: Outcome, da: Udfald}
  total: {of: everything, rule: mean_of_scores, min_scores: 2}
forms:
  short: {en: short, da: kort}
  planned: {label: {en: planned, da: planlagt}, common: x, parts: [[a], [b]]}
order: [consent, rating, trusting, valuing, backed, checking]
consent: {en: I take part, da: Jeg deltager}
samples:
  - {file: answers.csv, provenance: synthetic, code_map: {tru1: Q1}}
"""


@pytest.fixture
def written(tmp_path):
    """Writes the demo survey with one text replaced, and gives its folder."""

    def write(old: str = "", new: str = "", *, survey: str = SURVEY, instrument: str = INSTRUMENT) -> Path:
        assert old in survey + instrument, f"nothing to replace: {old}"
        folder = tmp_path / "surveys" / "demo"
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in (("survey.yaml", survey), ("teamwork.yaml", instrument)):
            changed = text.replace(old, new, 1) if old else text
            (folder / name).write_bytes(changed.encode("utf-8", "surrogatepass"))
        return folder

    return write
