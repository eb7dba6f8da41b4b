r"""The physical limit of estimation: dense Gaussian conditioning on the past, with no state space in it.

For a stable plant in continuous time the covariances of states and samples follow from the spectra alone,
:math:`R_x(\tau) = \frac1{2\pi}\int |H(i\omega)|^2 S_w(\omega) e^{i\omega\tau} d\omega` with
:math:`H = (i\omega - A)^{-1}G`. Conditioning the state on the last L samples is the best that any causal method can do;
the error of any linear filter follows from its impulse response. Source: DESIGN §5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy.linalg

from pcctrl.arrays import Array
from pcctrl.errors import ModelError
from pcctrl.linalg import discretise, stationary_covariance

if TYPE_CHECKING:
    from pcctrl.filters import LinearFilter
    from pcctrl.models import LinearModel

__all__ = ["SampleCovariance", "impulse_response", "sample_covariance"]

_OVERSAMPLING = 32


@dataclass(frozen=True, eq=False)
class SampleCovariance:
    """Second moments of a state and the samples up to it, newest first.

    Args:
        state: Var x (n, n).
        cross: Cov(x, [y_k, y_{k-1}, …]) (n, L·m).
        samples: Var [y_k, y_{k-1}, …] (L·m, L·m).
    """

    state: Array
    cross: Array
    samples: Array

    def limit(self) -> Array:
        """Return the error covariance (n, n) of the best estimate."""
        weights = scipy.linalg.solve(self.samples, self.cross.T, assume_a="pos").T
        return np.asarray(self.state - weights @ self.cross.T)

    def error(self, weights: Array) -> Array:
        """Return the error covariance (n, n) of the estimate ``weights`` (n, L·m) @ samples."""
        mixed = weights @ self.cross.T
        return np.asarray(self.state - mixed - mixed.T + weights @ self.samples @ weights.T)

    def score(self, error: Array) -> float:
        """Return √ mean_i (P_ii / Var x_i) of an error covariance: 1 for no estimate at all."""
        return float(np.sqrt(np.mean(np.diagonal(error) / np.diagonal(self.state))))


def sample_covariance(model: LinearModel, lags: int = 320) -> SampleCovariance:
    """Return the exact second moments of ``model`` over the last ``lags`` samples.

    Raises:
        ModelError: the plant is not stable, or the model is of discrete time or has delays or a noise output.
    """
    slowest = float(np.linalg.eigvals(model.A).real.max(initial=-np.inf))
    if model.substeps is not None or model.delay is not None or model.noise_outputs.any() or slowest >= 0.0:
        expected = "a stable plant in continuous time, without delays or a noise output"
        raise ModelError(name="model", expected=expected, received=f"a mode with real part {slowest:.3g}")
    R = _state_autocovariance(model, lags, slowest)
    C, dt, m = model.C, model.dt, len(model.C)
    noise = np.stack([z.autocovariance(np.arange(float(lags)) * dt) for z in model.sensor_noise])
    noise[:, 0] = [z.variance + z.sensor_floor for z in model.sensor_noise]
    blocks = C @ R @ C.T + np.einsum("il,ij->lij", noise, np.eye(m))
    index = np.arange(lags)
    lag = index[None, :] - index[:, None]
    full = np.where((lag >= 0)[:, :, None, None], blocks[np.abs(lag)], blocks[np.abs(lag)].swapaxes(-1, -2))
    return SampleCovariance(
        state=R[0],
        cross=np.concatenate(list(R @ C.T), axis=1),
        samples=full.transpose(0, 2, 1, 3).reshape(lags * m, lags * m),
    )


def impulse_response(filter_: LinearFilter, lags: int = 320) -> Array:
    """Return the weights (n, lags·m), newest first, of a steady filter's estimate on the samples."""
    joint, K = filter_.joint, filter_.steady.gain
    advance = (np.eye(joint.size) - K @ joint.C) @ joint.F
    response, power = K, advance
    while response.shape[1] < lags * K.shape[1]:
        response = np.hstack([response, power @ response])
        power = power @ power
    return np.asarray(response[: joint.plant, : lags * K.shape[1]])


def _state_autocovariance(model: LinearModel, lags: int, slowest: float) -> Array:
    """Return E x(t + l·dt) x(t)ᵀ for l = 0 … lags - 1, (lags, n, n)."""
    n, dt = len(model.A), model.dt
    # White process noise has slowly falling spectra but a finite state: Lyapunov.
    white = model.noise_input * np.array([w.density for w in model.process_noise])
    F, _, Q = discretise(model.A, np.zeros((n, 0)), white @ white.T, dt)
    R = np.empty((lags, n, n))
    R[0] = stationary_covariance(F, Q)
    for k in range(1, lags):
        R[k] = F @ R[k - 1]

    coloured = [i for i, w in enumerate(model.process_noise) if w.variance > 0.0]
    memory = 40.0 / -slowest + 2.0 * lags * dt
    size = scipy.fft.next_fast_len(int(np.ceil(memory / dt)) * _OVERSAMPLING, real=True)
    size += size % 2
    step = dt / _OVERSAMPLING
    omega = np.asarray(2.0 * np.pi * np.fft.rfftfreq(size, step), dtype=np.float64)
    for i in coloured:
        H = np.linalg.solve(1j * omega[:, None, None] * np.eye(n) - model.A, model.noise_input[:, i, None])[..., 0]
        S = model.process_noise[i].spectral_density(omega) - model.process_noise[i].density ** 2
        cross = H[:, :, None] * H[:, None, :].conj() * S[:, None, None]
        R += np.fft.irfft(cross, n=size, axis=0)[: lags * _OVERSAMPLING : _OVERSAMPLING] / step
    return R
