"""Bandwidths that are matrices, and the one that the mass asks for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.linalg
from numpy.typing import ArrayLike
from plants import ARM_MODEL as MODEL

from pcctrl.controllers import (
    AdaptedTorque,
    ComputedTorque,
    LowPass,
    Preview,
    SlotineLi,
    UnbiasedInference,
    modal_bandwidth,
)
from pcctrl.errors import ParameterError, PcctrlError, ShapeError
from pcctrl.filters import Belief, NonlinearPCFilter
from pcctrl.models import MujocoMechanics, MujocoParameters

MASS = np.array([[2.0, 0.7, 0.1], [0.7, 0.5, -0.1], [0.1, -0.1, 0.1]])
OMEGA = np.array([[20.0, -6.0], [-6.0, 35.0]])
MECHANICS = MujocoMechanics(MODEL)
GOAL = Preview(np.array([[0.3, -0.2, 0.5, -0.4], [0.3005, -0.2004, 0.502, -0.401]]))
X = np.array([0.31, -0.25, 0.6, -0.3])
ERROR, MOVING, ACCELERATION = np.array([-0.01, 0.05]), np.array([-0.1, -0.1]), np.array([2.0, -1.0])


def computed(bandwidth: ArrayLike = OMEGA, **more: Any) -> ComputedTorque:
    return ComputedTorque(MECHANICS, 1e-3, bandwidth, np.zeros(4), **more)


def adapted(bandwidth: ArrayLike = OMEGA, **more: Any) -> tuple[AdaptedTorque, NonlinearPCFilter]:
    filter_ = NonlinearPCFilter(MODEL, 1, iterations=1)
    return AdaptedTorque(MujocoParameters(MODEL, [], 0.1), filter_.joint, bandwidth, **more), filter_


def slotine(bandwidth: ArrayLike) -> SlotineLi:
    return SlotineLi(MujocoMechanics(MODEL, friction=("viscous",)), 1e-3, bandwidth, np.zeros(4), 0.0)


def belief(x: ArrayLike) -> Belief:
    return Belief(np.asarray(x), np.eye(4), np.zeros(2), 4)


def taken(acceleration: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the torques that an acceleration takes at X."""
    M, rest = MECHANICS.terms(X)
    return np.asarray(M @ acceleration + rest)


@pytest.mark.parametrize("rho", [1e-6, 1e-3])
def test_it_is_what_the_regulator_that_pays_for_changes_of_the_torques_has(rho: float) -> None:
    """Independent oracle: of Më = u, u̇ = r and ∫ |e|² + ρ|r|², the optimal gain on u is 2 (√ρ M)^(-1/3)."""
    none, one = np.zeros((3, 3)), np.eye(3)
    A = np.block([[none, one, none], [none, none, np.linalg.inv(MASS)], [none, none, none]])
    B = np.vstack([none, none, one])
    S = scipy.linalg.solve_continuous_are(A, B, np.diag([1.0] * 3 + [0.0] * 6), rho * one)
    gain = (B.T @ S)[:, 6:] / rho
    mean = float((np.sqrt(rho) * np.trace(MASS) / 3.0) ** (-1.0 / 3.0))
    np.testing.assert_allclose(modal_bandwidth(MASS, mean), 0.5 * gain, rtol=1e-5, atol=1e-5 * mean)
    # Negative control: another exponent does not.
    assert np.abs(modal_bandwidth(MASS, mean, 0.25) - 0.5 * gain).max() > 0.05 * mean


def test_without_an_exponent_all_modes_are_alike_and_a_diagonal_mass_has_no_others() -> None:
    np.testing.assert_allclose(modal_bandwidth(MASS, 30.0, 0.0), 30.0 * np.eye(3), atol=1e-12)
    masses = np.array([4.0, 1.0, 1.0])
    np.testing.assert_allclose(modal_bandwidth(np.diag(masses), 30.0, 0.5), np.diag(30.0 * np.sqrt(2.0 / masses)))


def test_laws_draw_errors_by_the_matrix() -> None:
    zeta = 0.7
    law, filter_ = adapted(damping=zeta)
    start = filter_.init()
    wanted = taken(ACCELERATION + OMEGA @ OMEGA @ ERROR + 2.0 * zeta * OMEGA @ MOVING)
    seen = Belief(np.concatenate([X, start.mean[4:]]), start.covariance, start.input, 4)
    np.testing.assert_allclose(law.act(None, seen, GOAL)[1], wanted, rtol=1e-6)
    plain = computed(damping=zeta)
    np.testing.assert_allclose(plain.act(plain.init(), belief(X), GOAL)[1], wanted, rtol=1e-9)
    # Negative control: its diagonal alone is another law.
    other = computed(np.diag(OMEGA), damping=zeta)
    assert np.abs(other.act(other.init(), belief(X), GOAL)[1] - wanted).max() > 0.1


def test_an_integral_has_the_third_power_and_is_clamped_joint_by_joint() -> None:
    law = computed(integral=True)
    memory, _, _ = law.act(law.init(), belief(X), GOAL)
    np.testing.assert_allclose(memory.drawn, 1e-3 * OMEGA @ OMEGA @ OMEGA @ ERROR, rtol=1e-9)
    _, u, _ = law.act(memory, belief(X), GOAL)
    pulled = 3.0 * OMEGA @ OMEGA @ ERROR + 3.0 * OMEGA @ MOVING + memory.drawn
    np.testing.assert_allclose(u, taken(ACCELERATION + pulled), rtol=1e-9)
    assert memory.drawn[0] < -0.5 < 1.0 < memory.drawn[1]
    short = computed(integral=True, clamp=0.4)
    np.testing.assert_allclose(short.act(short.init(), belief(X), GOAL)[0].drawn, [-0.4, 0.4])
    unbiased = UnbiasedInference(MECHANICS, [1.0, 1.0], 1e-3, 20.0, np.zeros(4), clamp=0.2)
    held, _, _ = unbiased.act(unbiased.init(), belief(X), GOAL)
    np.testing.assert_allclose(held.drawn, [-1e-3 * 20.0**3 * 0.01, 0.2])


def test_a_joint_at_its_limit_adds_nothing_to_the_integral_of_another() -> None:
    law = computed(integral=True, limits=([-0.01, -1e3], [0.01, 1e3]))
    x = np.array([0.4, -0.2, 0.5, -0.4])
    memory, u, _ = law.act(law.init(), belief(x), GOAL)
    assert abs(u[0]) == 0.01
    # The elbow has no error of its own.
    np.testing.assert_allclose(memory.drawn, 0.0, atol=1e-12)
    # Negative control: within the limits it would.
    free = computed(integral=True)
    assert abs(free.act(free.init(), belief(x), GOAL)[0].drawn[1]) > 1.0


def test_a_batch_of_beliefs_has_one_matrix() -> None:
    x = X + 0.1 * np.random.default_rng(0).standard_normal((3, 4))
    many = Belief(x, np.broadcast_to(np.eye(4), (3, 4, 4)), np.zeros((3, 2)), 4)
    start = adapted()[1].init()
    more = Belief(np.hstack([x, np.tile(start.mean[4:], (3, 1))]), start.covariance, start.input, 4)
    laws: list[Any] = [computed(), computed(integral=True), slotine(OMEGA), LowPass(computed(), 1e-3, 0.01)]
    for law, seen in [(one, many) for one in laws] + [(adapted()[0], more)]:
        _, u, _ = law.act(law.init((3,)), seen, GOAL)
        for i in range(3):
            alone = Belief(seen.mean[i], start.covariance, start.input, 4)
            np.testing.assert_allclose(u[i], law.act(law.init(), alone, GOAL)[1], rtol=1e-9)


def test_slotine_and_li_know_the_plant_and_have_the_poles_of_the_matrix() -> None:
    law = slotine(OMEGA)
    wanted = ACCELERATION + OMEGA @ OMEGA @ ERROR + 2.0 * OMEGA @ MOVING
    rate = np.array([0.5, -0.4]) + OMEGA @ ERROR
    np.testing.assert_allclose(law.act(law.init(), belief(X), GOAL)[1], MECHANICS.inverse(X, wanted, rate), rtol=1e-9)


def test_no_mode_is_faster_than_the_samples_bear() -> None:
    slow = modal_bandwidth(MASS, 30.0, most=25.0)
    own, V = np.linalg.eigh(modal_bandwidth(MASS, 30.0))
    assert own[-1] > 40.0
    np.testing.assert_allclose(slow, (V * np.minimum(own, 25.0)) @ V.T, rtol=1e-9)


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: computed([[1.0, 0.5], [0.4, 1.0]]), ParameterError),
        (lambda: computed([[1.0, 2.0], [2.0, 1.0]]), ParameterError),
        (lambda: computed(np.eye(3)), ShapeError),
        (lambda: adapted([[1.0, 2.0], [2.0, 1.0]]), ParameterError),
        (lambda: adapted(0.0), ParameterError),
        (lambda: adapted(np.ones((4, 2))), ShapeError),
        (lambda: slotine([[1.0, 2.0], [2.0, 1.0]]), ParameterError),
        (lambda: modal_bandwidth([1.0, 2.0], 20.0), ShapeError),
        (lambda: modal_bandwidth(np.ones((2, 3)), 20.0), ShapeError),
        (lambda: modal_bandwidth(np.diag([1.0, 0.0]), 20.0), ParameterError),
        (lambda: modal_bandwidth(np.eye(2), 0.0), ParameterError),
        (lambda: modal_bandwidth(np.eye(2), 20.0, -0.1), ParameterError),
        (lambda: modal_bandwidth(np.eye(2), 20.0, most=0.0), ParameterError),
        (lambda: modal_bandwidth(np.diag([1e-3, 1.0]), 20.0, 200.0), ParameterError),
        (lambda: modal_bandwidth([[1.0, 2.0], [3.0]], 20.0), ShapeError),
        (lambda: modal_bandwidth(np.zeros((0, 0)), 20.0), ShapeError),
        (lambda: modal_bandwidth(np.full((2, 2), np.nan), 20.0), ParameterError),
    ],
)
def test_what_is_no_bandwidth_is_refused(make: Any, error: type[PcctrlError]) -> None:
    with pytest.raises(error):
        make()
