from __future__ import annotations

from typing import Any

import gymnasium as gym
import mujoco
import numpy as np
import pytest

from pcctrl.envs import ActuatorLoss, Arm2Env, CartPoleEnv, Payload
from pcctrl.errors import ParameterError, PcctrlError, ShapeError, UnknownNameError
from pcctrl.noise import White


def states(env: gym.Env[Any, Any], action: float, steps: int) -> np.ndarray:
    env.reset(seed=1)
    size = (env.action_space.shape or (1,))[0]
    return np.array([env.step(np.full(size, action))[4]["state"] for _ in range(steps)])


def test_a_payload_is_felt_from_its_time_on() -> None:
    plain = states(Arm2Env(), 0.0, 100)
    env = Payload(Arm2Env(), "payload", 2.0, at=0.05)
    for _ in range(2):  # a reset puts it down
        loaded = states(env, 0.0, 100)
        np.testing.assert_array_equal(loaded[:50], plain[:50])
        assert (np.abs(loaded[51:] - plain[51:]).max(axis=1) > 0.0).all()
    nothing = states(Payload(Arm2Env(), "payload", 0.0, at=0.05), 0.0, 100)
    np.testing.assert_allclose(nothing, plain, atol=1e-12, err_msg="negative control")


def test_a_payload_is_what_the_file_would_say() -> None:
    heavy = Arm2Env()
    heavy.model.body("payload").mass = 2.0
    mujoco.mj_setConst(heavy.model, mujoco.MjData(heavy.model))
    np.testing.assert_allclose(states(Payload(Arm2Env(), "payload", 2.0), 1.0, 50), states(heavy, 1.0, 50), atol=1e-12)


def test_it_works_on_any_plant_and_its_task_is_not_told() -> None:
    env = Payload(CartPoleEnv(White(density=1e-3)), "pole", 1.0)
    noise = [White(std=1e-3)] * 2
    before = env.task(noise).model.A
    assert np.abs(states(env, 0.1, 20) - states(CartPoleEnv(White(density=1e-3)), 0.1, 20)).max() > 1e-4
    np.testing.assert_array_equal(env.task(noise).model.A, before)
    assert env.unwrapped.model.body("pole").mass == pytest.approx(1.1)  # type: ignore[attr-defined]


def test_an_actuator_loses_effect() -> None:
    plain = states(CartPoleEnv(), 5.0, 20)
    lost = states(ActuatorLoss(CartPoleEnv(), 0.4, at=0.2), 5.0, 20)
    np.testing.assert_array_equal(lost[:10], plain[:10])
    assert (np.abs(lost[11:] - plain[11:]).max(axis=1) > 0.0).all()
    np.testing.assert_allclose(states(ActuatorLoss(CartPoleEnv(), 0.4), 5.0, 20), states(CartPoleEnv(), 2.0, 20))
    np.testing.assert_array_equal(states(ActuatorLoss(CartPoleEnv(), 1.0), 5.0, 20), plain, err_msg="negative control")


def test_what_is_lost_is_a_part_of_what_the_actuator_can_do() -> None:
    most = float(CartPoleEnv().action_space.high[0])  # type: ignore[attr-defined]
    lost = ActuatorLoss(CartPoleEnv(), 0.5)
    np.testing.assert_allclose(states(lost, 1e6, 5), states(CartPoleEnv(), 0.5 * most, 5))
    lost.reset(seed=0)
    with pytest.raises(ShapeError, match="action"):
        lost.step(np.zeros(3))
    with pytest.raises(ParameterError, match="action"):
        lost.step(np.array([np.nan]))


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (lambda: Payload(Arm2Env(), "hat", 1.0), UnknownNameError),
        (lambda: Payload(Arm2Env(), "payload", -1.0), ParameterError),
        (lambda: Payload(Arm2Env(), "payload", 1.0, at=-1.0), ParameterError),
        (lambda: Payload(gym.make("CartPole-v1"), "pole", 1.0), ParameterError),
        (lambda: ActuatorLoss(Arm2Env(), [0.5] * 3), ShapeError),
        (lambda: ActuatorLoss(Arm2Env(), 1.5), ParameterError),
        (lambda: ActuatorLoss(gym.make("CartPole-v1"), 0.5), ParameterError),
    ],
)
def test_bad_faults(fault: Any, error: type[PcctrlError]) -> None:
    with pytest.raises(error):
        fault()
