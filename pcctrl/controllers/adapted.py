"""Computed torque with parameters that the filter has adapted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import ArrayLike

from pcctrl.arrays import Array, as_array, positive
from pcctrl.controllers.base import ControlInfo, Goal, bounds, check_belief, limited
from pcctrl.controllers.modal import ModalBandwidth, Modes, as_bandwidth, modes_at, no_modes, turned
from pcctrl.controllers.tracking import Reference, reference
from pcctrl.filters import Belief

if TYPE_CHECKING:
    from pcctrl.models import GeneralisedModel

__all__ = ["AdaptedTorque"]


class Invertible(Protocol):
    """A plant whose joints can be asked what an acceleration takes, as `MujocoParameters`."""

    def torque(self, x: ArrayLike, acceleration: ArrayLike, theta: ArrayLike) -> Array:
        """Return the torques (..., nv) at x (..., 2 nv), with parameters θ (..., k)."""
        ...


@dataclass(frozen=True, eq=False)
class AdaptedTorque:
    r"""Makes the joints' errors die out with poles of natural frequency ω, or those of Ω, by all the filter believes.

    .. math:: u = M a + C\dot q + g + D\dot q + Y(q, \dot q, a)\,\theta - d - H\hat w,\qquad
              a = \ddot q_d + 2\zeta\Omega(\dot q_d - \dot q) + \Omega^2(q_d - q)

    The adapted parameters θ come with the state, the random walk d and the predictable part of the disturbance beside
    it. For a second-order plant this is the minimiser of the expected free energy of one step, whose prior is that
    error dynamics. The acceleration of the goal is the mean one over the sample, by its preview.

    Args:
        plant: of the filter's `AdaptiveModel`; or with no parameters, if the filter adapts none.
        joint: what the filter believes, ``filter.joint``, of which the first 2 nv states are the joints'.
        bandwidth: Ω in rad/s: one number, one for each joint (nv,), a symmetric matrix (nv, nv), or one that follows
            the arm, `ModalBandwidth`.
        limits: (low, high) of the torques, each one number or (nv,).
        damping: damping ratio ζ; with 1 both poles are at −ω.

    Raises:
        ShapeError: limits or a bandwidth of another size.
        ParameterError: a bandwidth that is not symmetric and positive definite, or a damping that is not positive.
    """

    plant: Invertible
    joint: GeneralisedModel
    bandwidth: ArrayLike | ModalBandwidth
    limits: tuple[ArrayLike, ArrayLike] | None = None
    damping: float = 1.0
    _rest: Array = field(init=False, repr=False)

    def __post_init__(self) -> None:
        nv = len(self.joint.input)
        object.__setattr__(self, "bandwidth", as_bandwidth(self.bandwidth, nv))
        object.__setattr__(self, "damping", positive("damping", self.damping))
        object.__setattr__(self, "limits", bounds(self.limits, nv))
        object.__setattr__(self, "_rest", as_array("start", self.joint.model.start[0][: 2 * nv], (2 * nv,)))

    def init(self, batch: tuple[int, ...] = ()) -> Modes | None:
        """Return no memory, or that of a bandwidth that follows the arm."""
        return no_modes(self.bandwidth, len(self.joint.input), batch)

    def act(self, state: Modes | None, belief: Belief, goal: Goal = None) -> tuple[Modes | None, Array, ControlInfo]:
        """Return the memory, the torques within the limits (..., nv), and what they were made of.

        Args:
            state: from `init` or the last call.
            belief: of the filter.
            goal: states (..., 2 nv), of a `Preview` as they will be.

        Raises:
            ShapeError: a belief of something else, or a goal of another size.
        """
        now, x, theta = self._read(belief, goal)
        memory, omega = modes_at(self.bandwidth, state, now.position)
        forecast = self._forecast(belief)
        unlimited = self.plant.torque(x, self._drawn(omega, now, now.state - x), theta) + forecast
        return memory, limited(unlimited, *self.limits), ControlInfo(unlimited, forecast)  # type: ignore[misc]

    def feedforward(self, state: Modes | None, belief: Belief, goal: Goal = None) -> Array:  # noqa: ARG002
        """Return the torques (..., nv) that the goal itself takes, with the parameters as they are believed to be."""
        now, _, theta = self._read(belief, goal)
        return self.plant.torque(now.state, now.acceleration, theta)

    def follow(self, state: Modes | None, belief: Belief, goal: Goal = None) -> tuple[Modes | None, ControlInfo, Array]:
        """Return memory and info of `act`, and the torques of `feedforward`, for less than both."""
        now, x, theta = self._read(belief, goal)
        memory, omega = modes_at(self.bandwidth, state, now.position)
        target, forecast = now.state, self._forecast(belief)
        a = self._drawn(omega, now, target - x)
        if a.ndim == 1:
            states = np.concatenate((x, target)).reshape(2, -1)
            wish, takes = self.plant.torque(states, np.concatenate((a, now.acceleration)).reshape(2, -1), theta)
        else:
            wish, takes = self.plant.torque(x, a, theta), self.plant.torque(target, now.acceleration, theta)
        return memory, ControlInfo(wish + forecast, forecast), takes

    def _drawn(self, omega: Array, now: Reference, away: Array) -> Array:
        """Return the acceleration (..., nv) of the goal and of an error (..., 2 nv) that dies out."""
        nv = away.shape[-1] // 2
        return now.acceleration + turned(omega, 2.0 * self.damping * away[..., nv:] + turned(omega, away[..., :nv]))

    def _read(self, belief: Belief, goal: Goal) -> tuple[Reference, Array, Array]:
        """Return what is wanted now, the joints' state (..., 2 nv) and the parameters (..., k)."""
        joint = self.joint
        check_belief(belief, joint.plant, joint.size)
        now = reference(goal, self._rest, joint.model.dt)
        n = len(self._rest)
        return now, belief.mean[..., :n], belief.mean[..., n : joint.plant]

    def _forecast(self, belief: Belief) -> Array:
        """Return the torques (..., nv) against what is believed to push the joints."""
        joint, nv = self.joint, len(self.joint.input)
        _, chains, walk, _ = joint.parts(belief.mean)
        if not joint.process:
            return -walk if joint.disturbances else np.zeros((*belief.mean.shape[:-1], nv))
        forecast = chains @ joint.process_chains.H[:nv].T
        return -forecast - walk if joint.disturbances else -forecast
