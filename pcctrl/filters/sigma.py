r"""Sigma points: a Gaussian as a few points that any function can be asked about.

With P = L Lᵀ there is one at the mean and a pair at ± c times each column of L, of weights 1 / (2 c²) each. For their
images, δ from that of the mean, :math:`\bar\delta = \sum W\delta` is the shift of the mean and the covariance

.. math:: \sum_i W (\delta_i - t\bar\delta)(\delta_i - t\bar\delta)^\top,\qquad
          t = a - \sqrt{\beta a},\quad a = c^2 / N :

the scaled unscented transform of α² = a, κ = 0 as a sum of squares, with no negative weight. c = √3 is exact for the
fourth moments of a Gaussian along each column, β = 2 for the mean's part in its covariance. Source: Julier 2002.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pcctrl.arrays import Array
from pcctrl.models import GeneralisedModel

__all__ = ["Spread", "across_points", "deviations", "paired", "points", "predict_points", "root"]


class Spread(NamedTuple):
    """How far sigma points lie from the mean, in standard deviations, and β."""

    width: float = 3.0**0.5
    beta: float = 2.0


def root(P: Array) -> Array:
    """Return L (..., N, N) with L Lᵀ = P, for a P that is only positive semi-definite; NaN where P is not finite."""
    variance = np.diagonal(P, axis1=-2, axis2=-1)
    scale = np.sqrt(np.where(variance > 0.0, variance, 1.0))
    correlation = P / (scale[..., :, None] * scale[..., None, :])
    finite = np.isfinite(correlation).all(axis=(-2, -1), keepdims=True)
    values, vectors = np.linalg.eigh(np.where(finite, correlation, 0.0))
    L = scale[..., :, None] * vectors * np.sqrt(np.maximum(values, 0.0))[..., None, :]
    return np.asarray(np.where(finite, L, np.nan))


def points(joint: GeneralisedModel, mean: Array, L: Array, spread: Spread) -> Array:
    """Return the sigma points (..., 2N + 1, N), the mean first."""
    moves = spread.width * np.swapaxes(L, -1, -2)
    moves = np.concatenate([np.zeros_like(moves[..., :1, :]), moves, -moves], axis=-2)
    return joint.integrate(np.broadcast_to(mean[..., None, :], moves.shape), moves)


def deviations(moves: Array, size: int, spread: Spread) -> tuple[Array, Array]:
    """Return the mean's shift (..., k), and the weighted deviations (..., k, 2N) whose squares sum to the covariance.

    Args:
        moves: δ of the images (..., 2N, k) from that of the mean.
        size: N.
        spread: of the points.
    """
    weight, a = 0.5 / spread.width**2, spread.width**2 / size
    shift = weight * moves.sum(axis=-2)
    t = a - np.sqrt(spread.beta * a)
    return shift, np.swapaxes(np.sqrt(weight) * (moves - t * shift[..., None, :]), -1, -2)


def _sent(joint: GeneralisedModel, mean: Array, P: Array, u: Array, spread: Spread) -> tuple[Array, Array, Array]:
    """Return the root L of P, the mean one sample later, and the weighted deviations from it, all in one batch."""
    L = root(np.broadcast_to(P, (*mean.shape, mean.shape[-1])))
    images = joint.ahead(points(joint, mean, L, spread), u[..., None, :])
    centre = images[..., 0, :]
    rest = images[..., 1:, :]
    shift, X = deviations(joint.difference(rest, np.broadcast_to(centre[..., None, :], rest.shape)), joint.size, spread)
    return L, joint.integrate(centre, shift), X


def predict_points(joint: GeneralisedModel, mean: Array, P: Array, u: Array, spread: Spread) -> tuple[Array, Array]:
    """Return mean and covariance one sample later, without what drives it."""
    _, later, X = _sent(joint, mean, P, u, spread)
    return later, X @ np.swapaxes(X, -1, -2)


def across_points(joint: GeneralisedModel, mean: Array, P: Array, u: Array, spread: Spread) -> Array:
    """Return the covariance (..., N, N) of a state with what it will be one sample later."""
    L, _, X = _sent(joint, mean, P, u, spread)
    return paired(L) @ np.swapaxes(X, -1, -2)


def paired(L: Array) -> Array:
    """Return the weighted deviations (..., N, 2N) of the sigma points themselves, in the order of `points`."""
    return np.asarray(np.concatenate([L, -L], axis=-1) / np.sqrt(2.0))
