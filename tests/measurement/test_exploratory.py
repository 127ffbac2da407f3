"""EFA against psych 2.2.9 and stats (tests/reference/exploration.R), derivatives, properties, degenerate cases."""

import numpy as np
import pandas as pd
import pytest

import cocoanalysis as coco
from cocoanalysis.errors import ModelError
from cocoanalysis.measurement import extraction
from cocoanalysis.measurement.extraction import EXTRACTIONS
from cocoanalysis.measurement.rotations import ROTATIONS
from tests.measurement.reference import matched, table, values

PSYCH = values("exploration")
FIT = {"chi2": 1e-3, "rmsea": 1e-5, "tli": 1e-5, "bic": 1e-3, "srmr": 1e-6, "objective": 1e-6}
# psych stops its search early: minres differs by 3e-4 in χ²


@pytest.fixture(scope="module")
def bfi():
    return table("bfi25_complete")


@pytest.fixture(scope="module")
def harman():
    names = PSYCH["harman"]["names"]
    return pd.DataFrame(PSYCH["harman"]["matrix"], index=names, columns=names)


def test_principal_axis_agrees_with_psych_iterated_further(harman):
    wanted = PSYCH["harman"]["pa"]["loadings"]  # fa(min.err = 1e-9, max.iter = 5000)
    found = coco.efa(harman, factors=4, extraction="pa", rotation="none", n=145)
    assert matched(found.loadings, np.eye(4), wanted, np.eye(4))[0] < 1e-6


@pytest.mark.parametrize("method", ["minres", "ml"])
@pytest.mark.parametrize("which", ["bfi", "harman"])
def test_unrotated_loadings_and_fit_agree_with_psych(bfi, harman, which, method):
    data, factors, n = (bfi, 5, None) if which == "bfi" else (harman, 4, 145)
    wanted = PSYCH["efa" if which == "bfi" else "harman"][method]
    found = coco.efa(data, factors=factors, extraction=method, rotation="none", n=n)
    eye = np.eye(factors)
    assert matched(found.loadings, eye, wanted["loadings"], eye)[0] < 1e-5
    for name, tolerance in FIT.items():
        value = wanted[name][0] if name == "rmsea" else wanted[name]
        assert found.fit[name] == pytest.approx(value, abs=tolerance), name
    assert [found.fit["rmsea_lower"], found.fit["rmsea_upper"]] == pytest.approx(wanted["rmsea"][1:3], abs=1e-5)


def test_a_covariance_matrix_is_taken_as_factanal_takes_it():
    wanted = PSYCH["ability"]  # stats::factanal, varimax iterated to 1e-15
    found = coco.efa(np.array(wanted["cov"]), factors=2, extraction="ml", rotation="varimax", n=wanted["n"])
    np.testing.assert_allclose(found.uniquenesses, wanted["uniquenesses"], atol=2e-5)
    assert matched(found.loadings, np.eye(2), wanted["loadings"], np.eye(2))[0] < 1e-4


def test_pairwise_correlations_agree_with_pandas(bfi):
    data = bfi.mask(np.random.default_rng(4).random(bfi.shape) < 0.1)
    found = coco.efa(data, factors=2).correlations
    np.testing.assert_allclose(found.matrix, data.corr(), atol=1e-12)
    answered = data.notna().astype(int)
    assert found.n == (answered.T @ answered).min().min()
    whole = coco.efa(data, factors=2, missing="listwise").correlations
    np.testing.assert_allclose(whole.matrix, data.dropna().corr(), atol=1e-12)
    left = len(data) - len(data.dropna())
    assert f"{left} rows with a missing answer were left out." in coco.kmo(data, missing="listwise").notes()


def test_principal_axis_ends_where_minres_does(bfi):
    """Both are stationary points of the same sum of squares; psych's own axis stops .001 earlier."""
    left, right = (coco.efa(bfi, factors=5, extraction=e, rotation="none").loadings for e in ("pa", "minres"))
    np.testing.assert_allclose(left, right, atol=1e-6)


def test_wls_is_the_minimum_of_its_weighted_residuals(bfi):
    from scipy import optimize

    matrix = bfi.iloc[:, :10].corr().to_numpy()
    weight = 1 / np.diag(np.linalg.inv(matrix))
    cells = np.tril_indices(10, -1)

    def loss(flat):
        residual = (matrix - flat.reshape(10, 2) @ flat.reshape(10, 2).T)[cells]
        return (residual**2 * np.outer(weight, weight)[cells]).sum()

    found = EXTRACTIONS["wls"](matrix, 2).loadings
    start = found + np.random.default_rng(0).normal(scale=0.05, size=found.shape)
    searched = optimize.minimize(loss, start.ravel(), method="BFGS", options={"gtol": 1e-10, "maxiter": 5000})
    assert loss(found.ravel()) == pytest.approx(searched.fun, abs=1e-10)
    assert loss(found.ravel()) < loss(EXTRACTIONS["minres"](matrix, 2).loadings.ravel())


@pytest.mark.parametrize("function", [extraction.least_squares, extraction.likelihood])
def test_derivatives_equal_finite_differences(bfi, function):
    matrix, h = bfi.iloc[:, :9].corr().to_numpy(), 1e-6
    point = np.random.default_rng(1).uniform(0.4, 0.8, 9)
    point = np.log(point) if function is extraction.likelihood else point
    _, gradient, hessian = function(matrix, 2, point)
    for i in range(9):
        step = h * (np.arange(9) == i)
        up, down = function(matrix, 2, point + step), function(matrix, 2, point - step)
        assert gradient[i] == pytest.approx((up[0] - down[0]) / (2 * h), abs=1e-7)
        np.testing.assert_allclose(hessian[i], (up[1] - down[1]) / (2 * h), atol=1e-6)


@pytest.mark.parametrize("method", EXTRACTIONS)
def test_a_known_structure_is_recovered(method):
    wanted = np.kron(np.eye(3), np.array([[0.8], [0.7], [0.6], [0.5]]))
    phi = np.array([[1, 0.3, 0.2], [0.3, 1, 0.1], [0.2, 0.1, 1]])
    matrix = wanted @ phi @ wanted.T
    np.fill_diagonal(matrix, 1)
    found = coco.efa(matrix, factors=3, extraction=method, n=500)
    off, off_phi = matched(found.loadings, found.factor_correlations, wanted, phi)
    assert max(off, off_phi) < 1e-4
    assert found.fit["chi2"] == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("rotation", ["none", *ROTATIONS])
@pytest.mark.parametrize("method", ["minres", "ml"])
def test_permuted_items_permute_the_answer(bfi, method, rotation):
    items = bfi.iloc[:500, :15]
    order = np.random.default_rng(2).permutation(15)
    wanted = np.full((15, 3), np.nan)
    wanted[:5, 1:] = wanted[5:10, [0, 2]] = wanted[10:, :2] = 0
    fits = []
    for columns in (np.arange(15), order):
        options = {"target": wanted[columns]} if rotation == "target" else None
        chosen = items.iloc[:, columns]
        fits.append(coco.efa(chosen, factors=3, extraction=method, rotation=rotation, rotation_options=options))
    left, right = fits
    np.testing.assert_allclose(left.loadings.iloc[order], right.loadings, atol=1e-5)
    np.testing.assert_allclose(left.factor_correlations, right.factor_correlations, atol=1e-5)
    np.testing.assert_allclose(left.communalities.iloc[order], right.communalities, atol=1e-6)


@pytest.mark.parametrize("method", EXTRACTIONS)
def test_permuted_items_permute_every_extraction(bfi, method):
    matrix = bfi.iloc[:500, :15].corr().to_numpy()
    order = np.random.default_rng(3).permutation(15)
    left, right = EXTRACTIONS[method](matrix, 3), EXTRACTIONS[method](matrix[np.ix_(order, order)], 3)
    np.testing.assert_allclose(left.loadings[order], right.loadings, atol=1e-6)
    np.testing.assert_allclose(left.uniquenesses[order], right.uniquenesses, atol=1e-6)


@pytest.mark.parametrize("rotation", ["none", "varimax", "oblimin", "promax"])
def test_one_order_and_one_sign(bfi, rotation):
    """Loadings, correlations, structure and residuals belong together: they reproduce the same correlations."""
    found = coco.efa(bfi, factors=5, rotation=rotation)
    assert (found.loadings.sum() > 0).all()
    ss = found.variance()["ss"]
    assert (ss.diff().dropna() <= 1e-12).all()
    reproduced = found.loadings @ found.factor_correlations @ found.loadings.T
    np.testing.assert_allclose(reproduced + found.residuals(), bfi.corr(), atol=1e-10)
    np.testing.assert_allclose(np.diag(reproduced), found.communalities, atol=1e-12)
    np.testing.assert_allclose(found.structure @ found.loadings.T, reproduced, atol=1e-12)
    assert found.tidy().shape == (125, 6)


def test_scores_agree_with_psych(bfi):
    psych = PSYCH["scores"]
    found = coco.efa(bfi, factors=5)
    order = [int(np.argmax(np.abs(found.loadings.to_numpy().T @ column))) for column in np.array(psych["loadings"]).T]
    signs = np.sign((found.loadings.to_numpy()[:, order] * np.array(psych["loadings"])).sum(axis=0))
    for name, theirs in (("regression", "Thurstone"), ("bartlett", "Bartlett"), ("tenberge", "tenBerge")):
        mine = found.weights(name).to_numpy()[:, order] * signs
        np.testing.assert_allclose(mine, psych[theirs]["weights"], atol=5e-4)  # psych's rotation stops at 1e-5
        first = found.scores(name).to_numpy()[:5, order] * signs
        np.testing.assert_allclose(first, psych[theirs]["first"], atol=1e-3)
    np.testing.assert_allclose(found.determinacy()["r2"].to_numpy()[order], psych["R2"], atol=1e-4)


def test_ten_berge_scores_correlate_as_the_factors_do(bfi):
    found = coco.efa(bfi, factors=5)
    np.testing.assert_allclose(found.scores("tenberge").corr(), found.factor_correlations, atol=1e-10)


def test_polychoric_efa_agrees_with_psych(bfi):
    """psych's polychorics are 2e-5 from lavaan's, which ours agree with."""
    found = coco.efa(bfi, factors=5, correlation="polychoric")
    wanted = PSYCH["polychoric"]
    off, off_phi = matched(found.loadings, found.factor_correlations, wanted["loadings"], wanted["phi"])
    assert off < 2e-4
    assert off_phi < 5e-4


def test_parallel_analysis_of_polychoric_correlations(bfi):
    part = bfi.iloc[:400, :10]
    for simulated in ("normal", "permutation"):
        found = coco.parallel_analysis(part, correlation="polychoric", replicates=20, simulated=simulated)
        assert found.n_factors in (2, 3)
        assert found.settings["correlation"] == "polychoric"


def test_parallel_analysis_may_choose_the_factors(bfi):
    found = coco.efa(bfi, factors="parallel", rotation="varimax", seed=1)
    assert found.n_factors == found.retention.n_factors == 6
    assert coco.efa(bfi, factors="map", rotation="none").n_factors == 5


def test_dtypes_do_not_change_a_digit(bfi):
    plain = coco.efa(bfi.iloc[:, :10], factors=2).loadings
    for dtype in ("Int64", "float32", "category"):
        other = bfi.iloc[:, :10].astype("int64" if dtype == "category" else dtype).astype(dtype)
        np.testing.assert_array_equal(coco.efa(other, factors=2).loadings, plain)


def degenerate():
    rng = np.random.default_rng(3)
    return pd.DataFrame(rng.integers(1, 6, (60, 5)).astype(float), columns=list("abcde"))


def refused(data, **options):
    with pytest.raises(ModelError) as error:
        coco.efa(data, factors=1, **options)
    return error.value


def test_case_42_constant_item():
    error = refused(degenerate().assign(c=3.0))
    assert error.code == "ConstantItem"
    assert "c;" in str(error)


def test_case_43_all_missing_item():
    error = refused(degenerate().assign(d=np.nan))
    assert error.code == "AllMissing"
    assert " d;" in str(error)


def test_case_46_duplicate_item():
    data = degenerate()
    error = refused(data.assign(e=data["b"]))
    assert error.code == "Dependency"
    assert "b = e" in str(error)


def test_case_46_linear_dependence():
    data = degenerate()
    error = refused(data.assign(e=data["a"] + data["b"] - data["c"]))
    assert error.code == "Dependency"
    assert "a, b, c, e" in str(error)


def test_case_47_indefinite_matrix_is_named_and_smoothed_only_when_asked():
    matrix = pd.DataFrame([[1, 0.9, 0.9], [0.9, 1, -0.9], [0.9, -0.9, 1]], index=list("abc"), columns=list("abc"))
    error = refused(matrix, n=100)
    assert error.code == "NotPositiveDefinite"
    assert "smooth=True" in str(error)
    smoothed = coco.kmo(matrix, n=100, smooth=True)
    assert smoothed.settings["smoothed"]


def test_case_47_indefinite_polychoric_matrix():
    """Few people, many gaps: the pairs do not fit together. Nothing is smoothed unless asked, and then it is said."""
    rng = np.random.default_rng(1)
    latent = rng.normal(size=(80, 1)) + 0.5 * rng.normal(size=(80, 8))
    data = pd.DataFrame(np.digitize(latent, [-0.5, 0.7]) + 1.0).rename(columns=str)
    data = data.mask(rng.random(data.shape) < 0.5)
    error = refused(data, correlation="polychoric")
    assert error.code == "NotPositiveDefinite"
    found = coco.efa(data, factors=1, correlation="polychoric", smooth=True)
    assert found.settings["smoothed"]


def test_case_45_empty_cells_are_told(bfi):
    found = coco.efa(bfi.head(150).iloc[:, :6], factors=1, correlation="polychoric")
    assert any("empty cell" in note for note in found.notes())


def test_case_48_fewer_people_than_items():
    assert refused(degenerate().head(5)).code == "TooFewRows"


def test_case_61_too_many_factors_leave_no_degrees_of_freedom():
    found = coco.efa(degenerate(), factors=4, rotation="none")
    assert [d.code for d in found.diagnostics if d.code == "NotIdentified"]
    assert np.isnan(found.fit["chi2"])
    with pytest.raises(ModelError, match="between 1 and 4"):
        coco.efa(degenerate(), factors=5)


def test_case_63_heywood_case_is_named():
    matrix = np.array([[1, 0.9, 0.8, 0.1], [0.9, 1, 0.6, 0.1], [0.8, 0.6, 1, 0.1], [0.1, 0.1, 0.1, 1]])
    found = coco.efa(matrix, factors=1, n=200, extraction="ml")
    assert [d.code for d in found.diagnostics] == ["Heywood"]
    assert "v1" in found.diagnostics[0].reason
    assert not found.admissible
    assert not found.glance()["admissible"].item()


def test_no_factor_in_random_answers():
    rng = np.random.default_rng(12)
    with pytest.raises(ModelError) as error:
        coco.efa(pd.DataFrame(rng.normal(size=(300, 8))).rename(columns=str), factors="parallel")
    assert error.value.code == "NoFactors"


@pytest.mark.parametrize("items", [2, 3, 4])
def test_few_items(items):
    rng = np.random.default_rng(7)
    data = pd.DataFrame(rng.normal(size=(200, 1)) + rng.normal(size=(200, items))).rename(columns=str)
    found = coco.efa(data, factors=1)
    assert found.rotated.converged
    assert ("NotIdentified" in {d.code for d in found.diagnostics}) == (items == 2)
    assert coco.parallel_analysis(data).n_components == 1
    assert len(coco.velicer_map(data).map) == items - 2
