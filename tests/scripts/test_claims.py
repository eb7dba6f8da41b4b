"""The first loop's claim in MuJoCo, on fewer seeds than its benchmark (pcctrl bench cartpole)."""

from __future__ import annotations

from typing import Any

import pytest

import pcctrl.envs  # noqa: F401
from pcctrl import agents
from pcctrl.agents import Agent, Card
from pcctrl.controllers import LQR, ExpectedFreeEnergy
from pcctrl.envs import CartPoleEnv, NoiseOptions
from pcctrl.evaluation import Policy, rollout, score, summarise
from pcctrl.evaluation.metrics import Summary
from pcctrl.filters import PCFilter

SEEDS, STEPS, SETTLE = 10, 600, 100


def compared(env: Any, policies: dict[str, Policy]) -> dict[str, Summary]:
    rows = {
        name: [score(name, s, rollout(env, policy, steps=STEPS, seed=s), STEPS, SETTLE) for s in range(SEEDS)]
        for name, policy in policies.items()
    }
    first = next(iter(rows.values()))
    return {name: summarise(r, None if r is first else first) for name, r in rows.items()}


def test_active_inference_costs_less_than_an_lqg_tuned_for_the_very_colour() -> None:
    env = NoiseOptions(s=0.06).make("pcctrl/CartPole-v0", CartPoleEnv)
    task = agents.task_of(env)
    limits = (task.low, task.high)
    blind = LQR(task.model, task.state_weight, task.action_weight, limits)
    found = compared(
        env,
        {
            "lqg-tuned": agents.make("lqg-tuned", task),
            "aif": agents.make("aif", task),
            "aif without its forecast": Agent(PCFilter(task.model), blind, limits, Card("colour")),
        },
    )
    assert all(s.failures == 0 for s in found.values())
    aif, control = found["aif"].difference, found["aif without its forecast"].difference
    assert aif is not None
    assert control is not None
    assert aif.high < 0.0
    # Negative control: the same belief, fed back without the forecast of the disturbance, does not win.
    assert control.high > 0.0


def test_in_white_noise_active_inference_is_lqg() -> None:
    env = NoiseOptions(colour="white").make("pcctrl/CartPole-v0", CartPoleEnv)
    task = agents.task_of(env)
    found = compared(env, {name: agents.make(name, task) for name in ("lqg", "aif")})
    assert found["aif"].failures == 0
    assert found["aif"].cost.mean == pytest.approx(found["lqg"].cost.mean, rel=1e-9)


def test_negative_control_told_a_wrong_colour_the_loop_costs_more() -> None:
    env = NoiseOptions(s=0.06).make("pcctrl/CartPole-v0", CartPoleEnv)
    task = agents.task_of(env)
    wrong = agents.task_of(NoiseOptions(s=0.24).make("pcctrl/CartPole-v0", CartPoleEnv))
    efe = ExpectedFreeEnergy(wrong.model, task.state_weight, task.action_weight, limits=(task.low, task.high))
    found = compared(env, {"told": agents.make("aif", task), "misled": Agent(PCFilter(wrong.model), efe)})
    assert found["misled"].difference is not None
    assert found["misled"].difference.low > 0.0
