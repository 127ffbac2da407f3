"""Correlation matrices: what every exploratory method starts from, checked once.

`correlate` takes answers or a finished matrix and returns `Correlations`: numbers, names,
the sample size, and where they came from. Inputs that cannot carry an analysis (a constant
item, an empty item, two items that are one, fewer people than items) are refused here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from cocoanalysis.arguments import whole
from cocoanalysis.errors import Diagnostic, ModelError, listed, one_of
from cocoanalysis.measurement.moments import polychoric, smoothed
from cocoanalysis.responses.selection import select
from cocoanalysis.result import Result

KINDS = ("pearson", "polychoric")
MISSING = ("pairwise", "listwise")
SINGULAR = 1e-10  # smallest eigenvalue that still counts as positive


@dataclass(frozen=True)
class Correlations:
    """A correlation matrix with its names, sample size and origin."""

    matrix: np.ndarray
    names: tuple[str, ...]
    n: int | None = None
    kind: str = "pearson"
    missing: str = "none"
    smoothed: bool = False
    answers: pd.DataFrame | None = field(default=None, repr=False)
    survey: Any = field(default=None, repr=False)
    ledger: pd.DataFrame | None = field(default=None, repr=False)
    provenance: str = "yours"
    diagnostics: tuple[Diagnostic, ...] = ()
    left_out: int = 0  # rows that listwise deletion took

    @property
    def settings(self) -> dict[str, Any]:
        facts = {"correlation": self.kind, "missing": self.missing, "smoothed": self.smoothed, "n": self.n}
        return {**facts, "left_out": self.left_out}

    @property
    def origin(self) -> dict[str, Any]:
        """What a result hands on: survey, ledger, provenance."""
        return {"survey": self.survey, "ledger": self.ledger, "provenance": self.provenance}

    def sample_size(self) -> int:
        if self.n is None:
            raise ModelError(
                "A correlation matrix alone does not say how many people answered; give n=, the sample size.",
                code="MissingN",
            )
        return self.n


def rows_used(settings: Mapping[str, Any]) -> list[str]:
    """The sentence on rows and correlations that belongs under every exploratory table."""
    kind, missing, n = (settings[k] for k in ("correlation", "missing", "n"))
    how = f"{kind} correlations, missing answers: {missing}" if kind != "given" else "from a given matrix"
    said = [f"n = {n if n is not None else 'unknown'}; {how}."]
    if settings["left_out"]:
        said.append(f"{settings['left_out']} rows with a missing answer were left out.")
    if settings["smoothed"]:
        said.append("The matrix was not positive definite and was smoothed because you asked for it.")
    return said


class Explored(Result):
    """Base of results that rest on a correlation matrix: their notes say which rows it was made of."""

    def notes(self) -> list[str]:
        return [*super().notes(), *rows_used(self.settings)]


def correlate(
    data: Any,
    items: str | Sequence[str] | None = None,
    *,
    correlation: str = "pearson",
    n: int | None = None,
    missing: str = "pairwise",
    smooth: bool = False,
) -> Correlations:
    """The correlations of the items, or the matrix that was handed over, checked.

    Parameters
    ----------
    data : Responses, DataFrame or array of answers, or a square correlation or covariance matrix
    items : a construct or block of the survey, or column names
    correlation : 'pearson' or 'polychoric'
    n : sample size; only read with a matrix
    missing : 'pairwise' (as psych; n is the smallest number of answers to any pair, as SPSS) or 'listwise'
    smooth : replace negative eigenvalues of a matrix that is not positive definite, instead of refusing it

    Raises
    ------
    ModelError : AllMissing, ConstantItem, TooFewItems, TooFewRows, Dependency, NotPositiveDefinite
    """
    one_of(correlation, KINDS, "correlation")
    one_of(missing, MISSING, "treatment of missing answers")
    if n is not None:
        whole(n, "n", 1, what="a number of people")
    found = _given(data, items, n) if is_matrix(data) else _computed(data, items, correlation, missing)
    if found.n is not None and found.n <= len(found.names):
        raise ModelError(
            f"{found.n} people answered {len(found.names)} items; factor methods need more people than items. "
            "Analyse fewer items at a time, or collect more answers.",
            code="TooFewRows",
        )
    return definite(found, smooth)


def is_matrix(data: Any) -> bool:
    """True for a symmetric matrix with a positive diagonal whose rows are its columns."""
    values = data.to_numpy() if isinstance(data, pd.DataFrame) else data
    if not isinstance(values, np.ndarray) or values.ndim != 2 or values.shape[0] != values.shape[1]:
        return False
    if not np.issubdtype(values.dtype, np.number) or not np.isfinite(values).all() or len(values) < 2:
        return False
    return bool((np.diag(values) > 0).all() and np.allclose(values, values.T, atol=1e-8))


def _given(data: Any, items: str | Sequence[str] | None, n: int | None) -> Correlations:
    frame = data if isinstance(data, pd.DataFrame) else pd.DataFrame(data)
    names = [str(name) for name in frame.columns]
    if not isinstance(data, pd.DataFrame):
        names = [f"v{i + 1}" for i in range(len(names))]
    values = frame.to_numpy(dtype=float)
    scale = np.sqrt(np.diag(values))
    matrix = values / np.outer(scale, scale)
    if items is not None:
        wanted = [
            names.index(one_of(name, names, "variable")) for name in ([items] if isinstance(items, str) else items)
        ]
        matrix, names = matrix[np.ix_(wanted, wanted)], [names[i] for i in wanted]
    if (np.abs(matrix) > 1 + 1e-8).any():
        raise ModelError(
            "The matrix holds correlations beyond ±1, so it is no correlation or covariance matrix.",
            code="NotACorrelationMatrix",
        )
    return Correlations(matrix, tuple(names), n, "given")


def _computed(data: Any, items: str | Sequence[str] | None, correlation: str, missing: str) -> Correlations:
    chosen = select(data, items)
    frame = checked_items(chosen.frame)
    if frame.shape[1] < 2:
        raise ModelError(
            f"Correlations need at least two items; {frame.shape[1]} came ({listed(frame.columns)}).",
            code="TooFewItems",
        )
    gaps = bool(frame.isna().to_numpy().any())
    if gaps and missing == "listwise":
        frame = checked_items(frame.dropna())
    notes: tuple[Diagnostic, ...] = ()
    if correlation == "polychoric":
        ordinal = polychoric(frame)
        matrix, pairs, notes = ordinal.correlations.to_numpy(), ordinal.counts.to_numpy(), ordinal.diagnostics
    else:
        matrix, pairs = pearson(frame.to_numpy())
    return Correlations(
        matrix=matrix,
        names=tuple(map(str, frame.columns)),
        n=int(pairs.min()),
        kind=correlation,
        missing=missing if gaps else "none",
        answers=frame,
        survey=chosen.survey,
        ledger=chosen.ledger,
        provenance=chosen.provenance,
        diagnostics=tuple(d for d in notes if d.code != "NotPositiveDefinite"),
        left_out=len(chosen.frame) - len(frame),
    )


def checked_items(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame, when every item has answers that differ; else an error that names the items."""
    empty = [str(c) for c in frame.columns if frame[c].isna().all()]
    if empty:
        raise ModelError(
            f"Nobody answered {listed(empty)}; leave {'it' if len(empty) == 1 else 'them'} out of the analysis.",
            code="AllMissing",
        )
    low, high = frame.min(), frame.max()
    constant = [str(c) for c in frame.columns if low[c] == high[c]]
    if constant:
        raise ModelError(
            f"Everybody gave the same answer to {listed(constant)}; an item without variance has no correlations. "
            "Leave it out of the analysis.",
            code="ConstantItem",
        )
    return frame


def pearson(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pearson correlations (p × p) over the rows that answered both items, and how many did.

    ``values`` is n × p with NaN for missing. Complete data give ordinary correlations.
    """
    answered = ~np.isnan(values)
    if answered.all():
        return complete_correlations(values), np.full((values.shape[1],) * 2, len(values))
    pairs = _pair_counts(values)
    if (pairs < 2).any():
        raise ModelError("Some pair of items was answered together by fewer than two people.", code="NoCommonAnswers")
    mask = answered.astype(float)
    x = np.where(answered, values - np.nanmean(values, axis=0), 0.0)
    sums, squares, products = x.T @ mask, (x**2).T @ mask, x.T @ x
    covariance = products - sums * sums.T / pairs
    variance = squares - sums**2 / pairs
    matrix = covariance / np.sqrt(variance * variance.T)
    np.fill_diagonal(matrix, 1.0)
    return matrix, pairs


def complete_correlations(values: np.ndarray) -> np.ndarray:
    """Pearson correlations of complete data (… × n × p → … × p × p)."""
    centred = values - values.mean(axis=-2, keepdims=True)
    products = centred.swapaxes(-1, -2) @ centred
    return correlation_of(products)


def correlation_of(covariance: np.ndarray) -> np.ndarray:
    """Covariances (… × p × p) as correlations, with an exact unit diagonal."""
    with np.errstate(invalid="ignore", divide="ignore"):  # a variable without variance gives NaN
        scale = np.sqrt(np.diagonal(covariance, axis1=-2, axis2=-1))
        matrix = covariance / (scale[..., :, None] * scale[..., None, :])
    index = np.arange(matrix.shape[-1])
    matrix[..., index, index] = 1.0
    return matrix


def _pair_counts(values: np.ndarray) -> np.ndarray:
    answered = (~np.isnan(values)).astype(float)
    return answered.T @ answered


def definite(found: Correlations, smooth: bool) -> Correlations:
    """The correlations, when positive definite; smoothed when asked; else an error with the culprits."""
    values, vectors = np.linalg.eigh(found.matrix)
    if values[0] > SINGULAR:
        return found
    if smooth:
        return Correlations(**{**vars(found), "matrix": smoothed(found.matrix), "smoothed": True})
    names = np.array(found.names)
    twins = np.argwhere(np.triu(np.abs(found.matrix) > 1 - 1e-8, 1))
    if len(twins):
        pairs = listed(f"{names[i]} = {names[j]}" for i, j in twins)
        raise ModelError(
            f"These items give the same answers (up to scale): {pairs}. Drop one of each pair.", code="Dependency"
        )
    if abs(values[0]) <= SINGULAR * 1e3 and found.kind != "polychoric" and found.missing != "pairwise":
        share = np.abs(vectors[:, 0])
        raise ModelError(
            f"The items {listed(names[share > 0.05])} depend on each other linearly (one is the sum or difference "
            "of others), so their correlation matrix cannot be inverted. Drop one of them.",
            code="Dependency",
        )
    raise ModelError(
        f"The {found.kind} correlation matrix is not positive definite (smallest eigenvalue {values[0]:.3g}; items "
        f"with the largest weight there: {listed(names[np.argsort(-np.abs(vectors[:, 0]))[:4]])}). Drop an item, merge "
        "rare categories, use correlation='pearson', or ask for smooth=True, which changes the matrix and says so.",
        code="NotPositiveDefinite",
    )
