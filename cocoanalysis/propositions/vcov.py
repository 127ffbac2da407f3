"""How certain is a coefficient? One covariance a function, found by its name in COVARIANCES.

To add one, write a function from a `Sample` to a `Certainty` and put @covariance above it;
`regress` offers it by name and the tests find it in the registry. Everything works in the
orthonormal basis Q of the regressors (X = Q R), where a cluster's hat matrix is Q_j Q_jᵀ and
its p × p companion Q_jᵀ Q_j has the same eigenvalues: no matrix of the size of a cluster is
ever formed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy import linalg, stats

from cocoanalysis.errors import ModelError

FEW_CLUSTERS = 40  # Cameron & Miller (2015): below about 40, the plain cluster correction is too optimistic
LEAST_CLUSTERS = 5  # below, sign patterns are too few for a bootstrap to reject at .05, and CR2 has hardly any df


@dataclass(frozen=True)
class Sample:
    """What a covariance needs to know of a least-squares fit.

    A generalised linear model enters with its working weights: regressors √w·x and
    residuals (y − μ)/√w.

    Attributes
    ----------
    regressors : (n, p), of full column rank
    residuals : (n,)
    estimates : (p,)
    clusters : integer codes 0…G−1, one array for each dimension of clustering
    """

    regressors: np.ndarray
    residuals: np.ndarray
    estimates: np.ndarray
    clusters: tuple[np.ndarray, ...] = ()

    @cached_property
    def basis(self) -> tuple[np.ndarray, np.ndarray]:
        """Q (n, p) and R⁻¹ (p, p)."""
        q, r = np.linalg.qr(self.regressors)
        return q, linalg.solve_triangular(r, np.eye(r.shape[0]))

    @property
    def n(self) -> int:
        return self.regressors.shape[0]

    @property
    def p(self) -> int:
        return self.regressors.shape[1]

    @property
    def leverage(self) -> np.ndarray:
        return (self.basis[0] ** 2).sum(axis=1)

    def spread(self, meat: np.ndarray) -> np.ndarray:
        """A p × p matrix of the basis Q brought to the coefficients."""
        inverse = self.basis[1]
        return inverse @ meat @ inverse.T


class Options(NamedTuple):
    """Settings of the resampling covariances (coverage of the interval, draws, seed), and the coefficients whose
    degrees of freedom are wanted (None: all)."""

    level: float = 0.95
    draws: int = 9999
    seed: int = 0
    only: tuple[int, ...] | None = None


class Certainty(NamedTuple):
    """Covariance (p, p), degrees of freedom (p,), and p values and intervals where t does not give them."""

    matrix: np.ndarray
    df: np.ndarray
    p_value: np.ndarray | None = None
    interval: np.ndarray | None = None


class Covariance(NamedTuple):
    compute: Callable[[Sample, Options], Certainty]
    clustered: bool
    small_sample: bool  # may be relied on below 40 clusters
    several: bool  # admits more than one dimension of clustering
    source: str


COVARIANCES: dict[str, Covariance] = {}


def covariance(
    name: str, source: str, *, clustered: bool = False, small_sample: bool = False, several: bool = False
) -> Callable[[Callable[[Sample, Options], Certainty]], Callable[[Sample, Options], Certainty]]:
    def register(function: Callable[[Sample, Options], Certainty]) -> Callable[[Sample, Options], Certainty]:
        COVARIANCES[name] = Covariance(function, clustered, small_sample, several, source)
        return function

    return register


def _residual_df(sample: Sample) -> np.ndarray:
    return np.full(sample.p, float(sample.n - sample.p))


@covariance("classical", "Gauss–Markov: one residual variance for all rows")
def classical(sample: Sample, options: Options) -> Certainty:
    variance = float(sample.residuals @ sample.residuals) / (sample.n - sample.p)
    return Certainty(sample.spread(variance * np.eye(sample.p)), _residual_df(sample))


def _heteroskedastic(sample: Sample, weights: np.ndarray | float) -> Certainty:
    scaled = sample.basis[0] * (sample.residuals * weights)[:, None]
    return Certainty(sample.spread(scaled.T @ scaled), _residual_df(sample))


@covariance("HC0", "White, 1980")
def hc0(sample: Sample, options: Options) -> Certainty:
    return _heteroskedastic(sample, 1.0)


@covariance("HC1", "MacKinnon & White, 1985")
def hc1(sample: Sample, options: Options) -> Certainty:
    return _heteroskedastic(sample, np.sqrt(sample.n / (sample.n - sample.p)))


@covariance("HC2", "MacKinnon & White, 1985")
def hc2(sample: Sample, options: Options) -> Certainty:
    return _heteroskedastic(sample, 1 / np.sqrt(_room(sample)))


@covariance("HC3", "MacKinnon & White, 1985; as Davidson & MacKinnon, 1993")
def hc3(sample: Sample, options: Options) -> Certainty:
    return _heteroskedastic(sample, 1 / _room(sample))


def _room(sample: Sample) -> np.ndarray:
    room = 1 - sample.leverage
    if (room < 1e-10).any():
        rows = int((room < 1e-10).sum())
        raise ModelError(
            f"{rows} row(s) are fitted exactly because a term of the formula is non-zero in that row alone, so HC2 and "
            "HC3 cannot tell their error. Take HC1, or merge the rare category.",
            code="ExactlyFittedRow",
        )
    return room


# --- clusters -------------------------------------------------------------------------------------------------------


def cluster_sums(rows: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Sum of the rows of (n, …) within each cluster 0…G−1."""
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(codes[order]) > 0])
    return np.add.reduceat(rows[order], starts, axis=0)


def cluster_blocks(rows: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """The rows of (n, p) cluster by cluster as (G, largest size, p), filled up with rows of zeros."""
    order = np.argsort(codes, kind="stable")
    sizes = np.bincount(codes)
    padded = np.zeros((sizes.size, int(sizes.max()), rows.shape[1]))
    places = np.arange(rows.shape[0]) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    padded[codes[order], places] = rows[order]
    return padded


def cluster_grams(rows: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """AⱼᵀAⱼ of each cluster's rows of (n, p), as (G, p, p)."""
    padded = cluster_blocks(rows, codes)
    return padded.transpose(0, 2, 1) @ padded


class _Adjusted(NamedTuple):
    """Per cluster QⱼᵀAⱼeⱼ (G, p), and AⱼQⱼ and Qⱼ (G, s, p) up to one rotation of the s rows that both share; s is the
    cluster's size or p, whichever is less to work with."""

    score: np.ndarray
    left: np.ndarray
    right: np.ndarray


def _adjusted(sample: Sample, power: float, codes: np.ndarray) -> _Adjusted:
    """Aⱼ = (I − Hⱼⱼ)^−``power``, pseudo-inverted where a cluster is fitted exactly."""
    q, largest = sample.basis[0], int(np.bincount(codes).max())
    if largest <= sample.p:
        rows = cluster_blocks(np.column_stack([q, sample.residuals]), codes)
        blocks, residuals = rows[:, :, :-1], rows[:, :, -1:]
        hat = blocks @ blocks.transpose(0, 2, 1)
        values, vectors = (hat[:, 0], np.ones_like(hat)) if largest == 1 else np.linalg.eigh(hat)
        right, residuals = vectors.transpose(0, 2, 1) @ blocks, vectors.transpose(0, 2, 1) @ residuals
        left = _factor(values, power)[:, :, None] * right
        return _Adjusted((left.transpose(0, 2, 1) @ residuals)[:, :, 0], left, right)
    values, vectors = np.linalg.eigh(cluster_grams(q, codes))
    factor, axes = _factor(values, power)[:, :, None], vectors.transpose(0, 2, 1)
    score = cluster_sums(q * sample.residuals[:, None], codes)[:, :, None]
    right = np.sqrt(np.maximum(values, 0))[:, :, None] * axes
    return _Adjusted((vectors @ (factor * (axes @ score)))[:, :, 0], factor * right, right)


def _factor(values: np.ndarray, power: float) -> np.ndarray:
    """(1 − value)^−power, 0 for values of 1."""
    room = 1 - np.clip(values, 0, 1)
    return np.where(room > 1e-10, np.maximum(room, 1e-10) ** -power, 0.0) if power else np.ones_like(room)


def _clustered(sample: Sample, power: float, options: Options, *, inflated: bool = False) -> Certainty:
    """One dimension of clusters; of several the sum over the dimensions less that over their intersection."""
    meat, df = np.zeros((sample.p, sample.p)), []
    for sign, codes in _intersections(sample.clusters):
        parts, groups = _adjusted(sample, power, codes), int(codes.max()) + 1
        meat += sign * (groups / (groups - 1) if inflated else 1.0) * parts.score.T @ parts.score
        if sign > 0:
            df.append(satterthwaite(sample, parts, options.only))
    matrix = sample.spread(meat)
    return Certainty(_nonnegative(matrix) if len(sample.clusters) > 1 else matrix, np.min(df, axis=0))


def satterthwaite(sample: Sample, parts: _Adjusted, only: tuple[int, ...] | None = None) -> np.ndarray:
    """Degrees of freedom of each coefficient under independent errors of equal variance; NaN for those not wanted.

    Bell & McCaffrey (2002); Pustejovsky & Tipton (2018), equation 11: (tr G)² / tr(G²) where
    Gᵢⱼ = qᵢᵀ(I − H)qⱼ and qⱼ = AⱼXⱼ(XᵀX)⁻¹c.
    """
    wanted = slice(None) if only is None else list(only)
    weights = parts.left @ sample.basis[1][wanted].T
    pulled = parts.right.transpose(0, 2, 1) @ weights
    own, length = (weights**2).sum(axis=1), (pulled**2).sum(axis=1)
    crossed = pulled.transpose(2, 1, 0) @ pulled.transpose(2, 0, 1)
    squares = (own**2).sum(axis=0) - 2 * (own * length).sum(axis=0) + (crossed**2).sum(axis=(1, 2))
    found = np.full(sample.p, np.nan)
    found[wanted] = (own - length).sum(axis=0) ** 2 / squares
    return found


@covariance("CR0", "Liang & Zeger, 1986; df of Pustejovsky & Tipton, 2018", clustered=True, several=True)
def cr0(sample: Sample, options: Options) -> Certainty:
    return _clustered(sample, 0, options)


@covariance("CR1", "G/(G − 1) times CR0; df of Pustejovsky & Tipton, 2018", clustered=True, several=True)
def cr1(sample: Sample, options: Options) -> Certainty:
    return _clustered(sample, 0, options, inflated=True)


@covariance(
    "CR2", "Bell & McCaffrey, 2002; Pustejovsky & Tipton, 2018, working model of independence; several dimensions by "
    "inclusion and exclusion as Cameron, Gelbach & Miller, 2011, with the least df", clustered=True,
    small_sample=True, several=True,
)  # fmt: skip
def cr2(sample: Sample, options: Options) -> Certainty:
    return _clustered(sample, 0.5, options)


@covariance("CR3", "Bell & McCaffrey, 2002 (jackknife); df of Pustejovsky & Tipton, 2018", clustered=True, several=True)
def cr3(sample: Sample, options: Options) -> Certainty:
    return _clustered(sample, 1.0, options)


@covariance("cluster", "CR0 times G/(G − 1)·(n − 1)/(n − p), df G − 1; several dimensions: Cameron, Gelbach & Miller, "
            "2011", clustered=True, several=True)  # fmt: skip
def cluster(sample: Sample, options: Options) -> Certainty:
    scores = sample.basis[0] * sample.residuals[:, None]
    meat, groups = np.zeros((sample.p, sample.p)), []
    for sign, codes in _intersections(sample.clusters):
        sums, size = cluster_sums(scores, codes), int(codes.max()) + 1
        factor = size / (size - 1) * (sample.n - 1) / (sample.n - sample.p)
        meat += sign * factor * sums.T @ sums
    groups = [int(codes.max()) + 1 for codes in sample.clusters]
    matrix = sample.spread(meat)
    if len(sample.clusters) > 1:
        matrix = _nonnegative(matrix)
    return Certainty(matrix, np.full(sample.p, min(groups) - 1.0))


def _intersections(clusters: tuple[np.ndarray, ...]) -> list[tuple[int, np.ndarray]]:
    """Inclusion and exclusion over the dimensions: (+1, A), (+1, B), (−1, A ∩ B), …"""
    found: list[tuple[int, np.ndarray]] = []
    for mask in range(1, 2 ** len(clusters)):
        chosen = [codes for d, codes in enumerate(clusters) if mask >> d & 1]
        codes = chosen[0]
        for other in chosen[1:]:
            codes = np.unique(codes * (int(other.max()) + 1) + other, return_inverse=True)[1]
        found.append((1 if len(chosen) % 2 else -1, codes))
    return found


def _nonnegative(matrix: np.ndarray) -> np.ndarray:
    """Negative eigenvalues set to zero, as Cameron, Gelbach & Miller (2011, section 2.3) advise."""
    values, vectors = np.linalg.eigh(matrix)
    return matrix if values.min() >= 0 else (vectors * np.maximum(values, 0)) @ vectors.T


# --- wild cluster bootstrap -----------------------------------------------------------------------------------------

TIE = 1e-10  # a sign pattern of all ones gives the observed t itself


@covariance("wild", "Cameron, Gelbach & Miller, 2008; MacKinnon, Nielsen & Webb, 2023 (WCR with the null imposed, "
            "CR1)", clustered=True, small_sample=True)  # fmt: skip
def wild(sample: Sample, options: Options) -> Certainty:
    usual = cluster(sample, options)
    weights = wild_weights(int(sample.clusters[0].max()) + 1, options)
    tests = [WildTest.of(sample, k, weights) for k in range(sample.p)]
    p_value = np.array([test.p_value(0.0) for test in tests])
    interval = np.array([test.interval(options.level) for test in tests])
    return Certainty(usual.matrix, usual.df, p_value, interval)


def wild_weights(groups: int, options: Options) -> np.ndarray:
    """(draws, G): all 2^G sign patterns where those are fewer than the draws, Webb's six points up to 12 clusters,
    else Rademacher signs (Webb, 2023)."""
    if 2**groups <= options.draws:
        return 1.0 - 2.0 * ((np.arange(2**groups)[:, None] >> np.arange(groups)) & 1)
    random = np.random.default_rng(options.seed)
    if groups <= 12:
        points = np.sqrt([0.5, 1.0, 1.5])
        return random.choice(np.r_[-points, points], size=(options.draws, groups))
    return random.choice([-1.0, 1.0], size=(options.draws, groups))


class WildTest(NamedTuple):
    """The wild cluster bootstrap of one coefficient, with everything that does not depend on the null worked out.

    The restricted residuals are linear in the null value, so the bootstrap's numerator is too and its squared error is
    quadratic: a test at another value costs two short sums, which makes the inversion into an interval cheap.
    """

    estimate: float
    se: float
    numerator: tuple[np.ndarray, np.ndarray]  # (draws,): at null 0, and per unit of the null
    squares: tuple[np.ndarray, np.ndarray, np.ndarray]  # (draws,): squared error at null 0, times null, times null²
    groups: int

    @classmethod
    def of(cls, sample: Sample, k: int, weights: np.ndarray) -> WildTest:
        codes, others = sample.clusters[0], np.delete(sample.regressors, k, axis=1)
        own = _residualised(sample.regressors[:, k], others)
        size = float(own @ own)
        restricted = sample.residuals + sample.estimates[k] * own, -own
        numerators, scores = zip(*(_draws(sample, own, part, codes, weights) for part in restricted))
        groups = weights.shape[1]
        factor = groups / (groups - 1) * (sample.n - 1) / (sample.n - sample.p) / size**2
        sums = cluster_sums(own * sample.residuals, codes)
        pairs = ((0, 0, 1.0), (0, 1, 2.0), (1, 1, 1.0))
        constant, linear, square = (f * factor * np.einsum("bg,bg->b", scores[i], scores[j]) for i, j, f in pairs)
        return cls(
            float(sample.estimates[k]),
            float(np.sqrt(factor * (sums @ sums))),
            (numerators[0] / size, numerators[1] / size),
            (constant, linear, square),
            groups,
        )

    def statistics(self, null: float) -> tuple[float, np.ndarray]:
        """Observed t and the bootstrap's (draws,) at a null value."""
        numerator = self.numerator[0] + null * self.numerator[1]
        squared = self.squares[0] + null * (self.squares[1] + null * self.squares[2])
        spread = np.sqrt(np.maximum(squared, 0))
        drawn = np.divide(numerator, spread, out=np.zeros_like(spread), where=spread > 0)
        return (self.estimate - null) / self.se, drawn

    def p_value(self, null: float) -> float:
        """Share of bootstrap |t| above the observed |t| (two-sided, symmetric)."""
        observed, drawn = self.statistics(null)
        return float(np.mean(np.abs(drawn) > abs(observed) * (1 - TIE)))

    def above(self, null: float) -> float:
        """Share of bootstrap t at or above the observed one: p against the truth being at most ``null``."""
        observed, drawn = self.statistics(null)
        return float(np.mean(drawn > observed - TIE * abs(observed)))

    def below(self, null: float) -> float:
        """Share of bootstrap t at or below the observed one: p against the truth being at least ``null``."""
        observed, drawn = self.statistics(null)
        return float(np.mean(drawn < observed + TIE * abs(observed)))

    def interval(self, level: float) -> tuple[float, float]:
        """The null values that the two-sided test does not reject, by bisection on each side."""
        return self._edge(-1, 1 - level), self._edge(1, 1 - level)

    def _edge(self, side: int, alpha: float) -> float:
        inside, step = self.estimate, 2.0 * self.se
        outside = self.estimate + side * step
        while self.p_value(outside) > alpha:
            inside, step = outside, 2 * step
            outside = self.estimate + side * step
            if step > 1e4 * self.se:
                return side * np.inf
        while abs(outside - inside) > 1e-9 * self.se:
            middle = (inside + outside) / 2
            if self.p_value(middle) > alpha:
                inside = middle
            else:
                outside = middle
        return (inside + outside) / 2


def _residualised(target: np.ndarray, others: np.ndarray) -> np.ndarray:
    if not others.shape[1]:
        return target
    q = np.linalg.qr(others)[0]
    return target - q @ (q.T @ target)


def _draws(
    sample: Sample, own: np.ndarray, residuals: np.ndarray, codes: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Numerator (draws,) and cluster scores (draws, G) of the bootstrap, both times ownᵀown."""
    q = sample.basis[0]
    direct = cluster_sums(own * residuals, codes)
    fitted = cluster_sums(q * residuals[:, None], codes)
    reach = cluster_sums(q * own[:, None], codes)
    return weights @ direct, weights @ (np.diag(direct) - fitted @ reach.T)


# --- what every test makes of them ----------------------------------------------------------------------------------


def t_statistics(
    estimates: np.ndarray, errors: np.ndarray, df: np.ndarray, level: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """t, two-sided p and the two bounds; df of infinity is the normal distribution."""
    statistic = np.divide(estimates, errors, out=np.full_like(estimates, np.nan), where=errors > 0)
    wide = stats.t.ppf(0.5 + level / 2, df) * errors
    return statistic, 2 * stats.t.sf(np.abs(statistic), df), estimates - wide, estimates + wide
