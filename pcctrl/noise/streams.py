"""Endless stationary realisations of noise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import scipy.signal

from pcctrl.arrays import Array
from pcctrl.linalg import discretise

__all__ = ["Chain", "NoiseStream"]


@dataclass(frozen=True)
class Chain:
    """A linear stochastic chain with stationary covariance I.

    Args:
        A: (k, k) in 1/s.
        Q: (k, k) spectral density of the noise that drives it.
        H: (k,) readout row, in the unit of the noise.
    """

    A: Array
    Q: Array
    H: Array


class NoiseStream(Protocol):
    """An endless realisation: ``draw`` continues where the last call stopped."""

    def draw(self, steps: int) -> Array:
        """Return the next ``steps`` samples, shape (..., steps)."""
        ...


@dataclass
class IndependentStream:
    """Independent normal samples."""

    rng: np.random.Generator
    std: float
    batch: tuple[int, ...]

    def draw(self, steps: int) -> Array:
        """Return the next ``steps`` samples, shape (..., steps)."""
        return self.std * self.rng.standard_normal((*self.batch, steps))


@dataclass
class AddedStream:
    """The sum of realisations."""

    parts: tuple[NoiseStream, ...]

    def draw(self, steps: int) -> Array:
        """Return the next ``steps`` samples, shape (..., steps)."""
        return np.asarray(sum(part.draw(steps) for part in self.parts))


class ChainStream:
    """Exact recursion of a chain from its stationary distribution."""

    def __init__(self, chain: Chain, rng: np.random.Generator, dt: float, batch: tuple[int, ...]) -> None:
        size = len(chain.H)
        self._F, _, Q = discretise(chain.A, np.zeros((size, 0)), chain.Q, dt)
        # By eigenvalues, since a long chain over a short step is driven in fewer directions than it has states.
        values, vectors = np.linalg.eigh(Q)
        self._root = vectors * np.sqrt(np.maximum(values, 0.0))
        self._H, self._rng, self._batch = chain.H, rng, batch
        self._state = rng.standard_normal((*batch, size))

    def draw(self, steps: int) -> Array:
        """Return the next ``steps`` samples, shape (..., steps)."""
        out = np.empty((*self._batch, steps))
        drive = self._rng.standard_normal((steps, *self._batch, len(self._H))) @ self._root.T
        state = self._state
        for k in range(steps):
            out[..., k] = state @ self._H
            state = state @ self._F.T + drive[k]
        self._state = state
        return out


class FilteredStream:
    """White noise through the spectral square root of the sampled autocovariance: exact for s ≪ dt and s ≫ dt."""

    def __init__(
        self,
        autocovariance: Callable[[Array], Array],
        support: float,
        rng: np.random.Generator,
        dt: float,
        batch: tuple[int, ...],
    ) -> None:
        half = int(np.ceil(support / dt)) + 8
        steps = np.arange(4 * half, dtype=np.float64)
        covariance = autocovariance(np.minimum(steps, 4 * half - steps) * dt)
        spectrum = np.maximum(np.fft.rfft(covariance).real, 0.0)
        kernel = np.fft.irfft(np.sqrt(spectrum), n=4 * half)
        self._kernel = np.concatenate([kernel[-half:], kernel[: half + 1]])
        # Cut to its support the kernel has lost a little power: give it back, so that the variance is exact.
        self._kernel *= np.sqrt(covariance[0] / np.sum(self._kernel**2))
        self._rng, self._batch = rng, batch
        self._past = rng.standard_normal((*batch, 2 * half))

    def draw(self, steps: int) -> Array:
        """Return the next ``steps`` samples, shape (..., steps)."""
        white = np.concatenate([self._past, self._rng.standard_normal((*self._batch, steps))], axis=-1)
        self._past = white[..., steps:]
        kernel = self._kernel.reshape((1,) * len(self._batch) + (-1,))
        return np.asarray(scipy.signal.oaconvolve(white, kernel, mode="valid", axes=-1))[..., :steps]
