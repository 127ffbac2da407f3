"""The verdict rule on made evidence, and whole plans against R and against `regress`."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import DescrStatsW

import cocoanalysis as coco
from cocoanalysis.errors import PlanError
from cocoanalysis.propositions.decision import MORE, PROMISED, VERDICTS, Claim, adjust, decide
from cocoanalysis.propositions.estimands import Estimated, Row, monte_carlo, rows_of
from cocoanalysis.propositions.evidence import Simulated, Student, Wild, two_sided
from cocoanalysis.propositions.vcov import COVARIANCES, Options, Sample, WildTest, wild_weights

SURVEYS = Path(__file__).parents[2] / "surveys"


@pytest.fixture(scope="module")
def plan():
    return coco.read_plan(SURVEYS / "cocreation")


@pytest.fixture(scope="module")
def scored(climate):
    return climate.rename(columns={"LEAD": "leadership", "TSIG": "significance", "HOSTILE": "hostility"})


@pytest.fixture(scope="module")
def real(scored):
    return coco.judge(coco.read_plan(SURVEYS / "unit-climate"), scored)


def claim(plan, estimate, se, *, expected="positive", sesoi=0.1, df=np.inf, fault=None, id="H1"):
    evidence = None if fault else Student(estimate, se, df)
    row = Row(plan["H1"], "outcome", "mobilising", ("mobilising",), 0)
    return Claim(id, row, "confirmatory", "respondent", expected, sesoi, Estimated(evidence, fault=fault, points=2.0))


CASES = [  # estimate, se, expected, sesoi, verdict, what the reason says
    (0.30, 0.02, "positive", 0.1, "supported", "substantial"),
    (0.12, 0.02, "positive", 0.1, "supported", "direction established, size uncertain"),
    (0.30, 0.02, "negative", 0.1, "contradicted", "opposite sign"),
    (-0.30, 0.02, "positive", 0.1, "contradicted", "opposite sign"),
    (0.05, 0.02, "positive", 0.1, "negligible", "detectable all the same"),
    (0.00, 0.02, "positive", 0.1, "negligible", "0.20 scale points"),
    (0.05, 0.20, "positive", 0.1, "inconclusive", "out of reach"),
    (0.09, 0.055, "positive", 0.1, "inconclusive", "not 'no effect'"),
    (0.00, 0.01, "positive", None, "inconclusive", "Without a SESOI"),
    (0.30, 0.02, "positive", None, "supported", "no SESOI is set"),
    (0.00, 0.02, "noninferior", 0.1, "supported", "in either direction"),
    (-0.30, 0.02, "noninferior", 0.1, "contradicted", "below −0.10"),
    (-0.09, 0.05, "noninferior", 0.1, "inconclusive", "no evidence of either"),
    (0.30, 0.05, "noninferior", 0.1, "supported", "above −0.10"),
]


@pytest.mark.parametrize(("estimate", "se", "expected", "sesoi", "verdict", "said"), CASES)
def test_the_rule_by_precedence(estimate, se, expected, sesoi, verdict, said, plan):
    (row,) = decide(plan, [claim(plan, estimate, se, expected=expected, sesoi=sesoi)])
    assert row["verdict"] == verdict
    assert said in row["reason"]


def test_not_testable_comes_first_and_keeps_its_place_in_the_family(plan):
    sound = claim(plan, 0.1, 0.04)
    alone = decide(plan, [sound])[0]
    faulty, beside = decide(plan, [claim(plan, 0, 1, fault="it is not identified"), sound])
    assert (faulty["verdict"], faulty["reason"]) == ("not testable", "Not testable: it is not identified.")
    assert np.isnan(faulty["estimate"])
    assert beside["p_adjusted"] == pytest.approx(2 * alone["p_value"])


def test_verdicts_are_decided_by_adjusted_p(plan):
    rows = decide(plan, [claim(plan, 0.1, 0.04), *(claim(plan, 0.0, 0.5) for _ in range(9))])
    assert rows[0]["p_value"] < 0.05 < rows[0]["p_adjusted"]
    assert rows[0]["verdict"] == "inconclusive"
    assert rows[0]["simultaneous_lower"] < rows[0]["ci_lower"]
    assert rows[0]["simultaneous_lower"] == pytest.approx(0.1 - 0.04 * stats.norm.ppf(1 - 0.05 / 20))


def test_holm_and_bh_agree_with_r_and_statsmodels(reference):
    p = reference["p_adjust"]["p"]
    assert adjust(p, "holm") == pytest.approx(reference["p_adjust"]["holm"])
    assert adjust(p, "bh") == pytest.approx(reference["p_adjust"]["bh"])
    drawn = np.random.default_rng(1).uniform(size=40) ** 3
    for name, method in (("holm", "holm"), ("bh", "fdr_bh")):
        assert adjust(drawn, name) == pytest.approx(multipletests(drawn, method=method)[1])
    assert np.isnan(adjust([0.01, np.nan], "holm")[1])
    assert adjust([0.01, np.nan], "holm")[0] == pytest.approx(0.02)


def test_equivalence_agrees_with_statsmodels(plan):
    x = np.random.default_rng(2).normal(0.05, 1, 300)
    student = Student(x.mean(), x.std(ddof=1) / np.sqrt(300), 299)
    p, lower, upper = DescrStatsW(x).ttost_mean(-0.2, 0.2)
    assert max(student.above(-0.2), student.below(0.2)) == pytest.approx(p)
    assert (student.above(-0.2), student.below(0.2)) == pytest.approx((lower[1], upper[1]))
    assert two_sided(student) == pytest.approx(stats.ttest_1samp(x, 0).pvalue)


def test_false_verdicts_in_a_null_family_stay_within_alpha(plan):
    random = np.random.default_rng(3)
    wrong = 0
    for _ in range(600):
        rows = decide(plan, [claim(plan, 0.05 * random.standard_normal(), 0.05, sesoi=None) for _ in range(12)])
        wrong += any(row["verdict"] in ("supported", "contradicted") for row in rows)
    assert wrong / 600 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 600)


def test_negligible_at_the_edge_stays_within_alpha(plan):
    random = np.random.default_rng(4)
    wrong = 0
    for _ in range(600):
        rows = decide(plan, [claim(plan, 0.1 + 0.03 * random.standard_normal(), 0.03) for _ in range(12)])
        wrong += any(row["verdict"] == "negligible" for row in rows)
    assert wrong / 600 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 600)


def test_real_survey_within_and_between_agree_with_r(real, reference):
    theirs = reference["hostile_within_between"]["CR2"]
    table = real.tidy().set_index("hypothesis")
    assert table.loc[["H1", "H2"], "p_value"].to_numpy() == pytest.approx(theirs["p"][1:], rel=1e-5)
    assert table.loc["H1", "estimate"] == pytest.approx(reference["waba"]["within"], rel=1e-6)
    assert table.loc["H1", "df"] == pytest.approx(theirs["df"][1], rel=1e-6)
    assert table.loc["H2", "estimate"] == pytest.approx(table.loc["H1 between", "estimate"])
    assert (table.loc[["H1", "H2"], "verdict"] == "supported").all()


def test_table_has_the_promised_columns(real):
    table = real.tidy()
    assert list(table.columns) == [*PROMISED, *MORE]
    assert set(table["verdict"]) <= set(VERDICTS)
    assert set(table["label"]) == {"confirmatory", "exploratory"}
    assert real.glance()["hash"][0] == real.plan.hash
    assert "show no causes" in repr(real)


@pytest.fixture(scope="module")
def made(plan):
    """Answers to every variable of the plan with a few associations, 45 collaborations × about 12 raters."""
    random = np.random.default_rng(5)
    groups = np.repeat(np.arange(45), random.integers(8, 17, 45))
    n = len(groups)
    shared = random.normal(size=n)
    numeric = {name: shared * 0.5 + random.normal(size=n) + random.normal(size=45)[groups] * 0.4
               for name in plan.variables()}  # fmt: skip
    frame = pd.DataFrame(numeric).assign(collaboration=groups)
    for name, size in {"domain": 5, "sector": 4, "role": 2}.items():
        frame[name] = random.choice([f"c{k}" for k in range(size)], n)
    for name, size in {"mandated": 2, "country": 3}.items():
        frame[name] = random.choice([f"c{k}" for k in range(size)], 45)[groups]
    frame["rating"] = random.choice(["self", "other"], n, p=[0.3, 0.7])
    for name in ("collabage", "collabsize", "sectors"):
        frame[name] = random.integers(1, 9, 45)[groups]
    return frame.mask(random.uniform(size=frame.shape) < 0.01, np.nan)


@pytest.fixture(scope="module")
def judged(plan, made):
    return coco.judge(plan, made)


def test_every_row_of_the_plan_is_judged(judged, plan):
    table = judged.tidy()
    assert len(table[table.family == "confirmatory"]) == sum(
        row.hypothesis.family == "confirmatory" for row in rows_of(plan)
    )
    assert (table.verdict != "not testable").all()
    assert table.equation.str.contains("~|ceiling").all()
    assert "models fitted" in " ".join(judged.notes())


def test_estimates_are_those_of_the_regression_behind_the_verdict(judged):
    for verdict in judged:
        row = verdict.numbers
        if row["kind"] != "slope":
            continue
        term = f"{'between' if row['level'] == 'collaboration' else 'within'}({row['predictor']})"
        behind = verdict.fit.tidy().set_index("term").loc[term]
        assert row["estimate"] == pytest.approx(behind["est_std"], rel=1e-9)
        assert row["p_value"] == pytest.approx(behind["p_value"], rel=1e-6, abs=1e-12)
        assert row["df"] == pytest.approx(behind["df"], rel=1e-6)
        assert row["n"] == verdict.fit.numbers["n"]


def test_a_product_is_standardised_by_the_product_of_the_spreads(judged, made):
    verdict = judged["H2c"]
    term = "within(committing):within(framing)"
    behind, design = verdict.fit.tidy().set_index("term").loc[term], verdict.fit.design
    columns = dict(zip(design.terms, design.regressors.T))
    outcome = pd.Series(design.outcome)
    inside = outcome - outcome.groupby(design.clusters[0]).transform("mean")
    scale = columns["within(committing)"].std(ddof=1) * columns["within(framing)"].std(ddof=1) / inside.std(ddof=1)
    assert verdict.numbers["estimate"] == pytest.approx(behind["est"] * scale)
    assert verdict.numbers["se"] == pytest.approx(behind["se"] * scale)


def test_a_contrast_has_the_error_of_the_weighted_sum(judged):
    verdict = judged["H4s"]
    fit = verdict.fit
    weights = pd.Series(0.0, fit.terms)
    scales = fit.tidy().set_index("term")["est_std"] / fit.tidy().set_index("term")["est"]
    weights["within(soft)"], weights["within(hard)"] = scales["within(soft)"], -scales["within(hard)"]
    assert verdict.numbers["estimate"] == pytest.approx(float(weights @ pd.Series(fit.estimates, fit.terms)))
    assert verdict.numbers["se"] == pytest.approx(float(np.sqrt(weights @ fit.covariance @ weights)))


def test_an_indirect_association_is_the_product_of_its_links(judged):
    verdict = judged["H6b", "practice → alignment"]
    first, last = (fit.tidy().set_index("term") for fit in verdict.fits)
    product = first.loc["within(practice)", "est_std"] * last.loc["within(alignment)", "est_std"]
    assert verdict.numbers["estimate"] == pytest.approx(product)


def test_monte_carlo_interval_has_the_moments_of_a_product():
    one, other = Student(0.4, 0.1, np.inf), Student(0.3, 0.05, np.inf)
    drawn = monte_carlo([one, other], [1, 2], draws=400_000)
    variance = 0.4**2 * 0.05**2 + 0.3**2 * 0.1**2 + 0.1**2 * 0.05**2
    assert drawn.se == pytest.approx(np.sqrt(variance), rel=0.01)
    assert monte_carlo([one, other], [1, 2]).interval(0.95) == monte_carlo([one, other], [1, 2]).interval(0.95)
    tight = Simulated(0.0, np.array([-1.0, 0.0, 1.0]))
    assert tight.above(0) + tight.below(0) >= 1


def test_several_rows_of_a_hypothesis_are_told_apart(judged):
    with pytest.raises(coco.CocoError) as caught:
        judged["H5"]
    assert caught.value.code == "SeveralRows"
    assert judged["H5", "durability"].numbers["outcome"] == "durability"
    with pytest.raises(coco.CocoError, match="Did you mean") as caught:
        judged["H1x"]
    assert caught.value.code == "UnknownHypothesis"


def test_a_missing_variable_and_a_constant_one(plan, made):
    with pytest.raises(coco.CocoError) as caught:
        coco.judge(plan, made.drop(columns="alliances"))
    assert caught.value.code == "UnknownVariable"
    flat = coco.judge(plan, made.assign(mobilising=4.0, capabilities=np.nan))
    table = flat.tidy().set_index("hypothesis")
    assert table.loc["H1", "verdict"] == "not testable"
    assert "does not vary" in table.loc["H1", "reason"]
    assert "no row is complete" in table.loc["H3a", "reason"]
    assert table.loc["H2a", "verdict"] != "not testable"


def test_few_collaborations_have_no_means(plan, made):
    few = coco.judge(plan, made[made.collaboration < 20]).tidy()
    assert not few.hypothesis.str.contains("between").any()
    assert not few.equation.str.contains("between").any()


def test_same_seed_same_table(plan, made, judged):
    pd.testing.assert_frame_equal(coco.judge(plan, made).tidy(), judged.tidy())


def test_a_path_in_place_of_the_plan_is_named():
    with pytest.raises(PlanError) as raised:
        coco.judge("surveys/cocreation/plan.yaml", None)
    assert raised.value.code == "NotAPlan"


# --- which errors decide --------------------------------------------------------------------------------------------


def behind(verdict):
    """The row's own coefficient in the regression that `.fit` shows."""
    level = "between" if verdict.numbers["level"] == "collaboration" else "within"
    return verdict.fit.tidy().set_index("term").loc[f"{level}({verdict.numbers['predictor']})"]


def test_many_clusters_are_judged_by_cr2(judged):
    assert judged["H1"].numbers["inference"] == "CR2 errors by collaboration, Satterthwaite df"
    assert judged["H1"].fit.settings["vcov"] == "CR2"
    assert "Decided by CR2" in " ".join(judged["H1"].notes())
    assert "Errors: CR2" in " ".join(judged.notes())


def test_case_56_below_forty_clusters_the_wild_bootstrap_decides(plan, made):
    few = coco.judge(plan, made[made.collaboration < 25])
    for verdict in (few["H1"], few["H5", "durability"]):
        row, fit = verdict.numbers, behind(verdict)
        assert row["inference"] == "wild cluster bootstrap (25 clusters, fewer than 40)"
        assert verdict.fit.settings["vcov"] == "wild"
        scale = fit["est_std"] / fit["est"]
        assert row["p_value"] == fit["p_value"]
        assert [row["ci_lower"], row["ci_upper"]] == pytest.approx([fit["ci_lower"] * scale, fit["ci_upper"] * scale])
        assert row["simultaneous_lower"] < row["ci_lower"] < row["estimate"] < row["ci_upper"]
        assert max(row["tost_p"], 0) <= 1
    assert few["H2c"].numbers["inference"].startswith("wild")
    assert few["H4s"].numbers["inference"].startswith("wild")
    assert few["H6b", "practice → alignment"].numbers["inference"].startswith("Monte Carlo draws, CR2")
    plain = coco.judge(plan, made[made.collaboration < 25],
                       deviations=[{"setting": "few_clusters", "executed": "none", "reason": "x"}])  # fmt: skip
    assert plain["H1"].numbers["inference"].startswith("CR2")
    assert plain["H1"].numbers["estimate"] == few["H1"].numbers["estimate"]


def test_with_very_few_clusters_the_smallest_p_is_told(plan, made):
    """Eight clusters have 256 sign patterns, of which two give the observed |t|: nothing below .0078 can be found."""
    eight = coco.judge(plan, made[made.collaboration < 8], exploratory=False).tidy()
    wild = eight[eight["inference"].str.startswith("wild")]
    assert wild["inference"].str.contains("its smallest p is 0.0078").all()
    slopes = wild[wild["kind"] == "slope"]
    assert slopes["p_value"].min() >= 2 / 256 - 1e-12


def test_fewer_than_five_clusters_carry_no_verdict(plan, made):
    four = coco.judge(plan, made[made.collaboration < 4], exploratory=False).tidy()
    assert set(four["verdict"]) == {"not testable"}
    assert four["reason"].str.contains("4 clusters, and 5 are the least|cannot carry").all()
    fit = coco.regress("outcome ~ mobilising", made[made.collaboration < 4], cluster="collaboration")
    assert [d.code for d in fit.diagnostics] == ["TooFewClusters"]


def test_respondents_in_several_collaborations_are_a_second_dimension(plan, made):
    people = np.arange(len(made))
    people[-60:] = people[:60]  # sixty persons answer about a second collaboration
    crossed = coco.judge(plan, made.assign(respondent=people))
    row, fit = crossed["H1"].numbers, behind(crossed["H1"])
    assert "by respondent (some sit in several)" in row["inference"]
    assert crossed["H1"].fit.settings["cluster"] == "collaboration × respondent"
    assert row["p_value"] == pytest.approx(fit["p_value"], rel=1e-6)
    assert row["df"] == pytest.approx(fit["df"])
    few = coco.judge(plan, made.assign(respondent=people)[made.collaboration % 2 == 0])
    assert few["H1"].numbers["inference"].startswith("CR2 errors by collaboration")
    nested = coco.judge(plan, made.assign(respondent=np.arange(len(made))))
    assert nested["H1"].numbers["inference"] == "CR2 errors by collaboration, Satterthwaite df"


def test_wild_one_sided_p_values_are_those_of_the_bounds(climate):
    few = climate[climate.company.isin(sorted(climate.company.unique())[:14])]
    fit = coco.regress("HOSTILE ~ LEAD", few, vcov="CR2", cluster="company")
    sample = Sample(fit.design.regressors, fit.residuals, fit.estimates, fit.design.clusters)
    wild = Wild(WildTest.of(sample, 1, wild_weights(14, Options())), 2.0)
    low, high = wild.interval(0.95)
    assert wild.above(low) + wild.below(high) == pytest.approx(0.05, abs=0.03)
    assert wild.above(high + wild.se) > 0.9 > 0.1 > wild.below(high + wild.se)
    assert two_sided(wild, low) == pytest.approx(0.05, abs=1e-3)
    assert wild.times(0.5).estimate == pytest.approx(fit.estimates[1])
    draws = wild_weights(14, Options())
    brute = np.array([_drawn_t(sample, 1, signs) for signs in draws[:400]])
    observed, ours = wild.test.statistics(0.0)
    assert ours[:400] == pytest.approx(brute, rel=1e-8)
    assert observed == pytest.approx(fit.estimates[1] / wild.test.se)


def _drawn_t(sample, k, signs):
    """One bootstrap t with the null 0 imposed, by refitting."""
    codes, x = sample.clusters[0], sample.regressors
    y = x @ sample.estimates + sample.residuals
    others = np.delete(x, k, axis=1)
    fitted = others @ np.linalg.lstsq(others, y, rcond=None)[0]
    drawn = fitted + signs[codes] * (y - fitted)
    estimates = np.linalg.lstsq(x, drawn, rcond=None)[0]
    again = Sample(x, drawn - x @ estimates, estimates, (codes,))
    return estimates[k] / np.sqrt(COVARIANCES["cluster"].compute(again, Options()).matrix[k, k])
