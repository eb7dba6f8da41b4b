"""Gymnasium environments; importing this registers them under ``pcctrl/``."""

from __future__ import annotations

if __name__ != "pcctrl.envs":
    raise ImportError("import pcctrl.envs, not " + __name__)

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium as gym
from numpy.typing import ArrayLike

from pcctrl.arrays import choose
from pcctrl.envs.linear_system import LinearPlant, LinearSystemEnv, two_masses
from pcctrl.envs.noise_options import NoiseOptions, Plant
from pcctrl.envs.quadrotor import QuadrotorEnv, RotorLoss
from pcctrl.envs.regulation import CartPoleEnv, MassSpringDamperEnv, RegulationEnv
from pcctrl.envs.sensors import Sensors
from pcctrl.errors import ModelError
from pcctrl.models import LinearModel
from pcctrl.noise import Noise

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "LINEAR",
    "PLANTS",
    "CartPoleEnv",
    "LinearPlant",
    "LinearSystemEnv",
    "MassSpringDamperEnv",
    "NoiseOptions",
    "Plant",
    "QuadrotorEnv",
    "RegulationEnv",
    "RotorLoss",
    "Sensors",
    "make_linear_system",
    "make_sensed",
    "plant_of",
    "two_masses",
]

PLANTS: dict[str, type[RegulationEnv]] = {
    "pcctrl/CartPole-v0": CartPoleEnv,
    "pcctrl/MassSpringDamper-v0": MassSpringDamperEnv,
    "pcctrl/Quadrotor-v0": QuadrotorEnv,
}
LINEAR = "pcctrl/LinearSystem-v0"


def plant_of(env_id: str, model: Path | None = None) -> Plant:
    """Return the plant behind an environment.

    Args:
        env_id: see `PLANTS`, or `LINEAR`.
        model: TOML file of the linear system, two masses by default.

    Raises:
        UnknownNameError: there is no such environment.
        ModelError: a model for an environment that has its own.
        PcctrlError: the file is not a model.
    """
    if choose("env", env_id, (*PLANTS, LINEAR)) == LINEAR:
        return LinearPlant(two_masses() if model is None else LinearModel.load(model))
    if model is not None:
        raise ModelError(name="model", expected=f"none, or env {LINEAR}", received=f"{model} for {env_id}")
    return PLANTS[env_id]


def make_sensed(
    plant: type[RegulationEnv],
    process_noise: Noise | Sequence[Noise] | None = None,
    sensor_noise: Sequence[Noise] | None = None,
    render_mode: str | None = None,
    options: Mapping[str, Any] | None = None,
    **imperfections: Any,
) -> Sensors:
    """Return a plant behind its sensors; by default with its own noises.

    Args:
        plant: the environment class.
        process_noise: the disturbing force in N, or several.
        sensor_noise: one a sensor.
        render_mode: see Gymnasium.
        options: more of the plant's own.
        imperfections: ``bias``, ``dropout`` and ``delay`` of `Sensors`.
    """
    env = plant(process_noise, render_mode, **(options or {}))
    return Sensors(env, env.default_sensors() if sensor_noise is None else sensor_noise, **imperfections)


def make_linear_system(
    model: LinearModel | str | Path | None = None,
    process_noise: Sequence[Noise] | None = None,
    sensor_noise: Sequence[Noise] | None = None,
    *,
    state_weight: ArrayLike = 1.0,
    action_weight: ArrayLike = 0.01,
    limits: tuple[ArrayLike, ArrayLike] = (-20.0, 20.0),
    bound: ArrayLike = 1e3,
    **imperfections: Any,
) -> Sensors:
    """Return a linear model as an environment behind its sensors, with its own noise and delays if none are given.

    Args:
        model: a model, or its TOML file; two masses by default.
        process_noise: one a column of its noise input.
        sensor_noise: one a sensor.
        state_weight: see `LinearSystemEnv`, as the next three.
        action_weight: ρ.
        limits: of the input.
        bound: of the states.
        imperfections: ``bias``, ``dropout``, ``delay``, … of `Sensors`.
    """
    if not isinstance(model, LinearModel):
        model = two_masses() if model is None else LinearModel.load(model)
    if process_noise is not None:
        model = replace(model, process_noise=process_noise)
    if sensor_noise is not None:
        model = replace(model, sensor_noise=sensor_noise)
    imperfections.setdefault("delay", 0.0 if model.delay is None else model.delay)
    return Sensors(
        LinearSystemEnv(model, state_weight, action_weight, limits, bound), model.sensor_noise, **imperfections
    )


for _id, _plant in PLANTS.items():
    gym.register(
        _id,
        entry_point="pcctrl.envs:make_sensed",
        kwargs={"plant": _plant},
        max_episode_steps=1000,
        # A dropped sample is NaN, which Gymnasium's passive checker would warn of; our tests run the full checker.
        disable_env_checker=True,
    )
gym.register(LINEAR, entry_point="pcctrl.envs:make_linear_system", max_episode_steps=1000, disable_env_checker=True)
