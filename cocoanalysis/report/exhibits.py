"""What the report shows, one function an exhibit: from a `Study` to tables, figures and sentences.

Each exhibit names its section and the points of CONTENTS that it covers, so that the report can
check itself against the list. To add one, write a generator of parts (a great_tables GT, matplotlib
Axes, a sentence, an `Equation`) and put @exhibit above it. An exhibit that yields nothing does not
apply to the survey; one that raises a CocoError is shown with that reason instead of a number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

import cocoanalysis as coco
from cocoanalysis.errors import CocoError
from cocoanalysis.report import plots, tables, words
from cocoanalysis.report.labels import phrase, plain
from cocoanalysis.report.study import Study
from cocoanalysis.report.tables import written
from cocoanalysis.responses.disclosure import told_safely
from cocoanalysis.responses.screening import with_and_without

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
    if any(construct.point for construct in study.survey.constructs.values()):
        yield (
            "The ids of the points are this project's labels. The items are this project's operationalisation, "
            "not the source's own questions, and drafts until they have been piloted."
        )
    yield tables.constructs(study.survey)


@exhibit("instrument", "Questions")
def questions(study: Study) -> Iterator[Any]:
    yield tables.items(study.survey)


# --- responses ------------------------------------------------------------------------------------


@exhibit("responses", "Sample flow", "flow")
def flow(study: Study) -> Iterator[Any]:
    shown = study.responses if study.plan is None else study.verdicts  # whose ledger has the plan's exclusions
    yield words.flow(shown)
    yield plots.flow(shown)
    yield tables.flow(shown)


@exhibit("responses", "Careless answers", "quality")
def quality(study: Study) -> Iterator[Any]:
    yield tables.screening(study.responses.screening)
    compared = with_and_without(study.responses, "careless_flags >= 2")
    yield tables.with_and_without(compared, study.responses)


@exhibit("responses", "Missing answers", "missing")
def missing(study: Study) -> Iterator[Any]:
    if not study.responses.missing[study.survey.item_ids()].notna().to_numpy().any():
        yield "No answer is missing, so nothing has to be imputed."
        return
    yield (
        "Measurement models keep incomplete rows (full-information maximum likelihood); scores follow each scale's "
        "rule on how many answers they need."
    )
    yield plots.missing(study.responses, study.factor_items)
    yield tables.missing(study.missingness)
    if study.survey.address is not None and study.survey.address.column in study.responses.frame:
        yield plots.missing_map(study.missingness, study.survey.address.column)
    patterns = coco.missingness(study.responses, study.factor_items).patterns()
    yield tables.framed(
        patterns.head(10), title="Patterns of missing answers", id="coco-patterns", source=study.responses
    )
    tests = pd.concat([coco.little_mcar(study.responses, name).tidy() for name in study.reflective], ignore_index=True)
    tests.insert(0, "scale", [study.survey.label(name) for name in study.reflective])
    title = "Little's test of missing completely at random, scale by scale"
    yield tables.framed(tests, title=title, id="coco-mcar", source=study.responses)


@exhibit("responses", "Answers to the items", "distributions")
def answers(study: Study) -> Iterator[Any]:
    yield (
        "Answers as they were given: bars to the left of the line are the lower half of the scale, "
        "R marks items that are turned round when scores are made."
    )
    for items in _by_scale(study):
        yield plots.likert(study.analysed, items)
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
    yield plots.correlations(study.halves[0], names=study.factor_items)


@exhibit("measurement", "Confirmatory factor analysis and its rivals", "halves", "fit", "rivals")
def confirmatory(study: Study) -> Iterator[Any]:
    yield (
        f"Confirmed on the other half of the clusters (n = {len(study.halves[1])}), which the exploration did not see. "
        "Conventional cut-offs (Hu and Bentler, 1999): CFI .95, RMSEA .06, SRMR .08; they are no tests."
    )
    yield words.fit(study.confirmed)
    yield tables.fit(study.rivals)
    yield plots.path(study.confirmed)
    yield tables.parameters(study.confirmed)


@exhibit("measurement", "Ordinal beside robust", "ordinal")
def ordinal(study: Study) -> Iterator[Any]:
    yield tables.fit({"robust ML (FIML)": study.confirmed, "ordered answers (WLSMV)": study.ordinal})
    yield tables.loadings_side_by_side({"robust ML": study.confirmed, "WLSMV": study.ordinal})


@exhibit("measurement", "Where the model misfits", "residuals")
def misfit(study: Study) -> Iterator[Any]:
    yield tables.modifications(study.confirmed)
    yield tables.residuals(study.confirmed)


@exhibit("measurement", "Are the scales distinct?", "discriminant")
def discriminant(study: Study) -> Iterator[Any]:
    if len(study.reflective) < 2:
        return
    yield tables.htmt(study.discriminant)
    if study.general is not None:
        yield tables.estimates(study.general, id="coco-general")


@exhibit("measurement", "Do the items mean the same in every group?", "invariance")
def invariance(study: Study) -> Iterator[Any]:
    for name, ladder in study.ladders.items():
        if isinstance(ladder, CocoError):
            problem = told_safely(str(ladder), study.responses.provenance)
            yield f"{study.survey.label(name)}: {problem} ({ladder.code})"
            continue
        yield words.invariance(ladder)
        yield plots.invariance(ladder)
        yield tables.invariance(ladder)
        yield tables.framed(
            ladder.releases(limit=10), title="Constraints whose release helps most", id="coco-releases", source=ladder
        )


@exhibit("measurement", "Reliability", "reliability")
def reliability(study: Study) -> Iterator[Any]:
    yield tables.reliability(study.reliability)


@exhibit("measurement", "Agreement within clusters", "aggregation")
def agreement(study: Study) -> Iterator[Any]:
    if study.survey.cluster is None:
        return
    yield tables.icc(study.agreement)
    chosen = {name: study.survey.item_ids(name) for name in study.reflective}
    yield tables.agreement(
        {name: coco.rwg(study.analysed, items, study.survey.cluster) for name, items in chosen.items()},
        {name: coco.average_deviation(study.analysed, items, study.survey.cluster) for name, items in chosen.items()},
    )


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


@exhibit("propositions", "Gates: conditions on the measurement")
def gates(study: Study) -> Iterator[Any]:
    if study.plan is None or not study.verdicts.tidy()["label"].str.startswith("gate").any():
        return
    yield tables.verdicts(study.verdicts, label="gate")


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


@exhibit("propositions", "Indirect associations", "mediation")
def indirect(study: Study) -> Iterator[Any]:
    if study.plan is None or not any(one.through for one in study.plan.hypotheses):
        return
    for found in study.indirect:
        yield tables.estimates(found, title=found.title, id="coco-indirect")
        yield tables.framed(
            found.sensitivity, title="Sensitivity to what was not measured", id="coco-sensitivity", source=found
        )


@exhibit("propositions", "Moderation", "moderation")
def moderation(study: Study) -> Iterator[Any]:
    if study.plan is None or not any(one.product for one in study.plan.hypotheses):
        return
    for name, found in study.moderations.items():
        yield plots.slopes(found)
        yield tables.estimates(found, title=f"{name}, simple slopes", id="coco-slopes")
        bounds = f"{name}, bounds of significance (Johnson and Neyman)"
        yield tables.framed(found.johnson_neyman(), title=bounds, id="coco-johnson-neyman", source=found)


@exhibit("propositions", "Checks of the regressions", "influence")
def checks(study: Study) -> Iterator[Any]:
    if study.plan is None:
        return
    rows = []
    for row in study.verdicts:
        if row.numbers["kind"] == "slope" and str(row.numbers["label"]).startswith("confirmatory") and row.equations:
            facts = coco.check_regression(row.fit).glance().iloc[0].to_dict()
            rows.append({"hypothesis": row.numbers["hypothesis"], "outcome": row.numbers["outcome"], **facts})
    yield (
        "Largest variance inflation factor and Cook's distance; p of RESET (functional form), Breusch–Pagan "
        "(unequal variances, which the robust errors allow for) and Jarque–Bera (normal residuals)."
    )
    shown = pd.DataFrame(rows)
    shown["outcome"] = [study.survey.label(name) for name in shown["outcome"]]
    yield tables.framed(shown, title="Checks of the regressions", id="coco-checks", source=study.verdicts)
    first = next(row for row in study.verdicts if row.numbers["kind"] == "slope" and row.equations)
    found = coco.check_regression(first.fit)
    yield tables.estimates(found, title=f"{first.numbers['hypothesis']}: term by term", id="coco-check-terms")


@exhibit("propositions", "Which practice counts most?")
def dominance(study: Study) -> Iterator[Any]:
    """All predictors of the plan's slopes on the outcome that most of them share, in one joint model."""
    if study.plan is None:
        return
    slopes = [
        (o, p) for one in study.plan.hypotheses if one.kind == "slope" for o in one.outcome for p in one.predictor
    ]
    outcome = max((o for o, _ in slopes), key=[o for o, _ in slopes].count)
    predictors = (
        [name for name in study.reflective if name != outcome]
        if study.block
        else [p for o, p in slopes if o == outcome]
    )
    predictors = list(dict.fromkeys(predictors))
    if len(predictors) > 1:
        yield tables.estimates(
            coco.dominance(study.analysed, outcome=outcome, predictors=predictors), id="coco-dominance"
        )


@exhibit("propositions", "Between scores and between constructs", "latent")
def latent(study: Study) -> Iterator[Any]:
    if study.plan is None or study.latent.empty:
        return
    yield (
        "The same slope between scores (which hold measurement error) and between latent variables (which do not), "
        "without controls; errors are robust to clusters."
    )
    yield tables.framed(study.latent, title="Latent beside composite", id="coco-latent", source=study.responses)


@exhibit("propositions", "Common method", "method")
def method(study: Study) -> Iterator[Any]:
    if study.plan is None:
        return
    for one in study.plan.hypotheses:
        if one.kind == "slope" and study.survey.cluster is not None and one.family == "confirmatory":
            for outcome in one.outcome:
                for predictor in one.predictor:
                    found = coco.split_cluster(study.analysed, outcome=outcome, predictor=predictor, seed=study.seed)
                    yield tables.estimates(found, title=f"{one.id}: {phrase(found, found.title)}", id="coco-split")
            break
    if any(construct.role == "marker" for construct in study.survey.constructs.values()):
        yield tables.estimates(coco.marker_technique(study.analysed, study.reflective), id="coco-marker")
    described = coco.harman(study.analysed, study.factor_items)
    yield tables.framed(
        described, title="Share of one unrotated factor (Harman)", id="coco-harman", source=study.responses
    )


@exhibit("propositions", "Every defensible analysis", "multiverse")
def multiverse(study: Study) -> Iterator[Any]:
    if study.plan is None or study.plan.form.multiverse is None:
        return
    found = study.multiverse
    for name in found.tidy()["hypothesis"].drop_duplicates():
        if found.tidy().query("hypothesis == @name")["outcome"].nunique() == 1:
            yield plots.specification(found, hypothesis=name)
    yield tables.framed(found.summary(), title="Specification curves", id="coco-multiverse", source=found)


@exhibit("propositions", "Deviations from the plan", "deviations")
def deviations(study: Study) -> Iterator[Any]:
    if study.plan is None:
        return
    if study.verdicts.deviations.empty:
        yield f"None: what was done is what the plan says (hash {study.plan.hash[:12]})."
        return
    yield tables.framed(study.verdicts.deviations, title="Deviations", id="coco-deviations", source=study.verdicts)


@exhibit("propositions", "What the verdict rule can reach")
def reach(study: Study) -> Iterator[Any]:
    """Read from the committed counts beside the survey, which name the plan and the world they were made with."""
    for name in ("sizes", "null"):
        path = Path(study.survey.folder) / "power" / f"{name}.json"
        if study.plan is None or not path.is_file():
            continue
        counted = coco.read_power(path, study.plan)
        yield f"Verdicts over many synthetic studies of the {'planned' if name == 'sizes' else 'null'} world."
        yield plots.power(counted)
        yield tables.estimates(counted, title=f"Shares of verdicts: {name}", id="coco-power")
