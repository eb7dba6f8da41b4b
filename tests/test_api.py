"""The public face: documented, importable, and pointing downward."""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import pcctrl
from pcctrl.errors import PcctrlError

ROOT = Path(pcctrl.__file__).parent
MODULES = sorted(m.name for m in pkgutil.walk_packages(pcctrl.__path__, "pcctrl."))
# Each room may import the rooms to its right only (DESIGN §3).
ROOMS = (
    *("scripts", "agents", "envs", "tuning", "evaluation", "controllers", "filters", "models", "free_energy"),
    *("generalised", "noise"),
)
BASE = ("linalg", "arrays", "errors")


# Not rglob: it does not follow the links to agents, envs and scripts.
SOURCES = sorted(Path(folder) / name for folder, _, names in os.walk(ROOT, followlinks=True) for name in names)
SOURCES = [path for path in SOURCES if path.suffix == ".py"]


def test_every_room_is_seen() -> None:
    seen = {path.relative_to(ROOT).parts[0].removesuffix(".py") for path in SOURCES}
    assert {*ROOMS, *BASE} <= seen


def public(module: ModuleType) -> list[tuple[str, object]]:
    return [(name, getattr(module, name)) for name in getattr(module, "__all__", ())]


@pytest.mark.parametrize("name", MODULES)
def test_module_is_documented_and_all_resolves(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__
    for key, value in public(module):
        if inspect.isclass(value) or inspect.isfunction(value):
            assert value.__doc__, key
    if not name.startswith("pcctrl.scripts"):
        assert hasattr(module, "__all__"), "public modules say what is public"


@pytest.mark.parametrize("name", [m for m in MODULES if m.split(".")[1] not in ("scripts", "errors")])
def test_parameters_are_documented(name: str) -> None:
    for key, value in public(importlib.import_module(name)):
        if not (inspect.isclass(value) and "__init__" in vars(value)) or issubclass(value, PcctrlError):
            continue
        text = inspect.getdoc(value) or ""
        for parameter in inspect.signature(value).parameters:
            # Options document each field where the command line reads it, below the field.
            if parameter not in ("self", "args", "kwargs") and not key.endswith("Options"):
                assert re.search(rf"^ *{parameter}: ", text, re.MULTILINE), f"{key}({parameter}) is not documented"


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def test_dependencies_point_downward() -> None:
    for path in SOURCES:
        room = path.relative_to(ROOT).parts[0].removesuffix(".py")
        if room == "__init__":
            continue
        allowed = {room, *BASE} if room not in ROOMS else {*ROOMS[ROOMS.index(room) :], *BASE}
        used = {m.split(".")[1] for m in imports(path) if m.startswith("pcctrl.") and m != "pcctrl.__version__"}
        assert used <= allowed, f"{path.relative_to(ROOT)} imports upward: {sorted(used - allowed)}"


def test_only_two_places_know_a_simulator() -> None:
    for path in SOURCES:
        parts = path.relative_to(ROOT).parts
        if parts[0] in ("envs", "agents", "scripts", "evaluation") or parts[:2] == ("models", "mujoco"):
            continue
        assert not {m.split(".")[0] for m in imports(path)} & {"mujoco", "gymnasium"}, path


def test_modules_are_small() -> None:
    for path in SOURCES:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 300, path


@pytest.mark.parametrize("name", ["envs", "agents", "scripts"])
def test_the_folders_are_not_packages_of_their_own(name: str) -> None:
    """Importing one beside pcctrl would make every class twice."""
    code = f"import sys; sys.path.insert(0, {str(ROOT.parent)!r}); import {name}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode != 0
    assert f"pcctrl.{name}" in done.stderr or "No module named" in done.stderr


def test_an_error_says_name_expected_and_received() -> None:
    import pickle

    error = PcctrlError("dt", "a positive number", -1)
    assert str(error) == "dt: expected a positive number, got -1"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
