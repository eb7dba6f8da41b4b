"""Arm7 at 1 kHz with a wrong model, dry friction and a payload picked up in mid-run: adaptation by the free energy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from os import cpu_count
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console

from pcctrl.agents import Agent, RealTimeAgent
from pcctrl.agents.adaptive import PRIORS, jumping
from pcctrl.arrays import Array
from pcctrl.controllers import AdaptedTorque, ComputedTorque, LowPass, SlotineLi
from pcctrl.controllers.low_pass import Following
from pcctrl.filters import Jump
from pcctrl.models import MujocoModel
from pcctrl.scripts.benchmarks.arm7_laws import Fleet
from pcctrl.scripts.benchmarks.arm7_runs import (
    RELATIVE,
    Law,
    Score,
    adaptive,
    arms,
    invertible,
    kalman,
    mechanics,
    outside,
    simulate,
    told,
)
from pcctrl.scripts.benchmarks.claims import Claim, claim, claims_table, plain_table

__all__ = ["ROWS", "Tuned", "build", "claims", "compare", "run", "tune"]

SEEDS = tuple(range(1500, 1524))
SECONDS, PICK, SKIP = 4.0, 2.0, 1.0
TUNING_SEEDS, TUNING_SECONDS = (1, 2), 3.0
# Root mean squares of the torques' changes from one millisecond to the next that all rows may have, N·m: a little more
# than the motion itself takes, 10 % of what the arm's maker allows, and 30 %.
CAPS = (0.04, 0.1, 0.3)
# Seconds that an Ornstein-Uhlenbeck torque lasts: gravity that is wrong does not go away.
_DRIFT_TIME = 10.0

# A row's kind, and the axes of its grid: the first is the filter's, one run each; the others are the law's, in a batch:
# bandwidth ω, the low-pass filter's time in 1/ω, and the rate of learning.
WALKS, OMEGAS, LAGS = (0.7, 1.4, 4.0), (30.0, 42.0, 60.0), (0.25, 0.5)
ACCELERATIONS = (0.1, 0.3)
# The same torque as the walk's but for its spectrum at low frequencies: it takes that row's setting.
_SAME = "aif, Ornstein–Uhlenbeck"
# That torque, and believed to jump: what a load that is picked up does to a joint, N·m.
_JUMPS, _TORQUE = "aif, random walk, jumps", 3.0
_LIKE_WALK = (_SAME, _JUMPS)
_ROW = (WALKS, OMEGAS, LAGS)
ROWS: dict[str, tuple[str, tuple[tuple[float, ...], ...]]] = {
    "aif, adapted": ("lf", _ROW),
    "aif, adapted, scale too": ("lsf", _ROW),
    "aif, random walk": ("", _ROW),
    _JUMPS: ("jump", _ROW),
    _SAME: ("ou", _ROW),
    "Slotine–Li, Kalman": ("sl", (ACCELERATIONS, (15.0, 21.0, 30.0, 42.0), (0.0, 0.3), (10.0, 100.0))),
    "computed torque + PID": ("pid", (ACCELERATIONS, (11.0, 15.0, 21.0, 30.0), (0.0, 0.15, 0.3))),
}
# By what the best point's values are multiplied in the finer search, and its bandwidth alone after that.
_FINER = ((0.6, 1.0, 1.6), (0.8, 1.0, 1.2), (0.7, 1.0), (0.5, 2.0))
_FINEST = (0.91, 0.94, 0.97, 1.03, 1.06, 1.09)


def build(kind: str, env: Any, values: Array) -> Law:
    """Return a row's filter and law; the first value is the filter's, those after it have a column for each arm.

    Args:
        kind: of `ROWS`.
        env: an arm, whose task is told.
        values: (1 + d,), or (1 + d, B, 1) with the first row alike.
    """
    first, rest = float(np.ravel(values[0])[0]), [np.ravel(v) for v in values[1:]]
    box = env.get_wrapper_attr("action_space")
    limits = box.low, box.high
    if kind in ("sl", "pid"):
        model = told(env)
        joints, home = kalman(model, first), model.start[0]
        laws: list[Following] = []
        for i, omega in enumerate(rest[0]):
            if kind == "pid":
                law: Following = ComputedTorque(mechanics(model), model.dt, float(omega), home, True, limits=limits)
            else:
                own = mechanics(model, "lf")
                priors = np.array([PRIORS[name.partition(":")[0]] for name in own.parameters])
                rates = float(rest[2][i]) * priors[:, 0] ** 2
                law = SlotineLi(own, model.dt, float(omega), home, rates, 0.0, priors[:, 4], limits=limits)
            laws.append(law)
        return Fleet([Agent(joints, calm) for calm in _calm(laws, rest, model.dt)])
    model = told(env, None, (first * np.sqrt(0.5 * _DRIFT_TIME), _DRIFT_TIME)) if kind == "ou" else told(env, first)
    kinds = "" if kind in ("ou", "jump") else kind
    believed = adaptive(model, kinds) if kinds else model
    filter_, plant = outside(believed, jumps=_jumps(model, kinds, kind == "jump")), invertible(believed)
    laws = [AdaptedTorque(plant, filter_.joint, float(omega), limits) for omega in rest[0]]
    return Fleet([RealTimeAgent(Agent(filter_, calm)) for calm in _calm(laws, rest, model.dt)])


def _jumps(model: MujocoModel, kinds: str, torques: bool) -> list[Jump]:
    """Return the jumps that a row expects: of the payload if it is adapted, of each joint's torque where it is told."""
    if torques:
        return [Jump(name, _TORQUE * part) for name, part in zip(model.inputs or (), RELATIVE, strict=True)]
    return jumping(mechanics(model, kinds).parameters)


def _calm(laws: Sequence[Following], rest: Sequence[Array], dt: float) -> list[LowPass]:
    """Return laws of bandwidths ω with a low-pass filter each, whose time is told in 1/ω."""
    return [LowPass(law, dt, float(lag / omega)) for law, omega, lag in zip(laws, *rest[:2], strict=True)]


@dataclass(frozen=True)
class Tuned:
    """What a grid found for a cap of the chatter.

    Args:
        values: (1 + d,).
        cost: RMSE in rad, mean of both cases, times (chatter / cap)⁴ where that is above 1.
        chatter: N·m, the greater of both cases.
        points: of the grid that were tried.
    """

    values: Array
    cost: float
    chatter: float
    points: int


def tune(
    row: str, caps: Sequence[float] = CAPS, seconds: float = TUNING_SECONDS, fine: bool = True
) -> dict[float, Tuned]:
    """Return the best of a row's grid on two tuning seeds for each cap, and of finer ones around it."""
    kind, axes = ROWS[row]
    coarse = [_grid(kind, first, axes[1:], seconds) for first in axes[0]]
    found = {}
    for cap in caps:
        best = min((_best(grid, cap) for grid in coarse), key=lambda t: t.cost)
        points = sum(len(grid.rmse) for grid in coarse)
        if fine:
            firsts, *around = (
                tuple(dict.fromkeys(v * f for f in fs)) for v, fs in zip(best.values, _FINER, strict=False)
            )
            grids = [_grid(kind, float(first), around, seconds) for first in firsts]
            best = min((best, *(_best(grid, cap) for grid in grids)), key=lambda t: t.cost)
            first, omega, *others = (float(v) for v in best.values)
            nearest = [tuple(omega * f for f in _FINEST), *((v,) for v in others)]
            grids.append(_grid(kind, first, nearest, seconds))
            best = min(best, _best(grids[-1], cap), key=lambda t: t.cost)
            points += sum(len(grid.rmse) for grid in grids)
        found[cap] = replace(best, points=points)
    return found


class _Grid(NamedTuple):
    """A grid's points, (points, ·).

    Args:
        values: that it has.
        rmse: mean of where the model is wrong and of where it is right, 1 rad where lost: one setting must serve.
        chatter: the greater of both.
    """

    values: Array
    rmse: Array
    chatter: Array


def _grid(kind: str, first: float, axes: Sequence[tuple[float, ...]], seconds: float) -> _Grid:
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))
    points = np.concatenate([np.full((len(points), 1), first), points], axis=1)
    many, seeds = len(points), len(TUNING_SEEDS)
    columns = np.repeat(points, seeds, axis=0).T[:, :, None]
    found = []
    for right in (False, True):
        envs = arms(many * seeds, right, pick=0.5 * seconds)
        score = simulate(build(kind, envs[0], columns), envs, TUNING_SEEDS * many, seconds)
        found.append([a.reshape(many, seeds).mean(axis=1) for a in (score.rmse, score.chatter)])
    rmse, chatter = np.array(found).transpose(1, 0, 2)
    return _Grid(points, np.where(np.isfinite(rmse), rmse, 1.0).mean(axis=0), chatter.max(axis=0))


def _best(grid: _Grid, cap: float) -> Tuned:
    cost = grid.rmse * np.maximum(1.0, grid.chatter / cap) ** 4
    i = int(cost.argmin())
    return Tuned(grid.values[i], float(cost[i]), float(grid.chatter[i]), len(cost))


def compare(
    row: str, values: Array, right: bool, seeds: Sequence[int] = SEEDS, seconds: float = SECONDS, skip: float = SKIP
) -> Score:
    """Return a tuned row's scores on unseen seeds, where the model is right or where it is not."""
    envs = arms(len(seeds), right, 0.5 * seconds)
    columns = np.array([np.full((len(seeds), 1), v) for v in values])
    return simulate(build(ROWS[row][0], envs[0], columns), envs, seeds, seconds, skip)


def claims(wrong: Mapping[str, Score], right: Mapping[str, Score]) -> list[Claim]:
    """Return what is asked, of means over seeds but where it is of each."""
    walk = wrong["aif, random walk"].rmse
    apart = float(wrong["aif, Ornstein–Uhlenbeck"].rmse.mean() / walk.mean())
    found = claim("Ornstein–Uhlenbeck and walk apart by", 1.02, [(max(apart, 1.0 / apart), "mean")])
    for row in ("aif, adapted", "aif, adapted, scale too"):
        ours = wrong[row].rmse
        for other, asked in (("aif, random walk", 0.8), ("Slotine–Li, Kalman", 0.8), ("computed torque + PID", 0.3)):
            found += claim(f"{row} / {other}", asked, [(float(ours.mean() / wrong[other].rmse.mean()), "mean")])
        each = zip(ours / walk, SEEDS, strict=False)
        found += claim(f"{row}: worst seed / walk", 1.0, [(float(r), f"seed {s}") for r, s in each])
        level = float(right[row].rmse.mean() / right["aif, random walk"].rmse.mean())
        found += claim(f"{row} / walk, model right", 1.05, [(level, "mean")])
    return found


def run(console: Console) -> None:
    """Tune, simulate and print the tables."""
    with ProcessPoolExecutor(min(2, cpu_count() or 1)) as pool:
        jobs = {row: pool.submit(tune, row) for row in ROWS if row not in _LIKE_WALK}
        tuned = {row: _told(console, f"tuned {row}", job.result()) for row, job in jobs.items()}
        tuned |= dict.fromkeys(_LIKE_WALK, tuned["aif, random walk"])
        runs = {
            (cap, row, right): pool.submit(compare, row, tuned[row][cap].values, right)
            for cap in CAPS
            for row in ROWS
            for right in (False, True)
        }
        scores = {key: _told(console, f"ran {key[1]} at {key[0]:g} N·m", job.result()) for key, job in runs.items()}
    for cap in CAPS:
        wrong, right = ({row: scores[cap, row, kind] for row in ROWS} for kind in (False, True))
        console.print(_table(cap, wrong, right, {row: tuned[row][cap] for row in ROWS}), end="\n\n")
        console.print(claims_table(claims(wrong, right), f"Asked, at a chatter of {cap:g} N·m"), end="\n\n")
    points = ", ".join(f"{row} {t[CAPS[0]].points}" for row, t in tuned.items())
    console.print(
        f"{len(SEEDS)} unseen seeds, sinusoids and minimum-jerk moves in turns, {SECONDS:g} s at 1 kHz, of which the "
        f"first {SKIP:g} s is not scored; lag 0. Motor-side encoders of 14 bit with smooth noise of 1e-4 rad; smooth "
        f"torque noise. Wrong: masses and inertias told at 70 %, Coulomb friction untold, 1 kg picked up after "
        f"{PICK:g} s. All noise is told. Tuned on the RMSE of {len(TUNING_SEEDS)} other seeds of "
        f"{TUNING_SECONDS:g} s, the mean of wrong and right, for the greater chatter of both (beyond: × excess⁴), on "
        f"grids of so many points: {points}. Tuned: the filter's rate, ω in rad/s, the low-pass filter's "
        "time in 1/ω, the rate of learning."
    )


def _told(console: Console, what: str, result: Any) -> Any:
    console.print(f"{what}: done", style="dim")
    return result


def _table(cap: float, wrong: Mapping[str, Score], right: Mapping[str, Score], tuned: Mapping[str, Tuned]) -> Any:
    table = plain_table(
        f"Arm7, at a chatter of {cap:g} N·m: RMSE in mrad, mean (worst seed)",
        ("",),
        ("wrong", "/ walk", "chatter", "right", "/ walk", "lost"),
        ("tuned",),
    )
    walks = wrong["aif, random walk"].rmse.mean(), right["aif, random walk"].rmse.mean()
    for row, score in wrong.items():
        cells = []
        for s, walk in ((score, walks[0]), (right[row], walks[1])):
            cells += [f"{1e3 * s.rmse.mean():.2f} ({1e3 * s.rmse.max():.2f})", f"{s.rmse.mean() / walk:.2f}"]
            cells += [f"{s.chatter.mean():.3f}"] if s is score else []
        lost = int(score.failed.sum() + right[row].failed.sum())
        table.add_row(row, *cells, f"{lost}", " ".join(f"{v:.3g}" for v in tuned[row].values))
    return table
