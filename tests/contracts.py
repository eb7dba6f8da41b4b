"""What every environment must do, in one place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np

Make = Callable[[], gym.Env[Any, Any]]


def trajectory(env: gym.Env[Any, Any], seed: int, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Observations, true states and rewards of one episode under given actions."""
    observation, info = env.reset(seed=seed)
    observations, states, rewards = [observation], [info["state"]], []
    for action in actions:
        observation, reward, _, _, info = env.step(action)
        observations.append(observation)
        states.append(info["state"])
        rewards.append(float(reward))
    return np.array(observations), np.array(states), np.array(rewards)


def check_environment(make: Make) -> None:
    """Assert the contract of DESIGN §6 on fresh environments."""
    env = make()
    env.action_space.seed(0)
    actions = np.array([env.action_space.sample() * 0.05 for _ in range(40)])
    observations, states, rewards = trajectory(env, 7, actions)

    assert np.isfinite(observations).all(), "finite observations"
    assert np.isfinite(states).all(), "finite truth"
    assert np.isfinite(rewards).all(), "finite rewards"
    for again in (trajectory(env, 7, actions), trajectory(make(), 7, actions)):
        for first, second in zip((observations, states, rewards), again, strict=True):
            np.testing.assert_array_equal(first, second, err_msg="the seed determines the episode")
    other = trajectory(env, 8, actions)
    assert not np.array_equal(states[0], other[1][0]), "randomised at reset"
    assert (observations.std(axis=0) > 0.0).all(), "no constant observation"

    # Noise does not depend on the actions, so that agents can be paired.
    still = trajectory(env, 7, 0.0 * actions)
    np.testing.assert_allclose(
        observations[0] - states[0][: observations.shape[1]], still[0][0] - still[1][0][: observations.shape[1]]
    )

    first, info = env.reset(seed=1)
    kept, kept_state = first.copy(), info["state"].copy()
    env.step(actions[0])
    np.testing.assert_array_equal(first, kept, err_msg="observations are not aliased")
    np.testing.assert_array_equal(info["state"], kept_state, err_msg="truth is not aliased")

    env.reset(seed=1)
    steps = 0
    while True:
        _, _, terminated, truncated, _ = env.step(0.0 * actions[0])
        steps += 1
        if terminated or truncated:
            break
    assert terminated != truncated, "a lost plant and the end of time are told apart"
    env.close()
