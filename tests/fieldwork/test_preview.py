"""The preview page: small, closed, accessible, and its answers come back as they were given."""

import re
import shutil

import pytest

import cocoanalysis as coco
from cocoanalysis.errors import PlatformError
from cocoanalysis.fieldwork.preview import write
from tests.browser import opened_page
from tests.shared import ROOT

SURVEY = coco.read_survey(ROOT / "surveys/cocreation")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    return write(SURVEY, tmp_path_factory.mktemp("preview") / "page.html")[0]


def test_is_one_small_file_without_a_request(page):
    text = page.read_text(encoding="utf-8")
    assert page.stat().st_size < 200_000
    assert not re.search(r"https?://|src=|@import|url\(", text)
    assert "default-src 'none'" in text


def test_holds_every_question_in_every_language(page):
    text = page.read_text(encoding="utf-8")
    for item in SURVEY.items.values():
        assert f'data-question="{item.id}"' in text
        for language in SURVEY.languages:
            assert item.wording(language).replace("'", "&#39;") in text


def test_case_78_item_text_is_escaped(tmp_path):
    shutil.copytree(ROOT / "surveys", tmp_path / "surveys")
    file = tmp_path / "surveys/instruments/leadership-practices.yaml"
    hostile = "pick <script>alert(1)</script> {{ 7*7 }} ${x} <img src=x onerror=alert(2)>"
    file.write_text(file.read_text("utf-8").replace("pick partners for what they can add", hostile), encoding="utf-8")
    text = write(coco.read_survey(tmp_path / "surveys/cocreation"), tmp_path / "page.html")[0].read_text("utf-8")
    assert "<script>alert" not in text
    assert "<img" not in text
    assert "{{ 7*7 }}" in text


def test_an_unknown_language_or_version_is_named(tmp_path):
    with pytest.raises(PlatformError, match="allowed are en, da"):
        write(SURVEY, tmp_path / "page.html", language="de")
    with pytest.raises(PlatformError, match="versions 0 to 2"):
        write(SURVEY, tmp_path / "page.html", form="planned", version=3)


def test_a_planned_version_asks_its_blocks_only(tmp_path):
    text = write(SURVEY, tmp_path / "page.html", form="planned", version=0)[0].read_text("utf-8")
    asked = set(re.findall(r'data-question="([a-z0-9]+)"', text)) & set(SURVEY.items)
    assert asked == set(SURVEY.form_items("planned", 0)) | set(SURVEY.attention)


@pytest.mark.browser
@pytest.mark.parametrize(("language", "address"), [("en", "other"), ("da", "self")])
def test_answers_given_in_the_browser_are_read_back(page, tmp_path, language, address):
    items = list(SURVEY.items.values())
    given = {item.id: item.scale.points[(3 * place + len(language)) % 7].code for place, item in enumerate(items)}
    given["mob2"] = 98
    with opened_page(page, tmp_path, f"?collaboration=c7&respondent=r1&language={language}") as window:
        window.check('input[name="consent"]')
        window.check(f'input[name="rating"][value="{address}"]')
        assert window.locator("html").get_attribute("lang") == language
        stem = window.locator("section:has([data-question=mob1]) .stem").inner_text()
        assert stem == SURVEY.constructs["mobilising"].stem_by_address[address][language]
        for id, code in given.items():
            window.check(f'input[name="{id}"][value="{code}"]')
        window.fill('input[name="years"]', "4")
        with window.expect_download() as download:
            window.click("button[type=submit]")
        saved = tmp_path / "answers.csv"
        download.value.save_as(saved)
    responses = coco.read_responses(saved, SURVEY)
    row = responses.frame.iloc[0]
    assert (row["collaboration"], row["respondent"], row["rating"]) == ("c7", "r1", address)
    answered = {id: code for id, code in given.items() if id != "mob2"}
    assert {id: int(row[id]) for id in answered} == answered
    assert responses.missing["mob2"].iloc[0] == "cannot_judge"
    assert responses.missing["gender"].iloc[0] == "skipped"


@pytest.mark.browser
@pytest.mark.parametrize("width", [375, 768, 900, 1024, 1280])
def test_all_options_are_visible_at_every_width(page, tmp_path, width):
    with opened_page(page, tmp_path, "", width=width) as window:
        boxes = window.evaluate(
            """() => [...document.querySelectorAll('.likert .scale label')].map(e => {
            const r = e.getBoundingClientRect();
            return [r.left, r.right, r.width, r.height, e.scrollWidth - e.clientWidth]; })"""
        )
        assert len(boxes) >= 9 * 102
        assert all(left >= 0 and right <= width and w > 30 and h >= 40 for left, right, w, h, _ in boxes)
        assert all(overflow <= 0 for *_, overflow in boxes)
        assert window.evaluate("() => document.documentElement.scrollWidth") <= width


@pytest.mark.browser
def test_a_row_is_answered_by_keyboard(page, tmp_path):
    with opened_page(page, tmp_path, "") as window:
        window.focus('input[name="mob1"][value="1"]')
        for _ in range(8):
            window.keyboard.press("ArrowRight")
        assert window.locator('input[name="mob1"]:checked').get_attribute("value") == "99"
