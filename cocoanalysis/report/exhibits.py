"""What the report shows, one function an exhibit: from a `Study` to tables, figures and sentences.

Each exhibit names its section and the points of CONTENTS that it covers, so that the report can
check itself against the list. To add one, write a generator of parts (a great_tables GT, matplotlib
Axes, a sentence, an `Equation`) and put @exhibit above it. An exhibit that yields nothing does not
apply to the survey; one that raises a CocoError is shown with that reason instead of a number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pandas as pd

from cocoanalysis.report import plots, tables, words
from cocoanalysis.report.labels import plain
from cocoanalysis.report.study import Study
from cocoanalysis.report.tables import written

SECTIONS = {
    "instrument": "Instrument: what is asked?",
    "responses": "Responses: who answered, and how carefully?",
    "measurement": "Measurement: are the scales any good?",
    "propositions": "Propositions: does the article hold?",
}

# What a rigorous analysis contains; the report names what it lacks.
CONTENTS = {
    "flow": "Sample flow with every exclusion and its reason",
    "quality": "Response quality with and without exclusions",
    "missing": "Missingness by item and pattern; FIML or multiple imputation",
    "distributions": "Item distributions",
    "adequacy": "KMO, Bartlett, parallel analysis, MAP",
    "halves": "EFA on one half, CFA on the other, split by cluster",
    "ordinal": "Ordinal estimation (WLSMV) beside robust ML",
    "fit": "χ², df, CFI, TLI, RMSEA with interval, SRMR",
    "residuals": "Residuals and modification indices",
    "rivals": "Rival measurement models",
    "reliability": "ω and α with intervals, AVE",
    "discriminant": "HTMT with interval",
    "invariance": "Invariance, with freed parameters named",
    "aggregation": "ICC(1), ICC(2), r_wg(j) with its null stated",
    "equations": "The exact regression equations; raw and standardised estimates with intervals",
    "levels": "Within and between parts",
    "clusters": "Cluster-robust errors with a small-sample correction",
    "family": "Correction for the family of tests (Holm)",
    "mediation": "Mediation with its sensitivity",
    "moderation": "Moderation with simple slopes or Johnson–Neyman",
    "influence": "VIF, influence, functional form",
    "equivalence": "Equivalence tests",
    "latent": "Latent beside composite results",
    "method": "Checks for common method variance",
    "multiverse": "Specification curve",
    "deviations": "Deviations from the plan",
    "provenance": "Provenance on every table and figure",
}


class Equation(NamedTuple):
    """A formula that is shown as it was fitted."""

    text: str


class Exhibit(NamedTuple):
    """One heading of the report with what stands below it."""

    section: str
    title: str
    covers: tuple[str, ...]
    show: Callable[[Study], Iterator[Any]]

    @property
    def name(self) -> str:
        return self.show.__name__.replace("_", "-")


EXHIBITS: list[Exhibit] = []


def exhibit(section: str, title: str, *covers: str) -> Callable[[Callable[[Study], Iterator[Any]]], Any]:
    """Enter a generator of parts into the report."""

    def register(show: Callable[[Study], Iterator[Any]]) -> Callable[[Study], Iterator[Any]]:
        EXHIBITS.append(Exhibit(section, title, covers, show))
        return show

    return register


# --- instrument ---------------------------------------------------------------------------------


@exhibit("instrument", "Constructs")
def constructs(study: Study) -> Iterator[Any]:
    survey = study.survey
    rows = [
        {
            "construct": plain(survey.label(name)),
            "point": construct.point or "",
            "role": construct.role.replace("_", " "),
            "n_items": len(construct.items),
            "reversed": sum(survey.items[item].key < 0 for item in construct.items),
            "scale": plain(construct.scale.title.get("en", construct.scale.id)) if construct.scale else "",
            "kind": "composite" if construct.composite else "reflective",
        }
        for name, construct in survey.constructs.items()
    ]
    yield (
        "The ids of the points are this project's labels. The items are this project's operationalisation, "
        "not the source's own questions."
        if any(row["point"] for row in rows)
        else "Constructs and their items, in the order of the files."
    )
    yield tables.framed(pd.DataFrame(rows), title="Constructs", id="coco-constructs")


@exhibit("instrument", "Questions")
def questions(study: Study) -> Iterator[Any]:
    survey = study.survey
    rows = [
        {
            "item": item.id,
            "question": plain(item.question("en")),
            "key": "reversed" if item.key < 0 else "",
            "source": plain(item.source),
            "status": ", ".join(f"{language}: {status}" for language, status in item.status.items()),
        }
        for item in survey.items.values()
    ]
    yield tables.framed(pd.DataFrame(rows), title="Questions", id="coco-questions")


# --- responses ------------------------------------------------------------------------------------


@exhibit("responses", "Sample flow", "flow")
def flow(study: Study) -> Iterator[Any]:
    yield words.flow(study.responses)
    yield plots.flow(study.responses)
    yield tables.flow(study.responses)


@exhibit("responses", "Missing answers")
def missing(study: Study) -> Iterator[Any]:
    if not study.responses.missing[study.survey.item_ids()].notna().to_numpy().any():
        yield "No answer is missing."
        return
    yield plots.missing(study.responses)
    yield tables.missing(study.responses)


@exhibit("responses", "Answers to the items", "distributions")
def answers(study: Study) -> Iterator[Any]:
    yield (
        "Answers as they were given: bars to the left of the line are the lower half of the scale, "
        "R marks items that are turned round when scores are made."
    )
    for items in _by_scale(study):
        yield plots.likert(study.responses, items)
    yield tables.descriptives(study.items)


def _by_scale(study: Study, most: int = 20) -> Iterator[list[str]]:
    """Items in the survey's order, in batches that share a response scale and fit one figure."""
    batch: list[str] = []
    for construct in study.survey.construct_ids():
        members = study.survey.item_ids(construct)
        scales = {study.survey.items[item].scale.id for item in [*batch, *members]}
        if batch and (len(batch) + len(members) > most or len(scales) > 1):
            yield batch
            batch = []
        batch = [*batch, *members]
    if batch:
        yield batch


# --- measurement ------------------------------------------------------------------------------------


@exhibit("measurement", "How many factors?", "adequacy")
def number_of_factors(study: Study) -> Iterator[Any]:
    found = study.retention
    kmo = f"Kaiser–Meyer–Olkin measure {written(found.kmo.overall, 'bounded')} ({found.kmo.word})"
    yield f"Explored on the first half of the clusters (n = {len(study.halves[0])}). {kmo}."
    yield plots.scree(found)
    yield tables.retention(found)
    yield tables.estimates(found.bartlett, id="coco-bartlett")


@exhibit("measurement", "Exploratory factor analysis")
def exploratory(study: Study) -> Iterator[Any]:
    yield plots.loadings(study.explored)
    yield tables.loadings(study.explored, suppress=0.2)
    if study.explored.factor_correlations.shape[0] > 1:
        yield tables.correlations(study.explored)
    yield plots.correlations(study.responses if study.block is None else study.halves[0])


@exhibit("measurement", "Reliability", "reliability")
def reliability(study: Study) -> Iterator[Any]:
    yield tables.reliability(study.reliability)


@exhibit("measurement", "Agreement within clusters")
def agreement(study: Study) -> Iterator[Any]:
    if study.survey.cluster is None:
        return
    yield tables.icc(study.agreement)


# --- propositions -----------------------------------------------------------------------------------


@exhibit("propositions", "The plan")
def plan(study: Study) -> Iterator[Any]:
    if study.plan is None:
        return
    plan = study.plan
    yield (
        f"Plan {plan.id}, hash {plan.hash}. The hash shows whether the plan was changed, not when it was written. "
        f"{study.verdicts.note}"
    )
    rows = [
        {
            "hypothesis": one.id,
            "point": one.point or "",
            "sentence": plain(one.sentence.get("en", "")),
            "expected": one.expected,
            "level": one.level,
            "family": one.family,
            "sesoi": plan.sesoi(one),
        }
        for one in plan.hypotheses
    ]
    yield tables.framed(pd.DataFrame(rows), title="Hypotheses", id="coco-hypotheses")


@exhibit("propositions", "Verdicts", "family", "equivalence")
def verdicts(study: Study) -> Iterator[Any]:
    if study.plan is None:
        return
    yield plots.forest(study.verdicts, label="confirmatory")
    yield tables.verdicts(study.verdicts, label="confirmatory")


@exhibit("propositions", "Verdicts in words")
def sentences(study: Study) -> Iterator[Any]:
    if study.plan is None:
        return
    for row in study.verdicts:
        if str(row.numbers["label"]).startswith("confirmatory"):
            yield words.verdict(row)


@exhibit("propositions", "Beside the confirmatory family: exploratory rows", "levels")
def beside(study: Study) -> Iterator[Any]:
    if study.plan is None:
        return
    yield tables.verdicts(study.verdicts, label="exploratory")


@exhibit("propositions", "Equations and estimates", "equations", "clusters")
def equations(study: Study) -> Iterator[Any]:
    """The regression of every confirmatory row, each equation once."""
    if study.plan is None:
        return
    shown = set()
    for row in study.verdicts:
        if not str(row.numbers["label"]).startswith("confirmatory") or not row.equations:
            continue
        for fit in row.fits:
            if fit.formula not in shown:
                shown.add(fit.formula)
                yield Equation(f"{fit.formula}")
                yield Equation(fit.equation)
                yield tables.regressions(fit, title=f"{row.numbers['hypothesis']}: {fit.formula.split('~')[0].strip()}")
