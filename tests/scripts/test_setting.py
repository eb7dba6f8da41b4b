"""The environment that a command line states: options of the arms and the quadrotor, and errors by what was typed."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pcctrl import agents
from pcctrl.envs import ArmOptions, NoiseOptions, PlantOptions, QuadrotorOptions, make
from pcctrl.errors import ModelError, PcctrlError
from pcctrl.models import Mismatch, MujocoModel
from pcctrl.scripts.main import main
from pcctrl.scripts.setting import Setting

_UNACTUATED = "<mujoco><worldbody><body><joint name='j' type='hinge'/><geom size='0.1'/></body></worldbody></mujoco>"


def _told(env: Any) -> MujocoModel:
    model = agents.task_of(env).model
    assert isinstance(model, MujocoModel)
    return model


def test_an_arm_is_as_its_options_say_and_its_task_is_wrong_as_told() -> None:
    options = ArmOptions("hold", "none", ("motor",), (2.0, 0.05), 30.0, Mismatch(mass=0.5))
    factory, env = Setting(env="pcctrl/Arm2-v0", arm=options).make()
    arm: Any = env.unwrapped
    assert (arm.trajectory, arm.encoders, arm.mismatch) == ("hold", ("motor",), Mismatch(mass=0.5))
    assert agents.task_of(env).model.sensors == ("motor1", "motor2")
    env.reset(seed=0)
    light = arm.model.body_mass.sum()
    for _ in range(52):
        env.step(np.zeros(2))
    assert arm.model.body_mass.sum() == pytest.approx(light + 2.0)
    # The model that agents are told has half the mass, and no load.
    plain, told = (_told(e) for e in (Setting(env="pcctrl/Arm2-v0").make()[1], env))
    assert (plain.wrong, told.wrong) == (None, Mismatch(mass=0.5))
    assert told.source.body_mass.sum() == pytest.approx(light)
    # It goes to worker processes.
    assert pickle.loads(pickle.dumps(factory))().unwrapped.encoders == ("motor",)


def test_the_quadrotor_is_as_its_options_say_with_noise_of_any_colour() -> None:
    options = QuadrotorOptions("imu", 2.0)
    for noise in (NoiseOptions(), NoiseOptions(colour="white"), NoiseOptions(colour="ou", sensor_std=(0.01,) * 10)):
        setting = Setting(env="pcctrl/Quadrotor-v0", quadrotor=options, noise=noise)
        env = setting.make()[1]
        assert (env.unwrapped.sensing, env.unwrapped.wind) == ("imu", 2.0)  # type: ignore[attr-defined]
        assert env.reset(seed=0)[0].shape == (10,)
        assert len(setting.description(0)["noise"]["sensor_std"]) == 10
    same = make("pcctrl/Quadrotor-v0", own=[ArmOptions(), options])
    assert same.unwrapped.wind == 2.0  # type: ignore[attr-defined]


def test_results_belong_to_the_options() -> None:
    plain, heavy = (Setting(env="pcctrl/Arm2-v0", arm=ArmOptions(payload=load)) for load in (None, (1.0, 0.5)))
    assert plain.description(3) != heavy.description(3)
    assert json.loads(json.dumps(heavy.description(3)))["payload"] == [1.0, 0.5]
    assert heavy.description(3)["settle"] == 3
    near, far = (Setting(env="Reacher-v5", plant=PlantOptions(end_weight=end)) for end in (None, 3.0))
    assert near.description(0) != far.description(0)


@pytest.mark.parametrize(
    ("setting", "name"),
    [
        ({"env": "Reacher-v5", "plant": PlantOptions(pushed=("nothing",))}, "plant.pushed"),
        ({"env": "Reacher-v5", "plant": PlantOptions(sensors=("nothing",))}, "plant.sensors"),
        ({"env": "Reacher-v5", "plant": PlantOptions(dt=0.013)}, "plant.dt"),
        ({"env": "Reacher-v5", "plant": PlantOptions(weight=(-1.0,) * 8)}, "plant.weight"),
        ({"env": "Reacher-v5", "plant": PlantOptions(action_weight=-1.0)}, "plant.action-weight"),
        ({"env": "pcctrl/DoubleSwingUp-v0", "plant": PlantOptions(end_weight=1e308)}, "plant.end-weight"),
        ({"env": "Reacher-v5", "plant": PlantOptions(wrong=Mismatch(bodies=["nothing"]))}, "plant.wrong.bodies"),
        ({"env": "pcctrl/CartPole-v0", "noise": NoiseOptions(delay=0.013)}, "noise.delay"),
        ({"env": "pcctrl/CartPole-v0", "noise": NoiseOptions(dropout=2.0)}, "noise.dropout"),
        ({"env": "pcctrl/CartPole-v0", "noise": NoiseOptions(bias=(1.0,))}, "noise.bias"),
        ({"env": "pcctrl/Arm2-v0", "arm": ArmOptions(encoders=())}, "arm.encoders"),
        ({"env": "pcctrl/Arm2-v0", "arm": ArmOptions(payload=(-1.0, 1.0))}, "arm.payload"),
        ({"env": "pcctrl/Arm2-v0", "arm": ArmOptions(payload=(1.0, -1.0))}, "arm.payload"),
        ({"env": "pcctrl/Arm2-v0", "arm": ArmOptions(push=-1.0)}, "arm.push"),
        ({"env": "pcctrl/Quadrotor-v0", "quadrotor": QuadrotorOptions(wind=300.0)}, "quadrotor.wind"),
        ({"env": "pcctrl/CartPole-v0", "steps": 0}, "steps"),
    ],
)
def test_an_error_names_what_was_typed(setting: dict[str, Any], name: str) -> None:
    with pytest.raises(PcctrlError) as found:
        Setting(**setting).make()
    assert found.value.name == name


def test_a_wrong_body_of_an_arm_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "pcctrl/Arm2-v0", "--arm.wrong.bodies", "nothing"]) == 2
    assert capsys.readouterr().err.startswith("pcctrl: arm.wrong.bodies: ")


def test_options_of_another_environment_are_refused() -> None:
    for setting in (
        Setting(env="Reacher-v5", arm=ArmOptions(push=1.0)),
        Setting(env="pcctrl/Arm2-v0", quadrotor=QuadrotorOptions(wind=1.0)),
        Setting(env="pcctrl/CartPole-v0", arm=ArmOptions(wrong=Mismatch(mass=0.5))),
    ):
        with pytest.raises(ModelError, match=f"for {setting.env}"):
            setting.make()


def test_what_has_no_actuator_is_named_by_its_file(tmp_path: Path) -> None:
    (file := tmp_path / "swing.xml").write_text(_UNACTUATED)
    with pytest.raises(PcctrlError, match=r"env: .* actuator"):
        Setting(env=str(file)).make()


def test_a_run_of_an_arm_can_be_estimated_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, again = tmp_path / "run", tmp_path / "again"
    options = ["--arm.encoders", "motor", "--arm.friction", "none"]
    assert main(["run", "pcctrl/Arm2-v0", "--steps", "60", "--out", str(run), *options]) == 0
    command = ["estimate", str(run / "log.csv"), "--model", "pcctrl/Arm2-v0", "--filters", "ekf", "--out", str(again)]
    assert main([*command, *options]) == 0
    rows = json.loads((again / "summary.json").read_text())["filters"]
    assert np.isfinite(rows["ekf"]["nis"])
    capsys.readouterr()
    # The log has no readings of the other side, which the arm has by default.
    assert main(command) == 2
    assert "link1" in capsys.readouterr().err
