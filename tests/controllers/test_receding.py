from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from plants import belief_of, smooth_cart_pole, smooth_msd, swing_up, white_msd
from scipy.optimize import lsq_linear

from pcctrl.agents import Agent
from pcctrl.arrays import Array
from pcctrl.controllers import ExpectedFreeEnergy, Preview, RecedingHorizon
from pcctrl.controllers.aims import Aim
from pcctrl.controllers.iterated import Course, PlanStatus, Problem, walk
from pcctrl.errors import ParameterError, PcctrlError, ShapeError
from pcctrl.filters import Belief, PCFilter
from pcctrl.models import LinearModel, NonlinearModel
from pcctrl.models.mujoco import MujocoModel
from pcctrl.noise import Smooth, White

BALL = """<mujoco><option integrator="implicitfast" gravity="0 0 0"/><worldbody><body><joint name="j" type="ball"/>
<geom type="box" size=".3 .2 .1"/></body></worldbody><actuator><motor joint="j" gear="1 0 0"/>
<motor joint="j" gear="0 1 0"/><motor joint="j" gear="0 0 1"/></actuator><sensor><gyro site="s"/></sensor></mujoco>"""
BALL = BALL.replace("<geom", '<site name="s"/><geom')


@pytest.mark.parametrize(
    ("model", "weight", "order", "horizon"),
    [
        (white_msd(), [1.0, 0.0], None, 150),
        (smooth_msd(), [1.0, 0.0], 4, 150),
        (replace(smooth_msd(), disturbance=0.3), [1.0, 0.0], 4, 300),
        (smooth_cart_pole(2.0), [1.0, 0.0, 10.0, 0.0], 4, 1000),
    ],
)
def test_on_a_linear_model_it_is_expected_free_energy(
    model: LinearModel, weight: list[float], order: int | None, horizon: int
) -> None:
    rng, n = np.random.default_rng(1), len(model.A)
    belief = belief_of(model, 0.1 * rng.standard_normal(model.joint(order or 0).size))
    exact = ExpectedFreeEnergy(model, weight, 0.01, order=order or 0)
    planner = RecedingHorizon(model, weight, 0.01, horizon=horizon, order=order)
    for goal in (None, 0.1 * rng.standard_normal(n), Preview(0.1 * rng.standard_normal((7, n)))):
        _, want, parts = exact.act(None, belief, goal)
        _, u, info = planner.act(planner.init(), belief, goal)
        np.testing.assert_allclose(u, want, atol=1e-6)
        np.testing.assert_allclose(info.forecast, parts.forecast, atol=1e-6)
        np.testing.assert_allclose(info.unlimited, want, atol=1e-6)
        assert info.status == PlanStatus.CONVERGED
    if order is not None:
        # Negative control: to read x alone is another action.
        blind = RecedingHorizon(model, weight, 0.01, horizon=horizon)
        assert abs(blind.act(blind.init(), belief)[1] - exact.act(None, belief)[1]).max() > 1e-3


def test_wrong_derivatives_are_another_action_but_never_a_higher_cost() -> None:
    class Wrong(LinearModel):
        def transition_jacobians(self, *at: Any) -> tuple[Array, Array, Array]:
            F, B, G = super().transition_jacobians(*at)
            return F, -3.0 * B, G

    right = white_msd()
    told: dict[str, Any] = {k: getattr(right, k) for k in ("dt", "noise_input", "process_noise", "sensor_noise")}
    wrong = Wrong(right.A, right.B, right.C, **told)
    belief = belief_of(right, [0.3, -0.2])
    want = ExpectedFreeEnergy(right, 1.0, 0.01).act(None, belief)[1]
    planner = RecedingHorizon(wrong, 1.0, 0.01, horizon=150)
    _, u, info = planner.act(planner.init(), belief)
    assert abs(u - want).max() > 1e-2
    assert info.cost[1] <= info.cost[0]


def dense_plan(planner: RecedingHorizon, x: Array, pushes: Array, limit: float) -> Array:
    """The whole plan (H, p) by one bounded least-squares problem in the inputs."""
    model, H = planner.model, planner.horizon
    (F, B, _), (n, p) = model.transition_jacobians(*model.start[:2]), (len(model.start[0]), len(model.start[1]))
    W, rho, S = planner._weights
    assert S is not None
    rows, targets = [], []
    free, response = x.copy(), np.zeros((n, H * p))
    for k in range(H + 1):
        root = np.linalg.cholesky((W if k < H else S) + 1e-14 * np.eye(n)).T
        rows.append(root @ response)
        targets.append(-root @ free)
        if k < H:
            free, response = F @ free + pushes[k], F @ response
            response[:, k * p : (k + 1) * p] += B
    rows.append(np.kron(np.eye(H), np.linalg.cholesky(rho).T))
    targets.append(np.zeros(H * p))
    found = lsq_linear(np.vstack(rows), np.concatenate(targets), (-limit, limit), method="bvls", tol=1e-14)
    return np.asarray(found.x).reshape(H, p)


@pytest.mark.parametrize("two", [False, True])
def test_within_bounds_it_is_the_bounded_quadratic_programme(two: bool) -> None:
    rng = np.random.default_rng(4)
    model = smooth_cart_pole(2.0)
    n = len(model.A)
    if two:
        model = replace(
            model,
            B=rng.standard_normal((n, 2)) + np.hstack([model.B, model.B]),
            D=None,
            operating_point=None,
            inputs=None,
        )
    rho = np.array([[0.02, 0.01], [0.01, 0.03]]) if two else np.array([[0.02]])
    limit = 0.2 if two else 4.0
    planner = RecedingHorizon(
        model,
        [1.0, 0.1, 10.0, 0.1],
        rho,
        horizon=40,
        limits=(-limit, limit),
        terminal_precision=[5.0, 1.0, 20.0, 2.0],
        tolerance=0.0,
        order=4,
    )
    joint = model.joint(4)
    start = 0.1 * rng.standard_normal(joint.size)
    plan, u, info = planner.act(planner.init(), belief_of(model, start))
    foreseen, e = [], start[joint.exogenous]
    for _ in range(planner.horizon):
        foreseen.append(joint.F[:n, joint.exogenous] @ e)
        e = joint.F[joint.exogenous, joint.exogenous] @ e
    want = dense_plan(planner, start[:n], np.array(foreseen), limit)
    at_bounds = (np.abs(want) > limit - 1e-9).mean()
    assert 0.1 < at_bounds < 0.9, at_bounds
    np.testing.assert_allclose(np.vstack([u, plan.inputs[:-1]]), want, atol=1e-6)
    assert info.status == PlanStatus.CONVERGED


def test_it_swings_up_and_holds() -> None:
    model = swing_up()
    planner = RecedingHorizon(model, [1.0, 0.1], 0.001, horizon=60, iterations=3)
    x, plan, angles = np.array([3.1, 0.0]), planner.init(), []
    for _ in range(120):
        plan, u, info = planner.act(plan, belief_of(model, x))
        assert abs(u[0]) <= 2.0
        assert info.cost[1] <= info.cost[0]
        x = model.transition(x, u)
        angles.append(x[0])
    assert np.abs(angles[-20:]).max() < 0.01


def test_a_plan_keeps_a_reserve_after_its_first_input() -> None:
    model = swing_up()
    for reserve, most in ((0.0, 2.0), (0.25, 1.5)):
        planner = RecedingHorizon(model, [1.0, 0.1], 0.001, horizon=60, reserve=reserve)
        plan, u, info = planner.act(planner.init(), belief_of(model, [0.25, 0.0]))
        assert info.cost[1] <= info.cost[0]
        assert abs(u[0]) == pytest.approx(2.0)
        assert np.abs(plan.inputs).max() == pytest.approx(most)


def test_rotations_are_planned_in_tangent_space() -> None:
    model = MujocoModel(BALL, dt=0.02)
    x = np.array([2.0, -1.5, 1.0, 1.0, 0.5, -0.5])
    goal = np.array([-0.8, 0.3, 0.5, 0.0, 0.0, 0.0])
    planner = RecedingHorizon(model, [1.0] * 3 + [0.1] * 3, 1e-3, horizon=12, terminal_precision=5.0, tolerance=0.0)
    plan, u, info = planner.act(planner.init(), belief_of(model, x), goal)
    assert info.status == PlanStatus.CONVERGED
    W, rho, S = planner._weights
    assert S is not None
    goals, wide = np.broadcast_to(goal, (13, 6)), np.full((12, 3), np.inf)
    problem = Problem(Aim(model), x, goals[:-1], goals[-1], W, rho, S, np.zeros(3), -wide, wide)
    inputs, still = np.vstack([u, plan.inputs[:-1]]), np.zeros((12, 3, 6))
    course = Course(np.zeros((13, 6)), inputs, still, np.inf)
    assert walk(problem, course, 0.0 * inputs).cost == pytest.approx(info.cost[1], rel=1e-9)
    moves = 1e-4 * np.eye(36).reshape(36, 12, 3)
    slopes = [(walk(problem, course, move).cost - walk(problem, course, -move).cost) / 2e-4 for move in moves]
    assert np.abs(slopes).max() < 1e-5 * info.cost[0]


def test_a_nonlinear_model_foretells_its_disturbances_too() -> None:
    """Written as functions, the linear plant of a simulator is the same problem."""
    noise, sensor = [Smooth(1.0, 0.2)], [White(std=0.1)]
    F, B = np.array([[1.0, 0.1], [-0.1, 0.98]]), np.array([[0.0], [0.1]])
    linear = LinearModel.from_discrete(
        F, B, np.eye(1, 2), dt=0.1, noise_input=B, process_noise=noise, sensor_noise=sensor, disturbance=0.2
    )
    model = NonlinearModel(
        lambda x, u, w: x @ F.T + (u + w) @ B.T,
        lambda x, u: x[..., :1],  # noqa: ARG005
        dt=0.1,
        time="discrete",
        operating_point=(np.zeros(2), np.zeros(1)),
        process_noise=noise,
        sensor_noise=sensor,
        disturbance=0.2,
    )
    belief = belief_of(linear, np.random.default_rng(3).standard_normal(linear.joint(4).size))
    _, want, parts = ExpectedFreeEnergy(linear, 1.0, 0.01, order=4).act(None, belief)
    planner = RecedingHorizon(model, 1.0, 0.01, horizon=300, order=4)
    _, u, info = planner.act(planner.init(), belief)
    np.testing.assert_allclose(u, want, atol=1e-6)
    np.testing.assert_allclose(info.forecast, parts.forecast, atol=1e-6)
    assert abs(info.forecast[0]) > 0.05


def test_a_batch_is_planned_one_by_one() -> None:
    model, x = swing_up(), np.array([[0.3, 0.0], [-0.5, 1.0]])
    goals = np.zeros((2, 3, 2))
    goals[1] += 0.1
    planner = RecedingHorizon(model, [1.0, 0.1], 0.01, horizon=20)
    plans = planner.init((2,))
    for _ in range(2):
        plans, u, info = planner.act(plans, belief_of(model, x), Preview(goals))
    assert (u.shape, info.status.shape, info.cost.shape) == ((2, 1), (2,), (2, 2))
    for i in range(2):
        plan = planner.init()
        for _ in range(2):
            plan, one, _ = planner.act(plan, belief_of(model, x[i]), Preview(goals[i]))
        np.testing.assert_array_equal(one, u[i])
        np.testing.assert_array_equal(plan.gains, plans.gains[i])


def test_an_agent_plans() -> None:
    model = smooth_msd()
    planner = RecedingHorizon(model, [1.0, 0.0], 0.01, horizon=100, limits=(-1.0, 1.0), order=4)
    agent = Agent(PCFilter(model, 4), planner, (-1.0, 1.0))
    exact = Agent(PCFilter(model, 4), ExpectedFreeEnergy(model, [1.0, 0.0], 0.01), (-1.0, 1.0))
    both = [
        np.array([a.act(y) for y in 0.002 * np.random.default_rng(0).standard_normal((10, 1))]) for a in (agent, exact)
    ]
    np.testing.assert_allclose(both[0], both[1], atol=1e-6)
    assert np.abs(both[0]).max() < 1.0
    assert Agent(PCFilter(model, 4), RecedingHorizon(model, 1.0, 1.0)).act([0.0]).shape == (1,)


def test_where_planning_fails_the_last_plan_goes_on() -> None:
    model = swing_up()
    planner = RecedingHorizon(model, [1.0, 0.1], 0.01, horizon=20)
    plan, _, _ = planner.act(planner.init(), belief_of(model, [0.6, 0.0]))
    for k in range(25):
        after, u, info = planner.act(plan, belief_of(model, [np.nan, 0.0]))
        assert info.status == PlanStatus.DIVERGED
        assert np.isinf(info.cost).all()
        np.testing.assert_array_equal(u, plan.inputs[0])
        plan = after
        assert np.isfinite(u).all(), k
    _, u, info = planner.act(plan, belief_of(model, [0.6, 0.0]))
    assert info.status in (PlanStatus.CONVERGED, PlanStatus.CAPPED)


def test_a_model_that_breaks_down_gives_a_safe_action() -> None:
    broken = replace(swing_up(), f=lambda x, u, w: np.exp(np.exp(x * 1e3)) + 0.0 * (u + w))
    planner = RecedingHorizon(broken, 1.0, 0.01, horizon=20)
    plan = planner.init()
    for x in ([1.0, 1.0], [1e200, -1e200]):
        plan, u, info = planner.act(plan, belief_of(broken, x))
        assert info.status == PlanStatus.DIVERGED
        assert abs(u[0]) <= 2.0


def test_inputs_that_do_the_same_for_next_to_nothing_share_the_work() -> None:
    model = white_msd()
    twice = replace(model, B=np.hstack([model.B, model.B]), D=None, operating_point=None, inputs=None)
    belief = belief_of(model, [3.0, -2.0])
    for rho in (1e-2, 1e-18):
        planner = RecedingHorizon(twice, 1.0, rho, horizon=50, limits=(-5.0, 5.0), tolerance=0.0)
        one = RecedingHorizon(model, 1.0, 0.5 * rho, horizon=50, limits=(-10.0, 10.0), tolerance=0.0)
        _, u, info = planner.act(planner.init(), belief)
        assert info.cost[1] < info.cost[0]
        assert u.sum() == pytest.approx(one.act(one.init(), belief)[1][0], abs=1e-6)


def test_arguments_are_checked() -> None:
    model = swing_up()
    wrong: list[tuple[type[PcctrlError], dict[str, Any]]] = [
        (ParameterError, {"horizon": 0}),
        (ParameterError, {"iterations": 1.5}),
        (ParameterError, {"tolerance": -1.0}),
        (ParameterError, {"reserve": 1.0}),
        (ParameterError, {"action_precision": 0.0}),
        (ShapeError, {"goal_precision": np.eye(3)}),
        (ParameterError, {"limits": (1.0, -1.0)}),
        (ParameterError, {"limits": (1.0, 2.0)}),
        (ShapeError, {"terminal_precision": [1.0]}),
    ]
    for error, given in wrong:
        with pytest.raises(error):
            RecedingHorizon(model, **{"goal_precision": 1.0, "action_precision": 1.0, **given})
    planner = RecedingHorizon(model, 1.0, 1.0, order=2)
    with pytest.raises(ShapeError):
        planner.act(planner.init(), Belief(np.zeros(3), np.eye(3), np.zeros(1), 3))
    with pytest.raises(ShapeError):
        planner.act(planner.init(), belief_of(model, np.zeros(2)), [0.0])
    coloured = RecedingHorizon(replace(model, process_noise=[Smooth(1.0, 0.1)]), 1.0, 1.0, order=2)
    with pytest.raises(ShapeError):
        coloured.act(coloured.init(), belief_of(model, np.zeros(2)))
