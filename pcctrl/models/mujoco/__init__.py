"""Models of MuJoCo simulations: the only place in models that knows a simulator."""

from pcctrl.models.mujoco.linearise import linearise
from pcctrl.models.mujoco.mechanics import MujocoMechanics
from pcctrl.models.mujoco.mismatch import Mismatch
from pcctrl.models.mujoco.model import MujocoModel
from pcctrl.models.mujoco.native import with_native_derivatives
from pcctrl.models.mujoco.parameters import MujocoParameters

__all__ = [
    "Mismatch",
    "MujocoMechanics",
    "MujocoModel",
    "MujocoParameters",
    "linearise",
    "with_native_derivatives",
]
