"""Reliability against psych 2.2.9, semTools 0.5-6 and lavaan 0.6-14 (tests/reference/exploration.R)."""

import numpy as np
import pandas as pd
import pingouin
import pytest

import cocoanalysis as coco
from cocoanalysis.errors import ModelError
from cocoanalysis.measurement import reliability as module
from tests.measurement.reference import table, values

PSYCH = values("exploration")
REVERSED = ["A1", "C4", "C5", "E1", "E2", "O2", "O5"]


@pytest.fixture(scope="module")
def keyed():
    bfi = table("bfi25_complete").copy()
    bfi[REVERSED] = 7 - bfi[REVERSED]
    return bfi


@pytest.fixture(scope="module")
def scales():
    return {scale: [f"{scale}{i}" for i in range(1, 6)] for scale in "ACENO"}


def test_alpha_and_its_interval_agree_with_psych(keyed, scales):
    row = coco.reliability(keyed, {"N": scales["N"]}).tidy().iloc[0]
    wanted = PSYCH["alpha_n"]
    assert [row["alpha"], row["alpha_lower"], row["alpha_upper"]] == pytest.approx(
        [wanted["alpha"], wanted["lower"], wanted["upper"]], abs=1e-8
    )


def test_alpha_interval_agrees_with_pingouin(keyed, scales):
    row = coco.reliability(keyed, {"A": scales["A"]}, level=0.9).tidy().iloc[0]
    alpha, interval = pingouin.cronbach_alpha(keyed[scales["A"]], ci=0.9)
    assert row["alpha"] == pytest.approx(alpha, abs=1e-12)
    assert [row["alpha_lower"], row["alpha_upper"]] == pytest.approx(list(interval), abs=6e-4)  # it rounds


def test_omega_and_ave_agree_with_lavaan_and_semtools(keyed, scales):
    shown = coco.reliability(keyed, scales).tidy().set_index("scale")
    for name, wanted in PSYCH["one_factor"].items():
        row = shown.loc[name]
        assert row["omega_total"] == pytest.approx(wanted["est"], abs=1e-6)
        assert row["ave"] == pytest.approx(wanted["ave"], abs=1e-5)
        reach = (row["omega_upper"] - row["omega_lower"]) / 2 / 1.959963984540054
        assert reach == pytest.approx(wanted["se"], rel=1e-4)


def test_the_table_has_the_promised_columns(keyed, scales):
    found = coco.reliability(keyed, scales)
    promised = (
        "scale n_items n alpha alpha_lower alpha_upper omega_total omega_lower omega_upper "
        "omega_hierarchical ave mean_item_rest"
    )
    assert list(found.tidy().columns) == promised.split()
    assert len(found.item_table()) == 25


def test_bootstrap_interval_is_near_the_exact_one(keyed, scales):
    exact = coco.reliability(keyed, {"A": scales["A"]}).tidy().iloc[0]
    drawn = coco.reliability(keyed, {"A": scales["A"]}, interval="bootstrap", bootstrap=400).tidy().iloc[0]
    for name in ("alpha_lower", "alpha_upper", "omega_lower", "omega_upper"):
        assert drawn[name] == pytest.approx(exact[name], abs=0.01)


def test_resampled_covariances_are_those_of_the_drawn_rows():
    rng = np.random.default_rng(5)
    values_ = rng.normal(size=(40, 3))
    values_[rng.random((40, 3)) < 0.15] = np.nan
    drawn = module.resampled_covariances(values_, 5, seed=2)
    weights = np.random.default_rng(2).multinomial(40, np.full(40, 1 / 40), size=5)
    for covariance, weight in zip(drawn, weights):
        wanted = pd.DataFrame(np.repeat(values_, weight, axis=0)).cov()
        np.testing.assert_allclose(covariance, wanted, atol=1e-12)


def test_two_items_have_alpha_and_a_reason_for_no_omega(keyed):
    found = coco.reliability(keyed, {"pair": ["N1", "N2"]})
    assert np.isnan(found.tidy()["omega_total"][0])
    assert found.diagnostics[0].code == "NotIdentified"


def test_a_heywood_case_leaves_omega_without_an_interval():
    rng = np.random.default_rng(0)
    factor = rng.normal(size=200)
    data = pd.DataFrame(
        {"a": factor, "b": factor * 0.5 + rng.normal(size=200), "c": 0.1 * factor + rng.normal(size=200)}
    )
    found = coco.reliability(data.assign(d=factor + 0.02 * rng.normal(size=200)))
    assert "Heywood" in {d.code for d in found.diagnostics}
    assert np.isnan(found.tidy()["omega_lower"][0])


@pytest.mark.parametrize(("change", "code"), [({"N1": 3.0}, "ConstantItem"), ({"N1": np.nan}, "AllMissing")])
def test_case_42_43_broken_items_are_refused(keyed, scales, change, code):
    with pytest.raises(ModelError, match="N1") as error:
        coco.reliability(keyed.assign(**change), {"N": scales["N"]})
    assert error.value.code == code
