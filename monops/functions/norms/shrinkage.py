"""Block soft-thresholding x max(1 - t/|x|, 0), and its derivatives."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from monops import arrays
from monops.arrays import Array
from monops.functions.feasibility import nonzero, row_norm
from monops.linear import DiagonalPlusRankOne, LinearMap, SelfAdjointMap


class Shrinkage:
    """x max(1 - t/|x|, 0) and its derivatives, |x| Euclidean over ``axes``, without overflow or a zero to divide by."""

    def __init__(self, x: Array, size: Array, threshold: Any) -> None:
        xp = arrays.namespace(x)
        self.moving = size > threshold
        safe = xp.where(self.moving, size, xp.ones_like(size))
        self.ratio = xp.where(self.moving, threshold / safe, xp.ones_like(size))
        self.factor = 1.0 - self.ratio
        self._point, self._size = x, size

    @cached_property
    def unit(self) -> Array:
        """x/|x|, 0 where x is."""
        return self._point / arrays.namespace(self._point).astype(nonzero(self._size), self._point.dtype)

    def derivative(self, axes: tuple[int, ...]) -> DiagonalPlusRankOne:
        """factor I + (t/|x|) u u* where |x| > t, else 0."""
        zero = 0.0 * self.ratio
        xp = arrays.namespace(self.ratio)
        return DiagonalPlusRankOne(self.factor, self.unit, xp.where(self.moving, self.ratio, zero), axes)

    def in_threshold(self) -> Array:
        """Derivative in t: -u where |x| > t."""
        xp = arrays.namespace(self.unit)
        return xp.where(self.moving, -self.unit, xp.zeros_like(self.unit))


def row_size(x: Array, batch_ndim: int) -> Array:
    """|x| of each row, its axes kept."""
    size = row_norm(x, batch_ndim)
    return arrays.namespace(size).reshape(size, (*size.shape, *(1,) * (x.ndim - batch_ndim)))


def complex_shrinkage(x: Array, threshold: Any, divisor: Any) -> LinearMap | None:
    """Derivative of soft-thresholding, divided by ``divisor``, at a complex x; None at a real one.

    h -> h - (threshold/|x|)(h - u Re(conj(u) h)) with u = x/|x| where |x| > threshold, else 0: linear over the reals.
    """
    xp = arrays.namespace(x)
    if not xp.isdtype(x.dtype, "complex floating"):
        return None
    size = xp.abs(x)
    kept = size > threshold
    safe = xp.where(kept, size, xp.ones_like(size))
    unit, across = x / safe, 1.0 - threshold / safe

    def apply(h: Array) -> Array:
        along = unit * xp.real(xp.conj(unit) * h)
        moved = (along + across * (h - along)) / divisor
        return xp.where(kept, moved, xp.zeros_like(moved))

    return SelfAdjointMap(apply, tuple(int(n) for n in x.shape))
