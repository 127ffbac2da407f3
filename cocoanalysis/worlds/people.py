"""Who answers: collaborations of unequal size, their members, and what is known of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from cocoanalysis.errors import ModelError, listed, suggestion
from cocoanalysis.instrument.model import Survey
from cocoanalysis.worlds.worldfile import BackgroundDraw, WorldFile

Array = np.ndarray
ORGANISATIONS = 6  # at most so many in one collaboration


@dataclass(frozen=True)
class Respondents:
    """Rows of a study: the collaboration and person of each, and background as numbers or places of categories.

    ``again`` are rows of a person who is also in the row at the same place of ``first``;
    ``unknown`` says where a background question was left without an answer.
    """

    clusters: int
    cluster: Array
    person: Array
    organisation: Array
    first: Array
    again: Array
    values: dict[str, Array]
    unknown: dict[str, Array]

    @property
    def n(self) -> int:
        return len(self.cluster)


@dataclass(frozen=True)
class Question:
    """How one background question is answered, ready to be drawn."""

    id: str
    level: str
    categories: tuple[str, ...]
    shares: Array  # one row, or one for each category of ``given``; cumulated
    given: str | None
    mean: float
    sd: float
    minimum: float
    maximum: float

    def draw(self, rng: np.random.Generator, n: int, earlier: Mapping[str, Array]) -> Array:
        if not self.categories:
            shape = (self.mean / self.sd) ** 2
            return np.clip(np.rint(rng.gamma(shape, self.sd**2 / self.mean, n)), self.minimum, self.maximum)
        shares = self.shares[earlier[self.given]] if self.given else self.shares
        places = (rng.random((n, 1)) > shares).sum(axis=1)
        return places.astype(np.int16)


@dataclass(frozen=True)
class People:
    """How the people of a study come together."""

    smallest: int
    evenness: float
    several: float
    carried: float
    questions: tuple[Question, ...]
    missing: Mapping[str, float] = field(default_factory=dict)

    def draw(self, rng: np.random.Generator, clusters: int, n: int) -> Respondents:
        cluster = np.repeat(np.arange(clusters), self.sizes(rng, clusters, n))
        organisation = cluster * ORGANISATIONS + rng.integers(0, ORGANISATIONS, n)
        first, again = self._pairs(rng, cluster)
        person = np.arange(n)
        person[again] = first
        organisation[again] = organisation[first]
        values: dict[str, Array] = {}
        for question in self.questions:
            if question.level == "collaboration":
                drawn = question.draw(rng, clusters, {})[cluster]
            else:
                drawn = question.draw(rng, n, values)
                if question.level == "respondent":
                    drawn[again] = drawn[first]
            values[question.id] = drawn
        unknown = {id: rng.random(n) < rate for id, rate in self.missing.items()}
        return Respondents(clusters, cluster, person, organisation, first, again, values, unknown)

    def sizes(self, rng: np.random.Generator, clusters: int, n: int) -> Array:
        """Unequal sizes of at least ``smallest`` (or as near as ``n`` allows) that add up to ``n``."""
        least = min(self.smallest, n // clusters)
        weights = rng.gamma(self.evenness, 1, clusters)
        return least + rng.multinomial(n - least * clusters, weights / weights.sum())

    def _pairs(self, rng: np.random.Generator, cluster: Array) -> tuple[Array, Array]:
        k = round(self.several * len(cluster))
        order = rng.permutation(len(cluster))[: 2 * k]
        first, again = order[:k], order[k:]
        apart = cluster[first] != cluster[again]
        return first[apart], again[apart]

    def category(self, id: str, category: str | None) -> int:
        """The place of a category of a background question; None asks that the question is numeric."""
        question = next((q for q in self.questions if q.id == id), None)
        if question is None:
            known = [q.id for q in self.questions]
            raise ModelError(
                f"The world names the background question '{id}', but does not say how it is answered; it does for "
                f"{listed(known, 30)}.{suggestion(id, known)}",
                code="UnknownBackground",
            )
        if category is None and not question.categories:
            return 0
        if category in question.categories:
            return question.categories.index(category)
        raise ModelError(
            f"'{category}' is no category of '{id}' in this world; it has {listed(question.categories)}.",
            code="UnknownBackground",
        )

    def standardised(self, id: str, values: Array) -> Array:
        question = next(q for q in self.questions if q.id == id)
        return (values - question.mean) / question.sd


def people(world: WorldFile, survey: Survey) -> People:
    """Compile who is asked.

    Raises
    ------
    ModelError : UnknownBackground, BadShares
    """
    design = world.design
    questions: list[Question] = []
    for id, entry in world.background.items():
        questions.append(_question(id, entry, survey, questions))
    missing = world.answering.missing.background
    for id in missing:
        if id not in world.background:
            raise ModelError(
                f"'{id}' has missing answers in the world, but no answers.{suggestion(id, world.background)}",
                code="UnknownBackground",
            )
    return People(
        smallest=design.smallest,
        evenness=design.evenness,
        several=design.several,
        carried=design.carried,
        questions=tuple(questions),
        missing=missing,
    )


def _question(id: str, entry: BackgroundDraw, survey: Survey, earlier: list[Question]) -> Question:
    if id not in survey.background:
        raise ModelError(
            f"The world answers the background question '{id}', which the survey '{survey.id}' does not ask."
            f"{suggestion(id, survey.background)}",
            code="UnknownBackground",
        )
    level = survey.background[id].level
    if not entry.shares:
        if entry.mean is None or entry.sd is None or entry.mean <= 0:
            raise ModelError(
                f"The world gives '{id}' neither 'shares' nor a positive 'mean' with an 'sd'.", code="BadShares"
            )
        low = 0.0 if entry.minimum is None else entry.minimum
        high = np.inf if entry.maximum is None else entry.maximum
        return Question(id, level, (), np.empty(0), None, entry.mean, entry.sd, low, high)
    if entry.given is None:
        categories = tuple(entry.shares)
        table = [_numbers(id, entry.shares, categories)]
    else:
        categories, table = _conditional(id, entry, earlier)
    _check_categories(id, categories, survey)
    cumulated = np.cumsum(np.array(table), axis=1)[:, :-1]
    return Question(id, level, categories, cumulated, entry.given, 0, 1, 0, 0)


def _conditional(id: str, entry: BackgroundDraw, earlier: list[Question]) -> tuple[tuple[str, ...], list[list[float]]]:
    before = next((q for q in earlier if q.id == entry.given), None)
    if before is None or set(before.categories) != set(entry.shares):
        wanted = f"one row for each of {listed(before.categories)}" if before else "an earlier question"
        raise ModelError(f"'{id}' is given '{entry.given}', which must be {wanted}.", code="BadShares")
    rows = {name: row for name, row in entry.shares.items() if isinstance(row, dict)}
    categories = tuple(dict.fromkeys(category for row in rows.values() for category in row))
    return categories, [_numbers(id, rows.get(name, {}), categories) for name in before.categories]


def _numbers(id: str, shares: Mapping[str, object], categories: tuple[str, ...]) -> list[float]:
    values = [shares.get(category, 0.0) for category in categories]
    numbers = [float(value) for value in values if isinstance(value, (int, float))]
    if len(numbers) != len(values) or min(numbers, default=-1) < 0 or abs(sum(numbers) - 1) > 1e-9:
        raise ModelError(
            f"The shares of '{id}' must be numbers from 0 that add up to 1; these add up to {sum(numbers):g}.",
            code="BadShares",
        )
    return numbers


def _check_categories(id: str, categories: tuple[str, ...], survey: Survey) -> None:
    allowed = survey.background[id].categories
    unknown = [category for category in categories if allowed and category not in allowed]
    if unknown:
        raise ModelError(
            f"'{unknown[0]}' is no category of '{id}' in the survey '{survey.id}'; allowed are {listed(allowed)}."
            f"{suggestion(unknown[0], allowed)}",
            code="UnknownBackground",
        )
