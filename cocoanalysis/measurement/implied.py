"""From the parameter table to model matrices, implied moments and their derivatives.

One `Block` a group (and level) in LISREL's form, with every observed variable that takes
part in a regression or covaries with a factor moved to the structural side:

    Σ = Λ (I − B)⁻¹ Ψ (I − B)⁻ᵀ Λᵀ + Θ        μ = ν + Λ (I − B)⁻¹ α        Π = Λ (I − B)⁻¹ Γ

(Bollen, 1989, ch. 8). The derivative of Σ by any parameter is c(u vᵀ + v uᵀ) with u and v
columns of Z = [I | A | K], A = Λ(I − B)⁻¹, K = ΛC, C = (I − B)⁻¹Ψ(I − B)⁻ᵀ; so gradients,
expected information and the model's second derivatives need no p² × p² matrix. Arrays may
carry leading dimensions: a bootstrap evaluates all its replicates at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from cocoanalysis.measurement.parameters import Names, Parameter, ParameterTable

MATRICES = ("lambda", "theta", "psi", "beta", "nu", "alpha", "gamma", "tau", "delta")


@dataclass
class Implied:
    """Implied moments of one block at given parameters, with what the derivatives need."""

    cov: np.ndarray  # (…, p, p)
    mean: np.ndarray  # (…, p)
    left: np.ndarray  # Z = [I | A | K], (…, p, p + 2m)
    reduced: np.ndarray  # E = (I − B)⁻¹, (…, m, m)
    latent_cov: np.ndarray  # C, (…, m, m)
    latent_mean: np.ndarray  # κ = Eα, (…, m)
    matrices: dict[str, np.ndarray]
    slopes: np.ndarray | None = None  # Π, (…, p, q)


@dataclass
class Block:
    """The layout of one group and level: which parameter stands in which cell."""

    observed: tuple[str, ...]
    factors: tuple[str, ...]  # latent variables, then the observed ones that were moved
    exogenous: tuple[str, ...]  # covariates that are conditioned on
    ordered: np.ndarray  # (p,) bool
    latent: tuple[str, ...]
    shapes: dict[str, tuple[int, ...]]
    offsets: dict[str, int]
    base: np.ndarray
    positions: np.ndarray  # cells of ``base`` that a free parameter fills …
    sources: np.ndarray  # … and the place of that parameter
    elements: list[tuple[str, int, int, int]]  # (matrix, row, column, place) of the free rows
    threshold_of: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=int))
    theta_scaled: bool = False
    n_free: int = 0
    row_cells: dict[int, tuple[str, int, int]] = field(default_factory=dict)  # row of the table → its cell

    @property
    def p(self) -> int:
        return len(self.observed)

    @property
    def m(self) -> int:
        return len(self.factors)

    @cached_property
    def places(self) -> tuple[dict[str, int], dict[str, int]]:
        """Positions of the factors and of the observed variables by name."""
        return {n: i for i, n in enumerate(self.factors)}, {n: i for i, n in enumerate(self.observed)}

    @cached_property
    def has_paths(self) -> bool:
        size = self.m * self.m
        start = self.offsets["beta"]
        inside = (self.positions >= start) & (self.positions < start + size)
        return bool(inside.any() or np.any(self.base[start : start + size] != 0))

    @cached_property
    def plan(self) -> Plan:
        return Plan.of(self, self.elements)

    @cached_property
    def threshold_rows(self) -> tuple[np.ndarray, np.ndarray]:
        """For each threshold or mean among the ordinal moments: its variable, and its threshold's number or -1."""
        variable, number = [], []
        count = 0
        for i in range(self.p):
            own = int(np.sum(self.threshold_of == i)) if self.ordered[i] else 0
            variable += [i] * max(own, 0 if self.ordered[i] else 1)
            number += list(range(count, count + own)) if self.ordered[i] else [-1]
            count += own
        return np.array(variable, dtype=int), np.array(number, dtype=int)

    @cached_property
    def vector_cells(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """For thresholds and scales: which of the plan's cells are theirs, and for which entry each stands."""
        out = {}
        for wanted in ("tau", "delta"):
            found = [(t, i) for t, (name, i, _, _) in enumerate(self.plan.elements) if name == wanted]
            both = np.array(found, dtype=int).reshape(-1, 2)
            out[wanted] = (both[:, 0], both[:, 1])
        return out

    def fill(self, theta: np.ndarray) -> dict[str, np.ndarray]:
        """The model matrices at ``theta`` (…, n_free)."""
        lead = theta.shape[:-1]
        if not lead:
            flat = self.base.copy()
            flat[self.positions] = theta[self.sources]
            return self.empties | {name: flat[cells].reshape(shape) for name, cells, shape in self.views}
        flat = np.empty((*lead, self.base.size))
        flat[...] = self.base
        flat[..., self.positions] = theta[..., self.sources]
        filled = {name: flat[..., cells].reshape(*lead, *shape) for name, cells, shape in self.views}
        return {name: np.zeros((*lead, *empty.shape)) for name, empty in self.empties.items()} | filled

    @cached_property
    def views(self) -> list[tuple[str, slice, tuple[int, ...]]]:
        """Where each matrix lies in the flat vector; those without cells are `empties`."""
        sizes = {name: math.prod(shape) for name, shape in self.shapes.items()}
        return [
            (name, slice(start, start + sizes[name]), self.shapes[name])
            for name, start in self.offsets.items()
            if sizes[name]
        ]

    @cached_property
    def empties(self) -> dict[str, np.ndarray]:
        return {name: np.zeros(shape) for name, shape in self.shapes.items() if not math.prod(shape)}

    @cached_property
    def identity(self) -> np.ndarray:
        return np.eye(self.m)

    @cached_property
    def frame(self) -> np.ndarray:
        """[I | 0 | 0], into which A and K are written."""
        return np.concatenate([np.eye(self.p), np.zeros((self.p, 2 * self.m))], axis=1)

    def implied(self, theta: np.ndarray) -> Implied:
        """Moments at ``theta``, before the scaling of ordered variables."""
        x = self.fill(theta)
        loadings, psi, alpha = x["lambda"], x["psi"], x["alpha"]
        lead = theta.shape[:-1]
        if self.has_paths:
            reduced = np.linalg.inv(np.eye(self.m) - x["beta"])
            a = loadings @ reduced
            c = reduced @ psi @ np.swapaxes(reduced, -1, -2)
            kappa = (reduced @ alpha[..., None])[..., 0]
        else:
            reduced, a, c, kappa = (
                self.identity if not lead else np.broadcast_to(self.identity, psi.shape),
                loadings,
                psi,
                alpha,
            )
        k = loadings @ c
        cov = k @ loadings.swapaxes(-1, -2) + x["theta"]
        mean = x["nu"] + (loadings @ kappa[..., None])[..., 0]
        left = self.frame.copy() if not lead else np.empty((*lead, self.p, self.p + 2 * self.m))
        if lead:
            left[..., : self.p] = np.eye(self.p)
        left[..., self.p : self.p + self.m] = a
        left[..., self.p + self.m :] = k
        slopes = a @ x["gamma"] if self.exogenous else None
        return Implied(cov, mean, left, reduced, c, kappa, x, slopes)


@dataclass
class Plan:
    """For a list of cells: which columns of Z give the derivative of Σ, and which numbers that of μ."""

    u: np.ndarray
    v: np.ndarray
    c: np.ndarray  # 1, ½ on a diagonal, 0 where Σ does not depend on the cell
    w: np.ndarray  # column of Z for the mean
    k: np.ndarray  # index into [0, 1, κ] for the mean
    place: np.ndarray
    select: np.ndarray  # (cells, n_free): adds cells up to parameters
    elements: list[tuple[str, int, int, int]]
    width: int  # columns of Z

    @cached_property
    def pairs(self) -> dict[str, np.ndarray]:
        """Where ZᵀWZ, laid out flat, holds uₛᵀWuₜ, vₛᵀWuₜ and vₛᵀWvₜ of all pairs of cells."""
        u, v = self.u * self.width, self.v * self.width
        return {
            "uu": u[:, None] + self.u, "vu": v[:, None] + self.u, "vv": v[:, None] + self.v,
        }  # fmt: skip

    @cached_property
    def _alone(self) -> bool:
        """Does every cell have its own parameter, and are most parameters elsewhere?"""
        return 2 * len(self.place) <= self.select.shape[1] and len(np.unique(self.place)) == len(self.place)

    def add_pairs(self, total: np.ndarray, inner: np.ndarray) -> None:
        """Add numbers of pairs of cells to those of pairs of parameters, in place."""
        if self._alone:
            total[self.place[:, None], self.place] += inner
        else:
            total += self.select.T @ inner @ self.select

    @cached_property
    def cells(self) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """By matrix: which cells stand in it, and their rows and columns."""
        found: dict[str, list[tuple[int, int, int]]] = {name: [] for name in MATRICES}
        for t, (name, i, j, _) in enumerate(self.elements):
            found[name].append((t, i, j))
        arrays = {name: np.array(cells, dtype=int).reshape(-1, 3) for name, cells in found.items()}
        return {name: (each[:, 0], each[:, 1], each[:, 2]) for name, each in arrays.items()}

    @classmethod
    def of(cls, block: Block, elements: Sequence[tuple[str, int, int, int]]) -> Plan:
        p, m = block.p, block.m
        found = [_derivative(matrix, i, j, p, m) for matrix, i, j, _ in elements]
        u, v, c, w, k = zip(*found) if found else ((), (), (), (), ())
        place = np.array([e[3] for e in elements], dtype=int)
        select = np.zeros((len(elements), block.n_free))
        select[np.arange(len(elements)), place] = 1.0
        as_int = [np.array(x, dtype=int) for x in (u, v, w, k)]
        return cls(
            as_int[0],
            as_int[1],
            np.array(c, dtype=float),
            as_int[2],
            as_int[3],
            place,
            select,
            list(elements),
            p + 2 * m,
        )


def _derivative(matrix: str, i: int, j: int, p: int, m: int) -> tuple[int, int, float, int, int]:
    if matrix == "lambda":
        return i, p + m + j, 1.0, i, 2 + j
    if matrix == "beta":
        return p + i, p + m + j, 1.0, p + i, 2 + j
    if matrix == "psi":
        return p + i, p + j, 0.5 if i == j else 1.0, 0, 0
    if matrix == "theta":
        return i, j, 0.5 if i == j else 1.0, 0, 0
    if matrix == "nu":
        return 0, 0, 0.0, i, 1
    if matrix == "alpha":
        return 0, 0, 0.0, p + i, 1
    return 0, 0, 0.0, 0, 0


@dataclass
class Structure:
    """All blocks of a model over one vector of free parameters."""

    blocks: list[Block]
    n_free: int
    keys: list[tuple[int, int]]  # (group, level)

    def implied(self, theta: np.ndarray) -> list[Implied]:
        return [block.implied(theta) for block in self.blocks]


def structure(table: ParameterTable, ordered: Sequence[str] = ()) -> Structure:
    """Lay out the table's rows in model matrices, one block a group and level."""
    blocks = [_layout(table, key, names, set(ordered)) for key, names in table.names.items()]
    return Structure(blocks, table.n_free, list(table.names))


def _layout(table: ParameterTable, key: tuple[int, int], names: Names, ordered: set[str]) -> Block:
    conditional = table.options.conditional_x
    rows = [(i, r) for i, r in enumerate(table.rows) if (r.group, r.level) == key]
    exogenous = names.exogenous if conditional else ()
    observed = tuple(n for n in names.observed if n not in exogenous)
    factors = (*names.latent, *_moved([r for _, r in rows], names, exogenous))
    p, m, q = len(observed), len(factors), len(exogenous)
    thresholds = [(r.lhs, int(r.rhs[1:])) for _, r in rows if r.op == "|"]
    at = {name: i for i, name in enumerate(observed)}
    thresholds.sort(key=lambda t: (at[t[0]], t[1]))
    shapes = {
        "lambda": (p, m), "theta": (p, p), "psi": (m, m), "beta": (m, m), "nu": (p,), "alpha": (m,), "gamma": (m, q),
        "tau": (len(thresholds),), "delta": (p,),
    }  # fmt: skip
    offsets, total = {}, 0
    for name in MATRICES:
        offsets[name], total = total, total + int(np.prod(shapes[name]))
    base = np.zeros(total)
    base[offsets["delta"] : offsets["delta"] + p] = 1.0
    block = Block(
        observed, factors, exogenous, np.array([n in ordered for n in observed], dtype=bool), names.latent,
        shapes, offsets, base, np.zeros(0, dtype=int), np.zeros(0, dtype=int), [],
        np.array([at[n] for n, _ in thresholds], dtype=int), table.options.parameterization == "theta", table.n_free,
    )  # fmt: skip
    for j, name in enumerate(factors[len(names.latent) :], start=len(names.latent)):
        base[offsets["lambda"] + at[name] * m + j] = 1.0
    _place_rows(block, rows, thresholds)
    return block


def _moved(rows: Sequence[Parameter], names: Names, exogenous: Sequence[str]) -> list[str]:
    """Observed variables that belong on the structural side."""
    latent = set(names.latent)
    structural = {n for r in rows if r.op == "~" for n in (r.lhs, r.rhs)} - set(exogenous) - latent
    pairs = [(r.lhs, r.rhs) for r in rows if r.op == "~~" and r.lhs != r.rhs]
    grew = True
    while grew:
        inside = structural | latent
        new = {b for a, b in pairs if a in inside and b not in inside} | {
            a for a, b in pairs if b in inside and a not in inside
        }
        new -= set(exogenous)
        structural, grew = structural | new, bool(new)
    return [n for n in names.observed if n in structural]


def _place_rows(block: Block, rows: Sequence[tuple[int, Parameter]], thresholds: Sequence[tuple[str, int]]) -> None:
    positions, sources = [], []
    for index, row in rows:
        cell = cell_of(block, row.lhs, row.op, row.rhs, thresholds)
        if cell is None:
            continue
        matrix, i, j = cell
        block.row_cells[index] = cell
        for flat in _flat(block, matrix, i, j):
            if row.free >= 0:
                positions.append(flat)
                sources.append(row.free)
            elif not row.exogenous or not np.isnan(row.value):
                block.base[flat] = row.value
        if row.free >= 0:
            block.elements.append((matrix, i, j, row.free))
    block.positions, block.sources = np.array(positions, dtype=int), np.array(sources, dtype=int)


def cell_of(
    block: Block, lhs: str, op: str, rhs: str, thresholds: Sequence[tuple[str, int]] = ()
) -> tuple[str, int, int] | None:
    """Matrix, row and column of a parameter; None when the block does not hold it."""
    f, o = block.places
    if op == "=~":
        if lhs not in f:
            return None
        return ("beta", f[rhs], f[lhs]) if rhs in f else ("lambda", o[rhs], f[lhs]) if rhs in o else None
    if op == "~":
        if rhs in block.exogenous:
            return ("gamma", f[lhs], block.exogenous.index(rhs)) if lhs in f else None
        return ("beta", f[lhs], f[rhs]) if lhs in f and rhs in f else None
    if op == "~~":
        if lhs in f and rhs in f:
            return "psi", f[lhs], f[rhs]
        return ("theta", o[lhs], o[rhs]) if lhs in o and rhs in o else None
    if op == "~1":
        return ("alpha", f[lhs], 0) if lhs in f else ("nu", o[lhs], 0) if lhs in o else None
    if op == "|":
        return "tau", list(thresholds).index((lhs, int(rhs[1:]))), 0
    return ("delta", o[lhs], 0) if lhs in o else None


def _flat(block: Block, matrix: str, i: int, j: int) -> list[int]:
    start, shape = block.offsets[matrix], block.shapes[matrix]
    if len(shape) == 1:
        return [start + i]
    cells = [start + i * shape[1] + j]
    if matrix in ("psi", "theta") and i != j:
        cells.append(start + j * shape[1] + i)
    return cells


# Derivatives of one block's moments -------------------------------------------------------------


def mean_scales(implied: Implied) -> np.ndarray:
    """[0, 1, κ], the numbers that the derivatives of μ are multiples of."""
    lead = implied.latent_mean.shape[:-1]
    return np.concatenate([np.zeros((*lead, 1)), np.ones((*lead, 1)), implied.latent_mean], axis=-1)


def cell_columns(plan: Plan, implied: Implied) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """U, V (…, p, cells) and dμ (…, p, cells): dΣ = c(u vᵀ + v uᵀ)."""
    return implied.left[..., plan.u], implied.left[..., plan.v], mean_columns(plan, implied)


def mean_columns(plan: Plan, implied: Implied) -> np.ndarray:
    """dμ (…, p, cells)."""
    return implied.left[..., plan.w] * mean_scales(implied)[..., None, plan.k]


def between_columns(implied: Implied, weight: np.ndarray) -> np.ndarray:
    """ZᵀWZ: the products of all columns of Z, from which `Plan.pairs` picks those of the cells."""
    return implied.left.swapaxes(-1, -2) @ (weight @ implied.left)


def pull_back(plan: Plan, implied: Implied, by_cov: np.ndarray, by_mean: np.ndarray | None) -> np.ndarray:
    """Gradient by the free parameters, given that by Σ (symmetric, dF = tr(G dΣ)) and by μ."""
    cells = 2 * plan.c * between_columns(implied, by_cov)[..., plan.u, plan.v]
    if by_mean is not None:
        cells = cells + np.sum(mean_columns(plan, implied) * by_mean[..., None], axis=-2)
    return cells @ plan.select


def moment_jacobian(block: Block, implied: Implied, meanstructure: bool, plan: Plan | None = None) -> np.ndarray:
    """Δ: derivatives of (μ, vech Σ) by the free parameters, (k, n_free); vech column by column."""
    plan = plan or block.plan
    u, v, dmean = cell_columns(plan, implied)
    i, j = lower(block.p)
    dcov = plan.c * (u[..., i, :] * v[..., j, :] + v[..., i, :] * u[..., j, :])
    stacked = np.concatenate([dmean, dcov], axis=-2) if meanstructure else dcov
    return stacked @ plan.select


def curvature(block: Block, implied: Implied, by_cov: np.ndarray, by_mean: np.ndarray | None) -> np.ndarray:
    """Σ over moments of (gradient by the moment) × (its second derivative): what the Hessian adds to Δ'HΔ.

    A cell t changes Z by u yᵀ + v xᵀ, with its own columns u and v of Z and with y and x from E and C.
    """
    plan, (y, x) = block.plan, _bends(block.plan, implied)
    inner = between_columns(implied, by_cov)
    uu, vu, vv = (inner.take(plan.pairs[name]) for name in ("uu", "vu", "vv"))
    total = vu * y[plan.u] + vv * x[plan.u] + uu * y[plan.v] + vu.T * x[plan.v]
    total *= 2 * plan.c[:, None]
    if by_mean is not None:
        scales, reach = mean_scales(implied), by_mean @ implied.left
        total += (reach[plan.u] * y[plan.w] + reach[plan.v] * x[plan.w]) * scales[plan.k, None]
        total += reach[plan.w, None] * _scale_slopes(block, implied)[plan.k]
    return plan.select.T @ total @ plan.select


def _bends(plan: Plan, implied: Implied) -> tuple[np.ndarray, np.ndarray]:
    """y and x of every cell, (p + 2m, cells) each: zero but for the rows of A and K."""
    p, m = implied.cov.shape[-1], implied.latent_cov.shape[-1]
    y, x = np.zeros((2, p + 2 * m, len(plan.elements)))
    for name in ("lambda", "beta"):
        t, i, j = plan.cells[name]
        y[p : p + m, t], y[p + m :, t] = implied.reduced[j].T, implied.latent_cov[j].T
    x[p + m :, t] = implied.reduced[:, i]  # of the paths
    t, i, j = plan.cells["psi"]
    y[p + m :, t], x[p + m :, t] = implied.reduced[:, j], implied.reduced[:, i] * (i != j)
    return y, x


def _scale_slopes(block: Block, implied: Implied) -> np.ndarray:
    """Derivatives of [0, 1, κ] by every cell."""
    slopes = np.zeros((2 + block.m, len(block.plan.elements)))
    t, i, j = block.plan.cells["beta"]
    slopes[2:, t] = implied.reduced[:, i] * implied.latent_mean[j]
    t, i, _ = block.plan.cells["alpha"]
    slopes[2:, t] = implied.reduced[:, i]
    return slopes


# vech: the lower triangle, column by column ------------------------------------------------------

_LOWER: dict[tuple[int, bool], tuple[np.ndarray, np.ndarray]] = {}


def lower(p: int, diagonal: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Row and column indices of the lower triangle, column by column."""
    if (p, diagonal) not in _LOWER:
        j, i = np.triu_indices(p, 0 if diagonal else 1)
        _LOWER[p, diagonal] = (i, j)
    return _LOWER[p, diagonal]


def vech(matrix: np.ndarray, diagonal: bool = True) -> np.ndarray:
    i, j = lower(matrix.shape[-1], diagonal)
    return matrix[..., i, j]
