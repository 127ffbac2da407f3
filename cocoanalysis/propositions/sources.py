"""Self- against other-rated practices: whose view goes with what the others see as outcome?"""

from __future__ import annotations

import numpy as np

from cocoanalysis.propositions.estimands import Answers, Estimated, Row, estimand
from cocoanalysis.propositions.evidence import Student
from cocoanalysis.propositions.plan import Plan
from cocoanalysis.propositions.vcov import Options, Sample, hc3

FEWEST = 10  # collaborations with both kinds of raters


@estimand("sources", lambda h: [(f"{name}: others − self", (name,)) for name in h.predictor])
def sources(row: Row, answers: Answers, plan: Plan, seed: int) -> Estimated:
    """Collaboration by collaboration, the others' mean outcome on the leaders' own and the others' mean view of a
    practice: the difference of the two standardised slopes, HC3. The others' view shares its raters with the outcome,
    so a difference may be common method."""
    column, name = str(row.hypothesis.sources), row.names[0]
    if answers.clusters is None:
        return Estimated(None, fault="self- and other-ratings are compared by collaboration, and there is none")
    if set(answers.labels.get(column, ())) != {"self", "other"}:
        return Estimated(None, fault=f"'{column}' does not tell the two sources 'self' and 'other'")
    rows = answers.complete([column, name, row.outcome])
    codes, own = answers.clusters[rows], answers.categories[column][rows] == answers.labels[column].index("self")
    known = np.intersect1d(codes[own], codes[~own])
    text = f"others' mean {row.outcome} ~ leaders' own mean {name} + others' mean {name}, one row a collaboration"
    if known.size < FEWEST:
        fault = f"only {known.size} collaborations have both self- and other-ratings, and {FEWEST} are needed"
        return Estimated(None, fault=fault, more={"equation": text})
    values, outcomes = answers.numbers[name][rows], answers.numbers[row.outcome][rows]
    mean = {True: _means(values, codes, own, known), False: _means(values, codes, ~own, known)}
    y = _means(outcomes, codes, ~own, known)
    scaled = [(m - m.mean()) / m.std(ddof=1) for m in (mean[False], mean[True], y)]
    # others' slope minus self's slope as one coefficient: others' column moves along with self's
    x = np.column_stack([np.ones(known.size), scaled[0], scaled[1] + scaled[0]])
    estimates = np.linalg.lstsq(x, scaled[2], rcond=None)[0]
    certainty = hc3(Sample(x, scaled[2] - x @ estimates, estimates), Options())
    evidence = Student(float(estimates[1]), float(np.sqrt(certainty.matrix[1, 1])), float(certainty.df[1]))
    return Estimated(
        evidence,
        n=int(rows.sum()),
        n_clusters=known.size,
        points=float(y.std(ddof=1)),
        more={"equation": text, "inference": "HC3 errors over collaborations"},
    )


def _means(values: np.ndarray, codes: np.ndarray, rows: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Mean of the chosen rows in each of the known clusters."""
    size = np.bincount(codes[rows], minlength=codes.max() + 1)
    total = np.bincount(codes[rows], values[rows], minlength=codes.max() + 1)
    return total[known] / size[known]
