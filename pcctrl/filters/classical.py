"""The peers that know of colour: first-order shaping filters, and autoregressive augmentation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import scipy.linalg

from pcctrl.arrays import Array, positive, whole
from pcctrl.errors import ModelError, ParameterError
from pcctrl.filters.kalman import variances
from pcctrl.filters.linear import LinearFilter
from pcctrl.linalg import block_diag, block_rows
from pcctrl.models import JointModel, delayed
from pcctrl.noise import Chain, Noise, OrnsteinUhlenbeck, White

if TYPE_CHECKING:
    from pcctrl.models import LinearModel

__all__ = ["ARKalmanFilter", "ColouredKalmanFilter"]

# White variance, relative to the noise's, that keeps Yule-Walker equations of very smooth noise solvable.
_RIDGE = 1e-6


@dataclass(frozen=True, eq=False)
class ColouredKalmanFilter(LinearFilter):
    """The Kalman filter augmented with a first-order shaping filter for every coloured noise.

    Each is an Ornstein-Uhlenbeck process with the noise's variance and correlation time. Source: Bryson & Henrikson
    1968. The scales are what a practitioner tunes.

    Args:
        model: plant and noise.
        process_scale: factor on the variance of the process noise.
        sensor_scale: factor on the variance of the sensors' coloured noise.
        floor_scale: factor on the white variance of the sensors.
        process_time_scale: factor on the correlation times of the process noise.
        sensor_time_scale: factor on those of the sensors' noise.
        state_noise: variance a sample added to Q for each state, one number or (n,).
        precision: ``"steady"`` or ``"carried"``, see `LinearFilter`; the answers agree.

    Raises:
        ModelError: the model is undetectable.
        ParameterError: a scale that is not positive, a negative variance.
        ShapeError: ``state_noise`` of another size.
        UnknownNameError: another precision.
    """

    model: LinearModel
    process_scale: float = 1.0
    sensor_scale: float = 1.0
    floor_scale: float = 1.0
    process_time_scale: float = 1.0
    sensor_time_scale: float = 1.0
    state_noise: Array | float = 0.0
    precision: Literal["steady", "carried"] = "steady"

    def __post_init__(self) -> None:
        for name in ("process_scale", "sensor_scale", "floor_scale", "process_time_scale", "sensor_time_scale"):
            positive(name, getattr(self, name))
        object.__setattr__(self, "state_noise", variances("state_noise", self.state_noise, len(self.model.A)))
        super().__post_init__()

    def _believed(self, dt: float) -> JointModel:
        model = self.model if dt == self.model.dt else self.model.resampled(dt)
        joint = replace(
            model,
            process_noise=[_first_order(w, self.process_scale, self.process_time_scale) for w in model.process_noise],
            sensor_noise=[_first_order(z, self.sensor_scale, self.sensor_time_scale) for z in model.sensor_noise],
        ).joint(0)
        R = np.array([z.sensor_floor for z in model.sensor_noise]) * self.floor_scale
        Q, n = joint.Q.copy(), joint.plant
        Q[:n, :n] += np.diag(np.asarray(self.state_noise)) * (dt / self.model.dt)
        return replace(joint, Q=Q, R=R)


@dataclass(frozen=True, eq=False)
class ARKalmanFilter(LinearFilter):
    """The Kalman filter augmented with an autoregressive model AR(q) of every coloured noise.

    The coefficients solve the Yule-Walker equations of the noise's autocovariance at the sample time; process noise is
    held over a sample. Source: state augmentation as in Bos et al., ICRA 2022, with the noise told instead of fitted.

    Args:
        model: plant and noise, in continuous time or of one simulator step a sample.
        lags: q, the order of the autoregression.
        precision: ``"steady"`` or ``"carried"``, see `LinearFilter`; the answers agree.

    Raises:
        ModelError: the model is undetectable, or of several simulator steps a sample.
        ParameterError: no lags.
        UnknownNameError: another precision.
    """

    model: LinearModel
    lags: int = 6
    precision: Literal["steady", "carried"] = "steady"

    def __post_init__(self) -> None:
        whole("lags", self.lags, 1)
        if self.model.substeps not in (None, 1):
            raise ModelError(
                name="model", expected="continuous time, or one step a sample", received=self.model.substeps
            )
        super().__post_init__()

    def _believed(self, dt: float) -> JointModel:
        model = replace(self.model, delay=None)
        if dt != model.dt:
            raise ParameterError(name="dt", expected=f"{model.dt} (an autoregression has one clock)", received=dt)
        plain = model.white.joint(0)
        n = plain.plant
        G = model.jacobians().G
        process = [self._fit(w, model.dt) for w in model.process_noise]
        sensor = [self._fit(z, model.dt) for z in model.sensor_noise]
        density = np.array([w.density for w in model.process_noise])
        unit = [White(density=1.0)] * len(density)
        white = replace(model, noise_input=model.noise_input * density, process_noise=unit).white.joint(0).Q[:n, :n]

        # [x; ŵ; d; ẑ]: the plant and its walks from the white model, between them and after them the autoregressions.
        w, z = block_rows(*(c.H for c in process)), block_rows(*(c.H for c in sensor))
        order = np.argsort(
            [*np.zeros(n), *np.full(plain.disturbances, 2), *np.ones(w.shape[1]), *np.full(z.shape[1], 3)],
            kind="stable",
        )
        F = block_diag(plain.F, *(c.A for c in process), *(c.A for c in sensor))
        F[:n, plain.size : plain.size + w.shape[1]] = G @ w
        Q = block_diag(white, plain.Q[n:, n:], *(c.Q for c in process), *(c.Q for c in sensor))
        C = np.hstack([plain.C, model.noise_outputs @ w, z])
        pad = np.zeros(w.shape[1] + z.shape[1])
        joint = replace(
            plain,
            F=F[np.ix_(order, order)],
            Q=Q[np.ix_(order, order)],
            C=C[:, order],
            B=np.vstack([plain.B, np.zeros((len(pad), plain.B.shape[1]))])[order],
            offset=np.concatenate([plain.offset, pad])[order],
            mean=np.concatenate([plain.mean, pad])[order],
            R=np.array([noise.sensor_floor for noise in model.sensor_noise]),
            process=w.shape[1],
        )
        return delayed(joint, self.model.white.joint(0).lags)

    def _fit(self, noise: Noise, dt: float) -> Chain:
        """Return the autoregression as a chain over one sample: companion matrix, driving variance and readout."""
        size = self.lags if noise.variance > 0.0 else 0
        companion, drive, readout = np.eye(size, k=-1), np.zeros((size, size)), np.zeros(size)
        if size:
            r = noise.autocovariance(np.arange(size + 1.0) * dt)
            r[0] = noise.variance * (1.0 + _RIDGE)
            companion[0] = scipy.linalg.solve_toeplitz(r[:-1], r[1:])
            drive[0, 0], readout[0] = r[0] - companion[0] @ r[1:], 1.0
        return Chain(companion, drive, readout)


def _first_order(noise: Noise, scale: float, time_scale: float) -> Noise:
    """Return the Ornstein-Uhlenbeck process with the scaled variance and correlation time of a noise."""
    if noise.variance == 0.0:
        return noise if noise.density == 0.0 else White(density=noise.density * float(np.sqrt(scale)))
    std = float(np.sqrt(noise.variance * scale))
    coloured = OrnsteinUhlenbeck(std, noise.correlation_time * time_scale, floor=1.0)
    return coloured if noise.density == 0.0 else coloured + White(density=noise.density * float(np.sqrt(scale)))
