"""The colour of an environment's noise, as a command line or a sweep states it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import gymnasium as gym
import numpy as np

from pcctrl.arrays import choose, positive
from pcctrl.envs.regulation import RegulationEnv
from pcctrl.errors import ShapeError
from pcctrl.noise import Noise, OrnsteinUhlenbeck, Smooth, White

__all__ = ["NoiseOptions"]


@dataclass(frozen=True)
class NoiseOptions:
    """Colour and size of the noise in both the disturbance and the sensors."""

    colour: Literal["white", "ou", "smooth"] = "smooth"
    """white; ou (Ornstein-Uhlenbeck, rough); smooth (Gaussian autocovariance)."""
    s: float | None = None
    """Smoothness s (smooth) or correlation time tau (ou) in seconds; two samples by default."""
    floor: float = 1e-3
    """White variance of a coloured sensor relative to its coloured variance."""
    process_std: float | None = None
    """Marginal standard deviation of the disturbing force in N; the environment's own by default."""
    sensor_std: tuple[float, ...] | None = None
    """Standard deviation of each sensor in its unit; the environment's own by default."""
    bias: tuple[float, ...] | None = None
    """Constant error of each sensor in its unit."""
    dropout: float = 0.0
    """Probability that a sample of a sensor is missing."""
    delay: float = 0.0
    """Delay of all sensors in seconds, a whole number of samples."""

    def make(self, env_id: str, plant: type[RegulationEnv], **options: Any) -> gym.Env[Any, Any]:
        """Return the environment ``env_id``, whose class is ``plant``, with this noise.

        Raises:
            ShapeError, ParameterError, UnknownNameError: an option is out of range or of the wrong size.
        """
        choose("noise.colour", self.colour, ("white", "ou", "smooth"))
        for name, value in (("noise.s", self.s), ("noise.process-std", self.process_std)):
            if value is not None:
                positive(name, value)
        positive("noise.floor", self.floor)
        dt = plant.sample_time()
        own = plant.sensor_std
        sensor_std = own if self.sensor_std is None else self.sensor_std
        if len(sensor_std) != len(own):
            raise ShapeError(name="noise.sensor-std", expected=f"{len(own)} numbers", received=sensor_std)
        process_std = plant.process_std if self.process_std is None else self.process_std
        return gym.make(
            env_id,
            process_noise=self._noise(process_std, dt, sensor=False),
            sensor_noise=[self._noise(positive("noise.sensor-std", std), dt, sensor=True) for std in sensor_std],
            bias=0.0 if self.bias is None else self.bias,
            dropout=self.dropout,
            delay=self.delay,
            **options,
        )

    def resolved(self, plant: type[RegulationEnv]) -> dict[str, Any]:
        """Return the options with every default filled in, for a configuration file."""
        filled = {
            "s": 2.0 * plant.sample_time() if self.s is None else self.s,
            "process_std": plant.process_std if self.process_std is None else self.process_std,
            "sensor_std": list(plant.sensor_std if self.sensor_std is None else self.sensor_std),
            "bias": [0.0] * len(plant.sensor_std) if self.bias is None else list(self.bias),
        }
        return asdict(self) | filled

    def _noise(self, std: float, dt: float, *, sensor: bool) -> Noise:
        if self.colour == "white":
            return White(std=std) if sensor else White(density=std * float(np.sqrt(dt)))
        s = 2.0 * dt if self.s is None else self.s
        return (OrnsteinUhlenbeck if self.colour == "ou" else Smooth)(std, s, self.floor)
