"""Results as sentences in the style of APA 7, ready for a Results section.

Sentences about synthetic answers say so themselves, because they are copied without their table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from cocoanalysis.errors import ModelError, listed, suggestion
from cocoanalysis.report.labels import label, phrase, plain
from cocoanalysis.report.tables import chosen_measures, interval, written
from cocoanalysis.responses.disclosure import joined_steps, withheld_whole

SOURCES = {"synthetic": "In the synthetic data, ", "public real": "", "yours": ""}


# What was estimated, kind by kind: its sign, and what it is said of ({what} and {outcome} are the survey's words).
ESTIMATED = {
    "slope": ("β", "the association of {what} with {outcome}{level}"),
    "product": ("β", "the association of the product {what} with {outcome}{level}"),
    "contrast": ("β", "the contrast {what} in the association with {outcome}{level}"),
    "indirect": ("β", "the indirect association {what} → {outcome}{level}"),
    "sources": ("β", "the difference '{what}' in the association with {outcome}"),
    "necessity": ("d", "the empty corner of {outcome} above {what}"),
}
JUDGED = {
    "supported": "was supported",
    "contradicted": "was contradicted",
    "negligible": "was answered by a negligible association",
    "inconclusive": "remains open (inconclusive)",
    "not testable": "was not testable",
}


def verdict(verdicts: Any, hypothesis: str | None = None, *, reason: bool = True) -> str:
    """One hypothesis as a Results section says it: what was estimated, with interval and test, and the verdict.

    Takes ``coco.judge``'s verdicts with a hypothesis, or one row of them (``verdicts["H5", "durability"]``);
    ``reason`` says whether the verdict's reason follows in brackets.
    """
    frame = verdicts.tidy()
    row = frame.iloc[0] if hypothesis is None and len(frame) == 1 else _row(frame, "hypothesis", str(hypothesis))
    why = f" ({str(row['reason']).rstrip('.')})" if reason and _there(row.get("reason")) else ""
    if row["label"] == "gate":
        held = {"supported": "held", "contradicted": "did not hold"}.get(row["verdict"], "was not testable")
        return _sentence(verdicts, f"the gate {row['hypothesis']} {held}{why}", row)
    judged = f"{row['hypothesis']} (expected {row['expected']}) {JUDGED[row['verdict']]}{why}"
    found = estimated(row)
    return _sentence(verdicts, f"{_said_of(verdicts, row)} was {found}; {judged}" if found else judged, row)


def estimated(row: Mapping[str, Any] | pd.Series) -> str:
    """The estimate of one verdict with its interval, its test, its adjusted p and the SESOI; empty without one."""
    kind = str(row.get("kind", "slope"))
    parts = [_estimate(ESTIMATED.get(kind, ESTIMATED["slope"])[0], row)]
    if not parts[0]:
        return ""
    df, se = (float(row.get(name, np.nan)) for name in ("df", "se"))
    if np.isfinite([df, se]).all() and "SESOI" not in str(row["expected"]):
        parts.append(f"t({written(df, 'df')}) = {written(row['estimate'] / se, 'number')}")
    parts += [f"adjusted {_p(row['p_adjusted'])}"] if _there(row.get("p_adjusted")) else []
    parts += [f"SESOI {written(row['sesoi'], 'bounded')}"] if _there(row.get("sesoi")) else []
    return ", ".join(parts)


def _said_of(verdicts: Any, row: Mapping[str, Any] | pd.Series) -> str:
    cluster = getattr(getattr(verdicts, "survey", None), "cluster", None) or "cluster"
    level = f" within a {cluster}" if "within(" in str(row.get("equation", "")) else ""
    level = f" at the level of the {cluster}" if row.get("level") == "collaboration" else level
    outcome, what = (phrase(verdicts, row[key]) for key in ("outcome", "predictor"))
    _, template = ESTIMATED.get(str(row.get("kind", "slope")), ESTIMATED["slope"])
    return template.format(what=what, outcome=outcome, level=level)


class Markdown(str):
    """Text that a notebook shows as it is meant: headings, lists, emphasis."""

    def _repr_markdown_(self) -> str:
        return str(self)

    def __repr__(self) -> str:
        return f"<text of {len(self.splitlines())} lines>"


def account(verdicts: Any, *hypotheses: str) -> Markdown:
    """Hypotheses one by one: the sentence, the equation, the estimate, the verdict with its reason, the APA sentence.

    Parameters
    ----------
    verdicts : from ``coco.judge``
    hypotheses : their ids; none for every hypothesis and gate of the plan, without the rows between clusters

    Raises
    ------
    ModelError : UnknownName, with the hypotheses that there are
    """
    known = list(dict.fromkeys(str(row.numbers["hypothesis"]) for row in verdicts if row.numbers["family"] != "beside"))
    for name in hypotheses:
        _row(pd.DataFrame({"hypothesis": known}), "hypothesis", name)
    lines: list[str] = []
    for name in hypotheses or known:
        rows = [row for row in verdicts if row.numbers["hypothesis"] == name]
        told = ""
        for row in rows:
            if row.sentence != told:
                told = row.sentence
                lines += ["", f"**{name}** ({_standing(row.numbers)}). *{plain(told)}*", ""]
            lines += _account_of(row)
    return Markdown("\n".join(lines).strip())


def _standing(numbers: Mapping[str, Any]) -> str:
    """The label, and the family where it is another word: 'confirmatory, extension'."""
    label, family = str(numbers["label"]), str(numbers["family"])
    return label if family == "gates" or family in label else f"{label}, {family}"


def _account_of(row: Any) -> list[str]:
    """One row of the verdicts as lines of a list."""
    numbers, gate = row.numbers, row.gate is not None
    names = [phrase(row, numbers[key]) for key in ("predictor", "outcome") if _there(numbers.get(key))]
    equations = [_model_of(row)] if gate else [f"`{plain(one)}`" for one in numbers["equation"].split("; ")]
    lines = [f"- {' → '.join(names)}", *(f"    - equation: {one}" for one in equations)]
    fits = zip(row.equations, row.fits) if row.equations else ()
    lines += [f"    - fitted: {_fitted(fit, equation.controls)}" for equation, fit in fits]
    found = estimated(numbers)
    lines += [f"    - estimate: {found}"] if found else []
    held = {"supported": "holds", "contradicted": "does not hold"} if gate else {}
    judged = held.get(row.verdict, row.verdict)
    lines.append(f"    - verdict: **{judged}**. {plain(row.reason).rstrip('.')}.")
    return [*lines, f"    - in APA style: {plain(verdict(row, reason=False))}"]


def _model_of(row: Any) -> str:
    """What a gate examines, in words."""
    entry = row.gate.entry
    model = f"measurement model of {label(row, entry.model)}"
    if entry.groups:
        return f"{model}, equal over {listed([label(row, name) for name in entry.groups])} ({entry.through})"
    return f"{model} beside {listed([name.replace('_', ' ') for name in entry.against])}"


def _fitted(fit: Any, controls: Sequence[str]) -> str:
    """The estimates in their equation, without those of the controls, which answer no question."""
    frame = fit.tidy()
    kept = [not any(term == name or term.startswith(f"{name}[") for name in controls) for term in frame["term"]]
    told = ""
    for row in frame[kept].itertuples():
        sign = ("− " if row.est < 0 else "+ ") if told else ("−" if row.est < 0 else "")
        factor = "" if row.term == "Intercept" else f"·{plain(row.term).replace(':', ' × ')}"
        told += f"{' ' if told else ''}{sign}{abs(row.est):.3f}{factor}"
    return f"{plain(fit.formula.split('~')[0])} = {told}{' + controls' if controls else ''}"


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
    return _sentence(result, f"{label(result, scale)}{n}: {'; '.join(parts)}", row)


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
    steps = joined_steps(ledger, getattr(responses, "provenance", "yours"))
    start = steps["n_before"].iloc[0] if len(steps) else ledger["n_before"].iloc[0]
    end = int(steps["n_after"].iloc[-1] if len(steps) else start)
    reasons = "; ".join(f"{step.words} left out ({step.rule})" for step in steps.itertuples())
    said = f"of {int(start)} rows {end} were analysed" if pd.notna(start) else f"{end} rows were analysed"
    return _sentence(responses, said + (f": {reasons}" if reasons else ""))


def _sentence(result: Any, text: str, row: pd.Series | None = None) -> str:
    """The sentence, or, where it would be about too few people, that it is withheld and why."""
    reason = withheld_whole(result if row is None else _OfRow(row, getattr(result, "provenance", "yours")))
    if reason is not None:
        return f"Withheld: {reason}."
    start = SOURCES[getattr(result, "provenance", "yours")]
    whole = f"{start}{text}" if start else text[:1].upper() + text[1:] if text[:1].isascii() else text
    return whole.rstrip(".") + "."


class _OfRow:
    """One row of a table as a result of its own: what `withheld_whole` asks for."""

    def __init__(self, row: pd.Series, provenance: str):
        self.row, self.provenance = row, provenance

    def glance(self) -> pd.DataFrame:
        return self.row.to_frame().T


def _estimate(sign: str, row: Mapping[str, Any] | pd.Series) -> str:
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
