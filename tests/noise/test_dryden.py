"""Dryden gusts against the formulas that the specification prints."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pcctrl.errors import ParameterError, PcctrlError, UnknownNameError
from pcctrl.noise import Rational, dryden

HEIGHT, AIRSPEED = 6.0, 5.0
LAGS = np.linspace(0.0, 12.0, 49)


def published() -> tuple[float, float, float, float]:
    """L_u, L_w in m, σ_u, σ_w in m/s at 6 m in moderate turbulence: MIL-F-8785C, in its own feet and knots."""
    feet = HEIGHT / 0.3048
    W20 = 30.0 * 0.514444
    L_u = feet / (0.177 + 0.000823 * feet) ** 1.2 * 0.3048
    sigma_w = 0.1 * W20
    return L_u, HEIGHT, sigma_w / (0.177 + 0.000823 * feet) ** 0.4, sigma_w


def longitudinal(lags: np.ndarray, L: float, sigma: float) -> np.ndarray:
    return sigma**2 * np.exp(-lags * AIRSPEED / L)


def transverse(lags: np.ndarray, L: float, sigma: float) -> np.ndarray:
    distance = lags * AIRSPEED / L
    return sigma**2 * np.exp(-distance) * (1.0 - 0.5 * distance)


def test_autocovariances_are_the_published_ones() -> None:
    L_u, L_w, sigma_u, sigma_w = published()
    assert L_u == pytest.approx(43.1, abs=0.05)
    assert sigma_u / sigma_w == pytest.approx(1.93, abs=0.005)
    u, v, w = dryden(HEIGHT, AIRSPEED)
    np.testing.assert_allclose(u.autocovariance(LAGS), longitudinal(LAGS, L_u, sigma_u), rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(v.autocovariance(LAGS), transverse(LAGS, L_u, sigma_u), rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(w.autocovariance(LAGS), transverse(LAGS, L_w, sigma_w), rtol=1e-5, atol=1e-9)


def test_negative_control_a_gust_along_the_wind_is_not_one_across_it() -> None:
    L_u, _, sigma_u, _ = published()
    u, v, _ = dryden(HEIGHT, AIRSPEED)
    assert np.abs(v.autocovariance(LAGS) - longitudinal(LAGS, L_u, sigma_u)).max() > 0.1 * sigma_u**2
    assert np.abs(u.autocovariance(LAGS) - transverse(LAGS, L_u, sigma_u)).max() > 0.1 * sigma_u**2


def test_spectra_are_the_published_ones() -> None:
    L_u, L_w, sigma_u, sigma_w = published()
    omega = np.geomspace(1e-2, 1e2, 30)
    u, _, w = dryden(HEIGHT, AIRSPEED)
    # One-sided in rad/s, as printed; ours are two-sided, and per Hz: π times that.
    x, y = L_u * omega / AIRSPEED, L_w * omega / AIRSPEED
    along = sigma_u**2 * 2.0 * L_u / (np.pi * AIRSPEED) / (1.0 + x**2)
    up = sigma_w**2 * L_w / (np.pi * AIRSPEED) * (1.0 + 3.0 * y**2) / (1.0 + y**2) ** 2
    np.testing.assert_allclose(u.spectral_density(omega), np.pi * along, rtol=1e-5)
    np.testing.assert_allclose(w.spectral_density(omega), np.pi * up, rtol=1e-5)


def test_a_gust_is_sampled_with_its_covariance() -> None:
    _, _, w = dryden(HEIGHT, AIRSPEED)
    draws = w.sample(np.random.default_rng(0), 61, 0.02, (4000,))
    want = w.autocovariance([0.0, 1.2])
    for lag, expected in ((0, want[0]), (60, want[1])):
        products = draws[:, 0] * draws[:, lag]
        assert abs(products.mean() - expected) < 4.5 * products.std() / np.sqrt(len(products))


@pytest.mark.parametrize("turbulence", ["light", "severe"])
def test_turbulence_and_scale_are_factors(turbulence: Any) -> None:
    factor = {"light": 0.5, "severe": 1.5}[turbulence]
    for moderate, other in zip(dryden(20.0, 8.0), dryden(20.0, 8.0, turbulence, scale=0.15), strict=True):
        assert isinstance(other, Rational)
        assert other.std == pytest.approx(factor * 0.15 * moderate.std)


@pytest.mark.parametrize(
    ("arguments", "error", "name"),
    [
        ((0.0, 5.0), ParameterError, "height"),
        ((400.0, 5.0), ParameterError, "height"),
        ((6.0, 0.0), ParameterError, "airspeed"),
        ((6.0, 5.0, "gale"), UnknownNameError, "turbulence"),
        ((6.0, 5.0, "light", -1.0), ParameterError, "scale"),
    ],
)
def test_bad_arguments_are_named(arguments: Any, error: type[PcctrlError], name: str) -> None:
    with pytest.raises(error) as caught:
        dryden(*arguments)
    assert caught.value.name == name
