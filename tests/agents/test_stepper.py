from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from plants import smooth_cart_pole, smooth_msd

import pcctrl.envs  # noqa: F401
from pcctrl import agents
from pcctrl.agents import Agent, Card
from pcctrl.controllers import PID, ExpectedFreeEnergy
from pcctrl.errors import ModelError
from pcctrl.filters import Belief, PCFilter, Readings
from pcctrl.models import Task

WEIGHT, RHO, LIMIT = np.diag([1.0, 0.0, 10.0, 0.0]), np.eye(1) * 0.01, np.array([20.0])


@pytest.fixture(scope="module")
def task() -> Task:
    return Task(smooth_cart_pole(2.0), WEIGHT, RHO, -LIMIT, LIMIT)


@pytest.mark.parametrize("noise", [0.0, 2.0])
def test_stepper_is_the_agent_with_a_steady_gain(noise: float) -> None:
    task = Task(smooth_cart_pole(noise), WEIGHT, RHO, -LIMIT, LIMIT)
    agent = agents.make("aif", task)
    stepper = agent.compile()
    filter_: Any = agent.filter
    rng = np.random.default_rng(0)
    start = filter_.init()
    belief = Belief(start.mean, filter_.steady_prior, start.input, start.plant)
    u, out = np.zeros(1), np.empty(1)
    for k, y in enumerate(0.02 * rng.standard_normal((300, 2))):
        if 100 <= k < 104:
            y[k % 2] = np.nan
        if k == 150:
            y[:] = np.inf
        if k == 200:
            y[0] = 3.0
        belief, _ = filter_.update(belief, y) if k == 0 else filter_.step(belief, y, u)
        _, want, _ = agent.controller.act(None, belief)
        stepper.step_into(y, u, out)
        np.testing.assert_allclose(out, want, rtol=1e-7, atol=1e-8)
        np.testing.assert_allclose(stepper.mean, belief.mean, rtol=1e-6, atol=1e-8)
        u = out.copy()
    stepper.reset()
    stepper.step_into(np.full(2, np.nan), u, out)
    np.testing.assert_allclose(out, 0.0, atol=1e-12)


def test_stepper_acts_within_limits_on_any_data(task: Task) -> None:
    stepper, out = agents.make("aif", task).compile(), np.empty(1)
    rng = np.random.default_rng(0)
    for _ in range(600):
        y, u = rng.standard_normal(2) * 10.0 ** rng.integers(-3, 6), out.copy()
        y[rng.random(2) < 0.2] = rng.choice([np.nan, np.inf, -np.inf, 1e300])
        u[rng.random(1) < 0.1] = rng.choice([np.nan, 1e300])
        stepper.step_into(y, u, out)
        assert np.abs(out[0]) <= 20.0
    for _ in range(2000):
        stepper.step_into(np.zeros(2), out, out)
    np.testing.assert_allclose(out, 0.0, atol=1e-6)


def test_stepper_keeps_the_operating_point() -> None:
    at = (np.array([0.25, 0.0]), np.array([1.0]), np.array([7.0]))
    model = replace(smooth_msd(), operating_point=at)
    limits = (-np.ones(1) * 5, np.ones(1) * 5)
    agent = Agent(PCFilter(model), ExpectedFreeEnergy(model, [1.0, 0.0], 0.01, limits=limits))
    stepper, out = agent.compile(), np.empty(1)
    for _ in range(5):
        stepper.step_into(np.array([7.0]), np.array([1.0]), out)
        np.testing.assert_allclose(out, 1.0, atol=1e-9)


def test_stepper_refuses_what_it_cannot_fold(task: Task) -> None:
    for name, filter_ in (
        ("doubting", PCFilter(task.linear, outlier_threshold=12.0)),
        ("slow", PCFilter(task.linear, scheme="natural")),
    ):
        with pytest.raises(ModelError, match="plain linear filter"):
            Agent(filter_, ExpectedFreeEnergy(task.linear, WEIGHT, RHO), (-20, 20), Card(name)).compile()
    pid = PID([[1.0, 1.0]], [[0.0, 0.0]], [[0.0, 0.0]], 0.02, limits=(-1.0, 1.0))
    with pytest.raises(ModelError, match="Readings and PID"):
        Agent(Readings(task.linear), pid).compile()
