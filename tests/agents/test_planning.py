from __future__ import annotations

from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import scipy.linalg

from pcctrl import agents
from pcctrl.agents.planning import linearised
from pcctrl.arrays import Array
from pcctrl.envs import LIGHT_DARK, CartPoleEnv, NoiseOptions, plant_of, simulated
from pcctrl.envs.light_dark import BEACON
from pcctrl.errors import ModelError, ParameterError
from pcctrl.evaluation import rollout
from pcctrl.filters import Belief, KalmanFilter
from pcctrl.models import Delayed


def sensed(env_id: str, steps: int = 100, **noise: object) -> gym.Env[Any, Any]:
    return NoiseOptions(**noise).make(env_id, simulated(env_id), max_episode_steps=steps)  # type: ignore[arg-type]


def test_the_reacher_reaches_from_noisy_angles() -> None:
    env = sensed("Reacher-v5", 60, process_std=(2.0, 2.0))
    episode = rollout(env, agents.make("aif", env), steps=60, seed=1)
    _, info = env.reset(seed=1)
    start, end = (np.abs(episode.state[k, :2] - info["goal"][:2]).max() for k in (0, -1))
    assert start > 0.3
    assert end < 0.1 * start
    # The estimate is better than the sensors, of 0.01 rad.
    error = episode.estimate[10:, :2] - episode.state[10:, :2]
    assert np.sqrt(np.mean(error**2)) < 0.01


def test_all_balance_a_pole_and_one_that_does_nothing_does_not() -> None:
    env = sensed("InvertedPendulum-v5", 60)
    for name in ("aif", "ilqr", "lqg"):
        assert not rollout(env, agents.make(name, env), steps=60, seed=0).failed, name
    idle = agents.make("lqg", env)
    idle.act = lambda obs, goal=None: np.zeros(1)  # type: ignore[method-assign]  # noqa: ARG005
    assert rollout(env, idle, steps=60, seed=0).failed


def test_a_late_sensor_is_told_and_that_pays() -> None:
    env = sensed("Reacher-v5", 40, delay=0.04)
    truth = agents.task_of(env).model
    assert isinstance(truth, Delayed)
    assert truth.lags == (2,) * len(truth.sensors or ())
    agent, ignorant = agents.make("aif", env), agents.make("aif", sensed("Reacher-v5", 40))
    episodes = [rollout(env, policy, steps=40, seed=0) for policy in (agent, ignorant)]
    errors = [float(np.abs(e.estimate - e.state)[5:, :2].mean()) for e in episodes]
    assert errors[0] < 0.5 * errors[1]
    # The linearisation keeps it.
    assert linearised(agents.task_of(env)).linear.joint(0).lags == truth.lags
    pole = sensed("InvertedPendulum-v5", delay=0.04)
    kalman = agents.make("lqg", pole).filter
    assert isinstance(kalman, KalmanFilter)
    assert kalman.joint.lags == (1, 1)


def test_what_is_missed_at_the_end_costs_what_the_task_says() -> None:
    tasks = [agents.task_of(sensed("InvertedPendulum-v5")), agents.task_of(gym.make(LIGHT_DARK))]
    for task in tasks:
        for name in ("aif", "ilqr", "mppi"):
            agent = agents.make(name, replace(task, end_weight=3.0))
            np.testing.assert_array_equal(agent.controller.terminal_precision, 3.0 * task.state_weight)  # type: ignore[attr-defined]
    # By default it is what holding costs, which each plan works out; over beliefs it is not known.
    assert [agents.make("aif", task).controller.terminal_precision is None for task in tasks] == [True, False]  # type: ignore[attr-defined]
    with pytest.raises(ParameterError, match="end_weight"):
        replace(tasks[0], end_weight=0.0)


def test_the_linearisation_is_the_model_nearby() -> None:
    task = replace(agents.task_of(sensed("InvertedDoublePendulum-v5", colour="white")), end_weight=2.0)
    assert linearised(task).end_weight == 2.0
    near = linearised(task).linear.joint(0)
    rng = np.random.default_rng(0)
    x, u = 1e-5 * rng.standard_normal(6), 1e-5 * rng.standard_normal(1)
    # Gymnasium's gravity is not quite vertical, so that upright is not quite at rest.
    drift = task.model.transition(np.zeros(6), np.zeros(1))
    np.testing.assert_allclose(near.F @ x + near.B @ u + drift, task.model.transition(x, u), atol=1e-9)


def test_an_agent_that_does_not_fit_the_model_says_which_do() -> None:
    env = sensed("InvertedPendulum-v5")
    with pytest.raises(ModelError, match=r"nonlinear: aif, .*got pid"):
        agents.make("pid", env)
    with pytest.raises(ModelError, match=r"linear: .*got ilqr"):
        agents.make("ilqr", NoiseOptions().make("pcctrl/CartPole-v0", CartPoleEnv))


def test_where_light_matters_the_agent_looks_first_and_one_blind_to_it_does_not() -> None:
    env = NoiseOptions().make(LIGHT_DARK, plant_of(LIGHT_DARK), max_episode_steps=90)
    looked = {}
    for name in ("aif", "ilqr"):
        way = rollout(env, agents.make(name, env), steps=40, seed=1).state[:, :2]
        looked[name] = np.linalg.norm(way - BEACON, axis=1).min()
    assert looked["aif"] < 0.6 * looked["ilqr"]
    with pytest.raises(ParameterError, match="its own"):
        NoiseOptions(colour="white").make(LIGHT_DARK, plant_of(LIGHT_DARK))


def test_lqg_follows_what_no_input_moves() -> None:
    """Of a walker and a target that stays: the gain is that of their distance alone, by its own Riccati equation."""
    task = agents.task_of(gym.make("pcctrl/LightDark-v0"))
    agent = agents.make("lqg", task)
    step, weight, rho = task.model.dt, float(task.state_weight[0, 0]), float(task.action_weight[0, 0])
    S = scipy.linalg.solve_discrete_are(np.eye(1), step * np.eye(1), weight * np.eye(1), rho * np.eye(1))[0, 0]
    gain = step * S / (rho + step * step * S)
    x = np.array([1.0, 2.0, 1.3, 1.8])
    u = agent.controller.act(None, Belief(x, np.eye(4), np.zeros(2), 4), np.zeros(4))[1]
    np.testing.assert_allclose(u, -gain * (x[:2] - x[2:]), rtol=1e-3)
    # Negative control: what no input moves must stay where it is.
    model = task.model

    def away(x: Array, u: Array, w: Array) -> Array:
        return np.asarray(model.f(x, u, w)) * [1.0, 1.0, 1.1, 1.1]  # type: ignore[attr-defined]

    drifting: Any = model
    with pytest.raises(ModelError, match="ilqr"):
        agents.make("lqg", replace(task, model=replace(drifting, f=away, f_jacobians=None)))


def test_it_finds_the_food_it_cannot_move() -> None:
    env = gym.make("pcctrl/LightDark-v0")
    episode = rollout(env, agents.make("lqg", env), steps=60, seed=0)
    assert not episode.failed
    start, end = (np.linalg.norm(x[:2] - x[2:]) for x in episode.state[[0, -1]])
    assert end < 1.0 < start
