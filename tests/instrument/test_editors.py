"""The JSON Schemas for editors are fresh, and agree with what the reader takes."""

import copy

import pytest

from cocoanalysis.instrument import editors
from cocoanalysis.instrument.reading import bundled_folder
from cocoanalysis.instrument.yamlfile import read_yaml

jsonschema = pytest.importorskip("jsonschema")
FOLDER = bundled_folder()
FILES = [(path, "instrument") for path in sorted(FOLDER.glob("instruments/*.yaml"))]
FILES += [(path, "survey") for path in sorted(FOLDER.glob("*/survey.yaml"))]


@pytest.mark.parametrize("kind", editors.FILES)
def test_the_committed_schema_is_fresh(kind):
    assert (FOLDER / "schema" / f"{kind}.json").read_text(encoding="utf-8") == editors.schema_text(kind)
    jsonschema.Draft202012Validator.check_schema(editors.json_schema(kind))


def test_the_page_of_the_manual_is_fresh_and_names_every_key():
    page = editors.reference_text()
    assert (FOLDER.parent / "docs" / "files.md").read_text(encoding="utf-8") == page
    for entry in editors._entries():
        assert all(f"`{field.alias or name}`" in page for name, field in entry.model_fields.items())
    assert "Annotated" not in page
    assert "typing" not in page


@pytest.mark.parametrize(("path", "kind"), FILES, ids=lambda value: getattr(value, "stem", value))
def test_bundled_files_satisfy_their_schema(path, kind):
    validator = jsonschema.Draft202012Validator(editors.json_schema(kind))
    data = read_yaml(path).data
    assert [error.message for error in validator.iter_errors(data)] == []
    broken = copy.deepcopy(data) | {"titel": "x"}
    assert [error.validator for error in validator.iter_errors(broken)] == ["additionalProperties"]


def test_schemas_are_written_where_asked(tmp_path):
    assert [path.name for path in editors.write_schemas(tmp_path)] == ["instrument.json", "survey.json"]
