"""Any MuJoCo simulation as a plant: an MJCF file, or a Gymnasium task with its own physics and starts."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import gymnasium as gym
import mujoco
import numpy as np
from gymnasium.error import Error as GymnasiumError

from pcctrl.arrays import Array, as_array, per_item, positive
from pcctrl.envs.model_env import ModelEnv, Scene, with_noise
from pcctrl.envs.plant_options import PlantOptions
from pcctrl.errors import ModelError, ParameterError, UnknownNameError
from pcctrl.models import Mismatch, MujocoModel
from pcctrl.models.mujoco.guards import quiet
from pcctrl.models.mujoco.names import dof_names
from pcctrl.models.mujoco.source import load
from pcctrl.noise import Noise, White

__all__ = ["SIMULATION", "SimulatedPlant"]

SIMULATION = "pcctrl/Simulation-v0"
# What pushes a joint, relative to the greatest torque of its actuators, if nothing else is said.
_PUSH = 0.05
# Standard deviation of a sensor, in its unit, where neither the user nor the file says any.
_SENSOR = 0.01
# Controls hold a goal if so little of the drift is left.
_HELD = 1e-2
# Of velocities, which do not make a plant fail.
_FAR = 1e9
_FILES = (".xml", ".mjcf")


@dataclass(frozen=True, eq=False)
class SimulatedPlant:
    """A MuJoCo simulation, and what is wanted of it.

    Args:
        source: id of a Gymnasium MuJoCo environment, or path of an MJCF file.
        options: what is sensed, pushed and wanted.
        start_std: of positions and velocities in the prior, and at the start of an MJCF file.
        bound: fails when a position is further than this from the start, one number or (nv,).
        prepare: changes the task's environment once, before anything is read of it.
        shift: (nq,) what is added to the positions at which a task starts, or None.
        target: from the task's environment after its reset and the state at the start to the state that is wanted; the
            operating point by default.
        purpose: in a line.

    Raises:
        ModelError, FileError: there is no such environment or file, or it has no model.
    """

    source: str
    options: PlantOptions = field(default_factory=PlantOptions)
    start_std: float = 0.1
    bound: float | tuple[float, ...] = 1e3
    prepare: Callable[[Any], None] | None = None
    shift: tuple[float, ...] | None = None
    target: Callable[[Any, Array], Array] | None = None
    purpose: str = ""
    has_own_noise: ClassVar[bool] = False

    @cached_property
    def _task(self) -> Any:
        """Gymnasium's environment, or None for a file."""
        if self.source.endswith(_FILES):
            return None
        try:
            with quiet():
                env = gym.make(self.source, disable_env_checker=True).unwrapped
        except GymnasiumError as error:
            expected = "one of pcctrl list, a Gymnasium MuJoCo id, or an MJCF file"
            raise UnknownNameError(name="env", expected=expected, received=f"{self.source} ({error})") from None
        if not hasattr(env, "init_qpos"):
            expected = "an environment that runs on MuJoCo"
            raise ModelError(name="env", expected=expected, received=f"{self.source}, which has no model")
        if self.prepare is not None:
            self.prepare(env)
        return env

    @cached_property
    def model(self) -> MujocoModel:
        """The simulation, pushed and sensed, with white noise."""
        source: Any = Path(self.source) if self._task is None else self._task
        (mjmodel, dt, qpos), options = load(source), self.options
        dt = dt if options.dt is None else positive("plant.dt", options.dt)
        spread = self.start_std if options.start_std is None else positive("plant.start-std", options.start_std)
        pushes = _pushes(mjmodel, qpos)
        pushed = tuple(pushes) if options.pushed is None else options.pushed
        sensors = options.sensors
        if sensors is None and not mjmodel.nsensor:
            sensors = tuple(f"qpos:{mjmodel.joint(i).name or f'joint{i}'}" for i in range(mjmodel.njnt))
        model = MujocoModel(
            source,
            dt=dt,
            qpos=qpos if self.shift is None else qpos + self.shift,
            # What has no actuator can still be estimated.
            inputs=None if mjmodel.nu else (),
            sensors=sensors,
            noise_input=pushed,
            process_noise=[White(density=float(pushes.get(name, 1.0) * np.sqrt(dt))) for name in pushed],
            prior=np.eye(2 * mjmodel.nv + mjmodel.na) * spread**2,
        )
        model = replace(model, ctrl=_holding(model, self._wanted(model)))
        return model if mjmodel.nsensor else with_noise(model, None, [White(std=_SENSOR)] * len(model.sensors or ()))

    def _wanted(self, model: MujocoModel) -> Array:
        """Return the goal (n,) that the options say, the start by default."""
        goal = np.array(model.start[0])
        if self.options.goal is not None:
            nv = int(model.source.nv)
            goal[:nv] = as_array("plant.goal", self.options.goal, (nv,))
            goal[nv:] = 0.0
        return goal

    def __getstate__(self) -> dict[str, Any]:
        # What is cached is of this process.
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def description(self) -> dict[str, Any]:
        """Return what results belong to: the options, and the text of an MJCF file."""
        text = {"mjcf": Path(self.source).read_text(encoding="utf-8")} if self._task is None else {}
        return asdict(self.options) | text

    def sample_time(self) -> float:
        """Return the sample time in seconds."""
        return float(self.model.dt)

    @cached_property
    def process_std(self) -> tuple[float, ...]:
        """Standard deviation of each disturbance, held over a sample, in N or N·m."""
        return tuple(w.density / float(np.sqrt(self.model.dt)) for w in self.model.process_noise)

    @cached_property
    def sensor_std(self) -> tuple[float, ...]:
        """Standard deviation of each sensor, in its unit."""
        return tuple(float(np.sqrt(z.sensor_floor)) for z in self.model.sensor_noise)

    def told(self, process: Sequence[Noise] | None, sensor: Sequence[Noise] | None) -> MujocoModel:
        """Return the model that filters and agents are told, with these noises or its own: wrong if so wished."""
        model: MujocoModel = with_noise(self.model, process, sensor)
        return model if self.options.wrong == Mismatch() else replace(model, wrong=self.options.wrong)

    def make(self, process: Sequence[Noise] | None, sensor: Sequence[Noise] | None) -> ModelEnv:
        """Return the environment without the imperfections of its sensors.

        Raises:
            ShapeError, ParameterError: a goal, weight or bound of the wrong size; no actuator, or one without limits.
        """
        model, options = with_noise(self.model, process, sensor), self.options
        if not model.inputs:
            expected = "a model with an actuator (without one it can only be estimated)"
            raise ParameterError(name="inputs", expected=expected, received="none")
        for name, low, high in zip(model.inputs, *model.limits, strict=True):
            if not np.isfinite([low, high]).all():
                expected = "a ctrlrange in the MJCF file, the limits of what an agent may do"
                raise ParameterError(name=f"actuator {name}", expected=expected, received="ctrlrange is missing")
        n, p = (len(part) for part in model.start[:2])
        nv = int(model.source.nv)
        weight = np.concatenate([np.ones(nv), np.full(nv, 0.01), np.zeros(n - 2 * nv)])
        if options.weight is not None:
            weight[: 2 * nv] = as_array("plant.weight", options.weight, (2 * nv,))
        bound = np.full(n, _FAR)
        bound[:nv] = per_item("bound", self.bound, nv)
        return ModelEnv(
            model,
            weight,
            np.full(p, 0.01 if options.action_weight is None else options.action_weight),
            bound=bound,
            scene=functools.partial(self._scene, model),
            told=self.told(process, sensor),
            horizon=25 if options.horizon is None else options.horizon,
            end_weight=options.end_weight,
        )

    def _scene(self, model: MujocoModel, rng: np.random.Generator) -> Scene:
        rest, nv, task = model.start[0], int(model.source.nv), self._task
        if task is None:
            spread = np.sqrt(np.diagonal(np.asarray(model.prior)))
            spread[2 * nv :] = 0.0
            start = model.integrate(rest, spread * rng.standard_normal(len(rest)))
        else:
            task.reset(seed=int(rng.integers(2**31)))
            shift = 0.0 if self.shift is None else np.array(self.shift)
            start = model.state(task.data.qpos + shift, task.data.qvel, task.data.act)
        goal = self._wanted(model)
        if self.options.goal is None and self.target is not None and task is not None:
            goal = self.target(task, start)
        return Scene(start, goal)


def _holding(model: MujocoModel, goal: Array) -> Array:
    """Return the controls (p,) that hold a goal (n,) against gravity and springs, or those at the start if none do."""
    rest = model.start[1]
    _, B, _ = model.transition_jacobians(goal, rest)
    drift = model.difference(model.transition(goal, rest), goal)
    change, *_ = np.linalg.lstsq(B, -drift, rcond=None)
    u = np.clip(rest + change, *model.limits)
    left = model.difference(model.transition(goal, u), goal)
    return u if np.abs(left).max() < _HELD * np.abs(drift).max() else rest


def _pushes(mjmodel: mujoco.MjModel, qpos: Array) -> dict[str, float]:
    """Return the disturbance by default, N or N·m by the name of the degree of freedom, of those that are driven."""
    data = mujoco.MjData(mjmodel)
    reach: list[Array] = []
    limited = mjmodel.actuator_ctrllimited.astype(bool)[:, None]
    for ctrl in np.where(limited, mjmodel.actuator_ctrlrange, [-1.0, 1.0]).T:
        mujoco.mj_resetData(mjmodel, data)
        data.qpos[:], data.ctrl[:] = qpos, ctrl
        if mjmodel.na:
            data.act[:] = 1.0 if reach else -1.0
        mujoco.mj_forward(mjmodel, data)
        reach.append(data.qfrc_actuator.copy())
    span = 0.5 * np.abs(reach[1] - reach[0])
    return {name: _PUSH * float(s) for name, s in zip(dof_names(mjmodel), span, strict=True) if s > 0.0}
