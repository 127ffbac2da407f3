"""From an export to Responses: `read_responses`.

The platform's module gives rows of text; here they are bound to the survey, every cell becomes
a value or a missing reason, rules about rows are applied, and each change gets a ledger line.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from cocoanalysis.errors import Diagnostic, PlatformError, ResponseError, listed, one_of
from cocoanalysis.fieldwork.opening import head, opened, sheet_heads
from cocoanalysis.fieldwork.platforms import (
    CodeMap,
    Head,
    Options,
    Platform,
    Source,
    code_map_beside,
    named,
    read_code_map,
    sniffed,
)
from cocoanalysis.fieldwork.rows import Rows, other_version
from cocoanalysis.responses.matching import heading, known_ids, question_index
from cocoanalysis.responses.multiple import spellings
from cocoanalysis.responses.responses import Responses
from cocoanalysis.result import PROVENANCES

DUPLICATES = ("error", "first", "last", "fullest")


def read_responses(
    path: str | Path,
    survey: Any,
    *,
    platform: str = "auto",
    code_map: Mapping[str, str] | str | Path | None = None,
    language: str | None = None,
    keep_personal: bool = False,
    duplicates: str = "error",
    invalid: str = "error",
    empty: Iterable[str] = (),
    already_reversed: Iterable[str] = (),
    encoding: str | None = None,
    delimiter: str | None = None,
) -> Responses:
    """Read an export of a survey platform, or any table with one row a response.

    Parameters
    ----------
    path : CSV, TSV, XLSX, Parquet, SPSS or Stata file
    survey : the survey that was fielded
    platform : name of the platform, or 'auto' to judge by the shape of the header
    code_map : our id → column, or the file that an export wrote (found by itself beside the export)
    language : language of labels and question texts in the file; None accepts all of the survey's
    keep_personal : keep columns that identify a person
    duplicates : what to do when a response id, or a respondent in a collaboration, occurs twice:
        'error', or keep the 'first', the 'last' or the 'fullest' row
    invalid : 'error', or 'missing' to set answers outside the options to missing (counted)
    empty : texts that stand for an empty cell, such as 'NA' in files written by R
    already_reversed : items whose answers were reversed before; they are turned back
    encoding, delimiter : of a text file, where they cannot be told from the file

    Returns
    -------
    Responses, with a ledger line for everything that was changed or left out

    Raises
    ------
    PlatformError : the file cannot be understood (NoResponses, RaggedRow, EncodingError, UnknownExport, …)
    ResponseError : the answers contradict the survey (UnknownLanguage, OutsideOptions, MixedCodes, RenamedColumn,
        DuplicateResponse, VersionMismatch, …); no message shows an answer

    Examples
    --------
    >>> import cocoanalysis as coco
    >>> survey = coco.read_survey("surveys/unit-climate")
    >>> responses = coco.read_responses("surveys/unit-climate/responses.csv", survey)
    >>> len(responses), responses.provenance
    (2042, 'public real')
    """
    one_of(duplicates, DUPLICATES, "rule for duplicates", error=ResponseError)
    one_of(invalid, ("error", "missing"), "rule for invalid answers", error=ResponseError)
    if not hasattr(survey, "item_ids"):
        raise ResponseError(
            f"The second argument must be a survey; a {type(survey).__name__} came. "
            "Read it first: coco.read_survey(folder).",
            code="NotASurvey",
        )
    source = opened(path, Options(language, encoding, delimiter, keep_personal))
    if language is not None:
        one_of(language, survey.languages, "language of the survey", error=ResponseError, code="UnknownLanguage")
    source, told = _sheet(source, survey)
    first = head(source)
    door = sniffed(first) if platform == "auto" else named(platform)
    if door.read is None:
        raise PlatformError(f"Files of '{door.name}' cannot be read.", code="UnknownPlatform")
    doubts = _unlikely(door, first) if platform != "auto" else []
    raw = door.read(source, survey, source.options)
    digest = _digest(source.path)
    sample = _sample(survey, digest)
    mapped = _code_map(code_map, source.path, survey, sample)
    reading = Rows(raw, survey, mapped, source, tuple(empty), invalid)
    found = "sniffed" if platform == "auto" else "named"
    reading.line("read", f"read {source.path.name} as {door.name} ({found}), sha256 {digest[:12]}", rows=len(raw))
    if told:
        reading.line("read", told)
    reading.entries += raw.entries
    reading.diagnostics += doubts
    reading.columns()
    if not len(raw):
        raise PlatformError(
            f"{source.path.name} has a header but no responses below it. Export the file again when somebody has "
            "answered, and with all responses, not only the complete ones.",
            code="NoResponses",
        )
    reading.outside()
    reading.timed()
    reading.statuses()
    reading.turned_back(list(already_reversed))
    reading.unasked()
    reading.repeated(duplicates)
    return reading.responses(_provenance(reading, sample))


def _sheet(source: Source, survey: Any) -> tuple[Source, str]:
    """The sheet of a workbook that asks most of the survey's questions, and a line for the ledger if there are more."""
    heads = sheet_heads(source) if source.kind == "xlsx" else []
    if len(heads) < 2:
        return source, ""
    known = {*(id.lower() for id in known_ids(survey)), *question_index(survey), *spellings(survey, {}, {})}
    counts = [
        max((sum(bool(_names_of(cell) & known) for cell in set(row)) for row in rows), default=0) for _, rows in heads
    ]
    best = counts.index(max(counts))
    if counts.count(counts[best]) > 1 and counts[best] > 0:
        twins = [name for (name, _), count in zip(heads, counts) if count == counts[best]]
        raise PlatformError(
            f"{source.path.name} has several sheets with the survey's questions ({listed(map(repr, twins))}); save the "
            "one to read as a file of its own.",
            code="AmbiguousSheet",
        )
    return replace(source, sheet=best), f"sheet '{heads[best][0]}' of {len(heads)} read"


def _names_of(cell: str) -> set[str]:
    """What a header cell may be called: itself, as a text, and without the groups before it."""
    return {cell.strip().lower(), heading(cell), re.split(r"[/.\[\]-]", cell.strip().rstrip("]"))[-1].lower()}


def _unlikely(door: Platform, head: Head) -> list[Diagnostic]:
    """A doubt about a platform that was named for a file that does not look like it.

    Raises
    ------
    PlatformError : WrongPlatform, where that platform cannot have written such a file
    """
    if door.sniff is None or door.sniff(head) > 0:
        return []
    seen = sniffed(head)
    words = f"{head.source.path.name} was read as an export of {door.title or door.name}, as you asked"
    if door.name in ("spss", "stata") or head.kind not in ("text", "xlsx"):
        raise PlatformError(
            f"{head.source.path.name} is no export of {door.title or door.name}; it is like {seen.title or seen.name}."
            f" Leave platform= out, or say platform='{seen.name}'.",
            code="WrongPlatform",
        )
    advice = f"it looks like {seen.title or seen.name}. Check the ledger, or leave platform= out."
    return [Diagnostic("UnlikelyPlatform", f"{words}, but {advice}", "warning")]


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sample(survey: Any, digest: str) -> Any:
    """The survey's own entry for this very file, by its content; None when there is none."""
    for sample in survey.samples:
        if sample.sha256:
            known = sample.sha256
        else:
            file = Path(survey.folder) / sample.file
            known = _digest(file) if file.is_file() else ""
        if known == digest:
            return sample
    return None


def _code_map(given: Any, path: Path, survey: Any, sample: Any) -> CodeMap:
    if given is None:
        beside = code_map_beside(path)
        given = beside if beside is not None else dict(sample.code_map) if sample is not None else {}
    code_map = CodeMap(columns=dict(given)) if isinstance(given, Mapping) else read_code_map(Path(given))
    if code_map.survey and (code_map.survey, code_map.version) != (survey.id, survey.version):
        raise other_version(survey, f"{code_map.survey} {code_map.version}", "its code map")
    return code_map


def _provenance(reading: Rows, sample: Any) -> str:
    """Where the answers come from: what the file says itself, else what the survey says of this file."""
    column = reading.data.get("provenance")
    told = sorted(set(column.dropna())) if column is not None else []
    if len(told) > 1 or any(one not in PROVENANCES for one in told):
        raise ResponseError(
            f"The column 'provenance' must hold one of {listed(PROVENANCES)}, the same in every row.",
            code="UnknownProvenance",
        )
    known = [sample.provenance] if sample is not None else []
    if told and known and told != known:
        raise ResponseError(
            f"The file calls itself {told[0]}, but survey.yaml calls it {known[0]}; correct one of them.",
            code="ProvenanceConflict",
        )
    return (told or known or ["yours"])[0]
