"""Two-level models with errors robust over clusters, against lavaan 0.6-14 (make_twolevel_mlr.R), and properties."""

import math

import numpy as np
import pandas as pd
import pytest

import cocoanalysis as coco
from cocoanalysis.errors import CocoError
from tests.measurement.reference import table, values

LAVAAN = values("twolevel_mlr")
BLOCKS = "level: 1\nfw =~ y1 + y2 + y3\nfw ~ x2\nlevel: 2\nfb =~ y1 + y2 + y3"
INDICES = {
    "cfi": "cfi",
    "tli": "tli",
    "rmsea": "rmsea",
    "rmsea.ci.lower": "rmsea_lower",
    "rmsea.pvalue": "rmsea_p_close",
}
NAMES = {"chisq": "chi2", "df": "df", "chisq.scaled": "chi2_scaled", "chisq.scaling.factor": "scaling_factor"}
NAMES |= {"baseline.chisq": "baseline_chi2", "baseline.chisq.scaled": "baseline_chi2_scaled"} | INDICES
NAMES |= {f"{a}.{k}": f"{b}_{k}" for a, b in INDICES.items() for k in ("scaled", "robust")}


@pytest.fixture(scope="module")
def data():
    found = table("twolevel")
    return found.assign(x2=found.x2 - found.x2.mean())


def fitted(data, model=BLOCKS, **more):
    return coco.sem(data, model, cluster="id", estimator="mlr", **more)


@pytest.mark.parametrize("name", [n for n in LAVAAN if n != "difference"])
def test_robust_errors_and_tests_are_lavaans(name, data):
    """Estimates and errors as near as lavaan's two-level search comes to its end; tests and indices to 1e-5."""
    want = LAVAAN[name]
    fit = fitted(data, want["model"])
    glance = fit.glance().iloc[0]
    for theirs, ours in NAMES.items():
        assert glance[ours] == pytest.approx(want["fit"][theirs], rel=1e-5, abs=1e-5), ours
    ours = {(r.lhs, r.op, r.rhs, r.level): r for r in fit.tidy().itertuples()}
    for p in want["parameters"]:
        level, rhs = {"within": 1, "between": 2}.get(p["level"]) or int(p["level"]), p["rhs"] or ""
        row = ours.get((p["lhs"], p["op"], rhs, level)) or ours.get((rhs, p["op"], p["lhs"], level))
        assert row is not None, p
        assert row.est == pytest.approx(p["est"], rel=1.5e-4, abs=1.5e-4)
        if isinstance(p["se"], float) and p["se"] > 0:
            assert row.se == pytest.approx(p["se"], rel=2e-4), p


def test_the_scaled_difference_of_nested_models_is_lavaans(data):
    """Equal loadings at both levels; Satorra & Bentler (2001) by lavTestLRT."""
    wide = LAVAAN["cfa"]["model"]
    narrow = wide.replace("y1 + y2 + y3", "y1 + a*y2 + b*y3")
    last = coco.compare(fitted(data, wide), fitted(data, narrow)).tidy().iloc[-1]
    assert last.delta_df == LAVAAN["difference"]["df_diff"]
    assert last.delta_chi2 == pytest.approx(LAVAAN["difference"]["chisq_diff"], rel=1e-5)


def test_scores_of_clusters_sum_to_the_gradient(data):
    fit = fitted(data)
    theta = fit.solution.theta + 0.03
    _, gradient = fit.problem.discrepancy.gradient(theta)
    (scores,) = fit.problem.discrepancy.scores(theta)
    assert scores.shape == (80, len(theta))
    assert -scores.sum(axis=0) / fit.problem.total == pytest.approx(gradient, abs=1e-10)


def test_the_zero_of_a_covariate_decides_nothing(data):
    """lavaan 0.6-14 leaves the mean of a within covariate out of its scores and fails here."""
    one, two = fitted(data), fitted(data.assign(x2=data.x2 + 5))
    for a, b in zip(one.tidy().itertuples(), two.tidy().itertuples()):
        if a.op != "~1":
            assert b.se == pytest.approx(a.se, rel=1e-5, abs=1e-9)
    assert two.measures["chi2_scaled"] == pytest.approx(one.measures["chi2_scaled"], rel=1e-6)


def test_groups_with_nothing_in_common_have_the_errors_of_each_alone(data):
    """lavaan 0.6-14 weighs the groups' scores by rows where it should by clusters, and gives other ones."""
    both = fitted(data, group="school").tidy()
    for name, part in data.groupby("school"):
        alone, here = fitted(part).tidy(), both[both.group == str(name)]
        assert here.est.to_numpy() == pytest.approx(alone.est.to_numpy(), rel=1e-5, abs=1e-6)
        assert here.se.to_numpy() == pytest.approx(alone.se.to_numpy(), rel=1e-5, abs=1e-6)


def test_plain_and_robust_errors_are_alike_where_the_model_holds_and_apart_where_answers_are_skew():
    rng, clusters = np.random.default_rng(4), 150
    code = np.repeat(np.arange(clusters), 8)

    def frame(draw):
        within, between = draw(len(code)), draw(clusters)[code]
        return pd.DataFrame({f"y{k}": within + between + draw(len(code)) for k in (1, 2, 3)} | {"id": code})

    def ratio(data):
        model = BLOCKS.replace("fw ~ x2\n", "")
        plain, robust = coco.sem(data, model, cluster="id").tidy(), fitted(data, model).tidy()
        variances = (plain.op == "~~") & (plain.se > 0) & (plain.level == 1)
        return float(np.median(robust.se[variances] / plain.se[variances]))

    assert ratio(frame(lambda n: rng.normal(size=n))) == pytest.approx(1, abs=0.15)
    assert ratio(frame(lambda n: rng.exponential(size=n))) > 1.2


@pytest.mark.parametrize("name", ["cfa", "paths", "within_only"])
def test_factor_scores_of_both_levels_are_lavaans(name, data):
    """Of people and of their clusters; lavaan's own estimates are off by up to 1e-4."""
    want, fit = LAVAAN[name], fitted(data, LAVAAN[name]["model"])
    scores = fit.scores().to_numpy()
    within = np.array(want["scores_within"])
    k = within.shape[1]
    assert scores[:12, :k] == pytest.approx(within, abs=2e-4)
    order = data.id.drop_duplicates().index[:12]  # lavaan counts clusters as they come
    assert scores[order, k:] == pytest.approx(np.array(want["scores_between"]), abs=2e-4)


def test_factor_scores_are_the_expectations_given_all_answers_of_the_cluster(data):
    """By the dense normal distribution of a cluster's rows, with variables that only clusters have.

    lavaan 0.6-14 takes 0 for the latter, so that its scores of clusters differ there.
    """
    fit = fitted(data, LAVAAN["covariates"]["model"])
    within, between = fit.problem.structure.implied(fit.solution.theta)
    members = data[data.id == 7]
    n, y, z, x = len(members), ["y1", "y2", "y3"], ["z1", "z2"], ["x2"]
    inside, above = fit.problem.structure.blocks
    w = [inside.observed.index(v) for v in (*y, *x)]
    b = [above.observed.index(v) for v in (*y, *z)]
    sigma_w, sigma_b = within.cov[np.ix_(w, w)], between.cov[np.ix_(b, b)]
    shared = np.zeros((4, 4))
    shared[:3, :3] = sigma_b[:3, :3]
    cross = np.vstack([sigma_b[:3, 3:], np.zeros((1, 2))])
    people = np.kron(np.eye(n), sigma_w) + np.kron(np.ones((n, n)), shared)
    whole = np.block([[people, np.tile(cross, (n, 1))], [np.tile(cross.T, (1, n)), sigma_b[3:, 3:]]])
    mean = within.mean[w] + np.append(between.mean[b][:3], 0)
    away = np.concatenate([(members[[*y, *x]].to_numpy() - mean).ravel(), members[z].iloc[0] - between.mean[b][3:]])
    solved = np.linalg.solve(whole, away)
    own, of_cluster = within.left[w, inside.p + inside.m], between.left[b, above.p + above.m]
    given = np.concatenate([np.tile(np.append(of_cluster[:3], 0), n), of_cluster[3:]])
    scores = fit.scores().loc[members.index]
    assert scores["fb"].to_numpy() == pytest.approx(between.latent_mean[0] + given @ solved, abs=1e-9)
    first = np.concatenate([own, np.zeros(4 * (n - 1) + 2)])
    assert scores["fw"].iloc[0] == pytest.approx(within.latent_mean[0] + first @ solved, abs=1e-9)
    assert scores["fb"].nunique() <= 1 or np.ptp(scores["fb"]) < 1e-12


def test_scores_of_one_name_at_both_levels_say_the_level_and_bartletts_are_refused(data):
    fit = fitted(data, BLOCKS.replace("fw", "f").replace("fb", "f"))
    assert list(fit.scores().columns) == ["f_within", "f_between"]
    assert list(fit.scores().index) == list(data.index)
    with pytest.raises(CocoError, match="two levels"):
        fit.scores("bartlett")


def test_the_bundle_says_mlr(data, tmp_path):
    script = (fitted(data).to_lavaan(tmp_path) / "fit.R").read_text()
    assert 'estimator = "MLR"' in script
    assert not math.isnan(fitted(data).measures["cfi_robust"])
