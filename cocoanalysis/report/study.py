"""The main job on one survey: every result of the report, each computed once and when asked for.

The order of the properties is the order of the analysis. Nothing is shown here; `exhibits` turns
results into tables, figures and sentences, and `site` puts those on pages.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import cocoanalysis as coco
from cocoanalysis.errors import CocoError, ResponseError

SMALLEST_GROUP = 100  # below, a model with covariates (MIMIC) is the better comparison


class Study:
    """One survey, its answers, and what the package finds in them.

    Parameters
    ----------
    survey : folder, file or name of a bundled survey
    responses : file of answers; None for the first sample that the survey names
    seed : for everything that draws random numbers
    """

    def __init__(self, survey: str | Path, responses: str | Path | None = None, *, seed: int = 1):
        self.survey: Any = coco.read_survey(survey)
        self.path = Path(responses) if responses is not None else self._sample()
        self.seed = seed

    def _sample(self) -> Path:
        if not self.survey.samples:
            raise ResponseError(
                f"The survey '{self.survey.id}' names no sample; give a file of answers with --responses.",
                code="NoSample",
            )
        return Path(self.survey.folder) / self.survey.samples[0].file

    @property
    def name(self) -> str:
        """The survey's folder, which names its page."""
        return Path(self.survey.folder).name

    # who answered, and how carefully?

    @cached_property
    def responses(self) -> Any:
        return coco.read_responses(self.path, self.survey).screen()

    @cached_property
    def plan(self) -> Any:
        """The plan beside the survey, or None."""
        path = Path(self.survey.folder) / "plan.yaml"
        return coco.read_plan(path) if path.is_file() else None

    @cached_property
    def analysed(self) -> Any:
        """The responses after the plan's exclusions; `judge` gets all of them and excludes itself."""
        return self.responses if self.plan is None else self.plan.exclude(self.responses)

    @cached_property
    def halves(self) -> tuple[Any, Any]:
        """Explore on the first, confirm on the second; whole clusters, because random halves of people leak."""
        return self.analysed.split(seed=self.seed)

    # are the scales any good?

    @property
    def block(self) -> str | None:
        """What is factor-analysed: the survey's first block, or everything when it has few constructs."""
        blocks = self.survey.blocks
        return next(iter(blocks)) if blocks and len(self.survey.construct_ids()) > 6 else None

    @cached_property
    def reflective(self) -> list[str]:
        """The constructs of the block that are no composites."""
        return [name for name in self.survey.construct_ids(self.block) if not self.survey.constructs[name].composite]

    @cached_property
    def factor_items(self) -> list[str]:
        return self.survey.item_ids(self.reflective)

    @cached_property
    def items(self) -> Any:
        return coco.item_analysis(self.analysed)

    @cached_property
    def retention(self) -> Any:
        return coco.retention(self.halves[0], self.factor_items, seed=self.seed)

    @cached_property
    def explored(self) -> Any:
        factors = max(int(self.retention.parallel.n_factors), 1)
        return coco.efa(self.halves[0], self.factor_items, factors=factors, rotation="oblimin", seed=self.seed)

    @cached_property
    def reliability(self) -> Any:
        return coco.reliability(self.analysed)

    @cached_property
    def rivals(self) -> dict[str, Any]:
        """The measurement model and its rivals on the second half: robust ML, incomplete rows kept."""
        return {
            name: coco.cfa(self.halves[1], syntax, estimator="mlr", **options)
            for name, (syntax, options) in models(self.survey, self.reflective).items()
        }

    @cached_property
    def confirmed(self) -> Any:
        """The measurement model itself."""
        return next(iter(self.rivals.values()))

    @cached_property
    def ordinal(self) -> Any:
        """The measurement model with the items as ordered answers."""
        syntax = self.survey.measurement_model(self.reflective)
        return coco.cfa(self.halves[1], syntax, estimator="wlsmv")

    @cached_property
    def groups(self) -> list[str]:
        """Over what the measurement is compared: what the plan's gates name, else up to three questions
        with two to four categories that at least 100 people each gave; the rating source comes first."""
        gates = [] if self.plan is None else self.plan.form.gates
        named = [name for gate in gates if gate.kind == "invariance" for name in gate.groups]
        source = [self.survey.address.column] if self.survey.address is not None else []
        usual = [name for name in dict.fromkeys([*source, *self.survey.background]) if self._groups_well(name)]
        return list(dict.fromkeys(named)) or usual[:3]

    def _groups_well(self, name: str) -> bool:
        question = self.survey.background.get(name)
        if question is None or question.kind != "categorical" or name not in self.analysed.frame:
            return False
        counts = self.analysed.frame[name].value_counts()
        return 2 <= len(counts) <= 4 and int(counts.min()) >= SMALLEST_GROUP

    @cached_property
    def ladders(self) -> dict[str, Any]:
        """The ladder of equality, one a grouping, or the error that says why there is none."""
        found: dict[str, Any] = {}
        for name in self.groups:
            try:
                found[name] = coco.invariance(
                    self.analysed, self.survey.measurement_model(self.reflective), group=name, estimator="mlr"
                )
            except CocoError as error:
                found[name] = error
        return found

    @cached_property
    def missingness(self) -> Any:
        return coco.missingness(self.responses)

    @cached_property
    def discriminant(self) -> Any:
        return coco.htmt(self.analysed, self.reflective, bootstrap=500, cluster=self.survey.cluster, seed=self.seed)

    @cached_property
    def general(self) -> Any:
        """How much one general factor explains; None with fewer than three group factors."""
        if len(self.reflective) < 3:
            return None
        return coco.omega(self.analysed, self.factor_items, factors=len(self.reflective), seed=self.seed)

    @cached_property
    def agreement(self) -> Any:
        names = [name for name in self.survey.construct_ids() if not self.survey.constructs[name].composite]
        return coco.icc(self.analysed, names, self.survey.cluster)

    # does the article hold?

    @cached_property
    def verdicts(self) -> Any:
        return coco.judge(self.plan, self.responses, seed=self.seed)

    @cached_property
    def indirect(self) -> list[Any]:
        """Every indirect association of the plan with its sensitivity, one result a predictor and outcome."""
        found = []
        for one in self.plan.hypotheses:
            for outcome in one.outcome if one.through else ():
                for predictor in one.predictor:
                    found.append(self._mediated(one, outcome, predictor))
        return found

    def _mediated(self, one: Any, outcome: str, predictor: str) -> Any:
        return coco.mediate(
            self.analysed,
            outcome=outcome,
            predictor=predictor,
            mediators=[list(chain) for chain in one.through],
            controls=self.plan.controls(one),
            interval="monte_carlo",
            seed=self.seed,
        )

    @cached_property
    def moderations(self) -> dict[str, Any]:
        """Simple slopes of every product of the plan, by hypothesis and outcome."""
        found: dict[str, Any] = {}
        for one in self.plan.hypotheses:
            for outcome in one.outcome if one.product else ():
                predictor, moderator = one.product
                found[f"{one.id}: {self.survey.label(outcome)}"] = coco.simple_slopes(
                    self.analysed,
                    outcome=outcome,
                    predictor=predictor,
                    moderator=moderator,
                    controls=self.plan.controls(one),
                )
        return found

    @cached_property
    def multiverse(self) -> Any:
        return coco.multiverse(self.plan, self.responses, seed=self.seed)

    @cached_property
    def latent(self) -> pd.DataFrame:
        """Every slope between two reflective constructs, once between their scores and once between the constructs."""
        rows = []
        for one in self.plan.hypotheses:
            for outcome, predictor in ((o, p) for o in one.outcome for p in one.predictor if one.kind == "slope"):
                if self._reflective(outcome) and self._reflective(predictor):
                    rows.append({"hypothesis": one.id, **self._both_ways(outcome, predictor)})
        return pd.DataFrame(rows)

    def _reflective(self, name: str) -> bool:
        return name in self.survey.constructs and not self.survey.constructs[name].composite

    def _both_ways(self, outcome: str, predictor: str) -> dict[str, Any]:
        scores = (
            coco.regress(f"{outcome} ~ {predictor}", self.analysed, vcov="CR2").tidy().set_index("term").loc[predictor]
        )
        syntax = f"{self.survey.measurement_model([predictor, outcome])}{outcome} ~ {predictor}\n"
        fit = coco.sem(self.analysed, syntax, estimator="mlr", cluster=self.survey.cluster)
        table = fit.tidy(standardized=True)
        latent = table[table["op"] == "~"].iloc[0]
        fault = "; ".join(str(d) for d in fit.diagnostics if d.severity == "error")
        return {
            "predictor": self.survey.label(predictor),
            "outcome": self.survey.label(outcome),
            "scores": scores["est_std"],
            "p_scores": scores["p_value"],
            "latent": np.nan if fault else latent["std_all"],
            "p_latent": np.nan if fault else latent["p_value"],
            "remark": fault,
        }


def models(survey: Any, constructs: list[str]) -> dict[str, tuple[str, dict[str, Any]]]:
    """Syntax and options of the measurement model and of its rivals, as far as it has any."""
    correlated = survey.measurement_model(constructs)
    found: dict[str, tuple[str, dict[str, Any]]] = {f"{len(constructs)} correlated factors": (correlated, {})}
    if len(constructs) < 2:
        return {"one factor": (correlated, {})}
    items = " + ".join(survey.item_ids(constructs))
    found["one factor"] = (f"general =~ {items}", {})
    if len(constructs) > 3:
        found["second order"] = (f"{correlated}general =~ {' + '.join(constructs)}\n", {})
    if len(constructs) > 2:
        found["bifactor"] = (f"general =~ {items}\n{correlated}", {"orthogonal": True, "std_lv": True})
    return found
