r"""Planning over beliefs: what a plan will let the sensors tell is part of what it is worth."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pcctrl.arrays import Array, non_negative, whole
from pcctrl.controllers.base import Goal, check_belief, limited, wanted
from pcctrl.controllers.belief_path import BeliefPath, BeliefProblem, newton_step, roll_out
from pcctrl.controllers.iterated import PlanStatus
from pcctrl.controllers.receding import PlanInfo, RecedingHorizon
from pcctrl.filters import Belief
from pcctrl.models import GeneralisedModel, GenerativeModel, generalise

__all__ = ["BeliefHorizon", "BeliefPlan"]

# A line search tries these parts of a step, all in one batch.
_LENGTHS = 0.4 ** np.arange(6)
# So many members of a batch are planned at once: in a first decision each has several starts.
_BLOCK = 16


class BeliefPlan(NamedTuple):
    """Memory of `BeliefHorizon`.

    Args:
        inputs: (..., H, p) of the plan that the next decision starts from.
        fresh: (...) 1 where there is none yet, 0 elsewhere.
        turn: (...) how many decisions were made.
    """

    inputs: Array
    fresh: Array
    turn: Array


Descent: TypeAlias = tuple[BeliefPath, NDArray[np.int64], NDArray[np.int64], Array]


def _better(found: Descent, other: Descent) -> Descent:
    """Return the better of two descents, row by row."""
    rows = np.flatnonzero(other[0].cost < found[0].cost)
    path = found[0].replaced(rows, other[0].rows(rows))
    for mine, its in zip(found[1:], other[1:], strict=True):
        mine[rows] = its[rows]
    return path, *found[1:]


@dataclass(frozen=True, eq=False)
class BeliefHorizon:
    r"""Active inference that looks before it leaps: the first input of the plan of least expected free energy.

    .. math:: G = \tfrac12\sum_{k<H}\left(|m_k - g_k|^2_\Pi + \mathrm{tr}(\Pi\Sigma_k) + |u_k - \bar u|^2_\rho\right)
              + \tfrac12|m_H - g_H|^2_S + \tfrac12\mathrm{tr}(S\Sigma_H)
              - \tfrac12\sum_{0<k\le H}\ln\frac{|C P_k C^\top + R(m_k)|}{|R(m_k)|}

    Along a plan the belief's mean m follows the model and the sensors are expected to read what it predicts, so P_k and
    Σ_k, the covariances before and after sample k, are those that the filter would have, with R as it is at m_k. The
    first two lines are the risk of states under the prior of goals and inputs. The last is ambiguity, ½ ln|R|, less the
    entropy of what the sensors will read: minus the information in nats that the readings will give. Unlike ambiguity
    alone it runs dry as the belief sharpens, so the planner looks as long as looking tells it something. Goals are on
    states only, so that what is not known of them is tr(ΠΣ); `RecedingHorizon` takes goals on sensors. Π may weigh a
    relation of states, as p − g for a walker at p and a goal g that is a state itself: then tr(ΠΣ) counts what is not
    known of either.

    The curvature of the dynamics is left out (Gauss-Newton), that of goals and information is had by differences, its
    negative part left out too, and each subproblem is solved within the bounds. A decision starts from the last one's
    plan; the first also from the first two inputs held at each corner of their bounds for half the horizon and then
    reversed, since a detour is a minimum of its own. As the belief changes, which minimum is the least does too: each
    later decision tries one of these starts again, in turn, if ``retries`` lets it. With a linear model and R constant
    no covariance depends on the inputs, and this is `RecedingHorizon`. A batch is planned at once. Source: DESIGN §2.5;
    Friston et al. 2015 for the functional; Platt et al. 2010 for expected readings along a plan.

    Args:
        model: of the plant.
        goal_precision: Π, (n, n), its diagonal (n,), or one number; of moves in tangent space from the goal.
        action_precision: ρ, (p, p), its diagonal (p,), or one number; positive, about the input at the start.
        horizon: H in samples.
        iterations: the most in one decision.
        first_iterations: the most in the first one.
        retries: the most in a later decision from another start than the last plan; 0 for no such start.
        tolerance: an iteration that lowers G by less, in nats, is the decision's last.
        limits: (low, high) of the input, each one number or (p,); the model's by default.
        terminal_precision: S, like Π; by default as in `RecedingHorizon`.
        order: of the filter's generalised coordinates, whose belief [x; ŵ; d; ẑ] is planned over; None if it takes all
            noise for white.
        frozen: take R along the plan as it is now: a planner that is blind to where it could see better.

    Raises:
        ShapeError, ParameterError: a precision, limit or number of the wrong shape or sign.
    """

    model: GenerativeModel
    goal_precision: ArrayLike
    action_precision: ArrayLike
    horizon: int = 20
    iterations: int = 3
    first_iterations: int = 30
    retries: int = 0
    tolerance: float = 1e-6
    limits: tuple[ArrayLike, ArrayLike] | None = None
    terminal_precision: ArrayLike | None = None
    order: int | None = None
    frozen: bool = False

    def __post_init__(self) -> None:
        for name in ("iterations", "first_iterations"):
            whole(name, getattr(self, name), 1)
        whole("retries", self.retries, 0)
        non_negative("tolerance", self.tolerance)
        object.__setattr__(self, "limits", self._plain.limits)
        _ = self._joint

    @cached_property
    def _plain(self) -> RecedingHorizon:
        """The same goals and bounds without the belief's covariance: they are checked and completed there."""
        return RecedingHorizon(
            self.model,
            self.goal_precision,
            self.action_precision,
            horizon=self.horizon,
            limits=self.limits,
            terminal_precision=self.terminal_precision,
        )

    @cached_property
    def _joint(self) -> GeneralisedModel:
        return generalise(self.model, self.order)

    @cached_property
    def _starts(self) -> Array:
        """Plans (K, H, p) that the first decision starts from beside rest: to a corner of the bounds and back."""
        low, high = self._plain._limits
        rest, p = self.model.start[1], len(low)
        away = np.array([low, rest, high])
        corners = np.stack(np.meshgrid(*([np.arange(3)] * min(p, 2)), indexing="ij"), axis=-1).reshape(-1, min(p, 2))
        plans = np.broadcast_to(rest, (len(corners), self.horizon, p)).copy()
        half = self.horizon // 2
        for i in range(min(p, 2)):
            plans[:, :half, i], plans[:, half:, i] = away[corners[:, i], i, None], away[2 - corners[:, i], i, None]
        return plans[np.isfinite(plans).all(axis=(1, 2))]

    def init(self, batch: tuple[int, ...] = ()) -> BeliefPlan:
        """Return the memory before the first decision: at rest."""
        rest = self.model.start[1]
        return BeliefPlan(np.broadcast_to(rest, (*batch, self.horizon, len(rest))), np.ones(batch), np.zeros(batch))

    def act(self, state: BeliefPlan, belief: Belief, goal: Goal = None) -> tuple[BeliefPlan, Array, PlanInfo]:
        """Return the plan for the next sample, the input within the limits (..., p), and how it was found.

        The input is finite whatever the belief: where planning fails, the last plan is carried on.

        Args:
            state: from `init` or the last call.
            belief: of a filter on the same model and of the same order.
            goal: state to hold (..., n), or a `Preview` of how it moves; the start by default.

        Raises:
            ShapeError: the belief is not over the states of the model and its noises, or the goal's size is off.
        """
        joint, start = self._joint, self.model.start[0]
        check_belief(belief, len(start), joint.size)
        goals = wanted(start if goal is None else goal, len(start))
        goals = goals[..., np.minimum(np.arange(self.horizon + 1), goals.shape[-2] - 1), :]
        batch = np.broadcast_shapes(belief.mean.shape[:-1], goals.shape[:-2], state.fresh.shape)
        covariances = np.broadcast_to(belief.covariance, (*batch, joint.size, joint.size))
        rows = [
            np.broadcast_to(a, (*batch, *a.shape[a.ndim - k :])).reshape(-1, *a.shape[a.ndim - k :])
            for a, k in (
                (belief.mean, 1),
                (covariances, 2),
                (goals, 2),
                (state.inputs, 2),
                (state.fresh, 0),
                (state.turn, 0),
            )
        ]
        blocks = [slice(k, k + _BLOCK) for k in range(0, max(len(rows[0]), 1), _BLOCK)]
        with np.errstate(all="ignore"):
            found = [self._decide(*(a[block] for a in rows)) for block in blocks]
        inputs, fresh, *told = (np.concatenate(parts) for parts in zip(*found, strict=True))
        ahead = np.concatenate([inputs[:, 1:], inputs[:, -1:]], axis=1)
        plan = BeliefPlan(ahead.reshape(*batch, *ahead.shape[1:]), fresh.reshape(batch), state.turn + np.ones(batch))
        info = PlanInfo(*(a.reshape((*batch, *a.shape[1:])) for a in told))
        return plan, inputs[:, 0].reshape(*batch, inputs.shape[-1]), info

    def _decide(self, mean: Array, P: Array, goals: Array, held: Array, fresh: Array, turn: Array) -> tuple[Any, ...]:
        """Return plans (B, H, p), which are still to be begun (B,), and the parts of `PlanInfo`, for B rows."""
        held = limited(held, *self._plain._limits)
        problem = self._problem(mean, P, goals)
        sane = problem.finite
        before = roll_out(problem, held)
        path = self._begin(problem, before, fresh > 0.0) if (fresh > 0.0).any() else before
        found = self._descend(problem, path, self.iterations)
        if self.retries:
            others = self._starts[turn.astype(np.int64) % len(self._starts)]
            found = _better(found, self._descend(problem, roll_out(problem, others), self.retries))
        path, status, walks, unlimited = found
        failed = ~(sane & np.isfinite(path.cost))
        inputs = np.where(failed[:, None, None], held, path.inputs)
        status[failed], walks[failed] = int(PlanStatus.DIVERGED), 0
        cost = np.stack([before.cost, path.cost], axis=-1)
        unlimited = np.where(failed[:, None], inputs[:, 0], unlimited)
        cost[failed] = np.inf
        # Where no plan leads anywhere, the next decision starts afresh.
        return inputs, failed.astype(float), unlimited, np.zeros_like(unlimited), status, cost, walks

    def _problem(self, mean: Array, P: Array, goals: Array) -> BeliefProblem:
        plain, joint = self._plain, self._joint
        weight, rho, S = plain._weights
        if S is None:
            ends, index = np.unique(goals[:, -1], axis=0, return_inverse=True)
            terminal = np.array([plain._terminal(end)[0] for end in ends])[index.reshape(-1)]
        else:
            terminal = np.broadcast_to(S, (len(mean), *S.shape))
        R = joint.R_at(mean) if self.frozen else None
        return BeliefProblem(joint, mean, P, goals, weight, terminal, rho, self.model.start[1], *plain._limits, R)

    def _begin(self, problem: BeliefProblem, path: BeliefPath, fresh: NDArray[np.bool_]) -> BeliefPath:
        """Return the best of some starts, each improved, where there is no plan yet."""
        K, rows = len(self._starts), np.flatnonzero(fresh)
        some = problem.rows(np.repeat(rows, K + 1))
        own = path.inputs[rows][:, None]
        starts = np.concatenate([own, np.broadcast_to(self._starts, (len(rows), *self._starts.shape))], axis=1)
        found, *_ = self._descend(some, roll_out(some, starts.reshape(-1, *own.shape[2:])), self.first_iterations)
        cost = np.where(np.isfinite(found.cost), found.cost, np.inf).reshape(len(rows), K + 1)
        best = np.arange(len(rows)) * (K + 1) + cost.argmin(axis=1)
        return path.replaced(rows, found.rows(best))

    def _descend(self, problem: BeliefProblem, path: BeliefPath, iterations: int) -> Descent:
        """Return better paths, a `PlanStatus` and the number of steps taken (B,), and the unlimited inputs (B, p)."""
        B, L = len(path.cost), len(_LENGTHS)
        status, walks = np.full(B, int(PlanStatus.CAPPED), dtype=np.int64), np.zeros(B, dtype=np.int64)
        unlimited, moving = path.inputs[:, 0].copy(), np.isfinite(path.cost) & problem.finite
        for _ in range(iterations):
            at = np.flatnonzero(moving)
            if not len(at):
                break
            some, here = problem.rows(at), path.rows(at)
            step, free, promise = newton_step(some, here)
            unlimited[at] = here.inputs[:, 0] + free
            usable = np.isfinite(step).all(axis=(1, 2))
            tried = limited(here.inputs[:, None] + _LENGTHS[:, None, None] * step[:, None], problem.low, problem.high)
            found = roll_out(problem.rows(np.repeat(at, L)), tried.reshape(-1, *step.shape[1:]))
            cost = np.where(np.isfinite(found.cost), found.cost, np.inf).reshape(len(at), L)
            best = cost.argmin(axis=1)
            gain = here.cost - cost[np.arange(len(at)), best]
            better = usable & (gain > 0.0)
            path = path.replaced(at[better], found.rows((np.arange(len(at)) * L + best)[better]))
            walks[at] += better
            done = ~(gain >= self.tolerance)
            # One that promises nothing has arrived; one that promises more than it keeps has not.
            stuck = usable & ~better & (promise > self.tolerance)
            status[at[done]], status[at[~usable]] = int(PlanStatus.CONVERGED), int(PlanStatus.DIVERGED)
            status[at[stuck]] = int(PlanStatus.STALLED)
            moving[at] = usable & ~done
        return path, status, walks, unlimited
