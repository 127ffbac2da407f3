"""Rules of exclusion as text, such as ``flag_attention and seconds < 240``.

A rule may name columns of the frame, numbers, quoted texts and lists, joined by comparisons,
``in``, ``and``, ``or`` and ``not``. It is read, never executed. A row for which the rule cannot
be decided (a missing value) is kept.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterable
from functools import reduce
from typing import Any

import numpy as np
import pandas as pd

from cocoanalysis.errors import ResponseError, listed, suggestion

COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda column, values: column.isin(values),
    ast.NotIn: lambda column, values: ~column.isin(values),
}


def matching_rows(rule: str, frame: pd.DataFrame) -> np.ndarray:
    """Which rows of ``frame`` the rule is true for, as an array of booleans.

    Raises
    ------
    ResponseError : BadRule, UnknownVariable
    """
    try:
        tree = ast.parse(rule.strip(), mode="eval")
    except (SyntaxError, ValueError):
        raise _bad(rule, "it cannot be read") from None
    answer = _value(tree.body, frame, rule)
    if not isinstance(answer, pd.Series):
        raise _bad(rule, "it says nothing about the rows")
    return _truth(answer, rule).to_numpy(dtype=bool)


def published(rule: str, known: Iterable[str], technical: Iterable[str]) -> str:
    """The rule without words that may name a person: texts that are no category of the survey.

    ``known`` are the survey's own codes and labels, ``technical`` columns (status, flags) whose words are no
    person's. A rule that cannot be read stays as it is.
    """
    try:
        tree = ast.parse(rule.strip(), mode="eval")
    except (SyntaxError, ValueError):
        return rule
    words, free, changed = set(known), set(technical), False
    for node in (one for one in ast.walk(tree) if isinstance(one, ast.Compare)):
        columns = {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}
        for one in (one for one in ast.walk(node) if isinstance(one, ast.Constant)):
            if isinstance(one.value, str) and one.value not in words and not columns <= free:
                one.value, changed = "…", True
    return ast.unparse(tree) if changed else rule


def _value(node: ast.expr, frame: pd.DataFrame, rule: str) -> Any:
    if isinstance(node, ast.BoolOp):
        parts = [_truth(_value(part, frame, rule), rule) for part in node.values]
        return reduce(operator.and_ if isinstance(node.op, ast.And) else operator.or_, parts)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        column = _value(node.operand, frame, rule)
        return ~_truth(column, rule) & column.notna()
    if isinstance(node, ast.Compare):
        return _compared(node, frame, rule)
    if isinstance(node, ast.Name):
        return _column(node.id, frame, rule)
    if isinstance(node, (ast.List, ast.Tuple, ast.Constant, ast.UnaryOp)):
        return _constant(node, rule)
    raise _bad(rule, "it may hold only names, numbers, texts, lists, comparisons, and, or, not")


def _compared(node: ast.Compare, frame: pd.DataFrame, rule: str) -> Any:
    result = None
    sides = [node.left, *node.comparators]
    for left, sign, right in zip(sides, node.ops, sides[1:]):
        if type(sign) not in COMPARISONS:
            raise _bad(rule, "the comparison is not one of == != < <= > >= in")
        a, b = _value(left, frame, rule), _value(right, frame, rule)
        try:
            one = COMPARISONS[type(sign)](a, b)
        except (TypeError, AttributeError):
            raise _bad(rule, "it compares a text with a number") from None
        if not isinstance(one, pd.Series):
            raise _bad(rule, "a comparison needs a column on one side")
        one = one.astype("boolean") & (a.notna() if isinstance(a, pd.Series) else b.notna())
        result = one if result is None else result & one
    return result


def _column(name: str, frame: pd.DataFrame, rule: str) -> pd.Series:
    if name not in frame.columns:
        raise ResponseError(
            f"The rule '{rule}' names '{name}', which is no column of the responses."
            f"{suggestion(name, frame.columns)} They have {listed(frame.columns)}. "
            "Flags (flag_…) are added by responses.screen().",
            code="UnknownVariable",
        )
    return frame[name]


def _constant(node: ast.expr, rule: str) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError):
        raise _bad(rule, "it may hold only names, numbers, texts, lists, comparisons, and, or, not") from None


def _truth(column: Any, rule: str) -> pd.Series:
    if not isinstance(column, pd.Series) or not pd.api.types.is_bool_dtype(column.dtype):
        raise _bad(rule, "'and', 'or', 'not' join only flags and comparisons")
    return column.fillna(False).astype(bool)


def _bad(rule: str, why: str) -> ResponseError:
    return ResponseError(
        f"The rule '{rule}' cannot be used: {why}. Write it as flag_attention, seconds < 240, or "
        "domain in ['politician'] and not complete.",
        code="BadRule",
    )
