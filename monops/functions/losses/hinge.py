"""Losses of the margin labels x: hinge, squared hinge, smoothed hinge."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

from monops import arrays
from monops.arrays import Array
from monops.constants import Constants
from monops.errors import DataError
from monops.functions.equations import check_positive, check_weight, largest, times
from monops.functions.feasibility import holds_somewhere
from monops.functions.function import Function
from monops.functions.losses.elastic_box import ElasticBox
from monops.functions.sample import Sample
from monops.functions.separable import Separable

__all__ = [
    "Hinge",
    "SmoothedHinge",
    "SquaredHinge",
]


def check_labels(owner: str, labels: Any) -> None:
    """Raise DataError unless labels are -1 or 1 (a number, or an array entry by entry)."""
    if holds_somewhere(abs(labels) != 1):
        raise DataError(f"{owner}: labels must be -1 or 1; for labels 0 and 1 pass 2*labels - 1")


@final
@dataclass(frozen=True, eq=False)
class Hinge(Separable):
    """f(x) = sum_i weight_i max(0, 1 - labels_i x_i), labels -1 or 1; ``Hinge(y) @ A`` is the support vector machine's loss.

    Parameters
    ----------
    labels : float or array that broadcasts against x, default 1
        -1 or 1.
    weight : float or array that broadcasts against x, default 1
        At least 0.

    Notes
    -----
    prox, with y = labels x and s = step weight: y + s where y < 1 - s, y where y > 1, 1 between; times the label. **Domain**
    everything. **Constants** mu = 0; no gradient where labels x = 1. **Cost** two passes. **Derivative** of the prox: 0 where
    1 - s <= y <= 1, else 1 (0 at the kinks); in the weight: step labels where y < 1 - s.

    References
    ----------
    Cortes and Vapnik (1995), Support-vector networks.

    Examples
    --------
    >>> import numpy as np
    >>> Hinge().prox(np.array([-1.0, 0.5, 2.0]))
    array([0., 1., 2.])
    """

    labels: Any = 1.0
    weight: Any = 1.0

    def __post_init__(self) -> None:
        check_labels("Hinge", self.labels)
        check_weight("Hinge", self.weight)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(a([1.0, -1.0, 1.0]), a([0.5, 0.1, 2.0])), (2, 3)),
            Sample(lambda a: cls(-1.0, 0.7), (5,)),
        )

    def entry_value(self, x: Array) -> Array:
        return self.weight * arrays.maximum(1.0 - self.labels * x, 0.0)

    def entry_subdifferential(self, x: Array) -> tuple[Array, Array]:
        xp = arrays.namespace(x)
        margin, zero = self.labels * x, xp.zeros_like(x)
        slope = -self.labels * self.weight + zero
        full, none = xp.where(margin <= 1, slope, zero), xp.where(margin < 1, slope, zero)
        return xp.where(full < none, full, none), xp.where(full < none, none, full)

    def entry_prox(self, x: Array, step: Any) -> Array:
        return x + self.labels * arrays.clip(1.0 - self.labels * x, 0.0, step * self.weight)

    def entry_prox_derivative(self, x: Array, p: Array, step: Any) -> Array:
        gap = 1.0 - self.labels * x
        return arrays.namespace(x).astype((gap < 0) | (gap > step * self.weight), x.dtype)

    def entry_parameter_slopes(self, p: Array) -> dict[str, Array]:
        return {"weight": -self.labels * arrays.namespace(p).astype(self.labels * p < 1, p.dtype)}

    def conjugate(self) -> Function:
        slope = self.labels * self.weight
        return ElasticBox(*_ordered(-1.0 * slope, 0.0 * slope), slope=1.0 * self.labels, batch_ndim=self.batch_ndim)

    def value_formula(self, x: str) -> str:
        return f"sum {times(self.weight, f'max(0, 1 - y {x})')}"


def _ordered(a: Any, b: Any) -> tuple[Any, Any]:
    """The smaller and the larger of two numbers, or of two arrays entry by entry."""
    if not arrays.is_array(a):
        return min(a, b), max(a, b)
    xp = arrays.namespace(a)
    return xp.where(a < b, a, b), xp.where(a < b, b, a)


@final
@dataclass(frozen=True, eq=False)
class SquaredHinge(Separable):
    """f(x) = sum_i weight_i max(0, 1 - labels_i x_i)^2, labels -1 or 1.

    Parameters
    ----------
    labels : float or array that broadcasts against x, default 1
        -1 or 1.
    weight : float or array that broadcasts against x, default 1
        Greater than 0.

    Notes
    -----
    prox, with s = 2 step weight: x + labels s/(1 + s) max(0, 1 - labels x). **Domain** everything. **Constants** L = 2 weight,
    mu = 0. **Cost** two passes. **Derivative** of the prox: 1/(1 + s) where labels x < 1, else 1 (1 at the kink).

    References
    ----------
    Lee and Mangasarian (2001), SSVM: a smooth support vector machine for classification, for the squared loss.

    Examples
    --------
    >>> import numpy as np
    >>> SquaredHinge(weight=0.5).prox(np.array([-1.0, 0.0, 2.0]))
    array([0. , 0.5, 2. ])
    """

    labels: Any = 1.0
    weight: Any = 1.0

    def __post_init__(self) -> None:
        check_labels("SquaredHinge", self.labels)
        check_positive("SquaredHinge", {"weight": self.weight})

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(a([1.0, -1.0, 1.0]), a([0.5, 0.1, 2.0])), (2, 3)),
            Sample(lambda a: cls(-1.0, 0.7), (5,)),
        )

    @cached_property
    def constants(self) -> Constants:
        return Constants(0.0, lipschitz=2.0 * largest(self.weight), cyclic=True, why="computed: twice the largest weight")

    def entry_value(self, x: Array) -> Array:
        gap = arrays.maximum(1.0 - self.labels * x, 0.0)
        return self.weight * gap * gap

    def entry_slope(self, x: Array) -> Array:
        return -2.0 * self.weight * self.labels * arrays.maximum(1.0 - self.labels * x, 0.0)

    def gradient(self, x: Array) -> Array:
        return self.entry_slope(x)

    def entry_prox(self, x: Array, step: Any) -> Array:
        s = 2.0 * step * self.weight
        return x + (self.labels * (s / (1.0 + s))) * arrays.maximum(1.0 - self.labels * x, 0.0)

    def entry_prox_derivative(self, x: Array, p: Array, step: Any) -> Array:
        xp = arrays.namespace(x)
        s = 2.0 * step * self.weight + xp.zeros_like(x)
        return xp.where(self.labels * x < 1, 1.0 / (1.0 + s), xp.ones_like(x))

    def entry_parameter_slopes(self, p: Array) -> dict[str, Array]:
        return {"weight": -2.0 * self.labels * arrays.maximum(1.0 - self.labels * p, 0.0)}

    def conjugate(self) -> Function:
        lower, upper = _ordered(-1.0 * self.labels, 0.0 * self.labels)
        return ElasticBox(
            -_infinite(lower), _infinite(upper), l2=0.5 / self.weight, slope=1.0 * self.labels, batch_ndim=self.batch_ndim
        )

    def value_formula(self, x: str) -> str:
        return f"sum {times(self.weight, f'max(0, 1 - y {x})^2')}"


def _infinite(where: Any) -> Any:
    """Infinity where a number or array is not 0, else 0."""
    if not arrays.is_array(where):
        return math.inf if where != 0 else 0.0
    xp = arrays.namespace(where)
    return xp.where(where != 0, xp.zeros_like(where) + math.inf, xp.zeros_like(where))


@final
@dataclass(frozen=True, eq=False)
class SmoothedHinge(Separable):
    """f(x) = sum_i weight_i h(1 - labels_i x_i), h(t) = 0 for t < 0, t^2/(2 delta) up to t = delta, t - delta/2 beyond.

    Parameters
    ----------
    labels : float or array that broadcasts against x, default 1
        -1 or 1.
    delta : float, default 1
        Greater than 0: width of the parabola; the hinge loss in the limit 0.
    weight : float or array that broadcasts against x, default 1
        Greater than 0.

    Notes
    -----
    prox, with s = step weight and t = 1 - labels x: x + labels min(s, s/(delta + s) max(t, 0)). **Domain** everything.
    **Constants** L = weight/delta, mu = 0. **Cost** two passes. **Derivative** of the prox: delta/(delta + s) where
    0 < t < delta + s, else 1 (1 at the kinks).

    References
    ----------
    Rennie and Srebro (2005), Loss functions for preference levels; Nesterov (2005), Smooth minimization of non-smooth
    functions.

    Examples
    --------
    >>> import numpy as np
    >>> SmoothedHinge().prox(np.array([-2.0, 0.0, 2.0]))
    array([-1. ,  0.5,  2. ])
    """

    labels: Any = 1.0
    delta: float = 1.0
    weight: Any = 1.0

    def __post_init__(self) -> None:
        check_labels("SmoothedHinge", self.labels)
        check_positive("SmoothedHinge", {"delta": self.delta, "weight": self.weight})

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(a([1.0, -1.0, 1.0]), 1.5, a([0.5, 0.1, 2.0])), (2, 3)),
            Sample(lambda a: cls(-1.0), (5,)),
        )

    @cached_property
    def constants(self) -> Constants:
        L = largest(self.weight) / self.delta
        return Constants(0.0, lipschitz=L, cyclic=True, why="computed: largest weight/delta")

    def entry_value(self, x: Array) -> Array:
        gap = arrays.maximum(1.0 - self.labels * x, 0.0)
        near = arrays.clip(gap, None, self.delta)
        return self.weight * (near / self.delta) * (gap - 0.5 * near)

    def entry_slope(self, x: Array) -> Array:
        return -self.weight * self.labels * arrays.clip((1.0 - self.labels * x) / self.delta, 0.0, 1.0)

    def gradient(self, x: Array) -> Array:
        return self.entry_slope(x)

    def entry_prox(self, x: Array, step: Any) -> Array:
        s = step * self.weight
        return x + self.labels * s * arrays.clip((1.0 - self.labels * x) / (self.delta + s), 0.0, 1.0)

    def entry_prox_derivative(self, x: Array, p: Array, step: Any) -> Array:
        xp = arrays.namespace(x)
        s, gap = step * self.weight + xp.zeros_like(x), 1.0 - self.labels * x
        return xp.where((gap > 0) & (gap < self.delta + s), self.delta / (self.delta + s), xp.ones_like(x))

    def entry_parameter_slopes(self, p: Array) -> dict[str, Array]:
        return {"weight": -self.labels * arrays.clip((1.0 - self.labels * p) / self.delta, 0.0, 1.0)}

    def conjugate(self) -> Function:
        slope = self.labels * self.weight
        return ElasticBox(
            *_ordered(-1.0 * slope, 0.0 * slope),
            l2=self.delta / self.weight,
            slope=1.0 * self.labels,
            batch_ndim=self.batch_ndim,
        )

    def value_formula(self, x: str) -> str:
        return f"sum {times(self.weight, f'hinge_{self.delta:g}(y {x})')}"
