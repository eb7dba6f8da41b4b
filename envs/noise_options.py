"""The colour of an environment's noise, as a command line or a sweep states it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

import gymnasium as gym
import numpy as np

from pcctrl.arrays import choose, positive
from pcctrl.envs.light_dark import LightDarkEnv
from pcctrl.envs.linear_system import LinearPlant
from pcctrl.envs.own_options import OwnPlant
from pcctrl.envs.simulation import SIMULATION, SimulatedPlant
from pcctrl.errors import ParameterError, ShapeError
from pcctrl.models import Delayed, GenerativeModel
from pcctrl.noise import Noise, OrnsteinUhlenbeck, Smooth, White

__all__ = ["ColourOptions", "NoiseOptions", "Plant"]


class Plant(Protocol):
    """What the options need to know of an environment: `RegulationEnv` classes and `LinearPlant` have it."""

    @property
    def process_std(self) -> tuple[float, ...]:
        """Standard deviation of each disturbance."""
        ...

    @property
    def sensor_std(self) -> tuple[float, ...]:
        """Standard deviation of each sensor."""
        ...

    @property
    def has_own_noise(self) -> bool:
        """Whether its noise is more than what these options could say, so that ``own`` leaves it as it is."""
        ...

    def sample_time(self) -> float:
        """Return the sample time in seconds."""
        ...


_COLOURS = ("own", "white", "ou", "smooth")


@dataclass(frozen=True)
class ColourOptions:
    """Colour and size of the noise in both the disturbance and the sensors, as filters and agents are told it."""

    colour: Literal["own", "white", "ou", "smooth"] = "own"
    """own (what the environment or model has; smooth over two samples for most MuJoCo plants); white; ou
    (Ornstein-Uhlenbeck, rough); smooth (Gaussian autocovariance)."""
    s: float | None = None
    """Smoothness s (smooth) or correlation time tau (ou) in seconds; two samples by default."""
    sensor_colour: Literal["white", "ou", "smooth"] | None = None
    """Colour of the sensors alone, if it is another."""
    sensor_s: float | None = None
    """As s, of the sensors alone."""
    floor: float = 1e-3
    """White variance of a coloured sensor relative to its coloured variance."""
    process_std: tuple[float, ...] | None = None
    """Marginal standard deviation of each disturbance (of the force in N); the environment's own by default."""
    sensor_std: tuple[float, ...] | None = None
    """Standard deviation of each sensor in its unit; the environment's own by default."""
    delay: float | None = None
    """Delay of all sensors in seconds, a whole number of samples; by default none, or a linear model's own. The agents
    are told it."""

    def told(self, plant: SimulatedPlant) -> GenerativeModel:
        """Return the model of a simulation with this noise, for estimation: of what can be steered or not.

        Raises:
            ShapeError, ParameterError, UnknownNameError: an option is out of range or of the wrong size.
        """
        model = plant.told(*self._noises(plant))
        return Delayed(model, self.delay) if self.delay else model

    def _kept(self, plant: Plant) -> bool:
        """Tell whether the noise is the plant's own, untouched."""
        if self.colour != "own" or not plant.has_own_noise:
            return False
        coloured = (("s", self.s), ("sensor-colour", self.sensor_colour), ("sensor-s", self.sensor_s))
        for name, value in (*coloured, ("process-std", self.process_std), ("sensor-std", self.sensor_std)):
            if value is not None:
                expected = f"white, ou or smooth with noise.{name}: the plant's own noise is kept as it is"
                raise ParameterError(name="noise.colour", expected=expected, received="own")
        return True

    def _noises(self, plant: Plant) -> tuple[list[Noise] | None, list[Noise] | None]:
        choose("noise.colour", self.colour, _COLOURS)
        positive("noise.floor", self.floor)
        process_s = self._time("noise.s", self.colour, self.s)
        if self._kept(plant):
            return None, None
        colour, given = self.sensor_colour or self.colour, self.sensor_s
        if given is None and self.sensor_colour is None:
            given = self.s
        sensor_s = self._time("noise.sensor-s", choose("noise.sensor-colour", colour, _COLOURS), given)
        dt, names = plant.sample_time(), getattr(getattr(plant, "model", None), "sensors", None)
        process_std = self._stds("noise.process-std", self.process_std, plant.process_std)
        sensor_std = self._stds("noise.sensor-std", self.sensor_std, plant.sensor_std, names)
        return (
            [self._noise(self.colour, std, process_s, dt, sensor=False) for std in process_std],
            [self._noise(colour, std, sensor_s, dt, sensor=True) for std in sensor_std],
        )

    @staticmethod
    def _time(name: str, colour: str, s: float | None) -> float | None:
        if s is not None:
            positive(name, s)
            if colour == "white":
                raise ParameterError(name=name, expected="none, with white noise", received=s)
        return s

    @staticmethod
    def _stds(
        name: str, given: Sequence[float] | None, own: Sequence[float], names: Sequence[str] | None = None
    ) -> list[float]:
        stds = own if given is None else given
        if len(stds) != len(own):
            of = "" if names is None else f", of {', '.join(names)}"
            raise ShapeError(name=name, expected=f"{len(own)} numbers{of}", received=stds)
        return [positive(name, std) for std in stds]

    def _noise(self, colour: str, std: float, s: float | None, dt: float, *, sensor: bool) -> Noise:
        if colour == "white":
            return White(std=std) if sensor else White(density=std * float(np.sqrt(dt)))
        s = 2.0 * dt if s is None else s
        return (OrnsteinUhlenbeck if colour == "ou" else Smooth)(std, s, self.floor)


@dataclass(frozen=True)
class NoiseOptions(ColourOptions):
    """Colour and size of the noise in both the disturbance and the sensors."""

    bias: tuple[float, ...] | None = None
    """Constant error of each sensor in its unit."""
    dropout: float = 0.0
    """Probability that a sample of a sensor is missing."""

    def make(self, env_id: str, plant: Plant, **options: Any) -> gym.Env[Any, Any]:
        """Return the environment ``env_id``, which is ``plant``, with this noise.

        Raises:
            ShapeError, ParameterError, UnknownNameError: an option is out of range or of the wrong size.
        """
        if plant is LightDarkEnv:
            if self != NoiseOptions():
                raise ParameterError(
                    name="noise", expected=f"none, for the noise of {env_id} is its own", received=self
                )
            return gym.make(env_id, **options)
        process, sensor = self._noises(plant)
        if isinstance(plant, LinearPlant):
            options["model"] = plant.model
        elif isinstance(plant, OwnPlant):
            options |= plant.chosen.given()
        elif isinstance(plant, SimulatedPlant):
            env_id, options["plant"] = SIMULATION, plant
        return gym.make(
            env_id,
            process_noise=process,
            sensor_noise=sensor,
            bias=0.0 if self.bias is None else self.bias,
            dropout=self.dropout,
            delay=own_delay(plant) if self.delay is None else self.delay,
            **options,
        )

    def resolved(self, plant: Plant) -> dict[str, Any]:
        """Return the options with every default filled in, for a configuration file."""
        filled: dict[str, Any] = {
            "process_std": list(plant.process_std if self.process_std is None else self.process_std),
            "sensor_std": list(plant.sensor_std if self.sensor_std is None else self.sensor_std),
            "bias": [0.0] * len(plant.sensor_std) if self.bias is None else list(self.bias),
            "delay": own_delay(plant) if self.delay is None else self.delay,
        }
        if self._kept(plant):
            return asdict(self) | filled | {"floor": None}
        colour = "smooth" if self.colour == "own" else self.colour
        sensed = self.sensor_colour or colour
        usual = 2.0 * plant.sample_time()
        same_s = self.s if self.sensor_colour is None else None
        filled |= {"colour": colour, "s": usual if self.s is None else self.s}
        sensor_s = next((s for s in (self.sensor_s, same_s) if s is not None), usual)
        return asdict(self) | filled | {"sensor_colour": sensed, "sensor_s": None if sensed == "white" else sensor_s}


def own_delay(plant: Plant) -> float | list[float]:
    """Return the delay of each sensor in seconds that a linear model has, or 0."""
    delay = plant.model.delay if isinstance(plant, LinearPlant) else None
    return 0.0 if delay is None else np.asarray(delay).tolist()
