"""``pcctrl run``: one agent, one episode."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from rich.console import Console

from pcctrl import agents
from pcctrl.envs import NoiseOptions, PlantOptions
from pcctrl.evaluation import Comparison, compare
from pcctrl.evaluation.report import write_report
from pcctrl.filters import Status
from pcctrl.scripts.common import build_agents, env_factory, task_description

__all__ = ["Run"]


@dataclass(frozen=True)
class Run:
    """Run one agent for one episode and write its numbers and plots.

    Example: pcctrl run pcctrl/CartPole-v0 --agent aif --steps 500 --seed 3 --noise.colour ou --noise.s 0.1
    """

    env: Annotated[str, tyro.conf.Positional]
    """Environment (see: pcctrl list), id of a Gymnasium MuJoCo task, or MJCF file."""
    agent: str = "aif"
    """Agent, see: pcctrl list."""
    steps: int = 1000
    """Samples in the episode."""
    seed: int = 0
    """Seed of the environment: start, disturbance and sensor noise."""
    model: Path | None = None
    """TOML file of the plant, for pcctrl/LinearSystem-v0; see: LinearModel.save."""
    plant: PlantOptions = field(default_factory=PlantOptions)
    """What is sensed and wanted, for an MJCF file or a Gymnasium MuJoCo task."""
    noise: NoiseOptions = field(default_factory=NoiseOptions)
    """Noise of disturbance and sensors; the agent is told it."""
    out: Path = Path("out/run")
    """Directory for config.json, summary.json, results.csv and plots."""

    def run(self, console: Console) -> None:
        """Run and report."""
        make_env = env_factory(self.env, self.noise, self.steps, self.model, self.plant)
        env = make_env()
        built, cards = build_agents([self.agent], env, console)
        task = task_description(self.env, self.noise, self.steps, 0, self.model, self.plant)
        comparison = Comparison(make_env, built, self.steps, [self.seed], task, cards, jobs=1)
        with console.status(f"Running {self.agent} for {self.steps} samples"):
            summaries, results = compare(comparison, self.out, fresh=True)
        write_report(results, summaries, [self.seed], agents.task_of(env).model, f"{self.env}, seed {self.seed}")
        episode, summary = results.episode(self.agent, self.seed), summaries[self.agent]
        console.print(
            f"{self.agent} in {self.env}, seed {self.seed}: " + ("FAILED" if summary.failures else "completed")
        )
        console.print(f"  cost a sample {summary.cost.mean:.5g}")
        if summary.rmse is not None and summary.nis is not None:
            sensors = len(agents.task_of(env).model.sensors or ())
            console.print(f"  estimation RMSE {summary.rmse.mean:.4g}, NIS {summary.nis:.2f} ({sensors} expected)")
        if episode is not None:
            counts = {s.name: int(np.count_nonzero(episode.status == s)) for s in Status}
            console.print("  samples " + ", ".join(f"{name} {count}" for name, count in counts.items() if count))
        console.print(f"  a decision takes {summary.step_us['p50']:.0f} µs (99 %: {summary.step_us['p99']:.0f} µs)")
        console.print(f"Plots and numbers are in {self.out}", markup=False)
