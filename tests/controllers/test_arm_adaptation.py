"""Arms that learn: Slotine and Li's law and model-reference adaptive control."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from two_joint_arm import HEAVY, INERTIA, LEARNED, MOTION, REST, W, believe, mrac, slotine, track

from pcctrl.arrays import Array
from pcctrl.models import MujocoMechanics


def test_slotine_li_finds_the_payload_and_the_error_goes() -> None:
    plain, _ = track(slotine(rates=0.0), HEAVY, 2500, MOTION)
    errors, memory = track(slotine(), HEAVY, 2500, MOTION)
    np.testing.assert_allclose(memory.value, 1.5, atol=0.02)
    assert np.abs(errors[-500:, :2]).max() < 1e-3 < 0.01 < np.abs(plain[-500:, :2]).max()


def test_slotine_li_leaks_and_keeps_within_bounds() -> None:
    _, bounded = track(slotine(high=0.7), HEAVY, 2000, MOTION)
    assert bounded.value == pytest.approx(0.7)
    _, leaky = track(slotine(leak=200.0), HEAVY, 2000, MOTION)
    assert 0.0 < leaky.value[0] < 1.2


@dataclass(frozen=True)
class _Backwards:
    """Mechanics whose regressor has the wrong sign."""

    inner: MujocoMechanics

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def regressor(self, *arguments: Any) -> Array:
        return -self.inner.regressor(*arguments)


def test_negative_control_a_parameter_that_explains_nothing() -> None:
    """With the other sign the truth is out of bounds: nothing is learned, the error stays."""
    errors, memory = track(slotine(_Backwards(LEARNED)), HEAVY, 2500, MOTION)
    assert memory.value[0] < 0.1
    assert np.abs(errors[-500:, :2]).max() > 0.01


def test_mrac_adapts_to_a_payload_and_a_wrong_inertia() -> None:
    law = replace(mrac(leak=5.0), inertia=0.6 * INERTIA)
    errors, _ = track(law, HEAVY, 4000, MOTION)
    fixed, _ = track(replace(law, rate=0.0), HEAVY, 4000, MOTION)
    one, two = (float(np.sqrt(np.mean(e[2500:, :2] ** 2))) for e in (errors, fixed))
    assert one < 0.3 * two
    integral, _ = track(replace(law, leak=500.0), HEAVY, 4000, MOTION)
    assert 1.1 * one < float(np.sqrt(np.mean(integral[2500:, :2] ** 2))) < two, "gains do more than the integral alone"


def test_mrac_sums_are_times_dt() -> None:
    """Half the sample time, the same motion: the published sums per step would learn twice as fast."""
    x = REST + np.array([0.01, 0.0, 0.0, 0.0])
    learned = []
    for dt, steps in ((1e-3, 100), (5e-4, 200)):
        law = replace(mrac(), dt=dt)
        state = law.init()
        for _ in range(steps):
            state, *_ = law.act(state, believe(x))
        learned.append(state.learned)
    np.testing.assert_allclose(learned[0], learned[1])
    np.testing.assert_allclose(learned[0][0, 0], -W * W**2 * 0.01 * 0.1)
