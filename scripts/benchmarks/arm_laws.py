"""Controllers of the two-joint arm: the published two, the same through our reflex arc, and a PID with gravity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pcctrl.arrays import Array
from pcctrl.controllers import ReflexArc, ReflexState
from pcctrl.filters import Belief, PCFilter
from pcctrl.scripts.benchmarks.two_joint import DT, HANGING, gravity, hanging_model

__all__ = ["Arc", "Biased", "GravityPID", "Unbiased", "biased_arc", "unbiased_arc"]

# Published learning rates of belief and action.
_PERCEPTION, _ACTION = 200.0, 500.0


class Biased:
    """The published active-inference controller, all precisions 1, in its explicit Euler form."""

    def init(self, batch: int) -> tuple[Array, Array, Array, Array]:
        """Return μ, μ′, μ″ and the torque, hanging at rest."""
        nothing = np.zeros((batch, 2))
        return np.tile(HANGING, (batch, 1)), nothing, nothing, nothing

    def act(
        self, memory: tuple[Array, Array, Array, Array], y: Array, torque: Array, goal: Array
    ) -> tuple[tuple[Array, Array, Array, Array], Array, Array]:
        """Return the new memory, the torque, and the belief before this sample, as published."""
        del torque
        mu, mu1, mu2, u = memory
        seen, seen1 = y[:, :2] - mu, y[:, 2:] - mu1
        drawn, drawn1 = mu1 + mu - goal, mu2 + mu1
        u = u - DT * _ACTION * (seen1 + seen)
        after = (
            mu + DT * (mu1 + _PERCEPTION * (seen - drawn)),
            mu1 + DT * (mu2 + _PERCEPTION * (seen1 - drawn - drawn1)),
            mu2 - DT * _PERCEPTION * drawn1,
            u,
        )
        return after, u, mu


class _UnbiasedMemory(NamedTuple):
    mu: Array
    mu1: Array
    last: Array
    last1: Array
    integral: Array


@dataclass(frozen=True, eq=False)
class Unbiased:
    """The published unbiased controller: a PID of a fast filter's belief.

    Args:
        flawed: whether the integral is the published one, the sum of the errors per step (not × dt), clamped from above
            only at (30, 3); without the flaws it is × dt, its gain in 1/s, and clamped at what 30 was, on both sides.
    """

    flawed: bool = True

    def init(self, batch: int) -> _UnbiasedMemory:
        """Return its memory, hanging at rest."""
        mu, nothing = np.tile(HANGING, (batch, 1)), np.zeros((batch, 2))
        return _UnbiasedMemory(mu, nothing, mu, nothing, nothing)

    def act(
        self, memory: _UnbiasedMemory, y: Array, torque: Array, goal: Array
    ) -> tuple[_UnbiasedMemory, Array, Array]:
        """Return the new memory, the torque, and the belief before this sample, as published."""
        del torque
        mu, mu1, last, last1, integral = memory
        seen, seen1, moved = y[:, :2] - mu, y[:, 2:] - mu1, mu - last
        if self.flawed:
            integral = np.minimum(integral + (goal - mu), [30.0, 3.0])
            held = 1.5 * integral
        else:
            integral = np.clip(integral + DT * (goal - mu), -30.0 * DT, 30.0 * DT)
            held = 1.5 / DT * integral
        # Joint 2 is damped by joint 1's rate, as published.
        u = 250.0 * (goal - mu) - mu1[:, :1] * [100.0, 20.0] + held
        after = mu + DT * (mu1 + _PERCEPTION * (seen - moved))
        after1 = mu1 + DT * _PERCEPTION * (seen1 - moved - (mu1 - last1))
        return _UnbiasedMemory(after, after1, mu, mu1, integral), u, mu


class _ArcMemory(NamedTuple):
    arc: ReflexState
    belief: Belief | None


@dataclass(frozen=True, eq=False)
class Arc:
    """Our `ReflexArc`, on a filter's belief or on the readings themselves.

    Args:
        arc: of a model of both joints' angles and rates.
        filter: on the same model; None for the readings.
    """

    arc: ReflexArc
    filter: PCFilter | None = None

    def init(self, batch: int) -> _ArcMemory:
        """Return its memory, hanging at rest."""
        return _ArcMemory(self.arc.init((batch,)), None)

    def act(self, memory: _ArcMemory, y: Array, torque: Array, goal: Array) -> tuple[_ArcMemory, Array, Array]:
        """Return the new memory, the torque, and the belief: the filter's, or the arc's before this sample."""
        if self.filter is None:
            belief, after = Belief(y, np.eye(4), np.zeros(2), 4), None
            motion = memory.arc.motion
            believed = y[:, :2] if motion is None else motion[:, :2] + HANGING
        else:
            last = memory.belief
            first = self.filter.init((len(y),))
            belief, _ = self.filter.update(first, y) if last is None else self.filter.step(last, y, torque)
            believed, after = belief.state[:, :2], belief
        state, u, _ = self.arc.act(memory.arc, belief, goal)
        return _ArcMemory(state, after), u, believed


def biased_arc() -> Arc:
    """Return the published biased controller as our arc, integrated exactly."""
    arc = ReflexArc(
        hanging_model(),
        tau=1.0,
        rate=_ACTION,
        output=np.eye(2, 4),
        degree=2,
        jacobian=np.eye(2),
        form="biased",
        prior_precision=[1.0, 1.0],
        perception_rate=_PERCEPTION,
    )
    return Arc(arc)


def unbiased_arc(tau: float, rate: float, disturbance: float, limit: float) -> Arc:
    """Return our unbiased arc, joint by joint, on a predictive-coding filter of the arm linearised where it hangs.

    It makes each joint follow q′ = (goal − q) / τ. With ∂y/∂u and the accelerations from the model it is pole
    placement, which is worse here: one saturated torque sends its error through the inertia to the other joint.

    Args:
        tau: time constant of the attractor in seconds.
        rate: κ_a, N·m/rad.
        disturbance: rate of the random walk of the torques that answers for all else, N·m/√s.
        limit: of each torque, N·m.
    """
    model = hanging_model(disturbance)
    output, one = np.eye(2, 4), np.eye(2)
    arc = ReflexArc(
        model, tau, rate, (-limit, limit), output=output, degree=2, jacobian=one, precision=[1.0 / tau, 1.0], order=0
    )
    return Arc(arc, PCFilter(model, 0))


@dataclass(frozen=True, eq=False)
class GravityPID:
    """PID on the readings, and the true gravity at the angle read.

    While a torque is at its limit the integrals stand still.

    Args:
        gains: (..., 6) of proportional, derivative and integral action, each of both joints; one set or one for each
            arm.
        limit: of each torque, N·m.
    """

    gains: Array
    limit: float

    def init(self, batch: int) -> Array:
        """Return the integrals."""
        return np.zeros((batch, 2))

    def act(self, memory: Array, y: Array, torque: Array, goal: Array) -> tuple[Array, Array, Array]:
        """Return the new memory, the torque, and the angles read."""
        del torque
        q, g = y[:, :2], self.gains
        error = goal - q
        integral = memory + DT * error
        wanted = gravity(q) + g[..., :2] * error - g[..., 2:4] * y[:, 2:] + g[..., 4:] * integral
        u = np.minimum(np.maximum(wanted, -self.limit), self.limit)
        stuck = (u != wanted).any(axis=1, keepdims=True)
        return np.where(stuck, memory, integral), u, q
