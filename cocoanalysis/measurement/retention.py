"""How many factors, and is there anything to factor: KMO, Bartlett, parallel analysis, MAP.

No single number decides; `retention` shows the criteria side by side. Kaiser's rule
(eigenvalues above 1) is shown as what it is: a rule that keeps too many.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from cocoanalysis.arguments import is_number, seed_number, whole
from cocoanalysis.errors import ModelError, one_of
from cocoanalysis.measurement.correlations import (
    Correlations,
    Explored,
    complete_correlations,
    correlate,
    correlation_of,
    pearson,
)
from cocoanalysis.measurement.extraction import one_factor_communalities
from cocoanalysis.measurement.moments import polychoric_matrix
from cocoanalysis.threads import in_one_thread

KAISER_WORDS = ((0.9, "marvelous"), (0.8, "meritorious"), (0.7, "middling"), (0.6, "mediocre"), (0.5, "miserable"))


@dataclass(frozen=True, repr=False)
class KMO(Explored):
    """How much of the items' correlation is shared with the others (Kaiser, 1970; Kaiser & Rice, 1974)."""

    overall: float
    items: pd.Series
    settings: Mapping[str, Any] = field(default_factory=dict)
    survey: Any = None
    ledger: pd.DataFrame | None = None
    provenance: str = "yours"
    title = "Kaiser–Meyer–Olkin measure of sampling adequacy"

    @property
    def word(self) -> str:
        """Kaiser's (1974) word for the overall value."""
        return next((word for floor, word in KAISER_WORDS if self.overall >= floor), "unacceptable")

    def tidy(self) -> pd.DataFrame:
        return pd.DataFrame({"item": self.items.index, "msa": self.items.to_numpy()})

    def glance(self) -> pd.DataFrame:
        return pd.DataFrame({"overall": [self.overall], "word": [self.word], "n_items": [len(self.items)]})

    def _shown(self) -> pd.DataFrame:
        overall = pd.DataFrame({"item": ["overall"], "msa": [self.overall]})
        return pd.concat([overall, self.tidy()], ignore_index=True)


@dataclass(frozen=True, repr=False)
class Bartlett(Explored):
    """Test that the items are uncorrelated in the population (Bartlett, 1951)."""

    chi2: float
    df: int
    p_value: float
    n: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    survey: Any = None
    ledger: pd.DataFrame | None = None
    provenance: str = "yours"
    title = "Bartlett's test of sphericity"

    def tidy(self) -> pd.DataFrame:
        return pd.DataFrame({"chi2": [self.chi2], "df": [self.df], "p_value": [self.p_value], "n": [self.n]})

    glance = tidy


@dataclass(frozen=True, repr=False)
class VelicerMAP(Explored):
    """Velicer's minimum average partial: the components after which items share least with each other.

    Attributes
    ----------
    map : average squared partial correlation, one value a number of components from 1
    map4 : the same with the fourth power (Velicer, Eaton & Fava, 2000)
    none : both averages before any component is taken out
    """

    map: np.ndarray
    map4: np.ndarray
    none: tuple[float, float]
    settings: Mapping[str, Any] = field(default_factory=dict)
    survey: Any = None
    ledger: pd.DataFrame | None = None
    provenance: str = "yours"
    title = "Velicer's minimum average partial test"

    @property
    def n_components(self) -> int:
        return int(np.nanargmin([self.none[0], *self.map]))

    @property
    def n_components_4(self) -> int:
        return int(np.nanargmin([self.none[1], *self.map4]))

    def tidy(self) -> pd.DataFrame:
        ranks = np.arange(len(self.map) + 1)
        return pd.DataFrame({"components": ranks, "map": [self.none[0], *self.map], "map4": [self.none[1], *self.map4]})

    def glance(self) -> pd.DataFrame:
        return pd.DataFrame({"n_components": [self.n_components], "n_components_4": [self.n_components_4]})


@dataclass(frozen=True, repr=False)
class ParallelAnalysis(Explored):
    """Observed eigenvalues beside those of random data of the same size (Horn, 1965).

    Attributes
    ----------
    n_components, n_factors : leading eigenvalues above the random ones, for principal components
        and for common factors
    table : one row a rank: eigenvalues of the components and of the common factors, observed and simulated
    """

    n_components: int
    n_factors: int
    table: pd.DataFrame
    settings: Mapping[str, Any] = field(default_factory=dict)
    survey: Any = None
    ledger: pd.DataFrame | None = None
    provenance: str = "yours"
    title = "Parallel analysis"

    def tidy(self) -> pd.DataFrame:
        return self.table.copy()

    def glance(self) -> pd.DataFrame:
        names = ("replicates", "quantile", "simulated", "correlation", "n")
        facts = {name: [self.settings.get(name)] for name in names}
        return pd.DataFrame({"n_components": [self.n_components], "n_factors": [self.n_factors], **facts})

    def notes(self) -> list[str]:
        found = f"Random data suggest {self.n_factors} common factors and {self.n_components} components."
        return [*super().notes(), found, *self._inflated()]

    def _inflated(self) -> list[str]:
        """A warning when the first random factors alone stopped the count."""
        above = (self.table["factors"] > self.table["factors_simulated"]).to_numpy()
        if not above[self.n_factors + 1 :].any():
            return []
        return [
            "Later common factors exceed their random counterparts although an earlier one does not: with few items, "
            "random data often give Heywood cases, which inflate the first random eigenvalue. Look at the components."
        ]


@dataclass(frozen=True, repr=False)
class Retention(Explored):
    """The criteria for the number of factors side by side, with what each of them rests on."""

    parallel: ParallelAnalysis
    velicer: VelicerMAP
    kmo: KMO
    bartlett: Bartlett
    eigenvalues: np.ndarray
    settings: Mapping[str, Any] = field(default_factory=dict)
    survey: Any = None
    ledger: pd.DataFrame | None = None
    provenance: str = "yours"
    title = "How many factors?"

    def tidy(self) -> pd.DataFrame:
        above_one = int((self.eigenvalues > 1).sum())
        rows = [
            ("parallel analysis, common factors", self.parallel.n_factors, "Horn, 1965"),
            ("parallel analysis, components", self.parallel.n_components, "Horn, 1965"),
            ("minimum average partial", self.velicer.n_components, "Velicer, 1976"),
            ("minimum average partial, 4th power", self.velicer.n_components_4, "Velicer et al., 2000"),
            ("eigenvalues above 1 (keeps too many)", above_one, "Kaiser, 1960"),
        ]
        return pd.DataFrame(rows, columns=["criterion", "suggests", "source"])

    def glance(self) -> pd.DataFrame:
        test = self.bartlett
        return pd.DataFrame(
            {"kmo": [self.kmo.overall], "chi2": [test.chi2], "df": [test.df], "p_value": [test.p_value], "n": [test.n]}
        )


def kmo(data: Any, items: str | Sequence[str] | None = None, **options: Any) -> KMO:
    """Say how well the items lend themselves to factor analysis.

    Parameters
    ----------
    data : Responses, DataFrame, or correlation matrix
    items : construct, block or columns
    options : correlation, missing, n, smooth (see `correlate`)

    Notes
    -----
    Kaiser & Rice (1974): squared correlations over themselves plus squared anti-image (partial) correlations.

    Examples
    --------
    >>> import cocoanalysis as coco
    >>> folder = coco.bundled("unit-climate")
    >>> responses = coco.read_responses(folder / "responses.csv", coco.read_survey(folder))
    >>> round(coco.kmo(responses).overall, 2)
    0.89
    """
    found = correlate(data, items, **options)
    overall, each = sampling_adequacy(found.matrix)
    return KMO(overall, pd.Series(each, index=list(found.names), name="msa"), found.settings, **found.origin)


def sampling_adequacy(matrix: np.ndarray) -> tuple[float, np.ndarray]:
    """Overall and per-item KMO of a correlation matrix (p × p)."""
    partial = correlation_of(np.linalg.inv(matrix))
    r2, q2 = matrix**2, partial**2
    np.fill_diagonal(r2, 0)
    np.fill_diagonal(q2, 0)
    return float(r2.sum() / (r2.sum() + q2.sum())), r2.sum(0) / (r2.sum(0) + q2.sum(0))


def bartlett(data: Any, items: str | Sequence[str] | None = None, **options: Any) -> Bartlett:
    """Test whether the items correlate at all.

    χ² = −(n − 1 − (2p + 5)/6) log|R| with p(p − 1)/2 degrees of freedom (Bartlett, 1951).
    Arguments as in `kmo`; a correlation matrix needs ``n``.

    Examples
    --------
    >>> import cocoanalysis as coco
    >>> folder = coco.bundled("unit-climate")
    >>> responses = coco.read_responses(folder / "responses.csv", coco.read_survey(folder))
    >>> int(coco.bartlett(responses).df)
    171
    """
    found = correlate(data, items, **options)
    n, p = found.sample_size(), len(found.names)
    chi2 = -(n - 1 - (2 * p + 5) / 6) * np.linalg.slogdet(found.matrix)[1]
    df = p * (p - 1) // 2
    return Bartlett(float(chi2), df, float(stats.chi2.sf(chi2, df)), n, found.settings, **found.origin)


def velicer_map(data: Any, items: str | Sequence[str] | None = None, **options: Any) -> VelicerMAP:
    """Count the components after which the items share least with each other.

    Velicer (1976), and with the fourth power Velicer, Eaton & Fava (2000). Arguments as in `kmo`.

    Examples
    --------
    >>> import cocoanalysis as coco
    >>> folder = coco.bundled("unit-climate")
    >>> responses = coco.read_responses(folder / "responses.csv", coco.read_survey(folder))
    >>> coco.velicer_map(responses).n_components
    3
    """
    found = correlate(data, items, **options)
    squares, fourths = average_partials(found.matrix)
    none = (float(squares[0]), float(fourths[0]))
    return VelicerMAP(squares[1:], fourths[1:], none, found.settings, **found.origin)


def average_partials(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean squared and mean fourth-power partial correlation after 0, 1, … p − 2 components."""
    p = len(matrix)
    values, vectors = np.linalg.eigh(matrix)
    components = (vectors * np.sqrt(values))[:, ::-1]
    taken = np.cumsum(components[:, None, :] * components[None, :, :], axis=2)[:, :, : p - 2]
    left = matrix - np.concatenate([np.zeros((1, p, p)), np.moveaxis(taken, 2, 0)])
    partial = correlation_of(left)
    cells = p * (p - 1)
    return ((partial**2).sum((1, 2)) - p) / cells, ((partial**4).sum((1, 2)) - p) / cells


@in_one_thread
def parallel_analysis(
    data: Any,
    items: str | Sequence[str] | None = None,
    *,
    replicates: int = 100,
    seed: int = 0,
    correlation: str = "pearson",
    quantile: float | None = 0.95,
    simulated: str = "normal",
    n: int | None = None,
    missing: str = "pairwise",
    smooth: bool = False,
) -> ParallelAnalysis:
    """Count the factors and components whose eigenvalues exceed those of random data.

    Parameters
    ----------
    data : Responses, DataFrame, or correlation matrix (with n)
    replicates : number of random data sets
    quantile : the random eigenvalues' quantile that has to be exceeded; None for their mean (Horn, 1965)
    simulated : 'normal' (independent normal variables; with polychoric correlations cut at the items' own
        thresholds) or 'permutation' (each item's own answers in random order)

    Notes
    -----
    Common factors follow psych's ``fa.parallel``: eigenvalues of the correlation matrix whose diagonal holds
    the communalities of a one-factor minres solution, observed and random alike. Correlation matrices of
    normal data are drawn as Wishart matrices (Bartlett's decomposition), which has the same distribution
    as drawing the data.

    Examples
    --------
    >>> import cocoanalysis as coco
    >>> folder = coco.bundled("unit-climate")
    >>> responses = coco.read_responses(folder / "responses.csv", coco.read_survey(folder))
    >>> found = coco.parallel_analysis(responses)
    >>> found.n_factors, found.n_components
    (6, 4)
    """
    _check_simulation(replicates, quantile, simulated)
    found = correlate(data, items, correlation=correlation, n=n, missing=missing, smooth=smooth)
    rng = np.random.default_rng(seed_number(seed))
    random = _random_correlations(found, replicates, simulated, rng)
    observed = eigenvalues_of_both(found.matrix[None])[:, 0]
    drawn = eigenvalues_of_both(random)
    limit = drawn.mean(axis=1) if quantile is None else np.quantile(drawn, quantile, axis=1)
    table = pd.DataFrame({"rank": np.arange(1, len(found.names) + 1)})
    for i, what in enumerate(("components", "factors")):
        table[what], table[f"{what}_simulated"] = observed[i], limit[i]
    counts = [int(np.cumprod(observed[i] > limit[i]).sum()) for i in (0, 1)]
    settings = {**found.settings, "replicates": replicates, "quantile": quantile, "simulated": simulated, "seed": seed}
    return ParallelAnalysis(counts[0], counts[1], table, settings, **found.origin)


def _check_simulation(replicates: int, quantile: float | None, simulated: str) -> None:
    one_of(simulated, ("normal", "permutation"), "kind of random data")
    whole(replicates, "replicates", code="BadSimulation")
    if replicates < 2 or (quantile is not None and not (is_number(quantile) and 0 < quantile < 1)):
        raise ModelError(
            "Parallel analysis needs at least two replicates and a quantile between 0 and 1; "
            f"{replicates} and {quantile} came.",
            code="BadSimulation",
        )


def eigenvalues_of_both(matrices: np.ndarray) -> np.ndarray:
    """Eigenvalues in falling order of s correlation matrices: components and common factors (2 × s × p)."""
    reduced = matrices.copy()
    index = np.arange(matrices.shape[-1])
    reduced[:, index, index] = one_factor_communalities(matrices)
    return np.stack([np.linalg.eigvalsh(matrices)[:, ::-1], np.linalg.eigvalsh(reduced)[:, ::-1]])


def _random_correlations(found: Correlations, replicates: int, simulated: str, rng: np.random.Generator) -> np.ndarray:
    if found.kind != "polychoric" and simulated == "normal":
        return wishart_correlations(found.sample_size(), len(found.names), replicates, rng)
    if found.answers is None:
        raise ModelError(
            "Random data from the items' own answers need the answers; a correlation matrix has none. "
            "Use simulated='normal' with n=.",
            code="NeedsAnswers",
        )
    values = found.answers.to_numpy()
    draw = _shuffled if simulated == "permutation" else _cut_normals
    random = (draw(values, rng) for _ in range(replicates))
    if found.kind == "polychoric":
        return np.stack([polychoric_matrix(answers) for answers in random])
    return np.stack([complete_correlations(x) if found.missing == "none" else pearson(x)[0] for x in random])


def _shuffled(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each item's own answers (and gaps) in random order."""
    return rng.permuted(values, axis=0)


def _cut_normals(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Independent normal variables cut into categories with the items' own shares, with the same gaps."""
    drawn = np.full(values.shape, np.nan)
    for column, answers in enumerate(values.T):
        answered = ~np.isnan(answers)
        codes, counts = np.unique(answers[answered], return_counts=True)
        limits = stats.norm.ppf(np.cumsum(counts)[:-1] / counts.sum())
        drawn[answered, column] = codes[np.searchsorted(limits, rng.standard_normal(answered.sum()))]
    return drawn


def wishart_correlations(n: int, p: int, replicates: int, rng: np.random.Generator) -> np.ndarray:
    """Correlation matrices (replicates × p × p) of n independent normal observations of p variables.

    Bartlett (1933): W = T Tᵀ with T lower triangular, χ² on the diagonal and normals below.
    """
    triangle = np.zeros((replicates, p, p))
    below = np.tril_indices(p, -1)
    triangle[:, below[0], below[1]] = rng.standard_normal((replicates, len(below[0])))
    index = np.arange(p)
    triangle[:, index, index] = np.sqrt(rng.chisquare(n - 1 - index, size=(replicates, p)))
    return correlation_of(triangle @ triangle.swapaxes(1, 2))


@in_one_thread
def retention(
    data: Any, items: str | Sequence[str] | None = None, *, replicates: int = 100, seed: int = 0, **options: Any
) -> Retention:
    """Show side by side what each criterion says about the number of factors.

    Arguments as in `parallel_analysis`. The criteria may disagree; theory decides between them.

    Examples
    --------
    >>> import cocoanalysis as coco
    >>> folder = coco.bundled("unit-climate")
    >>> responses = coco.read_responses(folder / "responses.csv", coco.read_survey(folder))
    >>> coco.retention(responses).tidy()["suggests"].tolist()
    [6, 4, 3, 2, 5]
    """
    matrix_options = {k: v for k, v in options.items() if k in ("correlation", "n", "missing", "smooth")}
    found = correlate(data, items, **matrix_options)
    return Retention(
        parallel=parallel_analysis(data, items, replicates=replicates, seed=seed, **options),
        velicer=velicer_map(data, items, **matrix_options),
        kmo=kmo(data, items, **matrix_options),
        bartlett=bartlett(data, items, **matrix_options),
        eigenvalues=np.linalg.eigvalsh(found.matrix)[::-1],
        settings=found.settings,
        **found.origin,
    )
