"""Arguments of a call, held against what they may be: each check returns the value or raises one full sentence."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from pathlib import Path
from typing import Any, TypeGuard

from cocoanalysis.errors import CocoError, ExportError, ModelError, ResponseError


def shown(value: Any) -> str:
    """What came, in words short enough for a sentence: a plain value as it is, anything else by its kind."""
    if value is None or isinstance(value, Real) or is_switch(value):
        return str(value)
    if isinstance(value, str):
        return f"'{value}'" if len(value) <= 40 else f"a text of {len(value)} characters"
    return f"a {type(value).__name__}"


def is_switch(value: Any) -> bool:
    """True or False, also numpy's (known by its name, since reading a survey loads no numpy)."""
    kind = type(value)
    return isinstance(value, bool) or (kind.__module__ == "numpy" and kind.__name__ in ("bool", "bool_"))


def of_responses(value: Any, *, error: type[CocoError] = ResponseError) -> Any:
    """Responses, which know their survey, reasons and ledger; a plain table does not."""
    if not all(hasattr(value, name) for name in ("survey", "ledger", "answers")):
        raise error(
            f"This needs Responses, which know the survey and why an answer is missing; {shown(value)} came. "
            "Read a file with coco.read_responses(path, survey).",
            code="NotResponses",
        )
    return value


def is_number(value: Any) -> TypeGuard[float]:
    """A finite number; True and False are none."""
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(float(value))


def whole(
    value: Any, name: str, least: int = 0, *, what: str = "a whole number", code: str = "BadArgument",
    error: type[CocoError] = ModelError,
) -> int:  # fmt: skip
    """A whole number of at least ``least``; True and False are none."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise error(f"'{name}' is {what} from {least} on; {shown(value)} came.", code=code)
    return int(value)


def seed_number(value: Any, error: type[CocoError] = ModelError) -> int | None:
    """A seed of random numbers, or None for a new one every time."""
    return None if value is None else whole(value, "seed", code="BadSeed", error=error)


def share(value: Any, name: str, *, error: type[CocoError] = ModelError) -> float:
    """A number between 0 and 1, both excluded."""
    if not is_number(value) or not 0 < value < 1:
        raise error(f"'{name}' is a number between 0 and 1, as in 0.95; {shown(value)} came.", code="BadArgument")
    return float(value)


def switch(value: Any, name: str, *, open_: bool = False) -> Any:
    """True or False; with ``open_`` also None, which leaves the choice to the analysis."""
    if is_switch(value) or (open_ and value is None):
        return value
    choice = "True, False or None" if open_ else "True or False"
    raise ModelError(f"'{name}' is {choice}; {shown(value)} came.", code="BadArgument")


def word(value: Any, name: str, *, open_: bool = False) -> Any:
    """A text; with ``open_`` also None."""
    if isinstance(value, str) or (open_ and value is None):
        return value
    raise ModelError(f"'{name}' is a word in quotes; {shown(value)} came.", code="BadArgument")


def column_name(value: Any, name: str) -> Any:
    """The name of one column, or None; values themselves belong into a column first."""
    if value is None or (isinstance(value, str | Integral) and not isinstance(value, bool)):
        return value
    raise ModelError(
        f"'{name}' is the name of one column of the data; {shown(value)} came. Put the values into a column and give "
        "its name.",
        code="BadArgument",
    )


def names_of(value: Any, name: str) -> tuple[str, ...]:
    """One name or several, as a tuple of texts."""
    if isinstance(value, str):
        return (value,)
    if isinstance(value, Iterable) and not isinstance(value, Mapping | bytes):
        found = tuple(value)
        if all(isinstance(one, str) for one in found):
            return found
        value = next(one for one in found if not isinstance(one, str))
    raise ModelError(f"'{name}' is a name in quotes or a list of them; {shown(value)} came.", code="BadArgument")


def file_path(value: Any, what: str, error: type[CocoError] = ModelError) -> Path:
    """The path of a file or folder."""
    if isinstance(value, str | os.PathLike) and value != "":
        return Path(value)
    raise error(f"{what} is named by its path, a text such as 'folder/file'; {shown(value)} came.", code="NotAPath")


def new_file(value: Any) -> Path:
    """The path of a file to write; folders on the way are made.

    Raises
    ------
    ExportError : NotAPath, NotWritable (a folder, or below something that is no folder)
    """
    path = file_path(value, "A file to write", ExportError)
    if not path.name or path.is_dir():
        raise ExportError(f"'{value}' is a folder; give the name of a file, as '{path / 'file'}'.", code="NotWritable")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):  # what permissions say does not tell whether a file can be made
            pass
    except OSError as problem:
        sentence = f"'{path}' cannot be written: '{path.parent}' takes no file ({problem.strerror})."
        raise ExportError(f"{sentence} Choose another folder.", code="NotWritable") from problem
    return path
