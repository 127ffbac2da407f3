"""The wild cluster bootstrap: wildboottest 0.3.2, its interval against its test, coverage with few clusters."""

import numpy as np
import pytest
import statsmodels.formula.api as smf
from scipy import stats

import cocoanalysis as coco
from cocoanalysis.propositions.vcov import COVARIANCES, Options, Sample, WildTest, wild_weights


@pytest.mark.filterwarnings("ignore:2.G < the number of boot iterations")  # it then does what we do: all patterns
def test_p_values_agree_with_wildboottest(climate):
    wildboottest = pytest.importorskip("wildboottest.wildboottest").wildboottest
    few = climate[climate.company.isin(sorted(climate.company.unique())[:10])]
    ours = coco.regress("HOSTILE ~ LEAD + TSIG + lead1", few, vcov="wild", cluster="company", draws=9999)
    model = smf.ols("HOSTILE ~ LEAD + TSIG + lead1", few)
    for term in ("LEAD", "TSIG", "lead1"):
        theirs = wildboottest(
            model, param=term, cluster=few.company, B=9999, bootstrap_type="11", seed=3, show=False, parallel=False
        )
        mine = ours.tidy().set_index("term").loc[term, "p_value"]
        assert mine == pytest.approx(float(theirs["p-value"].iloc[0]), abs=2 / 1024)  # ties may fall either way
        assert float(theirs["statistic"].iloc[0]) == pytest.approx(
            ours.tidy().set_index("term").loc[term, "statistic"], rel=1e-6
        )


def test_the_bounds_are_where_the_test_turns(climate):
    few = climate[climate.company.isin(sorted(climate.company.unique())[:12])]
    fit = coco.regress("HOSTILE ~ LEAD", few, vcov="wild", cluster="company")
    design, options = fit.design, Options()
    sample = Sample(design.regressors, fit.residuals, fit.estimates, design.clusters)
    test = WildTest.of(sample, 1, wild_weights(12, options))
    low, high = fit.tidy().iloc[1][["ci_lower", "ci_upper"]]
    width = high - low
    for bound, side in ((low, -1), (high, 1)):
        assert test.p_value(bound + side * 0.02 * width) <= 0.05
        assert test.p_value(bound - side * 0.02 * width) > 0.05
    assert test.p_value(0.0) == fit.tidy()["p_value"][1]


def test_weights_are_all_patterns_webb_or_signs():
    assert wild_weights(8, Options()).shape == (256, 8)
    assert set(np.unique(wild_weights(20, Options(draws=99)))) == {-1.0, 1.0}
    assert len(np.unique(wild_weights(11, Options(draws=500)))) == 6


def covered(kind, replicates=250, groups=10, seed=1):
    """Share of 95 % intervals that hold the true slope of a predictor at the cluster's level."""
    random, inside = np.random.default_rng(seed), 0
    codes = np.repeat(np.arange(groups), random.integers(4, 40, groups))
    for _ in range(replicates):
        x = random.normal(size=groups)[codes]
        y = 0.3 * x + random.normal(size=groups)[codes] * 0.7 + random.normal(size=len(codes))
        regressors = np.c_[np.ones(len(y)), x]
        estimates = np.linalg.lstsq(regressors, y, rcond=None)[0]
        sample = Sample(regressors, y - regressors @ estimates, estimates, (codes,))
        found = COVARIANCES[kind].compute(sample, Options(draws=499))
        wide = stats.t.ppf(0.975, found.df[1]) * np.sqrt(found.matrix[1, 1])
        low, high = (estimates[1] - wide, estimates[1] + wide) if found.interval is None else found.interval[1]
        inside += low <= 0.3 <= high
    return inside / replicates


@pytest.mark.parametrize("kind", ["CR2", "wild"])
def test_coverage_with_ten_unequal_clusters(kind):
    assert covered(kind) >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / 250)


def test_the_plain_correction_covers_too_little():
    assert covered("cluster") < covered("CR2")
