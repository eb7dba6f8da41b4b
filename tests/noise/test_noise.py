from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg

from pcctrl.errors import ParameterError
from pcctrl.linalg import discretise
from pcctrl.noise import Matern, Noise, OrnsteinUhlenbeck, Rational, Smooth, Sum, White

BATCH = 4000


def standard_errors(noise: Noise, dt: float, lags: int, **how: bool) -> np.ndarray:
    """(empirical − exact autocovariance) in standard errors, with one independent product a series and lag."""
    x = noise.sample(np.random.default_rng(3), 64 + lags, dt, (BATCH,), **how)
    out = []
    for lag in range(lags):
        products = x[:, 64] * x[:, 64 - lag]
        exact = float(noise.autocovariance(np.array([lag * dt]))[0])
        out.append((products.mean() - exact) / (products.std() / np.sqrt(BATCH)))
    return np.array(out)


@pytest.mark.parametrize("s", [1e-4, 0.3, 1.0, 3.0, 100.0])
def test_smooth_samples_have_the_stated_autocovariance(s: float) -> None:
    assert np.abs(standard_errors(Smooth(2.0, s), 1.0, 8)).max() < 4.5


@pytest.mark.parametrize("tau", [1e-4, 0.5, 10.0, 1e4])
def test_ornstein_uhlenbeck_samples_have_the_stated_autocovariance(tau: float) -> None:
    assert np.abs(standard_errors(OrnsteinUhlenbeck(2.0, tau), 1.0, 6)).max() < 4.5


def test_negative_control_another_smoothness_is_noticed() -> None:
    x = Smooth(2.0, 1.3).sample(np.random.default_rng(3), 70, 1.0, (BATCH,))
    products = x[:, 64] * x[:, 62]
    wrong = Smooth(2.0, 1.0).autocovariance(np.array([2.0]))[0]
    assert abs(products.mean() - wrong) / (products.std() / np.sqrt(BATCH)) > 4.5


V, L = 15.0, 43.1
DRYDEN = Rational((1.5 * np.sqrt(3.0 * L / V) * L / V, 1.5 * np.sqrt(L / V)), ((L / V) ** 2, 2.0 * L / V, 1.0))
OTHERS = [
    Matern(2.0, 0.7, order=1),
    Matern(2.0, 1e-4, order=2),
    Matern(2.0, 300.0, order=2),
    DRYDEN,
    OrnsteinUhlenbeck(1.0, 2.0) + Smooth(1.0, 0.5),
]


@pytest.mark.parametrize("noise", OTHERS)
def test_other_samples_have_the_stated_autocovariance(noise: Noise) -> None:
    assert np.abs(standard_errors(noise, 1.0, 6)).max() < 4.5


@pytest.mark.parametrize("noise", [*OTHERS, *(Matern(1.3, 0.7, order=p) for p in range(9))])
def test_chains_are_orthonormal_and_reproduce_the_autocovariance(noise: Noise) -> None:
    chain = noise.chain(12)
    np.testing.assert_allclose(chain.A + chain.A.T + chain.Q, 0.0, atol=1e-9 * np.abs(chain.A).max())
    lags = np.linspace(0.0, 3.0, 7)
    found = [chain.H @ scipy.linalg.expm(chain.A * lag) @ chain.H for lag in lags]
    rough = 1e-7 if not isinstance(noise, Sum) else 3e-2
    np.testing.assert_allclose(found, noise.autocovariance(lags), atol=rough)


def test_dryden_gust_has_its_standard_deviation() -> None:
    # PUBLISHED section 12: H(s) = sigma sqrt(L/V) (1 + sqrt(3) L s / V) / (1 + L s / V)^2 has variance sigma^2.
    assert DRYDEN.std == pytest.approx(1.5, rel=1e-9)


def test_matern_closes_the_gap_between_rough_and_smooth() -> None:
    lags = np.linspace(0.0, 2.0, 5)
    rough = OrnsteinUhlenbeck(1.0, 0.5).autocovariance(lags)
    np.testing.assert_allclose(Matern(1.0, 0.5, order=0).autocovariance(lags), rough)
    np.testing.assert_allclose(Matern(1.0, 0.5, order=1).autocovariance(lags), (1 + 2 * lags) * np.exp(-2 * lags))


def test_a_sum_adds_everything() -> None:
    both = OrnsteinUhlenbeck(1.0, 0.5, floor=0.1) + Smooth(2.0, 0.3, floor=0.2) + White(density=0.5)
    assert (both.variance, both.sensor_floor, both.density) == pytest.approx((5.0, 0.9, 0.5))
    assert both.is_process
    assert not (both + White(std=1.0)).is_process
    assert both.whitened(0.1, sensor=False).density == pytest.approx(np.sqrt(0.5 + 0.25))
    floor = Smooth(1.0, 5.0, floor=0.5) + White(std=1.0)
    x = [floor.sample(np.random.default_rng(0), 5000, 1.0, sensor=True)]
    assert np.diff(x[0]).var() == pytest.approx(2.0 * 1.5, rel=0.1)


def test_white_noise_by_density_has_its_variance_a_step() -> None:
    x = White(density=0.7).sample(np.random.default_rng(0), 200_000, 0.01)
    assert x.var() == pytest.approx(0.49 / 0.01, rel=4.0 * np.sqrt(2.0 / 200_000))


def test_the_floor_is_added_for_sensors_only() -> None:
    noise = Smooth(1.0, 5.0, floor=0.5)
    rough = [
        np.diff(noise.sample(np.random.default_rng(0), 5000, 1.0, sensor=sensor)).var() for sensor in (False, True)
    ]
    assert rough[1] - rough[0] == pytest.approx(1.0, rel=0.1)


@pytest.mark.parametrize("order", range(9))
def test_chain_is_orthonormal(order: int) -> None:
    chain = Smooth(1.0, 0.2).chain(order)
    np.testing.assert_allclose(chain.A + chain.A.T + chain.Q, 0.0, atol=1e-12)
    F, _, Q = discretise(chain.A, np.zeros((order + 1, 0)), chain.Q, 0.1)
    np.testing.assert_allclose(F @ F.T + Q, np.eye(order + 1), atol=1e-12)


def test_chain_approaches_the_gaussian_autocovariance_with_its_order() -> None:
    noise, lags = Smooth(1.0, 0.2), np.linspace(0.0, 0.9, 10)
    errors = []
    for order in (2, 4, 8, 16):
        chain = noise.chain(order)
        F, _, _ = discretise(chain.A, np.zeros((order + 1, 0)), chain.Q, 0.1)
        model = [chain.H @ np.linalg.matrix_power(F, k) @ chain.H for k in range(10)]
        errors.append(np.abs(model - noise.autocovariance(lags)).max())
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 2e-3


@pytest.mark.parametrize("noise", [Smooth(2.0, 0.3), OrnsteinUhlenbeck(2.0, 0.3), Matern(2.0, 0.3, order=3)])
def test_spectrum_integrates_to_the_variance(noise: Noise) -> None:
    omega = np.linspace(-4e3, 4e3, 800_001)
    variance = np.trapezoid(noise.spectral_density(omega), omega) / (2.0 * np.pi)
    assert variance == pytest.approx(4.0, rel=1e-3)


def test_a_stream_continues_where_it_stopped() -> None:
    for noise in (Smooth(1.0, 0.3), OrnsteinUhlenbeck(1.0, 0.3)):
        stream = noise.stream(np.random.default_rng(0), 0.1, (2000,))
        x = np.concatenate([stream.draw(50), stream.draw(50)], axis=-1)
        across = x[:, 49] * x[:, 50]
        exact = noise.autocovariance(np.array([0.1]))[0]
        assert abs(across.mean() - exact) < 4.5 * across.std() / np.sqrt(2000)


def test_whitened_keeps_the_marginal_variance() -> None:
    noise = Smooth(2.0, 0.3, floor=0.25)
    assert noise.whitened(0.1, sensor=True).std == pytest.approx(2.0 * np.sqrt(1.25))
    assert noise.whitened(0.1, sensor=False).density == pytest.approx(2.0 * np.sqrt(0.1))


@pytest.mark.parametrize(
    ("build", "name"),
    [
        (lambda: White(), "White"),
        (lambda: White(std=1.0, density=1.0), "White"),
        (lambda: White(std=-1.0), "std"),
        (lambda: White(density=np.nan), "density"),
        (lambda: Smooth(0.0, 1.0), "std"),
        (lambda: Smooth(1.0, -1.0), "s"),
        (lambda: Smooth(1.0, 1.0, floor=-1e-3), "floor"),
        (lambda: OrnsteinUhlenbeck(1.0, np.inf), "tau"),
        (lambda: Smooth(1.0, "fast"), "s"),  # type: ignore[arg-type]
        (lambda: Smooth(1.0, 1.0).chain(-1), "order"),
        (lambda: Matern(1.0, 1.0, order=9), "order"),
        (lambda: Matern(1.0, 0.0), "tau"),
        (lambda: Rational((1.0, 1.0), (1.0, 1.0)), "numerator"),
        (lambda: Rational((1.0,), (1.0, -1.0)), "denominator"),
        (lambda: Rational((1.0,), (0.0, 1.0)), "denominator"),
        (lambda: Rational((1.0,), (1.0, np.nan)), "denominator"),
        (lambda: Smooth(1.0, 1.0).sample(np.random.default_rng(), 3, 0.0), "dt"),
        (lambda: Smooth(1.0, 1.0).sample(np.random.default_rng(), -3, 1.0), "steps"),
    ],
)
def test_bad_parameters_are_named(build, name: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ParameterError) as caught:
        build()
    assert caught.value.name == name
