"""What the data say about each hypothesis: `judge` applies the plan and gives `Verdicts`.

The plan's exclusions are applied, its gates examined, every row estimated (`estimands`) and decided
(`decision`); what was done otherwise is compared with what was planned (`deviations`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from cocoanalysis.arguments import switch, whole
from cocoanalysis.errors import Diagnostic, PlanError, listed, suggestion
from cocoanalysis.instrument.model import Frozen
from cocoanalysis.propositions import deviations as departures
from cocoanalysis.propositions import necessity, sources
from cocoanalysis.propositions.decision import MORE, PROMISED, VERDICTS, Claim, decide
from cocoanalysis.propositions.design import build, variables
from cocoanalysis.propositions.estimands import (
    ESTIMANDS,
    Answers,
    Equation,
    Estimated,
    Row,
    crossed,
    inference,
    rows_of,
    unbootstrapped,
)
from cocoanalysis.propositions.gates import Gate, examine
from cocoanalysis.propositions.plan import DeviationEntry, GateEntry, Hypothesis, Plan
from cocoanalysis.propositions.regression import Regression, regress
from cocoanalysis.responses.selection import as_frame
from cocoanalysis.result import Result
from cocoanalysis.threads import in_one_thread

REGISTERED = (necessity, sources)  # modules that add a kind of hypothesis by being imported


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

    def notes(self) -> list[str]:
        how = str(self.numbers["inference"])
        return [*super().notes(), *([f"Decided by {how}."] if how else [])]

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
    fitted : every model that was fitted, `.models` as a table
    """

    plan: Plan
    rows: tuple[Verdict, ...]
    ledger: pd.DataFrame
    fitted: Sequence[Fitted]
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
        shown = sum(one.reported for one in self.fitted)
        return f"{len(self.fitted)} models fitted, {shown} reported (.models). Plan {self.plan.hash[:12]}."

    @property
    def models(self) -> pd.DataFrame:
        """One row a fitted model: kind, model, the hypotheses that rest on it, and whether its numbers are reported."""
        return pd.DataFrame(self.fitted, columns=list(Fitted._fields))

    def notes(self) -> list[str]:
        causal = (
            "Associations in cross-sectional answers: they show no causes, and cannot tell reverse causation apart."
        )
        count = len(self.deviations.drop_duplicates(["setting", "executed"])) if len(self.deviations) else 0
        told = [f"{count} deviation(s) from the plan; both results are in .deviations."] if count else []
        warned = [str(diagnostic) for diagnostic in self.diagnostics]
        return [*super().notes(), causal, self.note, *told, *self._inference(), *warned]

    def _inference(self) -> list[str]:
        """By which errors the verdicts are decided, and how many rows by each."""
        counts = Counter(str(row.numbers["inference"]) for row in self.rows if row.numbers["inference"])
        return [f"Errors: {'; '.join(f'{words} ({count} rows)' for words, count in counts.items())}."] if counts else []

    def _shown(self) -> pd.DataFrame:
        return self.tidy()[PROMISED]


@in_one_thread
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
    PlanError : NotAPlan, UnknownVariable, NoCluster, InvalidDeviation, DeviatedPlan (changed by deviations before)
    ModelError : BadSeed, BadArgument

    Examples
    --------
    >>> import cocoanalysis as coco
    >>> folder = coco.bundled("unit-climate")
    >>> responses = coco.read_responses(folder / "responses.csv", coco.read_survey(folder))
    >>> verdicts = judge(coco.read_plan(folder), responses)
    >>> verdicts["H1"].verdict, round(verdicts["H1"].numbers["estimate"], 3)
    ('supported', -0.358)
    """
    plan_itself(plan)
    seed = whole(seed, "seed", code="BadSeed")
    if gates != "all":
        switch(gates, "gates (or 'all')")
    if plan.planned is not None or plan.as_read not in (None, plan.hash):
        raise PlanError(
            "This plan is not the one that was read: it has been changed, and its results would look planned. "
            "Give judge the plan itself and say what was done otherwise: coco.judge(plan, responses, deviations=[…]).",
            code="DeviatedPlan",
        )
    named = [*plan.form.deviations, *(departures.deviation(one) for one in deviations)]
    made = [one for one in named if plan.deviated([one]) is not plan]
    run = _Run(plan.deviated(made), seed, exploratory)
    survey = getattr(responses, "survey", None)
    used = run.plan.exclude(responses) if survey is not None else responses
    examined = examine(plan, used, guarding=gates != "all") if gates and survey is not None else ()
    answers, claims, decided, models = run.on(used, examined)
    departed = departures.told(plan, made, used, _left(plan, examined))
    before: list[dict[str, Any]] = []
    if made:
        before, again = run.as_planned(plan, responses, examined)
        models = _merged(models, again)
    provenance = getattr(responses, "provenance", "yours")
    refit = _Refit(run.plan, answers, provenance, survey)
    rows = [_gate_verdict(one, plan, refit) for one in examined]
    for claim, numbers in zip(claims, decided):
        sentence = claim.row.hypothesis.sentence.get("en", "")
        if numbers["label"] == "confirmatory" and any(one.touches(claim.row.hypothesis.id) for one in departed):
            numbers["label"] = "confirmatory with deviation"
        rows.append(
            Verdict(
                numbers=Frozen(numbers),
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
        fitted=_merged(models, [row for one in examined for row in _gate_models(one)]),
        provenance=provenance,
        survey=survey,
        settings={"alpha": plan.form.alpha, **run.plan.form.estimation.model_dump(), "seed": seed},
        deviations=departures.compared(departed, before, decided),
        diagnostics=_unexamined(plan, examined),
        gates=examined,
    )


def plan_itself(plan: Any) -> Plan:
    """The first argument of what applies a plan, which must be one."""
    if not isinstance(plan, Plan):
        raise PlanError(
            f"The first argument must be a plan; a {type(plan).__name__} came. Read it first: coco.read_plan(path).",
            code="NotAPlan",
        )
    return plan


class Fitted(NamedTuple):
    """A model that was fitted, for which rows, and whether its numbers are shown."""

    kind: str
    model: str
    hypothesis: str
    reported: bool


def _models(estimated: Sequence[Claim], claims: Sequence[Claim]) -> list[Fitted]:
    """The regressions behind the claims; not reported are those held back by a gate, or without an answer."""
    shown = {claim.id for claim in claims if claim.found.evidence is not None}
    every = {id(claim.found): claim for claim in [*estimated, *claims]}.values()
    return [
        Fitted("regression", equation.formula, claim.id, claim.id in shown)
        for claim in every
        for equation in claim.found.equations
    ]


def _gate_models(examined: Gate) -> list[Fitted]:
    entry = examined.entry
    names = [f"{entry.model}: {name}" for name in examined.fits] or [entry.model]
    return [Fitted(entry.kind, name, entry.id, bool(examined.fits)) for name in names]


def _merged(*several: Sequence[Fitted]) -> list[Fitted]:
    """One line a model, with every row that rests on it."""
    found: dict[tuple[str, str], Fitted] = {}
    for one in (one for part in several for one in part):
        old = found.get((one.kind, one.model), one)
        ids = listed(dict.fromkeys([*old.hypothesis.split(", "), one.hypothesis]), 100)
        found[(one.kind, one.model)] = Fitted(one.kind, one.model, ids, old.reported or one.reported)
    return list(found.values())


class _Run(NamedTuple):
    """A plan carried out with a seed."""

    plan: Plan
    seed: int
    exploratory: bool

    def on(self, used: Any, gates: Sequence[Gate]) -> tuple[Answers, list[Claim], list[dict[str, Any]], list[Fitted]]:
        """Answers, claims, decided rows and fitted models on responses after the plan's exclusions."""
        answers = answers_of(self.plan, used)
        estimated = estimate(self.plan, answers, self.seed, self.exploratory)
        claims = guarded(self.plan, estimated, gates, answers, self.seed)
        return answers, claims, decide(self.plan, claims), _models(estimated, claims)

    def as_planned(
        self, plan: Plan, responses: Any, gates: Sequence[Gate]
    ) -> tuple[list[dict[str, Any]], list[Fitted]]:
        """The rows that the plan itself would have given, and the models behind them."""
        used = plan.exclude(responses) if getattr(responses, "survey", None) is not None else responses
        return self._replace(plan=plan).on(used, gates)[2:]


def _left(plan: Plan, examined: Sequence[Gate]) -> list[GateEntry]:
    """The gates that were not examined."""
    seen = [one.entry for one in examined]
    return [gate for gate in plan.form.gates if gate not in seen]


def _unexamined(plan: Plan, examined: Sequence[Gate]) -> tuple[Diagnostic, ...]:
    left = [f"{gate.id} ({listed(gate.groups) or gate.model})" for gate in _left(plan, examined)]
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
        "inference": "",
        "equation": "",
    }
    return Verdict(
        numbers=Frozen(numbers),
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
    return [
        claim._replace(found=ESTIMANDS["slope"].estimate(claim.row, answers, plan, seed))
        for claim in _in_place(plan, gate.entry)
    ]


def _in_place(plan: Plan, entry: GateEntry) -> list[Claim]:
    """What is judged in place of the slopes behind a closed gate, not yet estimated."""
    if entry.fallback is None:
        return []
    slopes = [h for h in map(plan.__getitem__, entry.guards) if h.kind in ("slope", "contrast")]
    found: list[Claim] = []
    for outcome in dict.fromkeys(outcome for hypothesis in slopes for outcome in hypothesis.outcome):
        stand_in = _composite(next(h for h in slopes if outcome in h.outcome), entry.fallback, outcome)
        row = Row(stand_in, outcome, entry.fallback, (entry.fallback,), 1000 + len(found))
        claim = Claim(_stand_in_id(entry), row, stand_in.family, "respondent", "positive", plan.form.sesoi.respondent,
                      Estimated(None, fault="not estimated"))  # fmt: skip
        found.append(claim)
    return found


def _stand_in_id(entry: GateEntry) -> str:
    return f"{entry.id} composite"


def stand_in_ids(plan: Plan) -> set[str]:
    """How the rows are named that stand in where a gate of the plan is closed."""
    return {_stand_in_id(entry) for entry in plan.form.gates if entry.fallback}


def stand_ins(plan: Plan) -> pd.DataFrame:
    """The rows that stand in where gates of the plan are closed, without estimates."""
    return pd.DataFrame(decide(plan, [claim for entry in plan.form.gates for claim in _in_place(plan, entry)]))


def _composite(hypothesis: Hypothesis, fallback: str, outcome: str) -> Hypothesis:
    """The hypothesis that stands in for the guarded ones on an outcome: the composite, expected positive."""
    changed = {"predictor": [fallback], "outcome": [outcome], "contrast": {}, "holding": []}
    return hypothesis.model_copy(update={**changed, "expected": "positive", "sesoi": None, "level": "respondent"})


def answers_of(plan: Plan, data: Any) -> Answers:
    """The variables of a plan as arrays, with the survey's clusters."""
    frame = variables(data, plan.variables())
    survey = getattr(data, "survey", None) or plan.survey
    name = getattr(survey, "cluster", None)
    table = data.frame if getattr(data, "survey", None) is not None else as_frame(data)
    if not name or name not in table.columns:
        return Answers(frame, None)
    clusters, person = pd.factorize(table[name], sort=True)[0], getattr(survey, "respondent", None)
    people = crossed(table[person], clusters) if person in table.columns else None
    return Answers(frame, clusters, name, people, person)


@dataclass(frozen=True)
class _Refit:
    """Fits the equations of a row by `regress`, all on the rows that all of them use."""

    plan: Plan
    answers: Answers
    provenance: str
    survey: Any

    def __call__(self, equations: tuple[Equation, ...]) -> tuple[Regression, ...]:
        answers = self.answers
        names = [name for equation in equations for name in equation.names]
        rows = answers.complete(names) if len(equations) > 1 else np.ones(len(answers.frame), bool)
        columns = self._columns(rows)
        table = answers.frame[rows].assign(**columns)
        fits = [self._one(equation.formula, table, list(columns), len(equations) > 1) for equation in equations]
        return tuple(replace(fit, provenance=self.provenance, survey=self.survey) for fit in fits)

    def _columns(self, rows: np.ndarray) -> dict[str, pd.Series]:
        """Codes of the clusters, and of the respondents where some sit in several; missing where they are."""
        answers, index = self.answers, self.answers.frame.index[rows]
        named = [(answers.cluster_name, answers.clusters), (answers.person_name, answers.people)]
        found = {str(name): pd.Series(codes[rows], index) for name, codes in named if codes is not None}
        return {name: codes.where(codes >= 0) for name, codes in found.items()}

    def _one(self, formula: str, table: pd.DataFrame, clusters: list[str], chain: bool) -> Regression:
        """One equation with the errors that the verdict rests on (a chain's links have no bootstrap)."""
        choice, people = self.plan.form.estimation, len(clusters) > 1
        groups = int(build(formula, table, clusters).clusters[0].max()) + 1 if clusters else None
        how = inference(unbootstrapped(self.plan) if chain else self.plan, groups, people)
        cluster = clusters if how.two_way else clusters[0] if clusters else False
        return regress(formula, table, model=choice.model, vcov=how.vcov, cluster=cluster)


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
