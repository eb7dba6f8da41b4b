from __future__ import annotations

import io

import numpy as np
import pytest
from rich.console import Console

from pcctrl.scripts.benchmarks import swingup
from pcctrl.scripts.benchmarks.swingup import Plant, SwingUp, inverted_pendulum, pendulum, planner, regulator, swing_up


@pytest.mark.parametrize("plant", [pendulum(), inverted_pendulum()], ids=lambda p: p.name)
def test_the_model_is_the_simulation_and_swings_it_up(plant: Plant) -> None:
    low, high = plant.model.limits
    x, rng = plant.reset(0), np.random.default_rng(0)
    assert abs(abs(x[plant.angle]) - np.pi) < 0.2
    for _ in range(40):
        u = rng.uniform(low, high)
        want, x = plant.model.transition(x, u), plant.step(u)
        np.testing.assert_allclose(x, want, rtol=1e-9, atol=1e-9)
    assert swing_up(plant, planner(plant), 0).held
    # Negative control: what is best near upright isn't from hanging.
    assert not swing_up(plant, regulator(plant), 0).held


def test_the_table_fits_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    done = iter([SwingUp(True, 1.0, 0.1, (0.01, 0.02)), SwingUp(False, np.nan, 0.1, (0.01, 0.02))] * 2)
    monkeypatch.setattr(swingup, "swing_up", lambda *_: next(done))
    console = Console(width=80, record=True, file=io.StringIO())
    swingup.run(console, 1)
    printed = console.export_text()
    assert "…" not in printed
    assert printed.count("1/1") == printed.count("0/1") == 2
    assert max(map(len, printed.splitlines())) <= 80
