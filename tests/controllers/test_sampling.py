from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from plants import belief_of, smooth_cart_pole, smooth_msd, swing_up

from pcctrl.agents import Agent, make
from pcctrl.arrays import Array
from pcctrl.controllers import ExpectedFreeEnergy, RecedingHorizon, SamplingHorizon
from pcctrl.controllers.aims import Aim
from pcctrl.controllers.iterated import Course, Problem, walk
from pcctrl.errors import ModelError, ParameterError, PcctrlError, ShapeError
from pcctrl.filters import PCFilter
from pcctrl.models import NonlinearModel, Task
from pcctrl.models.mujoco import MujocoModel
from pcctrl.noise import OrnsteinUhlenbeck, Smooth, White

BALL = """<mujoco><option integrator="implicitfast" gravity="0 0 0"/><worldbody><body><joint name="j" type="ball"/>
<geom type="box" size=".3 .2 .1"/><site name="s"/></body></worldbody><actuator><motor joint="j" gear="1 0 0"/>
<motor joint="j" gear="0 1 0"/><motor joint="j" gear="0 0 1"/></actuator><sensor><gyro site="s"/></sensor></mujoco>"""


def pendulum() -> NonlinearModel:
    return replace(swing_up(), process_noise=[Smooth(0.2, 0.1)], disturbance=0.1, prior=np.eye(2))


def sampler(**given: Any) -> SamplingHorizon:
    settings = {"horizon": 15, "plans": 32, "elites": 8, "order": 2, **given}
    return SamplingHorizon(pendulum(), [1.0, 0.1], 0.01, [Smooth(0.5, 0.1)], **settings)


BELIEF = belief_of(pendulum(), [0.6, -0.4, 0.3, 0.1, -0.2, 0.1])


def test_on_a_linear_model_its_mean_is_expected_free_energy() -> None:
    model, count = smooth_msd(), 64
    belief = belief_of(model, np.random.default_rng(0).standard_normal(model.joint(4).size))
    want = ExpectedFreeEnergy(model, [1.0, 0.0], 0.01, order=4).act(None, belief)[1]

    def drawn(**given: Any) -> Array:
        settings = {"horizon": 12, "elites": 8, "first_iterations": 30, "narrowing": 1.0, "order": 4, **given}
        planner = SamplingHorizon(model, [1.0, 0.0], 0.01, [Smooth(1.0, 0.2)], **settings)
        return planner.act(planner.init((count,), np.arange(count)), belief)[1]

    few, many, blind = drawn(plans=32), drawn(plans=128), drawn(plans=128, precision=0.0)
    error = many.std(ddof=1) / np.sqrt(count)
    assert abs(many.mean() - want[0]) < 4.0 * error
    assert error < 0.05 * abs(want[0])
    # It comes closer as K grows.
    assert np.abs(many - want).mean() < np.abs(few - want).mean()
    # Negative control: plans that all weigh the same stay where they were.
    assert abs(blind.mean() - want[0]) > 0.5 * abs(want[0])


def test_its_functional_is_that_of_the_receding_horizon() -> None:
    model, goal = pendulum(), np.array([0.1, 0.0])
    _, _, info = sampler(first_iterations=1).act(sampler().init(), BELIEF, goal)
    planner = RecedingHorizon(model, [1.0, 0.1], 0.01, horizon=15, order=2)
    foreseen, S = planner._foreseen(BELIEF.mean[2:6]), planner._terminal(goal)[0]
    goals, low, high = np.broadcast_to(goal, (16, 2)), *planner._box
    weight, rho, _ = planner._weights
    around = goals[-1], weight, rho, S
    problem = Problem(Aim(model), BELIEF.state, goals[:-1], *around, np.zeros(1), low, high, **foreseen)
    rest = Course(np.zeros((16, 2)), np.zeros((15, 1)), np.zeros((15, 1, 2)), np.inf)
    assert info.cost[0] == pytest.approx(walk(problem, rest, rest.inputs).cost, rel=1e-12)
    assert info.cost[1] < info.cost[0]
    # Negative control: without what is foreseen it is another number.
    blind = replace(problem, w=None)
    assert walk(blind, rest, rest.inputs).cost != pytest.approx(info.cost[0], rel=1e-3)


def test_the_seed_decides_and_the_state_is_a_value() -> None:
    planner = sampler(seed=3)
    start = planner.init()
    later, u, _ = planner.act(start, BELIEF)
    again, same, _ = planner.act(planner.init(seed=3), BELIEF)
    np.testing.assert_array_equal(u, same)
    np.testing.assert_array_equal(later.inputs, again.inputs)
    np.testing.assert_array_equal(start.inputs, 0.0)
    assert list(later.drawn) == [3, 1]
    assert planner.act(planner.init(seed=4), BELIEF)[1] != u
    # Each decision draws anew.
    assert planner.act(start._replace(drawn=later.drawn), BELIEF)[1] != u


def test_a_batch_is_as_one_by_one() -> None:
    planner, seeds = sampler(), np.array([5, 6])
    beliefs = replace(BELIEF, mean=np.stack([BELIEF.mean, -0.5 * BELIEF.mean]))
    state = planner.init((2,), seeds)
    for _ in range(2):
        state, u, info = planner.act(state, beliefs)
    assert (u.shape, info.cost.shape, info.effective.shape) == ((2, 1), (2, 2), (2,))
    for i, seed in enumerate(seeds):
        one = planner.init(seed=seed)
        for _ in range(2):
            one, alone, _ = planner.act(one, replace(BELIEF, mean=beliefs.mean[i]))
        np.testing.assert_allclose(u[i], alone, rtol=1e-12)


def test_inputs_keep_within_their_limits() -> None:
    planner = SamplingHorizon(pendulum(), [1.0, 0.1], 1e-4, [OrnsteinUhlenbeck(5.0, 0.1)], horizon=15)
    state, found = planner.init(), []
    for angle in (3.0, -3.0, 0.5, -0.5):
        state, u, info = planner.act(state, belief_of(planner.model, [angle, 0.0]))
        assert np.abs(state.inputs).max() <= 2.0
        assert 1.0 <= info.effective <= planner.plans
        found.append(abs(u[0]))
    assert max(found) > 1.0


@pytest.mark.parametrize("mean", [np.nan, np.inf, 1e300])
def test_where_no_plan_leads_anywhere_the_last_one_goes_on(mean: float) -> None:
    planner = sampler()
    state, _, _ = planner.act(planner.init(), BELIEF)
    lost = replace(BELIEF, mean=np.full(6, mean))
    for _ in range(3):
        kept = state.inputs[0]
        state, u, info = planner.act(state, lost)
        np.testing.assert_array_equal(u, kept)
        assert info.effective == 0.0
        assert np.isinf(info.cost).all()
    _, u, info = planner.act(state, BELIEF)
    assert np.isfinite(u).all()
    assert info.effective >= 1.0
    # Of a batch, one that is lost leaves the other alone.
    both = replace(BELIEF, mean=np.stack([BELIEF.mean, lost.mean]))
    _, u, info = planner.act(planner.init((2,)), both)
    np.testing.assert_allclose(u[0], planner.act(planner.init(), BELIEF)[1], rtol=1e-12)
    assert (info.effective > 0.0).tolist() == [True, False]


def test_it_turns_a_body_in_tangent_space() -> None:
    model = MujocoModel(BALL, dt=0.05)
    noises = [Smooth(1.0, 0.1)] * 3
    planner = SamplingHorizon(model, [1.0] * 3 + [0.1] * 3, 1e-3, noises, horizon=8, plans=32, elites=4)
    x = np.array([1.0, -0.5, 0.3, 0.0, 0.0, 0.0])
    state, away = planner.init(), [float(np.linalg.norm(x[:3]))]
    for _ in range(20):
        state, u, _ = planner.act(state, belief_of(model, x))
        x = model.transition(x, u)
        away.append(float(np.linalg.norm(model.difference(x, np.zeros(6))[:3])))
    assert away[-1] < 0.5 * away[0]


def test_an_agent_acts_by_it() -> None:
    model = smooth_msd()
    planner = SamplingHorizon(model, [1.0, 0.0], 0.01, [Smooth(0.3, 0.2)], horizon=10, limits=(-1.0, 1.0), order=4)
    agent, twin = (Agent(PCFilter(model, 4), planner) for _ in range(2))
    for y in 0.1 * np.random.default_rng(0).standard_normal((5, 1)):
        u = agent.act(y)
        assert abs(u[0]) <= 1.0
        np.testing.assert_array_equal(u, twin.act(y))
    assert np.isfinite(agent.act([np.nan])).all()
    first = []
    for seed in (1, 1, 2):
        agent.reset(seed)
        first.append(float(agent.act([0.1])[0]))
    assert first[0] == first[1] != first[2]


def test_it_is_a_preset_of_nonlinear_tasks() -> None:
    one = np.ones(1)
    task = Task(pendulum(), np.diag([1.0, 0.1]), 0.01 * np.eye(1), -2.0 * one, 2.0 * one, 50)
    agent, x, found = make("mppi", task), np.array([0.1, 0.0]), []
    assert agent.controller.horizon == 15  # type: ignore[attr-defined]
    for _ in range(40):
        x = task.model.transition(x, agent.act(x[:1]))
        found.append(abs(x[0]))
    assert max(found[20:]) < 0.1
    with pytest.raises(ModelError):
        make("mppi", Task(smooth_msd(), np.eye(2), np.eye(1), -one, one))


def test_arguments_are_checked() -> None:
    wrong: list[tuple[type[PcctrlError], dict[str, Any]]] = [
        (ParameterError, {"plans": 1}),
        (ParameterError, {"elites": 33}),
        (ParameterError, {"precision": -1.0}),
        (ParameterError, {"narrowing": 0.0}),
        (ParameterError, {"iterations": 0}),
        (ParameterError, {"horizon": 0}),
        (ParameterError, {"seed": -1}),
        (ParameterError, {"limits": (1.0, 2.0)}),
    ]
    for error, given in wrong:
        with pytest.raises(error):
            sampler(**given)
    for noises, error in (([], ShapeError), ([1.0], ShapeError), ([White(density=1.0)], ParameterError)):
        with pytest.raises(error):
            SamplingHorizon(pendulum(), 1.0, 1.0, noises)  # type: ignore[arg-type]
    with pytest.raises(ShapeError):
        sampler().act(sampler().init(), belief_of(pendulum(), np.zeros(2)))


def test_about_a_feedback_an_unstable_plant_is_held_where_open_loops_lose_it() -> None:
    model, weight, rho = smooth_cart_pole(0.0), [1.0, 0.1, 10.0, 0.1], 0.01
    exact = ExpectedFreeEnergy(model, weight, rho, order=0)
    x = np.array([0.1, 0.0, 0.05, 0.0])
    noises = [Smooth(1e-6, 0.1)]
    settings: dict[str, Any] = {"horizon": 15, "plans": 8, "elites": 4, "limits": (-50.0, 50.0)}
    held, open_ = (
        SamplingHorizon(model, weight, rho, noises, **settings, feedback=feedback) for feedback in (True, False)
    )
    # Where next to nothing is tried, the policy is the regulator; negative control: without it, nothing is done.
    want = exact.value.L @ -x
    np.testing.assert_allclose(held.act(held.init(), belief_of(model, x))[1], want, atol=1e-4)
    assert abs(open_.act(open_.init(), belief_of(model, x))[1][0]) < 1e-4
    lost = held.act(held.init(), belief_of(model, x * np.nan))[1]
    assert np.isfinite(lost).all()
