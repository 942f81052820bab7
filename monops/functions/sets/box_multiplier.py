"""The scalar equation behind the projection on a section of a box: <a, clip(x - t a, lower, upper)> = b."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from monops import arrays
from monops.arrays import Array
from monops.functions.feasibility import nonzero, row_slack
from monops.functions.roots import increasing_root

REFINEMENTS = 10  # each solves again around the last answer, whose rounding is that of a far away x


def section_projection(x: Array, a: Array, b: Any, lower: Any, upper: Any, batch_ndim: int) -> Array:
    """clip(x - t a, lower, upper) with the t that makes <a, .> = b."""
    xp = arrays.namespace(x)
    shape = (*x.shape[:batch_ndim], math.prod(x.shape[batch_ndim:]))
    flat, row = xp.reshape(x, shape), xp.reshape(a, (-1,))
    lower, upper = (
        xp.reshape(bound + xp.zeros_like(x), shape) if arrays.is_array(bound) else bound for bound in (lower, upper)
    )
    reach = None
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        for _ in range(REFINEMENTS):
            multiplier = _multiplier(flat, row, b, lower, upper, reach)
            flat = flat - multiplier * row
            point = _clip(flat, lower, upper)
            terms = xp.sum(xp.abs(row * point), axis=-1)
            if arrays.holds_everywhere(~(xp.abs(xp.vecdot(row, point) - b) > row_slack(terms, flat, flat.ndim - 1))):
                break
            error = 128.0 * arrays.epsilon(flat) * xp.abs(multiplier)  # twice what the root finder allows
            reach = error if reach is None else xp.maximum(error, 2.0**-100 * reach)
    return xp.reshape(point, x.shape)


def _clip(x: Array, lower: Any, upper: Any) -> Array:
    return arrays.clip(x, None if _is_no_bound(lower) else lower, None if _is_no_bound(upper) else upper)


def _is_no_bound(bound: Any) -> bool:
    return not arrays.is_array(bound) and math.isinf(bound)


def _multiplier(x: Array, a: Array, b: Any, lower: Any, upper: Any, reach: Any) -> Array:
    """The root t of b - <a, clip(x - t a)>, increasing and piecewise linear in t; last axis kept.

    The safeguarded Newton method ends exactly on the linear piece of the root. Bracket: beyond all breakpoints, where only
    entries without a bound move, the root is explicit. ``reach``: a smaller bracket [-reach, reach] to try first.
    """
    xp = arrays.namespace(x)
    square = a * a

    def equation(t: Array) -> tuple[Array, Array]:
        moved = -t * a
        moved += x  # in place where the library can
        clipped = _clip(moved, lower, upper)
        slope = xp.vecdot(xp.astype(clipped == moved, x.dtype), square)[..., None]
        value = b - xp.vecdot(clipped, a)[..., None]
        return xp.where(xp.abs(value) <= noise, xp.zeros_like(value), value), slope

    def beyond(last: Array, sign: float) -> Array:
        """A point beyond the root on the right (sign 1) or on the left (sign -1), from one beyond the breakpoints."""
        low, high = lower + xp.zeros_like(a), upper + xp.zeros_like(a)
        unbounded = (a != 0) & xp.isinf(xp.where(sign * a > 0, low, high))  # the bound that the entry goes to
        slope = xp.vecdot(xp.astype(unbounded, x.dtype), square)[..., None]
        short = arrays.maximum(-sign * equation(last)[0], 0.0)
        return last + sign * xp.where(slope > 0, short / nonzero(slope), xp.zeros_like(short))

    noise = xp.zeros_like(x[..., :1])
    inverse = xp.where(a != 0, 1.0 / nonzero(xp.abs(a)), xp.zeros_like(a))
    furthest = xp.max((xp.abs(x) + _size(lower) + _size(upper)) * inverse, axis=-1, keepdims=True)
    left, right = -furthest, furthest
    if arrays.is_array(lower) or arrays.is_array(upper) or _is_no_bound(lower) or _is_no_bound(upper):
        left, right = beyond(left, -1.0), beyond(right, 1.0)
    if reach is None:
        start = (xp.vecdot(x, a)[..., None] - b) / xp.sum(square)
    else:
        left = xp.where(equation(-reach)[0] <= 0, xp.maximum(left, -reach), left)
        right = xp.where(equation(reach)[0] >= 0, xp.minimum(right, reach), right)
        start = xp.zeros_like(left)
    start = xp.minimum(xp.maximum(start, left), right)
    terms = xp.vecdot(xp.abs(_clip(x - start * a, lower, upper)), xp.abs(a))[..., None]
    noise = arrays.epsilon(x) * xp.maximum(terms, xp.abs(b + 0.0 * terms))  # the sum is not known better
    return increasing_root(equation, left, right, start)


def _size(bound: Any) -> Any:
    """|bound|, 0 for an infinite one."""
    if not arrays.is_array(bound):
        return 0.0 if math.isinf(bound) else abs(bound)
    xp = arrays.namespace(bound)
    return xp.where(xp.isfinite(bound), xp.abs(bound), xp.zeros_like(bound))
