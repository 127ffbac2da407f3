"""The verdict rule: claims → verdicts with reasons, family by family.

By precedence, inside one family of m rows: *not testable* when the model has no admissible
answer; *negligible* when both one-sided tests reject an effect as large as the smallest of
interest (Schuirmann, 1987; Lakens, 2017), Holm-adjusted; *supported* or *contradicted* when the
Holm-adjusted p is below alpha and the sign is or is not the stated one; else *inconclusive*.
Not significant alone never reads 'no effect'.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from cocoanalysis.propositions.estimands import Estimated, Row
from cocoanalysis.propositions.evidence import Permuted, Student, two_sided
from cocoanalysis.propositions.plan import EXPECTED, Plan

VERDICTS = ("supported", "negligible", "contradicted", "inconclusive", "not testable")
PROMISED = [
    "hypothesis", "proposition", "outcome", "predictor", "expected", "estimate", "ci_lower", "ci_upper", "p_value",
    "p_adjusted", "sesoi", "verdict", "reason", "label",
]  # fmt: skip
MORE = [
    "kind", "level", "family", "se", "df", "simultaneous_lower", "simultaneous_upper", "tost_p", "tost_p_adjusted",
    "sesoi_points", "n", "n_clusters", "inference", "equation",
]  # fmt: skip


class Claim(NamedTuple):
    """A row of the plan with what was estimated for it, before families are corrected."""

    id: str
    row: Row
    family: str
    level: str
    expected: str
    sesoi: float | None
    found: Estimated


def decide(plan: Plan, claims: Sequence[Claim]) -> list[dict[str, Any]]:
    """The verdict rule on all claims, family by family; the table's rows in the claims' order."""
    tests = [_tests(claim) for claim in claims]
    rows: list[dict[str, Any]] = [{} for _ in claims]
    for family in dict.fromkeys(claim.family for claim in claims):
        members = [k for k, claim in enumerate(claims) if claim.family == family]
        entry = plan.form.families.get(family)
        correction = entry.correction if entry else "bh"
        label = "confirmatory" if entry and not entry.exploratory else "exploratory"
        adjusted = {key: adjust([tests[k][key] for k in members], correction) for key in ("p_value", "tost_p")}
        against = adjust([tests[k]["against"] for k in members], correction)
        for place, k in enumerate(members):
            test = tests[k] | {
                "p_adjusted": adjusted["p_value"][place],
                "tost_p_adjusted": adjusted["tost_p"][place],
                "against_adjusted": against[place],
            }
            rows[k] = _row(plan, claims[k], test, len(members), label)
    return rows


def adjust(p_values: Sequence[float], correction: str) -> np.ndarray:
    """Adjusted p values over a family (Holm, 1979; Benjamini & Hochberg, 1995).

    A missing one counts as 1, so that it still takes its place in the family.
    """
    p = np.asarray(p_values, float)
    if correction == "none" or np.isnan(p).all():
        return p
    filled, m = np.where(np.isnan(p), 1.0, p), len(p)
    order = np.argsort(filled)
    ranked, adjusted = filled[order], np.empty(m)
    if correction == "holm":
        adjusted[order] = np.maximum.accumulate(ranked * np.arange(m, 0, -1))
    else:
        adjusted[order] = np.minimum.accumulate((ranked * m / np.arange(1, m + 1))[::-1])[::-1]
    return np.where(np.isnan(p), np.nan, np.minimum(adjusted, 1.0))


def _tests(claim: Claim) -> dict[str, float]:
    """Unadjusted p values of a claim: of the claim itself, of equivalence, and against it."""
    evidence, size = claim.found.evidence, claim.sesoi
    if evidence is None:
        return {"p_value": np.nan, "tost_p": np.nan, "against": np.nan}
    tost = np.nan if size is None else max(evidence.above(-size), evidence.below(size))
    if claim.expected == "noninferior":
        edge = -(size or 0.0)
        return {"p_value": evidence.above(edge), "tost_p": tost, "against": evidence.below(edge)}
    return {"p_value": two_sided(evidence), "tost_p": tost, "against": np.nan}


def _row(plan: Plan, claim: Claim, test: dict[str, float], members: int, label: str) -> dict[str, Any]:
    found, evidence, alpha = claim.found, claim.found.evidence, plan.form.alpha
    low, high = (np.nan, np.nan) if evidence is None else evidence.interval(0.95)
    wide = (np.nan, np.nan) if evidence is None else evidence.interval(1 - alpha / members)
    verdict, reason = rule(claim, test, alpha, (low, high))
    size = np.nan if claim.sesoi is None else claim.sesoi
    return {
        "hypothesis": claim.id,
        "proposition": claim.row.hypothesis.point,
        "outcome": claim.row.outcome,
        "predictor": claim.row.predictor,
        "expected": EXPECTED[claim.expected],
        "estimate": np.nan if evidence is None else evidence.estimate,
        "ci_lower": low,
        "ci_upper": high,
        "p_value": test["p_value"],
        "p_adjusted": test["p_adjusted"],
        "sesoi": size,
        "verdict": verdict,
        "reason": reason,
        "label": label,
        "kind": claim.row.hypothesis.kind,
        "level": claim.level,
        "family": claim.family,
        "se": np.nan if evidence is None else evidence.se,
        "df": np.nan if evidence is None else evidence.df,
        "simultaneous_lower": wide[0],
        "simultaneous_upper": wide[1],
        "tost_p": test["tost_p"],
        "tost_p_adjusted": test["tost_p_adjusted"],
        "sesoi_points": size * found.points,
        "n": found.n,
        "n_clusters": found.n_clusters,
        "inference": found.more.get("inference", ""),
        "equation": found.more.get("equation", "; ".join(equation.formula for equation in found.equations)),
    }


def rule(claim: Claim, test: Mapping[str, float], alpha: float, interval: tuple[float, float]) -> tuple[str, str]:
    """The verdict and its reason in words."""
    evidence = claim.found.evidence
    if evidence is None:
        return "not testable", f"Not testable: {claim.found.fault}."
    if isinstance(evidence, Permuted):
        return _necessity(evidence, test, alpha)
    if claim.expected == "noninferior":
        return _noninferiority(claim, test, alpha)
    detectable = test["p_adjusted"] < alpha
    if test["tost_p_adjusted"] < alpha:
        also = f" It is detectable all the same ({_p(test['p_adjusted'])})." if detectable else ""
        bound = f"smaller than the SESOI of {claim.sesoi:.2f}{_points(claim)}"
        return (
            "negligible",
            f"The association is {bound} in either direction (TOST {_p(test['tost_p_adjusted'])}).{also}",
        )
    if detectable:
        stated = (evidence.estimate > 0) == (claim.expected == "positive")
        sign = "has the stated sign" if stated else "has the opposite sign"
        text = f"The association {sign} ({_p(test['p_adjusted'])}, adjusted){_size(claim, interval)}."
        return ("supported" if stated else "contradicted"), text
    return "inconclusive", _why_inconclusive(claim, test, alpha)


def _size(claim: Claim, interval: tuple[float, float]) -> str:
    if claim.sesoi is None:
        return "; no SESOI is set, so its size is not judged"
    near = min(abs(interval[0]), abs(interval[1])) if interval[0] * interval[1] > 0 else 0.0
    if near > claim.sesoi:
        return f"; substantial: the interval's near bound exceeds the SESOI of {claim.sesoi:.2f}{_points(claim)}"
    return "; direction established, size uncertain"


def _noninferiority(claim: Claim, test: Mapping[str, float], alpha: float) -> tuple[str, str]:
    edge = f"−{claim.sesoi:.2f}{_points(claim)}" if claim.sesoi else "0"
    if test["p_adjusted"] < alpha:
        small = test["tost_p_adjusted"] < alpha
        also = " It is smaller than the SESOI in either direction." if small else ""
        return "supported", f"The association lies above {edge} (one-sided {_p(test['p_adjusted'])}, adjusted).{also}"
    if test["against_adjusted"] < alpha:
        return (
            "contradicted",
            f"The association lies below {edge} (one-sided {_p(test['against_adjusted'])}, adjusted).",
        )
    return "inconclusive", f"Neither above nor below {edge} with this precision; that is no evidence of either."


def _necessity(evidence: Permuted, test: Mapping[str, float], alpha: float) -> tuple[str, str]:
    size = f"d = {evidence.estimate:.2f}"
    if test["p_adjusted"] < alpha and evidence.estimate >= 0.1:
        return "supported", f"The empty corner is larger than chance leaves it ({size}, {_p(test['p_adjusted'])})."
    return "inconclusive", f"The empty corner is small or as chance would leave it ({size}, {_p(test['p_adjusted'])})."


def _why_inconclusive(claim: Claim, test: Mapping[str, float], alpha: float) -> str:
    text = (
        f"Neither an association nor its smallness is shown ({_p(test['p_adjusted'])}, adjusted); "
        "that is not 'no effect'."
    )
    evidence = claim.found.evidence
    if claim.sesoi is None or evidence is None:
        return f"{text} Without a SESOI 'negligible' is not available." if claim.sesoi is None else text
    if not np.isnan(evidence.df) and Student(0.0, evidence.se, evidence.df).above(-claim.sesoi) >= alpha:
        place = " collaborations" if claim.level == "collaboration" else " rows and collaborations"
        return f"{text} With so few{place} 'negligible' was out of reach even for an estimate of 0."
    return text


def _points(claim: Claim) -> str:
    """The SESOI in the outcome's scale points for one SD of the predictor."""
    if claim.sesoi is None or np.isnan(claim.found.points):
        return ""
    return f" ({claim.sesoi * claim.found.points:.2f} scale points)"


def _p(value: float) -> str:
    if value < 0.001:
        return "p < .001"
    return "p > .999" if value > 0.9995 else f"p = {value:.3f}".replace("0.", ".", 1)
