"""Functions of the sorted entries: maximum, range, and sums of the largest."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, final

from monops import arrays, autodiff
from monops.arrays import Array
from monops.constants import Known
from monops.errors import DataError
from monops.functions.arguments import check_prox
from monops.functions.feasibility import row_axes
from monops.functions.function import Function
from monops.functions.norms.capped_simplex import CappedSimplex, capped_projection, row_of_ones
from monops.functions.sample import Sample
from monops.functions.separable import shape_of
from monops.functions.sets.box_sections import HalfSpaceBox
from monops.functions.sets.simplices import Simplex
from monops.functions.weights import check_weight, weighted
from monops.linear import BroadcastMap, LinearMap, SelfAdjointMap

__all__ = ["Max", "SpanSeminorm", "SumLargest", "SumLargestAbsolute"]


def check_count(owner: str, count: Any) -> None:
    """Raise DataError unless a count of entries is a finite number > 0."""
    if isinstance(count, bool) or not isinstance(count, (int, float)) or not 0 < count < math.inf:
        raise DataError(f"{owner}: count={count!r} must be a finite number > 0, how many of the largest entries are summed")


def check_fits(owner: str, count: Any, x: Array, batch_ndim: int) -> None:
    """Raise DataError where more entries are asked for than a row has."""
    entries = math.prod(x.shape[batch_ndim:])
    if not arrays.is_array(count) and count > entries * (1.0 + 8 * arrays.epsilon(x)):
        raise DataError(f"{owner}: {count:g} of the {entries} entries of a row cannot be summed: lower count")


def is_zero(scale: Any) -> bool:
    """Whether a scale is the number 0."""
    return not arrays.is_array(scale) and scale == 0


def in_weight(f: Any, x: Array, step: Any) -> dict[str, LinearMap]:
    """Derivative of a prox in the weight of a support function: with P the projection on the set times r = step weight,
    P(x) = r P_1(x/r), so that dP/dr = (P - P' x)/r, and the prox is x - P.
    """
    if f.weight == 0:
        return {}
    moving = f.prox_derivative(x, step).apply(x)
    return {"weight": BroadcastMap((f.prox(x, step) - moving) / f.weight)}


@final
@dataclass(frozen=True, eq=False)
class Max(Function):
    """f(x) = weight max_i x_i over all entries of a row.

    Parameters
    ----------
    weight : float, default 1
        At least 0.

    Notes
    -----
    prox: min(x_i, t) with sum max(x_i - t, 0) = step weight: x minus its projection on a simplex. **Domain** everything.
    **Constants** mu = 0, not smooth; f is weight-Lipschitz. **Cost** linear: that of `Simplex`. **Derivative** of the prox: 1
    below t; above, the mean over those entries.

    References
    ----------
    Bauschke and Combettes (2017), chapter 24.

    Examples
    --------
    >>> import numpy as np
    >>> Max().prox(np.array([3.0, 2.0, -1.0]), 2.0)
    array([ 1.5,  1.5, -1. ])
    """

    weight: float = 1.0

    def __post_init__(self) -> None:
        check_weight("Max", self.weight)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(1.3), (5,), lambda cp, y: 1.3 * cp.max(y)),
            Sample(lambda a: cls(0.2), (2, 3), lambda cp, y: 0.2 * cp.max(y)),
        )

    @property
    def value_lipschitz(self) -> Known:
        return Known(float(self.weight), "computed: the weight, because max |x_i - y_i| <= |x - y|_2")

    def __call__(self, x: Array) -> Array:
        xp = arrays.namespace(x)
        return self.weight * xp.max(arrays.flat_rows(x, self.batch_ndim), axis=-1)

    def _set(self, scale: Any) -> Simplex:
        return Simplex(scale, batch_ndim=self.batch_ndim)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        scale = step * self.weight
        return x if is_zero(scale) else x - self._set(scale).prox(x)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        scale = step * self.weight
        if is_zero(scale):
            return SelfAdjointMap(lambda h: h, shape_of(x))
        jacobian = self._set(scale).prox_derivative(x)
        return SelfAdjointMap(lambda h: h - jacobian.apply(h), shape_of(x))

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        return in_weight(self, x, step)

    def conjugate(self) -> Function:
        return Simplex(self.weight, batch_ndim=self.batch_ndim) if self.weight > 0 else super().conjugate()

    def value_formula(self, x: str) -> str:
        return weighted(self.weight, f"max({x})")


@final
@dataclass(frozen=True, eq=False)
class SpanSeminorm(Function):
    """f(x) = weight (max_i x_i - min_i x_i) over all entries of a row.

    Parameters
    ----------
    weight : float, default 1
        At least 0.

    Notes
    -----
    prox: clip(x, low, high) with sum max(x_i - high, 0) = sum max(low - x_i, 0) = step weight, or the mean everywhere when low
    exceeds high. **Domain** everything. **Constants** mu = 0, not smooth; f is sqrt(2) weight-Lipschitz. **Cost** linear: twice
    that of `Simplex`. **Derivative** of the prox: 1 between low and high, means over the entries above and below; or the mean.

    References
    ----------
    Bauschke and Combettes (2017), chapter 24, by Moreau's decomposition.

    Examples
    --------
    >>> import numpy as np
    >>> SpanSeminorm().prox(np.array([3.0, 0.0, -1.0]), 1.0)
    array([2., 0., 0.])
    """

    weight: float = 1.0

    def __post_init__(self) -> None:
        check_weight("SpanSeminorm", self.weight)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(0.4), (5,), lambda cp, y: 0.4 * (cp.max(y) - cp.min(y))),
            Sample(lambda a: cls(20.0), (2, 3), lambda cp, y: 20.0 * (cp.max(y) - cp.min(y))),
        )

    @property
    def value_lipschitz(self) -> Known:
        return Known(2**0.5 * float(self.weight), "computed: sqrt(2) weight")

    def __call__(self, x: Array) -> Array:
        xp = arrays.namespace(x)
        flat = arrays.flat_rows(x, self.batch_ndim)
        return self.weight * (xp.max(flat, axis=-1) - xp.min(flat, axis=-1))

    def _parts(self, x: Array, step: Any) -> tuple[Max, Array, Array, Array]:
        """The maximum function, min(x, high), max(x, low), and whether a row is flat (its axes kept)."""
        xp = arrays.namespace(x)
        largest = Max(self.weight, batch_ndim=self.batch_ndim)
        below, above = largest.prox(x, step), -largest.prox(-x, step)
        axes = row_axes(x, self.batch_ndim)
        flat = xp.min(above, axis=axes, keepdims=True) >= xp.max(below, axis=axes, keepdims=True)
        return largest, below, above, flat

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        xp = arrays.namespace(x)
        _, below, above, flat = self._parts(x, step)
        mean = xp.mean(x, axis=row_axes(x, self.batch_ndim), keepdims=True)
        return xp.where(flat, mean + 0.0 * x, below + above - x)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        xp = arrays.namespace(x)
        largest, _, _, flat = self._parts(x, step)
        upper, lower = largest.prox_derivative(x, step), largest.prox_derivative(-x, step)
        axes = row_axes(x, self.batch_ndim)

        def apply(h: Array) -> Array:
            return xp.where(flat, xp.mean(h, axis=axes, keepdims=True) + 0.0 * h, upper.apply(h) + lower.apply(h) - h)

        return SelfAdjointMap(apply, shape_of(x))

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        return in_weight(self, x, step)

    def value_formula(self, x: str) -> str:
        return weighted(self.weight, f"(max({x}) - min({x}))")


@final
@dataclass(frozen=True, eq=False)
class SumLargest(Function):
    """f(x) = weight times the sum of the ``count`` largest entries of a row (count 1: the maximum).

    Parameters
    ----------
    count : float
        Above 0, at most the number of entries; a fraction counts the next entry with that fraction.
    weight : float, default 1
        At least 0.

    Notes
    -----
    prox: x minus its projection on a capped simplex. **Domain** everything. **Constants** mu = 0, not smooth; f is
    sqrt(count) weight-Lipschitz for a whole count. **Cost** one sort for the value, a few passes for the prox. **Derivative**
    of the prox: the identity minus that of the projection on `CappedSimplex`.

    References
    ----------
    Overton and Womersley (1993), Optimality conditions and duality theory for minimizing sums of the largest eigenvalues.

    Examples
    --------
    >>> import numpy as np
    >>> SumLargest(2).prox(np.array([3.0, 2.5, -1.0]), 1.0)
    array([ 2. ,  1.5, -1. ])
    """

    count: Any = 1
    weight: float = 1.0

    def __post_init__(self) -> None:
        check_count("SumLargest", self.count)
        check_weight("SumLargest", self.weight)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(2, 1.3), (5,), lambda cp, y: 1.3 * cp.sum_largest(y, 2)),
            Sample(lambda a: cls(2.5, 0.4), (2, 3), lambda cp, y: 0.2 * (cp.sum_largest(y, 2) + cp.sum_largest(y, 3))),
        )

    @property
    def value_lipschitz(self) -> Known:
        whole, part = divmod(float(self.count), 1.0)
        return Known((whole + part**2) ** 0.5 * float(self.weight), "computed: largest norm of a subgradient")

    def __call__(self, x: Array) -> Array:
        check_fits("SumLargest", self.count, x, self.batch_ndim)
        return self.weight * sum_of_largest(x, float(self.count), self.batch_ndim)

    def _set(self, scale: Any) -> CappedSimplex:
        return CappedSimplex(self.count * scale, scale, batch_ndim=self.batch_ndim)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        check_fits("SumLargest", self.count, x, self.batch_ndim)
        scale = step * self.weight
        return x if is_zero(scale) else x - self._set(scale).prox(x)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        scale = step * self.weight
        if is_zero(scale):
            return SelfAdjointMap(lambda h: h, shape_of(x))
        jacobian = self._set(scale).prox_derivative(x)
        return SelfAdjointMap(lambda h: h - jacobian.apply(h), shape_of(x))

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        return in_weight(self, x, step)

    def conjugate(self) -> Function:
        if self.weight == 0:
            return super().conjugate()
        return CappedSimplex(self.count * self.weight, self.weight, batch_ndim=self.batch_ndim)

    def value_formula(self, x: str) -> str:
        return weighted(self.weight, f"sum of {self.count:g} largest({x})")


def sum_of_largest(x: Array, count: float, batch_ndim: int) -> Array:
    """Sum of the ``count`` largest entries of each row, a fraction of the next one included."""
    xp = arrays.namespace(x)
    flat = xp.sort(arrays.flat_rows(x, batch_ndim), axis=-1, descending=True)
    ranks = xp.arange(flat.shape[-1], dtype=x.dtype, device=arrays.device(x))
    return xp.sum(flat * arrays.clip(count - ranks, 0.0, 1.0), axis=-1)


@final
@dataclass(frozen=True, eq=False)
class SumLargestAbsolute(Function):
    """f(x) = weight times the sum of the ``count`` largest |x_i| of a row: between weight |x|_inf and weight |x|_1.

    Parameters
    ----------
    count : float
        Above 0, at most the number of entries.
    weight : float, default 1
        At least 0.

    Notes
    -----
    prox: x minus its projection on {y : |y_i| <= step weight, |y|_1 <= count step weight}. **Domain** everything. **Constants**
    mu = 0, not smooth; f is sqrt(count) weight-Lipschitz for a whole count. **Cost** one sort for the value, a few passes for
    the prox. **Derivative** of the prox: the identity minus that of the projection.

    References
    ----------
    Bhatia (1997), Matrix Analysis, for these norms of singular values (Ky Fan).

    Examples
    --------
    >>> import numpy as np
    >>> SumLargestAbsolute(2).prox(np.array([3.0, -2.5, 0.5]), 1.0)
    array([ 2. , -1.5,  0.5])
    """

    count: Any = 1
    weight: float = 1.0

    def __post_init__(self) -> None:
        check_count("SumLargestAbsolute", self.count)
        check_weight("SumLargestAbsolute", self.weight)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(2, 1.3), (5,), lambda cp, y: 1.3 * cp.sum_largest(cp.abs(y), 2)),
            Sample(lambda a: cls(2, 0.3), (2, 3), lambda cp, y: 0.3 * cp.sum_largest(cp.abs(y), 2)),
        )

    @property
    def value_lipschitz(self) -> Known:
        whole, part = divmod(float(self.count), 1.0)
        return Known((whole + part**2) ** 0.5 * float(self.weight), "computed: largest norm of a subgradient")

    def __call__(self, x: Array) -> Array:
        check_fits("SumLargestAbsolute", self.count, x, self.batch_ndim)
        return self.weight * sum_of_largest(arrays.namespace(x).abs(x), float(self.count), self.batch_ndim)

    def _section(self, x: Array, scale: Any) -> HalfSpaceBox:
        return HalfSpaceBox(row_of_ones(x, self.batch_ndim), self.count * scale, 0.0, scale, batch_ndim=self.batch_ndim)

    def _parts(self, x: Array, step: Any) -> tuple[Array, Array, Array]:
        """Signs of x, |x|, and the projection of |x|."""
        xp = arrays.namespace(x)
        size, scale = xp.abs(x), step * self.weight
        within = arrays.clip(size, None, scale)
        outside = arrays.row_sum(within, self.batch_ndim) > self.count * scale
        if not arrays.holds_everywhere(~outside):
            cut = capped_projection(size, self.count * scale, scale, self.batch_ndim)
            within = arrays.select_rows(outside, cut, within)
        return xp.sign(x), size, within

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        check_fits("SumLargestAbsolute", self.count, x, self.batch_ndim)
        if self.weight == 0:
            return x
        signs, _, within = self._parts(autodiff.detach(x), autodiff.detach(step))
        return self.with_derivative(x, step, autodiff.detach(x) - signs * within)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        if self.weight == 0:
            return SelfAdjointMap(lambda h: h, shape_of(x))
        xp = arrays.namespace(x)
        signs, size, _ = self._parts(x, step)
        jacobian = self._section(x, step * self.weight).prox_derivative(size)
        zero = xp.astype(signs == 0, x.dtype)  # inside the ball: the projection leaves 0 and its neighbours where they are

        def apply(h: Array) -> Array:
            return h - signs * jacobian.apply(signs * h) - zero * h

        return SelfAdjointMap(apply, shape_of(x))

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        return in_weight(self, x, step)

    def value_formula(self, x: str) -> str:
        return weighted(self.weight, f"sum of {self.count:g} largest |{x}|")
