from __future__ import annotations

import numpy as np
import pytest
from plants import smooth_cart_pole, smooth_msd

from pcctrl.controllers import PID, ActiveInferencePID
from pcctrl.errors import ParameterError, ShapeError
from pcctrl.filters import Belief
from pcctrl.models import Task
from pcctrl.tuning import pid_error_std

GAINS = ([[2.0, -1.0]], [[0.3, 0.0]], [[0.5, 0.1]])


def reading(y: np.ndarray) -> Belief:
    return Belief(y, np.eye(y.shape[-1]), np.zeros(1), y.shape[-1])


def test_with_constant_precisions_it_is_a_pid() -> None:
    pid = PID(*GAINS, dt=0.1, tau=0.2, goal=[0.5, 0.0])
    ours = ActiveInferencePID(pid, np.ones((3, 2)), learning_rate=0.0)
    rng = np.random.default_rng(0)
    a, b = ours.init(), pid.init()
    for k in range(60):
        y, goal = rng.standard_normal(2), None if k < 30 else [1.0, -1.0]
        a, u, _ = ours.act(a, reading(y), goal)
        b, want, _ = pid.act(b, reading(y), goal)
        np.testing.assert_allclose(u, want, atol=1e-11)


def test_precision_becomes_the_inverse_variance_of_the_errors() -> None:
    """Without a hyperprior the fixed point is E[π ε²] = σ²: errors half as large, precision four times the start's."""
    pid = PID([[0.0]], [[0.0]], [[0.0]], dt=0.1)
    for scale in (0.5, 2.0):
        ours = ActiveInferencePID(pid, np.ones((3, 1)), learning_rate=0.05, hyperprior=0.0)
        rng, state, path = np.random.default_rng(0), ours.init(), []
        for _ in range(20_000):
            state, *_ = ours.act(state, reading(scale * rng.standard_normal(1)))
            path.append(state.log_precision[0, 0])
        late = np.exp(-np.array(path[10_000:]))
        # 1/π averages ε² over some 1000 samples, so ten independent ones here: √2 scale² / √10000.
        assert late.mean() == pytest.approx(scale**2, rel=5.0 * np.sqrt(2.0 / 10_000))
    # A hyperprior without bounds would hold them where they began.
    held = ActiveInferencePID(pid, np.ones((3, 1)), learning_rate=0.05, hyperprior=1e3)
    state = held.init()
    for _ in range(2000):
        state, *_ = held.act(state, reading(np.array([3.0])))
    assert abs(state.log_precision[0, 0]) < 0.01


def test_huge_errors_keep_the_precisions_bounded_and_the_input_inside() -> None:
    ours = ActiveInferencePID(PID(*GAINS, dt=0.1, limits=(-1.0, 1.0)), np.full((3, 2), 1e-6), learning_rate=1e3)
    state = ours.init((4,))
    for y in 1e12 * np.random.default_rng(0).standard_normal((50, 4, 2)):
        state, u, _ = ours.act(state, reading(y))
        assert (np.abs(u) <= 1.0).all()
        assert (np.abs(state.log_precision) <= 3.0).all()
        assert np.isfinite(state.momentum).all()


@pytest.mark.parametrize("plant", ["mass", "cart"])
def test_error_std_is_what_a_simulated_loop_has(plant: str) -> None:
    if plant == "mass":
        model, pid = smooth_msd(floor=1e-2), PID([[4.0]], [[1.0]], [[2.0]], dt=0.1, tau=0.2)
    else:
        model = smooth_cart_pole(2.0, 1e-2)
        pid = PID([[-3.0, -40.0]], [[0.0, 0.0]], [[-4.0, -8.0]], dt=0.02, tau=0.02)
    n = len(model.A)
    one = np.ones(1)
    want = pid_error_std(Task(model, np.eye(n), np.eye(1), -one, one), pid)
    joint = model.joint(8)
    rng, batch, steps = np.random.default_rng(0), 200, 600
    root = np.linalg.cholesky(joint.Q + 1e-15 * np.eye(joint.size))
    x = np.zeros((batch, joint.size))
    x[:, n:] = rng.standard_normal((batch, joint.size - n))
    state, rows = pid.init((batch,)), []
    for k in range(steps):
        y = x @ joint.C.T + rng.standard_normal((batch, len(joint.R))) * np.sqrt(joint.R)
        last = state.derivative
        state, u, _ = pid.act(state, reading(y))
        if k >= steps // 2:
            rows.append(np.stack([-y, -state.derivative, (last - state.derivative) / pid.dt], axis=1))
        x = x @ joint.F.T + u @ joint.B.T + rng.standard_normal(x.shape) @ root.T
    squares = np.mean(np.square(rows), axis=0)
    error = squares.std(axis=0) / np.sqrt(batch)
    assert (np.abs(squares.mean(axis=0) - want**2) < 5.0 * error).all()


def test_bad_arguments_are_named() -> None:
    pid = PID(*GAINS, dt=0.1)
    for error, name, values in (
        (ShapeError, "error_std", {"error_std": [1.0, 1.0, 1.0]}),
        (ParameterError, "error_std", {"error_std": np.zeros((3, 2))}),
        (ParameterError, "learning_rate", {"error_std": np.ones((3, 2)), "learning_rate": -1.0}),
        (ParameterError, "decay", {"error_std": np.ones((3, 2)), "decay": 0.0}),
        (ParameterError, "hyperprior", {"error_std": np.ones((3, 2)), "hyperprior": np.nan}),
    ):
        with pytest.raises(error) as caught:
            ActiveInferencePID(pid, **values)
        assert caught.value.name == name
