r"""Beliefs along a plan, what it costs, and a step that lowers that: the arithmetic behind `BeliefHorizon`.

With Λ_k the derivative of the cost from sample k on by Σ_k, and Λ⁻_k that by P_k,

.. math:: \Lambda^-_k = (I - KC)^\top\Lambda_k(I - KC) - \tfrac12 C^\top S_k^{-1}C,\qquad
          \Lambda_{k-1} = F^\top\Lambda^-_k F + \tfrac12\Pi ,

exactly, since (I − KC) dP (I − KC)ᵀ is how Σ follows P. So what a mean m_k does to all later covariances is one scalar
function of it, of which slope and curvature are had by differences, for all samples of all plans in one batch.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pcctrl.arrays import Array
from pcctrl.controllers.box import box_minimum
from pcctrl.free_energy import Correction, correct
from pcctrl.models import GeneralisedModel

__all__ = ["BeliefPath", "BeliefProblem", "newton_step", "roll_out"]

# The fourth root of the rounding: of second differences.
_MOVE = 1e-4


@dataclass(frozen=True, eq=False)
class BeliefProblem:
    """What is to be minimised, for each of B rows; see `BeliefHorizon` for G.

    Args:
        joint: of the N joint states, n of them physical, p inputs and m sensors.
        mean: (B, N).
        covariance: (B, N, N).
        goals: (B, H + 1, n).
        weight: Π (n, n).
        terminal: S (B, n, n).
        rho: ρ (p, p).
        rest: ū (p,).
        low: (p,).
        high: (p,).
        R: (B, m) to be taken for constant, or None.
    """

    joint: GeneralisedModel
    mean: Array
    covariance: Array
    goals: Array
    weight: Array
    terminal: Array
    rho: Array
    rest: Array
    low: Array
    high: Array
    R: Array | None

    @property
    def finite(self) -> NDArray[np.bool_]:
        """Whether the belief of a row is (B,)."""
        return np.asarray(np.isfinite(self.mean).all(axis=-1) & np.isfinite(self.covariance).all(axis=(-2, -1)))

    def rows(self, index: NDArray[np.int64]) -> BeliefProblem:
        """Return the problem of some rows."""
        R = None if self.R is None else self.R[index]
        mean, covariance, goals, terminal = (a[index] for a in (self.mean, self.covariance, self.goals, self.terminal))
        return replace(self, mean=mean, covariance=covariance, goals=goals, terminal=terminal, R=R)

    def sensors(self, mean: Array, u: Array, R: Array | None) -> tuple[Array, Array]:
        """Return C (..., m, N) and R (..., m) of samples at ``mean`` (..., N), R as given if it is."""
        C = self.joint.readout_jacobian(mean, u)
        return C, np.broadcast_to(self.joint.R_at(mean) if R is None else R, C.shape[:-1])

    def risk(self, mean: Array, goals: Array, weight: Array) -> Array:
        """Return ½|m − g|² (...) of means (..., N)."""
        away = self.joint.model.difference(mean[..., : self.joint.plant], goals)
        return np.asarray(0.5 * np.einsum("...i,...ij,...j->...", away, weight, away))

    def padded(self, weight: Array) -> Array:
        """Return a weight (..., n, n) on the joint states, (..., N, N)."""
        N, n = self.joint.size, self.joint.plant
        whole = np.zeros((*weight.shape[:-2], N, N))
        whole[..., :n, :n] = weight
        return whole


class BeliefPath(NamedTuple):
    """Plans and the beliefs that they lead to.

    Args:
        inputs: (B, H, p).
        means: (B, H + 1, N).
        F: (B, H, N, N) by which each mean follows the one before.
        before: P of samples 1 to H (B, H, N, N).
        after: Σ of samples 0 to H (B, H + 1, N, N).
        cost: G (B,).
    """

    inputs: Array
    means: Array
    F: Array
    before: Array
    after: Array
    cost: Array

    def rows(self, index: NDArray[np.int64]) -> BeliefPath:
        """Return some rows."""
        return BeliefPath(*(a[index] for a in self))

    def replaced(self, index: NDArray[np.int64], others: BeliefPath) -> BeliefPath:
        """Return these with ``others`` in the place of some rows."""
        parts = [a.copy() for a in self]
        for part, other in zip(parts, others, strict=True):
            part[index] = other
        return BeliefPath(*parts)


def information(correction: Correction, R: Array) -> Array:
    """Return the nats (...) that a sample will give: ½ ln(|S| / |R|)."""
    return np.asarray(0.5 * np.log(correction.variances / R).sum(axis=-1))


def roll_out(problem: BeliefProblem, inputs: Array) -> BeliefPath:
    """Return the beliefs that ``inputs`` (B, H, p) lead to."""
    joint, H = problem.joint, inputs.shape[1]
    steps = [problem.mean]
    for k in range(H):
        steps.append(joint.ahead(steps[-1], inputs[:, k]))
    means, after, before, told = np.stack(steps, axis=1), [problem.covariance], [], np.zeros(len(inputs))
    # Where the means are known, all derivatives are had at once: only covariances wait for one another.
    _, F, Q = joint.linearised(means[:, :-1], inputs)
    C, R = problem.sensors(means[:, 1:], inputs, None if problem.R is None else problem.R[:, None])
    for k in range(H):
        P = F[:, k] @ after[-1] @ np.swapaxes(F[:, k], -1, -2) + Q[:, k]
        correction = correct(P, C[:, k], R[:, k])
        before.append(P)
        after.append(correction.covariance)
        told += information(correction, R[:, k])
    path = BeliefPath(inputs, means, F, np.stack(before, 1), np.stack(after, 1), told)
    n, action = joint.plant, inputs - problem.rest
    weights = np.broadcast_to(problem.weight, (len(inputs), H + 1, n, n)).copy()
    weights[:, -1] = problem.terminal
    risk = problem.risk(path.means, problem.goals, weights)
    spread = 0.5 * np.einsum("bkij,bkji->bk", weights, path.after[..., :n, :n])
    effort = 0.5 * np.einsum("bki,ij,bkj->b", action, problem.rho, action)
    return path._replace(cost=(risk + spread).sum(axis=1) + effort - told)


def newton_step(problem: BeliefProblem, path: BeliefPath) -> tuple[Array, Array, Array]:
    """Return a step (B, H, p) within the bounds, the first one's without (B, p), and by how much G should fall (B,)."""
    B, H, p = path.inputs.shape
    N = problem.joint.size
    F = path.F
    B_, slopes, curvatures, pulls = _differences(problem, path)
    # J[k] (N, H p) is how the mean of sample k follows the inputs, v the slope of G by it.
    J, rows = np.zeros((B, N, H * p)), []
    for k in range(H):
        J = F[:, k] @ J
        J[..., k * p : (k + 1) * p] += B_[:, k]
        rows.append(J)
    v, gradient = slopes[:, -1], pulls + (path.inputs - problem.rest) @ problem.rho
    for k in reversed(range(H)):
        gradient[:, k] += (v[:, None] @ B_[:, k])[:, 0]
        v = (v[:, None] @ F[:, k])[:, 0] + (slopes[:, k - 1] if k else 0.0)
    ways = np.stack(rows, axis=1)
    curvature = np.swapaxes(ways.reshape(B, H * N, H * p), -1, -2) @ (curvatures @ ways).reshape(B, H * N, H * p)
    curvature = curvature + np.kron(np.eye(H), problem.rho)
    return _within(problem, path.inputs, gradient, curvature)


def _within(problem: BeliefProblem, inputs: Array, gradient: Array, curvature: Array) -> tuple[Array, Array, Array]:
    """Return what `newton_step` does for the quadratic problem, NaN for a row that has no solution."""
    step, first = np.full(inputs.shape, np.nan), np.full(inputs[:, 0].shape, np.nan)
    sane = np.isfinite(curvature).all(axis=(-2, -1)) & np.isfinite(gradient).all(axis=(-2, -1))
    for i in np.flatnonzero(sane):
        low, high = ((bound - inputs[i]).reshape(-1) for bound in (problem.low, problem.high))
        with contextlib.suppress(np.linalg.LinAlgError):
            step[i] = box_minimum(curvature[i], gradient[i].reshape(-1), low, high)[0].reshape(step[i].shape)
            first[i] = -np.linalg.solve(curvature[i], gradient[i].reshape(-1))[: inputs.shape[2]]
    bent = np.einsum("bi,bij,bj->b", flat := step.reshape(len(step), -1), curvature, flat)
    return step, first, -(gradient * step).sum(axis=(1, 2)) - 0.5 * bent


def _differences(problem: BeliefProblem, path: BeliefPath) -> tuple[Array, Array, Array, Array]:
    """Return the derivatives of the plans' parts, of H samples each.

    That is B (B, H, N, p) of the means; slope (B, H, N) and curvature (B, H, N, N), made positive
    semi-definite, of G by the means of samples 1 to H through all but the later means; slope (B, H, p) by the inputs.
    """
    joint, u = problem.joint, path.inputs
    H, N, p = u.shape[1], joint.size, u.shape[2]
    R = None if problem.R is None else problem.R[:, None]
    lambdas, coming = _sensitivities(problem, path, R)
    weights = np.broadcast_to(problem.weight, (len(u), H, *problem.weight.shape)).copy()
    weights[:, -1] = problem.terminal
    u_next = np.concatenate([u[:, 1:], u[:, -1:]], axis=1)
    # Nothing comes after the last sample.
    coming_next = np.concatenate([coming[:, 1:], np.zeros_like(coming[:, :1])], axis=1)

    def cost(moves: Array) -> Array:
        here = joint.integrate(np.broadcast_to(path.means[:, 1:, None], (*u.shape[:2], len(moves), N)), moves)
        P = path.before[:, :, None]
        C, there = problem.sensors(here, u[:, :, None], None if R is None else R[:, :, None])
        correction = correct(P, C, there)
        total = problem.risk(here, problem.goals[:, 1:, None], weights[:, :, None]) - information(correction, there)
        total += np.einsum("bkij,bkaji->bka", lambdas, correction.covariance)
        return total + _spread(joint, here, u_next[:, :, None], path.after[:, 1:, None], coming_next[:, :, None])

    eye, pairs = _MOVE * np.eye(N), np.triu_indices(N, 1)
    values = cost(np.concatenate([np.zeros((1, N)), eye, -eye, eye[pairs[0]] + eye[pairs[1]]]))
    centre, forth, back, both = np.split(values, [1, N + 1, 2 * N + 1], axis=-1)
    slopes = (forth - back) / (2.0 * _MOVE)
    curvatures = np.zeros((*slopes.shape, N))
    across = (both - forth[..., pairs[0]] - forth[..., pairs[1]] + centre) / _MOVE**2
    curvatures[..., pairs[0], pairs[1]] = curvatures[..., pairs[1], pairs[0]] = across
    curvatures[..., np.arange(N), np.arange(N)] = (forth + back - 2.0 * centre) / _MOVE**2
    moves = _MOVE * np.concatenate([np.eye(p), -np.eye(p)])
    from_ = np.broadcast_to(path.means[:, :-1, None], (*u.shape[:2], 2 * p, N))
    tried = u[:, :, None] + moves
    ends = joint.ahead(from_, tried)
    forth, back = np.split(ends, 2, axis=2)
    B_ = np.swapaxes(joint.difference(forth, back), -1, -2) / (2.0 * _MOVE)
    spread = _spread(joint, from_, tried, path.after[:, :-1, None], coming[:, :, None])
    forth, back = np.split(spread, 2, axis=-1)
    return B_, slopes, _convex(curvatures), (forth - back) / (2.0 * _MOVE)


def _sensitivities(problem: BeliefProblem, path: BeliefPath, R: Array | None) -> tuple[Array, Array]:
    """Return Λ and Λ⁻ (B, H, N, N) of samples 1 to H."""
    H = path.inputs.shape[1]
    C, R = problem.sensors(path.means[:, 1:], path.inputs, R)
    correction = correct(path.before, C, R)
    left = np.eye(problem.joint.size) - correction.gain @ C
    known = 0.5 * np.swapaxes(C, -1, -2) @ correction.innovation_precision @ C
    weight = 0.5 * problem.padded(problem.weight)
    after, before = np.empty_like(path.before), np.empty_like(path.before)
    Λ = 0.5 * problem.padded(problem.terminal)
    for k in reversed(range(H)):
        after[:, k] = Λ
        before[:, k] = np.swapaxes(left[:, k], -1, -2) @ Λ @ left[:, k] - known[:, k]
        Λ = np.swapaxes(path.F[:, k], -1, -2) @ before[:, k] @ path.F[:, k] + weight
    return after, before


def _spread(joint: GeneralisedModel, mean: Array, u: Array, P: Array, coming: Array) -> Array:
    """Return tr(Λ⁻ P) (...) of the covariance one sample later."""
    _, F, Q = joint.linearised(mean, np.broadcast_to(u, (*mean.shape[:-1], u.shape[-1])))
    return np.asarray(np.einsum("...ij,...ji->...", coming, F @ P @ np.swapaxes(F, -1, -2) + Q))


def _convex(matrices: Array) -> Array:
    """Return symmetric matrices (..., N, N) without their negative curvatures; NaN where they are not finite."""
    finite = np.isfinite(matrices).all(axis=(-2, -1), keepdims=True)
    values, vectors = np.linalg.eigh(np.where(finite, matrices, 0.0))
    convex = (vectors * np.maximum(values, 0.0)[..., None, :]) @ np.swapaxes(vectors, -1, -2)
    return np.asarray(np.where(finite, convex, np.nan))
