"""No control at all: inputs that shake every actuator, to record a log from which much can be seen."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from pcctrl.arrays import Array, frozen, positive
from pcctrl.controllers.base import ControlInfo, Goal, bounds, limited

if TYPE_CHECKING:
    from pcctrl.filters import Belief

__all__ = ["Excitation"]

# Waves of an input, and how far apart phases and frequencies are: by the golden ratio no two coincide.
_WAVES, _GOLDEN = 3, 0.5 * (5.0**0.5 - 1.0)


@dataclass(frozen=True, eq=False)
class Excitation:
    r"""Open-loop multisines, whatever is believed and wanted.

    .. math:: u_i(t) = \bar u_i + a_i \sum_{j=1}^{3} \tfrac13 \sin(2\pi f_{ij} t + \phi_{ij})

    Frequencies lie between a half and twice ``frequency``; they and the phases differ from input to input.

    Args:
        rest: (p,) the inputs about which they move; the midpoint where rest is at a limit.
        dt: sample time in seconds.
        limits: (low, high) of the inputs, each one number or (p,).
        part: amplitude a, as a part of the way from rest to the nearer limit; of 1 where there is none.
        frequency: in Hz, below a tenth of the sample rate or else that.

    Raises:
        ShapeError, ParameterError: an argument of the wrong shape or sign.
    """

    rest: Array
    dt: float
    limits: tuple[ArrayLike, ArrayLike] | None = None
    part: float = 0.7
    frequency: float = 1.0
    _amplitude: Array = field(init=False, repr=False)

    def __post_init__(self) -> None:
        rest = frozen(np.array(self.rest, dtype=np.float64))
        low, high = bounds(self.limits, len(rest))
        reach = np.maximum(np.minimum(rest - low, high - rest), 0.0)
        # A thruster or a muscle rests at a limit: it moves about its midpoint.
        stuck = (reach == 0.0) & np.isfinite(high - low)
        lowest, highest = np.where(stuck, low, rest), np.where(stuck, high, rest)
        rest, reach = frozen(0.5 * (lowest + highest)), np.where(stuck, 0.5 * (highest - lowest), reach)
        amplitude = positive("part", self.part) * np.where(np.isfinite(reach), reach, 1.0)
        frequency = min(positive("frequency", self.frequency), 0.1 / positive("dt", self.dt))
        values = {"rest": rest, "limits": (low, high), "frequency": frequency, "_amplitude": frozen(amplitude)}
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def init(self, batch: tuple[int, ...] = ()) -> Array:
        """Return the number of samples (*batch, 1) so far."""
        return np.zeros((*batch, 1))

    def act(self, state: Array, belief: Belief, goal: Goal = None) -> tuple[Array, Array, ControlInfo]:  # noqa: ARG002
        """Return the count (..., 1), the input (..., p) within the limits, and what it was made of."""
        wave = np.arange(_WAVES * len(self.rest)).reshape(-1, _WAVES)
        spread = np.remainder((wave + 1) * _GOLDEN, 1.0)
        angle = self.frequency * 2.0 ** (2.0 * spread - 1.0) * self.dt * state[..., None] + 7.0 * spread
        u = self.rest + self._amplitude * np.sin(2.0 * np.pi * angle).mean(axis=-1)
        low, high = bounds(self.limits, len(self.rest))
        u = limited(u, low, high)
        return state + 1.0, u, ControlInfo(u, np.zeros_like(u))
