"""Responses: scores by rule, reversed once; rows that leave are in the ledger. Numbers are case ids."""

import numpy as np
import pandas as pd
import pytest

import cocoanalysis as coco
from cocoanalysis.errors import CocoError
from cocoanalysis.instrument.reading import read_survey
from cocoanalysis.responses.ledger import same_rows
from cocoanalysis.responses.responses import Responses
from cocoanalysis.responses.scoring import combined, item_rest, key_check, mirrored
from tests.small import ITEMS, written


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    return read_survey(written(tmp_path_factory.mktemp("small")))


def answers(n=60, seed=1):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"person": [f"p{i}" for i in range(n)], "team": [f"t{i % 7}" for i in range(n)]})
    for id in ITEMS:
        codes = [1, 2, 3, 5] if id.startswith("ste") else [1, 2, 3, 4, 5]
        frame[id] = pd.array(rng.choice(codes, n), dtype="Int64")
    return frame


@pytest.fixture(scope="module")
def responses(survey):
    return Responses.from_frame(answers(), survey, provenance="synthetic")


def code_of(call):
    with pytest.raises(CocoError) as caught:
        call()
    return caught.value.code


# Scores --------------------------------------------------------------------------------------


def test_score_is_the_plain_mean_of_reversed_answers(responses):
    frame = responses.frame.astype(dict.fromkeys(ITEMS, float))
    by_hand = (frame.tru1 + frame.tru2 + (6 - frame.tru3) + frame.tru4) / 4
    np.testing.assert_allclose(responses.scores("trust")["trust"], by_hand)


def test_case_8_unequal_codes_reverse_by_the_map(responses):
    turned = responses.items("steps", keyed=True)["ste2"]
    expected = responses.frame["ste2"].map({1: 5, 2: 3, 3: 2, 5: 1})
    np.testing.assert_array_equal(turned, expected)


def test_reversing_twice_gives_the_answers_back():
    values = np.array([1.0, 2, 3, 5, np.nan])
    for codes in ([1, 2, 3, 5], [], [0, 1, 2, 3, 4, 5]):
        there = mirrored(values, codes, 1, 5)
        np.testing.assert_array_equal(mirrored(there, codes, 1, 5), values)


def test_case_54_too_few_answers_give_no_score_and_are_counted(survey):
    frame = answers()
    frame.loc[:4, ["tru1", "tru2"]] = pd.NA
    frame.loc[:9, "tru3"] = pd.NA
    made = Responses.from_frame(frame, survey)
    scored = made.scored("trust")
    assert scored.values["trust"].isna().tolist() == [True] * 5 + [False] * 55
    assert scored.n_items["trust"].tolist()[:11] == [1] * 5 + [3] * 5 + [4]
    assert scored.tidy()[["n", "n_too_few", "items", "reversed"]].values.tolist() == [[55, 5, 4, "tru3"]]
    assert "smallone 0.1.0" in scored.tidy()["version"][0]


def test_sum_with_a_gap_is_the_mean_times_the_number_of_items():
    values, used = combined(np.array([[1.0, 3, np.nan], [np.nan, np.nan, 4]]), "sum", 2)
    np.testing.assert_array_equal(values, [6, np.nan])
    assert used.tolist() == [2, 1]


def test_composite_is_the_mean_of_its_scores(responses):
    scores = responses.scores(["trust", "steps", "both"])
    np.testing.assert_allclose(scores["both"], (scores["trust"] + scores["steps"]) / 2)


def test_undefined_score_is_refused_with_a_suggestion(responses):
    with pytest.raises(CocoError, match="Did you mean 'trust'") as caught:
        responses.scores("trusst")
    assert caught.value.code == "UndefinedScore"
    assert code_of(lambda: responses.scores("check")) == "UndefinedScore"


def test_attention_checks_are_no_items_of_the_analysis(responses):
    assert "att1" not in responses.items().columns
    assert "check" not in responses.scores().columns


@pytest.mark.parametrize("dtype", ["int64", "float64", "Int8", "object", "category", "string"])
def test_case_59_dtypes_never_change_a_number(survey, responses, dtype):
    frame = responses.frame
    for id in ITEMS:
        frame[id] = frame[id].astype("int64").astype(dtype)
    made = Responses.from_frame(frame, survey)
    pd.testing.assert_frame_equal(made.scores(), responses.scores())


# Rows ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_split_keeps_clusters_whole(responses, seed):
    first, second = responses.split(seed=seed)
    assert not set(first.frame["team"]) & set(second.frame["team"])
    assert len(first) + len(second) == len(responses)
    assert abs(len(first) - len(second)) <= responses.frame["team"].value_counts().max()
    again, _ = responses.split(by="team", seed=seed)
    pd.testing.assert_frame_equal(first.frame, again.frame)
    assert first.ledger.iloc[-1][["n_before", "n_after"]].tolist() == [60, len(first)]


def test_case_49_split_needs_a_cluster_in_every_row(survey):
    frame = answers()
    frame.loc[3, "team"] = None
    assert code_of(lambda: Responses.from_frame(frame, survey).split()) == "MissingCluster"
    one = Responses.from_frame(answers().assign(team="t"), survey)
    assert code_of(one.split) == "TooFewClusters"
    assert code_of(lambda: one.split(by="tem")) == "UnknownVariable"


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("tru1 == 5", lambda f: f.tru1 == 5),
        ("tru1 >= 4 and not eff1 < 3", lambda f: (f.tru1 >= 4) & ~(f.eff1 < 3)),
        ("team in ['t1', 't2'] or tru1 == 1", lambda f: f.team.isin(["t1", "t2"]) | (f.tru1 == 1)),
        ("2 <= tru2 <= 3", lambda f: (f.tru2 >= 2) & (f.tru2 <= 3)),
        ("tru1 == tru2", lambda f: f.tru1 == f.tru2),
    ],
)
def test_exclusion_by_rule(responses, rule, expected):
    left = responses.exclude(rule, origin="plan")
    out = expected(responses.frame).to_numpy(dtype=bool)
    pd.testing.assert_frame_equal(left.frame, responses.frame[~out])
    last = left.ledger.iloc[-1]
    said = rule.replace("'t1', 't2'", "'…', '…'")  # the words of an identifier are not for the ledger
    assert (last["rule"], last["rows"], last["origin"]) == (said, out.sum(), "plan")
    assert left.exclude(rule) is left  # once


def test_exclusion_keeps_rows_that_cannot_be_decided(survey):
    frame = answers()
    frame.loc[0, "tru1"] = pd.NA
    for rule in ("tru1 == 5", "not tru1 == 5"):
        if rule == "tru1 == 5":
            assert 0 in Responses.from_frame(frame, survey).exclude(rule).frame.index


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ("tru1 ==", "BadRule"),
        ("__import__('os').system('x')", "BadRule"),
        ("tru9 == 1", "UnknownVariable"),
        ("tru1", "BadRule"),
        ("3 > 2", "BadRule"),
        ("tru1 < 'a'", "BadRule"),
        ("tru1 >= 1", "NobodyLeft"),
    ],
)
def test_rules_that_cannot_be_used(responses, rule, code):
    assert code_of(lambda: responses.exclude(rule)) == code


def test_analyses_on_different_rows_are_told_apart(responses):
    some = responses.exclude("tru1 == 5")
    same_rows(responses, responses.exclude("tru1 == 9"))
    with pytest.raises(CocoError, match="only the second has: tru1 == 5") as caught:
        same_rows(responses, some)
    assert caught.value.code == "DifferentRows"


def test_regressions_and_fits_on_different_rows_are_told_apart(responses):
    some = responses.exclude("tru1 == 5")
    made = {
        "regression": lambda data: coco.regress("effort ~ trust", data, vcov="HC3"),
        "fit": lambda data: coco.cfa(data, "t =~ tru1 + tru2 + tru4", missing="listwise"),
    }
    for name, fitted in made.items():
        one, same, other = fitted(responses), fitted(responses.exclude("tru1 == 9")), fitted(some)
        coco.same_rows(one, same)
        with pytest.raises(CocoError, match="only the second has: tru1 == 5") as caught:
            coco.same_rows(one, other)
        assert caught.value.code == "DifferentRows", name
        table = (coco.tables.regressions if name == "regression" else coco.tables.fit)([one, other], names=["a", "b"])
        assert "Not the same rows: a and b" in table.as_raw_html()
    with pytest.raises(CocoError) as caught:
        coco.same_rows(responses, coco.reliability(responses, ["trust"]))
    assert caught.value.code == "NoRows"


def test_responses_cannot_be_changed(responses):
    frame = responses.frame
    frame.loc[0, "tru1"] = 99
    frame["new"] = 1
    assert responses.frame["tru1"].max() <= 5
    assert "new" not in responses.frame


# Content -------------------------------------------------------------------------------------------


def test_case_41_frame_outside_the_options_is_refused_with_counts(survey):
    frame = answers()
    frame.loc[[2, 5], "tru1"] = 7
    with pytest.raises(CocoError, match="'tru1' 2") as caught:
        Responses.from_frame(frame, survey)
    assert caught.value.code == "OutsideOptions"


def test_missing_cells_always_have_a_reason(survey):
    frame = answers()
    frame.loc[:3, "tru1"] = pd.NA
    reasons = pd.DataFrame({"tru1": ["refused", None]}, index=[0, 1]).reindex(frame.index)
    made = Responses.from_frame(frame, survey, missing=reasons)
    assert made.missing["tru1"].tolist()[:4] == ["refused", "skipped", "skipped", "skipped"]
    assert made.missing["tru1"].isna().sum() == 56


def planted(seed=2, n=400):
    rng = np.random.default_rng(seed)
    frame = answers(n, seed)
    trait = rng.normal(size=n)
    for id, key in zip(ITEMS[:7], [1, 1, -1, 1, 1, -1, 1]):
        frame[id] = pd.array(np.clip(np.round(3 + key * trait + rng.normal(scale=0.7, size=n)), 1, 5), dtype="Int64")
    return frame


@pytest.mark.parametrize(
    ("column", "value", "code"),
    [("tru1", np.inf, "NotANumber"), ("tru1", 1e308, "NotANumber"), ("years", np.inf, "NotFinite")],
)
def test_case_51_a_frame_with_infinite_or_huge_numbers_is_refused(survey, column, value, code):
    frame = pd.DataFrame({"person": ["a", "b"], "team": ["t", "t"], "tru1": [1.0, 2.0], "years": [3.0, 4.0]})
    frame.loc[1, column] = value
    with pytest.raises(CocoError) as caught:
        Responses.from_frame(frame, survey)
    assert caught.value.code == code


def test_case_52_wrong_key_is_suspected_not_turned(survey):
    frame = planted()
    frame["tru2"] = 6 - frame["tru2"]
    check = key_check(Responses.from_frame(frame, survey))
    assert check.tidy().query("suspect")["item"].tolist() == ["tru2"]
    assert [one.code for one in check.diagnostics] == ["KeySuspect"]


def test_case_53_already_reversed_deposit_is_asked_about(survey):
    frame = planted()
    for id in ("tru3", "eff2"):
        frame[id] = 6 - frame[id]
    check = key_check(Responses.from_frame(frame, survey))
    assert [one.code for one in check.diagnostics] == ["AlreadyReversed"]
    assert key_check(Responses.from_frame(planted(), survey)).diagnostics == ()


def test_keys_are_checked_only_of_items_that_are_there(survey):
    check = key_check(Responses.from_frame(planted().drop(columns=["eff1", "eff2", "ste1", "ste2"]), survey))
    assert set(check.tidy()["construct"]) == {"trust"}


def test_item_rest_agrees_with_pandas(responses):
    items = responses.items("trust", keyed=True)
    expected = [items[id].corr(items.drop(columns=id).sum(axis=1)) for id in items]
    np.testing.assert_allclose(item_rest(items.to_numpy()), expected)


def test_description_agrees_with_pandas(responses):
    table = responses.tidy().set_index("item")
    values = responses.frame["eff1"].astype(float)
    assert table.loc["eff1", ["mean", "sd", "skewness", "kurtosis"]].tolist() == pytest.approx(
        [values.mean(), values.std(), values.skew(), values.kurt()]
    )


def test_displays_say_what_the_data_are(responses):
    assert "Synthetic data" in repr(responses)
    assert "Synthetic data" in responses._repr_html_()
    assert "p17" not in repr(responses) + responses._repr_html_()
    assert responses.codebook("da").set_index("column").loc["tru1", "answers"].startswith("1 = helt uenig")


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e308])
def test_case_51_numbers_that_are_none_are_refused(survey, value):
    frame = answers()
    frame["years"] = 3.0
    frame.loc[4, "years"] = value
    with pytest.raises(CocoError) as caught:
        coco.regress("effort ~ years", Responses.from_frame(frame, survey), vcov="HC3")
    assert caught.value.code == "NotFinite"
    assert "'years'" in str(caught.value)
    with pytest.raises(CocoError):
        Responses.from_frame(
            answers().assign(tru1=lambda f: f["tru1"].astype(float).where(f.index != 4, value)), survey
        )


def test_case_51_negative_zero_is_zero(survey):
    frame = answers().assign(years=0.0)
    other = frame.assign(years=-0.0)
    made = [Responses.from_frame(one, survey).frame["years"].to_numpy() for one in (frame, other)]
    np.testing.assert_array_equal(made[0], made[1])


@pytest.mark.parametrize(
    "ask",
    [
        lambda t, d: coco.impute(t), lambda t, d: coco.missingness(t), lambda t, d: coco.sample_flow(t),
        lambda t, d: coco.anonymity(t), lambda t, d: coco.interim(t), lambda t, d: coco.write_responses(t, d / "a.csv"),
        lambda t, d: coco.write_sav(t, d / "a.sav"), lambda t, d: coco.write_dataset(t, d / "a"),
    ],
)  # fmt: skip
def test_what_needs_responses_says_so_to_a_plain_table(ask, tmp_path):
    with pytest.raises(CocoError, match="a DataFrame came") as fault:
        ask(pd.DataFrame({"a": [1, 2]}), tmp_path)
    assert fault.value.code == "NotResponses"
    assert not list(tmp_path.iterdir())
