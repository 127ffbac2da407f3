"""Rivals: what each check says in made data with and without a common method."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import cocoanalysis as coco
from cocoanalysis.errors import CocoError

ROOT = Path(__file__).parents[2]


def raters(method, seed=1, groups=150, size=12, true=0.5):
    """Cluster-level views correlated `true`; every rater adds noise, shared between the two to the degree `method`."""
    random = np.random.default_rng(seed)
    level = random.multivariate_normal([0, 0], [[1, true], [true, 1]], groups) * 0.5
    codes = np.repeat(np.arange(groups), size)
    shared = random.normal(size=len(codes)) * np.sqrt(method)
    noise = random.normal(size=(2, len(codes))) * np.sqrt(1 - method)
    return pd.DataFrame(
        {"x": level[codes, 0] + shared + noise[0], "y": level[codes, 1] + shared + noise[1], "g": codes}
    )


def by_name(fit):
    return fit.tidy().set_index("estimate")["est"]


def test_split_clusters_recover_the_clusters_correlation_with_and_without_method():
    for method in (0.0, 0.6):
        found = by_name(coco.split_cluster(raters(method), outcome="y", predictor="x", cluster="g", draws=50))
        assert found["other raters, disattenuated"] == pytest.approx(0.5, abs=0.12)
        assert found["other raters"] < found["other raters, disattenuated"]
    same = [
        by_name(coco.split_cluster(raters(m), outcome="y", predictor="x", cluster="g", draws=9)) for m in (0.0, 0.6)
    ]
    assert same[1]["same raters"] > same[0]["same raters"] + 0.1
    assert same[1]["same raters"] > same[1]["other raters"] + 0.1


def test_the_interval_covers_and_the_seed_decides():
    settings = {"outcome": "y", "predictor": "x", "cluster": "g", "splits": 20, "draws": 300, "seed": 4}
    fit = coco.split_cluster(raters(0.3, seed=2), **settings)
    low, high = fit.tidy().set_index("estimate").loc["other raters, disattenuated", ["ci_lower", "ci_upper"]]
    assert low < 0.5 < high
    again = coco.split_cluster(
        raters(0.3, seed=2), outcome="y", predictor="x", cluster="g", splits=20, draws=300, seed=4
    )
    pd.testing.assert_frame_equal(fit.tidy(), again.tidy())


def test_icc_of_the_split_is_that_of_the_aggregation_room(climate):
    fit = coco.split_cluster(climate, outcome="HOSTILE", predictor="LEAD", cluster="company", splits=3, draws=9)
    theirs = coco.icc(climate, ["LEAD", "HOSTILE"], "company").tidy()
    assert [fit.numbers["icc_predictor"], fit.numbers["icc_outcome"]] == pytest.approx(list(theirs["icc1"]))


LOADINGS = [0.85, 0.7, 0.55, 0.4] * 3


def items(method, n=900, seed=3):
    """Two factors correlated .3 with four items each, four marker items, and one method in all of them."""
    random = np.random.default_rng(seed)
    factors = random.multivariate_normal([0, 0], [[1, 0.3], [0.3, 1]], n)
    common, own = random.normal(size=n), random.normal(size=n)
    columns = {}
    for k in range(12):
        true = factors[:, k // 4] if k < 8 else own
        rest = 1 - LOADINGS[k] ** 2 - method
        columns[f"x{k}"] = LOADINGS[k] * true + np.sqrt(method) * common + np.sqrt(rest) * random.normal(size=n)
    return pd.DataFrame(columns)


MODEL = "f =~ x0 + x1 + x2 + x3\ng =~ x4 + x5 + x6 + x7"
MARKER = "mark =~ x8 + x9 + x10 + x11"


def test_a_marker_that_shares_the_method_shows_it_and_corrects_the_correlation():
    found = coco.marker_technique(items(0.2), MODEL, marker=MARKER)
    tests = found.tests["p_value"].to_numpy()
    assert list(found.tidy()["model"]) == ["CFA", "baseline", "method-C", "method-U", "method-R"]
    assert tests[0] < 0.001
    assert tests[1] > 0.01
    table = found.correlations()
    # planted .3; a marker that is mostly itself corrects only part of the way
    assert 0.3 < table["r_with"][0] < table["r_without"][0] - 0.02
    assert 0.02 < found.share < 0.3
    assert "sensitivity check" in repr(found)


def test_a_marker_without_method_shows_none():
    found = coco.marker_technique(items(0.0), MODEL, marker=MARKER)
    assert found.tests["p_value"][0] > 0.01
    assert abs(found.correlations()["change"][0]) < 0.05
    assert found.share < 0.01


def test_the_models_nest_by_the_degrees_of_freedom_of_williams_et_al():
    found = coco.marker_technique(items(0.2), MODEL, marker=MARKER)
    df = found.tidy().set_index("model")["df"]
    assert df["baseline"] - df["CFA"] == 2 + 8  # two correlations, four loadings and four residual variances
    assert df["baseline"] - df["method-C"] == 1
    assert df["method-C"] - df["method-U"] == 7
    assert df["method-R"] - df["method-C"] == 1


def test_an_unmeasured_method_factor_takes_its_share():
    found = coco.method_factor(items(0.2, n=3000), f"{MODEL}\n{MARKER}")
    assert found.tests["p_value"][0] < 0.001
    assert found.share == pytest.approx(0.2, abs=0.08)  # planted: .2 of a variance of 1
    assert (found.correlations()["change"] < -0.05).all()


def test_harman_describes(climate):
    names = [f"lead{k}" for k in range(1, 12)]
    row = coco.harman(climate, names).iloc[0]
    values = np.linalg.eigvalsh(climate[names].corr())
    assert row["first_eigenvalue_share"] == pytest.approx(values[-1] / 11)
    assert "proves no method bias" in row["note"]


@pytest.mark.parametrize(
    ("work", "code"),
    [(lambda d: coco.split_cluster(d, outcome="HOSTILE", predictor="LEAD"), "NoCluster"),
     (lambda d: coco.split_cluster(d.head(100), outcome="HOSTILE", predictor="LEAD", cluster="company"), "FewClusters"),
     (lambda d: coco.marker_technique(d, "leadership"), "NoModel"),
     (lambda d: coco.marker_technique(d, MODEL, estimator="wlsmv"), "UnknownChoice")],
)  # fmt: skip
def test_requests_that_cannot_be_met_say_why(work, code, climate):
    with pytest.raises(coco.CocoError) as caught:
        work(climate)
    assert caught.value.code == code


def test_a_disattenuated_value_beyond_one_is_no_correlation():
    random = np.random.default_rng(0)
    group = np.repeat(np.arange(20), 4)
    view = random.normal(size=20)[group]
    noise = random.normal(size=(2, 80)) * 3
    found = []
    for own in (noise, noise * 0.1):
        table = pd.DataFrame({"x": view + own[0], "y": view + own[1], "group": group})
        split = coco.split_cluster(table, outcome="y", predictor="x", cluster="group", splits=20, draws=9, seed=1)
        found.append((split.tidy()["est"].iloc[2] > 1, "BeyondOne" in {d.code for d in split.diagnostics}))
    assert all(beyond == told for beyond, told in found)
    assert (True, True) in found


@pytest.mark.parametrize(
    "ask",
    [
        lambda t: coco.mediate(t, outcome="y", predictor="x", mediators="m", draws=9),
        lambda t: coco.dominance(t, outcome="y", predictors=["x", "m"]),
        lambda t: coco.dominance(t, outcome="y", predictors=["x", "m"], cluster="g"),
        lambda t: coco.necessity(t, outcome="y", predictors=["x", "m"], draws=9),
        lambda t: coco.simple_slopes(t, outcome="y", predictor="x", moderator="m"),
        lambda t: coco.simple_slopes(t, outcome="y", predictor="x", moderator="m", cluster="g"),
        lambda t: coco.split_cluster(t, outcome="y", predictor="m", cluster="g"),
    ],
)
def test_categories_where_numbers_are_needed_are_named(ask):
    random = np.random.default_rng(1)
    table = pd.DataFrame(random.normal(size=(80, 2)), columns=["x", "y"])
    table["m"] = pd.Categorical(random.integers(1, 6, 80), ordered=True)
    table["g"] = np.repeat(np.arange(10), 8)
    with pytest.raises(CocoError, match="'m' holds categories") as fault:
        ask(table)
    assert fault.value.code == "NotNumeric"
