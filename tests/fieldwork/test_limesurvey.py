"""LimeSurvey: the structure file as it was measured, and every kind of its exports."""

import csv
import io

import pandas as pd
import pytest

import cocoanalysis as coco
from cocoanalysis.fieldwork.limesurvey import escaped, platform_codes, write
from cocoanalysis.fieldwork.questionnaire import questionnaire
from tests.fieldwork.everything import every
from tests.fieldwork.roundtrip import SURVEY, answered, cells, hold_the_same

ASKED = questionnaire(SURVEY)
COLUMNS = ("id", "related_id", "class", "name")
CODES = {question.id: platform_codes(question) for question in ASKED.questions if question.options}


def export(responses, style):
    """Rows as LimeSurvey writes them: question[sub-question] in a CSV, question_subquestion in VV."""
    table = cells(responses)
    out = {"id": [str(i + 1) for i in range(len(table))]}
    out["submitdate"] = ["2026-01-05 10:20:00"] * (len(table) - 1) + [""]
    out |= {"lastpage": ["9"] * len(table), "startlanguage": ["da"] * len(table), "seed": ["1"] * len(table)}
    out["startdate"] = ["2026-01-05 10:00:00"] * len(table)
    out |= {name: responses.frame[name].astype(str) for name in ASKED.identifiers}
    out["consent"] = ["Y"] * len(table)
    for section in ASKED.sections:
        for question in section.questions:
            if question.id in table:
                array = len(section.questions) > 1
                name = style.format(section.id, question.id) if array else question.id
                codes = CODES.get(question.id, {})
                out[name] = [codes.get(cell, cell) for cell in table[question.id]]
    return pd.DataFrame(out)


@pytest.mark.parametrize(("separator", "bom"), [(";", "\ufeff"), (",", "")])
def test_a_csv_of_either_kind_comes_back_whole(tmp_path, separator, bom):
    responses, file = answered(), tmp_path / "results-survey.csv"
    text = export(responses, "{}[{}]").to_csv(index=False, sep=separator, quoting=csv.QUOTE_ALL)
    file.write_text(bom + text, encoding="utf-8")
    back = coco.read_responses(file, SURVEY)
    assert "as limesurvey (sniffed)" in back.ledger["rule"].iloc[0]
    hold_the_same(back, responses)
    assert back.frame["complete"].tolist() == [True] * (len(back.frame) - 1) + [False]


def test_a_vv_file_tells_not_shown_from_left_empty(tmp_path):
    responses, file = answered(), tmp_path / "vvexport.csv"
    table = export(responses, "{}_{}")
    table.loc[3, "mobilising_mob1"] = "{question_not_shown}"
    table["collaboration"] = [f"{{quote}}a{{tab}}{{lbrace}}cr}}{name}" for name in table["collaboration"]]
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerows([[f"Text of {name}" for name in table.columns], list(table.columns), *table.values.tolist()])
    file.write_text(text.getvalue(), encoding="utf-8")
    back = coco.read_responses(file, SURVEY)
    assert back.missing["mob1"].iloc[3] == "not_asked"
    assert back.frame["collaboration"].iloc[0] == '"a\t{cr}' + str(responses.frame["collaboration"].iloc[0])
    assert back.items().drop(index=3).equals(responses.items().drop(index=3))


def test_the_structure_keeps_to_what_limesurvey_keeps(tmp_path):
    file, code_map = write(SURVEY, tmp_path / "survey.txt")
    text = file.read_text(encoding="utf-8")
    assert text.startswith("\ufeffid\trelated_id\tclass")
    rows = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff")), delimiter="\t"))
    questions = [row for row in rows if row["class"] == "Q" and row["language"] == "en"]
    names = [row["name"] for row in questions]
    assert all(name.isalnum() and len(name) <= 20 and not name[0].isdigit() for name in names)
    assert len(set(names)) == len(names)
    assert all(row["name"].isalnum() and len(row["name"]) <= 5 for row in rows if row["class"] == "A")
    subs = [row["name"] for row in rows if row["class"] == "SQ" and row["language"] == "da"]
    singles = set(SURVEY.items) - set(subs)
    assert singles <= set(names)
    for name in ("collaboration", "organisation", "respondent"):
        row = next(row for row in questions if row["name"] == name)
        assert (row["hidden"], row["default"][:7]) == ("1", "{TOKEN:" if name != "respondent" else "{TOKEN}")
    assert code_map.name == "survey.txt.codemap.json"


def test_ids_are_the_same_in_every_language_and_answers_belong_to_their_question(tmp_path):
    text = write(SURVEY, tmp_path / "survey.txt")[0].read_text(encoding="utf-8").removeprefix("\ufeff")
    rows = list(csv.DictReader(io.StringIO(text), delimiter="\t"))
    by_language = {
        language: [
            (row["id"], row["related_id"], row["class"], row["name"]) for row in rows if row["language"] == language
        ]
        for language in SURVEY.languages
    }
    assert [row for row in by_language["en"] if row[2] not in {"SL", "G"}] == [
        row for row in by_language["da"] if row[2] not in {"SL", "G"}
    ]
    numbers = {row["id"]: row["name"] for row in rows if row["class"] == "Q"}
    assert numbers[next(row["related_id"] for row in rows if row["name"] == "mob1")] == "mobilising"


def test_both_forms_of_address_stand_in_one_question(tmp_path):
    text = write(SURVEY, tmp_path / "survey.txt")[0].read_text(encoding="utf-8").removeprefix("\ufeff")
    rows = list(csv.DictReader(io.StringIO(text), delimiter="\t"))
    stem = next(row["text"] for row in rows if row["name"] == "mobilising" and row["language"] == "en")
    words = SURVEY.constructs["mobilising"].stem_by_address
    assert stem == f'{{if(rating.NAOK == "self", "{words["self"]["en"]}", "{words["other"]["en"]}")}}'


def test_no_text_begins_with_a_quote_and_no_quote_follows_a_backslash(tmp_path):
    """The importer reads cells with PHP's fgetcsv, for which a backslash escapes, and strips quotes around a text."""
    text = write(every(), tmp_path / "survey.txt")[0].read_text(encoding="utf-8").removeprefix("\ufeff")
    rows = list(csv.DictReader(io.StringIO(text), delimiter="\t"))
    assert not any(cell.startswith('"') or "\\" in cell for row in rows for cell in row.values())
    words = {row["name"]: row["text"] for row in rows if row["language"] == "en"}
    assert words["mixa"].startswith(
        "&quot;quoted&quot; &lt;b&gt;bold&lt;/b&gt; back&#92;&quot;slash&#92; $&#123;q&#125;"
    )


def test_numbers_and_sliders_take_their_limits_and_no_answers_to_choose_from(tmp_path):
    text = write(every(), tmp_path / "survey.txt")[0].read_text(encoding="utf-8").removeprefix("\ufeff")
    rows = [row for row in csv.DictReader(io.StringIO(text), delimiter="\t") if row["language"] == "en"]
    asked = {row["name"]: row for row in rows if row["class"] == "Q"}
    told = [asked[name] for name in ("slida", "slidb", "years")]
    assert [(row["type/scale"], row["min_num_value_n"], row["max_num_value_n"]) for row in told] == [
        ("N", "0", "100"),
        ("N", "0", "100"),
        ("N", "-1", "60.5"),
    ]
    assert asked["years"]["help"] == "-1 = refuse"
    places = {row["name"]: rows.index(row) for row in rows if row["class"] == "Q"}
    assert all(rows[places[name] + 1]["class"] in ("Q", "G") for name in ("slida", "slidb", "years"))
    assert asked["site"]["hidden"] == ""


def test_case_78_nothing_is_evaluated_and_no_html_runs():
    assert escaped("a {2+2} <script>x</script> & \n b") == "a &#123;2+2&#125; &lt;script&gt;x&lt;/script&gt; &amp;   b"


def test_a_sav_file_comes_back_whole_and_two_is_no(tmp_path):
    import pyreadstat

    responses, file = answered(), tmp_path / "survey.sav"
    table = export(responses, "{}_{}")
    table["consent"] = [2.0] + [1.0] * (len(table) - 1)
    for name in table.columns:
        numbers = pd.to_numeric(table[name], errors="coerce")
        if name.split("_")[-1] in SURVEY.items:
            table[name] = numbers
    pyreadstat.write_sav(table, file, variable_value_labels={"consent": {1.0: "Ja", 2.0: "Nein"}})
    back = coco.read_responses(file, SURVEY)
    assert "as limesurvey (sniffed)" in back.ledger["rule"].iloc[0]
    assert len(back.frame) == len(responses.frame) - 1
    assert back.ledger["rule"].str.contains("did not agree").any()


@pytest.mark.parametrize("style", ["text", "code and text"])
def test_an_export_headed_with_texts_and_answered_in_words_comes_back_whole(tmp_path, style):
    """Question texts as headings and answer texts in the cells, in the language of the one who exports."""
    responses, file = answered(), tmp_path / "results.csv"
    table, questions = export(responses, "{}[{}]"), {question.id: question for question in ASKED.questions}
    stems = {
        one.id: section.stem["other"]["en"]
        for section in ASKED.sections
        if section.stem["other"]
        for one in section.questions
    }
    words = {"id": "Response ID", "submitdate": "Date submitted", "lastpage": "Last page", "seed": "Seed"}
    words |= {"startlanguage": "Start language", "startdate": "Date started"}
    columns = {}
    for name in table.columns:
        id = name.rstrip("]").split("[")[-1]
        head, told = words.get(name, name), table[name]
        if id in questions and id != "consent":
            text = questions[id].text["other"]["en"]
            head = f"{stems[id]} [{text}]" if id in stems else text
            labels = {CODES[id][one.code]: one.label["en"] for one in questions[id].options}
            told = [labels.get(cell, cell) for cell in told]
            head = f"{name}. {head}" if style != "text" else head
        if id == "consent":
            head, told = questions[id].text["other"]["en"], ["No", *["Yes"] * (len(table) - 1)]
        columns[head] = told
    pd.DataFrame(columns).to_csv(file, index=False)
    back = coco.read_responses(file, SURVEY)
    assert "as limesurvey (sniffed)" in back.ledger["rule"].iloc[0]
    assert back.ledger["rule"].str.contains("did not agree").any()
    kept = responses.items().drop(index=0).reset_index(drop=True)
    pd.testing.assert_frame_equal(back.items(list(kept)).reset_index(drop=True), kept)
    assert back.frame["complete"].tolist() == [True] * (len(back.frame) - 1) + [False]


@pytest.mark.parametrize("label", ['"always"', "&quot;always&quot;", "&#34;always&#34;"])
def test_a_label_comes_back_with_its_entities_or_without(tmp_path, label):
    file = tmp_path / "results.csv"
    known = {"id": ["1"], "submitdate": ["2026-01-01"], "lastpage": ["9"], "startlanguage": ["en"], "who": ["a"]}
    pd.DataFrame({**known, "mixed[mixa]": [label]}).to_csv(file, index=False)
    assert coco.read_responses(file, every()).frame["mixa"].tolist() == [2]
