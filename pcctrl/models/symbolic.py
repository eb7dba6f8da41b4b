"""Derivatives of Python functions by CasADi: called once with symbols, a function leaves an expression.

What it calls must be written with operators and NumPy's smooth functions of arrays: NumPy passes ``np.sin(x)`` of an
array of objects on to a method ``sin`` of each, so the same function answers numbers and symbols. A function that
compares, branches or loops on values has no one expression. Source: Andersson et al. 2019.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from pcctrl.arrays import Array, choose
from pcctrl.errors import ModelError

__all__ = ["Derivatives", "Symbol", "SymbolicJacobians", "derivatives"]

Derivatives: TypeAlias = Callable[..., Sequence[ArrayLike]]

# NumPy's names of functions, and CasADi's.
_FUNCTIONS = {name: name for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh", "exp", "log", "sqrt", "hypot")}
_FUNCTIONS |= {f"arc{name}": f"a{name}" for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh")}
_FUNCTIONS |= {name: name for name in ("expm1", "log1p", "log10")} | {"arctan2": "atan2"}


class Symbol:
    """A CasADi expression that operators, and NumPy's functions of arrays of objects, can work on.

    Args:
        expression: a scalar of CasADi, or a number.
    """

    def __init__(self, expression: Any) -> None:
        self.expression = expression

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        raise TypeError("a symbol is not compared")

    def __bool__(self) -> bool:
        raise TypeError("a symbol decides nothing")

    def __neg__(self) -> Symbol:
        return Symbol(-self.expression)

    def __abs__(self) -> Symbol:
        return Symbol(abs(self.expression))


def _operator(operation: Callable[[Any, Any], Any], swapped: bool) -> Callable[[Symbol, Any], Any]:
    def operate(self: Symbol, other: Any) -> Any:
        if isinstance(other, np.ndarray):
            return NotImplemented  # which takes it entry by entry
        pair = self.expression, _expression(other)
        return Symbol(operation(*(reversed(pair) if swapped else pair)))

    return operate


def _function(name: str) -> Callable[..., Symbol]:
    def call(self: Symbol, *others: Any) -> Symbol:
        import casadi

        return Symbol(getattr(casadi, name)(self.expression, *(_expression(other) for other in others)))

    return call


def _expression(value: Any) -> Any:
    return value.expression if isinstance(value, Symbol) else float(value)


for _name in ("add", "sub", "mul", "truediv", "pow"):
    setattr(Symbol, f"__{_name}__", _operator(getattr(operator, _name), swapped=False))
    setattr(Symbol, f"__r{_name}__", _operator(getattr(operator, _name), swapped=True))
for _name, _theirs in _FUNCTIONS.items():
    setattr(Symbol, _name, _function(_theirs))


@dataclass(frozen=True, eq=False)
class SymbolicJacobians:
    """The derivatives of a function of vectors by each of them, from one call of it with symbols; batches lead.

    Args:
        function: of vectors of ``sizes``; returns a vector.
        sizes: of its arguments.

    Raises:
        ModelError: CasADi is not installed, or the function cannot be called with symbols.
    """

    function: Callable[..., ArrayLike]
    sizes: Sequence[int]

    def __post_init__(self) -> None:
        _ = self._compiled

    def __reduce__(self) -> tuple[Any, ...]:
        # What is compiled stays here.
        return type(self), (self.function, self.sizes)

    @cached_property
    def _compiled(self) -> Any:
        """The CasADi function of all arguments in one column that returns the derivatives side by side."""
        try:
            import casadi
        except ImportError as error:
            expected = "CasADi, which comes with pip install 'pcctrl[codegen]'"
            raise ModelError(name="jacobians", expected=expected, received=error) from None
        column = casadi.SX.sym("v", sum(self.sizes))
        symbols = np.array([Symbol(column[i]) for i in range(sum(self.sizes))], dtype=object)
        try:
            values = np.asarray(self.function(*np.split(symbols, np.cumsum(self.sizes)[:-1])), dtype=object)
            value = casadi.vertcat(*(_expression(entry) for entry in values.ravel()))
        except Exception as error:  # whatever a function raises that was written for numbers
            name = getattr(self.function, "__name__", "f or g")
            expected = "operators and smooth functions of numpy, no comparison or float(), for casadi to differentiate"
            raise ModelError(name=name, expected=expected, received=f"{type(error).__name__}: {error}") from None
        return casadi.Function("J", [column], [casadi.densify(casadi.jacobian(value, column))])

    def __call__(self, *arguments: Array) -> list[Array]:
        """Return the derivative (..., k, size) by each argument (..., size)."""
        batch = arguments[0].shape[:-1]
        columns = np.concatenate(arguments, axis=-1).reshape(-1, sum(self.sizes)).T
        # CasADi takes many columns at once, and puts the answers side by side.
        answer = self._compiled(columns).full() if columns.size else np.zeros((self._compiled.size1_out(0), 0))
        J = np.moveaxis(np.reshape(answer, (len(answer), *batch, sum(self.sizes))), 0, -2)
        return np.split(J, np.cumsum(self.sizes)[:-1], axis=-1)


def derivatives(
    name: str, given: Derivatives | str | None, function: Callable[..., ArrayLike], sizes: Sequence[int]
) -> Derivatives | None:
    """Return the derivatives of a function of vectors of ``sizes``: as given, by CasADi if that is named, or None.

    Raises:
        UnknownNameError: another name.
        ModelError: as `SymbolicJacobians`.
    """
    if not isinstance(given, str):
        return given
    choose(name, given, ("casadi",))
    return SymbolicJacobians(function, sizes)
