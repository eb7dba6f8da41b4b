"""Tuned filters: better than untuned, never better than the limit, and honest about their budget."""

from __future__ import annotations

import numpy as np
import pytest
from plants import smooth_cart_pole, smooth_msd, white_msd

from pcctrl.errors import ModelError, ParameterError, ShapeError
from pcctrl.evaluation import impulse_response, sample_covariance
from pcctrl.filters import ColouredKalmanFilter, KalmanFilter, LinearFilter
from pcctrl.models import LinearModel
from pcctrl.tuning import coloured_of, kalman_of, tune_coloured, tune_kalman
from pcctrl.tuning.search import search


def limit_and_scores(model: LinearModel, *filters: LinearFilter) -> tuple[float, list[float]]:
    moments = sample_covariance(model)
    return moments.score(moments.limit()), [moments.score(moments.error(impulse_response(f))) for f in filters]


def test_tuning_helps_in_smooth_noise_and_stops_at_the_limit() -> None:
    model = smooth_msd()
    kalman, coloured = tune_kalman(model, starts=6, evaluations=400), tune_coloured(model, starts=2, evaluations=200)
    limit, (k, k_tuned, c, c_tuned) = limit_and_scores(
        model,
        *(KalmanFilter(model), kalman_of(model, kalman.values)),
        *(ColouredKalmanFilter(model), coloured_of(model, coloured.values)),
    )
    assert limit < k_tuned < 0.9 * k
    assert limit < c_tuned < 0.995 * c
    assert kalman.cost == pytest.approx(k_tuned, rel=1e-9)
    assert coloured.cost == pytest.approx(c_tuned, rel=1e-9)
    # A hundred other Kalman filters are no better (negative control for the search), and a start is not enough.
    rng = np.random.default_rng(0)
    others = [kalman_of(model, kalman.values + rng.normal(0.0, 2.0, 4)) for _ in range(100)]
    assert min(limit_and_scores(model, *others)[1]) > k_tuned - 1e-6
    assert max(kalman.costs) > 1.03 * kalman.cost
    assert kalman.budget().startswith("6 starts, ")
    assert kalman.evaluations <= 7 * 401


def test_in_white_noise_tuning_changes_nothing() -> None:
    model = white_msd()
    limit, _ = limit_and_scores(model)
    for found in (tune_kalman(model, starts=2, evaluations=300), tune_coloured(model, starts=2, evaluations=100)):
        assert 1.0 - 1e-9 <= found.cost / limit <= 1.001


def test_the_zeros_are_the_untuned_filters() -> None:
    model = smooth_msd()
    np.testing.assert_allclose(
        coloured_of(model, np.r_[np.zeros(4), -60.0, -60.0]).steady.gain,
        ColouredKalmanFilter(model).steady.gain,
        rtol=1e-9,
    )
    nothing_added = np.r_[0.0, -60.0, -60.0, 0.0]
    np.testing.assert_allclose(kalman_of(model, nothing_added).steady.gain, KalmanFilter(model).steady.gain, rtol=1e-9)
    for build in (kalman_of, coloured_of):
        with pytest.raises(ShapeError, match="values"):
            build(model, np.zeros(7))


def test_the_search_takes_what_does_not_exist_for_worse_and_says_when_nothing_does() -> None:
    def cost(values: np.ndarray) -> float:
        if values[0] < 1.0:
            raise ModelError(name="model", expected="more than 1", received=values[0])
        return float(values[0])

    assert search(cost, [np.array([3.0])], 200).cost == pytest.approx(1.0, abs=1e-2)
    with pytest.raises(ModelError, match="none of 2"):
        search(lambda _: float("nan"), [np.zeros(1), np.ones(1)], 10)
    with pytest.raises(ParameterError, match="evaluations"):
        tune_kalman(white_msd(), evaluations=0)
    with pytest.raises(ModelError, match="stable"):
        tune_kalman(smooth_cart_pole(2.0))
