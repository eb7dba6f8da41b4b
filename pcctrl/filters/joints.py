"""A linear filter for the joints of a mechanism, whose inputs it turns into accelerations."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from pcctrl.arrays import frozen, vectors
from pcctrl.filters.recursive import RecursiveFilter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pcctrl.arrays import Array
    from pcctrl.filters.belief import Belief, Estimate, Info
    from pcctrl.filters.linear import LinearFilter
    from pcctrl.models import JointModel, LinearModel, Mechanics

__all__ = ["JointFilter"]


@dataclass(frozen=True, eq=False)
class JointFilter(RecursiveFilter):
    r"""Filters joints as double integrators, driven by the accelerations that the inputs make at the estimate.

    .. math:: a = M(\hat q)^{-1}(u - C\dot{\hat q} - g - D\dot{\hat q})

    What M and the rest get wrong is a disturbance to the inner filter. So the gain stays that of a linear filter,
    steady, and coloured encoders cost no more than a wider product: a step takes a tenth of that of an extended filter.

    Args:
        mechanics: of the plant; None where inputs are not known to have any effect, and all motion is disturbance.
        inner: on `pcctrl.models.free_joints`, of the same plant.
    """

    mechanics: Mechanics | None
    inner: LinearFilter

    @property
    def model(self) -> LinearModel:
        """The joints."""
        return self.inner.model

    @property
    def joint(self) -> JointModel:
        """The joint model that the inner filter believes."""
        return self.inner.joint

    @property
    def is_plain(self) -> bool:
        """Whether an update may be one product with a steady gain: never, for its inputs depend on the estimate."""
        return False

    def run(self, y: ArrayLike, u: ArrayLike | None = None, prior: Belief | None = None) -> Estimate:
        """Filter a recording, with the inputs that hold the operating point if none are given."""
        if u is None and self.mechanics is not None:
            u = np.tile(self._rest, (np.shape(y)[-2], 1))
        return super().run(y, u, prior)

    def init(self, batch: tuple[int, ...] = ()) -> Belief:
        """Return the prior at the first sample, with the input that holds the operating point."""
        belief = self.inner.init(batch)
        return belief if self.mechanics is None else replace(belief, input=self._rest)

    @cached_property
    def _rest(self) -> Array:
        return frozen(np.asarray(self.mechanics.bias(self.joint.mean[: self.joint.plant])))  # type: ignore[union-attr]

    def predict(self, belief: Belief, u: ArrayLike | None = None, dt: float | None = None) -> Belief:
        """Return the belief one sample, or ``dt`` seconds, later under the input ``u`` (..., nv).

        Args:
            belief: after the last update.
            u: as applied, in the unit of the plant; without it the joints go on as they do.
            dt: seconds.

        Raises:
            ShapeError: u of another size.
        """
        return self.inner.predict(belief, self._accelerations(belief, u), dt)

    def _accelerations(self, belief: Belief, u: ArrayLike | None) -> Array | None:
        if u is None or self.mechanics is None:
            return None
        u = vectors("u", u, self.mechanics.degrees)
        M, rest = self.mechanics.terms(belief.state)
        made = np.linalg.solve(M, (u - rest)[..., None])[..., 0]
        return np.asarray(made if np.isfinite(made.sum()) else np.where(np.isfinite(made), made, 0.0), dtype=np.float64)

    def update(self, belief: Belief, y: ArrayLike, sensors: Sequence[str] | None = None) -> tuple[Belief, Info]:
        """Return the posterior after the sample ``y`` (..., m), and what it said: see `LinearFilter.update`."""
        return self.inner.update(belief, y, sensors)
