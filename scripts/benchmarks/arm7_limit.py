"""What no linear filter and law goes below on Arm7 at rest at home: the linear-quadratic optimum at a given chatter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.optimize import brentq

from pcctrl.agents.planning import linear_near
from pcctrl.arrays import Array, positive
from pcctrl.controllers import ExpectedFreeEnergy
from pcctrl.controllers.quadratic import padded
from pcctrl.errors import ParameterError
from pcctrl.evaluation import Compensator, closed_loop_cost
from pcctrl.filters import PCFilter
from pcctrl.linalg import block_diag
from pcctrl.models import LinearModel
from pcctrl.noise import White
from pcctrl.scripts.benchmarks.arm7_runs import arms, told

__all__ = ["limit", "optimum"]

# Order of the chains that are the truth and are told (with 12 it is 0.6 % more), and where ρ, rad²/(N·m)², is looked
# for.
_ORDER, _RHO = 8, (1e-10, 1e-3)
# What stands for nothing in a sensor that must have a noise, N·m.
_NOTHING = 1e-9


def limit(chatter: float) -> float:
    """Return the least RMSE, rad, that any linear filter and law has whose torques change by so much in a sample.

    At rest at home, with the model and all noise known, no load and no dry friction; counts taken for white noise.

    Args:
        chatter: root mean square of the torques' changes, N·m.

    Raises:
        ParameterError: a chatter that no ρ between 1e-10 and 1e-3 rad²/(N·m)² has.
    """
    wanted = positive("chatter", chatter)
    (env,) = arms(1, True, 1.0)
    model = told(env)
    pushes = env.get_wrapper_attr("task")().model.process_noise
    plain = replace(linear_near(model), process_noise=pushes, sensor_noise=model.sensor_noise)

    def excess(log: float) -> float:
        return float(np.log(optimum(plain, 7, float(np.exp(log)), _ORDER)[1] / wanted))

    low, high = np.log(_RHO)
    if not excess(high) < 0.0 < excess(low):
        raise ParameterError(name="chatter", expected="N·m within what such loops have", received=chatter)
    found = brentq(excess, low, high, xtol=1e-3)
    return float(optimum(plain, 7, float(np.exp(found)), _ORDER)[0])


def optimum(plain: LinearModel, scored: int, rho: float, order: int) -> Array:
    """Return what the loop that minimises error² + ρ change² has of both, exactly: roots of mean squares (2,).

    Args:
        plain: of the plant, whose noise is the truth and is told.
        scored: how many states, the first ones, are the error.
        rho: ρ.
        order: of the chains.
    """
    n, p = plain.B.shape
    one, none = np.eye(p), np.zeros((p, n))
    # The inputs are states, which can be seen; what is chosen are their changes.
    changes = LinearModel.from_discrete(
        np.block([[plain.A, plain.B], [none, one]]),
        np.vstack([plain.B, one]),
        block_diag(plain.C, one),
        dt=plain.dt,
        noise_input=np.vstack([plain.noise_input, np.zeros((p, plain.noise_input.shape[1]))]),
        process_noise=plain.process_noise,
        sensor_noise=[*plain.sensor_noise, *[White(std=_NOTHING)] * p],
    )
    error = np.diag([1.0] * scored + [0.0] * (n + p - scored)) / scored
    gain = ExpectedFreeEnergy(changes, error, rho * one / p, order).gain
    filter_ = PCFilter(plain, order)
    joint, K = filter_.joint, filter_.steady.gain
    held, L = gain[:, n : n + p], padded(np.delete(gain, np.s_[n : n + p], axis=1), joint.size)
    keep, closed = np.eye(joint.size) - K @ joint.C, joint.F - joint.B @ L
    loop = Compensator(
        A=closed @ keep,
        B=np.hstack([closed @ K, joint.B @ (one - held)]),
        C=-L @ keep,
        D=np.hstack([-L @ K, -held]),
    )
    weights = (error, 0.0 * one), (0.0 * error, one / p)
    return np.sqrt([closed_loop_cost(changes.joint(order), loop, *pair) for pair in weights])
