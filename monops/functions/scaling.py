"""Scaled, translated and tilted functions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

from monops import arrays, constants
from monops.arrays import Array
from monops.constants import Constants
from monops.functions.function import Function
from monops.linear import LinearMap

__all__ = [
    "Scaling",
    "Translation",
]


@final
@dataclass(frozen=True, eq=False)
class Scaling(Function):
    """x -> factor f(x), factor >= 0; prox_{step (factor f)} = prox_{(step factor) f}."""

    function: Function
    factor: float

    @cached_property
    def constants(self) -> Constants:
        return constants.scale(self.function.constants, self.factor)

    @property
    def input_shape(self) -> Any:
        return self.function.input_shape

    @property
    def has_value(self) -> bool:
        return self.function.has_value

    @property
    def has_prox(self) -> bool:
        return self.function.has_prox

    @property
    def has_gradient(self) -> bool:
        return self.function.has_gradient

    def __call__(self, x: Array) -> Array:
        return self.factor * self.function(x) if self.factor > 0 else 0.0 * arrays.row_sum(abs(x), self.batch_ndim)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        return self.function.prox(x, step * self.factor) if self.factor > 0 else x

    def gradient(self, x: Array) -> Array:
        return self.factor * self.function.gradient(x)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        return self.function.prox_derivative(x, step * self.factor)

    def value_formula(self, x: str) -> str:
        return f"{self.factor:g} {self.function.value_formula(x)}"


@final
@dataclass(frozen=True, eq=False)
class Translation(Function):
    """x -> f(x - shift); the prox is shift + prox_f(x - shift). Without batch axes the shift has the shape of x."""

    function: Function
    shift: Array

    @cached_property
    def constants(self) -> Constants:
        return constants.shift(self.function.constants)

    @property
    def input_shape(self) -> Any:
        if self.function.input_shape is not None or self.batch_ndim:
            return self.function.input_shape
        return tuple(int(n) for n in self.shift.shape)

    @property
    def has_value(self) -> bool:
        return self.function.has_value

    @property
    def has_prox(self) -> bool:
        return self.function.has_prox

    @property
    def has_gradient(self) -> bool:
        return self.function.has_gradient

    def __call__(self, x: Array) -> Array:
        return self.function(x - self.shift)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        return self.shift + self.function.prox(x - self.shift, step)

    def gradient(self, x: Array) -> Array:
        return self.function.gradient(x - self.shift)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        return self.function.prox_derivative(x - self.shift, step)

    def value_formula(self, x: str) -> str:
        return self.function.value_formula(f"{x} - a" if len(x) <= 2 else f"({x} - a)")
