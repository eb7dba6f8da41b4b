"""Faults of sensors that begin at a time, and heal."""

from __future__ import annotations

import math
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from numpy.typing import NDArray

import pcctrl.envs  # noqa: F401
from pcctrl.errors import ParameterError, PcctrlError, ShapeError
from pcctrl.noise import Bias, During, Imperfection, Quantisation, Ramp, Stuck

DT = 0.01


def spoilt(flaw: Imperfection, y: NDArray[np.float64]) -> NDArray[np.float64]:
    spoil = flaw.begin(np.random.default_rng(0), y.shape[1], DT)
    return np.array([spoil(row) for row in y])


def test_a_fault_is_there_from_its_time_until_it_heals_and_in_its_sensors() -> None:
    y = np.random.default_rng(1).standard_normal((50, 3))
    for flaw, wrong in (
        (Bias(2.0), y[20:30, 1] + 2.0),
        (Ramp(0.5), y[20:30, 1] + 0.5 * DT * np.arange(10)),
        (Stuck(), np.full(10, y[20, 1])),
        (Quantisation(1.0), np.rint(y[20:30, 1])),
    ):
        found = spoilt(During(flaw, 0.2, 0.3, sensors=[1]), y)
        np.testing.assert_allclose(found[20:30, 1], wrong, atol=1e-15)
        found[20:30, 1] = y[20:30, 1]
        np.testing.assert_array_equal(found, y)
    np.testing.assert_array_equal(spoilt(During(Bias(1.0), 0.4), y)[40:], y[40:] + 1.0)
    np.testing.assert_array_equal(spoilt(During(Bias(1.0), 0.5), y), y, err_msg="negative control: never")


def test_what_is_stuck_stays_at_what_it_read_first() -> None:
    y = np.arange(8.0).reshape(4, 2)
    y[0, 1] = np.nan
    np.testing.assert_array_equal(spoilt(Stuck(), y), [[0.0, np.nan], [0.0, 3.0], [0.0, 3.0], [0.0, 3.0]])


def test_sensors_of_an_environment_fail_and_heal_in_every_episode() -> None:
    fault = During(Bias(1.0), 0.1, 0.2, sensors=[0])
    one, other = (gym.make("pcctrl/CartPole-v0", imperfections=flaws) for flaws in ((), (fault,)))
    for seed in (0, 1):
        rows = []
        for env in (one, other):
            y, _ = env.reset(seed=seed)
            dt = env.get_wrapper_attr("dt")
            rows.append([y, *(env.step(np.zeros(1))[0] for _ in range(15))])
        off = np.subtract(rows[1], rows[0])
        k = np.arange(16)
        np.testing.assert_allclose(off[:, 0], (k >= round(0.1 / dt)) & (k < round(0.2 / dt)), atol=1e-12)
        np.testing.assert_array_equal(off[:, 1], 0.0)


@pytest.mark.parametrize(
    ("named", "error"),
    [
        ({"at": -1.0}, ParameterError),
        ({"at": 2.0, "until": 1.0}, ParameterError),
        ({"at": 0.0, "until": math.nan}, ParameterError),
        ({"at": 0.0, "sensors": [3]}, ShapeError),
        ({"at": 0.0, "sensors": "elbow"}, ShapeError),
        ({"at": 0.0, "imperfection": Ramp([1.0, 2.0])}, ShapeError),
    ],
)
def test_bad_faults(named: dict[str, Any], error: type[PcctrlError]) -> None:
    with pytest.raises(error):
        spoilt(During(**{"imperfection": Stuck(), **named}), np.zeros((2, 3)))
