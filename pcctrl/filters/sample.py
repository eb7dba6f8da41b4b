"""What a nonlinear filter makes of a sample on its way from prior to posterior."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pcctrl.arrays import Array
from pcctrl.free_energy import Correction

__all__ = ["Found", "Sample", "Sensed"]


class Sensed(NamedTuple):
    """What a prior expects of the sensors.

    Args:
        prior: what `NonlinearFilter._bayes` takes for the prior.
        reading: expected (..., m).
        rows: how the sensors depend on the prior, (..., m, ·); a row of zeros for one that is not there.
        spread: variances of the readings (..., m) by the prior alone.
    """

    prior: Array
    reading: Array
    rows: Array
    spread: Array


class Sample(NamedTuple):
    """A sample as it is used: readings y (..., m), which are present (..., m) or None for all, and variances R."""

    y: Array
    present: NDArray[np.bool_] | None
    R: Array

    def error(self, reading: Array) -> Array:
        """Return y minus what was expected (..., m), 0 for a missing sensor."""
        error = self.y - reading
        return error if self.present is None else np.where(self.present, error, 0.0)

    def masked(self, rows: Array) -> Array:
        """Return the rows (..., m, ·) of the sensors, of zeros for missing ones."""
        return rows if self.present is None else rows * self.present[..., :, None]


class Found(NamedTuple):
    """Where the mean went (..., N), by what correction, and how: see `Info`."""

    mean: Array
    correction: Correction
    iterations: int = 1
    residual: float = 0.0
    capped: NDArray[np.bool_] | None = None
    energy: Array | None = None
