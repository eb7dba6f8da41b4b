"""Linear models of MuJoCo simulations about a rest, in tangent space."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import mujoco
import numpy as np
from numpy.typing import ArrayLike

from pcctrl.arrays import Array, as_array, choose
from pcctrl.errors import ModelError, ParameterError
from pcctrl.models.checks import as_noises
from pcctrl.models.linear import LinearModel
from pcctrl.models.mujoco.names import choose_forces, control_names, state_names
from pcctrl.noise import Noise, White

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["linearise"]

_EPSILON = 1e-6
# Velocities or accelerations above this (SI units) mean that the operating point is not at rest.
_AT_REST = 1e-3
# Actuators whose state follows the control.
_LAGS = (int(mujoco.mjtDyn.mjDYN_FILTER), int(mujoco.mjtDyn.mjDYN_FILTEREXACT))


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

    States are the tangent-space positions and then the velocities of all degrees of freedom, then the actuators' own.
    Native sensor and actuator delays are left out. Unlike ``mjd_transitionFD``, which it equals where that works, it
    takes models with RK4 or with delays as well. Noise acts, as in the simulation, at every physics step;
    accelerometers and force sensors feel it if it is coloured (a white force has no value at a moment).

    Args:
        mjmodel: the model; it is not changed.
        qpos: (nq,) positions at rest.
        qvel: (nv,) velocities there.
        ctrl: (nu,) controls that keep it there; an actuator that lags (``filter`` or ``filterexact``) has caught up
            with its own, other actuator states are zero.
        sensors: names of MJCF sensors to read, all by default.
        dt: control interval in seconds, a multiple of the physics time step; that step by default.
        noise_input: names of what the disturbances push: degrees of freedom or ``BODY:x``, … as for `MujocoModel`.
        process_noise: the disturbance (N or N·m) on each of them.
        sensor_noise: one a sensor reading; by default white with the ``noise`` that the MJCF states, or 1e-3 where it
            states none.
        prior: covariance (n, n) of the state before the first sample.

    Raises:
        ShapeError: an array of the wrong size.
        UnknownNameError: no such sensor, nor degree of freedom or body and axis.
        ParameterError: dt is not a multiple of the physics step.
        ModelError: the point is not at rest.
    """
    if not isinstance(mjmodel, mujoco.MjModel):
        raise ParameterError(name="mjmodel", expected="a mujoco.MjModel", received=type(mjmodel).__name__)
    model = copy.deepcopy(mjmodel)
    model.actuator_delay[:] = 0.0
    model.sensor_delay[:] = 0.0
    data = mujoco.MjData(model)
    data.qpos[:] = as_array("qpos", qpos, (model.nq,))
    data.qvel[:] = as_array("qvel", qvel, (model.nv,))
    data.ctrl[:] = as_array("ctrl", ctrl, (model.nu,))
    for i in np.flatnonzero(np.isin(model.actuator_dyntype, _LAGS)):
        data.act[model.actuator_actadr[i]] = data.ctrl[model.actuator_ctrladr[i]]
    mujoco.mj_forward(model, data)
    fastest = max(float(np.abs(rates).max(initial=0.0)) for rates in (data.qacc, data.qvel, data.act_dot))
    if fastest > _AT_REST:
        raise ModelError(
            name="qpos, qvel, ctrl", expected="a point at rest (rates below 1e-3)", received=f"{fastest:.3g}"
        )

    rows, names = _sensor_rows(model, sensors)
    nv, h = model.nv, float(model.opt.timestep)
    _, general, cartesian = choose_forces(model, noise_input)
    A, B, G, C, D, E = _derivatives(model, data, general, cartesian)
    # What is left of rounding is no feeling; and a white force has no value that could be felt.
    E[np.abs(E) < 1e-9] = 0.0
    E[:, [w.density > 0.0 for w in as_noises("process_noise", process_noise, len(general), sensor=False)]] = 0.0
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
        noise_output=E[rows] if E[rows].any() else None,
        process_noise=process_noise,
        sensor_noise=sensor_noise,
        prior=prior,
        operating_point=(np.concatenate([position, data.qvel, data.act]), data.ctrl.copy(), data.sensordata[rows]),
        states=state_names(model),
        inputs=control_names(model),
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


def _derivatives(
    model: mujoco.MjModel, data: mujoco.MjData, general: Array, cartesian: Array
) -> tuple[Array, Array, Array, Array, Array, Array]:
    """Return A, B, G, C, D, E: central differences of one physics step and of the sensors read at its start."""
    nv, nu, n = model.nv, model.nu, 2 * model.nv + model.na
    width = n + nu + len(general)
    steps, readings = np.zeros((n, width)), np.zeros((model.nsensordata, width))
    for i in range(width):
        for sign in (1.0, -1.0):
            # The inputs act linearly over a step, so their perturbation may be large; a state's may not.
            eps = sign * (_EPSILON if i < n else 1e-3)
            moved = copy.copy(data)
            if i < nv:
                mujoco.mj_integratePos(model, moved.qpos, np.eye(nv)[i], eps)
            elif i < 2 * nv:
                moved.qvel[i - nv] += eps
            elif i < n:
                moved.act[i - 2 * nv] += eps
            elif i < n + nu:
                moved.ctrl[i - n] += eps
            else:
                moved.qfrc_applied[:] += eps * general[i - n - nu]
                moved.xfrc_applied[:] += eps * cartesian[i - n - nu].reshape(-1, 6)
            mujoco.mj_forward(model, moved)
            readings[:, i] += moved.sensordata / (2.0 * eps)
            mujoco.mj_step(model, moved)
            shift = np.zeros(nv)
            mujoco.mj_differentiatePos(model, shift, 1.0, data.qpos, moved.qpos)
            steps[:, i] += np.concatenate([shift, moved.qvel, moved.act]) / (2.0 * eps)
    A, B, G = np.split(steps, [n, n + nu], axis=1)
    C, D, E = np.split(readings, [n, n + nu], axis=1)
    return A, B, G, C, D, E
