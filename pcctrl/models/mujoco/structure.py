"""What is known of a MuJoCo model's derivatives before any are worked out, and where its quaternions are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import mujoco
import numpy as np
from numpy.typing import NDArray

from pcctrl.arrays import Array
from pcctrl.models.mujoco.names import Reading

__all__ = ["Exerted", "Rows", "exerted_forces", "known_rows", "quaternions"]

# N or N·m. MuJoCo moves a control by 1e-7: what that exerts must be more than contacts are solved to.
_LEAST = 10.0
_SINGLE = (int(mujoco.mjtJoint.mjJNT_SLIDE), int(mujoco.mjtJoint.mjJNT_HINGE))
# What reads an actuator's force reads no other that acts beside it.
_ACTUATION = ("mjSENS_ACTUATORFRC", "mjSENS_JOINTACTFRC", "mjSENS_TENDONACTFRC")


class Rows(NamedTuple):
    """Derivatives of m readings by the states, as far as they are the same everywhere.

    Args:
        C: (m, n), of those that are a state; 0 for the rest.
        sensors: indices of the rest that are in ``sensordata``.
        entries: where they are in it.
        poses: indices of those that are in qpos, xpos or xmat.
        unforced: which entries of ``sensordata`` do not depend on applied forces, though they do on controls.
    """

    C: Array
    sensors: NDArray[np.int64]
    entries: NDArray[np.int64]
    poses: list[int]
    unforced: NDArray[np.bool_]


class Exerted(NamedTuple):
    """Which of q applied forces actuators exert as well.

    Args:
        forces: indices of those forces.
        controls: index of a control for each.
        shares: a unit of the force in units of the control.
        others: indices of the forces that no actuator exerts.
    """

    forces: list[int]
    controls: list[int]
    shares: Array
    others: list[int]


def known_rows(model: mujoco.MjModel, readings: Sequence[Reading]) -> Rows:
    """Return what is known of the derivatives of ``readings``."""
    C = np.zeros((len(readings), 2 * model.nv + model.na))
    for row, reading in zip(C, readings, strict=True):
        if reading.state is not None:
            row[reading.state] = 1.0
    hidden = [i for i, r in enumerate(readings) if r.state is None]
    sensors = [i for i in hidden if readings[i].field == "sensordata"]
    entries = [readings[i].index for i in sensors]
    poses = [i for i in hidden if readings[i].field != "sensordata"]
    kinds = [int(getattr(mujoco.mjtSensor, name)) for name in _ACTUATION]
    unforced = np.repeat(np.isin(model.sensor_type, kinds), model.sensor_dim)
    return Rows(C, np.array(sensors, dtype=np.int64), np.array(entries, dtype=np.int64), poses, unforced)


def exerted_forces(model: mujoco.MjModel, general: Array) -> Exerted:
    """Return which forces actuators exert too: derivatives by such a control, times its share, are those by the force.

    Such an actuator acts on the one degree of freedom of a joint, with a constant gain of at least 10 N or N·m a unit
    of its one control, and without limit or state of its own.

    Args:
        model: physics.
        general: (q, nv) what the forces add to qfrc_applied; nothing for those on bodies.
    """
    gains = model.actuator_gainprm[:, 0] * model.actuator_gear[:, 0]
    plain = (
        (model.actuator_trntype == int(mujoco.mjtTrn.mjTRN_JOINT))
        & (model.actuator_gaintype == int(mujoco.mjtGain.mjGAIN_FIXED))
        & (model.actuator_dyntype == int(mujoco.mjtDyn.mjDYN_NONE))
        & (model.actuator_ctrlnum == 1)
        & (model.actuator_plugin < 0)
        & (model.actuator_forcelimited == 0)
        & (np.abs(gains) >= _LEAST)
    )
    if model.opt.disableactuator or int(model.opt.disableflags) & int(mujoco.mjtDisableBit.mjDSBL_ACTUATION):
        plain[:] = False
    at = {}
    for actuator in np.flatnonzero(plain):
        joint = model.actuator_trnid[actuator, 0]
        if int(model.jnt_type[joint]) in _SINGLE and not model.jnt_actfrclimited[joint]:
            at[int(model.jnt_dofadr[joint])] = int(actuator)
    dofs = [np.flatnonzero(row).tolist() for row in general]
    forces = [i for i, some in enumerate(dofs) if len(some) == 1 and some[0] in at]
    actuators = [at[dofs[i][0]] for i in forces]
    controls = model.actuator_ctrladr[actuators].tolist()
    shares = general[forces].sum(axis=1) / gains[actuators]
    return Exerted(forces, controls, shares, [i for i in range(len(general)) if i not in forces])


def quaternions(model: mujoco.MjModel) -> NDArray[np.bool_]:
    """Return which entries (nq,) are a quaternion's."""
    is_quaternion = np.zeros(model.nq, dtype=bool)
    for at, kind in zip(model.jnt_qposadr, model.jnt_type, strict=True):
        # NumPy's integers are not equal to MuJoCo's enumerations, Python's are.
        first = int(at) + 3 * (int(kind) == mujoco.mjtJoint.mjJNT_FREE)
        if int(kind) in (mujoco.mjtJoint.mjJNT_FREE, mujoco.mjtJoint.mjJNT_BALL):
            is_quaternion[first : first + 4] = True
    return is_quaternion
