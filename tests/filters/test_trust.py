from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pcctrl.arrays import Array
from pcctrl.errors import ParameterError, UnknownNameError
from pcctrl.filters import Belief, Info, NonlinearPCFilter, Status
from pcctrl.filters.trust import TRUST_TIME
from pcctrl.models import LinearModel
from pcctrl.noise import White

DT, STD, STEPS = 1e-3, 3e-4, 1500
A = np.array([[0.0, 1.0], [0.0, -0.5]])


def joint(count: int) -> LinearModel:
    """A joint with so many encoders, of which a torque is known and smooth but for little noise."""
    push = np.array([[0.0], [1.0]])
    return LinearModel(
        A,
        push,
        np.tile([[1.0, 0.0]], (count, 1)),
        dt=DT,
        noise_input=push,
        process_noise=[White(density=0.1)],
        sensor_noise=[White(std=STD)] * count,
        prior=1e-4 * np.eye(2),
    )


def drive(count: int, push: float = 0.0, seed: int = 0) -> tuple[Array, Array, Array]:
    """Return positions, readings and inputs of a swinging joint, with a blow in rad/s in the middle."""
    model, rng = joint(count), np.random.default_rng(seed)
    F, B = model.joint(0).F, model.joint(0).B
    x, u = np.zeros(2), 5.0 * np.cos(2.0 * np.pi * DT * np.arange(STEPS))[:, None]
    true = np.zeros(STEPS)
    for k in range(STEPS):
        true[k] = x[0]
        x = F @ x + B @ u[k] + [0.0, push * (k == STEPS // 2) + 0.1 * np.sqrt(DT) * rng.standard_normal()]
    return true, true[:, None] + STD * rng.standard_normal((STEPS, count)), u


def follow(y: Array, u: Array, redundant: bool = True, **more: float) -> tuple[list[Belief], list[Info]]:
    count = y.shape[1]
    model = joint(count)
    groups = [model.sensors] if redundant else []
    filter_ = NonlinearPCFilter(model, None, iterations=1, redundant=groups, **more)  # type: ignore[arg-type]
    belief, info = filter_.update(filter_.init(), y[0])
    beliefs, infos = [belief], [info]
    for k in range(1, len(y)):
        belief, info = filter_.step(belief, y[k], u[k - 1])
        beliefs.append(belief)
        infos.append(info)
    return beliefs, infos


def error(beliefs: list[Belief], true: Array, part: slice) -> float:
    return float(np.sqrt(np.mean([(b.mean[0] - t) ** 2 for b, t in zip(beliefs, true, strict=True)][part])))


def frozen(y: Array, begin: int, end: int) -> Array:
    y = y.copy()
    y[begin:end, 0] = y[begin, 0]
    return y


@pytest.mark.parametrize("count", [2, 3])
def test_a_frozen_encoder_loses_its_precision_and_gets_it_back(count: int) -> None:
    true, y, u = drive(count)
    bad = frozen(y, 500, 900)
    learned, infos = follow(bad, u)
    clean, without = follow(y, u)[0], follow(bad, u, redundant=False)[0]
    during, after = slice(540, 900), slice(1200, STEPS)
    assert error(learned, true, during) < 1.6 * error(clean, true, during)
    assert error(learned, true, after) < 1.05 * error(clean, true, after)
    # Negative control: a fixed precision.
    assert error(without, true, during) > 20.0 * error(clean, true, during)
    faulty = np.array([info.trust.faulty for info in infos if info.trust is not None])
    assert faulty[540:900, 0].all()
    assert not faulty[:, 1:].any()
    assert not faulty[1150:].any()
    assert infos[700].status == Status.FAULT
    # Its precision goes to nothing: it is worth less than a hundredth of its fellow.
    assert infos[700].trust is not None
    assert infos[700].trust.level[0] > np.log(100.0)


def test_a_runaway_drift_is_told_from_the_motion() -> None:
    true, y, u = drive(2)
    y[500:1000, 0] += 0.3 * DT * np.arange(500)
    beliefs, infos = follow(y, u)
    assert infos[900].trust is not None
    assert infos[900].trust.faulty.tolist() == [True, False]
    assert error(beliefs, true, slice(600, 1000)) < 3.0 * STD


def test_evidence_is_that_of_two_filters_that_never_see_each_other() -> None:
    """Oracle: two filters of one sensor each, and the sum of their log Bayes factors by hand."""
    _, y, u = drive(2)
    y = y[:360]
    y[300:, 0] += 0.3 * DT * np.arange(60)
    infos = follow(y, u)[1]
    zs = []
    for i in range(2):
        own = [i == 0, i == 1]
        alone = follow(np.where(own, y, np.nan), u, redundant=False)[1]
        zs.append([info.innovation[i] ** 2 / info.correction.variances[i] for info in alone])
    rate, total, usual, shown = DT / TRUST_TIME, np.zeros(2), np.ones(2), []
    for k, z in enumerate(np.array(zs).T):
        trust = infos[k].trust
        assert trust is not None
        apart = trust.contrast[0] > 12.0
        if not apart:
            usual += 0.1 * rate * (np.minimum(z, 9.0) - usual)
        # Of a fault that multiplies variances by 8, against none: the log ratio of two normal densities.
        ratio = 0.5 * (7.0 / 8.0) * np.minimum(z / np.maximum(usual, 1.0), 25.0) - 0.5 * np.log(8.0)
        blamed = apart and k > 0 and float(total[0] - total[1]) > 5.0
        new = np.clip(total + ratio, 0.0, 60.0)
        total = np.array([max(new[0], total[0]) if blamed else new[0], new[1]])
        shown.append((*total, *trust.surprise, trust.odds[0], total[0] - total[1]))
        assert float(trust.odds[1]) == -float(trust.odds[0])
    values = np.array(shown)
    np.testing.assert_allclose(values[:, 2:4], values[:, :2], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(values[:, 4], values[:, 5], rtol=1e-6, atol=1e-9)
    assert values[-1, 4] > 30.0


def test_a_frozen_encoder_is_not_exonerated_by_its_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a plant at rest that begins to move, slowly enough that nobody is surprised."""
    rng = np.random.default_rng(3)
    still = STD * rng.standard_normal((400, 2))
    F, x = joint(2).joint(0).F, np.zeros(2)
    for k in range(300, 400):
        x = F @ x + [0.0, 0.002 if k < 320 else 0.0]
        still[k] += x[0]
    still[200:, 0] = still[200, 0]
    trust = follow(still, np.zeros((400, 1)))[1][-1].trust
    assert trust is not None
    assert trust.faulty.tolist() == [True, False]
    # Negative control: readings that repeat are no evidence.
    monkeypatch.setattr("pcctrl.filters.trust._REPEATED", 0.0)
    trust = follow(still, np.zeros((400, 1)))[1][-1].trust
    assert trust is not None
    assert not trust.faulty.any()


def test_a_quiet_encoder_of_a_plant_at_rest_is_not_frozen() -> None:
    """It repeats itself, but the fellow that moves has surprised its own belief."""
    y = STD * np.random.default_rng(4).standard_normal((400, 2))
    y[:, 0] = 0.0
    y[200:, 1] += 0.3 * DT * np.arange(200)
    infos = follow(y, np.zeros((400, 1)))[1]
    trusts = [info.trust for info in infos if info.trust is not None]
    assert not any(trust.faulty[0] for trust in trusts)
    assert all(trust.faulty[1] for trust in trusts[240:])


def test_a_slow_drift_of_one_of_two_is_disputed_and_of_one_of_three_is_not() -> None:
    for count, faulty in ((2, False), (3, True)):
        _, y, u = drive(count)
        y[300:, 0] += 0.002 * DT * np.arange(STEPS - 300)
        trust = follow(y, u)[1][-1].trust
        assert trust is not None
        assert bool(trust.faulty[0]) is faulty
        assert not trust.faulty[1:].any()
        assert bool(trust.disputed[0]) is not faulty
        # The precision that is expected by the odds: these share the doubt, or nothing is left.
        p = 1.0 / (1.0 + np.exp(-trust.odds))
        np.testing.assert_allclose(np.exp(-trust.level[0]), 1.0 - p[0] + p[0] / trust.contrast[0])


def test_a_push_is_no_fault() -> None:
    true, y, u = drive(2, push=2.0)
    beliefs, infos = follow(y, u, outlier_threshold=12.0)
    assert not any(info.trust is not None and info.trust.faulty.any() for info in infos)
    assert int(Status.SURPRISE) in {int(info.status) for info in infos[STEPS // 2 :]}
    assert error(beliefs, true, slice(-300, None)) < 2.0 * STD
    # The other way round: the fault of one is no surprise of all.
    statuses = {int(info.status) for info in follow(frozen(y, 200, 500), u)[1][260:480]}
    assert statuses == {int(Status.FAULT)}


def test_the_last_sensor_is_always_believed() -> None:
    _, y, u = drive(2)
    y[500:, 0] += 0.3
    y[700:, 1] -= 0.5
    for info in follow(y, u)[1]:
        assert info.trust is not None
        assert not info.trust.faulty.all()


def test_missing_readings_are_neither_faults_nor_forgotten() -> None:
    true, y, u = drive(2)
    y[500:700, 0] = np.nan
    beliefs, infos = follow(y, u)
    assert not any(info.trust is not None and info.trust.faulty.any() for info in infos)
    assert error(beliefs, true, slice(500, 700)) < 2.0 * STD


def test_batches_are_judged_one_by_one() -> None:
    _, y, u = drive(2)
    both = np.stack([y, frozen(y, 500, 900)], axis=1)
    filter_ = NonlinearPCFilter(joint(2), None, iterations=1, redundant=[joint(2).sensors or ()])
    belief = filter_.init((2,))
    for k in range(700):
        belief, info = filter_.update(belief, both[k]) if not k else filter_.step(belief, both[k], u[k - 1])
    assert info.trust is not None
    np.testing.assert_array_equal(info.trust.faulty, [[False, False], [True, False]])


def test_only_sensors_of_one_quantity_are_redundant() -> None:
    model = joint(2)
    with pytest.raises(UnknownNameError):
        NonlinearPCFilter(model, None, redundant=[["y0", "y7"]])
    with pytest.raises(ParameterError):
        NonlinearPCFilter(model, None, redundant=[["y0"]])
    for twice in ([["y0", "y0"]], [["y0", "y1"], ["y1", "y0"]]):
        with pytest.raises(ParameterError, match="one group"):
            NonlinearPCFilter(model, None, redundant=twice)
    other = replace(model, C=np.array([[1.0, 0.0], [0.0, 1.0]]))
    with pytest.raises(ParameterError):
        NonlinearPCFilter(other, None, redundant=[["y0", "y1"]])
    with pytest.raises(ParameterError):
        NonlinearPCFilter(model, None, trust_time=0.0)


def test_derivatives_may_be_used_again() -> None:
    _, y, u = drive(1)
    often, seldom = follow(y, u, redundant=False)[0][-1], follow(y, u, redundant=False, refresh=7)[0][-1]
    np.testing.assert_allclose(seldom.mean, often.mean, rtol=1e-12)
    assert seldom.held is not None
    assert 1 <= seldom.held.age <= 7
    with pytest.raises(ParameterError):
        NonlinearPCFilter(joint(1), None, refresh=0)
