"""Sentences in the style of APA, with the result's numbers."""

import pytest
import scipy.stats

import cocoanalysis as coco
from cocoanalysis.errors import CocoError
from cocoanalysis.report import words


def test_verdict(verdicts):
    assert words.verdict(verdicts, "H1") == (
        "In the synthetic data, the association of Mobilising with outcome was β = 0.31, 95 % CI [0.21,\u00a00.41], "
        "adjusted p <\u00a0.001, SESOI .10; H1 (expected +) was supported (substantial)."
    )
    assert words.verdict(verdicts, "H1", reason=False).endswith("SESOI .10; H1 (expected +) was supported.")
    told = "H12 (expected +) was not testable (NotConverged: the model did not converge)."
    assert words.verdict(verdicts, "H12") == f"In the synthetic data, {told}"


@pytest.fixture(scope="module")
def judged():
    folder = coco.bundled("unit-climate")
    responses = coco.read_responses(folder / "responses.csv", coco.read_survey(folder))
    return coco.judge(coco.read_plan(folder), responses, seed=1)


def test_an_account_has_sentence_equation_estimate_verdict_and_apa_sentence_of_every_hypothesis(judged):
    told = words.account(judged)
    rows = [row for row in judged if row.numbers["family"] != "beside"]
    assert [line[2:].split("**")[0] for line in told.splitlines() if line.startswith("**")] == list(
        dict.fromkeys(row.numbers["hypothesis"] for row in rows)
    )
    for row in rows:
        for part in (f"*{row.sentence}*", f"`{row.equation.split('; ')[-1]}`", words.estimated(row.numbers)):
            assert part in told
        assert f"verdict: **{row.verdict}**. {row.reason.rstrip('.')}." in told
        assert f"in APA style: {words.verdict(row, reason=False)}" in told
    assert told._repr_markdown_() == str(told)
    assert "\n" not in repr(told)


def test_an_account_writes_the_estimates_of_the_regression_into_the_equation(judged):
    table = judged["H1"].fit.tidy().set_index("term")["est"]
    within, between = table["within(leadership)"], table["between(leadership)"]
    fitted = f"hostility = {table['Intercept']:.3f} − {-within:.3f}·within(leadership) "
    assert fitted + f"− {-between:.3f}·between(leadership)" in words.account(judged, "H1")


def test_the_statistic_of_a_verdict_is_the_one_its_p_value_comes_from(judged):
    numbers = judged["H1"].numbers
    t = numbers["estimate"] / numbers["se"]
    assert 2 * scipy.stats.t.sf(abs(t), numbers["df"]) == pytest.approx(numbers["p_value"], rel=1e-6)


def test_an_account_names_what_it_does_not_know(judged):
    with pytest.raises(CocoError) as error:
        words.account(judged, "H9")
    assert error.value.code == "UnknownName"


def test_an_unknown_hypothesis_is_named_with_those_that_exist(verdicts):
    with pytest.raises(CocoError, match="H2a") as error:
        words.verdict(verdicts, "H2")
    assert error.value.code == "UnknownName"


def test_regression(regression):
    regression.provenance = "public real"
    expected = "Mobilising: b = 0.31, 95 % CI [0.21,\u00a00.41], t(38.2) = 6.12, p <\u00a0.001."
    assert words.regression(regression, "mobilising") == expected


def test_fit_of_a_sound_and_of_a_faulty_model(fits):
    for model in fits.values():
        model.provenance = "public real"
    assert words.fit(fits["Two factors"]) == (
        "χ²(8, N = 300) = 17.20, p <\u00a0.001, CFI = .981, TLI = .971, "
        "RMSEA = .045, 90 % CI [.020,\u00a0.070], SRMR = .031."
    )
    assert words.fit(fits["One factor"]) == (
        "The model may not be interpreted (Inadmissible: the variance of mob1 is negative)."
    )


def test_reliability_invariance_and_flow(reliabilities, ladder, responses):
    assert "Mobilising (3 items, n = 300): α = .71, 95 % CI [.65,\u00a0.76]; ω = .72" in words.reliability(
        reliabilities, "mobilising"
    )
    assert "scalar does not hold (ΔCFI = −.019)" in words.invariance(ladder)
    assert words.flow(responses) == (
        "In the synthetic data, of 332 rows 300 were analysed: 24 left out (not finished); "
        "8 left out (failed an attention check)."
    )
