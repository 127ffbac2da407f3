"""Sample moments of ordinal and mixed answers, with their full asymptotic covariance.

Thresholds, polychoric, polyserial and product-moment correlations in two steps, and the covariance
matrix of them all (Muthén 1984), in lavaan's order. With covariates all moments are conditional
on them: probit and linear regressions come first, residual correlations second.

Policy on zero cells: a 2 × 2 table with one empty cell gets half a person in it with the margins kept;
no other table is changed. lavaan 0.6-14 does the same (``zero.add = c(.5, 0)``, ``zero.keep.margins``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from cocoanalysis.errors import Diagnostic, ModelError, ResponseError, listed, one_of
from cocoanalysis.measurement import contingency
from cocoanalysis.measurement.casewise import Alone, Together, linear_alone, probit_alone, together
from cocoanalysis.measurement.contingency import Coded, Items, Pairs
from cocoanalysis.responses.selection import select
from cocoanalysis.result import Result
from cocoanalysis.threads import in_one_thread

MOST_CATEGORIES = 12  # a column with more values is no ordinal item unless it is named as one
CHUNK = 2048  # respondents whose influence is held at once


@dataclass(frozen=True)
class Moments:
    """Ordinal or mixed moments of one group, and what their weight matrices are made of.

    ``wls_obs`` and ``gamma`` (n times the asymptotic covariance) are in lavaan's order: for each variable its
    thresholds or its negative mean (intercept), slopes one covariate after the other, variances of continuous
    variables, and the strict lower triangle of ``cov`` column by column.
    """

    n: int
    names: tuple[str, ...]
    exogenous: tuple[str, ...]
    ordered: np.ndarray
    levels: np.ndarray
    mean: np.ndarray
    cov: np.ndarray
    thresholds: np.ndarray
    threshold_index: np.ndarray
    slopes: np.ndarray
    mean_x: np.ndarray
    cov_x: np.ndarray
    wls_obs: np.ndarray
    gamma: np.ndarray
    diagnostics: tuple[Diagnostic, ...] = ()
    gamma_clustered: np.ndarray | None = None  # the same when whole clusters were drawn; estimates do not use it


def ordinal_moments(
    frame: pd.DataFrame,
    ordered: Iterable[str],
    exogenous: Iterable[str] = (),
    missing: str = "listwise",
    weights: np.ndarray | None = None,
    *,
    levels: Mapping[str, np.ndarray] | None = None,
    group: str | None = None,
    clusters: np.ndarray | None = None,
) -> Moments:
    """Thresholds, (polychoric) correlations and all else that WLSMV needs of one group.

    Parameters
    ----------
    frame : float64, one row a respondent of the group, NaN where missing
    ordered : the ordinal columns
    exogenous : covariates on which everything is conditional; rows without them are left out
    missing : 'listwise', or 'pairwise' (each moment from all rows that have it)
    weights : sampling weights, (rows,), used as they are (lavaan scales them to sum to n)
    levels : categories of each ordinal column over all groups; a category that is empty here is an error
    group : the group's label, for messages
    clusters : cluster codes, (rows,); ``gamma_clustered`` then lets respondents of one cluster depend on each other

    Raises
    ------
    ModelError : EmptyCategory, ConstantItem, AllMissing, TooFewRows, NoCommonAnswers, Dependency, Separation
    """
    return _Sample.of(frame, ordered, exogenous, missing, weights, levels, group, clusters).moments()


@dataclass(frozen=True)
class _Sample:
    """Rows that are used, as arrays, and the two steps of estimation on them."""

    names: tuple[str, ...]
    ordered: np.ndarray  # (p,) bool
    values: np.ndarray  # (n, p)
    exogenous: tuple[str, ...]
    x: np.ndarray  # (n, q)
    weights: np.ndarray | None
    categories: list[np.ndarray]  # of the ordered variables, in order
    clusters: np.ndarray | None = None  # (n,) codes 0 …
    group: str | None = None  # for messages

    @classmethod
    def of(
        cls,
        frame: pd.DataFrame,
        ordered: Iterable[str],
        exogenous: Iterable[str] = (),
        missing: str = "listwise",
        weights: np.ndarray | None = None,
        levels: Mapping[str, np.ndarray] | None = None,
        group: str | None = None,
        clusters: np.ndarray | None = None,
    ) -> _Sample:
        one_of(missing, ("listwise", "pairwise"), "treatment of missing answers")
        exogenous, known = tuple(exogenous), set(ordered)
        names = tuple(str(c) for c in frame.columns if c not in exogenous)
        values, x = frame[list(names)].to_numpy(dtype=float), frame[list(exogenous)].to_numpy(dtype=float)
        mask = np.array([name in known for name in names], dtype=bool)
        _refuse_all_missing(values, names, group)
        keep = _usable(values, x, missing)
        if not keep.all():
            values, x = values[keep], x[keep]
            weights = None if weights is None else weights[keep]
            clusters = None if clusters is None else clusters[keep]
        codes = None if clusters is None else np.unique(clusters, return_inverse=True)[1]
        categories = _categories(values[:, mask], [n for n, m in zip(names, mask) if m], levels, group)
        _refuse_constant(values, names, mask, group)
        _refuse_strangers(values, names, group)
        _refuse_collinear(x, exogenous, group)
        return cls(names, mask, values, exogenous, x, weights, categories, codes, group)

    @property
    def n(self) -> int:
        return len(self.values)

    @cached_property
    def levels(self) -> np.ndarray:
        levels = np.zeros(len(self.names), dtype=int)
        levels[self.ordered] = [len(c) for c in self.categories]
        return levels

    @cached_property
    def w(self) -> np.ndarray:
        return np.ones(self.n) if self.weights is None else self.weights

    @cached_property
    def coded(self) -> Coded:
        return contingency.encode(self.values[:, self.ordered], self.categories)

    @cached_property
    def tables(self) -> np.ndarray:
        return contingency.cross_tables(self.coded, self.weights)

    @cached_property
    def items(self) -> Items:
        return contingency.item_statistics(contingency.margins(self.tables), self.coded.levels)

    @cached_property
    def by_table(self) -> Pairs | None:
        """Pairs of ordinal variables, when no covariate makes their limits personal."""
        if self.exogenous or self.ordered.sum() < 2:
            return None
        return contingency.pair_correlations(self.tables, self.items, self.coded.levels)

    @cached_property
    def alone(self) -> list[Alone | None]:
        """First step, casewise; None for ordinal variables whose tables say it all."""
        casewise = bool(self.exogenous) or not self.ordered.all()
        return [self._alone(j) if casewise else None for j in range(len(self.names))]

    def _alone(self, j: int) -> Alone:
        if not self.ordered[j]:
            return linear_alone(self.values[:, j], self.x, self.w)
        item = int(self.ordered[:j].sum())
        count = self.levels[j]
        codes = np.where(self.coded.codes[:, item] == self.coded.top, count, self.coded.codes[:, item])
        found = probit_alone(codes, count, self.x, self.w, self.items.thresholds[item, : count - 1])
        if found is None:
            raise ModelError(
                f"The covariates {listed(self.exogenous)} separate the categories of '{self.names[j]}'"
                f"{_in(self.group)} completely, so its regression on them has no finite slope. "
                "Merge categories or leave a covariate out.",
                code="Separation",
            )
        return found

    @cached_property
    def casewise(self) -> dict[tuple[int, int], Together]:
        """Second step of the pairs that no table holds: (first, second) → correlation and influence."""
        chosen = {}
        for j, i in zip(*np.triu_indices(len(self.names), 1)):
            if self.exogenous or not (self.ordered[i] and self.ordered[j]):
                one, two = self.alone[j], self.alone[i]
                if one is not None and two is not None:
                    chosen[int(j), int(i)] = together(one, two, self.w)
        return chosen

    @cached_property
    def correlations(self) -> np.ndarray:
        p = len(self.names)
        matrix = np.eye(p)
        if self.by_table is not None:
            places = np.flatnonzero(self.ordered)
            matrix[places[self.by_table.first], places[self.by_table.second]] = self.by_table.rho
        for (j, i), pair in self.casewise.items():
            matrix[j, i] = pair.rho
        return np.triu(matrix, 1) + np.triu(matrix, 1).T + np.eye(p)

    @cached_property
    def table_influence(self) -> np.ndarray:
        return contingency.influence_tables(self.by_table, self.items) if self.by_table else np.empty((0, 0, 0))

    def influence_of_correlations(self, rows: slice) -> np.ndarray:
        """How each respondent moves each correlation, (pairs in lavaan's order, rows)."""
        p = len(self.names)
        if self.by_table is not None and self.ordered.all():
            return self._looked_up(rows)
        position = np.zeros((p, p), dtype=int)
        position[np.triu_indices(p, 1)] = np.arange(p * (p - 1) // 2)
        moved = np.empty((p * (p - 1) // 2, len(range(*rows.indices(self.n)))))
        if self.by_table is not None:
            places = np.flatnonzero(self.ordered)
            moved[position[places[self.by_table.first], places[self.by_table.second]]] = self._looked_up(rows)
        for (j, i), pair in self.casewise.items():
            moved[position[j, i]] = pair.influence[rows]
        return moved

    def _looked_up(self, rows: slice) -> np.ndarray:
        """The influence tables read at each respondent's two answers, item by item so that a table stays in cache."""
        codes, width = np.ascontiguousarray(self.coded.codes[rows].T), self.coded.top + 1
        tables = self.table_influence.reshape(-1, width * width)
        moved, start = np.empty((len(tables), codes.shape[1])), 0
        for item in range(len(codes) - 1):
            count = len(codes) - 1 - item
            cell = codes[item + 1 :] + codes[item] * width
            cell += np.arange(0, count * width * width, width * width)[:, None]
            part = tables[start : start + count].ravel()
            part.take(cell, out=moved[start : start + count], mode="clip")  # clip: the codes are in range
            start += count
        return moved

    def influence(self, rows: slice) -> np.ndarray:
        """How each respondent moves each element of ``wls_obs``, (k, rows)."""
        first, slopes, variances = self._influence_of_first_step(rows)
        pairs = self.influence_of_correlations(rows)
        if not self.ordered.all():
            pairs = self._as_covariances(pairs, variances)
        return np.vstack([first, slopes, variances, pairs])

    def _influence_of_first_step(self, rows: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        if self.ordered.all() and not self.exogenous:
            table, codes = contingency.threshold_influence(self.items), self.coded.codes[rows].T
            moved = [table[j, codes[j], : self.levels[j] - 1].T for j in range(len(codes))]
            nothing = np.empty((0, codes.shape[1]))
            return np.vstack(moved), nothing, nothing
        first, slopes, variances = [], [], []
        q = len(self.exogenous)
        for one in self.alone:
            assert one is not None
            part, count = one.influence()[rows].T, len(one.first)
            first.append(part[:count] if one.ordered else -part[:count])
            slopes.append(part[count : count + q])
            variances.append(part[len(part) - (not one.ordered) :])
        by_covariate = np.stack(slopes, axis=1).reshape(q * len(slopes), -1) if q else part[:0]
        return np.vstack(first), by_covariate, np.vstack(variances)

    def _as_covariances(self, pairs: np.ndarray, variances: np.ndarray) -> np.ndarray:
        """From influence on correlations to influence on covariances with the continuous variables."""
        j, i = np.triu_indices(len(self.names), 1)
        sd, rho = np.sqrt(self.variances), self.correlations[j, i]
        moved = pairs * (sd[i] * sd[j])[:, None]
        place = np.cumsum(~self.ordered) - 1
        for mine, other in ((i, j), (j, i)):
            free = np.flatnonzero(~self.ordered[mine])
            factor = sd[other[free]] * rho[free] / (2 * sd[mine[free]])
            moved[free] += variances[place[mine[free]]] * factor[:, None]
        return moved

    @cached_property
    def variances(self) -> np.ndarray:
        return np.array([1.0 if one is None or one.ordered else one.variance for one in self.alone])

    def covariance_of_moments(self) -> np.ndarray:
        """n times the asymptotic covariance: the summed products of influences, block by block."""
        total: Any = 0.0
        for start in range(0, self.n, CHUNK):
            rows = slice(start, min(start + CHUNK, self.n))
            moved = self.influence(rows)
            if self.weights is not None:
                moved *= self.weights[rows]
            total = total + moved @ moved.T
        return self.n * total

    def covariance_between_clusters(self) -> np.ndarray | None:
        """The same from influences summed within clusters, with the factor C/(C − 1)."""
        if self.clusters is None:
            return None
        count = int(self.clusters.max()) + 1
        total: Any = 0.0
        for start in range(0, self.n, CHUNK):
            rows = slice(start, min(start + CHUNK, self.n))
            moved = self.influence(rows) if self.weights is None else self.influence(rows) * self.weights[rows]
            total = total + moved @ np.eye(count)[self.clusters[rows]]
        return self.n * (total @ total.T) * (count / (count - 1))

    def standard_errors(self) -> np.ndarray:
        """Standard errors of the correlations, (p, p)."""
        p = len(self.names)
        errors = np.zeros((p, p))
        if self.by_table is not None:
            places = np.flatnonzero(self.ordered)
            squared = self.by_table.tables
            if self.weights is not None:
                both = contingency.cross_tables(self.coded, self.weights**2)
                squared = both[self.by_table.first, :, self.by_table.second, :]
            errors[places[self.by_table.first], places[self.by_table.second]] = contingency.standard_errors(
                self.table_influence, squared
            )
        for (j, i), pair in self.casewise.items():
            errors[j, i] = float(np.sqrt(((self.w * pair.influence) ** 2).sum()))
        return (errors + errors.T) * np.sqrt(self.n / (self.n - 1))

    def moments(self) -> Moments:
        thresholds = self.first_values()
        slopes = np.array([one.slopes if one is not None else [] for one in self.alone]).reshape(len(self.names), -1)
        sd = np.sqrt(self.variances)
        cov = self.correlations * np.outer(sd, sd)
        first = np.concatenate([t if o else -t for t, o in zip(thresholds, self.ordered)])
        below = cov[np.triu_indices(len(self.names), 1)]
        observed = np.concatenate([first, slopes.T.ravel(), self.variances[~self.ordered], below])
        mean_x, cov_x = _weighted_moments(self.x, self.w)
        return Moments(
            n=self.n,
            names=self.names,
            exogenous=self.exogenous,
            ordered=self.ordered,
            levels=self.levels,
            mean=np.array([0.0 if o else t[0] for t, o in zip(thresholds, self.ordered)]),
            cov=cov,
            thresholds=np.concatenate([t for t, o in zip(thresholds, self.ordered) if o] or [np.zeros(0)]),
            threshold_index=np.repeat(np.arange(len(self.names)), np.where(self.ordered, self.levels - 1, 0)),
            slopes=slopes,
            mean_x=mean_x,
            cov_x=cov_x,
            wls_obs=observed,
            gamma=self.covariance_of_moments(),
            diagnostics=tuple(self.notes()),
            gamma_clustered=self.covariance_between_clusters(),
        )

    def first_values(self) -> list[np.ndarray]:
        """Thresholds of each ordinal variable, the mean (intercept) of each continuous one."""
        item = np.cumsum(self.ordered) - 1
        return [
            one.first if one is not None else self.items.thresholds[item[j], : self.levels[j] - 1]
            for j, one in enumerate(self.alone)
        ]

    def notes(self) -> list[Diagnostic]:
        """What a reader must know: empty cells, corrections, correlations at the limit, a matrix that is not one."""
        found = [*self._table_notes(), *self._matrix_notes()]
        return [replace(d, reason=f"{_in(self.group).strip()}: {d.reason}") for d in found] if self.group else found

    def _table_notes(self) -> list[Diagnostic]:
        if self.by_table is None:
            return []
        pairs, found = self.by_table, []
        if pairs.empty.any():
            reason = f"{int(pairs.empty.sum())} two-way tables have an empty cell ({self._named(pairs.empty)})"
            reason += "; the tables were used as they are." if not pairs.corrected.any() else "."
            found.append(Diagnostic("EmptyCells", reason, "note"))
        if pairs.corrected.any():
            where = self._named(pairs.corrected)
            reason = f"half a person was put into the empty cell of the 2 × 2 tables {where}, margins kept."
            found.append(Diagnostic("ZeroCellCorrected", reason, "warning"))
        return found

    def _named(self, which: np.ndarray) -> str:
        first, second = np.triu_indices(int(self.ordered.sum()), 1)
        names = np.array(self.names)[self.ordered]
        return listed([f"{a} × {b}" for a, b in zip(names[first[which]], names[second[which]])], 5)

    def _matrix_notes(self) -> list[Diagnostic]:
        found = []
        matrix = self.correlations
        j, i = np.nonzero(np.triu(np.abs(matrix) > 0.99, 1))
        if j.size:
            pairs = listed([f"{self.names[a]} and {self.names[b]}" for a, b in zip(j, i)], 5)
            found.append(Diagnostic("PerfectCorrelation", f"the correlation of {pairs} is (nearly) ±1.", "warning"))
        least = float(np.linalg.eigvalsh(matrix)[0])
        if least <= 1e-10:
            reason = f"the correlation matrix is not positive definite (smallest eigenvalue {least:.3g}); "
            reason += "it was left as it is."
            found.append(Diagnostic("NotPositiveDefinite", reason, "warning"))
        return found


def _usable(values: np.ndarray, x: np.ndarray, missing: str) -> np.ndarray:
    seen = ~np.isnan(values)
    rows = seen.all(axis=1) if missing == "listwise" else seen.any(axis=1)
    rows &= ~np.isnan(x).any(axis=1)
    if rows.sum() < 2:
        raise ModelError(
            f"Only {int(rows.sum())} of {len(values)} respondents have the answers that are needed"
            f"{' (all of them, because missing is listwise; pairwise keeps more)' if missing == 'listwise' else ''}.",
            code="TooFewRows",
        )
    return rows


def _in(group: str | None) -> str:
    return f" in group '{group}'" if group is not None else ""


def _refuse_all_missing(values: np.ndarray, names: Sequence[str], group: str | None) -> None:
    if len(none := [n for n, column in zip(names, values.T) if np.isnan(column).all()]):
        raise ModelError(
            f"Nobody{_in(group)} answered {listed(none)}; leave the item out or check how it was read.",
            code="AllMissing",
        )


def _refuse_constant(values: np.ndarray, names: Sequence[str], ordered: np.ndarray, group: str | None) -> None:
    low, high = np.nanmin(values, axis=0), np.nanmax(values, axis=0)
    if len(same := [n for n, a, b in zip(names, low, high) if a == b]):
        raise ModelError(
            f"Everybody{_in(group)} gave the same answer to {listed(same)}; an item without variance has no "
            "correlation. Leave it out.",
            code="ConstantItem",
        )


def _refuse_strangers(values: np.ndarray, names: Sequence[str], group: str | None) -> None:
    """Two variables that nobody answered both have no correlation."""
    seen = (~np.isnan(values)).astype(float)
    first, second = np.nonzero(np.triu(seen.T @ seen < 2, 1))
    if first.size:
        pairs = listed([f"{names[int(a)]} and {names[int(b)]}" for a, b in zip(first, second)], 5)
        raise ModelError(
            f"Fewer than two respondents{_in(group)} answered both {pairs}; there is no correlation to estimate. "
            "Leave one of them out, or impute forms that were planned to be missing.",
            code="NoCommonAnswers",
        )


def _refuse_collinear(x: np.ndarray, names: Sequence[str], group: str | None) -> None:
    design = np.column_stack([np.ones(len(x)), x - x.mean(axis=0) if len(x) else x])
    if np.linalg.matrix_rank(design / np.maximum(np.linalg.norm(design, axis=0), 1e-300)) < design.shape[1]:
        raise ModelError(
            f"The covariates {listed(names)} are linearly dependent{_in(group)} (one can be computed from the others, "
            "or does not vary). Leave one of them out.",
            code="Dependency",
        )


def _categories(
    values: np.ndarray, names: Sequence[str], levels: Mapping[str, np.ndarray] | None, group: str | None
) -> list[np.ndarray]:
    found = contingency.observed_categories(values)
    if levels is None:
        return found
    for name, here in zip(names, found):
        if len(here) < len(levels[name]):
            empty = sorted(set(levels[name]) - set(here))
            raise ModelError(
                f"Nobody{_in(group)} chose category {listed(f'{c:g}' for c in empty)} of '{name}', which others did; "
                "thresholds cannot be compared. Collapse the category over all groups alike (collapse='empty').",
                code="EmptyCategory",
            )
    return found


def _weighted_moments(x: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mean = (w @ x) / w.sum()
    centred = x - mean
    return mean, (centred * w[:, None]).T @ centred / w.sum()


@dataclass(frozen=True, repr=False)
class Polychoric(Result):
    """Correlations of the normal variables that are thought to lie behind ordinal answers.

    Attributes
    ----------
    correlations : DataFrame, items × items
    se : DataFrame, standard errors of the correlations (0 on the diagonal)
    thresholds : DataFrame, one row an item, columns t1, t2, … (NaN where an item has fewer; none for continuous)
    counts : DataFrame, respondents who answered both
    diagnostics : empty cells, corrections, a matrix that is not positive definite
    """

    correlations: pd.DataFrame
    se: pd.DataFrame
    thresholds: pd.DataFrame
    counts: pd.DataFrame
    ordered: tuple[str, ...]
    n: int
    diagnostics: tuple[Diagnostic, ...] = ()
    smoothed: bool = False
    provenance: str = "yours"
    settings: Mapping[str, Any] = field(default_factory=dict)
    survey: Any = None
    tables: tuple[Pairs, Items] | None = field(default=None, repr=False)
    title: str = "Polychoric correlations"

    def normality(self) -> pd.DataFrame:
        """Do the answers to each pair of ordinal items look as if two normal variables lay behind them?

        One row a pair: ``lhs, rhs, chi2, df, p_value`` of the likelihood-ratio test against the free table (Jöreskog,
        2005; meant for complete answers and well-filled tables). Standard errors of the correlations, and of ordinal
        models, rest on it; bootstrap errors do not.
        """
        pairs, items = self.tables or (None, None)
        if pairs is None or items is None:
            return pd.DataFrame(columns=["lhs", "rhs", "chi2", "df", "p_value"])
        names, levels = np.array(self.ordered), self.thresholds.notna().sum(axis=1).to_numpy() + 1
        r, c = levels[pairs.first], levels[pairs.second]
        df = r * c - r - c
        chi2 = np.where(df > 0, contingency.departures(pairs, items), np.nan)  # two binary items fit any table
        p_value = special.chdtrc(np.maximum(df, 1), chi2)
        who = {"lhs": names[pairs.first], "rhs": names[pairs.second]}
        return pd.DataFrame(who | {"chi2": chi2, "df": df, "p_value": p_value})

    def tidy(self) -> pd.DataFrame:
        """One row a pair: ``lhs, rhs, kind, est, se, ci_lower, ci_upper, n`` (95 % by Fisher's z)."""
        first, second = np.triu_indices(len(self.correlations), 1)
        names = np.array(self.correlations.columns)
        est, se = self.correlations.to_numpy()[first, second], self.se.to_numpy()[first, second]
        with np.errstate(divide="ignore", invalid="ignore"):
            centre, reach = np.arctanh(est), 1.959963984540054 * se / (1 - est**2)
        return pd.DataFrame(
            {
                "lhs": names[first],
                "rhs": names[second],
                "kind": [self._kind(a, b) for a, b in zip(names[first], names[second])],
                "est": est,
                "se": se,
                "ci_lower": np.tanh(centre - reach),
                "ci_upper": np.tanh(centre + reach),
                "n": self.counts.to_numpy()[first, second],
            }
        )

    def _kind(self, a: str, b: str) -> str:
        ordinal = [name in self.ordered for name in (a, b)]
        if not all(ordinal):
            return "polyserial" if any(ordinal) else "pearson"
        binary = self.thresholds.loc[[a, b]].notna().sum(axis=1) == 1
        return "tetrachoric" if binary.all() else "polychoric"

    def glance(self) -> pd.DataFrame:
        """One row: respondents, items, smallest eigenvalue, whether the matrix is a correlation matrix."""
        least = float(np.linalg.eigvalsh(self.correlations.to_numpy())[0])
        row = {"n": self.n, "n_items": len(self.correlations), "smallest_eigenvalue": least}
        row |= {"positive_definite": least > 1e-10, "smoothed": self.smoothed}
        return pd.DataFrame([row | {"missing": self.settings.get("missing")}])

    def notes(self) -> list[str]:
        return super().notes() + [str(d) for d in self.diagnostics]

    def _shown(self) -> pd.DataFrame:
        return self.correlations.rename_axis("item").reset_index()


@in_one_thread
def polychoric(
    data: Any,
    items: str | Sequence[str] | None = None,
    *,
    ordered: Sequence[str] | bool | None = None,
    missing: str = "pairwise",
    weights: str | None = None,
    smooth: bool = False,
) -> Polychoric:
    """How ordinal items hang together, without pretending that their codes are measurements.

    Two steps (Olsson 1979): thresholds from each item's margin, then the correlation of each pair by maximum
    likelihood. Two binary items give the tetrachoric, an ordinal and a continuous one the polyserial correlation,
    two continuous ones Pearson's. Same conventions as lavaan's ``lavCor``: no cell is touched, except that a
    2 × 2 table with one empty cell gets half a person in it, margins kept.

    Parameters
    ----------
    data : Responses or DataFrame, one row a respondent
    items : a construct or block of the survey, column names, or None for all items (columns)
    ordered : names of the ordinal columns; None or True means all of them, the rest is continuous
    missing : 'pairwise' (each pair from all who answered both) or 'listwise'
    weights : name of a column of sampling weights
    smooth : replace a matrix that is not positive definite by a near one (negative eigenvalues set to a
        small positive number, unit diagonal restored); never done unless asked

    Raises
    ------
    ModelError : ConstantItem, AllMissing, NotOrdinal, TooFewRows, UnknownVariable
    ResponseError : BadWeights

    Notes
    -----
    Standard errors include the sampling variation of the thresholds (Muthén 1984), with lavaan's divisor n − 1.

    Examples
    --------
    >>> import cocoanalysis as coco
    >>> folder = coco.bundled("unit-climate")
    >>> responses = coco.read_responses(folder / "responses.csv", coco.read_survey(folder))
    >>> found = coco.polychoric(responses, ["tsig1", "tsig2", "tsig3"])
    >>> bool((found.tidy().est > 0.5).all())
    True
    """
    chosen = select(data, items, extra=[weights] if weights else [])
    frame = chosen.frame.drop(columns=[weights] if weights else [])
    weighing = sampling_weights(chosen.frame[weights]) if weights else None
    ordinal = list(frame.columns) if ordered is None or ordered is True else list(ordered or [])
    _refuse_continuous(frame, ordinal, asked=ordered is not None and ordered is not True)
    sample = _Sample.of(frame, ordinal, missing=missing, weights=weighing)
    matrix, notes = sample.correlations, sample.notes()
    if smooth and any(d.code == "NotPositiveDefinite" for d in notes):
        matrix = smoothed(matrix)
        notes.append(Diagnostic("Smoothed", "the matrix was smoothed because you asked for it.", "warning"))
    settings = {"missing": missing, "weights": weights, "smooth": smooth, "zero_cells": "2 × 2: half a person"}
    return replace(_labelled(sample, matrix, tuple(notes), chosen.provenance, settings), survey=chosen.survey)


def _labelled(
    sample: _Sample, matrix: np.ndarray, notes: tuple[Diagnostic, ...], provenance: str, settings: dict[str, Any]
) -> Polychoric:
    names, seen = list(sample.names), (~np.isnan(sample.values)).astype(float)
    ordinal = [n for n, o in zip(names, sample.ordered) if o]
    return Polychoric(
        correlations=pd.DataFrame(matrix, names, names),
        se=pd.DataFrame(sample.standard_errors(), names, names),
        thresholds=_threshold_table(ordinal, [t for t, o in zip(sample.first_values(), sample.ordered) if o]),
        counts=pd.DataFrame((seen.T @ seen).astype(int), names, names),
        ordered=tuple(ordinal),
        n=sample.n,
        diagnostics=notes,
        smoothed=any(d.code == "Smoothed" for d in notes),
        provenance=provenance,
        settings=settings,
        tables=None if sample.by_table is None else (sample.by_table, sample.items),
    )


def _threshold_table(names: Sequence[str], thresholds: list[np.ndarray]) -> pd.DataFrame:
    most = max((len(t) for t in thresholds), default=0)
    padded = [np.pad(t, (0, most - len(t)), constant_values=np.nan) for t in thresholds]
    columns = [f"t{k + 1}" for k in range(most)]
    return pd.DataFrame(np.array(padded).reshape(len(names), most), index=list(names), columns=columns)


def polychoric_matrix(values: np.ndarray) -> np.ndarray:
    """Polychoric correlations of the columns of ``values`` (n, p), NaN where missing; the matrix and nothing else."""
    coded = contingency.encode(values, contingency.observed_categories(values))
    tables = contingency.cross_tables(coded)
    items = contingency.item_statistics(contingency.margins(tables), coded.levels)
    pairs = contingency.pair_correlations(tables, items, coded.levels)
    matrix = np.eye(values.shape[1])
    matrix[pairs.first, pairs.second] = matrix[pairs.second, pairs.first] = pairs.rho
    return matrix


def smoothed(matrix: np.ndarray, floor: float = 1e-8) -> np.ndarray:
    """A positive definite correlation matrix near ``matrix``: eigenvalues raised to ``floor``, unit diagonal again."""
    values, vectors = np.linalg.eigh(matrix)
    raised = (vectors * np.maximum(values, floor)) @ vectors.T
    scale = 1.0 / np.sqrt(np.diag(raised))
    near = raised * np.outer(scale, scale)
    np.fill_diagonal(near, 1.0)
    return near


def sampling_weights(column: pd.Series) -> np.ndarray:
    """Weights that sum to the number of rows; a missing or negative one, or none above zero, is an error."""
    weights = column.to_numpy(dtype=float)
    if np.isnan(weights).any() or (weights < 0).any() or not weights.sum() > 0:
        raise ResponseError(
            f"The weights in '{column.name}' must be numbers of at least 0, and some above 0; "
            f"{int(np.isnan(weights).sum())} are missing and {int((weights < 0).sum())} are negative.",
            code="BadWeights",
        )
    return weights / weights.sum() * len(weights)


def _refuse_continuous(frame: pd.DataFrame, ordinal: Sequence[str], *, asked: bool) -> None:
    unknown = [name for name in ordinal if name not in frame.columns]
    if unknown:
        raise ModelError(
            f"There is no column {listed(unknown)} among {listed(frame.columns)}; 'ordered' names columns of the data.",
            code="UnknownVariable",
        )
    if asked:
        return
    many = [name for name in ordinal if frame[name].nunique() > MOST_CATEGORIES]
    if many:
        raise ModelError(
            f"{listed(many)} {'has' if len(many) == 1 else 'have'} more than {MOST_CATEGORIES} different values and "
            "can hardly be ordinal items. Pass ordered=[…] with the ordinal columns; the others are then continuous.",
            code="NotOrdinal",
        )
