"""Files of statistics programs: SPSS (.sav, .zsav, .por) and Stata (.dta).

Each file is read twice, once with declared missing values and once without, because pyreadstat
1.3.7 gives a system-missing value as 0 in an integer Stata column that also has tagged missings.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from cocoanalysis.errors import PlatformError
from cocoanalysis.fieldwork.opening import cell_text
from cocoanalysis.fieldwork.platforms import Head, Options, Platform, Raw, Source, register
from cocoanalysis.responses.ledger import Entry, entry
from cocoanalysis.responses.matching import mark, plain
from cocoanalysis.responses.matching import options as answer_options

READERS = {"sav": "read_sav", "por": "read_por", "dta": "read_dta"}


def read(source: Source, survey: Any, options: Options) -> Raw:
    """Values as text, value labels, variable labels, and declared missing values as marks."""
    bare, declared, meta = _twice(source, options)
    labels = {
        name: {cell_text(code): str(label) for code, label in values.items()}
        for name, values in meta.variable_value_labels.items()
    }
    columns, lines = {}, []
    for name in bare.columns:
        cells, counts = _column(bare[name], declared[name])
        columns[name] = _explained(name, cells, counts, labels.get(name, {}), survey)
        lines += [_line(name, code, count, len(bare)) for code, count in counts.items()]
    texts = {name: str(label) for name, label in meta.column_names_to_labels.items() if label}
    return Raw(pd.DataFrame(columns, dtype=object), texts=texts, labels=labels, first_row=1, entries=tuple(lines))


def _twice(source: Source, options: Options) -> tuple[pd.DataFrame, pd.DataFrame, Any]:
    import pyreadstat

    reader = getattr(pyreadstat, READERS[source.kind])
    more: dict[str, Any] = {"encoding": options.encoding} if options.encoding else {}
    if source.kind == "por":
        frame, meta = _guarded(source, reader, more)
        return frame, frame, meta
    bare, _ = _guarded(source, reader, more)
    declared, meta = _guarded(source, reader, {**more, "user_missing": True})
    return bare, declared, meta


def _guarded(source: Source, reader: Any, more: dict[str, Any]) -> tuple[pd.DataFrame, Any]:
    try:
        return reader(str(source.path), **more)
    except Exception as error:  # pyreadstat raises its own and several built-in kinds
        raise PlatformError(
            f"{source.path.name} cannot be read as a .{source.kind} file ({type(error).__name__}); it may be cut "
            f"off, or "
            "in an encoding that must be named, such as encoding='windows-1252'.",
            code="DamagedFile",
        ) from error


def _column(bare: pd.Series, declared: pd.Series) -> tuple[list[str], dict[str, int]]:
    """Cells as text, where a declared missing is marked with its code; and how many of each code."""
    counts: dict[str, int] = {}
    cells = []
    for plain_value, value in zip(bare.astype(object), declared.astype(object)):
        if not _empty(plain_value):
            cells.append(cell_text(plain_value))
        elif _empty(value) or (isinstance(value, (int, float)) and value == 0 and _tagged(declared)):
            cells.append("")
        else:
            code = cell_text(value)
            counts[code] = counts.get(code, 0) + 1
            cells.append(mark(code))
    return cells, counts


def _empty(value: Any) -> bool:
    return value is None or value == "" or (isinstance(value, float) and np.isnan(value))


def _tagged(column: pd.Series) -> bool:
    return column.dtype == object and any(isinstance(value, str) for value in column)


def _explained(name: str, cells: list[str], codes: Iterable[str], labels: dict[str, str], survey: Any) -> list[str]:
    """Marked codes replaced by marked reasons: the survey's, by code or by the file's label; else missing_CODE."""
    reasons = {mark(code): mark(_reason(name, code, labels.get(code, ""), survey)) for code in codes}
    return [reasons.get(cell, cell) for cell in cells]


def _reason(name: str, code: str, label: str, survey: Any) -> str:
    own = survey.items.get(name) or survey.background.get(name)
    questions = [own] if own is not None else [*survey.items.values(), *survey.background.values()]
    tables = [{key.casefold(): reason for key, reason in answer_options(one)[2].items()} for one in questions]
    for key in (plain(label).casefold(), code.casefold()):
        found = {table[key] for table in tables if key and key in table}
        if len(found) == 1:
            return found.pop()
    return f"missing_{code.lstrip('-')}"


def _line(name: str, code: str, count: int, n: int) -> Entry:
    return entry("missing", f"declared missing {code} in {name}", n, cells=count)


def _sniffer(kinds: tuple[str, ...]) -> Any:
    def sniff(head: Head) -> float:
        return 0.5 if head.kind in kinds else 0.0

    return sniff


register(Platform("spss", sniff=_sniffer(("sav", "por")), read=read, title="SPSS"))
register(Platform("stata", sniff=_sniffer(("dta",)), read=read, title="Stata"))
