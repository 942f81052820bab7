"""Subdifferentials, normal cones, and the saddle operator of a convex-concave problem."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

from monops import arrays
from monops.arrays import Array
from monops.constants import Constants, add
from monops.errors import CapabilityError, DataError
from monops.functions import Function, SeparableSum
from monops.linear import as_linear_map
from monops.operators.affine import Skew
from monops.operators.operator import Operator
from monops.problem import Term


@final
@dataclass(frozen=True, eq=False)
class Subdifferential(Operator):
    """The subdifferential of a convex function: forward value = gradient, resolvent = prox.

    In a sum a Function stands for its subdifferential already; this class is for the calculus of operators, such as
    ``Subdifferential(f).inverse()``.

    Examples
    --------
    >>> import numpy as np
    >>> from monops.functions import L1Norm
    >>> Subdifferential(L1Norm()).resolvent(np.array([3.0]), 1.0)
    array([2.])
    """

    function: Function

    def __post_init__(self) -> None:
        if not self.function.is_convex:
            raise DataError(f"Subdifferential: {type(self.function).__name__} is nonconvex, so that it has no monotone one")

    @cached_property
    def constants(self) -> Constants:
        return self.function.constants

    @property
    def input_shape(self) -> Any:
        return self.function.input_shape

    @property
    def has_forward(self) -> bool:
        return self.function.has_gradient

    @property
    def has_resolvent(self) -> bool:
        return self.function.has_prox

    def forward(self, x: Array) -> Array:
        return self.function.gradient(x)

    def resolvent(self, x: Array, step: float) -> Array:
        return self.function.prox(x, step)

    def inverse(self) -> Operator:
        return Subdifferential(self.function.conjugate())

    def formula(self, x: str) -> str:
        return self.function.formula(x)


@final
@dataclass(frozen=True, eq=False)
class NormalCone(Operator):
    """The normal cone of a closed convex set; its resolvent is the projection for every step.

    Parameters
    ----------
    set : Function
        An indicator: Box, NonNegative, Simplex, L2Ball, ...

    Raises
    ------
    DataError
        When the function is not the indicator of a set.

    Examples
    --------
    >>> import numpy as np
    >>> from monops.functions import Box
    >>> NormalCone(Box(0.0, 1.0)).resolvent(np.array([3.0]), 0.1)
    array([1.])
    """

    set: Function

    def __post_init__(self) -> None:
        if isinstance(self.set, Function) and not self.set.is_convex:
            raise DataError(
                f"NormalCone: the set of {type(self.set).__name__} is nonconvex, so that its normal cone is not monotone"
            )
        if not (isinstance(self.set, Function) and self.set.is_indicator):
            raise DataError(
                f"NormalCone needs a set such as Box or Simplex, got {type(self.set).__name__}: for the subdifferential of a "
                "function add the function itself, or use Subdifferential"
            )

    @cached_property
    def constants(self) -> Constants:
        return self.set.constants

    @property
    def input_shape(self) -> Any:
        return self.set.input_shape

    def resolvent(self, x: Array, step: float) -> Array:
        return self.set.prox(x, step)

    def formula(self, x: str) -> str:
        return f"N_C({x})"


@final
@dataclass(frozen=True, eq=False)
class Saddle(Operator):
    """The operator of min_x max_y f(x) + <Kx, y> - g(y): (x, y) -> (df(x) + K*y, dg(y) - Kx) on Blocks.

    Parameters
    ----------
    f, g : Function
        Convex; g is the function of y (so that minimising f(x) + h(Kx) has g = h*, ``h.conjugate()``).
    K : array, SciPy sparse matrix or linear map

    Notes
    -----
    In an inclusion it is two terms: the separable sum of f and g (by proxes) and ``Skew(K)``. It has a forward value where
    f and g are both smooth. **Constants** mu = min(mu_f, mu_g), L = max(L_f, L_g) + |K|.

    References
    ----------
    Rockafellar (1970), Monotone operators associated with saddle-functions; Ryu and Boyd (2016).

    Examples
    --------
    >>> import numpy as np
    >>> from monops.functions import Simplex
    >>> print(Saddle(Simplex(), Simplex(), np.eye(2)) + Skew(np.eye(2)))
    0 in d((i(x1 >= 0, sum x1 = 1) + i(x2 >= 0, sum x2 = 1))) + (K*y, -Kx) + (K*y, -Kx)
    """

    f: Function
    g: Function
    K: Any

    def __post_init__(self) -> None:
        for name, function in (("f", self.f), ("g", self.g)):
            if not isinstance(function, Function):
                raise DataError(f"Saddle: {name} must be a Function, got {type(function).__name__}")
        object.__setattr__(self, "K", as_linear_map(self.K))

    @cached_property
    def _sum(self) -> SeparableSum:
        return SeparableSum((self.f, self.g))

    @cached_property
    def _skew(self) -> Skew:
        return Skew(self.K)

    @cached_property
    def constants(self) -> Constants:
        return add(self._sum.constants, self._skew.constants)

    @property
    def input_shape(self) -> Any:
        return self._skew.input_shape

    @property
    def has_forward(self) -> bool:
        return self._sum.has_gradient

    def forward(self, z: Array) -> Array:
        if not self.has_forward:
            raise CapabilityError("Saddle has a forward value only where f and g are smooth: split it with solve")
        return self._sum.gradient(z) + self._skew.forward(z)

    def terms(self) -> tuple[Term, ...]:
        return (Term(self._sum), Term(self._skew))

    def value(self, z: Array) -> Array:
        """f(x) + <Kx, y> - g(y)."""
        x, y = z
        return self.f(x) + arrays.inner(self.K.apply(x), y, self.f.batch_ndim) - self.g(y)

    def formula(self, x: str) -> str:
        return "(df(x) + K*y, dg(y) - Kx)"
