"""Two-level models from syntax with ``level:`` blocks: rows, starting values, χ², baseline and SRMR.

Conventions are lavaan 0.6-14's: a variable of both blocks is split into a part that varies within
clusters and a part that clusters share, means belong to the between block, covariates are fixed at
their unrestricted estimates, standard errors come from the observed information (under mlr with the clusters'
scores on both sides), and the unrestricted model is found by EM that stops when an iteration gains less than 1e-4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from cocoanalysis.errors import ModelError
from cocoanalysis.measurement.estimators import ESTIMATORS
from cocoanalysis.measurement.fitting import Constraints, minimise
from cocoanalysis.measurement.implied import lower, structure
from cocoanalysis.measurement.inference import Problem, Test, h1_trace, scaled_test
from cocoanalysis.measurement.parameters import Names, Parameter, ParameterTable, build
from cocoanalysis.measurement.samples import log_likelihood
from cocoanalysis.measurement.starts import starting_values
from cocoanalysis.measurement.syntax import parse
from cocoanalysis.measurement.twolevel import Clustered, TwoLevel, Unrestricted, saturated_parts, unrestricted


@dataclass
class TwoLevelProblem(Problem):
    """A two-level model and its data; ``samples`` are `Clustered`, one a group."""

    h1: list[Unrestricted] = field(default_factory=list)

    @property
    def n_moments(self) -> int:
        """Parameters of the unrestricted model, without what concerns fixed covariates alone."""
        return sum(_unrestricted_parameters(self.table, g + 1) for g in range(len(self.samples)))

    @property
    def below_zero(self) -> float:
        """What a longer search of the unrestricted model would add to χ², and a tenth."""
        return 0.1 + 2 * sum(u.remaining for u in self.h1)

    def observed(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Unrestricted covariances and means of block k, in the order of its variables."""
        group, level = self.structure.keys[k]
        sample, u = self.discrepancy.samples[group - 1], self.h1[group - 1]
        at = [sample.names.index(n) for n in self.structure.blocks[k].observed]
        cov, mean = (u.within_cov, u.within_mean) if level == 1 else (u.between_cov, u.between_mean)
        return cov[np.ix_(at, at)], mean[at]

    def with_table(self, table: ParameterTable) -> TwoLevelProblem:
        """The same data under another table."""
        layout = structure(table)
        discrepancy = TwoLevel(layout, self.discrepancy.samples, self.discrepancy.saturated)
        return replace(
            self, table=table, structure=layout, discrepancy=discrepancy, constraints=Constraints(table), cache={}
        )

    def loglik(self, theta: np.ndarray) -> float:
        """Log-likelihood of the variables given fixed covariates."""
        return float(self.discrepancy.loglik(theta) - sum(self._of_covariates(g) for g in range(len(self.samples))))

    def _of_covariates(self, g: int) -> float:
        """Normal log-likelihood of covariates that live at one level only."""
        sample = self.discrepancy.samples[g]
        total = 0.0
        within, between = self.table.names[g + 1, 1], self.table.names[g + 1, 2]
        only = [n for n in within.exogenous if n not in between.observed]
        above = [n for n in between.exogenous if n not in within.observed]
        for names, cov, n in ((only, sample.total[1], sample.n), (above, sample.of_clusters[1], sample.clusters)):
            at = [sample.names.index(name) for name in names]
            inner = cov[np.ix_(at, at)]
            total += log_likelihood(inner, np.zeros(len(at)), inner, n) if at else 0.0
        return total

    def baseline(self) -> tuple[Test, Test | None]:
        """Plain and scaled χ² of the model in which nothing covaries, covariates among themselves excepted."""
        table = _independence(self.table, self)
        alone = self.with_table(table)
        start = two_level_start(table, alone.structure, self.discrepancy.samples, self.h1)
        solution = minimise(alone.discrepancy, start)
        plain = Test(2 * self.total * solution.value, self.n_moments - table.n_free)
        if self.test == "standard":
            return plain, None
        h1_trace(self)  # kept with the data; the independence model has other covariates than this one
        return plain, scaled_test(alone, solution, plain)

    def saturated_parts(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Information and cross products of the clusters' scores of the unrestricted model, one pair a group."""
        names = self.table.names
        return [
            saturated_parts(s, u, names[g, 1].exogenous, names[g, 2].exogenous)
            for g, (s, u) in enumerate(zip(self.discrepancy.samples, self.h1), start=1)
        ]

    def srmr(self, theta: np.ndarray) -> dict[str, float]:
        """Standardised root mean square residual within, between, and their sum (lavaan's ``srmr``)."""
        sums = {1: 0.0, 2: 0.0}
        for k, (block, (group, level)) in enumerate(zip(self.structure.blocks, self.structure.keys)):
            observed = self.observed(k)[0]
            implied = block.implied(theta).cov
            implied = _forced(implied) if level == 2 else implied
            sums[level] += self.share[group - 1] * _correlation_residual(observed, implied)
        return {"srmr": sums[1] + sums[2], "srmr_within": sums[1], "srmr_between": sums[2]}


def _forced(cov: np.ndarray, floor: float = 1e-6) -> np.ndarray:
    """A between covariance matrix made positive definite for SRMR, as lavaan does."""
    values, vectors = np.linalg.eigh(cov)
    return (vectors * np.maximum(values, floor * np.abs(values[-1]))) @ vectors.T


def _correlation_residual(observed: np.ndarray, implied: np.ndarray) -> float:
    if np.any(np.diag(implied) <= 0) or np.any(np.diag(observed) <= 0):
        return np.nan
    difference = observed / np.sqrt(np.outer(np.diag(observed), np.diag(observed)))
    difference = difference - implied / np.sqrt(np.outer(np.diag(implied), np.diag(implied)))
    i, j = lower(len(observed))
    return float(np.sqrt(np.mean(difference[i, j] ** 2)))


def _unrestricted_parameters(table: ParameterTable, group: int) -> int:
    within, between = table.names[group, 1], table.names[group, 2]
    count = 0
    for names in (within, between):
        p, x = len(names.observed), len(names.exogenous)
        count += p * (p + 1) // 2 - x * (x + 1) // 2
    means = [n for n in within.observed if n not in between.observed and n not in within.exogenous]
    return count + len(means) + len(between.observed) - len(between.exogenous)


def two_level_problem(table: ParameterTable, samples: list[Clustered], settings: dict[str, Any]) -> TwoLevelProblem:
    """The problem with its unrestricted model fitted and fixed covariates filled in."""
    h1 = [unrestricted(s, _shared(table.names[g + 1, 2], s)) for g, s in enumerate(samples)]
    table = replace(table, rows=tuple(_with_sample_value(r, table, samples, h1) for r in table.rows))
    layout = structure(table)
    discrepancy = TwoLevel(layout, samples, sum(u.loglik for u in h1))
    given: list[Any] = list(samples)
    x: list[tuple[int, ...]] = [() for _ in layout.blocks]
    return TwoLevelProblem(
        table, layout, discrepancy, given, ESTIMATORS["ml"], settings["information"], settings["se"], settings["test"],
        True, x, Constraints(table), h1=h1,
    )  # fmt: skip


def refuse_two_level(problem: Problem, what: str) -> None:
    """An error that names what two-level fits do not offer."""
    if isinstance(problem, TwoLevelProblem):
        raise ModelError(
            f"{what} not available for two-level models; tidy(), glance(), scores(), raw and 'cor' residuals, "
            "implied moments and modification indices are.",
            code="NotForTwoLevel",
        )


def _shared(between: Names, sample: Clustered) -> list[bool]:
    return [n in between.observed for n in sample.within]


def _with_sample_value(
    row: Parameter, table: ParameterTable, samples: Sequence[Clustered], h1: Sequence[Unrestricted]
) -> Parameter:
    """A moment of fixed covariates, from the unrestricted model."""
    if not row.exogenous or row.free >= 0:
        return row
    names, u = samples[row.group - 1].names, h1[row.group - 1]
    at = names.index(row.lhs)
    if row.op == "~1":
        value = u.within_mean[at] if row.level == 1 else u.part_mean[at]
    else:
        value = (u.within_cov if row.level == 1 else u.between_cov)[at, names.index(row.rhs)]
    return replace(row, value=float(value))


def two_level_start(
    table: ParameterTable, layout: Any, samples: Sequence[Clustered], h1: Sequence[Unrestricted]
) -> np.ndarray:
    """Starting values of both levels from the unrestricted moments."""
    covs, means = [], []
    for block, (group, level) in zip(layout.blocks, layout.keys):
        sample, u = samples[group - 1], h1[group - 1]
        at = [sample.names.index(n) for n in block.observed]
        cov = (u.within_cov if level == 1 else u.between_cov)[np.ix_(at, at)]
        if level == 2:
            cov = cov + np.diag(np.full(len(at), 0.05) * np.diag(cov) + 1e-6)
        covs.append(cov)
        means.append((u.within_mean if level == 1 else u.between_mean)[at])
    return starting_values(table, layout, covs, means)


def _independence(table: ParameterTable, problem: TwoLevelProblem) -> ParameterTable:
    """Variances, means, and the moments of fixed covariates; nothing else."""
    lines = []
    for level in (1, 2):
        names = table.names[1, level]
        lines += [f"level: {level}", *(f"{n} ~~ {n}" for n in names.observed)]
        x = names.exogenous
        lines += [f"{x[i]} ~~ {x[j]}" for i in range(len(x)) for j in range(i)]
    bare = build(parse("\n".join(lines)), replace(table.options, group_equal=(), group_partial=()))
    fixed = {(r.lhs, r.op, r.rhs, r.group, r.level): r.value for r in table.rows if r.exogenous}
    fixed |= {(b, op, a, g, k): v for (a, op, b, g, k), v in fixed.items() if op == "~~"}
    for name, op, _, group, level in list(fixed):
        if op == "~1" and level == 2:  # here lavaan counts both parts of a split covariate's mean
            sample = problem.discrepancy.samples[group - 1]
            fixed[name, op, "", group, level] = float(problem.h1[group - 1].between_mean[sample.names.index(name)])
    rows = []
    for row in bare.rows:
        value = fixed.get((row.lhs, row.op, row.rhs, row.group, row.level))
        rows.append(row if value is None else replace(row, free=-1, value=value))
    return bare.with_rows(rows)
