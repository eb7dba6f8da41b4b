"""The extended and the unscented Kalman filter, on the plain model in white noise or on the generalised one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from pcctrl.arrays import Array, non_negative, per_item, positive
from pcctrl.filters.doubt import PATIENCE
from pcctrl.filters.nonlinear import NonlinearFilter, added
from pcctrl.filters.sample import Sensed
from pcctrl.filters.sigma import Spread, across_points, deviations, paired, points, predict_points, root
from pcctrl.free_energy import Correction, correct_points
from pcctrl.models import generalise

if TYPE_CHECKING:
    from pcctrl.filters.belief import Belief, Held
    from pcctrl.models import GeneralisedModel, GenerativeModel

__all__ = ["ExtendedKalmanFilter", "UnscentedKalmanFilter"]


@dataclass(frozen=True, eq=False)
class ExtendedKalmanFilter(NonlinearFilter):
    """The Kalman filter of the model linearised at its own estimate.

    Source: Jazwinski 1970. The scales and the added noise are what a practitioner tunes. For a linear model it is
    `KalmanFilter` without an order, and `PCFilter` with one.

    Args:
        model: plant and noise.
        order: highest generalised coordinate of each coloured noise; None to take all noise for white, of the same
            marginal variance.
        process_scale: factor on the variance of the process noise.
        sensor_scale: factor on each sensor's variance, one number or (m,).
        state_noise: variance a sample added to each state's, one number or (n,).

    Raises:
        ModelError: the model has no prior, and neither a stationary state nor a steady filter at its start.
        ParameterError: a scale that is not positive, a negative variance or order.
        ShapeError: ``sensor_scale`` or ``state_noise`` of another size.
    """

    model: GenerativeModel
    order: int | None = None
    process_scale: float = 1.0
    sensor_scale: Array | float = 1.0
    state_noise: Array | float = 0.0

    def __post_init__(self) -> None:
        positive("process_scale", self.process_scale)
        object.__setattr__(
            self, "sensor_scale", per_item("sensor_scale", self.sensor_scale, len(self.model.sensors or ()))
        )
        object.__setattr__(self, "state_noise", added(self.model, self.state_noise))
        super().__post_init__()

    @cached_property
    def joint(self) -> GeneralisedModel:
        """The generalised model that the filter believes."""
        return generalise(self.model, self.order, self.process_scale, self.sensor_scale, self.state_noise)


@dataclass(frozen=True, eq=False)
class UnscentedKalmanFilter(NonlinearFilter):
    """The Kalman filter of sigma points, all of which are sent through the model in one batch, see `sigma`.

    What drives the state, Q, is that of the model linearised at the mean. Source: Julier & Uhlmann 2004. For a linear
    model it is `KalmanFilter` without an order, and `PCFilter` with one.

    Args:
        model: plant and noise.
        order: highest generalised coordinate of each coloured noise; None to take all noise for white, of the same
            marginal variance.
        width: how many standard deviations the points lie from the mean.
        beta: 2 is best for a Gaussian.
        outlier_threshold: as of `NonlinearPCFilter`.
        outlier_patience: samples.
        state_noise: variance a sample added to each state's, one number or (n,): for what the model leaves out.

    Raises:
        ModelError: the model has no prior, and neither a stationary state nor a steady filter at its start.
        ParameterError: a negative order, beta or variance, a width or threshold that is not positive.
        ShapeError: ``state_noise`` of another size.
    """

    model: GenerativeModel
    order: int | None = None
    width: float = 3.0**0.5
    beta: float = 2.0
    outlier_threshold: float | None = None
    outlier_patience: int = PATIENCE
    state_noise: Array | float = 0.0

    def __post_init__(self) -> None:
        positive("width", self.width)
        non_negative("beta", self.beta)
        if self.outlier_threshold is not None:
            positive("outlier_threshold", self.outlier_threshold)
        object.__setattr__(self, "state_noise", added(self.model, self.state_noise))
        super().__post_init__()

    @property
    def _points(self) -> Spread:
        return Spread(self.width, self.beta)

    def _ahead(
        self,
        joint: GeneralisedModel,
        mean: Array,
        P: Array,
        u: Array,
        held: Held | None,  # noqa: ARG002 (nothing is linearised)
    ) -> tuple[Array, Array, None]:
        later, spread = predict_points(joint, mean, P, u, self._points)
        return later, spread + joint.driven(mean, u), None

    def _across(self, belief: Belief, u: Array) -> Array:
        return across_points(self.joint, belief.mean, belief.covariance, u, self._points)

    def _sense(self, belief: Belief) -> Sensed:
        joint, mean = self.joint, belief.mean
        L = root(np.broadcast_to(belief.covariance, (*mean.shape, joint.size)))
        images = joint.readout(points(joint, mean, L, self._points), belief.input[..., None, :])
        centre = images[..., 0, :]
        shift, Y = deviations(images[..., 1:, :] - centre[..., None, :], joint.size, self._points)
        return Sensed(paired(L), centre + shift, Y, (Y**2).sum(axis=-1))

    def _bayes(self, prior: Array, rows: Array, R: Array) -> Correction:
        return correct_points(prior, rows, R)
