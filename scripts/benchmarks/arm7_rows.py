"""The rows of Arm7's benchmark: a filter and a law each, and what is tuned of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from pcctrl.agents import Agent, RealTimeAgent
from pcctrl.agents.adaptive import PRIORS, jumping
from pcctrl.arrays import Array
from pcctrl.controllers import AdaptedTorque, ComputedTorque, LowPass, ModalBandwidth, SlotineLi
from pcctrl.controllers.low_pass import Following
from pcctrl.filters import Jump
from pcctrl.models import MujocoModel
from pcctrl.scripts.benchmarks.arm7_laws import Fleet
from pcctrl.scripts.benchmarks.arm7_runs import RELATIVE, Law, adaptive, invertible, kalman, mechanics, outside, told

__all__ = ["JUMP_RATE", "LIKE_WALK", "ROWS", "Row", "build"]

# Seconds that an Ornstein-Uhlenbeck torque lasts: gravity that is wrong does not go away.
_DRIFT_TIME = 10.0
WALKS, OMEGAS, LAGS, EXPONENTS = (0.7, 1.4, 4.0), (36.0, 54.0, 80.0), (0.2, 0.35), (1.0 / 6.0, 1.0 / 3.0)
ACCELERATIONS = (0.1, 0.3)
# The same torque as the walk's but for its spectrum at low frequencies: it takes that row's setting.
_SAME = "aif, Ornstein–Uhlenbeck"
# That torque, and believed to jump: what a load that is picked up does to a joint, N·m.
_JUMPS, _TORQUE = "aif, random walk, jumps", 3.0
LIKE_WALK = (_SAME, _JUMPS)


class Row(NamedTuple):
    """What is tuned of a row.

    Args:
        kind: see `build`.
        axes: of its grid. The first is the filter's, one run each; the others are the law's, in a batch: bandwidth ω in
            rad/s, the low-pass filter's time in 1/ω, the exponent of `ModalBandwidth`, and the rate of learning
            ("sl") or the damping ζ of two poles.
        around: by what the last of the best point's values is multiplied in a finer search.
    """

    kind: str
    axes: tuple[tuple[float, ...], ...]
    around: tuple[float, ...]


_ROW = (WALKS, OMEGAS, LAGS, EXPONENTS, (1.0,)), (0.75, 1.0)
_PID = (ACCELERATIONS, (16.0, 24.0, 36.0), (0.0, 0.15, 0.3, 0.5))
ROWS: dict[str, Row] = {
    "aif, adapted": Row("lf", *_ROW),
    "aif, adapted, scale too": Row("lsf", *_ROW),
    "aif, random walk": Row("", *_ROW),
    _JUMPS: Row("jump", *_ROW),
    _SAME: Row("ou", *_ROW),
    "Slotine–Li, Kalman": Row(
        "sl", (ACCELERATIONS, (15.0, 21.0, 30.0, 42.0), (0.0, 0.3), (0.0, *EXPONENTS[1:]), (10.0, 100.0)), (0.5, 2.0)
    ),
    "computed torque + PID": Row("pid", (*_PID, (0.0,), (0.7, 1.0)), (0.8, 1.0)),
    "PID, heavy modes slower": Row("pid", (*_PID, EXPONENTS, (0.7, 1.0)), (0.8, 1.0)),
}
# N·m/s at which what a jump of the belief changes of a torque is given way to: half of what the arm's maker allows.
JUMP_RATE = 500.0


def build(kind: str, env: Any, values: Array) -> Law:
    """Return a row's filter and law; the first value is the filter's, those after it have a column for each arm.

    Args:
        kind: of `ROWS`: "sl" and "pid", laws on a Kalman filter of the joints, or what a predictive-coding filter
            believes in: letters of `mechanics`, nothing but a walk of the torques, that they jump, or "ou".
        env: an arm, whose task is told.
        values: (1 + d,), or (1 + d, B, 1) with the first row alike.
    """
    first, omegas, lags, exponents, others = (np.ravel(v).tolist() for v in values)
    box = env.get_wrapper_attr("action_space")
    limits = box.low, box.high
    plain = told(env)
    dt, home = plain.dt, plain.start[0]
    bandwidths = [
        ModalBandwidth(mechanics(plain), omega, home, p) if p else omega
        for omega, p in zip(omegas, exponents, strict=True)
    ]
    laws: list[Following] = []
    if kind == "pid":
        for omega, zeta in zip(bandwidths, others, strict=True):
            law = ComputedTorque(mechanics(plain), dt, omega, home, True, limits=limits, damping=zeta)
            laws.append(law)
    elif kind == "sl":
        own = mechanics(plain, "lf")
        priors = np.array([PRIORS[name.partition(":")[0]] for name in own.parameters])
        for omega, rate in zip(bandwidths, others, strict=True):
            rates = rate * priors[:, 0] ** 2
            laws.append(SlotineLi(own, dt, omega, home, rates, 0.0, priors[:, 4], limits=limits))
    if kind in ("pid", "sl"):
        joints = kalman(plain, first[0])
        return Fleet([Agent(joints, law) for law in _calm(laws, omegas, lags, dt)])
    drift = (first[0] * float(np.sqrt(0.5 * _DRIFT_TIME)), _DRIFT_TIME)
    model = told(env, None, drift) if kind == "ou" else told(env, first[0])
    kinds = "" if kind in ("ou", "jump") else kind
    believed = adaptive(model, kinds) if kinds else model
    filter_, plant = outside(believed, jumps=_jumps(model, kinds, kind == "jump")), invertible(believed)
    for omega, zeta in zip(bandwidths, others, strict=True):
        laws.append(AdaptedTorque(plant, filter_.joint, omega, limits, zeta))
    return Fleet([RealTimeAgent(Agent(filter_, law)) for law in _calm(laws, omegas, lags, dt)])


def _jumps(model: MujocoModel, kinds: str, torques: bool) -> list[Jump]:
    """Return the jumps that a row expects: of the payload if it is adapted, of each joint's torque where it is told."""
    if torques:
        return [Jump(name, _TORQUE * part) for name, part in zip(model.inputs or (), RELATIVE, strict=True)]
    return jumping(mechanics(model, kinds).parameters)


def _calm(laws: list[Following], omegas: list[float], lags: list[float], dt: float) -> list[LowPass]:
    """Return laws of bandwidths ω with a low-pass filter each, whose time is told in 1/ω."""
    return [LowPass(law, dt, lag / omega, JUMP_RATE) for law, omega, lag in zip(laws, omegas, lags, strict=True)]
