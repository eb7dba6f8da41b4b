"""The joints of a mechanism as if nothing coupled them: what is left once its inverse dynamics are taken out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from pcctrl.errors import ModelError
from pcctrl.models.delayed import Delayed
from pcctrl.models.linear import LinearModel

if TYPE_CHECKING:
    from pcctrl.models.protocol import GenerativeModel, Mechanics

__all__ = ["free_joints"]


def free_joints(
    model: GenerativeModel, mechanics: Mechanics | None, disturbance: ArrayLike | None = None
) -> LinearModel:
    r"""Return the joints as double integrators, :math:`\ddot q = a + d + M_0^{-1}w`, driven by accelerations a.

    An input u makes them with :math:`a = M(q)^{-1}(u - C\dot q - g - D\dot q)`, which a filter works out at its
    estimate; torques w that disturb the joints push them by the mass matrix M₀ at the start.

    Args:
        model: with nv positions and their rates for states, and sensors that are linear in them; they may be late.
        mechanics: of the model; None where w stands for accelerations in rad/s² itself.
        disturbance: rate of the random walk d in rad/s² per √s, one number or (nv,), or None.

    Raises:
        ModelError: the model has other states, or a disturbance that is not one a joint.
    """
    x, _, y = model.start
    n, q = len(x), len(model.process_noise)
    nv = n // 2
    C, *_ = model.readout_jacobians(x, model.start[1])
    if n % 2 or (q not in (0, nv)) or (mechanics is not None and mechanics.degrees != nv):
        expected = "positions and rates of joints, with one disturbance each or none"
        raise ModelError(name="model", expected=expected, received=f"{n} states, {q} disturbances")
    none, one = np.zeros((nv, nv)), np.eye(nv)
    push = one if mechanics is None else np.asarray(np.linalg.inv(mechanics.mass_matrix(x)), dtype=np.float64)
    return LinearModel(
        np.block([[none, one], [none, none]]),
        np.vstack([none, one]),
        C,
        dt=model.dt,
        noise_input=np.vstack([none, push])[:, :q],
        process_noise=model.process_noise,
        sensor_noise=model.sensor_noise,
        disturbance=None if disturbance is None else np.broadcast_to(np.asarray(disturbance, dtype=float), (nv,)),
        prior=model.prior,
        operating_point=(x, np.zeros(nv), y),
        states=model.states,
        sensors=model.sensors,
        delay=np.asarray(model.delay, dtype=np.float64) if isinstance(model, Delayed) else None,
    )
