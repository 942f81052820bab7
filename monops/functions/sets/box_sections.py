"""Sections of a box by a hyperplane or a half-space: knapsack sets, capped simplices; projections with one multiplier."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from monops import arrays, autodiff
from monops.arrays import Array
from monops.errors import DataError
from monops.functions.arguments import check_prox
from monops.functions.feasibility import (
    DataDerivative,
    as_text,
    check_bounds,
    entry_slack,
    nonzero,
    row_slack,
    zero_or_infinity,
)
from monops.functions.function import Function
from monops.functions.sample import Sample
from monops.functions.separable import shape_of
from monops.functions.sets.box_multiplier import section_projection
from monops.functions.sets.polyhedra import check_level, check_normal, inner_rows, keep_axes
from monops.functions.sets.simplices import row_total
from monops.linear import BroadcastMap, LinearMap
from monops.linear.jacobian import DiagonalPlusRankOne

__all__ = [
    "HalfSpaceBox",
    "HyperplaneBox",
]


def attainable(a: Array, lower: Any, upper: Any) -> tuple[float, float]:
    """Least and largest value of <a, x> over the box."""
    a, lower, upper = autodiff.detach(a), autodiff.detach(lower), autodiff.detach(upper)
    xp = arrays.namespace(a)
    low, high = xp.zeros_like(a) + lower, xp.zeros_like(a) + upper
    used, zero = a != 0, xp.zeros_like(a)
    low, high = xp.where(used, low, zero), xp.where(used, high, zero)  # 0 inf = 0 here
    return float(xp.sum(a * xp.where(a > 0, low, high))), float(xp.sum(a * xp.where(a > 0, high, low)))


def _rounding(a: Array, level: float, end: float) -> float:
    return 100 * arrays.epsilon(a) * max(abs(level), abs(end), 1.0) if math.isfinite(end) else 0.0


class Section:
    """Derivatives of p = clip(x - t a, lower, upper) on the face of the box that p is in.

    Parameters
    ----------
    x, p, a : array
        The point, its projection, and the normal.
    moving : Boolean array, one entry a row
        Rows where <a, .> = b holds p; in the others t = 0.
    """

    def __init__(self, x: Array, p: Array, a: Array, lower: Any, upper: Any, moving: Array) -> None:
        xp = arrays.namespace(x)
        self.a, self.p, self.batch_ndim, self.shape = a, p, moving.ndim, tuple(x.shape)
        self.free = xp.astype((p > lower) & (p < upper), x.dtype)
        self.at_lower = xp.astype(p <= lower, x.dtype)
        self.at_upper = xp.astype((p >= upper) & ~(p <= lower), x.dtype)
        self.rows = keep_axes(xp.astype(moving, x.dtype), x)
        self.vector = self.free * self.rows * a
        self.square = nonzero(row_total(self.vector * self.vector, self.batch_ndim))
        self.multiplier = row_total(self.vector * (x - p), self.batch_ndim) / self.square

    def _total(self, x: Array) -> Array:
        return row_total(x, self.batch_ndim)

    def derivative(self, h: Array) -> Array:
        """The derivative in x: free h - vector <vector, h>/|vector|^2."""
        return self.free * h - (self._total(self.vector * h) / self.square) * self.vector

    def in_x(self) -> LinearMap:
        """The derivative in x, as a map."""
        axes = tuple(range(self.batch_ndim, len(self.shape)))
        return DiagonalPlusRankOne(self.free, self.vector, -1.0 / self.square, axes)

    def in_level(self) -> LinearMap:
        """The derivative in b: vector/|vector|^2."""
        return BroadcastMap(self.vector / self.square, ())

    def in_bound(self, held: Array, shape: tuple[int, ...]) -> LinearMap:
        """The derivative in a bound: entries held by it follow, the free ones keep <a, .> = b."""

        def forward(change: Any) -> Array:
            change = held * change
            return change - (self._total(self.a * change) / self.square) * self.vector

        def backward(cotangent: Array) -> Array:
            along = self._total(self.vector * cotangent) / self.square
            return arrays.reduce_to(held * (cotangent - along * self.a), shape)

        return DataDerivative(forward, backward, shape, self.shape)

    def in_normal(self) -> LinearMap:
        """The derivative in a: -t J da - vector <p, da>/|vector|^2."""

        def forward(change: Any) -> Array:
            moved = self._total(self.p * change) / self.square
            return -self.multiplier * self.derivative(change + 0.0 * self.p) - moved * self.vector

        def backward(cotangent: Array) -> Array:
            moved = self._total(self.vector * cotangent) / self.square
            return arrays.reduce_to(-self.multiplier * self.derivative(cotangent) - moved * self.p, shape_of(self.a))

        return DataDerivative(forward, backward, shape_of(self.a), self.shape)

    def in_data(self, lower: Any, upper: Any) -> dict[str, LinearMap]:
        """All of them, by the names of the fields."""
        return {
            "a": self.in_normal(),
            "b": self.in_level(),
            "lower": self.in_bound(self.at_lower, shape_of(lower)),
            "upper": self.in_bound(self.at_upper, shape_of(upper)),
        }


def in_box(x: Array, lower: Any, upper: Any, batch_ndim: int) -> Array:
    """Whether every entry of a row is within its bounds, up to rounding."""
    slack = entry_slack(x)
    outside = ~((x >= lower - slack) & (x <= upper + slack))
    return arrays.row_sum(arrays.namespace(x).astype(outside, x.dtype), batch_ndim) == 0


@final
@dataclass(frozen=True, eq=False)
class HyperplaneBox(Function):
    """Indicator of {x : <a, x> = b, lower <= x <= upper}: a knapsack set; the capped simplex for a = 1, bounds 0 and 1.

    Parameters
    ----------
    a : array, shape of one point (of one row of a batch)
        Not 0.
    b : float
        Between the least and the largest value of <a, x> on the box, or the set is empty.
    lower, upper : float or array that broadcasts against one point
        lower <= upper; may be infinite.

    Notes
    -----
    prox: clip(x - t a, lower, upper) with the t that makes <a, .> = b. **Domain** the set. **Constants** mu = 0; no gradient.
    **Cost** linear: the safeguarded Newton method on an increasing piecewise linear function of t, 5 to 12 passes, exact once
    the linear piece is found. **Derivative** of the prox: D - v v*/|v|^2 with D = 1 where lower < prox(x) < upper, else 0 (0 at
    the kinks), and v = D a.

    References
    ----------
    Brucker (1984), An O(n) algorithm for quadratic knapsack problems; Kiwiel (2008).

    Examples
    --------
    >>> import numpy as np
    >>> HyperplaneBox(np.ones(3), 2.0, 0.0, 1.0).prox(np.array([3.0, 0.5, 0.3])).round(12)
    array([1. , 0.6, 0.4])
    """

    a: Any
    b: Any
    lower: Any
    upper: Any

    def __post_init__(self) -> None:
        check_normal("HyperplaneBox", self.a)
        check_level("HyperplaneBox", self.b)
        check_bounds("HyperplaneBox", self.lower, self.upper)
        least, largest = attainable(self.a, self.lower, self.upper)
        level = float(autodiff.detach(self.b))
        if level < least - _rounding(self.a, level, least) or level > largest + _rounding(self.a, level, largest):
            raise DataError(
                f"HyperplaneBox: <a, x> lies in [{least:g}, {largest:g}] on the box, so that <a, x> = b = {level:g} has no "
                "solution: the set is empty"
            )

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        a, low = np.array([1.0, -2.0, 0.5, 1.5]), np.array([-1.0, -math.inf, 0.0, -0.5])
        return (
            Sample(
                lambda array: cls(array(np.ones(5)), array(2.0), 0.0, 1.0),
                (5,),
                lambda cp, y: [cp.sum(y) == 2, y >= 0, y <= 1],
            ),
            Sample(
                lambda array: cls(array(a), 0.7, array(low), 0.8),
                (4,),
                lambda cp, y: [a @ y == 0.7, y[[0, 2, 3]] >= low[[0, 2, 3]], y <= 0.8],
            ),
            Sample(
                lambda array: cls(array(a.reshape(2, 2)), -1.0, array([-1.0, -2.0]), array([[1.0, 2.0], [0.5, 3.0]])),
                (2, 2),
                lambda cp, y: [
                    cp.sum(cp.multiply(a.reshape(2, 2), y)) == -1.0,
                    y >= np.array([[-1.0, -2.0], [-1.0, -2.0]]),
                    y <= np.array([[1.0, 2.0], [0.5, 3.0]]),
                ],
            ),
        )

    @property
    def is_indicator(self) -> bool:
        return True

    def __call__(self, x: Array) -> Array:
        xp = arrays.namespace(x)
        excess = xp.abs(inner_rows(self.a, x, self.batch_ndim) - self.b)
        terms = arrays.row_sum(xp.abs(self.a * x), self.batch_ndim)
        holds = excess <= row_slack(terms, x, self.batch_ndim)
        return zero_or_infinity(holds & in_box(x, self.lower, self.upper, self.batch_ndim), x)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        f = self.detached()
        point = section_projection(autodiff.detach(x), f.a, f.b, f.lower, f.upper, self.batch_ndim)
        return self.with_derivative(x, step, point)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        return self._section(x).in_x()

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        return self._section(x).in_data(self.lower, self.upper)

    def _section(self, x: Array) -> Section:
        level = inner_rows(self.a, x, self.batch_ndim)
        return Section(x, self.prox(x), self.a, self.lower, self.upper, level == level)

    def value_formula(self, x: str) -> str:
        return f"i(<a, {x}> = {as_text(self.b)}, {as_text(self.lower)} <= {x} <= {as_text(self.upper)})"


@final
@dataclass(frozen=True, eq=False)
class HalfSpaceBox(Function):
    """Indicator of {x : <a, x> <= b, lower <= x <= upper}: a budget on top of bounds.

    Parameters
    ----------
    a : array, shape of one point (of one row of a batch)
        Not 0.
    b : float
        At least the least value of <a, x> on the box, or the set is empty.
    lower, upper : float or array that broadcasts against one point
        lower <= upper; may be infinite.

    Notes
    -----
    prox: clip(x - t a, lower, upper) with the least t >= 0 that gives <a, .> <= b. **Domain** the set. **Constants** mu = 0; no
    gradient. **Cost** that of `HyperplaneBox`; one pass when t = 0. **Derivative** of the prox: D = 1 where lower < prox(x) <
    upper, else 0 (0 at the kinks); D - v v*/|v|^2 with v = D a where <a, clip(x, lower, upper)> > b.

    References
    ----------
    Brucker (1984), An O(n) algorithm for quadratic knapsack problems; Kiwiel (2008).

    Examples
    --------
    >>> import numpy as np
    >>> HalfSpaceBox(np.ones(3), 2.0, 0.0, 1.0).prox(np.array([0.7, 0.5, -0.3]))
    array([0.7, 0.5, 0. ])
    """

    a: Any
    b: Any
    lower: Any
    upper: Any

    def __post_init__(self) -> None:
        check_normal("HalfSpaceBox", self.a)
        check_level("HalfSpaceBox", self.b)
        check_bounds("HalfSpaceBox", self.lower, self.upper)
        least, level = attainable(self.a, self.lower, self.upper)[0], float(autodiff.detach(self.b))
        if level < least - _rounding(self.a, level, least):
            raise DataError(
                f"HalfSpaceBox: <a, x> is at least {least:g} on the box, so that <a, x> <= b = {level:g} has no solution: the "
                "set is empty"
            )

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        a, low = np.array([1.0, -2.0, 0.5, 1.5]), np.array([-1.0, -math.inf, 0.0, -0.5])
        return (
            Sample(
                lambda array: cls(array(np.ones(5)), array(0.9), 0.0, 1.0),
                (5,),
                lambda cp, y: [cp.sum(y) <= 0.9, y >= 0, y <= 1],
            ),
            Sample(
                lambda array: cls(array(a), -2.0, array(low), 0.8),
                (4,),
                lambda cp, y: [a @ y <= -2.0, y[[0, 2, 3]] >= low[[0, 2, 3]], y <= 0.8],
            ),
        )

    @property
    def is_indicator(self) -> bool:
        return True

    def __call__(self, x: Array) -> Array:
        xp = arrays.namespace(x)
        terms = arrays.row_sum(xp.abs(self.a * x), self.batch_ndim)
        holds = inner_rows(self.a, x, self.batch_ndim) - self.b <= row_slack(terms, x, self.batch_ndim)
        return zero_or_infinity(holds & in_box(x, self.lower, self.upper, self.batch_ndim), x)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        f, x0 = self.detached(), autodiff.detach(x)
        point, outside = f._clipped(x0)
        if not arrays.holds_everywhere(~outside):
            cut = section_projection(x0, f.a, f.b, f.lower, f.upper, self.batch_ndim)
            point = arrays.select_rows(outside, cut, point)
        return self.with_derivative(x, step, point)

    def _clipped(self, x: Array) -> tuple[Array, Array]:
        """clip(x, lower, upper), and the rows where it violates the budget."""
        xp = arrays.namespace(x)
        point = arrays.clip(x, self.lower + xp.zeros_like(x), self.upper + xp.zeros_like(x))
        return point, inner_rows(self.a, point, self.batch_ndim) > self.b

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        return self._section(x).in_x()

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        return self._section(x).in_data(self.lower, self.upper)

    def _section(self, x: Array) -> Section:
        return Section(x, self.prox(x), self.a, self.lower, self.upper, self._clipped(x)[1])

    def value_formula(self, x: str) -> str:
        return f"i(<a, {x}> <= {as_text(self.b)}, {as_text(self.lower)} <= {x} <= {as_text(self.upper)})"
