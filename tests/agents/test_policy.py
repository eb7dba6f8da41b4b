"""An agent as a policy for rollouts: `predict`, and the memories of its parts in a batch."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from plants import smooth_cart_pole, smooth_msd

import pcctrl.envs  # noqa: F401
from pcctrl import agents
from pcctrl.agents import Agent
from pcctrl.controllers import LQR, PID, ActiveInferencePID, ControlInfo, Controller, ReflexArc
from pcctrl.filters import Belief, GeneralisedFilter, KalmanFilter, Readings
from pcctrl.models import Task

WEIGHT, RHO, LIMIT = np.diag([1.0, 0.0, 10.0, 0.0]), np.eye(1) * 0.01, np.array([20.0])


@pytest.fixture(scope="module")
def task() -> Task:
    return Task(smooth_cart_pole(2.0), WEIGHT, RHO, -LIMIT, LIMIT)


def test_predict_resets_the_classical_filter_too() -> None:
    model = smooth_msd()
    agent = Agent(GeneralisedFilter(model, order=2), LQR(model, [1.0, 0.0], RHO))
    y = 0.1 * np.random.default_rng(0).standard_normal((5, 2, 1))
    state = None
    for k in range(5):
        action, state = agent.predict(y[k], state, np.array([k == 0, k in (0, 3)]))
    _, alone = agent.predict(y[3, 1])
    np.testing.assert_allclose(action[1], agent.predict(y[4, 1], alone)[0], atol=1e-12)


def test_predict_is_a_policy_with_its_state_as_a_value(task: Task) -> None:
    """Stable-Baselines3's loop: vectorised, each environment reset in its own time."""
    agent = agents.make("aif", task)
    y = 0.01 * np.random.default_rng(1).standard_normal((12, 3, 2))
    starts = np.zeros((12, 3), dtype=bool)
    starts[0] = True
    starts[5, 1] = True
    state = None
    alone: list[Any] = [None] * 3
    for sample, start in zip(y, starts, strict=True):
        action, state = agent.predict(sample, state, start, deterministic=True)
        for i in range(3):
            want, alone[i] = agent.predict(sample[i], None if start[i] else alone[i])
            np.testing.assert_allclose(action[i], want, atol=1e-9)
    before = pickle.dumps(state)
    agent.predict(y[0], state)
    assert pickle.dumps(state) == before


def _controllers(task: Task) -> dict[str, Controller]:
    pid = PID([[5.0, 40.0]], [[1.0, 0.0]], [[2.0, 5.0]], 0.02, limits=(-20.0, 20.0))
    return {
        "pid": pid,
        "precision pid": ActiveInferencePID(pid, np.ones((3, 2))),
        "reflex": ReflexArc(task.linear, 0.3, 50.0, (-20.0, 20.0), form="biased"),
    }


@pytest.mark.parametrize("name", ["pid", "precision pid", "reflex"])
def test_one_member_of_a_batch_that_fails_keeps_its_memory_and_no_other(name: str, task: Task) -> None:
    class Failing:
        """Says NaN for the first member at the second sample."""

        def __init__(self, inner: Controller) -> None:
            self.inner, self.limits = inner, (-20.0, 20.0)

        def init(self, batch: tuple[int, ...] = ()) -> Any:
            return self.inner.init(batch)

        def act(self, state: Any, belief: Belief, goal: Any = None) -> tuple[Any, np.ndarray, ControlInfo]:
            memory, u, info = self.inner.act(state, belief, goal)
            return memory, np.where(belief.state[..., :1] > 50.0, np.nan, u), info

    inner = _controllers(task)[name]
    filter_ = Readings(task.linear) if "pid" in name else KalmanFilter(task.linear)
    agent = Agent(filter_, Failing(inner))
    y = 0.01 * np.random.default_rng(0).standard_normal((2, 3, 2))
    y[1, 0, 0] = 1e6
    first, *_ = agent.step(agent.init((3,)), y[0])
    second, action, *_ = agent.step(first, y[1])
    assert np.isfinite(action).all()
    for i, kept in enumerate((True, False, False)):
        for before, after in zip(first.controller, second.controller, strict=True):
            same = np.array_equal(before[i], after[i])
            assert same if kept else True
        alone = agent.step(agent.step(agent.init(), y[0, i])[0], y[1, i])[0]
        for mine, batch in zip(alone.controller, second.controller, strict=True):
            np.testing.assert_allclose(batch[i], mine, atol=1e-12)


def test_each_member_of_a_batch_holds_its_own_last_action_once(task: Task) -> None:
    class Failing:
        """Wants 2, but for NaN of the members that are told to fail."""

        limits, fails = (-20.0, 20.0), np.zeros(2, dtype=bool)

        def init(self, _: tuple[int, ...] = ()) -> None:
            return None

        def act(self, state: None, belief: Belief, _: Any = None) -> tuple[None, np.ndarray, ControlInfo]:
            u = np.full((*belief.mean.shape[:-1], 1), 2.0)
            if belief.mean.ndim > 1:
                u[self.fails] = np.nan
            return state, u, ControlInfo(u, u)

    law = Failing()
    agent = Agent(KalmanFilter(task.linear), law)
    state, found = agent.init((2,)), []
    for fails in ((False, False), (True, False), (True, True), (False, True), (False, False)):
        law.fails = np.array(fails)
        state, action, *_ = agent.step(state, np.zeros((2, 2)))
        found.append(action[:, 0].tolist())
    assert found == [[2.0, 2.0], [2.0, 2.0], [0.0, 2.0], [2.0, 0.0], [2.0, 2.0]]
    # Who begins anew has failed one decision, not two.
    law.fails = np.array([True, True])
    _, state = agent.predict(np.zeros((2, 2)), state)
    _, state = agent.predict(np.zeros((2, 2)), state, np.array([True, False]))
    assert np.asarray(state.faults).tolist() == [1, 2]


@pytest.mark.parametrize("name", ["pid", "precision pid", "reflex"])
def test_predict_resets_a_controller_with_a_memory(name: str, task: Task) -> None:
    filter_ = Readings(task.linear) if "pid" in name else KalmanFilter(task.linear)
    agent = Agent(filter_, _controllers(task)[name])
    y = 0.01 * np.random.default_rng(1).standard_normal((6, 2, 2))
    state = None
    for k in range(6):
        action, state = agent.predict(y[k], state, np.array([k == 0, k in (0, 4)]))
    one = agent.predict(y[4, 1])
    np.testing.assert_allclose(action[1], agent.predict(y[5, 1], one[1])[0], atol=1e-12)
