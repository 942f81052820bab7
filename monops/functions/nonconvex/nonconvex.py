"""Nonconvex penalties with a closed-form or exactly solved prox; methods whose theorems need convexity refuse them by name.

The prox is a *global* minimiser of f(y) + |y - x|^2/(2 step). Where two points share the minimum (one x for each penalty and
step), the one nearer to 0 is returned. All are even and nondecreasing in |x|, so every prox is sign(x) times that of |x|.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

import numpy as np

from monops import arrays
from monops.arrays import Array
from monops.constants import Constants
from monops.errors import CapabilityError, DataError
from monops.functions.equations import in_blocks
from monops.functions.function import Function
from monops.functions.roots import increasing_root
from monops.functions.sample import Sample
from monops.functions.separable import Separable

__all__ = ["MCP", "SCAD", "L0Norm", "LqPenalty"]


@dataclass(frozen=True, eq=False)
class Penalty(Separable):
    """An even penalty phi(|x_i|), nondecreasing, concave or not, with phi(0) = 0.

    A subclass gives ``magnitude_value(t)`` for t >= 0 and ``magnitude_candidates(t, step)``: points y >= 0 among which the
    global minimiser of phi(y) + (y - t)^2/(2 step) is, besides 0.
    """

    def magnitude_value(self, t: Array) -> Array:
        """phi(t) for t >= 0."""
        raise CapabilityError(f"{type(self).__name__} has no closed-form value")

    def magnitude_candidates(self, t: Array, step: Any) -> list[Array]:
        """Nonzero candidates for the minimiser of phi(y) + (y - t)^2/(2 step)."""
        raise CapabilityError(f"{type(self).__name__} has no closed-form prox")

    @property
    def is_convex(self) -> bool:
        return False

    @property
    def solves_for_prox(self) -> bool:
        return True

    @cached_property
    def constants(self) -> Constants:
        weak = self.weak_convexity
        return Constants() if weak is None else Constants(-weak, why="computed: f + weak_convexity/2 |x|^2 is convex")

    @property
    def weak_convexity(self) -> float | None:
        """The least rho with f + rho/2 |x|^2 convex; None where there is none. The prox is unique for step < 1/rho."""
        return None

    def conjugate(self) -> Function:
        raise CapabilityError(
            f"{type(self).__name__} is nonconvex: the conjugate of its conjugate is not the function itself, so that "
            "primal-dual methods do not apply; use a convex function such as L1Norm"
        )

    def entry_value(self, x: Array) -> Array:
        return self.magnitude_value(arrays.namespace(x).abs(x))

    def entry_prox(self, x: Array, step: Any) -> Array:
        xp = arrays.namespace(x)
        t = xp.abs(x)
        best, least = xp.zeros_like(t), 0.5 * t * t / step
        for candidate in self.magnitude_candidates(t, step):
            attained = self.magnitude_value(candidate) + 0.5 * (candidate - t) * (candidate - t) / step
            better = (attained < least) & (candidate > 0)
            best, least = xp.where(better, candidate, best), xp.where(better, attained, least)
        best = xp.where(xp.isnan(x), x, best)
        return xp.where(x < 0, -best, best)

    def entry_prox_derivative(self, x: Array, p: Array, step: Any) -> Array:
        xp = arrays.namespace(x)
        off = p == 0
        curvature = self.entry_curvature(xp.where(off, xp.ones_like(p), xp.abs(p)))
        return xp.where(off, xp.zeros_like(p), 1.0 / (1.0 + step * curvature))


def check_positive(owner: str, **positive: Any) -> None:
    """Raise DataError unless every named number is finite and > 0."""
    for name, value in positive.items():
        if not (isinstance(value, (int, float)) or getattr(value, "ndim", None) == 0) or not 0 < value < math.inf:
            raise DataError(f"{owner}: {name}={value!r} must be a finite number > 0")


def larger_root(equation: Callable[[Array], tuple[Array, Array]], turning: Array, t: Array) -> Array:
    """The root in [turning, t] of an equation that increases there, t where it has none (then 0 is the minimiser)."""
    xp = arrays.namespace(t)
    low = arrays.clip(turning, 0.0, None)
    low = xp.where(low > t, t, low)
    exists = equation(low)[0] < 0
    return increasing_root(equation, xp.where(exists, low, t), t, t)


@final
@dataclass(frozen=True, eq=False)
class L0Norm(Penalty):
    """f(x) = weight times the number of nonzero entries of x.

    Notes
    -----
    prox: x_i where |x_i| > sqrt(2 step weight), else 0: hard thresholding. **Domain** everything. **Constants** none: not
    convex, not even weakly. **Cost** one pass. **Derivative** of the prox: 1 where x_i is kept, else 0.

    References
    ----------
    Donoho and Johnstone (1994); Blumensath and Davies (2008), Iterative thresholding for sparse approximations.

    Examples
    --------
    >>> import numpy as np
    >>> L0Norm(0.5).prox(np.array([3.0, 0.9]))
    array([3., 0.])
    """

    weight: float = 1.0

    def __post_init__(self) -> None:
        check_positive("L0Norm", weight=self.weight)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(lambda a: cls(0.4), (5,)),)

    @property
    def solves_for_prox(self) -> bool:
        return False

    def magnitude_value(self, t: Array) -> Array:
        xp = arrays.namespace(t)
        return xp.where(t == 0, xp.zeros_like(t), xp.zeros_like(t) + self.weight)

    def entry_prox(self, x: Array, step: Any) -> Array:
        xp = arrays.namespace(x)
        size, threshold = xp.abs(x), (2.0 * step * self.weight) ** 0.5
        if isinstance(x, np.ndarray) and x.ndim:
            return np.multiply(x, size > threshold, out=size)
        return x * xp.astype(size > threshold, x.dtype)  # NaN stays NaN, infinity is kept

    def entry_curvature(self, x: Array) -> Array:
        return 0.0 * x

    def entry_parameter_slopes(self, p: Array) -> dict[str, Array]:
        return {"weight": 0.0 * p}

    def value_formula(self, x: str) -> str:
        return f"{self.weight:g} |{x}|_0"


@final
@dataclass(frozen=True, eq=False)
class LqPenalty(Penalty):
    """f(x) = weight sum |x_i|^exponent with 0 < exponent < 1.

    Notes
    -----
    prox: 0, or the larger root y of y + step weight q |y|^(q-1) = |x|, whichever has the lower objective; the root by
    safeguarded Newton. **Domain** everything. **Constants** none: not weakly convex. **Cost** about 6 passes of a power.
    **Derivative** of the prox: 1/(1 + step f''(p)) where p is not 0, else 0.

    References
    ----------
    Chartrand (2007); Marjanovic and Solo (2012), On l_q optimization and matrix completion.

    Examples
    --------
    >>> import numpy as np
    >>> np.round(LqPenalty(1.0, 0.5).prox(np.array([3.0, 0.5])), 6)
    array([2.695453, 0.      ])
    """

    weight: float = 1.0
    exponent: float = 0.5

    def __post_init__(self) -> None:
        check_positive("LqPenalty", weight=self.weight)
        if not 0 < self.exponent < 1:
            raise DataError(f"LqPenalty: exponent={self.exponent!r} must lie between 0 and 1; use Power for exponents above 1")

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(lambda a: cls(0.8, 0.5), (5,)), Sample(lambda a: cls(0.8, 0.1), (5,)))

    def magnitude_value(self, t: Array) -> Array:
        return self.weight * t**self.exponent

    def magnitude_candidates(self, t: Array, step: Any) -> list[Array]:
        q, s = self.exponent, step * self.weight * self.exponent
        xp = arrays.namespace(t)
        turning = (s * (1.0 - q)) ** (1.0 / (2.0 - q)) + 0.0 * t  # where y + s y^(q-1) is least

        def equation(y: Array) -> tuple[Array, Array]:
            safe = xp.where(y > 0, y, xp.ones_like(y))
            power = s * safe ** (q - 1.0)
            return y + power - t, 1.0 + (q - 1.0) * power / safe

        return [larger_root(equation, turning, t)]

    def entry_curvature(self, x: Array) -> Array:
        q = self.exponent
        return self.weight * q * (q - 1.0) * x ** (q - 2.0)

    def entry_parameter_slopes(self, p: Array) -> dict[str, Array]:
        xp = arrays.namespace(p)
        size = xp.where(p == 0, xp.ones_like(p), xp.abs(p))
        return {"weight": xp.sign(p) * self.exponent * size ** (self.exponent - 1.0)}

    def value_formula(self, x: str) -> str:
        return f"{self.weight:g} sum |{x}|^{self.exponent:g}"


@final
@dataclass(frozen=True, eq=False)
class SCAD(Penalty):
    """Smoothly clipped absolute deviation: weight |x| near 0, constant (shape + 1) weight^2/2 beyond shape times weight.

    Notes
    -----
    prox: the best of the minimisers on the three pieces of phi: soft threshold, a line, x itself; every step is allowed (for
    step >= shape - 1 the middle piece is concave and only its ends count). **Domain** everything. **Constants**
    mu = -1/(shape - 1): weakly convex. **Cost** some 15 passes. **Derivative** of the prox: of the piece that p lies on.

    References
    ----------
    Fan and Li (2001), Variable selection via nonconcave penalized likelihood and its oracle properties.

    Examples
    --------
    >>> import numpy as np
    >>> SCAD(1.0, 3.7).prox(np.array([1.5, 5.0]))
    array([0.5, 5. ])
    """

    weight: float = 1.0
    shape: float = 3.7

    def __post_init__(self) -> None:
        check_positive("SCAD", weight=self.weight)
        if not 2 < self.shape < math.inf:
            raise DataError(f"SCAD: shape={self.shape!r} must be a finite number > 2")

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(lambda a: cls(0.5, 3.7), (5,)), Sample(lambda a: cls(0.7, 2.2), (5,)))

    @property
    def weak_convexity(self) -> float:
        return 1.0 / (self.shape - 1.0)

    def entry_prox(self, x: Array, step: Any) -> Array:
        w, a = self.weight, self.shape
        if arrays.is_array(step) or not step < a - 1.0:
            return super().entry_prox(x, step)
        xp = arrays.namespace(x)  # the objective is convex: one minimiser, piece by piece
        size = xp.abs(x)
        middle = arrays.soft_threshold(x, step * a * w / (a - 1.0)) * ((a - 1.0) / (a - 1.0 - step))
        near = xp.where(size <= w * (1.0 + step), arrays.soft_threshold(x, step * w), middle)
        return xp.where(size > a * w, x, near)

    def magnitude_value(self, t: Array) -> Array:
        w, a = self.weight, self.shape
        xp = arrays.namespace(t)
        near, middle = arrays.clip(t, None, a * w), arrays.clip(t, w, a * w)
        bend = (middle - w) * (middle - w) / (2.0 * (a - 1.0))
        return xp.where(t <= w, w * t, w * near - bend)

    def magnitude_candidates(self, t: Array, step: Any) -> list[Array]:
        w, a = self.weight, self.shape
        xp = arrays.namespace(t)
        slope = a - 1.0 - step  # the middle piece is strictly convex where this is positive
        convex = slope > 0
        safe = xp.where(convex, slope, 1.0 + 0.0 * slope) if arrays.is_array(slope) else (slope if convex else 1.0)
        middle = arrays.clip(((a - 1.0) * t - step * a * w) / safe, w, a * w)
        if arrays.is_array(slope):
            middle = xp.where(convex, middle, w + 0.0 * middle)
        elif not convex:
            middle = w + 0.0 * t
        return [arrays.clip(t - step * w, 0.0, w), middle, arrays.clip(t, a * w, None)]

    def entry_curvature(self, x: Array) -> Array:
        xp = arrays.namespace(x)
        inside = (x > self.weight) & (x < self.shape * self.weight)
        return xp.where(inside, 0.0 * x - self.weak_convexity, 0.0 * x)

    def entry_parameter_slopes(self, p: Array) -> dict[str, Array]:
        xp = arrays.namespace(p)
        w, a, size = self.weight, self.shape, xp.abs(p)
        inside = (size > w) & (size < a * w)
        zero = 0.0 * p
        in_weight = xp.where(size <= w, xp.ones_like(p), xp.where(inside, zero + a / (a - 1.0), zero))
        in_shape = xp.where(inside, (size - w) / (a - 1.0) ** 2, zero)
        return {"weight": xp.sign(p) * in_weight, "shape": xp.sign(p) * in_shape}

    def value_formula(self, x: str) -> str:
        return f"scad_{self.weight:g},{self.shape:g}({x})"


@in_blocks
def _firm_threshold(x: Array, low: Any, high: Any) -> Array:
    """0 up to |x| = low, x from |x| = high on, linear between (Gao and Bruce 1997)."""
    xp = arrays.namespace(x)
    firm = arrays.soft_threshold(x, low)
    firm *= high / (high - low)  # in place where the library can; it passes x at |x| = high
    size = xp.abs(x)
    return xp.maximum(xp.minimum(firm, size), -size)


@final
@dataclass(frozen=True, eq=False)
class MCP(Penalty):
    """Minimax concave penalty: weight |x| - x^2/(2 shape) up to |x| = shape weight, constant beyond.

    Notes
    -----
    prox: the best of the minimisers on the two pieces of phi: firm thresholding for step < shape, hard thresholding for
    larger steps. **Domain** everything. **Constants** mu = -1/shape: weakly convex. **Cost** 7 passes for step <
    shape, else some 12. **Derivative** of the prox: of the piece that p lies on.

    References
    ----------
    Zhang (2010), Nearly unbiased variable selection under minimax concave penalty.

    Examples
    --------
    >>> import numpy as np
    >>> MCP(1.0, 3.0).prox(np.array([2.0, 5.0]))
    array([1.5, 5. ])
    """

    weight: float = 1.0
    shape: float = 3.0

    def __post_init__(self) -> None:
        check_positive("MCP", weight=self.weight, shape=self.shape)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(lambda a: cls(0.5, 3.0), (5,)), Sample(lambda a: cls(0.7, 0.8), (5,)))

    @property
    def weak_convexity(self) -> float:
        return 1.0 / float(self.shape)

    def entry_prox(self, x: Array, step: Any) -> Array:
        if arrays.is_array(step) or not step < self.shape:
            return super().entry_prox(x, step)
        return _firm_threshold(x, step * self.weight, self.shape * self.weight)  # the objective is convex: one minimiser

    def magnitude_value(self, t: Array) -> Array:
        near = arrays.clip(t, None, self.shape * self.weight)
        return near * (self.weight - near / (2.0 * self.shape))

    def magnitude_candidates(self, t: Array, step: Any) -> list[Array]:
        end = self.shape * self.weight
        xp = arrays.namespace(t)
        slope = 1.0 - step / self.shape + 0.0 * t
        safe = xp.where(slope > 0, slope, xp.ones_like(t))
        inner = xp.where(slope > 0, arrays.clip((t - step * self.weight) / safe, 0.0, end), 0.0 * t)
        return [inner, arrays.clip(t, end, None)]

    def entry_curvature(self, x: Array) -> Array:
        xp = arrays.namespace(x)
        return xp.where(x < self.shape * self.weight, 0.0 * x - 1.0 / self.shape, 0.0 * x)

    def entry_parameter_slopes(self, p: Array) -> dict[str, Array]:
        xp = arrays.namespace(p)
        inside = xp.abs(p) < self.shape * self.weight
        zero = 0.0 * p
        return {
            "weight": xp.where(inside, xp.sign(p), zero),
            "shape": xp.where(inside, p / self.shape**2, zero),
        }

    def value_formula(self, x: str) -> str:
        return f"mcp_{self.weight:g},{self.shape:g}({x})"
