"""The ladder against lavaan 0.6-14 and semTools 0.5-6 (reference/make_invariance.R), and properties."""

import numpy as np
import pandas as pd
import pytest

import cocoanalysis as coco
from cocoanalysis.errors import CocoError
from cocoanalysis.measurement.invariance import RULES
from tests.measurement import reference
from tests.shared import SHARED, needs_shared

CHI2, P = 2e-4, 1e-5
LADDERS = {
    "polytomous": {"steps": ("configural", "thresholds", "loadings", "intercepts")},
    "mixed_delta": {"steps": ("configural", "thresholds", "loadings", "intercepts")},
    "mixed_theta": {"steps": ("configural", "thresholds", "loadings", "intercepts", "residuals", "means")},
    "ml": {"steps": ("configural", "metric", "scalar", "strict")},
    "mlr": {"steps": ("configural", "metric", "scalar", "strict"), "estimator": "mlr"},
}


@pytest.fixture(scope="module")
def data():
    return reference.table("invariance_ordinal")


def climbed(name, data):
    want = reference.values("invariance")[name]
    return coco.invariance(data, want["model"], group="g", ordered=want.get("items"), **LADDERS[name])


@pytest.mark.parametrize("name", LADDERS)
def test_ladders_are_lavaans_and_semtools(name, data):
    want, ladder = reference.values("invariance")[name], climbed(name, data).tidy()
    for k, (row, fit) in enumerate(zip(ladder.itertuples(), want["steps"])):
        assert row.chi2 == pytest.approx(fit["chisq"], abs=CHI2)
        assert (row.df, row.n_parameters) == (fit["df"], fit["npar"])
        assert row.srmr == pytest.approx(fit["srmr"], abs=1e-5)
        kind = {"ml": "", "mlr": ".robust"}.get(name, ".scaled")
        assert row.cfi == pytest.approx(fit[f"cfi{kind}"], abs=1e-5)
        assert row.rmsea == pytest.approx(fit[f"rmsea{kind}"], abs=1e-5)
        if k:
            assert row.delta_df == want["df_diff"][k]
            assert row.delta_chi2 == pytest.approx(want["chisq_diff"][k], abs=2e-3)
            assert row.p_value == pytest.approx(want["p"][k], abs=1e-4)


def test_degrees_of_freedom_grow_as_wu_and_estabrook_say(data):
    for name in ("polytomous", "mixed_delta", "mixed_theta"):
        assert "UnexpectedDf" not in {d.code for d in climbed(name, data).diagnostics}


def test_ternary_items_make_equal_thresholds_a_rewriting_not_a_test(data):
    three = data.assign(**{f"u{k}": data[f"u{k}"].clip(2, 4) for k in (3, 5, 6, 7)})
    found = coco.invariance(
        three, "f =~ u3 + u5 + u6 + u7", group="g", ordered=True, steps=("configural", "thresholds")
    )
    row = found.tidy().iloc[1]
    assert row.delta_df == 0
    assert row.verdict.startswith("not testable")
    assert row.chi2 == pytest.approx(found.tidy().chi2[0], abs=1e-5)


def test_release_that_helps_most_is_lavaans_score_test(data):
    want, found = reference.values("invariance")["score"], climbed("ml", data)
    tests = found.fits["scalar"].modification_indices().query("released == 'tied' and group != 'two'")  # lavaan frees
    np.testing.assert_allclose(np.sort(tests.mi)[::-1][:6], want["largest"], atol=1e-3)  # no group but the later ones
    assert found.releases("scalar").chi2[0] >= tests.mi.max()


def test_partial_invariance_is_groups_fitted_with_that_release(data):
    model = reference.values("invariance")["ml"]["model"]
    ladder = coco.invariance(data, model, group="g", partial=("u3 ~ 1",)).tidy()
    plain = coco.cfa(data, model, group="g", group_equal=("loadings", "intercepts"), group_partial=("u3 ~ 1",))
    assert ladder.chi2[2] == pytest.approx(plain.glance().chi2[0], abs=1e-5)
    assert ladder.df[2] == plain.glance().df[0]


def test_order_of_items_and_groups_changes_nothing(data):
    one = coco.invariance(data, "f =~ u3 + u5 + u6 + u7 + u8", group="g").tidy()
    turned = data.iloc[::-1].reset_index(drop=True)
    two = coco.invariance(turned, "f =~ u8 + u6 + u3 + u7 + u5", group="g").tidy()
    np.testing.assert_allclose(one.chi2, two.chi2, atol=1e-5)


def test_means_build_on_the_steps_of_the_ladder(data):
    model = "f =~ u3 + u5 + u6 + u7 + u8"
    found = coco.invariance(data, model, group="g", steps=("configural", "metric", "scalar", "means")).tidy()
    equal = coco.cfa(data, model, group="g", group_equal=("loadings", "intercepts", "means"))
    assert found.chi2.iloc[-1] == pytest.approx(equal.glance().chi2[0], abs=1e-5)


def test_planted_difference_is_found_named_and_mended():
    rng = np.random.default_rng(7)
    factor, who = rng.normal(size=1200), np.repeat(["DK", "NO"], 600)
    frame = pd.DataFrame({f"x{k}": 0.8 * factor + 0.6 * rng.normal(size=1200) for k in range(1, 6)}).assign(who=who)
    frame.loc[who == "NO", "x2"] += 0.6
    found = coco.invariance(frame, "f =~ x1 + x2 + x3 + x4 + x5", group="who")
    assert found.tidy().verdict.tolist() == ["holds", "holds", "does not hold"]
    assert found.releases("scalar").parameter[0] == "x2 ~ 1"
    assert any("x2 ~ 1" in note for note in found.notes())
    assert found.holds("metric")
    assert not found.holds("scalar")
    assert found.glance().holds_through[0] == "metric"
    mended = coco.invariance(frame, "f =~ x1 + x2 + x3 + x4 + x5", group="who", partial=("x2 ~ 1",))
    assert mended.tidy().verdict.tolist() == ["holds"] * 3


@pytest.mark.parametrize("name", RULES)
def test_every_rule_set_gives_verdicts_and_its_source(name, data):
    found = coco.invariance(data, "f =~ u3 + u5 + u6 + u7 + u8", group="g", rules=name)
    assert RULES[name].source in " ".join(found.notes())
    assert set(found.tidy().verdict) <= {"holds", "doubtful", "does not hold"}


def test_a_fit_that_cannot_be_used_is_not_testable(data):
    found = coco.invariance(data, "f =~ u3 + u5", group="g")
    assert found.tidy().verdict[0].startswith("not testable: NotIdentified")
    assert found.holds_through is None


FAULTS = {
    "UnknownStep": {"steps": ("configural", "thresholds")},
    "NoEffect": {"partial": ("u99 ~ 1",)},
    "UnknownChoice": {"rules": "mine"},
    "UnknownVariable": {"group": "land"},
}


@pytest.mark.parametrize("code", FAULTS)
def test_faults_are_named(code, data):
    with pytest.raises(CocoError) as caught:
        coco.invariance(data, "f =~ u3 + u5 + u6 + u7", **({"group": "g"} | FAULTS[code]))
    assert caught.value.code == code


def test_case_44_empty_category_names_item_and_group(data):
    bare = data[~((data.g == "two") & (data.u5 == 5))]
    with pytest.raises(CocoError, match=r"group 'two'.*category 5 of 'u5'"):
        coco.invariance(bare, "f =~ u3 + u5 + u6 + u7", group="g", ordered=["u3", "u5", "u6", "u7"])


def test_case_44_empty_categories_are_merged_in_all_groups_when_asked_and_recorded(data):
    bare, items = data[~((data.g == "two") & (data.u5 == 5))], ["u3", "u5", "u6", "u7"]
    found = coco.invariance(bare, "f =~ u3 + u5 + u6 + u7", group="g", ordered=items, collapse="empty")
    by_hand = coco.invariance(bare.replace({"u5": {5: 4}}), "f =~ u3 + u5 + u6 + u7", group="g", ordered=items)
    np.testing.assert_allclose(found.tidy().chi2, by_hand.tidy().chi2, atol=1e-8)
    assert found.settings["collapse"] == {"u5": {"5": {"to": 4, "rows": int((bare.u5 == 5).sum())}}}


@needs_shared
def test_gender_ladder_of_the_real_items_is_semtools():
    """printed.txt of the reference: bfi, 10 items, gender; lavTestLRT of the first three steps."""
    data = pd.read_csv(SHARED / "data" / "bfi25_gender.csv")
    items = [f"{f}{k}" for f in "AC" for k in range(1, 6)]
    model = "\n".join(f"{f} =~ " + " + ".join(f"{f}{k}" for k in range(1, 6)) for f in "AC")
    found = coco.invariance(data, model, group="gender", ordered=items).tidy()
    np.testing.assert_allclose(found.chi2[:3], [456.55610878, 472.42892964, 494.67623166], atol=CHI2)
    np.testing.assert_allclose(found.delta_chi2[1:3], [35.111576, 15.900291], atol=1e-4)
    np.testing.assert_allclose(found.cfi[:3], [0.94455573, 0.93870465, 0.94445774], atol=1e-6)
