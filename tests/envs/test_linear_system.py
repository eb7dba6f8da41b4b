from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from contracts import check_endings
from plants import WHITE, smooth_cart_pole, white_msd

from pcctrl import agents
from pcctrl.envs import LINEAR, CartPoleEnv, LinearPlant, ModelEnv, NoiseOptions, plant_of, two_masses
from pcctrl.errors import ModelError, ParameterError, PcctrlError, ShapeError
from pcctrl.models import LinearModel
from pcctrl.noise import White


def test_two_masses_lose_energy_in_their_dampers_alone() -> None:
    """dE/dt = force · far velocity - 0.3 v1² - 0.2 (v2 - v1)², with E of the masses and the two springs."""
    model = two_masses(*WHITE)
    for p1, p2, v1, v2 in np.random.default_rng(0).standard_normal((20, 4)):
        slope = np.array([2.0 * p1 - 4.0 * (p2 - p1), 4.0 * (p2 - p1), v1, v2])
        state = np.array([p1, p2, v1, v2])
        np.testing.assert_allclose(slope @ model.A @ state, -0.3 * v1**2 - 0.2 * (v2 - v1) ** 2, atol=1e-12)
        np.testing.assert_allclose(slope @ model.noise_input[:, 0], v2, atol=1e-15)
        np.testing.assert_array_equal((model.A @ state)[:2], [v1, v2])


def test_two_masses_at_rest_are_springs_in_series() -> None:
    model = two_masses(*WHITE)
    np.testing.assert_allclose(-np.linalg.solve(model.A, model.B[:, 0]), [1 / 2, 1 / 2 + 1 / 4, 0.0, 0.0], atol=1e-14)
    np.testing.assert_array_equal(model.C, [[1.0, 0.0, 0.0, 0.0]])


def test_it_moves_as_its_model_says_about_the_operating_point() -> None:
    at = (np.array([0.5, 0.0]), np.array([2.0]), np.array([1.0]))
    model = replace(white_msd(), process_noise=[White(density=1e-12)], operating_point=at)
    env = ModelEnv(model, [1.0, 0.0], 0.01)
    y, info = env.reset(seed=0)
    joint, x = model.joint(0), info["state"]
    assert y == pytest.approx(1.0 + x[0] - 0.5)
    for u in ([3.0], [-1.0]):
        y, reward, *_, info = env.step(u)
        assert -reward == pytest.approx((x[0] - 0.5) ** 2 + 0.01 * (u[0] - 2.0) ** 2)
        x = joint.F @ x + joint.B @ u + joint.offset
        np.testing.assert_allclose(info["state"], x, atol=1e-9)


def test_its_disturbances_have_the_stationary_size() -> None:
    model = two_masses()
    env = ModelEnv(model)
    states = []
    for seed in range(300):
        env.reset(seed=seed)
        states.append([env.step(np.zeros(1))[4]["state"] for _ in range(100)][-1])
    want = model.joint(8).stationary()[:4, :4].diagonal()
    # The disturbance is held over a tenth of a sample, which is 1/400 of its correlation in squares.
    assert (np.abs(np.var(states, axis=0) / want - 1.0) < 4.5 * np.sqrt(2.0 / 300)).all()


def test_a_lost_plant_terminates() -> None:
    model = replace(smooth_cart_pole(2.0), prior=1e-4 * np.eye(4))
    check_endings(lambda: gym.make(LINEAR, model=model, bound=2.0, max_episode_steps=20), 20, 20.0)


def test_any_agent_runs_on_a_model_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "cart.toml"
    replace(smooth_cart_pole(2.0), delay=0.04).save(path)
    env = gym.make(LINEAR, model=path, state_weight=[1.0, 0.0, 10.0, 0.0])
    task = agents.task_of(env)
    assert task.linear.joint(0).lags == (2, 2)
    agent = agents.make("aif", env)
    y, info = env.reset(seed=0)
    for _ in range(300):
        y, *_, info = env.step(agent.act(y))
    assert not info["failed"]
    assert abs(info["state"][2]) < 0.5


def test_noise_options_keep_or_replace_the_models_own() -> None:
    plant = plant_of(LINEAR)
    assert plant.process_std == pytest.approx((1.0,))
    assert plant.sensor_std == pytest.approx((0.1,))
    kept = agents.task_of(NoiseOptions().make(LINEAR, plant)).model
    assert kept.process_noise == two_masses().process_noise
    white = agents.task_of(NoiseOptions(colour="white").make(LINEAR, plant)).model
    assert white.process_noise[0].density == pytest.approx(np.sqrt(0.1))
    assert NoiseOptions().resolved(plant)["colour"] == "own"
    assert NoiseOptions().resolved(CartPoleEnv)["colour"] == "smooth"
    with pytest.raises(ParameterError, match=r"noise\.colour"):
        NoiseOptions(s=0.1).make(LINEAR, plant)
    with pytest.raises(ParameterError, match=r"noise\.s"):
        NoiseOptions(colour="white", s=0.1).make(LINEAR, plant)
    late = LinearPlant(replace(two_masses(), delay=0.2))
    assert NoiseOptions().resolved(late)["delay"] == [0.2]
    for told, lags in ((None, (2,)), (0.0, (0,)), (0.1, (1,))):
        assert agents.task_of(NoiseOptions(delay=told).make(LINEAR, late)).linear.joint(0).lags == lags


@pytest.mark.parametrize(
    ("build", "error", "name"),
    [
        (lambda m: ModelEnv(m, limits=(1.0, -1.0)), ParameterError, "limits"),
        (lambda m: ModelEnv(m, state_weight=[1.0]), ShapeError, "state_weight"),
        (lambda m: ModelEnv(m, bound=0.0), ParameterError, "bound"),
        (lambda m: ModelEnv(m).step([0.0]), ParameterError, "step"),
        (lambda m: plant_of("pcctrl/CartPole-v0", Path("x.toml")), ModelError, "model"),  # noqa: ARG005
        (lambda m: plant_of(LINEAR, Path("none.toml")), PcctrlError, "none.toml"),  # noqa: ARG005
    ],
)
def test_bad_arguments_are_named(build, error: type[PcctrlError], name: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(error) as caught:
        build(two_masses())
    assert caught.value.name == name


def test_bad_actions_are_named() -> None:
    env = ModelEnv(two_masses())
    env.reset(seed=0)
    for action, error in ((np.zeros(2), ShapeError), (np.array([np.nan]), ParameterError)):
        with pytest.raises(error, match="action"):
            env.step(action)


def test_the_model_is_a_generative_model() -> None:
    """Derivatives by finite differences, and one step as the joint model has it."""
    from pcctrl.models import GenerativeModel

    at = (np.array([0.5, 0.1]), np.array([2.0]), np.array([1.0]))
    plain = replace(white_msd(), operating_point=at, D=np.array([[0.3]]))
    steps = LinearModel.from_discrete(
        np.eye(2) + 0.02 * plain.A,
        0.02 * plain.B,
        plain.C,
        substeps=5,
        dt=0.1,
        noise_input=0.02 * plain.noise_input,
        process_noise=plain.process_noise,
        sensor_noise=plain.sensor_noise,
    )
    for model in (plain, steps):
        generative: GenerativeModel = model
        rng = np.random.default_rng(0)
        x, u, w = rng.standard_normal(2), rng.standard_normal(1), rng.standard_normal(1)
        J, joint = generative.jacobians(x, u), model.joint(0)
        np.testing.assert_allclose(generative.transition(x, u), joint.F @ x + joint.B @ u + joint.offset, atol=1e-12)
        want_y = joint.C @ x + joint.D @ u + joint.sensor_offset
        np.testing.assert_allclose(generative.readout(x, u), want_y, atol=1e-12)
        h = 1e-6
        for i, column in enumerate(J.F.T):
            ahead = generative.transition(x + h * np.eye(2)[i], u, w) - generative.transition(x, u, w)
            np.testing.assert_allclose(ahead / h, column, atol=1e-8)
        np.testing.assert_allclose(
            (generative.transition(x, u + h, w) - generative.transition(x, u, w)) / h, J.B[:, 0], atol=1e-8
        )
        np.testing.assert_allclose(
            (generative.transition(x, u, w + h) - generative.transition(x, u, w)) / h, J.G[:, 0], atol=1e-8
        )
        batch = generative.transition(np.stack([x, 2 * x]), np.stack([u, u]), np.stack([w, w]))
        np.testing.assert_allclose(batch[0], generative.transition(x, u, w), atol=1e-12)
