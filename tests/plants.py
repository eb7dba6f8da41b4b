"""Models that several tests use."""

from __future__ import annotations

import numpy as np

from pcctrl.models import LinearModel
from pcctrl.noise import Noise, Smooth, White
from pcctrl.scripts.benchmarks.systems import mass_spring_damper

DT = 0.1
WHITE = (White(density=float(np.sqrt(DT))), White(std=0.1))


def smooth(samples: float, floor: float = 1e-4) -> tuple[Noise, Noise]:
    """Process and sensor noise of ``samples`` samples for the mass-spring-damper."""
    return Smooth(1.0, samples * DT, floor), Smooth(0.1, samples * DT, floor)


def white_msd() -> LinearModel:
    """The mass-spring-damper in white noise."""
    return mass_spring_damper(*WHITE)


def smooth_msd(samples: float = 2.0, floor: float = 1e-4) -> LinearModel:
    """The mass-spring-damper in smooth noise."""
    return mass_spring_damper(*smooth(samples, floor))


def cart_pole(process: Noise, sensors: tuple[Noise, Noise]) -> LinearModel:
    """The linear cart-pole of DESIGN: M 1, m 0.1, half length 0.5, dt 0.02; states x, ẋ, θ, θ̇."""
    M, m, length, g = 1.0, 0.1, 0.5, 9.81
    inertia = np.array([[M + m, m * length], [m * length, 4.0 / 3.0 * m * length**2]])
    by_angle = np.linalg.solve(inertia, [0.0, m * g * length])
    by_force = np.linalg.solve(inertia, [1.0, 0.0])
    A = np.zeros((4, 4))
    A[0, 1] = A[2, 3] = 1.0
    A[1, 2], A[3, 2] = by_angle
    B = np.array([[0.0], [by_force[0]], [0.0], [by_force[1]]])
    return LinearModel(
        A, B, np.eye(4)[[0, 2]], dt=0.02, noise_input=B, process_noise=[process], sensor_noise=list(sensors)
    )


def smooth_cart_pole(samples: float, floor: float = 1e-3) -> LinearModel:
    """The linear cart-pole in smooth noise of ``samples`` samples, or white for 0."""
    dt = 0.02
    if samples == 0.0:
        return cart_pole(White(density=float(np.sqrt(dt))), (White(std=0.01), White(std=0.005)))
    s = samples * dt
    return cart_pole(Smooth(1.0, s, floor), (Smooth(0.01, s, floor), Smooth(0.005, s, floor)))
