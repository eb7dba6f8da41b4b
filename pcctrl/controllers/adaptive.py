"""Adaptive control of a mechanism: Slotine and Li's, and by a model reference."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from pcctrl.arrays import Array, as_array, non_negative, per_item, positive
from pcctrl.controllers.base import ControlInfo, Goal, bounds, limited
from pcctrl.controllers.modal import ModalBandwidth, Modes, as_bandwidth, modes_at, no_modes, turned
from pcctrl.controllers.quadratic import cost_matrix
from pcctrl.controllers.tracking import Follower, errors, reference, settle
from pcctrl.errors import ParameterError
from pcctrl.filters import Belief

if TYPE_CHECKING:
    from pcctrl.models import Mechanics

__all__ = ["Gains", "ModelReferenceAdaptive", "Parameters", "SlotineLi"]


class Parameters(NamedTuple):
    """Memory of `SlotineLi`.

    Args:
        value: θ (..., k), in the units of `Mechanics.parameters`.
        modes: of a bandwidth that follows the arm, or None.
    """

    value: Array
    modes: Modes | None = None


@dataclass(frozen=True, eq=False)
class SlotineLi(Follower):
    r"""Adaptive computed torque, which needs no acceleration and keeps the sliding error from growing.

    .. math:: \dot q_r = \dot q_d + \Omega e,\quad s = \dot q - \dot q_r,\qquad
              u = M\ddot q_r + C\dot q_r + g + D\dot q_r + Y\hat\theta - M\Omega s,\qquad
              \dot{\hat\theta} = -\Gamma Y^\top s - \sigma\hat\theta

    Without a leak :math:`\tfrac12 s^\top Ms + \tfrac12|\hat\theta - \theta|^2_{\Gamma^{-1}}` never grows: the error
    goes to 0 whatever θ does, and θ to the truth where the motion excites it. Parameters are kept within bounds, and
    stand still while a torque is at its limit. With all θ known the error has its poles at −ω, as in `ComputedTorque`.
    A matrix Ω must leave MΩ + ΩM positive definite, as that of `ModalBandwidth` does, whose own change is left out.
    Source: Slotine & Li 1987; the leak of Ioannou & Kokotović 1984.

    Args:
        mechanics: of the plant, with the parameters that are learned.
        dt: sample time in seconds.
        bandwidth: Ω in rad/s: one number, one for each joint (nv,), a symmetric matrix (nv, nv), or one that follows
            the arm, `ModalBandwidth`.
        rest: state (2 nv,) to hold without a goal.
        rates: Γ, (k,) or one number, in the square of a parameter's unit per J.
        low: (k,) or one number, least parameters.
        high: (k,) or one number, greatest parameters.
        leak: σ in 1/s.
        limits: (low, high) of the torques, each one number or (nv,).

    Raises:
        ShapeError, ParameterError: an argument of the wrong shape or sign.
    """

    mechanics: Mechanics
    dt: float
    bandwidth: ArrayLike | ModalBandwidth
    rest: ArrayLike
    rates: ArrayLike
    low: ArrayLike = -np.inf
    high: ArrayLike = np.inf
    leak: float = 0.0
    limits: tuple[ArrayLike, ArrayLike] | None = None

    def __post_init__(self) -> None:
        nv, k = self.mechanics.degrees, len(self.mechanics.parameters)
        rates = per_item("rates", self.rates, k)
        if (rates < 0.0).any():
            raise ParameterError(name="rates", expected="numbers of at least 0", received=self.rates)
        low, high = bounds((self.low, self.high), k)
        bandwidth = as_bandwidth(self.bandwidth, nv)
        leak = non_negative("leak", self.leak)
        settle(self, nv, bandwidth=bandwidth, rates=rates, low=low, high=high, leak=leak)

    def init(self, batch: tuple[int, ...] = ()) -> Parameters:
        """Return parameters of 0, or the bound nearest to it: the model as it is."""
        start = limited(np.zeros(len(self.mechanics.parameters)), np.asarray(self.low), np.asarray(self.high))
        modes = no_modes(self.bandwidth, self.mechanics.degrees, batch)
        return Parameters(np.broadcast_to(start, (*batch, len(start))).copy(), modes)

    def act(self, state: Parameters, belief: Belief, goal: Goal = None) -> tuple[Parameters, Array, ControlInfo]:
        """Return the new parameters, the torques within the limits (..., nv), and what they were made of.

        Args:
            state: from `init` or the last call.
            belief: of a filter on the plant.
            goal: states (..., 2 nv), of a `Preview` as they will be.

        Raises:
            ShapeError: a belief of something else, or a goal of another size.
        """
        nv = self.mechanics.degrees
        x, now, error, moving = errors(belief, goal, self.rest, self.dt)
        modes, omega = modes_at(self.bandwidth, state.modes, now.position)
        rate, acceleration = now.rate + turned(omega, error), now.acceleration + turned(omega, moving)
        sliding = x[..., nv:] - rate
        # − M Ω s is in the acceleration asked for.
        Y = self.mechanics.regressor(x, acceleration, rate)
        learned = (Y @ state.value[..., None])[..., 0]
        unlimited = self.mechanics.inverse(x, acceleration - turned(omega, sliding), rate) + learned
        u = limited(unlimited, *self.limits)  # type: ignore[misc]
        descent = np.asarray(self.rates) * (np.swapaxes(Y, -1, -2) @ sliding[..., None])[..., 0]
        value = state.value - self.dt * (descent + self.leak * state.value)
        value = limited(value, np.asarray(self.low), np.asarray(self.high))
        free = (u == unlimited).all(axis=-1, keepdims=True)
        return Parameters(np.where(free, value, state.value), modes), u, ControlInfo(unlimited, learned)

    def feedforward(self, state: Parameters, belief: Belief, goal: Goal = None) -> Array:  # noqa: ARG002
        """Return the torques (..., nv) that the goal itself takes, with the parameters as they have been learned."""
        now = reference(goal, np.asarray(self.rest), self.dt)
        Y = self.mechanics.regressor(now.state, now.acceleration)
        return self.mechanics.inverse(now.state, now.acceleration) + (Y @ state.value[..., None])[..., 0]


class Gains(NamedTuple):
    """Memory of `ModelReferenceAdaptive`.

    Args:
        learned: (..., nv, 6) integrals of the weighted error times each signal.
    """

    learned: Array


@dataclass(frozen=True, eq=False)
class ModelReferenceAdaptive:
    r"""Model-reference adaptive control, joint by joint, without the equations of the arm.

    .. math:: u = \bar u + \bar M\bigl(f + k_0 e + k_1\dot e + k_2(q_d - \bar q) + k_3\dot q_d + k_4\ddot q_d\bigr),
              \quad \epsilon = p_2 e + p_3\dot e

    Each of the gains is :math:`\bar k + \beta\epsilon\phi + \int(\alpha\epsilon\phi - \sigma(k - \bar k))`, where φ is
    its signal over 1 and the squares of all five; and so is f, with φ = 1 and no leak. It is the structure of
    Pezzato, Ferrari & Hernández Corbato 2020
    with the goal for a reference model, sums that are × dt, memories of their own, feedforward of the goal's motion,
    and a leak. The error is to behave as :math:`(s + \omega)^2`, so :math:`p_2 = \omega^2, p_3 = \omega`, which are an
    acceleration: 2ω² times what solves its Lyapunov equation for Q = diag(ω², 1). (The published ones do so for ω = 2
    and Q = I, which at another ω would weigh rates as if they had no unit.)
    Source: Seraji 1989; Pezzato, Ferrari & Hernández Corbato 2020.

    Args:
        inertia: M̄ in kg·m², (nv, nv) or its diagonal (nv,): about what the joints have.
        dt: sample time in seconds.
        bandwidth: ω in rad/s.
        rest: state (2 nv,) to hold without a goal; its positions are q̄.
        bias: ū (nv,), the torques that hold it there.
        rate: α in 1/s of all gains, of the order of ω.
        jump: β, in seconds to the power that makes it fit, 0 for none.
        leak: σ in 1/s.
        limits: (low, high) of the torques, each one number or (nv,).

    Raises:
        ShapeError, ParameterError: an argument of the wrong shape or sign.
    """

    inertia: ArrayLike
    dt: float
    bandwidth: float
    rest: ArrayLike
    bias: ArrayLike
    rate: float
    jump: float = 0.0
    leak: float = 0.0
    limits: tuple[ArrayLike, ArrayLike] | None = None

    def __post_init__(self) -> None:
        bias = as_array("bias", self.bias, ("nv",))
        inertia = cost_matrix("inertia", self.inertia, len(bias), definite=True)
        others = {name: non_negative(name, getattr(self, name)) for name in ("rate", "jump", "leak")}
        settle(self, len(bias), inertia=inertia, bias=bias, bandwidth=positive("bandwidth", self.bandwidth), **others)

    @cached_property
    def _first(self) -> Array:
        """Gains (6,) to begin with."""
        w = self.bandwidth
        return np.array([0.0, w**2, 2.0 * w, 0.0, 0.0, 1.0])

    @cached_property
    def _leaks(self) -> Array:
        """Leaks (6,): f has none, which would be an offset."""
        return np.array([0.0, *np.full(5, self.leak)])

    def init(self, batch: tuple[int, ...] = ()) -> Gains:
        """Return what has been learned at the start: nothing."""
        return Gains(np.zeros((*batch, np.shape(self.bias)[0], 6)))

    def act(self, state: Gains, belief: Belief, goal: Goal = None) -> tuple[Gains, Array, ControlInfo]:
        """Return the new gains, the torques within the limits (..., nv), and what they were made of.

        Args:
            state: from `init` or the last call.
            belief: of a filter on the plant.
            goal: states (..., 2 nv), of a `Preview` as they will be.

        Raises:
            ShapeError: a belief of something else, or a goal of another size.
        """
        w, rest = self.bandwidth, np.asarray(self.rest)
        _, now, error, moving = errors(belief, goal, rest, self.dt)
        signals = np.empty((*error.shape, 6))
        parts = (1.0, error, moving, now.position - rest[: len(rest) // 2], now.rate, now.acceleration)
        for i, part in enumerate(parts):
            signals[..., i] = part
        drive = (w**2 * error + w * moving)[..., None] * signals
        drive[..., 1:] /= 1.0 + (signals[..., 1:] ** 2).sum(axis=-1, keepdims=True)
        drawn = ((self._first + state.learned + self.jump * drive) * signals).sum(axis=-1)
        unlimited = np.asarray(self.bias) + drawn @ np.asarray(self.inertia)
        u = limited(unlimited, *self.limits)  # type: ignore[misc]
        learned = state.learned + self.dt * (self.rate * drive - self._leaks * state.learned)
        free = (u == unlimited).all(axis=-1)[..., None, None]
        return Gains(np.where(free, learned, state.learned)), u, ControlInfo(unlimited, np.zeros_like(u))
