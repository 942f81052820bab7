"""Conjugates and Moreau envelopes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

from monops import arrays, constants
from monops.arrays import Array
from monops.constants import Constants
from monops.errors import DataError
from monops.functions.function import Function

__all__ = [
    "Conjugate",
    "MoreauEnvelope",
]


@final
@dataclass(frozen=True, eq=False)
class Conjugate(Function):
    """f*(y) = sup_x <x, y> - f(x), by Moreau's identity: prox_{s f*}(y) = y - s prox_{f/s}(y/s) (Moreau 1965).

    The value is not closed-form in general: functions whose conjugate has one return their own class from ``conjugate``.
    """

    function: Function

    @cached_property
    def constants(self) -> Constants:
        return constants.inverse(self.function.constants)

    @property
    def input_shape(self) -> Any:
        return self.function.input_shape

    @property
    def has_value(self) -> bool:
        return False

    @property
    def has_prox(self) -> bool:
        return self.function.has_prox

    @property
    def has_gradient(self) -> bool:
        return False

    def prox(self, x: Array, step: float = 1.0) -> Array:
        return x - step * self.function.prox(x / step, 1.0 / step)

    def conjugate(self) -> Function:
        return self.function

    def value_formula(self, x: str) -> str:
        return f"({self.function.value_formula('.')})*({x})"


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
