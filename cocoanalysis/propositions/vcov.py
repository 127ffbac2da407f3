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
    """Settings of the resampling covariances: coverage of the interval, draws, seed."""

    level: float = 0.95
    draws: int = 9999
    seed: int = 0


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


def cluster_grams(rows: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """AⱼᵀAⱼ of each cluster's rows of (n, p), as (G, p, p)."""
    order = np.argsort(codes, kind="stable")
    sizes = np.bincount(codes)
    padded = np.zeros((sizes.size, int(sizes.max()), rows.shape[1]))
    places = np.arange(rows.shape[0]) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    padded[codes[order], places] = rows[order]
    return padded.transpose(0, 2, 1) @ padded


class _Adjusted(NamedTuple):
    """Per cluster: Fⱼ (the adjustment in the basis Q), QⱼᵀQⱼ and Qⱼᵀeⱼ."""

    adjustment: np.ndarray
    gram: np.ndarray
    score: np.ndarray


def _adjusted(sample: Sample, power: float) -> _Adjusted:
    q, codes = sample.basis[0], sample.clusters[0]
    gram = cluster_grams(q, codes)
    score = cluster_sums(q * sample.residuals[:, None], codes)
    if power == 0:
        return _Adjusted(np.broadcast_to(np.eye(sample.p), gram.shape), gram, score)
    values, vectors = np.linalg.eigh(gram)
    room = 1 - np.clip(values, 0, 1)
    factor = np.where(room > 1e-10, np.maximum(room, 1e-10) ** -power, 0.0)
    return _Adjusted((vectors * factor[:, None, :]) @ vectors.transpose(0, 2, 1), gram, score)


def _clustered(sample: Sample, power: float, scale: float = 1.0) -> Certainty:
    parts = _adjusted(sample, power)
    scores = np.einsum("jab,jb->ja", parts.adjustment, parts.score)
    return Certainty(sample.spread(scale * scores.T @ scores), satterthwaite(sample, parts))


def satterthwaite(sample: Sample, parts: _Adjusted) -> np.ndarray:
    """Degrees of freedom of each coefficient under independent errors of equal variance.

    Bell & McCaffrey (2002); Pustejovsky & Tipton (2018), equation 11: (tr G)² / tr(G²) where
    Gᵢⱼ = qᵢᵀ(I − H)qⱼ and qⱼ = AⱼXⱼ(XᵀX)⁻¹c.
    """
    weights = parts.adjustment @ sample.basis[1].T
    pulled = parts.gram @ weights
    own = np.einsum("jak,jak->jk", weights, pulled)
    length = np.einsum("jak,jak->jk", pulled, pulled)
    crossed = np.einsum("jak,jbk->kab", pulled, pulled)
    squares = (own**2).sum(axis=0) - 2 * (own * length).sum(axis=0) + (crossed**2).sum(axis=(1, 2))
    return (own - length).sum(axis=0) ** 2 / squares


@covariance("CR0", "Liang & Zeger, 1986; df of Pustejovsky & Tipton, 2018", clustered=True)
def cr0(sample: Sample, options: Options) -> Certainty:
    return _clustered(sample, 0)


@covariance("CR1", "G/(G − 1) times CR0; df of Pustejovsky & Tipton, 2018", clustered=True)
def cr1(sample: Sample, options: Options) -> Certainty:
    groups = sample.clusters[0].max() + 1
    return _clustered(sample, 0, groups / (groups - 1))


@covariance(
    "CR2", "Bell & McCaffrey, 2002; Pustejovsky & Tipton, 2018, working model of independence", clustered=True,
    small_sample=True,
)  # fmt: skip
def cr2(sample: Sample, options: Options) -> Certainty:
    return _clustered(sample, 0.5)


@covariance("CR3", "Bell & McCaffrey, 2002 (jackknife); df of Pustejovsky & Tipton, 2018", clustered=True)
def cr3(sample: Sample, options: Options) -> Certainty:
    return _clustered(sample, 1.0)


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
        codes = np.unique(np.column_stack(chosen), axis=0, return_inverse=True)[1].ravel()
        found.append((1 if len(chosen) % 2 else -1, codes))
    return found


def _nonnegative(matrix: np.ndarray) -> np.ndarray:
    """Negative eigenvalues set to zero, as Cameron, Gelbach & Miller (2011, section 2.3) advise."""
    values, vectors = np.linalg.eigh(matrix)
    return matrix if values.min() >= 0 else (vectors * np.maximum(values, 0)) @ vectors.T


# --- wild cluster bootstrap -----------------------------------------------------------------------------------------


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

    The restricted residuals are linear in the null value, so the bootstrap's numerator and cluster scores are too:
    a test at another value costs two small sums, which makes the inversion into an interval cheap.
    """

    estimate: float
    se: float
    numerator: tuple[np.ndarray, np.ndarray]  # (draws,): at null 0, and per unit of the null
    scores: tuple[np.ndarray, np.ndarray]  # (draws, G)
    factor: float

    @classmethod
    def of(cls, sample: Sample, k: int, weights: np.ndarray) -> WildTest:
        codes, others = sample.clusters[0], np.delete(sample.regressors, k, axis=1)
        own = _residualised(sample.regressors[:, k], others)
        size = float(own @ own)
        restricted = sample.residuals + sample.estimates[k] * own, -own
        numerators, scores = zip(*(_draws(sample, own, part, codes, weights) for part in restricted))
        groups = weights.shape[1]
        factor = groups / (groups - 1) * (sample.n - 1) / (sample.n - sample.p)
        sums = cluster_sums(own * sample.residuals, codes)
        se = float(np.sqrt(factor * (sums @ sums)) / size)
        return cls(
            float(sample.estimates[k]),
            se,
            (numerators[0] / size, numerators[1] / size),
            (scores[0] / size, scores[1] / size),
            factor,
        )

    def p_value(self, null: float) -> float:
        """Share of bootstrap |t| above the observed |t| (two-sided, symmetric)."""
        observed = abs(self.estimate - null) / self.se
        numerator = self.numerator[0] + null * self.numerator[1]
        scores = self.scores[0] + null * self.scores[1]
        spread = np.sqrt(self.factor * np.einsum("bg,bg->b", scores, scores))
        drawn = np.divide(np.abs(numerator), spread, out=np.zeros_like(spread), where=spread > 0)
        return float(np.mean(drawn > observed * (1 - 1e-10)))  # a sign pattern of all ones gives t itself: a tie

    def interval(self, level: float) -> tuple[float, float]:
        """The null values that the test does not reject, by bisection on each side."""
        return self._edge(-1, 1 - level), self._edge(1, 1 - level)

    def _edge(self, side: int, alpha: float) -> float:
        inside, step = self.estimate, 2.0 * self.se
        outside = self.estimate + side * step
        while self.p_value(outside) > alpha:
            inside, step = outside, 2 * step
            outside = self.estimate + side * step
            if step > 1e4 * self.se:
                return side * np.inf
        for _ in range(40):
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
    return weights @ direct, weights * direct - (weights @ fitted) @ reach.T


# --- what every test makes of them ----------------------------------------------------------------------------------


def t_statistics(
    estimates: np.ndarray, errors: np.ndarray, df: np.ndarray, level: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """t, two-sided p and the two bounds; df of infinity is the normal distribution."""
    statistic = np.divide(estimates, errors, out=np.full_like(estimates, np.nan), where=errors > 0)
    wide = stats.t.ppf(0.5 + level / 2, df) * errors
    return statistic, 2 * stats.t.sf(np.abs(statistic), df), estimates - wide, estimates + wide
