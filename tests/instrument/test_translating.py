"""A sheet goes out to a translator and comes back; a damaged sheet changes nothing."""

import zipfile

import openpyxl
import pytest

import cocoanalysis as coco
from cocoanalysis.errors import InstrumentError

from .conftest import INSTRUMENT


def fill(path, translate):
    """What the translator does: a translation in every row, by a function of the source words."""
    book = openpyxl.load_workbook(path)
    sheet = book.worksheets[0]
    for row in sheet.iter_rows(min_row=2):
        row[5].value = translate(row[4].value)
        row[5].data_type = "s"
    book.save(path)


def test_out_and_back(written, tmp_path):
    commented = INSTRUMENT.replace("constructs:\n", "constructs: # what is asked\n")
    folder = written(instrument=commented)
    before = coco.read_survey(folder)
    sheet = coco.write_translation_sheet(folder, "de", tmp_path / "sheet.xlsx")
    fill(sheet, lambda words: f"DE {words}")
    changed = coco.read_translation_sheet(sheet, folder, translator="A. Translator")
    assert [path.name for path in changed] == ["survey.yaml", "teamwork.yaml"]
    survey = coco.read_survey(folder)
    assert survey.languages == ("en", "da", "de")
    assert survey.findings() == ()
    assert survey.items["tru2"].question("de", "self") == "DE As a leader, I DE share what I know"
    assert survey.items["tru1"].status["de"] == "draft"
    assert survey.instruments[0].translations["de"].translator == "A. Translator"
    assert survey.background["rating"].labels("de") == {"self": "DE myself", "other": "DE others"}
    assert survey.items["val1"].scale.labels("de")[5] == "DE strongly agree"
    assert all(survey.items[id].text["da"] == item.text["da"] for id, item in before.items.items())
    assert "# what is asked" in (folder / "teamwork.yaml").read_text()
    assert coco.compare_surveys(before, survey).tidy().empty


def test_an_empty_cell_leaves_the_text_untranslated(written, tmp_path):
    folder = written()
    sheet = coco.write_translation_sheet(folder, "de", tmp_path / "sheet.xlsx")
    fill(sheet, lambda words: "Es hilft" if words == "It helps" else None)
    coco.read_translation_sheet(sheet, folder)
    survey = coco.read_survey(folder)
    assert survey.items["val1"].text["de"] == "Es hilft"
    assert "de" not in survey.items["val2"].text


def test_what_begins_like_a_formula_stays_text(written, tmp_path):
    folder = written("{en: It helps,", "{en: '=cmd|calc',")
    sheet = coco.write_translation_sheet(folder, "de", tmp_path / "sheet.xlsx")
    cells = [row[4] for row in openpyxl.load_workbook(sheet).worksheets[0].iter_rows(min_row=2)]
    dangerous = next(cell for cell in cells if cell.value.startswith("="))
    assert (dangerous.data_type, dangerous.quotePrefix) == ("s", True)
    fill(sheet, lambda words: words)
    coco.read_translation_sheet(sheet, folder)
    assert coco.read_survey(folder).items["val1"].text["de"] == "=cmd|calc"


def damage(change):
    def apply(path):
        book = openpyxl.load_workbook(path)
        change(book.worksheets[0], book)
        book.save(path)

    return apply


def put(column, value):
    return damage(lambda sheet, book: sheet.cell(5, column, value))


def bomb(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", b"0" * 60_000_000)


@pytest.mark.parametrize(
    ("harm", "code"),
    [
        (put(2, "constructs/nobody/label"), "UnknownText"),
        (put(1, "../../elsewhere.yaml"), "UnknownText"),
        (put(5, "other words"), "SourceChanged"),
        (put(6, "=1+1"), "FormulaCell"),
        (put(6, "x" * 3000), "TextTooLong"),
        (damage(lambda sheet, book: sheet.cell(1, 6, "uebersetzung")), "NotASheet"),
        (damage(lambda sheet, book: book.remove(book["about"])), "NotASheet"),
        (lambda path: path.write_text("no sheet"), "NotASheet"),
        (bomb, "TooLarge"),
    ],
)
def test_damaged_sheets_are_refused_and_change_nothing(written, tmp_path, harm, code):
    folder = written()
    sheet = coco.write_translation_sheet(folder, "de", tmp_path / "sheet.xlsx")
    fill(sheet, lambda words: f"DE {words}")
    harm(sheet)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(InstrumentError, match=r"sheet\.xlsx") as caught:
        coco.read_translation_sheet(sheet, folder)
    assert caught.value.code == code
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    ("language", "name", "options", "code"),
    [
        ("en", "s.xlsx", {}, "SameLanguage"),
        ("../x", "s.xlsx", {}, "UnknownLanguage"),
        ("deutsch", "s.xlsx", {}, "UnknownLanguage"),
        ("", "s.xlsx", {}, "UnknownLanguage"),
        ("de", "s.csv", {}, "NotXlsx"),
        ("de", "s.xlsx", {"source_language": "fr"}, "UnknownLanguage"),
        ("de", "nowhere/s.xlsx", {}, "NotWritable"),
    ],
)
def test_requests_that_make_no_sheet(written, tmp_path, language, name, options, code):
    with pytest.raises(InstrumentError) as caught:
        coco.write_translation_sheet(written(), language, tmp_path / name, **options)
    assert caught.value.code == code


def test_the_status_of_a_translation_is_one_of_three(written, tmp_path):
    sheet = coco.write_translation_sheet(written(), "de", tmp_path / "s.xlsx")
    with pytest.raises(InstrumentError, match="back-translated"):
        coco.read_translation_sheet(sheet, written(), status="final")


def test_an_extension_is_translated_in_its_base(written, tmp_path):
    folder = coco.new_survey("mine", "cocreation", folder=tmp_path, extend=True)
    with pytest.raises(InstrumentError) as caught:
        coco.write_translation_sheet(folder, "de", tmp_path / "s.xlsx")
    assert caught.value.code == "ExtendsAnother"


def test_a_large_survey_keeps_its_layout(tmp_path):
    folder = coco.new_survey("mine", "cocreation", folder=tmp_path)
    texts = {path: path.read_text(encoding="utf-8") for path in folder.glob("instruments/*.yaml")}
    sheet = coco.write_translation_sheet(folder, "de", tmp_path / "sheet.xlsx")
    fill(sheet, lambda words: "Wort")
    changed = coco.read_translation_sheet(sheet, folder)
    for path in changed:
        old = texts.get(path, "").splitlines()
        new = set(path.read_text(encoding="utf-8").splitlines())
        kept = sum(line in new for line in old if "{" not in line)
        assert kept >= 0.95 * sum("{" not in line for line in old)
