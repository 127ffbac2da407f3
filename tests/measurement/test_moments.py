"""Polychoric and mixed moments against lavaan 0.6-14 (reference/make_moments.R), ordinalcorr, scipy, properties."""

import itertools
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad
from scipy.special import ndtr

import cocoanalysis as coco
from cocoanalysis.errors import CocoError
from cocoanalysis.measurement import contingency
from cocoanalysis.measurement.binormal import binormal_cdf, binormal_pdf, pdf_slope
from cocoanalysis.measurement.moments import ordinal_moments, polychoric_matrix, smoothed

REFERENCE = Path(__file__).parents[1] / "reference"
FIVE, MIXED = ["A1", "A2", "A3", "C1", "C2"], ["A1", "A2", "N1", "C1", "C2"]
MOMENTS_TOL, GAMMA_TOL = 2e-7, 5e-7  # lavaan stops its optimiser at about 1e-8


@pytest.fixture(scope="module")
def lavaan():
    return json.loads((REFERENCE / "moments.json").read_text())


@pytest.fixture(scope="module")
def answers():
    return pd.read_csv(REFERENCE / "moments_mixed.csv")


@pytest.fixture(scope="module")
def simulated():
    return ordinal_data(seed=5, n=1500, p=6, categories=4)


def ordinal_data(seed, n, p, categories, loading=0.7):
    rng = np.random.default_rng(seed)
    latent = loading * rng.normal(size=(n, 1)) + np.sqrt(1 - loading**2) * rng.normal(size=(n, p))
    cuts = np.linspace(-1.2, 1.4, categories - 1)
    return pd.DataFrame(1 + (latent[:, :, None] > cuts).sum(axis=2), columns=[f"y{i}" for i in range(p)])


def scaled(weights):
    return weights.to_numpy() / weights.sum() * len(weights)


CASES = {
    "pairwise": lambda d: ordinal_moments(d[FIVE], FIVE, missing="pairwise"),
    "listwise": lambda d: ordinal_moments(d[FIVE], FIVE),
    "weights": lambda d: ordinal_moments((c := d.dropna(subset=FIVE))[FIVE], FIVE, weights=scaled(c.w)),
    "mixed_listwise": lambda d: ordinal_moments(d[MIXED], FIVE),
    "mixed_pairwise": lambda d: ordinal_moments(d[MIXED], FIVE, missing="pairwise"),
    "two_continuous": lambda d: ordinal_moments(
        d[["A1", "A2", "N1", "x", "C2"]], ["A1", "A2", "C2"], missing="pairwise"
    ),
    "covariates": lambda d: ordinal_moments(d.dropna()[[*MIXED, "x", "g"]], FIVE, ["x", "g"]),
    "covariates_weights": lambda d: ordinal_moments(
        (c := d.dropna())[[*MIXED, "x", "g"]], FIVE, ["x", "g"], weights=scaled(c.w)
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_moments_and_their_covariance_are_lavaans(name, lavaan, answers):
    got, want = CASES[name](answers), lavaan[name]
    gamma = np.array(want["gamma"], dtype=float)
    size = np.sqrt(np.outer(np.diag(gamma), np.diag(gamma)))
    assert got.n == want["n"]
    np.testing.assert_allclose(got.wls_obs, want["wls_obs"], atol=MOMENTS_TOL)
    np.testing.assert_allclose(got.gamma / size, gamma / size, atol=GAMMA_TOL)


def test_case_45_zero_cell_of_a_2x2_table_is_filled_as_lavaan_does_and_said(lavaan):
    frame = pd.read_csv(REFERENCE / "moments_zero_cell.csv")
    got = ordinal_moments(frame, list(frame))
    np.testing.assert_allclose(got.wls_obs, lavaan["zero_cell"]["wls_obs"], atol=MOMENTS_TOL)
    assert {"EmptyCells", "ZeroCellCorrected", "PerfectCorrelation"} <= {d.code for d in got.diagnostics}


def test_polychoric_and_standard_errors_are_lavcors(lavaan, answers):
    got = coco.polychoric(answers[FIVE])
    for row in lavaan["lavcor_pairwise"]:
        assert got.correlations.loc[row["lhs"], row["rhs"]] == pytest.approx(row["est"], abs=MOMENTS_TOL)
        assert got.se.loc[row["lhs"], row["rhs"]] == pytest.approx(row["se"], rel=1e-5)


def test_polychoric_agrees_with_ordinalcorr(simulated):
    from ordinalcorr import polychoric as oracle

    ours = coco.polychoric(simulated).correlations
    for a, b in [("y0", "y1"), ("y2", "y5")]:
        assert ours.loc[a, b] == pytest.approx(oracle(simulated[a], simulated[b]), abs=2e-4)


def slice_of_area(u, y, rho):
    return np.exp(-u * u / 2) / np.sqrt(2 * np.pi) * ndtr((y - rho * u) / np.sqrt(1 - rho**2))


@pytest.mark.parametrize("rho", [0.0, -0.2, 0.5, 0.9, -0.924, 0.926, -0.99, 0.9995])
def test_binormal_cdf_equals_quadrature(rho):
    rng = np.random.default_rng(1)
    h, k = rng.normal(size=(2, 1, 6)) * 1.5
    k[0, 0], k[0, 1] = h[0, 0], -h[0, 1]
    root = np.sqrt(1 - rho**2)
    break_at = k / rho if abs(rho) > 0.05 else h - 1
    for x, y, b, got in zip(h[0], k[0], break_at[0], binormal_cdf(h, k, np.array([rho]))[0]):
        knots = sorted({-12.0, x, *(p for p in b + root * np.array([-8, -3, -1, 0, 1, 3, 8.0]) if -12 < p < x)})
        parts = [quad(slice_of_area, a, c, args=(y, rho), epsabs=1e-16)[0] for a, c in itertools.pairwise(knots)]
        assert got == pytest.approx(sum(parts), abs=1e-13)


def test_derivatives_in_rho_equal_finite_differences():
    h, k, rho, step = np.array([[0.3, -1.1]]), np.array([[0.8, 0.4]]), np.array([0.55]), 1e-5
    numeric = (binormal_cdf(h, k, rho + step) - binormal_cdf(h, k, rho - step)) / (2 * step)
    np.testing.assert_allclose(binormal_pdf(h, k, rho), numeric, atol=1e-9)
    numeric = (binormal_pdf(h, k, rho + step) - binormal_pdf(h, k, rho - step)) / (2 * step)
    np.testing.assert_allclose(binormal_pdf(h, k, rho) * pdf_slope(h, k, rho), numeric, atol=1e-8)


def test_two_binary_items_fit_their_table_exactly():
    frame = pd.DataFrame(np.repeat([[0, 0], [0, 1], [1, 0], [1, 1]], [40, 10, 20, 30], axis=0), columns=["a", "b"])
    found = coco.polychoric(frame)
    t = found.thresholds["t1"]
    area = binormal_cdf(t[["a"]].to_numpy()[None], t[["b"]].to_numpy()[None], found.correlations.to_numpy()[0, 1:])
    assert float(area[0, 0]) == pytest.approx(0.4, abs=1e-9)
    assert found.tidy().kind.tolist() == ["tetrachoric"]


def test_permuting_items_and_rows_permutes_the_answer(simulated):
    order = ["y3", "y0", "y5", "y1", "y4", "y2"]
    plain, turned = coco.polychoric(simulated), coco.polychoric(simulated.sample(frac=1, random_state=1)[order])
    pd.testing.assert_frame_equal(turned.correlations, plain.correlations.loc[order, order], atol=1e-9)
    pd.testing.assert_frame_equal(turned.se, plain.se.loc[order, order], atol=1e-9)


def test_replicated_rows_are_integer_weights(simulated):
    times = np.arange(len(simulated)) % 3
    twice = simulated.loc[simulated.index.repeat(times)]
    weighted = coco.polychoric(simulated.assign(w=times), list(simulated.columns), weights="w")
    np.testing.assert_allclose(weighted.correlations, coco.polychoric(twice).correlations, atol=1e-8)
    np.testing.assert_allclose(weighted.thresholds, coco.polychoric(twice).thresholds, atol=1e-10)


def test_known_correlation_is_recovered_within_its_standard_error():
    frame = ordinal_data(seed=2, n=20000, p=4, categories=5)
    found = coco.polychoric(frame).tidy()
    assert ((found.est - 0.49).abs() < 4 * found.se).all()


def test_standard_errors_are_the_spread_over_samples():
    samples = [coco.polychoric(ordinal_data(s, 400, 2, 4)) for s in range(200)]
    spread = np.std([found.correlations.iloc[0, 1] for found in samples])
    assert np.mean([found.se.iloc[0, 1] for found in samples]) == pytest.approx(spread, rel=0.15)


def test_complete_data_are_the_same_pairwise_and_listwise(simulated):
    one, two = (coco.polychoric(simulated, missing=m).correlations for m in ("pairwise", "listwise"))
    pd.testing.assert_frame_equal(one, two)


def test_blocks_of_respondents_change_nothing(simulated, monkeypatch):
    whole = ordinal_moments(simulated.astype(float), list(simulated)).gamma
    monkeypatch.setattr(contingency, "ROWS", 70)
    monkeypatch.setattr("cocoanalysis.measurement.moments.CHUNK", 64)
    np.testing.assert_allclose(ordinal_moments(simulated.astype(float), list(simulated)).gamma, whole, rtol=1e-10)


def test_codes_are_labels_only(simulated):
    apart = simulated.replace({1: -7.5, 2: 0.0, 3: 2.25, 4: 900.0})
    pd.testing.assert_frame_equal(coco.polychoric(apart).correlations, coco.polychoric(simulated).correlations)


@pytest.mark.parametrize("dtype", ["int8", "Int64", "float32", "object", "category", "string", "Float64"])
def test_case_59_dtype_changes_no_digit(simulated, dtype):
    frame = simulated.astype(str).astype(dtype) if dtype == "string" else simulated.astype(dtype)
    pd.testing.assert_frame_equal(coco.polychoric(frame).correlations, coco.polychoric(simulated).correlations)


FAULTS = {
    "ConstantItem": lambda d: coco.polychoric(d.assign(y0=3)),  # case 42
    "AllMissing": lambda d: coco.polychoric(d.assign(y0=np.nan)),  # case 43
    "NotOrdinal": lambda d: coco.polychoric(d.assign(y0=np.arange(len(d)))),
    "UnknownVariable": lambda d: coco.polychoric(d, ordered=["y9"]),
    "BadWeights": lambda d: coco.polychoric(d.assign(w=-1), list(d.columns), weights="w"),  # case 55
    "UnknownChoice": lambda d: coco.polychoric(d, missing="fiml"),
    "TooFewRows": lambda d: coco.polychoric(d.assign(y0=d.y0.where(d.index == 0)), missing="listwise"),
    "EmptyCategory": lambda d: ordinal_moments(  # case 44
        d[d.y0 < 4].astype(float), list(d), levels={c: np.arange(1.0, 5) for c in d}, group="DK"
    ),
}


FAULTS |= {
    "NoCommonAnswers": lambda d: coco.polychoric(
        d.assign(y0=d.y0.where(d.index < 700), y1=d.y1.where(d.index >= 700)), list(d.columns)
    ),
    "Dependency": lambda d: ordinal_moments(
        d.assign(x=d.y0 * 2.0, z=d.y0 + 1.0).astype(float), ["y1", "y2"], ["x", "z"]
    ),
    "Separation": lambda d: ordinal_moments(d.assign(x=d.y0 * 2.0).astype(float), list(d), ["x"]),  # case 57
}


@pytest.mark.parametrize("code", FAULTS)
def test_cases_42_to_44_and_55_are_named(code, simulated):
    with pytest.raises(CocoError) as caught:
        FAULTS[code](simulated)
    assert caught.value.code == code


def test_case_44_names_category_item_and_group(simulated):
    with pytest.raises(CocoError, match=r"group 'DK'.*category 4 of 'y0'"):
        FAULTS["EmptyCategory"](simulated)


def test_case_46_a_duplicate_item_is_named(simulated):
    found = coco.polychoric(simulated.assign(again=simulated.y0))
    reasons = {d.code: d.reason for d in found.diagnostics}
    assert "y0 and again" in reasons["PerfectCorrelation"]


def test_case_47_a_matrix_that_is_none_is_named_and_smoothed_only_when_asked():
    rng = np.random.default_rng(4)
    small = pd.DataFrame(rng.integers(0, 2, size=(14, 8)), columns=list("abcdefgh"))
    left, asked = coco.polychoric(small), coco.polychoric(small, smooth=True)
    assert "NotPositiveDefinite" in {d.code for d in left.diagnostics}
    assert not left.smoothed
    assert asked.smoothed
    assert np.linalg.eigvalsh(asked.correlations)[0] > 0 > np.linalg.eigvalsh(left.correlations)[0]


def test_the_quick_matrix_is_the_same(simulated):
    np.testing.assert_allclose(polychoric_matrix(simulated.to_numpy(float)), coco.polychoric(simulated).correlations)


def test_smoothing_leaves_a_good_matrix_alone(simulated):
    matrix = coco.polychoric(simulated).correlations.to_numpy()
    np.testing.assert_allclose(smoothed(matrix), matrix, atol=1e-12)


def test_the_result_shows_itself(simulated):
    found = coco.polychoric(
        simulated.assign(z=np.random.default_rng(0).normal(size=len(simulated))), ordered=list(simulated)
    )
    assert set(found.tidy().kind) == {"polychoric", "polyserial"}
    assert found.glance().loc[0, "positive_definite"]
    assert "y0" in repr(found)
    assert found._repr_html_().startswith("<h4>")
