"""Every registered rotation: gradient, invariance, permutation, simple structure, and GPArotation's values."""

import numpy as np
import pytest

from cocoanalysis.errors import ModelError
from cocoanalysis.measurement.rotations import ROTATIONS, in_order, rotate
from tests.measurement.reference import matched, table, values

GPA = values("rotations")  # GPArotation 2022.10-2 and stats, tests/reference/rotations.R
CASES = {
    "varimax": ("varimax", None, {}),
    "varimax_raw": ("varimax", False, {}),
    "quartimax": ("quartimax", None, {}),
    "oblimin_gamma_0": ("oblimin", None, {}),
    "oblimin_gamma_-0.5": ("oblimin", None, {"gamma": -0.5}),
    "oblimin_kaiser": ("oblimin", True, {}),
    "quartimin": ("quartimin", None, {}),
    "geomin_oblique_0.01": ("geomin", None, {}),
    "crawford_ferguson_oblique_1_over_p": ("cf", None, {}),
    "bifactor_oblique": ("bifactor", None, {}),
    "promax_kaiser_m4": ("promax", None, {}),
}
SIMPLE = np.kron(np.eye(3), np.array([[0.8], [0.7], [0.6], [0.5]]))


def options(name, shape=(12, 3)):
    if name != "target":
        return {}
    wanted = np.where(SIMPLE > 0, np.nan, 0.0) if shape == SIMPLE.shape else np.zeros(shape)
    return {"target": wanted}


def loadings(seed=0, shape=(12, 3)):
    return np.random.default_rng(seed).normal(scale=0.4, size=shape)


@pytest.mark.parametrize("extraction", ["minres", "ml"])
@pytest.mark.parametrize("key", CASES)
def test_agrees_with_gparotation(extraction, key):
    name, kaiser, settings = CASES[key]
    unrotated = table(f"efa_{extraction}_none", index_col=0).to_numpy()
    found, wanted = rotate(unrotated, name, kaiser=kaiser, options=settings), GPA[extraction][key]
    phi = np.eye(5) if wanted["phi"] is None else wanted["phi"]
    assert found.converged
    off, off_phi = matched(found.loadings, found.correlations, wanted["loadings"], phi)
    assert off < 1e-5
    assert off_phi < 1e-5


def test_equamax_target_and_orthogonal_geomin_agree_with_gparotation():
    """GPArotation 2022.10-2 from the unrotated position (exploration.R); ours may find better minima."""
    unrotated, theirs = table("efa_minres_none", index_col=0).to_numpy(), values("exploration")["gpa"]
    equamax = rotate(unrotated, "equamax")
    assert matched(equamax.loadings, np.eye(5), theirs["equamax"], np.eye(5))[0] < 1e-5
    wanted = np.array([[np.nan if cell is None else cell for cell in row] for row in theirs["wanted"]], dtype=float)
    target = rotate(unrotated, "target", options={"target": wanted})
    assert target.criterion <= theirs["target"]["value"] + 1e-8
    geomin = rotate(unrotated, "geomin", options={"oblique": False})
    assert geomin.criterion <= theirs["geomin_orthogonal"]["value"] + 1e-8
    for found, known in ((target, theirs["target"]), (geomin, theirs["geomin_orthogonal"])):
        if found.criterion > known["value"] - 1e-8:
            phi = known.get("phi", np.eye(5))
            assert max(matched(found.loadings, found.correlations, known["loadings"], phi)) < 1e-5


@pytest.mark.parametrize("name", ROTATIONS)
def test_gradient_equals_finite_differences(name):
    point, settings, h = loadings(), options(name), 1e-6
    gradient = ROTATIONS[name].criterion(point.copy(), **settings)[1]
    numeric = np.empty_like(point)
    for cell in np.ndindex(point.shape):
        step = np.zeros_like(point)
        step[cell] = h
        up, down = (ROTATIONS[name].criterion(point + s * step, **settings)[0] for s in (1, -1))
        numeric[cell] = (up - down) / (2 * h)
    np.testing.assert_allclose(gradient, numeric, atol=1e-7)


@pytest.mark.parametrize("name", ROTATIONS)
def test_a_stack_is_rotated_as_its_members(name):
    stack, settings = np.stack([loadings(1), loadings(2)]), options(name)
    value, gradient = ROTATIONS[name].criterion(stack.copy(), **settings)
    for i in range(2):
        one = ROTATIONS[name].criterion(stack[i].copy(), **settings)
        np.testing.assert_allclose(value[i], one[0])
        np.testing.assert_allclose(gradient[i], one[1])


@pytest.mark.parametrize("oblique", [None, False])
@pytest.mark.parametrize("kaiser", [False, True])
@pytest.mark.parametrize("name", ROTATIONS)
def test_reproduced_correlations_stay(name, kaiser, oblique):
    unrotated = loadings(3)
    settings = options(name) | ({} if oblique is None else {"oblique": oblique})
    found = rotate(unrotated, name, kaiser=kaiser, options=settings, starts=3)
    for turned, phi in [(found.loadings, found.correlations), in_order(found.loadings, found.correlations)]:
        np.testing.assert_allclose(turned @ phi @ turned.T, unrotated @ unrotated.T, atol=1e-10)
        np.testing.assert_allclose(np.diag(phi), 1, atol=1e-12)


@pytest.mark.parametrize("name", ROTATIONS)
def test_permuted_items_permute_the_loadings(name):
    rng = np.random.default_rng(5)
    unrotated = SIMPLE @ np.linalg.qr(rng.normal(size=(3, 3))).Q + rng.normal(scale=0.03, size=SIMPLE.shape)
    order, settings = rng.permutation(12), options(name)
    moved = {"target": settings["target"][order]} if settings else {}
    first = rotate(unrotated, name, options=settings, starts=4)
    second = rotate(unrotated[order], name, options=moved, starts=4)
    off, off_phi = matched(second.loadings, second.correlations, first.loadings[order], first.correlations)
    assert max(off, off_phi) < 1e-5


@pytest.mark.parametrize("name", [n for n in ROTATIONS if n != "bifactor"])
def test_simple_structure_is_recovered(name):
    turn = np.linalg.qr(np.random.default_rng(6).normal(size=(3, 3))).Q
    found = rotate(SIMPLE @ turn, name, options=options(name))
    off, off_phi = matched(found.loadings, found.correlations, SIMPLE, np.eye(3))
    assert max(off, off_phi) < 1e-4


@pytest.mark.parametrize("name", [n for n, r in ROTATIONS.items() if r.oblique and n not in ("bifactor", "promax")])
def test_simple_structure_with_correlated_factors_is_recovered(name):
    phi = np.array([[1, 0.4, 0.2], [0.4, 1, 0.3], [0.2, 0.3, 1]])
    unrotated = SIMPLE @ np.linalg.cholesky(phi) @ np.linalg.qr(np.random.default_rng(7).normal(size=(3, 3))).Q
    settings = {
        **options(name),
        **({"epsilon": 1e-6} if name == "geomin" else {}),
        **({"kappa": 0} if name == "cf" else {}),
    }
    found = rotate(unrotated, name, options=settings, starts=20)
    off, off_phi = matched(found.loadings, found.correlations, SIMPLE, phi)
    assert max(off, off_phi) < 1e-3


def test_a_bifactor_structure_is_recovered():
    groups = np.kron(np.eye(3), np.array([[0.5], [0.4], [0.45], [0.55]]))
    general = np.full((12, 1), 0.6) + np.linspace(-0.1, 0.1, 12)[:, None]
    wanted = np.hstack([general, groups])
    turn = np.linalg.qr(np.random.default_rng(8).normal(size=(4, 4))).Q
    found = rotate(wanted @ turn, "bifactor", starts=30, options={"oblique": False})
    off, _ = matched(found.loadings, found.correlations, wanted, np.eye(4))
    assert off < 1e-3


def test_distinct_minima_are_counted():
    found = rotate(loadings(11, (10, 4)), "geomin", starts=20)
    assert found.starts == 20
    assert found.minima > 1
    assert 1 <= found.agreeing < 20


@pytest.mark.parametrize(
    ("name", "settings", "code"),
    [
        ("varimaxx", {}, "UnknownChoice"),
        ("oblimin", {"kappa": 1}, "UnknownOption"),
        ("varimax", {"oblique": True}, "NotOblique"),
        ("target", {}, "MissingTarget"),
        ("target", {"target": np.zeros((2, 2))}, "MissingTarget"),
    ],
)
def test_faults_are_named(name, settings, code):
    with pytest.raises(ModelError) as error:
        rotate(loadings(), name, options=settings)
    assert error.value.code == code
