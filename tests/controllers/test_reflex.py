from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import control
import numpy as np
import pytest
from plants import smooth_cart_pole, smooth_msd, white_msd

from pcctrl.agents import Agent
from pcctrl.controllers import ReflexArc
from pcctrl.envs import CartPoleEnv
from pcctrl.errors import ModelError, ParameterError, PcctrlError, ShapeError
from pcctrl.evaluation import fold_reflex
from pcctrl.filters import Belief, PCFilter
from pcctrl.models import LinearModel
from pcctrl.noise import White


def joint_of_arm() -> LinearModel:
    """One damped joint seen in angle and rate, at the published 1 ms."""
    A = np.array([[0.0, 1.0], [0.0, -100.0]])
    G = np.array([[0.0], [1.0]])
    noise = White(density=1e-3)
    sensors = [White(std=1e-3)] * 2
    return LinearModel(A, G, np.eye(2), dt=1e-3, noise_input=G, process_noise=[noise], sensor_noise=sensors)


def published(model: LinearModel, rate: float) -> ReflexArc:
    """The controller of Baioumy et al. 2022, §1 of our PUBLISHED facts: all precisions 1, ∂y/∂u = 1."""
    one = [[1.0]]
    return ReflexArc(
        model,
        tau=1.0,
        rate=rate,
        output=[[1.0, 0.0]],
        degree=2,
        jacobian=one,
        form="biased",
        prior_precision=[1.0, 1.0],
        perception_rate=200.0,
    )


def of(mean: np.ndarray) -> Belief:
    return Belief(mean, np.eye(mean.shape[-1]), np.zeros(1), mean.shape[-1])


@pytest.mark.parametrize("model", [white_msd(), smooth_cart_pole(0.0)], ids=["mass", "cart"])
def test_a_fast_unbiased_arc_is_pole_placement(model: LinearModel) -> None:
    n, tau = len(model.A), 0.3
    arc = ReflexArc(model, tau=tau, rate=1e6)
    want = control.acker(model.A, model.B, [-1.0 / tau] * n)
    x = np.random.default_rng(0).standard_normal(n)
    _, u, _ = arc.act(arc.init(), of(x))
    np.testing.assert_allclose(u, -np.asarray(want) @ x, rtol=1e-6)


def test_the_goal_is_reached_and_a_told_push_cancelled() -> None:
    model = replace(white_msd(), disturbance=0.5)
    limits = (-20.0, 20.0)
    arc = ReflexArc(model, tau=0.4, rate=20.0, limits=limits, order=4)
    agent, joint = Agent(PCFilter(model), arc), white_msd().joint(0)
    x = np.zeros(2)
    for _ in range(1500):
        x = joint.F @ x + joint.B @ (agent.act(x[:1], goal=[0.5]) + 3.0)
    assert x[0] == pytest.approx(0.5, abs=1e-3)
    # Negative control: an arc that does not read d leaves the push where it is.
    agent, x = Agent(PCFilter(model), ReflexArc(model, 0.4, 20.0, limits)), np.zeros(2)
    for _ in range(1500):
        x = joint.F @ x + joint.B @ (agent.act(x[:1], goal=[0.5]) + 3.0)
    assert abs(x[0] - 0.5) > 0.1


def test_the_biased_belief_has_the_published_modes() -> None:
    """PUBLISHED §1: belief modes of -94, -331 and -775 1/s."""
    Phi, _ = published(joint_of_arm(), 1e-9).law
    modes = np.log(np.linalg.eigvals(Phi).real) / 1e-3
    np.testing.assert_allclose(np.sort(modes)[:3], [-775.0, -331.0, -94.0], atol=0.5)


def test_the_biased_belief_of_a_held_joint_leans_to_the_goal_and_its_torque_grows() -> None:
    """PUBLISHED §1, cautions. The least free energy of a joint held at y is a third of the way to the goal."""
    arc = published(joint_of_arm(), 500.0)
    state, inputs = arc.init(), []
    for _ in range(2000):
        state, u, _ = arc.act(state, of(np.array([0.2, 0.0])), goal=[1.0])
        inputs.append(u[0])
    assert state.motion is not None
    # The shift Dμ̃ adds what a finite κ_μ leaves.
    assert state.motion[0] == pytest.approx(0.2 + 0.8 / 3.0, abs=0.8 / 200.0)
    assert inputs[-1] - inputs[-2] == pytest.approx(inputs[-101] - inputs[-102], rel=1e-6)
    assert inputs[-1] - inputs[-2] > 0.1


def test_the_biased_motion_is_its_ordinary_differential_equation() -> None:
    """An independent fine Euler integration of the equations in the docstring."""
    arc = replace(published(joint_of_arm(), 3.0), precision=[1.4, 0.6], prior_precision=[0.1, 0.5], tau=0.7)
    y = np.array([0.3, -0.4])
    mu, u, fine = np.array([0.3, -0.4, 0.0]), 0.0, 1e-3 / 4000
    for _ in range(4000):
        seen = np.array([1.4, 0.6]) * (y - mu[:2])
        e = np.array([0.1, 0.5]) * (mu[1:] + (mu[:2] - [1.0, 0.0]) / 0.7)
        slope = np.array([-seen[0] + e[0] / 0.7, -seen[1] + e[0] + e[1] / 0.7, e[1]])
        mu, u = mu + fine * (np.array([mu[1], mu[2], 0.0]) - 200.0 * slope), u - fine * 3.0 * seen.sum()
    state, action, _ = arc.act(arc.init(), of(y), goal=[1.0])
    assert state.motion is not None
    np.testing.assert_allclose(state.motion, mu, atol=1e-4)
    assert action[0] == pytest.approx(u, rel=1e-3)


def test_fold_is_the_loop_itself() -> None:
    model = smooth_msd()
    for arc in (
        ReflexArc(model, 0.4, 10.0, order=4),
        ReflexArc(model, 0.4, 10.0, form="biased", perception_rate=5.0),
    ):
        filter_ = PCFilter(model)
        compensator, agent = fold_reflex(filter_, arc), Agent(filter_, arc)
        # From rest with the steady covariance, as the compensator is.
        start = filter_.init(covariance=None)
        belief = Belief(start.mean, filter_.steady_prior, start.input, start.plant)
        memory = arc.init()._replace(motion=np.zeros(len(arc.law[0]) - 1))
        state = agent.init()._replace(belief=belief, controller=memory)
        rng, s = np.random.default_rng(0), np.zeros(len(compensator.A))
        for _ in range(20):
            y = rng.standard_normal(1)
            state, u, *_ = agent.step(state, y)
            np.testing.assert_allclose(compensator.C @ s + compensator.D @ y, u, atol=1e-10)
            s = compensator.A @ s + compensator.B @ y


def test_batches_are_stacked_singles_and_limits_do_not_wind_up() -> None:
    model = smooth_msd()
    arc = ReflexArc(model, 0.4, 10.0, (-1.0, 1.0), form="biased")
    means = np.random.default_rng(0).standard_normal((5, 3, 2)) * 3.0
    state, alone = arc.init((3,)), [arc.init() for _ in range(3)]
    for x in means:
        state, u, _ = arc.act(state, of(x))
        assert (np.abs(u) <= 1.0).all()
        assert (np.abs(state.input) <= 1.0).all()
        for i in range(3):
            alone[i], one, _ = arc.act(alone[i], of(x[i]))
            np.testing.assert_allclose(u[i], one, atol=1e-12)


def test_a_batch_of_goals_meets_one_belief() -> None:
    arc = ReflexArc(smooth_msd(), 0.4, 10.0)
    _, u, _ = arc.act(arc.init(), of(np.zeros(2)), np.array([[0.0], [1.0], [2.0]]))
    np.testing.assert_allclose(u, u[1] * np.array([[0.0], [1.0], [2.0]]), atol=1e-12)


def test_a_simulators_model_must_be_told_the_degree() -> None:
    model = CartPoleEnv().linear_model([White(std=0.01)] * 2)
    with pytest.raises(ParameterError, match="degree"):
        ReflexArc(model, 0.3, 10.0, output=[[1.0, 0.0, 0.0, 0.0]])
    ReflexArc(model, 0.3, 10.0, output=[[1.0, 0.0, 0.0, 0.0]], degree=2)


def test_bad_arguments_are_named() -> None:
    model = smooth_msd()
    hidden = replace(model, B=np.array([[0.0], [0.0]]))
    two = replace(model, B=np.eye(2), D=None, operating_point=None, inputs=None)
    cases: list[tuple[type[PcctrlError], str, Callable[[], ReflexArc]]] = [
        (ParameterError, "tau", lambda: ReflexArc(model, 0.0, 1.0)),
        (ParameterError, "rate", lambda: ReflexArc(model, 1.0, np.nan)),
        (ModelError, "output", lambda: ReflexArc(hidden, 1.0, 1.0)),
        (ModelError, "output", lambda: ReflexArc(two, 1.0, 1.0)),
        (ModelError, "output", lambda: ReflexArc(hidden, 1.0, 1.0, output=[[1.0, 0.0]])),
        (ShapeError, "output", lambda: ReflexArc(model, 1.0, 1.0, output=[[1.0]])),
        (ModelError, "jacobian", lambda: ReflexArc(model, 1.0, 1.0, jacobian=[[0.0]])),
        (ShapeError, "precision", lambda: ReflexArc(model, 1.0, 1.0, precision=[1.0] * 4)),
        (ParameterError, "precision", lambda: ReflexArc(model, 1.0, 1.0, precision=[-1.0])),
        (ParameterError, "prior_precision", lambda: ReflexArc(model, 1.0, 1.0, form="biased", prior_precision=0.0)),
        (ParameterError, "limits", lambda: ReflexArc(model, 1.0, 1.0, (1.0, -1.0))),
    ]
    for error, name, build in cases:
        with pytest.raises(error) as caught:
            build()
        assert caught.value.name == name
    arc = ReflexArc(model, 1.0, 1.0, order=4)
    with pytest.raises(ShapeError, match="belief"):
        arc.act(arc.init(), PCFilter(model, order=3).init())
    with pytest.raises(ShapeError, match="goal"):
        arc.act(arc.init(), PCFilter(model).init(), goal=[1.0, 2.0])
