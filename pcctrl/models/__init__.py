"""Generative models: how states evolve and sensors read them, and with what noise."""

from pcctrl.models.adaptive import AdaptiveModel
from pcctrl.models.delayed import Delayed
from pcctrl.models.generalise import generalise
from pcctrl.models.generalised import GeneralisedModel
from pcctrl.models.joint import JointModel, delayed
from pcctrl.models.joints import free_joints
from pcctrl.models.linear import LinearModel
from pcctrl.models.mujoco import Mismatch, MujocoMechanics, MujocoModel, MujocoParameters, linearise
from pcctrl.models.nonlinear import NonlinearModel
from pcctrl.models.parametric import Forces, Parameter
from pcctrl.models.protocol import GenerativeModel, Jacobians, Linearised, Mechanics
from pcctrl.models.remembered import PastModel
from pcctrl.models.report import Mode, ModelReport
from pcctrl.models.task import Task

__all__ = [
    "AdaptiveModel",
    "Delayed",
    "Forces",
    "GeneralisedModel",
    "GenerativeModel",
    "Jacobians",
    "JointModel",
    "LinearModel",
    "Linearised",
    "Mechanics",
    "Mismatch",
    "Mode",
    "ModelReport",
    "MujocoMechanics",
    "MujocoModel",
    "MujocoParameters",
    "NonlinearModel",
    "Parameter",
    "PastModel",
    "Task",
    "delayed",
    "free_joints",
    "generalise",
    "linearise",
]
