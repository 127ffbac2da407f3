"""Indices of fit as functions of χ², df and the independence model's, and cited cut-offs as named rules.

To add an index, write a function of numbers and give it a column in `confirmatory`.
"""

from __future__ import annotations

import numpy as np
from scipy import optimize, special

from cocoanalysis.measurement.implied import lower
from cocoanalysis.measurement.inference import Test

CUTOFFS = {
    "hu_bentler_1999": {"source": "Hu & Bentler, 1999", "cfi": 0.95, "tli": 0.95, "rmsea": 0.06, "srmr": 0.08},
    "browne_cudeck_1993": {"source": "Browne & Cudeck, 1993", "rmsea": 0.08},
}


def cfi(test: Test, base: Test, c: float = 1.0, c_base: float = 1.0) -> float:
    """Comparative fit index (Bentler, 1990); robust with scaling factors (Brosseau-Liard & Savalei, 2014)."""
    if not test.df > 0 or not base.df > 0:
        return np.nan
    own = max(test.chi2 - c * test.df, 0.0)
    other = max(own, base.chi2 - c_base * base.df, 0.0)
    if not np.isfinite(own + other):
        return np.nan
    if other == 0.0:
        return np.nan
    return 1.0 if own < 1.5e-8 and other < 1.5e-8 else float(1 - own / other)


def tli(test: Test, base: Test, c: float = 1.0, c_base: float = 1.0) -> float:
    """Tucker–Lewis index (1973); missing when the model is saturated or the independence model fits."""
    if not test.df > 0 or not base.df > 0 or base.chi2 <= c_base * base.df:
        return np.nan
    return float(1 - (test.chi2 - c * test.df) * base.df / ((base.chi2 - c_base * base.df) * test.df))


def rmsea(chi2: float, df: float, n: float, groups: int = 1, c: float = 1.0) -> float:
    """Root mean square error of approximation (Steiger & Lind, 1980; several groups: Steiger, 1998)."""
    if not np.isfinite(chi2) or not df > 0:
        return 0.0 if df == 0 else np.nan
    return float(np.sqrt(max(chi2 / n / df - c / n, 0.0)) * np.sqrt(groups))


def rmsea_interval(chi2: float, df: float, n: float, groups: int = 1, c: float = 1.0, level: float = 0.9):
    """Limits of RMSEA from the noncentral χ² distribution; ``chi2`` is the scaled one when c is not 1."""
    if not np.isfinite(chi2) or not df > 0:
        return (np.nan, np.nan) if df != 0 else (0.0, 0.0)
    tail = (1 - level) / 2

    def limit(probability: float) -> float:
        def distance(noncentrality: float) -> float:
            return float(special.chndtr(chi2, df, noncentrality)) - probability

        if distance(0.0) < 0:
            return 0.0
        direct = float(special.chndtrinc(chi2, df, probability))
        if np.isfinite(direct) and direct > 0 and abs(distance(direct)) < 1e-12:
            return direct
        high = max(chi2, df) * 2 + 20
        while distance(high) > 0:
            high *= 2
        return float(optimize.brentq(distance, 0.0, high, xtol=1e-10 * max(high, 1.0)))

    return tuple(np.sqrt(c * limit(q) / (n * df)) * np.sqrt(groups) for q in (1 - tail, tail))


def close_fit(chi2: float, df: float, n: float, groups: int = 1, c: float = 1.0, bound: float = 0.05) -> float:
    """p-value of RMSEA ≤ bound (Browne & Cudeck, 1993); ``chi2`` is the scaled one when c is not 1."""
    if not np.isfinite(chi2) or not df > 0:
        return np.nan
    return float(1 - special.chndtr(chi2, df, n * df * bound**2 / (c * groups)))


def srmr(
    observed: np.ndarray,
    implied: np.ndarray,
    observed_mean: np.ndarray | None = None,
    implied_mean: np.ndarray | None = None,
    *,
    ordinal: bool = False,
    covariates: int = 0,
) -> float:
    """Standardised root mean square residual of one group (Bentler, 1995; lavaan's default)."""
    sd = np.sqrt(np.diag(observed))
    residual = (observed - implied) / np.outer(sd, sd)
    i, j = lower(len(sd), diagonal=not ordinal)
    total, count = np.sum(residual[i, j] ** 2), len(i) + (len(sd) + covariates if ordinal else 0)
    if observed_mean is not None and implied_mean is not None and not ordinal:
        total += np.sum(((observed_mean - implied_mean) / sd) ** 2)
        count += len(sd)
    return float(np.sqrt(total / count))


def srmr_mplus(observed, implied, observed_mean=None, implied_mean=None, *, unit: bool = False) -> float:
    """Mplus's variant: both matrices as correlations, variances as relative differences, means in own units.

    With ``unit`` the means are thresholds, which have no unit.
    """
    sd, other = np.sqrt(np.diag(observed)), np.sqrt(np.diag(implied))
    difference = observed / np.outer(sd, sd) - implied / np.outer(other, other)
    i, j = np.tril_indices(len(sd), -1)
    total = np.sum(difference[i, j] ** 2) + np.sum(((sd**2 - other**2) / sd**2) ** 2)
    count = len(i) + len(sd)
    if observed_mean is not None and implied_mean is not None:
        gap = observed_mean - implied_mean if unit else observed_mean / sd - implied_mean / other
        total, count = total + np.sum(gap**2), count + len(gap)
    return float(np.sqrt(total / count))


def information_criteria(loglik: float, parameters: int, n: float) -> tuple[float, float, float]:
    """AIC, BIC and the sample-size adjusted BIC (Sclove, 1987)."""
    if not np.isfinite(loglik):
        return np.nan, np.nan, np.nan
    return (
        -2 * loglik + 2 * parameters,
        -2 * loglik + parameters * np.log(n),
        -2 * loglik + parameters * np.log((n + 2) / 24),
    )
