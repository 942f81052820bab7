"""Indicators of closed convex sets: 0 on the set, infinity off it; the prox is the projection for every step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, final

from monops import arrays
from monops.arrays import Array
from monops.errors import DataError
from monops.functions.feasibility import (
    as_text,
    check_bounds,
    entry_slack,
    holds_somewhere,
    zero_or_infinity,
)
from monops.functions.function import Function
from monops.functions.sample import Sample
from monops.functions.separable import Separable, shape_of
from monops.linear import BroadcastMap, LinearMap

__all__ = [
    "Box",
    "BoxSupport",
    "NonNegative",
    "Point",
]


@final
@dataclass(frozen=True, eq=False)
class Box(Separable):
    """Indicator of {x : lower <= x <= upper}, entry by entry; bounds may be infinite.

    Parameters
    ----------
    lower, upper : float or array that broadcasts against x
        lower <= upper.

    Notes
    -----
    prox: clip(x, lower, upper). A value counts as inside when it is within 8 epsilon max(1, |x|) of the set. **Domain** the
    box. **Constants** mu = 0; no gradient. **Cost** one pass. **Derivative** of the prox: 1 strictly inside, else 0 (0 at the
    kinks); in a bound: 1 where x is beyond it.

    References
    ----------
    Bauschke and Combettes (2017), Prop. 29.15.

    Examples
    --------
    >>> import numpy as np
    >>> Box(0.0, 1.0).prox(np.array([-1.0, 0.5, 3.0]))
    array([0. , 0.5, 1. ])
    """

    lower: Any = -math.inf
    upper: Any = math.inf

    def __post_init__(self) -> None:
        check_bounds("Box", self.lower, self.upper)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(-0.5, 1.0), (5,)),
            Sample(lambda a: cls(a([0.0, -1.0, -2.0, -3.0, -4.0]), math.inf), (5,)),
        )

    @property
    def is_indicator(self) -> bool:
        return True

    @property
    def interval(self) -> tuple[Any, Any]:
        return self.lower, self.upper

    def entry_value(self, x: Array) -> Array:
        slack = entry_slack(x)
        return zero_or_infinity((x >= self.lower - slack) & (x <= self.upper + slack), x)

    def entry_subdifferential(self, x: Array) -> tuple[Array, Array]:
        xp = arrays.namespace(x)
        zero = xp.zeros_like(x)
        return xp.where(x <= self.lower, zero - math.inf, zero), xp.where(x >= self.upper, zero + math.inf, zero)

    def entry_prox(self, x: Array, step: Any) -> Array:
        return arrays.clip(x, _bound(self.lower, -math.inf), _bound(self.upper, math.inf))

    def entry_prox_derivative(self, x: Array, p: Array, step: Any) -> Array:
        return arrays.namespace(x).astype((x > self.lower) & (x < self.upper), x.dtype)

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        xp = arrays.namespace(x)
        at_lower, at_upper = xp.astype(x < self.lower, x.dtype), xp.astype(x > self.upper, x.dtype)
        return {
            "lower": BroadcastMap(at_lower, shape_of(self.lower)),
            "upper": BroadcastMap(at_upper, shape_of(self.upper)),
        }

    def conjugate(self) -> Function:
        return BoxSupport(self.lower, self.upper, batch_ndim=self.batch_ndim)

    def value_formula(self, x: str) -> str:
        return f"i_[{as_text(self.lower)}, {as_text(self.upper)}]({x})"


def _bound(bound: Any, infinite: float) -> Any:
    return None if isinstance(bound, (int, float)) and bound == infinite else bound


@final
@dataclass(frozen=True, eq=False)
class BoxSupport(Separable):
    """Support function of a box, f(y) = sum_i max(lower_i y_i, upper_i y_i): the conjugate of ``Box(lower, upper)``.

    Parameters
    ----------
    lower, upper : float or array that broadcasts against y
        lower <= upper; may be infinite, then f is infinite on one side of 0.

    Notes
    -----
    prox: y - clip(y, step lower, step upper). **Domain** y_i <= 0 where upper_i = inf, y_i >= 0 where lower_i = -inf.
    **Constants** mu = 0; no gradient at 0. L1Norm is the case lower = -upper, the pinball loss lower < 0 < upper, a linear
    function lower = upper. **Cost** two passes. **Derivative** of the prox: 1 where y leaves [step lower, step upper], else 0
    (0 at the kinks).

    References
    ----------
    Bauschke and Combettes (2017), chapters 7 and 24; Koenker and Bassett (1978).

    Examples
    --------
    >>> import numpy as np
    >>> float(BoxSupport(0.0, 2.0)(np.array([3.0, -1.0])))
    6.0
    """

    lower: Any
    upper: Any

    def __post_init__(self) -> None:
        check_bounds("BoxSupport", self.lower, self.upper)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(-0.5, 1.5), (5,)),
            Sample(lambda a: cls(a([0.0, -1.0, 0.3, -3.0, -0.9]), a([1.0, 0.0, 0.5, 2.0, -0.7])), (5,)),
            Sample(lambda a: cls(0.25, math.inf), (5,)),
        )

    @property
    def interval(self) -> tuple[Any, Any]:
        return _end(self.lower, -math.inf), _end(self.upper, math.inf)

    def entry_value(self, x: Array) -> Array:
        xp = arrays.namespace(x)
        zero, one = xp.zeros_like(x), xp.ones_like(x)
        up = xp.where(x > 0, self.upper * xp.where(x > 0, x, one), zero)  # 0 inf = 0 here
        down = xp.where(x < 0, self.lower * xp.where(x < 0, x, -one), zero)
        return up + down + zero * x

    def entry_subdifferential(self, x: Array) -> tuple[Array, Array]:
        xp = arrays.namespace(x)
        lower, upper = xp.zeros_like(x) + self.lower, xp.zeros_like(x) + self.upper
        return xp.where(x > 0, upper, lower), xp.where(x < 0, lower, upper)

    def entry_prox(self, x: Array, step: Any) -> Array:
        return x - arrays.clip(x, _scaled(step, self.lower), _scaled(step, self.upper))

    def entry_prox_derivative(self, x: Array, p: Array, step: Any) -> Array:
        return arrays.namespace(x).astype((x > step * self.upper) | (x < step * self.lower), x.dtype)

    def entry_parameter_slopes(self, p: Array) -> dict[str, Array]:
        xp = arrays.namespace(p)
        left, right = xp.astype(p < 0, p.dtype), xp.astype(p > 0, p.dtype)
        return {"lower": left, "upper": right}

    def conjugate(self) -> Function:
        return Box(self.lower, self.upper, batch_ndim=self.batch_ndim)

    def value_formula(self, x: str) -> str:
        return f"support_[{as_text(self.lower)}, {as_text(self.upper)}]({x})"


def _end(bound: Any, infinite: float) -> Any:
    """End of the domain of a support function: 0 where the bound is infinite, else infinity."""
    if not arrays.is_array(bound):
        return 0.0 if bound == infinite else infinite
    xp = arrays.namespace(bound)
    return xp.where(bound == infinite, xp.zeros_like(bound), xp.zeros_like(bound) + infinite)


def _scaled(step: Any, bound: Any) -> Any:
    """step * bound with no derivative where the bound is infinite; None for no bound."""
    if not arrays.is_array(bound):
        return None if math.isinf(bound) else step * bound
    xp = arrays.namespace(bound)
    finite = xp.isfinite(bound)
    return xp.where(finite, step * xp.where(finite, bound, xp.zeros_like(bound)), bound)


@final
@dataclass(frozen=True, eq=False)
class NonNegative(Separable):
    """Indicator of {x : x >= 0}; its prox is the activation ReLU, for every step.

    Notes
    -----
    prox: max(x, 0). **Domain** the orthant. **Constants** mu = 0; no gradient. **Cost** one pass. **Derivative** of the prox:
    1 where x > 0, else 0 (0 at the kink).

    References
    ----------
    Bauschke and Combettes (2017), chapter 29; Combettes and Pesquet (2020) for activations as proxes.

    Examples
    --------
    >>> import numpy as np
    >>> NonNegative().prox(np.array([-1.0, 2.0]))
    array([0., 2.])
    """

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(lambda a: cls(), (5,)), Sample(lambda a: cls(), (2, 3)))

    @property
    def is_indicator(self) -> bool:
        return True

    @property
    def interval(self) -> tuple[Any, Any]:
        return 0.0, math.inf

    def entry_value(self, x: Array) -> Array:
        return zero_or_infinity(x >= -8 * arrays.epsilon(x), x)

    def entry_subdifferential(self, x: Array) -> tuple[Array, Array]:
        xp = arrays.namespace(x)
        zero = xp.zeros_like(x)
        return xp.where(x <= 0, zero - math.inf, zero), zero

    def entry_prox(self, x: Array, step: Any) -> Array:
        return arrays.maximum(x, 0.0)

    def entry_prox_derivative(self, x: Array, p: Array, step: Any) -> Array:
        return arrays.namespace(x).astype(x > 0, x.dtype)

    def conjugate(self) -> Function:
        return Box(-math.inf, 0.0, batch_ndim=self.batch_ndim)

    def value_formula(self, x: str) -> str:
        return f"i({x} >= 0)"


@final
@dataclass(frozen=True, eq=False)
class Point(Separable):
    """Indicator of the single point {point}.

    Parameters
    ----------
    point : float or array that broadcasts against x
        Finite.

    Notes
    -----
    prox: point, whatever x. **Domain** the point. **Constants** mu = 0 (the largest is infinite, and of no use); no gradient.
    **Cost** one pass. **Derivative** of the prox: 0 in x, the identity in the point.

    References
    ----------
    Bauschke and Combettes (2017), chapter 29.

    Examples
    --------
    >>> import numpy as np
    >>> Point(np.array([1.0, 2.0])).prox(np.array([8.0, 9.0]))
    array([1., 2.])
    """

    point: Any = 0.0

    def __post_init__(self) -> None:
        if holds_somewhere((self.point != self.point) | (abs(self.point) == math.inf)):
            raise DataError(f"Point: point={self.point!r} must be finite")

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(lambda a: cls(0.5), (5,)), Sample(lambda a: cls(a([1.0, -2.0, 0.0, 3.0])), (4,)))

    @property
    def is_indicator(self) -> bool:
        return True

    @property
    def interval(self) -> tuple[Any, Any]:
        return self.point, self.point

    def entry_value(self, x: Array) -> Array:
        return zero_or_infinity(arrays.namespace(x).abs(x - self.point) <= entry_slack(x), x)

    def entry_subdifferential(self, x: Array) -> tuple[Array, Array]:
        zero = arrays.namespace(x).zeros_like(x)
        return zero - math.inf, zero + math.inf

    def entry_prox(self, x: Array, step: Any) -> Array:
        return 0.0 * x + self.point

    def entry_prox_derivative(self, x: Array, p: Array, step: Any) -> Array:
        return arrays.namespace(x).zeros_like(x)

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        return {"point": BroadcastMap(arrays.namespace(x).ones_like(x), shape_of(self.point))}

    def conjugate(self) -> Function:
        return BoxSupport(self.point, self.point, batch_ndim=self.batch_ndim)

    def value_formula(self, x: str) -> str:
        return f"i({x} = {as_text(self.point)})"
