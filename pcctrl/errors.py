"""The exceptions of pcctrl: each message gives a name, what was expected and what came.

Every error that user input can cause is a `PcctrlError`, so one ``except`` catches them all; each kind is also the
built-in exception that a Python user would expect. Data inside a control loop never raises: it sets a `Status`.
"""

from __future__ import annotations

__all__ = ["FileError", "ModelError", "ParameterError", "PcctrlError", "ShapeError", "UnknownNameError"]


class PcctrlError(Exception):
    """Base of all errors raised by pcctrl.

    Args:
        name: the argument, option or file at fault.
        expected: what it should have been.
        received: what it was.
    """

    def __init__(self, name: str, expected: str, received: object) -> None:
        super().__init__(f"{name}: expected {expected}, got {received}")
        self.name = name
        self.expected = expected
        self.received = received

    def __reduce__(self) -> tuple[type[PcctrlError], tuple[str, str, object]]:
        # Exceptions pickle by their message alone; worker processes need the three arguments back.
        return type(self), (self.name, self.expected, self.received)


class ParameterError(PcctrlError, ValueError):
    """A value is out of its range (non-finite, non-positive, indefinite, contradictory)."""


class ShapeError(PcctrlError, ValueError):
    """An array has the wrong shape or cannot be read as numbers."""


class ModelError(PcctrlError, ValueError):
    """A model cannot do what is asked of it (undetectable, unstabilisable, not at rest)."""


class UnknownNameError(PcctrlError, LookupError):
    """No agent, environment, sensor, joint, column or option has that name."""


class FileError(PcctrlError):
    """A file or directory is missing, damaged, full, or belongs to something else."""
