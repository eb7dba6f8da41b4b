"""Controllers: from a belief to an action."""

from pcctrl.controllers.base import ControlInfo, Controller
from pcctrl.controllers.linear_quadratic import LQR, ExpectedFreeEnergy
from pcctrl.controllers.pid import PID, PIDState

__all__ = ["LQR", "PID", "ControlInfo", "Controller", "ExpectedFreeEnergy", "PIDState"]
