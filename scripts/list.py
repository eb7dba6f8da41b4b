"""``pcctrl list``: the environments and agents there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from pcctrl import agents
from pcctrl.envs import ARMS, LIGHT_DARK, LINEAR, PLANTS, SIMULATIONS, LightDarkEnv

__all__ = ["List"]


@dataclass(frozen=True)
class List:
    """List the environments and the agents."""

    def run(self, console: Console) -> None:
        """Print both tables."""
        table = Table(title="Environments", title_justify="left")
        table.add_column("environment", no_wrap=True, overflow="fold")
        for heading in ("sensors (std)", "dt (s)", "task"):
            table.add_column(heading)
        plants: dict[str, Any] = {**PLANTS, **ARMS, LIGHT_DARK: LightDarkEnv}
        for env_id, plant in plants.items():
            stds = ", ".join(f"{std:g}" for std in dict.fromkeys(plant.sensor_std))
            table.add_row(env_id, stds, f"{plant.sample_time():g}", (plant.__doc__ or "").partition("\n")[0])
        table.add_row(LINEAR, "the model's", "its own", "Any linear model (--model FILE.toml); two masses by default.")
        for source, simulation in SIMULATIONS.items():
            stds = ", ".join(f"{std:g}" for std in simulation.sensor_std)
            table.add_row(source, stds, f"{simulation.sample_time():g}", simulation.purpose)
        table.add_row(
            "FILE.xml or a Gymnasium id", "--plant.sensors", "its own", "Any MuJoCo simulation, held at a goal."
        )
        console.print(table)
        table = Table("agent", "what it is", title="Agents", title_justify="left")
        for name in agents.PRESETS:
            table.add_row(name, agents.describe(name))
        console.print(table)
