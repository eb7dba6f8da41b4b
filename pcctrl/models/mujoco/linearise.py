"""Linear models of MuJoCo simulations about a rest, in tangent space."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import mujoco
import numpy as np
from numpy.typing import ArrayLike

from pcctrl.arrays import Array, as_array, choose
from pcctrl.errors import ModelError, ParameterError
from pcctrl.models.linear import LinearModel
from pcctrl.noise import Noise, White

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["linearise"]

_EPSILON = 1e-6
# Velocities or accelerations above this (SI units) mean that the operating point is not at rest.
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
    """Return the linear model of ``mjmodel`` about a rest, by central differences of its own physics step.

    States are the tangent-space positions and then the velocities of all degrees of freedom. Native sensor and actuator
    delays are left out. Unlike ``mjd_transitionFD``, which it equals where that works, it takes models with RK4 or with
    delays as well. Noise acts, as in the simulation, at every physics step.

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
    model = copy.deepcopy(mjmodel)
    model.actuator_delay[:] = 0.0
    model.sensor_delay[:] = 0.0
    if model.na:
        raise ParameterError(
            name="mjmodel", expected="actuators without internal state", received=f"{model.na} activation states"
        )
    data = mujoco.MjData(model)
    data.qpos[:] = as_array("qpos", qpos, (model.nq,))
    data.qvel[:] = as_array("qvel", qvel, (model.nv,))
    data.ctrl[:] = as_array("ctrl", ctrl, (model.nu,))
    mujoco.mj_forward(model, data)
    fastest = max(float(np.abs(data.qacc).max(initial=0.0)), float(np.abs(data.qvel).max(initial=0.0)))
    if fastest > _AT_REST:
        raise ModelError(
            name="qpos, qvel, ctrl", expected="a point at rest (rates below 1e-3)", received=f"{fastest:.3g}"
        )

    rows, names = _sensor_rows(model, sensors)
    nv, h = model.nv, float(model.opt.timestep)
    A, B, G, C, D = _derivatives(model, data, [_dof(model, name) for name in noise_input])
    if sensor_noise is None:
        sensor_noise = [White(std=std) for std in _stated_noise(model)[rows]]
    position = np.asarray(qpos, dtype=np.float64) if model.nq == nv else np.zeros(nv)
    linear = LinearModel.from_discrete(
        A,
        B,
        C[rows],
        D[rows],
        dt=h,
        noise_input=G,
        process_noise=process_noise,
        sensor_noise=sensor_noise,
        prior=prior,
        operating_point=(np.concatenate([position, data.qvel]), data.ctrl.copy(), data.sensordata[rows]),
        states=[*(f"{j}_pos" for j in _dof_names(model)), *(f"{j}_vel" for j in _dof_names(model))],
        inputs=[model.actuator(i).name or f"u{i}" for i in range(model.nu)],
        sensors=names,
    )
    return linear if dt is None else linear.resampled(dt)


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


def _derivatives(
    model: mujoco.MjModel, data: mujoco.MjData, dofs: Sequence[int]
) -> tuple[Array, Array, Array, Array, Array]:
    """Return A, B, G, C, D: central differences of one physics step and of the sensors read at its start."""
    nv, nu, q = model.nv, model.nu, len(dofs)
    width = 2 * nv + nu + q
    steps, readings = np.zeros((2 * nv, width)), np.zeros((model.nsensordata, width))
    for i in range(width):
        for sign in (1.0, -1.0):
            # The inputs act linearly over a step, so their perturbation may be large; a state's may not.
            eps = sign * (_EPSILON if i < 2 * nv else 1e-3)
            moved = copy.copy(data)
            if i < nv:
                mujoco.mj_integratePos(model, moved.qpos, np.eye(nv)[i], eps)
            elif i < 2 * nv:
                moved.qvel[i - nv] += eps
            elif i < 2 * nv + nu:
                moved.ctrl[i - 2 * nv] += eps
            else:
                moved.qfrc_applied[dofs[i - 2 * nv - nu]] += eps
            mujoco.mj_forward(model, moved)
            readings[:, i] += moved.sensordata / (2.0 * eps)
            mujoco.mj_step(model, moved)
            shift = np.zeros(nv)
            mujoco.mj_differentiatePos(model, shift, 1.0, data.qpos, moved.qpos)
            steps[:, i] += np.concatenate([shift, moved.qvel]) / (2.0 * eps)
    A, B, G = np.split(steps, [2 * nv, 2 * nv + nu], axis=1)
    C, D, _ = np.split(readings, [2 * nv, 2 * nv + nu], axis=1)
    return A, B, G, C, D
