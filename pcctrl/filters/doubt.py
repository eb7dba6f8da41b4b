"""The outlier rule: which surprising sensor is doubted, and for how long."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pcctrl.arrays import Array

__all__ = ["PATIENCE", "THRESHOLD", "Doubt", "judge", "weigh"]

# A surprising sensor is doubted for so many samples running, then believed: without this cap a push of the robot is
# rejected for ever and the loop is lost (DESIGN §2.3).
PATIENCE = 3
# Of a squared innovation, in variances: one in two thousand is beyond.
THRESHOLD = 12.0
# What is believed after that may be larger than the surprise before it by this factor: a push goes on as it began, and
# an outlier that happens to come then does not.
_JUMP = 2.0


class Doubt(NamedTuple):
    """What a filter remembers of each sensor's surprises.

    Args:
        streak: how often it has been doubted since it last did not surprise (..., m).
        size: its last innovation, without sign (..., m).
        believed: whether it surprised and was believed, in the last sample (..., m).
    """

    streak: NDArray[np.int64]
    size: Array
    believed: NDArray[np.bool_]


def judge(
    innovation: Array,
    variance: Array,
    threshold: float,
    patience: int,
    memory: Doubt | None,
    present: NDArray[np.bool_] | None,
) -> tuple[Doubt, NDArray[np.bool_]]:
    """Return what to remember, and which sensors (..., m) to doubt now; others that surprise are believed.

    A sensor that surprises is doubted ``patience`` times running, and then as long as each surprise is more than twice
    the last, but never more than twice ``patience`` times until one does not surprise.

    Args:
        innovation: (..., m).
        variance: expected of it (..., m).
        threshold: of its square, in variances.
        patience: samples.
        memory: from the last sample, None at the first.
        present: (..., m), or None for all; one that is missing is neither doubted nor forgotten.
    """
    size = np.abs(innovation)
    if memory is None:
        memory = Doubt(
            np.zeros(size.shape, dtype=np.int64), np.full(size.shape, np.inf), np.zeros(size.shape, dtype=bool)
        )
    hit = innovation**2 > threshold * variance
    jump = (size > _JUMP * memory.size) & (memory.streak < 2 * patience)
    doubted = hit & ((memory.streak < patience) | jump)
    believed = hit & ~doubted
    # Once believed, a sensor is believed on, but for the jumps that are left.
    streak = np.where(doubted, memory.streak + 1, np.where(believed, memory.streak, 0))
    if present is not None:
        streak, size = np.where(present, streak, memory.streak), np.where(present, size, memory.size)
    return Doubt(streak, size, believed), doubted


def weigh(
    innovation: Array,
    spread: Array,
    R: Array,
    threshold: float,
    patience: int,
    memory: Doubt | None,
    present: NDArray[np.bool_] | None,
) -> tuple[Doubt, NDArray[np.bool_], Array]:
    """Return what to remember and which sensors to doubt, see `judge`, and the variances R (..., m) with those doubted.

    A doubted one's is what explains its innovation: R = max(R, ε² − HP⁻Hᵀ).

    Args:
        innovation: (..., m).
        spread: HP⁻Hᵀ, its variance by the prior alone (..., m).
        R: of the sensors (m,) or (..., m).
        threshold: of the squared innovation, in variances.
        patience: samples.
        memory: from the last sample, None at the first.
        present: (..., m), or None for all.
    """
    doubt, doubted = judge(innovation, spread + R, threshold, patience, memory, present)
    if doubted.any():
        R = np.where(doubted, np.maximum(R, innovation**2 - spread), R)
    return doubt, doubted, R
