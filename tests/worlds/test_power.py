"""Power: counts that do not depend on who counted, runs that go on, files that cannot be mistaken for others."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cocoanalysis.errors import ModelError
from cocoanalysis.propositions.plan import read_plan
from cocoanalysis.report import plots
from cocoanalysis.worlds import power as module
from cocoanalysis.worlds.power import power, read_power
from cocoanalysis.worlds.world import read_world

HOME = Path(__file__).parents[2] / "surveys" / "cocreation"
SMALL = [(12, 8)]


@pytest.fixture(scope="module")
def plan():
    return read_plan(HOME)


@pytest.fixture(scope="module")
def world():
    return read_world(HOME)


@pytest.fixture(scope="module")
def found(plan, world):
    return power(plan, world, SMALL, replicates=8, seed=3, gates=False)


def test_shares_add_up_and_name_every_row_of_the_plan(plan, found):
    table = found.table()
    verdicts = ["supported", "negligible", "contradicted", "inconclusive", "not_testable"]
    assert table[verdicts].sum(axis=1).to_numpy() == pytest.approx(np.ones(len(table)))
    tested = {one.id for one in plan.hypotheses if not plan.form.families[one.family].exploratory}
    own = table[table["family"] != "beside"]
    assert set(own["hypothesis"]) == tested
    assert table.loc[table["hypothesis"] == "H2a", "truth"].tolist() == ["contradicted"]
    assert found.glance()[["studies", "failed"]].to_numpy().tolist() == [[8, 0]]


def test_the_tidy_table_has_a_row_a_verdict_and_the_plot_takes_it(found):
    table = found.tidy()
    own = found.rows[found.rows["family"] != "beside"]
    assert len(table) == 5 * len(own)
    assert table.groupby(["size", "row"])["share"].sum().to_numpy() == pytest.approx(np.ones(len(own)))
    wide = found.table().set_index("row")
    assert table[(table["row"] == "H2a") & (table["verdict"] == "contradicted")]["share"].item() == pytest.approx(
        wide.loc["H2a", "contradicted"]
    )
    axes = plots.power(found)
    assert sum(bar.get_width() for bar in axes.patches) == pytest.approx(len(own))


def test_with_enough_collaborations_the_rule_finds_everything_that_was_planted(plan, world):
    """The truth in world.yaml is that of the paths planted there; a very large study must agree with all of it."""
    table = power(plan, world, [(700, 15)], replicates=1, seed=5, gates=False).table()
    known = table[table["truth"].notna()]
    assert known.loc[known["right"] < 1, ["hypothesis", "outcome"]].to_numpy().tolist() == []


def test_small_slopes_of_collaborations_are_out_of_reach_and_the_display_says_so(plan, world):
    """60 × 15 and a SESOI of .20: the standard error of such a slope is about .12, and 1.67 × .12 leaves no room."""
    found = power(plan, world, replicates=4, seed=2, gates=False)
    table = found.table().set_index("row")
    assert table.loc["H1 between", "reach"] == 0
    assert table.loc["H3a", "reach"] == 1
    assert any("out of reach" in note and "of the collaboration level" in note for note in found.notes())


def test_two_workers_count_what_one_counts(plan, world, found):
    again = power(plan, world, SMALL, replicates=8, seed=3, workers=2, gates=False)
    assert (again.verdicts[0] == found.verdicts[0]).all()


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # what Dask warns of is not ours
def test_a_dask_cluster_of_two_counts_the_same(plan, world, found):
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        again = power(plan, world, SMALL, replicates=8, seed=3, backend="dask", scheduler=cluster.scheduler_address,
                      gates=False)  # fmt: skip
    assert (again.verdicts[0] == found.verdicts[0]).all()


def test_more_sizes_leave_the_first_as_it_was(plan, world, found):
    again = power(plan, world, [*SMALL, (40, 6)], replicates=3, seed=3, gates=False)
    own = (again.rows["family"] != "beside").to_numpy()
    assert (again.verdicts[0][:, own] == found.verdicts[0][:3]).all()
    assert again.table().groupby(["clusters", "raters"]).ngroups == 2
    assert again.glance()["failed"].tolist() == [0, 0]


def test_slopes_between_too_few_collaborations_are_not_testable(plan, world):
    table = power(plan, world, [(12, 8), (40, 6)], replicates=2, seed=3, gates=False).table()
    between = table[table["row"] == "H1 between"].set_index("clusters")
    assert between["not_testable"].to_dict() == {12: 1.0, 40: 0.0}


def test_a_stopped_run_goes_on_and_repeats_nothing(plan, world, found, tmp_path, monkeypatch):
    path = tmp_path / "run.json"
    judged = module.judge
    calls = []

    def stops(*arguments, **settings):
        calls.append(1)
        if len(calls) == 7:  # the first is the list of rows; a chunk of five is finished
            raise KeyboardInterrupt
        return judged(*arguments, **settings)

    monkeypatch.setattr(module, "judge", stops)
    with pytest.raises(KeyboardInterrupt):
        power(plan, world, SMALL, replicates=8, seed=3, resume=path, gates=False)
    done = json.loads(path.read_text(encoding="utf-8"))["studies"][0]
    assert sum(map(bool, done)) == 5
    monkeypatch.setattr(module, "judge", lambda *a, **k: calls.append(1) or judged(*a, **k))
    again = power(plan, world, SMALL, replicates=8, seed=3, resume=path, gates=False)
    assert len(calls) == 7 + 1 + 3
    assert (again.verdicts[0] == found.verdicts[0]).all()
    with pytest.raises(ModelError, match="differs in seed"):
        power(plan, world, SMALL, replicates=8, seed=4, resume=path, gates=False)


def test_a_file_reads_back_and_is_refused_when_it_no_longer_fits(plan, world, found, tmp_path):
    path = found.write(tmp_path / "power.json")
    again = read_power(path, plan, world)
    pd.testing.assert_frame_equal(again.table(), found.table(), check_dtype=False)
    other = read_world(HOME / "worlds" / "null.yaml")
    with pytest.raises(ModelError, match="another world"):
        read_power(path, plan, other)
    path.write_text(path.read_text(encoding="utf-8").replace('"H2a"', '"H2b"', 1), encoding="utf-8")
    with pytest.raises(ModelError) as caught:
        read_power(path)
    assert caught.value.code == "Damaged"


def test_wrong_is_decided_otherwise_than_planted():
    letters = np.array([list("sncix"), list("ccccc")])
    right, wrong = module._right_and_wrong(letters, pd.Series(["supported"] * 5, dtype=object))
    assert right.tolist() == [[True, False, False, False, False], [False] * 5]
    assert wrong.tolist() == [[False, True, True, False, False], [True] * 5]


def test_a_closed_gate_leaves_the_composite_to_be_judged(plan):
    """One general factor: what is guarded is not testable, as that world's file says, and the composite stands in."""
    world = read_world(HOME / "worlds" / "one-factor.yaml")
    found = power(plan, world, [(40, 12)], replicates=2, seed=1)
    table = found.table().set_index("row")
    guarded = table[table["hypothesis"].isin(plan.form.gates[0].guards) & (table["family"] != "beside")]
    assert (guarded["not_testable"] == 1).all()
    assert (guarded["right"] == 1).all()
    stand_in = table[table["hypothesis"] == "H0 composite"]
    assert set(stand_in["outcome"]) == {"outcome", "capacity", "innovation", "capabilities", "alignment", "durability",
                                        "authorisation"}  # fmt: skip
    assert (stand_in["judged"] == 1).all()
    assert "are run in every study" in " ".join(found.notes())
    alone = power(plan, world, [(40, 12)], replicates=2, seed=1, gates=False)
    assert "H0 composite" not in set(alone.table()["hypothesis"])
    assert alone.settings["plan_hash"] != found.settings["plan_hash"]


def test_an_open_gate_changes_no_verdict(plan, world):
    with_gates, without = (power(plan, world, [(60, 15)], replicates=2, seed=4, gates=gates) for gates in (True, False))
    size = len(without.rows)
    assert (with_gates.verdicts[0][:, :size] == without.verdicts[0]).all()
    assert (with_gates.verdicts[0][:, size:] == "-").all()
    pd.testing.assert_frame_equal(with_gates.table(), without.table())
    assert with_gates.glance().equals(without.glance())


def test_enough_lists_the_sizes_that_reach_a_probability(found):
    assert found.enough("H4", probability=0.0).to_numpy()[:, :2].tolist() == [[12, 8]]
    with pytest.raises(ModelError, match="No row"):
        found.enough("H99")


@pytest.mark.parametrize(("sizes", "code"), [([(1, 5)], "TooFewRows"), ([(10, 0)], "TooFewRows")])
def test_sizes_that_are_no_study(plan, world, sizes, code):
    with pytest.raises(ModelError) as caught:
        power(plan, world, sizes, replicates=1)
    assert caught.value.code == code


def test_an_unknown_backend_is_named(plan, world):
    with pytest.raises(ModelError, match="joblib, dask"):
        power(plan, world, SMALL, replicates=1, backend="ray")


@pytest.mark.parametrize(
    ("change", "code"),
    [({"replicates": 0}, "BadArgument"), ({"workers": 0}, "BadArgument"), ({"gates": "yes"}, "BadArgument"),
     ({"seed": -1}, "BadSeed"), ({"sizes": ["60x15"]}, "BadArgument"), ({"sizes": [(60, 15, 2)]}, "BadArgument")],
)  # fmt: skip
def test_requests_that_make_no_sense(plan, world, change, code):
    with pytest.raises(ModelError) as caught:
        power(plan, world, **{"sizes": SMALL, "replicates": 1, **change})
    assert caught.value.code == code
