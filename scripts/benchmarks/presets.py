"""Every preset in every colour on the MuJoCo plants: simulation, on paired seeds."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
from rich.console import Console

from pcctrl.envs import PLANTS, NoiseOptions
from pcctrl.evaluation import Comparison, Summary
from pcctrl.scripts.benchmarks.claims import Claim, claim, claims_table, plain_table
from pcctrl.scripts.benchmarks.systems import SMOOTHNESS, colours
from pcctrl.scripts.common import build_agents, compare_with_progress
from pcctrl.scripts.setting import Setting

__all__ = ["AGENTS", "COLOURS", "ENVS", "claims", "run", "summaries_at"]

# With one input and one disturbance, as a reflex arc and a PID want it.
ENVS = ("pcctrl/CartPole-v0", "pcctrl/MassSpringDamper-v0")
# aif comes first: the others are paired with it.
AGENTS = ("aif", "aif-reflex", "aif-pid", "lqg", "lqg-tuned", "lqg-integral", "pid")
# Smoothness in samples, as options of the program; the others come as noise objects.
COLOURS: dict[str, NoiseOptions | None] = {
    "white": NoiseOptions(colour="white"),
    "AR(1)": None,
    **{f"{s:g}": NoiseOptions(s=s) for s in SMOOTHNESS},
    "white/2": None,
    "2/white": None,
}
STEPS, SETTLE = 1000, 100
# No worse: where two loops are the same but for rounding and tuning, their costs are within a thousandth.
_TIE = 1e-3
Found = Mapping[tuple[str, str], Mapping[str, Summary]]


def summaries_at(
    env_id: str, colour: str, seeds: int, out: Path, console: Console
) -> tuple[dict[str, Summary], dict[str, Any]]:
    """Return the summaries and cards in one plant and colour, over ``seeds`` seeds of 1000 samples."""
    plant, told = PLANTS[env_id], COLOURS[colour]
    dt = plant.sample_time()
    if told is None:
        process, sensors = colours(dt, plant.process_std[0], plant.sensor_std, 1e-3)[colour]
        make_env: Callable[[], gym.Env[Any, Any]] = functools.partial(
            gym.make, f"pcctrl.envs:{env_id}", process_noise=process, sensor_noise=sensors, max_episode_steps=STEPS
        )
        task: dict[str, Any] = {"env": env_id, "steps": STEPS, "settle": SETTLE, "noise": colour}
    else:
        noise = replace(told, s=None if told.s is None else told.s * dt)
        setting = Setting(env=env_id, steps=STEPS, noise=noise)
        make_env, task = setting.make()[0], setting.description(SETTLE)
    built, cards = build_agents(AGENTS, make_env(), console)
    comparison = Comparison(make_env, built, STEPS, range(seeds), task, cards, min(2, os.cpu_count() or 1), SETTLE)
    directory = out / f"{_short(env_id)}-{colour.replace(' ', '').replace('/', '-')}"
    summaries, _ = compare_with_progress(comparison, directory, console)
    return summaries, cards


def claims(found: Found) -> list[Claim]:
    """Return what is asked of ``aif``, of its paired mean cost relative to a peer's."""

    def over(peer: str, end: str, colours: Iterable[str] = COLOURS) -> list[tuple[float, str]]:
        ratios = []
        for (env_id, colour), summaries in found.items():
            difference = summaries[peer].difference
            if colour in colours and difference is not None:
                # The difference is the peer's cost over that of aif.
                ratios.append((-getattr(difference, end) / summaries[peer].cost.mean, f"{_short(env_id)}, {colour}"))
        return ratios

    failures = [(float(s["aif"].failures), f"{_short(e)}, {c}") for (e, c), s in found.items()]
    return [
        *claim("failures of aif", 0.0, failures),
        *claim("upper end over lqg-tuned, s ≥ 2", 0.0, over("lqg-tuned", "low", ("2", "3", "5"))),
        *claim("mean over lqg-tuned, white", 0.02, over("lqg-tuned", "mean", ("white",))),
        *claim("mean over lqg-tuned", _TIE, over("lqg-tuned", "mean")),
        *claim("mean over lqg-integral", _TIE, over("lqg-integral", "mean")),
        *claim("mean over pid", _TIE, over("pid", "mean")),
    ]


def run(console: Console, seeds: int = 100, out: Path = Path("out/bench/presets")) -> None:
    """Print the table; rows that ``out`` already has are not run again."""
    found: dict[tuple[str, str], dict[str, Summary]] = {}
    budgets: dict[str, str] = {}
    for env_id in ENVS:
        for colour in COLOURS:
            found[env_id, colour], cards = summaries_at(env_id, colour, seeds, out, console)
            budgets |= {name: card["tuning"] for name, card in cards.items()}
    report(console, found, budgets, seeds)


def report(console: Console, found: Found, budgets: Mapping[str, str], seeds: int) -> None:
    """Print the tables of what was found."""
    for env_id in ENVS:
        title = f"{_short(env_id)}: cost against aif, {seeds} paired seeds × {STEPS} samples"
        table = plain_table(title, ("noise", "agent"), ("failed", "cost", "vs aif", "95 % interval"))
        for colour in COLOURS:
            summaries = found[env_id, colour]
            reference = summaries["aif"].cost.mean
            for name, summary in summaries.items():
                d = summary.difference
                table.add_row(
                    *(colour, name, f"{summary.failures}/{summary.seeds}", f"{summary.cost.mean:.5f}"),
                    "–" if d is None else f"{d.mean / reference:+.1%}",
                    "–" if d is None else f"[{d.low / reference:+.1%}, {d.high / reference:+.1%}]",
                    end_section=name == AGENTS[-1],
                )
        console.print(table)
    console.print(
        "noise: smoothness s in samples, or process/sensor; AR(1): white process, sensors 0.9 a sample. aif, "
        "aif-reflex: noise told with its colour. lqg: variances told, taken for white. The others are tuned for that "
        "very colour on the exact linear cost, which has no constant push in it for lqg-integral. Process std 1 N; "
        "sensors 0.01 m and 0.005 rad (cart-pole), 0.1 m (mass-spring-damper); floor 1e-3; lag 0. The first "
        f"{SETTLE} samples are the start and not scored (failures are). Tuning, at the last: "
        + "; ".join(f"{name}: {budget}" for name, budget in budgets.items())
        + "\n"
    )
    console.print(claims_table(claims(found), "Asked of aif"))
    console.print(
        "Mean: of the paired difference, relative to the peer's cost; below 0 aif costs less. Upper end: of its 95 % "
        "interval. In white noise aif is the same loop as LQG: no worse means by less than a thousandth."
    )


def _short(env_id: str) -> str:
    return env_id.removeprefix("pcctrl/").removesuffix("-v0")
