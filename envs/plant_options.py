"""What is sensed in a simulation, what pushes it, and what is wanted, as a command line states it."""

from __future__ import annotations

from dataclasses import dataclass, field

from pcctrl.arrays import positive
from pcctrl.errors import ParameterError
from pcctrl.models import Mismatch

__all__ = ["PlantOptions", "SensedOptions"]

_FURTHEST = 10_000


@dataclass(frozen=True)
class SensedOptions:
    """What is sensed in a simulation (an MJCF file or a Gymnasium id), and what pushes it."""

    sensors: tuple[str, ...] | None = None
    """Names: of MJCF sensors, or qpos:JOINT, qvel:JOINT, xpos:BODY, gyro:BODY, accelerometer:BODY; NAME_0, … for one
    number of several. By default the file's sensors, or all joints."""
    pushed: tuple[str, ...] | None = None
    """What the disturbances push: a joint, or BODY:x, y, z, rx, ry, rz. By default the joints that are driven."""
    dt: float | None = None
    """Sample time in seconds, a whole number of physics steps. By default the task's own, or a physics step."""
    start_std: float | None = None
    """Standard deviation of each position and velocity before the first sample, from the start; 0.1 by default."""
    wrong: Mismatch = field(default_factory=Mismatch)
    """In what the model that filters and agents are told is wrong; in nothing by default."""


@dataclass(frozen=True)
class PlantOptions(SensedOptions):
    """What is sensed in a simulation (an MJCF file or a Gymnasium id), what pushes it, and what is wanted."""

    goal: tuple[float, ...] | None = None
    """Positions (m, rad) wanted of all degrees of freedom. By default the task's own, or those at the start."""
    weight: tuple[float, ...] | None = None
    """Cost of a squared deviation of each position, then of each velocity; by default the task's own, or 1 and 0.01."""
    action_weight: float | None = None
    """Cost of a squared control, from that which holds the goal; by default the task's own, or 0.01."""
    horizon: int | None = None
    """Samples that a planner looks ahead, at most 10 000; by default the task's own, or 25."""
    end_weight: float | None = None
    """Cost of being off the goal at the end of plant.horizon, as a multiple of plant.weight, for agents that plan (aif,
    ilqr, mppi). By default what holding the goal costs from there on, which misleads far from it: for a pole that
    hangs, try 30 to 100."""

    def __post_init__(self) -> None:
        if self.horizon is not None and not 1 <= self.horizon <= _FURTHEST:
            expected = f"a number of samples from 1 to {_FURTHEST}"
            raise ParameterError(name="plant.horizon", expected=expected, received=self.horizon)
        if self.end_weight is not None:
            positive("plant.end-weight", self.end_weight)
