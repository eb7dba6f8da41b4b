"""Arm7 at 1 kHz in runs that share their seeds: plants, filters, and episodes of a batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

import gymnasium as gym
import numpy as np

from pcctrl.agents.adaptive import CREEP, learning
from pcctrl.arrays import Array
from pcctrl.envs import Arm7Env, make_arm
from pcctrl.filters import JointFilter, KalmanFilter, NonlinearPCFilter
from pcctrl.models import (
    AdaptiveModel,
    Mismatch,
    MujocoMechanics,
    MujocoModel,
    MujocoParameters,
    free_joints,
)
from pcctrl.noise import Imperfection, OrnsteinUhlenbeck, Quantisation, White

__all__ = [
    "JOINTS",
    "RELATIVE",
    "Law",
    "Score",
    "adaptive",
    "arms",
    "invertible",
    "kalman",
    "mechanics",
    "outside",
    "simulate",
    "told",
]

JOINTS = tuple(f"joint{i + 1}" for i in range(7))
# A count of an encoder of 14 bit, rad.
COUNT = 2.0 * np.pi / 2**14
# How strongly what is not modelled pushes the joints, beside each other.
RELATIVE = np.array([1.0, 1.0, 1.0, 1.0, 0.4, 0.4, 0.4])
LOAD = 1.0
_LOST = 1.0


class Law(Protocol):
    """What turns readings into torques, for a batch of arms."""

    def begin(self, batch: int) -> None:
        """Forget all."""
        ...

    def act(self, y: Array, goal: Array) -> Array:
        """Return the torques (B, 7) for readings (B, m) and what is wanted now and next (B, 2, 14)."""
        ...


class Score(NamedTuple):
    """Of each arm, (B,).

    Args:
        rmse: root of the mean square of all joints' errors from their reference, rad.
        chatter: the same of the torques' changes from sample to sample, N·m.
        failed: whether it was lost.
        parts: rmse in each part of the run that was asked for, (B, parts).
    """

    rmse: Array
    chatter: Array
    failed: Array
    parts: Array


def arms(
    count: int,
    right: bool,
    pick: float,
    encoders: Sequence[str] = ("motor",),
    flaws: Sequence[Imperfection] = (),
    trajectory: str | None = None,
    **more: Any,
) -> list[gym.Env[Any, Any]]:
    """Return so many arms, which track sinusoids and go from point to point in turns.

    Args:
        count: of them.
        right: whether the told model is right: no friction, no payload, no mismatch.
        pick: seconds after which the payload is picked up.
        encoders: that are there.
        flaws: of the encoders, beside their counts.
        trajectory: of all of them.
        more: of `make_arm`.
    """
    wrong = {} if right else {"mismatch": Mismatch(mass=0.7, inertia=0.7), "payload": (LOAD, pick)}
    return [
        make_arm(
            Arm7Env,
            trajectory=trajectory or ("track", "reach")[i % 2],  # type: ignore[arg-type]
            friction="none" if right else "coulomb",
            encoders=encoders,
            imperfections=[*flaws, Quantisation(COUNT)],
            **{**wrong, **more},
        )
        for i in range(count)
    ]


def told(env: gym.Env[Any, Any], walk: float | None = None, drift: tuple[float, float] | None = None) -> MujocoModel:
    """Return the model that filters are told: the encoders' noise and counts, the disturbance as white as it is slow.

    Args:
        env: an arm.
        walk: rate of the torques' random walk, N·m/√s, of the first joints.
        drift: of an Ornstein-Uhlenbeck torque, N·m and s.
    """
    model: MujocoModel = env.get_wrapper_attr("task")().model
    pushes = [White(density=float(np.sqrt(w.spectral_density(0.0)))) for w in model.process_noise]
    if drift is not None:
        slow = [OrnsteinUhlenbeck(drift[0] * part, drift[1], 1e-9) for part in RELATIVE]
        return replace(
            model,
            process_noise=[a + b for a, b in zip(pushes, slow, strict=True)],
            sensor_noise=[z + White(std=COUNT / np.sqrt(12.0)) for z in model.sensor_noise],
        )
    return replace(
        model,
        process_noise=pushes,
        sensor_noise=[z + White(std=COUNT / np.sqrt(12.0)) for z in model.sensor_noise],
        disturbance=None if walk is None else walk * RELATIVE,
    )


def mechanics(model: MujocoModel, kinds: str = "") -> MujocoMechanics:
    """Return the mechanics with the parameters in ``kinds``: l(oad), s(cale), f(riction)."""
    friction = ("viscous", "coulomb") if "f" in kinds else ()
    return MujocoMechanics(model, ["payload"] if "l" in kinds else [], "s" in kinds, friction, CREEP)


def adaptive(model: MujocoModel, kinds: str, times: Mapping[str, float] | None = None) -> AdaptiveModel:
    """Return the model with the parameters of its `mechanics` as slow states, see `learning`."""
    return learning(model, mechanics(model, kinds).parameters, times)[1]


def invertible(model: MujocoModel | AdaptiveModel) -> Any:
    """Return what `AdaptedTorque` asks for torques: the adaptive plant, or the plain one as it is told."""
    return model.plant if isinstance(model, AdaptiveModel) else MujocoParameters(model, [], CREEP)


def outside(model: MujocoModel | AdaptiveModel, order: int = 1, refresh: int = 20, **more: Any) -> NonlinearPCFilter:
    """Return the predictive-coding filter of all rows: one step of descent a sample, derivatives used for 20."""
    return NonlinearPCFilter(model, order, iterations=1, refresh=refresh, **more)


def kalman(model: MujocoModel, acceleration: float) -> JointFilter:
    """Return a Kalman filter of each joint's angle and rate, driven by white accelerations of a density."""
    joints = free_joints(replace(model, process_noise=[White(density=acceleration)] * 7), None)
    return JointFilter(None, KalmanFilter(joints))


def simulate(
    law: Law,
    envs: Sequence[gym.Env[Any, Any]],
    seeds: Sequence[int],
    seconds: float,
    skip: float = 0.5,
    spoil: Callable[[int, Array], Array] | None = None,
    parts: Sequence[tuple[float, float]] = (),
    watch: Callable[[int], None] | None = None,
) -> Score:
    """Run all arms at once, each with its seed.

    Args:
        law: of the batch.
        envs: arms.
        seeds: one each.
        seconds: of each run; an arm that fails stays where it is and counts as an error of 1 rad from there on.
        skip: seconds at the beginning that are not scored.
        spoil: what becomes of the readings (B, m) at a sample.
        parts: from and to which second to score as well.
        watch: is called at each sample after the law.
    """
    began = [env.reset(seed=int(seed)) for env, seed in zip(envs, seeds, strict=True)]
    batch, steps = len(envs), round(seconds * 1000.0)
    y, goal = np.array([b[0] for b in began]), np.array([b[1]["goal"].goals[:2] for b in began])
    law.begin(batch)
    torque: Array | None = None
    error, change = np.zeros((steps, batch)), np.zeros((steps, batch))
    alive = np.ones(batch, dtype=bool)
    low, high = envs[0].get_wrapper_attr("action_space").low, envs[0].get_wrapper_attr("action_space").high
    for k in range(steps):
        seen = y if spoil is None else spoil(k, y)
        u = law.act(seen, goal)
        if watch is not None:
            watch(k)
        u = np.clip(np.where(np.isfinite(u), u, 0.0), low, high)
        if torque is not None:
            change[k] = ((u - torque) ** 2).mean(axis=1)
        torque = u
        for i, env in enumerate(envs):
            if not alive[i]:
                error[k, i] = _LOST
                continue
            y[i], _, failed, _, told = env.step(u[i])
            goal[i] = told["goal"].goals[:2]
            error[k, i] = ((told["state"][:7] - goal[i, 0, :7]) ** 2).mean()
            alive[i] = not failed
    first = round(skip * 1000.0)
    spans = [slice(round(a * 1000.0), round(b * 1000.0)) for a, b in parts]
    return Score(
        np.sqrt(error[first:].mean(axis=0)),
        np.sqrt(change[first:].mean(axis=0)),
        ~alive,
        np.sqrt(np.array([error[span].mean(axis=0) for span in spans]).T),
    )
