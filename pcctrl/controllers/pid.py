"""PID control of the sensors themselves."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from pcctrl.arrays import Array, as_array, non_negative, positive
from pcctrl.controllers.base import ControlInfo, Goal, bounds, limited, wanted
from pcctrl.errors import ShapeError
from pcctrl.filters import Belief

__all__ = ["PID", "PIDState"]


class PIDState(NamedTuple):
    """Memory of a PID: integral of the error (..., m), filtered derivative (..., m), last reading or None."""

    integral: Array
    derivative: Array
    reading: Array | None


@dataclass(frozen=True, eq=False)
class PID:
    r"""Proportional-integral-derivative control with a filtered derivative and clamped integration.

    .. math:: u = \bar u + K_p e + K_i \int e - K_d \dot y_f,\qquad e = \text{goal} - y

    The derivative acts on the reading, through a first-order filter of time constant ``tau``; while the output is at a
    limit the integral stands still. Its belief are the readings themselves (`filters.Readings`).
    Source: Åström & Hägglund, Advanced PID Control, 2006.

    Args:
        kp: (p, m) gain on the error of each sensor.
        ki: (p, m) gain on its integral, 1/s.
        kd: (p, m) gain on its rate, s.
        dt: sample time in seconds.
        tau: time constant of the derivative filter in seconds, 0 for none.
        limits: (low, high) of the input, each one number or (p,).
        goal: (m,) readings to hold, zeros by default.
        rest: (p,) the input at which there is no error, added to all of this: a hovering vehicle's thrust; zeros by
            default.

    Raises:
        ShapeError, ParameterError: a gain, limit or time of the wrong shape or sign.
    """

    kp: ArrayLike
    ki: ArrayLike
    kd: ArrayLike
    dt: float
    tau: float = 0.0
    limits: tuple[ArrayLike, ArrayLike] | None = None
    goal: ArrayLike | None = None
    rest: ArrayLike | None = None

    def __post_init__(self) -> None:
        kp = as_array("kp", self.kp, ("p", "m"))
        p, m = kp.shape
        low, high = bounds(self.limits, p)
        checked = {
            "kp": kp,
            "ki": as_array("ki", self.ki, (p, m)),
            "kd": as_array("kd", self.kd, (p, m)),
            "dt": positive("dt", self.dt),
            "tau": non_negative("tau", self.tau),
            "limits": (low, high),
            "goal": as_array("goal", np.zeros(m) if self.goal is None else self.goal, (m,)),
            "rest": as_array("rest", np.zeros(p) if self.rest is None else self.rest, (p,)),
        }
        for key, value in checked.items():
            object.__setattr__(self, key, value)

    @cached_property
    def _gains(self) -> tuple[Array, Array, Array]:
        return np.asarray(self.kp), np.asarray(self.ki), np.asarray(self.kd)

    @cached_property
    def _limits(self) -> tuple[Array, Array]:
        return bounds(self.limits, len(self._gains[0]))

    @cached_property
    def _held(self) -> Array:
        return np.asarray(self.goal)

    def init(self, batch: tuple[int, ...] = ()) -> PIDState:
        """Return an empty memory."""
        m = np.shape(self.kp)[1]
        return PIDState(np.zeros((*batch, m)), np.zeros((*batch, m)), None)

    def readings(self, belief: Belief) -> Array:
        """Return the readings y (..., m) that a belief is made of.

        Raises:
            ShapeError: it is of something else.
        """
        m = self._gains[0].shape[1]
        if belief.plant != m:
            expected = f"{m} readings, of filters.Readings"
            raise ShapeError(name="belief", expected=expected, received=f"{belief.plant} states")
        return belief.state

    def derivative(self, y: Array, last: Array, reading: Array | None) -> Array:
        """Return the filtered derivative (..., m), from the last one and the last reading, None at the first sample."""
        keep = self.tau / (self.tau + self.dt)
        rate = 0.0 if reading is None else (y - reading) / self.dt
        return keep * last + (1.0 - keep) * rate

    def error(self, y: Array, goal: Goal = None) -> Array:
        """Return goal − y (..., m), of the configured goal by default.

        Raises:
            ShapeError: the goal is not (..., m).
        """
        return (self._held if goal is None else wanted(goal, y.shape[-1])[..., 0, :]) - y

    def act(self, state: PIDState, belief: Belief, goal: Goal = None) -> tuple[PIDState, Array, ControlInfo]:
        """Return the new memory, the input within the limits (..., p), and what it was made of.

        Args:
            state: from `init` or the last call.
            belief: the m readings, from `filters.Readings`.
            goal: readings to hold (..., m), of a `Preview` the first; the configured ones by default.

        Raises:
            ShapeError: the belief is not of m readings, or the goal another size.
        """
        kp, ki, kd = self._gains
        y = self.readings(belief)
        error = self.error(y, goal)
        integral = state.integral + error * self.dt
        derivative = self.derivative(y, state.derivative, state.reading)
        unlimited = np.asarray(self.rest) + error @ kp.T + integral @ ki.T - derivative @ kd.T
        u = limited(unlimited, *self._limits)
        saturated = (u != unlimited).any(axis=-1, keepdims=True)
        integral = np.where(saturated, state.integral, integral)
        return PIDState(integral, derivative, y), u, ControlInfo(unlimited, np.zeros_like(u))
