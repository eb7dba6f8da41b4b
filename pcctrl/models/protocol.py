r"""What every generative model offers, linear or not.

.. math:: x_{k+1} = f(x_k, u_k, w_k),\qquad y_k = g(x_k, u_{k-1}, w_k) + z_k

States are vectors x (..., n). Where some entries stand for a rotation, sums mean little: so a filter moves a state by
`integrate` and compares two by `difference`, and derivatives are by such moves. Source: Hertzberg et al. 2013, whose ⊞
and ⊟ they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike

from pcctrl.arrays import Array
from pcctrl.noise import Noise

__all__ = ["Flat", "GenerativeModel", "Jacobians", "Linearised", "Mechanics", "Steady"]


class Jacobians(NamedTuple):
    """Derivatives of the sampled dynamics and of the sensors, by moves in tangent space.

    Args:
        F: (..., n, n) of the next state by the state.
        B: (..., n, p) by an input held over the sample.
        G: (..., n, q) by process noise held over the sample.
        C: (..., m, n) of the sensors by the state.
        D: (..., m, p) by the input still held when the sample is taken.
        E: (..., m, q) by the process noise then; not zero for an accelerometer or a force sensor.
    """

    F: Array
    B: Array
    G: Array
    C: Array
    D: Array
    E: Array


class Linearised:
    """All derivatives at once, and either kind beside its values; some models have the latter for less."""

    def jacobians(self: GenerativeModel, x: ArrayLike, u: ArrayLike, w: ArrayLike | None = None) -> Jacobians:
        """Return the derivatives of `transition` and `readout`, in tangent space.

        Args:
            x: (..., n) state.
            u: (..., p) input.
            w: (..., q) process noise, none by default.

        Raises:
            ShapeError: another last dimension.
        """
        return Jacobians(*self.transition_jacobians(x, u, w), *self.readout_jacobians(x, u, w))

    def linearised_transition(
        self: GenerativeModel, x: ArrayLike, u: ArrayLike, w: ArrayLike | None = None
    ) -> tuple[Array, Array, Array, Array]:
        """Return the next state, F, B and G: see `GenerativeModel.linearised_transition`."""
        return self.transition(x, u, w), *self.transition_jacobians(x, u, w)

    def linearised_readout(
        self: GenerativeModel, x: ArrayLike, u: ArrayLike, w: ArrayLike | None = None
    ) -> tuple[Array, Array, Array, Array]:
        """Return the readings, C, D and E: see `GenerativeModel.linearised_readout`."""
        return self.readout(x, u, w), *self.readout_jacobians(x, u, w)


class Steady(Linearised):
    """Sensors whose noise is the same in every state."""

    def sensor_factors(self, x: ArrayLike) -> Array | None:  # noqa: ARG002
        """Return None: see `GenerativeModel.sensor_factors`."""
        return None


class Flat(Steady):
    """The moves of a state that is a plain vector, with sensors whose noise is the same everywhere unless said."""

    def integrate(self, x: ArrayLike, move: ArrayLike) -> Array:
        """Return x + move, (..., n)."""
        return np.asarray(x, dtype=np.float64) + np.asarray(move, dtype=np.float64)

    def difference(self, x: ArrayLike, base: ArrayLike) -> Array:
        """Return x − base, (..., n)."""
        return np.asarray(x, dtype=np.float64) - np.asarray(base, dtype=np.float64)


class GenerativeModel(Protocol):
    """How n states evolve under p inputs and q disturbances, and how m sensors read them; batches lead.

    Data never raise: states and inputs that are not finite, or physics that diverges, give NaN.
    """

    @property
    def dt(self) -> float:
        """Sample time in seconds."""
        ...

    @property
    def substeps(self) -> int | None:
        """Steps a sample in which the plant advances and noise may change (see `resampled`); None if continuous."""
        ...

    @property
    def states(self) -> Sequence[str] | None:
        """The n names, never None once checked; so for the others."""
        ...

    @property
    def inputs(self) -> Sequence[str] | None:
        """The p names."""
        ...

    @property
    def sensors(self) -> Sequence[str] | None:
        """The m names."""
        ...

    @property
    def process_noise(self) -> Sequence[Noise]:
        """The q disturbances."""
        ...

    @property
    def sensor_noise(self) -> Sequence[Noise]:
        """The noise of the m sensors."""
        ...

    @property
    def disturbance(self) -> Array | float | None:
        """Rates (p,) of the random walk that adds to each input, in its unit per √s, or None."""
        ...

    @property
    def prior(self) -> Array | None:
        """Covariance (n, n) of the state before the first sample, in tangent space at the start, or None."""
        ...

    @property
    def start(self) -> tuple[Array, Array, Array]:
        """State (n,), input (p,) and reading (m,) before any data: the operating point."""
        ...

    @property
    def limits(self) -> tuple[Array, Array]:
        """Least and greatest input, (p,) each; infinite where there is none."""
        ...

    def resampled(self, dt: float) -> GenerativeModel:
        """Return the model with another sample time in seconds."""
        ...

    def integrate(self, x: ArrayLike, move: ArrayLike) -> Array:
        """Return the state (..., n) reached from x by a move (..., n) in its tangent space."""
        ...

    def difference(self, x: ArrayLike, base: ArrayLike) -> Array:
        """Return the move (..., n) that leads from ``base`` to x."""
        ...

    def transition(self, x: ArrayLike, u: ArrayLike, w: ArrayLike | None = None) -> Array:
        """Return the state (..., n) one sample after x (..., n), with u (..., p) and w (..., q) held."""
        ...

    def readout(self, x: ArrayLike, u: ArrayLike | None = None, w: ArrayLike | None = None) -> Array:
        """Return what the sensors (..., m) read of x (..., n) under u (..., p) and w (..., q), without their noise."""
        ...

    def sensor_factors(self, x: ArrayLike) -> Array | None:
        """Return by what the white variance of each sensor is multiplied at x, (..., m), or None for 1 everywhere."""
        ...

    def jacobians(self, x: ArrayLike, u: ArrayLike, w: ArrayLike | None = None) -> Jacobians:
        """Return the derivatives of both at x (..., n), u (..., p) and w (..., q)."""
        ...

    def transition_jacobians(
        self, x: ArrayLike, u: ArrayLike, w: ArrayLike | None = None
    ) -> tuple[Array, Array, Array]:
        """Return F, B and G alone, for less."""
        ...

    def readout_jacobians(self, x: ArrayLike, u: ArrayLike, w: ArrayLike | None = None) -> tuple[Array, Array, Array]:
        """Return C, D and E alone, for less."""
        ...

    def linearised_transition(
        self, x: ArrayLike, u: ArrayLike, w: ArrayLike | None = None
    ) -> tuple[Array, Array, Array, Array]:
        """Return `transition`, F, B and G, for less than both where it can be."""
        ...

    def linearised_readout(
        self, x: ArrayLike, u: ArrayLike, w: ArrayLike | None = None
    ) -> tuple[Array, Array, Array, Array]:
        """Return `readout`, C, D and E, for less than both where it can be."""
        ...


class Mechanics(Protocol):
    r"""The equations of motion behind a model whose states are nv positions q, then their rates, one input each.

    .. math:: M(q)\ddot q + C(q, \dot q)\dot q + g(q) + D\dot q + Y\theta = u

    C is that of the Christoffel symbols, so that Ṁ − 2C is skew. M, C, g and D are as the model has them; the
    parameters θ (k,) are what it may be wrong in, 0 where it is not: masses, friction. Batches lead.
    """

    @property
    def degrees(self) -> int:
        """Number nv of degrees of freedom."""
        ...

    @property
    def parameters(self) -> Sequence[str]:
        """The k names."""
        ...

    def terms(self, x: ArrayLike) -> tuple[Array, Array]:
        """Return M (..., nv, nv) and the rest, C q̇ + g + D q̇ (..., nv), at x (..., 2 nv)."""
        ...

    def mass_matrix(self, x: ArrayLike) -> Array:
        """Return M (..., nv, nv)."""
        ...

    def bias(self, x: ArrayLike) -> Array:
        """Return C q̇ + g + D q̇ (..., nv)."""
        ...

    def inverse(self, x: ArrayLike, acceleration: ArrayLike, rate: ArrayLike | None = None) -> Array:
        """Return M a + C r + g + D r (..., nv) for an acceleration a and a rate r (..., nv), by default q̇ itself."""
        ...

    def regressor(self, x: ArrayLike, acceleration: ArrayLike, rate: ArrayLike | None = None) -> Array:
        """Return Y (..., nv, k), for the same a and r."""
        ...
