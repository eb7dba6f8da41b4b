r"""Exact discretisation, Lyapunov, Stein and Riccati equations, each answer checked before it is used.

All covariance integrals use doubling, :math:`F_{2h} = F_h^2`, :math:`Q_{2h} = Q_h + F_h Q_h F_h^\top`: unlike Van
Loan's block exponential it never forms :math:`e^{-A\,dt}`, which overflows for noise much faster than the sample time.
"""

from __future__ import annotations

import contextlib
import warnings

import numpy as np
import scipy.linalg

from pcctrl.arrays import Array
from pcctrl.errors import ModelError

__all__ = [
    "accumulate",
    "block_diag",
    "block_rows",
    "compose",
    "discretise",
    "riccati",
    "spectral_radius",
    "stationary_covariance",
    "stein",
]

_SERIES_TERMS = 16
_DOUBLINGS = 64
# A plant that moves so much in a sample is one that has been lost.
_ABSURD = 1e18
# F^(2^34) tells a spectral radius of 1 - 1e-9 from 1.
_STABLE_DOUBLINGS = 34


def block_diag(*blocks: Array) -> Array:
    """Return the block-diagonal matrix of ``blocks``; empty (0, 0) blocks vanish."""
    kept = [b for b in blocks if b.size]
    return np.asarray(scipy.linalg.block_diag(*kept), dtype=np.float64) if kept else np.zeros((0, 0))


def block_rows(*rows: Array) -> Array:
    """Return the rows side by side as a block-diagonal matrix (len(rows), sum of lengths), keeping rows of length 0."""
    blocks = [r.reshape(1, -1) for r in rows]
    return np.asarray(scipy.linalg.block_diag(*blocks)).reshape(len(rows), -1) if rows else np.zeros((0, 0))


def discretise(A: Array, B: Array, Q: Array, dt: float) -> tuple[Array, Array, Array]:
    r"""Sample :math:`\dot x = A x + B u + \xi`, :math:`\langle\xi\xi^\top\rangle = Q\,\delta`, with u held for ``dt``.

    Args:
        A: (n, n), 1/s.
        B: (n, p).
        Q: (n, n) spectral density.
        dt: seconds.

    Returns:
        F (n, n), the held-input matrix (n, p) and the accumulated noise covariance (n, n), exact to rounding.

    Raises:
        ModelError: the plant grows beyond all numbers within ``dt``.
    """
    n, p = B.shape
    # Inputs of any unit: scaled, so that they do not decide in how many steps the plant is integrated.
    unit = max(float(np.abs(B).max(initial=0.0)), 1e-300)
    block = np.zeros((n + p, n + p))
    block[:n, :n], block[:n, n:] = A, B / unit
    with np.errstate(all="ignore"):
        E = np.asarray(scipy.linalg.expm(block * dt))
    if not np.isfinite(E).all():
        fastest = f"an eigenvalue of {np.linalg.eigvals(A).real.max(initial=0.0):.3g} 1/s"
        raise ModelError(name="A", expected="a plant that does not overflow within a sample", received=fastest)
    return E[:n, :n], E[:n, n:] * unit, accumulate(A, Q, dt)


def accumulate(A: Array, Q: Array, dt: float) -> Array:
    r"""Return :math:`\int_0^{dt} e^{At} Q e^{A^\top t} dt`, (..., n, n), of A in 1/s and a symmetric Q.

    It is exact to rounding, and NaN where A is not finite.
    """
    size = np.abs(A).sum(axis=-2).max(axis=-1, initial=0.0) * dt
    lost = ~(size < _ABSURD)
    halvings = np.ceil(np.log2(np.maximum(np.where(lost, 0.0, size), 0.5) / 0.5)).astype(int)
    # Each member of a batch in its own steps: what the stiffest needs would cost the others their precision.
    Ah = A * (dt / 2.0**halvings)[..., None, None]
    # Q_h = sum_k D_k / k! with D_1 = Q h and D_{k+1} = A h D_k + D_k A' h
    term = Q * (dt / 2.0**halvings)[..., None, None]
    covariance, F, power = term, np.eye(A.shape[-1]) + Ah, Ah
    for k in range(2, _SERIES_TERMS):
        term = Ah @ term
        term = (term + np.swapaxes(term, -1, -2)) / k
        covariance = covariance + term
        power = Ah @ power / k
        F = F + power
    for j in range(halvings.max(initial=0)):
        more = (j < halvings)[..., None, None]
        covariance = np.where(more, covariance + F @ covariance @ np.swapaxes(F, -1, -2), covariance)
        F = np.where(more, F @ F, F)
    if lost.any():
        covariance = np.where(lost[..., None, None], np.nan, covariance)
    return _symmetric(covariance)


def compose(F: Array, B: Array, Q: Array, steps: int) -> tuple[Array, Array, Array]:
    """Chain ``steps`` equal steps of ``x <- F x + B u + noise`` (covariance Q) with u held: the same three matrices."""
    F_total, B_total, Q_total = np.eye(len(F)), np.zeros_like(B), np.zeros_like(Q)
    for _ in range(steps):
        F_total, B_total, Q_total = F @ F_total, F @ B_total + B, F @ Q_total @ F.T + Q
    return F_total, B_total, _symmetric(Q_total)


def spectral_radius(F: Array) -> float:
    """Return the largest eigenvalue magnitude of F (n, n); 0 for an empty matrix."""
    return float(np.abs(np.linalg.eigvals(F)).max(initial=0.0))


def stationary_covariance(F: Array, Q: Array) -> Array:
    r"""Solve :math:`P = F P F^\top + Q` by doubling, for a stable F.

    Raises:
        ModelError: F has an eigenvalue on or outside the unit circle, or the residual is not at rounding level.
    """
    P, power = Q, F
    with np.errstate(all="ignore"):
        for _ in range(_STABLE_DOUBLINGS):
            step = power @ P @ power.T
            P = P + step
            power = power @ power
            size = np.abs(P).max(initial=0.0)
            # Where Q does not excite a mode, only the power shows whether it is stable: its norm falls below 1.
            norm = np.abs(power).sum(axis=1).max(initial=0.0)
            if (np.abs(step).max(initial=0.0) <= 1e-17 * size and norm < 1.0) or not np.isfinite(size):
                break
    if not (np.isfinite(P).all() and norm < 1.0):
        radius = f"spectral radius {spectral_radius(F):.6g}"
        raise ModelError(name="F", expected="a stable matrix (spectral radius below 1)", received=radius)
    P = _symmetric(P)
    _check_residual("Lyapunov equation", F @ P @ F.T + Q - P, P)
    return P


def stein(M: Array, K: Array, N: Array) -> Array:
    r"""Solve :math:`X = M X N + K` by doubling, for spectral radii with product below 1.

    Raises:
        ModelError: the product of the spectral radii is 1 or more.
    """
    radius = spectral_radius(M) * spectral_radius(N)
    if radius >= 1.0 - 1e-10:
        raise ModelError(
            name="Stein equation", expected="spectral radii with a product below 1", received=f"{radius:.6g}"
        )
    X = K
    for _ in range(_DOUBLINGS):
        step = M @ X @ N
        X = X + step
        M, N = M @ M, N @ N
        if np.abs(step).max(initial=0.0) <= 1e-17 * np.abs(X).max(initial=0.0):
            break
    return X


_CONTROL = "a stabilisable", ("no input reaches", "no weight sees")
_FILTER = "a detectable", ("no sensor sees", "no process noise reaches")


def riccati(A: Array, B: Array, Q: Array, R: Array, *, name: str, estimation: bool = False) -> Array:
    r"""Solve :math:`S = A^\top S A - A^\top S B (R + B^\top S B)^{-1} B^\top S A + Q` for its stabilising solution.

    For the filter's equation pass ``A.T`` and ``C.T``. The structure-preserving doubling algorithm (Chu, Fan, Lin &
    Wang, IJC 2004) is used: it keeps symmetry and works where the symplectic pencil of a QZ solver is ill-scaled.

    Args:
        A: (n, n).
        B: (n, p).
        Q: (n, n) positive semi-definite.
        R: (p, p) positive definite.
        name: of what is at fault in an error.
        estimation: word errors for a filter.

    Raises:
        ModelError: the pair cannot be stabilised, or the answer fails its own equation.
    """
    role = _FILTER if estimation else _CONTROL
    H = _doubling_riccati(A, B @ np.linalg.solve(R, B.T), Q)
    found = [] if H is None else [(_riccati_residual(A, B, Q, R, H), H)]
    if not found or found[0][0] > 1e-11:
        # Very uneven scales: another method may do better, and its answer is judged by the same residual.
        with contextlib.suppress(np.linalg.LinAlgError, ValueError), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            other = _symmetric(scipy.linalg.solve_discrete_are(A, B, Q, R))
            found.append((_riccati_residual(A, B, Q, R, other), other))
    residual, H = min(found, key=lambda pair: pair[0], default=(np.inf, Q))
    if not np.isfinite(residual):
        raise ModelError(name=name, expected=f"{role[0]} pair", received=_hidden_mode(A, B, Q, role[1]))
    if residual > 1e-8:
        raise ModelError(name=name, expected="a Riccati solution with residual below 1e-8", received=f"{residual:.2g}")
    return H


def _doubling_riccati(A: Array, G: Array, Q: Array) -> Array | None:
    n = len(A)
    H, Ak, eye = Q.copy(), A.copy(), np.eye(n)
    with np.errstate(all="ignore"):
        for _ in range(_DOUBLINGS):
            try:
                W = np.linalg.solve(eye + G @ H, np.hstack([Ak, G]))
            except np.linalg.LinAlgError:
                return None
            step = Ak.T @ H @ W[:, :n]
            G = _symmetric(G + Ak @ W[:, n:] @ Ak.T)
            H = _symmetric(H + step)
            Ak = Ak @ W[:, :n]
            if not np.isfinite(H).all():
                return None
            if np.abs(step).max(initial=0.0) <= 1e-16 * np.abs(H).max(initial=0.0):
                break
    return H


def _riccati_residual(A: Array, B: Array, Q: Array, R: Array, S: Array) -> float:
    """Return the residual relative to the solution, or infinity if the feedback does not stabilise."""
    closed = A - B @ _gain(A, B, S, R)
    if not np.isfinite(closed).all() or spectral_radius(closed) >= 1.0 - 1e-10:
        return np.inf
    return float(np.abs(A.T @ S @ closed + Q - S).max(initial=0.0) / max(np.abs(S).max(initial=0.0), 1e-300))


def _gain(A: Array, B: Array, S: Array, R: Array) -> Array:
    SB = S @ B
    return np.asarray(np.linalg.solve(R + B.T @ SB, SB.T @ A))


def _hidden_mode(A: Array, B: Array, Q: Array, words: tuple[str, str]) -> str:
    """Name the worst mode by the Hautus test: one outside the unit circle that B does not reach or Q does not see."""
    worst, text = np.inf, "none that can be named"
    for eigenvalue in np.linalg.eigvals(A):
        if abs(eigenvalue) < 1.0 - 1e-9:
            continue
        shifted = A - eigenvalue * np.eye(len(A))
        for pencil, word in ((np.hstack([shifted, B]), words[0]), (np.vstack([shifted, Q]).T, words[1])):
            least = float(np.linalg.svd(pencil, compute_uv=False)[-1])
            if least < worst:
                worst, text = least, f"a mode with eigenvalue {complex(eigenvalue):.4g} that {word}"
    return f"{text} (Hautus singular value {worst:.2g})"


def _check_residual(name: str, residual: Array, solution: Array) -> None:
    worst = float(np.abs(residual).max(initial=0.0))
    scale = float(np.abs(solution).max(initial=0.0))
    if worst > 1e-8 * scale:
        raise ModelError(
            name=name, expected="a solution with relative residual below 1e-8", received=f"{worst / scale:.2g}"
        )


def _symmetric(matrix: Array) -> Array:
    return np.asarray(0.5 * (matrix + np.swapaxes(matrix, -1, -2)))
