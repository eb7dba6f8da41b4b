from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from plants import ARM

from pcctrl.agents import Agent, RealTimeAgent
from pcctrl.arrays import Array
from pcctrl.controllers import AdaptedTorque, Preview
from pcctrl.errors import ModelError, ParameterError, ShapeError
from pcctrl.filters import Belief, Jump, NonlinearPCFilter, Status
from pcctrl.models import AdaptiveModel, MujocoMechanics, MujocoModel, MujocoParameters, Parameter
from pcctrl.noise import Smooth, White

NAMES = ("load:hand", "viscous:shoulder", "viscous:elbow", "coulomb:shoulder", "coulomb:elbow")
LOAD, DRY, OMEGA = 0.8, 0.6, 12.0


def plain() -> MujocoModel:
    return MujocoModel(
        ARM,
        noise_input=("shoulder", "elbow"),
        process_noise=[White(density=0.02)] * 2,
        sensor_noise=[Smooth(1e-4, 0.002, 0.05)] * 2,
        disturbance=0.2,
        prior=1e-6 * np.eye(4),
    )


def adaptive() -> AdaptiveModel:
    parameters = [Parameter(name, 0.5, 100.0, low=0.0, high=3.0) for name in NAMES]
    return AdaptiveModel(MujocoParameters(plain(), parameters, 0.05), parameters)


def agent(adapts: bool, **more: Any) -> Agent:
    model = adaptive() if adapts else plain()
    filter_ = NonlinearPCFilter(model, 2, iterations=1, **more)
    plant = model.plant if isinstance(model, AdaptiveModel) else MujocoParameters(model, [], 0.05)
    return Agent(filter_, AdaptedTorque(plant, filter_.joint, OMEGA, (-60.0, 60.0)))  # type: ignore[arg-type]


def wanted(k: int) -> Preview:
    t, w = 1e-3 * (k + np.arange(2.0)), np.array([2.0, 3.1])
    return Preview(np.hstack([0.5 * np.sin(t[:, None] * w), 0.5 * w * np.cos(t[:, None] * w)]))


def track(law: Agent | RealTimeAgent, steps: int, drop: bool = False, pick: int | None = None) -> tuple[float, Array]:
    """Return the tracking RMSE of the second half of a run, with a load and dry friction untold, and the torques.

    With ``pick`` the load is there from that sample on, and three times as heavy.
    """
    world, rng = adaptive(), np.random.default_rng(0)
    goals = [np.asarray(wanted(k).goals)[0] for k in range(steps)]
    x = np.array([*goals[0], LOAD if pick is None else 0.0, 0.0, 0.0, DRY, DRY])
    errors, torques = [], []
    for k in range(steps):
        if k == pick:
            x[4] = 3.0 * LOAD
        y = world.readout(x) + 1e-5 * rng.standard_normal(2)
        if drop and k % 7 == 3:
            y[k % 2] = np.nan
        errors.append(((x[:2] - goals[k][:2]) ** 2).mean())
        torques.append(law.act(y, wanted(k)))
        x = np.array([*world.transition(x, torques[-1])[:4], *x[4:]])
    return float(np.sqrt(np.mean(errors[steps // 2 :]))), np.array(torques)


def test_it_tracks_as_the_filter_learns_and_does_not_without() -> None:
    law = agent(True, refresh=5)
    learned, _ = track(law, 1500)
    # Negative control: the same law on a filter that adapts nothing.
    assert learned < 0.5 * track(agent(False, refresh=5), 1500)[0]
    assert abs(law.belief.mean[4] - LOAD) < 0.15
    assert (np.abs(law.belief.mean[7:9] - DRY) < 0.25).all()


def test_its_torques_are_those_of_the_mechanics() -> None:
    model = adaptive()
    mechanics = MujocoMechanics(plain(), ["hand"], creep=0.05)
    rng = np.random.default_rng(1)
    x, a, theta = rng.standard_normal((5, 4)), rng.standard_normal((5, 2)), rng.uniform(0.0, 1.0, (5, 5))
    expected = mechanics.inverse(x, a) + (mechanics.regressor(x, a) @ theta[..., None])[..., 0]
    ours = model.plant.torque(x, a, theta)  # type: ignore[attr-defined]
    np.testing.assert_allclose(ours, expected, atol=1e-12)
    x, a, theta = x[0], a[0], theta[0]
    for bad in (np.nan, np.inf, -np.inf, 1e200):
        for given in ((x + bad, a, theta), (x, a + bad, theta), (x, a, theta + bad)):
            assert np.isnan(model.plant.torque(*given)).all()  # type: ignore[attr-defined]
    # Rows of states, and one of another kind beside them.
    rows = model.plant.torque(np.array([x, x + np.inf]), np.array([a, a]), theta)  # type: ignore[attr-defined]
    np.testing.assert_allclose(rows[0], model.plant.torque(x, a, theta))  # type: ignore[attr-defined]
    assert np.isnan(rows[1]).all()
    # Each of a size that physics has, and together beyond it.
    far = np.array([x + 4e9, x + 4e9, x])
    rows = model.plant.torque(far, np.array([a, a, a]), theta)  # type: ignore[attr-defined]
    np.testing.assert_array_equal(rows[0], model.plant.torque(far[0], a, theta))  # type: ignore[attr-defined]
    assert np.isfinite(rows).all()
    for count in (0, 2):
        lost = model.plant.torque(far[:count], np.zeros((count, 2)), theta * np.nan)  # type: ignore[attr-defined]
        np.testing.assert_array_equal(lost, np.full((count, 2), np.nan))
    many = model.plant.torque(x[None], np.array([a, 2.0 * a, a]), theta)  # type: ignore[attr-defined]
    np.testing.assert_allclose(many[1], model.plant.torque(x, 2.0 * a, theta))  # type: ignore[attr-defined]


def test_it_cancels_what_is_believed_to_push() -> None:
    law = agent(True)
    joint = law.filter.joint  # type: ignore[attr-defined]
    mean = np.array(joint.mean)
    mean[9:11] = [1.5, -0.5]
    belief = Belief(mean, np.eye(joint.size), joint.input, joint.plant)
    _, u, info = law.controller.act(None, belief)
    np.testing.assert_allclose(info.forecast, [-1.5, 0.5])
    np.testing.assert_allclose(u, [-1.5, 0.5], atol=1e-12)


@pytest.mark.parametrize("drop", [False, True])
def test_in_real_time_it_is_the_same(drop: bool) -> None:
    slow, fast = agent(True, refresh=4), RealTimeAgent(agent(True, refresh=4))
    first, second = track(slow, 300, drop)[1], track(fast, 300, drop)[1]
    np.testing.assert_allclose(second, first, atol=2e-3)
    np.testing.assert_allclose(fast.belief.mean, slow.belief.mean, atol=2e-3)
    fast.reset()
    np.testing.assert_array_equal(track(fast, 20, drop)[1], second[:20])


def test_a_load_that_is_picked_up_is_found_at_once() -> None:
    steps, pick = 900, 500
    expecting = {"refresh": 4, "jumps": [Jump("load:hand", 2.0, low=0.0)]}
    law = agent(True, **expecting)
    error, torque = track(law, steps, pick=pick)
    slower, _ = track(agent(True, refresh=4), steps, pick=pick)
    assert error < 0.7 * slower
    assert abs(law.belief.mean[4] - 3.0 * LOAD) < 0.25 * 3.0 * LOAD
    fast = RealTimeAgent(agent(True, **expecting))
    np.testing.assert_allclose(track(fast, steps, pick=pick)[1], torque, atol=2e-3)
    statuses = []
    fast.reset()
    act = fast.act

    def watch(y: Array, goal: Preview) -> Array:
        u = act(y, goal)
        statuses.append(fast.status)
        return u

    fast.act = watch  # type: ignore[method-assign, assignment]
    track(fast, steps, pick=pick)
    found = [k for k, status in enumerate(statuses) if status == Status.JUMP and k > pick]
    assert found[0] < pick + 32


def test_data_do_not_raise_in_real_time() -> None:
    fast = RealTimeAgent(agent(True))
    for y in ([np.nan, np.nan], [np.inf, 0.0], [1e300, 0.0], [0.0, 0.0], [np.nan, 0.0]):
        u = fast.act(np.array(y), wanted(0))
        assert np.isfinite(u).all()
        assert (np.abs(u) <= 60.0).all()


def test_a_pair_of_poles_is_as_damped_as_asked_for() -> None:
    filter_, plant = agent(True).filter, adaptive().plant
    seen = replace(filter_.init(), mean=np.r_[0.1, -0.2, 0.5, 0.3, filter_.init().mean[4:]])
    laws = [AdaptedTorque(plant, filter_.joint, OMEGA, damping=zeta) for zeta in (1.0, 0.6)]  # type: ignore[arg-type, attr-defined]
    u, less = (law.act(None, seen, np.zeros(4))[1] for law in laws)
    # Torques go by a through the mass matrix, adapted parameters and all.
    x, theta = seen.mean[:4], seen.mean[4 : filter_.joint.plant]  # type: ignore[attr-defined]
    wanted = [-2.0 * zeta * OMEGA * x[2:] - OMEGA**2 * x[:2] for zeta in (1.0, 0.6)]
    at, other = (plant.torque(x, a, theta) for a in wanted)  # type: ignore[attr-defined]
    np.testing.assert_allclose(u - less, at - other, rtol=1e-9)
    assert np.abs(u - less).max() > 0.1


def test_what_does_not_fit_is_refused() -> None:
    law = agent(True)
    joint = law.filter.joint  # type: ignore[attr-defined]
    plant = adaptive().plant
    with pytest.raises(ParameterError):
        AdaptedTorque(plant, joint, 0.0)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="damping"):
        AdaptedTorque(plant, joint, OMEGA, damping=0.0)  # type: ignore[arg-type]
    with pytest.raises(ShapeError):
        law.controller.act(None, agent(False).filter.init())
    for filter_ in (
        NonlinearPCFilter(adaptive(), 2),
        NonlinearPCFilter(adaptive(), 2, iterations=1, outlier_threshold=12.0),
        NonlinearPCFilter(adaptive().resampled(0.002), 2, iterations=1),
    ):
        with pytest.raises(ModelError):
            RealTimeAgent(Agent(filter_, AdaptedTorque(plant, filter_.joint, OMEGA)))  # type: ignore[arg-type]


def test_the_belief_about_the_plant_alone() -> None:
    law = agent(True)
    belief = law.filter.init((3,))
    part = belief.marginal(4)
    assert part.plant == 4
    assert part.mean.shape == (3, belief.mean.shape[-1] - len(NAMES))
    np.testing.assert_array_equal(np.diag(part.covariance)[:4], np.full(4, 1e-6))
    assert part.covariance.shape[-1] == part.mean.shape[-1]
