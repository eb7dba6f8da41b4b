"""Noise with a rational spectrum: white noise through a linear filter, as an orthonormal chain."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from math import factorial

import numpy as np
import scipy.linalg
from numpy.typing import ArrayLike

from pcctrl.arrays import Array, as_array, non_negative, positive, whole
from pcctrl.errors import ParameterError
from pcctrl.noise.coloured import Coloured
from pcctrl.noise.streams import Chain, ChainStream, NoiseStream

__all__ = ["Matern", "Rational"]


@dataclass(frozen=True)
class Rational(Coloured):
    r"""White noise of unit intensity through :math:`H(s)` = numerator / denominator: Dryden gusts, for one.

    Coefficients are those of falling powers of s. The derivatives of the filter's state are made orthonormal by the
    Cholesky factor of their stationary covariance, which gives the skew-plus-damping form of DESIGN §2.1.

    Args:
        numerator: coefficients, of a degree below the denominator's.
        denominator: coefficients; all roots in the left half-plane.
        floor: white variance relative to the coloured variance, used for sensors.

    Raises:
        ParameterError: an improper or unstable filter, a zero or non-finite coefficient where none may be.
    """

    numerator: tuple[float, ...]
    denominator: tuple[float, ...]
    floor: float = 1e-2
    std: float = field(init=False)

    def __post_init__(self) -> None:
        for name in ("numerator", "denominator"):
            object.__setattr__(self, name, tuple(as_array(name, getattr(self, name), ("k",)).tolist()))
        non_negative("floor", self.floor)
        if len(self.denominator) < 2 or self.denominator[0] == 0.0:
            raise ParameterError(
                name="denominator",
                expected="a non-zero leading coefficient of degree 1 or more",
                received=self.denominator,
            )
        if len(self.numerator) >= len(self.denominator) or not any(self.numerator):
            raise ParameterError(
                name="numerator", expected="non-zero and of a degree below the denominator's", received=self.numerator
            )
        poles = np.roots(self.denominator)
        if not (poles.real < 0.0).all():
            raise ParameterError(name="denominator", expected="roots with negative real parts", received=poles)
        H = self._chain.H
        object.__setattr__(self, "std", float(np.sqrt(H @ H)))

    @cached_property
    def _chain(self) -> Chain:
        denominator = np.array(self.denominator) / self.denominator[0]
        n = len(denominator) - 1
        # In time measured by the poles the derivatives are of one size.
        rate = float(np.abs(np.roots(denominator)).max())
        scaled = denominator / rate ** np.arange(n + 1)
        A: Array = np.diag(np.ones(n - 1), 1)
        A[-1] = -scaled[:0:-1]
        drive = np.zeros((n, n))
        drive[-1, -1] = 1.0
        root = np.linalg.cholesky(scipy.linalg.solve_continuous_lyapunov(A, -drive))
        A = np.asarray(np.linalg.solve(root, A @ root))
        A[np.abs(A) < 1e-12] = 0.0
        b = np.zeros(n)
        b[-1] = 1.0 / root[-1, -1]
        # z = sum_i c_i d^i x / dt^i, of which each derivative is a power of the rate; so is the intensity.
        c = np.zeros(n)
        c[: len(self.numerator)] = np.array(self.numerator[::-1]) / self.denominator[0]
        H = (c * rate ** (np.arange(n) - n + 0.5)) @ root
        return Chain(rate * A, rate * np.outer(b, b), H)

    def chain(self, order: int) -> Chain:
        """Return the chain, exact at every order: one state for each pole."""
        whole("order", order)
        return self._chain

    def autocovariance(self, lags: ArrayLike) -> Array:
        """Return H exp(A|τ|) Hᵀ."""
        chain = self._chain
        lags = np.abs(np.asarray(lags, dtype=np.float64))
        values = [chain.H @ scipy.linalg.expm(chain.A * lag) @ chain.H for lag in lags.ravel()]
        return np.array(values, dtype=np.float64).reshape(lags.shape)

    def spectral_density(self, omega: ArrayLike) -> Array:
        """Return |H(iω)|²."""
        s = 1j * np.asarray(omega)
        return np.asarray(np.abs(np.polyval(self.numerator, s) / np.polyval(self.denominator, s)) ** 2)

    def _coloured_stream(self, rng: np.random.Generator, dt: float, batch: tuple[int, ...]) -> NoiseStream:
        return ChainStream(self._chain, rng, dt, batch)


@dataclass(frozen=True)
class Matern(Coloured):
    """Matérn noise of half-integer smoothness: order + 1 equal poles, between Ornstein-Uhlenbeck (0) and smooth.

    The autocovariance is std²·e^(−|τ|/tau) times a polynomial: 1 for order 0, 1 + |τ|/tau for 1 (Matérn-3/2),
    1 + |τ|/tau + τ²/3tau² for 2 (Matérn-5/2).

    Args:
        std: marginal standard deviation of the coloured part.
        tau: time constant in seconds.
        order: how often the noise can be differentiated, 0 to 8.
        floor: white variance relative to std², used for sensors.

    Raises:
        ParameterError: a value out of its range.
    """

    std: float
    tau: float
    order: int = 1
    floor: float = 1e-2

    def __post_init__(self) -> None:
        positive("std", self.std)
        positive("tau", self.tau)
        non_negative("floor", self.floor)
        whole("order", self.order)
        if self.order > 8:
            raise ParameterError(name="order", expected="at most 8 (beyond, use Smooth)", received=self.order)

    @cached_property
    def _unit(self) -> Rational:
        """The same poles, of whatever variance."""
        denominator = np.poly(np.full(self.order + 1, -1.0 / self.tau))
        return Rational((1.0 / self.tau ** (self.order + 0.5),), tuple(denominator.tolist()))

    @property
    def _factor(self) -> float:
        return self.std / self._unit.std

    def chain(self, order: int) -> Chain:
        """Return the chain, exact at every order: one state for each pole."""
        unit = self._unit.chain(order)
        return Chain(unit.A, unit.Q, self._factor * unit.H)

    def autocovariance(self, lags: ArrayLike) -> Array:
        """Return the autocovariance in closed form."""
        p = self.order
        x = np.abs(np.asarray(lags, dtype=np.float64)) / self.tau
        weights = (factorial(p + i) / (factorial(i) * factorial(p - i)) for i in range(p + 1))
        polynomial = sum(w * (2.0 * x) ** (p - i) for i, w in enumerate(weights))
        return np.asarray(self.std**2 * factorial(p) / factorial(2 * p) * np.exp(-x) * polynomial)

    def spectral_density(self, omega: ArrayLike) -> Array:
        """Return the spectral density, proportional to (1 + ω²tau²)^−(order + 1)."""
        return np.asarray(self._factor**2 * self._unit.spectral_density(omega))

    def _coloured_stream(self, rng: np.random.Generator, dt: float, batch: tuple[int, ...]) -> NoiseStream:
        return ChainStream(self.chain(0), rng, dt, batch)
