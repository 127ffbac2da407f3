"""Results as sentences in the style of APA 7, ready for a Results section.

Sentences about synthetic answers say so themselves, because they are copied without their table.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from cocoanalysis.errors import ModelError, listed, suggestion
from cocoanalysis.report.labels import label, phrase
from cocoanalysis.report.tables import chosen_measures, interval, written

SOURCES = {"synthetic": "In the synthetic data, ", "public real": "", "yours": ""}


def verdict(verdicts: Any, hypothesis: str | None = None) -> str:
    """One hypothesis: what was expected, what was estimated, and the verdict with its reason.

    Takes ``coco.judge``'s verdicts with a hypothesis, or one row of them (``verdicts["H5", "durability"]``).
    """
    frame = verdicts.tidy()
    row = frame.iloc[0] if hypothesis is None and len(frame) == 1 else _row(frame, "hypothesis", str(hypothesis))
    hypothesis = str(row["hypothesis"])
    names = " → ".join(phrase(verdicts, row[key]) for key in ("predictor", "outcome") if _there(row.get(key)))
    found = _estimate("β", row)
    adjusted = f", adjusted {_p(row['p_adjusted'])}" if _there(row.get("p_adjusted")) else ""
    size = f" (SESOI {written(row['sesoi'], 'bounded')})" if _there(row.get("sesoi")) else ""
    stated = f"{found}{adjusted}{size}: " if found else ""
    reason = f" ({str(row['reason']).rstrip('.')})" if _there(row.get("reason")) else ""
    return _sentence(verdicts, f"{hypothesis}, {names}, expected {row['expected']}: {stated}{row['verdict']}{reason}")


def regression(result: Any, term: str) -> str:
    """One coefficient: estimate with interval, test statistic and p."""
    row = _row(result.tidy(), "term", term)
    df = f"({written(row['df'], 'df')})" if _there(row.get("df")) else ""
    test = f", t{df} = {written(row['statistic'], 'number')}" if _there(row.get("statistic")) else ""
    return _sentence(result, f"{phrase(result, term)}: {_estimate('b', row)}{test}, {_p(row['p_value'])}")


def fit(result: Any) -> str:
    """How well a model fits; one that may not be used says why instead."""
    faults = [str(d) for d in getattr(result, "diagnostics", ()) if getattr(d, "severity", "error") == "error"]
    if faults:
        return _sentence(result, f"the model may not be interpreted ({'; '.join(faults)})")
    shown, scaled = chosen_measures(result.glance().iloc[0])
    size = f"{written(shown['df'], 'df')}, N = {written(shown['n'], 'count')}"
    chi2 = f"{'scaled ' if scaled else ''}χ²({size}) = {written(shown['chi2'], 'number')}, {_p(shown['p_value'])}"
    span = shown["rmsea 90 % CI"]
    measures = [
        f"{name} = {written(shown[key], 'bounded3')}" + (f", 90 % CI {span}" if key == "rmsea" and span else "")
        for name, key in (("CFI", "cfi"), ("TLI", "tli"), ("RMSEA", "rmsea"), ("SRMR", "srmr"))
        if _there(shown[key])
    ]
    beside = f" (unscaled RMSEA {shown['rmsea unscaled']}, 90 % interval)" if shown.get("rmsea unscaled") else ""
    return _sentence(result, f"{chi2}, {', '.join(measures)}{beside}")


def reliability(result: Any, scale: str) -> str:
    """Reliability of one scale: α and ω with their intervals."""
    row = _row(result.tidy(), "scale", scale)
    parts = []
    for sign, name, stem in (("α", "alpha", "alpha"), ("ω", "omega_total", "omega")):
        if _there(row.get(name)):
            span = interval(row.get(f"{stem}_lower"), row.get(f"{stem}_upper"), "bounded")
            parts.append(f"{sign} = {written(row[name], 'bounded')}" + (f", 95 % CI {span}" if span else ""))
    n = f" ({written(row['n_items'], 'count')} items, n = {written(row['n'], 'count')})"
    return _sentence(result, f"{label(result, scale)}{n}: {'; '.join(parts)}")


def invariance(result: Any) -> str:
    """How far the ladder of equality holds, step by step."""
    steps = [
        f"{row['step']} {row['verdict']}"
        + (f" (ΔCFI = {written(row['delta_cfi'], 'bounded3')})" if _there(row.get("delta_cfi")) else "")
        for row in result.tidy().to_dict("records")
    ]
    return _sentence(result, "; ".join(steps))


def flow(responses: Any) -> str:
    """How many rows came, how many were left out by which rule, and how many were analysed."""
    ledger = getattr(responses, "ledger", responses)
    left = ledger[(ledger["rows"] > 0) & (ledger["n_before"] != ledger["n_after"])]
    start = int((left if len(left) else ledger)["n_before"].iloc[0])
    reasons = "; ".join(f"{int(step.rows)} left out ({step.rule})" for step in left.itertuples())
    end = int(left["n_after"].iloc[-1]) if len(left) else start
    return _sentence(responses, f"of {start} rows {end} were analysed" + (f": {reasons}" if reasons else ""))


def _sentence(result: Any, text: str) -> str:
    start = SOURCES[getattr(result, "provenance", "yours")]
    whole = f"{start}{text}" if start else text[:1].upper() + text[1:] if text[:1].isascii() else text
    return whole.rstrip(".") + "."


def _estimate(sign: str, row: pd.Series) -> str:
    value = row.get("estimate", row.get("est"))
    if not _there(value):
        return ""
    span = interval(row.get("ci_lower"), row.get("ci_upper"), "number")
    return f"{sign} = {written(value, 'number')}" + (f", 95 % CI {span}" if span else "")


def _p(value: Any) -> str:
    shown = written(value, "p")
    return f"p {shown}" if shown.startswith("<") else f"p = {shown}" if shown else "p not available"


def _there(value: Any) -> bool:
    return value is not None and bool(pd.notna(value)) and value != ""


def _row(frame: pd.DataFrame, column: str, name: str) -> pd.Series:
    found = frame[frame[column].astype(str) == str(name)]
    if not len(found):
        known = list(frame[column].astype(str))
        raise ModelError(
            f"The result has no {column} '{name}'; it has {listed(known)}.{suggestion(name, known)}", code="UnknownName"
        )
    return found.iloc[0]
