"""What every environment must do, in one place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box

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


def check_environment(make: Make, sensed: Sequence[int] | None = None, *, noise_by_state: bool = False) -> None:
    """Assert the contract of DESIGN §6 on fresh environments.

    Args:
        make: returns one.
        sensed: which states the sensors read, the first by default.
        noise_by_state: whether sensors see worse in some states, so that actions change their noise.
    """
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
    read = list(range(observations.shape[1]) if sensed is None else sensed)
    for gain in () if noise_by_state else (0.0, -1.0):
        other = trajectory(env, 7, gain * actions)
        noise = observations - states[:, read]
        np.testing.assert_allclose(other[0] - other[1][:, read], noise, atol=1e-12, err_msg="noise without actions")
    assert (states.std(axis=0) > 0.0).all(), "no constant truth"

    # What is asked for beyond the limits is what is done at them.
    if isinstance(env.action_space, Box) and np.isfinite(env.action_space.high).all():
        most = np.tile(env.action_space.high, (3, 1))
        for limited, beyond in zip(trajectory(env, 7, most), trajectory(env, 7, 10.0 * most), strict=True):
            np.testing.assert_array_equal(limited, beyond, err_msg="actions are limited")

    # Whatever was returned stays as it was.
    returned, copies = [], []
    observation, info = env.reset(seed=1)
    for action in actions[:5]:
        returned += [observation, info["state"]]
        copies += [observation.copy(), info["state"].copy()]
        observation, *_, info = env.step(action)
    for value, copy in zip(returned, copies, strict=True):
        np.testing.assert_array_equal(value, copy, err_msg="no aliased buffers")
    env.close()


def check_endings(make: Make, limit: int, losing: float | None) -> None:
    """Assert that time ends as truncation, exactly at the limit, and (where it can be) a lost plant as termination.

    Args:
        make: returns the environment, whose time limit is ``limit`` samples.
        limit: so short that without action nothing is lost.
        losing: an action that loses the plant if held, None if none does.
    """
    env = make()
    env.reset(seed=1)
    still = np.zeros(env.action_space.shape or (1,))
    endings = [env.step(still)[2:4] for _ in range(limit)]
    assert endings == [(False, False)] * (limit - 1) + [(False, True)], "the end of time is truncation"
    if losing is None:
        return
    env.reset(seed=1)
    for _ in range(limit):
        _, _, terminated, truncated, info = env.step(still + losing)
        if terminated:
            assert info["failed"]
            assert not truncated
            return
    assert False, "a lost plant is termination"  # noqa: B011, PT015
