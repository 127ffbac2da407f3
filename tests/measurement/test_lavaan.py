"""55 reference fits of lavaan 0.6-14 (tests/reference/lavaan.json, lavaan_more.json; script make_more.R).

Tolerances as promised: estimates 1e-5, standard errors 1e-4, fit measures 1e-4, relative where above one.
Where lavaan's search stopped more than 1e-5 from its own minimum (CONTINUED), parameters are held against lavaan's own
search taken up again until its gradient vanishes (continued.json, make_continued.R), to 1e-6.
"""

import math

import numpy as np
import pandas as pd
import pytest

import cocoanalysis as coco
from tests.measurement.reference import table, values

LAVAAN = values("lavaan") | values("lavaan_more")
FIT = {
    "chisq": "chi2", "df": "df", "cfi": "cfi", "tli": "tli", "rmsea": "rmsea", "srmr": "srmr", "logl": "loglik",
    "chisq.scaled": "chi2_scaled", "df.scaled": "df_scaled", "chisq.scaling.factor": "scaling_factor", "aic": "aic",
    "bic": "bic", "bic2": "bic_adjusted", "rmsea.ci.lower": "rmsea_lower", "rmsea.ci.upper": "rmsea_upper",
    "cfi.scaled": "cfi_scaled", "tli.scaled": "tli_scaled", "cfi.robust": "cfi_robust", "tli.robust": "tli_robust",
    "rmsea.scaled": "rmsea_scaled", "rmsea.robust": "rmsea_robust", "baseline.chisq": "baseline_chi2",
    "baseline.df": "baseline_df", "rmsea.pvalue": "rmsea_p_close",
}  # fmt: skip
CONTINUED = values("continued")


def data():
    hs = table("lavaan_HolzingerSwineford1939")
    age = hs.ageyr + hs.agemo / 12
    late = hs.assign(x5=hs.x5.mask(hs.x1 <= hs.x1.quantile(0.3)), x9=hs.x9.mask(age <= age.quantile(0.3)))
    names = ("lavaan_PoliticalDemocracy", "lavaan_Demo.growth", "semTools_datCat", "bfi25_complete", "bfi25_gender")
    found = {name: table(name) for name in (*names, "lq2002", "bfi10_missing")}
    return found | {"hs": hs.assign(w=0.5 + (hs.id % 7) / 6), "hs_mar": late}


DATA = data()
U, TEN = [f"u{i}" for i in range(1, 9)], [f"{f}{i}" for f in "AC" for i in range(1, 6)]
FIVE, TSIG = TEN[:5], ["TSIG01", "TSIG02", "TSIG03"]
CAT, BFI, GENDER, LQ, POLDEM = (
    "semTools_datCat",
    "bfi25_complete",
    "bfi25_gender",
    "lq2002",
    "lavaan_PoliticalDemocracy",
)
SCALAR = ("loadings", "intercepts")
CASES: dict[str, tuple[str, dict]] = {
    f"hs_{e}": ("hs", {"estimator": e}) for e in ("ml", "mlr", "mlm", "mlf", "gls", "wls", "dwls", "uls")
}
CASES |= {
    "hs_config": ("hs", {"group": "school"}),
    "hs_metric": ("hs", {"group": "school", "group_equal": "loadings"}),
    "hs_scalar": ("hs", {"group": "school", "group_equal": SCALAR}),
    "poldem": (POLDEM, {}),
    "datcat_wlsmv": (CAT, {"ordered": U, "std_lv": True}),
    "datcat_wlsmv_theta": (CAT, {"ordered": U, "std_lv": True, "parameterization": "theta"}),
    "datcat_config": (CAT, {"ordered": U, "std_lv": True, "group": "g", "parameterization": "theta"}),
    "datcat_measEq_thresholds": (CAT, {"ordered": U, "group": "g", "parameterization": "theta"}),
    "hs_fiml_mar": ("hs_mar", {"missing": "fiml"}),
    "hs_higher": ("hs", {}),
    "hs_extras": ("hs", {}),
    "hs_orthogonal_stdlv": ("hs", {"std_lv": True, "orthogonal": True}),
    "hs_mlr_std": ("hs", {"estimator": "mlr"}),
    "hs_weights": ("hs", {"estimator": "mlr", "weights": "w"}),
    "hs_constraints": ("hs", {}),
    "bfi10_wlsmv": (BFI, {"ordered": TEN}),
    "bfi10_theta": (BFI, {"ordered": TEN, "parameterization": "theta"}),
    "bfi10_pairwise": ("bfi10_missing", {"ordered": TEN, "missing": "pairwise"}),
    "bfi10_listwise": ("bfi10_missing", {"ordered": TEN, "missing": "listwise"}),
    "lq_mixed": (LQ, {"ordered": TSIG}),
    "lq_ordered_covariates": (LQ, {"ordered": TSIG}),
    "lq_twolevel": (LQ, {"cluster": "COMPID"}),
    "lq_twolevel_regression": (LQ, {"cluster": "COMPID"}),
    "lq_bifactor": (LQ, {"orthogonal": True, "std_lv": True, "estimator": "mlr"}),
    "lq_bifactor_cluster": (LQ, {"orthogonal": True, "std_lv": True, "estimator": "mlr", "cluster": "COMPID"}),
    "poldem_mlm": (POLDEM, {"estimator": "mlm"}),
    "poldem_observed": (POLDEM, {"information": "observed"}),
    "bfi5_we_configural": (GENDER, {"ordered": FIVE, "group": "gender", "std_lv": True}),
}
CASES |= {f"bfi10_{e}": (BFI, {"ordered": TEN, "estimator": e}) for e in ("dwls", "wls", "wlsm", "ulsmv")}
CASES |= {
    f"bfi5_we_{k}": (GENDER, {"ordered": FIVE, "group": "gender"}) for k in ("thre", "thre_load", "thre_load_inte")
}
STEPS: dict[str, dict] = {
    "configural": {}, "metric": {"group_equal": "loadings"}, "scalar": {"group_equal": SCALAR},
    "means": {"group_equal": (*SCALAR, "means")},
    "partial": {"group_equal": SCALAR, "group_partial": ("x3 ~ 1", "x7 ~ 1")},
}  # fmt: skip
CASES |= {
    f"hs_{e}_{k}": ("hs", {"group": "school", "estimator": e, **kw}) for e in ("ml", "mlr") for k, kw in STEPS.items()
}


def number(value):
    return math.nan if value in (None, "NA") else float(value)


def off(got, want, tolerance):
    return abs(got - want) / (tolerance * max(1.0, abs(want)))


def misses(fit, reference, *, tight=1.0):
    """Rows and measures beyond the tolerances, each of our rows answering for one reference row."""
    found = []
    glance = fit.glance().iloc[0]
    for theirs, ours in FIT.items():
        want = number(reference["fit"].get(theirs))
        if not math.isnan(want) and not abs(glance[ours] - want) <= 1e-4 * max(1.0, abs(want) / 100):
            found.append((ours, want, glance[ours]))
    rows: dict[tuple, list] = {}
    for row in fit.tidy().to_dict("records"):
        rows.setdefault((row["lhs"], row["op"], row["rhs"] if row["op"] != "~1" else ""), []).append(row)
    for p in reference["parameters"]:
        est, se, rhs = number(p["est"]), number(p.get("se")), p["rhs"] or ""
        same = rows.get((p["lhs"], p["op"], rhs)) or (rows.get((rhs, p["op"], p["lhs"])) if p["op"] == "~~" else None)
        if not same:
            if p["op"] in ("=~", "~", "~~", "~1", "|"):
                found.append((p["lhs"], p["op"], rhs, "no such row"))
            continue
        best = min(same, key=lambda r: abs(r["est"] - est) + (0 if math.isnan(se) else abs(r["se"] - se)))
        same.remove(best)
        if off(best["est"], est, 1e-5 * tight) > 1:
            found.append((p["lhs"], p["op"], rhs, est, best["est"]))
        if se > 0 and abs(best["se"] - se) > 1e-4 * tight * max(0.01, se):
            found.append((p["lhs"], p["op"], rhs, "se", se, best["se"]))
    return found


@pytest.mark.parametrize("name", CASES)
def test_agrees_with_lavaan(name):
    source, arguments = CASES[name]
    fit = coco.sem(DATA[source], LAVAAN[name]["model"], **arguments)
    again = CONTINUED.get(name)
    whole = LAVAAN[name] | {"parameters": []} if again else LAVAAN[name]
    assert misses(fit, whole) == []
    assert not again or misses(fit, again, tight=0.1) == []
    assert fit.identified
    assert fit.converged


@pytest.mark.parametrize("name", sorted(CONTINUED))
def test_lavaans_own_search_ends_where_ours_does(name):
    """lavaan's first estimates lie further from its own minimum than ours do."""
    source, arguments = CASES[name]
    fit = coco.sem(DATA[source], LAVAAN[name]["model"], **arguments)
    again = CONTINUED[name]
    assert again["gradient"] < 0.02 * again["gradient_first"]
    assert abs(fit.measures["chi2"] - again["fit"]["chisq"]) < 1e-6


def test_growth_model():
    model = LAVAAN["growth"]["model"] + "\ni ~~ s\ni ~ 1\ns ~ 1\n" + "\n".join(f"t{k} ~ 0*1" for k in range(1, 5))
    assert misses(coco.sem(DATA["lavaan_Demo.growth"], model), LAVAAN["growth"]) == []


def test_from_a_published_covariance_matrix():
    """Brown (2015), example 4.1."""
    names = ["N1", "N2", "N3", "N4", "E1", "E2", "E3", "E4"]
    matrix = pd.DataFrame(LAVAAN["brown_4_1"]["cov"], index=names, columns=names)
    fit = coco.sem_from_moments(LAVAAN["brown_4_1"]["model"], matrix, 250)
    assert misses(fit, LAVAAN["brown_4_1"]) == []


@pytest.fixture(scope="module")
def extras():
    return coco.cfa(DATA["hs"], LAVAAN["hs_extras"]["model"]), LAVAAN["hs_extras"]


@pytest.mark.parametrize("name", ["hs_extras", "hs_mlr_std", "bfi10_wlsmv", "lq_bifactor", "poldem_observed"])
def test_standardised_solutions_with_errors(name):
    source, arguments = CASES[name]
    found = coco.sem(DATA[source], LAVAAN[name]["model"], **arguments).standardized()
    ours = {(r.lhs, r.op, r.rhs): (r.est, r.se) for r in found.itertuples()}
    for p in LAVAAN[name]["standardized"]:
        est, se = ours[p["lhs"], p["op"], p["rhs"] or ""]
        assert est == pytest.approx(number(p["est.std"]), abs=1e-5)
        assert math.isnan(number(p["se"])) or se == pytest.approx(number(p["se"]), abs=1e-5)


def test_residuals(extras):
    fit, reference = extras
    assert np.abs(fit.residuals("cor").to_numpy() - np.array(reference["residual_cor"])).max() < 1e-6
    for kind, key in (("cor_z", "residual_z"), ("standardized", "residual_standardized")):
        assert np.abs(fit.residuals(kind).to_numpy() - np.array(reference[key], dtype=float)).max() < 1e-4


@pytest.mark.parametrize("name", ["hs_extras", "bfi10_wlsmv"])
def test_modification_indices(name):
    source, arguments = CASES[name]
    table_ = coco.sem(DATA[source], LAVAAN[name]["model"], **arguments).modification_indices()
    ours = {frozenset((r.lhs, r.op, r.rhs)): (r.mi, r.epc, r.sepc_all) for r in table_.itertuples()}
    for p in LAVAAN[name]["modification"]:
        mi, epc, standard = ours[frozenset((p["lhs"], p["op"], p["rhs"]))]
        assert off(mi, p["mi"], 1e-4) < 1
        assert epc == pytest.approx(p["epc"], abs=1e-4)
        assert "sepc.all" not in p or standard == pytest.approx(p["sepc.all"], abs=1e-4)


def test_scores_and_explained_variances(extras):
    fit, reference = extras
    for method in ("regression", "bartlett"):
        want = np.array(reference[f"scores_{method}"], dtype=float)
        assert np.abs(fit.scores(method).head(8).to_numpy() - want).max() < 1e-5
    ours = fit.r_squared().set_index("variable")["r_squared"]
    assert all(ours[k] == pytest.approx(v, abs=1e-5) for k, v in reference["r2"].items())


@pytest.mark.parametrize("estimator", ["ml", "mlr"])
def test_difference_tests_of_the_ladder(estimator):
    model, want = LAVAAN["hs_extras"]["model"], LAVAAN[f"hs_lrt_{estimator}"]
    fits = [coco.cfa(DATA["hs"], model, group="school", estimator=estimator, **STEPS[k]) for k in want["steps"]]
    ours = coco.compare(*reversed(fits)).tidy()
    assert off(ours["delta_chi2"][1], want["chisq_diff"][1], 1e-4) < 1
    assert off(ours["delta_chi2"][2], want["chisq_diff"][2], 1e-4) < 1
    if estimator == "mlr":
        again = coco.compare(fits[1], fits[2], method="satorra.2000").tidy()
        assert off(again["delta_chi2"][1], LAVAAN["hs_lrt_satorra2000"]["chisq_diff"], 1e-4) < 1


def test_difference_test_of_ordinal_models():
    model, want = LAVAAN["bfi10_wlsmv"]["model"], LAVAAN["bfi10_lrt_wlsmv"]
    wide = coco.cfa(DATA[BFI], model, ordered=TEN, std_lv=True)
    narrow = coco.cfa(DATA[BFI], model + "\nA ~~ 1*C", ordered=TEN, std_lv=True)
    assert off(coco.compare(wide, narrow).tidy()["delta_chi2"][1], want["chisq_diff"], 1e-4) < 1
