"""Every row is accounted for: the flow of the sample and the rates that AAPOR defines."""

import pandas as pd
import pytest

import cocoanalysis as coco
from cocoanalysis.errors import CocoError
from cocoanalysis.instrument.reading import read_survey
from cocoanalysis.responses.ledger import entries_of, response_rates, sample_flow, table
from cocoanalysis.responses.responses import Responses
from tests.small import ITEMS, written


@pytest.fixture(scope="module")
def responses(tmp_path_factory):
    survey = read_survey(written(tmp_path_factory.mktemp("small")))
    frame = pd.DataFrame({id: [1, 2, 3, 5, 2, 1, 3, 5, 2, 1] for id in ITEMS})
    frame.loc[:, "att1"] = [2] * 9 + [5]
    frame["ste1"], frame["complete"] = 1, [True] * 8 + [False] * 2
    return Responses.from_frame(frame, survey)


def test_flow_from_invited_to_analysed(responses):
    left = responses.screen().exclude("not complete", origin="plan")
    flow = sample_flow(left, invited=40, attentive="flag_attention").set_index("stage")
    assert flow["n"].tolist() == [40, 10, 8, 8, 8]
    assert flow.loc["opened", "lost"] == 30
    assert flow.loc["analysed", "lost"] == 2
    assert "not complete (−2)" in flow.loc["analysed", "reason"]


def test_stages_that_cannot_be_told_say_why(responses):
    flow = sample_flow(responses).set_index("stage")
    assert flow.loc["invited", "known"] == "give invited="
    assert flow.loc["attentive", "known"] == "not screened"
    assert pd.isna(flow.loc["attentive", "n"])


def test_ledger_comes_back_from_its_table(responses):
    left = responses.exclude("tru1 == 5")
    assert table(entries_of(left.ledger)).equals(left.ledger)
    assert entries_of(left.ledger) == left.entries


def test_rates_follow_the_definitions_by_hand():
    rates = response_rates(invited=200, complete=80, partial=20, refused=30, other=5, unknown=15, ineligible=10)
    value = rates.set_index("rate")["value"]
    nc = 200 - 160
    assert value["RR1"] == pytest.approx(80 / (100 + 30 + nc + 5 + 15))
    assert value["RR6"] == pytest.approx(100 / (100 + 30 + nc + 5))
    assert value["COOP1"] == pytest.approx(80 / 135)
    assert value["REF1"] == pytest.approx(30 / 190)
    assert value["CON1"] == pytest.approx(135 / 190)


def test_impossible_counts_are_refused():
    with pytest.raises(CocoError) as caught:
        response_rates(invited=10, complete=9, partial=5)
    assert caught.value.code == "ImpossibleCounts"


def test_turning_reverse_items_round_is_a_line_of_the_ledger_of_scores():
    folder = coco.bundled("cocreation")
    responses = coco.read_responses(folder / "synthetic.csv", coco.read_survey(folder))
    made = responses.scored(["mobilising", "softown"])
    lines = made.ledger[made.ledger["step"] == "recode"]
    assert lines["rule"].tolist() == ["mobilising: mob7 turned round by the key"]  # softown has none
    assert lines["cells"].tolist() == [responses.frame["mob7"].notna().sum()]
    assert len(made.ledger) == len(responses.ledger) + 1
