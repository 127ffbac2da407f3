"""Standard errors of ordinal models beside the bootstrap: alike where the model holds, and why they part where not.

The sampling covariance of polychoric correlations (Muthén 1984; lavaan, Mplus) takes the information about ρ from the
products of the scores. That equals the curvature of the likelihood only where the answers behind a pair of items are
bivariate normal. On lq2002 they are not, and bootstrap errors are 1.2 to 1.5 times as large, lavaan's own too.
"""

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtr, ndtri

import cocoanalysis as coco
from cocoanalysis.measurement import contingency
from tests.measurement.reference import table

ITEMS = ["LEAD01", "LEAD03", "LEAD07", "LEAD09", "LEAD11"]
MODEL = f"lead =~ {' + '.join(ITEMS)}"


def drawn(rng, n=800):
    """Answers to five items of one normal factor: the model holds."""
    factor, loadings = rng.normal(size=n), np.array([0.5, 0.6, 0.7, 0.8, 0.75])
    latent = loadings * factor[:, None] + np.sqrt(1 - loadings**2) * rng.normal(size=(n, 5))
    return pd.DataFrame(np.searchsorted([-1.3, -0.4, 0.4, 1.4], latent) + 1, columns=ITEMS)


def structural(fit):
    shown = fit.tidy()
    return shown[(shown.op != "|") & (shown.se > 0)]


def correlations_of(coded, weights=None):
    tables = contingency.cross_tables(coded, weights)
    items = contingency.item_statistics(contingency.margins(tables), coded.levels)
    return contingency.pair_correlations(tables, items, coded.levels).rho


def sandwich_errors(data):
    """Errors of the correlations that rest on no distribution, (pairs,): cell by cell, how ρ follows its count."""
    out = []
    for i, j in zip(*np.triu_indices(len(ITEMS), 1)):
        values = data[[ITEMS[i], ITEMS[j]]].to_numpy(float)
        coded = contingency.encode(values, contingency.observed_categories(values))
        rho, variance, step = correlations_of(coded)[0], 0.0, 1e-4
        for cell in np.unique(values, axis=0):
            here = (values == cell).all(axis=1)
            slope = (correlations_of(coded, 1 + step * here)[0] - rho) / step
            variance += slope**2 / here.sum()
        out.append(np.sqrt(variance))
    return np.array(out)


def assumed_errors(data):
    return np.asarray(coco.polychoric(data).se)[np.triu_indices(len(ITEMS), 1)]


def test_errors_are_the_spread_over_samples_and_of_the_bootstrap_where_the_model_holds():
    rng = np.random.default_rng(8)
    fits = [structural(coco.cfa(drawn(rng), MODEL, ordered=ITEMS)) for _ in range(100)]
    spread = np.std([f.est.to_numpy() for f in fits], axis=0, ddof=1)
    errors = np.mean([f.se.to_numpy() for f in fits], axis=0)
    assert errors / spread == pytest.approx(np.ones(len(errors)), abs=0.2)  # 100 samples tell a spread to 7 %
    one = drawn(rng, 2000)
    plain, again = coco.cfa(one, MODEL, ordered=ITEMS), coco.cfa(one, MODEL, ordered=ITEMS, bootstrap=200, seed=2)
    ratio = structural(again).se.to_numpy() / structural(plain).se.to_numpy()
    assert ratio == pytest.approx(np.ones(len(ratio)), abs=0.2)


def test_on_lq2002_the_bootstrap_is_wider_because_pairs_are_not_bivariate_normal():
    normal = drawn(np.random.default_rng(1), 2042)
    assert sandwich_errors(normal) / assumed_errors(normal) == pytest.approx(np.ones(10), abs=0.1)
    data, rng = table("lq2002")[ITEMS], np.random.default_rng(1)
    rows = [data.iloc[rng.integers(0, len(data), len(data))] for _ in range(150)]
    again = [coco.polychoric(r).correlations.to_numpy()[np.triu_indices(5, 1)] for r in rows]
    assert np.std(again, axis=0, ddof=1) == pytest.approx(sandwich_errors(data), rel=0.15)
    wider = sandwich_errors(data) / assumed_errors(data)
    assert wider.min() > 1.15
    assert wider.max() > 1.4


def test_departures_of_pairs_from_the_bivariate_normal_are_lavaans():
    """lavTables of lavaan 0.6-14 (pairs.csv, make_pairs.R); none in answers that are drawn from normal variables."""
    want, found = table("pairs"), coco.polychoric(table("lq2002")[ITEMS]).normality()
    assert list(found.lhs + found.rhs) == list(want.lhs + want.rhs)
    assert found.chi2.to_numpy() == pytest.approx(want["G2.un"].to_numpy(), rel=1e-7)
    assert list(found.df) == list(want.df)
    assert found.p_value.to_numpy() == pytest.approx(want["G2.un.pval"].to_numpy(), rel=1e-5)
    assert coco.polychoric(drawn(np.random.default_rng(1), 2042)).normality().p_value.min() > 0.01


def test_two_binary_items_say_nothing_about_normality():
    data = drawn(np.random.default_rng(2))
    found = coco.polychoric(data.assign(LEAD01=data.LEAD01 > 3, LEAD03=data.LEAD03 > 3).astype(float)).normality()
    assert found.loc[0, ["chi2", "p_value"]].isna().all()
    assert found.p_value[1:].notna().all()


def test_the_probit_of_a_margin_is_exact_either_way():
    """Thresholds come from saturated margins, so that their errors need no normality: binomial, by the delta method."""
    data = table("lq2002")[ITEMS]
    fit = coco.cfa(data, MODEL, ordered=ITEMS).tidy()
    n, share = len(data), (data["LEAD03"] <= 2).mean()
    cut = ndtri(share)
    density = np.exp(-0.5 * cut**2) / np.sqrt(2 * np.pi)
    row = fit[(fit.lhs == "LEAD03") & (fit.rhs == "t2")].iloc[0]
    assert ndtr(row.est) == pytest.approx(share, abs=1e-8)
    assert row.se == pytest.approx(np.sqrt(share * (1 - share) / n) / density, rel=1e-3)
