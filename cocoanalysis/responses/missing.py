"""Missing answers: how many, why, in which patterns, and whether their absence follows the answers.

Imputation is in `imputation`, pooling of imputed results in `pooling`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from cocoanalysis.arguments import of_responses
from cocoanalysis.errors import ResponseError, listed
from cocoanalysis.responses.selection import select
from cocoanalysis.result import Result

# Normal moments with missing values (arrays) ----------------------------------------------------------


@dataclass(frozen=True)
class Moments:
    """Maximum-likelihood means and covariances (divisor n) of incomplete normal data."""

    means: np.ndarray
    covariance: np.ndarray
    iterations: int
    converged: bool


def em_moments(values: np.ndarray, tolerance: float = 1e-9, most: int = 2000) -> Moments:
    """Means and covariances by the EM algorithm (Little & Rubin, 2002, ch. 11), missing = NaN.

    With P the inverse covariance and m the missing part of a row, the missing part has the mean
    μₘ − Pₘₘ⁻¹ Pₘₒ(yₒ − μₒ) and the covariance Pₘₘ⁻¹ given what was answered; rows with the same
    number of gaps are worked on together. Rows without an answer carry no information.
    """
    values = values[~np.isnan(values).all(axis=1)]
    missing = np.isnan(values)
    means = np.nanmean(values, axis=0)
    covariance = np.diag(np.nanvar(values, axis=0))
    scale = np.sqrt(np.diag(covariance))
    for step in range(1, most + 1):
        filled, extra = _expected(values, missing, means, covariance)
        new_means = filled.mean(axis=0)
        centred = filled - new_means
        new_covariance = (centred.T @ centred + extra) / len(values)
        change = max(
            np.abs((new_means - means) / scale).max(),
            np.abs((new_covariance - covariance) / np.outer(scale, scale)).max(),
        )
        means, covariance = new_means, new_covariance
        if change < tolerance:
            return Moments(means, covariance, step, True)
    return Moments(means, covariance, most, False)


def _expected(
    values: np.ndarray, missing: np.ndarray, means: np.ndarray, covariance: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Rows with their missing part expected, and the sum of that part's conditional covariances."""
    precision = np.linalg.inv(covariance)
    centred = np.where(missing, 0.0, values - means)
    half = centred @ precision
    extra = np.zeros_like(covariance)
    lacking = missing.sum(axis=1)
    for m in np.unique(lacking[lacking > 0]):
        rows = np.flatnonzero(lacking == m)
        for part in np.array_split(rows, max(1, len(rows) * m * m // 2_000_000)):
            where = np.nonzero(missing[part])[1].reshape(len(part), m)
            spread = np.linalg.inv(precision[where[:, :, None], where[:, None, :]])
            side = np.take_along_axis(half[part], where, axis=1)
            expected = -np.einsum("rij,rj->ri", spread, side)
            centred[part[:, None], where] = expected
            np.add.at(extra, (where[:, :, None], where[:, None, :]), spread)
    return centred + means, extra


def mcar_statistic(values: np.ndarray, moments: Moments) -> tuple[float, int, int]:
    """Little's d² (1988, eq. 5), its degrees of freedom, and the number of patterns."""
    values = values[~np.isnan(values).all(axis=1)]
    there = ~np.isnan(values)
    patterns, group = np.unique(there, axis=0, return_inverse=True)
    counts = np.bincount(group)
    filled = np.where(there, values - moments.means, 0.0)
    sums = np.zeros((len(patterns), values.shape[1]))
    np.add.at(sums, group, filled)
    statistic = 0.0
    for pattern, count, total in zip(patterns, counts, sums):
        mean = total[pattern] / count
        statistic += count * mean @ np.linalg.solve(moments.covariance[np.ix_(pattern, pattern)], mean)
    return float(statistic), int(patterns.sum() - values.shape[1]), len(patterns)


FEW = 3  # people a pattern, on average, below which Little's test is said to be rough

# Of responses ---------------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class LittleTest(Result):
    """Little's test of whether answers are missing completely at random.

    A small p says that people with gaps answered the rest differently: the gaps are not
    completely at random. A large p does not show that they are at random.
    """

    chi2: float
    df: int
    p_value: float
    n: int
    n_patterns: int
    variables: tuple[str, ...]
    reason: str = ""
    provenance: str = "yours"
    title: str = "Little's test of missing completely at random"

    def tidy(self) -> pd.DataFrame:
        """One row: chi2, df, p_value, n, n_patterns, reason (why there is no test, else empty)."""
        names = ("chi2", "df", "p_value", "n", "n_patterns", "reason")
        return pd.DataFrame({name: [getattr(self, name)] for name in names})

    glance = tidy

    def notes(self) -> list[str]:
        if self.reason or self.n >= FEW * self.n_patterns:
            return super().notes()
        words = (
            f"{self.n} people have {self.n_patterns} patterns: with fewer than {FEW} people a pattern the χ² "
            f"approximation is "
            "rough. Test the scores, or the items of one construct, instead."
        )
        return [*super().notes(), words]


def little_mcar(data: Any, names: Any = None) -> LittleTest:
    """Little's (1988) test of missing completely at random, on normal moments by maximum likelihood.

    Parameters
    ----------
    data : Responses or DataFrame
    names : items, a construct or a block; None for all items (fewer variables give the test more power)

    Returns
    -------
    LittleTest: d² with Σⱼ pⱼ − p degrees of freedom (pⱼ answered items of pattern j). Where it cannot
    be computed the values are missing and ``reason`` says why. The covariance is the
    maximum-likelihood one (divisor n), as in Little's paper.
    """
    selection = select(data, names, keyed=False)
    values, columns = selection.frame.to_numpy(), tuple(str(name) for name in selection.frame.columns)
    n = int((~np.isnan(values).all(axis=1)).sum())
    reason = _untestable(selection.frame)
    if not reason:
        moments = em_moments(values)
        if not moments.converged:
            reason = f"the EM algorithm did not converge in {moments.iterations} steps: too many gaps for {n} rows"
        elif np.linalg.eigvalsh(moments.covariance)[0] < 1e-10:
            reason = "the covariance matrix is singular: some items say the same"
    if reason:
        patterns = len(np.unique(np.isnan(values), axis=0)) if len(values) else 0
        return LittleTest(np.nan, 0, np.nan, n, patterns, columns, reason, selection.provenance)
    statistic, df, patterns = mcar_statistic(values, moments)
    return LittleTest(
        statistic, df, float(stats.chi2.sf(statistic, df)), n, patterns, columns, "", selection.provenance
    )


def _untestable(frame: pd.DataFrame) -> str:
    empty = [str(name) for name in frame if frame[name].notna().sum() < 2]
    constant = [str(name) for name in frame if frame[name].nunique() == 1]
    if empty:
        return f"hardly anybody answered {listed(empty)}"
    if constant:
        return f"everybody gave the same answer to {listed(constant)}"
    if not frame.isna().to_numpy().any():
        return "no answer is missing"
    if len(frame) <= frame.shape[1]:
        return f"{len(frame)} rows are too few for {frame.shape[1]} variables"
    if len(np.unique(frame.dropna(how="all").isna().to_numpy(), axis=0)) == 1:
        return "all rows have the same pattern"
    return ""


@dataclass(frozen=True, repr=False)
class Missingness(Result):
    """How many answers are missing, for which reason, where, and in which patterns."""

    reasons: pd.DataFrame  # reason of each cell (rows are responses, columns items), NA where answered
    survey: Any
    background: pd.DataFrame
    provenance: str = "yours"
    title: str = "Missing answers"

    @property
    def items(self) -> list[str]:
        return [str(name) for name in self.reasons.columns]

    @property
    def shares(self) -> list[str]:
        """The columns of `tidy` that are shares of the people asked."""
        found = {str(one) for column in self.reasons for one in self.reasons[column].dropna().unique()}
        return ["missing", *sorted(found)]

    def tidy(self) -> pd.DataFrame:
        """One row an item: item, construct, n, n_missing, missing, and the share of each reason."""
        rows = [{"item": id, "construct": self.survey.items[id].construct, **self._rates([id])} for id in self.items]
        return pd.DataFrame(rows).fillna(0.0)

    def by_construct(self) -> pd.DataFrame:
        """One row a construct: construct, n_items, n_missing, missing, and the share of each reason."""
        owned = {id: [item for item in one.items if item in self.reasons] for id, one in self.survey.constructs.items()}
        rows = [
            {"construct": id, "n_items": len(items), **self._rates(items)} for id, items in owned.items() if len(items)
        ]
        return pd.DataFrame(rows).fillna(0.0)

    def by(self, group: str) -> pd.DataFrame:
        """One row a group (such as a role): group, n, n_missing, missing, and the share of each reason."""
        if group not in self.background:
            raise ResponseError(
                f"There is no column '{group}'; the responses have {listed(self.background.columns)}.",
                code="UnknownVariable",
            )
        rows = [
            {group: name, **self._rates(self.items, self.background[group] == name)}
            for name in sorted(self.background[group].dropna().unique())
        ]
        return pd.DataFrame(rows).fillna(0.0)

    def across(self, group: str) -> pd.DataFrame:
        """Share of missing answers, constructs × groups (such as roles), with the size of the groups in ``attrs``.

        Raises
        ------
        ResponseError : UnknownVariable
        """
        sizes = self.by(group).set_index(group)["n"]
        members = {name: (self.background[group] == name).fillna(False).to_numpy(dtype=bool) for name in sizes.index}
        absent = self.reasons.notna()
        owned = {id: [item for item in one.items if item in absent] for id, one in self.survey.constructs.items()}
        shares = {
            id: {name: absent.loc[rows, items].to_numpy().mean() for name, rows in members.items()}
            for id, items in owned.items()
            if items
        }
        frame = pd.DataFrame.from_dict(shares, orient="index").rename_axis(index="construct", columns=group)
        frame.attrs["n"] = {str(name): int(size) for name, size in sizes.items()}
        return frame

    def patterns(self, limit: int = 20) -> pd.DataFrame:
        """The commonest patterns: n, share, n_missing, missing (the items without an answer, or 'none')."""
        absent = self.reasons.notna().to_numpy()
        patterns, group = np.unique(absent, axis=0, return_inverse=True)
        counts = np.bincount(group, minlength=len(patterns))
        names = np.array(self.reasons.columns, dtype=object)
        rows = [
            (counts[i], counts[i] / len(absent), int(patterns[i].sum()), listed(names[patterns[i]], 8) or "none")
            for i in np.argsort(-counts, kind="stable")[:limit]
        ]
        return pd.DataFrame(rows, columns=["n", "share", "n_missing", "missing"])

    def glance(self) -> pd.DataFrame:
        """One row: n, complete_rows, missing (share of cells), n_patterns."""
        absent = self.reasons.notna().to_numpy()
        return pd.DataFrame(
            {
                "n": [len(absent)],
                "complete_rows": [int((~absent.any(axis=1)).sum())],
                "missing": [absent.mean() if absent.size else np.nan],
                "n_patterns": [len(np.unique(absent, axis=0))],
            }
        )

    def _rates(self, items: list[str], rows: Any = None) -> dict[str, Any]:
        some = self.reasons[items] if rows is None else self.reasons.loc[rows.fillna(False), items]
        cells = max(some.size, 1)
        told = pd.Series(some.to_numpy(dtype=object).ravel()).value_counts()
        shares = {str(reason): count / cells for reason, count in told.items()}
        return {"n": len(some), "n_missing": int(told.sum()), "missing": told.sum() / cells, **shares}


def missingness(responses: Any, names: Any = None) -> Missingness:
    """How many answers to these items are missing and why; all items unless named."""
    of_responses(responses)
    items = [id for id in responses.survey.item_ids(names) if id in responses.answers]
    others = [name for name in responses.answers if name not in responses.survey.items]
    return Missingness(
        responses.reasons[items], responses.survey, responses.answers[others], provenance=responses.provenance
    )
