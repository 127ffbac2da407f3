"""Qualtrics: header rows of every age bound by ImportId, −99, statuses; the advanced format that is written.

The exports here are synthetic, in the shape of the real ones (`test_real_samples` reads those).
"""

import csv
import io
import json
import re

import pandas as pd
import pytest

import cocoanalysis as coco
from cocoanalysis.errors import ResponseError
from cocoanalysis.fieldwork.qualtrics import escaped, platform_codes, write
from cocoanalysis.fieldwork.questionnaire import SELF, asked_twice, questionnaire
from tests.fieldwork.roundtrip import SURVEY, answered, cells, hold_the_same

ASKED = questionnaire(SURVEY)
CODES = {question.id: platform_codes(question) for question in ASKED.questions}
OWN = {  # heading → (ImportId, cell)
    "StartDate": ("startDate", "2026-03-29 01:30:00"),
    "EndDate": ("endDate", "2026-03-29 03:10:00"),
    "Status": ("status", "0"),
    "IPAddress": ("ipAddress", "192.0.2.1"),
    "Progress": ("progress", "100"),
    "Duration (in seconds)": ("duration", "2400"),
    "Finished": ("finished", "1"),
    "RecipientEmail": ("recipientEmail", "somebody@example.org"),
    "LocationLatitude": ("locationLatitude", "55.6"),
    "UserLanguage": ("userLanguage", "DA"),
}


def words(question, code, language):
    for option in question.options:
        if option.code == code:
            return option.label[language]
    return code


def shape(responses, kind="codes", unseen=True):
    """(heading, text, ImportId, cells) of every column, as Qualtrics writes them."""
    table, own = cells(responses), responses.frame["rating"].astype(str).eq("self").to_numpy()
    columns = [(name, name, id, [cell] * len(table)) for name, (id, cell) in OWN.items()]
    columns.append(("ResponseId", "Antwort-ID", "_recordId", [f"R_{i}" for i in range(len(table))]))
    columns += [(name, name, name, responses.frame[name].astype(str).tolist()) for name in ASKED.identifiers]
    columns.append(("consent", "I agree …", "QID1", ["1"] * len(table)))
    for number, (address, one) in enumerate(
        ((a, q) for section in ASKED.sections for a, part in asked_twice(section) for q in part.questions), start=2
    ):
        id = one.id.removesuffix(SELF)
        if id not in table:
            continue
        shown = [True] * len(table) if address is None else own if address == "self" else ~own
        if kind == "codes":
            told = [CODES[id].get(cell, cell) if one.options else cell for cell in table[id]]
        else:
            told = [words(one, cell, kind) for cell in table[id]]
        told = [(cell or ("-99" if unseen else "")) if there else "" for cell, there in zip(told, shown)]
        columns.append((one.id, one.text[address or "other"]["en"], f"QID{number}", told))
    columns.append(("remark - Topics", "remark - Topics", f"QID9_TEXT_{'0a' * 16}Topics", [""] * len(table)))
    return columns


def exported(columns, style="current"):
    heads, texts, ids = ([column[place] for column in columns] for place in range(3))
    if style == "repr":
        third = [str({"ImportId": id.replace("_", "-")}) for id in ids]
    else:
        third = [json.dumps({"ImportId": id}) for id in ids]
    above = [heads, texts, third]
    if style == "legacy":
        names = {"_recordId": "ResponseID", "ipAddress": "IPAddress", "startDate": "StartDate", "endDate": "EndDate"}
        names |= {"status": "Status", "finished": "Finished", "recipientEmail": "EmailAddress"}
        kept = [column for column in columns if column[2] in names or column[0] not in OWN]
        above = [
            [f"V{i}" if c[2] in names else c[0] for i, c in enumerate(kept, start=1)] + [""],
            [names.get(c[2], c[1]) for c in kept] + [""],
        ]
        columns = [*kept, ("", "", "", [""] * len(columns[0][3]))]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([*above, *zip(*(column[3] for column in columns))])
    return ("\ufeff" if style == "legacy" else "") + text.getvalue()


def back(folder, columns, style="current", **more):
    file = folder / "export.csv"
    file.write_text(exported(columns, style), encoding="utf-8")
    return coco.read_responses(file, SURVEY, **more)


@pytest.mark.parametrize(
    ("style", "kind"), [("current", "codes"), ("current", "en"), ("repr", "da"), ("legacy", "codes")]
)
def test_case_17_an_export_comes_back_whole(tmp_path, style, kind):
    responses = answered()
    read = back(tmp_path, shape(responses, kind), style)
    assert "as qualtrics (sniffed)" in read.ledger["rule"].iloc[0]
    hold_the_same(read, responses)
    assert read.frame["complete"].all()
    assert read.frame["response"].tolist() == [f"R_{i}" for i in range(len(responses.frame))]
    told = read.frame.astype(str).to_numpy()
    assert not {"192.0.2.1", "somebody@example.org", "55.6"} & set(told.ravel())
    assert read.unmatched.empty


def test_a_tab_separated_file_and_a_workbook_too(tmp_path):
    from openpyxl import Workbook

    responses, columns = answered(), shape(answered())
    rows = list(csv.reader(io.StringIO(exported(columns))))
    tabs = tmp_path / "export.tsv"
    text = io.StringIO()
    csv.writer(text, delimiter="\t").writerows(rows)
    tabs.write_bytes(text.getvalue().encode("utf-16"))
    hold_the_same(coco.read_responses(tabs, SURVEY), responses)
    book = Workbook()
    for row in [*rows[:2], *rows[3:]]:
        book.active.append(row)
    book.save(tmp_path / "export.xlsx")
    hold_the_same(coco.read_responses(tmp_path / "export.xlsx", SURVEY), responses)


def test_a_sav_file_too(tmp_path):
    import pyreadstat

    responses = answered()
    table = pd.DataFrame({head: told for head, *_, told in shape(responses, unseen=False)})
    table = table.drop(columns="remark - Topics").rename(columns={"Duration (in seconds)": "Duration__in_seconds_"})
    for name in table.columns:
        if name.removesuffix(SELF) in SURVEY.items or name in ("Status", "Finished", "consent", "Progress"):
            table[name] = pd.to_numeric(table[name], errors="coerce")
    pyreadstat.write_sav(table, tmp_path / "export.sav")
    read = coco.read_responses(tmp_path / "export.sav", SURVEY)
    assert "as qualtrics (sniffed)" in read.ledger["rule"].iloc[0]
    hold_the_same(read, responses)


def test_seen_but_unanswered_is_skipped_and_not_shown_is_not_asked(tmp_path):
    columns = {column[0]: column for column in shape(answered())}
    for name, cell in (("gender", "-99"), ("country", ""), ("years", "-99")):
        columns[name][3][0] = cell
    read = back(tmp_path, list(columns.values()))
    assert read.missing[["gender", "country", "years"]].iloc[0].tolist() == ["skipped", "not_asked", "skipped"]
    assert read.ledger["rule"].str.contains("seen but unanswered").any()


def test_case_18_columns_are_bound_by_importid_whatever_stands_above(tmp_path):
    responses, columns = answered(), shape(answered())
    moved = [
        ("V" + name if id in ("startDate", "finished") else name, *rest) for name, *rest in columns for id in [rest[1]]
    ]
    moved = [("kolab", *rest) if name == "collaboration" else (name, *rest) for name, *rest in moved]
    read = back(tmp_path, moved[::-1])
    hold_the_same(read, responses)
    assert "started" in read.frame
    named = [("Q7_1", "?", *rest) if name == "mob1" else (name, text, *rest) for name, text, *rest in columns]
    named = [("Q7_2", "?", *rest) if name == "mob1_self" else (name, text, *rest) for name, text, *rest in named]
    ids = {name: id for name, _, id, _ in named}
    once = [column for column in named if column[0] != "Q7_2"]
    read = back(tmp_path, once, code_map={"mob1": ids["Q7_1"]})
    others = responses.frame["rating"].astype(str).ne("self").to_numpy()
    assert read.items(["mob1"])[others].equals(responses.items(["mob1"])[others])


def test_case_20_codes_and_words_in_one_column(tmp_path):
    columns = shape(answered())
    told = next(column[3] for column in columns if column[0] == "mob1")
    told[next(i for i, cell in enumerate(told) if cell in "1234567" and cell)] = "often"
    with pytest.raises(ResponseError, match="mixes codes") as caught:
        back(tmp_path, columns)
    assert caught.value.code == "MixedCodes"


@pytest.mark.parametrize("told", ["1", "Umfragevorschau", "Spam"])
def test_case_28_previews_tests_and_spam_leave_counted(tmp_path, told):
    columns = {column[0]: column for column in shape(answered())}
    columns["Status"][3][2] = told
    read = back(tmp_path, list(columns.values()))
    assert len(read.frame) == len(answered().frame) - 1
    line = read.ledger[read.ledger["step"] == "exclude"].iloc[0]
    assert (line["rows"], line["n_before"] - line["n_after"]) == (1, 1)


def test_case_29_partial_responses_are_counted_and_refusals_leave(tmp_path):
    columns = {column[0]: column for column in shape(answered())}
    columns["Finished"][3][0], columns["Progress"][3][0] = "Falsch", "40"
    columns["consent"][3][1] = "2"
    read = back(tmp_path, list(columns.values()))
    assert not read.frame["complete"].iloc[0]
    assert read.ledger["rule"].str.contains("did not agree").any()
    assert read.ledger.query("rule.str.contains('partial')")["rows"].iloc[0] == 1


def test_case_36_times_carry_the_offset_of_the_files_zone(tmp_path):
    text = exported(shape(answered())).replace(
        '""ImportId"": ""startDate""', '""ImportId"": ""startDate"", ""timeZone"": ""Europe/Copenhagen""'
    )
    (tmp_path / "export.csv").write_text(text, encoding="utf-8")
    read = coco.read_responses(tmp_path / "export.csv", SURVEY)
    assert read.frame["started"].iloc[0] == "2026-03-29T01:30:00+01:00"


# What is written ------------------------------------------------------------------------------------


def parsed(text):
    """Question id → (text, {choice: label}), in the advanced format."""
    found = {}
    for part in re.split(r"^\[\[(?=Question|Block)", text, flags=re.MULTILINE):
        if match := re.match(r"Question:[^\]]*\]\]\n\[\[ID:(\w+)\]\]\n(.*)\n", part):
            found[match[1]] = (match[2], dict(re.findall(r"\[\[Choice:(-?\d+)\]\]\n(.*)\n", part)))
    return found


def test_every_question_is_there_with_numeric_codes(tmp_path):
    english, danish, setup, code_map = write(SURVEY, tmp_path / "survey.txt")
    text = english.read_text(encoding="utf-8")
    assert text.startswith("[[AdvancedFormat]]\n\n[[ED:")
    for name in ("collaboration", "organisation", "respondent", "surveyversion:0.1.0"):
        assert f"[[ED:{name}]]" in text
    found, local = parsed(text), parsed(danish.read_text(encoding="utf-8"))
    assert list(found) == list(local)
    expected = [q.id for section in ASKED.sections for _, part in asked_twice(section) for q in part.questions]
    assert [id for id in found if not id.endswith("_stem")] == expected
    assert local["mob1"][0] == SURVEY.items["mob1"].wording("da")
    assert found["mob1"][1]["98"] == "cannot judge"
    assert list(found["mob1_self"][1]) == [*"1234567", "98", "99"]
    assert found["rating"][1] == dict(
        zip(CODES["rating"].values(), (o.label["en"] for o in _question("rating").options))
    )
    known = json.loads(code_map.read_text(encoding="utf-8"))
    assert known["codes"]["rating"] == {theirs: ours for ours, theirs in CODES["rating"].items()}
    told = setup.read_text(encoding="utf-8")
    assert all(word in told for word in ("`mobilising_self`", "`rating` is", "ends the survey", "?respondent=…"))


def _question(id):
    return next(question for question in ASKED.questions if question.id == id)


def test_a_planned_version_says_which_it_is(tmp_path):
    text = write(SURVEY, tmp_path / "survey.txt", form="planned", version=1)[0].read_text(encoding="utf-8")
    assert "[[ED:form:planned:1]]" in text
    kept = {id for id in parsed(text) if id in SURVEY.items}
    assert kept == set(SURVEY.form_items("planned", 1)) | set(SURVEY.attention)


def test_case_78_nothing_is_piped_marked_or_run():
    assert escaped("a ${e://Field/x} [[Block]] <script>\nb") == (
        "a &#36;{e://Field/x} &#91;&#91;Block&#93;&#93; &lt;script&gt; b"
    )


def test_matrices_made_by_hand_are_bound_by_their_text(tmp_path):
    """A matrix heads its columns Q7_1, Q7_2 … and writes 'stem - statement' below."""
    responses, stems = answered(), {}
    for section in ASKED.sections:
        for address, part in asked_twice(section):
            stems |= {question.id: part.stem[address or "other"].get("en", "") for question in part.questions}
    columns = []
    for place, (name, text, id, told) in enumerate(shape(responses)):
        if name.removesuffix(SELF) in SURVEY.items:
            columns.append((f"Q7_{place}", f"{stems[name]} - {text}" if stems[name] else text, id, told))
        else:
            columns.append((name, text, id, told))
    hold_the_same(back(tmp_path, columns), responses)
