"""Gates: open on sound measurement, closed on a general factor, and what that does to the hypotheses behind them."""

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import cocoanalysis as coco
from cocoanalysis.propositions.gates import GATES, _drawn, examine, rival_model, shared_categories, simulated_cutoffs

SURVEYS = Path(__file__).parents[2] / "surveys"


@pytest.fixture(scope="module")
def plan():
    return coco.read_plan(SURVEYS / "cocreation")


@pytest.fixture(scope="module")
def bundled():
    survey = coco.read_survey(SURVEYS / "cocreation")
    return coco.read_responses(SURVEYS / "cocreation/synthetic.csv", survey)


@pytest.fixture(scope="module")
def judged(plan, bundled):
    return coco.judge(plan, bundled, seed=1)


@pytest.fixture(scope="module")
def one_factor(plan):
    return coco.judge(plan, coco.simulate(SURVEYS / "cocreation/worlds/one-factor.yaml", seed=2), seed=1)


def test_sound_measurement_opens_the_gate(judged):
    row = judged["H0"].numbers
    assert (row["label"], row["verdict"]) == ("gate", "supported")
    assert "CFI" in row["reason"]
    assert "HTMT" in row["reason"]
    assert judged["H0"].fit.glance()["converged"][0]
    assert list(judged.gates[0].tidy()["model"]) == ["correlated factors", "one factor", "second order", "bifactor"]
    assert judged["H1"].verdict != "not testable"


def test_gates_stand_outside_the_families(judged, plan, bundled):
    without = coco.judge(plan, bundled, seed=1, gates=False)
    with_gates = judged.tidy().query("label != 'gate'").reset_index(drop=True)
    pd.testing.assert_series_equal(with_gates["p_adjusted"], without.tidy()["p_adjusted"])
    assert [d.code for d in without.diagnostics] == ["GatesNotExamined"]
    assert "H0 (practices)" in without.diagnostics[0].reason
    assert "H11 (country, sector, domain)" in judged.diagnostics[0].reason
    assert "rating" not in judged.diagnostics[0].reason


def test_a_closed_gate_puts_the_composite_in_place_of_the_practices(one_factor, plan):
    table = one_factor.tidy()
    assert one_factor["H0"].verdict == "contradicted"
    guarded = set(plan.form.gates[0].guards)
    behind = table[table.hypothesis.isin(guarded)]
    assert (behind.verdict == "not testable").all()
    assert behind.reason.str.contains("gate H0 is closed").all()
    assert behind.estimate.isna().all()
    composite = table[table.hypothesis == "H0 composite"]
    assert set(composite.outcome) == {"outcome", "capacity", "innovation", "capabilities", "alignment", "durability",
                                      "authorisation"}  # fmt: skip
    assert (composite.predictor == "practice").all()
    assert (composite.label == "confirmatory").all()
    assert not table.hypothesis.str.startswith(("H1 between", "H3a between")).any()


def test_exploratory_rows_never_read_confirmatory(judged):
    table = judged.tidy()
    assert set(table[table.family.isin(["exploratory", "beside"])]["label"]) == {"exploratory"}
    assert set(table[table.hypothesis == "H0b"]["kind"]) == {"necessity"}
    assert table.set_index("hypothesis").loc["H12", "equation"].startswith("others' mean outcome")


def test_exclusions_of_the_plan_are_applied_once_and_told(judged, bundled, plan):
    told = judged.ledger[judged.ledger.step == "exclude"]
    assert len(told) == len(plan.form.exclusions)
    assert (told.origin == "plan").all()
    again = coco.judge(plan, plan.exclude(bundled), seed=1, gates=False)
    assert len(again.ledger[again.ledger.step == "exclude"]) == len(plan.form.exclusions)
    assert judged.provenance == "synthetic"
    assert "Synthetic data" in judged.notes()[0]


def test_rivals_are_built_from_the_measurement_model():
    base = "f =~ a + b + c\ng =~ d + e + f1\n"
    assert rival_model("one_factor", base) == ("general =~ a + b + c + d + e + f1", {})
    assert "general =~ f + g" in rival_model("second_order", base)[0]
    assert rival_model("bifactor", base)[1] == {"orthogonal": True, "std_lv": True}


def test_a_measurement_model_that_cannot_be_fitted_closes_the_gate(plan, bundled):
    few = bundled.kept(np.arange(len(bundled.frame)) < 12)
    gates = examine(plan, few)
    assert [gate.verdict for gate in gates] == ["not testable"] * 3
    assert not any(gate.open for gate in gates)


def test_case_70_comparisons_wait_for_invariance(judged, bundled, plan):
    assert judged["H11"].verdict == "supported"
    assert "loadings holds" in judged["H11"].reason
    few = coco.judge(plan, bundled.kept((bundled.frame["rating"] == "other").to_numpy(dtype=bool)), seed=1)
    assert few["H11"].verdict == "not testable"
    assert few["H12"].verdict == "not testable"
    assert "the gate H11 is closed" in few["H12"].reason


def test_groups_below_a_hundred_are_covariates(plan, bundled):
    """39 without a sector are too few for a model of their own; the ladder goes over the other three."""
    entry = plan.form.gates[2].model_copy(update={"groups": ["sector"]})
    gate = GATES["invariance"](entry, plan, plan.exclude(bundled))
    assert gate.tidy()["step"].tolist()[-1] == "intercepts (MIMIC)"
    assert "none (39) as covariates: equal intercepts holds" in gate.reason
    assert list(gate.fits) == ["sector", "sector (2)"]
    metric = GATES["invariance"](entry.model_copy(update={"through": "metric"}), plan, plan.exclude(bundled))
    assert "loadings of none (39) cannot be compared" in metric.reason


def test_a_ladder_that_asks_too_much_leaves_covariates(plan, bundled):
    """Four domains with ordinal items: more parameters than rows."""
    entry = plan.form.gates[2].model_copy(update={"groups": ["domain"]})
    gate = GATES["invariance"](entry, plan, plan.exclude(bundled))
    assert gate.verdict == "not testable"
    assert "free parameters" in gate.reason
    assert "business_leader (88) as covariates: equal intercepts holds" in gate.reason


def test_the_gate_tells_countries_that_read_items_differently(plan):
    world = coco.simulate(SURVEYS / "cocreation/worlds/non-invariant.yaml", seed=2)
    entry = plan.form.gates[2].model_copy(update={"groups": ["country"]})
    gate = GATES["invariance"](entry, plan, plan.exclude(world))
    assert gate.verdict == "contradicted"
    assert "loadings does not hold" in gate.reason
    assert "free first: committing =~ com2" in gate.reason


def test_categories_that_a_group_never_chose_are_merged_for_all():
    answers = pd.DataFrame({"a": [1, 2, 3, 2, 3, 3], "b": [1, 2, 3, 1, 2, 3], "c": [1, 2, 5, 3, 4, 5]})
    groups = pd.Series(["x", "x", "x", "y", "y", "y"])
    recipe = shared_categories(answers, groups)
    assert recipe["a"] == {1: 2}
    assert "b" not in recipe
    merged = answers["c"].replace(recipe["c"])
    assert set(merged[groups == "x"]) == set(merged[groups == "y"])


def test_verdicts_travel_between_processes(judged):
    again = pickle.loads(pickle.dumps(judged))
    pd.testing.assert_frame_equal(again.tidy(), judged.tidy())
    assert again["H1"].fit.equation == judged["H1"].fit.equation


def test_simulated_cutoffs_stand_beside_the_conventions(climate):
    items = [f"lead{k}" for k in (1, 3, 5)] + [f"tsig{k}" for k in (1, 2, 3)]
    syntax = f"f =~ {' + '.join(items[:3])}\ng =~ {' + '.join(items[3:])}"
    fit = coco.cfa(climate[items], syntax)
    table = simulated_cutoffs(fit, syntax, "ml", 60, 1).set_index("index")
    assert table.loc["cfi", "cutoff"] > 0.99  # a right model at n = 2,042 hardly strays
    assert table.loc["rmsea", "cutoff"] < 0.04
    assert table.loc["srmr", "cutoff"] < 0.02
    chi2, df = fit.glance()[["chi2", "df"]].iloc[0]
    assert (table.loc["rmsea", "p_value"] < 0.05) == (stats.chi2.sf(chi2, df) < 0.05)


def test_simulated_cutoffs_cut_ordinal_answers_at_the_thresholds(climate):
    items = [f"host{k}" for k in range(1, 6)]
    fit = coco.cfa(climate[items], f"f =~ {' + '.join(items)}", ordered=True)
    drawn = _drawn(fit, 20_000, np.random.default_rng(2))
    for item in items:
        ours = drawn[item].value_counts(normalize=True).sort_index().to_numpy()
        theirs = climate[item].value_counts(normalize=True).sort_index().to_numpy()
        assert ours == pytest.approx(theirs, abs=0.015)
    table = simulated_cutoffs(fit, f"f =~ {' + '.join(items)}", "wlsmv", 8, 3)
    assert (table["draws"] == 8).all()
