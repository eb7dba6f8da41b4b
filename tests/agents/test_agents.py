from __future__ import annotations

import functools
import pickle
from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plants import smooth_cart_pole, smooth_msd, white_msd

import pcctrl.envs  # noqa: F401
from pcctrl import agents
from pcctrl.agents import Agent, Card, linear
from pcctrl.controllers import LQR, ControlInfo, Controller, ExpectedFreeEnergy, ReflexArc
from pcctrl.errors import ModelError, ParameterError, ShapeError, UnknownNameError
from pcctrl.evaluation import closed_loop_cost, fold
from pcctrl.filters import KalmanFilter, PCFilter, Status
from pcctrl.models import LinearModel, Task
from pcctrl.noise import OrnsteinUhlenbeck, Smooth
from pcctrl.tuning import lqg_loop, tune_lqg
from pcctrl.tuning.loops import TRUTH_ORDER

WEIGHT, RHO, LIMIT = np.diag([1.0, 0.0, 10.0, 0.0]), np.eye(1) * 0.01, np.array([20.0])


@pytest.fixture(scope="module")
def task() -> Task:
    return Task(smooth_cart_pole(2.0), WEIGHT, RHO, -LIMIT, LIMIT)


@pytest.mark.parametrize("name", ["aif", "aif-reflex", "aif-pid", "lqg"])
def test_agent_acts_within_limits_on_any_data(name: str, task: Task) -> None:
    agent = agents.make(name, task)
    assert agent.info is None
    rng = np.random.default_rng(0)
    for k in range(600):
        y = rng.standard_normal(2) * 10.0 ** rng.integers(-3, 6)
        y[rng.random(2) < 0.4] = rng.choice([np.nan, np.inf, -np.inf, 1e300])
        u = agent.act(np.full(2, np.nan) if 200 < k < 300 else y)
        assert np.isfinite(u).all()
        assert (np.abs(u) <= 20.0).all()
        if k == 250 and name != "aif-pid":
            assert agent.status == Status.BLIND


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 3), st.integers(1, 2), st.integers(1, 2), st.booleans())
def test_any_agent_on_any_model_and_data_acts_within_its_limits(
    seed: int, n: int, m: int, p: int, doubting: bool
) -> None:
    rng = np.random.default_rng(seed)
    s = 10.0 ** rng.uniform(-2, 1)
    model = LinearModel(
        rng.standard_normal((n, n)) * 3.0,
        rng.standard_normal((n, p)),
        rng.standard_normal((m, n)),
        dt=0.1,
        noise_input=rng.standard_normal((n, 1)),
        process_noise=[Smooth(1.0, s)],
        sensor_noise=[OrnsteinUhlenbeck(0.1, s)] * m,
        delay=np.asarray(0.1 * rng.integers(0, 3, m), dtype=np.float64),
        disturbance=1.0 if doubting else None,
    )
    limits = (-rng.random(p), rng.random(p))
    try:
        filter_ = PCFilter(model, outlier_threshold=12.0 if doubting else None)
        laws: list[Controller] = [
            ExpectedFreeEnergy(model, 1.0, 0.1, 4, limits, offset_free=doubting),
            LQR(model, 1.0, 0.1, limits),
            *([ReflexArc(model, 0.5, 5.0, limits, order=4)] if p == 1 else []),
        ]
    except ModelError as error:
        assert error.name in ("model", "output")  # noqa: PT017
        return
    for law in laws:
        agent = Agent(filter_, law, limits)
        for _ in range(40):
            y = rng.standard_normal(m) * 10.0 ** rng.integers(-3, 200)
            y[rng.random(m) < 0.3] = rng.choice([np.nan, np.inf, -np.inf, 1e308])
            u = agent.act(y)
            assert np.isfinite(u).all()
            assert (u >= limits[0]).all()
            assert (u <= limits[1]).all()


@pytest.mark.parametrize("name", [name for name, preset in agents.PRESETS.items() if preset.linear])
def test_every_preset_is_built_for_a_late_sensor_and_a_suspected_push(name: str, monkeypatch: Any) -> None:
    for function in ("tune_lqg", "_tune_pid", "tune_reflex"):
        quick = functools.partial(getattr(linear, function), starts=1, evaluations=40)
        monkeypatch.setattr(linear, function, quick)
    model = replace(smooth_msd(2.0, 1e-3), delay=0.1, disturbance=0.1)
    agent = agents.make(name, Task(model, np.diag([1.0, 0.0]), RHO, -LIMIT, LIMIT))
    rest = []
    joint, x, line = white_msd().joint(0), np.zeros(2), 0.0
    for k in range(800):
        u = agent.act([line])
        line, x = x[0], joint.F @ x + joint.B @ (u + (k > 100))
        rest.append(abs(x[0]))
    assert np.isfinite(rest).all()
    if name in ("aif", "aif-reflex"):
        assert rest[-1] < 1e-2


def test_limits_that_a_controller_with_a_memory_does_not_know_are_refused(task: Task) -> None:
    arc = ReflexArc(task.linear, 0.3, 50.0)
    with pytest.raises(ParameterError, match="limits"):
        Agent(KalmanFilter(task.linear), arc, (-1.0, 1.0))
    Agent(KalmanFilter(task.linear), LQR(task.linear, WEIGHT, RHO), (-1.0, 1.0))


def test_a_compiled_agent_whose_parts_disagree_is_refused(task: Task) -> None:
    suspicious = replace(task.linear, disturbance=0.1)
    agent = Agent(KalmanFilter(task.linear), LQR(task.linear, WEIGHT, RHO), (-20.0, 20.0))
    agent.controller = LQR(suspicious, WEIGHT, RHO, integral=True)
    with pytest.raises(ShapeError, match="gain"):
        agent.compile()


def test_filter_sees_the_action_that_was_applied(task: Task) -> None:
    agent = agents.make("aif", task)
    agent.act([5.0, 0.4])
    before, (applied,) = agent.belief, agent.state.action  # type: ignore[misc]
    assert abs(applied) == 20.0
    agent.act([np.nan, np.nan])
    want = agent.filter.predict(before, [applied])  # type: ignore[attr-defined]
    np.testing.assert_array_equal(agent.belief.mean, want.mean)


def test_step_is_pure_and_act_keeps_its_state(task: Task) -> None:
    agent = agents.make("aif", task)
    rng = np.random.default_rng(1)
    state = agent.init()
    for y in 0.01 * rng.standard_normal((20, 2)):
        first = agent.step(state, y)
        second = agent.step(state, y)
        np.testing.assert_array_equal(first[1], second[1])
        np.testing.assert_array_equal(first[1], agent.act(y))
        state = first[0]
    agent.reset(seed=3)
    assert agent.state.action is None


def test_a_batch_acts_as_its_members(task: Task) -> None:
    agent = agents.make("aif", task)
    y = 0.01 * np.random.default_rng(1).standard_normal((15, 3, 2))
    y[4, 1, 0] = np.nan
    together = agent.init((3,))
    alone = [agent.init() for _ in range(3)]
    for sample in y:
        together, u, *_ = agent.step(together, sample)
        for i in range(3):
            alone[i], u_i, *_ = agent.step(alone[i], sample[i])
            np.testing.assert_allclose(u[i], u_i, atol=1e-9)


def test_a_controller_that_breaks_is_replaced_by_the_last_action_then_rest(task: Task) -> None:
    class Breaking:
        def init(self, batch: tuple[int, ...] = ()) -> int:  # noqa: ARG002
            return 0

        def act(self, state: int, belief: Any, goal: Any = None) -> tuple[int, Any, ControlInfo]:  # noqa: ARG002
            u = np.array([3.0]) if state < 2 else np.array([np.nan])
            return state + 1, u, ControlInfo(u, 0.0 * u)

    agent = Agent(KalmanFilter(task.linear), Breaking(), (-20.0, 20.0), Card("-"))
    actions = [float(agent.act([0.0, 0.0])[0]) for _ in range(5)]
    assert actions == [3.0, 3.0, 3.0, 0.0, 0.0]


def test_agents_survive_pickling(task: Task) -> None:
    agent = agents.make("aif", task)
    copy = pickle.loads(pickle.dumps(agent))
    for y in 0.01 * np.random.default_rng(1).standard_normal((20, 2)):
        np.testing.assert_allclose(copy.act(y), agent.act(y), atol=1e-12)


def test_tuned_lqg_is_better_than_untuned_and_says_its_budget(task: Task) -> None:
    truth = task.linear.joint(TRUTH_ORDER)
    untuned = closed_loop_cost(truth, fold(KalmanFilter(task.linear), LQR(task.linear, WEIGHT, RHO).gain), WEIGHT, RHO)
    tuned = tune_lqg(task, starts=6, evaluations=300)
    assert tuned.cost <= min(tuned.costs) < 0.7 * untuned
    # The active-inference agent, which was told the colour, is cheaper still; the optimum cheaper than both.
    efe = ExpectedFreeEnergy(task.linear, WEIGHT, RHO)
    assert closed_loop_cost(truth, fold(PCFilter(task.linear), efe.gain), WEIGHT, RHO) < 0.97 * tuned.cost
    assert tuned.budget().startswith("6 starts, ")
    assert tuned.evaluations <= 7 * 301


def test_unknown_names_and_environments_without_a_task() -> None:
    with pytest.raises(UnknownNameError, match=r"aif, aif-adaptive, .*lqg-tuned, .*pid"):
        agents.make("lgq", gym.make("pcctrl/CartPole-v0"))
    with pytest.raises(ModelError, match="env"):
        agents.make("aif", gym.make("Pendulum-v1"))


def test_a_controller_for_another_filter_is_refused(task: Task) -> None:
    efe = ExpectedFreeEnergy(task.linear, WEIGHT, RHO)
    with pytest.raises(ShapeError, match="belief"):
        Agent(PCFilter(task.linear, order=2), efe, (-20, 20), Card("-"))
    # LQR reads the physical states alone, so any filter of the plant will do.
    Agent(PCFilter(task.linear, order=2), LQR(task.linear, WEIGHT, RHO), (-20, 20), Card("-"))


def test_integral_action_removes_the_offset_of_a_constant_push() -> None:
    """A constant force on the mass: proportional feedback rests beside the goal, integral action on it."""
    task = Task(white_msd(), np.diag([1.0, 0.0]), RHO, -LIMIT, LIMIT)
    values = np.r_[0.0, -3.0, -3.0, 0.0, 0.0, -2.0]
    agent = Agent(*lqg_loop(task, values), (-LIMIT, LIMIT))
    plain = Agent(*lqg_loop(task, values[:-1]), (-LIMIT, LIMIT))
    joint = task.linear.joint(0)
    rest = []
    for policy in (agent, plain):
        x, action = np.zeros(2), np.zeros(1)
        for _ in range(1500):
            action = policy.act(x[:1])
            x = joint.F @ x + joint.B @ (action + 3.0)
        rest.append(abs(x[0]))
    assert rest[0] < 1e-3
    assert rest[1] > 0.1


def test_disturbance_channel_gives_expected_free_energy_integral_action_too() -> None:
    model = replace(white_msd(), disturbance=0.5)
    joint, rest = white_msd().joint(0), []
    for offset_free in (True, False):
        efe = ExpectedFreeEnergy(model, [1.0, 0.0], 0.01, offset_free=offset_free)
        agent, x = Agent(PCFilter(model), efe, (-20, 20)), np.zeros(2)
        for _ in range(1500):
            action = agent.act(x[:1], goal=[0.5, 0.0])
            x = joint.F @ x + joint.B @ (action + 3.0)
        rest.append(abs(x[0] - 0.5))
    assert rest[0] < 1e-3
    # Without it the offset is what the action's own precision is worth.
    assert rest[1] > 0.01
