"""Unbiased active inference for several joints, in its published form."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from pcctrl.arrays import Array, non_negative, positive
from pcctrl.controllers.base import ControlInfo, Goal, limited
from pcctrl.controllers.inverse_dynamics import Integral
from pcctrl.controllers.quadratic import cost_matrix
from pcctrl.controllers.tracking import errors, settle
from pcctrl.filters import Belief

if TYPE_CHECKING:
    from pcctrl.models import Mechanics

__all__ = ["UnbiasedInference"]


@dataclass(frozen=True, eq=False)
class UnbiasedInference:
    r"""Active inference with the goal outside the estimator: each joint descends its own prediction errors.

    .. math:: u = \bar M\bigl(\Pi_0(q_d - \mu) + \Pi_1(\dot q_d - \mu') + \Pi_I\!\int(q_d - \mu)\bigr) + g(\mu)

    The belief μ is a filter's that is not told the goal, so it is not drawn to it. The published law, with precisions
    for gains; its sum is × dt and clamped on both sides, gravity is the model's (a robot of this kind compensates its
    own), and the precisions place the poles of the error at −ω: :math:`\Pi_0 = 3\omega^2, \Pi_1 = 3\omega, \Pi_I =
    \omega^3`. How inertia changes, Coriolis terms and the goal's acceleration are left to the integral.
    Source: Baioumy, Pezzato, Ferrari & Hawes 2022.

    Args:
        mechanics: of the plant, whose gravity is read.
        inertia: M̄ in kg·m², (nv, nv) or its diagonal (nv,): about what the joints have.
        dt: sample time in seconds.
        bandwidth: ω in rad/s.
        rest: state (2 nv,) to hold without a goal.
        clamp: rad/s², what the integral may ask for at most.
        limits: (low, high) of the torques, each one number or (nv,).

    Raises:
        ShapeError, ParameterError: an argument of the wrong shape or sign.
    """

    mechanics: Mechanics
    inertia: ArrayLike
    dt: float
    bandwidth: float
    rest: ArrayLike
    clamp: float = 50.0
    limits: tuple[ArrayLike, ArrayLike] | None = None

    def __post_init__(self) -> None:
        nv = self.mechanics.degrees
        settle(
            self,
            nv,
            inertia=cost_matrix("inertia", self.inertia, nv, definite=True),
            bandwidth=positive("bandwidth", self.bandwidth),
            clamp=non_negative("clamp", self.clamp),
        )

    @cached_property
    def precision(self) -> tuple[float, float, float]:
        """Π₀, Π₁ and Π_I."""
        w = self.bandwidth
        return 3.0 * w**2, 3.0 * w, w**3

    def init(self, batch: tuple[int, ...] = ()) -> Integral:
        """Return an empty memory."""
        return Integral(np.zeros((*batch, self.mechanics.degrees)))

    def act(self, state: Integral, belief: Belief, goal: Goal = None) -> tuple[Integral, Array, ControlInfo]:
        """Return the new memory, the torques within the limits (..., nv), and what they were made of.

        Args:
            state: from `init` or the last call.
            belief: of a filter on the plant.
            goal: states (..., 2 nv), of a `Preview` the first.

        Raises:
            ShapeError: a belief of something else, or a goal of another size.
        """
        nv, (p0, p1, pi) = self.mechanics.degrees, self.precision
        x, _, error, moving = errors(belief, goal, self.rest, self.dt)
        still = np.concatenate([x[..., :nv], np.zeros_like(x[..., nv:])], axis=-1)
        pull = p0 * error + p1 * moving + state.drawn
        unlimited = pull @ np.asarray(self.inertia) + self.mechanics.bias(still)
        u: Array = limited(unlimited, *self.limits)  # type: ignore[misc]
        memory = state.grown(self.dt * pi * np.where(u == unlimited, error, 0.0), self.clamp)
        return memory, u, ControlInfo(unlimited, np.zeros_like(u))
