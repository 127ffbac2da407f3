"""Small hand-made results with the promised columns: what the report shows, without computing it."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from cocoanalysis.errors import Diagnostic
from cocoanalysis.result import Result


class Made(Result):
    """A finished result whose tables are given."""

    def __init__(self, tidy=None, glance=None, title="Made by hand", provenance="synthetic", survey=None, **attributes):
        self._tidy, self._glance = tidy, glance
        self.title, self.provenance, self.survey = title, provenance, survey
        self.settings = {"estimator": "ml"}
        for name, value in attributes.items():
            setattr(self, name, value)

    def tidy(self):
        return self._tidy

    def glance(self):
        return self._glance


LABELS = {
    "mobilising": "Mobilising",
    "soft": "Soft tools",
    "mob1": "pick partners for what they can add",
    "mob2": "bring people in when the problem is defined",
    "mob3": "involve only those who ask",
    "soft1": "persuade by reasons",
    "soft2": "tell a uniting story",
    "soft3": "give recognition",
}
POINTS = {1: "never", 2: "rarely", 3: "now and then", 4: "sometimes", 5: "often", 6: "very often", 7: "always"}


def make_survey(labels=LABELS):
    scale = SimpleNamespace(
        id="frequency7",
        points=[SimpleNamespace(code=code, label={"en": text}) for code, text in POINTS.items()],
        minimum=1,
        maximum=7,
    )
    constructs = {
        "mobilising": SimpleNamespace(id="mobilising", items=("mob1", "mob2", "mob3"), label={"en": "Mobilising"}),
        "soft": SimpleNamespace(id="soft", items=("soft1", "soft2", "soft3"), label={"en": "Soft tools"}),
    }
    items = {
        item: SimpleNamespace(id=item, key=-1 if item == "mob3" else 1, scale=scale, construct=name)
        for name, construct in constructs.items()
        for item in construct.items
    }
    chosen = {"mobilising": ["mob1", "mob2", "mob3"], "soft": ["soft1", "soft2", "soft3"], None: list(items)}
    chosen["practices"] = list(items)
    return SimpleNamespace(
        id="made",
        items=items,
        constructs=constructs,
        item_ids=lambda name=None: chosen[name],
        label=lambda name, language="en": labels[name],
    )


@pytest.fixture
def survey():
    return make_survey()


@pytest.fixture
def responses(survey):
    generator = np.random.default_rng(3)
    level = generator.normal(size=(300, 1))
    answers = np.clip(np.round(4.6 + level + generator.normal(size=(300, 6))), 1, 7)
    answers[:, 2] = 8 - answers[:, 2]
    frame = pd.DataFrame(answers, columns=list(survey.items)).astype("Int64")
    reasons = pd.DataFrame(pd.NA, index=frame.index, columns=frame.columns, dtype=object)
    for row, column, reason in zip(
        generator.integers(0, 300, 90), generator.integers(0, 6, 90), ["skipped", "cannot_judge", "refused"] * 30
    ):
        frame.iat[row, column], reasons.iat[row, column] = pd.NA, reason
    ledger = pd.DataFrame(
        {
            "step": ["read", "exclude", "exclude"],
            "rule": ["all rows of the file", "not finished", "failed an attention check"],
            "rows": [0, 24, 8],
            "cells": [0, 0, 0],
            "n_before": [332, 332, 308],
            "n_after": [332, 308, 300],
            "origin": ["plan", "plan", "exploratory"],
        }
    )
    signs = np.array([1, 1, -1, 1, 1, 1.0])

    def items(name=None, keyed=False):
        chosen = frame[survey.item_ids(name)].astype(float)
        if not keyed:
            return chosen
        turned = [8 - chosen[c] if signs[list(survey.items).index(c)] < 0 else chosen[c] for c in chosen.columns]
        return pd.concat(turned, axis=1)

    return SimpleNamespace(
        frame=frame,
        missing=reasons,
        ledger=ledger,
        survey=survey,
        provenance="synthetic",
        items=items,
        title="Responses",
    )


@pytest.fixture
def verdicts(survey):
    rows = [
        (
            "H1",
            "P1",
            "outcome",
            "mobilising",
            "+",
            0.31,
            0.21,
            0.41,
            0.0001,
            0.0004,
            0.1,
            "supported",
            "substantial",
            "confirmatory",
        ),
        (
            "H2a",
            "P2a",
            "capacity",
            "committing",
            "+",
            0.12,
            0.02,
            0.22,
            0.012,
            0.036,
            0.1,
            "supported",
            "direction established, size uncertain",
            "confirmatory",
        ),
        (
            "H3",
            "P3",
            "outcome",
            "outwards",
            "+",
            0.01,
            -0.05,
            0.07,
            0.7,
            1.0,
            0.1,
            "negligible",
            "both one-sided tests reject",
            "confirmatory",
        ),
        (
            "H4",
            "P4",
            "outcome",
            "soft",
            "+",
            0.06,
            -0.06,
            0.18,
            0.3,
            0.6,
            0.1,
            "inconclusive",
            "neither test rejects",
            "confirmatory with deviation",
        ),
        (
            "H7",
            "barriers",
            "practice",
            "roles",
            "-",
            0.22,
            0.1,
            0.34,
            0.0003,
            0.001,
            0.1,
            "contradicted",
            "the sign is not the stated one",
            "confirmatory",
        ),
        (
            "H12",
            "MP",
            "outcome",
            "self",
            "+",
            np.nan,
            np.nan,
            np.nan,
            np.nan,
            np.nan,
            0.1,
            "not testable",
            "NotConverged: the model did not converge",
            "exploratory",
        ),
    ]
    columns = "hypothesis proposition outcome predictor expected estimate ci_lower ci_upper p_value p_adjusted sesoi"
    return Made(
        pd.DataFrame(rows, columns=[*columns.split(), "verdict", "reason", "label"]), title="Verdicts", survey=survey
    )


@pytest.fixture
def explored(survey):
    items = list(survey.items)
    pattern = pd.DataFrame(
        [[0.71, 0.05], [0.64, -0.02], [-0.45, 0.1], [0.08, 0.66], [-0.03, 0.81], [0.22, 0.39]],
        index=items,
        columns=["F1", "F2"],
    )
    return Made(
        pattern.reset_index(names="item"),
        title="EFA: minres, oblimin",
        survey=survey,
        loadings=pattern,
        communalities=pd.Series([0.55, 0.42, 0.2, 0.47, 0.63, 0.3], index=items),
        uniquenesses=pd.Series([0.45, 0.58, 0.8, 0.53, 0.37, 0.7], index=items),
        factor_correlations=pd.DataFrame([[1, 0.4], [0.4, 1]], index=["F1", "F2"], columns=["F1", "F2"]),
    )


@pytest.fixture
def reliabilities(survey):
    frame = pd.DataFrame(
        {
            "scale": ["mobilising", "soft"],
            "n_items": [3, 3],
            "n": [300, 298],
            "alpha": [0.712, 0.801],
            "alpha_lower": [0.65, 0.77],
            "alpha_upper": [0.76, 0.83],
            "omega_total": [0.72, 0.80],
            "omega_lower": [0.66, 0.77],
            "omega_upper": [0.77, 0.83],
            "omega_hierarchical": [np.nan, np.nan],
            "ave": [0.45, 0.52],
            "mean_item_rest": [0.51, 0.6],
        }
    )
    return Made(frame, title="Reliability", survey=survey)


@pytest.fixture
def fits():
    def one(name, chi2, cfi, diagnostics=(), scaled=np.nan):
        row = {
            "estimator": "ml",
            "n": 300,
            "n_groups": 1,
            "n_parameters": 13,
            "identified": True,
            "converged": True,
            "admissible": not diagnostics,
            "chi2": chi2,
            "df": 8,
            "p_value": 0.0004,
            "chi2_scaled": scaled,
            "df_scaled": 8,
            "p_value_scaled": 0.01,
            "cfi": cfi,
            "tli": cfi - 0.01,
            "rmsea": 0.045,
            "rmsea_lower": 0.02,
            "rmsea_upper": 0.07,
            "srmr": 0.031,
        }
        return Made(pd.DataFrame(), pd.DataFrame([row]), title=name, diagnostics=diagnostics)

    fault = Diagnostic("Inadmissible", "the variance of mob1 is negative")
    return {"Two factors": one("a", 17.2, 0.981), "One factor": one("b", 152.4, np.nan, (fault,))}


@pytest.fixture
def ladder():
    frame = pd.DataFrame(
        {
            "step": ["configural", "metric", "scalar"],
            "chi2": [25.2, 31.0, 60.9],
            "df": [16, 20, 24],
            "cfi": [0.984, 0.981, 0.962],
            "rmsea": [0.05, 0.049, 0.066],
            "srmr": [0.03, 0.035, 0.041],
            "delta_chi2": [np.nan, 5.8, 29.9],
            "delta_df": [np.nan, 4, 4],
            "p_value": [np.nan, 0.215, 0.000005],
            "delta_cfi": [np.nan, -0.003, -0.019],
            "delta_rmsea": [np.nan, -0.001, 0.017],
            "delta_srmr": [np.nan, 0.005, 0.006],
            "verdict": ["holds", "holds", "does not hold"],
        }
    )
    return Made(frame, title="Invariance over country")


@pytest.fixture
def regression():
    frame = pd.DataFrame(
        {
            "term": ["Intercept", "mobilising", "soft"],
            "est": [1.21, 0.312, -0.041],
            "se": [0.2, 0.051, 0.06],
            "statistic": [6.05, 6.12, -0.68],
            "df": [41.3, 38.2, 40.0],
            "p_value": [1e-6, 3e-7, 0.5],
            "ci_lower": [0.8, 0.21, -0.16],
            "ci_upper": [1.6, 0.41, 0.08],
            "est_std": [np.nan, 0.3, -0.04],
        }
    )
    return Made(frame, pd.DataFrame([{"n": 300, "r_squared": 0.31}]), title="OLS, CR2")
