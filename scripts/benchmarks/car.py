"""The published cruise control, its controller and its precision learning (Baltieri & Buckley, Entropy 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from pcctrl.arrays import Array

__all__ = ["DT", "LEARNING", "LOAD", "STEPS", "TARGET", "Cruise", "Law", "Published", "Starts", "acceleration", "drive"]

# Sample time in seconds, samples of an episode, speed to hold in m/s, and the load, in units of the action.
DT, STEPS, TARGET, LOAD = 0.05, 6000, 10.0, 3.0
# The published precisions are learned in these seconds only: the load comes at 150 s.
LEARNING = (30.0, 150.0)
_ALPHA = 1e5
_SENSOR_STD = np.exp(-2.5)


class Starts(NamedTuple):
    """What differs from seed to seed: (B,) log-precisions at the start, and sensor noise z (T, B, 2) before 1/√dt."""

    gamma_z: Array
    gamma_w: Array
    noise: Array

    @classmethod
    def of(cls, seeds: Sequence[int], steps: int = STEPS) -> Starts:
        """Draw them as the published script does, from the legacy stream of each seed: γ_z, γ_w, then the noise."""
        streams = [np.random.RandomState(seed) for seed in seeds]
        gamma = np.array([(r.rand() * 2.0 - 3.0, r.rand() * 2.0 - 22.0) for r in streams])
        noise = np.stack([r.randn(steps, 2) for r in streams], axis=1) * _SENSOR_STD
        return cls(gamma[:, 0], gamma[:, 1], noise)


class Law(Protocol):
    """A controller of a batch of cars."""

    def init(self, batch: int) -> Any:
        """Return its memory at rest."""
        ...

    def act(self, state: Any, clean: Array, noise: Array, t: float) -> tuple[Any, Array]:
        """Return the new memory and the action (B,), of speed and acceleration (B, 2) and of z, which reads z/√dt."""
        ...


def acceleration(v: Array, force: Array | float) -> Array:
    """Return v̇ of speeds v under action plus load; the hill of 4 is taken for radians, as published."""
    mass, g, ratio = 100.0, 9.81, 12.0
    torque = 190.0 * (1.0 - 0.4 * (ratio * v / 420.0) ** 2)
    resisted = mass * g * (np.sin(4.0) + 0.01 * np.sign(v)) + 0.5 * 1.3 * 0.32 * 2.4 * v**2
    return np.asarray((ratio * force * torque - resisted) / mass)


class Cruise(NamedTuple):
    """Speeds (T, B) and readings (T, B, 2) of an episode, and the law's last memory."""

    speed: Array
    reading: Array
    memory: Any


def drive(law: Law, noise: Array) -> Cruise:
    """Run one episode: explicit Euler, the load from the middle on; an action is applied from the next sample on."""
    steps, batch, _ = noise.shape
    v, a, memory = np.zeros(batch), np.zeros(batch), law.init(batch)
    speed, reading = np.empty((steps, batch)), np.empty((steps, batch, 2))
    for k in range(steps):
        rate = acceleration(v, a + LOAD * (k > steps / 2))
        v = v + DT * rate
        clean = np.stack([v, rate], axis=-1)
        memory, a = law.act(memory, clean, noise[k], k * DT)
        speed[k], reading[k] = v, clean + noise[k] / np.sqrt(DT)
    return Cruise(speed, reading, memory)


class Belief(NamedTuple):
    """Of the published law: μ (B, 2), γ_z and φ (B, 2), action (B,)."""

    mu: Array
    gamma: Array
    momentum: Array
    action: Array


@dataclass(frozen=True, eq=False)
class Published:
    r"""The published controller in its explicit Euler form.

    Orders 0 and 1 of :math:`F = \tfrac12\sum_i[\pi_{z,i}(y_i-\mu_i)^2+\pi_{w,i}(\mu_{i+1}+\alpha(\mu_i-\eta_i))^2]
    -\tfrac12\ln\Pi`, α = 1e5 and η = (10, 0); the action descends it by :math:`\dot a=-\sum_i\pi_{z,i}(y_i-\mu_i)`,
    γ_z by :math:`\dot\phi=-\partial F/\partial\gamma-5\phi,\ \dot\gamma=\phi`.

    Args:
        gamma_z: (B,) log-precision of speed at the start; that of acceleration is ln 2 less.
        gamma_w: (B,) of the motion, alike.
        learning: seconds (from, to) in which γ_z moves, None for never.
        whole: whether ε² has the variance z²/dt that the readings have, where the published one has z².
    """

    gamma_z: Array
    gamma_w: Array
    learning: tuple[float, float] | None = None
    whole: bool = False

    def init(self, batch: int) -> Belief:
        """Return its memory at rest."""
        nothing = np.zeros((batch, 2))
        return Belief(nothing, self.gamma_z[:, None] - [0.0, np.log(2.0)], nothing, np.zeros(batch))

    def act(self, state: Belief, clean: Array, noise: Array, t: float) -> tuple[Belief, Array]:
        """Return the new memory and the action."""
        mu, gamma, momentum, action = state
        pi_z, pi_w = np.exp(gamma), np.exp(self.gamma_w[:, None] - [0.0, np.log(2.0)])
        z = noise / np.sqrt(DT)
        error, away = clean + z - mu, clean - mu
        # The motion of the highest order stays 0.
        shifted = np.stack([mu[:, 1], np.zeros(len(mu))], axis=-1)
        prior = pi_w * _ALPHA * (shifted + _ALPHA * (mu - [TARGET, 0.0]))
        square = error**2 if self.whole else away**2 + 2.0 * away * z + noise**2
        momentum = momentum + DT * (-0.5 * (pi_z * square - 1.0) - 5.0 * momentum)
        action = action - DT * (pi_z * error).sum(axis=-1)
        mu = mu + DT * (shifted + pi_z * error - prior)
        if self.learning is not None and self.learning[0] < t < self.learning[1]:
            gamma = gamma + DT * momentum
        return Belief(mu, gamma, momentum, action), action
