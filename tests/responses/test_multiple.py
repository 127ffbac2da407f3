"""Questions with several answers: one true-or-false column an answer, whatever the platform wrote (case 23)."""

import pandas as pd
import pytest

import cocoanalysis as coco
from cocoanalysis.errors import CocoError
from cocoanalysis.responses.writing import write_responses, write_sav
from tests.small import INSTRUMENT, ITEMS, SURVEY, written

SECTORS = """\
  - id: sectors
    label: {en: Sectors, da: Sektorer}
    question: {en: "Which sectors take part?", da: "Hvilke sektorer deltager?"}
    kind: multiple
    categories:
      - {code: public, label: {en: "Public, local", da: "Offentlig, lokal"}}
      - {code: private, label: {en: Private, da: Privat}}
      - {code: 3, label: {en: Third sector, da: Tredje sektor}}
      - {code: other, label: {en: Other, da: Andet}}
    missing: [{code: 98, reason: refused, label: {en: no answer, da: intet svar}}]
  - id: bank
    label: {en: Bank, da: Bank}
    question: {en: "Which bank?", da: "Hvilken bank?"}
    kind: text
    show_if: {sectors: [private, 3]}
"""
WITH_SECTORS = INSTRUMENT + SECTORS
COLUMNS = ["sectors__public", "sectors__private", "sectors__3", "sectors__other"]
CODES = ["public", "private", "3", "other"]
FOUR = {"person": ["1", "2", "3", "4"], "team": ["a"] * 4, **{id: ["1", "2", "3", "2"] for id in ITEMS}}
ANSWERS = [{"public", "3"}, {"public", "private"}, {"other"}, set()]  # the four respondents


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    return coco.read_survey(written(tmp_path_factory.mktemp("several"), instrument=WITH_SECTORS))


def read(folder, survey, columns, **more):
    path = folder / "answers.csv"
    pd.DataFrame({**FOUR, **columns}).to_csv(path, index=False)
    return coco.read_responses(path, survey, **more)


def chosen(responses):
    """What each respondent chose, as sets of codes."""
    table = responses.frame[COLUMNS].fillna(False).to_numpy(dtype=bool)
    return [{code for code, there in zip(CODES, row) if there} for row in table]


def split(pattern, yes, no, names=CODES, empty=None):
    """One column an answer; ``empty`` is what stands where nothing was chosen at all."""
    return {
        pattern.format(name): [
            (no if empty is None else empty) if not given else yes if code in given else no for given in ANSWERS
        ]
        for code, name in zip(CODES, names)
    }


WORDS = {"public": "Public, local", "private": "Private", "3": "Third sector", "other": "Other"}
DANISH = {"public": "Offentlig, lokal", "private": "Privat", "3": "Tredje sektor", "other": "Andet"}


def joined(mark, words=None, start="", end=""):
    names = words or {code: code for code in CODES}
    return {"sectors": [start + mark.join(names[c] for c in CODES if c in given) + end for given in ANSWERS]}


REDCAP = {"record_id": ["1", "2", "3", "4"], "small_complete": ["2"] * 4}
LIME = {"id": ["1", "2", "3", "4"], "submitdate": ["2026-01-01"] * 4, "lastpage": ["9"] * 4}
LIME |= {"startlanguage": ["en"] * 4}
KOBO = {"_id": ["1", "2", "3", "4"], "_uuid": ["u1", "u2", "u3", "u4"]}
LAYOUTS = {
    "our own columns": split("sectors__{}", "true", "false", empty=""),
    "codes and semicolons": joined(";"),
    "Qualtrics, codes and commas": joined(","),
    "XLSForm, codes and blanks": joined(" "),
    "Kobo, joined and split": {**KOBO, **joined(" "), **split("g/sectors/{}", "1", "0", empty="")},
    "Kobo, zeros in a question left empty": {**KOBO, **joined(" "), **split("g/sectors/{}", "True", "False")},
    "Microsoft Forms": joined(";", WORDS, end=";"),
    "Google Forms, words with commas in them": joined(", ", WORDS),
    "Google Forms, the question as heading": {"Hvilke sektorer deltager?": joined(", ", DANISH)["sectors"]},
    "one word a line": joined("\n", DANISH),
    "SurveyJS": {"sectors": [str([c for c in CODES if c in g]).replace("'", '"') if g else "" for g in ANSWERS]},
    "REDCap, raw": {**REDCAP, **split("sectors___{}", "1", "0")},
    "REDCap, labels": {
        "Record ID": ["1", "2", "3", "4"],
        "Complete?": ["Complete"] * 4,
        **split("Which sectors take part? (choice={})", "Checked", "Unchecked", WORDS.values()),
    },
    "LimeSurvey, codes": {**LIME, **split("sectors[{}]", "Y", "")},
    "LimeSurvey, converted": {**LIME, **split("sectors_{}", "Y", "N")},
    "LimeSurvey, words": {**LIME, **split("Which sectors take part? [{}]", "Yes", "No", WORDS.values())},
    "LimeSurvey, other in own words": {
        **LIME,
        **split("sectors[{}]", "Y", ""),
        "sectors[other]": ["", "", "a church", ""],
    },
    "split columns that hold the answers' words": {
        f"sectors_{code}": [WORDS[code] if code in given else "" for given in ANSWERS] for code in CODES
    },
    "split columns headed with question and answer": split("Which sectors take part? - {}", "1", "", WORDS.values()),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_case_23_every_layout_gives_the_same_answers(tmp_path, survey, layout):
    responses = read(tmp_path, survey, LAYOUTS[layout])
    assert chosen(responses) == ANSWERS
    assert responses.missing[COLUMNS].iloc[3].tolist() == ["skipped"] * 4
    assert not responses.missing[COLUMNS].iloc[:3].notna().any(axis=None)
    assert responses.frame[COLUMNS].dtypes.astype(str).tolist() == ["boolean"] * 4
    assert "sectors" not in responses.frame


def test_case_23_a_reason_holds_for_all_answers_and_said_no_is_an_answer(tmp_path, survey):
    responses = read(tmp_path, survey, {"sectors": ["98", "no answer", "intet svar", "public"]})
    assert responses.missing[COLUMNS].iloc[:3].to_numpy().ravel().tolist() == ["refused"] * 12
    said_no = read(tmp_path, survey, split("sectors__{}", "true", "false"))
    assert said_no.frame[COLUMNS].iloc[3].tolist() == [False] * 4


@pytest.mark.parametrize(
    ("columns", "code", "words"),
    [
        ({"sectors": ["public;church", "public", "", ""]}, "OutsideOptions", "no list of this question's answers"),
        ({"sectors": ["public", "98;public", "", ""]}, "OutsideOptions", "beside one that says there is none"),
        ({"sectors": ["1,3", "2", "", ""]}, "OutsideOptions", "2 cells hold a text that is no list"),
        ({"sectors_public": ["perhaps", "", "", ""]}, "OutsideOptions", "neither that the answer was chosen"),
        ({"sectors": ["public", "", "", ""], "sectors_3": ["1", "", "", ""]}, "DuplicateBinding", "first in row 2"),
    ],
)
def test_case_23_what_is_no_answer_is_refused(tmp_path, survey, columns, code, words):
    with pytest.raises(CocoError, match=words) as caught:
        read(tmp_path, survey, columns)
    assert caught.value.code == code
    assert "church" not in str(caught.value)


def test_platform_codes_are_turned_by_the_code_map(tmp_path, survey):
    (tmp_path / "answers.csv.codemap.json").write_text(
        '{"schema": 1, "columns": {"sectors": "Q7"}, "codes": {"sectors": {"1": "public", "2": "private", "4": "3"}}}'
    )
    assert chosen(read(tmp_path, survey, {"Q7": ["1,4", "1,2", "other", ""]})) == ANSWERS
    columns = {"Q7_1": ["1", "1", "", ""], "Q7_2": ["", "1", "", ""], "Q7_4": ["1", "", "", ""]}
    assert chosen(read(tmp_path, survey, {**columns, "Q7_other": ["", "", "x", ""]})) == ANSWERS


def test_a_condition_asks_whether_one_of_the_answers_was_given(tmp_path, survey):
    responses = read(tmp_path, survey, {**joined(";"), "bank": ["", "A", "", ""]})
    assert responses.missing["bank"].astype(object).fillna("").tolist() == ["skipped", "", "not_asked", "not_asked"]


def test_files_of_ours_keep_every_answer_and_reason(tmp_path, survey):
    responses = read(tmp_path, survey, {"sectors": ["public;3", "98", "", "other"]})
    write_responses(responses, tmp_path / "again.csv")
    again = coco.read_responses(tmp_path / "again.csv", survey)
    pd.testing.assert_frame_equal(again.frame, responses.frame)
    pd.testing.assert_frame_equal(again.missing, responses.missing)
    write_sav(responses, tmp_path / "again.sav")
    pd.testing.assert_frame_equal(
        coco.read_responses(tmp_path / "again.sav", survey).frame[COLUMNS], responses.frame[COLUMNS]
    )
    book = responses.codebook("da").set_index("column")
    assert book.loc["sectors__3", ["kind", "question", "answers"]].tolist() == [
        "multiple",
        "Sektorer: Tredje sektor",
        "true = Tredje sektor; false = not chosen",
    ]
    assert survey.label("sectors__public") == "Sectors: Public, local"
    assert {"sectors__public", "sectors__3"} <= set(coco.anonymity(responses).tidy()["variable"]) | set(COLUMNS)


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("3, label: {en: Third", "-3, label: {en: Third", "CodeNoName"),
        ("3, label: {en: Third", "PUBLIC, label: {en: Third", "DuplicateCode"),
        ("    kind: multiple\n", "    kind: multiple\n    reference: public\n", "ReferenceOfMultiple"),
        (SECTORS[SECTORS.index("    categories:") : SECTORS.index("    missing")], "", "MissingCategories"),
    ],
)
def test_faults_of_a_multiple_question_have_their_place(tmp_path, old, new, code):
    with pytest.raises(CocoError) as caught:
        coco.read_survey(written(tmp_path, instrument=WITH_SECTORS.replace(old, new)))
    assert code in str(caught.value.findings) + caught.value.code
    assert "smallone.yaml:" in str(caught.value)


def test_the_address_cannot_hang_on_several_answers(tmp_path):
    address = "address: {column: sectors, self: public, other: private}\n"
    with pytest.raises(CocoError) as caught:
        coco.read_survey(written(tmp_path, SURVEY + address, WITH_SECTORS))
    assert caught.value.code == "AddressOfMultiple"


def test_compared_versions_name_changed_background(tmp_path, survey):
    (tmp_path / "new").mkdir()
    changed = WITH_SECTORS.replace("kind: multiple", "kind: categorical").replace("Which bank?", "Whose money?")
    after = coco.read_survey(written(tmp_path / "new", instrument=changed))
    rows = coco.compare_surveys(survey, after).tidy().set_index("id")
    assert rows.loc["sectors", ["level", "change", "comparable"]].tolist() == ["background", "kind", "no"]
    assert rows.loc["bank", ["change", "comparable"]].tolist() == ["wording", "only within"]
