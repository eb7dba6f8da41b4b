from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from plants import smooth_msd, white_msd

from pcctrl.errors import ParameterError, PcctrlError, ShapeError
from pcctrl.filters import PCFilter
from pcctrl.models import LinearModel
from pcctrl.noise import OrnsteinUhlenbeck, Smooth, White

GOOD: dict[str, Any] = {
    "A": np.array([[0.0, 1.0], [-4.0, -0.4]]),
    "B": np.array([[0.0], [1.0]]),
    "C": np.array([[1.0, 0.0]]),
    "dt": 0.1,
    "noise_input": np.array([[0.0], [1.0]]),
    "process_noise": [White(density=1.0)],
    "sensor_noise": [White(std=0.1)],
}


def build(**changes: Any) -> LinearModel:
    return LinearModel(**{**GOOD, **changes})


def test_joint_model_has_a_chain_for_every_coloured_noise() -> None:
    joint = smooth_msd().joint(4)
    assert (joint.plant, joint.process, joint.size) == (2, 5, 12)
    assert joint.exogenous == slice(2, 7)
    assert joint.C[0, 0] == 1.0
    assert joint.C[0, 7] == pytest.approx(0.1)
    assert white_msd().joint(4).size == 2


def test_a_sensor_that_feels_the_force_is_as_good_as_the_force_a_state() -> None:
    """Oracle: an Ornstein-Uhlenbeck force as a third state, read with it, and white noise that drives that."""
    std, tau, felt = 0.7, 0.5, 1.3
    C = np.array([[1.0, 0.0], [-4.0, -0.4]])
    accelerometer = build(
        C=C,
        process_noise=[OrnsteinUhlenbeck(std, tau)],
        sensor_noise=[White(std=0.1), White(std=0.3)],
        noise_output=np.array([[0.0], [felt]]),
    )
    by_hand = build(
        A=np.array([[0.0, 1.0, 0.0], [-4.0, -0.4, 1.0], [0.0, 0.0, -1.0 / tau]]),
        B=np.array([[0.0], [1.0], [0.0]]),
        C=np.hstack([C, [[0.0], [felt]]]),
        noise_input=np.array([[0.0], [0.0], [1.0]]),
        process_noise=[White(density=std * np.sqrt(2.0 / tau))],
        sensor_noise=[White(std=0.1), White(std=0.3)],
    )
    ours, theirs = (PCFilter(model, 0).steady.covariance[:2, :2] for model in (accelerometer, by_hand))
    np.testing.assert_allclose(ours, theirs, rtol=1e-9)
    # Negative control: deaf to the force it is a worse filter.
    deaf = PCFilter(replace(accelerometer, noise_output=None), 0).steady.covariance
    assert deaf[1, 1] > 1.05 * theirs[1, 1]
    x, w = np.array([0.2, -0.1]), np.array([0.5])
    np.testing.assert_allclose(accelerometer.readout(x, w=w), C @ x + [0.0, felt * 0.5])
    # Taken for white, what is felt is noise of the sensor's own.
    assert accelerometer.white.sensor_noise[1].sensor_floor == pytest.approx(0.3**2 + (felt * std) ** 2)


def test_joint_stationary_covariance_is_identity_on_the_chains() -> None:
    joint = smooth_msd().joint(4)
    np.testing.assert_allclose(joint.stationary()[2:, 2:], np.eye(10), atol=1e-10)


def test_discrete_steps_compose_to_the_continuous_model_as_the_step_shrinks() -> None:
    continuous = smooth_msd().joint(2)
    errors = []
    for substeps in (10, 100):
        h = 0.1 / substeps
        step = np.linalg.inv(np.eye(2) - GOOD["A"] * h)
        model = LinearModel.from_discrete(
            **{k: GOOD[k] for k in ("C", "dt")},
            A=step,
            B=step @ GOOD["B"] * h,
            noise_input=step @ GOOD["B"] * h,
            process_noise=[Smooth(1.0, 0.2)],
            sensor_noise=[Smooth(0.1, 0.2)],
            substeps=substeps,
        )
        errors.append(np.abs(model.joint(2).F - continuous.F).max())
    assert errors[1] < 0.12 * errors[0]


def test_operating_point_is_a_fixed_point() -> None:
    x, u, y = np.array([0.25, 0.0]), np.array([1.0]), np.array([7.0])
    joint = build(operating_point=(x, u, y)).joint(0)
    np.testing.assert_allclose(joint.F @ joint.mean + joint.B @ u + joint.offset, joint.mean)
    np.testing.assert_allclose(joint.C @ joint.mean + joint.D @ u + joint.sensor_offset, y)


def test_inputs_are_copied_and_read_only() -> None:
    A = GOOD["A"].copy()
    model = build(A=A)
    A[0, 0] = 99.0
    assert model.A[0, 0] == 0.0
    with pytest.raises(ValueError, match="read-only"):
        model.A[0, 0] = 1.0


@pytest.mark.parametrize(
    ("changes", "error", "name"),
    [
        ({"A": np.eye(3)[:2]}, ShapeError, "A"),
        ({"A": "matrix"}, ShapeError, "A"),
        ({"A": np.array([[0.0, np.nan], [0.0, 0.0]])}, ParameterError, "A"),
        ({"B": np.zeros((3, 1))}, ShapeError, "B"),
        ({"C": np.zeros((1, 3))}, ShapeError, "C"),
        ({"D": np.zeros((2, 2))}, ShapeError, "D"),
        ({"dt": 0.0}, ParameterError, "dt"),
        ({"dt": -0.1}, ParameterError, "dt"),
        ({"dt": np.inf}, ParameterError, "dt"),
        ({"noise_input": np.zeros((2, 2))}, ShapeError, "process_noise"),
        ({"noise_output": np.zeros((2, 1))}, ShapeError, "noise_output"),
        ({"noise_output": np.ones((1, 1))}, ParameterError, "noise_output"),
        ({"process_noise": [White(std=1.0)]}, ParameterError, "process_noise[0]"),
        ({"sensor_noise": [White(density=1.0)]}, ParameterError, "sensor_noise[0]"),
        ({"sensor_noise": [Smooth(1.0, 1.0, floor=0.0)]}, ParameterError, "sensor_noise[0]"),
        ({"sensor_noise": [0.1]}, ParameterError, "sensor_noise[0]"),
        ({"sensor_noise": []}, ShapeError, "sensor_noise"),
        ({"prior": np.array([[1.0, 0.5], [0.0, 1.0]])}, ParameterError, "prior"),
        ({"prior": -np.eye(2)}, ParameterError, "prior"),
        ({"operating_point": (np.zeros(2), np.zeros(1))}, ShapeError, "operating_point"),
        ({"states": ("x",)}, ShapeError, "states"),
        ({"states": ("x", "x")}, ShapeError, "states"),
        ({"substeps": 0}, ParameterError, "substeps"),
    ],
)
def test_bad_arguments_are_named(changes: dict[str, Any], error: type[PcctrlError], name: str) -> None:
    with pytest.raises(error) as caught:
        build(**changes)
    assert caught.value.name == name
    assert "expected" in str(caught.value)


def test_whitened_model_has_no_chains_left() -> None:
    model = build(process_noise=[OrnsteinUhlenbeck(1.0, 0.5)], sensor_noise=[Smooth(0.1, 0.2)]).white
    assert model.joint(6).size == 2
