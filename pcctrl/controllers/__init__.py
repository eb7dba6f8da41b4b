"""Controllers: from a belief to an action."""

from pcctrl.controllers.adapted import AdaptedTorque
from pcctrl.controllers.adaptive import Gains, ModelReferenceAdaptive, Parameters, SlotineLi
from pcctrl.controllers.base import ControlInfo, Controller, Goal, Preview
from pcctrl.controllers.belief_horizon import BeliefHorizon, BeliefPlan
from pcctrl.controllers.excitation import Excitation
from pcctrl.controllers.inverse_dynamics import ComputedTorque, Integral, InverseDynamics
from pcctrl.controllers.iterated import PlanStatus
from pcctrl.controllers.linear_quadratic import LQR, ExpectedFreeEnergy
from pcctrl.controllers.low_pass import LowPass, LowPassState
from pcctrl.controllers.modal import ModalBandwidth, Modes, modal_bandwidth
from pcctrl.controllers.pid import PID, PIDState
from pcctrl.controllers.precision_pid import ActiveInferencePID, PrecisionState
from pcctrl.controllers.receding import Plan, PlanInfo, RecedingHorizon
from pcctrl.controllers.reflex import ReflexArc, ReflexState
from pcctrl.controllers.sampling import Policies, SamplingHorizon, SamplingInfo
from pcctrl.controllers.scheduled import GainScheduledLQR, Schedule
from pcctrl.controllers.tracking import Disturbance, Reference
from pcctrl.controllers.unbiased import UnbiasedInference

__all__ = [
    "LQR",
    "PID",
    "ActiveInferencePID",
    "AdaptedTorque",
    "BeliefHorizon",
    "BeliefPlan",
    "ComputedTorque",
    "ControlInfo",
    "Controller",
    "Disturbance",
    "Excitation",
    "ExpectedFreeEnergy",
    "GainScheduledLQR",
    "Gains",
    "Goal",
    "Integral",
    "InverseDynamics",
    "LowPass",
    "LowPassState",
    "ModalBandwidth",
    "ModelReferenceAdaptive",
    "Modes",
    "PIDState",
    "Parameters",
    "Plan",
    "PlanInfo",
    "PlanStatus",
    "Policies",
    "PrecisionState",
    "Preview",
    "RecedingHorizon",
    "Reference",
    "ReflexArc",
    "ReflexState",
    "SamplingHorizon",
    "SamplingInfo",
    "Schedule",
    "SlotineLi",
    "UnbiasedInference",
    "modal_bandwidth",
]
