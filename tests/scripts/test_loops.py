"""What the benchmarks of control claim, with smaller budgets, each with a negative control."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pcctrl.filters import LinearFilter
from pcctrl.scripts.benchmarks import shocks
from pcctrl.scripts.benchmarks.loops import PLANTS, claims, loop_row, push_row, task_of
from pcctrl.tuning import tune_lqg


@pytest.mark.parametrize("plant", PLANTS)
def test_active_inference_is_near_the_optimum_and_below_a_tuned_lqg(plant: str) -> None:
    at_2 = tune_lqg(task_of(plant, "2"), starts=2, evaluations=150).values
    row = loop_row(plant, "5", at_2, starts=2, evaluations=150)
    asked = claims([row])
    assert len(asked) == 4
    assert all(c.met for c in asked)
    assert row.reflex < row.lqg
    assert row.tuned < row.elsewhere
    # Negative control: without the forecast of the disturbance the first claim fails.
    assert not claims([replace(row, aif=row.x_only)])[0].met


def test_after_a_push_active_inference_costs_no_more_than_an_integral_lqg() -> None:
    row = push_row("cart-pole", "2", starts=2, evaluations=200)
    (claim,) = claims([], [row])
    assert claim.met
    # The force itself costs ρ u² of 0.09 to cancel, whoever does it.
    assert row.aif > 0.09


def test_the_outlier_rule_keeps_the_cost_and_the_cap_keeps_the_pole() -> None:
    row = shocks.outlier_row("cart-pole", "2", episodes=40, steps=300)
    pushed = shocks.pushed_row("2", episodes=20, steps=250)
    outliers, pushes = shocks.claims([row], [pushed])
    assert row.ratio < 1.06  # 40 × 270 samples resolve no more
    assert row.rule < 1.02
    assert outliers.worst == row.ratio
    assert pushes.met
    # Negative controls: without the rule, without the cap.
    assert row.without > 5.0
    assert max(pushed.uncapped) > 5


def test_negative_control_with_a_precision_that_is_not_carried_outliers_cost_twice_as_much(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A doubted sample leaves the belief less certain; to forget that at once is to fall for the next one."""
    monkeypatch.setattr(LinearFilter, "_settle", lambda self, _: self.steady.covariance)
    assert shocks.outlier_row("cart-pole", "2", episodes=40, steps=300).ratio > 1.5


def test_every_task_is_what_the_issue_says() -> None:
    mass, cart = (task_of(plant, "white").linear for plant in PLANTS)
    assert mass.dt == 0.1
    assert cart.dt == 0.02
    np.testing.assert_allclose(np.linalg.eigvals(mass.A).imag.max(), np.sqrt(4.0 - 0.2**2))
    # A pole of half length ½ on a free cart falls with g / (l (4/3 − m / (M + m))).
    falling = np.sqrt(9.81 / (0.5 * (4.0 / 3.0 - 0.1 / 1.1)))
    np.testing.assert_allclose(np.linalg.eigvals(cart.A).real.max(), falling)
