"""A finger that must push a puck home: where derivatives say nothing, since nothing is touched yet."""

from __future__ import annotations

import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from os import cpu_count
from pathlib import Path

import numpy as np
import scipy.stats
from rich.console import Console

import pcctrl.envs
from pcctrl.arrays import Array
from pcctrl.controllers import Controller, RecedingHorizon, SamplingHorizon
from pcctrl.filters import Belief
from pcctrl.models.mujoco import MujocoModel
from pcctrl.noise import Smooth
from pcctrl.scripts.benchmarks.claims import plain_table

__all__ = ["CONTROLLERS", "Push", "controller_of", "push", "run", "table"]

SEEDS, SAMPLES, DT = 50, 60, 0.05
# Where the puck is to be, in m; it is there within NEAR of it.
HOME, NEAR = np.array([0.3, 0.0]), 0.05
# Where the finger is to be does not count, but it cannot be where the puck is.
APART = np.array([-0.3, 0.0])
CONTROLLERS = ("sampling", "receding")
# Only the puck's place matters; speeds a little.
WEIGHT = (10.0, 10.0, 0.0, 0.0, 0.1, 0.1, 0.01, 0.01)
RHO, HORIZON = 1e-3, 16


@dataclass(frozen=True)
class Push:
    """How an episode went.

    Args:
        distance: of the puck from home in m, at the start and at the end.
        decisions: CPU seconds of each but the first.
    """

    distance: tuple[float, float]
    decisions: tuple[float, ...]


def table() -> MujocoModel:
    """Return the model of finger and puck; states: places of puck and finger, then their velocities."""
    sensors = ["qpos:puck_x", "qpos:puck_y", "qpos:finger_x", "qpos:finger_y"]
    # Apart at the start, for else they would stand in each other.
    qpos = np.concatenate([np.zeros(2), APART])
    return MujocoModel(Path(pcctrl.envs.__file__).parent / "pusher.xml", dt=DT, sensors=sensors, qpos=qpos)


def controller_of(name: str, model: MujocoModel, seed: int = 0) -> Controller:
    """Return a controller of the same expected free energy: by sampled plans, or by derivatives along one."""
    if name == "receding":
        return RecedingHorizon(model, WEIGHT, RHO, horizon=HORIZON)
    # A finger that crosses the table takes half a second.
    noises = [Smooth(2.0, 4.0 * DT)] * 2
    return SamplingHorizon(model, WEIGHT, RHO, noises, horizon=HORIZON, plans=64, elites=8, iterations=1, seed=seed)


def push(name: str, seed: int) -> Push:
    """Return how an episode went, from the true state: the finger begins on the far side of the puck, apart."""
    model, rng = table(), np.random.default_rng(seed)
    controller = controller_of(name, model, seed)
    place, side = rng.uniform(-0.05, 0.05, 2), rng.uniform(-0.25 * np.pi, 0.25 * np.pi)
    finger = place - rng.uniform(0.15, 0.25) * np.array([np.cos(side), np.sin(side)])
    x, goal = np.concatenate([place, finger, np.zeros(4)]), np.concatenate([HOME, APART, np.zeros(4)])
    memory, times, start = controller.init(), [], x
    for _ in range(SAMPLES):
        begin = time.process_time()
        memory, u, _ = controller.act(memory, Belief(x, np.zeros((8, 8)), np.zeros(2), 8), goal)
        times.append(time.process_time() - begin)
        x = model.transition(x, u)
    return Push((_away(start), _away(x)), tuple(times[1:]))


def _away(x: Array) -> float:
    return float(np.linalg.norm(x[:2] - HOME))


def run(console: Console, seeds: int = SEEDS) -> None:
    """Print the table."""
    shown = plain_table("A puck pushed home", ("controller",), ("home", "95 %", "from m", "to m", "ms", "99 %"))
    with ProcessPoolExecutor(min(2, cpu_count() or 1)) as pool:
        for name in CONTROLLERS:
            done = list(pool.map(push, [name] * seeds, range(seeds), chunksize=5))
            home = sum(d.distance[1] < NEAR for d in done)
            ends = scipy.stats.binomtest(home, seeds).proportion_ci(method="wilson")
            spent = 1e3 * np.concatenate([d.decisions for d in done])
            shown.add_row(
                name,
                f"{home}/{seeds}",
                f"{100.0 * ends.low:.0f}–{100.0 * ends.high:.0f}",
                *(f"{np.median([d.distance[k] for d in done]):.3f}" for k in (0, 1)),
                f"{np.median(spent):.1f}",
                f"{np.quantile(spent, 0.99):.1f}",
            )
    console.print(shown)
    console.print(
        f"home: within {NEAR:g} m after {SAMPLES * DT:g} s. The finger starts 0.15 to 0.25 m from the puck, on the far "
        "side, from the true state; paired seeds. Both minimise the same expected free energy, in which only the puck "
        f"matters, over {HORIZON} samples of {DT:g} s; sampling: 64 plans; receding: by derivatives. from, to: "
        "medians of the puck's distance. 95 %: Wilson's interval. CPU times of a decision but the first."
    )
