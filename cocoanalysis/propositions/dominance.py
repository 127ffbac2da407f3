"""Which predictors matter most when they go together: dominance analysis (Budescu, 1993; Azen & Budescu, 2003).

R² of every subset of the predictors, from one covariance matrix. General dominance is a
predictor's average contribution over all subsets (its Shapley value) and the contributions add up
to R². With clusters, everything is centred within them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from cocoanalysis.errors import ModelError, listed
from cocoanalysis.propositions.estimands import Equation, answers_to, matrices, trouble
from cocoanalysis.result import Result

MOST = 14  # predictors: 2¹⁴ subsets


@dataclass(frozen=True, repr=False)
class Dominance(Result):
    """`tidy()` one row a predictor, `conditional()` by number of others, `pairs()` who dominates whom completely."""

    predictors: tuple[str, ...]
    gains: Mapping[frozenset[int], np.ndarray]  # subset → R² gained by each predictor (NaN for members)
    r_squared: float
    control_r_squared: float
    numbers: Mapping[str, Any]
    settings: Mapping[str, Any] = field(default_factory=dict)
    provenance: str = "yours"
    survey: Any = None
    title: str = "Dominance analysis"

    def conditional(self) -> pd.DataFrame:
        """Mean gain of each predictor beside k others (columns), k from 0."""
        sizes = range(len(self.predictors))
        table = {k: np.nanmean([g for s, g in self.gains.items() if len(s) == k], axis=0) for k in sizes}
        return pd.DataFrame(table, index=list(self.predictors)).rename_axis("predictor").reset_index()

    def tidy(self) -> pd.DataFrame:
        """Columns predictor, alone (R² by itself beyond the controls), last (gain when added last), general, share,
        rank."""
        by_size = self.conditional().set_index("predictor")
        general = by_size.mean(axis=1).to_numpy()
        gained = self.r_squared - self.control_r_squared
        ranks = (-general).argsort().argsort() + 1
        return pd.DataFrame(
            {
                "predictor": self.predictors,
                "alone": by_size[0].to_numpy(),
                "last": by_size[len(self.predictors) - 1].to_numpy(),
                "general": general,
                "share": general / gained if gained > 0 else np.nan,
                "rank": ranks,
            }
        )

    def pairs(self) -> pd.DataFrame:
        """Complete dominance: for each pair, which one gains more beside *every* subset of the others (or neither)."""
        rows = []
        for i, j in combinations(range(len(self.predictors)), 2):
            gaps = [g[i] - g[j] for s, g in self.gains.items() if not {i, j} & s]
            winner = i if min(gaps) > 0 else j if max(gaps) < 0 else None
            name = None if winner is None else self.predictors[winner]
            rows.append([self.predictors[i], self.predictors[j], name, float(np.mean(np.array(gaps) > 0))])
        return pd.DataFrame(rows, columns=["first", "second", "dominates", "share_first"])

    def glance(self) -> pd.DataFrame:
        known = {"r_squared": self.r_squared, "control_r_squared": self.control_r_squared}
        return pd.DataFrame([{**known, **self.numbers, **self.settings}])

    def notes(self) -> list[str]:
        return [*super().notes(), "Shares of explained variance rank predictors in these data; they are no effects."]


def dominance(
    data: Any,
    *,
    outcome: str,
    predictors: Sequence[str],
    controls: Sequence[str] = (),
    cluster: str | bool | None = None,
) -> Dominance:
    """Rank predictors by what each adds to R² beside every subset of the others, the controls always held.

    Parameters
    ----------
    data : Responses or DataFrame
    outcome, predictors, controls : names of scores, items, background questions or columns
    cluster : column of the clusters, within which all is centred; None takes the survey's; False none

    Raises
    ------
    ModelError : UnknownVariable, TooManyPredictors, NotIdentified

    Examples
    --------
    >>> random = np.random.default_rng(1)
    >>> table = pd.DataFrame(random.normal(size=(500, 2)), columns=["a", "b"])
    >>> table["y"] = 2 * table.a + table.b + random.normal(size=500)
    >>> dominance(table, outcome="y", predictors=["a", "b"]).tidy()["rank"].tolist()
    [1, 2]
    """
    if not 2 <= len(predictors) <= MOST:
        raise ModelError(
            f"Dominance analysis takes 2 to {MOST} predictors, since every subset is fitted; {len(predictors)} came.",
            code="TooManyPredictors",
        )
    answers = answers_to(data, [outcome, *predictors, *controls], cluster)
    clustered = answers.clusters is not None
    if clustered and any(answers.of_clusters.get(name, False) for name in predictors):
        fixed = [name for name in predictors if answers.of_clusters.get(name, False)]
        raise ModelError(f"{listed(fixed)} do(es) not vary within clusters; take cluster=False.", code="NotIdentified")
    built = Equation(outcome, tuple(predictors), (), None, tuple(controls), clustered, clustered)
    numbers = matrices(built, answers)
    problem = trouble(numbers)
    if problem:
        raise ModelError(f"{problem[:1].upper()}{problem[1:]}.", code="NotIdentified")
    places = [numbers.terms.index(built.term(name)) for name in predictors]
    gains, full, base = _gains(numbers.regressors, _outcome(numbers.outcome, numbers.codes), places)
    return Dominance(
        predictors=tuple(predictors),
        gains=gains,
        r_squared=full,
        control_r_squared=base,
        numbers={"n": len(numbers.outcome), "n_clusters": numbers.n_clusters},
        settings={"outcome": outcome, "controls": listed(controls) or None, "cluster": answers.cluster_name},
        provenance=getattr(data, "provenance", "yours"),
        survey=getattr(data, "survey", None),
    )


def _outcome(outcome: np.ndarray, codes: np.ndarray | None) -> np.ndarray:
    if codes is None:
        return outcome - outcome.mean()
    return outcome - (np.bincount(codes, outcome) / np.bincount(codes))[codes]


def _gains(
    x: np.ndarray, outcome: np.ndarray, places: Sequence[int]
) -> tuple[dict[frozenset[int], np.ndarray], float, float]:
    """R² gained by each predictor beside every subset, R² of all, and R² of what is always held."""
    held = np.linalg.qr(np.delete(x, list(places), axis=1))[0]
    free = x[:, list(places)] - held @ (held.T @ x[:, list(places)])
    left = outcome - held @ (held.T @ outcome)
    total = float(outcome @ outcome)
    gram, cross = free.T @ free, free.T @ left
    members = range(len(places))
    explained = {
        frozenset(chosen): _explained(gram, cross, list(chosen)) / total
        for size in range(len(places) + 1)
        for chosen in combinations(members, size)
    }
    gains = {
        subset: np.array([np.nan if k in subset else explained[subset | {k}] - value for k in members])
        for subset, value in explained.items()
        if len(subset) < len(places)
    }
    base = 1 - float(left @ left) / total
    return gains, base + explained[frozenset(members)], base


def _explained(gram: np.ndarray, cross: np.ndarray, chosen: list[int]) -> float:
    return float(cross[chosen] @ np.linalg.solve(gram[np.ix_(chosen, chosen)], cross[chosen])) if chosen else 0.0
