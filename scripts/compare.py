"""``pcctrl compare``: agents on the same noise, with paired statistics."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro
from rich.console import Console

from pcctrl import agents
from pcctrl.envs import NoiseOptions, PlantOptions
from pcctrl.errors import ParameterError
from pcctrl.evaluation import Comparison
from pcctrl.evaluation.report import write_report
from pcctrl.evaluation.table import comparison_table, headline, legend, nis_doubts
from pcctrl.scripts.common import build_agents, compare_with_progress, env_factory, print_wide, task_description

__all__ = ["Compare"]


@dataclass(frozen=True)
class Compare:
    """Compare agents on the same seeds: failures, cost, estimation error, speed, and who won.

    All agents see the same start, disturbance and sensor noise. Differences are paired with the first agent named. An
    interrupted comparison keeps its finished rows and goes on with the same command; more seeds or agents extend it.

    Example: pcctrl compare pcctrl/CartPole-v0 --agents aif lqg-tuned pid --seeds 50 --out out/compare
    """

    env: Annotated[str, tyro.conf.Positional]
    """Environment (see: pcctrl list), id of a Gymnasium MuJoCo task, or MJCF file."""
    agents: tuple[str, ...] | None = None
    """Agents, see: pcctrl list. The first is the reference. By default aif and its usual rivals on such a task."""
    seeds: int = 20
    """Number of seeds, from first-seed on."""
    first_seed: int = 0
    """The first seed."""
    steps: int = 1000
    """Samples an episode."""
    settle: int | None = None
    """First samples of an episode that are its start and scored apart; a tenth of the steps by default."""
    model: Path | None = None
    """TOML file of the plant, for pcctrl/LinearSystem-v0; see: LinearModel.save."""
    plant: PlantOptions = field(default_factory=PlantOptions)
    """What is sensed and wanted, for an MJCF file or a Gymnasium MuJoCo task."""
    noise: NoiseOptions = field(default_factory=NoiseOptions)
    """Noise of disturbance and sensors; agents are told or tuned on it, as the table says."""
    jobs: int = min(2, os.cpu_count() or 1)
    """Worker processes."""
    out: Path = Path("out/compare")
    """Directory for config.json, summary.json, results.csv, episodes and plots."""

    def run(self, console: Console) -> None:
        """Compare and report."""
        for name, value in (("seeds", self.seeds), ("jobs", self.jobs)):
            if value < 1:
                raise ParameterError(name=name, expected="at least 1", received=value)
        settle = self.steps // 10 if self.settle is None else self.settle
        make_env = env_factory(self.env, self.noise, self.steps, self.model, self.plant)
        env = make_env()
        built, cards = build_agents(agents.rivals(env) if self.agents is None else self.agents, env, console)
        seeds = range(self.first_seed, self.first_seed + self.seeds)
        task = task_description(self.env, self.noise, self.steps, settle, self.model, self.plant)
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
