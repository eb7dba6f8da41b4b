"""Plants that depend on parameters, and what is believed of these before any data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pcctrl.arrays import Array, positive
from pcctrl.errors import ParameterError
from pcctrl.models.differences import differentiate
from pcctrl.models.protocol import GenerativeModel

__all__ = ["Forces", "Parameter", "Parametric"]


@dataclass(frozen=True)
class Parameter:
    """What is believed of a parameter before any data, and how it may change.

    Args:
        name: what it is.
        std: its spread about ``start``, in its own unit; also that of its slow changes.
        time: seconds over which it changes by about that much; infinite for one that is constant.
        start: its mean.
        low: its least value.
        high: its greatest.

    Raises:
        ParameterError: a std or time that is not positive, or a start beyond the bounds.
    """

    name: str
    std: float
    time: float = 100.0
    start: float = 0.0
    low: float = -np.inf
    high: float = np.inf

    def __post_init__(self) -> None:
        positive("std", self.std)
        if not self.time > 0.0:
            raise ParameterError(name="time", expected="positive seconds", received=self.time)
        if not self.low <= self.start <= self.high:
            expected = f"a number within [{self.low}, {self.high}]"
            raise ParameterError(name=f"start of {self.name}", expected=expected, received=self.start)


class Parametric(Protocol):
    """A plant that depends on k parameters θ; its sensors do not."""

    @property
    def model(self) -> GenerativeModel:
        """All else about it."""
        ...

    def resampled(self, dt: float) -> Parametric:
        """Return the plant with another sample time in seconds."""
        ...

    def transition(self, x: Array, u: Array, w: Array, theta: Array) -> Array:
        """Return the state (..., n) one sample after x (..., n), with u (..., p), w (..., q) and θ (..., k) held."""
        ...

    def transition_jacobians(self, x: Array, u: Array, w: Array, theta: Array) -> tuple[Array, Array, Array, Array]:
        """Return its derivatives (..., n, ·) by x, u, w and θ."""
        ...


@dataclass(frozen=True, eq=False)
class Forces:
    """A plant that is pushed by w + Φ(x) θ: friction, drag, an unknown gain or bias.

    Args:
        model: the plant without; its ``process_noise`` says where forces act.
        basis: Φ, function of states (..., n) that returns (..., q, k).
    """

    model: GenerativeModel
    basis: Callable[[Array], Array]

    def resampled(self, dt: float) -> Forces:
        """Return the plant with another sample time in seconds."""
        return Forces(self.model.resampled(dt), self.basis)

    def _pushed(self, x: Array, w: Array, theta: Array) -> Array:
        return np.asarray(w + (self.basis(x) @ theta[..., None])[..., 0])

    def transition(self, x: Array, u: Array, w: Array, theta: Array) -> Array:
        """Return the state (..., n) one sample on; the forces are held over it."""
        return self.model.transition(x, u, self._pushed(x, w, theta))

    def transition_jacobians(self, x: Array, u: Array, w: Array, theta: Array) -> tuple[Array, Array, Array, Array]:
        """Return the derivatives (..., n, ·) by x, u, w and θ; that of Φ by central differences."""
        F, B, G = self.model.transition_jacobians(x, u, self._pushed(x, w, theta))

        def force(x: Array) -> Array:
            return np.asarray((self.basis(x) @ theta[..., None, :, None])[..., 0])

        return F + G @ differentiate(force, self.model, x), B, G, G @ self.basis(x)
