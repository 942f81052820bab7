"""The abstract closed convex function f: value, prox, gradient, conjugate, derivative of the prox; and its wrappers."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, final

from monops import arrays, constants
from monops.arrays import Array
from monops.constants import Constants
from monops.errors import CapabilityError, DataError
from monops.linear import LinearMap, as_linear_map
from monops.problem import Inclusion, Summand, Term


@dataclass(frozen=True, eq=False)
class Function(Summand):
    """A closed, convex, proper function f; in an inclusion it stands for its subdifferential.

    A subclass implements what is closed-form: ``__call__`` (value), ``prox``, ``gradient``, ``conjugate``,
    ``prox_derivative``, and ``constants`` (mu: strong convexity, L: Lipschitz constant of the gradient).

    Parameters
    ----------
    batch_ndim : int
        Number of leading axes that index independent rows: the value has one entry a row and a prox that couples
        entries couples them within a row only. ``solve`` sets it from its own ``batch_ndim``.
    """

    batch_ndim: int = field(default=0, kw_only=True)

    @cached_property
    def constants(self) -> Constants:
        return Constants(cyclic=True)

    @property
    def has_value(self) -> bool:
        """Whether the value is closed-form."""
        return type(self).__call__ is not Function.__call__

    @property
    def is_indicator(self) -> bool:
        """Whether f is the indicator of a set, so that its subdifferential is a normal cone."""
        return False

    @property
    def has_prox(self) -> bool:
        """Whether the prox is closed-form."""
        return type(self).prox is not Function.prox

    @property
    def has_gradient(self) -> bool:
        """Whether f is differentiable everywhere and its gradient closed-form."""
        return type(self).gradient is not Function.gradient

    def __call__(self, x: Array) -> Array:
        """f(x), one value a row (shape: the batch shape); ``inf`` outside the domain."""
        raise CapabilityError(f"{type(self).__name__} has no closed-form value")

    def prox(self, x: Array, step: float = 1.0) -> Array:
        """argmin_y f(y) + |y - x|^2 / (2 step); same shape, dtype and device as x; step > 0."""
        raise CapabilityError(
            f"the prox of {type(self).__name__} is not closed-form: "
            + ("use its gradient" if self.has_gradient else "split the function, for example with ChambollePock")
        )

    def gradient(self, x: Array) -> Array:
        """The gradient of f at x."""
        raise CapabilityError(f"{type(self).__name__} is not differentiable everywhere: use its prox")

    def conjugate(self) -> Function:
        """The convex conjugate f*(y) = sup_x <x, y> - f(x)."""
        return Conjugate(self, batch_ndim=self.batch_ndim)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        """An element of the generalised (Clarke) Jacobian of the prox at x, as a structured linear map."""
        raise CapabilityError(f"the derivative of the prox of {type(self).__name__} is not closed-form")

    def value_formula(self, x: str) -> str:
        """The value as mathematics, for example ``|x|_1``."""
        return f"{type(self).__name__}({x})"

    def translate(self, shift: Array) -> Function:
        """x -> f(x - shift)."""
        return Translation(self, shift, batch_ndim=self.batch_ndim)

    # ---- the function as an operator: its subdifferential -----------------------------------------
    @property
    def has_forward(self) -> bool:
        return self.has_gradient

    @property
    def has_resolvent(self) -> bool:
        return self.has_prox

    def forward(self, x: Array) -> Array:
        return self.gradient(x)

    def resolvent(self, x: Array, step: float) -> Array:
        return self.prox(x, step)

    def formula(self, x: str) -> str:
        text = self.value_formula("x")
        return f"d({text})" if x == "x" else f"d({text})({x})"

    # ---- algebra -----------------------------------------------------------------------------------
    def __mul__(self, factor: Any) -> Function:
        if getattr(factor, "ndim", 0) > 0:
            raise DataError(
                f"an array times {type(self).__name__} is ambiguous: weights of single entries go into the function, for "
                "example L1Norm(weights)"
            )
        factor = float(factor)
        if not factor >= 0 or factor == math.inf:
            raise DataError(f"{factor:g} * {type(self).__name__} is not convex: the factor must be finite and at least 0")
        return Scaling(self, factor, batch_ndim=self.batch_ndim)

    __rmul__ = __mul__

    def __matmul__(self, linear_map: Any) -> Inclusion:
        return Inclusion((Term(self, as_linear_map(linear_map)),))

    def __neg__(self) -> Function:
        raise DataError(f"-{type(self).__name__} is not convex")

    def __sub__(self, other: Any) -> Function:
        raise DataError(
            f"{type(self).__name__} minus another term is not convex in general: put the data into the function instead, for "
            "example LeastSquares(A, b), Quadratic(P, q) or f.translate(a)"
        )


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
