"""From a hypothesis to an estimate: the arrays behind a verdict.

Each kind of hypothesis is one function in ESTIMANDS. It gets the answers as arrays (`Answers`)
and gives an `Estimated`: evidence in standardised units, the equations in formula language
(which `regress` fits to the same numbers), or the reason why there is none. Nothing here is
labelled, because power studies come through it thousands of times.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from cocoanalysis.errors import ModelError, PlanError, listed
from cocoanalysis.propositions.design import variables
from cocoanalysis.propositions.evidence import Evidence, Simulated, Student, Wild
from cocoanalysis.propositions.multilevel import fit_mixed
from cocoanalysis.propositions.plan import Hypothesis, Plan
from cocoanalysis.propositions.vcov import (
    COVARIANCES,
    FEW_CLUSTERS,
    LEAST_CLUSTERS,
    Options,
    Sample,
    WildTest,
    wild_weights,
)
from cocoanalysis.responses.selection import as_frame

DRAWS = 40_000  # of a Monte Carlo interval: 25 beyond each bound even when twenty hypotheses share the error rate


@dataclass(frozen=True)
class Answers:
    """Scores and background as arrays, with the clusters' codes.

    Attributes
    ----------
    frame : float64 and categorical columns, one row a response
    clusters : (n,) codes 0…G − 1 with −1 where the cluster is missing, or None
    people : (n,) codes of the respondents where some of them sit in several clusters, else None
    """

    frame: pd.DataFrame
    clusters: np.ndarray | None
    cluster_name: str | None = None
    people: np.ndarray | None = None
    person_name: str | None = None

    @cached_property
    def numbers(self) -> dict[str, np.ndarray]:
        """Numeric columns."""
        plain = {n: c for n, c in self.frame.items() if not isinstance(c.dtype, pd.CategoricalDtype)}
        return {str(name): column.to_numpy(float) for name, column in plain.items()}

    def number(self, name: str) -> np.ndarray:
        """One numeric column; a categorical one has no order of numbers that anybody gave it."""
        if name in self.categories:
            raise ModelError(
                f"'{name}' holds categories, and a number is needed here. Turn its codes into numbers "
                f"(data['{name}'].astype(float)) if their distances mean something.",
                code="NotNumeric",
            )
        return self.numbers[name]

    @cached_property
    def categories(self) -> dict[str, np.ndarray]:
        """Codes of categorical columns, −1 for missing; 0 is the reference."""
        found = {n: c for n, c in self.frame.items() if isinstance(c.dtype, pd.CategoricalDtype)}
        return {str(name): column.cat.codes.to_numpy() for name, column in found.items()}

    @cached_property
    def labels(self) -> dict[str, list[str]]:
        """Categories of the categorical columns, in the order of their codes."""
        return {name: [str(label) for label in self.frame[name].cat.categories] for name in self.categories}

    @cached_property
    def missing(self) -> dict[str, np.ndarray]:
        return {n: np.isnan(v) for n, v in self.numbers.items()} | {n: v < 0 for n, v in self.categories.items()}

    @cached_property
    def of_clusters(self) -> dict[str, bool]:
        """Whether a numeric column is a property of the cluster (the same for all its rows)."""
        return {name: self._constant(values) for name, values in self.numbers.items()}

    def _constant(self, values: np.ndarray) -> bool:
        if self.clusters is None:
            return False
        known = ~np.isnan(values) & (self.clusters >= 0)
        if not known.any():
            return False
        inside = values[known] - means(values[known], self.clusters[known])
        return bool(np.abs(inside).max() < 1e-9 * max(1.0, np.abs(values[known]).max()))

    def complete(self, names: Sequence[str]) -> np.ndarray:
        """Rows that have all of the names, and a cluster where there are clusters."""
        rows = np.ones(len(self.frame), bool) if self.clusters is None else self.clusters >= 0
        for name in names:
            if name not in self.missing:
                raise PlanError(f"The answers have no variable '{name}', which the plan needs.", code="UnknownVariable")
            rows = rows & ~self.missing[name]
        return rows


def answers_to(data: Any, names: Sequence[str], cluster: str | bool | None) -> Answers:
    """The named variables of Responses or a DataFrame with the clusters: the survey's, the named column's, or none."""
    frame = variables(data, list(dict.fromkeys(names)))
    survey = getattr(data, "survey", None)
    table = as_frame(data) if survey is None else data.frame
    name = getattr(survey, "cluster", None) if cluster is None else cluster or None
    if name is None:
        return Answers(frame, None)
    if name not in table.columns:
        raise ModelError(f"There is no cluster column '{name}' in the data.", code="UnknownVariable")
    return Answers(frame, pd.factorize(table[str(name)], sort=True)[0], str(name))


def crossed(people: pd.Series, clusters: np.ndarray) -> np.ndarray | None:
    """Codes of the respondents when one of them has rows in several clusters, else None; a missing name is a person."""
    codes = pd.factorize(people)[0]
    unknown = codes < 0
    codes[unknown] = codes.max(initial=-1) + 1 + np.arange(int(unknown.sum()))
    pairs = np.unique(np.column_stack([codes, clusters])[clusters >= 0], axis=0)
    return codes if len(np.unique(pairs[:, 0])) < len(pairs) else None


def means(values: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Each row's cluster mean of (n,) values; codes may have gaps."""
    size = np.bincount(codes)
    return (np.bincount(codes, values) / np.maximum(size, 1))[codes]


class Equation(NamedTuple):
    """One regression of the plan: outcome, the terms by role, and the controls."""

    outcome: str
    split: tuple[str, ...]  # predictors that are split into within and between
    whole: tuple[str, ...] = ()  # properties of the cluster, centred at their mean
    product: tuple[str, str] | None = None
    controls: tuple[str, ...] = ()
    between: bool = True
    inside: bool = True  # False: no clusters, predictors as they are

    @property
    def names(self) -> list[str]:
        """Every variable of the equation."""
        return [self.outcome, *self.split, *self.whole, *self.controls]

    def term(self, name: str, level: str = "within") -> str:
        if name in self.whole:
            return f"center({name})"
        return f"{level}({name})" if self.inside else name

    @property
    def formula(self) -> str:
        terms = [self.term(name) for name in (*self.split, *self.whole)]
        if self.product:
            terms.append(":".join(self.term(name) for name in self.product))
        if self.between and self.inside:
            terms += [f"between({name})" for name in self.split]
        return f"{self.outcome} ~ {' + '.join([*terms, *self.controls])}"


class Matrices(NamedTuple):
    """The equation's numbers on its complete rows, with the SD of the outcome and of each split predictor by level."""

    outcome: np.ndarray
    regressors: np.ndarray
    terms: tuple[str, ...]
    codes: np.ndarray | None
    spread: dict[str, float]
    people: np.ndarray | None = None

    @property
    def n_clusters(self) -> int | None:
        return None if self.codes is None else int(self.codes.max()) + 1


@dataclass(frozen=True)
class Estimated:
    """What the data say about one row of a plan.

    ``evidence`` is standardised; ``points`` is what one standardised unit is in the outcome's scale points; ``units``
    are the weights of the equation's coefficients in the estimate.
    """

    evidence: Evidence | None
    equations: tuple[Equation, ...] = ()
    n: int = 0
    n_clusters: int | None = None
    points: float = np.nan
    fault: str | None = None
    beside: Evidence | None = None  # the between-collaborations coefficient of the same fit
    beside_points: float = np.nan
    units: dict[str, float] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)


def equation(plan: Plan, hypothesis: Hypothesis, outcome: str, predictors: Sequence[str], answers: Answers) -> Equation:
    """The plan's regression of an outcome on predictors: split by level, with means where there are clusters enough."""
    names = [name for name in dict.fromkeys([*predictors, *hypothesis.holding]) if name != outcome]
    clustered = answers.clusters is not None
    whole = tuple(name for name in names if clustered and answers.of_clusters.get(name, False))
    split = tuple(name for name in names if name not in whole)
    controls = tuple(name for name in plan.controls(hypothesis) if name not in {*names, outcome})
    enough = clustered and _groups(answers, [outcome, *names, *controls]) >= plan.form.estimation.means_from
    return Equation(outcome, split, whole, None, controls, enough, clustered)


def _groups(answers: Answers, names: Sequence[str]) -> int:
    if answers.clusters is None:
        return 0
    return int(np.unique(answers.clusters[answers.complete(names)]).size)


def matrices(equation: Equation, answers: Answers, rows: np.ndarray | None = None) -> Matrices:
    """Columns in the formula's order, computed on the complete rows (or on the given ones)."""
    rows = answers.complete(equation.names) if rows is None else rows
    codes = None if answers.clusters is None else _consecutive(answers.clusters[rows])
    values = {n: answers.number(n)[rows] for n in [equation.outcome, *equation.split, *equation.whole]}
    columns: dict[str, np.ndarray] = {"Intercept": np.ones(int(rows.sum()))}
    averages: dict[str, np.ndarray] = {}
    for name in (*equation.split, *equation.whole):
        if name in equation.whole or codes is None or not equation.inside:
            centre = values[name].mean() if name in equation.whole else 0.0
            columns[equation.term(name)] = values[name] - centre
        else:
            averages[name] = means(values[name], codes)
            columns[equation.term(name)] = values[name] - averages[name]
    if equation.product:
        first, second = (equation.term(name) for name in equation.product)
        columns[f"{first}:{second}"] = columns[first] * columns[second]
    if equation.between:
        columns |= {f"between({name})": averages[name] for name in averages}
    for name in equation.controls:
        columns |= _control(name, answers, rows)
    return Matrices(
        values[equation.outcome], np.column_stack(list(columns.values())), tuple(columns), codes,
        _spread(values[equation.outcome], columns, codes),
        None if answers.people is None else _consecutive(answers.people[rows]),
    )  # fmt: skip


def _consecutive(codes: np.ndarray) -> np.ndarray:
    return np.unique(codes, return_inverse=True)[1].ravel()


def _control(name: str, answers: Answers, rows: np.ndarray) -> dict[str, np.ndarray]:
    """A numeric control as it is; of a categorical one an indicator for each category present but the first."""
    if name in answers.numbers:
        return {name: answers.numbers[name][rows]}
    codes = answers.categories[name][rows]
    present = np.unique(codes)[1:]
    labels = answers.labels[name]
    return {f"{name}[T.{labels[k]}]": (codes == k).astype(float) for k in present}


def _spread(outcome: np.ndarray, columns: dict[str, np.ndarray], codes: np.ndarray | None) -> dict[str, float]:
    """SDs of the columns, and of the outcome in total, within and between clusters."""
    found = {name: float(column.std(ddof=1)) for name, column in columns.items()}
    found["total"] = float(outcome.std(ddof=1))
    if codes is not None:
        average = means(outcome, codes)
        found["within"] = float((outcome - average).std(ddof=1))
        found["between"] = float(average.std(ddof=1))
    return found


def trouble(numbers: Matrices, least: int = 3) -> str | None:
    """Why a regression on these rows has no answer, or None; the cheap test, `regress` names the terms."""
    n, p = numbers.regressors.shape
    if n <= p + 1:
        return f"{n} complete rows cannot carry {p} coefficients"
    if np.ptp(numbers.outcome) == 0:
        return "the outcome has one value in all complete rows"
    if numbers.codes is not None and int(numbers.codes.max()) + 1 < least:
        return f"the complete rows lie in {int(numbers.codes.max()) + 1} clusters, and {least} are the least"
    length = np.linalg.norm(numbers.regressors, axis=0)
    if (length == 0).any():
        return f"{listed(t for t, size in zip(numbers.terms, length) if size == 0)} does not vary in the complete rows"
    diagonal = np.abs(np.diag(np.linalg.qr(numbers.regressors / length, mode="r")))
    if diagonal.min() < 1e-9:
        loose = [term for term, size in zip(numbers.terms, diagonal) if size < 1e-9]
        return f"{listed(_nameless(loose))} follows from the other terms (collinear)"
    return None


class Inference(NamedTuple):
    """How the error of an estimate is judged: a covariance of `regress`, by collaboration and perhaps by respondent."""

    vcov: str
    two_way: bool
    words: str


def inference(plan: Plan, n_clusters: int | None, people: bool) -> Inference:
    """What the plan says for so many clusters: its covariance, two-way where respondents sit in several clusters, the
    wild cluster bootstrap where clusters are few."""
    choice = plan.form.estimation
    if choice.model == "mixed":
        return Inference(choice.vcov, False, "random intercepts, Satterthwaite df")
    if not COVARIANCES[choice.vcov].clustered or n_clusters is None:
        return Inference(choice.vcov, False, f"{choice.vcov} errors")
    df = "df of the clusters" if choice.vcov == "cluster" else "Satterthwaite df"
    if people:
        words = f"{choice.vcov} errors by collaboration and by respondent (some sit in several), least {df}"
        return Inference(choice.vcov, True, words)
    if n_clusters < FEW_CLUSTERS and choice.few_clusters == "wild":
        coarse = "" if 2**n_clusters > Options().draws else f"; its smallest p is {2.0 ** (1 - n_clusters):.2g}"
        words = f"wild cluster bootstrap ({n_clusters} clusters, fewer than {FEW_CLUSTERS}{coarse})"
        return Inference("wild", False, words)
    return Inference(choice.vcov, False, f"{choice.vcov} errors by collaboration, {df}")


def infer(numbers: Matrices, weights: dict[str, float], plan: Plan) -> Student | Wild:
    """Estimate and error of a weighted sum of coefficients."""
    x, k = rewritten(numbers, weights)
    return coefficients(numbers, x, (k,), plan)[0]


def rewritten(numbers: Matrices, weights: dict[str, float]) -> tuple[np.ndarray, int]:
    """Regressors in which the weighted sum of coefficients *is* a coefficient (so that every covariance serves as it
    is), and its place."""
    (name, weight), *others = weights.items()
    x, k = numbers.regressors.copy(), numbers.terms.index(name)
    x[:, k] = numbers.regressors[:, k] / weight
    for other, size in others:
        place = numbers.terms.index(other)
        x[:, place] = x[:, place] - size * x[:, k]
    return x, k


def coefficients(numbers: Matrices, x: np.ndarray, wanted: tuple[int, ...], plan: Plan) -> list[Student | Wild]:
    """The wanted coefficients of the outcome on x (n, p), by the plan's model and covariance."""
    choice, outcome, codes = plan.form.estimation, numbers.outcome, numbers.codes
    if choice.model == "mixed":
        if codes is None:
            raise PlanError("A mixed model needs clusters, and the survey names none.", code="NoCluster")
        found = fit_mixed(outcome, x, np.ones((len(outcome), 1)), codes)
        return _students(found.estimates, found.covariance, found.df, wanted)
    if codes is None and COVARIANCES[choice.vcov].clustered:
        raise PlanError(
            f"The plan asks for {choice.vcov} errors, and the survey names no cluster; take vcov HC3.", code="NoCluster"
        )
    how = inference(plan, numbers.n_clusters, numbers.people is not None)
    q, r = np.linalg.qr(x)
    estimates = np.linalg.solve(r, q.T @ outcome)
    dimensions = (codes, numbers.people if how.two_way else None)
    sample = Sample(x, outcome - x @ estimates, estimates, tuple(one for one in dimensions if one is not None))
    if how.vcov == "wild":
        weights = wild_weights(int(sample.clusters[0].max()) + 1, Options())
        return [Wild(WildTest.of(sample, k, weights)) for k in wanted]
    certainty = COVARIANCES[how.vcov].compute(sample, Options(only=wanted))
    return _students(estimates, certainty.matrix, certainty.df, wanted)


def _students(
    estimates: np.ndarray, matrix: np.ndarray, df: np.ndarray, wanted: tuple[int, ...]
) -> list[Student | Wild]:
    errors = np.sqrt(np.diag(matrix))
    return [Student(float(estimates[k]), float(errors[k]), float(df[k])) for k in wanted]


# --- one function a kind of hypothesis ------------------------------------------------------------------------------


class Row(NamedTuple):
    """One line of the verdict table: a hypothesis on one outcome (and one predictor or chain)."""

    hypothesis: Hypothesis
    outcome: str
    predictor: str  # as the table shows it
    names: tuple[str, ...]  # the variables behind it
    number: int  # position in the plan, for seeds


class Kind(NamedTuple):
    rows: Callable[[Hypothesis], list[tuple[str, tuple[str, ...]]]]
    estimate: Callable[[Row, Answers, Plan, int], Estimated]


ESTIMANDS: dict[str, Kind] = {}
Estimator = Callable[[Row, Answers, Plan, int], Estimated]


def estimand(
    kind: str, rows: Callable[[Hypothesis], list[tuple[str, tuple[str, ...]]]]
) -> Callable[[Estimator], Estimator]:
    def register(function: Estimator) -> Estimator:
        ESTIMANDS[kind] = Kind(rows, function)
        return function

    return register


def rows_of(plan: Plan) -> list[Row]:
    """Every row of the verdict table, in the order of the plan: a hypothesis has one for each outcome and predictor."""
    found: list[Row] = []
    for hypothesis in plan.hypotheses:
        for outcome in hypothesis.outcome:
            for shown, names in ESTIMANDS[hypothesis.kind].rows(hypothesis):
                found.append(Row(hypothesis, outcome, shown, names, len(found)))
    return found


def _fitted(plan: Plan, built: Equation, answers: Answers) -> tuple[Matrices | None, Estimated]:
    """The matrices, or the estimate that says why there are none."""
    rows = answers.complete(built.names)
    if not rows.any():
        return None, Estimated(None, (built,), fault=f"no row is complete in {listed(built.names, 30)}")
    numbers = matrices(built, answers, rows)
    problem = trouble(numbers, LEAST_CLUSTERS)
    how = inference(plan, numbers.n_clusters, numbers.people is not None).words
    found = Estimated(None, (built,), len(numbers.outcome), numbers.n_clusters, fault=problem, more={"inference": how})
    return (None if problem else numbers), found


@estimand("slope", lambda h: [(name, (name,)) for name in h.predictor])
def slope(row: Row, answers: Answers, plan: Plan, seed: int) -> Estimated:
    """The slope of one predictor, within or between clusters as the hypothesis says."""
    (name,) = row.names
    built = equation(plan, row.hypothesis, row.outcome, [name], answers)
    numbers, found = _fitted(plan, built, answers)
    if numbers is None:
        return found
    at_top = row.hypothesis.level == "collaboration"
    between, own = f"between({name})", built.term(name)
    if at_top and own in numbers.terms and name not in built.whole and between not in numbers.terms:
        fault = f"collaboration means need at least {plan.form.estimation.means_from} collaborations"
        return Estimated(None, (built,), found.n, found.n_clusters, fault=fault)
    target = between if at_top and between in numbers.terms else own
    level = "between" if at_top or name in built.whole else "within"
    others = (between,) if not at_top and between in numbers.terms else ()
    wanted = tuple(numbers.terms.index(term) for term in (target, *others))
    fitted = coefficients(numbers, numbers.regressors, wanted, plan)
    evidence, points = _one(numbers, fitted[0], target, level)
    beside, beside_points = _one(numbers, fitted[1], between, "between") if others else (None, np.nan)
    units = _units(numbers, {target: 1.0}, level)
    return replace(found, evidence=evidence, points=points, beside=beside, beside_points=beside_points, units=units)


def _one(numbers: Matrices, found: Student | Wild, term: str, level: str) -> tuple[Student | Wild, float]:
    """One coefficient, standardised at its level, and the outcome's SD there."""
    outcome = numbers.spread.get(level, numbers.spread["total"])
    return found.times(numbers.spread[term] / outcome), outcome


def _units(numbers: Matrices, weights: dict[str, float], level: str, scale: float | None = None) -> dict[str, float]:
    """Each weight times the SD of its column (or ``scale``) over the SD of the outcome at that level."""
    outcome = numbers.spread.get(level, numbers.spread["total"])
    return {name: weight * (scale or numbers.spread[name]) / outcome for name, weight in weights.items()}


@estimand("contrast", lambda h: [(_contrast_text(h), tuple(h.contrast))])
def contrast(row: Row, answers: Answers, plan: Plan, seed: int) -> Estimated:
    """A weighted sum of standardised slopes in one equation that holds all of them."""
    built = equation(plan, row.hypothesis, row.outcome, row.names, answers)
    numbers, found = _fitted(plan, built, answers)
    if numbers is None:
        return found
    level = "between" if row.hypothesis.level == "collaboration" else "within"
    terms = {f"between({n})" if level == "between" else built.term(n): w for n, w in row.hypothesis.contrast.items()}
    if not set(terms) <= set(numbers.terms):
        fault = f"collaboration means need at least {plan.form.estimation.means_from} collaborations"
        return Estimated(None, (built,), found.n, found.n_clusters, fault=fault)
    units = _units(numbers, terms, level)
    return replace(found, evidence=infer(numbers, units, plan), points=_points(numbers, level), units=units)


def _points(numbers: Matrices, level: str) -> float:
    return numbers.spread.get(level, numbers.spread["total"])


def _contrast_text(hypothesis: Hypothesis) -> str:
    parts: list[str] = []
    for name, weight in hypothesis.contrast.items():
        sign = "−" if weight < 0 else "+" if parts else ""
        size = "" if abs(weight) == 1 else f"{abs(weight):g}·"
        parts.append(f"{sign} {size}{name}" if sign and parts else f"{sign}{size}{name}")
    return " ".join(parts)


@estimand("product", lambda h: [(" × ".join(h.product), tuple(h.product))])
def product(row: Row, answers: Answers, plan: Plan, seed: int) -> Estimated:
    """The product of two predictors, each centred within clusters (a property of the cluster: at its mean)."""
    first, second = row.names
    built = equation(plan, row.hypothesis, row.outcome, row.names, answers)._replace(product=(first, second))
    numbers, found = _fitted(plan, built, answers)
    if numbers is None:
        return found
    one, two = built.term(first), built.term(second)
    level = "between" if {first, second} <= set(built.whole) else "within"
    scale = numbers.spread[one] * numbers.spread[two]
    units = _units(numbers, {f"{one}:{two}": 1.0}, level, scale)
    return replace(found, evidence=infer(numbers, units, plan), points=_points(numbers, level), units=units)


@estimand("indirect", lambda h: [(" → ".join([*h.predictor, *chain]), (*h.predictor, *chain)) for chain in h.through])
def indirect(row: Row, answers: Answers, plan: Plan, seed: int) -> Estimated:
    """The product of the slopes along a chain, with a Monte Carlo distribution (MacKinnon, Lockwood & Williams, 2004).

    Each link holds the predictor and the mediators before it; the last one holds all mediators of the hypothesis.
    """
    hypothesis, chain = row.hypothesis, row.names
    mediators = list(dict.fromkeys(name for part in hypothesis.through for name in part))
    links: list[tuple[Equation, str]] = []
    for place, name in enumerate(chain[1:], start=1):
        links.append((equation(plan, hypothesis, name, chain[:place][::-1], answers), chain[place - 1]))
    others = [name for name in mediators if name != chain[-1]]
    links.append((equation(plan, hypothesis, row.outcome, [chain[-1], *others, chain[0]], answers), chain[-1]))
    names = {name for built, _ in links for name in built.names}
    rows = answers.complete(sorted(names))
    equations = tuple(built for built, _ in links)
    if not rows.any():
        return Estimated(None, equations, fault=f"no row is complete in {listed(sorted(names), 30)}")
    steps, points, numbers, plain = [], np.nan, None, unbootstrapped(plan)
    for built, name in links:
        numbers = matrices(built, answers, rows)
        problem = trouble(numbers, LEAST_CLUSTERS)
        if problem:
            fault = f"in the equation of {built.outcome}, {problem}"
            return Estimated(None, equations, len(numbers.outcome), numbers.n_clusters, fault=fault)
        points = _points(numbers, "within")
        steps.append(infer(numbers, _units(numbers, {built.term(name): 1.0}, "within"), plain))
    evidence = monte_carlo(steps, [seed, row.number])
    n, groups = (0, None) if numbers is None else (len(numbers.outcome), numbers.n_clusters)
    how = inference(plain, groups, answers.people is not None).words
    return Estimated(evidence, equations, n, groups, points, more={"inference": f"Monte Carlo draws, {how}"})


def unbootstrapped(plan: Plan) -> Plan:
    """The plan with its covariance for any number of clusters: a product of slopes has no wild bootstrap."""
    estimation = plan.form.estimation.model_copy(update={"few_clusters": "none"})
    return replace(plan, form=plan.form.model_copy(update={"estimation": estimation}))


def monte_carlo(steps: Sequence[Student | Wild], seed: Sequence[int], draws: int = DRAWS) -> Simulated:
    """Distribution of a product of independent estimates, each normal about its value.

    Preacher & Selig (2012); the same standard normal draws are used for the same seed.
    """
    normal = np.random.default_rng(list(seed)).standard_normal((draws, len(steps)))
    centre, spread = np.array([s.estimate for s in steps]), np.array([s.se for s in steps])
    return Simulated(float(np.prod(centre)), np.sort(np.prod(centre + normal * spread, axis=1)))


def _nameless(terms: Iterable[str]) -> list[str]:
    """Terms without the words of their categories, which may name people."""
    return list(dict.fromkeys(re.sub(r"\[T\.[^\]]*\]", " (a category)", str(term)) for term in terms))
