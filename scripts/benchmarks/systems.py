"""The plants and noises of the benchmarks."""

from __future__ import annotations

import numpy as np

from pcctrl.models import LinearModel
from pcctrl.noise import Noise, Smooth, White

__all__ = ["mass_spring_damper", "smooth_or_white"]


def mass_spring_damper(process: Noise, sensor: Noise) -> LinearModel:
    """Return the mass-spring-damper of 1 kg, 4 N/m, 0.4 N·s/m, its position sampled every 0.1 s."""
    force = np.array([[0.0], [1.0]])
    return LinearModel(
        np.array([[0.0, 1.0], [-4.0, -0.4]]),
        force,
        np.array([[1.0, 0.0]]),
        dt=0.1,
        noise_input=force,
        process_noise=[process],
        sensor_noise=[sensor],
        states=("position", "velocity"),
        inputs=("force",),
        sensors=("position",),
    )


def smooth_or_white(
    samples: float, dt: float, process_std: float, sensor_std: float, floor: float
) -> tuple[Noise, Noise]:
    """Return process and sensor noise, smooth over ``samples`` samples, or white for 0."""
    if samples == 0.0:
        return White(density=process_std * float(np.sqrt(dt))), White(std=sensor_std)
    return Smooth(process_std, samples * dt, floor), Smooth(sensor_std, samples * dt, floor)
