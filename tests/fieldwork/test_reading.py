"""Tidy files: every fault is named with its place, nothing leaves without a ledger line. Numbers are case ids."""

import contextlib
import hashlib
import re
import traceback
import zipfile

import numpy as np
import pandas as pd
import pytest

from cocoanalysis.errors import CocoError
from cocoanalysis.fieldwork import opening
from cocoanalysis.fieldwork.platforms import (
    PLATFORMS,
    CodeMap,
    Platform,
    known_platforms,
    read_code_map,
    register,
    write_code_map,
)
from cocoanalysis.fieldwork.reading import read_responses
from cocoanalysis.instrument.reading import read_survey
from tests.shared import ROOT, SHARED, needs_shared
from tests.small import ITEMS, SURVEY, written

HEADER = ["person", "team", "sector", "years", *ITEMS]
ROWS = [
    ["001", "a", "public", "3", *["1", "2", "5", "4", "98", "2", "3", "5", "1", "2"]],
    ["002", "a", "private", "2.5", *["5", "5", "99", "4", "5", "1", "2", "1", "5", "2"]],
    ["003", "b", "refused", "", *["4", "4", "2", "3", "4", "2"], "", "1", "5", "4"],
]


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    return read_survey(written(tmp_path_factory.mktemp("small")))


def text(rows=ROWS, header=HEADER, mark=","):
    return "\n".join(mark.join(f'"{cell}"' if mark in cell else cell for cell in row) for row in [header, *rows]) + "\n"


def file(folder, content, name="answers.csv", encoding="utf-8"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return path


def changed(row, column, cell, rows=ROWS):
    copy = [list(one) for one in rows]
    copy[row][HEADER.index(column)] = cell
    return copy


def error(folder, content, survey, **more):
    with pytest.raises(CocoError) as caught:
        read_responses(file(folder, content), survey, **more)
    return caught.value


# Every kind of tidy file gives the same answers ------------------------------------------------


def saved(folder, kind):
    frame = pd.DataFrame(ROWS, columns=HEADER)
    path = folder / f"answers.{kind}"
    if kind == "csv":
        path.write_text(text())
    elif kind == "tsv":
        path.write_text(text(mark="\t"))
    elif kind == "semicolon.csv":
        path.write_bytes(b"\xef\xbb\xbf" + text(changed(1, "years", "2,5"), mark=";").replace("\n", "\r\n").encode())
    elif kind == "utf16.csv":
        path.write_bytes(text().encode("utf-16"))
    elif kind == "xlsx":
        frame[ITEMS] = frame[ITEMS].apply(pd.to_numeric)
        frame.to_excel(path, index=False)
    elif kind == "parquet":
        frame[ITEMS] = frame[ITEMS].apply(pd.to_numeric)
        frame.to_parquet(path)
    return path


@pytest.mark.parametrize("kind", ["csv", "tsv", "semicolon.csv", "utf16.csv", "xlsx", "parquet"])
def test_every_tidy_kind_reads_the_same(tmp_path, survey, kind):
    read = read_responses(saved(tmp_path, kind), survey)
    assert list(read.frame["person"]) == ["001", "002", "003"]  # case 26: leading zeros stay
    assert read.frame["tru1"].tolist() == [1, 5, 4]
    assert read.frame["tru1"].dtype == "Int64"
    assert read.frame["years"].tolist()[:2] == [3.0, 2.5]
    assert read.missing["eff1"].tolist()[0] == "cannot_judge"
    assert read.missing["tru3"].tolist()[1] == "refused"
    assert read.missing["eff3"].tolist()[2] == "skipped"
    assert read.missing["sector"].tolist()[2] == "refused"
    assert read.provenance == "yours"
    counts = read.ledger.query("step == 'missing'").set_index("rule")["cells"]
    assert counts.sum() == 3


def test_labels_in_any_language(tmp_path, survey):
    words = {
        "1": "strongly disagree",
        "2": "uenig",
        "3": "neither",
        "4": "enig",
        "5": "helt enig",
        "98": "kan ikke vurdere",
    }
    rows = [list(row) for row in ROWS]
    for row in rows:
        row[4:11] = [words.get(cell, cell if cell != "99" else "prefer not to say") for cell in row[4:11]]
    read = read_responses(file(tmp_path, text(rows)), survey)
    expected = read_responses(file(tmp_path, text(), "codes.csv"), survey)
    pd.testing.assert_frame_equal(read.frame, expected.frame)
    pd.testing.assert_frame_equal(read.missing, expected.missing)
    assert read.ledger.query("step == 'recode'")["cells"].sum() == 18


def test_headers_that_are_the_question_texts(tmp_path, survey):
    header = [
        survey.background[id].question["da"] if id in survey.background else survey.items[id].question("da")
        for id in HEADER
    ]
    read = read_responses(file(tmp_path, text(header=header)), survey)
    assert read.frame["tru2"].tolist() == [2, 5, 4]
    assert read.frame["sector"].tolist()[:2] == ["public", "private"]


def test_real_survey_carries_its_provenance():
    survey = read_survey(ROOT / "surveys" / "unit-climate")
    read = read_responses(ROOT / "surveys" / "unit-climate" / "responses.csv", survey)
    assert (len(read), read.provenance, read.frame["company"].nunique()) == (2042, "public real", 49)
    # alpha of the leadership items, from reference lq2002.md (R psych), says that columns were bound right
    items = read.items("leadership").to_numpy()
    k = items.shape[1]
    alpha = k / (k - 1) * (1 - items.var(axis=0, ddof=1).sum() / items.sum(axis=1).var(ddof=1))
    assert alpha == pytest.approx(0.902237, abs=1e-6)


# Faults by case number -----------------------------------------------------------------------------


def cut(letters):
    """The file as it is when the end is missing."""
    return text()[:-letters].encode()


# name, content, code, what the message says of the place and the way out
FAULTS = [
    ("case_19_unknown_label", text([[*r[:4], *["agree" if i else "quite so" for i in range(4)], *r[8:]] for r in ROWS]),
     "UnknownLabel", "'tru1': 3 cells hold a text that is no label of this question (first in row 2; allowed are 1, 2"),
    ("case_20_mixed_codes_and_labels", text(changed(0, "tru1", "agree")), "MixedCodes",
     "mixes codes (2 different) with labels (1 different)"),
    ("case_23_several_answers_to_a_question_with_one", text(changed(0, "sector", "public;private")), "UnknownLabel",
     "'sector': 1 cells"),
    ("case_24_decimal_comma_beside_point", text(changed(0, "years", "3,5"), mark=";"), "OutsideOptions",
     "a decimal comma in a column that also has decimal points (first in row 2"),
    ("case_24_ambiguous_comma", text(changed(1, "years", "3,500", changed(0, "years", "1,200")), mark=";"),
     "OutsideOptions", "'years': 2 cells hold a comma that may mark decimals or thousands (first in row 2"),
    ("case_24_ambiguous_delimiter", "person;a,b\n1;2,3\n2;3,4\n", "AmbiguousDelimiter", "as in delimiter="),
    ("case_25_spreadsheet_date_in_item", text(changed(0, "tru1", "5-Mar")), "OutsideOptions",
     "'tru1': 1 cells hold a date, as spreadsheets make of codes such as 3-5 (first in row 2"),
    ("case_25_number_made_of_id", text(changed(0, "person", "1E5")), "SpreadsheetId", "(first in row 2) look like ids"),
    ("case_25_date_made_of_id", text(changed(1, "person", "5-Mar")), "SpreadsheetId", "(first in row 3) look like ids"),
    ("case_25_date_cell_made_of_id", text(changed(1, "person", "2026-05-03T00:00:00")), "SpreadsheetId", "in row 3"),
    ("case_26_rounded_long_id", text(changed(0, "person", "12345678901234500")), "SpreadsheetId", "15 digits"),
    ("case_27_duplicate_id", text(changed(1, "person", "001")), "DuplicateResponse", "(rows 2, 3)"),
    ("case_30_missing_last_quote", text() + '"004,a,public', "TruncatedFile", "opens near row 5 is never closed"),
    ("case_30_cut_within_a_row", cut(9), "RaggedRow", "Row 4 of answers.csv has"),
    ("case_31_short_row", text() + "004,a,public\n", "RaggedRow", "Row 5 of answers.csv has 3 cells where the header"),
    ("case_31_long_row", text() + ",".join(["1"] * 20) + "\n", "RaggedRow", "Row 5 of answers.csv has 20 cells"),
    ("case_38_legacy_or_encrypted_workbook", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100), "LegacySpreadsheet",
     "save it as .xlsx without a password"),
    ("case_40_renamed_column", text(header=[c.replace("tru3", "trust3") for c in HEADER]), "RenamedColumn",
     "no column for the item 'tru3', but a column 'trust3'"),
    ("case_40_renamed_attention_check", text(header=[c.replace("att1", "att11") for c in HEADER]), "RenamedColumn",
     "no column for the item 'att1', but a column 'att11'"),
    ("case_41_outside_options", text(changed(2, "tru1", "7")), "OutsideOptions",
     "'tru1': 1 cells hold a number outside the options (first in row 4; allowed are 1, 2, 3, 4, 5"),
    ("case_51_infinite", text(changed(2, "years", "inf")), "OutsideOptions", "'years': 1 cells hold no number"),
    ("case_51_infinite_item", text(changed(2, "tru1", "inf")), "UnknownLabel", "'tru1': 1 cells"),
    ("case_51_huge", text(changed(2, "years", "1e308")), "OutsideOptions", "outside the range (first in row 4"),
    ("case_51_negative_zero", text(changed(2, "years", "-0.0")), "OutsideOptions", "1 cells hold a negative zero"),
    ("case_51_negative_zero_item", text(changed(2, "tru1", "-0.0")), "OutsideOptions", "1 cells hold a negative zero"),
    ("case_11_not_utf8", text(changed(2, "team", "ø")).encode("latin-1"), "EncodingError", "not utf-8 at byte"),
    ("case_11_nul", text().encode() + b"\x00", "NulByte", "holds a NUL byte at byte"),
    ("duplicate_column", text(header=[c.replace("tru3", "tru2") for c in HEADER]), "DuplicateColumn", "'tru2'"),
    ("empty_file", b"", "EmptyFile", "answers.csv is empty"),
    ("wrong_survey", text(header=[f"v{i}" for i in range(len(HEADER))]), "NoItems", "the items are tru1, tru2"),
]  # fmt: skip


def faults(*numbers):
    """Parametrises by the faults of these cases of the list of bad inputs; without numbers, by those of no case."""
    told = {fault[0]: re.match(r"case_(\d+)_", fault[0]) for fault in FAULTS}
    chosen = [one for one in FAULTS if (int(found[1]) in numbers if (found := told[one[0]]) else not numbers)]
    return pytest.mark.parametrize(
        ("content", "code", "words"), [one[1:] for one in chosen], ids=[o[0] for o in chosen]
    )


def refused(folder, survey, content, code, words):
    """One full sentence with the place, and nobody's answer in it."""
    problem = error(folder, content, survey)
    assert problem.code == code, problem
    message = str(problem)
    assert words in message
    assert message.endswith(".")
    assert not [answer for answer in ("quite so", "1,200", "5-Mar", "1e308") if answer in message]


@faults()
def test_fault(tmp_path, survey, content, code, words):
    refused(tmp_path, survey, content, code, words)


@faults(11)
def test_case_11_encoding_faults_name_the_byte(tmp_path, survey, content, code, words):
    refused(tmp_path, survey, content, code, words)


@faults(19)
def test_case_19_an_unknown_label_is_no_code(tmp_path, survey, content, code, words):
    refused(tmp_path, survey, content, code, words)


@faults(20)
def test_case_20_codes_and_labels_in_one_column(tmp_path, survey, content, code, words):
    refused(tmp_path, survey, content, code, words)


@faults(23)
def test_case_23_several_answers_where_one_is_asked_for(tmp_path, survey, content, code, words):
    refused(tmp_path, survey, content, code, words)


@faults(24)
def test_case_24_commas_that_may_mean_two_things(tmp_path, survey, content, code, words):
    refused(tmp_path, survey, content, code, words)


def test_case_24_decimal_commas_between_semicolons_are_read(tmp_path, survey):
    rows = changed(0, "years", "3,5", changed(1, "years", "12,25"))
    assert read_responses(file(tmp_path, text(rows, mark=";")), survey).frame["years"].tolist()[:2] == [3.5, 12.25]


@faults(25)
def test_case_25_what_a_spreadsheet_made_of_codes_and_ids(tmp_path, survey, content, code, words):
    refused(tmp_path, survey, content, code, words)


@faults(26)
def test_case_26_a_rounded_id(tmp_path, survey, content, code, words):
    refused(tmp_path, survey, content, code, words)


@faults(27)
def test_case_27_an_id_that_occurs_twice(tmp_path, survey, content, code, words):
    refused(tmp_path, survey, content, code, words)


@faults(30)
def test_case_30_a_file_that_is_cut_off(tmp_path, survey, content, code, words):
    refused(tmp_path, survey, content, code, words)


@faults(31)
def test_case_31_a_row_of_another_length(tmp_path, survey, content, code, words):
    refused(tmp_path, survey, content, code, words)


@faults(38)
def test_case_38_an_encrypted_or_legacy_workbook(tmp_path, survey, content, code, words):
    refused(tmp_path, survey, content, code, words)


@faults(40)
def test_case_40_a_column_that_somebody_renamed(tmp_path, survey, content, code, words):
    refused(tmp_path, survey, content, code, words)


@faults(41)
def test_case_41_an_answer_outside_the_options(tmp_path, survey, content, code, words):
    refused(tmp_path, survey, content, code, words)


@faults(51)
def test_case_51_numbers_that_nobody_gave(tmp_path, survey, content, code, words):
    refused(tmp_path, survey, content, code, words)


def test_case_41_message_counts_and_shows_no_answer(tmp_path, survey):
    message = str(error(tmp_path, text(changed(2, "tru1", "777")), survey))
    assert "'tru1': 1 cells" in message
    assert "row 4" in message
    assert "1, 2, 3, 4, 5" in message
    assert "777" not in message


def test_case_41_invalid_as_missing_is_counted(tmp_path, survey):
    read = read_responses(file(tmp_path, text(changed(2, "tru1", "7"))), survey, invalid="missing")
    assert read.missing["tru1"].tolist()[2] == "invalid"
    assert read.ledger.query("step == 'recode'")["cells"].tolist() == [1]


def test_case_26_answers_called_NA_stay(tmp_path, survey):
    header, rows = [*HEADER, "remark"], [[*row, cell] for row, cell in zip(ROWS, ["NA", "None", "null"])]
    read = read_responses(file(tmp_path, text(rows, header)), survey)
    assert read.frame["remark"].tolist() == ["NA", "None", "null"]


def test_marks_of_other_programs_are_named_by_the_user(tmp_path, survey):
    content = text(changed(0, "tru1", "NA"))
    assert read_responses(file(tmp_path, content), survey, empty=("NA",)).missing["tru1"].tolist()[0] == "skipped"


@pytest.mark.parametrize(("rule", "kept"), [("first", 1), ("last", 5), ("fullest", 5)])
def test_case_27_duplicates_by_rule(tmp_path, survey, rule, kept):
    rows = changed(1, "person", "001", changed(0, "tru2", ""))
    read = read_responses(file(tmp_path, text(rows)), survey, duplicates=rule)
    assert read.frame["tru1"].tolist() == [kept, 4]
    assert read.ledger.iloc[-1][["rows", "n_before", "n_after"]].tolist() == [1, 3, 2]


def test_case_27_one_person_who_sent_two_responses_is_a_duplicate(tmp_path, survey):
    header, rows = (
        ["response", *HEADER],
        [[f"R_{row}", *cells] for row, cells in enumerate(changed(1, "person", "001"))],
    )
    assert error(tmp_path, text(rows, header), survey).code == "DuplicateResponse"
    read = read_responses(file(tmp_path, text(rows, header)), survey, duplicates="last")
    assert read.frame["response"].tolist() == ["R_1", "R_2"]


@pytest.mark.parametrize("name", ["response", "person"])
def test_case_27_rows_without_an_id_repeat_nobody(tmp_path, survey, name):
    header, rows = ["response", *HEADER], [[f"R_{row}", *cells] for row, cells in enumerate(ROWS)]
    rows = [[("" if one == name else cell) for one, cell in zip(header, row)] for row in rows]
    assert len(read_responses(file(tmp_path, text(rows, header)), survey)) == 3


def test_case_27_one_person_in_two_collaborations_is_no_duplicate(tmp_path, survey):
    assert len(read_responses(file(tmp_path, text(changed(2, "person", "001"))), survey)) == 3


def test_case_28_previews_leave_and_are_counted(tmp_path, survey):
    header, rows = [*HEADER, "status"], [[*row, cell] for row, cell in zip(ROWS, ["live", "preview", "live"])]
    read = read_responses(file(tmp_path, text(rows, header)), survey)
    assert len(read) == 2
    assert read.ledger.query("step == 'exclude'")["rows"].tolist() == [1]


def test_case_29_partials_stay_counted_and_say_not_reached(tmp_path, survey):
    cut = [*ROWS[1][:8], *[""] * 6]
    cut[3] = ""
    header = [*HEADER, "complete"]
    rows = [[*ROWS[0], "true"], [*cut, "false"], [*ROWS[2], "true"]]
    read = read_responses(file(tmp_path, text(rows, header)), survey)
    assert read.missing["eff1"].tolist()[1] == "not_reached"
    assert read.missing["eff3"].tolist()[2] == "skipped"
    assert read.ledger.query("rule.str.startswith('partial')")["rows"].tolist() == [1]
    assert read.exclude("not complete").frame["person"].tolist() == ["001", "003"]


@pytest.mark.parametrize(
    ("times", "seconds", "code"),
    [
        (["2026-10-25T02:50:00+02:00", "2026-10-25T02:10:00+01:00"], 1200, None),  # summer time ends in between
        (["2026-10-25 02:50:00", "2026-10-25 02:10:00"], None, "NegativeDuration"),
        (["2026-10-25T02:50:00+02:00", "2026-10-25 03:10:00"], None, "MixedTimeZones"),
        (["2026-05-01 10:00:00", "2026-05-01 10:05:30"], 330, None),
    ],
)
def test_case_36_durations_are_counted_in_utc(tmp_path, survey, times, seconds, code):
    header, rows = [*HEADER, "started", "ended"], [[*row, *times] for row in ROWS]
    read = read_responses(file(tmp_path, text(rows, header)), survey)
    told = read.frame["seconds"].iloc[0] if "seconds" in read.frame else None
    assert told == seconds or (seconds is None and pd.isna(told))
    assert code is None or code in [one.code for one in read.diagnostics]
    assert read.frame["started"].iloc[0] == times[0]  # kept with its offset


@pytest.mark.parametrize(
    ("cell", "weight"), [("1.5", 1.5), ("1,5", 1.5), ("2e-1", 0.2), ("inf", None), ("1,500", None)]
)
def test_case_51_technical_numbers_are_finite_and_clear(tmp_path, survey, cell, weight):
    path = file(tmp_path, text([[*row, cell] for row in ROWS], [*HEADER, "weight"], ";"))
    if weight is None:
        with pytest.raises(CocoError, match="'weight': 3 cells hold no number"):
            read_responses(path, survey)
    else:
        assert read_responses(path, survey).frame["weight"].tolist() == [weight] * 3


def test_form_says_what_was_not_asked(tmp_path, survey):
    header = [*HEADER, "form"]
    rows = [[*ROWS[0], "full"], [*ROWS[1], "full"], [*ROWS[2], "short"]]
    read = read_responses(file(tmp_path, text(rows, header)), survey)
    assert read.missing["eff3"].tolist()[2] == "not_asked"


def test_case_32_embedded_newlines_and_formulas_are_only_text(tmp_path, survey):
    header = [*HEADER, "remark"]
    rows = [[*row, cell] for row, cell in zip(ROWS, ["two\nlines, one cell", "=1+1", 'a "quoted" word'])]
    content = "\n".join(",".join('"' + c.replace('"', '""') + '"' for c in r) for r in [header, *rows])
    read = read_responses(file(tmp_path, content), survey)
    assert read.frame["remark"].tolist() == [row[-1] for row in rows]


def test_case_37_zip_bomb_is_not_opened(tmp_path, survey):
    path = tmp_path / "bomb.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", b"\0" * 50_000_000)
    with pytest.raises(CocoError) as caught:
        read_responses(path, survey)
    assert caught.value.code == "TooLarge"


def test_case_37_xml_entities_in_a_workbook_are_not_expanded(tmp_path, survey):
    good = saved(tmp_path, "xlsx")
    path = tmp_path / "hostile.xlsx"
    with zipfile.ZipFile(good) as old, zipfile.ZipFile(path, "w") as new:
        for part in old.namelist():
            content = old.read(part)
            if part.endswith("sheet1.xml"):
                content = content.split(b"?>")[-1] if content.startswith(b"<?xml") else content
                content = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>' + content
            new.writestr(part, content)
    with pytest.raises(CocoError) as caught:
        read_responses(path, survey)
    assert caught.value.code == "DamagedWorkbook"
    assert "EntitiesForbidden" in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("kind", ["xlsx", "parquet", "csv"])
@pytest.mark.parametrize("seed", range(12))
def test_damaged_files_are_never_a_traceback(tmp_path, survey, kind, seed):
    rng = np.random.default_rng(seed)
    content = bytearray(saved(tmp_path, kind).read_bytes())
    for place in rng.integers(0, len(content), 8):
        content[place] = int(rng.integers(0, 256))
    path = file(tmp_path, bytes(content[: rng.integers(len(content) // 2, len(content))]), f"bad.{kind}")
    with contextlib.suppress(CocoError):  # any other exception fails the test
        read_responses(path, survey)


def test_case_37_huge_file_is_named(tmp_path, survey, monkeypatch):
    monkeypatch.setattr(opening, "MAX_CELLS", 20)
    assert error(tmp_path, text(), survey).code == "TooLarge"


def test_case_39_other_version_is_refused(tmp_path, survey):
    header = [*HEADER, "surveyversion"]
    assert error(tmp_path, text([[*row, "0.0.9"] for row in ROWS], header), survey).code == "VersionMismatch"


@pytest.mark.parametrize("place", ["argument", "file", "beside"])
def test_code_map_binds_columns_and_codes(tmp_path, survey, place):
    header = [f"Q{i}" for i in range(len(HEADER))]
    path = file(tmp_path, text(header=header))
    columns = dict(zip(HEADER, header))
    if place == "beside":
        write_code_map(path, CodeMap(columns, {}, survey.id, survey.version, "tidy"))
        read = read_responses(path, survey)
    elif place == "file":
        named = write_code_map(tmp_path / "other", CodeMap(columns))
        read = read_responses(path, survey, code_map=named)
    else:
        read = read_responses(path, survey, code_map={column: id for id, column in columns.items()})
    assert read.frame["tru1"].tolist() == [1, 5, 4]


def test_case_21_recoded_values_follow_the_map(tmp_path, survey):
    path = file(tmp_path, text(changed(0, "tru1", "A1", changed(1, "tru1", "A5", changed(2, "tru1", "A4")))))
    codes = {"tru1": {f"A{i}": str(i) for i in range(1, 6)}}
    write_code_map(path, CodeMap({}, codes))
    assert read_responses(path, survey).frame["tru1"].tolist() == [1, 5, 4]


def test_code_map_of_another_version_is_refused(tmp_path, survey):
    path = file(tmp_path, text())
    write_code_map(path, CodeMap({}, {}, survey.id, "0.0.1"))
    with pytest.raises(CocoError) as caught:
        read_responses(path, survey)
    assert caught.value.code == "VersionMismatch"


def test_empty_rows_at_the_end_are_left_out_and_counted(tmp_path, survey):
    read = read_responses(file(tmp_path, text([*ROWS, [""] * len(HEADER)])), survey)
    assert len(read) == 3
    assert read.ledger.query("step == 'exclude'")["rule"].tolist() == ["empty rows left out"]


def test_ids_in_capitals_are_ids(tmp_path, survey):
    read = read_responses(file(tmp_path, text(header=[name.upper() for name in HEADER])), survey)
    assert read.frame["tru1"].tolist() == [1, 5, 4]


@pytest.mark.parametrize("content", ["hello world", '{"a": 1}', "<html></html>"])
def test_what_is_no_table_is_named(tmp_path, survey, content):
    assert error(tmp_path, content, survey).code in ("NotATable", "NoItems", "TruncatedFile")


def test_code_map_comes_back_as_written(tmp_path):
    code_map = CodeMap({"a": "Q1"}, {"a": {"1": "2"}}, "s", "1.0", "tidy")
    assert read_code_map(write_code_map(tmp_path / "x.csv", code_map)) == code_map


def test_personal_columns_are_dropped_unless_asked_for(tmp_path, survey):
    header = [*HEADER, "email"]
    path = file(tmp_path, text([[*row, "someone"] for row in ROWS], header))
    assert "email" not in read_responses(path, survey).frame
    assert "email" in read_responses(path, survey, keep_personal=True).frame
    assert "email" in read_responses(path, survey).ledger["rule"].str.cat()


def test_unmatched_columns_are_listed_with_candidates(tmp_path, survey):
    header = [*HEADER, "yeers", "unrelated"]
    read = read_responses(
        file(tmp_path, text([[*row, "1", "1"] for row in ROWS], header).replace("years", "when", 1)), survey
    )
    assert read.unmatched.set_index("column")["candidates"].to_dict() == {"when": "", "yeers": "years", "unrelated": ""}


def test_case_53_reversed_deposit_is_asked_about_and_turned_back(tmp_path, survey):
    rng = np.random.default_rng(3)
    trait = rng.normal(size=300)
    levels = np.clip(np.round(3 + trait[:, None] + rng.normal(scale=0.6, size=(300, 4))), 1, 5).astype(int)
    rows = [[str(i), "a", "public", "1", *map(str, row), "4", "2", "4", "1", "5", "2"] for i, row in enumerate(levels)]
    path = file(tmp_path, text(rows))  # tru3 is reverse-keyed, yet runs with the others: reversed before
    read = read_responses(path, survey)
    assert "AlreadyReversed" in [one.code for one in read.diagnostics]
    back = read_responses(path, survey, already_reversed=["tru3"])
    assert "AlreadyReversed" not in [one.code for one in back.diagnostics]
    np.testing.assert_allclose(back.scores("trust")["trust"], levels.mean(axis=1))


@pytest.mark.parametrize("provenance", ["column", "hash"])
def test_synthetic_answers_are_known_as_such(tmp_path, provenance):
    digest = hashlib.sha256(text().encode()).hexdigest()
    sample = f"samples:\n  - {{file: made.csv, provenance: synthetic, sha256: {digest}}}\n"
    survey = read_survey(written(tmp_path, SURVEY + (sample if provenance == "hash" else "")))
    if provenance == "hash":
        path = file(tmp_path, text(), "renamed.csv")
    else:
        path = file(tmp_path, text([[*row, "synthetic"] for row in ROWS], [*HEADER, "provenance"]))
    assert read_responses(path, survey).provenance == "synthetic"


def test_platforms_are_found_by_name_and_a_new_one_is_one_registration(tmp_path, survey):
    assert {"tidy", "spss", "stata"} <= set(known_platforms())
    tidy = PLATFORMS["tidy"]
    register(Platform("mine", sniff=lambda head: float("person" in head.columns), read=tidy.read))
    try:
        read = read_responses(file(tmp_path, text()), survey)
        assert "as mine (sniffed)" in read.ledger["rule"][0]
    finally:
        del PLATFORMS["mine"]
    with pytest.raises(CocoError) as caught:
        read_responses(file(tmp_path, text()), survey, platform="tidi")
    assert caught.value.code == "UnknownPlatform"


# SPSS and Stata -----------------------------------------------------------------------------------


@needs_shared
def test_case_33_spss_user_missing_keep_their_reason(tmp_path, survey):
    read = read_responses(
        SHARED / "exports" / "spss" / "ours-usermissing.sav",
        survey,
        code_map={"person": "id", "tru1": "l1", "tru2": "l2r"},
    )
    assert read.frame["tru1"].isna().tolist() == [False, True, True, True]
    assert read.missing["tru1"].tolist()[1:] == ["refused", "skipped", "skipped"]
    assert read.ledger.query("rule.str.startswith('declared')")["cells"].sum() == 3


@needs_shared
def test_case_34_stata_system_missing_is_not_zero(tmp_path, survey):
    path = SHARED / "exports" / "stata" / "ours-int-sysmiss-and-tagged.dta"
    read = read_responses(path, survey, code_map={"tru1": "q"})
    assert read.frame["tru1"].dropna().tolist() == [1, 2, 5]
    assert read.missing["tru1"].tolist()[2:4] == ["missing_a", "skipped"]


def test_case_35_spss_value_labels_of_strings_and_recodes(tmp_path, survey):
    import pyreadstat

    frame = pd.DataFrame({"person": ["a", "b"], "sector": ["p", "q"], "tru1": [10.0, 20.0], "tru2": [1.0, 99.0]})
    labels = {"sector": {"p": "Public", "q": "Private"}, "tru1": {10.0: "disagree", 20.0: "helt enig"}}
    path = tmp_path / "answers.sav"
    ranges = {"tru2": [99]}
    pyreadstat.write_sav(frame, str(path), variable_value_labels=labels, missing_ranges=ranges)
    read = read_responses(path, survey)
    assert read.frame["sector"].tolist() == ["public", "private"]
    assert read.frame["tru1"].tolist() == [2, 5]
    assert read.missing["tru2"].tolist()[1] == "refused"


def test_damaged_sav_is_named(tmp_path, survey):
    assert error(tmp_path, b"$FL2" + b"@(#) nothing" * 20, survey).code == "DamagedFile"


def test_a_path_in_place_of_the_survey_is_named(tmp_path):
    with pytest.raises(CocoError) as raised:
        read_responses(tmp_path / "answers.csv", "surveys/cocreation")
    assert raised.value.code == "NotASurvey"


@pytest.mark.parametrize("kind", ["sav", "dta", "por"])
def test_a_statistics_file_that_ends_the_library_ends_no_session(tmp_path, survey, monkeypatch, kind):
    from cocoanalysis.instrument import statfile

    aborts = tmp_path / "aborts.py"
    aborts.write_text("import os; os.abort()")
    monkeypatch.setattr(statfile, "__file__", str(aborts))
    path = file(tmp_path, b"nothing of the kind", f"answers.{kind}")
    with pytest.raises(CocoError) as caught:
        read_responses(path, survey)
    assert caught.value.code == "DamagedFile"


# What the caller says, and what the file is -----------------------------------------------------------


def test_a_language_the_survey_lacks_is_named(tmp_path, survey):
    problem = error(tmp_path, text(), survey, language="dk")
    assert problem.code == "UnknownLanguage"
    assert "en, da" in str(problem)


@pytest.mark.parametrize("platform", ["qualtrics", "limesurvey", "redcap", "xlsform", "surveyjs"])
def test_a_platform_named_for_another_kind_of_file_is_doubted(tmp_path, survey, platform):
    read = read_responses(file(tmp_path, text()), survey, platform=platform)
    assert [one.code for one in read.diagnostics if "as you asked" in str(one)] == ["UnlikelyPlatform"]
    assert read.frame["tru1"].tolist() == [1, 5, 4]


@pytest.mark.parametrize("platform", ["spss", "stata"])
def test_a_platform_that_cannot_have_written_the_file_is_refused(tmp_path, survey, platform):
    problem = error(tmp_path, text(), survey, platform=platform)
    assert problem.code == "WrongPlatform"
    assert "platform='tidy'" in str(problem)


@pytest.mark.parametrize("kind", ["csv", "xlsx", "parquet"])
def test_a_file_without_responses_says_so(tmp_path, survey, kind):
    path = tmp_path / f"answers.{kind}"
    empty = pd.DataFrame(columns=HEADER, dtype=str)
    {"csv": empty.to_csv, "xlsx": empty.to_excel, "parquet": empty.to_parquet}[kind](path, index=False)
    with pytest.raises(CocoError, match="a header but no responses") as caught:
        read_responses(path, survey)
    assert caught.value.code == "NoResponses"


@pytest.mark.parametrize("mark", ["ab", '"', "\n"])
def test_one_character_stands_between_the_cells(tmp_path, survey, mark):
    problem = error(tmp_path, text(), survey, delimiter=mark)
    assert (problem.code, "one character" in str(problem).lower()) == ("BadDelimiter", True)


def test_answers_of_no_collaboration_are_said(tmp_path, survey):
    whole = pd.read_csv(file(tmp_path, text()), dtype=str)
    for table in (whole.drop(columns=survey.cluster), whole.assign(**{survey.cluster: ""})):
        read = read_responses(file(tmp_path, table.to_csv(index=False)), survey)
        assert "NoCluster" in [one.code for one in read.diagnostics]
    assert "NoCluster" not in [one.code for one in read_responses(file(tmp_path, text()), survey).diagnostics]


def test_addresses_in_place_of_codes_are_named_and_not_shown(tmp_path, survey):
    table = pd.read_csv(file(tmp_path, text()), dtype=str).assign(person=["a.b@uni.dk", "c@uni.dk", "003"])
    read = read_responses(file(tmp_path, table.to_csv(index=False)), survey)
    told = next(str(one) for one in read.diagnostics if one.code == "PersonalIdentifier")
    assert "person" in told
    assert "uni.dk" not in told


def test_nobody_left_after_the_rules_is_said(tmp_path, survey):
    read = read_responses(file(tmp_path, text([[*row, "test"] for row in ROWS], [*HEADER, "status"])), survey)
    assert [one.code for one in read.diagnostics] == ["NobodyLeft"]
