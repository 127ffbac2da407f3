"""Multiple imputation by chained equations, for ordinal items in clusters.

Each variable in turn is drawn from a model given all others. For ordinal items that is an
ordered probit with a random intercept for the cluster: a normal variable behind the answer,
cut at thresholds (fully conditional specification with latent variables; Enders, Keller &
Levy, 2018, Psychol. Methods 23, 298–317). Numbers have the same model without thresholds,
nominal answers a multinomial logit. Cluster means of the predictors stand beside them, so that
within and between relations may differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy import optimize
from scipy.special import ndtr, ndtri

from cocoanalysis.arguments import of_responses
from cocoanalysis.errors import Diagnostic, ResponseError, listed
from cocoanalysis.responses.ledger import entry
from cocoanalysis.responses.pooling import Pooled, d2, pooled_reliability, pooled_tables
from cocoanalysis.result import Result
from cocoanalysis.threads import in_one_thread

PRIOR = 0.25  # prior precision of standardised slopes (variance 4): proper where categories separate
TINY = 1e-12

# One variable's model (arrays) -------------------------------------------------------------------------


@dataclass
class Level:
    """A random intercept: which cluster each row is in, the cluster effects, and their variance."""

    group: np.ndarray
    n: int
    effects: np.ndarray
    variance: float = 0.1

    def draw(self, residuals: np.ndarray, rows: np.ndarray, noise: float, generator: np.random.Generator) -> None:
        """New effects and their variance, given residuals of the rows answered and the residual variance."""
        if self.n == 0:
            return
        group = self.group[rows]
        sums = np.bincount(group, residuals, minlength=self.n)
        precision = np.bincount(group, minlength=self.n) / noise + 1 / self.variance
        self.effects = sums / noise / precision + generator.normal(size=self.n) / np.sqrt(precision)
        self.variance = (0.05 + (self.effects**2).sum() / 2) / generator.gamma(1 + self.n / 2)

    def offset(self, rows: Any = slice(None)) -> np.ndarray:
        return self.effects[self.group[rows]] if self.n else np.zeros(len(self.group[rows]))


def slopes(x: np.ndarray, y: np.ndarray, noise: float, prior: float, generator: np.random.Generator) -> np.ndarray:
    """A draw of regression slopes from their normal posterior."""
    precision = x.T @ x / noise + prior * np.eye(x.shape[1])
    factor = np.linalg.cholesky(precision)
    mean = np.linalg.solve(factor.T, np.linalg.solve(factor, x.T @ y / noise))
    return mean + np.linalg.solve(factor.T, generator.normal(size=x.shape[1]))


def between(low: np.ndarray, high: np.ndarray, centre: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Normal values with unit variance around ``centre`` that lie between ``low`` and ``high``."""
    floor, ceiling = ndtr(low - centre), ndtr(high - centre)
    place = floor + generator.random(len(centre)) * (ceiling - floor)
    return np.clip(centre + ndtri(np.clip(place, TINY, 1 - TINY)), np.where(np.isinf(low), -40, low), high)


class OrdinalModel:
    """Ordered probit with a random intercept; thresholds move as in Cowles (1996)."""

    def __init__(self, y: np.ndarray, level: Level):
        self.seen = ~np.isnan(y)
        self.codes, self.category = np.unique(y[self.seen], return_inverse=True)
        shares = np.cumsum(np.bincount(self.category))[:-1] / self.seen.sum()
        self.cuts = ndtri(np.clip(shares, TINY, 1 - TINY))
        self.level, self.beta, self.step, self.moves = level, np.zeros(0), 0.05, 0

    def draw(self, x: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """One sweep of the sampler; the imputed answers of the rows without one."""
        seen = self.seen
        if len(self.beta) != x.shape[1]:
            self.beta = np.zeros(x.shape[1])
        centre = x @ self.beta + self.level.offset()
        self._cut(centre[seen], generator)
        edges = np.concatenate([[-np.inf], self.cuts, [np.inf]])
        latent = between(edges[self.category], edges[self.category + 1], centre[seen], generator)
        self.beta = slopes(x[seen], latent - self.level.offset(seen), 1.0, PRIOR, generator)
        fixed = x @ self.beta
        self.level.draw(latent - fixed[seen], seen, 1.0, generator)
        hidden = (fixed + self.level.offset())[~seen] + generator.normal(size=(~seen).sum())
        return self.codes[np.searchsorted(self.cuts, hidden)]

    def _cut(self, centre: np.ndarray, generator: np.random.Generator) -> None:
        """Propose new thresholds together; accept by the likelihood of the answers."""
        if not len(self.cuts):
            return
        proposed, bounds = self.cuts.copy(), np.concatenate([self.cuts, [np.inf]])
        below = -np.inf
        for k in range(len(self.cuts)):
            floor, ceiling = (ndtr((edge - self.cuts[k]) / self.step) for edge in (below, bounds[k + 1]))
            place = floor + generator.random() * (ceiling - floor)
            proposed[k] = below = self.cuts[k] + self.step * ndtri(np.clip(place, TINY, 1 - TINY))
        ratio = self._fit(proposed, centre) - self._fit(self.cuts, centre)
        ratio += self._reach(self.cuts, proposed) - self._reach(proposed, self.cuts)
        accepted = bool(np.log(generator.random()) < ratio)
        self.moves += 1
        self.step *= np.exp((accepted - 0.3) / np.sqrt(self.moves))
        self.cuts = proposed if accepted else self.cuts

    def _fit(self, cuts: np.ndarray, centre: np.ndarray) -> float:
        edges = np.concatenate([[-np.inf], cuts, [np.inf]])
        share = ndtr(edges[self.category + 1] - centre) - ndtr(edges[self.category] - centre)
        return float(np.log(np.maximum(share, 1e-300)).sum())

    def _reach(self, start: np.ndarray, end: np.ndarray) -> float:
        """Log of the normalising constants of the proposal from ``start`` to ``end``."""
        upper = np.concatenate([start[1:], [np.inf]])
        lower = np.concatenate([[-np.inf], end[:-1]])
        mass = ndtr((upper - start) / self.step) - ndtr((lower - start) / self.step)
        return float(np.log(np.maximum(mass, 1e-300)).sum())


class NumberModel:
    """Normal regression with a random intercept."""

    def __init__(self, y: np.ndarray, level: Level, low: float | None = None, high: float | None = None):
        self.seen = ~np.isnan(y)
        self.mean, self.scale = float(np.nanmean(y)), float(np.nanstd(y)) or 1.0
        self.y, self.level, self.noise = (y[self.seen] - self.mean) / self.scale, level, 1.0
        self.low, self.high = low, high

    def draw(self, x: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """One sweep of the sampler; the imputed numbers of the rows without one."""
        seen = self.seen
        x = np.column_stack([np.ones(len(x)), x])
        beta = slopes(x[seen], self.y - self.level.offset(seen), self.noise, PRIOR / 100, generator)
        fixed = x @ beta
        self.level.draw(self.y - fixed[seen], seen, self.noise, generator)
        left = self.y - fixed[seen] - self.level.offset(seen)
        self.noise = float((left**2).sum() / 2 / generator.gamma(len(left) / 2))
        drawn = (fixed + self.level.offset())[~seen] + np.sqrt(self.noise) * generator.normal(size=(~seen).sum())
        found = self.mean + self.scale * drawn
        return np.clip(found, self.low, self.high) if (self.low, self.high) != (None, None) else found


class NominalModel:
    """Multinomial logit, fitted to a bootstrap sample so that its own uncertainty is in the draws."""

    def __init__(self, y: np.ndarray):
        self.seen = ~np.isnan(y)
        self.codes, self.category = np.unique(y[self.seen], return_inverse=True)

    def draw(self, x: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Imputed categories of the rows without one."""
        x = np.column_stack([np.ones(len(x)), x])
        k = len(self.codes)
        rows = generator.integers(0, self.seen.sum(), self.seen.sum())
        xs, onehot = x[self.seen][rows], np.eye(k)[self.category[rows]]

        def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
            beta = flat.reshape(x.shape[1], k)
            share = _softmax(xs @ beta)
            value = -np.log(np.maximum((share * onehot).sum(axis=1), 1e-300)).sum() + PRIOR / 2 * (beta**2).sum()
            return float(value), (xs.T @ (share - onehot) + PRIOR * beta).ravel()

        fit = optimize.minimize(loss, np.zeros(x.shape[1] * k), jac=True, method="L-BFGS-B", options={"maxiter": 200})
        shares = np.cumsum(_softmax(x[~self.seen] @ fit.x.reshape(x.shape[1], k)), axis=1)
        place = (generator.random((len(shares), 1)) > shares[:, :-1]).sum(axis=1)
        return self.codes[place]


def _softmax(logits: np.ndarray) -> np.ndarray:
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


# The chain ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Variable:
    """One column of the imputation: its name, kind (ordinal, number, nominal) and bounds."""

    name: str
    kind: str
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Chain:
    """One finished chain: the completed columns, and the mean imputed value of each variable by iteration."""

    values: np.ndarray
    means: np.ndarray


def run_chain(
    values: np.ndarray,
    variables: Sequence[Variable],
    predictors: Sequence[np.ndarray],
    group: np.ndarray,
    *,
    iterations: int,
    generator: np.random.Generator,
) -> Chain:
    """Impute the missing cells (NaN) of ``values``, variable by variable, ``iterations`` times round.

    ``predictors`` holds, for each variable, the columns that predict it; ``group`` the cluster
    number of each row, or −1 throughout where there are none.
    """
    missing = np.isnan(values)
    filled = _margins(values, missing, generator)
    n_groups = int(group.max()) + 1
    models = {
        j: _model(values[:, j], variables[j], Level(group, n_groups, np.zeros(n_groups)))
        for j in range(len(variables))
        if missing[:, j].any()
    }
    means = np.full((iterations, len(variables)), np.nan)
    for step in range(iterations):
        for j, model in models.items():
            x = design(filled, [variables[k] for k in predictors[j]], predictors[j], group)
            filled[missing[:, j], j] = model.draw(x, generator)
            means[step, j] = filled[missing[:, j], j].mean()
    return Chain(filled, means)


def _margins(values: np.ndarray, missing: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A start: each gap filled with the answer of somebody else."""
    filled = values.copy()
    for j in range(values.shape[1]):
        there = values[~missing[:, j], j]
        filled[missing[:, j], j] = generator.choice(there, missing[:, j].sum())
    return filled


def _model(y: np.ndarray, variable: Variable, level: Level) -> Any:
    if variable.kind == "number":
        return NumberModel(y, level, variable.low, variable.high)
    if variable.kind == "nominal" and len(np.unique(y[~np.isnan(y)])) > 2:
        return NominalModel(y)
    return OrdinalModel(y, level)


def design(filled: np.ndarray, variables: Sequence[Variable], columns: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Standardised predictors, nominal ones as indicators, and beside each its cluster mean."""
    parts = []
    for variable, j in zip(variables, columns):
        if variable.kind == "nominal":
            parts += [(filled[:, j] == code).astype(float) for code in np.unique(filled[:, j])[1:]]
        else:
            parts.append(filled[:, j])
    if not parts:
        return np.zeros((len(filled), 0))
    x = np.column_stack(parts)
    if group.max() >= 0:
        counts = np.bincount(group)
        means = np.column_stack([np.bincount(group, column) / counts for column in x.T])[group]
        x = np.column_stack([x - means, means])
    spread = x.std(axis=0)
    x = (x - x.mean(axis=0)) / np.where(spread > 1e-9, spread, 1.0)
    return x[:, spread > 1e-9]


def chosen_predictors(values: np.ndarray, variables: Sequence[Variable], most: int, least: float) -> list[np.ndarray]:
    """For each variable the others that say most about it, or about who did not answer it.

    By the larger of the two absolute correlations (pairwise), at least ``least``, at most ``most``.
    """
    filled = np.where(np.isnan(values), np.nanmean(values, axis=0), values)
    z = _standardised(filled)
    about = np.abs(z.T @ z) / len(z)
    gaps = _standardised(np.isnan(values).astype(float))
    about = np.maximum(about, np.abs(gaps.T @ z) / len(z))
    np.fill_diagonal(about, 0.0)
    order = np.argsort(-about, axis=1, kind="stable")[:, :most]
    return [np.sort(row[about[j, row] >= least]) for j, row in enumerate(order)]


def _standardised(values: np.ndarray) -> np.ndarray:
    spread = values.std(axis=0)
    return (values - values.mean(axis=0)) / np.where(spread > 1e-12, spread, 1.0)


def potential_scale_reduction(traces: np.ndarray) -> np.ndarray:
    """R̂ of Gelman and Rubin (1992) over the second half of the chains (iterations × chains × variables).

    NaN where that half has fewer than five rounds: it would say nothing.
    """
    half = traces[len(traces) // 2 :]
    n = len(half)
    if n < 5 or half.shape[1] < 2:
        return np.full(traces.shape[2], np.nan)
    within = half.var(axis=0, ddof=1).mean(axis=0)
    among = half.mean(axis=0).var(axis=0, ddof=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.sqrt((n - 1) / n + among / within)


# Of responses ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class Imputations(Result):
    """Several completed samples; analyse each and pool (`pool`).

    ``responses`` are Responses without gaps in the imputed variables, each with its ledger line.
    """

    responses: tuple[Any, ...]
    table: pd.DataFrame
    trace: pd.DataFrame
    provenance: str = "yours"
    settings: dict[str, Any] = field(default_factory=dict)
    diagnostics: tuple[Diagnostic, ...] = ()
    title: str = "Multiple imputation"

    @property
    def m(self) -> int:
        return len(self.responses)

    def tidy(self) -> pd.DataFrame:
        """One row a variable: variable, model, n_missing, missing, predictors, mean_observed, mean_imputed, rhat."""
        return self.table

    def glance(self) -> pd.DataFrame:
        """One row: m, iterations, seed, variables, cells, largest_rhat."""
        return pd.DataFrame(
            {
                "m": [self.m],
                "iterations": [self.settings["iterations"]],
                "seed": [self.settings["seed"]],
                "variables": [int((self.table["n_missing"] > 0).sum())],
                "cells": [int(self.table["n_missing"].sum())],
                "largest_rhat": [self.table["rhat"].max()],
            }
        )

    def notes(self) -> list[str]:
        return [*super().notes(), *(str(one) for one in self.diagnostics)]

    def pool(self, analysis: Callable[[Any], Any], *, df_complete: float = np.inf) -> Pooled:
        """Analyse every completed sample and pool the results by Rubin's rules.

        Parameters
        ----------
        analysis : from Responses to a result with ``tidy()`` (or to a table) that has est and se, or a
            reliability table with alpha and omega; such as ``lambda r: coco.cfa(r, "practices")``
        df_complete : residual degrees of freedom with complete data; taken from a column df where there is one

        Raises
        ------
        ResponseError : NothingToPool, DifferentTables, TooFewImputations
        """
        results = [analysis(one) for one in self.responses]
        tables = [_table(result) for result in results]
        reliable = {"scale", "n_items", "n", "alpha"} <= set(tables[0])
        table = pooled_reliability(tables) if reliable else pooled_tables(tables, df_complete=df_complete)
        return Pooled(table, self.m, _whole_model(results), self.provenance)


def _table(result: Any) -> pd.DataFrame:
    return (result if isinstance(result, pd.DataFrame) else result.tidy()).reset_index(drop=True)


def _whole_model(results: Sequence[Any]) -> pd.DataFrame:
    """D2 of the models' χ², where the results have one."""
    if not all(hasattr(result, "glance") for result in results):
        return pd.DataFrame()
    rows = [result.glance().iloc[0] for result in results]
    for chi2, df in (("chi2_scaled", "df_scaled"), ("chi2", "df")):
        if all(chi2 in row and df in row and pd.notna(row[chi2]) and row[df] > 0 for row in rows):
            test = d2([float(row[chi2]) for row in rows], float(rows[0][df]))
            return pd.DataFrame(
                {"test": [f"D2 of {chi2}"], **{name: [value] for name, value in test._asdict().items()}}
            )
    return pd.DataFrame()


@in_one_thread
def impute(
    responses: Any,
    names: str | Iterable[str] | None = None,
    *,
    m: int = 20,
    iterations: int = 20,
    seed: int = 0,
    background: Iterable[str] | None = None,
    most_predictors: int = 15,
    least_correlation: float = 0.1,
) -> Imputations:
    """Fill missing answers several times, each time with another plausible value.

    Parameters
    ----------
    responses : Responses
    names : the items (or constructs, blocks) to complete; None for all. They predict each other.
    m : number of completed samples, at least 2
    iterations : rounds of each chain before its sample is taken; look at ``rhat`` in ``tidy()``
    seed : the same seed gives the same samples
    background : background questions in the models, completed like the items; None for all that are
        categorical or numeric and asked of persons. Those of collaborations predict, when complete.
    most_predictors, least_correlation : how the predictors of each variable are chosen

    Returns
    -------
    Imputations. Cells that do not apply stay empty; answers are assumed missing at random given the
    predictors, which 'cannot judge' may violate: compare with the answers as they are.

    Raises
    ------
    ResponseError : NothingMissing, EmptyItem, TooFewImputations
    """
    of_responses(responses)
    if m < 2:
        raise ResponseError(f"Imputation needs at least 2 samples, better 20; {m} came.", code="TooFewImputations")
    frame, variables, labels = _columns(responses, names, background)
    applies = _applies(responses, frame)
    values = np.where(applies, frame.to_numpy(), np.nan)
    _imputable(values, variables, applies)
    group = _clusters(responses)
    most = max(1, min(most_predictors, len(frame) // 20))
    predictors = chosen_predictors(values, variables, most, least_correlation)
    generators = [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(m)]
    chains = [
        run_chain(values, variables, predictors, group, iterations=iterations, generator=generator)
        for generator in generators
    ]
    settings = {
        "m": m,
        "iterations": iterations,
        "seed": seed,
        "cluster": responses.survey.cluster if group.max() >= 0 else None,
        "most_predictors": most,
        "least_correlation": least_correlation,
    }
    target = np.isnan(values) & applies
    table = _summary(values, target, chains, variables, predictors)
    completed = tuple(
        _completed(responses, frame, chain.values, target, labels, f"imputation {i + 1} of {m}, seed {seed}")
        for i, chain in enumerate(chains)
    )
    return Imputations(completed, table, _trace(chains, variables), responses.provenance, settings, _doubts(table))


def _columns(
    responses: Any, names: Any, background: Iterable[str] | None
) -> tuple[pd.DataFrame, list[Variable], dict[str, list[str]]]:
    """Items and background as numbers, what each is, and the categories behind nominal codes."""
    survey, answers = responses.survey, responses.answers
    columns = {id: answers[id].to_numpy(dtype=float, na_value=np.nan) for id in survey.item_ids(names) if id in answers}
    variables = [Variable(id, "ordinal") for id in columns]
    labels: dict[str, list[str]] = {}
    for id in _background(responses, background):
        question = survey.background[id]
        if question.kind == "numeric":
            columns[id] = answers[id].to_numpy(dtype=float, na_value=np.nan)
            variables.append(Variable(id, "number", question.minimum, question.maximum))
        else:
            labels[id] = list(question.categories)
            codes = pd.Categorical(answers[id].astype(object), categories=labels[id]).codes.astype(float)
            columns[id] = np.where(codes < 0, np.nan, codes)
            variables.append(Variable(id, "nominal"))
    return pd.DataFrame(columns, index=answers.index), variables, labels


def _background(responses: Any, wanted: Iterable[str] | None) -> list[str]:
    survey, answers = responses.survey, responses.answers
    able = {
        id: one for id, one in survey.background.items() if one.kind in ("categorical", "numeric") and id in answers
    }
    if wanted is not None:
        unknown = [id for id in wanted if id not in able]
        if unknown:
            raise ResponseError(
                f"{listed(unknown)} cannot be imputed: it is no categorical or numeric background question of these "
                f"responses. They have {listed(able)}.",
                code="UnknownVariable",
            )
        return list(wanted)
    useful = {id: answers[id].nunique() > 1 and answers[id].notna().mean() >= 0.5 for id in able}
    return [
        id for id, one in able.items() if useful[id] and (one.level != "collaboration" or answers[id].notna().all())
    ]


def _applies(responses: Any, frame: pd.DataFrame) -> np.ndarray:
    return (responses.reasons[list(frame.columns)].astype(object) != "does_not_apply").to_numpy()


def _imputable(values: np.ndarray, variables: Sequence[Variable], applies: np.ndarray) -> None:
    empty = [one.name for one, column in zip(variables, values.T) if np.isnan(column).all()]
    if empty:
        raise ResponseError(
            f"Nobody answered {listed(empty)}, so nothing is known from which to impute; name the other items.",
            code="EmptyItem",
        )
    if not (np.isnan(values) & applies).any():
        raise ResponseError("No answer is missing; analyse the responses as they are.", code="NothingMissing")


def _clusters(responses: Any) -> np.ndarray:
    """The cluster number of each row; a row without a cluster is one of its own."""
    cluster, answers = responses.survey.cluster, responses.answers
    if not cluster or cluster not in answers or answers[cluster].nunique() < 2:
        return np.full(len(answers), -1)
    names = answers[cluster].astype(object).where(answers[cluster].notna(), answers.index.astype(str) + " alone")
    return pd.factorize(names)[0]


def _completed(
    responses: Any,
    frame: pd.DataFrame,
    values: np.ndarray,
    target: np.ndarray,
    labels: dict[str, list[str]],
    words: str,
) -> Any:
    answers, reasons = responses.answers.copy(deep=False), responses.reasons.copy(deep=False)
    for j, name in enumerate(frame.columns):
        rows = target[:, j]
        if not rows.any():
            continue
        if name in labels:
            told = pd.Series(
                [labels[name][int(code)] for code in values[rows, j]], index=answers.index[rows], dtype="str"
            )
        elif name in responses.survey.items:
            told = pd.Series(values[rows, j].astype(np.int64), index=answers.index[rows], dtype="Int64")
        else:
            told = pd.Series(values[rows, j], index=answers.index[rows])
        answers[name] = answers[name].where(~rows, told.reindex(answers.index))
        reasons[name] = reasons[name].where(~rows)
    line = entry(
        "impute", f"{words}: chained equations", len(answers), rows=target.any(axis=1).sum(), cells=target.sum()
    )
    return replace(responses, answers=answers, reasons=reasons, entries=(*responses.entries, line))


MODELS = {"ordinal": "ordered probit", "number": "normal regression", "nominal": "multinomial logit"}


def _summary(
    values: np.ndarray,
    target: np.ndarray,
    chains: Sequence[Chain],
    variables: Sequence[Variable],
    predictors: Sequence[Any],
) -> pd.DataFrame:
    rhat = potential_scale_reduction(np.stack([chain.means for chain in chains], axis=1))
    rows = []
    for j, variable in enumerate(variables):
        drawn = np.concatenate([chain.values[target[:, j], j] for chain in chains])
        ordered = variable.kind != "nominal"
        rows.append(
            {
                "variable": variable.name,
                "model": MODELS[variable.kind],
                "n_missing": int(target[:, j].sum()),
                "missing": float(target[:, j].mean()),
                "predictors": listed([variables[k].name for k in predictors[j]], 30),
                "mean_observed": np.nanmean(values[:, j]) if ordered else np.nan,
                "mean_imputed": drawn.mean() if len(drawn) and ordered else np.nan,
                "rhat": rhat[j] if ordered else np.nan,
            }
        )
    return pd.DataFrame(rows)


def _trace(chains: Sequence[Chain], variables: Sequence[Variable]) -> pd.DataFrame:
    """One row an iteration, chain and variable: the mean of the imputed values."""
    stacked = np.stack([chain.means for chain in chains])
    index = pd.MultiIndex.from_product(
        [range(1, stacked.shape[0] + 1), range(1, stacked.shape[1] + 1), [one.name for one in variables]],
        names=["chain", "iteration", "variable"],
    )
    return pd.DataFrame({"mean": stacked.ravel()}, index=index).dropna().reset_index()


def _doubts(table: pd.DataFrame) -> tuple[Diagnostic, ...]:
    slow = table.loc[table["rhat"] > 1.1, "variable"]
    much = table.loc[table["missing"] > 0.5, "variable"]
    found = []
    if len(slow):
        words = f"R̂ above 1.1 for {listed(slow)}: take more iterations, or read the traces."
        found.append(Diagnostic("ChainsDiffer", words, "warning"))
    if len(much):
        words = f"More than half of {listed(much)} is imputed: its results rest on the model."
        found.append(Diagnostic("MostlyImputed", words, "warning"))
    return tuple(found)
