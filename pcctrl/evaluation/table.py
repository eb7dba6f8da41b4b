"""A comparison as a table: failures first, and what each row was told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rich import box
from rich.markup import escape
from rich.table import Table

from pcctrl.evaluation.metrics import Interval, Summary, doubt_nis
from pcctrl.evaluation.rollout import Episode
from pcctrl.evaluation.units import parameter_unit
from pcctrl.filters import Status

MIN_SEEDS = 6
# Parameters that are told in a line.
_LEARNED = 4

__all__ = ["comparison_table", "headline", "learned_lines", "legend", "nis_doubts"]


def comparison_table(title: str, summaries: Mapping[str, Summary], sensors: int) -> Table:
    """Return the table of ``summaries``; the first agent is the one that the others are paired with.

    Args:
        title: above the table.
        summaries: by agent, in order.
        sensors: number of sensors, the NIS that a consistent filter has.
    """
    first = next(iter(summaries))
    table = Table(title=escape(title), title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    table.add_column("agent", no_wrap=True, overflow="fold")
    for heading in ("failed", "cost (IQM)", f"vs {first}", "RMSE", f"NIS ({sensors})", "µs p50/99"):
        table.add_column(heading, justify="right", no_wrap=True, overflow="fold")
    for name, s in summaries.items():
        table.add_row(
            name,
            f"{s.failures}/{s.seeds}",
            f"{_number(s.cost.mean)} ({_number(s.cost.iqm)})\n[{_number(s.cost.low)}, {_number(s.cost.high)}]",
            _relative(s.difference, summaries[first].cost.mean) if s.failures == summaries[first].failures else "–",
            "–" if s.rmse is None else _number(s.rmse.mean),
            "–" if s.nis is None else f"{s.nis:.2f}",
            f"{s.step_us['p50']:.0f}/{s.step_us['p99']:.0f}",
            style="red" if s.failures else "",
        )
    return table


def nis_doubts(summaries: Mapping[str, Summary], sensors: int, samples: int) -> list[str]:
    """Return a sentence on each agent whose NIS is far off; a filter whose noise was tuned for cost is not one.

    Args:
        summaries: by agent.
        sensors: number of sensors.
        samples: scored of each seed.
    """
    said = {n: doubt_nis(s.nis, sensors, samples * s.seeds) for n, s in summaries.items() if s.nis is not None}
    return [f"{name}: {text}." for name, text in said.items() if text]


def headline(summaries: Mapping[str, Summary]) -> str:
    """Return a sentence or two: who failed, who won, by how much, and how sure that is."""
    first, *others = summaries
    fewest = min(s.failures / s.seeds for s in summaries.values())
    parts = [f"{n} failed {s.failures} of {s.seeds}" for n, s in summaries.items() if s.failures]
    if fewest == 1.0:
        return "All agents failed on every seed."
    if parts:
        return "; ".join(parts) + ". Costs of agents that fail differently are not compared; see the table."
    best = min(summaries, key=lambda n: summaries[n].cost.mean)
    for name in others:
        d, reference = summaries[name].difference, summaries[first].cost.mean
        if d is None:
            continue
        # An interval from a handful of seeds is no evidence.
        sure = summaries[name].seeds >= MIN_SEEDS and (d.low > 0.0 or d.high < 0.0)
        verb = "more than" if d.mean > 0.0 else "less than"
        few = summaries[name].seeds < MIN_SEEDS
        doubt = f" (not resolved: below {MIN_SEEDS} seeds)" if few else "" if sure else " (not resolved)"
        parts.append(f"{name} costs {abs(d.mean) / reference:.1%} {verb} {first}{doubt}")
    return f"Lowest mean cost: {best}" + (". " + "; ".join(parts) if parts else "") + "."


def legend(summaries: Mapping[str, Summary], cards: Mapping[str, Any], settle: int) -> str:
    """Return what the columns mean, what the first ``settle`` samples cost, and each agent's card."""
    first = next(iter(summaries))
    lines = [
        "Cost: mean a sample (interquartile mean), below it the 95 % bootstrap interval of the mean over seeds.",
        f"vs {first}: paired difference on the same noise, with its 95 % interval; – where another number failed.",
        "RMSE: of all states, in SI units.",
        "NIS: normalised innovation squared, expected value in brackets; of a filter tuned for cost it says nothing.",
    ]
    if settle:
        starts = ", ".join(f"{name} {_number(s.start_cost)}" for name, s in summaries.items())
        lines.append(f"The first {settle} samples, the start, are scored apart; their mean cost: {starts}.")
    for name, card in cards.items():
        lines.append(f"  {name}: {card['told']}; lag {card['lag']} samples; tuning {card['tuning']}.")
    return "\n".join(lines)


def _relative(difference: Interval | None, reference: float) -> str:
    if difference is None:
        return "–"
    if difference.low == difference.high:
        return f"{100.0 * difference.mean / reference:+.1f} %"
    mean, low, high = (100.0 * v / reference for v in (difference.mean, difference.low, difference.high))
    return f"{mean:+.1f} %\n[{low:+.1f}, {high:+.1f}]"


def _number(value: float) -> str:
    return f"{value:.3g}"


def learned_lines(names: Sequence[str], episode: Episode) -> list[str]:
    """Return what an agent believes of its parameters in the end, and which of them jumped when; none without any.

    Args:
        names: of the parameters, `agents.Card.learns`.
        episode: of that agent.
    """
    if not names:
        return []
    ends = zip(names, episode.learned[-1], episode.learned_std[-1], strict=True)
    shown = [f"{name} {value:.3g} ± {std:.1g} {parameter_unit(name)}".rstrip() for name, value, std in ends][:_LEARNED]
    lines = [f"learned {', '.join(shown)}" + (", … (all in learned.png)" if len(names) > _LEARNED else "")]
    for k in np.flatnonzero(episode.status == Status.JUMP):
        step = episode.learned[k] - episode.learned[k - 1]
        # Others are corrected by it, but by less of what is not known of them.
        i = int(np.argmax(np.abs(step) / np.maximum(episode.learned_std[k - 1], 1e-12)))
        size = f"{step[i]:.3g} {parameter_unit(names[i])}".rstrip()
        lines.append(f"{names[i]} jumped by {size}, found at {k * episode.dt:.3f} s")
    return lines
