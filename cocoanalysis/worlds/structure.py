"""Latent variables of one level: steps and paths → numbers with variance 1 and the planted paths.

Each step's members are what the paths bring from earlier ones, plus a remainder whose size makes
the variance 1 and whose correlations are the step's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cocoanalysis.errors import ModelError, listed, suggestion
from cocoanalysis.worlds.worldfile import LevelEntry, StepEntry

Array = np.ndarray


@dataclass(frozen=True)
class Product:
    """A product of two earlier latent variables, centred by its expectation."""

    first: int
    second: int
    mean: float
    sizes: Array  # one for each member of the step


@dataclass(frozen=True)
class Step:
    """Members of one step: their paths from earlier ones, products, and the factor of the remainder."""

    members: Array
    paths: Array
    products: tuple[Product, ...]
    factor: Array


@dataclass(frozen=True)
class Structure:
    """All steps of a level, and the correlations of the latent variables that they imply."""

    names: tuple[str, ...]
    steps: tuple[Step, ...]
    correlations: Array

    def draw(self, z: Array) -> Array:
        """Latent variables from independent standard normal numbers (rows × latent variables)."""
        eta = np.zeros_like(z)
        for step in self.steps:
            members = z[:, step.members] @ step.factor.T
            if step.paths.any():
                members += eta @ step.paths.T
            for product in step.products:
                members += np.outer(eta[:, product.first] * eta[:, product.second] - product.mean, product.sizes)
            eta[:, step.members] = members
        return eta


def structure(level: LevelEntry, names: Sequence[str], where: str) -> Structure:
    """Compile the steps and paths of one level.

    Raises
    ------
    ModelError : UnknownLatent, PathOrder, NotACorrelation, TooMuchExplained
    """
    index = {name: i for i, name in enumerate(names)}
    sigma = np.zeros((len(names), len(names)))
    known: list[str] = []
    steps = []
    for entry in level.steps:
        step = _step(entry, level.paths, index, known, sigma, where)
        steps.append(step)
        known += entry.latents
    for outcome in level.paths:
        _known(outcome, known, where)
    return Structure(tuple(names), tuple(steps), sigma)


def _step(
    entry: StepEntry,
    paths: Mapping[str, Mapping[str, float]],
    index: Mapping[str, int],
    known: list[str],
    sigma: Array,
    where: str,
) -> Step:
    """One step; ``sigma`` gains the rows and columns of its members."""
    members = np.array([index[_known(name, index, where)] for name in entry.latents])
    linear = np.zeros((len(members), len(index)))
    sizes: dict[tuple[int, int], Array] = {}
    for row, name in enumerate(entry.latents):
        for predictor, size in paths.get(name, {}).items():
            parts = [part.strip() for part in predictor.split("*")]
            for part in parts:
                _earlier(part, name, index, known, where)
            if len(parts) == 1:
                linear[row, index[parts[0]]] += size
            else:
                sizes.setdefault((index[parts[0]], index[parts[1]]), np.zeros(len(members)))[row] += size
    explained = linear @ sigma @ linear.T + _product_covariance(sizes, sigma, len(members))
    left = 1 - np.diag(explained)
    if (left <= 0).any():
        worst = entry.latents[int(np.argmin(left))]
        raise ModelError(
            f"In '{where}' the paths to '{worst}' explain {1 - left.min():.2f} of its variance; "
            "a standardised variable has 1. Make the paths smaller.",
            code="TooMuchExplained",
        )
    remainder = _correlations(entry, where) * np.sqrt(np.outer(left, left))
    sigma[members, :] = linear @ sigma
    sigma[:, members] = sigma[members, :].T
    sigma[np.ix_(members, members)] = explained + remainder
    products = tuple(Product(a, b, sigma[a, b], values) for (a, b), values in sizes.items())
    return Step(members, linear, products, np.linalg.cholesky(remainder))


def _product_covariance(sizes: Mapping[tuple[int, int], Array], sigma: Array, k: int) -> Array:
    """What products add to the covariance; of normal variables (ab, cd) covary by ac·bd + ad·bc."""
    total = np.zeros((k, k))
    for (a, b), left in sizes.items():
        for (c, d), right in sizes.items():
            total += (sigma[a, c] * sigma[b, d] + sigma[a, d] * sigma[b, c]) * np.outer(left, right)
    return total


def _correlations(entry: StepEntry, where: str) -> Array:
    k = len(entry.latents)
    matrix = np.full((k, k), float(entry.correlation))
    np.fill_diagonal(matrix, 1)
    place = {name: i for i, name in enumerate(entry.latents)}
    for pair in entry.pairs:
        if len(pair) != 3 or isinstance(pair[2], str):
            raise ModelError(
                f"In '{where}' a pair is two names and a correlation, as [softown, softbeyond, 0.6].",
                code="NotACorrelation",
            )
        i, j = (place[_known(str(name), place, where)] for name in pair[:2])
        matrix[i, j] = matrix[j, i] = pair[2]
    if np.linalg.eigvalsh(matrix)[0] < 1e-9:
        raise ModelError(
            f"In '{where}' the correlations of {listed(entry.latents)} contradict one another "
            "(the matrix is not positive definite); move them closer together.",
            code="NotACorrelation",
        )
    return matrix


def _known(name: str, names: Mapping[str, int] | Sequence[str], where: str) -> str:
    if name not in names:
        hint = suggestion(name, names)
        raise ModelError(
            f"In '{where}' there is no latent variable '{name}'; there are {listed(names, 40)}.{hint}",
            code="UnknownLatent",
        )
    return name


def _earlier(name: str, outcome: str, index: Mapping[str, int], known: list[str], where: str) -> None:
    if _known(name, index, where) not in known:
        raise ModelError(
            f"In '{where}' the path from '{name}' to '{outcome}' goes against the order of the steps; "
            f"'{name}' must stand in an earlier step.",
            code="PathOrder",
        )
