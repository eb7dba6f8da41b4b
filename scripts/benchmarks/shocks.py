"""Outliers and pushes on two linear plants: what the outlier rule costs, saves, and would lose without its cap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.progress import track

from pcctrl.agents import Agent
from pcctrl.arrays import Array
from pcctrl.controllers import ExpectedFreeEnergy
from pcctrl.evaluation import Episodes, simulate
from pcctrl.filters import PCFilter
from pcctrl.models import Task
from pcctrl.scripts.benchmarks.claims import Claim, claim, claims_table, plain_table
from pcctrl.scripts.benchmarks.loops import COLOURS, PLANTS, task_of
from pcctrl.tuning import ORDER

__all__ = ["OutlierRow", "PushedRow", "claims", "outlier_row", "pushed_row", "run"]

FLOOR, THRESHOLD = 1e-2, 12.0
EPISODES, STEPS, SETTLE, SEED = 200, 1000, 100, 0
# Of the cart-pole, states position, velocity, angle, angular velocity: pushes, and where it counts as lost.
PUSHES = {"0.5 m/s": (1, 0.5), "0.5 rad/s": (3, 0.5), "0.1 rad": (2, 0.1)}
BOUND = np.array([2.4, np.inf, 0.5, np.inf])
_TRUTH = 8


@dataclass(frozen=True)
class OutlierRow:
    """Mean cost of `aif`, over its own without outliers and without the rule.

    Args:
        plant: of `loops.PLANTS`.
        colour: of `loops.COLOURS`.
        clean: cost a sample without outliers, with the rule.
        rule: what the rule costs where there are none: its cost over that without it.
        ratio: cost with outliers over ``clean``.
        worst: the largest such ratio of a single episode.
        without: the same as ``ratio``, without the rule.
    """

    plant: str
    colour: str
    clean: float
    rule: float
    ratio: float
    worst: float
    without: float


@dataclass(frozen=True)
class PushedRow:
    """Episodes of the cart-pole lost after a push, of `EPISODES`.

    Args:
        colour: of `loops.COLOURS`.
        lost: for each of `PUSHES`, with the rule.
        uncapped: the same, if a surprising sensor were doubted for ever.
    """

    colour: str
    lost: tuple[int, ...]
    uncapped: tuple[int, ...]


def outlier_row(plant: str, colour: str, episodes: int = EPISODES, steps: int = STEPS) -> OutlierRow:
    """Return one row: 2 % of the samples of each sensor are off by 20 standard deviations (normal)."""
    task = task_of(plant, colour, FLOOR)
    std = np.array([np.sqrt(z.variance + z.sensor_floor) for z in task.linear.sensor_noise])

    def spoil(_: int, y: Array, rng: np.random.Generator) -> Array:
        return y + 20.0 * std * rng.standard_normal(y.shape) * (rng.random(y.shape) < 0.02)

    def cost(rule: bool, spoilt: bool) -> Array:
        hook = spoil if spoilt else None
        policy = _agent(task, THRESHOLD if rule else None)
        settle = min(SETTLE, steps // 10)
        truth = task.linear.joint(_TRUTH)
        return simulate(truth, policy, task, steps=steps, batch=episodes, seed=SEED, spoil=hook, settle=settle).cost

    plain, clean, spoilt, without = cost(False, False), cost(True, False), cost(True, True), cost(False, True)
    mean = float(clean.mean())
    return OutlierRow(
        plant,
        colour,
        mean,
        mean / float(plain.mean()),
        float(spoilt.mean()) / mean,
        float((spoilt / clean).max()),
        float(without.mean()) / mean,
    )


def pushed_row(colour: str, episodes: int = EPISODES, steps: int = 400) -> PushedRow:
    """Return one row: each push comes to either side at sample 100, beside the noise."""
    task = task_of("cart-pole", colour, FLOOR)

    def lost(patience: int) -> tuple[int, ...]:
        policy = _agent(task, THRESHOLD, patience)
        return tuple(int(_pushed(task, policy, *push, episodes, steps).lost(BOUND).sum()) for push in PUSHES.values())

    return PushedRow(colour, lost(3), lost(steps))


def claims(outliers: Sequence[OutlierRow], pushed: Sequence[PushedRow] = ()) -> list[Claim]:
    """Return what is asked of the outlier rule; losing none uncapped would mean that the cap is not needed."""
    return [
        *claim("cost with outliers / clean", 1.03, [(r.ratio, f"{r.plant}, {r.colour}") for r in outliers]),
        *claim("episodes lost after a push", 0.0, [(float(max(r.lost)), r.colour) for r in pushed]),
    ]


def run(console: Console) -> None:
    """Print the tables."""
    jobs = [(plant, colour) for plant in PLANTS for colour in COLOURS]
    table = plain_table(
        "Cost with 2 % outliers, normal with 20 × the sensor's std",
        ("plant", "noise"),
        ("clean", "rule", "outliers", "worst", "no rule"),
    )
    outliers = [outlier_row(*job) for job in track(jobs, "Outliers", console=console, transient=True)]
    for r in outliers:
        numbers = (f"{v:.3f}" for v in (r.rule, r.ratio, r.worst, r.without))
        table.add_row(r.plant, r.colour, f"{r.clean:.5f}", *numbers, end_section=r.colour == COLOURS[-1])
    console.print(table)
    console.print(
        f"{EPISODES} episodes × {STEPS} samples (the first {SETTLE} not scored), the same noise in every column. aif, "
        "noise told with its floor of 1e-2, outliers not; lag 0; no tuning. clean: cost a sample without outliers. "
        "rule: that over the cost of the filter without the outlier rule. outliers: cost with them over clean; worst: "
        "of one episode. no rule: the same without it.\n"
    )
    table = plain_table(
        f"Cart-pole pushed: episodes lost of {EPISODES}, with the cap / without", ("noise",), (*PUSHES,)
    )
    pushed = [pushed_row(colour) for colour in track(COLOURS, "Pushes", console=console, transient=True)]
    for p in pushed:
        table.add_row(p.colour, *(f"{lost} / {uncapped:3}" for lost, uncapped in zip(p.lost, p.uncapped, strict=True)))
    console.print(table)
    console.print(
        "Lost: beyond 2.4 m or 0.5 rad. Without the cap a surprising sensor is doubted for ever, not for 3 samples.\n"
    )
    console.print(claims_table(claims(outliers, pushed), "Asked of the outlier rule"))


def _agent(task: Task, threshold: float | None, patience: int = 3) -> Agent:
    limits = (task.low, task.high)
    filter_ = PCFilter(task.linear, ORDER, precision="carried", outlier_threshold=threshold, outlier_patience=patience)
    efe = ExpectedFreeEnergy(task.linear, task.state_weight, task.action_weight, ORDER, limits)
    return Agent(filter_, efe, limits)


def _pushed(task: Task, policy: Agent, state: int, size: float, episodes: int, steps: int) -> Episodes:
    def push(k: int, x: Array, rng: np.random.Generator) -> Array:
        if k != 100:
            return x
        moved = x.copy()
        moved[:, state] += size * rng.choice([-1.0, 1.0], len(x))
        return moved

    return simulate(task.linear.joint(_TRUTH), policy, task, steps=steps, batch=episodes, seed=SEED + 1, push=push)
