"""Descent on the free energy of a nonlinear model: its minimum, and what misses it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.optimize
from numpy.typing import NDArray
from plants import as_nonlinear, pendulum, simulator_model

from pcctrl.filters import ExtendedKalmanFilter, NonlinearFilter, NonlinearPCFilter, Status
from pcctrl.noise import White

Array = NDArray[np.float64]


def energy_by_hand(filter_: NonlinearFilter, prior: Any, y: Array) -> Any:
    """F with Π_x by inversion."""
    precision, joint = np.linalg.inv(prior.covariance), filter_.joint

    def F(mean: Array) -> float:  # noqa: N802 (as in the equation)
        x, e = mean - prior.mean, y - joint.readout(mean, prior.input)
        return float(0.5 * (x @ precision @ x + e @ (e / joint.R)))

    return F


def wide_prior(filter_: NonlinearFilter) -> Any:
    return filter_.predict(filter_.init(mean=[0.9, 0.3], covariance=[[0.3, 0.1], [0.1, 0.5]]), [0.5])


def test_the_belief_is_the_minimum_of_free_energy_and_its_curvature() -> None:
    filter_ = NonlinearPCFilter(pendulum(), iterations=60, tolerance=1e-10)
    prior, y = wide_prior(filter_), np.array([0.2])
    belief, info = filter_.update(prior, y)
    F = energy_by_hand(filter_, prior, y)
    least = scipy.optimize.minimize(F, prior.mean, method="BFGS", options={"gtol": 1e-9})
    np.testing.assert_allclose(belief.mean, least.x, atol=1e-5)
    assert F(belief.mean) <= float(least.fun) + 1e-12
    assert info.status == Status.OK
    assert info.capped is None
    assert 2 < info.iterations < 60
    C, R = filter_.joint.readout_jacobian(belief.mean, prior.input), filter_.joint.R
    curvature = np.linalg.inv(prior.covariance) + C.T @ (C / R[:, None])
    np.testing.assert_allclose(belief.covariance @ curvature, np.eye(filter_.joint.size), atol=1e-6)
    S = C @ prior.covariance @ C.T + np.diag(R)
    laplace = F(belief.mean) + 0.5 * np.linalg.slogdet(2.0 * np.pi * S)[1]
    np.testing.assert_allclose(info.free_energy, laplace, rtol=1e-8)


def test_negative_control_a_wrong_jacobian_misses_the_minimum() -> None:
    def wrong(x: Array, u: Array) -> tuple[Array, Array]:
        del u
        return np.array([[0.5 * np.cos(x[0]), 0.0]]), np.zeros((1, 1))

    right = NonlinearPCFilter(pendulum(), iterations=60, tolerance=1e-8)
    broken = replace(right, model=pendulum(g_jacobians=wrong))
    prior, y = wide_prior(right), np.array([0.2])
    F = energy_by_hand(right, prior, y)
    lowest, missed = (F(f.update(prior, y)[0].mean) for f in (right, broken))
    assert missed > lowest + 1e-2


def test_negative_control_the_posterior_fed_back_as_the_prior_counts_a_sample_twice() -> None:
    for model in (as_nonlinear(simulator_model(), 1), pendulum(0.0)):
        filter_ = NonlinearPCFilter(model, None, iterations=20)
        y = filter_.joint.readout(filter_.joint.mean, filter_.joint.input) + 0.3
        right, _ = filter_.update(filter_.init(), y)
        once = replace(filter_, iterations=1)
        fed_back = once.init()
        for _ in range(5):
            fed_back, _ = once.update(fed_back, y)
        assert (fed_back.std < 0.9 * right.std).any()
        assert np.abs(fed_back.mean - right.mean).max() > 0.01


def test_a_step_too_long_is_cut_and_a_descent_too_long_is_capped() -> None:
    def tangent(x: Array, u: Array) -> Array:
        return np.arctan(5.0 * x[..., :1]) + 0.0 * u

    model = replace(pendulum(0.0, sensor_noise=[White(std=0.01)]), g=tangent)
    cut = NonlinearPCFilter(model, iterations=60)
    prior = replace(cut.init(mean=[1.5, 0.0]), covariance=np.diag([4.0, 0.1]))
    y = np.array([0.0])
    belief, info = cut.update(prior, y)
    F = energy_by_hand(cut, prior, y)
    whole, _ = ExtendedKalmanFilter(model).update(prior, y)
    assert F(whole.mean) > F(prior.mean), "the whole step leads uphill"
    # Through a flat sensor the descent is long, but it never leads uphill.
    assert F(belief.mean) < F(prior.mean)
    assert info.status == Status.OK
    least = scipy.optimize.minimize(F, belief.mean, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12})
    assert F(belief.mean) == pytest.approx(float(least.fun), rel=1e-4)
    few, info = replace(cut, iterations=2).update(prior, y)
    assert info.status == Status.CAPPED
    assert info.iterations == 2
    assert info.residual > 1e-3
    assert F(few.mean) < F(prior.mean)
