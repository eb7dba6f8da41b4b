from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike
from plants import ARM
from scipy.optimize import minimize

from pcctrl.agents.agent import _choose_memory
from pcctrl.arrays import Array
from pcctrl.controllers import AdaptedTorque, ComputedTorque, LowPass, Preview, SlotineLi
from pcctrl.controllers.low_pass import LowPassState
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


def picked_up() -> tuple[AdaptedTorque, Belief, Belief, Belief]:
    """Return a law, and beliefs: of an empty hand, that it was found to have 3 kg, and that it has them."""
    plant, filter_ = adapting(Jump("load:hand", 2.0))
    start, suspicion = filter_.init(), filter_.init().suspicion
    assert suspicion is not None
    empty = np.concatenate([np.asarray(GOAL.goals)[0] + np.array([0.01, -0.02, 0.0, 0.0]), start.mean[4:]])
    heavy = empty.copy()
    heavy[4] = 3.0
    found = replace(start, mean=heavy, suspicion=suspicion._replace(found=np.array([3.0])))
    return (
        AdaptedTorque(plant, filter_.joint, 20.0, LIMITS),
        replace(start, mean=empty),
        found,
        replace(found, suspicion=suspicion),
    )


def held(state: LowPassState) -> Array:
    assert state.last is not None
    return state.last.held


def test_what_a_jump_changes_comes_at_a_rate() -> None:
    inner, empty, found, heavy = picked_up()
    law, quick = LowPass(inner, 1e-3, 0.01, 200.0), LowPass(inner, 1e-3, 0.01)
    start, first, _ = law.act(law.init(), empty, GOAL)
    state, u, _ = law.act(start, found, GOAL)
    wish, calm = inner.act(None, found, GOAL)[1], inner.act(None, empty, GOAL)[1]
    # The torque goes on to what was wished for before.
    np.testing.assert_allclose(u - first, law.rate * (calm - first), rtol=1e-9)
    np.testing.assert_allclose(held(state), calm - wish)
    assert np.abs(calm - wish).max() > 5.0
    assert np.abs(calm - first).max() > 0.5
    for k in range(1, 40):
        state, _, _ = law.act(state, heavy, GOAL)
        np.testing.assert_allclose(np.abs(held(state)), np.maximum(np.abs(calm - wish) - 0.2 * k, 0.0), atol=1e-9)
    # In the end it is all there, of which the other brings a part at once.
    for _ in range(200):
        state, u, _ = law.act(state, heavy, GOAL)
    np.testing.assert_allclose(u, wish, atol=1e-3)
    _, other, _ = quick.act(quick.act(quick.init(), empty, GOAL)[0], found, GOAL)
    np.testing.assert_allclose(other - first, quick.rate * (wish - first), rtol=1e-9)
    # A second jump before the first is answered takes back what is left of that too.
    state, _, _ = law.act(start, found, GOAL)
    state, _, _ = law.act(state, replace(found, mean=empty.mean), GOAL)
    np.testing.assert_allclose(held(state), 0.0, atol=1e-9)


def test_nothing_beyond_the_limits_is_held() -> None:
    inner, empty, found, _ = picked_up()
    law = LowPass(inner, 1e-3, 0.01, 200.0)
    # Both wishes beyond a limit: there is nothing to hold.
    far = Preview(np.asarray(GOAL.goals) + np.array([3.0, 3.0, 0.0, 0.0]))
    state, _, _ = law.act(law.act(law.init(), empty, far)[0], found, far)
    np.testing.assert_array_equal(held(state), 0.0)


def test_of_a_batch_those_that_jumped_are_held() -> None:
    inner, empty, found, heavy = picked_up()
    law = LowPass(inner, 1e-3, 0.01, 200.0)
    alone, _, _ = law.act(law.init(), empty, GOAL)
    suspicion = heavy.suspicion
    assert suspicion is not None

    def both(mean: Array, sizes: tuple[float, float]) -> Belief:
        return replace(found, mean=np.array([mean, mean]), suspicion=suspicion._replace(found=np.array(sizes)[:, None]))

    state, _, _ = law.act(law.init((2,)), both(empty.mean, (0.0, 0.0)), GOAL)
    # What is not finite now is not remembered, of either.
    state, _, _ = law.act(state, both(empty.mean * np.nan, (0.0, 0.0)), GOAL)
    state, _, _ = law.act(state, both(found.mean, (0.0, 3.0)), GOAL)
    alone, _, _ = law.act(alone, found, GOAL)
    np.testing.assert_allclose(held(state), np.array([np.zeros(2), held(alone)]), rtol=1e-6)
    before = held(state)[1]
    state, _, _ = law.act(state, both(found.mean, (3.0, 0.0)), GOAL)
    np.testing.assert_allclose(held(state)[1], np.sign(before) * (np.abs(before) - 0.2), rtol=1e-9)
    # A jump to what is not finite holds nothing new.
    state, _, _ = law.act(state, both(found.mean * np.nan, (3.0, 3.0)), GOAL)
    assert np.isfinite(held(state)).all()
    state, u, _ = law.act(state, both(empty.mean, (0.0, 0.0)), GOAL)
    assert np.isfinite(u).all()
    # An agent that keeps one member's memory keeps its goal, and not that of its neighbour.
    new, _, _ = law.act(state, both(empty.mean, (0.0, 0.0)), Preview(2.0 * np.asarray(GOAL.goals)))
    chosen = _choose_memory(np.array([[True], [False]]), new, state)
    np.testing.assert_array_equal(chosen.last.goal, [2.0 * np.asarray(GOAL.goals), GOAL.goals])


@pytest.mark.parametrize("rate", [0.0, -1.0, -np.inf, np.nan, "fast", [1.0, 2.0]])
def test_a_rate_of_jumps_is_checked(rate: Any) -> None:
    with pytest.raises(ParameterError, match="jump_rate"):
        LowPass(computed(), 1e-3, 0.01, rate)


@pytest.mark.parametrize(("dt", "time"), [(0.0, 0.01), (1e-3, -0.01), (1e-3, np.nan)])
def test_times_are_checked(dt: float, time: float) -> None:
    with pytest.raises(ParameterError):
        LowPass(computed(), dt, time)
