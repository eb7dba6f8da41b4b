"""Where descent on the free energy may end early, and the state noise that is added."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from plants import pendulum

from pcctrl.errors import ParameterError, UnknownNameError
from pcctrl.filters import NonlinearPCFilter, Status, UnscentedKalmanFilter


def test_descent_ends_early_where_the_sensors_keep_their_promise() -> None:
    """A linear sensor needs one step in place of two, a bent one no more than before, and both end where they did."""
    for model, steps in ((pendulum(sine=False), 1), (pendulum(), None)):
        early = NonlinearPCFilter(model, iterations=20, tolerance=1e-3, straightness=1e-3)
        full = replace(early, straightness=0.0)
        prior = full.predict(full.init(mean=[0.9, 0.3], covariance=[[0.3, 0.1], [0.1, 0.5]]), [0.5])
        (belief, info), (other, plain) = (f.update(prior, [0.2]) for f in (early, full))
        assert info.status == plain.status == Status.OK
        assert plain.iterations >= 2
        assert info.iterations == (steps or info.iterations) <= plain.iterations
        np.testing.assert_allclose(belief.state, other.state, atol=2e-3 * float(other.std.max()))
    # Negative control: a promise that is hardly one ends it elsewhere.
    rash, _ = replace(early, straightness=1e6).update(prior, [0.2])
    assert np.abs(rash.state - other.state).max() > 1e-2 * float(other.std.max())


def test_added_state_noise_is_added() -> None:
    for filter_ in (NonlinearPCFilter(pendulum(), prediction="sigma"), UnscentedKalmanFilter(pendulum())):
        noisy = replace(filter_, state_noise=np.array([0.25, 0.5]))
        belief = filter_.init()
        more = noisy.predict(belief).covariance - filter_.predict(belief).covariance
        want = np.zeros_like(more)
        want[0, 0], want[1, 1] = 0.25, 0.5
        np.testing.assert_allclose(more, want, atol=1e-12)
        with pytest.raises(ParameterError, match="state_noise"):
            replace(filter_, state_noise=-1.0)
    with pytest.raises(ParameterError, match="straightness"):
        NonlinearPCFilter(pendulum(), straightness=-1.0)


def test_probing_is_by_derivatives_where_they_hold_and_by_sigma_points_where_not() -> None:
    probing = NonlinearPCFilter(pendulum(), probe=pendulum().states or ())
    forms = [replace(probing, probe=()), replace(probing, prediction="sigma", probe=())]
    jacobian, sigma = (f.predict(f.init(mean=[0.9, 0.3], covariance=1e-4 * np.eye(2))) for f in forms)
    narrow = probing.predict(probing.init(mean=[0.9, 0.3], covariance=1e-4 * np.eye(2)))
    np.testing.assert_array_equal(narrow.covariance, jacobian.covariance)
    assert np.abs(sigma.covariance - jacobian.covariance).max() > 0.0
    # At its most bent, and wide; in a batch each member is its own.
    wide = [f.predict(f.init(mean=[1.5, 0.3], covariance=np.diag([1.0, 1e-4]))) for f in (probing, *forms)]
    np.testing.assert_allclose(wide[0].covariance, wide[2].covariance, atol=1e-12)
    assert np.abs(wide[2].mean - wide[1].mean).max() > 1e-2
    N = narrow.covariance.shape[-1]
    both = probing.init((2,), mean=[[0.9, 0.3], [1.5, 0.3]])
    P = np.array([probing.init(covariance=c).covariance for c in (1e-4 * np.eye(2), np.diag([1.0, 1e-4]))])
    batch = probing.predict(replace(both, covariance=P))
    assert batch.covariance.shape == (2, N, N)
    np.testing.assert_allclose(batch.covariance, [narrow.covariance, wide[0].covariance], atol=1e-12)
    np.testing.assert_allclose(batch.mean, [narrow.mean, wide[0].mean], atol=1e-12)
    # A smoother goes back the way that the prediction came.
    for c, form in ((1e-4 * np.eye(2), forms[0]), (np.diag([1.0, 1e-4]), forms[1])):
        belief = probing.init(mean=[1.5, 0.3] if form is forms[1] else [0.9, 0.3], covariance=c)
        np.testing.assert_allclose(
            probing._across(belief, belief.input), form._across(belief, belief.input), atol=1e-12
        )
    with pytest.raises(UnknownNameError, match="probe"):
        replace(probing, probe="elbow")
