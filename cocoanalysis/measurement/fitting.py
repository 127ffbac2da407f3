"""Minimise a discrepancy over the free parameters, and say whether the result can be used.

`minimise` is scoring with the expected information as metric (Gauss–Newton for the least
squares family), a line search on the discrepancy, and the Karush–Kuhn–Tucker step for
equality and active inequality constraints. It knows no estimator by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from scipy import linalg, optimize
from scipy.linalg import lapack

from cocoanalysis.measurement.parameters import ParameterTable
from cocoanalysis.measurement.syntax import Constraint

DECREMENT = 1e-15  # squared length of the last step in units of the information, per row
NEAR = 1e-2  # below it, secant updates replace new information matrices
ITERATIONS = 120


class Discrepancy(Protocol):
    """Half the fit function (minus the log-likelihood per row, up to a constant) of one model on one data set."""

    n_free: int

    def value(self, theta: np.ndarray) -> float: ...

    def gradient(self, theta: np.ndarray) -> tuple[float, np.ndarray]: ...

    def scoring(self, theta: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]: ...


@dataclass(frozen=True)
class Solution:
    """Where the search ended."""

    theta: np.ndarray
    value: float
    converged: bool
    iterations: int
    reason: str = ""
    active: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))  # Jacobian of the constraints in force
    equalities: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))  # of the equalities alone
    starts: tuple[float, ...] = ()  # the discrepancies that other starts reached


class Constraints:
    """Equalities h(θ) = 0 and inequalities g(θ) ≥ 0 of a table, with their Jacobians."""

    def __init__(self, table: ParameterTable):
        self.table = table
        self.equal: Sequence[Constraint] = table.equalities
        self.unequal: Sequence[Constraint] = table.inequalities

    def __bool__(self) -> bool:
        return bool(self.equal or self.unequal)

    def evaluate(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """h, its Jacobian, g, its Jacobian."""
        scope = self.table.scope(theta)
        h, hj = self._stack(self.equal, scope, theta.size)
        g, gj = self._stack(self.unequal, scope, theta.size)
        return h, hj, g, gj

    @staticmethod
    def _stack(constraints: Sequence[Constraint], scope, size: int) -> tuple[np.ndarray, np.ndarray]:
        values, slopes = np.zeros(len(constraints)), np.zeros((len(constraints), size))
        for k, c in enumerate(constraints):
            left, right = c.left.dual(scope), c.right.dual(scope)
            sign = -1.0 if c.op == "<" else 1.0
            values[k], slopes[k] = sign * (left.value - right.value), sign * (left.slope - right.slope)
        return values, slopes


def minimise(problem: Discrepancy, start: np.ndarray, constraints: Constraints | None = None) -> Solution:
    """Scoring from ``start``; a quasi-Newton search takes over when scoring stalls."""
    if problem.n_free == 0:
        return Solution(start, problem.value(start), True, 0)
    if constraints:
        return _constrained(problem, start, constraints)
    solution = _scoring(problem, start)
    if solution.converged or not np.isfinite(solution.value):
        return solution
    rescued = _quasi_newton(problem, solution.theta)
    polished = _scoring(problem, rescued)
    return polished if polished.value <= solution.value + 1e-12 else solution


def _scoring(problem: Discrepancy, start: np.ndarray) -> Solution:
    """Scoring while far away; near the end the last information matrix is improved by BFGS updates."""
    theta = np.array(start, dtype=float)
    value, gradient, information = problem.scoring(theta)
    for iteration in range(1, ITERATIONS + 1):
        if not np.isfinite(value):
            return Solution(theta, value, False, iteration, "The implied covariance matrix is not positive definite.")
        step = -_solve(information, gradient)
        decrement = -float(gradient @ step)
        if decrement <= DECREMENT:
            return Solution(theta + step if decrement >= 0 else theta, value, True, iteration)
        if decrement < NEAR:
            near = _secant(problem, theta, value, gradient, information, iteration)
            if near is not None:
                return near
        whole = problem.scoring(theta + step)
        if np.isfinite(whole[0]) and whole[0] <= value - 1e-4 * decrement:
            theta, (value, gradient, information) = theta + step, whole
            continue
        length = _line_search(problem, theta, step, value, decrement)
        if length == 0.0:
            flat = decrement < 1e-11
            return Solution(theta, value, flat, iteration, "" if flat else "No step lowers the discrepancy any more.")
        theta = theta + length * step
        value, gradient, information = problem.scoring(theta)
    return Solution(theta, value, False, ITERATIONS, f"{ITERATIONS} iterations were not enough.")


def _secant(
    problem: Discrepancy, theta: np.ndarray, value: float, gradient: np.ndarray, information: np.ndarray, iteration: int
) -> Solution | None:
    """BFGS in the metric of the information matrix; None when it does not arrive (scoring goes on)."""
    try:
        inverse = np.linalg.inv(information)
    except np.linalg.LinAlgError:
        return None
    for more in range(1, 60):
        if not np.isfinite(value):
            return None
        step = -(inverse @ gradient)
        decrement = -float(gradient @ step)
        if decrement <= DECREMENT:
            return Solution(theta + step, value, True, iteration + more) if decrement >= 0 else None
        new_value, new_gradient = problem.gradient(theta + step)
        if not np.isfinite(new_value) or new_value > value + 1e-13 * max(1.0, abs(value)):
            return None
        change = new_gradient - gradient
        curve = float(step @ change)
        if curve > 1e-6 * decrement:
            hy = inverse @ change
            half = (0.5 * (curve + change @ hy) / curve**2) * step - hy / curve
            crossed = half[:, None] * step
            inverse = inverse + crossed + crossed.T
        theta, value, gradient = theta + step, new_value, new_gradient
    return None


def _solve(information: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """information⁻¹ gradient; a ridge stands in where the matrix is singular."""
    _, solved, failed = lapack.dposv(information, gradient)
    if not failed:
        return solved
    values, vectors = np.linalg.eigh((information + information.T) / 2)
    floor = max(values[-1], 1e-12) * 1e-9
    return vectors @ ((vectors.T @ gradient) / np.maximum(np.abs(values), floor))


def _line_search(problem: Discrepancy, theta: np.ndarray, step: np.ndarray, value: float, decrement: float) -> float:
    """A shorter step that lowers the discrepancy enough, as a fraction; 0 when there is none."""
    length = 1.0
    for _ in range(40):
        new = problem.value(theta + length * step)
        if np.isfinite(new) and new <= value - 1e-4 * length * decrement:
            return length
        if np.isfinite(new) and decrement * length < 1e-11 and new <= value + 1e-14 * max(1.0, abs(value)):
            return length
        length *= 0.5
    return 0.0


def _quasi_newton(problem: Discrepancy, start: np.ndarray) -> np.ndarray:
    def finite(theta):
        value, gradient = problem.gradient(theta)
        return (value, gradient) if np.isfinite(value) else (1e10, np.zeros_like(theta))

    found = optimize.minimize(finite, start, jac=True, method="BFGS", options={"maxiter": 300, "gtol": 1e-8})
    return found.x


def _constrained(problem: Discrepancy, start: np.ndarray, constraints: Constraints) -> Solution:
    """Sequential quadratic programming with the expected information as Hessian and an ℓ₁ merit function."""
    theta, penalty, best = np.array(start, dtype=float), 1.0, ""
    for iteration in range(1, ITERATIONS + 1):
        value, gradient, information = problem.scoring(theta)
        if not np.isfinite(value):
            return Solution(theta, value, False, iteration, "The implied covariance matrix is not positive definite.")
        h, hj, g, gj = constraints.evaluate(theta)
        step, multipliers, working = _kkt(information, gradient, h, hj, g, gj)
        violation = np.abs(h).sum() + np.maximum(-g, 0).sum()
        size = float(step @ information @ step)
        if size <= DECREMENT and violation <= 1e-9:
            jacobian = np.concatenate([hj, gj[working]])
            return Solution(theta, value, True, iteration, "", jacobian, hj)
        penalty = max(penalty, 2 * np.abs(multipliers).max(initial=0.0))
        length = _merit_search(problem, constraints, theta, step, value, violation, penalty, gradient)
        if length == 0.0:
            flat = size < 1e-10 and violation <= 1e-8
            jacobian = np.concatenate([hj, gj[working]])
            best = "" if flat else "No step lowers the discrepancy under the constraints any more."
            return Solution(theta, value, flat, iteration, best, jacobian, hj)
        theta = theta + length * step
    return Solution(theta, value, False, ITERATIONS, f"{ITERATIONS} iterations were not enough.", hj, hj)


def _kkt(information, gradient, h, hj, g, gj):
    """The quadratic programme's step, its multipliers and the inequalities in force, by active sets."""
    working = [int(k) for k in np.flatnonzero(g <= 1e-10)]
    step, multipliers = _kkt_step(information, gradient, np.concatenate([h, g[working]]), np.vstack([hj, gj[working]]))
    for _ in range(10 * (len(g) + 1)):
        forces = multipliers[len(h) :]
        if len(forces) and forces.max(initial=0.0) > 1e-10:
            working.pop(int(np.argmax(forces)))
        else:
            outside = [k for k in range(len(g)) if k not in working and g[k] + gj[k] @ step < -1e-10]
            if not outside:
                break
            working.append(min(outside, key=lambda k: g[k] + gj[k] @ step))
        step, multipliers = _kkt_step(
            information, gradient, np.concatenate([h, g[working]]), np.vstack([hj, gj[working]])
        )
    return step, multipliers, working


def _kkt_step(information, gradient, values, jacobian):
    size, k = len(gradient), len(values)
    system = np.zeros((size + k, size + k))
    system[:size, :size] = information + 1e-12 * np.trace(information) / size * np.eye(size)
    system[:size, size:], system[size:, :size] = jacobian.T, jacobian
    solved, *_ = np.linalg.lstsq(system, -np.concatenate([gradient, values]), rcond=1e-14)
    return solved[:size], solved[size:]


def _merit_search(problem, constraints, theta, step, value, violation, penalty, gradient) -> float:
    slope = float(gradient @ step) - penalty * violation
    merit, length = value + penalty * violation, 1.0
    for _ in range(40):
        new_theta = theta + length * step
        new = problem.value(new_theta)
        if np.isfinite(new):
            h, _, g, _ = constraints.evaluate(new_theta)
            new += penalty * (np.abs(h).sum() + np.maximum(-g, 0).sum())
            if new <= merit + 1e-4 * length * min(slope, 0.0) + 1e-15 * max(1.0, abs(merit)):
                return length
        length *= 0.5
    return 0.0


def null_space(jacobian: np.ndarray, size: int) -> np.ndarray:
    """Directions that the constraints leave free, (size, free directions)."""
    if jacobian.size == 0:
        return np.eye(size)
    return linalg.null_space(jacobian, rcond=1e-10)


def plainly_positive(matrix: np.ndarray, margin: float = 1e-10) -> bool:
    """A Cholesky factor of M − εI settles the usual case at a tenth of the cost of eigenvalues."""
    shifted = matrix.copy()
    shifted.flat[:: len(matrix) + 1] -= margin * matrix.trace()
    return len(matrix) == 0 or lapack.dpotrf(shifted, lower=1, clean=0)[1] == 0


def rank_deficit(jacobian: np.ndarray) -> tuple[int, np.ndarray]:
    """How many directions of the parameters no moment sees, and those directions (k, size).

    Columns are scaled to unit length first, so that units do not decide (Bekker, Merckens & Wansbeek, 1994).
    """
    if jacobian.shape[1] == 0:
        return 0, np.zeros((0, 0))
    length = np.linalg.norm(jacobian, axis=0)
    scale = np.where(length > 0, length, 1.0)
    scaled = jacobian / scale
    if plainly_positive(scaled.T @ scaled):
        return 0, np.zeros((0, jacobian.shape[1]))
    _, singular, right = np.linalg.svd(scaled, full_matrices=True)
    full = np.zeros(jacobian.shape[1])
    full[: len(singular)] = singular
    blind = full < 1e-6 * max(full.max(initial=0.0), 1e-300)
    return int(blind.sum()), right[blind] / scale
