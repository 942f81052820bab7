"""Sums of functions whose prox is closed-form although it is the prox of a sum; any other sum is refused with the way out."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

from monops import arrays, constants
from monops.arrays import Array
from monops.constants import Constants, Known
from monops.errors import CapabilityError, DataError
from monops.functions.arguments import check_prox
from monops.functions.calculus.scaling import ScaledSeparable, Scaling
from monops.functions.feasibility import holds_somewhere
from monops.functions.function import Function, Zero
from monops.functions.norms.groups import GroupL2, SparseGroup
from monops.functions.norms.norms import CubedL2, L1Norm, L1PlusL2, L2Norm
from monops.functions.norms.order import Max
from monops.functions.norms.sorted_norms import SortedL1
from monops.functions.norms.squares import Linear, SquaredL2
from monops.functions.sample import Sample
from monops.functions.separable import Separable, shape_of
from monops.functions.sets.balls import L2Ball
from monops.functions.sets.monotone import MonotoneCone
from monops.functions.sets.sets import Box, BoxSupport, NonNegative
from monops.functions.variation.variation import FusedLasso, TotalVariation1D
from monops.linear import LinearMap, SelfAdjointMap

__all__ = ["OnBox", "RadialSum", "combine"]

HOMOGENEOUS = (L1Norm, L2Norm, GroupL2, BoxSupport, Max, SortedL1, NonNegative, MonotoneCone, TotalVariation1D)
RADIAL = (L2Norm, SquaredL2, CubedL2, L2Ball)
WEIGHTED = (L1Norm, L2Norm, GroupL2, Max, TotalVariation1D, SquaredL2, CubedL2)


@final
@dataclass(frozen=True, eq=False)
class OnBox(Separable):
    """f restricted to a box: f(x) for lower <= x <= upper, infinity elsewhere; f separable.

    Parameters
    ----------
    function : Separable, convex
    lower, upper : float or array that broadcasts against x

    Notes
    -----
    prox: clip(prox_f(x), lower, upper): of one variable, the minimiser over an interval is the clipped minimiser. **Domain**
    that of f within the box. **Constants** mu of f, not smooth. **Cost** one pass more than f. **Derivative** of the prox: that
    of f where prox_f(x) is strictly inside, else 0 (0 at the kinks).

    References
    ----------
    Bauschke and Combettes (2017), Prop. 24.47.

    Examples
    --------
    >>> import numpy as np
    >>> OnBox(L1Norm(), 0.0, 2.0).prox(np.array([-3.0, 2.5, 9.0]))
    array([0. , 1.5, 2. ])
    """

    function: Separable
    lower: Any = 0.0
    upper: Any = float("inf")

    def __post_init__(self) -> None:
        if not isinstance(self.function, Separable) or not self.function.is_convex:
            raise DataError(
                f"OnBox: {type(self.function).__name__} is not a convex separable function; use f + Box(lower, upper) in a "
                "problem, and DouglasRachford or DavisYin, which split it"
            )
        Box(self.lower, self.upper)  # refuses an empty box
        lower, upper = self.interval
        if holds_somewhere(lower > upper):
            raise DataError(
                f"OnBox: the domain {self.function.domain.value_formula('x')} and the box have no point in common: widen it"
            )

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(L1Norm(0.5), -0.3, 1.5), (5,)),
            Sample(lambda a: cls(BoxSupport(-0.5, 1.0), a([-1.0, 0.0, 0.5, -2.0, 0.1]), 2.0), (5,)),
        )

    @property
    def _box(self) -> Box:
        return Box(self.lower, self.upper, batch_ndim=self.batch_ndim)

    @property
    def is_indicator(self) -> bool:
        return self.function.is_indicator

    @cached_property
    def constants(self) -> Constants:
        return constants.add(self.function.constants, Constants(cyclic=True))

    @property
    def value_lipschitz(self) -> Known | None:
        return self.function.value_lipschitz

    @property
    def interval(self) -> tuple[Any, Any]:
        lower, upper = self.function.interval
        return _extreme(self.lower, lower, largest=True), _extreme(self.upper, upper, largest=False)

    @property
    def solves_for_prox(self) -> bool:
        return self.function.solves_for_prox

    def entry_value(self, x: Array) -> Array:
        return self.function.entry_value(x) + self._box.entry_value(x)

    def entry_subdifferential(self, x: Array) -> tuple[Array, Array]:
        lower, upper = self.function.entry_subdifferential(x)
        below, above = self._box.entry_subdifferential(x)
        return lower + below, upper + above

    def entry_prox(self, x: Array, step: Any) -> Array:
        return self._box.entry_prox(self.function.entry_prox(x, step), step)

    def entry_prox_derivative(self, x: Array, p: Array, step: Any) -> Array:
        inner = self.function.entry_prox(x, step)
        inside = arrays.namespace(x).astype((inner > self.lower) & (inner < self.upper), x.dtype)
        return inside * self.function.entry_prox_derivative(x, inner, step)

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        return self._box.prox_parameter_derivatives(self.function.prox(x, step))

    def value_formula(self, x: str) -> str:
        return f"({self.function.value_formula(x)} + {self._box.value_formula(x)})"


def _extreme(a: Any, b: Any, largest: bool) -> Any:
    """Entrywise maximum or minimum of numbers and arrays."""
    if arrays.is_array(a) or arrays.is_array(b):
        x, bound = (a, b) if arrays.is_array(a) else (b, a)
        return arrays.clip(x, bound, None) if largest else arrays.clip(x, None, bound)
    return max(a, b) if largest else min(a, b)


@final
@dataclass(frozen=True, eq=False)
class RadialSum(Function):
    """f(x) = radial(x) + homogeneous(x): a function of |x|_2 plus a positively homogeneous one (a norm, a cone).

    Parameters
    ----------
    radial : Function
        A function of |x|_2: L2Norm, SquaredL2, CubedL2, or L2Ball with its center at 0.
    homogeneous : Function
        L1Norm, GroupL2, NonNegative, TotalVariation1D, ...: h(t x) = t h(x) for t > 0.

    Notes
    -----
    prox: prox_radial(prox_homogeneous(x)). **Domain** the intersection. **Constants** mu adds. **Cost** the sum. **Derivative**
    of the prox: the product of the two derivatives, made self-adjoint.

    References
    ----------
    Yu (2013), On decomposing the proximal map.

    Examples
    --------
    >>> import numpy as np
    >>> RadialSum(L2Ball(1.0), NonNegative()).prox(np.array([3.0, -9.0, 4.0]))
    array([0.6, 0. , 0.8])
    """

    radial: Function
    homogeneous: Function

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(L2Ball(1.5), NonNegative()), (5,), lambda cp, y: [cp.norm(y, 2) <= 1.5, y >= 0]),
            Sample(
                lambda a: cls(SquaredL2(1.5), L2Norm(0.5)), (5,), lambda cp, y: 0.75 * cp.sum_squares(y) + 0.5 * cp.norm(y, 2)
            ),
            Sample(lambda a: cls(L2Norm(0.5), L1Norm(0.4)), (5,), lambda cp, y: 0.5 * cp.norm(y, 2) + 0.4 * cp.norm1(y)),
        )

    @property
    def is_indicator(self) -> bool:
        return self.radial.is_indicator and self.homogeneous.is_indicator

    @cached_property
    def constants(self) -> Constants:
        return constants.add(self.radial.constants, self.homogeneous.constants)

    @property
    def domain(self) -> Function | None:
        if self.is_indicator:
            return self
        a, b = self.radial.domain, self.homogeneous.domain
        return b if isinstance(a, Zero) else a if isinstance(b, Zero) else None

    def __call__(self, x: Array) -> Array:
        return self.radial(x) + self.homogeneous(x)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        return self.radial.prox(self.homogeneous.prox(x, step), step)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        inner = self.homogeneous.prox_derivative(x, step)
        outer = self.radial.prox_derivative(self.homogeneous.prox(x, step), step)

        def apply(h: Array) -> Array:
            return 0.5 * (outer.apply(inner.apply(h)) + inner.apply(outer.apply(h)))

        return SelfAdjointMap(apply, shape_of(x))

    def value_formula(self, x: str) -> str:
        return f"({self.radial.value_formula(x)} + {self.homogeneous.value_formula(x)})"


def combine(*functions: Function) -> Function:
    """f1 + f2 + ... as one Function with a closed-form prox, where one is known.

    Known: linear and quadratic terms with anything; a box with any separable function; l1 with l2, group, total-variation and
    box terms; a function of |x|_2 with a positively homogeneous one. In a problem given to ``solve`` write f1 + f2 instead:
    the methods split sums by themselves.

    Raises
    ------
    CapabilityError
        When no closed form is known; the message names methods that split the sum.

    Examples
    --------
    >>> import numpy as np
    >>> f = combine(L1Norm(), SquaredL2(1.0), Box(0.0, 1.0))
    >>> f.prox(np.array([9.0, 2.0, -3.0]))
    array([1. , 0.5, 0. ])
    """
    if not functions or not all(isinstance(f, Function) for f in functions):
        raise DataError("combine takes Functions, combine(f, g, ...): not a list, not numbers, and not the sum f + g")
    for f in functions:
        if not f.is_convex:
            raise CapabilityError(
                f"combine: {f.value_formula('x')} is nonconvex, and no closed form of a sum with it is known here"
            )
    rest = [_without_scaling(f) for f in functions]
    slopes = [f for f in rest if isinstance(f, Linear)]
    squares = [f for f in rest if isinstance(f, SquaredL2)]
    rest = [f for f in rest if not isinstance(f, (Linear, SquaredL2, Zero))]
    total = rest.pop(0) if rest else Zero(batch_ndim=functions[0].batch_ndim)
    for other in rest:
        total = _pair(total, other)
    for square in squares:
        total = square if isinstance(total, Zero) else total.add_quadratic(float(square.weight))
    for slope in slopes:
        total = slope if isinstance(total, Zero) else total.tilt(slope.slope)
    return total


def _without_scaling(f: Function) -> Function:
    """The same function with a factor in front moved into its weight, where it has one."""
    if isinstance(f, (Scaling, ScaledSeparable)) and isinstance(f.function, WEIGHTED):
        return dataclasses.replace(f.function, weight=f.factor * f.function.weight)
    return f


def _pair(a: Function, b: Function) -> Function:
    """The sum of two functions."""
    for f, g in ((a, b), (b, a)):
        rows = {"batch_ndim": f.batch_ndim}
        if isinstance(f, Box) and isinstance(g, Box):
            return Box(_extreme(f.lower, g.lower, largest=True), _extreme(f.upper, g.upper, largest=False), **rows)
        if isinstance(f, (Box, NonNegative)) and isinstance(g, Separable) and g.is_convex:
            lower, upper = f.interval
            return OnBox(g, lower, upper, **rows)
        if isinstance(f, L1Norm) and isinstance(g, L1Norm):
            return L1Norm(f.weight + g.weight, **rows)
        if isinstance(f, L1Norm) and not arrays.is_array(f.weight):
            if isinstance(g, L2Norm):
                return L1PlusL2(f.weight, g.weight, **rows)
            if isinstance(g, GroupL2):
                return SparseGroup(f.weight, g.weight, g.axis, **rows)
            if isinstance(g, TotalVariation1D):
                return FusedLasso(g.weight, f.weight, **rows)
        if isinstance(f, RADIAL) and isinstance(g, HOMOGENEOUS) and getattr(f, "center", None) is None:
            return RadialSum(f, g, **rows)
    raise CapabilityError(
        f"no closed form of the prox of {a.value_formula('x')} + {b.value_formula('x')} is known here: in a problem "
        "write f + g: DouglasRachford (two proxes), DavisYin (two and a gradient) or ChambollePock (any number) split it"
    )
