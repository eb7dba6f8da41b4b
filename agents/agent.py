"""An agent: a filter and a controller behind one policy interface."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pcctrl.agents.stepper import Stepper
from pcctrl.arrays import Array, as_array, as_floats
from pcctrl.controllers import ControlInfo, Controller, Goal, SamplingHorizon
from pcctrl.controllers.base import bounds, limited
from pcctrl.errors import ParameterError
from pcctrl.filters import Belief, Info, Status

__all__ = ["Agent", "AgentState", "Card", "Filter"]


class Filter(Protocol):
    """What an agent needs of a filter."""

    def init(self, batch: tuple[int, ...] = ()) -> Belief:
        """Return the prior at the first sample."""
        ...

    def update(self, belief: Belief, y: ArrayLike) -> tuple[Belief, Info]:
        """Return the posterior after a sample."""
        ...

    def step(self, belief: Belief, y: ArrayLike, u: ArrayLike | None = None) -> tuple[Belief, Info]:
        """Predict one sample on under u, then update."""
        ...


@dataclass(frozen=True)
class Card:
    """What a row in a table must say of an agent.

    Args:
        told: what it knows of the noise.
        tuning: what it was tuned on, and how long.
        lag: how many later samples its estimate waits for.
        calibrated: whether its filter means what it says of its errors: one that was tuned for the cost does not.
        learns: names of the parameters that its filter adapts (`AdaptiveModel`), with their kind.
    """

    told: str
    tuning: str = "none"
    lag: int = 0
    calibrated: bool = True
    learns: tuple[str, ...] = ()


class AgentState(NamedTuple):
    """All that an agent remembers, as a value.

    Args:
        belief: after the last sample.
        controller: the controller's memory.
        action: the input now applied, or None before the first sample.
        faults: how many decisions running were not finite, one number for all or (...).
    """

    belief: Belief
    controller: Any
    action: Array | None
    faults: NDArray[np.int_] | int


class Agent:
    """Estimates, then acts. `step` is pure; `reset` and `act` keep the state for those who want it kept.

    An action is always finite and within the limits: where the controller's is not finite the last action is held once,
    then the one at the operating point is taken. The filter sees the action that was really applied.

    Args:
        filter: from observations to a belief.
        controller: from a belief to an input.
        limits: (low, high) of the actions, each (p,); by default the controller's own ``limits``.
        card: what a comparison should state about it.
        rest: (p,) the action where nothing better is known; by default the input that the filter starts from.

    Raises:
        ShapeError: the controller cannot read the filter's belief.
        ParameterError: a controller with a memory is limited to less than it knows, so that it would wind up.
    """

    def __init__(
        self,
        filter: Filter,
        controller: Controller,
        limits: tuple[ArrayLike, ArrayLike] | None = None,
        card: Card | None = None,
        rest: ArrayLike | None = None,
    ) -> None:
        self.filter = filter
        self.controller = controller
        self.card = Card("as its filter and controller were told") if card is None else card
        size = np.shape(controller.act(controller.init(), filter.init())[1])[-1]
        own = getattr(controller, "limits", None)
        self._low, self._high = bounds(own if limits is None else limits, size)
        given = filter.init().input if rest is None else as_array("rest", rest, (size,))
        self.rest = limited(given, self._low, self._high)
        inner = bounds(own, size)
        if (
            hasattr(controller, "limits")
            and controller.init() is not None
            and ((inner[0] < self._low) | (inner[1] > self._high)).any()
        ):
            expected = "those of its controller, which has a memory and must know them"
            raise ParameterError(name="limits", expected=expected, received=limits)
        self.reset()

    def init(self, batch: tuple[int, ...] = ()) -> AgentState:
        """Return the state before the first sample, for a batch of leading dimensions."""
        return AgentState(self.filter.init(batch), self.controller.init(batch), None, 0)

    def step(self, state: AgentState, obs: ArrayLike, goal: Goal = None) -> tuple[AgentState, Array, Info, ControlInfo]:
        """Return the next state, the action (..., p), what the sample said and what the action was made of.

        Args:
            state: from `init` or the last step.
            obs: sensor readings (..., m); NaN is a missing one.
            goal: passed to the controller.
        """
        if state.action is None:
            belief, info = self.filter.update(state.belief, obs)
        else:
            belief, info = self.filter.step(state.belief, obs, state.action)
        memory, u, decision = self.controller.act(state.controller, belief, goal)
        action = limited(u, self._low, self._high)
        faults: NDArray[np.int_] | int = 0
        if not np.isfinite(action.sum()):
            finite = np.isfinite(action)
            whole = np.asarray(finite.all(axis=-1, keepdims=True))
            again = np.asarray(state.faults)[..., None] > 0
            held = self.rest if state.action is None else np.where(again, self.rest, state.action)
            action, faults = np.where(finite, action, held), np.where(whole[..., 0], 0, state.faults + 1)
            memory = _choose_memory(whole, memory, state.controller)
        return AgentState(belief, memory, action, faults), action, info, decision

    def reset(self, seed: int | None = None) -> None:
        """Forget all; a controller that draws random numbers starts from ``seed``, or from its own."""
        self.state = self.init()
        if seed is not None and isinstance(self.controller, SamplingHorizon):
            self.state = self.state._replace(controller=self.controller.init((), seed))
        self.info: Info | None = None
        self.decision: ControlInfo | None = None

    def act(self, obs: ArrayLike, goal: Goal = None) -> Array:
        """Return the action (p,) for one observation (m,), remembering it."""
        self.state, action, self.info, self.decision = self.step(self.state, obs, goal)
        return action

    def compile(self) -> Stepper:
        """Return the agent as one matrix-vector product a sample, for real time; its gain is steady from the start.

        Raises:
            ModelError: the agent is not linear.
        """
        return Stepper(self)

    def predict(
        self,
        observation: ArrayLike,
        state: AgentState | None = None,
        episode_start: ArrayLike | None = None,
        deterministic: bool = False,  # noqa: ARG002 (it always is)
    ) -> tuple[Array, AgentState]:
        """Return action and next state, as Stable-Baselines3's policies do; the state is a pure value.

        Args:
            observation: readings (m,), or (k, m) of k environments.
            state: from the last call, None at the start.
            episode_start: (k,) which environments have just been reset.
            deterministic: without meaning here.
        """
        y = as_floats("observation", observation, "(..., m)")
        fresh = self.init(y.shape[:-1])
        start = np.asarray(state is None if episode_start is None else episode_start, dtype=bool)
        if state is None or start.all():
            state, action, *_ = self.step(fresh, y)
            return action, state
        going, action, *_ = self.step(state, y)
        if not start.any():
            return action, going
        begun, first, *_ = self.step(fresh, y)
        chosen = np.broadcast_to(start, y.shape[:-1])
        return np.where(chosen[..., None], first, action), _choose(chosen, begun, going)

    @property
    def limits(self) -> tuple[Array, Array]:
        """(low, high) of the actions, each (p,)."""
        return self._low, self._high

    @property
    def belief(self) -> Belief:
        """The current belief."""
        return self.state.belief

    @property
    def status(self) -> Status:
        """How the last sample was used; `Status.OK` before the first."""
        return Status.OK if self.info is None else Status(int(self.info.status))


def _choose(where: NDArray[np.bool_], new: AgentState, old: AgentState) -> AgentState:
    """Return ``new`` for the members of a batch in ``where`` (...), else ``old``."""
    one, a, b = where[..., None], new.belief, old.belief
    if a.covariance is not b.covariance:
        # What the batch has shared is from now on one each.
        each = (*where.shape, *b.covariance.shape[-2:])
        a, b = (replace(x, covariance=np.broadcast_to(x.covariance, each)) for x in (a, b))
    # Field by field, since a filter's belief may have more of them; what both share stays shared.
    chosen = {f.name: _choose_memory(one, getattr(a, f.name), getattr(b, f.name)) for f in fields(b)}
    belief = type(b)(**chosen)
    memory = _choose_memory(one, new.controller, old.controller)
    action = np.where(one, np.asarray(new.action), np.asarray(old.action))
    faults = np.where(where, new.faults, old.faults)
    return AgentState(belief, memory, action, faults)


def _choose_memory(where: NDArray[np.bool_], new: Any, old: Any) -> Any:
    """Return what is remembered in ``new`` for the members of a batch in ``where`` (..., 1), else in ``old``.

    Arrays are chosen member by member, tuples part by part; anything else is kept unless all are in ``where``.
    """
    if new is old or new is None or old is None:
        return old
    if isinstance(old, tuple):
        return type(old)(*(_choose_memory(where, x, y) for x, y in zip(new, old, strict=True)))
    if isinstance(old, np.ndarray):
        return np.where(where.reshape(where.shape + (1,) * (max(np.ndim(new), old.ndim) - where.ndim)), new, old)
    return new if where.all() else old
