"""The committed counts of verdicts: of this plan and these worlds, made by this code, and within the rule's promise."""

from pathlib import Path

import pytest

from cocoanalysis.fieldwork.reading import read_responses
from cocoanalysis.instrument.reading import read_survey
from cocoanalysis.propositions.plan import read_plan
from cocoanalysis.propositions.verdicts import judge
from cocoanalysis.worlds.power import SEED, power, read_power
from cocoanalysis.worlds.world import read_world, simulate

HOME = Path(__file__).parents[2] / "surveys" / "cocreation"
WORLDS = {path.stem: path for path in [HOME / "world.yaml", *sorted((HOME / "worlds").glob("*.yaml"))]}


@pytest.fixture(scope="module")
def plan():
    return read_plan(HOME)


@pytest.mark.parametrize("name", WORLDS)
def test_counts_are_of_this_plan_and_world_and_come_out_again(plan, name):
    world = read_world(WORLDS[name])
    kept = read_power(HOME / "power" / f"{name}.json", plan, world)
    again = power(plan, world, replicates=2, seed=SEED)
    assert (again.verdicts[0] == kept.verdicts[0][:2]).all()
    assert kept.glance()["failed"].item() == 0


def test_the_null_world_has_a_false_verdict_in_at_most_alpha_of_the_studies(plan):
    row = read_power(HOME / "power" / "null.json").glance().iloc[0]
    assert row["studies"] == 1000
    assert row["any_wrong"] <= plan.form.alpha + 1.645 * row["any_wrong_se"]


def test_nine_in_ten_planted_verdicts_are_found_over_300_seeds():
    row = read_power(HOME / "power" / "world.json").glance().iloc[0]
    assert row["studies"] == 300
    assert row["right"] > 0.9


def test_the_bundled_sample_reads_as_its_readme_says(plan):
    """Supported, contradicted and negligible rows, and two in which the rule errs on this seed."""
    sample = read_responses(HOME / "synthetic.csv", read_survey(HOME))
    table = judge(plan, sample, gates=False, exploratory=False).tidy().set_index(["hypothesis", "outcome"])
    assert {"supported", "contradicted", "negligible"} <= set(table["verdict"])
    wrong = table.loc[[("H3a", "capabilities"), ("H6a", "capabilities")], "verdict"]
    assert wrong.tolist() == ["supported", "supported"]


def test_larger_studies_reach_more_verdicts(plan):
    found = read_power(HOME / "power" / "sizes.json", plan, read_world(HOME))
    right = found.glance()["right"]
    assert right.is_monotonic_increasing
    assert len(found.enough("H3a", verdict="negligible", probability=0.8)) < len(found.sizes)


@pytest.mark.parametrize("name", ["method-ideal-marker", "method-poor-marker", "reverse", "omitted-confounder"])
def test_the_rule_alone_is_fooled_by_rivals(name):
    """A regression cannot tell these worlds from a true one: the counts must say so, loudly."""
    assert read_power(HOME / "power" / f"{name}.json").glance()["any_wrong"].item() > 0.9


@pytest.mark.slow
def test_the_gate_closes_where_the_practices_are_one_thing(plan):
    """What the regressions alone get wrong in that world, the measurement gate keeps from being judged at all."""
    world = read_world(WORLDS["one-factor"])
    table = judge(plan, simulate(world, seed=1), exploratory=False).tidy()
    guarded = [row for row in table.to_dict("records") if row["hypothesis"] in plan.form.gates[0].guards]
    assert len(guarded) >= 9
    for row in guarded:
        planted = world.truth(row["hypothesis"], row["outcome"], row["predictor"])
        assert row["verdict"] == planted == "not testable"
