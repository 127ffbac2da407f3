"""Bad data and bad models, by their numbers in the list of degenerate cases."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import cocoanalysis as coco
from cocoanalysis.errors import ModelError, ResponseError
from cocoanalysis.measurement import confirmatory
from tests.measurement.reference import table, values

HS = "visual =~ x1 + x2 + x3\ntextual =~ x4 + x5 + x6\nspeed =~ x7 + x8 + x9"
ITEMS = [f"A{i}" for i in range(1, 6)]
ORDINAL = "A =~ A1 + A2 + A3 + A4 + A5"


@pytest.fixture(scope="module")
def hs():
    return table("lavaan_HolzingerSwineford1939")


@pytest.fixture(scope="module")
def bfi():
    return table("bfi25_gender")


def refused(error, code, *words):
    """A context that wants this error with this code and these words in its message."""
    return _Refused(error, code, words)


class _Refused:
    def __init__(self, error, code, words):
        self.error, self.code, self.words = error, code, words

    def __enter__(self):
        return self

    def __exit__(self, kind, raised, trace):
        assert kind is not None, f"nothing was refused; {self.code} was expected"
        assert issubclass(kind, self.error), raised
        assert raised.code == self.code
        assert all(word in str(raised) for word in self.words), str(raised)
        return True


def codes(fit):
    return {d.code for d in fit.diagnostics}


def test_case_42_constant_item(hs, bfi):
    with refused(ModelError, "ConstantItem", "x2"):
        coco.cfa(hs.assign(x2=3.0), HS)
    with refused(ModelError, "ConstantItem", "A2"):
        coco.cfa(bfi.assign(A2=3), ORDINAL, ordered=ITEMS)
    with refused(ModelError, "ConstantItem", "x2", "Pasteur"):
        coco.cfa(hs.assign(x2=hs.x2.where(hs.school != "Pasteur", 3.0)), HS, group="school")


def test_case_43_all_missing_item(hs, bfi):
    with refused(ResponseError, "AllMissing", "x5"):
        coco.cfa(hs.assign(x5=np.nan), HS)
    with refused(ResponseError, "AllMissing", "A3"):
        coco.cfa(bfi.assign(A3=np.nan), ORDINAL, ordered=ITEMS)


def test_case_44_empty_category_in_a_group(bfi):
    some = bfi[(bfi.gender != 1) | (bfi.A2 != 2)]
    with refused(ModelError, "EmptyCategory", "A2", "1"):
        coco.cfa(some, ORDINAL, ordered=ITEMS, group="gender")
    merged = coco.cfa(some, ORDINAL, ordered=ITEMS, group="gender", collapse={"A2": {2: 1}})
    assert merged.settings["collapse"]["A2"]["2"]["to"] == 1
    assert merged.settings["collapse"]["A2"]["2"]["rows"] == int((some.A2 == 2).sum())
    line = merged.ledger.iloc[-1]
    assert (line.step, line.rule) == ("recode", "A2: 2 becomes 1, in all groups alike")
    assert line.rows == line.cells == int((some.A2 == 2).sum())


def test_case_45_zero_cell_is_told(bfi):
    two = (bfi[ITEMS] > 3).astype(int)
    two["A2"] = two["A1"] | two["A2"]
    fit = coco.cfa(two.head(200), ORDINAL, ordered=ITEMS)
    told = {d.code: d.reason for d in fit.diagnostics}
    assert "A1 × A2" in told["EmptyCells"]
    assert "half a person was put into the empty cell" in told["ZeroCellCorrected"]
    tetrachoric = fit.problem.ordinal[0].cov[0, 1]
    assert tetrachoric > two.head(200)[["A1", "A2"]].corr().iloc[0, 1] + 0.1  # not Pearson's


def test_case_46_dependent_items(hs):
    with refused(ModelError, "Dependency", "x1", "x2", "x3"):
        coco.cfa(hs.assign(x3=hs.x1 + hs.x2), HS)
    with refused(ModelError, "Dependency", "x1", "x2"):
        coco.cfa(hs.assign(x2=hs.x1), HS)


def test_case_47_indefinite_polychoric_matrix_is_told_and_left_as_it_is():
    """Few people, many gaps: the pairs do not fit together. The fit says so and smooths nothing unseen."""
    rng = np.random.default_rng(1)
    latent = rng.normal(size=(80, 1)) + 0.5 * rng.normal(size=(80, 8))
    rows = pd.DataFrame(np.digitize(latent, [-0.5, 0.7]) + 1.0, columns=list("abcdeghi"))
    rows = rows.mask(rng.random(rows.shape) < 0.5)
    fit = coco.cfa(rows, "f =~ " + " + ".join(rows.columns), ordered=True)
    told = next(d for d in fit.diagnostics if d.code == "NotPositiveDefinite")
    assert "smallest eigenvalue" in told.reason
    assert "NotPositiveDefinite" in repr(fit)
    matrix = fit.problem.ordinal[0].cov
    assert np.linalg.eigvalsh(matrix)[0] < 0
    np.testing.assert_allclose(matrix, coco.polychoric(rows).correlations, atol=1e-10)


def test_case_48_too_few_rows(hs):
    with refused(ModelError, "TooFewRows", "9 variables"):
        coco.cfa(hs.head(9), HS)
    with refused(ModelError, "TooFewRows", "free parameters"):
        coco.cfa(hs.head(15), HS)


def test_case_49_group_of_one_row_and_missing_group(hs):
    lonely = hs.assign(school=["alone", *hs.school[1:]])
    with refused(ResponseError, "GroupTooSmall", "a single row"):
        coco.cfa(lonely, HS, group="school")
    with refused(ResponseError, "MissingGroup", "school"):
        coco.cfa(hs.assign(school=hs.school.where(hs.id > 3)), HS, group="school")
    with refused(ModelError, "OneGroup"):
        coco.cfa(hs.assign(school="one"), HS, group="school")


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan])
def test_case_55_bad_weights(hs, bad):
    with refused(ResponseError, "BadWeights", "w"):
        coco.cfa(hs.assign(w=np.where(hs.id == hs.id.iloc[0], bad, 1.0)), HS, weights="w")


def test_case_55_equal_weights_are_told(hs):
    fit = coco.cfa(hs.assign(w=2.0), HS, weights="w")
    assert "EqualWeights" in codes(fit)
    assert np.allclose(fit.tidy().est, coco.cfa(hs, HS).tidy().est)


def test_case_56_few_or_single_clusters(hs):
    assert "FewClusters" in codes(coco.cfa(hs.assign(c=hs.id % 20), HS, cluster="c"))
    clustered = coco.cfa(hs.assign(c=hs.id % 20), HS, cluster="c")
    assert clustered.settings["se"] == "robust.huber.white"
    assert "C/(C − 1)" in next(d.reason for d in clustered.diagnostics if d.code == "FewClusters")
    each = coco.cfa(hs.assign(c=np.arange(301)), HS, cluster="c")  # one row a cluster: robust errors times C/(C − 1)
    robust = coco.cfa(hs, HS, estimator="mlr", meanstructure=True)
    np.testing.assert_allclose(each.vcov, robust.vcov * 301 / 300, rtol=1e-6)
    lonely = hs.assign(c=np.where(hs.id == hs.id.iloc[0], 99, hs.id % 45))
    assert "SingletonClusters" in codes(coco.cfa(lonely, HS, cluster="c"))
    with refused(ModelError, "OneCluster"):
        coco.cfa(hs.assign(c=1), HS, cluster="c")


@pytest.mark.parametrize("kind", ["object", "Float64", "category", "string", "str", "float64[pyarrow]"])
def test_case_59_dtypes_do_not_change_a_number(hs, kind):
    other, text = hs.copy(), kind in ("string", "str")
    for k in range(1, 10):
        column = other[f"x{k}"].astype(str) if text else other[f"x{k}"]
        other[f"x{k}"] = column.astype(kind)
    assert np.array_equal(coco.cfa(other, HS).tidy().est, coco.cfa(hs, HS).tidy().est)


def test_case_59_ordinal_dtypes(bfi):
    codes_ = bfi.assign(**{k: bfi[k].astype("Int64") for k in ITEMS})
    labels = bfi.assign(**{k: pd.Categorical(bfi[k], ordered=True) for k in ITEMS})
    halves = (bfi[ITEMS] > 3).astype(int)
    truth = [coco.cfa(d, ORDINAL, ordered=ITEMS).tidy().est for d in (halves, halves.astype(bool))]
    assert np.array_equal(*truth)
    want = coco.cfa(bfi, ORDINAL, ordered=ITEMS).tidy().est
    for other in (codes_, labels):
        assert np.array_equal(coco.cfa(other, ORDINAL, ordered=ITEMS).tidy().est, want)


def test_case_60_unknown_variable_has_a_place_and_a_suggestion(hs):
    with refused(ModelError, "UnknownVariable", "'x10'", "line 2, column 22", "Did you mean"):
        coco.cfa(hs, "visual =~ x1 + x2 + x3\ntextual =~ x4 + x5 + x10")


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("", "EmptyModel", ["formula"]),
        ("f =~ x1 + x2 +", "SyntaxError", ["line 1"]),
        ("f =~ x1 + x2 + x3\nx4", "NoEffect", ["'x4'", "line 2, column 1"]),
        ("f =~ x1 + x2 + x3\nf =~ x2", "DuplicateTerm", ["line 2"]),
        ("f <~ x1 + x2", "UnknownOperator", ["<~"]),
        ("f =~ x1 + sta(2)*x2 + x3", "UnknownModifier", ["Did you mean 'start'"]),
        ("f =~ x1 + x2 + 3", "SyntaxError", ["3*variable"]),
        ("f =~ x1 + a*x2 + x3\nd := a*bb", "UnknownLabel", ["'bb'", "line 2"]),
        ("f =~ x1 + a*x2 + x3\na := 2*a", "DuplicateLabel", ["'a'"]),
        ("f =~ x1 + x2 + x3\nd := e\ne := d", "CircularDefinition", ["circle"]),
        ("f =~ x1 + x2 + x3\n1 == 2", "NoEffect", ["no parameter"]),
        ("f =~ x1 + c(1,2)*x2 + x3", "WrongNumberOfModifiers", ["2 values"]),
        ("f =~ x1 + x2 + (x3", "SyntaxError", ["not closed"]),
        ("f =~ x1 + 1*x2 + 2*x2", "ContradictingModifiers", ["f =~ x2"]),
        ("x1 ~ x1", "SelfReference", ["itself"]),
        ("x1 =~ x2 + x3 + x4", "NameClash", ["x1"]),
    ],
)
def test_case_60_syntax_faults_are_placed(hs, text, code, words):
    with refused(ModelError, code, *words):
        coco.cfa(hs, text + "\n" if text else text)


@pytest.mark.parametrize(
    "options",
    [{"group_equal": "loadings"}, {"group": "school", "group_partial": "f =~ x2"},
     {"group": "school", "group_equal": "loadings", "group_partial": "f =~ x77"}],
    ids=str,
)  # fmt: skip
def test_options_without_effect_are_errors(hs, options):
    with refused(ModelError, "NoEffect"):
        coco.cfa(hs, "f =~ x1 + x2 + x3 + x4", **options)


def test_case_61_under_identified_model_names_the_block(hs):
    fit = coco.cfa(hs, "visual =~ x1 + x2\ntextual =~ x4 + x5 + x6\nvisual ~~ 0*textual")
    assert not fit.identified
    assert "visual" in next(d.reason for d in fit.diagnostics if d.code == "NotIdentified")
    glance = fit.glance().iloc[0]
    assert np.isnan([glance.chi2, glance.cfi, glance.rmsea]).all()
    assert np.isnan(fit.tidy().se[fit.tidy().se != 0]).all()


def test_case_61_more_parameters_than_moments(hs):
    fit = coco.cfa(hs, "f =~ NA*x1 + x2 + x3")
    assert not fit.identified
    assert "parameters more than moments" in " ".join(d.reason for d in fit.diagnostics)


def test_case_62_empirical_under_identification():
    """Two factors with two indicators each are identified by their correlation only; here it is zero."""
    names = ["a", "b", "c", "d"]
    matrix = pd.DataFrame(np.eye(4), index=names, columns=names)
    matrix.loc["a", "b"] = matrix.loc["b", "a"] = matrix.loc["c", "d"] = matrix.loc["d", "c"] = 0.4
    fit = coco.sem_from_moments("f =~ a + b\ng =~ c + d", matrix, 200)
    assert not fit.identified
    told = next(d.reason for d in fit.diagnostics if d.code == "NotIdentified")
    assert "f =~ b" in told
    assert "g =~ d" in told
    assert fit.vcov is None
    assert fit.glance()[["chi2", "cfi", "rmsea"]].isna().all(axis=None)


def test_case_63_heywood_case_is_shown_but_not_usable():
    names = ["a", "b", "c"]
    matrix = pd.DataFrame([[1, 0.8, 0.7], [0.8, 1, 0.3], [0.7, 0.3, 1]], index=names, columns=names)
    fit = coco.sem_from_moments("f =~ a + b + c", matrix, 200)
    assert (fit.identified, fit.converged, fit.admissible, fit.usable) == (True, True, False, False)
    assert "residual variance of a is negative" in next(d.reason for d in fit.diagnostics if d.code == "Inadmissible")
    assert "Inadmissible" in repr(fit)


def test_case_63_factor_correlation_above_one():
    names = list("abcdeh")
    within, across = np.full((3, 3), 0.4), np.full((3, 3), 0.45)
    matrix = pd.DataFrame(np.block([[within, across], [across, within]]), index=names, columns=names)
    matrix = matrix.where(~np.eye(6, dtype=bool), 1.0)
    fit = coco.sem_from_moments("f =~ a + b + c\ng =~ d + e + h", matrix, 300)
    assert not fit.admissible
    assert "the correlation of f and g is 1.1" in next(d.reason for d in fit.diagnostics if d.code == "Inadmissible")


def test_case_63_factors_whose_correlations_do_not_fit_together():
    """No correlation exceeds 1, yet the matrix of the three is not positive definite."""
    phi = np.array([[1, 0.9, 0.1], [0.9, 1, 0.9], [0.1, 0.9, 1]])
    loadings = np.kron(np.eye(3), np.full((3, 1), 0.5))
    matrix = loadings @ phi @ loadings.T
    np.fill_diagonal(matrix, 1.0)
    names = [f"y{k}" for k in range(9)]
    model = "f =~ y0 + y1 + y2\ng =~ y3 + y4 + y5\nh =~ y6 + y7 + y8"
    fit = coco.sem_from_moments(model, pd.DataFrame(matrix, names, names), 300)
    assert (fit.converged, fit.admissible, fit.usable) == (True, False, False)
    told = next(d.reason for d in fit.diagnostics if d.code == "Inadmissible")
    assert "covariance matrix of f, g, h is not positive definite" in told


RUNAWAY = pd.DataFrame(  # the product of a's correlations has the wrong sign: its loading grows without end
    [[1, 0.4, 0.4, 0.3], [0.4, 1, -0.4, 0.3], [0.4, -0.4, 1, -0.3], [0.3, 0.3, -0.3, 1]], list("abcd"), list("abcd")
)


def test_case_64_not_converged_is_a_status_and_its_last_iterate_no_result():
    fit = coco.sem_from_moments("f =~ a + b + c + d", RUNAWAY, 100, std_lv=True)
    assert (fit.converged, fit.usable) == (False, False)
    assert not fit.glance().converged.iloc[0]
    told = next(d for d in fit.diagnostics if d.code == "NotConverged")
    assert told.severity == "error"
    assert "4 starts were tried" in told.reason
    assert len(fit.solution.starts) == 4
    free = fit.tidy().query("lhs != rhs or lhs != 'f'")
    assert free[["se", "z", "p_value", "ci_lower", "ci_upper"]].isna().all(axis=None)
    measures = ["chi2", "p_value", "cfi", "tli", "rmsea", "srmr", "aic"]
    assert fit.glance()[measures].isna().all(axis=None)
    assert "NotConverged" in repr(fit)
    assert "χ²" not in repr(fit).split("NotConverged")[0]


def test_case_64_a_fit_that_did_not_converge_is_not_compared():
    fits = [coco.sem_from_moments(f"f =~ a + {b} + c + d", RUNAWAY, 100, std_lv=True) for b in ("b", "0.05*b")]
    with refused(ModelError, "UnusableFit"):
        coco.compare(*fits)


def test_case_65_several_starts_report_their_spread(hs):
    fit = coco.cfa(hs, HS, starts=4)
    assert fit.settings["starts"] == len(fit.solution.starts) == 4
    assert np.ptp(fit.solution.starts) < 1e-8
    assert "4 starts ended at the same minimum" in repr(fit)


def test_case_65_the_lowest_of_several_minima_is_taken(hs, monkeypatch):
    """A search that ends in a hollow first: the later start that goes lower is the one that counts."""
    ends = iter([0.31, 0.2, 0.25])
    arrived = confirmatory.minimise

    def hollow(problem, start, constraints):
        return replace(arrived(problem, start, constraints), value=next(ends))

    monkeypatch.setattr(confirmatory, "minimise", hollow)
    fit = coco.cfa(hs, HS, starts=3)
    assert fit.solution.value == 0.2
    told = next(d for d in fit.diagnostics if d.code == "SeveralMinima")
    assert told.severity == "warning"
    assert "from 0.2 to 0.31" in told.reason


def test_case_66_saturated_model_has_no_cfi(hs):
    fit = coco.cfa(hs, "visual =~ x1 + x2 + x3")
    assert "Saturated" in codes(fit)
    assert np.isnan([fit.measures["cfi"], fit.measures["tli"], fit.measures["p_value"]]).all()


def test_case_67_independence_model_that_fits():
    names = list("abcd")
    matrix = pd.DataFrame(np.eye(4) + 0.01 * (1 - np.eye(4)), index=names, columns=names)
    fit = coco.sem_from_moments("f =~ a + b + c + d", matrix, 50)
    assert np.isnan(fit.measures["tli"])
    assert np.isnan(fit.measures["cfi"]) or 0 <= fit.measures["cfi"] <= 1
    assert "BaselineFits" in codes(fit)


def test_case_68_comparisons_that_mean_nothing(hs):
    first, same = coco.cfa(hs, HS), coco.cfa(hs, HS + "\nx1 ~~ x4\nvisual ~~ 0*speed")
    with refused(ModelError, "NotNested", "degrees of freedom"):
        coco.compare(first, same)
    with refused(ModelError, "NotNested", "different variables"):
        coco.compare(first, coco.cfa(hs, "f =~ x1 + x2 + x3 + x4"))
    with refused(ModelError, "DifferentEstimators"):
        coco.compare(first, coco.cfa(hs, HS + "\nvisual ~~ 0*speed", estimator="mlr"))
    with refused(ModelError, "MethodNeedsScaled"):
        coco.compare(first, coco.cfa(hs, HS + "\nvisual ~~ 0*speed"), method="satorra2000")


def test_case_68_a_negative_scaled_difference_has_no_p_value():
    rng = np.random.default_rng(178)
    answers = 0.7 * rng.normal(size=(60, 1)) + rng.standard_t(3, size=(60, 5)) * 0.7
    data = pd.DataFrame(answers, columns=list("abcde"))
    fits = [coco.cfa(data, f"f =~ a + b + c + d + e{more}", estimator="mlr") for more in ("", "\na ~~ b")]
    found = coco.compare(*fits)
    assert found.tidy()[["delta_chi2", "p_value"]].iloc[1].isna().all()
    told = next(d for d in found.diagnostics if d.code == "NegativeDifference")
    assert "satorra_2000" in told.reason
    assert 0 <= coco.compare(*fits, method="satorra_2000").tidy().p_value.iloc[1] <= 1


def test_case_69_different_rows(hs):
    with refused(ModelError, "DifferentRows", "301", "300"):
        coco.compare(coco.cfa(hs, HS), coco.cfa(hs.iloc[1:], HS + "\nvisual ~~ 0*speed"))
    with refused(ModelError, "DifferentRows"):
        coco.compare(coco.cfa(hs.iloc[:-1], HS), coco.cfa(hs.iloc[1:], HS + "\nvisual ~~ 0*speed"))


def test_case_71_failed_replicates_are_counted(bfi):
    rare = bfi.head(80).copy()
    rare["A1"] = np.where(np.arange(80) < 1, 6, np.minimum(rare.A1, 5))
    fit = coco.cfa(rare, "A =~ A1 + A2 + A3 + A5", ordered=["A1"], bootstrap=30, seed=1)
    assert fit.replicates.failed > 0
    told = next(d for d in fit.diagnostics if d.code == "BootstrapFailures")
    assert f"{fit.replicates.failed} of 30" in told.reason
    assert told.severity == "error"


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"estimator": "mlm", "missing": "fiml"}, "EstimatorMissing"),
        ({"estimator": "wlsmv", "missing": "fiml"}, "EstimatorMissing"),
        ({"estimator": "ml", "missing": "pairwise"}, "EstimatorMissing"),
        ({"estimator": "mlr", "information": "first.order"}, "EstimatorInformation"),
        ({"estimator": "gls", "information": "first.order"}, "EstimatorInformation"),
        ({"estimator": "ml", "ordered": ["x1"]}, "EstimatorNeedsContinuous"),
        ({"estimator": "mlx"}, "UnknownEstimator"),
        ({"missing": "mean"}, "UnknownMissing"),
        ({"se": "magic"}, "UnknownErrors"),
    ],
)
def test_case_72_impossible_pairings(hs, options, code):
    with refused(ModelError, code):
        coco.cfa(hs, HS, **options)


def test_two_level_fits_refuse_what_is_not_defined_for_them():
    model = "level: 1\nlw =~ LEAD01 + LEAD03 + LEAD07 + LEAD11\nlevel: 2\nlb =~ LEAD01 + LEAD03 + LEAD07 + LEAD11"
    fit = coco.cfa(table("lq2002"), model, cluster="COMPID")
    with refused(ModelError, "NotForTwoLevel"):
        fit.reliability()
    assert list(fit.scores().columns) == ["lw", "lb"]
    assert set(fit.implied()) == {"within", "between"}
    assert set(fit.r_squared()["group"]) == {"within", "between"}


def test_display_shows_the_fit_and_what_is_wrong(hs):
    shown = repr(coco.cfa(hs, HS))
    assert "χ²(24) = 85.31" in shown
    assert "CFI 0.931" in shown
    broken = repr(coco.cfa(hs, "visual =~ x1 + x2\ntextual =~ x4 + x5 + x6\nvisual ~~ 0*textual"))
    assert "NotIdentified" in broken
    assert "χ²" not in broken.split("NotIdentified")[0]


def test_continuous_variables_are_no_items_unless_named(hs):
    with refused(ModelError, "NotOrdinal", "x1"):
        coco.cfa(hs, HS, ordered=True)


def test_gaps_in_a_modelled_covariate_cost_no_row(hs):
    """lavaan 0.6-14: make_fixed_x_missing.R."""
    lavaan = values("fixed_x_missing")
    gappy = hs.copy()
    gappy.loc[gappy.index[4::7], "ageyr"] = np.nan
    gappy.loc[gappy.index[2::11], "x2"] = np.nan
    model = "visual =~ x1 + x2 + x3\nspeed =~ x7 + x8 + x9\nspeed ~ visual + ageyr"
    fit = coco.sem(gappy, model, missing="fiml", estimator="mlr", fixed_x=False)
    shown, rows = fit.glance().iloc[0], fit.tidy().query("op == '~'")
    assert (shown["n"], shown["df"]) == (lavaan["n"], lavaan["df"]) == (301, lavaan["df"])
    for name in ("chi2", "chi2_scaled", "loglik"):
        assert shown[name] == pytest.approx(lavaan[name], rel=1e-5)
    np.testing.assert_allclose(rows[["est", "se"]], lavaan["slopes"], rtol=1e-4)


def test_row_labels_that_occur_twice_change_nothing(hs):
    twice = pd.concat([hs.iloc[:150], hs.iloc[150:].reset_index(drop=True)])
    plain, again = (coco.cfa(d, HS, bootstrap=2, seed=1) for d in (hs, twice))
    np.testing.assert_allclose(again.scores(), plain.scores())
    np.testing.assert_allclose(again.tidy()["se"], plain.tidy()["se"])


@pytest.mark.parametrize(
    ("ask", "code"),
    [
        (lambda d: coco.cfa(d, 5), "NoModel"),
        (lambda d: coco.cfa(HS, d), "NoModel"),
        (lambda d: coco.cfa(d, HS, bootstrap=-1), "BadBootstrap"),
        (lambda d: coco.efa(d, ["x1", "x1", "x2", "x3"], factors=1), "DuplicateVariable"),
        (lambda d: coco.efa(d[["x1", "x2", "x3", "x4", "x5"]], factors=1.5), "TooManyFactors"),
        (lambda d: coco.reliability(d, {"visual": ["x1", "x1", "x2"]}), "DuplicateVariable"),
        (lambda d: coco.cfa(d.assign(x1=d["x1"] + 1j), HS), "NotANumber"),
        (lambda d: coco.sem_from_moments("f =~ x1 + x2 + x3", np.eye(3), 100), "NotATable"),
        (lambda d: coco.sem_from_moments("f =~ x1 + x2 + x3", d[["x1", "x2", "x3"]].cov(), -5), "TooFewRows"),
    ],
)
def test_slips_of_a_caller_are_named(hs, ask, code):
    with pytest.raises((ModelError, ResponseError)) as raised:
        ask(hs)
    assert raised.value.code == code


def test_the_display_names_bootstrap_errors_and_an_empty_test():
    random = np.random.default_rng(4)
    data = pd.DataFrame(random.normal(size=(300, 1)) + random.normal(size=(300, 3)), columns=list("abc"))
    told = coco.cfa(data, "f =~ a + b + c", bootstrap=10, seed=1).notes()
    assert "χ²(0) = 0.00: nothing is tested." in told
    assert any("errors and percentile intervals from 10 bootstrap replicates" in note for note in told)
    assert not any("nan" in note for note in told)
