"""Units of a model's states, inputs and sensors, for the axes of pictures."""

from __future__ import annotations

from typing import Any

import mujoco

from pcctrl.models import GenerativeModel, MujocoModel

__all__ = ["parameter_unit", "sensor_units", "state_units"]

_PARAMETERS = {"load": "kg", "scale": "", "viscous": "N·m·s/rad", "coulomb": "N·m"}

_SENSORS = {"gyro": "rad/s", "accelerometer": "m/s²", "xpos": "m", "xmat": "1"}


def state_units(model: GenerativeModel) -> dict[str, str]:
    """Return the unit of each state by name: known for a MuJoCo model, SI for any other."""
    names = list(model.states or ())
    plant: Any = getattr(model, "model", model)
    if not isinstance(plant, MujocoModel):
        return dict.fromkeys(names, "SI")
    places = []
    for dof in range(plant.source.nv):
        joint = int(plant.source.dof_jntid[dof])
        kind, within = int(plant.source.jnt_type[joint]), dof - int(plant.source.jnt_dofadr[joint])
        slides = kind == mujoco.mjtJoint.mjJNT_SLIDE or (kind == mujoco.mjtJoint.mjJNT_FREE and within < 3)
        places.append("m" if slides else "rad")
    units = [*places, *(f"{unit}/s" for unit in places)]
    return dict(zip(names, [*units, *["SI"] * (len(names) - len(units))], strict=True))


def sensor_units(model: GenerativeModel) -> dict[str, str]:
    """Return the unit of each sensor by name, SI where it is not known."""
    states, units = state_units(model), {}
    for name in model.sensors or ():
        kind, _, owner = name.partition(":")
        state = f"{owner}_{'pos' if kind == 'qpos' else 'vel'}"
        units[name] = states.get(state, "SI") if kind in ("qpos", "qvel") else _SENSORS.get(kind, "SI")
    return units


def parameter_unit(name: str) -> str:
    """Return the unit of an adapted parameter of `MujocoParameters` on hinges, none for a factor; SI for any other."""
    return _PARAMETERS.get(name.partition(":")[0], "SI")
