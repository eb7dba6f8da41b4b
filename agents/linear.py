"""Agents for a task whose model is linear: filters and controllers in closed form, tuned by exact costs."""

from __future__ import annotations

import functools

from pcctrl.agents.agent import Agent, Card
from pcctrl.controllers import LQR, ActiveInferencePID, ExpectedFreeEnergy
from pcctrl.filters import KalmanFilter, PCFilter, Readings
from pcctrl.models import Task
from pcctrl.tuning import ORDER, lqg_loop, pid_error_std, pid_loop, reflex_loop, tune_lqg, tune_pid, tune_reflex

__all__ = ["aif", "aif_pid", "aif_reflex", "lqg", "lqg_integral", "lqg_tuned", "pid"]

# Two presets start from the same PID.
_tune_pid = functools.lru_cache(maxsize=1)(tune_pid)


def aif(task: Task) -> Agent:
    """Predictive-coding filter in generalised coordinates, acting on expected free energy."""
    limits = (task.low, task.high)
    suspects = task.linear.disturbance is not None
    controller = ExpectedFreeEnergy(
        task.linear, task.state_weight, task.action_weight, ORDER, limits, offset_free=suspects
    )
    return Agent(PCFilter(task.linear, ORDER), controller, limits, Card("noise told, with its colour"))


def aif_reflex(task: Task) -> Agent:
    """Predictive-coding filter, and a reflex arc: the plant's flat output follows an attractor of tuned speed."""
    tuned = tune_reflex(task)
    card = Card("noise told, with its colour", f"τ, κ: {tuned.budget()}")
    return Agent(*reflex_loop(task, tuned.values), (task.low, task.high), card)


def aif_pid(task: Task) -> Agent:
    """PID as active inference: tuned gains as precisions, which the errors then go on tuning."""
    tuned = _tune_pid(task)
    pid = pid_loop(task, tuned.values)
    card = Card("tuned on the noise told, then learning", f"gains, τ: {tuned.budget()}")
    # The precisions follow the errors of some 500 samples: faster, they would follow the noise.
    decay = 5.0
    controller = ActiveInferencePID(pid, pid_error_std(task, pid), decay / (500.0 * pid.dt), decay)
    return Agent(Readings(task.linear), controller, (task.low, task.high), card)


def lqg(task: Task) -> Agent:
    """Kalman filter and LQR, told every variance and that all noise is white."""
    limits = (task.low, task.high)
    controller = LQR(task.linear, task.state_weight, task.action_weight, limits)
    return Agent(KalmanFilter(task.linear), controller, limits, Card("noise variances told, taken for white"))


def lqg_tuned(task: Task) -> Agent:
    """Kalman filter and LQR, tuned over Q and its diagonal, each R and rho for the very noise at hand."""
    tuned = tune_lqg(task)
    card = Card("tuned on the noise told", f"Q, diag Q, R, ρ: {tuned.budget()}", calibrated=False)
    return Agent(*lqg_loop(task, tuned.values), (task.low, task.high), card)


def lqg_integral(task: Task) -> Agent:
    """Tuned LQG with integral action: a random-walk disturbance is estimated and cancelled, its rate tuned too."""
    tuned = tune_lqg(task, integral=True)
    card = Card("tuned on the noise told", f"Q, diag Q, R, ρ, disturbance rate: {tuned.budget()}", calibrated=False)
    return Agent(*lqg_loop(task, tuned.values), (task.low, task.high), card)


def pid(task: Task) -> Agent:
    """PID on the sensors, gains and derivative filter tuned for the very noise at hand."""
    tuned = _tune_pid(task)
    card = Card("tuned on the noise told", f"gains, τ: {tuned.budget()}")
    return Agent(Readings(task.linear), pid_loop(task, tuned.values), (task.low, task.high), card)
