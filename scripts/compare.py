"""``pcctrl compare``: agents on the same noise, with paired statistics."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from pcctrl import agents
from pcctrl.arrays import whole
from pcctrl.evaluation import Comparison
from pcctrl.evaluation.report import write_report
from pcctrl.evaluation.table import comparison_table, headline, legend, nis_doubts
from pcctrl.scripts.common import build_agents, compare_with_progress, print_wide
from pcctrl.scripts.setting import Setting

__all__ = ["Compare"]


@dataclass(frozen=True, kw_only=True)
class Compare(Setting):
    """Compare agents on the same seeds: failures, cost, estimation error, speed, and who won.

    All agents see the same start, disturbance and sensor noise. Differences are paired with the first agent named. An
    interrupted comparison keeps its finished rows and goes on with the same command; more seeds or agents extend it.

    Example: pcctrl compare pcctrl/CartPole-v0 --agents aif lqg-tuned pid --seeds 50 --out out/compare
    """

    agents: tuple[str, ...] | None = None
    """Agents, see: pcctrl list. The first is the reference. By default aif and its usual rivals on such a task."""
    seeds: int = 20
    """Number of seeds, from first-seed on."""
    first_seed: int = 0
    """The first seed."""
    settle: int | None = None
    """First samples of an episode that are its start and scored apart; a tenth of the steps by default."""
    jobs: int = min(2, os.cpu_count() or 1)
    """Worker processes."""
    out: Path = Path("out/compare")
    """Directory for config.json, summary.json, results.csv, episodes and plots."""

    def run(self, console: Console) -> None:
        """Compare and report."""
        for name, value in (("seeds", self.seeds), ("jobs", self.jobs)):
            whole(name, value, 1)
        whole("first-seed", self.first_seed)
        settle = self.steps // 10 if self.settle is None else self.settle
        make_env, env = self.make()
        built, cards = build_agents(agents.rivals(env) if self.agents is None else self.agents, env, console)
        seeds = range(self.first_seed, self.first_seed + self.seeds)
        task = self.description(settle)
        comparison = Comparison(make_env, built, self.steps, seeds, task, cards, self.jobs, settle)
        summaries, results = compare_with_progress(comparison, self.out, console)
        model = agents.task_of(env).model
        seeds_line = f"{self.seeds} seed" + "s" * (self.seeds > 1)
        title = f"{self.env}, {seeds_line} × {self.steps} samples, {_noise_line(task['noise'])}"
        write_report(results, summaries, seeds, model, title, cards)
        table = comparison_table(title, summaries, len(model.sensors or ()))
        print_wide(console, table)
        console.print(legend(summaries, cards, settle), highlight=False, markup=False)
        said = {name: s for name, s in summaries.items() if cards[name]["calibrated"]}
        for line in nis_doubts(said, len(model.sensors or ()), self.steps - settle):
            console.print(line, style="yellow", highlight=False, markup=False)
        console.print(f"\n{headline(summaries)}", style="bold", markup=False, highlight=False)
        console.print(f"Plots and numbers are in {self.out}", markup=False)


def _noise_line(noise: Mapping[str, Any]) -> str:
    line, sensed = _colour(noise["colour"], noise["s"]), noise["sensor_colour"]
    if sensed is not None and (of_sensors := _colour(sensed, noise["sensor_s"])) != line:
        line += f" (sensors: {of_sensors})"
    line += f", delay {noise['delay']} s" if np.any(noise["delay"]) else ""
    untold = [f"dropout {noise['dropout']:g}"] if noise["dropout"] else []
    untold += [f"bias {noise['bias']}"] if any(noise["bias"]) else []
    return line + (f" ({', '.join(untold)}: untold)" if untold else "")


def _colour(colour: str, s: float | None) -> str:
    plain = {"white": "white noise", "own": "its own noise"}
    return plain.get(colour) or f"{colour} noise of {s:g} s"
