"""What controllers that make joints follow a reference have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from pcctrl.arrays import Array, as_array, positive
from pcctrl.controllers.base import ControlInfo, Goal, bounds, check_belief, wanted
from pcctrl.filters import Belief

__all__ = ["Disturbance", "Errors", "Follower", "Reference", "errors", "reference", "settle"]


class Reference(NamedTuple):
    """Where the joints should be, each (..., nv): rad, rad/s, and the mean acceleration over the sample in rad/s²."""

    position: Array
    rate: Array
    acceleration: Array

    @property
    def state(self) -> Array:
        """Position, then rate (..., 2 nv)."""
        return np.concatenate([self.position, self.rate], axis=-1)


def reference(goal: Goal, rest: Array, dt: float) -> Reference:
    """Return what a goal asks for now: states (..., 2 nv), or a `Preview` of them, or to stay at ``rest`` (2 nv,).

    Raises:
        ShapeError, ParameterError: a goal of another size, or not finite.
    """
    if goal is None:
        goal = rest
    states = wanted(goal, len(rest))
    nv = len(rest) // 2
    now = states[..., 0, :]
    if states.shape[-2] == 1:
        return Reference(now[..., :nv], now[..., nv:], np.zeros((*now.shape[:-1], nv)))
    return Reference(now[..., :nv], now[..., nv:], (states[..., 1, nv:] - now[..., nv:]) / dt)


class Errors(NamedTuple):
    """How a belief differs from what is wanted now.

    Args:
        x: state (..., 2 nv) that is believed.
        now: what is wanted.
        position: q_d − q, (..., nv).
        rate: of that.
    """

    x: Array
    now: Reference
    position: Array
    rate: Array


def errors(belief: Belief, goal: Goal, rest: ArrayLike, dt: float) -> Errors:
    """Return how a belief about joints differs from a goal; see `reference`.

    Raises:
        ShapeError, ParameterError: a belief of something else, or a goal that is none.
    """
    rest = np.asarray(rest)
    nv = len(rest) // 2
    check_belief(belief, 2 * nv)
    x, now = belief.state, reference(goal, rest, dt)
    return Errors(x, now, now.position - x[..., :nv], now.rate - x[..., nv:])


class Follower:
    """A law that has ``act`` and ``feedforward``, and no quicker way to both."""

    def follow(self: Any, state: Any, belief: Belief, goal: Goal = None) -> tuple[Any, ControlInfo, Array]:
        """Return memory and info of `act`, and the torques of `feedforward`."""
        memory, _, info = self.act(state, belief, goal)
        return memory, info, self.feedforward(state, belief, goal)


def settle(law: Any, nv: int, **others: Any) -> None:
    """Put the checked ``dt``, ``rest`` and ``limits`` of a frozen law for nv joints in their place, and others.

    Raises:
        ShapeError, ParameterError: one that is of the wrong size or sign.
    """
    checked = {
        "dt": positive("dt", law.dt),
        "rest": as_array("rest", law.rest, (2 * nv,)),
        "limits": bounds(law.limits, nv),
    }
    for key, value in (checked | others).items():
        object.__setattr__(law, key, value)


@dataclass(frozen=True)
class Disturbance:
    """Where a belief has the disturbance that adds to the inputs.

    Args:
        first: its place among the joint states.
        accelerates: whether it is in rad/s² (of `filters.JointFilter`), not in the unit of the inputs.
    """

    first: int
    accelerates: bool = False

    def torque(self, belief: Belief, mass: Array) -> Array:
        """Return it in the unit of the inputs (..., nv), for a mass matrix (..., nv, nv)."""
        nv = mass.shape[-1]
        d = belief.mean[..., self.first : self.first + nv]
        return (mass @ d[..., None])[..., 0] if self.accelerates else d
