"""From whatever a user hands over to a plain matrix of numbers with names.

Every analysis takes `Responses` or any DataFrame; `select` is the one door for both, so
that a pandas dtype (nullable, categorical, object, Arrow) never changes a digit.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from cocoanalysis.arguments import shown
from cocoanalysis.errors import ModelError, ResponseError, listed, suggestion

LARGEST = 1e150  # numbers beyond it overflow when squared and are no answers


@dataclass(frozen=True)
class Selection:
    """Columns as float64 (missing = NaN), and where they came from."""

    frame: pd.DataFrame
    survey: Any = None
    ledger: pd.DataFrame | None = None
    provenance: str = "yours"


def select(
    data: Any, names: str | Sequence[str] | None = None, *, keyed: bool = True, extra: Iterable[str] = ()
) -> Selection:
    """The named columns of ``data`` as numbers.

    Parameters
    ----------
    data : Responses or DataFrame
    names : a construct, block or score of the survey, a list of columns, or None for all items
        (of a DataFrame: all columns)
    keyed : with Responses, reverse-keyed items are turned round (once) by the instrument's key
    extra : further columns that are taken as they are (background, covariates)

    Raises
    ------
    ModelError : UnknownVariable when a column does not exist
    ResponseError : NotANumber, NotFinite
    """
    survey = getattr(data, "survey", None)
    _once(names)
    if survey is None:
        frame = as_frame(data)
        columns = list(frame.columns) if names is None else [names] if isinstance(names, str) else list(names)
        columns += [name for name in extra if name not in columns]
        return Selection(numeric_frame(frame, columns))
    items = data.items(names, keyed=keyed)
    others = [name for name in extra if name not in items.columns]
    frame = pd.concat([numeric_frame(items, list(items.columns)), numeric_frame(data.frame, others)], axis=1)
    return Selection(frame, survey, data.ledger, data.provenance)


def _once(names: str | Sequence[str] | None) -> None:
    listing = [] if names is None or isinstance(names, str) else list(_listed_names(names))
    if len(set(listing)) == len(listing):
        return
    twice = [name for name in dict.fromkeys(listing) if listing.count(name) > 1]
    if twice:
        raise ModelError(
            f"{listed(twice)} {'is' if len(twice) == 1 else 'are'} named more than once; an item counts once. "
            "Name each variable a single time.",
            code="DuplicateVariable",
        )


def _listed_names(names: Any) -> Iterable[Any]:
    if isinstance(names, Iterable):
        names = list(names)
        if all(isinstance(name, Hashable) for name in names):
            return names
        names = names[0]
    raise ModelError(
        f"Variables are named by a text or a list of texts; {shown(names)} came. Name columns of the data, or a "
        "construct or block of the survey.",
        code="BadArgument",
    )


def as_frame(data: Any) -> pd.DataFrame:
    """A DataFrame with unique column names, or a ResponseError that says what came."""
    if isinstance(data, np.ndarray) and data.ndim == 2:
        data = pd.DataFrame(data, columns=[f"v{i + 1}" for i in range(data.shape[1])])
    if not isinstance(data, pd.DataFrame):
        raise ResponseError(
            f"The data must be Responses or a pandas DataFrame; a {type(data).__name__} came. "
            "Read a file with coco.read_responses or pandas.read_csv first.",
            code="NotATable",
        )
    if not data.columns.is_unique:
        twice = list(data.columns[data.columns.duplicated()].unique())
        raise ResponseError(
            f"The data have more than one column named {listed(twice)}; rename or drop one of them.",
            code="DuplicateColumn",
        )
    return data


def numeric_frame(frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Those columns as float64 with NaN for missing, whatever their dtype was."""
    place = {name: k for k, name in enumerate(frame.columns.tolist())}
    for name in columns:
        if name not in place:
            raise ModelError(
                f"There is no variable '{name}' in the data.{suggestion(name, frame.columns)} "
                f"The data have {listed(frame.columns)}.",
                code="UnknownVariable",
            )
    plain = frame.take([place[name] for name in columns], axis=1)
    values = plain.to_numpy()
    if values.dtype.kind in "fi":  # plain numbers throughout
        values = values.astype(float) + 0.0
        if not (np.abs(values) > LARGEST).any():
            return pd.DataFrame(values, index=frame.index, columns=plain.columns)
    return pd.DataFrame(
        {name: numeric(frame[name]) for name in columns}, index=frame.index, columns=list(columns), dtype=float
    )


def numeric(column: pd.Series) -> np.ndarray:
    """One column as float64; text that is no number and infinities are errors that name the column."""
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        column = column.astype(object) if _all_numbers(dtype.categories) else _ordered_codes(column)
    if pd.api.types.is_datetime64_any_dtype(column.dtype) or pd.api.types.is_complex_dtype(column.dtype):
        raise _not_a_number(column)
    try:
        values = pd.to_numeric(column, errors="raise").to_numpy(dtype=float, na_value=np.nan)
    except (ValueError, TypeError):
        raise _not_a_number(column) from None
    values = values + 0.0  # -0.0 becomes 0.0
    if np.isinf(values).any() or (np.abs(values[~np.isnan(values)]) > LARGEST).any():
        row = int(np.flatnonzero(np.isinf(values) | (np.abs(values) > LARGEST))[0])
        raise ResponseError(
            f"Column '{column.name}' holds a value that is not finite (first in row {row + 1}); "
            "replace it by a number or leave the cell empty.",
            code="NotFinite",
        )
    return values


def _all_numbers(categories: pd.Index) -> bool:
    return bool(pd.to_numeric(pd.Series(categories, dtype=object), errors="coerce").notna().all())


def _ordered_codes(column: pd.Series) -> pd.Series:
    if not column.cat.ordered:
        raise _not_a_number(column)
    codes = column.cat.codes.astype(float)
    return codes.where(codes >= 0) + 1


def _not_a_number(column: pd.Series) -> ResponseError:
    return ResponseError(
        f"Column '{column.name}' holds text that is not a number, and nothing says how its answers are coded. "
        "Give it numbers, an ordered categorical, or read the file with coco.read_responses and its survey.",
        code="NotANumber",
    )
