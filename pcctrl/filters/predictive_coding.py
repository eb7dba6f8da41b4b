"""The predictive-coding filter in generalised coordinates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pcctrl.arrays import choose
from pcctrl.filters.linear import LinearFilter

if TYPE_CHECKING:
    from pcctrl.models import JointModel, LinearModel

__all__ = ["PCFilter"]


@dataclass(frozen=True, eq=False)
class PCFilter(LinearFilter):
    """Estimates state, disturbance and coloured sensor noise together, by minimising free energy.

    The belief is over [x; ŵ; ẑ]: the physical states, then for every coloured noise its orthonormal generalised
    coordinates up to ``order``. For a linear model this is a Kalman filter on that augmented state, and for white noise
    the plain Kalman filter; what it wins, it wins by modelling the colour. Source: DESIGN §2.3, `pcctrl.free_energy`.

    Args:
        model: plant and noise.
        order: highest generalised coordinate of each coloured noise; 4 is within 1 % of the physical limit.
        scheme: how the free energy is descended. ``"newton"`` takes Gauss-Newton steps with the prior held fixed; one
            reaches the minimum of a linear model.
        precision: ``"steady"`` or ``"carried"``, see `LinearFilter`; the answers agree.

    Raises:
        ModelError: the model is undetectable.
        ParameterError: a negative order.
        UnknownNameError: another scheme or precision.
    """

    model: LinearModel
    order: int = 4
    scheme: Literal["newton"] = "newton"
    precision: Literal["steady", "carried"] = "steady"

    def __post_init__(self) -> None:
        choose("scheme", self.scheme, ("newton",))
        super().__post_init__()

    def _believed(self, model: LinearModel) -> JointModel:
        return model.joint(self.order)
