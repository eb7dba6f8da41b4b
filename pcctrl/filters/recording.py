"""Whole recordings: filtered as fast as the gain allows, and smoothed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from pcctrl.arrays import Array, as_floats
from pcctrl.errors import ParameterError, ShapeError
from pcctrl.filters.belief import Belief, Estimate, Status
from pcctrl.free_energy import minimum

if TYPE_CHECKING:
    from pcctrl.filters.linear import LinearFilter

__all__ = ["check_recording", "run", "smooth"]


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


def run(filter_: LinearFilter, y: ArrayLike, u: ArrayLike | None, prior: Belief | None = None) -> Estimate:
    """Return the estimate of a recording; see `LinearFilter.run`.

    Until the gain is steady, and around missing or doubted samples, this is `LinearFilter.step`; on finite stretches
    with a steady gain it is one matrix-vector product a sample.
    """
    joint = filter_.joint
    y, u = check_recording(y, u, len(joint.R), joint.input)
    try:
        batch, T = np.broadcast_shapes(y.shape[:-2], u.shape[:-2]), y.shape[-2]
    except ValueError:
        raise ShapeError(name="u", expected=f"the batch of y, {y.shape[:-2]}", received=u.shape[:-2]) from None
    y = np.broadcast_to(y, (*batch, *y.shape[-2:]))
    n, m = joint.plant, len(joint.R)
    out = Estimate(
        mean=np.empty((*batch, T, n)),
        std=np.empty((*batch, T, n)),
        innovation=np.empty((*batch, T, m)),
        innovation_std=np.empty((*batch, T, m)),
        nis=np.empty((*batch, T)),
        free_energy=np.empty((*batch, T)),
        status=np.zeros((*batch, T), dtype=np.int64),
    )
    whole = np.isfinite(y).all(axis=(*range(y.ndim - 2), -1))
    belief, k = filter_.init(batch) if prior is None else prior, 0
    while k < T:
        if k > 0 and belief.covariance is filter_.steady.covariance and whole[k] and filter_.is_plain:
            end = k + int(np.argmin(np.append(whole[k:], False)))
            belief = _steady_stretch(filter_, belief, y, u, slice(k, end), out)
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


def _steady_stretch(filter_: LinearFilter, belief: Belief, y: Array, u: Array, where: slice, out: Estimate) -> Belief:
    """Filter finite samples with the steady gain: μ_k = (I − KC)(F μ_{k−1} + B u_{k−1} + b) + K (y_k − …)."""
    joint, steady = filter_.joint, filter_.steady
    keep = np.eye(joint.size) - steady.gain @ joint.C
    held = u[..., where.start - 1 : where.stop - 1, :]
    sensed = y[..., where, :] - held @ joint.D.T - joint.sensor_offset
    drive = sensed @ steady.gain.T + (held @ joint.B.T + joint.offset) @ keep.T
    means = np.broadcast_to(drive, (*y.shape[:-2], *drive.shape[-2:])).copy()
    advance = np.ascontiguousarray((keep @ joint.F).T)
    previous = belief.mean
    with np.errstate(over="ignore", invalid="ignore"):
        if means.ndim == 2:
            product, dot = np.empty(joint.size), np.dot
            for row in means:
                dot(previous, advance, product)
                row += product
                previous = row
        else:
            for j in range(means.shape[-2]):
                means[..., j, :] += previous @ advance
                previous = means[..., j, :]
    before = np.concatenate([belief.mean[..., None, :], means[..., :-1, :]], axis=-2)
    expected = before @ (joint.C @ joint.F).T + (held @ joint.B.T + joint.offset) @ joint.C.T
    innovation = sensed - expected
    out.mean[..., where, :] = means[..., : joint.plant]
    out.std[..., where, :] = np.sqrt(np.diagonal(steady.covariance)[: joint.plant])
    out.innovation[..., where, :] = innovation
    out.innovation_std[..., where, :] = np.sqrt(np.diagonal(steady.innovation_covariance))
    nis = np.einsum("...i,ij,...j->...", innovation, steady.innovation_precision, innovation)
    out.nis[..., where] = nis
    out.free_energy[..., where] = minimum(nis, steady, innovation.shape[-1])
    out.status[..., where] = int(Status.OK)
    last = np.broadcast_to(held[..., -1, :], (*means.shape[:-2], held.shape[-1]))
    return Belief(previous.copy(), steady.covariance, last, joint.plant, belief.streak)


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
