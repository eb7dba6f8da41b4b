r"""The generalised model of any plant: its state together with the chains of its noises.

.. math:: \mu = [x;\ \hat w;\ d;\ \hat z],\qquad
          y_k = g(x_k, u_{k-1} + d_k, H_w\hat w_k) + H_z\hat z_k + \text{white}(R)

Within a sample x follows the model's own dynamics under w = H_w ŵ and u + d, while the chains run on: it is what
`LinearModel.joint` is for matrices, and of linear dynamics equals it. Moves are in the tangent space of x; the rest is
a plain vector. Source: DESIGN §2.2.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from pcctrl.arrays import Array, frozen, positive
from pcctrl.errors import ModelError, ParameterError
from pcctrl.linalg import block_diag, block_rows, discretise, riccati, spectral_radius, stationary_covariance
from pcctrl.models.protocol import GenerativeModel
from pcctrl.noise import Chain, Noise

__all__ = ["GeneralisedModel", "sampled"]

# Where a random walk has no steady variance, it starts with what it walks in so many samples.
_WALKED = 1000


@dataclass(frozen=True, eq=False)
class GeneralisedModel(abc.ABC):
    """A model and the chains of its noises, as one state μ (..., N); see `generalise`, which makes it.

    Args:
        model: plant and noise.
        order: highest generalised coordinate of each coloured noise; None to take all noise for white, of the same
            marginal variance, which leaves the plain state and the walks.
        process_scale: factor on the variances of the process noise.
        sensor_scale: factor on the variances of the sensor noise, one number or (m,).
        state_noise: variance a sample added to each physical state's, one number or (n,).
        over: seconds that `ahead` and `linearised` cover, if not the model's sample time. White noise keeps the density
            that it has at the model's sample time.

    Raises:
        ParameterError: a negative order, a scale that is not positive.
    """

    model: GenerativeModel
    order: int | None
    process_scale: float = 1.0
    sensor_scale: Array | float = 1.0
    state_noise: Array | float = 0.0
    over: float | None = None

    def __post_init__(self) -> None:
        positive("process_scale", self.process_scale)
        if not (np.asarray(self.sensor_scale) > 0.0).all():
            raise ParameterError(name="sensor_scale", expected="positive factors", received=self.sensor_scale)
        _ = self.sensor_chains  # which refuse an order that is none

    @abc.abstractmethod
    def ahead(self, mean: Array, u: Array) -> Array:
        """Return the state (..., N) one sample after ``mean`` (..., N), with u (..., p) held and no noise driving."""

    @abc.abstractmethod
    def linearised(self, mean: Array, u: Array) -> tuple[Array, Array, Array]:
        """Return `ahead`, its derivative F (..., N, N), and the covariance Q (..., N, N) of what drives it."""

    def resampled(self, dt: float) -> GeneralisedModel:
        """Return the same over ``dt`` seconds."""
        return replace(self, over=dt)

    def driven(self, mean: Array, u: Array) -> Array:
        """Return Q of `linearised` alone."""
        return self.linearised(mean, u)[2]

    @cached_property
    def process_noise(self) -> tuple[Noise, ...]:
        """The q disturbances, white if there is no order."""
        noises, dt = self.model.process_noise, self.model.dt
        return tuple(w.whitened(dt, sensor=False) if self.order is None else w for w in noises)

    @cached_property
    def sensor_noise(self) -> tuple[Noise, ...]:
        """The noise of the m sensors, white if there is no order."""
        noises, dt = self.model.sensor_noise, self.model.dt
        return tuple(z.whitened(dt, sensor=True) if self.order is None else z for z in noises)

    @cached_property
    def process_chains(self) -> Chain:
        """The chains ŵ side by side; H (q, ·) has a row for each disturbance."""
        chain = _together([w.chain(self.order or 0) for w in self.process_noise])
        return Chain(chain.A, chain.Q, chain.H * np.sqrt(self.process_scale))

    @cached_property
    def sensor_chains(self) -> Chain:
        """The chains ẑ side by side; H (m, ·) has a row for each sensor."""
        chain = _together([z.chain(self.order or 0) for z in self.sensor_noise])
        scale = np.broadcast_to(self.sensor_scale, (len(chain.H),))
        return Chain(chain.A, chain.Q, chain.H * np.sqrt(scale)[:, None])

    @cached_property
    def density(self) -> Array:
        """White amplitude density (q,) of each disturbance per √Hz, beside its chain."""
        return np.asarray(np.sqrt(self.process_scale) * np.array([w.density for w in self.process_noise]))

    @cached_property
    def is_driven(self) -> bool:
        """Whether any disturbance has white noise beside its chain, which drives the plant itself."""
        return bool(self.density.any())

    @cached_property
    def rates(self) -> Array:
        """Rates of the random walks d, (p,) or empty."""
        rates = self.model.disturbance
        return np.zeros(0) if rates is None else np.asarray(rates, dtype=np.float64)

    @cached_property
    def R(self) -> Array:  # noqa: N802 (as in JointModel)
        """White variance (m,) of each sensor per sample."""
        return frozen(np.array([z.sensor_floor for z in self.sensor_noise]) * self.sensor_scale)

    def R_at(self, mean: Array) -> Array:  # noqa: N802
        """Return R as it is at the state ``mean`` (..., N): (..., m), or (m,) if it is the same everywhere.

        A factor that is not positive gives NaN.
        """
        factors = self.model.sensor_factors(mean[..., : self.plant])
        return self.R if factors is None else self.R * np.where(factors > 0.0, factors, np.nan)

    def noisier(self, Q: Array) -> Array:
        """Return Q (..., N, N) with the added state noise, in place."""
        if self._added is not None:
            np.einsum("...ii->...i", Q)[..., : self.plant] += self._added
        return Q

    @cached_property
    def _added(self) -> Array | float | None:
        samples = 1.0 if self.over is None else self.over / self.model.dt
        return self.state_noise * samples if np.any(self.state_noise) else None

    @cached_property
    def plant(self) -> int:
        """Number n of physical states, which come first."""
        return len(self.model.states or ())

    @property
    def now(self) -> int:
        """Where the present state begins."""
        return 0

    @property
    def walks(self) -> range:
        """Where the random walks d stand."""
        return range(self.plant + self.process, self.exogenous.stop)

    @cached_property
    def process(self) -> int:
        """Number of states of the chains ŵ, which come next."""
        return len(self.process_chains.A)

    @cached_property
    def disturbances(self) -> int:
        """Number of random walks d, which come then; the sensors' chains ẑ are last."""
        return len(self.rates)

    @cached_property
    def size(self) -> int:
        """Number of joint states N."""
        return self.plant + self.process + self.disturbances + len(self.sensor_chains.A)

    @cached_property
    def exogenous(self) -> slice:
        """Where ŵ and d stand: the part of the belief that is a forecast of what will push the plant."""
        return slice(self.plant, self.plant + self.process + self.disturbances)

    @cached_property
    def mean(self) -> Array:
        """Mean (N,) before any data: the operating point."""
        return frozen(np.concatenate([self.model.start[0], np.zeros(self.size - self.plant)]))

    @property
    def input(self) -> Array:
        """Input (p,) before any data."""
        return self.model.start[1]

    def integrate(self, mean: Array, move: Array) -> Array:
        """Return the state (..., N) reached from ``mean`` by a move (..., N) in tangent space."""
        n = self.plant
        rest = mean[..., n:] + move[..., n:]
        return np.concatenate([self.model.integrate(mean[..., :n], move[..., :n]), rest], axis=-1)

    def difference(self, mean: Array, base: Array) -> Array:
        """Return the move (..., N) from ``base`` to ``mean``."""
        n = self.plant
        rest = mean[..., n:] - base[..., n:]
        return np.concatenate([self.model.difference(mean[..., :n], base[..., :n]), rest], axis=-1)

    def readout(self, mean: Array, u: Array) -> Array:
        """Return what the sensors (..., m) read of ``mean`` (..., N), under the input u (..., p) still held."""
        x, w, d, z = self.parts(mean)
        clean = self.model.readout(x, self.pushed(u, d), w @ self.process_chains.H.T)
        return np.asarray(clean + z @ self.sensor_chains.H.T)

    def readout_jacobian(self, mean: Array, u: Array) -> Array:
        """Return the derivative C (..., m, N) of `readout`."""
        x, w, d, _ = self.parts(mean)
        return self._joint_rows(*self.model.readout_jacobians(x, self.pushed(u, d), w @ self.process_chains.H.T))

    def linearised_readout(self, mean: Array, u: Array) -> tuple[Array, Array]:
        """Return `readout` and `readout_jacobian`, for less than both where it can be."""
        return self.readout(mean, u), self.readout_jacobian(mean, u)

    def _joint_rows(self, by_x: Array, by_u: Array, by_w: Array) -> Array:
        """Return the derivative (..., m, N) by the joint state of what has those by x, the input and w."""
        C = np.empty((*by_x.shape[:-1], self.size))
        slots = self.parts(C)
        slots[0][...], slots[1][...] = by_x, by_w @ self.process_chains.H
        slots[2][...], slots[3][...] = by_u[..., : self.disturbances], self.sensor_chains.H
        return C

    def prior(self, plant: Array | None = None) -> Array:
        """Return the covariance (N, N) before any data, given that of the plant (n, n) if it is known.

        Without one it is that of the dynamics linearised at the start: the stationary one, or else that of a filter's
        steady prediction. Chains are stationary; walks start as they are in a filter's steady prediction.

        Raises:
            ModelError: neither exists; ``prior`` is what the model lacks.
        """
        mean, u = np.array(self.mean), self.input
        _, F, Q = self.linearised(mean, u)
        if plant is None and spectral_radius(F) < 1.0 - 1e-9:
            return stationary_covariance(F, Q)
        C = self.readout_jacobian(mean, u)
        try:
            steady = riccati(F.T, C.T, Q, np.diag(self.R_at(mean)), name="model without a prior", estimation=True)
        except (ModelError, np.linalg.LinAlgError):
            if plant is None:
                raise
            steady = np.diag(np.diagonal(Q) * _WALKED)
        if plant is None:
            return steady
        prior = block_diag(plant, np.eye(self.size - self.plant))
        walks = slice(self.plant + self.process, self.exogenous.stop)
        prior[walks, walks] = steady[walks, walks]
        return prior

    def parts(self, mean: Array) -> tuple[Array, Array, Array, Array]:
        """Return x, ŵ, d and ẑ of μ (..., N)."""
        n, both = self.plant, self.exogenous
        w = n + self.process
        return mean[..., :n], mean[..., n:w], mean[..., w : both.stop], mean[..., both.stop :]

    def pushed(self, u: Array, d: Array) -> Array:
        """Return the input u (..., p) with the disturbance d (..., p) that adds to it, if there is one."""
        return u + d if self.disturbances else u


def _together(chains: list[Chain]) -> Chain:
    return Chain(
        block_diag(*(c.A for c in chains)), block_diag(*(c.Q for c in chains)), block_rows(*(c.H for c in chains))
    )


def sampled(chain: Chain, dt: float) -> tuple[Array, Array]:
    """Return the transition of a chain over ``dt`` and the covariance of what drives it meanwhile."""
    F, _, Q = discretise(chain.A, np.zeros((len(chain.A), 0)), chain.Q, dt)
    return F, Q
