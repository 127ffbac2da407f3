"""Which rows take part, in which group, with which weight and cluster; faults of the data by name.

Nothing here knows a model: columns come in, masks, codes and weights go out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from cocoanalysis.errors import Diagnostic, ModelError, ResponseError, listed, suggestion
from cocoanalysis.measurement.moments import sampling_weights
from cocoanalysis.responses.selection import numeric_frame


def group_members(raw: pd.DataFrame, group: str | None) -> tuple[tuple[str, ...], np.ndarray]:
    """Group labels in the order of their first row, and the group number of each row."""
    if group is None:
        return ("",), np.zeros(len(raw), dtype=int)
    column = column_of(raw, group, "group")
    if column.isna().any():
        raise ResponseError(
            f"The grouping variable '{group}' is missing in {int(column.isna().sum())} rows; give these rows a group "
            "or leave them out first.",
            code="MissingGroup",
        )
    labels = column.astype(str)
    order = list(dict.fromkeys(labels))
    if len(order) < 2:
        raise ModelError(f"The grouping variable '{group}' has only one value.", code="OneGroup")
    small = int((labels.value_counts() < 2).sum())
    if small:
        raise ResponseError(
            f"Of the {len(order)} groups of '{group}', {small} {'has' if small == 1 else 'have'} a single row (count "
            "the column's values to see which); a group needs more rows than the model has variables. Merge or leave "
            "out the group.",
            code="GroupTooSmall",
        )
    return tuple(order), labels.map({g: i for i, g in enumerate(order)}).to_numpy(dtype=int)


def row_weights(raw: pd.DataFrame, name: str | None) -> np.ndarray | None:
    if name is None:
        return None
    column_of(raw, name, "weights")
    weights = sampling_weights(numeric_frame(raw, [name])[name])
    if np.any(weights == 0):
        raise ResponseError(
            f"{int(np.sum(weights == 0))} weights in '{name}' are zero; leave those rows out, so that the number of "
            "rows is true.",
            code="BadWeights",
        )
    return weights


def cluster_codes(raw: pd.DataFrame, name: str | None) -> np.ndarray | None:
    if name is None:
        return None
    column = column_of(raw, name, "cluster")
    if column.isna().any():
        raise ResponseError(
            f"The cluster '{name}' is missing in {int(column.isna().sum())} rows; give them a cluster or leave them "
            "out first.",
            code="MissingCluster",
        )
    return pd.factorize(column.astype(str))[0]


def column_of(raw: pd.DataFrame, name: str, what: str) -> pd.Series:
    if name not in raw.columns:
        raise ModelError(
            f"The {what} column '{name}' is not in the data.{suggestion(name, raw.columns)}", code="UnknownVariable"
        )
    return raw[name]


def collapsed(frame: pd.DataFrame, ordered: Sequence[str], recipe: Any) -> tuple[pd.DataFrame, dict]:
    """Merge answer categories by a recipe (item → {old: new}), over all groups alike, and record it."""
    if not recipe:
        return frame, {}
    if not isinstance(recipe, Mapping):
        raise ModelError(
            "collapse needs a recipe, item → {old category: new category}, as in {'item1': {5: 4}}, or 'empty'.",
            code="BadCollapse",
        )
    frame, done = frame.copy(), {}
    for name, moves in recipe.items():
        if name not in ordered:
            raise ModelError(
                f"collapse names '{name}', which is no ordered variable of the model.{suggestion(name, ordered)}",
                code="NoEffect",
            )
        counts = {old: int((frame[name] == old).sum()) for old in moves}
        frame[name] = frame[name].replace({float(a): float(b) for a, b in moves.items()})
        done[name] = {str(old): {"to": new, "rows": counts[old]} for old, new in moves.items()}
    return frame, done


def shared_categories(answers: pd.DataFrame, groups: pd.Series) -> dict[str, dict[int, int]]:
    """Item → {category: its neighbour} for categories that some group never chose, applied to all groups alike.

    A category joins its neighbour towards the item's middle category.
    """
    recipes = {str(item): _merged(answers[item], groups) for item in answers.columns}
    return {item: recipe for item, recipe in recipes.items() if recipe}


def _merged(answers: pd.Series, groups: pd.Series) -> dict[int, int]:
    chosen = {name: set(part.dropna().astype(int)) for name, part in answers.groupby(groups)}
    codes = sorted(set().union(*chosen.values()))
    middle = (codes[0] + codes[-1]) / 2
    recipe: dict[int, int] = {}
    while len(codes) > 2:
        lacking = [code for code in codes if not all(code in seen for seen in chosen.values())]
        if not lacking:
            break
        code, place = lacking[0], codes.index(lacking[0])
        target = codes[place + 1] if (code < middle and place + 1 < len(codes)) or place == 0 else codes[place - 1]
        recipe = {old: target if new == code else new for old, new in recipe.items()} | {code: target}
        chosen = {name: {target if one == code else one for one in seen} for name, seen in chosen.items()}
        codes.remove(code)
    return recipe


def usable_rows(frame: pd.DataFrame, missing: str, x: Sequence[str]) -> np.ndarray:
    """Which rows take part (bool)."""
    seen = ~np.isnan(frame.to_numpy())
    if not len(frame):
        raise ResponseError("The data have no rows.", code="NoRows")
    answered = seen.any(axis=0)
    if not answered.all():
        empty = list(frame.columns[~answered])
        raise ResponseError(
            f"{listed(empty)} {'has' if len(empty) == 1 else 'have'} no answers at all; leave it out of the model or "
            "check how the column was read.",
            code="AllMissing",
        )
    keep = np.asarray(seen.all(axis=1) if missing == "listwise" else seen.any(axis=1), dtype=bool)
    return keep & np.asarray(frame[list(x)].notna().all(axis=1)) if x else keep


def drawn_rows(source: pd.DataFrame, group: str | None, cluster: str | None, rng: np.random.Generator) -> np.ndarray:
    """Positions drawn with replacement: rows within groups, or whole clusters when there are clusters."""
    positions = np.arange(len(source))
    if cluster is not None:
        codes = pd.factorize(source[cluster].astype(str))[0]
        drawn = rng.integers(0, codes.max() + 1, codes.max() + 1)
        return np.concatenate([positions[codes == c] for c in drawn])
    if group is None:
        return rng.integers(0, len(source), len(source))
    codes = pd.factorize(source[group].astype(str))[0]
    parts = [positions[codes == g] for g in range(codes.max() + 1)]
    return np.concatenate([part[rng.integers(0, len(part), len(part))] for part in parts])


def sample_warnings(
    masks: Sequence[np.ndarray],
    weights: np.ndarray | None,
    clusters: np.ndarray | None,
    columns: tuple[str | None, str | None],
) -> list[Diagnostic]:
    """What a reader must know of weights and clusters, whose ``columns`` are named."""
    found = []
    keep = np.logical_or.reduce(list(masks))
    if weights is not None and np.ptp(weights[keep]) < 1e-12:
        found.append(
            Diagnostic("EqualWeights", f"All weights in '{columns[0]}' are equal; they change nothing.", "warning")
        )
    if clusters is not None:
        sizes = np.bincount(pd.factorize(clusters[keep])[0])
        if len(sizes) < 2:
            raise ModelError(f"'{columns[1]}' has one cluster only; robust errors need many.", code="OneCluster")
        if len(sizes) < 40:
            found.append(Diagnostic(
                "FewClusters",
                f"{len(sizes)} clusters in '{columns[1]}': with fewer than 40, cluster-robust errors are too small "
                "and tests too eager, in spite of the factor C/(C − 1) that is applied.", "warning"))  # fmt: skip
        if np.any(sizes == 1):
            found.append(
                Diagnostic(
                    "SingletonClusters",
                    f"{int(np.sum(sizes == 1))} clusters in '{columns[1]}' have one member.",
                    "warning",
                )
            )
    return found


def refuse_small(masks: Sequence[np.ndarray], groups: Sequence[str], p: int, n_free: int, missing: str) -> None:
    """Fewer rows than variables carry no covariance matrix."""
    for mask, label in zip(masks, groups):
        n = int(mask.sum())
        if n <= p:
            where = f" in group '{label}'" if label else ""
            raise ModelError(
                f"There are {n} usable rows{where} for {p} variables; the covariance matrix needs more rows than "
                f"variables. Rows were chosen by missing='{missing}'.",
                code="TooFewRows",
            )
    total = int(sum(mask.sum() for mask in masks))
    if total < n_free:
        raise ModelError(
            f"There are {total} usable rows for {n_free} free parameters; the model asks more than the data can "
            "answer. Use fewer parameters or more rows.",
            code="TooFewRows",
        )
