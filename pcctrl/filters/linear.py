"""The engine of all filters on a joint linear model: predict, correct by Bayes' rule, keep what has converged."""

from __future__ import annotations

import abc
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike

from pcctrl.arrays import Array, as_covariance, choose
from pcctrl.errors import ShapeError
from pcctrl.filters.belief import Belief, Estimate, Info
from pcctrl.free_energy import Correction, correct
from pcctrl.linalg import riccati

if TYPE_CHECKING:
    from pcctrl.models import JointModel, LinearModel

__all__ = ["LinearFilter"]

# A carried covariance this close to the steady one, relative to its standard deviations, is replaced by it.
_CONVERGED = 1e-10
# A covariance this many times the prior's, or a sensor value beyond this, is no longer arithmetic but overflow.
_LOST = 1e12
_ABSURD = 1e100


class LinearFilter(abc.ABC):
    """Gaussian filtering on a joint model; a filter is a frozen configuration that says which joint model it believes.

    With ``precision="carried"`` the covariance is propagated; with ``"steady"`` it is so until it has converged and
    from then on a step costs two matrix-vector products, falling back around missing samples. The answers agree.

    Raises:
        ModelError: the model is undetectable.
        UnknownNameError: another ``precision``.
    """

    model: LinearModel
    precision: Literal["steady", "carried"]

    def __post_init__(self) -> None:
        choose("precision", self.precision, ("steady", "carried"))
        _ = self.steady  # the Riccati equation tells now, not in the loop, whether the model is detectable

    @abc.abstractmethod
    def _believed(self, model: LinearModel) -> JointModel:
        """Return the joint model that this filter makes of ``model``."""

    @cached_property
    def joint(self) -> JointModel:
        """The joint model that the filter believes."""
        return self._believed(self.model)

    @cached_property
    def _steady_prior(self) -> Array:
        joint = self.joint
        return riccati(joint.F.T, joint.C.T, joint.Q, np.diag(joint.R), name="model")

    @cached_property
    def steady(self) -> Correction:
        """The correction in steady state: gain, innovation covariance and posterior covariance."""
        return correct(self._steady_prior, self.joint.C, self.joint.R)

    @cached_property
    def _prior(self) -> Array:
        """Covariance of the joint state before any data."""
        n, joint = self.joint.plant, self.joint
        if joint.prior is None:
            return joint.stationary() if joint.is_stable() else self._steady_prior
        prior = np.eye(joint.size)
        prior[:n, :n] = joint.prior
        return prior

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
            joint_mean[..., :n] = np.asarray(mean, dtype=np.float64)
        P = self._prior
        if covariance is not None:
            P = np.eye(self.joint.size)
            P[:n, :n] = as_covariance("covariance", covariance, n)
        return Belief(joint_mean, P, self.joint.input, n)

    def predict(self, belief: Belief, u: ArrayLike | None = None, dt: float | None = None) -> Belief:
        """Return the belief one sample later.

        Args:
            belief: after the last update.
            u: the input (..., p) that was really applied throughout, after saturation; the operating one if None.
            dt: seconds since then, if not the model's sample time.
        """
        joint = self.joint if dt is None or dt == self.model.dt else self._believed(replace(self.model, dt=dt))
        mean = belief.mean @ joint.F.T + joint.offset
        u = joint.input if u is None else np.asarray(u, dtype=np.float64)
        if u.shape[-1:] != joint.input.shape:
            raise ShapeError(name="u", expected=f"(..., {len(joint.input)})", received=f"shape {u.shape}")
        mean += u @ joint.B.T
        if joint is self.joint and belief.covariance is self.steady.covariance:
            return Belief(mean, self._steady_prior, u, belief.plant)
        P = joint.F @ belief.covariance @ joint.F.T + joint.Q
        return Belief(mean, P, u, belief.plant)

    def update(self, belief: Belief, y: ArrayLike) -> tuple[Belief, Info]:
        """Return the posterior after the sample ``y`` (..., m), and what it said. A non-finite entry is missing.

        Raises:
            ShapeError: the last dimension of y is not m.
        """
        joint = self.joint
        y = np.asarray(y, dtype=np.float64)
        if y.shape[-1:] != joint.R.shape:
            raise ShapeError(name="y", expected=f"(..., {len(joint.R)})", received=f"shape {y.shape}")
        innovation = y - (belief.mean @ joint.C.T + belief.input @ joint.D.T + joint.sensor_offset)
        present = None
        # One reduction tells whether all is finite: NaN and infinity survive a sum.
        if not abs(float(innovation.sum())) < _ABSURD:
            present = np.abs(y) < _ABSURD
            innovation = np.where(present, innovation, 0.0)
        correction = self._correct(belief.covariance, present)
        if correction is self.steady:
            mean = belief.mean + innovation @ correction.gain.T
        else:
            mean = belief.mean + (correction.gain @ innovation[..., None])[..., 0]
        covariance = self._settle(correction.covariance)
        reset = self._lost(mean, covariance)
        if reset is not None:
            mean = np.where(reset[..., None], self.joint.mean, mean)
            covariance = np.where(reset[..., None, None], self._prior, covariance)
        return Belief(mean, covariance, belief.input, belief.plant), Info(innovation, present, correction, reset)

    def step(
        self, belief: Belief, y: ArrayLike, u: ArrayLike | None = None, dt: float | None = None
    ) -> tuple[Belief, Info]:
        """Predict over the time since the last sample, with the ``u`` applied in it, then update with ``y``."""
        return self.update(self.predict(belief, u, dt), y)

    def run(self, y: ArrayLike, u: ArrayLike | None = None) -> Estimate:
        """Filter a recording: y (..., T, m), u (..., T, p) with u[k] held from sample k to k + 1; NaN is missing.

        Raises:
            ShapeError: y or u has the wrong shape.
        """
        m, p = len(self.joint.R), len(self.joint.input)
        y = np.asarray(y, dtype=np.float64)
        if y.ndim < 2 or y.shape[-1] != m:
            raise ShapeError(name="y", expected=f"(..., T, {m})", received=f"shape {y.shape}")
        batch, T = y.shape[:-2], y.shape[-2]
        u = np.zeros((T, p)) + self.joint.input if u is None else np.asarray(u, dtype=np.float64)
        if u.ndim < 2 or u.shape[-2:] != (T, p):
            raise ShapeError(name="u", expected=f"(..., {T}, {p})", received=f"shape {u.shape}")
        n = self.joint.plant
        mean, std = np.empty((*batch, T, n)), np.empty((*batch, T, n))
        e, e_std = np.empty((*batch, T, m)), np.empty((*batch, T, m))
        nis, energy = np.empty((*batch, T)), np.empty((*batch, T))
        status = np.empty((*batch, T), dtype=np.int64)
        belief = self.init(batch)
        for k in range(T):
            if k > 0:
                belief = self.predict(belief, u[..., k - 1, :])
            belief, info = self.update(belief, y[..., k, :])
            mean[..., k, :], std[..., k, :] = belief.state, belief.std
            e[..., k, :] = info.innovation
            e_std[..., k, :] = np.sqrt(np.diagonal(info.innovation_covariance, axis1=-2, axis2=-1))
            nis[..., k], energy[..., k], status[..., k] = info.nis, info.free_energy, info.status
        return Estimate(mean, std, e, e_std, nis, energy, status)

    def _correct(self, P: Array, present: Array | None) -> Correction:
        if present is None:
            return self.steady if P is self._steady_prior else correct(P, self.joint.C, self.joint.R)
        C = self.joint.C * present[..., :, None]
        return correct(P, C, np.where(present, self.joint.R, 1.0))

    def _settle(self, covariance: Array) -> Array:
        """Return the steady posterior itself where ``covariance`` has converged to it."""
        steady = self.steady.covariance
        if self.precision == "carried" or covariance is steady:
            return covariance
        scale = np.sqrt(np.diagonal(steady))
        if np.all(np.abs(covariance - steady) <= _CONVERGED * np.outer(scale, scale)):
            return steady
        return covariance

    def _lost(self, mean: Array, covariance: Array) -> Array | None:
        """Tell which members of the batch are no longer finite, or None for none."""
        fine = abs(float(mean.sum())) < _ABSURD
        if covariance is not self.steady.covariance:
            variance = np.diagonal(covariance, axis1=-2, axis2=-1)
            fine = fine and bool(variance.max() < _LOST * max(1.0, self._prior.max()))
        if fine:
            return None
        limit = _LOST * max(1.0, self._prior.max())
        wide = ~(np.diagonal(covariance, axis1=-2, axis2=-1).max(axis=-1) < limit)
        return np.asarray(wide | ~(np.abs(mean).max(axis=-1) < _ABSURD))
