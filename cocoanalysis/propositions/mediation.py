"""What goes by way of what: indirect associations along chains of mediators, with intervals that are honest.

Percentile bootstrap (of whole clusters where there are clusters) or Monte Carlo; bias-corrected
intervals are left out because they inflate Type I error (Fritz, Taylor & MacKinnon, 2012). With
clusters every link is split: 1-1-1 designs have a within and a between indirect association,
2-1-1 designs a between one (Zhang, Zyphur & Preacher, 2009).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd

from cocoanalysis.errors import Diagnostic, ModelError, one_of
from cocoanalysis.propositions.associations import Associations
from cocoanalysis.propositions.checks import robustness_value
from cocoanalysis.propositions.estimands import Answers, Equation, Matrices, answers_to, matrices, trouble
from cocoanalysis.propositions.evidence import Simulated, two_sided
from cocoanalysis.propositions.regression import least_squares
from cocoanalysis.propositions.vcov import COVARIANCES, Options, Sample, cluster_grams
from cocoanalysis.threads import in_one_thread

COLUMNS = ["effect", "path", "level", "est", "se", "ci_lower", "ci_upper", "p_value", "est_std"]
INTERVALS = ("percentile", "monte_carlo")
MOST_FAILED = 0.05  # share of failed resamples beyond which no interval is given


@dataclass(frozen=True, repr=False, kw_only=True)
class Mediation(Associations):
    """Paths, indirect, direct and total associations: `tidy()` has one row a path and effect with the columns effect,
    path, level, est, se, ci_lower, ci_upper, p_value, est_std; `.sensitivity` stands beside it."""

    sensitivity: pd.DataFrame
    equations: tuple[str, ...]
    title: str = "Indirect associations"
    caution: ClassVar[str] = (
        "An indirect association is no mediation: the order of the variables is assumed, and nothing is held constant "
        "that was not measured."
    )


class _Chains(NamedTuple):
    """Which variable stands before which."""

    predictor: str
    outcome: str
    chains: tuple[tuple[str, ...], ...]

    @property
    def mediators(self) -> list[str]:
        return list(dict.fromkeys(name for chain in self.chains for name in chain))

    def before(self, mediator: str) -> list[str]:
        """Mediators that precede this one in some chain."""
        found = [n for chain in self.chains if mediator in chain for n in chain[: chain.index(mediator)]]
        return list(dict.fromkeys(found))

    @property
    def edges(self) -> list[tuple[str, str]]:
        pairs = [
            edge for chain in self.chains for edge in zip((self.predictor, *chain), (*chain, self.outcome), strict=True)
        ]
        return list(dict.fromkeys([*pairs, (self.predictor, self.outcome)]))


@in_one_thread
def mediate(
    data: Any,
    *,
    outcome: str,
    predictor: str,
    mediators: str | Sequence[str | Sequence[str]],
    controls: Sequence[str] = (),
    cluster: str | bool | None = None,
    interval: str = "percentile",
    draws: int = 5000,
    level: float = 0.95,
    seed: int = 0,
) -> Mediation:
    """Estimate how a predictor is indirectly associated with an outcome by way of mediators.

    Parameters
    ----------
    data : Responses or DataFrame
    outcome, predictor, controls : names of scores, items, background questions or columns
    mediators : names for parallel mediators; a list in the list is a chain, as [["alignment"], ["asset", "capacity"]]
    cluster : column of the clusters, whose resampling keeps them whole; None takes the survey's; False none
    interval : percentile (bootstrap) or monte_carlo (normal draws of the coefficients with their robust errors)
    draws, seed : of the resampling; level : coverage

    Returns
    -------
    Mediation. `.sensitivity` has for each chain the correlation of the last link's residuals at which the indirect
    association would vanish (Imai, Keele & Yamamoto, 2010; for one mediator exactly their value) and the robustness
    value of that link (Cinelli & Hazlett, 2020).

    Raises
    ------
    ModelError : UnknownVariable, UnknownChoice, NoCompleteRows, NotIdentified, Circular

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> random = np.random.default_rng(1)
    >>> x = random.normal(size=300)
    >>> m = 0.5 * x + random.normal(size=300)
    >>> table = pd.DataFrame({"x": x, "m": m, "y": 0.5 * m + random.normal(size=300)})
    >>> found = mediate(table, outcome="y", predictor="x", mediators="m", draws=500)
    >>> bool(found.tidy().query("effect == 'indirect'")["ci_lower"].iloc[0] > 0)
    True
    """
    one_of(interval, INTERVALS, "interval")
    chains = _chains(outcome, predictor, mediators)
    answers = answers_to(data, [outcome, predictor, *chains.mediators, *controls], cluster)
    parts = _parts(chains, answers, tuple(controls))
    drawn, failed = _drawn(parts, interval, draws, seed)
    table = _table(chains, parts, drawn, level, failed / draws > MOST_FAILED)
    some = next(iter(parts.values())).matrices
    numbers = {"n": len(some.outcome), "n_clusters": some.n_clusters, "failed_draws": failed}
    found: tuple[Diagnostic, ...] = ()
    if failed:
        left = "no interval is given" if failed / draws > MOST_FAILED else "the intervals rest on the others"
        text = f"{failed} of {draws} resamples could not be fitted; {left}."
        found = (Diagnostic("FailedDraws", text, "error" if failed / draws > MOST_FAILED else "warning"),)
    return Mediation(
        table=table,
        sensitivity=_sensitivity(chains, parts),
        numbers=numbers,
        equations=tuple(part.equation.formula for part in parts.values()),
        diagnostics=found,
        settings={"interval": interval, "draws": draws, "level": level, "seed": seed, "cluster": answers.cluster_name},
        provenance=getattr(data, "provenance", "yours"),
        survey=getattr(data, "survey", None),
    )


def _chains(outcome: str, predictor: str, mediators: str | Sequence[str | Sequence[str]]) -> _Chains:
    given = [mediators] if isinstance(mediators, str) else list(mediators)
    chains = _Chains(predictor, outcome, tuple((c,) if isinstance(c, str) else tuple(c) for c in given))
    if {predictor, outcome} & set(chains.mediators):
        raise ModelError("The predictor or the outcome stands among the mediators.", code="Circular")
    circular = [m for m in chains.mediators if any(m in chains.before(other) for other in chains.before(m))]
    if circular or any(len(set(chain)) < len(chain) for chain in chains.chains):
        raise ModelError(
            "The chains put a mediator both before and after another; every mediator needs one place in the order.",
            code="Circular",
        )
    return chains


class _Part(NamedTuple):
    """One equation with its numbers and estimates."""

    equation: Equation
    matrices: Matrices
    estimates: np.ndarray

    def slope(self, name: str, level: str, drawn: np.ndarray | None = None) -> Any:
        """Coefficient of a predictor at a level, of the estimates or of all draws."""
        term = name if level == "total" else self.equation.term(name, level)
        where = self.matrices.terms.index(term)
        return self.estimates[where] if drawn is None else drawn[:, where]

    def scale(self, name: str, level: str) -> float:
        spread = self.matrices.spread
        term = name if level == "total" else self.equation.term(name, level)
        return spread[term] / spread[level]


def _parts(chains: _Chains, answers: Answers, controls: tuple[str, ...]) -> dict[str, _Part]:
    """The equation of each mediator, of the outcome, and of the total association, on the same rows."""
    wanted = {name: [*chains.before(name)[::-1], chains.predictor] for name in chains.mediators}
    wanted |= {chains.outcome: [*chains.mediators, chains.predictor], "total": [chains.predictor]}
    rows = answers.complete([chains.outcome, chains.predictor, *chains.mediators, *controls])
    if not rows.any():
        raise ModelError("No row of the data is complete in all variables of the chains.", code="NoCompleteRows")
    parts = {}
    for name, predictors in wanted.items():
        built = _equation(chains.outcome if name == "total" else name, predictors, answers, controls)
        numbers = matrices(built, answers, rows)
        problem = trouble(numbers)
        if problem:
            raise ModelError(f"In the equation of {built.outcome}, {problem}.", code="NotIdentified")
        parts[name] = _Part(built, numbers, least_squares(numbers.regressors, numbers.outcome))
    return parts


def _equation(outcome: str, predictors: Sequence[str], answers: Answers, controls: tuple[str, ...]) -> Equation:
    clustered = answers.clusters is not None
    whole = tuple(name for name in predictors if clustered and answers.of_clusters.get(name, False))
    split = tuple(name for name in predictors if name not in whole)
    return Equation(outcome, split, whole, None, controls, clustered, clustered)


# --- resampling -----------------------------------------------------------------------------------------------------


def _drawn(parts: Mapping[str, _Part], interval: str, draws: int, seed: int) -> tuple[dict[str, np.ndarray], int]:
    """Draws of every equation's coefficients (draws, p), and how many failed."""
    random = np.random.default_rng(seed)
    if interval == "monte_carlo":
        return {name: _normal(part, draws, random) for name, part in parts.items()}, 0
    some = next(iter(parts.values())).matrices
    codes = np.arange(len(some.outcome)) if some.codes is None else some.codes
    found = {name: np.empty((draws, len(part.estimates))) for name, part in parts.items()}
    grams = {n: cluster_grams(np.c_[p.matrices.regressors, p.matrices.outcome], codes) for n, p in parts.items()}
    groups = int(codes.max()) + 1
    for start in range(0, draws, 500):
        size = min(500, draws - start)
        counts = random.multinomial(groups, np.full(groups, 1 / groups), size).astype(float)
        for name, gram in grams.items():
            summed = (counts @ gram.reshape(groups, -1)).reshape(size, *gram.shape[1:])
            found[name][start : start + size] = _solved(summed)
    failed = np.any([np.isnan(value).any(axis=1) for value in found.values()], axis=0)
    return {name: value[~failed] for name, value in found.items()}, int(failed.sum())


def _solved(grams: np.ndarray) -> np.ndarray:
    """Least-squares coefficients from cross-products [XᵀX Xᵀy]; NaN where XᵀX is singular."""
    left, right = grams[:, :-1, :-1], grams[:, :-1, -1]
    size = np.sqrt(np.einsum("bii->bi", left))
    sound = (size > 0).all(axis=1)
    size = np.where(size > 0, size, 1.0)
    scaled = left / (size[:, :, None] * size[:, None, :])
    sound &= np.linalg.eigvalsh(scaled)[:, 0] > 1e-12
    solved = np.full(right.shape, np.nan)
    solved[sound] = np.linalg.solve(scaled[sound], (right / size)[sound][:, :, None])[:, :, 0] / size[sound]
    return solved


def _normal(part: _Part, draws: int, random: np.random.Generator) -> np.ndarray:
    """Normal draws about the estimates with HC3 or, with clusters, CR2 covariance (Preacher & Selig, 2012)."""
    numbers = part.matrices
    clusters = () if numbers.codes is None else (numbers.codes,)
    residuals = numbers.outcome - numbers.regressors @ part.estimates
    sample = Sample(numbers.regressors, residuals, part.estimates, clusters)
    matrix = COVARIANCES["CR2" if clusters else "HC3"].compute(sample, Options()).matrix
    values, vectors = np.linalg.eigh(matrix)
    root = vectors * np.sqrt(np.maximum(values, 0))
    return part.estimates + random.standard_normal((draws, len(values))) @ root.T


# --- effects --------------------------------------------------------------------------------------------------------


class _Effect(NamedTuple):
    effect: str
    path: str
    level: str
    estimate: float
    draws: np.ndarray
    scale: float


def _levels(parts: Mapping[str, _Part], chains: _Chains) -> list[str]:
    equation = parts["total"].equation
    if not equation.inside:
        return ["total"]
    return ["between"] if chains.predictor in equation.whole else ["within", "between"]


def _table(
    chains: _Chains, parts: Mapping[str, _Part], drawn: Mapping[str, np.ndarray], level: float, refused: bool
) -> pd.DataFrame:
    rows = []
    for effect in _effects(chains, parts, drawn):
        evidence = Simulated(effect.estimate, np.sort(effect.draws))
        low, high = (np.nan, np.nan) if refused else evidence.interval(level)
        p_value = np.nan if refused else two_sided(evidence)
        row = [effect.effect, effect.path, effect.level, effect.estimate, evidence.se, low, high, p_value]
        rows.append([*row, effect.estimate * effect.scale])
    return pd.DataFrame(rows, columns=COLUMNS)


def _effects(chains: _Chains, parts: Mapping[str, _Part], drawn: Mapping[str, np.ndarray]) -> list[_Effect]:
    found: list[_Effect] = []
    for level in _levels(parts, chains):
        for edge in chains.edges:
            start, end = edge
            word = "direct" if edge == (chains.predictor, chains.outcome) else "path"
            part = parts[end]
            estimate, draws = part.slope(start, level), part.slope(start, level, drawn[end])
            found.append(_Effect(word, f"{start} → {end}", level, estimate, draws, part.scale(start, level)))
        edges = {effect.path: effect for effect in found if effect.level == level}
        indirect = [_along(chain, chains, edges, level) for chain in chains.chains]
        found += indirect
        whole = f"{chains.predictor} → {chains.outcome}"
        scale = parts["total"].scale(chains.predictor, level)
        if len(indirect) > 1:
            total = sum(effect.estimate for effect in indirect)
            draws = np.sum([effect.draws for effect in indirect], axis=0)
            found.append(_Effect("total indirect", whole, level, total, draws, scale))
        slope = parts["total"].slope(chains.predictor, level)
        found.append(
            _Effect("total", whole, level, slope, parts["total"].slope(chains.predictor, level, drawn["total"]), scale)
        )
    return found


def _along(chain: tuple[str, ...], chains: _Chains, edges: Mapping[str, _Effect], level: str) -> _Effect:
    """The product of the slopes along a chain."""
    stops = (chains.predictor, *chain, chains.outcome)
    links = [edges[f"{start} → {end}"] for start, end in pairwise(stops)]
    return _Effect(
        "indirect",
        " → ".join(stops),
        level,
        float(np.prod([link.estimate for link in links])),
        np.prod([link.draws for link in links], axis=0),
        float(np.prod([link.scale for link in links])),
    )


def _sensitivity(chains: _Chains, parts: Mapping[str, _Part]) -> pd.DataFrame:
    """For each chain, what an unmeasured common cause of the last mediator and the outcome would have to be."""
    part, rows = parts[chains.outcome], []
    for chain in chains.chains:
        for level in _levels(parts, chains):
            term = chain[-1] if level == "total" else part.equation.term(chain[-1], level)
            rho = _partial_correlation(part.matrices, part.matrices.terms.index(term))
            path = " → ".join((chains.predictor, *chain, chains.outcome))
            rows.append([path, level, rho, robustness_value(rho / np.sqrt(1 - rho**2))])
    return pd.DataFrame(rows, columns=["path", "level", "rho_vanishes", "robustness_value"])


def _partial_correlation(numbers: Matrices, k: int) -> float:
    """Correlation of a regressor and the outcome given the other regressors."""
    others = np.linalg.qr(np.delete(numbers.regressors, k, axis=1))[0]
    first, second = numbers.regressors[:, k], numbers.outcome
    first, second = first - others @ (others.T @ first), second - others @ (others.T @ second)
    return float(first @ second / np.sqrt((first @ first) * (second @ second)))
