"""Filters: from sensors to a belief about the hidden state."""

from pcctrl.filters.belief import Belief, Estimate, Info, Status
from pcctrl.filters.classical import ARKalmanFilter, ColouredKalmanFilter
from pcctrl.filters.descent import NonlinearPCFilter
from pcctrl.filters.generalised import GeneralisedFilter
from pcctrl.filters.joints import JointFilter
from pcctrl.filters.jumps import Jump
from pcctrl.filters.kalman import KalmanFilter
from pcctrl.filters.kalman_nonlinear import ExtendedKalmanFilter, UnscentedKalmanFilter
from pcctrl.filters.lagged import FixedLag
from pcctrl.filters.linear import LinearFilter
from pcctrl.filters.nonlinear import NonlinearFilter
from pcctrl.filters.predictive_coding import PCFilter
from pcctrl.filters.readings import Readings

__all__ = [
    "ARKalmanFilter",
    "Belief",
    "ColouredKalmanFilter",
    "Estimate",
    "ExtendedKalmanFilter",
    "FixedLag",
    "GeneralisedFilter",
    "Info",
    "JointFilter",
    "Jump",
    "KalmanFilter",
    "LinearFilter",
    "NonlinearFilter",
    "NonlinearPCFilter",
    "PCFilter",
    "Readings",
    "Status",
    "UnscentedKalmanFilter",
]
