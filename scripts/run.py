"""``pcctrl run``: one agent, one episode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console

from pcctrl import agents
from pcctrl.arrays import Array, whole
from pcctrl.evaluation import Comparison, compare
from pcctrl.evaluation.logs import write_log
from pcctrl.evaluation.report import write_report
from pcctrl.evaluation.table import learned_lines, nis_doubts
from pcctrl.filters import Status
from pcctrl.scripts.common import build_agents
from pcctrl.scripts.setting import Setting

__all__ = ["Run"]

# States that are told at the end of an episode.
_SHOWN = 8


@dataclass(frozen=True, kw_only=True)
class Run(Setting):
    """Run one agent for one episode and write its numbers and plots.

    Example: pcctrl run pcctrl/CartPole-v0 --agent aif --steps 500 --seed 3 --noise.colour ou --noise.s 0.1

    Example: pcctrl run pcctrl/Arm7-v0 --agent aif-adaptive --arm.payload 1 0.5 --arm.wrong.mass 0.7
    """

    agent: str = "aif"
    """Agent, see: pcctrl list."""
    seed: int = 0
    """Seed of the environment: start, disturbance and sensor noise."""
    out: Path = Path("out/run")
    """Directory for config.json, summary.json, results.csv, plots, and log.csv (for: pcctrl estimate)."""

    def run(self, console: Console) -> None:
        """Run and report."""
        whole("seed", self.seed)
        make_env, env = self.make()
        built, cards = build_agents([self.agent], env, console, "agent")
        comparison = Comparison(make_env, built, self.steps, [self.seed], self.description(0), cards, jobs=1)
        with console.status(f"Running {self.agent} for {self.steps} samples"):
            summaries, results = compare(comparison, self.out, fresh=True)
        model = agents.task_of(env).model
        write_report(results, summaries, [self.seed], model, f"{self.env}, seed {self.seed}", cards)
        episode, summary = results.episode(self.agent, self.seed), summaries[self.agent]
        if episode is not None:
            write_log(self.out / "log.csv", episode, model)
        ended = "completed"
        if summary.failures:
            ended = "FAILED"
            if episode is not None:
                ended += f" after {len(episode.cost)} of {self.steps} samples: {episode.reason}"
        console.print(f"{self.agent} in {self.env}, seed {self.seed}: {ended}")
        console.print(f"  cost a sample {summary.cost.mean:.5g}")
        if episode is not None:
            console.print(
                f"  at the last sample {_state(model.states or (), episode.state[-1])}", highlight=False, markup=False
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
