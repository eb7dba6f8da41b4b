"""What else is wrong with sensors: bias, drift, dropout, delay, quantisation, outliers, freezing (in SI units)."""

from __future__ import annotations

import abc
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pcctrl.arrays import Array, per_item
from pcctrl.errors import ParameterError

__all__ = ["Bias", "Delay", "Drift", "Dropout", "Freeze", "Imperfection", "Outliers", "Quantisation"]

# A longer memory than this many samples is a unit mixed up.
_LONGEST = 1e5


class Imperfection(abc.ABC):
    """Something that spoils the readings of m sensors; every parameter is one number for all or (m,)."""

    @abc.abstractmethod
    def begin(self, rng: np.random.Generator, size: int, dt: float) -> Callable[[Array], Array]:
        """Return what spoils one sample (m,) after the other of an episode.

        Args:
            rng: its own source of randomness.
            size: number of sensors m.
            dt: sample time in seconds.

        Raises:
            ShapeError, ParameterError: a parameter does not fit m sensors, or is out of range.
        """


@dataclass(frozen=True)
class Bias(Imperfection):
    """A constant error.

    Args:
        value: in the unit of the sensor.
    """

    value: ArrayLike

    def begin(self, rng: np.random.Generator, size: int, dt: float) -> Callable[[Array], Array]:  # noqa: ARG002
        """Return the shift."""
        value = per_item("bias", self.value, size)
        return lambda y: y + value


@dataclass(frozen=True)
class Drift(Imperfection):
    """An error that walks at random, from 0.

    Args:
        rate: standard deviation after one second, growing with √t; in the unit of the sensor per √s.
    """

    rate: ArrayLike

    def begin(self, rng: np.random.Generator, size: int, dt: float) -> Callable[[Array], Array]:
        """Return the walk."""
        step = _at_least_zero("drift rate", self.rate, size) * np.sqrt(dt)
        error = np.zeros(size)

        def spoil(y: Array) -> Array:
            spoilt = y + error
            error[:] += step * rng.standard_normal(size)
            return spoilt

        return spoil


@dataclass(frozen=True)
class Dropout(Imperfection):
    """Samples that are missing (NaN), each independently.

    Args:
        probability: at least 0 and below 1.
    """

    probability: ArrayLike

    def begin(self, rng: np.random.Generator, size: int, dt: float) -> Callable[[Array], Array]:  # noqa: ARG002
        """Return the losses."""
        probability = _probability("dropout", self.probability, size)
        return lambda y: np.where(rng.random(size) < probability, np.nan, y)


@dataclass(frozen=True)
class Delay(Imperfection):
    """Readings of some time ago; before the first, the first.

    Args:
        seconds: a whole number of samples.
    """

    seconds: ArrayLike

    def begin(self, rng: np.random.Generator, size: int, dt: float) -> Callable[[Array], Array]:  # noqa: ARG002
        """Return the memory."""
        lag = _at_least_zero("delay", self.seconds, size) / dt
        if (lag > _LONGEST).any() or (np.abs(lag - np.rint(lag)) > 0.01).any():
            expected = f"whole samples of {dt:g} s, at most {_LONGEST:g}"
            raise ParameterError(name="delay", expected=expected, received=self.seconds)
        steps = np.rint(lag).astype(int)
        past: deque[Array] = deque(maxlen=int(steps.max(initial=0)) + 1)
        every = np.arange(size)

        def spoil(y: Array) -> Array:
            past.appendleft(y.copy())
            return np.array([past[k][i] for i, k in zip(every, np.minimum(steps, len(past) - 1), strict=True)])

        return spoil


@dataclass(frozen=True)
class Quantisation(Imperfection):
    """Readings rounded to a grid: an encoder's counts.

    Args:
        step: of the grid, in the unit of the sensor; 0 for none.
    """

    step: ArrayLike

    def begin(self, rng: np.random.Generator, size: int, dt: float) -> Callable[[Array], Array]:  # noqa: ARG002
        """Return the rounding."""
        step = _at_least_zero("quantisation step", self.step, size)
        grid = np.where(step > 0.0, step, 1.0)
        return lambda y: np.where(step > 0.0, np.rint(y / grid) * grid, y)


@dataclass(frozen=True)
class Outliers(Imperfection):
    """Samples that are far off, each independently.

    Args:
        probability: at least 0 and below 1.
        std: standard deviation of what is then added, in the unit of the sensor.
    """

    probability: ArrayLike
    std: ArrayLike

    def begin(self, rng: np.random.Generator, size: int, dt: float) -> Callable[[Array], Array]:  # noqa: ARG002
        """Return the additions."""
        probability = _probability("outlier probability", self.probability, size)
        std = _at_least_zero("outlier std", self.std, size)
        return lambda y: y + np.where(rng.random(size) < probability, std * rng.standard_normal(size), 0.0)


@dataclass(frozen=True)
class Freeze(Imperfection):
    """Readings that stand still for a while, at times that come at random.

    Args:
        rate: freezes a second, at least 0.
        duration: seconds that each lasts.
    """

    rate: ArrayLike
    duration: ArrayLike

    def begin(self, rng: np.random.Generator, size: int, dt: float) -> Callable[[Array], Array]:
        """Return the standing still."""
        probability = -np.expm1(-_at_least_zero("freeze rate", self.rate, size) * dt)
        samples = np.rint(_at_least_zero("freeze duration", self.duration, size) / dt)
        left, held = np.zeros(size), np.full(size, np.nan)

        def spoil(y: Array) -> Array:
            struck = (left <= 0) & (rng.random(size) < probability)
            left[struck] = samples[struck]
            frozen = (left > 0) & np.isfinite(held)
            held[:] = np.where(frozen, held, y)
            left[:] -= 1
            return held.copy()

        return spoil


def _at_least_zero(name: str, value: ArrayLike, size: int) -> Array:
    array = per_item(name, value, size)
    if (array < 0.0).any():
        raise ParameterError(name=name, expected="at least 0", received=array)
    return array


def _probability(name: str, value: ArrayLike, size: int) -> Array:
    array = per_item(name, value, size)
    if (array < 0.0).any() or (array >= 1.0).any():
        raise ParameterError(name=name, expected="probabilities of at least 0 and below 1", received=array)
    return array
