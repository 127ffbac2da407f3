"""Simple slopes, dominance and checks against statsmodels, brute force and published values."""

from itertools import permutations

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from statsmodels.stats.diagnostic import het_breuschpagan, linear_reset
from statsmodels.stats.outliers_influence import OLSInfluence, variance_inflation_factor

import cocoanalysis as coco
from cocoanalysis.propositions.checks import robustness


@pytest.fixture(scope="module")
def slopes(climate):
    return coco.simple_slopes(climate, outcome="HOSTILE", predictor="LEAD", moderator="TSIG", cluster=False, vcov="HC3")


def test_a_simple_slope_is_the_slope_of_the_shifted_regression(slopes, climate):
    spread = climate.TSIG.std()
    for row, shift in zip(slopes.tidy().itertuples(), (-spread, 0, spread)):
        data = climate.assign(m=climate.TSIG - climate.TSIG.mean() - shift, x=climate.LEAD - climate.LEAD.mean())
        theirs = smf.ols("HOSTILE ~ x * m", data).fit(cov_type="HC3", use_t=True)
        assert row.slope == pytest.approx(theirs.params["x"])
        assert row.se == pytest.approx(theirs.bse["x"])
        assert row.p_value == pytest.approx(theirs.pvalues["x"], abs=1e-12)


def test_johnson_neyman_bounds_are_where_p_is_05(climate):
    random = np.random.default_rng(1)
    data = pd.DataFrame(random.normal(size=(300, 2)), columns=["x", "m"])
    data["y"] = 0.1 * data.x + 0.3 * data.x * data.m + random.normal(size=300)
    found = coco.simple_slopes(data, outcome="y", predictor="x", moderator="m")
    bounds = found.johnson_neyman()
    assert len(bounds) == 2
    assert found.slopes(bounds["bound"])["p_value"].to_numpy() == pytest.approx([0.05, 0.05])
    assert bounds["share_below"].is_monotonic_increasing
    assert set(found.lines().columns) == {"predictor", "outcome", "moderator", "lower", "upper"}
    assert found.lines()["moderator"].nunique() == 3


def test_within_clusters_and_a_moderator_of_the_cluster(climate):
    found = coco.simple_slopes(climate, outcome="HOSTILE", predictor="LEAD", moderator="TSIG", cluster="company")
    assert found.terms[0] == "within(LEAD)"
    assert found.fit.settings["vcov"] == "CR2"
    data = climate.assign(size=climate.groupby("company").LEAD.transform("size"))
    found = coco.simple_slopes(data, outcome="HOSTILE", predictor="LEAD", moderator="size", cluster="company")
    assert found.terms[1] == "center(size)"
    assert "center(size)" in found.glance()["product"][0]


def orderings(data, outcome, names, controls=""):
    """Mean gain in R² over all orders of entry: the definition, by statsmodels."""
    r2 = lambda part: smf.ols(f"{outcome} ~ {' + '.join([*part, '1'])}{controls}", data).fit().rsquared  # noqa: E731
    gains = dict.fromkeys(names, 0.0)
    orders = list(permutations(names))
    for order in orders:
        for k, name in enumerate(order):
            gains[name] += (r2(order[: k + 1]) - r2(order[:k])) / len(orders)
    return gains


def test_general_dominance_is_the_mean_gain_over_all_orders(climate):
    names = ["LEAD", "TSIG", "lead3"]
    found = coco.dominance(climate, outcome="HOSTILE", predictors=names, controls=["host1"], cluster=False)
    table = found.tidy().set_index("predictor")
    assert table["general"].to_dict() == pytest.approx(orderings(climate, "HOSTILE", names, " + host1"))
    assert table["general"].sum() == pytest.approx(found.r_squared - found.control_r_squared)
    assert found.r_squared == pytest.approx(smf.ols("HOSTILE ~ LEAD + TSIG + lead3 + host1", climate).fit().rsquared)
    assert sorted(table["rank"]) == [1, 2, 3]


def test_dominance_within_clusters_is_that_of_centred_variables(climate):
    names = ["LEAD", "TSIG"]
    found = coco.dominance(climate, outcome="HOSTILE", predictors=names, cluster="company")
    centred = climate[[*names, "HOSTILE"]] - climate.groupby("company")[[*names, "HOSTILE"]].transform("mean")
    assert found.tidy().set_index("predictor")["general"].to_dict() == pytest.approx(
        orderings(centred, "HOSTILE", names)
    )
    assert found.pairs()["dominates"].tolist() == ["LEAD"]


def test_complete_dominance_may_be_undecided():
    random = np.random.default_rng(2)
    data = pd.DataFrame(random.normal(size=(400, 3)), columns=list("abc"))
    data["b"] = data.a * 0.8 + data.b * 0.6
    data["y"] = data.a - data.b + 0.5 * data.c + random.normal(size=400)
    pairs = coco.dominance(data, outcome="y", predictors=list("abc")).pairs()
    assert pairs["dominates"].isna().any()


@pytest.fixture(scope="module")
def both(climate):
    formula = "HOSTILE ~ LEAD + TSIG + lead1"
    return coco.check_regression(coco.regress(formula, climate, cluster="company")), smf.ols(formula, climate).fit()


def test_vif_and_influence_agree_with_statsmodels(both):
    ours, theirs = both
    x = theirs.model.exog
    assert ours.tidy()["vif"].to_numpy() == pytest.approx([variance_inflation_factor(x, k) for k in (1, 2, 3)])
    influence = OLSInfluence(theirs)
    assert ours.rows()["cooks_distance"].to_numpy() == pytest.approx(influence.cooks_distance[0])
    assert ours.rows()["studentised"].to_numpy() == pytest.approx(influence.resid_studentized_external)


def test_partial_r_squared_is_the_gain_over_what_was_left(both, climate):
    ours, theirs = both
    less = smf.ols("HOSTILE ~ TSIG + lead1", climate).fit()
    assert ours.tidy()["partial_r_squared"][0] == pytest.approx(1 - theirs.ssr / less.ssr)


def test_functional_form_agrees_with_statsmodels(both):
    ours, theirs = both
    tests = ours.form().set_index("test")
    reset = linear_reset(theirs, power=3, use_f=True)
    assert tests.loc["RESET", "statistic"] == pytest.approx(float(np.squeeze(reset.fvalue)))
    assert tests.loc["RESET", "p_value"] == pytest.approx(float(reset.pvalue))
    lm, p = het_breuschpagan(theirs.resid, theirs.model.exog)[:2]
    assert tests.loc["Breusch–Pagan", ["statistic", "p_value"]].tolist() == pytest.approx([lm, p])


def test_a_cluster_left_out_moves_the_slope_by_what_is_told(both, climate):
    ours, _ = both
    left = coco.regress(
        "HOSTILE ~ LEAD + TSIG + lead1", climate[climate.company != sorted(climate.company.unique())[5]]
    )
    moved = (left.estimates - ours.fit.estimates) / ours.fit.tidy()["se"].to_numpy()
    assert ours.clusters().iloc[5, 1:].to_numpy(float) == pytest.approx(moved, rel=1e-6)


def test_robustness_values_as_published_for_darfur():
    """Cinelli & Hazlett (2020): t = 4.18445 on 783 df."""
    partial, to_zero, to_alpha = robustness(4.18445, 783)
    assert (partial, to_zero, to_alpha) == pytest.approx((0.02187, 0.13878, 0.07626), abs=2e-5)


@pytest.mark.parametrize(
    ("work", "code"),
    [(lambda d: coco.dominance(d, outcome="HOSTILE", predictors=["LEAD"]), "TooManyPredictors"),
     (lambda d: coco.dominance(d, outcome="HOSTILE", predictors=["LEAD", "two"]), "NotIdentified"),
     (lambda d: coco.check_regression(coco.regress("tsig1 ~ LEAD", d, model="ordered")), "UnknownChoice"),
     (lambda d: coco.check_regression(coco.regress("HOSTILE ~ LEAD + two", d)), "NotIdentified"),
     (lambda d: coco.simple_slopes(d, outcome="HOSTILE", predictor="LEAD", moderator="none"), "UnknownVariable"),
     (lambda d: coco.simple_slopes(d, outcome="HOSTILE", predictor="LEAD", moderator="one"), "NotIdentified")],
)  # fmt: skip
def test_requests_that_cannot_be_met_say_why(work, code, climate):
    with pytest.raises(coco.CocoError) as caught:
        work(climate.assign(two=2 * climate.LEAD, one=1.0))
    assert caught.value.code == code
