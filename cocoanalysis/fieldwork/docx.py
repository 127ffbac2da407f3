"""A questionnaire to be printed: a Word document a language and form of address, every answer with its box and code.

Needs the extra ``docx``. People cannot be asked in another way on paper than it is printed, so a survey with two
forms of address becomes two documents: one for those who rate others, one for those who rate themselves. Small
grey codes (`mob1`, and the number beside each answer) are for the person who types the answers in.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cocoanalysis.errors import ExportError
from cocoanalysis.fieldwork.platforms import Platform, register
from cocoanalysis.fieldwork.questionnaire import (
    ADDRESSES,
    AGREE,
    Option,
    Question,
    Questionnaire,
    Section,
    asked_twice,
    files_by_language,
    questionnaire,
    written,
)
from cocoanalysis.instrument.model import in_language

BOX = "☐"
LINE = "_" * 40
WIDTH = 26.1  # centimetres between the margins
SHORT = 12  # rows of a grid that is kept on one page
WORDS = {
    "code": {"en": "Code", "da": "Kode", "de": "Kennung"},
    "if": {"en": "Only if", "da": "Kun hvis", "de": "Nur wenn"},
    "one": {
        "en": "Please tick one box in each row.",
        "da": "Sæt ét kryds i hver række.",
        "de": "Bitte in jeder Zeile ein Kästchen ankreuzen.",
    },
    "several": {
        "en": "You may tick more than one box.",
        "da": "Du må gerne sætte flere kryds.",
        "de": "Sie können mehrere Kästchen ankreuzen.",
    },
}


def write(
    survey: Any,
    path: str | Path,
    *,
    form: str = "full",
    version: int | None = None,
    language: str | None = None,
) -> list[Path]:
    """Write the questionnaire as Word documents to be printed.

    Parameters
    ----------
    survey : Survey
    path : the .docx of the first language, about others; the rest get a name of their own
        (`mine.self.docx`, `mine.da.docx`, `mine.da.self.docx`)
    form, version : which form, and of a planned-missing form which version
    language : write this language only

    Returns
    -------
    list of the documents and the code map

    Raises
    ------
    PlatformError : UnknownLanguage
    ExportError : ExtraMissing
    """
    asked, target = questionnaire(survey, form, version), Path(path)
    twice = any(len(asked_twice(section)) > 1 for section in asked.sections)
    files = []
    for tongue, file in files_by_language(survey, target, language):
        for address in ADDRESSES if twice else ("other",):
            own = file if address == "other" else file.with_name(f"{file.stem}.self{file.suffix}")
            document(asked, tongue, address).save(str(own))
            files.append(own)
    return written(asked, files, "docx")


def document(asked: Questionnaire, language: str, address: str) -> Any:
    """The questionnaire as a document of python-docx.

    Raises
    ------
    ExportError : ExtraMissing
    """
    made = _new_document()
    survey = asked.survey
    made.core_properties.title = plain(survey.title.get(language) or survey.id)
    made.core_properties.author = ""
    made.core_properties.language = language
    made.add_heading(plain(survey.title.get(language) or survey.id), level=0)
    if survey.introduction.get(language):
        made.add_paragraph(plain(survey.introduction[language]))
    _identifiers(made, asked, language)
    for section in asked.sections:
        _section(made, asked, section, language, address)
    if survey.thanks.get(language):
        made.add_paragraph(plain(survey.thanks[language]))
    _footer(made, f"{survey.id} {survey.version} · {asked.form} · {language} · {address}")
    return made


def _new_document() -> Any:
    try:
        import docx
        from docx.enum.section import WD_ORIENT
        from docx.shared import Cm, Pt
    except ImportError as error:
        raise ExportError(
            "Word documents need the extra 'docx'; install cocoanalysis[docx].", code="ExtraMissing"
        ) from error
    made = docx.Document()
    page = made.sections[0]
    page.orientation, page.page_width, page.page_height = WD_ORIENT.LANDSCAPE, Cm(29.7), Cm(21.0)
    page.left_margin = page.right_margin = page.top_margin = page.bottom_margin = Cm(1.8)
    body = made.styles["Normal"]
    body.font.size = Pt(10)
    body.paragraph_format.space_before, body.paragraph_format.space_after = Pt(0), Pt(4)
    return made


def plain(text: str) -> str:
    """Text without characters that a document cannot hold, or that would turn its direction."""
    return re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\u202a-\u202e\u2066-\u2069\ufffe\uffff]", "", text)


def _footer(made: Any, text: str) -> None:
    """What this is, and the number of the page of how many: loose sheets find their order again."""
    line = made.sections[0].footer.paragraphs[0]
    _grey(line, f"{text} · ")
    _field(line, "PAGE")
    _grey(line, " / ")
    _field(line, "NUMPAGES")


def _field(line: Any, name: str) -> None:
    """A field that Word fills in when it shows or prints the page."""
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn

    told = OxmlElement("w:instrText")
    told.text = name
    begin, separate, end = (OxmlElement("w:fldChar") for _ in range(3))
    for mark, kind in ((begin, "begin"), (separate, "separate"), (end, "end")):
        mark.set(qn("w:fldCharType"), kind)
    for part in (begin, told, separate):
        _grey(line, "")
        line.runs[-1]._r.append(part)
    _grey(line, "1")
    _grey(line, "")
    line.runs[-1]._r.append(end)


def _grey(paragraph: Any, text: str) -> None:
    from docx.shared import Pt, RGBColor

    run = paragraph.add_run(plain(text))
    run.font.size, run.font.color.rgb = Pt(7), RGBColor(0x59, 0x59, 0x59)


def _identifiers(made: Any, asked: Questionnaire, language: str) -> None:
    for name in asked.identifiers:
        known = asked.survey.background.get(name)
        label = in_language(known.label, language) if known is not None else name
        line = made.add_paragraph(f"{plain(label)} ({in_language(WORDS['code'], language)}): {LINE} ")
        _grey(line, name)


# Questions ------------------------------------------------------------------------------------------


def _section(made: Any, asked: Questionnaire, section: Section, language: str, address: str) -> None:
    stem = in_language(section.stem[address], language)
    if stem:
        made.add_paragraph(plain(stem), style="Heading 3").paragraph_format.keep_with_next = True
    if section.grid or (section.likert and len(section.questions) == 1):
        if not stem:
            made.add_paragraph(in_language(WORDS["one"], language)).paragraph_format.keep_with_next = True
        _grid(made, asked, section.questions, language, address)
        return
    for question in section.questions:
        _question(made, asked, _for_address(asked, question, address), language, address)


def _for_address(asked: Questionnaire, question: Question, address: str) -> Question:
    """The question that chooses the form of address keeps the answers that fit the printed one."""
    rule = asked.survey.address
    if rule is None or question.id != rule.column:
        return question
    kept = [option for option in question.options if (option.code == rule.self_) == (address == "self")]
    return replace(question, options=tuple(kept))


def _question(made: Any, asked: Questionnaire, question: Question, language: str, address: str) -> None:
    from docx.shared import Cm, Pt

    words = made.add_paragraph(
        f"{_condition(asked, question, language)}{plain(in_language(question.text[address], language))} "
    )
    if question.kind == "multiple":
        words.add_run(f"{in_language(WORDS['several'], language)} ").italic = True
    words.paragraph_format.keep_with_next, words.paragraph_format.space_before = True, Pt(8)
    _grey(words, question.id)
    options = _options(question)
    if not question.choices and question.kind != "consent":
        line = made.add_paragraph(LINE if question.kind == "text" else LINE[:12])
        line.paragraph_format.keep_with_next = bool(options)
    for option in options:
        line = made.add_paragraph(f"{BOX} {plain(in_language(option.label, language))} ")
        line.paragraph_format.keep_with_next = option is not options[-1]
        line.paragraph_format.left_indent, line.paragraph_format.space_after = Cm(0.5), Pt(1)
        _grey(line, option.code)


def _options(question: Question) -> list[Option]:
    agree = [Option(code, words) for code, words in AGREE.items()]
    return agree if question.kind == "consent" else list(question.options)


def _condition(asked: Questionnaire, question: Question, language: str) -> str:
    """In words, which answers lead to this question."""
    told = []
    for name, values in question.show_if.items():
        other = next((one for one in asked.questions if one.id == name), None)
        labels = (
            {option.code: in_language(option.label, language) for option in other.options} if other is not None else {}
        )
        text = in_language(other.text["other"], language) if other is not None else name
        told.append(f"{plain(text)} {' / '.join(plain(labels.get(value, value)) for value in values)}")
    return f"({in_language(WORDS['if'], language)}: {'; '.join(told)}) " if told else ""


def _grid(made: Any, asked: Questionnaire, questions: Sequence[Question], language: str, address: str) -> None:
    """Items in rows, all answers in columns; short grids stay on one page, the head of a long one is repeated."""
    options = questions[0].options
    table = made.add_table(rows=1, cols=1 + len(options), style="Table Grid")
    for cell, option in zip(table.rows[0].cells[1:], options):
        paragraph = _centred(cell)
        _small(paragraph, in_language(option.label, language))
        _grey(paragraph, f" {option.code}")
    for question in questions:
        cells = table.add_row().cells
        paragraph = cells[0].paragraphs[0]
        paragraph.add_run(
            f"{_condition(asked, question, language)}{plain(in_language(question.text[address], language))} "
        )
        _grey(paragraph, question.id)
        for cell in cells[1:]:
            _centred(cell).add_run(BOX)
    _laid_out(table, len(options))
    made.add_paragraph("")


def _centred(cell: Any) -> Any:
    from docx.enum.table import WD_ALIGN_VERTICAL
    from docx.enum.text import WD_ALIGN_PARAGRAPH

    cell.vertical_alignment = WD_ALIGN_VERTICAL.CENTER
    cell.paragraphs[0].alignment = WD_ALIGN_PARAGRAPH.CENTER
    return cell.paragraphs[0]


def _laid_out(table: Any, options: int) -> None:
    """Widths (LibreOffice takes those of the columns, Word those of the cells), breaks and air."""
    from docx.shared import Cm, Pt

    table.autofit = False
    answer = min(1.9, 17.0 / options)
    widths = [Cm(WIDTH - answer * options), *[Cm(answer)] * options]
    for column, width in zip(table.columns, widths):
        column.width = width
    for place, row in enumerate(table.rows):
        _whole(row, head=place == 0)
        together = place == 0 or (len(table.rows) <= SHORT and place < len(table.rows) - 1)
        for cell, width in zip(row.cells, widths):
            cell.width = width
            told = cell.paragraphs[0].paragraph_format
            told.keep_with_next, told.space_before, told.space_after = together, Pt(2), Pt(2)


def _small(paragraph: Any, text: str) -> None:
    from docx.shared import Pt

    paragraph.add_run(plain(text)).font.size = Pt(7.5)


def _whole(row: Any, head: bool) -> None:
    """Keep a row on one page; repeat it on each page if it is the head."""
    from docx.oxml import OxmlElement

    properties = row._tr.get_or_add_trPr()
    for tag in ("w:cantSplit", *(["w:tblHeader"] if head else [])):
        properties.append(OxmlElement(tag))


register(Platform("docx", write=write, suffix=".docx", title="Word, to be printed"))
