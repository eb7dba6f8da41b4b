"""Descent schemes, outliers, smoothing, and the peers that know of colour."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from plants import smooth_msd, white_msd

from pcctrl.errors import ParameterError
from pcctrl.evaluation import impulse_response, sample_covariance
from pcctrl.filters import ARKalmanFilter, ColouredKalmanFilter, FixedLag, KalmanFilter, LinearFilter, PCFilter, Status
from pcctrl.free_energy import correct, curvature, gradient, minimum, value
from pcctrl.models import LinearModel
from pcctrl.noise import OrnsteinUhlenbeck

RNG = np.random.default_rng(5)
Y, U = 0.3 * RNG.standard_normal((120, 1)), RNG.standard_normal((120, 1))


def test_free_energy_gradient_and_curvature_by_finite_differences() -> None:
    N, m = 5, 2
    root = RNG.standard_normal((N, N))
    P: Any = root @ root.T
    C, R, e = RNG.standard_normal((m, N)), np.array([0.3, 0.7]), RNG.standard_normal(m)
    precision: Any = np.linalg.inv(P)
    way, eps = RNG.standard_normal(N), 1e-5

    def F(d: np.ndarray) -> float:  # noqa: N802
        return float(value(d, e, C, R, precision))

    steps: Any = eps * np.eye(N)
    found = gradient(way, e, C, R, precision)
    np.testing.assert_allclose(found, [(F(way + h) - F(way - h)) / (2 * eps) for h in steps], rtol=1e-6, atol=1e-6)
    correction = correct(P, C, R)
    H = curvature(correction.covariance)
    columns = [
        (gradient(way + h, e, C, R, precision) - gradient(way - h, e, C, R, precision)) / (2 * eps) for h in steps
    ]
    np.testing.assert_allclose(H, np.array(columns).T, rtol=1e-6, atol=1e-6)
    # Bayes' rule is the minimum, and the Laplace term makes F there the evidence.
    best = correction.gain @ e
    np.testing.assert_allclose(gradient(best, e, C, R, precision), 0.0, atol=1e-9)
    dets = [np.linalg.slogdet(M)[1] for M in (np.diag(R), P, H)]
    evidence = F(best) + 0.5 * (dets[0] + dets[1] + dets[2] + m * np.log(2 * np.pi))
    nis = e @ correction.innovation_precision @ e
    assert float(minimum(nis, correction, m)) == pytest.approx(evidence, rel=1e-9)
    S = C @ P @ C.T + np.diag(R)
    np.testing.assert_allclose(correction.innovation_covariance, S)
    np.testing.assert_allclose(correction.innovation_precision, np.linalg.inv(S), rtol=1e-9)
    np.testing.assert_allclose(correction.covariance, np.linalg.inv(precision + C.T @ (C / R[:, None])), rtol=1e-8)


@pytest.mark.parametrize("iterations", [1, 2, 5])
def test_newton_counts_a_sample_once_however_often_it_iterates(iterations: int) -> None:
    want = KalmanFilter(white_msd()).run(Y, U).mean
    found = PCFilter(white_msd(), iterations=iterations).run(Y, U).mean
    np.testing.assert_allclose(found, want, rtol=0.0, atol=1e-9)


@pytest.mark.parametrize("scheme", ["natural", "gradient"])
def test_slower_descent_reaches_the_same_belief(scheme: str) -> None:
    model = white_msd()
    slow = PCFilter(model, scheme=scheme, iterations=100_000, tolerance=1e-10, precision="carried")  # type: ignore[arg-type]
    assert np.linalg.cond(curvature(slow.steady.covariance)) < 1e4
    np.testing.assert_allclose(slow.run(Y, U).mean, PCFilter(model).run(Y, U).mean, rtol=0.0, atol=1e-8)
    belief, _ = slow.update(slow.init(), [0.3])
    _, info = slow.step(belief, [-0.2], [1.0])
    assert info.iterations > 1
    assert info.residual <= 1e-10
    hasty = PCFilter(model, scheme=scheme, iterations=1, rate=0.5)  # type: ignore[arg-type]
    assert np.abs(hasty.run(Y, U).mean - slow.run(Y, U).mean).max() > 1e-3


def test_natural_descent_at_a_rate_of_three_costs_a_per_cent() -> None:
    model = smooth_msd(2.0, 1e-2)
    joint = model.joint(4)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((300, joint.size)) @ np.linalg.cholesky(joint.stationary()).T
    root = np.linalg.cholesky(joint.Q + 1e-16 * np.eye(joint.size))
    xs, ys = [], []
    for _ in range(150):
        xs.append(x[:, :2])
        ys.append(x @ joint.C.T + np.sqrt(joint.R) * rng.standard_normal((300, 1)))
        x = x @ joint.F.T + rng.standard_normal(x.shape) @ root.T
    truth, y = np.stack(xs, axis=1)[:, 50:], np.stack(ys, axis=1)
    errors = [
        np.sqrt(np.mean((PCFilter(model, scheme=s).run(y).mean[:, 50:] - truth) ** 2)) for s in ("newton", "natural")
    ]
    assert 1.0 <= errors[1] / errors[0] < 1.01


def test_an_outlier_is_doubted_and_a_push_is_believed_after_three_samples() -> None:
    model = white_msd()
    careful = PCFilter(model, outlier_threshold=12.0)
    belief = careful.init()
    for _ in range(60):
        belief, info = careful.step(belief, [0.0])
    assert info.status == Status.OK
    spiked, info = careful.step(belief, [3.0])
    trusting, _ = PCFilter(model).step(belief, [3.0])
    assert info.status == Status.OUTLIER
    assert abs(spiked.state[0]) < 0.25 * abs(trusting.state[0])
    statuses = []
    for _ in range(6):
        belief, info = careful.step(belief, [3.0])
        statuses.append(Status(int(info.status)))
    assert statuses[:4] == [Status.OUTLIER] * 3 + [Status.SURPRISE]
    assert belief.state[0] > 1.0


def test_an_outlier_that_comes_when_a_surprise_would_be_believed_is_doubted_still() -> None:
    """Three surprises that a chance fluctuation explains, then an outlier: it is no continuation of them."""
    model = white_msd()
    careful = PCFilter(model, outlier_threshold=12.0)
    belief = careful.init()
    for _ in range(60):
        belief, _ = careful.step(belief, [0.0])
    statuses = []
    for y in (1.0, 1.1, 1.2, 20.0, 1.4, 1.4):
        belief, info = careful.step(belief, [y])
        statuses.append(Status(int(info.status)))
    assert statuses == [Status.OUTLIER] * 4 + [Status.SURPRISE] * 2
    assert belief.state[0] < 2.0
    # Whatever grows on and on is believed in the end.
    belief, statuses = careful.init(), []
    for k in range(8):
        belief, info = careful.step(belief, [3.0 * 3.0**k])
        statuses.append(Status(int(info.status)))
    assert statuses.index(Status.SURPRISE) == 6
    # Not even jumps that come and go are doubted for ever.
    belief, statuses = careful.init(), []
    for k in range(30):
        belief, info = careful.step(belief, [1e3 if k % 2 else -1e6])
        statuses.append(Status(int(info.status)))
    assert statuses.count(Status.OUTLIER) <= 6
    # A missing sample in between makes no difference.
    belief, statuses = careful.init(), []
    for y in (3.0, np.nan, 3.0, np.nan, 3.0, np.nan, 3.0):
        belief, info = careful.step(belief, [y])
        statuses.append(Status(int(info.status)))
    assert statuses[::2] == [Status.OUTLIER] * 3 + [Status.SURPRISE]


def test_without_outliers_the_rule_changes_nothing() -> None:
    quiet = 0.05 * Y
    a, b = (PCFilter(white_msd(), outlier_threshold=t).run(quiet).mean for t in (None, 1e6))
    np.testing.assert_allclose(a, b, rtol=0.0, atol=1e-9)


def test_smoothing_two_ways_agrees_with_conditioning_on_more_data() -> None:
    filter_ = PCFilter(smooth_msd())
    y = Y[:40].copy()
    y[10:13] = np.nan
    whole = filter_.smooth(y, U[:40])
    longest = FixedLag(filter_, 39).run(y, U[:40])
    np.testing.assert_allclose(longest.mean[0], whole.mean[0], atol=1e-7)
    np.testing.assert_allclose(longest.std[0], whole.std[0], atol=1e-7)
    for lag in (1, 5):
        aligned = FixedLag(filter_, lag).run(y, U[:40])
        part = filter_.smooth(y[: 9 + lag], U[: 9 + lag])
        np.testing.assert_allclose(aligned.mean[8], part.mean[8], atol=1e-7)
        np.testing.assert_allclose(aligned.mean[-1], filter_.run(y, U[:40]).mean[-1], atol=1e-7)
    np.testing.assert_allclose(FixedLag(filter_, 0).run(y).mean, filter_.run(y).mean)
    # Waiting helps, and never makes less sure.
    assert (whole.std <= filter_.run(y, U[:40]).std + 1e-9).all()
    with pytest.raises(ParameterError, match="lag"):
        FixedLag(filter_, -1)


def ratio(filter_: LinearFilter, model: LinearModel) -> float:
    moments = sample_covariance(model)
    return moments.score(moments.error(impulse_response(filter_))) / moments.score(moments.limit())


def test_peers_stand_between_kalman_and_the_limit() -> None:
    model = smooth_msd()
    kalman, first, ar, pc = (
        ratio(f, model)
        for f in (KalmanFilter(model), ColouredKalmanFilter(model), ARKalmanFilter(model), PCFilter(model))
    )
    assert 1.0 <= pc < ar < first < kalman
    assert ar < 1.05


def test_peers_are_exact_where_their_model_is_true() -> None:
    rough = replace(
        white_msd(), process_noise=[OrnsteinUhlenbeck(1.0, 0.3)], sensor_noise=[OrnsteinUhlenbeck(0.1, 0.5, 1e-2)]
    )
    assert ratio(ColouredKalmanFilter(rough), rough) == pytest.approx(1.0, abs=1e-6)
    np.testing.assert_allclose(ColouredKalmanFilter(rough).run(Y, U).mean, PCFilter(rough).run(Y, U).mean, atol=1e-8)
    # A sampled Ornstein-Uhlenbeck sensor noise is AR(1).
    sensor = replace(white_msd(), sensor_noise=[OrnsteinUhlenbeck(0.1, 0.5, 1e-2)])
    np.testing.assert_allclose(
        ARKalmanFilter(sensor, lags=1).run(Y, U).mean, PCFilter(sensor).run(Y, U).mean, atol=1e-4
    )
    for peer in (ColouredKalmanFilter, ARKalmanFilter):
        np.testing.assert_allclose(
            peer(white_msd()).run(Y, U).mean, KalmanFilter(white_msd()).run(Y, U).mean, rtol=0.0, atol=1e-9
        )
