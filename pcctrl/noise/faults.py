"""Faults of sensors that begin at a time, and may heal: an encoder that freezes, or runs away (in SI units)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pcctrl.arrays import Array, non_negative, per_item
from pcctrl.errors import ParameterError, ShapeError
from pcctrl.noise.imperfections import Imperfection

__all__ = ["During", "Ramp", "Stuck"]


@dataclass(frozen=True)
class Ramp(Imperfection):
    """An error that grows steadily, from 0.

    Args:
        rate: in the unit of the sensor per second.
    """

    rate: ArrayLike

    def begin(self, rng: np.random.Generator, size: int, dt: float) -> Callable[[Array], Array]:  # noqa: ARG002
        """Return the ramp."""
        step, passed = per_item("ramp rate", self.rate, size) * dt, itertools.count()
        return lambda y: y + step * next(passed)


@dataclass(frozen=True)
class Stuck(Imperfection):
    """Readings that stay what they were first, or first after samples that were missing."""

    def begin(self, rng: np.random.Generator, size: int, dt: float) -> Callable[[Array], Array]:  # noqa: ARG002
        """Return the standing still."""
        held = np.full(size, np.nan)

        def spoil(y: Array) -> Array:
            held[:] = np.where(np.isfinite(held), held, y)
            return held.copy()

        return spoil


@dataclass(frozen=True)
class During(Imperfection):
    """Another imperfection from one time to another, and nothing before and after.

    Args:
        imperfection: it begins when the fault does, so that a ramp starts at 0 and what is stuck stays at what it read.
        at: seconds after reset.
        until: seconds after reset at which the sensors have healed; by default they never do.
        sensors: indices of those that have the fault; by default all.
    """

    imperfection: Imperfection
    at: float
    until: float = math.inf
    sensors: Sequence[int] | None = None

    def begin(self, rng: np.random.Generator, size: int, dt: float) -> Callable[[Array], Array]:
        """Return the fault.

        Raises:
            ShapeError, ParameterError: of the imperfection; a sensor that is none of them; a fault that ends before it
                begins.
        """
        first = round(non_negative("at", self.at) / dt)
        if not self.until > self.at:
            raise ParameterError(name="until", expected=f"after at = {self.at:g} s", received=self.until)
        last = np.rint(self.until / dt)
        chosen = np.zeros(size, dtype=bool)
        try:
            chosen[slice(None) if self.sensors is None else list(self.sensors)] = True
        except (IndexError, TypeError):
            expected = f"indices of {size} sensors, from 0"
            raise ShapeError(name="sensors", expected=expected, received=self.sensors) from None
        inner, passed = self.imperfection.begin(rng, size, dt), itertools.count()

        def spoil(y: Array) -> Array:
            return np.where(chosen, inner(y), y) if first <= next(passed) < last else y

        return spoil
