"""Speed, as ratios to what cannot be done without: each pair of times from the same seconds of one run."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from rich.console import Console

from pcctrl import agents
from pcctrl.arrays import Array
from pcctrl.envs import CartPoleEnv, NoiseOptions
from pcctrl.filters import LinearFilter, PCFilter
from pcctrl.models import JointModel, Task
from pcctrl.scripts.benchmarks.claims import plain_table

__all__ = ["SpeedRow", "run", "speed_rows"]

BLOCKS = 40
SAMPLES = 100_000
BATCH = (256, 1000)
# A block of calls lasts about so long, in seconds: long against the clock, short against what else the machine does.
_BLOCK = 2e-3


@dataclass(frozen=True)
class SpeedRow:
    """One time and what it is measured by.

    Args:
        what: is timed.
        seconds: a step, or a sample.
        against: the yardstick.
        yardstick: its seconds, NaN if it is not installed.
        asked: the largest ratio that is asked for.
    """

    what: str
    seconds: float
    against: str
    yardstick: float
    asked: float

    @property
    def ratio(self) -> float:
        """Time over the yardstick's."""
        return self.seconds / self.yardstick

    @property
    def verdict(self) -> str:
        """Whether the ratio is as small as asked for."""
        return "–" if math.isnan(self.ratio) else "met" if self.ratio <= self.asked else "NOT met"


def speed_rows(blocks: int = BLOCKS, samples: int = SAMPLES, batch: tuple[int, int] = BATCH) -> list[SpeedRow]:
    """Return the rows, for the cart-pole in smooth noise.

    Args:
        blocks: each time is the best of so many blocks, those of a row taking turns.
        samples: of the one long recording.
        batch: recordings of a batch, and samples of each.
    """
    noise = NoiseOptions(s=2.0 * CartPoleEnv.sample_time())
    task = agents.task_of(noise.make("pcctrl/CartPole-v0", CartPoleEnv))
    rows = _steps(task, blocks)
    rows.append(_recordings(PCFilter(task.linear, 7), 1, samples, blocks))
    for order in (4, 7):
        for start in ("steady", "prior", "first"):
            rows.append(_recordings(PCFilter(task.linear, order), *batch, blocks, start))
    return rows


def _steps(task: Task, blocks: int) -> list[SpeedRow]:
    """Return the rows of single steps, of order 4."""
    agent = agents.make("aif", task)
    stepper, filter_ = agent.compile(), PCFilter(task.linear, precision="carried")
    joint, white = filter_.joint, task.linear.white.joint(0)
    N, m, p = joint.size, len(joint.R), len(joint.input)
    y, u = np.full(m, 1e-3), np.zeros(p)
    # Not from the steady prior, of which the filter would know that it stays so.
    belief, _ = filter_.update(filter_.init(covariance=0.01 * np.eye(joint.plant)), y)
    rng = np.random.default_rng(0)
    dot = _dot(rng.standard_normal((N + p, N + m + p + 1)), rng.standard_normal(N + m + p + 1))
    ours, bare, plain = _best([lambda: stepper.step_into(y, u, u), dot, _filterpy(white)], blocks)
    step, same = _best([lambda: filter_.step(belief, y, u), _filterpy(joint)], blocks)
    name = f"Stepper N={N}"
    return [
        SpeedRow(name, ours, f"{N + p}×{N + m + p + 1}", bare, 3.0),
        SpeedRow(name, ours, f"filterpy N={white.size}", plain, 1.0 / 6.0),
        SpeedRow(f"step carried N={N}", step, f"filterpy N={N}", same, 1.2),
    ]


def _recordings(filter_: LinearFilter, recordings: int, samples: int, blocks: int, start: str = "prior") -> SpeedRow:
    """Return the row of `run` on one recording or a batch, a sample of all recordings.

    It starts ``"steady"``; or from the model's ``"prior"``, the filter having kept the gains that follow; or so for the
    ``"first"`` time.
    """
    joint, rng = filter_.joint, np.random.default_rng(0)
    N, m, p = joint.size, len(joint.R), len(joint.input)
    batch = () if recordings == 1 else (recordings,)
    y, u = 0.01 * rng.standard_normal((*batch, samples, m)), rng.standard_normal((*batch, samples, p))
    prior = filter_.init(batch)
    if start == "steady":
        prior = replace(prior, covariance=filter_.steady_prior)

    def ours() -> object:
        if start == "first":
            vars(filter_).pop("_opening", None)
        return filter_.run(y, u, prior)

    if recordings == 1:
        what, against, asked = f"run 1×{samples} N={N}", f"{N}×{N}", 4.0
        dot = _dot(joint.F, rng.standard_normal(N))
    else:
        what, asked = f"run {recordings}×{samples} N={N} {start}", 2.0
        against = f"{recordings}×{N + m + p}·{N + m + p}×{N + m}"
        dot = _dot(rng.standard_normal((recordings, N + m + p)), rng.standard_normal((N + m + p, N + m)))
    seconds, bare = _best([ours, dot], blocks)
    return SpeedRow(what, seconds / samples, against, bare, asked)


def _dot(A: Array, B: Array) -> Callable[[], object]:
    out = A @ B
    return lambda: np.dot(A, B, out=out)


def _filterpy(joint: JointModel) -> Callable[[], object] | None:
    """Return predict and update of filterpy's Kalman filter, or None where it is not installed."""
    try:
        from filterpy.kalman import KalmanFilter
    except ImportError:
        return None
    kalman = KalmanFilter(dim_x=joint.size, dim_z=len(joint.R), dim_u=len(joint.input))
    kalman.F, kalman.B, kalman.H, kalman.Q, kalman.R = joint.F, joint.B, joint.C, joint.Q, np.diag(joint.R)
    u, y = np.zeros((len(joint.input), 1)), np.zeros((len(joint.R), 1))

    def step() -> None:
        kalman.predict(u)
        kalman.update(y)

    return step


def _best(calls: list[Callable[[], object] | None], blocks: int) -> list[float]:
    """Return the seconds of each call in its best block; NaN for None."""
    counts = [0 if call is None else max(1, round(_BLOCK / min(_time(call, 1) for _ in range(3)))) for call in calls]
    best = [math.inf] * len(calls)
    for _ in range(blocks):
        for i, (call, count) in enumerate(zip(calls, counts, strict=True)):
            best[i] = math.nan if call is None else min(best[i], _time(call, count) / count)
    return best


def _time(call: Callable[[], object], count: int) -> float:
    start = time.perf_counter()
    for _ in range(count):
        call()
    return time.perf_counter() - start


def run(console: Console) -> None:
    """Print the table."""
    table = plain_table("Time, cart-pole", ("what",), ("µs",), ("against",))
    for heading in ("µs", "ratio", "asked"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for row in speed_rows():
        numbers = ("–", "–") if math.isnan(row.yardstick) else (f"{1e6 * row.yardstick:.2f}", f"{row.ratio:.2f}")
        table.add_row(row.what, f"{1e6 * row.seconds:.2f}", row.against, *numbers, f"{row.asked:.2f}", row.verdict)
    console.print(table)
    threads = ", ".join(
        f"{name} {os.environ.get(name, 'unset')}" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    )
    console.print(
        f"A step, or a sample of all recordings; N joint states, 2 sensors, 1 input, s = 2 samples. Best of {BLOCKS} "
        "blocks, those of a row in turns; only the ratios say something about another machine. Against a product of "
        "matrices (np.dot), or filterpy (pip install filterpy): predict and update, carried; N=4 is the plain model. "
        "run: steady from the start; from the model's prior, where each sample has a gain of its own at first and the "
        "filter has kept them; from there for the first time. "
        f"BLAS threads: {threads}; {os.cpu_count()} cores."
    )
