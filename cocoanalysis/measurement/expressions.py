"""Arithmetic of parameters: what stands in ``:=``, ``==``, ``<`` and ``>``, with its derivatives.

An `Expression` is evaluated on values alone, or on values with their gradients (forward
differentiation), so that the delta method needs no numerical step. To add a function,
add it to ``FUNCTIONS`` with its derivative.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

FUNCTIONS: dict[str, tuple[Callable, Callable]] = {
    "exp": (np.exp, np.exp),
    "log": (np.log, lambda x: 1 / x),
    "sqrt": (np.sqrt, lambda x: 0.5 / np.sqrt(x)),
    "abs": (np.abs, np.sign),
    "sin": (np.sin, np.cos),
    "cos": (np.cos, lambda x: -np.sin(x)),
    "tan": (np.tan, lambda x: 1 / np.cos(x) ** 2),
    "tanh": (np.tanh, lambda x: 1 - np.tanh(x) ** 2),
    "atanh": (np.arctanh, lambda x: 1 / (1 - x**2)),
}


@dataclass(frozen=True)
class Dual:
    """A value and its gradient."""

    value: Any
    slope: Any


@dataclass(frozen=True)
class Expression:
    """A tree of operations over parameter labels."""

    head: str  # number | name | neg | + | - | * | / | ^ | a function's name
    parts: tuple[Any, ...]

    @property
    def names(self) -> list[str]:
        """The labels in the order of their first use."""
        if self.head == "name":
            return [self.parts[0]]
        found = [name for part in self.parts if isinstance(part, Expression) for name in part.names]
        return list(dict.fromkeys(found))

    def value(self, values: Mapping[str, Any]) -> Any:
        """The number, given one value (or array of values) a label."""
        return self.dual({name: Dual(v, 0.0) for name, v in values.items()}).value

    def dual(self, values: Mapping[str, Dual]) -> Dual:
        """The number and its gradient, given those of the labels."""
        if self.head == "number":
            return Dual(self.parts[0], 0.0)
        if self.head == "name":
            return values[self.parts[0]]
        arguments = [part.dual(values) for part in self.parts]
        with np.errstate(all="ignore"):
            return _apply(self.head, *arguments)


def _apply(head: str, a: Dual, b: Dual | None = None) -> Dual:
    if b is None:
        if head == "neg":
            return Dual(-a.value, -a.slope)
        function, derivative = FUNCTIONS[head]
        return Dual(function(a.value), derivative(a.value) * a.slope)
    if head == "+":
        return Dual(a.value + b.value, a.slope + b.slope)
    if head == "-":
        return Dual(a.value - b.value, a.slope - b.slope)
    if head == "*":
        return Dual(a.value * b.value, a.slope * b.value + b.slope * a.value)
    if head == "/":
        quotient = np.divide(a.value, b.value)
        return Dual(quotient, (a.slope - quotient * b.slope) / b.value)
    power = np.power(np.asarray(a.value, dtype=float), b.value)
    slope = b.value * np.power(np.asarray(a.value, dtype=float), b.value - 1) * a.slope
    if not (isinstance(b.slope, float) and b.slope == 0.0):
        slope = slope + power * np.log(a.value) * b.slope
    return Dual(power, slope)


def parse_expression(tokens: Sequence[Any], fault: Callable[..., Exception]) -> Expression:
    """Tokens (kind, text, line, column) to a tree, by precedence; errors are made by ``fault``."""
    reader = _Reader(tokens, fault)
    tree = reader.sum()
    if reader.rest():
        raise reader.error("cannot stand here")
    return tree


class _Reader:
    """Recursive descent: sum → product → sign → power → atom."""

    def __init__(self, tokens: Sequence[Any], fault: Callable[..., Exception]):
        self.tokens, self.fault, self.at = tokens, fault, 0

    def rest(self) -> bool:
        return self.at < len(self.tokens)

    def text(self) -> str:
        return self.tokens[self.at].text if self.rest() else ""

    def error(self, what: str) -> Exception:
        token = self.tokens[min(self.at, len(self.tokens) - 1)]
        return self.fault(f"'{token.text}' {what}", token.line, token.column)

    def sum(self) -> Expression:
        tree = self.product()
        while self.text() in ("+", "-"):
            sign = self.take()
            tree = Expression(sign, (tree, self.product()))
        return tree

    def product(self) -> Expression:
        tree = self.sign()
        while self.text() in ("*", "/"):
            sign = self.take()
            tree = Expression(sign, (tree, self.sign()))
        return tree

    def sign(self) -> Expression:
        if self.text() == "-":
            self.take()
            return Expression("neg", (self.sign(),))
        if self.text() == "+":
            self.take()
            return self.sign()
        return self.power()

    def power(self) -> Expression:
        base = self.atom()
        if self.text() in ("^", "**"):
            self.take()
            return Expression("^", (base, self.sign()))
        return base

    def atom(self) -> Expression:
        if not self.rest():
            raise self.error("is followed by nothing")
        token = self.tokens[self.at]
        if token.kind == "number":
            self.take()
            return Expression("number", (float(token.text),))
        if token.text == "(":
            return self.inside()
        if token.kind != "name":
            raise self.error("cannot stand here")
        self.take()
        if self.text() != "(":
            return Expression("name", (token.text,))
        if token.text not in FUNCTIONS:
            self.at -= 1
            raise self.error(f"is not a function that can be used here; there are {', '.join(FUNCTIONS)}")
        return Expression(token.text, (self.inside(),))

    def inside(self) -> Expression:
        self.take()
        tree = self.sum()
        if self.text() != ")":
            raise self.error("is not followed by a closing parenthesis")
        self.take()
        return tree

    def take(self) -> str:
        self.at += 1
        return self.tokens[self.at - 1].text
