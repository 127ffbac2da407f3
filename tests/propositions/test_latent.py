"""Latent slopes beside composite ones, on answers whose latent slope is known."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import cocoanalysis as coco
from cocoanalysis.propositions.latent import _free, _inside

from .conftest import REFERENCE

SURVEYS = Path(__file__).parents[2] / "surveys"


@pytest.fixture(scope="module")
def climate_answers():
    survey = coco.read_survey(SURVEYS / "unit-climate")
    return coco.read_responses(SURVEYS / "unit-climate/responses.csv", survey)


@pytest.fixture(scope="module")
def found(climate_answers):
    return coco.latent(coco.read_plan(SURVEYS / "unit-climate"), climate_answers)


def test_composite_and_latent_stand_side_by_side(found, climate_answers):
    table = found.tidy().set_index("hypothesis")
    judged = coco.judge(coco.read_plan(SURVEYS / "unit-climate"), climate_answers).tidy().set_index("hypothesis")
    assert table.loc["H1", "composite"] == pytest.approx(judged.loc["H1", "estimate"])
    assert abs(table.loc["H1", "latent"]) > abs(table.loc["H1", "composite"])  # freed of unreliability
    assert table.loc["H1", "ci_lower"] < table.loc["H1", "latent"] < table.loc["H1", "ci_upper"]
    assert table["usable"].all()
    assert set(table["level"]) == {"within"}


def test_the_latent_slope_is_the_disattenuated_composite_where_the_model_is_right():
    """Spearman's correction of the within correlation by alpha comes near the factor correlation."""
    random = np.random.default_rng(1)
    codes = np.repeat(np.arange(60), 20)
    x = random.normal(size=1200)
    y = 0.5 * x + np.sqrt(0.75) * random.normal(size=1200)
    data = {f"x{k}": 0.7 * x + 0.71 * random.normal(size=1200) + codes % 3 for k in range(4)}
    data |= {f"y{k}": 0.7 * y + 0.71 * random.normal(size=1200) + codes % 2 for k in range(4)}
    freed = pd.DataFrame({name: _free(value, np.empty((1200, 0)), codes) for name, value in data.items()})
    fit = coco.sem(freed, "f =~ x0 + x1 + x2 + x3\ng =~ y0 + y1 + y2 + y3\ng ~ f")
    slope = fit.tidy(standardized=True).query("op == '~'")["std_all"].iloc[0]
    assert slope == pytest.approx(0.5, abs=0.06)


def test_freed_columns_are_residuals_within_clusters(climate):
    codes = pd.factorize(climate.company)[0]
    x = climate[["TSIG", "lead1"]].to_numpy(float)
    ours = _free(climate.HOSTILE.to_numpy(float), x, codes)
    fit = coco.regress("HOSTILE ~ within(TSIG) + within(lead1)", climate, cluster="company")
    assert _inside(fit.residuals, codes) == pytest.approx(ours)


def test_a_second_order_outcome_and_a_formative_predictor():
    survey = coco.read_survey(SURVEYS / "cocreation")
    responses = coco.read_responses(SURVEYS / "cocreation/synthetic.csv", survey)
    plan = coco.read_plan(SURVEYS / "cocreation")
    wanted = [h for h in plan.hypotheses if h.id in ("H1", "H5")]
    form = plan.form.model_copy(update={"hypotheses": wanted, "gates": [], "multiverse": None})
    few = type(plan)(form, plan.path, survey)
    table = coco.latent(few, responses).tidy().set_index(["hypothesis", "outcome"])
    assert table["usable"].all()
    assert table.loc[("H1", "outcome"), "latent"] > table.loc[("H1", "outcome"), "composite"]
    assert (table["cfi"].dropna() > 0.9).all()
    assert table["cfi"].isna().to_dict() == {
        ("H1", "outcome"): False,
        ("H5", "durability"): False,
        ("H5", "authorisation"): True,
    }  # two scores: a saturated model


def test_scores_alone_are_not_enough(climate):
    with pytest.raises(coco.CocoError) as caught:
        coco.latent(coco.read_plan(SURVEYS / "unit-climate"), climate)
    assert caught.value.code == "NoItems"


def test_doubly_latent_slopes_agree_with_lavaan(climate_answers):
    """lavaan 0.6-14, tests/reference/make_doubly_latent.R; its optimiser stops in the fifth digit."""
    theirs = json.loads((REFERENCE / "doubly_latent.json").read_text())
    plan = coco.read_plan(SURVEYS / "unit-climate")
    form = plan.form.model_copy(update={"hypotheses": [plan["H1"]]})
    found = coco.latent(type(plan)(form, plan.path, plan.survey), climate_answers, doubly=True)
    table = found.tidy().set_index("level")
    both = table.loc[["within (doubly latent)", "between (doubly latent)"]]
    assert both["latent"].tolist() == pytest.approx(theirs["std"], abs=2e-5)
    scale = np.array(theirs["std"]) / np.array(theirs["est"])
    assert both["se"].tolist() == pytest.approx(np.array(theirs["se"]) * scale, rel=1e-3)
    assert both["cfi"].tolist() == pytest.approx([theirs["cfi"]] * 2, abs=1e-5)
    assert both["reason"].str.endswith("lead7, lead9, host4").all()
