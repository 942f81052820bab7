"""Robust losses of the residual: Huber and its relatives, entry by entry."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

from monops import arrays
from monops.arrays import Array
from monops.constants import Constants
from monops.functions.equations import (
    check_positive,
    check_weight,
    largest,
    times,
)
from monops.functions.feasibility import holds_somewhere
from monops.functions.function import Function
from monops.functions.losses.elastic_box import ElasticBox
from monops.functions.sample import Sample
from monops.functions.separable import Separable
from monops.functions.sets.sets import Box

__all__ = [
    "BerHu",
    "Huber",
]


@final
@dataclass(frozen=True, eq=False)
class Huber(Separable):
    """f(x) = sum_i weight_i h(x_i), h(t) = t^2/2 for |t| <= delta, delta |t| - delta^2/2 beyond.

    Parameters
    ----------
    delta : float, default 1
        Greater than 0.
    weight : float or array that broadcasts against x, default 1
        At least 0.

    Notes
    -----
    prox, with s = step weight: x - s clip(x/(1 + s), -delta, delta). **Domain** everything. **Constants** L = weight, mu = 0;
    each term is weight delta-Lipschitz. **Cost** three passes. **Derivative** of the prox: 1/(1 + s) where |x| < delta (1 + s),
    else 1 (1 at the kinks).

    References
    ----------
    Huber (1964), Robust estimation of a location parameter.

    Examples
    --------
    >>> import numpy as np
    >>> Huber(1.0).prox(np.array([1.0, 4.0]), 1.0)
    array([0.5, 3. ])
    """

    delta: float = 1.0
    weight: Any = 1.0

    def __post_init__(self) -> None:
        check_positive("Huber", {"delta": self.delta})
        check_weight("Huber", self.weight)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(0.5), (5,)),
            Sample(lambda a: cls(1.0, a([0.5, 0.1, 2.0])), (2, 3)),
        )

    @cached_property
    def constants(self) -> Constants:
        return Constants(0.0, lipschitz=largest(self.weight), cyclic=True, why="computed: the largest weight")

    def entry_value(self, x: Array) -> Array:
        magnitude = arrays.namespace(x).abs(x)
        near = arrays.clip(magnitude, None, self.delta)
        return self.weight * near * (magnitude - 0.5 * near)

    def entry_slope(self, x: Array) -> Array:
        return self.weight * arrays.clip(x, -self.delta, self.delta)

    def gradient(self, x: Array) -> Array:
        return self.entry_slope(x)

    def entry_prox(self, x: Array, step: Any) -> Array:
        s = step * self.weight
        return x - s * arrays.clip(x / (1.0 + s), -self.delta, self.delta)

    def entry_prox_derivative(self, x: Array, p: Array, step: Any) -> Array:
        xp = arrays.namespace(x)
        s = step * self.weight
        near = xp.astype(xp.abs(x) < self.delta * (1.0 + s), x.dtype)
        return 1.0 - near * (s / (1.0 + s))

    def entry_parameter_slopes(self, p: Array) -> dict[str, Array]:
        xp = arrays.namespace(p)
        beyond = xp.astype(xp.abs(p) >= self.delta, p.dtype)
        return {"delta": self.weight * xp.sign(p) * beyond, "weight": arrays.clip(p, -self.delta, self.delta)}

    def conjugate(self) -> Function:
        if holds_somewhere(self.weight == 0):
            return super().conjugate() if arrays.is_array(self.weight) else Box(0.0, 0.0, batch_ndim=self.batch_ndim)
        end = self.weight * self.delta
        return ElasticBox(-end, end, l2=1.0 / self.weight, batch_ndim=self.batch_ndim)

    def value_formula(self, x: str) -> str:
        return times(self.weight, f"huber_{self.delta:g}({x})")


@final
@dataclass(frozen=True, eq=False)
class BerHu(Separable):
    """f(x) = sum_i weight_i b(x_i), b(t) = |t| for |t| <= delta, (t^2 + delta^2)/(2 delta) beyond: Huber reversed.

    Parameters
    ----------
    delta : float, default 1
        Greater than 0.
    weight : float or array that broadcasts against x, default 1
        At least 0.

    Notes
    -----
    prox, with s = step weight: sign(x) max(min(|x| - s, |x| delta/(delta + s)), 0). **Domain** everything. **Constants** mu =
    0; no gradient at 0. **Cost** four passes. **Derivative** of the prox: 0 where |x| <= s, 1 where |x| <= delta + s,
    delta/(delta + s) beyond (the left one at the kinks).

    References
    ----------
    Owen (2007), A robust hybrid of lasso and ridge regression.

    Examples
    --------
    >>> import numpy as np
    >>> BerHu(1.0).prox(np.array([0.5, 1.5, -4.0]), 1.0)
    array([ 0. ,  0.5, -2. ])
    """

    delta: float = 1.0
    weight: Any = 1.0

    def __post_init__(self) -> None:
        check_positive("BerHu", {"delta": self.delta})
        check_weight("BerHu", self.weight)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(0.5), (5,)),
            Sample(lambda a: cls(1.0, a([0.5, 0.1, 2.0])), (2, 3)),
        )

    def entry_value(self, x: Array) -> Array:
        magnitude = arrays.namespace(x).abs(x)
        beyond = arrays.maximum(magnitude - self.delta, 0.0)
        return self.weight * (magnitude + 0.5 * beyond * (beyond / self.delta))

    def entry_subdifferential(self, x: Array) -> tuple[Array, Array]:
        xp = arrays.namespace(x)
        size = self.weight * arrays.maximum(xp.abs(x) / self.delta, 1.0)
        return xp.where(x > 0, size, -size), xp.where(x < 0, -size, size)

    def entry_prox(self, x: Array, step: Any) -> Array:
        s = step * self.weight
        near = arrays.soft_threshold(x, s)
        far = x * (self.delta / (self.delta + s))
        xp = arrays.namespace(x)
        return xp.where(xp.abs(x) > self.delta + s, far, near)

    def entry_prox_derivative(self, x: Array, p: Array, step: Any) -> Array:
        xp = arrays.namespace(x)
        s, one = step * self.weight + xp.zeros_like(x), xp.ones_like(x)
        beyond = xp.where(xp.abs(x) > self.delta + s, self.delta / (self.delta + s), one)
        return xp.where(xp.abs(x) <= s, 0.0 * one, beyond)

    def entry_parameter_slopes(self, p: Array) -> dict[str, Array]:
        xp = arrays.namespace(p)
        beyond = xp.astype(xp.abs(p) > self.delta, p.dtype)
        size = arrays.maximum(xp.abs(p) / self.delta, 1.0)
        return {"delta": -self.weight * p * beyond / self.delta**2, "weight": xp.sign(p) * size}

    def value_formula(self, x: str) -> str:
        return times(self.weight, f"berhu_{self.delta:g}({x})")
