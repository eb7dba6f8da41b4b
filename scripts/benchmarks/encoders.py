"""Arm7 with an encoder on either side of each transmission, of which one fails: with and without slow precisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from os import cpu_count
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

from pcctrl.arrays import Array
from pcctrl.controllers import AdaptedTorque
from pcctrl.noise import Bias, During, Ramp, Stuck
from pcctrl.scripts.benchmarks.arm7_laws import Pair
from pcctrl.scripts.benchmarks.arm7_runs import Score, adaptive, arms, invertible, outside, simulate, told
from pcctrl.scripts.benchmarks.claims import Claim, claim, claims_table, plain_table

__all__ = ["CASES", "FAULTS", "Fault", "fault_table", "faulty", "run"]

SEEDS = tuple(range(4000, 4048))
# So many of them where nothing hangs on a mean: the others of `CASES`.
FEW = 12
SECONDS, BEGIN, END, HEALED = 3.0, 1.2, 2.0, 2.3
# The joint whose encoder fails: it carries the weight of the lower arm.
JOINT = 3
VALUES = (1.0, 19.0)
# rad/s at which an encoder runs away, and creeps; N at the tip.
RUNAWAY, CREEPING, PUSH = 0.3, 0.003, 20.0
FAULTS = ("clean", "motor side freezes", "link side runs away", "link side creeps", "held still", "pushed")
# With learned precisions all of them, and without those that it is asked about.
CASES = (*((fault, True) for fault in FAULTS), *((fault, False) for fault in FAULTS[:3]))
# Seconds over which parameters change: this filter expects no jumps, and must follow the load that is picked up.
_TIMES = {"load": 20.0, "viscous": 100.0, "coulomb": 100.0}


class Fault(NamedTuple):
    """What a fault did, of each arm.

    Args:
        score: with parts during the fault and after it.
        blamed: part of the samples of the fault in which the faulty sensor was disbelieved (B,).
        wrongly: part of all samples in which a healthy one was (B,).
        disputed: part of the samples of the fault in which two contradicted each other without a culprit (B,).
    """

    score: Score
    blamed: Array
    wrongly: Array
    disputed: Array


def faulty(
    fault: str,
    learns: bool,
    values: tuple[float, float] = VALUES,
    seeds: Sequence[int] | None = None,
    seconds: float = SECONDS,
) -> Fault:
    """Return what a fault did to the adapted row.

    Args:
        fault: of `FAULTS`.
        learns: whether precisions are learned.
        values: the random walk's rate, and ω of the law, which has no low-pass filter here.
        seeds: one for each arm; `SEEDS`, or the first `FEW`, by default.
        seconds: of a run.
    """
    seeds = seeds or SEEDS[: None if learns and fault in FAULTS[:3] else FEW]
    still = fault in ("held still", "pushed")
    more: dict[str, Any] = {"push": PUSH if fault == "pushed" else 0.0, "payload": None} if still else {}
    envs = arms(len(seeds), False, 0.5, ("link", "motor"), trajectory="hold" if still else None, **more)
    model = told(envs[0], values[0])
    groups = [[f"link{i}", f"motor{i}"] for i in range(1, 8)] if learns else []
    believed = adaptive(model, "lf", _TIMES)
    filter_ = outside(believed, redundant=groups, trust_time=0.02)
    low, high = envs[0].get_wrapper_attr("action_space").low, envs[0].get_wrapper_attr("action_space").high
    controller = AdaptedTorque(invertible(believed), filter_.joint, values[1], (low, high))
    begin, end = round(1e3 * BEGIN), round(1e3 * END)
    bad, counts = {"motor side freezes": 7 + JOINT}.get(fault, JOINT), np.zeros((3, len(seeds)))
    flaw = {FAULTS[1]: Stuck(), FAULTS[2]: Ramp(RUNAWAY), FAULTS[3]: Ramp(CREEPING)}.get(fault, Bias(0.0))
    flaws = [During(flaw, BEGIN, END, [bad]).begin(np.random.default_rng(0), 14, 1e-3) for _ in seeds]

    def spoil(_: int, y: Array) -> Array:
        return np.stack([spoilt(row) for spoilt, row in zip(flaws, y, strict=True)])

    law = Pair(filter_, controller)

    def watch(k: int) -> None:
        trust = None if law.info is None else law.info.trust
        if trust is None:
            return
        found = trust.faulty.copy()
        if fault in FAULTS[1:4]:
            if begin <= k < end:
                counts[0] += found[:, bad]
                counts[2] += trust.disputed[:, bad]
            found[:, bad] = False
        counts[1] += found.any(axis=1)

    parts = [(BEGIN, END), (min(HEALED, 0.9 * seconds), seconds)]
    score = simulate(law, envs, seeds, seconds, spoil=spoil, parts=parts, watch=watch)
    return Fault(score, counts[0] / (end - begin), counts[1] / (1e3 * seconds), counts[2] / (end - begin))


def fault_table(outcomes: Mapping[tuple[str, bool], Fault]) -> tuple[Table, list[Claim]]:
    """Return the table, and what is asked. Faults are compared with the same arms without one."""
    table = plain_table(
        "Faults of joint 4's encoders: RMSE in mrad (/ clean)",
        ("", "precision"),
        ("arms", "during", "worst", "after", "lost", "blamed", "disputed", "wrongly", "ms"),
    )
    found: list[Claim] = []
    for (fault, learns), o in outcomes.items():
        parts = o.score.parts
        base = outcomes["held still" if fault in FAULTS[4:] else "clean", learns].score.parts[: len(parts)].mean(axis=0)
        mean = parts.mean(axis=0)
        during, after = (f"{1e3 * m:.2f} ({m / b:.2f})" for m, b in zip(mean, base, strict=True))
        verdicts = ["–"] * 4
        if learns:
            verdicts = [f"{100.0 * v.mean():.0f} %" for v in (o.blamed, o.disputed)]
            verdicts += [f"{(o.wrongly > 0.0).sum()}", f"{1e3 * SECONDS * o.wrongly.max():.0f}"]
        worst, lost = f"{1e3 * parts[:, 0].max():.2f}", f"{o.score.failed.sum()}"
        row = (f"{len(parts)}", during, worst, after, lost, *verdicts)
        table.add_row(fault, "learned" if learns else "fixed", *row)
        if learns and fault in FAULTS[1:3]:
            found += claim(f"{fault} / clean, during", 1.2, [(float(mean[0] / base[0]), "mean")])
            found += claim(f"{fault} / clean, healed", 1.2, [(float(mean[1] / base[1]), "mean")])
            found += claim(f"{fault}: lost", 0.0, [(float(o.score.failed.sum()), "arms")])
        if not learns and fault in FAULTS[1:3]:
            # Asked the other way round: without learning it is not met.
            found += claim(f"{fault}, fixed: 1.2 clean / during", 1.0, [(float(1.2 * base[0] / mean[0]), "mean")])
    push = outcomes["pushed", True]
    blamed = float((push.blamed + push.wrongly).mean())
    found += claim("pushed: samples with a fault found", 0.01, [(blamed, "all sensors")])
    return table, found


def run(console: Console) -> None:
    """Simulate and print the tables."""
    with ProcessPoolExecutor(min(2, cpu_count() or 1)) as pool:
        jobs = {case: pool.submit(faulty, *case) for case in CASES}
        outcomes = {}
        for (fault, learns), job in jobs.items():
            outcomes[fault, learns] = job.result()
            console.print(f"ran {fault}, precisions {'learned' if learns else 'fixed'}: done", style="dim")
    table, asked = fault_table(outcomes)
    console.print(table, end="\n\n")
    console.print(claims_table(asked, "Asked"), end="\n\n")
    console.print(
        "Arm7 told too little of itself, as in `pcctrl bench arm7`, with an encoder on either side of each "
        f"transmission, of 14 bit; {SECONDS:g} s at 1 kHz, sinusoids and minimum-jerk moves in turns, or held still; "
        "payload after 0.5 s; lag 0. The filter that adapts payload and friction, a walk of "
        f"{VALUES[0]:g} N·m/√s, computed torque with poles at {VALUES[1]:g} rad/s; nothing tuned. Fault of joint "
        f"{JOINT + 1} from {BEGIN:g} to {END:g} s: a runaway of {RUNAWAY:g} rad/s, creeping at {CREEPING:g} rad/s; "
        f"after: from {HEALED:g} s on. Pushed: {PUSH:g} N at the tip for a second. blamed, disputed: part of the "
        "fault's samples in which the faulty encoder was; wrongly: arms in which a healthy one ever was blamed, and "
        "ms, for how long at most."
    )
