"""What was done otherwise than planned: told with its reason and with both results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from cocoanalysis.errors import PlanError, listed
from cocoanalysis.propositions.plan import DeviationEntry, Plan

DEVIATIONS = ["setting", "planned", "executed", "reason", "hypothesis", "outcome", "predictor", "planned_estimate",
              "planned_verdict", "executed_estimate", "executed_verdict"]  # fmt: skip
NONE = pd.DataFrame(columns=DEVIATIONS)


def deviation(given: DeviationEntry | Mapping[str, Any]) -> DeviationEntry:
    """A deviation as it was given, as an entry of the plan's form."""
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


def outside_rules(used: Any) -> list[str]:
    """Rules by which rows were left out that are not the plan's."""
    ledger = getattr(used, "ledger", None)
    if ledger is None or "origin" not in ledger:
        return []
    rows = ledger[(ledger["step"] == "exclude") & (ledger["origin"] != "plan") & (ledger["rows"] > 0)]
    return list(rows["rule"])


def compared(
    plan: Plan,
    made: Sequence[DeviationEntry],
    outside: Sequence[str],
    before: Sequence[Mapping[str, Any]],
    decided: Sequence[Mapping[str, Any]],
) -> pd.DataFrame:
    """Every confirmatory row as planned (``before``) and as carried out; rows excluded by hand are not brought back."""
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
