"""Factor rotation: one criterion a function, one algorithm for all of them.

To add a rotation, write a function from a loading matrix to (criterion, gradient) and put
@rotation above it. Nothing else in the package needs to change; the tests find it in
ROTATIONS. Criteria work on stacks of loading matrices (… × p × m), because all random
starts are rotated together; options of a criterion are its keyword arguments.

The algorithm is gradient projection (Jennrich, 2001, 2002; Bernaards & Jennrich, 2005).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from cocoanalysis.errors import ModelError, listed, one_of

Criterion = Callable[..., tuple[np.ndarray, np.ndarray]]
SEARCH, POLISH = 1e-5, 1e-7  # length of the projected gradient at which all starts, then the best one, may rest
STEPS = 5000


class Rotation(NamedTuple):
    """A criterion with its defaults.

    ``ordered`` is False when the columns have a meaning of their own (a general factor, a target).
    ``from_target`` marks a rotation in one step to a target built from varimax.
    """

    criterion: Criterion
    oblique: bool
    kaiser: bool
    source: str
    ordered: bool = True
    from_target: bool = False


class Rotated(NamedTuple):
    """Loadings (p × m), factor correlations (m × m), and what the random starts found."""

    loadings: np.ndarray
    correlations: np.ndarray
    criterion: float
    converged: bool
    starts: int
    minima: int
    agreeing: int


ROTATIONS: dict[str, Rotation] = {}


def rotation(
    *, oblique: bool, source: str, kaiser: bool = False, ordered: bool = True, from_target: bool = False
) -> Callable[[Criterion], Criterion]:
    def register(criterion: Criterion) -> Criterion:
        ROTATIONS[criterion.__name__] = Rotation(criterion, oblique, kaiser, source, ordered, from_target)
        return criterion

    return register


def _sum(values: np.ndarray) -> np.ndarray:
    return values.sum(axis=(-2, -1))


def _others(squares: np.ndarray) -> np.ndarray:
    """For each cell the sum of the other cells of its row."""
    return squares.sum(axis=-1, keepdims=True) - squares


@rotation(oblique=False, kaiser=True, source="Kaiser, 1958")
def varimax(loadings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    squares = loadings**2
    centred = squares - squares.mean(axis=-2, keepdims=True)
    return -_sum(squares * centred) / 4, -loadings * centred


@rotation(oblique=False, kaiser=True, source="Neuhaus & Wrigley, 1954")
def quartimax(loadings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return -_sum(loadings**4) / 4, -(loadings**3)


@rotation(oblique=False, kaiser=True, source="Saunders, 1962; as Crawford–Ferguson with κ = m/2p")
def equamax(loadings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    items, factors = loadings.shape[-2:]
    return cf(loadings, kappa=factors / (2 * items))


@rotation(oblique=True, source="Jennrich & Sampson, 1966 (direct oblimin)")
def oblimin(loadings: np.ndarray, gamma: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    squares = loadings**2
    others = _others(squares)
    others = others - gamma * others.mean(axis=-2, keepdims=True)
    return _sum(squares * others) / 4, loadings * others


@rotation(oblique=True, source="Carroll, 1953")
def quartimin(loadings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    squares = loadings**2
    others = _others(squares)
    return _sum(squares * others) / 4, loadings * others


@rotation(oblique=True, source="Yates, 1987; ε as in Browne, 2001")
def geomin(loadings: np.ndarray, epsilon: float = 0.01) -> tuple[np.ndarray, np.ndarray]:
    squares = loadings**2 + epsilon
    means = np.exp(np.log(squares).mean(axis=-1, keepdims=True))
    return means.sum(axis=(-2, -1)), 2 / loadings.shape[-1] * loadings / squares * means


@rotation(oblique=True, source="Crawford & Ferguson, 1970; κ = 1/p unless given")
def cf(loadings: np.ndarray, kappa: float | None = None) -> tuple[np.ndarray, np.ndarray]:
    weight = 1 / loadings.shape[-2] if kappa is None else kappa
    squares = loadings**2
    others = (1 - weight) * _others(squares) + weight * (squares.sum(axis=-2, keepdims=True) - squares)
    return _sum(squares * others) / 4, loadings * others


@rotation(oblique=True, ordered=False, source="Browne, 1972; cells that are not numbers stay free")
def target(loadings: np.ndarray, target: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    if target is None:
        raise ModelError(
            "A target rotation needs rotation_options={'target': …}, one row an item and one column a factor, "
            "with the expected loadings (mostly 0) and NaN where nothing is expected.",
            code="MissingTarget",
        )
    wanted = np.asarray(target, dtype=float)
    if wanted.shape != loadings.shape[-2:]:
        raise ModelError(
            f"The target has shape {wanted.shape}, the loadings {loadings.shape[-2:]}; they must agree.",
            code="MissingTarget",
        )
    gap = np.where(np.isnan(wanted), 0.0, loadings - np.nan_to_num(wanted))
    return _sum(gap**2), 2 * gap


@rotation(oblique=True, ordered=False, source="Jennrich & Bentler, 2011, 2012: quartimin of the group factors")
def bifactor(loadings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    squares = loadings**2
    squares[..., 0] = 0
    others = _others(squares)
    return _sum(squares * others), 4 * loadings * others * (squares > 0)


@rotation(
    oblique=True, kaiser=True, from_target=True, source="Hendrickson & White, 1964; from Kaiser-normalised varimax"
)
def promax(loadings: np.ndarray, power: float = 4) -> tuple[np.ndarray, np.ndarray]:
    """Varimax's criterion; `rotate` then takes one step to the power target, as psych's promax."""
    return varimax(loadings)


def rotate(
    loadings: np.ndarray,
    name: str,
    *,
    kaiser: bool | None = None,
    starts: int = 10,
    seed: int = 0,
    options: Mapping[str, Any] | None = None,
) -> Rotated:
    """Turn unrotated loadings (p × m) to the best value of a criterion.

    Parameters
    ----------
    name : a key of ROTATIONS
    kaiser : weight items equally by their communalities before rotation; None for the rotation's own
        habit (yes for varimax, quartimax, equamax and promax, no for the oblique criteria, as in R)
    starts : the unrotated position and starts − 1 random ones; the best minimum is kept
    options : the criterion's own options (gamma, epsilon, kappa, target, power), and
        ``oblique`` (False keeps the factors of an oblique criterion uncorrelated)
    """
    chosen = ROTATIONS[one_of(name, ROTATIONS, "rotation")]
    settings = dict(options or {})
    oblique = bool(settings.pop("oblique", chosen.oblique))
    _check_options(name, chosen, settings)
    if oblique and not chosen.oblique:
        raise ModelError(
            f"{name} has no minimum when the factors may correlate: they would fall together. "
            "Take oblimin, geomin, promax or cf for correlated factors.",
            code="NotOblique",
        )
    if loadings.shape[1] == 1:
        return Rotated(loadings, np.eye(1), 0.0, True, 1, 1, 1)
    normalise = chosen.kaiser if kaiser is None else kaiser
    length = np.sqrt((loadings**2).sum(axis=1, keepdims=True)) if normalise else np.ones((len(loadings), 1))
    length = np.where(length > 0, length, 1.0)

    def criterion(stack: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return chosen.criterion(stack, **settings)

    found = gradient_projection(
        loadings / length, criterion, oblique and not chosen.from_target, random_frames(loadings.shape[1], starts, seed)
    )
    if chosen.from_target:
        turned, phi = power_target(found.loadings, settings.get("power", 4))
        found = found._replace(loadings=turned, correlations=phi)
    return found._replace(loadings=found.loadings * length)


def _check_options(name: str, chosen: Rotation, settings: Mapping[str, Any]) -> None:
    known = [p for p in inspect.signature(chosen.criterion).parameters if p != "loadings"]
    unknown = [key for key in settings if key not in known]
    if unknown:
        raise ModelError(
            f"The rotation '{name}' has no option {listed(unknown)}; it knows {listed([*known, 'oblique'])}.",
            code="UnknownOption",
        )


def random_frames(factors: int, starts: int, seed: int) -> np.ndarray:
    """The identity and starts − 1 random orthogonal matrices (starts × m × m)."""
    rng = np.random.default_rng(seed)
    drawn = np.linalg.qr(rng.standard_normal((max(starts, 1), factors, factors))).Q
    drawn[0] = np.eye(factors)
    return drawn


def gradient_projection(
    loadings: np.ndarray,
    criterion: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    oblique: bool,
    frames: np.ndarray,
) -> Rotated:
    """Rotate from every starting frame (s × m × m), keep the best minimum and polish it.

    Orthogonal: L = A T. Oblique: L = A T⁻¹ᵀ, Φ = TᵀT.
    """
    searched = _descend(loadings, criterion, oblique, frames, SEARCH)
    settled = searched.size < 10 * SEARCH
    candidates = np.flatnonzero(settled) if settled.any() else np.arange(len(frames))
    winner = candidates[np.argmin(searched.value[candidates])]
    best = _descend(loadings, criterion, oblique, searched.frame[winner][None], POLISH)
    apart = 1e-6 * max(1.0, abs(float(best.value[0])))
    levels = np.sort(searched.value[candidates])
    frame = best.frame[0]
    return Rotated(
        loadings=_turned(loadings, best.frame, oblique)[0][0],
        correlations=frame.T @ frame if oblique else np.eye(len(frame)),
        criterion=float(best.value[0]),
        converged=bool(best.size[0] < SEARCH),
        starts=len(frames),
        minima=1 + int((np.diff(levels) > apart).sum()),
        agreeing=int((levels - levels[0] <= apart).sum()),
    )


class Descent(NamedTuple):
    frame: np.ndarray
    value: np.ndarray
    size: np.ndarray


def _descend(
    loadings: np.ndarray,
    criterion: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    oblique: bool,
    frame: np.ndarray,
    tolerance: float,
) -> Descent:
    """All frames downhill together, each with its own step length, until their projected gradients vanish."""
    step = np.ones(len(frame))
    rotated, inverse = _turned(loadings, frame, oblique)
    value, slope = criterion(rotated)
    for _ in range(STEPS):
        projected = _projected(loadings, frame, rotated, inverse, slope, oblique)
        size = np.sqrt((projected**2).sum(axis=(1, 2)))
        active = size >= tolerance
        if not active.any():
            break
        step = np.where(active, 2 * step, step)
        for _ in range(12):
            trial = _retracted(frame - step[:, None, None] * projected, oblique)
            new, new_inverse = _turned(loadings, trial, oblique)
            new_value, new_slope = criterion(new)
            worse = active & (new_value > value - 0.5 * size**2 * step)
            if not worse.any():
                break
            step = np.where(worse, step / 2, step)
        take = (active & (new_value <= value))[:, None, None]
        if not take.any():
            break
        frame, rotated = np.where(take, trial, frame), np.where(take, new, rotated)
        inverse, slope = np.where(take, new_inverse, inverse), np.where(take, new_slope, slope)
        value = np.where(take[:, 0, 0], new_value, value)
    return Descent(frame, value, size)


def _turned(loadings: np.ndarray, frame: np.ndarray, oblique: bool) -> tuple[np.ndarray, np.ndarray]:
    """Rotated loadings and the frames' inverses (the frames themselves when orthogonal)."""
    if not oblique:
        return loadings @ frame, frame
    inverse = np.linalg.inv(frame)
    return loadings @ inverse.swapaxes(1, 2), inverse


def _projected(
    loadings: np.ndarray, frame: np.ndarray, rotated: np.ndarray, inverse: np.ndarray, slope: np.ndarray, oblique: bool
) -> np.ndarray:
    """The criterion's gradient along the manifold of admissible frames."""
    if oblique:
        gradient = -(rotated.swapaxes(1, 2) @ slope @ inverse).swapaxes(1, 2)
        return gradient - frame * (frame * gradient).sum(axis=1, keepdims=True)
    gradient = loadings.T @ slope
    inner = frame.swapaxes(1, 2) @ gradient
    return gradient - frame @ (inner + inner.swapaxes(1, 2)) / 2


def _retracted(moved: np.ndarray, oblique: bool) -> np.ndarray:
    """The nearest admissible frame: columns of length one, or an orthogonal matrix."""
    if oblique:
        return moved / np.sqrt((moved**2).sum(axis=1, keepdims=True))
    left, _, right = np.linalg.svd(moved)
    return left @ right


def power_target(rotated: np.ndarray, power: float) -> tuple[np.ndarray, np.ndarray]:
    """Loadings and factor correlations after the least-squares step to |loading|^power (Hendrickson & White, 1964)."""
    wanted = rotated * np.abs(rotated) ** (power - 1)
    turn = np.linalg.lstsq(rotated, wanted, rcond=None)[0]
    turn = turn * np.sqrt(np.diag(np.linalg.inv(turn.T @ turn)))
    inverse = np.linalg.inv(turn)
    return rotated @ turn, inverse @ inverse.T


def in_order(loadings: np.ndarray, correlations: np.ndarray, by_size: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Loadings and factor correlations with the strongest factor first and positive sums of loadings.

    Order and sign are applied to both at once. Strength is the variance a factor accounts for,
    diag(Φ LᵀL); without ``by_size`` only the signs are set.
    """
    strength = np.diag(correlations @ loadings.T @ loadings)
    order = np.argsort(-strength, kind="stable") if by_size else np.arange(len(strength))
    turned = loadings[:, order]
    signs = np.where(turned.sum(axis=0) < 0, -1.0, 1.0)
    return turned * signs, correlations[np.ix_(order, order)] * np.outer(signs, signs)
