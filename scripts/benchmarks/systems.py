"""The plants and noises of the benchmarks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pcctrl.models import LinearModel
from pcctrl.noise import Noise, OrnsteinUhlenbeck, Smooth, White

__all__ = ["SMOOTHNESS", "cart_pole", "colours", "mass_spring_damper", "smooth_or_white"]

SMOOTHNESS = (0.5, 1.0, 2.0, 3.0, 5.0)


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


def cart_pole(process: Noise, sensors: Sequence[Noise]) -> LinearModel:
    """Return the cart-pole about upright: 1 kg, 0.1 kg of half length 0.5 m, every 0.02 s.

    States: position, velocity, angle, angular velocity; sensors: position (m) and angle (rad); a force drives and
    disturbs the cart.
    """
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


def colours(
    dt: float, process_std: float, sensor_std: Sequence[float], floor: float
) -> dict[str, tuple[Noise, tuple[Noise, ...]]]:
    """Return the colours of the benchmarks by name, each the process noise and that of each sensor.

    white; AR(1): white process, sensors of 0.9 a sample; a number: the smoothness of all in samples; process/sensor.
    """

    def process(samples: float) -> Noise:
        return smooth_or_white(samples, dt, process_std, 1.0, floor)[0]

    def sensors(samples: float) -> tuple[Noise, ...]:
        return tuple(smooth_or_white(samples, dt, 1.0, std, floor)[1] for std in sensor_std)

    tau = -dt / float(np.log(0.9))
    return {
        "white": (process(0.0), sensors(0.0)),
        "AR(1)": (process(0.0), tuple(OrnsteinUhlenbeck(std, tau, floor) for std in sensor_std)),
        **{f"{s:g}": (process(s), sensors(s)) for s in SMOOTHNESS},
        "white/2": (process(0.0), sensors(2.0)),
        "2/white": (process(2.0), sensors(0.0)),
    }


def smooth_or_white(
    samples: float, dt: float, process_std: float, sensor_std: float, floor: float
) -> tuple[Noise, Noise]:
    """Return process and sensor noise, smooth over ``samples`` samples, or white for 0."""
    if samples == 0.0:
        return White(density=process_std * float(np.sqrt(dt))), White(std=sensor_std)
    return Smooth(process_std, samples * dt, floor), Smooth(sensor_std, samples * dt, floor)
