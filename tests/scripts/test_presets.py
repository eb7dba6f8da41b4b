from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from pcctrl import agents
from pcctrl.evaluation.metrics import Interval, Summary
from pcctrl.scripts.benchmarks import presets


def interval(mean: float, low: float, high: float) -> Interval:
    return Interval(mean=mean, iqm=mean, low=low, high=high, iqm_low=low, iqm_high=high)


def summary(cost: float, difference: tuple[float, float, float] | None = None) -> Summary:
    found = None if difference is None else interval(*difference)
    return Summary(
        failures=0,
        seeds=100,
        cost=interval(cost, cost, cost),
        start_cost=cost,
        rmse=None,
        nis=None,
        difference=found,
        step_us={},
    )


def test_claims_read_the_paired_difference_the_right_way_round() -> None:
    peers = [name for name in presets.AGENTS if name != "aif"]
    better = {"aif": summary(1.0), **{name: summary(1.1, (0.1, 0.05, 0.15)) for name in peers}}
    worse = {"aif": summary(1.0), **{name: summary(0.9, (-0.1, -0.15, -0.05)) for name in peers}}
    unsure = {"aif": summary(1.0), **{name: summary(1.01, (0.01, -0.05, 0.07)) for name in peers}}
    env_id = "pcctrl/CartPole-v0"
    assert all(c.met for c in presets.claims({(env_id, "2"): better}))
    found = {c.text: c for c in presets.claims({(env_id, "2"): worse})}
    assert [c.text for c in found.values() if c.met] == ["failures of aif"]
    assert found["mean over pid"].worst == pytest.approx(0.1 / 0.9)
    # Not resolved: better on the mean, but nothing is claimed of s = 2 that the interval does not say.
    assert not presets.claims({(env_id, "2"): unsure})[1].met


def test_every_colour_is_told_as_it_is_simulated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presets, "AGENTS", ("aif", "lqg"))
    monkeypatch.setattr(presets, "STEPS", 30)
    monkeypatch.setattr(presets, "SETTLE", 3)
    env_id = "pcctrl/MassSpringDamper-v0"
    for colour in ("AR(1)", "2/white", "1"):
        summaries, cards = presets.summaries_at(env_id, colour, 2, tmp_path, Console(quiet=True))
        assert summaries["lqg"].difference is not None
        assert np.isfinite(summaries["aif"].cost.mean)
        assert cards["aif"]["tuning"] == "none"
    assert {"aif", "lqg"} <= set(agents.PRESETS)
