"""Whether a simulation still is one."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import mujoco
import numpy as np

from pcctrl.arrays import Array

__all__ = ["broken"]

_WARNINGS = [
    int(kind)
    for kind in (mujoco.mjtWarning.mjWARN_BADQPOS, mujoco.mjtWarning.mjWARN_BADQVEL, mujoco.mjtWarning.mjWARN_BADQACC)
]


def broken(env: gym.Env[Any, Any], state: Array, cost: float) -> bool:
    """Tell whether the physics of an environment has broken down since its reset.

    A state or cost that is not finite says so. MuJoCo itself goes back to the start when its numbers do, as if nothing
    had been, and only warns ("BADQACC").

    Args:
        env: any; with a MuJoCo ``data`` its warnings are read.
        state: after the last step.
        cost: of the last step.
    """
    if not (np.isfinite(cost) and np.isfinite(state).all()):
        return True
    data = getattr(env.unwrapped, "data", None)
    return isinstance(data, mujoco.MjData) and any(data.warning[kind].number for kind in _WARNINGS)
