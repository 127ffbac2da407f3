"""A survey of our own that uses every feature a writer must carry, in words that platforms take for commands."""

from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import cocoanalysis as coco

INSTRUMENT = r"""
schema: 1
id: every
version: "1.0.0"
title: {en: "Every feature", da: "Alle træk"}
languages: [en, da, pt-BR]
scales:
  agree:
    points:
      - {code: 1, label: {en: "never | not", da: "aldrig", pt-BR: "nunca"}}
      - {code: 2, label: {en: "\"always\"", da: "altid", pt-BR: "sempre"}}
    missing:
      - {code: -9, reason: refused, label: {en: "prefer not to say", da: "ønsker ikke at svare", pt-BR: "não digo"}}
  often:
    points:
      - {code: 0, label: {en: "0 times", da: "0 gange", pt-BR: "0 vezes"}}
      - {code: 10, label: {en: "10, or more", da: "10 eller flere", pt-BR: "10 ou mais"}}
  slider:
    minimum: 0
    maximum: 100
constructs:
  - id: mixed
    label: {en: "Mixed", da: "Blandet", pt-BR: "Misto"}
    role: context
    scale: agree
    stem:
      other: {en: "How does \"X\" behave in {year}?", da: "Hvordan er \"X\"?", pt-BR: "Como é \"X\"?"}
      self: {en: "How do you behave?", da: "Hvordan er du?", pt-BR: "Como é?"}
    random_order: true
    items:
      - id: mixa
        forms: [full]
        text: {en: "\"quoted\" <b>bold</b> back\\\"slash\\ ${q} [mixb] {mixb}", da: "æ 'ø' å", pt-BR: "ação"}
      - id: mixb
        forms: [full, short]
        text:
          other: {en: "= about others", da: "om andre", pt-BR: "sobre outros"}
          self: {en: "about yourself", da: "om dig selv", pt-BR: "sobre si"}
        key: reverse
        show_if: {kindof: ["a+b", "plain"]}
  - id: diffs
    label: {en: "Different scales", da: "Forskellige skalaer", pt-BR: "Escalas"}
    role: context
    scale: agree
    score: {rule: mean, rescale: percent}
    show_if: {kindof: ["plain"]}
    items:
      - {id: diffa, forms: [full, short], text: {en: "first", da: "første", pt-BR: "primeiro"}}
      - {id: diffb, forms: [full, short], scale: often, text: {en: "second", da: "andet", pt-BR: "segundo"}}
  - id: slide
    label: {en: "Slider", da: "Skyder", pt-BR: "Barra"}
    role: context
    scale: slider
    stem: {en: "From 0 to 100:", da: "Fra 0 til 100:", pt-BR: "De 0 a 100:"}
    items:
      - {id: slida, forms: [full, short], text: {en: "how far", da: "hvor langt", pt-BR: "quanto"}}
      - {id: slidb, forms: [full, short], text: {en: "how near", da: "hvor nær", pt-BR: "quão perto"}}
  - id: single
    label: {en: "Single", da: "Enkelt", pt-BR: "Único"}
    role: context
    scale: often
    show_if: {mixa: [2], diffa: [1]}
    items:
      - {id: sing, forms: [full, short], text: {en: "only one", da: "kun ét", pt-BR: "só um"}}
background:
  - id: rater
    label: {en: "Rating", da: "Vurdering", pt-BR: "Avaliação"}
    question: {en: "Whom do you rate?", da: "Hvem vurderer du?", pt-BR: "Quem avalia?"}
    kind: categorical
    categories:
      - {code: me, label: {en: "myself", da: "mig selv", pt-BR: "eu"}}
      - {code: boss, label: {en: "my boss", da: "min chef", pt-BR: "chefe"}}
  - id: kindof
    label: {en: "Kind", da: "Slags", pt-BR: "Tipo"}
    question: {en: "Which kind?", da: "Hvilken slags?", pt-BR: "Que tipo?"}
    kind: categorical
    categories:
      - {code: "a+b", label: {en: "A + B", da: "A + B", pt-BR: "A + B"}}
      - {code: plain, label: {en: "plain", da: "enkel", pt-BR: "simples"}}
      - {code: quitelongcode, label: {en: "long", da: "lang", pt-BR: "longo"}}
    missing: [{code: 99, reason: refused, label: {en: "refuse", da: "nej", pt-BR: "recuso"}}]
  - id: years
    label: {en: "Years", da: "År", pt-BR: "Anos"}
    question: {en: "How many years?", da: "Hvor mange år?", pt-BR: "Quantos anos?"}
    kind: numeric
    minimum: 0
    maximum: 60.5
    show_if: {kindof: ["quitelongcode"]}
    missing: [{code: -1, reason: refused, label: {en: "refuse", da: "nej", pt-BR: "recuso"}}]
  - id: words
    label: {en: "Words", da: "Ord", pt-BR: "Palavras"}
    question: {en: "In your own words?", da: "Med egne ord?", pt-BR: "Nas suas palavras?"}
    kind: text
    personal: true
  - id: parts
    label: {en: "Sectors", da: "Sektorer", pt-BR: "Setores"}
    question: {en: "Which sectors?", da: "Hvilke sektorer?", pt-BR: "Quais setores?"}
    kind: multiple
    categories:
      - {code: pub, label: {en: "Public, local", da: "Offentlig", pt-BR: "Público"}}
      - {code: private_firm, label: {en: "Private", da: "Privat", pt-BR: "Privado"}}
      - {code: 3, label: {en: "Third", da: "Tredje", pt-BR: "Terceiro"}}
    missing: [{code: 98, reason: refused, label: {en: "refuse", da: "nej", pt-BR: "recuso"}}]
  - id: bank
    label: {en: "Bank", da: "Bank", pt-BR: "Banco"}
    question: {en: "Which bank?", da: "Hvilken bank?", pt-BR: "Que banco?"}
    kind: text
    show_if: {parts: [private_firm, 3]}
  - id: site
    label: {en: "Site", da: "Sted", pt-BR: "Local"}
    question: {en: "Which site?", da: "Hvilket sted?", pt-BR: "Que local?"}
    kind: categorical
    level: collaboration
    categories:
      - {code: n, label: {en: "north", da: "nord", pt-BR: "norte"}}
      - {code: s, label: {en: "south", da: "syd", pt-BR: "sul"}}
"""
SURVEY = """
schema: 1
id: every
version: "1.0.0"
title: {en: "Every \\"feature\\" & <more>", da: "Alle træk", pt-BR: "Tudo"}
description: {en: "All of it.", da: "Det hele.", pt-BR: "Tudo."}
languages: [en, da, pt-BR]
instruments: [every.yaml]
identifiers: {respondent: who, collaboration: site, cluster: site}
address: {column: rater, self: me, other: boss}
forms: {full: {en: full}, short: {en: short}}
order: [rater, kindof, mixed, diffs, years, slide, single, parts, bank, words, site]
introduction: {en: "Welcome {year}", da: "Velkommen", pt-BR: "Olá"}
thanks: {en: "Thanks", da: "Tak", pt-BR: "Obrigado"}
consent: {en: "I agree to {this}.", da: "Jeg er enig.", pt-BR: "Concordo."}
"""


@cache
def every():
    folder = Path(mkdtemp(prefix="every"))
    (folder / "every.yaml").write_text(INSTRUMENT, encoding="utf-8")
    (folder / "survey.yaml").write_text(SURVEY, encoding="utf-8")
    return coco.read_survey(folder)
