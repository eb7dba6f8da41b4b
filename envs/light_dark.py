"""The beacon world: to see its goal a walker needs light, and light is a detour."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box
from numpy.typing import ArrayLike

from pcctrl.arrays import Array, non_negative
from pcctrl.envs.actions import as_action
from pcctrl.errors import ParameterError
from pcctrl.models import NonlinearModel, Task
from pcctrl.noise import White

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pcctrl.noise import Noise

__all__ = [
    "AHEAD",
    "BEACON",
    "EFFORT",
    "FOOD",
    "RELATION",
    "START",
    "WANT",
    "LightDarkEnv",
    "light_dark",
    "light_factor",
]

# The beacon of the package `cpomdp`. Metres and seconds.
BEACON, START, FOOD = np.array([0.0, 2.7]), np.array([-3.4, -2.6]), np.array([3.4, -2.6])
_DT, _SPEED = 0.16, 2.4
_WALK, _DRIFT = 2e-5, 1e-6
_POSITION, _LIT, _DARK, _WIDTH = 0.05, 0.02, 1.28, 2.3
RELATION = np.block([[np.eye(2), -np.eye(2)], [-np.eye(2), np.eye(2)]])
_BOUND = 20.0
# Precisions of the goal (per m²) and of the action, and samples to look ahead: `pcctrl bench lightdark`.
WANT, EFFORT, AHEAD = 0.0052, 0.0023, 20


def light_factor(position: Array) -> Array:
    """Return by what the variance of the goal sensor at ``position`` (..., 2) exceeds that at the beacon (...)."""
    square = np.square(position - BEACON).sum(axis=-1)
    return np.asarray(1.0 + (_DARK / _LIT) * (1.0 - np.exp(-square / (2.0 * _WIDTH**2))))


def _moved(x: Array, u: Array, w: Array) -> Array:
    return np.concatenate([x[..., :2] + _DT * (u + w[..., :2]), x[..., 2:] + _DT * w[..., 2:]], axis=-1)


def _read(x: Array, u: Array) -> Array:  # noqa: ARG001
    return np.concatenate([x[..., :2], x[..., 2:] - x[..., :2]], axis=-1)


def _constant(*matrices: Array) -> Callable[..., tuple[Array, ...]]:
    """Return derivatives that are the same everywhere, for points (..., n)."""
    return lambda x, *_: tuple(np.broadcast_to(M, (*x.shape[:-1], *M.shape)) for M in matrices)


_TWO, _NONE = np.eye(2), np.zeros((2, 2))
_BY_F = _constant(np.eye(4), _DT * np.eye(4, 2), _DT * np.eye(4))
_BY_G = _constant(np.block([[_TWO, _NONE], [-_TWO, _TWO]]), np.zeros((4, 2)))


def _factors(x: Array) -> Array:
    lit = light_factor(x[..., :2])
    return np.stack([np.ones_like(lit), np.ones_like(lit), lit, lit], axis=-1)


def light_dark(sensor_noise: Sequence[Noise] | None = None) -> NonlinearModel:
    """Return the model: position and food (m), velocity as input (m/s); before any data the food is thought elsewhere.

    Args:
        sensor_noise: of the position, and of the food as seen from there at the beacon; the world's own by default.
    """
    own = [White(std=float(np.sqrt(variance))) for variance in (_POSITION, _POSITION, _LIT, _LIT)]
    return NonlinearModel(
        _moved,
        _read,
        dt=_DT,
        time="discrete",
        operating_point=(np.array([*START, 1.0, 0.0]), np.zeros(2)),
        process_noise=[White(density=float(np.sqrt(q / _DT))) for q in (_WALK, _WALK, _DRIFT, _DRIFT)],
        sensor_noise=own if sensor_noise is None else sensor_noise,
        f_jacobians=_BY_F,
        g_jacobians=_BY_G,
        sensor_scale=_factors,
        limits=(-_SPEED, _SPEED),
        prior=np.diag([2.6, 2.6, 6.0, 6.0]),
        states=("x", "y", "food x", "food y"),
        inputs=("velocity x", "velocity y"),
        sensors=("position x", "position y", "to food x", "to food y"),
    )


class LightDarkEnv(gym.Env[Array, Array]):
    """Walk to food that is seen dimly but near a beacon, which is not on the way.

    Observations are the position and the way to the food (m), with noise of this world's own that grows with the
    distance to the beacon, so `Sensors` adds none. It is drawn from the seed: unit noises do not depend on the actions.
    Actions are velocities of at most 2.4 m/s each way, dt 0.16 s. The reward is −(0.0052 |p − g|² + 0.0023 |u|²) of the
    state in which the action was taken. ``info`` has the true ``state`` (position p, food g), the ``cost``, whether the
    walker ``failed``, 20 m or more from the food, and the ``goal``, p = g: weighed by the relation alone, any such
    state is. The cost counts the way as well: what a detour to the light buys is a shorter distance at the end.
    Source: the beacon of the package `cpomdp`; light-dark of Platt et al. 2010.

    Args:
        scatter: standard deviation in m of the start and of the food about their places; 0 is as published.

    Raises:
        ParameterError: a negative scatter.
    """

    metadata = {"render_modes": []}  # noqa: RUF012 (Gymnasium's own declaration)
    dt = _DT
    has_own_noise: ClassVar[bool] = True
    process_std: ClassVar[tuple[float, ...]] = tuple(float(np.sqrt(q)) / _DT for q in (_WALK, _WALK, _DRIFT, _DRIFT))
    sensor_std: ClassVar[tuple[float, ...]] = tuple(float(np.sqrt(r)) for r in (_POSITION, _POSITION, _LIT, _LIT))

    @classmethod
    def sample_time(cls) -> float:
        """Return the sample time in seconds."""
        return _DT

    def __init__(self, scatter: float = 0.3) -> None:
        self.model = light_dark()
        self._scatter = non_negative("scatter", scatter)
        self.observation_space = Box(-np.inf, np.inf, (4,), np.float64)
        self.action_space = self._box = Box(-_SPEED, _SPEED, (2,), np.float64)
        self._x: Array | None = None

    def task(self, sensor_noise: Sequence[Noise] | None = None) -> Task:
        """Return the task, to be where the food is, with the world's own sensor noise or another.

        Its weights are precisions, in nats: here it matters how they compare with what there is to be known.
        """
        low, high = np.full(2, -_SPEED), np.full(2, _SPEED)
        return Task(light_dark(sensor_noise), WANT * RELATION, EFFORT * np.eye(2), low, high, AHEAD)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        """Return to the start and draw new noise; see `gymnasium.Env.reset`."""
        super().reset(seed=seed, options=options)
        self._x = np.concatenate([START, FOOD]) + self._scatter * self.np_random.standard_normal(4)
        return self._reading(self._x), self._info(self._x, 0.0)

    def step(self, action: ArrayLike) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """Hold ``action`` for one sample; see the class for what comes back.

        Raises:
            ShapeError: the action has another size.
            ParameterError: the action is not finite, or nothing was reset.
        """
        if self._x is None:
            raise ParameterError(name="step", expected="reset() first", received="a new environment")
        u = as_action(action, self._box)
        effort = EFFORT * float(u @ u)
        cost = WANT * float(self._x @ RELATION @ self._x) + effort
        push = np.sqrt(np.array([_WALK, _WALK, _DRIFT, _DRIFT])) / _DT * self.np_random.standard_normal(4)
        self._x = self.model.transition(self._x, u, push)
        info = self._info(self._x, cost)
        if info["failed"]:
            info["cost"] = cost = max(cost, WANT * float(self._x @ RELATION @ self._x) + effort)
        return self._reading(self._x), -cost, info["failed"], False, info

    def _reading(self, x: Array) -> Array:
        std = np.sqrt(np.array([_POSITION, _POSITION, _LIT, _LIT]) * _factors(x))
        return np.asarray(_read(x, np.zeros(2)) + std * self.np_random.standard_normal(4))

    def _info(self, x: Array, cost: float) -> dict[str, Any]:
        failed = bool(np.linalg.norm(x[:2] - x[2:]) >= _BOUND)
        return {"state": x.copy(), "cost": cost, "failed": failed, "goal": np.zeros(4)}
