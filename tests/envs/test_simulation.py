from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import mujoco
import numpy as np
import pytest
from contracts import check_endings, check_environment

from pcctrl import agents
from pcctrl.envs import (
    LINEAR,
    SIMULATION,
    ModelEnv,
    NoiseOptions,
    PlantOptions,
    SimulatedPlant,
    make,
    make_simulation,
    plant_of,
    simulated,
    two_masses,
)
from pcctrl.errors import FileError, ModelError, ParameterError, PcctrlError, ShapeError, UnknownNameError
from pcctrl.evaluation import rollout
from pcctrl.models import Mismatch, MujocoModel, NonlinearModel
from pcctrl.noise import Smooth, White
from pcctrl.scripts.benchmarks.running import cheetah

HANGING = """<mujoco><option timestep="0.01"/><worldbody><body name="rod" pos="0 0 1">
<joint name="hinge" type="hinge" axis="0 1 0" damping="0.1"/>
<geom type="capsule" size=".02" fromto="0 0 0 0 0 -0.5" mass="1"/></body></worldbody>
<actuator><motor name="motor" joint="hinge" ctrlrange="-3 3" ctrllimited="true"/></actuator></mujoco>"""


@pytest.fixture
def rod(tmp_path: Path) -> str:
    path = tmp_path / "rod.xml"
    path.write_text(HANGING)
    return str(path)


def still(source: str, **options: Any) -> ModelEnv:
    """The simulation with next to no disturbance."""
    plant = simulated(source, PlantOptions(**options))
    return plant.make([White(density=1e-12)] * len(plant.process_std), None)


def test_contract(rod: str) -> None:
    for source, losing in ((rod, None), ("InvertedPendulum-v5", 3.0)):
        plant = simulated(source)
        check_environment(lambda plant=plant: make_simulation(plant))  # type: ignore[misc]
        check_endings(lambda plant=plant: gym.make(SIMULATION, plant=plant, max_episode_steps=9), 9, losing)  # type: ignore[misc]


@pytest.mark.parametrize("env_id", ["Reacher-v5", "InvertedDoublePendulum-v5", "HalfCheetah-v5"])
def test_undisturbed_it_is_gymnasiums_own_task(env_id: str) -> None:
    env = still(env_id)
    _, info = env.reset(seed=3)
    task: Any = gym.make(env_id, disable_env_checker=True).unwrapped
    task.reset(seed=3)
    nv = task.model.nv
    task.set_state(info["state"][:nv], info["state"][nv:])
    rng = np.random.default_rng(0)
    for _ in range(5):
        action = rng.uniform(-0.3, 0.3, env.action_space.shape)
        *_, info = env.step(action)
        task.step(action)
        got = np.concatenate([task.data.qpos, task.data.qvel])
        # The solver of contacts starts from nothing at every sample here, from the last step there.
        np.testing.assert_allclose(info["state"], got, atol=1e-3 if env_id == "HalfCheetah-v5" else 1e-8)


def test_the_goal_of_the_reacher_is_the_target() -> None:
    env = still("Reacher-v5")
    physics: Any = gym.make("Reacher-v5", disable_env_checker=True).unwrapped
    for seed in range(20):
        _, info = env.reset(seed=seed)
        physics.set_state(info["goal"][:4], np.zeros(4))
        mujoco.mj_forward(physics.model, physics.data)
        finger, target = (physics.data.body(name).xpos for name in ("fingertip", "target"))
        np.testing.assert_allclose(finger[:2], target[:2], atol=1e-9)
        assert np.abs(info["goal"] - info["state"])[0] <= np.pi


def test_a_goal_that_is_said_is_held(rod: str) -> None:
    plant = plant_of(rod, None, PlantOptions(goal=(0.6,)))
    # Effort counts from what holds the goal: m g l sin θ.
    assert plant.model.start[1] == pytest.approx([9.81 * 0.25 * np.sin(0.6)], rel=1e-3)  # type: ignore[attr-defined]
    env = NoiseOptions(process_std=(0.05,), sensor_std=(0.002,)).make(rod, plant, max_episode_steps=300)
    episode = rollout(env, agents.make("aif", env), steps=200, seed=0)
    assert not episode.failed
    assert np.abs(episode.state[100:, 0] - 0.6).max() < 0.05
    # The negative control: an agent that is not told stays where it hung.
    idle = agents.make("aif", env)
    act = idle.act
    idle.act = lambda obs, goal=None: act(obs)  # type: ignore[method-assign]  # noqa: ARG005
    assert np.abs(rollout(env, idle, steps=200, seed=0).state[100:, 0] - 0.6).min() > 0.3


def test_what_is_sensed_and_pushed_can_be_said() -> None:
    plant = simulated("InvertedPendulum-v5", PlantOptions(sensors=("xpos:pole", "qvel:hinge"), pushed=("hinge",)))
    assert plant.model.sensors == ("xpos:pole_0", "xpos:pole_1", "xpos:pole_2", "qvel:hinge")
    assert plant.process_std == (1.0,)
    assert len(plant.sensor_std) == 4
    # By default what is driven: the cart, by a twentieth of its greatest force of 300 N.
    assert simulated("InvertedPendulum-v5").process_std == pytest.approx((15.0,))
    again = pickle.loads(pickle.dumps(plant))
    assert again.options == plant.options


def test_the_hanging_pole_hangs_and_is_swung_up() -> None:
    env = NoiseOptions().make("pcctrl/SwingUp-v0", plant_of("pcctrl/SwingUp-v0"), max_episode_steps=80)
    episode = rollout(env, agents.make("aif", env), steps=80, seed=0)
    assert np.cos(episode.state[0, 1]) < -0.99
    assert (np.cos(episode.state[60:, 1]) > 0.98).all()


@pytest.mark.parametrize("env_id", ["pcctrl/SwingUp-v0", "pcctrl/DoubleSwingUp-v0"])
def test_a_task_of_ours_is_gymnasiums_too(env_id: str) -> None:
    env, plant = gym.make(env_id), simulated(env_id)
    np.testing.assert_allclose(env.reset(seed=1)[1]["state"], make_simulation(plant).reset(seed=1)[1]["state"])
    assert agents.task_of(env).end_weight == plant.options.end_weight


def test_both_hanging_poles_are_swung_up_by_a_plan_whose_end_is_dear() -> None:
    found = {}
    for end in (None, 100.0):
        plant = plant_of("pcctrl/DoubleSwingUp-v0")
        assert isinstance(plant, SimulatedPlant)
        plant = replace(plant, options=replace(plant.options, end_weight=end))
        env = NoiseOptions().make("pcctrl/DoubleSwingUp-v0", plant, max_episode_steps=80)
        episode = rollout(env, agents.make("aif", env), steps=80, seed=0)
        assert np.cos(episode.state[0, 1]) < -0.99
        found[end] = np.cos(np.cumsum(episode.state[65:, 1:3], axis=-1)).min()
    assert found[100.0] > 0.98
    # The negative control: what holding costs, carried on to where they hang, leads elsewhere.
    assert found[None] < 0.9


def test_agents_can_be_told_a_wrong_model() -> None:
    env = simulated("InvertedPendulum-v5", PlantOptions(wrong=Mismatch(mass=0.5))).make(None, None)
    x, u = np.zeros(4), np.ones(1)
    ratio = env.task().model.transition(x, u)[2] / env.model.transition(x, u)[2]
    assert ratio > 1.5


def test_physics_that_breaks_down_is_a_failure_and_nothing_is_nan() -> None:
    model = NonlinearModel(
        lambda x, u, w: x**3 + u + w,
        lambda x, u: x,  # noqa: ARG005
        dt=0.1,
        operating_point=(np.zeros(1), np.zeros(1)),
        process_noise=[White(density=0.1)],
        sensor_noise=[White(std=0.1)],
        prior=np.eye(1),
    )
    env = ModelEnv(model, limits=(-1e4, 1e4), bound=1e300)
    env.reset(seed=0)
    for _ in range(50):
        y, reward, failed, _, info = env.step(np.array([1e4]))
        assert np.isfinite([*y, reward, *info["state"]]).all()
        if failed:
            break
    assert info["failed"]


@pytest.mark.parametrize(
    ("build", "error", "match"),
    [
        (lambda: plant_of("Pendulum-v1"), ModelError, "no model"),
        (lambda: plant_of("Nothing-v3"), UnknownNameError, "Nothing"),
        (lambda: plant_of("pcctrl/Nothing-v0"), UnknownNameError, "CartPole"),
        (lambda: plant_of("nothing.xml"), FileError, "nothing"),
        (lambda: plant_of("Reacher-v5", Path("plant.toml")), ModelError, "model"),
        (lambda: plant_of(LINEAR, None, PlantOptions(horizon=3)), ModelError, "plant"),
        (lambda: PlantOptions(end_weight=-1.0), ParameterError, r"plant\.end-weight"),
        (lambda: still("Reacher-v5", end_weight=np.nan), ParameterError, r"plant\.end-weight"),
        (lambda: ModelEnv(two_masses(), end_weight=0.0), ParameterError, "end_weight"),
        (lambda: plant_of("Reacher-v5", None, PlantOptions(sensors=("qpos:elbow",))), UnknownNameError, "elbow"),
        (lambda: still("Reacher-v5", goal=(1.0,)).reset(seed=0), ShapeError, "goal"),
        (lambda: still("Reacher-v5", weight=(1.0,)), ShapeError, "weight"),
    ],
)
def test_errors_name_what_is_wrong(build: Any, error: type[PcctrlError], match: str) -> None:
    with pytest.raises(error, match=match):
        build()


def test_a_file_without_actuators_says_so(tmp_path: Path) -> None:
    path = tmp_path / "free.xml"
    path.write_text(HANGING[: HANGING.index("<actuator>")] + "</mujoco>")
    with pytest.raises(PcctrlError, match="actuator"):
        make(str(path))
    assert SimulatedPlant(str(path)).model.inputs == ()  # which is enough to estimate


def test_what_the_program_runs_in_is_made_in_python() -> None:
    with pytest.raises(ModelError, match=r"pcctrl\.envs\.make"):
        agents.make("aif", gym.make("Reacher-v5", disable_env_checker=True))
    env = make(
        "Reacher-v5", PlantOptions(sensors=("qpos:joint0", "qpos:joint1")), NoiseOptions(sensor_colour="white"), steps=3
    )
    agent = agents.make("ilqr", env)
    observation, info = env.reset(seed=0)
    assert agent.act(observation, info["goal"]).shape == (2,)
    model = agents.task_of(env).model
    assert isinstance(model.sensor_noise[0], White)
    assert isinstance(model.process_noise[0], Smooth)


def test_an_imu_is_mounted_on_a_gymnasium_task_as_it_was_changed() -> None:
    task: Any = gym.make("HalfCheetah-v5", disable_env_checker=True)
    task.unwrapped.model.body_mass[2] *= 2.0
    names = ["gyro:torso_1", "accelerometer:torso_0", "accelerometer:torso_2"]
    plain, sensed = MujocoModel(task, dt=0.01, sensors=["qpos:bfoot"]), MujocoModel(task, dt=0.01, sensors=names)
    x, u = 0.1 * np.ones(18), 0.3 * np.ones(6)
    np.testing.assert_allclose(plain.transition(x, u), sensed.transition(x, u), atol=1e-12)
    own = cheetah().readout(x, u)[-3:]
    task.unwrapped.model.body_mass[2] /= 2.0
    np.testing.assert_allclose(MujocoModel(task, dt=0.01, sensors=names).readout(x, u), own, atol=1e-9)
    # The gyroscope does not mind the mass, the accelerometer does.
    assert sensed.readout(x, u)[0] == pytest.approx(own[0])
    assert abs(sensed.readout(x, u)[1] - own[1]) > 1e-3
    with pytest.raises(UnknownNameError, match="gyro:BODY"):
        MujocoModel(task.unwrapped.model, sensors=names)
