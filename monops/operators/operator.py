"""The abstract monotone operator A: forward value, resolvent, constants; and its wrappers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

from monops import constants
from monops.arrays import Array
from monops.constants import Constants
from monops.errors import CapabilityError, ConstantError, DataError
from monops.linear import LinearMap
from monops.problem import Summand


@dataclass(frozen=True, eq=False)
class Operator(Summand):
    """A maximal monotone operator A. A subclass implements ``forward``, ``resolvent`` or both, and ``constants``."""

    @cached_property
    def constants(self) -> Constants:
        return Constants()

    def __call__(self, x: Array) -> Array:
        """Ax, for a single-valued operator with a forward value."""
        return self.forward(x)

    def reflected_resolvent(self, x: Array, step: float) -> Array:
        """(2 J - I) x with J = (I + step A)^-1: the Cayley operator."""
        return 2.0 * self.resolvent(x, step) - x

    def resolvent_constants(self, step: float) -> Constants:
        """Constants of the map J = (I + step A)^-1."""
        return constants.resolvent(self.constants, step)

    def resolvent_derivative(self, x: Array, step: float) -> LinearMap:
        """An element of the generalised Jacobian of the resolvent at x, as a structured linear map."""
        raise CapabilityError(f"the derivative of the resolvent of {type(self).__name__} is not closed-form")

    def inverse(self) -> Operator:
        """The inverse operator."""
        return Inverse(self)

    def __mul__(self, factor: Any) -> Operator:
        factor = float(factor)
        if factor < 0 and not self.constants.skew:
            raise DataError(f"{factor:g} * {type(self).__name__} is not monotone: the factor must be at least 0")
        if not abs(factor) < float("inf"):
            raise DataError(f"the factor of {type(self).__name__} must be finite, got {factor}")
        return ScaledOperator(self, factor)

    __rmul__ = __mul__

    def __matmul__(self, linear_map: Any) -> Any:
        raise ConstantError("A @ K need not be monotone: write K.T @ A @ K for the monotone operator K*AK")


@final
@dataclass(frozen=True, eq=False)
class ScaledOperator(Operator):
    """x -> factor Ax, factor >= 0 (any sign for a skew map)."""

    operator: Operator
    factor: float

    @cached_property
    def constants(self) -> Constants:
        return constants.scale(self.operator.constants, self.factor)

    @property
    def input_shape(self) -> Any:
        return self.operator.input_shape

    @property
    def has_forward(self) -> bool:
        return self.operator.has_forward

    @property
    def has_resolvent(self) -> bool:
        return self.operator.has_resolvent and self.factor >= 0

    def forward(self, x: Array) -> Array:
        return self.factor * self.operator.forward(x)

    def resolvent(self, x: Array, step: float) -> Array:
        if self.factor < 0:
            raise CapabilityError("the resolvent of a negatively scaled operator is not closed-form: use its forward value")
        return x if self.factor == 0 else self.operator.resolvent(x, step * self.factor)

    def formula(self, x: str) -> str:
        return f"{self.factor:g} {self.operator.formula(x)}"


@final
@dataclass(frozen=True, eq=False)
class Shifted(Operator):
    """x -> A(x - shift) + offset; either may be None."""

    operator: Operator
    shift: Array | None = None
    offset: Array | None = None

    @cached_property
    def constants(self) -> Constants:
        return constants.shift(self.operator.constants)

    @property
    def input_shape(self) -> Any:
        return self.operator.input_shape

    @property
    def has_forward(self) -> bool:
        return self.operator.has_forward

    @property
    def has_resolvent(self) -> bool:
        return self.operator.has_resolvent

    def forward(self, x: Array) -> Array:
        value = self.operator.forward(x if self.shift is None else x - self.shift)
        return value if self.offset is None else value + self.offset

    def resolvent(self, x: Array, step: float) -> Array:
        if self.offset is not None:
            x = x - step * self.offset
        if self.shift is None:
            return self.operator.resolvent(x, step)
        return self.shift + self.operator.resolvent(x - self.shift, step)

    def formula(self, x: str) -> str:
        inner = self.operator.formula(x if self.shift is None else f"{x} - a")
        return inner if self.offset is None else f"{inner} + v"


@final
@dataclass(frozen=True, eq=False)
class Inverse(Operator):
    """The inverse of A; its resolvent is x - step J_{A/step}(x/step) (Bauschke and Combettes 2017, Prop. 23.20)."""

    operator: Operator

    @cached_property
    def constants(self) -> Constants:
        return constants.inverse(self.operator.constants)

    @property
    def input_shape(self) -> Any:
        return self.operator.input_shape

    @property
    def has_forward(self) -> bool:
        return False

    @property
    def has_resolvent(self) -> bool:
        return self.operator.has_resolvent

    def resolvent(self, x: Array, step: float) -> Array:
        return x - step * self.operator.resolvent(x / step, 1.0 / step)

    def inverse(self) -> Operator:
        return self.operator

    def formula(self, x: str) -> str:
        return f"({self.operator.formula('.')})^-1({x})"
