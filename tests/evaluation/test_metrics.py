from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pcctrl.evaluation import Episode, Row, Summary, interval, score, summarise
from pcctrl.evaluation.metrics import doubt_nis
from pcctrl.evaluation.table import comparison_table, headline


def episode(cost: list[float], failed: bool = False) -> Episode:
    T = len(cost)
    one = np.ones((T, 1))
    return Episode(
        dt=0.1,
        failed=failed,
        reason="lost" if failed else "",
        state=one,
        goal=one,
        observation=one,
        estimate=one + 0.5,
        estimate_std=one,
        innovation=one,
        innovation_std=one,
        nis=np.arange(T, dtype=float),
        status=np.zeros(T, dtype=np.int64),
        action=one,
        cost=np.array(cost),
        step_us=np.arange(T, dtype=float),
        learned=np.zeros((T, 0)),
        learned_std=np.zeros((T, 0)),
    )


def row(agent: str, seed: int, cost: float, failed: bool = False) -> Row:
    return Row(agent, seed, failed, 10, cost, 0.0, 0.1, 1.0, 1.0, 2.0)


def test_score_of_a_whole_episode() -> None:
    r = score("a", 3, episode([10.0, 1.0, 2.0, 3.0]), steps=4, settle=1)
    assert (r.cost, r.start_cost, r.rmse, r.nis) == (2.0, 10.0, 0.5, 2.0)
    assert (r.failed, r.steps, r.step_us_p50) == (False, 4, 1.5)


def test_a_lost_plant_pays_to_the_end() -> None:
    assert score("a", 0, episode([1.0, 5.0], failed=True), steps=10).cost == pytest.approx((1.0 + 9 * 5.0) / 10)
    assert score("a", 0, episode([1.0, 5.0], failed=True), steps=10, settle=5).cost == 5.0


def test_intervals_cover_at_their_level() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(120):
        found = interval(rng.normal(2.0, 1.0, 40))
        covered += found.low <= 2.0 <= found.high
    # Percentile intervals of 40 points cover some 93-95 %: 4 standard errors below that.
    assert covered / 120 > 0.85
    assert covered < 120


def test_interquartile_mean_ignores_the_tails() -> None:
    found = interval(np.array([1.0, 1.0, 2.0, 2.0, 2.0, 2.0, 3.0, 1000.0]))
    assert found.iqm == 2.0
    assert found.mean > 100.0


def test_pairing_takes_out_the_seed() -> None:
    luck = np.random.default_rng(0).normal(0, 5.0, 30)
    first = [row("a", s, 10.0 + luck[s]) for s in range(30)]
    second = [row("b", s, 11.0 + luck[s] + 0.01 * s) for s in reversed(range(30))]
    summary = summarise(second, first)
    assert summary.difference is not None
    assert 1.0 < summary.difference.low < summary.difference.high < 1.3
    assert summary.cost.high - summary.cost.low > 2.0


def test_failures_are_counted_and_one_seed_has_no_width() -> None:
    summary = summarise([row("a", 0, 1.0, failed=True)], None)
    assert (summary.failures, summary.seeds) == (1, 1)
    assert summary.cost.low == summary.cost.high == 1.0
    assert summary.difference is None


def table(**costs: tuple[float, int]) -> dict[str, Summary]:
    """Summaries of 10 seeds: mean cost, and how many of the seeds failed."""
    rows = {
        name: [row(name, s, cost + 0.01 * s, failed=s < failures) for s in range(10)]
        for name, (cost, failures) in costs.items()
    }
    first = next(iter(rows.values()))
    return {name: summarise(r, None if r is first else first) for name, r in rows.items()}


def test_headline_names_failures_before_costs() -> None:
    assert "Lowest mean cost: a. b costs 9" in headline(table(a=(1.0, 0), b=(2.0, 0)))
    mixed = headline(table(a=(1.0, 0), b=(0.1, 3)))
    assert mixed.startswith("b failed 3 of 10.")
    assert "Lowest" not in mixed
    assert headline(table(a=(1.0, 10), b=(2.0, 10))) == "All agents failed on every seed."


def test_costs_of_agents_that_fail_differently_are_not_compared() -> None:
    rows = comparison_table("", table(a=(1.0, 1), b=(2.0, 1), c=(3.0, 0)), 1)
    assert [str(cell)[:1] for cell in rows.columns[3].cells] == ["–", "+", "–"]


def test_headline_says_what_is_not_resolved() -> None:
    assert "(not resolved" not in headline(table(a=(1.0, 0), b=(2.0, 0)))
    few = {
        n: summarise([row(n, 0, c), row(n, 1, c)], [row("a", 0, 1.0), row("a", 1, 1.0)])
        for n, c in (("a", 1.0), ("b", 2.0))
    }
    assert "(not resolved: below 6 seeds)" in headline(few)


def test_nis_counts_the_sensors_that_were_there() -> None:
    e = episode([1.0, 1.0, 1.0, 1.0])
    gaps = replace(e, observation=np.array([[1.0], [np.nan], [1.0], [np.nan]]), nis=np.array([1.0, 0.0, 3.0, 0.0]))
    assert score("a", 0, gaps, steps=4).nis == 2.0


def test_a_nis_is_doubted_only_where_it_is_far_off() -> None:
    assert doubt_nis(2.05, 2, 10_000) == ""  # sure to be off, but not far
    assert doubt_nis(2.6, 2, 20) == ""  # far, but not sure
    assert "too sure of itself, its errors are 2.0 ×" in doubt_nis(8.0, 2, 100)
    assert "too modest" in doubt_nis(0.5, 2, 100)
    assert doubt_nis(float("nan"), 2, 100) == ""
    rng = np.random.default_rng(0)
    flagged = [doubt_nis(float(rng.chisquare(2, 50).mean()), 2, 50) != "" for _ in range(2000)]
    assert np.mean(flagged) < 0.001 + 4.0 * np.sqrt(0.001 / 2000)
