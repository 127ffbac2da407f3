"""A population as arrays, and draws from it: fast, without a data frame in sight.

`compiled` turns a world and its survey into a `Population` once; `Population.draw` gives the
answers of one study as small integers. `world.simulate` puts names on them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cocoanalysis.errors import ModelError, listed, suggestion
from cocoanalysis.instrument.model import Survey
from cocoanalysis.worlds.answering import REASONS, Answering, answering
from cocoanalysis.worlds.people import People, Respondents, people
from cocoanalysis.worlds.structure import Structure, structure
from cocoanalysis.worlds.worldfile import InfluenceEntry, MeasurementEntry, NoninvarianceEntry, WorldFile

Array = np.ndarray
__all__ = ["REASONS", "Draw", "Population", "compiled"]


@dataclass(frozen=True)
class Measurement:
    """Items × latent variables: keyed loadings, what else is in an answer, and where it is cut."""

    loadings: Array  # items × latents
    method: Array  # loading on the method factor, by item
    acquiescence: Array  # loading on saying yes, with the sign of the key
    errors: Array  # factor of the covariance of the unique parts
    locations: Array
    cuts: Array  # items × the largest number of cuts, padded with infinity
    points: Array  # number of answers, by item
    reversed: Array  # reverse-keyed, by item


@dataclass(frozen=True)
class Draw:
    """One study as arrays.

    ``answers`` (rows × items) are positions on the scale from 0, raw (not keyed); ``reasons``
    (same shape) are 0 for an answer, else a place in ``REASONS``; ``latents`` are the true values.
    """

    respondents: Respondents
    answers: Array
    reasons: Array
    latents: Array
    careless: Array


@dataclass(frozen=True)
class Population:
    """A world ready to be drawn from."""

    items: tuple[str, ...]
    latents: tuple[str, ...]
    within: Structure
    between: Structure
    icc: Array
    people: People
    influences: tuple[tuple[str, int | None, Array, float], ...]
    measurement: Measurement
    differing: tuple[tuple[str, int, Array, Array, Array], ...]
    answering: Answering

    def draw(self, rng: np.random.Generator, clusters: int, n: int) -> Draw:
        """Answers of ``n`` rows from ``clusters`` collaborations."""
        who = self.people.draw(rng, clusters, n)
        eta = self._latents(rng, who)
        answers = self._answers(rng, eta, who)
        reasons, careless = self.answering.apply(rng, answers, who, self.measurement.points)
        return Draw(who, answers, reasons, eta, careless)

    def keyed(self, draw: Draw) -> Array:
        """Answers as numbers from 0, high when the construct is high, NaN where missing."""
        m = self.measurement
        values = np.where(m.reversed, m.points - 1 - draw.answers, draw.answers).astype(float)
        values[draw.reasons > 0] = np.nan
        return values

    def _latents(self, rng: np.random.Generator, who: Respondents) -> Array:
        z = rng.standard_normal((who.n, len(self.latents)))
        if len(who.again):
            keep = self.people.carried
            z[who.again] = keep * z[who.first] + np.sqrt(1 - keep**2) * z[who.again]
        shared = self.between.draw(rng.standard_normal((who.clusters, len(self.latents))))
        eta = self.within.draw(z) * np.sqrt(1 - self.icc) + (shared * np.sqrt(self.icc))[who.cluster]
        for variable, category, members, size in self.influences:
            values = who.values[variable]
            shift = values == category if category is not None else self.people.standardised(variable, values)
            eta[:, members] += size * np.asarray(shift, dtype=float)[:, None]
        return eta

    def _answers(self, rng: np.random.Generator, eta: Array, who: Respondents) -> Array:
        m = self.measurement
        own = rng.standard_normal((who.n, 2))  # method, acquiescence
        if len(who.again):
            own[who.again] = own[who.first]
        y = eta @ m.loadings.T
        y += rng.standard_normal(y.shape) @ m.errors.T
        y += np.outer(own[:, 0], m.method) + np.outer(own[:, 1], m.acquiescence) + m.locations
        for variable, category, items, loadings, locations in self.differing:
            rows = np.flatnonzero(who.values[variable] == category)
            y[np.ix_(rows, items)] += eta[rows] @ loadings.T + locations
        answers = np.zeros(y.shape, dtype=np.int8)
        for k in range(m.cuts.shape[1]):
            answers += y > m.cuts[:, k]
        return np.where(m.reversed, (m.points - 1 - answers).astype(np.int8), answers)


def compiled(world: WorldFile, survey: Survey) -> Population:
    """Compile a world for its survey.

    Raises
    ------
    ModelError : UnknownLatent, UnmeasuredConstruct, UnknownItem, NegativeUniqueness, UnknownScale, …
    """
    latents = _latent_names(world, survey)
    within = structure(world.within, latents, "within")
    between = structure(_between(world), latents, "between")
    items = tuple(survey.items)
    icc = np.array([world.icc.constructs.get(name, world.icc.default) for name in latents])
    who = people(world, survey)
    measurement = _measurement(world.measurement, survey, latents, within, between, icc)
    return Population(
        items=items,
        latents=latents,
        within=within,
        between=between,
        icc=icc,
        people=who,
        influences=tuple(_influence(entry, latents, who) for entry in world.influences),
        measurement=measurement,
        differing=tuple(_differing(entry, survey, latents, who) for entry in world.noninvariance),
        answering=answering(world, survey, who),
    )


def _between(world: WorldFile) -> Any:
    """What the between level does not name is as within."""
    steps = world.between.steps or world.within.steps
    return world.between.model_copy(update={"steps": steps, "paths": {**world.within.paths, **world.between.paths}})


def _latent_names(world: WorldFile, survey: Survey) -> tuple[str, ...]:
    names = [name for step in world.within.steps for name in step.latents]
    measured = [id for id, construct in survey.constructs.items() if construct.role != "attention"]
    for name in names:
        if name not in measured and name not in world.unmeasured:
            raise ModelError(
                f"World '{world.id}' has a latent variable '{name}' that is no construct of the survey '{survey.id}'."
                f"{suggestion(name, measured)} List it under 'unmeasured' when nobody is asked about it.",
                code="UnknownLatent",
            )
    absent = [name for name in measured if name not in names]
    if absent:
        raise ModelError(
            f"World '{world.id}' says nothing of {listed(absent)}, which the survey '{survey.id}' measures; "
            "put each into a step of 'within'.",
            code="UnmeasuredConstruct",
        )
    return tuple(names)


def _influence(entry: InfluenceEntry, latents: Sequence[str], who: People) -> tuple[str, int | None, Array, float]:
    category = None if entry.category is None else who.category(entry.of, entry.category)
    if entry.category is None:
        who.category(entry.of, None)
    return entry.of, category, _places(entry.latents, latents, "latent variable"), entry.size


def _differing(
    entry: NoninvarianceEntry, survey: Survey, latents: Sequence[str], who: People
) -> tuple[str, int, Array, Array, Array]:
    places = _places(list(entry.items), list(survey.items), "item")
    loadings = np.zeros((len(places), len(latents)))
    for row, (id, change) in enumerate(entry.items.items()):
        loadings[row, latents.index(survey.items[id].construct)] = change.loading
    locations = np.array([change.location for change in entry.items.values()])
    return entry.of, who.category(entry.of, entry.category), places, loadings, locations


def _places(names: Sequence[str], among: Sequence[str], what: str) -> Array:
    for name in names:
        if name not in among:
            raise ModelError(
                f"The world names the {what} '{name}', which there is not.{suggestion(name, among)}",
                code="UnknownItem" if what == "item" else "UnknownLatent",
            )
    return np.array([list(among).index(name) for name in names])


def _measurement(
    entry: MeasurementEntry, survey: Survey, latents: tuple[str, ...], within: Structure, between: Structure, icc: Array
) -> Measurement:
    items = list(survey.items.values())
    place = {item.id: i for i, item in enumerate(items)}
    _places([*entry.items, *entry.cross, *(id for pair in entry.twins.pairs for id in pair)], list(place), "item")
    method, acquiescence = _method(entry, survey)
    loadings = np.zeros((len(items), len(latents)))
    uniqueness = np.diag(1 - method**2 - acquiescence**2)
    for construct in survey.constructs.values():
        if construct.role == "attention":
            continue
        rows = [place[id] for id in construct.items]
        column = latents.index(construct.id)
        if construct.composite:
            loadings[rows, column], block = _parts(entry.parts, np.diag(uniqueness)[rows])
            uniqueness[np.ix_(rows, rows)] = block
        else:
            loadings[rows, column] = [_loading(entry, id, k) for k, id in enumerate(construct.items)]
            uniqueness[rows, rows] -= loadings[rows, column] ** 2
    sigma = icc_mix(within.correlations, between.correlations, icc)
    for id, others in entry.cross.items():
        _cross(id, others, latents, place, loadings, uniqueness, sigma)
    covariance = _errors(entry, uniqueness, place, items)
    cuts, points = _cuts(entry, items)
    return Measurement(
        loadings=loadings,
        method=method,
        acquiescence=acquiescence,
        errors=_factor(covariance),
        locations=_locations(entry, survey),
        cuts=cuts,
        points=points,
        reversed=np.array([item.key < 0 for item in items]),
    )


def icc_mix(within: Array, between: Array, icc: Array) -> Array:
    """Correlations of the latent variables over both levels."""
    return within * np.sqrt(np.outer(1 - icc, 1 - icc)) + between * np.sqrt(np.outer(icc, icc))


def _method(entry: MeasurementEntry, survey: Survey) -> tuple[Array, Array]:
    """Loadings on the method factor (in the construct's direction) and on saying yes (in the item's)."""
    shares = [entry.method.shares.get(item.construct, entry.method.share) for item in survey.items.values()]
    signs = [-1.0 if item.construct in entry.method.against else 1.0 for item in survey.items.values()]
    keys = np.array([item.key for item in survey.items.values()])
    return np.sqrt(shares) * signs, np.sqrt(entry.acquiescence) * keys


def _loading(entry: MeasurementEntry, id: str, k: int) -> float:
    own = entry.items[id].loading if id in entry.items else None
    return entry.loadings[k % len(entry.loadings)] if own is None else own


def _parts(r: float, variances: Array) -> tuple[Array, Array]:
    """A composite of k parts that correlate r: loadings of the parts, covariance of what is left of them.

    The composite is the standardised sum; the parts relate to everything else through it alone.
    """
    k = len(variances)
    loading = np.sqrt((1 + (k - 1) * r) / k)
    rest = (1 - r) * (np.eye(k) - 1 / k)
    return loading * np.sqrt(variances), rest * np.sqrt(np.outer(variances, variances))


def _cross(
    id: str,
    others: dict[str, float],
    latents: Sequence[str],
    place: dict[str, int],
    loadings: Array,
    uniqueness: Array,
    sigma: Array,
) -> None:
    """Add small loadings on other constructs, taken out of the item's unique part."""
    row = place[id]
    before = loadings[row] @ sigma @ loadings[row]
    for name, size in others.items():
        loadings[row, _places([name], latents, "latent variable")[0]] += size
    uniqueness[row, row] -= loadings[row] @ sigma @ loadings[row] - before


def _errors(entry: MeasurementEntry, uniqueness: Array, place: dict[str, int], items: Sequence[Any]) -> Array:
    """Covariance of the unique parts: minor factors and twins on top of the diagonal."""
    own = np.diag(uniqueness)
    if (own < 0.01).any():
        worst = items[int(np.argmin(own))].id
        raise ModelError(
            f"Nothing unique is left of item '{worst}': its loadings and method variance explain all of it. "
            "Make its loading smaller.",
            code="NegativeUniqueness",
        )
    measured = np.array([item.role != "attention" for item in items]) * 1.0
    minor = _minor(entry, len(own)) * np.sqrt(own)[:, None] * np.sqrt(entry.minor.share) * measured[:, None]
    covariance = minor @ minor.T + uniqueness * (1 - entry.minor.share * np.outer(measured, measured))
    for first, second in entry.twins.pairs:
        i, j = place[first], place[second]
        shared = entry.twins.correlation * np.sqrt(own[i] * own[j])
        covariance[i, j] += shared
        covariance[j, i] += shared
    return covariance


def _minor(entry: MeasurementEntry, p: int) -> Array:
    """Loadings of the minor factors, each row of length 1, later factors weaker (Tucker et al., 1969)."""
    rng = np.random.default_rng(entry.minor.seed)
    raw = rng.standard_normal((p, entry.minor.factors)) * (1 - entry.minor.decay) ** np.arange(entry.minor.factors)
    return raw / np.linalg.norm(raw, axis=1, keepdims=True)


def _factor(covariance: Array) -> Array:
    """A square root that also serves singular matrices (a composite leaves its parts no free direction)."""
    values, vectors = np.linalg.eigh(covariance)
    if values[0] < -1e-8:
        raise ModelError(
            "The unique parts of the items have impossible correlations; make 'twins' or 'minor' smaller.",
            code="NotACorrelation",
        )
    return (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T


def _locations(entry: MeasurementEntry, survey: Survey) -> Array:
    pattern = entry.locations.pattern
    places = {id: k for construct in survey.constructs.values() for k, id in enumerate(construct.items)}
    values = []
    for item in survey.items.values():
        own = entry.items[item.id].location if item.id in entry.items else None
        usual = pattern[places[item.id] % len(pattern)] + entry.locations.constructs.get(item.construct, 0.0)
        values.append(usual if own is None else own)
    return np.array(values)


def _cuts(entry: MeasurementEntry, items: Sequence[Any]) -> tuple[Array, Array]:
    points = np.array([len(item.scale.points) for item in items], dtype=np.int8)
    cuts = np.full((len(items), int(points.max()) - 1), np.inf)
    for i, item in enumerate(items):
        wanted = entry.cuts.get(item.scale.id)
        if wanted is None or len(wanted) != points[i] - 1 or (np.diff(wanted) <= 0).any():
            raise ModelError(
                f"'measurement.cuts' must give the scale '{item.scale.id}' of item '{item.id}' {points[i] - 1} "
                "increasing numbers, one less than it has answers.",
                code="UnknownScale",
            )
        cuts[i, : len(wanted)] = wanted
    return cuts, points
