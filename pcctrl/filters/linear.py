"""The engine of all filters on a joint linear model: predict, correct by Bayes' rule, keep what has converged."""

from __future__ import annotations

import abc
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pcctrl.arrays import Array, as_array, as_covariance, choose, frozen, times, vectors
from pcctrl.errors import ParameterError
from pcctrl.filters.belief import ABSURD, Belief, Info
from pcctrl.filters.doubt import PATIENCE, Doubt, weigh
from pcctrl.filters.recording import readings
from pcctrl.filters.recursive import SmoothingFilter
from pcctrl.free_energy import Correction, correct
from pcctrl.linalg import riccati, stationary_covariance

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pcctrl.models import JointModel, LinearModel

__all__ = ["LinearFilter"]

# A carried covariance this close to the steady one, relative to its standard deviations, is replaced by it.
_CONVERGED = 1e-9
# A covariance this many times the prior's is no longer arithmetic but overflow.
_LOST = 1e12


class LinearFilter(SmoothingFilter):
    """Gaussian filtering on a joint model; a filter is a frozen configuration that says which joint model it believes.

    With ``precision="carried"`` the covariance is propagated; with ``"steady"`` it is so until it has converged and
    from then on a step costs two matrix-vector products, falling back around missing samples; the answers agree. With
    an ``outlier_threshold`` a sensor that surprises is given less precision for a while, see `pcctrl.filters.doubt`.

    Raises:
        ModelError: the model is undetectable.
        UnknownNameError: another ``precision``.
    """

    model: LinearModel
    precision: Literal["steady", "carried"]
    outlier_threshold: float | None = None
    outlier_patience: int = PATIENCE

    def __post_init__(self) -> None:
        choose("precision", self.precision, ("steady", "carried"))
        _ = self.steady  # the Riccati equation tells now, not in the loop, whether the model is detectable

    @abc.abstractmethod
    def _believed(self, dt: float) -> JointModel:
        """Return the joint model that this filter makes of its model at sample time ``dt``."""

    @cached_property
    def joint(self) -> JointModel:
        """The joint model that the filter believes."""
        return self._believed(self.model.dt)

    @cached_property
    def steady_prior(self) -> Array:
        """Covariance of the prediction in steady state, (N, N)."""
        joint = self.joint
        P = riccati(joint.F.T, joint.C.T, joint.Q, np.diag(joint.R), name="model", estimation=True)
        return frozen(P)

    @cached_property
    def steady(self) -> Correction:
        """The correction in steady state: gain, innovation covariance and posterior covariance."""
        correction = correct(self.steady_prior, self.joint.C, self.joint.R)
        frozen(correction.gain), frozen(correction.covariance)
        return correction

    @cached_property
    def _prior(self) -> Array:
        """Covariance of the joint state before any data."""
        joint = self.joint
        if joint.prior is None:
            return frozen(joint.stationary()) if joint.is_stable() else self.steady_prior
        return frozen(self._start(joint.prior))

    @cached_property
    def _opening(self) -> Correction:
        """The corrections of whole samples from the model's prior on, stacked, as far as a recording has met them."""
        return Correction(*(part[None] for part in correct(self._prior, self.joint.C, self.joint.R)))

    @cached_property
    def _most(self) -> float:
        """Variance from which a belief is lost."""
        return _LOST * max(1.0, float(self._prior.max()))

    @cached_property
    def _near(self) -> Array:
        """How far each entry of a covariance may be from the steady one to be replaced by it."""
        scale = np.sqrt(np.diagonal(self.steady.covariance))
        return np.asarray(_CONVERGED * np.outer(scale, scale))

    @cached_property
    def _affine(self) -> bool:
        """Whether constants drive the state, or sensors read more than it: most models spare a step these terms."""
        joint = self.joint
        return bool(joint.offset.any() or joint.D.any() or joint.sensor_offset.any())

    def _start(self, plant: Array) -> Array:
        """Return the joint prior of a covariance (n, n) of the plant; chains are stationary, random walks steady."""
        joint = self.joint
        process, last = joint.plant + joint.process, joint.exogenous.stop
        prior = np.zeros((joint.size, joint.size))
        prior[: joint.plant, : joint.plant] = plant
        lines = joint.size - sum(joint.lags)
        for chain in (slice(joint.plant, process), slice(last, lines)):
            prior[chain, chain] = stationary_covariance(joint.F[chain, chain], joint.Q[chain, chain])
        prior[process:last, process:last] = self.steady_prior[process:last, process:last]
        # A delayed sensor shows, until its first reading arrives, what it would have shown at the start.
        shown = np.repeat(self.model.C, joint.lags, axis=0)
        prior[lines:, lines:] = shown @ plant @ shown.T
        prior[lines:, : joint.plant] = shown @ plant
        prior[: joint.plant, lines:] = prior[lines:, : joint.plant].T
        return prior

    @property
    def is_plain(self) -> bool:
        """Whether every update with a steady gain is one Kalman correction: no outlier rule, no slower descent."""
        return self.outlier_threshold is None

    def init(
        self, batch: tuple[int, ...] = (), mean: ArrayLike | None = None, covariance: ArrayLike | None = None
    ) -> Belief:
        """Return the prior at the first sample, to be updated (not predicted) with it.

        Args:
            batch: leading dimensions.
            mean: of the physical states, (n,) or (*batch, n); the operating point by default.
            covariance: of the physical states, (n, n); by default the model's prior, or the stationary one, or for a
                plant that has none the filter's steady prediction.
        """
        n = self.joint.plant
        joint_mean = np.broadcast_to(self.joint.mean, (*batch, self.joint.size)).copy()
        if mean is not None:
            size = (n,) if np.ndim(mean) == 1 else (*batch, n)
            joint_mean[..., :n] = as_array("mean", mean, size)
        P = self._prior
        if covariance is not None:
            P = self._start(as_covariance("covariance", covariance, n))
        return Belief(joint_mean, P, self.joint.input, n)

    def predict(self, belief: Belief, u: ArrayLike | None = None, dt: float | None = None) -> Belief:
        """Return the belief one sample later.

        Args:
            belief: after the last update.
            u: the input (..., p) that was really applied throughout, after saturation; the operating one if None.
            dt: seconds since then, if not the model's sample time.
        """
        joint = self.joint if dt is None or dt == self.model.dt else self._resampled(dt)
        if not float(np.vdot(belief.covariance, belief.covariance)) < ABSURD**2:
            return belief  # it knows nothing; before it overflows it stands still, and the next update resets it
        mean = times(joint.F, belief.mean)
        u = joint.input if u is None else vectors("u", u, len(joint.input))
        mean += times(joint.B, u)
        if self._affine:
            mean += joint.offset
        if joint is self.joint and belief.covariance is self.steady.covariance:
            return Belief(mean, self.steady_prior, u, belief.plant, belief.doubt)
        return Belief(mean, joint.spread(belief.covariance), u, belief.plant, belief.doubt)

    def _resampled(self, dt: float) -> JointModel:
        if any(self.joint.lags):
            raise ParameterError(name="dt", expected=f"{self.model.dt} (delays have one clock)", received=dt)
        return self._believed(dt)

    def update(self, belief: Belief, y: ArrayLike, sensors: Sequence[str] | None = None) -> tuple[Belief, Info]:
        """Return the posterior after the sample ``y`` (..., m), and what it said. A non-finite entry is missing.

        Args:
            belief: the prediction for the sample.
            y: readings of all sensors, or of those in ``sensors`` (..., len(sensors)).
            sensors: names of the sensors that were read, if not all were.

        Raises:
            ShapeError: the last dimension of y is not the number of sensors.
            UnknownNameError: no sensor has that name.
        """
        joint = self.joint
        y = readings(y, sensors, self.model.sensors or ())
        innovation = y - times(joint.C, belief.mean)
        if self._affine:
            innovation = innovation - (times(joint.D, belief.input) + joint.sensor_offset)
        present: NDArray[np.bool_] | None = None
        # One product tells whether all is finite: squares do not cancel.
        if not float(np.vdot(innovation, innovation)) < ABSURD:
            present = np.abs(y) < ABSURD
            innovation = np.where(present, innovation, 0.0)
        P = belief.covariance
        correction, doubt, doubted = self._correction(P, innovation, present, belief.doubt)
        shift, iterations, residual = self._descend(correction, innovation)
        mean = belief.mean + shift
        covariance = self._settle(correction.covariance)
        reset = self._lost(mean, covariance)
        if reset is not None:
            mean = np.where(reset[..., None], self.joint.mean, mean)
            covariance = np.where(reset[..., None, None], self._prior, covariance)
        info = Info(innovation, present, correction, reset, doubt, doubted, iterations, residual)
        return Belief(mean, covariance, belief.input, belief.plant, doubt), info

    def _across(self, belief: Belief, u: Array) -> Array:  # noqa: ARG002 (the same under any)
        return np.asarray(belief.covariance @ self.joint.F.T)

    def _way(self, mean: Array, base: Array) -> Array:
        return mean - base

    def _moved(self, mean: Array, way: Array) -> Array:
        return mean + way

    def _correction(
        self, P: Array, innovation: Array, present: NDArray[np.bool_] | None, doubt: Doubt | None
    ) -> tuple[Correction, Doubt | None, NDArray[np.bool_] | None]:
        """Return the correction of prior P after outliers lost their precision, what to remember, and which did."""
        C, R, doubted = self.joint.C, self.joint.R, None
        if present is not None:
            C, R = C * present[..., :, None], np.where(present, R, 1.0)
        if self.outlier_threshold is not None:
            spread = np.einsum("...ij,...jk,...ik->...i", C, P, C)
            threshold, patience = self.outlier_threshold, self.outlier_patience
            doubt, doubted, R = weigh(innovation, spread, R, threshold, patience, doubt, present)
        if R is self.joint.R and P is self.steady_prior:
            return self.steady, doubt, doubted
        return correct(P, C, R), doubt, doubted

    def _descend(self, correction: Correction, innovation: Array) -> tuple[Array, int, float]:
        """Return how far the mean moves, in how many steps, and how far from the minimum it ends."""
        if correction.gain.ndim == 2:
            return times(correction.gain, innovation), 1, 0.0
        return (correction.gain @ innovation[..., None])[..., 0], 1, 0.0

    def _settle(self, covariance: Array) -> Array:
        """Return the steady posterior itself where ``covariance`` has converged to it."""
        steady = self.steady.covariance
        if self.precision == "carried" or covariance is steady:
            return covariance
        return steady if (np.abs(covariance - steady) <= self._near).all() else covariance

    def _lost(self, mean: Array, covariance: Array) -> NDArray[np.bool_] | None:
        """Tell which members of the batch are no longer finite, or None for none."""
        # No variance is above the limit where all entries together are not.
        limit = self._most
        if float(np.vdot(mean, mean)) < ABSURD and (
            covariance is self.steady.covariance or float(np.vdot(covariance, covariance)) < limit**2
        ):
            return None
        # Of what overflows rounding may leave a variance below 0.
        lost = ~(np.abs(np.diagonal(covariance, axis1=-2, axis2=-1)).max(axis=-1) < limit)
        lost = lost | ~(np.abs(mean).max(axis=-1) < ABSURD)
        return np.asarray(lost) if lost.any() else None
