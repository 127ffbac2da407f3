"""The printable questionnaire: every question and answer, one document a language and form of address."""

import docx
import pytest

from cocoanalysis.errors import PlatformError
from cocoanalysis.fieldwork.docx import BOX, write
from tests.fieldwork.roundtrip import HOSTILE, SURVEY, hostile


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    *made, code_map = write(SURVEY, tmp_path_factory.mktemp("docx") / "paper.docx")
    assert code_map.is_file()
    return {file.name: file for file in made}


def words(file):
    document = docx.Document(str(file))
    cells = [cell.text for table in document.tables for row in table.rows for cell in row.cells]
    return [paragraph.text for paragraph in document.paragraphs] + cells


def test_one_document_a_language_and_form_of_address(files):
    assert list(files) == ["paper.docx", "paper.self.docx", "paper.da.docx", "paper.da.self.docx"]


@pytest.mark.parametrize(
    ("name", "language", "address"), [("paper.docx", "en", "other"), ("paper.da.self.docx", "da", "self")]
)
def test_every_question_and_every_answer_is_printed(files, name, language, address):
    told = words(files[name])
    for item in SURVEY.items.values():
        assert f"{item.wording(language, address)} {item.id}" in told
        for code, label in item.scale.labels(language).items():
            assert f"{label} {code}" in told
    for question in SURVEY.background.values():
        if question.kind != "identifier" and question.asked and question.id != "rating":
            assert any(text.endswith(f"{question.question[language]} {question.id}") for text in told), question.id
    stem = SURVEY.constructs["mobilising"].stem_by_address[address][language]
    assert stem in told
    assert SURVEY.consent[language] + " consent" in told


def test_a_row_holds_a_box_for_every_answer_and_heads_repeat(files):
    table = docx.Document(str(files["paper.docx"])).tables[0]
    assert [cell.text for cell in table.rows[1].cells[1:]] == [BOX] * 9
    assert "w:tblHeader" in table.rows[0]._tr.xml
    assert "w:tblHeader" not in table.rows[1]._tr.xml


def test_columns_have_their_widths_short_grids_stay_whole_and_pages_are_numbered(files):
    document = docx.Document(str(files["paper.docx"]))
    for table in document.tables:
        widths = [column.width.cm for column in table.columns]
        assert widths[0] > 3 * widths[1]
        assert sum(widths) == pytest.approx(26.1, abs=0.1)
        assert [row.cells[0].width.cm for row in table.rows] == pytest.approx([widths[0]] * len(table.rows))
        kept = [row.cells[0].paragraphs[0].paragraph_format.keep_with_next for row in table.rows]
        assert kept == [True] * (len(table.rows) - 1) + [False]
    footer = document.sections[0].footer.paragraphs[0]._p.xml
    assert ">PAGE<" in footer
    assert ">NUMPAGES<" in footer


def test_only_the_answer_that_fits_the_printed_form_of_address_is_offered(files):
    for name, kept, left in [("paper.docx", "other", "self"), ("paper.self.docx", "self", "other")]:
        told = words(files[name])
        labels = SURVEY.background["rating"].labels("en")
        assert f"{BOX} {labels[kept]} {kept}" in told
        assert f"{BOX} {labels[left]} {left}" not in told


def test_case_78_hostile_words_stay_words(tmp_path):
    file = write(hostile(tmp_path), tmp_path / "paper.docx", language="en")[0]
    assert f"{HOSTILE} mob1" in words(file)


def test_an_unknown_language_is_named(tmp_path):
    with pytest.raises(PlatformError, match="allowed are en, da"):
        write(SURVEY, tmp_path / "paper.docx", language="de")
