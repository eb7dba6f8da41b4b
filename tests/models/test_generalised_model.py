"""The generalised model of a nonlinear plant: of linear dynamics it is `LinearModel.joint`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from plants import as_nonlinear, continuous_model, simulator_model

from pcctrl.errors import ModelError, ParameterError
from pcctrl.models import LinearModel, MujocoModel, NonlinearModel, generalise
from pcctrl.noise import OrnsteinUhlenbeck, Smooth, White

Array = NDArray[np.float64]
RNG = np.random.default_rng(0)


# A sensor that reads the input reads what adds to it.
DIRECT = [replace(model, D=np.full_like(model.D, 0.7)) for model in (simulator_model(), continuous_model())]


@pytest.mark.parametrize("linear", [simulator_model(), continuous_model(), continuous_model(disturbance=None), *DIRECT])
@pytest.mark.parametrize("order", [0, 4, None])
def test_of_linear_dynamics_it_is_the_joint_model(linear: LinearModel, order: int | None) -> None:
    joint = linear.white.joint(0) if order is None else linear.joint(order)
    model = generalise(as_nonlinear(linear), order)
    assert (model.size, model.plant, model.process) == (joint.size, joint.plant, joint.process)
    assert (model.disturbances, model.exogenous) == (joint.disturbances, joint.exogenous)
    np.testing.assert_array_equal(model.mean, joint.mean)
    mean, u = joint.mean + RNG.standard_normal((3, 2, joint.size)), 0.5 + RNG.standard_normal((2, len(joint.input)))
    later, F, Q = model.linearised(mean, u)
    np.testing.assert_allclose(later, mean @ joint.F.T + u @ joint.B.T + joint.offset, atol=1e-10)
    np.testing.assert_allclose(model.ahead(mean, u), later, atol=1e-13)
    np.testing.assert_allclose(F, np.broadcast_to(joint.F, F.shape), atol=1e-9)
    np.testing.assert_allclose(Q, np.broadcast_to(joint.Q, Q.shape), atol=1e-10)
    np.testing.assert_allclose(model.driven(mean, u), Q, atol=1e-15)
    reading = mean @ joint.C.T + u @ joint.D.T + joint.sensor_offset
    np.testing.assert_allclose(model.readout(mean, u), reading, atol=1e-12)
    C = model.readout_jacobian(mean, u)
    np.testing.assert_allclose(C, np.broadcast_to(joint.C, C.shape), atol=1e-9)
    np.testing.assert_array_equal(model.R, joint.R)
    own = generalise(linear, order)
    np.testing.assert_array_equal(own.linearised(mean, u)[1][0, 0], joint.F)
    np.testing.assert_allclose(own.ahead(mean, u), later, atol=1e-10)


def test_negative_control_noise_held_over_the_sample_is_another_model() -> None:
    """One Runge-Kutta step a sample, and noise held over it, are told apart from noise that moves on."""
    joint = continuous_model().joint(4)
    continuous = as_nonlinear(continuous_model(), substeps=1)
    held = replace(continuous, f=continuous.transition, time="discrete")
    mean, u = np.random.default_rng(0).standard_normal((50, joint.size)), np.zeros(1)
    want = mean @ joint.F.T
    errors = [float(np.abs(generalise(m, 4).ahead(mean, u) - want).max()) for m in (continuous, held)]
    assert errors[0] < 1e-3 * errors[1]


@pytest.mark.parametrize("linear", [simulator_model(), continuous_model()])
@pytest.mark.parametrize("order", [3, None])
def test_scales_and_other_sample_times(linear: LinearModel, order: int | None) -> None:
    linear = replace(linear, disturbance=None)
    nonlinear = as_nonlinear(linear)
    scaled, want = (generalise(m, order, 3.0, 2.0) for m in (nonlinear, linear))
    long, want_long = scaled.resampled(2 * linear.dt), want.resampled(2 * linear.dt)
    mean, u = RNG.standard_normal(want.size), RNG.standard_normal(1)
    for found, good in ((scaled, want), (long, want_long)):
        for a, b in zip(found.linearised(mean, u), good.linearised(mean, u), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-9)
        np.testing.assert_allclose(found.readout(mean, u), good.readout(mean, u), atol=1e-12)
    np.testing.assert_allclose(scaled.R, want.R)
    np.testing.assert_allclose(scaled.R, 2.0 * generalise(nonlinear, order).R)
    if order is None:
        np.testing.assert_allclose(want.linearised(mean, u)[2], 3.0 * linear.white.joint(0).Q, atol=1e-18)


def test_derivatives_are_those_of_the_mean() -> None:
    def f(x: Array, u: Array, w: Array) -> Array:
        rate = -9.81 * np.sin(x[..., 0]) - 0.2 * x[..., 1] + u[..., 0] * np.cos(x[..., 0]) + w[..., 0] * x[..., 1]
        return np.stack([x[..., 1], rate], axis=-1)

    def by_hand(x: Array, u: Array, w: Array) -> list[Array]:
        fall = -9.81 * np.cos(x[0]) - u[0] * np.sin(x[0])
        return [
            np.array([[0.0, 1.0], [fall, -0.2 + w[0]]]),
            np.array([[0.0], [np.cos(x[0])]]),
            np.array([[0.0], [x[1]]]),
        ]

    pendulum = NonlinearModel(
        f,
        lambda x, u: np.sin(x[..., :1]) + 0.0 * u,
        dt=0.1,
        operating_point=(np.zeros(2), np.zeros(1)),
        process_noise=[Smooth(1.0, 0.1)],
        sensor_noise=[Smooth(0.1, 0.1)],
        substeps=2,
        disturbance=0.5,
    )
    model = generalise(pendulum, 2)
    mean, u = RNG.standard_normal((4, model.size)), RNG.standard_normal((4, 1))
    later, F, Q = model.linearised(mean, u)
    np.testing.assert_allclose(later, model.ahead(mean, u), atol=1e-14)
    step = 1e-5
    for i, move in enumerate(step * np.eye(model.size)):
        slope = (model.ahead(mean + move, u) - model.ahead(mean - move, u)) / (2.0 * step)
        np.testing.assert_allclose(F[..., i], slope, atol=1e-8)
    given = generalise(replace(pendulum, f_jacobians=by_hand), 2).linearised(mean, u)
    np.testing.assert_allclose(given[1], F, atol=1e-9)
    np.testing.assert_allclose(given[2], Q, atol=1e-9)
    # Q is of second order in the step.
    fine = generalise(replace(pendulum, substeps=64), 2).driven(mean, u)
    errors = [float(np.abs(generalise(replace(pendulum, substeps=k), 2).driven(mean, u) - fine).max()) for k in (2, 4)]
    assert errors[1] < errors[0] / 3.0


def test_one_lost_member_of_a_batch_leaves_the_others_alone() -> None:
    model = generalise(as_nonlinear(continuous_model()), 4)
    mean, u = np.tile(RNG.standard_normal(model.size), (3, 1)), np.zeros(1)
    mean[1] = np.nan
    _, F, Q = model.linearised(mean, u)
    alone = model.linearised(mean[0], u)
    np.testing.assert_allclose(F[2], alone[1], atol=1e-12)
    np.testing.assert_allclose(Q[2], alone[2], atol=1e-12)


def test_the_prior_before_data() -> None:
    linear = replace(simulator_model(), disturbance=None)
    np.testing.assert_allclose(generalise(as_nonlinear(linear), 4).prior(), linear.joint(4).stationary(), atol=1e-8)
    unstable = continuous_model(sensor_noise=[Smooth(0.01, 0.04), White(std=0.01)])
    prior = generalise(as_nonlinear(unstable), 4).prior(0.1 * np.eye(4))
    np.testing.assert_array_equal(prior[:4, :4], 0.1 * np.eye(4))
    np.testing.assert_allclose(prior[4:9, 4:9], np.eye(5))
    assert prior[9, 9] > 0.0
    # What no sensor sees has no steady prediction: the model must say what is known of it.
    unseen = replace(as_nonlinear(unstable), g=lambda x, u: 0.0 * x[..., :2] + 0.0 * u)
    with pytest.raises(ModelError, match="without a prior"):
        generalise(unseen, 4).prior()
    assert np.isfinite(generalise(unseen, 4).prior(np.eye(4))).all()


def test_a_simulator_is_stepped_as_it_steps() -> None:
    """Each physics step with its own force, and the accelerometer feels the noise of its moment."""
    xml = """<mujoco><option timestep="0.01" gravity="0 0 0"/><worldbody><body><joint name="slide" type="slide"/>
    <geom size="0.1" mass="2"/><site name="s"/></body></worldbody>
    <sensor><jointpos joint="slide"/><accelerometer site="s"/></sensor></mujoco>"""
    simulation = MujocoModel(
        xml,
        dt=0.03,
        inputs=(),
        noise_input=["slide"],
        process_noise=[OrnsteinUhlenbeck(1.0, 0.05)],
        sensor_noise=[White(std=0.1)] * 4,
    )
    model = generalise(simulation, 1)
    mean = np.array([0.1, 0.2, 0.5])
    v, x, force = 0.2, 0.1, 0.5
    for _ in range(3):
        v += 0.01 * force / 2.0
        x += 0.01 * v
        force *= np.exp(-0.01 / 0.05)
    np.testing.assert_allclose(model.ahead(mean, np.zeros(0)), [x, v, force], atol=1e-12)
    C = model.readout_jacobian(mean, np.zeros(0))
    assert np.abs(C[1:, 2]).max() == pytest.approx(0.5, rel=1e-6)


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ParameterError, match="order"):
        generalise(as_nonlinear(simulator_model()), -1)
    with pytest.raises(ParameterError, match="process_scale"):
        generalise(as_nonlinear(simulator_model()), 1, process_scale=0.0)
    with pytest.raises(ParameterError, match="delays have one clock"):
        generalise(simulator_model(delay=0.05), 1).resampled(0.1)
