"""Classical laws of an arm on an estimated state: adaptive computed torque, and computed torque with PID."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pcctrl.agents import RealTimeAgent
from pcctrl.arrays import Array
from pcctrl.controllers import ControlInfo, Controller, Goal, Preview
from pcctrl.controllers.base import wanted
from pcctrl.errors import ShapeError
from pcctrl.filters import Belief, Info
from pcctrl.models import MujocoMechanics

__all__ = ["Fleet", "Pair", "SlidingAdaptive", "TorquePID"]

_DT = 1e-3


class Pair:
    """A filter and a controller, of all arms at once.

    Args:
        filter: from readings to a belief.
        controller: from a belief to torques.
    """

    def __init__(self, filter: Any, controller: Controller) -> None:
        self.filter, self.controller = filter, controller
        self.info: Info | None = None

    def begin(self, batch: int) -> None:
        """Forget all."""
        self._belief, self._memory = self.filter.init((batch,)), self.controller.init((batch,))
        self._torque: Array | None = None

    def act(self, y: Array, goal: Array) -> Array:
        """Return the torques (B, 7)."""
        if self._torque is None:
            self._belief, self.info = self.filter.update(self._belief, y)
        else:
            self._belief, self.info = self.filter.step(self._belief, y, self._torque)
        self._memory, u, _ = self.controller.act(self._memory, self._belief, Preview(goal))
        self._torque = np.where(np.isfinite(u), u, 0.0)
        return self._torque


class Fleet:
    """An agent for each arm, in its form for real time.

    Args:
        agents: one, or one for each arm.
    """

    def __init__(self, agents: Sequence[RealTimeAgent]) -> None:
        self._agents = tuple(agents)

    def begin(self, batch: int) -> None:
        """Forget all."""
        if len(self._agents) != batch:
            raise ShapeError(name="batch", expected=f"{len(self._agents)} arms", received=batch)
        for agent in self._agents:
            agent.reset()

    def act(self, y: Array, goal: Array) -> Array:
        """Return the torques (B, 7)."""
        return np.array([agent.act(a, Preview(g)) for agent, a, g in zip(self._agents, y, goal, strict=True)])


@dataclass(frozen=True, eq=False)
class SlidingAdaptive:
    r"""Slotine & Li's adaptive law.

    .. math:: s = \dot q_r - \dot q,\ \dot q_r = \dot q_d + \lambda e,\qquad
              u = M\ddot q_r + C\dot q_r + g + Y\theta + \kappa\bar M s,\qquad \dot\theta = \Gamma Y^\top s

    Args:
        mechanics: with the parameters.
        rate: λ in 1/s, one number or (B, 1).
        gain: κ in 1/s, likewise.
        adaptation: factor on Γ, whose diagonal is the square of each parameter's spread, likewise.
        spread: (k,).
        high: (k,) greatest parameters; the least are 0.
        mass: M̄ (7,), the diagonal of the mass matrix at home.
    """

    mechanics: MujocoMechanics
    rate: Array | float
    gain: Array | float
    adaptation: Array | float
    spread: Array
    high: Array
    mass: Array

    def init(self, batch: tuple[int, ...] = ()) -> Array:
        """Return no parameters."""
        return np.zeros((*batch, len(self.spread)))

    def act(self, state: Array, belief: Belief, goal: Goal = None) -> tuple[Array, Array, ControlInfo]:
        """Return the new parameters, the torques, and what they were made of."""
        x = belief.state
        error, slip, a = _wanted(goal, x)
        s = slip + self.rate * error
        reference, turning = a + self.rate * slip, x[..., 7:] + s
        Y = self.mechanics.regressor(x, reference, turning)
        u = self.mechanics.inverse(x, reference, turning) + (Y @ state[..., None])[..., 0] + self.gain * self.mass * s
        change = self.adaptation * self.spread**2 * (np.swapaxes(Y, -1, -2) @ s[..., None])[..., 0]
        state = np.clip(state + _DT * np.where(np.isfinite(change), change, 0.0), 0.0, self.high)
        return state, u, ControlInfo(u, np.zeros_like(u))


@dataclass(frozen=True, eq=False)
class TorquePID:
    r"""Computed torque of :math:`\ddot q_d + k_p e + k_d\dot e + k_i\int e`, :math:`k_p = \omega^2, k_d = 2\omega`.

    Args:
        mechanics: of the arm as it is told.
        bandwidth: ω in rad/s, one number or (B, 1).
        integral: k_i in units of ω³, likewise.
    """

    mechanics: MujocoMechanics
    bandwidth: Array | float
    integral: Array | float

    def init(self, batch: tuple[int, ...] = ()) -> Array:
        """Return empty integrals."""
        return np.zeros((*batch, 7))

    def act(self, state: Array, belief: Belief, goal: Goal = None) -> tuple[Array, Array, ControlInfo]:
        """Return the new integrals, the torques, and what they were made of."""
        w, x = np.asarray(self.bandwidth), belief.state
        error, slip, a = _wanted(goal, x)
        state = state + _DT * error
        u = self.mechanics.inverse(x, a + w**2 * error + 2.0 * w * slip + self.integral * w**3 * state)
        return state, u, ControlInfo(u, np.zeros_like(u))


def _wanted(goal: Goal, x: Array) -> tuple[Array, Array, Array]:
    """Return errors of position and rate, and the acceleration of the goal."""
    coming = wanted(x if goal is None else goal, 14)
    now, then = coming[..., 0, :], coming[..., -1, :]
    away = now - x
    return away[..., :7], away[..., 7:], (then - now)[..., 7:] / _DT
