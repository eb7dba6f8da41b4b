"""Reflex arcs: action that descends the sensory prediction error itself, without planning."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import comb

from pcctrl.arrays import Array, as_array, as_floats, choose, per_item, positive, whole
from pcctrl.controllers.base import ControlInfo, Goal, bounds, check_belief, limited, wanted
from pcctrl.errors import ModelError, ParameterError, ShapeError
from pcctrl.filters import Belief
from pcctrl.linalg import block_rows, discretise

if TYPE_CHECKING:
    from pcctrl.models import JointModel, LinearModel

__all__ = ["ReflexArc", "ReflexState"]


class ReflexState(NamedTuple):
    """Memory of a reflex arc.

    Args:
        motion: generalised motion μ̃ (..., orders · k) that the biased form believes in, None before the first sample.
        input: u − ū (..., p).
    """

    motion: Array | None
    input: Array


@dataclass(frozen=True, eq=False)
class ReflexArc:
    r"""Moves an output y = T x to its goal by making its sensed motion what a goal attractor predicts.

    With r the relative degree, :math:`J = \partial y^{(r)}/\partial u = TA^{r-1}B`, and the generalised motion
    :math:`y^{(i)} = TA^i x` up to :math:`y^{(r)} = TA^r x + J(u + d) + TA^{r-1}Gw` (noise that moves the output before
    the input does is left out below r), the input descends

    .. math:: \dot u = -\kappa_a J^{+} \sum_i \Pi_i\,(y^{(i)} - \mu^{(i)}).

    - ``"unbiased"``: the goal is outside the estimator, :math:`\mu^{(0)} = g` and 0 beyond. With the default precisions
      :math:`\Pi_i = \binom{r}{i}\tau^{i-r}` the output follows :math:`(1 + \tau\,d/dt)^r y = g`; as κ_a grows this is
      pole placement at −1/τ. Integrated over time it is a PID of the belief, with the precisions for gains.
    - ``"biased"``: the arc believes that its world is drawn to the goal. It descends
      :math:`F = \tfrac12\sum_i \Pi_i|y^{(i)} - \mu^{(i)}|^2 + \tfrac12\sum_i P_i|\epsilon_i|^2`, with the attractor's
      errors :math:`\epsilon_i = \mu^{(i+1)} + (\mu^{(i)} - g^{(i)})/\tau`, by
      :math:`\dot{\tilde\mu} = D\tilde\mu - \kappa_\mu\partial F/\partial\tilde\mu`, so that its belief lies between
      what it senses and what it wants.

    The rates are integrated exactly over a sample in which the belief is held. Source: Pezzato, Ferrari & Hernández
    Corbato 2020 (biased); Baioumy, Pezzato, Ferrari & Hawes 2022 (unbiased); DESIGN §2.5.

    Args:
        model: plant.
        tau: time constant of the attractor in seconds.
        rate: κ_a, 1/s.
        limits: (low, high) of the input, each one number or (p,).
        output: T (k, n); by default, for one input, the flat output, whose relative degree is n (it sees every mode).
        degree: r; by default the first at which the input acts. A simulator's matrices need it told, unless flat.
        jacobian: J (k, p) if not the model's.
        order: of the filter's generalised coordinates, so that w and d are read from its belief; None to read x alone.
        form: ``"unbiased"`` or ``"biased"``.
        precision: Π_i, for orders from 0 to at most r; by default the binomials, and for the biased form ones up to
            order r − 1.
        prior_precision: P_i of the biased form, one number or one for each order of the attractor (at least 1).
        perception_rate: κ_μ of the biased form, 1/s.

    Raises:
        ModelError: no flat output, or an input that never acts on the output.
        ShapeError, ParameterError: an argument of the wrong shape or sign.
        UnknownNameError: another form.
    """

    model: LinearModel
    tau: float
    rate: float
    limits: tuple[ArrayLike, ArrayLike] | None = None
    output: ArrayLike | None = None
    degree: int | None = None
    jacobian: ArrayLike | None = None
    order: int | None = None
    form: Literal["unbiased", "biased"] = "unbiased"
    precision: ArrayLike | None = None
    prior_precision: ArrayLike = 1.0
    perception_rate: float = 20.0

    def __post_init__(self) -> None:
        choose("form", self.form, ("unbiased", "biased"))
        for name in ("tau", "rate", "perception_rate"):
            positive(name, getattr(self, name))
        _ = self.law, self._limits

    @cached_property
    def _limits(self) -> tuple[Array, Array]:
        return bounds(self.limits, self.model.B.shape[1])

    @cached_property
    def joint(self) -> JointModel:
        """The joint model whose belief the arc reads, or of the plant alone."""
        return self.model.white.joint(0) if self.order is None else self.model.joint(self.order)

    @cached_property
    def _output(self) -> tuple[Array, int]:
        """T and r."""
        A, B, _ = self.model.rates
        n = len(A)
        if self.output is None:
            return _flat(A, B), n
        T = as_array("output", self.output, ("k", n))
        if self.degree is not None:
            return T, whole("degree", self.degree, 1)
        if self.model.substeps is not None:
            # Difference quotients let an input act on everything at once.
            expected = "the relative degree of the output, for a model of simulator steps"
            raise ParameterError(name="degree", expected=expected, received=None)
        row = T
        for r in range(1, n + 1):
            if np.abs(row @ B).max() > 1e-9 * np.abs(row).max() * np.abs(B).max():
                return T, r
            row = row @ A
        raise ModelError(name="output", expected="an output that the inputs can move", received=T)

    @cached_property
    def _precision(self) -> Array:
        r = self._output[1]
        if self.precision is None:
            i = np.arange(r + 1)
            return np.ones(r) if self.form == "biased" else comb(r, i) * self.tau ** (i - float(r))
        given = np.atleast_1d(as_floats("precision", self.precision, "one number an order"))
        if given.ndim != 1 or len(given) > r + 1:
            raise ShapeError(name="precision", expected=f"at most {r + 1} orders", received=f"shape {given.shape}")
        if not (np.isfinite(given).all() and (given >= 0.0).all() and given.any()):
            raise ParameterError(name="precision", expected="numbers of at least 0, not all 0", received=given)
        return given

    @cached_property
    def _rows(self) -> list[Array]:
        """T Aⁱ (k, n) for i = 0 … r."""
        T, r = self._output
        rows = [T]
        for _ in range(r):
            rows.append(rows[-1] @ self.model.rates[0])
        return rows

    @cached_property
    def _jacobian(self) -> Array:
        k, p = len(self._rows[0]), self.model.B.shape[1]
        J = (
            self._rows[-2] @ self.model.rates[1]
            if self.jacobian is None
            else as_array("jacobian", self.jacobian, (k, p))
        )
        if np.linalg.matrix_rank(J) < k:
            raise ModelError(name="jacobian", expected="an input for every output", received=J)
        return J

    @cached_property
    def _sensed(self) -> tuple[Array, Array]:
        """Readout of the motion y^(i), orders stacked, from (x, e) and from u."""
        _, B, G = self.model.rates
        orders, k = len(self._precision), len(self._rows[0])
        read = np.vstack(self._rows[:orders])
        from_u, from_e = np.zeros((orders * k, B.shape[1])), np.zeros((orders * k, 0))
        if self.order is not None:
            chains = [w.chain(self.order).H for w in self.model.process_noise]
            push = np.hstack([G @ block_rows(*chains), *([B] if self.joint.disturbances else [])])
            from_e = np.zeros((orders * k, push.shape[1]))
            if orders == len(self._rows):
                from_e[-k:] = self._rows[-2] @ push
        if orders == len(self._rows):
            from_u[-k:] = self._jacobian
        return np.hstack([read, from_e]), from_u

    @cached_property
    def law(self) -> tuple[Array, Array]:
        r"""(Φ, Γ) of :math:`\xi_{k+1} = \Phi\xi_k + \Gamma(x - \bar x, e, g - \bar g)`, ξ = (μ̃, u − ū)."""
        (sensed, from_u), orders = self._sensed, len(self._precision)
        k, p = len(self._rows[0]), from_u.shape[1]
        act = -self.rate * np.linalg.pinv(self._jacobian) @ np.kron(self._precision, np.eye(k))
        if self.form == "unbiased":
            M, N = act @ from_u, act @ np.hstack([sensed, -np.eye(orders * k, k)])
        else:
            D, pull, push = self._perception()
            size = len(D) * k
            shown = np.eye(orders * k, size)
            look = self.perception_rate * shown.T @ np.kron(np.diag(self._precision), np.eye(k))
            M = np.block([[np.kron(D - pull, np.eye(k)) - look @ shown, look @ from_u], [-act @ shown, act @ from_u]])
            N = np.block([[look @ sensed, np.kron(push, np.eye(k))], [act @ sensed, np.zeros((p, k))]])
        Phi, Gamma, _ = discretise(M, N, np.zeros_like(M), self.model.dt)
        return Phi, Gamma

    def _perception(self) -> tuple[Array, Array, Array]:
        """Shift D, pull of the attractor, and push of the goal, over the orders of one output's belief."""
        orders = np.size(self.prior_precision) if np.ndim(self.prior_precision) else max(len(self._precision), 1)
        prior = per_item("prior_precision", self.prior_precision, orders)
        size = orders + 1
        if size < len(self._precision) or (prior <= 0.0).any():
            expected = f"at least {len(self._precision) - 1} positive numbers"
            raise ParameterError(name="prior_precision", expected=expected, received=prior)
        # Prediction errors of the attractor: μ^(i+1) + (μ^(i) − g^(i)) / τ.
        E = np.eye(orders, size, 1) + np.eye(orders, size) / self.tau
        weighted = self.perception_rate * E.T * prior
        return np.eye(size, k=1), weighted @ E, weighted[:, :1] / self.tau

    def init(self, batch: tuple[int, ...] = ()) -> ReflexState:
        """Return the memory before the first sample: at rest."""
        return ReflexState(None, np.zeros((*batch, self.model.B.shape[1])))

    def act(self, state: ReflexState, belief: Belief, goal: Goal = None) -> tuple[ReflexState, Array, ControlInfo]:
        """Return the new memory, the input within the limits (..., p), and what it was made of.

        Args:
            state: from `init` or the last call.
            belief: of a filter on the same model, or of readings that are the states.
            goal: for the output (..., k), of a `Preview` the first; what it is at the operating point by default.

        Raises:
            ShapeError: the belief does not have the joint states that the arc reads, or the goal's size is off.
        """
        joint, n = self.joint, self.joint.plant
        check_belief(belief, n, None if self.order is None else joint.size)
        T, _ = self._output
        away = belief.state - joint.mean[:n]
        target = np.zeros(len(T)) if goal is None else wanted(goal, len(T))[..., 0, :] - T @ joint.mean[:n]
        batch = np.broadcast_shapes(away.shape[:-1], target.shape[:-1])
        away = np.broadcast_to(away, (*batch, n))
        told = [away, target] if self.order is None else [away, belief.mean[..., joint.exogenous], target]
        told = [np.broadcast_to(part, (*batch, part.shape[-1])) for part in told]
        Phi, Gamma = self.law
        p = len(joint.input)
        motion = state.motion
        if motion is None:
            size = len(Phi) - p
            motion = (away @ np.vstack(self._rows[: len(self._precision)]).T)[..., :size]
            motion = np.concatenate([motion, np.zeros((*away.shape[:-1], size - motion.shape[-1]))], axis=-1)
        memory = np.concatenate([motion, np.broadcast_to(state.input, (*away.shape[:-1], p))], axis=-1)
        memory = memory @ Phi.T + np.concatenate(told, axis=-1) @ Gamma.T
        unlimited = joint.input + memory[..., -p:]
        u = limited(unlimited, *self._limits)
        return ReflexState(memory[..., :-p], u - joint.input), u, ControlInfo(unlimited, np.zeros_like(u))


def _flat(A: Array, B: Array) -> Array:
    """Return the flat output (1, n) of a single input: the one on which it acts only through all n integrations."""
    n = len(A)
    if B.shape[1] != 1:
        raise ModelError(name="output", expected="a matrix, since there are several inputs", received=None)
    columns = [B[:, 0]]
    for _ in range(n - 1):
        columns.append(A @ columns[-1])
    reach = np.column_stack(columns)
    scale = np.abs(reach).max(axis=0)
    if not (scale > 0.0).all() or np.linalg.cond(reach / scale) > 1e12:
        raise ModelError(name="output", expected="a matrix, or a controllable plant", received="an uncontrollable one")
    row = np.linalg.solve(reach.T, np.eye(n)[-1])
    return np.asarray(row / row[np.argmax(np.abs(row))])[None]
