"""Agents for a task whose model is nonlinear: a filter on the model, and plans through it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from pcctrl.agents.agent import Agent, Card
from pcctrl.arrays import Array
from pcctrl.controllers import LQR, BeliefHorizon, Excitation, RecedingHorizon, SamplingHorizon
from pcctrl.errors import ModelError
from pcctrl.filters import ExtendedKalmanFilter, KalmanFilter, NonlinearPCFilter
from pcctrl.models import Delayed, GenerativeModel, LinearModel, MujocoModel, Task
from pcctrl.models.mujoco import with_native_derivatives
from pcctrl.noise import Smooth

__all__ = ["aif", "excite", "ilqr", "linear_near", "linearised", "lqg", "mppi"]

# Each further order costs a state a noise, and buys less.
_ORDER = 4
# Part of the limits that a plan keeps for what it does not foresee.
_RESERVE = 0.2
# Precision of the goal at the end of a plan over beliefs, as a multiple of that on the way, if the task says none.
_END = 5.0
# Iterations of each decision on another start: a plan stays in a minimum after another has become better.
_RETRIES = 4
# Root of the factor by which the cost of each sample counts less than the last one's, where costs must fade.
_FADE = 1.0 - 1e-6
# A mode that grows by more than this in a sample will not wait.
_UNSTABLE = 1.01
# Samples that a sampled plan looks ahead at most, and over which its moves are smooth (`pcctrl bench swingup`).
_SAMPLED, _SMOOTH = 15, 3.0


def _planned(model: GenerativeModel) -> GenerativeModel:
    """Return the model to plan with: MuJoCo's in steps that it differentiates itself, which are quicker too."""
    if isinstance(model, MujocoModel):
        return with_native_derivatives(model)
    if isinstance(model, Delayed) and isinstance(model.model, MujocoModel):
        return replace(model, model=with_native_derivatives(model.model))
    return model


def planner(task: Task, order: int | None) -> RecedingHorizon:
    """Return a receding horizon for ``task`` that reads the generalised coordinates of ``order``, or none."""
    return RecedingHorizon(
        _planned(task.model),
        task.state_weight,
        task.action_weight,
        horizon=task.horizon,
        iterations=3,
        limits=(task.low, task.high),
        order=order,
        reserve=_RESERVE,
        terminal_precision=_terminal(task),
    )


def _terminal(task: Task) -> Array | None:
    return None if task.end_weight is None else task.end_weight * task.state_weight


def _coding(task: Task) -> NonlinearPCFilter:
    # One Gauss-Newton step: with sensors of positions more of them add nothing (`pcctrl bench pendulum`).
    return NonlinearPCFilter(task.model, _ORDER, iterations=1, outlier_threshold=12.0)


def aif(task: Task) -> Agent:
    """Predictive-coding filter in generalised coordinates on the nonlinear model, planning by expected free energy.

    Over beliefs where the sensors' precision depends on the state.
    """
    card = Card("noise told, with its colour")
    if getattr(task.model, "sensor_scale", None) is None:
        return Agent(_coding(task), planner(task, _ORDER), (task.low, task.high), card)
    # Where sensors see differently well from place to place, a plan is worth what it lets them see.
    controller = BeliefHorizon(
        task.model,
        task.state_weight,
        task.action_weight,
        horizon=task.horizon,
        terminal_precision=(_END if task.end_weight is None else task.end_weight) * task.state_weight,
        retries=_RETRIES,
        limits=(task.low, task.high),
    )
    return Agent(NonlinearPCFilter(task.model, None, iterations=1), controller, (task.low, task.high), card)


def ilqr(task: Task) -> Agent:
    """Extended Kalman filter and iterated linear-quadratic planning, told every variance and that noise is white."""
    card = Card("noise variances told, taken for white")
    return Agent(ExtendedKalmanFilter(task.model), planner(task, None), (task.low, task.high), card)


def linear_near(model: GenerativeModel, state: ArrayLike | None = None) -> LinearModel:
    """Return a model linearised about a state, all noise white, and its delays.

    Args:
        model: any.
        state: (n,) with the input at the start; the operating point by default, of which alone the prior is known.

    Raises:
        ModelError: the derivatives there are not finite.
    """
    x, u, y = model.start
    prior = model.prior
    if state is not None:
        x, prior = np.asarray(state, dtype=np.float64), None
        y = model.readout(x, u)
    F, B, G, C, D, _ = model.jacobians(x, u)
    delay = model.delay if isinstance(model, Delayed) else None
    return LinearModel.from_discrete(
        F,
        B,
        C,
        # What is late reads no input, but for rounding.
        D if delay is None else np.where(np.asarray(delay)[:, None] > 0.0, 0.0, D),
        dt=model.dt,
        noise_input=G,
        process_noise=[w.whitened(model.dt, sensor=False) for w in model.process_noise],
        sensor_noise=[z.whitened(model.dt, sensor=True) for z in model.sensor_noise],
        prior=prior,
        operating_point=(x, u, y),
        states=model.states,
        inputs=model.inputs,
        sensors=model.sensors,
        delay=delay,
    )


def linearised(task: Task) -> Task:
    """Return the task with its model linearised at the operating point: see `linear_near`.

    Raises:
        ModelError: the derivatives there are not finite.
    """
    return replace(task, model=linear_near(task.model))


def lqg(task: Task) -> Agent:
    """Kalman filter and LQR of the linearisation at the operating point, told every variance, noise taken for white."""
    linear, limits = linearised(task).linear, (task.low, task.high)
    try:
        controller = LQR(linear, task.state_weight, task.action_weight, limits)
    except ModelError:
        # What no input moves and stays where it is, such as a target, is a goal to follow once costs fade.
        faded = replace(linear, A=_FADE * linear.A, B=_FADE * linear.B)
        try:
            controller = LQR(faded, task.state_weight, task.action_weight, limits)
        except ModelError as error:
            expected = "states that inputs can bring to rest or that stay where they are; else aif, ilqr or mppi"
            raise ModelError(name="task", expected=expected, received=error.received) from None
    card = Card("noise variances told, taken for white; linearised once")
    return Agent(KalmanFilter(linear), controller, limits, card)


def mppi(task: Task) -> Agent:
    """Predictive-coding filter, planning by samples: model predictive path integral control on expected free energy."""
    # Sampled plans are open loops, which an unstable plant does not forgive for long: about a feedback, if there.
    horizon, (x, u, _) = min(task.horizon, _SAMPLED), task.model.start
    F = task.model.transition_jacobians(x, u)[0]
    unstable = bool(np.isfinite(F).all() and np.abs(np.linalg.eigvals(F)).max() > _UNSTABLE)
    reach = 0.25 * (np.asarray(task.high) - np.asarray(task.low))
    sampler = SamplingHorizon(
        _planned(task.model),
        task.state_weight,
        task.action_weight,
        [Smooth(std, _SMOOTH * task.model.dt) for std in reach],
        horizon=horizon,
        limits=(task.low, task.high),
        order=_ORDER,
        feedback=unstable,
        terminal_precision=_terminal(task),
    )
    card = Card("noise told, with its colour")
    return Agent(_coding(task), sampler, (task.low, task.high), card)


def excite(task: Task) -> Agent:
    """No control: inputs shake every actuator, to record a log (log.csv of pcctrl run) for pcctrl estimate."""
    limits = (task.low, task.high)
    controller = Excitation(task.model.start[1], task.model.dt, limits)
    return Agent(ExtendedKalmanFilter(task.model), controller, limits, Card("noise variances told, taken for white"))
