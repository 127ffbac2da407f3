"""Deviations are computed from plan and execution, told with both results, and change the label."""

from pathlib import Path

import pytest

import cocoanalysis as coco

SURVEYS = Path(__file__).parents[2] / "surveys"


@pytest.fixture(scope="module")
def plan():
    return coco.read_plan(SURVEYS / "cocreation")


@pytest.fixture(scope="module")
def bundled():
    survey = coco.read_survey(SURVEYS / "cocreation")
    return coco.read_responses(SURVEYS / "cocreation/synthetic.csv", survey)


def run(plan, responses, **more):
    return coco.judge(plan, responses, gates=False, exploratory=False, **more)


@pytest.fixture(scope="module")
def planned(plan, bundled):
    return run(plan, bundled)


CHANGES = [
    ("controls", ["domain"]),
    ("exclusions", []),
    ("vcov", "cluster"),
    ("model", "mixed"),
    ("means_from", 100),
]


@pytest.mark.parametrize(("setting", "executed"), CHANGES)
def test_both_results_are_told_and_the_label_changes(setting, executed, plan, bundled, planned):
    found = run(plan, bundled, deviations=[{"setting": setting, "executed": executed, "reason": "asked for in review"}])
    table = found.tidy()
    assert set(table["label"]) == {"confirmatory with deviation"}
    told = found.deviations
    assert len(told) == len(table)
    assert set(told["reason"]) == {"asked for in review"}
    assert told["planned_estimate"].tolist() == planned.tidy()["estimate"].tolist()
    assert told["planned_verdict"].tolist() == planned.tidy()["verdict"].tolist()
    assert told["executed_estimate"].tolist() == table["estimate"].tolist()
    assert found.plan.hash == planned.plan.hash
    assert "1 deviation(s)" in " ".join(found.notes())


def test_without_deviation_nothing_is_told(planned):
    assert set(planned.tidy()["label"]) == {"confirmatory"}
    assert planned.deviations.empty


def test_rows_left_out_by_hand_are_found_in_the_ledger(plan, bundled):
    found = run(plan, bundled.exclude("years < 1"))
    assert set(found.tidy()["label"]) == {"confirmatory with deviation"}
    assert set(found.deviations["executed"]) == {"years < 1"}
    assert found.deviations["planned_verdict"].isna().all()


def test_a_label_cannot_be_raised(plan, bundled):
    found = coco.judge(plan, bundled, gates=False, deviations=[{"setting": "vcov", "executed": "CR3", "reason": "x"}])
    table = found.tidy()
    assert set(table[table.family.isin(["exploratory", "beside"])]["label"]) == {"exploratory"}
    with pytest.raises((AttributeError, TypeError)):
        found["H12"].verdict = "supported"


@pytest.mark.parametrize(
    "deviation",
    [{"setting": "alpha", "executed": 0.2, "reason": "x"}, {"setting": "vcov", "executed": "CR2"},
     {"setting": "vcov", "executed": "best", "reason": "x"}, {"setting": "exclusions", "executed": ["nobody"],
     "reason": "x"}, {"setting": "controls", "executed": "domain", "reason": "x"}],
)  # fmt: skip
def test_a_deviation_needs_a_setting_a_value_and_a_reason(deviation, plan, bundled):
    with pytest.raises(coco.CocoError) as caught:
        run(plan, bundled, deviations=[deviation])
    assert caught.value.code == "InvalidDeviation"
