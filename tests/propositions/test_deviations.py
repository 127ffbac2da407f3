"""Deviations are computed from plan and execution, told with both results, and change the label."""

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

import cocoanalysis as coco
from cocoanalysis.errors import CocoError
from cocoanalysis.propositions import deviations as departures
from cocoanalysis.propositions.design import variables
from cocoanalysis.propositions.plan import Plan

SURVEYS = Path(__file__).parents[2] / "surveys"


@pytest.fixture(scope="module")
def plan():
    return coco.read_plan(SURVEYS / "cocreation")


@pytest.fixture(scope="module")
def bundled():
    survey = coco.read_survey(SURVEYS / "cocreation")
    return coco.read_responses(SURVEYS / "cocreation/synthetic.csv", survey)


@pytest.fixture(scope="module")
def ungated(plan):
    """The same plan without its gates, which would take most of the time here."""
    return Plan(plan.form.model_copy(update={"gates": []}), plan.path, plan.survey)


def run(plan, responses, **more):
    return coco.judge(plan, responses, gates=False, exploratory=False, **more)


@pytest.fixture(scope="module")
def planned(ungated, bundled):
    return run(ungated, bundled)


CHANGES = [
    ("controls", ["domain"]),
    ("exclusions", []),
    ("vcov", "cluster"),
    ("model", "mixed"),
    ("means_from", 100),
    ("few_clusters", "none"),
]


@pytest.mark.parametrize(("setting", "executed"), CHANGES)
def test_both_results_are_told_and_the_label_changes(setting, executed, ungated, bundled, planned):
    found = run(
        ungated, bundled, deviations=[{"setting": setting, "executed": executed, "reason": "asked for in review"}]
    )
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


def test_rows_left_out_by_hand_are_found_in_the_ledger(ungated, bundled):
    found = run(ungated, bundled.exclude("years < 1"))
    assert set(found.tidy()["label"]) == {"confirmatory with deviation"}
    assert set(found.deviations["executed"]) == {"years < 1"}
    assert found.deviations["planned_verdict"].isna().all()


def test_a_label_cannot_be_raised(plan, bundled):
    found = coco.judge(plan, bundled, gates=False, deviations=[{"setting": "vcov", "executed": "CR3", "reason": "x"}])
    table = found.tidy()
    assert set(table[table.family.isin(["exploratory", "beside"])]["label"]) == {"exploratory"}
    with pytest.raises((AttributeError, TypeError)):
        found["H12"].verdict = "supported"
    with pytest.raises(TypeError, match="frozen"):
        found["H12"].numbers["label"] = "confirmatory"
    with pytest.raises(ValidationError):
        plan["H12"].family = "confirmatory"
    table["label"] = "confirmatory"  # a table of one's own, which reaches nothing
    assert found.tidy().set_index("hypothesis").loc["H12", "label"] == "exploratory"
    assert pickle.loads(pickle.dumps(found["H12"].numbers)) == found["H12"].numbers


# --- ways to make a result look planned -------------------------------------------------------------------------------


def deviating(found, words):
    """Every confirmatory row says that it deviates, and the table of deviations says how."""
    confirmatory = found.tidy()[found.tidy()["family"] == "confirmatory"]
    assert set(confirmatory["label"]) == {"confirmatory with deviation"}
    assert found.deviations["executed"].str.contains(words).any()
    assert set(found.deviations["reason"]) == {"no reason given"}
    return True


def test_rows_left_out_in_the_plans_name(ungated, bundled):
    assert deviating(run(ungated, bundled.exclude("years < 3", origin="plan")), "years < 3")
    rows = bundled.frame["years"].astype(float) < 3
    with pytest.raises(coco.CocoError, match="exploratory"):
        bundled.exclude(rows, name="att1 != 3 or att2 != 6", origin="plan")
    assert deviating(run(ungated, bundled.exclude(rows, name="att1 != 3 or att2 != 6")), "att1")


def test_rows_left_out_without_a_line(ungated, bundled):
    rows = np.arange(len(bundled)) % 3 > 0
    assert deviating(run(ungated, bundled.kept(rows)), "300 rows that left without a line")
    assert deviating(run(ungated, bundled.split(seed=1)[0]), "first half")


def test_a_table_of_scores_in_which_exclusions_cannot_be_checked(ungated, bundled):
    table = variables(bundled, ungated.variables()).assign(collaboration=bundled.frame["collaboration"].astype(str))
    assert deviating(run(ungated, table[: len(table) // 2]), "cannot be checked")


def test_a_gate_that_was_not_examined(plan, bundled):
    found = run(plan, bundled)
    table = found.tidy().set_index("hypothesis")
    assert table.loc["H1", "label"] == "confirmatory with deviation"
    assert table.loc["H7", "label"].tolist() == ["confirmatory"] * 2  # no gate stands before it
    assert set(found.deviations["setting"]) == {"gates"}
    assert set(found.deviations["hypothesis"]) <= set(plan.form.gates[0].guards)


def test_a_plan_changed_behind_its_back(plan, bundled):
    changed = plan.deviated([departures.deviation({"setting": "controls", "executed": [], "reason": "x"})])
    with pytest.raises(coco.CocoError) as caught:
        run(changed, bundled)
    assert caught.value.code == "DeviatedPlan"


def test_a_deviation_that_changes_nothing_is_none(ungated, bundled, planned):
    found = run(ungated, bundled, deviations=[{"setting": "vcov", "executed": "CR2", "reason": "as planned"}])
    assert found.deviations.empty
    assert found.tidy().equals(planned.tidy())


def test_the_hash_is_that_of_the_content(plan, tmp_path):
    """Comments and order of keys are no content; a changed SESOI, alpha, family or hypothesis is."""
    text = plan.path.read_text(encoding="utf-8")
    again = tmp_path / "plan.yaml"

    def hashed(change):
        again.write_text(change, encoding="utf-8")
        return coco.read_plan(again).hash

    first = hashed(text)
    assert hashed("# a remark\n" + text) == first
    lines = text.replace("schema: 1\nid: cocreation\n", "id: cocreation\nschema: 1\n")
    assert lines != text
    assert hashed(lines) == first
    for old, new in {
        "alpha: 0.05": "alpha: 0.06",
        "respondent: 0.10": "respondent: 0.11",
        "expected: positive": "expected: negative",
        "exploratory: true": "exploratory: false",
    }.items():
        assert hashed(text.replace(old, new, 1)) != first
    canonical = json.loads(coco.read_plan(again).canonical)
    assert json.dumps(canonical, sort_keys=True, ensure_ascii=False, separators=(",", ":")) == (
        coco.read_plan(again).canonical
    )


def test_every_fitted_model_is_counted(ungated, plan, bundled, planned):
    models = planned.models
    equations = {equation.formula for verdict in planned for equation in verdict.equations}
    assert set(models["model"]) == equations
    assert models["reported"].all()
    assert f"{len(models)} models fitted, {len(models)} reported" in planned.note
    deviated = run(ungated, bundled, deviations=[{"setting": "controls", "executed": [], "reason": "x"}])
    assert len(deviated.models) == 2 * len(models)  # the planned ones were fitted too, and are told in .deviations
    shut = coco.judge(plan, coco.simulate(SURVEYS / "cocreation/worlds/one-factor.yaml", n=500, seed=1))
    left = shut.models[~shut.models["reported"]]
    assert len(left) > 5
    assert left["hypothesis"].str.startswith("H1").any()
    assert {"measurement", "regression"} <= set(shut.models["kind"])
    assert f"{len(shut.models)} models fitted, {int(shut.models['reported'].sum())} reported" in " ".join(shut.notes())


@pytest.mark.parametrize(
    "deviation",
    [{"setting": "alpha", "executed": 0.2, "reason": "x"}, {"setting": "vcov", "executed": "CR2"},
     {"setting": "vcov", "executed": "best", "reason": "x"}, {"setting": "exclusions", "executed": ["nobody"],
     "reason": "x"}, {"setting": "controls", "executed": "domain", "reason": "x"}, "controls"],
)  # fmt: skip
def test_a_deviation_needs_a_setting_a_value_and_a_reason(deviation, plan, bundled):
    with pytest.raises(coco.CocoError) as caught:
        run(plan, bundled, deviations=[deviation])
    assert caught.value.code == "InvalidDeviation"


@pytest.mark.parametrize(
    ("change", "code"), [({"gates": "some"}, "BadArgument"), ({"seed": -1}, "BadSeed"), ({"seed": 1.5}, "BadSeed")]
)
def test_requests_that_make_no_sense(plan, bundled, change, code):
    with pytest.raises(coco.CocoError) as caught:
        coco.judge(plan, bundled, **change)
    assert caught.value.code == code


def test_a_copy_of_a_plan_with_another_form_is_refused(plan, bundled):
    looser = replace(plan, form=plan.form.model_copy(update={"alpha": 0.2}))
    with pytest.raises(CocoError, match="not the one that was read") as fault:
        coco.judge(looser, bundled)
    assert fault.value.code == "DeviatedPlan"
