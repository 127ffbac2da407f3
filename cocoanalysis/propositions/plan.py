"""The analysis plan as data: what is tested, how, and what counts as an answer, fixed before the data.

`plan.yaml` beside `survey.yaml`. `read_plan` holds every name in it against the survey and
every setting against the ones that go together, so that a fault shows before fielding. The
plan's hash is that of its canonical JSON: it proves change, not time, and is no registration.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints, TypeAdapter, ValidationError

from cocoanalysis.arguments import file_path
from cocoanalysis.errors import PlanError, listed, suggestion
from cocoanalysis.instrument.fileform import Entry, Id, Label, Version
from cocoanalysis.instrument.findings import Finding, fault, refuse
from cocoanalysis.instrument.reading import read_survey
from cocoanalysis.instrument.validation import fit
from cocoanalysis.instrument.yamlfile import Source, read_yaml

PLAN_FILE = "plan.yaml"
HypothesisId = Annotated[str, StringConstraints(pattern=r"^H[0-9]{1,3}[a-z]{0,2}$")]
Names = Annotated[list[Id], BeforeValidator(lambda value: [value] if isinstance(value, str) else value)]
Positive = Annotated[float, Field(gt=0, strict=False)]
Share = Annotated[float, Field(gt=0, lt=0.5, strict=False)]
Kind = Literal["slope", "product", "contrast", "indirect", "necessity", "sources"]
EXPECTED = {"positive": "+", "negative": "−", "noninferior": "> −SESOI", "necessary": "necessary"}


class SesoiEntry(Entry):
    """Smallest effect size of interest, standardised, by what is estimated."""

    respondent: Positive | None = None
    collaboration: Positive | None = None
    product: Positive | None = None
    indirect: Positive | None = None


class EstimationEntry(Entry):
    """How the regressions behind the verdicts are fitted."""

    model: Literal["ols", "mixed"] = "ols"
    vcov: Literal["CR2", "CR3", "cluster", "HC3", "classical"] = "CR2"
    few_clusters: Literal["wild", "none"] = (
        "wild"  # below 40 clusters the wild cluster bootstrap takes the place of vcov
    )
    missing: Literal["listwise"] = "listwise"
    means_from: int = Field(default=30, ge=2)  # collaboration means are added from so many collaborations on


class LatentEntry(Entry):
    """How the measurement and structural models beside them are fitted."""

    estimator: Literal["ml", "mlr", "wlsmv"] = "mlr"
    missing: Literal["fiml", "listwise", "pairwise"] = "fiml"


class ExclusionEntry(Entry):
    """Rows that the plan leaves out, by a rule of the responses."""

    id: Id
    rule: str = Field(min_length=1)
    reason: Label


class FamilyEntry(Entry):
    """Hypotheses that share one error rate."""

    correction: Literal["holm", "bh", "none"] = "holm"
    exploratory: bool = False
    label: Label | None = None


class HypothesisEntry(Entry):
    """One sentence that the data may contradict. What is estimated follows from the keys it has.

    predictor: a slope; product: the product of two predictors; contrast: a weighted sum of slopes;
    predictor and through: the indirect association along each chain of mediators; predictor and
    necessary: necessary conditions; predictor and sources: other- against self-ratings.
    """

    id: HypothesisId
    sentence: Label
    point: str | None = None
    family: Id = "confirmatory"
    outcome: Names = Field(min_length=1)
    predictor: Names = Field(default_factory=list)
    product: list[Id] = Field(default_factory=list, max_length=2)
    contrast: dict[Id, Annotated[float, Field(strict=False)]] = Field(default_factory=dict)
    through: list[Names] = Field(default_factory=list)
    sources: Id | None = None
    holding: Names = Field(default_factory=list)
    controls: list[Id] | None = None
    expected: Literal["positive", "negative", "noninferior", "necessary"]
    level: Literal["respondent", "collaboration"] = "respondent"
    sesoi: Positive | None = None
    note: Label | None = None

    @property
    def kind(self) -> Kind:
        """What is estimated."""
        if self.expected == "necessary":
            return "necessity"
        named: dict[Kind, object] = {"sources": self.sources, "indirect": self.through}
        named |= {"product": self.product, "contrast": self.contrast}
        return next((kind for kind, value in named.items() if value), "slope")

    def names(self) -> list[str]:
        """Every variable that the hypothesis speaks of."""
        chains = [name for chain in self.through for name in chain]
        sources = [self.sources] if self.sources else []
        named = [*self.outcome, *self.predictor, *self.product, *self.contrast, *chains, *self.holding, *sources]
        return list(dict.fromkeys([*named, *(self.controls or [])]))


class GateEntry(Entry):
    """A condition on the measurement that stands before hypotheses."""

    id: HypothesisId
    sentence: Label
    kind: Literal["measurement", "invariance"]
    model: Id
    against: list[Literal["one_factor", "second_order", "bifactor"]] = Field(default_factory=list)
    cfi: Positive = 0.95
    rmsea: Positive = 0.06
    srmr: Positive = 0.08
    htmt: Positive = 0.85
    groups: Names = Field(default_factory=list)
    through: Literal["metric", "scalar"] = "scalar"
    guards: list[HypothesisId] = Field(default_factory=list)
    fallback: Id | None = None


class MultiverseEntry(Entry):
    """The grid of defensible choices; each list names the alternatives to what the plan does."""

    hypotheses: list[HypothesisId] = Field(min_length=1)
    exclusions: list[list[Id]] = Field(default_factory=list)
    controls: list[list[Id]] = Field(default_factory=list)
    models: list[Literal["ols", "mixed"]] = Field(default_factory=list)
    vcov: list[Literal["CR2", "CR3", "cluster", "HC3", "classical"]] = Field(default_factory=list)
    means: list[bool] = Field(default_factory=list)  # collaboration means added or left out
    measure: list[Literal["scores", "latent"]] = Field(default_factory=list)
    missing: list[Literal["listwise", "fiml"]] = Field(default_factory=list)
    joint: list[bool] = Field(default_factory=list)  # alone, or with all other practices of these hypotheses held


class DeviationEntry(Entry):
    """What was done otherwise than planned, and why; no part of the hash."""

    setting: Literal["controls", "exclusions", "model", "vcov", "few_clusters", "means_from"]
    executed: Any
    reason: Label


class PlanForm(Entry):
    """The file, version 1."""

    schema_: Literal[1] = Field(alias="schema")
    id: Id
    version: Version
    title: Label
    survey: str = "survey.yaml"
    alpha: Share = 0.05
    sesoi: SesoiEntry = SesoiEntry()
    estimation: EstimationEntry = EstimationEntry()
    latent: LatentEntry = LatentEntry()
    controls: list[Id] = Field(default_factory=list)
    exclusions: list[ExclusionEntry] = Field(default_factory=list)
    families: dict[Id, FamilyEntry] = Field(default_factory=lambda: {"confirmatory": FamilyEntry()})
    gates: list[GateEntry] = Field(default_factory=list)
    hypotheses: list[HypothesisEntry] = Field(min_length=1)
    multiverse: MultiverseEntry | None = None
    deviations: list[DeviationEntry] = Field(default_factory=list)


Hypothesis = HypothesisEntry


@dataclass(frozen=True, repr=False)
class Plan:
    """A plan that has been read and holds together.

    Attributes
    ----------
    hypotheses : in the order of the file; each with `.id, .sentence, .kind, .outcome, .predictor, …`
    form : everything else in the file, as it stands there
    hash : SHA-256 of the canonical JSON (deviations left out)
    survey : the survey that the names were held against, or None
    planned : the plan that this one deviates from, or None
    as_read : the hash of the file it was read from, or None; a copy with another form has another `hash`
    """

    form: PlanForm
    path: Path
    survey: Any = None
    planned: Plan | None = None
    as_read: str | None = None

    @property
    def hypotheses(self) -> tuple[Hypothesis, ...]:
        return tuple(self.form.hypotheses)

    @property
    def id(self) -> str:
        return self.form.id

    @property
    def canonical(self) -> str:
        """The plan as JSON with sorted keys and every default spelled out; deviations are left out."""
        content = self.form.model_dump(mode="json", by_alias=True, exclude={"deviations"})
        return json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))

    @property
    def hash(self) -> str:
        return hashlib.sha256(self.canonical.encode()).hexdigest()

    def __getitem__(self, id: str) -> Hypothesis:
        for hypothesis in self.hypotheses:
            if hypothesis.id == id:
                return hypothesis
        known = [hypothesis.id for hypothesis in self.hypotheses]
        raise PlanError(
            f"The plan '{self.id}' has no hypothesis '{id}'; it has {listed(known, 40)}.{suggestion(id, known)}",
            code="UnknownHypothesis",
        )

    def sesoi(self, hypothesis: Hypothesis) -> float | None:
        """The smallest standardised effect of interest for a hypothesis: its own, or that of what it estimates."""
        if hypothesis.sesoi is not None:
            return hypothesis.sesoi
        sizes = self.form.sesoi
        own = {"product": sizes.product, "indirect": sizes.indirect, "necessity": None}
        level = sizes.respondent if hypothesis.level == "respondent" else sizes.collaboration
        return own.get(hypothesis.kind, level)

    def controls(self, hypothesis: Hypothesis) -> list[str]:
        """The control variables of a hypothesis, without what it speaks of itself."""
        chosen = self.form.controls if hypothesis.controls is None else hypothesis.controls
        spoken = {*hypothesis.outcome, *hypothesis.predictor, *hypothesis.product, *hypothesis.contrast}
        return [name for name in chosen if name not in spoken]

    def exclude(self, responses: Any) -> Any:
        """The responses after the plan's exclusions, each with its line in the ledger (screened first where needed)."""
        flags = any("flag_" in exclusion.rule for exclusion in self.form.exclusions)
        if flags and not any(str(name).startswith("flag_") for name in responses.frame.columns):
            responses = responses.screen()
        for exclusion in self.form.exclusions:
            responses = responses.exclude(exclusion.rule, origin="plan")
        return responses

    def deviated(self, deviations: Sequence[DeviationEntry]) -> Plan:
        """The plan as it was carried out; a deviation that names what is not there is a PlanError."""
        form = self.form
        for one in deviations:
            form = form.model_copy(update=_changed(form, one))
        return self if form == self.form else replace(self, form=form, planned=self.planned or self)

    def variables(self) -> list[str]:
        """Every score, item or background question that the plan needs."""
        names = [name for hypothesis in self.hypotheses for name in hypothesis.names()]
        fallbacks = [gate.fallback for gate in self.form.gates if gate.fallback]
        groups = [name for gate in self.form.gates for name in gate.groups]
        return list(dict.fromkeys([*names, *self.form.controls, *fallbacks, *groups]))

    def __repr__(self) -> str:
        families = listed(f"{name} ({self._size(name)})" for name in self.form.families)
        return f"Plan({self.id} {self.form.version}: {len(self.hypotheses)} hypotheses in {families}; {self.hash[:12]})"

    def _size(self, family: str) -> int:
        return sum(hypothesis.family == family for hypothesis in self.hypotheses)


def _changed(form: PlanForm, deviation: DeviationEntry) -> dict[str, Any]:
    """The part of the form that a deviation changes."""
    value, setting = deviation.executed, deviation.setting
    try:
        if setting == "controls":
            return {"controls": TypeAdapter(list[Id]).validate_python(value, strict=True)}
        if setting == "exclusions":
            known = {exclusion.id: exclusion for exclusion in form.exclusions}
            kept = [known[one] if isinstance(one, str) else ExclusionEntry.model_validate(one) for one in value]
            return {"exclusions": kept}
        estimation = EstimationEntry.model_validate(form.estimation.model_dump() | {setting: value})
    except (ValidationError, KeyError, TypeError) as error:
        raise PlanError(
            f"The deviation in '{setting}' is not one that could have been planned: {value!r} does not fit there.",
            code="InvalidDeviation",
        ) from error
    if estimation.model == "mixed":
        estimation = estimation.model_copy(update={"vcov": "classical"})
    return {"estimation": estimation}


def read_plan(path: str | Path) -> Plan:
    """Read an analysis plan and hold it against its survey.

    Parameters
    ----------
    path : plan.yaml, or the folder of the survey that it lies in

    Returns
    -------
    Plan, frozen

    Raises
    ------
    PlanError : all faults of the file together, each as file:line:column with what is allowed;
        codes among them UnknownVariable, UnknownFamily, DuplicateHypothesis, InvalidPairing,
        UnclearHypothesis, UnknownHypothesis
    InstrumentError : the survey itself cannot be read

    Examples
    --------
    >>> from cocoanalysis import bundled
    >>> plan = read_plan(bundled("unit-climate"))
    >>> [hypothesis.id for hypothesis in plan.hypotheses]
    ['H1', 'H2', 'H3', 'H4', 'H5']
    """
    file = file_path(path, "A plan", PlanError)
    file = file / PLAN_FILE if file.is_dir() else file
    source = read_yaml(file, error=PlanError)
    form, faults = fit(source, PlanForm)
    refuse(faults, PlanError)
    if form is None:
        raise TypeError(PlanForm.__name__)  # refuse has raised: this line only narrows the type
    beside = source.path.parent / form.survey
    survey = read_survey(beside) if beside.is_file() else None
    faults = [*_within_itself(source, form), *(_against(source, form, survey) if survey else [])]
    refuse(faults, PlanError)
    plan = Plan(form, source.path, survey)
    return replace(plan, as_read=plan.hash)


# --- what has to hold -----------------------------------------------------------------------------------------------


def _within_itself(source: Source, form: PlanForm) -> Iterator[Finding]:
    """Faults that can be told without the survey."""
    yield from _pairings(source, form)
    seen: dict[str, int] = {}
    for index, hypothesis in enumerate(form.hypotheses):
        place = source.place("hypotheses", index, "id")
        if hypothesis.id in seen:
            first = source.place("hypotheses", seen[hypothesis.id], "id")
            yield fault(place, "DuplicateHypothesis", f"'{hypothesis.id}' stands twice; the first is at {first}.")
        seen.setdefault(hypothesis.id, index)
        if hypothesis.family not in form.families:
            hint = suggestion(hypothesis.family, form.families)
            text = f"There is no family '{hypothesis.family}'; the plan has {listed(form.families)}.{hint}"
            yield fault(source.place("hypotheses", index, "family"), "UnknownFamily", text)
        problem = _unclear(hypothesis)
        if problem:
            yield fault(place, "UnclearHypothesis", f"{hypothesis.id}: {problem}")
    for index, gate in enumerate(form.gates):
        yield from _unknown_hypotheses(source, gate.guards, seen, "gates", index, "guards")
    grid = form.multiverse
    if grid is not None:
        yield from _unknown_hypotheses(source, grid.hypotheses, seen, "multiverse", "hypotheses")
        excluded = [exclusion.id for exclusion in form.exclusions]
        for name in {name for chosen in grid.exclusions for name in chosen} - set(excluded):
            text = f"There is no exclusion '{name}'; the plan has {listed(excluded) or 'none'}."
            yield fault(source.place("multiverse", "exclusions"), "UnknownExclusion", text)


def _unknown_hypotheses(
    source: Source, named: Iterable[str], known: Iterable[str], *steps: str | int
) -> Iterator[Finding]:
    known = list(known)
    for id in named:
        if id not in known:
            text = f"'{id}' is no hypothesis of the plan.{suggestion(id, known)}"
            yield fault(source.place(*steps), "UnknownHypothesis", text)


def _pairings(source: Source, form: PlanForm) -> Iterator[Finding]:
    """Settings that do not go together are a fault of the plan, never a silent fallback."""
    if form.estimation.model == "mixed" and form.estimation.vcov != "classical":
        came = form.estimation.vcov
        text = f"A mixed model brings its own errors: with model 'mixed' take vcov 'classical', not {came}."
        yield fault(source.place("estimation", "vcov"), "InvalidPairing", text)
    ordinal, missing = form.latent.estimator == "wlsmv", form.latent.missing
    if (missing == "fiml" and ordinal) or (missing == "pairwise" and not ordinal):
        fitting = "'pairwise' or 'listwise'" if ordinal else "'fiml' or 'listwise'"
        text = f"Estimator {form.latent.estimator} does not go with missing '{missing}'; take {fitting}."
        yield fault(source.place("latent", "missing"), "InvalidPairing", text)


def _unclear(hypothesis: Hypothesis) -> str | None:
    """Why it is not clear what is estimated, or None."""
    named = [key for key in ("predictor", "product", "contrast") if getattr(hypothesis, key)]
    if len(named) != 1:
        came = f"{listed(named)} came" if named else "none came"
        return f"it needs exactly one of predictor, product and contrast; {came}."
    if hypothesis.product and len(hypothesis.product) != 2:
        return "product names exactly two variables."
    if hypothesis.through and (named != ["predictor"] or len(hypothesis.predictor) != 1):
        return "an indirect association needs one predictor."
    if hypothesis.contrast and (len(hypothesis.contrast) < 2 or 0 in hypothesis.contrast.values()):
        return "a contrast needs at least two variables, each with a weight that is not 0."
    if hypothesis.expected == "noninferior" and hypothesis.kind in ("necessity", "sources", "indirect"):
        return f"'noninferior' is not defined for what it estimates ({hypothesis.kind})."
    return None


def _against(source: Source, form: PlanForm, survey: Any) -> Iterator[Finding]:
    """Names that the survey does not have."""
    known = [*survey.scores, *survey.constructs, *survey.items, *survey.background]
    blocks = [*known, *survey.blocks]
    for index, hypothesis in enumerate(form.hypotheses):
        for key in ("outcome", "predictor", "product", "contrast", "through", "holding", "controls"):
            for name in _flat(getattr(hypothesis, key)):
                if name not in known:
                    yield _unknown(source, name, known, "hypotheses", index, key, falls=f"; {hypothesis.id} falls")
    for index, name in enumerate(form.controls):
        if name not in known:
            yield _unknown(source, name, known, "controls", index)
    for name in {name for chosen in (form.multiverse.controls if form.multiverse else []) for name in chosen}:
        if name not in known:
            yield _unknown(source, name, known, "multiverse", "controls")
    for index, gate in enumerate(form.gates):
        if gate.model not in blocks:
            yield _unknown(source, gate.model, blocks, "gates", index, "model")
        for name in [*gate.groups, *([gate.fallback] if gate.fallback else [])]:
            if name not in known:
                yield _unknown(source, name, known, "gates", index, "groups" if name in gate.groups else "fallback")


def _flat(value: Any) -> list[str]:
    if not value:
        return []
    return [name for part in value for name in ([part] if isinstance(part, str) else part)]


def _unknown(source: Source, name: str, known: Iterable[str], *steps: str | int, falls: str = "") -> Finding:
    known = list(known)
    text = f"The survey has no score, construct, item or background question '{name}'{falls}.{suggestion(name, known)}"
    return fault(source.place(*steps), "UnknownVariable", f"{text} It has {listed(known, 30)}.")
