"""XLSForm: valid by ODK's own tools, and its exports come back whole."""

import re
import shutil

import openpyxl
import pandas as pd
import pytest

import cocoanalysis as coco
from cocoanalysis.fieldwork.questionnaire import SELF, asked_twice, questionnaire
from cocoanalysis.fieldwork.xlsform import escaped, write
from tests.fieldwork.everything import every
from tests.fieldwork.roundtrip import SURVEY, answered, cells, hold_the_same


def kobo_shape(responses, separator="/"):
    """Columns with their group, self-ratings in the columns of the second form of address."""
    table, out = cells(responses), {}
    out["started"] = ["2026-01-05T10:00:00.000+01:00"] * len(table)
    for id in questionnaire(responses.survey).identifiers:
        out[id] = responses.frame[id].astype(str)
    own = responses.frame["rating"].astype(str).eq("self").to_numpy()
    out["consent"] = ["yes"] * len(table)
    for section in questionnaire(responses.survey).sections:
        for address, part in asked_twice(section):
            for question in part.questions:
                id = question.id.removesuffix(SELF)
                if id not in table:
                    continue
                grouped = len(part.questions) > 1 or part.stem[address or "other"]
                name = f"g_{part.id}{separator}{question.id}" if grouped else question.id
                shown = [True] * len(table) if address is None else own if address == "self" else ~own
                out[name] = [cell if there else "" for cell, there in zip(table[id], shown)]
    out["_id"] = [str(1000 + i) for i in range(len(table))]
    out["_uuid"] = [f"u{i}" for i in range(len(table))]
    out["_submission_time"] = ["2026-01-05T10:20:00"] * len(table)
    return pd.DataFrame(out)


@pytest.mark.parametrize("separator", ["/", "-"])
def test_an_export_comes_back_whole(tmp_path, separator):
    responses = answered()
    file = tmp_path / "export.csv"
    kobo_shape(responses, separator).to_csv(file, index=False)
    back = coco.read_responses(file, SURVEY)
    assert "as xlsform (sniffed)" in back.ledger["rule"].iloc[0]
    hold_the_same(back, responses)


def test_the_workbook_holds_every_question_in_every_language(tmp_path):
    workbook, code_map = write(SURVEY, tmp_path / "form.xlsx")
    rows = list(openpyxl.load_workbook(workbook)["survey"].values)
    header, body = rows[0], rows[1:]
    names = {row[header.index("name")] for row in body}
    assert {"label::English (en)", "label::Dansk (da)"} <= set(header)
    assert set(SURVEY.items) <= names
    assert {"collaboration", "organisation", "respondent", "consent", "mob1_self"} <= names
    assert code_map.is_file()
    labels = {row[header.index("name")]: row[header.index("label::Dansk (da)")] for row in body}
    assert labels["mob1"] == escaped(SURVEY.items["mob1"].wording("da"))


@pytest.mark.skipif(shutil.which("java") is None, reason="ODK Validate needs a Java runtime; .ci/run installs one")
@pytest.mark.parametrize(("form", "version"), [("full", None), ("core", None), ("planned", 1)])
def test_pyxform_and_odk_validate_accept_it(tmp_path, form, version):
    from pyxform.xls2xform import xls2xform_convert

    workbook, _ = write(SURVEY, tmp_path / "form.xlsx", form=form, version=version)
    assert xls2xform_convert(str(workbook), str(tmp_path / "form.xml"), validate=True) == []
    assert (tmp_path / "form.xml").stat().st_size > 10_000


@pytest.mark.skipif(shutil.which("java") is None, reason="ODK Validate needs a Java runtime; .ci/run installs one")
def test_they_accept_a_survey_with_every_feature(tmp_path):
    from pyxform.xls2xform import xls2xform_convert

    workbook, _ = write(every(), tmp_path / "form.xlsx")
    xls2xform_convert(str(workbook), str(tmp_path / "form.xml"), validate=True)
    text = (tmp_path / "form.xml").read_text(encoding="utf-8")
    assert 'constraint="(. &gt;= 0 and . &lt;= 60.5) or . = -1"' in text
    rows = list(openpyxl.load_workbook(workbook)["survey"].values)
    kinds = {row[rows[0].index("name")]: row[rows[0].index("type")] for row in rows}
    assert {kinds[name] for name in ("years", "slida", "slidb")} == {"decimal"}
    assert [kinds[name] for name in ("note_introduction", "note_thanks")] == ["note", "note"]
    choices = list(openpyxl.load_workbook(workbook)["choices"].values)
    assert not [row for row in choices if "" in row or None in row]
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+", str(row[1])) for row in choices)


def test_case_78_what_the_platform_would_evaluate_is_escaped():
    assert escaped("pick ${consent} *now* <b>x</b>") == "pick $ {consent} \\*now\\* ‹b›x‹/b›"
