"""Where descent on the free energy may end early, and the state noise that is added."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from plants import pendulum

from pcctrl.errors import ParameterError
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
        noisy = replace(filter_, state_noise=[0.25, 0.5])
        belief = filter_.init()
        more = noisy.predict(belief).covariance - filter_.predict(belief).covariance
        want = np.zeros_like(more)
        want[0, 0], want[1, 1] = 0.25, 0.5
        np.testing.assert_allclose(more, want, atol=1e-12)
        with pytest.raises(ParameterError, match="state_noise"):
            replace(filter_, state_noise=-1.0)
    with pytest.raises(ParameterError, match="straightness"):
        NonlinearPCFilter(pendulum(), straightness=-1.0)
