"""Numbers of an episode and of many: failures first, means with intervals, paired differences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy.stats

from pcctrl.arrays import Array

if TYPE_CHECKING:
    from pcctrl.evaluation.rollout import Episode

__all__ = ["Interval", "Row", "Summary", "difference", "doubt_nis", "interval", "score", "summarise"]

_RESAMPLES = 5000


@dataclass(frozen=True)
class Row:
    """One agent on one seed.

    Args:
        agent: its name.
        seed: of the environment.
        failed: whether the plant was lost.
        steps: samples until then, or all.
        cost: mean cost a sample after the start; after a failure each sample costs as much as the last.
        start_cost: the same over the start, which the noise has less to do with than where the plant began.
        rmse: root mean square error of the estimate after the start over all states (in their mixed SI units), NaN
            without an estimate.
        nis: mean normalised innovation squared after the start; the number of sensors is expected.
        step_us_p50: median microseconds a decision.
        step_us_p99: its 99th percentile.
    """

    agent: str
    seed: int
    failed: bool
    steps: int
    cost: float
    start_cost: float
    rmse: float
    nis: float
    step_us_p50: float
    step_us_p99: float


@dataclass(frozen=True)
class Interval:
    """Mean and interquartile mean with their 95 % bootstrap intervals.

    Args:
        mean: over seeds.
        iqm: mean of the middle half.
        low: lower end of the mean's interval.
        high: its upper end.
        iqm_low: lower end of the interquartile mean's interval.
        iqm_high: its upper end.
    """

    mean: float
    iqm: float
    low: float
    high: float
    iqm_low: float
    iqm_high: float


@dataclass(frozen=True)
class Summary:
    """One agent over all seeds.

    Args:
        failures: number of seeds on which the plant was lost.
        seeds: number of seeds.
        cost: mean cost a sample after the start.
        start_cost: mean over seeds of the start's mean cost a sample.
        rmse: of the estimate, None without one.
        nis: mean over seeds, None without an estimate.
        step_us: ``p50`` and ``p99``, medians over seeds.
        difference: cost minus that of the first agent, paired by seed; None for the first.
    """

    failures: int
    seeds: int
    cost: Interval
    start_cost: float
    rmse: Interval | None
    nis: float | None
    step_us: dict[str, float]
    difference: Interval | None


def score(agent: str, seed: int, episode: Episode, steps: int, settle: int = 0) -> Row:
    """Return the row of an episode that was to last ``steps`` samples, of which the first ``settle`` are the start."""
    done = len(episode.cost)
    # What a lost plant costs from then on is a convention: as much as when it was lost.
    cost = np.concatenate([episode.cost, np.full((steps - done) * episode.failed, episode.cost[-1])])
    settled = slice(settle if done > settle else 0, None)
    return Row(
        agent=agent,
        seed=seed,
        failed=episode.failed,
        steps=done,
        cost=float(cost[settle:].mean()),
        start_cost=float(cost[: max(settle, 1)].mean()),
        rmse=float(np.sqrt(np.mean(np.square(episode.estimate - episode.state)[settled]))),
        nis=_nis(episode, settled),
        step_us_p50=float(np.median(episode.step_us)),
        step_us_p99=float(np.percentile(episode.step_us, 99.0)),
    )


def _nis(episode: Episode, where: slice) -> float:
    """Return the mean NIS, as if no sample had been missing: NIS counts the sensors that were there."""
    present = np.count_nonzero(np.isfinite(episode.observation[where]))
    sensors = episode.observation.shape[1]
    return float(sensors * episode.nis[where].sum() / present) if present else float("nan")


def doubt_nis(nis: float, sensors: int, samples: int) -> str:
    """Return in words what is wrong with a mean NIS, or nothing.

    It is far off outside its chi-squared band of 99.9 % and by more than a tenth, which is more than a good
    approximation makes of it.

    Args:
        nis: mean over the samples.
        sensors: that it should be.
        samples: behind it.
    """
    low, high = scipy.stats.chi2.ppf([0.0005, 0.9995], sensors * samples) / samples
    low, high = min(low, 0.9 * sensors), max(high, 1.1 * sensors)
    if not np.isfinite(nis) or low <= nis <= high:
        return ""
    # Errors go with the root of their squares.
    ratio = float(np.sqrt(nis / sensors))
    if nis > high:
        return (
            f"NIS {nis:.3g} where {sensors} is expected: the filter is too sure of itself, its errors are "
            f"{ratio:.1f} × what it believes (noise told too small, or a model that is wrong)"
        )
    return (
        f"NIS {nis:.3g} where {sensors} is expected: the filter is too modest, its errors are {ratio:.2f} × what it "
        "believes (noise told too large, or smoother than its generalised coordinates can say)"
    )


def interval(values: Array) -> Interval:
    """Return mean and interquartile mean of ``values`` (k,) with percentile bootstrap intervals (fixed seed)."""
    centre = float(np.mean(values)), _iqm(values)
    if len(values) < 2:
        return Interval(centre[0], centre[1], centre[0], centre[0], centre[1], centre[1])
    rng = np.random.default_rng(0)
    ends = []
    for statistic in (np.mean, _iqm):
        found = scipy.stats.bootstrap(
            (values,), statistic, n_resamples=_RESAMPLES, method="percentile", rng=rng, vectorized=True
        )
        ends += [float(found.confidence_interval.low), float(found.confidence_interval.high)]
    return Interval(*centre, *ends)


def difference(rows: Sequence[Row], first: Sequence[Row]) -> Interval:
    """Return the paired difference in cost of ``rows`` to ``first`` over the seeds that both have."""
    reference = {r.seed: r.cost for r in first}
    return interval(np.array([r.cost - reference[r.seed] for r in rows if r.seed in reference]))


def summarise(rows: Sequence[Row], first: Sequence[Row] | None) -> Summary:
    """Return the summary of one agent's ``rows``, paired with the ``first`` agent's if given."""
    rmse = np.array([r.rmse for r in rows])
    known = bool(np.isfinite(rmse).all())
    return Summary(
        failures=sum(r.failed for r in rows),
        seeds=len(rows),
        cost=interval(np.array([r.cost for r in rows])),
        start_cost=float(np.mean([r.start_cost for r in rows])),
        rmse=interval(rmse) if known else None,
        nis=float(np.mean([r.nis for r in rows])) if known else None,
        step_us={
            "p50": float(np.median([r.step_us_p50 for r in rows])),
            "p99": float(np.median([r.step_us_p99 for r in rows])),
        },
        difference=None if first is None else difference(rows, first),
    )


def _iqm(values: Array, axis: int = -1) -> float:
    return scipy.stats.trim_mean(values, 0.25, axis=axis)  # type: ignore[no-any-return]
