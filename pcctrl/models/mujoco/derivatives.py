"""Derivatives of a simulation by MuJoCo's own finite differences, in tangent space."""

from __future__ import annotations

import mujoco
import numpy as np
from scipy.linalg.lapack import dposv

from pcctrl.arrays import Array
from pcctrl.models.mujoco.names import Reading
from pcctrl.models.mujoco.simulator import ACCELERATIONS, EPSILON, VELOCITIES, Simulator

__all__ = ["read_derivatives", "step_derivatives"]

# Forces act linearly over a step but for contacts, so their perturbation may be large.
_FORCE = 1e-3


def step_derivatives(sim: Simulator, x: Array, u: Array, w: Array) -> tuple[Array, Array, Array]:
    """Return F (n, n), B (n, p) and G (n, q) of one sample at x (n,), u (p,), w (q,), for a simulation that is native.

    They are products over the physics steps of ``mjd_transitionFD``, which knows no applied forces: those are moved
    here, with all that depends on positions and velocities kept.
    """
    model, data, n = sim.model, sim.data, sim.n
    sim.set(x, u, w)
    for j in range(sim.substeps):
        # From here on the solver starts at its answer, so that differences are smooth.
        mujoco.mj_forward(model, data)
        G_step = _step_by_force(sim, w) if len(w) else np.zeros((n, 0))
        A_step, every = np.empty((n, n)), np.empty((n, model.nu))
        mujoco.mjd_transitionFD(model, data, EPSILON, False, A_step, every, None, None)
        B_step = every[:, sim.driven]
        if j == 0:
            F, B, G = A_step, B_step, G_step
        else:
            F, B, G = A_step @ F, A_step @ B + B_step, A_step @ G + G_step
        if j < sim.substeps - 1:
            mujoco.mj_step(model, data)
    return F, B, G


def read_derivatives(sim: Simulator, x: Array, u: Array, w: Array) -> tuple[Array, Array, Array]:
    """Return C (m, n), D (m, p) and E (m, q) of the readings at x (n,), u (p,), w (q,), of a simulation that is native.

    Of joint encoders and the like they are known, and the physics is left alone.
    """
    model, data, n = sim.model, sim.data, sim.n
    m = len(sim.readings)
    C, D, E = np.zeros((m, n)), np.zeros((m, len(u))), np.zeros((m, len(w)))
    hidden = [i for i, r in enumerate(sim.readings) if r.state is None]
    for i, reading in enumerate(sim.readings):
        if reading.state is not None:
            C[i, reading.state] = 1.0
    sensors = [i for i in hidden if sim.readings[i].field == "sensordata"]
    if sensors:
        sim.set(x, u, w)
        mujoco.mj_forward(model, data)
        rows = [sim.readings[i].index for i in sensors]
        if sim.stage == ACCELERATIONS:
            E[sensors] = _read_by_force(sim, w)[sensors]
        C_all, D_all = np.zeros((model.nsensordata, n)), np.zeros((model.nsensordata, model.nu))
        mujoco.mjd_transitionFD(model, data, EPSILON, False, None, None, C_all, D_all)
        C[sensors], D[sensors] = C_all[rows], D_all[rows][:, sim.driven]
    poses = [i for i in hidden if sim.readings[i].field != "sensordata"]
    if poses:
        sim.set(x, u, w)
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        for i in poses:
            C[i, : sim.nv] = _pose_row(sim, sim.readings[i])
    return C, D, E


def _step_by_force(sim: Simulator, w: Array) -> Array:
    """Return how a physics step (n, q) depends on forces, at what is set and worked out, and leave it so."""
    if sim.unconstrained:
        return _step_by_inertia(sim)
    G = np.zeros((sim.n, len(w)))
    qpos, qvel, act, _, warm = sim.views
    before = [(view, view.copy()) for view in (qpos, qvel, act, warm)]
    ends = []
    for moved in (w, *(w + _FORCE * np.eye(len(w)))):
        sim.push(moved)
        mujoco.mj_forwardSkip(sim.model, sim.data, VELOCITIES, 1)
        sim.integrator(sim.model, sim.data)
        ends.append((qpos.copy(), np.concatenate([qvel, act])))
        for view, value in before:
            view[:] = value
    start, rates = ends[0]
    for i, (end, moved_rates) in enumerate(ends[1:]):
        G[: sim.nv, i] = (end - start) if sim.flat else sim.moved(start, end)
        G[sim.nv :, i] = moved_rates - rates
    G /= _FORCE
    sim.push(w)
    return G


def _step_by_inertia(sim: Simulator) -> Array:
    """Return the same where it is h (M + h D)⁻¹: in Euler steps, whose damping D is implicit, without constraints."""
    model, h = sim.model, float(sim.model.opt.timestep)
    M, G = np.empty((sim.nv, sim.nv)), np.zeros((sim.n, len(sim.general)))
    mujoco.mj_fullM(model, sim.data, M)
    M.flat[:: sim.nv + 1] += h * model.dof_damping
    # LAPACK's own call: that of NumPy takes three times as long. What is not definite gives NaN, as all that is bad.
    _, faster, failed = dposv(M, h * sim.general.T)
    G[: sim.nv], G[sim.nv : 2 * sim.nv] = (np.nan, np.nan) if failed else (h * faster, faster)
    return G


def _read_by_force(sim: Simulator, w: Array) -> Array:
    """Return how the readings (m, q) depend on forces, at what is set and worked out."""
    E, here = np.zeros((len(sim.readings), len(w))), sim.present()
    for i, moved in enumerate(w + _FORCE * np.eye(len(w))):
        sim.push(moved)
        mujoco.mj_forwardSkip(sim.model, sim.data, VELOCITIES, 0)
        E[:, i] = sim.present() - here
    sim.push(w)
    return E / _FORCE


def _pose_row(sim: Simulator, reading: Reading) -> Array:
    """Return how a pose's entry depends on the move (nv,) of the positions, with kinematics worked out."""
    model, data, nv = sim.model, sim.data, sim.nv
    if reading.field == "qpos":
        # q exp(v) = q + q v / 2 for a small v: of a quaternion (a, b, c, d), by columns 1 to 3 of its product.
        joint = int(np.flatnonzero(model.jnt_qposadr <= reading.index)[-1])
        first = 3 * (int(model.jnt_type[joint]) == mujoco.mjtJoint.mjJNT_FREE)
        at, dof = int(model.jnt_qposadr[joint]) + first, int(model.jnt_dofadr[joint]) + first
        a, b, c, d = data.qpos[at : at + 4]
        product = 0.5 * np.array([[-b, -c, -d], [a, -d, c], [d, a, -b], [-c, b, a]])
        row = np.zeros(nv)
        row[dof : dof + 3] = product[reading.index - at]
        return row
    width = 3 if reading.field == "xpos" else 9
    body, entry = divmod(reading.index, width)
    position, rotation = np.zeros((3, nv)), np.zeros((3, nv))
    mujoco.mj_jacBody(model, data, position, rotation, body)
    if reading.field == "xpos":
        return np.asarray(position[entry])
    # A column c of the matrix turns as ω × c.
    axis, column = divmod(entry, 3)
    return np.asarray(np.cross(rotation.T, data.xmat[body].reshape(3, 3)[:, column])[:, axis])
