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


# --- an omitted confounder, made explicit ----------------------------------------------------------------------------


def confounded(with_term, with_outcome, side, seed=3):
    """A regression before and after a confounder of exactly these partial R² joins it (Cinelli & Hazlett, 2020)."""
    random = np.random.default_rng(seed)
    data = pd.DataFrame({"x": random.normal(size=90)})
    data["d"] = 0.5 * data.x + random.normal(size=90)
    data["y"] = 0.4 * data.d + data.x + random.normal(size=90)
    before = coco.regress("y ~ d + x", data, vcov="classical")

    def freed(values, *others):
        q = np.linalg.qr(np.column_stack([np.ones(90), *others]))[0]
        rest = values - q @ (q.T @ values)
        return rest / np.linalg.norm(rest)

    d = freed(data.d.to_numpy(), data.x)
    e = freed(data.y.to_numpy(), data.x, data.d)
    noise = freed(random.normal(size=90), data.x, data.d, data.y)
    z = np.sqrt(with_term) * d + np.sqrt(1 - with_term) * (side * np.sqrt(with_outcome) * e
                                                            + np.sqrt(1 - with_outcome) * noise)  # fmt: skip
    after = coco.regress("y ~ d + x + z", data.assign(z=z), vcov="classical")
    return before, after


def row(fit):
    return fit.tidy().set_index("term").loc["d"]


@pytest.mark.parametrize(("with_term", "with_outcome", "side"), [(0.1, 0.3, 1), (0.02, 0.6, -1), (0.4, 0.05, 1)])
def test_the_bias_of_a_confounder_is_cinelli_and_hazletts(with_term, with_outcome, side):
    before, after = confounded(with_term, with_outcome, side)
    old, new, df = row(before), row(after), before.numbers["df_residual"]
    bias = old["se"] * np.sqrt(with_outcome * with_term / (1 - with_term) * df)
    assert old["est"] - new["est"] == pytest.approx(side * bias)
    assert new["se"] == pytest.approx(old["se"] * np.sqrt((1 - with_outcome) / (1 - with_term) * df / (df - 1)))


def test_a_confounder_of_the_robustness_value_brings_the_slope_to_nothing():
    plain, _ = confounded(0.1, 0.1, 1)
    partial, to_zero, to_alpha = robustness(row(plain)["statistic"], plain.numbers["df_residual"])
    table = coco.check_regression(plain).tidy().set_index("term").loc["d"]
    assert (table["partial_r_squared"], table["robustness_value"]) == pytest.approx((partial, to_zero))
    assert table["robustness_value_alpha"] == pytest.approx(to_alpha)
    _, zero = confounded(to_zero, to_zero, 1)
    assert row(zero)["est"] == pytest.approx(0, abs=1e-12)
    _, edge = confounded(to_alpha, to_alpha, 1)
    assert row(edge)["p_value"] == pytest.approx(0.05)
    assert 0 < to_alpha < to_zero < 1


def test_a_slope_that_is_not_significant_needs_no_confounder_for_that():
    assert robustness(1.5, 100)[2] == 0
    assert np.isnan(robustness(np.nan, 100)).all()


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
