# ruff: noqa: E501  (YAML in flow style reads better on one line)
"""A small survey of our own, for tests: two constructs with reverse keys, an attention check, background."""

from pathlib import Path

INSTRUMENT = """\
schema: 1
id: smallone
version: "0.1.0"
title: {en: Small, da: Lille}
licence: CC-BY-4.0
source: made for tests
languages: [en, da]
translations: {en: {status: draft, translator: the project}, da: {status: draft, translator: the project}}
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
      - {code: 99, reason: refused, label: {en: prefer not to say, da: vil ikke svare}}
  gaps:
    title: {en: With gaps, da: Med huller}
    points:
      - {code: 1, label: {en: low, da: lav}}
      - {code: 2, label: {en: middle, da: midt}}
      - {code: 3, label: {en: high, da: høj}}
      - {code: 5, label: {en: top, da: top}}
constructs:
  - id: trust
    role: practice
    label: {en: Trust, da: Tillid}
    scale: agree5
    stem: {en: "The partners …", da: "Parterne …"}
    score: {rule: mean, min_items: 3}
    items:
      - {id: tru1, text: {en: keep promises, da: holder ord}, key: forward, source: s, forms: [full, short]}
      - {id: tru2, text: {en: tell the truth, da: siger sandheden}, key: forward, source: s, forms: [full, short]}
      - {id: tru3, text: {en: hide things, da: skjuler noget}, key: reverse, source: s, forms: [full]}
      - {id: tru4, text: {en: listen, da: lytter}, key: forward, source: s, forms: [full], overlap: [eff1]}
  - id: effort
    role: outcome
    label: {en: Effort, da: Indsats}
    scale: agree5
    score: {rule: sum, min_items: 2}
    items:
      - {id: eff1, text: {en: We work hard., da: Vi arbejder.}, key: forward, source: s, forms: [full, short], overlap: [tru4]}
      - {id: eff2, text: {en: We give up early., da: Vi giver op.}, key: reverse, source: s, forms: [full, short]}
      - {id: eff3, text: {en: We try again., da: Vi prøver igen.}, key: forward, source: s, forms: [full]}
  - id: steps
    role: outcome
    label: {en: Steps, da: Trin}
    scale: gaps
    score: {rule: mean, min_items: 1}
    items:
      - {id: ste1, text: {en: First step., da: Første trin.}, key: forward, source: s, forms: [full]}
      - {id: ste2, text: {en: Second step., da: Andet trin.}, key: reverse, source: s, forms: [full]}
  - id: check
    label: {en: Check, da: Tjek}
    role: attention
    scale: agree5
    items:
      - {id: att1, text: {en: "Choose disagree.", da: "Vælg uenig."}, expected: 2, key: forward, source: s, forms: [full]}
background:
  - {id: person, label: {en: Person, da: Person}, question: {en: Code, da: Kode}, kind: identifier, level: respondent}
  - {id: team, label: {en: Team, da: Team}, question: {en: Your team, da: Dit team}, kind: identifier, level: collaboration}
  - id: sector
    label: {en: Sector, da: Sektor}
    question: {en: "Which sector?", da: "Hvilken sektor?"}
    kind: categorical
    level: respondent
    categories: [{code: public, label: {en: Public, da: Offentlig}}, {code: private, label: {en: Private, da: Privat}}]
    missing: [{code: refused, reason: refused, label: {en: no answer, da: intet svar}}]
  - {id: years, label: {en: Years, da: År}, question: {en: "How many years?", da: "Hvor mange år?"}, kind: numeric, level: respondent}
  - {id: email, label: {en: E-mail, da: E-mail}, question: {en: "E-mail?", da: "E-mail?"}, kind: text, level: respondent, personal: true}
  - {id: remark, label: {en: Remark, da: Bemærkning}, question: {en: "Remarks?", da: "Bemærkninger?"}, kind: text, level: response}
"""

SURVEY = """\
schema: 1
id: small
version: "0.1.0"
title: {en: Small survey, da: Lille undersøgelse}
languages: [en, da]
instruments: [../instruments/smallone.yaml]
identifiers: {respondent: person, collaboration: team, cluster: team}
blocks: {all: [trust, effort]}
scores:
  both: {of: [trust, steps], rule: mean_of_scores, label: {en: Both, da: Begge}}
forms: {full: {en: full, da: fuld}, short: {en: short, da: kort}}
order: [trust, sector, effort, steps, check, years]
"""

ITEMS = ["tru1", "tru2", "tru3", "tru4", "eff1", "eff2", "eff3", "ste1", "ste2", "att1"]


def written(folder: Path, survey: str = SURVEY, instrument: str = INSTRUMENT) -> Path:
    """The survey's folder, written below ``folder``."""
    (folder / "instruments").mkdir()
    (folder / "small").mkdir()
    (folder / "instruments" / "smallone.yaml").write_text(instrument, encoding="utf-8")
    (folder / "small" / "survey.yaml").write_text(survey, encoding="utf-8")
    return folder / "small"
