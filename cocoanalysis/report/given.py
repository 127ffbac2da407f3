"""What a table or figure was given, held against what it shows: anything else is refused in a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from cocoanalysis.arguments import shown
from cocoanalysis.errors import ModelError, listed
from cocoanalysis.result import Result


def tidied(result: Any, maker: str, *columns: str, **options: Any) -> pd.DataFrame:
    """`tidy()` of a result of ``maker``, which has these columns at least."""
    return _table(result, "tidy", maker, columns, options)


def glanced(result: Any, maker: str, *columns: str) -> pd.DataFrame:
    """`glance()` of a result of ``maker``, which has these columns at least."""
    return _table(result, "glance", maker, columns, {})


def _table(result: Any, method: str, maker: str, columns: tuple[str, ...], options: dict[str, Any]) -> pd.DataFrame:
    own = getattr(type(result), method, None)
    if isinstance(result, type) or own is getattr(Result, method) or not callable(getattr(result, method, None)):
        raise other(result, maker, f"it has no {method}()")
    try:
        frame = getattr(result, method)(**options)
    except TypeError as error:
        if not options:
            raise
        raise other(result, maker, f"its {method}() takes no {listed(options)}") from error
    lacking = [name for name in columns if name not in frame]
    if lacking or not isinstance(frame, pd.DataFrame):
        raise other(result, maker, f"its {method}() has no column {listed(lacking or columns)}")
    return frame


def having(result: Any, maker: str, *attributes: str) -> Any:
    """The result itself, which has these attributes at least."""
    lacking = [name for name in attributes if getattr(result, name, None) is None]
    if lacking or isinstance(result, type):
        raise other(result, maker, f"it has no {listed(lacking)}" if lacking else "it is a class")
    return result


def as_table(frame: Any) -> pd.DataFrame:
    """The DataFrame that a plain table shows."""
    if not isinstance(frame, pd.DataFrame):
        raise other(frame, "pandas", "a DataFrame is needed")
    return frame


def named(results: Any, maker: str) -> Mapping[str, Any]:
    """Results by name, one at least."""
    if not isinstance(results, Mapping) or not results:
        raise ModelError(
            f"The results are given by name, {{'name': result of {maker}}}; {shown(results)} came.",
            code="NotThatResult",
        )
    return results


def ledger_of(responses: Any) -> pd.DataFrame:
    """The ledger of responses, or of a result that carries theirs, or the ledger itself."""
    ledger = getattr(responses, "ledger", responses)
    wanted = ("rule", "rows", "n_before", "n_after")
    if not isinstance(ledger, pd.DataFrame) or not set(wanted) <= set(ledger.columns):
        raise other(responses, "coco.read_responses", f"it has no ledger with the columns {listed(wanted)}")
    return ledger


def other(result: Any, maker: str, why: str) -> ModelError:
    """The refusal of what is not a result of ``maker``."""
    came = shown(result)
    return ModelError(f"{came[:1].upper()}{came[1:]} is not a result of {maker}: {why}.", code="NotThatResult")
