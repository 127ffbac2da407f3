"""Questions that take several answers: out to every platform, and from its export shape back to the same answers."""

import csv
import io
import json
import shutil

import openpyxl
import pandas as pd
import pyreadstat
import pytest
from lxml import etree

import cocoanalysis as coco
from cocoanalysis.fieldwork import ddi, docx, limesurvey, qualtrics, redcap, spss, surveyjs, xlsform
from cocoanalysis.fieldwork.preview import write as write_page
from cocoanalysis.fieldwork.questionnaire import in_columns, questionnaire
from tests.browser import opened_page
from tests.fieldwork.everything import every

CODES = ("pub", "private_firm", "3")
GIVEN = [{"pub", "3"}, {"private_firm"}, {"98"}, set()]  # the four respondents; 98 refuses
WHO = {"who": ["a", "b", "c", "d"], "kindof": ["plain"] * 4, "sing": ["0", "10", "0", "10"]}
PARTS = next(question for question in questionnaire(every()).questions if question.id == "parts")


def split(pattern, codes, yes, no):
    """One column an answer, as the platform heads it; ``no`` where it was not chosen, nothing where none was."""
    return {
        pattern.format(codes.get(code, code)): ["" if not given else yes if code in given else no for given in GIVEN]
        for code in (*CODES, "98")
    }


def joined(mark, codes):
    return {"parts": [mark.join(codes.get(code, code) for code in (*CODES, "98") if code in one) for one in GIVEN]}


def whole(columns, code_map):
    """The columns with those of all other questions, left empty, as the code map says they are called."""
    names = json.loads(code_map.read_text(encoding="utf-8"))["columns"]
    there = {column for id, column in names.items() if id != "parts"} - set(columns)
    return {**columns, **{column: [""] * 4 for column in sorted(there)}}


def read_back(folder, columns, platform, code_map):
    file = folder / "export.csv"
    file.write_text(pd.DataFrame(whole(columns, code_map)).to_csv(index=False), encoding="utf-8")
    hold(coco.read_responses(file, every(), code_map=code_map), platform)


def hold(back, platform):
    assert f"as {platform} (sniffed)" in back.ledger["rule"].iloc[0]
    table = back.frame[[f"parts__{code}" for code in CODES]]
    told = [{code for code, there in zip(CODES, row) if there} for row in table.fillna(False).to_numpy(dtype=bool)]
    assert told == [one - {"98"} for one in GIVEN]
    why = back.missing["parts__pub"].astype(object).fillna("").tolist()
    assert why == ["", "", "refused", "skipped"]
    # the bank is asked of those who named a firm or the third sector
    assert back.missing["bank"].astype(object).fillna("").tolist() == ["skipped", "skipped", "not_asked", "not_asked"]


LIME = {"id": list("1234"), "submitdate": ["2026-01-01"] * 4, "lastpage": ["9"] * 4, "startlanguage": ["en"] * 4}
KOBO = {"_id": list("1234"), "_uuid": ["u1", "u2", "u3", "u4"], "_submission_time": ["2026-01-05T10:20:00"] * 4}


def test_limesurvey_ticks_sub_questions(tmp_path):
    file, code_map = limesurvey.write(every(), tmp_path / "form.txt")
    rows = list(csv.DictReader(io.StringIO(file.read_text(encoding="utf-8-sig")), delimiter="\t"))
    english = [row for row in rows if row["language"] == "en"]
    place = next(i for i, row in enumerate(english) if row["name"] == "parts")
    codes = limesurvey.platform_codes(PARTS)
    assert (english[place]["type/scale"], english[place]["exclude_all_others"]) == ("M", "98")
    boxes = english[place + 1 : place + 5]
    assert [(row["class"], row["name"]) for row in boxes] == [("SQ", codes[code]) for code in (*CODES, "98")]
    assert all(row["related_id"] == english[place]["id"] for row in boxes)
    numbers = [row["id"] for row in english if row["class"] in ("Q", "SQ")]
    assert len(numbers) == len(set(numbers))
    bank = next(row for row in english if row["name"] == "bank")
    assert bank["relevance"].endswith("(parts_A1.NAOK == 'Y' or parts_3.NAOK == 'Y')")
    for pattern in ("parts[{}]", "parts_{}"):
        read_back(tmp_path, {**LIME, **WHO, **split(pattern, codes, "Y", "")}, "limesurvey", code_map)


def test_redcap_has_checkboxes(tmp_path):
    *_, code_map = files = redcap.write(every(), tmp_path / "dictionary.csv")
    with files[0].open(encoding="utf-8", newline="") as handle:
        rows = {row["Variable / Field Name"]: row for row in csv.DictReader(handle)}
    assert (rows["parts"]["Field Type"], rows["parts"]["Field Annotation"]) == ("checkbox", "@NONEOFTHEABOVE='98'")
    assert "[parts(private_firm)] = '1' or [parts(3)] = '1'" in rows["bank"][redcap.LOGIC]
    raw = {"record_id": list("1234"), **WHO, **split("parts___{}", redcap.platform_codes(PARTS), "1", "0")}
    raw |= {name: [cell or "0" for cell in raw[name]] for name in raw if name.startswith("parts")}
    read_back(tmp_path, {**raw, "every_complete": ["2"] * 4}, "redcap", code_map)


def test_qualtrics_takes_multiple_answers(tmp_path):
    *files, code_map = qualtrics.write(every(), tmp_path / "form.txt")
    text = files[0].read_text(encoding="utf-8")
    codes = qualtrics.platform_codes(PARTS)
    assert "[[Question:MC:MultipleAnswer:Vertical]]\n[[ID:parts]]\nWhich sectors?\n[[AdvancedChoices]]" in text
    assert f"[[Choice:{codes['private_firm']}]]\nPrivate\n" in text
    assert "*Make answer exclusive* for 98 (refuse) of `parts`." in files[-1].read_text(encoding="utf-8")
    names = {"Status": "status", "Finished": "finished", "ResponseId": "_recordId"}
    columns = {"Status": ["0"] * 4, "Finished": ["1"] * 4, "ResponseId": ["R_1", "R_2", "R_3", "R_4"], **WHO}
    kinds = qualtrics.platform_codes(next(one for one in questionnaire(every()).questions if one.id == "kindof"))
    columns["kindof"] = [kinds[code] for code in columns["kindof"]]
    for answers in (joined(",", codes), split("parts_{}", codes, "1", "")):
        table = pd.DataFrame(whole({**columns, **answers}, code_map))
        imports = [json.dumps({"ImportId": names.get(name, name)}) for name in table]
        head = [list(table), [f"Text of {name}" for name in table], imports]
        told = io.StringIO()
        csv.writer(told).writerows([*head, *table.to_numpy().tolist()])
        (tmp_path / "export.csv").write_text(told.getvalue(), encoding="utf-8")
        hold(coco.read_responses(tmp_path / "export.csv", every(), code_map=code_map), "qualtrics")


def test_xlsform_selects_multiple(tmp_path):
    workbook, code_map = xlsform.write(every(), tmp_path / "form.xlsx")
    header, *body = openpyxl.load_workbook(workbook)["survey"].values
    rows = {row[header.index("name")]: dict(zip(header, row)) for row in body}
    assert rows["parts"]["type"].startswith("select_multiple ")
    assert rows["parts"]["constraint"] == "not((selected(., '98')) and count-selected(.) > 1)"
    assert "selected(${parts}, 'private_firm') or selected(${parts}, '3')" in rows["bank"]["relevant"]
    ticks = split("parts/{}", {}, "1", "0")
    for answers in (joined(" ", {}), joined(" ", {}) | ticks):
        read_back(tmp_path, {**KOBO, **WHO, **answers}, "xlsform", code_map)


def test_surveyjs_shows_checkboxes(tmp_path):
    file, code_map = surveyjs.write(every(), tmp_path / "form.json")
    pages = json.loads(file.read_text(encoding="utf-8"))["pages"]
    found = {element["name"]: element for page in pages for element in page["elements"]}
    assert found["parts"]["type"] == "checkbox"
    assert [choice["value"] for choice in found["parts"]["choices"] if choice.get("isExclusive")] == ["98"]
    assert found["bank"]["visibleIf"] == "({parts} contains 'private_firm' or {parts} contains '3')"
    listed = {"parts": [json.dumps([code for code in (*CODES, "98") if code in one]) if one else "" for one in GIVEN]}
    grid = {f"mixed_self.{id}_self": [""] * 4 for id in ("mixa", "mixb")}
    read_back(tmp_path, {**WHO, **grid, **listed}, "surveyjs", code_map)


def test_statistics_files_and_codebooks_have_a_column_an_answer(tmp_path):
    file = spss.write(every(), tmp_path / "empty.sav")[0]
    meta = pyreadstat.read_sav(str(file), user_missing=True)[1]
    assert "parts" not in meta.column_names
    assert meta.column_names_to_labels["parts__pub"] == "Which sectors? Public, local"
    assert meta.variable_value_labels["parts__3"] == {1.0: "chosen", 0.0: "not chosen", 98.0: "refuse"}
    assert meta.missing_ranges["parts__pub"] == [{"lo": 98.0, "hi": 98.0}]
    root = etree.parse(str(ddi.write(every(), tmp_path / "book.xml")[0])).getroot()
    space = {"d": "ddi:codebook:2_5"}
    group = root.xpath("//d:varGrp[@type='multipleResp']", namespaces=space)
    assert [one.get("var") for one in group] == ["V_parts__pub V_parts__private_firm V_parts__3"]
    told = root.xpath("//d:var[@name='parts__3']/d:catgry/d:catValu", namespaces=space)
    assert [one.text for one in told] == ["true", "false", "98"]
    assert len(in_columns(next(one for one in questionnaire(every()).sections if one.id == "mixed")).questions) == 2


def test_the_printed_page_says_that_several_may_be_ticked(tmp_path):
    import docx as word

    told = [p.text for p in word.Document(str(docx.write(every(), tmp_path / "p.docx", language="da")[0])).paragraphs]
    assert "Hvilke sektorer? Du må gerne sætte flere kryds. parts" in told
    assert "☐ Privat private_firm" in told


@pytest.mark.browser
def test_the_page_keeps_what_was_ticked(tmp_path):
    page = write_page(every(), tmp_path / "page.html")[0]
    with opened_page(page, tmp_path) as tab:
        tab.check('input[name="consent"]')
        tab.fill('input[name="who"]', "a")
        box = 'input[name="parts"][value="{}"]'.format
        bank = tab.locator('[data-question="bank"]')
        tab.check(box("98"))
        tab.check(box("pub"))
        assert not tab.is_checked(box("98"))
        assert not bank.is_visible()
        tab.check(box("3"))
        assert bank.is_visible()
        with tab.expect_download() as saved:
            tab.click('button[type="submit"]')
        saved.value.save_as(tmp_path / "answers.csv")
    frame = coco.read_responses(tmp_path / "answers.csv", every()).frame
    assert frame[[f"parts__{code}" for code in CODES]].iloc[0].tolist() == [True, False, True]


@pytest.mark.skipif(shutil.which("java") is None, reason="ODK Validate needs a Java runtime; .ci/run installs one")
def test_odk_validate_accepts_it(tmp_path):
    from pyxform.xls2xform import xls2xform_convert

    workbook = xlsform.write(every(), tmp_path / "form.xlsx")[0]
    xls2xform_convert(str(workbook), str(tmp_path / "form.xml"), validate=True)
