"""Derivatives of any model by central differences in tangent space, all points in one batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pcctrl.arrays import Array

if TYPE_CHECKING:
    from collections.abc import Callable

    from pcctrl.models.nonlinear import NonlinearModel
    from pcctrl.models.protocol import GenerativeModel

__all__ = ["chain_rule", "differentiate", "differentiate_rates", "differentiate_readout", "differentiate_transition"]

# The cube root of the rounding, which balances it with the curvature; relative to values above 1.
_STEP = 6e-6


def differentiate(function: Callable[[Array], Array], model: GenerativeModel, x: Array) -> Array:
    """Return the derivative (..., k, n) of a function of states, (..., 2n, n) to (..., 2n, k), at x (..., n)."""
    nothing = np.zeros((*x.shape[:-1], 0))
    (points, *_), steps = _perturbed(model, x, nothing, nothing)
    return _split(function(points), steps, x, nothing)[0]


def differentiate_transition(model: GenerativeModel, x: Array, u: Array, w: Array) -> tuple[Array, Array, Array]:
    """Return F (..., n, n), B (..., n, p) and G (..., n, q) at x (..., n), u (..., p) and w (..., q) of one batch."""
    points, steps = _perturbed(model, x, u, w)
    ahead = model.transition(*points)
    centre = model.transition(x, u, w)[..., None, :]
    return _split(model.difference(ahead, np.broadcast_to(centre, ahead.shape)), steps, x, u)


def differentiate_readout(model: GenerativeModel, x: Array, u: Array, w: Array) -> tuple[Array, Array, Array]:
    """Return C (..., m, n), D (..., m, p) and E (..., m, q) at x (..., n), u (..., p) and w (..., q) of one batch."""
    points, steps = _perturbed(model, x, u, w)
    return _split(model.readout(*points), steps, x, u)


def differentiate_rates(model: NonlinearModel, x: Array, u: Array, w: Array) -> tuple[Array, Array, Array]:
    """Return the derivatives (..., n, n), (..., n, p) and (..., n, q) of f at x, u and w of one batch."""
    points, steps = _perturbed(model, x, u, w)
    return _split(model.derivative(*points), steps, x, u)


def chain_rule(model: NonlinearModel, x: Array, u: Array, w: Array) -> Array:
    """Return [F, B, G] (..., n, n + p + q) of a sample by the chain rule from the model's own derivatives of f."""
    n, p, q = (a.shape[-1] for a in (x, u, w))
    h = model.dt / model.substeps
    total = np.broadcast_to(np.eye(n, n + p + q), (*x.shape[:-1], n, n + p + q))

    def slope(x: Array, moved: Array) -> tuple[Array, Array]:
        A, B, G = model.derivative_jacobians(x, u, w)
        return model.derivative(x, u, w), A @ moved + np.concatenate([np.zeros_like(A), B, G], axis=-1)

    with np.errstate(all="ignore"):
        for _ in range(model.substeps):
            k1, K1 = slope(x, total)
            if model.time == "discrete":
                x, total = k1, K1
                continue
            k2, K2 = slope(x + 0.5 * h * k1, total + 0.5 * h * K1)
            k3, K3 = slope(x + 0.5 * h * k2, total + 0.5 * h * K2)
            k4, K4 = slope(x + h * k3, total + h * K3)
            x = x + (h / 6.0) * (k1 + 2.0 * (k2 + k3) + k4)
            total = total + (h / 6.0) * (K1 + 2.0 * (K2 + K3) + K4)
    return np.asarray(total)


def _perturbed(model: GenerativeModel, x: Array, u: Array, w: Array) -> tuple[tuple[Array, Array, Array], Array]:
    """Return the points (..., 2k, …), first all forth, then all back, and the steps (..., k), k = n + p + q."""
    sizes = [a.shape[-1] for a in (x, u, w)]
    steps = _STEP * np.maximum(1.0, np.abs(np.concatenate([x, u, w], axis=-1)))
    moves = steps[..., None] * np.eye(sum(sizes))
    moves = np.concatenate([moves, -moves], axis=-2)
    by_x, by_u, by_w = np.split(moves, np.cumsum(sizes)[:-1], axis=-1)
    here = np.broadcast_to(x[..., None, :], by_x.shape)
    return (model.integrate(here, by_x), u[..., None, :] + by_u, w[..., None, :] + by_w), steps


def _split(values: Array, steps: Array, x: Array, u: Array) -> tuple[Array, Array, Array]:
    forth, back = np.split(values, 2, axis=-2)
    J = np.swapaxes((forth - back) / (2.0 * steps[..., None]), -1, -2)
    n, p = x.shape[-1], u.shape[-1]
    return J[..., :n], J[..., n : n + p], J[..., n + p :]
