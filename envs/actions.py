"""The check of an action that every environment of ours makes."""

from __future__ import annotations

import numpy as np
from gymnasium.spaces import Box
from numpy.typing import ArrayLike

from pcctrl.arrays import Array, as_floats
from pcctrl.errors import ParameterError, ShapeError

__all__ = ["as_action"]


def as_action(action: ArrayLike, space: Box) -> Array:
    """Return ``action`` as float64, within the limits of ``space``.

    Raises:
        ShapeError: it has another size.
        ParameterError: it is not finite.
    """
    u = as_floats("action", action, f"numbers of shape {space.shape}")
    if u.shape != space.shape:
        raise ShapeError(name="action", expected=f"shape {space.shape}", received=f"shape {u.shape}")
    if not np.isfinite(u).all():
        raise ParameterError(name="action", expected="finite numbers", received=u)
    return np.clip(u, space.low, space.high)
