"""The quadrotor: hover in wind, lagging rotors, the sensors it may have, and a rotor that fails."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from contracts import check_environment

from pcctrl import agents
from pcctrl.envs import ActuatorLoss, QuadrotorEnv, Sensors
from pcctrl.errors import ParameterError, PcctrlError, ShapeError, UnknownNameError
from pcctrl.noise import Noise, OrnsteinUhlenbeck, White

QUIET: list[Noise] = [White(density=1e-9)] * 6


def told(env: QuadrotorEnv) -> list[Noise]:
    return [White(std=std) for std in env.reading_std]


def flown(env: gym.Env[Any, Any], agent: agents.Agent, steps: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """States after each step, and NIS at each."""
    observation, _ = env.reset(seed=seed)
    agent.reset()
    states, nis = [], []
    for _ in range(steps):
        observation, _, failed, _, info = env.step(agent.act(observation))
        states.append(info["state"])
        assert agent.info is not None
        nis.append(float(agent.info.nis))
        if failed:
            break
    return np.array(states), np.array(nis)


@pytest.mark.parametrize("wind", [0.0, 5.0, 12.0])
def test_hover_is_a_rest_in_the_mean_wind(wind: float) -> None:
    env = QuadrotorEnv(QUIET, wind=wind)
    env.start_std = (0.0,) * 16
    env.reset(seed=0)
    for _ in range(50):
        *_, info = env.step(env.rest)
    np.testing.assert_allclose(info["state"][:12], 0.0, atol=1e-5)
    # Balance of forces, by hand: mass 0.716 kg, drag of 0.15 N s/m.
    assert env.rest.sum() == pytest.approx(np.hypot(0.716 * 9.81, 0.15 * wind), rel=1e-4)
    assert info["cost"] < 1e-8


@pytest.mark.parametrize("sensing", ["motion capture", "imu"])
def test_model_predicts_simulator_and_sensors(sensing: Any) -> None:
    env = QuadrotorEnv(QUIET, sensing=sensing)
    model = env.linear_model(told(env))
    joint = model.joint(0)
    env.start_std = tuple(np.full(16, 1e-3))
    y, info = env.reset(seed=0)
    x = info["state"]
    reading = model.start[2]
    np.testing.assert_allclose(y - reading, (x - joint.mean) @ joint.C.T, atol=2e-5)
    u = env.rest + np.array([0.01, -0.02, 0.015, 0.005])
    y, *_, info = env.step(u)
    np.testing.assert_allclose(info["state"], joint.F @ x + joint.B @ u + joint.offset, atol=2e-6)
    np.testing.assert_allclose(y - reading, (info["state"] - joint.mean) @ joint.C.T, atol=1e-4)


def test_an_accelerometer_feels_the_gusts_and_motion_capture_does_not() -> None:
    env = QuadrotorEnv(sensing="imu")
    felt = env.linear_model(told(env)).noise_outputs
    # A force over the mass, in the leaning frame of the body.
    np.testing.assert_allclose(np.linalg.norm(felt[7:, :3], axis=0), 1.0 / 0.716, rtol=1e-4)
    assert not felt[:7].any()
    mocap = QuadrotorEnv()
    assert mocap.linear_model(told(mocap)).noise_output is None
    env = QuadrotorEnv([OrnsteinUhlenbeck(0.5, 1e3)] * 3 + QUIET[3:], sensing="imu")
    env.reset(seed=3)
    y, *_, info = env.step(env.rest)
    model = env.linear_model(told(env))
    deaf = model.start[2] + model.C @ (info["state"] - model.start[0])
    np.testing.assert_allclose(y[7:], (deaf + felt @ info["disturbance"])[7:], atol=0.02)
    assert np.abs(y - deaf)[7:].max() > 0.5


def test_an_accelerometer_feels_nothing_of_white_forces_as_the_model_says() -> None:
    white = [White(density=0.05)] * 3 + QUIET[3:]
    env = QuadrotorEnv(white, sensing="imu")
    assert env.linear_model(told(env)).noise_output is None
    sensed = Sensors(env, told(env))
    _, nis = flown(sensed, agents.make("aif", sensed), 400)
    assert abs(nis[50:].mean() - 10.0) < 4.5 * np.sqrt(2.0 * 10.0 / 350)


def test_rotors_lag() -> None:
    env = QuadrotorEnv(QUIET)
    env.start_std = (0.0,) * 16
    env.reset(seed=0)
    *_, info = env.step(env.rest + 0.1)
    np.testing.assert_allclose(info["state"][12:] - env.rest, 0.1 * (1.0 - np.exp(-0.01 / 0.02)), rtol=1e-6)


def test_imu_contract() -> None:
    # The contract of what is read: that all of it varies, from the seed alone.
    env = QuadrotorEnv(sensing="imu")
    assert env.observation_space.shape == (10,)
    with pytest.raises(AssertionError, match="noise without actions"):
        check_environment(lambda: QuadrotorEnv(sensing="imu"))  # an accelerometer does depend on the actions


@pytest.mark.parametrize("sensing", ["motion capture", "imu"])
def test_active_inference_hovers_and_knows_how_well(sensing: Any) -> None:
    noise = told(QuadrotorEnv(sensing=sensing))
    env = gym.make("pcctrl/Quadrotor-v0", sensor_noise=noise, sensing=sensing)
    states, nis = flown(env, agents.make("aif", env), 400)
    assert len(states) == 400
    assert np.sqrt(np.mean(np.sum(states[100:, :3] ** 2, axis=1))) < 0.05
    expected = 6 if sensing == "motion capture" else 10
    # NIS is a sum of so many squares a sample, independent of any other sample's.
    assert abs(nis[50:].mean() - expected) < 4.5 * np.sqrt(2.0 * expected / 350)


def test_an_option_that_neither_plant_nor_sensors_have_is_named() -> None:
    assert gym.make("pcctrl/Quadrotor-v0", sensing="imu", wind=3.0, bias=0.1).observation_space.shape == (10,)
    with pytest.raises(UnknownNameError, match=r"sensing, wind, bias.*'camera'"):
        gym.make("pcctrl/Quadrotor-v0", camera=True)


def test_negative_control_without_control_it_is_lost() -> None:
    env = QuadrotorEnv()
    env.reset(seed=0)
    failed = [env.step(env.rest)[2] for _ in range(1500)]
    assert any(failed)


def test_an_agent_that_knows_nothing_falls_back_to_hover() -> None:
    env = gym.make("pcctrl/Quadrotor-v0")
    for name in ("aif", "lqg"):
        agent = agents.make(name, env)
        actions = [agent.act(np.full(6, np.nan)) for _ in range(3)]
        np.testing.assert_allclose(actions, np.tile(agents.task_of(env).model.start[1], (3, 1)), atol=1e-6)


def test_agents_live_with_the_loss_of_a_rotor() -> None:
    lost, well = (ActuatorLoss(QuadrotorEnv(QUIET), [1.0, effect, 1.0, 1.0]) for effect in (0.7, 1.0))
    for env in (lost, well):
        env.unwrapped.start_std = (0.0,) * 16  # type: ignore[attr-defined]
        env.reset(seed=0)
    rates = [[env.step(QuadrotorEnv(QUIET).rest)[4]["state"][9] for env in (lost, well)] for _ in range(5)]
    # The left rotor lifts the left side, which is a roll forward of x.
    assert rates[-1][0] < rates[-1][1] - 0.1
    env = ActuatorLoss(gym.make("pcctrl/Quadrotor-v0"), [0.7, 1.0, 1.0, 1.0], at=1.0)
    states, _ = flown(env, agents.make("aif", env), 400)
    assert len(states) == 400


@pytest.mark.parametrize(
    ("build", "error", "name"),
    [
        (lambda: QuadrotorEnv(White(density=1.0)), ShapeError, "process_noise"),
        (lambda: QuadrotorEnv([White(std=1.0)] * 6), ParameterError, "process_noise[0]"),
        (lambda: QuadrotorEnv(wind=-1.0), ParameterError, "wind"),
        (lambda: QuadrotorEnv(wind=200.0), ParameterError, "wind"),
        (lambda: QuadrotorEnv(sensing="radar"), UnknownNameError, "sensing"),  # type: ignore[arg-type]
        (lambda: Sensors(QuadrotorEnv()).task(), PcctrlError, "noise"),
    ],
)
def test_bad_arguments_are_named(build: Any, error: type[PcctrlError], name: str) -> None:
    with pytest.raises(error) as caught:
        build()
    assert caught.value.name == name
