"""The descent on a plan's cost, and its minimum within bounds."""

from __future__ import annotations

import numpy as np
import pytest
from plants import swing_up

from pcctrl.controllers import iterated
from pcctrl.controllers.aims import Aim
from pcctrl.controllers.box import box_minimum
from pcctrl.controllers.iterated import Course, PlanStatus, Problem, Solution, descend, walk


def hanging(horizon: int = 40) -> tuple[Problem, Course]:
    """The pendulum's swing-up from a plan of doing nothing."""
    model = swing_up()
    goals, one = np.zeros((horizon + 1, 2)), np.eye(1)
    S = 20.0 * np.eye(2)
    low, high = (np.broadcast_to(limit, (horizon, 1)) for limit in model.limits)
    around = np.zeros(2), np.diag([1.0, 0.1]), 0.01 * one, S
    problem = Problem(Aim(model), np.array([3.0, 0.0]), goals[:-1], *around, np.zeros(1), low, high)
    return problem, Course(goals, np.zeros((horizon, 1)), np.zeros((horizon, 1, 2)), np.inf)


def test_the_minimum_in_a_box_meets_its_conditions() -> None:
    rng = np.random.default_rng(5)
    for _ in range(200):
        p = int(rng.integers(2, 6))
        root, g = rng.standard_normal((p, p)), rng.standard_normal(p)
        H = root @ root.T + 0.01 * np.eye(p)
        low, high = -rng.uniform(0.0, 1.0, p), rng.uniform(0.0, 1.0, p)
        x, free = box_minimum(H, g, low, high)
        slope = g + H @ x
        assert ((low <= x) & (x <= high)).all()
        np.testing.assert_allclose(slope[free], 0.0, atol=1e-8)
        assert (slope[x <= low] >= 0.0).all()
        assert (slope[x >= high] <= 0.0).all()


def solved(iterations: int = 60) -> Solution:
    problem, plan = hanging()
    return descend(problem, [plan], iterations)


def test_the_cost_never_rises_and_ends_at_a_minimum(monkeypatch: pytest.MonkeyPatch) -> None:
    solution = solved()
    assert len(solution.costs) > 5
    assert (np.diff(solution.costs) < 0.0).all()
    assert solution.status == PlanStatus.CONVERGED
    problem, _ = hanging()
    plan = solution.course._replace(gains=np.zeros_like(solution.course.gains))
    for move in 1e-3 * np.random.default_rng(0).standard_normal((20, 40, 1)):
        assert walk(problem, plan, move).cost > solution.course.cost
    # Negative control: without the line search it does rise.
    monkeypatch.setattr(iterated, "_ARMIJO", -np.inf)
    assert (np.diff(solved().costs) > 0.0).any()
