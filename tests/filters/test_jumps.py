"""Jumps against Bayes' rule told of each moment by an inflated prior, and against filters that expect none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pcctrl.arrays import Array
from pcctrl.errors import ParameterError, UnknownNameError
from pcctrl.filters import Belief, FixedLag, Info, Jump, NonlinearPCFilter, Status
from pcctrl.models import LinearModel
from pcctrl.noise import White

DT, STD, STEPS, WHEN, SIZE = 1e-2, 0.02, 300, 150, 4.0
LOAD = Jump("load", 3.0, 0.02)


def hand(**more: Any) -> LinearModel:
    """A mass on a damper, pulled by a load that hardly changes; its position is read."""
    A = np.array([[0.0, 1.0, 0.0], [0.0, -1.0, 1.0], [0.0, 0.0, -0.01]])
    return LinearModel(
        A,
        np.array([[0.0], [1.0], [0.0]]),
        np.array([[1.0, 0.0, 0.0]]),
        dt=DT,
        noise_input=np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]),
        process_noise=[White(density=0.05), White(density=0.01)],
        sensor_noise=[White(std=STD)],
        prior=np.diag([1e-3, 1e-3, 0.1]),
        states=("position", "rate", "load"),
        **more,
    )


def record(size: float = SIZE, seed: int = 7, steps: int = STEPS) -> tuple[Array, Array]:
    """Return states (T, 3) and readings (T, 1), with a load that jumps at `WHEN`."""
    joint, rng = hand().joint(0), np.random.default_rng(seed)
    root = np.linalg.cholesky(joint.Q + 1e-15 * np.eye(3))
    x, states = np.zeros(3), []
    for k in range(steps):
        states.append(x)
        x = joint.F @ (x + np.array([0.0, 0.0, size if k == WHEN else 0.0])) + root @ rng.standard_normal(3)
    return np.array(states), np.array(states)[:, :1] + STD * rng.standard_normal((steps, 1))


def follow(filter_: Any, y: Array, widened: tuple[int, float] | None = None) -> tuple[list[Belief], list[Info]]:
    """Filter; ``widened`` tells at which sample the load's variance grows before the prediction, and by how much."""
    beliefs, infos = [], []
    belief = filter_.init(y.shape[:-2])
    for k in range(y.shape[-2]):
        if widened and k == widened[0]:
            belief = replace(belief, covariance=belief.covariance + widened[1] * np.diag([0.0, 0.0, 1.0]))
        belief, info = filter_.update(filter_.predict(belief) if k else belief, y[..., k, :])
        beliefs.append(belief)
        infos.append(info)
    return beliefs, infos


def expecting(*jumps: Jump, **more: Any) -> NonlinearPCFilter:
    return NonlinearPCFilter(hand(), None, iterations=1, jumps=jumps or (LOAD,), **more)


def when(infos: list[Info]) -> list[int]:
    return [k for k, info in enumerate(infos) if info.status == Status.JUMP]


def test_a_jump_is_bayes_rule_from_its_moment() -> None:
    _, y = record()
    beliefs, infos = follow(expecting(), y)
    found = when(infos)
    assert len(found) == 1
    assert WHEN < found[0] < WHEN + 32
    plain = NonlinearPCFilter(hand(), None, iterations=1)
    without = follow(plain, y)
    F = np.array([i.free_energy for i in without[1]])
    # Moments are four samples apart, the first of them before the first prediction.
    moments = [1 + 4 * i for i in range(STEPS // 4) if found[0] - 32 < 1 + 4 * i <= found[0]]
    tried = [follow(plain, y, (k, LOAD.std**2)) for k in moments]
    gains = [
        float((F - np.array([i.free_energy for i in other[1]]))[k : found[0] + 1].sum())
        for k, other in zip(moments, tried, strict=True)
    ]
    best = tried[int(np.argmax(gains))]
    for k in (found[0], found[0] + 3):
        np.testing.assert_allclose(beliefs[k].mean, best[0][k].mean, rtol=1e-9)
        np.testing.assert_allclose(beliefs[k].covariance, best[0][k].covariance, rtol=1e-7, atol=1e-12)
    # It is found at the first sample at which the evidence outweighs the odds against it.
    needed = -np.log(LOAD.rate * 4 * DT)
    assert max(gains) > needed
    before = [
        float((F - np.array([i.free_energy for i in other[1]]))[k : found[0]].sum())
        for k, other in zip(moments, tried, strict=True)
    ]
    assert max(before) <= needed
    suspicion = infos[found[0]].suspicion
    assert suspicion is not None
    # The size is told within four standard deviations of what it leaves uncertain.
    assert abs(suspicion.found[0] - SIZE) < 4.0 * beliefs[found[0]].std[2]


def test_what_it_is_worth() -> None:
    x, y = record()
    after = slice(WHEN, WHEN + 60)
    error = {}
    for name, filter_ in (("jumps", expecting()), ("none", NonlinearPCFilter(hand(), None, iterations=1))):
        load = np.array([b.mean[2] for b in follow(filter_, y)[0]])
        error[name] = np.sqrt(np.mean((load - x[:, 2])[after] ** 2))
    assert error["jumps"] < 0.7 * error["none"]


def test_without_a_jump_it_is_the_filter() -> None:
    _, y = record(0.0)
    beliefs, infos = follow(expecting(), y)
    assert not when(infos)
    same = follow(NonlinearPCFilter(hand(), None, iterations=1), y)[0]
    np.testing.assert_array_equal(beliefs[-1].mean, same[-1].mean)
    np.testing.assert_array_equal(beliefs[-1].covariance, same[-1].covariance)


def test_false_alarms_are_no_more_than_expected_jumps() -> None:
    y = np.array([record(0.0, seed)[1] for seed in range(40)])
    _, infos = follow(expecting(), y)
    alarms = int(sum((info.status == Status.JUMP).sum() for info in infos))
    expected = 40 * STEPS * DT * LOAD.rate
    assert alarms <= expected
    # A thousand times the jumps are expected, and found.
    eager = follow(expecting(Jump("load", 3.0, 20.0)), y)[1]
    assert sum((info.status == Status.JUMP).sum() for info in eager) > 5 * expected


def test_a_batch_is_its_members_and_missing_samples_say_nothing() -> None:
    y = np.array([record(SIZE, 1)[1], record(0.0, 2)[1], record(-SIZE, 3)[1]])
    y[0, WHEN + 3 : WHEN + 6] = np.nan
    beliefs, infos = follow(expecting(), y)
    jumped = np.array([info.status == Status.JUMP for info in infos]).any(axis=0)
    np.testing.assert_array_equal(jumped, [True, False, True])
    for i, one in enumerate(y):
        alone, said = follow(expecting(), one)
        np.testing.assert_allclose(beliefs[-1].mean[i], alone[-1].mean, rtol=1e-9, atol=1e-12)
        assert [int(s.status) for s in said] == [int(s.status[i]) for s in infos]


def test_bounds_that_are_none_are_as_wide_ones() -> None:
    for when_, rate in ((2, 0.01), (150, 0.01), (150, 5.0)):
        _, y = record(0.0)
        y[when_:] += 0.5 * 8.0 * (DT * np.arange(STEPS - when_))[:, None] ** 2
        model = hand(disturbance=rate)
        free, wide = (
            follow(NonlinearPCFilter(model, None, iterations=1, jumps=[Jump("u0", 9.0, 0.02, *limits)]), y)[1]
            for limits in ((), (-1e6, 1e6))
        )
        assert when(free) == when(wide)
        assert rate > 1.0 or when(free)


def test_one_belief_may_have_many_samples() -> None:
    _, y = record()
    beliefs, infos = follow(expecting(), y)
    (k,) = when(infos)
    many, info = expecting().update(expecting().predict(beliefs[k - 1]), np.array([y[k], y[k] + 0.001, [np.nan]]))
    assert info.status.tolist() == [Status.JUMP, Status.JUMP, Status.BLIND]
    np.testing.assert_allclose(many.mean[0], beliefs[k].mean)


def test_it_is_found_once() -> None:
    _, y = record()
    beliefs, infos = follow(expecting(), y)
    (k,) = when(infos)
    later = expecting().predict(beliefs[k])
    suspicion = beliefs[k].suspicion
    assert suspicion is not None
    assert suspicion.found.any()
    assert later.suspicion is not None
    assert not later.suspicion.found.any()
    # Nor by a second reading of the same moment.
    again, _ = expecting().update(beliefs[k], np.full(len(y[k]), np.nan))
    assert again.suspicion is not None
    assert not again.suspicion.found.any()
    # A belief of a filter that expects none has no suspicion yet.
    other = NonlinearPCFilter(hand(), None, iterations=1)
    assert expecting().predict(other.init()).suspicion is not None


def test_a_wild_reading_is_no_jump() -> None:
    _, y = record()
    y[60] += 50.0 * STD
    found = {rule: when(follow(expecting(outlier_threshold=rule), y)[1]) for rule in (12.0, None)}
    # The load is still found, a little later at most for being doubted first.
    assert len(found[12.0]) == 1
    assert WHEN < found[12.0][0] < WHEN + 32
    # Negative control: where every reading is believed, a wild one is explained by a jump.
    assert found[None][0] < 100


def test_sigma_points_of_a_linear_model_find_the_same() -> None:
    _, y = record()
    (ours, found), (theirs, known) = (follow(expecting(prediction=how), y) for how in ("sigma", "jacobian"))
    assert when(found) == when(known)
    assert len(when(known)) == 1
    for k in (WHEN - 1, when(known)[0], STEPS - 1):
        np.testing.assert_allclose(ours[k].mean, theirs[k].mean, atol=1e-9)
        np.testing.assert_allclose(ours[k].covariance, theirs[k].covariance, atol=1e-12)


def test_a_lost_member_suspects_nothing() -> None:
    y = np.array([record(SIZE, 1)[1]] * 2)
    filter_ = expecting()
    belief = follow(filter_, y[:, : WHEN + 4])[0][-1]
    assert belief.suspicion is not None
    broken = belief.mean.copy()
    broken[0] = np.nan
    after, info = filter_.step(replace(belief, mean=broken), y[:, WHEN + 4])
    np.testing.assert_array_equal(info.status == Status.DIVERGED, [True, False])
    assert after.suspicion is not None
    assert not after.suspicion.wrong[0].any()
    assert not after.suspicion.information[0].any()
    assert after.suspicion.wrong[1].any()


def test_a_jump_ends_within_bounds() -> None:
    _, y = record()
    below = expecting(replace(LOAD, high=1.0))
    beliefs, infos = follow(below, y)
    for k in when(infos):
        assert beliefs[k].mean[2] < 1.0 + 1e-9
    # One in the other direction is not believed at all.
    assert not when(follow(expecting(replace(LOAD, high=0.1)), y)[1])
    assert len(when(follow(expecting(replace(LOAD, low=-1.0, high=9.0)), y)[1])) == 1


def test_a_torque_that_walks_may_jump() -> None:
    filter_ = NonlinearPCFilter(hand(disturbance=0.01), None, iterations=1, jumps=[Jump("u0", 3.0, 0.02)])
    infos = follow(filter_, record()[1])[1]
    assert len(when(infos)) == 1


def test_a_lag_keeps_the_past_before_the_jump() -> None:
    x, y = record()
    lag = 20
    estimate = FixedLag(expecting(), lag).run(y)
    load = np.asarray(estimate.mean)[:, 2]
    # At a moment, to the sample: what was before it is not changed.
    joint, quiet = hand().joint(0), np.zeros((STEPS, 3))
    for k in range(1, STEPS):
        quiet[k] = joint.F @ (quiet[k - 1] + np.array([0.0, 0.0, 40.0 * (k - 1 == 152)]))
    sharp = np.asarray(FixedLag(expecting(replace(LOAD, std=40.0)), 31).run(quiet[:, :1]).mean)[150:156, 2]
    np.testing.assert_allclose(sharp, quiet[150:156, 2], atol=2.0)
    late = np.sqrt(np.mean((load - x[:, 2])[WHEN - 5 : WHEN + 60] ** 2))
    at_once = np.array([b.mean[2] for b in follow(expecting(), y)[0]])
    assert late < 0.7 * np.sqrt(np.mean((at_once - x[:, 2])[WHEN - 5 : WHEN + 60] ** 2))


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="lode"):
        expecting(Jump("lode", 1.0))
    with pytest.raises(UnknownNameError, match="u0"):
        expecting(Jump("u0", 1.0))
    with pytest.raises(ParameterError, match="std"):
        Jump("load", 0.0)
    with pytest.raises(ParameterError, match="rate"):
        Jump("load", 1.0, np.nan)
    with pytest.raises(ParameterError, match="low"):
        Jump("load", 1.0, low=2.0, high=2.0)
    with pytest.raises(ParameterError, match="less than one"):
        expecting(Jump("load", 1.0, 30.0))
    with pytest.raises(ParameterError, match="jump_window"):
        expecting(jump_window=0)
    with pytest.raises(ParameterError, match="jumps"):
        expecting().smooth(record()[1])
