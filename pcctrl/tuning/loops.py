"""Tuning of the classical loops on the exact closed-loop cost, as their users would tune them if they could."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from pcctrl.arrays import Array
from pcctrl.controllers import LQR, PID
from pcctrl.evaluation.exact import Compensator, Push, closed_loop, closed_loop_cost, fold, fold_pid
from pcctrl.filters import KalmanFilter
from pcctrl.linalg import spectral_radius
from pcctrl.tuning.filters import kalman_of
from pcctrl.tuning.search import UNSTABLE, Tuned, scattered, search

if TYPE_CHECKING:
    from pcctrl.models import JointModel, LinearModel, Task

__all__ = ["tune_lqg", "tune_pid"]

# Order of the chains that stand for the true noise while tuning.
TRUTH_ORDER = 8
# Logarithm of a factor that is as good as 0.
_NOTHING = -30.0


def truth_of(task: Task) -> JointModel:
    """Return the joint model that loops are tuned on: the noises of ``task``, without what it only suspects."""
    return replace(task.linear, disturbance=None).joint(TRUTH_ORDER)


def lqg_loop(task: Task, values: Array) -> tuple[KalmanFilter, LQR]:
    """Return the Kalman filter and LQR of log-factors: on Q, on Q's diagonal (n), on each R (m), and on ρ.

    One value more, the logarithm of a disturbance's rate (in the input's unit per √s), gives them integral action.
    """
    n, m = task.linear.C.shape[1], len(task.linear.C)
    integral = len(values) == n + m + 3
    model = replace(task.linear, disturbance=float(np.exp(values[-1])) if integral else None)
    limits = (task.low, task.high)
    lqr = LQR(model, task.state_weight, task.action_weight * float(np.exp(values[n + m + 1])), limits, integral)
    return kalman_of(model, values[: n + m + 1]), lqr


def tune_lqg(
    task: Task,
    *,
    integral: bool = False,
    diagonal: bool = True,
    push: Push | None = None,
    starts: int = 6,
    evaluations: int = 1200,
    seed: int = 0,
) -> Tuned:
    """Tune a white-noise LQG over Q (scale and diagonal), R of each sensor, and ρ, for the noise of ``task``.

    Args:
        task: the task; its noises are the truth, the loop takes them for white.
        integral: also tune the rate of a random-walk input disturbance, which the loop then cancels.
        diagonal: whether Q's diagonal is tuned beside its scale.
        push: a constant disturbance that the cost is to include, none by default.
        starts: from the untuned loop, then from log-normal factors around it (standard deviation 2).
        evaluations: at most so many from each start (Nelder-Mead), and so many again from the best.
        seed: of the starts.

    Raises:
        ModelError: no start leads to a stable loop.
        ParameterError: no starts or evaluations.
    """
    truth = truth_of(task)
    n, m = len(task.linear.A), len(task.linear.C)
    # The added diagonal and the disturbance start small: it is Q's own scale that the untuned loop has right.
    centre = np.r_[0.0, np.full(n, -3.0), np.zeros(m + 1), np.full(int(integral), -2.0)]
    if not diagonal:
        centre = np.delete(centre, slice(1, 1 + n))

    def whole(values: Array) -> Array:
        return values if diagonal else np.insert(values, 1, np.full(n, _NOTHING))

    def cost(values: Array) -> float:
        kalman, lqr = lqg_loop(task, whole(values))
        return graded_cost(truth, fold(kalman, lqr.gain), task, push)

    found = search(cost, scattered(centre, starts, seed), evaluations)
    return replace(found, values=whole(found.values))


def pid_loop(task: Task, values: Array) -> PID:
    """Return the PID of ``values``: kp and kd (each p · m), ki of the holdable sensors, and ln(τ / dt)."""
    model = task.linear
    p, m = len(task.low), len(model.C)
    kp, kd = values[: 2 * p * m].reshape(2, p, m)
    ki = np.zeros((p, m))
    held = holdable(model)
    ki[:, held] = values[2 * p * m : -1].reshape(p, len(held))
    # What takes a million samples to integrate does nothing but leave a mode at 1.
    ki[np.abs(ki) * model.dt < 1e-6 * np.abs(kp)] = 0.0
    tau = float(np.exp(np.clip(values[-1], -20.0, 20.0))) * model.dt
    _, rest, goal = model.operating_point  # type: ignore[misc]
    return PID(kp, ki, kd, model.dt, tau, (task.low, task.high), goal, rest)


def holdable(model: LinearModel) -> list[int]:
    """Return the sensors that the inputs can hold at any value at rest, and so the ones worth integrating.

    A pole's angle on a cart is not one (it rests only upright): its integral would be a hidden mode at 1.
    """
    joint, n = model.white.joint(0), len(model.A)
    steady = np.hstack([joint.F[:n, :n] - np.eye(n), joint.B[:n]])
    held: list[int] = []
    for i in range(len(model.C)):
        rows = np.hstack([model.C[[*held, i]], np.zeros((len(held) + 1, joint.B.shape[1]))])
        if len(held) < joint.B.shape[1] and np.linalg.matrix_rank(np.vstack([steady, rows])) == n + len(rows):
            held.append(i)
    return held


def tune_pid(task: Task, *, starts: int = 6, evaluations: int = 800, seed: int = 0) -> Tuned:
    """Tune the gains and the derivative filter of a PID on the sensors, for the noise that ``task`` really has.

    Starts are those of `pid_starts`.

    Args:
        task: the task.
        starts: number of starting points.
        evaluations: at most so many from each start (Nelder-Mead), and so many again from the best.
        seed: of the perturbation of each start.
    """
    truth = truth_of(task)

    def cost(values: Array) -> float:
        return graded_cost(truth, fold_pid(pid_loop(task, values)), task)

    return search(cost, pid_starts(task, starts, seed), evaluations)


def pid_starts(task: Task, starts: int, seed: int = 0) -> list[Array]:
    """Return where the tuning of a PID begins.

    It is from the PD gains nearest to LQRs of ever dearer actions (nearest: least squares in the sensors and their
    rates), since a random PID seldom stabilises anything.

    Args:
        task: the task.
        starts: number of starting points.
        seed: of the perturbation of each.
    """
    model = task.linear
    n = len(model.A)
    rates = model.C @ (model.white.joint(0).F[:n, :n] - np.eye(n)) / model.dt
    held = holdable(model)
    rng = np.random.default_rng(seed)
    points = []
    for dearness in np.geomspace(1.0, 1e4, max(starts, 1)):
        L = LQR(model, task.state_weight, task.action_weight * dearness).value.L
        kp, kd = np.split(L @ np.linalg.pinv(np.vstack([model.C, rates])), 2, axis=1)
        gains = np.concatenate([kp.ravel(), kd.ravel(), 0.01 * kp[:, held].ravel()])
        points.append(np.r_[gains * np.exp(rng.normal(0.0, 0.1, gains.size)), np.log(0.3)])
    return points


def graded_cost(truth: JointModel, compensator: Compensator, task: Task, push: Push | None = None) -> float:
    """Return the exact cost, or for an unstable loop a penalty that falls towards stability."""
    cost = closed_loop_cost(truth, compensator, task.state_weight, task.action_weight, push)
    return cost if np.isfinite(cost) else UNSTABLE * max(1.0, spectral_radius(closed_loop(truth, compensator)[0]))
