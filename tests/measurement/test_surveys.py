"""The same analyses on Responses: scales, keys, options and scores come from the survey."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import cocoanalysis as coco
from cocoanalysis.errors import CocoError

SURVEYS = Path(__file__).parents[2] / "surveys"


@pytest.fixture(scope="module")
def survey():
    return coco.read_survey(SURVEYS / "cocreation")


@pytest.fixture(scope="module")
def responses(survey):
    return coco.read_responses(SURVEYS / "cocreation" / "synthetic.csv", survey)


@pytest.fixture(scope="module")
def unit_climate():
    folder = SURVEYS / "unit-climate"
    return coco.read_responses(folder / "responses.csv", coco.read_survey(folder))


def test_every_construct_is_a_scale_and_attention_checks_are_none(survey, responses):
    shown = coco.reliability(responses).tidy()
    assert not set(shown["scale"]) & {item.construct for item in survey.attention.values()}
    assert {"mobilising", "softown", "democracy"} <= set(shown["scale"])
    assert (shown["alpha"] > 0.5).all()
    blocks = coco.reliability(responses, "practices").tidy()
    assert blocks["scale"].tolist() == list(survey.blocks["practices"])
    assert {name for name, one in survey.constructs.items() if one.composite}.isdisjoint(shown["scale"])
    alliances = coco.reliability(responses, "alliances")
    assert [d.code for d in alliances.diagnostics] == ["Composite"]


def test_keyed_answers_are_used_once(responses):
    """The reversed item counts with its scale after its key, and against it without."""
    keyed = coco.item_analysis(responses, "mobilising").tidy().set_index("item")
    raw = coco.item_analysis(responses, "mobilising", keyed=False)
    assert keyed.loc["mob7", "item_rest"] > 0.3
    assert raw.suspects == ["mob7"]
    assert raw.tidy().set_index("item").loc["mob7", "mean"] == pytest.approx(8 - keyed.loc["mob7", "mean"])


def test_floor_and_ceiling_are_those_of_the_response_scale(unit_climate):
    counts = coco.item_analysis(unit_climate).categories()
    assert counts.groupby("item").size().eq(5).all()


def test_case_53_answers_that_were_reversed_before_are_named(tmp_path, survey):
    data = pd.read_csv(SURVEYS / "cocreation" / "synthetic.csv", dtype=str)
    answered = data["mob7"].isin(list("1234567"))
    data.loc[answered, "mob7"] = (8 - data.loc[answered, "mob7"].astype(int)).astype(str)
    data.to_csv(tmp_path / "deposit.csv", index=False)
    found = coco.item_analysis(coco.read_responses(tmp_path / "deposit.csv", survey), "mobilising")
    assert found.suspects == ["mob7"]
    assert "answers already reversed" in found.diagnostics[0].reason
    assert "key (−1)" in found.diagnostics[0].reason


def test_results_carry_their_origin(survey, responses):
    for found in (
        coco.kmo(responses, "mobilising"),
        coco.efa(responses, "mobilising", factors=1),
        coco.reliability(responses, "mobilising"),
        coco.icc(responses, "mobilising", survey.cluster),
        coco.omega(responses, "mobilising"),
    ):
        assert found.provenance == "synthetic"
        assert found.survey is survey
        assert "Synthetic data" in found.notes()[0]


def test_efa_by_block_as_in_the_ideal_session(survey, responses):
    half, _ = responses.split(by=survey.cluster, seed=1)
    found = coco.efa(half, "practices", factors="parallel", correlation="polychoric", rotation="oblimin")
    assert list(found.loadings.index) == survey.item_ids("practices")
    assert found.n_factors >= 3
    assert found.settings["correlation"] == "polychoric"


def test_scores_and_items_can_be_aggregated(survey, responses):
    shown = coco.icc(responses, ["mobilising", "mob1", "outcome"], survey.cluster).tidy().set_index("variable")
    assert shown.loc["mobilising", "icc1"] > 0.03
    assert shown["groups"].eq(60).all()
    agreement = coco.rwg(responses, "mobilising", survey.cluster)
    assert agreement.settings["options"] == 7
    assert agreement.settings["null_variance"] == pytest.approx(4)
    assert not [d for d in agreement.diagnostics if d.code == "OptionsFromAnswers"]


def test_case_54_scores_missing_by_their_rule_are_left_out_and_counted(survey, responses):
    scores = responses.scores(["softbeyond"])["softbeyond"]
    assert scores.isna().any()
    assert coco.icc(responses, "softbeyond", survey.cluster).tidy()["n"][0] == scores.notna().sum()


def test_group_factors_of_a_block_are_its_constructs(survey, responses):
    found = coco.omega(responses, "practices", method="bifactor")
    assert found.factors["factor"].tolist() == ["g", *survey.blocks["practices"]]
    assert 0.5 < found.omega_h < found.omega_total < 1


def test_what_the_real_survey_must_show(unit_climate):
    """R's values of the real data (lavaan, psych, multilevel)."""
    alphas = coco.reliability(unit_climate).tidy().set_index("scale")["alpha"]
    np.testing.assert_allclose(
        alphas[["leadership", "significance", "hostility"]], [0.902237, 0.823141, 0.872924], atol=5e-7
    )
    agreement = coco.rwg(unit_climate, "leadership", "company").glance().iloc[0]
    assert [round(agreement[c], 3) for c in ("mean", "median", "minimum", "maximum")] == [0.868, 0.870, 0.775, 0.942]


def test_a_scale_without_its_items_is_named(responses):
    with pytest.raises(CocoError, match="mobilise"):
        coco.reliability(responses, "mobilise")
