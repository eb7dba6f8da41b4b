r"""Expected free energy over a receding horizon: planning with a nonlinear model, anew at every sample."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import expm

from pcctrl.arrays import Array, non_negative, whole
from pcctrl.controllers.aims import Aim
from pcctrl.controllers.base import ControlInfo, Goal, bounds, check_belief, limited, wanted
from pcctrl.controllers.iterated import Course, PlanStatus, Problem, Solution, descend
from pcctrl.controllers.quadratic import cost_matrix
from pcctrl.errors import ParameterError, ShapeError
from pcctrl.filters import Belief
from pcctrl.linalg import block_diag, block_rows
from pcctrl.models import GenerativeModel, LinearModel

__all__ = ["Plan", "PlanInfo", "RecedingHorizon"]

# Parts of a sample over which a forecast is averaged for a model in continuous time.
_PARTS = 16


class Plan(NamedTuple):
    """Memory of a receding horizon: the plan that the next decision starts from.

    Args:
        states: (..., H + 1, n) that were expected, this sample's first.
        inputs: (..., H, p).
        gains: (..., H, p, n) by which the inputs answer a state that is elsewhere.
        goal: (..., g) at the end, NaN before the first decision.
        end: (..., n) the state that holds it.
        terminal: (..., n, n) the terminal precision about that state.
    """

    states: Array
    inputs: Array
    gains: Array
    goal: Array
    end: Array
    terminal: Array


@dataclass(frozen=True, slots=True, eq=False)
class PlanInfo(ControlInfo):
    """What a decision was made of, and how the planning went.

    Args:
        unlimited: the first input (..., p) that the last subproblem would take without bounds.
        forecast: the part of it (..., p) that answers a predicted disturbance.
        status: (...) of `PlanStatus`.
        cost: (..., 2) expected free energy of the plan before and after, without its constants; infinite if unknown.
        walks: (...) iterations that lowered it.
    """

    status: NDArray[np.int64]
    cost: Array
    walks: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class RecedingHorizon:
    r"""Active inference with a nonlinear model: the first input of the plan of least expected free energy.

    .. math:: G = \tfrac12\sum_{k<H}\left(|x_k - g_k|^2_\Pi + |u_k - \bar u|^2_\rho\right) + \tfrac12|x_H - \bar x|^2_S

    is the risk of a plan under priors of goals and inputs, from the belief's mean on, by iterated quadratic subproblems
    within the bounds (`pcctrl.controllers.iterated`). Each decision starts from the last one's plan. The plan's
    ambiguity, and the risk of the belief's covariance, are left out: they are constant as long as the precision of
    sensors and the covariance do not depend on the state; where they do, this controller is blind to it. With a linear
    model, no bounds and a long horizon it is `ExpectedFreeEnergy`. It finds a local minimum. Batches are planned one by
    one. Source: DESIGN §2.5; Friston et al. 2015 for risk and ambiguity.

    With goals on sensors |g(x_k, ū) − g_k|² takes the place of |x_k − g_k|², and x̄ is a state at rest that reads like
    the last goal (with goals on states it is that goal), the nearest one by a local search. The model's sensors need
    not be the filter's, as long as the states are: an arm that senses its joints can be asked for a place of its tip.

    Args:
        model: of the plant.
        goal_precision: Π, (n, n), its diagonal (n,), or one number, of moves in tangent space from the goal; (m, m) and
            (m,) for goals on sensors, 0 for those that do not matter.
        action_precision: ρ, (p, p), its diagonal (p,), or one number; positive, about the input at the start.
        horizon: H in samples.
        iterations: the most in one decision.
        first_iterations: the most in the first one, which has no plan to start from.
        tolerance: an iteration that lowers the cost by less than this part of it is the decision's last.
        limits: (low, high) of the input, each one number or (p,); the model's by default.
        terminal_precision: S, (n, n), its diagonal, or one number; by default the Riccati solution of the linearisation
            at x̄, or H Π (of the states, by the sensors' derivatives) where that cannot be stabilised.
        reserve: part of the limits, as seen from the input at the start, that the plan leaves unused after its first
            input: what disturbs it later can then be met.
        order: of the filter's generalised coordinates, whose belief [x; ŵ; d; …] then foretells the disturbances along
            the horizon; None to read x alone. (For a nonlinear model each is averaged over a sample.)
        goals: whether goals are over ``"states"`` or ``"sensors"``.

    Raises:
        ShapeError, ParameterError: a precision, limit or number of the wrong shape or sign.
        UnknownNameError: goals over something else.
    """

    model: GenerativeModel
    goal_precision: ArrayLike
    action_precision: ArrayLike
    horizon: int = 50
    iterations: int = 5
    first_iterations: int = 100
    tolerance: float = 1e-6
    limits: tuple[ArrayLike, ArrayLike] | None = None
    terminal_precision: ArrayLike | None = None
    reserve: float = 0.0
    order: int | None = None
    goals: Literal["states", "sensors"] = "states"

    def __post_init__(self) -> None:
        for name in ("horizon", "iterations", "first_iterations"):
            whole(name, getattr(self, name), 1)
        non_negative("tolerance", self.tolerance)
        if not 0.0 <= self.reserve < 1.0:
            raise ParameterError(name="reserve", expected="at least 0 and below 1", received=self.reserve)
        if self.limits is None:
            object.__setattr__(self, "limits", self.model.limits)
        _ = self._aim, self._weights, self._limits, self._forecast
        rest = self.model.start[1]
        if not ((self._limits[0] <= rest) & (rest <= self._limits[1])).all():
            raise ParameterError(name="limits", expected=f"the input at start, {rest}, within", received=self._limits)

    @cached_property
    def _aim(self) -> Aim:
        return Aim(self.model, self.goals)

    @cached_property
    def _weights(self) -> tuple[Array, Array, Array | None]:
        """Π, ρ, and S if it is given."""
        (n, p), given = (len(a) for a in self.model.start[:2]), self.terminal_precision
        return (
            cost_matrix("goal_precision", self.goal_precision, len(self._aim.home), definite=False),
            cost_matrix("action_precision", self.action_precision, p, definite=True),
            None if given is None else cost_matrix("terminal_precision", given, n, definite=False),
        )

    @cached_property
    def _limits(self) -> tuple[Array, Array]:
        return bounds(self.limits, len(self.model.start[1]))

    @cached_property
    def _box(self) -> tuple[Array, Array]:
        """The limits along the horizon, (H, p) each."""
        rest, part = self.model.start[1], np.full((self.horizon, 1), 1.0 - self.reserve)
        part[0] = 1.0
        low, high = (rest + part * (limit - rest) for limit in self._limits)
        return low, high

    @cached_property
    def _forecast(self) -> Array | None:
        """(H, n, k) moves of a linear model, or (H, q, ·) noises of another, by the belief's e = (ŵ, d) or its ŵ."""
        if self.order is None:
            return None
        model, ahead = self.model, []
        if isinstance(model, LinearModel):
            joint = model.joint(self.order)
            read, step = joint.F[: joint.plant, joint.exogenous], joint.F[joint.exogenous, joint.exogenous]
        else:
            chains = [w.chain(self.order) for w in model.process_noise]
            A = block_diag(*(c.A for c in chains))
            parts = np.arange(_PARTS) + 0.5 if model.substeps is None else np.arange(model.substeps)
            average = np.mean([expm(A * model.dt * part / len(parts)) for part in parts], axis=0)
            read, step = block_rows(*(c.H for c in chains)) @ average, expm(A * model.dt)
        for _ in range(self.horizon):
            ahead.append(read)
            read = read @ step
        return np.array(ahead)

    def init(self, batch: tuple[int, ...] = ()) -> Plan:
        """Return the memory before the first decision: at rest."""
        (x, u, _), H = self.model.start, self.horizon
        n, p = len(x), len(u)
        return Plan(
            np.broadcast_to(x, (*batch, H + 1, n)),
            np.broadcast_to(u, (*batch, H, p)),
            np.zeros((*batch, H, p, n)),
            np.full((*batch, len(self._aim.home)), np.nan),
            np.broadcast_to(x, (*batch, n)),
            np.zeros((*batch, n, n)),
        )

    def act(self, state: Plan, belief: Belief, goal: Goal = None) -> tuple[Plan, Array, PlanInfo]:
        """Return the plan for the next sample, the input within the limits (..., p), and how it was found.

        The input is finite whatever the belief: where planning fails, the last plan is carried on.

        Args:
            state: from `init` or the last call.
            belief: of a filter on the same model.
            goal: to hold, (..., n) states, or (..., m) sensors if goals are on those, or a `Preview` of how it moves;
                the start by default.

        Raises:
            ShapeError: the belief does not have the states that are read, or the goal's size is off.
        """
        x, e, goals, batch = self._asked(belief, goal, state.goal.shape[:-1])
        plans = [np.broadcast_to(a, (*batch, *a.shape[state.goal.ndim - 1 :])) for a in state]
        # What overflows is found in the cost.
        with np.errstate(all="ignore"):
            found = [self._decide(Plan(*(a[i] for a in plans)), x[i], e[i], goals[i]) for i in np.ndindex(batch)]
        ahead = Plan(*(_stack([f[0][j] for f in found], batch) for j in range(len(plans))))
        solutions = [f[1] for f in found]
        info = PlanInfo(
            _stack([s.unlimited for s in solutions], batch),
            _stack([s.forecast for s in solutions], batch),
            np.array([int(s.status) for s in solutions]).reshape(batch),
            _stack([np.array([s.costs[0], s.costs[-1]]) for s in solutions], batch),
            np.array([len(s.costs) - 1 for s in solutions]).reshape(batch),
        )
        return ahead, _stack([s.course.inputs[0] for s in solutions], batch), info

    def _asked(self, belief: Belief, goal: Goal, batch: tuple[int, ...]) -> tuple[Array, Array, Array, tuple[int, ...]]:
        """Return x (..., n), what foretells disturbances (..., k), goals (..., H + 1, g) to the end, and the batch."""
        home, e = self._aim.home, self._exogenous(belief)
        goals = wanted(home if goal is None else goal, len(home))
        # Sample by sample to the end of the horizon, the last one held.
        goals = goals[..., np.minimum(np.arange(self.horizon + 1), goals.shape[-2] - 1), :]
        batch = np.broadcast_shapes(belief.mean.shape[:-1], goals.shape[:-2], batch)
        x, e = (np.broadcast_to(a, (*batch, a.shape[-1])) for a in (belief.state, e))
        return x, e, np.broadcast_to(goals, (*batch, *goals.shape[-2:])), batch

    def _foreseen(self, e: Array) -> dict[str, Array]:
        """Return what e (..., k) foretells: ``w`` or ``push`` (..., H, ·), ``d`` (..., p), as far as there is any."""
        if self._forecast is None:
            return {}
        k = self._forecast.shape[-1]
        name = "push" if isinstance(self.model, LinearModel) else "w"
        ahead = {name: (self._forecast @ e[..., None, :k, None])[..., 0]}
        return ahead if e.shape[-1] == k else {**ahead, "d": e[..., k:]}

    def _exogenous(self, belief: Belief) -> Array:
        """Return the part of the belief (..., k) that foretells disturbances."""
        n, model = len(self.model.start[0]), self.model
        if self._forecast is None:
            check_belief(belief, n)
            return np.zeros(0)
        k = self._forecast.shape[-1]
        if isinstance(model, LinearModel):
            check_belief(belief, n, model.joint(self.order or 0).size)
        elif model.disturbance is not None:
            k += len(model.start[1])
        if belief.plant != n or belief.mean.shape[-1] < n + k:
            expected = f"{n} states and {k} of disturbances at least"
            raise ShapeError(name="belief", expected=expected, received=f"{belief.plant} states of {belief.mean.shape}")
        return belief.mean[..., n : n + k]

    def _decide(self, plan: Plan, x: Array, e: Array, goals: Array) -> tuple[Plan, Solution]:
        first = not np.isfinite(plan.goal).all()
        weight, rho, _ = self._weights
        rest = self.model.start[1]
        courses = [Course(plan.states, plan.inputs, plan.gains, np.inf)]
        if not np.array_equal(plan.goal, goals[-1]):
            end = self._end(goals[-1], x if first else plan.end)
            S, L = self._terminal(end)
            plan = plan._replace(goal=goals[-1], end=end, terminal=S)
            if first:
                # From an unstable state rest leads far away, and the feedback that holds the goal may not.
                states, inputs = np.broadcast_to(end, plan.states.shape), np.broadcast_to(rest, plan.inputs.shape)
                courses.append(Course(states, inputs, np.broadcast_to(-L, plan.gains.shape), np.inf))
        low, high = self._box
        foreseen = self._foreseen(e)
        around = plan.end, weight, rho, plan.terminal
        problem = Problem(self._aim, x, goals[:-1], *around, rest, low, high, **foreseen)
        u = limited(plan.inputs[0], low[0], high[0])
        held = courses[0]._replace(inputs=np.concatenate([u[None], plan.inputs[1:]]))
        solution = Solution(held, [np.inf], PlanStatus.DIVERGED, u, np.zeros_like(u))
        if np.isfinite(x).all() and np.isfinite(e).all():
            found = descend(problem, courses, self.first_iterations if first else self.iterations, self.tolerance)
            if np.isfinite(found.course.cost):
                solution = found
            else:
                # No plan leads anywhere from here: the next decision starts afresh.
                plan = plan._replace(goal=np.full_like(plan.goal, np.nan))
        kept = solution.course
        states, inputs, gains = (np.concatenate([a[1:], a[-1:]]) for a in (kept.states, kept.inputs, kept.gains))
        return Plan(states, inputs, gains, *plan[3:]), solution

    def _end(self, goal: Array, near: Array) -> Array:
        """Return the state (n,) that holds a goal (g,)."""
        return self._aim.end(goal, self._weights[0], near if np.isfinite(near).all() else self.model.start[0])

    def _terminal(self, end: Array) -> tuple[Array, Array]:
        """Return S (n, n) and the feedback L (p, n) that holds the state ``end``."""
        S, L = self._aim.value(end, *self._weights[:2], self.horizon)
        given = self._weights[2]
        return S if given is None else given, L


def _stack(arrays: list[Array], batch: tuple[int, ...]) -> Array:
    return np.array(arrays).reshape(*batch, *arrays[0].shape)
