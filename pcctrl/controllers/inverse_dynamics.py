"""Control by a model's inverse dynamics: computed torque, and any law for free joints."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from pcctrl.arrays import Array, non_negative, positive
from pcctrl.controllers.base import ControlInfo, Controller, Goal, limited
from pcctrl.controllers.modal import ModalBandwidth, Modes, as_bandwidth, modes_at, no_modes, turned
from pcctrl.controllers.reflex import ReflexState
from pcctrl.controllers.tracking import Disturbance, Follower, errors, reference, settle
from pcctrl.filters import Belief

if TYPE_CHECKING:
    from pcctrl.models import Mechanics

__all__ = ["ComputedTorque", "Integral", "InverseDynamics"]


class Integral(NamedTuple):
    """Memory of a law with integral action.

    Args:
        drawn: K_i ∫ (q_d − q) dt, (..., nv) rad/s².
        modes: of a bandwidth that follows the arm, or None.
    """

    drawn: Array
    modes: Modes | None = None

    def grown(self, more: Array, clamp: float) -> Integral:
        """Return it with more (..., nv), within ±clamp."""
        return Integral(np.minimum(np.maximum(self.drawn + more, -clamp), clamp), self.modes)


@dataclass(frozen=True, eq=False)
class ComputedTorque(Follower):
    r"""Computed torque with PD or PID, all poles of the joints' errors of natural frequency ω, or those of Ω.

    .. math:: u = M(q)\bigl(\ddot q_d + K_p e + K_d\dot e + K_i\!\int\!e\bigr) + C\dot q + g + D\dot q - d,\qquad
              e = q_d - q

    PD has :math:`K_p = \omega^2, K_d = 2\zeta\omega`; PID, with one more pole at −ω,
    :math:`K_p = (1 + 2\zeta)\omega^2, K_d = (1 + 2\zeta)\omega` and :math:`K_i = \omega^3`, whose integral leaves out
    the error of a joint whose torque is at its limit, and is clamped. The acceleration of the goal is the mean one over
    the sample, by its preview. Source: Luh, Walker & Paul 1980.

    Args:
        mechanics: of the plant.
        dt: sample time in seconds.
        bandwidth: ω in rad/s: one number, one for each joint (nv,), a symmetric matrix (nv, nv), or one that follows
            the arm, `ModalBandwidth`.
        rest: state (2 nv,) to hold without a goal.
        integral: whether there is one.
        clamp: rad/s², what the integral may ask for at most.
        disturbance: where the belief has one to cancel, or None.
        limits: (low, high) of the torques, each one number or (nv,).
        damping: damping ratio ζ; with 1 all poles are at −ω.

    Raises:
        ShapeError, ParameterError: an argument of the wrong shape or sign.
    """

    mechanics: Mechanics
    dt: float
    bandwidth: ArrayLike | ModalBandwidth
    rest: ArrayLike
    integral: bool = False
    clamp: float = 50.0
    disturbance: Disturbance | None = None
    limits: tuple[ArrayLike, ArrayLike] | None = None
    damping: float = 1.0

    def __post_init__(self) -> None:
        nv = self.mechanics.degrees
        bandwidth = as_bandwidth(self.bandwidth, nv)
        settle(
            self,
            nv,
            bandwidth=bandwidth,
            clamp=non_negative("clamp", self.clamp),
            damping=positive("damping", self.damping),
        )

    def init(self, batch: tuple[int, ...] = ()) -> Integral:
        """Return an empty memory."""
        nv = self.mechanics.degrees
        return Integral(np.zeros((*batch, nv)), no_modes(self.bandwidth, nv, batch))

    def act(self, state: Integral, belief: Belief, goal: Goal = None) -> tuple[Integral, Array, ControlInfo]:
        """Return the new memory, the torques within the limits (..., nv), and what they were made of.

        Args:
            state: from `init` or the last call.
            belief: of a filter on the plant.
            goal: states (..., 2 nv), of a `Preview` as they will be.

        Raises:
            ShapeError: a belief of something else, or a goal of another size.
        """
        x, now, error, moving = errors(belief, goal, self.rest, self.dt)
        modes, omega = modes_at(self.bandwidth, state.modes, now.position)
        state = state._replace(modes=modes)
        M, rest = self.mechanics.terms(x)
        near, pair = turned(omega, error), 2.0 * self.damping
        asked = (1.0 + pair) * (near + moving) if self.integral else near + pair * moving
        drawn = now.acceleration + turned(omega, asked) + state.drawn
        forecast = np.zeros(rest.shape)
        if self.disturbance is not None:
            forecast = -self.disturbance.torque(belief, M)
        unlimited = (M @ drawn[..., None])[..., 0] + rest + forecast
        u = limited(unlimited, *self.limits)  # type: ignore[misc]
        if not self.integral:
            return state, u, ControlInfo(unlimited, forecast)
        free = np.where(u == unlimited, error, 0.0)
        memory = state.grown(self.dt * turned(omega, turned(omega, turned(omega, free))), self.clamp)
        return memory, u, ControlInfo(unlimited, forecast)

    def feedforward(self, state: Integral, belief: Belief, goal: Goal = None) -> Array:  # noqa: ARG002
        """Return the torques (..., nv) that the goal itself takes."""
        now = reference(goal, np.asarray(self.rest), self.dt)
        return self.mechanics.inverse(now.state, now.acceleration)


@dataclass(frozen=True, eq=False)
class InverseDynamics:
    r"""Makes a mechanism of a law for its free joints: the law gives accelerations, the model the torques they take.

    .. math:: u = M(q)(\ddot q_d + v) + C\dot q + g + D\dot q

    The law sees the error, as a belief about joints that should be at rest where they started. With
    `ExpectedFreeEnergy` this is active inference on the arm: the goal is a prior over the coming states, and a prior of
    precision ρ over inputs is about what the goal itself takes, so that in the error the expected free energy is
    :math:`\tfrac12\sum e^\top\Pi e + v^\top M\rho M v` plus an ambiguity that does not depend on u. Taking out the
    inverse dynamics leaves double integrators, whose minimiser are the gains of the linear-quadratic regulator, on the
    error and on the forecast ŵ and d of what pushes the joints. With `ReflexArc` it is the reflex arc of several
    joints, with :math:`\partial\ddot y/\partial u = M^{-1}`.

    Args:
        mechanics: of the plant.
        inner: on `pcctrl.models.free_joints`, without limits.
        dt: sample time in seconds.
        rest: state (2 nv,) of the operating point, to hold without a goal.
        limits: (low, high) of the torques, each one number or (nv,).

    Raises:
        ShapeError, ParameterError: an argument of the wrong shape or sign.
    """

    mechanics: Mechanics
    inner: Controller
    dt: float
    rest: ArrayLike
    limits: tuple[ArrayLike, ArrayLike] | None = None

    def __post_init__(self) -> None:
        settle(self, self.mechanics.degrees)

    def init(self, batch: tuple[int, ...] = ()) -> Any:
        """Return the memory of the law."""
        return self.inner.init(batch)

    def act(self, state: Any, belief: Belief, goal: Goal = None) -> tuple[Any, Array, ControlInfo]:
        """Return the new memory, the torques within the limits (..., nv), and what they were made of.

        Args:
            state: from `init` or the last call.
            belief: of `filters.JointFilter`.
            goal: states (..., 2 nv), of a `Preview` as they will be.

        Raises:
            ShapeError: a belief that the law cannot read, or a goal of another size.
        """
        n = 2 * self.mechanics.degrees
        x, now, *_ = errors(belief, goal, self.rest, self.dt)
        M, rest = self.mechanics.terms(x)
        away = x - now.state + np.asarray(self.rest)
        others = belief.mean[..., n:]
        mean = np.concatenate([away, np.broadcast_to(others, (*away.shape[:-1], others.shape[-1]))], axis=-1)
        memory, drawn, info = self.inner.act(state, replace(belief, mean=mean))
        unlimited = (M @ (now.acceleration + drawn)[..., None])[..., 0] + rest
        forecast = (M @ info.forecast[..., None])[..., 0]
        u = limited(unlimited, *self.limits)  # type: ignore[misc]
        if isinstance(memory, ReflexState) and (u != unlimited).any():
            # An arc integrates: it must know what came of its wish.
            done = np.linalg.solve(M, (u - rest)[..., None])[..., 0] - now.acceleration
            memory = memory._replace(input=done)
        return memory, u, ControlInfo(unlimited, forecast)
