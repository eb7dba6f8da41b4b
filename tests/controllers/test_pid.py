from __future__ import annotations

import numpy as np
import pytest
from plants import white_msd

from pcctrl.controllers import PID, ActiveInferencePID, Excitation
from pcctrl.errors import ParameterError, ShapeError
from pcctrl.evaluation import fold_pid
from pcctrl.filters import Belief, KalmanFilter, Readings


def reading(*y: float) -> Belief:
    return Belief(np.array(y), np.eye(len(y)), np.zeros(1), len(y))


def test_each_term_is_its_textbook_sum() -> None:
    pid = PID([[2.0]], [[3.0]], [[0.5]], dt=0.1)
    state, u, _ = pid.act(pid.init(), reading(1.0), goal=[0.0])
    assert u[0] == pytest.approx(-2.0 - 3.0 * 0.1)
    _, u, _ = pid.act(state, reading(2.0), goal=[0.0])
    assert u[0] == pytest.approx(-4.0 - 3.0 * 0.3 - 0.5 * 10.0)


def test_derivative_filter_is_first_order() -> None:
    pid = PID([[0.0]], [[0.0]], [[1.0]], dt=0.1, tau=0.3)
    state, *_ = pid.act(pid.init(), reading(0.0))
    outputs = []
    for k in range(1, 40):
        state, u, _ = pid.act(state, reading(0.1 * k))
        outputs.append(-u[0])
    want = 1.0 - 0.75 ** np.arange(1, 40)
    np.testing.assert_allclose(outputs, want, atol=1e-12)


def test_integral_stands_still_at_a_limit() -> None:
    pid = PID([[1.0]], [[1.0]], [[0.0]], dt=0.1, limits=(-1.0, 1.0))
    state = pid.init()
    for _ in range(100):
        state, u, _ = pid.act(state, reading(-50.0))
        assert u[0] == 1.0
    _, u, _ = pid.act(state, reading(0.5))
    # A wound-up integral would hold the output at the limit.
    assert u[0] < 0.0


def test_compensator_is_the_same_filter() -> None:
    pid = PID([[2.0, -1.0]], [[0.3, 0.0]], [[0.5, 0.1]], dt=0.1, tau=0.2)
    compensator = fold_pid(pid)
    rng = np.random.default_rng(0)
    state, s = pid.init(), np.zeros(len(compensator.A))
    y = rng.standard_normal(2)
    # The compensator's last reading starts at 0, the PID's at the first one.
    state, *_ = pid.act(state, reading(0.0, 0.0))
    for _ in range(20):
        y = rng.standard_normal(2)
        state, u, _ = pid.act(state, reading(*y))
        np.testing.assert_allclose(compensator.C @ s + compensator.D @ y, u, atol=1e-12)
        s = compensator.A @ s + compensator.B @ y


def test_readings_hold_a_missing_sensor() -> None:
    readings = Readings(white_msd())
    belief, _ = readings.update(readings.init(), [0.7])
    belief, info = readings.step(belief, [np.nan])
    assert belief.mean == 0.7
    assert info.present is not None
    assert not info.present[0]


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ShapeError, match="ki"):
        PID([[1.0]], [[1.0, 2.0]], [[1.0]], dt=0.1)
    with pytest.raises(ParameterError, match="dt"):
        PID([[1.0]], [[1.0]], [[1.0]], dt=0.0)
    with pytest.raises(ParameterError, match="tau"):
        PID([[1.0]], [[1.0]], [[1.0]], dt=0.1, tau=-1.0)
    pid = PID([[1.0, 1.0]], [[0.0, 0.0]], [[0.0, 0.0]], dt=0.1)
    with pytest.raises(ShapeError, match="belief"):
        pid.act(pid.init(), reading(1.0))


def test_rest_is_what_there_is_without_an_error() -> None:
    pid = PID([[2.0], [1.0]], [[0.0], [0.0]], [[0.0], [0.0]], dt=0.1, limits=(0.0, 6.0), rest=[1.75, 1.5])
    belief = Belief(np.zeros(1), np.eye(1), np.zeros(2), 1)
    np.testing.assert_allclose(pid.act(pid.init(), belief)[1], [1.75, 1.5])
    active = ActiveInferencePID(pid, np.ones((3, 1)), learning_rate=0.0)
    np.testing.assert_allclose(active.act(active.init(), belief)[1], [1.75, 1.5])
    np.testing.assert_allclose(pid.act(pid.init(), belief, goal=[0.1])[1], [1.95, 1.6])


def test_an_excitation_stays_within_limits_and_moves_every_input_by_itself() -> None:
    model = white_msd()
    belief = KalmanFilter(model).init()
    shaker = Excitation(np.array([0.5, 0.0, 0.0]), 0.01, ([0.0, -1.0, -np.inf], [1.0, 3.0, np.inf]))
    state, inputs = shaker.init(), []
    for _ in range(1000):
        state, u, _ = shaker.act(state, belief)
        inputs.append(u)
    u = np.array(inputs)
    assert (u.min(axis=0) >= [0.0, -1.0, -1.0]).all()
    assert (u.max(axis=0) <= [1.0, 1.0, 1.0]).all()
    assert (u.std(axis=0) > [0.05, 0.1, 0.1]).all()
    assert (np.abs(np.corrcoef(u.T) - np.eye(3)) < 0.5).all()
    frequencies = np.fft.rfftfreq(1000, 0.01)
    power = np.abs(np.fft.rfft(u - u.mean(axis=0), axis=0)) ** 2
    assert power[(frequencies > 0.3) & (frequencies < 2.3)].sum() > 0.95 * power.sum()
    # A thruster at rest is at its limit, and moves all the same.
    thruster = Excitation(np.zeros(1), 0.01, ([0.0], [20.0]))
    thrust = np.array([thruster.act(np.array([k]), belief)[1] for k in range(300)])
    assert 10.0 - 7.0 <= thrust.min() < 8.0 < 12.0 < thrust.max() <= 17.0
    with pytest.raises(ParameterError, match="part"):
        Excitation(np.zeros(1), 0.01, part=0.0)
