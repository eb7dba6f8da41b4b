r"""The iterated quadratic programme: the plan of least cost along a nonlinear model's own trajectory, within bounds.

.. math:: J = \tfrac12\sum_{k<H}\left(|x_k - g_k|^2_\Pi + |u_k - \bar u|^2_\rho\right) + \tfrac12|x_H - \bar x|^2_S,
          \qquad x_{k+1} = f(x_k, u_k + d, w_k)

or with the readings y_k in the place of the x_k under the sum.

An iteration takes the derivatives along the plan, solves the quadratic subproblem backward with every input kept in its
box by a projected Newton method, and walks forward on the true model, shorter and shorter until the true cost falls.
States differ by moves in tangent space; curvature of the dynamics is left out (Gauss-Newton), so the subproblems are
convex. Source: Tassa, Mansard & Todorov, ICRA 2014 (control-limited differential dynamic programming).
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pcctrl.arrays import Array
from pcctrl.controllers.aims import Aim
from pcctrl.controllers.base import limited
from pcctrl.controllers.box import box_minimum

__all__ = ["Course", "PlanStatus", "Problem", "Solution", "descend", "plan_cost", "walk"]

# A walk must lower the cost by this part of what the subproblem promises.
_ARMIJO = 1e-4
_BACKTRACKS = 8
# A promise below this part of the cost is rounding.
_ROUNDING = 1e-13


class PlanStatus(enum.IntEnum):
    """How the iterations ended; data never raises."""

    CONVERGED = 0
    """No lower cost to speak of is in sight."""
    CAPPED = 1
    """The cost was still falling after as many iterations as were allowed."""
    STALLED = 2
    """No walk lowered the cost in the last iteration."""
    DIVERGED = 3
    """The belief, the model or its derivatives were not finite: the plan is as it was before."""


@dataclass(frozen=True, eq=False)
class Problem:
    """What is to be minimised.

    Args:
        aim: with the model of the n states under p inputs.
        start: x_0 (n,).
        goals: (H, g).
        end: x̄ (n,).
        weight: Π (g, g).
        rho: ρ (p, p).
        terminal: S (n, n).
        rest: ū (p,).
        low: (H, p) least inputs.
        high: (H, p) greatest ones.
        w: (H, q) process noise that is foreseen, or None.
        d: (p,) input disturbance, or None.
        push: (H, n) moves after each sample that are foreseen, or None.
    """

    aim: Aim
    start: Array
    goals: Array
    end: Array
    weight: Array
    rho: Array
    terminal: Array
    rest: Array
    low: Array
    high: Array
    w: Array | None = None
    d: Array | None = None
    push: Array | None = None


class Course(NamedTuple):
    """A plan and where it leads.

    Args:
        states: (H + 1, n).
        inputs: (H, p).
        gains: (H, p, n) by which inputs answer a state that is elsewhere.
        cost: J, infinite if a state is not finite.
    """

    states: Array
    inputs: Array
    gains: Array
    cost: float


class Solution(NamedTuple):
    """What the iterations came to.

    Args:
        course: the best plan.
        costs: J of the first plan and after each walk that was kept.
        status: how it ended.
        unlimited: (p,) the first input that the last subproblem would take without bounds.
        forecast: (p,) the part of that which answers what is foreseen.
    """

    course: Course
    costs: list[float]
    status: PlanStatus
    unlimited: Array
    forecast: Array


class _Step(NamedTuple):
    """The answer of a subproblem: changes (H, p), gains, what it promises to first and second order; see `Solution`."""

    changes: Array
    gains: Array
    slope: float
    bend: float
    unlimited: Array
    forecast: Array


def walk(problem: Problem, plan: Course, changes: Array) -> Course:
    """Return where the plan leads from the start with its inputs moved by ``changes`` (H, p), within the bounds."""
    model, d, w, push = problem.aim.model, problem.d, problem.w, problem.push
    flat = problem.aim.flat
    states, inputs = np.empty_like(plan.states), plan.inputs + changes
    states[0] = x = problem.start
    for k, gain in enumerate(plan.gains):
        away = x - plan.states[k] if flat else model.difference(x, plan.states[k])
        inputs[k] = u = limited(inputs[k] + gain.dot(away), problem.low[k], problem.high[k])
        x = model.transition(x, u if d is None else u + d, None if w is None else w[k])
        states[k + 1] = x = x if push is None else model.integrate(x, push[k])
    away, last = problem.aim.miss(states[:-1], problem.goals), model.difference(states[-1], problem.end)
    cost = plan_cost(away, last, inputs - problem.rest, problem.weight, problem.rho, problem.terminal)
    return Course(states, inputs, plan.gains, float(cost))


def plan_cost(away: Array, last: Array, action: Array, weight: Array, rho: Array, terminal: Array) -> Array:
    """Return J (...) of plans, infinite where it is not finite.

    Args:
        away: (..., H, g) by which goals are missed.
        last: (..., n) move from x̄ to the last state.
        action: (..., H, p) inputs less ū.
        weight: Π (g, g).
        rho: ρ (p, p).
        terminal: S (..., n, n).
    """
    risk = ((away @ weight) * away).sum(axis=(-2, -1)) + ((action @ rho) * action).sum(axis=(-2, -1))
    last = last[..., None, :]
    cost = 0.5 * (risk + ((last @ terminal) * last).sum(axis=(-2, -1)))
    return np.where(np.isfinite(cost), cost, np.inf)


def _slopes(problem: Problem, states: Array) -> tuple[Array, Array]:
    """Return gradients (H + 1, n) and curvatures (H + 1, n, n) of the states' cost."""
    aim, weights = problem.aim, np.broadcast_to(problem.weight, (len(states) - 1, *problem.weight.shape))
    way = aim.slopes(states[:-1], problem.goals, weights)
    end = aim.ending.slopes(states[-1:], problem.end[None], problem.terminal[None])
    return np.concatenate([way[0], end[0]]), np.concatenate([way[1], end[1]])


def _subproblem(problem: Problem, course: Course, F: Array, B: Array, G: Array, damping: float) -> _Step:
    """Solve the quadratic subproblem about ``course`` backward."""
    low, high = problem.low - course.inputs, problem.high - course.inputs
    changes, gains = np.empty_like(course.inputs), np.empty_like(course.gains)
    gradients, curvatures = _slopes(problem, course.states)
    pull = (course.inputs - problem.rest) @ problem.rho
    foreseen, n = _foreseen(problem, B, G), len(problem.start)
    both, rho = np.concatenate([F, B], axis=-1), problem.rho
    across = np.swapaxes(both, -1, -2)
    v, V, s = gradients[-1], curvatures[-1], np.zeros(n)
    slope = bend = 0.0
    for k in reversed(range(len(changes))):
        # Of the cost from here on, by the state and then the input.
        q, Q = across[k].dot(v), across[k].dot(V).dot(both[k])
        Qu, Qux, Quu = pull[k] + q[n:], Q[n:, :n], rho + Q[n:, n:]
        # In proportion to the curvature, so that units do not matter.
        damped = Quu + damping * np.diag(np.diag(Quu)) if damping else Quu
        if len(Qu) == 1:
            # Nearly all the time there is: one input needs no search.
            change = -Qu / damped[0]
            gain = -Qux / damped if low[k, 0] < change[0] < high[k, 0] else np.zeros_like(Qux)
            change = limited(change, low[k], high[k])
        else:
            change, free = box_minimum(damped, Qu, low[k], high[k])
            gain = np.zeros_like(Qux)
            if free.any():
                gain[free] = -np.linalg.solve(damped[np.ix_(free, free)], Qux[free])
        changes[k], gains[k] = change, gain
        if foreseen is not None:
            # How the slope of the value follows from what is foreseen alone.
            s = s + V.dot(foreseen[k])
            answer = s.dot(B[k])
            s = s.dot(F[k]) + answer.dot(gain)
        bent = Quu.dot(change)
        slope, bend = slope + float(Qu.dot(change)), bend + 0.5 * float(bent.dot(change))
        v = gradients[k] + q[:n] + (bent + Qu).dot(gain) + change.dot(Qux)
        half = 0.5 * (curvatures[k] + Q[:n, :n]) + gain.T.dot(Qux + 0.5 * Quu.dot(gain))
        V = half + half.T
    unlimited = course.inputs[0] - np.linalg.solve(damped, Qu)
    forecast = np.zeros_like(Qu) if foreseen is None else -np.linalg.solve(damped, answer)
    return _Step(changes, gains, slope, bend, unlimited, forecast)


def _foreseen(problem: Problem, B: Array, G: Array) -> Array | None:
    """Return the moves (H, n) of the states by all that is foreseen, to first order, or None."""
    if problem.push is not None:
        return problem.push
    if problem.w is None:
        return None
    moved = (G @ problem.w[..., None])[..., 0]
    return np.asarray(moved if problem.d is None else moved + B @ problem.d)


def descend(problem: Problem, plans: Sequence[Course], iterations: int, tolerance: float = 0.0) -> Solution:
    """Return the best plan after at most so many ``iterations`` from the best of ``plans``; the cost never rises.

    They end when one lowers it by less than ``tolerance`` as a part of it.
    """
    zero = np.zeros_like(problem.rest)
    course = min((walk(problem, plan, np.zeros_like(plan.inputs)) for plan in plans), key=lambda c: c.cost)
    solution = Solution(course, [course.cost], PlanStatus.DIVERGED, course.inputs[0], zero)
    if not np.isfinite(course.cost):
        return solution
    damping, status, derivatives = 0.0, PlanStatus.CAPPED, None
    for _ in range(iterations):
        if derivatives is None:
            derivatives = _derivatives(problem, course)
            if not all(np.isfinite(J).all() for J in derivatives):
                status = PlanStatus.DIVERGED
                break
        try:
            step = _subproblem(problem, course, *derivatives, damping)
        except np.linalg.LinAlgError:
            # Inputs that do the same, of next to no cost: singular to rounding.
            damping, status = max(10.0 * damping, 1e-2), PlanStatus.STALLED
            continue
        if not (np.isfinite(step.changes).all() and np.isfinite(step.gains).all()):
            status = PlanStatus.DIVERGED
            break
        solution = solution._replace(unlimited=step.unlimited, forecast=step.forecast)
        course = course._replace(gains=step.gains)
        if -(step.slope + step.bend) <= _ROUNDING * course.cost:
            status = PlanStatus.CONVERGED
            break
        for halvings in range(_BACKTRACKS):
            length = 0.5**halvings
            trial = walk(problem, course, length * step.changes)
            promise = -length * (step.slope + length * step.bend)
            if course.cost - trial.cost >= _ARMIJO * promise:
                course, status, derivatives = trial, PlanStatus.CAPPED, None
                solution.costs.append(course.cost)
                damping = 0.0 if damping < 1e-2 else 0.1 * damping
                break
        else:
            damping, status = max(10.0 * damping, 1e-2), PlanStatus.STALLED
            continue
        if solution.costs[-2] - course.cost < tolerance * course.cost:
            status = PlanStatus.CONVERGED
            break
    return solution._replace(course=course, status=status)


def _derivatives(problem: Problem, course: Course) -> tuple[Array, Array, Array]:
    inputs = course.inputs if problem.d is None else course.inputs + problem.d
    return problem.aim.model.transition_jacobians(course.states[:-1], inputs, problem.w)
