"""What an SPSS or Stata file says about its columns, read in a process of its own.

The library behind pyreadstat can end the whole process on a damaged file; here that ends only the
child, and the caller gets an error. Run as a script, it prints the description as JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SECONDS = 300


@dataclass(frozen=True)
class Column:
    """One column: label, value labels (code, label), declared missing ranges, level, type."""

    name: str
    label: str
    values: tuple[tuple[Any, str], ...]
    missing: tuple[dict[str, Any], ...]
    measure: str
    string: bool


def described(path: Path) -> tuple[str, list[Column]] | None:
    """The file's label and its columns; None when the file cannot be read."""
    call = [sys.executable, "-P", __file__, str(path.resolve())]
    done = subprocess.run(call, capture_output=True, timeout=SECONDS)
    if done.returncode:
        return None
    label, columns = json.loads(done.stdout)
    return label, [
        Column(name, text, tuple((code, words) for code, words in values), tuple(missing), measure, string)
        for name, text, values, missing, measure, string in columns
    ]


def _description(path: str) -> list[Any]:
    import pyreadstat

    read = pyreadstat.read_dta if path.casefold().endswith(".dta") else pyreadstat.read_sav
    _, meta = read(path, metadataonly=True, user_missing=True)
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
    sys.stdout.buffer.write(json.dumps(_description(sys.argv[1])).encode("utf-8"))
