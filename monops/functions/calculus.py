"""Calculus of functions: separable sums over blocks and Moreau envelopes (scaling, translation, conjugate: function.py)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

from monops import arrays, constants
from monops.arrays import Array, Blocks
from monops.constants import Constants
from monops.errors import DataError, ShapeError
from monops.functions.function import Function


@final
@dataclass(frozen=True, eq=False)
class SeparableSum(Function):
    """f(x1, x2, ...) = f1(x1) + f2(x2) + ... on Blocks; the prox acts block by block.

    Examples
    --------
    >>> import numpy as np
    >>> from monops.functions import L1Norm, NonNegative
    >>> f = SeparableSum((L1Norm(), NonNegative()))
    >>> f.prox(Blocks((np.array([3.0]), np.array([-1.0]))))
    Blocks(array([2.]), array([0.]))
    """

    functions: tuple[Function, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "functions", tuple(self.functions))
        if not self.functions:
            raise DataError("SeparableSum needs at least one function")

    @cached_property
    def constants(self) -> Constants:
        return constants.product([function.constants for function in self.functions])

    @property
    def input_shape(self) -> Any:
        shapes = tuple(function.input_shape for function in self.functions)
        return None if None in shapes else shapes

    @property
    def has_value(self) -> bool:
        return all(function.has_value for function in self.functions)

    @property
    def has_prox(self) -> bool:
        return all(function.has_prox for function in self.functions)

    @property
    def has_gradient(self) -> bool:
        return all(function.has_gradient for function in self.functions)

    def _blocks(self, x: Array) -> Array:
        if not isinstance(x, tuple) or len(x) != len(self.functions):
            raise ShapeError(f"SeparableSum of {len(self.functions)} functions needs Blocks of {len(self.functions)} arrays")
        return x

    def __call__(self, x: Array) -> Array:
        values = [function(block) for function, block in zip(self.functions, self._blocks(x), strict=True)]
        total = values[0]
        for value in values[1:]:
            total = total + value
        return total

    def prox(self, x: Array, step: float = 1.0) -> Array:
        return Blocks([function.prox(block, step) for function, block in zip(self.functions, self._blocks(x), strict=True)])

    def gradient(self, x: Array) -> Array:
        return Blocks([function.gradient(block) for function, block in zip(self.functions, self._blocks(x), strict=True)])

    def conjugate(self) -> Function:
        return SeparableSum(tuple(function.conjugate() for function in self.functions), batch_ndim=self.batch_ndim)

    def value_formula(self, x: str) -> str:
        names = [function.value_formula(f"{x}{index + 1}") for index, function in enumerate(self.functions)]
        return f"({' + '.join(names)})"


@final
@dataclass(frozen=True, eq=False)
class MoreauEnvelope(Function):
    """e(x) = min_y f(y) + |y - x|^2/(2 parameter): smooth, with the minimisers of f.

    Notes
    -----
    Gradient (x - prox_{parameter f}(x))/parameter; prox_{s e}(x) = x + s/(parameter + s) (prox_{(parameter + s) f}(x) - x).
    **Constants** L = 1/parameter, mu = mu_f/(1 + parameter mu_f).

    References
    ----------
    Bauschke and Combettes (2017), Propositions 12.30 and 24.8(vii). Moreau (1965).

    Examples
    --------
    >>> import numpy as np
    >>> from monops.functions import L1Norm
    >>> MoreauEnvelope(L1Norm(), 2.0).gradient(np.array([1.0, 5.0]))
    array([0.5, 1. ])
    """

    function: Function
    parameter: float

    def __post_init__(self) -> None:
        if not 0 < self.parameter < float("inf"):
            raise DataError(f"MoreauEnvelope: parameter={self.parameter!r} must be a finite number > 0")

    @cached_property
    def constants(self) -> Constants:
        return constants.yosida(self.function.constants, self.parameter)

    @property
    def input_shape(self) -> Any:
        return self.function.input_shape

    @property
    def has_value(self) -> bool:
        return self.function.has_value and self.function.has_prox

    @property
    def has_prox(self) -> bool:
        return self.function.has_prox

    @property
    def has_gradient(self) -> bool:
        return self.function.has_prox

    def __call__(self, x: Array) -> Array:
        nearest = self.function.prox(x, self.parameter)
        move = x - nearest
        return self.function(nearest) + arrays.inner(move, move, self.batch_ndim) / (2.0 * self.parameter)

    def gradient(self, x: Array) -> Array:
        return (x - self.function.prox(x, self.parameter)) / self.parameter

    def prox(self, x: Array, step: float = 1.0) -> Array:
        total = self.parameter + step
        return x + (step / total) * (self.function.prox(x, total) - x)

    def value_formula(self, x: str) -> str:
        return f"env_{self.parameter:g}({self.function.value_formula(x)})"
