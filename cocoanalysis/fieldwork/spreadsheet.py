"""Tidy tables with one row a response: CSV, TSV, XLSX and Parquet.

Columns are headed with item ids, with names that a code map explains, or with the question
texts themselves, as Google Forms, Microsoft Forms and SurveyMonkey write them.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from cocoanalysis.errors import PlatformError
from cocoanalysis.fieldwork.opening import parquet_table, text_table, unique_names, workbook_rows
from cocoanalysis.fieldwork.platforms import Head, Options, Platform, Raw, Source, register


def sniff(head: Head) -> float:
    return 0.1 if head.kind in ("text", "xlsx", "parquet") else 0.0


def read(source: Source, survey: Any, options: Options) -> Raw:
    if source.kind == "xlsx":
        return Raw(_workbook(source))
    if source.kind == "parquet":
        return Raw(parquet_table(source))
    return Raw(text_table(source))


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
