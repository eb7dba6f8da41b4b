"""A convex quadratic function in a box."""

from __future__ import annotations

import numpy as np

from pcctrl.arrays import Array
from pcctrl.controllers.base import limited

__all__ = ["box_minimum"]

# Newton steps, and halvings of one.
_MOST = 50
_ARMIJO = 1e-4


def box_minimum(H: Array, g: Array, low: Array, high: Array) -> tuple[Array, Array]:
    """Return the minimiser (p,) of ½ xᵀHx + gᵀx in the box, which holds 0, and which of its entries are free.

    By a projected Newton method. Source: Bertsekas, SIAM J. Control Optim. 1982.

    Args:
        H: (p, p) positive definite.
        g: (p,).
        low: (p,).
        high: (p,).

    Raises:
        LinAlgError: H is singular to rounding.
    """
    x = limited(np.zeros(len(g)), low, high)
    free = np.ones(len(g), dtype=bool)
    value = 0.5 * x @ H @ x + g @ x
    for _ in range(_MOST):
        slope = g + H @ x
        free = ~(((x <= low) & (slope > 0.0)) | ((x >= high) & (slope < 0.0)))
        if not free.any():
            break
        step = np.zeros(len(g))
        step[free] = -np.linalg.solve(H[np.ix_(free, free)], slope[free])
        length, better = 1.0, x
        for _ in range(_MOST):
            better = limited(x + length * step, low, high)
            lower = 0.5 * better @ H @ better + g @ better
            if lower <= value + _ARMIJO * slope @ (better - x):
                break
            length *= 0.5
        else:
            break
        done = np.abs(better - x).max() <= 1e-14 * max(np.abs(better).max(), 1e-300)
        x, value = better, lower
        if done:
            break
    return x, free
