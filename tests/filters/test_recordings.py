"""Whole recordings and batches of them are steps, one after another."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from plants import smooth_msd

from pcctrl.filters import PCFilter, Status

RNG = np.random.default_rng(5)
Y, U = 0.3 * RNG.standard_normal((400, 1)), RNG.standard_normal((400, 1))


def test_batch_equals_singles_whatever_is_missing() -> None:
    y = np.stack([Y[:80], 2.0 * Y[:80], -Y[:80]])
    y[1, 20:30] = np.nan
    y[2, 50] = np.inf
    filter_ = PCFilter(smooth_msd())
    together = filter_.run(y, U[:80])
    for i in range(3):
        alone = filter_.run(y[i], U[:80])
        np.testing.assert_allclose(together.mean[i], alone.mean, rtol=1e-7, atol=1e-8)
        np.testing.assert_allclose(together.std[i], alone.std, rtol=1e-7, atol=1e-8)
        np.testing.assert_allclose(together.free_energy[i], alone.free_energy, rtol=1e-6)
        np.testing.assert_array_equal(together.status[i], alone.status)


def test_a_batch_keeps_once_what_its_members_share() -> None:
    """Until a member misses a sample: from there on each has its own, and the others' stay what they were."""
    filter_, shared = PCFilter(smooth_msd()), ("std", "innovation_std", "status")
    y = np.stack([Y[:120], 2.0 * Y[:120], -Y[:120]])
    whole = filter_.run(y, U[:120])
    y[1, 60] = np.nan
    apart = filter_.run(y, U[:120])
    for name in shared:
        view, own = getattr(whole, name), getattr(apart, name)
        assert view.shape == own.shape
        assert view.strides[0] == 0
        assert own.strides[0] != 0
        np.testing.assert_array_equal(own[:, :60], view[:, :60])
        np.testing.assert_allclose(own[[0, 2]], view[[0, 2]], rtol=1e-7)
        with pytest.raises(ValueError, match="read-only"):
            view[0, 0] = 0
    assert (apart.std[1, 60] > 1.01 * whole.std[1, 60]).all()
    assert apart.status[1, 60] == Status.BLIND
    assert np.count_nonzero(apart.status) == 1


@pytest.mark.parametrize("precision", ["steady", "carried"])
def test_kept_gains_are_those_of_a_fresh_filter(precision: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the filter has met before, and however few of them it may keep; not from another prior."""
    fresh = PCFilter(smooth_msd(), precision=precision).run(Y, U)
    for most in (2**20, 15_000, 0):
        monkeypatch.setattr("pcctrl.filters.recording._KEPT", most)
        filter_ = PCFilter(smooth_msd(), precision=precision)
        other = filter_.init(covariance=np.eye(2))
        for length in (5, 90, 400, 90):
            filter_.run(Y[:length], U[:length], other)
            found = filter_.run(Y[:length], U[:length])
            for name in ("mean", "std", "nis", "innovation_std"):
                np.testing.assert_allclose(getattr(found, name), getattr(fresh, name)[:length], rtol=1e-9, atol=1e-12)
        assert (most > 0) == (len(filter_._opening.gain) > 1)
        assert filter_._opening.covariance.size <= max(most, filter_.joint.size**2)
        assert np.abs(filter_.run(Y, U, other).std[:5] - fresh.std[:5]).max() > 1e-3


@pytest.mark.parametrize("precision", ["steady", "carried"])
def test_run_is_step_after_step(precision: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch with an operating point and missing samples, in blocks that end anywhere."""
    monkeypatch.setattr("pcctrl.filters.recording._BLOCK", 500)
    at = (np.array([0.25, 0.0]), np.array([1.0]), np.array([7.0]))
    model = replace(smooth_msd(), D=np.array([[0.3]]), operating_point=at)
    filter_ = PCFilter(model, precision=precision)
    rng = np.random.default_rng(0)
    y, u = 7.0 + 0.1 * rng.standard_normal((2, 3, 400, 1)), 1.0 + rng.standard_normal((2, 3, 400, 1))
    y[1, 2, 50], y[0, 0, 370:373], y[0, 1, 375] = np.nan, np.inf, 1e200
    found = filter_.run(y, u)
    belief = filter_.init((2, 3))
    for k in range(400):
        if k:
            belief = filter_.predict(belief, u[..., k - 1, :])
        belief, info = filter_.update(belief, y[..., k, :])
        for name, want in (("mean", belief.state), ("std", belief.std), ("innovation", info.innovation)):
            np.testing.assert_allclose(getattr(found, name)[..., k, :], want, rtol=1e-7, atol=1e-9)
        for name in ("nis", "free_energy", "status"):
            np.testing.assert_allclose(getattr(found, name)[..., k], getattr(info, name), rtol=1e-6, atol=1e-8)
