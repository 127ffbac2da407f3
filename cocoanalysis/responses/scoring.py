"""Scores that carry their rule, the version of the instrument and the number of items used.

Answers are reversed here and nowhere else (`keyed`), by the scale's own table of mirrored
codes, so that unequal steps and observed ranges never matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from cocoanalysis.errors import Diagnostic, ResponseError, listed, suggestion
from cocoanalysis.result import Result

# Numbers on arrays ---------------------------------------------------------------------------


def mirrored(values: np.ndarray, codes: Sequence[int], low: int, high: int) -> np.ndarray:
    """Each answer replaced by its mirror image among ``codes`` (without codes: between low and high)."""
    if len(codes) == 0 or (np.diff(codes) == codes[1] - codes[0]).all():
        low, high = (low, high) if len(codes) == 0 else (codes[0], codes[-1])
        return low + high - values
    ordered = np.asarray(codes, dtype=float)
    place = np.searchsorted(ordered, np.where(np.isnan(values), ordered[0], values))
    return np.where(np.isnan(values), np.nan, ordered[::-1][np.minimum(place, len(ordered) - 1)])


def combined(values: np.ndarray, rule: str, min_items: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean or sum over columns where at least ``min_items`` are answered, and how many were.

    A sum over fewer than all columns is the mean times their number (person-mean substitution),
    so that a missing answer never counts as zero.
    """
    answered = values == values
    used = np.count_nonzero(answered, axis=1)
    totals = np.where(answered, values, 0.0).sum(axis=1)
    enough = used >= max(min_items, 1)
    means = np.divide(totals, used, out=np.full(len(values), np.nan), where=enough)
    return (means * values.shape[1] if rule == "sum" else means), used


def item_rest(values: np.ndarray) -> np.ndarray:
    """Correlation of each column with the mean of the others, over complete rows (NaN where constant)."""
    complete = values[~np.isnan(values).any(axis=1)]
    if len(complete) < 3 or complete.shape[1] < 2:
        return np.full(values.shape[1], np.nan)
    rest = complete.sum(axis=1, keepdims=True) - complete
    a, b = complete - complete.mean(axis=0), rest - rest.mean(axis=0)
    scale = np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
    return np.divide((a * b).sum(axis=0), scale, out=np.full(values.shape[1], np.nan), where=scale > 1e-12)


def keyed_direction(values: np.ndarray) -> np.ndarray:
    """Sign of each column on the first principal axis, the majority being positive; 0 where nothing is said."""
    complete = values[~np.isnan(values).any(axis=1)]
    spread = complete.std(axis=0) if len(complete) > 2 else np.zeros(values.shape[1])
    moving = spread > 1e-12
    signs = np.zeros(values.shape[1])
    if moving.sum() < 2:
        return signs
    correlations = np.corrcoef(complete[:, moving], rowvar=False)
    axis = np.linalg.eigh(correlations)[1][:, -1]
    axis = axis * (1 if axis.sum() >= 0 else -1)
    signs[moving] = np.sign(axis) * (np.abs(axis) > 2 / np.sqrt(len(complete)))
    return signs


# Items and scores of a survey -------------------------------------------------------------------


def keyed(values: np.ndarray, items: Sequence[Any]) -> np.ndarray:
    """Answers (rows × items) with every reverse-keyed item turned round by its scale; a copy."""
    kind = values.dtype if values.dtype.kind == "f" else np.dtype(float)
    even = [item.key < 0 and item.scale.equally_spaced for item in items]
    sign = np.where(even, -1, 1).astype(kind)
    ends = np.array(
        [item.scale.minimum + item.scale.maximum if one else 0 for item, one in zip(items, even)], dtype=kind
    )
    turned = values * sign + ends
    for place, item in enumerate(items):
        if item.key < 0 and not even[place]:
            codes = [point.code for point in item.scale.points]
            turned[:, place] = mirrored(turned[:, place], codes, item.scale.minimum, item.scale.maximum)
    return turned


def percent_of_maximum(values: np.ndarray, items: Sequence[Any]) -> np.ndarray:
    """Answers as per cent of the way from the lowest to the highest answer of each item's own scale."""
    low = np.array([item.scale.minimum for item in items], dtype=float)
    high = np.array([item.scale.maximum for item in items], dtype=float)
    return (values - low) / (high - low) * 100


@dataclass(frozen=True)
class Recipe:
    """How one score is made: of items by ``rule``, or of further recipes by their mean."""

    id: str
    items: tuple[str, ...]
    rule: str
    min_items: int
    rescale: str = "none"
    parts: tuple[Recipe, ...] = ()
    min_parts: int = 0

    def words(self) -> str:
        if self.parts:
            return f"mean of {', '.join(part.id for part in self.parts)}"
        scaled = " in per cent of the maximum" if self.rescale == "percent" else ""
        return f"{self.rule} of {len(self.items)} items{scaled}, at least {self.min_items} answered"


def recipe(survey: Any, name: str) -> Recipe:
    """The recipe of a construct's or a defined score.

    Raises
    ------
    ResponseError : UndefinedScore
    """
    if name in survey.scores:
        return _composite(survey.scores[name])
    if name in survey.constructs and survey.constructs[name].role != "attention":
        construct = survey.constructs[name]
        score = construct.score
        return Recipe(name, tuple(construct.items), score.rule, score.min_items, getattr(score, "rescale", "none"))
    names = [*survey.scores, *(id for id, one in survey.constructs.items() if one.role != "attention")]
    raise ResponseError(
        f"The survey '{survey.id}' defines no score '{name}'.{suggestion(name, names)} It defines {listed(names, 40)}. "
        "A new score belongs into the survey's file, under 'scores'.",
        code="UndefinedScore",
    )


def _composite(score: Any) -> Recipe:
    parts = tuple(Recipe(one.name, tuple(one.items), one.rule, one.min_items, one.rescale) for one in score.parts)
    if score.rule == "mean_of_scores":
        return Recipe(score.id, tuple(score.items), score.rule, 0, "none", parts, score.min_scores)
    rescales = {part.rescale for part in parts}
    rescale = rescales.pop() if len(rescales) == 1 else "none"
    return Recipe(score.id, tuple(score.items), score.rule, score.min_items, rescale)


def scored(
    recipe: Recipe, answers: Callable[[Sequence[str]], np.ndarray], survey: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Values of a score, one a row, and the items used; ``answers`` gives the keyed answers to some items."""
    if recipe.parts:
        made = [scored(part, answers, survey) for part in recipe.parts]
        values, _ = combined(np.column_stack([value for value, _ in made]), "mean", recipe.min_parts or len(made))
        return values, np.sum([used for _, used in made], axis=0)
    items = [survey.items[id] for id in recipe.items]
    values = answers(recipe.items)
    if recipe.rescale == "percent":
        values = percent_of_maximum(values, items)
    return combined(values, recipe.rule, recipe.min_items)


@dataclass(frozen=True, repr=False)
class Scores(Result):
    """Scores with the rule, the version and the number of items behind each of them.

    ``values`` and ``n_items`` have one row a response and one column a score.
    """

    values: pd.DataFrame
    n_items: pd.DataFrame
    recipes: tuple[Recipe, ...]
    survey: Any
    ledger: pd.DataFrame
    provenance: str = "yours"
    diagnostics: tuple[Diagnostic, ...] = ()
    title: str = "Scores"

    def tidy(self) -> pd.DataFrame:
        """One row a score: score, label, rule, items, reversed, n, n_too_few, n_items_mean, mean, sd, version."""
        return pd.DataFrame([self._row(recipe) for recipe in self.recipes])

    def glance(self) -> pd.DataFrame:
        """One row: n, n_scores, survey, version."""
        return pd.DataFrame(
            {
                "n": [len(self.values)],
                "n_scores": [len(self.recipes)],
                "survey": [self.survey.id],
                "version": [self.survey.version],
            }
        )

    def notes(self) -> list[str]:
        return [*super().notes(), *(str(one) for one in self.diagnostics)]

    def _row(self, recipe: Recipe) -> dict[str, Any]:
        values = self.values[recipe.id]
        turned = [id for id in recipe.items if self.survey.items[id].key < 0]
        return {
            "score": recipe.id,
            "label": self.survey.label(recipe.id),
            "rule": recipe.words(),
            "items": len(recipe.items),
            "reversed": ", ".join(turned),
            "n": int(values.notna().sum()),
            "n_too_few": int(values.isna().sum()),
            "n_items_mean": float(self.n_items[recipe.id].mean()) if len(values) else np.nan,
            "mean": float(values.mean()),
            "sd": float(values.std()),
            "version": _versions(self.survey, recipe.items),
        }


def _versions(survey: Any, items: Iterable[str]) -> str:
    wanted = set(items)
    used = [one for one in survey.instruments if wanted & set(one.items)]
    return ", ".join(f"{one.id} {one.version}" for one in used)


def score_names(survey: Any, names: str | Iterable[str] | None) -> list[str]:
    """The scores that a name, a block, a list or None (all) stands for."""
    if names is None:
        return [*(id for id, one in survey.constructs.items() if one.role != "attention"), *survey.scores]
    if isinstance(names, str):
        return list(survey.blocks[names]) if names in survey.blocks and names not in survey.scores else [names]
    return list(dict.fromkeys(id for name in names for id in score_names(survey, name)))


# Do the answers follow the key? --------------------------------------------------------------------


ENOUGH = 20_000  # rows that settle the direction of an item; of more, every second, third, … is looked at


@dataclass(frozen=True, repr=False)
class KeyCheck(Result):
    """Whether the answers follow the key that the instrument gives each item."""

    table: pd.DataFrame
    diagnostics: tuple[Diagnostic, ...]
    provenance: str = "yours"
    title: str = "Keys against the answers"

    def tidy(self) -> pd.DataFrame:
        """One row an item of a reflective construct: item, construct, key, item_rest, suspect."""
        return self.table

    def glance(self) -> pd.DataFrame:
        return pd.DataFrame({"items": [len(self.table)], "suspect": [int(self.table["suspect"].sum())]})

    def notes(self) -> list[str]:
        return [*super().notes(), *(str(one) for one in self.diagnostics)]


def key_check(responses: Any) -> KeyCheck:
    """Compare each item's key with the direction in which people answered.

    An item is suspect when, after keying, it points against the majority of its construct on the
    first principal axis and its correlation with the rest is negative. When the suspects are
    exactly the reverse-keyed items of every construct that has some, the file probably holds
    answers that were reversed already: read it with ``already_reversed=[…]``. Nothing is
    reversed by this check.
    """
    rows = []
    for construct in responses.survey.constructs.values():
        if construct.role != "attention" and not construct.composite and len(construct.items) > 1:
            rows += _checked(responses, construct)
    table = pd.DataFrame(rows, columns=["item", "construct", "key", "item_rest", "suspect"])
    return KeyCheck(table, tuple(_suspicions(table)), responses.provenance)


def _checked(responses: Any, construct: Any) -> list[tuple[Any, ...]]:
    ids = [id for id in construct.items if id in responses.answers]
    if len(ids) < 2:
        return []
    some = responses.answers[ids].iloc[:: max(1, len(responses.answers) // ENOUGH)]
    answers = np.column_stack([some[id].to_numpy(dtype=float, na_value=np.nan) for id in ids])
    frame = pd.DataFrame(keyed(answers, [responses.survey.items[id] for id in ids]), columns=ids)
    asked = frame.loc[:, frame.notna().any()]
    values = asked.to_numpy()
    rest, direction = item_rest(values), keyed_direction(values)
    keys = [responses.survey.items[id].key for id in asked.columns]
    return [
        (id, construct.id, key, float(r), bool(r < 0 and sign < 0))
        for id, key, r, sign in zip(asked.columns, keys, rest, _majority(direction, np.array(keys)))
    ]


def _majority(direction: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Directions with the forward-keyed items as the reference, when they agree among themselves."""
    forward = direction[(keys > 0) & (direction != 0)]
    return direction if len(forward) == 0 or forward.sum() >= 0 else -direction


def _suspicions(table: pd.DataFrame) -> list[Diagnostic]:
    suspects = table[table["suspect"]]
    if suspects.empty:
        return []
    turned = table[(table["key"] < 0) & table["item_rest"].notna()]
    here = turned[turned["construct"].isin(suspects["construct"])]
    if set(suspects["item"]) == set(here["item"]) and 2 * len(here) >= len(turned):
        names = listed(suspects["item"])
        reason = (
            f"All reverse-keyed items of {listed(suspects['construct'].unique())} ({names}) run against their scales "
            f"once "
            "keyed: the file probably holds answers that were reversed already. If so, read it with "
            f"already_reversed={list(suspects['item'])}."
        )
        return [Diagnostic("AlreadyReversed", reason, "warning")]
    return [_suspicion(row) for row in suspects.to_dict("records")]


def _suspicion(row: Mapping[Any, Any]) -> Diagnostic:
    return Diagnostic(
        "KeySuspect",
        f"Item '{row['item']}' of '{row['construct']}' (key {'reverse' if row['key'] < 0 else 'forward'}) runs "
        f"against the "
        f"rest of its scale (r = {row['item_rest']:.2f}): is its key right in the instrument, or was it reversed "
        f"before it "
        "was read?",
        "warning",
    )
