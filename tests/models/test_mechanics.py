from __future__ import annotations

import pickle
from dataclasses import replace

import mujoco
import numpy as np
import pytest

from pcctrl.arrays import Array
from pcctrl.envs import Arm2Env, Arm7Env
from pcctrl.errors import ModelError, ParameterError, PcctrlError, ShapeError, UnknownNameError
from pcctrl.filters import JointFilter, KalmanFilter
from pcctrl.models import Mismatch, MujocoMechanics, MujocoModel, free_joints
from pcctrl.noise import White

MODEL: MujocoModel = Arm7Env().task([White(std=1e-3)] * 14).model  # type: ignore[assignment]
SMALL: MujocoModel = Arm2Env().task([White(std=1e-3)] * 4).model  # type: ignore[assignment]


def somewhere(seed: int) -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(seed)
    return MODEL.start[0] + 0.5 * rng.standard_normal(14), *rng.standard_normal((2, 7))


@pytest.mark.parametrize("seed", range(3))
def test_it_agrees_with_the_simulator(seed: int) -> None:
    """The inverse of mj_forward's accelerations, and mj_inverse itself."""
    mechanics = MujocoMechanics(MODEL)
    x, u, a = somewhere(seed)
    data = mujoco.MjData(MODEL.source)
    data.qpos[:], data.qvel[:], data.ctrl[:] = x[:7], x[7:], u
    MODEL.source.jnt_limited[:] = 0
    mujoco.mj_forward(MODEL.source, data)
    np.testing.assert_allclose(mechanics.inverse(x, data.qacc), u, atol=1e-9)
    M, rest = mechanics.terms(x)
    np.testing.assert_allclose(np.linalg.solve(M, u - rest), data.qacc, atol=1e-8)
    data.qacc[:] = a
    mujoco.mj_inverse(MODEL.source, data)
    np.testing.assert_allclose(mechanics.inverse(x, a), data.qfrc_inverse, atol=1e-9)
    np.testing.assert_array_equal(mechanics.mass_matrix(x), M)
    np.testing.assert_array_equal(mechanics.bias(x), rest)


@pytest.mark.parametrize("seed", range(3))
def test_the_regressor_is_the_derivative_by_each_parameter(seed: int) -> None:
    """Against models that are really heavier, or more damped: the torques are linear in the parameters."""
    x, a, r = somewhere(seed)
    mechanics = MujocoMechanics(MODEL, ("payload", "hand"), scale=True)
    Y, plain = mechanics.regressor(x, a, r), mechanics.inverse(x, a, r)
    assert mechanics.parameters[:4] == ("load:payload", "load:hand", "scale", "viscous:joint1")
    assert Y.shape == (7, 17)
    wrongs = (Mismatch(payload={"payload": 1.3}), Mismatch(payload={"hand": 1.3}), Mismatch(mass=2.3, inertia=2.3))
    for column, wrong in enumerate(wrongs):
        other = MujocoMechanics(replace(MODEL, wrong=wrong)).inverse(x, a, r)
        np.testing.assert_allclose(other - plain, 1.3 * Y[:, column], atol=1e-9)
    damped = MujocoMechanics(replace(MODEL, wrong=Mismatch(damping=3.0))).inverse(x, a, r)
    np.testing.assert_allclose(damped - plain, Y[:, 3:10] @ np.full(7, 2.0), atol=1e-9)
    np.testing.assert_allclose(Y[:, 10:], np.diag(np.tanh(r / 0.01)))


def test_coriolis_terms_are_those_of_christoffel() -> None:
    """Ṁ − 2C is skew, which the proof of Slotine and Li needs; and C q̇ is what it was."""
    mechanics = MujocoMechanics(MODEL)
    x, a, _ = somewhere(5)
    none, eps = np.zeros(7), 1e-6
    still = mechanics.inverse(x, none, none)
    C = np.column_stack([mechanics.inverse(x, none, e) - still for e in np.eye(7)]) - np.eye(7)  # damping of 1
    forward = np.concatenate([eps * x[7:], none])
    turning = (mechanics.mass_matrix(x + forward) - mechanics.mass_matrix(x - forward)) / (2.0 * eps)
    skew = turning - 2.0 * C
    np.testing.assert_allclose(skew, -skew.T, atol=1e-7)
    np.testing.assert_allclose(mechanics.inverse(x, a, x[7:].copy()), mechanics.inverse(x, a), atol=1e-10)
    assert np.abs(turning + turning.T).max() > 0.1, "negative control: Ṁ itself is not"


def test_batches_pickles_and_what_is_not_finite() -> None:
    mechanics = MujocoMechanics(MODEL, ("payload",))
    rows = [somewhere(seed) for seed in range(3)]
    x, a, r = (np.array([row[i] for row in rows]) for i in range(3))
    x[1, 3] = np.nan
    for copy in (mechanics, pickle.loads(pickle.dumps(mechanics))):
        M, rest = copy.terms(x)
        assert M.shape == (3, 7, 7)
        assert np.isnan(M[1]).all()
        assert np.isnan(copy.regressor(x, a, r)[1]).all()
        np.testing.assert_array_equal(M[2], mechanics.mass_matrix(x[2]))
        np.testing.assert_array_equal(rest[0], mechanics.bias(x[0]))
        np.testing.assert_array_equal(copy.inverse(x, a, r)[2], mechanics.inverse(x[2], a[2], r[2]))
        np.testing.assert_array_equal(copy.inverse(x, a[0])[2], mechanics.inverse(x[2], a[0]))
    with pytest.raises(ShapeError):
        mechanics.inverse(x, a[:, :3])


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"loads": ("hat",)}, UnknownNameError),
        ({"friction": ("sticky",)}, UnknownNameError),
        ({"creep": 0.0}, ParameterError),
        ({"model": replace(MODEL, inputs=("torque2", "torque1"), ctrl=None)}, ModelError),
        ({"model": replace(MODEL, inputs=list(MODEL.inputs or ())[::-1])}, ModelError),
    ],
)
def test_bad_arguments(options: dict[str, object], error: type[PcctrlError]) -> None:
    with pytest.raises(error):
        MujocoMechanics(**({"model": MODEL} | options))  # type: ignore[arg-type]


def test_free_joints_are_double_integrators() -> None:
    mechanics = MujocoMechanics(SMALL)
    joints = free_joints(SMALL, mechanics, 2.0)
    x, M = SMALL.start[0], mechanics.mass_matrix(SMALL.start[0])
    np.testing.assert_allclose(joints.A @ [1.0, 2.0, 3.0, 4.0], [3.0, 4.0, 0.0, 0.0])
    np.testing.assert_allclose(M @ joints.noise_input[2:], np.eye(2), atol=1e-12)
    np.testing.assert_allclose(joints.C @ x, SMALL.start[2])
    np.testing.assert_allclose(np.asarray(joints.disturbance), 2.0)
    with pytest.raises(ModelError):
        free_joints(SMALL, MujocoMechanics(MODEL))


def test_the_joint_filter_knows_what_inputs_do() -> None:
    """It predicts the model itself, to the half step by which the simulator differs from continuous time."""
    mechanics = MujocoMechanics(SMALL)
    filter_ = JointFilter(mechanics, KalmanFilter(free_joints(SMALL, mechanics)))
    blind = JointFilter(None, KalmanFilter(free_joints(SMALL, mechanics)))
    x, u = np.array([-0.3, 0.8, 0.5, -1.0]), np.array([60.0, 5.0])
    start = replace(filter_.init(), mean=x)
    truth = SMALL.transition(x, u)
    np.testing.assert_allclose(filter_.predict(start, u).state[2:], truth[2:], atol=1e-4)
    np.testing.assert_allclose(filter_.predict(start, u).state[:2], truth[:2], atol=2e-5)
    assert np.abs(blind.predict(start, u).state[2:] - truth[2:]).max() > 5e-3, "negative control"
    np.testing.assert_allclose(filter_.init().input, SMALL.start[1], atol=1e-9)
    # A torque that is not finite moves nothing, and a batch is one by one.
    assert np.isfinite(filter_.predict(start, [np.nan, 0.0]).mean).all()
    both = filter_.predict(replace(start, mean=np.array([x, 0.5 * x])), u)
    np.testing.assert_allclose(both.mean[0], filter_.predict(start, u).mean, atol=1e-12)
    with pytest.raises(ShapeError):
        filter_.predict(start, [1.0])
