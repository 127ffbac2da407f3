"""What a reader of a file has to say about it: each fault or doubt with its place.

A `Finding` prints as ``file:line:column: severity code: sentence``, the form that editors
understand. Errors of one file are collected and raised together; warnings stay with the survey.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from cocoanalysis.errors import CocoError, InstrumentError

SHOWN = 40  # findings that one error message lists; the rest is counted


class Place(NamedTuple):
    """Where in which file; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Finding(NamedTuple):
    """One fault (``error``) or doubt (``warning``) at one place, with a stable code."""

    place: Place
    severity: str
    code: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.place}: {self.severity} {self.code}: {self.sentence}"


def fault(place: Place, code: str, sentence: str) -> Finding:
    return Finding(place, "error", code, sentence)


def doubt(place: Place, code: str, sentence: str) -> Finding:
    return Finding(place, "warning", code, sentence)


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Each finding once, by file, line and column."""
    return sorted(dict.fromkeys(findings), key=lambda finding: (finding.place, finding.code))


def refuse(findings: Iterable[Finding], error: type[CocoError] = InstrumentError) -> None:
    """Raise one error for all faults among ``findings``, one line each; do nothing without a fault."""
    faults = [finding for finding in in_order(findings) if finding.severity == "error"]
    if not faults:
        return
    lines = [str(finding) for finding in faults[:SHOWN]]
    if len(faults) > SHOWN:
        lines.append(f"… and {len(faults) - SHOWN} more; mend these first.")
    message = "\n".join(lines)
    if issubclass(error, InstrumentError):
        raise error(message, code=faults[0].code, findings=tuple(faults))
    raise error(message, code=faults[0].code)


def shown(path: Path) -> str:
    """A path as messages show it: from the working directory when it lies inside."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except (ValueError, OSError):
        return os.path.normpath(path)
