"""Whole recordings: filtered as fast as the gain allows, and smoothed."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import ArrayLike

from pcctrl.arrays import Array, as_floats, choose, vectors
from pcctrl.errors import ParameterError, ShapeError
from pcctrl.filters.belief import ABSURD, Belief, Estimate
from pcctrl.free_energy import Correction, correct, minimum

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pcctrl.filters.linear import LinearFilter
    from pcctrl.filters.nonlinear import NonlinearFilter

__all__ = ["check_recording", "readings", "run", "smooth"]

# Numbers in a block of samples that are filtered together: two megabytes.
_BLOCK = 2**18
# Samples in a block before the gain is steady, each with matrices of its own.
_TRANSIENT = 64


def readings(y: ArrayLike, sensors: Sequence[str] | None, known: Sequence[str]) -> Array:
    """Return the readings (..., m) of all the ``known`` sensors, of which those of ``sensors`` are given, or all.

    Raises:
        ShapeError: the last dimension of y is another.
        UnknownNameError: no sensor has that name.
    """
    if sensors is None:
        return vectors("y", y, len(known))
    index = [list(known).index(choose("sensors", name, known)) for name in sensors]
    some = vectors("y", y, len(index))
    every = np.full((*some.shape[:-1], len(known)), np.nan)
    every[..., index] = some
    return every


def check_recording(y: ArrayLike, u: ArrayLike | None, sensors: int, rest: Array) -> tuple[Array, Array]:
    """Return y (..., T, m) and u (..., T, p) as arrays; no u is the resting input ``rest`` (p,) throughout.

    Raises:
        ShapeError: a wrong shape.
        ParameterError: y is NaN throughout, or u is not finite.
    """
    y = as_floats("y", y, f"(..., T, {sensors})")
    if y.ndim < 2 or y.shape[-1] != sensors or y.shape[-2] < 1:
        raise ShapeError(name="y", expected=f"(..., T, {sensors})", received=f"shape {y.shape}")
    if not np.isfinite(y).any():
        raise ParameterError(name="y", expected="some finite sample", received="none")
    T, p = y.shape[-2], len(rest)
    u = np.zeros((T, p)) + rest if u is None else as_floats("u", u, f"(..., {T}, {p})")
    if u.ndim < 2 or u.shape[-2:] != (T, p):
        raise ShapeError(name="u", expected=f"(..., {T}, {p})", received=f"shape {u.shape}")
    if not np.isfinite(u).all():
        raise ParameterError(name="u", expected="finite inputs", received=f"{np.count_nonzero(~np.isfinite(u))} others")
    return y, u


def run(
    filter_: LinearFilter | NonlinearFilter, y: ArrayLike, u: ArrayLike | None, prior: Belief | None = None
) -> Estimate:
    """Return the estimate of a recording; see `LinearFilter.run`.

    At missing or doubted samples this is `LinearFilter.step`; on finite stretches it is one product a sample, of which
    the gain does not depend on the data.
    """
    joint = filter_.joint
    y, u = check_recording(y, u, len(joint.R), joint.input)
    try:
        batch, T = np.broadcast_shapes(y.shape[:-2], u.shape[:-2]), y.shape[-2]
    except ValueError:
        raise ShapeError(name="u", expected=f"the batch of y, {y.shape[:-2]}", received=u.shape[:-2]) from None
    y = np.broadcast_to(y, (*batch, *y.shape[-2:]))
    n, m = joint.plant, len(joint.R)
    out = _unwritten(batch, T, n, m)
    whole = (np.abs(y) < ABSURD).reshape(-1, T * m).all(axis=0).reshape(T, m).all(axis=1)
    belief, k = filter_.init(batch) if prior is None else prior, 0
    while k < T:
        if k > 0 and whole[k] and filter_.is_plain and belief.covariance.ndim == 2:
            end = k + int(np.argmin(np.append(whole[k:], False)))
            belief = _stretch(cast("LinearFilter", filter_), belief, y, u, slice(k, end), out)
            k = end
            continue
        if k > 0:
            belief = filter_.predict(belief, u[..., k - 1, :])
        belief, info = filter_.update(belief, y[..., k, :])
        out.mean[..., k, :], out.std[..., k, :] = belief.state, belief.std
        out.innovation[..., k, :] = info.innovation
        out.innovation_std[..., k, :] = np.sqrt(np.diagonal(info.innovation_covariance, axis1=-2, axis2=-1))
        out.nis[..., k], out.free_energy[..., k], out.status[..., k] = info.nis, info.free_energy, info.status
        k += 1
    return out


def _stretch(filter_: LinearFilter, belief: Belief, y: Array, u: Array, where: slice, out: Estimate) -> Belief:
    r"""Filter finite samples by :math:`(\epsilon_k, \mu_k) = M_k\,(\mu_{k-1}, u_{k-1}, y_k)`, M steady in the end.

    Time leads and the batch trails, so that each product lands where the next begins; a block of samples fits a cache.
    All is relative to the operating point, which leaves no constants.
    """
    joint, batch, P = filter_.joint, y.shape[:-2], belief.covariance
    N, n, m, p = joint.size, joint.plant, len(joint.R), len(joint.input)
    read = np.hstack([-joint.C @ joint.F, -joint.C @ joint.B - joint.D, np.eye(m)])
    predict = np.hstack([joint.F, joint.B, np.zeros((N, m))])
    held = np.broadcast_to(u, (*batch, *u.shape[-2:]))
    across = (-1, *(1 for _ in batch))
    u_rest = joint.input.reshape(across)
    y_rest = (joint.C @ joint.mean + joint.D @ joint.input + joint.sensor_offset).reshape(across)

    # In a row of the block: the innovation and mean of one sample, the input since then, and the next sample.
    rows, members = m + N + p + m, math.prod(batch)
    size = min(max(1, _BLOCK // max(1, rows * members)), where.stop - where.start)
    block = np.empty((size + 1, rows, *batch))
    flat, means, inputs, samples = (
        block.reshape(size + 1, rows, members),
        *np.split(block, [m, m + N, m + N + p], 1)[1:],
    )
    means[0] = np.moveaxis(belief.mean - joint.mean, -1, 0)
    start, settled = where.start, False
    while start < where.stop:
        count = min(size, where.stop - start)
        if not settled:
            settled, corrections = P is filter_.steady.covariance, [filter_.steady]
            if not settled:
                corrections, P = _transient(filter_, P, min(count, _TRANSIENT))
                count = len(corrections)
            # One correction for each sample, or the steady one for all.
            folded = [np.vstack([read, predict + c.gain.dot(read)]) for c in corrections]
            correction = Correction(*(np.stack(parts) for parts in zip(*corrections, strict=True)))
            whiten = correction.triangle / np.sqrt(correction.variances)[..., None]
        now = slice(start, start + count)
        np.subtract(_time_first(held[..., start - 1 : now.stop - 1, :]), u_rest, out=inputs[:count])
        np.subtract(_time_first(y[..., now, :]), y_rest, out=samples[:count])
        for here, there, M in zip(
            flat[:count, m:], flat[1 : count + 1, : m + N], itertools.cycle(folded), strict=False
        ):
            M.dot(here, there)
        innovation = block[1 : count + 1, :m]
        with np.errstate(over="ignore", invalid="ignore"):
            nis = np.square(whiten @ flat[1 : count + 1, :m]).sum(axis=1)
            free_energy = minimum(nis.T, correction, m).T
            np.add(means[1 : count + 1, :n], joint.mean[:n].reshape(across), out=_time_first(out.mean[..., now, :]))
        np.moveaxis(out.nis[..., now], -1, 0)[...] = nis.reshape(count, *batch)
        np.moveaxis(out.free_energy[..., now], -1, 0)[...] = free_energy.reshape(count, *batch)
        _time_first(out.innovation[..., now, :])[...] = innovation
        variance = np.diagonal(correction.covariance, axis1=-2, axis2=-1)[:, :n]
        out.std[..., now, :] = np.sqrt(variance)
        out.innovation_std[..., now, :] = np.sqrt(np.diagonal(correction.innovation_covariance, axis1=-2, axis2=-1))
        means[0] = means[count]
        start = now.stop
    mean = np.moveaxis(means[0], 0, -1) + joint.mean
    return Belief(mean, P, held[..., where.stop - 2, :], n, belief.doubt)


def _transient(filter_: LinearFilter, P: Array, count: int) -> tuple[list[Correction], Array]:
    """Return at most ``count`` corrections after the covariance P, ending where it is the steady one, and the last."""
    corrections: list[Correction] = []
    while len(corrections) < count and P is not filter_.steady.covariance:
        corrections.append(correct(filter_.joint.spread(P), filter_.joint.C, filter_.joint.R))
        P = filter_._settle(corrections[-1].covariance)
    return corrections, P


def _unwritten(batch: tuple[int, ...], T: int, n: int, m: int) -> Estimate:
    """Return an estimate to be written: in memory one block, time first and the batch together, as it is computed.

    Of one block the system gives large pages; what it takes to give small ones is more than the filtering.
    """
    block = np.empty((T, 2 * (n + m + 1), *batch))
    mean, std, innovation, innovation_std, nis, free_energy = (
        np.moveaxis(part, (0, 1), (-2, -1)) for part in np.split(block, np.cumsum([n, n, m, m, 1]), axis=1)
    )
    status = np.zeros((*batch, T), dtype=np.int64)
    return Estimate(mean, std, innovation, innovation_std, nis[..., 0], free_energy[..., 0], status)


def _time_first(recording: Array) -> Array:
    """Return a view (T, m, ...) of a recording (..., T, m)."""
    return np.moveaxis(recording, (-2, -1), (0, 1))


def smooth(filter_: LinearFilter, y: ArrayLike, u: ArrayLike | None = None) -> Estimate:
    """Return the fixed-interval smoothed estimate of a recording; see `LinearFilter.smooth`."""
    joint = filter_.joint
    forward = filter_.run(y, u)
    y, u = check_recording(y, u, len(joint.R), joint.input)
    batch, T = forward.mean.shape[:-2], y.shape[-2]
    beliefs, priors = [], []
    belief = filter_.init(batch)
    for k in range(T):
        if k > 0:
            belief = filter_.predict(belief, u[..., k - 1, :])
        priors.append(belief)
        belief, _ = filter_.update(belief, y[..., k, :])
        beliefs.append(belief)
    n = joint.plant
    mean, std = forward.mean.copy(), forward.std.copy()
    later_mean, later_P = beliefs[-1].mean, beliefs[-1].covariance
    for k in range(T - 2, -1, -1):
        P, prior = beliefs[k].covariance, priors[k + 1]
        # P F' (P⁻)⁻¹; a chain's prior may be nearly singular, so by least squares.
        gain = np.linalg.pinv(prior.covariance, hermitian=True) @ joint.F @ P
        gain = gain.swapaxes(-1, -2)
        later_mean = beliefs[k].mean + (gain @ (later_mean - prior.mean)[..., None])[..., 0]
        later_P = P + gain @ (later_P - prior.covariance) @ gain.swapaxes(-1, -2)
        mean[..., k, :] = later_mean[..., :n]
        std[..., k, :] = np.sqrt(np.maximum(np.diagonal(later_P, axis1=-2, axis2=-1)[..., :n], 0.0))
    return replace(forward, mean=mean, std=std)
