"""A survey as it is asked: one list of questions in order, which every platform's writer walks through.

`questionnaire` settles what all exports must agree on (order, form, both forms of address,
options with their codes, display conditions), so that a platform's module only has to write it down.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from cocoanalysis.errors import PlatformError

Words = Mapping[str, str]  # language → text
Kind = Literal["consent", "likert", "choice", "number", "text"]
KINDS: dict[str, Kind] = {"categorical": "choice", "numeric": "number", "text": "text"}
ADDRESSES = ("other", "self")
AGREE: dict[str, dict[str, str]] = {  # the two answers to consent, by code
    "yes": {"en": "I agree", "da": "Jeg er enig", "de": "Ich stimme zu"},
    "no": {"en": "I do not agree", "da": "Jeg er ikke enig", "de": "Ich stimme nicht zu"},
}


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
        """Columns that the link or the participant list must bring along."""
        survey = self.survey
        names = [survey.respondent, survey.collaboration, survey.cluster, survey.organisation]
        return list(dict.fromkeys(name for name in names if name))


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
    return Questionnaire(survey, form, version, tuple(sections))


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
    return Question(item.id, "likert", text, (*points, *gaps), {**construct.show_if, **item.show_if})


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


def _nothing() -> dict[str, Words]:
    return {address: {} for address in ADDRESSES}


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
