from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from plants import smooth_cart_pole, smooth_msd

from pcctrl.agents import Agent
from pcctrl.errors import ModelError
from pcctrl.evaluation import Push, closed_loop_cost, fold, fold_reflex
from pcctrl.models import Task
from pcctrl.tuning import aif_loop, lqg_loop, reflex_loop, tune_aif, tune_lqg, tune_reflex

W, RHO, LIMIT = np.diag([1.0, 0.0, 10.0, 0.0]), np.eye(1) * 0.01, np.array([20.0])


@pytest.fixture(scope="module")
def task() -> Task:
    return Task(smooth_cart_pole(2.0), W, RHO, -LIMIT, LIMIT)


def test_tuned_values_are_a_minimum(task: Task) -> None:
    truth = task.linear.joint(8)
    rng = np.random.default_rng(0)

    def reflex(values: np.ndarray) -> float:
        return closed_loop_cost(truth, fold_reflex(*reflex_loop(task, values)), W, RHO)

    tuned = tune_reflex(task, starts=3, evaluations=100)
    assert tuned.cost == pytest.approx(reflex(tuned.values), rel=1e-9)
    assert all(reflex(tuned.values + d) > tuned.cost for d in 0.3 * rng.standard_normal((20, 2)))

    push = Push(3.0, 300)

    def aif(values: np.ndarray) -> float:
        filter_, efe = aif_loop(task, values)
        return closed_loop_cost(truth, fold(filter_, efe.gain), W, RHO, push)

    tuned = tune_aif(task, push, starts=2, evaluations=80)
    assert tuned.cost == pytest.approx(aif(tuned.values), rel=1e-9)
    assert all(aif(tuned.values + d) > tuned.cost for d in rng.standard_normal((20, 2)))


def test_the_cost_of_a_push_is_that_of_a_loop_run_step_by_step() -> None:
    """Independent of doubling and of folding: the agent itself on the noise-free plant."""
    task = Task(smooth_msd(2.0, 1e-3), np.diag([1.0, 0.0]), RHO, -LIMIT, LIMIT)
    truth, steps = task.linear.joint(8), 77
    for filter_, law in (aif_loop(task, np.array([-2.0, 0.1])), lqg_loop(task, np.array([0.0, -3, -3, 0, 0, -2]))):
        agent, x, cost = Agent(filter_, law, (-LIMIT, LIMIT)), np.zeros(truth.size), 0.0
        # The belief is right until the push comes.
        start = filter_.init()
        state = agent.init()._replace(belief=type(start)(start.mean, filter_.steady_prior, start.input, start.plant))
        for _ in range(steps):
            state, u, *_ = agent.step(state, truth.C @ x)
            cost += x[0] ** 2 + 0.01 * u[0] ** 2
            x = truth.F @ x + truth.B @ (u + 1.5)
        args = (truth, fold(filter_, law.gain), task.state_weight, RHO)
        added = closed_loop_cost(*args, Push(1.5, steps)) - closed_loop_cost(*args)
        assert added == pytest.approx(cost / steps, rel=1e-7)


def test_a_scalar_q_has_no_diagonal(task: Task) -> None:
    scalar = tune_lqg(task, diagonal=False, starts=1, evaluations=50)
    kalman, _ = lqg_loop(task, scalar.values)
    assert (np.asarray(kalman.state_noise) < 1e-12).all()


def test_a_plant_of_several_inputs_has_no_flat_output_to_tune() -> None:
    model = replace(smooth_msd(), B=np.eye(2), D=None, operating_point=None, inputs=None)
    limits = np.full(2, 5.0)
    with pytest.raises(ModelError, match="one input"):
        tune_reflex(Task(model, np.eye(2), np.eye(2), -limits, limits))
