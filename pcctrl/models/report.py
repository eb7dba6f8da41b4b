"""What can be estimated and controlled, and how nearly it could not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pcctrl.arrays import Array

if TYPE_CHECKING:
    from pcctrl.models.linear import LinearModel

__all__ = ["Mode", "ModelReport", "report"]

# Relative singular values below this are rank deficiencies.
_NULL = 1e-9


@dataclass(frozen=True)
class Mode:
    """One mode of the sampled plant.

    Args:
        eigenvalue: over one sample.
        observable: Hautus margin of the sensors, the least singular value of [A − λI; C] (0: no sensor sees it).
        controllable: Hautus margin of the inputs, the least singular value of [A − λI, B].
        excited: Hautus margin of the process noise, which a filter needs to keep attending to it.
    """

    eigenvalue: complex
    observable: float
    controllable: float
    excited: float

    @property
    def stable(self) -> bool:
        """Whether it decays."""
        return abs(self.eigenvalue) < 1.0 - 1e-9


@dataclass(frozen=True)
class ModelReport:
    """Modes of a model, and the four verdicts on them.

    Args:
        modes: of the sampled plant, the slowest first.
    """

    modes: tuple[Mode, ...]

    @property
    def observable(self) -> bool:
        """Whether the sensors see every mode."""
        return all(m.observable > _NULL for m in self.modes)

    @property
    def detectable(self) -> bool:
        """Whether they see every mode that does not decay: what a filter needs."""
        return all(m.stable or m.observable > _NULL for m in self.modes)

    @property
    def controllable(self) -> bool:
        """Whether the inputs reach every mode."""
        return all(m.controllable > _NULL for m in self.modes)

    @property
    def stabilisable(self) -> bool:
        """Whether they reach every mode that does not decay: what a controller needs."""
        return all(m.stable or m.controllable > _NULL for m in self.modes)

    def __str__(self) -> str:
        """Return the verdicts and a line for each mode."""
        verdicts = ("observable", "detectable", "controllable", "stabilisable")
        lines = [", ".join(v if getattr(self, v) else f"NOT {v}" for v in verdicts)]
        lines += [
            f"  eigenvalue {m.eigenvalue:.4g}: margins observable {m.observable:.2g}, controllable "
            f"{m.controllable:.2g}, excited {m.excited:.2g}"
            for m in self.modes
        ]
        return "\n".join(lines)


def report(model: LinearModel) -> ModelReport:
    """Return the report of a model, by the Hautus test on its sampled plant (states in their own units)."""
    joint = model.white.joint(0)
    n = joint.plant
    A, B, C = joint.F[:n, :n], joint.B[:n], model.C
    noise = joint.Q[:n, :n]

    def margin(pencil: Array) -> float:
        return float(np.linalg.svd(pencil, compute_uv=False)[n - 1])

    modes = []
    for eigenvalue in sorted(np.linalg.eigvals(A), key=abs, reverse=True):
        shifted = A - eigenvalue * np.eye(n)
        modes.append(
            Mode(
                complex(eigenvalue),
                margin(np.vstack([shifted, C])),
                margin(np.hstack([shifted, B])),
                margin(np.hstack([shifted, noise])),
            )
        )
    return ModelReport(tuple(modes))
