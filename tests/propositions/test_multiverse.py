"""Specification curves: every combination, the planned one among them, and a joint test with the right error rate."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import cocoanalysis as coco
from cocoanalysis.propositions.estimands import rows_of
from cocoanalysis.propositions.multiverse import _joint, _weights, specifications
from cocoanalysis.propositions.plan import MultiverseEntry, Plan
from cocoanalysis.propositions.verdicts import answers_of, claim_of

SURVEYS = Path(__file__).parents[2] / "surveys"


def with_grid(plan, **grid):
    return Plan(plan.form.model_copy(update={"multiverse": MultiverseEntry(**grid)}), plan.path, plan.survey)


@pytest.fixture(scope="module")
def plan():
    grid = {"hypotheses": ["H1", "H3"], "models": ["mixed"], "vcov": ["cluster"], "means": [False], "joint": [True]}
    return with_grid(coco.read_plan(SURVEYS / "unit-climate"), **grid)


@pytest.fixture(scope="module")
def scored(climate):
    return climate.rename(columns={"LEAD": "leadership", "TSIG": "significance", "HOSTILE": "hostility"})


@pytest.fixture(scope="module")
def found(plan, scored):
    return coco.multiverse(plan, scored, draws=99, seed=1)


def test_every_combination_is_run_once(found):
    table = found.tidy()
    assert len(table) == 2 * 3 * 2 * 2  # hypotheses × (CR2, cluster, mixed) × means × joint
    assert not table.duplicated(["hypothesis", "model", "vcov", "means", "joint"]).any()
    assert set(table[table.model == "mixed"]["vcov"]) == {"classical"}
    assert table.groupby("hypothesis")["planned"].sum().tolist() == [1, 1]


def test_the_planned_specification_is_what_judge_says(found, plan, scored):
    judged = coco.judge(plan, scored).tidy().set_index("hypothesis")
    planned = found.tidy().query("planned").set_index("hypothesis")
    for name in ("estimate", "p_adjusted", "verdict", "ci_lower"):
        assert planned[name].to_dict() == judged.loc[["H1", "H3"], name].to_dict()


def test_joint_specifications_hold_the_other_predictors(found, scored):
    fit = coco.regress(
        "hostility ~ within(leadership) + within(significance) + between(leadership) + between(significance)",
        scored, cluster="company",
    )  # fmt: skip
    row = found["H1"].tidy().query("model == 'ols' and vcov == 'CR2' and means and joint").iloc[0]
    assert row["estimate"] == pytest.approx(fit.tidy().set_index("term").loc["within(leadership)", "est_std"])


def test_summary_counts(found):
    summary = found.summary().set_index("hypothesis")
    assert (summary["specifications"] == 12).all()
    assert (summary["failed"] == 0).all()
    assert summary.loc["H1", "same_sign"] == 1
    assert summary.loc["H1", "median_p"] == pytest.approx(0.01)
    assert "12 specifications" in found["H1"].notes()[-1]
    with pytest.raises(coco.CocoError):
        found["H9"]


def test_failures_are_rows_with_reasons(plan, scored):
    flat = coco.multiverse(
        with_grid(plan, hypotheses=["H1", "H3"], joint=[True]), scored.assign(leadership=3.0), draws=9
    )
    table = flat.tidy().set_index(["hypothesis", "joint"])
    assert table.loc[("H1", False), "verdict"] == "not testable"
    assert "does not vary" in table.loc[("H1", False), "reason"]
    assert flat.summary()["failed"].tolist() == [2, 2]


def test_an_estimate_is_its_weights_on_the_outcome(plan, scored):
    answers = answers_of(plan, scored)
    for row in rows_of(plan)[:2]:
        claim = claim_of(row, answers, plan, 0)
        assert _weights(claim, answers) @ answers.numbers["hostility"] == pytest.approx(claim.found.evidence.estimate)


def test_joint_p_is_uniform_when_nothing_is_there(plan):
    random = np.random.default_rng(5)
    groups = np.repeat(np.arange(32), 6)
    ps = []
    for k in range(80):
        shift = random.normal(size=(32, 3))[groups]
        data = pd.DataFrame(shift + random.normal(size=(192, 3)), columns=["leadership", "significance", "hostility"])
        answers = answers_of(plan, data.assign(company=groups))
        row = rows_of(plan)[0]
        claims = [(claim_of(row, answers, one.plan, 0), answers) for one in specifications(plan, {()})]
        ps.append(_joint(row, claims, 49, [k])["median_p"])
    assert np.mean(np.array(ps) <= 0.05) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 80)
    assert 0.35 < np.mean(ps) < 0.65


def test_a_plan_without_a_grid_says_so(scored):
    with pytest.raises(coco.CocoError) as caught:
        coco.multiverse(coco.read_plan(SURVEYS / "unit-climate"), scored)
    assert caught.value.code == "NoMultiverse"
