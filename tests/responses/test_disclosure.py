"""Nobody recognisable: small cells, subtraction, differences between tables, individuals, pseudonyms."""

import numpy as np
import pandas as pd
import pytest

from cocoanalysis.errors import CocoError
from cocoanalysis.instrument.reading import read_survey
from cocoanalysis.responses import disclosure, pseudonyms
from cocoanalysis.responses.disclosure import Policy, Released, anonymity, safe_crosstab, safe_table
from cocoanalysis.responses.responses import Responses
from tests.small import ITEMS, written


def groups(*counts):
    return pd.DataFrame({"group": list("abcdefgh"[: len(counts)]), "n": counts, "mean": np.arange(len(counts)) + 0.5})


def hidden(safe):
    return safe.table["mean"].isna().tolist()


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((50, 60, 70), [False, False, False]),
        ((50, 9, 70), [True, True, False]),  # 9, and 50 so that 9 cannot be found from the total
        ((4, 9, 70), [True, True, False]),  # together 13: enough
        ((4, 4, 70, 90), [True, True, True, False]),  # together 8: a third is needed
        ((0, 60, 70), [True, True, False]),  # an empty cell tells too
    ],
)
def test_small_groups_and_their_complement_are_withheld(counts, expected):
    safe = safe_table(groups(*counts), provenance="yours")
    assert hidden(safe) == expected
    assert safe.table["n"].isna().tolist() == expected
    assert safe.table["group"].notna().all()
    assert (safe.shown()["mean"] == "withheld").tolist() == expected
    if any(expected):
        assert "withheld" in repr(safe)
        assert "fewer than 10 people" in " ".join(safe.notes())


def test_without_a_known_total_no_second_group_is_needed():
    assert hidden(safe_table(groups(50, 9, 70), provenance="yours", total=False)) == [False, True, False]


@pytest.mark.parametrize("provenance", ["synthetic", "public real"])
def test_declared_data_pass(provenance):
    safe = safe_table(groups(1, 2, 3), provenance=provenance)
    assert hidden(safe) == [False] * 3


def test_threshold_is_configurable():
    assert hidden(safe_table(groups(12, 60, 70), provenance="yours", policy=Policy(cell=20))) == [True, True, False]


def test_dominance_extremes_shares_and_residual_df():
    table = groups(50, 60, 70).assign(top=[0.2, 0.8, 0.3], minimum=1.0, maximum=7.0, share=[0.5, 0.5, 0.1])
    safe = safe_table(table, provenance="yours", largest="top", shares=["share"], total=False)
    assert hidden(safe) == [False, True, False]
    assert safe.table[["minimum", "maximum"]].isna().all().all()
    assert safe.table["share"].isna().tolist() == [False, True, True]
    few = safe_table(groups(50, 60).assign(df_resid=[4, 40]), provenance="yours", total=False)
    assert hidden(few) == [True, False]


def test_written_intervals_of_a_withheld_row_go_too():
    table = groups(4, 60, 70).assign(ci=["[.12, .34]", "[.2, .3]", "[.1, .2]"], note=["see [1]"] * 3)
    safe = safe_table(table, provenance="yours", total=False)
    assert safe.shown()["ci"].tolist() == ["withheld", "[.2, .3]", "[.1, .2]"]
    assert safe.table["note"].tolist() == ["see [1]"] * 3


def test_unknown_count_column_is_refused():
    with pytest.raises(CocoError) as caught:
        safe_table(groups(1), provenance="yours", counts="people")
    assert caught.value.code == "UnknownVariable"


def test_crosstab_withholds_enough_that_nothing_can_be_subtracted():
    counts = pd.DataFrame([[3, 14, 12], [15, 11, 30], [20, 22, 25]], columns=list("xyz"))
    safe = safe_crosstab(counts, provenance="yours")
    assert safe.table.isna().to_numpy().tolist() == [[True, True, False], [True, True, False], [False] * 3]
    # the four may move together, 3 + d, 14 − d, 15 − d, 11 + d, none below 0: d from −3 to 14
    assert disclosure._span(counts.to_numpy(dtype=float), safe.table.isna().to_numpy(), (0, 0)) == pytest.approx(17)


@pytest.mark.parametrize("seed", range(6))
def test_no_withheld_cell_can_be_bounded_closely(seed):
    rng = np.random.default_rng(seed)
    counts = pd.DataFrame(rng.poisson(18, size=(5, 4)) * rng.choice([0, 1, 2], size=(5, 4), p=[0.1, 0.6, 0.3]))
    safe = safe_crosstab(counts, provenance="yours")
    mask = safe.table.isna().to_numpy()
    small = counts.to_numpy() < 10
    assert mask[small].all()
    for cell in np.argwhere(small):
        assert disclosure._span(counts.to_numpy(dtype=float), mask, tuple(cell)) >= 10 or mask.all()


def test_two_tables_may_not_differ_by_a_few():
    released = Released()
    first = released.admit(groups(50, 60, 70), "group", provenance="yours")
    again = released.admit(groups(50, 57, 40), "group", provenance="yours")
    assert hidden(first) == [False] * 3
    assert hidden(again) == [False, True, False]
    assert "earlier table" in again.withheld["reason"][0]
    assert hidden(Released().admit(groups(50, 57, 40), "group", provenance="yours")) == [False] * 3
    twice = pd.concat([groups(50, 60), groups(50, 60)], ignore_index=True)
    assert hidden(released.admit(twice, "group", provenance="yours")) == [False] * 4
    assert hidden(released.admit(twice, "group", provenance="yours")) == [False] * 4


def test_individuals_and_small_results_are_refused_unless_declared():
    for provenance in ("synthetic", "public real"):
        disclosure.refuse_individuals("A scatter plot", provenance)
        disclosure.refuse_small("A model", 3, provenance=provenance)
    for call, code in [
        (lambda: disclosure.refuse_individuals("A scatter plot", "yours"), "IndividualValues"),
        (lambda: disclosure.refuse_small("A model", 9, provenance="yours"), "SmallCell"),
        (lambda: disclosure.refuse_small("A model", 90, provenance="yours", df_resid=3), "FewResidualDf"),
    ]:
        with pytest.raises(CocoError) as caught:
            call()
        assert caught.value.code == code


# Of responses --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def responses(tmp_path_factory):
    survey = read_survey(written(tmp_path_factory.mktemp("small")))
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"person": [f"canary{i}" for i in range(100)], "team": [f"t{i % 5}" for i in range(100)]})
    frame["sector"] = ["public"] * 60 + ["private"] * 39 + [None]
    frame["years"] = rng.integers(1, 20, 100).astype(float)
    for id in ITEMS:
        frame[id] = rng.choice([1, 2, 3, 5], 100)
    return Responses.from_frame(frame, survey)


def test_anonymity_counts_what_a_plain_groupby_counts(responses):
    found = anonymity(responses, k=5)
    frame = responses.frame
    sizes = frame.groupby([frame["sector"].fillna("none"), frame["years"]])["person"].transform("size")
    row = found.glance().iloc[0]
    assert (row["k"], row["at_risk"], row["n_unique"]) == (sizes.min(), (sizes < 5).sum(), (sizes == 1).sum())
    only = anonymity(responses, ["sector"], sensitive=["tru1"], k=5)
    assert (only.k, only.l) == (1, 1)
    assert anonymity(responses.exclude("years > 50"), ["team"], sensitive=["tru1"]).k == 20


def test_suggested_steps_lead_to_nobody_at_risk(responses):
    table = anonymity(responses, k=5).tidy()
    assert table["step"].tolist() == list(range(1, len(table) + 1))
    assert table["at_risk"].iloc[-1] == 0
    assert table["k"].iloc[-1] >= 5
    assert table["variable"].iloc[0] == "years"
    assert "canary" not in repr(anonymity(responses))
    assert anonymity(responses, ["team"], k=5).tidy().empty
    named = anonymity(responses, ["person"], k=5)  # every value is a rare one, and none is a category of the survey
    assert "canary" not in " ".join(named.tidy()["detail"])


def test_pseudonyms_need_the_key_and_link_waves(responses, tmp_path):
    key = pseudonyms.new_key(tmp_path / "key")
    assert key.stat().st_mode & 0o077 == 0
    made, again = (pseudonyms.pseudonymised(responses, key) for _ in range(2))
    assert made.frame["person"].tolist() == again.frame["person"].tolist()
    assert not made.frame["person"].str.contains("canary").any()
    assert made.frame["person"].nunique() == 100
    assert made.frame["team"].nunique() == 5
    other = pseudonyms.pseudonymised(responses, b"0" * 40)
    assert not set(other.frame["person"]) & set(made.frame["person"])
    assert "pseudonyms for person, team" in made.ledger["rule"].iloc[-1]
    pd.testing.assert_frame_equal(made.scores(), responses.scores())


@pytest.mark.parametrize("case", ["in_repository", "exists", "absent", "weak"])
def test_keys_that_do_not_protect_are_refused(tmp_path, case):
    if case == "in_repository":
        (tmp_path / ".git").mkdir()
        call = lambda: pseudonyms.new_key(tmp_path / "deep" / "key")  # noqa: E731  (one case of four)
        code = "KeyInRepository"
    elif case == "exists":
        pseudonyms.new_key(tmp_path / "key")
        call, code = (lambda: pseudonyms.new_key(tmp_path / "key")), "KeyExists"
    elif case == "absent":
        call, code = (lambda: pseudonyms.read_key(tmp_path / "key")), "NoKey"
    else:
        (tmp_path / "key").write_text("secret")
        call, code = (lambda: pseudonyms.read_key(tmp_path / "key")), "WeakKey"
    with pytest.raises(CocoError) as caught:
        call()
    assert caught.value.code == code
