"""The same answers in each platform's export shape: identical scores, reasons and ledger totals, whatever they are."""

import functools
import json
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyreadstat
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import cocoanalysis as coco
from cocoanalysis.fieldwork.spss import write as write_spss
from cocoanalysis.responses.writing import as_text
from tests.fieldwork import test_limesurvey, test_qualtrics, test_redcap, test_spss, test_surveyjs, test_xlsform
from tests.fieldwork.roundtrip import SURVEY, answered, cells, hold_the_same


@functools.cache
def empty_sav():
    """What the empty SPSS file says of its columns."""
    with tempfile.TemporaryDirectory() as folder:
        return pyreadstat.read_sav(str(write_spss(SURVEY, Path(folder) / "empty.sav")[0]), user_missing=True)[1]


def tidy(responses, folder, kind):
    """One column an id, codes as text; numbers where a spreadsheet or Parquet would keep numbers."""
    table = as_text(responses).drop(columns="provenance")
    if kind == "csv":
        table.to_csv(folder / "export.csv", index=False)
        return folder / "export.csv"
    items = [id for id in SURVEY.items if id in table]
    for id in items:  # a reason that has no code stands as a word, which keeps the column text
        numbers = pd.to_numeric(table[id].replace("", None), errors="coerce")
        table[id] = numbers if numbers.isna().equals(table[id].eq("")) else table[id].astype(str)
    file = folder / f"export.{kind}"
    table.to_excel(file, index=False) if kind == "xlsx" else table.astype({"years": str}).to_parquet(file)
    return file


def page(responses, folder):
    """What our own page saves: empty where nothing was asked, form and version beside."""
    facts = {"surveyversion": SURVEY.version, "form": "full", "language": "en", "complete": "true", "consent": "true"}
    table = cells(responses).assign(**facts)
    for name in ("respondent", "collaboration", "organisation"):
        table[name] = responses.frame[name].astype(str).to_numpy()
    file = folder / "cocreation-answers.csv"
    file.write_text("\ufeff" + table.to_csv(index=False, lineterminator="\r\n"), encoding="utf-8")
    return file


FILES = {  # platform as it is sniffed, and what writes the file
    "spss": ("spss", lambda responses, folder: test_spss.filled(responses, empty_sav(), folder / "export.sav")),
    "page": ("tidy", page),
    **{f"tidy {kind}": ("tidy", functools.partial(tidy, kind=kind)) for kind in ("csv", "xlsx", "parquet")},
}
SHAPES = {
    "surveyjs": lambda responses: pd.json_normalize(test_surveyjs.results(responses)).to_csv(index=False),
    "surveyjs, JSON": lambda responses: json.dumps(test_surveyjs.results(responses)),
    "limesurvey": lambda responses: test_limesurvey.export(responses, "{}[{}]").to_csv(index=False, sep=";"),
    "qualtrics": lambda responses: test_qualtrics.exported(test_qualtrics.shape(responses)),
    "redcap": lambda responses: test_redcap.raw_shape(responses).to_csv(index=False),
    "xlsform": lambda responses: test_xlsform.kobo_shape(responses).to_csv(index=False),
}


@functools.cache
def sample():
    return as_text(answered()).drop(columns="provenance").reset_index(drop=True)


def drawn(seed, rows, empty, coded):
    """A few respondents whose items are, in random places, left empty or answered by a missing code."""
    rng = np.random.default_rng(seed)
    table = sample().iloc[rng.permutation(len(sample()))[:rows]].reset_index(drop=True).astype(object)
    items = [id for id in SURVEY.items if id in table]
    chance = rng.random((rows, len(items)))
    cells = table[items].to_numpy(dtype=object)
    codes = np.array([SURVEY.items[id].scale.missing[0].code for id in items], dtype=object)
    cells = np.where(chance < coded, codes, np.where(chance > 1 - empty, "", cells))
    return table.assign(**{id: cells[:, place] for place, id in enumerate(items)})


def totals(responses):
    """Cells without an answer by reason, from the ledger; left empty and not reached are one in an export."""
    lines = responses.ledger[responses.ledger["rule"].str.endswith("items without an answer")]
    reasons = lines["rule"].str.split(":").str[0].replace("not_reached", "skipped")
    return lines.groupby(reasons)["cells"].sum().to_dict()


@pytest.mark.parametrize("platform", [*SHAPES, *FILES])
@settings(
    max_examples=3,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much],
)
@given(seed=st.integers(0, 10_000), rows=st.integers(2, 8), empty=st.floats(0, 0.5), coded=st.floats(0, 0.5))
def test_comes_back_as_it_was_given(tmp_path, platform, seed, rows, empty, coded):
    source, file = tmp_path / "source.csv", tmp_path / "export.csv"
    drawn(seed, rows, empty, coded).to_csv(source, index=False)
    given_ = coco.read_responses(source, SURVEY)
    if platform.startswith("surveyjs"):  # its results do not mention a question that nobody answered
        assume((cells(given_)[list(SURVEY.items)] != "").any().all())
    if platform in SHAPES:
        file.write_text(SHAPES[platform](given_), encoding="utf-8")
    else:
        file = FILES[platform][1](given_, tmp_path)
    back = coco.read_responses(file, SURVEY)
    sniffed = FILES[platform][0] if platform in FILES else platform.split(",")[0]
    assert f"as {sniffed} (sniffed)" in back.ledger["rule"].iloc[0]
    hold_the_same(back, given_)
    assert totals(back) == totals(given_)
    assert pd.Index(back.frame["respondent"]).equals(pd.Index(given_.frame["respondent"]))
