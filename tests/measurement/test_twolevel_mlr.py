"""Two-level models with errors robust over clusters, against lavaan 0.6-14 (make_twolevel_mlr.R), and properties."""

import math

import numpy as np
import pandas as pd
import pytest

import cocoanalysis as coco
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


@pytest.mark.parametrize("name", LAVAAN)
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


def test_the_bundle_says_mlr(data, tmp_path):
    script = (fitted(data).to_lavaan(tmp_path) / "fit.R").read_text()
    assert 'estimator = "MLR"' in script
    assert not math.isnan(fitted(data).measures["cfi_robust"])
