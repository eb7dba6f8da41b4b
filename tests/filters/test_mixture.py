"""A sample explained by a sum of Gaussians: against Kalman, and against Bayes' rule on a grid."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from plants import as_nonlinear, pendulum, white_msd

from pcctrl.errors import ParameterError
from pcctrl.filters import Jump, NonlinearPCFilter
from pcctrl.filters.mixture import joined, parted, surprising
from pcctrl.models import NonlinearModel, generalise
from pcctrl.noise import White

Array = NDArray[np.float64]
RNG = np.random.default_rng(0)


def squared(std: float = 0.05, sensors: int = 1) -> NonlinearModel:
    """A state that stays where it is, whose square is read."""
    noise: dict[str, Any] = {
        "process_noise": [White(density=1e-3)],
        "sensor_noise": [White(std=std)] * sensors,
        "dt": 0.1,
        "operating_point": ([0.3], [0.0]),
        "prior": [[1.0]],
    }
    return NonlinearModel(
        lambda x, u, w: x + 0.0 * u + 0.1 * w,
        lambda x, u: np.concatenate([x**2 + 0.0 * u] * sensors, axis=-1),
        time="discrete",
        **noise,
    )


def on_a_grid(y: float, std: float, mean: float = 0.3, spread: float = 1.0) -> tuple[float, float, float]:
    """Return mean, standard deviation and −ln p(y) of `squared` by brute force."""
    x = np.linspace(mean - 8.0 * spread, mean + 8.0 * spread, 400_001)
    p = np.exp(-0.5 * ((x - mean) / spread) ** 2 - 0.5 * ((y - x**2) / std) ** 2) / (2.0 * np.pi * spread * std)
    evidence = float(np.trapezoid(p, x))
    centre = float(np.trapezoid(p * x, x)) / evidence
    return centre, (float(np.trapezoid(p * (x - centre) ** 2, x)) / evidence) ** 0.5, -np.log(evidence)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8])
def test_parts_have_the_moments_of_the_whole(count: int) -> None:
    joint = generalise(pendulum(), 1)
    root = RNG.standard_normal((joint.size, joint.size))
    mean, P = RNG.standard_normal(joint.size), root @ root.T
    means, each, log_weights = parted(joint, mean, P, 1, count)
    weights = np.exp(log_weights)
    found = joined(joint, means, np.broadcast_to(each, (count, *P.shape)), weights)
    np.testing.assert_allclose(found[0], mean, atol=1e-12)
    np.testing.assert_allclose(found[1], P, atol=1e-10)
    assert np.linalg.eigvalsh(each).min() > -1e-10
    if count > 2:
        # Along the state up to the fourth moment, which of one Gaussian is 3.
        z, s = (means - mean)[:, 1], each[1, 1]
        np.testing.assert_allclose(weights @ (z**4 + 6.0 * z**2 * s + 3.0 * s**2), 3.0 * P[1, 1] ** 2, rtol=1e-9)


def test_of_a_linear_model_it_is_the_kalman_filter() -> None:
    """Parts of a Gaussian, reweighed by a linear sensor, add up to its posterior: the better, the more they are."""
    model = as_nonlinear(white_msd())
    plain = NonlinearPCFilter(model, None, probe=next(iter(model.states or ())))
    prior = plain.init(covariance=np.array([[0.04, 0.01], [0.01, 0.05]]))
    y = plain.joint.readout(prior.mean + np.array([0.2, 0.0]), prior.input)
    want, info = plain.update(prior, y)
    assert want.std[0] < 0.5 * prior.std[0], "more than half of the variance is gone"
    errors = []
    for count in (2, 5, 12):
        found, said = replace(plain, parts=count).update(prior, y)
        errors.append(float(np.abs((found.mean - want.mean) / want.std).max()))
        assert errors[-1] > 0.0, "it is the sum that answers"
    assert errors[0] > errors[1] > errors[2]
    np.testing.assert_allclose(found.mean, want.mean, atol=0.01 * want.std[0])
    np.testing.assert_allclose(found.covariance, want.covariance, rtol=0.02, atol=0.01 * want.std[0] ** 2)
    np.testing.assert_allclose(said.free_energy, info.free_energy, atol=0.01)


def test_two_answers_are_bayes_rule_on_a_grid() -> None:
    """Of a square, a descent finds one root and is sure of it; the sum has both, in their proportion."""
    for y in (0.5, 1.0, 2.0):
        mean, std, energy = on_a_grid(y, 0.2)
        alone = NonlinearPCFilter(squared(0.2), None, iterations=30, probe="x0")
        belief, info = replace(alone, parts=9).update(alone.init(), [y])
        assert abs(belief.state[0] - mean) < 0.1 * std
        assert abs(belief.std[0] - std) < 0.1 * std
        assert abs(float(info.free_energy) - energy) < 0.3
        # Negative control.
        one, _ = alone.update(alone.init(), [y])
        assert abs(one.state[0] - mean) > 0.2 * std
        assert one.std[0] < 0.3 * std


def test_doubt_is_no_bargain() -> None:
    """What a sensor costs grows without a jump as it begins to be doubted; its free energy alone falls by 4.3 nats."""
    model = squared(0.05)
    alone = NonlinearPCFilter(model, None, iterations=20, probe="x0", outlier_threshold=12.0)
    parts = replace(alone, parts=5)
    prior = alone.init(mean=[1.0], covariance=[[1e-4]])
    edge = 1.0 + (12.0 * (4e-4 + 0.05**2)) ** 0.5
    infos = [alone.update(prior, [edge + step])[1] for step in (-1e-4, 1e-4)]
    assert [bool(info.doubted.any()) for info in infos if info.doubted is not None] == [False, True]
    below, above = (float(parts._summed.cost(info)) for info in infos)
    assert abs(above - below) < 0.1
    assert infos[0].free_energy - infos[1].free_energy > 4.0


def test_what_is_clear_is_as_without_parts_and_members_are_apart() -> None:
    alone = NonlinearPCFilter(squared(), None, iterations=20, probe="x0", outlier_threshold=12.0)
    parts = replace(alone, parts=5)
    means, y = np.array([[1.0], [0.3], [1.0], [0.9]]), np.array([[1.01], [1.0], [1.0], [np.nan]])
    covariance = np.array([[[1e-3]], [[1.0]], [[1e-3]], [[1e-3]]])
    prior = replace(alone.init((4,)), mean=means, covariance=covariance)
    both, said = parts.update(prior, y)
    plain, info = alone.update(prior, y)
    for k in (0, 2, 3):
        np.testing.assert_array_equal(both.mean[k], plain.mean[k])
        np.testing.assert_array_equal(both.covariance[k], plain.covariance[k])
    assert both.covariance[1, 0, 0] > 2.0 * plain.covariance[1, 0, 0]
    assert said.free_energy.shape == info.free_energy.shape == (4,)
    for k in range(4):
        one, single = parts.update(replace(prior, mean=means[k], covariance=covariance[k]), y[k])
        np.testing.assert_allclose(one.mean, both.mean[k], atol=1e-10)
        np.testing.assert_allclose(one.covariance, both.covariance[k], atol=1e-10)
        np.testing.assert_allclose(single.free_energy, said.free_energy[k], atol=1e-9)
        assert single.status == said.status[k]


def test_a_lost_member_is_reset_all_the_same() -> None:
    parts = NonlinearPCFilter(squared(), None, probe="x0", parts=5)
    prior = replace(parts.init((2,)), covariance=np.array([[[np.nan]], [[1.0]]]))
    belief, info = parts.update(prior, [[1.0], [1.0]])
    assert info.reset is not None
    assert info.reset.tolist() == [True, False]
    assert np.isfinite(belief.mean).all()


def test_where_no_part_is_left_it_is_as_without_parts() -> None:
    model = squared(0.2)
    broken = replace(model, g=lambda x, u: np.where(np.abs(x - 0.3) > 0.4, np.nan, x**2) + 0.0 * u)
    alone = NonlinearPCFilter(broken, None, iterations=20, probe="x0")
    prior = alone.init((2,), mean=np.array([[0.3], [0.3]]))
    y = np.array([[0.2], [0.1]])
    found, said = replace(alone, parts=2).update(prior, y)
    plain, info = alone.update(prior, y)
    np.testing.assert_array_equal(found.mean, plain.mean)
    np.testing.assert_array_equal(said.status, info.status)


def test_the_residual_is_that_of_the_answer() -> None:
    parts = NonlinearPCFilter(squared(0.2), None, iterations=30, probe="x0", parts=9)
    assert parts.update(parts.init(), [1.0])[1].residual < 0.01


def test_a_filter_that_remembers_has_parts_of_its_present_state() -> None:
    parts = NonlinearPCFilter(squared(), None, iterations=20, probe="x0", parts=5)
    y = np.array([[1.0], [1.1], [0.9], [1.0]])
    long = parts.remembering(2)
    belief, want = long.init(), parts.init()
    for k in range(4):
        belief, _ = long.step(belief, y[k]) if k else long.update(belief, y[k])
        want, _ = parts.step(want, y[k]) if k else parts.update(want, y[k])
    now = slice(long.joint.now, long.joint.now + 1)
    np.testing.assert_allclose(belief.mean[now], want.mean, atol=1e-8)
    np.testing.assert_allclose(belief.covariance[now, now], want.covariance, atol=1e-8)


def test_what_is_rare_of_one_is_as_rare_of_many() -> None:
    most = surprising(12.0, 9)
    assert np.isinf(most[0])
    np.testing.assert_allclose(most[1], 12.0, rtol=1e-9)
    squares = (RNG.standard_normal((400_000, 9)) ** 2).sum(axis=-1)
    assert 0.5 < np.mean(squares > most[9]) / 5.3e-4 < 1.6


def test_what_cannot_have_parts() -> None:
    with pytest.raises(ParameterError, match="parts"):
        NonlinearPCFilter(pendulum(), parts=5)
    with pytest.raises(ParameterError, match="parts"):
        NonlinearPCFilter(pendulum(), parts=5, probe=("x0", "x1"))
    with pytest.raises(ParameterError, match="parts"):
        NonlinearPCFilter(pendulum(), parts=0, probe="x0")
    with pytest.raises(ParameterError, match="parts"):
        NonlinearPCFilter(pendulum(), parts=5, probe="x0", jumps=[Jump("x1", 1.0)])
