"""Independent answers: written without the code that they check, or with a kept library."""

from __future__ import annotations

from typing import Any

import numpy as np
from filterpy.kalman import KalmanFilter as FilterpyKalman
from numpy.typing import NDArray

from pcctrl.models import JointModel

Array = NDArray[np.float64]


def filterpy_run(joint: JointModel, P0: Array, y: Array, u: Array) -> tuple[Array, Array]:
    """Means (T, N) and covariances (T, N, N) of filterpy's Kalman filter; a row of NaN is predicted over."""
    kf: Any = FilterpyKalman(dim_x=joint.size, dim_z=len(joint.R), dim_u=len(joint.input))
    kf.F, kf.B, kf.H, kf.Q, kf.R = joint.F, joint.B, joint.C, joint.Q, np.diag(joint.R)
    kf.x, kf.P = joint.mean[:, None].copy(), P0.copy()
    means, covariances = [], []
    for k in range(len(y)):
        if k > 0:
            kf.predict(u=u[k - 1][:, None])
        if np.isfinite(y[k]).all():
            kf.update(y[k][:, None])
        means.append(kf.x[:, 0].copy())
        covariances.append(kf.P.copy())
    return np.array(means), np.array(covariances)


def conditioned_last_state(joint: JointModel, P0: Array, y: Array) -> tuple[Array, Array, float]:
    """Mean and covariance of the state at the last sample, and ln p(y), by one dense Gaussian conditioning."""
    T, N, m = len(y), joint.size, len(joint.R)
    # Stack x_0 … x_{T-1} as a linear map of (x_0, w_0, …): covariance by brute force.
    maps = np.zeros((T, N, N * T))
    maps[0, :, :N] = np.eye(N)
    for k in range(1, T):
        maps[k] = joint.F @ maps[k - 1]
        maps[k, :, N * k : N * (k + 1)] += np.eye(N)
    drive = np.zeros((N * T, N * T))
    drive[:N, :N] = P0
    for k in range(1, T):
        drive[N * k : N * (k + 1), N * k : N * (k + 1)] = joint.Q
    sensed = (joint.C @ maps).reshape(T * m, N * T)
    S = sensed @ drive @ sensed.T + np.kron(np.eye(T), np.diag(joint.R))
    cross = maps[-1] @ drive @ sensed.T
    stacked = y.reshape(-1)
    mean = cross @ np.linalg.solve(S, stacked)
    covariance = maps[-1] @ drive @ maps[-1].T - cross @ np.linalg.solve(S, cross.T)
    _, log_det = np.linalg.slogdet(2.0 * np.pi * S)
    return mean, covariance, -0.5 * float(stacked @ np.linalg.solve(S, stacked) + log_det)


def integrated_covariance(A: Array, Q: Array, dt: float, points: int = 4001) -> Array:
    """∫₀^dt e^{At} Q e^{Aᵀt} dt by Simpson's rule."""
    from scipy.integrate import simpson
    from scipy.linalg import expm

    t = np.linspace(0.0, dt, points)
    values = np.array([expm(A * s) @ Q @ expm(A.T * s) for s in t])
    return np.asarray(simpson(values, x=t, axis=0))


def simulate(joint: JointModel, gain_y: Any, steps: int, batch: int, seed: int) -> Array:
    """Mean cost terms by simulating a joint model under ``gain_y(y) -> u`` (stateless), (batch, steps, n + p)."""
    rng = np.random.default_rng(seed)
    root = np.linalg.cholesky(joint.Q + 1e-14 * np.eye(joint.size))
    x = np.zeros((batch, joint.size))
    out = []
    for _ in range(steps):
        y = x @ joint.C.T + rng.standard_normal((batch, len(joint.R))) * np.sqrt(joint.R)
        u = gain_y(y)
        out.append(np.hstack([x[:, : joint.plant], u]))
        x = x @ joint.F.T + u @ joint.B.T + rng.standard_normal(x.shape) @ root.T
    return np.stack(out, axis=1)
