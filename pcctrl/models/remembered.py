"""Generalised models that remember, by state augmentation: what late sensors have yet to show, and past states."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pcctrl.arrays import Array, frozen
from pcctrl.errors import ParameterError
from pcctrl.linalg import block_diag
from pcctrl.models.delayed import Delayed
from pcctrl.models.generalised import GeneralisedModel

__all__ = ["LateModel", "PastModel", "shown"]


def shown(prior: Array, rows: Array, lags: tuple[int, ...]) -> Array:
    """Return the prior (N, N) with, in its last sum(lags) rows, that late sensors show what they see at the start.

    Args:
        prior: (N, N) of all that stands before those rows.
        rows: (m, n) by which the sensors see the first n states.
        lags: (m,) samples.
    """
    lines = slice(len(prior) - sum(lags), len(prior))
    seen = np.zeros((sum(lags), len(prior)))
    seen[:, : rows.shape[1]] = np.repeat(rows, lags, axis=0)
    prior[lines] = seen @ prior
    prior[:, lines] = prior[lines].T
    prior[lines, lines] = seen @ prior @ seen.T
    return prior


@dataclass(frozen=True, eq=False)
class LateModel(GeneralisedModel):
    """The generalised model of a `Delayed` one: after μ stand the clean readings that late sensors have yet to show.

    Args:
        model: with delays.
        order: see `GeneralisedModel`, as for the others.
        process_scale: factor.
        sensor_scale: factor.
        state_noise: variances.
        over: seconds.
        inner: the generalised model without delays.
    """

    model: Delayed
    inner: GeneralisedModel = field(kw_only=True)

    @cached_property
    def _late(self) -> NDArray[np.int64]:
        """The late sensors among all."""
        return np.flatnonzero(self.model.lags)

    @cached_property
    def _lines(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Where among the lines the newest reading of each late sensor stands, and the oldest."""
        lags = np.array(self.model.lags, dtype=np.int64)[self._late]
        ends = np.cumsum(lags)
        return ends - lags, ends - 1

    @cached_property
    def size(self) -> int:
        """Number of joint states N and of readings yet to show."""
        return self.inner.size + sum(self.model.lags)

    @cached_property
    def mean(self) -> Array:
        """Mean before any data."""
        seen = np.repeat(self._seen(self.inner.mean), np.array(self.model.lags)[self._late])
        return frozen(np.concatenate([self.inner.mean, seen]))

    def _seen(self, core: Array) -> Array:
        """Return what the late sensors see now, without their noise (no input reaches them)."""
        x, w, _, _ = self.inner.parts(core)
        return self.model.readout(x, self.input, w @ self.process_chains.H.T)[..., self._late]

    def _shift(self, core: Array, lines: Array) -> Array:
        later = np.concatenate([lines[..., :1], lines[..., :-1]], axis=-1)
        later[..., self._lines[0]] = self._seen(core)
        return later

    def ahead(self, mean: Array, u: Array) -> Array:
        """Return the state one sample later."""
        core, lines = np.split(mean, [self.inner.size], axis=-1)
        return np.concatenate([self.inner.ahead(core, u), self._shift(core, lines)], axis=-1)

    def linearised(self, mean: Array, u: Array) -> tuple[Array, Array, Array]:
        """Return `ahead`, its derivative, and the covariance of what drives it."""
        N = self.inner.size
        core, lines = np.split(mean, [N], axis=-1)
        later, A, driven = self.inner.linearised(core, u)
        F = np.zeros((*mean.shape, self.size))
        F[..., :N, :N] = A
        F[..., N:, N:] = np.eye(self.size - N, k=-1)
        F[..., N + self._lines[0], :] = 0.0
        F[..., N + self._lines[0], :N] = self._rows(core)
        return np.concatenate([later, self._shift(core, lines)], axis=-1), F, self._widened(driven)

    def driven(self, mean: Array, u: Array) -> Array:
        """Return the covariance of what drives the state."""
        return self._widened(self.inner.driven(mean[..., : self.inner.size], u))

    def _widened(self, driven: Array) -> Array:
        return np.pad(driven, [(0, 0)] * (driven.ndim - 2) + [(0, self.size - self.inner.size)] * 2)

    def _rows(self, core: Array) -> Array:
        """Return the derivative of `_seen`."""
        C = self.inner.readout_jacobian(core, self.input)[..., self._late, :].copy()
        C[..., self.plant + self.process :] = 0.0
        return C

    def readout(self, mean: Array, u: Array) -> Array:
        """Return what the sensors show."""
        core, lines = np.split(mean, [self.inner.size], axis=-1)
        y = np.array(self.inner.readout(core, u))
        y[..., self._late] += lines[..., self._lines[1]] - self._seen(core)
        return y

    def readout_jacobian(self, mean: Array, u: Array) -> Array:
        """Return the derivative of `readout`."""
        N = self.inner.size
        C = np.zeros((*mean.shape[:-1], len(self.R), self.size))
        C[..., :N] = self.inner.readout_jacobian(mean[..., :N], u)
        C[..., self._late, : self.plant + self.process + self.disturbances] = 0.0
        C[..., self._late, N + self._lines[1]] = 1.0
        return C

    def prior(self, plant: Array | None = None) -> Array:
        """Return the covariance before any data: a late sensor shows, until its first reading, what it sees there."""
        prior = super().prior(plant)
        if plant is None:
            return prior
        C = self.inner.readout_jacobian(self.inner.mean, self.input)
        return shown(prior, C[:, : self.plant], self.model.lags)

    def resampled(self, dt: float) -> GeneralisedModel:
        """Raise: delays are whole samples.

        Raises:
            ParameterError: always.
        """
        raise ParameterError(name="dt", expected=f"{self.model.dt} (delays have one clock)", received=dt)


@dataclass(frozen=True, eq=False)
class PastModel(GeneralisedModel):
    """Another generalised model with the L past physical states before its own: [x_{k-L}; …; x_{k-1}; μ_k].

    The physical states of what it says are the oldest of them.

    Args:
        model: plant and noise, as for the others that of ``inner``.
        order: see `GeneralisedModel`.
        process_scale: factor.
        sensor_scale: factor.
        state_noise: variances.
        over: seconds.
        inner: the model without its past.
        lag: L.
    """

    inner: GeneralisedModel = field(kw_only=True)
    lag: int = field(kw_only=True)

    @classmethod
    def of(cls, inner: GeneralisedModel, lag: int) -> PastModel:
        """Return ``inner`` with its past."""
        own = (inner.process_scale, inner.sensor_scale, inner.state_noise, inner.over)
        return cls(inner.model, inner.order, *own, inner=inner, lag=lag)

    @property
    def _past(self) -> int:
        return self.lag * self.plant

    @property
    def now(self) -> int:
        """After the past."""
        return self._past

    @property
    def walks(self) -> range:
        """After the past, too."""
        inner = self.inner.walks
        return range(self._past + inner.start, self._past + inner.stop)

    def R_at(self, mean: Array) -> Array:  # noqa: N802
        """Return R as it is at the present state."""
        return self.inner.R_at(mean[..., self._past :])

    @cached_property
    def process(self) -> int:
        """None that a reader of the belief could find after the physical states."""
        return 0

    @cached_property
    def disturbances(self) -> int:
        """None, likewise."""
        return 0

    @cached_property
    def size(self) -> int:
        """Number of past and present states."""
        return self._past + self.inner.size

    @cached_property
    def mean(self) -> Array:
        """Mean before any data."""
        return frozen(np.concatenate([np.tile(self.inner.mean[: self.plant], self.lag), self.inner.mean]))

    def _split(self, mean: Array) -> tuple[Array, Array]:
        """Return the past (..., L, n) and the present."""
        past, core = np.split(mean, [self._past], axis=-1)
        return past.reshape(*past.shape[:-1], self.lag, self.plant), core

    def _join(self, past: Array, core: Array) -> Array:
        return np.concatenate([past.reshape(*past.shape[:-2], -1), core], axis=-1)

    def integrate(self, mean: Array, move: Array) -> Array:
        """Return the state reached by a move in tangent space."""
        (past, core), (way, on) = self._split(mean), self._split(move)
        return self._join(self.model.integrate(past, way), self.inner.integrate(core, on))

    def difference(self, mean: Array, base: Array) -> Array:
        """Return the move from ``base`` to ``mean``."""
        (past, core), (start, at) = self._split(mean), self._split(base)
        return self._join(self.model.difference(past, start), self.inner.difference(core, at))

    def _later(self, mean: Array, core: Array) -> Array:
        past, now = self._split(mean)
        past = np.concatenate([past, now[..., None, : self.plant]], axis=-2)[..., 1:, :]
        return self._join(np.broadcast_to(past, (*core.shape[:-1], *past.shape[-2:])), core)

    def ahead(self, mean: Array, u: Array) -> Array:
        """Return the state one sample later."""
        return self._later(mean, self.inner.ahead(mean[..., self._past :], u))

    def linearised(self, mean: Array, u: Array) -> tuple[Array, Array, Array]:
        """Return `ahead`, its derivative, and the covariance of what drives it."""
        later, A, driven = self.inner.linearised(mean[..., self._past :], u)
        F = np.zeros((*mean.shape, self.size))
        F[..., : self._past, self.plant : self.plant + self._past] = np.eye(self._past)
        F[..., self._past :, self._past :] = A
        return self._later(mean, later), F, self._widened(driven)

    def driven(self, mean: Array, u: Array) -> Array:
        """Return the covariance of what drives the state."""
        return self._widened(self.inner.driven(mean[..., self._past :], u))

    def _widened(self, driven: Array) -> Array:
        return np.pad(driven, [(0, 0)] * (driven.ndim - 2) + [(self._past, 0)] * 2)

    def readout(self, mean: Array, u: Array) -> Array:
        """Return what the sensors read now."""
        return self.inner.readout(mean[..., self._past :], u)

    def readout_jacobian(self, mean: Array, u: Array) -> Array:
        """Return its derivative."""
        C = self.inner.readout_jacobian(mean[..., self._past :], u)
        return np.concatenate([np.zeros((*C.shape[:-1], self._past)), C], axis=-1)

    def prior(self, plant: Array | None = None) -> Array:
        """Return the covariance before any data: of a past that says nothing of the first sample."""
        inner = self.inner.prior(plant)
        past = np.asarray(np.kron(np.eye(self.lag), inner[: self.plant, : self.plant]), dtype=np.float64)
        return block_diag(past, inner)

    def resampled(self, dt: float) -> GeneralisedModel:
        """Return the same over ``dt`` seconds."""
        return PastModel.of(self.inner.resampled(dt), self.lag)
