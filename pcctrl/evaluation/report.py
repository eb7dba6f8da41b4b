"""All plots of a comparison, from its results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pcctrl.errors import FileError
from pcctrl.evaluation.metrics import Summary
from pcctrl.evaluation.plots import (
    plot_costs,
    plot_estimates,
    plot_innovations,
    plot_learned,
    plot_overview,
    plot_run,
)
from pcctrl.evaluation.results import Results
from pcctrl.evaluation.rollout import Episode
from pcctrl.evaluation.units import parameter_unit, sensor_units, state_units

if TYPE_CHECKING:
    from pcctrl.models import GenerativeModel

__all__ = ["write_report"]


def write_report(
    results: Results,
    summaries: Mapping[str, Summary],
    seeds: Sequence[int],
    model: GenerativeModel,
    title: str,
    cards: Mapping[str, Any] | None = None,
) -> None:
    """Write ``overview.png``, ``estimates.png``, ``innovations.png`` and ``cost.png`` beside the results.

    And ``learned.png`` where an agent adapts parameters.

    Args:
        results: of the comparison.
        summaries: by agent.
        seeds: of which the first is shown.
        model: whose states, sensors and inputs they are.
        title: of the overview.
        cards: by agent; the deviations of one that is not ``calibrated`` are not drawn; what one ``learns`` is.

    Raises:
        FileError: they cannot be written.
    """
    kept = {name: e for name in summaries if (e := results.episode(name, seeds[0])) is not None}
    episodes = {name: _shown(e, model, (cards or {}).get(name) or {}) for name, e in kept.items()}
    rows = {name: results.of(name, seeds) for name in summaries}
    states = [f"{name} [{unit}]" for name, unit in state_units(model).items()]
    sensors = [f"{name} [{unit}]" for name, unit in sensor_units(model).items()]
    learned = {
        n: [f"{p} [{parameter_unit(p) or 1}]" for p in (cards or {}).get(n, {}).get("learns", ())] for n in episodes
    }
    # The last state that moves is one that no sensor reads: a rate.
    moving = sorted({int(k) for e in episodes.values() for k in np.flatnonzero(np.ptp(e.state, axis=0) > 0.0)})
    state = max(moving, default=len(states) - 1)
    try:
        plot_estimates(results.directory / "estimates.png", episodes, states)
        plot_innovations(results.directory / "innovations.png", episodes, sensors)
        plot_costs(results.directory / "cost.png", episodes)
        plot_learned(results.directory / "learned.png", episodes, learned)
        overview = results.directory / "overview.png"
        if len(summaries) == len(seeds) == len(episodes) == 1:
            (name, e), some = *episodes.items(), moving or [state]
            shown = {states[k]: k for k in dict.fromkeys([*some[:2], some[len(some) // 2], state])}
            plot_run(overview, f"{name} in {title}", e, shown, list(model.inputs or ()))
        else:
            plot_overview(overview, title, episodes, summaries, rows, state, states[state])
    except OSError as error:
        raise FileError(
            name=str(results.directory), expected="room for the plots", received=error.strerror or error
        ) from None


def _shown(e: Episode, model: GenerativeModel, card: Mapping[str, Any]) -> Episode:
    """Return the episode with the operating point for a goal that is not said, without deviations that mean nothing."""
    if not np.isfinite(e.goal).any() and e.goal.shape[1] == len(model.start[0]):
        e = replace(e, goal=np.broadcast_to(model.start[0], e.goal.shape))
    if card.get("calibrated", True):
        return e
    nothing = np.full_like(e.innovation_std, np.nan)
    return replace(e, estimate_std=np.full_like(e.estimate_std, np.nan), innovation_std=nothing)
