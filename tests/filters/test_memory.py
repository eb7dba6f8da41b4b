"""Smoothing, fixed lags and delays on nonlinear models, against the linear ones and against waiting."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from plants import as_nonlinear, smooth_msd, white_msd

from pcctrl.arrays import Array
from pcctrl.errors import ModelError, ParameterError, ShapeError
from pcctrl.filters import (
    ExtendedKalmanFilter,
    FixedLag,
    KalmanFilter,
    NonlinearPCFilter,
    PCFilter,
    Status,
    UnscentedKalmanFilter,
)
from pcctrl.models import Delayed, GenerativeModel, NonlinearModel
from pcctrl.noise import Smooth, White

RNG = np.random.default_rng(0)
T = 24
Y, U = RNG.standard_normal((T, 1)), RNG.standard_normal((T, 1))
Y[10:12] = np.nan
KINDS: dict[str, Any] = {
    "pc": lambda m: NonlinearPCFilter(m, 4),
    "sigma": lambda m: NonlinearPCFilter(m, 4, prediction="sigma"),
    "ekf": lambda m: ExtendedKalmanFilter(m, 4),
    "ukf": lambda m: UnscentedKalmanFilter(m, 4),
}


def pendulum(**changes: Any) -> NonlinearModel:
    def f(x: Array, u: Array, w: Array) -> Array:
        pull = -9.81 * np.sin(x[..., 0]) - 0.5 * x[..., 1] + u[..., 0] + w[..., 0]
        return np.stack([x[..., 1], pull], axis=-1)

    settings: dict[str, Any] = {
        "dt": 0.1,
        "operating_point": (np.zeros(2), np.zeros(1)),
        "process_noise": [Smooth(2.0, 0.1)],
        "sensor_noise": [White(std=0.1)],
        "prior": 1e-4 * np.eye(2),
    }
    return NonlinearModel(f, lambda x, u: np.sin(x[..., :1]) + 0.0 * u, **{**settings, **changes})


def recording(seeds: int, length: int, lag: int = 0) -> tuple[Array, Array]:
    """States and readings of the pendulum, in samples of its own steps with the force held."""
    model, rng = pendulum(dt=0.01), np.random.default_rng(3)
    force = Smooth(2.0, 0.1).sample(rng, 10 * length, 0.01, (seeds,))
    states = [np.zeros((seeds, 2))]
    for k in range(10 * length - 1):
        states.append(model.transition(states[-1], np.zeros(1), force[:, k, None]))
    x = np.stack(states, axis=1)[:, ::10]
    seen = np.concatenate([np.repeat(x[:, :1], lag, axis=1), x[:, : length - lag]], axis=1)
    return x, np.sin(seen[..., :1]) + 0.1 * rng.standard_normal((seeds, length, 1))


@pytest.mark.parametrize("kind", KINDS)
def test_smoothing_a_linear_model_is_the_linear_smoother(kind: str) -> None:
    model = smooth_msd()
    want = PCFilter(model, precision="carried").smooth(Y, U)
    got = KINDS[kind](model).smooth(Y, U)
    np.testing.assert_allclose(got.mean, want.mean, atol=1e-9)
    np.testing.assert_allclose(got.std, want.std, atol=1e-9)
    # As functions, integrated.
    by_functions = KINDS[kind](as_nonlinear(model, 8)).smooth(Y, U)
    np.testing.assert_allclose(by_functions.mean, want.mean, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_lag_on_a_linear_model_is_the_linear_lag(kind: str) -> None:
    model, batch = smooth_msd(), np.stack([Y, 2.0 * Y])
    for lag in (0, 1, 4):
        want = FixedLag(PCFilter(model, precision="carried"), lag).run(batch, U)
        got = FixedLag(KINDS[kind](model), lag).run(batch, U)
        np.testing.assert_allclose(got.mean, want.mean, atol=1e-9)
        np.testing.assert_allclose(got.std, want.std, atol=1e-9)
        np.testing.assert_allclose(got.free_energy, want.free_energy, atol=1e-8)
    assert got.status[0, 10] == Status.BLIND


def test_a_lag_starts_where_it_is_told() -> None:
    for filter_ in (FixedLag(PCFilter(smooth_msd()), 2), FixedLag(NonlinearPCFilter(smooth_msd()), 2)):
        belief = filter_.init((3,), mean=[1.0, 2.0])
        np.testing.assert_array_equal(belief.mean[:, :6], np.tile([1.0, 2.0], (3, 3)))
    assert filter_.smooth(Y, U).mean.shape == (T, 2)
    with pytest.raises(ParameterError, match="lag"):
        FixedLag(NonlinearPCFilter(smooth_msd()), -1)


@pytest.mark.parametrize("kind", KINDS)
def test_waiting_helps_on_a_pendulum(kind: str) -> None:
    """Steady improvement from now to a lag to the whole, by more than four standard errors; whole = the longest lag."""
    truth, y = recording(30, 40)
    filter_ = KINDS[kind](pendulum())

    def errors(mean: Array) -> Array:
        return np.asarray(((mean - truth)[:, 5:35] ** 2 @ [1.0, 0.1]).mean(axis=1))

    now, soon, late = (errors(m.mean) for m in (filter_.run(y), FixedLag(filter_, 1).run(y), filter_.smooth(y)))
    for worse, better in ((now, soon), (soon, late)):
        gain = worse - better
        assert gain.mean() > 4.0 * gain.std() / np.sqrt(len(gain))
    # Negative control: read at other samples than its own.
    shifted = np.roll(FixedLag(filter_, 1).run(y).mean, 3, axis=1)
    assert errors(shifted).mean() > now.mean()


def test_the_longest_lag_is_near_the_smoother() -> None:
    """Both are approximations of the same; in a small swing they agree."""
    y = 0.05 * RNG.standard_normal((20, 1))
    filter_ = ExtendedKalmanFilter(pendulum(process_noise=[White(density=0.05)]), None)
    np.testing.assert_allclose(FixedLag(filter_, 19).run(y).mean[0], filter_.smooth(y).mean[0], atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("prior", [None, np.diag([0.5, 0.2])])
def test_a_delay_is_that_of_the_linear_model(kind: str, prior: Array | None) -> None:
    model = replace(smooth_msd(), prior=prior)
    want = PCFilter(replace(model, delay=0.3), precision="carried").run(Y, U)
    got = KINDS[kind](Delayed(model, 0.3)).run(Y, U)
    np.testing.assert_allclose(got.mean, want.mean, atol=1e-9)
    np.testing.assert_allclose(got.std, want.std, atol=1e-9)
    by_functions: GenerativeModel = Delayed(as_nonlinear(model, 8), 0.3)
    np.testing.assert_allclose(KINDS[kind](by_functions).run(Y, U).mean, want.mean, atol=1e-5)


def test_sensors_may_be_late_each_by_its_own() -> None:
    model = smooth_msd()
    both = replace(
        model,
        C=np.eye(2),
        D=None,
        operating_point=None,
        sensor_noise=[*model.sensor_noise, White(std=0.3)],
        sensors=["x", "v"],
    )
    y = RNG.standard_normal((T, 2))
    for delay in ([0.0, 0.2], [0.1, 0.0], [0.3, 0.1]):
        want = PCFilter(replace(both, delay=np.array(delay)), precision="carried").run(y, U)
        got = NonlinearPCFilter(Delayed(both, delay)).run(y, U)
        np.testing.assert_allclose(got.mean, want.mean, atol=1e-9)
    np.testing.assert_allclose(
        NonlinearPCFilter(Delayed(both, 0.0)).run(y, U).mean, NonlinearPCFilter(both).run(y, U).mean, atol=1e-12
    )


def test_a_late_sensor_on_a_pendulum_is_better_told() -> None:
    truth, y = recording(30, 40, lag=2)
    told, untold = (NonlinearPCFilter(model, 4).run(y).mean for model in (Delayed(pendulum(), 0.2), pendulum()))
    errors = [((m - truth)[:, 5:] ** 2 @ [1.0, 0.1]).mean(axis=1) for m in (told, untold)]
    gain = errors[1] - errors[0]
    assert gain.mean() > 4.0 * gain.std() / np.sqrt(len(gain))
    # And a lag as long as the delay gives back what it took.
    late = FixedLag(NonlinearPCFilter(Delayed(pendulum(), 0.2), 4), 2).run(y).mean
    assert ((late - truth)[:, 5:-2] ** 2 @ [1.0, 0.1]).mean() < errors[0].mean()


def test_derivatives_of_what_is_remembered() -> None:
    for joint in (
        FixedLag(NonlinearPCFilter(pendulum(), 2), 2).joint,
        NonlinearPCFilter(Delayed(pendulum(disturbance=0.1), 0.2), 2).joint,
    ):
        mean, u = RNG.standard_normal((3, joint.size)), RNG.standard_normal((3, 1))
        later, F, Q = joint.linearised(mean, u)  # type: ignore[union-attr]
        np.testing.assert_allclose(later, joint.ahead(mean, u))  # type: ignore[union-attr]
        np.testing.assert_allclose(Q, joint.driven(mean, u))  # type: ignore[union-attr]
        C = joint.readout_jacobian(mean, u)  # type: ignore[union-attr]
        for i, move in enumerate(1e-6 * np.eye(joint.size)):
            for function, J in ((joint.ahead, F), (joint.readout, C)):  # type: ignore[union-attr]
                slope = (function(mean + move, u) - function(mean - move, u)) / 2e-6
                np.testing.assert_allclose(J[..., i], slope, atol=1e-7)


def test_bad_delays_are_named() -> None:
    model = pendulum()
    with pytest.raises(ParameterError, match="delay: expected whole samples"):
        Delayed(model, 0.15)
    with pytest.raises(ShapeError, match="delay"):
        Delayed(model, [0.1, 0.1])
    direct = NonlinearModel(
        model.f,
        lambda x, u: x[..., :1] + u,
        **{name: getattr(model, name) for name in ("dt", "operating_point", "process_noise", "sensor_noise")},
    )
    with pytest.raises(ModelError, match="feedthrough"):
        Delayed(direct, 0.1)
    filter_ = NonlinearPCFilter(Delayed(model, 0.2))
    with pytest.raises(ParameterError, match="one clock"):
        filter_.predict(filter_.init(), dt=0.05)
    assert Delayed(model, 0.2).resampled(0.05).lags == (4,)
    assert KalmanFilter(white_msd()).smooth(Y, U).mean.shape == (T, 2)
