r"""The quadratic value function of a linear model under known forecasts: the minimiser behind LQR and EFE, once.

Over :math:`x_{k+1} = A x_k + B u_k + F_{xe} e_k`, :math:`e_{k+1} = F_{ee} e_k` and the cost
:math:`\sum_k (x_k - T e_k)^\top W (x_k - T e_k) + u_k^\top \rho\, u_k` the minimiser is
:math:`u = -L_x x - L_e e`. :math:`S_{xx}` solves the n × n Riccati equation,

.. math:: S_{xe} = (A - BL_x)^\top (S_{xx}F_{xe} + S_{xe}F_{ee}) - W T,\qquad
          L_e = (\rho + B^\top S_{xx}B)^{-1}B^\top (S_{xx}F_{xe} + S_{xe}F_{ee}),

a Stein equation, so that e need not be stabilisable (a goal is constant, a disturbance not ours to move). Source:
DESIGN §2.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from pcctrl.arrays import Array, as_array, as_covariance, as_floats
from pcctrl.errors import ShapeError
from pcctrl.linalg import riccati, stein

if TYPE_CHECKING:
    from pcctrl.models import JointModel

__all__ = ["QuadraticValue", "cost_matrix", "feedback", "forecast_gain", "padded", "preview"]


@dataclass(frozen=True, eq=False)
class QuadraticValue:
    """The part of the value function over the state alone.

    Args:
        A: (n, n) over one sample.
        B: (n, p).
        S: (n, n) value Hessian S_xx.
        L: (p, n) feedback gain L_x.
        weight: (n, n) state weight W.
        curvature: (p, p) ρ + BᵀSB.
    """

    A: Array
    B: Array
    S: Array
    L: Array
    weight: Array
    curvature: Array


def cost_matrix(name: str, value: ArrayLike, size: int, *, definite: bool) -> Array:
    """Return a (size, size) weight, inertia or bandwidth from a matrix, its diagonal, or one number for all.

    Raises:
        ShapeError: none of the three.
        ParameterError: asymmetric or indefinite.
    """
    array = as_floats(name, value, f"a ({size}, {size}) matrix, its diagonal, or one number")
    if array.ndim < 2:
        array = np.diag(as_array(name, np.zeros(size) + array if array.ndim == 0 else array, (size,)))
    return as_covariance(name, array, size, definite=definite)


def feedback(joint: JointModel, weight: Array, rho: Array) -> QuadraticValue:
    """Solve for the state feedback of the plant in ``joint`` with weights W (n, n) and ρ (p, p).

    Raises:
        ModelError: the plant cannot be stabilised by its inputs, or W leaves an unstable mode unseen.
    """
    n = joint.plant
    A, B = joint.F[:n, :n], joint.B[:n]
    S = riccati(A, B, weight, rho, name="model")
    curvature = rho + B.T @ S @ B
    return QuadraticValue(A, B, S, np.asarray(np.linalg.solve(curvature, B.T @ S @ A)), weight, curvature)


def forecast_gain(value: QuadraticValue, F_xe: Array, F_ee: Array, target: Array | None = None) -> Array:
    """Return L_e (p, k) for signals e with known dynamics F_ee (k, k) that push the state by F_xe (n, k).

    Args:
        value: the solved feedback.
        F_xe: (n, k).
        F_ee: (k, k).
        target: T (n, k) if the state should follow T e, None if e only pushes.
    """
    closed = value.A - value.B @ value.L
    constant = closed.T @ value.S @ F_xe
    if target is not None:
        constant = constant - value.weight @ target
    S_xe = stein(closed.T, constant, F_ee)
    return np.asarray(np.linalg.solve(value.curvature, value.B.T @ (value.S @ F_xe + S_xe @ F_ee)))


def preview(value: QuadraticValue, targets: Array) -> Array:
    """Return what to subtract from u (..., p) for targets (..., H, n) of the next H samples, 0 from then on."""
    closed = value.A - value.B @ value.L
    slope = np.zeros(targets.shape[:-2] + targets.shape[-1:])
    for k in reversed(range(targets.shape[-2])):
        slope = slope @ closed - targets[..., k, :] @ value.weight
    return np.asarray(np.linalg.solve(value.curvature, (slope @ value.B)[..., None])[..., 0])


def padded(gain: Array, size: int) -> Array:
    """Return a gain (p, ·) on the first joint states with zeros for the rest of ``size``.

    Raises:
        ShapeError: it reads more than that: controller and filter believe in different models.
    """
    if gain.shape[1] > size:
        raise ShapeError(name="gain", expected=f"at most {size} joint states, as the filter has", received=gain.shape)
    return np.hstack([gain, np.zeros((len(gain), size - gain.shape[1]))])
