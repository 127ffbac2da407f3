"""Item analysis against psych 2.2.9 and pandas; keys are checked and never turned."""

import numpy as np
import pandas as pd
import pytest

import cocoanalysis as coco
from tests.measurement.reference import table, values

PSYCH = values("exploration")
AGREEABLE = ["A1", "A2", "A3", "A4", "A5"]


@pytest.fixture(scope="module")
def bfi():
    return table("bfi25_complete")


def test_item_rest_and_alpha_without_the_item_agree_with_psych(bfi):
    shown = coco.item_analysis(bfi, AGREEABLE).tidy()
    np.testing.assert_allclose(shown["item_rest"], PSYCH["alpha"]["rest"], atol=1e-8)
    np.testing.assert_allclose(shown["alpha_if_dropped"], PSYCH["alpha"]["dropped"], atol=1e-8)


def test_descriptives_agree_with_pandas(bfi):
    data = bfi[AGREEABLE].mask(np.random.default_rng(0).random((len(bfi), 5)) < 0.1)
    shown = coco.item_analysis(data).tidy().set_index("item")
    for name, method in [("mean", "mean"), ("sd", "std"), ("median", "median"), ("n", "count")]:
        np.testing.assert_allclose(shown[name], getattr(data, method)(), rtol=1e-12)
    np.testing.assert_allclose(shown["floor"], (data == 1).sum() / data.count())
    np.testing.assert_allclose(shown["missing"], data.isna().sum())


def test_category_use_counts_every_answer(bfi):
    counts = coco.item_analysis(bfi, AGREEABLE).categories()
    assert counts.groupby("item")["count"].sum().tolist() == [len(bfi)] * 5
    np.testing.assert_allclose(counts.groupby("item")["share"].sum(), 1)


def test_case_52_an_unreversed_item_is_named_and_not_reversed(bfi):
    found = coco.item_analysis(bfi, AGREEABLE)
    assert found.suspects == ["A1"]
    assert found.diagnostics[0].code == "KeySuspect"
    assert "A1" in "".join(found.notes())
    assert found.tidy()["mean"][0] == pytest.approx(bfi["A1"].mean())


def test_case_52_reliability_says_so_too(bfi):
    found = coco.reliability(bfi, scales={"A": AGREEABLE})
    assert [d.code for d in found.diagnostics] == ["KeySuspect"]
    assert "'A1'" in repr(found)


@pytest.mark.parametrize("turned", [["C4"], ["C1", "C2"], ["C2", "C5"]])
def test_turned_items_are_found(bfi, turned):
    data = bfi[["C1", "C2", "C3", "C4", "C5"]].assign(C4=7 - bfi["C4"], C5=7 - bfi["C5"])
    assert coco.item_analysis(data).suspects == []
    data = data.assign(**{name: 7 - data[name] for name in turned})
    assert coco.item_analysis(data).suspects == turned


def test_case_42_43_empty_and_constant_items_are_named(bfi):
    data = bfi[AGREEABLE].assign(A2=4.0, A3=np.nan)
    found = coco.item_analysis(data)
    assert {d.code for d in found.diagnostics} >= {"ConstantItem", "AllMissing"}
    assert np.isnan(found.tidy()["item_rest"][2])


def test_a_plain_frame_is_one_scale():
    data = pd.DataFrame({"a": [1, 2, 3, 4], "b": [2, 2, 4, 4]})
    assert coco.item_analysis(data).tidy()["scale"].tolist() == ["all items"] * 2


def one_factor(items, n=1000, seed=1):
    rng = np.random.default_rng(seed)
    latent = 0.6 * rng.normal(size=(n, 1)) + 0.8 * rng.normal(size=(n, items))
    return pd.DataFrame(np.clip(np.round(3 + latent), 1, 5), columns=[f"i{i}" for i in range(1, items + 1)])


def test_case_52_four_turned_items_of_fifteen():
    """Published statistics that only the key reproduces: items 1, 3, 7 and 14 of 15 have item–rest r of −.004 to .080,
    so that no sign of theirs gives them away (reverse_key_published.json, li_2024_spa)."""
    turned = ["i1", "i3", "i7", "i14"]
    data = one_factor(15)
    data[turned] = 6 - data[turned]
    found = coco.item_analysis(data)
    assert found.suspects == turned


def test_case_52_half_of_the_items_turned():
    """As li_2024_sad: 14 of 28. Which half is the right one only the wording tells; one of them is named."""
    data = one_factor(28)
    turned = [f"i{i}" for i in (2, 5, 8, 10, 11, 13, 14, 16, 18, 20, 21, 23, 24, 26)]
    data[turned] = 6 - data[turned]
    named = set(coco.item_analysis(data).suspects)
    assert named in (set(turned), set(data.columns) - set(turned))


def test_unrelated_items_are_not_accused():
    data = pd.DataFrame(np.random.default_rng(0).integers(1, 6, (400, 6))).rename(columns=str)
    assert len(coco.item_analysis(data).suspects) <= 1
