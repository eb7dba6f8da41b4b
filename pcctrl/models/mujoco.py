"""Linear models of MuJoCo simulations about a rest, in tangent space."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import mujoco
import numpy as np
from numpy.typing import ArrayLike

from pcctrl.arrays import Array, as_array, choose, positive
from pcctrl.errors import ModelError, ParameterError
from pcctrl.models.linear import LinearModel
from pcctrl.noise import Noise, White

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["linearise"]

_EPSILON = 1e-6
# Accelerations above this (m/s² or rad/s²) mean that the operating point is not at rest.
_AT_REST = 1e-3


def linearise(
    mjmodel: mujoco.MjModel,
    qpos: ArrayLike,
    qvel: ArrayLike,
    ctrl: ArrayLike,
    sensors: Sequence[str] | None = None,
    *,
    dt: float | None = None,
    noise_input: Sequence[str] = (),
    process_noise: Sequence[Noise] = (),
    sensor_noise: Sequence[Noise] | None = None,
    prior: ArrayLike | None = None,
) -> LinearModel:
    """Return the linear model of ``mjmodel`` about a rest, by MuJoCo's own finite differences.

    States are the tangent-space positions and then the velocities of all degrees of freedom. It is computed on a copy
    without RK4 (replaced by Euler) and without native sensor and actuator delays, which MuJoCo cannot differentiate.
    Noise acts, as in the simulation, at every physics step.

    Args:
        mjmodel: the model; it is not changed.
        qpos: (nq,) positions at rest.
        qvel: (nv,) velocities there.
        ctrl: (nu,) controls that keep it there.
        sensors: names of MJCF sensors to read, all by default.
        dt: control interval in seconds, a multiple of the physics time step; that step by default.
        noise_input: names of the joints on whose first degree of freedom a disturbing force or torque acts.
        process_noise: the disturbance (N or N·m) on each of them.
        sensor_noise: one a sensor reading; by default white with the ``noise`` that the MJCF states, or 1e-3 where it
            states none.
        prior: covariance (2 nv, 2 nv) of the state before the first sample.

    Raises:
        ShapeError: an array of the wrong size.
        UnknownNameError: no such sensor or joint.
        ParameterError: dt is not a multiple of the physics step, or actuators have internal states.
        ModelError: the point is not at rest.
    """
    if not isinstance(mjmodel, mujoco.MjModel):
        raise ParameterError(name="mjmodel", expected="a mujoco.MjModel", received=type(mjmodel).__name__)
    model = _differentiable(mjmodel)
    if model.na:
        raise ParameterError(
            name="mjmodel", expected="actuators without internal state", received=f"{model.na} activation states"
        )
    data = mujoco.MjData(model)
    data.qpos[:] = as_array("qpos", qpos, (model.nq,))
    data.qvel[:] = as_array("qvel", qvel, (model.nv,))
    data.ctrl[:] = as_array("ctrl", ctrl, (model.nu,))
    mujoco.mj_forward(model, data)
    fastest = float(np.abs(data.qacc).max(initial=0.0))
    if fastest > _AT_REST:
        raise ModelError(
            name="qpos, qvel, ctrl", expected="a point at rest (accelerations below 1e-3)", received=f"{fastest:.3g}"
        )

    rows, names = _sensor_rows(model, sensors)
    nv, h = model.nv, float(model.opt.timestep)
    A, B = np.zeros((2 * nv, 2 * nv)), np.zeros((2 * nv, model.nu))
    C, D = np.zeros((model.nsensordata, 2 * nv)), np.zeros((model.nsensordata, model.nu))
    mujoco.mjd_transitionFD(model, data, _EPSILON, True, A, B, C, D)
    if sensor_noise is None:
        sensor_noise = [White(std=std) for std in _stated_noise(model)[rows]]
    position = np.asarray(qpos, dtype=np.float64) if model.nq == nv else np.zeros(nv)
    return LinearModel.from_discrete(
        A,
        B,
        C[rows],
        D[rows],
        dt=h if dt is None else dt,
        substeps=_substeps(dt, h),
        noise_input=_force_input(model, data, [_dof(model, name) for name in noise_input]),
        process_noise=process_noise,
        sensor_noise=sensor_noise,
        prior=prior,
        operating_point=(np.concatenate([position, data.qvel]), data.ctrl.copy(), data.sensordata[rows]),
        states=[*(f"{j}_pos" for j in _dof_names(model)), *(f"{j}_vel" for j in _dof_names(model))],
        inputs=[model.actuator(i).name or f"u{i}" for i in range(model.nu)],
        sensors=names,
    )


def _differentiable(mjmodel: mujoco.MjModel) -> mujoco.MjModel:
    model = copy.deepcopy(mjmodel)
    if model.opt.integrator == mujoco.mjtIntegrator.mjINT_RK4:
        model.opt.integrator = mujoco.mjtIntegrator.mjINT_EULER
    for delays in (model.actuator_delay, model.sensor_delay):
        delays[:] = 0.0
    return model


def _substeps(dt: float | None, h: float) -> int:
    ratio = 1.0 if dt is None else positive("dt", dt) / h
    if abs(ratio - round(ratio)) > 1e-6 * ratio or round(ratio) < 1:
        raise ParameterError(name="dt", expected=f"a multiple of the physics step {h:g} s", received=dt)
    return round(ratio)


def _sensor_rows(model: mujoco.MjModel, sensors: Sequence[str] | None) -> tuple[list[int], list[str]]:
    known = [model.sensor(i).name or f"sensor{i}" for i in range(model.nsensor)]
    rows: list[int] = []
    names: list[str] = []
    for name in known if sensors is None else sensors:
        index = known.index(choose("sensors", name, known))
        first, dim = int(model.sensor_adr[index]), int(model.sensor_dim[index])
        rows += range(first, first + dim)
        names += [name] if dim == 1 else [f"{name}_{i}" for i in range(dim)]
    if not rows:
        raise ParameterError(name="sensors", expected="at least one sensor", received="none")
    return rows, names


def _stated_noise(model: mujoco.MjModel) -> Array:
    stated = np.repeat(np.asarray(model.sensor_noise, dtype=np.float64), model.sensor_dim)
    return np.where(stated > 0.0, stated, 1e-3)


def _dof(model: mujoco.MjModel, joint: str) -> int:
    names = [model.joint(i).name for i in range(model.njnt)]
    return int(model.jnt_dofadr[names.index(choose("noise_input", joint, names))])


def _dof_names(model: mujoco.MjModel) -> list[str]:
    names = []
    for dof in range(model.nv):
        joint = int(model.dof_jntid[dof])
        name = model.joint(joint).name or f"joint{joint}"
        offset = dof - int(model.jnt_dofadr[joint])
        single = int(np.count_nonzero(model.dof_jntid == joint)) == 1
        names.append(name if single else f"{name}_{offset}")
    return names


def _force_input(model: mujoco.MjModel, data: mujoco.MjData, dofs: Sequence[int]) -> Array:
    """Central differences of one physics step with respect to a generalised force on each of ``dofs``."""
    G = np.zeros((2 * model.nv, len(dofs)))
    for column, dof in enumerate(dofs):
        ends = []
        for sign in (1.0, -1.0):
            moved = copy.copy(data)
            moved.qfrc_applied[dof] += sign
            mujoco.mj_step(model, moved)
            shift = np.zeros(model.nv)
            mujoco.mj_differentiatePos(model, shift, 1.0, data.qpos, moved.qpos)
            ends.append(np.concatenate([shift, moved.qvel]))
        G[:, column] = 0.5 * (ends[0] - ends[1])
    return G
