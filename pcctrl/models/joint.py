r"""The joint discrete model of plant, noise chains and sensors: what every linear filter and controller works on.

.. math:: \mu_{k+1} = F\mu_k + B u_k + b + \text{noise}(Q),\qquad
          y_k = C\mu_k + D u_{k-1} + c + \text{white}(R),\qquad \mu = [x;\ \hat w;\ d;\ \hat z]

and, after them, what delayed sensors have yet to show.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from pcctrl.arrays import Array, frozen
from pcctrl.errors import ModelError
from pcctrl.linalg import block_diag, block_rows, compose, discretise, spectral_radius, stationary_covariance

if TYPE_CHECKING:
    from pcctrl.models.linear import LinearModel

__all__ = ["JointModel", "build_joint", "delayed"]


@dataclass(frozen=True, eq=False)
class JointModel:
    """A time-invariant linear Gaussian model with N joint states, p inputs and m sensors, in absolute coordinates.

    Args:
        F: (N, N) transition over one sample.
        B: (N, p) effect of an input held over one sample.
        Q: (N, N) covariance of the noise accumulated over one sample.
        C: (m, N) sensor readout.
        D: (m, p) effect on the sensors of the input still held when the sample is taken.
        R: (m,) white variance of each sensor per sample.
        offset: (N,) constant b, zero without an operating point.
        sensor_offset: (m,) constant c, zero without an operating point.
        mean: (N,) mean before any data (the operating point).
        input: (p,) input before any data (the operating point).
        plant: number n of physical states, which come first.
        process: number of states of the process-noise chains ŵ, which come next.
        disturbances: number of random-walk input disturbances d, which come then; the sensors' chains ẑ are last.
        lags: (m,) whole samples that each sensor's reading is old; their delay lines stand at the very end.
        prior: covariance (n, n) of the physical states before any data, or None for the stationary one.
    """

    F: Array
    B: Array
    Q: Array
    C: Array
    D: Array
    R: Array
    offset: Array
    sensor_offset: Array
    mean: Array
    input: Array
    plant: int
    process: int
    disturbances: int
    lags: tuple[int, ...]
    prior: Array | None

    def __post_init__(self) -> None:
        for array in (self.F, self.B, self.Q, self.C, self.D, self.R, self.offset, self.sensor_offset, self.mean):
            frozen(array)

    @property
    def size(self) -> int:
        """Number of joint states N."""
        return len(self.F)

    @property
    def exogenous(self) -> slice:
        """Where ŵ and d stand: the part of the belief that is a forecast of what will push the plant."""
        return slice(self.plant, self.plant + self.process + self.disturbances)

    def spread(self, P: Array) -> Array:
        """Return the covariance F P Fᵀ + Q one sample after P, (N, N) or (..., N, N)."""
        if P.ndim > 2:
            return self.F @ P @ self.F.T + self.Q
        # For one belief `dot` is quicker than ``@``.
        later: Array = self.F.dot(P).dot(self.F.T)
        later += self.Q
        return later

    def is_stable(self) -> bool:
        """Tell whether the plant, and so the joint model, has a stationary distribution."""
        return spectral_radius(self.F) < 1.0 - 1e-9

    def stationary(self) -> Array:
        """Return the stationary covariance (N, N) of the joint state without control.

        Raises:
            ModelError: the plant is not stable.
        """
        return stationary_covariance(self.F, self.Q)


def delayed(joint: JointModel, lags: tuple[int, ...]) -> JointModel:
    """Return ``joint`` with the noise-free value of each sensor read so many samples late, by state augmentation.

    Raises:
        ModelError: a delayed sensor has a feedthrough D.
    """
    if not any(lags):
        return joint
    m, N, extra = len(joint.R), joint.size, sum(lags)
    if joint.D[np.flatnonzero(lags)].any():
        raise ModelError(name="delay", expected="no feedthrough D in a delayed sensor", received=f"D = {joint.D}")
    # What is delayed is the plant's part of a reading: its coloured noise is that of the moment it is read.
    clean = joint.C.copy()
    clean[:, joint.exogenous.stop :] = 0.0
    F, C = np.zeros((N + extra, N + extra)), np.zeros((m, N + extra))
    F[:N, :N], C[:, :N] = joint.F, joint.C
    at = N
    for i, lag in enumerate(lags):
        if lag:
            F[at, :N] = clean[i]
            F[at + 1 : at + lag, at : at + lag - 1] = np.eye(lag - 1)
            C[i, :N] -= clean[i]
            C[i, at + lag - 1] = 1.0
            at += lag
    pad = np.zeros(extra)
    past = np.repeat(clean @ joint.mean, lags)
    Q = np.zeros_like(F)
    Q[:N, :N] = joint.Q
    return replace(
        joint,
        F=F,
        B=np.vstack([joint.B, np.zeros((extra, joint.B.shape[1]))]),
        Q=Q,
        C=C,
        offset=np.concatenate([joint.offset, pad]),
        mean=np.concatenate([joint.mean, past]),
        lags=lags,
    )


def build_joint(model: LinearModel, order: int) -> JointModel:
    """Return the joint discrete model of ``model`` with every coloured noise as a chain of ``order`` + 1 states."""
    n, p = model.B.shape
    process = [w.chain(order) for w in model.process_noise]
    sensor = [z.chain(order) for z in model.sensor_noise]
    chains = block_rows(*(c.H for c in process))
    readout = model.noise_input @ chains
    rates = np.zeros(0) if model.disturbance is None else np.asarray(model.disturbance)
    # A random walk is a chain of its own: no drift, driven at its rate, and it enters as the inputs do.
    walks, walk_input = len(rates), model.B if len(rates) else np.zeros((n, 0))
    q = readout.shape[1]
    coupled = slice(n, n + q + walks)
    A_chain = block_diag(*(c.A for c in process), np.zeros((walks, walks)), *(c.A for c in sensor))
    Q_chain = block_diag(*(c.Q for c in process), np.diag(rates**2), *(c.Q for c in sensor))
    size = n + len(A_chain)
    white = model.noise_input * np.array([w.density for w in model.process_noise])

    A, B, Q = np.zeros((size, size)), np.zeros((size, p)), np.zeros((size, size))
    A[:n, :n], A[:n, coupled], B[:n] = model.A, np.hstack([readout, walk_input]), model.B
    if model.substeps is None:
        A[n:, n:] = A_chain
        Q[:n, :n], Q[n:, n:] = white @ white.T, Q_chain
        F, B, Q = discretise(A, B, Q, model.dt)
    else:
        h = model.dt / model.substeps
        A[n:, n:], _, Q[n:, n:] = discretise(A_chain, np.zeros((size - n, 0)), Q_chain, h)
        Q[:n, :n] = white @ white.T / h
        F, B, Q = compose(A, B, Q, model.substeps)

    felt = model.noise_outputs @ chains
    D = np.asarray(model.D)
    # What adds to an input is read with it.
    read = [felt, D[:, :walks], block_rows(*(c.H for c in sensor))]
    C = np.hstack([model.C, *read])
    state, u, y = model.operating_point  # type: ignore[misc]
    mean = np.concatenate([state, np.zeros(size - n)])
    lags = (0,) * len(model.C) if model.delay is None else np.rint(np.asarray(model.delay) / model.dt).astype(int)
    undelayed = JointModel(
        F=F,
        B=B,
        Q=Q,
        C=C,
        D=D,
        R=np.array([z.sensor_floor for z in model.sensor_noise]),
        offset=mean - F @ mean - B @ u,
        sensor_offset=y - C @ mean - D @ u,
        mean=mean,
        input=u,
        plant=n,
        process=q,
        disturbances=walks,
        lags=(0,) * len(model.C),
        prior=model.prior,
    )
    return delayed(undelayed, tuple(int(lag) for lag in lags))
