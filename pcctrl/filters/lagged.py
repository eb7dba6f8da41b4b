"""Estimates that wait: fixed-lag smoothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike

from pcctrl.arrays import Array, whole
from pcctrl.filters.belief import Belief, Estimate, Info
from pcctrl.filters.linear import LinearFilter
from pcctrl.filters.recording import check_recording
from pcctrl.filters.recursive import RecursiveFilter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pcctrl.filters.nonlinear import NonlinearFilter
    from pcctrl.models import GeneralisedModel, GenerativeModel, JointModel, LinearModel

__all__ = ["FixedLag"]


@dataclass(frozen=True, eq=False)
class FixedLag(RecursiveFilter):
    r"""A filter that answers ``lag`` samples late, with :math:`E[x_k \mid y_0 \dots y_{k+L}]` for its state.

    The joint state is augmented with the L past physical states, so all else (missing samples, steady gain,
    linearisations) is the filter's own. `run` aligns its answer: ``mean[k]`` is the estimate of x_k. Source: DESIGN
    §2.3.

    Args:
        filter: on a linear or a nonlinear model.
        lag: L, in samples.

    Raises:
        ParameterError: a negative lag.
    """

    filter: LinearFilter | NonlinearFilter
    lag: int

    def __post_init__(self) -> None:
        whole("lag", self.lag)
        _ = self._whole

    @cached_property
    def _whole(self) -> LinearFilter | NonlinearFilter:
        """The filter on the augmented model."""
        if isinstance(self.filter, LinearFilter):
            return _Lagged(self.filter, self.lag)
        return self.filter.remembering(self.lag)

    @property
    def model(self) -> GenerativeModel:
        """The filter's model."""
        return self.filter.model

    @property
    def joint(self) -> JointModel | GeneralisedModel:
        """The augmented model that it believes."""
        return self._whole.joint

    def init(
        self, batch: tuple[int, ...] = (), mean: ArrayLike | None = None, covariance: ArrayLike | None = None
    ) -> Belief:
        """Return the prior at the first sample, its past as it is then; see the filter's."""
        belief = self._whole.init(batch, mean, covariance)
        known = (self.lag + 1) * belief.plant
        every = np.concatenate([*[belief.state] * (self.lag + 1), belief.mean[..., known:]], axis=-1)
        return replace(belief, mean=every)

    def predict(self, belief: Belief, u: ArrayLike | None = None, dt: float | None = None) -> Belief:
        """Return the belief one sample later, as the filter does."""
        return self._whole.predict(belief, u, dt)

    def update(self, belief: Belief, y: ArrayLike, sensors: Sequence[str] | None = None) -> tuple[Belief, Info]:
        """Return the posterior, as the filter does."""
        return self._whole.update(belief, y, sensors)

    def smooth(self, y: ArrayLike, u: ArrayLike | None = None) -> Estimate:
        """Return what has seen the whole recording: that of the filter, which no lag changes."""
        return self.filter.smooth(y, u)

    def run(self, y: ArrayLike, u: ArrayLike | None = None, prior: Belief | None = None) -> Estimate:
        """Return the aligned estimate of a recording: ``mean[k]`` has seen y up to sample k + lag, or to the end.

        Innovations, NIS and free energy are those of the filter at sample k.

        Raises:
            ShapeError, ParameterError: as `RecursiveFilter.run`.
        """
        y, u = check_recording(y, u, len(self.joint.R), self.joint.input)
        T, L = y.shape[-2], self.lag
        later = self._whole.run(
            np.concatenate([y, np.full((*y.shape[:-2], L, y.shape[-1]), np.nan)], axis=-2),
            np.concatenate([u, np.broadcast_to(self.joint.input, (*u.shape[:-2], L, u.shape[-1]))], axis=-2),
            prior,
        )
        at_sample = {name: getattr(later, name)[..., :T, :] for name in ("innovation", "innovation_std")} | {
            name: getattr(later, name)[..., :T] for name in ("nis", "free_energy", "status")
        }
        return Estimate(mean=later.mean[..., L:, :], std=later.std[..., L:, :], **at_sample)


@dataclass(frozen=True, eq=False)
class _Lagged(LinearFilter):
    """A linear filter on its joint model, augmented."""

    filter: LinearFilter
    lag: int

    @property
    def model(self) -> LinearModel:  # type: ignore[override]
        return self.filter.model

    @property
    def precision(self) -> Literal["steady", "carried"]:  # type: ignore[override]
        return self.filter.precision

    @property
    def outlier_threshold(self) -> float | None:  # type: ignore[override]
        return self.filter.outlier_threshold

    def _believed(self, dt: float) -> JointModel:
        joint = self.filter.joint if dt == self.model.dt else self.filter._believed(dt)
        if self.lag == 0:
            return joint
        n, N, past = joint.plant, joint.size, joint.plant * self.lag
        # [x_{k-L}; …; x_{k-1}; μ_k]: each past state takes over from the next, the last of them from x itself.
        F = np.zeros((past + N, past + N))
        F[:past, n : past + n] = np.eye(past)
        F[past:, past:] = joint.F
        pad = [(past, 0), (past, 0)]
        return replace(
            joint,
            F=F,
            Q=np.pad(joint.Q, pad),
            B=np.pad(joint.B, [(past, 0), (0, 0)]),
            C=np.pad(joint.C, [(0, 0), (past, 0)]),
            offset=np.pad(joint.offset, (past, 0)),
            mean=np.concatenate([np.tile(joint.mean[:n], self.lag), joint.mean]),
            process=0,
            disturbances=0,
        )

    def _start(self, plant: Array) -> Array:
        inner = self.filter._start(plant)
        # Before the first sample the past states are as uncertain as the first and say nothing of it.
        past = np.kron(np.eye(self.lag), inner[: len(plant), : len(plant)])
        return np.block([[past, np.zeros((len(past), len(inner)))], [np.zeros((len(inner), len(past))), inner]])
