"""REDCap: the dictionary's columns, and raw and label exports that come back whole."""

import csv
import re

import pandas as pd
import pytest

import cocoanalysis as coco
from cocoanalysis.fieldwork.questionnaire import SELF, asked_twice, questionnaire
from cocoanalysis.fieldwork.redcap import COLUMNS, escaped, write
from tests.fieldwork.everything import every
from tests.fieldwork.roundtrip import SURVEY, answered, cells, hold_the_same

ASKED = questionnaire(SURVEY)
CHOICES, LOGIC = COLUMNS[5], COLUMNS[11]
VALIDATION = COLUMNS[7:10]


def dictionary(path, language="en"):
    file = write(SURVEY, path / "dictionary.csv", language=language)[0]
    with file.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def raw_shape(responses):
    table, out = cells(responses), {}
    out["record_id"] = [str(i + 1) for i in range(len(table))]
    out["redcap_survey_identifier"] = ["somebody@example.org"] * len(table)
    out[f"{SURVEY.id}_timestamp"] = ["2026-01-05 10:20:00"] * len(table)
    out |= {name: responses.frame[name].astype(str) for name in ASKED.identifiers}
    out["consent"] = ["yes"] * len(table)
    own = responses.frame["rating"].astype(str).eq("self").to_numpy()
    for section in ASKED.sections:
        for address, part in asked_twice(section):
            for question in part.questions:
                if question.id.removesuffix(SELF) in table:
                    shown = [True] * len(table) if address is None else own if address == "self" else ~own
                    told = table[question.id.removesuffix(SELF)]
                    out[question.id] = [cell if there else "" for cell, there in zip(told, shown)]
    out[f"{SURVEY.id}_complete"] = ["2"] * (len(table) - 1) + ["0"]
    return pd.DataFrame(out)


def label_shape(raw, rows):
    """Headings and choices in words, as 'CSV / labels' writes them; two columns may carry the same heading."""
    fields = {row["Variable / Field Name"]: row for row in rows}
    renamed, out = [], raw.copy()
    for name in raw.columns:
        choices = fields.get(name, {}).get("Choices, Calculations, OR Slider Labels", "")
        if choices:
            words = dict(one.split(", ", 1) for one in choices.split(" | "))
            out[name] = [words.get(cell, cell) for cell in raw[name]]
        renamed.append(fields[name]["Field Label"] if name in fields else name)
    special = {"redcap_survey_identifier": "Survey Identifier", f"{SURVEY.id}_timestamp": "Survey Timestamp"}
    special[f"{SURVEY.id}_complete"] = "Complete?"
    out[f"{SURVEY.id}_complete"] = out[f"{SURVEY.id}_complete"].map({"2": "Complete", "0": "Incomplete"})
    out.columns = [special.get(name, new) for name, new in zip(raw.columns, renamed)]
    return out


@pytest.mark.parametrize("kind", ["raw", "en", "da"])
def test_an_export_comes_back_whole(tmp_path, kind):
    responses, file = answered(), tmp_path / "DATA.csv"
    table = raw_shape(responses)
    refused = table.iloc[[0]].assign(record_id="r", respondent="r", consent="no")
    table = pd.concat([table, refused], ignore_index=True).iloc[[len(table), *range(len(table))]]
    if kind != "raw":
        table = label_shape(table, dictionary(tmp_path, kind))
    table.to_csv(file, index=False)
    back = coco.read_responses(file, SURVEY)
    assert "as redcap (sniffed)" in back.ledger["rule"].iloc[0]
    hold_the_same(back, responses)
    assert back.frame["complete"].tolist() == [True] * (len(back.frame) - 1) + [False]
    assert back.ledger["rule"].str.contains("did not agree").any()
    assert "somebody@example.org" not in back.frame.astype(str).to_numpy()


def test_the_dictionary_has_redcaps_columns_and_every_question(tmp_path):
    rows = dictionary(tmp_path)
    assert list(rows[0]) == COLUMNS
    names = [row["Variable / Field Name"] for row in rows]
    assert names[0] == "record_id"
    assert len(set(names)) == len(names)
    assert all(len(name) <= 26 and name.replace("_", "").isalnum() and name == name.lower() for name in names)
    assert set(SURVEY.items) <= set(names)
    fields = dict(zip(names, rows))
    assert fields["collaboration"]["Field Annotation"] == "@HIDDEN-SURVEY"
    logic = "Branching Logic (Show field only if...)"
    assert fields["mob1"][logic] == "[consent] = 'yes' and [rating] <> 'self'"
    assert fields["mob1_self"][logic] == "[consent] = 'yes' and [rating] = 'self'"
    assert fields["mob1"]["Choices, Calculations, OR Slider Labels"].startswith("1, never | 2, very rarely | ")


def test_a_language_has_a_file_of_its_own(tmp_path):
    first, second, code_map = write(SURVEY, tmp_path / "mine.csv")
    assert [first.name, second.name] == ["mine.csv", "mine.da.csv"]
    assert SURVEY.items["mob1"].wording("da") in second.read_text(encoding="utf-8")
    assert code_map.is_file()


def test_case_78_nothing_is_piped_embedded_or_run():
    assert escaped("a [field] {field} <b>") == "a &#91;field] &#123;field} &lt;b&gt;"


def test_a_matrix_holds_one_set_of_choices_and_a_number_none(tmp_path):
    with write(every(), tmp_path / "dictionary.csv")[0].open(encoding="utf-8", newline="") as handle:
        rows = {row["Variable / Field Name"]: row for row in csv.DictReader(handle)}
    matrices = {}
    for row in rows.values():
        assert re.fullmatch(r"[a-z][a-z0-9_]{0,25}", row["Variable / Field Name"])
        codes = [one.split(", ", 1)[0] for one in row[CHOICES].split(" | ") if one]
        assert all(re.fullmatch(r"[A-Za-z0-9_.-]+", code) for code in codes)
        assert bool(codes) == (row["Field Type"] in ("radio", "checkbox"))
        if row["Matrix Group Name"]:
            matrices.setdefault(row["Matrix Group Name"], set()).add(row[CHOICES])
    assert set(matrices) == {"m_mixed", "m_mixed_self"}
    assert all(len(choices) == 1 for choices in matrices.values())
    assert rows["kindof"][CHOICES] == "A1, A + B | plain, plain | quitelongcode, long | 99, refuse"
    assert rows["mixb"][LOGIC].endswith("([kindof] = 'A1' or [kindof] = 'plain')")
    told = [rows["years"][name] for name in ("Field Note", *VALIDATION)]
    assert told == ["-1 = refuse", "number", "-1", "60.5"]
    assert [name for name, row in rows.items() if row["Identifier?"] == "y"] == ["words"]


def test_a_code_that_redcap_will_not_take_comes_back_as_ours(tmp_path):
    file = tmp_path / "DATA.csv"
    file.write_text("record_id,who,kindof,sing,every_complete\n1,a,A1,0,2\n2,b,plain,10,2\n", encoding="utf-8")
    assert coco.read_responses(file, every()).frame["kindof"].tolist() == ["a+b", "plain"]
