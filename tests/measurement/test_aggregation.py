"""Aggregation against R's multilevel 2.7-1 and lme4 1.1-31 (regression.json, made by make_regression.R) on lq2002."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import cocoanalysis as coco
from cocoanalysis.errors import ModelError, ResponseError
from cocoanalysis.measurement import aggregation
from tests.measurement.reference import values

R = values("regression")
FILE = Path(__file__).parents[2] / "surveys" / "unit-climate" / "responses.csv"  # lq2002 under our item ids
LEAD = [f"lead{i}" for i in range(1, 12)]
SCORES = ["LEAD", "TSIG", "HOSTILE"]


@pytest.fixture(scope="module")
def lq2002():
    data = pd.read_csv(FILE)
    for score, stem in (("LEAD", "lead"), ("TSIG", "tsig"), ("HOSTILE", "host")):
        data[score] = data.filter(regex=rf"^{stem}\d").mean(axis=1)
    return data


def groups(seed=0, sizes=(4, 6, 9, 12, 5, 8)):
    rng = np.random.default_rng(seed)
    labels = np.repeat([f"g{i}" for i in range(len(sizes))], sizes)
    level = np.repeat(rng.normal(size=len(sizes)), sizes)
    values_ = np.clip(np.round(3 + level[:, None] + rng.normal(size=(len(labels), 3))), 1, 5)
    return pd.DataFrame(values_, columns=["a", "b", "c"]).assign(team=labels)


def test_icc_agrees_with_multilevel(lq2002):
    found = coco.icc(lq2002, "LEAD", "company", size="mean")
    assert found.icc1 == pytest.approx(R["icc_aov"]["icc1"], abs=1e-10)
    assert found.icc2 == pytest.approx(R["icc_aov"]["icc2"], abs=1e-10)


def test_icc_with_unequal_sizes(lq2002):
    """k₀ values and ICC(2) as printed by R for the three scales."""
    shown = coco.icc(lq2002, SCORES, "company").tidy()
    np.testing.assert_allclose(shown["icc1"], [0.08868, 0.08105, 0.05447], atol=5e-6)
    np.testing.assert_allclose(shown["icc2"], [0.80075, 0.78461, 0.70406], atol=5e-6)


def test_random_intercept_agrees_with_lme4(lq2002):
    row = coco.icc(lq2002, "LEAD", "company", method="reml").tidy().iloc[0]
    np.testing.assert_allclose([row["tau2"], row["sigma2"]], R["mixed_null"]["variance"], rtol=1e-5)


@pytest.mark.parametrize(
    ("null", "key"), [("uniform", "rwgj_uniform"), ("slight skew", "rwgj_slight_skew"), (1.34, None)]
)
def test_rwg_agrees_with_multilevel(lq2002, null, key):
    shown = coco.rwg(lq2002, LEAD, "company", null=null).tidy()
    np.testing.assert_allclose(shown["rwg"], R[key or "rwgj_slight_skew"]["value"], atol=1e-10)
    assert shown["group"].astype(str).tolist() == R["rwgj_uniform"]["group"]
    assert shown["size"].tolist() == R["rwgj_uniform"]["size"]


def test_average_deviation_agrees_with_multilevel(lq2002):
    shown = coco.average_deviation(lq2002, LEAD, "company").tidy()
    np.testing.assert_allclose(shown["ad"], R["ad_mean"]["value"], atol=1e-10)


def test_within_and_between_correlations_agree_with_r(lq2002):
    shown = coco.within_between(lq2002, SCORES, "company").tidy().set_index(["x", "y"])
    row, wanted = shown.loc[("LEAD", "HOSTILE")], R["waba"]
    # R's within and between come from the package's rounded company means
    assert [row["raw"], row["within"], row["between"]] == pytest.approx(
        [wanted["raw"], wanted["within"], wanted["between"]], abs=1e-6
    )
    unweighted = shown["between_unweighted"].to_numpy()
    np.testing.assert_allclose(unweighted, [0.394325, -0.599570, -0.522465], atol=1e-4)


def test_within_and_between_make_up_the_raw_correlation():
    row = coco.within_between(groups(), ["a", "b"], "team").tidy().iloc[0]
    inner = np.sqrt((1 - row["eta_x"] ** 2) * (1 - row["eta_y"] ** 2)) * row["within"]
    assert row["raw"] == pytest.approx(row["eta_x"] * row["eta_y"] * row["between"] + inner, abs=1e-12)


def test_anova_and_reml_agree_on_equal_sizes():
    data = groups(1, (8,) * 12)
    left, right = (coco.icc(data, "a", "team", method=m) for m in ("anova", "reml"))
    assert left.icc1 == pytest.approx(right.icc1, abs=1e-7)
    assert left.icc2 == pytest.approx(right.icc2, abs=1e-7)
    pooled = left.groups()["reliability"].to_numpy()
    np.testing.assert_allclose(pooled, left.icc2, atol=1e-10)


def test_spearman_brown_links_icc1_and_icc2():
    found = coco.icc(groups(2), "a", "team")
    k = found.k
    assert found.icc2 == pytest.approx(k * found.icc1 / (1 + (k - 1) * found.icc1), abs=1e-12)
    assert found.tidy()["design_effect"][0] == pytest.approx(1 + (k - 1) * found.icc1)


@pytest.mark.filterwarnings("ignore")  # the oracle divides by zero inside
def test_icc_interval_agrees_with_pingouin_on_equal_sizes():
    import pingouin

    data = groups(3, (6,) * 10)[["a", "team"]].assign(rater=np.tile(np.arange(6), 10))
    theirs = pingouin.intraclass_corr(data, targets="team", raters="rater", ratings="a").set_index("Type")
    theirs = theirs.loc["ICC1" if "ICC1" in theirs.index else "ICC(1,1)"]
    row = coco.icc(data, "a", "team").tidy().iloc[0]
    assert row["icc1"] == pytest.approx(theirs["ICC"], abs=1e-9)
    interval = next(theirs[c] for c in theirs.index if str(c).startswith("CI95"))
    assert [row["icc1_lower"], row["icc1_upper"]] == pytest.approx(list(interval), abs=6e-3)


@pytest.mark.parametrize(
    ("null", "options", "variance"),
    [
        ("uniform", 5, 2.0),
        ("uniform", 7, 4.0),
        ("slight skew", 5, 1.34),
        ("moderate skew", 5, 0.90),
        ("heavy skew", 5, 0.44),
        ([0.25] * 4, 4, 1.25),
        (2.5, 7, 2.5),
    ],
)
def test_null_variances_are_the_published_ones(null, options, variance):
    """James, Demaree & Wolf (1984); LeBreton & Senter (2008)."""
    assert aggregation.null_variance(null, options) == pytest.approx(variance)


@pytest.mark.parametrize("null", ["skew", "slight skew", -1.0, [0.5, 0.6], [0.5, 0.5]])
def test_impossible_nulls_are_refused(null):
    with pytest.raises(ModelError):
        aggregation.null_variance(null, 7)


def test_case_49_missing_group_is_an_error_and_a_single_member_is_named():
    data = groups()
    with pytest.raises(ResponseError) as error:
        coco.icc(data.assign(team=data["team"].where(data.index != 3)), "a", "team")
    assert error.value.code == "MissingGroup"
    alone = pd.concat([data, pd.DataFrame({"a": [3.0], "b": [2.0], "c": [1.0], "team": ["alone"]})])
    assert coco.icc(alone, "a", "team").diagnostics[0].code == "SingletonGroups"
    agreement = coco.rwg(alone, ["a", "b"], "team", options=5)
    assert "SingletonGroups" in {d.code for d in agreement.diagnostics}
    assert agreement.tidy().set_index("group").loc["alone", ["rwg"]].isna().all()


def test_case_54_incomplete_rows_are_counted():
    data = groups()
    data.loc[[1, 4], "b"] = np.nan
    found = coco.rwg(data, ["a", "b", "c"], "team")
    assert "2 of 44 people" in found.notes()[0]
    assert coco.icc(data, ["a", "b"], "team").tidy()["n"].tolist() == [44, 42]


def test_one_group_and_constant_answers_are_refused():
    for data in (groups().assign(team="x"), groups().assign(a=2.0)):
        with pytest.raises(ModelError):
            coco.icc(data, "a", "team")


def test_group_order_and_dtype_do_not_matter():
    data = groups()
    shuffled = data.sample(frac=1, random_state=1).astype({"a": "Int64", "team": "category"})
    left, right = (coco.icc(d, ["a"], "team").tidy() for d in (data, shuffled))
    pd.testing.assert_frame_equal(left, right)
