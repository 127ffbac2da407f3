"""Can a regression be relied on? Collinearity, influence, functional form, and an omitted common cause."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from cocoanalysis.errors import ModelError, one_of
from cocoanalysis.propositions.regression import Regression
from cocoanalysis.propositions.vcov import Options, Sample, classical
from cocoanalysis.responses.disclosure import safe_table
from cocoanalysis.result import Result


@dataclass(frozen=True, repr=False)
class Checks(Result):
    """`tidy()` one row a term, `rows()` one row a respondent, `clusters()` one row a cluster, `form()` the tests."""

    fit: Regression
    provenance: str = "yours"
    survey: Any = None
    title: str = "Checks of the regression"

    def _sample(self) -> Sample:
        design = self.fit.design
        return Sample(design.regressors, self.fit.residuals, self.fit.estimates, design.clusters)

    def tidy(self) -> pd.DataFrame:
        """Columns term, vif, partial_r_squared, robustness_value, robustness_value_alpha, most_influential_cluster,
        largest_shift (of the coefficient when one cluster is left out, in standard errors)."""
        table = self.fit.tidy()
        strength = [robustness(t, self.fit.numbers["df_residual"]) for t in self._classical()]
        columns = pd.DataFrame(strength, columns=["partial_r_squared", "robustness_value", "robustness_value_alpha"])
        found = pd.concat([table[["term"]], pd.DataFrame({"vif": vif(self.fit)}), columns], axis=1)
        if self.fit.design.clusters:
            shifts = self.clusters().set_index("cluster")
            found["most_influential_cluster"] = shifts.abs().idxmax().to_numpy()
            found["largest_shift"] = [shifts[term].loc[shifts[term].abs().idxmax()] for term in found["term"]]
        return found[found["term"] != "Intercept"].reset_index(drop=True)

    def _classical(self) -> np.ndarray:
        """t under independent errors: what partial R² is made of, whatever errors the fit reports."""
        variance = np.diag(classical(self._sample(), Options()).matrix)
        return self.fit.estimates / np.sqrt(variance)

    def _shown(self) -> pd.DataFrame:
        """Of real answers, without what is known of single clusters only: it stays in `tidy`."""
        return safe_table(self.tidy(), provenance=self.provenance, counts=()).shown()

    def glance(self) -> pd.DataFrame:
        rows, tests = self.rows(), self.form().set_index("test")
        return pd.DataFrame(
            [
                {
                    "vif_max": float(np.nanmax(vif(self.fit))),
                    "cooks_distance_max": float(rows["cooks_distance"].max()),
                    "reset_p": tests.loc["RESET", "p_value"],
                    "breusch_pagan_p": tests.loc["Breusch–Pagan", "p_value"],
                    "jarque_bera_p": tests.loc["Jarque–Bera", "p_value"],
                }
            ]
        )

    def rows(self) -> pd.DataFrame:
        """Each row's leverage, studentised residual and Cook's (1977) distance."""
        sample = self._sample()
        leverage = sample.leverage
        variance = float(sample.residuals @ sample.residuals) / (sample.n - sample.p)
        standard = sample.residuals / np.sqrt(variance * (1 - leverage))
        cook = standard**2 * leverage / (1 - leverage) / sample.p
        left = (sample.n - sample.p - standard**2) / (sample.n - sample.p - 1)
        table = {"leverage": leverage, "studentised": standard / np.sqrt(left), "cooks_distance": cook}
        return pd.DataFrame(table, index=self.fit.design.rows)

    def clusters(self) -> pd.DataFrame:
        """By how many standard errors each coefficient moves when a cluster is left out (estimate without − with)."""
        sample = self._sample()
        if not sample.clusters:
            raise ModelError("The regression has no clusters to leave out.", code="NoCluster")
        codes, (q, inverse) = sample.clusters[0], sample.basis
        se = np.sqrt(np.diag(self.fit.certainty.matrix))
        moves = []
        for group in range(codes.max() + 1):
            rows = codes == group
            part = q[rows]
            inner = np.linalg.lstsq(np.eye(sample.p) - part.T @ part, part.T @ sample.residuals[rows], rcond=None)[0]
            moves.append(-(inverse @ inner) / se)
        return pd.DataFrame(moves, columns=list(self.fit.terms)).rename_axis("cluster").reset_index()

    def form(self) -> pd.DataFrame:
        """Ramsey's (1969) RESET with squares and cubes of the fitted values, Breusch & Pagan (1979, Koenker's form),
        Jarque & Bera (1980). Columns test, statistic, df, p_value."""
        sample = self._sample()
        fitted = self.fit.design.outcome - sample.residuals
        rows = [_reset(sample, fitted), _koenker(sample), _jarque_bera(sample.residuals)]
        return pd.DataFrame(rows, columns=["test", "statistic", "df", "p_value"])

    def notes(self) -> list[str]:
        words = (
            "robustness_value: the share of the residual variance of outcome and term alike that an unmeasured common "
            "cause would have to explain to bring the slope to 0 (…_alpha: to p = .05); Cinelli & Hazlett (2020)."
        )
        return [*super().notes(), words]


def check_regression(fit: Regression) -> Checks:
    """Check collinearity, influence of rows and clusters, functional form, and robustness to an omitted variable.

    Parameters
    ----------
    fit : from `regress` with model='ols', or ``verdicts["H1"].fit``

    Raises
    ------
    ModelError : UnknownChoice for another model, NotIdentified

    Examples
    --------
    >>> from cocoanalysis import regress
    >>> random = np.random.default_rng(1)
    >>> table = pd.DataFrame(random.normal(size=(200, 2)), columns=["a", "b"])
    >>> table["y"] = table.a + random.normal(size=200)
    >>> check_regression(regress("y ~ a + b", table)).tidy()["vif"].round(1).tolist()
    [1.0, 1.0]
    """
    one_of(str(fit.settings["model"]), ["ols"], "model that can be checked so")
    if not fit.identified:
        raise ModelError("A regression that is not identified cannot be checked.", code="NotIdentified")
    return Checks(fit, provenance=fit.provenance, survey=fit.survey)


def vif(fit: Regression) -> np.ndarray:
    """Variance inflation of each term: 1/(1 − R²) of the term on all others (Intercept: NaN)."""
    keep = [k for k, term in enumerate(fit.terms) if term != "Intercept"]
    x = fit.design.regressors[:, keep]
    centred = x - x.mean(axis=0) if len(keep) < len(fit.terms) else x
    found = np.full(len(fit.terms), np.nan)
    found[keep] = np.diag(np.linalg.inv(centred.T @ centred)) * (centred**2).sum(axis=0)
    return found


def robustness(statistic: float, df: float, alpha: float = 0.05) -> tuple[float, float, float]:
    """Partial R² of a term and its robustness values to 0 and to p = alpha (Cinelli & Hazlett, 2020, section 4)."""
    if not np.isfinite(statistic):
        return np.nan, np.nan, np.nan
    f = abs(statistic) / np.sqrt(df)
    critical = stats.t.ppf(1 - alpha / 2, df - 1) / np.sqrt(df - 1)
    left = max(f - critical, 0.0)
    at_alpha = (f**2 - critical**2) / (1 + f**2) if f > 1 / critical else robustness_value(left)
    return float(f**2 / (1 + f**2)), robustness_value(f), float(at_alpha)


def robustness_value(f: float) -> float:
    """Share of the residual variance of both variables that a confounder must explain to bring a slope to zero.

    Cinelli & Hazlett (2020), section 4, with q = 1; ``f`` is the root of the slope's partial f².
    """
    return float((np.sqrt(f**4 + 4 * f**2) - f**2) / 2)


def _reset(sample: Sample, fitted: np.ndarray) -> tuple[str, float, float, float]:
    scaled = fitted / max(float(np.abs(fitted).max()), 1e-300)
    q = np.linalg.qr(np.c_[sample.regressors, scaled**2, scaled**3])[0]
    outcome = fitted + sample.residuals
    wide = outcome - q @ (q.T @ outcome)
    rss, less, df = float(sample.residuals @ sample.residuals), float(wide @ wide), sample.n - sample.p - 2
    f = (rss - less) / 2 / (less / df)
    return "RESET", f, 2.0, float(stats.f.sf(f, 2, df))


def _koenker(sample: Sample) -> tuple[str, float, float, float]:
    squares = sample.residuals**2
    q, total = sample.basis[0], squares - squares.mean()
    left = squares - q @ (q.T @ squares)
    statistic = sample.n * (1 - float(left @ left) / float(total @ total))
    return "Breusch–Pagan", statistic, sample.p - 1.0, float(stats.chi2.sf(statistic, sample.p - 1))


def _jarque_bera(residuals: np.ndarray) -> tuple[str, float, float, float]:
    found = stats.jarque_bera(residuals)
    return "Jarque–Bera", float(found.statistic), 2.0, float(found.pvalue)
