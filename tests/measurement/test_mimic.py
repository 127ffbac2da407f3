"""Groups as covariates: lavaan's numbers, a planted shift that is found, and what cannot be asked."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import cocoanalysis as coco

REFERENCE = Path(__file__).parents[1] / "reference"
MODEL = "visual =~ x1 + x2 + x3\ntextual =~ x4 + x5 + x6\nspeed =~ x7 + x8 + x9"


@pytest.fixture(scope="module")
def pupils():
    return pd.read_csv(REFERENCE / "lavaan_HolzingerSwineford1939.csv")


@pytest.fixture(scope="module")
def found(pupils):
    return coco.mimic(pupils, MODEL, group="school")


def test_direct_effects_and_their_test_agree_with_lavaan(found):
    """make_mimic.R, lavaan 0.6-14."""
    theirs = json.loads((REFERENCE / "mimic.json").read_text())
    table, row = found.tidy(), found.glance().iloc[0]
    assert table["item"].tolist() == theirs["item"]
    assert table["n"].unique().tolist() == [theirs["n"]]
    assert found.settings["reference"] == theirs["reference"]
    assert table["effect"].to_numpy() == pytest.approx(theirs["effect"], abs=2e-5)
    assert table["se"].to_numpy() == pytest.approx(theirs["se"], rel=1e-3)
    assert table["p_adjusted"].to_numpy() == pytest.approx(theirs["holm"], abs=1e-3)
    assert table["d"].to_numpy() == pytest.approx(np.array(theirs["effect"]) / theirs["sd"], abs=2e-5)
    assert (row["chi2"], row["df"]) == pytest.approx((theirs["chi2"], theirs["df"]), rel=1e-5)
    assert (row["delta_chi2"], row["delta_df"]) == pytest.approx((theirs["delta_chi2"], theirs["delta_df"]), rel=1e-3)
    assert row["p_value"] == pytest.approx(theirs["p_value"], rel=5e-2)
    assert row["delta_cfi"] == pytest.approx(theirs["cfi_robust"][1] - theirs["cfi_robust"][0], abs=1e-4)
    assert found.verdict == "does not hold"


def test_effects_sum_to_nothing_within_a_factor(found):
    assert found.tidy().groupby("factor")["effect"].sum().to_numpy() == pytest.approx(np.zeros(3), abs=1e-6)


def test_a_planted_shift_is_found_and_a_group_of_another_standing_is_no_shift():
    random = np.random.default_rng(4)
    few = np.arange(500) < 50
    trait = random.normal(size=500) + few  # a higher standing, which is the factor's business
    items = pd.DataFrame({f"y{k}": 0.8 * trait + random.normal(size=500) for k in range(5)})
    model = "f =~ " + " + ".join(items)
    alike = coco.mimic(items.assign(who=np.where(few, "few", "many")), model, group="who")
    assert alike.verdict == "holds"
    assert alike.largest().empty
    shifted = coco.mimic(items.assign(y4=items.y4 + 1.5 * few, who=np.where(few, "few", "many")), model, group="who")
    assert shifted.largest(1)["item"].tolist() == ["y4"]
    assert shifted.glance()["p_value"][0] < 0.001


def test_only_some_groups_are_examined_and_small_ones_are_refused(pupils):
    words = pupils["school"].mask(pupils.index < 12, "third")
    some = coco.mimic(pupils.assign(school=words), MODEL, group="school", examined=["Pasteur"])
    assert some.tidy()["group"].unique().tolist() == ["Pasteur"]
    for change, code in (
        ({}, "SmallGroup"), ({"examined": ["third"]}, "SmallGroup"), ({"group": "nothing"}, "UnknownVariable"),
        ({"estimator": "wlsmv"}, "UnknownChoice"), ({"examined": ["Pastor"]}, "UnknownChoice"),
    ):  # fmt: skip
        with pytest.raises(coco.CocoError) as caught:
            coco.mimic(pupils.assign(school=words), MODEL, **{"group": "school", **change})
        assert caught.value.code == code
    with pytest.raises(coco.CocoError) as caught:
        coco.mimic(pupils.assign(one="a"), MODEL, group="one")
    assert caught.value.code == "TooFewGroups"


def test_a_survey_names_the_model_and_its_clusters(found):
    home = Path(__file__).parents[2] / "surveys/cocreation"
    sample = coco.read_responses(home / "synthetic.csv", coco.read_survey(home))
    found = coco.mimic(sample, "mobilising", group="domain", cluster="collaboration", examined=["business_leader"])
    assert len(found.tidy()) == 7
    assert found.provenance == "synthetic"
    assert "Reference: public_manager" in found.notes()[-1]
