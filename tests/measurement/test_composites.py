"""Composite reliability, AVE and Fornell–Larcker against semTools 0.5-6 and lavaan (tests/reference/exploration.R)."""

import numpy as np
import pytest

import cocoanalysis as coco
from cocoanalysis.errors import ModelError
from tests.measurement.reference import table, values

WANTED = values("exploration")["composites"]
FIVE = {scale: [f"{scale}{i}" for i in range(1, 6)] for scale in "ACENO"}
MODEL = "\n".join(f"{scale} =~ {' + '.join(items)}" for scale, items in FIVE.items())


@pytest.fixture(scope="module")
def keyed():
    data = table("bfi25_complete").copy()
    turned = ["A1", "C4", "C5", "E1", "E2", "O2", "O5"]
    data[turned] = 7 - data[turned]
    return data


@pytest.fixture(scope="module")
def fit(keyed):
    return coco.cfa(keyed, MODEL)


def test_composite_reliability_agrees_with_semtools(fit):
    shown = coco.composite_reliability(fit).tidy().set_index("factor")
    for name in FIVE:
        assert shown.loc[name, "omega"] == pytest.approx(WANTED["omega"][name], abs=1e-5)
        assert shown.loc[name, "ave"] == pytest.approx(WANTED["ave"][name], abs=1e-5)


def test_a_fit_says_its_reliability(fit):
    np.testing.assert_array_equal(fit.reliability().tidy()["omega"], coco.composite_reliability(fit).tidy()["omega"])


def test_ordinal_composite_reliability_agrees_with_semtools(keyed):
    shown = coco.composite_reliability(coco.cfa(keyed, MODEL, ordered=True)).tidy().set_index("factor")
    for column, key in (("omega", "ordinal"), ("omega_latent", "latent"), ("ave", "ordinal_ave")):
        for name in FIVE:
            assert shown.loc[name, column] == pytest.approx(WANTED[key][name], abs=1e-5)


def test_fornell_larcker_agrees_with_lavaan(fit):
    found = coco.fornell_larcker(fit)
    loadings, phi = np.array(WANTED["standardized"][:25]).reshape(5, 5), np.array(WANTED["phi"])
    square = found.matrix().to_numpy()
    np.testing.assert_allclose(np.diag(square), (loadings**2).mean(axis=1), atol=1e-5)
    off = ~np.eye(5, dtype=bool)
    np.testing.assert_allclose(square[off], phi[off] ** 2, atol=1e-5)
    shown = found.tidy().set_index("factor")
    assert shown["holds"].to_dict() == {"A": False, "C": True, "E": False, "N": True, "O": True}
    assert shown.loc["A", "nearest"] == "E"


def test_groups_have_rows_of_their_own(keyed):
    data = keyed.head(800).assign(half=np.arange(800) % 2)
    shown = coco.composite_reliability(coco.cfa(data, "A =~ A1 + A2 + A3\nC =~ C1 + C2 + C3", group="half")).tidy()
    assert len(shown) == 4
    assert shown["group"].nunique() == 2


def test_marker_and_standardised_factors_say_the_same(keyed, fit):
    other = coco.composite_reliability(coco.cfa(keyed, MODEL, std_lv=True)).tidy()
    np.testing.assert_allclose(other["omega"], coco.composite_reliability(fit).tidy()["omega"], atol=1e-5)


@pytest.mark.parametrize(
    ("model", "code"),
    [("A1 ~~ A2", "NoFactors"), ("A =~ A1 + A2 + A3\nC =~ C1 + C2 + C3\nA ~ C", "StructuralModel")],
)
def test_models_without_free_factors_are_refused(keyed, model, code):
    with pytest.raises(ModelError) as error:
        coco.composite_reliability(coco.sem(keyed, model))
    assert error.value.code == code
