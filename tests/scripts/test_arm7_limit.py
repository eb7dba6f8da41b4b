"""The limit of Arm7's benchmark against a Kalman filter and a regulator that are written out."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import solve_discrete_are, solve_discrete_lyapunov

from pcctrl.errors import ParameterError
from pcctrl.models import JointModel, LinearModel
from pcctrl.noise import Smooth, White
from pcctrl.scripts.benchmarks.arm7_limit import limit, optimum

DT, R = 0.01, 0.02
_A, _B = np.array([[1.0, DT], [-0.2 * DT, 1.0]]), np.array([[0.5 * DT**2], [DT]])
# Two joints with a mass that couples them.
A, B = np.kron(_A, np.eye(2)), np.kron(_B, np.linalg.inv([[2.0, 0.5], [0.5, 0.4]]))
C = np.eye(2, 4)


def plant(coloured: bool) -> LinearModel:
    push, sensor = (Smooth(0.3, 0.02, 0.05), Smooth(R, 0.02, 0.05)) if coloured else (White(density=0.03), White(std=R))
    return LinearModel.from_discrete(A, B, C, dt=DT, noise_input=B, process_noise=[push] * 2, sensor_noise=[sensor] * 2)


def written_out(joint: JointModel, rho: float, slack: float = 1.0) -> tuple[float, float]:
    """Return RMSE and change of the optimum on a joint model, or of a loop with another gain on the positions."""
    F, G, H, Q, noise = joint.F, joint.B, joint.C, joint.Q, np.diag(joint.R)
    n, none, one = len(F), np.zeros, np.eye(2)
    P = solve_discrete_are(F.T, H.T, Q, noise)
    K = P @ H.T @ np.linalg.inv(H @ P @ H.T + noise)
    A, B = np.block([[F, G], [none((2, n)), one]]), np.vstack([G, one])
    error = np.diag([0.5] * 2 + [0.0] * n)
    S = solve_discrete_are(A, B, error, 0.5 * rho * one)
    g = np.linalg.solve(0.5 * rho * one + B.T @ S @ B, B.T @ S @ A)
    g[:, :2] *= slack
    # Of the state, the belief after the correction, and the inputs before: u' = u - g (belief, u).
    control = np.hstack([none((2, n)), -g[:, :n], one - g[:, n:]])
    truth = np.hstack([F, none((n, n + 2))]) + G @ control
    ahead = np.hstack([none((n, n)), F, none((n, 2))]) + G @ control
    closed = np.vstack([truth, ahead + K @ H @ (truth - ahead), control])
    drive = np.block([[np.eye(n), none((n, 2))], [K @ H, K], [none((2, n + 2))]])
    driven = drive @ np.block([[Q, none((n, 2))], [none((2, n)), noise]]) @ drive.T
    covariance = solve_discrete_lyapunov(closed, driven)
    change = control - np.eye(len(closed))[-2:]
    spent = np.trace(change @ covariance @ change.T)
    return float(np.sqrt(np.trace(covariance[:2, :2]) / 2.0)), float(np.sqrt(spent / 2.0))


@pytest.mark.parametrize("coloured", [False, True])
@pytest.mark.parametrize("rho", [1e-4, 1e-2])
def test_it_is_the_written_out_optimum(rho: float, coloured: bool) -> None:
    model = plant(coloured)
    joint = model.joint(2)
    error, change = written_out(joint, rho)
    np.testing.assert_allclose(optimum(model, 2, rho, 2), (error, change), rtol=1e-5)
    for slack in (0.7, 1.4):
        other = written_out(joint, rho, slack)
        # Negative control: another gain is another loop, and a worse one.
        assert other[0] ** 2 + rho * other[1] ** 2 > (error**2 + rho * change**2) * 1.002


def test_a_chatter_that_no_loop_has_is_refused() -> None:
    for chatter in (0.0, 1e-5, 1e3):
        with pytest.raises(ParameterError, match="chatter"):
            limit(chatter)


def test_who_may_chatter_more_has_less_error_on_the_arm() -> None:
    strict, loose = limit(0.1), limit(0.3)
    assert 1e-4 < loose < 0.8 * strict < 2.5e-4
