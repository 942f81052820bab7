"""Simplices: x >= 0 with a weighted sum that equals, or stays below, a total; and the threshold behind their projections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np

from monops import arrays, autodiff
from monops.arrays import Array
from monops.functions.arguments import check_prox
from monops.functions.feasibility import DataDerivative, as_text, check_radius, nonzero, row_axes, row_slack, zero_or_infinity
from monops.functions.function import Function
from monops.functions.sample import Sample
from monops.functions.separable import shape_of
from monops.linear import BroadcastMap, LinearMap
from monops.linear.jacobian import DiagonalPlusRankOne

__all__ = [
    "Simplex",
    "SimplexInequality",
]

MAXIMUM_PASSES = 80  # value times slope falls by 4 a pass, so that float64 is exhausted before


def sum_threshold(ratio: Array, square: Any, total: Any) -> Array:
    """The t with sum square max(ratio - t, 0) = total along the last axis, which is kept; ``ratio`` has largest entry 0.

    Newton's method on a convex, decreasing, piecewise linear function, from the left: monotone, and exact once the active
    set stands still (Michelot 1986; in the order of passes of Condat 2016). On NumPy, a single row is filtered on the way.
    """
    xp = arrays.namespace(ratio)
    weighted = arrays.is_array(square)
    lowest = xp.max(ratio - total / square, axis=-1, keepdims=True) if weighted else xp.zeros_like(ratio[..., :1]) - total
    if isinstance(ratio, np.ndarray) and ratio.ndim == 1:
        return _filtered_threshold(ratio, square, total, lowest)
    ratio = xp.where(ratio < lowest, lowest, ratio)  # they stay inactive, and cannot overflow the sum
    one = xp.ones_like(ratio)
    active = square * one
    t = lowest
    for _ in range(MAXIMUM_PASSES):
        size = xp.vecdot(active, one)[..., None]
        following = (xp.vecdot(active, ratio)[..., None] - total) / nonzero(size)
        done = ~(following > t)
        t = xp.where(done, t, following)
        if arrays.holds_everywhere(done):
            break
        active = xp.astype(ratio > t, ratio.dtype)
        active = active * square if weighted else active
    return t


def _filtered_threshold(ratio: Any, square: Any, total: Any, lowest: Any) -> Any:
    """One row on NumPy: entries that cannot be active any more are dropped, so that each pass is shorter than the last."""
    weighted = arrays.is_array(square)
    keep = ~(ratio <= lowest)
    t, total = float(lowest[0]), float(total)  # numbers: at 1000 entries the passes cost less than their overhead
    while True:
        ratio = ratio[keep]
        square = square[keep] if weighted else square
        if not ratio.size:
            break
        size = float(square.sum()) if weighted else float(ratio.size)
        following = (float(square @ ratio if weighted else ratio.sum()) - total) / size
        if following <= t:
            break
        t = following
        keep = ratio > t
    return np.full_like(lowest, t)


def positive_part_with_sum(x: Array, weight: Any, total: Any, batch_ndim: int, capped: bool) -> Array:
    """max(x - t weight, 0) with weighted sum ``total``; ``capped``: with weighted sum at most ``total`` (t >= 0)."""
    xp = arrays.namespace(x)
    flat = arrays.flat_rows(x, batch_ndim)
    if arrays.is_array(weight):
        weight = xp.reshape(weight * xp.ones_like(x), flat.shape)
        ratio, square = flat / weight, weight * weight
    else:
        ratio, square, total, weight = flat, 1.0, total / weight, 1.0
    plain = weight if arrays.is_array(weight) else None
    if capped:
        inside = _capped(flat, plain, total)
        if arrays.holds_everywhere(inside):
            return arrays.maximum(x, 0.0)
    ratio = ratio - xp.max(ratio, axis=-1, keepdims=True)  # a constant changes nothing, and the digits that matter stay
    ratio -= sum_threshold(ratio, square, total)  # in place where the library can: temporaries cost as much as the arithmetic
    point = np.maximum(ratio, 0.0, out=ratio) if isinstance(ratio, np.ndarray) else arrays.maximum(ratio, 0.0)
    point = point if plain is None else weight * point
    if capped:
        point = xp.where(inside, arrays.maximum(flat, 0.0), point)
    return xp.reshape(point, x.shape)


def _capped(flat: Array, weight: Any, total: Any) -> Array:
    """Whether the weighted sum of the positive part is at most the total, along the last axis, which is kept."""
    xp = arrays.namespace(flat)
    positive = arrays.maximum(flat, 0.0)
    with np.errstate(over="ignore"):
        return xp.sum(positive if weight is None else weight * positive, axis=-1, keepdims=True) <= total


def row_total(x: Array, batch_ndim: int) -> Array:
    """Sum of each row, with its axes kept."""
    axes = row_axes(x, batch_ndim)
    return arrays.namespace(x).sum(x, axis=axes, keepdims=True) if axes else x


class Face:
    """What moves when x does, where p = sign(x) max(|x| - t weight, 0) with a weighted sum of |p| that stands still.

    Parameters
    ----------
    x, p : array
        The point and its projection; ``p`` has the phase of x where it is not 0.
    inside : Boolean array, one entry a row, optional
        Rows whose weighted sum is below the total: t = 0 there, and does not move.
    free : bool
        Whether rows inside do not move at 0 either (a ball), or are cut off there (a simplex).
    """

    def __init__(self, x: Array, p: Array, weight: Any, batch_ndim: int, inside: Any = None, free: bool = False) -> None:
        xp = arrays.namespace(x)
        self.batch_ndim = batch_ndim
        self.magnitude = xp.abs(p)
        size = nonzero(self.magnitude)
        self.phase = p / xp.astype(size, p.dtype)
        active = xp.astype(self.magnitude > 0, size.dtype)
        self.weight, self.diagonal = weight * active, active
        if inside is not None:
            inside = xp.reshape(inside, (*inside.shape, *(1,) * (x.ndim - batch_ndim)))
            self.weight = xp.where(inside, 0.0 * active, self.weight)
            self.diagonal = xp.where(inside, xp.ones_like(active), active) if free else active
        self.square = nonzero(row_total(self.weight * self.weight, batch_ndim))
        along = xp.real(xp.conj(self.phase) * x) if is_complex(x) else self.phase * x
        self.threshold = row_total(self.weight * (along - self.magnitude), batch_ndim) / self.square

    def derivative(self, h: Array) -> Array:
        """The derivative of the moduli |p| in |x|: diagonal h - weight <weight, h>/square."""
        return self.diagonal * h - (row_total(self.weight * h, self.batch_ndim) / self.square) * self.weight

    def in_total(self) -> Array:
        """The derivative in the total: the phase times weight/square."""
        return self.phase * arrays.namespace(self.phase).astype(self.weight / self.square, self.phase.dtype)

    def in_weight(self, x: Array, shape: tuple[int, ...]) -> LinearMap:
        """The derivative in the weight, which has the given shape: -t (h - weight <weight, h>/square) - weight <|p|, h>/square
        over the active entries, where the threshold t is not 0.
        """
        xp = arrays.namespace(x)
        held = xp.astype(self.weight > 0, self.weight.dtype)

        def forward(change: Any) -> Array:
            change = held * (xp.zeros_like(self.magnitude) + change)
            moved = row_total(self.magnitude * change, self.batch_ndim) / self.square
            return self.phase * xp.astype(-self.threshold * self.derivative(change) - moved * self.weight, self.phase.dtype)

        def backward(cotangent: Array) -> Array:
            real = xp.real(xp.conj(self.phase) * cotangent) if is_complex(x) else self.phase * cotangent
            moved = row_total(self.weight * real, self.batch_ndim) / self.square
            change = -self.threshold * self.derivative(real) - moved * self.magnitude
            return arrays.reduce_to(held * change, shape)

        return DataDerivative(forward, backward, shape, tuple(x.shape))


def is_complex(x: Array) -> bool:
    """Whether the dtype is complex."""
    return bool(arrays.namespace(x).isdtype(x.dtype, "complex floating"))


def _value(x: Array, weight: Any, total: Any, batch_ndim: int, capped: bool) -> Array:
    """0 or infinity: the signs, and the weighted sum against the total."""
    xp = arrays.namespace(x)
    magnitude = xp.abs(x)
    low = arrays.clip(magnitude, 1.0, None) * (8 * arrays.epsilon(x))
    negative = arrays.row_sum(xp.astype(~(x >= -low), x.dtype), batch_ndim)
    excess = arrays.row_sum(weight * x, batch_ndim) - total
    slack = row_slack(arrays.row_sum(weight * magnitude, batch_ndim), x, batch_ndim)
    return zero_or_infinity((negative == 0) & ((excess if capped else xp.abs(excess)) <= slack), x)


@final
@dataclass(frozen=True, eq=False)
class Simplex(Function):
    """Indicator of {x : x >= 0, sum weight_i x_i = total}, over all entries of a row (all axes behind the batch axes).

    Parameters
    ----------
    total : float, default 1
        Above 0.
    weight : float or array that broadcasts against a row, default 1
        Above 0; the probability simplex has weight 1.

    Notes
    -----
    prox: max(x - t weight, 0) with the t that makes the sum right. **Domain** the simplex. **Constants** mu = 0; no gradient.
    **Cost** linear: Newton's method on the piecewise linear equation for t, exact after finitely many passes (3 to 6 as a
    rule), without a sort. **Derivative** of the prox: D - v v*/|v|^2 with D = 1 where prox(x) > 0, else 0 (0 at the kinks),
    and v = D weight.

    References
    ----------
    Held, Wolfe and Crowder (1974), Validation of subgradient optimization; Michelot (1986); Condat (2016).

    Examples
    --------
    >>> import numpy as np
    >>> Simplex().prox(np.array([0.5, 1.0, -1.0]))
    array([0.25, 0.75, 0.  ])
    """

    total: Any = 1.0
    weight: Any = 1.0

    def __post_init__(self) -> None:
        check_radius("Simplex", "total", self.total, positive=True)
        check_radius("Simplex", "weight", self.weight, positive=True)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        weight = [0.5, 1.0, 2.0, 0.25]
        return (
            Sample(lambda a: cls(), (5,), lambda cp, y: [y >= 0, cp.sum(y) == 1]),
            Sample(lambda a: cls(2.0, a(weight)), (4,), lambda cp, y: [y >= 0, cp.sum(cp.multiply(np.array(weight), y)) == 2]),
            Sample(lambda a: cls(3.0), (2, 3), lambda cp, y: [y >= 0, cp.sum(y) == 3]),
        )

    @property
    def is_indicator(self) -> bool:
        return True

    def __call__(self, x: Array) -> Array:
        return _value(x, self.weight, self.total, self.batch_ndim, capped=False)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        still = self.detached()
        point = positive_part_with_sum(autodiff.detach(x), still.weight, still.total, self.batch_ndim, capped=False)
        return self.with_derivative(x, step, point)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        face = self._face(x)
        return DiagonalPlusRankOne(face.diagonal, face.weight, -1.0 / face.square, row_axes(x, self.batch_ndim))

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        face = self._face(x)
        return {
            "total": BroadcastMap(face.in_total(), shape_of(self.total)),
            "weight": face.in_weight(x, shape_of(self.weight)),
        }

    def _face(self, x: Array) -> Face:
        return Face(x, self.prox(x), self.weight, self.batch_ndim)

    def conjugate(self) -> Function:
        from monops import functions  # families are loaded one after the other: looked up where it is made

        largest = getattr(functions, "Max", None)
        if largest is None or arrays.is_array(self.weight):
            return super().conjugate()
        return float(self.total / self.weight) * largest(batch_ndim=self.batch_ndim)

    def value_formula(self, x: str) -> str:
        return f"i({x} >= 0, {_sum_text(self.weight, x)} = {as_text(self.total)})"


def _sum_text(weight: Any, x: str) -> str:
    return f"<w, {x}>" if arrays.is_array(weight) or weight != 1 else f"sum {x}"


@final
@dataclass(frozen=True, eq=False)
class SimplexInequality(Function):
    """Indicator of {x : x >= 0, sum weight_i x_i <= total}, over all entries of a row (all axes behind the batch axes).

    Parameters
    ----------
    total : float, default 1
        At least 0.
    weight : float or array that broadcasts against a row, default 1
        Above 0.

    Notes
    -----
    prox: max(x - t weight, 0) with the least t >= 0 that keeps the sum. **Domain** the solid simplex. **Constants** mu = 0;
    no gradient. **Cost** linear: that of `Simplex`, one pass when t = 0. **Derivative** of the prox: D = 1 where prox(x) > 0,
    else 0 (0 at the kinks); D - v v*/|v|^2 with v = D weight where the weighted sum of max(x, 0) exceeds the total.

    References
    ----------
    Held, Wolfe and Crowder (1974); Condat (2016).

    Examples
    --------
    >>> import numpy as np
    >>> SimplexInequality(2.0).prox(np.array([1.0, 0.5, -1.0]))
    array([1. , 0.5, 0. ])
    >>> SimplexInequality(1.0).prox(np.array([1.0, 0.5, -1.0]))
    array([0.75, 0.25, 0.  ])
    """

    total: Any = 1.0
    weight: Any = 1.0

    def __post_init__(self) -> None:
        check_radius("SimplexInequality", "total", self.total)
        check_radius("SimplexInequality", "weight", self.weight, positive=True)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        weight = [0.5, 1.0, 2.0, 0.25]
        return (
            Sample(lambda a: cls(0.7), (5,), lambda cp, y: [y >= 0, cp.sum(y) <= 0.7]),
            Sample(
                lambda a: cls(a(0.5), a(weight)),
                (4,),
                lambda cp, y: [y >= 0, cp.sum(cp.multiply(np.array(weight), y)) <= 0.5],
            ),
            Sample(lambda a: cls(30.0), (2, 3), lambda cp, y: [y >= 0, cp.sum(y) <= 30]),
        )

    @property
    def is_indicator(self) -> bool:
        return True

    def __call__(self, x: Array) -> Array:
        return _value(x, self.weight, self.total, self.batch_ndim, capped=True)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        still = self.detached()
        point = positive_part_with_sum(autodiff.detach(x), still.weight, still.total, self.batch_ndim, capped=True)
        return self.with_derivative(x, step, point)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        face = self._face(x)
        return DiagonalPlusRankOne(face.diagonal, face.weight, -1.0 / face.square, row_axes(x, self.batch_ndim))

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        face = self._face(x)
        return {
            "total": BroadcastMap(face.in_total(), shape_of(self.total)),
            "weight": face.in_weight(x, shape_of(self.weight)),
        }

    def _face(self, x: Array) -> Face:
        inside = arrays.row_sum(self.weight * arrays.maximum(x, 0.0), self.batch_ndim) <= self.total
        return Face(x, self.prox(x), self.weight, self.batch_ndim, inside)

    def value_formula(self, x: str) -> str:
        return f"i({x} >= 0, {_sum_text(self.weight, x)} <= {as_text(self.total)})"
