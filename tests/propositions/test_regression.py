"""Regressions against R (tests/reference/make_regression.R), NIST's certified Longley values, and statsmodels."""

import json

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf

import cocoanalysis as coco
from cocoanalysis.errors import ModelError
from cocoanalysis.propositions.vcov import COVARIANCES

from .conftest import REFERENCE

FORMULAS = {
    "hostile_lead_tsig": "HOSTILE ~ LEAD + TSIG",
    "hostile_within_between": "HOSTILE ~ within(LEAD) + between(LEAD)",
    "hostile_few_clusters": "HOSTILE ~ LEAD + GTSIG",
}
KINDS = ["classical", "HC0", "HC1", "HC2", "HC3", "cluster", "CR0", "CR1", "CR2", "CR3"]


@pytest.fixture(scope="module")
def samples(climate):
    few = climate[climate.company.isin(sorted(climate.company.unique())[:12])]
    few = few.assign(GTSIG=few.groupby("company").TSIG.transform("mean"))
    return {"hostile_lead_tsig": climate, "hostile_within_between": climate, "hostile_few_clusters": few}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", FORMULAS)
def test_errors_agree_with_sandwich_and_clubsandwich(name, kind, samples, reference):
    fit = coco.regress(FORMULAS[name], samples[name], vcov=kind, cluster="company")
    theirs = reference[name]["cluster_HC1" if kind == "cluster" else kind]
    ours = fit.tidy()
    assert ours["est"].to_numpy() == pytest.approx(theirs["est"], rel=1e-6)
    assert ours["se"].to_numpy() == pytest.approx(theirs["se"], rel=1e-6)
    if theirs.get("df"):
        assert ours["df"].to_numpy() == pytest.approx(theirs["df"], rel=1e-6)
        assert ours["p_value"].to_numpy() == pytest.approx(theirs["p"], rel=1e-5)
    assert fit.glance()["r_squared"][0] == pytest.approx(reference[name]["r2"], rel=1e-7)


def test_every_covariance_is_positive_and_named_with_its_source(samples):
    for name, kind in COVARIANCES.items():
        fit = coco.regress("HOSTILE ~ LEAD", samples["hostile_few_clusters"], vcov=name, cluster="company", draws=499)
        assert (np.linalg.eigvalsh(fit.covariance) > 0).all()
        assert kind.source


@pytest.mark.parametrize("name", ["mixed_within_between", "mixed_random_slope", "mixed_null"])
def test_random_effects_agree_with_lmer_and_lmertest(name, climate, reference):
    theirs = reference[name]
    formula = "LEAD ~ 1" if name == "mixed_null" else "HOSTILE ~ within(LEAD) + between(LEAD)"
    random = "within(LEAD)" if name == "mixed_random_slope" else ()
    fit = coco.regress(formula, climate, model="mixed", cluster="company", random=random)
    ours = fit.tidy()
    assert ours["est"].to_numpy() == pytest.approx(theirs["est"], rel=1e-4)
    assert ours["se"].to_numpy() == pytest.approx(theirs["se"], rel=1e-4)
    assert ours["df"].to_numpy() == pytest.approx(theirs["df_satterthwaite"], rel=1e-4)
    assert fit.glance()["loglik"][0] == pytest.approx(theirs["reml"], abs=1e-6)
    variances = [*fit.numbers["random_variances"].values(), fit.numbers["sigma2"]]
    assert variances == pytest.approx([v for v in theirs["variance"] if v > 0], rel=1e-4)
    assert ("SingularRandomEffects" in [d.code for d in fit.diagnostics]) == (name == "mixed_random_slope")


def test_real_two_level_regression_as_published(climate):
    fit = coco.regress("HOSTILE ~ LEAD + between(LEAD)", climate, model="mixed", cluster="company")
    table = fit.tidy().set_index("term")
    assert table["est"].to_numpy() == pytest.approx([2.77197, -0.461085, -0.152330], abs=1e-4)  # nlme
    assert table["se"].to_numpy()[1:] == pytest.approx([0.02690, 0.11741], abs=1e-4)
    assert (fit.numbers["tau2"], fit.numbers["sigma2"]) == pytest.approx((0.029947, 0.886587), abs=1e-4)


@pytest.mark.parametrize("link", ["logit", "probit"])
def test_ordered_agrees_with_polr(link, climate, reference):
    theirs = reference[f"ordered_{link}"]
    fit = coco.regress("tsig1 ~ LEAD + HOSTILE", climate, model="ordered", link=link)
    ours = fit.tidy()
    assert ours["est"].to_numpy() == pytest.approx(theirs["est"], abs=1e-5)  # polr itself stops at 1e-8 of the deviance
    assert ours["se"].to_numpy() == pytest.approx(theirs["se"], rel=1e-5)
    assert list(ours["term"][2:]) == theirs["term"][2:]
    assert fit.glance()["loglik"][0] == pytest.approx(theirs["loglik"], abs=1e-6)


def test_nist_longley():
    certified = json.loads((REFERENCE / "nist_longley.json").read_text())
    data = sm.datasets.longley.load_pandas().data
    fit = coco.regress("TOTEMP ~ GNPDEFL + GNP + UNEMP + ARMED + POP + YEAR", data, vcov="classical")
    assert fit.tidy()["est"].to_numpy() == pytest.approx(certified["coef"], rel=1e-9)
    assert fit.tidy()["se"].to_numpy() == pytest.approx(certified["se"], rel=1e-9)
    assert fit.numbers["sigma"] == pytest.approx(certified["residual_sd"], rel=1e-9)
    assert fit.numbers["f_statistic"] == pytest.approx(certified["F"], rel=1e-9)


def test_logit_agrees_with_statsmodels(climate):
    data = climate.assign(high=(climate.HOSTILE > 1).astype(int))
    ours = coco.regress("high ~ LEAD + TSIG", data, model="logit", vcov="HC0").tidy()
    theirs = smf.logit("high ~ LEAD + TSIG", data).fit(disp=0, cov_type="HC0", tol=1e-12)
    assert ours["est"].to_numpy() == pytest.approx(theirs.params.to_numpy(), rel=1e-7)
    assert ours["se"].to_numpy() == pytest.approx(theirs.bse.to_numpy(), rel=1e-6)
    clustered = coco.regress("high ~ LEAD + TSIG", data, model="logit", vcov="cluster", cluster="company").tidy()
    theirs = smf.logit("high ~ LEAD + TSIG", data).fit(disp=0, cov_type="cluster", cov_kwds={"groups": data.company})
    assert clustered["se"].to_numpy() == pytest.approx(theirs.bse.to_numpy(), rel=1e-6)


def test_two_way_clusters_agree_with_statsmodels(climate):
    data = climate.assign(second=np.arange(len(climate)) % 31)
    ours = coco.regress("HOSTILE ~ LEAD + TSIG", data, vcov="cluster", cluster=["company", "second"])
    fit = smf.ols("HOSTILE ~ LEAD + TSIG", data).fit()
    theirs = sm.stats.sandwich_covariance.cov_cluster_2groups(fit, data.company.to_numpy(), data.second.to_numpy())[0]
    assert np.sqrt(np.diag(ours.covariance)) == pytest.approx(np.sqrt(np.diag(theirs)), rel=1e-9)
    assert set(ours.tidy()["df"]) == {30.0}


def test_two_way_cr2_agrees_with_clubsandwich(climate):
    """make_two_way.R: three clubSandwich covariances by inclusion and exclusion; the df are the lesser ones."""
    theirs = json.loads((REFERENCE / "two_way.json").read_text())
    table = pd.read_csv(REFERENCE / "lq2002.csv").assign(second=np.arange(len(climate)) % 31)
    ours = coco.regress("HOSTILE ~ LEAD + TSIG + GLEAD", table, vcov="CR2", cluster=["COMPID", "second"])
    assert np.sqrt(np.diag(ours.covariance)) == pytest.approx(theirs["se"], rel=1e-8)
    assert ours.tidy()["df"].to_numpy() == pytest.approx(np.minimum(theirs["df_first"], theirs["df_second"]), rel=1e-8)


def test_standardised_by_the_level_of_the_term(climate):
    fit = coco.regress("HOSTILE ~ within(LEAD) + between(LEAD)", climate, cluster="company").tidy().set_index("term")
    means = climate.groupby("company")[["HOSTILE", "LEAD"]].transform("mean")
    deviations = climate[["HOSTILE", "LEAD"]] - means
    assert fit["est_std"].to_numpy()[1:] == pytest.approx(
        [deviations.corr().iloc[0, 1], means.corr().iloc[0, 1]], rel=1e-9
    )


def test_dropped_rows_are_told(climate):
    data = climate.assign(LEAD=climate.LEAD.mask(climate.index < 5), company=climate.company.mask(climate.index == 9))
    fit = coco.regress("HOSTILE ~ within(LEAD) + TSIG", data, cluster="company")
    assert fit.numbers["n_dropped"] == 6
    assert fit.ledger.iloc[-1][["rows", "n_before", "n_after"]].tolist() == [6, 2042, 2036]


@pytest.mark.parametrize("dtype", ["Int64", "Float64", "object", "category", "float32", "Int8"])
def test_case_59_dtypes_change_no_digit(dtype, climate):
    data = climate[["tsig1", "lead1", "company"]]
    plain = coco.regress("tsig1 ~ lead1", data, cluster="company").tidy()
    if dtype == "category":
        dtype = pd.CategoricalDtype([1, 2, 3, 4, 5], ordered=True)
        other = data.assign(tsig1=data.tsig1.astype(dtype).cat.codes + 1, lead1=data.lead1)
    else:
        other = data.assign(tsig1=data.tsig1.astype(dtype), lead1=data.lead1.astype(dtype))
    pd.testing.assert_frame_equal(plain, coco.regress("tsig1 ~ lead1", other, cluster="company").tidy())


@pytest.mark.parametrize("model", ["logit", "ordered"])
def test_case_57_perfect_separation(model):
    random = np.random.default_rng(3)
    data = pd.DataFrame({"x": random.normal(size=200), "z": random.normal(size=200)})
    data["y"] = (data.x > 0.3).astype(int) + (0 if model == "logit" else (data.x > 1).astype(int))
    fit = coco.regress("y ~ z + x", data, model=model)
    (trouble,) = fit.diagnostics
    assert trouble.code == "PerfectSeparation"
    assert "by x" in trouble.reason or "x" in trouble.reason.split("by ")[1]
    assert "Firth" in trouble.reason
    assert fit.tidy()["est"].isna().all()
    assert not fit.converged


def test_case_57_quasi_separation_by_a_category():
    random = np.random.default_rng(4)
    data = pd.DataFrame({"z": random.normal(size=120), "g": ["a", "b", "c"] * 40})
    data["y"] = np.where(data.g == "c", 1, random.integers(0, 2, 120))
    fit = coco.regress("y ~ z + g", data, model="logit")
    assert [d.code for d in fit.diagnostics] == ["PerfectSeparation"]
    assert "g[T.c]" in fit.diagnostics[0].reason
    assert "z" not in fit.diagnostics[0].reason.split(":")[0]


def test_case_58_collinear_predictors_are_named_as_a_set(climate):
    data = climate.assign(total=climate.LEAD + 2 * climate.TSIG)
    fit = coco.regress("HOSTILE ~ LEAD + TSIG + total + lead1", data)
    assert [d.code for d in fit.diagnostics] == ["CollinearPredictors"]
    assert "LEAD, TSIG, total are linearly dependent" in fit.diagnostics[0].reason
    assert fit.tidy()["est"].isna().all()
    assert not fit.identified


@pytest.mark.parametrize(
    ("rows", "formula", "code"),
    [(3, "HOSTILE ~ LEAD + TSIG", "TooFewRows"), (400, "one ~ LEAD", "ConstantOutcome"),
     (400, "HOSTILE ~ LEAD + one", "CollinearPredictors")],
)  # fmt: skip
def test_case_48_faults_of_a_model_are_facts_on_the_fit(rows, formula, code, climate):
    fit = coco.regress(formula, climate.assign(one=1.0).head(rows))
    assert [d.code for d in fit.diagnostics] == [code]
    assert not fit.identified
    assert fit.glance()["n"][0] == rows


@pytest.mark.parametrize(
    ("change", "code"),
    [({"formula": "HOSTILE ~ LAED"}, "UnknownVariable"), ({"formula": "HOSTILE ~ LEAD +"}, "FormulaSyntax"),
     ({"formula": "HOSTILE"}, "FormulaSyntax"), ({"formula": "HOSTILE ~ nofunction(LEAD)"}, "FormulaSyntax"),
     ({"formula": "HOSTILE ~ np.nothing(LEAD)"}, "FormulaSyntax"),
     ({"formula": "HOSTILE ~ within(LEAD)"}, "NoCluster"), ({"vcov": "CR2"}, "NoCluster"),
     ({"vcov": "HC9"}, "UnknownChoice"), ({"model": "olls"}, "UnknownChoice"), ({"model": "mixed"}, "NoCluster"),
     ({"model": "ordered", "vcov": "CR2"}, "UnknownChoice"), ({"cluster": "one", "vcov": "CR2"}, "OneCluster"),
     ({"cluster": ["company", "lead1"], "vcov": "wild"}, "SeveralClusters"), ({"model": "logit"}, "NotBinary"),
     ({"model": "mixed", "cluster": "company", "random": "TSIG"}, "UnknownRandomSlope")],
)  # fmt: skip
def test_requests_that_cannot_be_met_say_why(change, code, climate):
    request = {"formula": "HOSTILE ~ LEAD"} | change
    with pytest.raises(coco.CocoError) as caught:
        coco.regress(request.pop("formula"), climate.assign(one=1), **request)
    assert caught.value.code == code


def test_case_56_few_clusters_single_clusters_and_ignored_ones(climate):
    few = climate[climate.company.isin(sorted(climate.company.unique())[:12])]
    codes = lambda fit: [d.code for d in fit.diagnostics]  # noqa: E731 - a name for the comparison below
    assert codes(coco.regress("HOSTILE ~ LEAD", few, vcov="cluster", cluster="company")) == ["FewClusters"]
    assert codes(coco.regress("HOSTILE ~ LEAD", few, cluster="company")) == []
    assert codes(coco.regress("HOSTILE ~ LEAD", few, vcov="HC3", cluster="company")) == ["ClustersIgnored"]
    single = few.assign(company=few.company.where(few.index > 0, 999))
    assert codes(coco.regress("HOSTILE ~ LEAD", single, cluster="company")) == ["SingletonClusters"]


def test_default_errors_follow_the_clusters(climate):
    assert coco.regress("HOSTILE ~ LEAD", climate).settings["vcov"] == "HC3"
    assert coco.regress("HOSTILE ~ LEAD", climate, cluster="company").settings["vcov"] == "CR2"
    assert coco.regress("tsig1 ~ LEAD", climate, model="ordered", cluster="company").settings["vcov"] == "cluster"


def test_the_equation_of_real_answers_withholds_categories_of_few_people():
    rng = np.random.default_rng(1)
    country = ["denmark"] * 40 + ["norway"] * 30 + ["sweden"] * 4
    frame = pd.DataFrame({"y": rng.normal(size=74), "x": rng.normal(size=74), "country": country})
    fit = coco.regress("y ~ x + country", frame)
    estimate = fit.tidy().set_index("term").loc["country[T.sweden]", "est"]
    assert "+ withheld·country[T.sweden]" in fit.equation
    assert f"{abs(estimate):.3f}" not in fit.equation
    assert "withheld·country[T.norway]" not in fit.equation
    with coco.disclosure_rules(cell=4):
        assert "withheld" not in fit.equation


def test_a_fit_shows_itself(climate):
    fit = coco.regress("HOSTILE ~ within(LEAD) + TSIG", climate, cluster="company")
    assert fit.equation.startswith("HOSTILE = ")
    assert "·within(LEAD)" in fit.equation
    assert "0 row(s) left out" in repr(fit)
    assert "<table" in fit._repr_html_()


def test_functions_in_formulas_find_their_variables(climate):
    odd = climate.rename(columns={"LEAD": "my lead"})
    fit = coco.regress("HOSTILE ~ center(`my lead`) + scale(TSIG) + np.log(host1 + 1) + C(lead1)", odd)
    theirs = smf.ols("HOSTILE ~ LEAD + TSIG + np.log(host1 + 1) + C(lead1)", climate).fit()
    assert fit.numbers["r_squared"] == pytest.approx(theirs.rsquared)


@pytest.mark.parametrize("random", ["within(LEAD)", "1 + within(LEAD)", ["within(LEAD)"]])
def test_a_random_slope_may_be_written_in_three_ways(random, climate):
    formula = "HOSTILE ~ within(LEAD) + between(LEAD)"
    fit = coco.regress(formula, climate, model="mixed", cluster="company", random=random)
    assert list(fit.numbers["random_variances"]) == ["(cluster)", "within(LEAD)"]


def test_responses_bring_scores_keys_reference_categories_and_clusters():
    survey = coco.read_survey(REFERENCE.parents[1] / "surveys/cocreation")
    responses = coco.read_responses(survey.folder / "synthetic.csv", survey)
    fit = coco.regress("outcome ~ within(mobilising) + mob7 + domain", responses)
    assert fit.settings["cluster"] == "collaboration"
    assert fit.settings["vcov"] == "CR2"
    assert "domain[T.politician]" in fit.terms  # public_manager is the reference
    assert not any("public_manager" in term for term in fit.terms)
    keyed = responses.items("mob7", keyed=True)["mob7"]
    assert fit.design.frame["mob7"].equals(keyed[fit.design.rows])
    assert fit.provenance == "synthetic"
    assert "Synthetic" in fit.notes()[0]
    assert len(fit.ledger) == len(responses.ledger) + 1
    twice = coco.regress("outcome ~ mobilising", responses, cluster=["collaboration", "respondent"])
    assert twice.settings["vcov"] == "cluster"


@pytest.mark.parametrize(("formula", "code"), [("y ~ a | b", "FormulaSyntax"), ("t ~ a", "NotANumber")])
def test_formulas_that_no_regression_can_read_are_named(formula, code):
    data = pd.DataFrame({"y": [1.0, 2.0, 4.0, 3.0], "a": [1.0, 3.0, 2.0, 5.0], "b": 1.0, "t": list("uvwu")})
    with pytest.raises(ModelError) as raised:
        coco.regress(formula, data)
    assert raised.value.code == code
