"""The quadrotor's hover as four axes that do not touch each other, and the loops designed on each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import mujoco
import numpy as np

from pcctrl.arrays import Array
from pcctrl.controllers import ExpectedFreeEnergy
from pcctrl.envs import QuadrotorEnv
from pcctrl.evaluation import Compensator, closed_loop_cost, fold, fold_pid
from pcctrl.filters import PCFilter
from pcctrl.linalg import block_diag, riccati
from pcctrl.models import LinearModel, Task
from pcctrl.noise import Noise, OrnsteinUhlenbeck, White
from pcctrl.tuning import ORDER, pid_loop

__all__ = ["AXES", "DESIGNS", "MIX", "active", "assembled", "axes_of", "optimum", "untold", "untuned"]

# The rotors (front, left, back, right) that thrust, roll, pitch and yaw; columns are orthonormal.
_MIX = np.array([[0.5, 0.0, -(0.5**0.5), -0.5], [0.5, 0.5**0.5, 0.0, 0.5]])
MIX = np.vstack([_MIX, _MIX * [1.0, -1.0, -1.0, 1.0]])
# States, sensors and input of each axis, in the body's frame.
AXES: dict[str, tuple[list[int], list[int], int]] = {
    "along": ([0, 4, 6, 10, 14], [0, 4], 2),
    "across": ([1, 3, 7, 9, 13], [1, 3], 1),
    "up": ([2, 8, 12], [2], 0),
    "yaw": ([5, 11, 15], [5], 3),
}
# A force that walks is one that forgets this slowly, in seconds.
_NEVER = 1e4


def _turns(env: QuadrotorEnv) -> tuple[Array, Array]:
    """Return what turns states (n, n) and sensors (6, 6) of the axes into those of ``env``."""
    lean = np.zeros(9)
    mujoco.mju_quat2Mat(lean, env.init_qpos[3:7])
    R, same = lean.reshape(3, 3), np.eye(3)
    return block_diag(R, same, R, same, MIX), block_diag(R, same)


def axes_of(env: QuadrotorEnv, sensor_noise: list[Noise]) -> dict[str, Task]:
    """Return the task of each axis: position (yaw) against action; they add up to the task of ``env``, exactly.

    In the frame of the body at hover, which leans, the plant falls apart. Gusts along and up do not: each of the two
    axes has a part of both, whose correlation over axes nothing here makes use of.
    """
    task = env.task(sensor_noise)
    model, (T, S) = task.linear, _turns(env)
    A, B, C, G = T.T @ model.A @ T, T.T @ model.B @ MIX, S.T @ model.C @ T, T.T @ model.noise_input
    W = T.T @ task.state_weight @ T
    tasks = {}
    for name, (states, sensors, u) in AXES.items():
        reached = np.flatnonzero(np.abs(G[states]).max(axis=0) > 1e-9).tolist()
        plant = LinearModel.from_discrete(
            A[np.ix_(states, states)],
            B[states, u : u + 1],
            C[np.ix_(sensors, states)],
            dt=model.dt,
            substeps=model.substeps or 1,
            noise_input=G[np.ix_(states, reached)],
            process_noise=[model.process_noise[i] for i in reached],
            sensor_noise=[model.sensor_noise[i] for i in sensors],
        )
        limit = np.array([1e6])  # of no consequence to an exact cost
        tasks[name] = Task(plant, W[np.ix_(states, states)], task.action_weight[:1, :1], -limit, limit)
    return tasks


def assembled(env: QuadrotorEnv, loops: Mapping[str, Compensator]) -> Compensator:
    """Return the loops of all axes as one, from the readings of ``env`` to what is added to the rotors' rest."""
    _, S = _turns(env)
    m = len(S)
    A = block_diag(*(loop.A for loop in loops.values()))
    B, C, D = np.zeros((len(A), m)), np.zeros((4, len(A))), np.zeros((4, m))
    at = 0
    for name, loop in loops.items():
        _, sensors, u = AXES[name]
        own = slice(at, at + len(loop.A))
        B[own, sensors], C[u, own], D[u, sensors] = loop.B, loop.C[0], loop.D[0]
        at = own.stop
    return Compensator(A, B @ S.T, MIX @ C, MIX @ D @ S.T)


def active(task: Task, rho: float, order: int = ORDER) -> Compensator:
    """Return active inference as the preset makes it, told the noise, with another ρ."""
    efe = ExpectedFreeEnergy(task.linear, task.state_weight, rho, order)
    return fold(PCFilter(task.linear, order), efe.gain)


def optimum(env: QuadrotorEnv, sensor_noise: list[Noise], rho: float, yaw: float, order: int) -> Array:
    """Return exact RMS position and rotor action (2,) of active inference on all axes together, of a high order.

    Args:
        env: the quadrotor.
        sensor_noise: one a sensor.
        rho: ρ of all that moves the position.
        yaw: ρ of yaw.
        order: of the chains that are the truth and are told.
    """
    task = env.task(sensor_noise)
    truth, n = task.linear.joint(order), len(task.state_weight)
    efe = ExpectedFreeEnergy(task.linear, task.state_weight, MIX @ np.diag([rho, rho, rho, yaw]) @ MIX.T, order)
    loop, position = fold(PCFilter(task.linear, order), efe.gain), np.diag([1.0] * 3 + [0.0] * (n - 3))
    weights = (position, np.zeros((4, 4))), (0.0 * position, np.eye(4) / 4.0)
    return np.sqrt([closed_loop_cost(truth, loop, *pair) for pair in weights])


def untold(task: Task, rho: float) -> Compensator:
    """Return active inference that is told the gusts, but takes the noise of its sensors for white."""
    model = replace(task.linear, sensor_noise=task.linear.white.sensor_noise)
    return active(replace(task, model=model), rho)


def untuned(name: str, task: Task) -> Array:
    """Return where the tuning of a design in `DESIGNS` begins: as told, or a first guess where nothing is.

    In logarithms: a factor on the density of each process noise, on R of each sensor but the first (a steady gain
    depends on ratios only), on ρ; then the design's own number.
    """
    told = np.zeros(len(_lumped(task)[1]) + len(task.linear.C))
    return np.append(told, -1.0) if name in ("random walk", "integral") else told


def _lumped(task: Task) -> tuple[Array, list[float]]:
    """Return noise inputs and sizes (per √Hz held over a sample) with all gusts, which push alike, as one force."""
    model = task.linear
    sizes = np.array([w.whitened(model.dt, sensor=False).density for w in model.process_noise])
    gusts = [i for i, w in enumerate(model.process_noise) if w.variance > 0.0]
    rest = [i for i in range(len(sizes)) if i not in gusts]
    columns, found = [model.noise_input[:, i] for i in rest], sizes[rest].tolist()
    if gusts:
        G = model.noise_input[:, gusts]
        lengths = np.linalg.norm(G, axis=0)
        first = int(lengths.argmax())
        columns.insert(0, G[:, first])
        found.insert(0, float(np.linalg.norm(lengths * sizes[gusts]) / lengths[first]))
    return np.stack(columns, axis=1), found


def _believed(task: Task, values: Array, walk: float | None = None) -> LinearModel:
    """Return the model of a tuned LQG: white noise of tuned sizes, and a force that walks (N/√s) if told."""
    model = task.linear
    G, sizes = _lumped(task)
    q = len(sizes)
    noises: list[Noise] = [White(density=d * float(np.exp(v))) for d, v in zip(sizes, values, strict=False)]
    if walk is not None:
        noises[0] = noises[0] + OrnsteinUhlenbeck(walk * float(np.sqrt(_NEVER / 2.0)), _NEVER)
    stds = [float(z.whitened(model.dt, sensor=True).std or 0.0) for z in model.sensor_noise]
    factors = np.exp(0.5 * np.r_[0.0, values[q : q + len(stds) - 1]])
    sensors = [White(std=std * float(f)) for std, f in zip(stds, factors, strict=True)]
    return replace(model, noise_input=G, process_noise=noises, sensor_noise=sensors)


def _rho(task: Task, values: Array) -> float:
    q, m = len(_lumped(task)[1]), len(task.linear.C)
    return float(task.action_weight[0, 0] * np.exp(np.clip(values[q + m - 1], -30.0, 30.0)))


def plain(task: Task, values: Array) -> Compensator:
    """Return an LQG that takes all noise for white."""
    model = _believed(task, values)
    return fold(PCFilter(model, 0), ExpectedFreeEnergy(model, task.state_weight, _rho(task, values), 0).gain)


def walking(task: Task, values: Array) -> Compensator:
    """Return an LQG that also estimates a force that walks, and answers it as if it stayed."""
    if not _gusty(task):
        return plain(task, values[:-1])
    model = _believed(task, values, float(np.exp(np.clip(values[-1], -30.0, 30.0))))
    return fold(PCFilter(model, 0), ExpectedFreeEnergy(model, task.state_weight, _rho(task, values), 0).gain)


def integral(task: Task, values: Array) -> Compensator:
    """Return an LQG on the state and the integral of the first reading, whose weight is tuned."""
    model, rho = _believed(task, values), np.array([[_rho(task, values)]])
    filter_ = PCFilter(model, 0)
    joint, K = filter_.joint, filter_.steady.gain
    n, m = joint.size, len(joint.R)
    F = np.zeros((n + 1, n + 1))
    F[:n, :n], F[n, :n], F[n, n] = joint.F, model.dt * joint.C[0], 1.0
    B, W = np.vstack([joint.B, [[0.0]]]), np.zeros((n + 1, n + 1))
    W[:n, :n], W[n, n] = task.state_weight, np.exp(np.clip(values[-1], -30.0, 30.0))
    S = riccati(F, B, W, rho, name="model")
    L = np.linalg.solve(rho + B.T @ S @ B, B.T @ S @ F)
    # The belief and the integral, after the reading: sense s + read y.
    sense = block_diag(np.eye(n) - K @ joint.C, np.eye(1))
    read = np.vstack([K, model.dt * np.eye(1, m)])
    ahead = block_diag(joint.F, np.eye(1)) - B @ L
    return Compensator(A=ahead @ sense, B=ahead @ read, C=-L @ sense, D=-L @ read)


def pid(task: Task, values: Array) -> Compensator:
    """Return a PID on the readings: proportional and derivative on all, integral on the position."""
    return fold_pid(pid_loop(task, values))


DESIGNS: dict[str, Callable[[Task, Array], Compensator]] = {
    "random walk": walking,
    "integral": integral,
    "LQG": plain,
    "PID": pid,
}


def _gusty(task: Task) -> bool:
    return any(w.variance > 0.0 for w in task.linear.process_noise)
