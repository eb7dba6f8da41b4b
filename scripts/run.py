"""``pcctrl run``: one agent, one episode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from rich.console import Console

from pcctrl import agents
from pcctrl.arrays import Array
from pcctrl.envs import NoiseOptions, PlantOptions
from pcctrl.evaluation import Comparison, compare
from pcctrl.evaluation.logs import write_log
from pcctrl.evaluation.report import write_report
from pcctrl.evaluation.table import learned_lines, nis_doubts
from pcctrl.filters import Status
from pcctrl.scripts.common import build_agents, env_factory, task_description

__all__ = ["Run"]

# States that are told at the end of an episode.
_SHOWN = 8


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
    """Directory for config.json, summary.json, results.csv, plots, and log.csv (for: pcctrl estimate)."""

    def run(self, console: Console) -> None:
        """Run and report."""
        make_env = env_factory(self.env, self.noise, self.steps, self.model, self.plant)
        env = make_env()
        built, cards = build_agents([self.agent], env, console)
        task = task_description(self.env, self.noise, self.steps, 0, self.model, self.plant)
        comparison = Comparison(make_env, built, self.steps, [self.seed], task, cards, jobs=1)
        with console.status(f"Running {self.agent} for {self.steps} samples"):
            summaries, results = compare(comparison, self.out, fresh=True)
        model = agents.task_of(env).model
        write_report(results, summaries, [self.seed], model, f"{self.env}, seed {self.seed}", cards)
        episode, summary = results.episode(self.agent, self.seed), summaries[self.agent]
        if episode is not None:
            write_log(self.out / "log.csv", episode, model)
        ended = "completed"
        if summary.failures:
            ended = "FAILED" if episode is None else f"FAILED after {len(episode.cost)} of {self.steps} samples"
        console.print(f"{self.agent} in {self.env}, seed {self.seed}: {ended}")
        console.print(f"  cost a sample {summary.cost.mean:.5g}")
        if episode is not None:
            console.print(
                f"  at the end {_state(model.states or (), episode.state[-1])}", highlight=False, markup=False
            )
        if summary.rmse is not None and summary.nis is not None:
            sensors = len(model.sensors or ())
            console.print(f"  estimation RMSE {summary.rmse.mean:.4g}, NIS {summary.nis:.2f} ({sensors} expected)")
            doubts = nis_doubts(summaries if cards[self.agent]["calibrated"] else {}, sensors, self.steps)
            console.print("".join(f"  {line}\n" for line in doubts), style="yellow", highlight=False, end="")
        if episode is not None:
            counts = {s.name: int(np.count_nonzero(episode.status == s)) for s in Status}
            console.print("  samples " + ", ".join(f"{name} {count}" for name, count in counts.items() if count))
            for line in learned_lines(cards[self.agent]["learns"], episode):
                console.print(f"  {line}", highlight=False, markup=False)
        half, slow = summary.step_us["p50"], summary.step_us["p99"]
        console.print(f"  a decision takes {half:.0f} µs (99 %: {slow:.0f} µs) of {1e6 * model.dt:.0f} µs a sample")
        if half > 1e6 * model.dt:
            console.print("  that is more than there is: not in real time here", style="yellow")
        console.print(f"Plots and numbers are in {self.out}", markup=False)


def _state(names: Sequence[str], state: Array) -> str:
    """Return the first states with their names, as many as fit a line or two."""
    shown = [f"{name} {value:.3g}" for name, value in zip(names, state, strict=False)][:_SHOWN]
    return ", ".join(shown) + (", …" if len(state) > _SHOWN else "")
