"""Tests between nested models: plain, Satorra–Bentler (2001) and Satorra (2000) χ² differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from scipy import linalg, special

from cocoanalysis.arguments import shown, word
from cocoanalysis.errors import Diagnostic, ModelError, listed, one_of
from cocoanalysis.measurement.estimators import weighted
from cocoanalysis.measurement.fitting import null_space
from cocoanalysis.measurement.inference import gammas, information
from cocoanalysis.result import Result
from cocoanalysis.threads import in_one_thread

DIFFERENCES: dict[str, Callable] = {}


def difference(function: Callable) -> Callable:
    """Register a difference test: (less restricted fit, more restricted fit) → (Δχ², Δdf)."""
    DIFFERENCES[function.__name__] = function
    return function


@difference
def plain(wide: Any, narrow: Any) -> tuple[float, float]:
    """The difference of two unscaled χ²."""
    return _loss(wide, narrow), narrow.test.df - wide.test.df


@difference
def satorra_bentler_2001(wide: Any, narrow: Any) -> tuple[float, float]:
    """Scaled difference from the two scaling factors (Satorra & Bentler, 2001); missing when its factor is negative."""
    df = narrow.test.df - wide.test.df
    wide_factor = wide.scaled.factor if wide.scaled is not None else 1.0
    factor = (narrow.test.df * narrow.scaled.factor - wide.test.df * wide_factor) / df
    delta = _loss(wide, narrow)
    return (delta / factor if factor > 0 else np.nan), df


@difference
def satorra_2000(wide: Any, narrow: Any) -> tuple[float, float]:
    """Scaled and shifted difference (Satorra, 2000; Asparouhov & Muthén, 2006), as lavaan computes it."""
    df = narrow.test.df - wide.test.df
    delta = _loss(wide, narrow)
    trace, trace2 = _difference_traces(wide, narrow)
    a = np.sqrt(df / trace2)
    return delta * a + df - a * trace, df


def _loss(wide: Any, narrow: Any) -> float:
    """Difference of the unscaled χ², also where one of them is no test by itself (two levels)."""
    return 2 * wide.problem.total * (narrow.solution.value - wide.solution.value)


def _difference_traces(wide: Any, narrow: Any) -> tuple[float, float]:
    problem, solution = wide.problem, wide.solution
    jacobians = problem.discrepancy.jacobians(solution.theta)
    weights, gamma = problem.discrepancy.weights(solution.theta), gammas(problem)
    basis = null_space(solution.active, problem.table.n_free)
    inner_basis = null_space(narrow.solution.active, narrow.problem.table.n_free)
    stacked = np.vstack(jacobians) @ basis
    narrow_stacked = np.vstack(narrow.problem.discrepancy.jacobians(narrow.solution.theta)) @ inner_basis
    reach = np.linalg.pinv(stacked) @ narrow_stacked
    a = linalg.null_space(reach.T).T @ basis.T
    matrix = basis.T @ information(problem, solution) @ basis
    inverse = basis @ np.linalg.inv(matrix) @ basis.T
    middle = inverse @ a.T @ np.linalg.pinv(a @ inverse @ a.T) @ a @ inverse
    pull = [weighted(w, j) for w, j in zip(weights, jacobians)]
    trace = sum(f * np.sum((p.T @ g @ p) * middle) for f, p, g in zip(problem.share, pull, gamma))
    inside = sum(f * (p.T @ g @ p) for f, p, g in zip(problem.share, pull, gamma))
    product = inside @ middle
    return float(trace), float(np.sum(product * product.T))


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(Result):
    """Nested models side by side, the least restricted first: `tidy()` one row a model."""

    table: pd.DataFrame = field(repr=False)
    method: str = "plain"
    diagnostics: tuple[Diagnostic, ...] = ()
    provenance: str = "yours"
    title: str = "Difference tests between nested models"

    def tidy(self) -> pd.DataFrame:
        return self.table.copy()

    def glance(self) -> pd.DataFrame:
        """The last (most restricted) model's row."""
        return self.table.tail(1).reset_index(drop=True)

    def notes(self) -> list[str]:
        told = f"Differences by the method {self.method.replace('_', ' ')}."
        return [*super().notes(), told, *(str(d) for d in self.diagnostics)]


@in_one_thread
def compare(*fits: Any, method: str | None = None) -> Comparison:
    """Does the more restricted model fit worse than the less restricted one?

    Parameters
    ----------
    fits : two or more fits of nested models to the same rows
    method : plain, satorra_bentler_2001 or satorra_2000; None takes plain for unscaled tests,
        satorra_bentler_2001 for mean-adjusted and satorra_2000 for second-order scaled ones

    Raises
    ------
    ModelError : DifferentRows, DifferentEstimators, NotNested, UnusableFit, TooFewFits
    """
    if len(fits) < 2:
        raise ModelError("compare needs at least two fits.", code="TooFewFits")
    for fit in fits:
        if not (hasattr(fit, "test") and hasattr(fit, "problem")):
            raise ModelError(
                f"compare takes fits of cfa or sem, each as an argument of its own; {shown(fit)} came.",
                code="NotAFit",
            )
    word(method, "method", open_=True)
    fits = tuple(sorted(fits, key=lambda fit: fit.test.df))
    _refuse(fits)
    name = _method(fits, method)
    rows: list[dict[str, Any]] = []
    found = _inadmissible(fits)
    for k, fit in enumerate(fits):
        row = _row(fit, k)
        if k:
            row |= _step(fits[k - 1], fit, name, found)
        rows.append(row)
    return Comparison(pd.DataFrame(rows), name, tuple(found), fits[0].provenance)


def _inadmissible(fits: Sequence[Any]) -> list[Diagnostic]:
    """Which models have estimates that no population has: their indices and tests are for inspection only."""
    places = [str(k) for k, fit in enumerate(fits, start=1) if not fit.admissible]
    if not places:
        return []
    reason = (
        f"Not admissible: model {listed(places)} (see the diagnostics of the fit). Do not choose by this table alone."
    )
    return [Diagnostic("InadmissibleFit", reason, "warning")]


def _row(fit: Any, k: int) -> dict[str, Any]:
    m = fit.measures
    return {
        "model": k + 1, "estimator": fit.settings["estimator"], "n_parameters": fit.n_parameters, "chi2": m["chi2"],
        "df": fit.test.df, "cfi": m["cfi"], "rmsea": m["rmsea"], "srmr": m["srmr"], "aic": m["aic"], "bic": m["bic"],
        "delta_chi2": np.nan, "delta_df": np.nan, "p_value": np.nan, "delta_cfi": np.nan, "delta_rmsea": np.nan,
        "delta_srmr": np.nan,
    }  # fmt: skip


def _step(wide: Any, narrow: Any, name: str, found: list[Diagnostic]) -> dict[str, float]:
    delta, df = DIFFERENCES[name](wide, narrow)
    if not np.isfinite(delta) or delta < -1e-6:
        found.append(Diagnostic(
            "NegativeDifference",
            "The scaled difference is negative or its factor is, so it has no p-value; use method='satorra_2000'."
            if name == "satorra_bentler_2001"
            else "The more restricted model fits better: the models are not nested, or one search missed its minimum.",
            "warning"))  # fmt: skip
        delta = np.nan
    a, b = narrow.measures, wide.measures
    return {
        "delta_chi2": delta, "delta_df": df, "p_value": float(special.chdtrc(df, delta)) if df > 0 else np.nan,
        "delta_cfi": a["cfi"] - b["cfi"], "delta_rmsea": a["rmsea"] - b["rmsea"], "delta_srmr": a["srmr"] - b["srmr"],
    }  # fmt: skip


def _method(fits: Sequence[Any], method: str | None) -> str:
    tests = {fit.problem.test for fit in fits}
    if method is None:
        if tests == {"standard"}:
            return "plain"
        return "satorra_bentler_2001" if tests <= {"satorra.bentler", "yuan.bentler.mplus"} else "satorra_2000"
    name = method.lower().replace(".", "_").replace("-", "_").replace(" ", "_")
    name = {"standard": "plain", "satorrabentler2001": "satorra_bentler_2001", "satorra2000": "satorra_2000"}.get(
        name, name
    )
    one_of(name, DIFFERENCES, "difference test", code="UnknownMethod")
    if name != "plain" and tests == {"standard"}:
        raise ModelError(
            f"method='{method}' needs fits with scaled tests (mlr, mlm, wlsmv, …); these have plain ones.",
            code="MethodNeedsScaled",
        )
    if name == "satorra_bentler_2001" and not tests <= {"satorra.bentler", "yuan.bentler.mplus"}:
        raise ModelError(
            "method='satorra_bentler_2001' needs mean-adjusted tests (mlr, mlm, wlsm); use 'satorra_2000'.",
            code="MethodNeedsScaled",
        )
    return name


def _refuse(fits: Sequence[Any]) -> None:
    """Fits of other rows, other estimators, equal df, or fits that mean nothing (cases 68 and 69)."""
    first = fits[0]
    for fit in fits:
        if not (fit.identified and fit.converged):
            raise ModelError(
                "A fit that is not identified or did not converge has no χ² to compare; see its diagnostics.",
                code="UnusableFit",
            )
    for other in fits[1:]:
        same = (
            first.prepared.rows
            and other.prepared.rows
            and all(len(a) == len(b) and a.equals(b) for a, b in zip(_pooled(first), _pooled(other)))
        )
        if first.problem.total != other.problem.total or (first.prepared.rows and not same):
            raise ModelError(
                f"The fits use different rows ({first.problem.total} and {other.problem.total}); a χ² difference needs "
                "the same rows. Fit all models to the same data with the same treatment of missing answers.",
                code="DifferentRows",
            )
        if first.settings["estimator"] != other.settings["estimator"]:
            raise ModelError(
                f"The fits use different estimators ({first.settings['estimator']} and {other.settings['estimator']}).",
                code="DifferentEstimators",
            )
        if {n for b in first.problem.structure.blocks for n in b.observed} != {
            n for b in other.problem.structure.blocks for n in b.observed
        }:
            raise ModelError("The fits explain different variables, so they are not nested.", code="NotNested")
    for wide, narrow in pairwise(fits):
        if wide.test.df == narrow.test.df:
            raise ModelError(
                f"Two fits have the same degrees of freedom ({wide.test.df}); neither is nested in the other. Compare "
                "their AIC or BIC instead.",
                code="NotNested",
            )


def _pooled(fit: Any) -> list[pd.Index]:
    first, *others = fit.prepared.rows
    return [first.append(list(others)).sort_values() if others else first.sort_values()]
