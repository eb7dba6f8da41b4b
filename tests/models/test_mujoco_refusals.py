"""What MujocoModel refuses, and physics that breaks down."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import mujoco
import numpy as np
import pytest
from robots import WIND, pendulum, points, robot

from pcctrl.errors import FileError, ModelError, ParameterError, PcctrlError, ShapeError, UnknownNameError
from pcctrl.models import Mismatch, MujocoModel

BARE = "<mujoco><worldbody><body><joint name='j'/><geom size='0.1'/></body></worldbody>{}</mujoco>"


def test_what_is_not_finite_comes_back_as_nan() -> None:
    model = robot()
    x, u, w = points(model, 4)
    x[1, 3], u[2, 0] = np.nan, np.inf
    x[3, 12] = 1e300
    assert np.isnan(model.transition(x[3], u[3])).all()
    for got in (model.transition(x, u, w), model.readout(x, u, w), model.jacobians(x, u, w).F):
        assert np.isfinite(got[0]).all()
        assert np.isnan(got[1:]).all()


def test_physics_that_breaks_down_is_nan_and_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    model = robot()
    x, u, w = points(model, 4)
    good = model.transition(x, u, w)
    fast, hard = x.copy(), w.copy()
    fast[1:3, 10:] *= 1e6
    hard[1:3] *= 1e9
    assert np.isnan(model.transition(fast[1], u[1], hard[1])).all()
    ahead = model.transition(fast, u, hard)
    assert np.isnan(model.readout(fast, u, hard * 1e2)[1:3]).all()
    assert not any(tmp_path.iterdir()), "quiet one by one and in a batch"
    assert "WARNING" not in "".join(capfd.readouterr())
    assert np.isnan(ahead[1:3]).all()
    np.testing.assert_array_equal(ahead[[0, 3]], good[[0, 3]])
    np.testing.assert_array_equal(model.transition(x, u, w), good)
    np.testing.assert_array_equal(model.transition(x[1], u[1], w[1]), good[1])
    # Negative control: what is done with the batch elsewhere is told as before.
    batch = mujoco.batch.Batch(model._sim.model, 1)
    batch.bind("qvel")[:] = fast[1, 10:20]
    batch.step()
    assert any(tmp_path.iterdir())
    assert "WARNING" in "".join(capfd.readouterr())
    # A start that breaks down is the user's to hear of.
    with pytest.raises(ModelError, match="finite"):
        pendulum(qvel=[1e11])


@pytest.mark.parametrize(
    ("source", "named", "error", "message"),
    [
        (BARE.format(""), {}, ParameterError, "inputs"),
        (BARE.format("<actuator><motor joint='j'/></actuator>"), {}, ParameterError, "sensors: expected at least one"),
        (None, {"sensors": ["gyroscope"]}, UnknownNameError, "sensors"),
        (None, {"sensors": ["gyro_3"]}, UnknownNameError, "sensors"),
        (None, {"sensors": ["qpos:elbow"]}, UnknownNameError, "sensors"),
        (None, {"sensors": ["slide", "slide"]}, ShapeError, "sensors"),
        (None, {"inputs": ["motor"]}, UnknownNameError, "servo, twist"),
        (None, {"noise_input": ["root"], "process_noise": [WIND]}, UnknownNameError, "root_0"),
        (None, {"noise_input": ["hand:w"], "process_noise": [WIND]}, UnknownNameError, "noise_input"),
        (None, {"process_noise": []}, ShapeError, "process_noise"),
        (None, {"sensor_noise": [WIND]}, ShapeError, "sensor_noise"),
        (None, {"dt": 0.012}, ParameterError, "multiple"),
        (None, {"dt": -1.0}, ParameterError, "dt"),
        (None, {"qpos": [1.0]}, ShapeError, "qpos"),
        (None, {"disturbance": 0.0}, ParameterError, "disturbance"),
        (None, {"prior": np.eye(3)}, ShapeError, "prior"),
        (None, {"wrong": {"mass": 2.0}}, ParameterError, "Mismatch"),
        (None, {"wrong": Mismatch(bodies=["leg"])}, UnknownNameError, "wrong.bodies"),
        (None, {"wrong": Mismatch(payload={"leg": 1.0})}, UnknownNameError, "wrong.payload"),
        (3, {}, ParameterError, "source"),
        ("nowhere.xml", {}, FileError, "nowhere.xml"),
    ],
)
def test_bad_arguments_are_named(source: Any, named: dict[str, Any], error: type[PcctrlError], message: str) -> None:
    with pytest.raises(error, match=message):
        robot(**named) if source is None else MujocoModel(source, **named)


def test_environments_without_mujoco_and_bad_factors_are_named() -> None:
    env: Any = gym.make("CartPole-v1")
    with pytest.raises(ParameterError, match="source"):
        MujocoModel(env)
    for wrong in ({"mass": 0.0}, {"friction": -1.0}, {"payload": {"hand": -1.0}}, {"payload": 1.0}):
        with pytest.raises(ParameterError, match="wrong"):
            Mismatch(**wrong)
    model = robot()
    with pytest.raises(ShapeError, match="x"):
        model.transition(np.zeros(3), np.zeros(2))
    with pytest.raises(ShapeError, match="batches"):
        model.transition(np.zeros((3, 21)), np.zeros((2, 2)))
