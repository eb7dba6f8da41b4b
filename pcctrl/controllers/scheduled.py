"""A linear-quadratic regulator that follows the reference through a nonlinear model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pcctrl.arrays import Array, as_array, whole
from pcctrl.controllers.base import ControlInfo, Goal, bounds, check_belief, limited
from pcctrl.controllers.quadratic import cost_matrix
from pcctrl.controllers.tracking import Disturbance, Reference, reference
from pcctrl.errors import ModelError
from pcctrl.filters import Belief
from pcctrl.linalg import riccati

if TYPE_CHECKING:
    from pcctrl.models import GenerativeModel, Mechanics

__all__ = ["GainScheduledLQR", "Schedule"]


class Schedule(NamedTuple):
    """Memory of `GainScheduledLQR`.

    Args:
        age: samples since the gain was worked out, (..., 1).
        gain: (..., nv, 2 nv).
    """

    age: NDArray[np.int64]
    gain: Array


@dataclass(frozen=True, eq=False)
class GainScheduledLQR:
    r"""Feeds forward what the reference takes, and feeds back the error by the LQR of the model linearised there.

    .. math:: u = u_d - L(x_d)\,(x - x_d) - d

    The gain is that of :math:`\sum (x - x_d)^\top W(x - x_d) + (u - u_d)^\top\rho(u - u_d)`, worked out again
    after some samples, at the reference as it is then. Source: Rugh & Shamma 2000.

    Args:
        model: of the plant.
        mechanics: of the same.
        state_weight: W, (n, n), its diagonal (n,), or one number.
        action_weight: ρ, (nv, nv), its diagonal (nv,), or one number; positive.
        every: samples for which a gain serves.
        disturbance: where the belief has one to cancel, which is integral action, or None.
        limits: (low, high) of the torques, each one number or (nv,).

    Raises:
        ModelError: the model cannot be stabilised at its start.
        ShapeError, ParameterError: an argument of the wrong shape or sign.
    """

    model: GenerativeModel
    mechanics: Mechanics
    state_weight: ArrayLike
    action_weight: ArrayLike
    every: int = 50
    disturbance: Disturbance | None = None
    limits: tuple[ArrayLike, ArrayLike] | None = None
    _start: Array = field(init=False, repr=False)

    def __post_init__(self) -> None:
        nv = self.mechanics.degrees
        rest, u, _ = self.model.start
        checked: dict[str, Any] = {
            "state_weight": cost_matrix("state_weight", self.state_weight, 2 * nv, definite=False),
            "action_weight": cost_matrix("action_weight", self.action_weight, nv, definite=True),
            "every": whole("every", self.every, 1),
            "limits": bounds(self.limits, nv),
        }
        as_array("model.start", rest, (2 * nv,))
        for key, value in checked.items():
            object.__setattr__(self, key, value)
        object.__setattr__(self, "_start", self._solve(rest, u))

    def _solve(self, x: Array, u: Array) -> Array:
        A, B, _ = self.model.transition_jacobians(x, u)
        W, rho = np.asarray(self.state_weight), np.asarray(self.action_weight)
        S = riccati(A, B, W, rho, name="model")
        return np.asarray(np.linalg.solve(rho + B.T @ S @ B, B.T @ S @ A))

    def _refreshed(self, now: Reference, u: Array, gain: Array, due: NDArray[np.bool_]) -> Array:
        """Return the gains (..., nv, 2 nv), at the reference where they are due (...) and where it has one."""
        x = np.broadcast_to(now.state, (*gain.shape[:-2], gain.shape[-1]))
        u = np.broadcast_to(u, (*gain.shape[:-2], gain.shape[-2]))
        fresh = gain.copy()
        for index in zip(*np.nonzero(due), strict=True) if due.ndim else [()]:
            try:
                fresh[index] = self._solve(x[index], u[index])
            except (ModelError, np.linalg.LinAlgError):
                continue
        return fresh

    def init(self, batch: tuple[int, ...] = ()) -> Schedule:
        """Return the gain at the start, due to be worked out."""
        gain = np.broadcast_to(self._start, (*batch, *self._start.shape)).copy()
        return Schedule(np.full((*batch, 1), self.every), gain)

    def act(self, state: Schedule, belief: Belief, goal: Goal = None) -> tuple[Schedule, Array, ControlInfo]:
        """Return the new schedule, the torques within the limits (..., nv), and what they were made of.

        Args:
            state: from `init` or the last call.
            belief: of a filter on the plant.
            goal: states (..., 2 nv), of a `Preview` as they will be.

        Raises:
            ShapeError: a belief of something else, or a goal of another size.
        """
        check_belief(belief, 2 * self.mechanics.degrees)
        now = reference(goal, self.model.start[0], self.model.dt)
        wanted = self.mechanics.inverse(now.state, now.acceleration)
        age, gain = state.age + 1, state.gain
        due = age[..., 0] > self.every
        if due.any():
            age, gain = np.where(due[..., None], 1, age), self._refreshed(now, wanted, gain, due)
        unlimited = wanted - (gain @ (belief.state - now.state)[..., None])[..., 0]
        forecast = np.zeros(unlimited.shape)
        if self.disturbance is not None:
            forecast = -self.disturbance.torque(belief, self.mechanics.mass_matrix(belief.state))
            unlimited = unlimited + forecast
        return Schedule(age, gain), limited(unlimited, *self.limits), ControlInfo(unlimited, forecast)  # type: ignore[misc]
