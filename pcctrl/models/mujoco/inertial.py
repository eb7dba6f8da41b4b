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
_NAME = re.compile(rf"({'|'.join(_KINDS)}):(.+)")
_NUMBER = re.compile(r"_[012]$")
# Numbers of what an added site does not touch, but for places in lists that it may stand in.
_KEPT = (
    "body_",
    "jnt_",
    "dof_",
    "geom_",
    "tendon_",
    "actuator_",
    "eq_",
    "pair_",
    "qpos",
    "exclude_",
    "flex_",
    "hfield_",
)
_SHIFTED = ("adr", "actuator_trnid", "eq_obj1id", "eq_obj2id")


def wants(sensors: str | Sequence[str] | None) -> list[tuple[str, str]]:
    """Return the kinds and bodies of the inertial sensors, ``gyro:BODY`` or ``accelerometer:BODY``, among names.

    A body may still be followed by the number of a reading, as ``BODY_1``: which it is, the model says.
    """
    names = [] if sensors is None else [sensors] if isinstance(sensors, str) else sensors
    found = (_NAME.fullmatch(name) for name in names)
    return list(dict.fromkeys((match[1], match[2]) for match in found if match))


def mounted(source: Path | str, wanted: Sequence[tuple[str, str]], like: mujoco.MjModel) -> mujoco.MjModel:
    """Return the model of an MJCF file or string with inertial sensors at the frames of its bodies.

    Args:
        source: what ``like`` was compiled from.
        wanted: see `wants`; what there is already, or has no such body, is left out. A body of the whole name goes
            before a number of its readings.
        like: the model without them, whose numbers, which may have been changed since, are kept.
    """
    spec = mujoco.MjSpec.from_file(str(source)) if isinstance(source, Path) else mujoco.MjSpec.from_string(source)
    there = {like.sensor(i).name for i in range(like.nsensor)}
    for kind, name in wanted:
        owner = name if spec.body(name) is not None else _NUMBER.sub("", name)
        body, site = spec.body(owner), f"{kind}:{owner}"
        if body is None or site in there or f"{kind}:{name}" in there:
            continue
        there.add(site)
        body.add_site(name=site)
        spec.add_sensor(name=site, type=_KINDS[kind], objtype=mujoco.mjtObj.mjOBJ_SITE, objname=site)
    with quiet(), warnings.catch_warnings():
        # What there is to say of the file was said when it was compiled first.
        warnings.simplefilter("ignore")
        model = spec.compile()
    for name in dir(like):
        value = getattr(like, name) if name.startswith(_KEPT) and not name.endswith(_SHIFTED) else None
        if isinstance(value, np.ndarray) and value.dtype.kind in "fbiu" and getattr(model, name).shape == value.shape:
            getattr(model, name)[...] = value
    for name in dir(like.opt):
        value = None if name.startswith("_") else getattr(like.opt, name)
        if isinstance(value, np.ndarray):
            getattr(model.opt, name)[...] = value
        elif isinstance(value, int | float):
            setattr(model.opt, name, value)
    mujoco.mj_setConst(model, mujoco.MjData(model))
    return model
