"""What all exports share: which questions are choices, what may be typed, what the link brings along."""

import html
import json
import re
import zipfile

import pytest

import cocoanalysis as coco
from cocoanalysis.errors import PlatformError
from cocoanalysis.fieldwork import limesurvey, redcap, surveyjs, xlsform
from cocoanalysis.fieldwork.platforms import known_platforms
from cocoanalysis.fieldwork.questionnaire import (
    by_language,
    coded,
    conditions,
    files_by_language,
    language_name,
    questionnaire,
)
from tests.fieldwork.everything import every

ASKED = {question.id: question for question in questionnaire(every()).questions}
WRITERS = sorted(name for name, one in known_platforms().items() if one.write is not None)


def test_an_item_without_labelled_points_asks_for_a_number():
    slider = ASKED["slida"]
    assert (slider.kind, slider.choices, slider.limits) == ("number", (), {"min": 0, "max": 100})


def test_a_missing_code_of_a_number_may_be_typed():
    years = ASKED["years"]
    assert (years.choices, years.hint("da"), years.limits) == ((), "-1 = nej", {"min": -1, "max": 60.5})


def test_what_is_asked_is_not_brought_along_by_the_link():
    asked = questionnaire(every())
    assert asked.identifiers == ["who"]
    assert len(asked.columns) == len(set(asked.columns))
    assert "site" in asked.columns


def test_codes_are_kept_or_replaced_by_free_ones():
    assert coded(ASKED["kindof"], r"[A-Za-z0-9]{1,5}", "A") == {
        "a+b": "A1",
        "plain": "plain",
        "quitelongcode": "A2",
        "99": "99",
    }


def test_each_language_has_its_file(tmp_path):
    files = files_by_language(every(), tmp_path / "new" / "form.csv", None)
    assert [(one, path.name) for one, path in files] == [
        ("en", "form.csv"),
        ("da", "form.da.csv"),
        ("pt-BR", "form.pt-BR.csv"),
    ]
    with pytest.raises(PlatformError, match="language of the survey") as caught:
        files_by_language(every(), tmp_path / "form.csv", "xx")
    assert caught.value.code == "UnknownLanguage"


@pytest.mark.parametrize("name", WRITERS)
def test_every_feature_is_written_by_every_platform(tmp_path, name):
    paths = known_platforms()[name].write(every(), tmp_path / "form.out")
    assert all(path.stat().st_size for path in paths)


def test_answers_to_every_feature_are_read_back(tmp_path):
    file = tmp_path / "answers.csv"
    head = "who,rater,kindof,mixa,mixb,diffa,diffb,years,slida,slidb,sing,words,site"
    file.write_text(f"{head}\np1,me,a+b,1,2,,,-1,0,100,10,hi,n\np2,boss,plain,-9,,2,10,,50,,0,,s\n", encoding="utf-8")
    frame = coco.read_responses(file, every()).frame
    assert frame["slida"].tolist() == [0, 50]
    assert frame["site"].tolist() == ["n", "s"]


@pytest.mark.parametrize("name", sorted({"limesurvey", "qualtrics", "xlsform", "redcap", "surveyjs", "docx", "page"}))
def test_introduction_and_thanks_go_along(tmp_path, name):
    paths = known_platforms()[name].write(every(), tmp_path / "form.out")
    raw = paths[0].read_bytes()
    if raw[:2] == b"PK":
        with zipfile.ZipFile(paths[0]) as archive:
            raw = b"".join(archive.read(part) for part in archive.namelist() if part.endswith(".xml"))
    words = re.sub(r"<[^>]*>", "", html.unescape(raw.decode("utf-8")).replace("\u2060", ""))
    assert "Welcome {year}" in words
    assert "Thanks" in words


def test_a_language_with_a_region_speaks_the_language(tmp_path):
    """Words of ours are there in the language at most; the survey's own are there in the region's."""
    assert language_name("pt-BR") == "Português (pt-BR)"
    assert (language_name("da"), language_name("xx")) == ("Dansk", "xx")
    assert by_language({"en": "yes", "pt": "sim"}, ("da", "pt-BR")) == {"pt-BR": "sim"}
    assert by_language({"en": "yes"}, ("da",)) == {"en": "yes"}
    pages = json.loads(known_platforms()["surveyjs"].write(every(), tmp_path / "a.json")[0].read_text("utf-8"))["pages"]
    consent = next(one for page in pages for one in page["elements"] if one["name"] == "consent")
    assert consent["choices"][0]["text"] == {"default": "I agree", "da": "Jeg er enig", "pt-br": "Concordo"}
    book = known_platforms()["ddi"].write(every(), tmp_path / "a.xml")[0].read_text("utf-8")
    assert set(re.findall(r'xml:lang="([^"]+)"', book)) == {"en", "da", "pt-BR"}


@pytest.mark.parametrize(
    ("platform", "condition"),
    [
        (limesurvey, "(mixed_mixa.NAOK == '2') and (diffa.NAOK == '1')"),
        (surveyjs, "({mixed.mixa} = '2' or {mixed_self.mixa_self} = '2') and ({diffa} = '1')"),
        (redcap, "([mixa] = '2' or [mixa_self] = '2') and ([diffa] = '1')"),
        (xlsform, "(${mixa} = '2' or ${mixa_self} = '2') and (${diffa} = '1')"),
    ],
)
def test_a_condition_names_the_item_as_its_platform_does(platform, condition):
    """An item of a grid has the grid's name before its own; one that is asked twice is answered in either column."""
    asked = questionnaire(every())
    told = conditions(asked, ASKED["sing"], platform.GRAMMAR, getattr(platform, "platform_codes", lambda question: {}))
    assert " and ".join(told) == condition


def test_a_condition_on_what_the_form_leaves_out_is_left_out():
    short = {one.id: one for one in questionnaire(every(), form="short").questions}
    assert "mixa" not in short
    assert short["sing"].show_if == {"diffa": ("1",)}
    assert ASKED["sing"].show_if == {"mixa": ("2",), "diffa": ("1",)}
