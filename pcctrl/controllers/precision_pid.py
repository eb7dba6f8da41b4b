"""PID control whose gains are precisions, learned while it acts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from pcctrl.arrays import Array, as_array, non_negative, positive
from pcctrl.controllers.base import ControlInfo, Goal, bounds, limited
from pcctrl.controllers.pid import PID
from pcctrl.errors import ParameterError
from pcctrl.filters import Belief

__all__ = ["ActiveInferencePID", "PrecisionState"]

# Log-precisions this far from where they began (e³ = 20 ×) are kept there: no loop stands more.
_FURTHEST = 3.0


class PrecisionState(NamedTuple):
    """Memory of an active-inference PID.

    Args:
        input: the last input (..., p).
        error: the last error (..., m), or None.
        derivative: the last filtered derivative of the readings (..., m).
        reading: the last readings (..., m).
        log_precision: γ (..., 3, m) of each order, relative to the gains at the start.
        momentum: φ (..., 3, m), 1/s.
    """

    input: Array
    error: Array | None
    derivative: Array
    reading: Array
    log_precision: Array
    momentum: Array


@dataclass(frozen=True, eq=False)
class ActiveInferencePID:
    r"""Action descends the generalised sensory prediction errors, each weighted by its precision.

    With ε = (e, ė, ë) and e = goal − y, under a prior so strong that the goal is what is predicted,

    .. math:: \dot u = \pi_0 K_i e + \pi_1 K_p \dot e + \pi_2 K_d \ddot e, \qquad \pi_i = e^{\gamma_i},

    which for constant precisions is a PID, to rounding. The precisions descend the free energy of those errors,

    .. math:: \dot\phi = -\kappa\,\partial F/\partial\gamma - c\,\phi,\quad \dot\gamma = \phi,\quad
              \partial F/\partial\gamma_i = \tfrac12(\pi_i\epsilon_i^2/\sigma_i^2 - 1) + h\gamma_i,

    so errors smaller than expected raise a gain and larger ones lower it. They stay within e^±3 of where they began.
    Source: Baltieri & Buckley 2019; the hyperprior h and the relative errors are ours.

    Args:
        pid: gains, derivative filter, limits and goal at the start, where all precisions are 1.
        error_std: σ (3, m), the standard deviation that e, ė and ë have while those gains are right.
        learning_rate: κ, 1/s²; 0 for a plain PID.
        decay: c, 1/s, by which the momentum φ is forgotten.
        hyperprior: h, the precision of γ about 0.

    Raises:
        ShapeError, ParameterError: an argument of the wrong shape or sign.
    """

    pid: PID
    error_std: ArrayLike
    learning_rate: float = 1.0
    decay: float = 5.0
    hyperprior: float = 1.0

    def __post_init__(self) -> None:
        m = np.shape(self.pid.kp)[1]
        std = as_array("error_std", self.error_std, (3, m))
        if not (std > 0.0).all():
            raise ParameterError(name="error_std", expected="positive standard deviations", received=std)
        object.__setattr__(self, "error_std", std)
        for name in ("learning_rate", "hyperprior"):
            non_negative(name, getattr(self, name))
        positive("decay", self.decay)

    @property
    def limits(self) -> tuple[Array, Array]:
        """(low, high) of the input, each (p,)."""
        return bounds(self.pid.limits, len(np.asarray(self.pid.kp)))

    @cached_property
    def _gains(self) -> Array:
        """(3, p, m) of e, ė and ë."""
        return np.stack([np.asarray(self.pid.ki), np.asarray(self.pid.kp), np.asarray(self.pid.kd)])

    def init(self, batch: tuple[int, ...] = ()) -> PrecisionState:
        """Return an empty memory, with the precisions of the start."""
        p, m = np.shape(self.pid.kp)
        nothing, orders = np.zeros((*batch, m)), np.zeros((*batch, 3, m))
        rest = np.broadcast_to(np.asarray(self.pid.rest), (*batch, p))
        return PrecisionState(rest, None, nothing, nothing, orders, orders)

    def act(
        self, state: PrecisionState, belief: Belief, goal: Goal = None
    ) -> tuple[PrecisionState, Array, ControlInfo]:
        """Return the new memory, the input within the limits (..., p), and what it was made of.

        Args:
            state: from `init` or the last call.
            belief: the m readings, from `filters.Readings`.
            goal: readings to hold (..., m), of a `Preview` the first; the configured ones by default.

        Raises:
            ShapeError: the belief is not of m readings, or the goal another size.
        """
        dt = self.pid.dt
        begun = state.error is not None
        y = self.pid.readings(belief)
        error = self.pid.error(y, goal)
        derivative = self.pid.derivative(y, state.derivative, state.reading if begun else None)
        moved = error - state.error if state.error is not None else error
        turned = state.derivative - derivative
        precision = np.exp(state.log_precision)
        steps = precision * np.stack([error * dt, moved, turned], axis=-2)
        unlimited = state.input + np.einsum("...im,ipm->...p", steps, self._gains)
        u = limited(unlimited, *self.limits)
        log_precision, momentum = state.log_precision, state.momentum
        if begun and self.learning_rate > 0.0:
            errors = np.stack([error, -derivative, turned / dt], axis=-2) / np.asarray(self.error_std)
            # A thousand times what is expected says no more than that.
            errors = np.clip(errors, -1e3, 1e3)
            slope = 0.5 * (precision * np.square(errors) - 1.0) + self.hyperprior * log_precision
            keep = np.exp(-self.decay * dt)
            # Never further than to the bound within a sample, however large the error.
            momentum = keep * momentum - np.clip(
                (1.0 - keep) / self.decay * self.learning_rate * slope, -1 / dt, 1 / dt
            )
            log_precision = np.clip(log_precision + dt * momentum, -_FURTHEST, _FURTHEST)
        memory = PrecisionState(u, error, derivative, y, log_precision, momentum)
        return memory, u, ControlInfo(unlimited, np.zeros_like(u))
