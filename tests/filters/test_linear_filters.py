"""PCFilter and KalmanFilter against filterpy, dense conditioning and each other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from oracles import conditioned_last_state, filterpy_run
from plants import smooth_cart_pole, smooth_msd, white_msd

from pcctrl.errors import ModelError, ParameterError, ShapeError, UnknownNameError
from pcctrl.filters import KalmanFilter, LinearFilter, PCFilter, Status
from pcctrl.models import LinearModel
from pcctrl.noise import Smooth, White

RNG = np.random.default_rng(5)
Y, U = 0.3 * RNG.standard_normal((400, 1)), RNG.standard_normal((400, 1))


@pytest.mark.parametrize("precision", ["steady", "carried"])
def test_white_noise_equals_kalman_and_filterpy(precision: str) -> None:
    model = white_msd()
    pc = PCFilter(model, precision=precision).run(Y, U)  # type: ignore[arg-type]
    kalman = KalmanFilter(model, precision=precision).run(Y, U)  # type: ignore[arg-type]
    want, covariances = filterpy_run(model.joint(0), model.joint(0).stationary(), Y, U)
    for estimate in (pc, kalman):
        np.testing.assert_allclose(estimate.mean, want, rtol=0.0, atol=1e-9)
        np.testing.assert_allclose(estimate.std**2, covariances[:, [0, 1], [0, 1]], rtol=0.0, atol=1e-9)


@pytest.mark.parametrize("precision", ["steady", "carried"])
def test_coloured_noise_equals_filterpy_on_the_joint_model_with_missing_samples(precision: str) -> None:
    joint = smooth_msd().joint(4)
    y = Y.copy()
    y[100:112] = np.nan
    estimate = PCFilter(smooth_msd(), precision=precision).run(y, U)  # type: ignore[arg-type]
    want, _ = filterpy_run(joint, joint.stationary(), y, U)
    np.testing.assert_allclose(estimate.mean, want[:, :2], atol=1e-7)
    assert (estimate.status[100:112] == Status.BLIND).all()
    assert (estimate.status[:100] == Status.OK).all()


def test_belief_and_free_energy_equal_dense_conditioning() -> None:
    model = smooth_msd()
    filter_ = PCFilter(model)
    joint = model.joint(4)
    y = Y[:25]
    mean, covariance, log_likelihood = conditioned_last_state(joint, joint.stationary(), y)
    belief, energy = filter_.init(), 0.0
    for k in range(len(y)):
        belief, info = filter_.update(belief, y[k]) if k == 0 else filter_.step(belief, y[k])
        energy += float(info.free_energy)
    np.testing.assert_allclose(belief.mean, mean, atol=1e-8)
    np.testing.assert_allclose(belief.covariance, covariance, rtol=0.0, atol=1e-9)
    assert energy == pytest.approx(-log_likelihood, rel=1e-8)


def test_negative_control_order_zero_is_not_order_four() -> None:
    a, b = (PCFilter(smooth_msd(), order=o).run(Y).mean for o in (0, 4))
    assert np.abs(a - b).max() > 1e-2


def test_smoothness_to_zero_is_white_sensor_noise() -> None:
    white = KalmanFilter(white_msd()).run(Y).mean
    gaps = []
    for s in (1e-1, 1e-2, 1e-3):
        model = replace(white_msd(), sensor_noise=[Smooth(0.1, s * 0.1, floor=1e-9)])
        gaps.append(np.abs(PCFilter(model).run(Y).mean - white).max())
    assert gaps[1] < 0.2 * gaps[0]
    assert gaps[2] < 1e-5


def test_consistent_filter_has_expected_nis_and_error() -> None:
    """On its own model NIS is chi-squared and errors have the stated covariance, within 4.5 standard errors."""
    model, seeds = smooth_msd(), 400
    joint = model.joint(4)
    rng = np.random.default_rng(0)
    root_0, root = np.linalg.cholesky(joint.stationary()), np.linalg.cholesky(joint.Q + 1e-16 * np.eye(joint.size))
    x = rng.standard_normal((seeds, joint.size)) @ root_0.T
    states, ys = [], []
    for _ in range(60):
        states.append(x[:, :2])
        ys.append(x @ joint.C.T + np.sqrt(joint.R) * rng.standard_normal((seeds, 1)))
        x = x @ joint.F.T + rng.standard_normal(x.shape) @ root.T
    estimate = PCFilter(model).run(np.stack(ys, axis=1))
    last = ((estimate.mean[:, -1] - states[-1]) / estimate.std[:, -1]) ** 2
    for values in (*last.T, estimate.nis[:, -1]):
        assert abs(values.mean() - 1.0) < 4.5 * np.sqrt(2.0 / seeds)


def test_a_missing_sensor_equals_a_model_without_it() -> None:
    model = smooth_cart_pole(2.0)
    y = 0.01 * RNG.standard_normal((50, 2))
    y[:, 1] = np.nan
    half = replace(
        model,
        C=model.C[:1],
        D=None,
        sensor_noise=model.sensor_noise[:1],
        sensors=None,
        prior=np.eye(4) * 1e-4,
        operating_point=None,
    )
    full = PCFilter(replace(model, prior=np.eye(4) * 1e-4), precision="carried")
    estimate = full.run(y)
    np.testing.assert_allclose(
        estimate.mean, PCFilter(half, precision="carried").run(y[:, :1]).mean, rtol=0.0, atol=1e-9
    )
    assert (estimate.status == Status.PARTIAL).all()


def test_another_time_step_equals_two_of_half_the_length() -> None:
    filter_ = PCFilter(smooth_msd(), precision="carried")
    start, _ = filter_.update(filter_.init(), Y[0])
    u = np.array([0.7])
    long, twice = filter_.predict(start, u, dt=0.2), filter_.predict(filter_.predict(start, u), u)
    np.testing.assert_allclose(long.mean, twice.mean, atol=1e-12)
    np.testing.assert_allclose(long.covariance, twice.covariance, atol=1e-12)


def test_feedthrough_reads_the_input_still_held() -> None:
    model = replace(white_msd(), D=np.array([[2.0]]))
    filter_ = KalmanFilter(model)
    belief, _ = filter_.update(filter_.init(), [0.0])
    ahead = filter_.predict(belief, [3.0])
    _, info = filter_.update(ahead, ahead.mean[:1] + 6.0)
    np.testing.assert_allclose(info.innovation, 0.0, atol=1e-12)


def test_operating_point_only_shifts() -> None:
    at = (np.array([0.25, 0.0]), np.array([1.0]), np.array([7.0]))
    shifted = KalmanFilter(replace(white_msd(), operating_point=at)).run(Y + 7.0, U + 1.0).mean
    np.testing.assert_allclose(shifted - at[0], KalmanFilter(white_msd()).run(Y, U).mean, atol=1e-10)


@pytest.mark.parametrize("factory", [PCFilter, KalmanFilter])
def test_an_undetectable_model_is_refused_with_its_mode(factory: type[LinearFilter]) -> None:
    model = LinearModel(
        np.diag([0.5, -1.0]),
        np.eye(2),
        np.array([[0.0, 1.0]]),
        dt=0.1,
        noise_input=np.eye(2),
        process_noise=[White(density=1.0)] * 2,
        sensor_noise=[White(std=0.1)],
    )
    with pytest.raises(ModelError, match=r"detectable.*eigenvalue 1\.051"):
        factory(model)  # type: ignore[call-arg]


def test_only_some_sensors_read_by_name() -> None:
    model = smooth_cart_pole(2.0)
    filter_ = PCFilter(model)
    some, _ = filter_.update(filter_.init(), [0.1], sensors=["y1"])
    want, info = filter_.update(filter_.init(), [np.nan, 0.1])
    np.testing.assert_array_equal(some.mean, want.mean)
    assert info.status == Status.PARTIAL
    with pytest.raises(UnknownNameError, match="y0, y1"):
        filter_.update(filter_.init(), [0.1], sensors=["gyro"])


def test_a_given_prior_starts_a_recording() -> None:
    filter_ = PCFilter(white_msd(), precision="carried")
    prior = filter_.init(mean=[1.0, 0.0], covariance=1e-12 * np.eye(2))
    assert filter_.run(Y[:3], prior=prior).mean[0, 0] == pytest.approx(1.0, abs=1e-6)
    with pytest.raises(ParameterError, match="mean"):
        filter_.init(mean=[np.nan, 0.0])


def test_cached_matrices_cannot_be_spoilt() -> None:
    filter_ = PCFilter(smooth_msd())
    for array in (filter_.init().covariance, filter_.steady.covariance, filter_.joint.F):
        with pytest.raises(ValueError, match="read-only"):
            array *= 2.0


def test_another_time_step_of_a_simulator_model_is_a_number_of_its_steps() -> None:
    step = np.array([[1.0, 0.01], [-0.04, 0.99]])
    model = LinearModel.from_discrete(
        step,
        np.array([[0.0], [0.01]]),
        np.eye(2)[:1],
        dt=0.1,
        substeps=10,
        noise_input=np.array([[0.0], [0.01]]),
        process_noise=[Smooth(1.0, 0.2)],
        sensor_noise=[Smooth(0.1, 0.2)],
    )
    for filter_ in (PCFilter(model, precision="carried"), KalmanFilter(model, 2.0, 3.0, 0.01, precision="carried")):
        start, _ = filter_.update(filter_.init(), [0.1])
        long, twice = filter_.predict(start, [0.7], dt=0.2), filter_.predict(filter_.predict(start, [0.7]), [0.7])
        np.testing.assert_allclose(long.mean, twice.mean, atol=1e-12)
        if isinstance(filter_, PCFilter):
            np.testing.assert_allclose(long.covariance, twice.covariance, atol=1e-12)
        with pytest.raises(ParameterError, match="multiple"):
            filter_.predict(start, dt=0.015)


def test_bad_arguments_are_named() -> None:
    model = smooth_msd()
    with pytest.raises(ShapeError, match="y"):
        PCFilter(model).run("data")
    with pytest.raises(ParameterError, match="y: expected some finite"):
        PCFilter(model).run(np.full((5, 1), np.nan))
    with pytest.raises(ShapeError, match="batch"):
        PCFilter(model).run(np.zeros((2, 5, 1)), np.zeros((3, 5, 1)))
    with pytest.raises(ShapeError, match="state_noise"):
        KalmanFilter(model, state_noise=np.ones(3))
    with pytest.raises(ParameterError, match="order"):
        PCFilter(model, order="4")  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="precision"):
        PCFilter(model, precision="exact")  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="scheme"):
        PCFilter(model, scheme="magic")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="order"):
        PCFilter(model, order=-1)
    with pytest.raises(ParameterError, match="sensor_scale"):
        KalmanFilter(model, sensor_scale=0.0)
    filter_ = PCFilter(model)
    with pytest.raises(ShapeError, match=r"y: expected \(\.\.\., 1\)"):
        filter_.update(filter_.init(), [1.0, 2.0])
    with pytest.raises(ShapeError, match="u: expected"):
        filter_.predict(filter_.init(), [1.0, 2.0])
    with pytest.raises(ShapeError, match="y"):
        filter_.run(np.zeros(5))
    with pytest.raises(ShapeError, match="u"):
        filter_.run(Y, U[:3])
