"""A data set that may be shared: one folder with data, dictionary, codebook and a page that explains it.

The layout follows Psych-DS, schema 1.5.1 (psych-ds.github.io): dataset_description.json at the root names every
column of data/study-ID_data.csv, whose name holds letters and digits only; what explains the data stands in
documentation/. People are checked for first: who could be recognised by the background answers keeps the
folder from being written.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cocoanalysis.arguments import of_responses, whole
from cocoanalysis.errors import DisclosureError, ResponseError, listed
from cocoanalysis.fieldwork.ddi import write_for
from cocoanalysis.responses.disclosure import anonymity, coarsened, free
from cocoanalysis.responses.ledger import entry
from cocoanalysis.responses.writing import as_text, write_sav

LICENCES = "Say under which licence the data may be used; until then nobody may use them."
IGNORED = "# files beside the data that the Psych-DS validator need not look at\n*.sav\n"


def write_dataset(
    responses: Any,
    folder: str | Path,
    *,
    k: int = 5,
    language: str = "en",
    licence: str = "",
    leave_out: Iterable[str] = (),
    coarsen: bool = False,
) -> Path:
    """Write a shareable data set into a new folder, after the check that nobody is recognisable in it.

    Identifiers are replaced by numbers in random order, rows are shuffled, and open answers, dates and
    personal columns are left out. Real answers are refused when fewer than ``k`` people share a
    combination of background answers. The folder is written whole or not at all.

    Parameters
    ----------
    responses : Responses
    folder : a new or empty folder
    k : how many people at least must share a combination of background answers
    language : of labels and questions
    licence : its name or address, as CC-BY-4.0
    leave_out : columns that are not shared
    coarsen : take the steps that `anonymity` suggests (bands, merged categories, columns left out), each
        with a line in the ledger, until nobody is at risk

    Returns
    -------
    the folder: dataset_description.json, README.md, CHANGES.md, data/study-ID_data.csv and .sav, and in
    documentation/ codebook.md, data-dictionary.csv, ledger.csv and the DDI codebook study-ID.xml

    Raises
    ------
    DisclosureError : Recognisable, FolderNotEmpty; BadArgument, where k is below 2 and would protect nobody
    ResponseError : UnknownVariable
    """
    of_responses(responses)
    whole(k, "k", 2, error=DisclosureError)
    target = Path(folder)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise DisclosureError(f"The folder {target} is not empty; name a new one.", code="FolderNotEmpty")
    shared = shareable(without(responses, leave_out))
    if coarsen and not free(shared.provenance):
        shared = coarsened(shared, k)
    refuse_recognisable(shared, k)
    target.parent.mkdir(parents=True, exist_ok=True)
    half = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent))
    try:
        _fill(half, shared, language, licence)
        if target.exists():
            target.rmdir()
        half.chmod(0o755)
        os.replace(half, target)
    finally:
        shutil.rmtree(half, ignore_errors=True)
    return target


def _fill(folder: Path, shared: Any, language: str, licence: str) -> None:
    """Every file of the data set."""
    (folder / "data").mkdir()
    (folder / "documentation").mkdir()
    stem, book = stem_of(shared.survey), described(shared, language)
    _table(as_text(shared), folder / "data" / f"{stem}_data.csv")
    write_sav(shared, folder / "data" / f"{stem}_data.sav", language)
    _table(book, folder / "documentation" / "data-dictionary.csv")
    _table(shared.ledger, folder / "documentation" / "ledger.csv")
    _write(folder / "documentation" / "codebook.md", codebook(shared, book, language))
    _write(folder / "dataset_description.json", json.dumps(description(shared, book, language, licence), indent=2,
                                                           ensure_ascii=False))  # fmt: skip
    _write(folder / "README.md", readme(shared, language, licence))
    _write(folder / "CHANGES.md", f"# Changes\n\n- {shared.survey.version}: first shared.")
    _write(folder / ".psychds-ignore", IGNORED)
    write_for(shared, folder / "documentation" / f"{stem}.xml", f"{stem}_data.csv")


def stem_of(survey: Any) -> str:
    """The beginning of a data file's name in Psych-DS: a keyword and a value of letters and digits."""
    return f"study-{re.sub(r'[^A-Za-z0-9]', '', str(survey.id)) or 'survey'}"


def without(responses: Any, columns: Iterable[str]) -> Any:
    """The responses without some columns, with a line in the ledger.

    Raises
    ------
    ResponseError : UnknownVariable
    """
    names = list(dict.fromkeys(columns))
    absent = [name for name in names if name not in responses.answers]
    if absent:
        raise ResponseError(
            f"There is no column {listed(absent)} to leave out; the responses have {listed(responses.answers, 60)}.",
            code="UnknownVariable",
        )
    if not names:
        return responses
    n = len(responses.answers)
    line = entry("recode", f"left out of what is shared: {listed(names, 30)}", n, rows=n, cells=n * len(names))
    return replace(
        responses,
        answers=responses.answers.drop(columns=names),
        reasons=responses.reasons.drop(columns=names),
        entries=(*responses.entries, line),
    )


def _table(frame: pd.DataFrame, path: Path) -> None:
    frame.to_csv(path, index=False, lineterminator="\n", encoding="utf-8")


def shareable(responses: Any, seed: int | None = None) -> Any:
    """The responses without open answers, times and personal columns, with numbers for names, rows shuffled."""
    survey, answers = responses.survey, responses.answers
    ids = [survey.respondent, getattr(survey, "collaboration", None), survey.cluster, survey.organisation]
    ids = [name for name in dict.fromkeys(ids) if name and name in answers]
    kept = [name for name in answers if name in ids or _may_leave(survey, str(name))]
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(answers))
    frame = answers[kept].iloc[order].reset_index(drop=True)
    for name in ids:
        known = frame[name].dropna().unique()
        width = len(str(len(known)))
        numbers = {id: f"{place + 1:0{width}d}" for id, place in zip(known, rng.permutation(len(known)))}
        frame[name] = frame[name].map(numbers).astype("str")
    left = [str(name) for name in answers if name not in kept]
    words = f"identifiers replaced by numbers, rows shuffled{'; left out: ' + listed(left, 30) if left else ''}"
    line = entry("recode", words, len(frame), rows=len(frame), cells=len(frame) * (len(ids) + len(left)))
    reasons = responses.reasons[kept].iloc[order].reset_index(drop=True)
    return replace(responses, answers=frame, reasons=reasons, entries=(*responses.entries, line), screening=None)


def _may_leave(survey: Any, name: str) -> bool:
    """Items, flags, and background that is neither personal nor open nor an identifier."""
    if name in survey.items or name.startswith("flag_") or name in ("careless_flags", "complete", "form", "language"):
        return True
    option = survey.option(name)
    question = option[0] if option else survey.background.get(name)
    kinds = ("categorical", "numeric", "multiple")
    return question is not None and not question.personal and question.kind in kinds


def refuse_recognisable(responses: Any, k: int) -> None:
    """Refuse real answers in which fewer than ``k`` people share a combination of background answers.

    Raises
    ------
    DisclosureError : Recognisable, with the steps that would help
    """
    if free(responses.provenance):
        return
    found = anonymity(responses, k=k)
    if found.at_risk:
        steps = [f"{row.action} '{row.variable}' ({row.detail})" for row in found.tidy().itertuples()]
        raise DisclosureError(
            f"{found.at_risk} of {found.n} people could be recognised: fewer than {k} share their background answers. "
            f"What would help, in this order: {listed(steps, 6)}. Take these steps with "
            "coarsen=True (coco export … --coarsen), or leave columns out with leave_out=[…] (--leave-out).",
            code="Recognisable",
        )


def described(responses: Any, language: str) -> pd.DataFrame:
    """The data dictionary: one row a column of the data file, in its order."""
    book = responses.codebook(language)
    told = {"column": "provenance", "kind": "technical", "question": "what the data are: synthetic, public real, yours"}
    last = {**dict.fromkeys(book.columns, ""), **told, "n": len(responses), "n_missing": 0}
    return pd.concat([book, pd.DataFrame([last])], ignore_index=True)


def description(responses: Any, book: pd.DataFrame, language: str, licence: str) -> dict[str, Any]:
    """dataset_description.json: what the data are, in the words of schema.org; ``book`` is the dictionary."""
    survey = responses.survey
    return {
        "@context": "https://schema.org/",
        "@type": "Dataset",
        "name": survey.title.get(language) or survey.id,
        "description": _purpose(responses, language),
        "schemaVersion": "Psych-DS 1.5.1",
        "version": survey.version,
        **({"license": licence} if licence else {}),
        "variableMeasured": [_variable(row) for row in book.to_dict("records")],
    }


def _variable(row: dict[Any, Any]) -> dict[str, Any]:
    """One column as schema.org's PropertyValue, its codes as values with a name."""
    codes = [*_codes(row["answers"], ""), *_codes(row["missing"], "missing: ")]
    return {
        "@type": "PropertyValue",
        "name": row["column"],
        "description": row["question"] or row["column"],
        **({"valueReference": codes} if codes else {}),
    }


def _codes(text: str, before: str) -> list[dict[str, str]]:
    pairs = [part.split(" = ", 1) for part in text.split("; ") if " = " in part]
    return [{"@type": "PropertyValue", "value": code, "name": f"{before}{label}"} for code, label in pairs]


def codebook(responses: Any, book: pd.DataFrame, language: str) -> str:
    """The codebook for readers: construct by construct what was asked, how answers are coded, how scores are made."""
    survey = responses.survey
    lines = [f"# Codebook: {survey.title.get(language) or survey.id}", "", f"Instrument {survey.id} {survey.version}."]
    for construct, rows in book.groupby("construct", sort=False):
        lines += ["", f"## {survey.label(construct, language) if construct else 'About the respondent and the row'}"]
        if construct in survey.constructs:
            score = survey.constructs[construct].score
            lines += ["", f"Score {construct}: {score.rule} of the items, at least {score.min_items} answered."]
        for row in rows.to_dict("records"):
            key = " (reverse-keyed: turned round in scores, not in the data)" if row["key"] == "reverse" else ""
            lines += ["", f"**{row['column']}**{key}: {row['question'] or row['kind']}"]
            lines += [f"- {part}" for part in str(row["answers"]).split("; ") if part]
            lines += [f"- {part} (missing)" for part in str(row["missing"]).split("; ") if part]
    return "\n".join(lines)


def _purpose(responses: Any, language: str) -> str:
    words = responses.survey.description.get(language) or responses.survey.title.get(language) or responses.survey.id
    kind = {"synthetic": "Synthetic answers, made by a computer: no person answered. "}.get(responses.provenance, "")
    return f"{kind}{words}"


def readme(responses: Any, language: str, licence: str) -> str:
    """README.md of the data set."""
    survey, n, stem = responses.survey, len(responses), stem_of(responses.survey)
    items = [id for id in survey.items if id in responses.reasons]
    counts = pd.Series(responses.reasons[items].to_numpy(dtype=object).ravel()).value_counts()
    missing = "\n".join(f"- {reason}: {count} cells" for reason, count in counts.items()) or "- none"
    return (
        f"# {survey.title.get(language) or survey.id}\n\n{_purpose(responses, language)}\n\n"
        f"{n} responses; instrument {survey.id} {survey.version}. Provenance: {responses.provenance}.\n\n"
        f"## Files\n\n- data/{stem}_data.csv: one row a response; missing answers hold a code or a word for their "
        f"reason, empty means skipped\n- data/{stem}_data.sav: the same for SPSS\n"
        "- documentation/codebook.md: what was asked, and how answers are coded and scored\n"
        "- documentation/data-dictionary.csv: what each column holds, one row a column\n"
        f"- documentation/{stem}.xml: the questionnaire as a DDI codebook\n"
        "- documentation/ledger.csv: every row and cell that was changed or left out\n\n"
        f"## Missing answers\n\n{missing}\n\n## Licence\n\n{licence or LICENCES}\n"
    )


def _write(path: Path, text: str) -> None:
    path.write_text(text.rstrip() + "\n", encoding="utf-8")
