"""The site is self-contained, strict, says where its data come from, and names what it lacks."""

import json
import re
from types import SimpleNamespace

import matplotlib
import pytest
from lxml import html

from cocoanalysis.errors import ModelError
from cocoanalysis.report import exhibits, plots, site, tables
from cocoanalysis.report.exhibits import CONTENTS, EXHIBITS, SECTIONS, Equation, Exhibit
from tests.browser import opened_page

matplotlib.use("agg")


@pytest.fixture
def study(tmp_path):
    answers = tmp_path / "answers.csv"
    answers.write_text("a\n1\n", encoding="utf-8")
    survey = SimpleNamespace(id="made", version="1.0.0", sha256="0" * 64, title={"en": "Made <by> hand"})
    return SimpleNamespace(
        name="made", survey=survey, path=answers, seed=1, responses=SimpleNamespace(provenance="synthetic")
    )


@pytest.fixture
def made(monkeypatch, study, verdicts):
    """A site of hand-made exhibits."""

    def refused(_study):
        yield f"First some words with <b>markup</b>, and one without a blank: {'a1' * 40}."
        raise ModelError("The model is not identified.", code="NotIdentified")

    def full(_study):
        yield Equation("y = 1 + 2·x")
        yield tables.verdicts(verdicts)
        yield plots.forest(verdicts)

    def nothing(_study):
        yield from ()

    shown = [
        Exhibit("propositions", "All of it", ("equations",), full),
        Exhibit("measurement", "Refused", ("fit",), refused),
        Exhibit("measurement", "Does not apply", ("rivals",), nothing),
    ]
    monkeypatch.setattr(site, "EXHIBITS", shown)
    monkeypatch.setattr(site, "Study", lambda survey, responses, seed: study)
    return lambda folder: site.write_site(folder, ["made"])


def page(path):
    return html.fromstring(path.read_text("utf-8"))


def test_every_exhibit_has_a_section_and_covers_known_points():
    for one in EXHIBITS:
        assert one.section in SECTIONS
        assert set(one.covers) <= set(CONTENTS)
    names = [one.name for one in EXHIBITS]
    assert len(set(names)) == len(names)


def test_the_site_is_written_and_says_where_its_data_come_from(made, tmp_path):
    index = made(tmp_path / "site")
    assert index.name == "index.html"
    for name in ("index.html", "made.html"):
        assert "Synthetic data" in page(index.parent / name).text_content()
    assert "Made <by> hand" in page(index.parent / "made.html").text_content()


def test_a_point_without_an_exhibit_or_with_a_refused_one_is_named_as_missing(made, tmp_path):
    shown = page(made(tmp_path).parent / "made.html")
    lacking = " ".join(shown.xpath("//li[@class='lacking']/text()"))
    there = " ".join(shown.xpath("//li[@class='there']/text()"))
    assert CONTENTS["equations"] in there
    assert CONTENTS["provenance"] in there
    assert CONTENTS["fit"] in lacking
    assert CONTENTS["rivals"] in lacking
    assert "Not shown: The model is not identified. (NotIdentified)" in shown.text_content()
    assert "Does not apply" not in shown.text_content()


def test_nothing_is_loaded_from_elsewhere_and_nothing_runs(made, tmp_path):
    folder = made(tmp_path).parent
    for path in folder.glob("*.html"):
        root = page(path)
        policy = root.xpath("//meta[@http-equiv='Content-Security-Policy']/@content")[0]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert not root.xpath("//script | //style | //iframe | //@style | //@onload")
        for address in root.xpath("//@src | //link/@href | //a/@href"):
            assert not re.match(r"^[a-z]+:|^//", address), address
            target = address.split("#")[0]
            assert not target or (folder / target).is_file(), address
        marks = set(root.xpath("//@id"))
        assert len(marks) == len(root.xpath("//@id"))
        assert {link[1:] for link in root.xpath("//a/@href[starts-with(., '#')]")} <= marks


def test_two_runs_write_the_same_files(made, tmp_path):
    first, second = made(tmp_path / "a").parent, made(tmp_path / "b").parent
    names = sorted(str(p.relative_to(first)) for p in first.rglob("*") if p.is_file())
    assert names == sorted(str(p.relative_to(second)) for p in second.rglob("*") if p.is_file())
    assert all((first / name).read_bytes() == (second / name).read_bytes() for name in names)


def test_what_an_earlier_run_made_is_cleared_and_nothing_else(made, tmp_path):
    folder = tmp_path / "site"
    folder.mkdir()
    for name in ("old.html", "mine.txt"):
        (folder / name).write_text("x", encoding="utf-8")
    (tmp_path / "outside.txt").write_text("x", encoding="utf-8")
    (folder / site.MANIFEST).write_text(json.dumps({"files": {"old.html": "", "../outside.txt": ""}}), encoding="utf-8")
    made(folder)
    assert not (folder / "old.html").exists()
    assert (folder / "mine.txt").exists()
    assert (tmp_path / "outside.txt").exists()


def test_the_list_of_files_names_inputs_versions_and_hashes(made, tmp_path):
    record = json.loads((made(tmp_path).parent / site.MANIFEST).read_text("utf-8"))
    assert {"numpy", "pandas"} <= set(record["libraries"])
    assert len(record["surveys"]["made"]["answers (sha256)"]) == 64
    assert set(record["files"]) >= {"index.html", "made.html", "style.css"}


def test_case_78_a_table_in_a_page_keeps_its_look_without_inline_styles(verdicts):
    verdicts._tidy.loc[0, "reason"] = "<img src=x onerror=alert(1)>"
    text = site.bare_table(tables.verdicts(verdicts), "v")
    root = html.fromstring(text)
    assert not root.xpath("//@style | //img | //style")
    assert root.xpath("//td[contains(@class, 'fill-cfe3f3')]")


def test_exhibits_stand_in_the_order_of_the_sections():
    order = [list(SECTIONS).index(one.section) for one in exhibits.EXHIBITS]
    assert order == sorted(order)


@pytest.mark.browser
@pytest.mark.parametrize("width", [375, 768, 1280])
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_pages_are_readable_at_every_width_and_ask_nothing_of_the_network(made, tmp_path, width):
    folder = made(tmp_path / "site").parent
    for name in ("index.html", "made.html"):
        with opened_page(folder / name, tmp_path / name, width=width) as page:
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            loaded = "[...document.images].every(i => { i.loading = 'eager'; return true })"
            page.evaluate(loaded)
            page.wait_for_function("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
            assert page.evaluate("getComputedStyle(document.querySelector('h1')).fontWeight") == "700"


def test_the_site_lists_the_points_of_a_rigorous_analysis_that_it_lacks(made, tmp_path):
    lacking = site.missing_points(made(tmp_path))["made"]
    assert CONTENTS["fit"] in lacking  # its exhibit was refused
    assert CONTENTS["rivals"] in lacking  # its exhibit does not apply
    assert CONTENTS["equations"] not in lacking
    text = page(tmp_path / "made.html").text_content()
    assert all(f"{point}: missing" in text for point in lacking)
