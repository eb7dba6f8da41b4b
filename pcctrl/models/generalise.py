"""How a generalised model advances by a sample: in simulator steps, in continuous time, or by matrices."""

from __future__ import annotations

import abc
from dataclasses import replace
from functools import cached_property

import numpy as np

from pcctrl.arrays import Array, stretched, times
from pcctrl.errors import ParameterError
from pcctrl.linalg import accumulate, block_diag
from pcctrl.models.checks import together
from pcctrl.models.delayed import Delayed
from pcctrl.models.generalised import GeneralisedModel, sampled
from pcctrl.models.joint import JointModel
from pcctrl.models.linear import LinearModel
from pcctrl.models.nonlinear import NonlinearModel
from pcctrl.models.protocol import GenerativeModel
from pcctrl.models.remembered import LateModel, shown

__all__ = ["generalise"]


def generalise(
    model: GenerativeModel,
    order: int | None,
    process_scale: float = 1.0,
    sensor_scale: Array | float = 1.0,
    state_noise: Array | float = 0.0,
) -> GeneralisedModel:
    r"""Return the model of [x; ŵ; d; ẑ] for any generative model; what is exact depends on the kind of its time.

    - A simulator's steps (`MujocoModel`, or a discrete f): each step is taken with w = H ŵ as it is at its beginning,
      then the chains run over the step. The mean, F and Q are exact but for the linearisation of F and Q.
    - A continuous f: each of the model's Runge-Kutta steps reads w at its beginning, middle and end off the chains, so
      the mean is of fourth order in the step and F is its exact derivative. Q is exact for the derivatives of f at the
      middle of each step, that is, of second order in the step for a nonlinear f.
    - A `LinearModel`: its own `joint`, exact.
    - A `Delayed` model: that of the model without delays, and what late sensors have yet to show.

    Args:
        model: plant and noise.
        order: see `GeneralisedModel`, as for the others.
        process_scale: factor.
        sensor_scale: factor.
        state_noise: variances.

    Raises:
        ParameterError: a negative order, a scale that is not positive.
    """
    if isinstance(model, Delayed):
        inner = generalise(model.model, order, process_scale, sensor_scale, state_noise)
        return LateModel(model, order, process_scale, sensor_scale, state_noise, inner=inner)
    if isinstance(model, LinearModel):
        return _Matrices(model, order, process_scale, sensor_scale, state_noise)
    if isinstance(model, NonlinearModel) and model.time == "continuous":
        return _Continuous(model, order, process_scale, sensor_scale, state_noise)
    return _Stepped(model, order, process_scale, sensor_scale, state_noise)


class _Unrolled(GeneralisedModel):
    """Chains a number of steps of ``h`` seconds; of the [x; ŵ; d] in it, K = n + ŵ + d are coupled, ẑ is apart."""

    @cached_property
    def stepper(self) -> tuple[GenerativeModel, int, float]:
        """The model that takes one step, how many of them there are, and their seconds."""
        dt = self.model.dt if self.over is None else self.over
        whole = self.model if self.over is None else self.model.resampled(dt)
        steps = whole.substeps or 1
        return whole.resampled(dt / steps), steps, dt / steps

    @cached_property
    def chained(self) -> tuple[Array, Array, Array, Array]:
        """Transition and driven covariance of ŵ over a step, and of ẑ over all of them."""
        _, steps, h = self.stepper
        return *sampled(self.process_chains, h), *sampled(self.sensor_chains, steps * h)

    @cached_property
    def carried(self) -> Array:
        """Transition of what is beside x, over all steps: one product, in which NaN spreads to all of it."""
        E, _, Z, _ = self.chained
        return block_diag(np.linalg.matrix_power(E, self.stepper[1]), np.eye(self.disturbances), Z)

    def ahead(self, mean: Array, u: Array) -> Array:
        x, w, d, _ = self.parts(mean)
        u, E = self.pushed(u, d), self.chained[0]
        rest = times(self.carried, mean[..., self.plant :])
        for k in range(self.stepper[1]):
            w = times(E, w) if k else w
            x = self._step(x, w, u)
        return _row(x, rest)

    def linearised(self, mean: Array, u: Array) -> tuple[Array, Array, Array]:
        x, w, d, _ = self.parts(mean)
        u, E = self.pushed(u, d), self.chained[0]
        n, K = self.plant, self.exogenous.stop
        F, Q, A = (np.tile(J, (*mean.shape[:-1], 1, 1)) if mean.ndim > 1 else J.copy() for J in self._constant)
        for k in range(self.stepper[1]):
            w = times(E, w) if k else w
            x, A[..., :n, :], step = self._differentiate(x, w, u)
            F[..., :K, :K] = A @ F[..., :K, :K] if k else A
            Q[..., :K, :K] = A @ Q[..., :K, :K] @ np.swapaxes(A, -1, -2) + step if k else step
        return _row(x, times(self.carried, mean[..., n:])), F, self.noisier(Q)

    def linearised_readout(self, mean: Array, u: Array) -> tuple[Array, Array]:
        x, w, d, z = self.parts(mean)
        clean, *by = self.model.linearised_readout(x, self.pushed(u, d), times(self.process_chains.H, w))
        return np.asarray(clean + times(self.sensor_chains.H, z)), self._joint_rows(*by)

    @cached_property
    def _constant(self) -> tuple[Array, Array, Array]:
        """F and Q (N, N) of all but the plant, and one step's transition of [x; ŵ; d] (K, K)."""
        E, _, Z, driven = self.chained
        n, K = self.plant, self.exogenous.stop
        one = block_diag(np.eye(n), E, np.eye(self.disturbances))
        return block_diag(np.eye(K), Z), block_diag(np.zeros((K, K)), driven), one

    @abc.abstractmethod
    def _step(self, x: Array, w: Array, u: Array) -> Array:
        """Return x one step later."""

    @abc.abstractmethod
    def _differentiate(self, x: Array, w: Array, u: Array) -> tuple[Array, Array, Array]:
        """Return x one step later, its derivative (..., n, K), and what drives [x; ŵ; d] meanwhile (..., K, K)."""

    def _beside(self, A: Array, B: Array, G: Array) -> Array:
        """Return the derivative by [x; ŵ; d] of what has those by x, the input and w."""
        return np.concatenate([A, G @ self.process_chains.H, B[..., : self.disturbances]], axis=-1)

    def _white(self, G: Array, scale: float, chains: Array, walks: Array) -> Array:
        """Return the covariance or density (..., K, K) of all that drives, white noise by G (..., n, q)."""
        n, w, K = self.plant, self.plant + self.process, self.exogenous.stop
        Q = np.zeros((*G.shape[:-2], K, K))
        if self.is_driven:
            white = G * self.density
            Q[..., :n, :n] = white @ np.swapaxes(white, -1, -2) * scale
        Q[..., n:w, n:w] = chains
        Q[..., w:, w:] = np.diag(walks)
        return Q


class _Stepped(_Unrolled):
    """Noise is held over each step, as a simulator does it."""

    def _step(self, x: Array, w: Array, u: Array) -> Array:
        return self.stepper[0].transition(x, u, times(self.process_chains.H, w))

    def _differentiate(self, x: Array, w: Array, u: Array) -> tuple[Array, Array, Array]:
        model, _, h = self.stepper
        held = times(self.process_chains.H, w)
        later, A, B, G = model.linearised_transition(x, u, held)
        return later, self._beside(A, B, G), self._white(G, 1.0 / h, self.chained[1], self.rates**2 * h)

    def driven(self, mean: Array, u: Array) -> Array:
        if self.stepper[1] > 1 or self.is_driven:
            return self.linearised(mean, u)[2]
        # Within a single step nothing that drives the chains reaches the plant yet.
        _, drive, _, drive_z = self.chained
        Q, K = np.zeros((self.size, self.size)), self.exogenous.stop
        Q[:K, :K] = self._white(np.zeros((self.plant, len(self.density))), 0.0, drive, self.rates**2 * self.stepper[2])
        Q[K:, K:] = drive_z
        return self.noisier(Q)


class _Continuous(_Unrolled):
    """The classical Runge-Kutta method, where w moves on within a step."""

    model: NonlinearModel

    @cached_property
    def readings(self) -> tuple[Array, Array, Array]:
        """Rows that read w at the beginning, the middle and the end of a step off ŵ at its beginning."""
        H = self.process_chains.H
        half, _ = sampled(self.process_chains, 0.5 * self.stepper[2])
        return H, H @ half, H @ half @ half

    def _step(self, x: Array, w: Array, u: Array) -> Array:
        f, h = self.model.derivative, self.stepper[2]
        x, u, first = together(x, u, w @ self.readings[0].T)
        middle, last = (np.broadcast_to(w @ H.T, first.shape) for H in self.readings[1:])
        with np.errstate(all="ignore"):
            k1 = f(x, u, first)
            k2 = f(x + 0.5 * h * k1, u, middle)
            k3 = f(x + 0.5 * h * k2, u, middle)
            k4 = f(x + h * k3, u, last)
            return np.asarray(x + (h / 6.0) * (k1 + 2.0 * (k2 + k3) + k4))

    def _differentiate(self, x: Array, w: Array, u: Array) -> tuple[Array, Array, Array]:
        h, n, K = self.stepper[2], self.plant, self.exogenous.stop
        x, u, _ = together(x, u, w @ self.readings[0].T)
        w = np.broadcast_to(w, (*x.shape[:-1], w.shape[-1]))
        start = np.broadcast_to(np.eye(n, K), (*x.shape[:-1], n, K))
        slopes, derivatives, at, moved = [], [], x, start
        drift = np.zeros((*x.shape[:-1], K, K))
        with np.errstate(all="ignore"):
            for stage, ahead in enumerate((0.5 * h, 0.5 * h, h, 0.0)):
                H = self.readings[(0, 1, 1, 2)[stage]]
                A, B, G = self.model.derivative_jacobians(at, u, w @ H.T)
                slopes.append(self.model.derivative(at, u, w @ H.T))
                direct = np.concatenate([np.zeros_like(A), G @ H, B[..., : self.disturbances]], axis=-1)
                derivatives.append(A @ moved + direct)
                at, moved = x + ahead * slopes[-1], start + ahead * derivatives[-1]
                if stage == 1:
                    drift[..., :n, :] = self._beside(A, B, G)
                    drive = self._white(G, 1.0, self.process_chains.Q, self.rates**2)
            drift[..., n : n + self.process, n : n + self.process] = self.process_chains.A
            weights = np.array([1.0, 2.0, 2.0, 1.0]) * (h / 6.0)
            later = x + sum(c * k for c, k in zip(weights, slopes, strict=True))
            J = start + sum(c * k for c, k in zip(weights, derivatives, strict=True))
            return np.asarray(later), np.asarray(J), accumulate(drift, drive, h)


class _Matrices(GeneralisedModel):
    """A linear model is its own `JointModel`, delays included."""

    model: LinearModel

    @cached_property
    def joint(self) -> JointModel:
        model = self.model.white if self.order is None else self.model
        joint = (model if self.over is None else model.resampled(self.over)).joint(self.order or 0)
        n, w, z = joint.plant, slice(joint.plant, joint.plant + joint.process), joint.exogenous.stop
        std = np.sqrt(self.process_scale)
        F, Q, C = joint.F.copy(), joint.Q.copy(), joint.C.copy()
        F[:n, w] *= std
        Q[:n, :n] *= self.process_scale
        Q[:n, w] *= std
        Q[w, :n] *= std
        ends = slice(z, z + len(self.sensor_chains.A))
        C[:, ends] *= np.sqrt(np.broadcast_to(self.sensor_scale, (len(C),)))[:, None]
        return replace(joint, F=F, Q=self.noisier(Q), C=C, R=joint.R * self.sensor_scale)

    def resampled(self, dt: float) -> GeneralisedModel:
        if any(self.joint.lags):
            raise ParameterError(name="dt", expected=f"{self.model.dt} (delays have one clock)", received=dt)
        return super().resampled(dt)

    def prior(self, plant: Array | None = None) -> Array:
        prior, lags = super().prior(plant), self.joint.lags
        if plant is not None and any(lags):
            return shown(prior, np.asarray(self.model.C), lags)
        return prior

    @property
    def size(self) -> int:
        return self.joint.size

    @property
    def mean(self) -> Array:
        return self.joint.mean

    def ahead(self, mean: Array, u: Array) -> Array:
        joint = self.joint
        return times(joint.F, mean) + times(joint.B, u) + joint.offset

    def linearised(self, mean: Array, u: Array) -> tuple[Array, Array, Array]:
        later = self.ahead(mean, u)
        shape = (*later.shape, self.size)
        return later, np.broadcast_to(self.joint.F, shape), np.broadcast_to(self.joint.Q, shape)

    def readout(self, mean: Array, u: Array) -> Array:
        joint = self.joint
        return times(joint.C, mean) + times(joint.D, u) + joint.sensor_offset

    def readout_jacobian(self, mean: Array, u: Array) -> Array:  # noqa: ARG002 (the same everywhere)
        return np.broadcast_to(self.joint.C, (*mean.shape[:-1], *self.joint.C.shape))


def _row(x: Array, *others: Array) -> Array:
    """Return parts of a state side by side, in the batch of the first."""
    if x.ndim == 1:
        return np.concatenate([x, *others])
    return np.concatenate([x, *(stretched(a, (*x.shape[:-1], a.shape[-1])) for a in others)], axis=-1)
