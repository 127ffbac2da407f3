"""Sentences in the style of APA, with the result's numbers."""

import pytest

from cocoanalysis.errors import CocoError
from cocoanalysis.report import words


def test_verdict(verdicts):
    assert words.verdict(verdicts, "H1") == (
        "In the synthetic data, H1, Mobilising → outcome, expected +: β = 0.31, 95 % CI [0.21,\u00a00.41], "
        "adjusted p <\u00a0.001 (SESOI .10): supported (substantial)."
    )
    assert words.verdict(verdicts, "H12").endswith("not testable (NotConverged: the model did not converge).")


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
