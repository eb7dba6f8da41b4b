"""The limit of Arm7's benchmark against a Kalman filter and a regulator that are written out."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import solve_discrete_are, solve_discrete_lyapunov

from pcctrl.models import LinearModel
from pcctrl.noise import White
from pcctrl.scripts.benchmarks.arm7_limit import limit, optimum

DT, Q, R = 0.01, 0.3, 0.02
A, B = np.array([[1.0, DT], [-0.2 * DT, 1.0]]), np.array([[0.5 * DT**2], [DT]])
C = np.array([[1.0, 0.0]])
PLANT = LinearModel.from_discrete(
    A, B, C, dt=DT, noise_input=B, process_noise=[White(density=Q * np.sqrt(DT))], sensor_noise=[White(std=R)]
)


def written_out(rho: float, slack: float = 1.0) -> tuple[float, float]:
    """Return RMSE and change of the optimum, or with another gain on the position."""
    P = solve_discrete_are(A.T, C.T, Q**2 * B @ B.T, np.array([[R**2]]))
    K = P @ C.T / (C @ P @ C.T + R**2)
    F, G = np.block([[A, B], [np.zeros((1, 2)), np.eye(1)]]), np.vstack([B, [[1.0]]])
    S = solve_discrete_are(F, G, np.diag([1.0, 0.0, 0.0]), np.array([[rho]]))
    g = np.linalg.solve(rho + G.T @ S @ G, G.T @ S @ F)
    g[0, 0] *= slack
    # Of the state, the belief after the correction, and the input before: u' = u - g (belief, u).
    pick = np.block([[-g[:, :2], np.eye(1) - g[:, 2:]]])
    control = np.hstack([np.zeros((1, 2)), pick])
    plant = np.hstack([A, np.zeros((2, 3))]) + B @ control
    ahead = np.hstack([np.zeros((2, 2)), A, np.zeros((2, 1))]) + B @ control
    belief = ahead + K @ C @ (plant - ahead)
    closed = np.vstack([plant, belief, control])
    drive = np.vstack([np.hstack([Q * B, np.zeros((2, 1))]), np.hstack([K @ C @ (Q * B), R * K]), np.zeros((1, 2))])
    covariance = solve_discrete_lyapunov(closed, drive @ drive.T)
    change = control - np.eye(5)[4:]
    return float(np.sqrt(covariance[0, 0])), float(np.sqrt((change @ covariance @ change.T)[0, 0]))


@pytest.mark.parametrize("rho", [1e-4, 1e-2])
def test_it_is_the_written_out_optimum(rho: float) -> None:
    np.testing.assert_allclose(optimum(PLANT, 1, rho, 1), written_out(rho), rtol=1e-5)
    error, change = written_out(rho)
    for slack in (0.7, 1.4):
        other = written_out(rho, slack)
        # Negative control: another gain is another loop, and a worse one.
        assert other[0] ** 2 + rho * other[1] ** 2 > (error**2 + rho * change**2) * 1.005


def test_who_may_chatter_more_has_less_error_on_the_arm() -> None:
    strict, loose = limit(0.1), limit(0.3)
    assert 1e-4 < loose < 0.8 * strict < 2.5e-4
