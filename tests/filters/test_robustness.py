"""Filters in bad company: overflow, redundancy, random models, long runs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plants import smooth_cart_pole, smooth_msd

from pcctrl.errors import ModelError
from pcctrl.filters import KalmanFilter, PCFilter, Status
from pcctrl.free_energy import correct
from pcctrl.models import LinearModel
from pcctrl.noise import Smooth, White


def test_redundant_sensors_after_a_long_blindness() -> None:
    """Two sensors on one state make S singular to rounding where the prior is 1e11 times their variance."""
    model = LinearModel(
        np.array([[0.0, 1.0], [4.0, 0.0]]),
        np.array([[0.0], [1.0]]),
        np.array([[1.0, 0.0], [1.0, 0.0]]),
        dt=0.1,
        noise_input=np.array([[0.0], [1.0]]),
        process_noise=[White(density=1.0)],
        sensor_noise=[White(std=1e-3)] * 2,
    )
    for filter_ in (PCFilter(model), KalmanFilter(model)):
        belief = filter_.init(covariance=1e6 * np.eye(2))
        belief, info = filter_.update(belief, [0.1, 0.1])
        np.testing.assert_allclose(belief.state[0], 0.1, atol=1e-9)
        assert belief.std[0] == pytest.approx(1e-3 / np.sqrt(2.0), rel=1e-6)
        assert float(info.nis) < 1e-3
        for _ in range(80):
            belief = filter_.predict(belief)
        belief, info = filter_.update(belief, [0.2, 0.2])
        assert belief.state[0] == pytest.approx(0.2, abs=1e-6)


def test_data_never_raises_and_a_lost_belief_is_reset() -> None:
    filter_ = PCFilter(smooth_cart_pole(2.0))
    belief, _ = filter_.update(filter_.init(), [0.0, 0.0])
    seen = set()
    # Blind on an unstable plant: the covariance grows until it is no longer arithmetic.
    for _ in range(2000):
        belief, info = filter_.step(belief, [np.nan, np.inf])
        seen.add(Status(int(info.status)))
        assert np.isfinite(belief.mean).all()
        assert np.isfinite(belief.covariance).all()
    assert seen == {Status.BLIND, Status.DIVERGED}
    for value in (1e308, -1e200, 1e80):
        belief, info = filter_.step(belief, [value, 0.0], [5.0])
        assert np.isfinite(belief.mean).all()
    for _ in range(400):
        belief, info = filter_.step(belief, [0.0, 0.0])
    assert info.status == Status.OK


def test_a_million_steps_leave_the_covariance_symmetric_and_positive() -> None:
    """What `predict` and `update` do to it, with samples missing at random so that it never comes to rest."""
    joint = smooth_msd(5.0).joint(4)
    P = PCFilter(smooth_msd(5.0)).init().covariance
    present = np.random.default_rng(0).random((1000, 1)) < 0.7
    sensors = [(joint.C * p[:, None], np.where(p, joint.R, 1.0)) for p in present]
    for k in range(1_000_000):
        P = correct(joint.spread(P), *sensors[k % 1000]).covariance
        if k % 50_000 == 0:
            np.testing.assert_array_equal(P, P.T)
            assert np.linalg.eigvalsh(P)[0] > -1e-14
    # It is what another thousand steps from scratch come to: nothing has crept in.
    fresh = PCFilter(smooth_msd(5.0)).init().covariance
    for k in range(4000):
        fresh = correct(joint.spread(fresh), *sensors[k % 1000]).covariance
    np.testing.assert_allclose(P, fresh, atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(1, 3), st.integers(0, 5))
def test_any_model_gives_a_finite_answer_or_an_error_that_names_it(seed: int, n: int, m: int, order: int) -> None:
    rng = np.random.default_rng(seed)
    s = 10.0 ** rng.uniform(-3, 1)
    model = LinearModel(
        rng.standard_normal((n, n)) * 3.0,
        rng.standard_normal((n, 1)),
        rng.standard_normal((m, n)) * rng.integers(0, 2, (m, n)),
        dt=0.1,
        noise_input=rng.standard_normal((n, 1)),
        process_noise=[Smooth(1.0, s)],
        sensor_noise=[Smooth(0.1, s)] * m,
    )
    try:
        filter_ = PCFilter(model, order=order)
    except ModelError as error:
        assert error.name == "model"  # noqa: PT017
        return
    estimate = filter_.run(rng.standard_normal((30, m)), rng.standard_normal((30, 1)))
    assert np.isfinite(estimate.mean).all()
    assert (estimate.std >= 0.0).all()
    belief = filter_.init()
    for y in rng.standard_normal((5, m)):
        belief, _ = filter_.step(belief, y)
    scale = np.sqrt(np.abs(np.diagonal(belief.covariance)))
    assert np.linalg.eigvalsh(belief.covariance)[0] > -1e-9 * scale.max() ** 2


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("batch", [(), (3,)])
def test_predicting_for_ever_without_a_sample_ends_in_a_reset(batch: tuple[int, ...]) -> None:
    filter_ = PCFilter(smooth_cart_pole(2.0), precision="carried")
    belief, _ = filter_.update(filter_.init(batch), np.zeros((*batch, 2)))
    for _ in range(12_000):
        belief = filter_.predict(belief, [1.0])
    belief, info = filter_.update(belief, np.zeros((*batch, 2)))
    assert (info.status == Status.DIVERGED).all()
    assert np.isfinite(belief.mean).all()
    assert np.isfinite(belief.covariance).all()
