"""What every noise offers, and white noise."""

from __future__ import annotations

import abc
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pcctrl.arrays import Array, positive, whole
from pcctrl.errors import ParameterError
from pcctrl.linalg import block_diag
from pcctrl.noise.streams import AddedStream, Chain, IndependentStream, NoiseStream

__all__ = ["Noise", "Sum", "White"]


class Noise(abc.ABC):
    """What every noise offers. ``std`` and the samples are in the unit of the signal, times in seconds."""

    @abc.abstractmethod
    def chain(self, order: int) -> Chain:
        """Return the chain that models the coloured part with ``order`` + 1 states (none for white noise).

        Raises:
            ParameterError: a negative order.
        """

    @abc.abstractmethod
    def autocovariance(self, lags: ArrayLike) -> Array:
        """Return the autocovariance of the coloured part (for `White` of the noise itself) at ``lags`` in seconds."""

    @abc.abstractmethod
    def spectral_density(self, omega: ArrayLike) -> Array:
        """Return the two-sided spectral density S(ω), ω in rad/s: the Fourier transform of the autocovariance.

        For `White` by ``std`` it is zero: without a sample time it has no power.
        """

    @abc.abstractmethod
    def _stream(self, rng: np.random.Generator, dt: float, batch: tuple[int, ...], *, sensor: bool) -> NoiseStream: ...

    def __add__(self, other: Noise) -> Noise:
        """Return the noise of two independent causes: their chains are stacked, their floors added."""
        return Sum((*_terms(self), *_terms(other))) if isinstance(other, Noise) else NotImplemented

    @property
    def variance(self) -> float:
        """Marginal variance of the coloured part."""
        H = self.chain(0).H
        return float(H @ H)

    @property
    def correlation_time(self) -> float:
        """Integral of the coloured part's autocorrelation over positive lags, in seconds; 0 for white noise."""
        power = float(self.spectral_density(np.zeros(1))[0]) - self.density**2
        return 0.5 * power / self.variance if self.variance > 0.0 else 0.0

    @property
    @abc.abstractmethod
    def sensor_floor(self) -> float:
        """White variance per sample that a sensor with this noise has beside its chain."""

    @property
    def density(self) -> float:
        """White amplitude density per √Hz that a process with this noise has beside its chain."""
        return 0.0

    @property
    def is_process(self) -> bool:
        """Whether the noise can drive a process: it must have power per Hz, which white noise per sample has not."""
        return True

    def whitened(self, dt: float, *, sensor: bool) -> White:
        """Return the white noise with the same marginal variance at sample time ``dt``: what a Kalman filter assumes.

        As a sensor the floor counts in; as a process the noise is held over ``dt``, so std² counts as density² / dt.
        """
        if sensor:
            return White(std=float(np.sqrt(self.variance + self.sensor_floor)))
        return White(density=float(np.sqrt(self.variance * dt + self.density**2)))

    def stream(
        self, rng: np.random.Generator, dt: float, batch: tuple[int, ...] = (), *, sensor: bool = False
    ) -> NoiseStream:
        """Return an endless stationary realisation sampled every ``dt`` seconds; ``sensor`` adds the white floor."""
        return self._stream(rng, positive("dt", dt), batch, sensor=sensor)

    def sample(
        self, rng: np.random.Generator, steps: int, dt: float, batch: tuple[int, ...] = (), *, sensor: bool = False
    ) -> Array:
        """Return a stationary realisation, shape (*batch, steps), one sample every ``dt`` seconds.

        Its autocovariance is `autocovariance` at multiples of ``dt``; with ``sensor=True`` the white floor is added.
        White noise given by density is held over ``dt``: each sample has standard deviation density / √dt.

        Raises:
            ParameterError: ``dt`` is not positive, or ``steps`` is negative.
        """
        whole("steps", steps)
        return self.stream(rng, dt, batch, sensor=sensor).draw(steps)


@dataclass(frozen=True)
class White(Noise):
    """White noise, for a sensor by ``std`` or for a process by ``density``; exactly one of them.

    Args:
        std: standard deviation of each sample, in the unit of the signal.
        density: amplitude density in that unit per √Hz.

    Raises:
        ParameterError: both or neither given, or the one given is not positive.
    """

    std: float | None = None
    density: float = 0.0

    def __post_init__(self) -> None:
        if (self.std is None) == (self.density == 0.0):
            raise ParameterError(
                name="White",
                expected="either std (per sample) or density (per √Hz)",
                received=f"{self.std}, {self.density}",
            )
        if self.std is None:
            positive("density", self.density)
        else:
            positive("std", self.std)

    def chain(self, order: int) -> Chain:
        """Return the empty chain: white noise has no predictable part."""
        whole("order", order)
        return Chain(np.zeros((0, 0)), np.zeros((0, 0)), np.zeros(0))

    def autocovariance(self, lags: ArrayLike) -> Array:
        """Return std² (or infinity, if given by density) at lag 0 and 0 elsewhere."""
        peak = np.inf if self.std is None else self.std**2
        return np.where(np.asarray(lags, dtype=np.float64) == 0.0, peak, 0.0)

    def spectral_density(self, omega: ArrayLike) -> Array:
        """Return density² at every frequency."""
        return np.full(np.shape(omega), self.density**2)

    @property
    def sensor_floor(self) -> float:
        """Return std²: the whole of a white sensor's variance."""
        return 0.0 if self.std is None else self.std**2

    @property
    def is_process(self) -> bool:
        """Whether it was given by density."""
        return self.std is None

    def _stream(
        self,
        rng: np.random.Generator,
        dt: float,
        batch: tuple[int, ...],
        *,
        sensor: bool,  # noqa: ARG002 (it is all floor)
    ) -> NoiseStream:
        return IndependentStream(rng, self.density / np.sqrt(dt) if self.std is None else self.std, batch)


@dataclass(frozen=True)
class Sum(Noise):
    """Independent noises added up: ``OrnsteinUhlenbeck(…) + Smooth(…)`` for wind beside a motor's ripple.

    Args:
        terms: the noises.

    Raises:
        ParameterError: fewer than two terms, or one that is no noise.
    """

    terms: tuple[Noise, ...]

    def __post_init__(self) -> None:
        if len(self.terms) < 2 or not all(isinstance(t, Noise) for t in self.terms):
            raise ParameterError(name="terms", expected="two noises or more", received=self.terms)

    def chain(self, order: int) -> Chain:
        """Return the chains of all terms side by side."""
        chains = [t.chain(order) for t in self.terms]
        A, Q = block_diag(*(c.A for c in chains)), block_diag(*(c.Q for c in chains))
        return Chain(A, Q, np.concatenate([c.H for c in chains]))

    def autocovariance(self, lags: ArrayLike) -> Array:
        """Return the sum of the terms' autocovariances."""
        return np.asarray(sum(t.autocovariance(lags) for t in self.terms))

    def spectral_density(self, omega: ArrayLike) -> Array:
        """Return the sum of the terms' spectral densities."""
        return np.asarray(sum(t.spectral_density(omega) for t in self.terms))

    @property
    def sensor_floor(self) -> float:
        """Return the sum of the terms' floors."""
        return sum(t.sensor_floor for t in self.terms)

    @property
    def density(self) -> float:
        """Return the root sum of squares of the terms' densities."""
        return float(np.sqrt(sum(t.density**2 for t in self.terms)))

    @property
    def is_process(self) -> bool:
        """Whether every term can drive a process."""
        return all(t.is_process for t in self.terms)

    def _stream(self, rng: np.random.Generator, dt: float, batch: tuple[int, ...], *, sensor: bool) -> NoiseStream:
        return AddedStream(tuple(t.stream(rng, dt, batch, sensor=sensor) for t in self.terms))


def _terms(noise: Noise) -> tuple[Noise, ...]:
    return noise.terms if isinstance(noise, Sum) else (noise,)
