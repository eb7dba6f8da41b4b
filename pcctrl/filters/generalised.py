r"""The classical generalised filter: dynamic expectation maximisation's state estimator, in Taylor coordinates.

.. math:: \dot{\tilde\mu} = D\tilde\mu - \kappa\,\partial F/\partial\tilde\mu,\qquad
          F = \tfrac12\tilde\epsilon_y^\top\tilde\Pi_y\tilde\epsilon_y
            + \tfrac12\tilde\epsilon_x^\top\tilde\Pi_x\tilde\epsilon_x,

with :math:`\tilde\epsilon_y = \tilde y - \tilde C\tilde\mu`, generalised precisions
:math:`S(s)^{-1}\otimes\Sigma^{-1}` and :math:`\tilde\epsilon_x = D\tilde\mu - \tilde A\tilde\mu - \tilde B\tilde u`.
For a linear model the flow is linear, so it is integrated exactly over each sample, the embedded data held. It is here
as a peer. Sources: Friston et al. 2008; Anil Meera & Wisse 2020.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pcctrl.arrays import Array, choose, positive, whole
from pcctrl.errors import ModelError, ParameterError, ShapeError
from pcctrl.filters.belief import Belief, Estimate, Info, Status
from pcctrl.filters.recording import check_recording
from pcctrl.free_energy import Correction, minimum
from pcctrl.generalised import embedding_matrix, lag_of, shift_operator, temporal_covariance
from pcctrl.linalg import discretise
from pcctrl.noise import Noise, Smooth

if TYPE_CHECKING:
    from pcctrl.models import LinearModel

__all__ = ["GeneralisedFilter"]

# Variance, relative to the largest, of a state that no process noise reaches: it must have some for a precision.
_UNREACHED = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class _History(Belief):
    """A belief over (x, x′, x″, …) and the samples and inputs that an embedding needs, newest first."""

    samples: Array | None = None
    inputs: Array | None = None


@dataclass(frozen=True, eq=False)
class GeneralisedFilter:
    """Friston's generalised filter on a linear model, with the noises' own smoothness.

    A missing sensor keeps its last value. The belief's covariance is the inverse curvature of F, which is not the
    covariance of its error.

    Args:
        model: plant and noise, in continuous time; every noise `Smooth` unless ``s`` is given.
        order: highest derivative of states and sensors, p.
        input_order: highest derivative of the input, d.
        rate: κ, of the descent, in 1/s.
        embedding: ``"causal"``, or ``"centred"`` as published: then ``run`` reads ⌈p / 2⌉ future samples, and `step` is
            late by that many.
        s: smoothness in seconds to use for every noise, instead of their own.

    Raises:
        ModelError: a noise that is not smooth, or a model in discrete time.
        ParameterError: a negative order, or a rate or smoothness that is not positive.
        UnknownNameError: another embedding.
    """

    model: LinearModel
    order: int = 6
    input_order: int = 2
    rate: float = 1.0
    embedding: Literal["causal", "centred"] = "causal"
    s: float | None = None

    def __post_init__(self) -> None:
        choose("embedding", self.embedding, ("causal", "centred"))
        positive("rate", self.rate)
        if self.s is not None:
            positive("s", self.s)
        for name, value in (("order", self.order), ("input_order", self.input_order)):
            whole(name, value)
        if self.model.substeps is not None or self.model.delay is not None:
            received = f"{self.model.substeps} steps a sample, delay {self.model.delay}"
            raise ModelError(name="model", expected="continuous time, without delays", received=received)
        _ = self._flow

    @property
    def lag(self) -> int:
        """Samples that the estimate of `step` is late."""
        return lag_of(self.order, self.embedding)

    @cached_property
    def _flow(self) -> tuple[Array, Array, Array, Array]:
        """Return the exact step of μ̃, and the gains over it of ỹ and ũ; and the curvature of F."""
        model, p, n = self.model, self.order, len(self.model.A)
        kinds = np.eye(p + 1)
        C, A = np.kron(kinds, model.C), np.kron(kinds, model.A)
        B = np.kron(np.eye(p + 1, self.input_order + 1), model.B)
        error = shift_operator(p, n) - A
        Py, Px = self._sensor_precision(), self._state_precision()
        curvature = C.T @ Py @ C + error.T @ Px @ error
        data = self.rate * np.hstack([C.T @ Py, error.T @ Px @ B])
        flow = shift_operator(p, n) - self.rate * curvature
        advance, held, _ = discretise(flow, data, np.zeros_like(flow), model.dt)
        y_gain, u_gain = np.split(held, [C.shape[0]], axis=1)
        return advance, y_gain, u_gain, curvature

    def _smoothness(self, name: str, noise: Noise) -> float:
        if self.s is not None:
            return self.s
        if not isinstance(noise, Smooth):
            raise ModelError(name=name, expected="Smooth noise, or s given", received=noise)
        return noise.s

    def _sensor_precision(self) -> Array:
        m, size = len(self.model.C), self.order + 1
        variance = np.zeros((size * m, size * m))
        for i, z in enumerate(self.model.sensor_noise):
            S = temporal_covariance(self.order, self._smoothness(f"sensor_noise[{i}]", z))
            variance[i::m, i::m] = S * (z.variance + z.sensor_floor)
        return _inverse(variance)

    def _state_precision(self) -> Array:
        n, dt = len(self.model.A), self.model.dt
        total = np.zeros((n * (self.order + 1),) * 2)
        slowest = 0.0
        for i, w in enumerate(self.model.process_noise):
            s = self._smoothness(f"process_noise[{i}]", w)
            slowest = max(slowest, s)
            column = self.model.noise_input[:, [i]]
            variance = w.variance + w.density**2 / dt
            total += np.kron(temporal_covariance(self.order, s), variance * column @ column.T)
        unreached = _UNREACHED * np.eye(n) * np.abs(total[:n, :n]).max(initial=0.0)
        return _inverse(total + np.kron(temporal_covariance(self.order, slowest or self.model.dt), unreached))

    def init(self, batch: tuple[int, ...] = ()) -> Belief:
        """Return the belief before any data: at the operating point, at rest."""
        state, u, _ = self.model.operating_point  # type: ignore[misc]
        mean = np.zeros((*batch, len(state) * (self.order + 1)))
        mean[..., : len(state)] = state
        return _History(mean, _inverse(self._flow[3]), u, len(state))

    def predict(self, belief: Belief, u: ArrayLike | None = None, dt: float | None = None) -> Belief:
        """Return the belief with the input ``u`` (..., p) noted; the flow itself needs the sample that ends it.

        Raises:
            ParameterError: another time step than the model's.
        """
        if dt is not None and dt != self.model.dt:
            raise ParameterError(name="dt", expected=f"{self.model.dt} (embedding needs a steady clock)", received=dt)
        u = self.model.operating_point[1] if u is None else np.asarray(u, dtype=np.float64)  # type: ignore[index]
        inputs = _push(belief.inputs, u, self.input_order + 1)  # type: ignore[attr-defined]
        return _History(belief.mean, belief.covariance, u, belief.plant, None, belief.samples, inputs)  # type: ignore[attr-defined]

    def update(self, belief: Belief, y: ArrayLike) -> tuple[Belief, Info]:
        """Return the belief one sample's flow later, driven by the embedding of the last samples up to ``y`` (..., m).

        Raises:
            ShapeError: the last dimension of y is not m.
        """
        y = np.asarray(y, dtype=np.float64)
        m = len(self.model.C)
        if y.shape[-1:] != (m,):
            raise ShapeError(name="y", expected=f"(..., {m})", received=f"shape {y.shape}")
        state, u_rest, y_rest = self.model.operating_point  # type: ignore[misc]
        past = belief.samples  # type: ignore[attr-defined]
        present = np.isfinite(y)
        last = np.broadcast_to(y_rest, y.shape) if past is None else past[..., 0, :]
        samples = _push(past, np.where(present, y, last), self.order + 1)
        inputs = belief.inputs  # type: ignore[attr-defined]
        if inputs is None:
            inputs = _push(None, np.broadcast_to(u_rest, (*y.shape[:-1], len(u_rest))), self.input_order + 1)
        E = embedding_matrix(self.order, self.model.dt, self.embedding)
        E_u = embedding_matrix(self.input_order, self.model.dt)
        y_tilde = (E @ (samples - y_rest)).reshape(*samples.shape[:-2], -1)
        u_tilde = (E_u @ (inputs - u_rest)).reshape(*inputs.shape[:-2], -1)
        advance, y_gain, u_gain, _ = self._flow
        mean = belief.mean.copy()
        mean[..., : len(state)] -= state
        innovation = np.where(present, samples[..., 0, :] - y_rest - mean[..., : len(state)] @ self.model.C.T, 0.0)
        mean = mean @ advance.T + y_tilde @ y_gain.T + u_tilde @ u_gain.T
        mean[..., : len(state)] += state
        lost = ~(np.abs(mean).max(axis=-1) < 1e100)
        if lost.any():
            mean = np.where(lost[..., None], self.init().mean, mean)
        n = belief.plant
        S = self.model.C @ belief.covariance[:n, :n] @ self.model.C.T
        S = S + np.diag([z.variance + z.sensor_floor for z in self.model.sensor_noise])
        # S = L L' in the form of sensors taken one by one: unit triangle and variances.
        root = np.linalg.cholesky(S)
        triangle = np.asarray(np.linalg.inv(root / np.diagonal(root)))
        correction = Correction(np.zeros((n, m)), belief.covariance, triangle, np.square(np.diagonal(root)))
        info = Info(innovation, None if present.all() else present, correction, lost if lost.any() else None)
        return _History(mean, belief.covariance, belief.input, n, None, samples, inputs), info

    def step(
        self, belief: Belief, y: ArrayLike, u: ArrayLike | None = None, dt: float | None = None
    ) -> tuple[Belief, Info]:
        """Note the input applied since the last sample, then flow with the new one."""
        return self.update(self.predict(belief, u, dt), y)

    def run(self, y: ArrayLike, u: ArrayLike | None = None) -> Estimate:
        """Return the estimate of a recording; a centred embedding reads ``lag`` future samples, so it is aligned.

        Raises:
            ShapeError, ParameterError: as `LinearFilter.run`.
        """
        _, u_rest, _ = self.model.operating_point  # type: ignore[misc]
        y, u = check_recording(y, u, len(self.model.C), u_rest)
        batch, T = np.broadcast_shapes(y.shape[:-2], u.shape[:-2]), y.shape[-2]
        belief, means, infos = self.init(batch), [], []
        for k in range(T + self.lag):
            sample = y[..., min(k, T - 1), :]
            belief, info = self.update(belief, sample)
            belief = self.predict(belief, u[..., min(max(k - self.lag, 0), T - 1), :])
            if k >= self.lag:
                means.append(belief.state)
                infos.append(info)
        mean = np.stack(means, axis=-2)
        nis = np.stack([i.nis for i in infos], axis=-1)
        status: NDArray[np.int64] = np.stack([i.status for i in infos], axis=-1)
        S = infos[0].innovation_covariance
        return Estimate(
            mean=mean,
            std=np.broadcast_to(belief.std[..., None, :], mean.shape).copy(),
            innovation=np.stack([i.innovation for i in infos], axis=-2),
            innovation_std=np.broadcast_to(np.sqrt(np.diagonal(S)), (*batch, T, len(S))).copy(),
            nis=nis,
            free_energy=minimum(nis, infos[0].correction, len(S)),
            status=np.where(status == Status.PARTIAL, int(Status.PARTIAL), status),
        )


def _push(past: Array | None, new: Array, count: int) -> Array:
    """Return the newest ``count`` entries (..., count, m), the first ever standing in for those before it."""
    new = np.asarray(new, dtype=np.float64)[..., None, :]
    if past is None:
        return np.repeat(new, count, axis=-2)
    batch = np.broadcast_shapes(new.shape[:-2], past.shape[:-2])
    new, past = np.broadcast_to(new, (*batch, *new.shape[-2:])), np.broadcast_to(past, (*batch, *past.shape[-2:]))
    return np.concatenate([new, past[..., : count - 1, :]], axis=-2)


def _inverse(covariance: Array) -> Array:
    """Return the inverse, formed where the diagonal is 1: derivatives differ in size by many powers of 1/s."""
    scale = np.sqrt(np.diagonal(covariance))
    return np.asarray(np.linalg.inv(covariance / np.outer(scale, scale)) / np.outer(scale, scale))
