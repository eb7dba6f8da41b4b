"""Every preset in every colour on the MuJoCo plants: simulation, on paired seeds."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from pcctrl.envs import PLANTS, NoiseOptions
from pcctrl.evaluation import Comparison, Summary
from pcctrl.scripts.benchmarks.claims import Claim, claim, claims_table, plain_table
from pcctrl.scripts.common import build_agents, compare_with_progress, env_factory, task_description

__all__ = ["AGENTS", "COLOURS", "claims", "run", "summaries_at"]

# aif comes first: the others are paired with it.
AGENTS = ("aif", "aif-reflex", "aif-pid", "lqg", "lqg-tuned", "lqg-integral", "pid")
COLOURS: dict[str, NoiseOptions] = {
    "white": NoiseOptions(colour="white"),
    **{f"{s:g}": NoiseOptions(s=s) for s in (0.5, 1.0, 2.0, 3.0, 5.0)},
    "OU 10": NoiseOptions(colour="ou", s=10.0),
}
STEPS, SETTLE = 1000, 100
Found = Mapping[tuple[str, str], Mapping[str, Summary]]


def summaries_at(
    env_id: str, colour: str, seeds: int, out: Path, console: Console
) -> tuple[dict[str, Summary], dict[str, Any]]:
    """Return the summaries and cards in one plant and colour, over ``seeds`` seeds of 1000 samples."""
    plant, told = PLANTS[env_id], COLOURS[colour]
    s = None if told.s is None else told.s * plant.sample_time()
    noise = NoiseOptions(colour=told.colour, s=s)
    make_env = env_factory(env_id, noise, STEPS)
    built, cards = build_agents(AGENTS, make_env(), console)
    task = task_description(env_id, noise, STEPS, SETTLE)
    comparison = Comparison(make_env, built, STEPS, range(seeds), task, cards, min(2, os.cpu_count() or 1), SETTLE)
    directory = out / f"{_short(env_id)}-{colour.replace(' ', '')}"
    summaries, _ = compare_with_progress(comparison, directory, console)
    return summaries, cards


def claims(found: Found) -> list[Claim]:
    """Return what is asked of ``aif``: no worse than a peer where the interval of the paired difference excludes 0."""

    def over(peer: str, colours: tuple[str, ...]) -> list[tuple[float, str]]:
        ratios = []
        for (env_id, colour), summaries in found.items():
            d = summaries[peer].difference
            if colour in colours and d is not None:
                # How much dearer aif is, at the least that the interval allows.
                ratios.append((-d.high / summaries[peer].cost.mean, f"{_short(env_id)}, {colour}"))
        return ratios

    def failures() -> list[tuple[float, str]]:
        return [(float(s["aif"].failures), f"{_short(e)}, {c}") for (e, c), s in found.items()]

    smooth, every = ("2", "3", "5"), tuple(COLOURS)
    return [
        *claim("failures of aif", 0.0, failures()),
        *claim("excess over lqg-tuned, s ≥ 2", 0.0, over("lqg-tuned", smooth)),
        *claim("excess over lqg-tuned, any colour", 0.02, over("lqg-tuned", every)),
        *claim("excess over lqg-integral, any colour", 0.0, over("lqg-integral", every)),
        *claim("excess over pid, any colour", 0.0, over("pid", every)),
    ]


def run(console: Console, seeds: int = 100, out: Path = Path("out/bench/presets")) -> None:
    """Print the table; rows that ``out`` already has are not run again."""
    found: dict[tuple[str, str], dict[str, Summary]] = {}
    budgets: dict[str, str] = {}
    for env_id in PLANTS:
        for colour in COLOURS:
            found[env_id, colour], cards = summaries_at(env_id, colour, seeds, out, console)
            budgets |= {name: card["tuning"] for name, card in cards.items()}
    title = f"Cost on the MuJoCo plants, {seeds} paired seeds × {STEPS} samples"
    table = plain_table(title, ("plant", "noise", "agent"), ("failed", "cost", "vs aif", "95 % interval"))
    for (env_id, colour), summaries in found.items():
        reference = summaries["aif"].cost.mean
        for name, summary in summaries.items():
            d = summary.difference
            table.add_row(
                *(_short(env_id), colour, name, f"{summary.failures}/{summary.seeds}", f"{summary.cost.mean:.5f}"),
                "–" if d is None else f"{d.mean / reference:+.1%}",
                "–" if d is None else f"[{d.low / reference:+.1%}, {d.high / reference:+.1%}]",
                end_section=name == AGENTS[-1],
            )
    console.print(table)
    console.print(
        "noise: smoothness s in samples, or the time constant of Ornstein-Uhlenbeck noise. aif, aif-reflex: noise told "
        "with its colour. lqg: variances told, taken for white. The others are tuned for that very colour on the exact "
        "linear cost. Process std 1 N; sensors 0.01 m and 0.005 rad (cart-pole), 0.1 m (mass-spring-damper); floor "
        f"1e-3; lag 0. The first {SETTLE} samples are the start and not scored (failures are). Tuning, at the last: "
        + "; ".join(f"{name}: {budget}" for name, budget in budgets.items())
        + "\n"
    )
    console.print(claims_table(claims(found), "Asked of aif"))
    console.print(
        "Excess: by how much aif costs more, at the least that the 95 % interval of the paired difference allows; "
        "below 0 it costs less. Where aif is the same loop as a peer, in white noise, it is 0."
    )


def _short(env_id: str) -> str:
    return env_id.removeprefix("pcctrl/").removesuffix("-v0")
