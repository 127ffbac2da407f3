"""Specification curves: every combination, the planned one among them, and a joint test with the right error rate."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import cocoanalysis as coco
from cocoanalysis.propositions.estimands import rows_of
from cocoanalysis.propositions.latent import _weighted
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


# --- scores or latent, listwise or full information -------------------------------------------------------------------


@pytest.fixture(scope="module")
def answered():
    return coco.read_responses(SURVEYS / "unit-climate/responses.csv", coco.read_survey(SURVEYS / "unit-climate"))


@pytest.fixture(scope="module")
def wide(plan, answered):
    grid = {"hypotheses": ["H1", "H3"], "measure": ["latent"], "missing": ["fiml"], "models": ["mixed"],
            "means": [False], "joint": [True]}  # fmt: skip
    return coco.multiverse(with_grid(plan, **grid), answered, draws=49)


def test_latent_and_full_information_join_the_grid(wide):
    table = wide.tidy()
    assert len(table) == 2 * 2 * (2 * 2 + 2)  # hypotheses × joint × ((ols, mixed) × means, and two structural models)
    structural = table[table["model"] == "structural"]
    assert set(zip(structural["measure"], structural["missing"])) == {("latent", "fiml"), ("scores", "fiml")}
    assert set(table[table["model"] != "structural"]["missing"]) == {"listwise"}
    assert wide.summary()["tested"].tolist() == [8, 8]
    assert "leaves out 8 structural models" in wide.notes()[-1]
    assert wide.summary()["median_p"].tolist()[0] == pytest.approx(0.02)


def test_the_latent_specification_is_that_of_latent(wide, plan, answered):
    theirs = coco.latent(plan, answered).tidy().set_index("hypothesis")
    ours = wide.tidy().query("measure == 'latent' and not joint").set_index("hypothesis")
    for id in ("H1", "H3"):
        assert ours.loc[id, "estimate"] == pytest.approx(theirs.loc[id, "latent"], rel=1e-9)
        assert ours.loc[id, "ci_lower"] == pytest.approx(theirs.loc[id, "ci_lower"], rel=1e-6)


def test_full_information_on_complete_scores_is_the_regression(wide):
    """Maximum likelihood with nothing missing gives least squares; errors differ by the small-sample correction."""
    table = wide.tidy().query("measure == 'scores' and not joint and means and model != 'mixed'")
    for _, part in table.groupby("hypothesis"):
        assert part["n"].nunique() == 1
        assert part["estimate"].max() == pytest.approx(part["estimate"].min(), rel=1e-6)
        widths = (part["ci_upper"] - part["ci_lower"]).to_numpy()
        assert widths[0] == pytest.approx(widths[1], rel=0.05)


def test_a_latent_contrast_has_the_error_of_a_defined_parameter(answered):
    """Weights that undo the standardisation: the sum is a − b, whose error the engine knows by its own delta method."""
    model = "lead =~ lead1 + lead2 + lead3\ntask =~ tsig1 + tsig2 + tsig3\nhost =~ host1 + host2 + host3\n"
    fit = coco.sem(answered, model + "host ~ a*lead + b*task\nd := a - b", estimator="mlr")
    table = fit.tidy(standardized=True)
    slopes = table[table["op"] == "~"].set_index("rhs")
    scale = slopes["std_all"] / slopes["est"]
    found = _weighted(fit, "host", {"lead": 1 / scale["lead"], "task": -1 / scale["task"]})
    defined = table[table["op"] == ":="].iloc[0]
    assert (found.estimate, found.se) == pytest.approx((defined["est"], defined["se"]), rel=1e-8)


def test_what_a_structural_model_cannot_do_is_a_failed_specification(plan, scored):
    found = coco.multiverse(with_grid(plan, hypotheses=["H1"], measure=["latent"]), scored, draws=9)
    failed = found.tidy().query("measure == 'latent'")
    assert failed["verdict"].tolist() == ["not testable"]
    assert "needs the items" in failed["reason"].iloc[0]
    assert found.summary()["failed"].tolist() == [1]


def test_a_plan_without_a_grid_says_so(scored):
    with pytest.raises(coco.CocoError) as caught:
        coco.multiverse(coco.read_plan(SURVEYS / "unit-climate"), scored)
    assert caught.value.code == "NoMultiverse"


@pytest.mark.parametrize(("change", "code"), [({"draws": 0}, "BadArgument"), ({"seed": -3}, "BadSeed")])
def test_requests_that_make_no_sense(plan, scored, change, code):
    with pytest.raises(coco.CocoError) as caught:
        coco.multiverse(plan, scored, **change)
    assert caught.value.code == code
    with pytest.raises(coco.CocoError, match="must be a plan"):
        coco.multiverse("plan.yaml", scored)
