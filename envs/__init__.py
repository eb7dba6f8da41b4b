"""Gymnasium environments; importing this registers them under ``pcctrl/``."""

from __future__ import annotations

if __name__ != "pcctrl.envs":
    raise ImportError("import pcctrl.envs, not " + __name__)

from typing import TYPE_CHECKING, Any

import gymnasium as gym

from pcctrl.arrays import choose
from pcctrl.envs.noise_options import NoiseOptions
from pcctrl.envs.regulation import CartPoleEnv, MassSpringDamperEnv, RegulationEnv
from pcctrl.envs.sensors import Sensors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pcctrl.noise import Noise

__all__ = [
    "PLANTS",
    "CartPoleEnv",
    "MassSpringDamperEnv",
    "NoiseOptions",
    "RegulationEnv",
    "Sensors",
    "make_sensed",
    "plant_of",
]

PLANTS: dict[str, type[RegulationEnv]] = {
    "pcctrl/CartPole-v0": CartPoleEnv,
    "pcctrl/MassSpringDamper-v0": MassSpringDamperEnv,
}


def plant_of(env_id: str) -> type[RegulationEnv]:
    """Return the plant behind the environment ``env_id``; raises `UnknownNameError` listing those there are."""
    return PLANTS[choose("env", env_id, PLANTS)]


def make_sensed(
    plant: type[RegulationEnv],
    process_noise: Noise | None = None,
    sensor_noise: Sequence[Noise] | None = None,
    render_mode: str | None = None,
    **imperfections: Any,
) -> Sensors:
    """Return a plant behind its sensors; by default both noises are smooth over two samples.

    Args:
        plant: the environment class.
        process_noise: the disturbing force in N.
        sensor_noise: one a sensor.
        render_mode: see Gymnasium.
        imperfections: ``bias``, ``dropout`` and ``delay`` of `Sensors`.
    """
    env = plant(process_noise, render_mode)
    noise = [plant.default_noise(std) for std in plant.sensor_std] if sensor_noise is None else sensor_noise
    return Sensors(env, noise, **imperfections)


for _id, _plant in PLANTS.items():
    gym.register(
        _id,
        entry_point="pcctrl.envs:make_sensed",
        kwargs={"plant": _plant},
        max_episode_steps=1000,
        # A dropped sample is NaN, which Gymnasium's passive checker would warn of; our tests run the full checker.
        disable_env_checker=True,
    )
