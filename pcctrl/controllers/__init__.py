"""Controllers: from a belief to an action."""

from pcctrl.controllers.adapted import AdaptedTorque
from pcctrl.controllers.base import ControlInfo, Controller, Goal, Preview
from pcctrl.controllers.iterated import PlanStatus
from pcctrl.controllers.linear_quadratic import LQR, ExpectedFreeEnergy
from pcctrl.controllers.pid import PID, PIDState
from pcctrl.controllers.precision_pid import ActiveInferencePID, PrecisionState
from pcctrl.controllers.receding import Plan, PlanInfo, RecedingHorizon
from pcctrl.controllers.reflex import ReflexArc, ReflexState

__all__ = [
    "LQR",
    "PID",
    "ActiveInferencePID",
    "AdaptedTorque",
    "ControlInfo",
    "Controller",
    "ExpectedFreeEnergy",
    "Goal",
    "PIDState",
    "Plan",
    "PlanInfo",
    "PlanStatus",
    "PrecisionState",
    "Preview",
    "RecedingHorizon",
    "ReflexArc",
    "ReflexState",
]
