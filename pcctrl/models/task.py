"""A regulation task: what a controller is asked to do, with which model and within which limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pcctrl.arrays import Array, as_array, as_covariance
from pcctrl.errors import ParameterError

if TYPE_CHECKING:
    from pcctrl.models.linear import LinearModel

__all__ = ["Task"]


@dataclass(frozen=True, eq=False)
class Task:
    """Hold the operating point of ``model`` at the least mean of xᵀWx + uᵀρu a sample.

    Args:
        model: plant, noise and operating point, from which x and u are measured.
        state_weight: W (n, n).
        action_weight: ρ (p, p).
        low: (p,) least input.
        high: (p,) greatest input.

    Raises:
        ShapeError, ParameterError: a weight that is no (semi-)definite matrix of its size, or limits that are none.
    """

    model: LinearModel
    state_weight: Array
    action_weight: Array
    low: Array
    high: Array

    def __post_init__(self) -> None:
        n, p = self.model.B.shape
        as_covariance("state_weight", self.state_weight, n)
        as_covariance("action_weight", self.action_weight, p, definite=True)
        low, high = as_array("low", self.low, (p,)), as_array("high", self.high, (p,))
        if not (low < high).all():
            raise ParameterError(name="low", expected="below high", received=f"{low}, {high}")
