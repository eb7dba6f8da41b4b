"""The plants and noises of the benchmarks."""

from __future__ import annotations

import numpy as np

from pcctrl.models import LinearModel
from pcctrl.noise import Noise, Smooth, White

__all__ = ["mass_spring_damper", "smooth_or_white", "two_masses"]


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


def two_masses(process: Noise, sensor: Noise) -> LinearModel:
    """Return two masses in a chain, sampled every 0.1 s: the far one is pushed, the position of the near one measured.

    Wall, 2 N/m and 0.3 N·s/m, 1 kg, 4 N/m and 0.2 N·s/m, 1 kg.
    """
    stiffness, damping = (np.array([[a + b, -b], [-b, b]]) for a, b in ((2.0, 4.0), (0.3, 0.2)))
    force = np.array([[0.0], [0.0], [0.0], [1.0]])
    return LinearModel(
        np.block([[np.zeros((2, 2)), np.eye(2)], [-stiffness, -damping]]),
        force,
        np.array([[1.0, 0.0, 0.0, 0.0]]),
        dt=0.1,
        noise_input=force,
        process_noise=[process],
        sensor_noise=[sensor],
        states=("near position", "far position", "near velocity", "far velocity"),
        inputs=("force",),
        sensors=("near position",),
    )


def smooth_or_white(
    samples: float, dt: float, process_std: float, sensor_std: float, floor: float
) -> tuple[Noise, Noise]:
    """Return process and sensor noise, smooth over ``samples`` samples, or white for 0."""
    if samples == 0.0:
        return White(density=process_std * float(np.sqrt(dt))), White(std=sensor_std)
    return Smooth(process_std, samples * dt, floor), Smooth(sensor_std, samples * dt, floor)
