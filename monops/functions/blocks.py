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

__all__ = [
    "SeparableSum",
]


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
