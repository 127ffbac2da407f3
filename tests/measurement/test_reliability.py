"""Reliability against psych 2.2.9, semTools 0.5-6 and lavaan 0.6-14 (tests/reference/exploration.R)."""

from pathlib import Path

import numpy as np
import pandas as pd
import pingouin
import pytest

import cocoanalysis as coco
from cocoanalysis.errors import ModelError
from cocoanalysis.measurement import resampling
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


@pytest.mark.parametrize("gaps", [0, 0.15])
def test_resampled_covariances_are_those_of_the_drawn_rows(gaps):
    rng = np.random.default_rng(5)
    values_ = rng.normal(size=(40, 3))
    values_[rng.random((40, 3)) < gaps] = np.nan
    weights = resampling.draws(None, 40, None, 5, seed=2)
    for covariance, weight in zip(resampling.resampled_covariances(values_, weights), weights):
        wanted = pd.DataFrame(np.repeat(values_, weight.astype(int), axis=0)).cov()
        np.testing.assert_allclose(covariance, wanted, atol=1e-12)


def test_whole_clusters_are_drawn():
    data = pd.DataFrame({"team": np.repeat(["a", "b", "c"], [2, 3, 4])})
    weights = resampling.draws(data, 9, "team", 50, seed=0)
    assert (weights[:, [0, 2, 5]] == weights[:, [1, 4, 8]]).all()
    assert (weights[:, [0, 2, 5]].sum(axis=1) == 3).all()


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


@pytest.mark.parametrize(("method", "key"), [("implied", "implied"), ("observed", "observed")])
def test_other_denominators_agree_with_semtools(keyed, scales, method, key):
    shown = coco.reliability(keyed, scales, method=method).tidy().set_index("scale")
    for name, wanted in PSYCH["one_factor"].items():
        assert shown.loc[name, "omega_total"] == pytest.approx(wanted[key], abs=1e-5)


def test_psych_omega(keyed, scales):
    found = coco.reliability(keyed, {"N": scales["N"]}, method="psych").tidy()
    assert found["omega_total"][0] == pytest.approx(PSYCH["omega"]["n_one"], abs=1e-5)
    assert np.isnan(found["omega_lower"][0])


def test_long_scales_have_omega_hierarchical():
    hs1939 = table("lavaan_HolzingerSwineford1939")[[f"x{i}" for i in range(1, 10)]]
    row = coco.reliability(hs1939).tidy().iloc[0]
    assert row["omega_hierarchical"] == pytest.approx(PSYCH["omega"]["hs"]["h"], abs=1e-4)


@pytest.mark.parametrize("scale", "ACENO")
def test_ordinal_omega_agrees_with_semtools(keyed, scales, scale):
    """Green & Yang (2009) with observed and implied variance, and of the latent responses."""
    wanted = PSYCH["one_factor"][scale]
    observed = coco.ordinal_reliability(keyed, {scale: scales[scale]}, denominator="observed").tidy().iloc[0]
    implied = coco.ordinal_reliability(keyed, {scale: scales[scale]}).tidy().iloc[0]
    assert observed["omega_ordinal"] == pytest.approx(wanted["ordinal"], abs=1e-6)
    assert implied["omega_ordinal"] == pytest.approx(wanted["ordinal_implied"], abs=1e-6)
    assert observed["omega_latent"] == pytest.approx(wanted["latent"], abs=1e-6)


def test_ordinal_alpha_is_alpha_of_the_polychorics(keyed, scales):
    row = coco.ordinal_reliability(keyed, {"A": scales["A"]}, bootstrap=20).tidy().iloc[0]
    matrix = coco.polychoric(keyed[scales["A"]]).correlations.to_numpy()
    off = matrix[np.triu_indices(5, 1)].mean()
    assert row["alpha_ordinal"] == pytest.approx(5 * off / (1 + 4 * off))
    assert row["omega_lower"] < row["omega_ordinal"] < row["omega_upper"]


def test_ordinal_scales_of_two_items_are_left_out_with_a_reason(keyed, scales):
    found = coco.ordinal_reliability(keyed, {"pair": ["N1", "N2"], "A": scales["A"]})
    assert found.tidy()["scale"].tolist() == ["A"]
    assert "pair" in found.notes()[0]


def test_split_half_agrees_with_psych():
    """psych visits half of the splits of an odd number of items, so only the even scale is compared throughout."""
    hs1939 = table("lavaan_HolzingerSwineford1939")[[f"x{i}" for i in range(1, 9)]]
    row = coco.split_half(hs1939, standardized=True).tidy().iloc[0]
    wanted = PSYCH["split_even"]
    assert [row["maximum"], row["minimum"], row["mean"]] == pytest.approx(
        [wanted["max"], wanted["min"], wanted["mean"]], abs=1e-10
    )
    assert row["splits"] == 35


def test_the_mean_of_all_halves_is_alpha(keyed, scales):
    data = keyed[scales["A"][:4]]
    row = coco.split_half(data).tidy().iloc[0]
    assert row["mean"] == pytest.approx(pingouin.cronbach_alpha(data)[0])


def test_many_splits_are_sampled(keyed):
    row = coco.split_half(keyed, limit=500).tidy().iloc[0]
    assert row["splits"] == 500
    assert row["minimum"] < row["odd_even"] < row["maximum"] + 0.1


def test_case_71_failed_bootstrap_samples_are_counted():
    values_ = np.r_[np.linspace(0.4, 0.6, 98), np.nan, np.nan]
    assert resampling.percentiles(values_, 0.95, "x")[2][0].code == "BootstrapFailures"
    lower, upper, notes = resampling.percentiles(np.r_[values_, [np.nan] * 10], 0.95, "x")
    assert np.isnan([lower, upper]).all()
    assert "left empty" in notes[0].reason


def test_missing_answers_as_psych_and_lavaan(keyed):
    """alpha over pairs (psych), omega and its error by FIML (lavaan)."""
    row = coco.reliability(table("neuroticism_missing")).tidy().iloc[0]
    assert row["alpha"] == pytest.approx(PSYCH["alpha_missing"], abs=1e-9)
    assert row["omega_total"] == pytest.approx(PSYCH["fiml"]["est"], abs=1e-6)
    reach = (row["omega_upper"] - row["omega_lower"]) / 2 / 1.959963984540054
    assert reach == pytest.approx(PSYCH["fiml"]["se"], rel=1e-4)


def test_a_long_scale_without_omega_hierarchical_says_why():
    lead = pd.read_csv(Path(__file__).parents[2] / "surveys" / "unit-climate" / "responses.csv").filter(regex="^lead")
    found = coco.reliability(lead)
    assert np.isnan(found.tidy()["omega_hierarchical"][0])
    assert "NoHierarchy" in {d.code for d in found.diagnostics}


def test_lq2002_alphas():
    """The published pipeline values of the real survey, from R."""
    data = pd.read_csv(Path(__file__).parents[2] / "surveys" / "unit-climate" / "responses.csv")
    groups = {stem: list(data.filter(regex=rf"^{stem}\d").columns) for stem in ("lead", "tsig", "host")}
    found = coco.reliability(data, groups).tidy()["alpha"]
    np.testing.assert_allclose(found, [0.902237, 0.823141, 0.872924], atol=5e-7)


def test_bootstrap_of_a_rare_answer_does_not_break():
    """An item that few people answer differently is constant in some samples: counted, never a number."""
    rng = np.random.default_rng(2)
    data = pd.DataFrame(rng.integers(1, 4, (40, 4)).astype(float), columns=list("abcd"))
    data["d"] = np.where(np.arange(40) == 0, 2.0, 1.0)
    found = coco.reliability(data, interval="bootstrap", bootstrap=100)
    assert "BootstrapFailures" in {d.code for d in found.diagnostics}
    scales = {"x": ["a", "b"], "y": ["c", "d"]}
    assert "BootstrapFailures" in {d.code for d in coco.htmt(data, scales, bootstrap=100).diagnostics}
    ordinal = coco.ordinal_reliability(data, bootstrap=20)
    assert len(ordinal.tidy()) == 1


def test_case_46_a_repeated_item_leaves_omega_empty_and_is_named(keyed, scales):
    data = keyed[scales["A"][:3]].assign(again=keyed["A2"])
    found = coco.reliability(data)
    assert found.tidy()["alpha"].notna().all()
    assert found.tidy()["omega_total"].isna().all()
    fault = next(d for d in found.diagnostics if d.code == "Dependency")
    assert "A2 = again" in fault.reason


def test_items_that_nobody_answered_together_are_refused():
    data = pd.DataFrame({"a": [1.0, 2, 3, np.nan, np.nan, np.nan], "b": [np.nan, np.nan, np.nan, 1, 2, 3]})
    with pytest.raises(ModelError) as error:
        coco.reliability(data)
    assert error.value.code == "TooFewRows"
