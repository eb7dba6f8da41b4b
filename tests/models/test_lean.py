"""That a joint model in few calls is the joint model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from plants import ARM

from pcctrl.models import AdaptiveModel, Forces, GeneralisedModel, MujocoModel, MujocoParameters, Parameter, generalise
from pcctrl.models.lean import LeanModel, lean
from pcctrl.noise import Noise, OrnsteinUhlenbeck, Smooth, White

PARAMETERS = (
    Parameter("load:hand", 0.5, 100.0, 0.2, 0.0, 3.0),
    Parameter("viscous:elbow", 0.5, 30.0, 0.4, 0.0, 2.0),
    Parameter("coulomb:shoulder", 0.5, np.inf, 0.7, 0.0, 2.0),
)
BALL = """<mujoco><option integrator="Euler" timestep=".001"/><worldbody><body><joint name="ball" type="ball"/>
<geom size=".1" pos="0 0 .3" mass="1"/></body></worldbody><actuator><motor joint="ball" gear="1 0 0"/></actuator>
</mujoco>"""


def forces(x: Any) -> Any:
    """Return the forces (..., 2, 3) of each parameter."""
    return np.stack([-x[..., 2:], -np.tanh(x[..., 2:] / 0.05), np.sin(x[..., :2])], axis=-1)


def joint(kind: str, push: Noise, walk: float | None) -> GeneralisedModel:
    model = MujocoModel(
        ARM,
        noise_input=("shoulder", "elbow"),
        process_noise=[push] * 2,
        sensor_noise=[Smooth(1e-3, 5e-3)] * 2,
        disturbance=walk,
        prior=1e-6 * np.eye(4),
    )
    plant = MujocoParameters(model, PARAMETERS, 0.05) if kind == "masses" else Forces(model, forces)
    whole: Any = model if kind == "none" else AdaptiveModel(plant, PARAMETERS)
    return generalise(whole, 2, process_scale=1.5, state_noise=1e-4)


@pytest.mark.parametrize("kind", ["masses", "forces", "none"])
@pytest.mark.parametrize(
    ("push", "walk"),
    [
        (White(density=0.1), 0.2),
        (White(density=0.1), None),
        (OrnsteinUhlenbeck(0.5, 0.1), None),
        (White(density=0.1) + Smooth(0.5, 0.02), 0.3),
    ],
)
def test_it_is_the_joint_model(kind: str, push: Noise, walk: float | None) -> None:
    full, rng = joint(kind, push, walk), np.random.default_rng(3)
    few = lean(full)
    assert isinstance(few, LeanModel)
    for _ in range(3):
        mean = full.integrate(np.array(full.mean), rng.standard_normal(full.size))
        move, u = 3.0 * rng.standard_normal(full.size), rng.standard_normal(2)
        np.testing.assert_allclose(few.ahead(mean, u), full.ahead(mean, u), atol=1e-12)
        np.testing.assert_allclose(few.integrate(mean, move), full.integrate(mean, move), atol=1e-12)
        for ours, theirs in zip(few.linearised(mean, u), full.linearised(mean, u), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-12)


def test_where_moves_do_not_add_up_there_is_none() -> None:
    full = generalise(MujocoModel(BALL, sensors=["qvel:ball"], prior=np.eye(6)), 1)
    assert lean(full) is full


def test_where_a_sample_has_two_steps_there_is_none() -> None:
    one, two = (generalise(MujocoModel(ARM, dt=dt, prior=np.eye(4)), 1) for dt in (0.001, 0.002))
    assert lean(one) is not one
    assert lean(two) is two
    over = one.resampled(0.002)
    assert lean(over) is over
