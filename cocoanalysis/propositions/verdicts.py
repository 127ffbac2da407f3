"""What the data say about each hypothesis: `judge` applies the plan and gives `Verdicts`.

The rule, by precedence, inside one family of m rows: *not testable* when the model has no
admissible answer; *negligible* when both one-sided tests reject an effect as large as the
smallest of interest (Schuirmann, 1987; Lakens, 2017), Holm-adjusted; *supported* or
*contradicted* when the Holm-adjusted p is below alpha and the sign is or is not the stated one;
else *inconclusive*. Not significant alone never reads 'no effect'.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from pydantic import ValidationError

from cocoanalysis.errors import Diagnostic, PlanError, listed, suggestion
from cocoanalysis.propositions import necessity, sources
from cocoanalysis.propositions.design import variables
from cocoanalysis.propositions.estimands import ESTIMANDS, Answers, Equation, Estimated, Row, rows_of
from cocoanalysis.propositions.evidence import Permuted, two_sided
from cocoanalysis.propositions.gates import Gate, examine
from cocoanalysis.propositions.plan import EXPECTED, DeviationEntry, Hypothesis, Plan
from cocoanalysis.propositions.regression import Regression, regress
from cocoanalysis.responses.selection import as_frame
from cocoanalysis.result import Result

REGISTERED = (necessity, sources)  # modules that add a kind of hypothesis by being imported
VERDICTS = ("supported", "negligible", "contradicted", "inconclusive", "not testable")
PROMISED = [
    "hypothesis", "proposition", "outcome", "predictor", "expected", "estimate", "ci_lower", "ci_upper", "p_value",
    "p_adjusted", "sesoi", "verdict", "reason", "label",
]  # fmt: skip
MORE = [
    "kind", "level", "family", "se", "df", "simultaneous_lower", "simultaneous_upper", "tost_p", "tost_p_adjusted",
    "sesoi_points", "n", "n_clusters", "equation",
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


@dataclass(frozen=True, repr=False)
class Verdict(Result):
    """One row: the claim, the estimate, and what follows. `.fit` is the regression behind it."""

    numbers: Mapping[str, Any]
    equations: tuple[Equation, ...]
    refit: Callable[[tuple[Equation, ...]], tuple[Regression, ...]]
    sentence: str = ""
    provenance: str = "yours"
    survey: Any = None
    gate: Gate | None = None
    title: str = "Verdict"

    @property
    def verdict(self) -> str:
        return str(self.numbers["verdict"])

    @property
    def reason(self) -> str:
        return str(self.numbers["reason"])

    @cached_property
    def fits(self) -> tuple[Regression, ...]:
        """Every equation behind the row, fitted by `regress`, the outcome's last."""
        return self.refit(self.equations)

    @property
    def equation(self) -> str:
        """The equations behind the row, as formulas."""
        return str(self.numbers["equation"])

    @property
    def fit(self) -> Any:
        """The regression of the outcome behind the row; of a gate, its measurement model."""
        if self.gate is not None and self.gate.fits:
            return self.gate.fit
        if not self.equations:
            raise PlanError(f"{self.numbers['hypothesis']} rests on no regression.", code="NoRegression")
        return self.fits[-1]

    def tidy(self) -> pd.DataFrame:
        return pd.DataFrame([self.numbers], columns=[*PROMISED, *MORE])

    def _shown(self) -> pd.DataFrame:
        return self.tidy()[PROMISED]


@dataclass(frozen=True, repr=False)
class Verdicts(Result):
    """Every hypothesis of a plan with its verdict: `tidy()`, `glance()`, and `verdicts["H1"]` for one of them.

    Attributes
    ----------
    plan : the plan that was applied, with its hash
    rows : tuple of Verdict, confirmatory rows in the plan's order, then what stands beside them
    ledger : every exclusion, with its rule, reason and count
    fitted, reported : how many regressions were fitted, and how many rows are reported
    """

    plan: Plan
    rows: tuple[Verdict, ...]
    ledger: pd.DataFrame
    fitted: int
    provenance: str = "yours"
    survey: Any = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    deviations: pd.DataFrame = field(default_factory=pd.DataFrame)
    diagnostics: tuple[Diagnostic, ...] = ()
    gates: tuple[Gate, ...] = ()
    title: str = "Verdicts"

    def tidy(self) -> pd.DataFrame:
        """One row a hypothesis and outcome; estimates are standardised, intervals at 95 %."""
        return pd.DataFrame([row.numbers for row in self.rows], columns=[*PROMISED, *MORE])

    def glance(self) -> pd.DataFrame:
        """One row: the plan, its hash, and how many hypotheses ended in each verdict."""
        counted = [row.verdict for row in self.rows if not str(row.numbers["label"]).startswith("exploratory")]
        counts = {name.replace(" ", "_"): counted.count(name) for name in VERDICTS}
        return pd.DataFrame([{"plan": self.plan.id, "hash": self.plan.hash, **self.settings, **counts}])

    def __iter__(self) -> Iterator[Verdict]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, key: str | tuple[str, str]) -> Verdict:
        """``verdicts["H1"]``; where a hypothesis has several rows, ``verdicts["H5", "durability"]``."""
        id, which = (key, None) if isinstance(key, str) else key
        found = [row for row in self.rows if row.numbers["hypothesis"] == id]
        if which is not None:
            found = [row for row in found if which in (row.numbers["outcome"], row.numbers["predictor"])]
        if len(found) == 1:
            return found[0]
        known = list(dict.fromkeys(str(row.numbers["hypothesis"]) for row in self.rows))
        if found:
            part = "predictor" if len({row.numbers["outcome"] for row in found}) == 1 else "outcome"
            parts = [f"['{id}', '{row.numbers[part]}']" for row in found]
            raise PlanError(f"{id} has {len(found)} rows; take one of {listed(parts)}.", code="SeveralRows")
        raise PlanError(
            f"There is no row '{id}'{f' with {which}' if which else ''}; there are {listed(known, 60)}."
            f"{suggestion(id, known)}",
            code="UnknownHypothesis",
        )

    @property
    def note(self) -> str:
        return f"{self.fitted} regressions fitted, {len(self.rows)} rows reported. Plan {self.plan.hash[:12]}."

    def notes(self) -> list[str]:
        causal = (
            "Associations in cross-sectional answers: they show no causes, and cannot tell reverse causation apart."
        )
        count = len(self.deviations.drop_duplicates(["setting", "executed"])) if len(self.deviations) else 0
        told = [f"{count} deviation(s) from the plan; both results are in .deviations."] if count else []
        return [*super().notes(), causal, self.note, *told, *(str(diagnostic) for diagnostic in self.diagnostics)]

    def _shown(self) -> pd.DataFrame:
        return self.tidy()[PROMISED]


def judge(
    plan: Plan,
    responses: Any,
    *,
    seed: int = 0,
    gates: bool | str = True,
    exploratory: bool = True,
    deviations: Sequence[DeviationEntry | Mapping[str, Any]] = (),
) -> Verdicts:
    """Apply a plan to answers and say for each hypothesis what follows.

    Parameters
    ----------
    plan : from `read_plan`
    responses : Responses (the plan's exclusions are applied here, once, and stand in the ledger), or a DataFrame with
        the scores and background under the plan's names and the survey's cluster column
    seed : of the Monte Carlo intervals and permutations
    gates : True examines the gates that guard a hypothesis, 'all' every one, False none; they need the items, and a
        diagnostic names those that were left
    exploratory : whether the exploratory families and the between-collaborations rows are estimated (a power study
        leaves them out)
    deviations : what is done otherwise than planned, besides those in the plan's own `deviations`: each with setting
        (controls, exclusions, model, vcov, means_from), executed and reason. Both results are in `.deviations`, and
        the rows are labelled 'confirmatory with deviation'

    Returns
    -------
    Verdicts

    Raises
    ------
    PlanError : UnknownVariable, NoCluster, InvalidDeviation
    """
    made = [*plan.form.deviations, *(_deviation(one) for one in deviations)]
    run = _Run(plan.deviated(made), seed, exploratory)
    survey = getattr(responses, "survey", None)
    used = run.plan.exclude(responses) if survey is not None else responses
    examined = examine(plan, used, guarding=gates != "all") if gates and survey is not None else ()
    answers, claims, decided = run.on(used, examined)
    outside = _outside(used)
    changed = bool(made) or len(outside) > 0
    provenance = getattr(responses, "provenance", "yours")
    refit = _Refit(run.plan, answers, provenance, survey)
    rows = [_gate_verdict(one, plan, refit) for one in examined]
    for claim, numbers in zip(claims, decided):
        sentence = claim.row.hypothesis.sentence.get("en", "")
        if changed and numbers["label"] == "confirmatory":
            numbers["label"] = "confirmatory with deviation"
        rows.append(
            Verdict(
                numbers=numbers,
                equations=claim.found.equations,
                refit=refit,
                sentence=sentence,
                provenance=provenance,
                survey=survey,
                title=f"{claim.id}: {sentence or claim.row.predictor}",
            )
        )
    return Verdicts(
        plan=plan,
        rows=tuple(rows),
        ledger=used.ledger if survey is not None else pd.DataFrame(),
        fitted=len({equation.formula for claim in claims for equation in claim.found.equations}),
        provenance=provenance,
        survey=survey,
        settings={"alpha": plan.form.alpha, **run.plan.form.estimation.model_dump(), "seed": seed},
        deviations=_compared(plan, made, outside, responses, examined, claims, decided, run) if changed else _NONE,
        diagnostics=_unexamined(plan, examined),
        gates=examined,
    )


class _Run(NamedTuple):
    """A plan carried out with a seed."""

    plan: Plan
    seed: int
    exploratory: bool

    def on(self, used: Any, gates: Sequence[Gate]) -> tuple[Answers, list[Claim], list[dict[str, Any]]]:
        """Answers, claims and decided rows on responses after the plan's exclusions."""
        answers = answers_of(self.plan, used)
        estimated = estimate(self.plan, answers, self.seed, self.exploratory)
        claims = guarded(self.plan, estimated, gates, answers, self.seed)
        return answers, claims, decide(self.plan, claims)


DEVIATIONS = ["setting", "planned", "executed", "reason", "hypothesis", "outcome", "predictor", "planned_estimate",
              "planned_verdict", "executed_estimate", "executed_verdict"]  # fmt: skip
_NONE = pd.DataFrame(columns=DEVIATIONS)


def _deviation(given: DeviationEntry | Mapping[str, Any]) -> DeviationEntry:
    if isinstance(given, DeviationEntry):
        return given
    reason = given.get("reason")
    try:
        return DeviationEntry.model_validate({**given, "reason": {"en": reason} if isinstance(reason, str) else reason})
    except ValidationError as error:
        raise PlanError(
            "A deviation has the keys setting (controls, exclusions, model, vcov or means_from), executed and reason; "
            f"{listed(given)} came.",
            code="InvalidDeviation",
        ) from error


def _outside(used: Any) -> list[str]:
    """Rules by which rows were left out that are not the plan's."""
    ledger = getattr(used, "ledger", None)
    if ledger is None or "origin" not in ledger:
        return []
    rows = ledger[(ledger["step"] == "exclude") & (ledger["origin"] != "plan") & (ledger["rows"] > 0)]
    return list(rows["rule"])


def _compared(
    plan: Plan,
    made: Sequence[DeviationEntry],
    outside: Sequence[str],
    responses: Any,
    gates: Sequence[Gate],
    claims: Sequence[Claim],
    decided: Sequence[Mapping[str, Any]],
    run: _Run,
) -> pd.DataFrame:
    """Every confirmatory row as planned and as carried out; rows excluded by hand cannot be brought back."""
    planned: dict[tuple[str, str, str], Mapping[str, Any]] = {}
    if made:
        used = plan.exclude(responses) if getattr(responses, "survey", None) is not None else responses
        before = run._replace(plan=plan).on(used, gates)[2]
        planned = {(row["hypothesis"], row["outcome"], row["predictor"]): row for row in before}
    rows = []
    for setting, was, now, reason in _told(plan, made, outside):
        for row in decided:
            if not str(row["label"]).startswith("confirmatory"):
                continue
            key = (row["hypothesis"], row["outcome"], row["predictor"])
            old = planned.get(key, {})
            rows.append([setting, was, now, reason, *key, old.get("estimate", np.nan), old.get("verdict"),
                         row["estimate"], row["verdict"]])  # fmt: skip
    return pd.DataFrame(rows, columns=DEVIATIONS)


def _told(plan: Plan, made: Sequence[DeviationEntry], outside: Sequence[str]) -> Iterator[tuple[str, str, str, str]]:
    """Setting, planned, executed and reason of every deviation, in words."""
    for one in made:
        holder = plan.form if one.setting in ("controls", "exclusions") else plan.form.estimation
        value = getattr(holder, one.setting)
        was = listed(getattr(part, "id", part) for part in value) if isinstance(value, list) else str(value)
        now = listed(one.executed) if isinstance(one.executed, list) else str(one.executed)
        yield one.setting, was or "none", now or "none", next(iter(one.reason.values()))
    for rule_text in outside:
        yield "exclusions", "not in the plan", rule_text, "no reason given"


def _unexamined(plan: Plan, examined: Sequence[Gate]) -> tuple[Diagnostic, ...]:
    seen = [one.entry for one in examined]
    left = [f"{gate.id} ({listed(gate.groups) or gate.model})" for gate in plan.form.gates if gate not in seen]
    if not left:
        return ()
    text = f"{listed(left)} was not examined here, so the verdicts take the measurement for granted."
    return (Diagnostic("GatesNotExamined", text, "warning"),)


def _gate_verdict(examined: Gate, plan: Plan, refit: Callable[..., Any]) -> Verdict:
    """A gate as a row of the verdict table: no estimate, outside every family."""
    entry = examined.entry
    numbers: dict[str, Any] = dict.fromkeys([*PROMISED, *MORE], np.nan)
    numbers |= {
        "hypothesis": entry.id,
        "proposition": None,
        "outcome": entry.model,
        "predictor": listed(entry.groups) if entry.groups else None,
        "expected": "holds",
        "verdict": examined.verdict,
        "reason": examined.reason,
        "label": "gate",
        "kind": entry.kind,
        "level": "respondent",
        "family": "gates",
        "n": int(examined.table["n"].iloc[0]) if "n" in examined.table else 0,
        "n_clusters": None,
        "equation": "",
    }
    return Verdict(
        numbers=numbers,
        equations=(),
        refit=refit,
        sentence=entry.sentence.get("en", ""),
        provenance=examined.provenance,
        survey=examined.survey,
        gate=examined,
        title=examined.title,
    )


def guarded(plan: Plan, claims: Sequence[Claim], gates: Sequence[Gate], answers: Answers, seed: int) -> list[Claim]:
    """The claims after the gates: behind a closed one not testable, and the plan's composite judged in their place."""
    shut = {id: gate for gate in gates if not gate.open for id in gate.entry.guards}
    if not shut:
        return list(claims)
    kept: list[Claim] = []
    for claim in claims:
        id = claim.row.hypothesis.id
        if id not in shut:
            kept.append(claim)
        elif claim.id == id:
            fault = f"the gate {shut[id].entry.id} is closed ({shut[id].reason.rstrip('.')})"
            kept.append(claim._replace(found=Estimated(None, (), claim.found.n, claim.found.n_clusters, fault=fault)))
    return [*kept, *(claim for gate in gates if not gate.open for claim in _fallback(plan, gate, answers, seed))]


def _fallback(plan: Plan, gate: Gate, answers: Answers, seed: int) -> list[Claim]:
    """The composite on every outcome of the slopes that the gate guards."""
    if gate.entry.fallback is None:
        return []
    behind = [plan[id] for id in gate.entry.guards]
    slopes = [hypothesis for hypothesis in behind if hypothesis.kind in ("slope", "contrast")]
    found: list[Claim] = []
    for outcome in dict.fromkeys(outcome for hypothesis in slopes for outcome in hypothesis.outcome):
        stand_in = _composite(next(h for h in slopes if outcome in h.outcome), gate, outcome)
        row = Row(stand_in, outcome, gate.entry.fallback, (gate.entry.fallback,), 1000 + len(found))
        estimated = ESTIMANDS["slope"].estimate(row, answers, plan, seed)
        claim = Claim(f"{gate.entry.id} composite", row, stand_in.family, "respondent", "positive",
                      plan.form.sesoi.respondent, estimated)  # fmt: skip
        found.append(claim)
    return found


def _composite(hypothesis: Hypothesis, gate: Gate, outcome: str) -> Hypothesis:
    """The hypothesis that stands in for the guarded ones on an outcome: the composite, expected positive."""
    changed = {"predictor": [gate.entry.fallback], "outcome": [outcome], "contrast": {}, "holding": []}
    return hypothesis.model_copy(update={**changed, "expected": "positive", "sesoi": None, "level": "respondent"})


def answers_of(plan: Plan, data: Any) -> Answers:
    """The variables of a plan as arrays, with the survey's clusters."""
    frame = variables(data, plan.variables())
    survey = getattr(data, "survey", None) or plan.survey
    name = getattr(survey, "cluster", None)
    table = data.frame if getattr(data, "survey", None) is not None else as_frame(data)
    if not name or name not in table.columns:
        return Answers(frame, None)
    return Answers(frame, pd.factorize(table[name], sort=True)[0], name)


@dataclass(frozen=True)
class _Refit:
    """Fits the equations of a row by `regress`, all on the rows that all of them use."""

    plan: Plan
    answers: Answers
    provenance: str
    survey: Any

    def __call__(self, equations: tuple[Equation, ...]) -> tuple[Regression, ...]:
        answers, choice = self.answers, self.plan.form.estimation
        names = [name for equation in equations for name in equation.names]
        rows = answers.complete(names) if len(equations) > 1 else np.ones(len(answers.frame), bool)
        table, cluster = answers.frame[rows], answers.cluster_name
        if cluster is not None and answers.clusters is not None:
            codes = pd.Series(answers.clusters[rows], table.index)
            table = table.assign(**{cluster: codes.where(codes >= 0)})
        settings: dict[str, Any] = {"model": choice.model, "vcov": choice.vcov, "cluster": cluster or False}
        fits = [regress(equation.formula, table, **settings) for equation in equations]
        return tuple(replace(fit, provenance=self.provenance, survey=self.survey) for fit in fits)


# --- estimates, then verdicts ---------------------------------------------------------------------------------------


def estimate(plan: Plan, answers: Answers, seed: int, exploratory: bool = True) -> list[Claim]:
    """Every row of the plan estimated, followed by the between-collaborations slopes that stand beside them."""
    claims, beside = [], []
    for row in rows_of(plan):
        hypothesis = row.hypothesis
        if plan.form.families[hypothesis.family].exploratory and not exploratory:
            continue
        claims.append(claim_of(row, answers, plan, seed))
        found = claims[-1].found
        if found.beside is not None and exploratory:
            extra = replace(found, evidence=found.beside, points=found.beside_points, beside=None)
            size = plan.form.sesoi.collaboration
            beside.append(
                Claim(f"{hypothesis.id} between", row, "beside", "collaboration", hypothesis.expected, size, extra)
            )
    return [*claims, *beside]


def claim_of(row: Row, answers: Answers, plan: Plan, seed: int) -> Claim:
    """One row of the plan with what the answers say about it."""
    hypothesis = row.hypothesis
    found = ESTIMANDS[hypothesis.kind].estimate(row, answers, plan, seed)
    sesoi = plan.sesoi(hypothesis)
    return Claim(hypothesis.id, row, hypothesis.family, hypothesis.level, hypothesis.expected, sesoi, found)


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
        return "negligible", f"The effect is {bound} in either direction (TOST {_p(test['tost_p_adjusted'])}).{also}"
    if detectable:
        stated = (evidence.estimate > 0) == (claim.expected == "positive")
        sign = "has the stated sign" if stated else "has the opposite sign"
        text = f"The effect {sign} ({_p(test['p_adjusted'])}, adjusted){_size(claim, interval)}."
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
        return "supported", f"The effect lies above {edge} (one-sided {_p(test['p_adjusted'])}, adjusted).{also}"
    if test["against_adjusted"] < alpha:
        return "contradicted", f"The effect lies below {edge} (one-sided {_p(test['against_adjusted'])}, adjusted)."
    return "inconclusive", f"Neither above nor below {edge} with this precision; that is no evidence of either."


def _necessity(evidence: Permuted, test: Mapping[str, float], alpha: float) -> tuple[str, str]:
    size = f"d = {evidence.estimate:.2f}"
    if test["p_adjusted"] < alpha and evidence.estimate >= 0.1:
        return "supported", f"The empty corner is larger than chance leaves it ({size}, {_p(test['p_adjusted'])})."
    return "inconclusive", f"The empty corner is small or as chance would leave it ({size}, {_p(test['p_adjusted'])})."


def _why_inconclusive(claim: Claim, test: Mapping[str, float], alpha: float) -> str:
    text = (
        f"Neither an effect nor its smallness is shown ({_p(test['p_adjusted'])}, adjusted); that is not 'no effect'."
    )
    evidence = claim.found.evidence
    if claim.sesoi is None or evidence is None:
        return f"{text} Without a SESOI 'negligible' is not available." if claim.sesoi is None else text
    shifted = replace(evidence, estimate=0.0) if not hasattr(evidence, "draws") else None
    if shifted is not None and shifted.above(-claim.sesoi) >= alpha:
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
