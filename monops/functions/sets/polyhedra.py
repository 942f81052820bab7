"""Hyperplanes, half-spaces and slabs, and their intersections with a box: projections with one multiplier."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

import numpy as np

from monops import arrays, autodiff
from monops.arrays import Array
from monops.errors import DataError, ShapeError
from monops.functions.arguments import check_prox
from monops.functions.feasibility import (
    DataDerivative,
    as_text,
    check_bounds,
    holds_somewhere,
    row_axes,
    row_slack,
    zero_or_infinity,
)
from monops.functions.function import Function
from monops.functions.sample import Sample
from monops.functions.separable import shape_of
from monops.linear import BroadcastMap, LinearMap
from monops.linear.jacobian import DiagonalPlusRankOne

__all__ = [
    "HalfSpace",
    "Hyperplane",
    "Slab",
]


def check_normal(owner: str, a: Any) -> None:
    """Raise unless ``a`` is a finite floating array that is not 0."""
    if not arrays.is_array(a):
        raise DataError(f"{owner}: a={a!r} must be an array of the shape of one point, for example numpy.ones(n)")
    arrays.check_floating(f"{owner}: a", a)
    arrays.check_finite(f"{owner}: a", a)
    if not holds_somewhere(a != 0):
        raise DataError(f"{owner}: a is 0: <a, x> says nothing about x")


def check_level(owner: str, b: Any) -> None:
    """Raise DataError unless the level b is a finite number."""
    if arrays.is_array(b) and b.ndim > 0:
        raise ShapeError(f"{owner}: b has shape {tuple(b.shape)}: it is one number for all rows")
    if not isinstance(b, (int, float, np.generic)) and not arrays.is_array(b):
        raise DataError(f"{owner}: b={b!r} must be a finite number")
    if not -math.inf < b < math.inf:
        raise DataError(f"{owner}: b={b!r} must be a finite number")


def inner_rows(a: Array, x: Array, batch_ndim: int) -> Array:
    """<a, x> of every row, with a of the shape of one point."""
    if x.shape[batch_ndim:] != a.shape:
        raise ShapeError(f"a has shape {tuple(a.shape)}, but a point has shape {tuple(x.shape[batch_ndim:])}")
    return x @ a if a.ndim == 1 else arrays.row_sum(a * x, batch_ndim)


def keep_axes(rows: Array, x: Array) -> Array:
    """A batch array with axes of length 1 in the place of the axes of a point."""
    return arrays.namespace(rows).reshape(rows, (*rows.shape, *(1,) * (x.ndim - rows.ndim)))


class _Between:
    """{lower <= <a, x> <= upper} in units of max |a_i|, so that nothing overflows; a bound is None when it is infinite."""

    def __init__(self, a: Array, lower: Any, upper: Any) -> None:
        xp = arrays.namespace(a)
        self.a = a
        self.size = xp.max(xp.abs(a))
        self.direction = a / self.size
        self.square = arrays.inner(self.direction, self.direction)
        self.lower = None if lower == -math.inf else lower / self.size
        self.upper = None if upper == math.inf else upper / self.size

    def excess(self, x: Array, batch_ndim: int) -> Array:
        """How far <direction, x> is from its bounds in every row, with its sign."""
        level = inner_rows(self.direction, x, batch_ndim)
        return level - arrays.clip(level, self.lower, self.upper)

    def project(self, x: Array, batch_ndim: int) -> Array:
        """x - excess/|direction|^2 direction; then once more, to the same bound: that removes the rounding of the first pass,
        which is relative to x, however far away x is.
        """
        xp = arrays.namespace(x)
        if batch_ndim == 0 and x.ndim == 1 and isinstance(x, np.ndarray):
            return self._project_one(x)
        level = inner_rows(self.direction, x, batch_ndim)
        target = arrays.clip(level, self.lower, self.upper)
        moving = level != target
        slack = row_slack(xp.abs(target), x, batch_ndim)
        for second in (False, True):
            excess = xp.where(moving, inner_rows(self.direction, x, batch_ndim) - target, xp.zeros_like(level))
            if second and arrays.holds_everywhere(~(xp.abs(excess) > slack)):
                break
            move = keep_axes(-excess / self.square, x) * self.direction
            move += x  # in place where the library can: a second temporary would cost as much as the arithmetic
            x = move
        return x

    def _project_one(self, x: Any) -> Any:
        """The same for one vector on NumPy, with numbers in the place of arrays of rows."""
        level, square = float(inner_rows(self.direction, x, 0)), float(self.square)
        lower = -math.inf if self.lower is None else float(self.lower)
        target = max(level, lower) if self.upper is None else min(max(level, lower), float(self.upper))
        if level == target:
            return x + 0.0
        point = (-(level - target) / square) * self.direction
        point += x
        if not abs(level) <= 4.0 * (abs(target) + 1.0) * x.size:  # the rounding of the first pass is relative to x
            point -= ((float(self.direction @ point) - target) / square) * self.direction
        return point

    def value(self, x: Array, batch_ndim: int) -> Array:
        """0 where the constraint holds up to the rounding of <a, x>, else infinity."""
        excess = arrays.namespace(x).abs(self.excess(x, batch_ndim))
        terms = arrays.row_sum(arrays.namespace(x).abs(self.direction * x), batch_ndim)
        return zero_or_infinity(excess <= row_slack(terms, x, batch_ndim), x)

    def derivative(self, x: Array, moving: Array) -> LinearMap:
        """I - a a*/|a|^2 in the rows that move, the identity in the others."""
        xp = arrays.namespace(x)
        vector = self.direction + xp.zeros_like(x)
        coefficient = -keep_axes(xp.astype(moving, x.dtype), x) / self.square
        return DiagonalPlusRankOne(xp.ones_like(x), vector, coefficient, row_axes(x, moving.ndim))

    def in_level(self, x: Array, moving: Array) -> LinearMap:
        """a/|a|^2, the derivative in the bound that the rows ``moving`` have reached."""
        rows = keep_axes(arrays.namespace(x).astype(moving, x.dtype), x) / (self.square * self.size)
        return BroadcastMap(rows * self.direction, ())

    def in_normal(self, x: Array, p: Array, moving: Array) -> LinearMap:
        """The derivative in a: with p = x - t a, da -> -t da - a <p - t a, da>/|a|^2."""
        xp, batch_ndim = arrays.namespace(x), moving.ndim
        rows = keep_axes(xp.astype(moving, x.dtype), x) / (self.square * self.size)
        multiplier = rows * keep_axes(self.excess(x, batch_ndim), x)
        turned = rows * (p - multiplier * self.a)

        def forward(change: Any) -> Array:
            return -multiplier * change - keep_axes(arrays.row_sum(turned * change, batch_ndim), x) * self.direction

        def backward(cotangent: Array) -> Array:
            along = keep_axes(inner_rows(self.direction, cotangent, batch_ndim), x)
            return arrays.reduce_to(-multiplier * cotangent - along * turned, shape_of(self.a))

        return DataDerivative(forward, backward, shape_of(self.a), tuple(x.shape))


@final
@dataclass(frozen=True, eq=False)
class Hyperplane(Function):
    """Indicator of {x : <a, x> = b}.

    Parameters
    ----------
    a : array, shape of one point (of one row of a batch)
        Not 0.
    b : float, default 0

    Notes
    -----
    prox: x - (<a, x> - b)/|a|^2 a. **Domain** the hyperplane. **Constants** mu = 0; no gradient. **Cost** three inner
    products and a sum of vectors; for x far away one sum more, which keeps <a, x> = b to rounding. **Derivative** of the
    prox: I - a a*/|a|^2; in b: a/|a|^2; in a: with t = (<a, x> - b)/|a|^2, da -> -t da - a <prox(x) - t a, da>/|a|^2.

    References
    ----------
    Bauschke and Combettes (2017), chapter 29.

    Examples
    --------
    >>> import numpy as np
    >>> Hyperplane(np.array([1.0, 1.0]), 2.0).prox(np.array([3.0, 1.0]))
    array([2., 0.])
    """

    a: Any
    b: Any = 0.0

    def __post_init__(self) -> None:
        check_normal("Hyperplane", self.a)
        check_level("Hyperplane", self.b)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        a, wide = np.array([1.0, -2.0, 0.5, 0.0]), np.array([[1.0, 2.0, -1.0], [0.5, 0.0, 3.0]])
        return (
            Sample(lambda array: cls(array(a), array(0.7)), (4,), lambda cp, y: [a @ y == 0.7]),
            Sample(lambda array: cls(array(wide), -1.5), (2, 3), lambda cp, y: [cp.sum(cp.multiply(wide, y)) == -1.5]),
        )

    @cached_property
    def _between(self) -> _Between:
        return _Between(self.a, self.b, self.b)

    @property
    def is_indicator(self) -> bool:
        return True

    def __call__(self, x: Array) -> Array:
        return self._between.value(x, self.batch_ndim)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        return self.with_derivative(x, step, self.detached()._between.project(autodiff.detach(x), self.batch_ndim))

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        return self._between.derivative(x, self._moving(x))

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        set_, moving = self._between, self._moving(x)
        return {"a": set_.in_normal(x, self.prox(x), moving), "b": set_.in_level(x, moving)}

    def _moving(self, x: Array) -> Array:
        excess = self._between.excess(x, self.batch_ndim)
        return excess == excess

    def value_formula(self, x: str) -> str:
        return f"i(<a, {x}> = {as_text(self.b)})"


@final
@dataclass(frozen=True, eq=False)
class HalfSpace(Function):
    """Indicator of {x : <a, x> <= b}.

    Parameters
    ----------
    a : array, shape of one point (of one row of a batch)
        Not 0.
    b : float, default 0

    Notes
    -----
    prox: x - max(<a, x> - b, 0)/|a|^2 a. **Domain** the half-space. **Constants** mu = 0; no gradient. **Cost** that of
    `Hyperplane`. **Derivative** of the prox: the identity inside and on the boundary; outside that of `Hyperplane`.

    References
    ----------
    Bauschke and Combettes (2017), chapter 29.

    Examples
    --------
    >>> import numpy as np
    >>> HalfSpace(np.array([1.0, 1.0]), 2.0).prox(np.array([3.0, 1.0]))
    array([2., 0.])
    """

    a: Any
    b: Any = 0.0

    def __post_init__(self) -> None:
        check_normal("HalfSpace", self.a)
        check_level("HalfSpace", self.b)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        a, wide = np.array([1.0, -2.0, 0.5, 0.0]), np.array([[1.0, 2.0, -1.0], [0.5, 0.0, 3.0]])
        return (
            Sample(lambda array: cls(array(a), array(-4.0)), (4,), lambda cp, y: [a @ y <= -4.0]),
            Sample(lambda array: cls(array(wide), 40.0), (2, 3), lambda cp, y: [cp.sum(cp.multiply(wide, y)) <= 40.0]),
        )

    @cached_property
    def _between(self) -> _Between:
        return _Between(self.a, -math.inf, self.b)

    @property
    def is_indicator(self) -> bool:
        return True

    def __call__(self, x: Array) -> Array:
        return self._between.value(x, self.batch_ndim)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        return self.with_derivative(x, step, self.detached()._between.project(autodiff.detach(x), self.batch_ndim))

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        return self._between.derivative(x, self._between.excess(x, self.batch_ndim) > 0)

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        set_ = self._between
        moving = set_.excess(x, self.batch_ndim) > 0
        return {"a": set_.in_normal(x, self.prox(x), moving), "b": set_.in_level(x, moving)}

    def value_formula(self, x: str) -> str:
        return f"i(<a, {x}> <= {as_text(self.b)})"


@final
@dataclass(frozen=True, eq=False)
class Slab(Function):
    """Indicator of {x : lower <= <a, x> <= upper}.

    Parameters
    ----------
    a : array, shape of one point (of one row of a batch)
        Not 0.
    lower, upper : float
        lower <= upper; may be infinite.

    Notes
    -----
    prox: x - (s - clip(s, lower, upper))/|a|^2 a with s = <a, x>. **Domain** the slab. **Constants** mu = 0; no gradient.
    **Cost** that of `Hyperplane`. **Derivative** of the prox: the identity inside and on the boundary; outside that of
    `Hyperplane` with the bound in the place of b.

    References
    ----------
    Bauschke and Combettes (2017), chapter 29.

    Examples
    --------
    >>> import numpy as np
    >>> Slab(np.array([1.0, 1.0]), -2.0, 2.0).prox(np.array([3.0, 1.0]))
    array([2., 0.])
    """

    a: Any
    lower: Any = -1.0
    upper: Any = 1.0

    def __post_init__(self) -> None:
        check_normal("Slab", self.a)
        if any(arrays.is_array(bound) and bound.ndim > 0 for bound in (self.lower, self.upper)):
            raise ShapeError("Slab: lower and upper are one number each, for all rows")
        check_bounds("Slab", self.lower, self.upper)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        a = np.array([1.0, -2.0, 0.5, 0.0])
        return (
            Sample(lambda array: cls(array(a), array(-0.2), array(0.1)), (4,), lambda cp, y: [a @ y >= -0.2, a @ y <= 0.1]),
            Sample(lambda array: cls(array(a), -0.3, math.inf), (4,), lambda cp, y: [a @ y >= -0.3]),
        )

    @cached_property
    def _between(self) -> _Between:
        return _Between(self.a, self.lower, self.upper)

    @property
    def is_indicator(self) -> bool:
        return True

    def __call__(self, x: Array) -> Array:
        return self._between.value(x, self.batch_ndim)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        return self.with_derivative(x, step, self.detached()._between.project(autodiff.detach(x), self.batch_ndim))

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        return self._between.derivative(x, self._between.excess(x, self.batch_ndim) != 0)

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        set_ = self._between
        excess = set_.excess(x, self.batch_ndim)
        return {
            "a": set_.in_normal(x, self.prox(x), excess != 0),
            "lower": set_.in_level(x, excess < 0),
            "upper": set_.in_level(x, excess > 0),
        }

    def value_formula(self, x: str) -> str:
        return f"i({as_text(self.lower)} <= <a, {x}> <= {as_text(self.upper)})"
