"""Functions on a symmetric interval that are steep at its ends: the conjugates of the smooth absolute values."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

import numpy as np

from monops import arrays
from monops.arrays import Array
from monops.constants import Constants
from monops.functions.equations import (
    Smooth,
    check_positive,
    hypotenuse_root,
    inverse_inside,
    largest,
    log_inside,
    logistic_root,
    reciprocal_root,
    x_log_x,
)
from monops.functions.feasibility import as_text
from monops.functions.function import Function
from monops.functions.sample import Sample

__all__ = [
    "ArtanhEntropy",
    "Semicircle",
    "SymmetricBarrier",
]


@final
@dataclass(frozen=True, eq=False)
class Semicircle(Smooth):
    """f(x) = sum_i depth (radius_i - sqrt(radius_i^2 - x_i^2)) on |x| <= radius: the conjugate of ``PseudoHuber``.

    Parameters
    ----------
    radius : float or array that broadcasts against x, default 1
        Greater than 0.
    depth : float, default 1
        Greater than 0.

    Notes
    -----
    prox: radius t/sqrt(1 + t^2) with step depth t + radius t/sqrt(1 + t^2) = x, by Halley's method in three steps. **Domain**
    [-radius, radius]. **Constants** mu = depth/radius (f'' at 0); no gradient at the ends. **Cost** eleven square roots an
    entry. **Derivative** of the prox: 1/(1 + step depth radius^2/(radius^2 - p^2)^(3/2)), 0 where p is an end.

    References
    ----------
    Bauschke and Combettes (2017), chapter 13.

    Examples
    --------
    >>> import numpy as np
    >>> np.round(Semicircle().prox(np.array([0.0, 1.0 + 0.5**0.5, -1e150])), 3)
    array([ 0.   ,  0.707, -1.   ])
    """

    radius: Any = 1.0
    depth: float = 1.0

    def __post_init__(self) -> None:
        check_positive("Semicircle", {"radius": self.radius, "depth": self.depth})

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(lambda a: cls(0.7), (5,)), Sample(lambda a: cls(a([0.5, 1.0, 2.0]), 0.5), (2, 3)))

    @cached_property
    def constants(self) -> Constants:
        mu = self.depth / largest(self.radius)
        return Constants(mu, cyclic=True, why="computed: smallest second derivative, at 0")

    @property
    def interval(self) -> tuple[Any, Any]:
        return -1.0 * self.radius, self.radius

    def _gap(self, x: Array) -> Array:
        """radius^2 - x^2."""
        return (self.radius - x) * (self.radius + x)

    def entry_value(self, x: Array) -> Array:
        xp = arrays.namespace(x)
        inside = arrays.clip(x, -1.0 * self.radius, self.radius)
        value = self.depth * inside * (inside / (self.radius + xp.sqrt(self._gap(inside))))
        return xp.where(xp.abs(x) > self.radius, xp.zeros_like(x) + np.inf, value)

    def entry_slope(self, x: Array) -> Array:
        return self.depth * x * inverse_inside(self._gap(x), 0.5)

    def entry_curvature(self, x: Array) -> Array:
        return self.depth * self.radius * self.radius * inverse_inside(self._gap(x), 1.5)

    def entry_prox(self, x: Array, step: Any) -> Array:
        xp = arrays.namespace(x)
        with np.errstate(over="ignore"):
            unit = step * self.depth
            t = hypotenuse_root(xp.abs(x) / unit, self.radius / unit)
            p = self.radius * (t / xp.hypot(t, xp.ones_like(t)))
        return xp.sign(x) * p

    def conjugate(self) -> Function:
        from monops.functions.losses.smooth_absolute import PseudoHuber  # its conjugate is this: imported where it is made

        return PseudoHuber(self.depth, self.radius, batch_ndim=self.batch_ndim)

    def value_formula(self, x: str) -> str:
        return f"sum {self.depth:g} ({as_text(self.radius)} - sqrt({as_text(self.radius)}^2 - {x}^2))"


@final
@dataclass(frozen=True, eq=False)
class ArtanhEntropy(Smooth):
    """f(x) = sum_i radius_i/2 ((1 + z_i) log(1 + z_i) + (1 - z_i) log(1 - z_i)), z = x/radius: the conjugate of ``LogCosh``.

    Parameters
    ----------
    radius : float or array that broadcasts against x, default 1
        Greater than 0; f' = artanh(x/radius).

    Notes
    -----
    prox: radius tanh(t) with step t + radius tanh(t) = x, which is the logistic equation in 2t. **Domain** [-radius, radius].
    **Constants** mu = 1/radius (f'' at 0); no gradient at the ends. **Cost** eight logarithms and exponentials an entry.
    **Derivative** of the prox: 1/(1 + step radius/(radius^2 - p^2)), 0 where p is an end.

    References
    ----------
    Bauschke and Combettes (2017), chapter 13.

    Examples
    --------
    >>> import numpy as np
    >>> np.round(ArtanhEntropy().prox(np.array([0.0, 1.0 + np.tanh(1.0), -1e150])) - np.tanh([0.0, 1.0, -50.0]), 12)
    array([0., 0., 0.])
    """

    radius: Any = 1.0

    def __post_init__(self) -> None:
        check_positive("ArtanhEntropy", {"radius": self.radius})

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(lambda a: cls(0.7), (5,)), Sample(lambda a: cls(a([0.5, 1.0, 2.0])), (2, 3)))

    @cached_property
    def constants(self) -> Constants:
        return Constants(1.0 / largest(self.radius), cyclic=True, why="computed: smallest second derivative, at 0")

    @property
    def interval(self) -> tuple[Any, Any]:
        return -1.0 * self.radius, self.radius

    def entry_value(self, x: Array) -> Array:
        z = x / self.radius
        return 0.5 * self.radius * (x_log_x(1.0 + z) + x_log_x(1.0 - z))

    def entry_slope(self, x: Array) -> Array:
        z = x / self.radius
        return 0.5 * (log_inside(1.0 + z) - log_inside(1.0 - z))

    def entry_curvature(self, x: Array) -> Array:
        return self.radius * inverse_inside((self.radius - x) * (self.radius + x))

    def entry_prox(self, x: Array, step: Any) -> Array:
        xp = arrays.namespace(x)
        with np.errstate(over="ignore"):
            size = xp.abs(x)
            t = 0.5 * logistic_root(arrays.clip(2.0 * (size - self.radius) / step, None, 1e30), 4.0 * self.radius / step)
            least = size / (self.radius + step)  # tanh(t) = t: the digits of the smallest x
            p = self.radius * xp.where(least < arrays.epsilon(x) ** 0.5, least, xp.tanh(t))
        return xp.sign(x) * p

    def conjugate(self) -> Function:
        from monops.functions.losses.smooth_absolute import LogCosh  # its conjugate is this: imported where it is made

        return LogCosh(self.radius, batch_ndim=self.batch_ndim)

    def value_formula(self, x: str) -> str:
        return f"sum artanh entropy({x}/{as_text(self.radius)})"


@final
@dataclass(frozen=True, eq=False)
class SymmetricBarrier(Smooth):
    """f(x) = -sum_i depth (|x_i| + radius_i log(1 - |x_i|/radius_i)) on |x| < radius: the conjugate of ``Fair``.

    Parameters
    ----------
    radius : float or array that broadcasts against x, default 1
        Greater than 0.
    depth : float, default 1
        Greater than 0.

    Notes
    -----
    prox: sign(x) radius t/(1 + t) with step depth t + radius t/(1 + t) = |x|, a quadratic equation. **Domain** [-radius,
    radius] (the closure). **Constants** mu = depth/radius (f'' at 0); no gradient outside |x| < radius. **Cost** two square
    roots an entry. **Derivative** of the prox: 1/(1 + step depth radius/(radius - |p|)^2), 0 where p is rounded to an end.

    References
    ----------
    Bauschke and Combettes (2017), chapter 13.

    Examples
    --------
    >>> import numpy as np
    >>> SymmetricBarrier().prox(np.array([0.0, 1.5, -1.5]))
    array([ 0. ,  0.5, -0.5])
    """

    radius: Any = 1.0
    depth: float = 1.0

    def __post_init__(self) -> None:
        check_positive("SymmetricBarrier", {"radius": self.radius, "depth": self.depth})

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(lambda a: cls(0.7), (5,)), Sample(lambda a: cls(a([0.5, 1.0, 2.0]), 0.5), (2, 3)))

    @cached_property
    def constants(self) -> Constants:
        mu = self.depth / largest(self.radius)
        return Constants(mu, cyclic=True, why="computed: smallest second derivative, at 0")

    @property
    def interval(self) -> tuple[Any, Any]:
        return -1.0 * self.radius, self.radius

    def entry_value(self, x: Array) -> Array:
        xp = arrays.namespace(x)
        size = xp.abs(x)
        z = xp.where(size < self.radius, size / self.radius, 0.0 * size)
        inside = -self.depth * (size + self.radius * xp.log1p(-z))
        return xp.where(size >= self.radius, xp.zeros_like(x) + np.inf, inside)

    def entry_slope(self, x: Array) -> Array:
        return self.depth * x * inverse_inside(self.radius - arrays.namespace(x).abs(x))

    def entry_curvature(self, x: Array) -> Array:
        return self.depth * self.radius * inverse_inside(self.radius - arrays.namespace(x).abs(x), 2.0)

    def entry_prox(self, x: Array, step: Any) -> Array:
        xp = arrays.namespace(x)
        with np.errstate(over="ignore"):
            unit = step * self.depth
            size = xp.abs(x) / unit
            t = reciprocal_root(size - 1.0 - self.radius / unit, size)
            return xp.sign(x) * self.radius * (t / (1.0 + t))

    def conjugate(self) -> Function:
        from monops.functions.losses.smooth_absolute import Fair  # its conjugate is this: imported where it is made

        return Fair(self.depth, self.radius / self.depth, batch_ndim=self.batch_ndim)

    def value_formula(self, x: str) -> str:
        return f"-sum {self.depth:g} (|{x}| + {as_text(self.radius)} log(1 - |{x}|/{as_text(self.radius)}))"
