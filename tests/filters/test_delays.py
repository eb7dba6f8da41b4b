"""A sensor that is late: state augmentation against prediction from what it showed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from oracles import filterpy_run
from plants import smooth_cart_pole, smooth_msd, white_msd

from pcctrl.controllers import ExpectedFreeEnergy
from pcctrl.errors import ModelError, ParameterError, ShapeError
from pcctrl.evaluation import closed_loop_cost, fold, sample_covariance
from pcctrl.filters import ARKalmanFilter, ColouredKalmanFilter, GeneralisedFilter, KalmanFilter, PCFilter
from pcctrl.models import LinearModel

KINDS = [PCFilter, KalmanFilter, ColouredKalmanFilter, ARKalmanFilter]


@pytest.mark.parametrize("kind", KINDS)
def test_a_late_sensor_is_a_prediction_from_what_it_showed(kind: type) -> None:
    model, lag, T = smooth_msd(), 3, 80
    late = replace(model, delay=0.3)
    at = (np.array([0.5, 0.0]), np.array([2.0]), np.array([1.0]))
    model, late = replace(model, operating_point=at), replace(late, operating_point=at)
    rng = np.random.default_rng(0)
    y, u = 1.0 + 0.2 * rng.standard_normal((T, 1)), 2.0 + rng.standard_normal((T, 1))
    # The plain filter sees at k what the late one sees at k + lag.
    plain = kind(model)
    belief, _ = plain.update(plain.init(), y[0])
    want = []
    for k in range(T):
        if k:
            belief, _ = plain.step(belief, y[k], u[k - 1])
        ahead = belief
        for j in range(lag):
            ahead = plain.predict(ahead, u[min(k + j, T - 1)])
        want.append(ahead.state)
    shifted = np.vstack([np.full((lag, 1), np.nan), y[:-lag]])
    # Both start as they are at their first sample: the late filter's prior is the plain one's, lag samples older.
    filter_ = kind(late)
    inputs = u
    got = filter_.run(shifted, inputs).mean
    np.testing.assert_allclose(got[lag + 40 :], want[40 : T - lag], atol=1e-6)


def test_different_delays_equal_filterpy_on_the_augmented_matrices() -> None:
    model = replace(smooth_cart_pole(2.0, 1e-2), delay=np.array([0.0, 0.04]))
    filter_ = PCFilter(model, precision="carried")
    joint = filter_.joint
    assert joint.lags == (0, 2)
    rng = np.random.default_rng(0)
    y, u = 0.01 * rng.standard_normal((60, 2)), rng.standard_normal((60, 1))
    means, covariances = filterpy_run(joint, filter_.init().covariance, y, u)
    estimate = filter_.run(y, u)
    np.testing.assert_allclose(estimate.mean, means[:, :4], atol=1e-9)
    np.testing.assert_allclose(estimate.std**2, np.diagonal(covariances, axis1=1, axis2=2)[:, :4], atol=1e-9)


def test_the_first_readings_show_the_start() -> None:
    """As `noise.Delay` has it: before the first reading arrives a sensor shows the first."""
    late = replace(white_msd(), delay=0.2, prior=np.diag([4.0, 1.0]))
    filter_ = PCFilter(late)
    belief, _ = filter_.update(filter_.init(), [1.7])
    assert belief.state[0] == pytest.approx(1.7, rel=0.01)
    assert belief.std[0] == pytest.approx(0.1, rel=0.01)


def test_telling_the_delay_pays() -> None:
    model = smooth_cart_pole(2.0)
    late = replace(model, delay=0.04)
    W, rho = np.diag([1.0, 0.0, 10.0, 0.0]), np.eye(1) * 0.01
    truth = late.joint(8)
    told = closed_loop_cost(truth, fold(PCFilter(late), ExpectedFreeEnergy(late, W, rho).gain), W, rho)
    untold = closed_loop_cost(truth, fold(PCFilter(model), ExpectedFreeEnergy(model, W, rho).gain), W, rho)
    assert told < 0.9 * untold


def test_delays_are_checked_stored_and_refused_where_they_cannot_be(tmp_path) -> None:  # type: ignore[no-untyped-def]
    model = smooth_msd()
    for value in (0.15, -0.1, 1e4):
        with pytest.raises(ParameterError, match="delay: expected whole samples"):
            replace(model, delay=value)
    with pytest.raises(ShapeError, match="delay"):
        replace(model, delay=np.array([0.1, 0.1]))
    late = replace(model, delay=0.3)
    late.save(tmp_path / "late.toml")
    np.testing.assert_array_equal(np.asarray(LinearModel.load(tmp_path / "late.toml").delay), [0.3])
    with pytest.raises(ParameterError, match="one clock"):
        PCFilter(late).predict(PCFilter(late).init(), dt=0.2)
    with pytest.raises(ModelError, match="without delays"):
        GeneralisedFilter(late)
    with pytest.raises(ModelError, match="without delays"):
        sample_covariance(late)
    with pytest.raises(ModelError, match="feedthrough"):
        replace(late, D=np.ones((1, 1))).joint(0)
    assert replace(model, delay=0.0).delay is None
