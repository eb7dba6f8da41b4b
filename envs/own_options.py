"""What may be chosen of pcctrl's own arms and quadrotor, as a command line states it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar, Literal

import gymnasium as gym

from pcctrl.envs.arms import Trajectory
from pcctrl.errors import ModelError
from pcctrl.models import Mismatch

__all__ = ["ArmOptions", "OwnOptions", "OwnPlant", "QuadrotorOptions"]


@dataclass(frozen=True)
class OwnOptions:
    """Options of some of the environments. A subclass names them; what is None is as the environment has it."""

    group: ClassVar[str]
    envs: ClassVar[tuple[str, ...]]

    def given(self) -> dict[str, Any]:
        """Return what was chosen, as keyword arguments of ``gym.make``."""
        chosen = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "wrong"}
        wrong = getattr(self, "wrong", Mismatch())
        said = {name: value for name, value in chosen.items() if value is not None}
        return said if wrong == Mismatch() else {**said, "mismatch": wrong}


@dataclass(frozen=True)
class ArmOptions(OwnOptions):
    """What pcctrl/Arm2-v0 and pcctrl/Arm7-v0 do and have, and what their agents are not told."""

    group = "arm"
    envs = ("pcctrl/Arm2-v0", "pcctrl/Arm7-v0")
    trajectory: Trajectory | None = None
    """reach (minimum-jerk moves to random points), track (sinusoids), hold (at home, pushed at the tip for a second) or
    press (on a springy pad); track by default."""
    friction: Literal["published", "coulomb", "none"] | None = None
    """Dry friction in the joints, untold: published (the Panda's smooth law), coulomb (as much at any speed) or none;
    published by default."""
    encoders: tuple[Literal["link", "motor"], ...] | None = None
    """Encoders that are there; both by default."""
    payload: tuple[float, float] | None = None
    """KG and S: a mass picked up at the tip, and the seconds after which it is, untold; none by default."""
    push: float | None = None
    """Force at the tip in N where the trajectory is hold; 20 by default."""
    wrong: Mismatch = field(default_factory=Mismatch)
    """In what the model that filters and agents are told is wrong; in nothing by default."""


@dataclass(frozen=True)
class QuadrotorOptions(OwnOptions):
    """How pcctrl/Quadrotor-v0 is seen and blown."""

    group = "quadrotor"
    envs = ("pcctrl/Quadrotor-v0",)
    sensing: Literal["motion capture", "imu"] | None = None
    """'motion capture' (position and attitude) or imu (position and yaw, a gyroscope and an accelerometer); motion
    capture by default."""
    wind: float | None = None
    """Mean wind in m/s, whose gusts pass by at that speed; 5 by default."""


@dataclass(frozen=True)
class OwnPlant:
    """One of the environments with what was chosen of it, for `NoiseOptions`.

    Args:
        chosen: the options.
        process_std: standard deviation of each disturbance, likewise of each sensor.
        sensor_std: see above.
        has_own_noise: see `Plant`.
        dt: sample time in s.
    """

    chosen: OwnOptions
    process_std: tuple[float, ...]
    sensor_std: tuple[float, ...]
    has_own_noise: bool
    dt: float

    @classmethod
    def of(cls, env_id: str, chosen: OwnOptions) -> OwnPlant:
        """Return the plant behind ``env_id``.

        Raises:
            ModelError: an environment that has no such options.
            PcctrlError: an option that it refuses.
        """
        if env_id not in chosen.envs:
            expected = f"options of {chosen.group} for {' or '.join(chosen.envs)} alone"
            raise ModelError(name=chosen.group, expected=expected, received=f"them for {env_id}")
        env: Any = gym.make(env_id, **chosen.given()).unwrapped
        return cls(chosen, env.process_std, env.reading_std, env.has_own_noise, env.dt)

    def sample_time(self) -> float:
        """Return the sample time in seconds."""
        return self.dt

    def description(self) -> dict[str, Any]:
        """Return what results belong to."""
        return asdict(self.chosen)
