from __future__ import annotations

import warnings
from dataclasses import replace

import gymnasium as gym
import mujoco
import numpy as np
import pytest
from contracts import check_endings, check_environment
from gymnasium.utils.env_checker import check_env

from pcctrl.arrays import Array
from pcctrl.envs import ARMS, Arm2Env, Arm7Env, ArmEnv, Payload, make_arm
from pcctrl.envs.friction import rubbing
from pcctrl.envs.trajectories import Limits, Moves, Sinusoids, rest
from pcctrl.errors import ParameterError, PcctrlError, ShapeError, UnknownNameError
from pcctrl.models import Mismatch, MujocoMechanics, MujocoModel
from pcctrl.noise import White
from pcctrl.scripts.benchmarks.two_joint import acceleration, gravity

# PUBLISHED §12: (a, d, α) before joint i, masses and centres of mass of links 1 to 7.
DH = [(0, 0.333, 0), (0, 0, -1), (0, 0.316, 1), (0.0825, 0, 1), (-0.0825, 0.384, -1), (0, 0, 1), (0.088, 0, 1)]
MASSES = [4.970684, 0.646926, 3.228604, 3.587895, 1.225946, 1.666555, 0.735522]
CENTRES = [
    (0.00388, 0.00208, -0.0476),
    (-0.00314, -0.0287, 0.0035),
    (0.0275, 0.0393, -0.0665),
    (-0.0532, 0.104, 0.0275),
    (-0.012, 0.0411, -0.0384),
    (0.0601, -0.0141, -0.0105),
    (0.0105, -0.00425, 0.0616),
]


def mechanics_of(env: ArmEnv) -> MujocoMechanics:
    model = env.task([White(std=1e-3)] * len(env.reading_std)).model
    assert isinstance(model, MujocoModel)
    return MujocoMechanics(model)


def frames(q: Array) -> list[Array]:
    """Frames (4, 4) of links 1 to 7 by Craig's convention: Rx(α) Tx(a) Rz(θ) Tz(d)."""
    found, T = [], np.eye(4)
    for (a, d, turn), angle in zip(DH, q, strict=True):
        c, s, ca, sa = np.cos(angle), np.sin(angle), np.cos(turn * np.pi / 2), np.sin(turn * np.pi / 2)
        T = T @ np.array([[c, -s, 0, a], [s * ca, c * ca, -sa, -sa * d], [s * sa, c * sa, ca, ca * d], [0, 0, 0, 1]])
        found.append(T)
    return found


@pytest.mark.parametrize("env_id", ARMS)
def test_contract(env_id: str) -> None:
    nv = len(ARMS[env_id].home)
    sensed = list(range(nv)) * 2
    check_environment(lambda: gym.make(env_id), sensed)
    check_environment(lambda: ARMS[env_id](trajectory="reach"), sensed)
    check_environment(lambda: ARMS[env_id](trajectory="press"), sensed)
    check_endings(lambda: gym.make(env_id, max_episode_steps=25), 25, None)


@pytest.mark.parametrize("arm", ARMS.values())
def test_gymnasium_accepts_it(arm: type[ArmEnv]) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="gymnasium")
        check_env(arm(), skip_render_check=True)


def test_kinematics_are_the_published_ones() -> None:
    env, rng = Arm7Env(), np.random.default_rng(0)
    data = mujoco.MjData(env.model)
    for _ in range(5):
        data.qpos[:] = rng.uniform(*env.model.jnt_range.T)
        mujoco.mj_kinematics(env.model, data)
        links = frames(data.qpos)
        for i, T in enumerate(links):
            np.testing.assert_allclose(data.body(f"link{i + 1}").xpos, T[:3, 3], atol=1e-7)
            np.testing.assert_allclose(data.body(f"link{i + 1}").xmat.reshape(3, 3), T[:3, :3], atol=1e-7)
        tip = links[-1] @ [0.0, 0.0, 0.107 + 0.1034, 1.0]
        np.testing.assert_allclose(data.body("payload").xpos, tip[:3], atol=1e-7)


def test_gravity_is_that_of_the_published_masses() -> None:
    """The torques that hold the arm are the slope of its potential energy, by an independent kinematics."""

    def energy(q: Array) -> float:
        links = frames(q)
        turned = np.array([[np.sqrt(0.5), np.sqrt(0.5), 0], [-np.sqrt(0.5), np.sqrt(0.5), 0], [0, 0, 1]])
        hand = links[-1] @ [*(turned @ [-0.01, 0.0, 0.03] + [0.0, 0.0, 0.107]), 1.0]
        parts = [m * (T @ [*c, 1.0])[2] for m, T, c in zip(MASSES, links, CENTRES, strict=True)]
        return float(9.81 * (sum(parts) + 0.73 * hand[2]))

    mechanics = mechanics_of(Arm7Env())
    q, step = np.array(Arm7Env.home) + 0.3, 1e-5
    slope = [(energy(q + step * e) - energy(q - step * e)) / (2 * step) for e in np.eye(7)]
    np.testing.assert_allclose(mechanics.bias(np.concatenate([q, np.zeros(7)])), slope, atol=1e-6)


def test_limits_are_the_published_ones() -> None:
    model = Arm7Env().model
    np.testing.assert_allclose(model.actuator_ctrlrange[:, 1], [87.0] * 4 + [12.0] * 3)
    np.testing.assert_allclose(model.jnt_range[3], [-3.0718, -0.0698])
    np.testing.assert_allclose(model.body_mass[2:9], [*MASSES[1:], 0.73])


def test_arm2_moves_as_the_closed_form() -> None:
    """PUBLISHED §1, but for a damping of 1 in place of about 100 N·m·s/rad."""
    mechanics, rng = mechanics_of(Arm2Env()), np.random.default_rng(1)
    for _ in range(5):
        q, rate, torque = rng.uniform(-2, 2, (3, 2))
        M, others = mechanics.terms(np.concatenate([q, rate]))
        ours = np.linalg.solve(M, torque - others)
        damped = torque + (np.array([101.519, 103.8566]) - 1.0) * rate
        np.testing.assert_allclose(ours, acceleration(q, rate, damped), rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(mechanics.bias(np.concatenate([q, 0.0 * rate])), gravity(q), rtol=1e-7)


def test_references_keep_to_their_limits_and_are_their_own_rates() -> None:
    limits = Limits(np.array([0.1, -0.2]), np.array([0.5, 0.3]), np.array([1.0, 0.7]), np.array([4.0, 3.0]))
    times, h = np.arange(0.0, 8.0, 1e-3), 1e-3
    for seed in range(5):
        rng = np.random.default_rng(seed)
        for motion in (Moves.draw(rng, limits, 8.0), Sinusoids.draw(rng, limits)):
            states = motion.states(times)
            q, rate = states[:, :2], states[:, 2:]
            np.testing.assert_allclose(np.gradient(q, h, axis=0)[1:-1], rate[1:-1], atol=1e-3)
            np.testing.assert_allclose(states[0], [*limits.home, 0.0, 0.0], atol=1e-12)
            settled = times > 1.0 if isinstance(motion, Sinusoids) else times >= 0.0
            assert (np.abs(q - limits.home) <= limits.reach + 1e-12).all()
            assert (np.abs(rate[settled]) <= limits.speed + 1e-9).all()
            assert (np.abs(np.gradient(rate, h, axis=0)[settled]) <= limits.acceleration * 1.01).all()
            assert np.abs(rate).max() > 0.1, "it moves"
    assert not rest(limits.home).states(times)[:, 2:].any()


def test_the_goal_is_a_preview_of_what_comes() -> None:
    env = Arm2Env(horizon=5)
    _, info = env.reset(seed=3)
    for _ in range(1030):  # beyond a block of the reference
        ahead = np.array(info["goal"].goals)
        assert ahead.shape == (5, 4)
        *_, failed, _, info = env.step(env._effort[env._now - env._first])
        np.testing.assert_array_equal(np.array(info["goal"].goals)[:-1], ahead[1:])
        if failed:
            env.reset(seed=3)


def test_the_needed_torque_keeps_an_undisturbed_arm_on_its_way() -> None:
    for friction, most in (("none", 1e-3), ("coulomb", np.inf)):
        env = Arm2Env("reach", White(density=1e-9), friction)  # type: ignore[arg-type]
        _, info = env.reset(seed=1)
        env.data.qpos[:], env.data.qvel[:] = np.split(np.array(info["goal"].goals)[0], 2)
        for _ in range(600):
            *_, info = env.step(env._effort[env._now - env._first])
        error = float(np.abs(info["state"] - np.array(info["goal"].goals)[0])[:2].max())
        assert error < most
        if friction == "coulomb":
            assert error > 0.01, "negative control: friction is there"


def test_friction_is_the_published_law() -> None:
    """It is 0 at rest, and its two ends differ by φ₁."""
    constants = np.array(Arm7Env.friction)
    for law in ("published", "coulomb"):
        fast, back = (rubbing(law, constants, np.full(7, rate)) for rate in (100.0, -100.0))
        np.testing.assert_allclose(fast - back, constants[0], rtol=1e-9)
        np.testing.assert_allclose(rubbing(law, constants, np.zeros(7)), 0.0, atol=1e-12)
    level, slope, shift = constants[:, 3]
    by_hand = level / (1 + np.exp(-slope * (0.2 + shift))) - level / (1 + np.exp(-slope * shift))
    np.testing.assert_allclose(rubbing("published", constants, np.full(7, 0.2))[3], by_hand)


def test_holding_feels_a_push_for_a_second() -> None:
    env = Arm2Env("hold", White(density=1e-9), "none", push=50.0)
    _, info = env.reset(seed=2)
    assert not np.diff(np.array(info["goal"].goals), axis=0).any()
    felt = []
    for _ in range(2100):
        env.step(env._effort[env._now - env._first])
        felt.append(float(np.linalg.norm(env.data.xfrc_applied[env._tip])))
        env.data.qpos[:], env.data.qvel[:] = env.home, 0.0
    assert sorted(set(np.round(felt, 6))) == [0.0, 50.0]
    assert abs(sum(f > 0 for f in felt) - 1000) <= 1


@pytest.mark.parametrize("arm", ARMS.values())
def test_pressing_feels_a_pad_that_no_model_is_told_of(arm: type[ArmEnv]) -> None:
    pressing, free = (arm(trajectory, White(density=1e-9), "none") for trajectory in ("press", "hold"))
    for env in (pressing, free):
        env.reset(seed=0)
        env.data.qpos[:], env.data.qvel[:] = env.home, 0.0
        for _ in range(3):
            # Held where it is, so that the pad bears what it bears at home.
            env.step(env._effort[env._now - env._first])
            env.data.qpos[:], env.data.qvel[:] = env.home, 0.0
            mujoco.mj_forward(env.model, env.data)
    assert free.data.ncon == 0
    assert pressing.data.ncon == 1
    # Where the reference is, the tip is 4 mm deep.
    assert pressing.data.contact[0].dist == pytest.approx(-0.004, abs=1e-4)
    told, blind = (env.task([White(std=1e-3)] * len(env.reading_std)).model for env in (pressing, free))
    x = told.start[0]
    np.testing.assert_array_equal(told.transition(x, told.start[1]), blind.transition(x, blind.start[1]))


def test_the_told_model_is_wrong_as_asked() -> None:
    right = Arm7Env().task([White(std=1e-3)] * 14).model
    x = right.start[0]
    a, b = (mechanics_of(Arm7Env(mismatch=m)).bias(x) for m in (None, Mismatch(mass=0.7, inertia=0.7)))
    np.testing.assert_allclose(b, 0.7 * a)
    np.testing.assert_allclose(a, right.start[1])
    assert right.readout(x).shape == (14,)
    assert Arm7Env(encoders="motor").task([White(std=1e-3)] * 7).model.sensors == tuple(
        f"motor{i}" for i in range(1, 8)
    )


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"trajectory": "jump"}, UnknownNameError),
        ({"friction": "dry"}, UnknownNameError),
        ({"encoders": "torque"}, UnknownNameError),
        ({"encoders": ()}, ParameterError),
        ({"encoders": ("link", "link")}, ParameterError),
        ({"horizon": 1}, ParameterError),
        ({"push": -1.0}, ParameterError),
        ({"process_noise": [White(density=1.0)] * 3}, ShapeError),
        ({"process_noise": White(std=1.0)}, ParameterError),
    ],
)
def test_bad_options(options: dict[str, object], error: type[PcctrlError]) -> None:
    with pytest.raises(error):
        Arm2Env(**options)  # type: ignore[arg-type]


def test_bad_actions() -> None:
    env = Arm2Env()
    with pytest.raises(ParameterError, match="reset"):
        env.step(np.zeros(2))
    env.reset(seed=0)
    with pytest.raises(ShapeError):
        env.step(np.zeros(3))
    with pytest.raises(ShapeError, match="left"):
        env.step("left")
    with pytest.raises(ParameterError):
        env.step([np.nan, 0.0])


def test_make_arm_takes_all_options() -> None:
    env = make_arm(Arm2Env, encoders="link", trajectory="hold", payload=(1.0, 0.1), bias=0.1)
    assert isinstance(env, Payload)
    observation, info = env.reset(seed=0)
    np.testing.assert_allclose(observation, info["state"][:2] + 0.1, atol=5e-3)
    task = env.task()
    assert replace(task).tracks
    with pytest.raises(ShapeError, match="payload"):
        make_arm(Arm2Env, payload=1.0)  # type: ignore[arg-type]
