"""Indicators of epigraphs {(x, t) : f(x) <= t}, for any function f with value and prox."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from monops import arrays, autodiff
from monops.arrays import Array, Blocks
from monops.errors import CapabilityError
from monops.functions.arguments import check_prox
from monops.functions.divergences.pairs import PairwiseMap, graph_derivative, keep_nan, root, split_pair, whole_rows
from monops.functions.function import Function
from monops.functions.norms.norms import L1Norm
from monops.functions.norms.squares import SquaredL2
from monops.functions.sample import Sample
from monops.functions.separable import Separable
from monops.linear import LinearMap

__all__ = [
    "Epigraph",
]


@final
@dataclass(frozen=True, eq=False)
class Epigraph(Function):
    """Indicator of {(x, t) : f(x) <= t} for a function f with value and prox.

    Parameters
    ----------
    function : Function
        f; with its value and its prox.
    entrywise : bool, default False
        False: x is a point of f, t one number a row (shape: the batch shape and (1,)). True: t has the shape of x, and the set
        is {phi(x_i) <= t_i for every i} for a `Separable` function f with the scalar function phi.

    Notes
    -----
    prox: (q, t + m), with q = prox_{m f}(x) and the multiplier m > 0 the root of t + m = f(prox_{m f}(x)), found by Newton's
    method in log m; a point with f(P x) <= t, P the projection on the domain of f, goes to (P x, t). **Domain** the set.
    **Constants** mu = 0. **Cost** about 10 to 30 proxes of f; the classes of their own (`EpigraphExp`, `EpigraphL2`, ...) are
    faster. Rows of a function that is not separable are treated one after the other. **Derivative** of the prox: with g =
    (x - q)/m, J the derivative of prox_{m f} at x, w = Jg and D = 1 + <g, w>: (h, k) -> (Jh - w (<w, h> - k)/D,
    (<w, h> + <g, w> k)/D); the identity inside (and at its boundary). No derivative is taken in the data of f.

    References
    ----------
    Bauschke and Combettes (2017), chapter 29. Beck (2017), First-Order Methods in Optimization, Theorem 6.36.

    Examples
    --------
    >>> import numpy as np
    >>> from monops import Blocks
    >>> from monops.functions import L1Norm
    >>> q, t = Epigraph(L1Norm()).prox(Blocks((np.array([3.0, -1.0]), np.array([1.0]))))
    >>> np.round(q, 12), np.round(t, 12)
    (array([2., 0.]), array([2.]))
    """

    function: Function
    entrywise: bool = False

    def __post_init__(self) -> None:
        check_has_value_and_prox("Epigraph", self.function, self.entrywise)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(L1Norm(0.5)), ((5,), (1,)), lambda cp, z: [0.5 * cp.norm1(z[0]) <= z[1]]),
            Sample(lambda a: cls(SquaredL2(3.0)), ((5,), (1,)), lambda cp, z: [1.5 * cp.sum_squares(z[0]) <= z[1]]),
            Sample(lambda a: cls(L1Norm(2.0), entrywise=True), ((5,), (5,)), lambda cp, z: [2.0 * cp.abs(z[0]) <= z[1]]),
        )

    @property
    def is_indicator(self) -> bool:
        return True

    def __call__(self, x: Array) -> Array:
        point, t = split_pair(self, x, self.entrywise)
        xp = arrays.namespace(point)
        still = self._rowwise(point)
        level = xp.reshape(t, point.shape[: still.batch_ndim])
        size = arrays.norm(point, still.batch_ndim)
        slack = 16 * arrays.epsilon(point) * xp.maximum(arrays.clip(size, 1.0, None), xp.abs(level))
        height = _least_height(still, point)
        value = xp.where(height <= level + slack, 0.0 * level, xp.zeros_like(level) + math.inf)
        return arrays.row_sum(value, self.batch_ndim)

    def _rowwise(self, x: Array) -> Function:
        """f with every problem in a row of its own."""
        return self.function.batched(x.ndim if self.entrywise else self.batch_ndim)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        split_pair(self, x, self.entrywise)
        first, second = autodiff.detach(x)
        q, t, _ = project(self._rowwise(first), first, second)
        return self.with_derivative(x, step, Blocks((q, t)))

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        return graph_map(self._rowwise(x[0]), x[0], x[1], project(self._rowwise(x[0]), *x))

    def conjugate(self) -> Function:
        """The perspective of f* at (u, -v), where its value is known (`Perspective`); else by Moreau's identity."""
        from monops.functions.divergences.perspectives import Perspective, ReflectedSecond, recession  # built from this class

        dual = self.function.conjugate()
        if not (dual.has_value and dual.has_prox and recession(self.function, self.batch_ndim)):
            return super().conjugate()
        return ReflectedSecond(Perspective(dual, self.entrywise, batch_ndim=self.batch_ndim), batch_ndim=self.batch_ndim)

    def value_formula(self, x: str) -> str:
        return f"i({self.function.value_formula(x)} <= t)"


def _least_height(f: Function, x: Array) -> Array:
    """The least f within rounding of x: of every entry if f is separable, else along the ray through x."""
    xp, relative = arrays.namespace(x), 8 * arrays.epsilon(x)
    if isinstance(f, Separable):
        slack = relative * arrays.clip(xp.abs(x), 1.0, None)
        values = [f.entry_value(x), f.entry_value(x - slack), f.entry_value(x + slack)]
        return arrays.row_sum(xp.minimum(values[0], xp.minimum(values[1], values[2])), f.batch_ndim)
    return xp.minimum(f(x), xp.minimum(f((1.0 - relative) * x), f((1.0 + relative) * x)))


def check_has_value_and_prox(owner: str, function: Any, entrywise: bool) -> None:
    """Raise CapabilityError for a function that the scalar equation cannot use."""
    if not (isinstance(function, Function) and function.is_convex and function.has_value and function.has_prox):
        raise CapabilityError(
            f"{owner} needs a convex function with value and prox, and {type(function).__name__} is none: use a class with both"
        )
    if entrywise and not isinstance(function, Separable):
        raise CapabilityError(
            f"{owner}(entrywise=True) needs a Separable function, and {type(function).__name__} is none: leave entrywise False"
        )


def _columns(rows: Array, x: Array) -> Array:
    """One number a row, shaped to broadcast against x."""
    xp = arrays.namespace(x)
    return xp.reshape(rows, (*rows.shape, *((1,) * (x.ndim - rows.ndim))))


def _each_row(f: Function, function: Callable[[Function, Array, Any], Array], x: Array, steps: Array) -> Array:
    """``function(f, row, step)`` for every row with its own step, stacked; one call for a separable f."""
    xp = arrays.namespace(x)
    if isinstance(f, Separable):
        return function(f, x, _columns(steps, x))
    if f.batch_ndim == 0:
        return function(f, x, float(steps))
    rest = tuple(x.shape[f.batch_ndim :])
    flat, single = xp.reshape(x, (-1, *rest)), f.batched(0)
    numbers = xp.reshape(steps, (-1,))
    done = [function(single, flat[row, ...], float(numbers[row])) for row in range(flat.shape[0])]
    return xp.reshape(xp.stack(done), x.shape) if done else x


def _prox_rows(f: Function, x: Array, steps: Array) -> Array:
    return _each_row(f, lambda part, row, step: part.prox(row, step), x, steps)


def _slope_rows(f: Function, x: Array, p: Array, steps: Array, h: Array) -> Array:
    """J h for the derivative J of prox_{step f} at x, row by row."""
    if isinstance(f, Separable):
        return f.entry_prox_derivative(x, p, _columns(steps, x)) * h
    xp = arrays.namespace(x)
    paired = xp.stack((x, h), axis=f.batch_ndim)  # each row carries its direction
    single = f.batched(0)

    def one(part: Function, row: Array, step: Any) -> Array:
        moved = single.prox_derivative(row[0, ...], step).apply(row[1, ...])
        return xp.stack((moved, moved))

    return _each_row(f, one, paired, steps)[(*(slice(None),) * f.batch_ndim, 0, ...)]


def _height(f: Function, p: Array) -> Array:
    """f at a prox p; 0 for an indicator, whose value at its own projection may suffer from rounding."""
    return 0.0 * arrays.row_sum(p, f.batch_ndim) if f.is_indicator else f(p)


def project(f: Function, x: Array, t: Array) -> tuple[Array, Array, Array]:
    """Projection (q, s) of (x, t) on {f <= t}, row by row, and the multiplier s - t; q and s keep the shapes of x and t."""
    xp = arrays.namespace(x)
    ndim = f.batch_ndim
    level = xp.reshape(t, x.shape[:ndim])
    nearest = x if f.domain is None else f.domain.prox(x)
    with_value = _height(f, nearest)
    inside = with_value <= level
    one = xp.ones_like(level)
    inner = _prox_rows(f, nearest, one)
    reach = arrays.row_sum(xp.abs(x - inner), ndim) + arrays.clip(_height(f, inner) - level, 0.0, None)
    upper = xp.where(with_value - level < reach, with_value - level, reach)  # |s - t| to a point of the set
    tiny = float(xp.finfo(x.dtype).smallest_normal)
    upper = xp.log(xp.where(inside, one, arrays.clip(upper, 4.0 * tiny, float(xp.finfo(x.dtype).max) / 4.0)))
    upper = upper + 8.0 * arrays.epsilon(x) * (1.0 + xp.abs(upper))

    def equation(u: Array) -> tuple[Array, Array, Array]:
        multiplier = xp.exp(u)
        p = _prox_rows(f, x, multiplier)
        move = x - p
        curvature = arrays.inner(move / _columns(multiplier, x), _slope_rows(f, x, p, multiplier, move), ndim)
        rounded = arrays.row_sum(xp.abs(move), ndim) <= 16.0 * arrays.epsilon(x) * arrays.row_sum(xp.abs(x), ndim)
        slope = multiplier + xp.where(rounded, 0.0 * curvature, curvature)
        height = _height(f, p)
        terms = (xp.abs(level) + multiplier + xp.abs(height)) * (1.0 + xp.abs(u))
        return xp.where(inside, 0.0 * height, level + multiplier - height), slope, terms

    lowest = 0.0 * upper + math.log(tiny)
    lower, width = upper, 1.0
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        while width < 2048.0:  # down to a multiplier that is too small, in steps that double
            above = equation(lower)[0] > 0
            if arrays.holds_everywhere(~above):
                break
            upper, lower = xp.where(above, lower, upper), xp.where(above, xp.maximum(lower - width, lowest), lower)
            width = 2.0 * width
        multiplier = xp.exp(root(equation, lower, upper, upper))
    q = _prox_rows(f, x, multiplier)
    q = xp.where(_columns(inside, x), nearest, q)
    multiplier = xp.where(inside, 0.0 * level, multiplier)
    s = xp.where(level < 0, _height(f, q), level + multiplier)
    s = xp.where(inside, level, s)
    q, s = keep_nan(q, x + _columns(level, x)), keep_nan(s, level + arrays.row_sum(x, ndim))
    return q, xp.reshape(s, t.shape), multiplier


def graph_map(f: Function, x: Array, t: Array, found: tuple[Array, Array, Array]) -> LinearMap:
    """Derivative of `project` at (x, t), where it is ``found``."""
    xp = arrays.namespace(x)
    q, _, multiplier = found
    ndim, domain = f.batch_ndim, f.domain
    outside = multiplier > 0
    steps = xp.where(outside, multiplier, xp.ones_like(multiplier))
    most = float(xp.finfo(x.dtype).max) ** 0.5
    g = arrays.clip((x - q) / _columns(steps, x), -most, most)
    if ndim == x.ndim and isinstance(f, Separable):  # every entry is a row
        inner = f.entry_prox_derivative(x, q, steps)
        a, b, c = graph_derivative(g, inner, outside)
        if domain is not None:
            a = xp.where(outside, a, domain.prox_derivative(x).apply(xp.ones_like(x)))
        return PairwiseMap(a, b, c)
    w = _slope_rows(f, x, q, steps, g)
    product = arrays.clip(arrays.inner(g, w, ndim), 0.0, None)

    def apply(h: Array) -> Array:
        first, second = h
        level = xp.reshape(second, multiplier.shape)
        along = arrays.inner(w, first, ndim)
        moved = _slope_rows(f, x, q, steps, first) - w * _columns((along - level) / (1.0 + product), x)
        still = first if domain is None else domain.prox_derivative(x).apply(first)
        height = xp.where(outside, (along + product * level) / (1.0 + product), level)
        return Blocks((xp.where(_columns(outside, x), moved, still), xp.reshape(height, second.shape)))

    return whole_rows(apply, (tuple(x.shape), tuple(t.shape)))
