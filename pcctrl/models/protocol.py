"""What every generative model offers, linear or not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from numpy.typing import ArrayLike

from pcctrl.arrays import Array
from pcctrl.noise import Noise

__all__ = ["GenerativeModel", "Jacobians"]


class Jacobians(NamedTuple):
    """Derivatives of the sampled dynamics and of the sensors.

    Args:
        F: (..., n, n) of the next state by the state.
        B: (..., n, p) by an input held over the sample.
        G: (..., n, q) by process noise held over the sample.
        C: (..., m, n) of the sensors by the state.
        D: (..., m, p) by the input still held when the sample is taken.
    """

    F: Array
    B: Array
    G: Array
    C: Array
    D: Array


class GenerativeModel(Protocol):
    """How n states evolve under p inputs and q disturbances, and how m sensors read them; batches lead."""

    @property
    def dt(self) -> float:
        """Sample time in seconds."""
        ...

    @property
    def process_noise(self) -> Sequence[Noise]:
        """The q disturbances."""
        ...

    @property
    def sensor_noise(self) -> Sequence[Noise]:
        """The noise of the m sensors."""
        ...

    def transition(self, x: ArrayLike, u: ArrayLike, w: ArrayLike | None = None) -> Array:
        """Return the state (..., n) one sample after x (..., n), with u (..., p) and w (..., q) held."""
        ...

    def readout(self, x: ArrayLike, u: ArrayLike | None = None) -> Array:
        """Return what the sensors (..., m) read of x (..., n) under u (..., p), without noise."""
        ...

    def jacobians(self, x: ArrayLike, u: ArrayLike) -> Jacobians:
        """Return the derivatives of both at x (..., n) and u (..., p)."""
        ...
