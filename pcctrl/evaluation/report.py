"""All plots of a comparison, from its results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from pcctrl.errors import FileError
from pcctrl.evaluation.metrics import Summary
from pcctrl.evaluation.plots import plot_costs, plot_estimates, plot_innovations, plot_overview
from pcctrl.evaluation.results import Results

if TYPE_CHECKING:
    from pcctrl.models import GenerativeModel

__all__ = ["write_report"]


def write_report(
    results: Results, summaries: Mapping[str, Summary], seeds: Sequence[int], model: GenerativeModel, title: str
) -> None:
    """Write ``overview.png``, ``estimates.png``, ``innovations.png`` and ``cost.png`` beside the results.

    Raises:
        FileError: they cannot be written.
    """
    episodes = {name: e for name in summaries if (e := results.episode(name, seeds[0])) is not None}
    rows = {name: results.of(name, seeds) for name in summaries}
    # The last state that moves is one that no sensor reads: a rate.
    states, sensors = list(model.states or ()), list(model.sensors or ())
    moving = [k for e in episodes.values() for k in np.flatnonzero(np.ptp(e.state, axis=0) > 0.0)]
    state = int(max(moving, default=len(states) - 1))
    try:
        plot_estimates(results.directory / "estimates.png", episodes, states)
        plot_innovations(results.directory / "innovations.png", episodes, sensors)
        plot_costs(results.directory / "cost.png", episodes)
        plot_overview(results.directory / "overview.png", title, episodes, summaries, rows, state, states[state])
    except OSError as error:
        raise FileError(
            name=str(results.directory), expected="room for the plots", received=error.strerror or error
        ) from None
