"""What the commands share: agents by name, and comparisons with their progress."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import gymnasium as gym
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from pcctrl import agents
from pcctrl.arrays import choose
from pcctrl.errors import ParameterError
from pcctrl.evaluation import Comparison, Results, Summary, compare

__all__ = ["build_agents", "compare_with_progress", "print_wide"]


def build_agents(
    names: Sequence[str], env: gym.Env[Any, Any], console: Console, flag: str = "agents"
) -> tuple[dict[str, agents.Agent], dict[str, Any]]:
    """Return the agents for ``env`` by name, and the card of each; tuning shows a spinner."""
    for name in names:
        choose(flag, name, agents.PRESETS)
    if len(set(names)) != len(names):
        raise ParameterError(name=flag, expected="different names", received=" ".join(names))
    task = agents.task_of(env)
    built = {}
    with console.status("") as status:
        for name in names:
            status.update(f"Building {name}: {agents.describe(name)}")
            built[name] = agents.make(name, task)
    return built, {name: asdict(agent.card) for name, agent in built.items()}


def compare_with_progress(
    comparison: Comparison, directory: Path, console: Console
) -> tuple[dict[str, Summary], Results]:
    """Run a comparison under a progress bar, saying what was found finished."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True) as bar:
        line = bar.add_task("Episodes", total=None)
        found: list[int] = []

        def show(done: int, total: int) -> None:
            if not found:
                found.append(done)
                if done:
                    console.print(f"{done} of {total} episodes found finished in {directory}")
            bar.update(line, completed=done, total=total)

        return compare(comparison, directory, show)


def print_wide(console: Console, table: Table) -> None:
    """Print a table, wider than the console rather than with a number cut short."""
    narrow, needed = console.width, console.measure(table, options=console.options.update(max_width=400)).maximum
    console.width = max(narrow, needed)
    console.print(table, crop=False, soft_wrap=True)
    console.width = narrow
