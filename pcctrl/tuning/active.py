"""Tuning of the active-inference loops, which are told the noise: a rate or two are all there is to tune."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pcctrl.arrays import Array
from pcctrl.controllers import PID, ExpectedFreeEnergy, ReflexArc
from pcctrl.errors import ModelError
from pcctrl.evaluation.exact import Push, closed_loop, fold, fold_pid, fold_reflex
from pcctrl.filters import PCFilter
from pcctrl.linalg import stationary_covariance
from pcctrl.models import Task
from pcctrl.tuning.loops import graded_cost, truth_of
from pcctrl.tuning.search import Tuned, scattered, search

__all__ = ["aif_loop", "pid_error_std", "reflex_loop", "tune_aif", "tune_reflex"]

# Of the presets. Chains that end at an odd order lose less of a loop's cost: at 5 it is within 3 % of the optimum in
# every colour, at 4 within 4 %, and at 6 not better than at 5 where only the disturbance is smooth.
ORDER = 5


def reflex_loop(task: Task, values: Array, order: int = ORDER) -> tuple[PCFilter, ReflexArc]:
    """Return the filter, told the noise, and the arc on the flat output with ``values`` ln τ and ln κ_a."""
    tau, rate = np.exp(np.clip(values, -20.0, 20.0))
    arc = ReflexArc(task.linear, float(tau), float(rate), (task.low, task.high), order=order)
    return PCFilter(task.linear, order), arc


def aif_loop(task: Task, values: Array, order: int = ORDER) -> tuple[PCFilter, ExpectedFreeEnergy]:
    """Return the preset ``aif`` that cancels a disturbance: ``values`` are ln of its rate, and of a factor on ρ.

    The rate is in the input's unit per √s.
    """
    rate, factor = np.exp(np.clip(values, -50.0, 50.0))
    model = replace(task.linear, disturbance=float(rate))
    limits, rho = (task.low, task.high), task.action_weight * float(factor)
    return PCFilter(model, order), ExpectedFreeEnergy(model, task.state_weight, rho, order, limits, offset_free=True)


def tune_aif(task: Task, push: Push, *, starts: int = 6, evaluations: int = 200, seed: int = 0) -> Tuned:
    """Tune what `aif_loop` is not told of a disturbance: its rate, and how dear it makes action.

    Args:
        task: the task.
        push: the constant disturbance that the cost includes.
        starts: log-normal about a rate of e⁻² and the task's own ρ (standard deviation 2).
        evaluations: at most so many from each start (Nelder-Mead), and so many again from the best.
        seed: of the starts.

    Raises:
        ModelError: no start leads to a stable loop.
        ParameterError: no starts or evaluations.
    """
    truth = truth_of(task)

    def cost(values: Array) -> float:
        filter_, efe = aif_loop(task, values)
        return graded_cost(truth, fold(filter_, efe.gain), task, push)

    return search(cost, scattered(np.array([-2.0, 0.0]), starts, seed), evaluations)


def tune_reflex(task: Task, *, starts: int = 6, evaluations: int = 200, seed: int = 0) -> Tuned:
    """Tune the time constant and the rate of a reflex arc for the noise of ``task``, which its filter is told.

    Args:
        task: the task, with one input.
        starts: log-normal about an attractor of ten samples and a rate of one a sample (standard deviation 2).
        evaluations: at most so many from each start (Nelder-Mead), and so many again from the best.
        seed: of the starts.

    Raises:
        ModelError: no start leads to a stable loop, or the plant has no flat output.
        ParameterError: no starts or evaluations.
    """
    truth, dt = truth_of(task), task.linear.dt
    if len(task.low) != 1:
        raise ModelError(name="task", expected="one input, for a reflex arc on the flat output", received=len(task.low))
    centre = np.log([10.0 * dt, 1.0 / dt])
    reflex_loop(task, centre)  # a plant without a flat output is told here, not as a failed search

    def cost(values: Array) -> float:
        return graded_cost(truth, fold_reflex(*reflex_loop(task, values)), task)

    return search(cost, scattered(centre, starts, seed), evaluations)


def pid_error_std(task: Task, pid: PID) -> Array:
    """Return the standard deviations (3, m) of e, ė and ë in the stationary loop of ``pid``, exactly.

    Args:
        task: with the noise that the loop really has.
        pid: that stabilises it.

    Raises:
        ModelError: the loop is not stable.
    """
    truth = truth_of(task)
    F, Q = closed_loop(truth, fold_pid(pid))
    P = stationary_covariance(F, Q)
    m = len(truth.R)
    # The compensator's state ends with the filtered derivative and the last reading.
    derivative = np.diagonal(P)[-2 * m : -m]
    turn = 2.0 * (derivative - np.diagonal(F @ P)[-2 * m : -m])
    return np.sqrt(np.stack([np.diagonal(P)[-m:], derivative, np.maximum(turn, 1e-12 * derivative) / pid.dt**2]))
