"""Whether Arm7's agents keep 1 kHz: their whole step, against a physics step and its derivatives, and the deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np
from rich.console import Console

from pcctrl.agents import Agent, RealTimeAgent
from pcctrl.arrays import Array
from pcctrl.controllers import AdaptedTorque
from pcctrl.models import MujocoModel
from pcctrl.scripts.benchmarks.arm7_runs import adaptive, arms, invertible, outside, told
from pcctrl.scripts.benchmarks.claims import Claim, claim, claims_table, plain_table

__all__ = ["Times", "claims", "measure", "run"]

SAMPLES, WARM = 5000, 200
DEADLINE = 1e-3
_WALK, _OMEGA = 1.0, 20.0
KINDS = {"adapted": ("lf", 10), "random walk": ("", 10)}


@dataclass(frozen=True)
class Times:
    """Of steps in one run, in turns with what they are measured by.

    Args:
        step: seconds of processor time (T,), which other programs do not lengthen.
        wall: seconds by the clock (T,), which they do.
        physics: seconds of processor time of one ``mj_step`` and one ``mjd_transitionFD`` (T,).
        size: joint states N.
    """

    step: Array
    wall: Array
    physics: Array
    size: int

    @property
    def ratio(self) -> float:
        """Of the means."""
        return float(self.step.mean() / self.physics.mean())


def measure(kinds: str, refresh: int, samples: int = SAMPLES) -> Times:
    """Run an agent in closed loop and time each of its steps: filter, then one-step law.

    Args:
        kinds: of parameters, as in `mechanics`.
        refresh: samples for which derivatives are used.
        samples: that are timed.
    """
    (env,) = arms(1, False, 1.0)
    model = told(env, _WALK)
    believed = adaptive(model, kinds) if kinds else model
    filter_ = outside(believed, refresh=refresh)
    low, high = env.get_wrapper_attr("action_space").low, env.get_wrapper_attr("action_space").high
    agent = RealTimeAgent(Agent(filter_, AdaptedTorque(invertible(believed), filter_.joint, _OMEGA, (low, high))))
    physics = _physics(model)
    y, info = env.reset(seed=0)
    times = np.zeros((3, samples))
    for k in range(-WARM, samples):
        began, clock = time.thread_time(), time.perf_counter()
        u = agent.act(y, info["goal"])
        taken = time.thread_time() - began, time.perf_counter() - clock
        began = time.thread_time()
        physics()
        if k >= 0:
            times[:, k] = *taken, time.thread_time() - began
        y, _, failed, _, info = env.step(u)
        if failed:
            agent.reset()
            y, info = env.reset(seed=k + WARM)
    return Times(*times, filter_.joint.size)


def _physics(model: MujocoModel) -> Callable[[], None]:
    """Return one raw physics step, and one call for all its derivatives."""
    mjmodel: Any = model.source
    data = mujoco.MjData(mjmodel)
    data.qpos[:], data.ctrl[:] = model.qpos, model.ctrl
    n = 2 * mjmodel.nv
    A, B = np.zeros((n, n)), np.zeros((n, mjmodel.nu))

    def once() -> None:
        mujoco.mj_step(mjmodel, data)
        mujoco.mjd_transitionFD(mjmodel, data, 1e-6, True, A, B, None, None)
        data.qpos[:], data.qvel[:] = model.qpos, 0.0

    return once


def claims(found: dict[str, Times]) -> list[Claim]:
    """Return what is asked of each agent's step."""
    ratios = [(t.ratio, name) for name, t in found.items()]
    late = [(1e3 * float(np.percentile(t.step, 99.0)), name) for name, t in found.items()]
    return [*claim("step / (mj_step + mjd_transitionFD)", 3.0, ratios), *claim("99th percentile, ms", 1.0, late)]


def run(console: Console) -> None:
    """Time the agents and print the tables."""
    found = {name: measure(*how) for name, how in KINDS.items()}
    table = plain_table(
        "Arm7's step, µs", ("agent",), ("N", "mean", "median", "99 %", "ratio", "99 % by the clock", "missed")
    )
    for name, t in found.items():
        cells = [*(f"{1e6 * v:.0f}" for v in (t.step.mean(), np.median(t.step), np.percentile(t.step, 99.0)))]
        missed = f"{int((t.wall > DEADLINE).sum())} of {len(t.wall)}"
        table.add_row(name, f"{t.size}", *cells, f"{t.ratio:.2f}", f"{1e6 * np.percentile(t.wall, 99.0):.0f}", missed)
    console.print(table, end="\n\n")
    console.print(claims_table(claims(found), "Asked"))
    console.print(
        "Filter of order 2 and one-step law with inverse dynamics, 7 encoders, in closed loop. mean, median, 99 %: "
        "processor time, as on an idle core; ratio: to one mj_step and one mjd_transitionFD (centred) of this arm, in "
        "turns with the agent's steps. By the clock, and missed: steps longer than 1 ms, with whatever else ran here."
    )
