"""Samples of people, or of whole clusters, drawn with replacement."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from cocoanalysis.arguments import seed_number, whole
from cocoanalysis.errors import Diagnostic
from cocoanalysis.measurement.aggregation import groups_of

TOLERATED = 0.05  # share of failed samples above which a percentile interval is not shown


def draws(data: Any, n: int, cluster: str | None, replicates: int, seed: int) -> np.ndarray:
    """How often each of n rows is drawn in each replicate (replicates × n).

    With ``cluster`` whole clusters are drawn, all their rows together, so a replicate's size varies.
    """
    replicates = whole(replicates, "bootstrap", 2, what="a number of replicates", code="BadBootstrap")
    rng = np.random.default_rng(seed_number(seed))
    if cluster is None:
        return rng.multinomial(n, np.full(n, 1 / n), size=replicates).astype(float)
    codes = pd.factorize(groups_of(getattr(data, "frame", data), cluster), sort=True)[0]
    count = codes.max() + 1
    return rng.multinomial(count, np.full(count, 1 / count), size=replicates)[:, codes].astype(float)


def resampled_covariances(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Pairwise covariances (replicates × p × p) of rows (n × p) counted ``weights`` times (replicates × n)."""
    p = values.shape[1]
    answered = ~np.isnan(values)
    x = np.where(answered, values - np.nanmean(values, axis=0), 0.0)
    left, right = np.triu_indices(p)
    if answered.all():
        counts: np.ndarray = weights.sum(axis=1, keepdims=True)
        sums = weights @ x
        first, second = sums[:, left], sums[:, right]
    else:
        mask = answered.astype(float)
        counts = weights @ (mask[:, left] * mask[:, right])
        first, second = weights @ (x[:, left] * mask[:, right]), weights @ (x[:, right] * mask[:, left])
    with np.errstate(invalid="ignore", divide="ignore"):  # a pair that nobody in a sample answered gives NaN
        cells = (weights @ (x[:, left] * x[:, right]) - first * second / counts) / (counts - 1)
    covariances = np.empty((len(weights), p, p))
    covariances[:, left, right] = covariances[:, right, left] = cells
    return covariances


def percentiles(values: np.ndarray, level: float, what: str) -> tuple[float, float, list[Diagnostic]]:
    """The percentile interval of drawn values; failed samples (NaN) are counted, and too many leave it empty."""
    failed = int(np.isnan(values).sum())
    if failed == 0:
        lower, upper = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
        return float(lower), float(upper), []
    many = failed > TOLERATED * len(values)
    reason = f"{failed} of {len(values)} bootstrap samples of {what} had no admissible solution; "
    reason += "the interval is left empty." if many else "the interval rests on the others."
    note = Diagnostic("BootstrapFailures", reason, "warning")
    if many:
        return np.nan, np.nan, [note]
    lower, upper = np.nanquantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(lower), float(upper), [note]
