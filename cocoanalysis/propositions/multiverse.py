"""Every defensible analysis of the plan's grid: the specification curve (Simonsohn, Simmons & Nelson, 2020).

All combinations are run, also those that fail; a row keeps the verdict that the plan's rule would
give with this specification in place of the planned one (the other rows of the family as planned).
A specification with latent variables, or with all available answers (fiml), is a structural model of
what varies within collaborations. The joint test permutes the outcome inside collaborations, so that
the means of collaborations, and what differs between them, stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from cocoanalysis.arguments import whole
from cocoanalysis.errors import PlanError, listed, suggestion
from cocoanalysis.propositions.decision import Claim, decide
from cocoanalysis.propositions.estimands import Answers, Row, matrices, rewritten, rows_of
from cocoanalysis.propositions.latent import structural
from cocoanalysis.propositions.plan import Plan
from cocoanalysis.propositions.verdicts import answers_of, claim_of, plan_itself
from cocoanalysis.result import Result
from cocoanalysis.threads import in_one_thread

CHOICES = ["exclusions", "controls", "measure", "missing", "model", "vcov", "means", "joint"]
STRUCTURAL = "structural"  # the model of latent variables, and of scores with full information


@dataclass(frozen=True, repr=False)
class Multiverse(Result):
    """All specifications: `tidy()` one row each, `summary()` one row a hypothesis, ``multiverse["H1"]`` one curve."""

    table: pd.DataFrame
    tests: pd.DataFrame
    settings: Mapping[str, Any] = field(default_factory=dict)
    provenance: str = "yours"
    survey: Any = None
    title: str = "Specification curve"

    def tidy(self) -> pd.DataFrame:
        """One row a specification: hypothesis, outcome, predictor, the choices, estimate, ci_lower, ci_upper, p_value,
        verdict, reason, planned (whether it is the plan's own)."""
        return self.table.copy()

    def summary(self) -> pd.DataFrame:
        """One row a hypothesis and outcome: specifications, failed, median, range, shares with the planned sign and
        the planned verdict, and the joint permutation p of the median over the specifications that are regressions on
        scores (``tested`` of them)."""
        keys = ["hypothesis", "outcome", "predictor"]
        rows = [self._summed(dict(zip(keys, key)), part) for key, part in self.table.groupby(keys, sort=False)]
        return pd.DataFrame(rows).merge(self.tests, on=keys, how="left")

    def _summed(self, key: Mapping[str, Any], part: pd.DataFrame) -> dict[str, Any]:
        known = part[part["estimate"].notna()]
        planned = part[part["planned"]].iloc[0]
        return {
            **key,
            "specifications": len(part),
            "failed": len(part) - len(known),
            "planned": planned["estimate"],
            "median": known["estimate"].median(),
            "lowest": known["estimate"].min(),
            "highest": known["estimate"].max(),
            "same_sign": float((np.sign(known["estimate"]) == np.sign(planned["estimate"])).mean()),
            "same_verdict": float((part["verdict"] == planned["verdict"]).mean()),
        }

    def glance(self) -> pd.DataFrame:
        failed = int(self.table["estimate"].isna().sum())
        return pd.DataFrame([{"specifications": len(self.table), "failed": failed, **self.settings}])

    def __getitem__(self, id: str) -> Multiverse:
        part = self.table[self.table["hypothesis"] == id]
        if part.empty:
            known = list(dict.fromkeys(self.table["hypothesis"]))
            raise PlanError(
                f"The multiverse has no '{id}'; it has {listed(known)}.{suggestion(id, known)}",
                code="UnknownHypothesis",
            )
        tests = self.tests[self.tests["hypothesis"] == id]
        return replace(self, table=part.reset_index(drop=True), tests=tests, title=f"Specification curve of {id}")

    def notes(self) -> list[str]:
        failed = int(self.table["estimate"].isna().sum())
        words = (
            f"{len(self.table)} specifications, {failed} of them failed; all are exploratory beside the planned one."
        )
        left = int((self.table["model"] == STRUCTURAL).sum())
        joint = (
            [f"The joint test is over regressions on scores; it leaves out {left} structural models."] if left else []
        )
        return [*super().notes(), words, *joint]

    def _shown(self) -> pd.DataFrame:
        return self.summary()


class Specification(NamedTuple):
    """One combination of choices, as a plan of its own."""

    choices: dict[str, Any]
    plan: Plan
    exclusions: tuple[str, ...]
    joint: bool
    planned: bool

    @property
    def structural(self) -> bool:
        return bool(self.choices["model"] == STRUCTURAL)


@in_one_thread
def multiverse(plan: Plan, responses: Any, *, draws: int = 499, seed: int = 0) -> Multiverse:
    """Run every specification of the plan's grid and test the curve jointly.

    Parameters
    ----------
    plan : with a `multiverse` section
    responses : Responses, or a DataFrame of scores (then the plan's exclusions have been applied and are no choice)
    draws, seed : of the permutation test

    Raises
    ------
    PlanError : NotAPlan, NoMultiverse
    ModelError : BadSeed, BadArgument

    Examples
    --------
    >>> import cocoanalysis as coco
    >>> coco.read_plan(coco.bundled("cocreation")).form.multiverse.hypotheses[:2]
    ['H1', 'H2a']
    """
    plan_itself(plan)
    draws, seed = whole(draws, "draws", 1), whole(seed, "seed", code="BadSeed")
    if plan.form.multiverse is None:
        raise PlanError(f"The plan '{plan.id}' has no multiverse section.", code="NoMultiverse")
    wanted = set(plan.form.multiverse.hypotheses)
    rows = [row for row in rows_of(plan) if row.hypothesis.id in wanted]
    samples = _samples(plan, responses)
    planned = {row.number: claim_of(row, samples[_own(plan)][0], plan, seed) for row in rows_of(plan)}
    table: list[dict[str, Any]] = []
    claims: dict[int, list[tuple[Claim, Answers]]] = {row.number: [] for row in rows}
    for specification in specifications(plan, set(samples)):
        answers, used = samples[specification.exclusions]
        for row in rows:
            held = _held(row, rows, specification)
            if specification.structural:
                measure = str(specification.choices["measure"])
                found = structural(held, specification.plan, used, answers, measure)
                claim = planned[row.number]._replace(row=held, found=found)
            else:
                claim = claim_of(held, answers, specification.plan, seed)
            table.append(_line(plan, row, claim, planned, specification))
            claims[row.number].append((claim, answers))
    tests = pd.DataFrame([_joint(row, claims[row.number], draws, [seed, row.number]) for row in rows])
    return Multiverse(
        table=pd.DataFrame(table),
        tests=tests,
        settings={"draws": draws, "seed": seed, "plan": plan.id, "hash": plan.hash},
        provenance=getattr(responses, "provenance", "yours"),
        survey=getattr(responses, "survey", None),
    )


def _own(plan: Plan) -> tuple[str, ...]:
    return tuple(exclusion.id for exclusion in plan.form.exclusions)


def _samples(plan: Plan, responses: Any) -> dict[tuple[str, ...], tuple[Answers, Any]]:
    """The answers, and the responses behind them, after each choice of exclusions; the plan's own first."""
    if getattr(responses, "survey", None) is None:
        return {_own(plan): (answers_of(plan, responses), responses)}
    grid = plan.form.multiverse
    chosen = [_own(plan), *(tuple(ids) for ids in (grid.exclusions if grid else []))]
    found = {}
    for ids in dict.fromkeys(chosen):
        kept = [exclusion for exclusion in plan.form.exclusions if exclusion.id in ids]
        part = replace(plan, form=plan.form.model_copy(update={"exclusions": kept}))
        used = part.exclude(responses)
        found[ids] = answers_of(plan, used), used
    return found


def specifications(plan: Plan, samples: set[tuple[str, ...]]) -> Iterator[Specification]:
    """The plan's own specification, then every other combination of the grid that is not nonsense."""
    form, grid = plan.form, plan.form.multiverse
    if grid is None:
        return
    options: list[list[Any]] = [
        [_own(plan), *(tuple(ids) for ids in grid.exclusions if tuple(ids) in samples)],
        [tuple(form.controls), *map(tuple, grid.controls)],
        ["scores", *grid.measure],
        [form.estimation.missing, *grid.missing],
        [form.estimation.model, *grid.models],
        [form.estimation.vcov, *grid.vcov],
        [True, *grid.means],
        [False, *grid.joint],
    ]
    seen: set[Any] = set()
    for place, chosen in enumerate(product(*(list(dict.fromkeys(option)) for option in options))):
        key = _sensible(chosen, options[5])
        if key is None or key in seen:
            continue
        seen.add(key)
        exclusions, controls, measure, missing, model, vcov, means, joint = key
        changed: dict[str, Any] = {"controls": list(controls)}
        if model != STRUCTURAL:
            estimation = form.estimation.model_copy(update={"model": model, "vcov": vcov})
            estimation = estimation if means else estimation.model_copy(update={"means_from": 10**9})
            changed["estimation"] = estimation
        words = [", ".join(exclusions) or "nobody", ", ".join(controls) or "none", measure, missing, model, vcov, means]
        shown = dict(zip(CHOICES, [*words, joint]))
        yield Specification(shown, replace(plan, form=form.model_copy(update=changed)), exclusions, joint, place == 0)


def _sensible(chosen: tuple[Any, ...], covariances: Sequence[str]) -> tuple[Any, ...] | None:
    """A combination with what follows from the rest put right, or None for one that makes no sense.

    A structural model uses all answers, brings its own errors and sees what varies within collaborations only.
    """
    exclusions, controls, measure, missing, model, vcov, means, joint = chosen
    if measure == "latent" or missing == "fiml":
        return exclusions, controls, measure, "fiml", STRUCTURAL, "cluster", True, joint
    if model == "mixed":
        return exclusions, controls, measure, missing, model, "classical", means, joint
    return None if vcov == "classical" and "classical" not in covariances else chosen


def _held(row: Row, rows: Sequence[Row], specification: Specification) -> Row:
    """The row with the predictors of the other rows held, or as it is."""
    hypothesis = row.hypothesis
    if not specification.joint:
        return row
    used = [*row.names, *hypothesis.holding, row.outcome]
    others = [n for other in rows if other.hypothesis.kind == "slope" for n in other.names]
    held = [n for n in dict.fromkeys(others) if not _same_stuff(n, used, specification.plan)]
    return row._replace(hypothesis=hypothesis.model_copy(update={"holding": [*hypothesis.holding, *held]}))


def _same_stuff(name: str, used: Sequence[str], plan: Plan) -> bool:
    """Whether a variable is one of these, or a composite of one of them (then both cannot be held)."""
    scores = plan.survey.scores if plan.survey is not None else {}
    parts = {name, *(scores[name].of if name in scores else ())}
    return any(parts & {one, *(scores[one].of if one in scores else ())} for one in used)


def _line(
    plan: Plan, row: Row, claim: Claim, planned: Mapping[int, Claim], specification: Specification
) -> dict[str, Any]:
    """A specification's row, decided with the other rows of its family as planned."""
    family = [k for k, other in planned.items() if other.family == claim.family]
    members = [claim if k == row.number else planned[k] for k in family]
    decided = decide(plan, members)[family.index(row.number)]
    shown = ["estimate", "ci_lower", "ci_upper", "p_value", "p_adjusted", "verdict", "reason", "n"]
    return {
        "hypothesis": row.hypothesis.id,
        "outcome": row.outcome,
        "predictor": row.predictor,
        **specification.choices,
        **{name: decided[name] for name in shown},
        "planned": specification.planned,
    }


# --- the joint test -------------------------------------------------------------------------------------------------


def _joint(row: Row, claims: Sequence[tuple[Claim, Answers]], draws: int, seed: Sequence[int]) -> dict[str, Any]:
    """p of the median estimate over the curve, the outcome permuted inside collaborations.

    An estimate is linear in the outcome, so each specification is one weight vector and a permutation one product.
    A mixed model's within slope enters by its least-squares weights.
    """
    key = {"hypothesis": row.hypothesis.id, "outcome": row.outcome, "predictor": row.predictor}
    usable = [(claim, answers) for claim, answers in claims if claim.found.evidence is not None and claim.found.units]
    if not usable:
        return {**key, "tested": 0, "median_p": np.nan}
    observed, drawn = [], []
    for answers in {id(answers): answers for _, answers in usable}.values():
        weights = np.array([_weights(claim, answers) for claim, own in usable if own is answers])
        values, shuffled = _shuffled(row.outcome, answers, draws, seed)
        observed.append(weights @ values)
        drawn.append(weights @ shuffled.T)
    middle, reached = abs(np.median(np.concatenate(observed))), np.abs(np.median(np.concatenate(drawn), axis=0))
    return {**key, "tested": len(usable), "median_p": (1 + int((reached >= middle - 1e-12).sum())) / (1 + draws)}


def _weights(claim: Claim, answers: Answers) -> np.ndarray:
    """What each row's outcome counts in the estimate; 0 for rows that the specification does not use."""
    built = claim.found.equations[-1]
    rows = answers.complete(built.names)
    x, k = rewritten(matrices(built, answers, rows), claim.found.units)
    weights = np.zeros(len(rows))
    weights[rows] = np.linalg.pinv(x)[k]
    return weights


def _shuffled(outcome: str, answers: Answers, draws: int, seed: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """The outcome (n,), missing as 0, and its permutations inside clusters (draws, n)."""
    values = answers.numbers[outcome]
    known = np.flatnonzero(~np.isnan(values))
    codes = np.zeros(known.size) if answers.clusters is None else answers.clusters[known]
    order = np.argsort(codes, kind="stable")
    keys = np.random.default_rng(list(seed)).random((draws, known.size))
    shuffled = np.zeros((draws, values.size))
    shuffled[:, known[order]] = values[known][np.argsort(codes + keys, axis=1)]
    return np.nan_to_num(values), shuffled
