from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike
from plants import ARM
from scipy.optimize import minimize

from pcctrl.controllers import AdaptedTorque, ComputedTorque, LowPass, Preview, SlotineLi
from pcctrl.errors import ParameterError
from pcctrl.filters import Belief, Jump, NonlinearPCFilter
from pcctrl.models import AdaptiveModel, MujocoMechanics, MujocoModel, MujocoParameters, Parameter
from pcctrl.noise import White

GOAL = Preview(np.array([[0.3, -0.2, 0.5, -0.4], [0.3005, -0.2004, 0.502, -0.401]]))
LIMITS = (-60.0, 60.0)


def plain() -> MujocoModel:
    return MujocoModel(
        ARM,
        noise_input=("shoulder", "elbow"),
        process_noise=[White(density=0.02)] * 2,
        sensor_noise=[White(std=1e-4)] * 2,
        disturbance=0.2,
        prior=1e-6 * np.eye(4),
    )


def computed(limits: tuple[float, float] = LIMITS) -> ComputedTorque:
    return ComputedTorque(MujocoMechanics(plain()), 1e-3, 20.0, np.zeros(4), limits=limits)


def belief(x: ArrayLike) -> Belief:
    x = np.asarray(x, dtype=np.float64)
    return Belief(x, np.broadcast_to(np.eye(4), (*x.shape, 4)), np.zeros((*x.shape[:-1], 2)), 4)


def test_what_is_added_minimises_its_functional() -> None:
    law = LowPass(computed(), 1e-3, 0.01)
    state, _, _ = law.act(law.init(), belief([0.2, -0.1, 0.4, -0.2]), GOAL)
    seen = belief([0.31, -0.25, 0.6, -0.3])
    _, u, _ = law.act(state, seen, GOAL)
    reference = law.law.feedforward(state.law, seen, GOAL)
    wish = law.law.act(state.law, seen, GOAL)[1] - reference
    beta = 1.0 - np.exp(-0.1)
    found = minimize(
        lambda v: beta * ((v - wish) ** 2).sum() + (1.0 - beta) * ((v - state.added) ** 2).sum(), np.zeros(2)
    )
    np.testing.assert_allclose(u - reference, found.x, atol=1e-5)
    # Another rate would not.
    assert np.abs(LowPass(computed(), 1e-3, 0.02).act(state, seen, GOAL)[1] - reference - found.x).max() > 0.05


def test_without_a_time_it_is_the_law() -> None:
    seen = belief([0.31, -0.25, 0.6, -0.3])
    law = LowPass(computed(), 1e-3, 0.0)
    state, _, _ = law.act(law.init(), belief([0.2, -0.1, 0.4, -0.2]), GOAL)
    np.testing.assert_allclose(law.act(state, seen, GOAL)[1], computed().act(state.law, seen, GOAL)[1], rtol=1e-12)


def test_the_reference_is_not_late() -> None:
    on = belief(np.asarray(GOAL.goals)[0])
    parameters = [Parameter("viscous:elbow", 0.5, 100.0, start=0.4), Parameter("coulomb:elbow", 0.5, 100.0, start=0.7)]
    plant = MujocoParameters(plain(), parameters, 0.05)
    adaptive = AdaptiveModel(plant, parameters)
    filter_ = NonlinearPCFilter(adaptive, 1, iterations=1)
    start = filter_.init()
    mean = np.concatenate([on.mean, start.mean[4:]])
    believed = Belief(mean, start.covariance, start.input, 6)
    own = MujocoMechanics(plain(), friction=("viscous", "coulomb"))
    cases: tuple[tuple[Any, Belief], ...] = (
        (computed(), on),
        (SlotineLi(own, 1e-3, 20.0, np.zeros(4), 1.0, 0.3, 0.9, limits=LIMITS), on),
        (AdaptedTorque(plant, filter_.joint, 20.0, LIMITS), believed),
    )
    for inner, at in cases:
        law = LowPass(inner, 1e-3, 0.1)
        _, u, info = law.act(law.init(), at, GOAL)
        wish = inner.act(inner.init(), at, GOAL)[1]
        np.testing.assert_allclose(u, wish, rtol=1e-9)
        assert np.abs(info.unlimited).min() > 0.01


def adapting(*jumps: Jump) -> tuple[MujocoParameters, NonlinearPCFilter]:
    parameters = [Parameter("load:hand", 0.5, 100.0, 0.3), Parameter("coulomb:elbow", 0.5, 100.0, start=0.7)]
    plant = MujocoParameters(plain(), parameters, 0.05)
    return plant, NonlinearPCFilter(AdaptiveModel(plant, parameters), 1, iterations=1, jumps=jumps)


@pytest.mark.parametrize("batch", [(), (3,)])
def test_following_is_acting_and_what_the_reference_takes(batch: tuple[int, ...]) -> None:
    rng = np.random.default_rng(4)
    x = np.asarray(GOAL.goals)[0] + 0.1 * rng.standard_normal((*batch, 4))
    plant, filter_ = adapting()
    start = filter_.init()
    rest = np.broadcast_to(start.mean[4:], (*batch, len(start.mean) - 4))
    adapted = Belief(np.concatenate([x, rest], axis=-1), start.covariance, start.input, 6)
    own = MujocoMechanics(plain(), friction=("viscous", "coulomb"))
    laws: tuple[tuple[Any, Belief], ...] = (
        (computed(), belief(x)),
        (SlotineLi(own, 1e-3, 20.0, np.zeros(4), 1.0, 0.3, 0.9, limits=LIMITS), belief(x)),
        (AdaptedTorque(plant, filter_.joint, 20.0, LIMITS), adapted),
    )
    for law, seen in laws:
        memory = law.init(batch)
        _, info, takes = law.follow(memory, seen, GOAL)
        _, u, wanted = law.act(memory, seen, GOAL)
        np.testing.assert_allclose(info.unlimited, wanted.unlimited, rtol=1e-12)
        np.testing.assert_allclose(takes, law.feedforward(memory, seen, GOAL), rtol=1e-12)
        # Off the reference they are not the same.
        assert np.abs(u - takes).min() > 0.01


def test_a_batch_of_bandwidths_follows_one_belief() -> None:
    plant, filter_ = adapting()
    start, w = filter_.init(), np.array([[10.0, 10.0], [20.0, 20.0], [20.0, 30.0]])
    seen = replace(start, mean=np.concatenate([[0.31, -0.25, 0.6, -0.3], start.mean[4:]]))
    _, info, takes = AdaptedTorque(plant, filter_.joint, w, LIMITS).follow(None, seen, GOAL)
    assert takes.shape == (2,)
    for one, torque in zip(w, info.unlimited, strict=True):
        alone = AdaptedTorque(plant, filter_.joint, one, LIMITS).act(None, seen, GOAL)[2].unlimited
        np.testing.assert_allclose(torque, alone, rtol=1e-12)


def test_white_changes_become_smaller_as_told() -> None:
    rng = np.random.default_rng(0)
    x = np.asarray(GOAL.goals)[0] + 1e-4 * np.cumsum(rng.standard_normal((4000, 4)), axis=0) * (0.0, 0.0, 1.0, 1.0)
    law = LowPass(computed((-1e6, 1e6)), 1e-3, 0.01)
    state, own, calm = law.init(), [], []
    for one in x:
        own.append(law.law.act(state.law, belief(one), GOAL)[1])
        state, u, _ = law.act(state, belief(one), GOAL)
        calm.append(u)
    ratio = np.diff(calm, axis=0)[200:].std(axis=0) / np.diff(own, axis=0)[200:].std(axis=0)
    beta = law.rate
    # A standard deviation of correlated samples, about (4000 β)^-½ of itself.
    np.testing.assert_allclose(ratio, np.sqrt(beta / (2.0 - beta)), rtol=4.0 / np.sqrt(8000 * beta))


def test_at_a_limit_nothing_winds_up() -> None:
    law = LowPass(computed((-2.0, 2.0)), 1e-3, 0.01)
    state = law.init()
    for _ in range(50):
        state, u, _ = law.act(state, belief([-1.0, 0.5, 0.0, 0.0]), GOAL)
        assert (np.abs(u) <= 2.0).all()
    reference = law.law.feedforward(state.law, belief(np.asarray(GOAL.goals)[0]), GOAL)
    np.testing.assert_allclose(state.added, u - reference)


def test_what_is_not_finite_is_not_remembered() -> None:
    law = LowPass(computed(), 1e-3, 0.01)
    state, _, _ = law.act(law.init(), belief([0.2, -0.1, 0.4, -0.2]), GOAL)
    lost, _, _ = law.act(state, belief([np.nan, 0.0, 0.0, 0.0]), GOAL)
    np.testing.assert_array_equal(lost.added, state.added)


def test_a_batch_is_its_members() -> None:
    x = np.random.default_rng(1).standard_normal((3, 4)) * 0.1
    law = LowPass(computed(), 1e-3, 0.01)
    state, u, _ = law.act(law.init((3,)), belief(x), GOAL)
    for i, one in enumerate(x):
        alone, v, _ = law.act(law.init(), belief(one), GOAL)
        np.testing.assert_allclose(u[i], v)
        np.testing.assert_allclose(state.added[i], alone.added)


def test_where_the_belief_jumps_the_torque_does_not() -> None:
    plant, filter_ = adapting(Jump("load:hand", 2.0))
    start, suspicion = filter_.init(), filter_.init().suspicion
    assert suspicion is not None
    on = np.concatenate([np.asarray(GOAL.goals)[0], start.mean[4:]])
    law = LowPass(AdaptedTorque(plant, filter_.joint, 20.0, LIMITS), 1e-3, 0.01)
    heavy = on.copy()
    heavy[4] = 3.0
    for jumps in (True, False):
        before = replace(start, mean=on)
        state, first, _ = law.act(law.init(), before, GOAL)
        after = replace(start, mean=heavy, suspicion=suspicion._replace(found=np.array([3.0 * jumps])))
        _, second, _ = law.act(state, after, GOAL)
        wish = law.law.act(None, after, GOAL)[1]
        # All of what the load takes at once, or the part that a sample brings.
        np.testing.assert_allclose(second - first, (law.rate if jumps else 1.0) * (wish - first), rtol=1e-9)
    # A batch: each by itself.
    state, first, _ = law.act(law.init((2,)), replace(start, mean=np.array([on, on])), GOAL)
    found = suspicion._replace(found=np.array([[3.0], [0.0]]))
    _, second, _ = law.act(state, replace(start, mean=np.array([heavy, heavy]), suspicion=found), GOAL)
    np.testing.assert_allclose((second - first)[0], law.rate * (second - first)[1], rtol=1e-9)
    # What becomes of a neighbour, or of the caller's goal, is nothing to it.
    goals = np.array(GOAL.goals)
    state, _, _ = law.act(law.init((2,)), replace(start, mean=np.array([on, on])), Preview(goals))
    state, _, _ = law.act(state, replace(start, mean=np.array([on, on * np.nan])), Preview(goals))
    goals += 1.0
    _, third, _ = law.act(state, replace(start, mean=np.array([heavy, heavy]), suspicion=found), GOAL)
    np.testing.assert_allclose(third[0], second[0], rtol=1e-9)


def test_what_a_jump_changes_comes_at_a_rate() -> None:
    plant, filter_ = adapting(Jump("load:hand", 2.0))
    start, suspicion = filter_.init(), filter_.init().suspicion
    assert suspicion is not None
    inner = AdaptedTorque(plant, filter_.joint, 20.0, LIMITS)
    slow, quick = LowPass(inner, 1e-3, 0.01, 200.0), LowPass(inner, 1e-3, 0.01)
    on = np.concatenate([np.asarray(GOAL.goals)[0], start.mean[4:]])
    heavy = on.copy()
    heavy[4] = 3.0
    found = suspicion._replace(found=np.array([3.0]))
    before, after = replace(start, mean=on), replace(start, mean=heavy, suspicion=found)
    later = replace(start, mean=heavy)
    state, first, _ = slow.act(slow.init(), before, GOAL)
    state, u, _ = slow.act(state, after, GOAL)
    # Nothing of it at first, then what is let go, and no more than the part that a sample brings.
    np.testing.assert_allclose(u, first, rtol=1e-12)
    wish, calm = inner.act(None, after, GOAL)[1], inner.act(None, before, GOAL)[1]
    assert state.last is not None
    np.testing.assert_allclose(state.last.held, calm - wish)
    assert np.abs(calm - wish).max() > 5.0
    for k in range(1, 40):
        state, new, _ = slow.act(state, later, GOAL)
        assert np.abs(new - u).max() <= 0.2 * k * slow.rate + 1e-9
        assert state.last is not None
        np.testing.assert_allclose(np.abs(state.last.held), np.maximum(np.abs(calm - wish) - 0.2 * k, 0.0), atol=1e-9)
        u = new
    # In the end it is all there, as it is at once for the other.
    for _ in range(200):
        state, u, _ = slow.act(state, later, GOAL)
    np.testing.assert_allclose(u, wish, atol=1e-3)
    fast, _, _ = quick.act(quick.init(), before, GOAL)
    _, other, _ = quick.act(fast, after, GOAL)
    np.testing.assert_allclose(other - first, quick.rate * (wish - first), rtol=1e-9)
    # A second jump before the first is answered holds what is left of that too; what is not finite is not held.
    state, _, _ = slow.act(slow.init(), before, GOAL)
    state, _, _ = slow.act(state, after, GOAL)
    state, u, _ = slow.act(state, replace(after, mean=on), GOAL)
    np.testing.assert_allclose(u, first, rtol=1e-9)
    broken = replace(after, mean=heavy * np.nan)
    state, _, _ = slow.act(state, broken, GOAL)
    assert state.last is not None
    assert np.isfinite(state.last.held).all()
    _, u, _ = slow.act(state, before, GOAL)
    assert np.isfinite(u).all()


@pytest.mark.parametrize("rate", [0.0, -1.0, np.nan])
def test_a_rate_of_jumps_is_checked(rate: float) -> None:
    with pytest.raises(ParameterError, match="jump_rate"):
        LowPass(computed(), 1e-3, 0.01, rate)


@pytest.mark.parametrize(("dt", "time"), [(0.0, 0.01), (1e-3, -0.01), (1e-3, np.nan)])
def test_times_are_checked(dt: float, time: float) -> None:
    with pytest.raises(ParameterError):
        LowPass(computed(), dt, time)
