"""A million rows of a hundred items: read, matched, screened and scored, beside pandas' bare read of the CSV.

    python bench/large_export.py [ROWS]

Prints seconds, rows a second once parsed, and the largest memory of the process.
"""

import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pacsv

from cocoanalysis.fieldwork import opening
from cocoanalysis.fieldwork.platforms import Options
from cocoanalysis.fieldwork.reading import read_responses
from cocoanalysis.instrument.reading import read_survey

ITEMS = 100
POINTS = "\n".join(f"      - {{code: {i}, label: {{en: answer {i}}}}}" for i in range(1, 8))
LINES = "\n".join(
    f"      - "
    f"{{id: c{k}i{i}, text: {{en: construct {k} item {i}}}, key: {'reverse' if i == 3 else 'forward'}, source: s}}"
    if i
    else f"  - id: c{k}\n    label: {{en: construct {k}}}\n    role: practice\n    scale: seven\n"
    "    score: {rule: mean, min_items: 3}\n    items:"
    for k in range(ITEMS // 5)
    for i in range(6)
)
INSTRUMENT = f"""schema: 1
id: big
version: "0.1.0"
title: {{en: Big}}
licence: CC-BY-4.0
source: made for the benchmark
languages: [en]
translations: {{en: {{status: draft, translator: the project}}}}
scales:
  seven:
    title: {{en: Seven}}
    points:
{POINTS}
    missing: [{{code: 98, reason: cannot_judge, label: {{en: cannot judge}}}}]
constructs:
{LINES}
background:
  - {{id: person, label: {{en: p}}, question: {{en: p}}, kind: identifier, level: respondent}}
  - {{id: team, label: {{en: t}}, question: {{en: t}}, kind: identifier, level: collaboration}}
"""
SURVEY = """schema: 1
id: big
version: "0.1.0"
title: {en: Big}
languages: [en]
instruments: [big.yaml]
identifiers: {respondent: person, collaboration: team, cluster: team}
order: [%s]
""" % ", ".join(f"c{k}" for k in range(ITEMS // 5))  # noqa: UP031  (the text holds braces)


def written(folder: Path, rows: int) -> Path:
    """The survey's files and a CSV of that many rows in ``folder``."""
    (folder / "big.yaml").write_text(INSTRUMENT)
    (folder / "survey.yaml").write_text(SURVEY)
    rng = np.random.default_rng(1)
    names = [f"c{k}i{i}" for k in range(ITEMS // 5) for i in range(1, 6)]
    trait = rng.normal(size=(rows, 1)).astype(np.float32)
    columns = {"person": pa.array(np.char.add("p", np.arange(rows).astype(str)))}
    columns["team"] = pa.array(np.char.add("t", rng.integers(0, 2000, rows).astype(str)))
    for name in names:
        sign = -1 if name.endswith("3") else 1
        answer = np.clip(np.round(4 + sign * trait[:, 0] + rng.normal(size=rows)), 1, 7).astype(np.int64)
        answer[rng.random(rows) < 0.02] = 98
        columns[name] = pa.array(answer, mask=rng.random(rows) < 0.03)
    path = folder / "answers.csv"
    pacsv.write_csv(pa.table(columns), path)
    return path


def main(rows: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = written(Path(folder), rows)
        print(f"{rows:,} rows, {path.stat().st_size / 1e6:,.0f} MB")
        survey = read_survey(folder)
        start = time.perf_counter()
        opening.text_table(opening.opened(path, Options()))
        parsed = time.perf_counter() - start
        start = time.perf_counter()
        responses = read_responses(path, survey)
        read = time.perf_counter() - start
        start = time.perf_counter()
        responses = responses.screen()
        screened = time.perf_counter() - start
        start = time.perf_counter()
        responses.scores()
        scored = time.perf_counter() - start
        rate = rows / (read - parsed + screened + scored)
        print(f"parse {parsed:.1f} s, read with parsing {read:.1f} s, screen {screened:.1f} s, score {scored:.1f} s")
        print(f"{rate:,.0f} rows a second once parsed")
        print(
            f"largest memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB (with the test data's "
            f"making)"
        )
        del responses
        start = time.perf_counter()
        pd.read_csv(path)
        print(f"pandas alone reads the CSV in {time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
