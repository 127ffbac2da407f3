"""Confirmatory factor analysis and structural equation models: `cfa`, `sem`, `sem_from_moments`, `compare`.

The labelled layer: a `Fit` holds the finished problem and solution and answers questions
about them; numbers come from `inference`, `fitindices`, `standardized`, `residuals`,
`modification` and `factor_scores`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from cocoanalysis.arguments import whole
from cocoanalysis.errors import Diagnostic, ModelError, listed, one_of
from cocoanalysis.measurement import fitindices
from cocoanalysis.measurement.bootstrap import Replicates, bootstrap
from cocoanalysis.measurement.bundles import write_lavaan, write_mplus
from cocoanalysis.measurement.composites import CompositeReliability, composite_reliability
from cocoanalysis.measurement.corrected import RobustParts, robust_parts
from cocoanalysis.measurement.diagnosis import diagnose, undefined
from cocoanalysis.measurement.estimators import ESTIMATORS
from cocoanalysis.measurement.expressions import Dual
from cocoanalysis.measurement.factor_scores import SCORES, covariate_level, ordinal_modes
from cocoanalysis.measurement.feasibility import refuse_contradiction
from cocoanalysis.measurement.fitting import Solution, minimise, rank_deficit
from cocoanalysis.measurement.inference import (
    Problem,
    Test,
    baseline_tests,
    covariance,
    degrees_of_freedom,
    delta_errors,
    moment_rank,
    plain_test,
    scaled_test,
)
from cocoanalysis.measurement.modification import releases
from cocoanalysis.measurement.multilevel import TwoLevelProblem, refuse_two_level
from cocoanalysis.measurement.parameters import build
from cocoanalysis.measurement.preparation import prepare
from cocoanalysis.measurement.problems import continuous_problem
from cocoanalysis.measurement.residuals import (
    implied_moments,
    observed_moments,
    residuals,
    threshold_residuals,
    z_values,
)
from cocoanalysis.measurement.samples import Sample, check_moments, given_covariance, given_means, log_likelihood
from cocoanalysis.measurement.specification import (
    Call,
    Prepared,
    model_variables,
    resolved_settings,
    table_options,
)
from cocoanalysis.measurement.standardized import explained_variances, reported_values, standardised, variations
from cocoanalysis.measurement.starts import another_start, starting_values
from cocoanalysis.measurement.syntax import parse
from cocoanalysis.responses.disclosure import of_people
from cocoanalysis.responses.ledger import fingerprint, origin_of_rows
from cocoanalysis.result import Result
from cocoanalysis.threads import in_one_thread

NORMAL_975 = float(special.ndtri(0.975))
FROM_MOMENTS = ("ml", "gls", "uls")
MORE_STARTS = 3  # tried when the first start does not converge
GLANCE = (
    "estimator", "n", "n_groups", "n_parameters", "identified", "converged", "admissible", "chi2", "df", "p_value",
    "chi2_scaled", "df_scaled", "p_value_scaled", "scaling_factor", "shift", "baseline_chi2", "baseline_df", "cfi",
    "tli", "rmsea", "rmsea_lower", "rmsea_upper", "srmr", "cfi_scaled", "tli_scaled", "rmsea_scaled", "cfi_robust",
    "tli_robust", "rmsea_robust", "loglik", "aic", "bic", "bic_adjusted", "rmsea_p_close", "baseline_chi2_scaled",
    "rmsea_lower_scaled", "rmsea_upper_scaled", "rmsea_p_close_scaled", "rmsea_lower_robust", "rmsea_upper_robust",
    "rmsea_p_close_robust",
)  # fmt: skip
ESTIMATES = ("lhs", "op", "rhs", "group", "label", "est", "se", "z", "p_value", "ci_lower", "ci_upper")
HEADS = {names: pd.Index(names) for names in (GLANCE, ESTIMATES, (*ESTIMATES, "std_lv", "std_all"))}


@dataclass(frozen=True, eq=False, repr=False)
class Fit(Result):
    """A fitted model: `tidy()` one row a parameter, `glance()` one row of fit, `scores()` one row a respondent.

    ``identified``, ``converged`` and ``admissible`` are separate facts; ``diagnostics`` says why when one fails.
    """

    prepared: Prepared = field(repr=False)
    solution: Solution = field(repr=False)
    vcov: np.ndarray | None = field(repr=False)
    identified: bool = True
    converged: bool = True
    admissible: bool = True
    diagnostics: tuple[Diagnostic, ...] = ()
    replicates: Replicates | None = field(default=None, repr=False)
    title: str = "Structural equation model"

    # what Result asks for -------------------------------------------------------------------------

    @property
    def problem(self) -> Problem:
        return self.prepared.problem

    @property
    def settings(self) -> Mapping[str, Any]:  # type: ignore[override]
        return self.prepared.settings

    @property
    def provenance(self) -> str:  # type: ignore[override]
        return self.prepared.provenance

    @property
    def survey(self) -> Any:
        return self.prepared.survey

    @property
    def ledger(self) -> pd.DataFrame | None:
        return self.prepared.ledger

    @property
    def fingerprint(self) -> str | None:
        """A hash of which rows were used; None where only moments were given."""
        rows = self.prepared.rows
        return fingerprint(rows[0].append(list(rows[1:])), origin_of_rows(self.ledger)) if rows else None

    @property
    def usable(self) -> bool:
        """Whether a verdict may rest on this fit."""
        return self.identified and self.converged and self.admissible

    def notes(self) -> list[str]:
        settings = self.settings
        errors = f"{settings['se']} errors, {settings['information']} information"
        if self.replicates is not None:
            errors = f"errors and percentile intervals from {self.replicates.asked} bootstrap replicates"
        how = f"Estimator {settings['estimator']}, {errors}, test {settings['test']}."
        told = [self._fit_sentence()] if self._measurable else []
        if self._measurable and isinstance(self._robust, str):
            told.append(f"Robust CFI, TLI and RMSEA are left empty: {self._robust}.")
        return [*super().notes(), *told, *self.prepared.remarks, how, *(str(d) for d in self.diagnostics)]

    def _fit_sentence(self) -> str:
        m, scaled = self.measures, self.scaled
        if np.isnan(self.test.chi2):
            return f"No χ², CFI, TLI or RMSEA; SRMR {m['srmr']:.3f}."
        if self.test.df == 0:
            return f"χ²(0) = {m['chi2']:.2f}: nothing is tested."
        test = f"χ²({self.test.df:g}) = {m['chi2']:.2f}, p = {m['p_value']:.3f}"
        if scaled is not None:
            test += f"; scaled χ²({scaled.df:.4g}) = {scaled.chi2:.2f}, p = {scaled.p_value:.3f}"
        kind = next((k for k in ("_robust", "_scaled") if np.isfinite(m[f"rmsea{k}"])), "")
        told = ", ".join(f"{name.upper()} {m[name + kind]:.3f}" for name in ("cfi", "tli", "rmsea"))
        span = f"RMSEA 90 % interval {m['rmsea_lower' + kind]:.3f} to {m['rmsea_upper' + kind]:.3f}"
        return f"{test}; {kind[1:]}{' ' if kind else ''}{told}, SRMR {m['srmr']:.3f} ({span})."

    def _shown(self) -> pd.DataFrame:
        table = self.tidy().drop(columns=["p_value"])
        return table.drop(columns=[name for name in ("group", "label") if (table[name] == "").all()])

    # estimates ------------------------------------------------------------------------------------

    @cached_property
    def _variation(self):
        return variations(self.problem, self.solution.theta)

    @cached_property
    def _values(self) -> np.ndarray:
        return reported_values(self.problem, self.solution.theta, self._variation)

    @cached_property
    def _defined(self) -> tuple[np.ndarray, np.ndarray]:
        """Values and gradients of the ``:=`` parameters."""
        table = self.problem.table
        scope = table.scope(self.solution.theta)
        names = [c.lhs for c in table.definitions]
        values = _finite(np.array([scope[name].value for name in names], dtype=float))
        slopes = np.array([scope[name].slope + np.zeros(table.n_free) for name in names]).reshape(-1, table.n_free)
        return values, slopes

    @cached_property
    def standard_errors(self) -> np.ndarray:
        """One a row of the table and of the definitions; 0 for what is fixed."""
        table = self.problem.table
        place = np.array([row.free for row in table.rows], dtype=int)
        free = np.full(table.n_free, np.nan) if self.vcov is None else _root(np.diag(self.vcov))
        rows = np.where(place >= 0, free[np.maximum(place, 0)] if table.n_free else 0.0, 0.0)
        if self.replicates is not None:
            return np.concatenate([rows, self.replicates.defined_errors])
        return np.concatenate([rows, delta_errors(self._defined[1], self.vcov)])

    def tidy(self, standardized: bool = False) -> pd.DataFrame:
        """One row a parameter: estimate, error, z, p and 95 % interval; ``standardized`` adds both solutions."""
        table = self.problem.table
        est = np.concatenate([self._values, self._defined[0]])
        se = self.standard_errors
        z = np.divide(est, se, out=np.full(len(est), np.nan), where=se > 0)
        lower, upper = self._limits(est, se)
        definitions = table.definitions
        columns: dict[str, Any] = {
            **self._names,
            "est": est,
            "se": se,
            "z": z,
            "p_value": 2 * special.ndtr(-np.abs(z)),
            "ci_lower": lower,
            "ci_upper": upper,
        }
        if len({r.level for r in table.rows}) > 1:
            columns["level"] = [r.level for r in table.rows] + [0] * len(definitions)
        if standardized:
            for kind in ("std_lv", "std_all"):
                columns[kind] = np.concatenate([self._standardised[kind], self._defined_standardised(kind)])
        return _framed(columns)

    @cached_property
    def _names(self) -> dict[str, Any]:
        """What each row of the table and each definition is called, as arrays of text."""
        table = self.problem.table
        named = [(r.lhs, r.op, r.rhs, table.group_label(r.group), r.label) for r in table.rows]
        named += [(c.lhs, c.op, c.rhs, "", c.lhs) for c in table.definitions]
        text = pd.array([name for column in zip(*named) for name in column], dtype="str")
        columns = ("lhs", "op", "rhs", "group", "label")
        return {name: text[k * len(named) : (k + 1) * len(named)] for k, name in enumerate(columns)}

    def _limits(self, est: np.ndarray, se: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if self.replicates is not None:
            return self.replicates.limits(est)
        half = NORMAL_975 * se
        return est - half, est + half

    def bootstrap_intervals(self, kind: str = "percentile", level: float = 0.95) -> pd.DataFrame:
        """Bootstrap intervals of every parameter and definition: ``kind`` 'percentile' or 'bias_corrected'."""
        one_of(kind, ("percentile", "bias_corrected"), "kind of bootstrap interval")
        if self.replicates is None:
            raise ModelError("The fit has no bootstrap replicates; fit it with bootstrap=1000.", code="NoBootstrap")
        table = self.tidy()
        lower, upper = self.replicates.limits(table["est"].to_numpy(), kind, level)
        return table[["lhs", "op", "rhs", "group", "label", "est", "se"]].assign(ci_lower=lower, ci_upper=upper)

    @cached_property
    def _standardised(self) -> dict[str, np.ndarray]:
        return standardised(self.problem, self._values, self._variation, slopes=False)

    def _defined_standardised(self, kind: str) -> np.ndarray:
        """Definitions evaluated at the standardised values of their labels, as in lavaan."""
        return self._definitions_at(self._standardised[kind], None)[0]

    def _definitions_at(self, values: np.ndarray, slopes: np.ndarray | None):
        table = self.problem.table
        if not table.definitions:
            return np.zeros(0), []
        names: dict[str, Dual] = {}
        for i, row in enumerate(table.rows):
            dual = Dual(values[i], 0.0 if slopes is None else slopes[i])
            names.setdefault(row.label, dual)
            names[f".p{i + 1}."] = dual
        waiting, found = list(table.definitions), {}
        while waiting:
            ready = [c for c in waiting if all(n in names for n in c.right.names)]
            for c in ready:
                names[c.lhs] = found[c.lhs] = c.right.dual(names)
            waiting = [c for c in waiting if c not in ready]
        ordered = [found[c.lhs] for c in table.definitions]
        return _finite(np.array([d.value for d in ordered], dtype=float)), [d.slope for d in ordered]

    @in_one_thread
    def standardized(self, kind: str = "std_all") -> pd.DataFrame:
        """The standardised solution with delta-method errors: ``kind`` 'std_all' or 'std_lv'."""
        if kind not in ("std_all", "std_lv"):
            raise ModelError(f"kind is 'std_all' or 'std_lv'; '{kind}' came.", code="UnknownChoice")
        found = standardised(self.problem, self._values, self._variation, kinds=(kind,))
        est, slopes = found[kind], found[f"{kind}_slopes"]
        more, more_slopes = self._definitions_at(est, slopes)
        est = np.concatenate([est, more])
        rows = [slopes, *[np.reshape(s, (1, -1)) + np.zeros((1, slopes.shape[1])) for s in more_slopes]]
        se = delta_errors(np.vstack(rows), self.vcov)
        se = np.where(se < 1e-12, 0.0, se)
        z = np.divide(est, se, out=np.full(len(est), np.nan), where=se > 0)
        half = NORMAL_975 * se
        shown = self._names | {"est": est, "se": se, "z": z, "p_value": 2 * special.ndtr(-np.abs(z))}
        return _framed(shown | {"ci_lower": est - half, "ci_upper": est + half})

    # fit ------------------------------------------------------------------------------------------

    @cached_property
    def test(self) -> Test:
        return plain_test(self.problem, self.solution)

    @cached_property
    def scaled(self) -> Test | None:
        return scaled_test(self.problem, self.solution, self.test) if self._measurable else None

    @property
    def _measurable(self) -> bool:
        return self.identified and self.converged

    @cached_property
    def baseline(self) -> tuple[Test, Test | None]:
        if isinstance(self.problem, TwoLevelProblem):
            return self.problem.baseline()
        return baseline_tests(self.problem)

    @cached_property
    def _robust(self) -> RobustParts | str | None:
        """What robust indices are computed from, or why there are none."""
        return robust_parts(self.problem, self.solution, self.test, self.scaled, self.baseline)

    @property
    def n_parameters(self) -> int:
        return self.problem.n_moments - degrees_of_freedom(self.problem, self.solution)

    @cached_property
    def loglik(self) -> float:
        """Log-likelihood, of the variables given fixed covariates."""
        if not self.problem.estimator.likelihood:
            return np.nan
        if isinstance(self.problem, TwoLevelProblem):
            return self.problem.loglik(self.solution.theta)
        total = sum(self.problem.discrepancy.saturated_loglik)
        for sample, x in zip(self.problem.samples, self.problem.x):
            if x:
                inner = sample.cov[np.ix_(x, x)]
                total -= log_likelihood(inner, np.zeros(len(x)), inner, sample.n)
        return float(total - self.problem.total * self.solution.value)

    @cached_property
    @in_one_thread
    def measures(self) -> dict[str, float]:
        """Every fit measure by name; missing where it means nothing."""
        names = GLANCE[7:]
        if not self._measurable:
            return dict.fromkeys(names, np.nan) | {"df": self.test.df}
        return dict.fromkeys(names, np.nan) | self._plain_measures() | self._scaled_measures() | self._by_level

    @property
    def _by_level(self) -> dict[str, float]:
        """SRMR of each level of a two-level model."""
        return self.problem.srmr(self.solution.theta) if isinstance(self.problem, TwoLevelProblem) else {}

    def _plain_measures(self) -> dict[str, float]:
        test, (base, base_scaled) = self.test, self.baseline
        aic, bic, bic2 = fitindices.information_criteria(self.loglik, self.n_parameters, self.problem.total)
        return {
            "chi2": test.chi2, "df": test.df, "p_value": test.p_value, "baseline_chi2": base.chi2,
            "baseline_df": base.df, "cfi": fitindices.cfi(test, base), "tli": fitindices.tli(test, base),
            "srmr": self._srmr(), "loglik": self.loglik, "aic": aic, "bic": bic, "bic_adjusted": bic2,
            "baseline_chi2_scaled": base_scaled.chi2 if base_scaled else np.nan,
        } | self._rmsea("", test.chi2, test.df)  # fmt: skip

    def _scaled_measures(self) -> dict[str, float]:
        found: dict[str, float] = {}
        scaled, base = self.scaled, self.baseline[1]
        if scaled is not None:
            found |= {
                "chi2_scaled": scaled.chi2, "df_scaled": scaled.df, "p_value_scaled": scaled.p_value,
                "scaling_factor": scaled.factor, "shift": scaled.shift,
            }  # fmt: skip
            shifted = self.problem.test == "scaled.shifted"
            found |= self._rmsea(
                "_scaled", *((scaled.chi2, self.test.df) if shifted else (self.test.chi2, scaled.trace))
            )
            if base is not None:
                found |= {"cfi_scaled": fitindices.cfi(scaled, base), "tli_scaled": fitindices.tli(scaled, base)}
        robust = self._robust
        if isinstance(robust, RobustParts):
            own, null = Test(robust.chi2, robust.df), Test(robust.base_chi2, robust.base_df)
            found |= {
                "cfi_robust": fitindices.cfi(own, null, robust.c, robust.base_c),
                "tli_robust": fitindices.tli(own, null, robust.c, robust.base_c),
            }
            found |= self._rmsea("_robust", robust.scaled_chi2, robust.df, robust.scale)
            found["rmsea_robust"] = fitindices.rmsea(robust.chi2, robust.df, *self._index_size, robust.c)
        return found

    def _rmsea(self, kind: str, chi2: float, df: float, c: float = 1.0) -> dict[str, float]:
        """RMSEA of one kind with its 90 % interval and the p-value of close fit."""
        size = self._index_size
        lower, upper = fitindices.rmsea_interval(chi2, df, *size, c)
        return {
            f"rmsea{kind}": fitindices.rmsea(chi2, df, *size), f"rmsea_lower{kind}": lower,
            f"rmsea_upper{kind}": upper, f"rmsea_p_close{kind}": fitindices.close_fit(chi2, df, *size, c),
        }  # fmt: skip

    @property
    def _index_size(self) -> tuple[float, int]:
        """What RMSEA divides by, and the number of groups."""
        problem = self.problem
        return problem.total - (0 if problem.estimator.likelihood else len(problem.n)), len(problem.n)

    def _srmr(self) -> float:
        if isinstance(self.problem, TwoLevelProblem):
            return self._by_level["srmr"]
        values = [self._group_srmr(k) for k in range(len(self.problem.n))]
        return float(np.dot(self.problem.share, values))

    def _group_srmr(self, k: int) -> float:
        problem = self.problem
        implied, centre = implied_moments(problem, self.solution.theta, k)
        observed, mean = observed_moments(problem, k)
        means = (mean, centre) if problem.meanstructure else (None, None)
        ordinal = problem.ordinal is not None
        if problem.mplus and problem.ordinal is not None and all(problem.ordinal[k].ordered):
            first = threshold_residuals(problem, self.solution.theta, k)[: len(problem.ordinal[k].thresholds)]
            return fitindices.srmr_mplus(observed, implied, first, 0 * first, unit=True)
        if problem.mplus and problem.information != "expected":
            return fitindices.srmr_mplus(observed, implied, *means)
        covariates = len(problem.structure.blocks[k].exogenous)
        return fitindices.srmr(observed, implied, *means, ordinal=ordinal, covariates=covariates)

    def glance(self) -> pd.DataFrame:
        """One row: the three facts about the fit, its tests and its indices."""
        facts = {
            "estimator": self.settings["estimator"], "n": self.problem.total, "n_groups": len(self.problem.n),
            "n_parameters": self.n_parameters, "identified": self.identified, "converged": self.converged,
            "admissible": self.admissible,
        }  # fmt: skip
        row = facts | self.measures
        row["df"] = int(row["df"]) if float(row["df"]).is_integer() else row["df"]
        return _framed({name: [v] if isinstance(v, str) else np.array([v]) for name, v in row.items()})

    def r_squared(self) -> pd.DataFrame:
        """Explained variance of every variable that the model explains: columns variable, group, r_squared."""
        rows = []
        for k, key in enumerate(self.problem.structure.keys):
            for name, _, value in explained_variances(self.problem, {key: self._variation[key]}):
                rows.append((name, self._block_label(k), value))
        return pd.DataFrame(rows, columns=["variable", "group", "r_squared"])

    def reliability(self) -> CompositeReliability:
        """How reliable the sum of each factor's items is, by this model (see `composite_reliability`)."""
        refuse_two_level(self.problem, "Reliabilities are")
        return composite_reliability(self)

    def syntax(self) -> str:
        """The fitted model as lavaan syntax that leaves nothing to defaults."""
        return self.problem.table.syntax()

    def to_lavaan(self, folder: str | Path) -> Path:
        """Write the fit as an R script with its data and our values, for a co-author with lavaan."""
        return write_lavaan(self, folder)

    def to_mplus(self, folder: str | Path) -> Path:
        """Write the fit as an Mplus input with its data and our values, for a co-author with Mplus."""
        return write_mplus(self, folder)

    # what the model leaves open -------------------------------------------------------------------

    def residuals(self, kind: str = "raw", part: str = "cov") -> pd.DataFrame:
        """Observed minus implied moments, a square table of variables (over groups: indexed by group too).

        Parameters
        ----------
        kind : 'raw'; 'standardized' (z-values: residual over its standard error); 'cor' (divided by the observed
            standard deviations); 'cor_z' (the z-values of those)
        part : 'cov', or 'mean' for the means (one row a group)
        """
        one_of(kind, ("raw", "standardized", "cor", "cor_z"), "kind of residuals")
        one_of(part, ("cov", "mean"), "part of the residuals")
        if kind in ("standardized", "cor_z"):
            refuse_two_level(self.problem, "Errors of residuals are")
        found = residuals(
            self.problem, self.solution, correlation=kind.startswith("cor"), errors=kind in ("standardized", "cor_z")
        )
        near = 1e-5 if kind == "standardized" else 1e-4
        tables = {}
        for k, group in enumerate(found):
            label = self._block_label(k)
            value, error = (group.cov, group.cov_se) if part == "cov" else (group.mean[None], group.mean_se[None])
            if kind in ("standardized", "cor_z"):
                value = z_values(value, error, near)
            index = list(group.names) if part == "cov" else ["mean"]
            tables[label] = pd.DataFrame(value, index=index, columns=list(group.names))
        return tables[""] if list(tables) == [""] else pd.concat(tables, names=["group", "variable"])

    @in_one_thread
    def modification_indices(self, *, minimum: float = 0.0, ties: bool = True) -> pd.DataFrame:
        """What would improve the fit most if it were released, largest first.

        Columns lhs, op, rhs, group, mi (expected fall of χ²), epc (expected change of the parameter), sepc_all
        (standardised), released: 'added' (not in the model), 'fixed' (held at a value) or 'tied' (held equal).
        An index names what the model misses, not what is true: a release needs a reason besides.
        """
        found = releases(self.problem, self.solution)
        found = [r for r in found if r.mi >= minimum and (ties or r.kind != "tied")]
        wide = replace(self.problem.table, rows=tuple(r.row for r in found))
        standard = standardised(
            replace(self.problem, table=wide), np.array([r.epc for r in found]), self._variation, slopes=False
        )
        table = pd.DataFrame(
            {
                "lhs": [r.row.lhs for r in found],
                "op": [r.row.op for r in found],
                "rhs": [r.row.rhs for r in found],
                "group": [self.problem.table.group_label(r.row.group) for r in found],
                **({"level": [r.row.level for r in found]} if isinstance(self.problem, TwoLevelProblem) else {}),
                "mi": np.array([r.mi for r in found], dtype=float),
                "epc": np.array([r.epc for r in found], dtype=float),
                "sepc_all": standard["std_all"],
                "released": [r.kind for r in found],
            }
        )
        return table.sort_values("mi", ascending=False, kind="stable", ignore_index=True)

    def scores(self, method: str = "regression") -> pd.DataFrame:
        """Factor scores, one row a respondent that the fit used (index as in the data).

        ``method``: regression, bartlett or ebm. With ordered items 'regression' is the posterior mode (ebm);
        Bartlett's score is not defined there, nor in two-level models. Those have the expected factors given the
        answers of the whole cluster: within factors person by person, between factors the same for all members.
        """
        one_of(method, SCORES, "kind of factor scores")
        if isinstance(self.problem, TwoLevelProblem):
            return self._two_level_scores(method)
        frame = self.prepared.frame
        if frame is None:
            raise ModelError("Factor scores need the rows of the data; only moments were given.", code="NeedsRows")
        if self.problem.ordinal is not None and method == "bartlett":
            raise ModelError("Bartlett scores are not defined for ordered items; use 'ebm'.", code="UnknownChoice")
        parts = []
        for k, rows in enumerate(self.prepared.rows):
            block = self.problem.structure.blocks[k]
            implied = block.implied(self.solution.theta)
            data = frame.loc[rows, list(block.observed)].to_numpy()
            if not self.problem.meanstructure:
                data = data - self.problem.samples[k].mean
            if self.problem.ordinal is None:
                found = SCORES[method](block, implied, data)
            else:
                found = ordinal_modes(block, implied, *self._coded(block, implied, data))
            if not self.problem.meanstructure:
                found = found + covariate_level(block, implied, self.problem.samples[k].mean, self.problem.x[k])
            parts.append(pd.DataFrame(found, index=rows, columns=list(block.latent)))
        scores = pd.concat(parts)
        ordered = scores if len(parts) == 1 else scores.reindex(frame.index[frame.index.isin(scores.index)])
        return of_people(ordered, self.provenance)

    def _two_level_scores(self, method: str) -> pd.DataFrame:
        if method == "bartlett":
            raise ModelError("Bartlett scores are not defined for two levels; use 'regression'.", code="UnknownChoice")
        blocks, parts = self.problem.structure.blocks, []
        found = self.problem.discrepancy.factor_scores(self.solution.theta)
        for k, (rows, (within, between)) in enumerate(zip(self.prepared.rows, found)):
            names = [list(blocks[2 * k].latent), list(blocks[2 * k + 1].latent)]
            if set(names[0]) & set(names[1]):
                names = [[f"{n}_{level}" for n in some] for some, level in zip(names, ("within", "between"))]
            codes = self.problem.discrepancy.samples[k].codes
            both = np.hstack([within, between[codes]])
            parts.append(pd.DataFrame(both, index=rows, columns=[*names[0], *names[1]]))
        scores = pd.concat(parts)
        frame = self.prepared.frame
        assert frame is not None
        return of_people(scores.reindex(frame.index[frame.index.isin(scores.index)]), self.provenance)

    def _coded(self, block: Any, implied: Any, data: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
        """Ordered answers as category numbers, and each variable's thresholds."""
        assert self.prepared.frame is not None
        coded = data.copy()
        tau = implied.matrices["tau"]
        cuts = [tau[block.threshold_of == i] for i in range(block.p)]
        for i in np.flatnonzero(block.ordered):
            levels = np.sort(self.prepared.frame[block.observed[i]].dropna().unique())
            coded[:, i] = np.where(np.isnan(data[:, i]), np.nan, np.searchsorted(levels, data[:, i]))
        return coded, cuts

    def _block_label(self, k: int) -> str:
        """The group of a block, and its level in a two-level model."""
        group, level = self.problem.structure.keys[k]
        label = self.problem.table.group_label(group)
        if not isinstance(self.problem, TwoLevelProblem):
            return label
        return f"{label} {('within', 'between')[level - 1]}".strip()

    def implied(self) -> dict[str, Any]:
        """The model's own moments: 'cov' (DataFrame) and 'mean' (Series), by group label when there are groups.

        Of a two-level model by level, 'within' and 'between'.
        """
        out = {}
        for k, block in enumerate(self.problem.structure.blocks):
            cov, mean = implied_moments(self.problem, self.solution.theta, k)
            names = list(block.observed)
            out[self._block_label(k)] = {
                "cov": pd.DataFrame(cov, index=names, columns=names),
                "mean": pd.Series(mean, index=names),
            }
        return out[""] if list(out) == [""] else out


class CFA(Fit):
    """A confirmatory factor analysis."""


class SEM(Fit):
    """A structural equation model."""


def _framed(columns: Mapping[str, Any]) -> pd.DataFrame:
    """A table of these columns; an index of texts costs as much as the table, so the usual ones stand in HEADS."""
    names = tuple(columns)
    frame = pd.DataFrame(dict(enumerate(columns.values())))
    frame.columns = HEADS[names].view() if names in HEADS else pd.Index(names)
    return frame


def _finite(values: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(values), values, np.nan)


def _root(variances: np.ndarray) -> np.ndarray:
    return np.sqrt(np.where(variances < 0, np.nan, variances))


@in_one_thread
def cfa(
    data: Any,
    model: str | None = None,
    *,
    estimator: str | None = None,
    ordered: Any = None,
    group: str | None = None,
    group_equal: Any = (),
    group_partial: Any = (),
    missing: str = "auto",
    cluster: str | None = None,
    weights: str | None = None,
    std_lv: bool = False,
    orthogonal: bool = False,
    parameterization: str = "delta",
    meanstructure: bool | None = None,
    fixed_x: bool | None = None,
    information: str | None = None,
    se: str | None = None,
    bootstrap: int = 0,
    seed: int | None = None,
    collapse: Any = None,
    convention: str = "lavaan",
    starts: int = 1,
) -> CFA:
    """Do the items measure the factors that the model says they measure?

    Defaults, scalings and standard errors are lavaan 0.6-14's; ``missing="auto"`` keeps incomplete rows.

    Parameters
    ----------
    data : Responses or DataFrame
    model : lavaan syntax, a construct or block of the survey, or None for the survey's own measurement model
    estimator : one of ESTIMATORS; None is wlsmv when items are ordered, else ml
    ordered : names of ordinal variables, True for all the model's items, False for none
    group : column whose values part the rows into groups
    group_equal : kinds of parameters held equal over groups (loadings, intercepts, thresholds, residuals, …)
    group_partial : parameters released from group_equal, as in 'f =~ x2' or 'x3 ~ 1'
    missing : auto, listwise, fiml (continuous) or pairwise (ordinal)
    cluster, weights : columns with the sampling cluster and the sampling weight
    parameterization : delta or theta, for ordered variables
    information : expected, observed or first.order
    se : standard, robust.sem, robust.huber.white or bootstrap
    bootstrap : number of replicates; their standard errors and percentile intervals replace the analytic ones
    collapse : item → {old category: new category}, applied to all groups alike and recorded; 'empty' merges each
        category that some group never chose with its neighbour towards the middle
    convention : 'lavaan', or 'mplus' where Mplus counts otherwise (n instead of n − 1 outside the likelihood family,
        information at the observed covariances under MLM, an independence model without slopes, its own SRMR)
    starts : number of starting points; with more than one the lowest minimum is taken and the spread reported

    Raises
    ------
    ModelError, ResponseError : faults of the syntax, the data or the choices, each with a code

    Examples
    --------
    >>> fit = coco.cfa(data, "trust =~ t1 + t2 + t3 + t4", estimator="mlr")  # doctest: +SKIP
    >>> fit.tidy(standardized=True), fit.glance(), fit.modification_indices()  # doctest: +SKIP

    Sources
    -------
    Jöreskog (1969); Satorra & Bentler (1994); Yuan & Bentler (2000); Muthén (1984);
    Asparouhov & Muthén (2010). Faults of the model itself are in ``diagnostics``.
    """
    return _fit(data, model, _call(locals()), CFA, "Confirmatory factor analysis")


@in_one_thread
def sem(
    data: Any,
    model: str | None = None,
    *,
    estimator: str | None = None,
    ordered: Any = None,
    group: str | None = None,
    group_equal: Any = (),
    group_partial: Any = (),
    missing: str = "auto",
    cluster: str | None = None,
    weights: str | None = None,
    std_lv: bool = False,
    orthogonal: bool = False,
    parameterization: str = "delta",
    meanstructure: bool | None = None,
    fixed_x: bool | None = None,
    information: str | None = None,
    se: str | None = None,
    bootstrap: int = 0,
    seed: int | None = None,
    collapse: Any = None,
    convention: str = "lavaan",
    starts: int = 1,
) -> SEM:
    """How do factors and variables explain each other? Arguments as in `cfa`."""
    return _fit(data, model, _call(locals()), SEM, "Structural equation model")


@in_one_thread
def sem_from_moments(
    model: str,
    covariance: pd.DataFrame,
    n: int,
    *,
    means: pd.Series | None = None,
    estimator: str = "ml",
    std_lv: bool = False,
    orthogonal: bool = False,
    meanstructure: bool | None = None,
    fixed_x: bool | None = None,
    information: str | None = None,
) -> SEM:
    """A model fitted to a published covariance matrix.

    Parameters
    ----------
    covariance : square DataFrame with the variables as index and columns, divisor n − 1 (as papers print it)
    n : number of rows behind it
    means : Series over the variables, when the model has intercepts
    estimator : ml, gls or uls (others need the rows)
    """
    call = Call(
        estimator=estimator, std_lv=std_lv, orthogonal=orthogonal, meanstructure=meanstructure, fixed_x=fixed_x,
        information=information,
    )  # fmt: skip
    return _finish(_from_moments(model, covariance, n, means, call), SEM, "Structural equation model", call)


def _call(arguments: Mapping[str, Any]) -> Call:
    return Call(**{name: value for name, value in arguments.items() if name in Call.__dataclass_fields__})


def _fit(data: Any, model: str | None, call: Call, kind: type[Any], title: str) -> Any:
    if call.se == "bootstrap" and not call.bootstrap:
        call = replace(call, bootstrap=1000)
    prepared = prepare(data, model, call)
    return _finish(prepared, kind, title, call)


def _finish(prepared: Prepared, kind: type[Any], title: str, call: Call) -> Any:
    problem = prepared.problem
    refuse_contradiction(problem.table)
    solution = solve(problem, prepared.start, call.starts)
    facts = diagnose(problem, solution)
    vcov = covariance(problem, solution) if facts.identified and solution.converged else None
    found = [*prepared.diagnostics, *facts.diagnostics]
    if np.all(np.isfinite(solution.theta)):
        found += undefined(problem, solution.theta)
    if facts.identified and solution.converged:
        found += _baseline_faults(problem)
    replicates = None
    if call.bootstrap and facts.identified and solution.converged:
        replicates = bootstrap(prepared, solution.theta, call.bootstrap, call.seed)
        vcov = replicates.covariance
        found += replicates.diagnostics()
    return kind(
        prepared, solution, vcov, facts.identified, solution.converged, facts.admissible, tuple(found), replicates,
        title=title,
    )  # fmt: skip


def _baseline_faults(problem: Problem) -> list[Diagnostic]:
    """Why CFI and TLI are missing or mean little: the independence model fits already (case 67)."""
    if type(problem) is not Problem:
        return []
    base = baseline_tests(replace(problem, test="standard"))[0]
    if base.chi2 > base.df or base.df == 0:
        return []
    return [Diagnostic(
        "BaselineFits",
        f"The variables hardly covary: even the model without any covariance fits (χ² = {base.chi2:.2f}, "
        f"df = {base.df}), so TLI (and CFI) have nothing to compare with.", "warning")]  # fmt: skip


def solve(problem: Problem, start: np.ndarray, starts: int = 1) -> Solution:
    """Minimise from ``start``; from more starts when that fails, ends on a saddle, or the user asks (cases 64, 65)."""
    first = minimise(problem.discrepancy, start, problem.constraints)
    more = starts - 1 if first.converged and not _on_a_saddle(problem, first) else max(MORE_STARTS, starts - 1)
    if more <= 0:
        return first
    rng = np.random.default_rng(20240229)
    tried = [first]
    for _ in range(more):
        tried.append(minimise(problem.discrepancy, another_start(start, problem.table, rng), problem.constraints))
    arrived = [s for s in tried if s.converged] or tried
    best = min(arrived, key=lambda s: s.value if np.isfinite(s.value) else np.inf)
    if first.converged and first.value <= best.value + 1e-9:
        best = first
    return replace(best, starts=tuple(float(s.value) for s in tried))


def _on_a_saddle(problem: Problem, solution: Solution) -> bool:
    """Does the search end where directions are lost that a nearby point has (factors that began alike)?"""
    if problem.table.n_free == 0 or not hasattr(problem.discrepancy, "jacobians"):
        return False
    here = moment_rank(problem, solution.theta)[0]
    if here == 0:
        return False
    near = another_start(solution.theta, problem.table, np.random.default_rng(1))
    return rank_deficit(np.vstack(problem.discrepancy.jacobians(near)))[0] < here


def _from_moments(model: str, covariance_: pd.DataFrame, n: int, means: pd.Series | None, call: Call) -> Prepared:
    parsed = parse(model)
    estimator = (call.estimator or "ml").lower()
    one_of(estimator, ESTIMATORS, "estimator", code="UnknownEstimator")
    if estimator not in FROM_MOMENTS or (call.information or "").replace("_", ".") == "first.order":
        raise ModelError(
            f"{estimator} (or first-order information) needs the rows, and only moments were given; from moments "
            f"the estimators are {listed(FROM_MOMENTS)}, with expected or observed information.",
            code="NeedsRows",
        )
    table_ = given_covariance(covariance_)
    names = model_variables(parsed, table_.columns)
    if whole(n, "n", least=-(2**62), what="a number of rows") <= len(names):
        raise ModelError(
            f"A covariance matrix of {len(names)} variables needs more rows than variables behind it; n = {n} came.",
            code="TooFewRows",
        )
    empty = pd.DataFrame(columns=names, dtype=float)
    options = table_options(parsed, call, estimator, [], ("",), empty)
    table = build(parsed, options)
    order = list(table.names[1, 1].observed)
    if options.meanstructure and means is None:
        raise ModelError("The model has intercepts, so pass the means too (means=…).", code="NeedsMeans")
    mean = np.zeros(len(order)) if means is None else given_means(means, order)
    cov = table_.loc[order, order].to_numpy() * ((n - 1) / n)
    sample = Sample(tuple(order), n, mean, cov)
    check_moments(sample)
    settings = resolved_settings(table, estimator, "listwise", call, False, False)
    problem = continuous_problem(table, [sample], settings)
    start = starting_values(problem.table, problem.structure, [cov], [mean])
    return Prepared(problem, start, parsed, settings, ("",), remarks=[f"From a covariance matrix of {n} rows."])
