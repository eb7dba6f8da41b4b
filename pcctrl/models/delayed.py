"""Any model with sensors that are late."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pcctrl.arrays import Array
from pcctrl.errors import ModelError
from pcctrl.models.checks import as_delays
from pcctrl.models.protocol import GenerativeModel, Jacobians
from pcctrl.noise import Noise

__all__ = ["Delayed"]


@dataclass(frozen=True, eq=False)
class Delayed:
    """A model whose sensors show what they saw a while ago: of a nonlinear model what `LinearModel.delay` is.

    In all that it says of itself, such as `readout`, it is the model without delays, so controllers take it as that;
    `generalise`, and so every filter on it, remembers what delayed sensors have yet to show.

    Args:
        model: without delays.
        delay: seconds that each sensor's reading is old, one number or (m,), a whole number of samples; its noise is
            that of the moment it is read.

    Raises:
        ShapeError, ParameterError: another number of delays, or not whole samples of the model.
        ModelError: a delayed sensor reads the input (at the start).
    """

    model: GenerativeModel
    delay: ArrayLike

    def __post_init__(self) -> None:
        model, m = self.model, len(self.model.sensors or ())
        delays = as_delays("delay", self.delay, model.dt, m)
        object.__setattr__(self, "delay", np.zeros(m) if delays is None else delays)
        x, u, _ = model.start
        D = model.readout_jacobians(x, u)[1]
        if np.abs(D[np.flatnonzero(self.lags)]).max(initial=0.0) > 1e-9:
            raise ModelError(name="delay", expected="no feedthrough D in a delayed sensor", received=f"D = {D}")

    @property
    def lags(self) -> tuple[int, ...]:
        """Whole samples (m,) that each sensor's reading is old."""
        return tuple(int(lag) for lag in np.rint(np.asarray(self.delay) / self.model.dt))

    @property
    def dt(self) -> float:
        """The model's, as is all that follows."""
        return self.model.dt

    @property
    def substeps(self) -> int | None:
        """Steps a sample."""
        return self.model.substeps

    @property
    def states(self) -> Sequence[str] | None:
        """The n names."""
        return self.model.states

    @property
    def inputs(self) -> Sequence[str] | None:
        """The p names."""
        return self.model.inputs

    @property
    def sensors(self) -> Sequence[str] | None:
        """The m names."""
        return self.model.sensors

    @property
    def process_noise(self) -> Sequence[Noise]:
        """The q disturbances."""
        return self.model.process_noise

    @property
    def sensor_noise(self) -> Sequence[Noise]:
        """The noise of the m sensors."""
        return self.model.sensor_noise

    @property
    def disturbance(self) -> Array | float | None:
        """Rates of the inputs' random walks."""
        return self.model.disturbance

    @property
    def prior(self) -> Array | None:
        """Covariance of the state before the first sample."""
        return self.model.prior

    @property
    def start(self) -> tuple[Array, Array, Array]:
        """State, input and reading before any data."""
        return self.model.start

    @property
    def limits(self) -> tuple[Array, Array]:
        """Least and greatest input."""
        return self.model.limits

    def sensor_factors(self, x: ArrayLike) -> Array | None:
        """Return factors on the sensors' white variances: of the moment they are read."""
        return self.model.sensor_factors(x)

    def resampled(self, dt: float) -> Delayed:
        """Return the model with another sample time, of which the delays must be whole samples too."""
        return Delayed(self.model.resampled(dt), self.delay)

    def integrate(self, x: ArrayLike, move: ArrayLike) -> Array:
        """Return the state reached from x by a move."""
        return self.model.integrate(x, move)

    def difference(self, x: ArrayLike, base: ArrayLike) -> Array:
        """Return the move from ``base`` to x."""
        return self.model.difference(x, base)

    def transition(self, x: ArrayLike, u: ArrayLike, w: ArrayLike | None = None) -> Array:
        """Return the state one sample later."""
        return self.model.transition(x, u, w)

    def readout(self, x: ArrayLike, u: ArrayLike | None = None, w: ArrayLike | None = None) -> Array:
        """Return what the sensors see now, and show when their delay is over."""
        return self.model.readout(x, u, w)

    def jacobians(self, x: ArrayLike, u: ArrayLike, w: ArrayLike | None = None) -> Jacobians:
        """Return the derivatives of both."""
        return self.model.jacobians(x, u, w)

    def transition_jacobians(
        self, x: ArrayLike, u: ArrayLike, w: ArrayLike | None = None
    ) -> tuple[Array, Array, Array]:
        """Return F, B and G."""
        return self.model.transition_jacobians(x, u, w)

    def readout_jacobians(self, x: ArrayLike, u: ArrayLike, w: ArrayLike | None = None) -> tuple[Array, Array, Array]:
        """Return C, D and E."""
        return self.model.readout_jacobians(x, u, w)

    def linearised_transition(
        self, x: ArrayLike, u: ArrayLike, w: ArrayLike | None = None
    ) -> tuple[Array, Array, Array, Array]:
        """Return the state one sample later, F, B and G."""
        return self.model.linearised_transition(x, u, w)

    def linearised_readout(
        self, x: ArrayLike, u: ArrayLike, w: ArrayLike | None = None
    ) -> tuple[Array, Array, Array, Array]:
        """Return what the sensors see now, C, D and E."""
        return self.model.linearised_readout(x, u, w)
