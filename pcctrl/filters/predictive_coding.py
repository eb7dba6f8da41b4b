"""The predictive-coding filter in generalised coordinates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from pcctrl.arrays import Array, choose, non_negative, positive, whole
from pcctrl.filters.doubt import PATIENCE
from pcctrl.filters.linear import LinearFilter
from pcctrl.free_energy import Correction, curvature, distance

if TYPE_CHECKING:
    from pcctrl.models import JointModel, LinearModel

__all__ = ["PCFilter"]


@dataclass(frozen=True, eq=False)
class PCFilter(LinearFilter):
    r"""Estimates state, disturbance and coloured sensor noise together, by minimising free energy.

    The belief is over [x; ŵ; d; ẑ]: the physical states, then for every coloured noise its orthonormal generalised
    coordinates up to ``order``. For a linear model this is a Kalman filter on that augmented state, and for white noise
    the plain Kalman filter; what it wins, it wins by modelling the colour. Source: DESIGN §2.3, `pcctrl.free_energy`.

    Whatever the scheme, the prior stays the prediction in every iteration. For a linear model:

    - ``"newton"``: Gauss-Newton steps; the first reaches the minimum.
    - ``"natural"``: the flow :math:`\dot\mu = -\kappa F''^{-1}\nabla F` at a finite rate: an iteration of κ·dt =
      ``rate`` leaves e^−rate of the way; a rate of 3 costs 1 % or less.
    - ``"gradient"``: plain descent :math:`\mu \leftarrow \mu - \nabla F / \lambda_{max}(F'')`, as local circuits
      would do it: as many iterations as the curvature's condition number, so for study.

    Args:
        model: plant and noise.
        order: highest generalised coordinate of each coloured noise; 4 is within 2 % of the physical limit (the presets
            take 5, which a loop's cost likes better).
        scheme: ``"newton"``, ``"natural"`` or ``"gradient"``.
        precision: ``"steady"`` or ``"carried"``, see `LinearFilter`; the answers agree.
        iterations: at most so many steps of descent a sample.
        tolerance: descent ends when the mean is within so many posterior standard deviations of the minimum.
        rate: κ·dt of a ``"natural"`` iteration.
        outlier_threshold: a sensor whose squared innovation exceeds so many times its variance (12 is usual) is given
            less precision, for ``outlier_patience`` samples running, then believed (`Status.SURPRISE`) unless it has
            more than doubled, see `doubt`. None for no such rule.
        outlier_patience: samples. Without this cap a push of the robot is disbelieved for ever, and the loop lost.

    Raises:
        ModelError: the model is undetectable.
        ParameterError: a negative order or tolerance, no iterations, a rate or threshold that is not positive.
        UnknownNameError: another scheme or precision.
    """

    model: LinearModel
    order: int = 4
    scheme: Literal["newton", "natural", "gradient"] = "newton"
    precision: Literal["steady", "carried"] = "steady"
    iterations: int = 1
    tolerance: float = 0.0
    rate: float = 3.0
    outlier_threshold: float | None = None
    outlier_patience: int = PATIENCE

    def __post_init__(self) -> None:
        choose("scheme", self.scheme, ("newton", "natural", "gradient"))
        whole("order", self.order)
        whole("iterations", self.iterations, 1)
        non_negative("tolerance", self.tolerance)
        positive("rate", self.rate)
        if self.outlier_threshold is not None:
            positive("outlier_threshold", self.outlier_threshold)
        whole("outlier_patience", self.outlier_patience)
        super().__post_init__()

    @property
    def is_plain(self) -> bool:
        """Whether every update with a steady gain is one Kalman correction."""
        return super().is_plain and self.scheme == "newton"

    def _believed(self, dt: float) -> JointModel:
        return (self.model if dt == self.model.dt else self.model.resampled(dt)).joint(self.order)

    def _descend(self, correction: Correction, innovation: Array) -> tuple[Array, int, float]:
        goal, _, _ = super()._descend(correction, innovation)
        if self.scheme == "newton":
            return goal, 1, 0.0
        # F is quadratic: with δ the way still to go, its gradient is F'' δ and the minimum is where Bayes' rule says.
        H = curvature(correction.covariance)
        if self.scheme == "natural":
            contraction = np.exp(-self.rate) * np.eye(H.shape[-1])
        else:
            contraction = np.eye(H.shape[-1]) - H / np.linalg.eigvalsh(H)[..., -1, None, None]
        left, iterations = goal, 0
        residual = distance(left, H)
        while iterations < self.iterations and (iterations == 0 or residual > self.tolerance):
            left = (contraction @ left[..., None])[..., 0]
            residual = distance(left, H)
            iterations += 1
        return goal - left, iterations, residual
