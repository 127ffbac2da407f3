"""A survey as it is asked: one list of questions in order, which every platform's writer walks through.

`questionnaire` settles what all exports must agree on (order, form, both forms of address,
options with their codes, display conditions), so that a platform's module only has to write it down.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from cocoanalysis.arguments import new_file
from cocoanalysis.errors import PlatformError, one_of
from cocoanalysis.fieldwork.platforms import CodeMap, write_code_map
from cocoanalysis.instrument.model import in_language

Words = Mapping[str, str]  # language → text
Kind = Literal["consent", "likert", "choice", "multiple", "number", "text"]
KINDS: dict[str, Kind] = {"categorical": "choice", "multiple": "multiple", "numeric": "number", "text": "text"}
ADDRESSES = ("other", "self")
AGREE: dict[str, dict[str, str]] = {  # the two answers to consent, by code
    "yes": {
        "en": "I agree",
        "da": "Jeg er enig",
        "de": "Ich stimme zu",
        "nb": "Jeg er enig",
        "sv": "Jag samtycker",
        "fr": "J'accepte",
        "nl": "Ik ga akkoord",
        "fi": "Hyväksyn",
        "es": "Acepto",
        "it": "Accetto",
        "pt": "Concordo",
        "pl": "Zgadzam się",
    },
    "no": {
        "en": "I do not agree",
        "da": "Jeg er ikke enig",
        "de": "Ich stimme nicht zu",
        "nb": "Jeg er ikke enig",
        "sv": "Jag samtycker inte",
        "fr": "Je n'accepte pas",
        "nl": "Ik ga niet akkoord",
        "fi": "En hyväksy",
        "es": "No acepto",
        "it": "Non accetto",
        "pt": "Não concordo",
        "pl": "Nie zgadzam się",
    },
}

LANGUAGES = {  # what each language calls itself
    "en": "English",
    "da": "Dansk",
    "de": "Deutsch",
    "nb": "Norsk",
    "sv": "Svenska",
    "fr": "Français",
    "nl": "Nederlands",
    "fi": "Suomi",
    "es": "Español",
    "it": "Italiano",
    "pt": "Português",
    "pl": "Polski",
}


def by_language(words: Words, languages: Iterable[str]) -> dict[str, str]:
    """The words in those of the languages that they are there in, with or without the region; else in the first."""
    told = {one: words.get(one) or words.get(one.partition("-")[0], "") for one in languages}
    return {one: text for one, text in told.items() if text} or dict(list(words.items())[:1])


def language_name(code: str) -> str:
    """What a language calls itself; its code where that is not known."""
    name = LANGUAGES.get(code.partition("-")[0], code)
    return f"{name} ({code})" if "-" in code and name != code else name


@dataclass(frozen=True)
class Option:
    """One answer that can be chosen: ``reason`` is set where it stands for a missing answer."""

    code: str
    label: Words
    reason: str = ""


@dataclass(frozen=True)
class Question:
    """One question: ``text`` by form of address and language, options, and when it is shown."""

    id: str
    kind: Kind
    text: Mapping[str, Words]
    options: tuple[Option, ...] = ()
    show_if: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    minimum: float | None = None
    maximum: float | None = None
    personal: bool = False

    @property
    def addressed(self) -> bool:
        """Whether the two forms of address are worded differently."""
        return self.text["self"] != self.text["other"]

    @property
    def choices(self) -> tuple[Option, ...]:
        """The answers to choose from; none where a number or words are typed in."""
        return () if self.kind in ("number", "text") else self.options

    @property
    def alone(self) -> tuple[Option, ...]:
        """Where several answers may be given, those that go with no other: they say why there is none."""
        return tuple(option for option in self.options if option.reason) if self.kind == "multiple" else ()

    @property
    def typed(self) -> tuple[Option, ...]:
        """The codes that may be typed in the place of a number or of words, each with its reason."""
        return () if self.choices else self.options

    def hint(self, language: str) -> str:
        """In words, what may be typed in the place of an answer: ``-1 = prefer not to say``."""
        return " · ".join(f"{option.code} = {in_language(option.label, language)}" for option in self.typed)

    @property
    def limits(self) -> dict[str, float]:
        """The least and the greatest number that may be typed in, missing codes among them."""
        codes = [float(option.code) for option in self.typed if option.code.lstrip("-").isdigit()]
        given = {"min": (min, self.minimum), "max": (max, self.maximum)}
        return {name: pick([limit, *codes]) for name, (pick, limit) in given.items() if limit is not None}


@dataclass(frozen=True)
class Section:
    """Questions asked together: the items of a construct under their stem, or one background question."""

    id: str
    stem: Mapping[str, Words]
    questions: tuple[Question, ...]
    random_order: bool = False
    label: Words = field(default_factory=dict)

    @property
    def likert(self) -> bool:
        return all(question.kind == "likert" for question in self.questions)

    @property
    def grid(self) -> bool:
        """Whether these are several items with the same answers, to be asked in rows under one head."""
        first, *others = self.questions
        return bool(others) and self.likert and all(one.options == first.options for one in others)


@dataclass(frozen=True)
class Questionnaire:
    """Everything that is asked, in order, in one form of the survey."""

    survey: Any
    form: str
    version: int | None
    sections: tuple[Section, ...]

    @property
    def questions(self) -> Iterator[Question]:
        return (question for section in self.sections for question in section.questions)

    @property
    def identifiers(self) -> list[str]:
        """Columns that the link or the participant list must bring along; what is asked is not among them."""
        survey, asked = self.survey, {question.id for question in self.questions}
        names = [survey.respondent, survey.collaboration, survey.cluster, survey.organisation]
        return list(dict.fromkeys(name for name in names if name and name not in asked))

    @property
    def columns(self) -> list[str]:
        """The column of each identifier, then of each question."""
        return [*self.identifiers, *(question.id for question in self.questions)]


def questionnaire(survey: Any, form: str = "full", version: int | None = None) -> Questionnaire:
    """The survey as one list of sections, in the order of its file.

    Parameters
    ----------
    form : full, or a form of the survey (short, core, planned)
    version : of a planned-missing form, which of its versions (0, 1, …); None keeps all items

    Raises
    ------
    InstrumentError : UnknownForm
    PlatformError : UnknownVersion
    """
    design = survey.forms.get(form)
    versions = len(design.parts) if design is not None else 0
    if version is not None and not 0 <= version < versions:
        allowed = f"it has versions 0 to {versions - 1}" if versions else "it has one version only"
        raise PlatformError(f"Form '{form}' has no version {version}; {allowed}.", code="UnknownVersion")
    kept = set(survey.form_items(form, version)) | set(survey.attention)
    sections = [_consent(survey)] if survey.consent else []
    for name in _order(survey):
        if name in survey.constructs:
            sections += _construct(survey, name, kept)
        elif name in survey.background and survey.background[name].asked:
            sections += _background(survey, name)
    made = Questionnaire(survey, form, version, tuple(sections))
    known = set(made.columns)
    return replace(made, sections=tuple(_within(section, known) for section in sections))


def _within(section: Section, known: set[str]) -> Section:
    """The section without conditions on what this form does not ask: what depends on them is shown."""
    kept = (
        replace(one, show_if={id: values for id, values in one.show_if.items() if id in known})
        for one in section.questions
    )
    return replace(section, questions=tuple(kept))


def _order(survey: Any) -> list[str]:
    """Constructs and background questions in the order asked; what the file leaves out comes last."""
    return list(dict.fromkeys([*survey.order, *survey.constructs, *survey.background]))


def _consent(survey: Any) -> Section:
    text = dict.fromkeys(ADDRESSES, survey.consent)
    return Section("consent", _nothing(), (Question("consent", "consent", text),))


def _construct(survey: Any, name: str, kept: set[str]) -> list[Section]:
    construct = survey.constructs[name]
    items = [_all_items(survey)[id] for id in construct.items if id in kept]
    if not items:
        return []
    stem = {address: construct.stem_by_address.get(address, construct.stem) for address in ADDRESSES}
    questions = tuple(_item(item, construct) for item in items)
    return [Section(name, stem, questions, construct.random_order, construct.label)]


def _all_items(survey: Any) -> dict[str, Any]:
    return {**survey.items, **survey.attention}


def _item(item: Any, construct: Any) -> Question:
    text = {address: item.by_address.get(address, item.text) for address in ADDRESSES}
    points = [Option(str(point.code), point.label) for point in item.scale.points]
    gaps = [Option(gap.code, gap.label, gap.reason) for gap in item.scale.missing]
    shown = {**construct.show_if, **item.show_if}
    if points:
        return Question(item.id, "likert", text, (*points, *gaps), shown)
    return Question(item.id, "number", text, tuple(gaps), shown, item.scale.minimum, item.scale.maximum)


def _background(survey: Any, name: str) -> list[Section]:
    asked = survey.background[name]
    if asked.kind == "identifier":
        return []
    text = {address: asked.question_by_address.get(address, asked.question) for address in ADDRESSES}
    options = [Option(code, label) for code, label in asked.categories.items()]
    options += [Option(gap.code, gap.label, gap.reason) for gap in asked.missing]
    question = Question(
        name,
        KINDS[asked.kind],
        text,
        tuple(options),
        dict(asked.show_if),
        asked.minimum,
        asked.maximum,
        asked.personal,
    )
    return [Section(name, _nothing(), (question,), label=asked.label)]


def files_by_language(survey: Any, path: str | Path, language: str | None) -> list[tuple[str, Path]]:
    """Each language with the file it is written to, for platforms that hold one language a file.

    The first language has the name that was asked for, the others their code in it (`mine.da.csv`); the
    folder is made.

    Raises
    ------
    PlatformError : UnknownLanguage
    """
    if language is not None:
        one_of(language, survey.languages, "language of the survey", error=PlatformError, code="UnknownLanguage")
    target = new_file(path)
    first, *others = [language] if language else survey.languages
    return [(first, target), *((other, target.with_name(f"{target.stem}.{other}{target.suffix}")) for other in others)]


def written(
    asked: Questionnaire,
    files: Iterable[Path],
    platform: str,
    codes: Mapping[str, Mapping[str, str]] | None = None,
) -> list[Path]:
    """The files of an export whose columns are called as our ids, and the code map, written beside the first."""
    paths = list(files)
    columns = {id: id for id in asked.columns}
    known = CodeMap(columns, codes or {}, asked.survey.id, asked.survey.version, platform)
    return [*paths, write_code_map(paths[0], known)]


def coded(question: Question, allowed: str, prefix: str = "") -> dict[str, str]:
    """Our code → the platform's: itself where the pattern ``allowed`` takes it whole, else a free number."""
    kept = {option.code for option in question.choices if re.fullmatch(allowed, option.code)}
    spare = (f"{prefix}{number}" for number in itertools.count(1) if f"{prefix}{number}" not in kept)
    return {option.code: option.code if option.code in kept else next(spare) for option in question.choices}


def recoded(questions: Iterable[Question], codes: Callable[[Question], dict[str, str]]) -> dict[str, dict[str, str]]:
    """Our id → {the platform's code: ours}, for the questions of which a code was replaced."""
    tables = {question.id: codes(question) for question in questions if question.choices}
    told = {id: {theirs: ours for ours, theirs in table.items() if theirs != ours} for id, table in tables.items()}
    return {id: table for id, table in told.items() if table}


def _nothing() -> dict[str, Words]:
    return {address: {} for address in ADDRESSES}


@dataclass(frozen=True)
class Grammar:
    """How a platform writes that a question is shown: patterns of the other question's name and an answer's code.

    ``one`` says that the answer is this one, ``several`` that it is among those given, ``cell`` what an item of a
    grid is called there; ``twice`` whether both forms of address have columns of their own.
    """

    one: str
    several: str
    cell: str = "{id}"
    twice: bool = True


def conditions(
    asked: Questionnaire,
    question: Question,
    grammar: Grammar,
    codes: Callable[[Question], dict[str, str]] = lambda question: {},
) -> list[str]:
    """When a question is shown, in a platform's words."""
    places = {one.id: (section, one) for section in asked.sections for one in section.questions}
    told = []
    for name, values in question.show_if.items():
        section, other = places.get(name, (None, None))
        names = _called(section, name, grammar) if section is not None else [name]
        known = codes(other) if other is not None else {}
        pattern = grammar.several if other is not None and other.kind == "multiple" else grammar.one
        told.append(" or ".join(pattern.format(name=id, code=known.get(code, code)) for code in values for id in names))
    return [f"({condition})" for condition in told]


def _called(section: Section, id: str, grammar: Grammar) -> list[str]:
    """What a question is called there, in each form of address in which it is asked by itself."""
    parts = asked_twice(section) if grammar.twice else [(None, section)]
    pattern = grammar.cell if section.grid else "{id}"
    return [pattern.format(section=part.id, id=id + SELF if said == "self" else id) for said, part in parts]


CHOSEN = (
    {"en": "chosen", "da": "valgt", "de": "gewählt"},
    {"en": "not chosen", "da": "ikke valgt", "de": "nicht gewählt"},
)


def in_columns(section: Section, yes: str = "true", no: str = "false") -> Section:
    """A question with several answers as the columns that hold it, one for each answer; other sections as they are.

    The question becomes the stem, each answer a question to be answered by ``yes`` or ``no``.
    """
    question = section.questions[0]
    if question.kind != "multiple":
        return section
    gaps = [option for option in question.options if option.reason]
    either = (Option(yes, CHOSEN[0]), Option(no, CHOSEN[1]), *gaps)
    columns = tuple(
        replace(
            question,
            id=f"{question.id}__{option.code}",
            text=dict.fromkeys(ADDRESSES, option.label),
            options=either,
        )
        for option in question.options
        if not option.reason
    )
    return Section(question.id, question.text, columns, label=section.label)


SELF = "_self"  # what a column is called that asks the same question in the other form of address


def asked_twice(section: Section) -> list[tuple[str | None, Section]]:
    """A section for platforms that cannot switch words: once for both forms of address, or once for each.

    Gives (None, section) where the words are the same, else ('other', section) and ('self', section whose
    question ids end in `SELF`).
    """
    worded = section.stem["self"] != section.stem["other"] or any(one.addressed for one in section.questions)
    if not worded:
        return [(None, section)]
    renamed = tuple(replace(one, id=one.id + SELF) for one in section.questions)
    return [("other", section), ("self", replace(section, id=section.id + SELF, questions=renamed))]


def both_addresses(columns: Iterable[str], survey: Any) -> dict[str, str]:
    """Column → our id for questions that were asked in two columns, one for each form of address."""
    columns = list(columns)
    twice = [id for id in [*survey.items, *survey.background] if id + SELF in columns]
    own = {id + SELF: id for id in twice}
    return {**{id: id for id in twice if id in columns}, **own}
