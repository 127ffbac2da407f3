"""Where a table or a figure came from: carried along from the result to the exported file.

Tables and figures are objects of other libraries, so their origin is an attribute that
survives the verbs of great_tables (which copy) and lives on the matplotlib figure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from cocoanalysis.responses.disclosure import WITHHELD, Counted
from cocoanalysis.result import PROVENANCES

ATTRIBUTE = "coco_origin"


@dataclass(frozen=True)
class Origin:
    """What a reader of a table or figure must be able to find out about it."""

    title: str
    provenance: str = "yours"
    notes: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    private: bool = False  # whether real answers that are not public are among the data, whatever else is
    frame: pd.DataFrame | None = None  # the numbers behind it, unrounded
    gone: frozenset[tuple[int, str]] = frozenset()  # cells of it (row, column) that are withheld
    counted: Counted | None = None  # how many people are behind its rows, where the data are not public
    keys: tuple[str, ...] = ()  # the name under which each row is counted
    hidden: tuple[str, ...] = ()  # the columns that are withheld with a row
    columns: tuple[str, ...] = ()  # all columns that are shown

    @property
    def rules(self) -> str:
        """The provenance by which the rules of disclosure go: one private part makes all of it private."""
        return "yours" if self.private else self.provenance

    def numbers(self) -> pd.DataFrame:
        """The numbers behind it as they are written to a file: 'withheld' where they are withheld."""
        if self.frame is None:
            return pd.DataFrame()
        if not self.gone:
            return self.frame
        table = self.frame.astype(object)
        for row, column in self.gone:
            table.iloc[row, [str(name) for name in table.columns].index(column)] = WITHHELD
        return table


def origin_of(results: Any, title: str, frame: pd.DataFrame | None = None) -> Origin:
    """The origin of what is drawn from one result or from several of them.

    With several, the most cautious provenance stands: one synthetic part makes all of it synthetic.
    """
    parts = list(results) if isinstance(results, (list, tuple)) else [results]
    kinds = [getattr(part, "provenance", "yours") for part in parts]
    provenance = next((kind for kind in ("synthetic", "yours", "public real") if kind in kinds), "yours")
    notes = dict.fromkeys(note for part in parts for note in notes_of(part))
    settings: dict[str, Any] = {}
    for part in parts:
        settings.update(getattr(part, "settings", None) or {})
        settings.update(_answers(part))
    return Origin(title, provenance, tuple(notes), settings, "yours" in kinds, frame)


def _answers(result: Any) -> dict[str, str]:
    """Which file the answers were read from, with its hash, as the ledger's first line says."""
    ledger = getattr(result, "ledger", None)
    if not isinstance(ledger, pd.DataFrame) or not {"step", "rule"} <= set(ledger.columns):
        return {}
    read = ledger.loc[ledger["step"] == "read", "rule"]
    return {"answers": str(read.iloc[0])} if len(read) else {}


def notes_of(result: Any) -> list[str]:
    """The sentences that belong under a table of the result, provenance first."""
    if callable(getattr(result, "notes", None)):
        return [str(note) for note in result.notes()]
    kind = getattr(result, "provenance", "yours")
    return [PROVENANCES[kind]] if kind != "yours" else []


def remember(thing: Any, origin: Origin) -> Any:
    """Attach the origin to a table, or to the figure of an Axes; returns the thing."""
    setattr(getattr(thing, "figure", None) or thing, ATTRIBUTE, origin)
    return thing


def recall(thing: Any) -> Origin | None:
    """The origin of a table, Axes or Figure, if it has one."""
    found = getattr(thing, ATTRIBUTE, None) or getattr(getattr(thing, "figure", None), ATTRIBUTE, None)
    return found if isinstance(found, Origin) else None
