"""Two-level models against lavaan 0.6-14 (reference/make_twolevel.R), finite differences and dense likelihoods."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal

import cocoanalysis as coco
from cocoanalysis.errors import CocoError
from cocoanalysis.measurement.twolevel import clustered, unrestricted
from tests.measurement import reference

# lavaan's optimiser leaves a gradient of some 1e-6 in two-level models; ours ends at 1e-9, never at a lower likelihood
EST, SE, CHI2 = 1.5e-4, 2e-4, 1e-4
MODELS = [
    "cfa", "within_and_between_covariates", "between_outcome", "within_only_indicator", "paths", "groups", "manifest",
    "fixed_residuals", "saturated_between", "covariate_at_both_levels",
]  # fmt: skip
CFA = "level: 1\nfw =~ y1 + y2 + y3\nlevel: 2\nfb =~ y1 + y2 + y3"


@pytest.fixture(scope="module")
def data():
    return reference.table("twolevel")


def fitted(name, data):
    group = "school" if name == "groups" else None
    return coco.sem(data, reference.values("twolevel")[name]["model"], cluster="id", group=group)


def rows(frame, group, level):
    here = frame[(frame.level == level) & (frame.group == group if "group" in frame else True)]
    return {(r.lhs, r.op, r.rhs if isinstance(r.rhs, str) else ""): r for r in here.itertuples()}


@pytest.mark.parametrize("name", MODELS)
def test_two_level_models_are_lavaans(name, data):
    want, fit = reference.values("twolevel")[name], fitted(name, data)
    ours, theirs = fit.tidy(), pd.DataFrame(want["parameters"])
    labels = [""] if name != "groups" else list(dict.fromkeys(ours.group))
    for g, label in enumerate(labels):
        for level in (1, 2):
            mine = rows(ours[ours.group == label].drop(columns="group"), None, level)
            for key, row in rows(theirs, g + 1, level).items():
                got = mine.get(key) or mine[key[2], key[1], key[0]]
                assert got.est == pytest.approx(row.est, rel=EST, abs=EST), key
                assert got.se == pytest.approx(row.se, rel=SE, abs=EST), key
    glance, fits = fit.glance().iloc[0], want["fit"]
    pairs = {"chi2": "chisq", "df": "df", "loglik": "logl", "baseline_df": "baseline.df", "aic": "aic", "bic": "bic"}
    pairs |= {"srmr": "srmr", "srmr_within": "srmr_within", "srmr_between": "srmr_between", "rmsea": "rmsea"}
    for mine, other in pairs.items():
        assert glance[mine] == pytest.approx(fits[other], abs=CHI2), mine
    assert glance.baseline_chi2 == pytest.approx(fits["baseline.chisq"], abs=2e-3)
    assert glance.loglik >= fits["logl"] - 1e-6


def test_likelihood_is_that_of_the_stacked_rows_of_each_cluster(data):
    fit = coco.sem(data, CFA, cluster="id")
    theta = fit.solution.theta
    within, between = (block.implied(theta) for block in fit.problem.structure.blocks)
    total = 0.0
    for _, part in data.groupby("id"):
        n = len(part)
        cov = np.kron(np.eye(n), within.cov) + np.kron(np.ones((n, n)), between.cov)
        total += multivariate_normal(np.tile(between.mean, n), cov).logpdf(part[["y1", "y2", "y3"]].to_numpy().ravel())
    assert fit.loglik == pytest.approx(total, abs=1e-6)


@pytest.mark.parametrize("name", ["paths", "within_and_between_covariates", "between_outcome"])
def test_gradient_and_hessian_equal_finite_differences(name, data):
    fit = fitted(name, data)
    problem, theta, step = fit.problem.discrepancy, fit.solution.theta * 1.02 + 0.01, 1e-5
    eye = np.eye(len(theta)) * step
    slopes = [(problem.value(theta + e) - problem.value(theta - e)) / (2 * step) for e in eye]
    np.testing.assert_allclose(problem.gradient(theta)[1], slopes, atol=2e-7)
    curves = [(problem.gradient(theta + e)[1] - problem.gradient(theta - e)[1]) / (2 * step) for e in eye]
    np.testing.assert_allclose(problem.observed(theta), curves, atol=2e-5)


def test_order_of_rows_clusters_and_items_does_not_matter(data):
    plain = coco.sem(data, CFA, cluster="id")
    turned = data.sample(frac=1, random_state=3).assign(id=lambda d: "c" + (999 - d.id).astype(str))
    model = "level: 1\nfw =~ y1 + y3 + y2\nlevel: 2\nfb =~ y1 + y3 + y2"
    assert coco.sem(turned, model, cluster="id").loglik == pytest.approx(plain.loglik, abs=1e-8)


def test_modification_indices_are_lavaans_at_both_levels(data):
    fit = coco.sem(data, CFA.replace("y3\nlevel", "y3\nfw ~ x2\nlevel") + "\nfb ~ z1", cluster="id")
    theirs = {(r["lhs"], r["op"], r["rhs"], r["level"]): r for r in reference.values("twolevel")["modification"]}
    ours = fit.modification_indices()
    assert len(ours) >= 6
    for got in ours.itertuples():
        row = theirs[got.lhs, got.op, got.rhs, got.level]
        np.testing.assert_allclose([got.mi, got.epc, got.sepc_all], [row["mi"], row["epc"], row["sepc.all"]], atol=5e-4)


def test_residuals_and_implied_moments_come_by_level(data):
    fit = coco.sem(data, CFA, cluster="id")
    assert list(fit.implied()) == ["within", "between"]
    observed = fit.residuals().loc["between"] + fit.implied()["between"]["cov"]
    np.testing.assert_allclose(observed, fit.problem.h1[0].between_cov, atol=1e-12)
    assert repr(fit).startswith("Structural equation model")


@pytest.mark.parametrize(
    "ask", [lambda f: f.reliability(), lambda f: f.residuals("standardized"), lambda f: f.to_mplus("x")]
)
def test_what_two_level_fits_do_not_offer_is_refused(ask, data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CocoError) as caught:
        ask(coco.sem(data, CFA, cluster="id"))
    assert caught.value.code == "NotForTwoLevel"


def test_bundle_for_lavaan_holds_levels(data, tmp_path):
    script = (coco.sem(data, CFA, cluster="id").to_lavaan(tmp_path) / "fit.R").read_text()
    assert "level: 2" in script
    assert 'cluster = "id"' in script
    assert "level" in pd.read_csv(tmp_path / "values.csv").columns


def test_unrestricted_model_says_what_a_longer_search_would_add(data):
    sample = clustered(data, data.id.to_numpy(), ["y1", "y2", "y3"], [])
    short, long = unrestricted(sample, [True] * 3), unrestricted(sample, [True] * 3, tolerance=1e-9)
    assert long.loglik - short.loglik == pytest.approx(short.remaining, rel=0.5, abs=1e-4)


def test_a_model_that_leaves_the_population_has_no_chi_square():
    """lavaan's own log-likelihoods (make_improper.R) lie above its unrestricted one; its χ² of 0 is no good fit."""
    want, data = reference.values("improper"), reference.table("improper")
    fits = {name: coco.cfa(data, case["model"], cluster="id") for name, case in want.items()}
    for name, fit in fits.items():
        row, case = fit.glance().iloc[0], want[name]
        assert row.loglik == pytest.approx(case["loglik"], abs=1e-4)
        assert case["chi2"] == 0
        assert case["loglik"] > case["unrestricted"] + 0.5
        assert row[["chi2", "p_value", "cfi", "tli", "rmsea", "rmsea_upper"]].isna().all()
        assert not fit.admissible
        assert {"Inadmissible", "NoTest"} <= {d.code for d in fit.diagnostics}
        assert any(note.startswith("No χ²") for note in fit.notes())
    found = coco.compare(*fits.values())
    assert "InadmissibleFit" in {d.code for d in found.diagnostics}
    difference = 2 * (want["wide"]["loglik"] - want["narrow"]["loglik"])
    assert found.tidy()["delta_chi2"].iloc[1] == pytest.approx(difference, abs=2e-4)


def test_labels_tie_parameters_over_levels_and_definitions_have_errors(data):
    fit = fitted("paths", data)
    table = fit.tidy().set_index(["lhs", "op", "rhs"])
    assert table.loc[("fw", "=~", "y2"), "est"] == table.loc[("fb", "=~", "y2"), "est"]
    assert table[table.index.get_level_values("op") == ":="].se.item() > 0


FAULTS = {
    "NoCluster": {"cluster": None},
    "EstimatorTwoLevel": {"estimator": "mlm"},
    "EstimatorMissing": {"missing": "fiml"},
    "UnknownErrors": {"se": "robust", "estimator": "mlr"},
}


@pytest.mark.parametrize("code", FAULTS)
def test_what_a_two_level_model_cannot_do_is_refused(code, data):
    with pytest.raises(CocoError) as caught:
        coco.sem(data, CFA, **({"cluster": "id"} | FAULTS[code]))
    assert caught.value.code == code


BAD = {
    "VariesWithinClusters": lambda d: coco.sem(d, CFA + "\nfb ~ x1", cluster="id"),
    "OneCluster": lambda d: coco.sem(d.assign(id=1), CFA, cluster="id"),
    "NoClusters": lambda d: coco.sem(d.assign(id=np.arange(len(d))), CFA, cluster="id"),
    "ConstantItem": lambda d: coco.sem(d.assign(y1=d.z1), CFA, cluster="id"),
}


@pytest.mark.parametrize("code", BAD)
def test_data_that_cannot_carry_two_levels_are_refused(code, data):
    with pytest.raises(CocoError) as caught:
        BAD[code](data)
    assert caught.value.code == code


def test_case_56_few_clusters_are_said(data):
    fit = coco.sem(data[data.id <= 30], CFA, cluster="id")
    assert "FewClusters" in {d.code for d in fit.diagnostics}
