"""Identified? Converged? Admissible? Three facts about a fit, each with its reason.

A fault of the model is no exception: it is a `Diagnostic` that travels with the fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from cocoanalysis.errors import Diagnostic, listed
from cocoanalysis.measurement.fitting import Solution, plainly_positive, rank_deficit
from cocoanalysis.measurement.implied import Block
from cocoanalysis.measurement.inference import Problem, degrees_of_freedom, moment_rank, plain_test
from cocoanalysis.measurement.ordinal import completed_variances


@dataclass
class Facts:
    identified: bool = True
    admissible: bool = True
    diagnostics: list[Diagnostic] = field(default_factory=list)


def diagnose(problem: Problem, solution: Solution) -> Facts:
    """All three facts, with what to do."""
    facts = Facts()
    if not solution.converged:
        tried = f" {len(solution.starts)} starts were tried." if solution.starts else ""
        facts.diagnostics.append(Diagnostic(
            "NotConverged",
            f"The search stopped after {solution.iterations} iterations without reaching a minimum: "
            f"{solution.reason or 'no reason known.'}{tried} Check the scale of the variables and whether the model is "
            "identified; give starting values with start().",
        ))  # fmt: skip
    facts.diagnostics += _spread(solution)
    if not np.all(np.isfinite(solution.theta)) or not np.isfinite(solution.value):
        facts.identified = facts.admissible = False
        return facts
    _identification(problem, solution, facts)
    _admissibility(problem, solution, facts)
    _saturation(problem, solution, facts)
    _above_unrestricted(problem, solution, facts)
    return facts


def _spread(solution: Solution) -> list[Diagnostic]:
    """Where the starts of a search that arrived have ended, when there were several (case 65)."""
    ends = [value for value in solution.starts if np.isfinite(value)]
    if not solution.converged or len(ends) < 2:
        return []
    if max(ends) - min(ends) <= 1e-6:
        return [Diagnostic("StartsAgree", f"{len(solution.starts)} starts ended at the same minimum.", "note")]
    reason = (
        f"{len(solution.starts)} starts ended at different points (discrepancies from {min(ends):.6g} to "
        f"{max(ends):.6g}); the lowest minimum is shown. Ask for more starts (starts=…) before relying on it."
    )
    return [Diagnostic("SeveralMinima", reason, "warning")]


def undefined(problem: Problem, theta: np.ndarray) -> list[Diagnostic]:
    """Defined parameters that have no value, or no slope, at the estimates."""
    if not problem.table.definitions:
        return []
    scope = problem.table.scope(theta)
    found = []
    for c in problem.table.definitions:
        value, slope = float(scope[c.lhs].value), np.asarray(scope[c.lhs].slope, dtype=float)
        if np.isfinite(value) and np.all(np.isfinite(slope)) and (value != 0.0 or slope.any() or not c.right.names):
            continue
        what = "has no finite value"
        if np.isfinite(value):
            what = "cannot be told from 0" if np.all(np.isfinite(slope)) else "has no standard error"
        found.append(Diagnostic(
            "UndefinedParameter",
            f"The defined parameter '{c.lhs} := {c.rhs}' (model syntax, line {c.line}) {what} at the estimates. Check "
            "the formula: a division by zero, a root or logarithm of a negative number, a power beyond any number.",
            "warning",
        ))  # fmt: skip
    return found


def _identification(problem: Problem, solution: Solution, facts: Facts) -> None:
    """Counting rule and rank of the moments' Jacobian, with the constraints below it (Wald, 1950)."""
    if problem.table.n_free == 0:
        return
    df = degrees_of_freedom(problem, solution)
    ties = solution.active.reshape(-1, problem.table.n_free)
    if len(ties):
        jacobian = np.vstack([*problem.discrepancy.jacobians(solution.theta), ties])
        missing, directions = rank_deficit(jacobian)
    else:
        missing, directions = moment_rank(problem, solution.theta)
    if df >= 0 and missing == 0:
        return
    facts.identified = False
    names = _involved(problem, directions)
    block = _blocks(problem, directions)
    counting = f" It has {-df} parameters more than moments." if df < 0 else ""
    facts.diagnostics.append(Diagnostic(
        "NotIdentified",
        f"The data cannot tell these parameters apart: {names}{block}.{counting} Fix one of them, add indicators, or "
        "remove paths; estimates and tests of this fit mean nothing.",
    ))  # fmt: skip


def _involved(problem: Problem, directions: np.ndarray) -> str:
    if not len(directions):
        return "the model as a whole"
    size = np.max(np.abs(directions), axis=0)
    first = problem.table.free_rows
    places = [k for k in np.argsort(-size) if size[k] > 1e-4 * size.max()]
    return listed([str(problem.table.rows[first[k]]) for k in sorted(places)], 10)


def _blocks(problem: Problem, directions: np.ndarray) -> str:
    """Factors whose loadings or variances take part."""
    if not len(directions):
        return ""
    size, first = np.max(np.abs(directions), axis=0), problem.table.free_rows
    rows = [problem.table.rows[first[k]] for k in range(len(size)) if size[k] > 1e-4 * size.max()]
    latent = {n for block in problem.structure.blocks for n in block.latent}
    factors = dict.fromkeys(n for r in rows for n in (r.lhs, r.rhs) if n in latent)
    return f" (factor {listed(factors)})" if factors else ""


def _admissibility(problem: Problem, solution: Solution, facts: Facts) -> None:
    reasons: list[str] = []
    for k, block in enumerate(problem.structure.blocks):
        where = problem.table.group_label(problem.structure.keys[k][0])
        reasons += [r + (f" in group '{where}'" if where else "") for r in _faults(problem, block, solution.theta)]
    if reasons:
        facts.admissible = False
        facts.diagnostics.append(Diagnostic(
            "Inadmissible",
            "; ".join(reasons) + ". No population has such values: shown for inspection, not for a verdict. Look for "
            "an item that does not belong, two factors that are one, or a sample that is too small.",
        ))  # fmt: skip


def _faults(problem: Problem, block: Block, theta: np.ndarray) -> list[str]:
    implied = block.implied(theta)
    found = []
    residual = np.diagonal(implied.matrices["theta"]).copy()
    if block.ordered.any() and not block.theta_scaled:
        left = completed_variances(block, implied)
        moved = np.array([n in block.factors for n in block.observed])
        residual = np.where(block.ordered & ~moved, left, residual)
    found += _negative(block.observed, residual, "residual variance")
    psi = implied.matrices["psi"]
    found += _negative(block.factors, np.diagonal(psi), "variance")
    if not found and block.m:
        found += _not_definite(block, implied.latent_cov[: len(block.latent), : len(block.latent)])
    return found


def _negative(names: Sequence[str], values: np.ndarray, what: str) -> list[str]:
    return [f"the {what} of {n} is negative ({v:.3g})" for n, v in zip(names, values) if v < -1e-8]


def _not_definite(block: Block, cov: np.ndarray) -> list[str]:
    if not len(cov):
        return []
    sd = np.sqrt(np.maximum(np.diagonal(cov), 0))
    keep = np.flatnonzero(sd > 1e-8)
    correlation = cov[np.ix_(keep, keep)] / np.outer(sd[keep], sd[keep])
    if plainly_positive(correlation):
        return []
    names = [block.latent[k] for k in keep]
    i, j = np.tril_indices(len(names), -1)
    above = [
        f"the correlation of {names[b]} and {names[a]} is {correlation[a, b]:.3f}"
        for a, b in zip(i, j)
        if abs(correlation[a, b]) > 1 + 1e-8
    ]
    if above:
        return above
    if len(names) and np.linalg.eigvalsh(correlation)[0] < -1e-8:
        return [f"the covariance matrix of {listed(names)} is not positive definite"]
    return []


def _saturation(problem: Problem, solution: Solution, facts: Facts) -> None:
    """Why some indices are missing (cases 66 and 67)."""
    if facts.identified and solution.converged and degrees_of_freedom(problem, solution) == 0:
        facts.diagnostics.append(Diagnostic(
            "Saturated", "The model has as many parameters as moments and fits any data: χ², CFI and TLI test nothing.",
            "note"))  # fmt: skip


def _above_unrestricted(problem: Problem, solution: Solution, facts: Facts) -> None:
    """A two-level model may leave the covariance matrices that a population can have, and then has no χ²."""
    if not np.isnan(plain_test(problem, solution).chi2):
        return
    gain = -problem.total * solution.value
    facts.diagnostics.append(Diagnostic(
        "NoTest",
        f"The log-likelihood lies {gain:.2f} above that of the unrestricted model, because the estimates imply a "
        "covariance matrix between clusters that no population has. χ², CFI, TLI and RMSEA are left empty: this is not "
        "a good fit (lavaan reports a χ² of 0).",
        "warning",
    ))  # fmt: skip
