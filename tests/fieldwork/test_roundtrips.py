"""The same answers in each platform's export shape: identical scores, reasons and ledger totals, whatever they are."""

import functools

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import cocoanalysis as coco
from cocoanalysis.responses.writing import as_text
from tests.fieldwork import test_limesurvey, test_qualtrics, test_redcap, test_xlsform
from tests.fieldwork.roundtrip import SURVEY, answered, hold_the_same

SHAPES = {
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


@pytest.mark.parametrize("platform", SHAPES)
@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10_000), rows=st.integers(2, 8), empty=st.floats(0, 0.5), coded=st.floats(0, 0.5))
def test_comes_back_as_it_was_given(tmp_path, platform, seed, rows, empty, coded):
    tidy, file = tmp_path / "tidy.csv", tmp_path / "export.csv"
    drawn(seed, rows, empty, coded).to_csv(tidy, index=False)
    given_ = coco.read_responses(tidy, SURVEY)
    file.write_text(SHAPES[platform](given_), encoding="utf-8")
    back = coco.read_responses(file, SURVEY)
    assert f"as {platform} (sniffed)" in back.ledger["rule"].iloc[0]
    hold_the_same(back, given_)
    assert totals(back) == totals(given_)
    assert pd.Index(back.frame["respondent"]).equals(pd.Index(given_.frame["respondent"]))
