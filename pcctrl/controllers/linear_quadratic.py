"""LQR and its generalisation, expected free energy on the generalised state."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from pcctrl.arrays import Array
from pcctrl.controllers.base import ControlInfo, bounds, limited
from pcctrl.controllers.quadratic import QuadraticValue, cost_matrix, feedback, forecast_gain, goal_gain
from pcctrl.errors import ShapeError
from pcctrl.filters import Belief

if TYPE_CHECKING:
    from pcctrl.models import JointModel, LinearModel

__all__ = ["LQR", "ExpectedFreeEnergy"]


class _LinearQuadratic(abc.ABC):
    """A stateless law u = ū − L_x (x − x̄) − L_w ŵ − L_g (goal − x̄) within limits."""

    model: LinearModel
    limits: tuple[ArrayLike, ArrayLike] | None

    @property
    @abc.abstractmethod
    def _weights(self) -> tuple[ArrayLike, ArrayLike]:
        """W and ρ."""

    @property
    def _joint(self) -> JointModel:
        """The joint model whose belief the law reads; here the plant alone."""
        return self._white

    @cached_property
    def _white(self) -> JointModel:
        return self.model.white.joint(0)

    @cached_property
    def value(self) -> QuadraticValue:
        """The solved value function over the state."""
        n, p = self.model.B.shape
        weight, rho = self._weights
        return feedback(
            self._joint,
            cost_matrix("state weight", weight, n, definite=False),
            cost_matrix("action weight", rho, p, definite=True),
        )

    @cached_property
    def gain(self) -> Array:
        """Gain (p, N) on the joint states that the law reads: L_x, then L_w on the forecast, then zeros."""
        joint = self._joint
        gain = np.zeros((joint.B.shape[1], joint.size))
        gain[:, : joint.plant] = self.value.L
        gain[:, joint.exogenous] = self._forecast_gain()
        return gain

    def _forecast_gain(self) -> Array:
        return np.zeros((self._joint.B.shape[1], self._joint.process))

    @cached_property
    def _goal_gain(self) -> Array:
        return goal_gain(self.value)

    @cached_property
    def _limits(self) -> tuple[Array, Array]:
        return bounds(self.limits, self.model.B.shape[1])

    def init(self, batch: tuple[int, ...] = ()) -> None:  # noqa: ARG002 (no memory, no batch)
        """Return None: the law has no memory."""
        return None

    def act(self, state: None, belief: Belief, goal: ArrayLike | None = None) -> tuple[None, Array, ControlInfo]:
        """Return (None, input within the limits (..., p), what it was made of).

        Args:
            state: None.
            belief: of a filter on the same model.
            goal: physical state (..., n) to hold, the operating point by default.

        Raises:
            ShapeError: the belief does not have the joint states that the gain was made for.
        """
        joint, gain = self._joint, self.gain
        if belief.plant != joint.plant or (joint.process and belief.mean.shape[-1] != joint.size):
            expected = f"{joint.plant} states" + (f" of {joint.size} joint states" if joint.process else "")
            received = f"{belief.plant} states of {belief.mean.shape[-1]}"
            raise ShapeError(name="belief", expected=expected, received=received)
        exogenous = joint.exogenous
        forecast = belief.mean[..., exogenous] @ -gain[:, exogenous].T
        unlimited = joint.input - (belief.state - joint.mean[: joint.plant]) @ self.value.L.T + forecast
        if goal is not None:
            offset = np.asarray(goal, dtype=np.float64) - joint.mean[: joint.plant]
            if offset.shape[-1:] != (joint.plant,):
                raise ShapeError(name="goal", expected=f"(..., {joint.plant})", received=f"shape {offset.shape}")
            unlimited = unlimited - offset @ self._goal_gain.T
        return state, limited(unlimited, *self._limits), ControlInfo(unlimited, forecast)


@dataclass(frozen=True, eq=False)
class LQR(_LinearQuadratic):
    """The linear-quadratic regulator: feeds back the physical state and takes every disturbance for unpredictable.

    Source: the discrete algebraic Riccati equation, see `pcctrl.controllers.quadratic`.

    Args:
        model: plant.
        state_weight: W, (n, n), its diagonal (n,), or one number.
        action_weight: ρ, (p, p), its diagonal (p,), or one number; positive.
        limits: (low, high) of the input, each one number or (p,).

    Raises:
        ModelError: the plant cannot be stabilised.
        ShapeError, ParameterError: a weight or limit of the wrong shape or sign.
    """

    model: LinearModel
    state_weight: ArrayLike
    action_weight: ArrayLike
    limits: tuple[ArrayLike, ArrayLike] | None = None

    def __post_init__(self) -> None:
        _ = self.gain, self._limits

    @property
    def _weights(self) -> tuple[ArrayLike, ArrayLike]:
        return self.state_weight, self.action_weight


@dataclass(frozen=True, eq=False)
class ExpectedFreeEnergy(_LinearQuadratic):
    r"""Active inference: the input that minimises expected free energy over the generalised state.

    A goal is a prior over future states with precision Π, an input has a prior of precision ρ about rest; the expected
    free energy of a policy is its risk :math:`\tfrac12\sum (x-g)^\top\Pi(x-g) + u^\top\rho u` plus an ambiguity that
    for a linear sensor does not depend on u. The belief holds generalised coordinates of the disturbance, which are a
    forecast of it, so the minimiser feeds back both: u = −L_x x − L_w ŵ. With white noise there is no ŵ and this is
    LQR. Source: DESIGN §2.5; Friston et al. 2015 for risk and ambiguity.

    Args:
        model: plant and noise.
        goal_precision: Π, (n, n), its diagonal (n,), or one number.
        action_precision: ρ, (p, p), its diagonal (p,), or one number; positive.
        order: the filter's order of generalised coordinates.
        limits: (low, high) of the input, each one number or (p,).

    Raises:
        ModelError: the plant cannot be stabilised.
        ShapeError, ParameterError: a precision or limit of the wrong shape or sign.
    """

    model: LinearModel
    goal_precision: ArrayLike
    action_precision: ArrayLike
    order: int = 4
    limits: tuple[ArrayLike, ArrayLike] | None = None

    def __post_init__(self) -> None:
        _ = self.gain, self._limits

    @property
    def _weights(self) -> tuple[ArrayLike, ArrayLike]:
        return self.goal_precision, self.action_precision

    @property
    def _joint(self) -> JointModel:
        return self.model.joint(self.order)

    def _forecast_gain(self) -> Array:
        joint = self._joint
        e = joint.exogenous
        return forecast_gain(self.value, joint.F[: joint.plant, e], joint.F[e, e])
