"""Exact costs and limits against simulation and against each other."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from oracles import simulate
from plants import smooth, smooth_msd, white_msd

from pcctrl.controllers import LQR, PID, ExpectedFreeEnergy
from pcctrl.envs import two_masses
from pcctrl.errors import ModelError
from pcctrl.evaluation import Compensator, closed_loop_cost, fold, fold_pid, impulse_response, sample_covariance
from pcctrl.filters import KalmanFilter, PCFilter
from pcctrl.models import LinearModel
from pcctrl.noise import Noise, OrnsteinUhlenbeck, Smooth
from pcctrl.scripts.benchmarks.systems import mass_spring_damper

W, RHO = np.diag([1.0, 0.0]), np.eye(1) * 0.01


def test_cost_equals_simulation() -> None:
    model = smooth_msd()
    joint = model.joint(3)
    feedback = Compensator(np.zeros((0, 0)), np.zeros((0, 1)), np.zeros((1, 0)), np.array([[-2.0]]))
    exact = closed_loop_cost(joint, feedback, W, RHO)
    out = simulate(joint, lambda y: -2.0 * y, 1200, 200, seed=0)[:, 200:]
    means = (out[..., 0] ** 2 + 0.01 * out[..., 2] ** 2).mean(axis=1)
    assert abs(means.mean() - exact) < 4.5 * means.std() / np.sqrt(200)


def test_unstable_loop_costs_infinity() -> None:
    push = Compensator(np.zeros((0, 0)), np.zeros((0, 1)), np.zeros((1, 0)), np.array([[50.0]]))
    assert closed_loop_cost(white_msd().joint(0), push, W, RHO) == np.inf


def test_lqg_is_the_optimum_in_white_noise() -> None:
    """No neighbour of the optimal gains is cheaper (negative control for the folding)."""
    model = white_msd()
    joint = model.joint(0)
    kalman, lqr = KalmanFilter(model), LQR(model, W, RHO)
    best = closed_loop_cost(joint, fold(kalman, lqr.gain), W, RHO)
    rng = np.random.default_rng(0)
    for _ in range(20):
        other = fold(KalmanFilter(model, *np.exp(rng.normal(0, 0.3, 2))), lqr.gain * np.exp(rng.normal(0, 0.2, (1, 2))))
        assert closed_loop_cost(joint, other, W, RHO) > best
    # The textbook formula: tr(S Q) + tr(Σ L'(ρ + B'SB)L), Σ the covariance of the estimate in use.
    S, L = lqr.value.S, lqr.gain
    formula = np.trace(S @ joint.Q) + np.trace(kalman.steady.covariance @ L.T @ lqr.value.curvature @ L)
    assert best == pytest.approx(formula, rel=1e-9)


def test_white_noise_control_equals_lqg() -> None:
    model = white_msd()
    joint = model.joint(0)
    costs = [
        closed_loop_cost(joint, fold(f, c.gain), W, RHO)
        for f, c in (
            (PCFilter(model), ExpectedFreeEnergy(model, W, RHO)),
            (KalmanFilter(model), LQR(model, W, RHO)),
        )
    ]
    assert costs[0] == pytest.approx(costs[1], rel=1e-9)


def test_feedthrough_cannot_be_folded() -> None:
    from dataclasses import replace

    model = replace(white_msd(), D=np.array([[1.0]]))
    with pytest.raises(ModelError, match="feedthrough"):
        fold(KalmanFilter(model), np.zeros((1, 2)))


def test_pid_integral_without_gain_is_no_mode() -> None:
    assert len(fold_pid(PID([[1.0]], [[0.0]], [[1.0]], dt=0.1)).A) == 2


def test_limit_equals_kalman_where_the_kalman_filter_is_optimal() -> None:
    for model in (white_msd(), mass_spring_damper(OrnsteinUhlenbeck(1.0, 0.3), OrnsteinUhlenbeck(0.1, 0.5))):
        moments = sample_covariance(model)
        steady = PCFilter(model).steady.covariance[:2, :2]
        np.testing.assert_allclose(moments.limit(), steady, rtol=1e-5)
        error = moments.error(impulse_response(PCFilter(model)))
        np.testing.assert_allclose(error, steady, rtol=1e-5)


def test_state_moments_equal_simulation() -> None:
    """The spectra give the variance that simulated smooth forces do, on a fine grid, within 4.5 standard errors."""
    model = mass_spring_damper(Smooth(1.0, 0.2), Smooth(0.1, 0.2))
    fine, batch = 0.005, 1500
    force = Smooth(1.0, 0.2).sample(np.random.default_rng(0), 8000, fine, (batch,))
    x = np.zeros((batch, 2))
    for k in range(force.shape[1]):
        velocity = x[:, 1] + fine * (force[:, k] - 4.0 * x[:, 0] - 0.4 * x[:, 1])
        x = np.stack([x[:, 0] + fine * velocity, velocity], axis=1)
    want = np.diagonal(sample_covariance(model).state)
    for i in range(2):
        # 40 s are eight time constants of the plant: e^-16 of the start is left. The grid itself biases by h/2.
        assert abs((x[:, i] ** 2).mean() - want[i]) < 4.5 * want[i] * np.sqrt(2.0 / batch) + 0.01 * want[i]


@pytest.mark.parametrize("plant", [mass_spring_damper, two_masses])
def test_320_samples_are_enough(plant: Callable[[Noise, Noise], LinearModel]) -> None:
    """More of the past makes neither the limit better nor a filter's cut-off response different, to six digits."""
    model = plant(*smooth(2.0))
    short, long = (sample_covariance(model, lags) for lags in (320, 640))
    assert long.score(long.limit()) == pytest.approx(short.score(short.limit()), rel=1e-6)
    for filter_ in (PCFilter(model), KalmanFilter(model)):
        errors = [m.error(impulse_response(filter_, n)) for m, n in ((short, 320), (long, 640))]
        assert long.score(errors[1]) == pytest.approx(short.score(errors[0]), rel=1e-6)


def test_impulse_response_is_the_filter_s() -> None:
    filter_ = PCFilter(smooth_msd())
    y = np.zeros((400, 1))
    y[300] = 1.0
    # By then the gain is the steady one.
    np.testing.assert_allclose(impulse_response(filter_, 100), filter_.run(y).mean[300:, :2].T, atol=1e-9)


def test_the_limit_needs_a_stable_plant_in_continuous_time() -> None:
    from plants import smooth_cart_pole

    with pytest.raises(ModelError, match="stable"):
        sample_covariance(smooth_cart_pole(2.0))
