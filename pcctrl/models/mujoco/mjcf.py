"""What an MJCF file may ask for: no files from elsewhere, no sizes that exhaust the machine."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import NamedTuple

from pcctrl.errors import FileError

__all__ = ["check_mjcf"]

_LONGEST = 50_000_000  # characters
_ELEMENTS = 100_000
_PIXELS = 100_000_000
_MEMORY = 2**30  # bytes
_COUNT = 1_000_000
# Of keyframes, iterations a step, and the resolution of a mesh that MuJoCo makes.
_FEW = {"nkey": 10_000, "iterations": 10_000, "ls_iterations": 10_000, "noslip_iterations": 10_000, "params": 1000}
_FEW |= {"ccd_iterations": 10_000, "sdf_iterations": 10_000, "sdf_initpoints": 10_000, "actdim": 10_000, "dim": 10_000}
_UNITS = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40, "P": 2**50, "E": 2**60}
_FOLDERS = ("meshdir", "texturedir", "assetdir")
# A node of a soft body takes MuJoCo twenty times as long to compile as a geom does, and nothing can interrupt it.
_NODE = 20


class _Size(NamedTuple):
    """What a file makes of itself: elements, how often it attaches a model, and elements of the largest such model."""

    elements: int = 0
    attaches: int = 0
    largest: int = 0

    @property
    def total(self) -> int:
        return self.elements + self.attaches * self.largest


def check_mjcf(name: str, text: str, folder: Path | None, seen: frozenset[Path] = frozenset()) -> None:
    """Raise an error if the MJCF ``text``, or a file that it includes, is not well-formed or asks for too much.

    Args:
        name: what to call it in an error.
        text: the XML.
        folder: where its files must be, or None if it may have none.
        seen: files that include this one.

    Raises:
        FileError: not an MJCF model; a file outside ``folder`` or, to be included, missing; or counts of more than
            100 000 elements, 5000 nodes of soft bodies, 100 million pixels, 1 GiB or 10 000 iterations a step.
    """
    _measure(name, text, folder, seen, {})


def _measure(name: str, text: str, folder: Path | None, seen: frozenset[Path], known: dict[Path, _Size]) -> _Size:
    """Check one file and those it includes, each once however often it is included, and return its size."""
    if len(text) > _LONGEST or "<!DOCTYPE" in text or "<!ENTITY" in text:
        received = f"{len(text)} characters" if len(text) > _LONGEST else "a document type"
        raise FileError(name=name, expected=f"plain MJCF of at most {_LONGEST} characters", received=received)
    try:
        root = ET.fromstring(text)
    except (ET.ParseError, ValueError) as error:
        raise FileError(name=name, expected="a well-formed MJCF model", received=error) from None
    if root.tag not in ("mujoco", "mujocoinclude"):
        raise FileError(name=name, expected="an MJCF model (<mujoco>)", received=f"<{root.tag}>")
    folders = [root_folder for e in root.iter("compiler") for root_folder in (e.get(key) for key in _FOLDERS)]
    places = [Path(), *(Path(place) for place in folders if place)]
    names = {element.get("name") for element in root.iter()}
    size, stack = _Size(), [(root, 1)]
    while stack:
        element, times = stack.pop()
        elements, attaches, largest = size
        elements += times * _copies(name, element)
        attaches += times * (element.tag == "attach")
        _check_sizes(name, element)
        for key, value in element.attrib.items():
            # MuJoCo takes a mass of NaN for none given. Something may be called nan.
            if value not in names and re.search(r"(?<!\S)[+-]?nan(?!\S)", value, re.IGNORECASE):
                raise FileError(name=name, expected="finite numbers", received=f"{key} = {value!r} in <{element.tag}>")
            if key.startswith("file") or key in _FOLDERS:
                _check_path(name, f"{element.tag} {key}", value, folder, places)
        if folder is not None and (element.tag == "include" or (element.tag == "model" and "file" in element.attrib)):
            part = _included(name, element, folder, seen, known)
            if element.tag == "include":
                elements += times * part.elements
                attaches += times * part.attaches
            largest = max(largest, part.largest if element.tag == "include" else part.total)
        size = _Size(elements, attaches, largest)
        if size.total > _ELEMENTS:
            received = f"{size.total}, by <{element.tag}>"
            raise FileError(name=name, expected=f"at most {_ELEMENTS} elements", received=received)
        inside = times * _whole(name, element, "count") if element.tag == "replicate" else times
        stack += [(child, inside) for child in element]
    return size


def _included(name: str, element: ET.Element, folder: Path, seen: frozenset[Path], known: dict[Path, _Size]) -> _Size:
    path = (folder / element.get("file", "")).resolve()
    if path in seen or len(seen) > 50:
        raise FileError(name=name, expected="no file that includes itself", received=element.get("file"))
    if path in known:
        return known[path]
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(
            name=name, expected=f"the file {element.get('file')} that it includes", received=error
        ) from None
    known[path] = _measure(str(path), text, folder, seen | {path}, known)
    return known[path]


def _check_path(name: str, what: str, value: str, folder: Path | None, places: list[Path]) -> None:
    if folder is None:
        raise FileError(name=name, expected="no files in an XML string (give a path)", received=f"{what} = {value!r}")
    path = Path(value)
    inside = not (path.is_absolute() or ".." in path.parts or re.search(r"[\\:\x00]", value))
    # A link may lead out as well.
    inside = inside and all((folder / place / path).resolve().is_relative_to(folder.resolve()) for place in places)
    if not inside:
        expected = f"files within {folder} (or load it yourself, and give the MjModel)"
        raise FileError(name=name, expected=expected, received=f"{what} = {value!r}")


def _copies(name: str, element: ET.Element) -> int:
    """Return how many elements this one makes by itself, nodes of soft bodies by what they cost."""
    if element.tag not in ("composite", "flexcomp"):
        return 1
    return _NODE * max(1, math.prod(max(1, int(number)) for number in _numbers(name, element, "count")))


def _check_sizes(name: str, element: ET.Element) -> None:
    if element.tag in ("texture", "hfield"):
        keys = ("width", "height") if element.tag == "texture" else ("nrow", "ncol")
        pixels = math.prod(max(1, _whole(name, element, key)) for key in keys)
        if pixels > _PIXELS:
            raise FileError(name=name, expected=f"at most {_PIXELS} pixels", received=f"{pixels} in <{element.tag}>")
    # Each pixel of a camera may be a ray of a rangefinder.
    rays = math.prod(max(1, int(number)) for number in _numbers(name, element, "resolution"))
    if rays > _COUNT:
        raise FileError(name=name, expected=f"a resolution of at most {_COUNT} pixels", received=rays)
    if element.tag == "size" and "memory" in element.attrib:
        memory = element.attrib["memory"].strip()
        match = re.fullmatch(r"(-1|\d{1,18})([KMGTPE]?)", memory, re.IGNORECASE)
        if match is None or int(match[1]) * _UNITS.get(match[2].upper(), 1) > _MEMORY:
            raise FileError(name=name, expected="memory of at most 1G", received=memory)
    for key in element.attrib:
        counts = key in ("nsample", "nuser", *_FEW) or (element.tag == "size" and key != "memory")
        most = _FEW.get(key, _COUNT)
        if counts and _whole(name, element, key) > most:
            raise FileError(name=name, expected=f"{key} of at most {most}", received=element.attrib[key])


def _whole(name: str, element: ET.Element, key: str) -> int:
    return int(max(_numbers(name, element, key), default=1))


def _numbers(name: str, element: ET.Element, key: str) -> list[float]:
    try:
        numbers = [float(number) for number in element.get(key, "").split()]
        if not all(math.isfinite(number) for number in numbers):
            raise ValueError
    except ValueError:
        received = f"{key} = {element.get(key)!r} in <{element.tag}>"
        raise FileError(name=name, expected="finite numbers", received=received) from None
    return numbers
