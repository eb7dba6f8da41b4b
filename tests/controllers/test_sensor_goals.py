"""Goals on what the sensors read, of plans through any model."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import ArrayLike
from plants import as_nonlinear, belief_of, smooth_cart_pole, smooth_msd

from pcctrl.arrays import Array
from pcctrl.controllers import ExpectedFreeEnergy, Preview, RecedingHorizon, SamplingHorizon
from pcctrl.controllers.aims import Aim
from pcctrl.controllers.iterated import Course, Problem, walk
from pcctrl.errors import ShapeError, UnknownNameError
from pcctrl.filters import NonlinearPCFilter
from pcctrl.models import LinearModel, MujocoModel, NonlinearModel
from pcctrl.noise import Smooth, White

# Two links in a plane that hang, and what the end of the second one's place is.
ARM = """<mujoco><option timestep=".01" integrator="implicitfast"/><default><geom type="capsule" size=".02" mass=".5"/>
<joint type="hinge" axis="0 1 0" damping=".2"/></default><worldbody><body name="upper"><joint name="a"/>
<geom fromto="0 0 0 0 0 -.3"/><body name="lower" pos="0 0 -.3"><joint name="b"/><geom fromto="0 0 0 0 0 -.3"/>
<site name="tip" pos="0 0 -.3"/></body></body></worldbody><actuator><motor joint="a" ctrllimited="true"
ctrlrange="-8 8"/><motor joint="b" ctrllimited="true" ctrlrange="-4 4"/></actuator><sensor><jointpos joint="a"/>
<jointpos joint="b"/><framepos name="tip" objtype="site" objname="tip"/></sensor></mujoco>"""
BALL = """<mujoco><option integrator="implicitfast" gravity="0 0 0"/><worldbody><body><joint name="j" type="ball"/>
<geom type="box" size=".3 .2 .1"/><site name="s" pos="0 0 .2"/></body></worldbody><actuator>
<motor joint="j" gear="1 0 0"/><motor joint="j" gear="0 1 0"/><motor joint="j" gear="0 0 1"/></actuator>
<sensor><framepos name="s" objtype="site" objname="s"/></sensor></mujoco>"""
TIP = np.array([0.35, 0.0, -0.25])


@pytest.mark.parametrize(
    ("model", "precision", "horizon"),
    [(smooth_msd(), 1.0, 200), (smooth_cart_pole(2.0), [1.0, 10.0], 1000)],
)
def test_on_a_linear_model_it_is_expected_free_energy(model: LinearModel, precision: ArrayLike, horizon: int) -> None:
    rng, m = np.random.default_rng(1), len(model.C)
    belief = belief_of(model, 0.1 * rng.standard_normal(model.joint(4).size))
    exact = ExpectedFreeEnergy(model, precision, 0.01, order=4, goals="sensors")
    planner = RecedingHorizon(model, precision, 0.01, horizon=horizon, order=4, goals="sensors")
    for goal in (None, 0.1 * rng.standard_normal(m), Preview(0.1 * rng.standard_normal((7, m)))):
        _, want, parts = exact.act(None, belief, goal)
        _, u, info = planner.act(planner.init(), belief, goal)
        np.testing.assert_allclose(u, want, atol=1e-6)
        np.testing.assert_allclose(info.forecast, parts.forecast, atol=1e-6)
    # Negative control: the same numbers over the states are another goal.
    n = len(model.A)
    other = RecedingHorizon(model, np.ones(n), 0.01, horizon=horizon, order=4)
    assert abs(other.act(other.init(), belief)[1] - exact.act(None, belief)[1]).max() > 1e-2


def test_a_sensor_of_each_state_is_a_goal_on_states() -> None:
    both: dict[str, Any] = {"C": np.eye(2), "sensor_noise": [White(std=0.1)] * 2}
    model = replace(smooth_msd(), **both, D=None, operating_point=None, sensors=None)
    belief = belief_of(model, 0.1 * np.ones(model.joint(4).size))
    plain = RecedingHorizon(model, [1.0, 0.2], 0.01, horizon=40, order=4)
    by_sensors = replace(plain, goals="sensors")
    goal = [0.3, 0.0]
    np.testing.assert_allclose(
        by_sensors.act(by_sensors.init(), belief, goal)[1], plain.act(plain.init(), belief, goal)[1], atol=1e-6
    )


def test_sampling_converges_to_it_too() -> None:
    model, count = smooth_msd(), 64
    belief = belief_of(model, np.random.default_rng(0).standard_normal(model.joint(4).size))
    want = ExpectedFreeEnergy(model, 1.0, 0.01, order=4, goals="sensors").act(None, belief, [0.5])[1]
    planner = SamplingHorizon(
        model,
        1.0,
        0.01,
        [Smooth(1.0, 0.2)],
        horizon=12,
        elites=8,
        first_iterations=30,
        narrowing=1.0,
        order=4,
        goals="sensors",
    )
    u = planner.act(planner.init((count,), np.arange(count)), belief, [0.5])[1]
    error = u.std(ddof=1) / np.sqrt(count)
    # Both plan to a horizon, and the weights of samples round the minimum off.
    assert abs(u.mean() - want[0]) < 4.0 * error + 0.02 * abs(want[0])
    elsewhere = ExpectedFreeEnergy(model, 1.0, 0.01, order=4, goals="sensors").act(None, belief, [0.0])[1]
    assert abs(u.mean() - elsewhere[0]) > 0.2 * abs(want[0])


@pytest.mark.parametrize("xml", [ARM, BALL])
def test_its_plan_is_a_minimum_of_the_true_cost(xml: str) -> None:
    model = MujocoModel(xml, dt=0.02)
    n, p = len(model.start[0]), len(model.start[1])
    goal, weight = model.readout(np.full(n, 0.4)), 10.0
    planner = RecedingHorizon(
        model, weight, 1e-3, horizon=8, terminal_precision=1.0, tolerance=0.0, goals="sensors", limits=(-50.0, 50.0)
    )
    x = np.full(n, 0.1)
    plan, u, info = planner.act(planner.init(), belief_of(model, x), goal)
    W, rho, S = planner._weights
    assert S is not None
    wide = np.full((8, p), np.inf)
    problem = Problem(Aim(model, "sensors"), x, np.tile(goal, (8, 1)), plan.end, W, rho, S, np.zeros(p), -wide, wide)
    inputs = np.vstack([u, plan.inputs[:-1]])
    course = Course(np.zeros((9, n)), inputs, np.zeros((8, p, n)), np.inf)
    assert walk(problem, course, 0.0 * inputs).cost == pytest.approx(info.cost[1], rel=1e-9)
    moves = 1e-4 * np.eye(8 * p).reshape(8 * p, 8, p)
    slopes = [(walk(problem, course, move).cost - walk(problem, course, -move).cost) / 2e-4 for move in moves]
    assert np.abs(slopes).max() < 1e-5 * info.cost[0]


def test_the_end_is_at_rest_and_reads_as_the_goal() -> None:
    model = MujocoModel(ARM, dt=0.02)
    weight = np.diag([0.0, 0.0, 1.0, 0.0, 1.0])
    goal, aim = np.concatenate([np.zeros(2), TIP]), Aim(model, "sensors")
    end = aim.end(goal, weight, np.array([0.3, -0.5, 1.0, -1.0]))
    np.testing.assert_allclose(model.readout(end)[2:], TIP, atol=1e-3)
    np.testing.assert_allclose(end[2:], 0.0, atol=1e-3)
    # A singular posture: the tip is to be where the stretched arm points away from.
    y = model.readout(np.array([-0.3, 0.0, 0.0, 0.0]))
    behind = aim.end(y, weight, np.array([np.pi - 0.3, 0.0, 0.0, 0.0]))
    np.testing.assert_allclose(model.readout(behind)[2:], y[2:], atol=1e-3)
    assert np.abs(behind[:2] - [np.pi - 0.3, 0.0]).max() < 1.1 * np.pi, "it winds"
    # Out of reach: as near as it comes, stretched out towards it.
    far = aim.end(np.array([0.0, 0.0, 2.0, 0.0, 0.0]), weight, np.array([-0.5, -0.5, 0.0, 0.0]))
    np.testing.assert_allclose(model.readout(far)[2:], [0.6, 0.0, 0.0], atol=0.02)


def reached(planner: RecedingHorizon | SamplingHorizon, filter_: NonlinearPCFilter, steps: int = 75) -> float:
    """How far the tip is from its goal, in m, at most in the last 15 samples."""
    model, rng = planner.model, np.random.default_rng(0)
    goal = np.concatenate([np.zeros(2), TIP]) if planner.goals == "sensors" else None
    x, belief, state, misses = model.start[0], filter_.init(), planner.init(), []
    u, act = np.zeros(2), cast(Any, planner).act
    for k in range(steps):
        y = filter_.model.readout(x) + 1e-3 * rng.standard_normal(2)
        belief, _ = filter_.step(belief, y, u) if k else filter_.update(belief, y)
        state, u, _ = act(state, belief, goal)
        x = model.transition(x, u)
        misses.append(float(np.linalg.norm(model.readout(x)[2:] - TIP)))
    return max(misses[-15:])


def test_an_arm_that_senses_its_joints_brings_its_tip_to_a_place() -> None:
    told: dict[str, Any] = {"dt": 0.02, "prior": 0.1 * np.eye(4)}
    noise: dict[str, Any] = {"noise_input": ["a", "b"], "process_noise": [White(density=0.01)] * 2, "disturbance": 0.1}
    model = MujocoModel(ARM, **told, **noise)
    seen = replace(model, sensors=list(model.sensors or ())[:2], sensor_noise=[White(std=1e-3)] * 2)
    precision, rho = [0.0, 0.0, 100.0, 0.0, 100.0], 1e-3
    filter_ = NonlinearPCFilter(seen, None, iterations=1)
    planner = RecedingHorizon(model, precision, rho, horizon=25, goals="sensors", iterations=3)
    assert reached(planner, filter_) < 0.015
    # Negative control: with no weight on its tip it stays where it hangs.
    assert reached(replace(planner, goal_precision=[1e-6] * 5), filter_, 20) > 0.2


def test_whatever_is_believed_the_input_is_finite() -> None:
    def f(x: Array, u: Array, w: Array) -> Array:
        return np.stack([x[..., 1], u[..., 0] - np.sin(x[..., 0]) + w[..., 0]], axis=-1)

    model = NonlinearModel(
        f,
        lambda x, u: np.sin(x[..., :1]) + 0.0 * u,
        dt=0.05,
        operating_point=(np.zeros(2), np.zeros(1)),
        process_noise=[White(density=0.1)],
        sensor_noise=[White(std=0.01)],
        limits=(-1.0, 1.0),
    )
    planner = RecedingHorizon(model, 1.0, 0.01, horizon=10, goals="sensors")
    sampler = SamplingHorizon(model, 1.0, 0.01, [Smooth(0.5, 0.1)], horizon=10, goals="sensors")
    both: list[Any] = [planner, sampler]
    for controller in both:
        state: Any = controller.init()
        for mean in (np.nan, 1e300, 0.1):
            state, u, _ = controller.act(state, belief_of(model, [mean, 0.0]), [0.4])
            assert np.isfinite(u).all()
            assert abs(u[0]) <= 1.0


def test_a_batch_is_as_one_by_one() -> None:
    model = as_nonlinear(smooth_msd())
    means, goals = np.array([[0.1, 0.2], [-0.3, 0.1]]), np.array([[0.2], [-0.1]])
    both: list[Any] = [
        RecedingHorizon(model, 1.0, 0.01, horizon=10, goals="sensors"),
        SamplingHorizon(model, 1.0, 0.01, [Smooth(0.5, 0.1)], horizon=10, goals="sensors"),
    ]
    for controller in both:
        _, u, _ = controller.act(controller.init((2,)), belief_of(model, means), goals)
        for i in range(2):
            alone = controller.act(controller.init(), belief_of(model, means[i]), goals[i])[1]
            np.testing.assert_allclose(u[i], alone, rtol=1e-9)


def test_arguments_are_checked() -> None:
    model = smooth_msd()
    with pytest.raises(UnknownNameError):
        RecedingHorizon(model, 1.0, 1.0, goals="rates")  # type: ignore[arg-type]
    with pytest.raises(ShapeError):
        RecedingHorizon(model, [1.0, 1.0], 1.0, goals="sensors")
    planner = RecedingHorizon(model, 1.0, 1.0, goals="sensors")
    with pytest.raises(ShapeError):
        planner.act(planner.init(), belief_of(model, [0.0, 0.0]), [0.0, 0.0])
