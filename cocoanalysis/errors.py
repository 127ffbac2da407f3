"""Everything that can go wrong, as one tree.

CocoError
├── InstrumentError     the survey file contradicts itself
├── ResponseError       an answer the instrument does not allow
├── PlanError           a hypothesis that names what is not there
├── ModelError          a model that cannot be read or has no data
├── PlatformError       an export that cannot be understood
├── DisclosureError     a table or figure that would show a person
└── ExportError         a file that cannot be written, or not in that form
CocoWarning
├── SmallSampleWarning  an estimate that the sample can hardly carry
└── KeyWarning          an item whose answers contradict its key

Every error carries a stable ``code`` (scripts may rely on it) and a message that
is a full sentence: what is wrong, where, what is allowed, what came, and the way out.
A fault of a *model* (not identified, not converged, not admissible) is no exception:
it is a `Diagnostic` on the fit.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


class CocoError(Exception):
    """An error that a user can mend; ``code`` is stable, the message a full sentence."""

    def __init__(self, message: str, *, code: str):
        super().__init__(message)
        self.code = code


class InstrumentError(CocoError):
    """The survey file contradicts itself; ``findings`` holds every fault, each with its place."""

    def __init__(self, message: str, *, code: str, findings: tuple[object, ...] = ()):
        super().__init__(message, code=code)
        self.findings = findings


class ResponseError(CocoError):
    """An answer the instrument does not allow, or a file of answers that cannot be used."""


class PlanError(CocoError):
    """A plan that names what is not there."""


class ModelError(CocoError):
    """A model that cannot be read, or whose data cannot carry it."""


class PlatformError(CocoError):
    """An export of a survey platform that cannot be understood."""


class DisclosureError(CocoError):
    """A table, figure or file that would show a person."""


class ExportError(CocoError):
    """A file that cannot be written, or not in that form."""


class CocoWarning(UserWarning):
    """Something a careful reader would want to know."""


class SmallSampleWarning(CocoWarning):
    """An estimate that the sample can hardly carry."""


class KeyWarning(CocoWarning):
    """An item whose answers contradict its key."""


@dataclass(frozen=True)
class Diagnostic:
    """One fact about a fit or a file that a reader must know, with its stable code."""

    code: str
    reason: str
    severity: str = "error"  # error | warning | note

    def __str__(self) -> str:
        return f"{self.code}: {self.reason}"


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The name that was probably meant, or None."""
    known = {str(n).casefold(): str(n) for n in names}
    found = difflib.get_close_matches(str(name).casefold(), list(known), n=1, cutoff=0.6)
    return known[found[0]] if found else None


def suggestion(name: str, names: Iterable[str]) -> str:
    """' Did you mean …?' with a leading blank, or the empty string."""
    guess = nearest(name, names)
    return f" Did you mean '{guess}'?" if guess else ""


LONGEST = 120  # characters of a name in a message


def listed(names: Iterable[object], limit: int = 12) -> str:
    """Names as a readable enumeration, cut after ``limit`` with a count of the rest; a very long name is cut too."""
    told = (str(name) for name in names)
    words = [name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…" for name in told]
    shown = ", ".join(words[:limit])
    return shown if len(words) <= limit else f"{shown} and {len(words) - limit} more"


def one_of(
    value: str,
    allowed: Iterable[str],
    what: str,
    *,
    error: type[CocoError] = ModelError,
    code: str = "UnknownChoice",
) -> str:
    """Return ``value`` when it is allowed; else raise a sentence that lists what is."""
    allowed = list(allowed)
    if value in allowed:
        return value
    raise error(
        f"There is no {what} '{value}'; allowed are {listed(allowed, 30)}.{suggestion(value, allowed)}",
        code=code,
    )
