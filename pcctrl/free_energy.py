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

__all__ = ["Correction", "correct", "curvature", "distance", "minimum"]

_LOG_2PI = float(np.log(2.0 * np.pi))


@dataclass(frozen=True, slots=True, eq=False)
class Correction:
    """What minimising the free energy does to a Gaussian prior; N states, m sensors, any leading batch dimensions.

    Args:
        gain: K (..., N, m).
        innovation_covariance: S (..., m, m).
        innovation_precision: S⁻¹ (..., m, m).
        covariance: posterior Σ (..., N, N), the inverse curvature of F.
    """

    gain: Array
    innovation_covariance: Array
    innovation_precision: Array
    covariance: Array


def correct(P: Array, C: Array, R: Array) -> Correction:
    """Return the correction of a prior covariance P (..., N, N) by sensors C (..., m, N), white variances R (..., m).

    A row of zeros in C with R = 1 is a sensor that is not there. The posterior is formed in Joseph's way, which stays
    symmetric and positive semi-definite over any number of steps.
    """
    CP = C @ P
    S = CP @ C.swapaxes(-1, -2)
    diagonal = np.einsum("...ii->...i", S)
    diagonal += R
    precision = np.linalg.inv(S)
    precision = 0.5 * (precision + precision.swapaxes(-1, -2))
    K = CP.swapaxes(-1, -2) @ precision
    left = -(K @ C)
    diagonal = np.einsum("...ii->...i", left)
    diagonal += 1.0
    KR = K * R[..., None, :]
    posterior = left @ P @ left.swapaxes(-1, -2) + KR @ K.swapaxes(-1, -2)
    return Correction(K, S, precision, 0.5 * (posterior + posterior.swapaxes(-1, -2)))


def minimum(nis: Array, correction: Correction, present: Array | int) -> Array:
    r"""Return :math:`-\ln p(y\mid\text{past})` in nats, (...): the free energy at its minimum with the Laplace term.

    Args:
        nis: normalised innovation squared :math:`\epsilon^\top S^{-1}\epsilon`, (...).
        correction: whose S (with 1 on the diagonal of an absent sensor) gives the normalisation.
        present: number of sensors that were there, (...).
    """
    _, log_det = np.linalg.slogdet(correction.innovation_covariance)
    return np.asarray(0.5 * (nis + log_det + np.asarray(present) * _LOG_2PI))


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
