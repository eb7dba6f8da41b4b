"""A regulation task: what a controller is asked to do, with which model and within which limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pcctrl.arrays import Array

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
    """

    model: LinearModel
    state_weight: Array
    action_weight: Array
    low: Array
    high: Array
