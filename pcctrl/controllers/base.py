"""What controllers have in common: a pure ``act``, and limits that are always kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from pcctrl.arrays import Array, all_finite, as_floats
from pcctrl.errors import ParameterError, ShapeError
from pcctrl.filters import Belief

__all__ = ["ControlInfo", "Controller", "Goal", "Preview", "bounds", "check_belief", "limited", "wanted"]


@dataclass(frozen=True, slots=True, eq=False)
class ControlInfo:
    """What a decision was made of.

    Args:
        unlimited: the input (..., p) that was wanted before limits.
        forecast: the part of it (..., p) that answers a predicted disturbance, 0 where a controller has none.
    """

    unlimited: Array
    forecast: Array


@dataclass(frozen=True, slots=True, eq=False)
class Preview:
    """A moving goal: what is wanted at this sample, at the next, and so on; the last is then wanted for good.

    Args:
        goals: (..., H, g), H of at least 1.
    """

    goals: ArrayLike

    def __eq__(self, other: object) -> bool:
        """Return whether the same is wanted, which Gymnasium asks of what an environment tells."""
        return isinstance(other, Preview) and np.array_equal(self.goals, other.goals)

    __hash__ = None  # type: ignore[assignment]


Goal = ArrayLike | Preview | None


class Controller(Protocol):
    """Chooses an input from a belief; the state is explicit (None for a controller without memory)."""

    def init(self, batch: tuple[int, ...] = ()) -> Any:
        """Return the controller's state before the first decision."""
        ...

    def act(self, state: Any, belief: Belief, goal: Goal = None) -> tuple[Any, Array, ControlInfo]:
        """Return the new state, the input (..., p) within the limits, and what it was made of."""
        ...


def bounds(limits: tuple[ArrayLike, ArrayLike] | None, size: int) -> tuple[Array, Array]:
    """Return (low, high), each (size,), infinite where ``limits`` is None.

    Raises:
        ShapeError: not a pair of that size.
        ParameterError: low is not below high, or NaN.
    """
    try:
        low, high = (-np.inf, np.inf) if limits is None else limits
        pair = np.broadcast_to(np.asarray(low, float), size), np.broadcast_to(np.asarray(high, float), size)
    except (TypeError, ValueError):
        raise ShapeError(name="limits", expected=f"(low, high) of shape ({size},)", received=limits) from None
    if not (pair[0] < pair[1]).all():
        raise ParameterError(name="limits", expected="low below high", received=limits)
    return pair


def check_belief(belief: Belief, plant: int, joint: int | None = None) -> None:
    """Raise a `ShapeError` unless ``belief`` is of so many states, and of so many joint states if they are read."""
    size = belief.mean.shape[-1]
    if belief.plant != plant or (joint is not None and size != joint):
        expected = f"{plant} states" + ("" if joint is None else f" of {joint} joint states")
        raise ShapeError(name="belief", expected=expected, received=f"{belief.plant} states of {size}")


def wanted(goal: ArrayLike | Preview, size: int) -> Array:
    """Return a goal as (..., H, size): one sample of it, or a preview.

    Raises:
        ShapeError: its last dimension is not ``size``, or a preview has no samples.
        ParameterError: it is not finite.
    """
    if isinstance(goal, Preview):
        expected = f"a preview of shape (..., H, {size})"
        given = as_floats("goal", goal.goals, expected)
        fits = given.ndim >= 2 and given.shape[-2] > 0
    else:
        expected = f"(..., {size})"
        given = as_floats("goal", goal, expected)
        fits = given.ndim >= 1
    if not fits or given.shape[-1] != size:
        raise ShapeError(name="goal", expected=expected, received=f"shape {given.shape}")
    if not all_finite(given):
        raise ParameterError(name="goal", expected="finite numbers", received=goal)
    return given if isinstance(goal, Preview) else given[..., None, :]


def limited(u: Array, low: Array, high: Array) -> Array:
    """Return u within [low, high]; NaN stays NaN. On small arrays it takes a fifth of the time of `numpy.clip`."""
    return np.asarray(np.minimum(np.maximum(u, low), high))
