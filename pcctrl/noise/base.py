"""What every noise offers, and white noise."""

from __future__ import annotations

import abc
from dataclasses import dataclass

import numpy as np

from pcctrl.arrays import Array, positive
from pcctrl.errors import ParameterError
from pcctrl.noise.streams import AddedStream, Chain, IndependentStream, NoiseStream

__all__ = ["Noise", "White", "check_order"]


class Noise(abc.ABC):
    """What every noise offers. ``std`` and the samples are in the unit of the signal, times in seconds."""

    @abc.abstractmethod
    def chain(self, order: int) -> Chain:
        """Return the chain that models the coloured part with ``order`` + 1 states (none for white noise).

        Raises:
            ParameterError: a negative order.
        """

    @abc.abstractmethod
    def autocovariance(self, lags: Array) -> Array:
        """Return the autocovariance of the coloured part (for `White` of the noise itself) at ``lags`` in seconds."""

    @abc.abstractmethod
    def spectral_density(self, omega: Array) -> Array:
        """Return the two-sided spectral density S(ω), ω in rad/s: the Fourier transform of the autocovariance.

        For `White` by ``std`` it is zero: without a sample time it has no power.
        """

    @abc.abstractmethod
    def _coloured_stream(self, rng: np.random.Generator, dt: float, batch: tuple[int, ...]) -> NoiseStream: ...

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

    @abc.abstractmethod
    def whitened(self, dt: float, *, sensor: bool) -> White:
        """Return the white noise with the same marginal variance at sample time ``dt``: what a Kalman filter assumes.

        As a sensor the floor counts in; as a process the noise is held over ``dt``, so its density is std·√dt.
        """

    def stream(
        self, rng: np.random.Generator, dt: float, batch: tuple[int, ...] = (), *, sensor: bool = False
    ) -> NoiseStream:
        """Return an endless stationary realisation sampled every ``dt`` seconds; ``sensor`` adds the white floor."""
        coloured = self._coloured_stream(rng, positive("dt", dt), batch)
        if sensor and self.sensor_floor > 0.0 and not isinstance(self, White):
            return AddedStream(coloured, IndependentStream(rng, np.sqrt(self.sensor_floor), batch))
        return coloured

    def sample(
        self, rng: np.random.Generator, steps: int, dt: float, batch: tuple[int, ...] = (), *, sensor: bool = False
    ) -> Array:
        """Return a stationary realisation, shape (*batch, steps), one sample every ``dt`` seconds.

        Its autocovariance is `autocovariance` at multiples of ``dt``; with ``sensor=True`` the white floor is added.
        White noise given by density is held over ``dt``: each sample has standard deviation density / √dt.

        Raises:
            ParameterError: ``dt`` is not positive, or ``steps`` is negative.
        """
        if steps < 0:
            raise ParameterError(name="steps", expected="at least 0", received=steps)
        return self.stream(rng, dt, batch, sensor=sensor).draw(steps)


@dataclass(frozen=True)
class White(Noise):
    """White noise: ``std`` per sample for a sensor, or ``density`` per √Hz for a process; exactly one of them.

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
        check_order(order)
        return Chain(np.zeros((0, 0)), np.zeros((0, 0)), np.zeros(0))

    def autocovariance(self, lags: Array) -> Array:
        """Return std² (or infinity, if given by density) at lag 0 and 0 elsewhere."""
        peak = np.inf if self.std is None else self.std**2
        return np.where(np.asarray(lags, dtype=np.float64) == 0.0, peak, 0.0)

    def spectral_density(self, omega: Array) -> Array:
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

    def whitened(self, dt: float, *, sensor: bool) -> White:  # noqa: ARG002 (it is the same at every dt)
        """Return this noise."""
        return self

    def _coloured_stream(self, rng: np.random.Generator, dt: float, batch: tuple[int, ...]) -> NoiseStream:
        return IndependentStream(rng, self.density / np.sqrt(dt) if self.std is None else self.std, batch)


def check_order(order: int) -> None:
    """Raise `ParameterError` unless ``order`` is a whole number of at least 0."""
    if order < 0 or order != int(order):
        raise ParameterError(name="order", expected="a whole number of at least 0", received=order)
