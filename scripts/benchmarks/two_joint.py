"""The published two-joint arm, its random goals and collisions, and its metrics (Baioumy et al., IROS 2022)."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np

from pcctrl.arrays import Array
from pcctrl.models import LinearModel
from pcctrl.noise import White

__all__ = [
    "DT",
    "HANGING",
    "NOISE",
    "ArmLaw",
    "Score",
    "Trials",
    "acceleration",
    "gravity",
    "hanging_model",
    "simulate",
    "torque_for",
]

# Sample time in seconds, standard deviation of angles and rates, and the angles where all trials start.
DT, NOISE = 1e-3, 1e-3
HANGING = np.array([-np.pi / 2.0, 0.0])
_G, _L1 = 9.81, 1.0446
_C1, _C2, _M1, _M2, _I1, _I2 = 0.5451, 0.5075, 2.1368, 2.2418, 1.0209, 1.0218
_DAMPING = np.array([101.519, 103.8566])
# The first goals of the published list; the others are not in the paper.
_FIRST = [(0.867, -0.743), (1.483, 0.515), (0.670, -0.052)]
# A trial counts as settled within this part of the first joint's step.
_BAND = 0.005


def _inertia(q2: Array | float) -> tuple[Array, Array, float]:
    """Return M₁₁, M₁₂ and M₂₂."""
    coupling = _M2 * _L1 * _C2 * np.cos(q2)
    own = _I2 + _M2 * _C2**2
    return np.asarray(_I1 + _M1 * _C1**2 + _M2 * _L1**2 + own + 2.0 * coupling), np.asarray(own + coupling), own


def gravity(q: Array) -> Array:
    """Return the torques (..., 2) that hold the arm at q (..., 2)."""
    outer = _M2 * _C2 * np.cos(q[..., 0] + q[..., 1])
    return _G * np.stack([(_M1 * _C1 + _M2 * _L1) * np.cos(q[..., 0]) + outer, outer], axis=-1)


def _lost(q: Array, rate: Array, scale: float) -> Array:
    """Return the torques (..., 2) that damping, gravity and the turning of the links take, masses times ``scale``."""
    eta = _M2 * _L1 * _C2 * np.sin(q[..., 1])
    w1, w2 = rate[..., 0], rate[..., 1]
    turning = np.stack([-eta * w2 * (2.0 * w1 + w2), eta * w1**2], axis=-1)
    return np.asarray(_DAMPING * rate + scale * (gravity(q) + turning))


def acceleration(q: Array, rate: Array, torque: Array, scale: float = 1.0) -> Array:
    """Return the angular accelerations (..., 2), of an arm whose masses and inertias are ``scale`` times as large."""
    m11, m12, m22 = _inertia(q[..., 1])
    net = (torque - _lost(q, rate, scale)) / scale
    f1, f2 = net[..., 0], net[..., 1]
    return np.stack([m22 * f1 - m12 * f2, m11 * f2 - m12 * f1], axis=-1) / (m11 * m22 - m12**2)[..., None]


def torque_for(q: Array, rate: Array, wanted: Array, scale: float = 1.0) -> Array:
    """Return the torques (..., 2) that bring about ``wanted`` accelerations (..., 2); see `acceleration`."""
    m11, m12, m22 = _inertia(q[..., 1])
    a1, a2 = wanted[..., 0], wanted[..., 1]
    return scale * np.stack([m11 * a1 + m12 * a2, m12 * a1 + m22 * a2], axis=-1) + _lost(q, rate, scale)


def hanging_model(disturbance: float | None = None, density: float = 1e-3) -> LinearModel:
    """Return the arm linearised where it hangs, seen in both angles and rates.

    Args:
        disturbance: rate of the torques' random walk in N·m/√s, which answers for what is not linear.
        density: of the white angular accelerations, rad/s²·√s.
    """
    m11, m12, m22 = (float(m) for m in _inertia(0.0))
    inverse = np.linalg.inv([[m11, m12], [m12, m22]])
    outer = _M2 * _C2
    stiffness = _G * np.array([[_M1 * _C1 + _M2 * _L1 + outer, outer], [outer, outer]])
    none, one = np.zeros((2, 2)), np.eye(2)
    rest = np.concatenate([HANGING, np.zeros(2)])
    return LinearModel(
        np.block([[none, one], [-inverse @ stiffness, -inverse @ np.diag(_DAMPING)]]),
        np.vstack([none, inverse]),
        np.eye(4),
        dt=DT,
        noise_input=np.vstack([none, one]),
        process_noise=[White(density=density)] * 2,
        sensor_noise=[White(std=NOISE)] * 4,
        disturbance=disturbance,
        operating_point=(rest, np.zeros(2), rest),
    )


class Trials(NamedTuple):
    """Goals (B, 2), and the seconds (B,) from and to which both joints are held; infinite where they never are."""

    goal: Array
    held_from: Array
    held_to: Array

    @classmethod
    def of(cls, seed: int, count: int, published: bool = True) -> Trials:
        """Draw ``count`` free trials, then as many of another list with collisions.

        Args:
            seed: of all draws.
            count: of each kind.
            published: whether the free ones begin with the three goals known of the published list.
        """
        rng = np.random.default_rng(seed)
        goal = rng.uniform(-1.57, 1.57, (2 * count, 2))
        if published:
            goal[: min(count, 3)] = _FIRST[:count]
        begin, never = rng.uniform(0.0, 3.0, count), np.full(count, np.inf)
        return cls(goal, np.append(never, begin), np.append(never, begin + rng.uniform(1.0, 3.0, count)))


class ArmLaw(Protocol):
    """A controller of a batch of arms."""

    def init(self, batch: int) -> Any:
        """Return its memory, hanging at rest."""
        ...

    def act(self, memory: Any, y: Array, torque: Array, goal: Array) -> tuple[Any, Array, Array]:
        """Return the new memory, the torque (B, 2) from the next sample on, and the belief of the angles (B, 2) now.

        Args:
            memory: from `init` or the last call.
            y: angles and rates as read (B, 4).
            torque: that was applied until this sample (B, 2).
            goal: angles (B, 2).
        """
        ...


class Score(NamedTuple):
    """Of each trial, (B,).

    Args:
        error: mean of both joints' |goal − q| at the end, rad.
        rmse: mean over joints of rms(q − μ), rad.
        overshoot: of joint 1 beyond its goal, rad.
        percent: the same in per cent of the step from hanging.
        settling: seconds until joint 1 stays within 0.5 % of its step, from the collision's begin where there is one.
        peak: largest |torque| of joint 1, N·m.
        path: ∫ of both joints' mean |goal − q|, rad·s.
    """

    error: Array
    rmse: Array
    overshoot: Array
    percent: Array
    settling: Array
    peak: Array
    path: Array


def simulate(law: ArmLaw, trials: Trials, seconds: float = 20.0, seed: int = 0) -> Score:
    """Run all trials at once in the published explicit Euler form: a torque acts one sample after its reading."""
    goal = trials.goal
    count, steps = len(goal), round(seconds / DT)
    rng = np.random.default_rng(seed)
    q, rate, torque = np.tile(HANGING, (count, 1)), np.zeros((count, 2)), np.zeros((count, 2))
    memory = law.init(count)
    step = goal[:, 0] - HANGING[0]
    highest, peak, settled, path = q[:, 0], np.zeros(count), np.zeros(count), np.zeros(count)
    square = np.zeros((count, 2))
    for k in range(steps):
        highest = np.maximum(highest, q[:, 0])
        peak = np.maximum(peak, np.abs(torque[:, 0]))
        settled = np.where(np.abs(q[:, 0] - goal[:, 0]) > _BAND * step, (k + 1) * DT, settled)
        path = path + DT * np.abs(goal - q).mean(axis=1)
        y = np.concatenate([q, rate], axis=1) + NOISE * rng.standard_normal((count, 4))
        memory, wanted, belief = law.act(memory, y, torque, goal)
        square += (q - belief) ** 2
        # Held joints keep their place without a rate, whatever the torque.
        held = ((trials.held_from < k * DT) & (k * DT < trials.held_to))[:, None]
        moved = rate + DT * acceleration(q, rate, torque)
        q, rate = np.where(held, q, q + DT * rate), np.where(held, 0.0, moved)
        torque = wanted
    overshoot = np.maximum(highest - goal[:, 0], 0.0)
    begin = np.where(np.isfinite(trials.held_from), trials.held_from, 0.0)
    rmse = np.sqrt(square / steps).mean(axis=1)
    error = np.abs(goal - q).mean(axis=1)
    return Score(error, rmse, overshoot, 100.0 * overshoot / step, settled - begin, peak, path)
