"""JSON Schemas of the files, from which editors complete keys and underline faults while typing.

``python -m cocoanalysis.instrument.editors`` writes them to surveys/schema/. A survey file that
begins with ``# yaml-language-server: $schema=../schema/survey.json`` is checked as it is typed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from cocoanalysis.instrument.fileform import SCHEMA_VERSION, InstrumentFile, SurveyFile
from cocoanalysis.instrument.reading import bundled_folder

FILES: dict[str, type[BaseModel]] = {"instrument": InstrumentFile, "survey": SurveyFile}


def json_schema(kind: str) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of an 'instrument' or a 'survey' file."""
    schema = FILES[kind].model_json_schema(by_alias=True)
    schema["properties"]["schema"]["const"] = SCHEMA_VERSION
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


if __name__ == "__main__":
    for written in write_schemas():
        print(written)
