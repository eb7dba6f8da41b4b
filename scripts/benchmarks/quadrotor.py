"""A quadrotor in Dryden gusts: position error at equal actuator effort, exactly and on the nonlinear simulation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from functools import partial
from os import cpu_count
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from pcctrl.arrays import Array
from pcctrl.envs import QuadrotorEnv, Sensors
from pcctrl.errors import ParameterError
from pcctrl.evaluation import Compensator, closed_loop_cost
from pcctrl.models import Task
from pcctrl.noise import Noise, Smooth, White
from pcctrl.scripts.benchmarks.claims import Claim, claim, claims_table, plain_table
from pcctrl.scripts.benchmarks.quadrotor_designs import (
    DESIGNS,
    active,
    assembled,
    axes_of,
    optimum,
    untold,
    untuned,
)
from pcctrl.scripts.benchmarks.swings import ratio
from pcctrl.tuning import ORDER
from pcctrl.tuning.loops import graded_cost, pid_starts
from pcctrl.tuning.search import scattered, search

__all__ = ["CASES", "ROWS", "Hover", "Tuning", "claims", "fly", "hover", "report", "run", "sensors_of"]

# Smoothness of the motion capture's noise in samples.
CASES = {"white": 0.0, "smooth": 2.0}
ACTIVE: dict[str, Callable[[Task, float], Compensator]] = {
    "aif": active,
    "aif, order 4": partial(active, order=4),
    "aif, sensors untold": untold,
}
ROWS = (*ACTIVE, *DESIGNS)
# ρ of the row whose effort all others are given, in 1/N².
REFERENCE = ("aif", 0.01)
# Orders of the chains that stand for the truth, and while tuning.
TRUTH, WHILE_TUNING = 16, 8
STEPS, SETTLE, SEEDS, STARTS, EVALUATIONS = 1200, 200, 50, 6, 300
# Efforts are equal when they are within this much of each other.
_EQUAL = 5e-4


def sensors_of(case: str) -> list[Noise]:
    """Return the noise of position and attitude in a case of `CASES`."""
    s = CASES[case] * QuadrotorEnv.sample_time()
    return [White(std=std) if s == 0.0 else Smooth(std, s, 1e-3) for std in QuadrotorEnv.sensor_std]


@dataclass(frozen=True)
class Hover:
    """One row in one case.

    Args:
        row: of `ROWS`, or "optimum".
        case: of `CASES`.
        error: RMS of the position, all three axes together, in m; exact.
        effort: RMS of what is added to each rotor's rest, in N; exact.
        spread: worst start of a tuning over the best, 1 where nothing is tuned.
        evaluations: exact costs that the tuning took.
        flights: (seeds, 3) mean square position, mean square of rotor action, and whether it was lost, on the nonlinear
            simulation.
    """

    row: str
    case: str
    error: float
    effort: float
    spread: float = 1.0
    evaluations: int = 0
    flights: Array | None = None


def _squares(task: Task, loop: Compensator, order: int = TRUTH) -> Array:
    """Return the exact mean squares (2,) of weighted state and of action."""
    truth, nothing, one = task.linear.joint(order), np.zeros((1, 1)), np.eye(1)
    W = task.state_weight
    return np.array([closed_loop_cost(truth, loop, W, nothing), closed_loop_cost(truth, loop, 0.0 * W, one)])


def hover(row: str, case: str, effort: float | None = None, **budget: Any) -> Hover:
    """Return a row at an actuator RMS of ``effort`` N, by default whatever that of the reference's ρ is.

    All rows minimise mean squares of position + λ action on all axes, λ the same for each axis; λ is then moved, and
    tuned loops are tuned on from where they were, until the effort is that asked for. Yaw has the same loop in all.

    Args:
        row: of `ROWS`, or "optimum".
        case: of `CASES`.
        effort: N a rotor.
        budget: ``starts``, ``evaluations`` and ``seeds``.
    """
    env = QuadrotorEnv()
    tasks = axes_of(env, sensors_of(case))
    turning = tasks.pop("yaw")
    yaw = active(turning, REFERENCE[1])
    resting = _squares(turning, yaw)[1]
    make = ACTIVE.get(row)
    tuning = Tuning(row, tasks, budget.get("starts", STARTS), budget.get("evaluations", EVALUATIONS))

    def at(dearness: float) -> tuple[dict[str, Compensator], Array]:
        if row == "optimum":
            return {}, optimum(env, sensors_of(case), dearness, REFERENCE[1], TRUTH)
        if make is not None:
            loops = {name: make(task, dearness) for name, task in tasks.items()}
        else:
            loops = tuning.loops(dearness)
        squares = np.sum([_squares(tasks[name], loop) for name, loop in loops.items()], axis=0)
        return loops, np.sqrt([squares[0], (squares[1] + resting) / 4.0])

    rho = REFERENCE[1]
    loops, found = at(rho)
    slope, tries = -0.2, 0
    while effort is not None and abs(found[1] / effort - 1.0) > _EQUAL and tries < 8:
        before = np.log([rho, found[1]])
        rho *= float(np.exp(np.clip(np.log(effort / found[1]) / slope, -2.0, 2.0)))
        loops, found = at(rho)
        moved = np.log([rho, found[1]]) - before
        if moved[0] * moved[1] < 0.0:
            slope = float(np.clip(moved[1] / moved[0], -1.0, -0.03))
        tries += 1
    seeds = budget.get("seeds", SEEDS)
    flights = None
    if row != "optimum" and seeds:
        flights = fly(assembled(env, {**loops, "yaw": yaw}), env, case, seeds)
    return Hover(row, case, float(found[0]), float(found[1]), tuning.spread, tuning.evaluations, flights)


class Tuning:
    """The tuning of one design on all axes, which goes on from where it was.

    Args:
        row: of `DESIGNS`.
        tasks: of each axis.
        starts: of the first search on each.
        evaluations: at most so many from each start, and so many again from the best; a third when it goes on.
    """

    def __init__(self, row: str, tasks: Mapping[str, Task], starts: int, evaluations: int) -> None:
        self._row, self._tasks, self._starts, self._budget = row, tasks, starts, evaluations
        self._values: dict[str, Array] = {}
        self.spread, self.evaluations = 1.0, 0

    def loops(self, dearness: float) -> dict[str, Compensator]:
        """Return the loops tuned for this λ."""
        return {name: self._loop(name, task, dearness) for name, task in self._tasks.items()}

    def _loop(self, name: str, task: Task, dearness: float) -> Compensator:
        design = DESIGNS[self._row]
        task = replace(task, action_weight=np.array([[dearness]]))
        truth = task.linear.joint(WHILE_TUNING)
        first = name not in self._values
        if not first:
            points = [self._values[name]]
        elif self._row == "PID":
            points = pid_starts(task, 2 * self._starts)
        else:
            points = scattered(untuned(self._row, task), self._starts, seed=0)
        # Costs of a PID are cheap, and few of its starts come to anything.
        budget = self._budget * (2 if self._row == "PID" else 1) // (1 if first else 3)
        found = search(lambda values: graded_cost(truth, design(task, values), task), points, budget)
        if first:
            self.spread = max(self.spread, max(found.costs) / found.cost)
        self.evaluations += found.evaluations
        self._values[name] = found.values
        return design(task, found.values)


def fly(loop: Compensator, env: QuadrotorEnv, case: str, seeds: int) -> Array:
    """Return the ``flights`` of `Hover` under ``loop``, within the rotors' limits, on so many seeds."""
    # The loops are steady ones, which know nothing of a start: elsewhere than at hover it would be a jump to them.
    env.start_std = (0.0,) * len(env.start_std)
    sensed = Sensors(env, sensors_of(case))
    rows = []
    for seed in range(seeds):
        y, info = sensed.reset(seed=seed)
        s, squares, lost = np.zeros(len(loop.A)), [], False
        for _ in range(STEPS):
            u = loop.C @ s + loop.D @ y
            s = loop.A @ s + loop.B @ y
            squares.append((np.sum(np.square(info["state"][:3])), np.mean(np.square(u))))
            y, _, lost, _, info = sensed.step(env.rest + u)
            if lost:
                break
        settled = np.array(squares)[min(SETTLE, len(squares) - 1) :]
        rows.append((*settled.mean(axis=0), float(lost)))
    return np.array(rows)


def claims(rows: Sequence[Hover]) -> list[Claim]:
    """Return what is asked of active inference, exact and on average over flights."""
    found = {(r.case, r.row): r for r in rows}
    asked = {
        ("white", "best integral LQG"): 1.0,
        ("white", "PID"): 0.9,
        ("smooth", "best integral LQG"): 0.96,
    }
    made = []
    for (case, peer), most in asked.items():
        if (case, "aif") not in found:
            continue
        ours = found[case, "aif"]
        peers = ["random walk", "integral"] if peer != "PID" else ["PID"]
        theirs = [found[case, name] for name in peers if (case, name) in found]
        made += claim(f"aif / {peer}", most, [(ours.error / r.error, f"{case}, {r.row}") for r in theirs])
        flown = [(_flown(ours, r)[0], f"{case}, {r.row}") for r in theirs if r.flights is not None]
        made += claim(f"aif / {peer}, flown", most, flown)
    lost = [(float(r.flights[:, 2].sum()), r.case) for r in rows if r.row == "aif" and r.flights is not None]
    bound = [
        (found[r.case, "optimum"].error / r.error, f"{r.case}, {r.row}")
        for r in rows
        if r.row != "optimum" and (r.case, "optimum") in found
    ]
    return [*made, *claim("optimum / any row", 1.0, bound), *claim("aif lost", 0.0, lost)]


def _flown(ours: Hover, theirs: Hover) -> tuple[float, float, float]:
    """Return the ratio of RMS positions over paired seeds, with its interval."""
    if ours.flights is None or theirs.flights is None:
        raise ParameterError(name="flights", expected="loops that were flown", received="exact costs alone")
    return ratio(ours.flights[:, 0], theirs.flights[:, 0])


def run(console: Console, **budget: Any) -> None:
    """Print the tables."""
    with ProcessPoolExecutor(min(2, cpu_count() or 1)) as pool:
        reference = {case: hover("aif", case, seeds=0).effort for case in CASES}
        jobs = [
            pool.submit(hover, row, case, reference[case], **budget) for case in CASES for row in (*ROWS, "optimum")
        ]
        for _ in track(as_completed(jobs), "Tuning and flying", total=len(jobs), console=console, transient=True):
            pass
        rows = [job.result() for job in jobs]
    report(console, rows)


def report(console: Console, rows: Sequence[Hover]) -> None:
    """Print the tables of what was found."""
    for case in CASES:
        own = {r.row: r for r in rows if r.case == case}
        ours = own["aif"]
        exact = plain_table(
            f"Exact: position at an actuator RMS of {ours.effort:.4f} N, {case} motion capture",
            ("",),
            ("RMS mm", "aif /", "act N", "starts", "costs"),
        )
        flown = plain_table(
            f"Flown: the same loops on the simulation, {case} motion capture",
            ("",),
            ("lost", "RMS mm", "aif /", "95 % interval", "act N"),
        )
        for name, r in own.items():
            tuned = (f"{r.spread:.2f}", str(r.evaluations)) if r.evaluations else ("–", "–")
            exact.add_row(name, f"{1e3 * r.error:.3f}", f"{ours.error / r.error:.3f}", f"{r.effort:.4f}", *tuned)
            if r.flights is not None:
                middle, low, high = _flown(ours, r)
                rms = np.sqrt(r.flights[:, :2].mean(axis=0))
                against = ("–", "–") if r is ours else (f"{middle:.3f}", f"{low:.3f} to {high:.3f}")
                lost = f"{r.flights[:, 2].sum():.0f}/{len(r.flights)}"
                flown.add_row(name, lost, f"{1e3 * rms[0]:.2f}", *against, f"{rms[1]:.4f}")
        console.print(exact, end="\n\n")
        console.print(flown, end="\n\n")
    console.print(
        "Hover at 6 m in 5 m/s of mean wind, moderate turbulence, which pushes through 0.15 N·s/m of drag; white "
        "torques of 0.005 N·m a sample; dt 0.01 s; rotors lag by 0.02 s; motion capture of 2 mm and 0.01 rad, smooth: "
        "s = 2 samples, floor 1e-3; lag 0. RMS: all axes together; act: what is added to a rotor's rest, RMS over all "
        "four. All rows: least mean square of position + λ action by axis (along, across, up: at hover they are "
        f"exactly apart), then λ such that act is that of aif at λ = {REFERENCE[1]:g} /N²; one loop for yaw, aif's. "
        f"aif, of order {ORDER}, and of order 4: gusts and sensor noise told. Sensors untold: taken for white. random "
        "walk: LQG with a force that walks; densities of walk, white force and torque, R and λ tuned. integral: LQG on "
        "the state and the position's integral; densities, R, λ and its weight tuned. LQG: densities, R and λ. PID: on "
        f"position and attitude. Tuned for that very noise on chains of order {WHILE_TUNING}, {STARTS} starts an axis "
        f"(PID {2 * STARTS}), and on from the best as λ moves; starts: the worst over the best. Truth and optimum: "
        f"chains of order {TRUTH}, the optimum on all axes together. Flown: {STEPS * 0.01:g} s from hover, "
        f"nonlinear, within 0 to 6 N a rotor; the first {SETTLE * 0.01:g} s are not scored; paired seeds, "
        "bootstrap. In white noise aif is the optimum by axis, whatever its order.\n"
    )
    console.print(claims_table(claims(rows), "Asked"))
