from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from plants import smooth_msd

from pcctrl.agents import Agent
from pcctrl.controllers import LQR, ExpectedFreeEnergy
from pcctrl.errors import ParameterError
from pcctrl.evaluation import closed_loop_cost, fold, simulate
from pcctrl.filters import KalmanFilter, PCFilter
from pcctrl.models import Task

W, RHO, LIMIT = np.diag([1.0, 0.0]), np.eye(1) * 0.01, np.array([20.0])


@pytest.fixture(scope="module")
def task() -> Task:
    return Task(smooth_msd(2.0, 1e-3), W, RHO, -LIMIT, LIMIT)


def aif(task: Task) -> Agent:
    return Agent(PCFilter(task.linear), ExpectedFreeEnergy(task.linear, W, RHO), (-LIMIT, LIMIT))


def test_mean_cost_is_the_exact_one(task: Task) -> None:
    truth = task.linear.joint(8)
    episodes = simulate(truth, aif(task), task, steps=600, batch=200, seed=0, settle=100)
    want = closed_loop_cost(truth, fold(PCFilter(task.linear), ExpectedFreeEnergy(task.linear, W, RHO).gain), W, RHO)
    error = episodes.cost.std() / np.sqrt(200)
    assert abs(episodes.cost.mean() - want) < 4.5 * error
    # Negative control: the same seeds tell it from a loop that is 7 % worse.
    lqg = Agent(KalmanFilter(task.linear), LQR(task.linear, W, RHO), (-LIMIT, LIMIT))
    other = simulate(truth, lqg, task, steps=600, batch=200, seed=0, settle=100)
    assert abs(other.cost.mean() - want) > 4.5 * error


def test_the_noise_is_the_same_whatever_the_policy_reads_and_is_pushed(task: Task) -> None:
    truth, readings = task.linear.joint(4), []

    class Still:
        """Does nothing and notes what it reads."""

        def init(self, batch: tuple[int, ...] = ()) -> Any:
            return batch

        def step(self, state: Any, obs: Any) -> Any:
            seen.append(obs)
            return state, np.zeros((*state, 1)), None, None

    def draw(_: int, value: Any, rng: np.random.Generator) -> Any:
        rng.standard_normal(3)
        return value

    for hook in ({}, {"spoil": draw}, {"push": draw}):
        seen: list[Any] = []
        simulate(truth, Still(), task, steps=5, batch=3, seed=1, **hook)  # type: ignore[arg-type]
        readings.append(np.array(seen))
    np.testing.assert_array_equal(readings[0], readings[1])
    np.testing.assert_array_equal(readings[0], readings[2])
    assert readings[0].std() > 0.01


def test_noise_is_stationary_from_the_start_beside_a_random_walk(task: Task) -> None:
    truth, first = replace(task.linear, disturbance=0.1).joint(4), []

    def note(k: int, y: Any, _: np.random.Generator) -> Any:
        if k == 0:
            first.append(y)
        return y

    simulate(truth, aif(task), task, steps=2, batch=2000, seed=0, spoil=note)
    assert abs(first[0].var() / (0.1**2 * 1.001) - 1.0) < 4.5 * np.sqrt(2.0 / 2000)


def test_a_push_is_seen_and_an_episode_lost_is_told(task: Task) -> None:
    def push(k: int, x: Any, _: np.random.Generator) -> Any:
        return x + np.array([5.0, 0.0]) * (k == 50)

    episodes = simulate(task.linear.joint(4), aif(task), task, steps=100, batch=4, seed=0, push=push)
    assert episodes.lost(np.array([3.0, np.inf])).all()
    assert not episodes.lost(np.array([50.0, np.inf])).any()


def test_bad_arguments_are_named(task: Task) -> None:
    for name, values in (("steps", {"steps": 0}), ("batch", {"batch": 0}), ("steps - settle", {"settle": 9})):
        with pytest.raises(ParameterError) as caught:
            simulate(task.linear.joint(4), aif(task), task, **{"steps": 9, "batch": 2, "seed": 0, **values})  # type: ignore[arg-type]
        assert caught.value.name == name
