"""Sums and Yosida approximations of operators, and operators from callables (scaling, shift, inverse: operator.py)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

from monops import constants as calculus
from monops.arrays import Array
from monops.constants import Constants
from monops.errors import CapabilityError, DataError
from monops.operators.operator import Operator
from monops.problem import Summand

UNKNOWN = Constants()


@final
@dataclass(frozen=True, eq=False)
class OperatorSum(Operator):
    """x -> Ax + Bx as one operator, by forward values; to solve with resolvents write ``A + B`` instead.

    Examples
    --------
    >>> import numpy as np
    >>> from monops.operators import Affine
    >>> OperatorSum(Affine(np.eye(1)), Affine(2.0 * np.eye(1))).constants.lipschitz
    3.0
    """

    A: Summand
    B: Summand

    @cached_property
    def constants(self) -> Constants:
        return calculus.add(self.A.constants, self.B.constants)

    @property
    def input_shape(self) -> Any:
        return self.A.input_shape if self.A.input_shape is not None else self.B.input_shape

    @property
    def has_forward(self) -> bool:
        return self.A.has_forward and self.B.has_forward

    def forward(self, x: Array) -> Array:
        return self.A.forward(x) + self.B.forward(x)

    def formula(self, x: str) -> str:
        return f"({self.A.formula(x)} + {self.B.formula(x)})"


@final
@dataclass(frozen=True, eq=False)
class Yosida(Operator):
    """The Yosida approximation (I - J)/parameter with J = (I + parameter A)^-1: single-valued, with the zeros of A.

    Notes
    -----
    Resolvent: x + step/(step + parameter) (J_{(step + parameter) A} x - x). **Constants** beta = beta_A + parameter,
    mu = mu_A/(1 + parameter mu_A).

    References
    ----------
    Bauschke and Combettes (2017), Definition 23.1, Proposition 23.7, Corollary 23.11.

    Examples
    --------
    >>> import numpy as np
    >>> from monops.operators import Affine
    >>> Yosida(Affine(np.eye(1)), 1.0)(np.array([2.0]))
    array([1.])
    """

    operator: Summand
    parameter: float

    def __post_init__(self) -> None:
        if not 0 < self.parameter < math.inf:
            raise DataError(f"Yosida: parameter={self.parameter!r} must be a finite number > 0")

    @cached_property
    def constants(self) -> Constants:
        return calculus.yosida(self.operator.constants, self.parameter)

    @property
    def input_shape(self) -> Any:
        return self.operator.input_shape

    @property
    def has_forward(self) -> bool:
        return self.operator.has_resolvent

    @property
    def has_resolvent(self) -> bool:
        return self.operator.has_resolvent

    def forward(self, x: Array) -> Array:
        return (x - self.operator.resolvent(x, self.parameter)) / self.parameter

    def resolvent(self, x: Array, step: float) -> Array:
        total = step + self.parameter
        return x + (step / total) * (self.operator.resolvent(x, total) - x)

    def formula(self, x: str) -> str:
        return f"yosida_{self.parameter:g}[{self.operator.formula(x)}]"


@final
@dataclass(frozen=True, eq=False, init=False)
class Custom(Operator):
    """An operator from callables, with the constants that the user declares (checked on points when solving).

    Parameters
    ----------
    forward : callable, optional
        x -> Ax.
    resolvent : callable, optional
        (x, step) -> (I + step A)^-1 x.
    constants : Constants
        What is known; an undeclared constant is unknown, and methods that need it refuse.
    input_shape : tuple of int, optional
        Shape of x, where it is fixed.

    Raises
    ------
    CapabilityError
        When neither callable is given.

    Examples
    --------
    >>> import numpy as np
    >>> A = Custom(forward=lambda x: x**3 + x, constants=Constants(strong_monotonicity=1.0))
    >>> A(np.array([2.0]))
    array([10.])
    """

    forward_function: Callable[[Array], Array] | None
    resolvent_function: Callable[[Array, float], Array] | None
    declared: Constants
    shape: Any

    def __init__(
        self,
        forward: Callable[[Array], Array] | None = None,
        resolvent: Callable[[Array, float], Array] | None = None,
        constants: Constants = UNKNOWN,
        input_shape: Any = None,
    ) -> None:
        if forward is None and resolvent is None:
            raise CapabilityError(
                "Custom needs a forward value, a resolvent, or both: pass forward=x -> Ax or "
                "resolvent=(x, step) -> (I + step A)^-1 x"
            )
        for role, given in (("forward", forward), ("resolvent", resolvent)):
            if given is not None and not callable(given):
                raise DataError(f"Custom needs a callable as {role}, got {given!r}; a matrix becomes an operator as Affine(M)")
        if not isinstance(constants, Constants):
            raise DataError(f"Custom needs constants=Constants(strong_monotonicity=..., ...), got {constants!r}")
        for name, value in (
            ("forward_function", forward),
            ("resolvent_function", resolvent),
            ("declared", constants),
            ("shape", input_shape),
        ):
            object.__setattr__(self, name, value)

    @cached_property
    def constants(self) -> Constants:
        return self.declared

    @property
    def input_shape(self) -> Any:
        return self.shape

    @property
    def has_forward(self) -> bool:
        return self.forward_function is not None

    @property
    def has_resolvent(self) -> bool:
        return self.resolvent_function is not None

    def forward(self, x: Array) -> Array:
        if self.forward_function is None:
            raise CapabilityError("this Custom operator has no forward value: use its resolvent")
        return self.forward_function(x)

    def resolvent(self, x: Array, step: float) -> Array:
        if self.resolvent_function is None:
            raise CapabilityError("this Custom operator has no resolvent: use its forward value")
        return self.resolvent_function(x, step)
