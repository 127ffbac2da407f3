"""KMO, Bartlett, MAP and parallel analysis against psych 2.2.9 (tests/reference/exploration.R)."""

import numpy as np
import pandas as pd
import pytest

import cocoanalysis as coco
from cocoanalysis.errors import ModelError
from cocoanalysis.measurement import retention
from tests.measurement.reference import table, values

PSYCH = values("exploration")


@pytest.fixture(scope="module")
def bfi():
    return table("bfi25_complete")


def test_kmo_agrees_with_psych(bfi):
    found = coco.kmo(bfi)
    assert found.overall == pytest.approx(PSYCH["bfi"]["kmo"], abs=1e-8)
    np.testing.assert_allclose(found.items, PSYCH["bfi"]["msa"], atol=1e-8)
    assert found.word == "meritorious"


def test_bartlett_agrees_with_psych(bfi):
    found = coco.bartlett(bfi)
    assert found.chi2 == pytest.approx(PSYCH["bfi"]["bartlett"], abs=1e-6)
    assert found.df == 300


def test_map_agrees_with_psych(bfi):
    found = coco.velicer_map(bfi)
    np.testing.assert_allclose(found.map[:8], PSYCH["bfi"]["map"], atol=1e-8)
    assert found.n_components == 5


def test_parallel_analysis_agrees_with_psych(bfi):
    """Observed eigenvalues exactly; simulated ones within Monte Carlo error (psych: 400 replicates)."""
    found, psych = coco.parallel_analysis(bfi, seed=1, replicates=400, quantile=None), PSYCH["parallel"]
    shown = found.tidy()
    np.testing.assert_allclose(shown["components"], psych["pc_values"], atol=1e-8)
    np.testing.assert_allclose(shown["factors"], psych["fa_values"], atol=1e-6)
    np.testing.assert_allclose(shown["components_simulated"], psych["pc_sim"], atol=0.004)
    # the first random factor is heavy-tailed (Heywood cases in random data), so its mean is known less well
    np.testing.assert_allclose(shown["factors_simulated"][1:], psych["fa_sim"][1:], atol=0.004)
    assert shown["factors_simulated"][0] == pytest.approx(psych["fa_sim"][0], abs=0.025)
    strict = coco.parallel_analysis(bfi, seed=1)
    assert (strict.n_components, strict.n_factors) == (psych["ncomp"], psych["nfact"])


def test_permuted_answers_and_wishart_matrices_say_the_same(bfi):
    part = bfi.iloc[:400, :10]
    normal = coco.parallel_analysis(part, replicates=200, quantile=None).tidy()
    permuted = coco.parallel_analysis(part, replicates=200, quantile=None, simulated="permutation").tidy()
    np.testing.assert_allclose(normal["components_simulated"], permuted["components_simulated"], atol=0.02)


def test_wishart_correlations_are_distributed_as_those_of_data():
    rng = np.random.default_rng(4)
    drawn = retention.wishart_correlations(50, 3, 20_000, rng)
    data = retention.complete_correlations(rng.standard_normal((20_000, 50, 3)))
    for power in (1, 2, 4):
        left, right = (drawn[:, 0, 1] ** power).mean(), (data[:, 0, 1] ** power).mean()
        assert left == pytest.approx(right, abs=5 * 0.14**power / np.sqrt(20_000) * 2)


@pytest.mark.parametrize("method", [coco.kmo, coco.bartlett, coco.velicer_map, coco.retention, coco.parallel_analysis])
def test_a_matrix_with_n_gives_what_the_answers_give(bfi, method):
    matrix = bfi.corr()
    left, right = method(bfi).glance(), method(matrix, n=len(bfi)).glance()
    numbers = left.select_dtypes("number").columns
    np.testing.assert_allclose(left[numbers].to_numpy(float), right[numbers].to_numpy(float), rtol=1e-8)


def test_same_seed_same_answer(bfi):
    first, again = (coco.parallel_analysis(bfi, seed=9, replicates=20).tidy() for _ in range(2))
    pd.testing.assert_frame_equal(first, again)


def test_retention_shows_every_criterion(bfi):
    shown = coco.retention(bfi, replicates=20).tidy()
    assert list(shown["suggests"][1:]) == [5, 5, 5, 6]
    assert "n_factors" not in repr(coco.retention(bfi, replicates=20))


def test_bartlett_of_a_bare_matrix_asks_for_n(bfi):
    with pytest.raises(ModelError, match="n=") as error:
        coco.bartlett(bfi.corr())
    assert error.value.code == "MissingN"


def test_heywood_cases_in_random_data_are_told():
    """Five pairs of items: psych's rule keeps no common factor, because the first random one is inflated."""
    rng = np.random.default_rng(0)
    loadings = np.kron(np.eye(5), np.full((2, 1), 0.6))
    data = pd.DataFrame(rng.normal(size=(2000, 5)) @ loadings.T + 0.8 * rng.normal(size=(2000, 10))).rename(columns=str)
    found = coco.parallel_analysis(data)
    assert (found.n_factors, found.n_components) == (0, 5)
    assert "Heywood" in found.notes()[-1]
