"""Functions moved in the argument or tilted in the value: translation, linear and quadratic perturbation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

from monops import arrays, constants
from monops.arrays import Array
from monops.constants import Constants, Known
from monops.errors import DataError
from monops.functions.arguments import check_prox
from monops.functions.function import Function, Zero
from monops.functions.sample import Sample
from monops.functions.separable import shape_of
from monops.functions.wrapper import Wrapper, renamed
from monops.linear import BroadcastMap, Diagonal, LinearMap, ScaledMap, SelfAdjointMap

__all__ = ["QuadraticPerturbation", "Tilt", "Translation"]


@final
@dataclass(frozen=True, eq=False)
class Translation(Wrapper):
    """x -> f(x - shift); made by ``f.translate(shift)``. Without batch axes the shift has the shape of x.

    Notes
    -----
    prox: shift + prox_f(x - shift). **Domain** of f, moved. **Constants** those of f. **Cost** that of f. **Derivative** of
    the prox: that of f at x - shift; in the shift, the identity minus that.

    References
    ----------
    Bauschke and Combettes (2017), chapter 24.

    Examples
    --------
    >>> import numpy as np
    >>> from monops.functions import L1Norm
    >>> L1Norm().translate(np.array([1.0, 2.0])).prox(np.array([5.0, 2.5]))
    array([4., 2.])
    """

    shift: Array

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        from monops.functions.norms.norms import L1Norm
        from monops.functions.norms.squares import SquaredL2

        return (
            Sample(lambda a: cls(SquaredL2(2.0), a([0.0, 1.0, 2.0, 3.0, 4.0])), (5,)),
            Sample(lambda a: cls(L1Norm(), a([0.0, 1.0, 2.0, 3.0, 4.0])), (5,)),
        )

    @property
    def is_indicator(self) -> bool:
        return self.function.is_indicator

    @cached_property
    def constants(self) -> Constants:
        return constants.shift(self.function.constants)

    @property
    def value_lipschitz(self) -> Known | None:
        return self.function.value_lipschitz

    @property
    def domain(self) -> Function | None:
        inner = self.function.domain
        return inner if inner is None or isinstance(inner, Zero) else Translation(inner, self.shift, batch_ndim=self.batch_ndim)

    @property
    def input_shape(self) -> Any:
        if self.function.input_shape is not None or self.batch_ndim:
            return self.function.input_shape
        if isinstance(self.shift, tuple):
            return tuple(shape_of(block) for block in self.shift)
        return shape_of(self.shift)

    def __call__(self, x: Array) -> Array:
        return self.function(x - self.shift)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        return self.shift + self.function.prox(x - self.shift, step)

    def gradient(self, x: Array) -> Array:
        return self.function.gradient(x - self.shift)

    def conjugate(self) -> Function:
        return Tilt(self.function.conjugate(), self.shift, batch_ndim=self.batch_ndim)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        return self.function.prox_derivative(x - self.shift, step)

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        jacobian = self.prox_derivative(x, step)
        maps = renamed(self.function.prox_parameter_derivatives(x - self.shift, step))
        if isinstance(x, tuple) or shape_of(self.shift) != shape_of(x):
            return maps
        return {"shift": SelfAdjointMap(lambda h: h - jacobian.apply(h), shape_of(x))} | maps

    def value_formula(self, x: str) -> str:
        return self.function.value_formula(f"{x} - a" if len(x) <= 2 else f"({x} - a)")


@final
@dataclass(frozen=True, eq=False)
class Tilt(Wrapper):
    """x -> f(x) + <slope, x>; made by ``f.tilt(slope)``.

    Notes
    -----
    prox: prox_f(x - step slope). **Domain** of f. **Constants** those of f. **Cost** that of f. **Derivative** of the prox:
    that of f at x - step slope; in the slope, -step times that.

    References
    ----------
    Bauschke and Combettes (2017), chapter 24.

    Examples
    --------
    >>> import numpy as np
    >>> from monops.functions import NonNegative
    >>> Tilt(NonNegative(), np.array([1.0, -1.0])).prox(np.array([0.5, 0.5]))
    array([0. , 1.5])
    """

    slope: Array

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        from monops.functions.norms.norms import L1Norm
        from monops.functions.norms.squares import SquaredL2

        return (
            Sample(lambda a: cls(SquaredL2(2.0), a([0.0, 1.0, -2.0, 3.0, 0.5])), (5,)),
            Sample(lambda a: cls(L1Norm(), a([0.0, 1.0, -0.5, 0.25, 0.5])), (5,)),
        )

    @cached_property
    def constants(self) -> Constants:
        return constants.shift(self.function.constants)

    @property
    def domain(self) -> Function | None:
        return self.function.domain

    def __call__(self, x: Array) -> Array:
        return self.function(x) + _pairing(self.slope, x, self.batch_ndim)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        return self.function.prox(x - step * self.slope, step)

    def gradient(self, x: Array) -> Array:
        return self.function.gradient(x) + self.slope

    def conjugate(self) -> Function:
        return Translation(self.function.conjugate(), self.slope, batch_ndim=self.batch_ndim)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        return self.function.prox_derivative(x - step * self.slope, step)

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        maps = renamed(self.function.prox_parameter_derivatives(x - step * self.slope, step))
        if isinstance(x, tuple) or shape_of(self.slope) != shape_of(x):
            return maps
        return {"slope": ScaledMap(self.prox_derivative(x, step), -step)} | maps

    def value_formula(self, x: str) -> str:
        return f"({self.function.value_formula(x)} + <q, {x}>)"


def _pairing(slope: Array, x: Array, batch_ndim: int) -> Array:
    """<slope, x> of each row, with the slope broadcast against x."""
    if isinstance(x, tuple):
        parts = [_pairing(a, b, batch_ndim) for a, b in zip(slope, x, strict=True)]
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return total
    xp = arrays.namespace(x)
    product = xp.real(xp.conj(slope) * x) if xp.isdtype(x.dtype, "complex floating") else slope * x
    return arrays.row_sum(product, batch_ndim)


@final
@dataclass(frozen=True, eq=False)
class QuadraticPerturbation(Wrapper):
    """x -> f(x) + weight/2 |x|^2, weight >= 0; made by ``f.add_quadratic(weight)``; translate it for another center.

    Notes
    -----
    prox: prox_{step/(1 + step weight) f}(x/(1 + step weight)). **Domain** of f. **Constants** mu + weight, L + weight.
    **Cost** that of f. **Derivative** of the prox: that of f at the new step and point, divided by 1 + step weight.

    References
    ----------
    Bauschke and Combettes (2017), chapter 24.

    Examples
    --------
    >>> import numpy as np
    >>> from monops.functions import L1Norm
    >>> QuadraticPerturbation(L1Norm(), 1.0).prox(np.array([5.0, 1.0]))
    array([2., 0.])
    """

    weight: float

    def __post_init__(self) -> None:
        if not 0 <= self.weight < math.inf:
            raise DataError(f"QuadraticPerturbation: weight={self.weight!r} must be finite and >= 0, or f need not stay convex")

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        from monops.functions.norms.norms import L1Norm
        from monops.functions.norms.squares import SquaredL2

        return (Sample(lambda a: cls(SquaredL2(2.0), 1.5), (5,)), Sample(lambda a: cls(L1Norm(), 0.7), (5,)))

    @property
    def is_convex(self) -> bool:
        """A weakly convex f becomes convex when the quadratic outweighs it."""
        mu = self.function.constants.strong_monotonicity
        return self.function.is_convex or (mu is not None and mu + float(self.weight) >= 0)

    @cached_property
    def constants(self) -> Constants:
        weight = float(self.weight)
        if not self.function.is_convex and self.is_convex:
            mu = self.function.constants.strong_monotonicity + weight
            return Constants(mu, cyclic=True, why="rule: the quadratic outweighs the weak convexity")
        added = Constants(weight, lipschitz=weight, cyclic=True, affine=True, why="computed: the added quadratic")
        return constants.add(self.function.constants, added)

    @property
    def domain(self) -> Function | None:
        return self.function.domain

    def __call__(self, x: Array) -> Array:
        return self.function(x) + 0.5 * self.weight * arrays.inner(x, x, self.batch_ndim)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        growth = 1.0 + step * self.weight
        return self.function.prox(x / growth, step / growth)

    def gradient(self, x: Array) -> Array:
        return self.function.gradient(x) + self.weight * x

    def conjugate(self) -> Function:
        from monops.functions.calculus.duality import MoreauEnvelope

        if self.weight == 0:
            return self.function.conjugate()
        return MoreauEnvelope(self.function.conjugate(), self.weight, batch_ndim=self.batch_ndim)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        growth = 1.0 + step * self.weight
        inner = self.function.prox_derivative(x / growth, step / growth)
        return Diagonal(inner.diagonal / growth) if isinstance(inner, Diagonal) else ScaledMap(inner, 1.0 / growth)

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        growth = 1.0 + step * self.weight
        point, inner_step = x / growth, step / growth
        jacobian = self.function.prox_derivative(point, inner_step)
        slope = (point - self.function.prox(point, inner_step)) / inner_step
        column = jacobian.apply(slope * (inner_step**2) - point * inner_step)
        maps = renamed(self.function.prox_parameter_derivatives(point, inner_step))
        return {"weight": BroadcastMap(column)} | maps if not isinstance(column, tuple) else maps

    def value_formula(self, x: str) -> str:
        return f"({self.function.value_formula(x)} + {self.weight:g}/2 |{x}|^2)"
