"""Any linear model as an environment: regulation about its operating point."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box
from numpy.typing import ArrayLike

from pcctrl.arrays import Array, as_array
from pcctrl.controllers.base import bounds
from pcctrl.controllers.quadratic import cost_matrix
from pcctrl.envs.actions import as_action
from pcctrl.errors import ParameterError
from pcctrl.models import LinearModel, Task
from pcctrl.noise import Smooth

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pcctrl.noise import Noise, NoiseStream

__all__ = ["LinearPlant", "LinearSystemEnv", "two_masses"]

# A model in continuous time is integrated in so many steps a sample, its disturbances held over each.
_STEPS = 10


class LinearSystemEnv(gym.Env[Array, Array]):
    """Keep a linear model at its operating point, disturbed by its own process noise.

    Observations are the exact readings of its sensors; wrap in `Sensors` for real ones. The reward is −(xᵀWx + uᵀρu) of
    the deviations, of the state in which the action was taken. ``info`` has the true ``state``, the ``cost``, the mean
    ``disturbance`` (q,) over the step and whether the plant ``failed``. A start is drawn from the model's prior, or
    its stationary distribution, or for a plant that has none with standard deviations of 0.1.

    Args:
        model: plant and noise; its ``delay`` and sensor noise are for `Sensors`.
        state_weight: W, (n, n), its diagonal (n,), or one number.
        action_weight: ρ, (p, p), its diagonal (p,), or one number; positive.
        limits: (low, high) of the input, each one number or (p,).
        bound: fails when a state is further than this from the operating point, one number or (n,).

    Raises:
        ShapeError, ParameterError: an argument of the wrong shape or sign.
    """

    def __init__(
        self,
        model: LinearModel,
        state_weight: ArrayLike = 1.0,
        action_weight: ArrayLike = 0.01,
        limits: tuple[ArrayLike, ArrayLike] = (-20.0, 20.0),
        bound: ArrayLike = 1e3,
    ) -> None:
        n, p = model.B.shape
        self.model, self.dt = model, model.dt
        self._weight = cost_matrix("state_weight", state_weight, n, definite=False)
        self._action_weight = cost_matrix("action_weight", action_weight, p, definite=True)
        low, high = bounds(limits, p)
        if not (np.isfinite(low).all() and np.isfinite(high).all()):
            raise ParameterError(name="limits", expected="finite numbers", received=limits)
        self._low, self._high = low, high
        self._bound = as_array("bound", np.broadcast_to(np.asarray(bound, dtype=np.float64), (n,)), (n,))
        if not (self._bound > 0.0).all():
            raise ParameterError(name="bound", expected="positive", received=bound)
        self.observation_space = Box(-np.inf, np.inf, (len(model.C),), np.float64)
        self.action_space = self._box = Box(low, high, dtype=np.float64)
        self._steps = _STEPS if model.substeps is None else model.substeps
        self._fine = model.resampled(model.dt / self._steps)
        self._spread = self._start_root()
        self._streams: list[NoiseStream] | None = None
        self._x = np.asarray(self._rest[0])

    @property
    def _rest(self) -> tuple[Array, Array, Array]:
        return self.model.operating_point  # type: ignore[return-value]

    def _start_root(self) -> Array:
        """Return a root of the covariance of the start."""
        model, n = self.model, len(self.model.A)
        joint = model.white.joint(0)
        covariance = 0.01 * np.eye(n)
        if model.prior is not None:
            covariance = np.asarray(model.prior)
        elif joint.is_stable():
            covariance = joint.stationary()[:n, :n]
        level, axes = np.linalg.eigh(covariance)
        return np.asarray(axes * np.sqrt(np.maximum(level, 0.0)))

    def task(self, sensor_noise: Sequence[Noise] | None = None) -> Task:
        """Return the regulation task, with the model's own sensor noise or another."""
        model = replace(self.model, delay=None)
        if sensor_noise is not None:
            model = replace(model, sensor_noise=sensor_noise)
        return Task(model, self._weight, self._action_weight, self._low.copy(), self._high.copy())

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        """Draw a start and new disturbances; see `gymnasium.Env.reset`."""
        super().reset(seed=seed, options=options)
        self._x = self._rest[0] + self._spread @ self.np_random.standard_normal(len(self._spread))
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
        forces = np.stack([stream.draw(self._steps) for stream in self._streams], axis=-1)
        for force in forces:
            self._x = self._fine.transition(self._x, u, force)
        failed = not bool((np.abs(self._x - self._rest[0]) < self._bound).all())
        if failed:
            cost = max(cost, self._state_cost() + effort)
        return self._readings(u), -cost, failed, False, self._info(cost, forces.mean(axis=0), failed=failed)

    def _state_cost(self) -> float:
        away = self._x - self._rest[0]
        return float(away @ self._weight @ away)

    def _readings(self, u: Array) -> Array:
        return self.model.readout(self._x, u)

    def _info(self, cost: float, disturbance: Array, *, failed: bool) -> dict[str, Any]:
        return {"state": self._x.copy(), "cost": cost, "disturbance": disturbance, "failed": failed}


@dataclass(frozen=True, eq=False)
class LinearPlant:
    """What the program needs to know of a linear model: its sample time, and the size of its noises.

    Args:
        model: plant and noise.
    """

    model: LinearModel
    has_own_noise: ClassVar[bool] = True

    def sample_time(self) -> float:
        """Return the sample time in seconds."""
        return self.model.dt

    @cached_property
    def process_std(self) -> tuple[float, ...]:
        """Standard deviation of each disturbance; of white ones when held over a sample."""
        dt = self.model.dt
        return tuple(w.whitened(dt, sensor=False).density / float(np.sqrt(dt)) for w in self.model.process_noise)

    @cached_property
    def sensor_std(self) -> tuple[float, ...]:
        """Standard deviation of each sensor, of its white floor if it has no colour."""
        return tuple(float(np.sqrt(z.variance or z.sensor_floor)) for z in self.model.sensor_noise)


def two_masses(process: Noise | None = None, sensor: Noise | None = None) -> LinearModel:
    """Return two masses of 1 kg in a row on a wall, the second one pushed and driven, the first one seen.

    Springs of 2 and 4 N/m, dampers of 0.3 and 0.2 N·s/m, dt 0.1 s. States: positions (m), then velocities (m/s).

    Args:
        process: the disturbing force in N; by default of 1 N, smooth over two samples.
        sensor: of the position in m; by default of 0.1 m, smooth over two samples.
    """
    stiffness, damping = (np.array([[a + b, -b], [-b, b]]) for a, b in ((2.0, 4.0), (0.3, 0.2)))
    force = np.array([[0.0], [0.0], [0.0], [1.0]])
    return LinearModel(
        np.block([[np.zeros((2, 2)), np.eye(2)], [-stiffness, -damping]]),
        force,
        np.array([[1.0, 0.0, 0.0, 0.0]]),
        dt=0.1,
        noise_input=force,
        process_noise=[Smooth(1.0, 0.2, 1e-3) if process is None else process],
        sensor_noise=[Smooth(0.1, 0.2, 1e-3) if sensor is None else sensor],
        states=("position_1", "position_2", "velocity_1", "velocity_2"),
        inputs=("force",),
        sensors=("position_1",),
    )
