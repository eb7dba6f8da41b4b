"""A linear model as a plant of the program, and two masses as the default one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from pcctrl.models import LinearModel
from pcctrl.noise import Smooth

if TYPE_CHECKING:
    from pcctrl.noise import Noise

__all__ = ["LinearPlant", "two_masses"]


@dataclass(frozen=True, eq=False)
class LinearPlant:
    """What the program needs to know of a linear model: its sample time, and the size of its noises.

    Args:
        model: plant and noise.
    """

    model: LinearModel
    has_own_noise: ClassVar[bool] = True

    def sample_time(self) -> float:
        """Return the sample time in seconds."""
        return self.model.dt

    @cached_property
    def process_std(self) -> tuple[float, ...]:
        """Standard deviation of each disturbance; of white ones when held over a sample."""
        dt = self.model.dt
        return tuple(w.whitened(dt, sensor=False).density / float(np.sqrt(dt)) for w in self.model.process_noise)

    @cached_property
    def sensor_std(self) -> tuple[float, ...]:
        """Standard deviation of each sensor, of its white floor if it has no colour."""
        return tuple(float(np.sqrt(z.variance or z.sensor_floor)) for z in self.model.sensor_noise)


def two_masses(process: Noise | None = None, sensor: Noise | None = None) -> LinearModel:
    """Return two masses of 1 kg in a row on a wall, the second one pushed and driven, the first one seen.

    Springs of 2 and 4 N/m, dampers of 0.3 and 0.2 N·s/m, dt 0.1 s. States: positions (m), then velocities (m/s).

    Args:
        process: the disturbing force in N; by default of 1 N, smooth over two samples.
        sensor: of the position in m; by default of 0.1 m, smooth over two samples.
    """
    stiffness, damping = (np.array([[a + b, -b], [-b, b]]) for a, b in ((2.0, 4.0), (0.3, 0.2)))
    force = np.array([[0.0], [0.0], [0.0], [1.0]])
    return LinearModel(
        np.block([[np.zeros((2, 2)), np.eye(2)], [-stiffness, -damping]]),
        force,
        np.array([[1.0, 0.0, 0.0, 0.0]]),
        dt=0.1,
        noise_input=force,
        process_noise=[Smooth(1.0, 0.2, 1e-3) if process is None else process],
        sensor_noise=[Smooth(0.1, 0.2, 1e-3) if sensor is None else sensor],
        states=("position_1", "position_2", "velocity_1", "velocity_2"),
        inputs=("force",),
        sensors=("position_1",),
    )
