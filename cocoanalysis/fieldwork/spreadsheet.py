"""Tidy tables with one row a response: CSV, TSV, XLSX and Parquet.

Columns are headed with item ids, with names that a code map explains, or with the question
texts themselves, as Google Forms, Microsoft Forms and SurveyMonkey write them.
"""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

from cocoanalysis.errors import PlatformError
from cocoanalysis.fieldwork.opening import parquet_table, text_table, unique_names, workbook_rows
from cocoanalysis.fieldwork.platforms import Head, Options, Platform, Raw, Source, register

PERSONAL = re.compile(  # headings of columns that tell who answered, in the languages of the forms read here
    r"e-?mail[ -]?(address|adresse)?|mail(adresse)?|(your |dit |(full|first|last|user)[ _]?)?(name|navn)"
    r"|fornavn|efternavn|(vor|nach)name|telefon(nummer)?|phone([ _]?number)?|mobil"
    r"|ip([ _-]?(address|adresse))?|ipaddr|cpr(-?nummer)?"
    r"|_?(geo_?)?(latitude|longitude|altitude|precision)|geolocation|gps|user[ _-]?agent|browser|adresse|address"
)


def sniff(head: Head) -> float:
    return 0.1 if head.kind in ("text", "xlsx", "parquet") else 0.0


def read(source: Source, survey: Any, options: Options) -> Raw:
    kinds = {"xlsx": _workbook, "parquet": parquet_table}
    table = kinds.get(source.kind, text_table)(source)
    names = [str(name) for name in (table.columns if source.kind == "xlsx" else table.column_names)]
    return Raw(table, personal=frozenset(name for name in names if PERSONAL.fullmatch(name.strip().lower())))


def _workbook(source: Source) -> pd.DataFrame:
    rows = workbook_rows(source)
    names = unique_names(next(rows, []), source)
    body = list(rows)
    for number, row in enumerate(body, start=2):
        if len(row) > len(names):
            raise PlatformError(
                f"Row {number} of {source.path.name} has cells beyond the last named column; name the column or "
                f"clear them.",
                code="RaggedRow",
            )
    return pd.DataFrame(body, columns=names, dtype=object)


register(Platform("tidy", sniff=sniff, read=read, title="a table with one row a response"))
