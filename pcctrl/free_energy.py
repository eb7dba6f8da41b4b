r"""The free energy of a Gaussian belief, and Bayes' rule, each written once.

With sensory errors :math:`\epsilon_y = y - g(\mu)` of precision :math:`\Pi_y` and prior errors
:math:`\epsilon_x = \mu - \mu^-` of precision :math:`\Pi_x = (P^-)^{-1}`,

.. math:: F(\mu) = \tfrac12\epsilon_y^\top\Pi_y\epsilon_y + \tfrac12\epsilon_x^\top\Pi_x\epsilon_x
          - \tfrac12\ln|\Pi_y| - \tfrac12\ln|\Pi_x|,\qquad
          F'' = \Pi_x + C^\top\Pi_y C .

For a linear readout C one Gauss-Newton step from :math:`\mu^-` reaches the minimum, :math:`\mu^- + K\epsilon`,
:math:`K = P^-C^\top S^{-1}`, :math:`S = CP^-C^\top + R`: the Kalman update. There :math:`F + \tfrac12\ln|F''|`
(and constants) is :math:`-\ln p(y\mid\text{past}) = \tfrac12\epsilon^\top S^{-1}\epsilon + \tfrac12\ln|2\pi S|`; its
sum over time is the path free energy by which noise is learned. Everything is computed in covariance form, since
:math:`P^-` may be singular. Source: DESIGN §2.3; Friston et al. 2008 for the Laplace form.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg.blas import dgemv, dger

from pcctrl.arrays import Array

__all__ = ["Correction", "correct", "correct_points", "curvature", "distance", "energy", "gradient", "minimum", "value"]

_LOG_2PI = float(np.log(2.0 * np.pi))


class Correction(NamedTuple):
    r"""What minimising the free energy does to a Gaussian prior; N states, m sensors, any leading batch dimensions.

    The sensors are taken one by one: the innovation that the i-th still has after those before it is row i of the unit
    triangle M times all of them, with variance v_i. What follows from that is computed when asked for.

    Args:
        gain: K (..., N, m).
        covariance: posterior Σ (..., N, N), the inverse curvature of F.
        triangle: M (..., m, m).
        variances: v (..., m).
    """

    gain: Array
    covariance: Array
    triangle: Array
    variances: Array

    @property
    def innovation_covariance(self) -> Array:
        """S (..., m, m)."""
        inverse = np.linalg.inv(self.triangle)
        return np.asarray((inverse * self.variances[..., None, :]) @ inverse.swapaxes(-1, -2))

    @property
    def innovation_precision(self) -> Array:
        """S⁻¹ (..., m, m)."""
        return np.asarray(self.triangle.swapaxes(-1, -2) @ (self.triangle / self.variances[..., None]))

    @property
    def log_det(self) -> Array:
        """Ln |S| (...)."""
        return np.asarray(np.log(self.variances).sum(axis=-1))


def correct(P: Array, C: Array, R: Array) -> Correction:
    r"""Return the correction of a prior covariance P (..., N, N) by sensors C (..., m, N), white variances R (..., m).

    A row of zeros in C with R = 1 is a sensor that is not there. The sensors are taken one by one, since their white
    noises are independent: two of them on one state would make S singular to rounding where P is much larger than R.
    Each is Joseph's form, :math:`(I - kc)P(I - kc)^\top + kRk^\top`, which stays symmetric and positive semi-definite.
    """
    m, N = C.shape[-2:]
    if P.ndim == 2 and C.ndim == 2 and R.ndim == 1:
        return _correct_one(P, C, R)
    batch = np.broadcast_shapes(P.shape[:-2], C.shape[:-2], R.shape[:-1])
    R = np.broadcast_to(R, (*batch, m))
    M, gains = np.zeros((*batch, m, m)), np.zeros((*batch, N, m))
    variances, posterior = np.empty((*batch, m)), P
    for i in range(m):
        c, r = C[..., i, :], R[..., i, None]
        Pc = (posterior @ c[..., None])[..., 0]
        v = (c * Pc).sum(axis=-1, keepdims=True) + r
        k = Pc / v
        half = posterior - k[..., :, None] * Pc[..., None, :]
        rest = (half @ c[..., None])[..., 0] - r * k
        posterior = half - rest[..., :, None] * k[..., None, :]
        if i:
            M[..., i, :] = -(c[..., None, :] @ (gains @ M))[..., 0, :]
        M[..., i, i] = 1.0
        gains[..., :, i], variances[..., i] = k, v[..., 0]
    posterior = 0.5 * (posterior + posterior.swapaxes(-1, -2))
    return Correction(gains @ M, posterior, M, variances)


def _correct_one(P: Array, C: Array, R: Array) -> Correction:
    """Do the same for one belief, in the fewest calls: here a call costs more than its arithmetic.

    BLAS takes an outer product off a matrix in place, where NumPy makes two more of that size. It wants columns first:
    P goes in as its transpose, which is itself.
    """
    m, N = C.shape
    M, gains, variances = np.zeros((m, m)), np.empty((m, N)), np.empty(m)
    P = P.copy().T
    for i in range(m):
        c, r = C[i], R[i]
        Pc = P.dot(c)
        v = c.dot(Pc) + r
        k = Pc / v
        # The last argument of dger: in place. half = P - k (Pc)', rest = half c - r k, P = half - rest k'.
        half = dger(-1.0, k, Pc, 1, 1, P, 1, 1, 1)
        rest = dgemv(1.0, half, c, -r, k)
        P = dger(-1.0, rest, k, 1, 1, half, 1, 1, 1)
        if i:
            M[i] = -gains[:i].dot(c).dot(M[:i])
        M[i, i] = 1.0
        gains[i], variances[i] = k, v
    # Adding what lies alike in memory takes half the time, the copy included.
    covariance = P.T + P.copy("C")
    covariance *= 0.5
    return Correction(gains.T.dot(M), covariance, M, variances)


def correct_points(X: Array, Y: Array, R: Array) -> Correction:
    r"""Return the correction of a prior given by deviations: P = X Xᵀ, its sensors' covariance Y Yᵀ, across them X Yᵀ.

    With Y = C X it is `correct`. A row of zeros in Y with R = 1 is a sensor that is not there. The posterior is a sum
    of squares, :math:`(X - KY)(X - KY)^\top + KRK^\top`.

    Args:
        X: (..., N, k).
        Y: (..., m, k).
        R: white variances (..., m).
    """
    m, N = Y.shape[-2], X.shape[-2]
    batch = np.broadcast_shapes(X.shape[:-2], Y.shape[:-2], R.shape[:-1])
    R = np.broadcast_to(R, (*batch, m))
    M, gain, variances = np.zeros((*batch, m, m)), np.zeros((*batch, N, m)), np.empty((*batch, m))
    # One sensor after another, as there: rows of states and sensors lose what the sensor explains of them.
    rows = np.concatenate([np.broadcast_to(A, (*batch, *A.shape[-2:])) for A in (X, Y)], axis=-2)
    M[..., range(m), range(m)] = 1.0
    for i in range(m):
        y = rows[..., N + i, :]
        v = (y**2).sum(axis=-1) + R[..., i]
        k = (rows @ y[..., None])[..., 0] / v[..., None]
        rows = np.concatenate(
            [rows - k[..., None] * y[..., None, :], (np.sqrt(R[..., i, None]) * k)[..., None]], axis=-1
        )
        gain += k[..., :N, None] * M[..., i, None, :]
        M[..., i + 1 :, :] -= k[..., N + i + 1 :, None] * M[..., i, None, :]
        variances[..., i] = v
    left = rows[..., :N, :]
    return Correction(gain, left @ np.swapaxes(left, -1, -2), M, variances)


def value(way: Array, innovation: Array, C: Array, R: Array, prior_precision: Array) -> Array:
    r"""Return F (...) without its constants :math:`-\tfrac12\ln|\Pi_y| - \tfrac12\ln|\Pi_x|`, ``way`` from the prior.

    Args:
        way: :math:`\mu - \mu^-` (..., N), which is the prior error ε_x.
        innovation: y minus its prediction at the prior (..., m).
        C: (..., m, N).
        R: (..., m).
        prior_precision: Π_x (..., N, N).
    """
    error = innovation - (C @ way[..., None])[..., 0]
    x = (way[..., None, :] @ prior_precision @ way[..., None])[..., 0, 0]
    return energy(error, R, x)


def energy(error: Array, R: Array, prior_square: Array) -> Array:
    r"""Return F (...) without its constants, of any readout.

    Args:
        error: ε_y, y minus what the sensors read at μ (..., m); 0 for one that is not there.
        R: (..., m).
        prior_square: :math:`\epsilon_x^\top\Pi_x\epsilon_x` (...).
    """
    return np.asarray(0.5 * ((error**2 / R).sum(axis=-1) + prior_square))


def gradient(way: Array, innovation: Array, C: Array, R: Array, prior_precision: Array) -> Array:
    r"""Return ∇F (..., N) = :math:`\Pi_x\epsilon_x - C^\top\Pi_y\epsilon_y`; arguments as for `value`."""
    error = innovation - (C @ way[..., None])[..., 0]
    return np.asarray(
        (prior_precision @ way[..., None])[..., 0] - (C.swapaxes(-1, -2) @ (error / R)[..., None])[..., 0]
    )


def minimum(nis: Array | float, correction: Correction, present: Array | int) -> Array:
    r"""Return :math:`-\ln p(y\mid\text{past})` in nats, (...): the free energy at its minimum with the Laplace term.

    Args:
        nis: normalised innovation squared :math:`\epsilon^\top S^{-1}\epsilon`, (...).
        correction: whose S (with 1 on the diagonal of an absent sensor) gives the normalisation.
        present: number of sensors that were there, (...).
    """
    return np.asarray(0.5 * (nis + correction.log_det + np.asarray(present) * _LOG_2PI))


def curvature(covariance: Array) -> Array:
    """Return F'' (..., N, N), the inverse of a posterior covariance, which must be positive definite."""
    scale = np.sqrt(np.diagonal(covariance, axis1=-2, axis2=-1))
    outer = scale[..., :, None] * scale[..., None, :]
    return np.asarray(np.linalg.inv(covariance / outer) / outer)


def distance(left: Array, H: Array) -> float:
    """Return the way ``left`` (..., N) to the minimum in posterior standard deviations, the largest of the batch.

    It is √(δᵀF''δ), so that F exceeds its minimum by half its square.
    """
    return float(np.sqrt(np.maximum(np.einsum("...i,...ij,...j->...", left, H, left), 0.0)).max(initial=0.0))
