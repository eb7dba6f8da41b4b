r"""Noise, once: the same object drives a simulated sensor or disturbance and describes it to a filter.

A coloured noise is a chain in orthonormal generalised coordinates, :math:`\dot z = A z + \xi`,
:math:`\langle\xi\xi^\top\rangle = Q\delta`, read out as :math:`H z`: the coordinates are orthonormal combinations of
the noise and its derivatives, so their stationary covariance is exactly the identity (:math:`A + A^\top + Q = 0`),
where the covariance of the derivatives themselves has a condition number of 1e6 and more. Source: DESIGN §2.1; the
first-order chain is the Ornstein-Uhlenbeck process, the Gaussian one a Hermite basis.
"""

from pcctrl.noise.base import Noise, Sum, White
from pcctrl.noise.coloured import Coloured, OrnsteinUhlenbeck, Smooth
from pcctrl.noise.dryden import dryden
from pcctrl.noise.faults import During, Ramp, Stuck
from pcctrl.noise.imperfections import Bias, Delay, Drift, Dropout, Freeze, Imperfection, Outliers, Quantisation
from pcctrl.noise.rational import Matern, Rational
from pcctrl.noise.streams import Chain, NoiseStream

__all__ = [
    "Bias",
    "Chain",
    "Coloured",
    "Delay",
    "Drift",
    "Dropout",
    "During",
    "Freeze",
    "Imperfection",
    "Matern",
    "Noise",
    "NoiseStream",
    "OrnsteinUhlenbeck",
    "Outliers",
    "Quantisation",
    "Ramp",
    "Rational",
    "Smooth",
    "Stuck",
    "Sum",
    "White",
    "dryden",
]
