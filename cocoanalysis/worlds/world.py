"""A world: what the answers would be if things hung together just so.

`read_world` reads the population model from its file, `simulate` draws a study from it. A world
that names a `base` says only what differs from it. Same world, same seed, same answers.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cocoanalysis.arguments import file_path, is_number, seed_number
from cocoanalysis.errors import ModelError, listed, suggestion
from cocoanalysis.instrument.findings import fault, refuse, shown
from cocoanalysis.instrument.model import Background, Survey
from cocoanalysis.instrument.reading import bundled, read_survey
from cocoanalysis.instrument.validation import fitted
from cocoanalysis.instrument.yamlfile import Node, Source, read_yaml
from cocoanalysis.responses.ledger import entry
from cocoanalysis.responses.responses import Responses, reason_dtype
from cocoanalysis.worlds.people import Respondents
from cocoanalysis.worlds.population import REASONS, Draw, Population, compiled, icc_mix
from cocoanalysis.worlds.worldfile import WorldFile

WORLD_FILE = "world.yaml"
WORLDS = "worlds"
DEEPEST = 5  # bases of bases


@dataclass(frozen=True)
class World:
    """A population model together with the survey it answers.

    Attributes
    ----------
    file : the model as it stands in the file (`worldfile.WorldFile`)
    survey : the survey whose items are answered
    path : where it was read
    """

    file: WorldFile
    survey: Survey
    path: Path

    @property
    def id(self) -> str:
        return self.file.id

    @property
    def title(self) -> str:
        return self.file.title

    @functools.cached_property
    def population(self) -> Population:
        """The world as arrays; compiled once."""
        return compiled(self.file, self.survey)

    def correlations(self) -> pd.DataFrame:
        """True correlations of the latent variables, over both levels."""
        p = self.population
        names = list(p.latents)
        return pd.DataFrame(icc_mix(p.within.correlations, p.between.correlations, p.icc), names, names)

    def truth(self, hypothesis: str, outcome: str, predictor: str) -> str | None:
        """The verdict that is right for a row of a plan in this world; None where the file says nothing."""
        planted = self.file.truth.get(hypothesis, self.file.truth.get("any"))
        if isinstance(planted, dict):
            return planted.get(outcome, planted.get(predictor))
        return planted

    def draw(self, n: int | None = None, seed: Any = 0, clusters: int | None = None) -> Draw:
        """One study as arrays (no data frame), for runs that need many.

        Parameters
        ----------
        n : rows; by default the design's collaborations times its raters
        seed : whole number, `numpy.random.SeedSequence` or Generator
        clusters : collaborations; by default as many as give the design's raters on average
        """
        n, clusters = self._sizes(n, clusters)
        if not isinstance(seed, np.random.SeedSequence | np.random.Generator):
            seed_number(seed)
        return self.population.draw(np.random.default_rng(seed), clusters, n)

    def _sizes(self, n: int | None, clusters: int | None) -> tuple[int, int]:
        design = self.file.design
        if n is not None and (not is_number(n) or n != int(n)):
            raise ModelError(f"The number of rows is a whole number; n = {n} came.", code="TooFewRows")
        if n is None:
            n = round((clusters or design.clusters) * design.raters)
        if clusters is None:
            clusters = design.clusters if n == round(design.clusters * design.raters) else round(n / design.raters)
        clusters = min(max(clusters, 1), n)
        if n < 1:
            raise ModelError(f"A study needs at least one row; n = {n} came.", code="TooFewRows")
        return n, clusters


def read_world(path: str | Path) -> World:
    """Read a population model.

    Parameters
    ----------
    path : a world file, a survey's folder (then its world.yaml), or the name of a bundled survey

    Raises
    ------
    ModelError : what the file gets wrong, as file:line:column
    InstrumentError : when its survey cannot be read
    """
    path = located(path)
    source, home = _merged(path, DEEPEST)
    file = fitted(source, WorldFile, error=ModelError)
    return World(file, read_survey(home / file.survey), path)


def located(path: str | Path, world: str | None = None) -> Path:
    """The file of a world: of a path, of a survey's folder or bundled name, or one of its further worlds by name.

    Raises
    ------
    ModelError : NoSuchFile, with the worlds that the survey has
    InstrumentError : UnknownSurvey
    """
    path = file_path(path, "A world")
    if not path.exists() and len(path.parts) == 1 and not path.suffix:
        path = bundled(str(path))
    folder = path if path.is_dir() else path.parent
    if world is not None:
        names = sorted(file.stem for file in (folder / WORLDS).glob("*.yaml"))
        path = folder / WORLDS / f"{world}.yaml"
        if world not in names:
            raise ModelError(
                f"The survey has no world '{world}'; it has {listed(names)}.{suggestion(world, names)}",
                code="NoSuchFile",
            )
    path = path / WORLD_FILE if path.is_dir() else path
    if not path.is_file():
        raise ModelError(
            f"There is no population model '{shown(path)}'. A survey that is to be simulated needs a world.yaml in its "
            "folder; the one of the bundled survey cocreation shows how it is written.",
            code="NoSuchFile",
        )
    return path


def simulate(
    world: World | str | Path, n: int | None = None, seed: int = 0, *, clusters: int | None = None
) -> Responses:
    """Draw one study from a world: synthetic answers, labelled so wherever they go.

    Parameters
    ----------
    world : a `World`, or the path of its file
    n : rows (respondent × collaboration); by default the design's collaborations times its raters
    seed : the same seed gives the same answers
    clusters : number of collaborations; by default as many as give the design's raters on average

    Returns
    -------
    Responses with ``provenance`` 'synthetic'

    Examples
    --------
    >>> responses = simulate("surveys/cocreation/world.yaml", n=300, seed=1)
    >>> responses.provenance
    'synthetic'
    """
    world = world if isinstance(world, World) else read_world(world)
    drawn = named(world, world.draw(n, seed, clusters))
    words = f"drawn from world '{world.id}' with seed {seed}"
    return replace(drawn, entries=(entry("read", words, len(drawn), rows=len(drawn), cells=drawn.answers.size),))


def named(world: World, draw: Draw) -> Responses:
    """The arrays of a draw as Responses."""
    columns = _people(world, draw.respondents)
    reasons = {name: np.zeros(draw.respondents.n, dtype=np.int8) for name in columns}
    for id, unknown in draw.respondents.unknown.items():
        reasons[id] = np.where(unknown, np.int8(_why(world.survey.background[id])), np.int8(0))
    for k, item in enumerate(world.survey.items.values()):
        codes = np.array(item.scale.codes, dtype=np.int64)
        columns[item.id] = pd.arrays.IntegerArray(codes[draw.answers[:, k]], draw.reasons[:, k] > 0)
        reasons[item.id] = draw.reasons[:, k]
    kinds = reason_dtype()
    places = np.array([-1, *(kinds.categories.get_loc(word) for word in REASONS[1:])], dtype=np.int8)
    told = {name: pd.Categorical.from_codes(places[values], dtype=kinds) for name, values in reasons.items()}
    return Responses(world.survey, pd.DataFrame(columns), pd.DataFrame(told), provenance="synthetic")


def _why(question: Background) -> int:
    return REASONS.index("refused" if "refused" in question.reasons().values() else "skipped")


def _people(world: World, who: Respondents) -> dict[str, Any]:
    """Identifiers and background, column by column."""
    survey = world.survey
    columns: dict[str, Any] = {}
    for name, values, sign in (
        (survey.respondent, who.person, "r"),
        (survey.cluster, who.cluster, "c"),
        (survey.organisation, who.organisation, "o"),
    ):
        if name is not None:
            columns[name] = pd.array(_codes(values, sign), dtype="str")
    for question in world.population.people.questions:
        unknown = who.unknown.get(question.id, np.zeros(who.n, dtype=bool))
        words = np.asarray(who.values[question.id])
        if question.categories:
            words = np.array(question.categories, dtype=object)[words]
        if survey.background[question.id].kind == "numeric":
            columns[question.id] = np.where(unknown, np.nan, words.astype(float))
        else:
            columns[question.id] = pd.Series(words, dtype="str").mask(unknown).array
    return columns


def _codes(numbers: np.ndarray, sign: str) -> np.ndarray:
    """r0001, r0002, …"""
    width = len(str(int(numbers.max()) + 1))
    return np.array([f"{sign}{number + 1:0{width}d}" for number in numbers], dtype=object)


def _merged(path: Path, depth: int) -> tuple[Source, Path]:
    """The file with its base underneath, and the folder that its survey is relative to."""
    source = read_yaml(path, error=ModelError)
    values = source.root.value
    if not isinstance(values, dict) or "base" not in values:
        return source, path.parent
    base = values["base"].value
    if depth == 0 or not isinstance(base, str) or not (path.parent / base).is_file():
        sentence = f"The base must be the path of a world file, seen from this one; '{base}' is none."
        refuse([fault(source.place("base"), "NoSuchFile", sentence)], ModelError)
    under, home = _merged(path.parent / str(base), depth - 1)
    root = under.root
    for k, node in enumerate(values["clear"].value if "clear" in values else []):
        root = _cleared(root, str(node.value).split("."), source.place("clear", k))
    root = _over(root, source.root)
    home = path.parent if "survey" in values else home
    return Source(source.path, source.file, root, source.sha256), home


def _cleared(node: Node, steps: list[str], place: Any) -> Node:
    """The same with what stands under these steps emptied."""
    if not steps:
        return Node([] if isinstance(node.value, list) else {}, node.place)
    if not isinstance(node.value, dict) or steps[0] not in node.value:
        known = listed(node.value) if isinstance(node.value, dict) else "no keys"
        refuse([fault(place, "NothingToClear", f"The base has no '{steps[0]}' here; it has {known}.")], ModelError)
    inside = {**node.value, steps[0]: _cleared(node.value[steps[0]], steps[1:], place)}
    return Node(inside, node.place, node.keys)


def _over(under: Node, over: Node) -> Node:
    """Mappings are merged, anything else is replaced."""
    if not (isinstance(under.value, dict) and isinstance(over.value, dict)):
        return over
    inside = {**under.value, **over.value}
    for key in under.value.keys() & over.value.keys():
        inside[key] = _over(under.value[key], over.value[key])
    return Node(inside, over.place, {**under.keys, **over.keys})
