"""The beacon world: the environment's contract, its noise, and the model that it gives."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from contracts import check_endings, check_environment
from gymnasium.utils.env_checker import check_env

from pcctrl.agents import Agent, task_of
from pcctrl.controllers import RecedingHorizon
from pcctrl.envs import LIGHT_DARK, LightDarkEnv
from pcctrl.envs.light_dark import BEACON, EFFORT, WANT, light_dark, light_factor
from pcctrl.errors import ParameterError, ShapeError
from pcctrl.evaluation import rollout
from pcctrl.filters import ExtendedKalmanFilter

Array = np.ndarray[Any, np.dtype[np.float64]]


def test_contract() -> None:
    check_environment(lambda: gym.make(LIGHT_DARK), noise_by_state=True)
    check_endings(lambda: gym.make(LIGHT_DARK, max_episode_steps=25), 25, None)
    check_endings(lambda: gym.make(LIGHT_DARK, max_episode_steps=120), 120, -2.4)
    # Negative control: the check of noise without actions would see that this noise has some.
    with pytest.raises(AssertionError, match="noise without actions"):
        check_environment(lambda: gym.make(LIGHT_DARK))


def test_gymnasium_accepts_it() -> None:
    with warnings.catch_warnings():
        # The checker advises on the range of spaces.
        warnings.filterwarnings("ignore", category=UserWarning, module="gymnasium")
        check_env(LightDarkEnv(), skip_render_check=True)


def unit_noise(env: LightDarkEnv, actions: Array) -> Array:
    """The noise of each reading over its published standard deviation."""
    observation, info = env.reset(seed=3)
    found = []
    for action in actions:
        x = info["state"]
        d = x[:2] - [0.0, 2.7]
        r = 0.02 + 1.28 * (1.0 - np.exp(-(d @ d) / (2.0 * 2.3**2)))
        found.append((observation - [*x[:2], *(x[2:] - x[:2])]) / np.sqrt([0.05, 0.05, r, r]))
        observation, *_, info = env.step(action)
    return np.array(found)


def test_unit_noise_is_that_of_the_seed_whatever_the_actions() -> None:
    env = LightDarkEnv()
    still, moving = (unit_noise(env, gain * np.ones((600, 2))) for gain in (0.0, 0.05))
    np.testing.assert_allclose(still, moving, atol=1e-9)
    assert np.abs((still**2).mean(axis=0) - 1.0).max() < 4.5 * np.sqrt(2.0 / 600)


def test_the_world_drifts_as_published() -> None:
    env = LightDarkEnv(scatter=0.0)
    env.reset(seed=0)
    states = np.array([env.step(np.zeros(2))[4]["state"] for _ in range(1500)])
    ratio = np.diff(states, axis=0).var(axis=0) / [2e-5, 2e-5, 1e-6, 1e-6]
    assert np.abs(ratio - 1.0).max() < 4.5 * np.sqrt(2.0 / 1500)
    np.testing.assert_allclose(env.reset(seed=5)[1]["state"], [-3.4, -2.6, 3.4, -2.6])


def test_its_model_predicts_it() -> None:
    env = LightDarkEnv()
    model = env.task().model
    _, info = env.reset(seed=0)
    *_, after = env.step(np.array([1.0, -0.5]))
    np.testing.assert_allclose(after["state"], model.transition(info["state"], [1.0, -0.5]), atol=0.03)
    np.testing.assert_allclose(after["state"][2:], info["state"][2:], atol=0.01)
    x = np.array([*BEACON, 3.0, 1.0])
    np.testing.assert_allclose(model.readout(x), [*BEACON, 3.0, -1.7])
    near, far = (model.sensor_factors(at) for at in (x, np.array([100.0, 0.0, 0.0, 0.0])))
    assert near is not None
    assert far is not None
    np.testing.assert_allclose(near, 1.0)
    np.testing.assert_allclose(far, [1.0, 1.0, 65.0, 65.0])
    assert light_factor(np.zeros((3, 5, 2))).shape == (3, 5)


def test_its_task_costs_what_it_says() -> None:
    env = gym.make(LIGHT_DARK)
    task = task_of(env)
    _, info = env.reset(seed=1)
    away = info["state"] - info["goal"]
    u = np.array([2.0, 1.0])
    _, reward, _, _, after = env.step(u)
    assert after["cost"] == pytest.approx(away @ task.state_weight @ away + u @ task.action_weight @ u)
    assert reward == -after["cost"]
    assert after["cost"] == pytest.approx(WANT * np.sum((info["state"][:2] - info["state"][2:]) ** 2) + 5.0 * EFFORT)
    assert light_dark().prior is not None


def test_an_agent_is_told_the_goal_and_recorded() -> None:
    env = gym.make(LIGHT_DARK)
    planner = RecedingHorizon(task_of(env).model, task_of(env).state_weight, 1e-4, horizon=10)
    agent = Agent(ExtendedKalmanFilter(task_of(env).model), planner)
    episode = rollout(env, agent, steps=40, seed=0)
    # Straight to where the food is thought to be.
    assert np.linalg.norm(episode.state[-1, :2] - episode.state[-1, 2:]) < 1.5
    assert np.isfinite(episode.nis).all()


@pytest.mark.parametrize(
    ("build", "error", "name"),
    [
        (lambda: LightDarkEnv(-1.0), ParameterError, "scatter"),
        (lambda: LightDarkEnv().step(np.zeros(2)), ParameterError, "step"),
        (lambda: _step(np.zeros(3)), ShapeError, "action"),
    ],
)
def test_bad_arguments_are_named(build: Callable[[], Any], error: type[Exception], name: str) -> None:
    with pytest.raises(error, match=name):
        build()


def _step(action: Array) -> Any:
    env = LightDarkEnv()
    env.reset()
    return env.step(action)
