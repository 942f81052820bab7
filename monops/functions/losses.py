"""Smooth losses: least squares, quadratic, logistic, Huber."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

from monops import arrays
from monops.arrays import Array
from monops.constants import Constants
from monops.errors import DataError, ShapeError
from monops.functions.function import Function
from monops.linear import Diagonal, LinearMap, as_linear_map

__all__ = [
    "Huber",
    "LogisticLoss",
]

NEWTON_STEPS = 60  # safeguarded: Newton inside a bracket that halves; 60 halvings exhaust float64


@final
@dataclass(frozen=True, eq=False)
class LogisticLoss(Function):
    """f(x) = sum_i log(1 + exp(-labels_i x_i)), labels -1 or 1; ``LogisticLoss(y) @ A`` is logistic regression.

    Notes
    -----
    No overflow for any x. prox: the root p of p - x - step y/(1 + exp(y p)) = 0 by Newton safeguarded with bisection, to
    machine precision. **Constants** L = 1/4, mu = 0.

    Examples
    --------
    >>> import numpy as np
    >>> f = LogisticLoss(np.array([1.0, -1.0]))
    >>> round(float(f(np.zeros(2))), 6)
    1.386294
    """

    labels: Array

    def __post_init__(self) -> None:
        arrays.check_floating("LogisticLoss.labels", self.labels)
        xp = arrays.namespace(self.labels)
        if not bool(xp.all(xp.abs(self.labels) == 1)):
            raise DataError("LogisticLoss: labels must be -1 or 1; for labels 0 and 1 pass 2*labels - 1")

    @cached_property
    def constants(self) -> Constants:
        return Constants(0.0, lipschitz=0.25, cyclic=True, why="computed: largest second derivative 1/4")

    def __call__(self, x: Array) -> Array:
        xp = arrays.namespace(x)
        margin = self.labels * x
        return arrays.row_sum(xp.log1p(xp.exp(-xp.abs(margin))) - arrays.clip(margin, None, 0.0), self.batch_ndim)

    def gradient(self, x: Array) -> Array:
        return -self.labels * arrays.logistic(-self.labels * x)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        xp = arrays.namespace(x)
        v = self.labels * x  # p = labels u with u - v = step logistic(-u), v <= u <= v + step
        lower, upper, u = v, v + step, v + 0.5 * step
        for _ in range(NEWTON_STEPS):
            slope = arrays.logistic(-u)
            excess = u - v - step * slope
            lower, upper = xp.where(excess < 0, u, lower), xp.where(excess < 0, upper, u)
            newton = u - excess / (1.0 + step * slope * (1.0 - slope))
            inside = (newton >= lower) & (newton <= upper)
            u = xp.where(inside, newton, 0.5 * (lower + upper))
        return self.labels * u

    def value_formula(self, x: str) -> str:
        return f"sum log(1 + exp(-y {x}))"


@final
@dataclass(frozen=True, eq=False)
class Huber(Function):
    """f(x) = weight sum_i h(x_i), h(t) = t^2/2 for |t| <= delta, delta |t| - delta^2/2 beyond (Huber 1964).

    Notes
    -----
    prox with s = step weight: x/(1 + s) for |x| <= delta (1 + s), else x - s delta sign(x). **Constants** L = weight, mu = 0.

    Examples
    --------
    >>> import numpy as np
    >>> Huber(1.0).prox(np.array([1.0, 4.0]), 1.0)
    array([0.5, 3. ])
    """

    delta: float = 1.0
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.delta < math.inf:
            raise DataError(f"Huber: delta={self.delta!r} must be a finite number > 0")
        if not 0 <= self.weight < math.inf:
            raise DataError(f"Huber: weight={self.weight!r} must be a finite number >= 0, or the function is not convex")

    @cached_property
    def constants(self) -> Constants:
        return Constants(0.0, lipschitz=float(self.weight), cyclic=True, why="computed: the weight")

    def __call__(self, x: Array) -> Array:
        magnitude = arrays.namespace(x).abs(x)
        near = arrays.clip(magnitude, None, self.delta)
        return self.weight * arrays.row_sum(near * (magnitude - 0.5 * near), self.batch_ndim)

    def gradient(self, x: Array) -> Array:
        return self.weight * arrays.clip(x, -self.delta, self.delta)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        s = step * self.weight
        return x - s * arrays.clip(x / (1.0 + s), -self.delta, self.delta)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        s, xp = step * self.weight, arrays.namespace(x)
        near = xp.astype(xp.abs(x) < self.delta * (1.0 + s), x.dtype)
        return Diagonal(1.0 - near * (s / (1.0 + s)))

    def value_formula(self, x: str) -> str:
        return f"{'' if self.weight == 1 else f'{self.weight:g} '}huber_{self.delta:g}({x})"
