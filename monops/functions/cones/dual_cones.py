"""The polar and the dual of any closed convex cone, by Moreau's decomposition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from monops import arrays, autodiff
from monops.arrays import Array
from monops.errors import DataError
from monops.functions.arguments import check_prox
from monops.functions.calculus.duality import complement
from monops.functions.cones.cones import Cone, RotatedSecondOrderCone, SecondOrderCone
from monops.functions.feasibility import nonzero, row_norm, zero_or_infinity
from monops.functions.function import Function
from monops.functions.iterative import Iterative
from monops.functions.sample import Sample
from monops.functions.wrapper import Wrapper, renamed
from monops.linear import LinearMap

__all__ = ["DualCone", "PolarCone"]


def check_cone(owner: str, function: Function) -> None:
    """Raise DataError for a function that cannot be the indicator of a cone."""
    if not function.is_convex or not function.is_indicator:
        raise DataError(
            f"{owner} needs the indicator of a closed convex cone, got {type(function).__name__}: for another function use "
            "its conjugate()"
        )


def project_on_cone(owner: str, function: Function, x: Array) -> Array:
    """The projection p on the cone; DataError where <p, x - p> is not 0, which shows that the set is no cone."""
    p = function.prox(x)
    xp = arrays.namespace(x)
    still, nearest = autodiff.detach(x), autodiff.detach(p)
    size = nonzero(xp.max(xp.abs(still)))
    angle = xp.abs(arrays.inner(nearest / size, (still - nearest) / size))
    if arrays.holds_everywhere(angle > 1e-4 * arrays.inner(still / size, still / size)):
        raise DataError(
            f"{owner}: the set of {type(function).__name__} is not a cone: its projection p of x has <p, x - p> != 0; use its "
            "conjugate(), a support function"
        )
    return p


def far(function: Function, x: Array) -> Array:
    """0 where the projection of x on the cone vanishes up to rounding, that is in the polar cone; else infinity."""
    size = row_norm(x, function.batch_ndim)
    distance = row_norm(function.prox(x), function.batch_ndim)
    if isinstance(function, Iterative):
        return zero_or_infinity(distance <= 2.0 * function.target_error(x, None), x)
    return zero_or_infinity(distance <= 64 * arrays.epsilon(x) * arrays.clip(size, 1.0, None), x)


@final
@dataclass(frozen=True, eq=False)
class PolarCone(Wrapper):
    """Indicator of {y : <x, y> <= 0 for all x in K}, K the cone whose indicator is ``function``; its conjugate.

    Parameters
    ----------
    function : Function
        Indicator of a closed convex cone; another set is refused where its projection shows that it is none.

    Notes
    -----
    prox: x - P_K(x) (Moreau), computed without the subtraction for the cones of this library. **Domain** the polar cone. The
    value is that of the dual cone at -x where that is closed-form, else P_K(x) = 0 up to rounding. **Constants** mu = 0; no
    gradient. **Cost** one projection on K. **Derivative** of the prox: the identity minus that of P_K.

    References
    ----------
    Moreau (1962), Decomposition orthogonale d'un espace hilbertien selon deux cones mutuellement polaires.

    Examples
    --------
    >>> import numpy as np
    >>> from monops.functions import SecondOrderCone
    >>> PolarCone(SecondOrderCone()).prox(np.array([0.0, 3.0, 4.0]))
    array([-2.5,  1.5,  2. ])
    """

    def __post_init__(self) -> None:
        check_cone("PolarCone", self.function)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        from monops.functions.sets.sets import NonNegative

        return (
            Sample(lambda a: cls(SecondOrderCone()), (5,), lambda cp, y: [cp.SOC(-y[0], y[1:])]),
            Sample(lambda a: cls(NonNegative()), (2, 3), lambda cp, y: [y <= 0]),
        )

    @property
    def is_indicator(self) -> bool:
        return True

    @property
    def has_value(self) -> bool:
        return True

    @property
    def has_gradient(self) -> bool:
        return False

    def __call__(self, x: Array) -> Array:
        if isinstance(self.function, Cone):
            return self.function.dual()(-x)
        return far(self.function, x)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        if not isinstance(self.function, Cone):
            return x - project_on_cone("PolarCone", self.function, x)
        self.function.check(x)
        return self.with_derivative(x, step, self.function.decompose(autodiff.detach(x))[1])

    def conjugate(self) -> Function:
        return self.function

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        return complement(self.function.prox_derivative(x))

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        return renamed(self.function.prox_parameter_derivatives(x), -1.0)

    def value_formula(self, x: str) -> str:
        return f"i({x} in polar of {{{self.function.value_formula('.')}}})"


@final
@dataclass(frozen=True, eq=False)
class DualCone(Wrapper):
    """Indicator of {y : <x, y> >= 0 for all x in K}, K the cone whose indicator is ``function``.

    Parameters
    ----------
    function : Function
        Indicator of a closed convex cone; another set is refused where its projection shows that it is none.

    Notes
    -----
    prox: x + P_K(-x) (Moreau), computed without the sum for the cones of this library. **Domain** the dual cone. **Constants**
    mu = 0; no gradient. **Cost** one projection on K. **Derivative** of the prox: the identity minus that of P_K at -x.

    References
    ----------
    Moreau (1962), Decomposition orthogonale d'un espace hilbertien selon deux cones mutuellement polaires.

    Examples
    --------
    >>> import numpy as np
    >>> from monops.functions import SecondOrderCone
    >>> DualCone(SecondOrderCone()).prox(np.array([0.0, 3.0, 4.0]))
    array([2.5, 1.5, 2. ])
    """

    def __post_init__(self) -> None:
        check_cone("DualCone", self.function)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        from monops.functions.sets.sets import Point

        return (
            Sample(lambda a: cls(RotatedSecondOrderCone()), (4,), lambda cp, y: [cp.quad_over_lin(y[2:], y[0]) <= 2 * y[1]]),
            Sample(lambda a: cls(Point(a([0.0, 0.0, 0.0]))), (3,), lambda cp, y: 0.0),
        )

    @property
    def is_indicator(self) -> bool:
        return True

    @property
    def has_value(self) -> bool:
        return True

    @property
    def has_gradient(self) -> bool:
        return False

    def __call__(self, x: Array) -> Array:
        if isinstance(self.function, Cone):
            return self.function.dual()(x)
        return far(self.function, -x)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        if not isinstance(self.function, Cone):
            return x + project_on_cone("DualCone", self.function, -x)
        self.function.check(x)
        return self.with_derivative(x, step, -self.function.decompose(-autodiff.detach(x))[1])

    def conjugate(self) -> Function:
        return self.function.scale_argument(-1.0)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        return complement(self.function.prox_derivative(-x))

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        return renamed(self.function.prox_parameter_derivatives(-x))

    def value_formula(self, x: str) -> str:
        return f"i({x} in dual of {{{self.function.value_formula('.')}}})"
