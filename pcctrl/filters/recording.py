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
# Numbers in the covariances of the transient that a filter keeps: eight megabytes.
_KEPT = 2**20


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
    n, m = joint.plant, len(joint.R)
    finite = (y > -ABSURD) & (y < ABSURD)
    whole = np.asarray(finite.reshape(-1, T * m).all(axis=0).reshape(T, m).all(axis=1))
    y, u = np.broadcast_to(y, (*batch, T, m)), np.broadcast_to(u, (*batch, *u.shape[-2:]))
    (own, out), shared = _unwritten(batch, T, n, m), True
    belief, k = filter_.init(batch) if prior is None else prior, 0
    while k < T:
        if k > 0 and whole[k] and filter_.is_plain and belief.covariance.ndim == 2:
            end = k + int(np.argmin(np.append(whole[k:], False)))
            belief = _stretch(cast("LinearFilter", filter_), belief, y, u, slice(k, end), own, out)
            k = end
            continue
        if k > 0:
            belief = filter_.predict(belief, u[..., k - 1, :])
        belief, info = filter_.update(belief, y[..., k, :])
        status = info.status
        if shared and (belief.covariance.ndim > 2 or status.any()):
            out, shared = _for_each(out, copy=True), False
        out.mean[..., k, :], out.innovation[..., k, :] = belief.state, info.innovation
        out.nis[..., k], out.free_energy[..., k] = info.nis, info.free_energy
        out.std[..., k, :] = _root(belief.covariance)[..., :n]
        out.innovation_std[..., k, :] = _root(info.innovation_covariance)
        out.status[..., k] = 0 if shared else status
        k += 1
    return _for_each(out)


def _stretch(
    filter_: LinearFilter, belief: Belief, y: Array, u: Array, where: slice, own: Array, out: Estimate
) -> Belief:
    r"""Filter finite samples by :math:`(\epsilon_k, \mu_k) = M_k\,(\mu_{k-1}, u_{k-1}, y_k)`, M steady in the end.

    Time leads and the batch trails, so that each product lands where the next begins; a block of samples fits a cache.
    """
    joint, batch, P = filter_.joint, own.shape[2:], belief.covariance
    N, n, m, p = joint.size, joint.plant, len(joint.R), len(joint.input)
    # Most models need no column of constants.
    predict = np.column_stack([joint.F, joint.B, np.zeros((N, m)), joint.offset])[:, : N + p + m + filter_._affine]
    read = -joint.C @ predict
    read[:, N:] += np.column_stack([-joint.D, np.eye(m), -joint.sensor_offset])[:, : p + m + filter_._affine]
    y, u = (np.moveaxis(recording, (-2, -1), (0, 1)) for recording in (y, u))

    # A row of the block: NIS, free energy, innovation and mean of a sample; the input since then, the next sample, 1.
    rows, members = 2 + m + predict.shape[1], math.prod(batch)
    size = min(max(1, _BLOCK // max(1, rows * members)), where.stop - where.start)
    block = np.ones((size + 1, rows, *batch))
    flat, means, data = block.reshape(size + 1, rows, members), block[:, 2 + m : 2 + m + N], block[:, 2 + m + N :]
    means[0] = np.moveaxis(belief.mean, -1, 0)
    start, settled, at = where.start, False, int(np.array_equal(P, filter_._opening.covariance[0]))
    while start < where.stop:
        count = min(size, where.stop - start)
        if not settled:
            # One correction for each sample, or the steady one for all.
            settled, correction = P is filter_.steady.covariance, Correction(*(part[None] for part in filter_.steady))
            if not settled:
                correction = _transient(filter_, P, at, min(count, _TRANSIENT))
                count, P = len(correction.gain), filter_._settle(correction.covariance[-1])
                at += count if at else 0
            folded = np.empty((len(correction.gain), m + N, predict.shape[1]))
            folded[:, :m], folded[:, m:] = read, predict + correction.gain @ read
            whiten = correction.triangle / np.sqrt(correction.variances)[..., None]
            expected = minimum(0.0, correction, m)[:, None]
            std, innovation_std = _root(correction.covariance)[:, :n], _root(correction.innovation_covariance)
        now = slice(start, start + count)
        data[:count, :p], data[:count, p : p + m] = u[start - 1 : now.stop - 1], y[now]
        here, there = flat[:count, 2 + m :], flat[1 : count + 1]
        for before, after, M in zip(here, there[:, 2 : 2 + m + N], itertools.cycle(folded), strict=False):
            M.dot(before, after)
        with np.errstate(over="ignore", invalid="ignore"):
            nis = np.square(whiten @ there[:, 2 : 2 + m]).sum(axis=1)
            there[:, 0], there[:, 1] = nis, 0.5 * nis + expected
        own[now] = block[1 : count + 1, : own.shape[1]]
        out.std[..., now, :], out.innovation_std[..., now, :] = std, innovation_std
        means[0] = means[count]
        start = now.stop
    return Belief(np.moveaxis(means[0], 0, -1).copy(), P, np.moveaxis(u[where.stop - 2], 0, -1), n, belief.doubt)


def _transient(filter_: LinearFilter, P: Array, at: int, count: int) -> Correction:
    """Return at most ``count`` corrections after the covariance P, stacked, ending where theirs is the steady one.

    From the ``at``-th after the model's prior on (0: after another) they are always the same, so the filter keeps them.
    """
    kept = filter_._opening
    if 0 < at < len(kept.gain):
        return Correction(*(part[at : at + count] for part in kept))
    corrections: list[Correction] = []
    while len(corrections) < count and P is not filter_.steady.covariance:
        correction = correct(filter_.joint.spread(P), filter_.joint.C, filter_.joint.R)
        P = filter_._settle(correction.covariance)
        corrections.append(correction._replace(covariance=P))
    new = Correction(*(np.array(parts) for parts in zip(*corrections, strict=True)))
    if at == len(kept.gain) and kept.covariance.size + new.covariance.size <= _KEPT:
        # Replaced, not extended: another thread may be reading it.
        vars(filter_)["_opening"] = Correction(*(np.concatenate(parts) for parts in zip(kept, new, strict=True)))
    return new


def _unwritten(batch: tuple[int, ...], T: int, n: int, m: int) -> tuple[Array, Estimate]:
    """Return an estimate to be written, std and status without the batch, and the one block of memory of all else.

    Time leads and the batch trails in it, as it is computed. Of one block the system gives large pages; what it takes
    to give small ones is more than the filtering.
    """
    block = np.empty((T, n + m + 2, *batch))
    nis, free_energy, innovation, mean = (
        np.moveaxis(part, (0, 1), (-2, -1)) for part in np.split(block, [1, 2, 2 + m], axis=1)
    )
    std, innovation_std, status = np.empty((T, n)), np.empty((T, m)), np.zeros(T, dtype=np.int64)
    return block, Estimate(mean, std, innovation, innovation_std, nis[..., 0], free_energy[..., 0], status)


def _for_each(out: Estimate, copy: bool = False) -> Estimate:
    """Return the estimate with what is shared shown for each member: read-only, or copied to be written."""
    make = np.array if copy else np.asarray
    return replace(
        out,
        std=make(np.broadcast_to(out.std, out.mean.shape)),
        innovation_std=make(np.broadcast_to(out.innovation_std, out.innovation.shape)),
        status=make(np.broadcast_to(out.status, out.nis.shape)),
    )


def _root(covariance: Array) -> Array:
    """Return the standard deviations (..., n) of a covariance (..., n, n)."""
    return np.asarray(np.sqrt(np.diagonal(covariance, axis1=-2, axis2=-1)))


def smooth(filter_: LinearFilter | NonlinearFilter, y: ArrayLike, u: ArrayLike | None = None) -> Estimate:
    """Return the fixed-interval smoothed estimate of a recording; see `SmoothingFilter.smooth`."""
    jumps = getattr(filter_, "jumps", ())
    if jumps:
        # Going back, a jump would pass for a slow change.
        raise ParameterError(name="jumps", expected="none in a filter that smooths", received=jumps)
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
        belief, prior = beliefs[k], priors[k + 1]
        if not np.isfinite(prior.covariance).all():
            later_mean, later_P = belief.mean, belief.covariance
            continue
        # P F' (P⁻)⁻¹; a chain's prior may be nearly singular, so by least squares.
        across = filter_._across(belief, u[..., k, :])
        gain = (np.linalg.pinv(prior.covariance, hermitian=True) @ across.swapaxes(-1, -2)).swapaxes(-1, -2)
        way = filter_._way(later_mean, prior.mean)
        later_mean = filter_._moved(belief.mean, (gain @ way[..., None])[..., 0])
        later_P = belief.covariance + gain @ (later_P - prior.covariance) @ gain.swapaxes(-1, -2)
        mean[..., k, :] = later_mean[..., :n]
        std[..., k, :] = np.sqrt(np.maximum(np.diagonal(later_P, axis1=-2, axis2=-1)[..., :n], 0.0))
    return replace(forward, mean=mean, std=std)
