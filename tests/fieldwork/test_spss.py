"""The empty SPSS file, held against what pyreadstat reads back; filled, it comes back whole."""

import pandas as pd
import pyreadstat
import pytest

import cocoanalysis as coco
from cocoanalysis.errors import PlatformError
from cocoanalysis.fieldwork.questionnaire import Option, Question, questionnaire
from cocoanalysis.fieldwork.spss import _missing, write
from tests.fieldwork.roundtrip import HOSTILE, SURVEY, answered, cells, hold_the_same, hostile


@pytest.fixture(scope="module")
def meta(tmp_path_factory):
    file, code_map = write(SURVEY, tmp_path_factory.mktemp("spss") / "empty.sav", language="da")
    assert code_map.name == "empty.sav.codemap.json"
    table, meta = pyreadstat.read_sav(str(file), user_missing=True)
    assert len(table) == 0
    return meta


def test_names_labels_missing_codes_and_levels(meta):
    asked = questionnaire(SURVEY)
    assert meta.column_names == [*asked.identifiers, *(question.id for question in asked.questions)]
    stem, words = SURVEY.constructs["mobilising"].stem_by_address["other"]["da"], SURVEY.items["mob1"].wording("da")
    assert meta.column_names_to_labels["mob1"] == f"{stem} {words}"
    labels = {float(code): label for code, label in SURVEY.items["mob1"].scale.labels("da").items()}
    gaps = {float(code): label for code, label in SURVEY.items["mob1"].scale.missing_labels("da").items()}
    assert meta.variable_value_labels["mob1"] == labels | gaps
    assert meta.missing_ranges["mob1"] == [{"lo": 98.0, "hi": 98.0}, {"lo": 99.0, "hi": 99.0}]
    assert meta.missing_ranges["gender"] == [{"lo": "refused", "hi": "refused"}]
    levels = meta.variable_measure
    assert (levels["mob1"], levels["sector"], levels["years"]) == ("ordinal", "nominal", "scale")
    assert meta.original_variable_types["collaboration"] == "A64"
    assert meta.original_variable_types["mob1"] == "F8.0"


def filled(responses, meta, file):
    """The empty file with these answers in it."""
    columns = {name: responses.frame[name].astype(str).to_numpy() for name in questionnaire(SURVEY).identifiers}
    columns["consent"] = ["yes"] * len(responses.frame)
    for name, told in cells(responses).items():
        number = meta.readstat_variable_types[name] == "double"
        columns[name] = pd.to_numeric(told, errors="coerce").to_numpy(dtype=float) if number else told.to_numpy()
    table = pd.DataFrame(columns)
    ranges = {name: gaps for name, gaps in meta.missing_ranges.items() if name in table}
    labels = {name: words for name, words in meta.variable_value_labels.items() if name in table}
    pyreadstat.write_sav(table, str(file), variable_value_labels=labels, missing_ranges=ranges)
    return file


def test_a_filled_file_comes_back_whole(tmp_path, meta):
    responses = answered()
    hold_the_same(coco.read_responses(filled(responses, meta, tmp_path / "filled.sav"), SURVEY), responses)


def test_more_than_three_missing_codes_become_one_range_without_answers():
    options = [Option(str(code), {"en": "x"}, "r" if code > 7 else "") for code in (1, 2, 96, 97, 98, 99)]
    question = Question("q", "likert", {"other": {}, "self": {}}, tuple(options))
    assert _missing(question) == [{"lo": 96.0, "hi": 99.0}]
    options.append(Option("98", {"en": "x"}))
    with pytest.raises(PlatformError) as caught:
        _missing(Question("q", "likert", {"other": {}, "self": {}}, tuple(options)))
    assert caught.value.code == "TooManyMissingCodes"


def test_case_78_labels_are_text(tmp_path):
    file = write(hostile(tmp_path), tmp_path / "empty.sav")[0]
    assert pyreadstat.read_sav(str(file))[1].column_names_to_labels["mob1"].endswith(HOSTILE)


def test_an_unknown_language_is_named(tmp_path):
    with pytest.raises(PlatformError, match="allowed are en, da"):
        write(SURVEY, tmp_path / "empty.sav", language="de")
