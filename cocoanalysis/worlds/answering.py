"""How the questionnaire is filled in: careless answers, attention checks, and missing ones with a reason."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cocoanalysis.errors import one_of
from cocoanalysis.instrument.model import Survey
from cocoanalysis.worlds.people import People, Respondents
from cocoanalysis.worlds.worldfile import WorldFile

Array = np.ndarray
REASONS = ("", "not_asked", "skipped", "refused", "cannot_judge", "not_reached")
STYLES = ("straight", "random", "late")


@dataclass(frozen=True)
class Answering:
    """Rates of careless and missing answers, ready to be applied to a draw."""

    careless: float
    styles: Array  # shares of STYLES
    attentive: float
    expected: Array  # place of the expected answer of attention checks, −1 for other items
    skipped: float
    refused: float
    broke_off: float
    cannot_judge: Array  # by item
    by: str | None
    times: Array  # by category of ``by``
    order: Array  # items in the order they are asked
    versions: Array  # asked or not: versions of the form × items

    def apply(self, rng: np.random.Generator, answers: Array, who: Respondents, points: Array) -> tuple[Array, Array]:
        """Overwrite careless rows and attention checks in ``answers``; return reasons and who was careless."""
        self._attend(rng, answers, points)
        careless = rng.random(len(answers)) < self.careless
        self._carelessly(rng, answers, np.flatnonzero(careless), points)
        return self._missing(rng, who, answers.shape), careless

    def _attend(self, rng: np.random.Generator, answers: Array, points: Array) -> None:
        for item in np.flatnonzero(self.expected >= 0):
            passes = rng.random(len(answers)) < self.attentive
            other = (self.expected[item] + rng.integers(1, points[item], len(answers))) % points[item]
            answers[:, item] = np.where(passes, self.expected[item], other)

    def _carelessly(self, rng: np.random.Generator, answers: Array, rows: Array, points: Array) -> None:
        styles = rng.choice(len(STYLES), size=len(rows), p=self.styles)
        for row, style in zip(rows, styles):
            if STYLES[style] == "random":
                answers[row] = rng.integers(0, points)
                continue
            start = 0 if STYLES[style] == "straight" else rng.integers(len(self.order) // 3, 2 * len(self.order) // 3)
            same = self.order[start:]
            answers[row, same] = np.minimum(rng.integers(0, points.max()), points[same] - 1)

    def _missing(self, rng: np.random.Generator, who: Respondents, shape: tuple[int, ...]) -> Array:
        n, p = shape
        rates = np.ones(n) if self.by is None else self.times[who.values[self.by]]
        u = rng.random(shape, dtype=np.float32)
        reasons = np.zeros(shape, dtype=np.int8)
        measured = self.expected < 0
        reasons[(u < self.skipped) & measured] = REASONS.index("skipped")
        u -= self.skipped
        reasons[(u >= 0) & (u < self.refused) & measured] = REASONS.index("refused")
        u -= self.refused
        judged = np.outer(rates, self.cannot_judge)
        reasons[(u >= 0) & (u < judged)] = REASONS.index("cannot_judge")
        for row in np.flatnonzero(rng.random(n) < self.broke_off):
            reasons[row, self.order[rng.integers(p // 4, p) :]] = REASONS.index("not_reached")
        if len(self.versions) > 1 or not self.versions.all():
            version = rng.integers(0, len(self.versions), n)
            reasons[~self.versions[version]] = REASONS.index("not_asked")
        return reasons


def answering(world: WorldFile, survey: Survey, who: People) -> Answering:
    """Compile how people answer."""
    entry = world.answering
    judge = entry.missing.cannot_judge
    items = list(survey.items.values())
    shares = np.array([getattr(entry.careless.styles, style) for style in STYLES], dtype=float)
    times = np.ones(1)
    if judge.by is not None:
        known = {question.id: question for question in who.questions}
        question = known[one_of(judge.by, known, "background question")]
        times = np.array([judge.times.get(category, 1.0) for category in question.categories])
    return Answering(
        careless=entry.careless.share,
        styles=shares / shares.sum() if shares.any() else np.full(len(STYLES), 1 / len(STYLES)),
        attentive=entry.attentive,
        expected=np.array([-1 if i.expected is None else list(i.scale.codes).index(i.expected) for i in items]),
        skipped=entry.missing.skipped,
        refused=entry.missing.refused,
        broke_off=entry.missing.broke_off,
        cannot_judge=np.array(
            [0.0 if i.expected is not None else judge.rate * judge.constructs.get(i.construct, 1.0) for i in items]
        ),
        by=judge.by,
        times=times,
        order=_order(survey),
        versions=_versions(world.design.form, survey),
    )


def _order(survey: Survey) -> Array:
    """Items in the order they are asked: as the survey's order names their constructs, then the rest."""
    asked = [id for name in survey.order if name in survey.constructs for id in survey.constructs[name].items]
    ids = list(survey.items)
    return np.array([ids.index(id) for id in dict.fromkeys([*asked, *ids])])


def _versions(form: str, survey: Survey) -> Array:
    """Which items each version of the form asks (a planned-missing form has several)."""
    design = survey.forms.get(form)
    numbers: list[int | None] = list(range(len(design.parts))) if design is not None and design.planned else [None]
    asked = [set(survey.form_items(form, number)) for number in numbers]
    return np.array([[id in items for id in survey.items] for items in asked])
