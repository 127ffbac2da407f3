"""What may stand in the files, for editors (JSON Schema) and for readers (a page of the manual).

``python -m cocoanalysis.instrument.editors`` writes surveys/schema/*.json and docs/files.md, all
made from `fileform`. A survey file that begins with
``# yaml-language-server: $schema=../schema/survey.json`` is checked as it is typed.
"""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from cocoanalysis.instrument import fileform as form
from cocoanalysis.instrument.reading import bundled_folder

FILES: dict[str, type[BaseModel]] = {"instrument": form.InstrumentFile, "survey": form.SurveyFile}
KINDS = [
    (form.Id, "id"),
    (form.Label, "text by language"),
    (form.Wording, "text by language, or by form of address"),
    (form.Prose, "text, or text by language"),
    (form.Code, "whole number or word"),
    (form.Language, "language code"),
    (form.Version, "version"),
    (form.Line, "text"),
    (form.FormOrLabel, "form, or its label"),
]
WORDS = {str: "text", int: "whole number", float: "number", bool: "true or false", Any: "anything"}
PAGE = """\
# What stands in the files

Made from the package's own file form, version {version} (`schema: {version}`). Files are YAML 1.2 without anchors,
aliases and tags, and a key stands once. An **id** is a small letter and at most 18 small letters and digits. A
**text by language** is `{{en: …, da: …}}`; by **form of address** it is `{{other: {{en: …}}, self: {{en: …}}}}`,
for raters of others and for leaders about themselves. `coco check` names file, line and column of what does not fit.

A survey that **extends** another holds only its own keys and its `changes`. Each change has a `kind`: `typo`, `wording`
and `translation` take `text` (of an item), `label`, `stem` (of a construct) or `question` (of a background question);
`wording` also `key`; `scale` takes `scale`, `key` or `score`; `added` takes `item` and `to` (the construct) and may say
`after` which item; `dropped` takes nothing but the `id`. `coco compare` then says which scores stay comparable.

"""


# ---- JSON Schema ----------------------------------------------------------------------------


def json_schema(kind: str) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of an 'instrument' or a 'survey' file."""
    schema = FILES[kind].model_json_schema(by_alias=True)
    schema["properties"]["schema"]["const"] = form.SCHEMA_VERSION
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": f"cocoanalysis {kind} file"}


def schema_text(kind: str) -> str:
    return json.dumps(json_schema(kind), ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def write_schemas(folder: str | Path | None = None) -> list[Path]:
    """Write both schemas into a folder (default: surveys/schema) and return their paths."""
    target = Path(folder) if folder else bundled_folder() / "schema"
    target.mkdir(parents=True, exist_ok=True)
    paths = [target / f"{kind}.json" for kind in FILES]
    for path in paths:
        path.write_text(schema_text(path.stem), encoding="utf-8")
    return paths


# ---- the page of the manual -----------------------------------------------------------------


def reference_text() -> str:
    """Every kind of entry with its keys, as Markdown."""
    sections = [_section(entry) for entry in _entries()]
    return PAGE.format(version=form.SCHEMA_VERSION) + "\n".join(sections)


def _entries() -> list[type[BaseModel]]:
    """The file classes and all that they hold, from the outside in."""
    found: list[type[BaseModel]] = []
    waiting: list[Any] = list(FILES.values())
    while waiting:
        kind = waiting.pop(0)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            if kind not in found:
                found.append(kind)
                waiting += typing.get_type_hints(kind, include_extras=True).values()
        else:
            waiting += typing.get_args(kind)
    return found


def _section(entry: type[BaseModel]) -> str:
    hints = typing.get_type_hints(entry, include_extras=True)
    doc = " ".join((entry.__doc__ or "").split())
    lines = [f"## {_title(entry)}", "", doc, "", "| key | value | |", "|---|---|---|"]
    for name, field in entry.model_fields.items():
        needed = "needed" if field.is_required() else ""
        lines.append(f"| `{field.alias or name}` | {_kind(hints[name])} | {needed} |")
    return "\n".join(lines) + "\n"


def _title(entry: type[BaseModel]) -> str:
    words = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in entry.__name__).strip()
    return words.removesuffix(" entry").capitalize()


def _kind(hint: Any) -> str:
    """What may stand as a value, in words."""
    for alias, words in KINDS:
        if hint == alias:
            return words
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_kind(one) for one in inner if one is not type(None))
    if origin is typing.Annotated:
        return _kind(inner[0])
    if origin is typing.Literal:
        return ", ".join(f"`{one}`" for one in inner)
    if origin is list:
        return f"list of: {_kind(inner[0])}"
    if origin is dict:
        return f"name: {_kind(inner[1])}"
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return f"[{_title(hint).lower()}](#{_title(hint).lower().replace(' ', '-')})"
    return WORDS.get(hint, str(hint))


def _written() -> Iterator[Path]:
    yield from write_schemas()
    page = bundled_folder().parent / "docs" / "files.md"
    page.write_text(reference_text(), encoding="utf-8")
    yield page


if __name__ == "__main__":
    for path in _written():
        print(path)
