"""What may stand in the files: one class a kind of entry, strict, no unknown keys.

These classes are the file form (version 1). The JSON Schema that editors use is made from
them, and so is the list of allowed keys in a message. What the rest of the package works
with is `model`; `reading` turns the one into the other.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, StringConstraints, Tag

SCHEMA_VERSION = 1

Id = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]{0,18}$")]
Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]
Line = Annotated[str, StringConstraints(min_length=1, pattern=r"\S")]
Label = Annotated[
    dict[Language, Line],
    Field(
        min_length=1,
        description="Text by language, as {en: …, da: …}.",
        json_schema_extra={"additionalProperties": False},
    ),
]
Version = Annotated[str, StringConstraints(pattern=r"^\d+\.\d+(\.\d+)?([-+.][A-Za-z0-9.]+)?$")]
Status = Literal["draft", "reviewed", "back-translated"]
Reason = Literal[
    "not_asked", "skipped", "refused", "cannot_judge", "not_reached", "not_applicable", "does_not_know", "other"
]
Role = Literal[
    "practice", "asset", "alignment", "authorisation", "capacity", "triangle", "outcome", "driver", "barrier",
    "comparison", "marker", "attention", "predictor", "climate", "context", "control",
]  # fmt: skip
ChangeKind = Literal["typo", "wording", "translation", "scale", "added", "dropped"]
PlainCode = Annotated[str, StringConstraints(min_length=1, max_length=32, pattern=r"^[^\s{}<>|,;\"']+$")]


class Entry(BaseModel):
    """Base of every kind of entry: strict types, no unknown keys."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Addressed(Entry):
    """Words by form of address: raters of others, and leaders about themselves."""

    other: Label | None = None
    self_: Label | None = Field(None, alias="self")


def _address_or_plain(value: Any) -> str:
    if isinstance(value, dict):
        return "addressed" if {"self", "other"} & set(value) else "plain"
    return "addressed" if isinstance(value, Addressed) else "plain"


def _prose_kind(value: Any) -> str:
    return "label" if isinstance(value, dict) else "line"


def _form_kind(value: Any) -> str:
    known = set(FormEntry.model_fields)
    return "form" if isinstance(value, FormEntry) or not isinstance(value, dict) or known & set(value) else "label"


def _code_kind(value: Any) -> str:
    return "number" if isinstance(value, int) and not isinstance(value, bool) else "text"


Wording = Annotated[
    Annotated[Label, Tag("plain")] | Annotated[Addressed, Tag("addressed")], Discriminator(_address_or_plain)
]
Prose = Annotated[Annotated[Line, Tag("line")] | Annotated[Label, Tag("label")], Discriminator(_prose_kind)]
Code = Annotated[Annotated[int, Tag("number")] | Annotated[PlainCode, Tag("text")], Discriminator(_code_kind)]


class PointEntry(Entry):
    """One answer of a scale: its code and its words."""

    code: int
    label: Label


class MissingEntry(Entry):
    """An answer that says why there is none."""

    code: Code
    reason: Reason
    label: Label


class ScaleEntry(Entry):
    """A response scale: labelled points, or a range from ``minimum`` to ``maximum``."""

    title: Label | None = None
    points: list[PointEntry] = Field(default_factory=list)
    missing: list[MissingEntry] = Field(default_factory=list)
    minimum: int | None = None
    maximum: int | None = None


class ScoreRuleEntry(Entry):
    """How answers become a score: mean or sum of at least so many answered items."""

    rule: Literal["mean", "sum"] = "mean"
    min_items: int | None = Field(None, ge=1)
    rescale: Literal["none", "percent"] = "none"


class ItemEntry(Entry):
    """One question that is answered on a response scale."""

    id: Id
    text: Wording
    key: Literal["forward", "reverse"] = "forward"
    scale: str | None = None
    expected: int | None = None
    source: Prose | None = None
    status: dict[Language, Status] = Field(default_factory=dict)
    forms: list[str] = Field(default_factory=list)
    block: str | None = None
    overlap: list[str] = Field(default_factory=list)
    show_if: dict[str, list[Code]] = Field(default_factory=dict)
    note: Prose | None = None


class ConstructEntry(Entry):
    """What a set of items is to measure."""

    id: Id
    label: Label
    definition: Prose | None = None
    point: str | None = None
    proposition: str | None = None
    role: Role
    scale: str | None = None
    composite: bool = False
    stem: Wording | None = None
    score: ScoreRuleEntry = ScoreRuleEntry(min_items=None)
    source: Prose | None = None
    random_order: bool = False
    show_if: dict[str, list[Code]] = Field(default_factory=dict)
    note: Prose | None = None
    items: list[ItemEntry] = Field(min_length=1)


class CategoryEntry(Entry):
    """One answer to a background question."""

    code: Code
    label: Label


class BackgroundEntry(Entry):
    """A question about the respondent, the collaboration or the response itself."""

    id: Id
    label: Label
    question: Wording | None = None
    kind: Literal["categorical", "multiple", "numeric", "text", "identifier"]
    level: Literal["respondent", "collaboration", "response", "organisation"] = "respondent"
    categories: list[CategoryEntry] = Field(default_factory=list)
    missing: list[MissingEntry] = Field(default_factory=list)
    minimum: float | None = None
    maximum: float | None = None
    unit: Label | None = None
    personal: bool = False
    reference: Code | None = None
    asked: bool = True
    show_if: dict[str, list[Code]] = Field(default_factory=dict)
    source: Prose | None = None
    note: Prose | None = None


class TranslationEntry(Entry):
    """Who translated into this language, and how far it has been checked."""

    status: Status
    translator: Line | None = None
    note: Prose | None = None


class ChangeLogEntry(Entry):
    """One recorded change: what kind, since which version, of which ids, and why."""

    version: Version | None = None
    kind: ChangeKind
    ids: list[str] = Field(default_factory=list)
    note: Prose | None = None


class InstrumentFile(Entry):
    """An instrument: scales, constructs with their items, background questions."""

    schema_: int = Field(alias="schema")
    id: Id
    version: Version
    title: Label
    description: Prose | None = None
    licence: Prose | None = None
    source: Prose | None = None
    languages: list[Language] = Field(min_length=1)
    translations: dict[Language, TranslationEntry] = Field(default_factory=dict)
    changelog: list[ChangeLogEntry] = Field(default_factory=list)
    scales: dict[str, ScaleEntry] = Field(default_factory=dict)
    constructs: list[ConstructEntry] = Field(default_factory=list)
    background: list[BackgroundEntry] = Field(default_factory=list)
    note: Prose | None = None


class IdentifiersEntry(Entry):
    """The columns that tell who answered, about which collaboration, from which organisation."""

    respondent: str | None = None
    collaboration: str | None = None
    organisation: str | None = None
    cluster: str | None = None


class AddressEntry(Entry):
    """The background question that tells which form of address was shown, and its two answers."""

    column: str
    self_: Code = Field("self", alias="self")
    other: Code = "other"


class ScoreEntry(Entry):
    """A defined composite of constructs, blocks or items."""

    of: list[str] | str
    rule: Literal["mean_of_scores", "mean", "sum"] = "mean_of_scores"
    label: Label | None = None
    min_items: int | None = Field(None, ge=1)
    min_scores: int | None = Field(None, ge=1)
    without_overlap: bool = False
    note: Prose | None = None


class FormEntry(Entry):
    """A form: the items that carry its tag, or a planned-missing design of parts."""

    label: Label | None = None
    common: str | None = None
    parts: list[list[str]] = Field(default_factory=list)
    note: Prose | None = None


FormOrLabel = Annotated[Annotated[FormEntry, Tag("form")] | Annotated[Label, Tag("label")], Discriminator(_form_kind)]


class SampleEntry(Entry):
    """A file of answers that lies in the survey's folder, and where it comes from."""

    file: str
    provenance: Literal["synthetic", "public real", "yours"]
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = None
    code_map: dict[str, str] = Field(default_factory=dict)
    licence: Prose | None = None
    source: Prose | None = None
    note: Prose | None = None


class ChangeEntry(Entry):
    """One change that this survey makes to the survey it extends."""

    kind: ChangeKind
    id: str | None = None
    text: Wording | None = None
    label: Label | None = None
    stem: Wording | None = None
    question: Wording | None = None
    key: Literal["forward", "reverse"] | None = None
    scale: str | None = None
    score: ScoreRuleEntry | None = None
    item: ItemEntry | None = None
    to: str | None = None
    after: str | None = None
    note: Prose | None = None


class SurveyFile(Entry):
    """A survey: which instruments, in which order, as which forms."""

    schema_: int = Field(alias="schema")
    id: Id
    version: Version
    title: Label
    description: Prose | None = None
    licence: Prose | None = None
    source: Prose | None = None
    languages: list[Language] = Field(min_length=1)
    extends: str | None = None
    changes: list[ChangeEntry] = Field(default_factory=list)
    changelog: list[ChangeLogEntry] = Field(default_factory=list)
    instruments: list[str] = Field(default_factory=list)
    identifiers: IdentifiersEntry = IdentifiersEntry()
    address: AddressEntry | None = None
    blocks: dict[str, list[str]] = Field(default_factory=dict)
    scores: dict[str, ScoreEntry] = Field(default_factory=dict)
    forms: dict[str, FormOrLabel] = Field(default_factory=dict)
    order: list[str] = Field(default_factory=list)
    consent: Label | None = None
    introduction: Label | None = None
    thanks: Label | None = None
    samples: list[SampleEntry] = Field(default_factory=list)
    note: Prose | None = None
