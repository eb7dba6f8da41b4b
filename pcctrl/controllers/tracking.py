"""What controllers that make joints follow a reference have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pcctrl.arrays import Array
from pcctrl.controllers.base import Goal, wanted
from pcctrl.filters import Belief

__all__ = ["Disturbance", "Reference", "reference"]


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
