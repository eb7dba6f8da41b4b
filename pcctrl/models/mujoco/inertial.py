"""Gyroscopes and accelerometers on the bodies of a model that has none, as Gymnasium's have not."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from pathlib import Path

import mujoco
import numpy as np

from pcctrl.models.mujoco.guards import quiet

__all__ = ["mounted", "wants"]

_KINDS = {"gyro": mujoco.mjtSensor.mjSENS_GYRO, "accelerometer": mujoco.mjtSensor.mjSENS_ACCELEROMETER}
_NAME = re.compile(rf"({'|'.join(_KINDS)}):(.+?)(_[012])?")
# Numbers of what an added site does not touch.
_KEPT = ("body_", "jnt_", "dof_", "geom_", "tendon_", "actuator_", "eq_", "pair_", "qpos")


def wants(sensors: str | Sequence[str] | None) -> list[tuple[str, str]]:
    """Return the kinds and bodies of the inertial sensors, ``gyro:BODY`` or ``accelerometer:BODY``, among names."""
    names = [] if sensors is None else [sensors] if isinstance(sensors, str) else sensors
    found = (_NAME.fullmatch(name) for name in names)
    return list(dict.fromkeys((match[1], match[2]) for match in found if match))


def mounted(source: Path | str, wanted: Sequence[tuple[str, str]], like: mujoco.MjModel) -> mujoco.MjModel:
    """Return the model of an MJCF file or string with inertial sensors at the frames of its bodies.

    Args:
        source: what ``like`` was compiled from.
        wanted: see `wants`; what there is already, or has no such body, is left out.
        like: the model without them, whose numbers, which may have been changed since, are kept.
    """
    spec = mujoco.MjSpec.from_file(str(source)) if isinstance(source, Path) else mujoco.MjSpec.from_string(source)
    there = {like.sensor(i).name for i in range(like.nsensor)}
    for kind, name in wanted:
        body = spec.body(name)
        if body is None or f"{kind}:{name}" in there:
            continue
        site = f"{kind}:{name}"
        body.add_site(name=site)
        spec.add_sensor(name=site, type=_KINDS[kind], objtype=mujoco.mjtObj.mjOBJ_SITE, objname=site)
    with quiet(), warnings.catch_warnings():
        # What there is to say of the file was said when it was compiled first.
        warnings.simplefilter("ignore")
        model = spec.compile()
    for name in dir(like):
        value = getattr(like, name) if name.startswith(_KEPT) else None
        if isinstance(value, np.ndarray) and value.dtype.kind in "fb" and getattr(model, name).shape == value.shape:
            getattr(model, name)[...] = value
    model.opt.timestep = like.opt.timestep
    mujoco.mj_setConst(model, mujoco.MjData(model))
    return model
