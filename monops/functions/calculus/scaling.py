"""Scaled functions: the value times a number plus an offset, and the argument times a number."""

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
from monops.functions.separable import Separable, shape_of
from monops.functions.wrapper import Wrapper, renamed, scaled_known
from monops.linear import BroadcastMap, LinearMap, SelfAdjointMap

__all__ = ["ArgumentScaling", "Postcomposition", "ScaledSeparable", "Scaling"]


@final
@dataclass(frozen=True, eq=False)
class Scaling(Wrapper):
    """x -> factor f(x), factor >= 0.

    Notes
    -----
    prox: prox_{(step factor) f}(x). **Domain** of f (everything for factor 0). **Constants** factor mu, factor L.
    **Cost** that of f. **Derivative** of the prox: that of f at step factor.

    References
    ----------
    Bauschke and Combettes (2017), chapter 24.

    Examples
    --------
    >>> import numpy as np
    >>> from monops.functions import L1Norm
    >>> (2.0 * L1Norm()).prox(np.array([5.0, 1.0]))
    array([3., 0.])
    """

    factor: float

    def __post_init__(self) -> None:
        if not 0 <= self.factor < math.inf:
            raise DataError(f"Scaling: factor={self.factor!r} must be finite and at least 0, or f is not convex")

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        from monops.functions.norms.norms import L1Norm
        from monops.functions.norms.squares import SquaredL2

        return (Sample(lambda a: cls(SquaredL2(2.0), 1.5), (5,)), Sample(lambda a: cls(L1Norm(), 0.4), (5,)))

    @cached_property
    def constants(self) -> Constants:
        return constants.scale(self.function.constants, self.factor)

    @property
    def value_lipschitz(self) -> Known | None:
        return scaled_known(self.function.value_lipschitz, self.factor, f"scaled by {self.factor:g}")

    @property
    def domain(self) -> Function | None:
        return self.function.domain if self.factor > 0 else Zero(batch_ndim=self.batch_ndim)

    def __call__(self, x: Array) -> Array:
        return self.factor * self.function(x) if self.factor > 0 else 0.0 * arrays.norm(x, self.batch_ndim)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        return self.function.prox(x, step * self.factor) if self.factor > 0 else x

    def gradient(self, x: Array) -> Array:
        return self.factor * self.function.gradient(x)

    def conjugate(self) -> Function:
        if self.factor == 0:
            return Zero(batch_ndim=self.batch_ndim).conjugate()
        return Scaling(
            ArgumentScaling(self.function.conjugate(), 1.0 / self.factor, batch_ndim=self.batch_ndim),
            self.factor,
            batch_ndim=self.batch_ndim,
        )

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        if self.factor == 0:
            return SelfAdjointMap(lambda h: h, shape_of(x))
        return self.function.prox_derivative(x, step * self.factor)

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        if self.factor == 0:
            return {}
        moved = (x - self.function.prox(x, step * self.factor)) / (-self.factor)
        column = self.prox_derivative(x, step).apply(moved)
        inner = renamed(self.function.prox_parameter_derivatives(x, step * self.factor))
        return {"factor": BroadcastMap(column)} | inner if not isinstance(column, tuple) else inner

    def value_formula(self, x: str) -> str:
        return f"{self.factor:g} {self.function.value_formula(x)}"


@final
@dataclass(frozen=True, eq=False)
class ScaledSeparable(Separable):
    """x -> factor f(x) for a separable f and factor > 0, which is separable again; made by ``factor * f``.

    Notes
    -----
    prox: prox_{(step factor) f}(x). **Domain** of f. **Constants** factor mu, factor L. **Cost** that of f. **Derivative** of
    the prox: that of f at step factor.

    References
    ----------
    Bauschke and Combettes (2017), chapter 24.

    Examples
    --------
    >>> import numpy as np
    >>> from monops.functions import Huber
    >>> (2.0 * Huber(1.0)).prox(np.array([1.5, 9.0]))
    array([0.5, 7. ])
    """

    function: Separable
    factor: float

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        from monops.functions.norms.norms import L1Norm
        from monops.functions.norms.squares import SquaredL2

        return (Sample(lambda a: cls(SquaredL2(2.0), 1.5), (5,)), Sample(lambda a: cls(L1Norm(), 0.4), (5,)))

    @property
    def is_convex(self) -> bool:
        return self.function.is_convex

    @property
    def takes_complex(self) -> bool:
        return self.function.takes_complex

    @property
    def has_value(self) -> bool:
        return self.function.has_value

    @property
    def has_gradient(self) -> bool:
        return self.function.has_gradient

    @property
    def is_indicator(self) -> bool:
        return self.function.is_indicator

    @property
    def interval(self) -> tuple[Any, Any]:
        return self.function.interval

    @property
    def input_shape(self) -> Any:
        return self.function.input_shape

    @property
    def solves_for_prox(self) -> bool:
        return self.function.solves_for_prox

    @cached_property
    def constants(self) -> Constants:
        return constants.scale(self.function.constants, self.factor)

    @property
    def value_lipschitz(self) -> Known | None:
        return scaled_known(self.function.value_lipschitz, self.factor, f"scaled by {self.factor:g}")

    @property
    def domain(self) -> Function:
        return self.function.domain

    def entry_value(self, x: Array) -> Array:
        return self.factor * self.function.entry_value(x)

    def entry_slope(self, x: Array) -> Array:
        return self.factor * self.function.entry_slope(x)

    def entry_subdifferential(self, x: Array) -> tuple[Array, Array]:
        lower, upper = self.function.entry_subdifferential(x)
        return self.factor * lower, self.factor * upper

    def entry_curvature(self, x: Array) -> Array:
        return self.factor * self.function.entry_curvature(x)

    def entry_prox(self, x: Array, step: Any) -> Array:
        return self.function.entry_prox(x, step * self.factor)

    def entry_prox_derivative(self, x: Array, p: Array, step: Any) -> Array:
        return self.function.entry_prox_derivative(x, p, step * self.factor)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        return self.function.prox(x, step * self.factor)

    def gradient(self, x: Array) -> Array:
        return self.factor * self.function.gradient(x)

    def conjugate(self) -> Function:
        return Scaling(self.function, self.factor, batch_ndim=self.batch_ndim).conjugate()

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        return self.function.prox_derivative(x, step * self.factor)

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        return Scaling(self.function, self.factor, batch_ndim=self.batch_ndim).prox_parameter_derivatives(x, step)

    def value_formula(self, x: str) -> str:
        return f"{self.factor:g} {self.function.value_formula(x)}"


@final
@dataclass(frozen=True, eq=False)
class Postcomposition(Wrapper):
    """x -> factor f(x) + offset, factor > 0: the increasing affine functions of the value.

    Notes
    -----
    prox: prox_{(step factor) f}(x). **Domain** of f. **Constants** factor mu, factor L. **Cost** that of f. **Derivative** of
    the prox: that of f at step factor.

    References
    ----------
    Bauschke and Combettes (2017), chapter 24.

    Examples
    --------
    >>> import numpy as np
    >>> from monops.functions import SquaredL2
    >>> float(Postcomposition(SquaredL2(), 2.0, 1.0)(np.array([3.0])))
    10.0
    """

    factor: float = 1.0
    offset: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.factor < math.inf or not math.isfinite(self.offset):
            raise DataError(
                f"Postcomposition: factor={self.factor!r} must be finite and > 0, and offset={self.offset!r} finite: a "
                "decreasing function of a convex function is not convex"
            )

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        from monops.functions.norms.squares import SquaredL2

        return (Sample(lambda a: cls(SquaredL2(2.0), 1.5, -0.5), (5,)),)

    @property
    def _scaled(self) -> Function:
        return Scaling(self.function, self.factor, batch_ndim=self.batch_ndim)

    @cached_property
    def constants(self) -> Constants:
        return self._scaled.constants

    @property
    def value_lipschitz(self) -> Known | None:
        return self._scaled.value_lipschitz

    @property
    def domain(self) -> Function | None:
        return self.function.domain

    def __call__(self, x: Array) -> Array:
        return self._scaled(x) + self.offset

    def prox(self, x: Array, step: float = 1.0) -> Array:
        return self._scaled.prox(x, step)

    def gradient(self, x: Array) -> Array:
        return self._scaled.gradient(x)

    def conjugate(self) -> Function:
        return Postcomposition(self._scaled.conjugate(), 1.0, -self.offset, batch_ndim=self.batch_ndim)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        return self._scaled.prox_derivative(x, step)

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        return self._scaled.prox_parameter_derivatives(x, step)

    def value_formula(self, x: str) -> str:
        return f"({self._scaled.value_formula(x)} + {self.offset:g})"


@final
@dataclass(frozen=True, eq=False)
class ArgumentScaling(Wrapper):
    """x -> f(factor x), factor not 0; made by ``f.scale_argument(factor)``.

    Notes
    -----
    prox: prox_{(step factor^2) f}(factor x)/factor. **Domain** of f, divided by factor. **Constants** factor^2 mu, factor^2
    L. **Cost** that of f. **Derivative** of the prox: that of f at factor x.

    References
    ----------
    Bauschke and Combettes (2017), chapter 24.

    Examples
    --------
    >>> import numpy as np
    >>> from monops.functions import L1Norm
    >>> ArgumentScaling(L1Norm(), -2.0).prox(np.array([5.0, 1.0]))
    array([ 3., -0.])
    """

    factor: float

    def __post_init__(self) -> None:
        if not math.isfinite(self.factor) or self.factor == 0:
            raise DataError(f"ArgumentScaling: factor={self.factor!r} must be finite and not 0: f(0 x) is a constant")

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        from monops.functions.norms.norms import L1Norm
        from monops.functions.norms.squares import SquaredL2

        return (Sample(lambda a: cls(SquaredL2(2.0), -1.5), (5,)), Sample(lambda a: cls(L1Norm(0.3), 2.0), (5,)))

    @property
    def is_indicator(self) -> bool:
        return self.function.is_indicator

    @cached_property
    def constants(self) -> Constants:
        return constants.scale(self.function.constants, self.factor**2)

    @property
    def value_lipschitz(self) -> Known | None:
        return scaled_known(self.function.value_lipschitz, abs(self.factor), f"argument scaled by {self.factor:g}")

    @property
    def domain(self) -> Function | None:
        inner = self.function.domain
        return None if inner is None else inner if isinstance(inner, Zero) else ArgumentScaling(inner, self.factor)

    def __call__(self, x: Array) -> Array:
        return self.function(self.factor * x)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        return self.function.prox(self.factor * x, step * self.factor**2) / self.factor

    def gradient(self, x: Array) -> Array:
        return self.factor * self.function.gradient(self.factor * x)

    def conjugate(self) -> Function:
        return ArgumentScaling(self.function.conjugate(), 1.0 / self.factor, batch_ndim=self.batch_ndim)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        return self.function.prox_derivative(self.factor * x, step * self.factor**2)

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        c, inner_step = self.factor, step * self.factor**2
        q = self.function.prox(c * x, inner_step)
        moved = self.function.prox_derivative(c * x, inner_step).apply(x - (c * x - q) * (2.0 / c))
        maps = renamed(self.function.prox_parameter_derivatives(c * x, inner_step), 1.0 / c)
        column = moved / c - q / c**2
        return {"factor": BroadcastMap(column)} | maps if not isinstance(column, tuple) else maps

    def value_formula(self, x: str) -> str:
        return self.function.value_formula(f"({self.factor:g} {x})")
