"""Bandwidths that follow an arm: of its modes where its reference is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike
from plants import ARM_MODEL as MODEL
from scipy.linalg import fractional_matrix_power

from pcctrl import agents
from pcctrl.agents import Agent, RealTimeAgent
from pcctrl.controllers import (
    AdaptedTorque,
    ComputedTorque,
    LowPass,
    ModalBandwidth,
    Preview,
    SlotineLi,
    modal_bandwidth,
)
from pcctrl.envs import Arm7Env, make_arm
from pcctrl.errors import ParameterError, PcctrlError, ShapeError
from pcctrl.filters import Belief, ExtendedKalmanFilter, NonlinearPCFilter
from pcctrl.models import MujocoMechanics, MujocoModel, MujocoParameters

# Its motor has no name.
_ROD = "<mujoco><worldbody><body><joint name='j'/><geom size='0.1' pos='0.3 0 0'/></body></worldbody>"
_ROD += "<actuator><motor joint='j' ctrlrange='-9 9'/></actuator><sensor><jointpos joint='j'/></sensor></mujoco>"
MECHANICS = MujocoMechanics(MODEL)
ONE = MujocoMechanics(MujocoModel(_ROD))
REST, P = np.zeros(4), 0.4
POSES = np.array([[0.0, 0.0], [0.3, 1.4], [-0.5, -2.0]])


def following(refresh: int = 20, **more: Any) -> ModalBandwidth:
    return ModalBandwidth(MECHANICS, 20.0, REST, P, refresh=refresh, **more)


def laws(bandwidth: Any) -> list[tuple[Any, Belief]]:
    """Each law, and a belief of its filter."""
    filter_ = NonlinearPCFilter(MODEL, 1, iterations=1)
    start = filter_.init()
    x = np.array([0.31, -0.25, 0.6, -0.3])
    plain = Belief(x, np.eye(4), np.zeros(2), 4)
    seen = Belief(np.concatenate([x, start.mean[4:]]), start.covariance, start.input, 4)
    friction = MujocoMechanics(MODEL, friction=("viscous",))
    return [
        (AdaptedTorque(MujocoParameters(MODEL, [], 0.1), filter_.joint, bandwidth), seen),
        (LowPass(AdaptedTorque(MujocoParameters(MODEL, [], 0.1), filter_.joint, bandwidth), 1e-3, 0.01), seen),
        (ComputedTorque(MECHANICS, 1e-3, bandwidth, REST, damping=0.7), plain),
        (ComputedTorque(MECHANICS, 1e-3, bandwidth, REST, integral=True), plain),
        (SlotineLi(friction, 1e-3, bandwidth, REST, 1.0), plain),
    ]


def mass(pose: ArrayLike) -> Any:
    return MECHANICS.mass_matrix(np.concatenate([np.asarray(pose), np.zeros(2)]))


def test_it_is_the_power_of_the_mass_at_each_pose() -> None:
    mean = np.trace(mass(POSES[0])) / 2.0
    found = following().at(POSES)
    for pose, omega in zip(POSES, found, strict=True):
        np.testing.assert_allclose(omega, 20.0 * fractional_matrix_power(mass(pose) / mean, -P), rtol=1e-9)
    np.testing.assert_allclose(found[0], modal_bandwidth(mass(POSES[0]), 20.0, P), rtol=1e-12)
    # Negative control: the modes are others elsewhere.
    assert np.abs(found[1] - found[0]).max() > 1.0
    assert np.linalg.eigvalsh(following(most=18.0).at(POSES)).max() < 18.0 + 1e-9


@pytest.mark.parametrize("kind", range(5))
def test_a_law_has_at_each_pose_what_it_has_with_the_matrix_of_that_pose(kind: int) -> None:
    law, belief = laws(following())[kind]
    for pose in POSES:
        goal = np.concatenate([pose, [0.2, -0.1]])
        fixed = laws(following().at(pose))[kind][0]
        memory, u, _ = law.act(law.init(), belief, goal)
        kept, wanted, _ = fixed.act(fixed.init(), belief, goal)
        np.testing.assert_allclose(u, wanted, rtol=1e-9)
        # What an integral or a low-pass filter remembers is the same too.
        again, wanted = (one.act(m, belief, goal)[1] for one, m in ((law, memory), (fixed, kept)))
        np.testing.assert_allclose(again, wanted, rtol=1e-9)
    home = laws(following().at(POSES[0]))[kind][0]
    assert np.abs(home.act(home.init(), belief, goal)[1] - u).max() > 0.01


def modes(memory: Any) -> Any:
    """Return the modes in a law's memory, wherever they are."""
    inner = getattr(memory, "law", memory)
    return getattr(inner, "modes", inner)


@pytest.mark.parametrize("kind", range(5))
def test_it_is_worked_out_anew_after_so_many_samples(kind: int) -> None:
    law, belief = laws(following(refresh=3))[kind]
    here, there = (np.concatenate([pose, np.zeros(2)]) for pose in POSES[:2])
    memory = law.act(law.init(), belief, here)[0]
    omegas = []
    for _ in range(4):
        memory = law.act(memory, belief, there)[0]
        omegas.append(modes(memory).omega)
    old, new = following().at(POSES[:2])
    for omega, wanted in zip(omegas, (old, old, new, new), strict=True):
        np.testing.assert_allclose(omega, wanted)


@pytest.mark.parametrize("kind", range(5))
def test_each_member_of_a_batch_has_its_own_pose_and_its_own_clock(kind: int) -> None:
    law, belief = laws(following(refresh=2))[kind]
    many = Belief(np.tile(belief.mean, (3, 1)), belief.covariance, belief.input, belief.plant)
    goals = Preview(np.array([[[*pose, 0.0, 0.0]] * 2 for pose in POSES]))
    alone = [law.init() for _ in POSES]
    together = law.init((3,))
    for k in range(3):
        together, u, _ = law.act(together, many, goals)
        for i, goal in enumerate(np.asarray(goals.goals)):
            alone[i], wanted, _ = law.act(alone[i], belief, Preview(goal))
            np.testing.assert_allclose(u[i], wanted, rtol=1e-9, err_msg=f"{k} {i}")


def test_without_a_memory_it_is_worked_out_each_time() -> None:
    law, belief = laws(following())[0]
    for pose in POSES[:2]:
        goal = np.concatenate([pose, np.zeros(2)])
        memory, u, _ = law.act(None, belief, goal)
        assert memory is None
        np.testing.assert_allclose(u, law.act(law.init(), belief, goal)[1], rtol=1e-12)


def test_a_goal_without_a_finite_mass_is_no_end_of_the_loop() -> None:
    env = make_arm(Arm7Env)
    plain = agents.make("aif-adaptive", env)
    for agent in (plain, RealTimeAgent(plain)):
        y, info = env.reset(seed=0)
        agent.reset()
        with np.errstate(over="ignore"):
            lost = agent.act(y, np.full(14, 1e308))
        assert np.isfinite(lost).all()
        assert agent.act(y, info["goal"])[1] != pytest.approx(lost[1], abs=1e-3)
    with np.errstate(over="ignore"):
        found = following().at(np.array([[0.3, 1.4], [1e308, 1e308]]))
    np.testing.assert_allclose(found[0], following().at(POSES[1]))
    assert np.isnan(found[1]).all()


def test_an_agent_runs_with_it() -> None:
    agent = Agent(ExtendedKalmanFilter(MODEL), laws(following())[3][0])
    state = agent.init((2,))
    for k in range(3):
        goal = np.array([[0.01 * k, 0.0, 0.0, 0.0], [1.0, 0.5, 0.0, 0.0]])
        state, u, _, _ = agent.step(state, np.zeros((2, 2)), goal)
        assert np.isfinite(u).all()
    assert state.controller.modes.omega.shape == (2, 2, 2)
    # A member whose goal leads nowhere keeps what it had, and the others go on.
    bad = np.array([goal[0], np.full(4, 1e308)])
    with np.errstate(over="ignore", invalid="ignore"):
        after, u, _, _ = agent.step(state, np.zeros((2, 2)), bad)
    assert np.isfinite(u).all()
    for one, old in zip(after.controller.modes, state.controller.modes, strict=True):
        assert one.shape == old.shape
        np.testing.assert_array_equal(one[1], old[1])
    assert after.controller.modes.left[0, 0] == state.controller.modes.left[0, 0] - 1


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: ModalBandwidth(MECHANICS, 0.0, REST), ParameterError),
        (lambda: ModalBandwidth(MECHANICS, 20.0, REST[:3]), ShapeError),
        (lambda: ModalBandwidth(MECHANICS, 20.0, REST, -1.0), ParameterError),
        (lambda: following(refresh=0), ParameterError),
        (lambda: following(most=-1.0), ParameterError),
        (lambda: laws(ModalBandwidth(ONE, 20.0, np.zeros(2))), ShapeError),
    ],
)
def test_what_is_no_bandwidth_is_refused(make: Any, error: type[PcctrlError]) -> None:
    with pytest.raises(error):
        make()
