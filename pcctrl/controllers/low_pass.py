"""An action prior on the change of a torque: a low-pass filter on what a law adds to its reference's torque."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike

from pcctrl.arrays import Array, all_finite, non_negative, positive
from pcctrl.controllers.base import ControlInfo, Goal, Preview, limited
from pcctrl.filters import Belief

__all__ = ["LowPass", "LowPassState"]


class Following(Protocol):
    """A law that can tell what its reference alone takes, as `AdaptedTorque`, `ComputedTorque` and `SlotineLi`."""

    @property
    def limits(self) -> tuple[ArrayLike, ArrayLike] | None:
        """(low, high) of the torques."""
        ...

    def init(self, batch: tuple[int, ...] = ()) -> Any:
        """Return its memory."""
        ...

    def act(self, state: Any, belief: Belief, goal: Goal = None) -> tuple[Any, Array, ControlInfo]:
        """Return its new memory, the torques (..., nv), and what they were made of."""
        ...

    def feedforward(self, state: Any, belief: Belief, goal: Goal = None) -> Array:
        """Return the torques (..., nv) that the reference takes, by what the law has learned."""
        ...

    def follow(self, state: Any, belief: Belief, goal: Goal = None) -> tuple[Any, ControlInfo, Array]:
        """Return memory and info of `act`, and the torques of `feedforward`."""
        ...


class Last(NamedTuple):
    """What a call leaves for one at which the belief has jumped.

    Args:
        goal: states (..., H, 2 nv) that were wanted then and next, or None.
        torque: that the call returned (..., nv).
        wish: u^law + h (..., nv).
        held: h, torques (..., nv) that are added to the law's wish, so that a jump changes nothing at once.
    """

    goal: Array | None
    torque: Array
    wish: Array
    held: Array


class LowPassState(NamedTuple):
    """Memory of `LowPass`.

    Args:
        law: its memory.
        added: v, torques (..., nv) beyond those of the reference.
        last: of the last call, None before the first and where no jump is expected.
    """

    law: Any
    added: Array
    last: Last | None = None


@dataclass(frozen=True, eq=False)
class LowPass:
    r"""Takes the chatter out of a law, and none of the reference.

    .. math:: u_k = \bar u_k + v_k,\qquad v_k = v_{k-1} + \beta(u^\text{law}_k - \bar u_k - v_{k-1}),\qquad
              \beta = 1 - e^{-dt/\tau}

    ū is what the reference takes, and v minimises
    :math:`\tfrac12\beta|v - u^\text{law} + \bar u|^2 + \tfrac12(1 - \beta)|v - v_{k-1}|^2`: beside the law's wish
    there is a prior over the change of the action. If the law's torque changes by white steps, as with the noise of a
    filtered rate, they become smaller by :math:`\sqrt{\beta/(2 - \beta)}`, and the loop is later by τ. With τ of 1/(4ω)
    to 1/(2ω) a law whose poles are at −ω stays well damped, and at equal chatter it may be several times as fast; of a
    matrix the greatest eigenvalues count. Where a torque is at its limit, v is what was applied. Where the belief has
    jumped (`filters.Jump`), ū jumps with it, and v takes that back: the torque comes within τ as well. By then the
    joints are on their way, and the law wishes for much more than the load weighs. So what the sample of a jump changes
    of the wish, within the limits, may be held back and let go at so many N·m/s, :math:`u^\text{law} + h` in place of
    :math:`u^\text{law}`:

    .. math:: h_k = \begin{cases} u^\text{law}_{k-1} + h_{k-1} - u^\text{law}_k & \text{at a jump}\\
              \operatorname{sign}(h_{k-1})\max(|h_{k-1}| - r\,dt,\, 0) & \text{else.}\end{cases}

    All that the law wishes between jumps is answered at once, so the loop stays as stable as it is; a limit on the rate
    of the torque itself would take that away. r should let go of the greatest torque in the time for which the arm may
    be without it. A goal that steps in the very sample of a jump is held with it.

    Args:
        law: with limits of its own.
        dt: sample time in seconds.
        time: τ in seconds; 0 for none.
        jump_rate: r in N·m/s; infinite for jumps that are answered at once.

    Raises:
        ParameterError: a dt or jump_rate that is not positive, or a negative time.
    """

    law: Following
    dt: float
    time: float
    jump_rate: float = np.inf
    _limits: tuple[Array, Array] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "dt", positive("dt", self.dt))
        # A law keeps them as one for each joint, infinite where there is none.
        object.__setattr__(self, "_limits", self.law.limits)
        object.__setattr__(self, "time", non_negative("time", self.time))
        if np.ndim(self.jump_rate) > 0 or self.jump_rate != np.inf:
            object.__setattr__(self, "jump_rate", positive("jump_rate", self.jump_rate))

    @property
    def limits(self) -> tuple[ArrayLike, ArrayLike] | None:
        """(low, high) of the torques, the law's."""
        return self.law.limits

    @cached_property
    def rate(self) -> float:
        """β, the part of the law's wish that a sample brings."""
        return 1.0 if self.time == 0.0 else float(-np.expm1(-self.dt / self.time))

    def init(self, batch: tuple[int, ...] = ()) -> LowPassState:
        """Return the memory of the law, and nothing added."""
        return LowPassState(self.law.init(batch), np.zeros((*batch, len(self._limits[0]))))

    def act(self, state: LowPassState, belief: Belief, goal: Goal = None) -> tuple[LowPassState, Array, ControlInfo]:
        """Return the new memory, the torques within the limits (..., nv), and what they were made of.

        Args:
            state: from `init` or the last call.
            belief: of a filter on the plant.
            goal: states (..., 2 nv), of a `Preview` as they will be.

        Raises:
            ShapeError: a belief of something else, or a goal of another size.
        """
        memory, info, reference = self.law.follow(state.law, belief, goal)
        wish, before, held = info.unlimited, state.added, None
        if belief.suspicion is not None:
            before, held = self._jumped(state, belief, wish)
            if np.count_nonzero(held):
                wish = wish + held
        late = reference + before
        unlimited = late + self.rate * (wish - late)
        u = limited(unlimited, *self._limits)
        added, torque = u - reference, u.copy()
        if not all_finite(added + wish):
            # Of what is kept; in the sum each of them shows, and so does the torque.
            old = state.last or Last(None, *np.zeros((3, *u.shape)))
            added, torque = _finite(added, before), _finite(torque, old.torque)
            wish = _finite(wish, old.wish)
        last = None if held is None else Last(_own(goal, u.shape[:-1]), torque, wish, held)
        return LowPassState(memory, added, last), u, ControlInfo(unlimited, info.forecast)

    def _jumped(self, state: LowPassState, belief: Belief, wish: Array) -> tuple[Array, Array]:
        """Return v (..., nv) of the last call, beyond what its reference takes by what is believed now, and h."""
        last = state.last
        if last is None or belief.suspicion is None:
            return state.added, np.zeros(state.added.shape)
        held = last.held
        if np.count_nonzero(held):
            held = np.sign(held) * np.maximum(np.abs(held) - self.jump_rate * self.dt, 0.0)
        if not np.count_nonzero(belief.suspicion.found):
            return state.added, held
        jumped = belief.suspicion.found.any(axis=-1, keepdims=True)
        goal = None if last.goal is None else Preview(last.goal)
        before = last.torque - self.law.feedforward(state.law, belief, goal)
        if self.jump_rate != np.inf:
            change = limited(last.wish, *self._limits) - limited(wish, *self._limits)
            held = np.where(jumped & np.isfinite(change), change, held)
        return np.where(jumped & np.isfinite(before), before, state.added), held


def _own(goal: Goal, batch: tuple[int, ...]) -> Array | None:
    """Return the first two states of a goal (..., 2, 2 nv), each member's own, into which nobody else writes."""
    if goal is None:
        return None
    states = np.asarray(goal.goals)[..., :2, :] if isinstance(goal, Preview) else np.asarray(goal)[..., None, :]
    return np.array(np.broadcast_to(states, (*batch, *states.shape[-2:])) if batch else states)


def _finite(new: Array, old: Array) -> Array:
    """Return what is new, but for what is not finite."""
    return np.where(np.isfinite(new), new, old)
