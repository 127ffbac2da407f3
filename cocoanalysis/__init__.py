"""Surveys on public leadership and co-created public value, from the instrument to the report.

The public names in the order of the analysis, each with the module it lives in. They are
loaded on first use, so that the command line answers at once.
"""

from importlib import import_module
from typing import Any

PUBLIC = {
    # what can go wrong
    "CocoError": "errors",
    "CocoWarning": "errors",
    # instrument: what is asked?
    "bundled": "instrument.reading",
    "compare_surveys": "instrument.comparing",
    "check_survey": "instrument.reading",
    "new_survey": "instrument.adapting",
    "read_instrument": "instrument.reading",
    "read_translation_sheet": "instrument.translating",
    "read_survey": "instrument.reading",
    "write_translation_sheet": "instrument.translating",
    # responses and fieldwork: who answered, and how carefully?
    "read_responses": "fieldwork.reading",
    "invite": "fieldwork.invitations",
    "Responses": "responses.responses",
    "sample_flow": "responses.ledger",
    "response_rates": "responses.ledger",
    "same_rows": "responses.ledger",
    "missingness": "responses.missing",
    "little_mcar": "responses.missing",
    "impute": "responses.imputation",
    "anonymity": "responses.disclosure",
    "safe_table": "responses.disclosure",
    "disclosure_rules": "responses.disclosure",
    # measurement: are the scales any good?
    "item_analysis": "measurement.items",
    "kmo": "measurement.retention",
    "bartlett": "measurement.retention",
    "parallel_analysis": "measurement.retention",
    "velicer_map": "measurement.retention",
    "retention": "measurement.retention",
    "efa": "measurement.exploratory",
    "reliability": "measurement.reliability",
    "polychoric": "measurement.moments",
    "invariance": "measurement.invariance",
    "mimic": "measurement.mimic",
    "ordinal_reliability": "measurement.ordinalreliability",
    "split_half": "measurement.reliability",
    "omega": "measurement.generalfactor",
    "composite_reliability": "measurement.composites",
    "fornell_larcker": "measurement.composites",
    "htmt": "measurement.validity",
    "icc": "measurement.aggregation",
    "rwg": "measurement.aggregation",
    "average_deviation": "measurement.aggregation",
    "within_between": "measurement.aggregation",
    "cfa": "measurement.confirmatory",
    "sem": "measurement.confirmatory",
    "sem_from_moments": "measurement.confirmatory",
    "compare": "measurement.comparison",
    # propositions: does the article hold?
    "read_plan": "propositions.plan",
    "Plan": "propositions.plan",
    "judge": "propositions.verdicts",
    "Verdicts": "propositions.verdicts",
    "regress": "propositions.regression",
    "mediate": "propositions.mediation",
    "simple_slopes": "propositions.moderation",
    "dominance": "propositions.dominance",
    "necessity": "propositions.necessity",
    "check_regression": "propositions.checks",
    "split_cluster": "propositions.bias",
    "marker_technique": "propositions.bias",
    "method_factor": "propositions.bias",
    "harman": "propositions.bias",
    "multiverse": "propositions.multiverse",
    "latent": "propositions.latent",
    # worlds: what would we see if …?
    "World": "worlds.world",
    "read_world": "worlds.world",
    "simulate": "worlds.world",
    "power": "worlds.power",
    "read_power": "worlds.power",
    "write_responses": "responses.writing",
    "write_sav": "responses.writing",
    "write_dataset": "fieldwork.dataset",
    # report: how does it look?
    "interim": "report.fielding",
    "export": "report.export",
}
MODULES: dict[str, str] = {
    "plots": "report.plots",
    "tables": "report.tables",
    "words": "report.words",
}  # names that are modules themselves (coco.plots, coco.tables, coco.words)

__version__ = "0.1.0"
__all__ = [*PUBLIC, *MODULES]


def __getattr__(name: str) -> Any:
    if name in MODULES:
        return import_module(f"{__name__}.{MODULES[name]}")
    if name in PUBLIC:
        return getattr(import_module(f"{__name__}.{PUBLIC[name]}"), name)
    raise AttributeError(f"cocoanalysis has no '{name}'; it has {', '.join(__all__)}.")


def __dir__() -> list[str]:
    return sorted(__all__)
