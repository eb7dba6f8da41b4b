"""Bandwidths of an arm's modes: the heavier what moves, the lower, wherever the arm is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from pcctrl.arrays import Array, all_finite, as_array, frozen, non_negative, positive, whole
from pcctrl.controllers.quadratic import cost_matrix
from pcctrl.errors import ParameterError, ShapeError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pcctrl.models import Mechanics

__all__ = ["ModalBandwidth", "Modes", "as_bandwidth", "modal_bandwidth", "modes_at", "no_modes", "turned"]


def modal_bandwidth(mass: ArrayLike, bandwidth: float, exponent: float = 1.0 / 3.0, most: float = np.inf) -> Array:
    r"""Return natural frequencies Ω (nv, nv) in rad/s that are the lower, the heavier what moves.

    .. math:: \Omega = \omega\,(M / \bar m)^{-p},\qquad \bar m = \operatorname{tr} M / n_v

    The regulator that minimises :math:`\int |e|^2 + \rho|\dot u|^2`, which has a prior over the change of the
    torques beside one over the error, has the poles of a mode of mass m at the distance
    :math:`(\sqrt\rho\, m)^{-1/3}` of 0: p = 1/3, at which a torque's change buys as much wherever it is spent. With
    p = 0 all modes are alike, as in a textbook's computed torque. Modes matter where joints are coupled: two axes that
    are nearly in line are light against each other, and heavy together. As an arm moves, so do its modes, see
    `ModalBandwidth`.

    Args:
        mass: M (nv, nv), in kg·m² or kg, of joints that all turn or all slide: |e|² must mean something.
        bandwidth: ω in rad/s, of a mode of mean mass.
        exponent: p.
        most: rad/s that no mode exceeds, as a loop of samples bears it.

    Raises:
        ShapeError: a mass that is not a square matrix.
        ParameterError: a mass that is not positive definite, another argument that is out of its range, or frequencies
            beyond all numbers.
    """
    matrix = as_array("mass", mass, ("nv", "nv"))
    if not matrix.size:
        raise ShapeError(name="mass", expected="a matrix (nv, nv)", received=f"shape {matrix.shape}")
    matrix = cost_matrix("mass", matrix, len(matrix), definite=True)
    if most != np.inf:
        positive("most", most)
    omega, p = positive("bandwidth", bandwidth), non_negative("exponent", exponent)
    with np.errstate(over="ignore", invalid="ignore"):
        found = _power(matrix, omega, p, most, np.trace(matrix) / len(matrix))
    if not all_finite(found):
        raise ParameterError(name="exponent", expected="finite frequencies", received=exponent)
    return frozen(found)


def _power(mass: Array, bandwidth: float, exponent: float, most: float, mean: float) -> Array:
    """Return ω (M / m̄)⁻ᵖ (..., nv, nv), no mode above ``most``."""
    m, V = np.linalg.eigh(mass)
    omega = np.minimum(bandwidth * (m / mean) ** -exponent, most)
    return np.asarray((V * omega[..., None, :]) @ np.swapaxes(V, -1, -2))


class Modes(NamedTuple):
    """Memory of a law whose bandwidth follows the arm.

    Args:
        omega: Ω (..., nv, nv) in rad/s.
        left: samples (..., 1) until it is worked out anew.
    """

    omega: Array
    left: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ModalBandwidth:
    r"""The `modal_bandwidth` of the arm where its reference is, with m̄ of where it rests.

    .. math:: \Omega(q_d) = \omega\,(M(q_d) / \bar m)^{-p},\qquad \bar m = \operatorname{tr} M(q_0) / n_v

    With the matrix of one pose a mode that is heavy in another one may be as fast as the light one that it was, and its
    torques chatter: on Arm7's benchmark that is half of all squared chatter. (Ω is that of the reference, not of the
    belief, whose noise it would bring into the torque.)

    Args:
        mechanics: of the plant, as it is told.
        bandwidth: ω in rad/s, of a mode of mean mass at rest.
        rest: state (2 nv,).
        exponent: p.
        most: rad/s that no mode exceeds, as a loop of samples bears it.
        refresh: samples for which Ω is used: poses change slowly.

    Raises:
        ShapeError, ParameterError: an argument of the wrong shape or sign.
    """

    mechanics: Mechanics
    bandwidth: float
    rest: ArrayLike
    exponent: float = 1.0 / 3.0
    most: float = np.inf
    refresh: int = 50

    def __post_init__(self) -> None:
        object.__setattr__(self, "rest", as_array("rest", self.rest, (2 * self.mechanics.degrees,)))
        object.__setattr__(self, "refresh", whole("refresh", self.refresh, 1))
        modal_bandwidth(self.mechanics.mass_matrix(self.rest), self.bandwidth, self.exponent, self.most)

    @cached_property
    def _mean(self) -> float:
        mass = self.mechanics.mass_matrix(self.rest)
        return float(np.trace(mass)) / len(mass)

    def at(self, position: Array) -> Array:
        """Return Ω (..., nv, nv) in rad/s at positions (..., nv); NaN where the mass there is not finite."""
        mass = self.mechanics.mass_matrix(np.concatenate([position, np.zeros(position.shape)], axis=-1))
        if not all_finite(mass):
            known = np.isfinite(mass).all(axis=(-2, -1), keepdims=True)
            mass = np.where(known, mass, np.eye(mass.shape[-1]))
            return np.where(known, _power(mass, self.bandwidth, self.exponent, self.most, self._mean), np.nan)
        return _power(mass, self.bandwidth, self.exponent, self.most, self._mean)


def as_bandwidth(bandwidth: ArrayLike | ModalBandwidth, nv: int) -> Array | ModalBandwidth:
    """Return a law's Ω as a matrix (nv, nv), or what makes it.

    Raises:
        ShapeError, ParameterError: one of another size, or that is not symmetric and positive definite.
    """
    if not isinstance(bandwidth, ModalBandwidth):
        return cost_matrix("bandwidth", bandwidth, nv, definite=True)
    if bandwidth.mechanics.degrees != nv:
        raise ShapeError(name="bandwidth", expected=f"{nv} joints", received=bandwidth.mechanics.degrees)
    return bandwidth


def no_modes(bandwidth: ArrayLike | ModalBandwidth, nv: int, batch: tuple[int, ...]) -> Modes | None:
    """Return the memory of a law's Ω before the first sample, None where it stays."""
    if not isinstance(bandwidth, ModalBandwidth):
        return None
    return Modes(np.zeros((*batch, nv, nv)), np.zeros((*batch, 1), dtype=np.int64))


def modes_at(bandwidth: ArrayLike | ModalBandwidth, modes: Modes | None, position: Array) -> tuple[Modes | None, Array]:
    """Return the memory of a law's Ω, and Ω (..., nv, nv), where the reference is at a position (..., nv)."""
    if not isinstance(bandwidth, ModalBandwidth):
        return None, np.asarray(bandwidth)
    if modes is None:
        return None, bandwidth.at(position)
    if modes.left.ndim == 1:
        # One arm, at 1 kHz: no masks.
        left = int(modes.left[0])
        omega = modes.omega if left > 0 else bandwidth.at(position)
        return Modes(omega, np.array([(left if left > 0 else bandwidth.refresh) - 1])), omega
    due = modes.left <= 0
    if not np.count_nonzero(due):
        return Modes(modes.omega, modes.left - 1), modes.omega
    omega, rows = modes.omega.copy(), due[..., 0]
    omega[rows] = bandwidth.at(np.broadcast_to(position, omega.shape[:-1])[rows])
    return Modes(omega, np.where(due, bandwidth.refresh, modes.left) - 1), omega


def turned(omega: Array, vector: Array) -> Array:
    """Return Ω v (..., nv)."""
    if omega.ndim == 2:
        # Ω is symmetric.
        product: Array = vector.dot(omega)
        return product
    return np.asarray((omega @ vector[..., None])[..., 0])
