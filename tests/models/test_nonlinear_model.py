from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from plants import white_msd
from scipy.integrate import solve_ivp

from pcctrl.errors import ParameterError, PcctrlError, ShapeError, UnknownNameError
from pcctrl.models import GenerativeModel, LinearModel, NonlinearModel
from pcctrl.noise import OrnsteinUhlenbeck, White

Array = NDArray[np.float64]
CALLS = {"vector": 0, "batch": 0}


def rates(x: Array, u: Array, w: Array) -> Array:
    """A damped pendulum, as a roboticist writes it: of vectors."""
    return np.array([x[1], -9.81 * np.sin(x[0]) - 0.2 * x[1] + u[0] + w[0]])


def rates_of_batches(x: Array, u: Array, w: Array) -> Array:
    CALLS["batch" if x.ndim > 1 else "vector"] += 1
    return np.stack([x[..., 1], -9.81 * np.sin(x[..., 0]) - 0.2 * x[..., 1] + u[..., 0] + w[..., 0]], axis=-1)


def sine(x: Array, u: Array) -> Array:
    return np.array([np.sin(x[0]), x[1] + 0.5 * u[0] ** 2])


def rate_matrices(x: Array, u: Array, w: Array) -> tuple[Array, Array, Array]:
    del u, w
    return np.array([[0.0, 1.0], [-9.81 * np.cos(x[0]), -0.2]]), np.array([[0.0], [1.0]]), np.array([[0.0], [1.0]])


def sensor_matrices(x: Array, u: Array) -> tuple[Array, Array]:
    return np.array([[np.cos(x[0]), 0.0], [0.0, 1.0]]), np.array([[0.0], [u[0]]])


GOOD: dict[str, Any] = {
    "f": rates,
    "g": sine,
    "dt": 0.05,
    "operating_point": (np.zeros(2), np.zeros(1)),
    "process_noise": [OrnsteinUhlenbeck(1.0, 0.2)],
    "sensor_noise": [White(std=0.1), White(std=0.2)],
}


def build(**changes: Any) -> NonlinearModel:
    return NonlinearModel(**{**GOOD, **changes})


def test_runge_kutta_is_of_fourth_order() -> None:
    x, u, w = np.array([2.0, -1.0]), np.array([0.5]), np.array([0.3])
    exact = solve_ivp(lambda _, x: rates(x, u, w), (0.0, 0.4), x, rtol=1e-12, atol=1e-12).y[:, -1]
    errors = [np.abs(build(dt=0.4, substeps=k).transition(x, u, w) - exact).max() for k in (4, 8)]
    assert errors[1] < errors[0] / 12.0


def test_a_batch_is_its_rows_however_f_is_written() -> None:
    rng = np.random.default_rng(0)
    x, u, w = rng.standard_normal((3, 4, 2)), rng.standard_normal((4, 1)), rng.standard_normal((3, 1, 1))
    by_vector, by_batch = build(substeps=2), build(f=rates_of_batches, substeps=2)
    by_batch.transition(x, u, w)
    CALLS.update(vector=0, batch=0)
    np.testing.assert_allclose(by_batch.transition(x, u, w), by_vector.transition(x, u, w), rtol=1e-12)
    assert CALLS == {"vector": 0, "batch": 8}, "a batch is one call for each stage"
    for model in (by_vector, by_batch):
        row = model.transition(x[1, 2], u[2], w[1, 0])
        np.testing.assert_allclose(model.transition(x, u, w)[1, 2], row, rtol=1e-14)
        np.testing.assert_array_equal(model.readout(x, u)[1, 2], model.readout(x[1, 2], u[2]))
        assert model.readout(x[:0], u).shape == (0, 4, 2)
        J = model.jacobians(x, u, w)
        for all_of_them, one in zip(J, model.jacobians(x[1, 2], u[2], w[1, 0]), strict=True):
            np.testing.assert_allclose(all_of_them[1, 2], one, atol=1e-10)


@pytest.mark.parametrize("time", ["continuous", "discrete"])
def test_given_jacobians_equal_finite_differences(time: str) -> None:
    f = rates if time == "continuous" else lambda x, u, w: x + 0.01 * rates(x, u, w)

    def by_step(x: Array, u: Array, w: Array) -> list[Array]:
        A, B, G = rate_matrices(x, u, w)
        return [np.eye(2) + 0.01 * A, 0.01 * B, 0.01 * G]

    given = build(
        f=f,
        f_jacobians=rate_matrices if time == "continuous" else by_step,
        g_jacobians=sensor_matrices,
        time=time,
        substeps=3,
    )
    plain = build(f=f, time=time, substeps=3)
    rng = np.random.default_rng(1)
    x, u, w = rng.standard_normal((5, 2)), rng.standard_normal((5, 1)), rng.standard_normal((5, 1))
    for got, want in zip(given.jacobians(x, u, w), plain.jacobians(x, u, w), strict=True):
        np.testing.assert_allclose(got, want, atol=1e-9)
    wrong = replace(given, g_jacobians=lambda x, u: (1.1 * sensor_matrices(x, u)[0], sensor_matrices(x, u)[1]))
    assert np.abs(wrong.jacobians(x, u, w).C - plain.jacobians(x, u, w).C).max() > 1e-3


def test_a_linear_function_is_the_linear_model() -> None:
    linear: LinearModel = white_msd()
    A, B, G = np.asarray(linear.A), np.asarray(linear.B), np.asarray(linear.noise_input)
    same = NonlinearModel(
        lambda x, u, w: x @ A.T + u @ B.T + w @ G.T,
        lambda x, u: x @ linear.C.T + 0.0 * u,
        dt=linear.dt,
        substeps=20,
        operating_point=linear.start,
        process_noise=linear.process_noise,
        sensor_noise=linear.sensor_noise,
        limits=(-20.0, 20.0),
    )
    rng = np.random.default_rng(2)
    x, u, w = rng.standard_normal((4, 2)), rng.standard_normal((4, 1)), rng.standard_normal((4, 1))
    either: GenerativeModel
    ahead, readings, jacobians = [], [], []
    for either in (linear, same):
        ahead.append(either.transition(x, u, w))
        readings.append(either.readout(x, u))
        jacobians.append(either.jacobians(x, u, w))
    np.testing.assert_allclose(ahead[0], ahead[1], atol=1e-9)
    np.testing.assert_allclose(readings[0], readings[1], atol=1e-12)
    for first, second in zip(*jacobians, strict=True):
        np.testing.assert_allclose(first, second, atol=1e-8)
    assert same.limits[0].tolist() == [-20.0]


def test_resampled_steps_chain_to_a_sample() -> None:
    model = build(substeps=4)
    half = model.resampled(0.025)
    assert half.substeps == 2
    x, u = np.array([1.0, 0.5]), np.array([0.1])
    np.testing.assert_allclose(half.transition(half.transition(x, u), u), model.transition(x, u), atol=1e-14)
    discrete = build(time="discrete", substeps=4)
    with pytest.raises(ParameterError, match="multiple"):
        discrete.resampled(0.02)


def test_data_that_is_not_finite_raises_nothing() -> None:
    model = build()
    x = np.array([[np.nan, 0.0], [1e308, 1e308], [np.inf, 0.0]])
    assert not np.isfinite(model.transition(x, [1e308])).all(axis=-1).any()
    assert np.isnan(model.jacobians(x[0], [0.0]).F).any()


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"f": 3}, ParameterError, "f: expected a function"),
        ({"g_jacobians": 3}, ParameterError, "g_jacobians"),
        ({"f": lambda x, u, w: x[:1] + u + w}, ShapeError, "f"),
        ({"g": lambda x, u: x[0] + u[0]}, ShapeError, "g"),
        ({"g": lambda x, u: np.array([x[0] + u[0], np.nan])}, ParameterError, "g"),
        ({"f_jacobians": lambda x, u, w: (x, u, w)}, ShapeError, r"f_jacobians\[0\]"),
        ({"g_jacobians": lambda x, u: x + u}, ShapeError, "2 matrices"),
        ({"dt": 0.0}, ParameterError, "dt"),
        ({"substeps": 0}, ParameterError, "substeps"),
        ({"time": "sometimes"}, UnknownNameError, "time"),
        ({"operating_point": np.zeros(2)}, ShapeError, "operating_point"),
        ({"process_noise": [White(std=1.0)]}, ParameterError, "process_noise"),
        ({"process_noise": None}, ShapeError, "process_noise"),
        ({"sensor_noise": [White(std=1.0)]}, ShapeError, "sensor_noise"),
        ({"limits": (1.0, -1.0)}, ParameterError, "limits"),
        ({"limits": 1.0}, ShapeError, "limits"),
        ({"prior": np.eye(3)}, ShapeError, "prior"),
        ({"states": ["angle"]}, ShapeError, "states"),
        ({"disturbance": -1.0}, ParameterError, "disturbance"),
    ],
)
def test_bad_arguments_are_named(changes: dict[str, Any], error: type[PcctrlError], message: str) -> None:
    with pytest.raises(error, match=message):
        build(**changes)
