"""The beacon world with many seeds at once, and the walkers that planning over beliefs is measured against."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np
from gymnasium.utils.seeding import np_random

from pcctrl.arrays import Array
from pcctrl.controllers.base import Goal, limited
from pcctrl.envs.light_dark import FOOD, START, light_dark
from pcctrl.filters import Belief, ExtendedKalmanFilter
from pcctrl.models import GeneralisedModel, generalise

__all__ = ["MODEL", "STEPS", "Estimated", "OneStep", "Walker", "Walks", "Waypoint", "walk"]

STEPS, NEAR = 90, 0.5
MODEL = light_dark()
LOW, HIGH = MODEL.limits


class Walker(Protocol):
    """What chooses velocities (..., 2) from beliefs, as any controller does."""

    def init(self, batch: tuple[int, ...] = ()) -> Any:
        """Return the memory before the first decision."""
        ...

    def act(self, state: Any, belief: Belief, goal: Goal = None) -> tuple[Any, Array, Any]:
        """Return the new memory, the velocities and what they were made of."""
        ...


@dataclass(frozen=True, eq=False)
class Walks:
    """How walks went, B of them.

    Args:
        states: (B, steps + 1, 4) true positions and food.
        seconds: CPU seconds of a decision, the median over steps, by the number of walks decided at once.
    """

    states: Array
    seconds: float

    @cached_property
    def distance(self) -> Array:
        """Metres from the food (B, steps + 1)."""
        return np.asarray(np.linalg.norm(self.states[..., :2] - self.states[..., 2:], axis=-1))

    @property
    def final(self) -> Array:
        """Metres from the food at the end (B,)."""
        return self.distance[:, -1]

    @property
    def path(self) -> Array:
        """Metres walked (B,)."""
        return np.asarray(np.linalg.norm(np.diff(self.states[..., :2], axis=1), axis=-1).sum(axis=1))

    @property
    def arrival(self) -> Array:
        """Steps until within 0.5 m for good (B,), counted from 1 as published; infinite for one that never is."""
        far = self.distance >= NEAR
        steps = far.shape[1] - far[:, ::-1].argmax(axis=1) + 1.0
        return np.where(far[:, -1], np.inf, np.where(far.any(axis=1), steps, 1.0))


class Draws(NamedTuple):
    """What seeds give: starts (B, 4), unit noises of the readings (B, STEPS + 1, 4) and of the plant (B, STEPS, 4)."""

    start: Array
    readings: Array
    pushes: Array

    @classmethod
    def of(cls, seeds: Sequence[int]) -> Draws:
        """Return the draws that `LightDarkEnv(scatter=0)` makes of the same seeds."""
        numbers = np.array([np_random(seed)[0].standard_normal((2 + 2 * STEPS, 4)) for seed in seeds])
        start = np.broadcast_to(np.concatenate([START, FOOD]), (len(seeds), 4))
        return cls(start, numbers[:, 1::2], numbers[:, 2::2])


def walk(walker: Walker, seeds: Sequence[int], steps: int = STEPS) -> Walks:
    """Return the walks of ``walker`` with a filter that is told the model, one for each seed, all in one batch."""
    draws, filter_ = Draws.of(seeds), ExtendedKalmanFilter(MODEL)
    process = np.array([w.density for w in MODEL.process_noise]) / np.sqrt(MODEL.dt)
    sensors = np.sqrt(np.array([z.sensor_floor for z in MODEL.sensor_noise]))

    def read(x: Array, k: int) -> Array:
        factors = MODEL.sensor_factors(x)
        return np.asarray(
            MODEL.readout(x) + sensors * np.sqrt(1.0 if factors is None else factors) * draws.readings[:, k]
        )

    x, memory, spent = draws.start, walker.init((len(seeds),)), []
    states, belief = [x], filter_.init((len(seeds),))
    belief, _ = filter_.update(belief, read(x, 0))
    for k in range(steps):
        start = time.process_time()
        memory, u, _ = walker.act(memory, belief, np.zeros(4))
        spent.append(time.process_time() - start)
        x = MODEL.transition(x, u, process * draws.pushes[:, k])
        states.append(x)
        belief, _ = filter_.step(belief, read(x, k + 1), u)
    return Walks(np.stack(states, axis=1), float(np.median(spent)) / len(seeds))


def toward(position: Array, target: Array) -> Array:
    """Return the velocity that reaches ``target`` within a sample, or as near as the limits let it."""
    return limited((target - position) / MODEL.dt, LOW, HIGH)


@dataclass(frozen=True)
class Estimated:
    """Certainty-equivalent LQR without a cost of action, as published: go to where the food is thought to be."""

    def init(self, batch: tuple[int, ...] = ()) -> None:
        """Return nothing."""

    def act(self, state: None, belief: Belief, goal: Goal = None) -> tuple[None, Array, None]:  # noqa: ARG002
        """Return the velocity; see `Walker`."""
        return None, toward(belief.state[..., :2], belief.state[..., 2:]), None


@dataclass(frozen=True)
class OneStep:
    r"""The published controller: of a 25 × 25 grid of velocities that of the least expected free energy one step on.

    .. math:: G = \tfrac12\lambda|\hat g - \hat p|^2 + \tfrac12\lambda\,\mathrm{tr}S_{gp} - \tfrac12\ln\frac{|S|}{|R|}

    Args:
        weight: λ.
    """

    weight: float

    @cached_property
    def _joint(self) -> GeneralisedModel:
        return generalise(MODEL, None)

    def init(self, batch: tuple[int, ...] = ()) -> None:
        """Return nothing."""

    def act(self, state: None, belief: Belief, goal: Goal = None) -> tuple[None, Array, None]:  # noqa: ARG002
        """Return the velocity; see `Walker`."""
        axis = np.linspace(-HIGH[0], HIGH[0], 25)
        grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
        joint, mean = self._joint, belief.mean[..., None, :]
        x = MODEL.transition(mean, grid)
        # This world's motion and geometry are linear: only the noise depends on where the step leads.
        _, F, Q = joint.linearised(mean, grid[:1])
        C, R = joint.readout_jacobian(mean, grid[:1]), joint.R_at(x)
        P = np.broadcast_to(belief.covariance, (*belief.mean.shape, 4))[..., None, :, :]
        known = C @ (F @ P @ np.swapaxes(F, -1, -2) + Q) @ np.swapaxes(C, -1, -2)
        S = known + R[..., None] * np.eye(4)
        away = x[..., 2:] - x[..., :2]
        risk = np.square(away).sum(axis=-1) + np.trace(known[..., 2:, 2:], axis1=-2, axis2=-1)
        nats = 0.5 * (np.linalg.slogdet(S)[1] - np.log(R).sum(axis=-1))
        return None, grid[(0.5 * self.weight * risk - nats).argmin(axis=-1)], None


@dataclass(frozen=True, eq=False)
class Waypoint:
    """Made by hand for this very world: go to a place near the light, stay a while, then go to the food as estimated.

    Args:
        place: (..., 2), m.
        stay: samples there (...), counted from within 0.3 m of it as estimated.
    """

    place: Array
    stay: Array

    def init(self, batch: tuple[int, ...] = ()) -> Array:
        """Return how many samples it has been there (*batch,)."""
        return np.zeros(batch)

    def act(self, state: Array, belief: Belief, goal: Goal = None) -> tuple[Array, Array, None]:  # noqa: ARG002
        """Return the count, and the velocity; see `Walker`."""
        position = belief.state[..., :2]
        state = state + ((np.linalg.norm(position - self.place, axis=-1) < 0.3) | (state > 0.0))
        target = np.where((state > self.stay)[..., None], belief.state[..., 2:], self.place)
        return state, toward(position, target), None
