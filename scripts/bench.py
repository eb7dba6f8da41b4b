"""``pcctrl bench``: the tables of the documentation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import tyro
from rich.console import Console

from pcctrl.arrays import choose
from pcctrl.scripts.benchmarks import (
    arm,
    arm7,
    cruise,
    flight,
    limits,
    loops,
    pendulum,
    presets,
    realtime,
    shocks,
    speed,
    swingup,
)

__all__ = ["Bench"]

BENCHMARKS = {
    "limits": limits.run,
    "loops": loops.run,
    "shocks": shocks.run,
    "presets": presets.run,
    "arm": arm.run,
    "arm7": arm7.run,
    "cruise": cruise.run,
    "flight": flight.run,
    "pendulum": pendulum.run,
    "realtime": realtime.run,
    "speed": speed.run,
    "swingup": swingup.run,
}


@dataclass(frozen=True)
class Bench:
    """Make a table of the documentation again.

    limits: estimation against the physical limit and tuned peers, exact (minutes of tuning). loops: closed-loop costs
    against the optimum and tuned peers, exact (minutes of tuning). shocks: outliers and pushes, 200 episodes a row
    (a minute). presets: every agent in every colour on the MuJoCo plants, 100 seeds (half an hour, resumable, in
    out/bench/presets). arm: the published two-joint arm, 100 goals, its active-inference controllers and tuned
    peers (two minutes). arm7: seven joints with a wrong model, dry friction and a payload picked up, whose parameters
    the filter adapts, and encoders that fail (a quarter of an hour). cruise: the published PID as active inference, and
    one that learns within bounds (seconds).
    flight: roll rate from a recorded quadcopter flight, which PCCTRL_DATA must point to (minutes).
    pendulum: nonlinear filters in smooth noise, 60 seeds (minutes of tuning). realtime: whether the seven-joint arm's
    agents keep 1 kHz (seconds).
    speed: times, as ratios to the products that they need and to filterpy (seconds). swingup: two pendulums swung up
    from hanging by planning, 100 seeds (minutes).
    """

    name: Annotated[str, tyro.conf.Positional]
    """limits, loops, shocks, presets, arm, arm7, cruise, flight, pendulum, realtime, speed or swingup."""

    def run(self, console: Console) -> None:
        """Run the benchmark and print its table."""
        BENCHMARKS[choose("name", self.name, BENCHMARKS)](console)
