"""LQR and its generalisation, expected free energy on the generalised state."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
import scipy.linalg
from numpy.typing import ArrayLike

from pcctrl.arrays import Array, choose
from pcctrl.controllers.base import ControlInfo, Goal, bounds, check_belief, limited, wanted
from pcctrl.controllers.quadratic import QuadraticValue, cost_matrix, feedback, forecast_gain, preview
from pcctrl.errors import ModelError
from pcctrl.filters import Belief

if TYPE_CHECKING:
    from pcctrl.models import JointModel, LinearModel

__all__ = ["LQR", "ExpectedFreeEnergy"]


class _LinearQuadratic(abc.ABC):
    """A law without memory: u = ū − L_x (x − x̄) − L_e e − L_g (goal − ḡ) within limits, e = (ŵ, d)."""

    model: LinearModel
    limits: tuple[ArrayLike, ArrayLike] | None

    def __post_init__(self) -> None:
        _ = self.gain, self._limits, self._goal_gain

    @property
    @abc.abstractmethod
    def _joint(self) -> JointModel:
        """The joint model whose belief the law reads."""

    @property
    @abc.abstractmethod
    def _weights(self) -> tuple[Array, Array]:
        """W (n, n) and ρ (p, p)."""

    @property
    @abc.abstractmethod
    def _offset_free(self) -> bool:
        """Whether d is cancelled and goals are held exactly, whatever that costs in input."""

    @property
    @abc.abstractmethod
    def _target(self) -> Array:
        """T (n, g), by which a goal says where the state should be."""

    @property
    def _forecasts(self) -> bool:
        """Whether the law reads more of the belief than the physical state."""
        return True

    @cached_property
    def value(self) -> QuadraticValue:
        """The solved value function over the state."""
        return feedback(self._joint, *self._weights)

    @cached_property
    def gain(self) -> Array:
        """Gain (p, N) on the joint states that the law reads: L_x, then L_e, then zeros for the sensors' noise."""
        joint, value = self._joint, self.value
        gain = np.zeros((joint.B.shape[1], joint.size))
        gain[:, : joint.plant] = value.L
        if self._forecasts:
            e = joint.exogenous
            gain[:, e] = forecast_gain(value, joint.F[: joint.plant, e], joint.F[e, e])
            if self._offset_free and joint.disturbances:
                gain[:, joint.plant + joint.process : e.stop] = np.eye(joint.disturbances)
        return gain

    @cached_property
    def _rest(self) -> tuple[Array, Array]:
        """X (n, g) and U (p, g): the state at rest nearest to what a goal wants, by W, and the input that holds it."""
        value, T = self.value, self._target
        free = scipy.linalg.null_space(np.hstack([np.eye(len(T)) - value.A, -value.B]))
        level, axes = np.linalg.eigh(value.weight)
        root = np.sqrt(np.maximum(level, 0.0))[:, None] * axes.T
        rest = free @ np.linalg.pinv(root @ free[: len(T)]) @ root @ T
        return rest[: len(T)], rest[len(T) :]

    @cached_property
    def _goal_gain(self) -> Array:
        """Gain (p, g) on a goal that is held for good."""
        value, T = self.value, self._target
        if self._offset_free:
            X, U = self._rest
            return -(value.L @ X + U)
        g = T.shape[1]
        return forecast_gain(value, np.zeros((len(T), g)), np.eye(g), T)

    @cached_property
    def _limits(self) -> tuple[Array, Array]:
        return bounds(self.limits, self.model.B.shape[1])

    @property
    def _rest_goal(self) -> Array:
        """What a goal that asks for the operating point says."""
        return self._joint.mean[: self._joint.plant]

    def init(self, batch: tuple[int, ...] = ()) -> None:  # noqa: ARG002 (no memory, no batch)
        """Return None: the law has no memory."""
        return None

    def act(self, state: None, belief: Belief, goal: Goal = None) -> tuple[None, Array, ControlInfo]:
        """Return (None, input within the limits (..., p), what it was made of).

        Args:
            state: None.
            belief: of a filter on the same model.
            goal: to hold, (..., n) states, or (..., m) sensors if goals are on those, or a `Preview` of how it moves;
                the operating point by default.

        Raises:
            ShapeError: the belief does not have the joint states that the gain was made for, or the goal's size is off.
        """
        joint, gain, n = self._joint, self.gain, self._joint.plant
        check_belief(belief, n, joint.size if self._forecasts else None)
        unlimited = joint.input - (belief.state - joint.mean[:n]) @ self.value.L.T
        forecast = np.zeros_like(unlimited)
        if self._forecasts:
            forecast = belief.mean[..., joint.exogenous] @ -gain[:, joint.exogenous].T
            unlimited = unlimited + forecast
        if goal is not None:
            moves = wanted(goal, len(self._rest_goal)) - self._rest_goal
            last, T = moves[..., -1:, :], self._target
            unlimited = unlimited - (last @ self._goal_gain.T)[..., 0, :]
            if moves.shape[-2] > 2:
                # What is wanted before the last goal, as a way from that.
                unlimited = unlimited - preview(self.value, (moves[..., 1:-1, :] - last) @ T.T)
        return state, limited(unlimited, *self._limits), ControlInfo(unlimited, forecast)


@dataclass(frozen=True, eq=False)
class LQR(_LinearQuadratic):
    """The linear-quadratic regulator: feeds back the physical state and takes every disturbance for unpredictable.

    With ``integral`` it also cancels the input disturbance d that the filter estimates, which is integral action: no
    offset under a constant disturbance. Source: the discrete algebraic Riccati equation, see
    `pcctrl.controllers.quadratic`.

    Args:
        model: plant.
        state_weight: W, (n, n), its diagonal (n,), or one number.
        action_weight: ρ, (p, p), its diagonal (p,), or one number; positive.
        limits: (low, high) of the input, each one number or (p,).
        integral: cancel d, and hold goals without offset; the model must have a ``disturbance``.

    Raises:
        ModelError: the plant cannot be stabilised.
        ShapeError, ParameterError: a weight or limit of the wrong shape or sign.
    """

    model: LinearModel
    state_weight: ArrayLike
    action_weight: ArrayLike
    limits: tuple[ArrayLike, ArrayLike] | None = None
    integral: bool = False

    def __post_init__(self) -> None:
        if self.integral and self.model.disturbance is None:
            raise ModelError(name="model", expected="a disturbance, for integral action", received=None)
        super().__post_init__()

    @property
    def _joint(self) -> JointModel:
        return self.model.white.joint(0)

    @property
    def _weights(self) -> tuple[Array, Array]:
        n, p = self.model.B.shape
        return (
            cost_matrix("state_weight", self.state_weight, n, definite=False),
            cost_matrix("action_weight", self.action_weight, p, definite=True),
        )

    @property
    def _offset_free(self) -> bool:
        return self.integral

    @property
    def _forecasts(self) -> bool:
        return self.integral

    @property
    def _target(self) -> Array:
        return np.eye(len(self.model.A))


@dataclass(frozen=True, eq=False)
class ExpectedFreeEnergy(_LinearQuadratic):
    r"""Active inference: the input that minimises expected free energy over the generalised state.

    A goal is a prior over future states or sensors with precision Π, an input has a prior of precision ρ about rest;
    the expected free energy of a policy is its risk :math:`\tfrac12\sum (x-g)^\top\Pi(x-g) + u^\top\rho u` plus an
    ambiguity that for a linear sensor does not depend on u. The belief holds generalised coordinates of the
    disturbance, which are a forecast of it, so the minimiser feeds back both: u = −L_x x − L_e e, e = (ŵ, d). With
    white noise there is no e and this is LQR. Source: DESIGN §2.5; Friston et al. 2015 for risk and ambiguity.

    Args:
        model: plant and noise.
        goal_precision: Π, a matrix, its diagonal, or one number; (n, n), or (m, m) for goals on sensors.
        action_precision: ρ, (p, p), its diagonal (p,), or one number; positive.
        order: the filter's order of generalised coordinates (the presets take 5).
        limits: (low, high) of the input, each one number or (p,).
        goals: whether goals are over ``"states"`` or ``"sensors"``.
        offset_free: cancel the input disturbance d, and hold goals exactly, whatever the input that takes; else both
            are traded off against ρ.

    Raises:
        ModelError: the plant cannot be stabilised.
        ShapeError, ParameterError: a precision or limit of the wrong shape or sign.
        UnknownNameError: goals over something else.
    """

    model: LinearModel
    goal_precision: ArrayLike
    action_precision: ArrayLike
    order: int = 4
    limits: tuple[ArrayLike, ArrayLike] | None = None
    goals: Literal["states", "sensors"] = "states"
    offset_free: bool = False

    def __post_init__(self) -> None:
        choose("goals", self.goals, ("states", "sensors"))
        super().__post_init__()

    @property
    def _joint(self) -> JointModel:
        return self.model.joint(self.order)

    @property
    def _weights(self) -> tuple[Array, Array]:
        C, precision = self.model.C, self._goal_precision
        weight = precision if self.goals == "states" else C.T @ precision @ C
        return weight, cost_matrix("action_precision", self.action_precision, self.model.B.shape[1], definite=True)

    @cached_property
    def _goal_precision(self) -> Array:
        size = len(self.model.A) if self.goals == "states" else len(self.model.C)
        return cost_matrix("goal_precision", self.goal_precision, size, definite=False)

    @property
    def _offset_free(self) -> bool:
        return self.offset_free

    @cached_property
    def _target(self) -> Array:
        if self.goals == "states":
            return np.eye(len(self.model.A))
        # Weighed by Π, so that W T = CᵀΠ whatever the sensors have to say about one state.
        level, axes = np.linalg.eigh(self._goal_precision)
        root = np.sqrt(np.maximum(level, 0.0))[:, None] * axes.T
        return np.asarray(np.linalg.pinv(root @ self.model.C) @ root)

    @property
    def _rest_goal(self) -> Array:
        state, _, reading = self.model.operating_point  # type: ignore[misc]
        return np.asarray(state if self.goals == "states" else reading)
