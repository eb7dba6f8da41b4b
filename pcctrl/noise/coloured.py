"""Noise with a memory."""

from __future__ import annotations

import abc
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pcctrl.arrays import Array, non_negative, positive, whole
from pcctrl.noise.base import Noise
from pcctrl.noise.streams import AddedStream, Chain, ChainStream, FilteredStream, IndependentStream, NoiseStream

__all__ = ["Coloured", "OrnsteinUhlenbeck", "Smooth"]

# The spectral square root of a Gaussian autocovariance has fallen below 1e-16 of its peak within this many s.
_SUPPORT = 9.0


class Coloured(Noise):
    """Shared by the noises with a marginal ``std`` and a white ``floor`` relative to std² (used for sensors)."""

    std: float
    floor: float

    @property
    def sensor_floor(self) -> float:
        """Return floor · std²."""
        return self.floor * self.std**2

    @abc.abstractmethod
    def _coloured_stream(self, rng: np.random.Generator, dt: float, batch: tuple[int, ...]) -> NoiseStream: ...

    def _stream(self, rng: np.random.Generator, dt: float, batch: tuple[int, ...], *, sensor: bool) -> NoiseStream:
        coloured = self._coloured_stream(rng, dt, batch)
        if not (sensor and self.floor > 0.0):
            return coloured
        return AddedStream((coloured, IndependentStream(rng, float(np.sqrt(self.sensor_floor)), batch)))


@dataclass(frozen=True)
class OrnsteinUhlenbeck(Coloured):
    """Rough noise with autocovariance std²·exp(−|τ|/tau): turbulence, drift; exact in one state.

    Args:
        std: marginal standard deviation of the coloured part.
        tau: correlation time in seconds.
        floor: white variance relative to std², used for sensors.
    """

    std: float
    tau: float
    floor: float = 1e-2

    def __post_init__(self) -> None:
        positive("std", self.std)
        positive("tau", self.tau)
        non_negative("floor", self.floor)

    def chain(self, order: int) -> Chain:
        """Return the one-state chain, exact at every order."""
        whole("order", order)
        rate = 1.0 / self.tau
        return Chain(np.array([[-rate]]), np.array([[2.0 * rate]]), np.array([self.std]))

    def autocovariance(self, lags: ArrayLike) -> Array:
        """Return std²·exp(−|τ|/tau)."""
        return np.asarray(self.std**2 * np.exp(-np.abs(np.asarray(lags, dtype=np.float64)) / self.tau))

    def spectral_density(self, omega: ArrayLike) -> Array:
        """Return 2·std²·tau / (1 + ω²tau²)."""
        return np.asarray(2.0 * self.std**2 * self.tau / (1.0 + (np.asarray(omega) * self.tau) ** 2))

    def _coloured_stream(self, rng: np.random.Generator, dt: float, batch: tuple[int, ...]) -> NoiseStream:
        return ChainStream(self.chain(0), rng, dt, batch)


@dataclass(frozen=True)
class Smooth(Coloured):
    """Smooth noise with autocovariance std²·exp(−τ²/4s²): white noise through a Gaussian filter of width s.

    Args:
        std: marginal standard deviation of the coloured part.
        s: smoothness in seconds.
        floor: white variance relative to std², used for sensors (too small a floor costs more than too large a one).
    """

    std: float
    s: float
    floor: float = 1e-2

    def __post_init__(self) -> None:
        positive("std", self.std)
        positive("s", self.s)
        non_negative("floor", self.floor)

    def chain(self, order: int) -> Chain:
        r"""Return the Hermite chain, :math:`\lambda = 1/(\sqrt2 s)`, ended by white noise at the highest order.

        .. math:: \dot z_k = \lambda(\sqrt{k+1} z_{k+1} - \sqrt k z_{k-1}),\quad
                  \dot z_p = -\lambda\sqrt p z_{p-1} - \gamma z_p + \sqrt{2\gamma}\,\xi,\ \gamma = \lambda\sqrt{p+1}
        """
        whole("order", order)
        rate = 1.0 / (np.sqrt(2.0) * self.s)
        coupling = rate * np.sqrt(np.arange(1.0, order + 1.0))
        A = np.diag(coupling, 1) - np.diag(coupling, -1)
        A[order, order] = -rate * np.sqrt(order + 1.0)
        H = np.zeros(order + 1)
        H[0] = self.std
        return Chain(A, -(A + A.T), H)

    def autocovariance(self, lags: ArrayLike) -> Array:
        """Return std²·exp(−τ²/4s²)."""
        return np.asarray(self.std**2 * np.exp(-((np.asarray(lags, dtype=np.float64) / (2.0 * self.s)) ** 2)))

    def spectral_density(self, omega: ArrayLike) -> Array:
        """Return 2√π·std²·s·exp(−ω²s²)."""
        return np.asarray(2.0 * np.sqrt(np.pi) * self.std**2 * self.s * np.exp(-((np.asarray(omega) * self.s) ** 2)))

    def _coloured_stream(self, rng: np.random.Generator, dt: float, batch: tuple[int, ...]) -> NoiseStream:
        return FilteredStream(self.autocovariance, _SUPPORT * self.s, rng, dt, batch)
