"""What every filter that predicts and updates makes of the two: a step, and a recording."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, cast

from numpy.typing import ArrayLike

from pcctrl.filters.belief import Belief, Estimate, Info
from pcctrl.filters.recording import run, smooth

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pcctrl.arrays import Array
    from pcctrl.filters.linear import LinearFilter
    from pcctrl.filters.nonlinear import NonlinearFilter

__all__ = ["RecursiveFilter", "SmoothingFilter"]


class RecursiveFilter(abc.ABC):
    """A filter by prediction and update, each a pure function of a belief."""

    @abc.abstractmethod
    def predict(self, belief: Belief, u: ArrayLike | None = None, dt: float | None = None) -> Belief:
        """Return the belief one sample, or ``dt`` seconds, later under the input ``u`` (..., p)."""

    @abc.abstractmethod
    def update(self, belief: Belief, y: ArrayLike, sensors: Sequence[str] | None = None) -> tuple[Belief, Info]:
        """Return the posterior after the sample ``y`` (..., m), and what it said."""

    def step(
        self, belief: Belief, y: ArrayLike, u: ArrayLike | None = None, dt: float | None = None
    ) -> tuple[Belief, Info]:
        """Predict over the time since the last sample, with the ``u`` applied in it, then update with ``y``."""
        return self.update(self.predict(belief, u, dt), y)

    def run(self, y: ArrayLike, u: ArrayLike | None = None, prior: Belief | None = None) -> Estimate:
        """Filter a recording: y (..., T, m), u (..., T, p) with u[k] held from sample k to k + 1; NaN is missing.

        Args:
            y: samples.
            u: inputs, the operating one throughout if None.
            prior: belief at the first sample, from `init`; by default the one without arguments.

        Raises:
            ShapeError: y or u has the wrong shape.
            ParameterError: the recording is NaN throughout.
        """
        return run(cast("LinearFilter | NonlinearFilter", self), y, u, prior)


class SmoothingFilter(RecursiveFilter):
    """One that can go back over a recording."""

    def smooth(self, y: ArrayLike, u: ArrayLike | None = None) -> Estimate:
        r"""Return the fixed-interval smoothed estimate of a recording, :math:`E[x_k \mid y_0 \dots y_{T-1}]`.

        Innovations, NIS and free energy are the filter's. For a nonlinear model it goes back by the filter's own
        linearisations, or sigma points. Source: Rauch, Tung & Striebel 1965; Särkkä 2008 for sigma points.

        Args:
            y: (..., T, m); NaN is missing.
            u: (..., T, p), held from sample k to k + 1.

        Raises:
            ShapeError, ParameterError: as `run`.
        """
        return smooth(cast("LinearFilter | NonlinearFilter", self), y, u)

    @abc.abstractmethod
    def _across(self, belief: Belief, u: Array) -> Array:
        """Return the covariance (..., N, N) of the state with what it will be one sample later under u (..., p)."""

    @abc.abstractmethod
    def _way(self, mean: Array, base: Array) -> Array:
        """Return the move (..., N) from ``base`` to ``mean``."""

    @abc.abstractmethod
    def _moved(self, mean: Array, way: Array) -> Array:
        """Return the joint state (..., N) reached from ``mean`` by a move."""
