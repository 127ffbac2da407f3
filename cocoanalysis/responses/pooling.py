"""One result from analyses of several imputed samples: Rubin's rules and the tests D1, D2, D3.

All functions work on arrays; `Imputations.pool` uses them on results with `tidy()`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from cocoanalysis.errors import ResponseError
from cocoanalysis.result import Result


class Rubin(NamedTuple):
    """Pooled estimates with what missing answers cost: each an array, one value a parameter."""

    est: np.ndarray
    se: np.ndarray
    df: np.ndarray
    riv: np.ndarray  # relative increase in variance due to missing answers
    share: np.ndarray  # λ: share of the variance that is due to missing answers
    fmi: np.ndarray  # fraction of missing information


class PooledTest(NamedTuple):
    """A test of several parameters over imputations: F with df1 and df2."""

    f: float
    df1: float
    df2: float
    p_value: float
    riv: float


def rubin(estimates: np.ndarray, variances: np.ndarray, df_complete: float = np.inf) -> Rubin:
    """Rubin's rules with the degrees of freedom of Barnard and Rubin (1999).

    Parameters
    ----------
    estimates, variances : imputations × parameters; variances are squared standard errors
    df_complete : residual degrees of freedom of the complete-data analysis
    """
    m = _several(estimates)
    within, between = variances.mean(axis=0), estimates.var(axis=0, ddof=1)
    total = within + (1 + 1 / m) * between
    share = np.divide((1 + 1 / m) * between, total, out=np.zeros_like(total), where=total > 0)
    riv = np.divide((1 + 1 / m) * between, within, out=np.zeros_like(total), where=within > 0)
    df = barnard_rubin(share, m, df_complete)
    with np.errstate(invalid="ignore"):
        fmi = np.where(riv > 0, (riv + 2 / (df + 3)) / (riv + 1), 0.0)
    return Rubin(estimates.mean(axis=0), np.sqrt(total), df, riv, share, fmi)


def barnard_rubin(share: np.ndarray, m: int, df_complete: float) -> np.ndarray:
    """Degrees of freedom, given λ, the number of imputations, and those of complete data (Barnard & Rubin, 1999)."""
    with np.errstate(divide="ignore"):
        old = (m - 1) / share**2
    if np.isinf(df_complete):
        return old
    observed = (df_complete + 1) / (df_complete + 3) * df_complete * (1 - share)
    with np.errstate(divide="ignore"):
        return 1 / (1 / old + 1 / observed)


def d1(estimates: np.ndarray, covariances: np.ndarray) -> PooledTest:
    """Test that all k parameters are 0, from estimates and covariance matrices (Li, Raghunathan & Rubin, 1991).

    ``estimates`` imputations × k, ``covariances`` imputations × k × k.
    """
    m, k = _several(estimates), estimates.shape[1]
    within = covariances.mean(axis=0)
    between = np.atleast_2d(np.cov(estimates, rowvar=False))
    riv = (1 + 1 / m) * np.trace(np.linalg.solve(within, between)) / k
    mean = estimates.mean(axis=0)
    f = mean @ np.linalg.solve(within, mean) / (k * (1 + riv))
    return _f_test(f, k, _df_li(k, m, riv), riv)


def d2(statistics: Sequence[float] | np.ndarray, df: float) -> PooledTest:
    """Test from χ² statistics alone (Li, Meng, Raghunathan & Rubin, 1991); for CFA's χ² among others."""
    chi2 = np.asarray(statistics, dtype=float)
    m = _several(chi2)
    riv = (1 + 1 / m) * np.sqrt(np.maximum(chi2, 0)).var(ddof=1)
    f = (chi2.mean() / df - (m + 1) / (m - 1) * riv) / (1 + riv)
    with np.errstate(divide="ignore"):
        df2 = df ** (-3 / m) * (m - 1) * (1 + 1 / riv) ** 2 if riv > 0 else np.inf
    return _f_test(f, df, df2, riv)


def d3(statistics: Sequence[float] | np.ndarray, at_pooled: Sequence[float] | np.ndarray, df: float) -> PooledTest:
    """Likelihood-ratio test over imputations (Meng & Rubin, 1992).

    Parameters
    ----------
    statistics : 2 (log-likelihood of the model − of the smaller model), each imputation at its own estimates
    at_pooled : the same statistic in each imputation at the estimates averaged over imputations
    df : number of parameters tested
    """
    m = _several(np.asarray(statistics))
    own, pooled = float(np.mean(statistics)), float(np.mean(at_pooled))
    riv = max((m + 1) / (df * (m - 1)) * (own - pooled), 0.0)
    return _f_test(pooled / (df * (1 + riv)), df, _df_li(df, m, riv), riv)


def d3_regression(outcomes: Sequence[np.ndarray], designs: Sequence[np.ndarray], tested: Sequence[int]) -> PooledTest:
    """D3 for normal linear regression: are the coefficients of the columns ``tested`` all 0?

    ``outcomes`` and ``designs`` are y and X (with its constant) of each imputation; likelihoods with
    the maximum-likelihood residual variance, which is averaged over imputations like the coefficients.
    """
    kept = [j for j in range(designs[0].shape[1]) if j not in set(tested)]
    own, pooled = [], []
    for columns in (range(designs[0].shape[1]), kept):
        fits = [_least_squares(y, x[:, list(columns)]) for y, x in zip(outcomes, designs)]
        coefficients = np.mean([fit[0] for fit in fits], axis=0)
        variance = float(np.mean([fit[1] for fit in fits]))
        own.append([_loglik(y, x[:, list(columns)], *fit) for y, x, fit in zip(outcomes, designs, fits)])
        pooled.append([_loglik(y, x[:, list(columns)], coefficients, variance) for y, x in zip(outcomes, designs)])
    return d3(2 * (np.array(own[0]) - own[1]), 2 * (np.array(pooled[0]) - pooled[1]), len(tested))


def _least_squares(y: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, float]:
    coefficients = np.linalg.lstsq(x, y, rcond=None)[0]
    return coefficients, float(((y - x @ coefficients) ** 2).mean())


def _loglik(y: np.ndarray, x: np.ndarray, coefficients: np.ndarray, variance: float) -> float:
    squares = ((y - x @ coefficients) ** 2).sum()
    return float(-0.5 * (len(y) * np.log(2 * np.pi * variance) + squares / variance))


def _df_li(k: float, m: int, riv: float) -> float:
    """Denominator degrees of freedom of D1 and D3 (Li, Raghunathan & Rubin, 1991, eqs. 1.17–1.18)."""
    t = k * (m - 1)
    if riv <= 0:
        return np.inf
    return 4 + (t - 4) * (1 + (1 - 2 / t) / riv) ** 2 if t > 4 else t * (1 + 1 / k) * (1 + 1 / riv) ** 2 / 2


def _f_test(f: float, df1: float, df2: float, riv: float) -> PooledTest:
    p = stats.chi2.sf(max(f, 0.0) * df1, df1) if np.isinf(df2) else stats.f.sf(max(f, 0.0), df1, df2)
    return PooledTest(float(f), float(df1), float(df2), float(p), float(riv))


def _several(estimates: np.ndarray) -> int:
    if len(estimates) < 2:
        raise ResponseError(
            "Pooling needs at least two imputations, better twenty: from one the uncertainty about missing answers "
            "cannot be told.",
            code="TooFewImputations",
        )
    return len(estimates)


# Tables of results --------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class Pooled(Result):
    """Estimates pooled over imputations."""

    table: pd.DataFrame
    m: int
    tests: pd.DataFrame
    provenance: str = "yours"
    title: str = "Pooled over imputations"

    def tidy(self) -> pd.DataFrame:
        """The keys of the analysis, then est, se, statistic, df, p_value, ci_lower, ci_upper, riv, fmi."""
        return self.table

    def glance(self) -> pd.DataFrame:
        """One row: m and, where there are, the pooled tests of the whole model (D2)."""
        return pd.concat([pd.DataFrame({"m": [self.m]}), self.tests.reset_index(drop=True)], axis=1)

    def notes(self) -> list[str]:
        return [*super().notes(), f"Rubin's rules over {self.m} imputations; df by Barnard and Rubin."]


NUMBERS = {"est", "se", "z", "t", "statistic", "df", "p_value", "ci_lower", "ci_upper", "est_std", "std_lv", "std_all"}


def pooled_tables(tables: Sequence[pd.DataFrame], *, df_complete: float = np.inf, level: float = 0.95) -> pd.DataFrame:
    """Pool tables with ``est`` and ``se``, one an imputation, whose other columns name the rows.

    Raises
    ------
    ResponseError : NothingToPool, DifferentTables
    """
    keys = [name for name in tables[0].columns if name not in NUMBERS and not _measured(tables[0][name])]
    if not {"est", "se"} <= set(tables[0].columns):
        raise ResponseError("Pooling needs tables with the columns est and se.", code="NothingToPool")
    if any(not table[keys].astype(str).equals(tables[0][keys].astype(str)) for table in tables):
        raise ResponseError(
            "The analysis gave different rows in different imputations (a category or a cluster that is missing in "
            "some); fix the terms of the model so that they are the same.",
            code="DifferentTables",
        )
    est = np.array([table["est"].to_numpy(dtype=float) for table in tables])
    se = np.array([table["se"].to_numpy(dtype=float) for table in tables])
    each = _df_of(tables) if np.isinf(df_complete) else np.full(est.shape[1], df_complete)
    parts = [rubin(est[:, [j]], se[:, [j]] ** 2, float(each[j])) for j in range(est.shape[1])]
    found = Rubin(*(np.concatenate(column) for column in zip(*parts)))
    return tables[0][keys].assign(**_columns(found, level))


def _measured(column: pd.Series) -> bool:
    return pd.api.types.is_float_dtype(column.dtype)


def _df_of(tables: Sequence[pd.DataFrame]) -> np.ndarray:
    if "df" not in tables[0]:
        return np.full(len(tables[0]), np.inf)
    df = np.mean([table["df"].to_numpy(dtype=float) for table in tables], axis=0)
    return np.where(np.isnan(df), np.inf, df)


def _columns(found: Rubin, level: float) -> dict[str, np.ndarray]:
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = np.where(found.se > 0, found.est / found.se, np.nan)
    df = np.where(np.isfinite(found.df), found.df, 1e10)
    reach = stats.t.ppf(0.5 + level / 2, df) * found.se
    return {
        "est": found.est,
        "se": found.se,
        "statistic": statistic,
        "df": found.df,
        "p_value": 2 * stats.t.sf(np.abs(statistic), df),
        "ci_lower": found.est - reach,
        "ci_upper": found.est + reach,
        "riv": found.riv,
        "fmi": found.fmi,
    }


def pooled_reliability(tables: Sequence[pd.DataFrame], level: float = 0.95) -> pd.DataFrame:
    """Pool reliability tables (scale, n_items, n, alpha, and omega_total where it is there) on the scale of ln(1 − ρ).

    The variance of alpha is Bonett's (2002); that of omega is taken from the width of its interval (by the
    delta method, at the same ``level``), carried to the logarithm.

    Returns
    -------
    DataFrame: scale, n_items, n, alpha, alpha_lower, alpha_upper, riv, fmi, and with omega omega_total, omega_lower,
    omega_upper, omega_riv, omega_fmi
    """
    first = tables[0]
    k, n = first["n_items"].to_numpy(dtype=float), first["n"].to_numpy(dtype=float)
    alphas = _stacked(tables, "alpha")
    found = first[["scale", "n_items", "n"]].assign(
        **_pooled_coefficient("alpha", "alpha", "", alphas, 2 * k / ((k - 1) * (n - 2)), level)
    )
    if not all({"omega_total", "omega_lower", "omega_upper"} <= set(table) for table in tables):
        return found
    omegas = _stacked(tables, "omega_total")
    width = _stacked(tables, "omega_upper") - _stacked(tables, "omega_lower")
    variance = (width / (2 * stats.norm.ppf(0.5 + level / 2)) / (1 - omegas)) ** 2
    return found.assign(**_pooled_coefficient("omega_total", "omega", "omega_", omegas, variance, level))


def _stacked(tables: Sequence[pd.DataFrame], column: str) -> np.ndarray:
    return np.array([table[column].to_numpy(dtype=float) for table in tables])


def _pooled_coefficient(
    name: str, short: str, prefix: str, values: np.ndarray, variance: np.ndarray, level: float
) -> dict[str, np.ndarray]:
    logs = np.log(1 - values)
    found = rubin(logs, np.broadcast_to(variance, logs.shape))
    reach = stats.t.ppf(0.5 + level / 2, np.where(np.isfinite(found.df), found.df, 1e10)) * found.se
    return {
        name: 1 - np.exp(found.est),
        f"{short}_lower": 1 - np.exp(found.est + reach),
        f"{short}_upper": 1 - np.exp(found.est - reach),
        f"{prefix}riv": found.riv,
        f"{prefix}fmi": found.fmi,
    }
