"""Gymnasium environments; importing this registers them under ``pcctrl/``."""

from __future__ import annotations

if __name__ != "pcctrl.envs":
    raise ImportError("import pcctrl.envs, not " + __name__)

import inspect
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import gymnasium as gym
from numpy.typing import ArrayLike

from pcctrl.arrays import as_array, choose
from pcctrl.envs.arms import Arm2Env, Arm7Env, ArmEnv, Trajectory
from pcctrl.envs.faults import ActuatorLoss, Payload
from pcctrl.envs.light_dark import LightDarkEnv
from pcctrl.envs.linear_system import LinearPlant, two_masses
from pcctrl.envs.model_env import ModelEnv, Scene
from pcctrl.envs.noise_options import ColourOptions, NoiseOptions, Plant
from pcctrl.envs.own_options import ArmOptions, OwnOptions, OwnPlant, QuadrotorOptions
from pcctrl.envs.plant_options import PlantOptions, SensedOptions
from pcctrl.envs.quadrotor import QuadrotorEnv
from pcctrl.envs.regulation import CartPoleEnv, MassSpringDamperEnv, RegulationEnv
from pcctrl.envs.sensors import Sensors
from pcctrl.envs.simulation import SIMULATION, SimulatedPlant
from pcctrl.envs.simulation_tasks import SIMULATIONS, simulated
from pcctrl.errors import ModelError
from pcctrl.models import LinearModel, Mismatch
from pcctrl.noise import Noise

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "ARMS",
    "LIGHT_DARK",
    "LINEAR",
    "PLANTS",
    "SIMULATION",
    "SIMULATIONS",
    "ActuatorLoss",
    "Arm2Env",
    "Arm7Env",
    "ArmEnv",
    "ArmOptions",
    "CartPoleEnv",
    "ColourOptions",
    "LightDarkEnv",
    "LinearPlant",
    "MassSpringDamperEnv",
    "ModelEnv",
    "NoiseOptions",
    "OwnOptions",
    "OwnPlant",
    "Payload",
    "Plant",
    "PlantOptions",
    "QuadrotorEnv",
    "QuadrotorOptions",
    "RegulationEnv",
    "Scene",
    "SensedOptions",
    "Sensors",
    "SimulatedPlant",
    "make",
    "make_arm",
    "make_linear_system",
    "make_sensed",
    "make_simulation",
    "plant_of",
    "simulated",
    "two_masses",
]

PLANTS: dict[str, type[RegulationEnv]] = {
    "pcctrl/CartPole-v0": CartPoleEnv,
    "pcctrl/MassSpringDamper-v0": MassSpringDamperEnv,
    "pcctrl/Quadrotor-v0": QuadrotorEnv,
}
ARMS: dict[str, type[ArmEnv]] = {"pcctrl/Arm2-v0": Arm2Env, "pcctrl/Arm7-v0": Arm7Env}
_FLAWS = ("bias", "dropout", "delay", "imperfections")
LINEAR = "pcctrl/LinearSystem-v0"
LIGHT_DARK = "pcctrl/LightDark-v0"


def plant_of(
    env_id: str, model: Path | None = None, options: SensedOptions | None = None, own: Sequence[OwnOptions] = ()
) -> Plant:
    """Return the plant behind an environment.

    Args:
        env_id: see `PLANTS` and `ARMS`, or `LINEAR`, `LIGHT_DARK`, or what `simulated` takes.
        model: TOML file of the linear system, two masses by default.
        options: of a simulation.
        own: of one of ours; those in which nothing was chosen do not count.

    Raises:
        UnknownNameError: there is no such environment.
        ModelError: a model or options for an environment that has its own; one that is not MuJoCo's and has none.
        PcctrlError: the file is not a model.
    """
    ours = env_id.startswith("pcctrl/")
    if ours:
        choose("env", env_id, (*PLANTS, *ARMS, LINEAR, LIGHT_DARK, *SIMULATIONS))
    if env_id not in SIMULATIONS and ours and options is not None and options != type(options)():
        raise ModelError(name="plant", expected="an MJCF file or a Gymnasium id", received=f"options for {env_id}")
    if model is not None and env_id != LINEAR:
        raise ModelError(name="model", expected=f"none, or env {LINEAR}", received=f"{model} for {env_id}")
    for chosen in own:
        if chosen.given():
            return OwnPlant.of(env_id, chosen)
    if env_id == LINEAR:
        return LinearPlant(two_masses() if model is None else LinearModel.load(model))
    if not ours or env_id in SIMULATIONS:
        plant = simulated(env_id, options)
        _ = plant.model  # what is wrong with it is said now
        return plant
    known: Mapping[str, Any] = {**PLANTS, **ARMS, LIGHT_DARK: LightDarkEnv}
    return cast("Plant", known[env_id])


def make(
    env_id: str,
    plant: PlantOptions | None = None,
    noise: NoiseOptions | None = None,
    *,
    steps: int = 1000,
    model: Path | None = None,
    own: Sequence[OwnOptions] = (),
) -> gym.Env[Any, Any]:
    """Return what ``pcctrl run`` runs in: an environment behind its sensors, with a task that agents can be made for.

    Args:
        env_id: of `PLANTS`, `ARMS`, `SIMULATIONS`, `LINEAR` or `LIGHT_DARK`, any Gymnasium MuJoCo id, or an MJCF file.
        plant: what is sensed and wanted, of an MJCF file or a Gymnasium id.
        noise: of disturbance and sensors; by default the environment's own.
        steps: samples until an episode is truncated.
        model: TOML file of the linear system.
        own: options of our arms and quadrotor.

    Raises:
        PcctrlError: there is no such environment, or an option does not fit it.
    """
    known = plant_of(env_id, model, plant, own)
    return (NoiseOptions() if noise is None else noise).make(env_id, known, max_episode_steps=steps)


def make_sensed(
    plant: type[RegulationEnv],
    process_noise: Noise | Sequence[Noise] | None = None,
    sensor_noise: Sequence[Noise] | None = None,
    render_mode: str | None = None,
    **options: Any,
) -> Sensors:
    """Return a plant behind its sensors; by default with its own noises.

    Args:
        plant: the environment class.
        process_noise: the disturbing force in N, or several.
        sensor_noise: one a sensor.
        render_mode: see Gymnasium.
        options: ``bias``, ``dropout``, ``delay`` and ``imperfections`` of `Sensors`, and more of the plant's own, such
            as ``sensing="imu"`` and ``wind=5.0`` of `QuadrotorEnv`.

    Raises:
        UnknownNameError: neither has such an option.
    """
    own = [*inspect.signature(plant).parameters][2:]
    for name in options:
        choose("options", name, (*own, *_FLAWS))
    env = plant(process_noise, render_mode, **{name: options.pop(name) for name in own if name in options})
    return Sensors(env, env.default_sensors() if sensor_noise is None else sensor_noise, **options)


def make_arm(
    arm: type[ArmEnv],
    process_noise: Noise | Sequence[Noise] | None = None,
    sensor_noise: Sequence[Noise] | None = None,
    render_mode: str | None = None,
    *,
    trajectory: Trajectory = "track",
    friction: Literal["published", "coulomb", "none"] = "published",
    encoders: Sequence[str] = ("link", "motor"),
    mismatch: Mismatch | None = None,
    horizon: int = 20,
    push: float | None = None,
    payload: tuple[float, float] | None = None,
    **imperfections: Any,
) -> gym.Env[Any, Any]:
    """Return an arm behind its encoders; by default all noises are smooth over two samples.

    Args:
        arm: the environment class.
        process_noise: see `ArmEnv`.
        sensor_noise: one an encoder.
        render_mode: see Gymnasium.
        trajectory: see `ArmEnv`, as the next five.
        friction: in the joints.
        encoders: that are there.
        mismatch: of the told model.
        horizon: samples of the preview.
        push: N.
        payload: kg at the tip, and the seconds after which it is picked up; or None.
        imperfections: ``bias``, ``dropout``, … of `Sensors`.

    Raises:
        PcctrlError: see `ArmEnv` and `Sensors`; or a payload that is not two numbers.
    """
    env = arm(trajectory, process_noise, friction, encoders, mismatch, horizon, push, render_mode)
    noise = [env.default_noise(std) for std in env.reading_std] if sensor_noise is None else sensor_noise
    sensed = Sensors(env, noise, **imperfections)
    return sensed if payload is None else Payload(sensed, env.tip, *as_array("payload", payload, (2,)))


def make_linear_system(
    model: LinearModel | str | Path | None = None,
    process_noise: Sequence[Noise] | None = None,
    sensor_noise: Sequence[Noise] | None = None,
    *,
    state_weight: ArrayLike = 1.0,
    action_weight: ArrayLike = 0.01,
    limits: tuple[ArrayLike, ArrayLike] = (-20.0, 20.0),
    bound: ArrayLike = 1e3,
    **imperfections: Any,
) -> Sensors:
    """Return a linear model as an environment behind its sensors, with its own noise and delays if none are given.

    Args:
        model: a model, or its TOML file; two masses by default.
        process_noise: one a column of its noise input.
        sensor_noise: one a sensor.
        state_weight: see `ModelEnv`, as the next three.
        action_weight: ρ.
        limits: of the input.
        bound: of the states.
        imperfections: ``bias``, ``dropout``, ``delay``, … of `Sensors`.
    """
    if not isinstance(model, LinearModel):
        model = two_masses() if model is None else LinearModel.load(model)
    if process_noise is not None:
        model = replace(model, process_noise=process_noise)
    if sensor_noise is not None:
        model = replace(model, sensor_noise=sensor_noise)
    imperfections.setdefault("delay", 0.0 if model.delay is None else model.delay)
    return Sensors(ModelEnv(model, state_weight, action_weight, limits, bound), model.sensor_noise, **imperfections)


def make_simulation(
    plant: SimulatedPlant,
    process_noise: Sequence[Noise] | None = None,
    sensor_noise: Sequence[Noise] | None = None,
    **imperfections: Any,
) -> Sensors:
    """Return a simulation behind its sensors, with its own white noise if none is given.

    Args:
        plant: see `simulated`.
        process_noise: one a disturbance.
        sensor_noise: one a sensor.
        imperfections: ``bias``, ``dropout``, … of `Sensors`.
    """
    env = plant.make(process_noise, sensor_noise)
    return Sensors(env, env.model.sensor_noise, **imperfections)


for _id, _plant in PLANTS.items():
    gym.register(
        _id,
        entry_point="pcctrl.envs:make_sensed",
        kwargs={"plant": _plant},
        max_episode_steps=1000,
        # A dropped sample is NaN, which Gymnasium's passive checker would warn of; our tests run the full checker.
        disable_env_checker=True,
    )
for _id, _arm in ARMS.items():
    gym.register(
        _id, entry_point="pcctrl.envs:make_arm", kwargs={"arm": _arm}, max_episode_steps=5000, disable_env_checker=True
    )
for _id, _make in ((LINEAR, "make_linear_system"), (SIMULATION, "make_simulation")):
    gym.register(_id, entry_point=f"pcctrl.envs:{_make}", max_episode_steps=1000, disable_env_checker=True)
for _id, _task in SIMULATIONS.items():
    if _id.startswith("pcctrl/"):
        gym.register(
            _id,
            entry_point="pcctrl.envs:make_simulation",
            kwargs={"plant": _task},
            max_episode_steps=1000,
            disable_env_checker=True,
        )
gym.register(LIGHT_DARK, entry_point="pcctrl.envs:LightDarkEnv", max_episode_steps=200, disable_env_checker=True)
