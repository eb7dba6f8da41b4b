"""An `mjModel` from whatever a user has: a model, a path, an XML string, a Gymnasium environment."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import mujoco
import numpy as np

from pcctrl.arrays import Array
from pcctrl.errors import FileError, ParameterError
from pcctrl.models.mujoco.inertial import mounted, wants
from pcctrl.models.mujoco.mjcf import check_mjcf

__all__ = ["Source", "load"]

_LONGEST = 10.0  # s


class Source(NamedTuple):
    """A model of one's own, and what goes with it.

    Args:
        mjmodel: a copy.
        dt: sample time in seconds: an environment's, else the physics step.
        qpos: (nq,) an environment's start, else the model's own.
    """

    mjmodel: mujoco.MjModel
    dt: float
    qpos: Array


def load(source: Any, sensors: str | Sequence[str] | None = None) -> Source:
    """Return the model that ``source`` is or holds, and leave ``source`` as it is.

    Args:
        source: an ``mjModel``; the path of an MJCF file; an XML string that names no files; or a Gymnasium environment
            whose ``unwrapped.model`` is an ``mjModel``.
        sensors: names that will be read; ``gyro:BODY`` and ``accelerometer:BODY`` are added to a file, string or
            environment that has none.

    Raises:
        FileError: the file is missing, malformed or hostile (see `check_mjcf`), or MuJoCo refuses it.
        ParameterError: none of these, or a physics step that is none.
    """
    env = getattr(source, "unwrapped", None)
    mjmodel = source if isinstance(source, mujoco.MjModel) else getattr(env, "model", None)
    if isinstance(mjmodel, mujoco.MjModel):
        mjmodel = copy.deepcopy(mjmodel)
    elif isinstance(source, str | Path):
        mjmodel = _compile(source)
    else:
        expected = "an MjModel, the path of an MJCF file, an XML string, or an environment with an MjModel"
        raise ParameterError(name="source", expected=expected, received=f"{type(source).__name__} {source!s:.60}")
    if not 0.0 < mjmodel.opt.timestep <= _LONGEST:
        expected = f"a physics step above 0 of at most {_LONGEST:g} s"
        raise ParameterError(name="option timestep", expected=expected, received=mjmodel.opt.timestep)
    wanted, file = wants(sensors), getattr(env, "fullpath", None)
    if wanted and not isinstance(source, mujoco.MjModel):
        text = isinstance(source, str) and source.lstrip().startswith("<")
        mjmodel = mounted(source if text else Path(file or source), wanted, mjmodel)
    dt = getattr(env, "dt", None)
    qpos = getattr(env, "init_qpos", None)
    return Source(
        mjmodel,
        float(mjmodel.opt.timestep) if dt is None else float(dt),
        np.array(mjmodel.qpos0 if qpos is None else qpos, dtype=np.float64),
    )


def _compile(source: str | Path) -> mujoco.MjModel:
    string = isinstance(source, str) and source.lstrip().startswith("<")
    name = "source" if string else str(source)
    try:
        if string:
            check_mjcf(name, str(source), None)
            return mujoco.MjModel.from_xml_string(str(source))
        path = Path(source)
        text = path.read_text(encoding="utf-8")
        check_mjcf(name, text, path.parent, frozenset({path.resolve()}))
        return mujoco.MjModel.from_xml_path(str(path))
    except OSError as error:
        raise FileError(name=name, expected="an MJCF file", received=error.strerror or error) from None
    except (ValueError, RuntimeError, mujoco.FatalError) as error:
        raise FileError(name=name, expected="a valid MJCF model", received=error) from None
