"""What every result can do: say itself in one line, as a table, and in a notebook.

A result is a frozen dataclass that inherits `Result` and writes `tidy()` (one row an
estimate) and `glance()` (one row a model). It carries where its data came from, so that
no table of synthetic answers can be taken for a finding.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

import pandas as pd

PROVENANCES = {
    "synthetic": "Synthetic data: shows that the analysis works, and is no evidence on the propositions.",
    "public real": "Public real data.",
    "yours": "Your data.",
}


class Result:
    """Base of every result: subclasses give `tidy()`, `glance()` and ``title``.

    Attributes
    ----------
    title : what the result is, in a few words
    provenance : 'synthetic', 'public real' or 'yours'
    settings : every setting that was in force, engine defaults spelled out
    """

    title: str = "Result"
    provenance: str = "yours"
    settings: Mapping[str, Any] = {}

    def tidy(self) -> pd.DataFrame:
        raise TypeError(f"{type(self).__name__} has no table of estimates.")

    def glance(self) -> pd.DataFrame:
        raise TypeError(f"{type(self).__name__} has no one-row summary.")

    def notes(self) -> list[str]:
        """Sentences that belong under the table: provenance first, then what a reader must know."""
        return [PROVENANCES[self.provenance]] if self.provenance != "yours" else []

    def __repr__(self) -> str:
        table = _rounded(self._shown()).to_string(index=False, na_rep="")
        return "\n".join([self.title, "", table, *(["", *self.notes()] if self.notes() else [])])

    def _repr_html_(self) -> str:
        table = _rounded(self._shown()).to_html(index=False, na_rep="", border=0, escape=True)
        notes = "".join(f"<p><small>{html.escape(note)}</small></p>" for note in self.notes())
        return f"<h4>{html.escape(self.title)}</h4>{table}{notes}"

    def _shown(self) -> pd.DataFrame:
        """The table that the display shows; `tidy()` unless a subclass knows better."""
        return self.tidy()


def _rounded(table: pd.DataFrame, digits: int = 3) -> pd.DataFrame:
    shown = table.copy()
    for column in shown.columns:
        if pd.api.types.is_float_dtype(shown[column].dtype):
            shown[column] = shown[column].round(digits) + 0.0  # + 0.0 turns -0.0 into 0.0
        elif shown[column].dtype == object:  # numbers among words, as 'withheld'
            shown[column] = [round(one, digits) + 0.0 if isinstance(one, float) else one for one in shown[column]]
    return shown
