"""Models that several tests use."""

from __future__ import annotations

import numpy as np

from pcctrl.models import LinearModel
from pcctrl.noise import Noise, Smooth, White
from pcctrl.scripts.benchmarks.systems import cart_pole, mass_spring_damper

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


def smooth_cart_pole(samples: float, floor: float = 1e-3) -> LinearModel:
    """The linear cart-pole in smooth noise of ``samples`` samples, or white for 0."""
    dt = 0.02
    if samples == 0.0:
        return cart_pole(White(density=float(np.sqrt(dt))), (White(std=0.01), White(std=0.005)))
    s = samples * dt
    return cart_pole(Smooth(1.0, s, floor), (Smooth(0.01, s, floor), Smooth(0.005, s, floor)))
