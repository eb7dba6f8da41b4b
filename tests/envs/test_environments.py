from __future__ import annotations

import abc
import os
import subprocess
import sys
import warnings
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from contracts import check_endings, check_environment
from gymnasium.utils.env_checker import check_env

from pcctrl.envs import LINEAR, PLANTS, CartPoleEnv, MassSpringDamperEnv, NoiseOptions, Sensors
from pcctrl.errors import ModelError, ParameterError, PcctrlError, ShapeError, UnknownNameError
from pcctrl.noise import Drift, Freeze, Outliers, Quantisation, Smooth, White


@pytest.mark.parametrize("env_id", [*PLANTS, LINEAR])
def test_contract(env_id: str) -> None:
    check_environment(lambda: gym.make(env_id))
    check_endings(lambda: gym.make(env_id, max_episode_steps=25), 25, 20.0 if "CartPole" in env_id else None)


def test_raw_environments_keep_the_contract_too() -> None:
    for plant in PLANTS.values():
        check_environment(plant)


class _Broken(gym.Wrapper[Any, Any, Any, Any], abc.ABC):
    def step(self, action: Any) -> Any:
        observation, reward, terminated, truncated, info = self.env.step(action)
        return self.spoil(observation, action), reward, terminated, truncated, info

    @abc.abstractmethod
    def spoil(self, observation: Any, action: Any) -> Any: ...


class _Stuck(_Broken):
    def reset(self, **how: Any) -> Any:
        observation, info = self.env.reset(**how)
        return 0.0 * observation, info

    def spoil(self, observation: Any, action: Any) -> Any:  # noqa: ARG002
        return 0.0 * observation


class _Leaking(_Broken):
    def spoil(self, observation: Any, action: Any) -> Any:
        return observation + 0.1 * action[0]


class _Aliased(_Broken):
    def spoil(self, observation: Any, action: Any) -> Any:  # noqa: ARG002
        self.buffer = getattr(self, "buffer", observation)
        self.buffer[:] = observation
        return self.buffer


@pytest.mark.parametrize("broken", [_Stuck, _Leaking, _Aliased])
def test_negative_control_broken_environments_fail_the_contract(broken: type[_Broken]) -> None:
    with pytest.raises(AssertionError):
        check_environment(lambda: broken(gym.make("pcctrl/CartPole-v0")))


@pytest.mark.parametrize("env_id", [*PLANTS, LINEAR])
@pytest.mark.parametrize("raw", [True, False])
def test_gymnasium_accepts_it(env_id: str, raw: bool) -> None:
    env = gym.make(env_id)
    with warnings.catch_warnings():
        # The checker advises on the range of spaces, and warns that the sensed environment is a wrapper: it is.
        warnings.filterwarnings("ignore", category=UserWarning, module="gymnasium")
        check_env(env.unwrapped if raw else env, skip_render_check=True)


@pytest.mark.parametrize("env_id", PLANTS)
def test_rendering(env_id: str) -> None:
    """In a process of its own, since MuJoCo chooses its graphics when it is first imported."""
    code = f"""
import gymnasium as gym, pcctrl.envs
env = gym.make("{env_id}", render_mode="rgb_array")
env.reset(seed=0)
print(env.render().std())
env.close()
"""
    for backend in ("egl", "osmesa"):
        environment = os.environ | {"MUJOCO_GL": backend}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
        if done.returncode == 0:
            assert float(done.stdout.split()[-1]) > 1.0
            return
    pytest.skip("no off-screen rendering here: " + done.stderr.strip().splitlines()[-1])


@pytest.mark.parametrize("plant", [CartPoleEnv, MassSpringDamperEnv])
def test_model_predicts_the_simulator(plant: type[CartPoleEnv]) -> None:
    """One step of the linear model from a small state equals MuJoCo's, forces included."""
    env = plant(White(density=1e-9))
    model = env.linear_model([White(std=s) for s in plant.sensor_std])
    joint = model.joint(0)
    n = joint.plant
    env.reset(seed=0)
    x = 1e-3 * np.random.default_rng(0).standard_normal(n)
    env.data.qpos[:], env.data.qvel[:] = x[: n // 2], x[n // 2 :]
    *_, info = env.step(np.array([0.05]))
    np.testing.assert_allclose(info["state"], joint.F @ x + joint.B[:, 0] * 0.05, atol=1e-7)


def test_disturbance_has_the_stated_size() -> None:
    env = CartPoleEnv(Smooth(1.0, 0.04))
    forces = []
    for seed in range(60):
        env.reset(seed=seed)
        forces.append([env.step(np.zeros(1))[4]["disturbance"] for _ in range(2)][-1])
    assert abs(np.var(forces) - 0.98) < 4.5 * np.sqrt(2.0 / 60)


def test_sensor_imperfections() -> None:
    env = Sensors(CartPoleEnv(), bias=[0.5, -0.25], delay=[0.04, 0.0])
    observation, info = env.reset(seed=0)
    truth = [info["state"][:2]]
    np.testing.assert_allclose(observation, truth[0] + [0.5, -0.25])
    for _ in range(5):
        observation, *_, info = env.step(np.zeros(1))
        truth.append(info["state"][:2])
    np.testing.assert_allclose(observation, [truth[-3][0] + 0.5, truth[-1][1] - 0.25])


def test_dropout_is_nan_at_its_rate() -> None:
    env = Sensors(MassSpringDamperEnv(), dropout=0.3)
    env.reset(seed=0)
    missing = [np.isnan(env.step(np.zeros(1))[0][0]) for _ in range(2000)]
    assert abs(np.mean(missing) - 0.3) < 4.5 * np.sqrt(0.3 * 0.7 / 2000)


def test_imperfections_in_their_order() -> None:
    env = Sensors(MassSpringDamperEnv(), imperfections=[Drift(0.5), Quantisation(0.25)])
    env.reset(seed=0)
    readings = []
    for seed in range(300):
        env.reset(seed=seed)
        for _ in range(8):
            observation, *_, info = env.step(np.zeros(1))
        readings.append(observation[0] - info["state"][0])
        assert (observation / 0.25) % 1.0 == 0.0
    # Eight samples of 0.1 s: a random walk of variance 0.25 · 0.8, plus the grid's own 0.25² / 12.
    want = 0.25 * 0.8 + 0.25**2 / 12
    assert abs(np.var(readings) - want) < 4.5 * want * np.sqrt(2.0 / 300)


def test_frozen_sensors_stand_still_and_outliers_are_rare_and_far() -> None:
    env = Sensors(MassSpringDamperEnv(), imperfections=[Freeze(rate=0.5, duration=0.5)])
    env.reset(seed=0)
    y = np.array([env.step(np.zeros(1))[0][0] for _ in range(4000)])
    still = np.diff(y) == 0.0
    runs = np.diff(np.flatnonzero(np.diff(np.r_[0, still, 0]) != 0))[::2]
    assert (runs % 5 == 0).all()
    assert np.median(runs) == 5
    # Struck at 0.5 a second while moving: a cycle is 2 s of moving and 0.5 s of standing still.
    assert np.mean(still) == pytest.approx(0.2, abs=0.05)
    env = Sensors(MassSpringDamperEnv(), imperfections=[Outliers(0.02, 100.0)])
    env.reset(seed=0)
    far = [abs(env.step(np.zeros(1))[0][0]) > 10.0 for _ in range(4000)]
    assert np.mean(far) == pytest.approx(0.02 * 0.92, abs=4.5 * np.sqrt(0.02 / 4000))


def test_sensors_wrap_any_environment() -> None:
    env = Sensors(gym.make("Pendulum-v1"), White(std=0.1), dt=0.05)
    observation, info = env.reset(seed=0)
    assert info["state"].shape == observation.shape == (3,)
    assert np.abs(observation - info["state"]).max() > 1e-3
    with pytest.raises(ModelError, match="env"):
        env.task()


@pytest.mark.parametrize(
    ("build", "error", "name"),
    [
        (lambda: Sensors(CartPoleEnv(), [White(std=1.0)]), ShapeError, "noise"),
        (lambda: Sensors(CartPoleEnv(), White(density=1.0)), ParameterError, "noise[0]"),
        (lambda: Sensors(CartPoleEnv(), dropout=1.0), ParameterError, "dropout"),
        (lambda: Sensors(CartPoleEnv(), delay=-0.1), ParameterError, "delay"),
        (lambda: Sensors(CartPoleEnv(), delay=0.005), ParameterError, "delay"),
        (lambda: Sensors(CartPoleEnv(), imperfections=[Drift(-1.0)]), ParameterError, "drift rate"),
        (lambda: Sensors(CartPoleEnv(), imperfections=[0.1]), ParameterError, "imperfections"),  # type: ignore[list-item]
        (lambda: Sensors(CartPoleEnv(), imperfections=[Freeze([1.0] * 3, 1.0)]), ShapeError, "freeze rate"),
        (lambda: Sensors(CartPoleEnv(), bias=[0.0, 0.0, 0.0]), ShapeError, "bias"),
        (lambda: Sensors(CartPoleEnv(), bias=np.nan), ParameterError, "bias"),
        (lambda: Sensors(gym.make("FrozenLake-v1")), ShapeError, "env"),
        (lambda: Sensors(gym.make("MountainCar-v0")), ParameterError, "dt"),
        (lambda: CartPoleEnv(White(std=1.0)), ParameterError, "process_noise[0]"),
        (lambda: CartPoleEnv(0.5), ShapeError, "process_noise"),  # type: ignore[arg-type]
        (lambda: Sensors(CartPoleEnv(), [0.1, 0.1]), ParameterError, "noise[0]"),  # type: ignore[list-item]
        (lambda: Sensors(CartPoleEnv(), delay=1e300), ParameterError, "delay"),
        (lambda: CartPoleEnv().step(np.zeros(1)), ParameterError, "step"),
        (lambda: Sensors(CartPoleEnv()).task(), ModelError, "noise"),
        (lambda: NoiseOptions(colour="pink").make("x", CartPoleEnv), UnknownNameError, "noise.colour"),  # type: ignore[arg-type]
        (lambda: NoiseOptions(s=-1.0).make("x", CartPoleEnv), ParameterError, "noise.s"),
        (lambda: NoiseOptions(floor=-1.0).make("x", CartPoleEnv), ParameterError, "noise.floor"),
        (lambda: NoiseOptions(sensor_std=(1.0,)).make("x", CartPoleEnv), ShapeError, "noise.sensor-std"),
    ],
)
def test_bad_arguments_are_named(build, error: type[PcctrlError], name: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(error) as caught:
        build()
    assert caught.value.name == name


def test_bad_actions_are_named() -> None:
    env = gym.make("pcctrl/CartPole-v0")
    env.reset(seed=0)
    with pytest.raises(ShapeError, match="action"):
        env.step(np.zeros(2))
    with pytest.raises(ParameterError, match="action"):
        env.step(np.array([np.nan]))


def test_rendering_without_a_display_says_what_it_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "MUJOCO_GL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    with pytest.raises(ParameterError, match="MUJOCO_GL=egl"):
        CartPoleEnv(render_mode="rgb_array")
    assert CartPoleEnv().render_mode is None
