"""Sigma points against a kept library, quadrature, and the covariance form."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from filterpy.kalman import MerweScaledSigmaPoints
from filterpy.kalman import UnscentedKalmanFilter as FilterpyUnscented
from numpy.typing import NDArray
from plants import pendulum

from pcctrl.filters import ExtendedKalmanFilter, UnscentedKalmanFilter
from pcctrl.filters.sigma import root
from pcctrl.free_energy import correct, correct_points

Array = NDArray[np.float64]
RNG = np.random.default_rng(3)
Y = 0.5 * RNG.standard_normal((60, 1))


@pytest.mark.parametrize("order", [None, 2])
def test_unscented_equals_filterpy(order: int | None) -> None:
    ours = UnscentedKalmanFilter(pendulum(), order)
    joint = ours.joint
    N, no_input = joint.size, np.zeros(1)
    # The same root, and no root of a rounding error.
    points: Any = MerweScaledSigmaPoints(N, np.sqrt(3.0 / N), 2.0, 0.0, sqrt_method=lambda P: root(P).T)
    theirs: Any = FilterpyUnscented(
        N, 1, 0.1, hx=lambda x: joint.readout(x, no_input), fx=lambda x, _: joint.ahead(x, no_input), points=points
    )
    theirs.x, theirs.P, theirs.R = joint.mean.copy(), ours.init().covariance.copy(), np.diag(joint.R)
    belief = ours.init()
    for k, y in enumerate(Y[:30]):
        if k:
            belief = ours.predict(belief)
            theirs.Q = joint.driven(theirs.x, no_input)
            theirs.predict()
        belief, _ = ours.update(belief, y)
        # filterpy reuses the points of the prediction, and so forgets Q in the update: drawn anew, as here.
        theirs.sigmas_f = points.sigma_points(theirs.x, theirs.P)
        theirs.update(y)
        np.testing.assert_allclose(belief.mean, theirs.x, rtol=0.0, atol=1e-9)
        np.testing.assert_allclose(belief.covariance, theirs.P, rtol=0.0, atol=1e-9)


def test_unscented_is_near_to_quadrature() -> None:
    """Moments of a wide Gaussian through dynamics and sensor, by 40 × 40 points."""
    model = pendulum(0.0)
    ukf, ekf = UnscentedKalmanFilter(model), ExtendedKalmanFilter(model)
    start = ukf.init(mean=[1.0, -0.5], covariance=[[0.15, 0.05], [0.05, 0.3]])
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    grid = np.stack(np.meshgrid(nodes, nodes), axis=-1).reshape(-1, 2)
    w = np.outer(weights, weights).reshape(-1) / weights.sum() ** 2
    points = start.mean + grid @ np.linalg.cholesky(start.covariance).T
    ahead = model.transition(points, np.zeros(1))
    mean = w @ ahead
    covariance = (ahead - mean).T @ (w[:, None] * (ahead - mean)) + ukf.joint.driven(start.mean, np.zeros(1))
    errors = [
        (float(np.abs(b.mean - mean).max()), float(np.abs(b.covariance - covariance).max()))
        for b in (ukf.predict(start), ekf.predict(start))
    ]
    assert errors[0][0] < 0.1 * errors[1][0]
    assert errors[0][1] < errors[1][1]
    sines = np.sin(points[:, 0])
    _, info = ukf.update(start, [0.0])
    assert -info.innovation[0] == pytest.approx(float(w @ sines), abs=2e-3)
    _, worse = ekf.update(start, [0.0])
    assert abs(-worse.innovation[0] - w @ sines) > 0.02


def test_bayes_rule_for_deviations_is_that_for_covariances() -> None:
    X, C = RNG.standard_normal((3, 5, 7)), RNG.standard_normal((3, 2, 5))
    R = np.array([0.3, 0.1])
    want, found = correct(X @ X.swapaxes(-1, -2), C, R), correct_points(X, C @ X, R)
    for a, b in zip(found, want, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-10)
