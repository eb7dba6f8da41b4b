"""Tuning of the classical filters on their exact error, as their users would tune them if they could."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from pcctrl.arrays import Array, as_array
from pcctrl.evaluation.limit import impulse_response, sample_covariance
from pcctrl.filters import ColouredKalmanFilter, KalmanFilter
from pcctrl.tuning.search import Tuned, scattered, search

if TYPE_CHECKING:
    from collections.abc import Callable

    from pcctrl.filters import LinearFilter
    from pcctrl.models import LinearModel

__all__ = ["coloured_of", "kalman_of", "tune_coloured", "tune_kalman"]


def kalman_of(model: LinearModel, values: Array) -> KalmanFilter:
    """Return the Kalman filter of log-factors: on Q, on Q's diagonal (n) that is added to it, and on each R (m).

    Raises:
        ShapeError: ``values`` is not (1 + n + m,).
    """
    n = len(model.A)
    factors = np.exp(as_array("values", values, (1 + n + len(model.C),)))
    return KalmanFilter(model, float(factors[0]), factors[1 + n :], factors[1 : 1 + n] * _diagonal(model))


def coloured_of(model: LinearModel, values: Array) -> ColouredKalmanFilter:
    """Return the first-order coloured filter of log-factors: on sensors, floors, both times, and the diagonal (n).

    The diagonal is what is added to Q, as in `kalman_of`. The process noise needs no factor: a steady gain depends on
    ratios of variances only.

    Raises:
        ShapeError: ``values`` is not (4 + n,).
    """
    n = len(model.A)
    factors = np.exp(as_array("values", values, (4 + n,)))
    sensor, floor, process_time, sensor_time = factors[:4].tolist()
    return ColouredKalmanFilter(model, 1.0, sensor, floor, process_time, sensor_time, factors[4:] * _diagonal(model))


def _diagonal(model: LinearModel) -> Array:
    """Return the variance (n,) that white process noise gives each state in a sample, a little to the others."""
    diagonal = np.diagonal(model.white.joint(0).Q)[: len(model.A)]
    return np.asarray(np.maximum(diagonal, 1e-6 * diagonal.max()))


def tune_kalman(model: LinearModel, *, starts: int = 12, evaluations: int = 1000, seed: int = 0) -> Tuned:
    """Tune a Kalman filter over Q (scale and diagonal) and R of each sensor, for the noise of ``model``.

    What is minimised is `SampleCovariance.score`, the root mean square error of the states in their own standard
    deviations, exactly.

    Args:
        model: a stable plant; its noises are the truth, the filter takes them for white.
        starts: from the untuned filter, then from log-normal factors around it (standard deviation 2).
        evaluations: at most so many from each start (Nelder-Mead), and so many again from the best.
        seed: of the starts.

    Raises:
        ModelError: the plant is not stable, or the model is of discrete time.
        ParameterError: no starts or evaluations.
    """
    n, m = len(model.A), len(model.C)
    score = _score_of(model, kalman_of)

    def whole(values: Array) -> Array:
        # A steady gain depends on ratios of variances only: the first sensor's can stay as told.
        return np.insert(values, 1 + n, 0.0)

    # The added diagonal starts small: it is Q's own scale that the untuned filter has right.
    centre = np.r_[0.0, np.full(n, -3.0), np.zeros(m - 1)]
    found = search(lambda values: score(whole(values)), scattered(centre, starts, seed), evaluations)
    return replace(found, values=whole(found.values))


def tune_coloured(model: LinearModel, *, starts: int = 12, evaluations: int = 1000, seed: int = 0) -> Tuned:
    """Tune a Kalman filter with first-order shaping filters over its scales (see `coloured_of`), as `tune_kalman` does.

    Args:
        model: a stable plant; its noises are the truth.
        starts: as for `tune_kalman`.
        evaluations: as for `tune_kalman`.
        seed: of the starts.

    Raises:
        ModelError, ParameterError: as `tune_kalman`.
    """
    centre = np.r_[np.zeros(4), np.full(len(model.A), -6.0)]
    return search(_score_of(model, coloured_of), scattered(centre, starts, seed), evaluations)


def _score_of(model: LinearModel, build: Callable[[LinearModel, Array], LinearFilter]) -> Callable[[Array], float]:
    """Return the exact score as a function of a filter's parameters."""
    moments = sample_covariance(model)
    return lambda values: moments.score(moments.error(impulse_response(build(model, values))))
