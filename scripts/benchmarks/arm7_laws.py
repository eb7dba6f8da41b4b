"""What makes torques of readings, for a batch of arms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pcctrl.agents import Agent, RealTimeAgent
from pcctrl.arrays import Array
from pcctrl.controllers import Controller, Preview
from pcctrl.errors import ShapeError
from pcctrl.filters import Info

__all__ = ["Fleet", "Pair"]


class Pair:
    """A filter and a controller, of all arms at once.

    Args:
        filter: from readings to a belief.
        controller: from a belief to torques.
    """

    def __init__(self, filter: Any, controller: Controller) -> None:
        self.filter, self.controller = filter, controller
        self.info: Info | None = None

    def begin(self, batch: int) -> None:
        """Forget all."""
        self._belief, self._memory = self.filter.init((batch,)), self.controller.init((batch,))
        self._torque: Array | None = None

    def act(self, y: Array, goal: Array) -> Array:
        """Return the torques (B, 7)."""
        if self._torque is None:
            self._belief, self.info = self.filter.update(self._belief, y)
        else:
            self._belief, self.info = self.filter.step(self._belief, y, self._torque)
        self._memory, u, _ = self.controller.act(self._memory, self._belief, Preview(goal))
        self._torque = np.where(np.isfinite(u), u, 0.0)
        return self._torque


class Fleet:
    """An agent for each arm.

    Args:
        agents: one, or one for each arm.
    """

    def __init__(self, agents: Sequence[Agent | RealTimeAgent]) -> None:
        self._agents = tuple(agents)

    def begin(self, batch: int) -> None:
        """Forget all."""
        if len(self._agents) != batch:
            raise ShapeError(name="batch", expected=f"{len(self._agents)} arms", received=batch)
        for agent in self._agents:
            agent.reset()

    def act(self, y: Array, goal: Array) -> Array:
        """Return the torques (B, 7)."""
        return np.array([agent.act(a, Preview(g)) for agent, a, g in zip(self._agents, y, goal, strict=True)])
