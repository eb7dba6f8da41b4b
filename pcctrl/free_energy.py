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

from dataclasses import dataclass

import numpy as np

from pcctrl.arrays import Array

__all__ = ["Correction", "correct", "curvature", "distance", "gradient", "minimum", "value"]

_LOG_2PI = float(np.log(2.0 * np.pi))


@dataclass(frozen=True, slots=True, eq=False)
class Correction:
    """What minimising the free energy does to a Gaussian prior; N states, m sensors, any leading batch dimensions.

    Args:
        gain: K (..., N, m).
        innovation_covariance: S (..., m, m).
        innovation_precision: S⁻¹ (..., m, m).
        log_det: ln |S| (...).
        covariance: posterior Σ (..., N, N), the inverse curvature of F.
    """

    gain: Array
    innovation_covariance: Array
    innovation_precision: Array
    log_det: Array
    covariance: Array


def correct(P: Array, C: Array, R: Array) -> Correction:
    r"""Return the correction of a prior covariance P (..., N, N) by sensors C (..., m, N), white variances R (..., m).

    A row of zeros in C with R = 1 is a sensor that is not there. The sensors are taken one by one, since their white
    noises are independent: two of them on one state would make S singular to rounding where P is much larger than R.
    Each is Joseph's form, :math:`(I - kc)P(I - kc)^\top + kRk^\top`, which stays symmetric and positive semi-definite.
    """
    m, N = C.shape[-2:]
    R = np.broadcast_to(R, np.broadcast_shapes(R.shape, C.shape[:-1], (*P.shape[:-2], m)))
    batch = R.shape[:-1]
    # Sensor i sees what the others before it left: its innovation is row i of M times all of them.
    M, gains = np.zeros((*batch, m, m)), np.zeros((*batch, N, m))
    variance, posterior = np.empty((*batch, m)), P
    for i in range(m):
        c, r = C[..., i, :], R[..., i, None]
        Pc = (posterior @ c[..., None])[..., 0]
        s = (c * Pc).sum(axis=-1, keepdims=True) + r
        k = Pc / s
        half = posterior - k[..., :, None] * Pc[..., None, :]
        across = (half @ c[..., None])[..., 0]
        posterior = half - across[..., :, None] * k[..., None, :] + (r * k)[..., :, None] * k[..., None, :]
        if i:
            M[..., i, :] = -(c[..., None, :] @ (gains @ M))[..., 0, :]
        M[..., i, i] = 1.0
        gains[..., :, i], variance[..., i] = k, s[..., 0]
    S = C @ P @ C.swapaxes(-1, -2) + R[..., None] * np.eye(m)
    precision = M.swapaxes(-1, -2) @ (M / variance[..., None])
    posterior = 0.5 * (posterior + posterior.swapaxes(-1, -2))
    return Correction(gains @ M, S, precision, np.log(variance).sum(axis=-1), posterior)


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
    return np.asarray(0.5 * ((error**2 / R).sum(axis=-1) + x))


def gradient(way: Array, innovation: Array, C: Array, R: Array, prior_precision: Array) -> Array:
    r"""Return ∇F (..., N) = :math:`\Pi_x\epsilon_x - C^\top\Pi_y\epsilon_y`; arguments as for `value`."""
    error = innovation - (C @ way[..., None])[..., 0]
    return np.asarray(
        (prior_precision @ way[..., None])[..., 0] - (C.swapaxes(-1, -2) @ (error / R)[..., None])[..., 0]
    )


def minimum(nis: Array, correction: Correction, present: Array | int) -> Array:
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
