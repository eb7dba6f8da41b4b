r"""The joint discrete model of plant, noise chains and sensors: what every linear filter and controller works on.

.. math:: \mu_{k+1} = F\mu_k + B u_k + b + \text{noise}(Q),\qquad
          y_k = C\mu_k + D u_{k-1} + c + \text{white}(R),\qquad \mu = [x;\ \hat w;\ d;\ \hat z]

and, after them, what delayed sensors have yet to show.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pcctrl.arrays import Array, frozen
from pcctrl.errors import ModelError
from pcctrl.linalg import spectral_radius, stationary_covariance

__all__ = ["JointModel", "delayed"]


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
