r"""The joint discrete model of plant, noise chains and sensors: what every linear filter and controller works on.

.. math:: \mu_{k+1} = F\mu_k + B u_k + b + \text{noise}(Q),\qquad
          y_k = C\mu_k + D u_{k-1} + c + \text{white}(R),\qquad \mu = [x;\ \hat w;\ d;\ \hat z]
"""

from __future__ import annotations

from dataclasses import dataclass

from pcctrl.arrays import Array, frozen
from pcctrl.linalg import spectral_radius, stationary_covariance

__all__ = ["JointModel"]


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
