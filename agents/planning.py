"""Agents for a task whose model is nonlinear: a filter on the model, and plans through it."""

from __future__ import annotations

from pcctrl.agents.agent import Agent, Card
from pcctrl.controllers import LQR, RecedingHorizon
from pcctrl.filters import ExtendedKalmanFilter, KalmanFilter, NonlinearPCFilter
from pcctrl.models import LinearModel, Task

__all__ = ["aif", "ilqr", "linearised", "lqg"]

# Each further order costs a state a noise, and buys less.
_ORDER = 4


def planner(task: Task, order: int | None) -> RecedingHorizon:
    """Return a receding horizon for ``task`` that reads the generalised coordinates of ``order``, or none."""
    return RecedingHorizon(
        task.model,
        task.state_weight,
        task.action_weight,
        horizon=task.horizon,
        iterations=3,
        limits=(task.low, task.high),
        order=order,
    )


def aif(task: Task) -> Agent:
    """Predictive-coding filter in generalised coordinates on the nonlinear model, planning by expected free energy."""
    # One Gauss-Newton step: with sensors of positions more of them add nothing (`pcctrl bench pendulum`).
    filter_ = NonlinearPCFilter(task.model, _ORDER, iterations=1, outlier_threshold=12.0)
    return Agent(filter_, planner(task, _ORDER), (task.low, task.high), Card("noise told, with its colour"))


def ilqr(task: Task) -> Agent:
    """Extended Kalman filter and iterated linear-quadratic planning, told every variance and that noise is white."""
    card = Card("noise variances told, taken for white")
    return Agent(ExtendedKalmanFilter(task.model), planner(task, None), (task.low, task.high), card)


def linearised(task: Task) -> Task:
    """Return the task with its model linearised at the operating point, all noise white.

    Raises:
        ModelError: the derivatives there are not finite.
    """
    model = task.model
    x, u, y = model.start
    F, B, G, C, D, _ = model.jacobians(x, u)
    linear = LinearModel.from_discrete(
        F,
        B,
        C,
        D,
        dt=model.dt,
        noise_input=G,
        process_noise=[w.whitened(model.dt, sensor=False) for w in model.process_noise],
        sensor_noise=[z.whitened(model.dt, sensor=True) for z in model.sensor_noise],
        prior=model.prior,
        operating_point=(x, u, y),
        states=model.states,
        inputs=model.inputs,
        sensors=model.sensors,
    )
    return Task(linear, task.state_weight, task.action_weight, task.low, task.high, task.horizon)


def lqg(task: Task) -> Agent:
    """Kalman filter and LQR of the linearisation at the operating point, told every variance, noise taken for white."""
    near = linearised(task)
    limits = (task.low, task.high)
    controller = LQR(near.linear, near.state_weight, near.action_weight, limits)
    card = Card("noise variances told, taken for white; linearised once")
    return Agent(KalmanFilter(near.linear), controller, limits, card)
