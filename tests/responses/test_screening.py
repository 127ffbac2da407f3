"""Careless answers: every index against another program or a formula written out; flags only."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cocoanalysis.errors import CocoError
from cocoanalysis.instrument.reading import read_survey
from cocoanalysis.responses import screening
from cocoanalysis.responses.responses import Responses
from tests.shared import ROOT, SHARED, needs_shared
from tests.small import ITEMS, written

ier = pytest.importorskip("ier", reason="the independent program for these indices is a development dependency")


def sample(n=300, p=20, seed=5, missing=0.0):
    rng = np.random.default_rng(seed)
    trait = rng.normal(size=(n, 4)).repeat(p // 4, axis=1)
    values = np.clip(np.round(3.5 + trait + rng.normal(scale=0.6, size=(n, p))), 1, 6)
    values[:, 1::7] = 7 - values[:, 1::7]
    values[:4] = np.array([[3] * p, [1, 6] * (p // 2), [1] * p, list(range(1, 6)) * (p // 5)])
    values[10] = values[11]
    if missing:
        values[rng.random(values.shape) < missing] = np.nan
    return values


@pytest.fixture(scope="module")
def bfi():
    """Reference: base R (rle, sd, mahalanobis, cor) over psych's bfi, make_reference.R, section 7."""
    values = pd.read_csv(SHARED / "data" / "bfi25_complete.csv").to_numpy(dtype=float)
    return values, pd.read_csv(SHARED / "reference" / "r" / "careless.csv")


@needs_shared
def test_agrees_with_base_r(bfi):
    values, reference = bfi
    np.testing.assert_array_equal(screening.long_strings(values)[0], reference["longstring"])
    np.testing.assert_allclose(screening.variability(values), reference["irv"], rtol=1e-12)
    means, covariance = screening.pairwise_moments(values)
    np.testing.assert_allclose(screening.mahalanobis(values, means, covariance)[0], reference["md"], rtol=1e-9)
    scales = [range(i, i + 5) for i in range(0, 25, 5)]
    even_odd = screening.even_odd(values, scales)
    there = np.isfinite(reference["eo"]) & (np.abs(reference["eo"]) < 1e6)
    np.testing.assert_allclose(even_odd[there], reference["eo"][there], rtol=1e-8, atol=1e-12)
    assert (np.isnan(even_odd) == reference["eo"].isna()).all()


@needs_shared
def test_person_fit_and_synonyms_agree_with_insufficient_effort_on_bfi(bfi):
    values, _ = bfi
    ours = screening.guttman_errors((values - 1).astype(int), [5] * 25)
    np.testing.assert_allclose(ours, ier.gpoly(values, scale_min=1, scale_max=6), rtol=1e-12)


def test_person_fit_agrees_with_the_textbook_formula_for_two_categories():
    ranks = (sample() > 3).astype(int)
    ours = screening.guttman_errors(ranks, [1] * ranks.shape[1])
    order = np.argsort(-ranks.sum(axis=0), kind="stable")
    ordered = ranks[:, order]
    errors = [sum(row[j] > row[i] for i in range(len(row)) for j in range(i + 1, len(row))) for row in ordered]
    r = ranks.sum(axis=1)
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(ours, errors / (r * (ranks.shape[1] - r)))


@pytest.mark.parametrize(("cut", "antonyms"), [(0.5, False), (-0.5, True)])
def test_pairs_agree_with_insufficient_effort(cut, antonyms):
    values = sample()
    pairs = screening.item_pairs(np.corrcoef(values, rowvar=False), cut)
    assert len(pairs) >= 3
    ours = screening.pair_consistency(values, pairs)
    theirs = ier.psychsyn(values, critval=cut, anto=antonyms)
    there = ~np.isnan(ours)  # theirs gives 0 where a person's pairs do not vary
    assert there.mean() > 0.9
    np.testing.assert_allclose(np.abs(ours[there]), np.abs(theirs[there]), atol=1e-9)
    assert (np.sign(ours[there]) == np.sign(np.round(theirs[there], 12))).mean() > 0.95


def test_even_odd_agrees_with_insufficient_effort():
    values = sample()
    ours = screening.even_odd(values, [range(i, i + 5) for i in range(0, 20, 5)])
    theirs = ier.evenodd(values, [5] * 4, method="halves")
    inside = np.isfinite(ours) & (ours > -1) & np.isfinite(theirs)
    assert inside.sum() > 200
    np.testing.assert_allclose(ours[inside], np.clip(theirs[inside], -1, 1), atol=1e-9)


def test_strings_and_styles_agree_with_insufficient_effort():
    values = sample()
    longest, average = screening.long_strings(values)
    np.testing.assert_array_equal(longest, ier.longstring_scores(values))
    np.testing.assert_allclose(average, ier.longstring_scores(values, avg=True))
    n = values.shape[1]
    np.testing.assert_allclose(screening.variability(values) * np.sqrt((n - 1) / n), ier.irv(values))
    low, high = np.ones(n), np.full(n, 6.0)
    expected = ((values == 1) | (values == 6)).mean(axis=1)
    np.testing.assert_allclose(screening.extremity(values, low, high), expected)
    share = (values - 1) / 5
    theirs = ier.acquiescence(values, 1, 6, positive_items=[0, 2], negative_items=[1, 8])
    np.testing.assert_allclose(screening.acquiescence(share, [[0, 2]], [[1, 8]]), theirs)


def test_missing_answers_end_runs_and_leave_the_rest():
    values = np.array([[1, 1, np.nan, 1, 2, 2], [np.nan] * 6, [3, 3, 3, 3, 3, 3]], dtype=float)
    longest, average = screening.long_strings(values)
    np.testing.assert_array_equal(longest, [2, np.nan, 6])
    np.testing.assert_array_equal(average, [5 / 3, np.nan, 6])
    np.testing.assert_allclose(screening.variability(values)[[0, 2]], [np.std([1, 1, 1, 2, 2], ddof=1), 0])


def test_mahalanobis_with_gaps_is_the_distance_of_what_was_answered():
    values = sample(missing=0.15)
    means, covariance = screening.pairwise_moments(values)
    distance, answered = screening.mahalanobis(values, means, covariance)
    for row in range(0, 300, 17):
        there = ~np.isnan(values[row])
        z = (values[row] - means)[there]
        expected = z @ np.linalg.solve(covariance[np.ix_(there, there)], z)
        assert distance[row] == pytest.approx(expected, rel=1e-8)
        assert answered[row] == there.sum()


def test_pairwise_moments_agree_with_pandas():
    values = sample(missing=0.1)
    means, covariance = screening.pairwise_moments(values)
    np.testing.assert_allclose(means, pd.DataFrame(values).mean())
    np.testing.assert_allclose(covariance, pd.DataFrame(values).cov(), rtol=1e-10)


def test_repeats_finds_copies_but_no_straight_liners():
    values = sample()
    found = screening.repeats(values)
    assert found[[10, 11]].tolist() == [1, 1]
    assert found[[0, 2]].tolist() == [0, 0]


# On responses --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    return read_survey(written(tmp_path_factory.mktemp("small")))


@pytest.fixture(scope="module")
def responses(survey):
    rng = np.random.default_rng(4)
    frame = pd.DataFrame({"person": [f"p{i}" for i in range(80)], "team": ["a", "b"] * 40, "seconds": 60.0})
    for id in ITEMS:
        frame[id] = rng.choice([1, 2, 3, 5] if id.startswith("ste") else [1, 2, 3, 4, 5], 80)
    frame["att1"] = 2
    frame.loc[3, "att1"] = 5
    frame.loc[5, "seconds"] = 8
    frame.loc[7, ITEMS[:9]] = 3
    return Responses.from_frame(frame, survey)


def test_case_50_flags_are_added_and_nobody_leaves(responses):
    screened = responses.screen()
    assert len(screened) == len(responses)
    assert screened.frame["flag_attention"].to_numpy().nonzero()[0].tolist() == [3]
    assert screened.frame["flag_pace"].to_numpy().nonzero()[0].tolist() == [5]
    assert screened.frame["flag_longstring"].to_numpy().nonzero()[0].tolist() == [7]
    assert screened.frame["careless_flags"].iloc[7] >= 2  # longstring and no variation
    lines = screened.ledger.query("step == 'flag'")
    assert (lines["n_before"] == lines["n_after"]).all()
    assert (lines["origin"] == "exploratory").all()
    left = screened.exclude("flag_attention or flag_pace", origin="plan")
    assert len(left) == 78
    assert len(left.screening.indices) == 78
    assert "flag_attention" not in [*left.items().columns]


def test_screening_again_replaces_flags(responses):
    once = responses.screen()
    again = once.screen(["irv"], irv=0.5)
    assert again.flags == ["flag_irv"]


def test_indices_that_say_nothing_give_the_reason(responses):
    table = responses.screen().screening.tidy().set_index("index")
    assert "three pairs" in table.loc["synonyms", "note"]
    assert table.loc["gnormed", "n_flagged"] is pd.NA
    assert table.loc["gnormed", "n"] == 80


def test_unknown_index_is_refused(responses):
    with pytest.raises(CocoError) as caught:
        responses.screen("longstrings")
    assert caught.value.code == "UnknownIndex"


def test_results_with_and_without_in_one_table(responses):
    screened = replace(responses.screen(), provenance="synthetic")
    table = screening.with_and_without(screened, "flag_longstring")
    assert table["sample"].unique().tolist() == ["all", "without flag_longstring"]
    assert table.query("score == 'trust'")["n"].tolist() == [80, 79]


def test_with_and_without_do_not_tell_about_the_few_who_make_the_difference(responses):
    screened = responses.screen()
    few = screening.with_and_without(screened, "flag_longstring")
    assert few.query("sample == 'all'")["mean"].notna().all()
    assert few.query("sample != 'all'")[["n", "mean", "sd"]].isna().all().all()
    many = screening.with_and_without(screened, "tru1 <= 2")
    assert many["mean"].notna().all()


def test_the_manual_names_every_index():
    manual = (ROOT / "docs" / "responses.md").read_text(encoding="utf-8")
    assert [name for name in screening.INDICES if f"`{name}`" not in manual] == []
