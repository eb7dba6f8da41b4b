"""``pcctrl bench``: the tables of the documentation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import tyro
from rich.console import Console

from pcctrl.arrays import choose
from pcctrl.scripts.benchmarks import cartpole, flight, limits, loops, speed

__all__ = ["Bench"]

BENCHMARKS = {
    "limits": limits.run,
    "loops": loops.run,
    "cartpole": cartpole.run,
    "flight": flight.run,
    "speed": speed.run,
}


@dataclass(frozen=True)
class Bench:
    """Make a table of the documentation again.

    limits: estimation against the physical limit and tuned peers, exact (minutes of tuning). loops: closed-loop costs
    against the optimum, exact (minutes of tuning). cartpole: closed-loop cost against a tuned LQG in every colour, 100
    seeds (minutes, resumable, in out/bench/cartpole). flight: roll rate from a recorded quadcopter flight, which
    PCCTRL_DATA must point to (minutes). speed: times, as ratios to the products that they need and to filterpy
    (seconds).
    """

    name: Annotated[str, tyro.conf.Positional]
    """limits, loops, cartpole, flight or speed."""

    def run(self, console: Console) -> None:
        """Run the benchmark and print its table."""
        BENCHMARKS[choose("name", self.name, BENCHMARKS)](console)
