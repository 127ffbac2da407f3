"""Indirect associations against psych's Tal-Or example, MacKinnon et al.'s (2002) Monte Carlo design, and `regress`."""

import json

import numpy as np
import pandas as pd
import pytest

import cocoanalysis as coco
from cocoanalysis.propositions.estimands import answers_to
from cocoanalysis.propositions.mediation import _chains, _drawn, _parts, robustness_value

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


def rejections(size, n, replicates, seed):
    random, found = np.random.default_rng(seed), 0
    for k in range(replicates):
        x = random.normal(size=n)
        m = size * x + random.normal(size=n)
        data = pd.DataFrame({"x": x, "m": m, "y": size * m + random.normal(size=n)})
        fit = coco.mediate(data, outcome="y", predictor="x", mediators="m", interval="monte_carlo", draws=1000, seed=k)
        found += of(fit, "indirect")["p_value"] < 0.05
    return found / replicates


@pytest.mark.parametrize(("size", "n", "column", "name"), [(0.39, 50, 0, "Medium"), (0.14, 200, 2, "Small")])
def test_power_as_in_mackinnon_2002_table_6(size, n, column, name):
    table = json.loads((REFERENCE / "mackinnon_2002_table6.json").read_text())
    published = table["rejection_rates"]["asymmetric_dist_product"][name][column]
    found = rejections(size, n, 150, 11)
    error = np.sqrt(published * (1 - published) * (1 / 150 + 1 / 500))
    assert abs(found - published) < 3 * error


def test_sensitivity_is_the_residual_correlation_of_imai_keele_yamamoto():
    random = np.random.default_rng(5)
    x = random.normal(size=400)
    m = 0.5 * x + random.normal(size=400)
    y = 0.4 * m + 0.2 * x + random.normal(size=400)
    data = pd.DataFrame({"x": x, "m": m, "y": y})
    fit = coco.mediate(data, outcome="y", predictor="x", mediators="m", draws=100)
    residuals = data[["m", "y"]] - np.polynomial.polynomial.polyval(x, np.polyfit(x, data[["m", "y"]], 1)[::-1]).T
    assert fit.sensitivity["rho_vanishes"][0] == pytest.approx(residuals.corr().iloc[0, 1])


def test_robustness_value_is_the_equal_strength_that_brings_a_slope_to_zero():
    value = robustness_value(0.25)
    assert value**2 / (1 - value) == pytest.approx(0.25)  # Cinelli & Hazlett: bias equals the estimate at RV = R²


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
