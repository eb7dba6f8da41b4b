"""Pictures of a comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from pcctrl.errors import FileError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pcctrl.evaluation.metrics import Row, Summary
    from pcctrl.evaluation.rollout import Episode
    from pcctrl.filters import Estimate

__all__ = [
    "plot_costs",
    "plot_estimates",
    "plot_innovations",
    "plot_learned",
    "plot_overview",
    "plot_recording",
    "plot_run",
]

# Samples of an estimate, and parameters side by side.
_SHOWN, _ACROSS = 200, 4
_COLOURS = ("#0072b2", "#d55e00", "#e69f00", "#999999", "#009e73", "#cc79a7", "#56b4e9", "#000000")


def plot_estimates(path: Path, episodes: Mapping[str, Episode], states: Sequence[str]) -> None:
    """Write truth and estimate ± 2σ of every state (row) for every agent that estimates (column)."""
    shown = {n: e for n, e in episodes.items() if np.isfinite(e.estimate).any()}
    if not shown:
        return
    figure, axes = _grid(len(states), len(shown))
    for column, (name, e) in enumerate(shown.items()):
        t = np.arange(len(e.cost))[:_SHOWN] * e.dt
        for row, state in enumerate(states):
            _band(axes[row][column], t, e, row)
            # Not by the bands: those of a filter that was tuned for its gain alone say nothing.
            seen = np.concatenate([v[:_SHOWN, row] for x in shown.values() for v in (x.state, x.estimate)])
            low, high = np.nanmin(seen), np.nanmax(seen)
            margin = 0.3 * max(high - low, 1e-9)
            axes[row][column].set_ylim(low - margin, high + margin)
            axes[row][0].set_ylabel(state)
        told = np.isfinite(e.estimate_std).any()
        axes[0][column].set_title(name if told else f"{name} (tuned for cost: no band)", fontsize=10)
        axes[-1][column].set_xlabel(_time(len(e.cost)))
    axes[0][0].legend(fontsize=7)
    _write(figure, path)


def plot_innovations(path: Path, episodes: Mapping[str, Episode], sensors: Sequence[str]) -> None:
    """Write the innovations of every sensor (row) with the ± 2σ that each filter (column) expects of them."""
    shown = {n: e for n, e in episodes.items() if np.isfinite(e.innovation).any()}
    if not shown:
        return
    figure, axes = _grid(len(sensors), len(shown), share=False)
    for column, (name, e) in enumerate(shown.items()):
        t = np.arange(len(e.cost)) * e.dt
        for row, sensor in enumerate(sensors):
            axis = axes[row][column]
            innovation, bound = e.innovation[:, row], 2.0 * e.innovation_std[:, row]
            axis.plot(t, innovation, ".", ms=2, color=_COLOURS[0])
            axis.plot(t, bound, "k-", t, -bound, "k-", lw=0.8)
            seen = np.isfinite(innovation)
            if seen.any() and not np.isfinite(bound[seen]).any():
                axis.set_title(f"{name}: tuned for cost, expects nothing", fontsize=8)
            elif seen.any():
                # The first samples are expected to surprise: let the later ones set the scale.
                reach = 1.2 * max(np.quantile(np.abs(innovation[seen]), 0.999), np.median(bound[seen]))
                axis.set_ylim(-reach, reach)
                inside = np.mean(np.abs(innovation[seen]) < bound[seen])
                axis.set_title(f"{name}: {inside:.0%} within 2σ (95 % expected)", fontsize=8)
            else:
                axis.set_title(f"{name}: no sample", fontsize=8)
            axes[row][0].set_ylabel(f"innovation of {sensor}")
        axes[-1][column].set_xlabel("time [s]")
    _write(figure, path)


def plot_recording(
    path: Path, estimates: Mapping[str, Estimate], t: np.ndarray, states: Sequence[str], truth: Mapping[str, np.ndarray]
) -> None:
    """Write the estimate ± 2σ of every state (row) of a recording by every filter (column), and the truth if known.

    Raises:
        FileError: the file cannot be written.
    """
    figure, axes = _grid(len(states), len(estimates))
    for column, (name, e) in enumerate(estimates.items()):
        for row, state in enumerate(states):
            axis, mean, spread = axes[row][column], e.mean[:, row], 2.0 * e.std[:, row]
            axis.fill_between(t, mean - spread, mean + spread, color=_COLOURS[0], alpha=0.2, lw=0, label="± 2σ")
            axis.plot(t, mean, color=_COLOURS[0], lw=1.0, label="estimate")
            if state in truth:
                axis.plot(t, truth[state], color="black", lw=0.7, label="truth")
            axes[row][0].set_ylabel(state)
        axes[0][column].set_title(name)
        axes[-1][column].set_xlabel("time [s]")
    axes[next((row for row, state in enumerate(states) if state in truth), 0)][0].legend(fontsize=7)
    try:
        _write(figure, path)
    except OSError as error:
        raise FileError(name=str(path), expected="room for the plot", received=error.strerror or error) from None


def plot_costs(path: Path, episodes: Mapping[str, Episode]) -> None:
    """Write the running mean of the cost of every agent's kept episode."""
    figure = Figure(figsize=(7.0, 4.0), layout="constrained")
    axis = figure.subplots()
    for colour, (name, e) in zip(_cycle(len(episodes)), episodes.items(), strict=True):
        t = np.arange(1, len(e.cost) + 1)
        axis.plot(t * e.dt, np.cumsum(e.cost) / t, color=colour, label=name + (" (failed)" if e.failed else ""))
    axis.set(xlabel="time [s]", ylabel="mean cost a sample until then", yscale="log")
    axis.legend()
    _write(figure, path)


def plot_learned(path: Path, episodes: Mapping[str, Episode], names: Mapping[str, Sequence[str]]) -> None:
    """Write what each agent has learned of its parameters ± 2σ, one axis each, over the whole episode.

    Args:
        path: PNG file, not written where nothing is learned.
        episodes: by agent.
        names: of the parameters, with their units, by agent.
    """
    learners = {name: e for name, e in episodes.items() if names.get(name)}
    labels = list(dict.fromkeys(label for name in learners for label in names[name]))
    if not labels:
        return
    figure, axes = _grid(-(-len(labels) // _ACROSS), min(len(labels), _ACROSS), share=False)
    for axis in axes.flat[len(labels) :]:
        axis.set_visible(False)
    for colour, (name, e) in zip(_cycle(len(learners)), learners.items(), strict=True):
        t = np.arange(len(e.cost)) * e.dt
        for label, mean, std in zip(names[name], e.learned.T, e.learned_std.T, strict=True):
            axis = axes.flat[labels.index(label)]
            axis.fill_between(t, mean - 2.0 * std, mean + 2.0 * std, color=colour, alpha=0.2, lw=0, label="± 2σ")
            axis.plot(t, mean, color=colour, lw=1.2, label=name)
            axis.set_title(label, fontsize=9)
    for axis in axes.flat[: len(labels)][-_ACROSS:]:
        axis.set_xlabel("time [s]")
        axis.tick_params(labelbottom=True)
    axes[0][0].legend(fontsize=7)
    _write(figure, path)


def plot_run(path: Path, title: str, e: Episode, states: Mapping[str, int], inputs: Sequence[str]) -> None:
    """Write the picture of one episode: some states with estimate and goal, and the inputs below them, all of it.

    Args:
        path: PNG file.
        title: above it.
        e: the episode.
        states: labels, and which of the states they are.
        inputs: names.
    """
    t = np.arange(len(e.cost)) * e.dt
    figure = Figure(figsize=(11.0, 1.6 * (len(states) + 1) + 0.8), layout="constrained")
    *above, below = figure.subplots(len(states) + 1, 1, sharex=True)
    for axis, (label, i) in zip(above, states.items(), strict=True):
        _band(axis, t, e, i)
        axis.set_ylabel(label)
        parts = np.concatenate([e.state[:, i], e.estimate[:, i], e.goal[:, i]])
        low, high = np.nanmin(parts), np.nanmax(parts)
        margin = 0.3 * max(high - low, 1e-9)
        axis.set_ylim(low - margin, high + margin)
    above[0].legend(fontsize=7, loc="upper right", ncols=4)
    for colour, name, u in zip(_cycle(len(inputs)), inputs, e.action.T, strict=True):
        below.step(t, u, where="post", lw=0.9, color=colour, label=name)
    below.set(xlabel="time [s]", ylabel="inputs")
    below.legend(fontsize=7, loc="upper right", ncols=8)
    figure.suptitle(title, fontsize=10)
    _write(figure, path)


def plot_overview(
    path: Path,
    title: str,
    episodes: Mapping[str, Episode],
    summaries: Mapping[str, Summary],
    rows: Mapping[str, Sequence[Row]],
    state: int,
    label: str,
) -> None:
    """Write the picture that tells the whole: one state's truth and estimate, and the costs with their intervals.

    Args:
        path: PNG file.
        title: above it.
        episodes: the kept episode of each agent.
        summaries: by agent.
        rows: by agent, for the points behind the means.
        state: index of the state shown.
        label: its name.
    """
    shown = [n for n, e in episodes.items() if np.isfinite(e.estimate).any()][:2]
    figure = Figure(figsize=(11.0, 4.4), layout="constrained")
    left, right = np.asarray(figure.subfigures(1, 2, width_ratios=(1.25, 1.0))).flat
    parts = [v[:_SHOWN, state] for n in shown for v in (episodes[n].state, episodes[n].estimate, episodes[n].goal)]
    kept = np.concatenate([part[np.isfinite(part)] for part in parts]) if parts else np.zeros(1)
    middle, reach = 0.5 * (kept.max() + kept.min()), 0.8 * max(np.ptp(kept), 1e-9)
    for axis, name in zip(np.atleast_1d(left.subplots(max(len(shown), 1), 1, sharex=True)), shown, strict=False):
        e = episodes[name]
        _band(axis, np.arange(len(e.cost))[:_SHOWN] * e.dt, e, state)
        error = np.sqrt(np.mean(np.square(e.estimate - e.state)[:, state]))
        axis.set_title(f"{name}: {label}, RMSE {error:.3g}", fontsize=9)
        axis.set_ylim(middle - reach, middle + reach)
        axis.set_xlabel(_time(len(e.cost)))
        axis.legend(fontsize=7, loc="upper right", ncols=4)
    _cost_points(right.subplots(), summaries, rows)
    figure.suptitle(title, fontsize=10)
    _write(figure, path)


def _cost_points(axis: Axes, summaries: Mapping[str, Summary], rows: Mapping[str, Sequence[Row]]) -> None:
    rng = np.random.default_rng(0)
    for height, (colour, (name, s)) in enumerate(zip(_cycle(len(summaries)), summaries.items(), strict=True)):
        costs = np.array([r.cost for r in rows[name]])
        axis.plot(costs, height + rng.uniform(-0.22, 0.22, len(costs)), ".", ms=3, alpha=0.35, color=colour)
        span = [[s.cost.mean - s.cost.low], [s.cost.high - s.cost.mean]]
        axis.errorbar(s.cost.mean, height, xerr=span, fmt="o", color="black", capsize=4)
        axis.annotate(f"{s.cost.mean:.3g}", (s.cost.mean, height - 0.3), ha="center", va="bottom", fontsize=8)
    axis.set_yticks(range(len(summaries)), [_tick(n, s) for n, s in summaries.items()])
    axis.set_ylim(len(summaries) - 0.5, -0.7)
    axis.set_xscale("log")
    axis.set_xlabel("cost a sample: seeds, mean, 95 % interval", fontsize=9)
    axis.xaxis.set_minor_formatter(NullFormatter())
    low, high = axis.get_xlim()
    ticks = [t for t in _round_numbers(low, high) if low <= t <= high]
    axis.set_xticks(ticks, [f"{t:g}" for t in ticks])


def _round_numbers(low: float, high: float) -> list[float]:
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    span = np.log10(high / low)
    steps = (1,) if span > 2.5 else (1, 3) if span > 1.2 else (1, 2, 5) if span > 0.6 else (1, 1.5, 2, 3, 4, 5, 7)
    return [m * 10.0**d for d in decades for m in steps]


def _tick(name: str, summary: Summary) -> str:
    return name + (f"\n{summary.failures} of {summary.seeds} failed" if summary.failures else "")


def _band(axis: Axes, t: np.ndarray, e: Episode, i: int) -> None:
    mean, std = e.estimate[: len(t), i], e.estimate_std[: len(t), i]
    if np.isfinite(std).any():
        axis.fill_between(t, mean - 2.0 * std, mean + 2.0 * std, color=_COLOURS[0], alpha=0.2, lw=0, label="± 2σ")
    axis.plot(t, mean, color=_COLOURS[0], lw=1.2, label="estimate")
    axis.plot(t, e.state[: len(t), i], color="black", lw=0.9, label="truth")
    if np.isfinite(e.goal[: len(t), i]).any():
        axis.plot(t, e.goal[: len(t), i], "--", color=_COLOURS[4], lw=0.9, label="goal")


def _time(samples: int) -> str:
    return "time [s]" if samples <= _SHOWN else f"time [s], the first {_SHOWN} of {samples} samples"


def _grid(rows: int, columns: int, *, share: bool = True) -> tuple[Figure, np.ndarray]:
    figure = Figure(figsize=(3.4 * columns + 0.8, 1.7 * rows + 0.8), layout="constrained")
    return figure, figure.subplots(rows, columns, sharex=True, sharey="row" if share else False, squeeze=False)


def _cycle(count: int) -> list[str]:
    return [_COLOURS[i % len(_COLOURS)] for i in range(count)]


def _write(figure: Figure, path: Path) -> None:
    figure.savefig(path)
