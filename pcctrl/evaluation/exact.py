r"""Exact performance of linear loops: what Monte Carlo cannot resolve.

A linear agent is a compensator :math:`s_{k+1} = A s_k + B y_k`, :math:`u_k = C s_k + D y_k`. Closed around a joint
model its stationary covariance, and so its cost, solves a Lyapunov equation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pcctrl.arrays import Array
from pcctrl.controllers.quadratic import padded
from pcctrl.errors import ModelError
from pcctrl.linalg import stationary_covariance

if TYPE_CHECKING:
    from pcctrl.controllers import PID, ReflexArc
    from pcctrl.filters import LinearFilter
    from pcctrl.models import JointModel

__all__ = ["Compensator", "Push", "closed_loop", "closed_loop_cost", "fold", "fold_pid", "fold_reflex"]


@dataclass(frozen=True, eq=False)
class Compensator:
    """A linear output feedback with state s (q,), input y (m,) and output u (p,), about the operating point.

    Args:
        A: (q, q).
        B: (q, m).
        C: (p, q).
        D: (p, m).
    """

    A: Array
    B: Array
    C: Array
    D: Array


def fold(filter_: LinearFilter, gain: Array) -> Compensator:
    """Fold a steady filter and a feedback u = −gain μ into one compensator on s = μ⁻.

    Args:
        filter_: with N joint states.
        gain: (p, N), or narrower if it reads only the first of them.

    Raises:
        ModelError: the model has a feedthrough D, which would need the last input as a further state.
    """
    joint, K = filter_.joint, filter_.steady.gain
    if joint.D.any():
        raise ModelError(name="model", expected="no feedthrough D", received="a model with D")
    gain = padded(gain, joint.size)
    closed = joint.F - joint.B @ gain
    keep = np.eye(joint.size) - K @ joint.C
    return Compensator(A=closed @ keep, B=closed @ K, C=-gain @ keep, D=-gain @ K)


def fold_reflex(filter_: LinearFilter, arc: ReflexArc) -> Compensator:
    """Return the compensator of a steady filter and a reflex arc away from its limits, on s = (μ⁻, ξ).

    Args:
        filter_: with N joint states, of the arc's own order if that has one.
        arc: whose memory is ξ = (μ̃, u − ū).

    Raises:
        ModelError: the model has a feedthrough D, which would need the last input as a further state.
    """
    joint, K, (Phi, Gamma) = filter_.joint, filter_.steady.gain, arc.law
    if joint.D.any():
        raise ModelError(name="model", expected="no feedthrough D", received="a model with D")
    N, q, p = joint.size, len(Phi), len(joint.input)
    read = arc.joint.exogenous.stop if arc.order is not None else joint.plant
    sense = np.zeros((q, N))
    sense[:, :read] = Gamma[:, :read]
    keep = np.eye(N) - K @ joint.C
    # The belief μ = keep μ⁻ + K y moves the memory, and with it the input.
    A = np.block([[joint.F @ keep, np.zeros((N, q))], [sense @ keep, Phi]])
    B = np.vstack([joint.F @ K, sense @ K])
    C, D = A[-p:], B[-p:]
    A[:N] += joint.B @ C
    B[:N] += joint.B @ D
    return Compensator(A=A, B=B, C=C.copy(), D=D.copy())


def fold_pid(pid: PID) -> Compensator:
    """Return the compensator of a PID away from its limits, on s = (integral, derivative, last reading)."""
    kp, ki, kd = np.asarray(pid.kp), np.asarray(pid.ki), np.asarray(pid.kd)
    m = kp.shape[1]
    # An integral that nothing reads would be a mode at 1 of its own.
    used = np.flatnonzero(ki.any(axis=0))
    k, eye = len(used), np.eye(m)
    keep = pid.tau / (pid.tau + pid.dt)
    blend = (1.0 - keep) / pid.dt
    A, B = np.zeros((k + 2 * m, k + 2 * m)), np.zeros((k + 2 * m, m))
    A[:k, :k], B[:k] = np.eye(k), -pid.dt * eye[used]
    A[k : k + m, k : k + m], A[k : k + m, k + m :], B[k : k + m] = keep * eye, -blend * eye, blend * eye
    B[k + m :] = eye
    readout = np.hstack([ki[:, used], -kd, np.zeros_like(kp)])
    return Compensator(A=A, B=B, C=readout @ A, D=readout @ B - kp)


def closed_loop(truth: JointModel, compensator: Compensator) -> tuple[Array, Array]:
    """Return the transition and noise covariance of [joint state; s] of ``truth`` under ``compensator``."""
    N, q = truth.size, len(compensator.A)
    F = np.block(
        [
            [truth.F + truth.B @ compensator.D @ truth.C, truth.B @ compensator.C],
            [compensator.B @ truth.C, compensator.A],
        ]
    )
    entry = np.vstack([truth.B @ compensator.D, compensator.B])
    Q = entry * truth.R @ entry.T
    Q[:N, :N] += truth.Q
    return F.reshape(N + q, N + q), Q


@dataclass(frozen=True)
class Push:
    """A constant disturbance of the inputs that sets in unannounced, and how long it is scored.

    Args:
        force: in the unit of the inputs, one number or (p,).
        steps: samples from its onset that are scored.
    """

    force: float | Array
    steps: int = 1000


def closed_loop_cost(
    truth: JointModel, compensator: Compensator, weight: Array, rho: Array, push: Push | None = None
) -> float:
    """Return the stationary mean of xᵀWx + uᵀρu a sample, exactly; infinite if the loop is unstable.

    Args:
        truth: the joint model that the loop really runs on.
        compensator: the agent.
        weight: W (n, n).
        rho: ρ (p, p).
        push: if given, the loop is stationary until this sets in, and its mean cost from then on is returned.
    """
    F, Q = closed_loop(truth, compensator)
    try:
        P = stationary_covariance(F, Q)
    except ModelError:
        return float(np.inf)
    n = truth.plant
    readout = np.hstack([compensator.D @ truth.C, compensator.C])
    action = readout @ P @ readout.T + compensator.D * truth.R @ compensator.D.T
    noise = float(np.trace(weight @ P[:n, :n]) + np.trace(rho @ action))
    if push is None:
        return noise
    cost = readout.T @ rho @ readout
    cost[:n, :n] += weight
    entry = np.zeros(len(F))
    entry[: truth.size] = truth.B @ np.broadcast_to(np.asarray(push.force, dtype=np.float64), truth.B.shape[1])
    return noise + _driven_sum(F, entry, cost, push.steps) / push.steps


def _driven_sum(F: Array, entry: Array, cost: Array, steps: int) -> float:
    """Return the sum of zᵀ cost z over so many steps of z ← F z + entry from 0, by doubling."""
    size = len(F) + 1
    power, gramian = np.eye(size), np.zeros((size, size))
    power[:-1, :-1], power[:-1, -1], gramian[:-1, :-1] = F, entry, cost
    ahead, total = np.eye(size), np.zeros((size, size))
    while steps:
        if steps & 1:
            total = total + ahead.T @ gramian @ ahead
            ahead = power @ ahead
        gramian = gramian + power.T @ gramian @ power
        power = power @ power
        steps >>= 1
    return float(total[-1, -1])
