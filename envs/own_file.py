"""What environments on an MJCF file of this folder have in common."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import mujoco

from pcctrl.noise import Smooth

__all__ = ["OwnFile"]


class OwnFile:
    """An MJCF file beside the code, and what follows from its physics step. A subclass names it."""

    file: ClassVar[str]
    frame_skip_: ClassVar[int] = 1

    @classmethod
    def path(cls) -> str:
        """Return the path of the MJCF file."""
        return str(Path(__file__).with_name(cls.file))

    @classmethod
    def sample_time(cls) -> float:
        """Return the control interval in seconds."""
        return float(mujoco.MjModel.from_xml_path(cls.path()).opt.timestep) * cls.frame_skip_

    @classmethod
    def default_noise(cls, std: float) -> Smooth:
        """Return the environment's own colour, smooth over two samples with a floor of 1e-3, at a given std."""
        return Smooth(std, s=2.0 * cls.sample_time(), floor=1e-3)
