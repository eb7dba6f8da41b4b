"""Friction of joints, in the plant."""

from __future__ import annotations

import numpy as np

from pcctrl.arrays import Array

__all__ = ["LAWS", "rubbing"]

LAWS = ("published", "coulomb", "none")
# At this rate (rad/s) Coulomb friction has reached 3/4 of its level.
_CREEP = 0.01


def rubbing(law: str, constants: Array, rate: Array) -> Array:
    r"""Return the friction (nv,) in N·m of joints at a rate (nv,) in rad/s.

    ``"published"`` is :math:`\varphi_1[\sigma(\varphi_2(\dot q + \varphi_3)) - \sigma(\varphi_2\varphi_3)]`, σ the
    logistic function, of Gaz et al. 2019; ``"coulomb"`` changes by as much from one side to the other, whatever the
    speed.

    Args:
        law: of `LAWS`.
        constants: (3, nv) φ.
        rate: of the joints.
    """
    level, slope, shift = constants
    if law == "published":
        return np.asarray(level * (_logistic(slope * (rate + shift)) - _logistic(slope * shift)))
    return 0.5 * level * np.tanh(rate / _CREEP) if law == "coulomb" else np.zeros_like(rate)


def _logistic(x: Array) -> Array:
    return np.asarray(0.5 + 0.5 * np.tanh(0.5 * x))
