from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.linalg
from two_joint_arm import (
    DT,
    INERTIA,
    LIMITS,
    MECHANICS,
    MODEL,
    MOTION,
    REST,
    TIMES,
    W,
    believe,
    computed,
    mrac,
    scheduled,
    slotine,
    through,
    track,
    unbiased,
)

from pcctrl.controllers import LQR, Disturbance, Preview, ReflexArc
from pcctrl.controllers.tracking import reference
from pcctrl.errors import ParameterError, PcctrlError, ShapeError
from pcctrl.filters import Belief
from pcctrl.models import free_joints

ALL: dict[str, Any] = {
    "computed torque": computed(),
    "with an integral": computed(integral=True),
    "Slotine-Li": slotine(),
    "MRAC": mrac(),
    "unbiased": unbiased(),
    "scheduled": scheduled(),
    "LQR": through(LQR(free_joints(MODEL, MECHANICS), [1e4, 1e4, 0.0, 0.0], 1e-2)),
    "reflex": through(ReflexArc(free_joints(MODEL, MECHANICS), 1.0 / W, 500.0, output=np.eye(2, 4))),
    "biased": through(
        ReflexArc(
            free_joints(MODEL, MECHANICS),
            0.1,
            3000.0,
            output=np.eye(2, 4),
            form="biased",
            prior_precision=[1.0, 1.0],
            perception_rate=300.0,
        )
    ),
}


@pytest.mark.parametrize("name", ["computed torque", "Slotine-Li"])
def test_errors_have_the_poles_asked_for(name: str) -> None:
    """With the true model an error at rest goes as (1 + ωt) exp(−ωt), but for half a sample of delay."""
    away = np.array([0.05, -0.03, 0.0, 0.0])
    errors, _ = track(ALL[name], MODEL, 300, away=away)
    t = TIMES[:300, None]
    wanted = -away[:2] * (1.0 + W * t) * np.exp(-W * t)
    assert np.abs(errors[:, :2] - wanted).max() < 0.03 * 0.05
    slow = -away[:2] * (1.0 + 0.9 * W * t) * np.exp(-0.9 * W * t)
    assert np.abs(errors[:, :2] - slow).max() > 0.03 * 0.05, "negative control: others do not fit"


@pytest.mark.parametrize(("integral", "damping"), [(True, 1.0), (True, 0.6), (False, 0.6)])
def test_poles_are_as_damped_as_asked_for_and_an_integral_has_one_more(integral: bool, damping: float) -> None:
    away = np.array([0.02, -0.01, 0.0, 0.0])
    errors, _ = track(computed(integral=integral, damping=damping), MODEL, 400, away=away)
    pair = np.array([1.0, 2.0 * damping * W, W**2])
    polynomial = np.polymul(pair, [1.0, W]) if integral else pair
    A, n = scipy.linalg.companion(polynomial), len(polynomial) - 1
    # Of the error's derivative, the error, and its integral if there is one.
    start = np.zeros((n, 2))
    start[1] = -away[:2]
    wanted = np.array([(scipy.linalg.expm(A * t) @ start)[1] for t in TIMES[:400]])
    assert np.abs(errors[:, :2] - wanted).max() < 0.04 * 0.02


@pytest.mark.parametrize("name", ALL)
def test_each_follows_a_motion(name: str) -> None:
    errors, _ = track(ALL[name], MODEL, 3000, MOTION)
    lag = 0.02 if name in ("MRAC", "unbiased", "biased") else 1e-3
    assert np.abs(errors[1500:, :2]).max() < lag


@pytest.mark.parametrize("name", ALL)
def test_batches_are_one_by_one_and_torques_limited(name: str) -> None:
    controller, rng = ALL[name], np.random.default_rng(0)
    x = REST + 0.05 * rng.standard_normal((2, 4))
    x[1, :2] += 3.0
    goal = Preview(MOTION[:3])
    state, u, info = controller.act(controller.init((2,)), believe(x), goal)
    state, u, info = controller.act(state, believe(x), goal)
    assert u.shape == info.unlimited.shape == info.forecast.shape == (2, 2)
    for k in range(2):
        one, *_ = controller.act(controller.init(), believe(x[k]), goal)
        _, alone, _ = controller.act(one, believe(x[k]), goal)
        np.testing.assert_allclose(u[k], alone, rtol=1e-9, atol=1e-9)
    assert (np.abs(u) <= LIMITS[1]).all()
    assert name == "biased" or (np.abs(info.unlimited[1]) > LIMITS[1]).any(), "it was far away"
    # What is not finite gives no number, which the agent replaces, and raises nothing.
    assert not np.isfinite(controller.act(controller.init(), believe(np.full(4, np.nan)), goal)[1]).any()


@pytest.mark.parametrize("name", ALL)
def test_bad_goals_and_beliefs(name: str) -> None:
    controller = ALL[name]
    with pytest.raises(ShapeError):
        controller.act(controller.init(), believe(REST), np.zeros(3))
    for goal in (np.full(4, np.inf), np.array([np.inf, -np.inf, 0.0, 0.0]), np.array([0.0, np.nan, 0.0, 0.0])):
        with pytest.raises(ParameterError):
            controller.act(controller.init(), believe(REST), goal)
    with pytest.raises(ShapeError):
        controller.act(controller.init(), Belief(np.zeros(3), np.eye(3), np.zeros(2), 3))


def test_the_acceleration_of_a_goal_is_its_mean_over_the_sample() -> None:
    now = reference(Preview(MOTION[5:8]), REST, DT)
    np.testing.assert_allclose(now.acceleration, (MOTION[6, 2:] - MOTION[5, 2:]) / DT)
    np.testing.assert_allclose(now.state, MOTION[5])
    for held in (reference(None, REST, DT), reference(REST, MOTION[0], DT)):
        np.testing.assert_allclose(held.state, REST)
        assert not held.acceleration.any()


def test_integrals_hold_against_a_torque_and_their_clamps_do_not() -> None:
    torque = [8.0, -4.0]
    for make in (computed, unbiased):
        options: dict[str, Any] = {"integral": True} if make is computed else {}
        held, _ = track(make(**options), MODEL, 1500, torque=torque)
        loose, _ = track(make(clamp=0.0, **options), MODEL, 1500, torque=torque)
        assert np.abs(held[-1, :2]).max() < 1e-4
        assert np.abs(loose[-1, :2]).max() > 1e-3, "negative control"


def test_a_known_disturbance_is_cancelled_in_either_unit() -> None:
    torque = np.array([8.0, -4.0])
    d = np.linalg.solve(INERTIA, torque)
    laws: tuple[Any, ...] = (computed, scheduled)
    for controller in laws:
        plain = controller().act(controller().init(), believe(REST))[1]
        for told, accelerates in ((torque, False), (d, True)):
            law = controller(disturbance=Disturbance(4, accelerates))
            _, u, info = law.act(law.init(), believe(REST, told))
            np.testing.assert_allclose(u, plain - torque, atol=1e-9)
            np.testing.assert_allclose(info.forecast, -torque, atol=1e-9)


def test_the_schedule_is_the_lqr_of_the_linearisation_and_is_renewed() -> None:
    law = scheduled(every=10)
    A, B, _ = MODEL.transition_jacobians(REST, MODEL.start[1])
    W4, rho = np.diag([1e4, 1e4, 0.0, 0.0]), 1e-2 * np.eye(2)
    S = scipy.linalg.solve_discrete_are(A, B, W4, rho)
    np.testing.assert_allclose(law.init().gain, np.linalg.solve(rho + B.T @ S @ B, B.T @ S @ A), rtol=1e-6)
    state, gains = law.init(), []
    for k in range(0, 600, 20):
        state, *_ = law.act(state, believe(MOTION[k]), MOTION[k])
        gains.append(state.gain)
    changed = [not np.array_equal(a, b) for a, b in itertools.pairwise(gains)]
    assert [k + 1 for k, c in enumerate(changed) if c] == [10, 20]


def test_the_arm_under_a_linear_law_is_the_linear_loop() -> None:
    """Free joints under their own LQR and the arm under it through its inverse dynamics err alike."""
    joints = free_joints(MODEL, MECHANICS)
    lqr = LQR(joints, [1e4, 1e4, 0.0, 0.0], 1.0)
    away = np.array([0.05, -0.04, 0.0, 0.0])
    errors, _ = track(through(lqr), MODEL, 200, MOTION, away=away)
    joint = joints.white.joint(0)
    closed, linear = joint.F[:4, :4] - joint.B[:4] @ lqr.gain[:, :4], [-away]
    for _ in range(199):
        linear.append(closed @ linear[-1])
    assert np.abs(errors - linear)[:, :2].max() < 0.02 * 0.05


def test_a_fast_arc_is_computed_torque_and_knows_of_a_limit() -> None:
    arc = through(ReflexArc(free_joints(MODEL, MECHANICS), 1.0 / W, 1e5, output=np.eye(2, 4)))
    x = REST + np.array([0.02, 0.01, 0.1, 0.0])
    memory, u, _ = arc.act(arc.init(), believe(x), Preview(MOTION[:2]))
    np.testing.assert_allclose(u, computed().act(computed().init(), believe(x), Preview(MOTION[:2]))[1], rtol=1e-6)
    far = REST - [2.0, 0.0, 0.0, 0.0]
    for _ in range(200):
        memory, u, _ = arc.act(memory, believe(far))
    assert u[0] == 120.0
    M, rest = MECHANICS.terms(far)
    np.testing.assert_allclose(M @ memory.input + rest, u, rtol=1e-9)


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: computed(bandwidth=0.0), ParameterError),
        (lambda: computed(bandwidth=[1.0, 2.0, 3.0]), ShapeError),
        (lambda: computed(dt=0.0), ParameterError),
        (lambda: computed(rest=[0.0, 0.0]), ShapeError),
        (lambda: computed(clamp=-1.0), ParameterError),
        (lambda: computed(damping=0.0), ParameterError),
        (lambda: slotine(rates=-1.0), ParameterError),
        (lambda: slotine(rates=[1.0, 1.0]), ShapeError),
        (lambda: slotine(low=6.0), ParameterError),
        (lambda: slotine(leak=-1.0), ParameterError),
        (lambda: replace(mrac(), inertia=np.zeros((2, 2))), ParameterError),
        (lambda: mrac(bias=[1.0, 2.0, 3.0]), ShapeError),
        (lambda: replace(unbiased(), inertia=[1.0]), ShapeError),
        (lambda: unbiased(limits=(1.0, 0.0)), ParameterError),
        (lambda: scheduled(every=0), ParameterError),
        (lambda: replace(scheduled(), state_weight=[1.0]), ShapeError),
        (lambda: replace(through(None), dt=-1.0), ParameterError),
    ],
)
def test_bad_arguments(make: Any, error: type[PcctrlError]) -> None:
    with pytest.raises(error):
        make()
