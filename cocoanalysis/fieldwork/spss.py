"""Files of statistics programs: SPSS (.sav, .zsav, .por) and Stata (.dta) in, an empty .sav to be filled out.

Each file is read twice, once with declared missing values and once without, because pyreadstat
1.3.7 gives a system-missing value as 0 in an integer Stata column that also has tagged missings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cocoanalysis.arguments import new_file
from cocoanalysis.errors import PlatformError, listed, one_of
from cocoanalysis.fieldwork.opening import cell_text
from cocoanalysis.fieldwork.platforms import Head, Options, Platform, Raw, Source, register
from cocoanalysis.fieldwork.questionnaire import AGREE, Question, Section, in_columns, questionnaire, written
from cocoanalysis.instrument.model import in_language
from cocoanalysis.instrument.statfile import READERS, described
from cocoanalysis.responses.ledger import Entry, entry
from cocoanalysis.responses.matching import mark, plain
from cocoanalysis.responses.matching import options as answer_options

LEVELS = {"likert": "ordinal", "number": "scale"}  # all others are nominal
WHOLE = "F8.0"  # codes are shown without decimals
ROOM = 64  # characters that a column of text offers


# Out ------------------------------------------------------------------------------------------------


def write(
    survey: Any,
    path: str | Path,
    *,
    form: str = "full",
    version: int | None = None,
    language: str | None = None,
) -> list[Path]:
    """Write an SPSS file without rows: names, labels, value labels, missing codes and levels are there to be filled.

    A file of SPSS holds labels in one language; the questions are those about others where there are two forms
    of address. Columns of text carry a value label of 64 dots, because a column without rows would have room for
    one character otherwise.

    Parameters
    ----------
    survey : Survey
    path : the .sav to write
    form, version : which form, and of a planned-missing form which version
    language : language of the labels; None takes the survey's first

    Returns
    -------
    list of the file and its code map

    Raises
    ------
    PlatformError : UnknownLanguage, TooManyMissingCodes
    """
    import pyreadstat

    tongue = survey.languages[0] if language is None else language
    one_of(tongue, survey.languages, "language of the survey", error=PlatformError, code="UnknownLanguage")
    asked, target = questionnaire(survey, form, version), new_file(path)
    names = {name: survey.label(name, tongue) if name in survey.background else name for name in asked.identifiers}
    sections = [in_columns(section, yes="1", no="0") for section in asked.sections]
    words = {q.id: _asked_as(section, q, tongue) for section in sections for q in section.questions}
    questions = {question.id: question for section in sections for question in section.questions}
    texts = [*names, *(id for id, one in questions.items() if not _numeric(one))]
    columns = {id: pd.Series([], dtype=object if id in texts else float) for id in [*names, *words]}
    pyreadstat.write_sav(
        pd.DataFrame(columns),
        str(target),
        file_label=f"{survey.id} {survey.version}"[:64],
        column_labels={id: _bytes(text, 255) for id, text in {**names, **words}.items()},
        variable_value_labels={id: _value_labels(id, questions, tongue) for id in columns if _labelled(id, questions)},
        missing_ranges={id: gaps for id, one in questions.items() if (gaps := _missing(one))},
        variable_measure={
            id: LEVELS.get(questions[id].kind, "nominal") if id in questions else "nominal" for id in columns
        },
        variable_format={id: WHOLE for id, one in questions.items() if one.choices and _numeric(one)},
    )
    return written(asked, [target], "spss")


def _asked_as(section: Section, question: Question, language: str) -> str:
    stem, words = (text["other"].get(language, "") for text in (section.stem, question.text))
    return f"{stem} {words}".strip()


def _bytes(text: str, limit: int) -> str:
    """Text of at most so many bytes, whole characters, as SPSS counts them."""
    return text.encode()[:limit].decode(errors="ignore")


def _numeric(question: Question) -> bool:
    """Whether the answers are kept as numbers: all codes are whole numbers, or the question asks for one."""
    if not question.options:
        return question.kind == "number"
    return all(option.code.lstrip("-").isdigit() for option in question.options)


def _labelled(id: str, questions: Mapping[str, Question]) -> bool:
    return id not in questions or questions[id].kind != "number" or bool(questions[id].options)


def _value_labels(id: str, questions: Mapping[str, Question], language: str) -> dict[Any, str]:
    question = questions.get(id)
    if question is None or question.kind == "text":
        return {"." * ROOM: f"room for {ROOM} characters"}
    if question.kind == "consent":
        return {code: in_language(words, language) for code, words in AGREE.items()}
    code = float if _numeric(question) else str
    return {code(option.code): _bytes(in_language(option.label, language), 120) for option in question.options}


def _missing(question: Question) -> list[Any]:
    """The declaration of missing codes: three codes at most, or a range of numbers that holds no answer."""
    codes = [option.code for option in question.options if option.reason]
    if not _numeric(question):
        return [code for code in codes if len(code.encode()) <= 8][:3]
    gaps = sorted(float(code) for code in codes)
    if len(gaps) <= 3:
        return [{"lo": gap, "hi": gap} for gap in gaps]
    answers = [float(option.code) for option in question.options if not option.reason]
    if any(gaps[0] <= answer <= gaps[-1] for answer in answers):
        raise PlatformError(
            f"SPSS declares three missing codes, or one range without answers in it; '{question.id}' has "
            f"{listed(codes)} on both sides of its answers. Use codes on one side.",
            code="TooManyMissingCodes",
        )
    return [{"lo": gaps[0], "hi": gaps[-1]}]


# Back -----------------------------------------------------------------------------------------------


def read(source: Source, survey: Any, options: Options) -> Raw:
    """Values as text, value labels, variable labels, and declared missing values as marks."""
    bare, declared, meta = _twice(source, options)
    labels = {
        name: {cell_text(code): str(label) for code, label in values.items()}
        for name, values in meta.variable_value_labels.items()
    }
    columns, lines = {}, []
    for name in bare.columns:
        cells, counts = _column(bare[name], declared[name])
        columns[name] = _explained(name, cells, counts, labels.get(name, {}), survey)
        lines += [_line(name, code, count, len(bare)) for code, count in counts.items()]
    texts = {name: str(label) for name, label in meta.column_names_to_labels.items() if label}
    return Raw(pd.DataFrame(columns, dtype=object), texts=texts, labels=labels, first_row=1, entries=tuple(lines))


def _twice(source: Source, options: Options) -> tuple[pd.DataFrame, pd.DataFrame, Any]:
    import pyreadstat

    if described(source.path, kind=source.kind, rows=True, encoding=options.encoding) is None:
        raise _damaged(source)
    reader = getattr(pyreadstat, READERS[source.kind])
    more: dict[str, Any] = {"encoding": options.encoding} if options.encoding else {}
    if source.kind == "por":
        frame, meta = _guarded(source, reader, more)
        return frame, frame, meta
    bare, _ = _guarded(source, reader, more)
    declared, meta = _guarded(source, reader, {**more, "user_missing": True})
    return bare, declared, meta


def _guarded(source: Source, reader: Any, more: dict[str, Any]) -> tuple[pd.DataFrame, Any]:
    try:
        return reader(str(source.path), **more)
    except Exception:  # pyreadstat raises its own and several built-in kinds
        raise _damaged(source) from None


def _damaged(source: Source) -> PlatformError:
    return PlatformError(
        f"{source.path.name} cannot be read as a .{source.kind} file: it may be cut off or damaged (export it again), "
        "or in an encoding that must be named, such as encoding='windows-1252'.",
        code="DamagedFile",
    )


def _column(bare: pd.Series, declared: pd.Series) -> tuple[list[str], dict[str, int]]:
    """Cells as text, where a declared missing is marked with its code; and how many of each code."""
    counts: dict[str, int] = {}
    cells = []
    for plain_value, value in zip(bare.astype(object), declared.astype(object)):
        if not _empty(plain_value):
            cells.append(cell_text(plain_value))
        elif _empty(value) or (isinstance(value, (int, float)) and value == 0 and _tagged(declared)):
            cells.append("")
        else:
            code = cell_text(value)
            counts[code] = counts.get(code, 0) + 1
            cells.append(mark(code))
    return cells, counts


def _empty(value: Any) -> bool:
    return value is None or value is pd.NaT or value == "" or (isinstance(value, float) and np.isnan(value))


def _tagged(column: pd.Series) -> bool:
    return column.dtype == object and any(isinstance(value, str) for value in column)


def _explained(name: str, cells: list[str], codes: Iterable[str], labels: dict[str, str], survey: Any) -> list[str]:
    """Marked codes replaced by marked reasons: the survey's, by code or by the file's label; else missing_CODE."""
    reasons = {mark(code): mark(_reason(name, code, labels.get(code, ""), survey)) for code in codes}
    return [reasons.get(cell, cell) for cell in cells]


def _reason(name: str, code: str, label: str, survey: Any) -> str:
    own = survey.items.get(name) or survey.background.get(name)
    questions = [own] if own is not None else [*survey.items.values(), *survey.background.values()]
    tables = [{key.casefold(): reason for key, reason in answer_options(one)[2].items()} for one in questions]
    for key in (plain(label).casefold(), code.casefold()):
        found = {table[key] for table in tables if key and key in table}
        if len(found) == 1:
            return found.pop()
    return f"missing_{code.lstrip('-')}"


def _line(name: str, code: str, count: int, n: int) -> Entry:
    return entry("missing", f"declared missing {code} in {name}", n, cells=count)


def _sniffer(kinds: tuple[str, ...]) -> Any:
    def sniff(head: Head) -> float:
        return 0.5 if head.kind in kinds else 0.0

    return sniff


register(Platform("spss", sniff=_sniffer(("sav", "por")), read=read, write=write, suffix=".sav", title="SPSS"))
register(Platform("stata", sniff=_sniffer(("dta",)), read=read, title="Stata"))
