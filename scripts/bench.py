"""``pcctrl bench``: the tables of the documentation."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated

import tyro
from rich.console import Console

from pcctrl.arrays import choose

__all__ = ["BENCHMARKS", "Bench"]

# Each is a module of its name, of which only the one that is run is imported.
BENCHMARKS: Mapping[str, str] = MappingProxyType(
    {
        "limits": "estimation against the physical limit and tuned peers, exact (minutes of tuning)",
        "loops": "closed-loop costs against the optimum and tuned peers, exact (minutes of tuning)",
        "shocks": "outliers and pushes, 200 episodes a row (a few minutes)",
        "presets": "agents in every colour on the linear MuJoCo plants, 100 seeds (an hour, resumable)",
        "flight": "roll rate from a recorded quadcopter flight, which PCCTRL_DATA must point to (minutes)",
        "pendulum": "nonlinear filters in smooth noise, 60 seeds (minutes of tuning)",
        "cheetah": "a running HalfCheetah from encoders and an IMU, 50 seeds (minutes of tuning)",
        "arm7": "a seven-joint arm whose wrong model the filter adapts (an hour of two cores)",
        "encoders": "that arm with an encoder that freezes or runs away, 48 seeds (ten minutes)",
        "realtime": "whether the seven-joint arm's agents keep 1 kHz (half a minute)",
        "arm": "the published two-joint arm, 100 goals, and tuned peers (minutes)",
        "cruise": "the published PID as active inference, and one that learns within bounds (seconds)",
        "quadrotor": "hovering in Dryden gusts at equal actuator effort, exact and flown (minutes of tuning)",
        "lightdark": "planning over beliefs to food that is best seen by a light, 1000 seeds (half an hour)",
        "swingup": "pendulums swung up and balanced from noisy positions, 100 seeds (an hour)",
        "pusher": "a puck pushed home by sampled plans, and by derivatives, 50 seeds (a minute)",
        "speed": "times, as ratios to the products that they need and to filterpy (seconds)",
    }
)


@dataclass(frozen=True)
class Bench:
    """Make a table of the documentation again."""

    name: Annotated[str, tyro.conf.Positional]
    """Which, see above."""

    def run(self, console: Console) -> None:
        """Run the benchmark and print its table."""
        name = choose("name", self.name, BENCHMARKS)
        importlib.import_module(f"pcctrl.scripts.benchmarks.{name}").run(console)


Bench.__doc__ = f"{Bench.__doc__}\n\n" + "\n\n".join(f"{name}: {said}." for name, said in BENCHMARKS.items())
