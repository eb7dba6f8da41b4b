"""What is asked of a benchmark's ratios, and the worst that was measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from rich import box
from rich.table import Table

__all__ = ["Claim", "claim", "claims_table", "plain_table"]

# What a dense inverse and a search resolve.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Claim:
    """What is asked of a ratio, and the worst that was measured."""

    text: str
    worst: float
    where: str
    asked: float

    @property
    def met(self) -> bool:
        """Whether the worst is within what is asked; what is no number is not."""
        return self.worst <= self.asked + _ROUNDING


def claim(text: str, asked: float, measured: Iterable[tuple[float, str]]) -> list[Claim]:
    """Return the claim on the largest of ``measured`` (ratio, where), or nothing if nothing was measured."""
    found = [(ratio if np.isfinite(ratio) else np.inf, where) for ratio, where in measured]
    return [Claim(text, *max(found), asked)] if found else []


def claims_table(claims: Sequence[Claim], title: str = "Asked") -> Table:
    """Return the table of claims: ratio, worst, asked, met or not, where."""
    table = plain_table(title, ("",), ("worst", "asked"), ("", "worst at"))
    for c in claims:
        table.add_row(c.text, f"{c.worst:.3f}", f"{c.asked:g}", "met" if c.met else "NOT met", c.where)
    return table


def plain_table(title: str, left: Sequence[str], right: Sequence[str], more: Sequence[str] = ()) -> Table:
    """Return an empty table, as narrow as it goes: headings of columns to the left, to the right, to the left again."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for headings, justify in ((left, "left"), (right, "right"), (more, "left")):
        for heading in headings:
            table.add_column(heading, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    return table
