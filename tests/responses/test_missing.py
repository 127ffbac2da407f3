"""Missing answers: Little's test against lavaan's moments, pooling against mice and mitml, imputation by coverage."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import expit

import cocoanalysis as coco
from cocoanalysis.errors import CocoError
from cocoanalysis.instrument.reading import read_survey
from cocoanalysis.responses import pooling
from cocoanalysis.responses.imputation import (
    Level,
    NominalModel,
    NumberModel,
    Variable,
    chosen_predictors,
    impute,
    potential_scale_reduction,
    run_chain,
)
from cocoanalysis.responses.missing import em_moments, little_mcar, missingness
from cocoanalysis.responses.responses import Responses
from tests.shared import ROOT
from tests.small import ITEMS, written

REFERENCE = ROOT / "tests" / "reference"
LITTLE = json.loads((REFERENCE / "little.json").read_text())
POOLED = json.loads((REFERENCE / "regression.json").read_text())

# Little's test: little.R (moments by lavaan 0.6-14). R's naniar prints 35.1, df 14, p .00142 for airquality.


@pytest.mark.parametrize(("name", "file"), [("airquality", "airquality.csv"), ("bfi6", "bfi6_missing.csv")])
def test_little_agrees_with_r(name, file):
    data, expected = pd.read_csv(REFERENCE / file), LITTLE[name]
    moments = em_moments(data.to_numpy(dtype=float))
    np.testing.assert_allclose(moments.means, expected["mean"], rtol=1e-6)
    np.testing.assert_allclose(moments.covariance, expected["cov"], rtol=1e-5, atol=1e-5)
    test = little_mcar(data)
    assert (test.df, test.n_patterns) == (expected["df"], expected["patterns"])
    assert test.chi2 == pytest.approx(expected["statistic"], rel=1e-5)
    assert test.p_value == pytest.approx(expected["p"], rel=1e-4)


def test_em_with_one_gappy_variable_is_the_regression_estimate():
    """Anderson (1957): with x complete, the mean of y is ȳ + b (mean of all x − x̄ of those with y)."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=300)
    y = 2 + 0.7 * x + rng.normal(size=300)
    y[x > 0.5] = np.nan
    there = ~np.isnan(y)
    b = np.cov(x[there], y[there])[0, 1] / x[there].var(ddof=1)
    expected = y[there].mean() + b * (x.mean() - x[there].mean())
    assert em_moments(np.column_stack([x, y]), tolerance=1e-12).means[1] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (pd.DataFrame({"a": [1.0, 2, 3], "b": [2.0, 1, 4]}), "no answer is missing"),
        (pd.DataFrame({"a": [1.0, 1, np.nan], "b": [2.0, 1, 4]}), "everybody gave the same answer to a"),
        (pd.DataFrame({"a": [np.nan] * 3, "b": [2.0, 1, 4]}), "hardly anybody answered a"),  # case 43
        (pd.DataFrame({"a": [1.0, np.nan], "b": [2.0, 1]}), "hardly anybody"),
    ],
)
def test_case_43_and_others_give_a_reason_instead_of_a_number(frame, reason):
    test = little_mcar(frame)
    assert reason in test.reason
    assert np.isnan(test.chi2)


def test_little_says_when_patterns_are_too_many():
    rng = np.random.default_rng(1)
    values = rng.normal(size=(60, 12))
    values[rng.random(values.shape) < 0.2] = np.nan
    assert "a pattern" in " ".join(little_mcar(pd.DataFrame(values)).notes())
    assert little_mcar(pd.read_csv(REFERENCE / "airquality.csv")).notes() == []


# Pooling: make_regression.R (mice 3.15.0, mitml 0.4-4) over five imputed sets


@pytest.fixture(scope="module")
def fits():
    sets = [pd.read_csv(REFERENCE / f"imputed_{i}.csv") for i in range(1, 6)]
    y = [one["HOSTILE"].to_numpy() for one in sets]
    x = [np.column_stack([np.ones(len(one)), one["LEAD"], one["TSIG"]]) for one in sets]
    b = np.array([np.linalg.lstsq(a, c, rcond=None)[0] for a, c in zip(x, y)])
    noise = [((c - a @ e) ** 2).sum() / (len(c) - 3) for a, c, e in zip(x, y, b)]
    return x, y, b, np.array([s * np.linalg.inv(a.T @ a) for a, s in zip(x, noise)])


def test_rubin_and_barnard_rubin_agree_with_mice(fits):
    _, _, b, v = fits
    expected = POOLED["pooled_barnard_rubin"]
    tables = [pd.DataFrame({"term": expected["term"], "est": e, "se": np.sqrt(np.diag(c))}) for e, c in zip(b, v)]
    table = pooling.pooled_tables(tables, df_complete=597)
    names = {"est": "est", "se": "se", "df": "df", "p_value": "p", "ci_lower": "lower", "ci_upper": "upper"}
    for ours, theirs in names.items():
        np.testing.assert_allclose(table[ours], expected[theirs], rtol=1e-8)


@pytest.mark.parametrize("name", ["D1", "D2", "D3"])
def test_pooled_tests_agree_with_mitml(fits, name):
    x, y, b, v = fits
    wald = [e[1:] @ np.linalg.solve(c[1:, 1:], e[1:]) for e, c in zip(b, v)]
    test = {
        "D1": lambda: pooling.d1(b[:, 1:], v[:, 1:, 1:]),
        "D2": lambda: pooling.d2(wald, 2),
        "D3": lambda: pooling.d3_regression(y, x, [1, 2]),
    }[name]()
    expected = POOLED[f"pooled_{name}"]
    assert [test.f, test.df1, test.df2] == pytest.approx(
        [expected["F.value"], expected["df1"], expected["df2"]], rel=1e-8
    )
    assert test.riv == pytest.approx(expected["RIV"], rel=1e-8)
    assert test.p_value == pytest.approx(expected["P(>F)"], rel=1e-6)


def test_pooling_equal_results_changes_nothing():
    table = pd.DataFrame({"term": ["a"], "est": [1.0], "se": [0.5]})
    pooled = pooling.pooled_tables([table, table, table])
    assert pooled.loc[0, ["est", "se", "riv", "fmi"]].tolist() == [1, 0.5, 0, 0]
    np.testing.assert_allclose(pooled["ci_upper"], 1 + stats.norm.ppf(0.975) * 0.5, rtol=1e-6)


def test_pooling_needs_several_results_with_the_same_rows():
    one = pd.DataFrame({"term": ["a"], "est": [1.0], "se": [0.5]})
    for tables, code in [([one], "TooFewImputations"), ([one, one.assign(term="b")], "DifferentTables")]:
        with pytest.raises(CocoError) as caught:
            pooling.pooled_tables(tables)
        assert caught.value.code == code


def test_pooled_omega_follows_rubins_rules_on_the_logarithm():
    """By hand: W = mean of u, B = variance of q, T = W + (1 + 1/m) B for q = ln(1 − ω), u = (se / (1 − ω))²."""
    omegas, errors = np.array([0.80, 0.84, 0.82]), np.array([0.02, 0.015, 0.018])
    tables = [
        pd.DataFrame({
            "scale": ["a"], "n_items": [4], "n": [200], "alpha": [0.8], "omega_total": [w],
            "omega_lower": [w - 1.959963984540054 * e], "omega_upper": [w + 1.959963984540054 * e],
        })
        for w, e in zip(omegas, errors)
    ]  # fmt: skip
    q, u = np.log(1 - omegas), (errors / (1 - omegas)) ** 2
    between, total = q.var(ddof=1), u.mean() + (1 + 1 / 3) * q.var(ddof=1)
    df = 2 * (total / ((1 + 1 / 3) * between)) ** 2
    reach = stats.t.ppf(0.975, df) * np.sqrt(total)
    row = pooling.pooled_reliability(tables).iloc[0]
    assert row.omega_total == pytest.approx(1 - np.exp(q.mean()), rel=1e-12)
    assert row.omega_lower == pytest.approx(1 - np.exp(q.mean() + reach), rel=1e-6)
    assert row.omega_upper == pytest.approx(1 - np.exp(q.mean() - reach), rel=1e-6)
    assert row.omega_riv == pytest.approx((1 + 1 / 3) * between / u.mean(), rel=1e-9)


def test_pooled_alpha_is_on_the_scale_of_its_interval():
    table = pd.DataFrame({"scale": ["s"], "n_items": [4], "n": [200], "alpha": [0.8]})
    pooled = pooling.pooled_reliability([table, table.assign(alpha=0.84)])
    assert pooled["alpha"][0] == pytest.approx(1 - np.sqrt(0.2 * 0.16))
    assert pooled["alpha_lower"][0] < pooled["alpha"][0] < pooled["alpha_upper"][0]


# Imputation ----------------------------------------------------------------------------------------------


def clustered(seed, n=300, teams=30):
    """Three ordinal items in clusters (ICC .2); gaps in the third depend on the first (missing at random)."""
    rng = np.random.default_rng(seed)
    team = np.repeat(np.arange(teams), n // teams)
    trait = rng.normal(size=n) + (rng.normal(size=teams) * 0.5)[team]
    full = np.column_stack(
        [np.digitize(b * trait + 0.7 * rng.normal(size=n), [-1.2, -0.3, 0.6, 1.4]) + 1.0 for b in (0.8, 0.8, 0.9)]
    )
    gaps = full.copy()
    gaps[rng.random(n) < expit(-1.6 + 1.2 * (full[:, 0] - 3)), 2] = np.nan
    return full, gaps, team


def analysed(values, team):
    """Mean of the third item and its slope on the first, with cluster-robust variances; variance of cluster means."""
    n, y = len(values), values[:, 2]
    k = team.max() + 1
    means = np.bincount(team, y) / np.bincount(team)
    x = np.column_stack([np.ones(n), values[:, 0]])
    inner = np.linalg.inv(x.T @ x)
    b = inner @ x.T @ y
    scores = np.stack([np.bincount(team, column * (y - x @ b)) for column in x.T])
    spread = (inner @ scores @ scores.T @ inner) * k / (k - 1)
    variance = means.var(ddof=1)
    return np.array([y.mean(), b[1], variance]), np.array([variance / k, spread[1, 1], 2 * variance**2 / (k - 1)])


def test_imputation_recovers_what_listwise_deletion_loses():
    """Coverage of 95 % intervals over 60 samples; binomial bounds (99.9 %) around .95 are .86 and 1."""
    variables = [Variable(f"v{i}", "ordinal") for i in range(3)]
    predictors = [np.array([1, 2]), np.array([0, 2]), np.array([0, 1])]
    truth, pooled, listwise = [], [], []
    for seed in range(60):
        full, gaps, team = clustered(seed)
        children = np.random.SeedSequence(seed).spawn(5)
        made = [
            run_chain(gaps, variables, predictors, team, iterations=10, generator=np.random.default_rng(child))
            for child in children
        ]
        parts = [analysed(one.values, team) for one in made]
        pooled.append(pooling.rubin(np.array([a for a, _ in parts]), np.array([v for _, v in parts]), 29))
        truth.append(analysed(full, team)[0])
        listwise.append(np.nanmean(gaps[:, 2]))
    target = np.mean(truth, axis=0)
    estimates = np.array([one.est for one in pooled])
    reach = np.array([stats.t.ppf(0.975, one.df) * one.se for one in pooled])
    covered = (np.abs(estimates - target) <= reach).mean(axis=0)
    assert (covered >= 0.86).all(), covered
    bias = estimates.mean(axis=0) - target
    assert np.abs(bias[:2]).max() < 0.03
    assert np.mean(listwise) - target[0] < -0.1  # deletion is off by more than .1 here
    assert abs(bias[2] / target[2]) < 0.15  # between-cluster variance is kept


def test_numbers_and_nominal_answers_are_imputed_from_their_model():
    rng = np.random.default_rng(8)
    x = rng.normal(size=(4000, 1))
    y = 10 + 3 * x[:, 0] + rng.normal(size=4000)
    gap = rng.random(4000) < expit(2 * x[:, 0])
    level = Level(np.full(4000, -1), 0, np.zeros(0))
    model = NumberModel(np.where(gap, np.nan, y), level)
    drawn = [model.draw(x, rng) for _ in range(12)][-1]
    assert drawn.mean() == pytest.approx(y[gap].mean(), abs=0.1)
    assert drawn.std() == pytest.approx(y[gap].std(), rel=0.1)
    kinds = np.where(x[:, 0] + rng.logistic(size=4000) > 0, 2.0, np.where(rng.random(4000) < 0.5, 0.0, 1.0))
    made = NominalModel(np.where(gap, np.nan, kinds)).draw(x, rng)
    shares = [np.bincount(some.astype(int), minlength=3) / gap.sum() for some in (made, kinds[gap])]
    np.testing.assert_allclose(*shares, atol=0.04)


def test_predictors_are_those_that_say_something():
    rng = np.random.default_rng(2)
    a = rng.normal(size=2000)
    values = np.column_stack([a, a + rng.normal(size=2000), rng.normal(size=2000)])
    chosen = chosen_predictors(values, [Variable(n, "number") for n in "abc"], most=5, least=0.1)
    assert [one.tolist() for one in chosen] == [[1], [0], []]


def test_chains_that_agree_have_no_reduction():
    rng = np.random.default_rng(3)
    rhat = potential_scale_reduction(np.stack([rng.normal(size=(400, 8)), np.arange(8) + rng.normal(size=(400, 8))], 2))
    assert rhat[0] == pytest.approx(1, abs=0.02)
    assert rhat[1] > 2


@pytest.fixture(scope="module")
def responses(tmp_path_factory):
    survey = read_survey(written(tmp_path_factory.mktemp("small")))
    rng = np.random.default_rng(1)
    team = rng.integers(0, 20, 200)
    trait = rng.normal(size=200) + 0.5 * rng.normal(size=20)[team]
    frame = pd.DataFrame({"person": [f"p{i}" for i in range(200)], "team": [f"t{i}" for i in team]})
    frame["sector"], frame["years"] = rng.choice(["public", "private"], 200), rng.gamma(3, 2, 200)
    reasons = pd.DataFrame(None, index=frame.index, columns=ITEMS, dtype=object)
    for id, key in zip(ITEMS, [1, 1, -1, 1, 1, -1, 1, 1, -1, 1]):
        answers = np.clip(np.round(3 + key * trait * 0.8 + 0.7 * rng.normal(size=200)), 1, 5)
        frame[id] = pd.array(np.where((answers == 4) & id.startswith("ste"), 5, answers), dtype="Int64")
        frame.loc[rng.random(200) < 0.1, id] = pd.NA
    frame.loc[:6, "tru1"] = pd.NA
    reasons.loc[:2, "tru1"] = "does_not_apply"
    reasons.loc[3:6, "tru1"] = "cannot_judge"
    frame.loc[:9, "sector"] = None
    frame.loc[5:14, "years"] = np.nan
    return Responses.from_frame(frame, survey, missing=reasons)


def test_completed_samples_have_no_gaps_and_say_so(responses):
    made = impute(responses, m=2, iterations=3, seed=4)
    items = responses.survey.item_ids()
    for one in made.responses:
        left = one.missing[items].notna()
        assert left.to_numpy().sum() == 3  # does not apply stays
        assert one.frame[items].isna().equals(left)
        assert one.frame["sector"].isin(["public", "private"]).all()
        there = responses.frame[items].notna()
        assert (one.frame[items][there].fillna(0) == responses.frame[items].fillna(0)[there].fillna(0)).all().all()
        last = one.ledger.iloc[-1]
        assert last["step"] == "impute"
        assert last["cells"] == made.tidy()["n_missing"].sum()
    assert not made.responses[0].frame.equals(made.responses[1].frame)


def test_the_seed_settles_everything(responses):
    first, again, other = (impute(responses, "trust", m=2, iterations=2, seed=s) for s in (1, 1, 2))
    pd.testing.assert_frame_equal(first.responses[1].frame, again.responses[1].frame)
    assert not first.responses[1].frame.equals(other.responses[1].frame)


def test_pooling_through_the_samples(responses):
    made = impute(responses, ["trust", "effort"], m=3, iterations=3)

    def means(one):
        scores = one.scores(["trust", "effort"])
        return pd.DataFrame({"term": scores.columns, "est": scores.mean().to_numpy(), "se": scores.sem().to_numpy()})

    pooled = made.pool(means, df_complete=199)
    assert pooled.tidy()["term"].tolist() == ["trust", "effort"]
    assert (pooled.tidy()["df"] < 199).all()
    assert pooled.tidy()["est"][0] == pytest.approx(responses.scores("trust")["trust"].mean(), abs=0.1)


def test_models_are_pooled_with_d2_of_their_chi2(responses):
    class Fit:
        def __init__(self, mean):
            self.mean = mean

        def tidy(self):
            return pd.DataFrame({"lhs": ["a"], "op": ["=~"], "rhs": ["b"], "est": [self.mean], "se": [0.1]})

        def glance(self):
            return pd.DataFrame({"chi2": [40 + self.mean], "df": [24]})

    made = impute(responses, "trust", m=3, iterations=2)
    means = [one.scores("trust")["trust"].mean() for one in made.responses]
    pooled = made.pool(lambda one: Fit(one.scores("trust")["trust"].mean()))
    expected = pooling.d2([40 + mean for mean in means], 24)
    row = pooled.glance().iloc[0]
    assert (row["test"], row["f"], row["df1"]) == ("D2 of chi2", pytest.approx(expected.f), 24)
    assert pooled.tidy()["est"][0] == pytest.approx(np.mean(means))


@pytest.mark.parametrize(
    ("change", "names", "code"),
    [
        (lambda f: f.assign(tru1=pd.NA), "trust", "EmptyItem"),
        (lambda f: f.assign(tru1=1, tru2=1, tru3=1, tru4=1), "trust", "NothingMissing"),
    ],
)
def test_case_43_what_cannot_be_imputed_is_named(responses, change, names, code):
    frame = change(responses.frame)
    some = Responses.from_frame(frame, responses.survey)
    with pytest.raises(CocoError) as caught:
        impute(some, names, background=())
    assert caught.value.code == code


def test_rates_by_item_construct_group_and_pattern(responses):
    found = missingness(responses)
    table = found.tidy().set_index("item")
    frame = responses.frame
    assert table.loc["tru1", "n_missing"] == frame["tru1"].isna().sum()
    assert table.loc["tru1", "cannot_judge"] == pytest.approx(4 / 200)
    trust = frame[["tru1", "tru2", "tru3", "tru4"]].isna()
    assert found.by_construct().set_index("construct").loc["trust", "missing"] == pytest.approx(trust.to_numpy().mean())
    public = frame[frame["sector"] == "public"]
    items = [id for id in ITEMS if id != "att1"]
    assert found.by("sector").set_index("sector").loc["public", "n_missing"] == public[items].isna().to_numpy().sum()
    assert found.patterns(1000)["n"].sum() == 200
    assert found.glance()["complete_rows"][0] == frame[items].notna().all(axis=1).sum()


def test_missing_across_groups_is_the_share_of_empty_cells_by_hand():
    folder = coco.bundled("cocreation")
    responses = coco.read_responses(folder / "synthetic.csv", coco.read_survey(folder))
    found = coco.missingness(responses).across("role")
    rows = responses.frame["role"] == "lead"
    empty = responses.items("inwards")[rows].isna()
    assert found.loc["inwards", "lead"] == pytest.approx(empty.to_numpy().mean())
    assert found.attrs["n"] == responses.frame["role"].value_counts().sort_index().to_dict()
    assert found.loc["inwards", "participant"] > found.loc["inwards", "lead"]  # participants cannot judge: planted
