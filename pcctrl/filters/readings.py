"""No filter at all: the sensors as they read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from pcctrl.arrays import as_floats, frozen
from pcctrl.errors import ShapeError
from pcctrl.filters.belief import Belief, Info
from pcctrl.free_energy import Correction

if TYPE_CHECKING:
    from pcctrl.models import LinearModel

__all__ = ["Readings"]


@dataclass(frozen=True, eq=False)
class Readings:
    """Passes the sensors on to a controller that wants nothing else; a missing one keeps its last value.

    Its belief has the m readings for a state, so it makes no estimate of the physical one.

    Args:
        model: whose sensors are read.
    """

    model: LinearModel
    estimates_state: ClassVar[bool] = False

    @cached_property
    def _correction(self) -> Correction:
        """Nothing is corrected: the readings are the belief, with their own variance, (m, m)."""
        R = self.model.white.joint(0).R
        return Correction(np.eye(len(R)), frozen(np.diag(R)), np.eye(len(R)), R)

    def init(self, batch: tuple[int, ...] = ()) -> Belief:
        """Return the readings at the operating point, (*batch, m)."""
        joint = self.model.white.joint(0)
        mean = np.broadcast_to(
            joint.C @ joint.mean + joint.D @ joint.input + joint.sensor_offset, (*batch, len(joint.C))
        )
        return Belief(mean.copy(), self._correction.covariance, joint.input, mean.shape[-1])

    def predict(self, belief: Belief, u: ArrayLike | None = None, dt: float | None = None) -> Belief:  # noqa: ARG002
        """Return the belief unchanged."""
        return belief

    def update(self, belief: Belief, y: ArrayLike) -> tuple[Belief, Info]:
        """Return the readings ``y`` (..., m) and how they changed; a non-finite one keeps its last value.

        Raises:
            ShapeError: the last dimension of y is not m.
        """
        y = as_floats("y", y, f"(..., {len(self.model.C)})")
        m = len(self.model.C)
        if y.shape[-1:] != (m,):
            raise ShapeError(name="y", expected=f"(..., {m})", received=f"shape {y.shape}")
        present = np.isfinite(y)
        mean = np.where(present, y, belief.mean)
        correction = self._correction
        info = Info(mean - belief.mean, present, correction, None)
        return Belief(mean, correction.covariance, belief.input, m), info

    def step(
        self,
        belief: Belief,
        y: ArrayLike,
        u: ArrayLike | None = None,  # noqa: ARG002
        dt: float | None = None,  # noqa: ARG002
    ) -> tuple[Belief, Info]:
        """Return `update`; there is nothing to predict."""
        return self.update(belief, y)
