"""Responses as files that lose nothing: every missing answer keeps its reason.

A tidy CSV that `coco.read_responses` reads back to the same answers and reasons, and an SPSS
file with labels and declared missing values. Both hold one row a person: they are for work on
your own machine, and for data that may be shared (see `fieldwork.dataset`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cocoanalysis.arguments import new_file, of_responses
from cocoanalysis.errors import ExportError, ResponseError, listed
from cocoanalysis.responses.matching import REASONS


def as_text(responses: Any) -> pd.DataFrame:
    """Responses as the text of a tidy CSV file that `coco.read_responses` reads back with every reason.

    A missing cell holds the instrument's code for its reason, or the reason's word where there is
    no code; a skipped one is empty. The column `provenance` says what the data are.
    """
    columns = {}
    for name in responses.answers.columns:
        values = responses.answers[name]
        codes = reason_codes(responses.survey, str(name))
        why = responses.reasons[name].astype(object).map(lambda reason, codes=codes: codes.get(reason, reason))
        text = pd.Series([_cell(value) for value in values], index=values.index, dtype=object)
        columns[name] = text.where(values.notna(), why.where(~why.isin(["skipped"]), ""))
    return pd.DataFrame(columns, index=responses.answers.index).fillna("").assign(provenance=responses.provenance)


def reason_codes(survey: Any, name: str) -> dict[str, str]:
    """Reason → the instrument's own code for it, of an item or background question."""
    item = survey.items.get(name)
    option = survey.option(name)
    holder = item.scale if item is not None else option[0] if option else survey.background.get(name)
    return {one.reason: one.code for one in holder.missing} if holder is not None else {}


def _cell(value: Any) -> Any:
    """Whole numbers without a point, true and false in small letters, everything else as it is."""
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value


def write_responses(responses: Any, path: str | Path) -> Path:
    """Write responses as a tidy CSV file (UTF-8) with reasons and provenance; the file is replaced whole.

    Raises
    ------
    ExportError : NotWritable; NotCsv, where the name promises another kind of file
    """
    of_responses(responses)
    target = new_file(path)
    if target.suffix.casefold() not in ("", ".csv"):
        raise ExportError(
            f"The answers are written as CSV; '{target.name}' promises another kind of file. Name it "
            f"'{target.with_suffix('.csv').name}'.",
            code="NotCsv",
        )
    half = target.with_name(target.name + ".part")
    as_text(responses).to_csv(half, index=False, lineterminator="\n", encoding="utf-8")
    half.replace(target)
    return target


SPARE = 901  # first code for reasons that the instrument has no code for, on the side of its own codes


def write_sav(responses: Any, path: str | Path, language: str = "en") -> Path:
    """Write responses as an SPSS file with value labels, measurement levels and declared missing values.

    Reasons for which the instrument has no code get codes from 901 upwards (or −901 downwards, on the
    side of its own codes), labelled with the reason's word; a skipped answer is system-missing. SPSS
    declares at most three codes, or one range and one code: more reasons than that become one range.

    Raises
    ------
    ResponseError : CodeTaken
    """
    import pyreadstat

    of_responses(responses)
    target = new_file(path)
    frame, labels, ranges, measures = {}, {}, {}, {}
    texts: dict[str, str | None] = {}
    for name in (str(one) for one in responses.answers.columns):
        column, declared = _numbered(responses, name)
        frame[name] = column
        texts[name] = _label(responses.survey, name, language)
        item, question = responses.survey.items.get(name), responses.survey.background.get(name)
        if item is not None:
            labels[name] = {float(code): label for code, label in item.scale.labels(language).items()}
            labels[name] |= {code: word for word, code in declared.items()}
            measures[name] = "ordinal"
        elif question is not None and question.categories:
            labels[name], measures[name] = question.labels(language), "nominal"
        elif responses.survey.option(name):
            labels[name], measures[name] = {0.0: "not chosen", 1.0: "chosen"}, "nominal"
        else:
            measures[name] = "scale" if _is_quantity(responses.answers[name]) else "nominal"
        if declared:
            ranges[name] = _declared(sorted(declared.values()), labels.get(name, {}), declared, name)
    table = pd.DataFrame(frame).assign(provenance=responses.provenance)
    half = target.with_name(target.stem + ".part.sav")
    pyreadstat.write_sav(
        table,
        str(half),
        file_label=f"{responses.survey.id} {responses.survey.version}"[:64],
        column_labels=texts,
        variable_value_labels=labels,
        missing_ranges=ranges,
        variable_measure=measures,
        variable_format={name: "F8.0" for name in labels if pd.api.types.is_float_dtype(frame[name].dtype)},
    )
    half.replace(target)
    return target


def _label(survey: Any, name: str, language: str) -> str:
    known = name in survey.items or name in survey.background or survey.option(name)
    return survey.label(name, language)[:256] if known else name


def _numbered(responses: Any, name: str) -> tuple[pd.Series, dict[str, float]]:
    """A column as SPSS keeps it, and the code of each reason that occurs in it (items only)."""
    values, why = responses.answers[name], responses.reasons[name].astype(object)
    if name not in responses.survey.items:
        plain = values.astype(object).where(values.notna(), None)
        if pd.api.types.is_bool_dtype(values.dtype) or pd.api.types.is_numeric_dtype(values.dtype):
            return pd.to_numeric(plain, errors="coerce").astype(float), {}
        return plain.map(lambda value: "" if value is None else str(value)), {}
    own, scale = reason_codes(responses.survey, name), responses.survey.items[name].scale
    sign = 1 if any(_is_number(code) and int(code) > scale.maximum for code in own.values()) else -1
    words = [*REASONS, *sorted(set(why.dropna()) - set(REASONS))]
    spare = {word: float(sign * (SPARE + place)) for place, word in enumerate(words)}
    found = [word for word in why.dropna().unique() if word != "skipped"]
    codes = {str(word): float(own[word]) if _is_number(own.get(word)) else spare[word] for word in found}
    numbers = pd.Series(values.to_numpy(dtype=float, na_value=np.nan), index=values.index)
    return numbers.where(numbers.notna(), why.map(codes).astype(float)), codes


def _is_quantity(values: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype)


def _is_number(code: str | None) -> bool:
    return code is not None and code.lstrip("-").isdigit()


def _declared(codes: list[float], labels: dict[float, str], declared: dict[str, float], name: str) -> list[Any]:
    """SPSS's declaration: up to three codes, else a range below all answers and one code more."""
    if len(codes) <= 3:
        return [{"lo": code, "hi": code} for code in codes]
    answers = [code for code in labels if code not in declared.values()]
    low = [code for code in codes if code < min(answers)]
    high = [code for code in codes if code > max(answers)]
    ends = [(side[0], side[-1]) for side in (low, high) if side]
    if len(low) + len(high) < len(codes) or (len(ends) == 2 and min(len(low), len(high)) > 1):
        raise ResponseError(
            f"The missing codes of '{name}' ({listed(int(code) for code in codes)}) lie on both sides of its answers, "
            "which an SPSS file cannot declare; write a CSV file instead.",
            code="CodeTaken",
        )
    return [{"lo": lo, "hi": hi} for lo, hi in ends]
