"""Omega against psych 2.2.9 (tests/reference/exploration.R)."""

import numpy as np
import pandas as pd
import pytest

import cocoanalysis as coco
from cocoanalysis.errors import ModelError
from cocoanalysis.measurement.generalfactor import general_loadings, schmid_leiman
from tests.measurement.reference import table, values

PSYCH = values("exploration")
REVERSED = ["A1", "C4", "C5", "E1", "E2", "O2", "O5"]


def keyed():
    """bfi as psych's omega turns it round: by the published key, then N1–N5 and O4 towards the general factor."""
    data = table("bfi25_complete").copy()
    turned = [
        name for name, sign in zip(data.columns, PSYCH["omega"]["bfi"]["key"]) if (sign < 0) != (name in REVERSED)
    ]
    data[turned] = 7 - data[turned]
    return data


def thurstone():
    return np.array(PSYCH["thurstone"])


@pytest.mark.parametrize(("name", "data", "factors", "n"), [("bfi", keyed, 5, None), ("thurstone", thurstone, 3, 213)])
def test_omega_agrees_with_psych(name, data, factors, n):
    found, wanted = coco.omega(data(), factors=factors, n=n), PSYCH["omega"][name]
    for mine, theirs in (
        ("omega_h", "h"),
        ("omega_total", "total"),
        ("omega_lim", "lim"),
        ("g6", "g6"),
        ("alpha", "alpha"),
    ):
        assert getattr(found, mine) == pytest.approx(wanted[theirs], abs=1e-5)
    assert found.ecv == pytest.approx(wanted["ecv"], abs=1e-5)
    np.testing.assert_allclose(found.factors.iloc[:, 2:], wanted["group"], atol=1e-4)
    schmid = np.array(wanted["schmid"])
    np.testing.assert_allclose(found.loadings["g"], schmid[:, 0], atol=1e-4)
    np.testing.assert_allclose(found.loadings[["h2", "u2", "p2"]], schmid[:, -3:], atol=2e-4)


def test_one_factor_has_omega_total_only():
    data = keyed()[[f"N{i}" for i in range(1, 6)]]
    found = coco.omega(data, factors=1)
    assert found.omega_total == pytest.approx(PSYCH["omega"]["n_one"], abs=1e-5)
    assert np.isnan(found.omega_h)
    assert "NoGeneralFactor" in {d.code for d in found.diagnostics}


def test_a_planted_bifactor_model_is_recovered():
    """Loadings that keep their proportions: the Schmid–Leiman solution is then exact."""
    group = np.kron(np.eye(3), np.full((4, 1), 0.7))
    second = np.array([0.8, 0.7, 0.6])
    phi = np.outer(second, second)
    np.fill_diagonal(phi, 1)
    matrix = group @ phi @ group.T
    np.fill_diagonal(matrix, 1)
    found = coco.omega(matrix, n=500)
    planted = schmid_leiman(group, second)
    assert found.omega_h == pytest.approx(planted[:, 0].sum() ** 2 / matrix.sum(), abs=1e-6)
    assert found.ecv == pytest.approx((planted[:, 0] ** 2).sum() / (planted**2).sum(), abs=1e-6)
    assert found.puc == pytest.approx(1 - 3 * 6 / 66)


def test_two_group_factors_say_what_they_assume():
    np.testing.assert_allclose(general_loadings(np.array([[1, 0.36], [0.36, 1]])), 0.6)
    with pytest.raises(ModelError, match="negatively"):
        general_loadings(np.array([[1, -0.2], [-0.2, 1]]))


def test_case_52_a_turned_item_is_named_and_stays():
    data = keyed()[[f"{s}{i}" for s in "ACE" for i in range(1, 6)]]
    found = coco.omega(data.assign(A2=7 - data["A2"]))
    assert "'A2'" in next(d.reason for d in found.diagnostics if d.code == "KeySuspect")
    assert found.loadings.loc["A2", "g"] < 0


def test_the_table_is_shown_with_its_meaning():
    found = coco.omega(pd.DataFrame(thurstone()), n=213)
    assert "ω hierarchical 0.736" in repr(found)
    assert found.glance()["factors"].item() == 3


def test_bifactor_omega_agrees_with_lavaan():
    """ω_h by semTools from lavaan's bifactor fit, ω_t and ECV by hand from the same fit."""
    data = table("bfi25_complete").copy()
    turned = [*REVERSED[:5], *(f"N{i}" for i in range(1, 6))]
    data[turned] = 7 - data[turned]
    groups = {scale: [f"{scale}{i}" for i in range(1, 6)] for scale in "ACEN"}
    found, wanted = coco.omega(data, method="bifactor", groups=groups), PSYCH["bifactor"]
    for name in ("omega_h", "omega_total", "ecv"):
        assert getattr(found, name) == pytest.approx(wanted[name], abs=1e-5)
    assert found.factors["factor"].tolist() == ["g", *groups]
    assert found.puc == pytest.approx(1 - 4 * 10 / 190)
    grouped = coco.omega(data, [i for m in groups.values() for i in m], factors=4, method="bifactor")
    assert grouped.omega_h == pytest.approx(found.omega_h, abs=1e-6)


def test_ordinal_bifactor_omega_is_near_the_continuous_one():
    data = keyed()[[f"{s}{i}" for s in "ACE" for i in range(1, 6)]]
    left = coco.omega(data, method="bifactor")
    right = coco.omega(data, method="bifactor", correlation="polychoric")
    assert left.omega_total == pytest.approx(right.omega_total, abs=0.03)
    assert right.settings["estimator"] == "wlsmv"


def test_items_in_two_groups_are_refused():
    with pytest.raises(ModelError, match="each item in one"):
        coco.omega(keyed(), method="bifactor", groups={"a": ["A1", "A2", "A3"], "b": ["A3", "C1", "C2"]})
