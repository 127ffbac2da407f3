"""What a result on associations has: a table of estimates, one row of numbers, and the words that must go with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pandas as pd

from cocoanalysis.errors import Diagnostic
from cocoanalysis.result import Result


@dataclass(frozen=True, repr=False, kw_only=True)
class Associations(Result):
    """Estimates with their caution: `tidy()` one row an estimate, `glance()` one row."""

    table: pd.DataFrame
    numbers: Mapping[str, Any]
    diagnostics: tuple[Diagnostic, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    provenance: str = "yours"
    survey: Any = None
    title: str = "Associations"
    caution: ClassVar[str] = ""

    def tidy(self) -> pd.DataFrame:
        """One row an estimate."""
        return self.table.copy()

    def glance(self) -> pd.DataFrame:
        return pd.DataFrame([{**self.numbers, **self.settings}])

    def notes(self) -> list[str]:
        return [*super().notes(), self.caution, *(str(diagnostic) for diagnostic in self.diagnostics)]
