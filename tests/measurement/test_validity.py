"""HTMT against semTools 0.5-6 (tests/reference/exploration.R), and its properties."""

import numpy as np
import pandas as pd
import pytest

import cocoanalysis as coco
from cocoanalysis.errors import ModelError
from cocoanalysis.measurement.validity import ratios
from tests.measurement.reference import table, values

SCALES = {scale: [f"{scale}{i}" for i in range(1, 6)] for scale in "ACENO"}
HS = values("exploration")["hs"]


@pytest.fixture(scope="module")
def bfi():
    return table("bfi25_complete")


@pytest.mark.parametrize("method", ["htmt", "htmt2"])
def test_htmt_agrees_with_semtools(method):
    hs1939 = table("lavaan_HolzingerSwineford1939")
    scales = {"visual": ["x1", "x2", "x3"], "textual": ["x4", "x5", "x6"], "speed": ["x7", "x8", "x9"]}
    np.testing.assert_allclose(coco.htmt(hs1939, scales, method=method).matrix(), HS[method], atol=1e-10)


@pytest.mark.parametrize("method", ["htmt", "htmt2"])
def test_parallel_items_give_the_correlation_of_the_factors(method):
    group, phi = np.kron(np.eye(2), np.full((3, 1), 0.7)), np.array([[1, 0.6], [0.6, 1]])
    matrix = group @ phi @ group.T
    np.fill_diagonal(matrix, 1)
    found = ratios(matrix[None], [slice(0, 3), slice(3, 6)], method)
    assert found[0, 0] == pytest.approx(0.6)


def test_htmt2_finds_the_correlation_also_with_unequal_loadings():
    group = np.array([[0.9, 0], [0.6, 0], [0.4, 0], [0, 0.8], [0, 0.7], [0, 0.3]])
    matrix = group @ np.array([[1, 0.6], [0.6, 1]]) @ group.T
    np.fill_diagonal(matrix, 1)
    assert ratios(matrix[None], [slice(0, 3), slice(3, 6)], "htmt2")[0, 0] == pytest.approx(0.6)


def test_bootstrap_interval_covers_the_estimate_and_clusters_widen_it(bfi):
    data = bfi.head(600).assign(team=np.arange(600) // 20)
    people = coco.htmt(data, {k: SCALES[k] for k in "ACE"}, bootstrap=200).tidy()
    assert ((people["lower"] < people["htmt"]) & (people["htmt"] < people["upper"])).all()
    again = coco.htmt(data, {k: SCALES[k] for k in "ACE"}, bootstrap=200).tidy()
    pd.testing.assert_frame_equal(people, again)
    teams = coco.htmt(data, {k: SCALES[k] for k in "ACE"}, bootstrap=200, cluster="team").tidy()
    assert not teams["lower"].equals(people["lower"])


def test_polychoric_htmt(bfi):
    found = coco.htmt(bfi, SCALES, correlation="polychoric").tidy()
    plain = coco.htmt(bfi, SCALES).tidy()
    assert np.abs(found["htmt"] - plain["htmt"]).max() < 0.05
    drawn = coco.htmt(bfi.head(300), {k: SCALES[k] for k in "AC"}, correlation="polychoric", bootstrap=10).tidy()
    assert drawn["lower"].notna().all()


@pytest.mark.parametrize(
    ("scales", "code"),
    [({"A": ["A1", "A2"]}, "TooFewScales"), ({"A": ["A1", "A2"], "B": ["A2", "A3"]}, "OverlappingScales")],
)
def test_scales_that_cannot_be_compared_are_refused(bfi, scales, code):
    with pytest.raises(ModelError) as error:
        coco.htmt(bfi, scales)
    assert error.value.code == code
