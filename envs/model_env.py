"""Any generative model as an environment: steering to a goal, disturbed by the model's own process noise."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box
from numpy.typing import ArrayLike

from pcctrl.arrays import Array, as_array, positive
from pcctrl.controllers.base import bounds
from pcctrl.controllers.quadratic import cost_matrix
from pcctrl.envs.actions import as_action
from pcctrl.errors import ParameterError
from pcctrl.models import GenerativeModel, LinearModel, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pcctrl.noise import Noise, NoiseStream

__all__ = ["ModelEnv", "Scene", "with_noise"]

# A model in continuous time is integrated in so many steps a sample, its disturbances held over each.
_STEPS = 10


class Scene(NamedTuple):
    """How an episode begins.

    Args:
        start: state (n,).
        goal: state (n,) that is wanted.
    """

    start: Array
    goal: Array


class ModelEnv(gym.Env[Array, Array]):
    """Bring a model to a goal and keep it there, disturbed by its own process noise.

    Observations are the exact readings of its sensors; wrap in `Sensors` for real ones. The reward is −(xᵀWx + uᵀρu) of
    the state in which the action was taken, x from the goal and u from the operating point. ``info`` has the true
    ``state``, the ``cost``, the mean ``disturbance`` (q,) over the step, and whether the plant ``failed``: out of
    bounds, or physics that broke down, whose last sound state is then the last. Without a scene the goal is the
    operating point, and a start is drawn from the model's prior, or a linear model's stationary distribution, or with
    standard deviations of 0.1; with one, ``info`` has the ``goal`` (n,).

    Args:
        model: plant and noise; sensor noise and a ``delay`` are for `Sensors`.
        state_weight: W, (n, n), its diagonal (n,), or one number.
        action_weight: ρ, (p, p), its diagonal (p,), or one number; positive.
        limits: (low, high) of the input, each one number or (p,); the model's own by default.
        bound: fails when a state is further than this from the operating point, one number or (n,).
        scene: draws how an episode begins.
        told: the model that agents are told, if it is another.
        horizon: samples that a planner should look ahead.
        end_weight: cost of being off the goal at the horizon's end, as a multiple of W; see `Task`.

    Raises:
        ShapeError, ParameterError: an argument of the wrong shape or sign.
    """

    def __init__(
        self,
        model: GenerativeModel,
        state_weight: ArrayLike = 1.0,
        action_weight: ArrayLike = 0.01,
        limits: tuple[ArrayLike, ArrayLike] | None = None,
        bound: ArrayLike = 1e3,
        scene: Callable[[np.random.Generator], Scene] | None = None,
        told: GenerativeModel | None = None,
        horizon: int = 50,
        end_weight: float | None = None,
    ) -> None:
        n, p, m = (len(part) for part in model.start)
        self.model, self.dt = model, model.dt
        self._weight = cost_matrix("state_weight", state_weight, n, definite=False)
        self._action_weight = cost_matrix("action_weight", action_weight, p, definite=True)
        self._low, self._high = bounds(model.limits if limits is None else limits, p)
        self._bound = as_array("bound", np.broadcast_to(np.asarray(bound, dtype=np.float64), (n,)), (n,))
        if not (self._bound > 0.0).all():
            raise ParameterError(name="bound", expected="positive", received=bound)
        self.observation_space = Box(-np.inf, np.inf, (m,), np.float64)
        self.action_space = self._box = Box(self._low, self._high, dtype=np.float64)
        self._steps = _STEPS if model.substeps is None else model.substeps
        self._fine = with_noise(model).resampled(model.dt / self._steps)
        self._scene = scene
        self._spread = None if scene is not None else _start_root(model)
        self._told, self._horizon = model if told is None else told, horizon
        self._end_weight = None if end_weight is None else positive("end_weight", end_weight)
        self._streams: list[NoiseStream] | None = None
        self._rest = model.start
        self._x = self._goal = np.asarray(self._rest[0])

    def task(self, sensor_noise: Sequence[Noise] | None = None) -> Task:
        """Return the task, with the model's own sensor noise or another."""
        model = with_noise(self._told, None, sensor_noise)
        limits = self._low.copy(), self._high.copy()
        return Task(model, self._weight, self._action_weight, *limits, self._horizon, end_weight=self._end_weight)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        """Draw a start, a goal and new disturbances; see `gymnasium.Env.reset`."""
        super().reset(seed=seed, options=options)
        if self._scene is not None:
            self._x, self._goal = (np.array(part, dtype=np.float64) for part in self._scene(self.np_random))
        elif self._spread is not None:
            move = self._spread @ self.np_random.standard_normal(len(self._spread))
            self._x = self.model.integrate(self._rest[0], move)
        self._streams = [w.stream(self.np_random, self._fine.dt) for w in self.model.process_noise]
        return self._readings(self._rest[1]), self._info(0.0, np.zeros(len(self._streams)), failed=False)

    def step(self, action: ArrayLike) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """Hold ``action`` for one sample; see the class for what comes back.

        Raises:
            ShapeError: the action has another size.
            ParameterError: the action is not finite, or nothing was reset.
        """
        if self._streams is None:
            raise ParameterError(name="step", expected="reset() first", received="a new environment")
        u = as_action(action, self._box)
        effort = float((u - self._rest[1]) @ self._action_weight @ (u - self._rest[1]))
        cost = self._state_cost() + effort
        forces = np.zeros((self._steps, len(self._streams)))
        for column, stream in enumerate(self._streams):
            forces[:, column] = stream.draw(self._steps)
        broken = False
        for force in forces:
            after = self._fine.transition(self._x, u, force)
            broken = not np.isfinite(after).all()
            if broken:
                break
            self._x = after
        away = self.model.difference(self._x, self._rest[0])
        failed = broken or not bool((np.abs(away) < self._bound).all())
        if failed:
            # A lost plant costs what it has come to, not what it was a sample before.
            cost = max(cost, self._state_cost() + effort)
        return self._readings(u, force), -cost, failed, False, self._info(cost, forces.mean(axis=0), failed=failed)

    def _state_cost(self) -> float:
        away = self.model.difference(self._x, self._goal)
        return float(away @ self._weight @ away)

    def _readings(self, u: Array, force: Array | None = None) -> Array:
        return self.model.readout(self._x, u, force)

    def _info(self, cost: float, disturbance: Array, *, failed: bool) -> dict[str, Any]:
        goal = {} if self._scene is None else {"goal": self._goal.copy()}
        return {"state": self._x.copy(), "cost": cost, "disturbance": disturbance, "failed": failed, **goal}


def with_noise(
    model: GenerativeModel, process: Sequence[Noise] | None = None, sensor: Sequence[Noise] | None = None
) -> Any:
    """Return ``model`` with other noises, where they are given, and without a delay, which is for `Sensors`."""
    changes: dict[str, Any] = {} if process is None else {"process_noise": process}
    if sensor is not None:
        changes["sensor_noise"] = sensor
    if getattr(model, "delay", None) is not None:
        changes["delay"] = None
    known: Any = model
    return replace(known, **changes)


def _start_root(model: GenerativeModel) -> Array:
    """Return a root of the covariance of the start."""
    covariance = 0.01 * np.eye(len(model.start[0]))
    if model.prior is not None:
        covariance = np.asarray(model.prior)
    elif isinstance(model, LinearModel) and (joint := model.white.joint(0)).is_stable():
        covariance = joint.stationary()[: joint.plant, : joint.plant]
    level, axes = np.linalg.eigh(covariance)
    return np.asarray(axes * np.sqrt(np.maximum(level, 0.0)))
