r"""Sigma points: a Gaussian as a few points that any function can be asked about.

With P = L Lᵀ there is one at the mean and a pair at ± c times each column of L, of weights 1 / (2 c²) each. For their
images, δ from that of the mean, :math:`\bar\delta = \sum W\delta` is the shift of the mean and the covariance

.. math:: \sum_i W (\delta_i - t\bar\delta)(\delta_i - t\bar\delta)^\top,\qquad
          t = a - \sqrt{\beta a},\quad a = c^2 / N :

the scaled unscented transform of α² = a, κ = 0 as a sum of squares, with no negative weight. c = √3 is exact for the
fourth moments of a Gaussian along each column, β = 2 for the mean's part in its covariance. Source: Julier 2002.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pcctrl.arrays import Array, product, stretched
from pcctrl.models import GeneralisedModel

__all__ = ["Ahead", "Spread", "across_points", "deviations", "mixed", "paired", "points", "predict_points", "root"]

# Below this an eigenvalue of a correlation is rounding.
_SMALL = 1e-12


class Spread(NamedTuple):
    """How far sigma points lie from the mean, in standard deviations, and β."""

    width: float = 3.0**0.5
    beta: float = 2.0


class Ahead(NamedTuple):
    """A belief one sample later.

    Args:
        mean: (..., N).
        covariance: (..., N, N).
        along: what of the state now is sent by points, a column each (..., N, k).
        sent: the weighted deviations (..., N, 2k) of their images.
        rest: covariance (..., N, N) of all else now with what it will be.
    """

    mean: Array
    covariance: Array
    along: Array
    sent: Array
    rest: Array

    @property
    def across(self) -> Array:
        """Covariance (..., N, N) of the state now with the state then."""
        return np.asarray(paired(self.along) @ np.swapaxes(self.sent, -1, -2) + self.rest)


def root(P: Array) -> Array:
    """Return L (..., N, N) with L Lᵀ = P, for a P that is only positive semi-definite; NaN where P is not finite."""
    scale, values, vectors = _principal(P)
    return np.asarray(scale[..., :, None] * vectors * np.sqrt(np.maximum(values, 0.0))[..., None, :])


def _principal(P: Array) -> tuple[Array, Array, Array]:
    """Return the standard deviations of P (1 for none) and its correlation's eigenvalues and vectors, NaN for NaN."""
    variance = np.diagonal(P, axis1=-2, axis2=-1)
    scale = np.sqrt(np.where(variance > 0.0, variance, 1.0))
    correlation = P / (scale[..., :, None] * scale[..., None, :])
    finite = np.isfinite(correlation).all(axis=(-2, -1), keepdims=True)
    values, vectors = np.linalg.eigh(np.where(finite, correlation, 0.0))
    return scale, values, np.where(finite, vectors, np.nan)


def points(joint: GeneralisedModel, mean: Array, L: Array, spread: Spread) -> Array:
    """Return the sigma points (..., 2N + 1, N), the mean first."""
    moves = spread.width * np.swapaxes(L, -1, -2)
    moves = np.concatenate([np.zeros_like(moves[..., :1, :]), moves, -moves], axis=-2)
    return joint.integrate(mean[..., None, :], moves)


def deviations(moves: Array, size: int, spread: Spread) -> tuple[Array, Array]:
    """Return the mean's shift (..., k), and the weighted deviations (..., k, 2N) whose squares sum to the covariance.

    Args:
        moves: δ of the images (..., 2N, k) from that of the mean.
        size: N, half their number.
        spread: of the points.
    """
    weight, a = 0.5 / spread.width**2, spread.width**2 / size
    shift = weight * moves.sum(axis=-2)
    t = a - np.sqrt(spread.beta * a)
    return shift, np.swapaxes(np.sqrt(weight) * (moves - t * shift[..., None, :]), -1, -2)


def _sent(
    joint: GeneralisedModel, mean: Array, L: Array, u: Array, spread: Spread, centre: Array | None = None
) -> tuple[Array, Array]:
    """Return the mean one sample later, and the weighted deviations from it along L (..., N, k), all in one batch.

    The image of the mean itself, ``centre``, may be known.
    """
    sent = points(joint, mean, L, spread)
    images = joint.ahead(sent if centre is None else sent[..., 1:, :], u[..., None, :])
    centre, rest = (images[..., 0, :], images[..., 1:, :]) if centre is None else (centre, images)
    moves = joint.difference(rest, centre[..., None, :])
    shift, X = deviations(moves, L.shape[-1], spread)
    return joint.integrate(centre, shift), X


def predict_points(joint: GeneralisedModel, mean: Array, P: Array, u: Array, spread: Spread) -> tuple[Array, Array]:
    """Return mean and covariance one sample later, without what drives it."""
    later, X = _sent(joint, mean, root(np.broadcast_to(P, (*mean.shape, mean.shape[-1]))), u, spread)
    return later, X @ np.swapaxes(X, -1, -2)


def across_points(joint: GeneralisedModel, mean: Array, P: Array, u: Array, spread: Spread) -> Array:
    """Return the covariance (..., N, N) of a state with what it will be one sample later."""
    L = root(np.broadcast_to(P, (*mean.shape, mean.shape[-1])))
    _, X = _sent(joint, mean, L, u, spread)
    return paired(L) @ np.swapaxes(X, -1, -2)


def mixed(joint: GeneralisedModel, mean: Array, P: Array, u: Array, some: Sequence[int], spread: Spread) -> Ahead:
    r"""Return the prediction, by sigma points along ``some`` states and by derivatives F for the rest.

    .. math:: P = M M^\top + P_\perp,\qquad M = P_{\cdot s} P_{ss}^{-1/2}

    M is what goes with those states, in k columns, :math:`P_\perp` what is left once they are known, and their images
    add up to :math:`X X^\top + F P_\perp F^\top + Q`. With no states it is the extended filter's prediction, with all
    of them that of sigma points. Source: Lefebvre et al. 2002, statistical linearisation.
    """
    centre, F, Q = joint.linearised(mean, u)
    P, back = stretched(P, F.shape), np.swapaxes(F, -1, -2)
    if len(some) == 1:
        variance = P[..., some, some]
        M = P[..., some] / np.sqrt(np.where(variance > 0.0, variance, np.inf))[..., None, :]
    else:
        scale, values, vectors = _principal(P[..., some, :][..., some])
        inverse = 1.0 / np.sqrt(np.where(values > _SMALL, values, np.inf))
        M = P[..., some] @ (vectors / scale[..., :, None] * inverse[..., None, :])
    later, X = _sent(joint, mean, M, u, spread, centre)
    rest = product(P - product(M, np.swapaxes(M, -1, -2)), back)
    return Ahead(later, product(X, np.swapaxes(X, -1, -2)) + product(F, rest) + Q, M, X, rest)


def paired(L: Array) -> Array:
    """Return the weighted deviations (..., N, 2N) of the sigma points themselves, in the order of `points`."""
    return np.asarray(np.concatenate([L, -L], axis=-1) / np.sqrt(2.0))
