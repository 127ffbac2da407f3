"""What an estimate says about any hypothesised value: one-sided p values and intervals.

A verdict needs four answers of an estimate (is it above a value, below it, different from it,
and where are its bounds), whatever theory gives them: Student's t for a coefficient, the wild
cluster bootstrap where clusters are few, simulated draws for a product of coefficients.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from cocoanalysis.propositions.vcov import WildTest


@dataclass(frozen=True)
class Student:
    """An estimate whose error is estimated on ``df`` degrees of freedom (infinite: normal)."""

    estimate: float
    se: float
    df: float

    def above(self, value: float) -> float:
        """p of the hypothesis that the truth is at most ``value``, against above."""
        return float(special.stdtr(self.df, -(self.estimate - value) / self.se))

    def below(self, value: float) -> float:
        """p of the hypothesis that the truth is at least ``value``, against below."""
        return float(special.stdtr(self.df, (self.estimate - value) / self.se))

    def interval(self, level: float) -> tuple[float, float]:
        wide = float(special.stdtrit(self.df, 0.5 + level / 2)) * self.se
        return self.estimate - wide, self.estimate + wide

    def times(self, factor: float) -> Student:
        """The same in other units (``factor`` positive)."""
        return Student(self.estimate * factor, self.se * factor, self.df)


@dataclass(frozen=True)
class Wild:
    """A coefficient with its wild cluster bootstrap, in units of ``scale`` (positive)."""

    test: WildTest
    scale: float = 1.0

    @property
    def estimate(self) -> float:
        return self.test.estimate * self.scale

    @property
    def se(self) -> float:
        return self.test.se * self.scale

    @property
    def df(self) -> float:
        return self.test.groups - 1.0

    def above(self, value: float) -> float:
        return self.test.above(value / self.scale)

    def below(self, value: float) -> float:
        return self.test.below(value / self.scale)

    def interval(self, level: float) -> tuple[float, float]:
        low, high = self.test.interval(level)
        return low * self.scale, high * self.scale

    def times(self, factor: float) -> Wild:
        return Wild(self.test, self.scale * factor)


@dataclass(frozen=True)
class Simulated:
    """An estimate with simulated draws from its sampling distribution (sorted)."""

    estimate: float
    draws: np.ndarray

    @property
    def se(self) -> float:
        return float(self.draws.std(ddof=1))

    @property
    def df(self) -> float:
        return np.nan

    def above(self, value: float) -> float:
        return (1 + float(np.searchsorted(self.draws, value, side="right"))) / (1 + self.draws.size)

    def below(self, value: float) -> float:
        count = self.draws.size - np.searchsorted(self.draws, value, side="left")
        return (1 + float(count)) / (1 + self.draws.size)

    def interval(self, level: float) -> tuple[float, float]:
        low, high = np.quantile(self.draws, [0.5 - level / 2, 0.5 + level / 2])
        return float(low), float(high)


@dataclass(frozen=True)
class Permuted:
    """An effect size that is never negative, with a permutation p value against zero and no interval."""

    estimate: float
    p_value: float

    se: float = np.nan
    df: float = np.nan

    def above(self, value: float) -> float:
        return self.p_value if value == 0 else np.nan

    def below(self, value: float) -> float:
        return 1.0 if value == 0 else np.nan

    def interval(self, level: float) -> tuple[float, float]:
        return np.nan, np.nan


Evidence = Student | Wild | Simulated | Permuted


def two_sided(evidence: Evidence, value: float = 0.0) -> float:
    """p of the hypothesis that the truth is ``value``: twice the smaller one-sided p; a bootstrap's is that of |t|, a
    permutation's one-sided."""
    if isinstance(evidence, Wild):
        return evidence.test.p_value(value / evidence.scale)
    if isinstance(evidence, Permuted):
        return evidence.above(value)
    return min(1.0, 2 * min(evidence.above(value), evidence.below(value)))
