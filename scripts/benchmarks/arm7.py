"""Arm7 at 1 kHz with a wrong model, dry friction and a payload picked up in mid-run: adaptation by the free energy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from os import cpu_count
from typing import Any

import numpy as np
from rich.console import Console

from pcctrl.arrays import Array
from pcctrl.controllers import AdaptedTorque
from pcctrl.scripts.benchmarks.arm7_laws import Pair, SlidingAdaptive, TorquePID
from pcctrl.scripts.benchmarks.arm7_runs import Law, Score, adaptive, arms, kalman, mechanics, outside, simulate, told
from pcctrl.scripts.benchmarks.claims import Claim, claim, claims_table, plain_table

__all__ = ["ROWS", "Tuned", "build", "claims", "ratios", "run", "tune"]

SEEDS = tuple(range(1000, 1012))
SECONDS, PICK = 6.0, 3.0
TUNING_SEEDS, TUNING_SECONDS = (1, 2), 2.5
# Root mean square of the torques' changes from one millisecond to the next that a row may have, N·m.
CHATTER = 0.1
_DRIFT_TIME = 0.3

# A row's kind, and the axes of its grid: the first is the filter's, one run each; the others are the law's, in a batch.
WALKS, OMEGAS = (0.3, 1.0, 3.0, 10.0), (8.0, 12.0, 18.0, 27.0, 40.0)
ROWS: dict[str, tuple[str, tuple[tuple[float, ...], ...]]] = {
    "aif, adapted": ("lf", (WALKS, OMEGAS)),
    "aif, adapted, inertia too": ("lsf", (WALKS, OMEGAS)),
    "aif, random walk": ("", (WALKS, OMEGAS)),
    "aif, Ornstein–Uhlenbeck": ("ou", (WALKS, OMEGAS)),
    "Slotine–Li, Kalman": ("sl", ((10.0, 30.0, 100.0, 300.0), (5.0, 12.0, 30.0), (5.0, 12.0, 30.0), (0.3, 3.0, 30.0))),
    "computed torque + PID": ("pid", ((10.0, 30.0, 100.0, 300.0), OMEGAS, (0.02, 0.1, 0.3, 0.6))),
}
# Seconds over which adapted parameters change by about their spread.
TIME = 20.0


def build(kind: str, env: Any, values: Array) -> Law:
    """Return a row's filter and law; the first value is the filter's, those after it have a column for each arm.

    Args:
        kind: of `ROWS`.
        env: an arm, whose task is told.
        values: (1 + d,), or (1 + d, B, 1) with the first row alike.
    """
    first, rest = float(np.ravel(values[0])[0]), [np.asarray(v) for v in values[1:]]
    low, high = env.get_wrapper_attr("action_space").low, env.get_wrapper_attr("action_space").high
    if kind in ("sl", "pid"):
        model = told(env)
        filter_ = kalman(model, first)
        if kind == "pid":
            return Pair(filter_, TorquePID(mechanics(model), *rest))
        own = mechanics(model, "lf")
        spread, top = np.array([1.0, *[0.5] * 14]), np.array([5.0, *[5.0] * 7, *[3.0] * 7])
        mass = np.diagonal(own.mass_matrix(model.start[0])).copy()
        return Pair(filter_, SlidingAdaptive(own, *rest, spread, top, mass))
    kinds = "" if kind == "ou" else kind
    model = told(env, None, (first * np.sqrt(0.5 * _DRIFT_TIME), _DRIFT_TIME)) if kind == "ou" else told(env, first)
    filter_ = outside(adaptive(model, kinds, TIME) if kinds else model)
    return Pair(filter_, AdaptedTorque(mechanics(model, kinds), filter_.joint, rest[0], (low, high)))


@dataclass(frozen=True)
class Tuned:
    """What a grid found.

    Args:
        values: (1 + d,).
        cost: mean RMSE in rad, times (chatter / cap)⁴ where that is above 1.
        chatter: N·m.
        points: of the grid that were tried.
    """

    values: Array
    cost: float
    chatter: float
    points: int


def tune(row: str, seconds: float = TUNING_SECONDS, fine: bool = True) -> Tuned:
    """Return the best of a row's grid on two tuning seeds, and of a finer one around it."""
    kind, axes = ROWS[row]
    best = _grid(kind, axes, seconds)
    if not fine:
        return best
    near = [tuple(v * f for f in (0.6, 1.0, 1.6)) for v in best.values[:1]]
    near += [tuple(v * f for f in (0.65, 0.8, 1.0, 1.25)) for v in best.values[1:]]
    finer = _grid(kind, tuple(near), seconds)
    chosen = min(best, finer, key=lambda t: t.cost)
    return Tuned(chosen.values, chosen.cost, chosen.chatter, best.points + finer.points)


def _grid(kind: str, axes: tuple[tuple[float, ...], ...], seconds: float) -> Tuned:
    points = np.stack(np.meshgrid(*axes[1:], indexing="ij"), axis=-1).reshape(-1, len(axes) - 1)
    many, seeds = len(points), len(TUNING_SEEDS)
    envs = arms(many * seeds, right=False, pick=0.5 * seconds)
    found = []
    for first in axes[0]:
        columns = np.repeat(points, seeds, axis=0).T[:, :, None]
        values = np.concatenate([np.full((1, many * seeds, 1), first), columns])
        score = simulate(build(kind, envs[0], values), envs, np.tile(TUNING_SEEDS, many), seconds)
        rmse, chatter = (a.reshape(many, seeds).mean(axis=1) for a in (score.rmse, score.chatter))
        cost = np.where(np.isfinite(rmse), rmse, 1.0) * np.maximum(1.0, chatter / CHATTER) ** 4
        i = int(cost.argmin())
        found.append(Tuned(np.array([first, *points[i]]), float(cost[i]), float(chatter[i]), 0))
    best = min(found, key=lambda t: t.cost)
    return Tuned(best.values, best.cost, best.chatter, many * len(axes[0]))
