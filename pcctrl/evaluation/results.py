"""The files of a comparison: written so that a killed process loses at most the row it was on."""

from __future__ import annotations

import csv
import json
import math
import os
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from pcctrl.errors import FileError
from pcctrl.evaluation.metrics import Row, Summary
from pcctrl.evaluation.rollout import Episode

__all__ = ["Results"]

_COLUMNS = [f.name for f in fields(Row)]


class Results:
    """A directory with ``config.json``, ``results.csv``, ``summary.json`` and the first seed's episodes.

    Args:
        directory: made if absent.
        config: what was asked for. Its ``task`` must be that of the rows already there; agents and seeds may grow.
        fresh: forget the rows that are there.

    Raises:
        FileError: the directory cannot be written, holds another task's results, or damaged ones.
    """

    def __init__(self, directory: Path, config: Mapping[str, Any], *, fresh: bool = False) -> None:
        self.directory = directory
        try:
            (directory / "episodes").mkdir(parents=True, exist_ok=True)
            if fresh:
                (directory / "results.csv").unlink(missing_ok=True)
            else:
                self._check(config)
            self.write_json("config.json", config)
            self.rows = self._read()
            self._rewrite()
        except OSError as error:
            raise FileError(
                name=str(directory), expected="a directory that can be written", received=error.strerror or error
            ) from None

    def add(self, row: Row, episode: Episode | None) -> None:
        """Append a finished row (synchronised to disk), and keep its episode if given.

        Raises:
            FileError: the disk is full or gone.
        """
        try:
            if episode is not None:
                episode.save(self._episode_path(row.agent, row.seed))
            with (self.directory / "results.csv").open("a", newline="", encoding="utf-8") as file:
                csv.writer(file).writerow(asdict(row).values())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise FileError(
                name=str(self.directory), expected="room for the results", received=error.strerror or error
            ) from None
        self.rows.append(row)

    def done(self) -> set[tuple[str, int]]:
        """Return the (agent, seed) pairs that are finished."""
        return {(r.agent, r.seed) for r in self.rows}

    def of(self, agent: str, seeds: Iterable[int]) -> list[Row]:
        """Return the rows of ``agent`` for ``seeds``, in that order."""
        found = {r.seed: r for r in self.rows if r.agent == agent}
        return [found[s] for s in seeds if s in found]

    def episode(self, agent: str, seed: int) -> Episode | None:
        """Return the kept episode of ``agent`` on ``seed``, or None where there is none that can be read."""
        try:
            return Episode.load(self._episode_path(agent, seed))
        except (OSError, ValueError, KeyError, EOFError, AttributeError, TypeError, zipfile.BadZipFile, zlib.error):
            return None

    def summarise(self, summaries: Mapping[str, Summary]) -> None:
        """Write ``summary.json``."""
        tables = {name: asdict(s) for name, s in summaries.items()}
        for table in tables.values():
            # An agent that estimates nothing still has the keys that a reader looks up.
            table["rmse"] = table["rmse"] or dict.fromkeys(table["cost"])
        self.write_json("summary.json", {"agents": tables})

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Write ``content`` to the file ``name``, all of it or nothing."""
        try:
            _replace(self.directory / name, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
        except OSError as error:
            reason = error.strerror or error
            raise FileError(
                name=str(self.directory / name), expected="a file that can be written", received=reason
            ) from None

    def _check(self, config: Mapping[str, Any]) -> None:
        path = self.directory / "config.json"
        if not path.exists():
            if (self.directory / "results.csv").exists():
                raise FileError(name=str(path), expected="the configuration of the results there", received="none")
            return
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            before, agents = dict(stored["task"]), dict(stored["agents"])
        except (ValueError, KeyError, TypeError):
            raise FileError(
                name=str(path), expected="the configuration of a comparison", received="a damaged or foreign file"
            ) from None
        now, cards = json.loads(json.dumps(config["task"])), json.loads(json.dumps(config["agents"]))
        if before != now:
            changed = [
                f"{k} {before.get(k)} there, {now.get(k)} now" for k in {*before, *now} if before.get(k) != now.get(k)
            ]
            raise FileError(
                name=str(self.directory),
                expected="results of the same task (or another --out)",
                received="; ".join(sorted(changed)),
            )

        for name, card in cards.items():
            if agents.setdefault(name, card) != card:
                expected = f"results of the same {name} (or another --out)"
                raise FileError(name=str(self.directory), expected=expected, received=f"those of {agents[name]}")

    def _read(self) -> list[Row]:
        path = self.directory / "results.csv"
        if not path.exists():
            return []
        rows = []
        with path.open(newline="", encoding="utf-8", errors="replace") as file:
            reader = csv.reader(file)
            if next(reader, _COLUMNS) != _COLUMNS:
                raise FileError(name=str(path), expected=f"the columns {', '.join(_COLUMNS)}", received="others")
            for values in reader:
                row = _parse(values)
                # A killed process may have left half a line: that row is run again.
                if row is not None:
                    rows.append(row)
        return rows

    def _rewrite(self) -> None:
        lines = [",".join(_COLUMNS), *(",".join(str(v) for v in asdict(r).values()) for r in self.rows)]
        _replace(self.directory / "results.csv", "\r\n".join(lines) + "\r\n")

    def _episode_path(self, agent: str, seed: int) -> Path:
        return self.directory / "episodes" / f"{agent}_{seed}.npz"


def _parse(values: list[str]) -> Row | None:
    if len(values) != len(_COLUMNS) or values[2] not in ("True", "False"):
        return None
    try:
        numbers = [float(v) for v in values[4:]]
        row = Row(values[0], int(values[1]), values[2] == "True", int(values[3]), *numbers)
    except ValueError:
        return None
    return row if math.isfinite(row.cost) else None


def _replace(path: Path, text: str) -> None:
    temporary = path.with_suffix(path.suffix + ".part")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
