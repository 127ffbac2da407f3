"""What a table or figure must pass on its way to a file: nothing in it, or between two of them, shows a person.

Tables and figures are made with their small cells withheld; here they are held against what was written
before (two tables whose samples differ by a few people give those few away), and what was not made by us
(a plain DataFrame, somebody's own figure) is looked at for the first time. Data that are declared synthetic
or public pass as they are.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from great_tables import GT

from cocoanalysis.errors import DisclosureError, one_of
from cocoanalysis.report.origin import Origin, recall, remember
from cocoanalysis.report.tables import framed, withheld_rows
from cocoanalysis.responses.disclosure import (
    WITHHELD,
    Counted,
    SafeTable,
    current,
    free,
    mark_of,
    refuse_individuals,
    safe_crosstab,
    safe_table,
)
from cocoanalysis.result import PROVENANCES

RECORD = ".provenance.json"
MANY = 10  # points of a scatter from which they are taken for people


class Release:
    """What has been written together; the next table or figure is held against all of it."""

    def __init__(self, earlier: Iterable[Counted] = ()):
        self.earlier = list(earlier)

    @classmethod
    def of_folder(cls, target: Path) -> Release:
        """The tables and figures whose provenance files stand in the folder of ``target``, without its own."""
        found = []
        for path in sorted(target.parent.glob(f"*{RECORD}")):
            name = path.name.removesuffix(RECORD)
            if name == target.name:
                continue
            try:
                record = json.loads(path.read_text("utf-8"))["counted"]
            except (OSError, ValueError, KeyError, TypeError):
                continue
            if isinstance(record, dict):
                found.append(Counted.recorded(record, name))
        return cls(found)

    def cleared(self, thing: Any) -> Any:
        """The table or figure as it may be written, which is remembered."""
        origin = recall(thing)
        if origin is None or free(origin.rules) or origin.counted is None:
            return thing
        reasons: dict[str, str] = {}
        for earlier in self.earlier:
            reasons = {**origin.counted.close(earlier, current()), **reasons}
        if reasons:
            thing = withheld_rows(thing, reasons) if isinstance(thing, GT) else _withheld_figure(thing, origin, reasons)
        left = recall(thing)
        if left is not None and left.counted is not None:
            self.earlier.append(left.counted)
        return thing


def _withheld_figure(thing: Any, origin: Origin, reasons: dict[str, str]) -> Any:
    from cocoanalysis.report.plots import withheld

    drawn = withheld(_Source(origin), origin.title, next(iter(reasons.values())))
    return remember(drawn, replace(origin, counted=None, frame=None))


class _Source:
    """A figure's origin in the place of its result."""

    def __init__(self, origin: Origin):
        self.provenance, self.settings, self.title = origin.provenance, origin.settings, origin.title
        self.notes = lambda: list(origin.notes)


# What was not made by us -----------------------------------------------------------------------------------


def cleared_frame(frame: pd.DataFrame, provenance: str | None) -> tuple[GT | SafeTable | pd.DataFrame, str]:
    """A plain DataFrame as it may be written, and the provenance that it was taken to have.

    ``provenance`` is what the caller says; without it, what pandas has carried along from the responses.
    Rows of people are refused; a cross-table of counts is withheld by its margins, any other table by its
    column n; a table that was made from people and does not say of how many is refused.

    Raises
    ------
    DisclosureError : IndividualValues, UncountedGroups, UnknownChoice
    """
    mark = mark_of(frame)
    if provenance is not None:
        one_of(provenance, PROVENANCES, "provenance", error=DisclosureError)
    kind = provenance or mark or _column_of_provenance(frame)
    if kind is not None and free(kind):
        return frame, kind
    if _crosstab(frame):
        return _unnamed(safe_crosstab(frame, provenance="yours")), "yours"
    _refuse_uncounted(frame, mark)
    flat = (frame if isinstance(frame.index, pd.RangeIndex) else frame.reset_index()).rename(columns=str)
    names = [name for name in flat.columns if not pd.api.types.is_numeric_dtype(flat[name].dtype)]
    counts = next(([name] for name in ("n", "size", "n_obs", "people") if name in flat), None)
    return safe_table(flat, provenance="yours", counts=counts, names=names, total=False), kind or "not recorded"


def _crosstab(frame: pd.DataFrame) -> bool:
    """Whether a frame is a cross-table of counts, as pandas.crosstab makes it: both sides named, whole numbers."""
    whole = all(pd.api.types.is_integer_dtype(dtype) for dtype in frame.dtypes)
    return bool(frame.index.name and frame.columns.name and len(frame.columns) and whole and (frame >= 0).all().all())


def _column_of_provenance(frame: pd.DataFrame) -> str | None:
    """What a column 'provenance', as in our files, says of all rows."""
    said = set(frame["provenance"].dropna().astype(str)) if "provenance" in frame else set()
    return said.pop() if len(said) == 1 and said <= set(PROVENANCES) else None


def _unnamed(safe: SafeTable) -> SafeTable:
    """The cross-table with the names of rows and columns of which nothing is shown withheld too."""
    hidden = safe.table.isna()
    rows = _unnamed_axis(safe.table.index, hidden.all(axis="columns").to_numpy(dtype=bool))
    columns = _unnamed_axis(safe.table.columns, hidden.all(axis="index").to_numpy(dtype=bool))
    renamed = dict(zip(safe.table.columns, columns))
    withheld = safe.withheld.assign(column=safe.withheld["column"].map(renamed))
    return replace(safe, table=safe.table.set_axis(rows, axis=0).set_axis(columns, axis=1), withheld=withheld)


def _unnamed_axis(axis: pd.Index, gone: np.ndarray) -> pd.Index:
    names = [f"{WITHHELD} {i + 1}" if away else str(one) for i, (one, away) in enumerate(zip(axis, gone.tolist()))]
    return pd.Index(names, name=axis.name)


ESTIMATES = {"est", "estimate", "lhs", "term", "item", "scale", "construct", "criterion", "rank", "score", "index"}
LONG = 50  # rows from which an uncounted table of no known kind is taken for people


def _refuse_uncounted(frame: pd.DataFrame, mark: str | None) -> None:
    """Refuse rows of people, and groups of people without their number; what is known is the mark of pandas."""
    square = frame.shape[0] == frame.shape[1] and list(frame.index) == list(frame.columns)
    described = {"count", "mean"} <= set(frame.index.astype(str))
    counted = {"n", "size", "n_obs", "people"} & set(map(str, frame.columns))
    numbers = [name for name in frame.columns if pd.api.types.is_numeric_dtype(frame[name].dtype)]
    if square or described or counted or not numbers:
        return
    plain = frame.index.name is None and (isinstance(frame.index, pd.RangeIndex) or frame.index.dtype.kind in "iu")
    long = len(frame) >= LONG and not ESTIMATES & set(map(str, frame.columns))
    if plain and (mark is not None or long):
        refuse_individuals("This table", mark or "yours")
    if mark is not None or (frame.index.name is not None and frame.index.name not in ESTIMATES):
        raise DisclosureError(
            "This table does not say of how many people each row is. Give it a column n (the number of people in each "
            "row), so that rows of few can be withheld; or say provenance='synthetic' or 'public real' when the data "
            "are that.",
            code="UncountedGroups",
        )


def refuse_points(figure: Any, provenance: str | None) -> None:
    """Refuse somebody's own figure that shows many single points, unless its data are declared synthetic or public.

    Raises
    ------
    DisclosureError : IndividualValues, UnknownChoice
    """
    if provenance is not None:
        one_of(provenance, PROVENANCES, "provenance", error=DisclosureError)
        if free(provenance):
            return
    if any(_points(ax) >= MANY for ax in figure.axes):
        refuse_individuals("This figure has single points and", provenance or "yours")


def _points(ax: Any) -> int:
    """The largest number of points that one scatter, or one line of markers without a line, has."""
    scatters = [len(np.atleast_2d(one.get_offsets())) for one in ax.collections if one.get_offsets().size > 2]
    dots = [
        len(one.get_xdata()) for one in ax.lines if one.get_linestyle() in ("None", "") and one.get_marker() != "None"
    ]
    return max([*scatters, *dots], default=0)


def refuse_table(table: GT, provenance: str | None) -> GT:
    """A great_tables table that we did not make: checked as the frame it was made of.

    Raises
    ------
    DisclosureError : as `cleared_frame`
    """
    safe, kind = cleared_frame(table._tbl_data, provenance)
    if isinstance(safe, SafeTable) and len(safe.withheld):
        return framed(safe.shown(), title="Table")
    del kind
    return table
