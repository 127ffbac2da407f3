"""What a survey asks, as frozen objects: Survey, Instrument, Construct, Item, ResponseScale.

A `Survey` is what every later room holds: it labels, keys, scores and groups. It is made by
`reading.read_survey` from files and never changed; a new wording is a new survey.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, TypeVar

from pydantic import AfterValidator
from pydantic.dataclasses import dataclass

from cocoanalysis.errors import InstrumentError, listed, suggestion
from cocoanalysis.instrument.findings import Finding, Place

K = TypeVar("K")
V = TypeVar("V")
NOT_MEASURED = ("attention", "marker")  # roles that are no part of the survey's own measurement model


class Frozen(dict[K, V]):
    """A dict that nobody can change; it copies and pickles like one."""

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError("Surveys and verdicts are frozen: change the file and read it again, or judge again.")

    __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (dict(self),)


Lookup = Annotated[dict[K, V], AfterValidator(Frozen)]
Words = Annotated[dict[str, str], AfterValidator(Frozen)]


def in_language(words: Mapping[str, str], language: str) -> str:
    """The words in that language, or in the language without its region; else in the first language there is."""
    return words.get(language) or words.get(language.partition("-")[0]) or next(iter(words.values()), "")


@dataclass(frozen=True, kw_only=True)
class Point:
    """One answer of a response scale: its code and its label by language."""

    code: int
    label: Words


@dataclass(frozen=True, kw_only=True)
class MissingCode:
    """A code that says why there is no answer; ``reason`` is what the missing table holds."""

    code: str
    reason: str
    label: Words


@dataclass(frozen=True, kw_only=True)
class ResponseScale:
    """The answers that an item allows, and the reasons that may stand instead of one.

    ``points`` are the labelled answers in the order of their codes; a scale without points is
    a range (a slider) from ``minimum`` to ``maximum``.
    """

    id: str
    title: Words
    points: tuple[Point, ...]
    missing: tuple[MissingCode, ...]
    minimum: int
    maximum: int

    @property
    def codes(self) -> tuple[int, ...]:
        return tuple(point.code for point in self.points)

    @property
    def equally_spaced(self) -> bool:
        steps = {after - before for before, after in zip(self.codes, self.codes[1:])}
        return len(steps) <= 1

    @property
    def reversal(self) -> dict[int, int]:
        """Code → code of the mirrored answer, also for codes with gaps; empty for a range."""
        return dict(zip(self.codes, reversed(self.codes)))

    def labels(self, language: str = "en") -> dict[int, str]:
        """Code → label in that language."""
        return {point.code: in_language(point.label, language) for point in self.points}

    def missing_labels(self, language: str = "en") -> dict[str, str]:
        """Missing code (text) → label in that language."""
        return {entry.code: in_language(entry.label, language) for entry in self.missing}

    def reasons(self) -> dict[str, str]:
        """Missing code (text) → reason."""
        return {entry.code: entry.reason for entry in self.missing}


@dataclass(frozen=True, kw_only=True)
class ScoreRule:
    """Mean or sum of the keyed answers, when at least ``min_items`` are answered.

    ``rescale`` 'percent' puts every answer on 0–100 of its own scale first (percent of the
    maximum possible), the only way to combine items whose scales differ.
    """

    rule: Literal["mean", "sum"] = "mean"
    min_items: int = 1
    rescale: Literal["none", "percent"] = "none"


@dataclass(frozen=True, kw_only=True)
class Item:
    """One question answered on a response scale; ``key`` is +1, or −1 for a reverse-keyed item.

    ``text`` are the words by language (about others, where there are two forms of address),
    ``by_address`` the words by form of address ('other', 'self'; empty where the same serve both).
    """

    id: str
    construct: str
    role: str
    text: Words
    by_address: Lookup[str, Words]
    stem: Words
    stem_by_address: Lookup[str, Words]
    key: Literal[1, -1]
    scale: ResponseScale
    forms: tuple[str, ...]
    block: str | None
    overlap: tuple[str, ...]
    source: str
    status: Words
    expected: int | None
    show_if: Lookup[str, tuple[str, ...]]

    def wording(self, language: str = "en", address: str = "other") -> str:
        """The item's own words, without the stem."""
        return in_language(self.by_address.get(address, self.text), language)

    def question(self, language: str = "en", address: str = "other") -> str:
        """Stem and item as one sentence, as a respondent reads it."""
        stem = in_language(self.stem_by_address.get(address, self.stem), language)
        words = self.wording(language, address)
        if not stem:
            return words
        return (
            f"{stem.rstrip(' .…')} {words.lstrip(' .…')}" if stem.rstrip().endswith(("…", "...")) else f"{stem} {words}"
        )


@dataclass(frozen=True, kw_only=True)
class Construct:
    """What a set of items is to measure; ``composite`` when its elements form it (formative)."""

    id: str
    label: Words
    definition: Words
    point: str | None
    proposition: str | None
    role: str
    items: tuple[str, ...]
    scale: ResponseScale | None
    composite: bool
    score: ScoreRule
    stem: Words
    stem_by_address: Lookup[str, Words]
    source: str
    random_order: bool
    show_if: Lookup[str, tuple[str, ...]]
    instrument: str


@dataclass(frozen=True, kw_only=True)
class ScorePart:
    """One component of a defined score: a construct (or another score) with the items that count."""

    name: str
    items: tuple[str, ...]
    rule: Literal["mean", "sum"]
    min_items: int
    rescale: Literal["none", "percent"]


@dataclass(frozen=True, kw_only=True)
class Score:
    """A defined composite: by default the mean of the scores of its ``parts``.

    A part that is a construct is scored over the part's ``items`` by its rule; a part that is another
    score counts as the mean over that score's items, at least half of them answered. 'mean' and
    'sum' go over ``items`` directly.
    """

    id: str
    label: Words
    of: tuple[str, ...]
    rule: Literal["mean_of_scores", "mean", "sum"]
    parts: tuple[ScorePart, ...]
    items: tuple[str, ...]
    min_items: int
    min_scores: int
    without_overlap: bool


@dataclass(frozen=True, kw_only=True)
class Background:
    """A question about the respondent, the collaboration or the response.

    To a 'multiple' question several answers may be given: responses hold a true or false for each,
    in the columns ``columns``. A condition that names such a question asks whether one of the answers was given.
    """

    id: str
    label: Words
    question: Words
    question_by_address: Lookup[str, Words]
    kind: Literal["categorical", "multiple", "numeric", "text", "identifier"]
    level: str
    categories: Lookup[str, Words]
    missing: tuple[MissingCode, ...]
    minimum: float | None
    maximum: float | None
    unit: Words
    personal: bool
    reference: str | None
    asked: bool
    show_if: Lookup[str, tuple[str, ...]]

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that hold its answers: its id, or `id__code` for each answer of a multiple question."""
        return tuple(f"{self.id}__{code}" for code in self.categories) if self.kind == "multiple" else (self.id,)

    def labels(self, language: str = "en") -> dict[str, str]:
        """Category code → label in that language."""
        return {code: in_language(label, language) for code, label in self.categories.items()}

    def reasons(self) -> dict[str, str]:
        """Missing code → reason."""
        return {entry.code: entry.reason for entry in self.missing}


@dataclass(frozen=True, kw_only=True)
class Form:
    """A form of the questionnaire: the items with its tag, or parts of a planned-missing design.

    A planned form has ``common`` (the block every respondent answers) and ``parts`` (for each
    version of the questionnaire, the further blocks it asks).
    """

    id: str
    label: Words
    common: str | None
    parts: tuple[tuple[str, ...], ...]

    @property
    def planned(self) -> bool:
        return bool(self.parts)


@dataclass(frozen=True, kw_only=True)
class Address:
    """The column that tells which form of address was shown, with its two answers."""

    column: str
    self_: str
    other: str


@dataclass(frozen=True, kw_only=True)
class Translation:
    """Who translated into this language, and how far it has been checked."""

    status: str
    translator: str


@dataclass(frozen=True, kw_only=True)
class Change:
    """One entry of the change log."""

    version: str
    kind: str
    ids: tuple[str, ...]
    note: str


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A file of answers in the survey's folder; ``code_map`` is our id → column of the file."""

    file: str
    provenance: Literal["synthetic", "public real", "yours"]
    sha256: str | None
    code_map: Lookup[str, str]
    licence: str
    source: str
    note: Words


@dataclass(frozen=True, kw_only=True, repr=False)
class Instrument:
    """One instrument file: scales, constructs, items, background, with its licence and version."""

    id: str
    version: str
    title: Words
    description: Words
    licence: str
    source: str
    languages: tuple[str, ...]
    translations: Lookup[str, Translation]
    changelog: tuple[Change, ...]
    scales: Lookup[str, ResponseScale]
    constructs: Lookup[str, Construct]
    items: Lookup[str, Item]
    background: Lookup[str, Background]
    path: Path
    sha256: str
    places: Lookup[str, Place]

    def __repr__(self) -> str:
        return f"Instrument({self.id} {self.version}: {len(self.constructs)} constructs, {len(self.items)} items)"


@dataclass(frozen=True, kw_only=True, repr=False)
class Survey:
    """Everything that one questionnaire asks, from its files; the object that labels all results.

    ``items``, ``constructs``, ``background`` and ``attention`` are by id, in the order of the
    files; ``blocks`` are named groups of constructs and ``scores`` defined composites.
    ``cluster``, ``respondent``, ``collaboration`` and ``organisation`` name identifier columns.
    ``extends`` says which survey, in which version, this one was made from.
    """

    id: str
    version: str
    title: Words
    description: Words
    licence: str
    languages: tuple[str, ...]
    instruments: tuple[Instrument, ...]
    constructs: Lookup[str, Construct]
    items: Lookup[str, Item]
    attention: Lookup[str, Item]
    background: Lookup[str, Background]
    blocks: Lookup[str, tuple[str, ...]]
    scores: Lookup[str, Score]
    forms: Lookup[str, Form]
    order: tuple[str, ...]
    address: Address | None
    respondent: str | None
    collaboration: str | None
    organisation: str | None
    cluster: str | None
    consent: Words
    introduction: Words
    thanks: Words
    samples: tuple[Sample, ...]
    changelog: tuple[Change, ...]
    extends: str | None
    path: Path
    folder: Path
    sha256: str
    places: Lookup[str, Place]
    doubts: tuple[Finding, ...]

    def __repr__(self) -> str:
        return (
            f"Survey({self.id} {self.version}: {len(self.constructs)} constructs, {len(self.items)} items, "
            f"{len(self.background)} background questions; {', '.join(self.languages)})"
        )

    def _repr_html_(self) -> str:
        facts = {
            "version": self.version,
            "languages": ", ".join(self.languages),
            "constructs": len(self.constructs),
            "items": len(self.items),
            "background questions": len(self.background),
            "forms": ", ".join(self.forms) or "full",
            "doubts": len(self.doubts),
        }
        rows = "".join(f"<tr><th>{name}</th><td>{escape(str(value))}</td></tr>" for name, value in facts.items())
        return f"<h4>{escape(in_language(self.title, 'en'))}</h4><table>{rows}</table>"

    def findings(self) -> tuple[Finding, ...]:
        """Every doubt about the files, with file, line and column (errors were raised on reading)."""
        return self.doubts

    def names(self) -> list[str]:
        """Every name that `item_ids` and `label` know."""
        return list(dict.fromkeys([*self.blocks, *self.scores, *self.constructs, *self.items, *self.background]))

    def item_ids(self, name: str | Iterable[str] | None = None) -> list[str]:
        """The items of a construct, block or score, of a list of such names, or all but attention checks."""
        if name is None:
            return [id for id in self.items if id not in self.attention]
        if not isinstance(name, str):
            return list(dict.fromkeys(id for one in name for id in self.item_ids(one)))
        if name in self.items:
            return [name]
        if name in self.constructs:
            return list(self.constructs[name].items)
        if name in self.blocks:
            return [id for construct in self.blocks[name] for id in self.constructs[construct].items]
        if name in self.scores:
            return list(self.scores[name].items)
        raise self._unknown(name)

    def construct_ids(self, name: str | Iterable[str] | None = None) -> list[str]:
        """The constructs of a block or score, of a list of names, or all that measure something."""
        if name is None:
            return [id for id, construct in self.constructs.items() if construct.role not in NOT_MEASURED]
        if not isinstance(name, str):
            return list(dict.fromkeys(id for one in name for id in self.construct_ids(one)))
        if name in self.constructs:
            return [name]
        if name in self.blocks:
            return list(self.blocks[name])
        if name in self.scores:
            return self.construct_ids(part.name for part in self.scores[name].parts)
        raise self._unknown(name)

    def measurement_model(self, name: str | Iterable[str] | None = None) -> str:
        """The reflective measurement model as lavaan syntax, one line a construct.

        A composite construct (formative elements) is no cause of its items: it is left out, and
        a comment in the syntax says so; use its score instead. Attention checks and the marker
        are left out of the survey's own model (``name=None``). A construct of one item is
        measured without error by that item.

        Raises
        ------
        InstrumentError : UnknownName, NothingReflective
        """
        constructs = [self.constructs[id] for id in self.construct_ids(name)]
        reflective = [construct for construct in constructs if not construct.composite]
        if not reflective:
            raise InstrumentError(
                f"'{name}' holds only composite constructs ({listed(c.id for c in constructs)}), whose elements form "
                "them; there is no reflective measurement model. Use their scores (responses.scores()).",
                code="NothingReflective",
            )
        wanted = self._wanted(name)
        lines = [
            f"# {construct.id}: composite of formative elements, left out"
            for construct in constructs
            if construct.composite
        ]
        for construct in reflective:
            lines += _measured(construct.id, [id for id in construct.items if wanted is None or id in wanted])
        return "\n".join(lines) + "\n"

    def _wanted(self, name: str | Iterable[str] | None) -> set[str] | None:
        """The items a defined score keeps; None where a construct keeps them all."""
        return set(self.scores[name].items) if isinstance(name, str) and name in self.scores else None

    def label(self, id: str, language: str = "en") -> str:
        """The words for a construct, item, background question, block or score in that language."""
        if id in self.constructs:
            return in_language(self.constructs[id].label, language)
        if id in self.items:
            return self.items[id].question(language)
        if id in self.background:
            return in_language(self.background[id].label, language)
        if id in self.scores:
            return in_language(self.scores[id].label, language) or id
        if id in self.blocks:
            return id
        if option := self.option(id):
            question, code = option
            return f"{in_language(question.label, language)}: {in_language(question.categories[code], language)}"
        raise self._unknown(id)

    def option(self, column: str) -> tuple[Background, str] | None:
        """The multiple question and the answer (its code) that a column `id__code` stands for; None for others."""
        id, _, code = column.partition("__")
        question = self.background.get(id)
        return (question, code) if question is not None and code and column in question.columns else None

    def form_items(self, form: str = "full", version: int | None = None) -> list[str]:
        """The items of a form; of a planned-missing form, those of one version (0, 1, …) or of all.

        An item without tags belongs to the full form, and the full form is every item.
        """
        if form == "full":
            return list(self.items)
        if form not in self.forms:
            raise InstrumentError(
                f"There is no form '{form}'; the survey has {listed(dict.fromkeys(['full', *self.forms]))}."
                f"{suggestion(form, ['full', *self.forms])}",
                code="UnknownForm",
            )
        design = self.forms[form]
        if not design.planned:
            return [id for id, item in self.items.items() if form in item.forms]
        parts = design.parts if version is None else (design.parts[version],)
        asked = {design.common, *(block for part in parts for block in part)}
        return [id for id, item in self.items.items() if item.block in asked or (item.block is None and not item.forms)]

    def place(self, id: str) -> Place | None:
        """Where an id is defined, for messages."""
        return self.places.get(id)

    def _unknown(self, name: str) -> InstrumentError:
        names = self.names()
        return InstrumentError(
            f"The survey '{self.id}' has no construct, item, block or score '{name}'.{suggestion(name, names)} "
            f"It has {listed([*self.blocks, *self.scores, *self.constructs], 40)}.",
            code="UnknownName",
        )


def _measured(latent: str, items: list[str]) -> list[str]:
    """lavaan lines for one construct; a single item is taken as the construct itself."""
    if len(items) == 1:
        return [f"{latent} =~ 1*{items[0]}", f"{items[0]} ~~ 0*{items[0]}"]
    return [f"{latent} =~ {' + '.join(items)}"] if items else []
