"""The Kalman filter, which takes every noise for white."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from pcctrl.arrays import Array, as_array, positive
from pcctrl.errors import ParameterError
from pcctrl.filters.linear import LinearFilter

if TYPE_CHECKING:
    from pcctrl.models import JointModel, LinearModel

__all__ = ["KalmanFilter"]


@dataclass(frozen=True, eq=False)
class KalmanFilter(LinearFilter):
    """The Kalman filter on the physical state, told the marginal variance of every noise and that it is white.

    Source: Kalman 1960. The two scales are what a practitioner tunes.

    Args:
        model: plant and noise.
        process_scale: factor on the process-noise covariance Q.
        sensor_scale: factor on each sensor's variance R, one number or (m,).
        precision: ``"steady"`` or ``"carried"``, see `LinearFilter`; the answers agree.

    Raises:
        ModelError: the model is undetectable.
        ParameterError: a scale that is not positive.
        ShapeError: ``sensor_scale`` is neither one number nor (m,).
        UnknownNameError: another precision.
    """

    model: LinearModel
    process_scale: float = 1.0
    sensor_scale: Array | float = 1.0
    precision: Literal["steady", "carried"] = "steady"

    def __post_init__(self) -> None:
        positive("process_scale", self.process_scale)
        m = len(self.model.C)
        scale = as_array("sensor_scale", np.zeros(m) + self.sensor_scale, (m,))
        if not (scale > 0.0).all():
            raise ParameterError(name="sensor_scale", expected="positive factors", received=scale)
        object.__setattr__(self, "sensor_scale", scale)
        super().__post_init__()

    def _believed(self, model: LinearModel) -> JointModel:
        white = model.whitened().joint(0)
        return replace(white, Q=white.Q * self.process_scale, R=white.R * self.sensor_scale)
