"""From values with places to the file form: every misfit as one sentence at its place.

`fitted` holds a source against a class of `fileform` (or any strict pydantic class, as the plan
does) and translates what pydantic found into findings.
"""

from __future__ import annotations

import types
import typing
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from cocoanalysis.errors import CocoError, InstrumentError, listed, suggestion
from cocoanalysis.instrument.findings import Finding, fault, refuse
from cocoanalysis.instrument.yamlfile import Source

M = TypeVar("M", bound=BaseModel)
ID_PATTERN = "[a-z][a-z0-9]{0,18}"
LOOKALIKES = {  # characters that are read as a Latin letter
    "а": "a", "е": "e", "о": "o", "р": "p", "с": "c", "у": "y", "х": "x", "і": "i", "ј": "j", "ѕ": "s",
    "к": "k", "м": "m", "т": "t", "в": "b", "н": "h", "ο": "o", "α": "a", "ν": "v", "ı": "i", "ɑ": "a",
}  # fmt: skip
KINDS = {"string": "text", "int": "a whole number", "float": "a number", "bool": "true or false", "list": "a list"}
KINDS |= {"dict": "a mapping (key: value)", "model": "a mapping (key: value)"}


def fitted(source: Source, form: type[M], *, error: type[CocoError] = InstrumentError) -> M:
    """The file as an object of that class; all misfits are raised together, each with its place."""
    result, findings = fit(source, form)
    refuse(findings, error)
    if result is None:
        raise TypeError(form.__name__)  # refuse has raised: this line only narrows the type
    return result


def fit(source: Source, form: type[M]) -> tuple[M | None, list[Finding]]:
    """The object, or the findings that say why there is none."""
    if not isinstance(source.root.value, dict):
        sentence = f"The file holds {_kind(source.data)}; it should be keys and values, such as 'id: name'."
        return None, [fault(source.place(), "NotAMapping", sentence)]
    try:
        return form.model_validate(source.data), []
    except ValidationError as problem:
        return None, [_finding(source, form, details) for details in problem.errors(include_url=False)]


class Position(int):
    """A position in a list that knows the id or code of the entry there."""

    id: str = ""


def _real(source: Source, loc: tuple[Any, ...]) -> tuple[Any, ...]:
    """The steps through the file: without the names of alternatives, positions with their ids."""
    node, steps = source.root.value, []
    for step in loc:
        if isinstance(step, int):
            position = Position(step)
            node = node[step].value if isinstance(node, list) and step < len(node) else None
            named = node if isinstance(node, dict) else {}
            position.id = next((str(named[key].value) for key in ("id", "code") if key in named), "")
            steps.append(position)
        elif isinstance(node, dict) and step in node:
            node = node[step].value
            steps.append(step)
        elif step not in TAGS and step != "[key]":
            steps.append(step)
    return tuple(steps)


def _finding(source: Source, form: type[BaseModel], details: Mapping[str, Any]) -> Finding:
    steps = _real(source, details["loc"])
    about_key = details["type"] == "extra_forbidden" or "[key]" in details["loc"]
    place = source.place(*steps, key=about_key)
    allowed = keys_at(form, details["loc"][:-1]) if details["type"] == "extra_forbidden" else []
    for pattern, sentence in SENTENCES.items():
        if details["type"].startswith(pattern):
            return fault(place, *sentence(allowed, details, steps))
    text = details["msg"].removeprefix("Value error, ")
    return fault(place, "NotAllowed", f"{_begin(steps)}: {text}.")


Sentence = Callable[[list[str], Mapping[str, Any], tuple[Any, ...]], tuple[str, str]]


def _unknown_key(allowed: list[str], details: Mapping[str, Any], steps: tuple[Any, ...]) -> tuple[str, str]:
    hint = suggestion(str(steps[-1]), allowed)
    owner = _name(steps[:-1])
    return "UnknownKey", f"There is no key '{steps[-1]}' in {owner}; allowed are {listed(allowed, 40)}.{hint}"


def _missing_key(allowed: list[str], details: Mapping[str, Any], steps: tuple[Any, ...]) -> tuple[str, str]:
    return "MissingKey", f"{_begin(steps[:-1])} needs the key '{steps[-1]}'."


def _wrong_kind(allowed: list[str], details: Mapping[str, Any], steps: tuple[Any, ...]) -> tuple[str, str]:
    wanted = KINDS.get(details["type"].split("_")[0], "another kind of value")
    came = details["input"]
    hint = ""
    if wanted == "text" and isinstance(came, (bool, int, float)):
        hint = f" Put it in quotes: '{str(came).lower() if isinstance(came, bool) else came}'."
    elif wanted == "a mapping (key: value)" and isinstance(came, str) and _step(steps) in TEXTUAL:
        hint = " Give the text by language: {en: …}."
    return "WrongKind", f"{_begin(steps)} must be {wanted}; {_kind(came)} came.{hint}"


def _not_in_list(allowed: list[str], details: Mapping[str, Any], steps: tuple[Any, ...]) -> tuple[str, str]:
    choices = [part.strip("' ") for part in details["ctx"]["expected"].replace(" or ", ", ").split(", ")]
    came = details["input"]
    hint = suggestion(str(came), choices)
    return "NotAllowed", f"{_begin(steps)} must be one of {listed(choices, 30)}; '{came}' came.{hint}"


def _pattern(allowed: list[str], details: Mapping[str, Any], steps: tuple[Any, ...]) -> tuple[str, str]:
    pattern, came = details["ctx"]["pattern"], str(details["input"])
    if ID_PATTERN in pattern:
        return bad_id(came)
    if pattern == r"\S":
        return "EmptyText", f"{_begin(steps)} is blank; write the words or leave the key out."
    if "[a-z]{2,3}" in pattern:
        return "BadLanguage", f"'{came}' is no language code; use a code as en, da or pt-BR."
    if r"\d+\.\d+" in pattern:
        return "BadVersion", f"The version must be numbers with points, as \"0.1.0\"; '{came}' came."
    if "{}<>" in pattern:
        return "BadCode", f"{_begin(steps)} is '{came}', but a code holds no blanks, quotes or any of {{}}<>|,;."
    return "NotAllowed", f"{_begin(steps)} may not be '{came}'; it must match {pattern}."


def _too_small(allowed: list[str], details: Mapping[str, Any], steps: tuple[Any, ...]) -> tuple[str, str]:
    if "ge" in details["ctx"]:
        return "TooSmall", f"{_begin(steps)} must be at least {details['ctx']['ge']}; {details['input']} came."
    if "gt" in details["ctx"]:
        return "TooSmall", f"{_begin(steps)} must be greater than {details['ctx']['gt']:g}; {details['input']} came."
    return "TooFew", f"{_begin(steps)} must hold at least {details['ctx'].get('min_length', 1)}."


def _too_large(allowed: list[str], details: Mapping[str, Any], steps: tuple[Any, ...]) -> tuple[str, str]:
    return "NotAllowed", f"{_begin(steps)} must be less than {details['ctx']['lt']:g}; {details['input']} came."


SENTENCES: dict[str, Sentence] = {
    "extra_forbidden": _unknown_key,
    "missing": _missing_key,
    "literal_error": _not_in_list,
    "string_pattern": _pattern,
    "string_too_short": _too_small,
    "too_short": _too_small,
    "greater_than": _too_small,
    "less_than": _too_large,
} | dict.fromkeys(
    ("string_type", "int_type", "int_from_float", "float_type", "bool_type", "list_type", "dict_type", "model_type"),
    _wrong_kind,
)
TEXTUAL = {"text", "label", "title", "description", "question", "stem", "consent", "introduction", "thanks", "unit"}
TAGS = {"plain", "addressed", "line", "label", "number", "text", "form"}


def bad_id(came: str) -> tuple[str, str]:
    """Code and sentence for an id that cannot be used; look-alike letters are named."""
    for character in came:
        if character in LOOKALIKES:
            name = unicodedata.name(character, "an unknown character").lower()
            return "ConfusableId", (
                f"The id '{came}' holds U+{ord(character):04X} ({name}), which only looks like "
                f"'{LOOKALIKES[character]}'; type it with the Latin letter."
            )
    return "BadId", (
        f"'{came}' cannot be an id: an id is a small letter, then at most 18 small letters and digits (as mob1), "
        "so that every survey platform and formula keeps it."
    )


def keys_at(form: Any, steps: tuple[Any, ...]) -> list[str]:
    """The keys that may stand under these steps of the file form."""
    for step in steps:
        form = _inside(form, step)
        if form is None:
            return []
    form = _models(form)
    return [] if form is None else [field.alias or name for name, field in form.model_fields.items()]


def _inside(form: Any, step: Any) -> Any:
    """The type one step further into the file form."""
    model = _models(form)
    if model is not None and not isinstance(step, int):
        for name, field in model.model_fields.items():
            if step in (name, field.alias):
                return field.annotation
        return form if step in TAGS else None
    for option in _options(form):
        if typing.get_origin(option) in (list, tuple) and isinstance(step, int):
            return typing.get_args(option)[0]
        if typing.get_origin(option) is dict and not isinstance(step, int):
            return typing.get_args(option)[1]
    return form if step in TAGS else None


def _options(form: Any) -> list[Any]:
    """A type without Annotated and Optional, as the list of its alternatives."""
    if typing.get_origin(form) is typing.Annotated:
        return _options(typing.get_args(form)[0])
    if typing.get_origin(form) in (typing.Union, types.UnionType):
        return [option for inner in typing.get_args(form) for option in _options(inner)]
    return [form]


def _models(form: Any) -> type[BaseModel] | None:
    models = [option for option in _options(form) if isinstance(option, type) and issubclass(option, BaseModel)]
    return models[0] if models else None


def _step(steps: tuple[Any, ...]) -> str:
    return next((str(step) for step in reversed(steps) if isinstance(step, str)), "")


def _name(steps: tuple[Any, ...]) -> str:
    """'text of item 3 of construct 2': where we are, in words."""
    words = {"items": "item", "constructs": "construct", "points": "point", "background": "background question"}
    words |= {"categories": "category", "samples": "sample", "missing": "missing code", "changes": "change"}
    parts: list[str] = []
    for before, step in zip((None, *steps), steps):
        if isinstance(step, int):
            id = getattr(step, "id", "")
            parts[-1:] = [f"{words.get(str(before), f'entry of {before}')} {repr(id) if id else step + 1}"]
        else:
            parts.append(f"'{step}'")
    return " of ".join(reversed(parts[-3:])) or "the file"


def _begin(steps: tuple[Any, ...]) -> str:
    """The same at the beginning of a sentence."""
    name = _name(steps)
    return name[:1].upper() + name[1:]


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return f"{str(value).lower()} (a yes/no value)"
    if isinstance(value, (int, float)):
        return f"the number {value}"
    if isinstance(value, str):
        return f"the text '{value if len(value) <= 40 else value[:37] + '…'}'"
    return "a list" if isinstance(value, list) else "a mapping"
