"""Nonlinear filters: in the linear limit, against the textbook, in a batch, and in bad company."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from plants import as_nonlinear, continuous_model, pendulum, simulator_model

from pcctrl.errors import ParameterError, ShapeError, UnknownNameError
from pcctrl.filters import (
    ExtendedKalmanFilter,
    KalmanFilter,
    NonlinearPCFilter,
    PCFilter,
    Status,
    UnscentedKalmanFilter,
)
from pcctrl.models import LinearModel, MujocoModel, generalise
from pcctrl.noise import OrnsteinUhlenbeck, Smooth, White

Array = NDArray[np.float64]
RNG = np.random.default_rng(3)
Y, U = 0.5 * RNG.standard_normal((60, 1)), RNG.standard_normal((60, 1))
KINDS: dict[str, Any] = {
    "ekf": ExtendedKalmanFilter,
    "ukf": UnscentedKalmanFilter,
    "pc": NonlinearPCFilter,
    "pc of sigma points": lambda model, order: NonlinearPCFilter(model, order, prediction="sigma"),
    "pc, once": lambda model, order: NonlinearPCFilter(model, order, iterations=1),
}
LINEAR = {
    "simulator": simulator_model(),
    "cart-pole": continuous_model(sensor_noise=[Smooth(0.1, 0.04), White(std=0.1)], disturbance=None),
    "known prior": continuous_model(prior=0.1 * np.eye(4)),
    "delayed": simulator_model(delay=0.1, disturbance=None),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", LINEAR)
@pytest.mark.parametrize("order", [4, None])
def test_on_a_linear_system_each_is_the_linear_filter(kind: str, name: str, order: int | None) -> None:
    linear = LINEAR[name]
    model = linear if name == "delayed" else as_nonlinear(linear, 20)
    m = len(linear.C)
    y = linear.start[2] + (0.3 if m == 1 else 0.02) * np.random.default_rng(0).standard_normal((2, 25, m))
    y[0, 10:13], y[1, 20, 0] = np.nan, np.inf
    carried = PCFilter(linear, 4, precision="carried") if order else KalmanFilter(linear, precision="carried")
    want, found = carried.run(y, U[:25]), KINDS[kind](model, order).run(y, U[:25])
    for part in ("mean", "std", "innovation", "innovation_std"):
        np.testing.assert_allclose(getattr(found, part), getattr(want, part), rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(found.nis, want.nis, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(found.free_energy, want.free_energy, rtol=1e-6, atol=1e-8)
    np.testing.assert_array_equal(found.status, want.status)


@pytest.mark.parametrize("samples", [0.0, 2.0])
@pytest.mark.parametrize("sine", [True, False])
def test_one_iteration_is_the_extended_kalman_filter(samples: float, sine: bool) -> None:
    model = pendulum(samples, sine=sine)
    y = Y.copy()
    y[20:23] = np.nan
    for order in (None, 4):
        once, ekf = (
            NonlinearPCFilter(model, order, iterations=1).run(y, U),
            ExtendedKalmanFilter(model, order).run(y, U),
        )
        np.testing.assert_allclose(once.mean, ekf.mean, rtol=0.0, atol=1e-9)
        np.testing.assert_allclose(once.std, ekf.std, rtol=0.0, atol=1e-9)
    more = NonlinearPCFilter(model, 4).run(y, U)
    assert (np.abs(more.mean - ekf.mean).max() > 1e-3) == sine, "iterating helps a nonlinear sensor only"


@pytest.mark.parametrize("order", [None, 3])
def test_the_extended_kalman_filter_is_the_textbook_one(order: int | None) -> None:
    filter_ = ExtendedKalmanFilter(pendulum(0.0 if order is None else 2.0), order)
    joint, eye = filter_.joint, np.eye(filter_.joint.size)
    y = 0.1 * Y[:40]
    estimate = filter_.run(y, U[:40])
    mean, P = joint.mean, filter_.init().covariance
    for k in range(40):
        u = U[k - 1] if k else np.zeros(1)
        if k:
            mean, F, Q = joint.linearised(mean, u)
            P = F @ P @ F.T + Q
        C = joint.readout_jacobian(mean, u)
        K = P @ C.T @ np.linalg.inv(C @ P @ C.T + np.diag(joint.R))
        mean, P = mean + K @ (y[k] - joint.readout(mean, u)), (eye - K @ C) @ P
        np.testing.assert_allclose(estimate.mean[k], mean[:2], rtol=0.0, atol=1e-9)
        np.testing.assert_allclose(estimate.std[k] ** 2, np.diagonal(P)[:2], rtol=0.0, atol=1e-9)


def test_scales_are_those_of_the_kalman_filter() -> None:
    linear = simulator_model(disturbance=None)
    y = 2.0 + 0.3 * Y
    found = ExtendedKalmanFilter(as_nonlinear(linear), None, 3.0, 0.5, 0.01).run(y, U)
    want = KalmanFilter(linear, 3.0, 0.5, 0.01, precision="carried").run(y, U)
    np.testing.assert_allclose(found.mean, want.mean, atol=1e-9)
    np.testing.assert_allclose(found.std, want.std, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_is_its_members_and_a_lost_one_is_reset_alone(kind: str) -> None:
    filter_ = KINDS[kind](pendulum(), 2)
    y = 0.1 * np.stack([Y[:30], -Y[:30], 2.0 * Y[:30]])
    y[1, 5], y[2, 12] = np.nan, 1e60
    together = filter_.run(y, U[:30])
    assert np.isfinite(together.mean).all()
    for i in range(3):
        alone = filter_.run(y[i], U[:30])
        np.testing.assert_allclose(together.mean[i], alone.mean, rtol=1e-7, atol=1e-8)
        np.testing.assert_array_equal(together.status[i], alone.status)
    assert together.status[1, 5] == Status.BLIND
    assert (together.status[0] == Status.OK).all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch", [(), (2,)])
def test_data_never_raises_and_a_lost_belief_is_reset(kind: str, batch: tuple[int, ...]) -> None:
    def explodes(x: Array, u: Array, w: Array) -> Array:
        return np.stack([x[..., 1], x[..., 0] ** 3 + u[..., 0] + w[..., 0]], axis=-1)

    filter_ = KINDS[kind](replace(pendulum(sine=False, prior=np.eye(2)), f=explodes), 2)
    belief, _ = filter_.update(filter_.init(batch), np.zeros((*batch, 1)))
    seen = set()
    for k in range(60):
        belief, info = filter_.step(belief, np.full((*batch, 1), np.nan if k % 20 else 10.0**k), [5.0])
        seen |= {Status(s) for s in np.atleast_1d(info.status)}
        assert np.isfinite(belief.mean).all()
        assert np.isfinite(belief.covariance).all()
    assert Status.DIVERGED in seen
    for _ in range(30):
        belief = filter_.predict(belief, [5.0])
    belief, info = filter_.update(belief, np.zeros((*batch, 1)))
    assert (info.status == Status.DIVERGED).all()
    assert np.isfinite(belief.mean).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_prior_without_doubt_is_not_moved(kind: str) -> None:
    """P⁻ is singular where a state is known exactly."""
    filter_ = KINDS[kind](pendulum(), 3)
    belief, info = filter_.update(filter_.init(mean=[0.4, 0.0], covariance=np.zeros((2, 2))), [0.5])
    np.testing.assert_allclose(belief.state, [0.4, 0.0], atol=1e-12)
    assert info.status == Status.OK
    belief, _ = filter_.step(belief, [0.5])
    assert np.isfinite(belief.std).all()


def test_an_outlier_is_doubted_and_a_push_believed() -> None:
    model = pendulum(0.0)
    for filter_ in (
        NonlinearPCFilter(model, outlier_threshold=12.0),
        UnscentedKalmanFilter(model, outlier_threshold=12.0),
    ):
        calm = filter_.run(0.02 * Y)
        y = 0.02 * Y.copy()
        y[30] = 5.0
        doubted = filter_.run(y)
        assert doubted.status[30] == Status.OUTLIER
        assert np.abs(doubted.mean - calm.mean)[30].max() < 0.4
        plain = replace(filter_, outlier_threshold=None).run(y)
        assert np.abs(plain.mean - calm.mean)[30].max() > 0.5
        y[30:] = 3.0
        assert (filter_.run(y).status[30:35] == [Status.OUTLIER] * 3 + [Status.SURPRISE] * 2).all()


def test_rotations_are_estimated_beyond_half_a_turn() -> None:
    """A ball joint spun through several turns; its frame is read."""
    xml = """<mujoco><option timestep="0.01" gravity="0 0 0"/><worldbody><body name="b"><joint name="ball" type="ball"/>
    <geom type="box" size="0.1 0.2 0.3" mass="1"/></body></worldbody></mujoco>"""
    model = MujocoModel(
        xml,
        dt=0.05,
        inputs=(),
        sensors=["xmat:b"],
        noise_input=["ball_0"],
        process_noise=[OrnsteinUhlenbeck(0.05, 0.3)],
        sensor_noise=[White(std=0.1)] * 9,
        prior=np.diag([0.1] * 3 + [0.5] * 3),
    )
    rng, force = np.random.default_rng(1), 0.05 * np.sin(np.arange(100.0)[:, None])
    x, truth = np.array([0.2, -0.1, 0.3, 2.0, 3.0, 1.0]), []
    for w in force:
        truth.append(x)
        x = model.transition(x, np.zeros(0), w)
    states = np.array(truth)
    y = model.readout(states, np.zeros((100, 0))) + 0.1 * rng.standard_normal((100, 9))
    for kind in KINDS.values():
        estimate = kind(model, 0).run(y)
        error = model.difference(estimate.mean, states)[50:]
        assert np.sqrt(np.mean(error[:, :3] ** 2)) < 0.06
        assert np.sqrt(np.mean(error[:, 3:] ** 2)) < 0.3


def test_other_time_steps_and_sensors_by_name() -> None:
    filter_ = NonlinearPCFilter(pendulum(sensors=("sine",)), 2)
    start, _ = filter_.update(filter_.init(), Y[0])
    long, twice = filter_.predict(start, [0.7], dt=0.2), filter_.predict(filter_.predict(start, [0.7]), [0.7])
    np.testing.assert_allclose(long.mean, twice.mean, atol=1e-6)
    np.testing.assert_allclose(long.covariance, twice.covariance, atol=1e-3)
    named, _ = filter_.update(start, [0.1], sensors=["sine"])
    np.testing.assert_array_equal(named.mean, filter_.update(start, [0.1])[0].mean)
    with pytest.raises(UnknownNameError, match="sine"):
        filter_.update(start, [0.1], sensors=["gyro"])


def test_bad_arguments_are_named() -> None:
    model = pendulum()
    for changes, name in (
        ({"iterations": 0}, "iterations"),
        ({"tolerance": 0.0}, "tolerance"),
        ({"order": -1}, "order"),
        ({"outlier_threshold": -1.0}, "outlier_threshold"),
    ):
        with pytest.raises(ParameterError, match=name):
            NonlinearPCFilter(model, **changes)
    with pytest.raises(UnknownNameError, match="prediction"):
        NonlinearPCFilter(model, prediction="guess")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="process_scale"):
        ExtendedKalmanFilter(model, process_scale=-1.0)
    with pytest.raises(ParameterError, match="sensor_scale"):
        ExtendedKalmanFilter(model, sensor_scale=0.0)
    with pytest.raises(ShapeError, match="state_noise"):
        ExtendedKalmanFilter(model, state_noise=np.ones(3))
    with pytest.raises(ParameterError, match="width"):
        UnscentedKalmanFilter(model, width=0.0)
    filter_ = UnscentedKalmanFilter(model)
    for call in (
        lambda: filter_.update(filter_.init(), [1.0, 2.0]),
        lambda: filter_.predict(filter_.init(), [1.0, 2.0]),
    ):
        with pytest.raises(ShapeError):
            call()
    with pytest.raises(ShapeError, match="y"):
        filter_.run(np.zeros(5))


def test_generalised_filters_take_the_linear_model_itself() -> None:
    linear: LinearModel = continuous_model()
    assert generalise(linear, 4).size == linear.joint(4).size
    y = 0.1 * RNG.standard_normal((20, 2))
    want = PCFilter(linear, precision="carried").run(y)
    np.testing.assert_allclose(NonlinearPCFilter(linear).run(y).mean, want.mean, atol=1e-10)
