"""A comparison as a table: failures first, and what each row was told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.table import Table

from pcctrl.evaluation.metrics import Interval, Summary

__all__ = ["comparison_table", "headline", "legend"]


def comparison_table(title: str, summaries: Mapping[str, Summary], sensors: int) -> Table:
    """Return the table of ``summaries``; the first agent is the one that the others are paired with.

    Args:
        title: above the table.
        summaries: by agent, in order.
        sensors: number of sensors, the NIS that a consistent filter has.
    """
    first = next(iter(summaries))
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    table.add_column("agent", no_wrap=True)
    for heading in ("failed", "cost (IQM)", f"vs {first}", "RMSE", f"NIS ({sensors})", "µs p50/99"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, s in summaries.items():
        table.add_row(
            name,
            f"{s.failures}/{s.seeds}",
            f"{_number(s.cost.mean)} ({_number(s.cost.iqm)})\n[{_number(s.cost.low)}, {_number(s.cost.high)}]",
            _relative(s.difference, summaries[first].cost.mean),
            "–" if s.rmse is None else _number(s.rmse.mean),
            "–" if s.nis is None else f"{s.nis:.2f}",
            f"{s.step_us['p50']:.0f}/{s.step_us['p99']:.0f}",
            style="red" if s.failures else "",
        )
    return table


def headline(summaries: Mapping[str, Summary]) -> str:
    """Return one sentence: who won, by how much, and how sure that is."""
    first, *others = summaries
    kept = {n: s for n, s in summaries.items() if s.failures == min(x.failures for x in summaries.values())}
    best = min(kept, key=lambda n: kept[n].cost.mean)
    parts = []
    for name in others:
        d, reference = summaries[name].difference, summaries[first].cost.mean
        if d is None:
            continue
        sure = d.low > 0.0 or d.high < 0.0
        verb = "more than" if d.mean > 0.0 else "less than"
        parts.append(f"{name} costs {abs(d.mean) / reference:.1%} {verb} {first}" + ("" if sure else " (not resolved)"))
    return f"Lowest cost: {best}" + (". " + "; ".join(parts) if parts else "") + "."


def legend(summaries: Mapping[str, Summary], cards: Mapping[str, Any], settle: int) -> str:
    """Return what the columns mean, what the first ``settle`` samples cost, and each agent's card."""
    first = next(iter(summaries))
    lines = [
        "Cost: mean a sample (interquartile mean), below it the 95 % bootstrap interval of the mean over seeds.",
        f"vs {first}: paired difference on the same noise, with its 95 % interval. RMSE: of all states, in SI units.",
        "NIS: normalised innovation squared, expected value in brackets.",
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
    mean, low, high = (100.0 * v / reference for v in (difference.mean, difference.low, difference.high))
    return f"{mean:+.1f} %\n[{low:+.1f}, {high:+.1f}]"


def _number(value: float) -> str:
    return f"{value:.3g}"
