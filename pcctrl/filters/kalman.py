"""The Kalman filter, which takes every noise for white."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from pcctrl.arrays import Array, per_item, positive
from pcctrl.errors import ParameterError
from pcctrl.filters.linear import LinearFilter

if TYPE_CHECKING:
    from pcctrl.models import JointModel, LinearModel

__all__ = ["KalmanFilter"]


@dataclass(frozen=True, eq=False)
class KalmanFilter(LinearFilter):
    """The Kalman filter on the physical state, told the marginal variance of every noise and that it is white.

    Source: Kalman 1960. The scales and the added noise are what a practitioner tunes.

    Args:
        model: plant and noise.
        process_scale: factor on the process-noise covariance Q.
        sensor_scale: factor on each sensor's variance R, one number or (m,).
        state_noise: variance a sample added to Q for each state, one number or (n,).
        precision: ``"steady"`` or ``"carried"``, see `LinearFilter`; the answers agree.

    Raises:
        ModelError: the model is undetectable.
        ParameterError: a scale that is not positive, a negative variance.
        ShapeError: ``sensor_scale`` or ``state_noise`` of another size.
        UnknownNameError: another precision.
    """

    model: LinearModel
    process_scale: float = 1.0
    sensor_scale: Array | float = 1.0
    state_noise: Array | float = 0.0
    precision: Literal["steady", "carried"] = "steady"

    def __post_init__(self) -> None:
        positive("process_scale", self.process_scale)
        m = len(self.model.C)
        scale = per_item("sensor_scale", self.sensor_scale, m)
        if not (scale > 0.0).all():
            raise ParameterError(name="sensor_scale", expected="positive factors", received=scale)
        object.__setattr__(self, "sensor_scale", scale)
        object.__setattr__(self, "state_noise", variances("state_noise", self.state_noise, len(self.model.A)))
        super().__post_init__()

    def _believed(self, dt: float) -> JointModel:
        # White noise is what it is at the model's own sample time, whatever the time to the next sample.
        model = self.model
        white = (model.white if dt == model.dt else model.white.resampled(dt)).joint(0)
        n = white.plant
        Q = white.Q.copy()
        # A disturbance's random walk is not the process noise: its rate is tuned by itself.
        Q[:n, :n] = Q[:n, :n] * self.process_scale + np.diag(np.asarray(self.state_noise)) * (dt / model.dt)
        return replace(white, Q=Q, R=white.R * self.sensor_scale)


def variances(name: str, value: Array | float, size: int) -> Array:
    """Return variances (size,) from one number or one each; raise as `per_item`, or `ParameterError` if negative."""
    array = per_item(name, value, size)
    if (array < 0.0).any():
        raise ParameterError(name=name, expected="variances of at least 0", received=array)
    return array
