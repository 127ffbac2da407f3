"""What was done otherwise than planned: told with its reason and with both results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from pydantic import ValidationError

from cocoanalysis.arguments import shown
from cocoanalysis.errors import PlanError, listed
from cocoanalysis.fieldwork.rows import READING_RULES
from cocoanalysis.propositions.plan import DeviationEntry, GateEntry, Plan

DEVIATIONS = ["setting", "planned", "executed", "reason", "hypothesis", "outcome", "predictor", "planned_estimate",
              "planned_verdict", "executed_estimate", "executed_verdict"]  # fmt: skip
NO_REASON = "no reason given"


def deviation(given: DeviationEntry | Mapping[str, Any]) -> DeviationEntry:
    """A deviation as it was given, as an entry of the plan's form."""
    if isinstance(given, DeviationEntry):
        return given
    try:
        reason = given.get("reason")
        return DeviationEntry.model_validate({**given, "reason": {"en": reason} if isinstance(reason, str) else reason})
    except (ValidationError, AttributeError) as error:
        raise PlanError(
            "A deviation has the keys setting (controls, exclusions, model, vcov, few_clusters or means_from), "
            f"executed and reason; {listed(given) if isinstance(given, Mapping) else shown(given)} came.",
            code="InvalidDeviation",
        ) from error


class Told(NamedTuple):
    """A deviation in words; ``ids`` are the hypotheses it touches, None for all."""

    setting: str
    planned: str
    executed: str
    reason: str
    ids: frozenset[str] | None = None

    def touches(self, id: str) -> bool:
        return self.ids is None or id in self.ids


def told(plan: Plan, made: Sequence[DeviationEntry], used: Any, left: Sequence[GateEntry]) -> list[Told]:
    """Every deviation: those that were named, and those that the responses and the gates give away."""
    outside = [
        Told("exclusions", "not in the plan", rule, NO_REASON) for rule in outside_rules(used, plan.deviated(made))
    ]
    idle = [
        Told("gates", f"{gate.id} ({listed(gate.groups) or gate.model})", "not examined", NO_REASON,
             frozenset(gate.guards))
        for gate in left if gate.guards
    ]  # fmt: skip
    return [*(_named(plan, one) for one in made), *outside, *idle]


def outside_rules(used: Any, plan: Plan) -> list[str]:
    """Rules by which rows were left out that are not the plan's, and rows that left without a rule."""
    ledger = getattr(used, "ledger", None)
    if ledger is None:
        rules = [exclusion.rule for exclusion in plan.form.exclusions]
        return [f"a table of scores, in which the plan's {listed(rules)} cannot be checked"] if rules else []
    planned = {used.told(exclusion.rule) for exclusion in plan.form.exclusions} | set(READING_RULES)
    leaving = ledger[ledger["step"].isin(["exclude", "split"]) & (ledger["rows"] > 0)]
    own = (leaving["step"] == "exclude") & (leaving["origin"] == "plan") & leaving["rule"].isin(planned)
    counts = [*ledger["n_before"].iloc[1:], len(used.frame)]
    gone = sum(max(after - before, 0) for after, before in zip(ledger["n_after"], counts))
    silent = [f"{gone} rows that left without a line in the ledger"] if gone else []
    return [*leaving.loc[~own, "rule"], *silent]


def compared(
    found: Sequence[Told], before: Sequence[Mapping[str, Any]], decided: Sequence[Mapping[str, Any]]
) -> pd.DataFrame:
    """Every confirmatory row as planned (``before``) and as carried out; rows excluded by hand are not brought back."""
    planned = {(row["hypothesis"], row["outcome"], row["predictor"]): row for row in before}
    rows = []
    for one in found:
        for row in decided:
            if not str(row["label"]).startswith("confirmatory") or not one.touches(row["hypothesis"]):
                continue
            key = (row["hypothesis"], row["outcome"], row["predictor"])
            old = planned.get(key, {})
            rows.append([*one[:4], *key, old.get("estimate", np.nan), old.get("verdict"),
                         row["estimate"], row["verdict"]])  # fmt: skip
    return pd.DataFrame(rows, columns=DEVIATIONS)


def _named(plan: Plan, one: DeviationEntry) -> Told:
    holder = plan.form if one.setting in ("controls", "exclusions") else plan.form.estimation
    value = getattr(holder, one.setting)
    was = listed(getattr(part, "id", part) for part in value) if isinstance(value, list) else str(value)
    now = listed(one.executed) if isinstance(one.executed, list) else str(one.executed)
    return Told(one.setting, was or "none", now or "none", next(iter(one.reason.values())))
