"""Ceilings against a hand-worked example and a brute-force polygon; the permutation test's error rate."""

import numpy as np
import pandas as pd
import pytest

import cocoanalysis as coco
from cocoanalysis.propositions.necessity import ce_fdh, cr_fdh, permuted


def test_worked_example():
    # corners (0, 0), (2, 3), (4, 4); the point (3, 1) is inside. Scope 4 × 4.
    x, y = np.array([0.0, 2.0, 3.0, 4.0]), np.array([0.0, 3.0, 1.0, 4.0])
    assert ce_fdh(x, y[None])[0] == pytest.approx((2 * 4 + 2 * 1) / 16)
    # least squares through the corners: y = 1/3 + x, above it in the scope up to y = 4
    assert cr_fdh(x, y[None])[0] == pytest.approx(((4 - 1 / 3) ** 2 / 2) / 16)


def brute(x, y, cells=1500):
    """Shares of a fine grid over the scope: above the step, and above the line through the corners."""
    corners, best = [], -np.inf
    for value in np.unique(x):
        high = y[x == value].max()
        if high > best:
            corners += [(value, high)] * int(((x == value) & (y == high)).sum())
            best = high
    slope, intercept = np.polyfit(*np.array(corners).T, 1)
    grid = x.min() + (np.arange(cells) + 0.5) / cells * np.ptp(x)
    step = np.array([y[x <= g].max() for g in grid])
    line = np.clip(intercept + slope * grid, y.min(), y.max())
    return (y.max() - step).mean() / np.ptp(y), (y.max() - line).mean() / np.ptp(y)


@pytest.mark.parametrize("seed", range(6))
def test_sizes_are_those_of_a_grid(seed):
    random = np.random.default_rng(seed)
    x = random.integers(1, 8, 60) if seed % 2 else random.normal(size=60)
    y = random.uniform(size=60) * (1 + x - x.min())
    y = np.round(y, 1 if seed % 3 else 3)
    step, line = brute(x.astype(float), y)
    assert ce_fdh(x.astype(float), y[None])[0] == pytest.approx(step, abs=2e-3)
    assert cr_fdh(x.astype(float), y[None])[0] == pytest.approx(line, abs=2e-3)


def test_no_corner_is_no_necessity():
    x, y = np.array([0.0, 1.0, 2.0]), np.array([5.0, 1.0, 2.0])
    assert ce_fdh(x, y[None])[0] == 0
    assert cr_fdh(x, y[None])[0] == 0


def test_p_is_uniform_without_necessity_and_inside_clusters():
    random = np.random.default_rng(3)
    codes = np.repeat(np.arange(10), 8)
    ps = []
    for _ in range(120):
        shift = random.normal(size=10)[codes] * 2  # clusters differ in both: permuting across them would be wrong
        x, y = shift + random.normal(size=80), shift + random.normal(size=80)
        ps.append(permuted(x, y, codes, 99, random, "ce_fdh"))
    assert np.mean(np.array(ps) <= 0.05) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 120)
    assert 0.35 < np.mean(ps) < 0.68


def test_a_planted_ceiling_is_found(climate):
    random = np.random.default_rng(4)
    x = random.uniform(size=300)
    data = pd.DataFrame({"x": x, "y": random.uniform(size=300) * x, "z": random.uniform(size=300)})
    fit = coco.necessity(data, outcome="y", predictors=["x", "z"], draws=499)
    table = fit.tidy().set_index(["predictor", "ceiling"])
    assert table.loc[("x", "ce_fdh"), "d"] > 0.3
    assert table.loc[("x", "ce_fdh"), "p_value"] < 0.01 < table.loc[("z", "ce_fdh"), "p_value"]
    assert fit.bottleneck([0, 50, 100])["x"].iloc[2] > fit.bottleneck([0, 50, 100])["x"].iloc[1] > 30
    assert np.isnan(fit.bottleneck([0])["x"].iloc[0])
    assert "Exploratory" in repr(fit)


def test_requests_that_cannot_be_met(climate):
    with pytest.raises(coco.CocoError) as caught:
        coco.necessity(climate.assign(one=1.0), outcome="HOSTILE", predictors="one")
    assert caught.value.code == "ConstantVariable"
