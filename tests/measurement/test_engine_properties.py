"""What must hold for every estimator and parameterisation, whatever the numbers."""

import numpy as np
import pandas as pd
import pytest

import cocoanalysis as coco
from cocoanalysis.errors import ModelError
from cocoanalysis.measurement.estimators import ESTIMATORS
from cocoanalysis.measurement.preparation import prepare
from cocoanalysis.measurement.specification import Call
from tests.measurement.reference import table

HS = "visual =~ x1 + x2 + x3\ntextual =~ x4 + x5 + x6\nspeed =~ x7 + x8 + x9"
PATHS = "f =~ x1 + x2 + x3\ng =~ x4 + x5 + x6\ng ~ f + ageyr\nx9 ~ g + ageyr\nx7 ~~ x9\nx1 ~~ x4"
ITEMS = [f"A{i}" for i in range(1, 6)]
ORDINAL = "A =~ A1 + A2 + A3 + A4 + A5\nA1 ~~ A2"
CONTINUOUS = sorted(set(ESTIMATORS) - {"wls"})
FAMILY = ["wlsmv", "wls", "ulsmv"]


@pytest.fixture(scope="module")
def hs():
    return table("lavaan_HolzingerSwineford1939")


@pytest.fixture(scope="module")
def bfi():
    return table("bfi25_gender")


def gradient_gap(problem, theta):
    """Largest difference of the analytic gradient and central differences."""
    _, gradient = problem.discrepancy.gradient(theta)
    step = 1e-6 * np.maximum(1, np.abs(theta))
    value = problem.discrepancy.value
    numeric = [(value(theta + h * e) - value(theta - h * e)) / (2 * h) for h, e in zip(step, np.eye(len(theta)))]
    return np.abs(gradient - numeric).max() / max(1, np.abs(gradient).max())


def hessian_gap(problem, theta):
    """Largest difference of the analytic Hessian and central differences of the gradient, in its own scale."""
    observed = problem.discrepancy.observed(theta)
    grad = lambda x: problem.discrepancy.gradient(x)[1]  # noqa: E731 - a formula
    numeric = np.array([(grad(theta + 1e-6 * e) - grad(theta - 1e-6 * e)) / 2e-6 for e in np.eye(len(theta))])
    factor = (
        getattr(problem.discrepancy, "share", [1])[0] / getattr(problem.discrepancy, "rows_share", problem.share)[0]
    )
    if problem.estimator.likelihood:
        factor = 1.0
    return np.abs(observed * factor - numeric).max() / np.abs(observed).max()


def shaken(prepared):
    rng = np.random.default_rng(3)
    return prepared.start * (1 + 0.05 * rng.normal(size=len(prepared.start)))


@pytest.mark.parametrize("model", [HS, PATHS], ids=["cfa", "paths"])
@pytest.mark.parametrize("estimator", CONTINUOUS)
def test_gradient_of_continuous_estimators(hs, estimator, model):
    for options in ({}, {"meanstructure": True}, {"group": "school", "group_equal": "loadings"}):
        prepared = prepare(hs, model, Call(estimator=estimator, **options))
        assert gradient_gap(prepared.problem, shaken(prepared)) < 1e-6


@pytest.mark.parametrize("estimator", ["ml", "gls", "uls"])
@pytest.mark.parametrize("model", [HS, PATHS], ids=["cfa", "paths"])
def test_observed_information_is_the_hessian(hs, estimator, model):
    prepared = prepare(hs, model, Call(estimator=estimator, meanstructure=True))
    assert hessian_gap(prepared.problem, shaken(prepared)) < 1e-6


@pytest.mark.parametrize("parameterization", ["delta", "theta"])
@pytest.mark.parametrize("estimator", FAMILY)
def test_gradient_of_ordinal_estimators(bfi, estimator, parameterization):
    call = Call(estimator=estimator, ordered=ITEMS, parameterization=parameterization)
    for options in ({}, {"group": "gender", "group_equal": ("loadings", "thresholds")}):
        prepared = prepare(bfi, ORDINAL, Call(**{**vars(call), **options}))
        assert gradient_gap(prepared.problem, shaken(prepared)) < 1e-6


def test_gradient_with_covariates_and_mixed_indicators():
    data = table("lq2002")
    model = "t =~ TSIG01 + TSIG02 + TSIG03\nlead =~ LEAD03 + LEAD04\nt ~ lead + HOSTILE\nlead ~ GLEAD"
    for parameterization in ("delta", "theta"):
        call = Call(ordered=["TSIG01", "TSIG02", "TSIG03"], parameterization=parameterization)
        prepared = prepare(data, model, call)
        assert gradient_gap(prepared.problem, shaken(prepared)) < 1e-6


def test_gradient_and_hessian_of_incomplete_data():
    prepared = prepare(table("hs1939_miss"), HS, Call())
    assert prepared.settings["missing"] == "fiml"
    assert gradient_gap(prepared.problem, shaken(prepared)) < 1e-6
    assert hessian_gap(prepared.problem, shaken(prepared)) < 1e-6


def test_full_information_on_complete_data_is_maximum_likelihood(hs):
    complete = coco.cfa(hs, HS, meanstructure=True, information="observed")
    full = coco.cfa(hs, HS, missing="fiml")
    assert full.test.chi2 == pytest.approx(complete.test.chi2, abs=1e-8)
    for column in ("est", "se"):
        assert np.allclose(full.tidy()[column], complete.tidy()[column], atol=1e-9)


def test_full_information_with_one_empty_cell_is_near_listwise(hs):
    one = hs.copy()
    one.loc[0, "x1"] = np.nan
    full, listwise = coco.cfa(one, HS), coco.cfa(one, HS, missing="listwise")
    assert full.problem.total == 301
    assert listwise.problem.total == 300
    assert np.allclose(full.tidy().est.iloc[:20], listwise.tidy().est.iloc[:20], atol=0.02)


@pytest.mark.parametrize("estimator", ["mlr", "mlm", "mlmv"])
def test_scaled_statistics_differ_from_plain_ones(hs, estimator):
    fit = coco.cfa(hs, HS, estimator=estimator)
    assert abs(fit.scaled.chi2 - fit.test.chi2) > 0.5


@pytest.mark.parametrize("options", [{}, {"estimator": "mlr"}, {"estimator": "gls"}, {"group": "school"}], ids=str)
def test_order_of_rows_items_and_groups_changes_nothing(hs, options):
    first = coco.cfa(hs, HS, **options)
    mixed = hs.sample(frac=1, random_state=1)[hs.columns[::-1]]
    model = "speed =~ x7 + x9 + x8\nvisual =~ x1 + x3 + x2\ntextual =~ x4 + x6 + x5"
    second = coco.cfa(mixed, model, **options)
    keys = ["lhs", "op", "rhs", "group"]
    one, two = (f.tidy().pipe(canonical).set_index(keys)[["est", "se"]] for f in (first, second))
    assert np.allclose(one, two.loc[one.index], atol=2e-6)
    assert first.test.chi2 == pytest.approx(second.test.chi2, abs=1e-6)


def canonical(rows):
    """Covariances with their sides in alphabetical order."""
    swap = (rows.op == "~~") & (rows.lhs > rows.rhs)
    return rows.assign(lhs=rows.lhs.where(~swap, rows.rhs), rhs=rows.rhs.where(~swap, rows.lhs))


def test_rescaling_an_indicator_rescales_its_loading(hs):
    first, second = coco.cfa(hs, HS), coco.cfa(hs.assign(x2=hs.x2 * 10), HS)
    one, two = (f.tidy().set_index(["lhs", "op", "rhs"]).est for f in (first, second))
    assert two["visual", "=~", "x2"] == pytest.approx(10 * one["visual", "=~", "x2"], rel=1e-6)
    assert two["x2", "~~", "x2"] == pytest.approx(100 * one["x2", "~~", "x2"], rel=1e-6)
    assert first.test.chi2 == pytest.approx(second.test.chi2, abs=1e-6)
    assert np.allclose(first.tidy(True).std_all, second.tidy(True).std_all, atol=1e-6)


@pytest.mark.parametrize("estimator", ["ml", "mlr"])
def test_replicated_rows_are_integer_weights(hs, estimator):
    weights = 1 + hs.id % 3
    twice = hs.loc[hs.index.repeat(weights)].reset_index(drop=True)
    weighted = coco.cfa(hs.assign(w=weights), HS, estimator=estimator, weights="w")
    assert np.allclose(weighted.tidy().est, coco.cfa(twice, HS, estimator=estimator).tidy().est, atol=1e-7)


@pytest.mark.parametrize("estimator", FAMILY)
def test_delta_and_theta_fit_alike(bfi, estimator):
    delta, theta = (
        coco.cfa(bfi, ORDINAL, ordered=ITEMS, estimator=estimator, parameterization=p) for p in ("delta", "theta")
    )
    assert delta.test.chi2 == pytest.approx(theta.test.chi2, abs=1e-6)
    assert np.allclose(delta.tidy(True).std_all.iloc[:5], theta.tidy(True).std_all.iloc[:5], atol=1e-6)


@pytest.mark.parametrize("estimator", ["ml", "gls", "uls"])
def test_nested_models_have_ordered_statistics(hs, estimator):
    steps = ((), ("loadings",), ("loadings", "intercepts"), ("loadings", "intercepts", "residuals"))
    chi2 = [coco.cfa(hs, HS, group="school", estimator=estimator, group_equal=s).test.chi2 for s in steps]
    assert chi2 == sorted(chi2)


def test_two_fits_in_either_order_are_the_same(hs, bfi):
    first = coco.cfa(hs, HS).tidy()
    coco.cfa(bfi, ORDINAL, ordered=ITEMS)
    pd.testing.assert_frame_equal(first, coco.cfa(hs, HS).tidy())


def test_the_table_prints_back_as_syntax(hs):
    fit = coco.cfa(hs, HS + "\nx1 ~~ a*x4\nd := a^2", group="school", group_equal=("loadings", "intercepts"))
    again = coco.cfa(hs, fit.syntax(), group="school")
    assert again.test.chi2 == pytest.approx(fit.test.chi2, abs=1e-6)
    assert again.test.df == fit.test.df


def test_bootstrap_errors_are_those_of_the_sandwich(hs):
    """1,000 replicates leave about 2 % noise in an error; the sandwich is its large-sample value."""
    boot = coco.cfa(hs, HS, bootstrap=1000, seed=7)
    robust = coco.cfa(hs, HS, estimator="mlr", meanstructure=True)
    keep = np.flatnonzero(boot.tidy().op == "=~")
    ratio = boot.tidy().se.iloc[keep] / robust.tidy().se.iloc[keep]
    assert np.nanmedian(np.abs(ratio - 1)) < 0.15
    assert boot.replicates.failed == 0


def test_batched_refits_equal_single_ones(hs):
    from cocoanalysis.measurement import bootstrap

    prepared = prepare(hs, PATHS, Call(bootstrap=20, seed=1))
    fit = coco.sem(hs, PATHS)
    batched = bootstrap._batched(prepared, fit.solution.theta, 20, np.random.default_rng(5))
    rng = np.random.default_rng(5)
    drawn = rng.integers(0, len(hs), size=(20, len(hs)))
    single = [coco.sem(hs.iloc[rows].reset_index(drop=True), PATHS).solution.theta for rows in drawn[:3]]
    assert np.allclose(batched[:3], single, atol=1e-5)


def test_defined_parameters_by_the_delta_method(hs):
    fit = coco.sem(hs, "textual =~ x4 + x5 + x6\nx9 ~ b*textual + c*ageyr\ntextual ~ a*ageyr\nind := a*b")
    rows = fit.tidy().set_index("label")
    a, b = rows.loc["a"], rows.loc["b"]
    places = [next(r.free for r in fit.problem.table.rows if r.label == k) for k in "ab"]
    vcov = fit.vcov[np.ix_(places, places)]
    gradient = np.array([b.est, a.est])
    assert rows.loc["ind"].est == pytest.approx(a.est * b.est)
    assert rows.loc["ind"].se == pytest.approx(np.sqrt(gradient @ vcov @ gradient))


def test_released_ties_predict_the_gain(hs):
    """The score test of a tied loading is near the fall of χ² when it is released."""
    equal = coco.cfa(hs, HS, group="school", group_equal=("loadings", "intercepts"))
    found = equal.modification_indices()
    worst = found[found.released == "tied"].iloc[0]
    name = f"{worst.lhs} {worst.op} {worst.rhs}" if worst.op != "~1" else f"{worst.lhs} ~ 1"
    free = coco.cfa(hs, HS, group="school", group_equal=("loadings", "intercepts"), group_partial=(name,))
    assert equal.test.chi2 - free.test.chi2 == pytest.approx(worst.mi, rel=0.15)


@pytest.mark.parametrize("estimator", sorted(ESTIMATORS))
def test_every_registered_estimator_fits(hs, estimator):
    fit = coco.cfa(hs, HS, estimator=estimator)
    assert fit.usable
    assert (fit.tidy().se.dropna() >= 0).all()


def test_blocks_of_groups_may_differ_in_their_model(hs):
    """lavaan 0.6-14 prints χ²(15) = 28.34736465 for this model."""
    model = (
        "group: Pasteur\nvisual =~ x1 + x2 + x3\ntextual =~ x4 + x5 + x6\n"
        "group: Grant-White\ntextual =~ x5 + x4 + x6\nvisual =~ x3 + x1 + x2\nx1 ~~ x4"
    )
    fit = coco.cfa(hs, model, group="school")
    assert fit.test.chi2 == pytest.approx(28.34736465, abs=1e-6)
    assert fit.test.df == 15
    with pytest.raises(ModelError, match="Did you mean 'Grant-White'"):
        coco.cfa(hs, model.replace("Grant-White", "Grant-Whit"), group="school")


def test_ordinal_scores_do_not_depend_on_the_parameterisation(bfi):
    delta, theta = (
        coco.cfa(bfi, ORDINAL.splitlines()[0], ordered=ITEMS, std_lv=True, parameterization=p).scores("ebm")
        for p in ("delta", "theta")
    )
    assert np.allclose(delta, theta, atol=1e-7)


def test_scores_of_incomplete_rows_use_what_is_there():
    fit = coco.cfa(table("hs1939_miss"), HS)
    scores = fit.scores()
    assert scores.notna().all().all()
    assert len(scores) == 301


def test_clusters_of_one_are_independent_rows(bfi):
    """With every row its own cluster, ordinal errors are the plain ones times √(n/(n − 1))."""
    n = len(bfi)
    own = coco.cfa(bfi.assign(row=range(n)), ORDINAL, ordered=ITEMS, cluster="row")
    plain = coco.cfa(bfi, ORDINAL, ordered=ITEMS)
    assert np.allclose(own.tidy().se, plain.tidy().se * np.sqrt(n / (n - 1)), atol=1e-9)
    paired = coco.cfa(pd.concat([bfi.assign(pair=range(n))] * 2), ORDINAL, ordered=ITEMS, cluster="pair")
    assert np.allclose(paired.tidy().se, plain.tidy().se, rtol=2e-3)


def test_unknown_estimator_is_named(hs):
    with pytest.raises(ModelError, match="Did you mean 'mlr'"):
        coco.cfa(hs, HS, estimator="mlrr")
