"""SurveyJS: the JSON that is written, and flattened results that come back whole."""

import json

import pandas as pd
import pytest

import cocoanalysis as coco
from cocoanalysis.fieldwork.questionnaire import SELF, asked_twice, questionnaire
from cocoanalysis.fieldwork.surveyjs import write
from tests.fieldwork.everything import every
from tests.fieldwork.roundtrip import SURVEY, answered, cells, hold_the_same, hostile

ASKED = questionnaire(SURVEY)


@pytest.fixture(scope="module")
def form(tmp_path_factory):
    file, code_map = write(SURVEY, tmp_path_factory.mktemp("surveyjs") / "form.json")
    known = json.loads(code_map.read_text(encoding="utf-8"))["columns"]
    assert (known["mob1"], known["rating"]) == ("mobilising.mob1", "rating")
    return json.loads(file.read_text(encoding="utf-8"))


def elements(form):
    return {element["name"]: element for page in form["pages"] for element in page["elements"]}


def results(responses):
    """What SurveyJS keeps of each respondent: one object, in which a matrix is an object of its own."""
    table, own = cells(responses), responses.frame["rating"].astype(str).eq("self").to_numpy()
    made = []
    for row in range(len(table)):
        told = {name: str(responses.frame[name].iloc[row]) for name in ASKED.identifiers} | {"consent": "yes"}
        for section in ASKED.sections:
            for address, part in asked_twice(section):
                if address is not None and (address == "self") != own[row]:
                    continue
                for question in part.questions:
                    cell = table[question.id.removesuffix(SELF)].iloc[row] if question.id != "consent" else ""
                    if cell and len(part.questions) > 1:
                        told.setdefault(part.id, {})[question.id] = cell
                    elif cell:
                        told[question.id] = cell
        made.append(told)
    return made


def test_flattened_results_come_back_whole(tmp_path):
    responses, file = answered(), tmp_path / "results.csv"
    pd.json_normalize(results(responses)).to_csv(file, index=False)
    back = coco.read_responses(file, SURVEY)
    assert "as surveyjs (sniffed)" in back.ledger["rule"].iloc[0]
    hold_the_same(back, responses)


def test_matrices_are_lists_with_every_answer_and_item(form):
    found = elements(form)
    matrices = [one for one in found.values() if one["type"] == "matrix"]
    assert matrices
    assert {one["displayMode"] for one in matrices} == {"list"}
    asked = {row["value"] for one in matrices for row in one["rows"]} | set(found)
    expected = {q.id for section in ASKED.sections for _, part in asked_twice(section) for q in part.questions}
    assert expected | set(ASKED.identifiers) <= asked
    assert [column["value"] for column in found["mobilising"]["columns"]] == [*"1234567", "98", "99"]
    assert found["mobilising"]["visibleIf"] == "{rating} <> 'self'"
    assert found["mobilising_self"]["visibleIf"] == "{rating} = 'self'"
    assert form["triggers"] == [{"type": "complete", "expression": "{consent} = 'no'"}]
    assert found["collaboration"] == {
        "type": "text",
        "name": "collaboration",
        "visible": False,
        "clearIfInvisible": "none",
    }


def test_words_are_there_in_both_languages(form):
    rows = {row["value"]: row["text"] for row in elements(form)["mobilising"]["rows"]}
    assert rows["mob1"] == {"default": SURVEY.items["mob1"].wording("en"), "da": SURVEY.items["mob1"].wording("da")}


def test_case_78_no_brace_opens_a_name(tmp_path):
    file = write(hostile(tmp_path), tmp_path / "form.json")[0]
    words = elements(json.loads(file.read_text(encoding="utf-8")))["mobilising"]["rows"][0]["text"]["default"]
    assert "{rating}" not in words
    assert words.replace("\u2060", "").startswith("pick <script>")


def test_locales_are_in_small_letters_and_numbers_say_what_may_be_typed(tmp_path):
    """survey-core 3.1 calls its languages `pt-br`; words under another name would leave its buttons in English."""
    found = elements(json.loads(write(every(), tmp_path / "form.json")[0].read_text(encoding="utf-8")))
    assert found["rater"]["title"]["pt-br"] == "Quem avalia?"
    years = found["years"]
    assert (years["inputType"], years["min"], years["max"]) == ("number", -1, 60.5)
    assert years["description"] == {"default": "-1 = refuse", "da": "-1 = nej", "pt-br": "-1 = recuso"}
    assert (found["slida"]["min"], found["slida"]["max"]) == (0, 100)
    assert [one for one in found if one.startswith("diff")] == ["diffa", "diffb"]
