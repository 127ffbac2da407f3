"""What the data say about continuous variables: means, covariances, their sampling variation, patterns of missingness.

Divisor n throughout (the normal likelihood's), unless a function says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from cocoanalysis.arguments import shown
from cocoanalysis.errors import ModelError, listed
from cocoanalysis.measurement.fitting import plainly_positive
from cocoanalysis.measurement.implied import lower
from cocoanalysis.responses.selection import as_frame, numeric, numeric_frame


@dataclass(frozen=True)
class Sample:
    """One group's continuous data and moments. ``data`` is None when only moments were given."""

    names: tuple[str, ...]
    n: float
    mean: np.ndarray  # (p,)
    cov: np.ndarray  # (p, p), divisor n
    data: np.ndarray | None = field(default=None, repr=False)  # (n, p)
    weights: np.ndarray | None = field(default=None, repr=False)  # sum to n
    cluster: np.ndarray | None = field(default=None, repr=False)  # codes 0 …
    means_known: bool = True

    @property
    def unbiased(self) -> np.ndarray:
        """The covariance with divisor n − 1."""
        return self.cov * (self.n / (self.n - 1))


def sample_of(
    names: Sequence[str], data: np.ndarray, weights: np.ndarray | None = None, cluster: np.ndarray | None = None
) -> Sample:
    """Means and covariances of complete rows; with weights, n is their sum."""
    if weights is None:
        mean = data.mean(axis=0)
        centred = data - mean
        return Sample(tuple(names), len(data), mean, centred.T @ centred / len(data), data, None, cluster)
    n = float(weights.sum())
    mean = weights @ data / n
    centred = data - mean
    cov = (centred * weights[:, None]).T @ centred / n
    return Sample(tuple(names), n, mean, cov, data, weights, cluster)


def given_covariance(table: Any) -> pd.DataFrame:
    """A covariance matrix as a user hands it over, as numbers; what is none is refused."""
    if not isinstance(table, pd.DataFrame):
        raise ModelError(
            f"The covariance matrix must be a DataFrame with the variables as index and columns; {shown(table)} "
            "came. Name them with pd.DataFrame(matrix, names, names).",
            code="NotATable",
        )
    numbers = numeric_frame(as_frame(table), list(table.columns))
    if list(numbers.index) != list(numbers.columns) or not np.allclose(numbers, numbers.T, atol=1e-8, equal_nan=True):
        raise ModelError(
            "The covariance matrix must be symmetric, with the same names as index and columns.", code="NotSymmetric"
        )
    values = numbers.to_numpy()
    gaps = [name for name, column in zip(numbers.columns, values.T) if np.isnan(column).any()]
    if gaps:
        raise ModelError(
            f"The covariance matrix has empty cells at {listed(gaps)}; fill them in or leave the variables out.",
            code="MissingMoments",
        )
    below = [name for name, variance in zip(numbers.columns, np.diagonal(values)) if variance < 0]
    if below:
        raise ModelError(
            f"The variance of {listed(below)} is negative, which no data have; check the diagonal of the covariance "
            "matrix.",
            code="NegativeVariance",
        )
    return numbers


def given_means(means: Any, order: Sequence[str]) -> np.ndarray:
    """The means of the variables in their order."""
    if not isinstance(means, pd.Series):
        raise ModelError(
            f"The means must be a Series with the variables as index; {shown(means)} came. Name them with "
            "pd.Series(values, names).",
            code="NotATable",
        )
    lacking = [name for name in order if name not in means.index]
    if lacking:
        raise ModelError(f"The means of {listed(lacking)} are not given.", code="NeedsMeans")
    values = numeric(means[list(order)])
    if np.isnan(values).any():
        gaps = [name for name, value in zip(order, values) if np.isnan(value)]
        raise ModelError(f"The means of {listed(gaps)} are empty; fill them in.", code="MissingMoments")
    return values


def check_moments(sample: Sample, group: str = "") -> None:
    """Refuse constant and linearly dependent variables, naming them (cases 42 and 46)."""
    where = f" in group '{group}'" if group else ""
    sd = np.sqrt(np.diag(sample.cov))
    scale = np.abs(sample.mean) + sd
    constant = [name for name, s, m in zip(sample.names, sd, scale) if not s > 1e-10 * m]
    if constant:
        raise ModelError(
            f"{listed(constant)} {'does' if len(constant) == 1 else 'do'} not vary{where}: every row holds the same "
            "value, so no correlation can be computed. Leave it out of the model or check the data.",
            code="ConstantItem",
        )
    correlation = sample.cov / np.outer(sd, sd)
    if plainly_positive(correlation):
        return
    values, vectors = np.linalg.eigh(correlation)
    if values[0] < -1e-8:
        involved = [name for name, v in zip(sample.names, vectors[:, 0]) if abs(v) > 1e-4]
        raise ModelError(
            f"The covariance matrix is not positive definite{where}: no complete data have such covariances of "
            f"{listed(involved)}. Check the numbers, or compute them from complete rows.",
            code="NotPositiveDefinite",
        )
    if values[0] < 1e-10:
        tied = [name for name, v in zip(sample.names, vectors[:, 0]) if abs(v) > 1e-4]
        raise ModelError(
            f"{listed(tied)} are linearly dependent{where} (one can be computed from the others), so the covariance "
            "matrix cannot be inverted. Leave one of them out.",
            code="Dependency",
        )


CHUNK = 4096  # rows whose cross products are held at once


def products(centred: np.ndarray, meanstructure: bool) -> np.ndarray:
    """Rows (x, vech of the cross products) of centred data, (n, p + p*) or without the first p columns."""
    i, j = lower(centred.shape[1])
    pairs = centred[:, i] * centred[:, j]
    return np.concatenate([centred, pairs], axis=1) if meanstructure else pairs


def moment_covariance(sample: Sample, meanstructure: bool = True, x: Sequence[int] = ()) -> np.ndarray:
    """n times the asymptotic covariance of (means, vech S) without normality (Browne, 1984, eq. 2.7).

    ``x`` are the positions of fixed covariates: the part of each product that they explain does not vary.
    """
    if sample.data is None:
        raise ModelError(
            "This estimator needs the rows of the data; only moments were given. Use ml, gls or uls, or pass the data.",
            code="NeedsRows",
        )
    weights = np.ones(len(sample.data)) if sample.weights is None else sample.weights
    centred = sample.data - sample.mean
    fitted = fitted_by(sample.data, x) - sample.mean if len(x) else None

    def rows(here: slice) -> np.ndarray:
        z = products(centred[here], meanstructure)
        return z if fitted is None else z - products(fitted[here], meanstructure)

    slices = [slice(k, k + CHUNK) for k in range(0, len(centred), CHUNK)]
    mean = sum((weights[h] @ rows(h) for h in slices), start=np.zeros(1)) / weights.sum()
    parts = ((rows(h) - mean) * weights[h][:, None] for h in slices)
    return cross_products(parts, slices, sample.cluster, sample.n)


def cross_products(
    parts: Iterable[np.ndarray], slices: Sequence[slice], cluster: np.ndarray | None, n: float
) -> np.ndarray:
    """Σ z zᵀ / n over chunks of rows z; with clusters over their sums, times C/(C − 1)."""
    total: Any = 0.0
    if cluster is None:
        for z in parts:
            total = total + z.T @ z
        return total / n
    count = int(cluster.max()) + 1
    for here, z in zip(slices, parts):
        sums = np.zeros((count, z.shape[1]))
        np.add.at(sums, cluster[here], z)
        total = total + sums
    return total.T @ total / n * (count / (count - 1))


def fitted_by(data: np.ndarray, x: Sequence[int]) -> np.ndarray:
    """Each variable as predicted from the covariates (which predict themselves)."""
    design = np.column_stack([np.ones(len(data)), data[:, list(x)]])
    coefficients, *_ = np.linalg.lstsq(design, data, rcond=None)
    fitted = design @ coefficients
    fitted[:, list(x)] = data[:, list(x)]
    return fitted


def normal_weight(cov: np.ndarray, meanstructure: bool) -> np.ndarray:
    """The normal-theory weight of (means, vech S) at ``cov``: its information matrix per row."""
    inverse = np.linalg.inv(cov)
    i, j = lower(len(cov))
    double = np.where(i == j, 1.0, 2.0)
    block = (
        0.25
        * np.outer(double, double)
        * (inverse[np.ix_(i, i)] * inverse[np.ix_(j, j)] + inverse[np.ix_(i, j)] * inverse[np.ix_(j, i)])
    )
    if not meanstructure:
        return block
    p, k = len(cov), len(i)
    weight = np.zeros((p + k, p + k))
    weight[:p, :p], weight[p:, p:] = inverse, block
    return weight


def only_x(p: int, x: Sequence[int], meanstructure: bool) -> np.ndarray:
    """Which of (means, vech S) concern fixed covariates alone (bool)."""
    inside = np.zeros(p, dtype=bool)
    inside[list(x)] = True
    i, j = lower(p)
    pairs = inside[i] & inside[j]
    return np.concatenate([inside, pairs]) if meanstructure else pairs


def log_likelihood(cov: np.ndarray, mean_difference: np.ndarray, sample_cov: np.ndarray, n: float) -> float:
    """Normal log-likelihood of n rows with these moments (divisor n)."""
    p = len(cov)
    _, logdet = np.linalg.slogdet(cov)
    inverse = np.linalg.inv(cov)
    spread = sample_cov + np.outer(mean_difference, mean_difference)
    return -n / 2 * (p * np.log(2 * np.pi) + logdet + float(np.sum(inverse * spread)))
