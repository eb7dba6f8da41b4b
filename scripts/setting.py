"""What ``pcctrl run`` and ``pcctrl compare`` share: the environment that is stated on their command lines."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import gymnasium as gym
import tyro

import pcctrl
from pcctrl.agents import task_of
from pcctrl.arrays import whole
from pcctrl.envs import (
    ARMS,
    ArmOptions,
    NoiseOptions,
    OwnOptions,
    OwnPlant,
    Plant,
    PlantOptions,
    QuadrotorOptions,
    SimulatedPlant,
    plant_of,
)
from pcctrl.errors import PcctrlError

__all__ = ["OwnSetting", "Setting", "typed"]

# What the arguments that options become are called where they are typed.
_FLAGS: Mapping[str, str] = {
    "noise_input": "plant.pushed",
    "sensors": "plant.sensors",
    "dt": "plant.dt",
    "state_weight": "plant.weight",
    "action_weight": "plant.action-weight",
    "end_weight": "plant.end-weight",
    "inputs": "env",
    "delay": "noise.delay",
    "dropout": "noise.dropout",
    "bias": "noise.bias",
    "encoders": "arm.encoders",
    "payload": "arm.payload",
    "mass": "arm.payload",
    "at": "arm.payload",
    "push": "arm.push",
    "wind": "quadrotor.wind",
}


@contextmanager
def typed(env_id: str) -> Iterator[None]:
    """Name the option that was typed in errors of what it has become.

    Args:
        env_id: the environment.
    """
    try:
        yield
    except PcctrlError as error:
        wrong = f"{'arm' if env_id in ARMS else 'plant'}.{error.name}"
        name = wrong if error.name.startswith("wrong.") else _FLAGS.get(error.name, error.name)
        raise type(error)(name, error.expected, error.received) from None


@dataclass(frozen=True, kw_only=True)
class OwnSetting:
    """Options of pcctrl's own arms and quadrotor."""

    arm: ArmOptions = field(default_factory=ArmOptions)
    """What an arm does and has, and what is untold, for pcctrl/Arm2-v0 and pcctrl/Arm7-v0."""
    quadrotor: QuadrotorOptions = field(default_factory=QuadrotorOptions)
    """How pcctrl/Quadrotor-v0 is seen and blown."""

    @property
    def own(self) -> tuple[OwnOptions, ...]:
        """Return both."""
        return self.arm, self.quadrotor


@dataclass(frozen=True, kw_only=True)
class Setting(OwnSetting):
    """An environment, its noise, and how long an episode is."""

    env: Annotated[str, tyro.conf.Positional]
    """Environment (see: pcctrl list), id of a Gymnasium MuJoCo task, or MJCF file."""
    steps: int = 1000
    """Samples in an episode."""
    model: Path | None = None
    """TOML file of the plant, for pcctrl/LinearSystem-v0; see: LinearModel.save."""
    plant: PlantOptions = field(default_factory=PlantOptions)
    """What is sensed and wanted, for an MJCF file or a Gymnasium MuJoCo task."""
    noise: NoiseOptions = field(default_factory=NoiseOptions)
    """Noise of disturbance and sensors; agents are told or tuned on it."""

    def make(self) -> tuple[Callable[[], gym.Env[Any, Any]], gym.Env[Any, Any]]:
        """Return what makes the environment, which can be pickled, and one of them.

        Raises:
            PcctrlError: an option, by the name that was typed.
        """
        whole("steps", self.steps, 1)
        with typed(self.env):
            make = functools.partial(self.noise.make, self.env, self._plant(), max_episode_steps=self.steps)
            env = make()
            task_of(env)  # what is wrong with what agents are told is said now
            return make, env

    def description(self, settle: int) -> dict[str, Any]:
        """Return what results of this environment, noise and horizon belong to.

        Args:
            settle: first samples that are scored apart.
        """
        plant = self._plant()
        return {
            "env": self.env,
            **({} if self.model is None else {"model": self.model.read_text(encoding="utf-8")}),
            **(plant.description() if isinstance(plant, SimulatedPlant | OwnPlant) else {}),
            "steps": self.steps,
            "settle": settle,
            "noise": self.noise.resolved(plant),
            "pcctrl": pcctrl.__version__,
        }

    def _plant(self) -> Plant:
        return plant_of(self.env, self.model, self.plant, self.own)
