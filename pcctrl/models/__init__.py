"""Generative models: how states evolve and sensors read them, and with what noise."""

from pcctrl.models.delayed import Delayed
from pcctrl.models.generalise import generalise
from pcctrl.models.generalised import GeneralisedModel
from pcctrl.models.joint import JointModel, delayed
from pcctrl.models.linear import LinearModel
from pcctrl.models.mujoco import Mismatch, MujocoModel, linearise
from pcctrl.models.nonlinear import NonlinearModel
from pcctrl.models.protocol import GenerativeModel, Jacobians
from pcctrl.models.remembered import PastModel
from pcctrl.models.report import Mode, ModelReport
from pcctrl.models.task import Task

__all__ = [
    "Delayed",
    "GeneralisedModel",
    "GenerativeModel",
    "Jacobians",
    "JointModel",
    "LinearModel",
    "Mismatch",
    "Mode",
    "ModelReport",
    "MujocoModel",
    "NonlinearModel",
    "PastModel",
    "Task",
    "delayed",
    "generalise",
    "linearise",
]
