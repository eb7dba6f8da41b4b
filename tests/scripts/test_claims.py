"""What is claimed, with smaller budgets than its benchmarks: the limit of estimation, and the loop in MuJoCo."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import pcctrl.envs  # noqa: F401
from pcctrl import agents
from pcctrl.agents import Agent, Card
from pcctrl.controllers import LQR, ExpectedFreeEnergy
from pcctrl.envs import CartPoleEnv, NoiseOptions
from pcctrl.evaluation import Policy, impulse_response, rollout, sample_covariance, score, summarise
from pcctrl.evaluation.metrics import Summary
from pcctrl.filters import LinearFilter, PCFilter
from pcctrl.models import LinearModel
from pcctrl.noise import Smooth
from pcctrl.scripts.benchmarks.limits import COLOURS, PLANTS, claims, limit_row

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
    blind = LQR(task.linear, task.state_weight, task.action_weight, limits)
    found = compared(
        env,
        {
            "lqg-tuned": agents.make("lqg-tuned", task),
            "aif": agents.make("aif", task),
            "aif without its forecast": Agent(PCFilter(task.linear), blind, limits, Card("colour")),
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
    efe = ExpectedFreeEnergy(wrong.linear, task.state_weight, task.action_weight, limits=(task.low, task.high))
    found = compared(env, {"told": agents.make("aif", task), "misled": Agent(PCFilter(wrong.linear), efe)})
    assert found["misled"].difference is not None
    assert found["misled"].difference.low > 0.0


def over_limit(model: LinearModel, filter_: LinearFilter) -> float:
    moments = sample_covariance(model)
    return moments.score(moments.error(impulse_response(filter_))) / moments.score(moments.limit())


@pytest.mark.parametrize("plant", PLANTS)
@pytest.mark.parametrize("colour", COLOURS)
def test_estimation_reaches_the_physical_limit(plant: str, colour: str) -> None:
    model = PLANTS[plant](*COLOURS[colour])
    for order, asked in ((4, 1.02), (6, 1.015)):
        ratio = over_limit(model, PCFilter(model, order=order))
        # AR(1) and white noise are their own chains: nothing is lost at all.
        assert 1.0 - 1e-6 <= ratio <= (1.0 + 1e-6 if colour in ("white", "AR(1)") else asked)


@pytest.mark.parametrize("plant", PLANTS)
def test_in_smooth_noise_the_filter_beats_peers_tuned_for_it(plant: str) -> None:
    row = limit_row(plant, "2", starts=6, evaluations=300)
    asked = claims([row])
    assert len(asked) == 5
    assert all(c.met for c in asked)
    assert 1.0 < row.kalman_tuned < row.kalman
    assert 1.0 < row.coloured_tuned < row.coloured
    # Negative control: the same filter without its chain keeps none of the claims.
    model = PLANTS[plant](*COLOURS["2"])
    blunt = over_limit(model, PCFilter(model.white))
    assert not any(c.met for c in claims([replace(row, order_4=blunt, order_6=blunt)]))


@pytest.mark.parametrize("plant", PLANTS)
def test_negative_control_with_a_short_chain_or_a_wrong_smoothness_the_limit_is_missed(plant: str) -> None:
    model = PLANTS[plant](*COLOURS["2"])
    assert over_limit(model, PCFilter(model, order=0)) > 1.02
    wrong = PLANTS[plant](Smooth(1.0, 0.4, 1e-4), Smooth(0.1, 0.4, 1e-4))
    assert over_limit(model, PCFilter(wrong)) > 1.02
