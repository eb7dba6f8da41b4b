"""The vertical two-joint arm, its laws, and the loop that they close."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from pcctrl.arrays import Array
from pcctrl.controllers import (
    ComputedTorque,
    GainScheduledLQR,
    InverseDynamics,
    ModelReferenceAdaptive,
    Preview,
    SlotineLi,
    UnbiasedInference,
)
from pcctrl.envs import Arm2Env
from pcctrl.filters import Belief
from pcctrl.models import Mismatch, MujocoMechanics, MujocoModel
from pcctrl.noise import White

MODEL: MujocoModel = Arm2Env().task([White(std=1e-3)] * 4).model  # type: ignore[assignment]
HEAVY = replace(MODEL, wrong=Mismatch(payload={"payload": 1.5}))
MECHANICS = MujocoMechanics(MODEL)
LEARNED = MujocoMechanics(MODEL, ("payload",), friction=())
REST, DT, W = MODEL.start[0], 1e-3, 20.0
INERTIA = MECHANICS.mass_matrix(REST)
LIMITS = ([-120.0, -60.0], [120.0, 60.0])
COMMON: dict[str, Any] = {"dt": DT, "rest": REST, "limits": LIMITS}
TIMES = DT * np.arange(6000)
SWAY = np.array([0.4, 0.6]) * np.sin(np.outer(TIMES, [2.0, 3.0]))
MOTION = np.hstack([REST[:2] + SWAY, np.array([0.8, 1.8]) * np.cos(np.outer(TIMES, [2.0, 3.0]))])


def believe(x: Array, *others: Array) -> Belief:
    """A belief that is sure of the truth."""
    mean = np.concatenate([x, *others], axis=-1)
    return Belief(mean, np.eye(mean.shape[-1]), np.zeros(2), 4)


def track(
    controller: Any, plant: MujocoModel, steps: int, motion: Array | None = None, torque: Any = 0.0, away: Any = 0.0
) -> tuple[Array, Any]:
    """Errors (steps, 4) of a loop that sees the state, from ``away`` of the reference, and the memory at its end."""
    x = (REST if motion is None else motion[0]) + away
    state, errors = controller.init(), []
    for k in range(steps):
        goal = REST if motion is None else motion[k]
        errors.append(goal - x)
        state, u, _ = controller.act(state, believe(x), None if motion is None else Preview(motion[k : k + 3]))
        assert (np.abs(u) <= LIMITS[1]).all()
        x = plant.transition(x, u + torque)
    return np.array(errors), state


def computed(**options: Any) -> ComputedTorque:
    return ComputedTorque(MECHANICS, **(COMMON | {"bandwidth": W} | options))


def slotine(mechanics: Any = LEARNED, **options: Any) -> SlotineLi:
    return SlotineLi(mechanics, **(COMMON | {"bandwidth": W, "rates": 100.0, "low": 0.0, "high": 5.0} | options))


def mrac(**options: Any) -> ModelReferenceAdaptive:
    return ModelReferenceAdaptive(INERTIA, **(COMMON | {"bandwidth": W, "bias": MODEL.start[1], "rate": W} | options))


def unbiased(**options: Any) -> UnbiasedInference:
    return UnbiasedInference(MECHANICS, INERTIA, **(COMMON | {"bandwidth": W} | options))


def scheduled(**options: Any) -> GainScheduledLQR:
    return GainScheduledLQR(MODEL, MECHANICS, [1e4, 1e4, 0.0, 0.0], 1e-2, **({"limits": LIMITS} | options))


def through(inner: Any) -> InverseDynamics:
    return InverseDynamics(MECHANICS, inner, **COMMON)
