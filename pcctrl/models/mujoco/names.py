"""Names of states, inputs, sensors and forces, and where they are in MuJoCo's arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np

from pcctrl.arrays import Array, choose
from pcctrl.errors import ParameterError, UnknownNameError

__all__ = [
    "Reading",
    "choose_actuators",
    "choose_forces",
    "choose_readings",
    "control_names",
    "dof_names",
    "state_names",
]

_AXES = ("x", "y", "z", "rx", "ry", "rz")
_DIRECT = {mujoco.mjtSensor.mjSENS_JOINTPOS: 0, mujoco.mjtSensor.mjSENS_JOINTVEL: 1}
# Positions and velocities of a joint, and how many of the positions are no quaternion's.
_SIZES = {
    mujoco.mjtJoint.mjJNT_FREE: (7, 6, 3),
    mujoco.mjtJoint.mjJNT_BALL: (4, 3, 0),
    mujoco.mjtJoint.mjJNT_SLIDE: (1, 1, 1),
    mujoco.mjtJoint.mjJNT_HINGE: (1, 1, 1),
}


@dataclass(frozen=True)
class Reading:
    """One number that is read.

    Args:
        field: of ``mjData``: sensordata, qpos, xpos or xmat.
        index: in that field, laid flat.
        state: index of the state that it is, or None.
        std: what the MJCF states of its noise, or 1e-3.
    """

    field: str
    index: int
    state: int | None
    std: float = 1e-3


def dof_names(model: mujoco.MjModel) -> list[str]:
    """Return a name for each degree of freedom: its joint's, numbered if that has several."""
    names = []
    for dof in range(model.nv):
        joint = int(model.dof_jntid[dof])
        name = model.joint(joint).name or f"joint{joint}"
        single = int(np.count_nonzero(model.dof_jntid == joint)) == 1
        names.append(name if single else f"{name}_{dof - int(model.jnt_dofadr[joint])}")
    return names


def control_names(model: mujoco.MjModel) -> list[str]:
    """Return a name for each control: its actuator's own, or u0, …, numbered if that takes several (some take none)."""
    names = []
    for name, count in zip(_actuators(model), model.actuator_ctrlnum, strict=True):
        names += [name] if count == 1 else [f"{name}_{k}" for k in range(count)]
    return names


def _actuators(model: mujoco.MjModel) -> list[str]:
    return [model.actuator(i).name or f"u{i}" for i in range(len(model.actuator_ctrlnum))]


def state_names(model: mujoco.MjModel) -> tuple[str, ...]:
    """Return a name for each state: positions, velocities, then the actuators' own."""
    dofs = dof_names(model)
    active = [name for name, count in zip(_actuators(model), model.actuator_actnum, strict=True) for _ in range(count)]
    acts = [f"{name}_act{i}" if active.count(name) > 1 else f"{name}_act" for i, name in enumerate(active)]
    return (*(f"{name}_pos" for name in dofs), *(f"{name}_vel" for name in dofs), *acts)


def choose_actuators(model: mujoco.MjModel, chosen: Sequence[str] | None) -> tuple[tuple[str, ...], list[int]]:
    """Return the names and indices of the actuators that are inputs: those chosen, or all.

    Raises:
        UnknownNameError: no such actuator.
        ParameterError: none, though not by intent.
    """
    known = control_names(model)
    if chosen is None and not known:
        expected = "a model with an actuator (or inputs=(), for estimation only)"
        raise ParameterError(name="inputs", expected=expected, received="none")
    names = tuple(known if chosen is None else _listed(chosen))
    return names, [known.index(choose("inputs", name, known)) for name in names]


def choose_forces(model: mujoco.MjModel, chosen: Sequence[str]) -> tuple[tuple[str, ...], Array, Array]:
    """Return the names of q forces, and how they make qfrc_applied (q, nv) and xfrc_applied (q, 6 nbody).

    Raises:
        UnknownNameError: no such degree of freedom, nor body and axis.
    """
    names = tuple(_listed(chosen))
    dofs = dof_names(model)
    bodies = [model.body(i).name for i in range(model.nbody)]
    general, cartesian = np.zeros((len(names), model.nv)), np.zeros((len(names), 6 * model.nbody))
    for row, name in enumerate(names):
        body, _, axis = name.rpartition(":")
        if name in dofs:
            general[row, dofs.index(name)] = 1.0
        elif body and body in bodies[1:] and axis in _AXES:
            cartesian[row, 6 * bodies.index(body) + _AXES.index(axis)] = 1.0
        else:
            expected = f"one of {', '.join(dofs)}, or BODY:x, y, z, rx, ry, rz with one of {', '.join(bodies[1:])}"
            raise UnknownNameError(name="noise_input", expected=expected, received=repr(name))
    return names, general, cartesian


def choose_readings(model: mujoco.MjModel, chosen: Sequence[str] | None) -> tuple[tuple[str, ...], list[Reading]]:
    """Return the names and places of the readings chosen, or of all MJCF sensors.

    A name of several readings stands for all of them, and with _0, … for one.

    Raises:
        UnknownNameError: no such sensor, joint or body.
        ParameterError: none at all.
    """
    groups = _sensors(model)
    names: list[str] = []
    readings: list[Reading] = []
    for name in groups if chosen is None else _listed(chosen):
        head, _, number = name.rpartition("_")
        group = groups.get(name) or _entries(model, name)
        if group is None and number.isdigit():
            whole = groups.get(head) or _entries(model, head) or []
            group = whole[int(number) : int(number) + 1]
            names += [name] * len(group)
        elif group is not None:
            names += [name] if len(group) == 1 else [f"{name}_{i}" for i in range(len(group))]
        if not group:
            joints = ", ".join(model.joint(i).name or f"joint{i}" for i in range(model.njnt))
            bodies = ", ".join(model.body(i).name for i in range(1, model.nbody))
            listed = f"one of {', '.join(groups)}, or " if groups else ""
            fields = "xpos:BODY, xmat:BODY, gyro:BODY or accelerometer:BODY"
            expected = f"{listed}qpos:JOINT, qvel:JOINT ({joints}), {fields} ({bodies})"
            raise UnknownNameError(name="sensors", expected=expected, received=repr(name))
        readings += group
    if not readings:
        raise ParameterError(name="sensors", expected="at least one sensor", received="none")
    return tuple(names), readings


def _sensors(model: mujoco.MjModel) -> dict[str, list[Reading]]:
    groups = {}
    for i in range(model.nsensor):
        first, dim = int(model.sensor_adr[i]), int(model.sensor_dim[i])
        std = float(model.sensor_noise[i]) or 1e-3
        state = None
        kind = _DIRECT.get(mujoco.mjtSensor(int(model.sensor_type[i])))
        if kind is not None and model.sensor_cutoff[i] == 0.0:
            state = kind * model.nv + int(model.jnt_dofadr[model.sensor_objid[i]])
        groups[model.sensor(i).name or f"sensor{i}"] = [
            Reading("sensordata", first + k, state, std) for k in range(dim)
        ]
    return groups


def _entries(model: mujoco.MjModel, name: str) -> list[Reading] | None:
    """Return what ``field:object`` names, or None if it is nothing of the kind."""
    field, _, owner = name.partition(":")
    joints = [model.joint(i).name or f"joint{i}" for i in range(model.njnt)]
    bodies = [model.body(i).name for i in range(model.nbody)]
    if field in ("qpos", "qvel") and owner in joints:
        joint = joints.index(owner)
        dof, at = int(model.jnt_dofadr[joint]), int(model.jnt_qposadr[joint])
        positions, velocities, plain = _SIZES[mujoco.mjtJoint(int(model.jnt_type[joint]))]
        if field == "qvel":
            return [Reading("qvel", dof + k, model.nv + dof + k) for k in range(velocities)]
        return [Reading("qpos", at + k, dof + k if k < plain else None) for k in range(positions)]
    if field in ("xpos", "xmat") and owner in bodies:
        width = 3 if field == "xpos" else 9
        return [Reading(field, width * bodies.index(owner) + k, None) for k in range(width)]
    return None


def _listed(names: Sequence[str]) -> Sequence[str]:
    return (names,) if isinstance(names, str) else names
