"""What a real-time agent does when its belief or its action is lost."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

from pcctrl.agents import Agent, RealTimeAgent
from pcctrl.arrays import Array
from pcctrl.controllers import ControlInfo
from pcctrl.filters import Belief, NonlinearPCFilter, Status
from pcctrl.models import MujocoModel
from pcctrl.noise import White

CART = """<mujoco><option timestep=".01"/><worldbody><body><joint name="x" type="slide" axis="1 0 0"/>
<geom size=".1" mass="1"/></body></worldbody><actuator><motor joint="x"/></actuator>
<sensor><jointpos name="at" joint="x"/><jointvel name="rate" joint="x"/></sensor></mujoco>"""


class Sum(NamedTuple):
    total: Array


class Adding:
    """PI control; ``broken`` makes its next actions or its memory worthless."""

    limits = (-5.0, 5.0)
    broken, scale = "", 1.0

    def init(self, batch: tuple[int, ...] = ()) -> Sum:
        return Sum(np.zeros((*batch, 1)))

    def act(self, state: Sum, belief: Belief, goal: Any = None) -> tuple[Sum, Array, ControlInfo]:  # noqa: ARG002
        total = state.total + 0.01 * belief.state[..., :1]
        u = self.scale * (1.0 - belief.state[..., :1] - total)
        if self.broken:
            u = u * np.nan
        return Sum(total * np.nan if self.broken == "memory" else total), u, ControlInfo(u, 0.0 * u)


def agent() -> tuple[RealTimeAgent, Adding]:
    model = MujocoModel(
        CART, noise_input=["x"], process_noise=[White(density=0.1)], sensor_noise=[White(std=0.1)] * 2, prior=np.eye(2)
    )
    controller = Adding()
    return RealTimeAgent(Agent(NonlinearPCFilter(model, None, iterations=1), controller, rest=[0.5])), controller


Y = np.array([0.3, 0.1])


def lose(fast: RealTimeAgent) -> None:
    fast._mean = np.full_like(fast._mean, np.nan)


def test_a_lost_belief_is_told_and_acted_on_safely() -> None:
    fast, _ = agent()
    assert fast.status == Status.OK
    for _ in range(5):
        last = fast.act(Y)
    kept = fast._memory.total.copy()
    assert kept != 0.0
    lose(fast)
    np.testing.assert_array_equal(fast.act(Y), last)
    assert (fast.status, fast.faults, fast.resets) == (Status.DIVERGED, 1, 1)
    np.testing.assert_array_equal(fast._memory.total, kept)
    assert np.isfinite(fast.belief.mean).all()
    # Lost again at once: rest.
    lose(fast)
    np.testing.assert_array_equal(fast.act(Y), [0.5])
    assert (fast.faults, fast.resets) == (2, 2)
    # It finds itself again.
    u = fast.act(Y)
    assert (fast.status, fast.faults, fast.resets) == (Status.OK, 0, 2)
    assert u not in (last, 0.5)
    assert abs(fast.belief.mean[0] - Y[0]) < 0.1
    fast.reset()
    assert (fast.status, fast.resets) == (Status.OK, 0)


def test_lost_before_any_action_it_rests() -> None:
    fast, _ = agent()
    lose(fast)
    np.testing.assert_array_equal(fast.act(Y), [0.5])
    assert fast.status == Status.DIVERGED


@pytest.mark.parametrize("broken", ["action", "memory"])
def test_an_action_that_is_not_finite_is_replaced_as_by_the_agent(broken: str) -> None:
    fast, controller = agent()
    slow = fast._agent
    slow.reset()
    for k in range(8):
        controller.broken = broken if k in (4, 5) else ""
        u = fast.act(Y)
        np.testing.assert_allclose(u, slow.act(Y), atol=1e-9)
        assert fast.faults == slow.state.faults == (k - 3 if k in (4, 5) else 0)
    # What was remembered before is still there.
    assert fast._memory.total > 0.0


def test_a_huge_action_is_finite() -> None:
    fast, controller = agent()
    fast._low, fast._high = np.array([-np.inf]), np.array([np.inf])
    controller.scale = 1e200
    assert fast.act(Y) > 1e199
    assert fast.faults == 0


def test_a_memory_that_is_not_finite_begins_anew() -> None:
    fast, _ = agent()
    fast.act(Y)
    fast._memory = Sum(np.full(1, np.nan))
    assert np.isfinite(fast.act(Y)).all()
    np.testing.assert_array_equal(fast._memory.total, 0.0)
    assert fast.faults == 1


def test_status_says_which_sensors_there_were() -> None:
    fast, _ = agent()
    for y, status in (
        ([0.1, 0.0], Status.OK),
        ([np.nan, 0.0], Status.PARTIAL),
        ([np.nan, 1e300], Status.BLIND),
        ([1e300, -1e300], Status.BLIND),
    ):
        fast.act(y)
        assert fast.status == status
    fast.act(Y)
    assert fast.status == Status.OK
