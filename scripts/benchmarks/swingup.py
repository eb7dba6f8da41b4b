"""Swing-up and balance from noisy positions: pendulums of Gymnasium, brought upright by planning on a belief."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from os import cpu_count

import numpy as np
import scipy.stats
from rich.console import Console
from rich.progress import track

from pcctrl.agents import Agent, Card
from pcctrl.arrays import Array
from pcctrl.controllers import LQR, RecedingHorizon, SamplingHorizon
from pcctrl.filters import ExtendedKalmanFilter, KalmanFilter, NonlinearPCFilter
from pcctrl.noise import Smooth
from pcctrl.scripts.benchmarks.claims import Claim, claim, claims_table, plain_table
from pcctrl.scripts.benchmarks.upright import FLOOR, FORCE, PLANTS, UP, Plant

__all__ = ["AGENTS", "Episode", "Job", "agent_of", "claims", "episode", "report", "run", "worked"]

SEEDS, CHUNK, ORDER = 100, 10, 4
# Up to the end of the episode for at least so many seconds.
HELD = 2.0
AGENTS = ("aif", "ekf-ilqr", "mppi", "lqg")
# In white noise aif and ekf-ilqr are the same.
ROWS = [("aif", 2.0), ("ekf-ilqr", 2.0), ("mppi", 2.0), ("lqg", 2.0), ("aif", 0.0), ("lqg", 0.0)]
# Of peers and plants that take long, at most so many seeds, the first ones.
FEWER = {"ekf-ilqr": 50, "mppi": 50, "pcctrl/DoubleSwingUp-v0": 50}
# Failures asked of aif at most, of 100 seeds; nobody asked for a number of the double swing-up.
ASKED = {"Pendulum-v1": 0.05, "InvertedPendulum-v5": 0.05, "InvertedDoublePendulum-v5": 0.10}


@dataclass(frozen=True)
class Job:
    """A row of the table: which plant, in noise smooth over how many samples (0: white), and which agent."""

    plant: str
    samples: float
    agent: str


@dataclass(frozen=True)
class Episode:
    """How an episode went.

    Args:
        held: whether it was up as long as was asked.
        seconds: until it was up for good, NaN if it never was.
        error: root mean square error of the estimated positions, in rad and m.
        first: CPU seconds of the first decision, filter and all, which has no plan to start from.
        decisions: CPU seconds of each other one.
    """

    held: bool
    seconds: float
    error: float
    first: float
    decisions: tuple[float, ...]


def agent_of(plant: Plant, name: str, samples: float) -> Agent:
    """Return the agent ``name`` for a plant in noise of so many samples, which all are told."""
    model, weight, rho, start = plant.told(samples), plant.weight, plant.rho, plant.model.start[1]
    planned = plant.told(samples, planning=True)

    def end(factor: float | None) -> Array | None:
        return None if factor is None else factor * np.asarray(weight)

    def planner(order: int | None) -> RecedingHorizon:
        return RecedingHorizon(
            planned,
            weight,
            rho,
            horizon=plant.horizon,
            iterations=plant.iterations,
            reserve=plant.reserve,
            terminal_precision=end(plant.end_weight),
            order=order,
        )

    if name == "lqg":
        linear = plant.linear(samples)
        return Agent(KalmanFilter(linear), LQR(linear, weight, rho, model.limits), card=Card("variances"))
    if name == "ekf-ilqr":
        return Agent(ExtendedKalmanFilter(model), planner(None), card=Card("variances"))
    # A tumbling pendulum's prior may be on the wrong side of the minimum: iterating gains nothing, so once.
    coding = NonlinearPCFilter(model, ORDER, iterations=1)
    if name == "mppi":
        std, smooth, horizon, plans = plant.exploration
        noises = [Smooth(std, smooth * model.dt) for _ in start]
        sampler = SamplingHorizon(
            planned,
            weight,
            rho,
            noises,
            horizon=horizon,
            plans=plans,
            elites=max(2, plans // 8),
            terminal_precision=end(plant.sampled_end_weight),
            order=ORDER,
        )
        return Agent(coding, sampler, card=Card("noise, with its colour"))
    return Agent(coding, planner(ORDER), card=Card("noise, with its colour"))


def episode(plant: Plant, agent: Agent, samples: float, seed: int) -> Episode:
    """Return how an episode went: the noise is that of the seed, whatever the agent."""
    model, rng = plant.model, np.random.default_rng(seed)
    (push,), sensors = plant.noises(samples)
    steps, parts = round(plant.seconds / model.dt), model.substeps
    # Forces change at every physics step.
    forces = push.sample(rng, steps * parts, model.dt / parts)[:, None]
    noise = np.stack([z.sample(rng, steps, model.dt, sensor=True) for z in sensors], axis=-1)
    fine = model.resampled(model.dt / parts)
    goal = None if isinstance(agent.controller, LQR) else plant.goal
    x, positions = plant.reset(seed), len(plant.goal) // 2
    agent.reset(seed)
    states, errors, times = [], [], []
    for k in range(steps):
        y = model.readout(x) + noise[k]
        begin = time.process_time()
        u = agent.act(y, goal)
        times.append(time.process_time() - begin)
        states.append(x)
        errors.append(agent.belief.state[:positions] - x[:positions])
        for w in forces[k * parts : (k + 1) * parts]:
            x = fine.transition(x, u, w)
    up = plant.up(np.array(states))
    last = int(np.flatnonzero(~up).max(initial=-1)) + 1
    held = bool(up.all()) if plant.always else (steps - last) * model.dt >= HELD
    error = float(np.sqrt(np.mean(np.square(errors))))
    return Episode(held, last * model.dt if held else np.nan, error, times[0], tuple(times[1:]))


def worked(job: Job, seeds: Sequence[int]) -> list[Episode]:
    """Return the episodes of a row for some seeds."""
    plant = PLANTS[job.plant]()
    agent = agent_of(plant, job.agent, job.samples)
    return [episode(plant, agent, job.samples, seed) for seed in seeds]


def run(console: Console, seeds: int = SEEDS) -> None:
    """Print the table."""
    jobs = [Job(plant, samples, name) for plant in PLANTS for name, samples in ROWS]
    counts = {job: min(seeds, *(FEWER.get(name, seeds) for name in (job.agent, job.plant))) for job in jobs}
    chunks = [(job, range(k, min(k + CHUNK, n))) for job, n in counts.items() for k in range(0, n, CHUNK)]
    rows: dict[Job, list[Episode]] = {job: [] for job in jobs}
    with ProcessPoolExecutor(min(2, cpu_count() or 1)) as pool:
        futures = {pool.submit(worked, job, chunk): job for job, chunk in chunks}
        done = track(as_completed(futures), "Episodes", total=len(futures), console=console, transient=True)
        for future in done:
            rows[futures[future]] += future.result()
    report(console, rows)


def claims(rows: dict[Job, list[Episode]]) -> list[Claim]:
    """Return what is asked of active inference, as far as ``rows`` have it: the part of the seeds that it loses."""
    lost = {job: 1.0 - float(np.mean([e.held for e in episodes])) for job, episodes in rows.items()}
    return [
        c
        for plant, asked in ASKED.items()
        for c in claim(
            f"{plant}: lost",
            asked,
            [(lost[j], f"s = {j.samples:g}") for j in rows if j.plant == plant and j.agent == "aif"],
        )
    ]


def report(console: Console, rows: dict[Job, list[Episode]]) -> None:
    """Print the tables of ``rows``."""
    table = plain_table(
        "Upright from noisy positions",
        ("plant", "s", "agent"),
        ("held", "95 %", "s to up", "rmse", "first", "ms", "99 %"),
    )
    for job, episodes in rows.items():
        held = [e.seconds for e in episodes if e.held]
        ends = scipy.stats.binomtest(len(held), len(episodes)).proportion_ci(method="wilson")
        spent = 1e3 * np.concatenate([e.decisions for e in episodes])
        swung = held and not PLANTS[job.plant]().always
        table.add_row(
            job.plant.removeprefix("pcctrl/").rpartition("-v")[0],
            f"{job.samples:g}",
            job.agent,
            f"{len(held)}/{len(episodes)}",
            f"{100.0 * ends.low:.0f}–{100.0 * ends.high:.0f}",
            f"{np.median(held):.2f}" if swung else "–",
            f"{np.median([e.error for e in episodes]):.3f}",
            f"{1e3 * np.median([e.first for e in episodes]):.0f}",
            f"{np.median(spent):.2f}",
            f"{np.quantile(spent, 0.99):.1f}",
        )
    console.print(table)
    console.print(_legend())
    console.print(claims_table(claims(rows), "Asked of aif"))


def _legend() -> str:
    return (
        f"held: within {UP:g} rad of upright for the last {HELD:g} s at least, from hanging, after 10 s "
        "(InvertedPendulum, whose hinge has its stops taken off: 6 s). InvertedDoublePendulum: tip above 1 m of 1.2 "
        f"for all of 10 s, from its own reset; DoubleSwingUp: for the last {HELD:g} s of 10 s at least, from hanging, "
        "where plans end at 100 Π; those of aif and ekf-ilqr for InvertedPendulum at 30 Π, all others as Riccati's "
        "equation has it, which there is mppi's best. "
        f"95 %: Wilson's interval. Force noise on cart or torque: {FORCE:g} of the motor's greatest; sensors: 0.01 m "
        "and rad of cart and hinges, 0.02 of Pendulum's cosine and sine; no rates. s: smoothness of all noise in "
        f"samples, floor {FLOOR:g}; 0: white. All were told, lag 0, the same noise by seed. aif: NonlinearPCFilter, "
        f"order {ORDER}, one iteration, RecedingHorizon with its forecasts; ekf-ilqr: extended Kalman filter, "
        "variances told, the same horizon without (in white noise it is aif); mppi: SamplingHorizon on aif's belief; "
        "lqg: Kalman filter and LQR about upright, clipped. Weights, horizons and exploration by hand, one setting a "
        "plant. s to up, rmse (of positions, m and rad): medians over seeds. Times: CPU, filter and all: the "
        "first decision, the median of the others and their 99th percentile.\n"
    )
