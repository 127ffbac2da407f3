"""Scaled and robust χ², CFI, TLI and RMSEA with its interval, against lavaan 0.6-14 (robust.json, make_robust.R)."""

import math

import numpy as np
import pandas as pd
import pytest

import cocoanalysis as coco
from cocoanalysis.measurement.corrected import _normal_distance
from cocoanalysis.measurement.inference import independence_point
from tests.measurement.reference import table, values

LAVAAN = values("robust")
INDICES = {
    "cfi": "cfi", "tli": "tli", "rmsea": "rmsea", "rmsea.ci.lower": "rmsea_lower", "rmsea.ci.upper": "rmsea_upper",
    "rmsea.pvalue": "rmsea_p_close",
}  # fmt: skip
NAMES = {"chisq": "chi2", "df": "df", "baseline.chisq": "baseline_chi2", "df.scaled": "df_scaled"}
NAMES |= {"chisq.scaled": "chi2_scaled", "chisq.scaling.factor": "scaling_factor"}
NAMES |= {"baseline.chisq.scaled": "baseline_chi2_scaled"} | INDICES
NAMES |= {f"{a}.{k}": f"{b}_{k}" for a, b in INDICES.items() for k in ("scaled", "robust")}
TEN = [f"{f}{i}" for f in "AC" for i in range(1, 6)]
SCHOOL = {"group": "school", "group_equal": "loadings"}


def data():
    hs = table("lavaan_HolzingerSwineford1939")
    hs, age = hs.assign(w=0.5 + (hs.id % 7) / 6), hs.ageyr + hs.agemo / 12
    late = hs.assign(x5=hs.x5.mask(hs.x1 <= hs.x1.quantile(0.3)), x9=hs.x9.mask(age <= age.quantile(0.3)))
    return {"hs": hs, "late": late} | {n: table(n) for n in ("bfi25_gender", "bfi10_missing", "lq2002")}


DATA = data()
CASES: dict[str, tuple[str, dict]] = {
    "hs_weights": ("hs", {"estimator": "mlr", "weights": "w"}),
    "hs_fiml": ("late", {"estimator": "ml"}),
    "hs_fiml_mlr": ("late", {"estimator": "mlr"}),
    "hs_fiml_groups": ("late", {"estimator": "ml", **SCHOOL}),
    "hs_fiml_mlr_groups": ("late", {"estimator": "mlr", **SCHOOL}),
    "hs_fiml_mlr_weights": ("late", {"estimator": "mlr", "weights": "w"}),
    "bfi_fiml_mlr": ("bfi10_missing", {"estimator": "mlr"}),
    "lq_mlr_cluster": ("lq2002", {"estimator": "mlr", "cluster": "COMPID"}),
    "bfi_theta": ("bfi25_gender", {"ordered": TEN, "parameterization": "theta"}),
    "bfi_groups": ("bfi25_gender", {"ordered": TEN, "group": "gender"}),
    "bfi_groups_loadings": ("bfi25_gender", {"ordered": TEN, "group": "gender", "group_equal": "loadings"}),
    "bfi_groups_thresholds": (
        "bfi25_gender",
        {"ordered": TEN, "group": "gender", "group_equal": ("thresholds", "loadings")},
    ),
}
for e in ("mlm", "mlr", "mlmv", "mlmvs", "gls"):
    CASES |= {f"hs_{e}": ("hs", {"estimator": e}), f"hs_groups_{e}": ("hs", {"estimator": e, **SCHOOL})}
CASES |= {f"bfi_{e}": ("bfi25_gender", {"ordered": TEN, "estimator": e}) for e in ("wlsmv", "wlsm", "ulsmv", "dwls")}


def number(value):
    return math.nan if value in (None, "NA") else float(value)


def test_every_reference_fit_has_its_case():
    assert set(CASES) | {"hs_fiml_mlr_groups_weights"} == set(LAVAAN)


@pytest.mark.parametrize("name", CASES)
def test_scaled_and_robust_indices_agree_with_lavaan(name):
    """χ² to 1e-6 of itself, indices to 1e-5; what lavaan leaves out is left out here."""
    source, arguments = CASES[name]
    ours = coco.cfa(DATA[source], LAVAAN[name]["model"], **arguments).glance().iloc[0]
    off = []
    for theirs, column in NAMES.items():
        want, got = number(LAVAAN[name]["fit"].get(theirs)), ours[column]
        if math.isnan(want) != pd.isna(got) or abs(got - want) > max(1e-5, 1e-6 * abs(want)):
            off.append((column, want, got))
    assert off == []


def test_weighted_groups_of_incomplete_rows_keep_their_fractions():
    """lavaan 0.6-14 cuts the weighted size of a group to a whole number for these indices; ours cut, they agree."""
    want = LAVAAN["hs_fiml_mlr_groups_weights"]
    fit = coco.cfa(DATA["late"], want["model"], estimator="mlr", group="school", weights="w")
    assert fit.measures["cfi_scaled"] == pytest.approx(number(want["fit"]["cfi.scaled"]), abs=1e-6)
    robust, problem, n = fit._robust, fit.problem, fit.problem.total
    whole = [int(s.n) for s in problem.samples]
    implied = problem.structure.implied(fit.solution.theta)
    alone = [independence_point(problem, g) for g in range(2)]
    own, base = (
        sum(_normal_distance(s.cov, s.mean, cov, mean, k) for s, (mean, cov), k in zip(problem.samples, points, whole))
        for points in ([(i.mean, i.cov) for i in implied], alone)
    )
    cfi = 1 - (own - robust.c * robust.df) / (base - robust.base_c * robust.base_df)
    assert cfi == pytest.approx(number(want["fit"]["cfi.robust"]), abs=1e-6)
    rmsea = np.sqrt(2 * (own / robust.df - robust.c) / n)
    assert rmsea == pytest.approx(number(want["fit"]["rmsea.robust"]), abs=1e-6)
    assert 1e-4 < abs(fit.measures["rmsea_robust"] - rmsea) < 1e-3


def test_thresholds_that_are_restricted_leave_the_robust_indices_empty_with_a_reason():
    fit = coco.cfa(DATA["bfi25_gender"], LAVAAN["bfi_groups_thresholds"]["model"], **CASES["bfi_groups_thresholds"][1])
    assert any("left empty" in note and "restricts thresholds" in note for note in fit.notes())
    assert fit.glance()["cfi_scaled"].notna().all()


def test_equal_thresholds_that_restrict_nothing_keep_the_robust_indices():
    """Wu & Estabrook (2016): with three categories, equal thresholds are another way to write the first model."""
    cat = table("bfi25_gender")
    three = cat.assign(**{n: pd.cut(cat[n], [0, 2, 4, 6], labels=False) for n in TEN[:5]})
    steps = coco.invariance(three, f"A =~ {' + '.join(TEN[:5])}", group="gender", ordered=TEN[:5])
    first, second = (steps.fits[k].measures for k in ("configural", "thresholds"))
    for name in ("cfi_robust", "tli_robust", "rmsea_robust", "rmsea_lower_robust", "rmsea_p_close_robust"):
        assert second[name] == pytest.approx(first[name], abs=1e-7)
    assert np.isnan(steps.fits["intercepts"].measures["cfi_robust"])
