"""Worlds: what is planted is what comes out, checked against the file's own numbers, never against earlier output."""

from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import cocoanalysis as coco
from cocoanalysis.errors import ModelError
from cocoanalysis.responses.writing import write_responses
from cocoanalysis.worlds.population import REASONS
from cocoanalysis.worlds.world import World, read_world, simulate

SURVEYS = Path(__file__).parents[2] / "surveys"
HOME = SURVEYS / "cocreation"
WORLDS = [HOME / "world.yaml", *sorted((HOME / "worlds").glob("*.yaml"))]
LARGE = 600  # collaborations; Monte Carlo error of a correlation about .01


@pytest.fixture(scope="module")
def world() -> World:
    return read_world(HOME)


@pytest.fixture(scope="module")
def null() -> World:
    return read_world(HOME / "worlds" / "null.yaml")


@pytest.fixture(scope="module")
def large(world):
    return world.draw(seed=11, clusters=LARGE)


def places(world, construct):
    ids = list(world.survey.items)
    return [ids.index(id) for id in world.survey.constructs[construct].items]


def scores(world, draw, construct):
    return pd.DataFrame(world.population.keyed(draw)[:, places(world, construct)]).mean(axis=1).to_numpy()


def icc1(values, cluster):
    """ICC(1) by the one-way analysis of variance with k₀ for unequal sizes (Bliese, 2000)."""
    table = pd.DataFrame({"y": values, "g": cluster}).dropna()
    groups = table.groupby("g")["y"]
    n, total = groups.size(), len(table)
    between = (n * (groups.mean() - table.y.mean()) ** 2).sum() / (len(n) - 1)
    within = ((table.y - groups.transform("mean")) ** 2).sum() / (total - len(n))
    k = (total - (n**2).sum() / total) / (len(n) - 1)
    return (between - within) / (between + (k - 1) * within)


def slope(y, x, cluster):
    """Within-collaboration slope of standardised variables, and its standard error."""
    table = pd.DataFrame({"y": y, "x": x}).dropna()
    centred = table - table.groupby(np.asarray(cluster)[table.index]).transform("mean")
    centred /= centred.std()
    b = (centred.x * centred.y).mean()
    return b, np.sqrt((1 - b**2) / len(centred))


# The bundled worlds ---------------------------------------------------------------------------------


@pytest.mark.parametrize("path", WORLDS, ids=lambda path: path.stem)
def test_every_bundled_world_gives_answers_that_the_instrument_allows(path):
    responses = simulate(path, n=120, seed=3)
    assert responses.provenance == "synthetic"
    assert len(responses.frame) == 120
    for id, item in responses.survey.items.items():
        assert set(responses.frame[id].dropna()) <= set(item.scale.codes)
        assert (responses.frame[id].isna() == responses.missing[id].notna()).all()


def test_the_committed_sample_is_seed_1_and_can_be_made_again(world, tmp_path):
    made = write_responses(simulate(world, seed=1), tmp_path / "again.csv")
    assert made.read_bytes() == (HOME / "synthetic.csv").read_bytes()
    sample = next(sample for sample in world.survey.samples if sample.file == "synthetic.csv")
    assert sample.provenance == "synthetic"
    assert sample.sha256 == sha256(made.read_bytes()).hexdigest()


def test_the_committed_sample_reads_back_with_every_reason(world):
    read, made = coco.read_responses(HOME / "synthetic.csv", world.survey), simulate(world, seed=1)
    assert read.provenance == "synthetic"
    for id in world.survey.items:
        assert read.frame[id].equals(made.frame[id]), id
        assert (read.missing[id].astype(object).fillna("") == made.missing[id].astype(object).fillna("")).all(), id
    assert (read.frame["domain"].astype(str) == made.frame["domain"].astype(str)).all()


def test_same_seed_same_answers_and_another_seed_others(world):
    first, again, other = (simulate(world, n=90, seed=seed).frame for seed in (7, 7, 8))
    pd.testing.assert_frame_equal(first, again)
    assert not first.equals(other)


# What is planted comes out ----------------------------------------------------------------------------


def test_population_variance_of_every_item_is_one(world):
    p, m = world.population, world.population.measurement
    sigma = world.correlations().to_numpy()
    variance = np.einsum("ij,jk,ik->i", m.loadings, sigma, m.loadings) + m.method**2 + m.acquiescence**2
    assert variance + (m.errors**2).sum(axis=1) == pytest.approx(np.ones(len(p.items)), abs=1e-9)


def test_latent_correlations_are_those_of_steps_and_paths(null):
    draw = null.draw(seed=5, clusters=LARGE)
    found = np.corrcoef(draw.latents, rowvar=False)
    assert found == pytest.approx(null.correlations().to_numpy(), abs=0.05)


def test_paths_are_recovered_by_regression(world):
    """capacity ~ committing + capabilities is planted at −.34 and .20 within collaborations."""
    p = world.population
    w = p.within.draw(np.random.default_rng(2).standard_normal((40_000, len(p.latents))))
    x = w[:, [p.latents.index("committing"), p.latents.index("capabilities")]]
    assert np.linalg.lstsq(x, w[:, p.latents.index("capacity")], rcond=None)[0] == pytest.approx([-0.34, 0.2], abs=0.02)
    assert w.std(axis=0) == pytest.approx(np.ones(len(p.latents)), abs=0.025)


def test_practices_correlate_as_the_construct_map_asks(world):
    names = list(world.survey.blocks["practices"])
    table = world.correlations().loc[names, names].to_numpy()
    off = table[~np.eye(len(names), dtype=bool)]
    assert off.min() > 0.45
    assert off.max() < 0.75


def test_loadings_lie_between_55_and_85(world):
    keyed = world.population.measurement.loadings.max(axis=1)
    reflective = [k for id in world.survey.constructs for k in places(world, id) if keyed[k] > 0]
    assert keyed[reflective].min() >= 0.55
    assert keyed[reflective].max() <= 0.85


def test_parts_of_a_composite_correlate_as_planted(world):
    m, rows = world.population.measurement, places(world, "alliances")
    column = world.population.latents.index("alliances")
    loadings = m.loadings[rows, column]
    covariance = np.outer(loadings, loadings) + (m.errors @ m.errors)[np.ix_(rows, rows)]
    r = covariance / np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
    off = r[~np.eye(len(rows), dtype=bool)]
    assert off == pytest.approx(np.full(20, 0.3), abs=0.06)  # minor factors add their noise


@pytest.mark.parametrize("construct", ["mobilising", "committing", "framing", "outwards", "inwards", "softbeyond"])
def test_icc1_of_practices_is_about_ten_per_cent(world, large, construct):
    assert icc1(scores(world, large, construct), large.respondents.cluster) == pytest.approx(0.10, abs=0.025)


def test_answers_are_skewed_as_agreement_items_are(world, large):
    keyed = world.population.keyed(large)
    measured = [k for id in world.survey.constructs for k in places(world, id) if id not in ("checkone", "checktwo")]
    skew = pd.DataFrame(keyed[:, measured]).skew()
    assert -0.9 < skew.median() < -0.4
    assert (skew < 0).mean() > 0.85


def test_missing_answers_are_about_five_per_cent_and_depend_on_role(world, large):
    assert (large.reasons > 0).mean() == pytest.approx(0.05, abs=0.006)
    role = next(q for q in world.population.people.questions if q.id == "role")
    lead = large.respondents.values["role"] == role.categories.index("lead")
    cannot = (large.reasons == REASONS.index("cannot_judge")).mean(axis=1)
    assert cannot[~lead].mean() > 2 * cannot[lead].mean()


def test_careless_rows_are_about_seven_per_cent_and_mostly_fail_a_check(world, large):
    ids = list(world.survey.items)
    passed = np.all([large.answers[:, ids.index(a)] == e - 1 for a, e in (("att1", 3), ("att2", 6))], axis=0)
    assert large.careless.mean() == pytest.approx(0.07, abs=0.01)
    assert passed[large.careless].mean() < 0.25
    assert passed[~large.careless].mean() == pytest.approx(0.985**2, abs=0.01)


def test_sizes_are_unequal_add_up_and_some_people_sit_twice(world):
    who = world.draw(seed=1).respondents
    sizes = np.bincount(who.cluster)
    assert (len(sizes), sizes.sum()) == (60, 900)
    assert sizes.min() >= 6
    assert sizes.std() > 2
    assert len(who.again) >= 30
    assert (who.person[who.again] == who.person[who.first]).all()
    assert (who.cluster[who.again] != who.cluster[who.first]).all()
    assert (who.values["gender"][who.again] == who.values["gender"][who.first]).all()


def test_collaboration_variables_are_constant_within_collaborations(world):
    frame = simulate(world, n=200, seed=2).frame
    for name in ("country", "field", "collabage", "collabsize", "sectors", "mandated"):
        assert (frame.groupby("collaboration")[name].nunique() == 1).all()


@pytest.mark.parametrize(
    ("outcome", "predictor"),
    [("served", "mobilising"), ("capacity", "committing"), ("alignment", "inwards"), ("framing", "inwardlogic")],
)
def test_null_world_has_no_slopes(null, outcome, predictor):
    draw = null.draw(seed=21, clusters=LARGE)
    b, se = slope(scores(null, draw, outcome), scores(null, draw, predictor), draw.respondents.cluster)
    assert abs(b) < 3.5 * se


def test_only_the_ideal_marker_carries_the_method():
    found = {}
    for kind in ("ideal", "poor"):
        world = read_world(HOME / "worlds" / f"method-{kind}-marker.yaml")
        draw = world.draw(seed=4, clusters=LARGE)
        cluster = draw.respondents.cluster
        found[kind] = slope(scores(world, draw, "served"), scores(world, draw, "marker"), cluster)[0]
        assert slope(scores(world, draw, "served"), scores(world, draw, "mobilising"), cluster)[0] > 0.15
    assert found["ideal"] > 0.15
    assert abs(found["poor"]) < 0.05


def test_one_factor_world_has_indistinct_practices():
    table = read_world(HOME / "worlds" / "one-factor.yaml").correlations()
    practices = ["mobilising", "framing", "inwards", "alliances"]
    assert table.loc[practices, practices].to_numpy().min() > 0.95


def test_noninvariant_world_differs_by_group_and_only_there():
    world = read_world(HOME / "worlds" / "non-invariant.yaml")
    draw = world.draw(seed=6, clusters=LARGE)
    ids, keyed = list(world.survey.items), world.population.keyed(draw)
    country = next(q for q in world.population.people.questions if q.id == "country")
    there = draw.respondents.values["country"] == country.categories.index("united_states")
    mean = pd.DataFrame(keyed, columns=ids).groupby(there)[["mob1", "com1"]].mean()
    gap = mean.loc[True] - mean.loc[False]
    assert gap["mob1"] > 0.3
    assert abs(gap["com1"]) < 0.15


def test_planned_form_asks_the_common_block_and_two_more(world):
    design = world.file.design.model_copy(update={"form": "planned"})
    planned = World(world.file.model_copy(update={"design": design}), world.survey, world.path)
    draw = planned.draw(seed=1)
    blocks = np.array([item.block for item in world.survey.items.values()])
    asked = draw.reasons != REASONS.index("not_asked")
    counts = np.array([asked[:, blocks == block].all(axis=1) for block in "abc"]).sum(axis=0)
    assert asked[:, blocks == "x"].all()
    assert (counts == 2).all()


def test_sizes_follow_what_is_asked_for(world):
    assert world.draw(n=450, seed=1).respondents.clusters == 30
    draw = world.draw(n=50, seed=1, clusters=10)
    assert (draw.respondents.clusters, draw.respondents.n) == (10, 50)


# Faults -----------------------------------------------------------------------------------------------


SMALL = """schema: 1
id: small
base: {base}
title: "A change"
"""


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("within: {paths: {served: {nobody: 0.2}}}", "UnknownLatent"),
        ("within: {paths: {nobody: {served: 0.2}}}", "UnknownLatent"),
        ("within: {paths: {mobilising: {served: 0.2}}}", "PathOrder"),
        ("within: {paths: {served: {mobilising: 0.9, framing: 0.9}}}", "TooMuchExplained"),
        ("within: {steps: [{latents: [mobilising]}]}", "UnmeasuredConstruct"),
        ("measurement: {items: {mob1: {loading: 0.99}}}", "NegativeUniqueness"),
        ("measurement: {items: {mob99: {loading: 0.5}}}", "UnknownItem"),
        ("measurement: {cuts: {frequency7: [0, 1]}}", "UnknownScale"),
        ("background: {domain: {shares: {politician: 0.5}}}", "BadShares"),
        ("background: {nobody: {shares: {a: 1}}}", "UnknownBackground"),
        ("influences: [{of: role, category: boss, latents: [served], size: 0.1}]", "UnknownBackground"),
        ("influences: [{of: role, category: lead, latents: [srved], size: 0.1}]", "UnknownLatent"),
        ("desgn: {clusters: 3}", "UnknownKey"),
        ("clear: [within.roads]", "NothingToClear"),
        ("design: {clusters: many}", "WrongKind"),
    ],
)
def test_faults_of_a_world_are_named(tmp_path, change, code):
    path = tmp_path / "world.yaml"
    path.write_text(SMALL.format(base=f'"{HOME / "world.yaml"}"') + change + "\n", encoding="utf-8")
    with pytest.raises(ModelError) as caught:
        simulate(path, n=60)
    assert caught.value.code == code


def test_a_base_that_is_not_there_is_named_with_its_place(tmp_path):
    path = tmp_path / "world.yaml"
    path.write_text(SMALL.format(base="nowhere.yaml"), encoding="utf-8")
    with pytest.raises(ModelError, match=r"world\.yaml:3:7"):
        read_world(path)


def test_a_study_needs_rows(world):
    with pytest.raises(ModelError, match="at least one row"):
        simulate(world, n=0)
