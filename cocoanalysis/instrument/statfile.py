"""What an SPSS or Stata file says about its columns, read in a process of its own.

The library behind pyreadstat can end the whole process on a damaged file; here that ends only the
child, and the caller gets an error. Run as a script, it prints the description as JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

SECONDS = 300
READERS = {"sav": "read_sav", "por": "read_por", "dta": "read_dta"}


@dataclass(frozen=True)
class Column:
    """One column: label, value labels (code, label), declared missing ranges, level, type."""

    name: str
    label: str
    values: tuple[tuple[Any, str], ...]
    missing: tuple[dict[str, Any], ...]
    measure: str
    string: bool


def described(
    path: Path, *, kind: str = "", rows: bool = False, encoding: str | None = None
) -> tuple[str, list[Column]] | None:
    """The file's label and its columns; None when the file cannot be read.

    Parameters
    ----------
    kind : sav, por or dta; '' judges by the name
    rows : whether all rows must be readable too, after which reading them in this process is safe
    encoding : of texts in the file, where it is not said there or said wrongly
    """
    known = path.stat()
    kind = kind or {".dta": "dta", ".por": "por"}.get(path.suffix.casefold(), "sav")
    return _described(str(path.resolve()), kind, rows, encoding or "", known.st_mtime_ns, known.st_size)


@lru_cache(maxsize=4)
def _described(
    path: str, kind: str, rows: bool, encoding: str, changed: int, size: int
) -> tuple[str, list[Column]] | None:
    call = [sys.executable, "-P", __file__, path, kind, "rows" if rows else "head", encoding]
    try:
        done = subprocess.run(call, capture_output=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return None
    if done.returncode:
        return None
    label, columns = json.loads(done.stdout)
    return label, [
        Column(name, text, tuple((code, words) for code, words in values), tuple(missing), measure, string)
        for name, text, values, missing, measure, string in columns
    ]


def _description(path: str, kind: str, rows: str, encoding: str) -> list[Any]:
    import pyreadstat

    more: dict[str, Any] = {"encoding": encoding} if encoding else {}
    more |= {} if kind == "por" else {"user_missing": True}
    _, meta = getattr(pyreadstat, READERS[kind])(path, metadataonly=rows == "head", **more)
    columns = [
        [
            name or "",
            meta.column_names_to_labels.get(name) or "",
            list(meta.variable_value_labels.get(name, {}).items()),
            list(meta.missing_ranges.get(name, [])),
            meta.variable_measure.get(name, "unknown"),
            meta.readstat_variable_types.get(name) == "string",
        ]
        for name in meta.column_names
    ]
    return [meta.file_label or "", columns]


if __name__ == "__main__":
    sys.stdout.buffer.write(json.dumps(_description(*sys.argv[1:5])).encode("utf-8"))
