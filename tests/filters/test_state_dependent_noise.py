"""Sensors whose noise depends on the state: the constant limit, an independent oracle, and what may go wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from plants import pendulum, white_msd

from pcctrl.envs.light_dark import light_dark
from pcctrl.errors import ParameterError, ShapeError
from pcctrl.filters import ExtendedKalmanFilter, NonlinearPCFilter, Status, UnscentedKalmanFilter
from pcctrl.models import NonlinearModel, generalise
from pcctrl.noise import Smooth, White

Array = NDArray[np.float64]
KINDS: dict[str, Any] = {
    "ekf": ExtendedKalmanFilter,
    "ukf": UnscentedKalmanFilter,
    "pc": NonlinearPCFilter,
    "pc of sigma points": lambda model, order: NonlinearPCFilter(model, order, prediction="sigma"),
}
Y = 0.5 * np.random.default_rng(3).standard_normal((2, 40, 1))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("factor", [1.0, 4.0])
def test_a_constant_factor_is_another_variance(kind: str, factor: float) -> None:
    model = pendulum(0.0)
    scaled = replace(model, sensor_scale=lambda x: factor + 0.0 * x[..., :1])
    noisier = replace(model, sensor_noise=[White(std=0.1 * float(np.sqrt(factor)))])
    found, want = KINDS[kind](scaled, None).run(Y), KINDS[kind](noisier, None).run(Y)
    for part in ("mean", "std", "innovation_std", "free_energy"):
        np.testing.assert_allclose(getattr(found, part), getattr(want, part), rtol=1e-12, atol=1e-12)
    # Negative control: another factor is another estimate.
    other = replace(model, sensor_scale=lambda x: 1.1 * factor + 0.0 * x[..., :1])
    assert np.abs(KINDS[kind](other, None).run(Y).mean - want.mean).max() > 1e-4


def published(y: Array, u: Array, *, lagging: bool = False) -> tuple[Array, Array]:
    """The published beacon filter, written out: r at the predicted position, or (wrongly) at the one before."""
    m, P = np.array([-3.4, -2.6, 1.0, 0.0]), np.diag([2.6, 2.6, 6.0, 6.0])
    H = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [-1, 0, 1, 0], [0, -1, 0, 1]], dtype=float)
    means = []
    for k in range(len(y)):
        before = m
        if k:
            m = m + 0.16 * np.array([*u[k - 1], 0.0, 0.0])
            P = P + np.diag([2e-5, 2e-5, 1e-6, 1e-6])
        d = (before if lagging else m)[:2] - [0.0, 2.7]
        r = 0.02 + 1.28 * (1.0 - np.exp(-(d @ d) / (2.0 * 2.3**2)))
        S = H @ P @ H.T + np.diag([0.05, 0.05, r, r])
        K = np.linalg.solve(S, H @ P).T
        m, P = m + K @ (y[k] - H @ m), P - K @ H @ P
        means.append(m)
    return np.array(means), P


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_the_published_beacon_filter(kind: str) -> None:
    rng = np.random.default_rng(7)
    u = np.column_stack([np.full(30, 1.5), np.full(30, 2.0)]) + 0.3 * rng.standard_normal((30, 2))
    y = np.array([-3.0, -2.0, 4.0, 0.0]) + rng.standard_normal((30, 4))
    want, P = published(y, u)
    filter_ = KINDS[kind](light_dark(), None)
    belief, _ = filter_.update(filter_.init(), y[0])
    means = [belief.mean]
    for k in range(1, 30):
        belief, _ = filter_.step(belief, y[k], u[k - 1])
        means.append(belief.mean)
    np.testing.assert_allclose(means, want, atol=1e-9)
    np.testing.assert_allclose(belief.covariance, P, atol=1e-9)
    assert np.abs(published(y, u, lagging=True)[0] - want).max() > 1e-2


def test_only_the_white_part_is_scaled() -> None:
    model = replace(pendulum(2.0), sensor_scale=lambda x: 4.0 + 0.0 * x[..., :1])
    plain, scaled = generalise(pendulum(2.0), 4), generalise(model, 4)
    np.testing.assert_allclose(scaled.R_at(scaled.mean), 4.0 * plain.R)
    np.testing.assert_array_equal(scaled.sensor_chains.H, plain.sensor_chains.H)
    assert isinstance(model.sensor_noise[0], Smooth)


def test_models_without_a_factor_say_so() -> None:
    for model in (white_msd(), pendulum()):
        assert model.sensor_factors(model.start[0]) is None
    joint = generalise(white_msd(), None)
    assert joint.R_at(np.zeros((3, 2))) is joint.R


def test_a_factor_written_for_vectors_is_looped_over() -> None:
    def factor(x: Array) -> list[float]:
        return [1.0 + float(x[0]) ** 2]

    model = replace(pendulum(0.0), sensor_scale=factor)
    x = np.array([[[0.5, 0.0], [2.0, 1.0]]])
    factors = model.sensor_factors(x)
    assert factors is not None
    np.testing.assert_allclose(factors, 1.0 + x[..., :1] ** 2)


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan])
def test_a_factor_that_is_none_resets_the_belief_of_that_member_alone(bad: float) -> None:
    model = replace(pendulum(0.0), sensor_scale=lambda x: np.where(x[..., :1] > 1.0, bad, 1.0))
    filter_ = ExtendedKalmanFilter(model)
    belief, info = filter_.update(filter_.init((2,), mean=np.array([[0.1, 0.0], [2.0, 0.0]])), Y[:, 0])
    np.testing.assert_array_equal(info.status, [Status.OK, Status.DIVERGED])
    assert np.isfinite(belief.mean).all()


def test_it_is_checked() -> None:
    build: Any = lambda scale: replace(pendulum(), sensor_scale=scale)  # noqa: E731
    with pytest.raises(ParameterError, match="sensor_scale"):
        build(2.0)
    with pytest.raises(ShapeError, match="sensor_scale"):
        build(lambda x: x)
    with pytest.raises(ParameterError, match="sensor_scale"):
        build(lambda x: 0.0 * x[..., :1])
    model: NonlinearModel = build(lambda x: 1.0 + x[..., :1] ** 2)
    with pytest.raises(ShapeError):
        model.sensor_factors(np.zeros(3))
