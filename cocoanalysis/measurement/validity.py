"""Do scales that should differ differ? Heterotrait–monotrait ratios and the Fornell–Larcker comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from cocoanalysis.errors import Diagnostic, ModelError, listed, one_of
from cocoanalysis.measurement.correlations import correlate, correlation_of
from cocoanalysis.measurement.items import Scales, scale_items
from cocoanalysis.measurement.moments import polychoric_matrix
from cocoanalysis.measurement.resampling import draws, percentiles, resampled_covariances
from cocoanalysis.responses.selection import select
from cocoanalysis.result import Result
from cocoanalysis.threads import in_one_thread

CUTOFFS = {"strict": 0.85, "liberal": 0.90}  # Henseler, Ringle & Sarstedt (2015)


@dataclass(frozen=True, repr=False)
class HTMT(Result):
    """Heterotrait–monotrait ratios, one row a pair of scales."""

    table: pd.DataFrame
    diagnostics: tuple[Diagnostic, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    survey: Any = None
    ledger: pd.DataFrame | None = None
    provenance: str = "yours"
    title = "Heterotrait–monotrait ratios"

    def tidy(self) -> pd.DataFrame:
        """Columns ``a, b, htmt, lower, upper``; the interval is missing without a bootstrap."""
        return self.table.copy()

    def matrix(self) -> pd.DataFrame:
        """Scales × scales, 1 on the diagonal."""
        names = list(dict.fromkeys([*self.table["a"], *self.table["b"]]))
        square, places = np.eye(len(names)), np.triu_indices(len(names), 1)
        square[places] = square.T[places] = self.table["htmt"]
        return pd.DataFrame(square, index=names, columns=names)

    def glance(self) -> pd.DataFrame:
        facts = {"largest": self.table["htmt"].max(), **self.settings}
        return pd.DataFrame({key: [value] for key, value in facts.items()})

    def notes(self) -> list[str]:
        conventions = "Conventional limits are .85 and .90 (Henseler, Ringle & Sarstedt, 2015)."
        return [*super().notes(), conventions, *(d.reason for d in self.diagnostics)]


@in_one_thread
def htmt(
    data: Any,
    scales: Scales | str | Sequence[str] | None = None,
    *,
    correlation: str = "pearson",
    method: str = "htmt2",
    bootstrap: int = 0,
    cluster: str | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> HTMT:
    """Compare correlations between scales with those within them.

    Parameters
    ----------
    data : Responses or DataFrame
    scales : dict of name → items; with Responses also names of constructs or blocks (None: every construct)
    correlation : 'pearson' or 'polychoric'
    method : 'htmt2' (geometric means of absolute correlations, for items with unequal loadings; Roemer, Schuberth &
        Henseler, 2021; semTools' default) or 'htmt' (arithmetic means, Henseler et al., 2015; mostly larger)
    bootstrap : replicates for a percentile interval; 0 for none
    cluster : a column; whole clusters are drawn instead of people

    Raises
    ------
    ModelError : TooFewScales, OverlappingScales, and what `correlate` raises

    Examples
    --------
    >>> import cocoanalysis as coco
    >>> folder = coco.bundled("unit-climate")
    >>> responses = coco.read_responses(folder / "responses.csv", coco.read_survey(folder))
    >>> coco.htmt(responses).tidy()["htmt"].round(2).tolist()
    [0.61, 0.43, 0.39]
    """
    one_of(method, ("htmt", "htmt2"), "ratio")
    groups = _distinct(scale_items(data, scales))
    items = [name for members in groups.values() for name in members]
    found = correlate(data, items, correlation=correlation)
    blocks = _blocks(groups)
    names = list(groups)
    first, second = np.triu_indices(len(names), 1)
    table = pd.DataFrame({"a": np.array(names)[first], "b": np.array(names)[second]})
    table["htmt"] = ratios(found.matrix[None], blocks, method)[0]
    table["lower"] = table["upper"] = np.nan
    notes = list(found.diagnostics)
    if bootstrap:
        values = select(data, items).frame.to_numpy()
        drawn = _resampled(values, correlation, draws(data, len(values), cluster, bootstrap, seed))
        columns = ratios(drawn, blocks, method).T
        limits = [percentiles(x, level, f"{a}–{b}") for x, a, b in zip(columns, table["a"], table["b"])]
        table["lower"], table["upper"] = [x[0] for x in limits], [x[1] for x in limits]
        notes += [note for _, _, failures in limits for note in failures]
    settings = {**found.settings, "method": method, "bootstrap": bootstrap, "cluster": cluster, "level": level}
    return HTMT(table, tuple(notes), settings, **found.origin)


def _distinct(groups: dict[str, list[str]]) -> dict[str, list[str]]:
    kept = {name: members for name, members in groups.items() if len(members) > 1}
    if len(kept) < 2:
        raise ModelError(
            f"HTMT compares scales of two or more items; {len(kept)} of {listed(groups)} can be compared.",
            code="TooFewScales",
        )
    every = [item for members in kept.values() for item in members]
    twice = sorted({item for item in every if every.count(item) > 1})
    if twice:
        raise ModelError(f"The items {listed(twice)} belong to more than one scale.", code="OverlappingScales")
    return kept


def _blocks(groups: Mapping[str, Sequence[str]]) -> list[slice]:
    ends = np.cumsum([len(members) for members in groups.values()])
    return [slice(end - len(members), end) for end, members in zip(ends, groups.values())]


def _resampled(values: np.ndarray, correlation: str, weights: np.ndarray) -> np.ndarray:
    if correlation == "polychoric":
        samples = (np.repeat(values, weight.astype(int), axis=0) for weight in weights)
        return np.stack([polychoric_matrix(x) if _varies(x) else np.full((x.shape[1],) * 2, np.nan) for x in samples])
    return correlation_of(resampled_covariances(values, weights))


def _varies(sample: np.ndarray) -> bool:
    """Every item has two answers that differ."""
    return bool((np.nanmax(sample, axis=0) > np.nanmin(sample, axis=0)).all())


def ratios(matrices: np.ndarray, blocks: Sequence[slice], method: str) -> np.ndarray:
    """HTMT of each pair of blocks (s × pairs) for s correlation matrices (s × p × p)."""
    logs = method == "htmt2"
    pairs = [(i, j) for i in range(len(blocks)) for j in range(i + 1, len(blocks))]
    with np.errstate(invalid="ignore", divide="ignore"):  # a correlation of exactly 0 has the logarithm −∞
        size = np.log(np.abs(matrices)) if logs else np.abs(matrices)
        inside = []
        for block in blocks:
            rows, columns = np.triu_indices(block.stop - block.start, 1)
            inside.append(size[:, block, block][:, rows, columns].mean(axis=1))
        found = []
        for i, j in pairs:
            across = size[:, blocks[i], blocks[j]].mean(axis=(1, 2))
            both = (inside[i] + inside[j]) / 2 if logs else np.sqrt(inside[i] * inside[j])
            found.append(np.exp(across - both) if logs else across / both)
    return np.stack(found, axis=1)
