"""A data set that may be shared: one folder with data, dictionary, codebook and a page that explains it.

The layout follows Psych-DS (psychds.github.io was not reached from here; the layout is that of its
published schema 0.4): dataset_description.json, data/…_data.csv, README.md, CHANGES.md. People are
checked for first: who could be recognised by the background answers keeps the folder from being written.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cocoanalysis.errors import DisclosureError, listed
from cocoanalysis.fieldwork.platforms import known_platforms
from cocoanalysis.responses.disclosure import anonymity, free
from cocoanalysis.responses.ledger import entry
from cocoanalysis.responses.writing import as_text, write_sav

LICENCES = "Say under which licence the data may be used; until then nobody may use them."


def write_dataset(responses: Any, folder: str | Path, *, k: int = 5, language: str = "en", licence: str = "") -> Path:
    """Write a shareable data set into a new folder, after the check that nobody is recognisable in it.

    Identifiers are replaced by numbers in random order, rows are shuffled, and open answers, dates and
    personal columns are left out. Real answers are refused when fewer than ``k`` people share a
    combination of background answers.

    Returns
    -------
    the folder: dataset_description.json, README.md, CHANGES.md, data/study-ID_data.csv and .sav,
    data/study-ID_dictionary.csv, ledger.csv, and the DDI codebook where that platform is there

    Raises
    ------
    DisclosureError : Recognisable, FolderNotEmpty
    """
    target = Path(folder)
    if target.exists() and any(target.iterdir()):
        raise DisclosureError(f"The folder {target} is not empty; name a new one.", code="FolderNotEmpty")
    shared = shareable(responses)
    refuse_recognisable(shared, k)
    (target / "data").mkdir(parents=True, exist_ok=True)
    stem = f"study-{shared.survey.id}"
    as_text(shared).to_csv(target / "data" / f"{stem}_data.csv", index=False, lineterminator="\n", encoding="utf-8")
    write_sav(shared, target / "data" / f"{stem}_data.sav", language)
    book = shared.codebook(language)
    book.to_csv(target / "data" / f"{stem}_dictionary.csv", index=False, lineterminator="\n", encoding="utf-8")
    shared.ledger.to_csv(target / "ledger.csv", index=False, lineterminator="\n", encoding="utf-8")
    _write(
        target / "dataset_description.json",
        json.dumps(description(shared, language, licence), indent=2, ensure_ascii=False),
    )
    _write(target / "README.md", readme(shared, language, licence))
    _write(target / "CHANGES.md", f"# Changes\n\n- {shared.survey.version}: first shared.")
    ddi = known_platforms().get("ddi")
    if ddi is not None and ddi.write is not None:
        ddi.write(shared.survey, target / f"{stem}.xml")
    return target


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
    question = survey.background.get(name)
    return question is not None and not question.personal and question.kind in ("categorical", "numeric")


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
            f"What would help, in this order: {listed(steps, 6)}. Leave those columns out of the responses and try "
            f"again.",
            code="Recognisable",
        )


def description(responses: Any, language: str, licence: str) -> dict[str, Any]:
    """dataset_description.json: what the data are, in the words of schema.org."""
    survey, book = responses.survey, responses.codebook(language)
    return {
        "@context": "https://schema.org/",
        "@type": "Dataset",
        "name": survey.title.get(language) or survey.id,
        "description": _purpose(responses, language),
        "schemaVersion": "Psych-DS 0.4.0",
        "version": survey.version,
        "license": licence or LICENCES,
        "variableMeasured": [
            {
                "@type": "PropertyValue",
                "name": row.column,
                "description": row.question,
                **({"valueReference": row.answers} if row.answers else {}),
                **({"missing": row.missing} if row.missing else {}),
            }
            for row in book.itertuples()
        ],
    }


def _purpose(responses: Any, language: str) -> str:
    words = responses.survey.description.get(language) or responses.survey.title.get(language) or responses.survey.id
    kind = {"synthetic": "Synthetic answers, made by a computer: no person answered. "}.get(responses.provenance, "")
    return f"{kind}{words}"


def readme(responses: Any, language: str, licence: str) -> str:
    """README.md of the data set."""
    survey, n = responses.survey, len(responses)
    reasons = pd.Series(
        responses.reasons[[id for id in survey.items if id in responses.reasons]].to_numpy(dtype=object).ravel()
    )
    counts = reasons.value_counts()
    missing = "\n".join(f"- {reason}: {count} cells" for reason, count in counts.items()) or "- none"
    return (
        f"# {survey.title.get(language) or survey.id}\n\n{_purpose(responses, language)}\n\n"
        f"{n} responses; instrument {survey.id} {survey.version}. Provenance: {responses.provenance}.\n\n"
        f"## Files\n\n- data/study-{survey.id}_data.csv: one row a response; missing answers hold a code or a word "
        f"for their "
        f"reason, empty means skipped\n- data/study-{survey.id}_data.sav: the same for SPSS\n"
        f"- data/study-{survey.id}_dictionary.csv: what each column holds\n- ledger.csv: every row and cell that was "
        f"changed "
        f"or left out\n\n## Missing answers\n\n{missing}\n\n## Licence\n\n{licence or LICENCES}\n"
    )


def _write(path: Path, text: str) -> None:
    path.write_text(text.rstrip() + "\n", encoding="utf-8")
