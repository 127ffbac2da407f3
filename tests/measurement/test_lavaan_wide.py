"""65 more fits of lavaan 0.6-14: every estimator, groups, gaps, weights, clusters, growth, ordered and mixed models.

tests/reference/wide_cases.json lists them for both sides, make_wide.R wrote wide.json. Tolerances as promised:
estimates 1e-5, standard errors 1e-4 and fit measures 1e-4, relative where above one; modification indices 1e-3. Not
held against lavaan: modification indices of paths that make an outcome of a fixed covariate (see the last test).
"""

import json
import math

import pandas as pd
import pytest

import cocoanalysis as coco
from tests.measurement.reference import FOLDER, values
from tests.measurement.test_lavaan import DATA, misses, number

CASES = {case["name"]: case for case in json.loads((FOLDER / "wide_cases.json").read_text(encoding="utf-8"))}
NAMES = {
    "group.equal": "group_equal", "group.partial": "group_partial", "std.lv": "std_lv", "fixed.x": "fixed_x",
    "sampling.weights": "weights",
}  # fmt: skip
LAVAAN = values("wide")


def ours(name, **more):
    case = CASES[name]
    source = DATA[case["data"]]
    if case["data"] == "lq2002":
        source = source.assign(w=0.5 + (pd.RangeIndex(1, len(source) + 1) % 5) / 4)
    if case["data"] == "hs_mar":
        source = source.assign(w=DATA["hs"].w)
    options = {NAMES.get(key, key): value for key, value in case["options"].items()}
    for key in ("estimator", "information"):
        if key in options:
            options[key] = options[key].lower().replace(".", "_")
    if "group_equal" in options:
        options["group_equal"] = [kind.replace(".", "_") for kind in options["group_equal"]]
    return getattr(coco, case["call"])(source, "\n".join(case["model"]), **options | more)


def rows(name, part, *columns):
    return [dict(zip(("lhs", "op", "rhs", *columns), row)) for row in LAVAAN[name][part]]


@pytest.mark.parametrize("name", CASES)
def test_agrees_with_lavaan(name):
    fit = ours(name)
    reference = {"fit": LAVAAN[name]["fit"], "parameters": rows(name, "parameters", "est", "se")}
    if fit.glance().loc[0, "df"] == 0:  # CFI and TLI of a saturated model are left empty (case 66)
        reference["fit"] = {"logl": reference["fit"].get("logl")}
    assert misses(fit, reference) == []


@pytest.mark.parametrize("name", CASES)
def test_standardised_solutions_agree_with_lavaan(name):
    found: dict[tuple, list] = {}
    for row in ours(name).standardized().to_dict("records"):
        found.setdefault((row["lhs"], row["op"], row["rhs"] or ""), []).append(row)
    for p in rows(name, "standardized", "est", "se"):
        est, se = number(p["est"]), number(p["se"])
        same = found.get((p["lhs"], p["op"], p["rhs"] or "")) or found.get((p["rhs"], p["op"], p["lhs"]))
        if not same or math.isnan(est):
            continue
        best = min(same, key=lambda r: abs(r["est"] - est) + (0 if math.isnan(se) else abs(r["se"] - se)))
        assert best["est"] == pytest.approx(est, abs=1e-5 * max(1, abs(est))), p
        assert not se > 0 or best["se"] == pytest.approx(se, abs=1e-4 * max(0.01, se)), p


ALONE = [
    name for name, case in CASES.items()
    if LAVAAN[name]["modification"] and "group" not in case["options"] and "level: 1" not in case["model"]
]  # fmt: skip


@pytest.mark.parametrize("name", ALONE)
def test_modification_indices_agree_with_lavaan(name):
    fit = ours(name)
    covariates = {row.lhs for row in fit.problem.table.rows if row.exogenous}
    mine = {
        (r.lhs, r.op, r.rhs) if r.op != "~~" else frozenset((r.lhs, r.rhs)): r
        for r in fit.modification_indices().itertuples()
    }
    compared = 0
    for p in rows(name, "modification", "mi", "epc"):
        if number(p["mi"]) < 1e-6 or p["lhs"] in covariates or p["op"] == "~*~":
            continue
        row = mine[(p["lhs"], p["op"], p["rhs"]) if p["op"] != "~~" else frozenset((p["lhs"], p["rhs"]))]
        assert row.mi == pytest.approx(p["mi"], rel=1e-3, abs=1e-3)
        assert row.epc == pytest.approx(p["epc"], rel=1e-3, abs=1e-4)
        compared += 1
    assert compared


@pytest.mark.parametrize("name", ["hs_path_mlr", "growth_cov", "lq_cl_sem"])
def test_an_outcome_made_of_a_covariate_is_judged_as_where_it_varies(name):
    """lavaan 0.6-14 with fixed.x = FALSE gives these values; with fixed.x = TRUE it keeps some covariances fixed."""
    keys = ["lhs", "op", "rhs"]
    fixed, free = (ours(name, fixed_x=x).modification_indices().set_index(keys) for x in (True, False))
    both = fixed.index.intersection(free.index)
    assert len(both) > 3
    pd.testing.assert_series_equal(fixed.loc[both, "mi"], free.loc[both, "mi"], rtol=1e-4, atol=1e-4)
