"""Where descent on the free energy may end early, and the state noise that is added."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from plants import as_nonlinear, pendulum, white_msd

from pcctrl.errors import ParameterError, UnknownNameError
from pcctrl.filters import NonlinearPCFilter, Status, UnscentedKalmanFilter
from pcctrl.models import NonlinearModel
from pcctrl.noise import White

Array = NDArray[np.float64]


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


def test_probing_lies_between_derivatives_and_sigma_points() -> None:
    """All states probed are sigma points; a narrow belief, or a linear model, makes them all alike."""
    bent, flat = pendulum(0.0), as_nonlinear(white_msd())
    for model, P in ((bent, np.array([[1.0, 0.3], [0.3, 0.4]])), (bent, 1e-6 * np.eye(2)), (flat, np.eye(2))):
        probing = NonlinearPCFilter(model, None, probe=model.states or ())
        jacobian, sigma = replace(probing, probe=()), replace(probing, prediction="sigma", probe=())
        assert probing.joint.size == 2
        ahead = [f.predict(f.init(mean=[1.5, 0.3], covariance=P), [0.2]) for f in (probing, jacobian, sigma)]
        np.testing.assert_allclose(ahead[0].covariance, ahead[2].covariance, atol=1e-10)
        np.testing.assert_allclose(ahead[0].mean, ahead[2].mean, atol=1e-10)
        same = P[0, 0] < 1e-3 or model is flat
        assert (np.abs(ahead[1].mean - ahead[2].mean).max() < 1e-6) == same
        # A smoother goes back the way that the prediction came.
        beliefs = [f.init(mean=[1.5, 0.3], covariance=P) for f in (probing, sigma)]
        across = [f._across(b, b.input) for f, b in zip((probing, sigma), beliefs, strict=True)]
        np.testing.assert_allclose(across[0], across[1], atol=1e-10)


def test_probing_one_state_takes_what_goes_with_it_along() -> None:
    """Against Monte Carlo: the bent angle is probed, the rate, in which the pendulum is straight, need not be."""
    probing = NonlinearPCFilter(pendulum(0.0), None, probe="x0")
    mean, P = np.array([1.5, 0.3]), np.array([[0.25, 0.12], [0.12, 0.2]])
    x = mean + np.random.default_rng(0).standard_normal((40_000, 2)) @ np.linalg.cholesky(P).T
    ends = pendulum(0.0).transition(x, [0.2])
    belief = probing.predict(probing.init(mean=mean, covariance=P), [0.2])
    error = 4.0 * ends.std(axis=0) / len(x) ** 0.5
    assert (np.abs(belief.mean - ends.mean(axis=0)) < error + 5e-3).all()
    spread = belief.covariance - probing.joint.driven(mean, np.array([0.2]))
    np.testing.assert_allclose(spread, np.cov(ends.T), atol=0.01)
    # Negative control: by derivatives the mean is off by far more.
    plain = replace(probing, probe=())
    assert np.abs(plain.predict(plain.init(mean=mean, covariance=P), [0.2]).mean - ends.mean(axis=0)).max() > 0.02


def test_probing_in_a_batch_is_each_member_by_itself() -> None:
    probing = NonlinearPCFilter(pendulum(), probe=pendulum().states or ())
    covariances = (1e-4 * np.eye(2), np.diag([1.0, 1e-4]), np.full((2, 2), 0.25))
    P = np.array([probing.init(covariance=c).covariance for c in covariances])
    both = replace(probing.init((3,), mean=[[0.9, 0.3], [1.5, 0.3], [1.5, 0.3]]), covariance=P)
    batch = probing.predict(both)
    for k in range(3):
        one = probing.predict(replace(both, mean=both.mean[k], covariance=P[k]))
        np.testing.assert_allclose(batch.covariance[k], one.covariance, atol=1e-12)
        np.testing.assert_allclose(batch.mean[k], one.mean, atol=1e-12)
    # One that is not finite is lost alone.
    P[1] = np.nan
    lost = probing.predict(replace(both, covariance=P))
    assert np.isnan(lost.covariance[1]).any()
    np.testing.assert_allclose(lost.mean[[0, 2]], batch.mean[[0, 2]], atol=1e-12)
    with pytest.raises(UnknownNameError, match="probe"):
        replace(probing, probe="elbow")


def test_a_probed_height_feels_the_ground_that_derivatives_do_not() -> None:
    """A ball one standard deviation above stiff ground: its derivatives are those of the air."""
    dt, stiffness = 0.01, 2e3

    def fall(x: Array, u: Array, w: Array) -> Array:
        push = stiffness * np.maximum(-x[..., :1], 0.0) - 9.81 + u + w
        return np.concatenate([x[..., :1] + dt * x[..., 1:], x[..., 1:] + dt * push], axis=-1)

    noise: dict[str, Any] = {"process_noise": [White(density=1e-3)], "sensor_noise": [White(std=0.1)], "dt": dt}
    given: dict[str, Any] = {"operating_point": ([0.01, 0.0], [9.81]), "prior": np.diag([1e-4, 1e-2])}
    model = NonlinearModel(fall, lambda x, u: x[..., :1] + 0.0 * u, time="discrete", **noise, **given)
    probing = NonlinearPCFilter(model, None, probe="x0")
    belief, plain = (f.predict(f.init(), [0.0]) for f in (probing, replace(probing, probe=())))
    x = np.array([0.01, 0.0]) + np.array([1e-2, 0.1]) * np.random.default_rng(0).standard_normal((40_000, 2))
    rates = fall(x, np.zeros(1), np.zeros(1))[:, 1]
    miss = [abs(b.mean[1] - rates.mean()) for b in (belief, plain)]
    assert miss[0] < 0.6 * miss[1]
    # Between height and rate, which is how a foot that strikes tells the height: to what three points can know.
    across = [f._across(f.init(), np.zeros(1))[0, 1] for f in (probing, replace(probing, probe=()))]
    np.testing.assert_allclose(across[0], np.cov(x[:, 0], rates)[0, 1], rtol=0.4)
    assert abs(across[1]) < 1e-9


def test_a_filter_that_remembers_probes_its_present_state() -> None:
    probing = NonlinearPCFilter(pendulum(0.0, prior=np.diag([0.5, 0.1])), None, probe="x0")
    long = probing.remembering(2)
    now = slice(long.joint.now, long.joint.now + 2)
    assert now.start > 0
    belief, want = long.init(), probing.init()
    for _ in range(3):
        belief, want = long.predict(belief, [0.5]), probing.predict(want, [0.5])
    np.testing.assert_allclose(belief.mean[now], want.mean, atol=1e-9)
    np.testing.assert_allclose(belief.covariance[now, now], want.covariance, atol=1e-9)
    plain = replace(probing, probe=())
    assert (
        np.abs(plain.predict(plain.init(), [0.5]).covariance - probing.predict(probing.init(), [0.5]).covariance).max()
        > 1e-3
    )
