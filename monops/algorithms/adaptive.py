"""Step sizes that move: one number a row, in the state of a method.

A step that differs from row to row needs resolvents that take many steps at once. Where a resolvent does not, all rows share
one step, the smallest of those that the rule allows: every rule here only bounds the step from above.
"""

from __future__ import annotations

import math
from typing import Any

from monops import arrays, autodiff
from monops.arrays import Array, Blocks


def initial(value: float, x: Array, batch_ndim: int) -> Array:
    """The number ``value`` for every row of x: an array of the batch shape."""
    first = arrays.leaves(x)[0]
    xp = arrays.namespace(first)
    return xp.full(first.shape[:batch_ndim], value, dtype=arrays.real_dtype(first), device=arrays.device(first))


def shared(step: Array, *operators: Any) -> Array:
    """The step of each row, or for all the smallest of them where one of the operators takes a single step only."""
    if step.ndim == 0 or all(getattr(operator, "takes_many_steps", False) for operator in operators):
        return step
    return arrays.namespace(step).full_like(step, _least(step))


def _least(step: Array) -> float:
    """The smallest step of the rows that have one: rows that have become NaN have no say."""
    step = autodiff.detach(step)
    xp = arrays.namespace(step)
    return float(xp.min(xp.where(xp.isfinite(step) & (step > 0), step, xp.full_like(step, math.inf))))


def resolvent(operator: Any, x: Array, step: Array) -> Array:
    """The resolvent of the operator at each row of x with that row's step; a step that has been through ``shared``."""
    if step.ndim == 0:
        return operator.resolvent(x, float(step))
    if getattr(operator, "takes_many_steps", False) and not isinstance(x, Blocks):
        xp = arrays.namespace(step)
        return operator.resolvent(x, xp.reshape(step, step.shape + (1,) * (x.ndim - step.ndim)))
    return operator.resolvent(x, _least(step))


def ratio(numerator: Array, denominator: Array, otherwise: float) -> Array:
    """numerator/denominator, and the number ``otherwise`` in rows where the denominator is not positive."""
    xp = arrays.namespace(numerator)
    positive = denominator > 0
    quotient = numerator / xp.where(positive, denominator, xp.ones_like(denominator))
    return xp.where(positive, quotient, xp.zeros_like(quotient) + otherwise)
