"""What keeps physics that breaks down from spreading: NaN in its place, and no warnings beside it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import mujoco
import numpy as np
from numpy.typing import NDArray

from pcctrl.arrays import Array

__all__ = ["or_nan", "quiet", "sane", "usable"]

# Beyond this MuJoCo itself speaks of bad physics, prints a warning and writes a log file.
_HUGE = 1e10


@contextmanager
def quiet() -> Iterator[None]:
    """Let MuJoCo neither print nor log warnings meanwhile: where physics breaks down NaN is the answer, and enough.

    The setting is of the whole process. A MuJoCo that has none is left as it is.
    """
    configuration = getattr(mujoco, "MjLogConfig", None)
    if configuration is None:
        yield
        return
    before, silent = configuration.get(), configuration.get()
    silent.logto_console = silent.logto_file = False
    silent.set()
    try:
        yield
    finally:
        before.set()


def sane(*vectors: Array) -> bool:
    """Return whether all vectors (k,) together are finite and of a size that physics has."""
    # Of an arm's few numbers half the time of a product of NumPy's, and it does not overflow.
    numbers: list[float] = []
    for v in vectors:
        numbers += v.tolist()
    return math.hypot(*numbers) < _HUGE


def or_nan(x: Array) -> Array:
    """Return x (k,) if it is `sane`, else NaN throughout."""
    return x if sane(x) else np.full(x.shape, np.nan)


def usable(*arrays: Array) -> NDArray[np.bool_]:
    """Return which rows of all arrays (k, …) are finite and of a size that physics has."""
    # By the sum of squares, in which one NaN or infinity is enough.
    total = sum((np.einsum("ki,ki->k", a, a) for a in arrays), np.zeros(len(arrays[0])))
    return np.asarray(total < _HUGE**2)
