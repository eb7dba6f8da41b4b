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
from pcctrl.agents.adaptive import jumping
from pcctrl.arrays import Array
from pcctrl.controllers import AdaptedTorque, LowPass, ModalBandwidth
from pcctrl.models import MujocoModel
from pcctrl.scripts.benchmarks.arm7_runs import adaptive, arms, invertible, mechanics, outside, told
from pcctrl.scripts.benchmarks.claims import Claim, claim, claims_table, plain_table

__all__ = ["Times", "claims", "measure", "run"]

SAMPLES, WARM, BLOCK = 6000, 200, 300
DEADLINE = 1e-3
_WALK, _OMEGA = 1.0, 20.0
KINDS = {"adapted": ("lf", 20), "random walk": ("", 20)}


@dataclass(frozen=True)
class Times:
    """Of steps in one run, in turns with what they are measured by.

    Args:
        step: seconds of processor time (T,).
        wall: seconds by the clock (T,), which other programs lengthen much more.
        physics: seconds of processor time of one ``mj_step`` and one ``mjd_transitionFD`` (T,).
        size: joint states N.
    """

    step: Array
    wall: Array
    physics: Array
    size: int

    @property
    def ratio(self) -> float:
        """Of the means of the quickest blocks: what else runs here slows each of them down at other times."""
        return float(_blocks(self.step).mean(axis=1).min() / _blocks(self.physics).mean(axis=1).min())

    @property
    def calm(self) -> float:
        """The 99th percentile of the quickest block, s: as on an idle core."""
        return float(np.percentile(_blocks(self.step), 99.0, axis=1).min())


def _blocks(times: Array) -> Array:
    """Return blocks of `BLOCK` samples, or one of all."""
    count = max(1, len(times) // BLOCK)
    return times[: count * (len(times) // count)].reshape(count, -1)


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
    filter_ = outside(believed, refresh=refresh, jumps=jumping(mechanics(model, kinds).parameters))
    low, high = env.get_wrapper_attr("action_space").low, env.get_wrapper_attr("action_space").high
    omega = ModalBandwidth(mechanics(model), _OMEGA, model.start[0])
    law = LowPass(AdaptedTorque(invertible(believed), filter_.joint, omega, (low, high)), model.dt, 0.35 / _OMEGA)
    agent = RealTimeAgent(Agent(filter_, law))
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
    return Times(times[0], times[1], times[2], filter_.joint.size)


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
    late = [(1e3 * t.calm, name) for name, t in found.items()]
    return [*claim("step / (mj_step + mjd_transitionFD)", 3.0, ratios), *claim("99th percentile, ms", 1.0, late)]


def run(console: Console) -> None:
    """Time the agents and print the tables."""
    found = {name: measure(*how) for name, how in KINDS.items()}
    table = plain_table(
        "Arm7's step, µs", ("agent",), ("N", "median", "99 %", "calm 99 %", "ratio", "99 % by the clock", "missed")
    )
    for name, t in found.items():
        numbers = (np.median(t.step), np.percentile(t.step, 99.0), t.calm)
        missed = f"{int((t.wall > DEADLINE).sum())} of {len(t.wall)}"
        clock = f"{1e6 * np.percentile(t.wall, 99.0):.0f}"
        table.add_row(name, f"{t.size}", *(f"{1e6 * v:.0f}" for v in numbers), f"{t.ratio:.2f}", clock, missed)
    console.print(table, end="\n\n")
    console.print(claims_table(claims(found), "Asked"))
    console.print(
        "Filter of order 1 and one-step law with inverse dynamics, 7 encoders, in closed loop, as RealTimeAgent; "
        "derivatives anew every 20 samples. adapted: load, viscous and dry friction, and the load may jump. Processor "
        "time, but by the clock where it says so. ratio: to one mj_step and one mjd_transitionFD (centred) of this "
        "arm, in turns with the agent's steps, means of the quickest of "
        f"{SAMPLES // BLOCK} blocks each; calm: of the quickest block, as on an idle core. Missed: longer than 1 ms by "
        "the clock, with whatever else ran here."
    )
