"""The classical generalised filter, as published and step after step."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from plants import white_msd

from pcctrl.errors import ModelError, ParameterError, UnknownNameError
from pcctrl.filters import ARKalmanFilter, ColouredKalmanFilter, GeneralisedFilter, LinearFilter, PCFilter, Status
from pcctrl.models import LinearModel
from pcctrl.noise import Smooth, White

RNG = np.random.default_rng(5)
Y, U = 0.3 * RNG.standard_normal((120, 1)), RNG.standard_normal((120, 1))


def published_plant(s: float) -> LinearModel:
    """PUBLISHED section 5."""
    C = np.array([[0.125, 0.1633], [0.125, 0.0676], [0.125, -0.0676], [0.125, -0.1633]])
    sigma = float(np.exp(-4.0))
    return LinearModel(
        np.array([[-0.25, 1.0], [-0.5, -0.25]]),
        np.array([[1.0], [0.0]]),
        C,
        dt=0.1,
        noise_input=np.eye(2),
        process_noise=[Smooth(sigma, s)] * 2,
        sensor_noise=[Smooth(sigma, s, 1e-6)] * 4,
    )


def test_classical_filter_repeats_its_published_error() -> None:
    """Sum of squares over samples 8-312 at s = 0.5 (100 seeds): centred 1.21 ± 0.33, causal 2.0, order 2 2.24."""
    model, seeds, T, dt = published_plant(0.5), 60, 320, 0.1
    sigma = float(np.exp(-4.0))
    rng = np.random.default_rng(0)
    v = np.exp(-0.25 * (dt * np.arange(1, T + 1) - 12.0) ** 2)[:, None]
    w = np.stack([Smooth(sigma, 0.5).sample(rng, T, dt, (seeds,)) for _ in range(2)], axis=-1)
    z = np.stack([Smooth(sigma, 0.5).sample(rng, T, dt, (seeds,)) for _ in range(4)], axis=-1)
    joint = model.white.joint(0)
    x = np.zeros((seeds, T, 2))
    for k in range(T - 1):
        x[:, k + 1] = x[:, k] @ joint.F.T + joint.B @ v[k] + w[:, k] * dt
    u = np.broadcast_to(v, (seeds, T, 1))

    def sse(filter_: GeneralisedFilter | LinearFilter) -> np.ndarray:
        error = filter_.run(x @ model.C.T + z, u).mean - x
        return np.asarray((error[:, 8:312] ** 2).sum(axis=(1, 2)))

    for filter_, published in (
        (GeneralisedFilter(model, embedding="centred"), 1.21),
        (GeneralisedFilter(model), 2.0),
        (GeneralisedFilter(model, order=2, embedding="centred"), 2.24),
    ):
        found = sse(filter_)
        # The published mean of 100 seeds has an error of its own.
        assert abs(found.mean() - published) < 4.0 * found.std() * np.sqrt(1 / seeds + 1 / 100), published
    assert sse(PCFilter(model)).mean() < 0.5


@pytest.mark.parametrize("embedding", ["causal", "centred"])
def test_classical_filter_steps_as_it_runs_and_predicts_what_it_has_not_read(embedding: Any) -> None:
    at = (np.array([0.2, -0.1]), np.array([0.3]), np.array([0.1, 0.0, -0.2, 0.4]))
    model = replace(published_plant(0.5), D=np.full((4, 1), 0.05), operating_point=at)
    filter_ = GeneralisedFilter(model, order=4, embedding=embedding)
    y, u, lag = 0.1 * RNG.standard_normal((40, 4)), RNG.standard_normal((40, 1)), filter_.lag
    y[[0, 9], [2, 1]] = np.nan
    estimate = filter_.run(y, u)
    belief, info = filter_.update(filter_.init(), y[0])
    beliefs, infos = [belief], [info]
    for k in range(1, 40):
        belief, info = filter_.step(belief, y[k], u[k - 1])
        beliefs.append(belief)
        infos.append(info)
    np.testing.assert_allclose(estimate.mean[: 40 - lag], [b.state for b in beliefs[lag:]], atol=1e-12)
    np.testing.assert_allclose(estimate.innovation, [i.innovation for i in infos], atol=1e-12)
    np.testing.assert_allclose(estimate.free_energy, [i.free_energy for i in infos])
    # The plant takes the last belief that has not seen sample k to that sample.
    joint = model.white.joint(0)
    for k in range(lag + 1, 40):
        x = estimate.mean[k - lag - 1] - at[0]
        for j in range(k - lag - 1, k):
            x = joint.F @ x + joint.B @ (u[j] - at[1])
        error = y[k] - at[2] - model.D @ (u[k - 1] - at[1]) - model.C @ x
        np.testing.assert_allclose(estimate.innovation[k], np.nan_to_num(error), atol=1e-12)


def test_classical_filter_survives_missing_samples_and_names_bad_arguments() -> None:
    model = published_plant(0.5)
    filter_ = GeneralisedFilter(model)
    y = 0.01 * RNG.standard_normal((60, 4))
    y[20:23, 1] = np.nan
    estimate = filter_.run(y)
    assert np.isfinite(estimate.mean).all()
    assert (estimate.status[20:23] == Status.PARTIAL).all()
    batch = filter_.run(np.stack([y, 2.0 * y]))
    np.testing.assert_allclose(batch.mean[0], estimate.mean, atol=1e-12)
    with pytest.raises(ModelError, match=r"sensor_noise\[0\]"):
        GeneralisedFilter(white_msd())
    with pytest.raises(ParameterError, match="rate"):
        GeneralisedFilter(model, rate=0.0)
    with pytest.raises(UnknownNameError, match="embedding"):
        GeneralisedFilter(model, embedding="late")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="clock"):
        filter_.predict(filter_.init(), dt=0.3)
    with pytest.raises(ParameterError, match="lags"):
        ARKalmanFilter(model, lags=0)
    with pytest.raises(ParameterError, match="sensor_time_scale"):
        ColouredKalmanFilter(model, sensor_time_scale=-1.0)
    assert GeneralisedFilter(white_msd(), s=0.1).run(Y).mean.shape == (120, 2)
    assert White(std=1.0).correlation_time == 0.0
