from __future__ import annotations

import pickle
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from plants import smooth_cart_pole

import pcctrl.envs  # noqa: F401
from pcctrl import agents
from pcctrl.agents import Agent, Card
from pcctrl.controllers import LQR, ControlInfo, ExpectedFreeEnergy
from pcctrl.errors import ModelError, ShapeError, UnknownNameError
from pcctrl.evaluation import closed_loop_cost, fold
from pcctrl.filters import KalmanFilter, PCFilter, Status
from pcctrl.models import Task
from pcctrl.tuning import tune_lqg
from pcctrl.tuning.loops import TRUTH_ORDER

WEIGHT, RHO, LIMIT = np.diag([1.0, 0.0, 10.0, 0.0]), np.eye(1) * 0.01, np.array([20.0])


@pytest.fixture(scope="module")
def task() -> Task:
    return Task(smooth_cart_pole(2.0), WEIGHT, RHO, -LIMIT, LIMIT)


@pytest.mark.parametrize("name", ["aif", "lqg"])
def test_agent_acts_within_limits_on_any_data(name: str, task: Task) -> None:
    agent = agents.make(name, task)
    assert agent.info is None
    rng = np.random.default_rng(0)
    for k in range(600):
        y = rng.standard_normal(2) * 10.0 ** rng.integers(-3, 6)
        y[rng.random(2) < 0.4] = rng.choice([np.nan, np.inf, -np.inf, 1e300])
        u = agent.act(np.full(2, np.nan) if 200 < k < 300 else y)
        assert np.isfinite(u).all()
        assert (np.abs(u) <= 20.0).all()
        if k == 250:
            assert agent.status == Status.BLIND


def test_filter_sees_the_action_that_was_applied(task: Task) -> None:
    agent = agents.make("aif", task)
    agent.act([5.0, 0.4])
    before, (applied,) = agent.belief, agent.state.action  # type: ignore[misc]
    assert abs(applied) == 20.0
    agent.act([np.nan, np.nan])
    want = agent.filter.predict(before, [applied])  # type: ignore[attr-defined]
    np.testing.assert_array_equal(agent.belief.mean, want.mean)


def test_step_is_pure_and_act_keeps_its_state(task: Task) -> None:
    agent = agents.make("aif", task)
    rng = np.random.default_rng(1)
    state = agent.init()
    for y in 0.01 * rng.standard_normal((20, 2)):
        first = agent.step(state, y)
        second = agent.step(state, y)
        np.testing.assert_array_equal(first[1], second[1])
        np.testing.assert_array_equal(first[1], agent.act(y))
        state = first[0]
    agent.reset(seed=3)
    assert agent.state.action is None


def test_a_batch_acts_as_its_members(task: Task) -> None:
    agent = agents.make("aif", task)
    y = 0.01 * np.random.default_rng(1).standard_normal((15, 3, 2))
    y[4, 1, 0] = np.nan
    together = agent.init((3,))
    alone = [agent.init() for _ in range(3)]
    for sample in y:
        together, u, *_ = agent.step(together, sample)
        for i in range(3):
            alone[i], u_i, *_ = agent.step(alone[i], sample[i])
            np.testing.assert_allclose(u[i], u_i, atol=1e-9)


def test_a_controller_that_breaks_is_replaced_by_the_last_action_then_rest(task: Task) -> None:
    class Breaking:
        def init(self, batch: tuple[int, ...] = ()) -> int:  # noqa: ARG002
            return 0

        def act(self, state: int, belief: Any, goal: Any = None) -> tuple[int, Any, ControlInfo]:  # noqa: ARG002
            u = np.array([3.0]) if state < 2 else np.array([np.nan])
            return state + 1, u, ControlInfo(u, 0.0 * u)

    agent = Agent(KalmanFilter(task.model), Breaking(), (-20.0, 20.0), Card("-"))
    actions = [float(agent.act([0.0, 0.0])[0]) for _ in range(5)]
    assert actions == [3.0, 3.0, 3.0, 0.0, 0.0]


def test_agents_survive_pickling(task: Task) -> None:
    agent = agents.make("aif", task)
    copy = pickle.loads(pickle.dumps(agent))
    for y in 0.01 * np.random.default_rng(1).standard_normal((20, 2)):
        np.testing.assert_allclose(copy.act(y), agent.act(y), atol=1e-12)


def test_tuned_lqg_is_better_than_untuned_and_says_its_budget(task: Task) -> None:
    truth = task.model.joint(TRUTH_ORDER)
    untuned = closed_loop_cost(truth, fold(KalmanFilter(task.model), LQR(task.model, WEIGHT, RHO).gain), WEIGHT, RHO)
    tuned = tune_lqg(task, starts=6, evaluations=300)
    assert tuned.cost <= min(tuned.costs) < 0.7 * untuned
    # The active-inference agent, which was told the colour, is cheaper still; the optimum cheaper than both.
    efe = ExpectedFreeEnergy(task.model, WEIGHT, RHO)
    assert closed_loop_cost(truth, fold(PCFilter(task.model), efe.gain), WEIGHT, RHO) < 0.97 * tuned.cost
    assert tuned.budget().startswith("6 starts, ")
    assert tuned.evaluations <= 7 * 301


def test_unknown_names_and_environments_without_a_task() -> None:
    with pytest.raises(UnknownNameError, match="aif, lqg, lqg-tuned, pid"):
        agents.make("lgq", gym.make("pcctrl/CartPole-v0"))
    with pytest.raises(ModelError, match="env"):
        agents.make("aif", gym.make("Pendulum-v1"))


def test_a_controller_for_another_filter_is_refused(task: Task) -> None:
    efe = ExpectedFreeEnergy(task.model, WEIGHT, RHO)
    with pytest.raises(ShapeError, match="belief"):
        Agent(PCFilter(task.model, order=2), efe, (-20, 20), Card("-"))
    # LQR reads the physical states alone, so any filter of the plant will do.
    Agent(PCFilter(task.model, order=2), LQR(task.model, WEIGHT, RHO), (-20, 20), Card("-"))
