r"""Dryden gusts at low altitude (MIL-F-8785C), as noise.

From white noise of unit intensity, with L in m and V the airspeed in m/s,

.. math:: H_u = \sigma_u\frac{\sqrt{2L_u/V}}{1 + (L_u/V) s},\qquad
          H_{v,w} = \sigma\sqrt{L/V}\,\frac{1 + \sqrt3\,(L/V) s}{(1 + (L/V) s)^2}.
"""

from __future__ import annotations

from math import sqrt
from typing import Literal

from pcctrl.arrays import choose, positive
from pcctrl.errors import ParameterError
from pcctrl.noise.rational import Rational

__all__ = ["dryden"]

_FOOT, _KNOT = 0.3048, 1852.0 / 3600.0
# Wind at 20 ft, in knots.
_WIND = {"light": 15.0, "moderate": 30.0, "severe": 45.0}
_HIGHEST = 1000.0 * _FOOT


def dryden(
    height: float,
    airspeed: float,
    turbulence: Literal["light", "moderate", "severe"] = "moderate",
    scale: float = 1.0,
) -> tuple[Rational, Rational, Rational]:
    """Return the gusts along the wind, across it, and vertical.

    Args:
        height: above ground in m, below 1000 ft.
        airspeed: V in m/s; of a vehicle that hovers it is the mean wind.
        turbulence: by the wind at 20 ft: 15, 30 or 45 knots.
        scale: 1 for gusts in m/s; a drag coefficient in N·s/m for the forces that they make.

    Raises:
        ParameterError: a value that is not positive, or a height for which the specification has other formulas.
        UnknownNameError: another turbulence.
    """
    positive("airspeed", airspeed)
    positive("scale", scale)
    if positive("height", height) >= _HIGHEST:
        raise ParameterError(name="height", expected=f"below {_HIGHEST:g} m", received=height)
    feet = height / _FOOT
    sigma_w = 0.1 * _WIND[choose("turbulence", turbulence, _WIND)] * _KNOT
    shear = 0.177 + 0.000823 * feet
    sigma_u, along, up = sigma_w / shear**0.4, height / shear**1.2 / airspeed, height / airspeed
    return (
        Rational((scale * sigma_u * sqrt(2.0 * along),), (along, 1.0)),
        _transverse(scale * sigma_u, along),
        _transverse(scale * sigma_w, up),
    )


def _transverse(sigma: float, time: float) -> Rational:
    """Return the gust across the airspeed, of standard deviation ``sigma`` and L / V = ``time`` in seconds."""
    gain = sigma * sqrt(time)
    return Rational((gain * sqrt(3.0) * time, gain), (time**2, 2.0 * time, 1.0))
