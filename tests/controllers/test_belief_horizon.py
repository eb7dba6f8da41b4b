"""Planning over beliefs: its derivatives, its limit, what it looks for, and in bad company."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from plants import pendulum, smooth_msd, white_msd

from pcctrl.agents import Agent
from pcctrl.controllers import BeliefHorizon, PlanStatus, Preview, RecedingHorizon
from pcctrl.controllers.belief_path import BeliefProblem, newton_step, roll_out
from pcctrl.envs.light_dark import light_dark
from pcctrl.errors import ParameterError, PcctrlError, ShapeError
from pcctrl.filters import Belief, ExtendedKalmanFilter, PCFilter
from pcctrl.models import GenerativeModel, MujocoModel, NonlinearModel
from pcctrl.noise import White

Array = NDArray[np.float64]
RELATION = np.block([[np.eye(2), -np.eye(2)], [-np.eye(2), np.eye(2)]])
AT = np.zeros(4)


def walker(**how: Any) -> BeliefHorizon:
    given: dict[str, Any] = {"horizon": 20, "terminal_precision": 0.024 * RELATION, **how}
    return BeliefHorizon(light_dark(), 0.006 * RELATION, 1e-3, **given)


def belief_of(model: GenerativeModel, mean: Any, spread: float = 0.1) -> Belief:
    mean = np.asarray(mean, dtype=np.float64)
    return Belief(mean, spread * np.eye(mean.shape[-1]), model.start[1], len(model.start[0]))


def lit(limits: tuple[float, float] = (-1.0, 1.0)) -> NonlinearModel:
    """A point on a line that sees itself well at 5, as Platt et al. have it."""
    return NonlinearModel(
        lambda x, u, w: x + u + w,
        lambda x, u: x,  # noqa: ARG005
        dt=1.0,
        time="discrete",
        operating_point=(np.zeros(1), np.zeros(1)),
        process_noise=[White(density=1e-3)],
        sensor_noise=[White(std=0.1)],
        sensor_scale=lambda x: 1.0 + 50.0 * (5.0 - x) ** 2,
        limits=limits,
        prior=5.0 * np.eye(1),
    )


def cost_by_hand(inputs: Array, mean: float, var: float, weight: float, end: float) -> float:
    """G of a plan for the point on the line, in scalars."""
    G = 0.5 * weight * (mean**2 + var)
    for k, u in enumerate(inputs):
        mean, P = mean + u, var + 1e-6
        R = 0.01 * (1.0 + 50.0 * (5.0 - mean) ** 2)
        var = P * R / (P + R)
        G += 0.5 * 0.01 * u**2 - 0.5 * np.log((P + R) / R)
        G += 0.5 * (weight if k < len(inputs) - 1 else end) * (mean**2 + var)
    return float(G)


def test_its_cost_is_the_expected_free_energy() -> None:
    inputs = np.array([0.5, 1.0, -0.3, 0.2])
    planner = BeliefHorizon(lit(), 0.2, 0.01, horizon=4, terminal_precision=3.0)
    problem = planner._problem(np.array([[2.0]]), np.array([[[1.5]]]), np.zeros((1, 5, 1)))
    want = cost_by_hand(inputs, 2.0, 1.5, 0.2, 3.0)
    assert roll_out(problem, inputs[None, :, None]).cost[0] == pytest.approx(want, rel=1e-12)
    # Without bounds the best plan is at the minimum of that function.
    free = BeliefHorizon(lit((-10.0, 10.0)), 0.2, 0.01, horizon=4, terminal_precision=3.0, first_iterations=100)
    plan, u, info = free.act(free.init(), Belief(np.array([2.0]), np.array([[1.5]]), np.zeros(1), 1))
    best = np.append(u, plan.inputs[:-1, 0])
    assert info.cost[1] == pytest.approx(cost_by_hand(best, 2.0, 1.5, 0.2, 3.0))
    for move in 1e-3 * np.random.default_rng(0).standard_normal((30, 4)):
        assert cost_by_hand(best + move, 2.0, 1.5, 0.2, 3.0) > info.cost[1] - 1e-9


def slope(problem: BeliefProblem, inputs: Array) -> Array:
    moves = 1e-4 * np.eye(inputs.size).reshape(-1, *inputs.shape)
    many = problem.rows(np.zeros(len(moves), dtype=np.int64))
    return np.asarray((roll_out(many, inputs + moves).cost - roll_out(many, inputs - moves).cost) / 2e-4)


@pytest.mark.parametrize("frozen", [False, True])
def test_steps_go_down_the_slope(frozen: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    rng, found = np.random.default_rng(0), list[Array]()
    coloured = replace(pendulum(2.0), sensor_scale=lambda x: 1.0 + x[..., :1] ** 2)
    for planner, size in ((walker(frozen=frozen, horizon=6), 4), (BeliefHorizon(coloured, 1.0, 0.1, 5, order=1), 6)):
        mean, P = rng.standard_normal((1, size)), np.diag(rng.uniform(0.1, 1.0, size))[None]
        n, p = (len(part) for part in planner.model.start[:2])
        problem = planner._problem(mean, P, np.zeros((1, planner.horizon + 1, n)))
        inputs = 0.5 * rng.standard_normal((1, planner.horizon, p))

        def seen(_: Array, g: Array, *__: Array) -> tuple[Array, Array]:
            found.append(g)
            return g, g

        monkeypatch.setattr("pcctrl.controllers.belief_path.box_minimum", seen)
        newton_step(problem, roll_out(problem, inputs))
        want = slope(problem, inputs[0])
        np.testing.assert_allclose(found[-1], want, atol=1e-5 * np.abs(want).max())


def test_with_constant_noise_it_is_the_receding_horizon() -> None:
    model, x = white_msd(), np.array([[3.0, -2.0], [0.5, 1.0]])
    for limit in (np.inf, 1.5):
        how: dict[str, Any] = {"horizon": 20, "limits": (-limit, limit)}
        plain = RecedingHorizon(model, [1.0, 0.1], 0.05, tolerance=0.0, **how)
        planner = BeliefHorizon(model, [1.0, 0.1], 0.05, **how)
        goal = Preview(0.3 * np.random.default_rng(0).standard_normal((6, 2)))
        want = plain.act(plain.init((2,)), belief_of(model, x), goal)[1]
        _, u, info = planner.act(planner.init((2,)), belief_of(model, x), goal)
        np.testing.assert_allclose(u, want, atol=1e-6)
        assert (info.status == PlanStatus.CONVERGED).all()
    # Negative control: where the noise depends on the state it is another action.
    other = BeliefHorizon(replace_scale(pendulum(0.0)), [1.0, 0.1], 0.05, horizon=20)
    same = BeliefHorizon(pendulum(0.0), [1.0, 0.1], 0.05, horizon=20)
    far = belief_of(pendulum(0.0), x)
    actions = [p.act(p.init((2,)), far)[1] for p in (other, same)]
    assert np.abs(actions[0] - actions[1]).max() > 1e-3


def replace_scale(model: NonlinearModel) -> NonlinearModel:
    return replace(model, sensor_scale=lambda x: 1.0 + 100.0 * x[..., :1] ** 2)


def test_disturbances_are_foreseen_with_the_belief() -> None:
    model = smooth_msd()
    belief = PCFilter(model, 4).init()
    belief = replace(belief, mean=0.3 * np.random.default_rng(1).standard_normal(belief.mean.shape))
    plain = RecedingHorizon(model, 1.0, 0.05, horizon=25, order=4, tolerance=0.0)
    planner = BeliefHorizon(model, 1.0, 0.05, horizon=25, order=4)
    want = plain.act(plain.init(), belief)[1]
    np.testing.assert_allclose(planner.act(planner.init(), belief)[1], want, atol=1e-6)
    blind = RecedingHorizon(model, 1.0, 0.05, horizon=25)
    assert abs(blind.act(blind.init(), belief)[1] - want) > 1e-3


def leads(planner: BeliefHorizon, belief: Belief) -> Array:
    """Where the first plan leads the walker's mean (H, 2)."""
    plan, u, _ = planner.act(planner.init(), belief, AT)
    inputs = np.vstack([u, plan.inputs[:-1]])
    return np.asarray(belief.mean[:2] + 0.16 * np.cumsum(inputs, axis=0))


def test_it_looks_before_it_leaps_and_a_frozen_plan_does_not() -> None:
    belief = Belief(np.array([-3.4, -2.6, 3.4, -2.6]), np.diag([0.05, 0.05, 1.0, 1.0]), np.zeros(2), 4)
    assert np.linalg.norm(leads(walker(), belief) - [0.0, 2.7], axis=1).min() < 0.5
    straight = leads(walker(frozen=True), belief)
    assert np.abs(straight[:, 1] + 2.6).max() < 0.1
    # One that knows where the food is has nothing to look for.
    sure = replace(belief, covariance=np.diag([1e-3, 1e-3, 1e-3, 1e-3]))
    assert np.abs(leads(walker(), sure)[:, 1] + 2.6).max() < 0.5
    np.testing.assert_allclose(straight[-1], [3.4, -2.6], atol=0.3)


def test_a_plan_that_is_the_least_no_longer_is_left() -> None:
    """From the straight plan to the detour, which is another minimum: one of the starts in turn leads there."""
    belief = Belief(np.array([-1.0, -2.6, 3.4, -2.6]), np.diag([0.02, 0.02, 1.0, 1.0]), np.zeros(2), 4)
    straight, _, _ = walker(frozen=True).act(walker().init(), belief, AT)
    for retries, detour in ((0, False), (10, True)):
        planner, plan = walker(retries=retries), straight
        for _ in range(8):
            plan, *_, info = planner.act(plan, belief, AT)
            assert info.cost[1] <= info.cost[0]
        path = belief.mean[:2] + 0.16 * np.cumsum(plan.inputs, axis=0)
        assert (np.linalg.norm(path - [0.0, 2.7], axis=1).min() < 1.0) == detour
    assert plan.turn == 9.0


def test_the_cost_never_rises_and_a_batch_is_each_of_its_members() -> None:
    planner = walker(horizon=8, first_iterations=3, retries=2)
    means = np.array([[-3.4, -2.6, 1.0, 0.0], [-1.0, 1.0, 3.0, -2.0]])
    batch, covariance = planner.init((2,)), np.diag([0.05, 0.05, 1.0, 1.0])
    singles = [planner.init() for _ in means]
    # A member that has to begin afresh leaves the others alone.
    batch = batch._replace(fresh=np.array([1.0, 0.0]))
    singles[1] = singles[1]._replace(fresh=np.array(0.0))
    for _ in range(3):
        batch, u, info = planner.act(batch, Belief(means, covariance, np.zeros(2), 4), AT)
        assert (info.cost[:, 1] <= info.cost[:, 0]).all()
        assert (np.abs(u) <= 2.4).all()
        for i, mean in enumerate(means):
            singles[i], one, _ = planner.act(singles[i], Belief(mean, covariance, np.zeros(2), 4), AT)
            np.testing.assert_allclose(one, u[i], atol=1e-7)


def test_more_members_than_are_planned_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    planner = walker(horizon=5, first_iterations=2)
    means = np.random.default_rng(0).standard_normal((2, 3, 4))
    belief = Belief(means, np.eye(4), np.zeros(2), 4)
    want = planner.act(planner.init((2, 3)), belief, AT)
    monkeypatch.setattr("pcctrl.controllers.belief_horizon._BLOCK", 4)
    plan, u, info = planner.act(planner.init((2, 3)), belief, AT)
    np.testing.assert_allclose(u, want[1], atol=1e-9)
    assert (u.shape, plan.inputs.shape, info.cost.shape) == ((2, 3, 2), (2, 3, 5, 2), (2, 3, 2))


def test_where_planning_fails_the_last_plan_goes_on() -> None:
    planner = walker(horizon=8, first_iterations=3)
    belief = Belief(np.array([[-3.4, -2.6, 1.0, 0.0]] * 2), np.diag([0.05, 0.05, 1.0, 1.0]), np.zeros(2), 4)
    plan, _, _ = planner.act(planner.init((2,)), belief, AT)
    lost = replace(belief, mean=np.where([[True], [False]], np.nan, belief.mean))
    for _ in range(10):
        after, u, info = planner.act(plan, lost, AT)
        assert info.status[0] == PlanStatus.DIVERGED
        assert info.status[1] != PlanStatus.DIVERGED
        np.testing.assert_array_equal(u[0], plan.inputs[0, 0])
        plan = after
    assert plan.fresh.tolist() == [1.0, 0.0]
    assert planner.act(plan, belief, AT)[2].status[0] != PlanStatus.DIVERGED
    # A covariance that is none fails alike.
    bad = replace(belief, covariance=np.full((4, 4), np.inf))
    assert np.isfinite(planner.act(plan, bad, AT)[1]).all()


def test_a_model_that_breaks_down_gives_a_safe_action() -> None:
    broken = replace(pendulum(0.0), f=lambda x, u, w: np.exp(np.exp(x * 1e3)) + 0.0 * (u + w), limits=(-2.0, 2.0))
    planner = BeliefHorizon(broken, 1.0, 0.01, horizon=5, first_iterations=3)
    plan = planner.init()
    for x in ([1.0, 1.0], [1e200, -1e200]):
        plan, u, info = planner.act(plan, belief_of(broken, x))
        assert info.status == PlanStatus.DIVERGED
        assert abs(u[0]) <= 2.0


def test_rotations_are_planned_in_tangent_space() -> None:
    ball = """<mujoco><option integrator="implicitfast" gravity="0 0 0"/><worldbody><body><joint name="j" type="ball"/>
<geom type="box" size=".3 .2 .1"/><site name="s"/></body></worldbody><actuator><motor joint="j" gear="1 0 0"/>
<motor joint="j" gear="0 1 0"/><motor joint="j" gear="0 0 1"/></actuator><sensor><gyro site="s"/></sensor></mujoco>"""
    model = MujocoModel(ball, dt=0.02)
    how: dict[str, Any] = {"horizon": 4, "terminal_precision": 5.0}
    x, goal = np.array([2.0, -1.5, 1.0, 1.0, 0.5, -0.5]), np.array([-0.8, 0.3, 0.5, 0.0, 0.0, 0.0])
    plain = RecedingHorizon(model, [1.0] * 3 + [0.1] * 3, 1e-3, tolerance=0.0, **how)
    planner = BeliefHorizon(model, [1.0] * 3 + [0.1] * 3, 1e-3, **how)
    want = plain.act(plain.init(), belief_of(model, x, 1e-9), goal)[1]
    found = planner.act(planner.init(), belief_of(model, x, 1e-9), goal)[1]
    np.testing.assert_allclose(found, want, rtol=0.02, atol=0.02 * np.abs(want).max())


def test_an_agent_plans_over_its_belief() -> None:
    agent = Agent(ExtendedKalmanFilter(light_dark()), walker(horizon=6, first_iterations=2))
    for y in np.random.default_rng(0).standard_normal((3, 4)):
        assert (np.abs(agent.act(y, AT)) <= 2.4).all()


@pytest.mark.parametrize(
    ("error", "given"),
    [
        (ParameterError, {"horizon": 0}),
        (ParameterError, {"iterations": 1.5}),
        (ParameterError, {"retries": -1}),
        (ParameterError, {"tolerance": -1.0}),
        (ParameterError, {"action_precision": 0.0}),
        (ShapeError, {"goal_precision": np.eye(3)}),
        (ParameterError, {"limits": (1.0, 2.0)}),
        (ParameterError, {"order": -1}),
    ],
)
def test_arguments_are_checked(error: type[PcctrlError], given: dict[str, Any]) -> None:
    with pytest.raises(error):
        BeliefHorizon(pendulum(0.0), **{"goal_precision": 1.0, "action_precision": 1.0, **given})
    planner = BeliefHorizon(pendulum(), 1.0, 1.0, order=2)
    with pytest.raises(ShapeError):
        planner.act(planner.init(), belief_of(pendulum(), np.zeros(2)))
