"""Linear models as TOML: names, units of time, matrices and noise in a file that a person can read and edit."""

from __future__ import annotations

import tomllib
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tomli_w

from pcctrl import noise as noises
from pcctrl.errors import FileError, PcctrlError, UnknownNameError
from pcctrl.noise import Noise, Sum

if TYPE_CHECKING:
    from pcctrl.models.linear import LinearModel

__all__ = ["read_model", "write_model"]

VERSION = 1
_KINDS = ("White", "OrnsteinUhlenbeck", "Smooth", "Matern", "Rational")
_MATRICES = ("A", "B", "C", "D", "noise_input", "noise_output", "prior", "disturbance", "delay")
_PLAIN = ("dt", "substeps", "states", "inputs", "sensors")


def write_model(model: LinearModel, path: str | Path) -> None:
    """Write ``model`` to ``path``, all of it or nothing.

    Raises:
        FileError: the file cannot be written.
    """
    content: dict[str, Any] = {"version": VERSION}
    for name in _PLAIN:
        value = getattr(model, name)
        if value is not None:
            content[name] = list(value) if isinstance(value, tuple) else value
    for name in _MATRICES:
        if getattr(model, name) is not None:
            content[name] = np.asarray(getattr(model, name)).tolist()
    state, u, y = (value.tolist() for value in model.operating_point)  # type: ignore[union-attr]
    content["operating_point"] = {"state": state, "input": u, "sensor": y}
    for name in ("process_noise", "sensor_noise"):
        content[name] = [_noise_to_table(n) for n in getattr(model, name)]
    path = Path(path)
    temporary = path.with_suffix(path.suffix + ".part")
    try:
        temporary.write_bytes(tomli_w.dumps(content).encode())
        temporary.replace(path)
    except OSError as error:
        raise FileError(
            name=str(path), expected="a file that can be written", received=error.strerror or error
        ) from None


def read_model(path: str | Path) -> dict[str, Any]:
    """Return the arguments of the `LinearModel` in the file ``path``.

    Raises:
        FileError: the file is missing, not TOML, of another version, or lacks a key.
        UnknownNameError: a key or a kind of noise that there is not.
        PcctrlError: a noise has a bad parameter; the model's own checks come later.
    """
    path = Path(path)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FileError(name=str(path), expected="a model file", received=error.strerror or error) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FileError(name=str(path), expected="a TOML file", received=error) from None
    version = content.pop("version", None)
    if version != VERSION:
        raise FileError(name=str(path), expected=f"version = {VERSION}", received=version)
    known = (*_PLAIN, *_MATRICES, "operating_point", "process_noise", "sensor_noise")
    for key in content:
        if key not in known:
            raise UnknownNameError(name=str(path), expected=f"keys among {', '.join(known)}", received=key)
    for key in ("dt", "A", "B", "C", "noise_input", "process_noise", "sensor_noise"):
        if key not in content:
            raise FileError(name=str(path), expected=f"the key {key}", received="none")
    point = content.pop("operating_point", None)
    if point is not None:
        try:
            content["operating_point"] = tuple(point[key] for key in ("state", "input", "sensor"))
        except (KeyError, TypeError):
            expected = "operating_point with state, input and sensor"
            raise FileError(name=str(path), expected=expected, received=point) from None
    for key in ("process_noise", "sensor_noise"):
        tables = content[key]
        if not isinstance(tables, list):
            raise FileError(name=str(path), expected=f"[[{key}]] tables", received=tables)
        content[key] = [_noise_from_table(f"{path}: {key}[{i}]", table) for i, table in enumerate(tables)]
    return content


def _noise_to_table(noise: Noise) -> dict[str, Any]:
    if isinstance(noise, Sum):
        return {"kind": "Sum", "terms": [_noise_to_table(t) for t in noise.terms]}
    table: dict[str, Any] = {"kind": type(noise).__name__}
    for f in fields(noise):  # type: ignore[arg-type]
        value = getattr(noise, f.name)
        if f.init and value is not None:
            table[f.name] = list(value) if isinstance(value, tuple) else value
    return table


def _noise_from_table(name: str, table: Any) -> Noise:
    kinds = (*_KINDS, "Sum")
    if not isinstance(table, dict) or table.get("kind") not in kinds:
        received = table.get("kind") if isinstance(table, dict) else table
        raise UnknownNameError(name=name, expected=f"a kind among {', '.join(kinds)}", received=received)
    values = {key: value for key, value in table.items() if key != "kind"}
    if table["kind"] == "Sum":
        terms = values.get("terms", [])
        return Sum(tuple(_noise_from_table(f"{name}.terms[{i}]", t) for i, t in enumerate(terms)))
    kind = getattr(noises, table["kind"])
    if kind is noises.White and "density" in values and values["density"] == 0.0:
        del values["density"]
    try:
        noise: Noise = kind(**values)
    except TypeError:
        expected = f"the keys of {table['kind']}: " + ", ".join(f.name for f in fields(kind) if f.init)
        raise UnknownNameError(name=name, expected=expected, received=", ".join(values)) from None
    except PcctrlError as error:
        full = f"{name}.{error.name}"
        raise type(error)(name=full, expected=error.expected, received=error.received) from None
    return noise
