"""The ``pcctrl`` program."""

from __future__ import annotations

import contextlib
import io
import os
import re
import signal
import sys
import threading
import warnings
from collections.abc import Sequence
from typing import Annotated

import tyro
from rich.console import Console

from pcctrl.errors import PcctrlError
from pcctrl.scripts.bench import Bench
from pcctrl.scripts.compare import Compare
from pcctrl.scripts.estimate import Estimate_
from pcctrl.scripts.list import List
from pcctrl.scripts.run import Run

__all__ = ["main"]

_Command = (
    Annotated[List, tyro.conf.subcommand("list")]
    | Annotated[Run, tyro.conf.subcommand("run")]
    | Annotated[Compare, tyro.conf.subcommand("compare")]
    | Annotated[Estimate_, tyro.conf.subcommand("estimate")]
    | Annotated[Bench, tyro.conf.subcommand("bench")]
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return 0, 2 after a line on stderr for a user's error, 130 if interrupted, 1 if none reads."""
    # A terminal that cannot show µ shows ?; overflow in an extreme model is reported by its own error.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, signal.default_int_handler)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            _parse(sys.argv[1:] if arguments is None else list(arguments)).run(Console())
        sys.stdout.flush()
    except PcctrlError as error:
        print(f"pcctrl: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("pcctrl: interrupted; finished rows are kept and the same command goes on", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read along, such as head, has enough; nor must Python complain when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0


def _parse(arguments: Sequence[str]) -> List | Run | Compare | Estimate_ | Bench:
    """Parse, turning tyro's box on an error into one line."""
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            command: List | Run | Compare | Estimate_ | Bench = tyro.cli(
                _Command,
                prog="pcctrl",
                description="Active-inference control for robots whose sensors are not white.",
                args=arguments,
                config=(tyro.conf.OmitSubcommandPrefixes,),
            )
    except SystemExit as stop:
        if stop.code:
            # Without its frame, colours and title the box is one sentence.
            plain = re.sub(r"\x1b\[[0-9;]*m", "", complaint.getvalue())
            lines = [line.strip("│─╭╮╰╯ ") for line in plain.splitlines() if "╭" not in line]
            said = " ".join(" ".join(lines).split()).replace("__tyro-dummy-inner__.", "--")
            print(f"pcctrl: {said}", file=sys.stderr)
        sys.stdout.flush()
        raise
    return command
