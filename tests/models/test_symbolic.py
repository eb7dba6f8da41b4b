"""Jacobians by CasADi against central differences, and that what it cannot differentiate is refused."""

from __future__ import annotations

import pickle
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pcctrl.arrays import Array
from pcctrl.errors import ModelError, PcctrlError, UnknownNameError
from pcctrl.filters import NonlinearPCFilter
from pcctrl.models import NonlinearModel
from pcctrl.models.symbolic import SymbolicJacobians
from pcctrl.noise import OrnsteinUhlenbeck, Smooth, White

MASS = np.array([[2.0, 0.3], [0.3, 1.0]])


def of_vectors(x: Array, u: Array, w: Array) -> Array:
    return np.array([x[1], -9.81 * np.sin(x[0]) - 0.2 * x[1] * abs(x[1]) + u[0] * np.cos(x[0]) + w[0]])


def of_batches(x: Array, u: Array, w: Array) -> Array:
    both = x[..., :2] @ MASS
    pull = np.exp(-(x[..., 0] ** 2)) / (2.0 + np.tanh(x[..., 1])) + u[..., 0] - w[..., 0] * x[..., 1]
    return np.stack([both[..., 1] - np.arctan2(x[..., 1], 3.0 + np.square(x[..., 0])), pull], axis=-1)


def sensors(x: Array, u: Array) -> Array:
    return np.stack([np.sqrt(1.0 + np.sum(x**2, axis=-1)), np.hypot(x[..., 1], 2.0) + 0.5 * u[..., 0] ** 2], axis=-1)


def build(f: Any = of_batches, **changes: Any) -> NonlinearModel:
    settings: dict[str, Any] = {
        "dt": 0.05,
        "substeps": 2,
        "operating_point": (np.zeros(2), np.zeros(1)),
        "process_noise": [OrnsteinUhlenbeck(1.0, 0.2)],
        "sensor_noise": [White(std=0.1), Smooth(0.2, 0.1)],
        "prior": np.eye(2),
    }
    return NonlinearModel(f, sensors, **{**settings, **changes})


@pytest.mark.parametrize("f", [of_vectors, of_batches])
@pytest.mark.parametrize("batch", [(), (5,), (2, 3), (0, 2)])
def test_they_are_those_of_central_differences(f: Any, batch: tuple[int, ...]) -> None:
    by_symbols, plain = build(f, f_jacobians="casadi", g_jacobians="casadi"), build(f)
    rng = np.random.default_rng(0)
    x, u, w = rng.standard_normal((*batch, 2)), rng.standard_normal((*batch, 1)), rng.standard_normal((*batch, 1))
    for got, want in zip(by_symbols.jacobians(x, u, w), plain.jacobians(x, u, w), strict=True):
        np.testing.assert_allclose(got, want, atol=1e-8)
    if batch == (5,):
        # Negative control: those of another function.
        wrong = replace(by_symbols, f_jacobians=SymbolicJacobians(lambda x, u, w: 1.01 * f(x, u, w), (2, 1, 1)))
        assert np.abs(wrong.jacobians(x, u, w).F - plain.jacobians(x, u, w).F).max() > 1e-4


def test_a_discrete_model_without_noise_has_them_too() -> None:
    settings: dict[str, Any] = {"process_noise": [], "time": "discrete", "disturbance": 0.1}
    models = [
        build(lambda x, u, w: 0.9 * np.sin(x) + u + w.sum(), f_jacobians=how, **settings) for how in ("casadi", None)
    ]
    x, u = np.array([0.3, -0.4]), np.array([0.2])
    for got, want in zip(*(m.jacobians(x, u) for m in models), strict=True):
        np.testing.assert_allclose(got, want, atol=1e-9)


def test_a_filter_is_the_same_with_them() -> None:
    y = np.random.default_rng(1).normal(1.5, 0.1, (3, 20, 2))
    found = [
        NonlinearPCFilter(build(f_jacobians=how, g_jacobians=how), 2, iterations=1).run(y).mean
        for how in ("casadi", None)
    ]
    np.testing.assert_allclose(found[0], found[1], atol=1e-6)


def test_values_that_are_not_finite_give_nan() -> None:
    model = build(f_jacobians="casadi", g_jacobians="casadi")
    assert np.isnan(model.jacobians([np.nan, 0.0], [0.0]).F).any()


def test_a_model_that_has_them_can_be_sent_to_another_process() -> None:
    model = build(f_jacobians="casadi")
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.jacobians([0.1, 0.2], [0.3]).F, model.jacobians([0.1, 0.2], [0.3]).F)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"f_jacobians": "jax"}, UnknownNameError, "casadi"),
        ({"f": lambda x, u, w: np.maximum(x, 0.0) + u + w, "f_jacobians": "casadi"}, ModelError, "smooth functions"),
        ({"f": lambda x, u, w: np.where(x > 0.0, x, u + w), "f_jacobians": "casadi"}, ModelError, "smooth functions"),
        ({"f": lambda x, u, w: x * float(x[0]) + u + w, "f_jacobians": "casadi"}, ModelError, "smooth functions"),
    ],
)
def test_what_cannot_be_differentiated_is_refused(
    changes: dict[str, Any], error: type[PcctrlError], message: str
) -> None:
    with pytest.raises(error, match=message):
        build(**changes)


def test_without_the_extra_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "casadi", None)
    with pytest.raises(ModelError, match=r"pcctrl\[codegen\]"):
        build(f_jacobians="casadi")
