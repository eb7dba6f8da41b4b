"""Filters: from sensors to a belief about the hidden state."""

from pcctrl.filters.belief import Belief, Estimate, Info, Status
from pcctrl.filters.classical import ARKalmanFilter, ColouredKalmanFilter
from pcctrl.filters.generalised import GeneralisedFilter
from pcctrl.filters.kalman import KalmanFilter
from pcctrl.filters.lagged import FixedLag
from pcctrl.filters.linear import LinearFilter
from pcctrl.filters.predictive_coding import PCFilter
from pcctrl.filters.readings import Readings

__all__ = [
    "ARKalmanFilter",
    "Belief",
    "ColouredKalmanFilter",
    "Estimate",
    "FixedLag",
    "GeneralisedFilter",
    "Info",
    "KalmanFilter",
    "LinearFilter",
    "PCFilter",
    "Readings",
    "Status",
]
