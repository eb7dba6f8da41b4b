"""Derivatives of a simulation by MuJoCo's own finite differences, in tangent space."""

from __future__ import annotations

import mujoco
import numpy as np
from scipy.linalg.lapack import dposv

from pcctrl.arrays import Array
from pcctrl.models.mujoco.guards import or_nan
from pcctrl.models.mujoco.names import Reading
from pcctrl.models.mujoco.simulator import ACCELERATIONS, EPSILON, VELOCITIES, Simulator

__all__ = ["read_derivatives", "step_derivatives"]

# Forces act linearly over a step but for contacts, so their perturbation may be large.
_FORCE = 1e-3


def step_derivatives(sim: Simulator, x: Array, u: Array, w: Array) -> tuple[Array, Array, Array, Array]:
    """Return `Simulator.step`, F (n, n), B (n, p) and G (n, q) at x (n,), u (p,), w (q,), if the simulation is native.

    They are products over the physics steps of ``mjd_transitionFD``, which knows no applied forces: those are moved
    here, with all that depends on positions and velocities kept, but for those that an actuator exerts as well.
    """
    model, data, exerted, n = sim.model, sim.data, sim.exerted, sim.n
    sim.set(x, u, w)
    for j in range(sim.substeps):
        # From here on the solver starts at its answer, so that differences are smooth.
        mujoco.mj_forward(model, data)
        end = sim.finish()
        direct = len(w) > 0 and sim.unconstrained
        G_step = _step_by_inertia(sim) if direct else _step_by_force(sim, w)
        A_step, every = np.empty((n, n)), np.empty((n, model.nu))
        mujoco.mjd_transitionFD(model, data, EPSILON, False, A_step, every, None, None)
        B_step = every[:, sim.driven]
        if not direct and exerted.forces:
            G_step[:, exerted.forces] = every[:, exerted.controls] * exerted.shares
            if sim.flat:
                # Positions may be so large that what a control of 1e-7 adds to them is rounding.
                G_step[: sim.nv, exerted.forces] = model.opt.timestep * G_step[sim.nv : 2 * sim.nv, exerted.forces]
        if j == 0:
            F, B, G = A_step, B_step, G_step
        else:
            F, B, G = A_step @ F, A_step @ B + B_step, A_step @ G + G_step
        if j < sim.substeps - 1:
            mujoco.mj_step(model, data)
    return or_nan(end) if sim.substeps == 1 else sim.step(x, u, w), F, B, G


def read_derivatives(sim: Simulator, x: Array, u: Array, w: Array) -> tuple[Array, Array, Array, Array]:
    """Return `Simulator.sense`, C (m, n), D (m, p) and E (m, q) at x (n,), u (p,), w (q,), if the simulation is native.

    Of joint encoders and the like they are known, and the physics is left alone.
    """
    model, data, known = sim.model, sim.data, sim.rows
    C, D, E = known.C.copy(), np.zeros((len(known.C), len(u))), np.zeros((len(known.C), len(w)))
    if len(known.sensors):
        sim.set(x, u, w)
        mujoco.mj_forward(model, data)
        y = sim.present()
        C_all, D_all = np.empty((model.nsensordata, sim.n)), np.empty((model.nsensordata, model.nu))
        E_all = _read_by_force(sim, w) if sim.stage == ACCELERATIONS and len(w) else None
        mujoco.mjd_transitionFD(model, data, EPSILON, False, None, None, C_all, D_all)
        C[known.sensors], D[known.sensors] = C_all[known.entries], D_all[known.entries][:, sim.driven]
        if E_all is not None:
            E_all[:, sim.exerted.forces] = D_all[:, sim.exerted.controls] * sim.exerted.shares
            E_all[known.unforced] = 0.0
            E[known.sensors] = E_all[known.entries]
    else:
        y = sim.sense(x, u, w)
    if known.poses:
        sim.set(x, u, w)
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        for i in known.poses:
            C[i, : sim.nv] = _pose_row(sim, sim.readings[i])
    return y, C, D, E


def _step_by_force(sim: Simulator, w: Array) -> Array:
    """Return how a physics step (n, q) depends on forces that no actuator exerts, and leave what is set."""
    G = np.zeros((sim.n, len(w)))
    if not sim.exerted.others:
        return G
    ends = []
    for moved in (w, *(w + _FORCE * np.eye(len(w))[sim.exerted.others])):
        sim.push(moved)
        mujoco.mj_forwardSkip(sim.model, sim.data, VELOCITIES, 1)
        ends.append(sim.finish())
    for i, end in zip(sim.exerted.others, ends[1:], strict=True):
        G[:, i] = sim.difference(end, ends[0])
    sim.push(w)
    return G / _FORCE


def _step_by_inertia(sim: Simulator) -> Array:
    """Return the same of all forces, h (M + h D)⁻¹: in Euler steps, whose damping D is implicit, unconstrained."""
    model, h = sim.model, float(sim.model.opt.timestep)
    M, G = np.empty((sim.nv, sim.nv)), np.zeros((sim.n, len(sim.general)))
    mujoco.mj_fullM(model, sim.data, M)
    M.flat[:: sim.nv + 1] += h * model.dof_damping
    # LAPACK's own call: that of NumPy takes three times as long. What is not definite gives NaN, as all that is bad.
    _, faster, failed = dposv(M, h * sim.general.T)
    G[: sim.nv], G[sim.nv : 2 * sim.nv] = (np.nan, np.nan) if failed else (h * faster, faster)
    return G


def _read_by_force(sim: Simulator, w: Array) -> Array:
    """Return how ``sensordata`` (·, q) depends on forces that no actuator exerts, at what is set and worked out."""
    now = sim.data.sensordata
    E, here = np.zeros((len(now), len(w))), now.copy()
    for i in sim.exerted.others:
        moved = w.copy()
        moved[i] += _FORCE
        sim.push(moved)
        mujoco.mj_forwardSkip(sim.model, sim.data, VELOCITIES, 0)
        E[:, i] = now - here
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
