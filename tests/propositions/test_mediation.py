"""Indirect associations against psych's Tal-Or example, MacKinnon et al.'s (2002) Monte Carlo design, and `regress`."""

import json

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy import stats

import cocoanalysis as coco
from cocoanalysis.propositions.estimands import answers_to, monte_carlo
from cocoanalysis.propositions.evidence import Student, two_sided
from cocoanalysis.propositions.mediation import _chains, _drawn, _parts

from .conftest import REFERENCE


@pytest.fixture(scope="module")
def tal_or():
    """psych 2.2.9 and Hayes (2013, chapter 4); see make_tal_or.R."""
    return json.loads((REFERENCE / "tal_or.json").read_text())


@pytest.fixture(scope="module")
def influence(tal_or):
    return pd.DataFrame(tal_or["data"])


def of(fit, effect, path=None, level=None):
    table = fit.tidy()
    table = table[(table.effect == effect) & (table.path == path if path else True)]
    return table[table.level == level].iloc[0] if level else table.iloc[0]


def test_tal_or_agrees_with_psych_and_hayes(influence, tal_or):
    fit = coco.mediate(influence, outcome="reaction", predictor="cond", mediators="pmi", seed=1)
    theirs, printed = tal_or["values"], tal_or["values"]["published"]
    assert of(fit, "path", "cond → pmi")["est"] == pytest.approx(theirs["a"][0][0], rel=1e-6)
    assert of(fit, "path", "pmi → reaction")["est"] == pytest.approx(theirs["b"][0][0], rel=1e-6)
    assert of(fit, "indirect")["est"] == pytest.approx(theirs["ab"][0][0], rel=1e-6)
    assert of(fit, "total")["est"] == pytest.approx(theirs["total"][1][0], rel=1e-6)
    assert of(fit, "direct")["est"] == pytest.approx(printed["c_prime"], abs=5e-4)
    assert of(fit, "indirect")["ci_lower"] == pytest.approx(0.007, abs=0.03)  # Hayes: .007 to .526, 5,000 resamples
    assert of(fit, "indirect")["ci_upper"] == pytest.approx(0.526, abs=0.03)


def test_monte_carlo_and_bootstrap_intervals_are_near(influence):
    some = [
        of(coco.mediate(influence, outcome="reaction", predictor="cond", mediators="pmi", interval=i), "indirect")
        for i in ("percentile", "monte_carlo")
    ]
    assert some[0]["ci_lower"] == pytest.approx(some[1]["ci_lower"], abs=0.03)
    assert some[0]["ci_upper"] == pytest.approx(some[1]["ci_upper"], abs=0.03)
    assert some[0]["est"] == some[1]["est"]


def test_total_is_direct_plus_indirect_for_parallel_and_serial_chains(influence):
    for mediators in (["pmi", "import"], [["import"], ["pmi"], ["import", "pmi"]]):
        fit = coco.mediate(influence, outcome="reaction", predictor="cond", mediators=mediators, draws=200)
        assert of(fit, "total")["est"] == pytest.approx(of(fit, "total indirect")["est"] + of(fit, "direct")["est"])


def test_a_resample_is_a_refit(climate):
    answers = answers_to(climate, ["HOSTILE", "LEAD", "TSIG"], "company")
    chains = _chains("HOSTILE", "LEAD", "TSIG")
    parts = _parts(chains, answers, ())
    drawn, failed = _drawn(parts, "percentile", 3, 7)
    groups = climate.company.nunique()
    counts = np.random.default_rng(7).multinomial(groups, np.full(groups, 1 / groups), 3)
    named = climate.assign(code=pd.factorize(climate.company, sort=True)[0])
    copies = [named[named.code == g].assign(copy=f"{g}-{k}") for g in range(groups) for k in range(counts[0, g])]
    fit = coco.regress(
        "HOSTILE ~ within(TSIG) + within(LEAD) + between(TSIG) + between(LEAD)", pd.concat(copies), cluster="copy"
    )
    assert failed == 0
    assert drawn["HOSTILE"][0] == pytest.approx(fit.estimates)


def test_multilevel_1_1_1_has_both_levels(climate):
    fit = coco.mediate(climate, outcome="HOSTILE", predictor="LEAD", mediators="TSIG", cluster="company", draws=300)
    first = coco.regress("TSIG ~ within(LEAD) + between(LEAD)", climate, cluster="company").tidy().set_index("term")
    last = coco.regress("HOSTILE ~ within(TSIG) + between(TSIG) + within(LEAD) + between(LEAD)", climate,
                        cluster="company").tidy().set_index("term")  # fmt: skip
    for level in ("within", "between"):
        product = first.loc[f"{level}(LEAD)", "est"] * last.loc[f"{level}(TSIG)", "est"]
        assert of(fit, "indirect", level=level)["est"] == pytest.approx(product)
    assert fit.glance()["n_clusters"][0] == 49


def test_multilevel_2_1_1_has_the_between_level_only(climate):
    data = climate.assign(G=climate.groupby("company").LEAD.transform("mean"))
    fit = coco.mediate(data, outcome="HOSTILE", predictor="G", mediators="TSIG", cluster="company", draws=300)
    assert set(fit.tidy()["level"]) == {"between"}
    first = coco.regress("TSIG ~ G", data, cluster="company").tidy().set_index("term")
    last = coco.regress("HOSTILE ~ within(TSIG) + between(TSIG) + G", data, cluster="company").tidy().set_index("term")
    assert of(fit, "indirect")["est"] == pytest.approx(first.loc["G", "est"] * last.loc["between(TSIG)", "est"])


def links(a, b, n, replicates, seed):
    """Slopes and errors of both links in many samples at once: x → m, and m → y beside x, each (replicates,)."""
    random = np.random.default_rng(seed)
    x, m, y = random.normal(size=(3, replicates, n))
    m = a * x + m
    y = b * m + y
    x, m, y = (v - v.mean(axis=1, keepdims=True) for v in (x, m, y))
    xx, xm, xy = ((p * q).sum(axis=1) for p, q in ((x, x), (x, m), (x, y)))
    first = xm / xx
    rest = m - first[:, None] * x  # m freed of x
    left = (rest**2).sum(axis=1)
    second = (rest * y).sum(axis=1) / left
    error = y - second[:, None] * rest - (xy / xx)[:, None] * x
    return [(first, np.sqrt(left / (n - 2) / xx)), (second, np.sqrt((error**2).sum(axis=1) / (n - 3) / left))], (
        x,
        m,
        y,
    )


def test_vectorised_links_are_those_of_mediate():
    (first, second), (x, m, y) = links(0.39, 0.26, 60, 3, 1)
    for k in range(3):
        data = pd.DataFrame({"x": x[k], "m": m[k], "y": y[k]})
        fit = coco.mediate(data, outcome="y", predictor="x", mediators="m", interval="monte_carlo", draws=200)
        paths = fit.tidy().query("effect == 'path'").set_index("path")["est"]
        assert (paths["x → m"], paths["m → y"]) == pytest.approx((first[0][k], second[0][k]))
        theirs = smf.ols("y ~ m + x", data).fit()
        assert second[1][k] == pytest.approx(theirs.bse["m"])


def rejected(a, b, n, replicates=500, seed=7, draws=2000):
    """Shares of samples whose Monte Carlo interval leaves 0 out, and in which both links are significant."""
    steps, _ = links(a, b, n, replicates, [seed, n, int(1000 * a), int(1000 * b)])
    alone = joint = 0
    for k in range(replicates):
        first, second = (Student(float(est[k]), float(se[k]), np.inf) for est, se in steps)
        low, high = monte_carlo([first, second], [k], draws).interval(0.95)
        alone += low > 0 or high < 0
        joint += max(two_sided(first), two_sided(second)) < 0.05
    return alone / replicates, joint / replicates


def test_error_rate_and_power_as_in_mackinnon_2002_table_6():
    """All twenty cells of the distribution of the product: 500 samples there, 500 here."""
    table = json.loads((REFERENCE / "mackinnon_2002_table6.json").read_text())
    published = table["rejection_rates"]["asymmetric_dist_product"]
    far = []
    for name, size in {"Zero": 0.0, "Small": 0.14, "Medium": 0.39, "Large": 0.59}.items():
        for rate, n in zip(published[name], (50, 100, 200, 500, 1000), strict=True):
            found = rejected(size, size, n)[0]
            pooled = np.clip((found + rate) / 2, 1 / 1000, 1 - 1 / 1000)
            far.append((found - rate) / np.sqrt(pooled * (1 - pooled) * 2 / 500))
    far = np.array(far)
    assert np.abs(far).max() < 3.5
    assert (far**2).sum() < stats.chi2.isf(0.001, len(far))


@pytest.mark.parametrize("cell", ["SS", "SH", "HH", "MM", "ML", "LH", "LL"])
def test_power_at_the_sizes_of_fritz_and_mackinnon_2007(cell):
    """Sizes worked out for a power of .80 of the joint test; the Monte Carlo interval is at least nearly as strong."""
    reference = json.loads((REFERENCE / "fritz_mackinnon_2007.json").read_text())
    a, b = (reference["slopes"][letter] for letter in cell)
    alone, joint = rejected(a, b, reference["joint_significance"][cell], replicates=1500, draws=1000)
    bound = 3 * np.sqrt(0.8 * 0.2 / 1500) + 0.01
    assert abs(joint - 0.8) < bound
    assert alone > 0.8 - bound


def test_sensitivity_is_the_residual_correlation_of_imai_keele_yamamoto():
    random = np.random.default_rng(5)
    x = random.normal(size=400)
    m = 0.5 * x + random.normal(size=400)
    y = 0.4 * m + 0.2 * x + random.normal(size=400)
    data = pd.DataFrame({"x": x, "m": m, "y": y})
    fit = coco.mediate(data, outcome="y", predictor="x", mediators="m", draws=100)
    residuals = data[["m", "y"]] - np.polynomial.polynomial.polyval(x, np.polyfit(x, data[["m", "y"]], 1)[::-1]).T
    assert fit.sensitivity["rho_vanishes"][0] == pytest.approx(residuals.corr().iloc[0, 1])


def test_sensitivity_of_a_link_is_the_robustness_value_of_its_regression():
    random = np.random.default_rng(8)
    data = pd.DataFrame({"x": random.normal(size=200)})
    data["m"] = 0.4 * data.x + random.normal(size=200)
    data["y"] = 0.3 * data.m + random.normal(size=200)
    fit = coco.mediate(data, outcome="y", predictor="x", mediators="m", draws=100)
    last = coco.check_regression(coco.regress("y ~ m + x", data, vcov="classical")).tidy().set_index("term")
    assert fit.sensitivity["robustness_value"][0] == pytest.approx(last.loc["m", "robustness_value"])


def test_case_71_failed_resamples_are_counted_and_the_interval_refused():
    random = np.random.default_rng(6)
    data = pd.DataFrame({"x": random.normal(size=40), "rare": np.r_[np.zeros(38), 1, 1]})
    data["m"] = data.x + random.normal(size=40)
    data["y"] = data.m + random.normal(size=40)
    fit = coco.mediate(data, outcome="y", predictor="x", mediators="m", controls=["rare"], draws=400)
    assert fit.glance()["failed_draws"][0] > 20
    assert [d.code for d in fit.diagnostics] == ["FailedDraws"]
    assert fit.tidy()["ci_lower"].isna().all()


@pytest.mark.parametrize(
    ("change", "code"),
    [({"mediators": "reaction"}, "Circular"), ({"mediators": [["pmi", "import"], ["import", "pmi"]]}, "Circular"),
     ({"interval": "bca"}, "UnknownChoice"), ({"mediators": "pmj"}, "UnknownVariable"),
     ({"controls": ["cond2"]}, "NotIdentified"), ({"cluster": "nobody"}, "UnknownVariable")],
)  # fmt: skip
def test_requests_that_cannot_be_met_say_why(change, code, influence):
    request = {"outcome": "reaction", "predictor": "cond", "mediators": "pmi", "draws": 50} | change
    with pytest.raises(coco.CocoError) as caught:
        coco.mediate(influence.assign(cond2=influence.cond * 2), **request)
    assert caught.value.code == code
