"""How a slope changes with a moderator: simple slopes, and where they differ from zero (Johnson & Neyman, 1936).

With clusters, predictor and moderator are centred within them (a property of the cluster: at its
mean), as in the plan's products, and their means are held.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from cocoanalysis.errors import Diagnostic, ModelError
from cocoanalysis.propositions.estimands import Answers, Equation, answers_to
from cocoanalysis.propositions.regression import Regression, regress
from cocoanalysis.result import Result

COLUMNS = ["moderator", "slope", "se", "statistic", "df", "p_value", "ci_lower", "ci_upper"]


@dataclass(frozen=True, repr=False)
class Moderation(Result):
    """Simple slopes: `tidy()` one row a value of the moderator, `johnson_neyman()`, `lines()` for the figure."""

    fit: Regression
    outcome: str
    predictor: str
    moderator: str
    terms: tuple[str, str, str]  # predictor, moderator, product
    at: tuple[float, ...]
    level: float = 0.95
    provenance: str = "yours"
    survey: Any = None
    diagnostics: tuple[Diagnostic, ...] = ()
    title: str = "Simple slopes"

    def _parts(self) -> tuple[np.ndarray, np.ndarray, float]:
        """Slope and product with their covariance, and the product's df (the smaller of the two)."""
        places = [self.fit.terms.index(self.terms[0]), self.fit.terms.index(self.terms[2])]
        matrix = self.fit.certainty.matrix[np.ix_(places, places)]
        return self.fit.estimates[places], matrix, float(np.min(self.fit.certainty.df[places]))

    def slopes(self, values: Sequence[float] | np.ndarray) -> pd.DataFrame:
        """The predictor's slope at any values of the (centred) moderator."""
        b, v, df = self._parts()
        m = np.asarray(values, float)
        slope = b[0] + m * b[1]
        se = np.sqrt(v[0, 0] + 2 * m * v[0, 1] + m**2 * v[1, 1])
        wide = stats.t.ppf(0.5 + self.level / 2, df) * se
        p_value = 2 * stats.t.sf(np.abs(slope / se), df)
        return pd.DataFrame(
            dict(zip(COLUMNS, [m, slope, se, slope / se, np.full(m.shape, df), p_value, slope - wide, slope + wide]))
        )

    def tidy(self) -> pd.DataFrame:
        """Columns moderator (centred), slope, se, statistic, df, p_value, ci_lower, ci_upper."""
        return self.slopes(self.at)

    def glance(self) -> pd.DataFrame:
        row = self.fit.tidy().set_index("term").loc[self.terms[2]]
        return pd.DataFrame([{"product": self.terms[2], **row.to_dict(), "n": self.fit.numbers["n"]}])

    def johnson_neyman(self) -> pd.DataFrame:
        """Values of the moderator where the slope's interval touches 0, with the share of rows below each.

        Columns bound, share_below, inside_range. No row: the slope is or is not different from 0 everywhere. The
        bounds are not corrected for looking everywhere (Esarey & Sumner, 2018).
        """
        b, v, df = self._parts()
        t2 = stats.t.ppf(0.5 + self.level / 2, df) ** 2
        roots = np.roots([b[1] ** 2 - t2 * v[1, 1], 2 * (b[0] * b[1] - t2 * v[0, 1]), b[0] ** 2 - t2 * v[0, 0]])
        bounds = np.sort(roots[np.abs(roots.imag) < 1e-12].real)
        values = self._moderator_values()
        return pd.DataFrame(
            {
                "bound": bounds,
                "share_below": [float((values < bound).mean()) for bound in bounds],
                "inside_range": (bounds >= values.min()) & (bounds <= values.max()),
            }
        )

    def _moderator_values(self) -> np.ndarray:
        return self.fit.design.regressors[:, self.fit.terms.index(self.terms[1])]

    def lines(self) -> pd.DataFrame:
        """Expected outcome along the predictor at each value of the moderator, the other terms at their means.

        Columns predictor, outcome, moderator, lower, upper; predictor and moderator are centred.
        """
        design, terms = self.fit.design, self.fit.terms
        x = design.regressors[:, terms.index(self.terms[0])]
        low, high = np.quantile(x, [0.025, 0.975])
        grid = np.linspace(low, high, 25)
        wide = stats.t.ppf(0.5 + self.level / 2, self._parts()[2])
        parts = []
        for value in self.at:
            rows = np.tile(design.regressors.mean(axis=0), (grid.size, 1))
            for term, column in zip(self.terms, (grid, np.full(grid.size, value), grid * value)):
                rows[:, terms.index(term)] = column
            middle = rows @ self.fit.estimates
            se = np.sqrt(np.einsum("ia,ab,ib->i", rows, self.fit.certainty.matrix, rows))
            parts.append(
                pd.DataFrame(
                    {"predictor": grid, "outcome": middle, "moderator": value, "lower": middle - wide * se,
                     "upper": middle + wide * se}
                )
            )  # fmt: skip
        return pd.concat(parts, ignore_index=True)

    def notes(self) -> list[str]:
        words = "Predictor and moderator are centred; bands and slopes describe associations, not effects."
        return [*super().notes(), words, *(str(diagnostic) for diagnostic in self.diagnostics)]


def simple_slopes(
    data: Any,
    *,
    outcome: str,
    predictor: str,
    moderator: str,
    controls: Sequence[str] = (),
    at: Sequence[float] | None = None,
    cluster: str | bool | None = None,
    vcov: str | None = None,
    level: float = 0.95,
) -> Moderation:
    """Regress on a product and say what the predictor's slope is at values of the moderator.

    Parameters
    ----------
    data : Responses or DataFrame
    outcome, predictor, moderator, controls : names of scores, items, background questions or columns
    at : values of the centred moderator; None takes −1 SD, 0 and +1 SD
    cluster, vcov, level : as in `regress`

    Raises
    ------
    ModelError : UnknownVariable, NotIdentified

    Examples
    --------
    >>> random = np.random.default_rng(1)
    >>> table = pd.DataFrame(random.normal(size=(500, 2)), columns=["x", "m"])
    >>> table["y"] = table.x * table.m + random.normal(size=500)
    >>> found = simple_slopes(table, outcome="y", predictor="x", moderator="m")
    >>> [round(slope) for slope in found.tidy()["slope"]]
    [-1, 0, 1]
    """
    answers = answers_to(data, [outcome, predictor, moderator, *controls], cluster)
    for name in (outcome, predictor, moderator):
        answers.number(name)
    built, terms = _equation(outcome, predictor, moderator, tuple(controls), answers)
    table = answers.frame
    if answers.clusters is not None and answers.cluster_name:
        codes = pd.Series(answers.clusters, table.index)
        table = table.assign(**{answers.cluster_name: codes.where(codes >= 0)})
    formula = built if isinstance(built, str) else built.formula
    fit = regress(formula, table, cluster=answers.cluster_name or False, vcov=vcov, level=level)
    if not fit.identified:
        raise ModelError("; ".join(str(d) for d in fit.diagnostics), code="NotIdentified")
    names = {frozenset(name.split(":")): name for name in fit.terms}
    ordered = (terms[0], terms[1], names[frozenset(terms)])
    spread = float(fit.design.regressors[:, fit.terms.index(terms[1])].std(ddof=1))
    return Moderation(
        fit=fit,
        outcome=outcome,
        predictor=predictor,
        moderator=moderator,
        terms=ordered,
        at=tuple(at) if at is not None else (-spread, 0.0, spread),
        level=level,
        provenance=getattr(data, "provenance", "yours"),
        survey=getattr(data, "survey", None),
        diagnostics=fit.diagnostics,
    )


def _equation(
    outcome: str, predictor: str, moderator: str, controls: tuple[str, ...], answers: Answers
) -> tuple[Equation | str, tuple[str, str]]:
    if answers.clusters is None:
        terms = (f"center({predictor})", f"center({moderator})")
        return f"{outcome} ~ {' + '.join([*terms, ':'.join(terms), *controls])}", terms
    names = (predictor, moderator)
    whole = tuple(name for name in names if answers.of_clusters.get(name, False))
    split = tuple(name for name in names if name not in whole)
    built = Equation(outcome, split, whole, names, controls)
    return built, (built.term(predictor), built.term(moderator))
