"""What may stand in a world file: one class a kind of entry, strict, no unknown keys.

A world may name a `base` and say only what differs: mappings are merged, lists and values
replaced, and what `clear` names is emptied first.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from cocoanalysis.instrument.fileform import Entry, Id, Line

Share = Annotated[float, Field(ge=0, le=1)]
Correlation = Annotated[float, Field(gt=-1, lt=1)]
Positive = Annotated[float, Field(gt=0)]
Truth = Literal["supported", "negligible", "contradicted", "not testable"]


class DesignEntry(Entry):
    """How many collaborations with how many raters, and how unequal they are."""

    clusters: int = Field(60, ge=2)
    raters: Positive = 15
    smallest: int = Field(2, ge=1)
    evenness: Positive = 8
    several: Share = 0
    carried: Share = 0
    form: str = "full"


class BackgroundDraw(Entry):
    """How a background question is answered: shares of its categories, or mean and spread of a number."""

    shares: dict[str, float | dict[str, float]] = Field(default_factory=dict)
    given: str | None = None
    mean: float | None = None
    sd: Positive | None = None
    minimum: float | None = None
    maximum: float | None = None


class IccEntry(Entry):
    """The share of a latent variable's variance that lies between collaborations."""

    default: Share = 0
    constructs: dict[str, Share] = Field(default_factory=dict)


class StepEntry(Entry):
    """Latent variables that come about together: what they share beyond their common causes."""

    latents: list[str] = Field(min_length=1)
    correlation: Correlation = 0
    pairs: list[list[str | float]] = Field(default_factory=list)


class LevelEntry(Entry):
    """Steps in causal order, and standardised paths outcome → predictor (or product a*b) → size."""

    steps: list[StepEntry] = Field(default_factory=list)
    paths: dict[str, dict[str, float]] = Field(default_factory=dict)


class InfluenceEntry(Entry):
    """A shift of latent variables by a category of a background question, or by one SD of a numeric one."""

    of: str
    category: str | None = None
    latents: list[str] = Field(min_length=1)
    size: float


class ItemEntry(Entry):
    """What one item has of its own: its loading, and how readily it is answered high."""

    loading: Share | None = None
    location: float | None = None


class TwinsEntry(Entry):
    """Pairs of items whose own parts correlate."""

    correlation: Correlation = 0
    pairs: list[list[str]] = Field(default_factory=list)


class MinorEntry(Entry):
    """Model error as many minor factors (Tucker, Koopman & Linn, 1969): their share of the uniqueness."""

    share: Share = 0
    factors: int = Field(40, ge=1)
    decay: Share = 0.1
    seed: int = 0


class MethodEntry(Entry):
    """One method factor: its share of an item's variance, by construct; `against` the key for some."""

    share: Share = 0
    shares: dict[str, Share] = Field(default_factory=dict)
    against: list[str] = Field(default_factory=list)


class LocationsEntry(Entry):
    """What is added to answers before they are cut: a pattern over items, a shift by construct."""

    pattern: list[float] = Field(default_factory=lambda: [0.0], min_length=1)
    constructs: dict[str, float] = Field(default_factory=dict)


class MeasurementEntry(Entry):
    """From latent variables to answers on the scale."""

    loadings: list[Share] = Field(min_length=1)
    parts: Correlation = 0.3
    items: dict[str, ItemEntry] = Field(default_factory=dict)
    cross: dict[str, dict[str, float]] = Field(default_factory=dict)
    twins: TwinsEntry = Field(default_factory=TwinsEntry)
    minor: MinorEntry = Field(default_factory=lambda: MinorEntry(factors=40))
    method: MethodEntry = Field(default_factory=MethodEntry)
    acquiescence: Share = 0
    cuts: dict[str, list[float]]
    locations: LocationsEntry = Field(default_factory=LocationsEntry)


class NoninvarianceEntry(Entry):
    """Changes of loading and location for those in one category of a background question."""

    of: str
    category: str
    items: dict[str, NonitemEntry]


class NonitemEntry(Entry):
    """By how much an item's loading and location differ in that group."""

    loading: float = 0
    location: float = 0


class StylesEntry(Entry):
    """How many of the careless answer how: one answer for all, at random, or careful at first."""

    straight: Share = 0
    random: Share = 0
    late: Share = 0


class CarelessEntry(Entry):
    """The share of rows answered without reading, and in which styles."""

    share: Share = 0
    styles: StylesEntry = Field(default_factory=lambda: StylesEntry())


class CannotJudgeEntry(Entry):
    """'Cannot judge': its rate, times a factor by a background category and by construct."""

    rate: Share = 0
    by: str | None = None
    times: dict[str, float] = Field(default_factory=dict)
    constructs: dict[str, float] = Field(default_factory=dict)


class MissingEntry(Entry):
    """How often an answer is missing, by reason."""

    skipped: Share = 0
    refused: Share = 0
    broke_off: Share = 0
    cannot_judge: CannotJudgeEntry = Field(default_factory=CannotJudgeEntry)
    background: dict[str, Share] = Field(default_factory=dict)


class AnsweringEntry(Entry):
    """How people fill in the questionnaire."""

    careless: CarelessEntry = Field(default_factory=CarelessEntry)
    attentive: Share = 1
    missing: MissingEntry = Field(default_factory=MissingEntry)


class WorldFile(Entry):
    """A population model: who is asked, how things hang together, how they are measured and answered."""

    schema_: int = Field(alias="schema")
    id: Id
    base: str | None = None
    clear: list[str] = Field(default_factory=list)
    survey: str
    title: Line
    design: DesignEntry = Field(default_factory=lambda: DesignEntry(clusters=60, smallest=2))
    background: dict[str, BackgroundDraw] = Field(default_factory=dict)
    unmeasured: list[str] = Field(default_factory=list)
    icc: IccEntry = Field(default_factory=IccEntry)
    within: LevelEntry
    between: LevelEntry = Field(default_factory=LevelEntry)
    influences: list[InfluenceEntry] = Field(default_factory=list)
    measurement: MeasurementEntry
    noninvariance: list[NoninvarianceEntry] = Field(default_factory=list)
    answering: AnsweringEntry = Field(default_factory=AnsweringEntry)
    truth: dict[str, Truth | dict[str, Truth]] = Field(default_factory=dict)
