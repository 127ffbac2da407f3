"""Two-level models by maximum likelihood: people in clusters of any size.

Each variable of the within block is a part that varies within clusters plus, when it also
stands in the between block, a part that the members of a cluster share. Because the members'
deviations from their mean are independent of the mean, the likelihood is that of several normal
groups (McDonald & Goldstein 1989): the pooled deviations with covariance Σ_W on N − J degrees
of freedom, and for each cluster size s the cluster means, together with the variables that only
clusters have, with covariance

    V_s = Σ_B + Σ_W / s        (Σ_W counts only for the variables measured within).

So gradient, expected information and Hessian are those of normal groups whose moments are
linear in (Σ_W, Σ_B, μ). Clusters of equal size share one term.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from cocoanalysis.errors import ModelError, listed
from cocoanalysis.measurement.implied import Block, Implied, Structure, curvature, lower, moment_jacobian, pull_back


@dataclass(frozen=True)
class Clustered:
    """What the likelihood needs of one group: pooled deviations, and cluster means by cluster size."""

    within: tuple[str, ...]  # variables measured on people
    between: tuple[str, ...]  # variables that only clusters have
    n: int
    pooled: np.ndarray  # (p, p) sum of squares and products of deviations over N − J
    sizes: np.ndarray  # (k,) distinct cluster sizes
    counts: np.ndarray  # (k,) clusters of that size
    means: np.ndarray  # (k, r) of the cluster means, within variables first
    covs: np.ndarray  # (k, r, r) of the cluster means, divisor count
    deviations: np.ndarray  # (n, p) of people from their cluster's mean
    codes: np.ndarray  # (n,) cluster of each row
    own_means: np.ndarray  # (J, r) of each cluster
    weights: None = None  # people count alike, and clusters are what varies: nothing is summed over them …
    cluster: None = None  # … once more

    @property
    def clusters(self) -> int:
        return int(self.counts.sum())

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.within, *self.between)

    @cached_property
    def total(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and covariance (divisor n) of all rows, (r,) and (r, r)."""
        weight = self.counts * self.sizes / self.n
        mean = weight @ self.means
        centred = self.means - mean
        cov = np.einsum("k,kab->ab", weight, self.covs + centred[:, :, None] * centred[:, None, :])
        p = len(self.within)
        cov[:p, :p] += self.pooled * (self.n - self.clusters) / self.n
        return mean, cov

    @cached_property
    def of_clusters(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and covariance (divisor J) of the cluster means, each cluster counted once."""
        weight = self.counts / self.clusters
        mean = weight @ self.means
        centred = self.means - mean
        return mean, np.einsum("k,kab->ab", weight, self.covs + centred[:, :, None] * centred[:, None, :])

    @cached_property
    def own_sizes(self) -> np.ndarray:
        return np.bincount(self.codes)

    @cached_property
    def own_products(self) -> np.ndarray:
        """Sums of squares and products of deviations, cluster by cluster, (J, p, p)."""
        products = self.deviations[:, :, None] * self.deviations[:, None, :]
        p = len(self.within)
        return _cluster_sums(products.reshape(len(products), -1), self.codes, self.clusters).reshape(-1, p, p)

    @property
    def typical_size(self) -> float:
        """The size that makes the analysis of variance estimate of Σ_B unbiased."""
        squares = float(self.counts @ self.sizes**2)
        return (self.n - squares / self.n) / (self.clusters - 1)


def clustered(
    frame: pd.DataFrame, cluster: np.ndarray, within: Sequence[str], between: Sequence[str], group: str | None = None
) -> Clustered:
    """Sufficient statistics of complete rows.

    Raises
    ------
    ModelError : VariesWithinClusters (a between-only variable does), ConstantItem (a within variable does not),
        OneCluster, NoClusters (all of size 1)
    """
    where = f" in group '{group}'" if group else ""
    codes, sizes = _sizes(cluster, where)
    columns = [*within, *between]
    values = frame[columns].to_numpy(dtype=float)
    means = _cluster_sums(values, codes, len(sizes)) / sizes[:, None]
    deviations = values - means[codes]
    _refuse_varying(deviations[:, len(within) :], values[:, len(within) :], between, where)
    inside = deviations[:, : len(within)]
    _refuse_constant(inside, values[:, : len(within)], within, where)
    pooled = inside.T @ inside / (len(values) - len(sizes))
    distinct, place = np.unique(sizes, return_inverse=True)
    counts = np.bincount(place)
    average = _cluster_sums(means, place, len(distinct)) / counts[:, None]
    centred = means - average[place]
    products = _cluster_sums((centred[:, :, None] * centred[:, None, :]).reshape(len(means), -1), place, len(distinct))
    covs = products.reshape(len(distinct), len(columns), -1) / counts[:, None, None]
    return Clustered(
        tuple(within), tuple(between), len(values), pooled, distinct, counts, average, covs, inside, codes, means
    )


def _sizes(cluster: np.ndarray, where: str) -> tuple[np.ndarray, np.ndarray]:
    _, codes = np.unique(np.asarray(cluster), return_inverse=True)
    sizes = np.bincount(codes)
    if len(sizes) < 2:
        raise ModelError(f"A two-level model needs at least two clusters; there is one{where}.", code="OneCluster")
    if len(sizes) == len(codes):
        raise ModelError(
            f"Every cluster has one member{where}, so nothing varies within clusters; is the right column given as "
            "cluster?",
            code="NoClusters",
        )
    return codes, sizes


def _cluster_sums(values: np.ndarray, codes: np.ndarray, count: int) -> np.ndarray:
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], np.arange(count))
    return np.add.reduceat(values[order], starts, axis=0)


def _refuse_varying(deviations: np.ndarray, values: np.ndarray, names: Sequence[str], where: str) -> None:
    scale = np.abs(values).max(axis=0, initial=1.0)
    varying = [n for n, d, s in zip(names, np.abs(deviations).max(axis=0, initial=0.0), scale) if d > 1e-8 * s]
    if varying:
        raise ModelError(
            f"{listed(varying)} differ between members of a cluster{where} but stand only in the between block; "
            "name them in the within block too, or use their cluster means.",
            code="VariesWithinClusters",
        )


def _refuse_constant(deviations: np.ndarray, values: np.ndarray, names: Sequence[str], where: str) -> None:
    scale = np.abs(values).max(axis=0, initial=1.0)
    constant = [n for n, d, s in zip(names, np.abs(deviations).max(axis=0, initial=0.0), scale) if d <= 1e-8 * s]
    if constant:
        raise ModelError(
            f"{listed(constant)} {'does' if len(constant) == 1 else 'do'} not vary within clusters{where}; leave it "
            "out of the within block and keep it in the between block.",
            code="ConstantItem",
        )


@dataclass(frozen=True)
class _Group:
    """One group's within and between block, and where their variables stand among all."""

    within: Block
    between: Block
    sample: Clustered
    at_within: np.ndarray
    at_between: np.ndarray

    @classmethod
    def of(cls, within: Block, between: Block, sample: Clustered) -> _Group:
        place = {name: i for i, name in enumerate(sample.names)}
        return cls(
            within,
            between,
            sample,
            np.array([place[n] for n in within.observed]),
            np.array([place[n] for n in between.observed]),
        )


@dataclass(frozen=True)
class _Moments:
    """A group's moments, with inverses."""

    inverse_within: np.ndarray  # (p, p)
    inverse: np.ndarray  # (k, r, r)
    logdet_within: float
    logdet: np.ndarray  # (k,)
    distance: np.ndarray  # (k, r) means of clusters less implied mean
    spread: np.ndarray  # (k, r, r) covariance of cluster means about the implied mean
    mean: np.ndarray  # (r,)


@dataclass(frozen=True)
class _Point(_Moments):
    """The moments that some parameters imply."""

    within: Implied
    between: Implied


@dataclass(frozen=True)
class _Slopes:
    """Derivatives of Σ_W, Σ_B and μ by some parameters, laid out among all r variables."""

    within: np.ndarray  # (q, r, r)
    between: np.ndarray  # (q, r, r)
    mean: np.ndarray  # (q, r)


class TwoLevel:
    """Maximum likelihood of a two-level structure, one or several groups, as a discrepancy per row.

    ``saturated`` is the log-likelihood of the unrestricted model, so that 2 n times the value is χ².
    """

    def __init__(self, structure: Structure, samples: Sequence[Clustered], saturated: float = 0.0):
        self.structure, self.samples, self.n_free = structure, list(samples), structure.n_free
        pairs = zip(structure.blocks[0::2], structure.blocks[1::2], self.samples)
        self.groups = [_Group.of(within, between, sample) for within, between, sample in pairs]
        self.n = sum(s.n for s in self.samples)
        self.saturated = saturated

    def loglik(self, theta: np.ndarray) -> float:
        """The log-likelihood of all variables, covariates included."""
        return float(sum(self._loglik(g, _point(g, theta)) for g in self.groups))

    def value(self, theta: np.ndarray) -> float:
        return (self.saturated - self.loglik(theta)) / self.n

    def gradient(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        total, gradient = self.saturated, np.zeros(self.n_free)
        for g in self.groups:
            point = _point(g, theta)
            if point is None:
                return np.inf, gradient
            total -= self._loglik(g, point)
            by = _by_moments(g, point)
            gradient += pull_back(g.within.plan, point.within, by[0], by[1])
            gradient += pull_back(g.between.plan, point.between, by[2], by[3])
        return total / self.n, gradient / self.n

    def scoring(self, theta: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        value, gradient = self.gradient(theta)
        metric = np.zeros((self.n_free, self.n_free))
        if np.isfinite(value):
            for g in self.groups:
                point = _point(g, theta)
                assert point is not None
                metric += _information(g, point, observed=False)
        return value, gradient, metric / self.n

    def expected(self, theta: np.ndarray) -> np.ndarray:
        """Expected information per row."""
        return self.scoring(theta)[2]

    def observed(self, theta: np.ndarray) -> np.ndarray:
        """Second derivatives of minus the log-likelihood per row."""
        total = np.zeros((self.n_free, self.n_free))
        for g in self.groups:
            point = _point(g, theta)
            if point is None:
                return np.full_like(total, np.nan)
            total += _information(g, point, observed=True)
            by = _by_moments(g, point)
            total += curvature(g.within, point.within, by[0], by[1])
            total += curvature(g.between, point.between, by[2], by[3])
        return (total + total.T) / (2 * self.n)

    def scores(self, theta: np.ndarray) -> list[np.ndarray]:
        """Gradients of the clusters' log-likelihoods by the free parameters, (clusters, free), one a group."""
        points = [(g, _point(g, theta)) for g in self.groups]
        return [_scores(g.sample, point, _slopes_of(g, point)) for g, point in points if point is not None]

    def factor_scores(self, theta: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """Expected factors given a cluster's answers: of people (n, k) and of clusters (J, k), one pair a group."""
        points = [(g, _point(g, theta)) for g in self.groups]
        return [_expected_factors(g, point) for g, point in points if point is not None]

    def jacobians(self, theta: np.ndarray) -> list[np.ndarray]:
        """Derivatives of (μ, vech Σ_W, vech Σ_B) by the free parameters, one a group; μ is that of both levels."""
        return [_group_jacobian(g, theta) for g in self.groups]

    def _loglik(self, g: _Group, point: _Point | None) -> float:
        if point is None:
            return -np.inf
        s = g.sample
        p, free = len(s.within), s.n - s.clusters
        inside = free * (point.logdet_within + float(np.sum(point.inverse_within * s.pooled)))
        quadratic = np.einsum("kab,kab->k", point.inverse, point.spread)
        outside = float(s.counts @ (p * np.log(s.sizes) + point.logdet + quadratic))
        constant = (s.n * p + s.clusters * len(s.between)) * np.log(2 * np.pi)
        return -0.5 * (constant + inside + outside)


def _point(g: _Group, theta: np.ndarray) -> _Point | None:
    """None outside the parameter space."""
    within, between, s = g.within.implied(theta), g.between.implied(theta), g.sample
    r, p = len(s.names), len(s.within)
    cov_within, shared, mean = np.zeros((p, p)), np.zeros((r, r)), np.zeros(r)
    cov_within[np.ix_(g.at_within, g.at_within)] = within.cov
    shared[np.ix_(g.at_between, g.at_between)] = between.cov
    mean[g.at_within] += within.mean
    mean[g.at_between] += between.mean
    found = _moments(s, cov_within, shared, mean)
    return None if found is None else _Point(**vars(found), within=within, between=between)


def _moments(s: Clustered, cov_within: np.ndarray, shared: np.ndarray, mean: np.ndarray) -> _Moments | None:
    p = len(s.within)
    stacked = np.repeat(shared[None], len(s.sizes), axis=0)
    stacked[:, :p, :p] += cov_within / s.sizes[:, None, None]
    try:
        root, roots = np.linalg.cholesky(cov_within), np.linalg.cholesky(stacked)
        inverse_within, inverse = np.linalg.inv(cov_within), np.linalg.inv(stacked)
    except np.linalg.LinAlgError:
        return None
    distance = s.means - mean
    return _Moments(
        inverse_within,
        inverse,
        2 * float(np.log(np.diag(root)).sum()),
        2 * np.log(np.einsum("kaa->ka", roots)).sum(axis=1),
        distance,
        s.covs + distance[:, :, None] * distance[:, None, :],
        mean,
    )


def _by_moments(g: _Group, point: _Point) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Derivatives of minus the log-likelihood by Σ_W, μ_W, Σ_B and μ_B, each in the order of its block."""
    s, p = g.sample, len(g.sample.within)
    v, w = point.inverse, point.inverse_within
    by_v = 0.5 * s.counts[:, None, None] * (v - v @ point.spread @ v)
    by_within = 0.5 * (s.n - s.clusters) * (w - w @ s.pooled @ w)
    by_within = by_within + np.einsum("k,kab->ab", 1.0 / s.sizes, by_v[:, :p, :p])
    by_mean = -np.einsum("k,kab,kb->a", s.counts, v, point.distance)
    inner, outer = np.ix_(g.at_within, g.at_within), np.ix_(g.at_between, g.at_between)
    return by_within[inner], by_mean[g.at_within], by_v.sum(axis=0)[outer], by_mean[g.at_between]


def _information(g: _Group, point: _Point, *, observed: bool) -> np.ndarray:
    """Expected information, or the part of the Hessian that first derivatives of the moments make."""
    return _curvature(g.sample, point, _slopes_of(g, point), observed=observed)


def _slopes_of(g: _Group, point: _Point) -> _Slopes:
    r = len(g.sample.names)
    d_within, dm_within = _slopes(g.within, point.within, g.at_within, r)
    d_between, dm_between = _slopes(g.between, point.between, g.at_between, r)
    return _Slopes(d_within, d_between, dm_within + dm_between)


def _curvature(s: Clustered, point: _Moments, slopes: _Slopes, *, observed: bool) -> np.ndarray:
    p, dmean = len(s.within), slopes.mean
    own = slopes.within[:, :p, :p]
    total = _pairs(own, point.inverse_within, s.pooled if observed else None, 0.5 * (s.n - s.clusters))
    for size, count, v, spread, d in zip(s.sizes, s.counts, point.inverse, point.spread, point.distance):
        dv = slopes.between + slopes.within / size
        total += _pairs(dv, v, spread if observed else None, 0.5 * count)
        total += count * dmean @ v @ dmean.T
        if observed:
            cross = count * dmean @ v @ (dv @ (v @ d)).T
            total += cross + cross.T
    return total


def _scores(s: Clustered, point: _Moments, slopes: _Slopes) -> np.ndarray:
    """Gradient of each cluster's log-likelihood, (J, q)."""
    p, w = len(s.within), point.inverse_within
    v = point.inverse[np.searchsorted(s.sizes, s.own_sizes)]
    pulled = np.einsum("jab,jb->ja", v, s.own_means - point.mean)
    by_v = 0.5 * (pulled[:, :, None] * pulled[:, None, :] - v)
    by_w = 0.5 * (w @ s.own_products @ w - (s.own_sizes - 1)[:, None, None] * w)
    by_w = by_w + by_v[:, :p, :p] / s.own_sizes[:, None, None]
    q = len(slopes.mean)
    inner = by_w.reshape(len(by_w), -1) @ slopes.within[:, :p, :p].reshape(q, -1).T
    return pulled @ slopes.mean.T + inner + by_v.reshape(len(by_v), -1) @ slopes.between.reshape(q, -1).T


def _expected_factors(g: _Group, point: _Point) -> tuple[np.ndarray, np.ndarray]:
    """Regression scores: a cluster's part is what its means say of it, a person's what is left of the answers."""
    s, p = g.sample, len(g.sample.within)
    v = point.inverse[np.searchsorted(s.sizes, s.own_sizes)]
    away = s.own_means - point.mean
    pulled = np.einsum("jab,jb->ja", v, away)
    shared = np.zeros((len(s.names),) * 2)
    shared[np.ix_(g.at_between, g.at_between)] = point.between.cov
    left = s.deviations + (away - pulled @ shared)[s.codes, :p]
    own = (left @ point.inverse_within)[:, g.at_within] @ _with_factors(g.within, point.within)
    of_cluster = pulled[:, g.at_between] @ _with_factors(g.between, point.between)
    at = len(g.within.latent), len(g.between.latent)
    return point.within.latent_mean[: at[0]] + own, point.between.latent_mean[: at[1]] + of_cluster


def _with_factors(block: Block, implied: Implied) -> np.ndarray:
    """Covariances of the observed variables with the factors, (p, factors)."""
    return implied.left[:, block.p + block.m :][:, : len(block.latent)]


def saturated_parts(s: Clustered, u: Unrestricted, x_within: Sequence[str], x_between: Sequence[str]):
    """Observed information of the unrestricted moments, and cross products of the clusters' scores, both per row.

    What concerns fixed covariates alone is left out.
    """
    mean = u.between_mean.copy()
    mean[: len(s.within)] += u.within_mean
    point = _moments(s, u.within_cov, u.between_cov, mean)
    slopes = _unrestricted_slopes(s, np.diag(u.between_cov) > 0, x_within, x_between)
    if point is None:
        nowhere = np.full((len(slopes.mean),) * 2, np.nan)
        return nowhere, nowhere
    scores = _scores(s, point, slopes)
    return _curvature(s, point, slopes, observed=True) / s.n, scores.T @ scores / s.n


def _unrestricted_slopes(s: Clustered, has_part: np.ndarray, x_within, x_between) -> _Slopes:
    names, r, p = np.array(s.names), len(s.names), len(s.within)
    inside, above = np.isin(names, list(x_within)), np.isin(names, list(x_between))
    i, j = lower(r)
    of_within = (i < p) & (j < p) & ~(inside[i] & inside[j])
    of_between = has_part[i] & has_part[j] & ~(above[i] & above[j])
    of_mean = np.flatnonzero(np.where(has_part, ~above, ~inside))
    counts = [int(of_within.sum()), int(of_between.sum()), len(of_mean)]
    first, second, _ = np.cumsum(counts)
    out = _Slopes(np.zeros((sum(counts), r, r)), np.zeros((sum(counts), r, r)), np.zeros((sum(counts), r)))
    for matrix, chosen, start in ((out.within, of_within, 0), (out.between, of_between, first)):
        place = start + np.arange(chosen.sum())
        matrix[place, i[chosen], j[chosen]] = matrix[place, j[chosen], i[chosen]] = 1.0
    out.mean[second + np.arange(len(of_mean)), of_mean] = 1.0
    return out


def _slopes(block: Block, implied: Implied, place: np.ndarray, r: int) -> tuple[np.ndarray, np.ndarray]:
    """Derivatives of a block's Σ and μ by each free parameter, laid out among all r variables."""
    jacobian = moment_jacobian(block, implied, True)
    i, j = lower(block.p)
    cov, mean = np.zeros((block.n_free, r, r)), np.zeros((block.n_free, r))
    mean[:, place] = jacobian[: block.p].T
    cov[:, place[i], place[j]] = jacobian[block.p :].T
    cov[:, place[j], place[i]] = jacobian[block.p :].T
    return cov, mean


def _group_jacobian(g: _Group, theta: np.ndarray) -> np.ndarray:
    one = moment_jacobian(g.within, g.within.implied(theta), True)
    two = moment_jacobian(g.between, g.between.implied(theta), True)
    mean = np.zeros((len(g.sample.names), g.within.n_free))
    np.add.at(mean, g.at_within, one[: g.within.p])
    np.add.at(mean, g.at_between, two[: g.between.p])
    return np.vstack([mean, one[g.within.p :], two[g.between.p :]])


def _pairs(slopes: np.ndarray, inverse: np.ndarray, spread: np.ndarray | None, factor: float) -> np.ndarray:
    """factor · tr(R dVₛ V⁻¹ dVₜ), R = V⁻¹ (expected) or 2V⁻¹SV⁻¹ − V⁻¹ (observed)."""
    turned = slopes @ inverse
    other = turned if spread is None else slopes @ (2 * inverse @ spread @ inverse - inverse)
    flat = np.swapaxes(other, 1, 2).reshape(len(slopes), -1)
    return factor * turned.reshape(len(slopes), -1) @ flat.T


# The unrestricted model ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Unrestricted:
    """Means and covariances at both levels that no model restricts, and how far the search went."""

    within_mean: np.ndarray  # (p,)
    within_cov: np.ndarray  # (p, p)
    between_mean: np.ndarray  # (r,) of all variables; 0 for what is only within
    between_cov: np.ndarray  # (r, r)
    part_mean: np.ndarray  # (r,) mean of the cluster parts alone, as EM left it; lavaan fixes covariates' means there
    loglik: float
    iterations: int
    remaining: float  # log-likelihood still to be gained, extrapolated (0 when converged)


def unrestricted(sample: Clustered, shared: Sequence[bool], tolerance: float = 1e-4, limit: int = 5000) -> Unrestricted:
    """The saturated two-level model by EM, cluster parts being the missing data (Lee & Poon 1998).

    ``shared`` says which within variables have a between part. By default the search begins with identity
    matrices and ends where an iteration gains less than 1e-4, as lavaan 0.6-14 does, so that χ² is the same;
    ``remaining`` says what a longer search would add.
    """
    state = _Estimates.at_start(sample, np.asarray(shared, dtype=bool))
    loglik, gains, iterations = state.loglik(sample), [np.inf, np.inf], 0
    while iterations < limit and gains[1] >= tolerance:
        state, iterations = state.improved(sample), iterations + 1
        new = state.loglik(sample)
        gains, loglik = [gains[1], new - loglik], new
    ratio = min(gains[1] / gains[0], 0.999) if np.isfinite(gains[0]) and gains[0] > 0 else 0.0
    return state.finished(sample, loglik, iterations, max(gains[1], 0.0) * ratio / (1 - ratio))


@dataclass(frozen=True)
class _Estimates:
    """One state of the EM search: y are the variables measured within, z those that only clusters have."""

    mu_w: np.ndarray
    mu_b: np.ndarray
    mu_z: np.ndarray
    sigma_w: np.ndarray
    sigma_b: np.ndarray
    sigma_yz: np.ndarray
    sigma_zz: np.ndarray

    @classmethod
    def at_start(cls, s: Clustered, shared: np.ndarray) -> _Estimates:
        p = len(s.within)
        mean, cov = s.of_clusters
        zero, cross = np.zeros(p), np.zeros((p, len(s.between)))
        return cls(zero, zero, mean[p:], np.eye(p), np.diag(shared.astype(float)), cross, cov[p:, p:])

    def _stacked(self, s: Clustered) -> tuple[np.ndarray, np.ndarray]:
        """V_s for each cluster size, and its inverse; needed twice a state."""
        if "stacked" not in self.__dict__:
            self.__dict__["stacked"] = self._by_size(s)
        return self.__dict__["stacked"]

    def _by_size(self, s: Clustered) -> tuple[np.ndarray, np.ndarray]:
        p = len(self.mu_w)
        shared = np.block([[self.sigma_b, self.sigma_yz], [self.sigma_yz.T, self.sigma_zz]])
        v = np.repeat(shared[None], len(s.sizes), axis=0)
        v[:, :p, :p] += self.sigma_w / s.sizes[:, None, None]
        return v, np.linalg.inv(v)

    def _mean(self) -> np.ndarray:
        return np.concatenate([self.mu_w + self.mu_b, self.mu_z])

    def improved(self, s: Clustered) -> _Estimates:
        p, raw = len(self.mu_w), self._raw_products(s)
        _, inverse = self._stacked(s)
        both = np.hstack([self.sigma_b, self.sigma_yz])
        gain = both @ inverse  # (k, p, r): regression of a cluster's part on its means
        away = s.means - self._mean()
        expected = np.einsum("kpr,kr->kp", gain, away) + self.mu_b
        turned = np.swapaxes(gain, 1, 2)
        left = self.sigma_b - gain @ both.T
        second = (
            0.5 * (left + np.swapaxes(left, 1, 2))
            + gain @ s.covs @ turned
            + expected[:, :, None] * expected[:, None, :]
        )
        crossed = s.covs @ turned + s.means[:, :, None] * expected[:, None, :]  # means × cluster's part
        c, size = s.counts.astype(float), s.sizes.astype(float)
        own = crossed[:, :p]
        inner = raw + np.einsum("k,kab->ab", c * size, second - own - np.swapaxes(own, 1, 2))
        mu_b = c @ expected / s.clusters
        mu_w = (c * size) @ (s.means[:, :p] - expected) / s.n
        sigma_yz = np.einsum("k,kab->ba", c, crossed[:, p:]) / s.clusters - np.outer(mu_b, self.mu_z)
        return _Estimates(
            mu_w,
            mu_b,
            self.mu_z,
            inner / s.n - np.outer(mu_w, mu_w),
            np.einsum("k,kab->ab", c, second) / s.clusters - np.outer(mu_b, mu_b),
            sigma_yz,
            self.sigma_zz,
        )

    def _raw_products(self, s: Clustered) -> np.ndarray:
        p, weight = len(self.mu_w), s.counts * s.sizes
        own = s.means[:, :p]
        return (s.n - s.clusters) * s.pooled + np.einsum(
            "k,kab->ab", weight, s.covs[:, :p, :p] + own[:, :, None] * own[:, None, :]
        )

    def loglik(self, s: Clustered) -> float:
        v, inverse = self._stacked(s)
        away = s.means - self._mean()
        spread = s.covs + away[:, :, None] * away[:, None, :]
        p = len(self.mu_w)
        inside = np.linalg.slogdet(self.sigma_w)[1] + np.sum(np.linalg.inv(self.sigma_w) * s.pooled)
        outside = p * np.log(s.sizes) + np.linalg.slogdet(v)[1] + np.einsum("kab,kab->k", inverse, spread)
        constant = (s.n * p + s.clusters * len(s.between)) * np.log(2 * np.pi)
        return float(-0.5 * (constant + (s.n - s.clusters) * inside + s.counts @ outside))

    def finished(self, s: Clustered, loglik: float, iterations: int, remaining: float) -> Unrestricted:
        has_part = np.diag(self.sigma_b) > 0
        between = np.block([[self.sigma_b, self.sigma_yz], [self.sigma_yz.T, self.sigma_zz]])
        mean = np.concatenate([np.where(has_part, self.mu_w + self.mu_b, 0.0), self.mu_z])
        within_mean = np.where(has_part, 0.0, self.mu_w + self.mu_b)
        alone = np.concatenate([self.mu_b, self.mu_z])
        return Unrestricted(within_mean, self.sigma_w, mean, between, alone, loglik, iterations, remaining)
