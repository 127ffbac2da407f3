"""Drafts from the files of platforms and statistics programs: small files in their shape, made here.

The Qualtrics file is synthetic: it follows the shape of a .qsf and comes from no account.
"""

import json

import openpyxl
import pandas as pd
import pyreadstat
import pytest

import cocoanalysis as coco
from cocoanalysis.errors import InstrumentError
from cocoanalysis.fieldwork.platforms import known_platforms
from cocoanalysis.instrument import statfile
from cocoanalysis.instrument.structures import read_structure
from tests.fieldwork.everything import every
from tests.shared import SHARED

LIKERT = {1: "never", 2: "sometimes", 3: "always"}


def sav(path):
    frame = pd.DataFrame({"LEAD01": [1, 2], "LEAD02": [3, 99], "sex": [1, 2], "AGE": [40.0, 51.5], "name": ["a", "b"]})
    pyreadstat.write_sav(
        frame,
        str(path),
        column_labels=["listens", "explains", "gender", "age", "name"],
        variable_value_labels={
            "LEAD01": {**LIKERT, 99: "refused"},
            "LEAD02": {**LIKERT, 99: "refused"},
            "sex": {1: "w", 2: "m"},
        },
        missing_ranges={"LEAD01": [99], "LEAD02": [99]},
        variable_measure={"LEAD01": "ordinal", "LEAD02": "ordinal", "sex": "nominal"},
    )


def dta(path):
    frame = pd.DataFrame({"lead1": [1, 2], "lead2": [3, 1], "sex": [1, 2], "age": [40.0, 51.5], "name": ["a", "b"]})
    labels = {"lead1": LIKERT, "lead2": LIKERT, "sex": {1: "w", 2: "m"}}
    pyreadstat.write_dta(frame, str(path), column_labels=["listens", "explains", "gender", "age", "name"],
                         variable_value_labels=labels)  # fmt: skip


def xlsform(path):
    book = openpyxl.Workbook()
    survey = book.active
    survey.title = "survey"
    survey.append(["type", "name", "label::English (en)", "label::Dansk (da)"])
    for row in [
        ["start", "start", None, None],
        ["begin_group", "lead", "My leader …", "Min leder …"],
        ["select_one freq", "lead_1", "listens", "lytter"],
        ["select_one freq", "lead_2", "explains", "forklarer"],
        ["end_group", None, None, None],
        ["select_one sex", "sex", "gender", "køn"],
        ["integer", "age", "age", "alder"],
        ["text", "name", "name", "navn"],
    ]:
        survey.append(row)
    choices = book.create_sheet("choices")
    choices.append(["list_name", "name", "label::English (en)", "label::Dansk (da)"])
    for code, label in LIKERT.items():
        choices.append(["freq", code, label, f"{label} da"])
    for code in ("w", "m"):
        choices.append(["sex", code, code, code])
    book.create_sheet("settings").append(["form_title", "default_language"])
    book["settings"].append(["Pilot", "English (en)"])
    book.save(path)


def limesurvey(path):
    rows = ["class\ttype/scale\tname\trelevance\ttext\thelp\tlanguage", "S\t\tlanguage\t\ten\t\t"]
    rows += ["SL\t\tsurveyls_title\t\tPilot\t\ten"]
    for language in ("en", "da"):
        rows += [f"G\tG1\tPart\t1\t\t\t{language}", f"Q\tF\tlead\t1\tMy leader <b>…</b>\t\t{language}"]
        rows += [f"SQ\t0\t{code}\t1\t{text}\t\t{language}" for code, text in (("l1", "listens"), ("l2", "explains"))]
        rows += [f"A\t0\t{code}\t\t{label}\t\t{language}" for code, label in LIKERT.items()]
        rows += [f"Q\tL\tsex\t1\tgender\t\t{language}"]
        rows += [f"A\t0\t{code}\t\t{code}\t\t{language}" for code in ("w", "m")]
        rows += [f"Q\tN\tage\t1\tage\t\t{language}", f"Q\tT\tname\t1\tname\t\t{language}"]
    path.write_text("\n".join(rows), encoding="utf-8-sig")


def redcap(path):
    head = '"Variable / Field Name","Form Name","Section Header","Field Type","Field Label","Choices, Calculations, OR '
    head += 'Slider Labels","Field Note","Validation","Min","Max",Identifier?,Branch,Req,Align,Num,"Matrix Group Name"'
    likert = " | ".join(f"{code}, {label}" for code, label in LIKERT.items())
    rows = [
        f'lead_1,f,"My leader …",radio,listens,"{likert}",,,,,,,,,,lead',
        f'lead_2,f,,radio,explains,"{likert}",,,,,,,,,,lead',
        'sex,f,,radio,gender,"w, w | m, m",,,,,,,,,,',
        "age,f,,text,age,,,integer,,,,,,,,",
        "name,f,,text,name,,,,,,y,,,,,",
        "hint,f,,descriptive,read this,,,,,,,,,,,",
    ]
    path.write_text("\n".join([head, *rows]), encoding="utf-8")


def qsf(path):
    answers = {str(code): {"Display": label} for code, label in LIKERT.items()}
    matrix = {
        "QuestionID": "QID1", "DataExportTag": "lead", "QuestionType": "Matrix", "Selector": "Likert",
        "QuestionText": "<p>My leader&nbsp;…</p>", "ChoiceOrder": [1, 2],
        "Choices": {"1": {"Display": "listens"}, "2": {"Display": "explains"}},
        "Answers": answers, "AnswerOrder": [1, 2, 3],
        "Language": {"DA": {"QuestionText": "Min leder …", "Choices": {"1": {"Display": "lytter"}}}},
    }  # fmt: skip
    sex = {
        "QuestionID": "QID2", "DataExportTag": "sex", "QuestionType": "MC", "Selector": "SAVR",
        "QuestionText": "gender", "Choices": {"1": {"Display": "w"}, "2": {"Display": "m"}},
        "ChoiceOrder": ["1", "2"], "RecodeValues": {"1": "10", "2": "20"}, "Language": [],
    }  # fmt: skip
    text = {"QuestionType": "TE", "Selector": "SL"}
    thrown = {"QuestionID": "QID9", "DataExportTag": "old", "QuestionText": "old", **text}
    name = {"QuestionID": "QID4", "DataExportTag": "name", "QuestionText": "name", **text}
    blocks = [{"Type": "Default", "BlockElements": []}, {"Type": "Trash", "BlockElements": [{"QuestionID": "QID9"}]}]
    elements = [{"Element": "BL", "Payload": blocks}]
    elements += [{"Element": "SQ", "Payload": one} for one in (matrix, sex, name, thrown)]
    entry = {"SurveyName": "Pilot", "SurveyLanguage": "EN"}
    path.write_text(json.dumps({"SurveyEntry": entry, "SurveyElements": elements}), encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "write", "items", "background"),
    [
        ("a.sav", sav, ["lead01", "lead02"], ["sex", "age", "name"]),
        ("a.dta", dta, ["lead1", "lead2"], ["sex", "age", "name"]),
        ("a.xlsx", xlsform, ["lead1", "lead2"], ["sex", "age", "name"]),
        ("a.txt", limesurvey, ["leadl1", "leadl2"], ["sex", "age", "name"]),
        ("a.csv", redcap, ["lead1", "lead2"], ["sex", "age", "name"]),
        ("a.qsf", qsf, ["lead1", "lead2"], ["sex", "name"]),
    ],
)
def test_drafts_read_without_faults_and_keep_what_the_file_knows(tmp_path, name, write, items, background):
    write(tmp_path / name)
    folder = coco.new_survey("mine", tmp_path / name, folder=tmp_path)
    survey = coco.read_survey(folder)
    assert list(survey.items) == items
    assert list(survey.background) == background
    assert [item.text["en"] for item in survey.items.values()] == ["listens", "explains"]
    scale = survey.items[items[0]].scale
    assert scale.labels("en") == LIKERT
    assert list(survey.background["sex"].labels("en").values()) == ["w", "m"]
    text = (folder / "instruments" / "instrument.yaml").read_text(encoding="utf-8")
    assert text.count("# gap: does a high answer mean much of it?") == 2
    assert "# gap: practice, outcome" in text


def test_spss_keeps_missing_codes_measurement_levels_and_the_names_of_columns(tmp_path):
    sav(tmp_path / "a.sav")
    survey = coco.read_survey(coco.new_survey("mine", tmp_path / "a.sav", folder=tmp_path))
    assert survey.items["lead01"].scale.reasons() == {"99": "refused"}
    assert survey.background["sex"].kind == "categorical"
    assert survey.samples[0].code_map == {"lead01": "LEAD01", "lead02": "LEAD02", "age": "AGE"}
    assert survey.samples[0].provenance == "yours"


def test_text_codes_of_spss_and_tagged_missings_of_stata(tmp_path):
    frame = pd.DataFrame({"sex": ["f", "m"], "q1": [1.0, 2.0], "q2": [1.0, 2.0]})
    labels = {"sex": {"f": "w", "m": "m", "-9": "refused"}}
    pyreadstat.write_sav(frame, str(tmp_path / "a.sav"), variable_value_labels=labels,
                         missing_ranges={"sex": ["-9"]})  # fmt: skip
    spss = coco.read_survey(coco.new_survey("spss", tmp_path / "a.sav", folder=tmp_path))
    assert spss.background["sex"].labels("en") == {"f": "w", "m": "m"}
    assert spss.background["sex"].reasons() == {"-9": "refused"}
    frame = pd.DataFrame({"q1": pd.Series([1, "a"], dtype=object), "q2": pd.Series([1, 2], dtype=object)})
    values = {1: "no", 2: "yes", "a": "do not know"}
    pyreadstat.write_dta(frame, str(tmp_path / "a.dta"), variable_value_labels={"q1": values, "q2": values},
                         missing_user_values={"q1": ["a"], "q2": ["a"]})  # fmt: skip
    stata = coco.read_survey(coco.new_survey("stata", tmp_path / "a.dta", folder=tmp_path))
    assert stata.items["q1"].scale.codes == (1, 2)
    assert stata.items["q1"].scale.reasons() == {"a": "does_not_know"}


def test_other_languages_stems_recodes_and_personal_columns(tmp_path):
    for name, write in (("a.xlsx", xlsform), ("a.qsf", qsf), ("a.csv", redcap)):
        write(tmp_path / name)
    form = coco.read_survey(coco.new_survey("form", tmp_path / "a.xlsx", folder=tmp_path))
    assert form.languages == ("en", "da")
    assert form.items["lead1"].question("da") == "Min leder lytter"
    account = coco.read_survey(coco.new_survey("account", tmp_path / "a.qsf", folder=tmp_path))
    assert account.items["lead1"].question("en") == "My leader listens"
    assert account.items["lead1"].question("da") == "Min leder lytter"
    assert list(account.background["sex"].categories) == ["10", "20"]
    assert coco.read_survey(coco.new_survey("dic", tmp_path / "a.csv", folder=tmp_path)).background["name"].personal


def test_a_qsf_in_the_shapes_that_qualtrics_writes(tmp_path):
    """Blocks in another order than the questions, lists for entries numbered from 0, rows that are columns."""
    rows = {"1": {"Display": "first"}, "2": {"Display": "second"}}
    shared = {"ChoiceDataExportTags": False, "Language": [], "ChoiceOrder": [1, 2], "Choices": rows}
    payloads = [
        {"QuestionID": "QID1", "DataExportTag": "form", "QuestionType": "TE", "Selector": "FORM", **shared},
        {"QuestionID": "QID2", "DataExportTag": "rank", "QuestionType": "RO", "Selector": "DND", **shared},
        {"QuestionID": "QID3", "DataExportTag": "many", "QuestionType": "Matrix", "Selector": "Likert"}
        | {"SubSelector": "MultipleAnswer", "Answers": rows, "AnswerOrder": ["1", "2"], **shared},
        {"QuestionID": "QID4", "DataExportTag": "nps", "QuestionType": "MC", "Selector": "NPS", "QuestionText": "How?"}
        | {"Choices": [{"Display": str(code)} for code in range(11)], "ChoiceOrder": [str(code) for code in range(11)]}
        | {"Language": {"DA": {"QuestionText": "Hvor?", "Choices": [{"Display": "nul"}]}}},
        {"QuestionID": "QID9", "QuestionText": "Browser", "QuestionType": "Meta", "Selector": "Browser"},
    ]
    block = {"Type": "Default", "BlockElements": [{"QuestionID": f"QID{place}"} for place in (4, 3, 2, 1)]}
    elements = [{"Element": "SQ", "Payload": one} for one in payloads]
    elements += [{"Element": "BL", "Payload": {"1": block}}, {"Element": "QC", "Payload": None}]
    told = {"SurveyEntry": {"SurveyLanguage": "EN"}, "SurveyElements": dict(enumerate(elements))}
    (tmp_path / "a.qsf").write_text(json.dumps(told), encoding="utf-8")
    found = {one.name: one for one in read_structure(tmp_path / "a.qsf").questions}
    assert list(found) == ["nps", "many_1", "many_2", "rank_1", "rank_2", "form_1", "form_2"]
    assert [one.kind for one in found.values()] == ["choice", *["several"] * 2, *["numeric"] * 2, *["text"] * 2]
    assert [(one.code, one.label["en"]) for one in found["nps"].choices] == [(str(c), str(c)) for c in range(11)]
    assert (found["nps"].text["da"], found["nps"].choices[0].label["da"]) == ("Hvor?", "nul")


def test_drafts_of_our_own_exports_know_numbers_regions_and_several_answers(tmp_path):
    for name, file in (("spss", "a.sav"), ("xlsform", "a.xlsx"), ("redcap", "a.csv"), ("limesurvey", "a.txt")):
        known_platforms()[name].write(every(), tmp_path / file)
        found = {one.name: one.kind for one in read_structure(tmp_path / file).questions}
        assert {found[id] for id in ("years", "slida", "slidb")} == {"numeric"}
        assert name == "spss" or "several" in found.values()
    draft = coco.read_survey(coco.new_survey("mine", tmp_path / "a.xlsx", folder=tmp_path))
    assert draft.languages == ("en", "da", "pt-BR")
    assert draft.background["parts"].kind == "multiple"


def test_a_tidy_csv_knows_only_columns_and_codes(tmp_path):
    (tmp_path / "a.csv").write_text(
        "ResponseId,Team No,lead_1,lead_2,done,age,class,note\nR1,7,1,2,1,40.5,3,x\nR2,8,5,4,0,51.5,3,=y\n"
    )
    folder = coco.new_survey("mine", tmp_path / "a.csv", folder=tmp_path)
    survey = coco.read_survey(folder)
    assert survey.items["lead1"].scale.codes == survey.items["lead2"].scale.codes == (1, 2, 3, 4, 5)
    assert "left out, as the platform writes them itself: ResponseId" in (folder / "survey.yaml").read_text()
    assert survey.samples[0].code_map["classx2"] == "class"  # a reserved word
    assert survey.background["age"].kind == "numeric"
    text = (folder / "instruments" / "instrument.yaml").read_text()
    assert "# gap: only the codes that occur are known" in text
    assert "numbers or categories?" in text


def test_answers_of_the_platform_are_read_with_the_drafts_code_map(tmp_path):
    limesurvey(tmp_path / "a.txt")
    text = (tmp_path / "a.txt").read_text(encoding="utf-8-sig")
    for code in LIKERT:
        text = text.replace(f"A\t0\t{code}\t", f"A\t0\tA{code}\t")
    (tmp_path / "a.txt").write_text(text, encoding="utf-8")
    folder = coco.new_survey("mine", tmp_path / "a.txt", folder=tmp_path)
    code_map = json.loads((folder / "codemap.json").read_text())
    assert code_map["columns"] == {"leadl1": "lead[l1]", "leadl2": "lead[l2]"}
    assert code_map["codes"]["leadl1"] == {"A1": "1", "A2": "2", "A3": "3"}
    (tmp_path / "answers.csv").write_text("id,lead[l1],lead[l2],sex,age\n1,A3,A1,w,40\n2,A2,,m,50\n")
    survey = coco.read_survey(folder)
    responses = coco.read_responses(tmp_path / "answers.csv", survey, code_map=folder / "codemap.json")
    assert responses.items().fillna(0).to_numpy().tolist() == [[3, 1], [2, 0]]


def test_hostile_text_stays_text(tmp_path):
    (tmp_path / "a.csv").write_text('"a\'b"": {x}","#c: - !!d",q1\n1.5,2,x\n2.5,3,y\n', encoding="cp1252")
    survey = coco.read_survey(coco.new_survey("mine", tmp_path / "a.csv", folder=tmp_path))
    assert [entry.label["en"] for entry in survey.background.values()] == ["a'b\": {x}", "#c: - !!d", "q1"]


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("a.csv", b"", "NothingAsked"),
        ("a.csv", b"a,b\n", "NothingAsked"),
        ("a.csv", b"a,b\n\x00\x01,2\n", "UnreadableFile"),
        ("a.sav", b"$FL2 no", "CannotRead"),
        ("a.dta", b"<stata", "CannotRead"),
        ("a.xlsx", b"PK", "CannotRead"),
        ("a.qsf", b"{", "CannotRead"),
        ("a.qsf", b"[]", "CannotRead"),
        ("a.qsf", b"{}", "NothingAsked"),
        ("a.pdf", b"%PDF", "UnknownFormat"),
    ],
)
def test_files_that_are_no_survey_are_refused(tmp_path, name, content, code):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InstrumentError) as caught:
        coco.new_survey("mine", tmp_path / name, folder=tmp_path)
    assert caught.value.code == code
    assert not (tmp_path / "mine").exists()


def test_a_file_that_ends_the_library_ends_only_the_child(tmp_path, monkeypatch):
    sav(tmp_path / "a.sav")
    monkeypatch.setattr(statfile, "__file__", "-c")  # any child that does not come back well
    with pytest.raises(InstrumentError, match="damaged") as caught:
        coco.new_survey("mine", tmp_path / "a.sav", folder=tmp_path)
    assert caught.value.code == "CannotRead"


EXPORTS = sorted(path for path in (SHARED / "exports").glob("*/*") if path.stat().st_size)


@pytest.mark.skipif(not EXPORTS, reason="the shared sample exports are not here")
@pytest.mark.parametrize("path", EXPORTS, ids=lambda path: path.name)
def test_sample_files_become_drafts_without_faults(tmp_path, path):
    survey = coco.read_survey(coco.new_survey("mine", path, folder=tmp_path))
    assert survey.items or survey.background
