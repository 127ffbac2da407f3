"""lavaan's model syntax, read into terms and constraints.

`parse` knows the grammar and nothing of data: it turns text into `Term`s (one a
parameter that the user wrote) and `Constraint`s (``:= == < >``), each with the line and
column it came from. What lavaan adds by itself happens in `parameters`.

To add an operator, add it to ``OPERATORS`` and say in `parameters` which matrix it fills.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from cocoanalysis.errors import ModelError, listed, suggestion
from cocoanalysis.measurement.expressions import Expression, parse_expression

OPERATORS = ("=~", "~*~", "~~", "~", "|")
RELATIONS = (":=", "==", "<", ">")
TOKEN = re.compile(
    r"""(?P<space>[ \t\r\f\v]+)|(?P<comment>[\#!][^\n]*)|(?P<newline>\n|;)
      |(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))
      |(?P<operator>=~|~\*~|~~|<~|:=|==|~|\||<|>)
      |(?P<name>[^\W\d][\w.]*|\.[^\W\d][\w.]*)
      |(?P<string>"[^"\n]*"|'[^'\n]*')
      |(?P<sign>\*\*|[-+*/^(),:?])""",
    re.VERBOSE,
)
CONTINUES = frozenset(["+", "*", ",", "-", "/", "^", "?", *OPERATORS, *RELATIONS])
LARGEST = 1e100  # its square is still a number
MODIFIERS = {"start": "start", "equal": "equal", "label": "label", "c": "c"}


class Token(NamedTuple):
    kind: str
    text: str
    line: int
    column: int


@dataclass(frozen=True)
class Term:
    """One parameter of the model as written: a left side, an operator, a right side and its modifiers.

    ``fixed``, ``start`` and ``labels`` hold one value for all groups or one a group (NaN: free; '' or
    None: nothing said).
    """

    lhs: str
    op: str
    rhs: str
    line: int
    column: int
    fixed: tuple[float, ...] = ()
    start: tuple[float, ...] = ()
    labels: tuple[str, ...] = ()
    equal: tuple[str, ...] = ()
    group: str | None = None
    level: str | None = None

    @property
    def key(self) -> tuple[str, str, str, str | None, str | None]:
        sides = sorted((self.lhs, self.rhs)) if self.op == "~~" else [self.lhs, self.rhs]
        return sides[0], self.op, sides[1], self.group, self.level

    def __str__(self) -> str:
        return f"{self.lhs} {self.op} {self.rhs}" if self.op != "~1" else f"{self.lhs} ~ 1"


@dataclass(frozen=True)
class Constraint:
    """A relation between parameters: a definition (``:=``), an equality or an inequality."""

    lhs: str
    op: str
    rhs: str
    left: Expression = field(repr=False)
    right: Expression = field(repr=False)
    line: int = 0
    column: int = 0


@dataclass(frozen=True)
class Model:
    """What the user wrote, in order."""

    terms: tuple[Term, ...]
    constraints: tuple[Constraint, ...]
    text: str

    @property
    def levels(self) -> list[str]:
        return list(dict.fromkeys(term.level for term in self.terms if term.level is not None))

    @property
    def level_blocks(self) -> list[str | None]:
        """The levels, or one entry None for a model without levels."""
        return list(self.levels) if self.levels else [None]

    def at_level(self, level: str | None) -> list[Term]:
        return [term for term in self.terms if term.level == level]

    @property
    def groups(self) -> list[str]:
        return list(dict.fromkeys(term.group for term in self.terms if term.group is not None))


def parse(text: str) -> Model:
    """Read lavaan model syntax.

    Raises
    ------
    ModelError : with line and column; codes EmptyModel, SyntaxError, UnknownOperator, DuplicateTerm,
        NoEffect, UnknownModifier, SelfReference
    """
    if not isinstance(text, str):
        raise ModelError(
            f"The model must be a text, as in 'factor =~ item1 + item2 + item3'; a {type(text).__name__} came.",
            code="NoModel",
        )
    terms: dict[tuple, Term] = {}
    constraints: list[Constraint] = []
    blocks: dict[str, str | None] = {"group": None, "level": None}
    for statement in statements(text):
        relation = next((i for i, t in enumerate(statement) if t.text in RELATIONS and t.kind == "operator"), None)
        if _is_block(statement):
            _open_block(statement, blocks)
        elif relation is not None:
            constraints.append(_constraint(statement, relation, text))
        else:
            group, level = blocks["group"], blocks["level"]
            for term in _formula(statement):
                _add(terms, term if group is level is None else replace(term, group=group, level=level))
    if not terms:
        raise ModelError(
            "The model holds no formula; write at least one, as in 'factor =~ item1 + item2 + item3'.",
            code="EmptyModel",
        )
    return Model(tuple(terms.values()), tuple(constraints), text)


def tokens(text: str) -> Iterator[Token]:
    """The tokens of ``text`` without blanks and comments, each with its place."""
    position, line, start_of_line = 0, 1, 0
    while position < len(text):
        found = TOKEN.match(text, position)
        if found is None:
            raise fault(f"'{text[position]}' does not belong to the syntax here", line, position - start_of_line + 1)
        kind = str(found.lastgroup)
        if kind == "number" and float(found.group()) > LARGEST:
            raise fault(f"The number {found.group()} is too large to count with", line, position - start_of_line + 1)
        if kind not in ("space", "comment"):
            yield Token(kind, found.group(), line, position - start_of_line + 1)
        position = found.end()
        if found.group() == "\n":
            line, start_of_line = line + 1, position


def statements(text: str) -> Iterator[list[Token]]:
    """One list of tokens a statement: lines joined where a formula goes on, parted at ';'."""
    current: list[Token] = []
    depth, waiting = 0, []
    for token in tokens(text):
        if token.kind == "newline":
            if current and depth == 0 and (token.text == ";" or current[-1].text not in CONTINUES):
                waiting, current = current, []
                if token.text == ";":
                    yield waiting
                    waiting = []
            continue
        if waiting:
            if token.text in ("+", "*"):
                current = waiting
            else:
                yield waiting
            waiting = []
        depth += (token.text == "(") - (token.text == ")")
        current.append(token)
    if depth != 0 and current:
        raise fault("A parenthesis is not closed", current[-1].line, current[-1].column)
    for rest in (waiting, current):
        if rest:
            yield rest


def fault(message: str, line: int, column: int, code: str = "SyntaxError") -> ModelError:
    return ModelError(f"{message} (model syntax, line {line}, column {column}).", code=code)


def _is_block(statement: Sequence[Token]) -> bool:
    return len(statement) >= 2 and statement[1].text == ":" and statement[0].text.lower() in ("level", "group")


def _open_block(statement: Sequence[Token], blocks: dict[str, str | None]) -> None:
    head = statement[0]
    if len(statement) < 3:
        raise fault(f"'{head.text}:' needs one number or label after it, as in 'level: 1'", head.line, head.column)
    blocks[head.text.lower()] = _text(statement[2:]).strip("\"'")
    if head.text.lower() == "group":
        blocks["level"] = None


def _constraint(statement: Sequence[Token], at: int, text: str) -> Constraint:
    operator = statement[at]
    left, right = statement[:at], statement[at + 1 :]
    if not left or not right:
        raise fault(f"'{operator.text}' needs something on both sides", operator.line, operator.column)
    if operator.text == ":=" and (len(left) != 1 or left[0].kind != "name"):
        raise fault("On the left of ':=' stands one new name", left[0].line, left[0].column)
    return Constraint(
        _text(left),
        operator.text,
        _text(right),
        parse_expression(left, fault),
        parse_expression(right, fault),
        operator.line,
        operator.column,
    )


def _text(part: Sequence[Token]) -> str:
    return "".join(token.text for token in part)


def _formula(statement: Sequence[Token]) -> Iterator[Term]:
    at = next((i for i, t in enumerate(statement) if t.kind == "operator"), None)
    if at is None:
        head = statement[0]
        raise fault(
            f"'{head.text}' stands alone: a formula needs an operator, one of {listed([*OPERATORS, *RELATIONS])}",
            head.line,
            head.column,
            "NoEffect",
        )
    operator = statement[at]
    if operator.text not in OPERATORS:
        raise fault(
            f"The operator '{operator.text}' is not available; allowed are {listed([*OPERATORS, *RELATIONS])}",
            operator.line,
            operator.column,
            "UnknownOperator",
        )
    if any(t.kind == "operator" for t in statement[at + 1 :]):
        second = next(t for t in statement[at + 1 :] if t.kind == "operator")
        raise fault(f"A second operator '{second.text}' in one formula", second.line, second.column)
    for left in _left_names(statement[:at], operator):
        for part in _split(statement[at + 1 :], "+", operator):
            yield _term(left, operator, part)


def _left_names(part: Sequence[Token], operator: Token) -> list[Token]:
    names = _split(part, "+", operator)
    for name in names:
        if len(name) != 1 or name[0].kind != "name":
            raise fault(f"Left of '{operator.text}' stand names joined by '+'", name[0].line, name[0].column)
    return [name[0] for name in names]


def _split(part: Sequence[Token], sign: str, operator: Token) -> list[list[Token]]:
    """Parts between the signs outside parentheses; an empty part is an error at its place."""
    parts: list[list[Token]] = [[]]
    depth = 0
    for token in part:
        depth += (token.text == "(") - (token.text == ")")
        if token.text == sign and depth == 0 and (parts[-1] or sign != "-"):
            parts.append([])
        else:
            parts[-1].append(token)
    if any(not p for p in parts):
        raise fault(f"Something is missing beside '{operator.text}' or '+'", operator.line, operator.column)
    return parts


def _term(left: Token, operator: Token, part: Sequence[Token]) -> Term:
    pieces = [piece for chunk in _split(part, "*", operator) for piece in _split(chunk, "?", operator)]
    target, modifiers = pieces[-1], pieces[:-1]
    for i, token in enumerate(part):  # x?start is lavaan's postfix-free shorthand: 0.5?x
        if token.text == "?" and i == len(part) - 1:
            raise fault("Nothing follows '?'", token.line, token.column)
    op, rhs = _target(left, operator, target)
    term = Term(left.text, op, rhs, target[0].line, target[0].column)
    questions = _question_marks(part)
    for number, modifier in enumerate(modifiers):
        term = _modified(term, modifier, is_start=number in questions)
    return term


def _question_marks(part: Sequence[Token]) -> set[int]:
    marks, number, depth = set(), 0, 0
    for token in part:
        depth += (token.text == "(") - (token.text == ")")
        if depth == 0 and token.text in ("*", "?"):
            if token.text == "?":
                marks.add(number)
            number += 1
    return marks


def _target(left: Token, operator: Token, target: Sequence[Token]) -> tuple[str, str]:
    token = target[0]
    if len(target) != 1 or token.kind not in ("name", "number"):
        raise fault(
            f"'{_text(target)}' cannot stand right of '{operator.text}': a variable's name (or 1) is needed",
            token.line,
            token.column,
        )
    if token.kind == "number":
        if operator.text == "=~" and float(token.text) == 0.0:
            return "=~", ""  # a factor without indicators
        if operator.text != "~" or float(token.text) not in (0.0, 1.0):
            raise fault(
                f"The number {token.text} cannot stand right of '{operator.text}'; to fix a parameter write "
                f"{token.text}*variable",
                token.line,
                token.column,
            )
        return "~1", ""
    if operator.text == "|" and not re.fullmatch(r"t\d+", token.text):
        raise fault(
            f"Thresholds are called t1, t2, …; '{token.text}' came", token.line, token.column, "UnknownThreshold"
        )
    if operator.text in ("~", "=~") and token.text == left.text:
        raise fault(
            f"'{left.text}' cannot explain itself ('{left.text} {operator.text} {token.text}')",
            token.line,
            token.column,
            "SelfReference",
        )
    return operator.text, token.text


def _modified(term: Term, part: Sequence[Token], *, is_start: bool) -> Term:
    """The term with one more modifier: a number, NA, a label, or a call of c, start, equal, label."""
    head = part[0]
    if is_start:
        return _set(term, "start", _numbers(part), head)
    if head.kind == "name" and len(part) > 1 and part[1].text == "(":
        return _call(term, head, part)
    values = [_value(part)]
    return _with_values(term, values, head)


def _call(term: Term, head: Token, part: Sequence[Token]) -> Term:
    if head.text not in MODIFIERS:
        raise fault(
            f"There is no modifier '{head.text}()'; allowed are c(), start(), equal(), label(), a number, NA and a "
            f"label.{suggestion(head.text, MODIFIERS)}",
            head.line,
            head.column,
            "UnknownModifier",
        )
    if part[-1].text != ")":
        raise fault(f"'{head.text}(' is not closed", head.line, head.column)
    inner = list(part[2:-1])
    if len(inner) > 2 and inner[0].text == "c" and inner[1].text == "(":
        inner = inner[2:-1]
    arguments = _split(inner, ",", head)
    if head.text == "c":
        return _with_values(term, [_value(argument) for argument in arguments], head)
    if head.text == "start":
        return _set(term, "start", tuple(_number(a) for a in arguments), head)
    words = tuple(_word(argument) for argument in arguments)
    return _set(term, "equal" if head.text == "equal" else "labels", words, head)


def _with_values(term: Term, values: Sequence[float | str], head: Token) -> Term:
    numbers = [v for v in values if isinstance(v, float)]
    if len(numbers) == len(values):
        return _set(term, "fixed", tuple(numbers), head)
    if not [v for v in numbers if v == v]:
        return _set(term, "labels", tuple("" if isinstance(v, float) else v for v in values), head)
    raise fault("c() mixes numbers and labels; write two c() joined by '*'", head.line, head.column)


def _set(term: Term, name: str, values: tuple, head: Token) -> Term:
    before = getattr(term, name)
    if before and repr(before) != repr(values):
        raise fault(
            f"'{term}' is given two different {'values' if name == 'fixed' else name}",
            head.line,
            head.column,
            "ContradictingModifiers",
        )
    changed = {**vars(term), name: values}
    return Term(**changed)


def _value(part: Sequence[Token]) -> float | str:
    """NaN for NA, a float for a number, a str for a label."""
    if len(part) == 1 and part[0].text == "NA":
        return float("nan")
    if len(part) == 1 and part[0].kind in ("name", "string"):
        return _word(part)
    return _number(part)


def _word(part: Sequence[Token]) -> str:
    return _text(part).strip("\"'").replace(" ", "")


def _number(part: Sequence[Token]) -> float:
    if len(part) == 1 and part[0].text == "NA":
        return float("nan")
    expression = parse_expression(part, fault)
    if expression.names:
        raise fault(f"'{_text(part)}' is not a number", part[0].line, part[0].column)
    return float(expression.value({}))


def _numbers(part: Sequence[Token]) -> tuple[float, ...]:
    if part[0].text == "c" and len(part) > 3:
        return tuple(_number(argument) for argument in _split(part[2:-1], ",", part[0]))
    return (_number(part),)


def _add(terms: dict[tuple, Term], term: Term) -> None:
    """Merge a term that stands twice when its modifiers complete each other; else say that it has no effect."""
    before = terms.get(term.key)
    if before is None:
        terms[term.key] = term
        return
    merged = before
    for name in ("fixed", "start", "labels", "equal"):
        values = getattr(term, name)
        if values:
            merged = _set(merged, name, values, Token("name", str(term), term.line, term.column))
    if merged == before:
        raise fault(
            f"'{term}' stands twice in the model (first in line {before.line}); the second has no effect, remove it",
            term.line,
            term.column,
            "DuplicateTerm",
        )
    terms[term.key] = merged
