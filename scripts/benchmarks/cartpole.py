"""The MuJoCo cart-pole in every colour: active inference against LQG, tuned LQG and a tuned PID."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from pcctrl.envs import NoiseOptions, plant_of
from pcctrl.evaluation import Comparison, Summary
from pcctrl.scripts.common import build_agents, compare_with_progress, env_factory, task_description

__all__ = ["AGENTS", "COLOURS", "run", "summaries_at"]

ENV = "pcctrl/CartPole-v0"
# lqg-tuned comes first: the others are paired with it.
AGENTS = ("lqg-tuned", "aif", "lqg", "pid")
COLOURS = (0.0, 1.0, 2.0, 3.0, 5.0)
STEPS = 1000
SETTLE = 100


def summaries_at(samples: float, seeds: int, out: Path, console: Console) -> tuple[dict[str, Summary], dict[str, Any]]:
    """Return the summaries and cards for smoothness ``samples`` (0: white), over ``seeds`` seeds of 1000 samples."""
    dt = plant_of(ENV).sample_time()
    noise = NoiseOptions(colour="white") if samples == 0.0 else NoiseOptions(s=samples * dt)
    make_env = env_factory(ENV, noise, STEPS)
    built, cards = build_agents(AGENTS, make_env(), console)
    task = task_description(ENV, noise, STEPS, SETTLE)
    comparison = Comparison(make_env, built, STEPS, range(seeds), task, cards, min(2, os.cpu_count() or 1), SETTLE)
    directory = out / ("white" if samples == 0.0 else f"s{samples:g}")
    summaries, _ = compare_with_progress(comparison, directory, console)
    return summaries, cards


def run(console: Console, seeds: int = 100, out: Path = Path("out/bench/cartpole")) -> None:
    """Print the table; rows that ``out`` already has are not run again."""
    title = f"{ENV}: cost against lqg-tuned, {seeds} paired seeds × {STEPS} samples"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    for heading in ("s", "agent", "failed", "cost", "vs lqg-tuned", "95 % interval"):
        table.add_column(heading, justify="left" if heading == "agent" else "right", no_wrap=True)
    budgets: dict[str, str] = {}
    for s in COLOURS:
        summaries, cards = summaries_at(s, seeds, out, console)
        reference = summaries["lqg-tuned"].cost.mean
        for name, summary in summaries.items():
            d = summary.difference
            table.add_row(
                "white" if s == 0.0 else f"{s:g}",
                name,
                f"{summary.failures}/{summary.seeds}",
                f"{summary.cost.mean:.5f}",
                "–" if d is None else f"{d.mean / reference:+.1%}",
                "–" if d is None else f"[{d.low / reference:+.1%}, {d.high / reference:+.1%}]",
            )
            budgets[name] = cards[name]["tuning"]
        table.add_section()
    console.print(table)
    console.print(
        "s: smoothness in samples. aif: noise told with its colour. lqg-tuned, pid: tuned for that very colour on the "
        "exact linear cost. lqg: variances told, taken for white. Process std 1 N, sensors 0.01 m and 0.005 rad, floor "
        "1e-3; lag 0. The first 100 samples are the start and not scored (failures are). Tuning, at the last s: "
        + "; ".join(f"{name}: {budget}" for name, budget in budgets.items())
    )
