"""A task: what a controller is asked to do, with which model and within which limits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pcctrl.arrays import Array, as_array, as_covariance, positive, whole
from pcctrl.errors import ModelError, ParameterError
from pcctrl.models.linear import LinearModel
from pcctrl.models.protocol import GenerativeModel

__all__ = ["Task"]


@dataclass(frozen=True, eq=False)
class Task:
    """Bring ``model`` to a goal and hold it there, at the least mean of xᵀWx + uᵀρu a sample.

    The goal is the model's operating point unless the environment says another; x is the move (n,) from it in tangent
    space, u is measured from the input there.

    Args:
        model: plant, noise and operating point.
        state_weight: W (n, n).
        action_weight: ρ (p, p).
        low: (p,) least input.
        high: (p,) greatest input.
        horizon: samples that a planner should look ahead.
        tracks: whether the goal is a motion, told as a `pcctrl.controllers.Preview`, that an input on every joint can
            follow.
        end_weight: cost of being off the goal at the horizon's end, as a multiple of W; by default what holding it
            costs from there on (over beliefs 5), which misleads where a plan begins far from it, as a pole that hangs.

    Raises:
        ShapeError, ParameterError: a weight that is no (semi-)definite matrix of its size or not positive, or limits or
            a horizon that are none.
    """

    model: GenerativeModel
    state_weight: Array
    action_weight: Array
    low: Array
    high: Array
    horizon: int = 50
    tracks: bool = False
    end_weight: float | None = None

    def __post_init__(self) -> None:
        n, p = (len(part) for part in self.model.start[:2])
        whole("horizon", self.horizon, 1)
        if self.end_weight is not None:
            dearest = float(np.abs(self.state_weight).max(initial=0.0))
            if not positive("end_weight", self.end_weight) * dearest < np.inf:
                expected = f"a finite cost with state weights of {dearest:g}"
                raise ParameterError(name="end_weight", expected=expected, received=self.end_weight)
        as_covariance("state_weight", self.state_weight, n)
        as_covariance("action_weight", self.action_weight, p, definite=True)
        low, high = as_array("low", self.low, (p,)), as_array("high", self.high, (p,))
        if not (low < high).all():
            raise ParameterError(name="low", expected="below high", received=f"{low}, {high}")

    @property
    def linear(self) -> LinearModel:
        """The model, if it is linear.

        Raises:
            ModelError: it is not.
        """
        if not isinstance(self.model, LinearModel):
            raise ModelError(name="task", expected="a linear model", received=type(self.model).__name__)
        return self.model
