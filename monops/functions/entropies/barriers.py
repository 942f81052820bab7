"""Logarithmic barriers of half-lines and intervals, entry by entry."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

import numpy as np

from monops import arrays
from monops.arrays import Array
from monops.constants import Constants
from monops.errors import DataError
from monops.functions.equations import (
    Smooth,
    check_finite_number,
    check_nonnegative,
    log_inside,
    reciprocal_root,
    two_sided_root,
)
from monops.functions.feasibility import as_text, holds_somewhere
from monops.functions.function import Function
from monops.functions.sample import Sample
from monops.functions.separable import shape_of
from monops.linear import BroadcastMap, LinearMap

__all__ = [
    "BoxBarrier",
    "LogBarrier",
    "UpperLogBarrier",
]


def weighted_negative_log(weight: Any, x: Array) -> Array:
    """-weight log(x), infinite for x < 0, and at 0 unless the weight is 0."""
    xp = arrays.namespace(x)
    inside = -weight * xp.log(xp.where(x <= 0, xp.ones_like(x), x))
    allowed = (x > 0) | ((x == 0) & (weight + xp.zeros_like(x) == 0)) | (x != x)
    return xp.where(allowed, inside + 0.0 * x, xp.zeros_like(x) + math.inf)


def barrier_slopes(weight: Any, x: Array) -> tuple[Array, Array]:
    """Ends of the subdifferential of -weight log(x): -weight/x, and (-infinity, 0 or -infinity] at 0."""
    xp = arrays.namespace(x)
    with np.errstate(over="ignore"):
        slope = -weight / xp.where(x <= 0, xp.ones_like(x), x)
    none = xp.zeros_like(x) - math.inf
    upper = xp.where(weight + xp.zeros_like(x) == 0, xp.zeros_like(x), none)
    return xp.where(x <= 0, none, slope), xp.where(x <= 0, upper, slope)


def barrier_curvature(weight: Any, x: Array) -> Array:
    """weight/x^2; infinite at 0, so that the prox stands still there."""
    xp = arrays.namespace(x)
    safe = xp.where(x <= 0, xp.ones_like(x), x)
    with np.errstate(over="ignore"):
        return xp.where(x <= 0, xp.zeros_like(x) + math.inf, weight / safe / safe)


def minus_inverse(p: Array) -> Array:
    """-1/p, and 0 at p = 0: derivative of the slope -weight/p of a barrier in its weight."""
    xp = arrays.namespace(p)
    with np.errstate(over="ignore"):
        return xp.where(p <= 0, xp.zeros_like(p), -1.0 / xp.where(p <= 0, xp.ones_like(p), p))


@final
@dataclass(frozen=True, eq=False)
class LogBarrier(Smooth):
    """f(x) = -sum_i weight_i log(x_i) on x > 0; with weight 1 Burg's entropy.

    Parameters
    ----------
    weight : float or array that broadcasts against x, default 1
        At least 0; where it is 0, f is the indicator of x >= 0.

    Notes
    -----
    prox: (x + sqrt(x^2 + 4 step weight))/2, for x < 0 in the form without cancellation. **Domain** x >= 0 (its closure).
    **Constants** mu = 0; no gradient outside x > 0. **Cost** one square root an entry. **Derivative** of the prox:
    p^2/(p^2 + step weight); 0 where p = 0.

    References
    ----------
    Combettes and Pesquet (2011), Proximal splitting methods in signal processing; Burg (1967).

    Examples
    --------
    >>> import numpy as np
    >>> LogBarrier(2.0).prox(np.array([-1.0, 0.0, 1.0]))
    array([1.        , 1.41421356, 2.        ])
    """

    weight: Any = 1.0

    def __post_init__(self) -> None:
        check_nonnegative("LogBarrier", "weight", self.weight)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(lambda a: cls(0.7), (5,)), Sample(lambda a: cls(a([0.5, 0.1, 3.0])), (2, 3)))

    @property
    def interval(self) -> tuple[Any, Any]:
        return 0.0, math.inf

    def entry_value(self, x: Array) -> Array:
        return weighted_negative_log(self.weight, x)

    def entry_subdifferential(self, x: Array) -> tuple[Array, Array]:
        return barrier_slopes(self.weight, x)

    def entry_curvature(self, x: Array) -> Array:
        return barrier_curvature(self.weight, x)

    def entry_prox(self, x: Array, step: Any) -> Array:
        return reciprocal_root(x, step * self.weight)

    def entry_parameter_slopes(self, p: Array) -> dict[str, Array]:
        return {"weight": minus_inverse(p)}

    def conjugate(self) -> Function:
        return UpperLogBarrier(self.weight, 0.0, self.weight / math.e, batch_ndim=self.batch_ndim)

    def value_formula(self, x: str) -> str:
        return f"-sum {as_text(self.weight)} log({x})"


@final
@dataclass(frozen=True, eq=False)
class UpperLogBarrier(Smooth):
    """f(x) = -sum_i weight_i log((bound_i - x_i)/scale_i) on x < bound: a barrier from above, and the conjugate of others.

    Parameters
    ----------
    weight : float or array that broadcasts against x, default 1
        At least 0; where it is 0, f is the indicator of x <= bound.
    bound : float or array that broadcasts against x, default 0
        Finite.
    scale : float or array that broadcasts against x, default 1
        At least 0 (above 0 where the weight is): it shifts the value only.

    Notes
    -----
    prox: bound - q with q = (z + sqrt(z^2 + 4 step weight))/2, z = bound - x. The conjugate of ``LogBarrier(w)`` has bound 0
    and scale w/e, of ``ReverseKullbackLeibler(r)`` bound 1 and scale 1, of ``PoissonLoss(b)`` bound 1 and scale b/e.
    **Domain** x <= bound (its closure). **Constants** mu = 0; no gradient outside x < bound. **Cost** one square root an
    entry. **Derivative** of the prox: q^2/(q^2 + step weight); 0 where q = 0.

    References
    ----------
    Bauschke and Combettes (2017), chapter 24.

    Examples
    --------
    >>> import numpy as np
    >>> UpperLogBarrier(2.0).prox(np.array([-1.0, 0.0, 1.0]))
    array([-2.        , -1.41421356, -1.        ])
    """

    weight: Any = 1.0
    bound: Any = 0.0
    scale: Any = 1.0

    def __post_init__(self) -> None:
        check_nonnegative("UpperLogBarrier", "weight", self.weight)
        check_finite_number("UpperLogBarrier", "bound", self.bound)
        check_nonnegative("UpperLogBarrier", "scale", self.scale)
        if holds_somewhere((self.scale == 0) & (self.weight != 0)):
            raise DataError("UpperLogBarrier: scale is 0 where the weight is not: log((bound - x)/scale) is infinite")

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(0.7, 1.0, 2.0), (5,)),
            Sample(lambda a: cls(a([0.5, 0.1, 3.0]), a([0.0, 1.0, -1.0]), a([0.5, 0.1, 3.0])), (2, 3)),
        )

    @property
    def interval(self) -> tuple[Any, Any]:
        return -math.inf, self.bound

    def entry_value(self, x: Array) -> Array:
        xp = arrays.namespace(x)
        weight = self.weight + xp.zeros_like(x)
        constant = weight * log_inside(xp.where(weight == 0, weight + 1.0, self.scale + 0.0 * weight))
        return weighted_negative_log(self.weight, self.bound - x) + constant

    def entry_subdifferential(self, x: Array) -> tuple[Array, Array]:
        lower, upper = barrier_slopes(self.weight, self.bound - x)
        return -upper, -lower

    def entry_curvature(self, x: Array) -> Array:
        return barrier_curvature(self.weight, self.bound - x)

    def entry_prox(self, x: Array, step: Any) -> Array:
        return self.bound - reciprocal_root(self.bound - x, step * self.weight)

    def entry_prox_derivative(self, x: Array, p: Array, step: Any) -> Array:
        gap = reciprocal_root(self.bound - x, step * self.weight)  # bound - p has lost digits
        with np.errstate(all="ignore"):
            return 1.0 / (1.0 + step * barrier_curvature(self.weight, gap))

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        gap = reciprocal_root(self.bound - x, step * self.weight)
        moving = self.entry_prox_derivative(x, self.bound - gap, step)
        return {
            "weight": BroadcastMap(step * moving * minus_inverse(gap), shape_of(self.weight)),
            "bound": BroadcastMap(1.0 - moving, shape_of(self.bound)),
        }

    def value_formula(self, x: str) -> str:
        return f"-sum {as_text(self.weight)} log(({as_text(self.bound)} - {x})/{as_text(self.scale)})"


@final
@dataclass(frozen=True, eq=False)
class BoxBarrier(Smooth):
    """f(x) = -sum_i lower_weight_i log(x_i - lower_i) + upper_weight_i log(upper_i - x_i) on lower < x < upper.

    Parameters
    ----------
    lower, upper : float or array that broadcasts against x
        Finite, lower < upper.
    lower_weight, upper_weight : float or array that broadcasts against x, default 1
        At least 0.

    Notes
    -----
    prox: the root in the interval of a cubic, (p - x)/step = lower_weight/(p - lower) - upper_weight/(upper - p): on the half
    that holds p, the farther barrier is linearised four times, and the rest is a quadratic equation solved as it is.
    **Domain** the box (its closure). **Constants** mu = (v^(1/3) + w^(1/3))^3/(upper - lower)^2 for the weights v and w, at
    the point where f'' is smallest; no gradient at the bounds. **Cost** about six square roots an entry. **Derivative** of
    the prox: 1/(1 + step f''(p)), 0 where p is rounded to a bound.

    References
    ----------
    Chouzenoux, Corbineau and Pesquet (2020), A proximal interior point algorithm.

    Examples
    --------
    >>> import numpy as np
    >>> np.round(BoxBarrier(0.0, 1.0).prox(np.array([-10.0, 0.5, 10.0])), 4)
    array([0.0894, 0.5   , 0.902 ])
    """

    lower: Any = 0.0
    upper: Any = 1.0
    lower_weight: Any = 1.0
    upper_weight: Any = 1.0

    def __post_init__(self) -> None:
        check_finite_number("BoxBarrier", "lower", self.lower)
        check_finite_number("BoxBarrier", "upper", self.upper)
        if holds_somewhere(self.lower >= self.upper):
            raise DataError(f"BoxBarrier: lower={self.lower!r} is not below upper={self.upper!r}: no interior; exchange them")
        check_nonnegative("BoxBarrier", "lower_weight", self.lower_weight)
        check_nonnegative("BoxBarrier", "upper_weight", self.upper_weight)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(-0.5, 1.5), (5,)),
            Sample(lambda a: cls(a([0.0, -1.0, -3.0]), 2.0, a([0.5, 0.1, 3.0]), a([2.0, 1.0, 0.1])), (2, 3)),
        )

    @cached_property
    def constants(self) -> Constants:
        roots = self.lower_weight ** (1.0 / 3.0) + self.upper_weight ** (1.0 / 3.0)
        mu = roots**3 / (self.upper - self.lower) ** 2
        least = float(arrays.namespace(mu).min(mu)) if arrays.is_array(mu) else mu
        return Constants(least, cyclic=True, why="computed: smallest second derivative in the interval")

    @property
    def interval(self) -> tuple[Any, Any]:
        return self.lower, self.upper

    def entry_value(self, x: Array) -> Array:
        return weighted_negative_log(self.lower_weight, x - self.lower) + weighted_negative_log(
            self.upper_weight, self.upper - x
        )

    def entry_subdifferential(self, x: Array) -> tuple[Array, Array]:
        lower, upper = barrier_slopes(self.lower_weight, x - self.lower)
        mirrored_lower, mirrored_upper = barrier_slopes(self.upper_weight, self.upper - x)
        return lower - mirrored_upper, upper - mirrored_lower

    def entry_curvature(self, x: Array) -> Array:
        return barrier_curvature(self.lower_weight, x - self.lower) + barrier_curvature(self.upper_weight, self.upper - x)

    def entry_prox(self, x: Array, step: Any) -> Array:
        width = self.upper - self.lower
        with np.errstate(all="ignore"):
            unit = step / width / width
            return self.lower + width * two_sided_root(
                (x - self.lower) / width, unit * self.lower_weight, unit * self.upper_weight
            )

    def entry_parameter_slopes(self, p: Array) -> dict[str, Array]:
        return {"lower_weight": minus_inverse(p - self.lower), "upper_weight": -minus_inverse(self.upper - p)}

    def value_formula(self, x: str) -> str:
        return f"-sum log({x} - {as_text(self.lower)}) + log({as_text(self.upper)} - {x})"
