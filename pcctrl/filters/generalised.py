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
from pcctrl.filters.belief import Belief, Estimate, Info
from pcctrl.filters.recording import check_recording
from pcctrl.free_energy import Correction
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
        model = self.model
        if model.substeps is not None or model.delay is not None or model.noise_outputs.any():
            received = f"{model.substeps} steps a sample, delay {model.delay}, noise output {model.noise_output}"
            expected = "continuous time, without delays or a noise output"
            raise ModelError(name="model", expected=expected, received=received)
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

    @cached_property
    def _embeddings(self) -> tuple[Array, Array]:
        """Return the matrices that embed samples and inputs."""
        dt = self.model.dt
        return embedding_matrix(self.order, dt, self.embedding), embedding_matrix(self.input_order, dt)

    @cached_property
    def _held(self) -> tuple[Array, Array]:
        """Return the plant's exact step and its input gain, which predict the next sample."""
        advance, held, _ = discretise(self.model.A, self.model.B, np.zeros_like(self.model.A), self.model.dt)
        return advance, held

    @cached_property
    def _correction(self) -> Correction:
        model, covariance = self.model, _inverse(self._flow[3])
        n = len(model.A)
        S = model.C @ covariance[:n, :n] @ model.C.T
        # S = L L' in the form of sensors taken one by one: unit triangle and variances.
        root = np.linalg.cholesky(S + np.diag([z.variance + z.sensor_floor for z in model.sensor_noise]))
        triangle = np.asarray(np.linalg.inv(root / np.diagonal(root)))
        return Correction(np.zeros((n, len(S))), covariance, triangle, np.square(np.diagonal(root)))

    def _drive(self, samples: Array, inputs: Array) -> Array:
        """Return what samples (..., p + 1, m) and inputs (..., lag + d + 1, p), newest first, add to μ̃ in one step."""
        E, E_u = self._embeddings
        # A centred embedding is about a sample ``lag`` ago, so it meets the inputs of that time.
        y_tilde, u_tilde = E @ samples, E_u @ inputs[..., self.lag :, :]
        y_tilde, u_tilde = y_tilde.reshape(*y_tilde.shape[:-2], -1), u_tilde.reshape(*u_tilde.shape[:-2], -1)
        return np.asarray(y_tilde @ self._flow[1].T + u_tilde @ self._flow[2].T)

    def _expected(self, mean: Array, inputs: Array) -> Array:
        """Return the newest sample as the plant predicts it from the belief before it, lag + 1 steps earlier."""
        advance, held = self._held
        x = mean[..., : len(advance)]
        for j in range(self.lag, -1, -1):
            x = x @ advance.T + inputs[..., j, :] @ held.T
        return np.asarray(x @ self.model.C.T)

    def _advanced(self, mean: Array, drive: Array) -> tuple[Array, NDArray[np.bool_] | None]:
        """Return μ̃ a step later, and which of the batch was lost and is at rest again, or None."""
        mean = mean.dot(self._flow[0].T) + drive
        lost = ~(np.abs(mean).max(axis=-1) < 1e100)
        return (np.where(lost[..., None], 0.0, mean), lost) if lost.any() else (mean, None)

    def init(self, batch: tuple[int, ...] = ()) -> Belief:
        """Return the belief before any data: at the operating point, at rest."""
        state, u, _ = self.model.operating_point  # type: ignore[misc]
        mean = np.zeros((*batch, len(state) * (self.order + 1)))
        mean[..., : len(state)] = state
        inputs = np.zeros((*batch, self.lag + self.input_order + 1, len(u)))
        return _History(mean, self._correction.covariance, u, len(state), inputs=inputs)

    def predict(self, belief: Belief, u: ArrayLike | None = None, dt: float | None = None) -> Belief:
        """Return the belief with the input ``u`` (..., p) noted; the flow itself needs the sample that ends it.

        Raises:
            ParameterError: another time step than the model's.
        """
        if dt is not None and dt != self.model.dt:
            raise ParameterError(name="dt", expected=f"{self.model.dt} (embedding needs a steady clock)", received=dt)
        rest: Array = self.model.operating_point[1]  # type: ignore[index]
        u = rest if u is None else np.asarray(u, dtype=np.float64)
        inputs = _push(belief.inputs, u - rest)  # type: ignore[attr-defined]
        samples: Array | None = belief.samples  # type: ignore[attr-defined]
        return _History(belief.mean, belief.covariance, u, belief.plant, samples=samples, inputs=inputs)

    def update(self, belief: Belief, y: ArrayLike) -> tuple[Belief, Info]:
        """Return the belief one sample's flow later, driven by the embedding of the last samples up to ``y`` (..., m).

        The innovation is the sample minus the plant's prediction of it from the belief before.

        Raises:
            ShapeError: the last dimension of y is not m.
        """
        y = np.asarray(y, dtype=np.float64)
        m, n = len(self.model.C), belief.plant
        if y.shape[-1:] != (m,):
            raise ShapeError(name="y", expected=f"(..., {m})", received=f"shape {y.shape}")
        state, u_rest, y_rest = self.model.operating_point  # type: ignore[misc]
        past, inputs = belief.samples, belief.inputs  # type: ignore[attr-defined]
        present = np.isfinite(y)
        sensed = y - y_rest - (belief.input - u_rest) @ self.model.D.T  # type: ignore[union-attr]
        sensed = np.where(present, sensed, 0.0 if past is None else past[..., 0, :])
        samples = np.repeat(sensed[..., None, :], self.order + 1, axis=-2) if past is None else _push(past, sensed)
        mean = belief.mean.copy()
        mean[..., :n] -= state
        innovation = np.where(present, sensed - self._expected(mean, inputs), 0.0)
        mean, lost = self._advanced(mean, self._drive(samples, inputs))
        mean[..., :n] += state
        info = Info(innovation, None if present.all() else present, self._correction, lost)
        return _History(mean, belief.covariance, belief.input, n, samples=samples, inputs=inputs), info

    def step(
        self, belief: Belief, y: ArrayLike, u: ArrayLike | None = None, dt: float | None = None
    ) -> tuple[Belief, Info]:
        """Note the input applied since the last sample, then flow with the new one."""
        return self.update(self.predict(belief, u, dt), y)

    def run(self, y: ArrayLike, u: ArrayLike | None = None) -> Estimate:
        """Return the estimate of a recording; a centred embedding reads ``lag`` future samples, so it is aligned.

        Innovations, NIS and free energy are those of the filter at sample k.

        Raises:
            ShapeError, ParameterError: as `LinearFilter.run`.
        """
        state, u_rest, y_rest = self.model.operating_point  # type: ignore[misc]
        y, u = check_recording(y, u, len(self.model.C), u_rest)
        batch, T, L = np.broadcast_shapes(y.shape[:-2], u.shape[:-2]), y.shape[-2], self.lag
        y, u = np.broadcast_to(y, (*batch, *y.shape[-2:])), np.broadcast_to(u, (*batch, *u.shape[-2:])) - u_rest
        # The input held until each sample, after one at rest; the last sample and input stand in for what follows.
        held = np.concatenate([np.zeros((*batch, 1, len(u_rest))), u], axis=-2)
        present = np.isfinite(y)
        sensed = y - y_rest - held[..., :T, :] @ self.model.D.T  # type: ignore[union-attr]
        last = np.maximum.accumulate(np.where(present, np.arange(T)[:, None], -1), axis=-2)
        sensed = np.where(last < 0, 0.0, np.take_along_axis(sensed, np.maximum(last, 0), axis=-2))
        newest = np.arange(T + L)[:, None]
        samples = sensed[..., np.clip(newest - np.arange(self.order + 1), 0, T - 1), :]
        inputs = held[..., np.clip(newest - np.arange(L + self.input_order + 1), 0, T), :]
        drive = self._drive(samples, inputs)
        before = np.zeros((*batch, T + L + 1, drive.shape[-1]))
        reset = np.zeros((*batch, T + L), dtype=bool)
        for k in range(T + L):
            before[..., k + 1, :], lost = self._advanced(before[..., k, :], drive[..., k, :])
            if lost is not None:
                reset[..., k] = lost
        innovation = np.where(present, sensed - self._expected(before[..., :T, :], inputs[..., :T, :, :]), 0.0)
        info = Info(innovation, present, self._correction, reset[..., :T])
        n, S = len(state), info.innovation_covariance
        return Estimate(
            mean=before[..., L + 1 :, :n] + state,
            std=np.broadcast_to(np.sqrt(np.diagonal(self._correction.covariance)[:n]), (*batch, T, n)),
            innovation=innovation,
            innovation_std=np.broadcast_to(np.sqrt(np.diagonal(S)), innovation.shape),
            nis=info.nis,
            free_energy=info.free_energy,
            status=info.status,
        )


def _push(past: Array, new: Array) -> Array:
    """Return the entries ``past`` (..., count, m) with ``new`` (..., m) as the newest and without the oldest."""
    new = new[..., None, :]
    batch = np.broadcast_shapes(new.shape[:-2], past.shape[:-2])
    new, past = np.broadcast_to(new, (*batch, *new.shape[-2:])), np.broadcast_to(past, (*batch, *past.shape[-2:]))
    return np.concatenate([new, past[..., :-1, :]], axis=-2)


def _inverse(covariance: Array) -> Array:
    """Return the inverse, formed where the diagonal is 1: derivatives differ in size by many powers of 1/s."""
    scale = np.sqrt(np.diagonal(covariance))
    return np.asarray(np.linalg.inv(covariance / np.outer(scale, scale)) / np.outer(scale, scale))
