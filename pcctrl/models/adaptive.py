r"""Parameters of a plant as slow states of the belief: adaptation is inference, by the same free energy.

.. math:: x_{k+1} = f(x_k, u_k, w_k;\ \theta_k),\qquad
          \theta_{k+1} = \bar\theta + e^{-dt/\tau}(\theta_k - \bar\theta) + \eta_k

Any filter then estimates [x; θ] at once. In a model that is linear in its parameters, with one step of descent a
sample, this is the joint extended Kalman filter (Ljung 1979), and nothing more than that. Three guards keep it
from the known ways to diverge:

- Without data a parameter's variance is its own ``std``² and never more, since it is drawn to its start over ``time``
  seconds: a random walk's would grow for as long as nothing excites it, and the next movement would throw it anywhere.
- A parameter stays within its bounds, wherever an update would take it.
- What the motion does not excite (dry friction of a joint that stands still) has no derivative, and is left alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from pcctrl.arrays import Array, as_names, frozen, times, vectors
from pcctrl.errors import ParameterError, ShapeError
from pcctrl.linalg import block_diag
from pcctrl.models.generalise import generalise
from pcctrl.models.parametric import Parameter, Parametric
from pcctrl.models.protocol import GenerativeModel, Linearised
from pcctrl.noise import Noise, White

__all__ = ["AdaptiveModel"]

_BOUNDS = ("low", "high")


@dataclass(frozen=True, eq=False)
class AdaptiveModel(Linearised):
    """A plant whose parameters are states: [x; θ], as a `GenerativeModel` that any filter takes.

    Its disturbances are those of the plant, and one white one for each parameter that is not constant. A controller
    that wants the plant's states alone reads ``belief.marginal(n)``.

    Args:
        plant: what depends on the parameters.
        parameters: what is believed of each of them.

    Raises:
        ShapeError: two parameters of one name.
        ParameterError: the plant has other parameters, or in another order.
    """

    plant: Parametric
    parameters: Sequence[Parameter]
    states: Sequence[str] = field(init=False)

    def __post_init__(self) -> None:
        parameters = tuple(self.parameters)
        if not parameters or not all(isinstance(one, Parameter) for one in parameters):
            raise ShapeError(name="parameters", expected="at least one Parameter", received=parameters)
        known = getattr(self.plant, "parameters", None)
        if known is not None and [one.name for one in known] != [one.name for one in parameters]:
            expected = f"those of the plant, {[one.name for one in known]}"
            raise ParameterError(name="parameters", expected=expected, received=[one.name for one in parameters])
        own = tuple(self.plant.model.states or ())
        names = as_names("states", (*own, *(one.name for one in parameters)), "x", len(own) + len(parameters))
        object.__setattr__(self, "parameters", parameters)
        object.__setattr__(self, "states", names)

    @cached_property
    def _theta(self) -> tuple[Array, Array, Array, Array]:
        """Start, decay a sample, and bounds, (k,) each."""
        decay = [np.exp(-self.dt / one.time) for one in self.parameters]
        rows = ([p.start for p in self.parameters], decay, *([getattr(p, b) for p in self.parameters] for b in _BOUNDS))
        start, decays, low, high = frozen(np.array(rows, dtype=np.float64))
        return start, decays, low, high

    @cached_property
    def _decay(self) -> Array:
        """Decay of the parameters in a sample, (k, k)."""
        return frozen(np.diag(self._theta[1]))

    @cached_property
    def _drive(self) -> Array:
        """What the disturbances of the parameters do to them in a sample, (k, number of those that change)."""
        changing = [i for i, one in enumerate(self.parameters) if np.isfinite(one.time)]
        return frozen(self.dt * np.eye(len(self.parameters))[:, changing])

    @property
    def plain(self) -> GenerativeModel:
        """The plant's model, at parameters that are its own."""
        return self.plant.model

    @property
    def dt(self) -> float:
        """Sample time in seconds."""
        return self.plain.dt

    @property
    def substeps(self) -> int | None:
        """Steps a sample, as of the plant; 1 where it is continuous."""
        return self.plain.substeps or 1

    @property
    def inputs(self) -> Sequence[str] | None:
        """Names of the inputs."""
        return self.plain.inputs

    @property
    def sensors(self) -> Sequence[str] | None:
        """Names of the sensors."""
        return self.plain.sensors

    @cached_property
    def process_noise(self) -> Sequence[Noise]:
        """The plant's disturbances, and what changes the parameters: as much as keeps their ``std``."""
        # std² (1 − a²) a sample of dt seconds, as a density of what is held over it.
        walks = [
            White(density=one.std * float(np.sqrt(-np.expm1(-2.0 * self.dt / one.time) / self.dt)))
            for one in self.parameters
            if np.isfinite(one.time)
        ]
        return (*self.plain.process_noise, *walks)

    @property
    def sensor_noise(self) -> Sequence[Noise]:
        """The noise of the sensors."""
        return self.plain.sensor_noise

    @property
    def disturbance(self) -> Array | float | None:
        """Rates of the random walk that adds to each input."""
        return self.plain.disturbance

    @cached_property
    def prior(self) -> Array:
        """Covariance of state and parameters before the first sample, which are independent then.

        Raises:
            ModelError: see `GeneralisedModel.prior`.
        """
        plain, n = self.plain, len(self.plain.states or ())
        own = generalise(plain, None).prior(plain.prior)[:n, :n]
        return frozen(block_diag(own, np.diag([one.std**2 for one in self.parameters])))

    @cached_property
    def start(self) -> tuple[Array, Array, Array]:
        """State and parameters, input and reading before any data."""
        x, u, y = self.plain.start
        return frozen(np.concatenate([x, self._theta[0]])), u, y

    @property
    def limits(self) -> tuple[Array, Array]:
        """Least and greatest input."""
        return self.plain.limits

    def resampled(self, dt: float) -> AdaptiveModel:
        """Return the model with another sample time.

        Raises:
            ParameterError: the plant cannot take it.
        """
        return AdaptiveModel(self.plant.resampled(dt), self.parameters)

    def split(self, x: ArrayLike) -> tuple[Array, Array]:
        """Return the plant's state (..., n) and the parameters (..., k) of a state (..., n + k)."""
        n = len(self.states) - len(self.parameters)
        x = vectors("x", x, len(self.states))
        return x[..., :n], x[..., n:]

    def integrate(self, x: ArrayLike, move: ArrayLike) -> Array:
        """Return the state reached by a move; a parameter goes no further than its bounds."""
        (state, theta), (by, step) = self.split(x), self.split(move)
        _, _, low, high = self._theta
        theta = theta + step
        np.minimum(np.maximum(theta, low, out=theta), high, out=theta)
        return np.concatenate((self.plain.integrate(state, by), theta), axis=-1)

    def difference(self, x: ArrayLike, base: ArrayLike) -> Array:
        """Return the move from ``base`` to x."""
        (state, theta), (other, before) = self.split(x), self.split(base)
        return np.concatenate([self.plain.difference(state, other), theta - before], axis=-1)

    def transition(self, x: ArrayLike, u: ArrayLike, w: ArrayLike | None = None) -> Array:
        """Return the state one sample on, see `GenerativeModel`."""
        state, theta, u, force, walk = self._arguments(x, u, w)
        start, decay, *_ = self._theta
        moved = self.plant.transition(state, u, force, theta)
        slow = start + decay * (theta - start)
        if w is not None:
            slow = slow + times(self._drive, walk)
        if slow.ndim < moved.ndim:
            slow = np.broadcast_to(slow, (*moved.shape[:-1], slow.shape[-1]))
        return np.concatenate([moved, slow], axis=-1)

    def transition_jacobians(
        self, x: ArrayLike, u: ArrayLike, w: ArrayLike | None = None
    ) -> tuple[Array, Array, Array]:
        """Return F, B and G."""
        state, theta, u, force, _ = self._arguments(x, u, w)
        by_x, by_u, by_w, by_theta = self.plant.transition_jacobians(state, u, force, theta)
        n, k, walks = state.shape[-1], theta.shape[-1], self._drive.shape[1]
        batch = by_x.shape[:-2]
        F, B = np.zeros((*batch, n + k, n + k)), np.zeros((*batch, n + k, by_u.shape[-1]))
        G = np.zeros((*batch, n + k, by_w.shape[-1] + walks))
        F[..., :n, :n], F[..., :n, n:], B[..., :n, :], G[..., :n, : by_w.shape[-1]] = by_x, by_theta, by_u, by_w
        F[..., n:, n:] = self._decay
        G[..., n:, by_w.shape[-1] :] = self._drive
        return F, B, G

    def readout(self, x: ArrayLike, u: ArrayLike | None = None, w: ArrayLike | None = None) -> Array:
        """Return what the sensors read, which no parameter changes."""
        state, _, u, force, _ = self._arguments(x, self.start[1] if u is None else u, w)
        return self.plain.readout(state, u, force)

    def readout_jacobians(self, x: ArrayLike, u: ArrayLike, w: ArrayLike | None = None) -> tuple[Array, Array, Array]:
        """Return C, D and E."""
        return self.linearised_readout(x, u, w)[1:]

    def linearised_readout(
        self, x: ArrayLike, u: ArrayLike, w: ArrayLike | None = None
    ) -> tuple[Array, Array, Array, Array]:
        """Return what the sensors read, C, D and E."""
        state, theta, u, force, walk = self._arguments(x, u, w)
        y, C, D, E = self.plain.linearised_readout(state, u, force)
        beside, beyond = (np.zeros((*C.shape[:-1], a.shape[-1])) for a in (theta, walk))
        return y, np.concatenate([C, beside], axis=-1), D, np.concatenate([E, beyond], axis=-1)

    def sensor_factors(self, x: ArrayLike) -> Array | None:
        """Return by what the white variance of each sensor is multiplied at x, or None for 1 everywhere."""
        return self.plain.sensor_factors(self.split(x)[0])

    def _arguments(self, x: ArrayLike, u: ArrayLike, w: ArrayLike | None) -> tuple[Array, Array, Array, Array, Array]:
        """Return x, θ, u, w and what drives θ."""
        state, theta = self.split(x)
        q = len(self.plain.process_noise)
        w = np.zeros(len(self.process_noise)) if w is None else vectors("w", w, len(self.process_noise))
        return state, theta, vectors("u", u, len(self.inputs or ())), w[..., :q], w[..., q:]
