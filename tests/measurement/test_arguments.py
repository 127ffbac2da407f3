"""What makes no sense as an argument gets a full sentence with a stable code, never a bare TypeError."""

import numpy as np
import pandas as pd
import pytest

import cocoanalysis as coco
from tests.measurement.reference import table

HS = "visual =~ x1 + x2 + x3\ntextual =~ x4 + x5 + x6"
ITEMS = [f"x{k}" for k in range(1, 7)]
SCALES = {"visual": ITEMS[:3], "textual": ITEMS[3:]}


@pytest.fixture(scope="module")
def hs():
    return table("lavaan_HolzingerSwineford1939")


def refuses(call, code):
    with pytest.raises(coco.CocoError) as raised:
        call()
    assert raised.value.code == code
    assert str(raised.value).endswith((".", "?"))
    return str(raised.value)


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("estimator", 3, "BadArgument"),
        ("estimator", ["ml"], "BadArgument"),
        ("weights", [1, 2], "BadArgument"),
        ("group", ["a", "b"], "BadArgument"),
        ("group", 7, "UnknownVariable"),
        ("cluster", ["id"], "BadArgument"),
        ("seed", "a", "BadSeed"),
        ("seed", -1, "BadSeed"),
        ("seed", 1.5, "BadSeed"),
        ("seed", True, "BadSeed"),
        ("std_lv", "yes", "BadArgument"),
        ("orthogonal", "no", "BadArgument"),
        ("meanstructure", "yes", "BadArgument"),
        ("fixed_x", "no", "BadArgument"),
        ("bootstrap", 1, "BadBootstrap"),
        ("bootstrap", -5, "BadBootstrap"),
        ("bootstrap", True, "BadBootstrap"),
        ("bootstrap", "many", "BadBootstrap"),
        ("bootstrap", 2.5, "BadBootstrap"),
        ("missing", 3, "BadArgument"),
        ("missing", None, "BadArgument"),
        ("ordered", "x99", "UnknownVariable"),
        ("ordered", 5, "BadArgument"),
        ("ordered", [3], "BadArgument"),
        ("group_equal", 5, "BadArgument"),
        ("group_equal", [3], "BadArgument"),
        ("group_partial", 3, "BadArgument"),
        ("parameterization", 3, "BadArgument"),
        ("convention", None, "BadArgument"),
        ("information", 3, "BadArgument"),
        ("se", 3, "BadArgument"),
        ("collapse", 3, "BadCollapse"),
        ("starts", 0, "BadArgument"),
        ("starts", "x", "BadArgument"),
    ],
)
@pytest.mark.parametrize("fit", [coco.cfa, coco.sem])
def test_options_of_a_fit(hs, fit, name, value, code):
    told = refuses(lambda: fit(hs, HS, **{name: value}), code)
    assert name in told or code in ("UnknownVariable", "BadCollapse")


@pytest.mark.parametrize(
    ("ask", "code"),
    [
        (lambda d: coco.cfa(d, ""), "EmptyModel"),
        (lambda d: coco.cfa(d, " \n"), "EmptyModel"),
        (lambda d: coco.cfa(d, ["f =~ x1"]), "NoModel"),
        (lambda d: coco.cfa(None, HS), "NotATable"),
        (lambda d: coco.cfa(pd.concat([d, d[["x1"]]], axis=1), HS), "DuplicateColumn"),
        (lambda d: coco.cfa(d.assign(x1=np.inf), HS), "NotFinite"),
        (lambda d: coco.cfa(d.assign(x1="a"), HS), "NotANumber"),
        (lambda d: coco.cfa(d, "f =~ x1 + 1e400*x2 + x3"), "SyntaxError"),
        (lambda d: coco.cfa(d, "f =~ x1 + start(1e400)*x2 + x3"), "SyntaxError"),
        (lambda d: coco.invariance(d, HS, group=None), "NoGroup"),
        (lambda d: coco.invariance(d, HS, group=["school"]), "BadArgument"),
        (lambda d: coco.invariance(d, HS, group="school", steps=3), "BadArgument"),
        (lambda d: coco.invariance(d, HS, group="school", partial=3), "BadArgument"),
        (lambda d: coco.compare(3, 4), "NotAFit"),
        (lambda d: coco.compare(d, d), "NotAFit"),
        (lambda d: coco.compare([coco.cfa(d, HS)], [coco.cfa(d, HS)]), "NotAFit"),
        (lambda d: coco.efa(d, ITEMS, factors=True), "TooManyFactors"),
        (lambda d: coco.efa(d, ITEMS, factors=None), "TooManyFactors"),
        (lambda d: coco.efa(d, ITEMS, factors=[2]), "TooManyFactors"),
        (lambda d: coco.efa(d, 3, factors=1), "BadArgument"),
        (lambda d: coco.efa(d, ITEMS, factors=2, seed=-1), "BadSeed"),
        (lambda d: coco.efa(d, ITEMS, factors=2, starts=0), "BadArgument"),
        (lambda d: coco.efa(d[ITEMS].corr(), n="a", factors=2), "BadArgument"),
        (lambda d: coco.polychoric(d, 3), "BadArgument"),
        (lambda d: coco.kmo(d, 3), "BadArgument"),
        (lambda d: coco.parallel_analysis(d[ITEMS], replicates="a"), "BadSimulation"),
        (lambda d: coco.parallel_analysis(d[ITEMS], replicates=5, seed="a"), "BadSeed"),
        (lambda d: coco.parallel_analysis(d[ITEMS], replicates=5, quantile="a"), "BadSimulation"),
        (lambda d: coco.reliability(d, 3), "BadArgument"),
        (lambda d: coco.reliability(d, {}), "NoScale"),
        (lambda d: coco.reliability(d, {"a": 3}), "BadArgument"),
        (lambda d: coco.reliability(d, SCALES, level=5), "BadArgument"),
        (lambda d: coco.reliability(d, SCALES, interval="bootstrap", bootstrap=-2), "BadBootstrap"),
        (lambda d: coco.reliability(d, SCALES, interval="bootstrap", bootstrap=9, seed="a"), "BadSeed"),
        (lambda d: coco.htmt(d, 3), "BadArgument"),
        (lambda d: coco.htmt(d, SCALES, bootstrap=-3), "BadBootstrap"),
        (lambda d: coco.rwg(d, 3, "school"), "BadArgument"),
        (lambda d: coco.icc(d, ITEMS, ["school"]), "BadArgument"),
        (lambda d: coco.regress("x1 ~", d), "FormulaSyntax"),
        (lambda d: coco.regress("x1 ~ 0", d), "FormulaSyntax"),
        (lambda d: coco.regress(3, d), "FormulaSyntax"),
        (lambda d: coco.regress("x1 ~ x1", d), "SelfReference"),
        (lambda d: coco.regress("x1 ~ x2 + center(x1)", d), "SelfReference"),
        (lambda d: coco.regress("x1 ~ x2", d.assign(x1="a")), "NotANumber"),
        (lambda d: coco.regress("x1 ~ x2", d, level=7), "BadArgument"),
        (lambda d: coco.regress("x1 ~ x2", d, cluster=3), "BadArgument"),
        (lambda d: coco.regress("x1 ~ x2", d, vcov="wild", cluster="school", seed=-1), "BadSeed"),
        (lambda d: coco.read_survey(5), "NotAPath"),
        (lambda d: coco.read_instrument(None), "NotAPath"),
        (lambda d: coco.read_plan(5), "NotAPath"),
        (lambda d: coco.read_responses(5, coco.read_survey("unit-climate")), "NotAPath"),
        (lambda d: coco.simulate(5), "NotAPath"),
    ],
)
def test_slips_elsewhere(hs, ask, code):
    refuses(lambda: ask(hs), code)


COV = pd.DataFrame(np.eye(4) * 0.6 + 0.4, list("abcd"), list("abcd"))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"covariance": COV.replace(1.0, -1.0)}, "NegativeVariance"),
        ({"covariance": COV.mask(COV == 0.4)}, "MissingMoments"),
        ({"covariance": COV.replace(1.0, np.inf)}, "NotFinite"),
        ({"covariance": COV.astype(object).replace(0.4, "x")}, "NotANumber"),
        ({"covariance": COV.replace(1.0, 0.1)}, "NotPositiveDefinite"),
        ({"covariance": COV.to_numpy()}, "NotATable"),
        ({"covariance": COV.set_axis(list("abca"), axis=1)}, "DuplicateColumn"),
        ({"n": "301"}, "BadArgument"),
        ({"n": np.nan}, "BadArgument"),
        ({"n": True}, "BadArgument"),
        ({"n": 301.5}, "BadArgument"),
        ({"n": 4}, "TooFewRows"),
        ({"model": 3}, "NoModel"),
        ({"model": ""}, "EmptyModel"),
        ({"estimator": 3}, "BadArgument"),
        ({"estimator": "mlr"}, "NeedsRows"),
        ({"estimator": "wlsmv"}, "NeedsRows"),
        ({"information": "first.order"}, "NeedsRows"),
        ({"std_lv": "yes"}, "BadArgument"),
        ({"model": "f =~ a + b + c + d\na ~ 1", "means": [1, 2]}, "NotATable"),
        ({"model": "f =~ a + b + c + d\na ~ 1", "means": pd.Series({"a": 1.0})}, "NeedsMeans"),
        ({"model": "f =~ a + b + c + d\na ~ 1", "means": pd.Series(np.nan, list("abcd"))}, "MissingMoments"),
    ],
)
def test_published_moments(change, code):
    given = {"model": "f =~ a + b + c + d", "covariance": COV, "n": 200} | change
    refuses(lambda: coco.sem_from_moments(**given), code)


@pytest.mark.parametrize(
    ("formula", "words"),
    [("a/0", "no finite value"), ("log(-a)", "no finite value"), ("sqrt(-a)", "no finite value"),
     ("a^99999", "told from 0"), ("(a - a)^0.5", "no standard error")],
)  # fmt: skip
def test_definitions_without_a_value_are_told(hs, formula, words):
    fit = coco.cfa(hs, f"visual =~ x1 + a*x2 + x3\nz := {formula}")
    told = next(d for d in fit.diagnostics if d.code == "UndefinedParameter")
    assert f"'z := {formula.replace(' ', '')}'" in told.reason
    assert words in told.reason
    assert not np.isinf(fit.tidy(standardized=True).select_dtypes("number")).any(axis=None)
    assert fit.usable


@pytest.mark.parametrize(
    ("constraints", "named"),
    [
        ("a > 5\na < 3", ["a > 5", "a < 3", "line 3"]),
        ("a == 5\na == 3", ["a == 5", "a == 3"]),
        ("a > b\nb > 1\nb > a + 1", ["a > b", "b > a+1"]),
        ("a + b == 1\nb > 2\na > 0", ["a+b == 1", "b > 2", "a > 0"]),
    ],
)
def test_contradicting_constraints_are_named_at_once(hs, constraints, named):
    told = refuses(lambda: coco.cfa(hs, "f =~ x1 + a*x2 + b*x3 + x4\n" + constraints), "ContradictingConstraints")
    assert all(word in told for word in named)
    assert "b > 1'" not in told


def test_constraints_that_can_hold_are_kept(hs):
    fit = coco.cfa(hs, "f =~ x1 + a*x2 + b*x3 + x4\na < 0.7\na > 0.2\na + b == 1\na*b < 5")
    a, b = fit.tidy().set_index("label").loc[["a", "b"], "est"]
    assert a + b == pytest.approx(1)


def test_agreement_on_values_between_options_is_told(hs):
    found = coco.rwg(hs, ["x1", "x2", "x3"], "school")
    assert {"NotOrdinal", "OptionsFromAnswers"} <= {d.code for d in found.diagnostics}


def test_a_ladder_may_begin_with_any_step(hs):
    ladder = coco.invariance(hs, HS, group="school", steps="metric")
    whole = coco.invariance(hs, HS, group="school")
    assert ladder.tidy().chi2.iloc[0] == pytest.approx(whole.tidy().chi2.iloc[1], abs=1e-6)
