"""Exploratory factor analysis: which items belong together, when nobody says so beforehand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from scipy import optimize, special, stats

from cocoanalysis.arguments import is_number, seed_number, shown, whole
from cocoanalysis.errors import Diagnostic, ModelError, listed, one_of
from cocoanalysis.measurement.correlations import Correlations, Explored, correlate
from cocoanalysis.measurement.extraction import EXTRACTIONS, LOWEST, Extraction
from cocoanalysis.measurement.retention import ParallelAnalysis, parallel_analysis, velicer_map
from cocoanalysis.measurement.rotations import ROTATIONS, Rotated, in_order, rotate
from cocoanalysis.responses.disclosure import of_people
from cocoanalysis.threads import in_one_thread

SCORES = ("regression", "bartlett", "tenberge")


@dataclass(frozen=True, repr=False)
class EFA(Explored):
    """A finished exploratory factor analysis.

    Attributes
    ----------
    loadings : pattern, items × factors; strongest factor first, each with a positive sum
    factor_correlations : factors × factors, in the order and sign of the loadings
    structure : correlations of items with factors (loadings × factor correlations)
    communalities, uniquenesses : one value an item
    eigenvalues : of the analysed correlation matrix, falling
    fit : χ², df, p_value, rmsea with its 90 % interval, tli, bic, srmr, objective
    diagnostics : what a reader must know (Heywood, NotConverged, NotIdentified, LocalMinima)
    retention : the parallel analysis that chose the number of factors, if one did
    """

    loadings: pd.DataFrame
    factor_correlations: pd.DataFrame
    communalities: pd.Series
    uniquenesses: pd.Series
    eigenvalues: np.ndarray
    fit: Mapping[str, float]
    correlations: Correlations
    rotated: Rotated
    diagnostics: tuple[Diagnostic, ...] = ()
    retention: ParallelAnalysis | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    survey: Any = None
    ledger: pd.DataFrame | None = None
    provenance: str = "yours"
    title = "Exploratory factor analysis"

    @property
    def structure(self) -> pd.DataFrame:
        return self.loadings @ self.factor_correlations

    @property
    def n_factors(self) -> int:
        return self.loadings.shape[1]

    @property
    def admissible(self) -> bool:
        return not any(d.severity == "error" for d in self.diagnostics)

    def tidy(self) -> pd.DataFrame:
        """One row an item and factor: loading, structure coefficient, and the item's communality."""
        items, factors = self.loadings.index, self.loadings.columns
        table = pd.DataFrame({"item": np.repeat(items, len(factors)), "factor": np.tile(factors, len(items))})
        table["loading"] = self.loadings.to_numpy().ravel()
        table["structure"] = self.structure.to_numpy().ravel()
        table["communality"] = table["item"].map(self.communalities)
        table["uniqueness"] = table["item"].map(self.uniquenesses)
        return table

    def glance(self) -> pd.DataFrame:
        facts = {
            "n": self.correlations.n,
            "n_items": len(self.loadings),
            "n_factors": self.n_factors,
            **self.fit,
            **{k: self.settings[k] for k in ("extraction", "rotation", "correlation")},
            "converged": not any(d.code == "NotConverged" for d in self.diagnostics),
            "admissible": self.admissible,
            "rotation_starts": self.rotated.starts,
            "rotation_minima": self.rotated.minima,
        }
        return pd.DataFrame({key: [value] for key, value in facts.items()})

    def variance(self) -> pd.DataFrame:
        """Variance each factor accounts for: sum of squares, share of all items, running total."""
        values = self.loadings.to_numpy()
        squares = np.diag(self.factor_correlations.to_numpy() @ values.T @ values)
        share = squares / len(values)
        names = list(self.loadings.columns)
        return pd.DataFrame({"factor": names, "ss": squares, "share": share, "cumulative": np.cumsum(share)})

    def residuals(self) -> pd.DataFrame:
        """Observed minus reproduced correlations; the diagonal holds the uniquenesses."""
        reproduced = self.loadings.to_numpy() @ self.structure.to_numpy().T
        names = list(self.correlations.names)
        return pd.DataFrame(self.correlations.matrix - reproduced, index=names, columns=names)

    def weights(self, method: str = "regression") -> pd.DataFrame:
        """Weights that turn standardised answers into factor scores (items × factors)."""
        one_of(method, SCORES, "kind of factor score")
        values = score_weights(
            self.correlations.matrix, self.loadings.to_numpy(), self.factor_correlations.to_numpy(), method
        )
        return pd.DataFrame(values, index=self.loadings.index, columns=self.loadings.columns)

    def scores(self, method: str = "regression") -> pd.DataFrame:
        """Factor scores, one row a respondent.

        Parameters
        ----------
        method : 'regression' (Thurstone), 'bartlett' (unbiased for a person), 'tenberge' (correlate as the factors do)

        Respondents with a missing answer have no score. Look at `determinacy` before using them.
        """
        answers = self.correlations.answers
        if answers is None:
            raise ModelError(
                "Factor scores need the answers; this analysis started from a correlation matrix.", code="NeedsAnswers"
            )
        standard = (answers - answers.mean()) / answers.std()
        values = standard.to_numpy() @ self.weights(method).to_numpy()
        return of_people(pd.DataFrame(values, index=answers.index, columns=self.loadings.columns), self.provenance)

    def determinacy(self) -> pd.DataFrame:
        """How well scores can stand for the factors: multiple R, R², and the smallest correlation 2R² − 1
        between two sets of scores that fit equally well (Grice, 2001)."""
        structure = self.structure.to_numpy()
        r2 = np.diag(structure.T @ np.linalg.solve(self.correlations.matrix, structure))
        names = list(self.loadings.columns)
        return pd.DataFrame({"factor": names, "r": np.sqrt(r2), "r2": r2, "smallest": 2 * r2 - 1})

    def notes(self) -> list[str]:
        how = f"Extraction: {self.settings['extraction']}; rotation: {self.settings['rotation']}."
        faults = (*self.diagnostics, *self.correlations.diagnostics)
        return [*super().notes(), how, *(d.reason for d in faults)]

    def _shown(self) -> pd.DataFrame:
        shown = self.loadings.copy()
        shown["communality"] = self.communalities
        return shown.rename_axis("item").reset_index()


@in_one_thread
def efa(
    data: Any,
    items: str | Sequence[str] | None = None,
    *,
    factors: int | str,
    correlation: str = "pearson",
    extraction: str = "minres",
    rotation: str = "oblimin",
    n: int | None = None,
    seed: int = 0,
    kaiser: bool | None = None,
    starts: int = 10,
    rotation_options: Mapping[str, Any] | None = None,
    missing: str = "pairwise",
    smooth: bool = False,
) -> EFA:
    """Find the factors behind the items' correlations.

    Parameters
    ----------
    data : Responses, DataFrame, or a correlation matrix (with n for the fit measures)
    items : a construct or block of the survey, or column names; None for all
    factors : how many, or 'parallel' (parallel analysis decides) or 'map'
    correlation : 'pearson' or 'polychoric'
    extraction : 'minres', 'ml', 'pa' or 'wls'
    rotation : 'none' or a name in ROTATIONS
    kaiser : weight items equally by their communalities before rotation; None for the rotation's habit in R
        (yes for varimax, quartimax, equamax and promax, no for the others)
    starts : rotations from the unrotated position and starts − 1 random ones (by ``seed``); the best is kept
    rotation_options : gamma (oblimin), epsilon (geomin), kappa (cf), target (target), power (promax),
        oblique (False keeps the factors uncorrelated)
    missing, smooth : see `correlate`

    Raises
    ------
    ModelError : TooManyFactors, NoFactors, and what `correlate` raises

    Notes
    -----
    The fit measures are psych's, for every extraction: χ² = (n − 1 − (2p + 5)/6 − 2m/3) F with the normal-theory
    discrepancy F; TLI after Tucker & Lewis (1973) with the same factor for the null model;
    RMSEA = √(χ²/(df · n) − 1/(n − 1)), its interval by n − 1; BIC = χ² − df log n; srmr without the diagonal.
    A confirmatory fit divides by n, as lavaan; in small samples the two differ in the third digit.

    Examples
    --------
    >>> import cocoanalysis as coco
    >>> folder = coco.bundled("unit-climate")
    >>> responses = coco.read_responses(folder / "responses.csv", coco.read_survey(folder))
    >>> explored = coco.efa(responses, factors=3, extraction="ml", rotation="oblimin")
    >>> explored.loadings.abs().idxmax(axis=1)["host3"], round(explored.fit["rmsea"], 3)
    ('F2', 0.113)
    """
    one_of(extraction, EXTRACTIONS, "extraction")
    one_of(rotation, ["none", *ROTATIONS], "rotation")
    factors = factors if isinstance(factors, str) else _count(factors)
    seed_number(seed)
    whole(starts, "starts", 1)
    found = correlate(data, items, correlation=correlation, n=n, missing=missing, smooth=smooth)
    count, decided = _number_of_factors(found, factors, seed)
    unrotated = EXTRACTIONS[extraction](found.matrix, count)
    turned = _rotated(unrotated, rotation, kaiser, starts, seed, rotation_options)
    settings = {
        **found.settings,
        "factors": factors,
        "extraction": extraction,
        "rotation": rotation,
        "kaiser": ROTATIONS[rotation].kaiser if kaiser is None and rotation != "none" else bool(kaiser),
        "starts": starts,
        "seed": seed,
        "rotation_options": dict(rotation_options or {}),
    }
    return _finished(found, unrotated, turned, decided, settings)


def _count(factors: Any) -> int:
    if not is_number(factors) or factors != int(factors):
        raise ModelError(
            f"'factors' is a number of factors, 'parallel' or 'map'; {shown(factors)} came.", code="TooManyFactors"
        )
    return int(factors)


def _number_of_factors(found: Correlations, factors: int | str, seed: int) -> tuple[int, ParallelAnalysis | None]:
    decided = None
    if isinstance(factors, str):
        one_of(factors, ("parallel", "map"), "rule for the number of factors")
        whole: Any = found.answers
        options: dict[str, Any] = {"correlation": found.kind, "missing": "pairwise", "smooth": found.smoothed}
        if whole is None:
            whole, options = pd.DataFrame(found.matrix, columns=list(found.names)), {"n": found.n}
        if factors == "map":
            count = velicer_map(whole, **options).n_components
        else:
            decided = parallel_analysis(whole, seed=seed, **options)
            count = decided.n_factors
        if count < 1:
            raise ModelError(
                "No eigenvalue exceeds those of random data, so there is no common factor to extract. "
                "Look at coco.retention, and at the items.",
                code="NoFactors",
            )
        asked = count
    else:
        count = asked = factors
    if not 1 <= count < len(found.names) or count != asked:
        raise ModelError(
            f"{len(found.names)} items can carry between 1 and {len(found.names) - 1} factors; {asked} were asked for.",
            code="TooManyFactors",
        )
    return count, decided


def _rotated(
    unrotated: Extraction,
    rotation: str,
    kaiser: bool | None,
    starts: int,
    seed: int,
    options: Mapping[str, Any] | None,
) -> Rotated:
    count = unrotated.loadings.shape[1]
    if rotation == "none":
        found, by_size = Rotated(unrotated.loadings, np.eye(count), np.nan, True, 0, 0, 0), True
    else:
        found = rotate(unrotated.loadings, rotation, kaiser=kaiser, starts=starts, seed=seed, options=options)
        by_size = ROTATIONS[rotation].ordered
    loadings, phi = in_order(found.loadings, found.correlations, by_size)
    return found._replace(loadings=loadings, correlations=phi)


def _finished(
    found: Correlations,
    unrotated: Extraction,
    turned: Rotated,
    decided: ParallelAnalysis | None,
    settings: Mapping[str, Any],
) -> EFA:
    names, factors = list(found.names), [f"F{i + 1}" for i in range(turned.loadings.shape[1])]
    communalities = (turned.loadings * (turned.loadings @ turned.correlations)).sum(axis=1)
    fit = fit_measures(found.matrix, unrotated.loadings, unrotated.uniquenesses, found.n)
    return EFA(
        loadings=pd.DataFrame(turned.loadings, index=names, columns=factors),
        factor_correlations=pd.DataFrame(turned.correlations, index=factors, columns=factors),
        communalities=pd.Series(communalities, index=names, name="communality"),
        uniquenesses=pd.Series(1 - communalities, index=names, name="uniqueness"),
        eigenvalues=np.linalg.eigvalsh(found.matrix)[::-1],
        fit=fit,
        correlations=found,
        rotated=turned,
        diagnostics=tuple(_diagnostics(names, unrotated, turned, fit)),
        retention=decided,
        settings=settings,
        **found.origin,
    )


def _diagnostics(
    names: list[str], unrotated: Extraction, turned: Rotated, fit: Mapping[str, float]
) -> list[Diagnostic]:
    found = []
    heywood = [n for n, u in zip(names, unrotated.uniquenesses) if u <= LOWEST + 1e-8]
    if heywood:
        reason = (
            f"Heywood case: the factors explain all variance of {listed(heywood)}, which no real item allows. "
            "Ask for fewer factors, or look for an item that repeats another."
        )
        found.append(Diagnostic("Heywood", reason))
    if not unrotated.converged or not turned.converged:
        what = "extraction" if not unrotated.converged else "rotation"
        found.append(Diagnostic("NotConverged", f"The {what} did not settle; do not interpret these loadings."))
    if fit["df"] < 0:
        reason = (
            f"{turned.loadings.shape[1]} factors leave {fit['df']:.0f} degrees of freedom: the loadings are not unique."
        )
        found.append(Diagnostic("NotIdentified", reason))
    if turned.minima > 1:
        reason = (
            f"The rotation has at least {turned.minima} minima; {turned.agreeing} of {turned.starts} starts "
            "reached the one shown."
        )
        found.append(Diagnostic("LocalMinima", reason, "note"))
    return found


def fit_measures(matrix: np.ndarray, loadings: np.ndarray, uniquenesses: np.ndarray, n: int | None) -> dict[str, float]:
    """Fit of L Lᵀ + Ψ to a correlation matrix; measures that need n are missing without it."""
    p, m = loadings.shape
    implied = loadings @ loadings.T
    off = ~np.eye(p, dtype=bool)
    srmr = float(np.sqrt(((matrix - implied)[off] ** 2).mean()))
    implied[~off] = (loadings**2).sum(axis=1) + np.maximum(uniquenesses, LOWEST)
    objective = float(
        np.linalg.slogdet(implied)[1] - np.linalg.slogdet(matrix)[1] + np.trace(np.linalg.solve(implied, matrix)) - p
    )
    df = ((p - m) ** 2 - (p + m)) / 2
    names = ("chi2", "df", "p_value", "rmsea", "rmsea_lower", "rmsea_upper", "tli", "bic", "srmr", "objective")
    found = {**dict.fromkeys(names, np.nan), "df": df, "srmr": srmr, "objective": objective}
    if n is None or df < 0:
        return found
    factor = n - 1 - (2 * p + 5) / 6 - 2 * m / 3
    chi2 = factor * objective
    found |= {"chi2": chi2, "bic": float(chi2 - df * np.log(n))}
    if df > 0:
        null = -factor * np.linalg.slogdet(matrix)[1] / (p * (p - 1) / 2)
        lower, upper = rmsea_interval(chi2, df, n)
        found |= {"p_value": float(stats.chi2.sf(chi2, df)), "tli": float((null - chi2 / df) / (null - 1))}
        rmsea = float(np.sqrt(max(chi2 / (df * n) - 1 / (n - 1), 0)))
        found |= {"rmsea": rmsea, "rmsea_lower": lower, "rmsea_upper": upper}
    return found


def rmsea_interval(chi2: float, df: float, n: int, level: float = 0.90) -> tuple[float, float]:
    """The interval of RMSEA from the noncentral χ² distribution (Browne & Cudeck, 1993)."""

    def bound(probability: float) -> float:
        if special.chdtr(df, chi2) <= probability:
            return 0.0
        top = chi2 + 10 * np.sqrt(chi2) + 50
        noncentrality = optimize.brentq(lambda x: special.chndtr(chi2, df, x) - probability, 0, top)
        return float(np.sqrt(noncentrality / (df * (n - 1))))

    return bound((1 + level) / 2), bound((1 - level) / 2)


def score_weights(matrix: np.ndarray, loadings: np.ndarray, phi: np.ndarray, method: str) -> np.ndarray:
    """Factor score weights (p × m): Thurstone (1935), Bartlett (1937), or ten Berge et al. (1999)."""
    if method == "regression":
        return np.linalg.solve(matrix, loadings @ phi)
    if method == "bartlett":
        unique = np.maximum(1 - np.einsum("ij,jk,ik->i", loadings, phi, loadings), LOWEST)
        scaled = loadings / unique[:, None]
        return scaled @ np.linalg.inv(loadings.T @ scaled)
    half = _power(phi, 0.5)
    shaped = _power(matrix, -0.5) @ loadings @ half
    return _power(matrix, -0.5) @ shaped @ _power(shaped.T @ shaped, -0.5) @ half


def _power(matrix: np.ndarray, exponent: float) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * values**exponent) @ vectors.T
