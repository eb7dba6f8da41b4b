"""Plants to bring upright and hold there: Gymnasium's, in noise of any colour, read by positions alone."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import gymnasium
import mujoco
import numpy as np
from numpy.typing import ArrayLike, NDArray

from pcctrl.agents.planning import linear_near
from pcctrl.arrays import Array
from pcctrl.envs import SIMULATIONS
from pcctrl.models import LinearModel, NonlinearModel
from pcctrl.models.mujoco import MujocoModel
from pcctrl.noise import Noise, Smooth
from pcctrl.scripts.benchmarks.systems import smooth_or_white

__all__ = ["PLANTS", "Plant", "double_pendulum", "double_swing_up", "inverted_pendulum", "pendulum"]

Model: TypeAlias = NonlinearModel | MujocoModel
# Relative to the variance of a smooth sensor.
FLOOR = 1e-2
# Up is within so many radians of upright; the disturbing force is so many times the greatest of the motor.
UP, FORCE = 0.2, 0.05


@dataclass(frozen=True, eq=False)
class Plant:
    """A plant of n states, what disturbs and senses it, and what it is to do.

    Args:
        physics: id of the environment that it is, from its own start or another.
        model: its physics, without noise; where it starts, a filter starts.
        planned: the same for planning, in longer physics steps.
        goal: (n,) upright.
        force: std of the force (or torque) that disturbs it, in the unit of its input's.
        sensors: std of each sensor's noise (m,).
        weight: Π (n,).
        rho: ρ.
        horizon: in samples.
        iterations: of planning by derivatives.
        reserve: of the limits, likewise.
        exploration: of planning by samples: std and smoothness in samples of the moves, horizon, and number of plans.
        seconds: of an episode.
        reset: from a seed to the true state (n,).
        up: which states (..., n) are up.
        always: whether it is to be up all the time, not just at the end.
        end_weight: cost of being off the goal at the horizon's end, as a multiple of Π; see `Task`.
        sampled_end_weight: the same where plans are sampled.
    """

    physics: str
    model: Model
    planned: Model
    goal: Array
    force: float
    sensors: tuple[float, ...]
    weight: tuple[float, ...]
    rho: float
    horizon: int
    iterations: int
    reserve: float
    exploration: tuple[float, float, int, int]
    seconds: float
    reset: Callable[[int], Array]
    up: Callable[[Array], NDArray[np.bool_]]
    always: bool = False
    end_weight: float | None = None
    sampled_end_weight: float | None = None

    def noises(self, samples: float) -> tuple[Sequence[Noise], Sequence[Noise]]:
        """Return process and sensor noise, smooth over so many samples, or white for 0."""
        pairs = [smooth_or_white(samples, self.model.dt, self.force, std, FLOOR) for std in self.sensors]
        return [pairs[0][0]], [sensor for _, sensor in pairs]

    def told(self, samples: float, *, planning: bool = False) -> Model:
        """Return the model that is told the noise."""
        process, sensors = self.noises(samples)
        model = self.planned if planning else self.model
        return replace(model, process_noise=process, sensor_noise=sensors)

    def linear(self, samples: float) -> LinearModel:
        """Return the model linearised about upright, in white noise of the same variances."""
        return linear_near(self.told(samples), self.goal)


class Turning(NonlinearModel):
    """Its first state is an angle, of which whole turns do not matter."""

    def difference(self, x: ArrayLike, base: ArrayLike) -> Array:
        """Return the shortest move (..., n) from ``base`` to x."""
        move = super().difference(x, base)
        move[..., 0] = (move[..., 0] + np.pi) % (2.0 * np.pi) - np.pi
        return move


def pendulum() -> Plant:
    """Gymnasium's Pendulum-v1, which its own equations model: torque ±2 N·m, too weak to lift it at once.

    It reads cosine and sine of its angle, as the environment does, but not the rate.
    """
    env: Any = gymnasium.make("Pendulum-v1", disable_env_checker=True).unwrapped
    h, most, fastest = env.dt, env.max_torque, env.max_speed
    gravity, lever = 1.5 * env.g / env.l, 3.0 / (env.m * env.l**2)

    def f(x: Array, u: Array, w: Array) -> Array:
        rate = x[..., 1] + h * (gravity * np.sin(x[..., 0]) + lever * (u[..., 0] + w[..., 0]))
        rate = np.minimum(np.maximum(rate, -fastest), fastest)
        return np.stack([x[..., 0] + h * rate, rate], axis=-1)

    def g(x: Array, u: Array) -> Array:  # noqa: ARG001
        return np.stack([np.cos(x[..., 0]), np.sin(x[..., 0])], axis=-1)

    def reset(seed: int) -> Array:
        return np.array([np.pi, 0.0]) + np.random.default_rng(seed).uniform(-0.1, 0.1, 2)

    unit = Smooth(1.0, 1.0)
    model = Turning(
        f,
        g,
        dt=h,
        time="discrete",
        operating_point=(np.array([np.pi, 0.0]), np.zeros(1)),
        process_noise=[unit],
        sensor_noise=[unit, unit],
        limits=(-most, most),
        prior=np.diag([0.1, 0.1]) ** 2,
    )
    return Plant(
        physics="Pendulum-v1",
        model=model,
        planned=model,
        goal=np.zeros(2),
        force=FORCE * most,
        sensors=(0.02, 0.02),
        weight=(1.0, 0.1),
        rho=1e-3,
        horizon=50,
        iterations=3,
        reserve=0.2,
        exploration=(2.0, 5.0, 30, 128),
        seconds=10.0,
        reset=reset,
        up=lambda x: np.asarray(np.cos(x[..., 0]) > np.cos(UP)),
    )


def inverted_pendulum() -> Plant:
    """MuJoCo's InvertedPendulum-v5, hanging, with the stops of its hinge taken off so that it can."""
    said: Any = SIMULATIONS["pcctrl/SwingUp-v0"].options
    env: Any = gymnasium.make("InvertedPendulum-v5", disable_env_checker=True).unwrapped
    env.model.joint("hinge").range[:] = -100.0, 100.0
    model, planned = _simulated(env, np.array([0.0, np.pi]), 0.01)

    def reset(seed: int) -> Array:
        return model.start[0] + np.random.default_rng(seed).uniform(-0.01, 0.01, 4)

    return Plant(
        physics="InvertedPendulum-v5",
        model=model,
        planned=planned,
        goal=np.zeros(4),
        force=FORCE * _strongest(env),
        sensors=(0.01, 0.01),
        weight=said.weight,
        rho=0.01,
        horizon=said.horizon,
        iterations=2,
        reserve=0.4,
        exploration=(1.0, 3.0, 15, 64),
        seconds=6.0,
        reset=reset,
        up=lambda x: np.asarray(np.cos(x[..., 1]) > np.cos(UP)),
        end_weight=said.end_weight,
    )


def double_pendulum() -> Plant:
    """MuJoCo's InvertedDoublePendulum-v5, upright; lost when its tip is below 1 m, as the environment has it."""
    plant = _double("InvertedDoublePendulum-v5", 0.0)
    return replace(plant, iterations=1, exploration=(0.15, 1.0, 6, 64), always=True)


def double_swing_up() -> Plant:
    """MuJoCo's InvertedDoublePendulum-v5, hanging."""
    return _double("pcctrl/DoubleSwingUp-v0", np.pi)


def _double(name: str, angle: float) -> Plant:
    """Return MuJoCo's InvertedDoublePendulum-v5, its lower pole about ``angle`` in rad, with the task ``name``."""
    said: Any = SIMULATIONS[name].options
    env: Any = gymnasium.make("InvertedDoublePendulum-v5", disable_env_checker=True).unwrapped
    model, planned = _simulated(env, np.array([0.0, angle, 0.0]), 0.1)

    def reset(seed: int) -> Array:
        rng = np.random.default_rng(seed)
        move = np.concatenate([rng.uniform(-0.1, 0.1, 3), 0.1 * rng.standard_normal(3)])
        return np.asarray(model.start[0] + move)

    return Plant(
        physics="InvertedDoublePendulum-v5",
        model=model,
        planned=planned,
        goal=np.zeros(6),
        force=FORCE * _strongest(env),
        sensors=(0.01, 0.01, 0.01),
        weight=said.weight,
        rho=said.action_weight,
        horizon=said.horizon,
        iterations=3,
        reserve=0.2,
        exploration=(0.3, 5.0, 30, 128),
        seconds=10.0,
        reset=reset,
        up=_tip_is_up,
        end_weight=said.end_weight,
        sampled_end_weight=said.end_weight,
    )


def _tip_is_up(x: Array) -> NDArray[np.bool_]:
    """Return in which states (..., 6) the tip of the upper pole is above 1 m of 1.2, as the environment has it."""
    return np.asarray(0.6 * (np.cos(x[..., 1]) + np.cos(x[..., 1] + x[..., 2])) > 1.0)


def _strongest(env: Any) -> float:
    """Return the greatest force in N of the environment's motor."""
    return float(env.model.actuator_gear[0, 0] * env.model.actuator_ctrlrange[0, 1])


def _simulated(env: Any, qpos: Array, spread: float) -> tuple[MujocoModel, MujocoModel]:
    """Return the models of a cart with poles that starts about ``qpos``, to simulate and to plan with."""
    coarse, nv = copy.deepcopy(env.model), env.model.nv
    coarse.opt.integrator, coarse.opt.timestep = mujoco.mjtIntegrator.mjINT_IMPLICITFAST, 0.5 * env.dt
    joints = [env.model.joint(i).name for i in range(nv)]
    told: dict[str, Any] = {
        "dt": env.dt,
        "qpos": qpos,
        "sensors": [f"qpos:{joint}" for joint in joints],
        "noise_input": joints[:1],
        "process_noise": [Smooth(1.0, 1.0)],
        "sensor_noise": [Smooth(1.0, 1.0)] * nv,
        "prior": spread**2 * np.eye(2 * nv),
    }
    return MujocoModel(env.model, **told), MujocoModel(coarse, **told)


PLANTS: dict[str, Callable[[], Plant]] = {
    "Pendulum-v1": pendulum,
    "InvertedPendulum-v5": inverted_pendulum,
    "InvertedDoublePendulum-v5": double_pendulum,
    "pcctrl/DoubleSwingUp-v0": double_swing_up,
}
